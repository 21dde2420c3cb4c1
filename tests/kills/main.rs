//! Life after `kill -9`: the real binary is killed at random moments, again and again, and no accepted line is lost, nor
//! recorded twice, in whatever form its outputs are written.
//!
//! So it is with rounds (`rounds`): each has one record of each of its lines; and with a walk over pages (`pages`), which needs
//! the answer to one line for the next one. What a webhook ships (`webhook`) arrives at least once, and each time under the
//! same id. Lines that are pushed (`push`) have the numbers that their producers were told.
//!
//! The driver is what a careful producer would be: after each kill it asks `fetchd state status` what was accepted, and
//! goes on from there. So the number of a line is known by what it says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]
#![expect(clippy::expect_used, reason = "likewise")]
#![expect(clippy::panic, reason = "likewise")]

#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "every test binary uses its own part of it")]
mod common;

mod driver;
mod outputs;
mod pages;
mod push;
mod rounds;
mod webhook;

use std::time::Duration;

use common::origin::Origin;
use driver::Driver;
use outputs::Form;
use pages::Pages;
use push::Push;
use rounds::Rounds;
use webhook::Shipping;

/// Kills of one loop; there are thirteen loops.
const KILLS: u32 = 25;

/// The most kills of one loop. On a busy machine one kill in fifty hits a write.
const MOST_KILLS: u32 = 40 * KILLS;

/// The most lines that it is given in that time.
const MOST_LINES: u64 = 150;

fn survives(form: Form) {
    let origin = Origin::start();
    let mut driver = Driver::new(&origin, form);
    let mut random = fastrand::Rng::with_seed(form.seed());
    let mut seen = Seen::default();
    let mut kills = 0;
    // Whether a kill hits a write is chance, the less so the busier the machine: a loop that has not seen it goes on.
    while kills < KILLS || (kills < MOST_KILLS && !seen.all()) {
        driver.live_for(Duration::from_millis(random.u64(10..form.longest_life())), random.u64(0..MOST_LINES));
        kills += 1;
        let after = driver.look();
        seen.torn += u32::from(after.is_torn);
        seen.already_written += u32::from(after.already_written > 0);
    }
    driver.finish();
    driver.account();
    assert!(seen.all(), "after {kills} kills the loop has not seen what it is for: {seen:?}");
}

/// What the moments of the kills were like.
#[derive(Debug, Default)]
struct Seen {
    /// An output ended in the middle of a record.
    torn: u32,
    /// An output had records that the checkpoint did not know of.
    already_written: u32,
}

impl Seen {
    fn all(&self) -> bool {
        self.torn > 0 && self.already_written > 0
    }
}

fn rounds_survive(form: Form) {
    let origin = Origin::start();
    let mut rounds = Rounds::new(&origin, form);
    let mut random = fastrand::Rng::with_seed(form.seed());
    let mut kills = 0;
    while kills < KILLS || (kills < MOST_KILLS && !rounds.seen.all()) {
        kills += 1;
        rounds.live_for(rounds.whole_life.mul_f64(1.25 * random.f64()));
        if random.u8(..6) == 0 {
            rounds.move_outputs();
        }
    }
    rounds.account();
    assert!(rounds.seen.all(), "after {kills} kills the loop has not seen what it is for: {:?}", rounds.seen);
}

fn a_walk_survives(form: Form) {
    let origin = Origin::start();
    let mut pages = Pages::new(&origin, form);
    let mut random = fastrand::Rng::with_seed(form.seed());
    let mut kills = 0;
    while kills < KILLS || (kills < MOST_KILLS && !pages.seen.all()) {
        kills += 1;
        pages.live_for(Duration::from_millis(random.u64(..60)));
    }
    pages.account();
    assert!(pages.seen.all(), "after {kills} kills the loop has not seen what it is for: {:?}", pages.seen);
}

#[test]
fn every_page_of_a_walk_is_recorded_once_in_plain_files() {
    a_walk_survives(Form::Plain);
}

#[test]
fn every_page_of_a_walk_is_recorded_once_in_rotated_files() {
    a_walk_survives(Form::Rotated);
}

#[test]
fn every_page_of_a_walk_is_recorded_once_in_compressed_files() {
    a_walk_survives(Form::Gzip);
}

#[test]
fn every_page_of_a_walk_is_recorded_once_in_compressed_and_rotated_files() {
    a_walk_survives(Form::ZstdRotated);
}

#[test]
fn each_line_of_a_round_is_recorded_once_in_plain_files() {
    rounds_survive(Form::Plain);
}

#[test]
fn each_line_of_a_round_is_recorded_once_in_rotated_files() {
    rounds_survive(Form::Rotated);
}

#[test]
fn each_line_of_a_round_is_recorded_once_in_compressed_files() {
    rounds_survive(Form::Gzip);
}

#[test]
fn each_line_of_a_round_is_recorded_once_in_compressed_and_rotated_files() {
    rounds_survive(Form::ZstdRotated);
}

#[test]
fn every_line_that_is_pushed_with_a_key_is_recorded_once_with_the_number_that_was_answered() {
    const OF_PUSH: u32 = 40;
    let origin = Origin::start();
    let (mut push, mut seen, mut kills) = (Push::new(&origin), push::Seen::default(), 0);
    while kills < OF_PUSH || (kills < MOST_KILLS && !seen.all()) {
        let time = push.time();
        push.live_for(time, &mut seen);
        kills += 1;
    }
    push.account();
    assert!(seen.all(), "after {kills} kills the loop has not seen what it is for: {seen:?}");
}

#[test]
fn every_accepted_line_is_recorded_once_in_plain_files() {
    survives(Form::Plain);
}

#[test]
fn every_accepted_line_is_recorded_once_in_rotated_files() {
    survives(Form::Rotated);
}

#[test]
fn every_accepted_line_is_recorded_once_in_compressed_files() {
    survives(Form::Gzip);
}

#[test]
fn every_accepted_line_is_recorded_once_in_compressed_and_rotated_files() {
    survives(Form::ZstdRotated);
}

/// Kills of the loop that ships. A segment takes a second, so lives are longer there, and kills fewer.
const SHIPPING_KILLS: u32 = 30;

/// The most kills of that loop.
const MOST_SHIPPING_KILLS: u32 = 10 * SHIPPING_KILLS;

#[test]
fn every_accepted_line_arrives_at_a_webhook_and_repeats_have_the_same_id() {
    let origin = Origin::start();
    let mut shipping = Shipping::new(&origin, 7);
    let mut random = fastrand::Rng::with_seed(7);
    let mut kills = 0;
    while kills < SHIPPING_KILLS || (kills < MOST_SHIPPING_KILLS && !shipping.hits.all()) {
        shipping.live_for(Duration::from_millis(random.u64(100..2000)), random.u64(0..MOST_LINES));
        kills += 1;
        shipping.look();
    }
    shipping.finish();
    assert!(shipping.hits.all(), "after {kills} kills the loop has not seen what it is for: {:?}", shipping.hits);
}
