//! The limit of requests at once is reached only while a line waits for it and for nothing else.

use fetchd::schedule::{Core, Settings, StallReason};

use crate::items::{answered, get, limits, ms};

/// The number of permits that the caller has.
const PERMITS: usize = 2;

fn core(settings: Settings) -> Core {
    let mut core = Core::new(Settings { any_host: limits(1, ms(0)), ..settings });
    for ordinal in 0..PERMITS as u64 {
        core.push(get(ordinal, &format!("http://host{ordinal}/")), ms(0));
    }
    core
}

#[test]
fn it_is_reached_while_a_line_that_may_start_lacks_a_permit() {
    let mut core = core(Settings::default());
    let jobs = [core.take(ms(0)).expect("ready"), core.take(ms(0)).expect("ready")];
    assert_eq!(core.reached_limit(PERMITS, ms(0)), None, "no line waits");
    core.push(get(2, "http://host0/"), ms(1));
    assert_eq!(core.reached_limit(PERMITS, ms(1)), None, "it waits for hosts.concurrency");
    core.push(get(3, "http://other/"), ms(2));
    assert_eq!(core.reached_limit(PERMITS, ms(2)), Some(PERMITS));
    core.stall(StallReason::Output, ms(3));
    assert_eq!(core.reached_limit(PERMITS, ms(3)), None, "it waits for the output, too");
    core.resume(StallReason::Output, ms(4));
    for job in jobs {
        core.complete(job, answered(200), ms(1), ms(4));
    }
    while let Some(job) = core.take(ms(5)) {
        core.complete(job, answered(200), ms(1), ms(5));
    }
    assert_eq!(core.reached_limit(PERMITS, ms(5)), None, "no line is left");
}

#[test]
fn a_line_that_waits_for_the_rate_does_not_wait_for_a_permit() {
    let mut core = core(Settings { every: ms(100), ..Settings::default() });
    let _job = core.take(ms(0)).expect("ready");
    assert_eq!(core.reached_limit(PERMITS, ms(50)), None);
    assert_eq!(core.reached_limit(PERMITS, ms(100)), Some(PERMITS));
}

#[test]
fn an_adaptive_limit_is_reached_as_it_is_now() {
    let mut core = core(Settings { adaptive: Some(256), ..Settings::default() });
    let mut jobs = Vec::new();
    for ordinal in 2..300 {
        core.push(get(ordinal, &format!("http://host{ordinal}/")), ms(0));
    }
    while let Some(job) = core.take(ms(0)) {
        jobs.push(job);
    }
    assert!(jobs.len() < 256);
    assert_eq!(core.reached_limit(256, ms(0)), Some(jobs.len()));
}
