//! Makes one attempt with reqwest: guard, request, head, body.

use std::sync::{Arc, Once};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, StatusCode, header};
use tokio::time::{Instant, timeout};
use url::Url;

use super::body::{BodyRules, receive};
use super::body_clock::BodyPace;
use super::chunks::Chunks;
use super::client_generation::{ClientGeneration, HttpSettings, InUse};
use super::connection_counts::ConnectionCounts;
use super::connection_reuse::{Carrier, execute};
use super::failure::{before_answer, refused_by_proxy, tired_of_waiting};
use super::head::{announced, check_framing, held, is_idle_timeout, read_head};
use super::{Fetch, FetchConfig, Guard, HeaderTable, LookUpCounts, Oversize, RefreshTokens, Resolver};
use crate::error::BoxError;
use crate::item::{
    Attempt, Body, BodyNeed, CHUNK, Call, ErrorKind, Failure, Head, Level, Needs, Purpose, Redirect, Reservation,
    Response, ResponseLimits, Sent, TokenGeneration,
};
use crate::open_files;

/// The most of a robots.txt that is read: 500 KiB (RFC 9309, section 2.5), and one byte that shows that it is longer.
const MOST_OF_ROBOTS: u64 = (500 << 10) + 1;

/// The most bytes and time for the body of a followed redirect, which is read so that the connection can be reused.
const MOST_OF_REDIRECT: (u64, Duration) = (CHUNK, Duration::from_millis(200));

/// The HTTP fetcher of a run.
pub struct Http {
    generation: Arc<ClientGeneration>,
    connections: Arc<ConnectionCounts>,
    look_ups: Arc<LookUpCounts>,
    headers: HeaderTable,
    rules: BodyRules,
    pace: BodyPace,
    max_redirects: u32,
    needs: Needs,
    told_of_shortage: Arc<Once>,
}

impl Http {
    /// Builds the clients of the run.
    ///
    /// # Errors
    /// When the proxy's URL is invalid, a certificate file cannot be used, or TLS cannot be set up.
    pub fn new(
        config: &FetchConfig,
        settings: HttpSettings,
        guard: Arc<Guard>,
        resolver: &Resolver,
    ) -> Result<Self, BoxError> {
        let connections = Arc::default();
        let generation = ClientGeneration::new(config, &settings, guard, resolver, &connections)?;
        let pace = BodyPace::new(config.speed_time.0);
        Ok(Self {
            generation: Arc::new(generation),
            connections,
            look_ups: Arc::clone(resolver.counts()),
            rules: BodyRules::of(config, settings.needs),
            headers: settings.headers,
            pace,
            max_redirects: config.max_redirects,
            needs: settings.needs,
            told_of_shortage: Arc::new(Once::new()),
        })
    }

    /// The next fetcher on a reload, with these headers and the same connections.
    ///
    /// # Errors
    /// The first invalid header; a checked configuration has none.
    pub fn with_headers(&self, config: &FetchConfig, headers: HeaderTable) -> Result<Self, BoxError> {
        headers.follow(&self.headers)?;
        Ok(Self {
            generation: Arc::clone(&self.generation),
            connections: Arc::clone(&self.connections),
            look_ups: Arc::clone(&self.look_ups),
            rules: BodyRules::of(config, self.needs),
            headers,
            pace: self.pace.clone(),
            max_redirects: config.max_redirects,
            needs: self.needs,
            told_of_shortage: Arc::clone(&self.told_of_shortage),
        })
    }

