//! The first three sentences of every view of a run: progress, bottleneck and ETA. They use the figures of the progress
//! line, so both always agree.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::Stats;
use super::human::human;
use super::progress_text::Figures;
use crate::pipeline::{RunState, Status, View};
use crate::schedule::{BottleneckKind, Eta, HeldLines, InputEnd};
use crate::source::SourceView;
use crate::units::{counted, grouped, rate_of};

/// Three sentences about a run, each with a full stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sentences {
    /// Progress, speed and records that are not ok.
    pub how_it_is: String,
    /// The bottleneck, with the key or command that changes it.
    pub waits_for: String,
    /// The remaining time.
    pub done_when: String,
}

impl Sentences {
    /// The sentences about a run with this rate of records per second.
    pub fn of(status: &Status, stats: &Stats, rate: f64) -> Self {
        let figures = Figures::of(status, stats, rate);
        let view = status.view().clone();
        let state = match status.lifecycle().state() {
            RunState::Starting => "Starting",
            RunState::Running if view.overrides.all.pause.is_some() => "Paused",
            RunState::Running => "Running",
            RunState::Draining { .. } => "Draining",
            RunState::Ended => "Ended",
        };
        Self {
            how_it_is: format!("{state}: {}{}.", figures.amounts(), done_before(status)),
            waits_for: figures
                .limit()
                .map_or_else(|| "It is too early to say what it waits for.".to_owned(), |limit| sentence(&limit))
                + &without_token(&view).unwrap_or_default()
                + &full_window(&view).unwrap_or_default(),
            done_when: figures.left().map_or_else(|| without_end(&view), |left| sentence(&left)) + &in_journals(status),
        }
    }
}

/// The lines that are done by earlier runs.
fn done_before(status: &Status) -> String {
    match status.sources().iter().filter_map(|source| Some(source.known.as_ref()?.count())).sum() {
        0 => String::new(),
        lines => format!(" · {} done before", grouped(lines)),
    }
}

/// The lines that wait for a token, next to a host that is slower.
fn without_token(view: &View) -> Option<String> {
    let HeldLines { host, hosts, all, .. } = view.token_waits.as_ref()?;
    let is_said = view.bottleneck.as_ref().is_some_and(|limit| limit.kind == BottleneckKind::Token);
    let (wait, lines) = (if *all == 1 { "waits" } else { "wait" }, counted(*all as u64, "line"));
    let whose = match hosts {
        1 => format!("{host} (fetchd ctl why {host})"),
        hosts => format!("{} hosts (fetchd ctl hosts --state token)", grouped(*hosts as u64)),
    };
    (!is_said).then(|| format!(" Besides, {lines} of {whose} {wait} for a new token."))
}

/// What a full window costs hosts whose lines are not in it, and the host whose lines fill half of it or more. A list
/// says that of its window itself.
fn full_window(view: &View) -> Option<String> {
    if !view.is_window_full() || view.input == InputEnd::Known {
        return None;
    }
    let window = grouped(view.window as u64);
    let work = view.waiting_work.as_ref().filter(|work| 2 * work.lines >= view.window);
    Some(match work.and_then(|work| Some((work.host.as_ref()?, grouped(work.lines as u64)))) {
        Some((host, lines)) => {
            let is_paused = view.overrides.hosts.get(host).is_some_and(|of_host| of_host.pause.is_some());
            let way = match &view.bottleneck {
                _ if is_paused => "resume the host",
                Some(limit) if limit.kind == BottleneckKind::Token => "give it a new token",
                _ => "speed the host up",
            };
            format!(
                " Lines of {host} are {lines} of the {window} in the window, so lines of other hosts wait to be accepted; \
                 {way}, skip its lines, or raise queue.window."
            )
        }
        None => format!(" The window is full ({window} lines), so new lines wait to be accepted (queue.window)."),
    })
}

/// The lines that wait in journals until the window has room. Their hosts are unknown until then.
fn in_journals(status: &Status) -> String {
    match status.sources().iter().map(SourceView::waiting_in_journal).sum() {
        0 => String::new(),
        1 => " 1 more line waits in the journal, so it takes longer in all.".to_owned(),
        lines => format!(" {} more lines wait in the journal, so it takes longer in all.", grouped(lines)),
    }
}

