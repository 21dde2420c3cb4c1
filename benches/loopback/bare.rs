//! The yardstick: 64 workers with one reqwest client and a list, a line of JSON per URL, and nothing else.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

/// What this program calls it.
pub const NAME: &str = "bare";

/// Fetches every URL of the file.
pub fn run(path: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(fetch_all(path));
}

#[expect(clippy::disallowed_methods, reason = "this is what fetchd is measured against")]
async fn fetch_all(path: &str) {
    let urls: Arc<Vec<String>> =
        Arc::new(std::fs::read_to_string(path).expect("the list").lines().map(str::to_owned).collect());
    let client = reqwest::Client::builder().no_proxy().http1_only().build().expect("a client");
    let (next, out) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(std::io::sink())));
    let mut workers = JoinSet::new();
    for _ in 0..64 {
        let (urls, client, next, out) = (Arc::clone(&urls), client.clone(), Arc::clone(&next), Arc::clone(&out));
        workers.spawn(async move {
            while let Some(url) = urls.get(next.fetch_add(1, Ordering::Relaxed)) {
                let response = client.get(url).send().await.expect("an answer");
                let status = response.status().as_u16();
                let body = response.text().await.expect("a body");
                let line = serde_json::json!({ "url": url, "status": status, "body": body }).to_string();
                out.lock().expect("the output").write_all(line.as_bytes()).expect("a write");
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.expect("a worker");
    }
}
