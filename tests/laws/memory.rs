//! Body memory is never exceeded, and never waited for in vain.

use std::time::Duration;

use fetchd::item::{CHUNK, Outcome};
use fetchd::pipeline::Order;
use fetchd::units::Concurrency;
use proptest::prelude::*;

use crate::any;
use crate::scene::{Scene, Story, on_paused_time};
use crate::script::{Act, Cue, Ending, Manner, Play, Script, Settling, Word, ms, ok, secs, with_body};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn body_memory_is_bounded_and_fails_no_line(scene in scene_of_bodies()) {
        let story = on_paused_time(scene.play());
        assert_memory_is_kept(&scene, &story);
        for entry in story.records() {
            assert_eq!((entry.outcome, entry.kind), (Outcome::Ok, None), "{entry:?}");
        }
    }
}

#[track_caller]
fn assert_memory_is_kept(scene: &Scene, story: &Story) {
    let most = scene.settings.body_memory + scene.settings.max_body;
    assert!(story.most_memory <= most, "{} of {most} bytes", story.most_memory);
    assert_eq!(story.memory_left, 0);
    assert_eq!(story.records().len(), story.yielded().len());
}

/// Budgets as small as `check` allows, and lines that end well if only they get their memory.
fn scene_of_bodies() -> impl Strategy<Value = Scene> {
    let limits = (1usize..5, 1u32..5, 1usize..4);
    (1u64..6, 0u64..4, limits, 1u64..4000).prop_flat_map(|(chunks, spare, (concurrency, per_host, max_hosts), slow)| {
        let max_body = chunks * CHUNK - 1024;
        let body_memory = (2 * max_body).max(concurrency as u64 * CHUNK) + spare * CHUNK;
        let order = prop_oneof![1 => Just(Order::Completion), 3 => Just(Order::Input)];
        let scripts = prop::collection::vec(bodies(max_body, ms(slow)), 1..3);
        let sink = prop_oneof![Just(Manner::Prompt), any::up_to(ms(100)).prop_map(Manner::Slow)];
        (scripts, order, sink, 2usize..60).prop_map(move |(scripts, order, sink, window)| {
            Scene::of(scripts).sinks([sink]).settings(|settings| {
                (settings.workers, settings.concurrency) = (concurrency, concurrency);
                (settings.max_body, settings.schedule.largest_body) = (max_body, max_body);
                (settings.body_memory, settings.order, settings.window) = (body_memory, order, window);
                (settings.schedule.any_host.concurrency, settings.schedule.max_hosts) =
                    (Concurrency::Fixed(per_host), max_hosts);
            })
        })
    })
}

fn bodies(max_body: u64, slow: Duration) -> impl Strategy<Value = Script> {
    prop::collection::vec(body(max_body, slow), 1..40).prop_map(|cues| Script {
        cues,
        ending: Ending::Ends,
        settling: Settling::Absent,
    })
}

fn body(max_body: u64, slow: Duration) -> impl Strategy<Value = Cue> {
    let after = prop_oneof![5 => Just(Duration::ZERO), 1 => any::up_to(ms(50))];
    let size = prop_oneof![1 => Just(0), 1 => Just(max_body), 3 => 0..=max_body];
    let time = prop_oneof![3 => Just(Duration::ZERO), 1 => any::up_to(slow)];
    let detour = prop_oneof![
        6 => Just(None),
        1 => Just(Some(Act::Answer { status: 503, body: max_body / 2 })),
        1 => (0u8..3).prop_map(|host| Some(Act::RedirectTo(host))),
        1 => Just(Some(Act::AskForRest(secs(1)))),
    ];
    (after, size, time, detour, 0u8..3, prop::bool::weighted(0.2)).prop_map(
        |(after, body, time, detour, host, is_post)| {
            let last = Act::Answer { status: 200, body }.after(time);
            let play = Play::new(detour.map(|act| act.after(time)).into_iter().chain([last])).at(host);
            Cue { after, word: if is_post { Word::Post(play) } else { Word::Get(play) } }
        },
    )
}

