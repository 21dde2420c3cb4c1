//! What breaks: one attempt is a record, a stage is the end of the run.

use fetchd::error::Error;
use fetchd::item::{Kind, Outcome, Sent};

use crate::log::Event;
use crate::scene::{Scene, Story, on_paused_time};
use crate::script::{Act, Ending, Manner, Play, Script, Settling, hang, ms, ok, secs};

fn play(scene: &Scene) -> Story {
    on_paused_time(scene.play())
}

fn lines(n: usize) -> Script {
    Script::of((0..n).map(|_| ok(ms(5)).get()))
}

#[test]
fn a_panic_in_an_attempt_is_a_record_and_the_others_go_on() {
    let panics = || Play::new([Act::Panic.after(ms(5))]).get();
    let words = (0..40).map(|n| if n % 4 == 0 { panics() } else { ok(ms(5)).get() });
    let scene = Scene::of([Script::of(words)]).settings(|settings| (settings.workers, settings.concurrency) = (2, 2));
    let story = play(&scene);
    assert!(story.end.is_ok());
    assert_eq!(story.records().len(), 40);
    for entry in story.records() {
        let want = if entry.id.seq % 4 == 1 { (Outcome::Failed, Some(Kind::Panic)) } else { (Outcome::Ok, None) };
        assert_eq!((entry.outcome, entry.kind), want, "{entry:?}");
    }
}

#[track_caller]
fn assert_stage_failed(story: &Story, stage: &str, why: &str) {
    match &story.end {
        Err(Error::Stage { name, source }) => assert_eq!((name.as_str(), source.to_string().as_str()), (stage, why)),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_stage_panicked(story: &Story, stage: &str, why: &str) {
    match &story.end {
        Err(Error::Panic { name, message }) => assert_eq!((name.as_str(), message.as_str()), (stage, why)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_error_in_a_source_ends_the_run_and_names_the_feed() {
    let scene = Scene::of([lines(3).ending(Ending::Breaks), lines(0).ending(Ending::StaysOpen)]);
    assert_stage_failed(&play(&scene), "feed", "the source broke");
}

#[test]
fn a_panic_in_a_source_ends_the_run_and_names_the_feed() {
    let scene = Scene::of([lines(3).ending(Ending::Panics), lines(0).ending(Ending::StaysOpen)]);
    assert_stage_panicked(&play(&scene), "feed", "the source panicked");
}

#[test]
fn an_error_in_any_sink_ends_the_run_and_names_the_drain() {
    let scene = Scene::of([lines(90)]).sinks([Manner::Prompt, Manner::Fails { after: 10 }]);
    assert_stage_failed(&play(&scene), "drain", "the sink is full");
}

#[test]
fn a_panic_in_any_sink_ends_the_run_and_names_the_drain() {
    let scene = Scene::of([lines(90)]).sinks([Manner::Prompt, Manner::Panics { after: 10 }]);
    assert_stage_panicked(&play(&scene), "drain", "the sink fell down");
}

#[test]
fn an_error_in_settle_ends_the_run_and_names_it() {
    let scene = Scene::of([lines(1), lines(9).settling(Settling::Fails)]);
    assert_stage_failed(&play(&scene), "settle", "the source forgot");
}

#[test]
fn a_panic_in_settle_ends_the_run_and_names_it() {
    let scene = Scene::of([lines(1), lines(9).settling(Settling::Panics)]);
    assert_stage_panicked(&play(&scene), "settle", "the source lost its mind");
}

#[test]
fn a_broken_stage_waits_for_nobody() {
    let silent = Script::of([hang().get()]).ending(Ending::StaysOpen);
    let scene = Scene::of([silent, lines(30)]).sinks([Manner::Fails { after: 0 }]);
    let story = play(&scene);
    assert_stage_failed(&story, "drain", "the sink is full");
    assert_eq!(story.took, ms(5));
}

#[test]
fn a_sink_that_failed_has_settled_nothing_of_its_batch() {
    let scene = Scene::of([lines(40).every(ms(10)).settling(Settling::Records)]);
    let story = play(&scene.sinks([Manner::Prompt, Manner::Fails { after: 10 }]));
    assert_eq!(story.settled().len(), 10);
}

#[test]
fn an_attempt_that_hangs_is_cut_at_the_time_limit_and_tried_again() {
    let scene = Scene::of([Script::of([hang().get()])]);
    let story = play(&scene);
    let entry = story.only_record();
    assert_eq!((entry.outcome, entry.kind, entry.attempts), (Outcome::Failed, Some(Kind::Timeout), 3));
    // Three attempts of five seconds, and two waits of at most half a second and one.
    assert!(story.took >= secs(15) && story.took <= ms(16_600), "it took {:?}", story.took);
}

#[test]
fn a_post_that_hangs_is_cut_at_the_time_limit_and_not_tried_again() {
    let story = play(&Scene::of([Script::of([hang().post()])]));
    let entry = story.only_record();
    assert_eq!((entry.outcome, entry.kind, entry.attempts), (Outcome::Failed, Some(Kind::Timeout), 1));
    assert_eq!(story.took, secs(5));
    assert_eq!(story.times_asked(&entry.id), 1);
}

#[test]
fn a_post_of_which_nothing_was_sent_is_tried_again() {
    let refused = Act::Fail(Kind::ConnectRefused, Sent::Nothing).after(ms(1));
    let then_ok = Act::Answer { status: 200, body: 0 }.after(ms(1));
    let entry = play(&Scene::of([Script::of([Play::new([refused, then_ok]).post()])])).only_record();
    assert_eq!((entry.outcome, entry.attempts), (Outcome::Ok, 2));
}

#[test]
fn attempts_that_hang_do_not_hold_the_others_up() {
    let scene = Scene::of([Script::of((0..7).map(|_| hang().at(1).get())), lines(100)]);
    let scene = scene.settings(|settings| settings.window = 200);
    let story = play(&scene);
    let last_ok = story.events.iter().rev().find_map(|(at, event)| match event {
        Event::Written { entry, .. } if entry.outcome == Outcome::Ok => Some(*at),
        _ => None,
    });
    assert!(last_ok.unwrap() < secs(1), "the last line came after {last_ok:?}");
}
