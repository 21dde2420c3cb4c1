//! A stage that is stuck for real: `/healthz` says so, with the name of the stage, and takes it back once the stage turns again.

use std::time::Duration;

use tokio::time::Instant;

use crate::common::fetchd::Fetchd;
use crate::common::origin::Origin;
use crate::common::tools::traces;
use crate::place::{Answer, Place};

/// Four looks of five seconds, and what one can be late.
const NOTICED: Duration = Duration::from_secs(40);

/// Asks until `/healthz` has this status.
fn healthz(place: &Place, status: u16) -> Answer {
    let begin = Instant::now();
    loop {
        let answer = place.get("/healthz");
        if answer.status == status {
            return answer;
        }
        assert!(begin.elapsed() < NOTICED, "it does not come to {status}: {answer:?}");
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

#[test]
fn a_stage_whose_thread_hangs_in_a_call_of_the_system_is_unhealthy_until_it_goes_on() {
    if !traces() {
        return;
    }
    let (place, origin) = (Place::new(), Origin::start());
    let _configured = place.fetchd();
    // The first call of `connect` is the one to the server, in the thread of all stages.
    let script = format!(
        "exec strace -D -f -qq -o /dev/null -e trace=connect -e inject=connect:delay_enter=35s:when=1 \
         \"$0\" --allow 127.0.0.0/8 -c '{}'",
        place.file().display()
    );
    let mut running = Fetchd::in_shell(&script).start();
    running.message("operators connect at");
    assert_eq!(healthz(&place, 200).json()["healthy"], true);
    let begin = Instant::now();
    running.line(&origin.url("/ok/1"));
    let answer = healthz(&place, 503);
    let stuck = &answer.json()["stuck"];
    assert!(begin.elapsed() >= Duration::from_secs(15) && stuck["at_least_s"].as_f64() >= Some(20.0), "{answer:?}");
    let stage = stuck["stage"].as_str().unwrap();
    let message = format!("The stage `{stage}` has not turned for at least 2");
    assert!(stuck["message"].as_str().unwrap().starts_with(&message), "{answer:?}");
    let events = place.get("/v1/events").text;
    assert!(events.contains(&format!("The stage `{stage}` has not turned")), "{events}");
    healthz(&place, 200);
    assert_eq!(running.record()["outcome"], "ok", "the line lost nothing but time");
    let events = place.get("/v1/events").text;
    assert!(events.contains(&format!("The stage `{stage}` turns again.")), "{events}");
    assert_eq!(running.finish("").code, Some(0));
}
