//! The sink `stdout`: records as JSON lines on standard output, each batch written before the next is made.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::stream::Stream;
use super::writer::Writer;
use super::{Body, Encoder, Opened, Sink, Style, Wanted};
use crate::error::BoxError;
use crate::item::Record;

/// `[sink.NAME.stdout]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stdout {
    /// Which records.
    pub records: Wanted,
    /// How bodies are shown; by default as `output.body` says.
    pub body: Option<Body>,
}

impl Stdout {
    /// Opens standard output.
    ///
    /// # Errors
    /// When it is closed.
    pub fn open(&self, style: Style) -> Result<Opened, BoxError> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let encoder = Encoder::new(style, self.records, self.body);
        Ok(Opened::stream(Box::new(Open { writer: Writer::new(Stream(file)), encoder })))
    }
}

struct Open {
    writer: Writer<Stream>,
    encoder: Encoder,
}

impl Sink for Open {
    fn write<'a>(&'a mut self, batch: &'a [Record]) -> BoxFuture<'a, Result<(), BoxError>> {
        async move {
            self.writer.write(batch, &self.encoder).await.map_err(|error| match error.kind() {
                io::ErrorKind::BrokenPipe => "standard output was closed by its reader".into(),
                _ => format!("cannot write to standard output: {error}").into(),
            })
        }
        .boxed()
    }
}
