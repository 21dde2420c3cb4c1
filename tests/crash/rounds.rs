//! A crash while lines are selected for a round, while they are fetched once more, or while the list of the finished round
//! goes: each line has one record of each round, or the round has not begun.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fetchd::daemon::{Missing, NewRound};
use fetchd::disk::{Disk, SyncPoint};
use fetchd::error::BoxError;
use fetchd::state::Checkpoint;
use proptest::prelude::*;
use serde_json::Value;

use super::cut::cuts;
use super::disk::SimDisk;
use super::explore::run;
use super::ledger::{Ledger, OUTPUTS, read, unpack};
use super::lines::SOURCE;
use super::machine::Machine;
use super::sync_points::Fault;
use super::workload::{Act, Layout, Workload};
use super::world::{Process, STATE};

/// What the world outside knows.
#[derive(Clone)]
struct Told {
    ledger: Ledger,
    /// Lines whose first record was not `ok` when the round was asked for.
    failed: BTreeSet<u64>,
    /// Requests of the round may have been sent.
    has_begun: bool,
}

fn not_ok() -> NewRound {
    NewRound {
        selection: "not_ok".parse().expect("it is one"),
        from: Vec::new(),
        missing: Missing::Refused,
        passed_over: Default::default(),
    }
}

fn workload(seed: u64, layout: Layout) -> Workload {
    Workload { seed, layout, acts: vec![Act::Accept(8), Act::Fetch(3), Act::Commit(1), Act::Fetch(9), Act::Switch] }
}

/// A machine on which a run has ended in good order, some of whose lines failed.
fn fetched(workload: &Workload) -> (Machine, Told) {
    let disk = SimDisk::boot(Machine::new(&[OUTPUTS]));
    let mut ledger = Ledger::default();
    run(&disk, &mut ledger, workload, &workload.acts).expect("nothing is in its way");
    let records = records(&disk, "all").expect("they are whole");
    let failed = records.into_iter().filter(|(_, record)| record["outcome"] != "ok").map(|((seq, _), _)| seq);
    let told = Told { ledger, failed: failed.collect(), has_begun: false };
    assert!(!told.failed.is_empty());
    let machine = disk.machine().killed();
    (machine, told)
}

/// A run that begins the round if it is to, finishes what is open, and takes new lines besides.
fn live(disk: &SimDisk, workload: &Workload, told: &mut Told, new: Option<&NewRound>) -> Result<(), BoxError> {
    let mut process = Process::start_round(disk, workload, &mut told.ledger, new)?;
    told.has_begun |= process.is_in_round();
    while process.fetch_of_round()? {
        if told.ledger.life.is_multiple_of(2) {
            process.commit(0)?;
        }
    }
    process.finish(&mut told.ledger)
}

/// The records of an output in all its files, by number and round; each once.
fn records(disk: &SimDisk, sink: &str) -> Result<BTreeMap<(u64, u64), Value>, BoxError> {
    let mut records = BTreeMap::new();
    for path in disk.list(Path::new(OUTPUTS))? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.starts_with(sink) {
            continue;
        }
        let text = unpack(name, &read(disk, &path)?).map_err(|error| format!("{name}: {error}"))?;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let record: Value = serde_json::from_slice(line).map_err(|error| format!("{name}: {error}"))?;
            let number = |key: &str| record[key].as_u64().unwrap_or_default();
            let id = (number("seq"), number("round"));
            if record["source"] == SOURCE && records.insert(id, record).is_some() {
                return Err(format!("{sink} has line {id:?} twice").into());
            }
        }
    }
    Ok(records)
}

fn check(disk: &SimDisk, told: &Told) -> Result<(), BoxError> {
    let (all, bad) = (records(disk, "all")?, records(disk, "bad")?);
    let lines = all.keys().filter(|(_, round)| *round == 0).count() as u64;
    if !(1..=lines).all(|seq| all.contains_key(&(seq, 0))) {
        return Err(format!("the first round lacks lines: {:?}", all.keys()).into());
    }
    let again: BTreeSet<u64> = all.keys().filter(|(_, round)| *round == 2).map(|(seq, _)| *seq).collect();
    let expected = if told.has_begun { told.failed.clone() } else { BTreeSet::new() };
    if again != expected {
        return Err(format!("{again:?} were fetched again instead of {expected:?}").into());
    }
    if all.iter().any(|(id, record)| (record["outcome"] == "ok") == bad.contains_key(id)) || bad.len() > all.len() {
        return Err("the outputs do not agree".into());
    }
    let checkpoint = Checkpoint::load(disk, Path::new(STATE))?.ok_or("there is no checkpoint")?;
    let lists = disk.list(&Path::new(STATE).join("rounds")).unwrap_or_default();
    if checkpoint.round.is_some() || !lists.is_empty() {
        return Err(format!("{:?} and {lists:?} are left", checkpoint.round).into());
    }
    Ok(())
}

