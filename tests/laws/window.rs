//! The window bounds what is accepted and not yet settled.

use std::collections::BTreeMap;

use fetchd::item::Identity;
use proptest::prelude::*;

use crate::any;
use crate::log::Event;
use crate::scenario::{Report, Scenario, on_paused_time};
use crate::script::{SinkBehaviour, SourceScript, ms, ok};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn there_are_never_more_unwritten_lines_than_the_window_holds(scenario in any::scenario_without_fail_fast()) {
        let report = on_paused_time(scenario.execute());
        let most = most_unwritten(&report, scenario.sinks.len());
        assert!(most.lines <= scenario.settings.window, "{most:?} in a window of {}", scenario.settings.window);
        // A line longer than the window passes alone, and one more waits in the feed's hand for the room that it needs.
        let bytes = scenario.settings.window_bytes.max(most.longest) + most.longest;
        assert!(most.bytes <= bytes, "{most:?} in a window of {} bytes", scenario.settings.window_bytes);
    }
}

#[derive(Debug, Default)]
struct Most {
    lines: usize,
    bytes: usize,
    longest: usize,
}

/// The most that was out of the sources and not yet in every sink.
fn most_unwritten(report: &Report, sinks: usize) -> Most {
    let (mut out, mut bytes, mut most) = (BTreeMap::<&Identity, (usize, usize)>::new(), 0, Most::default());
    for (_, event) in &report.events {
        match event {
            Event::Yielded(id, length) => {
                out.insert(id, (*length, sinks));
                bytes += length;
                most.lines = most.lines.max(out.len());
                most.bytes = most.bytes.max(bytes);
                most.longest = most.longest.max(*length);
            }
            Event::Written { entry, .. } => {
                let (length, missing) = out.get_mut(&entry.id).unwrap();
                *missing -= 1;
                if *missing == 0 {
                    bytes -= *length;
                    out.remove(&entry.id);
                }
            }
            _ => {}
        }
    }
    most
}

#[test]
fn the_window_is_used_to_the_full() {
    let lines = (0..500).map(|_| ok(ms(100)).get());
    let scenario = Scenario::of([SourceScript::of(lines)]).sinks([SinkBehaviour::Slow(ms(300))]);
    let report = on_paused_time(scenario.execute());
    assert_eq!(most_unwritten(&report, 1).lines, scenario.settings.window);
}

#[test]
fn a_line_longer_than_the_window_passes_alone() {
    let scenario = Scenario::of([SourceScript::of((0..3).map(|_| ok(ms(1)).get()))]);
    let report = on_paused_time(scenario.settings(|settings| settings.window_bytes = 5).execute());
    assert_eq!(report.records().len(), 3);
}
