//! What crawls: fetchd, and what a user would take instead, all with the same list.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::origin::{Origin, REQUESTS};
use super::pages::Coding;
use crate::{list_of, peers};

/// Requests at once, and to one host.
const AT_ONCE: usize = 128;
const PER_HOST: usize = 2;

/// The tutorial, with limits: `gather` with a semaphore, a line of JSON for each page.
const AIOHTTP: &str = r#"
import asyncio, aiohttp, json, ssl, sys

async def fetch(session, semaphore, url):
    async with semaphore:
        async with session.get(url) as response:
            print(json.dumps({"url": url, "status": response.status, "body": await response.text()}))

async def main():
    list, at_once, per_host, ca = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    semaphore = asyncio.Semaphore(at_once)
    trust = ssl.create_default_context(cafile=ca)
    connector = aiohttp.TCPConnector(limit=at_once, limit_per_host=per_host, ssl=trust)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(fetch(session, semaphore, line.strip()) for line in open(list)))

asyncio.run(main())
"#;

/// Pages of one coding, as many of one host as of another.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    pub coding: Coding,
    pub hosts: usize,
    pub pages: usize,
}

impl Mix {
    /// Connections that the server forces on a client that opens as many as it may: each ends after some requests, and each
    /// host begins with its full number.
    pub fn forced(self) -> f64 {
        self.pages as f64 / REQUESTS as f64 + (self.hosts * PER_HOST) as f64
    }
}

/// Who crawls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crawler {
    Fetchd,
    FetchdWithoutBodies,
    FetchdAtARate,
    Curl,
    Aiohttp,
}

impl Crawler {
    pub const ALL: [Self; 5] =
        [Self::Fetchd, Self::FetchdWithoutBodies, Self::FetchdAtARate, Self::Curl, Self::Aiohttp];

    /// Those that keep bodies and do not wait for a rate.
    pub const WITH_BODIES: [Self; 3] = [Self::Fetchd, Self::Curl, Self::Aiohttp];

    pub fn name(self) -> &'static str {
        match self {
            Self::Fetchd => "fetchd",
            Self::FetchdWithoutBodies => "fetchd `--body none`",
            Self::FetchdAtARate => "fetchd `--host-rate 1/s`",
            Self::Curl => "curl `--parallel --compressed`",
            Self::Aiohttp => "aiohttp, gather, semaphore",
        }
    }
}

/// What the commands have in common: a server, and a directory with the certificate to trust and the lists.
pub struct Setting<'a> {
    dir: &'a Path,
    port: u16,
    ca: String,
    config: String,
}

impl<'a> Setting<'a> {
    pub fn new(dir: &'a Path, origin: &Origin) -> Self {
        let [ca, config] = ["ca.pem", "crawl.toml"].map(|name| dir.join(name).display().to_string());
        std::fs::write(&ca, &origin.ca).expect("the certificate is written");
        std::fs::write(&config, format!("[tls]\nca_file = \"{ca}\"\n")).expect("the configuration is written");
        Self { dir, port: origin.port, ca, config }
    }

    /// The command of a crawler, if it is installed and decodes the coding.
    pub fn command(&self, crawler: Crawler, mix: Mix) -> Option<Vec<String>> {
        let list = self.list(mix);
        match crawler {
            Crawler::Fetchd => Some(self.fetchd(&list, AT_ONCE, &[])),
            Crawler::FetchdWithoutBodies => Some(self.fetchd(&list, AT_ONCE, &["--body", "none"])),
            Crawler::FetchdAtARate => Some(self.fetchd(&list, AT_ONCE, &["--host-rate", "1/s"])),
            Crawler::Curl => self.curl(mix),
            Crawler::Aiohttp => self.aiohttp(&list, mix.coding),
        }
    }

    /// Writes the list of a mix.
    pub fn list(&self, mix: Mix) -> PathBuf {
        list_of(self.dir, &format!("{}.txt", name(mix)), self.urls(mix))
    }

    /// fetchd over a list of addresses of the server.
    pub fn fetchd(&self, list: &Path, at_once: usize, more: &[&str]) -> Vec<String> {
        let (at_once, per_host, list) = (at_once.to_string(), PER_HOST.to_string(), list.display().to_string());
        let mut command = vec![env!("CARGO_BIN_EXE_fetchd"), "-q", "-c", &self.config, "--allow", "127.0.0.0/8"];
        command.extend(["-i", &list, "--max-concurrency", &at_once, "--host-concurrency", &per_host]);
        command.extend(more);
        command.into_iter().map(str::to_owned).collect()
    }

    fn curl(&self, mix: Mix) -> Option<Vec<String>> {
        let config = self.dir.join(format!("{}.curl", name(mix)));
        peers::curl(&config, self.urls(mix), AT_ONCE, &["--compressed", "--cacert", &self.ca])
    }

    fn aiohttp(&self, list: &Path, coding: Coding) -> Option<Vec<String>> {
        let decodes = match coding {
            Coding::Gzip | Coding::Identity => "",
            Coding::Brotli => ".HAS_BROTLI",
            Coding::Zstd => ".HAS_ZSTD",
        };
        let wanted = format!("import aiohttp.compression_utils as it; assert it{decodes}");
        let (at_once, per_host) = (AT_ONCE.to_string(), PER_HOST.to_string());
        let list = list.display().to_string();
        let arguments = [list.as_str(), &at_once, &per_host, &self.ca];
        peers::python(&self.dir.join("crawl.py"), AIOHTTP, &wanted, &arguments)
    }

    /// The pages in an order that is always the same, in which hosts follow each other at random as in the frontier of a crawler.
    fn urls(&self, mix: Mix) -> impl Iterator<Item = String> {
        let (Mix { coding, hosts, pages }, port) = (mix, self.port);
        let mut order: Vec<usize> = (0..pages).collect();
        fastrand::Rng::with_seed(0).shuffle(&mut order);
        order.into_iter().map(move |n| format!("https://{}:{port}/{}/{n}", host(n % hosts), coding.name()))
    }
}

/// What the files of a mix are called.
fn name(mix: Mix) -> String {
    format!("{}-{}-{}", mix.coding.name(), mix.hosts, mix.pages)
}

fn host(n: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 3, 0, 1).to_bits() + n as u32)
}
