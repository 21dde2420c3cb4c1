//! The message of a failure names its cause, and what to do about it.

use serde_json::{Value, json};

use crate::common::certs::{Authority, self_signed};
use crate::common::fetchd::{Fetchd, kind};
use crate::common::origin::Origin;
use crate::common::trust::Trust;

fn message(record: &Value) -> &str {
    record["error"]["message"].as_str().unwrap()
}

#[test]
fn a_list_in_utf_16_is_called_that_line_by_line() {
    let text = "http://a.test/\nhttp://b.test/\r\nhttp://c.test/";
    let little: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    for list in [&little[..], &big, &little[2..], &big[2..]] {
        let ended = Fetchd::local().run(list);
        assert_eq!(ended.records.len(), 3);
        for record in &ended.records {
            assert_eq!(record["outcome"], "rejected");
            assert!(message(record).contains("iconv -f UTF-16"), "{record:#}");
        }
    }
}

#[test]
fn lines_that_are_no_urls_say_what_they_are() {
    let cases = [
        ("# comment", "comment"),
        ("\"https://a.test/\"", "quotes"),
        ("<https://a.test/>", "quotes"),
        ("7,https://a.test/", "CSV"),
        ("C:\\list.txt", "Windows"),
        ("www.example.com", "did you mean https://www.example.com?"),
        ("url: https://a.test/", "before the URL"),
        ("https://not a url", "%20"),
        ("no url", "several words"),
    ];
    let input = cases.map(|(line, _)| line).join("\n");
    let ended = Fetchd::with(["--ordered"]).run(input);
    for (record, (line, says)) in ended.records.iter().zip(cases) {
        assert_eq!((&record["input"], &record["outcome"]), (&json!(line), &json!("rejected")));
        assert!(message(record).contains(says), "{record:#}");
    }
    assert_eq!(ended.records.len(), cases.len());
}

#[test]
fn a_list_in_latin_1_says_how_to_convert_it() {
    let ended = Fetchd::local().run(&b"http://a.test/caf\xe9"[..]);
    assert!(message(ended.only_record()).contains("iconv -f WINDOWS-1252"), "{ended:?}");
}

#[test]
fn a_certificate_that_is_refused_says_what_it_is_and_which_key_helps() {
    let (trust, here) = (Trust::new(), ["127.0.0.1"]);
    let insecure = "hosts.\"127.0.0.1\".insecure";
    let many = ["a.test", "b.test", "c.test", "d.test", "e.test", "f.test", "g.test"];
    for (identity, says) in [
        (trust.authority.expired(&here), ["expired on 2001-01-01", insecure]),
        (trust.authority.not_valid_yet(&here), ["not valid before 3000-01-02", insecure]),
        (
            trust.authority.identity(&many),
            ["is for a.test, b.test, c.test, d.test, e.test and 2 more", "not for 127.0.0.1"],
        ),
        (trust.authority.identity(&["127.0.0.2"]), ["is for 127.0.0.2, and not for 127.0.0.1", insecure]),
        (trust.authority.authority_for(&here), ["is that of an authority (CA:TRUE)", insecure]),
        (trust.authority.for_clients(&here), ["another purpose than servers", insecure]),
        (self_signed(&here), ["unknown authority", "tls.ca_file"]),
        // Of the same name as the one that is trusted, with another key.
        (Authority::new().identity(&here), ["tls.ca_file", "certificate is"]),
    ] {
        let origin = Origin::start_tls([127, 0, 0, 1], identity.server());
        let ended = trust.fetchd("").run(origin.url("/ok/1"));
        let record = ended.only_record();
        assert_eq!(kind(record), "tls_failed", "{record:#}");
        assert!(says.iter().all(|part| message(record).contains(part)), "{says:?}: {record:#}");
    }
}