    /// The next fetcher on a reload, with new connections and another resolver. They share the counts of this one.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_new_connections(
        &self,
        config: &FetchConfig,
        settings: HttpSettings,
        guard: Arc<Guard>,
        resolver: &Resolver,
    ) -> Result<Self, BoxError> {
        let resolver = resolver.counting_in(&self.look_ups);
        let generation = ClientGeneration::new(config, &settings, guard, &resolver, &self.connections)?;
        Ok(Self { generation: Arc::new(generation), ..self.with_headers(config, settings.headers)? })
    }

    /// A handle that shows whether the connections of this fetcher are still in use.
    pub fn connections_in_use(&self) -> InUse {
        InUse::of(&self.generation)
    }

    /// The headers that contain tokens from files, if any.
    pub fn tokens(&self) -> Option<Arc<dyn RefreshTokens>> {
        let tokens = self.headers.tokens();
        tokens.has_files().then(|| Arc::clone(tokens) as Arc<dyn RefreshTokens>)
    }

    async fn attempt(&self, call: &Call, reservation: Reservation) -> Attempt {
        if let Err(forbidden) = self.check_literal(&call.request.url) {
            return Attempt::Failed(forbidden);
        }
        let start = Instant::now();
        let (request, token) = self.request(call);
        let executed = timeout(call.limits.timeout, execute(self.generation.clients.of(call), request)).await;
        let Ok((result, carrier)) = executed else { return no_head(&call.limits) };
        let response = match result {
            Ok(response) if carrier == Carrier::Kept && is_idle_timeout(&response) => {
                return Attempt::Failed(tired_of_waiting());
            }
            Ok(response) => response,
            Err(error) => {
                let failure = before_answer(error, carrier, call, self.generation.proxy.as_deref());
                self.tell_of_shortage(&failure);
                return Attempt::Failed(failure);
            }
        };
        if let (StatusCode::PROXY_AUTHENTICATION_REQUIRED, Some(proxy)) = (response.status(), &self.generation.proxy) {
            return Attempt::Failed(refused_by_proxy(proxy));
        }
        if carrier == Carrier::Kept {
            self.connections.note_reused();
        }
        let head = read_head(&call.request.method, &response, self.needs, carrier, start.elapsed());
        let head = Head { token, ..head };
        self.receive(call, response, head, reservation).await
    }

    /// Warns once a run that lines wait because this machine lacks files or ports.
    fn tell_of_shortage(&self, failure: &Failure) {
        if failure.sent == Sent::Starved {
            self.told_of_shortage.call_once(|| {
                let (why, advice) = (&failure.message, open_files::advice());
                tracing::warn!(
                    error = %why,
                    "no file or port is left for a connection ({why}); lines wait until one is free; {advice}"
                );
            });
        }
    }

    /// Checks an address in the URL; the resolver checks those of names.
    fn check_literal(&self, url: &Url) -> Result<(), Failure> {
        self.generation
            .guard
            .check_literal(url)
            .map_err(|forbidden| Failure::new(ErrorKind::ForbiddenAddress, forbidden.to_string(), Sent::Refused))
    }

    /// The body rules of a call. A robots.txt is always read, up to its own limit.
    fn rules_for(&self, call: &Call) -> BodyRules {
        match call.purpose {
            Purpose::Line => BodyRules {
                max_body: call.limits.max_body,
                set_by: call.limits.set_by.max_body,
                digest: self.rules.digest || call.request.digest_to_compare().is_some(),
                ..self.rules
            },
            Purpose::RobotsTxt => BodyRules {
                max_body: MOST_OF_ROBOTS,
                set_by: Level::Fetch,
                oversize: Oversize::Truncate,
                body: BodyNeed::Decoded,
                digest: false,
            },
        }
    }

    /// The request of a call, and the token that it carries.
    fn request(&self, call: &Call) -> (reqwest::Request, Option<TokenGeneration>) {
        let mut request = reqwest::Request::new(call.request.method.clone(), call.request.url.clone());
        let (headers, token) = self.headers.of(call);
        *request.headers_mut() = headers;
        let body = call.request.extra.as_ref().and_then(|extra| extra.body.clone());
        if body.is_none() && matches!(call.request.method, Method::POST | Method::PUT | Method::PATCH) {
            // RFC 9110, section 8.6: a method that expects content declares that there is none.
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        *request.body_mut() = body.map(Into::into);
        (request, token)
    }

    /// Receives the body. If that fails, the failure keeps the head.
    async fn receive(
        &self,
        call: &Call,
        response: reqwest::Response,
        mut head: Head,
        mut reservation: Reservation,
    ) -> Attempt {
        let framing = check_framing(&response);
        let is_followed = framing.is_ok() && self.is_followed(call, &head);
        let body = match framing {
            Ok(()) if is_followed => self.body_of_redirect(call, response, &mut reservation, head.ttfb).await,
            Ok(()) => self.body(call, response, self.rules_for(call), &mut reservation, head.ttfb).await,
            Err(failure) => Err(Attempt::Failed(failure)),
        };
        head.reservation = held(&head, body.as_ref().ok(), reservation);
        match body {
            Ok(body) => Attempt::Response(Box::new(Response { head, body })),
            Err(_) if is_followed => Attempt::Redirect(Box::new(head)),
            Err(Attempt::Failed(failure)) => Attempt::Failed(Failure { head: Some(Box::new(head)), ..failure }),
            Err(attempt) => attempt,
        }
    }

    /// Whether the schedule will follow or reject this redirect, for which it does not need the body.
    fn is_followed(&self, call: &Call, head: &Head) -> bool {
        let follows = self.max_redirects > 0 || call.purpose == Purpose::RobotsTxt;
        follows && matches!(Redirect::of(head, &call.request.url), Redirect::To(_))
    }

    /// Receives the body under the speed limit and the deadline of the call.
    async fn body(
        &self,
        call: &Call,
        response: reqwest::Response,
        rules: BodyRules,
        reservation: &mut Reservation,
        ttfb: Duration,
    ) -> Result<Body, Attempt> {
        let announced = announced(&call.request.method, &response);
        let clock = self.pace.start(&call.limits, ttfb);
        receive(Chunks::of(response, clock), &announced, rules, reservation).await
    }

    /// Receives the body of a followed redirect if it is short and fast.
    async fn body_of_redirect(
        &self,
        call: &Call,
        response: reqwest::Response,
        reservation: &mut Reservation,
        ttfb: Duration,
    ) -> Result<Body, Attempt> {
        let (most, time) = MOST_OF_REDIRECT;
        let max_body = self.rules.max_body.min(most);
        let rules = BodyRules { max_body, oversize: Oversize::Fail, ..self.rules };
        // Boxed, because it is rare and would make every attempt's future larger.
        let body = Box::pin(self.body(call, response, rules, reservation, ttfb));
        let no_body = || failed(ErrorKind::Timeout, format!("no whole body within {} ms", time.as_millis()));
        timeout(time, body).await.unwrap_or_else(|_| Err(no_body()))
    }
}

impl Fetch for Http {
    fn attempt<'a>(&'a self, call: &'a Call, reservation: Reservation) -> BoxFuture<'a, Attempt> {
        self.attempt(call, reservation).boxed()
    }

    fn limit_reached(&self, limit: Option<usize>) {
        self.pace.limit_reached(limit);
    }

    fn connections(&self) -> Option<Arc<ConnectionCounts>> {
        Some(Arc::clone(&self.connections))
    }

    fn look_ups(&self) -> Option<Arc<LookUpCounts>> {
        Some(Arc::clone(&self.look_ups))
    }
}

fn no_head(limits: &ResponseLimits) -> Attempt {
    let (seconds, key) = (limits.timeout.as_secs_f64(), limits.set_by.timeout.key("timeout"));
    failed(ErrorKind::Timeout, format!("no response head within {seconds:.3} s ({key})"))
}

fn failed(kind: ErrorKind, message: String) -> Attempt {
    Attempt::Failed(Failure::new(kind, message, Sent::Something))
}
