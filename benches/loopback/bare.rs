//! The yardsticks: workers with one client and a list, a line of JSON per URL, and nothing else. One has fetchd's client,
//! reqwest; the other the client below it, of hyper-util, without what reqwest does for each request.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;

/// What this program calls the loop of reqwest.
pub const REQWEST: &str = "bare-reqwest";

/// What this program calls the loop of hyper-util.
pub const HYPER_UTIL: &str = "bare-hyper-util";

/// Its command: a list, so many requests at once, and the certificates to trust besides the system's.
pub fn command(client: &str, list: &str, connections: usize, ca: Option<&str>) -> Vec<String> {
    let me = std::env::current_exe().expect("this program").display().to_string();
    let mut command = vec![me, client.to_owned(), list.to_owned(), connections.to_string()];
    command.extend(ca.map(str::to_owned));
    command
}

/// The other side of [`command`]: fetches every URL of the list.
pub fn run(client: &str, arguments: &[String]) {
    let (list, connections, ca) = (&arguments[0], &arguments[1], arguments.get(2));
    let connections = connections.parse().expect("a number");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        match client {
            REQWEST => fetch_all(list, connections, &reqwest_client(ca)).await,
            _ => fetch_all(list, connections, &HyperUtil(Client::builder(TokioExecutor::new()).build_http())).await,
        }
    });
}

/// What a worker needs of a client: the status and the body of a URL.
trait Get: Clone + Send + 'static {
    fn get(&self, url: &str) -> impl Future<Output = (u16, Bytes)> + Send;
}

impl Get for reqwest::Client {
    async fn get(&self, url: &str) -> (u16, Bytes) {
        let response = Self::get(self, url).send().await.expect("an answer");
        (response.status().as_u16(), response.bytes().await.expect("a body"))
    }
}

#[derive(Clone)]
struct HyperUtil(Client<HttpConnector, Empty<Bytes>>);

impl Get for HyperUtil {
    async fn get(&self, url: &str) -> (u16, Bytes) {
        let response = self.0.get(url.parse().expect("a URL")).await.expect("an answer");
        (response.status().as_u16(), response.into_body().collect().await.expect("a body").to_bytes())
    }
}

fn reqwest_client(ca: Option<&String>) -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().http1_only();
    let builder = match ca {
        Some(path) => {
            let pem = std::fs::read(path).expect("the certificate");
            builder.tls_certs_merge([reqwest::Certificate::from_pem(&pem).expect("a certificate")])
        }
        None => builder,
    };
    builder.build().expect("a client")
}

#[expect(clippy::disallowed_methods, reason = "this is what fetchd is measured against")]
async fn fetch_all(list: &str, connections: usize, client: &impl Get) {
    let text = std::fs::read_to_string(list).expect("the list");
    let urls: Arc<Vec<String>> = Arc::new(text.lines().map(str::to_owned).collect());
    let (next, out) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(std::io::sink())));
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        let (urls, client, next, out) = (Arc::clone(&urls), client.clone(), Arc::clone(&next), Arc::clone(&out));
        workers.spawn(async move {
            while let Some(url) = urls.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (status, body) = client.get(url).await;
                let body = String::from_utf8_lossy(&body);
                let line = serde_json::json!({ "url": url, "status": status, "body": body }).to_string();
                out.lock().expect("the output").write_all(line.as_bytes()).expect("a write");
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.expect("a worker");
    }
}