/// A moment at which no program runs.
type Pause = (Machine, Told);

/// A run from here on, which may die; where it does not, it has finished everything.
fn go_on(
    (machine, mut told): Pause,
    workload: &Workload,
    new: Option<&NewRound>,
    dies_at: Option<(u64, usize)>,
) -> Result<Option<Pause>, String> {
    let disk = SimDisk::boot(Machine { dies_at, ..machine });
    let ended = live(&disk, workload, &mut told, new);
    let machine = disk.machine().clone();
    if machine.is_off || (matches!(machine.fault, Fault::Fails(_, 0)) && ended.is_err()) {
        return Ok(Some((machine, told)));
    }
    let all = ended.and_then(|()| check(&SimDisk::boot(machine.killed()), &told));
    all.map(|()| None).map_err(|error| format!("{error}\n{workload:?}\n{}", machine.trace.join("\n")))
}

/// Lets a run with a new round die everywhere, and some of those die that come after it.
fn explore(workload: &Workload, ignored: Option<SyncPoint>) -> Result<(), String> {
    let (mut machine, told) = fetched(workload);
    machine.fault = ignored.map_or(Fault::None, Fault::Ignored);
    let mut random = fastrand::Rng::with_seed(workload.seed);
    for at in 1.. {
        let start = (machine.clone(), told.clone());
        let part = [0, 50, 100][random.usize(..3)];
        let Some((died, told)) = go_on(start, workload, Some(&not_ok()), Some((at, part)))? else { break };
        let cuts = cuts(&died, random.u64(..)).into_iter().map(|cut| died.cut(&cut));
        for next in std::iter::once(died.killed()).chain(cuts) {
            let start = || (next.clone(), told.clone());
            go_on(start(), workload, None, None)?;
            if random.u8(..8) == 0
                && let Some((died, told)) = go_on(start(), workload, None, Some((random.u64(1..40), 50)))?
            {
                go_on((died.killed(), told), workload, None, None)?;
            }
        }
    }
    Ok(())
}

/// Lets each sync of a point fail, and the power go then.
fn explore_failures(workload: &Workload, point: SyncPoint) -> Result<(), String> {
    let (mut machine, told) = fetched(workload);
    for good in 0.. {
        machine.fault = Fault::Fails(point, good);
        let start = (machine.clone(), told.clone());
        let Some((mut died, told)) = go_on(start, workload, Some(&not_ok()), None)? else { break };
        died.fault = Fault::None;
        for cut in cuts(&died, workload.seed) {
            go_on((died.cut(&cut), told.clone()), workload, None, None)?;
        }
    }
    Ok(())
}

fn any_layout() -> impl Strategy<Value = Layout> {
    prop::sample::select(vec![Layout::One, Layout::Numbered, Layout::Packed, Layout::Changing])
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 8, ..ProptestConfig::with_cases(4) })]

    #[test]
    fn each_line_of_a_round_has_one_record_of_it_wherever_the_run_ends(seed in any::<u64>(), layout in any_layout()) {
        let explored = explore(&workload(seed, layout), None);
        prop_assert!(explored.is_ok(), "{}", explored.unwrap_err());
    }

    #[test]
    fn a_sync_of_a_list_that_fails_ends_the_start_and_costs_nothing(seed in any::<u64>(), layout in any_layout()) {
        for point in [SyncPoint::RoundList, SyncPoint::RoundName, SyncPoint::CheckpointName] {
            let explored = explore_failures(&workload(seed, layout), point);
            prop_assert!(explored.is_ok(), "{}", explored.unwrap_err());
        }
    }
}

/// Without this sync something goes wrong, and with it nothing.
fn needs(point: SyncPoint) {
    let seed = (0..20).find(|seed| explore(&workload(*seed, Layout::One), Some(point)).is_err());
    let seed = seed.unwrap_or_else(|| panic!("nothing goes wrong without the sync {point:?}"));
    explore(&workload(seed, Layout::One), None).expect("with it all goes well");
}

#[test]
fn a_list_is_whole_before_a_round_is_open() {
    needs(SyncPoint::RoundList);
}

#[test]
fn a_list_has_its_name_before_a_round_is_open() {
    needs(SyncPoint::RoundName);
}
