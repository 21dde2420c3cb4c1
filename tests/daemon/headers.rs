//! What a request says: user agent, configured headers and their rank, and what it never says.

use serde_json::{Value, json};

use crate::common::fetchd::Fetchd;
use crate::common::origin::Origin;

/// The headers that arrived at `/echo`.
fn echoed(fetchd: Fetchd, input: impl Into<Vec<u8>>) -> Value {
    let ended = fetchd.run(input);
    let record = ended.only_record();
    assert_eq!(record["outcome"], "ok", "{record:#}");
    record["json"]["headers"].clone()
}

#[test]
fn a_request_says_who_asks_and_what_it_can_decode_and_nothing_of_where_it_comes_from() {
    let origin = Origin::start();
    origin.script(
        "/cookie",
        format!(
            "HTTP/1.1 302 Found\r\nset-cookie: a=b\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
            origin.url("/echo")
        ),
    );
    let headers = echoed(Fetchd::local(), origin.url("/cookie"));
    assert_eq!(headers["user-agent"], concat!("fetchd/", env!("CARGO_PKG_VERSION")));
    assert_eq!(headers["accept-encoding"], "gzip, br, zstd, deflate");
    assert_eq!(headers["host"], origin.authority());
    assert_eq!((headers.get("referer"), headers.get("cookie")), (None, None));
    let headers = echoed(Fetchd::with(["-A", "crawler (me@example.com)"]), origin.url("/echo"));
    assert_eq!(headers["user-agent"], "crawler (me@example.com)");
}

#[test]
fn for_one_header_the_line_wins_then_the_command_line_then_the_host_then_the_rest() {
    let origin = Origin::start();
    let config = "fetch.headers = { x-a = 'all', x-b = 'all', x-c = 'all', x-d = 'all' }\n\
                  [hosts.'*']\nheaders = { x-b = 'any host', x-e = 'any host' }\n\
                  [hosts.'127.0.0.1']\nheaders = { x-b = 'host', x-c = 'host', x-d = 'host' }\n\
                  [hosts.'127.0.0.2']\nheaders = { x-f = 'another host' }";
    let line = json!({ "url": origin.url("/echo"), "headers": { "X-D": "line" } });
    let args = ["-H", "X-C: option", "--header", "x-d:option"];
    let headers = echoed(Fetchd::with(args).config(config), line.to_string());
    let got = ["x-a", "x-b", "x-c", "x-d", "x-e", "x-f"].map(|name| headers[name].as_str().unwrap_or_default());
    assert_eq!(got, ["all", "host", "option", "line", "any host", ""]);
}

#[test]
fn credentials_stay_on_redirects_that_stay_home() {
    let origin = Origin::start();
    let config = "hosts.'127.0.0.1'.headers = { cookie = 'c' }";
    let line = json!({ "url": origin.redirect(302, &origin.url("/echo")), "headers": { "x-token": "t" } });
    let headers = echoed(Fetchd::with(["-H", "authorization: a"]).config(config), line.to_string());
    assert_eq!([&headers["authorization"], &headers["cookie"], &headers["x-token"]], ["a", "c", "t"]);
}

#[test]
fn credentials_are_dropped_at_the_first_redirect_elsewhere_and_not_regained_on_the_way_back() {
    let (home, elsewhere) = (Origin::start_at([127, 0, 0, 2]), Origin::start_at([127, 0, 0, 3]));
    let config = "hosts.'127.0.0.2'.headers = { cookie = 'home' }\n\
                  hosts.'127.0.0.3'.headers = { cookie = 'elsewhere' }\n\
                  fetch.headers = { accept = 'x/y' }";
    let url = home.redirect(302, &elsewhere.redirect(302, &home.url("/echo")));
    let line = json!({ "url": url, "headers": { "x-token": "t" } });
    let headers = echoed(Fetchd::with(["-H", "authorization: a"]).config(config), line.to_string());

    let sent = |origin: &Origin, nth: usize| {
        let request = origin.requests().swap_remove(nth);
        ["authorization", "cookie", "x-token", "accept"].map(|name| request.header(name).map(str::to_owned))
    };
    let all = ["a", "home", "t", "x/y"].map(|value| Some(value.to_owned()));
    let none = [None, None, None, Some("x/y".to_owned())];
    assert_eq!([sent(&home, 0), sent(&elsewhere, 0), sent(&home, 1)], [all, none.clone(), none]);
    assert_eq!(headers.get("referer"), None);
}

#[test]
fn another_port_of_the_same_address_is_elsewhere_too() {
    let (home, elsewhere) = (Origin::start(), Origin::start());
    let url = home.redirect(307, &elsewhere.url("/echo"));
    let headers = echoed(Fetchd::with(["-H", "authorization: a"]), url);
    assert_eq!(headers.get("authorization"), None);
}

#[test]
fn a_json_line_sends_its_method_and_body() {
    let origin = Origin::start();
    let line = json!({ "url": origin.url("/echo"), "method": "PUT", "json": { "b": 1, "a": [true] } });
    let ended = Fetchd::local().run(line.to_string());
    let echo = &ended.only_record()["json"];
    assert_eq!((&echo["method"], &echo["body"]), (&json!("PUT"), &json!("{\"a\":[true],\"b\":1}")));
    assert_eq!(echo["headers"]["content-type"], "application/json");
    assert_eq!(ended.only_record()["method"], "PUT");
}
