//! When a cause ceases to hold is said as it then happens, also where an operator's limit ends before.

use std::time::Duration;

use fetchd::schedule::{
    BodyMemoryRoom, Cause, ConcurrencyOverride, Core, HostOverrides, Overrides, RateOverride, Remedy, SLACK, Settings,
    WaitReason,
};

use crate::items::{get, limits, ms};

const A_TEST: &str = "a.test";

/// Overrides of the run and of the host, with these limits until the third second.
fn until_the_third_second(of_run: Option<&str>, of_host: Option<&str>) -> Overrides {
    let limits = |limit: &str| {
        let until = Some(ms(3000));
        let rate = limit.parse().ok().map(|rate| RateOverride { rate, until });
        let concurrency = limit.parse().ok().map(|limit| ConcurrencyOverride { limit, until });
        HostOverrides { rate, concurrency, ..HostOverrides::default() }
    };
    let hosts = of_host.map(|limit| (A_TEST.into(), limits(limit)));
    Overrides { all: of_run.map(limits).unwrap_or_default(), hosts: hosts.into_iter().collect() }
}

fn settings(every: Duration, host_every: Duration, host_at_once: u32) -> Settings {
    Settings { every, any_host: limits(host_at_once, host_every), permits: 8, workers: 8, ..Settings::default() }
}

#[test]
fn a_limit_of_an_operator_holds_no_line_beyond_its_end() {
    let zero = Duration::ZERO;
    for (settings, overrides, starts) in [
        (settings(zero, zero, 8), until_the_third_second(None, Some("1/h")), ms(3000)),
        (settings(zero, zero, 8), until_the_third_second(Some("1/h"), None), ms(3000)),
        (settings(zero, ms(5000), 8), until_the_third_second(None, Some("1/h")), ms(6000) - SLACK),
        (settings(ms(5000), zero, 8), until_the_third_second(Some("1/h"), None), ms(6000) - SLACK),
        (settings(zero, zero, 8), until_the_third_second(None, Some("1")), ms(3000)),
        (settings(zero, zero, 8), until_the_third_second(Some("1"), None), ms(3000)),
        (settings(zero, zero, 8), until_the_third_second(None, Some("1/s")), ms(2000) - SLACK),
    ] {
        let mut core = Core::new(settings);
        (0..2).for_each(|ordinal| core.push(get(ordinal, "http://a.test/"), ms(0)));
        let _on_wire = core.take(ms(1000)).expect("the first starts");
        core.set_overrides(&overrides, ms(1010));
        assert!(core.take(ms(1010)).is_none(), "{overrides:?}");
        let causes = core.host_why(A_TEST, ms(1010)).expect("a line waits").causes;
        let left = causes.iter().map(|cause| cause.left).collect::<Option<Vec<_>>>().expect("all end by themselves");
        assert_eq!(left.into_iter().max(), Some(starts - ms(1010)), "{causes:?}");
        assert!(core.take(starts - ms(1)).is_none(), "{overrides:?}");
        assert!(core.take(starts).is_some(), "{overrides:?}");
    }
}

#[test]
fn the_end_of_an_operators_limit_is_none_where_the_configurations_holds_as_well() {
    for overrides in [until_the_third_second(None, Some("1")), until_the_third_second(Some("1"), None)] {
        let mut core = Core::new(Settings { permits: 1, ..settings(ms(0), ms(0), 1) });
        (0..2).for_each(|ordinal| core.push(get(ordinal, "http://a.test/"), ms(0)));
        let _on_wire = core.take(ms(1000)).expect("the first starts");
        core.set_overrides(&overrides, ms(1010));
        let causes = core.host_why(A_TEST, ms(1010)).expect("a line waits").causes;
        assert!(causes.iter().all(|cause| cause.left.is_none()), "{causes:?}");
    }
}

#[test]
fn a_line_that_waits_for_body_memory_says_so_and_which_key_would_change_it() {
    let mut core = Core::new(settings(ms(0), ms(0), 8));
    core.push(get(0, "http://a.test/"), ms(0));
    core.note_memory(BodyMemoryRoom::Lacking);
    let key = Remedy::Key { key: "limits.body_memory", pattern: None, host: None };
    let cause = Cause { reason: WaitReason::BodyMemory, left: None, remedy: Some(key), pace: None };
    assert_eq!(core.host_why(A_TEST, ms(1)).map(|why| why.causes), Some(vec![cause]));
    assert_eq!(core.why(A_TEST, ms(1)), Some(WaitReason::BodyMemory));
    assert_eq!(core.why_line(0, ms(1)), Some(WaitReason::BodyMemory));
    core.note_memory(BodyMemoryRoom::Enough);
    assert_eq!(core.host_why(A_TEST, ms(1)).map(|why| why.causes), Some(Vec::new()));
    assert_eq!(core.why(A_TEST, ms(1)), Some(WaitReason::Ready));
}
