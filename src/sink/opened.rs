//! A sink between being opened and being started: what earlier runs left in it is read, and completed, in between.

use std::io;
use std::sync::Arc;

use super::jsonl::{Open, RotatingFile};
use super::{Body, Encoder, Sink, Style};
use crate::disk::{Disk, Mark, OutputPosition};

/// What a sink needs to be opened.
#[derive(Debug)]
pub struct Opening {
    /// Its name; empty when it has none.
    pub name: Arc<str>,
    /// What all sinks have in common.
    pub style: Style,
    /// Where files are.
    pub disk: Arc<dyn Disk>,
    /// What is remembered of it.
    pub kept: SavedPosition,
}

/// What a checkpoint remembers of a sink.
#[derive(Clone, Debug)]
pub enum SavedPosition {
    /// There is no checkpoint.
    No,
    /// Nothing yet.
    New,
    /// The files of its output are accounted for until here.
    Until(Vec<OutputPosition>),
}

/// An open sink, and what there is to say about it.
pub struct Opened {
    /// A sentence for the person who started the run.
    pub note: Option<String>,
    kind: Kind,
}

enum Kind {
    /// What it takes cannot be read again.
    Stream(Box<dyn Sink>),
    /// It can.
    File(Box<Open>),
}

/// The order in which sinks get records, so that no crash loses any: what cannot be read again comes first, and then what
/// shows most, as the others' records can be made of its.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// What it takes cannot be read again.
    Stream,
    /// It shows every byte of a body.
    Bytes,
    /// It shows JSON without its white space.
    Json,
    /// It shows nothing of a body.
    Nothing,
}

impl Opened {
    /// A sink whose output cannot be read again.
    pub fn stream(sink: Box<dyn Sink>) -> Self {
        Self { note: None, kind: Kind::Stream(sink) }
    }

    pub(super) fn file(open: Open, note: Option<String>) -> Self {
        Self { note, kind: Kind::File(Box::new(open)) }
    }

    pub(super) fn as_file(&mut self) -> Option<&mut Open> {
        match &mut self.kind {
            Kind::Stream(_) => None,
            Kind::File(open) => Some(open),
        }
    }

    /// Its place among the sinks.
    pub fn rank(&self) -> Rank {
        let Kind::File(open) = &self.kind else { return Rank::Stream };
        match open.encoder.body() {
            Body::Text | Body::Base64 => Rank::Bytes,
            Body::Auto => Rank::Json,
            Body::None => Rank::Nothing,
        }
    }

    /// Its core, and who makes text for it, for those who do without its thread; only where it is a file.
    pub fn core(&mut self) -> Option<(&mut RotatingFile, &Encoder)> {
        self.as_file().map(|open| (&mut open.output, &open.encoder))
    }

    /// From where on its output is the log of what was done after the last checkpoint, by its name; nothing where that
    /// cannot be read again.
    pub fn log(&mut self) -> Option<(Arc<str>, Vec<OutputPosition>)> {
        self.as_file().map(|open| (open.output.name(), open.tail.positions()))
    }

    /// Where its output ends; nothing where that cannot be read again.
    ///
    /// # Errors
    /// What the system says.
    pub fn mark(&mut self) -> io::Result<Option<Mark>> {
        self.as_file().map(|open| open.output.flush()).transpose()
    }

    /// Starts it. What was found in it is remembered by now.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(self) -> io::Result<Box<dyn Sink>> {
        match self.kind {
            Kind::Stream(sink) => Ok(sink),
            Kind::File(open) => open.start(),
        }
    }
}
