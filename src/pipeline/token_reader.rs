//! Token files: a service that reads them again while hosts wait for a new token, and the scheduler's end of it.
//!
//! In: which files are wanted. Out: the new generations, each once requests carry it. A file is read once a second at most,
//! whichever and however many hosts want it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::{EventKind, Events};
use crate::error::BoxError;
use crate::fetch::RefreshTokens;
use crate::item::TokenGeneration;
use crate::schedule::{Core, TokenWait};

/// From one look at a file to the next.
const READ_EVERY: Duration = Duration::from_secs(1);

/// The file of this number has new content.
pub(super) type Renewal = (usize, TokenGeneration);

/// Which files are to be read, and who reads them.
struct Wanted {
    files: BTreeSet<usize>,
    /// `None` while no file has a token.
    reader: Option<Arc<dyn RefreshTokens>>,
    /// The number of the configuration that numbers the files.
    configuration: u64,
}

/// The scheduler's end.
pub(super) struct TokenDesk {
    wanted: watch::Sender<Wanted>,
    /// With the number of their configuration.
    renewals: mpsc::Receiver<(u64, Renewal)>,
    /// The hosts that are known to wait.
    waits: Vec<TokenWait>,
}

/// The service's end.
pub(super) struct TokenReader {
    wanted: watch::Receiver<Wanted>,
    renewals: mpsc::Sender<(u64, Renewal)>,
}

/// Both ends.
pub(super) fn token_reader(reader: Option<Arc<dyn RefreshTokens>>) -> (TokenDesk, TokenReader) {
    let (wanted, is_wanted) = watch::channel(Wanted { files: BTreeSet::new(), reader, configuration: 0 });
    let (renewals, from_reader) = mpsc::channel(16);
    let desk = TokenDesk { wanted, renewals: from_reader, waits: Vec::new() };
    (desk, TokenReader { wanted: is_wanted, renewals })
}

impl TokenDesk {
    /// The next renewal; waits for ever once the service has ended.
    pub async fn next(&mut self) -> Renewal {
        loop {
            match self.renewals.recv().await {
                // Under another configuration the number may be that of another file.
                Some((configuration, _)) if configuration != self.wanted.borrow().configuration => {}
                Some((_, renewal)) => return renewal,
                None => std::future::pending().await,
            }
        }
    }

    /// Another configuration holds: its files are read by this one from now on.
    pub fn reconfigure(&mut self, reader: Option<Arc<dyn RefreshTokens>>) {
        self.wanted.send_modify(|known| {
            *known = Wanted { files: BTreeSet::new(), reader, configuration: known.configuration + 1 };
        });
    }

    /// Lets the service read what the hosts of the core want to be read, and says which begin and cease to wait.
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
        for TokenWait { host, files } in waits.iter().filter(|wait| !self.waits.contains(wait)) {
            let message = format!("{host} refuses its token: waiting for a new token of {host} ({files})");
            events.note(EventKind::Blocked, format!("{message}."));
            tracing::warn!(event = "token_wait", %host, "{message}");
        }
        for TokenWait { host, files } in self.waits.iter().filter(|wait| !waits.contains(wait)) {
            tracing::info!(event = "token_wait_over", %host, "the wait for a new token of {host} ({files}) is over");
            events.note(EventKind::Recovered, format!("The wait for a new token of {host} ({files}) is over."));
        }
        self.waits = waits;
    }
}

impl TokenReader {
    /// Reads files for as long as the scheduler is there.
    pub async fn run(mut self) -> Result<(), BoxError> {
        loop {
            let (files, reader, configuration) = match self.wanted.wait_for(|wanted| !wanted.files.is_empty()).await {
                Ok(wanted) => (wanted.files.clone(), wanted.reader.clone(), wanted.configuration),
                Err(_) => return Ok(()),
            };
            for (file, reader) in files.into_iter().filter_map(|file| Some((file, reader.as_ref()?))) {
                if let Some(generation) = reader.refresh(file).await
                    && self.renewals.send((configuration, (file, generation))).await.is_err()
                {
                    return Ok(());
                }
            }
            sleep(READ_EVERY).await;
        }
    }
}
