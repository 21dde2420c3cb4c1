//! `POST /v1/...`: parses a body into a verb, and turns the reply into a response.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use http::header::CONTENT_LENGTH;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde_json::{Map, Value};

use super::answer::{Answer, Failure, json};
use super::fields::Fields;
use super::host_name::host;
use super::operator::{Lasting, LimitsChange, Refusal, Reloading, Reply, Unfinished, Verb, Whom};
use super::state::ApiState;
use crate::units::{Concurrency, Rate, Span};

/// The longest body.
const MOST_BYTES: usize = 64 << 10;

/// Parses the fields of one verb.
type Read = fn(&mut Fields) -> Result<Verb, Failure>;

/// The paths of all verbs.
const VERBS: [(&str, Read); 7] = [
    ("/v1/pause", |fields| Ok(Verb::Pause(whom(fields)?, lasting(fields)?))),
    ("/v1/resume", |fields| Ok(Verb::Resume(whom(fields)?))),
    ("/v1/skip", skip),
    ("/v1/limits", limits),
    ("/v1/drain", |fields| {
        Ok(Verb::Drain(if fields.wanted("force")? { Unfinished::Cancel } else { Unfinished::Keep }))
    }),
    ("/v1/rotate", |_| Ok(Verb::Rotate)),
    ("/v1/reload", |fields| {
        Ok(Verb::Reload(if fields.wanted("dry_run")? { Reloading::DryRun } else { Reloading::Apply }))
    }),
];

pub(super) fn routes() -> Router<Arc<ApiState>> {
    VERBS.into_iter().fold(Router::new(), |router, (path, read)| {
        router.route(path, post(move |State(api), request| carry_out(api, request, read)))
    })
}

async fn carry_out(api: Arc<ApiState>, request: Request<Body>, read: Read) -> Answer {
    let verb = {
        if length(&request).is_some_and(|length| length > MOST_BYTES as u64) {
            return Err(too_large());
        }
        let body =
            Limited::new(request.into_body(), MOST_BYTES).collect().await.map_err(|error| unread(error.as_ref()))?;
        let mut fields = Fields::of_body(&body.to_bytes())?;
        let verb = read(&mut fields)?;
        fields.end()?;
        verb
    };
    match api.parts.operator.carry_out(verb).await {
        Ok(reply) => Ok(answer(reply)),
        Err(Refusal::Invalid(message)) => Err(Failure::bad(message)),
        Err(Refusal::Refused(message)) => Err(Failure::new(StatusCode::CONFLICT, message)),
        Err(Refusal::Unavailable(message)) => Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, message)),
        Err(Refusal::TryAgain(message)) => Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, message)),
    }
}

