//! The states of hosts on their way through a checkpoint: by wall-clock time, which may jump.

use std::time::Duration;

use fetchd::item::ErrorKind;
use fetchd::schedule::{HostState, OpenCircuit};
use fetchd::state::{from_stored, to_stored};
use jiff::Timestamp;
use proptest::prelude::*;

/// Nothing is remembered for longer.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn paused(for_so_long: Duration) -> HostState {
    HostState { host: "a.test".into(), paused: for_so_long, closed: Duration::ZERO, unreachable: vec![] }
}

/// What is read at a later moment, after the way through a file.
fn read(host_states: &[HostState], now: Timestamp) -> Vec<HostState> {
    let text = serde_json::to_string(&to_stored(host_states, at(0))).unwrap();
    from_stored(&serde_json::from_str(&text).unwrap(), now)
}

fn any_trouble() -> impl Strategy<Value = HostState> {
    let length = || (0u64..1000, 0u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos));
    let kind = prop::sample::select(ErrorKind::ALL.to_vec());
    let circuit = (length(), length(), 1u64..1000, kind, ".*");
    let unreachable = prop::collection::btree_map(any::<u16>(), circuit, 0..3).prop_map(|circuits| {
        let open = |(port, (tried, probe, remembered, kind, message))| OpenCircuit {
            port,
            tried,
            probe,
            remembered: secs(remembered),
            last_error: (kind, message),
        };
        circuits.into_iter().map(open).collect()
    });
    (1u64..1000, length(), unreachable).prop_map(|(paused, closed, unreachable)| HostState {
        host: "a.test".into(),
        paused: secs(paused),
        closed,
        unreachable,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(host_state in any_trouble()) {
        prop_assert_eq!(read(std::slice::from_ref(&host_state), at(0)), std::slice::from_ref(&host_state));
    }

    #[test]
    fn no_clock_makes_a_pause_longer_than_it_was(length in 1u64..1000, now in -100_000i64..100_000) {
        let left = read(&[paused(secs(length))], at(now)).first().map(|known| known.paused).unwrap_or_default();
        prop_assert_eq!(left, secs(length.saturating_sub(now.max(0) as u64)));
    }
}

#[test]
fn a_pause_for_ever_ends_after_a_year() {
    let left = read(&[paused(Duration::MAX)], at(10));
    assert_eq!(left[0].paused, LONGEST - secs(10));
}

#[test]
fn a_circuit_that_is_not_worth_remembering_any_more_is_forgotten() {
    let last_error = (ErrorKind::Reset, "reset".to_owned());
    let lost = OpenCircuit { port: 81, tried: secs(9), probe: secs(5), remembered: secs(60), last_error };
    let known = [HostState { unreachable: vec![lost], ..paused(secs(70)) }];
    let left = read(&known, at(59));
    assert_eq!(
        left[0].unreachable.iter().map(|lost| (lost.port, lost.tried, lost.probe)).collect::<Vec<_>>(),
        [(81, secs(9), Duration::ZERO)]
    );
    assert_eq!(read(&known, at(60)), [paused(secs(10))]);
}
