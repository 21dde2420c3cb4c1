//! Token files: a service that reads them again while hosts wait for a new token, and the scheduler's end of it.
//!
//! In: which files are wanted. Out: the new generations, each once requests carry it. A file is read once a second at most,
//! whichever and however many hosts want it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::error::BoxError;
use crate::fetch::RefreshTokens;
use crate::item::TokenGeneration;
use crate::schedule::{Core, TokenWait};

/// From one look at a file to the next.
const READ_EVERY: Duration = Duration::from_secs(1);

/// The file of this number has new content.
pub(super) type Renewal = (usize, TokenGeneration);

/// The scheduler's end.
pub(super) struct TokenDesk {
    wanted: watch::Sender<BTreeSet<usize>>,
    renewals: mpsc::Receiver<Renewal>,
    /// The hosts that are known to wait.
    waits: Vec<TokenWait>,
}

/// The service's end.
pub(super) struct TokenReader {
    tokens: Arc<dyn RefreshTokens>,
    wanted: watch::Receiver<BTreeSet<usize>>,
    renewals: mpsc::Sender<Renewal>,
}

/// Both ends.
pub(super) fn token_reader(tokens: Arc<dyn RefreshTokens>) -> (TokenDesk, TokenReader) {
    let (wanted, is_wanted) = watch::channel(BTreeSet::new());
    let (renewals, from_reader) = mpsc::channel(16);
    let desk = TokenDesk { wanted, renewals: from_reader, waits: Vec::new() };
    (desk, TokenReader { tokens, wanted: is_wanted, renewals })
}

impl TokenDesk {
    /// The next renewal; waits for ever once the service has ended.
    pub async fn next(&mut self) -> Renewal {
        match self.renewals.recv().await {
            Some(renewal) => renewal,
            None => std::future::pending().await,
        }
    }

    /// Lets the service read what the hosts of the core want to be read, and says which begin and cease to wait.
    pub fn follow(&mut self, core: &mut Core) {
        let wanted = core.token_files_wanted();
        self.wanted.send_if_modified(|known| {
            let is_new = *known != wanted;
            *known = wanted;
            is_new
        });
        let waits = core.token_waits();
        if waits == self.waits {
            return;
        }
        for TokenWait { host, files } in waits.iter().filter(|wait| !self.waits.contains(wait)) {
            tracing::warn!(event = "token_wait", %host, "{host} refuses its token: waiting for a new token of {host} ({files})");
        }
        for TokenWait { host, files } in self.waits.iter().filter(|wait| !waits.contains(wait)) {
            tracing::info!(event = "token_wait_over", %host, "the wait for a new token of {host} ({files}) is over");
        }
        self.waits = waits;
    }
}

impl TokenReader {
    /// Reads files for as long as the scheduler is there.
    pub async fn run(mut self) -> Result<(), BoxError> {
        loop {
            let wanted = match self.wanted.wait_for(|wanted| !wanted.is_empty()).await {
                Ok(wanted) => wanted.clone(),
                Err(_) => return Ok(()),
            };
            for file in wanted {
                if let Some(generation) = self.tokens.refresh(file).await
                    && self.renewals.send((file, generation)).await.is_err()
                {
                    return Ok(());
                }
            }
            sleep(READ_EVERY).await;
        }
    }
}
