//! One attempt with reqwest: guard, request, head, body.

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

/// 500 KiB, and one byte that shows that there is more (RFC 9309, section 2.5).
const MOST_OF_ROBOTS: u64 = (500 << 10) + 1;

/// Of the body of a redirect that is followed, no more is read than this, and for no longer: enough to use the connection
/// again.
const MOST_OF_REDIRECT: (u64, Duration) = (CHUNK, Duration::from_millis(200));

/// The fetcher over HTTP.
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
    /// When the proxy's URL is none, a file of certificates cannot be used, or TLS cannot be set up.
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

    /// The fetcher that follows this one on a reload, with these headers, over the same connections.
    ///
    /// # Errors
    /// A header with a token that is none; a checked configuration has no such header.
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

    /// The same with connections and a resolver of its own, whose uses it counts together with those of this one.
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

    /// Tells whether the connections of this fetcher are still in use.
    pub fn connections_in_use(&self) -> InUse {
        InUse::of(&self.generation)
    }

    /// The headers that have the contents of files in them, if there are any.
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

    /// Says once a run that this machine, not a server, is what some lines wait for.
    fn tell_of_shortage(&self, failure: &Failure) {
        if failure.sent == Sent::Starved {
            self.told_of_shortage.call_once(|| {
                let (why, advice) = (&failure.message, open_files::advice());
                tracing::warn!(
                    "no file or port is left for a connection ({why}); lines wait for one, uncharged; {advice}"
                );
            });
        }
    }

    /// Names are checked where they are resolved; an address that stands in the URL never gets there.
    fn check_literal(&self, url: &Url) -> Result<(), Failure> {
        self.generation
            .guard
            .check_literal(url)
            .map_err(|forbidden| Failure::new(ErrorKind::ForbiddenAddress, forbidden.to_string(), Sent::Refused))
    }

    /// A robots.txt is read whatever records show of bodies, as far as its rules may count.
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
            // RFC 9110, section 8.6: methods that expect content say that there is none.
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        *request.body_mut() = body.map(Into::into);
        (request, token)
    }

    /// Receives the body. Whatever becomes of it, what the head says is kept.
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

    /// Whether the schedule is going to follow this response, or to refuse to, whatever its body.
    fn is_followed(&self, call: &Call, head: &Head) -> bool {
        let follows = self.max_redirects > 0 || call.purpose == Purpose::RobotsTxt;
        follows && matches!(Redirect::of(head, &call.request.url), Redirect::To(_))
    }

    /// The body, as long as it comes fast enough.
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

    /// The body of a redirect that is followed, if it is short and there.
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
        // In a box of its own: it is rare, and would make every attempt larger.
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
