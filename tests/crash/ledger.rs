//! What the world outside knows: what the producer was told is accepted, and which records somebody took away.

use std::collections::BTreeMap;
use std::path::Path;

use fetchd::disk::{Disk, Mode};
use fetchd::error::BoxError;
use serde_json::Value;

use super::disk::SimDisk;
use super::lines::{SOURCE, text};
use super::world::JOURNAL;

/// Where the outputs are.
pub const OUTPUTS: &str = "/out";

#[derive(Clone, Debug, Default, Hash)]
pub struct Ledger {
    /// Runs so far.
    pub life: u64,
    /// Lines up to this one were accepted.
    accepted: u64,
    /// Lines up to this one may have been.
    offered: u64,
    /// What was taken away of each output.
    taken: BTreeMap<String, Vec<u8>>,
}

impl Ledger {
    /// A run began, and says up to which line it has accepted them.
    pub fn started(&mut self, accepted: u64) -> Result<(), BoxError> {
        self.life += 1;
        if accepted < self.accepted {
            return Err(format!("lines were accepted up to {}, and now up to {accepted}", self.accepted).into());
        }
        if accepted > self.offered {
            return Err(format!("line {accepted} is accepted, and only {} were offered", self.offered).into());
        }
        (self.accepted, self.offered) = (accepted, accepted);
        Ok(())
    }

    pub fn offered(&mut self, lines: u64) {
        self.offered = self.accepted + lines;
    }

    pub fn accepted(&mut self, through: u64) -> Result<(), BoxError> {
        self.accepted = through;
        if through == self.offered { Ok(()) } else { Err(format!("{through} is not {}", self.offered).into()) }
    }

    /// Everything is done: each line has its one record wherever it is wanted.
    pub fn check(&self, disk: &SimDisk) -> Result<(), BoxError> {
        let (all, bad) = (self.records(disk, "all")?, self.records(disk, "bad")?);
        for seq in 1..=self.accepted {
            let record = all.get(&seq).ok_or_else(|| format!("line {seq} has no record"))?;
            if record["input"].as_str() != Some(&text(seq)) || record["source"].as_str() != Some(SOURCE) {
                return Err(format!("line {seq} has the record of another: {record}").into());
            }
            if (record["outcome"] == "ok") == bad.contains_key(&seq) {
                return Err(
                    format!("line {seq} is {} in one output and otherwise in the other", record["outcome"]).into()
                );
            }
        }
        if let Some(seq) = all.keys().chain(bad.keys()).find(|seq| !(1..=self.accepted).contains(seq)) {
            return Err(format!("line {seq} has a record and was not accepted").into());
        }
        if let Some(record) = bad.values().find(|record| record["outcome"] != all[&number(record)]["outcome"]) {
            return Err(format!("this record has another outcome elsewhere: {record}").into());
        }
        Ok(())
    }

    /// The records in all files of an output, by their lines.
    fn records(&self, disk: &SimDisk, sink: &str) -> Result<BTreeMap<u64, Value>, BoxError> {
        let mut text = self.taken.get(sink).cloned().unwrap_or_default();
        for path in disk.list(Path::new(OUTPUTS))? {
            if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(sink)) {
                text.extend(read(disk, &path)?);
            }
        }
        let mut records = BTreeMap::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let show = String::from_utf8_lossy(line);
            let record: Value =
                serde_json::from_slice(line).map_err(|error| format!("{sink} has {show:?}: {error}"))?;
            if let Some(first) = records.insert(number(&record), record) {
                return Err(format!("{sink} has line {} twice", number(&first)).into());
            }
        }
        Ok(records)
    }
}

fn number(record: &Value) -> u64 {
    record["seq"].as_u64().unwrap_or_default()
}

fn read(disk: &SimDisk, path: &Path) -> Result<Vec<u8>, BoxError> {
    let file = disk.open(path, Mode::Read)?;
    let mut bytes = vec![0; usize::try_from(file.length()?)?];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Nothing is kept in the journal but its last segment.
pub fn check_journal(disk: &SimDisk) -> Result<(), BoxError> {
    let segments = disk.list(Path::new(JOURNAL))?;
    if segments.len() == 1 { Ok(()) } else { Err(format!("the journal still has {segments:?}").into()) }
}
