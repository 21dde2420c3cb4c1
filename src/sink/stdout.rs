//! The sink `stdout`: records as JSON lines on standard output, unbuffered between batches.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl};
use serde::{Deserialize, Serialize};

use super::stream::StreamSink;
use super::{BodyFormat, Content, Encoder, OpenedSink, Opening, SinkConfig, Target, Wanted};
use crate::diagnostics::Section;
use crate::error::BoxError;
use crate::item::Needs;

/// `[sink.NAME.stdout]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stdout {
    /// The records to write.
    pub records: Wanted,
    /// The format of bodies; `output.body` by default.
    pub body: Option<BodyFormat>,
}

impl SinkConfig for Stdout {
    fn check(&self, _section: &mut Section<'_>) {}

    fn target(&self) -> Target<'_> {
        Target::Stdout
    }

    fn needs(&self, output: &Content) -> Needs {
        output.needs(self.body)
    }

    fn open(&self, opening: Opening) -> Result<OpenedSink, BoxError> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        if may_be_closed(&file) {
            tracing::warn!(
                "standard output is closed, or is /dev/null: the records on it are lost; write them to a file with -o FILE"
            );
        }
        let encoder = Encoder::new(opening.style, self.records, self.body);
        Ok(OpenedSink::stream(StreamSink::start("standard output".to_owned(), file, encoder)))
    }
}

/// Before `main`, Rust replaces a closed standard output by /dev/null, open for reading and writing. A shell opens an
/// intended `>/dev/null` for writing only.
fn may_be_closed(file: &File) -> bool {
    let is_null = file.metadata().is_ok_and(|found| {
        Path::new("/dev/null").metadata().is_ok_and(|null| (found.dev(), found.ino()) == (null.dev(), null.ino()))
    });
    is_null && fcntl_getfl(file).is_ok_and(|flags| flags.contains(OFlags::RDWR))
}
