//! Client certificates: who gets to see them, and what is said of the files that hold them, or those of authorities.

use serde_json::json;
use tokio_rustls::rustls::ALL_VERSIONS;
use tokio_rustls::rustls::version::TLS12;

use crate::common::certs::self_signed;
use crate::common::clients::{Clients, Manners};
use crate::common::fetchd::{Fetchd, kind};
use crate::common::origin::Origin;
use crate::common::trust::Trust;

#[test]
fn a_client_certificate_is_shown_to_its_host_and_to_no_other_that_asks() {
    let trust = Trust::new();
    let me = trust.write_me();
    let [insists, asks] = [Manners::Insists, Manners::Asks].map(Clients::new);
    let identity = trust.identity();
    let mine = Origin::start_tls([127, 0, 0, 1], identity.server_that_asks(ALL_VERSIONS, insists.clone()));
    let other = Origin::start_tls([127, 0, 0, 2], identity.server_that_asks(ALL_VERSIONS, asks.clone()));
    let ended =
        trust.fetchd(&format!("[hosts.'127.0.0.1']\n{me}")).run([mine.url("/ok/1"), other.url("/ok/1")].join("\n"));
    assert_eq!((ended.count("ok"), insists.shown(), asks.shown()), (2, 1, 0), "{ended:?}");
}

#[test]
fn a_server_that_insists_on_a_certificate_says_so_and_is_not_asked_twice() {
    let trust = Trust::new();
    // With TLS 1.3 the client may have lost the connection before it learns why.
    let server = trust.identity().server_that_asks(&[&TLS12], Clients::new(Manners::Insists));
    let origin = Origin::start_tls([127, 0, 0, 1], server);
    let ended = trust.fetchd("").run(origin.url("/ok/1"));
    let record = ended.only_record();
    assert_eq!((kind(record), &record["attempts"], origin.accepts()), ("tls_failed", &json!(1), 1), "{record:#}");
    let message = record["error"]["message"].as_str().unwrap();
    assert!(message.contains("hosts.\"127.0.0.1\".client_cert"), "{message}");
}

#[test]
fn a_redirect_elsewhere_carries_no_client_certificate_and_no_redirect_from_elsewhere_gets_one() {
    let trust = Trust::new();
    let me = trust.write_me();
    let identity = trust.identity();
    let [home_sees, other_sees] = [Manners::Asks; 2].map(Clients::new);
    let home = Origin::start_tls([127, 0, 0, 1], identity.server_that_asks(ALL_VERSIONS, home_sees.clone()));
    let other = Origin::start_tls([127, 0, 0, 2], identity.server_that_asks(ALL_VERSIONS, other_sees.clone()));
    let config = format!(
        "[hosts.'127.0.0.1']\n{me}headers = {{ authorization = 'home' }}\n\
         [hosts.'127.0.0.2']\n{me}headers = {{ authorization = 'other' }}\n"
    );
    let attack = other.redirect(302, &home.url("/echo"));
    let ended = trust.fetchd(&config).run(attack.as_str());
    assert_eq!(ended.only_record()["json"]["headers"].get("authorization"), None, "{ended:?}");
    assert_eq!((other_sees.shown(), home_sees.shown()), (1, 0));

    let there_and_back = home.redirect(302, &attack);
    let ended = trust.fetchd(&config).run(there_and_back);
    assert_eq!(ended.only_record()["json"]["headers"].get("authorization"), None, "{ended:?}");
    assert_eq!((other_sees.shown(), home_sees.shown()), (1, 1));
}

#[test]
fn a_redirect_that_stays_home_keeps_its_client_certificate() {
    let trust = Trust::new();
    let me = trust.write_me();
    let origin = Origin::start_tls(
        [127, 0, 0, 1],
        trust.identity().server_that_asks(ALL_VERSIONS, Clients::new(Manners::Insists)),
    );
    // The second request needs a connection of its own.
    let to = origin.url("/ok/1");
    let url = origin.script("/first", format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"));
    let ended = trust.fetchd(&format!("[hosts.'127.0.0.1']\n{me}")).run(url);
    assert_eq!((ended.count("ok"), origin.accepts()), (1, 2), "{ended:?}");
}

#[test]
fn the_certificate_and_its_key_may_stand_in_one_file() {
    let trust = Trust::new();
    let me = trust.authority.identity(&["me"]);
    std::fs::write(trust.path().join("both.pem"), me.key_pem() + &me.certificate_pem()).unwrap();
    let clients = Clients::new(Manners::Insists);
    let origin = Origin::start_tls([127, 0, 0, 1], trust.identity().server_that_asks(ALL_VERSIONS, clients));
    let config = "[hosts.'127.0.0.1']\nclient_cert = 'both.pem'\nclient_key = 'both.pem'";
    assert_eq!(trust.fetchd(config).run(origin.url("/ok/1")).count("ok"), 1);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn what_check_says_of_certificates_run_says_too() {
    let trust = Trust::new();
    trust.write_me();
    let write = |name: &str, text: &str| std::fs::write(trust.path().join(name), text).unwrap();
    write("empty.pem", "");
    write("torn.pem", "-----BEGIN CERTIFICATE-----\nMIIB");
    write("other.key", &trust.authority.identity(&["other"]).key_pem());
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
            "`hosts.\"api.internal\".client_key` is me.pem, which has no unencrypted private key in PEM",
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
            let ended = Fetchd::bare([command]).config(&config).directory(trust.path()).run("");
            assert_eq!(ended.code, Some(2), "{config}\n{}", ended.stderr);
            ended.stderr.lines().next().unwrap().to_owned()
        });
        assert!(said[0].contains(says) && said[0] == said[1], "{said:#?}\n{says}");
    }
    let right =
        of_host("client_cert = 'me.pem'\nclient_key = 'me.key'\ninsecure = true") + "\n[tls]\nca_file = 'ca.pem'";
    let ended = Fetchd::bare(["check"]).config(&right).directory(trust.path()).run("");
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
        assert!(ended.stderr.contains("set it to the path") && !ended.stderr.contains(secret), "{}", ended.stderr);
    }
}
