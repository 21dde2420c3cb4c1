//! A pipe or device as an output: what was written to it can be neither read again nor taken back.

use std::fs::File;
use std::io::{self, Write};

use futures::FutureExt;
use futures::future::BoxFuture;
use rustix::event::{PollFd, PollFlags, poll};

use super::writer::{Put, WriterThread};
use super::{Encoder, Sink};
use crate::error::BoxError;
use crate::item::Record;
use crate::resource_limits::explain;

/// The sink of a stream.
pub(super) struct StreamSink {
    /// The stream, for messages.
    name: String,
    writer: WriterThread<Stream>,
    encoder: Encoder,
}

struct Stream(File);

impl StreamSink {
    pub fn start(name: String, file: File, encoder: Encoder) -> Box<dyn Sink> {
        Box::new(Self { name, writer: WriterThread::new(Stream(file)), encoder })
    }
}

impl Sink for StreamSink {
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
        async move {
            let name = &self.name;
            self.writer.write(batch, &self.encoder).await.map_err(|error| match error.kind() {
                io::ErrorKind::BrokenPipe => format!("{name} was closed by its reader").into(),
                _ => format!("cannot write to {name}: {error}").into(),
            })
        }
        .boxed()
    }
}

impl Put for Stream {
    /// Like `Write::write_all`, and waits for a pipe that someone made non-blocking.
    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.0.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => bytes = &bytes[n..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let _ = poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None);
                }
                Err(error) => return Err(explain(error)),
            }
        }
        Ok(())
    }
}
