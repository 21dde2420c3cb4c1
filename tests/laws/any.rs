//! Any scene.

use std::time::Duration;

use fetchd::item::{Kind, Sent};
use fetchd::pipeline::{FailFast, Order, Settings};
use fetchd::schedule::{self, HostLimits};
use fetchd::units::Concurrency;
use proptest::prelude::*;

use crate::scene::{Scene, settings};
use crate::script::{Act, Cue, Ending, Manner, Play, Script, Settling, Step, Word, ms, secs};

const HOSTS: u8 = 4;

pub fn scene() -> impl Strategy<Value = Scene> {
    let sources = prop::collection::vec(script(), 1..4);
    let sinks = prop::collection::vec(sink(), 1..3);
    (sources, sinks, any_settings()).prop_map(|(sources, sinks, settings)| Scene {
        sources,
        sinks,
        interrupts: Vec::new(),
        settings,
    })
}

/// Any scene that ends with its input: no line is given up.
pub fn scene_without_fail_fast() -> impl Strategy<Value = Scene> {
    scene().prop_map(|scene| scene.settings(|settings| settings.fail_fast = FailFast::No))
}

/// Any scene, with up to two signals at any time.
pub fn interrupted_scene() -> impl Strategy<Value = Scene> {
    (scene(), prop::collection::vec(up_to(secs(20)), 0..3)).prop_map(|(scene, mut at)| {
        at.sort();
        scene.interrupts(at)
    })
}

pub fn script() -> impl Strategy<Value = Script> {
    let settling = prop_oneof![Just(Settling::Absent), Just(Settling::Records)];
    (prop::collection::vec(cue(), 0..30), settling).prop_map(|(cues, settling)| Script {
        cues,
        ending: Ending::Ends,
        settling,
    })
}

fn cue() -> impl Strategy<Value = Cue> {
    let after = prop_oneof![4 => Just(Duration::ZERO), 1 => up_to(ms(900))];
    (after, word()).prop_map(|(after, word)| Cue { after, word })
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        1 => Just(Word::Blank),
        1 => Just(Word::NotAUrl),
        1 => Just(Word::TooLong),
        10 => play().prop_map(Word::Get),
        3 => play().prop_map(Word::Post),
    ]
}

pub fn play() -> impl Strategy<Value = Play> {
    let detours =
        prop::collection::vec(step(prop_oneof![3 => act(), 1 => up_to(secs(4)).prop_map(Act::AskForRest)]), 0..3);
    // A host that asks for rest for ever would be asked again until the deadline.
    (0..HOSTS, detours, step(act()))
        .prop_map(|(host, detours, last)| Play::new(detours.into_iter().chain([last])).at(host))
}

fn step(act: impl Strategy<Value = Act>) -> impl Strategy<Value = Step> {
    (up_to(secs(3)), act).prop_map(|(after, act)| act.after(after))
}

fn act() -> impl Strategy<Value = Act> {
    let body = prop_oneof![Just(0), 1u64..300_000];
    prop_oneof![
        12 => body.prop_map(|body| Act::Answer { status: 200, body }),
        2 => prop::sample::select(vec![404, 500, 503]).prop_map(|status| Act::Answer { status, body: 70_000 }),
        2 => (0..HOSTS).prop_map(Act::RedirectTo),
        1 => Just(Act::Fail(Kind::ConnectRefused, Sent::Nothing)),
        1 => Just(Act::Fail(Kind::Reset, Sent::Something)),
        1 => Just(Act::Fail(Kind::ForbiddenAddress, Sent::Refused)),
        1 => Just(Act::Panic),
        1 => Just(Act::Hang),
    ]
}

fn sink() -> impl Strategy<Value = Manner> {
    prop_oneof![
        3 => Just(Manner::Prompt),
        1 => up_to(ms(50)).prop_map(Manner::Slow),
    ]
}

fn any_settings() -> impl Strategy<Value = Settings> {
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
        any_host: HostLimits { concurrency: Concurrency::Fixed(concurrency), max_concurrency: 64, every },
        max_hosts,
        seed,
        ..settings().schedule
    })
}

pub fn up_to(most: Duration) -> impl Strategy<Value = Duration> {
    (0..=most.as_millis() as u64).prop_map(ms)
}
