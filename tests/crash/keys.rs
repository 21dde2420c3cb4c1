//! Batches with keys, as a producer sends them that repeats every request until it is answered, and some that were answered:
//! whatever a crash leaves, each is accepted once, and its answer stays the same.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use fetchd::disk::{Disk, SyncPoint};
use fetchd::error::BoxError;
use fetchd::item::Text;
use fetchd::journal::{Batch, BatchKey, ReadBatch, Reader, Writer};

use super::cut::cuts;
use super::disk::SimDisk;
use super::machine::Machine;
use super::sync_points::Fault;

/// The journal.
const JOURNAL: &str = "/var/state/journal/in";

/// How long a segment may grow.
const SEGMENT: u64 = 900;

/// Requests of a producer.
const REQUESTS: u64 = 7;

/// What the world outside knows.
#[derive(Clone, Debug, Default)]
struct Producer {
    seed: u64,
    /// What requests were answered.
    answers: BTreeMap<u64, RangeInclusive<u64>>,
    /// Lines up to this one are done, as the checkpoint says.
    done: u64,
}

fn lines_of(request: u64) -> u64 {
    1 + request % 3
}

fn text(request: u64, line: u64) -> String {
    format!("http://h.test/{request}/{line}?{}", "x".repeat(if request.is_multiple_of(2) { 250 } else { 20 }))
}

fn batch(request: u64) -> Batch {
    let mut batch = Batch::default();
    (0..lines_of(request)).for_each(|line| batch.push(&Text::Whole(text(request, line).into())));
    batch.set_key(BatchKey { key: format!("key-{request}").into(), digest: [request as u8; 32], at: 1_800_000_000 });
    batch
}

impl Producer {
    /// A run of the program, in which every request is sent, in groups that wait together.
    fn run(&mut self, disk: &SimDisk, life: u64) -> Result<(), BoxError> {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let mut random = fastrand::Rng::with_seed(self.seed ^ (life << 32));
        let mut writer = Writer::open(&disk, Path::new(JOURNAL), self.done, SEGMENT)?.writer;
        let mut next = 1;
        while next <= REQUESTS {
            let end = (next + random.u64(1..5)).min(REQUESTS + 1);
            self.send(next..end, &mut writer)?;
            next = end;
            if random.bool() {
                self.done = random.u64(self.done..writer.index().next());
                writer.index().trim_through(self.done)?;
            }
            if random.u8(..4) == 0 {
                writer.roll()?;
            }
        }
        self.check(&writer)
    }

    /// Sends requests that are accepted together, by one sync.
    fn send(&mut self, requests: std::ops::Range<u64>, writer: &mut Writer) -> Result<(), BoxError> {
        let (mut new, mut first) = (Vec::new(), writer.index().next());
        for request in requests {
            let batch = batch(request);
            let key = batch.key().ok_or("it has a key")?;
            match writer.keys().find(&key.key, key.at).cloned() {
                Some(known) => self.answer(request, known.lines)?,
                None => new.push((request, batch)),
            }
        }
        let (numbers, batches): (Vec<_>, Vec<_>) = new.into_iter().unzip();
        writer.append_group(&batches)?;
        for request in numbers {
            let lines = first..=first + lines_of(request) - 1;
            first = lines.end() + 1;
            self.answer(request, lines)?;
        }
        Ok(())
    }

    fn answer(&mut self, request: u64, lines: RangeInclusive<u64>) -> Result<(), BoxError> {
        match self.answers.insert(request, lines.clone()) {
            Some(before) if before != lines => {
                Err(format!("request {request} was accepted as {before:?}, and is now {lines:?}").into())
            }
            _ => Ok(()),
        }
    }

    /// All were accepted once, and their lines are there.
    fn check(&self, writer: &Writer) -> Result<(), BoxError> {
        let accepted = writer.index().next() - 1;
        let sent: u64 = (1..=REQUESTS).map(lines_of).sum();
        if accepted != sent {
            return Err(format!("{accepted} lines were accepted, and {sent} were sent").into());
        }
        let mut reader = Reader::new(Arc::clone(writer.index()), self.done + 1);
        let mut all = BTreeMap::new();
        while let ReadBatch::Lines(lines) = reader.take()? {
            all.extend(lines);
        }
        for (request, lines) in &self.answers {
            for (seq, line) in lines.clone().zip(0..).filter(|(seq, _)| *seq > self.done) {
                match all.remove(&seq) {
                    Some(Text::Whole(text)) if text == self::text(*request, line).as_bytes() => {}
                    other => return Err(format!("line {seq} of request {request} is {other:?}").into()),
                }
            }
        }
        Ok(())
    }
}

/// Ends a run at each operation, in each way, and the next one somewhere; the last one has to make up for it.
fn explore(seed: u64, ignored: Option<SyncPoint>) -> Result<(), String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut start = Machine::new(&["/var/state"]);
    start.fault = ignored.map_or(Fault::None, Fault::Ignored);
    for at in 1.. {
        let mut producer = Producer { seed, ..Producer::default() };
        let died = run(&mut producer, start.clone(), 0, Some((at, [0, 40, 100][random.usize(..3)])))?;
        let Some(died) = died else { break };
        for cut in cuts(&died, random.u64(..)) {
            let (mut producer, machine) = (producer.clone(), died.cut(&cut));
            let again = Some((random.u64(1..12), 50));
            let left = match run(&mut producer, machine.clone(), 1, again)? {
                Some(died) => {
                    let mut cuts = cuts(&died, random.u64(..));
                    died.cut(&cuts.swap_remove(random.usize(..cuts.len())))
                }
                None => continue,
            };
            if run(&mut producer, left, 2, None)?.is_some() {
                return Err("nothing ends the last run".to_owned());
            }
        }
    }
    Ok(())
}

/// A run; the machine, if it died.
fn run(
    producer: &mut Producer,
    mut machine: Machine,
    life: u64,
    dies_at: Option<(u64, usize)>,
) -> Result<Option<Machine>, String> {
    machine.dies_at = dies_at;
    let disk = SimDisk::boot(machine);
    let ended = producer.run(&disk, life);
    let machine = disk.machine().clone();
    match ended {
        _ if machine.is_off => Ok(Some(machine)),
        Ok(()) => Ok(None),
        Err(error) => Err(format!("{error}\n{producer:?}\n{}", machine.trace.join("\n"))),
    }
}

#[test]
fn a_request_that_is_sent_again_is_accepted_once_whatever_a_crash_leaves() {
    for seed in 0..12 {
        explore(seed, None).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

/// Crashes with one sync left out, until that does harm.
fn needs(point: SyncPoint) {
    assert!((0..40).any(|seed| explore(seed, Some(point)).is_err()), "nothing goes wrong without the sync {point:?}");
}

#[test]
fn keys_are_in_their_file_before_their_segment_has_a_successor() {
    needs(SyncPoint::KeysFile);
}

#[test]
fn that_file_has_its_name_before_their_segment_has_a_successor() {
    needs(SyncPoint::KeysName);
}

#[test]
fn a_group_of_batches_is_synced_before_it_is_accepted() {
    needs(SyncPoint::JournalBatch);
}
