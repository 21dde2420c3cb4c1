//! The last part of the tour: a run like `fetchd -c FILE` with an API, and the output of `fetchd ctl why` for its slow
//! host. With `--serve` the run continues until Ctrl-C.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{MissedTickBehavior, interval};

use super::{AfterTour, args, bold, say};
use crate::cli::RunArgs;
use crate::error::BoxError;
use crate::{ctl, daemon};

/// The number of lines of the slow host: enough to wait for a second.
const LINES: usize = 60;

/// The interval at which a run with `--serve` gets more lines, so that the slow host is busy most of the time.
const EVERY: Duration = Duration::from_secs(2);

/// A temporary directory with the files of the run.
struct Place(TempDir);

impl Place {
    /// # Errors
    /// When the files cannot be written.
    fn new(hosts: &[SocketAddr], after: AfterTour) -> Result<Self, BoxError> {
        let place = Self(tempfile::tempdir()?);
        place.feed(hosts)?;
        let (urls, socket) = (place.path("urls.txt"), place.socket());
        let config = format!(
            "[source.urls.file]\npaths = ['{}']\nfollow = {}\n[sink.results.jsonl]\npath = '/dev/null'\n[api]\nsocket = '{}'\n",
            urls.display(),
            after == AfterTour::Serve,
            socket.display(),
        );
        fs::write(place.path("fetchd.toml"), config)?;
        Ok(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn socket(&self) -> PathBuf {
        self.path("api/api.sock")
    }

    /// Appends the lines of the slow host, and one line of each host.
    fn feed(&self, hosts: &[SocketAddr]) -> io::Result<()> {
        let slow = hosts.last().into_iter().cycle().take(LINES);
        let lines = slow.chain(hosts).zip(1..).map(|(host, n)| format!("http://{host}/items/{n}\n"));
        let mut file = OpenOptions::new().create(true).append(true).open(self.path("urls.txt"))?;
        file.write_all(lines.collect::<String>().as_bytes())
    }
}

/// Runs this part of the tour.
pub(super) async fn run(hosts: &[SocketAddr], after: AfterTour) -> Result<(), BoxError> {
    let place = Place::new(hosts, after)?;
    let slow = hosts.last().map(|host| host.ip().to_string()).unwrap_or_default();
    let args = RunArgs { config: Some(place.path("fetchd.toml")), quiet: true, ..args(None) };
    let mut run = Box::pin(daemon::run(&args));
    let why = tokio::select! {
        why = ctl::why_it_waits(place.socket(), &slow) => why?,
        code = &mut run => return Err(format!("the run ended with {code} before it was asked").into()),
    };
    say(&format!("  {}\n{why}", bold(&format!("fetchd ctl why {slow}"))))?;
    if after == AfterTour::Serve {
        say(&invitation(&place.socket(), &slow))?;
        tokio::select! {
            fed = feed(&place, hosts) => fed?,
            _ = &mut run => return Ok(()),
        }
    }
    run.await;
    Ok(())
}

/// Feeds lines to a run with `--serve`.
async fn feed(place: &Place, hosts: &[SocketAddr]) -> io::Result<()> {
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        place.feed(hosts)?;
    }
}

fn invitation(socket: &Path, slow: &str) -> String {
    let verbs =
        ["status --watch".to_owned(), "hosts".to_owned(), format!("pause {slow} --for 1m"), format!("why {slow}")];
    let line = |verb: &String| format!("  {}\n", bold(&format!("fetchd ctl --socket {} {verb}", socket.display())));
    let lines: String = verbs.iter().map(line).collect();
    format!("\nIt runs until Ctrl-C; its API listens at {}. In another terminal:\n{lines}", socket.display())
}
