//! How fast a host is asked, by its own log: never above its rate, with redirects and retries.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use crate::common::origin::{Origin, Step, ok_with, send};
use crate::scene::fetchd;

/// What may be between the start of a request and the moment when the server has read it.
const ON_THE_WAY: Duration = Duration::from_millis(50);

/// What a server does about a line.
#[derive(Clone, Copy, Debug)]
enum Reply {
    Answers,
    FailsOnce,
    Resets,
    AsksForNothing,
    Redirects,
    Dawdles,
}

impl Reply {
    fn at(self, origin: &Origin, n: usize) -> String {
        let ok = || vec![send(ok_with("", b"at last"))];
        let path = format!("/{self:?}/{n}");
        match self {
            Self::Answers => origin.url(&format!("/ok/{n}")),
            Self::FailsOnce => origin.url(&format!("/flaky/1?{n}")),
            Self::Resets => origin.play_in_turn(&path, [vec![Step::Reset], vec![Step::Reset], ok()]),
            Self::AsksForNothing => origin.url(&format!("/retry-after/429/0?{n}")),
            Self::Redirects => origin.redirect(302, &origin.redirect(307, &origin.url(&format!("/ok/{n}")))),
            Self::Dawdles => origin.url(&format!("/slow/120?{n}")),
        }
    }
}

fn replies() -> impl Strategy<Value = Vec<Reply>> {
    use Reply::{Answers, AsksForNothing, Dawdles, FailsOnce, Redirects, Resets};
    let reply = prop::sample::select(vec![Answers, FailsOnce, Resets, AsksForNothing, Redirects, Dawdles]);
    prop::collection::vec(reply, 10..20)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4, ..ProptestConfig::with_cases(5) })]

    #[test]
    fn no_window_of_time_sees_more_requests_than_the_rate_allows(replies in replies(), rate in 30..60_u32) {
        let origin = Origin::start();
        let lines: Vec<_> = replies.iter().enumerate().map(|(n, reply)| reply.at(&origin, n)).collect();
        let run = || fetchd(["--host-rate", &format!("{rate}/s")], "").run(lines.join("\n"));
        let (ended, delay) = while_measuring_delays(run);
        prop_assert_eq!(ended.count("ok"), lines.len());
        let starts: Vec<_> = origin.requests().into_iter().map(|request| request.at).collect();
        // A busy machine may delay the client's thread, and then the server's.
        assert_spaced(&starts, Duration::from_secs(1) / rate, ON_THE_WAY + 2 * delay)?;
    }
}

/// Does something, and says how long this machine kept a thread waiting meanwhile that had asked for a millisecond.
fn while_measuring_delays<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    const NAP: Duration = Duration::from_millis(1);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let delays = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let start = Instant::now();
                std::thread::sleep(NAP);
                longest = longest.max(start.elapsed().saturating_sub(NAP));
            }
            longest
        });
        let result = act();
        done.store(true, Ordering::Relaxed);
        (result, delays.join().unwrap())
    })
}

/// Any window `w` sees at most `rate × (w + slack) + 1` starts.
fn assert_spaced(starts: &[Instant], every: Duration, slack: Duration) -> Result<(), TestCaseError> {
    for (i, from) in starts.iter().enumerate() {
        for (n, to) in (0..).zip(&starts[i..]) {
            let window = *to - *from;
            prop_assert!(every * n <= window + slack, "{} requests within {window:?}, slack {slack:?}", n + 1);
        }
    }
    Ok(())
}
