//! The segments of a sink that ships: how they are cut into messages, how these are named, and what becomes of each.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use fetchd::disk::RealDisk;
use fetchd::ship::{Lag, Message, Segments, Settled, StagingPlace};
use proptest::prelude::*;
use tempfile::TempDir;

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(place.dir.path().join("staging")).unwrap();
        place
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.dir.path().join(format!("staging/hook-{number:06}.jsonl"))
    }

    fn write(&self, number: u64, records: &[String]) {
        fs::write(self.segment(number), records.concat()).unwrap();
    }

    fn open(&self) -> Segments {
        let place = StagingPlace::of(self.dir.path(), "hook");
        Segments::new(Arc::new(RealDisk), &place, "hook".into(), "state")
    }

    fn dead_letters(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.dir.path().join("dead/hook.dead.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn record(n: usize, length: usize) -> String {
    format!("{{\"seq\":{n},\"body\":\"{}\"}}\n", "x".repeat(length))
}

fn records(lengths: &[usize]) -> Vec<String> {
    lengths.iter().enumerate().map(|(n, length)| record(n + 1, *length)).collect()
}

/// All that is left, each message settled as the rule says.
fn drain(segments: &mut Segments, mut rule: impl FnMut(&Message) -> Settled) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some(message) = segments.first_message().unwrap() {
        segments.settle_message(&rule(&message)).unwrap();
        messages.push(message);
    }
    messages
}

fn text(messages: &[Message]) -> String {
    messages.iter().map(|message| std::str::from_utf8(&message.text).unwrap()).collect()
}

fn ids(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.id.as_str()).collect()
}

const MIB: usize = 1 << 20;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn messages_are_whole_records_in_their_order_and_no_longer_than_a_mib(
        lengths in prop::collection::vec(prop_oneof![0..2000_usize, 100_000..700_000_usize, 1_000_000..2_500_000_usize], 1..12)
    ) {
        let (place, records) = (Place::new(), records(&lengths));
        place.write(1, &records);
        let messages = drain(&mut place.open(), |_| Settled::Arrived);
        prop_assert_eq!(text(&messages), records.concat());
        prop_assert_eq!(messages.iter().map(|message| message.records).sum::<u64>(), records.len() as u64);
        prop_assert!(messages.iter().all(|message| message.text.len() <= MIB || message.records == 1));
        prop_assert_eq!(ids(&messages).into_iter().collect::<BTreeSet<_>>().len(), messages.len());
        prop_assert!(!place.segment(1).exists());
        place.write(1, &records);
        prop_assert_eq!(drain(&mut place.open(), |_| Settled::Arrived), messages, "cut likewise by a restart");
    }

    #[test]
    fn refused_records_are_buried_and_all_others_arrive(
        lengths in prop::collection::vec(prop_oneof![0..2000_usize, 400_000..700_000_usize], 1..12), poison in prop::collection::btree_set(1..12_u64, 0..4)
    ) {
        let (place, records) = (Place::new(), records(&lengths));
        place.write(1, &records);
        let is_poisoned = |message: &Message| {
            let seq = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap();
            std::str::from_utf8(&message.text).unwrap().lines().any(|line| poison.contains(&seq(line)))
        };
        let messages = drain(&mut place.open(), |message| match is_poisoned(message) {
            false => Settled::Arrived,
            true if message.records > 1 => Settled::Split,
            true => Settled::Buried("bad".to_owned()),
        });
        let arrived: Vec<_> = messages.iter().filter(|message| !is_poisoned(message)).cloned().collect();
        let is_good = |n: usize| !poison.contains(&(n as u64 + 1));
        let want: String = records.iter().enumerate().filter(|(n, _)| is_good(*n)).map(|(_, text)| text.as_str()).collect();
        prop_assert_eq!(text(&arrived), want);
        let dead: Vec<u64> = place.dead_letters().iter().map(|letter| letter["seq"].as_u64().unwrap()).collect();
        let buried: Vec<u64> = poison.iter().copied().filter(|n| *n <= records.len() as u64).collect();
        prop_assert_eq!(dead, buried);
        prop_assert_eq!(ids(&messages).into_iter().collect::<BTreeSet<_>>().len(), messages.len());
    }
}

#[test]
fn a_segment_goes_when_its_last_message_has_arrived_and_not_before() {
    let place = Place::new();
    place.write(1, &records(&[700_000, 700_000]));
    let length = place.segment(1).metadata().unwrap().len();
    let mut segments = place.open();
    assert_eq!(segments.lag().unwrap(), Lag { segments: 1, bytes: length });
    let first = segments.first_message().unwrap();
    assert_eq!(segments.first_message().unwrap(), first, "a message stays until it is settled");
    assert_eq!(segments.settle_message(&Settled::Arrived).unwrap(), None);
    assert!(place.segment(1).exists());
    segments.first_message().unwrap();
    assert_eq!(segments.settle_message(&Settled::Arrived).unwrap(), Some(length));
    assert!(!place.segment(1).exists());
}

#[test]
fn segments_are_shipped_by_number_and_those_that_are_written_are_left_alone() {
    let place = Place::new();
    for number in [2, 10, 9] {
        place.write(number, &[record(number as usize, 1)]);
    }
    fs::write(place.dir.path().join("staging/hook-000011.jsonl.part"), record(11, 1)).unwrap();
    fs::write(place.dir.path().join("staging/other-000001.jsonl"), record(1, 1)).unwrap();
    let messages = drain(&mut place.open(), |_| Settled::Arrived);
    assert_eq!(text(&messages), [2, 9, 10].map(|n| record(n, 1)).concat());
    assert!(ids(&messages)[0].starts_with("state-hook-2-1-"));
}

#[test]
fn a_number_that_is_used_again_makes_another_id() {
    let place = Place::new();
    let id = |text: &str| {
        fs::write(place.segment(1), text).unwrap();
        drain(&mut place.open(), |_| Settled::Arrived)[0].id.clone()
    };
    assert_ne!(id(&record(1, 1)), id(&record(1, 2)));
    assert_eq!(id(&record(1, 1)), id(&record(1, 1)));
}

#[test]
fn a_segment_that_somebody_took_away_is_skipped() {
    let place = Place::new();
    (1..=3).for_each(|number| place.write(number, &[record(number as usize, 1)]));
    let mut segments = place.open();
    segments.first_message().unwrap();
    fs::remove_file(place.segment(2)).unwrap();
    assert_eq!(text(&drain(&mut segments, |_| Settled::Arrived)), [1, 3].map(|n| record(n, 1)).concat());
}

#[test]
fn dead_letters_go_to_the_file_that_is_at_the_path() {
    let place = Place::new();
    place.write(1, &records(&[1, 2, 3]));
    let mut segments = place.open();
    segments.first_message().unwrap();
    segments.settle_message(&Settled::Split).unwrap();
    let path = place.dir.path().join("dead/hook.dead.jsonl");
    for n in 1..=3 {
        segments.first_message().unwrap();
        segments.settle_message(&Settled::Buried("bad \"thing\"".to_owned())).unwrap();
        let letters = place.dead_letters();
        assert_eq!((letters.len(), letters[0]["seq"].as_u64()), (1, Some(n)));
        assert_eq!(letters[0]["dead_letter"]["reason"], "bad \"thing\"");
        fs::rename(&path, place.dir.path().join(format!("taken-{n}"))).unwrap();
    }
}
