//! The outputs of a run: two files, or rows of files, of which the second has less of everything.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use fetchd::disk::{Disk, Mark};
use fetchd::error::BoxError;
use fetchd::item::Record;
use fetchd::output::{Compress, Fsync, SavedPosition};
use fetchd::sink::{BodyFormat, Content, EndReason, Jsonl, OpenedSink, Opening, SinkConfig, Style, Wanted};
use fetchd::state::Checkpoint;
use fetchd::units::Size;

use super::ledger::OUTPUTS;
use super::workload::Layout;

pub struct Outputs(pub Vec<OpenedSink>);

impl Outputs {
    pub fn open(disk: &Arc<dyn Disk>, layout: Layout, checkpoint: &Checkpoint) -> Result<Self, BoxError> {
        let mut outputs = Vec::new();
        for (name, records, body) in [("all", Wanted::All, BodyFormat::Text), ("bad", Wanted::NotOk, BodyFormat::None)]
        {
            let (rotate_size, compress) = match (layout, name) {
                (Layout::One, _) => (None, Compress::None),
                (Layout::Numbered | Layout::Changing, _) => (Some(Size::mib(1)), Compress::None),
                (Layout::Packed, "all") => (Some(Size::mib(1)), Compress::Zstd),
                (Layout::Packed, _) => (Some(Size::mib(1)), Compress::Gzip),
            };
            let path = PathBuf::from(format!("{OUTPUTS}/{name}.jsonl"));
            let jsonl =
                Jsonl { records, body: Some(body), rotate_size, compress, fsync: Fsync::Commit, ..Jsonl::new(path) };
            let opening = Opening {
                name: name.into(),
                style: Style { content: Content { body, ..Content::default() }, epoch: jiff::Timestamp::UNIX_EPOCH },
                disk: Arc::clone(disk),
                saved: checkpoint
                    .sinks
                    .get(name)
                    .map_or(SavedPosition::New, |positions| SavedPosition::Until(positions.clone())),
                shipping: None,
            };
            outputs.push(jsonl.open(opening)?);
        }
        outputs.sort_by_key(OpenedSink::rank);
        Ok(Self(outputs))
    }

    pub fn write(&mut self, batch: &[Box<Record>]) -> Result<(), BoxError> {
        for (output, encoder) in self.0.iter_mut().filter_map(OpenedSink::core) {
            let mut text = Vec::new();
            for record in batch {
                encoder.encode(record, &mut text)?;
            }
            output.append(&text)?;
        }
        Ok(())
    }

    pub fn marks(&mut self) -> Result<BTreeMap<String, Mark>, BoxError> {
        let mut marks = BTreeMap::new();
        for output in &mut self.0 {
            let mark = output.mark()?.ok_or("an output has no end")?;
            marks.insert(mark.sink.to_string(), mark);
        }
        Ok(marks)
    }

    pub fn end_file(&mut self, end: EndReason) -> Result<(), BoxError> {
        for (output, _) in self.0.iter_mut().filter_map(OpenedSink::core) {
            match end {
                EndReason::Rotation => output.rotate()?,
                EndReason::Shutdown => output.finish()?,
            }
        }
        Ok(())
    }
}
