//! A run of the program on a simulated disk: its synchronous cores, called in the order in which the pipeline calls them.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use fetchd::daemon::{self, NewRound};
use fetchd::disk::{Disk, Mark};
use fetchd::error::BoxError;
use fetchd::item::{DoneRanges, Identity, Text};
use fetchd::journal::{Batch, ReadBatch, Reader, Writer};
use fetchd::rounds::ListEntry;
use fetchd::sink::EndReason;
use fetchd::state::{Checkpoint, DataDir, SourceState};

use super::disk::SimDisk;
use super::ledger::Ledger;
use super::lines::{SOURCE, record, stray, text};
use super::outputs::Outputs;
use super::workload::{Act, Layout, Workload};

/// Where state is kept. At first there is not even what is above it.
pub const STATE: &str = "/var/state";

/// The journal of the only source.
pub const JOURNAL: &str = "/var/state/journal/in";

/// How long a segment of the journal may grow.
const SEGMENT: u64 = 300;

pub struct Process {
    disk: SimDisk,
    layout: Layout,
    state: DataDir,
    checkpoint: Checkpoint,
    outputs: Outputs,
    writer: Writer,
    reader: Reader,
    /// Lines that were read and are not done.
    waiting: VecDeque<(u64, Text)>,
    /// Those of earlier runs that are done.
    settled: DoneRanges,
    random: fastrand::Rng,
    life: u64,
    /// Records of the source that is not remembered.
    strays: u64,
    /// Lines of the open round that are not done, with their ordinals.
    of_round: VecDeque<(u64, u64)>,
}

impl Process {
    /// A start, as `daemon::open` does it, up to the source.
    pub fn start(disk: &SimDisk, workload: &Workload, ledger: &mut Ledger) -> Result<Self, BoxError> {
        Self::start_round(disk, workload, ledger, None)
    }

    /// The same of a run that begins a round, unless one is open.
    pub fn start_round(
        disk: &SimDisk,
        workload: &Workload,
        ledger: &mut Ledger,
        round: Option<&NewRound>,
    ) -> Result<Self, BoxError> {
        let sim = disk.clone();
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        // A new state gets a random name: the same one each time, as runs are compared.
        fastrand::seed(workload.seed);
        let mut state = DataDir::open(Arc::clone(&disk), Path::new(STATE))?;
        let mut outputs = Outputs::open(&disk, workload.layout.in_life(ledger.life), &state.checkpoint)?;
        let files = BTreeMap::from([(String::new(), DoneRanges::default())]);
        let new = SourceState { files, ..SourceState::new("stdin") };
        state.checkpoint.sources.entry(SOURCE.into()).or_insert(new);
        daemon::recover(&mut state, &mut outputs.0)?;
        if let Some(round) = round {
            daemon::begin_round(round, &mut state, &mut outputs.0, &std::env::temp_dir())?;
        }
        let of_round = lines_of_round(&state)?;
        let checkpoint = state.checkpoint.clone();
        let settled = checkpoint.sources[SOURCE].files[""].clone();
        let writer = Writer::open(&disk, Path::new(JOURNAL), settled.last(), SEGMENT)?.writer;
        ledger.started(writer.index().next() - 1)?;
        let reader = Reader::new(Arc::clone(writer.index()), settled.through() + 1);
        let random = fastrand::Rng::with_seed(workload.seed ^ ledger.life);
        let (waiting, life) = (VecDeque::new(), ledger.life);
        Ok(Self {
            disk: sim,
            layout: workload.layout,
            state,
            checkpoint,
            outputs,
            writer,
            reader,
            waiting,
            settled,
            random,
            life,
            strays: 0,
            of_round,
        })
    }

    pub fn act(&mut self, act: Act, ledger: &mut Ledger) -> Result<(), BoxError> {
        match act {
            Act::Accept(lines) => self.accept(lines, ledger),
            Act::Fetch(lines) => {
                for seq in self.fetch(lines)? {
                    self.settle(seq);
                }
                Ok(())
            }
            Act::Commit(lines) => self.commit(lines),
            Act::Move => {
                if self.layout == Layout::One {
                    ledger.moves(&mut self.disk.machine());
                }
                Ok(())
            }
            Act::Switch => {
                self.commit(0)?;
                self.outputs.end_file(EndReason::Rotation)?;
                self.commit(0)?;
                ledger.released();
                Ok(())
            }
            Act::Take => {
                ledger.takes(&mut self.disk.machine());
                Ok(())
            }
        }
    }

