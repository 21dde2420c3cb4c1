//! The answers that need no script of the test's own, by path; connections stay open after them.
//!
//! | path | answer |
//! |---|---|
//! | `/ok/N` | 200, `{"n":N}` |
//! | `/status/CODE` | that status |
//! | `/retry-after/CODE/SECS` | that status with Retry-After the first time, then 200 |
//! | `/flaky/N` | 500 the first N times, then 200; counted by the whole target |
//! | `/quota/MOST/SECS/HOURS` | 200 with `x-ratelimit-` headers, and 429 to more than MOST requests in that time, by a clock that is off by HOURS: fast if odd, and slow if even; answers overtake each other |
//! | `/redirect?to=URL&status=CODE` | a redirect, by default 302 |
//! | `/slow/MS` | 200 after that time |
//! | `/hang` | nothing, for as long as the client waits |
//! | `/reset`, `/close` | the connection is reset, or closed, without an answer |
//! | `/bytes/N` | N bytes |
//! | `/token/N` | 200, if a header has the token that is good now (`Origin::accept_token`), or 401 |
//! | `/versions/KIND/N` | the present version of the page (`Origin::change`), with validators of this kind, or 304 |
//! | `/items/PAGES/SIZE` | a page of items, by the queries that `items.rs` names |
//! | `/echo` | the request's method, headers and body as JSON |

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::items;
use super::log::Request;
use super::quota::{Clock, Quota};
use super::script::{Script, Step, send};
use super::versions::Versions;

#[derive(Default)]
pub struct Paths {
    /// How often the targets that count were asked for.
    tries: HashMap<String, u32>,
    quota: Quota,
    pub versions: Versions,
    /// The token that is good now.
    pub token: String,
}

impl Paths {
    /// What is to be played for a request.
    pub fn script(&mut self, request: &Request) -> Script {
        let mut script = self.script_of_get(request);
        if request.method == "HEAD" {
            script.iter_mut().for_each(leave_the_body_out);
        }
        script
    }

    fn script_of_get(&mut self, request: &Request) -> Script {
        let mut parts = request.path().trim_start_matches('/').split('/');
        let kind = parts.next().unwrap_or_default();
        if kind == "versions" {
            let (status, headers, body) = self.versions.answer(parts.next().unwrap_or_default(), request);
            return vec![send(answer(status, &headers, body.as_bytes()))];
        }
        let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok()).unwrap_or_default();
        let answer = match kind {
            "ok" => json_answer(&json!({ "n": number() })),
            "status" => answer(number(), "", b"as asked for"),
            "retry-after" => {
                let (status, wait) = (number(), format!("retry-after: {}\r\n", number()));
                let first = self.tried(&request.target) == 1;
                if first { answer(status, &wait, b"later") } else { answer(200, "", b"now") }
            }
            "flaky" => {
                let fails = self.tried(&request.target) <= number();
                if fails { answer(500, "", b"not yet") } else { answer(200, "", b"at last") }
            }
            "quota" => return self.quota(number(), number(), number()),
            "token" => {
                let good = [self.token.clone(), format!("Bearer {}", self.token)];
                let has_token = request.headers.iter().any(|(_, value)| good.contains(value));
                let (status, body) = if has_token { (200, "welcome") } else { (401, "the token is not good") };
                answer(status, "", body.as_bytes())
            }
            "redirect" => redirect(&request.target),
            "slow" => {
                let time = Duration::from_millis(number().into());
                return vec![Step::Wait(time), send(answer(200, "", b"at last"))];
            }
            "hang" => return vec![Step::Stall],
            "reset" => return vec![Step::Reset],
            "close" => return vec![Step::Close],
            "bytes" => answer(200, "", &vec![b'x'; number() as usize]),
            "items" => items::page(request, number().into(), number().into()),
            "echo" => json_answer(&echo(request)),
            _ => answer(404, "", b"no such path"),
        };
        vec![send(answer)]
    }

    fn quota(&mut self, most: u32, seconds: u32, hours: u32) -> Script {
        let off = Duration::from_secs(u64::from(hours) * 3600);
        let clock = if hours % 2 == 1 { Clock::Fast(off) } else { Clock::Slow(off) };
        let (status, headers) = self.quota.take(most, Duration::from_secs(seconds.into()), clock);
        let time = Duration::from_millis(u64::from(self.tried("quota") * 29 % 83));
        vec![Step::Wait(time), send(answer(status, &headers, b"counted"))]
    }

    /// How often the target was asked for, this time included.
    fn tried(&mut self, target: &str) -> u32 {
        let tries = self.tries.entry(target.to_owned()).or_default();
        *tries += 1;
        *tries
    }
}

fn leave_the_body_out(step: &mut Step) {
    if let Step::Send(answer) = step {
        let head = memchr::memmem::find(answer, b"\r\n\r\n").unwrap() + 4;
        answer.truncate(head);
    }
}

fn answer(status: u32, headers: &str, body: &[u8]) -> Vec<u8> {
    if matches!(status, 204 | 304) {
        return format!("HTTP/1.1 {status} Scripted\r\n{headers}\r\n").into();
    }
    let head = format!("HTTP/1.1 {status} Scripted\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn json_answer(value: &Value) -> Vec<u8> {
    answer(200, "content-type: application/json\r\n", value.to_string().as_bytes())
}

fn redirect(target: &str) -> Vec<u8> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let keys: HashMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let status = keys.get("status").map_or(302, |status| status.parse().unwrap());
    answer(status, &format!("location: {}\r\n", keys["to"]), b"")
}

fn echo(request: &Request) -> Value {
    let headers: Map<_, _> =
        request.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    json!({ "method": request.method, "headers": headers, "body": String::from_utf8_lossy(&request.body) })
}