/// A budget of two bodies, and so many lines at once.
fn tight(scene: Scene, max_body: u64, concurrency: usize) -> Scene {
    scene.settings(|settings| {
        (settings.workers, settings.concurrency) = (concurrency, concurrency);
        (settings.max_body, settings.schedule.largest_body) = (max_body, max_body);
        settings.body_memory = (2 * max_body).max(concurrency as u64 * CHUNK);
        settings.order = Order::Input;
    })
}

#[track_caller]
fn assert_all_ok(scene: &Scene) {
    let story = on_paused_time(scene.play());
    assert_memory_is_kept(scene, &story);
    assert!(story.records().iter().all(|entry| entry.outcome == Outcome::Ok), "{:?}", story.records());
    assert!(story.took < secs(60), "it took {:?}", story.took);
}

#[test]
fn ordered_output_with_a_slow_first_line_and_big_bodies_does_not_starve() {
    let first = with_body(secs(4), 4 * CHUNK).get();
    let bodies = (0..60).map(|n| with_body(ms(10), 4 * CHUNK).at(n % 5).get());
    assert_all_ok(&tight(Scene::of([Script::of(std::iter::once(first).chain(bodies))]), 4 * CHUNK, 8));
}

/// While it waits for its retry, later lines of its host fill the memory with records that wait for it.
#[test]
fn the_oldest_line_is_retried_on_time_though_memory_is_full() {
    let again =
        [Act::Answer { status: 503, body: 0 }.after(ms(0)), Act::Answer { status: 200, body: CHUNK }.after(ms(0))];
    let bodies = (0..40).map(|_| with_body(ms(1), 2 * CHUNK).get());
    let lines = std::iter::once(Play::new(again).get()).chain(bodies);
    assert_all_ok(&tight(Scene::of([Script::of(lines)]), 2 * CHUNK, 2));
}

/// Both wait for memory at one host, and the one that came later asked first.
#[test]
fn the_oldest_line_goes_before_others_that_wait_for_memory_at_its_host() {
    let first = with_body(ms(500), 4 * CHUNK).get();
    let bodies = (0..40).map(|n| with_body(ms(n), 4 * CHUNK).get());
    assert_all_ok(&tight(Scene::of([Script::of(std::iter::once(first).chain(bodies))]), 4 * CHUNK, 8));
}

/// The records of the only tracked host fill the memory and wait for a line that has no place in the table.
#[test]
fn the_oldest_line_is_sent_though_memory_and_the_table_of_hosts_are_full() {
    let lines = (0..40).map(|n| with_body(ms(10), 2 * CHUNK).at(u8::from(n == 1)).get());
    let scene = tight(Scene::of([Script::of(lines)]), 2 * CHUNK, 2);
    assert_all_ok(&scene.settings(|settings| settings.schedule.max_hosts = 1));
}

#[test]
fn a_request_that_cannot_be_repeated_reserves_in_full_and_is_sent_once() {
    let plays = || (0..20).map(|n| with_body(ms(20), 3 * CHUNK).at(n % 3));
    let posts_and_gets = [Script::of(plays().map(Play::post)), Script::of(plays().map(Play::get))];
    let scene = tight(Scene::of(posts_and_gets), 3 * CHUNK, 6);
    let story = on_paused_time(scene.play());
    assert_memory_is_kept(&scene, &story);
    for entry in story.records() {
        assert_eq!(entry.outcome, Outcome::Ok);
        if entry.id.source.as_deref() == Some("s0") {
            assert_eq!(story.times_asked(&entry.id), 1, "{entry:?}");
        }
    }
}

#[test]
fn memory_goes_home_when_a_record_is_written_and_not_before() {
    let words = (0..30).map(|_| with_body(ms(1), CHUNK).get());
    let scene = tight(Scene::of([Script::of(words)]), CHUNK, 2).sinks([Manner::Stalls { after: 0, time: secs(10) }]);
    assert_all_ok(&scene);
}

#[test]
fn lines_without_a_body_flow_while_others_wait_for_memory() {
    let big = Script::of((0..20).map(|_| with_body(secs(1), 4 * CHUNK).get()));
    let small = Script::of((0..20).map(|_| ok(ms(1)).at(1).get()));
    assert_all_ok(&tight(Scene::of([big, small]), 4 * CHUNK, 8));
}
