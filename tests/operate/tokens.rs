//! A host without a token that it accepts: status, `why` and progress name the host, its lines and its file.

use std::fs;

use nix::sys::signal::Signal;

use crate::common::origin::Origin;
use crate::place::Place;

#[test]
fn a_host_that_waits_for_a_token_is_in_the_status_next_to_a_slower_one() {
    let mut place = Place::new();
    let (api, slow) = (Origin::start(), Origin::start_at([127, 0, 0, 3]));
    api.accept_token("new");
    place.tables = "[source.in.stdin]\ndurable = true\n[state]\ndata_dir = 'state'\n[sink.out.stdout]\n[hosts.'127.0.0.3']\nrate = '1/h'\n\
                    [hosts.'127.0.0.1']\nheaders = { authorization = 'Bearer ${file:token}' }\nrefresh_on = [401]\n"
        .to_owned();
    fs::write(place.path("token"), "old\n").unwrap();
    let mut running = place.start();
    (0..4).for_each(|n| running.line(&slow.url(&format!("/ok/{n}"))));
    running.record();
    fs::remove_file(place.path("token")).unwrap();
    (0..5).for_each(|n| running.line(&api.url(&format!("/token/{n}"))));
    let status = place.wait_until(|status| status["token_waits"]["lines"] == 5);
    assert_eq!(status["bottleneck"]["host"], "127.0.0.3", "{status:#}");
    let done_when = status["done_when"].as_str().unwrap();
    assert!(done_when.contains(", without the lines that wait for a token (127.0.0.3: 3 lines"), "{done_when}");
    let waits_for = status["waits_for"].as_str().unwrap();
    assert!(
        waits_for.ends_with(" Besides, 5 lines of 127.0.0.1 (fetchd ctl why 127.0.0.1) wait for a new token."),
        "{waits_for}"
    );
    let text = place.ctl(["status"]).out;
    assert!(text.contains("without a token  5 lines of 127.0.0.1 (fetchd ctl why 127.0.0.1)"), "{text}");
    let file = format!("in the file `{}`, which cannot be read: No such file", place.path("token").display());
    running.message(&file);
    let why = place.get("/v1/why?host=127.0.0.1").json();
    let change = why["causes"][0]["change"].as_str().unwrap();
    assert!(change.starts_with(&format!("a new token {file}")), "{why:#}");
    fs::write(place.path("token"), "new\n").unwrap();
    (0..5).for_each(|_| assert_eq!(running.record()["outcome"], "ok"));
    let status = place.wait_until(|status| status["token_waits"].is_null());
    assert!(!status["done_when"].as_str().unwrap().contains("token"), "{status:#}");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code, Some(0));
}

#[test]
fn lines_that_waited_in_vain_go_on_with_a_new_token_and_the_log_says_both() {
    let mut place = Place::new();
    let api = Origin::start();
    api.accept_token("new");
    place.tables = "[source.in.stdin]\ndurable = true\n[state]\ndata_dir = 'state'\n[sink.out.stdout]\n[retry]\n\
                    refresh_wait = '1s'\n[hosts.'127.0.0.1']\nheaders = { authorization = 'Bearer ${file:token}' }\n\
                    refresh_on = [401]\nrate = '10/s'\n"
        .to_owned();
    fs::write(place.path("token"), "old\n").unwrap();
    let mut running = place.start();
    (0..20).for_each(|n| running.line(&api.url(&format!("/token/{n}"))));
    let said = running.message("\"token_wait\"");
    assert!(said.contains("127.0.0.1 refused its token; waiting"), "{said}");
    let said = running.message("\"token_wait_gave_up\"");
    assert!(said.contains("wait until there is one, in this run or the next"), "{said}");
    let status = place.wait_until(|status| status["token_waits"]["lines"] == 18);
    assert_eq!(status["bottleneck"]["kind"], "token", "{status:#}");
    fs::write(place.path("token"), "new\n").unwrap();
    let said = running.message("\"token_wait_over\"");
    assert!(said.contains("the lines of 127.0.0.1 no longer wait for a new token\""), "{said}");
    let outcomes: Vec<_> = (0..3).map(|_| running.record()["outcome"].as_str().unwrap().to_owned()).collect();
    assert_eq!(outcomes, ["http_error", "http_error", "ok"]);
    api.accept_token("newer");
    let said = running.message("\"token_wait\"");
    assert!(said.contains("refused its token, which it accepted before; waiting"), "{said}");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code, Some(0));
}