/// The Content-Length of a request, by which a body that is too long is refused before it is read.
fn length(request: &Request<Body>) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large() -> Failure {
    let message = format!("the body has more than {MOST_BYTES} bytes; send only the fields of the verb");
    Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

fn unread(error: &(dyn std::error::Error + 'static)) -> Failure {
    if error.is::<LengthLimitError>() {
        return too_large();
    }
    Failure::bad("the body ended early; send all of it")
}

/// The response to a verb.
#[derive(Serialize)]
struct Done {
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<bool>,
    #[serde(flatten)]
    facts: Map<String, Value>,
}

fn answer(Reply { message, warnings, kept, facts }: Reply) -> Response {
    json(&Done { message, warnings, kept, facts })
}

/// `host`, or the whole run.
fn whom(fields: &mut Fields) -> Result<Whom, Failure> {
    Ok(fields.text("host")?.map(host).transpose()?.map_or(Whom::All, Whom::Host))
}

fn lasting(fields: &mut Fields) -> Result<Lasting, Failure> {
    Ok(time(fields)?.map_or(Lasting::UntilCleared, Lasting::For))
}

fn time(fields: &mut Fields) -> Result<Option<std::time::Duration>, Failure> {
    let Some(Span(time)) = fields.parsed::<Span>("for")? else { return Ok(None) };
    if time.is_zero() || time > Span::LONGEST.0 {
        return Err(Failure::bad("`for` is not a time from 1ms to a year; write for example \"1h\", or leave it out"));
    }
    Ok(Some(time))
}

fn skip(fields: &mut Fields) -> Result<Verb, Failure> {
    let host = fields.text("host")?.map(host).transpose()?;
    let Some(host) = host else {
        return Err(Failure::bad("`host` is missing: only the lines of one host can be skipped; name it"));
    };
    let lasting = time(fields)?;
    match (fields.wanted("clear")?, lasting) {
        (false, lasting) => Ok(Verb::Skip { host, lasting }),
        (true, None) => Ok(Verb::EndSkip(host)),
        (true, Some(_)) => Err(Failure::bad("`clear` takes no `for`; leave it out")),
    }
}

fn limits(fields: &mut Fields) -> Result<Verb, Failure> {
    let (whom, is_for_all) = (whom(fields)?, fields.wanted("all")?);
    match (&whom, is_for_all) {
        (Whom::All, false) => {
            return Err(Failure::bad(
                "`host` is missing; name a host, or write \"all\": true for the limits of the run",
            ));
        }
        (Whom::Host(_), true) => return Err(Failure::bad("`host` and `all` exclude each other; keep one")),
        _ => {}
    }
    let (rate, concurrency) = (fields.parsed::<Rate>("rate")?, fields.parsed::<Concurrency>("concurrency")?);
    let (lasting, is_cleared) = (lasting(fields)?, fields.wanted("clear")?);
    let sets = rate.is_some() || concurrency.is_some();
    match (sets, is_cleared) {
        (true, true) => Err(Failure::bad("`clear` removes limits, so it excludes `rate` and `concurrency`; keep one")),
        (false, false) => Err(Failure::bad("`rate` or `concurrency` is missing; give one, or write \"clear\": true")),
        (false, true) if lasting != Lasting::UntilCleared => Err(Failure::bad("`clear` takes no `for`; leave it out")),
        (false, true) => Ok(Verb::Limits(whom, LimitsChange::Clear)),
        (true, false) => Ok(Verb::Limits(whom, LimitsChange::Set { rate, concurrency, lasting })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verb(path: &str, body: &str) -> Result<Verb, String> {
        let (_, read) = VERBS.iter().find(|(verb, _)| *verb == path).unwrap();
        let verb = || {
            let mut fields = Fields::of_body(body.as_bytes())?;
            let verb = read(&mut fields)?;
            fields.end()?;
            Ok(verb)
        };
        verb().map_err(|failure: Failure| failure.message)
    }

    #[test]
    fn bodies_are_read_as_verbs() {
        let (hour, a) = (Lasting::For(std::time::Duration::from_secs(3600)), || Whom::Host("a.test".to_owned()));
        let set = |rate: Option<&str>, concurrency| LimitsChange::Set {
            rate: rate.map(|rate| rate.parse().unwrap()),
            concurrency,
            lasting: Lasting::UntilCleared,
        };
        for (path, body, expected) in [
            ("/v1/pause", "", Verb::Pause(Whom::All, Lasting::UntilCleared)),
            ("/v1/pause", r#"{"host":"A.test","for":"1h"}"#, Verb::Pause(a(), hour)),
            (
                "/v1/pause",
                r#"{"host":"bücher.test:8443"}"#,
                Verb::Pause(Whom::Host("xn--bcher-kva.test:8443".into()), Lasting::UntilCleared),
            ),
            ("/v1/resume", "{}", Verb::Resume(Whom::All)),
            ("/v1/skip", r#"{"host":"a.test"}"#, Verb::Skip { host: "a.test".into(), lasting: None }),
            ("/v1/skip", r#"{"host":"a.test","clear":true}"#, Verb::EndSkip("a.test".into())),
            ("/v1/limits", r#"{"host":"a.test","rate":"2/s"}"#, Verb::Limits(a(), set(Some("2/s"), None))),
            (
                "/v1/limits",
                r#"{"all":true,"concurrency":3}"#,
                Verb::Limits(Whom::All, set(None, Some(Concurrency::Fixed(3)))),
            ),
            ("/v1/limits", r#"{"host":"a.test","clear":true}"#, Verb::Limits(a(), LimitsChange::Clear)),
            ("/v1/drain", r#"{"force":true}"#, Verb::Drain(Unfinished::Cancel)),
            ("/v1/drain", "", Verb::Drain(Unfinished::Keep)),
            ("/v1/rotate", "", Verb::Rotate),
            ("/v1/reload", r#"{"dry_run":true}"#, Verb::Reload(Reloading::DryRun)),
        ] {
            assert_eq!(verb(path, body), Ok(expected), "{path} {body}");
        }
    }

    #[test]
    fn an_invalid_body_is_refused_with_the_name_of_the_field() {
        for (path, body, part) in [
            ("/v1/pause", r#"{"host":"http://a.test/"}"#, "`host` is not the name of a host"),
            ("/v1/pause", r#"{"host":"*.a.test"}"#, "`host` is not the name of a host"),
            ("/v1/pause", r#"{"for":"0s"}"#, "`for` is not a time"),
            ("/v1/pause", r#"{"for":"9000h"}"#, "`for` is not a time"),
            ("/v1/skip", "", "`host` is missing"),
            ("/v1/limits", r#"{"rate":"2/s"}"#, "`host` is missing"),
            ("/v1/limits", r#"{"host":"a.test","all":true,"rate":"2/s"}"#, "exclude each other"),
            ("/v1/limits", r#"{"host":"a.test"}"#, "`rate` or `concurrency` is missing"),
            ("/v1/limits", r#"{"host":"a.test","rate":"2"}"#, "`rate`: `2` is not a rate"),
            ("/v1/limits", r#"{"host":"a.test","concurrency":0.5}"#, "`concurrency`"),
            ("/v1/limits", r#"{"host":"a.test","clear":true,"rate":"2/s"}"#, "it excludes `rate`"),
            ("/v1/rotate", r#"{"host":"a.test"}"#, "unknown field `host`; there is none here"),
        ] {
            let refused = verb(path, body).unwrap_err();
            assert!(refused.contains(part), "{path} {body}: {refused}");
        }
    }
}
