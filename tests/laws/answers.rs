//! A source that reads answers has each record before any sink, goes on when all have it, and holds up nobody else.

use std::collections::BTreeSet;

use fetchd::item::Identity;
use fetchd::pipeline::{End, Order};
use proptest::prelude::*;

use crate::any;
use crate::log::Event;
use crate::scenario::{Report, Scenario, on_paused_time};
use crate::script::{Answers, Settling, SinkBehaviour, SourceScript, ms, ok, secs};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn each_record_is_read_before_any_sink_has_it_and_is_the_position_once_all_have_it(
        scenario in any::scenario_with_answers()
    ) {
        let report = on_paused_time(scenario.execute());
        let reads = |id: &Identity| {
            let number: usize = id.source.as_deref().unwrap()[1..].parse().unwrap();
            scenario.sources[number].answers != Answers::Ignored
        };
        let mut read = BTreeSet::new();
        for (_, event) in &report.events {
            match event {
                Event::AnswerRead(id) => assert!(read.insert(id.clone()), "{id:?} is read twice"),
                Event::Written { entry, .. } if reads(&entry.id) => {
                    assert_eq!(entry.page, Some(entry.id.seq), "{:?}", entry.id);
                    assert!(read.contains(&entry.id), "{:?} was written unread", entry.id);
                }
                Event::Written { entry, .. } => assert_eq!(entry.page, None),
                Event::Position(id, position) => assert_eq!(*position, reads(id).then_some(id.seq)),
                _ => {}
            }
        }
    }

    #[test]
    fn each_line_waits_for_the_record_of_the_one_before(scenario in any::scenario_with_answers()) {
        let report = on_paused_time(scenario.execute());
        for number in 0..scenario.sources.len() {
            if scenario.sources[number].answers != Answers::Ignored {
                one_after_another(&report, &format!("s{number}"), scenario.sinks.len());
            }
        }
    }

    #[test]
    fn every_accepted_line_has_its_record_or_is_left(scenario in any::scenario_with_answers()) {
        let report = on_paused_time(scenario.execute());
        let recorded: BTreeSet<_> = report.records().into_iter().map(|entry| entry.id).collect();
        assert_eq!(recorded.len(), report.records().len(), "a line has two records");
        // One that was given up waits for no reader any more.
        if matches!(report.end, Ok(End::Finished)) {
            let mut left = report.accepted().into_iter().filter(|id| !recorded.contains(id));
            assert!(left.all(|id| report.is_durable(&id) && report.was_interrupted()));
            assert_eq!(report.memory_left, 0, "body memory is kept by nobody");
        }
    }
}

/// Between two lines of a source, every sink has taken the record of the first.
fn one_after_another(report: &Report, source: &str, sinks: usize) {
    let is_its = |id: &Identity| id.source.as_deref() == Some(source);
    let mut missing = 0;
    for (_, event) in &report.events {
        match event {
            Event::Yielded(id, _) if is_its(id) => {
                assert_eq!(missing, 0, "{id:?} came too early");
                missing = sinks;
            }
            Event::Written { entry, .. } if is_its(&entry.id) => missing -= 1,
            _ => {}
        }
    }
}

fn pages(count: usize, busy: Answers) -> SourceScript {
    SourceScript::of((0..count).map(|_| ok(ms(10)).get())).settling(Settling::Records).answers(busy)
}

#[test]
fn other_lines_have_their_records_while_a_page_is_read() {
    let others = SourceScript::of((0..50).map(|_| ok(ms(10)).at(1).get()));
    let report = on_paused_time(Scenario::of([pages(1, Answers::Read(secs(60))), others]).execute());
    let records = report.records();
    assert_eq!(records.len(), 51);
    assert_eq!(records.last().unwrap().page, Some(1), "the page is the last");
    assert!(report.took < secs(61), "{:?}", report.took);
    let by = |count: usize| report.events.iter().filter(|(at, e)| *at < secs(1) && is_written(e)).count() >= count;
    assert!(by(50), "the others did not wait for it");
}

fn is_written(event: &Event) -> bool {
    matches!(event, Event::Written { .. })
}

#[test]
fn in_the_order_of_the_input_a_page_waits_for_those_before_it() {
    let others = SourceScript::of((0..20).map(|_| ok(ms(200)).at(1).get()));
    let scenario = Scenario::of([others, pages(5, Answers::Read(ms(1)))]);
    let report = on_paused_time(scenario.settings(|settings| settings.order = Order::Input).execute());
    let written: Vec<_> = report.records().into_iter().map(|entry| entry.id).collect();
    assert_eq!(written, report.accepted());
}

#[test]
fn a_window_of_one_line_is_room_enough() {
    let scenario = Scenario::of([pages(9, Answers::Read(ms(5)))]).sinks([SinkBehaviour::Slow(ms(3))]);
    let report = on_paused_time(scenario.settings(|settings| settings.window = 1).execute());
    assert_eq!((report.records().len(), report.end.ok()), (9, Some(End::Finished)));
}

#[test]
fn a_stop_leaves_the_page_that_is_under_way_its_record_and_yields_no_other() {
    let report = on_paused_time(Scenario::of([pages(9, Answers::Read(ms(15)))]).interrupts([ms(40)]).execute());
    let (records, settled) = (report.records().len(), report.settled().len());
    assert!((1..9).contains(&records) && records == settled, "{records} records, {settled} settled");
}

#[test]
fn a_reader_that_is_lost_with_a_record_ends_the_run_with_the_name_of_the_stage() {
    let report = on_paused_time(Scenario::of([pages(1, Answers::Lost)]).execute());
    let error = report.end.unwrap_err().to_string();
    assert_eq!(error, "the stage `answers` failed: the thread in which a source reads answers has ended");
}
