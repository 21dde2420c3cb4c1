//! A pipe or device as an output: records written to it can be neither read again nor removed.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use futures::FutureExt;
use futures::future::BoxFuture;
use rustix::event::{PollFd, PollFlags, poll};

use super::writer::{Put, WriterThread};
use super::{Encoder, Sink, Written};
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

    fn written(&self) -> Written {
        self.writer.written()
    }
}

impl Put for Stream {
    /// Like `Write::write_all`, but also waits for a non-blocking pipe. After an error, a regular file ends with a
    /// whole record.
    fn put(&mut self, text: &[u8]) -> io::Result<()> {
        let mut rest = text;
        while !rest.is_empty() {
            match self.0.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => rest = &rest[n..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let _ = poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None);
                }
                Err(error) => {
                    // In a pipe the partial record stays.
                    let _ = self.cut_torn(&text[..text.len() - rest.len()]);
                    return Err(explain(error));
                }
            }
        }
        Ok(())
    }
}

impl Stream {
    /// Truncates the partial record at the end of `written`, unless another program has appended to the file.
    fn cut_torn(&mut self, written: &[u8]) -> io::Result<()> {
        let torn = written.len() - memchr::memrchr(b'\n', written).map_or(0, |end| end + 1);
        let metadata = self.0.metadata()?;
        let end = self.0.stream_position()?;
        if torn > 0 && metadata.is_file() && metadata.len() == end {
            let whole = end - torn as u64;
            self.0.set_len(whole)?;
            // The offset is shared with other holders of the descriptor.
            self.0.seek(SeekFrom::Start(whole))?;
        }
        Ok(())
    }
}
