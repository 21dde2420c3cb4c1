//! Any scenario.

use std::time::Duration;

use fetchd::item::{ErrorKind, Sent};
use fetchd::pipeline::{FailFast, Order, Settings};
use fetchd::schedule::{self, HostLimits, Overrides, ReleaseScope};
use fetchd::units::Concurrency;
use proptest::prelude::*;

use crate::scenario::{Scenario, settings};
use crate::script::{
    Answers, Arrival, Exchange, Reply, Said, Settling, SinkBehaviour, SourceEnd, SourceScript, Step, ms, secs,
};

const HOSTS: u8 = 4;

pub fn scenario() -> impl Strategy<Value = Scenario> {
    let sources = prop::collection::vec(script(), 1..4);
    let sinks = prop::collection::vec(sink(), 1..3);
    (sources, sinks, any_settings()).prop_map(|(sources, sinks, settings)| Scenario {
        sources,
        sinks,
        interrupts: Vec::new(),
        rotations: Vec::new(),
        releases: Vec::new(),
        renewals: Vec::new(),
        verbs: Vec::new(),
        overrides: Overrides::default(),
        settings,
    })
}

/// Any scenario that ends with its input: no line is given up.
pub fn scenario_without_fail_fast() -> impl Strategy<Value = Scenario> {
    scenario().prop_map(|scenario| scenario.settings(|settings| settings.fail_fast = FailFast::No))
}

/// Any scenario, with up to two signals at any time.
pub fn interrupted_scenario() -> impl Strategy<Value = Scenario> {
    (scenario(), prop::collection::vec(up_to(secs(20)), 0..3)).prop_map(|(scenario, mut at)| {
        at.sort();
        scenario.interrupts(at)
    })
}

/// Any scenario with signals, in the order of completion, in which lines are released now and then.
pub fn scenario_with_releases() -> impl Strategy<Value = Scenario> {
    let scope = (0usize..3, prop_oneof![Just(None), (0usize..9).prop_map(Some)]);
    let scope = scope.prop_map(|(source, lines)| match lines {
        None => ReleaseScope::All { source },
        Some(lines) => ReleaseScope::Newest { source, lines },
    });
    (interrupted_scenario(), prop::collection::vec((up_to(secs(5)), scope), 1..5)).prop_map(
        |(scenario, mut releases)| {
            releases.sort_by_key(|(at, _)| *at);
            scenario.settings(|settings| settings.order = Order::Completion).releases(releases)
        },
    )
}

/// Any scenario with signals, in which every host wants a token, and now and then another one.
pub fn scenario_with_tokens() -> impl Strategy<Value = Scenario> {
    let renewals = prop::collection::vec(up_to(secs(60)), 0..4);
    let wait = prop_oneof![up_to(secs(30)), Just(secs(600))];
    (interrupted_scenario(), renewals, wait, prop::collection::vec(0usize..5, 90)).prop_map(
        |(mut scenario, mut renewals, wait, wanted)| {
            renewals.sort();
            let arrivals = scenario.sources.iter_mut().flat_map(|source| &mut source.arrivals);
            let steps = arrivals.filter_map(|arrival| match &mut arrival.line {
                Said::Get(exchange) | Said::Post(exchange) => exchange.steps.last_mut(),
                _ => None,
            });
            for (step, good_from) in steps.zip(wanted) {
                if let Reply::Response { status: 200, body } = step.reply {
                    step.reply = Reply::Token { good_from, body };
                }
            }
            scenario.tokens(renewals).settings(|settings| {
                settings.schedule.retry.refresh_wait = wait;
                // A run that waits for a token that never comes has no end.
                settings.schedule.any_host.long_pause = schedule::LongPause::End;
            })
        },
    )
}

pub fn script() -> impl Strategy<Value = SourceScript> {
    let settling = prop_oneof![Just(Settling::Absent), Just(Settling::Records)];
    (prop::collection::vec(arrival(), 0..30), settling).prop_map(|(arrivals, settling)| SourceScript {
        arrivals,
        ending: SourceEnd::Ends,
        settling,
        answers: Answers::Ignored,
    })
}

