//! The checkpoint as text: what is written is read, version 1 is read as what it meant, and a later one is refused.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use fetchd::disk::{FileId, OutputPosition, RealDisk};
use fetchd::item::{DoneRanges, ErrorKind, FileGeneration, Fingerprint, Identity, Position, RawJson};
use fetchd::schedule::{HostState, OpenCircuit};
use fetchd::state::{Checkpoint, DataDir, OpenRound, SourceState, StoredHostState, from_stored, to_stored};
use jiff::Timestamp;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Ranges of lines, apart from each other: where each begins, how long it is, and where its last line ends.
type Runs = Vec<(RangeInclusive<u64>, Option<Position>)>;

fn any_position() -> impl Strategy<Value = Position> {
    let file = (any::<u64>(), any::<u64>(), 1..100u64, vec(1..100u64, 0..3));
    (file, any::<u64>(), any::<u32>()).prop_map(|((device, inode, first, torn), end, prefix_sum)| Position {
        file: Arc::new(FileGeneration { device, inode, first, torn }),
        end,
        fingerprint: Fingerprint { prefix_sum },
    })
}

fn any_runs() -> impl Strategy<Value = Runs> {
    vec((2..9u64, 0..9u64, option::of(any_position())), 0..5).prop_map(|runs| {
        let mut next = 0;
        let run = |(gap, length, position)| {
            let from = next + gap;
            next = from + length;
            (from..=next, position)
        };
        runs.into_iter().map(run).collect()
    })
}

/// The lines of the ranges, inserted one by one.
fn done(runs: &Runs) -> DoneRanges {
    let mut done = DoneRanges::default();
    for (run, position) in runs {
        for seq in run.clone() {
            done.insert(seq, position.clone().filter(|_| seq == *run.end()));
        }
    }
    done
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn any_span() -> impl Strategy<Value = Duration> {
    (1u64..1000, 0u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos))
}

fn any_host() -> impl Strategy<Value = HostState> {
    let last_error = (prop::sample::select(ErrorKind::ALL.to_vec()), ".*");
    let circuit = (any_span(), any_span(), any_span(), last_error);
    // The ports of which the circuits of version 1 were, as far as it said so.
    let host = prop_oneof![
        "[a-z]{1,9}".prop_map(|name| (name, vec![80, 443])),
        ("[a-z]{1,9}", 1u16..).prop_map(|(name, port)| (format!("{name}:{port}"), vec![port])),
    ];
    (host, any_span(), any_span(), option::of(circuit)).prop_map(|((host, ports), paused, closed, circuit)| {
        let open = |port| {
            let (tried, probe, remembered, last_error) = circuit.clone()?;
            Some(OpenCircuit { port, tried, probe, remembered, last_error })
        };
        HostState { host: host.into(), paused, closed, unreachable: ports.into_iter().filter_map(open).collect() }
    })
}

/// What a checkpoint of version 1 can say.
#[derive(Clone, Debug)]
struct Remembered {
    state_id: String,
    sources: BTreeMap<String, BTreeMap<String, Runs>>,
    sinks: BTreeMap<String, Vec<OutputPosition>>,
    hosts: Vec<HostState>,
}

fn any_remembered() -> impl Strategy<Value = Remembered> {
    let position = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let position = position.prop_map(|(device, inode, number, length)| OutputPosition {
        file: FileId { device, inode },
        number,
        length,
    });
    let sources = btree_map("[a-z]{0,5}", btree_map("\\PC{0,9}", any_runs(), 0..3), 0..3);
    let sinks = btree_map("[a-z]{0,5}", vec(position, 0..3), 0..3);
    ("[a-zA-Z0-9]{8}", sources, sinks, vec(any_host(), 0..3)).prop_map(|(state_id, sources, sinks, mut hosts)| {
        hosts.sort_by(|a, b| a.host.cmp(&b.host));
        hosts.dedup_by(|a, b| a.host == b.host);
        Remembered { state_id, sources, sinks, hosts }
    })
}

impl Remembered {
    /// As the present version has it in memory.
    fn checkpoint(&self) -> Checkpoint {
        let source = |files: &BTreeMap<String, Runs>| SourceState {
            files: files.iter().map(|(path, runs)| (path.clone(), done(runs))).collect(),
            ..SourceState::new("file")
        };
        let mut checkpoint = Checkpoint::begin();
        checkpoint.state_id = self.state_id.as_str().into();
        checkpoint.sources = self.sources.iter().map(|(name, files)| (name.clone(), source(files))).collect();
        checkpoint.sinks.clone_from(&self.sinks);
        checkpoint.hosts = to_stored(&self.hosts, now());
        checkpoint
    }

