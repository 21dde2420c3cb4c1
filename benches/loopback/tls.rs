//! HTTPS: a list over connections that are kept, and one over a connection for each URL.

use std::path::Path;

use crate::table::{Candidate, print};
use crate::{CONNECTIONS, bare, command, list, origin};

/// URLs over connections that are kept, and over one each.
const KEPT: usize = 100_000;
const ONE_EACH: usize = 10_000;

/// Prints what both cost, by the threads that fetchd's attempts have.
pub fn tls(dir: &Path) {
    let ca = dir.join("ca.pem");
    let origin = origin::start_tls(&ca);
    let trust = format!("[tls]\nca_file = \"{}\"\n", ca.display());
    let [one, two] = [1, 2].map(|threads| {
        let path = dir.join(format!("{threads}.toml"));
        std::fs::write(&path, format!("{trust}[fetch]\nthreads = {threads}\n")).expect("a configuration");
        path.display().to_string()
    });
    for (title, path, urls) in
        [("HTTPS, connections are kept", "item", KEPT), ("HTTPS, a connection for each URL", "once", ONE_EACH)]
    {
        let urls_of = list(dir, &format!("https://{origin}/{path}"), urls);
        let shown = urls_of.display().to_string();
        let fetchd = |config: &str| command(&urls_of, CONNECTIONS, &["-c", config]);
        let bare = bare::command(bare::REQWEST, &shown, CONNECTIONS, Some(&ca.display().to_string()));
        let candidates = [
            Candidate { name: "bare reqwest loop, two threads", command: bare, urls },
            Candidate { name: "fetchd", command: fetchd(&one), urls },
            Candidate { name: "fetchd, `fetch.threads = 2`", command: fetchd(&two), urls },
        ];
        print(title, &candidates);
    }
}
