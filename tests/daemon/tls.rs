//! TLS: whom fetchd trusts, whom it shows a certificate, and what it says when a handshake fails.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_rustls::rustls::ALL_VERSIONS;
use tokio_rustls::rustls::version::TLS12;

use crate::common::certs::{Authority, Identity, self_signed};
use crate::common::clients::{Clients, Manners};
use crate::common::dns::{Dns, addresses};
use crate::common::fetchd::{Ended, Fetchd, kind};
use crate::common::origin::{Origin, Step, send};

/// Retries at once, so that no test waits for them.
const SOON: &str = "retry = { retries = 2, backoff = '1ms' }\n";

/// A directory with the files of a test, and an authority whose certificate is `ca.pem` there.
struct Files {
    dir: TempDir,
    authority: Authority,
}

impl Files {
    fn new() -> Self {
        let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        std::fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
        Self { dir, authority }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A certificate of the authority for 127.0.0.1 and others.
    fn identity(&self) -> Identity {
        self.authority.identity(&["127.0.0.1", "127.0.0.2", "127.0.0.3", "a.example", "b.example", "c.example"])
    }

    fn origin(&self) -> Origin {
        Origin::start_tls([127, 0, 0, 1], self.identity().server())
    }

    /// fetchd with this configuration besides the trust in the authority, in this directory.
    fn fetchd(&self, config: &str) -> Fetchd {
        Fetchd::local().config(&format!("tls.ca_file = 'ca.pem'\n{SOON}{config}")).directory(self.path())
    }

    /// A client certificate in `me.pem` and `me.key`.
    fn write_me(&self) -> &'static str {
        let me = self.authority.identity(&["me"]);
        std::fs::write(self.path().join("me.pem"), me.certificate_pem()).unwrap();
        std::fs::write(self.path().join("me.key"), me.key_pem()).unwrap();
        "client_cert = 'me.pem'\nclient_key = 'me.key'\n"
    }
}

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
    let files = Files::new();
    let origin = files.origin();
    let stranger = Fetchd::local().config(SOON).run(origin.url("/ok/1"));
    assert_tls_failed(&stranger, &origin, "tls.ca_file");
    let ended = files.fetchd("").run(origin.url("/ok/1"));
    assert_eq!((ended.count("ok"), &ended.only_record()["http"]), (1, &json!("1.1")), "{ended:?}");
}