    /// As version 1 wrote it.
    fn version_1(&self) -> Value {
        let sources = self.sources.iter().map(|(name, files)| {
            let files: Value = files
                .iter()
                .map(|(path, runs)| (path.clone(), runs.iter().map(range_of_1).collect::<Value>()))
                .collect();
            (name.clone(), json!({ "kind": "file", "files": files }))
        });
        let hosts = self.hosts.iter().map(|host| (host.host.to_string(), host_of_1(host)));
        json!({
            "version": 1,
            "journal": self.state_id,
            "sources": sources.collect::<Value>(),
            "sinks": self.sinks,
            "hosts": hosts.collect::<Value>(),
        })
    }
}

fn range_of_1((run, position): &(RangeInclusive<u64>, Option<Position>)) -> Value {
    let mut range = json!({ "from": run.start(), "to": run.end() });
    if let Some(Position { file, end, fingerprint }) = position {
        range["known"] = json!({ "seq": run.end(), "file": **file, "end": end, "sum": fingerprint.prefix_sum });
    }
    range
}

fn host_of_1(host: &HostState) -> Value {
    let until = |left: Duration| json!({ "time": now() + left, "left": span(left) });
    let mut stored = json!({ "paused": until(host.paused), "closed": until(host.closed) });
    if let Some(OpenCircuit { tried, probe, remembered, last_error: (kind, message), .. }) = host.unreachable.first() {
        let (probe, remembered) = (until(*probe), until(*remembered));
        stored["unreachable"] = json!({ "tried": span(*tried), "probe": probe, "remembered": remembered, "kind": kind.name(), "message": message });
    }
    stored
}

fn span(span: Duration) -> String {
    format!("{}s {}ns", span.as_secs(), span.subsec_nanos())
}

fn text(checkpoint: &Checkpoint) -> String {
    serde_json::to_string(checkpoint).unwrap()
}

fn parse(text: &str) -> Checkpoint {
    Checkpoint::parse(text.as_bytes()).unwrap()
}

/// JSON that no reader would write again as it is.
fn any_json() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["1.50", "{\"b\":1e2,\"a\":[null, true]}", "18446744073709551616", "\"\\u0041\"", "[ ]"])
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        remembered in any_remembered(),
        of_source in (option::of("[a-z]{8}"), option::of(any_json())),
        round in option::of((2..9u32, "[a-z_0-9,]{1,9}", any_runs())),
        last_round in prop_oneof![Just(0), any::<u32>()],
    ) {
        let mut checkpoint = remembered.checkpoint();
        for source in checkpoint.sources.values_mut() {
            source.state_id = of_source.0.as_deref().map(Into::into);
            source.position = of_source.1.map(|json| serde_json::from_str(json).unwrap());
        }
        let without = |runs: Runs| runs.into_iter().map(|(run, _)| (run, None)).collect();
        checkpoint.round = round.map(|(number, selection, runs)| OpenRound { number, selection, done: done(&without(runs)) });
        checkpoint.last_round = last_round;
        prop_assert_eq!(parse(&text(&checkpoint)), checkpoint);
    }

    #[test]
    fn version_1_is_read_as_what_it_meant_and_written_as_version_2(remembered in any_remembered()) {
        let read = parse(&remembered.version_1().to_string());
        prop_assert_eq!(&read, &remembered.checkpoint());
        prop_assert_eq!(from_stored(&read.hosts, now()), remembered.hosts);
        let is_present = text(&read).starts_with("{\"version\":2,\"state_id\":");
        prop_assert!(is_present);
    }

    #[test]
    fn unknown_entries_of_hosts_are_written_as_they_were(
        remembered in any_remembered(), entries in btree_map("[a-z_]{1,9}", any_json(), 1..4)
    ) {
        prop_assume!(["pause", "closed", "circuit"].iter().all(|known| !entries.contains_key(*known)));
        let added = entries.iter().map(|(name, json)| format!("{name:?}:{json}")).collect::<Vec<_>>().join(",");
        let plain = text(&remembered.checkpoint());
        let hosts = plain.rfind("\"hosts\":{").unwrap() + "\"hosts\":{".len();
        let comma = if remembered.hosts.is_empty() { "" } else { "," };
        let newer = format!("{}\"a.test\":{{{added}}}{comma}{}", &plain[..hosts], &plain[hosts..]);
        let read = parse(&newer);
        prop_assert_eq!(from_stored(&read.hosts, now()), remembered.hosts);
        prop_assert!(text(&read).contains(&format!("\"a.test\":{{{added}}}")), "{}", text(&read));
    }
}

