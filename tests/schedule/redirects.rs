//! What travels to where a redirect leads, and which redirects are not followed.

use fetchd::item::{CredentialScope, Done, ErrorKind, Extra, Outcome, Request};
use fetchd::schedule::{Core, Job, Settings};
use http::{HeaderMap, HeaderValue, Method, header};

use crate::items::{answered, get, job, limits, ms, redirected, request};

const SECRET: HeaderValue = HeaderValue::from_static("Bearer secret");

/// A request with a body and with headers of all sorts.
fn full(method: Method, url: &str) -> Request {
    let mut request = request(method, url);
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, SECRET);
    headers.insert("x-of-the-line", HeaderValue::from_static("1"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    request.extra = Some(Box::new(Extra { headers, body: Some("body".into()), ..Extra::default() }));
    request
}

fn core() -> Core {
    Core::new(Settings::default())
}

/// The job that follows when the request is answered by these redirects, one after the other.
fn after(request: Request, redirects: &[(u16, &str)]) -> Box<Job> {
    let mut core = core();
    core.push(job(0, request), ms(0));
    for (status, location) in redirects {
        let job = core.take(ms(0)).expect("the redirect before was followed");
        core.complete(job, redirected(*status, location), ms(0), ms(0));
    }
    core.take(ms(0)).expect("the last redirect was followed")
}

/// How a line ends that meets these redirects, one after the other.
fn end(core: &mut Core, url: &str, redirects: &[(u16, &str)]) -> Done {
    core.push(get(0, url), ms(0));
    for (status, location) in redirects {
        let job = core.take(ms(0)).expect("the redirect before was followed");
        core.complete(job, redirected(*status, location), ms(0), ms(0));
    }
    core.take_settled().expect("the last redirect was not followed")
}

#[test]
fn a_post_becomes_a_get_without_its_body_unless_the_status_keeps_the_method() {
    for (status, method) in
        [(301, Method::GET), (302, Method::GET), (303, Method::GET), (307, Method::POST), (308, Method::POST)]
    {
        let request = after(full(Method::POST, "http://a.test/"), &[(status, "/b")]).call.request;
        let kept = method == Method::POST;
        assert_eq!(request.method, method, "{status}");
        let extra = request.extra.expect("its own headers");
        assert_eq!(extra.body.is_some(), kept, "{status}");
        assert_eq!(extra.headers.contains_key(header::CONTENT_TYPE), kept, "{status}");
        assert_eq!(request.url.as_str(), "http://a.test/b");
    }
}

#[test]
fn other_methods_change_on_303_alone_and_head_never() {
    for (method, status, want) in [
        (Method::PUT, 301, Method::PUT),
        (Method::PUT, 302, Method::PUT),
        (Method::PUT, 303, Method::GET),
        (Method::HEAD, 302, Method::HEAD),
        (Method::HEAD, 303, Method::HEAD),
    ] {
        let followed = after(request(method.clone(), "http://a.test/"), &[(status, "/b")]).call.request.method;
        assert_eq!(followed, want, "{method} {status}");
    }
}

#[test]
fn at_home_the_lines_headers_stay_also_from_http_to_https_on_default_ports() {
    for (from, to, own_port) in [
        ("http://a.test/", "http://a.test/b", 80),
        ("http://a.test/", "https://a.test/", 80),
        ("http://a.test/", "http://A.test.:80/b", 80),
        ("https://a.test:8443/", "/b", 8443),
    ] {
        let call = after(full(Method::GET, from), &[(302, to)]).call;
        assert_eq!((call.credential_scope, call.own_port), (CredentialScope::OwnHost, own_port));
        let headers = call.request.extra.expect("its own headers").headers;
        assert_eq!(headers.get(header::AUTHORIZATION), Some(&SECRET), "{from} to {to}");
        assert_eq!(headers.len(), 3, "{from} to {to}");
    }
}

#[test]
fn elsewhere_the_lines_headers_are_dropped() {
    for to in [
        "http://b.test/",
        "http://www.a.test/",
        "http://a.test:81/",
        "https://a.test:444/",
        "https://b.test/",
        "//b.test/",
    ] {
        let headers = after(full(Method::PUT, "http://a.test/"), &[(307, to)])
            .call
            .request
            .extra
            .expect("its own headers")
            .headers;
        assert_eq!(headers.keys().collect::<Vec<_>>(), [header::CONTENT_TYPE], "{to}");
    }
}

#[test]
fn the_headers_do_not_come_back_when_a_redirect_leads_home_again() {
    let way = [(307, "http://b.test/"), (307, "http://a.test/again"), (307, "/further")];
    let job = after(full(Method::PUT, "http://a.test/"), &way);
    let extra = job.call.request.extra.expect("its own headers");
    assert_eq!(extra.headers.keys().collect::<Vec<_>>(), [header::CONTENT_TYPE]);
    assert_eq!(job.call.credential_scope, CredentialScope::OtherHost, "nor are headers of `[hosts]` sent");
}

#[test]
fn redirects_that_must_not_be_followed_have_failed() {
    let too_many: Vec<String> = (0..11).map(|n| format!("/{n}")).collect();
    let too_many: Vec<(u16, &str)> = too_many.iter().map(|path| (302, path.as_str())).collect();
    type Redirects<'a> = &'a [(u16, &'a str)];
    let cases: [(&str, Redirects<'_>, ErrorKind); 7] = [
        ("https://a.test/", &[(302, "http://a.test/")], ErrorKind::RedirectDowngrade),
        ("http://a.test/", &[(302, "/")], ErrorKind::RedirectLoop),
        ("http://a.test/", &[(302, "/#fragment")], ErrorKind::RedirectLoop),
        ("http://a.test/", &[(302, "http://b.test/"), (302, "/c"), (302, "http://a.test/")], ErrorKind::RedirectLoop),
        ("http://a.test/", &[(302, "ftp://a.test/")], ErrorKind::SchemeNotAllowed),
        ("http://a.test/", &[(302, "http://u:p@a.test/")], ErrorKind::CredentialsInUrl),
        ("http://a.test/", &too_many, ErrorKind::TooManyRedirects),
    ];
    for (url, redirects, kind) in cases {
        let record = end(&mut core(), url, redirects).record;
        assert_eq!((record.kind(), record.outcome), (Some(kind), Outcome::Failed), "{redirects:?}");
        assert_eq!(record.attempts, 1, "{redirects:?}");
        assert_eq!(record.received.head().map(|head| head.status.as_u16()), Some(302), "{redirects:?}");
        assert_eq!(record.hops.len(), redirects.len() - 1, "only followed redirects are hops: {redirects:?}");
    }
}

#[test]
fn a_redirect_to_the_same_url_with_another_method_is_no_loop() {
    let job = after(full(Method::POST, "http://a.test/"), &[(303, "/")]);
    assert_eq!(job.call.request.method, Method::GET);
}

#[test]
fn a_redirect_without_a_way_on_is_an_answer_like_any_other() {
    for (status, location) in [(302, "http://"), (304, "/b"), (300, "/b")] {
        let record = end(&mut core(), "http://a.test/", &[(status, location)]).record;
        assert_eq!(
            (record.kind(), record.outcome),
            (Some(ErrorKind::HttpStatus), Outcome::HttpError),
            "{status} {location}"
        );
    }
    let mut core = core();
    core.push(get(0, "http://a.test/"), ms(0));
    let job = core.take(ms(0)).expect("it starts");
    core.complete(job, answered(302), ms(0), ms(0));
    assert_eq!(core.take_settled().map(|done| done.record.outcome), Some(Outcome::HttpError));
}

#[test]
fn with_max_redirects_nought_a_redirect_is_the_final_answer() {
    let mut core = Core::new(Settings { max_redirects: 0, ..Settings::default() });
    let record = end(&mut core, "http://a.test/", &[(302, "/b")]).record;
    assert_eq!((record.kind(), record.outcome), (Some(ErrorKind::HttpStatus), Outcome::HttpError));
    assert_eq!((record.hops.len(), record.received.head().map(|head| head.status.as_u16())), (0, Some(302)));
}

#[test]
fn as_many_redirects_as_allowed_are_followed() {
    let paths: Vec<String> = (0..10).map(|n| format!("/{n}")).collect();
    let redirects: Vec<(u16, &str)> = paths.iter().map(|path| (302, path.as_str())).collect();
    let job = after(request(Method::GET, "http://a.test/"), &redirects);
    assert_eq!(job.call.request.url.path(), "/9");
    assert_eq!(job.progress.hops.len(), 10);
    assert_eq!(job.progress.hops[0].url.as_str(), "http://a.test/");
}

#[test]
fn a_hop_waits_for_the_limits_of_the_host_it_leads_to() {
    let any_host = limits(1, ms(0));
    let mut core = Core::new(Settings { any_host, ..Settings::default() });
    core.push(get(0, "http://a.test/"), ms(0));
    core.push(get(1, "http://b.test/"), ms(0));
    let (first, second) = (core.take(ms(0)).expect("a starts"), core.take(ms(0)).expect("b starts"));
    core.complete(first, redirected(302, "http://b.test/hop"), ms(0), ms(0));
    assert!(core.take(ms(0)).is_none(), "b has its one request on the wire");
    core.complete(second, answered(200), ms(5), ms(5));
    assert_eq!(core.take(ms(5)).map(|job| job.ticket.ordinal), Some(0));
}

#[test]
fn the_record_of_a_redirected_line_has_its_own_method_and_both_urls() {
    let mut core = core();
    core.push(job(0, request(Method::POST, "http://a.test/")), ms(0));
    let first = core.take(ms(0)).expect("the line starts");
    core.complete(first, redirected(303, "http://b.test/c"), ms(0), ms(0));
    let second = core.take(ms(0)).expect("the redirect is followed");
    core.complete(second, answered(200), ms(0), ms(0));
    let record = core.take_settled().expect("the line is done").record;
    assert_eq!(record.method, Method::POST);
    let urls = [record.url, record.final_url].map(|url| url.map(String::from));
    assert_eq!(urls, ["http://a.test/", "http://b.test/c"].map(|url| Some(url.to_owned())));
}
