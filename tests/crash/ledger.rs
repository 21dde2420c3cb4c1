//! What the world outside knows: what the producer was told is accepted, and which records somebody took away.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fetchd::disk::{Disk, Mode};
use fetchd::error::BoxError;
use flate2::bufread::GzDecoder;
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::disk::SimDisk;
use super::lines::{SOURCE, STRAY, text};
use super::machine::{Machine, Naming, Number};
use super::world::JOURNAL;

/// Where the outputs are.
pub const OUTPUTS: &str = "/out";

/// Whether the program writes to other files by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum IsReleased {
    No,
    Yes,
}

#[derive(Clone, Debug, Default, Hash)]
pub struct Ledger {
    /// Runs so far.
    pub life: u64,
    /// Lines up to this one were accepted.
    accepted: u64,
    /// Lines up to this one may have been.
    offered: u64,
    /// What was taken away, by its name.
    taken: Vec<(String, Vec<u8>)>,
    /// Outputs that got other names, and whether the program knows by now.
    moved: BTreeMap<String, IsReleased>,
    /// Records of a source that is not remembered, by their outputs, which nothing may take away any more.
    strays: BTreeSet<(&'static str, u64)>,
}

/// The names of the outputs.
const SINKS: [&str; 2] = ["all", "bad"];

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
        self.released();
        Ok(())
    }

    pub fn offered(&mut self, lines: u64) {
        self.offered = self.accepted + lines;
    }

    pub fn accepted(&mut self, through: u64) -> Result<(), BoxError> {
        self.accepted = through;
        if through == self.offered { Ok(()) } else { Err(format!("{through} is not {}", self.offered).into()) }
    }

    /// Somebody gives the outputs that have but one name another one, unless the program does not know of the last time.
    pub fn moves(&mut self, machine: &mut Machine) {
        if self.moved.values().any(|is_released| *is_released == IsReleased::No) {
            return;
        }
        let dir = outputs(machine);
        for name in ["all.jsonl", "bad.jsonl"] {
            if let Some(number) = machine.dir_mut(dir).seen.get(name).copied() {
                let other = format!("{name}.{}", self.moved.len());
                machine.trace.push(format!("-- {name} becomes {other}"));
                machine.dir_mut(dir).change(Naming::Rename(name.into(), other.clone(), number));
                self.moved.insert(other, IsReleased::No);
            }
        }
    }

    /// The program has gone on in other files.
    pub fn released(&mut self) {
        self.moved.values_mut().for_each(|is_released| *is_released = IsReleased::Yes);
    }

    /// Somebody takes away all outputs that are finished, for good.
    pub fn takes(&mut self, machine: &mut Machine) {
        let number = outputs(machine);
        let names = machine.dir_mut(number).seen.clone();
        let finished: Vec<_> = names.into_iter().filter(|(name, _)| self.is_finished(name)).collect();
        for (name, file) in finished {
            machine.trace.push(format!("-- {name} is taken away"));
            self.taken.push((name.clone(), machine.file(file).seen.clone()));
            machine.dir_mut(number).change(Naming::Remove(name));
            machine.dir_mut(number).keep();
        }
    }

    fn is_finished(&self, name: &str) -> bool {
        let is_numbered = SINKS.iter().any(|sink| name.starts_with(&format!("{sink}-")));
        is_numbered && !name.ends_with(".part") || self.moved.get(name) == Some(&IsReleased::Yes)
    }

    /// The power went: what is there now of the source that is not remembered was synced, and stays.
    pub fn secures_strays(&mut self, machine: &Machine) {
        for (name, file) in &machine.dir(outputs(machine)).expect("it is a directory").seen {
            let Some(sink) = SINKS.into_iter().find(|sink| name.starts_with(sink)) else { continue };
            let text = whole_frames(name, &machine.file(*file).seen);
            let records =
                text.split_inclusive(|byte| *byte == b'\n').map_while(|line| serde_json::from_slice(line).ok());
            let strays = records.filter(|record: &Value| record["source"] == STRAY);
            self.strays.extend(strays.map(|record| (sink, number(&record))));
        }
    }

    /// Everything is done: each line has its one record wherever it is wanted.
    pub fn check(&self, disk: &SimDisk) -> Result<(), BoxError> {
        let mut outputs = Vec::new();
        for sink in SINKS {
            let records = self.records(disk, sink)?;
            let mut strays = self.strays.iter().filter(|(of, _)| *of == sink);
            if let Some((_, seq)) = strays.find(|(_, seq)| !records.contains_key(&(STRAY.into(), *seq))) {
                return Err(format!("the stray record {seq} is not in {sink} any more").into());
            }
            let own = records.into_iter().filter(|((source, _), _)| source != STRAY);
            outputs.push(own.map(|((_, seq), record)| (seq, record)).collect::<BTreeMap<_, _>>());
        }
        let [all, bad] = outputs.try_into().expect("there are two");
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

    /// The records in all files of an output, by their sources and lines.
    fn records(&self, disk: &SimDisk, sink: &str) -> Result<BTreeMap<(String, u64), Value>, BoxError> {
        let mut files = self.taken.clone();
        for path in disk.list(Path::new(OUTPUTS))? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            files.push((name.to_owned(), read(disk, &path)?));
        }
        let mut text = Vec::new();
        for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with(sink)) {
            text.extend(unpack(name, bytes).map_err(|error| format!("{name}: {error}"))?);
        }
        let mut records = BTreeMap::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let show = String::from_utf8_lossy(line);
            let record: Value =
                serde_json::from_slice(line).map_err(|error| format!("{sink} has {show:?}: {error}"))?;
            let source = record["source"].as_str().unwrap_or_default().to_owned();
            if let Some(first) = records.insert((source, number(&record)), record) {
                return Err(format!("{sink} has line {} of {} twice", number(&first), first["source"]).into());
            }
        }
        Ok(records)
    }
}