    /// Goes on until all is done, as at the end of the input.
    pub fn finish(&mut self, ledger: &mut Ledger) -> Result<(), BoxError> {
        self.accept(1, ledger)?;
        while self.fetch(1).map(|done| done.into_iter().map(|seq| self.settle(seq)).count())? > 0 {}
        self.commit(0)?;
        self.outputs.end_file(EndReason::Shutdown)
    }

    fn accept(&mut self, lines: u64, ledger: &mut Ledger) -> Result<(), BoxError> {
        let first = self.writer.index().next();
        let mut batch = Batch::default();
        for seq in first..first + lines {
            batch.push(&Text::Whole(text(seq).into()));
        }
        ledger.offered(lines);
        self.writer.append(&batch)?;
        ledger.accepted(self.writer.index().next() - 1)
    }

    /// Fetches some lines that wait, in any order, and writes their records.
    fn fetch(&mut self, lines: u64) -> Result<Vec<u64>, BoxError> {
        while (self.waiting.len() as u64) < lines + 2
            && let ReadBatch::Lines(read) = self.reader.take()?
        {
            self.waiting.extend(read.into_iter().filter(|(seq, _)| !self.settled.contains(*seq)));
        }
        let count = self.waiting.len().min(usize::try_from(lines)?);
        let mut records = Vec::new();
        for _ in 0..count {
            let which = self.random.usize(..self.waiting.len());
            let (seq, text) = self.waiting.remove(which).ok_or("nothing waits")?;
            records.push(Box::new(record(seq, &text, self.life, &self.checkpoint.state_id)));
        }
        let done = records.iter().map(|record| record.id.seq).collect();
        if count > 0 && self.random.bool() {
            self.strays += 1;
            records.push(Box::new(stray(self.life * 100 + self.strays)));
        }
        self.outputs.write(&records)?;
        Ok(done)
    }

    /// Whether a round is open.
    pub fn is_in_round(&self) -> bool {
        self.checkpoint.round.is_some()
    }

    /// Fetches the next line of the open round; says whether there was one.
    pub fn fetch_of_round(&mut self) -> Result<bool, BoxError> {
        let (Some(round), Some((ordinal, seq))) = (&mut self.checkpoint.round, self.of_round.pop_front()) else {
            return Ok(false);
        };
        let mut record = record(seq, &Text::Whole(text(seq).into()), self.life, &self.checkpoint.state_id);
        record.id = Identity { round: round.number, ..record.id };
        round.done.insert(ordinal, None);
        self.outputs.write(&[Box::new(record)])?;
        Ok(true)
    }

    fn settle(&mut self, seq: u64) {
        if let Some(source) = self.checkpoint.sources.get_mut(SOURCE) {
            source.files.entry(String::new()).or_default().insert(seq, None);
        }
    }

    /// The outputs go on while a checkpoint is written.
    pub fn commit(&mut self, meanwhile: u64) -> Result<(), BoxError> {
        let marks = self.outputs.marks()?;
        self.checkpoint.end_finished_round(self.state.lines_of_round());
        remember(&mut self.checkpoint, &marks);
        let checkpoint = self.checkpoint.clone();
        for seq in self.fetch(meanwhile)? {
            self.settle(seq);
        }
        self.state.commit(&checkpoint, &marks.into_values().collect::<Vec<_>>())?;
        let through = checkpoint.sources.get(SOURCE).and_then(|source| source.files.get("")).map(DoneRanges::through);
        Ok(self.writer.index().trim_through(through.unwrap_or(0))?)
    }
}

/// What the source of the open round yields: ordinals and numbers.
fn lines_of_round(state: &DataDir) -> Result<VecDeque<(u64, u64)>, BoxError> {
    let mut lines = VecDeque::new();
    let (Some(list), Some(round)) = (&state.list, &state.checkpoint.round) else { return Ok(lines) };
    let mut reader = list.read_from(1)?;
    while let Some(line) = reader.read()? {
        let entry = ListEntry::of(&line)?;
        if entry.input.get() != serde_json::to_string(&text(entry.seq))? {
            return Err(format!("the list has another line: {entry:?}").into());
        }
        if !round.done.contains(entry.ordinal) {
            lines.push_back((entry.ordinal, entry.seq));
        }
    }
    Ok(lines)
}

fn remember(checkpoint: &mut Checkpoint, marks: &BTreeMap<String, Mark>) {
    checkpoint.sinks = marks.iter().map(|(name, mark)| (name.clone(), vec![mark.position.clone()])).collect();
}
