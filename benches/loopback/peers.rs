//! What a user would take instead, if it is installed: each with the same list, as many connections, and bodies kept or
//! thrown away as the tool does it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::{CONNECTIONS, bare, urls};

/// A command that fetches a list.
pub struct Candidate {
    pub name: &'static str,
    pub command: Vec<String>,
    /// How many URLs it gets: a slow tool gets fewer, or nobody would wait for it.
    pub urls: usize,
}

/// URLs for those that are as fast as fetchd, more or less.
pub const MANY: usize = 200_000;

/// The tutorial: `gather` with a semaphore, a line of JSON for each.
const AIOHTTP: &str = r#"
import asyncio, aiohttp, json, sys

async def fetch(session, semaphore, url):
    async with semaphore:
        async with session.get(url) as response:
            return json.dumps({"url": url, "status": response.status, "body": await response.text()})

async def main():
    urls = [line.strip() for line in open(sys.argv[1])]
    semaphore = asyncio.Semaphore(int(sys.argv[2]))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=int(sys.argv[2]))) as session:
        for line in await asyncio.gather(*(fetch(session, semaphore, url) for url in urls)):
            print(line)

asyncio.run(main())
"#;

/// The yardstick first, then fetchd, then the peers that are installed.
pub fn candidates(origin: SocketAddr, dir: &Path) -> Vec<Candidate> {
    let list = |n| urls(dir, origin, n).display().to_string();
    let fetchd = |more: &[&str]| crate::command(Path::new(&list(MANY)), more);
    let me = std::env::current_exe().expect("this program").display().to_string();
    let mut all = vec![
        Candidate { name: "bare reqwest loop", command: vec![me, bare::NAME.to_owned(), list(MANY)], urls: MANY },
        Candidate { name: "fetchd --body none", command: fetchd(&["--body", "none"]), urls: MANY },
        Candidate { name: "fetchd", command: fetchd(&[]), urls: MANY },
    ];
    let at_once = CONNECTIONS.to_string();
    let mut peer = |name, urls, program: &str, arguments: Vec<String>| {
        if let Some(program) = installed(program) {
            let command = std::iter::once(program.display().to_string()).chain(arguments).collect();
            all.push(Candidate { name, command, urls });
        }
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let config = curl_config(dir, origin, MANY).display().to_string();
    peer(
        "curl --parallel",
        MANY,
        "curl",
        words(&["--no-progress-meter", "--parallel", "--parallel-max", &at_once, "-K", &config]),
    );
    peer(
        "oha (URLs from the file)",
        MANY,
        "oha",
        words(&["--no-tui", "-c", &at_once, "-n", &MANY.to_string(), "--urls-from-file", &list(MANY)]),
    );
    peer(
        "lychee",
        20_000,
        "lychee",
        words(&[
            "--no-progress",
            "--max-concurrency",
            &at_once,
            "--host-concurrency",
            &at_once,
            "--host-request-interval",
            "0s",
            "--cache-exclude-status",
            "..",
            &list(20_000),
        ]),
    );
    let script = dir.join("gather.py");
    std::fs::write(&script, AIOHTTP).expect("the script is written");
    if has_aiohttp() {
        peer(
            "aiohttp, gather, semaphore",
            50_000,
            "python3",
            words(&[&script.display().to_string(), &list(50_000), &at_once]),
        );
    }
    let downloads = dir.join("downloads").display().to_string();
    peer(
        "aria2c -i",
        5_000,
        "aria2c",
        words(&["-q", "-j", &at_once, "-x", "16", "-d", &downloads, "--allow-overwrite=true", "-i", &list(5_000)]),
    );
    all
}

/// Where a program is, if it is installed.
fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file())
}

fn has_aiohttp() -> bool {
    let asked = std::process::Command::new("python3").args(["-c", "import aiohttp"]).output();
    asked.is_ok_and(|output| output.status.success())
}

/// A list as `curl -K` reads it.
fn curl_config(dir: &Path, origin: SocketAddr, n: usize) -> PathBuf {
    let path = dir.join("curl.conf");
    let text: String =
        (1..=n).map(|n| format!("url = \"http://{origin}/item/{n}\"\noutput = \"/dev/null\"\n")).collect();
    std::fs::write(&path, text).expect("the list is written");
    path
}