/// When what waits is done, where nobody can say when the run is.
fn without_end(view: &View) -> String {
    let counts = view.counts;
    if view.input == InputEnd::Known {
        return "It is too early to say when it will be done.".to_owned();
    }
    let Some(work) = &view.waiting_work else {
        let none_waits = counts.waiting + counts.in_flight == 0;
        let is_blocked = view.bottleneck.as_ref().is_some_and(|limit| limit.kind == BottleneckKind::Sink);
        let rest = match none_waits {
            true if is_blocked => "records wait for the output",
            true => "no line waits",
            false => "it is too early to say how long the lines take that wait",
        };
        return format!("The input has no end, and {rest}.");
    };
    let takes = match work.takes {
        Eta::AtLeast(time) => format!("at least {}", human(time)),
        Eta::About(time) if time < Duration::from_secs(1) => "less than a second".to_owned(),
        Eta::About(time) => format!("about {}", human(time)),
    };
    let rate = work.per_second.map(|rate| format!(" at {}/s", rate_of(rate))).unwrap_or_default();
    let whose = work.host.as_ref().map(|host| format!("{host}: ")).unwrap_or_default();
    let lines = counted(work.lines as u64, "line");
    let is_paused = |host: &Arc<str>| view.overrides.hosts.get(host).is_some_and(|of_host| of_host.pause.is_some());
    let apart = match (&view.overrides.all.pause, &view.paused) {
        (Some(_), _) => " once the run is resumed",
        // A pause with an end counts.
        (None, Some(_)) if work.host.as_ref().is_some_and(is_paused) => " with the pause of its host",
        (None, Some(_)) => ", paused hosts apart",
        (None, None) if view.token_waits.is_some() && matches!(work.takes, Eta::About(_)) => {
            ", without the lines that wait for a token"
        }
        (None, None) => "",
    };
    format!("The input has no end; the lines in the window take {takes}{apart} ({whose}{lines}{rate}).")
}

