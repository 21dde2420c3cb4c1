//! Pages follow each other: of those behind the last checkpoint, what is done is what came before the first that no output
//! has, and the last of them says where the source goes on.

use std::fs;

use fetchd::disk::OutputPosition;
use fetchd::output::{Compress, Fsync, SavedPosition};
use fetchd::sink::{BodyFormat, Jsonl, Wanted};
use proptest::prelude::*;

use crate::scenario::{Scenario, append, flush, page, record, recover_behind, seqs, text};

/// The last page that the checkpoint has.
const LAST: u64 = 3;

/// Which records an output has.
#[derive(Clone, Copy, Debug)]
struct Output {
    records: Wanted,
    compress: Compress,
}

fn outputs() -> impl Strategy<Value = Vec<Output>> {
    let records = prop_oneof![2 => Just(Wanted::All), 1 => Just(Wanted::Ok), 1 => Just(Wanted::NotOk)];
    let compress = prop_oneof![Just(Compress::None), Just(Compress::Gzip), Just(Compress::Zstd)];
    prop::collection::vec((records, compress).prop_map(|(records, compress)| Output { records, compress }), 1..4)
}

fn wants(output: Output, seq: u64) -> bool {
    match output.records {
        Wanted::All => true,
        Wanted::Ok => !seq.is_multiple_of(3),
        Wanted::NotOk => seq.is_multiple_of(3),
    }
}

/// Writes pages up to this one, and returns where the output ended when page `LAST` was in it.
fn written(scenario: &Scenario, jsonl: &Jsonl, output: Output, through: u64) -> OutputPosition {
    let mut opened = scenario.open(jsonl, SavedPosition::New);
    let mut position = None;
    for seq in 1..=through {
        if wants(output, seq) {
            append(&mut opened, &page(seq));
        }
        let end = flush(&mut opened);
        if seq == LAST {
            position = Some(end);
        }
    }
    position.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_pages_that_are_done_follow_each_other_and_each_is_once_in_each_output(
        outputs in outputs(), through in prop::collection::vec(LAST..12, 3)
    ) {
        let scenario = Scenario::new();
        let sinks: Vec<Jsonl> = (0..outputs.len()).map(|n| scenario.sink(&format!("{n}.jsonl"), |jsonl| {
            jsonl.records = outputs[n].records;
            jsonl.compress = outputs[n].compress;
            jsonl.body = Some(BodyFormat::Auto);
            jsonl.fsync = Fsync::Never;
        })).collect();
        let positions: Vec<_> = (0..outputs.len())
            .map(|n| written(&scenario, &sinks[n], outputs[n], through[n])).collect();
        let mut opened: Vec<_> = sinks.iter().zip(&positions)
            .map(|(sink, position)| scenario.open(sink, SavedPosition::Until(vec![position.clone()]))).collect();
        let done = recover_behind(&mut opened, LAST);
        drop(opened);

        let has = |seq: u64| outputs.iter().zip(&through).any(|(output, through)| wants(*output, seq) && seq <= *through);
        let prefix: Vec<u64> = (LAST + 1..).take_while(|seq| has(*seq)).collect();
        prop_assert_eq!(done.iter().map(|line| line.id.seq).collect::<Vec<_>>(), &prefix[..]);
        for line in &done {
            let page: serde_json::Value = line.page.as_ref().unwrap().read().unwrap();
            prop_assert_eq!(&page["number"], line.id.seq);
        }
        for (output, n) in outputs.iter().zip(0..) {
            let mut found: Vec<u64> = files_of(&scenario, n).iter().flat_map(|text| seqs(text)).collect();
            found.sort_unstable();
            let expected: Vec<u64> = (1..=LAST).chain(prefix.clone()).filter(|seq| wants(*output, *seq)).collect();
            prop_assert_eq!(found, expected, "output {}", n);
        }
    }
}

fn files_of(scenario: &Scenario, n: usize) -> Vec<String> {
    let names = scenario.names().into_iter().filter(|name| name.starts_with(&n.to_string()));
    names.map(|name| text(&scenario.path(&name))).collect()
}

#[test]
fn lines_that_are_no_pages_stay_when_pages_are_taken_back() {
    let scenario = Scenario::new();
    let sink = scenario.sink("all.jsonl", |_| ());
    let mut opened = scenario.open(&sink, SavedPosition::New);
    let position = flush(&mut opened);
    let foreign = record(7).replace("\"urls\"", "\"others\"");
    let lines = [&page(1), &foreign, &page(3), &record(9)];
    lines.iter().for_each(|text| append(&mut opened, text));
    flush(&mut opened);
    drop(opened);
    let mut opened = [scenario.open(&sink, SavedPosition::Until(vec![position]))];
    let done: Vec<_> = recover_behind(&mut opened, 0).iter().map(|line| line.id.seq).collect();
    assert_eq!(done, [1, 9], "page 3 is behind a page that is not there");
    assert_eq!(
        fs::read_to_string(scenario.path("all.jsonl")).unwrap(),
        [lines[0], lines[1], lines[3]].map(|t| t.as_str()).concat()
    );
}
