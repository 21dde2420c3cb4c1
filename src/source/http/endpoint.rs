//! Routes requests and answers them. In: a request. Out: its response.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answers::{Accepted, Lines, Progress, Refusal, json};
use super::body::RequestBody;
use super::decoder::Upload;
use super::done_lines::DoneLines;
use super::memory::BodyMemory;
use super::request_head::{authorize, check_type, coding, key, range};
use crate::units::Secret;

/// The path to which producers send lines.
const LINES: &str = "/v1/lines";

/// The state that all connections share.
pub(super) struct Endpoint {
    pub token: Option<Secret<String>>,
    pub state_id: Arc<str>,
    pub source: Option<Arc<str>>,
    pub uploads: mpsc::Sender<Upload>,
    pub memory: BodyMemory,
    pub timeout: Duration,
    pub done: Arc<DoneLines>,
    pub stop: CancellationToken,
    /// Cancelled once the acceptor has ended.
    pub ended: CancellationToken,
}

impl Endpoint {
    /// Answers a request.
    pub async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let mut body = RequestBody::new(body, &head.headers);
        match self.route(&head, &mut body).await {
            Ok(response) => response,
            Err(refusal) => {
                body.discard().await;
                refusal.response()
            }
        }
    }

    async fn route(&self, head: &Parts, body: &mut RequestBody) -> Result<Response<Full<Bytes>>, Refusal> {
        authorize(&head.headers, self.token.as_ref().map(|token| token.expose().as_str()))?;
        let path = head.uri.path();
        match (path.strip_prefix(LINES), &head.method) {
            (Some(""), &Method::POST) => self.take(head, body).await.map(|lines| self.accepted(lines)),
            (Some(""), _) => Err(Refusal::Method("POST")),
            (Some(rest), method) if rest.starts_with('/') => {
                let lines = range(&rest[1..])?;
                if *method != Method::GET {
                    return Err(Refusal::Method("GET"));
                }
                self.progress(&lines)
            }
            _ => Err(Refusal::NotFound(path.to_owned())),
        }
    }

    /// Accepts a batch of lines; it is durable when this returns.
    async fn take(&self, head: &Parts, body: &mut RequestBody) -> Result<Lines, Refusal> {
        check_type(&head.headers)?;
        let (coding, key) = (coding(&head.headers)?, key(&head.headers)?);
        let until = Instant::now() + self.timeout;
        let received = self.stop.run_until_cancelled(body.receive(&self.memory, until));
        let body = received.await.unwrap_or(Err(Refusal::Stopping))?;
        let (reply, result) = oneshot::channel();
        let upload = Upload { body, coding, key, reply };
        self.uploads.send(upload).await.map_err(|_| Refusal::Stopping)?;
        tokio::select! {
            biased;
            result = result => result.unwrap_or(Err(Refusal::Stopping)),
            // Without a result the batch was not accepted, and decoding it may still take long.
            () = self.ended.cancelled() => Err(Refusal::Stopping),
        }
    }

    fn accepted(&self, lines: Lines) -> Response<Full<Bytes>> {
        let (first, last) = lines.map(RangeInclusive::into_inner).unzip();
        let accepted = Accepted { state_id: &self.state_id, source: self.source(), first, last };
        json(StatusCode::ACCEPTED, &accepted)
    }

    /// Counts how many of these lines are done.
    fn progress(&self, lines: &RangeInclusive<u64>) -> Result<Response<Full<Bytes>>, Refusal> {
        let (first, last) = (*lines.start(), *lines.end());
        let accepted = self.done.last_accepted();
        if last > accepted {
            return Err(Refusal::NotAccepted(accepted));
        }
        let pending = self.done.pending(lines);
        let done = last - first + 1 - pending;
        let progress = Progress { state_id: &self.state_id, source: self.source(), first, last, done, pending };
        Ok(json(StatusCode::OK, &progress))
    }

    fn source(&self) -> &str {
        self.source.as_deref().unwrap_or_default()
    }
}