#[test]
fn a_certificate_that_is_expired_or_of_another_host_or_vouches_for_itself_is_not_asked_twice() {
    let files = Files::new();
    let cases = [
        (files.authority.expired(&["127.0.0.1"]), "hosts.\"127.0.0.1\".insecure"),
        (files.authority.identity(&["another.example"]), "hosts.\"127.0.0.1\".insecure"),
        (self_signed(&["127.0.0.1"]), "tls.ca_file"),
    ];
    for (identity, says) in cases {
        let origin = Origin::start_tls([127, 0, 0, 1], identity.server());
        assert_tls_failed(&files.fetchd("").run(origin.url("/ok/1")), &origin, says);
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
    assert_eq!((kind(record), &record["attempts"], origin.accepts()), ("connect_timeout", &json!(3), 3), "{record:#}");
}

#[test]
fn a_body_that_only_the_end_of_the_connection_ends_is_whole_after_close_notify_alone() {
    let files = Files::new();
    let origin = files.origin();
    let answer = || send("HTTP/1.1 200 OK\r\n\r\nsome of it");
    let input = [origin.play("/whole", [answer(), Step::Close]), origin.play("/cut", [answer(), Step::Cut])].join("\n");
    let ended = files.fetchd("output.order = 'input'").run(input);
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
    let url = |name: &str| origin.url("/ok/1").replace("127.0.0.1", name);
    let dns = Dns::start();
    dns.script("*.example", [addresses(60, &["127.0.0.1"])]);
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
fn a_client_certificate_is_shown_to_its_host_and_to_no_other_that_asks() {
    let files = Files::new();
    let me = files.write_me();
    let [insists, asks] = [Manners::Insists, Manners::Asks].map(Clients::new);
    let identity = files.identity();
    let mine = Origin::start_tls([127, 0, 0, 1], identity.server_that_asks(ALL_VERSIONS, insists.clone()));
    let other = Origin::start_tls([127, 0, 0, 2], identity.server_that_asks(ALL_VERSIONS, asks.clone()));
    let ended =
        files.fetchd(&format!("[hosts.'127.0.0.1']\n{me}")).run([mine.url("/ok/1"), other.url("/ok/1")].join("\n"));
    assert_eq!((ended.count("ok"), insists.shown(), asks.shown()), (2, 1, 0), "{ended:?}");
}

#[test]
fn a_server_that_insists_on_a_certificate_says_so_and_is_not_asked_twice() {
    let files = Files::new();
    // With TLS 1.3 the client may have lost the connection before it learns why.
    let server = files.identity().server_that_asks(&[&TLS12], Clients::new(Manners::Insists));
    let origin = Origin::start_tls([127, 0, 0, 1], server);
    assert_tls_failed(&files.fetchd("").run(origin.url("/ok/1")), &origin, "hosts.\"127.0.0.1\".client_cert");
}

#[test]
fn a_redirect_elsewhere_carries_no_client_certificate_and_no_redirect_from_elsewhere_gets_one() {
    let files = Files::new();
    let me = files.write_me();
    let identity = files.identity();
    let [home_sees, other_sees] = [Manners::Asks; 2].map(Clients::new);
    let home = Origin::start_tls([127, 0, 0, 1], identity.server_that_asks(ALL_VERSIONS, home_sees.clone()));
    let other = Origin::start_tls([127, 0, 0, 2], identity.server_that_asks(ALL_VERSIONS, other_sees.clone()));
    let config = format!(
        "[hosts.'127.0.0.1']\n{me}headers = {{ authorization = 'home' }}\n\
         [hosts.'127.0.0.2']\n{me}headers = {{ authorization = 'other' }}\n"
    );
    let attack = other.redirect(302, &home.url("/echo"));
    let ended = files.fetchd(&config).run(attack.as_str());
    assert_eq!(ended.only_record()["json"]["headers"].get("authorization"), None, "{ended:?}");
    assert_eq!((other_sees.shown(), home_sees.shown()), (1, 0));

    let there_and_back = home.redirect(302, &attack);
    let ended = files.fetchd(&config).run(there_and_back);
    assert_eq!(ended.only_record()["json"]["headers"].get("authorization"), None, "{ended:?}");
    assert_eq!((other_sees.shown(), home_sees.shown()), (1, 1));
}

#[test]
fn a_redirect_that_stays_home_keeps_its_client_certificate() {
    let files = Files::new();
    let me = files.write_me();
    let origin = Origin::start_tls(
        [127, 0, 0, 1],
        files.identity().server_that_asks(ALL_VERSIONS, Clients::new(Manners::Insists)),
    );
    // The second request needs a connection of its own.
    let to = origin.url("/ok/1");
    let url = origin.script("/first", format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"));
    let ended = files.fetchd(&format!("[hosts.'127.0.0.1']\n{me}")).run(url);
    assert_eq!((ended.count("ok"), origin.accepts()), (1, 2), "{ended:?}");
}

#[test]
fn the_certificate_and_its_key_may_stand_in_one_file() {
    let files = Files::new();
    let me = files.authority.identity(&["me"]);
    std::fs::write(files.path().join("both.pem"), me.key_pem() + &me.certificate_pem()).unwrap();
    let clients = Clients::new(Manners::Insists);
    let origin = Origin::start_tls([127, 0, 0, 1], files.identity().server_that_asks(ALL_VERSIONS, clients));
    let config = "[hosts.'127.0.0.1']\nclient_cert = 'both.pem'\nclient_key = 'both.pem'";
    assert_eq!(files.fetchd(config).run(origin.url("/ok/1")).count("ok"), 1);
}

#[test]
fn without_root_certificates_of_the_system_a_warning_says_what_works() {
    let files = Files::new();
    let origin = files.origin();
    let rootless = |fetchd: Fetchd| {
        let nowhere = files.path().join("nowhere");
        let ended =
            fetchd.env("SSL_CERT_FILE", nowhere.to_str().unwrap()).env("SSL_CERT_DIR", nowhere.to_str().unwrap());
        ended.run(origin.url("/ok/1"))
    };
    for (fetchd, why) in [(Fetchd::local().config(SOON), "tls_failed"), (files.fetchd(""), "")] {
        let ended = rootless(fetchd);
        assert_eq!(kind(ended.only_record()), why, "{ended:?}");
        assert!(ended.stderr.contains("no root certificates") && ended.stderr.contains("tls.ca_file"), "{ended:?}");
    }
}

#[test]
fn what_check_says_of_certificates_run_says_too() {
    let files = Files::new();
    files.write_me();
    let write = |name: &str, text: &str| std::fs::write(files.path().join(name), text).unwrap();
    write("empty.pem", "");
    write("torn.pem", "-----BEGIN CERTIFICATE-----\nMIIB");
    write("other.key", &files.authority.identity(&["other"]).key_pem());
    let of_host = |keys: &str| format!("[hosts.'api.internal']\n{keys}");
    let cases = [
        ("tls.ca_file = 'nowhere.pem'".to_owned(), "`tls.ca_file` is nowhere.pem, which cannot be read"),
        ("tls.ca_file = '.'".to_owned(), "`tls.ca_file` is ., which is not a file"),
        ("tls.ca_file = 'empty.pem'".to_owned(), "`tls.ca_file` is empty.pem, which has no certificate in PEM"),
        ("tls.ca_file = 'torn.pem'".to_owned(), "`tls.ca_file` is torn.pem, which is damaged"),
        ("tls.ca_file = 'me.key'".to_owned(), "`tls.ca_file` is me.key, which has no certificate in PEM"),
        (of_host("client_cert = 'me.pem'"), "`hosts.\"api.internal\".client_cert` needs `client_key` beside it"),
        (of_host("client_key = 'me.key'"), "`hosts.\"api.internal\".client_key` needs `client_cert` beside it"),
        (
            of_host("client_cert = 'me.pem'\nclient_key = 'me.pem'"),
            "`hosts.\"api.internal\".client_key` is me.pem, which has no private key",
        ),
        (
            of_host("client_cert = 'me.pem'\nclient_key = 'other.key'"),
            "`hosts.\"api.internal\".client_key` is other.key, which is not the key of the certificate in me.pem",
        ),
        ("hosts.'*'.insecure = true".to_owned(), "`hosts.\"*\".insecure` would verify no certificate at all"),
        (
            "[hosts.'*']\nclient_cert = 'me.pem'\nclient_key = 'me.key'".to_owned(),
            "`hosts.\"*\".client_cert` would tell every server that asks who you are",
        ),
    ];
    for (config, says) in cases {
        let said = ["check", "run"].map(|command| {
            let ended = Fetchd::bare([command]).config(&config).directory(files.path()).run("");
            assert_eq!(ended.code, Some(2), "{config}\n{}", ended.stderr);
            ended.stderr.lines().next().unwrap().to_owned()
        });
        assert!(said[0].contains(says) && said[0] == said[1], "{said:#?}\n{says}");
    }
    let right =
        of_host("client_cert = 'me.pem'\nclient_key = 'me.key'\ninsecure = true") + "\n[tls]\nca_file = 'ca.pem'";
    let ended = Fetchd::bare(["check"]).config(&right).directory(files.path()).run("");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_key_in_place_of_its_path_is_not_shown() {
    let key = self_signed(&["me"]).key_pem();
    let secret = key.lines().nth(1).unwrap();
    for text in [format!("'''{key}'''"), "'${KEY}'".to_owned()] {
        let config = format!("[hosts.'api.internal']\nclient_cert = {text}\nclient_key = {text}");
        let ended = Fetchd::bare(["run"]).config(&config).env("KEY", &key).run("");
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains("write the path") && !ended.stderr.contains(secret), "{}", ended.stderr);
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
