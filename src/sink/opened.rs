//! A sink between being opened and being started: what earlier runs left in it is read, and completed, in between.

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

/// What a sink needs to be opened.
pub struct Opening {
    /// Its name; empty when it has none.
    pub name: Arc<str>,
    /// What all sinks have in common.
    pub style: Style,
    /// Where files are.
    pub disk: Arc<dyn Disk>,
    /// What is remembered of its output.
    pub saved: SavedPosition,
    /// What a sink needs that ships its records; nothing without a data directory.
    pub shipping: Option<Shipping>,
}

/// What a sink needs that ships its records to a remote place.
#[derive(Clone)]
pub struct Shipping {
    /// Where they wait.
    pub data_dir: PathBuf,
    /// Bytes to be left free on its disk.
    pub min_free: u64,
    /// The name of the data directory.
    pub state_id: Arc<str>,
    /// Makes its client.
    pub clients: Arc<dyn RemoteClients>,
}

/// Makes HTTP clients for remote places that the configuration names.
pub trait RemoteClients: Send + Sync {
    /// A client for this URL alone, through this proxy if there is one. It follows no redirect.
    ///
    /// # Errors
    /// When the client cannot be made.
    fn client(&self, url: &Url, proxy: Option<&Secret<String>>) -> Result<reqwest::Client, BoxError>;
}

/// An open sink, and what there is to say about it.
pub struct OpenedSink {
    /// Its name, or its kind where the configuration gives it none; empty until it is set.
    pub name: Arc<str>,
    /// A sentence for the person who started the run.
    pub note: Option<String>,
    kind: Kind,
}

enum Kind {
    /// What it takes cannot be read again.
    Stream(Box<dyn Sink>),
    /// It can.
    File(Box<FileSink>),
}

/// A sink on an output.
pub(super) struct FileSink {
    /// Where records go.
    pub output: RotatingFile,
    /// What came after the last checkpoint.
    pub tail: Tail,
    pub encoder: Encoder,
    pub start: Start,
    pub lifetime: Lifetime,
}

/// How long the records of an output stay there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// Until somebody takes them.
    Kept,
    /// Until they have arrived elsewhere.
    UntilShipped,
}

/// Starts the thread that writes.
pub(super) type Start = Box<dyn FnOnce(RotatingFile, Encoder) -> io::Result<StartedSink> + Send>;

/// A sink that takes records, and the service that ships them, where they go to a remote place.
pub struct StartedSink {
    /// Takes records.
    pub sink: Box<dyn Sink>,
    /// Ships them.
    pub shipper: Option<Shipper>,
}

impl<S: Sink + 'static> From<S> for StartedSink {
    fn from(sink: S) -> Self {
        Self { sink: Box::new(sink), shipper: None }
    }
}

/// The order in which sinks get records, so that a kill costs as little as possible: what cannot be read again comes first,
/// and then what shows bodies, as the records of those that do not can be made of its.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// What it takes cannot be read again.
    Stream,
    /// It shows bodies.
    Bodies,
    /// It does not.
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

    /// Its place among the sinks.
    pub fn rank(&self) -> Rank {
        match &self.kind {
            Kind::Stream(_) => Rank::Stream,
            Kind::File(sink) if sink.encoder.body() == BodyFormat::None => Rank::NoBodies,
            Kind::File(_) => Rank::Bodies,
        }
    }

    /// Its core, and the encoder of its records, for those who do without its thread; only where it is a file.
    pub fn core(&mut self) -> Option<(&mut RotatingFile, &Encoder)> {
        self.as_file().map(|sink| (&mut sink.output, &sink.encoder))
    }

    /// The same, where its records stay.
    pub fn kept_core(&mut self) -> Option<(&mut RotatingFile, &Encoder)> {
        let kept = self.as_file().filter(|sink| sink.lifetime == Lifetime::Kept);
        kept.map(|sink| (&mut sink.output, &sink.encoder))
    }

    /// From where on its output is the log of what was done after the last checkpoint, by its name; nothing where that
    /// cannot be read again.
    pub fn log(&mut self) -> Option<(Arc<str>, Vec<OutputPosition>)> {
        self.as_file().map(|sink| (sink.output.name(), sink.tail.positions()))
    }

    /// Where its output ends; nothing where that cannot be read again.
    ///
    /// # Errors
    /// What the system says.
    pub fn mark(&mut self) -> io::Result<Option<Mark>> {
        self.as_file().map(|sink| sink.output.flush()).transpose()
    }

    /// Gives files that a killed process could not finish their final names. What was found in them is remembered by now.
    ///
    /// # Errors
    /// When a file cannot be renamed.
    pub fn finish_old_files(&mut self) -> io::Result<()> {
        self.as_file().map_or(Ok(()), |sink| sink.output.finish_old_files())
    }

    /// Starts it, and finishes old files if that was not done before: without a checkpoint there is no recovery. With one,
    /// files to which others lead the output are registered there.
    ///
    /// # Errors
    /// When a file cannot be renamed, or the thread that writes cannot begin.
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