/// Makes a sentence of a clause of the progress line.
fn sentence(clause: &str) -> String {
    let mut rest = clause.chars();
    let first = rest.next().map(char::to_uppercase);
    let mut sentence: String = first.into_iter().flatten().collect();
    sentence.push_str(rest.as_str());
    sentence.push('.');
    sentence
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::schedule::{Bottleneck, Counts, HostOverrides, LimitBy, Overrides, PauseOverride, WaitingWork};

    #[test]
    fn a_full_window_is_named_where_the_input_has_no_end_and_the_host_that_fills_it() {
        let work = |lines| {
            Some(WaitingWork {
                takes: Eta::About(Duration::from_secs(1)),
                lines,
                host: Some("a.test".into()),
                per_second: None,
            })
        };
        let view = |lines, in_window, input| View {
            waiting_work: work(lines),
            in_window,
            window: 100,
            input,
            ..View::default()
        };
        let said = |lines| full_window(&view(lines, 100, InputEnd::Unknown)).unwrap_or_default();
        assert!(said(60).starts_with(" Lines of a.test are 60 of the 100 in the window,"), "{}", said(60));
        assert!(said(40).starts_with(" The window is full (100 lines), so new lines wait"), "{}", said(40));
        let of_host = HostOverrides { pause: Some(PauseOverride { until: None }), ..HostOverrides::default() };
        let hosts = [("a.test".into(), of_host)].into();
        let overrides = Arc::new(Overrides { hosts, ..Overrides::default() });
        let paused = full_window(&View { overrides, ..view(60, 100, InputEnd::Unknown) }).unwrap_or_default();
        assert!(paused.contains("; resume the host, skip its lines, or raise queue.window."), "{paused}");
        for quiet in [view(60, 99, InputEnd::Unknown), view(60, 100, InputEnd::Known), View::default()] {
            assert_eq!(full_window(&quiet), None);
        }
    }

    #[test]
    fn where_the_input_has_no_end_the_last_sentence_is_of_the_lines_that_wait() {
        let work = WaitingWork {
            takes: Eta::About(Duration::from_secs(222)),
            lines: 420,
            host: Some("127.0.0.3".into()),
            per_second: Some(2.0),
        };
        let counts = Counts { waiting: 500, ..Counts::default() };
        let view = |waiting_work| View { input: InputEnd::Unknown, counts, waiting_work, ..View::default() };
        assert_eq!(
            without_end(&view(Some(work.clone()))),
            "The input has no end; the lines in the window take about 3 min 42 s (127.0.0.3: 420 lines at 2/s)."
        );
        let of_run =
            WaitingWork { takes: Eta::About(Duration::from_millis(300)), host: None, per_second: None, ..work };
        assert_eq!(
            without_end(&view(Some(of_run.clone()))),
            "The input has no end; the lines in the window take less than a second (420 lines)."
        );
        let all = HostOverrides { pause: Some(PauseOverride { until: None }), ..HostOverrides::default() };
        let overrides = Arc::new(Overrides { all, ..Overrides::default() });
        let paused = without_end(&View { overrides, ..view(Some(of_run)) });
        assert!(paused.contains(" take less than a second once the run is resumed (420 lines)."), "{paused}");
        let token_waits = Some(HeldLines { host: "b.test".into(), lines: 7, hosts: 1, all: 7 });
        let without_token = without_end(&View { token_waits, ..view(Some(work)) });
        assert!(
            without_token.contains(" about 3 min 42 s, without the lines that wait for a token (127.0.0.3:"),
            "{without_token}"
        );
        let token_waits = |hosts| Some(HeldLines { host: "b.test".into(), lines: 7, hosts, all: 9 });
        let said = |hosts| super::without_token(&View { token_waits: token_waits(hosts), ..View::default() });
        assert_eq!(
            said(1).as_deref(),
            Some(" Besides, 9 lines of b.test (fetchd ctl why b.test) wait for a new token.")
        );
        assert!(said(2).is_some_and(|said| said.contains(" of 2 hosts (fetchd ctl hosts --state token) wait")));
        assert!(without_end(&view(None)).contains("too early to say how long the lines take that wait"));
        let idle = View { counts: Counts::default(), ..view(None) };
        assert_eq!(without_end(&idle), "The input has no end, and no line waits.");
    }

    #[test]
    fn a_limit_that_an_operator_has_set_names_the_command_that_changes_it() {
        let named = |kind: BottleneckKind, host: Option<&str>| {
            let host = host.map(Into::into);
            let bottleneck = Bottleneck { host, set_by: LimitBy::Override, limit: Some(4), ..kind.into() };
            let status = Status::default();
            status.publish(View { bottleneck: Some(bottleneck), ..View::default() });
            Sentences::of(&status, &Stats::default(), 0.0).waits_for
        };
        assert_eq!(
            named(BottleneckKind::HostConcurrency, Some("a.test")),
            "Limited by host-concurrency 4 of a.test (set by an operator; fetchd ctl limits a.test --concurrency N)."
        );
        assert_eq!(
            named(BottleneckKind::Rate, None),
            "Limited by rate (set by an operator; fetchd ctl limits --all --rate N/s)."
        );
        assert_eq!(named(BottleneckKind::Paused, None), "Paused by an operator (fetchd ctl resume).");
    }

    #[test]
    fn the_sentences_say_what_the_progress_line_says() {
        let (status, stats) = (Status::default(), Stats::default());
        let sentences = Sentences::of(&status, &stats, 0.0);
        assert_eq!(sentences.how_it_is, "Starting: 0 done · 0.0/s · 0 on the wire · 0 waiting · 0 not ok.");
        assert_eq!(sentences.waits_for, "It is too early to say what it waits for.");
        assert_eq!(sentences.done_when, "It is too early to say when it will be done.");
        status.counters().accepted.add(12_345 + 16_384);
        status.counters().recorded.add(12_345);
        status.publish(View {
            as_of: Some(Instant::now()),
            counts: Counts { waiting: 16_304, in_flight: 80, ..Counts::default() },
            eta: Some(Eta::AtLeast(Duration::from_secs(7200))),
            bottleneck: Some(Bottleneck { host: Some("a.test".into()), ..BottleneckKind::HostRate.into() }),
            ..View::default()
        });
        let sentences = Sentences::of(&status, &stats, 120.0);
        assert_eq!(sentences.how_it_is, "Starting: 12,345 done · 120/s · 80 on the wire · 16,304 waiting · 0 not ok.");
        assert_eq!(sentences.waits_for, "Limited by host-rate of a.test (--host-rate).");
        assert_eq!(sentences.done_when, "At least 1 h 59 min left.");
        let line = Figures::of(&status, &stats, 120.0).text(200).to_lowercase();
        for sentence in [sentences.waits_for, sentences.done_when] {
            assert!(line.contains(sentence.to_lowercase().trim_end_matches('.')), "{line}: {sentence}");
        }
    }
}