/// Any scenario with signals in which some sources read answers.
pub fn scenario_with_answers() -> impl Strategy<Value = Scenario> {
    let answers = prop_oneof![1 => Just(Answers::Ignored), 3 => up_to(secs(9)).prop_map(Answers::Read)];
    (interrupted_scenario(), prop::collection::vec(answers, 3)).prop_map(|(mut scenario, answers)| {
        for (source, answers) in scenario.sources.iter_mut().zip(answers) {
            source.answers = answers;
        }
        scenario
    })
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let after = prop_oneof![4 => Just(Duration::ZERO), 1 => up_to(ms(900))];
    (after, line()).prop_map(|(after, line)| Arrival { after, line })
}

fn line() -> impl Strategy<Value = Said> {
    prop_oneof![
        1 => Just(Said::Blank),
        1 => Just(Said::NotAUrl),
        1 => Just(Said::TooLong),
        10 => exchange().prop_map(Said::Get),
        3 => exchange().prop_map(Said::Post),
    ]
}

pub fn exchange() -> impl Strategy<Value = Exchange> {
    let detours =
        prop::collection::vec(step(prop_oneof![3 => reply(), 1 => up_to(secs(4)).prop_map(Reply::AskForRest)]), 0..3);
    // A host that asks for rest for ever would be asked again until the deadline.
    (0..HOSTS, detours, step(reply()))
        .prop_map(|(host, detours, last)| Exchange::new(detours.into_iter().chain([last])).at(host))
}

fn step(reply: impl Strategy<Value = Reply>) -> impl Strategy<Value = Step> {
    (up_to(secs(3)), reply).prop_map(|(after, reply)| reply.after(after))
}

fn reply() -> impl Strategy<Value = Reply> {
    let body = prop_oneof![Just(0), 1u64..300_000];
    prop_oneof![
        12 => body.prop_map(|body| Reply::Response { status: 200, body }),
        2 => prop::sample::select(vec![404, 500, 503]).prop_map(|status| Reply::Response { status, body: 70_000 }),
        2 => (0..HOSTS).prop_map(Reply::RedirectTo),
        1 => Just(Reply::Fail(ErrorKind::ConnectRefused, Sent::Nothing)),
        1 => Just(Reply::Fail(ErrorKind::Reset, Sent::Something)),
        1 => Just(Reply::Fail(ErrorKind::ForbiddenAddress, Sent::Refused)),
        1 => Just(Reply::Panic),
        1 => Just(Reply::Hang),
    ]
}

fn sink() -> impl Strategy<Value = SinkBehaviour> {
    prop_oneof![
        3 => Just(SinkBehaviour::Prompt),
        1 => up_to(ms(50)).prop_map(SinkBehaviour::Slow),
    ]
}

pub fn any_settings() -> impl Strategy<Value = Settings> {
    let order = prop_oneof![Just(Order::Completion), Just(Order::Input)];
    let fail_fast = prop_oneof![9 => Just(FailFast::No), 1 => Just(FailFast::Yes)];
    let room = (1usize..9, 1usize..40, 40usize..1000);
    let hands = (1usize..7, 1usize..7, up_to(secs(15)));
    (room, hands, order, fail_fast, any_schedule()).prop_map(|(room, hands, order, fail_fast, schedule)| {
        let (queue, window, window_bytes) = room;
        let (workers, concurrency, grace) = hands;
        Settings { queue, window, window_bytes, workers, concurrency, grace, order, fail_fast, schedule, ..settings() }
    })
}

fn any_schedule() -> impl Strategy<Value = schedule::Settings> {
    let every = prop_oneof![3 => Just(Duration::ZERO), 1 => up_to(ms(40))];
    (1u32..5, every, 1usize..6, any::<u64>()).prop_map(|(concurrency, every, max_hosts, seed)| schedule::Settings {
        any_host: HostLimits {
            concurrency: Concurrency::Fixed(concurrency),
            max_concurrency: 64,
            every,
            quota: schedule::QuotaPolicy::Obey,
            long_pause: schedule::LongPause::Wait,
        },
        max_hosts,
        seed,
        ..settings().schedule
    })
}

pub fn up_to(most: Duration) -> impl Strategy<Value = Duration> {
    (0..=most.as_millis() as u64).prop_map(ms)
}
