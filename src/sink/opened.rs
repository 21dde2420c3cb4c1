//! A sink between opening and starting. Recovery reads and completes the records of earlier runs in between.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::{BodyFormat, Encoder, Sink, Style};
use crate::disk::{Disk, Mark, OutputPosition, RegisterOutputFile};
use crate::error::BoxError;
use crate::output::{RotatingFile, SavedPosition, Tail};
use crate::ship::Shipper;
use crate::units::Secret;

/// The arguments for opening a sink.
pub struct Opening {
    /// The name of the sink; empty if it has none.
    pub name: Arc<str>,
    /// The settings that all sinks share.
    pub style: Style,
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The output position in the checkpoint.
    pub saved: SavedPosition,
    /// For sinks that ship records; `None` without a data directory.
    pub shipping: Option<Shipping>,
}

/// The dependencies of a sink that ships records to a remote receiver.
#[derive(Clone)]
pub struct Shipping {
    /// The directory that records are staged in.
    pub data_dir: PathBuf,
    /// Bytes to leave free on its disk.
    pub min_free: u64,
    /// The id of the data directory.
    pub state_id: Arc<str>,
    /// Makes the HTTP client.
    pub clients: Arc<dyn RemoteClients>,
}

/// Makes HTTP clients for remote receivers in the configuration.
pub trait RemoteClients: Send + Sync {
    /// A client for this URL only, through this proxy if given. It follows no redirects.
    ///
    /// # Errors
    /// When the client cannot be made.
    fn client(&self, url: &Url, proxy: Option<&Secret<String>>) -> Result<reqwest::Client, BoxError>;
}

/// An open sink, and a note for the operator.
pub struct OpenedSink {
    /// The name of the sink, or its kind if it has no name; empty until set.
    pub name: Arc<str>,
    /// A sentence for the operator.
    pub note: Option<String>,
    kind: Kind,
}

enum Kind {
    /// The output cannot be read again.
    Stream(Box<dyn Sink>),
    /// The output can be read again.
    File(Box<FileSink>),
}

/// A sink on an output.
pub(super) struct FileSink {
    /// The output.
    pub output: RotatingFile,
    /// The records after the last checkpoint.
    pub tail: Tail,
    pub encoder: Encoder,
    pub start: Start,
    pub lifetime: Lifetime,
}

/// How long the records of an output stay there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// They are never deleted.
    Kept,
    /// Until they are delivered.
    UntilShipped,
}

/// Starts the writer thread.
pub(super) type Start = Box<dyn FnOnce(RotatingFile, Encoder) -> io::Result<StartedSink> + Send>;

/// A running sink, and its shipper if the records go to a remote receiver.
pub struct StartedSink {
    /// The sink.
    pub sink: Box<dyn Sink>,
    /// Delivers the staged records.
    pub shipper: Option<Shipper>,
}

impl<S: Sink + 'static> From<S> for StartedSink {
    fn from(sink: S) -> Self {
        Self { sink: Box::new(sink), shipper: None }
    }
}

/// The order in which sinks get records, so that a kill loses as few as possible. Streams come first because they
/// cannot be read again, then outputs with bodies because records without bodies can be derived from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The output cannot be read again.
    Stream,
    /// Records contain bodies.
    Bodies,
    /// Records contain no bodies.
    NoBodies,
}

impl OpenedSink {
    /// A sink whose output cannot be read again.
    pub fn stream(sink: Box<dyn Sink>) -> Self {
        Self { name: "".into(), note: None, kind: Kind::Stream(sink) }
    }

    pub(super) fn file(sink: FileSink, note: Option<String>) -> Self {
        Self { name: "".into(), note, kind: Kind::File(Box::new(sink)) }
    }

    pub(super) fn as_file(&mut self) -> Option<&mut FileSink> {
        match &mut self.kind {
            Kind::Stream(_) => None,
            Kind::File(sink) => Some(sink),
        }
    }

    /// The rank of this sink.
    pub fn rank(&self) -> Rank {
        match &self.kind {
            Kind::Stream(_) => Rank::Stream,
            Kind::File(sink) if sink.encoder.body() == BodyFormat::None => Rank::NoBodies,
            Kind::File(_) => Rank::Bodies,
        }
    }

    /// The output and the encoder of a file sink, for callers that write without its thread.
    pub fn core(&mut self) -> Option<(&mut RotatingFile, &Encoder)> {
        self.as_file().map(|sink| (&mut sink.output, &sink.encoder))
    }

    /// Like `core`, for sinks that keep their records.
    pub fn kept_core(&mut self) -> Option<(&mut RotatingFile, &Encoder)> {
        let kept = self.as_file().filter(|sink| sink.lifetime == Lifetime::Kept);
        kept.map(|sink| (&mut sink.output, &sink.encoder))
    }

    /// The sink's name, and the positions from which its output lists the lines done after the last checkpoint; `None`
    /// for a stream.
    pub fn log(&mut self) -> Option<(Arc<str>, Vec<OutputPosition>)> {
        self.as_file().map(|sink| (sink.output.name(), sink.tail.positions()))
    }

    /// The end of the output; `None` for a stream.
    ///
    /// # Errors
    /// When the output cannot be flushed.
    pub fn mark(&mut self) -> io::Result<Option<Mark>> {
        self.as_file().map(|sink| sink.output.flush()).transpose()
    }

    /// Gives unfinished files of a killed process their final names. The checkpoint already covers their records.
    ///
    /// # Errors
    /// When a file cannot be renamed.
    pub fn finish_old_files(&mut self) -> io::Result<()> {
        self.as_file().map_or(Ok(()), |sink| sink.output.finish_old_files())
    }

    /// Starts the sink. Finishes old files first if recovery did not, because there was no checkpoint. With a registry,
    /// the output registers files that are moved or replaced.
    ///
    /// # Errors
    /// When a file cannot be renamed, or the writer thread cannot start.
    pub fn start(self, registry: Option<Arc<dyn RegisterOutputFile>>) -> io::Result<StartedSink> {
        match self.kind {
            Kind::Stream(sink) => Ok(StartedSink { sink, shipper: None }),
            Kind::File(sink) => {
                let FileSink { mut output, encoder, start, .. } = *sink;
                output.finish_old_files()?;
                if let Some(registry) = registry {
                    output.register_in(registry);
                }
                start(output, encoder)
            }
        }
    }
}
