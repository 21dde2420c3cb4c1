//! TLS: whom fetchd trusts, and what it says when a handshake fails.

use serde_json::{Value, json};

use crate::common::certs::self_signed;
use crate::common::dns::{Dns, addresses};
use crate::common::fetchd::{Ended, Fetchd, kind};
use crate::common::origin::{Origin, Step, send};
use crate::common::trust::Trust;

/// Retries at once, so that no test waits for them.
const SOON: &str = "retry = { retries = 2, backoff = '1ms' }\n";

fn message(record: &Value) -> &str {
    record["error"]["message"].as_str().unwrap()
}

/// The one line failed in its handshake, and was not tried again.
fn assert_tls_failed(ended: &Ended, origin: &Origin, says: &str) {
    let record = ended.only_record();
    assert_eq!((kind(record), &record["attempts"], origin.accepts()), ("tls_failed", &json!(1), 1), "{record:#}");
    assert!(message(record).contains(says), "{record:#}");
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn an_authority_is_trusted_once_it_is_named() {
    let trust = Trust::new();
    let origin = Origin::start_tls([127, 0, 0, 1], trust.identity().server());
    let stranger = Fetchd::local().config(SOON).run(origin.url("/ok/1"));
    assert_tls_failed(&stranger, &origin, "tls.ca_file");
    let ended = trust.fetchd("").run(origin.url("/ok/1"));
    assert_eq!((ended.count("ok"), &ended.only_record()["http"]), (1, &json!("1.1")), "{ended:?}");
}

#[test]
fn a_certificate_that_is_expired_or_of_another_host_or_vouches_for_itself_is_not_asked_twice() {
    let trust = Trust::new();
    let cases = [
        (trust.authority.expired(&["127.0.0.1"]), "hosts.\"127.0.0.1\".insecure"),
        (trust.authority.identity(&["another.example"]), "hosts.\"127.0.0.1\".insecure"),
        (self_signed(&["127.0.0.1"]), "tls.ca_file"),
    ];
    for (identity, says) in cases {
        let origin = Origin::start_tls([127, 0, 0, 1], identity.server());
        assert_tls_failed(&trust.fetchd("").run(origin.url("/ok/1")), &origin, says);
    }
}

#[test]
fn a_certificate_that_vouches_for_itself_can_be_its_own_authority() {
    let (dir, identity) = (tempfile::tempdir().unwrap(), self_signed(&["127.0.0.1"]));
    std::fs::write(dir.path().join("its.pem"), identity.certificate_pem()).unwrap();
    let origin = Origin::start_tls([127, 0, 0, 1], identity.server());
    let ended = Fetchd::local().config("tls.ca_file = 'its.pem'").directory(dir.path()).run(origin.url("/ok/1"));
    assert_eq!(ended.count("ok"), 1, "{ended:?}");
}

#[test]
fn garbage_and_plain_http_on_a_tls_port_are_tls_failed_and_not_asked_twice() {
    for bytes in [&b"\x00\xff garbage, garbage, garbage"[..], b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"]
    {
        let origin = Origin::start();
        origin.on_accept([vec![send(bytes), Step::Stall]]);
        let ended = Fetchd::local().config(SOON).run(origin.url("/").replace("http:", "https:"));
        assert_tls_failed(&ended, &origin, "the TLS connection failed");
    }
}

#[test]
fn a_handshake_that_stalls_is_a_connect_timeout_and_tried_again() {
    let origin = Origin::start();
    origin.on_accept([vec![Step::Stall]]);
    let url = origin.url("/").replace("http:", "https:");
    let ended = Fetchd::with(["--connect-timeout", "100ms"]).config(SOON).run(url);
    let record = ended.only_record();
    assert_eq!((kind(record), &record["attempts"]), ("connect_timeout", &json!(3)), "{record:#}");
}

#[test]
fn a_body_that_only_the_end_of_the_connection_ends_is_whole_after_close_notify_alone() {
    let trust = Trust::new();
    let origin = Origin::start_tls([127, 0, 0, 1], trust.identity().server());
    let answer = || send("HTTP/1.1 200 OK\r\n\r\nsome of it");
    let input = [origin.play("/whole", [answer(), Step::Close]), origin.play("/cut", [answer(), Step::Cut])].join("\n");
    let ended = trust.fetchd("output.order = 'input'").run(input);
    let [whole, cut] = ended.records.as_slice() else { panic!("{ended:?}") };
    assert_eq!((&whole["outcome"], &whole["body"]), (&json!("ok"), &json!("some of it")));
    assert_eq!((kind(cut), &cut["attempts"]), ("body_incomplete", &json!(3)), "{cut:#}");
}

#[test]
fn insecure_skips_the_check_for_the_named_host_alone() {
    let identity = self_signed(&["another.example"]);
    let [named, other] = [2, 3].map(|last| Origin::start_tls([127, 0, 0, last], identity.server()));
    let input = [named.url("/ok/1"), other.url("/ok/1")].join("\n");
    let config = format!("{SOON}output.order = 'input'\nhosts.'127.0.0.2'.insecure = true");
    let ended = Fetchd::local().config(&config).run(input);
    assert_eq!((&ended.records[0]["outcome"], kind(&ended.records[1])), (&json!("ok"), "tls_failed"), "{ended:?}");
    assert_eq!(other.requests().len(), 0);
    let warnings: Vec<_> = ended.stderr.lines().filter(|line| line.contains("WARN")).collect();
    assert!(matches!(warnings.as_slice(), [only] if only.contains("127.0.0.2")), "{}", ended.stderr);
}

#[test]
fn insecure_holds_for_one_port_when_the_pattern_names_it() {
    let identity = self_signed(&["another.example"]);
    let [named, other] = [(), ()].map(|()| Origin::start_tls([127, 0, 0, 1], identity.server()));
    let config = format!("{SOON}output.order = 'input'\nhosts.'{}'.insecure = true", named.authority());
    let ended = Fetchd::local().config(&config).run([named.url("/ok/1"), other.url("/ok/1")].join("\n"));
    assert_eq!((&ended.records[0]["outcome"], kind(&ended.records[1])), (&json!("ok"), "tls_failed"), "{ended:?}");
}

#[test]
fn what_a_pattern_does_not_say_of_insecure_falls_back_to_the_next_one() {
    let origin = Origin::start_tls([127, 0, 0, 1], self_signed(&["another.example"]).server());
    let dns = Dns::start();
    dns.script("*.example", [addresses(60, &["127.0.0.1"])]);
    let url = |name: &str| origin.url("/ok/1").replace("127.0.0.1", name);
    let config = format!(
        "{SOON}output.order = 'input'\ndns.servers = ['{}']\n\
         [hosts]\n'*.example' = {{ insecure = true }}\n\
         'b.example' = {{ insecure = false }}\n'c.example' = {{ concurrency = 1 }}",
        dns.address()
    );
    let ended = Fetchd::local().config(&config).run(["a.example", "b.example", "c.example"].map(url).join("\n"));
    let got: Vec<_> = ended.records.iter().map(kind).collect();
    assert_eq!(got, ["", "tls_failed", ""], "{ended:?}");
}

#[test]
fn without_root_certificates_of_the_system_a_warning_says_what_works() {
    let trust = Trust::new();
    let origin = Origin::start_tls([127, 0, 0, 1], trust.identity().server());
    let rootless = |fetchd: Fetchd| {
        let nowhere = trust.path().join("nowhere");
        let ended =
            fetchd.env("SSL_CERT_FILE", nowhere.to_str().unwrap()).env("SSL_CERT_DIR", nowhere.to_str().unwrap());
        ended.run(origin.url("/ok/1"))
    };
    for (fetchd, why) in [(Fetchd::local().config(SOON), "tls_failed"), (trust.fetchd(""), "")] {
        let ended = rootless(fetchd);
        assert_eq!(kind(ended.only_record()), why, "{ended:?}");
        assert!(ended.stderr.contains("no root certificates") && ended.stderr.contains("tls.ca_file"), "{ended:?}");
    }
}

#[test]
fn a_connection_lost_in_the_handshake_is_tried_again() {
    for end in [Step::Close, Step::Reset] {
        let origin = Origin::start();
        origin.on_accept([vec![end]]);
        let ended = Fetchd::local().config(SOON).run(origin.url("/").replace("http:", "https:"));
        let record = ended.only_record();
        assert_eq!((kind(record), &record["attempts"]), ("connect_failed", &json!(3)), "{record:#}");
    }
}
