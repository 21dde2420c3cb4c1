//! The sink `tab`: a row for each record, its fields between tabs, in a file that is begun anew.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use fetchd::diagnostics::Section;
use fetchd::error::{AtPath, BoxError};
use fetchd::item::{BodyNeed, Needs, Received, Record};
use fetchd::sink::{Content, OpenedSink, Opening, Sink, SinkConfig, Target};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde::{Deserialize, Serialize};

/// `[sink.NAME.tab]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tab {
    /// The file.
    pub path: PathBuf,
}

impl SinkConfig for Tab {
    fn check(&self, _section: &mut Section<'_>) {}

    fn target(&self) -> Target<'_> {
        Target::File(&self.path)
    }

    fn needs(&self, _output: &Content) -> Needs {
        Needs { body: BodyNeed::Decoded, ..Needs::default() }
    }

    fn open(&self, _opening: Opening) -> Result<OpenedSink, BoxError> {
        let file = File::create(&self.path).map_err(|error| AtPath::new(&self.path, error))?;
        Ok(OpenedSink::stream(Box::new(Rows(file))))
    }
}

struct Rows(File);

impl Sink for Rows {
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
        let written = batch.iter().try_for_each(|record| {
            let Received::Response(response) = &record.received else { return Ok(()) };
            let (status, body) = (response.head.status.as_u16(), String::from_utf8_lossy(&response.body.data));
            writeln!(self.0, "{}\t{status}\t{}\t{body}", record.id.seq, response.body.bytes)
        });
        ready(written.map_err(BoxError::from)).boxed()
    }
}
