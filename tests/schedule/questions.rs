//! Questions cost little: no turn looks at more entries than it may, however many hosts and lines there are.

use std::sync::Arc;
use std::time::Duration;

use fetchd::schedule::{
    Change, Core, HostReport, HostScan, HostStatus, HostsBy, HostsQuery, LimitBy, LineAnswer, LineKey, NameFilter,
    Overrides, Remedy, Scanned, Scope, Settings, WaitReason,
};

use crate::items::{answered, answered_later, get, limits, ms};

/// More than any scan of one turn.
const MANY: u64 = 2_000;

fn many_hosts(settings: Settings) -> Core {
    let mut core = Core::new(settings);
    for ordinal in 0..MANY {
        core.push(get(ordinal, &format!("http://h{ordinal}.test/")), ms(0));
    }
    core
}

/// The answer, and how many turns it took.
fn scan(core: &Core, query: HostsQuery) -> (Vec<HostReport>, HostScan, usize) {
    let (mut scan, mut turns) = (HostScan::new(query), 1);
    loop {
        match core.scan_hosts(&mut scan, ms(10)) {
            Scanned::More(touched) => assert!(touched <= 512, "{touched} in one turn"),
            Scanned::Done(hosts) => return (hosts, scan, turns),
        }
        turns += 1;
    }
}

fn query(sort: HostsBy) -> HostsQuery {
    HostsQuery { sort, status: None, name: None, limit: 3 }
}

#[test]
fn a_look_at_all_hosts_takes_512_a_turn_and_counts_their_states() {
    let mut core = many_hosts(Settings::default());
    for ordinal in 0..3 {
        let job = core.take(ms(1)).expect("it starts");
        assert_eq!(job.ticket.ordinal, ordinal);
        if ordinal < 2 {
            core.complete(job, answered(500), ms(1), ms(2));
        }
    }
    let (hosts, counts, turns) = scan(&core, query(HostsBy::Errors));
    assert!(turns >= 4, "{turns}");
    assert_eq!(hosts.iter().map(|host| host.errors).collect::<Vec<_>>(), [1, 1, 0]);
    assert_eq!(counts.counts().of(HostStatus::Busy), 1);
    assert_eq!(counts.counts().of(HostStatus::Limited), 2, "they wait for their back-off");
    assert_eq!(counts.counts().of(HostStatus::Ready), MANY as usize - 3);
    assert_eq!(counts.matching(), MANY as usize);
    let suffix = HostsQuery { name: Some(NameFilter::Suffix("77.test".into())), ..query(HostsBy::InFlight) };
    assert_eq!(scan(&core, suffix).1.matching(), 20);
    let busy = HostsQuery { status: Some(HostStatus::Busy), ..query(HostsBy::Errors) };
    assert_eq!(scan(&core, busy).0.iter().map(|host| &*host.name).collect::<Vec<_>>(), ["h2.test"]);
}

#[test]
fn hosts_by_waiting_lines_and_single_hosts_need_no_look_at_all() {
    let mut core = many_hosts(Settings::default());
    core.push(get(MANY, "http://h7.test/"), ms(1));
    let most = core.hosts_at_once(&query(HostsBy::Waiting), ms(2)).expect("the index has it");
    assert_eq!((most.len(), &*most[0].name, most[0].waiting), (3, "h7.test", 2));
    let exact = HostsQuery { name: Some(NameFilter::Exact("h9.test".into())), ..query(HostsBy::Errors) };
    assert_eq!(core.hosts_at_once(&exact, ms(2)).map(|hosts| hosts.len()), Some(1));
    assert_eq!(core.hosts_at_once(&query(HostsBy::Errors), ms(2)), None);
}

