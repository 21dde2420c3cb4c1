//! Hosts in trouble are told of soon, and seldom enough to be written down each time.

use std::time::Duration;

use proptest::prelude::*;

use crate::any;
use crate::log::Event;
use crate::scene::{Scene, Story, on_paused_time};
use crate::script::{Act, Play, Script, ms, ok, secs};

/// When somebody was told, and of how many hosts.
fn told(story: &Story) -> Vec<(Duration, usize)> {
    let told = |(at, event): &(Duration, Event)| match event {
        Event::HostsInTrouble(hosts) => Some((*at, *hosts)),
        _ => None,
    };
    story.events.iter().filter_map(told).collect()
}

proptest! {
    #[test]
    fn hosts_in_trouble_are_told_of_at_most_once_a_second_and_once_more_at_the_end(scene in any::scene()) {
        let told = told(&on_paused_time(scene.play()));
        let but_the_last = &told[..told.len().saturating_sub(1)];
        prop_assert!(but_the_last.is_sorted_by(|(one, _), (next, _)| *one + secs(1) <= *next), "{told:?}");
    }
}

#[test]
fn every_host_that_asks_for_rest_is_told_of_within_a_second() {
    // One after the other in four seconds.
    let asks = |host| Play::new([Act::AskForRest(secs(100)).after(ms(0)), ok(ms(0)).steps[0]]).at(host);
    let scene = Scene::of([Script::of((0..40).map(|host| asks(host).get())).every(ms(100))]);
    let story = on_paused_time(scene.play());
    assert!(story.records().iter().all(|entry| entry.attempts == 2));
    let told = told(&story);
    let first = told.iter().find(|(_, hosts)| *hosts == 40);
    assert!(first.is_some_and(|(at, _)| *at <= secs(5)), "{told:?}");
    assert!(told.len() <= 6, "{told:?}");
}
