//! What a user would take instead, if it is installed: each with the same list, as many connections, and bodies kept or
//! thrown away as the tool does it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::table::Candidate;
use crate::{CONNECTIONS, bare};

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

/// The yardsticks first, then fetchd, then the peers that are installed.
#[expect(clippy::too_many_lines, reason = "a table of commands")]
pub fn candidates(origin: SocketAddr, dir: &Path) -> Vec<Candidate> {
    let list = |n| crate::list(dir, &format!("http://{origin}/item"), n).display().to_string();
    let many = list(MANY);
    let fetchd = |more: &[&str]| crate::command(Path::new(&many), CONNECTIONS, more);
    let bare = |client| bare::command(client, &many, CONNECTIONS, None);
    let mut all = vec![
        Candidate { name: "bare reqwest loop, two threads", command: bare(bare::REQWEST), urls: MANY },
        Candidate { name: "bare hyper-util loop, two threads", command: bare(bare::HYPER_UTIL), urls: MANY },
        Candidate { name: "fetchd `--body none`", command: fetchd(&["--body", "none"]), urls: MANY },
        Candidate { name: "fetchd", command: fetchd(&[]), urls: MANY },
    ];
    all.extend(curl(origin, dir, MANY, CONNECTIONS).map(|command| Candidate {
        name: "curl `--parallel`",
        command,
        urls: MANY,
    }));
    let at_once = CONNECTIONS.to_string();
    let mut peer = |name, urls, program: &str, arguments: Vec<String>| {
        if let Some(program) = installed(program) {
            let command = std::iter::once(program.display().to_string()).chain(arguments).collect();
            all.push(Candidate { name, command, urls });
        }
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    peer(
        "oha, URLs from the file",
        MANY,
        "oha",
        words(&["--no-tui", "-c", &at_once, "-n", &MANY.to_string(), "--urls-from-file", &many]),
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
        "aria2c `-i`",
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

/// curl over so many URLs, if it is installed.
pub fn curl(origin: SocketAddr, dir: &Path, urls: usize, connections: usize) -> Option<Vec<String>> {
    let program = installed("curl")?.display().to_string();
    // A list as `-K` reads it.
    let config = dir.join(format!("curl-{urls}.conf"));
    let text: String =
        (1..=urls).map(|n| format!("url = \"http://{origin}/item/{n}\"\noutput = \"/dev/null\"\n")).collect();
    std::fs::write(&config, text).expect("the list is written");
    let (connections, config) = (connections.to_string(), config.display().to_string());
    let command = [&program, "--no-progress-meter", "--parallel", "--parallel-max", &connections, "-K", &config];
    Some(command.map(str::to_owned).to_vec())
}