#[test]
fn a_known_entry_of_a_host_that_cannot_be_read_is_damage_and_is_named() {
    for name in ["pause", "closed", "circuits"] {
        let host = serde_json::from_value::<StoredHostState>(json!({ name: { "until": 7 } }));
        assert!(host.unwrap_err().to_string().contains(&format!("the entry `{name}` of a host")));
    }
}

#[test]
fn fields_that_a_fingerprint_got_later_are_passed_over() {
    let remembered = json!({ "version": 2, "state_id": "a", "sinks": {}, "sources": { "s": { "kind": "file", "files": { "f": [
        { "from": 1, "to": 1, "known": {
            "seq": 1, "file": { "device": 1, "inode": 2, "first": 1 }, "end": 9, "fingerprint": { "prefix_sum": 7, "head": "ab" }
        } }
    ] } } } });
    let read = parse(&remembered.to_string());
    let sums: Vec<_> = read.sources["s"].files["f"].positions().map(|known| known.fingerprint.prefix_sum).collect();
    assert_eq!(sums, [7, 7]);
}

#[test]
fn lines_carry_the_state_id_of_their_source_or_else_of_the_data_directory() {
    let mut checkpoint = Checkpoint::begin();
    checkpoint.sources.insert("plain".into(), SourceState::new("file"));
    checkpoint
        .sources
        .insert("own".into(), SourceState { state_id: Some("own-id".into()), ..SourceState::new("file") });
    let dir_id = Arc::clone(&checkpoint.state_id);
    let id = |source: &str, state_id: &str, round| Identity {
        state_id: Some(state_id.into()),
        source: Some(source.into()),
        file: None,
        seq: 1,
        round,
    };
    for (source, own, foreign) in [("plain", &*dir_id, "own-id"), ("own", "own-id", &*dir_id)] {
        assert_eq!(**checkpoint.state_id_of(source), *own);
        assert!(checkpoint.is_pending(&id(source, own, 0)) && !checkpoint.is_pending(&id(source, foreign, 0)));
        assert!(!checkpoint.is_pending(&id(source, own, 2)), "a record of a later round is no news of the line");
    }
    let source = checkpoint.sources.get_mut("plain").unwrap();
    source.files.insert(String::new(), done(&vec![(1..=1, None)]));
    assert!(!checkpoint.is_pending(&id("plain", &dir_id, 0)) && !checkpoint.is_pending(&id("gone", &dir_id, 0)));
}

/// What a start says to a data directory with this checkpoint.
fn refusal(checkpoint: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("checkpoint.json"), checkpoint).unwrap();
    let refused = DataDir::open(Arc::new(RealDisk), dir.path()).unwrap_err().to_string();
    assert_eq!(fs::read_to_string(dir.path().join("checkpoint.json")).unwrap(), checkpoint);
    refused
}

#[test]
fn a_start_is_refused_by_a_later_version_a_round_without_its_list_and_damage_which_are_named() {
    let later = refusal(r#"{"version":3,"whatever":[]}"#);
    assert!(
        later.contains("is of version 3, and this fetchd reads versions up to 2; start the fetchd that wrote it"),
        "{later}"
    );
    let mut checkpoint = Checkpoint::begin();
    checkpoint.round = Some(OpenRound { number: 4, selection: "not_ok".into(), done: DoneRanges::default() });
    let open = refusal(&text(&checkpoint));
    assert!(open.contains("round 4 is open in") && open.contains("rounds/4 cannot be read"), "{open}");
    let present = text(&Checkpoint::begin());
    for damaged in
        ["", "{}", "[]", r#"{"version":0}"#, &present[..present.len() - 1], &present.replace("sinks", "sink")]
    {
        let refusal = refusal(damaged);
        assert!(refusal.contains("is damaged (") && refusal.contains("move it away"), "{refusal}");
    }
}

#[test]
fn a_raw_value_is_what_was_put_in() {
    let cursor = RawJson::of(&json!({ "after": "x" })).unwrap();
    assert_eq!(cursor.read::<Value>().unwrap()["after"], "x");
    assert!(cursor.read::<u64>().is_err());
}