#[test]
fn a_skip_and_a_reload_take_no_more_than_they_may_in_one_turn() {
    let mut core = Core::new(Settings::default());
    for ordinal in 0..MANY {
        core.push(get(ordinal, "http://a.test/"), ms(0));
    }
    assert_eq!(core.skip("a.test", ms(1)), MANY as usize);
    let mut turns = 0;
    while core.has_work() {
        assert!(core.work(ms(1)) <= 512);
        assert!(core.take(ms(1)).is_none(), "none of them starts");
        turns += 1;
    }
    assert!(turns >= 4, "{turns}");
    assert_eq!(std::iter::from_fn(|| core.take_settled()).count(), MANY as usize);

    let mut core = many_hosts(Settings::default());
    core.reconfigure(Settings { any_host: limits(1, ms(50)), ..Settings::default() }, ms(1));
    while core.has_work() {
        assert!(core.work(ms(1)) <= 256);
    }
    assert_eq!(core.host_report("h1999.test", ms(1)).map(|host| host.limits.every), Some(ms(50)));
}

fn answer(core: &Core, key: LineKey, now: Duration) -> Option<LineAnswer> {
    let mut scan = core.look_for(key);
    loop {
        match core.scan_lines(&mut scan, now) {
            Scanned::More(touched) => assert!(touched <= 512, "{touched} in one turn"),
            Scanned::Done(answer) => return answer,
        }
    }
}

#[test]
fn a_line_is_found_by_its_identity_wherever_it_is() {
    let mut core = Core::new(Settings { any_host: limits(1, ms(0)), ..Settings::default() });
    for ordinal in 0..MANY {
        core.push(get(ordinal, "http://a.test/"), ms(0));
    }
    let line = |seq| LineKey::Identity { source: None, file: None, seq };
    let job = core.take(ms(1)).expect("it starts");
    let host: Arc<str> = "a.test".into();
    let on_wire = LineAnswer::OnTheWire { ordinal: 0, host: Arc::clone(&host), since: ms(4) };
    assert_eq!(answer(&core, line(1), ms(5)), Some(on_wire));
    let waiting = |answer| match answer {
        LineAnswer::Waiting { ahead, causes, .. } => Some((ahead, causes)),
        _ => None,
    };
    let (ahead, causes) = answer(&core, line(MANY), ms(5)).and_then(waiting).expect("it waits");
    assert_eq!(ahead, MANY as usize - 2);
    assert_eq!(
        causes.iter().map(|cause| (cause.reason, cause.left, cause.remedy.clone())).collect::<Vec<_>>(),
        [(
            WaitReason::HostConcurrency { in_flight: 1, limit: 1 },
            None,
            Some(Remedy::Key { key: "hosts.concurrency", pattern: None, host: Some("a.test".into()) })
        )]
    );
    core.complete(job, answered(200), ms(1), ms(5));
    assert_eq!(answer(&core, line(1), ms(5)), Some(LineAnswer::WaitingForSink));
    while core.take_settled().is_some() {}
    assert_eq!(answer(&core, line(1), ms(5)), None);
    assert_eq!(answer(&core, LineKey::Identity { source: Some("x".into()), file: None, seq: 2 }, ms(5)), None);
}

#[test]
fn lines_that_start_before_one_are_counted_512_a_turn() {
    let mut core = Core::new(Settings { any_host: limits(MANY as u32, ms(0)), ..Settings::default() });
    (0..MANY).for_each(|ordinal| core.push(get(ordinal, "http://a.test/"), ms(0)));
    let jobs: Vec<_> = std::iter::from_fn(|| core.take(ms(0))).collect();
    jobs.into_iter().for_each(|job| core.complete(job, answered_later(503, ms(9_000)), ms(1), ms(1)));
    core.push(get(MANY, "http://a.test/"), ms(2));
    let ahead = |core: &Core, seq, now| match answer(core, LineKey::Identity { source: None, file: None, seq }, now) {
        Some(LineAnswer::Waiting { ahead, .. }) => ahead as u64,
        other => panic!("{other:?}"),
    };
    assert_eq!([1, 2, 1_500, MANY].map(|seq| ahead(&core, seq, ms(9_500))), [0, 1, 1_499, MANY - 1]);
    assert_eq!(ahead(&core, MANY + 1, ms(9_500)), MANY, "those that are due go first");
    assert_eq!([1, MANY, MANY + 1].map(|seq| ahead(&core, seq, ms(3))), [1, MANY, 0], "none of them is due yet");
}

