//! Proxies: what they get to see, what fetchd makes of their refusals, and that nobody else learns their credentials.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::fetchd::{Fetchd, kind};
use crate::common::origin::{Origin, Step, ok_with, refusing_address, send};
use crate::common::proxy::{Proxy, Then, reply};
use crate::common::trust::Trust;

/// In Base64: `user:pass word`.
const CREDENTIALS: &str = "user:pass%20word@";
const BASIC: &str = "Basic dXNlcjpwYXNzIHdvcmQ=";

const ENVIRONMENT: [&str; 6] = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// A server that is known as `name.example`, the trust in it, and the URL of its echo.
fn secret_origin() -> (Trust, Origin, String) {
    let trust = Trust::new();
    let origin = Origin::start_tls([127, 0, 0, 1], trust.identity().server());
    let url = origin.url("/echo").replace("127.0.0.1", "name.example");
    (trust, origin, url)
}

fn address_of(origin: &Origin) -> std::net::SocketAddr {
    origin.authority().parse().unwrap()
}

fn port_of(origin: &Origin) -> u16 {
    address_of(origin).port()
}

/// Through this proxy, with no leave to fetch from addresses that are not public.
fn through(proxy: &str, config: &str) -> Fetchd {
    Fetchd::bare(["-x", proxy]).config(&format!("retry = {{ retries = 1, backoff = '1ms' }}\n{config}"))
}

fn message(record: &Value) -> &str {
    record["error"]["message"].as_str().unwrap()
}

fn header<'a>(record: &'a Value, name: &str) -> Option<&'a str> {
    record["json"]["headers"][name].as_str()
}

#[test]
fn an_http_url_is_asked_for_as_a_whole_with_its_name_and_the_credentials() {
    let proxy = Origin::start();
    let url = "http://name.example/a?b=c";
    proxy.script("http://name.example/a", ok_with("", b"by proxy"));
    let proxy_url = format!("http://{CREDENTIALS}{}", proxy.authority());
    let ended = through(&proxy_url, "").run(url);
    assert_eq!((ended.count("ok"), &ended.only_record()["body"]), (1, &json!("by proxy")), "{ended:?}");
    let request = proxy.requests().remove(0);
    assert_eq!((request.target.as_str(), request.header("host")), (url, Some("name.example")));
    assert_eq!(request.header("proxy-authorization"), Some(BASIC));
}

#[test]
fn an_https_url_goes_through_a_tunnel_and_the_credentials_do_not() {
    let (trust, origin, url) = secret_origin();
    let proxy = Proxy::http(Then::Tunnel(address_of(&origin)));
    let fetchd = through(&proxy.url(CREDENTIALS), "tls.ca_file = 'ca.pem'").directory(trust.path());
    let ended = fetchd.run(url);
    assert_eq!((ended.count("ok"), header(ended.only_record(), "proxy-authorization")), (1, None), "{ended:?}");
    let [head] = proxy.seen().try_into().expect("one tunnel");
    assert!(head.starts_with(&format!("CONNECT name.example:{} HTTP/1.1\r\n", port_of(&origin))), "{head}");
    assert!(head.contains(BASIC), "{head}");
    assert_eq!(origin.requests()[0].target, "/echo");
}

#[test]
fn a_socks5_proxy_gets_names_and_the_credentials() {
    let (trust, secret, secret_url) = secret_origin();
    let plain = Origin::start();
    let plain_url = plain.url("/echo").replace("127.0.0.1", "name.example");
    for (origin, url) in [(&secret, &secret_url), (&plain, &plain_url)] {
        let asked = format!("name.example:{}", port_of(origin));
        for (credentials, seen) in [("", asked.clone()), (CREDENTIALS, format!("user:pass word@{asked}"))] {
            let proxy = Proxy::socks5(Then::Tunnel(address_of(origin)));
            let fetchd = through(&proxy.url(credentials), "tls.ca_file = 'ca.pem'").directory(trust.path());
            let ended = fetchd.run(url.as_str());
            assert_eq!((ended.count("ok"), proxy.seen()), (1, vec![seen]), "{ended:?}");
            assert_eq!(header(ended.only_record(), "proxy-authorization"), None);
        }
    }
}

