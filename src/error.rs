//! The errors that end a run early, and their exit codes.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::units::counted;

/// An error of a component, kept whole so that its chain can be shown.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An I/O error with the path of its file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct AtPath {
    path: PathBuf,
    source: io::Error,
}

impl AtPath {
    /// Adds the path to an error.
    pub fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_owned(), source }
    }
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something could not be opened, created or locked before the first request.
    #[error("{what}: {source}")]
    Open {
        /// Its name in the configuration or its path.
        what: String,
        /// The cause.
        source: BoxError,
    },
    /// A stage of the pipeline failed; the others were cancelled.
    #[error("the stage `{name}` failed: {}", Chain(source.as_ref()))]
    Stage {
        /// The stage.
        name: String,
        /// The cause.
        source: BoxError,
    },
    /// A stage of the pipeline panicked; the others were cancelled.
    #[error("the stage `{name}` panicked: {message}")]
    Panic {
        /// The stage.
        name: String,
        /// The panic message.
        message: String,
    },
    /// The process reached its limit of CPU time; the run shut down gracefully.
    #[error("stopped: the limit of {seconds} s of CPU time is reached (`ulimit -t`, or LimitCPU= in systemd)")]
    CpuTime {
        /// The limit in seconds.
        seconds: u64,
    },
    /// A second signal stopped the run at once.
    #[error("stopped by the second signal; {} without a record", counted(*unfinished, "accepted line"))]
    Interrupted {
        /// Accepted lines without a record.
        unfinished: u64,
    },
}

impl Error {
    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Open { .. } => 2,
            Self::Stage { .. } | Self::Panic { .. } | Self::CpuTime { .. } => 1,
            Self::Interrupted { .. } => 130,
        }
    }
}

/// Displays an error and its sources, each once, separated by colons.
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl<'a> Chain<'a> {
    /// The chain of a boxed error.
    pub fn of(error: &'a BoxError) -> Self {
        Chain(error.as_ref())
    }
}

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            let text = error.to_string();
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            next = error.source();
        }
        Ok(())
    }
}

/// The message of a panic.
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// The innermost error of type `E` in the chain, which includes errors that an `io::Error` wraps.
pub(crate) fn find<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref).and_then(|inner| find::<E>(inner));
    within.or_else(|| error.source().and_then(find::<E>)).or_else(|| error.downcast_ref::<E>())
}
