//! The text of the progress line for a width. The least important parts are left out first; done, not ok and the ETA
//! stay.

use std::time::Duration;

use super::Stats;
use super::human::{human, per_second};
use super::limit_name::{LimitFlags, LimitName, is_statement};
use crate::pipeline::Status;
use crate::schedule::{Bottleneck, Eta};
use crate::units::{grouped, rounded};

/// The contents of the progress line.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub done: u64,
    /// Records a second.
    pub rate: f64,
    pub on_wire: u64,
    pub waiting: u64,
    pub not_ok: u64,
    pub eta: Option<Eta>,
    /// The bottleneck.
    pub cause: Option<Cause>,
}

/// The last part of the line.
#[derive(Clone, Debug)]
pub(super) enum Cause {
    /// The limit of the run.
    Limit(LimitName),
    /// A whole statement.
    Tail(LimitName),
}

impl Cause {
    pub fn of(bottleneck: &Bottleneck, flags: &LimitFlags) -> Self {
        let name = LimitName::of(bottleneck, flags);
        if is_statement(bottleneck) { Self::Tail(name) } else { Self::Limit(name) }
    }
}

/// Levels of detail, in descending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    All,
    /// Without the key that changes the limit.
    NoKey,
    ShortWords,
    NoWaiting,
    NoWire,
    ShortHost,
    ShortNumbers,
    /// Only the host of a limit.
    HostAlone,
    NoRate,
    NoCause,
}

impl Detail {
    const ALL: [Self; 10] = [
        Self::All,
        Self::NoKey,
        Self::ShortWords,
        Self::NoWaiting,
        Self::NoWire,
        Self::ShortHost,
        Self::ShortNumbers,
        Self::HostAlone,
        Self::NoRate,
        Self::NoCause,
    ];
}

impl Figures {
    /// The figures of a run with this rate of records per second.
    pub fn of(status: &Status, stats: &Stats, rate: f64) -> Self {
        let (lines, view) = (status.line_counts(), status.view().clone());
        let tail =
            view.tail().map(|tail| Cause::Tail(LimitName::of_tail(tail.hosts, tail.lines, tail.at_most.as_secs_f64())));
        let limit = || view.bottleneck.as_ref().map(|bottleneck| Cause::of(bottleneck, stats.flags()));
        Self {
            done: lines.recorded,
            rate,
            on_wire: lines.in_flight,
            waiting: lines.waiting,
            not_ok: stats.not_ok(),
            eta: view.eta(),
            cause: tail.or_else(limit),
        }
    }

    /// The first parts of the line: progress and speed.
    pub fn amounts(&self) -> String {
        self.parts(Detail::All)[..5].iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" · ")
    }

    /// The bottleneck in full.
    pub fn limit(&self) -> Option<String> {
        self.cause.as_ref().map(|cause| cause.in_detail(Detail::All))
    }

    /// The remaining time.
    pub fn left(&self) -> Option<String> {
        self.eta.map(long_eta)
    }

    /// The text in at most `columns` columns.
    pub fn text(&self, columns: usize) -> String {
        let mut texts = Detail::ALL.into_iter().map(|detail| self.in_detail(detail));
        let fitting = texts.find(|text| text.chars().count() <= columns);
        fitting.unwrap_or_else(|| self.in_detail(Detail::NoCause).chars().take(columns).collect())
    }

    fn in_detail(&self, detail: Detail) -> String {
        self.parts(detail).into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }

    fn parts(&self, detail: Detail) -> [Option<String>; 7] {
        let is_short = detail >= Detail::ShortWords;
        let number = |n| if detail >= Detail::ShortNumbers { rounded(n) } else { grouped(n) };
        let wire = if is_short { "wire" } else { "on the wire" };
        [
            Some(format!("{} done", number(self.done))),
            (detail < Detail::NoRate).then(|| format!("{}/s", per_second(self.rate))),
            (detail < Detail::NoWire).then(|| format!("{} {wire}", grouped(self.on_wire))),
            (detail < Detail::NoWaiting).then(|| format!("{} waiting", grouped(self.waiting))),
            Some(format!("{} not ok", number(self.not_ok))),
            self.eta.map(|eta| if is_short { short_eta(eta) } else { long_eta(eta) }),
            self.cause.as_ref().filter(|_| detail < Detail::NoCause).map(|cause| cause.in_detail(detail)),
        ]
    }
}

impl Cause {
    fn in_detail(&self, detail: Detail) -> String {
        let host_columns = match detail {
            Detail::ShortHost => 20,
            Detail::ShortNumbers => 10,
            _ => 40,
        };
        match (self, detail) {
            (Self::Limit(name), Detail::All) => format!("limited by {name}"),
            (Self::Limit(name), Detail::NoKey) => format!("limited by {}", name.short(host_columns)),
            (Self::Tail(name), Detail::All) => name.to_string(),
            (Self::Limit(name) | Self::Tail(name), Detail::HostAlone | Detail::NoRate) => name.host_alone(20),
            (Self::Limit(name) | Self::Tail(name), _) => name.short(host_columns),
        }
    }
}

fn long_eta(eta: Eta) -> String {
    match eta {
        Eta::About(left) if left < Duration::from_secs(1) => "under 1 s left".to_owned(),
        Eta::About(left) => format!("{} left", human(left)),
        Eta::AtLeast(left) => format!("at least {} left", human(left)),
    }
}