#[test]
fn a_proxy_that_refuses_is_named_and_is_to_blame() {
    let not_found = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n";
    let who_are_you = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    const UNREACHABLE: [u8; 10] = reply(4);
    const REFUSED: [u8; 10] = reply(5);
    let cases = [
        (Proxy::http(Then::Answer(not_found)), "https", "connect_failed"),
        (Proxy::http(Then::Answer(who_are_you)), "https", "connect_failed"),
        (Proxy::http(Then::Answer(who_are_you)), "http", "connect_failed"),
        (Proxy::http(Then::Answer(b"")), "https", "connect_failed"),
        (Proxy::http(Then::Answer(b"garbage\r\n\r\n")), "https", "connect_failed"),
        (Proxy::socks5(Then::Answer(&UNREACHABLE)), "http", "connect_failed"),
        (Proxy::socks5(Then::Answer(&REFUSED)), "https", "connect_failed"),
        (Proxy::socks5(Then::Answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")), "http", "connect_failed"),
    ];
    for (proxy, scheme, its_kind) in cases {
        let post = json!({ "url": format!("{scheme}://name.example/"), "method": "POST" });
        let ended = through(&proxy.url(""), "").run(post.to_string());
        let record = ended.only_record();
        // Nothing reached the host, so a POST may be repeated.
        assert_eq!((kind(record), &record["attempts"]), (its_kind, &json!(2)), "{record:#}");
        let message = message(record);
        let named = format!("no connection through the proxy {} (fetch.proxy): ", proxy.address());
        assert!(message.starts_with(&named), "{message}");
    }
}

#[test]
fn a_proxy_that_cannot_be_reached_is_named() {
    let address = refusing_address();
    // The client does not tell why it could not reach a SOCKS proxy.
    for (scheme, its_kind) in [("http", "connect_refused"), ("socks5", "connect_failed")] {
        for url in ["http://name.example/", "https://name.example/"] {
            let ended = through(&format!("{scheme}://{address}"), "").run(url);
            let message = message(ended.only_record());
            assert_eq!(kind(ended.only_record()), its_kind, "{message}");
            assert!(message.contains(&format!("the proxy {address} (fetch.proxy): ")), "{message}");
        }
    }
    let ended = through("http://missing.invalid:3128", "dns.servers = []").run("http://name.example/");
    let message = message(ended.only_record());
    assert!(kind(ended.only_record()).starts_with("dns_"), "{message}");
    assert!(message.contains("the proxy missing.invalid:3128 (fetch.proxy): "), "{message}");
}

#[test]
fn a_proxy_that_says_nothing_is_a_connect_timeout() {
    let proxy = Origin::start();
    proxy.on_accept([vec![Step::Stall]]);
    for scheme in ["http", "socks5"] {
        let fetchd = through(&format!("{scheme}://{}", proxy.authority()), "fetch.connect_timeout = '100ms'");
        let ended = fetchd.run("https://name.example/");
        let message = message(ended.only_record());
        assert_eq!(kind(ended.only_record()), "connect_timeout", "{message}");
        assert!(message.contains(&proxy.authority()), "{message}");
    }
}

#[test]
fn the_proxy_itself_may_be_at_a_private_address_and_the_urls_may_not() {
    let proxy = Origin::start();
    let to = |location: &str| format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    proxy.script("http://name.example/", ok_with("", b"by proxy"));
    proxy.script("http://other.example/", to("http://127.0.0.3/"));
    let authority = proxy.authority();
    for proxy_url in [format!("http://{authority}"), format!("http://{authority}").replace("127.0.0.1", "localhost")] {
        let input = ["http://name.example/", "http://127.0.0.1/", "http://[::1]/", "http://other.example/"].join("\n");
        let ended = through(&proxy_url, "output.order = 'input'").run(input);
        let kinds: Vec<_> = ended.records.iter().map(kind).collect();
        assert_eq!(kinds, ["", "forbidden_address", "forbidden_address", "forbidden_address"], "{ended:?}");
        assert!(ended.stderr.contains("go through a proxy"), "{}", ended.stderr);
    }
    assert_eq!(proxy.requests().len(), 4);
}

#[test]
fn the_environment_neither_sets_a_proxy_nor_goes_around_one() {
    let (origin, proxy) = (Origin::start(), Origin::start_at([127, 0, 0, 2]));
    let fetchd = ENVIRONMENT.iter().fold(Fetchd::local(), |fetchd, name| fetchd.env(name, &proxy.url("")));
    assert_eq!(fetchd.run(origin.url("/ok/1")).count("ok"), 1);
    assert_eq!((origin.accepts(), proxy.accepts()), (1, 0));

    proxy.script(&origin.url("/ok/1"), ok_with("", b"by proxy"));
    let fetchd = Fetchd::with(["-x", &proxy.url("")]).env("NO_PROXY", "*").env("no_proxy", "*");
    assert_eq!(fetchd.run(origin.url("/ok/1")).only_record()["body"], "by proxy");
    assert_eq!((origin.accepts(), proxy.accepts()), (1, 1));
}

#[test]
fn limits_per_host_hold_behind_a_proxy_and_connections_are_used_again() {
    let proxy = Origin::start();
    let mut input = String::new();
    for host in ["a", "b"] {
        let url = format!("http://{host}.example/");
        proxy.play(&url, [Step::Wait(Duration::from_millis(1)), send(ok_with("", b"at last"))]);
        input += &format!("{url}\n").repeat(50);
    }
    let fetchd = through(&format!("http://{}", proxy.authority()), "hosts.'*'.concurrency = 2");
    assert_eq!(fetchd.run(input).count("ok"), 100);
    assert!(proxy.most_at_once() <= 4, "{} at once", proxy.most_at_once());
    assert!(proxy.accepts() < 100, "no connection was used again");
}

#[test]
fn no_more_idle_connections_than_allowed_are_kept_behind_a_proxy() {
    let proxy = Origin::start();
    let config = "fetch.idle_connections = 1";
    let mut fetchd = through(&format!("http://{}", proxy.authority()), config).start();
    for url in ["http://a.example/", "http://b.example/"] {
        proxy.play(url, [send(ok_with("", b""))]);
        fetchd.line(url);
        assert_eq!(fetchd.record()["outcome"], "ok");
    }
    let asked: Vec<_> =
        proxy.requests().iter().map(|request| request.header("connection").map(str::to_owned)).collect();
    assert_eq!(asked, [None, Some("close".to_owned())]);
}

#[test]
fn the_credentials_of_a_proxy_are_shown_nowhere() {
    // `CANARY` as it stands, and in Base64 as the user's password.
    const CANARIES: [&str; 2] = ["CANARY", "dTpDQU5BUlk="];
    let who_are_you = Then::Answer(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
    let works = Origin::start();
    works.script("http://name.example/", ok_with("", b"by proxy"));
    let proxies = [
        format!("http://u:CANARY@{}", works.authority()),
        Proxy::http(who_are_you).url("u:CANARY@"),
        Proxy::socks5(who_are_you).url("u:CANARY@"),
        format!("http://u:CANARY@{}", refusing_address()),
        "http://u:CANARY@missing.invalid:3128".to_owned(),
        "ftp://u:CANARY@127.0.0.1:1".to_owned(),
        "http://u:CANARY@".to_owned(),
    ];
    for proxy in proxies {
        for format in ["text", "json"] {
            let config = "output.headers = true\ndns.servers = []\nretry.retries = 0";
            let fetchd = Fetchd::bare(["-vv", "--log-format", format, "-x", &proxy]).config(config);
            let ended = fetchd.run("http://name.example/\nhttps://name.example/");
            let all = format!("{:?}{}", ended.records, ended.stderr);
            assert!(!CANARIES.iter().any(|canary| all.contains(canary)), "{all}");
        }
    }
    assert_eq!(works.requests()[0].header("proxy-authorization"), Some("Basic dTpDQU5BUlk="));
}
