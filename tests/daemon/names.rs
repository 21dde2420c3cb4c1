//! Names, answered by a scripted name server.

use serde_json::json;

use crate::common::dns;
use crate::common::fetchd::{Fetchd, kind};
use crate::common::origin::Origin;

fn resolving() -> Fetchd {
    Fetchd::with(["--allow", "127.0.0.0/8", "--retries", "1"])
        .config(&format!("[dns]\nservers = ['{}']\ntimeout = '1s'\n[retry]\nbackoff = '1ms'", dns::start()))
}

#[test]
fn a_name_is_looked_up_whatever_characters_it_has() {
    let origin = Origin::start();
    let port = origin.url("/ok/1").replace("http://127.0.0.1", "");
    for host in ["good.test", "my_bucket.s3.test", "GOOD.Test."] {
        let ended = resolving().run(format!("http://{host}{port}"));
        assert_eq!(ended.only_record()["status"], 200, "{:#}", ended.only_record());
    }
}

#[test]
fn what_goes_wrong_with_a_name_has_its_kind_and_its_number_of_attempts() {
    for (host, why, attempts) in [
        ("missing.test", "dns_not_found", 1),
        ("servfail.test", "dns_failed", 2),
        ("silent.test", "dns_timeout", 2),
        ("a..test", "dns_not_found", 1),
    ] {
        let ended = resolving().run(format!("http://{host}/"));
        let record = ended.only_record();
        assert_eq!((kind(record), &record["attempts"]), (why, &json!(attempts)), "{record:#}");
    }
}

#[test]
fn a_name_that_leads_to_a_private_address_is_rejected() {
    let ended = resolving().run("http://private.test/");
    let record = ended.only_record();
    assert_eq!((kind(record), &record["outcome"]), ("forbidden_address", &json!("rejected")));
    assert!(record["error"]["message"].as_str().unwrap().contains("network.allow"));
}
