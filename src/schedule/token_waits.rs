//! Reports of the hosts that wait for a new token (`token.rs`), and of their lines.

use std::sync::Arc;

use super::Core;
use super::host_table::Host;
use super::reports::HeldLines;

/// A host that waits for a new token, or waited for one in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenWait {
    /// Its name.
    pub host: Arc<str>,
    /// Whether it still waits.
    pub state: TokenWaitState,
    /// Whether it accepted its token before it refused it.
    pub accepted_before: bool,
    /// The files that the token can come from, for a sentence.
    pub files: String,
}

/// The state of a wait for a new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenWaitState {
    /// All lines of the host wait.
    Waiting,
    /// No new token came within `retry.refresh_wait`.
    GivenUp,
}

impl Core {
    /// The hosts that wait for a new token, or waited for one in vain.
    pub fn token_waits(&self) -> Vec<TokenWait> {
        let hosts = self.tokens.hosts.iter().filter_map(|id| self.hosts.get(*id));
        let wait = |host: &Host| {
            let token = host.token.as_ref()?;
            let state = match () {
                () if token.is_waited_for() => TokenWaitState::Waiting,
                () if token.is_given_up() => TokenWaitState::GivenUp,
                () => return None,
            };
            let (accepted_before, files) = (token.was_accepted(), self.token_files(host));
            Some(TokenWait { host: Arc::clone(&host.name), state, accepted_before, files })
        };
        hosts.filter_map(wait).collect()
    }

    /// The waiting lines of hosts that wait for a new token, or waited for one in vain; `None` if there are none.
    pub fn lines_without_token(&self) -> Option<HeldLines> {
        let hosts = self.tokens.hosts.iter().filter_map(|id| self.hosts.get(*id));
        HeldLines::of(
            hosts.filter(|host| host.lacks_token() || host.token.as_ref().is_some_and(|token| token.is_waited_for())),
        )
    }
}
