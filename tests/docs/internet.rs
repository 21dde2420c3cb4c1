//! An internet for the pages: every host that they name is a server in a network of the test's own, over HTTP and HTTPS.

use std::convert::Infallible;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::common::certs::Authority;
use crate::common::dns::{Dns, NXDOMAIN, Say};
use crate::common::in_a_thread;

/// The hosts that pages name.
const HOSTS: [&str; 8] = [
    "example.com",
    "www.example.com",
    "a.example.com",
    "b.example.com",
    "api.example.com",
    "fast.example.com",
    "api.partner.example",
    "hooks.example.com",
];

/// The host that pages name as one that there is not.
const NOBODY: &str = "nowhere.example.com";

/// The token that `api.example.com` takes from those who send one.
const TOKEN: &str = "Bearer secret";

pub struct Internet {
    dir: TempDir,
    _dns: Dns,
    _servers: [oneshot::Sender<()>; 2],
}

impl Internet {
    /// Within a network and mounts of the test's own.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        run(Command::new("ip").args(["link", "set", "lo", "up"]));
        let hosts = dir.path().join("hosts");
        let lines = HOSTS.iter().zip(2..).map(|(host, n)| format!("127.0.0.{n} {host}\n"));
        fs::write(&hosts, format!("127.0.0.1 localhost\n{}", lines.collect::<String>())).unwrap();
        run(Command::new("mount").arg("--bind").arg(&hosts).arg("/etc/hosts"));
        let dns = Dns::start();
        dns.script(NOBODY, [Say::Nothing(NXDOMAIN, None)]);
        let authority = Authority::new();
        fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
        let tls = TlsAcceptor::from(Arc::new(authority.identity(&HOSTS).server()));
        let servers = [in_a_thread(serve(listener(80), None)), in_a_thread(serve(listener(443), Some(tls)))];
        let internet = Self { dir, _servers: servers, _dns: dns };
        internet.install_fetchd();
        internet
    }

    /// The directory with the `fetchd` that reaches this internet.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("bin")
    }

    /// A `fetchd` that reaches loopback addresses and trusts the authority of this internet, and is the real one otherwise.
    fn install_fetchd(&self) {
        let (real, ca) = (env!("CARGO_BIN_EXE_fetchd"), self.dir.path().join("ca.pem"));
        let script = format!(
            "#!/bin/sh\n\
             case $1 in ctl | check | state | results | demo | man | completions | help) exec {real} \"$@\" ;; esac\n\
             exec {real} --allow 127.0.0.0/8 --set 'dns.servers=[\"{}\"]' --set 'tls.ca_file=\"{}\"' --log-format text \"$@\"\n",
            self._dns.address(),
            ca.display()
        );
        fs::create_dir(self.path()).unwrap();
        let file = self.path().join("fetchd");
        fs::write(&file, script).unwrap();
        run(Command::new("chmod").arg("+x").arg(file));
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

fn listener(port: u16) -> TcpListener {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

#[expect(clippy::disallowed_methods, reason = "these are connections of a test's server, which end with it")]
async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let tls = tls.clone();
        connections.spawn(async move {
            match tls {
                None => connection(stream).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream).await;
                    }
                }
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let server = hyper::server::conn::http1::Builder::new().timer(TokioTimer::new()).clone();
    // How a client leaves is its own matter.
    let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let of = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (host, path) = (of("host"), head.uri.path());
    let response = Response::builder();
    let response = match (host, path) {
        (_, "/robots.txt") => {
            response.header("content-type", "text/plain").body("User-agent: *\nDisallow: /private/\n".into())
        }
        (_, "/missing") => response.status(404).header("content-type", "text/plain").body("not found".into()),
        ("api.example.com", _) if !["", TOKEN].contains(&of("authorization")) => {
            response.status(401).body(Full::default())
        }
        (host, path) if host.starts_with("api.") || host.starts_with("fast.") => {
            let response = response.header("content-type", "application/json");
            let response = match page_number(head.uri.query()) {
                Some(number @ ..3) => {
                    let next = format!("<https://{host}/v1/items?limit=100&page={}>; rel=\"next\"", number + 1);
                    response.header("link", next)
                }
                _ => response,
            };
            response.body(resource(host, path, head.uri.query(), &body).to_string().into())
        }
        _ if !of("if-none-match").is_empty() => response.status(304).body(Full::default()),
        _ => {
            let response = response.header("content-type", "text/html").header("etag", "\"1\"");
            response.body(format!("<!doctype html><title>{path}</title>").into())
        }
    };
    Ok(response.unwrap())
}

/// The number of the page of a list.
fn page_number(query: Option<&str>) -> Option<u32> {
    let query = query.filter(|query| query.contains("limit="))?;
    Some(query.rsplit_once("page=").map_or(1, |(_, number)| number.parse().unwrap()))
}

/// What was created, a page of items, or one of them.
fn resource(host: &str, path: &str, query: Option<&str>, body: &[u8]) -> Value {
    if let Ok(created) = serde_json::from_slice::<Value>(body) {
        return json!({ "created": created });
    }
    if let Some(number) = page_number(query) {
        let items = (number * 10)..(number * 10 + 3);
        let items: Vec<_> =
            items.map(|id| json!({ "id": id, "url": format!("https://{host}/v1/items/{id}") })).collect();
        return json!({ "data": items });
    }
    let id: u32 = path.rsplit_once('/').and_then(|(_, id)| id.parse().ok()).unwrap_or_default();
    json!({ "id": id, "name": format!("item {id}") })
}

/// A directory for the commands of a page.
pub fn place(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(Path::new(dir.path()).join(name), text).unwrap();
    }
    dir
}
