//! Signals, the grace period, and `--fail-fast`.

use fetchd::error::Error;
use fetchd::item::{Kind, Outcome};
use fetchd::pipeline::{End, FailFast};
use fetchd::units::Concurrency;
use proptest::prelude::*;

use crate::any;
use crate::log::Event;
use crate::scene::{Scene, Story, on_paused_time};
use crate::script::{Ending, Manner, Script, Settling, hang, ms, ok, secs, status};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn after_the_first_signal_no_line_is_accepted(scene in any::scene(), at in any::up_to(secs(10))) {
        let story = on_paused_time(scene.interrupts([at]).play());
        if let Some(accepted) = accepted_at_the_first_signal(&story) {
            assert_eq!(story.board.tally().accepted.get(), accepted);
        }
    }

    #[test]
    fn with_grace_enough_every_accepted_line_is_finished(mut scene in any::scene(), at in any::up_to(secs(10))) {
        (scene.settings.grace, scene.settings.fail_fast) = (secs(3600), FailFast::No);
        let story = on_paused_time(scene.interrupts([at]).play());
        assert_eq!(story.end.as_ref().ok(), Some(&End::Finished));
        assert!(story.records().iter().all(|entry| entry.outcome != Outcome::Canceled));
        assert_eq!(story.records().len(), story.tally_accepted());
    }

    #[test]
    fn after_the_first_signal_the_run_ends_within_grace_and_a_second(
        scene in any::scene(), hanging in prop::bool::ANY, at in any::up_to(secs(10))
    ) {
        let sink = if hanging { Manner::Hangs { after: 3 } } else { Manner::Slow(ms(300)) };
        let scene = scene.sinks([Manner::Prompt, sink]).interrupts([at]);
        let story = on_paused_time(scene.play());
        assert!(story.took <= at + scene.settings.grace + secs(1) + ms(1), "it took {:?}", story.took);
    }
}

fn accepted_at_the_first_signal(story: &Story) -> Option<u64> {
    story.events.iter().find_map(|(_, event)| match event {
        Event::Interrupted { accepted } => Some(*accepted),
        _ => None,
    })
}

/// An endless input of which every other line is never answered.
fn half_dead() -> Script {
    Script::of([ok(ms(1)).get(), hang().at(1).get()]).every(ms(1)).ending(Ending::Repeats)
}

/// Attempts may take an hour, and one host takes no more than half of the workers.
fn patient(scene: Scene) -> Scene {
    scene.settings(|settings| {
        settings.schedule.timeout = secs(3600);
        settings.schedule.deadline = secs(7200);
        settings.schedule.any_host.concurrency = Concurrency::Fixed(4);
    })
}

#[test]
fn lines_that_are_not_finished_within_the_grace_are_canceled() {
    let scene = patient(Scene::of([half_dead()])).interrupts([secs(1)]);
    let story = on_paused_time(scene.play());
    assert_eq!(story.end.as_ref().ok(), Some(&End::GaveUp));
    assert_eq!(story.records().len(), story.tally_accepted());
    for entry in story.records() {
        let want = if entry.id.seq % 2 == 1 { (Outcome::Ok, None) } else { (Outcome::Canceled, Some(Kind::Canceled)) };
        assert_eq!((entry.outcome, entry.kind), want, "{entry:?}");
    }
    assert!(story.took >= secs(31) && story.took < secs(32), "it took {:?}", story.took);
}

#[test]
fn a_sink_that_hangs_does_not_keep_the_run_from_its_end() {
    let scene = patient(Scene::of([half_dead().settling(Settling::Records)]));
    let scene = scene.sinks([Manner::Hangs { after: 10 }]).interrupts([secs(1)]);
    let story = on_paused_time(scene.play());
    assert_eq!(story.end.as_ref().ok(), Some(&End::GaveUp));
    assert_eq!(story.took, secs(32));
    assert!(story.board.tally().unfinished() > 0);
}

#[test]
fn the_second_signal_ends_the_run_at_once() {
    let scene = patient(Scene::of([half_dead()])).interrupts([secs(1), secs(2)]);
    let story = on_paused_time(scene.play());
    let Err(Error::Interrupted { unfinished }) = story.end else { panic!("{:?}", story.end) };
    assert_eq!(unfinished as usize, story.tally_accepted() - story.records().len());
    assert_eq!(story.took, secs(2));
}

#[test]
fn a_signal_that_finds_the_input_ended_changes_nothing_but_the_limit() {
    let scene = Scene::of([Script::of([ok(secs(2)).get()])]).interrupts([secs(1)]);
    let story = on_paused_time(scene.play());
    assert_eq!(story.end.as_ref().ok(), Some(&End::Finished));
    assert_eq!(story.only_record().outcome, Outcome::Ok);
    assert_eq!(story.took, secs(2));
}

#[test]
fn lines_that_the_source_had_read_already_are_counted_as_unread() {
    let scene = patient(Scene::of([Script::of((0..100).map(|_| hang().get()))])).interrupts([secs(1)]);
    let scene = scene.settings(|settings| settings.window = 10);
    let story = on_paused_time(scene.play());
    assert_eq!(story.tally_accepted(), 10);
    assert_eq!(story.board.tally().unread.get(), 90);
}

fn fail_fast(scene: Scene) -> Scene {
    patient(scene).settings(|settings| settings.fail_fast = FailFast::Yes)
}

#[test]
fn with_fail_fast_the_first_failure_cancels_the_rest_within_a_second() {
    let failing = Script::of([status(404).at(2).get()]).every(ms(30)).ending(Ending::StaysOpen);
    let story = on_paused_time(fail_fast(Scene::of([half_dead(), failing])).play());
    assert_eq!(story.end.as_ref().ok(), Some(&End::FailedFast));
    assert!(story.took >= ms(30) && story.took < ms(1030), "it took {:?}", story.took);
    assert_eq!(story.records().len(), story.tally_accepted());
    let failed = story.records().iter().filter(|entry| entry.outcome == Outcome::HttpError).count();
    assert_eq!(failed, 1);
    assert!(story.board.tally().canceled.get() > 0);
}

#[test]
fn with_fail_fast_a_failed_last_line_is_a_failure_too() {
    let story = on_paused_time(fail_fast(Scene::of([Script::of([status(404).get()])])).play());
    assert_eq!(story.end.as_ref().ok(), Some(&End::FailedFast));
}

#[test]
fn with_fail_fast_a_run_without_a_failure_finishes() {
    let story = on_paused_time(fail_fast(Scene::of([Script::of((0..50).map(|_| ok(ms(5)).get()))])).play());
    assert_eq!(story.end.as_ref().ok(), Some(&End::Finished));
    assert_eq!(story.records().len(), 50);
}

#[test]
fn with_fail_fast_a_sink_that_hangs_is_waited_for_a_second() {
    let hanging = Script::of((0..3).map(|_| hang().at(1).get()));
    let failing = Script::of([status(404).at(2).get()]).every(ms(30));
    let scene = fail_fast(Scene::of([hanging, failing])).sinks([Manner::Hangs { after: 1 }]);
    let story = on_paused_time(scene.play());
    assert_eq!(story.end.as_ref().ok(), Some(&End::FailedFast));
    assert_eq!(story.took, ms(1030));
}
