//! Who goes before whom.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use crate::items::limits;
use crate::oracle::Oracle;
use crate::script::{HOSTS, Picks, Reply, Script, scripts};
use crate::world::{What, play};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn between_two_turns_of_a_ready_host_no_other_gets_more_than_one(script in scripts()) {
        let script = with_ready_hosts(script);
        let mut waiting = [0; HOSTS];
        // How many turns the other hosts had since this one was ready or had its own.
        let mut overtaken = [[0; HOSTS]; HOSTS];
        for event in play(&script) {
            match event.what {
                What::Pushed { host, .. } => {
                    if waiting[host] == 0 {
                        overtaken[host] = [0; HOSTS];
                    }
                    waiting[host] += 1;
                }
                What::Started { host, .. } => {
                    waiting[host] -= 1;
                    overtaken[host] = [0; HOSTS];
                    for other in (0..HOSTS).filter(|other| *other != host && waiting[*other] > 0) {
                        overtaken[other][host] += 1;
                        prop_assert!(overtaken[other][host] <= 1, "host {host} overtakes host {other}");
                    }
                }
                _ => {}
            }
        }
    }

    #[test]
    fn due_retries_and_hops_go_before_fresh_lines_of_their_host(script in scripts()) {
        let script = Script { picks: Picks::InTurn, ..script.without_backoff() };
        let mut oracle = Oracle::new(&script);
        let mut sent = BTreeSet::new();
        // Lines that were refused once, and hosts at which one was refused again: there, one fresh line may go first.
        let (mut refused, mut may_pass) = (BTreeSet::new(), BTreeSet::new());
        for event in play(&script) {
            if let What::Answered { ordinal, host, reply: Reply::RetryAfter(..) } = event.what
                && !refused.insert(ordinal)
            {
                may_pass.insert(host);
            }
            if let What::Started { ordinal, host, .. } = event.what {
                let fresh = sent.insert(ordinal);
                let overtaken = oracle.due_again(host, event.at);
                prop_assert!(!fresh || overtaken == 0 || may_pass.remove(&host), "line {ordinal} overtakes {overtaken} lines of host {host}");
            }
            oracle.follow(&event);
        }
    }

    #[test]
    fn a_slow_host_costs_the_others_nothing(script in scripts(), wire in 0u64..5000) {
        const SLOW: usize = 0;
        let mut script = script.with_permits_to_spare().without_backoff().without_global_rate().without_redirects();
        script.picks = Picks::InTurn;
        for exchange in script.lines.iter_mut().filter(|line| line.host == SLOW).flat_map(|line| &mut line.exchanges) {
            exchange.wire = Duration::from_millis(wire);
        }
        let alone = starts_by_line(&script.clone().without_host(SLOW));
        let mut together = starts_by_line(&script);
        together.retain(|ordinal, _| alone.contains_key(ordinal));
        prop_assert_eq!(alone, together);
    }
}

/// Hosts without limits whose lines are each sent once, so that only the permits are short.
fn with_ready_hosts(script: Script) -> Script {
    let limits = [limits(1000, Duration::ZERO); HOSTS];
    Script { limits, picks: Picks::InTurn, ..script.without_circuits() }.with_replies(|_| Reply::Status(200))
}

fn starts_by_line(script: &Script) -> BTreeMap<u64, Vec<Duration>> {
    let mut starts: BTreeMap<u64, Vec<Duration>> = BTreeMap::new();
    for event in play(script) {
        if let What::Started { ordinal, .. } = event.what {
            starts.entry(ordinal).or_default().push(event.at);
        }
    }
    starts
}
