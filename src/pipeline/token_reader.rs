//! Token files: a service reads them again while hosts wait for a new token; here are both ends of its channels.
//!
//! In: the files to read. Out: new generations, each once requests carry it, and why a file contains no token. A file is
//! read once a second at most, for any number of hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::{EventKind, Events};
use crate::error::BoxError;
use crate::fetch::RefreshTokens;
use crate::item::Refreshed;
use crate::schedule::{Core, TokenWait, TokenWaitState};

/// The interval at which a file is read.
const READ_EVERY: Duration = Duration::from_secs(1);

/// The number of a file, and its content.
pub(super) type FileReport = (usize, Refreshed);

/// The files to read, and their reader.
struct Wanted {
    files: BTreeSet<usize>,
    /// `None` without token files.
    reader: Option<Arc<dyn RefreshTokens>>,
    /// The number of the configuration; the numbers of files are valid within it.
    configuration: u64,
}

/// The scheduler's end of the channels.
pub(super) struct TokenDesk {
    wanted: watch::Sender<Wanted>,
    /// Reports with the number of their configuration.
    reports: mpsc::Receiver<(u64, FileReport)>,
    /// The waiting hosts as of the last report.
    waits: Vec<TokenWait>,
}

/// The service's end of the channels.
pub(super) struct TokenReader {
    wanted: watch::Receiver<Wanted>,
    reports: mpsc::Sender<(u64, FileReport)>,
}

/// Creates both ends.
pub(super) fn token_reader(reader: Option<Arc<dyn RefreshTokens>>) -> (TokenDesk, TokenReader) {
    let (wanted, is_wanted) = watch::channel(Wanted { files: BTreeSet::new(), reader, configuration: 0 });
    let (reports, from_reader) = mpsc::channel(16);
    let desk = TokenDesk { wanted, reports: from_reader, waits: Vec::new() };
    (desk, TokenReader { wanted: is_wanted, reports })
}

impl TokenDesk {
    /// The next report; never resolves once the service has ended.
    pub async fn next(&mut self) -> FileReport {
        loop {
            match self.reports.recv().await {
                // In another configuration the number may belong to another file.
                Some((configuration, _)) if configuration != self.wanted.borrow().configuration => {}
                Some((_, report)) => return report,
                None => std::future::pending().await,
            }
        }
    }

    /// Passes a report on to the core.
    pub fn note(&self, core: &mut Core, file: usize, refreshed: Refreshed, now: Duration) {
        match refreshed {
            Refreshed::Renewed(generation) => core.renew_token(file, generation, now),
            Refreshed::Same => core.note_token_file(file, None),
            Refreshed::Unusable(why) => core.note_token_file(file, Some(why)),
        }
    }

    /// Replaces the reader after a reload of the configuration.
    pub fn reconfigure(&mut self, reader: Option<Arc<dyn RefreshTokens>>) {
        self.wanted.send_modify(|known| {
            *known = Wanted { files: BTreeSet::new(), reader, configuration: known.configuration + 1 };
        });
    }

    /// Tells the service which files the core's hosts wait for, and reports hosts that begin or cease to wait, or wait in
    /// vain.
    pub fn follow(&mut self, core: &mut Core, events: &Events) {
        let wanted = core.token_files_wanted();
        if wanted.is_empty() && self.waits.is_empty() && self.wanted.borrow().files.is_empty() {
            return;
        }
        self.wanted.send_if_modified(|known| {
            let is_new = known.files != wanted;
            known.files = wanted;
            is_new
        });
        let waits = core.token_waits();
        if waits == self.waits {
            return;
        }
        let of = |waits: &[TokenWait], host: &str| waits.iter().find(|wait| &*wait.host == host).map(|wait| wait.state);
        for wait in waits.iter().filter(|wait| !self.waits.contains(wait)) {
            match (of(&self.waits, &wait.host), wait.state) {
                (before, now) if before == Some(now) => report_files(wait, events),
                (_, TokenWaitState::Waiting) => report_begin(wait, events),
                (_, TokenWaitState::GivenUp) => report_gave_up(wait, events),
            }
        }
        for was in self.waits.iter().filter(|was| of(&waits, &was.host).is_none()) {
            report_end(&was.host, events);
        }
        self.waits = waits;
    }
}

fn report_begin(TokenWait { host, accepted_before, files, .. }: &TokenWait, events: &Events) {
    let which = if *accepted_before { ", which it accepted before" } else { "" };
    let message = format!("{host} refused its token{which}; waiting for a new token of {host} in {files}");
    events.note(EventKind::Blocked, format!("{message}."));
    tracing::warn!(event = "token_wait", %host, "{message}");
}

fn report_files(TokenWait { host, files, .. }: &TokenWait, events: &Events) {
    let message = format!("still waiting for a new token of {host} in {files}");
    events.note(EventKind::Blocked, format!("{message}."));
    tracing::warn!(event = "token_file", %host, "{message}");
}

fn report_gave_up(TokenWait { host, files, .. }: &TokenWait, events: &Events) {
    let message = format!(
        "{host} got no new token in {files} within retry.refresh_wait: its refused lines are sent a last time; lines of \
         durable sources that were not sent wait until there is one, in this run or the next"
    );
    events.note(EventKind::Blocked, format!("{message}."));
    tracing::warn!(event = "token_wait_gave_up", %host, "{message}");
}

fn report_end(host: &str, events: &Events) {
    let message = format!("the lines of {host} no longer wait for a new token");
    events.note(EventKind::Recovered, format!("{message}."));
    tracing::info!(event = "token_wait_over", host, "{message}");
}

impl TokenReader {
    /// Reads files until the scheduler ends.
    pub async fn run(mut self) -> Result<(), BoxError> {
        let mut last = BTreeMap::new();
        loop {
            let (files, reader, configuration) = match self.wanted.wait_for(|wanted| !wanted.files.is_empty()).await {
                Ok(wanted) => (wanted.files.clone(), wanted.reader.clone(), wanted.configuration),
                Err(_) => return Ok(()),
            };
            last.retain(|(of, _), _| *of == configuration);
            for (file, reader) in files.into_iter().filter_map(|file| Some((file, reader.as_ref()?))) {
                let refreshed = reader.refresh(file).await;
                let before = last.insert((configuration, file), refreshed.clone()).unwrap_or(Refreshed::Same);
                if refreshed != before && self.reports.send((configuration, (file, refreshed))).await.is_err() {
                    return Ok(());
                }
            }
            sleep(READ_EVERY).await;
        }
    }
}