pub fn unpack(name: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    match name.trim_end_matches(".part").rsplit('.').next() {
        Some("gz") => drop(MultiGzDecoder::new(bytes).read_to_end(&mut text)?),
        Some("zst") => text = zstd::decode_all(bytes)?,
        _ => text = bytes.to_vec(),
    }
    Ok(text)
}

/// The text of a file up to where it is torn.
fn whole_frames(name: &str, mut bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    while !bytes.is_empty() {
        let whole = text.len();
        let read = match name.trim_end_matches(".part").rsplit('.').next() {
            Some("gz") => GzDecoder::new(&mut bytes).read_to_end(&mut text),
            Some("zst") => zstd::Decoder::with_buffer(&mut bytes).and_then(|d| d.single_frame().read_to_end(&mut text)),
            _ => std::mem::take(&mut bytes).read_to_end(&mut text),
        };
        if read.is_err() {
            text.truncate(whole);
            break;
        }
    }
    text
}

fn number(record: &Value) -> u64 {
    record["seq"].as_u64().unwrap_or_default()
}

pub fn read(disk: &SimDisk, path: &Path) -> Result<Vec<u8>, BoxError> {
    let file = disk.open(path, Mode::Read)?;
    let mut bytes = vec![0; usize::try_from(file.length()?)?];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn outputs(machine: &Machine) -> Number {
    machine.lookup(Path::new(OUTPUTS)).expect("it was there at first")
}

/// Nothing is kept but outputs, and of the journal its last segment.
pub fn check_leftovers(disk: &SimDisk) -> Result<(), BoxError> {
    let is_output = |path: &PathBuf| SINKS.iter().any(|sink| path.to_string_lossy().contains(sink));
    if let Some(path) = disk.list(Path::new(OUTPUTS))?.iter().find(|path| !is_output(path)) {
        return Err(format!("{} is still there", path.display()).into());
    }
    let segments = disk.list(Path::new(JOURNAL))?;
    if segments.len() == 1 { Ok(()) } else { Err(format!("the journal still has {segments:?}").into()) }
}
