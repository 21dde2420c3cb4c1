//! Decides on a redirect: whether to follow it, with which method, and with which parts of the request.

use http::{HeaderName, Method, StatusCode, header};
use url::Url;

use super::decide::{AttemptContext, Decision};
use super::job::Job;
use crate::hosts::{host_name, port_of};
use crate::item::{CredentialScope, ErrorKind, Extra, Hop, Request, check_url};

/// Headers that select a representation and do not identify the client.
const TRAVELLING: [HeaderName; 6] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::IF_RANGE,
    header::RANGE,
];

impl AttemptContext<'_> {
    /// The decision for a line whose response is a redirect.
    pub(super) fn hop(&self, job: &Job, status: StatusCode, target: Url) -> Decision {
        let from = &job.call.request;
        let method = method_after(status, &from.method);
        if let Some(refusal) = self.refuse(job, &target, &method) {
            return Decision::Settle(Some(refusal));
        }
        let credential_scope =
            if stays_at_own_host(job, &target) { CredentialScope::OwnHost } else { CredentialScope::OtherHost };
        let mut extra = from.extra.clone();
        if let Some(extra) = &mut extra {
            if credential_scope == CredentialScope::OtherHost {
                // The line's headers belong to the host of its own URL; elsewhere they may be credentials.
                extra.headers =
                    TRAVELLING.iter().filter_map(|name| Some((name.clone(), extra.headers.remove(name)?))).collect();
            }
            if method != from.method {
                without_body(extra);
            }
        }
        let request = Request { method, url: target, extra };
        let hop = Hop { url: from.url.clone(), method: from.method.clone(), status };
        Decision::Follow(hop, Box::new(request), credential_scope)
    }

    fn refuse(&self, job: &Job, target: &Url, method: &Method) -> Option<(ErrorKind, String)> {
        let from = &job.call.request;
        if let Err(rejection) = check_url(target) {
            return Some((rejection.kind, format!("the redirect was refused: {}", rejection.message)));
        }
        if from.url.scheme() == "https" && target.scheme() == "http" {
            return Some((ErrorKind::RedirectDowngrade, format!("the redirect from https to {target} was refused")));
        }
        let seen = |url: &Url, its_method: &Method| url == target && its_method == method;
        if seen(&from.url, &from.method) || job.progress.hops.iter().any(|hop| seen(&hop.url, &hop.method)) {
            return Some((ErrorKind::RedirectLoop, format!("the redirect leads back to {target}")));
        }
        if job.progress.hops.len() >= self.max_redirects as usize {
            let message =
                format!("more than {} redirects; raise fetch.max_redirects to follow more", self.max_redirects);
            return Some((ErrorKind::TooManyRedirects, message));
        }
        None
    }
}

/// Removes the body and its headers.
fn without_body(extra: &mut Extra) {
    extra.body = None;
    let about_the_body = |name: &&HeaderName| name.as_str().starts_with("content-");
    let names: Vec<_> = extra.headers.keys().filter(about_the_body).cloned().collect();
    for name in names {
        extra.headers.remove(name);
    }
}

/// The method after a redirect: 303 means GET; 301 and 302 change POST to GET, as in every client; 307 and 308 keep it.
fn method_after(status: StatusCode, method: &Method) -> Method {
    match (status.as_u16(), method) {
        (303, &Method::HEAD) => Method::HEAD,
        (303, _) | (301 | 302, &Method::POST) => Method::GET,
        _ => method.clone(),
    }
}

/// Whether the target has the same scheme, host and port, or only moves from http to https on the default ports.
fn stays_at_own_host(job: &Job, target: &Url) -> bool {
    let from = &job.call.request.url;
    let upgraded =
        from.scheme() == "http" && target.scheme() == "https" && port_of(from) == 80 && port_of(target) == 443;
    job.call.credential_scope == CredentialScope::OwnHost
        && host_name(from) == host_name(target)
        && (upgraded || (from.scheme() == target.scheme() && port_of(from) == port_of(target)))
}
