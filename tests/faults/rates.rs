//! How fast a host is asked, by its own log: never above its rate, with redirects and retries.

use std::time::Duration;

use proptest::prelude::*;

use crate::common::origin::{Origin, Request, Step, ok_with, send};
use crate::scenario::fetchd;

/// What may be between the start of a request and its arrival.
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
        let ended = fetchd(["--host-rate", &format!("{rate}/s")], "").run(lines.join("\n"));
        prop_assert_eq!(ended.count("ok"), lines.len());
        assert_spaced(&origin.requests(), Duration::from_secs(1) / rate)?;
    }
}

/// Any window `w` sees at most `rate × (w + ON_THE_WAY) + 1` requests.
fn assert_spaced(requests: &[Request], every: Duration) -> Result<(), TestCaseError> {
    for (i, first) in requests.iter().enumerate() {
        for (n, last) in (1..).zip(&requests[i + 1..]) {
            let window = last.at - first.not_before;
            prop_assert!(every * n <= window + ON_THE_WAY, "{} requests within {window:?}", n + 1);
        }
    }
    Ok(())
}