fn short_eta(eta: Eta) -> String {
    match eta {
        Eta::About(left) if left < Duration::from_secs(1) => "< 1 s left".to_owned(),
        Eta::About(left) => format!("{} left", in_one_unit(left)),
        Eta::AtLeast(left) => format!("≥ {} left", in_one_unit(left)),
    }
}

fn in_one_unit(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s => format!("{} h", rounded(s / 3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Bottleneck, BottleneckKind};
    use proptest::prelude::*;

    fn limit(host: &str) -> Option<Cause> {
        let kind = BottleneckKind::HostConcurrency;
        let bottleneck = Bottleneck { host: Some(host.into()), limit: Some(8), ..kind.into() };
        Some(Cause::Limit(LimitName::of(&bottleneck, &LimitFlags::All)))
    }

    fn usual() -> Figures {
        let eta = Some(Eta::About(Duration::from_secs(750)));
        let (done, rate, on_wire, waiting, not_ok) = (12_345, 120.0, 80, 16_304, 12);
        Figures { done, rate, on_wire, waiting, not_ok, eta, cause: limit("api.example.com") }
    }

    #[test]
    fn what_matters_least_goes_first() {
        let texts = [
            (
                200,
                "12,345 done · 120/s · 80 on the wire · 16,304 waiting · 12 not ok · 12 min 30 s left · limited by \
                 host-concurrency 8 of api.example.com (--host-concurrency)",
            ),
            (
                140,
                "12,345 done · 120/s · 80 on the wire · 16,304 waiting · 12 not ok · 12 min 30 s left · limited by \
                 host-concurrency 8 of api.example.com",
            ),
            (
                120,
                "12,345 done · 120/s · 80 wire · 16,304 waiting · 12 not ok · 12 min left · host-concurrency 8 of \
                 api.example.com",
            ),
            (100, "12,345 done · 120/s · 80 wire · 12 not ok · 12 min left · host-concurrency 8 of api.example.com"),
            (90, "12,345 done · 120/s · 12 not ok · 12 min left · host-concurrency 8 of api.example.com"),
            (80, "12.3k done · 120/s · 12 not ok · 12 min left · host-concurrency 8 of api.e….com"),
            (65, "12.3k done · 120/s · 12 not ok · 12 min left · api.example.com"),
            (55, "12.3k done · 12 not ok · 12 min left · api.example.com"),
            (40, "12.3k done · 12 not ok · 12 min left"),
            (20, "12.3k done · 12 not "),
        ];
        for (columns, text) in texts {
            assert_eq!(usual().text(columns), text);
        }
        let cause = Some(Cause::Tail(LimitName::of_tail(6, 112, 47.2)));
        let tail = Figures { cause, eta: Some(Eta::AtLeast(Duration::from_secs(48))), ..usual() };
        assert!(tail.text(200).ends_with(" · 6 hosts, 112 lines wait for health.give_up, at most 48 s more"));
        assert!(tail.text(200).contains(" · at least 48.0 s left · "), "{}", tail.text(200));
        let soon = Figures { eta: Some(Eta::About(Duration::from_millis(3))), cause: None, ..usual() };
        assert!(soon.text(200).ends_with(" · under 1 s left") && soon.text(60).ends_with(" · < 1 s left"));
        assert!(tail.text(90).ends_with(" · ≥ 48 s left · 6 hosts, 112 lines wait for health.give_up"));
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal_and_what_matters_is_in_it(
            columns in 40usize..=200, done in 0u64..2_000_000_000, not_ok in 0u64..2_000_000_000, waiting in 0u64..1_000_000,
            rate in 0f64..50_000.0, on_wire in 0u64..10_000, left in prop::option::of(1u64..1_000_000), host in "[a-z.]{1,120}",
            is_bound in any::<bool>(),
        ) {
            let left = left.map(Duration::from_secs);
            let eta = left.map(|left| if is_bound { Eta::AtLeast(left) } else { Eta::About(left) });
            let text = Figures { done, rate, on_wire, waiting, not_ok, eta, cause: limit(&host) }.text(columns);
            prop_assert!(text.chars().count() <= columns, "{text}");
            prop_assert!(text.contains(" done") && text.contains(" not ok"), "{text}");
            prop_assert_eq!(text.contains(" left"), eta.is_some(), "{}", text);
            prop_assert_eq!(is_bound && eta.is_some(), text.contains("at least ") || text.contains("≥ "), "{}", text);
        }

        #[test]
        fn eighty_columns_are_enough_for_the_figures_and_the_host(
            done in 0u64..10_000_000, not_ok in 0u64..100_000, rate in 0f64..20_000.0, left in 0u64..1_000_000,
            host in "[a-z.]{20,120}",
        ) {
            let eta = Some(Eta::AtLeast(Duration::from_secs(left)));
            let text = Figures { done, rate, not_ok, eta, cause: limit(&host), ..Figures::default() }.text(80);
            let shown = text.rsplit(' ').next().unwrap_or_default();
            let mut ends = shown.split('…');
            let (head, tail) = (ends.next().unwrap_or_default(), ends.next().unwrap_or_default());
            prop_assert!(text.contains("/s · ") && text.chars().count() <= 80, "{text}");
            prop_assert!(head.len() >= 5 && host.starts_with(head) && host.ends_with(tail), "{text}");
        }
    }
}
