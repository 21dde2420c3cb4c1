//! A stand-in for the sink: one file of lines.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fetchd::disk::{Disk, DiskFile, Mark, Mode, Position, Site, append_all};
use fetchd::error::BoxError;
use fetchd::item::Record;
use fetchd::sink::{Body, Encoder, Style, Wanted};

#[derive(Debug)]
pub struct Output {
    name: Arc<str>,
    file: Arc<dyn DiskFile>,
    length: u64,
    encoder: Encoder,
    wanted: Wanted,
    found: BTreeMap<u64, String>,
}

pub fn open(disk: &Arc<dyn Disk>, sinks: &BTreeMap<String, Position>) -> Result<Vec<Output>, BoxError> {
    let mut outputs = Vec::new();
    for (name, wanted) in [("all", Wanted::All), ("bad", Wanted::NotOk)] {
        let file = disk.open(Path::new(&format!("/out/{name}.jsonl")), Mode::Append)?;
        if !file.try_lock()? {
            return Err("locked".into());
        }
        disk.sync_dir(Path::new("/out"), Site::OutputName)?;
        let mut text = vec![0; file.length()? as usize];
        file.read_at(&mut text, 0)?;
        let from = sinks.get(name).map_or(0, |position| position.length) as usize;
        if from > text.len() {
            return Err(format!("{name} has {} of {from} bytes", text.len()).into());
        }
        let (mut found, mut end) = (BTreeMap::new(), from);
        while let Some(length) = text[end..].iter().position(|byte| *byte == b'\n') {
            let Ok(line) = serde_json::from_slice::<serde_json::Value>(&text[end..end + length]) else { break };
            found.insert(line["seq"].as_u64().ok_or("no seq")?, line["outcome"].to_string());
            end += length + 1;
        }
        if end < text.len() {
            file.set_len(end as u64)?;
            file.sync(Site::OutputCut)?;
        }
        let style = Style { body: Body::None, epoch: jiff::Timestamp::UNIX_EPOCH };
        let encoder = Encoder::new(style, wanted, None);
        outputs.push(Output { name: name.into(), file, length: end as u64, encoder, wanted, found });
    }
    Ok(outputs)
}

/// What was found; each line is in each output then.
pub fn recover(outputs: &mut [Output]) -> Result<Vec<u64>, BoxError> {
    let all: BTreeMap<_, _> = outputs.iter().flat_map(|output| output.found.clone()).collect();
    for output in outputs {
        for (seq, outcome) in &all {
            let is_wanted = output.wanted == Wanted::All || outcome != "\"ok\"";
            if is_wanted && !output.found.contains_key(seq) {
                let mut record =
                    super::lines::record(*seq, &fetchd::item::Text::Whole(super::lines::text(*seq).into()), 0);
                record.outcome =
                    if outcome == "\"ok\"" { fetchd::item::Outcome::Ok } else { fetchd::item::Outcome::HttpError };
                output.write(&[record])?;
            }
        }
    }
    Ok(all.into_keys().collect())
}

impl Output {
    pub fn write(&mut self, batch: &[Record]) -> Result<(), BoxError> {
        let mut buffer = Vec::new();
        for record in batch {
            self.encoder.encode(record, &mut buffer)?;
        }
        append_all(self.file.as_ref(), &buffer, self.length)?;
        self.length += buffer.len() as u64;
        Ok(())
    }

    pub fn flush(&mut self) -> Option<Mark> {
        let position = Position { file: self.file.id(), number: 0, length: self.length };
        Some(Mark { sink: Arc::clone(&self.name), position, file: Arc::clone(&self.file) })
    }
}