#[test]
fn a_line_that_leaves_while_others_are_counted_is_found_where_it_has_gone() {
    let mut core = Core::new(Settings { any_host: limits(MANY as u32, ms(0)), ..Settings::default() });
    (0..MANY).for_each(|ordinal| core.push(get(ordinal, "http://a.test/"), ms(0)));
    let jobs: Vec<_> = std::iter::from_fn(|| core.take(ms(0))).collect();
    jobs.into_iter().for_each(|job| core.complete(job, answered_later(503, ms(9_000)), ms(1), ms(1)));
    let mut scan = core.look_for(LineKey::Identity { source: None, file: None, seq: MANY });
    for _ in 0..5 {
        assert!(matches!(core.scan_lines(&mut scan, ms(3)), Scanned::More(_)));
    }
    core.give_up(ms(4));
    let answer = loop {
        if let Scanned::Done(answer) = core.scan_lines(&mut scan, ms(5)) {
            break answer;
        }
    };
    assert_eq!(answer, Some(LineAnswer::WaitingForSink));
}

#[test]
fn why_names_every_cause_with_its_end_and_what_would_change_it() {
    let mut core = Core::new(Settings { any_host: limits(1, ms(100)), every: ms(50), ..Settings::default() });
    for ordinal in 0..3 {
        core.push(get(ordinal, "http://a.test/"), ms(0));
    }
    let _job = core.take(ms(1000)).expect("it starts");
    let pause = Change::Pause(Scope::Host("a.test".into()), Some(ms(5000)));
    core.set_overrides(&Overrides::default().apply(pause, 8, ms(1001)).expect("it makes sense"), ms(1001));
    let why = core.host_why("a.test", ms(1010)).expect("it has lines");
    assert_eq!((why.waiting, why.in_flight), (2, 1));
    let causes: Vec<_> = why.causes.iter().map(|cause| (cause.reason.name(), cause.left)).collect();
    let slack = fetchd::schedule::SLACK;
    assert_eq!(
        causes,
        [
            ("rate", Some(ms(40) - slack)),
            ("paused", Some(ms(3990))),
            ("host_concurrency", None),
            ("host_rate", Some(ms(90) - slack)),
        ]
    );
    let resume = Remedy::Resume { host: Some("a.test".into()) };
    assert_eq!(why.causes[1].remedy, Some(resume));
    let report = core.host_report("a.test", ms(1010)).expect("it is there");
    assert_eq!((report.status, report.limits.every_by), (HostStatus::Paused, LimitBy::Configuration));
    assert_eq!(report.next_start, None, "a request on the wire has to end first");
}

#[test]
fn raising_the_key_that_is_named_lets_the_line_start() {
    type Raise = fn(&mut Settings);
    let cases: [(Settings, &str, Raise); 4] = [
        (Settings { every: ms(500), ..Settings::default() }, "limits.rate", |settings| settings.every = ms(0)),
        (Settings { any_host: limits(8, ms(500)), ..Settings::default() }, "hosts.rate", |settings| {
            settings.any_host.every = ms(0);
        }),
        (Settings { any_host: limits(1, ms(0)), ..Settings::default() }, "hosts.concurrency", |settings| {
            settings.any_host = limits(2, ms(0));
        }),
        (Settings { adaptive: Some(1), ..Settings::default() }, "limits.max_concurrency", |settings| {
            settings.adaptive = None;
        }),
    ];
    for (settings, key, raise) in cases {
        let mut core = Core::new(settings.clone());
        core.push(get(0, "http://a.test/"), ms(0));
        core.push(get(1, "http://a.test/"), ms(0));
        let _first = core.take(ms(1000)).expect("it starts");
        let why = core.host_why("a.test", ms(1001)).expect("it has lines");
        let named: Vec<_> = why.causes.iter().map(|cause| cause.remedy.clone()).collect();
        let host = key.starts_with("hosts.").then(|| "a.test".into());
        assert_eq!(named, [Some(Remedy::Key { key, pattern: None, host })]);
        assert!(core.take(ms(1001)).is_none());
        let mut raised = settings;
        raise(&mut raised);
        core.reconfigure(raised, ms(1002));
        while core.has_work() {
            core.work(ms(1002));
        }
        assert!(core.take(ms(1002)).is_some(), "{key}");
    }
}
