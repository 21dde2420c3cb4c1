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
    all.extend(curl_items(origin, dir, MANY, CONNECTIONS).map(|command| Candidate {
        name: "curl `--parallel`",
        command,
        urls: MANY,
    }));
    let at_once = CONNECTIONS.to_string();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let peer = |name, urls, program: &str, arguments: &[&str]| {
        let program = installed(program)?.display().to_string();
        Some(Candidate { name, command: words(&[&[program.as_str()], arguments].concat()), urls })
    };
    all.extend(peer(
        "oha, URLs from the file",
        MANY,
        "oha",
        &["--no-tui", "-c", &at_once, "-n", &MANY.to_string(), "--urls-from-file", &many],
    ));
    all.extend(peer(
        "lychee",
        20_000,
        "lychee",
        &[
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
        ],
    ));
    let aiohttp = python(&dir.join("gather.py"), AIOHTTP, "import aiohttp", &[&list(50_000), &at_once]);
    all.extend(aiohttp.map(|command| Candidate { name: "aiohttp, gather, semaphore", command, urls: 50_000 }));
    let downloads = dir.join("downloads").display().to_string();
    all.extend(peer(
        "aria2c `-i`",
        5_000,
        "aria2c",
        &["-q", "-j", &at_once, "-x", "16", "-d", &downloads, "--allow-overwrite=true", "-i", &list(5_000)],
    ));
    all
}

/// Where a program is, if it is installed.
fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// A script of Python, if python3 is installed and `wanted` runs, which imports what the script needs.
pub fn python(path: &Path, script: &str, wanted: &str, arguments: &[&str]) -> Option<Vec<String>> {
    let program = installed("python3")?;
    let asked = std::process::Command::new(&program).args(["-c", wanted]).output();
    asked.is_ok_and(|output| output.status.success()).then(|| {
        std::fs::write(path, script).expect("the script is written");
        let command = [program.as_path(), path].map(|path| path.display().to_string());
        command.into_iter().chain(arguments.iter().map(|argument| (*argument).to_owned())).collect()
    })
}

/// curl over these URLs, if it is installed; `config` becomes its list, as `-K` reads it.
pub fn curl(
    config: &Path,
    urls: impl Iterator<Item = String>,
    connections: usize,
    more: &[&str],
) -> Option<Vec<String>> {
    let program = installed("curl")?.display().to_string();
    let text: String = urls.map(|url| format!("url = \"{url}\"\noutput = \"/dev/null\"\n")).collect();
    std::fs::write(config, text).expect("the list is written");
    let (connections, config) = (connections.to_string(), config.display().to_string());
    let mut command =
        vec![&program, "--no-progress-meter", "--parallel", "--parallel-max", &connections, "-K", &config];
    command.extend(more);
    Some(command.into_iter().map(str::to_owned).collect())
}

/// curl over distinct URLs of the plain server.
pub fn curl_items(origin: SocketAddr, dir: &Path, urls: usize, connections: usize) -> Option<Vec<String>> {
    let items = (1..=urls).map(|n| format!("http://{origin}/item/{n}"));
    curl(&dir.join(format!("curl-{urls}.conf")), items, connections, &[])
}
