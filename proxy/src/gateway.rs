//! Pingora's hooks: the order of steps, and nothing else.
//!
//! `judge` is the one screen that matters: admit, route, authenticate, gather, decide. Its only
//! way out with a [`Permit`] is a decision that granted; every other way ends in a refusal, and
//! `denial` writes the answer. A request that dies on the way (a panic included) is counted by the
//! `Drop` of its [`Passage`].

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Method, Version};
use pingora::ErrorSource;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::{Error, ErrorType, HttpPeer, ProxyHttp, Result, Session};
use pingora::protocols::Digest;
use pingora::proxy::FailToProxy;
use portcullis_config::settings::AccessFormat;
use portcullis_policy::decision::{PolicyIndex, PolicyResult};
use portcullis_policy::model::{ClientAppType, CountryCode, Platform};
use portcullis_policy::remedy;
use portcullis_policy::signals::{Action, AppIndex, Fact, RequestId, Target};
use portcullis_policy::{Observer, Permit, SatisfiedRow, Signals};

use crate::admit::{self, AdmittedRequest, Connection, Head, HeaderPresence, RawHead, Site, admit};
use crate::clock;
use crate::context;
use crate::decision_record::DecisionRecord;
use crate::denial::{Answer, DeviceState, Facts, RequestHints, trace_id};
use crate::exchange::{CLIENT_CLOSED_REQUEST, Progress, Stage, Traffic};
use crate::failure::NetworkFailure;
use crate::received::InspectedStream;
use crate::record::field::{NAME_MAX, VALUE_MAX, field, short};
use crate::record::{
    self, Access, AppMeters, AppliedPolicy, Ended, Entry, Outcome, Tally, UserMark, is_logged,
};
use crate::refusal::{BadRequest, BadToken, Carrier, Refusal};
use crate::route::Found;
use crate::state::{Snapshot, State};
use crate::token::{self, Caller, Place, Presented, RememberedRemedies};
use crate::upstream::{self, ForwardedFor};

/// How long a permit speaks for what still flows: later bytes are judged anew before they pass.
const REJUDGE_EVERY_MS: u64 = 1_000;
/// One request in so many has its decision timed; reading the clock costs as much as deciding.
const TIMED_ONE_IN: u128 = 64;

/// The proxy, as pingora sees it.
#[derive(Debug)]
pub struct Gateway {
    state: &'static State,
}

impl Gateway {
    /// Serves what `state` holds, which from here on lives as long as the process: each request would else
    /// count itself among its owners, and all cores want the line of that count.
    #[must_use]
    pub fn new(state: Arc<State>) -> Self {
        let held: &'static Arc<State> = Box::leak(Box::new(state));
        Self { state: held }
    }
}

/// What one request has come to, hook after hook.
#[derive(Debug)]
pub struct Passage {
    state: &'static State,
    snapshot: Arc<Snapshot>,
    started: Instant,
    request_id: RequestId,
    /// When it came, or was judged anew last; exact to a tick of the kernel.
    now_unix_ms: i64,
    /// `None` when its other end has no address.
    connection: Option<Connection>,
    progress: Progress,
    seen: Seen,
    attempts: usize,
    /// Where it was sent last.
    chosen: Option<upstream::Chosen>,
    /// The addresses that failed it.
    tried: Vec<SocketAddr>,
    /// Why the last attempt failed, and at which server.
    upstream_failure: Option<(NetworkFailure, Option<Arc<str>>)>,
    asked_upstream: Option<Instant>,
    body_bytes: u64,
    /// Whether the app was asked to switch to a WebSocket.
    asked_upgrade: bool,
    /// Interim answers of the app so far.
    interim: u8,
    /// Whether the answer's body is not passed on.
    drops_body: bool,
    is_judged: bool,
    traffic: Traffic,
    recorded: bool,
}

/// What was learned of the request along the way; for page, log and metrics.
#[derive(Debug, Default)]
struct Seen {
    app: Option<AppIndex>,
    /// `None` as well when the trusted proxies do not know it.
    client: Option<IpAddr>,
    site: Option<Site>,
    /// Whether `X-Forwarded-For` says so already.
    keep_forwarded_for: bool,
    presence: HeaderPresence,
    caller: Option<Arc<Caller>>,
    country: Fact<CountryCode>,
    platform: Option<Platform>,
    client_app: Option<ClientAppType>,
    applied: Vec<(PolicyIndex, PolicyResult)>,
    remedies: Option<RememberedRemedies>,
    record: Option<Box<DecisionRecord>>,
    repeats: u32,
    had_bearer: bool,
    /// Whether the token that was verified is the one in `Authorization`.
    authorization_is_verified: bool,
    content_length: Option<u64>,
    host: Option<HeaderValue>,
}

impl Passage {
    const fn now(&self) -> i64 {
        self.now_unix_ms.div_euclid(1_000)
    }

    fn id_text(&self) -> String {
        uuid::Uuid::from_u128(self.request_id.0).to_string()
    }

    /// The request's id as a header's value.
    fn id_value(&self) -> HeaderValue {
        // INVARIANT: hexadecimal digits and hyphens are fit for a header.
        HeaderValue::try_from(self.id_text()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// Admit, route, authenticate, gather, decide: in this order, each from the former's result.
    /// The bytes of an HTTP/1 head are wanted once: what was admitted is what the parser made of them.
    fn judge(&mut self, head: &RequestHeader, raw: Option<RawHead<'_>>) -> Result<Permit, Refusal> {
        let now = self.now();
        let is_first = !std::mem::replace(&mut self.is_judged, true);
        let is_timed = self.request_id.0.is_multiple_of(TIMED_ONE_IN);
        let Self { snapshot, state, seen, .. } = self;

        let head = Head {
            method: &head.method,
            target: raw.map_or_else(|| head.raw_path(), |raw| raw.target()),
            raw,
            version: head.version,
            headers: &head.headers,
            authority: head.uri.authority().map(http::uri::Authority::as_str),
        };
        let connection = self.connection.ok_or(Refusal::Internal)?;
        let request =
            admit(&head, connection, &snapshot.config.trusted_proxies).map_err(Refusal::BadRequest)?;
        seen.client = request.client();
        seen.site = Some(request.site());
        seen.keep_forwarded_for = request.keep_forwarded_for();
        seen.presence = request.presence();
        seen.had_bearer = request.authorization().is_some();
        seen.content_length = request.content_length();
        if is_first {
            if seen.presence.odd_names > 0 {
                state.metrics.odd_headers(seen.presence.odd_names.into());
            }
            if seen.client.is_none() {
                state.metrics.client_unknown();
            }
        }
        if seen.presence.via && upstream::has_looped(head.headers) {
            return Err(Refusal::Loop);
        }

        let route = match snapshot.routes.find(request.host(), request.path(), request.other_paths()) {
            Found::App(route) => route,
            Found::None => return Err(nowhere(state, snapshot, &request, Refusal::NoApp, now)),
            Found::Several => {
                let refusal = Refusal::BadRequest(BadRequest::AmbiguousPath);
                return Err(nowhere(state, snapshot, &request, refusal, now));
            }
        };
        seen.app = Some(route.app);
        let app = snapshot.config.apps.get(route.app.0 as usize).ok_or(Refusal::Internal)?;

        let (caller, place) = authenticate(state, snapshot, &request, app, now)?;
        seen.authorization_is_verified = place == Place::Authorization;
        let caller = &*seen.caller.insert(caller);
        // It would authenticate the connection to the app, and with it whoever is sent there next.
        if app.forward_authorization
            && request.authorization().is_some_and(upstream::authenticates_connection)
        {
            return Err(Refusal::BadRequest(BadRequest::Credential));
        }
        snapshot.policies.prefetch(caller.scope(), route.app);
        let authenticated = is_timed.then(Instant::now);
        // Not before: what an app allows is nothing for strangers to find out.
        if let Some(form) = request.path_forms().beyond(app.allow_paths) {
            return Err(Refusal::BadRequest(BadRequest::path(form)));
        }
        if !app.methods.is_empty() && !app.methods.iter().any(|method| method == request.method()) {
            return Err(Refusal::BadRequest(BadRequest::MethodNotAllowed));
        }

        let context = context::gather(&request, caller.token(), &snapshot.geo);
        seen.country = context.country;
        seen.platform = context.platform.known();
        seen.client_app = context.client_app.known();
        let signals = Signals {
            principal: caller.token().principal(),
            target: Target { app: route.app, context: route.context },
            action: Action { method: request.method(), path: request.path() },
            context: &context,
            request_id: self.request_id,
            now,
        };
        let mut seeing = Seeing {
            tally: is_first.then(|| snapshot.policy_tallies.begin()),
            noteworthy: &mut seen.applied,
        };
        let (signals, outcome) =
            snapshot.policies.judge_readings(caller.scope(), &signals, &route.readings, &mut seeing);
        drop(seeing);
        if let Some(authenticated) = authenticated {
            state.metrics.decided(authenticated.elapsed());
        }
        let carrier = if seen.had_bearer { Carrier::Bearer } else { Carrier::BrowserSession };
        match outcome.into_granted() {
            Ok(permit) => {
                seen.host = Some(route.host);
                // Most are not logged. Of those that are, all that applied is told: asked a second time, for the
                // first time kept only what was noteworthy.
                if state.log.is_on() && (!seen.applied.is_empty() || state.log.samples(self.request_id.0)) {
                    let decision = snapshot.policies.decide(caller.scope(), &signals);
                    seen.applied = decision.applied.iter().collect();
                    seen.record = Some(Box::new(snapshot.denials.record(&signals, &app.id, carrier)));
                }
                Ok(permit)
            }
            Err(refused) => {
                if !refused.temporary {
                    seen.remedies = Some(caller.remembered_remedies(&signals, || {
                        remedy::find(&snapshot.policies, caller.scope(), &signals)
                    }));
                }
                let denials = &snapshot.denials;
                let evidence = &snapshot.policies.set().evidence;
                let refusal = Refusal::by_policies(refused, signals.principal, evidence, carrier);
                // Counted first: of a storm of refusals most are not written down.
                let user = &signals.principal.id;
                seen.repeats = denials.count(&refusal, user, &app.id, self.now_unix_ms);
                let logs = state.log.is_on() && is_logged(seen.repeats);
                if logs || denials.wants_record(&refusal) {
                    seen.record = Some(Box::new(denials.record(&signals, &app.id, carrier)));
                }
                Err(refusal)
            }
        }
    }

    /// Judges a request that has come. `None` when it may go on; otherwise what it is told instead, and
    /// whether its connection is to be closed.
    fn enter(&mut self, session: &mut Session) -> Result<Option<(Answer, bool)>> {
        let raw = session.as_http1().map(|http1| http1.get_headers_raw_bytes());
        let verdict = match (&raw, InspectedStream::of(session)) {
            (Some(raw), Some(stream)) => {
                let verdict = stream
                    .head(|received| self.judge(session.req_header(), Some(RawHead::beside(raw, received))));
                let chunked = session.req_header().headers.contains_key(TRANSFER_ENCODING);
                if stream.expect_body(raw.len(), chunked) {
                    verdict
                } else {
                    verdict.and(Err(Refusal::BadRequest(BadRequest::Framing)))
                }
            }
            // HTTP/1 comes on no other connection than an inspected one.
            (Some(_), None) => Err(Refusal::Internal),
            (None, _) => self.judge(session.req_header(), None),
        };
        if self.seen.presence.close {
            session.set_keepalive(None);
        }
        let verdict = verdict.and_then(|permit| {
            let limit = self.snapshot.config.server.body_bytes_max;
            if self.seen.content_length.is_some_and(|length| length > limit) {
                Err(Refusal::BodyTooLarge)
            } else {
                Ok(permit)
            }
        });
        match verdict {
            Ok(permit) => {
                self.progress = Progress::Permitted(permit);
                upstream::drop_header_case(session.req_header_mut())?;
                if self.seen.presence.upgrade {
                    take_up(session.req_header_mut(), self.seen.presence.websocket)?;
                }
                Ok(None)
            }
            Err(refusal) => {
                let answer = self.answer(&refusal, session.req_header());
                let close = matches!(refusal, Refusal::BadRequest(_) | Refusal::BodyTooLarge);
                self.progress = Progress::Answered(refusal);
                Ok(Some((answer, close)))
            }
        }
    }

    /// Judges anew what still flows, by the configuration, keys and clock of now: a WebSocket, a stream
    /// or a long download ends when the request that began it would no longer be let in. Runs before a
    /// byte passes in either direction; a connection that stays silent ends by the upstream's read
    /// timeout.
    fn judge_again(&mut self, head: &RequestHeader) -> Result<()> {
        let now_unix_ms = clock::millis(clock::unix_time());
        // A clock that was set back says nothing of how long it has been.
        let is_due = now_unix_ms.abs_diff(self.now_unix_ms) >= REJUDGE_EVERY_MS;
        if !is_due || !matches!(self.progress, Progress::Permitted(_)) {
            return Ok(());
        }
        let former = std::mem::replace(&mut self.snapshot, self.state.snapshot());
        let id = |snapshot: &Snapshot, app: Option<AppIndex>| {
            app.and_then(|app| snapshot.config.apps.get(app.0 as usize)).map(|app| app.id.clone())
        };
        let app = id(&former, self.seen.app);
        self.seen = Seen::default();
        self.now_unix_ms = now_unix_ms;
        let verdict = self.judge(head, None);
        let refusal = match verdict {
            Ok(permit) if id(&self.snapshot, Some(permit.app())) == app => {
                self.progress = Progress::Permitted(permit);
                return Ok(());
            }
            Ok(_) => Refusal::NoApp,
            Err(refusal) => refusal,
        };
        self.progress = Progress::Answered(refusal);
        Err(Error::explain(ErrorType::HTTPStatus(refusal.info().status), "no longer permitted"))
    }

    fn answer(&mut self, refusal: &Refusal, head: &RequestHeader) -> Answer {
        let snapshot = &self.snapshot;
        let seen = &self.seen;
        let app = seen.app.and_then(|app| snapshot.config.apps.get(app.0 as usize));
        let token = seen.caller.as_ref().map(|caller| caller.token());
        let device = token.and_then(|token| token.device());
        let device_facts = device.map(|device| device.as_device());
        let hints = RequestHints {
            is_upgrade: seen.presence.websocket,
            had_bearer: seen.had_bearer,
            ..RequestHints::read(head.method.as_str(), head.uri.query(), &head.headers)
        };
        let facts = Facts {
            request_id: self.request_id.0,
            now_unix_ms: self.now_unix_ms,
            trace_id: trace_id(&head.headers),
            app_index: seen.app,
            app: app.map(|app| (app.id.as_str(), app.name.as_str())),
            methods: token.and(app).map(|app| &*app.methods).filter(|methods| !methods.is_empty()),
            user: token.and_then(|token| token.user_name()),
            client: seen.client,
            country: seen.country.known(),
            country_unavailable: seen.country == Fact::Unavailable,
            platform: seen.platform,
            client_app: seen.client_app,
            device: token.map_or(DeviceState::NotAvailable, |_| DeviceState::of(device_facts.as_ref())),
            os_version: device_facts.as_ref().and_then(|device| device.operating_system_version),
            remedies: seen.remedies.as_ref().map_or(&[], |found| &found.ways),
            sign_in_url: app.and_then(|app| app.sign_in_url.as_deref()),
            issuer: token
                .and_then(|token| snapshot.config.issuers.get(token.issuer_index()))
                .map(|issuer| issuer.issuer.as_str()),
            follows_claims_challenges: token.is_some_and(|token| token.follows_claims_challenges()),
            applied: &seen.applied,
            repeats: (seen.repeats > 0).then_some(seen.repeats),
            record: seen.record.as_deref(),
        };
        let answer = snapshot.denials.render(refusal, &facts, &hints);
        self.seen.repeats = answer.repeats;
        answer
    }

    /// The client's address, for logs: of a request that was not admitted that of its connection, and none
    /// where the trusted proxies know none, whose own address is nobody's.
    fn seen_at(&self) -> Option<IpAddr> {
        if self.seen.site.is_some() {
            self.seen.client
        } else {
            self.connection.map(|connection| connection.peer)
        }
    }

    /// Rewrites the head that goes to the app.
    fn tell_app(&mut self, received: Version, header: &mut RequestHeader) -> Result<()> {
        let request_id = self.id_value();
        let Progress::Permitted(permit) = &self.progress else { return Err(no_permit()) };
        let app = self.snapshot.config.apps.get(permit.app().0 as usize).ok_or_else(no_permit)?;
        upstream::prepare(
            header,
            upstream::PermittedRequest {
                app,
                plan: self.snapshot.upstreams.head(permit).ok_or_else(no_permit)?,
                caller: self.seen.caller.as_deref().ok_or_else(no_permit)?,
                forwarded_for: if self.seen.keep_forwarded_for {
                    ForwardedFor::Keep
                } else {
                    ForwardedFor::Set(self.seen.client)
                },
                authorization_is_verified: self.seen.authorization_is_verified,
                host: self.seen.host.as_ref().ok_or_else(no_permit)?,
                site: self.seen.site.ok_or_else(no_permit)?,
                received,
                request_id,
            },
        );
        self.asked_upgrade = self.seen.presence.upgrade && header.headers.contains_key(UPGRADE);
        Ok(())
    }

    /// Takes a part of the request's body in.
    ///
    /// An empty last piece never passes: pingora would write it to the app as a chunk of no length, which
    /// is the last chunk (RFC 9112, section 7.1), and then the last chunk again, which the app reads as the
    /// beginning of a request that nobody sent. An empty piece before the end stays: pingora drops it, and
    /// would take `None` for the end.
    fn take_body(&mut self, session: &Session, piece: &mut Option<Bytes>, end: bool) -> Result<()> {
        let Some(chunk) = piece.as_ref() else { return Ok(()) };
        self.judge_again(session.req_header())?;
        if chunk.is_empty() {
            if end {
                *piece = None;
            }
            return Ok(());
        }
        // What follows an upgrade is no request body.
        if session.was_upgraded() {
            return Ok(());
        }
        self.body_bytes += chunk.len() as u64;
        if self.body_bytes > self.snapshot.config.server.body_bytes_max {
            return Err(Error::explain(ErrorType::HTTPStatus(413), "the request body is too large"));
        }
        Ok(())
    }

    /// Takes a head of the app's answer: an interim one, or that of the answer itself.
    fn take_answer(&mut self, answer: &mut ResponseHeader) -> Result<()> {
        if let Some(asked) = self.asked_upstream {
            self.meters().upstream_answered(answer.status.as_u16(), asked.elapsed());
        }
        let request_id = self.id_value();
        let app = self.seen.app.and_then(|app| self.snapshot.config.apps.get(app.0 as usize));
        let expected = upstream::Expected {
            authorization: app.is_some_and(|app| app.forward_authorization),
            upgrade: self.asked_upgrade,
            own_cookies: self.snapshot.upstreams.own_cookies(),
        };
        let cleaned = upstream::clean(answer, expected, &mut self.interim, request_id)
            .map_err(|odd| Error::explain(ErrorType::InvalidHTTPHeader, odd.as_str()))?;
        let is_final =
            !answer.status.is_informational() || answer.status == http::StatusCode::SWITCHING_PROTOCOLS;
        if is_final && let Some(endpoint) = self.endpoint() {
            endpoint.succeeded();
        }
        if cleaned != upstream::Cleaned::default() {
            self.drops_body = cleaned.is_empty;
            self.meters().answer_cleaned(cleaned.cookies, cleaned.words, cleaned.challenges);
        }
        Ok(())
    }

    fn end(&mut self, session: &Session) {
        let head = session.req_header();
        self.traffic = traffic(session);
        match self.progress {
            Progress::Answered(refusal) => {
                self.record(Outcome::of(&refusal), Some(&refusal), Some(head));
            }
            Progress::Permitted(_) => self.record(Outcome::Granted, None, Some(head)),
            Progress::Aborted(..) => self.record(Outcome::Aborted, None, Some(head)),
            Progress::Received => self.record(Outcome::Failed, None, None),
        }
    }

    /// Where the request was sent last.
    fn endpoint(&self) -> Option<&upstream::Endpoint> {
        let (Progress::Permitted(permit), Some(chosen)) = (&self.progress, &self.chosen) else { return None };
        self.snapshot.upstreams.endpoint(permit, chosen)
    }

    /// Notes that an attempt got no answer.
    fn upstream_failed(&mut self, cause: NetworkFailure, to_connect: bool, problem: &Error) {
        self.meters().upstream_failed(cause);
        let mut failed = None;
        if let Some(endpoint) = self.endpoint() {
            let app = self.seen.app.and_then(|app| self.snapshot.config.apps.get(app.0 as usize));
            endpoint.failed(app.map_or("", |app| app.id.as_str()), cause, to_connect, problem);
            failed = Some((Arc::clone(&endpoint.server), endpoint.address));
        }
        self.tried.extend(failed.as_ref().map(|(_, address)| *address));
        self.upstream_failure = Some((cause, failed.map(|(server, _)| server)));
    }

    fn meters(&self) -> &AppMeters {
        self.snapshot.meters(self.seen.app.map(|app| app.0))
    }

    /// Tells metrics and log how the request ended; once.
    fn record(&mut self, outcome: Outcome, refusal: Option<&Refusal>, head: Option<&RequestHeader>) {
        if std::mem::replace(&mut self.recorded, true) {
            return;
        }
        let stage = match self.progress {
            Progress::Aborted(_, stage) => Some(stage),
            Progress::Received | Progress::Answered(_) | Progress::Permitted(_) => None,
        };
        self.meters().ended(Ended {
            outcome,
            refusal,
            stage,
            traffic: self.traffic,
            took: self.started.elapsed(),
            request_id: self.request_id.0,
            unix_ms: self.now_unix_ms,
            user: self.seen.caller.as_ref().map(|caller| UserMark::of(&caller.token().principal().id)),
        });
        if let Some(head) = head
            && let Some(format) = self.state.log.access()
        {
            self.state.log.push_access(self.access(outcome, refusal, head, format));
        }
        let noteworthy = refusal.is_some()
            || self.state.log.samples(self.request_id.0)
            || self.seen.applied.iter().any(|(_, result)| {
                matches!(result, PolicyResult::ReportOnlyFailure | PolicyResult::ReportOnlyInterrupted)
            });
        if noteworthy && !is_logged(self.seen.repeats) {
            self.state.log.skip();
        } else if noteworthy && self.state.log.is_on() {
            let entry = self.entry(outcome, refusal, head);
            self.state.log.push(entry);
        }
    }

    /// The status that the client was sent, or would have been.
    fn status(&self, refused: Option<u16>) -> Option<u16> {
        let aborted = matches!(self.progress, Progress::Aborted(..)).then_some(CLIENT_CLOSED_REQUEST);
        refused.or(self.traffic.status).or(aborted)
    }

    /// The request's line in the access log.
    fn access(
        &self,
        outcome: Outcome,
        refusal: Option<&Refusal>,
        head: &RequestHeader,
        format: AccessFormat,
    ) -> Access {
        let seen = &self.seen;
        let token = seen.caller.as_ref().map(|caller| caller.token());
        let how = self.snapshot.config.server.decision_subject;
        let user = token.and_then(|token| self.snapshot.denials.subject(how, &token.principal().id));
        let app = seen.app.and_then(|app| self.snapshot.config.apps.get(app.0 as usize));
        let agent = head.headers.get(http::header::USER_AGENT);
        let Traffic { status, bytes_in, bytes_out, .. } = self.traffic;
        let begun_unix_ms = self.begun_unix_ms();
        Access {
            created_date_time: clock::timestamp(begun_unix_ms),
            unix_secs: begun_unix_ms.div_euclid(1_000),
            request_id: self.id_text(),
            outcome: outcome.as_str(),
            reason: refusal.map(Refusal::reason),
            ip_address: self.seen_at().map(|client| client.to_string()),
            user_id: user.map(|user| short(&user, VALUE_MAX)),
            app_id: app.map(|app| app.id.clone()),
            host: stated_host(head).map(record::field::host).unwrap_or_default(),
            method: field(head.method.as_str().as_bytes(), NAME_MAX),
            path: record::field::path(head.raw_path()),
            protocol: match head.version {
                Version::HTTP_10 => "HTTP/1.0",
                Version::HTTP_2 => "HTTP/2.0",
                _ => "HTTP/1.1",
            },
            // What was sent; a stream that was cut in the middle had been answered.
            status: status.or(self.status(refusal.map(|refusal| refusal.info().status))).unwrap_or(0),
            bytes_in,
            bytes_out,
            duration_ms: self.started.elapsed().as_micros() as f64 / 1_000.0,
            user_agent: agent.map(|agent| field(agent.as_bytes(), VALUE_MAX)),
            format,
        }
    }

    /// When the request came; [`now_unix_ms`](Self::now_unix_ms) moves on while it lasts.
    fn begun_unix_ms(&self) -> i64 {
        // The first 48 bits of a version 7 UUID are its time (RFC 9562, section 5.7).
        i64::try_from(self.request_id.0 >> 80).unwrap_or(0)
    }

    fn entry(&mut self, outcome: Outcome, refusal: Option<&Refusal>, head: Option<&RequestHeader>) -> Entry {
        let record = self.seen.record.take();
        let seen = &self.seen;
        let token = seen.caller.as_ref().map(|caller| caller.token());
        let info = refusal.map(Refusal::info);
        let reasons = match refusal {
            Some(Refusal::Policy(refused, _)) => {
                refused.reasons.iter().map(|reason| reason.as_str()).collect()
            }
            _ => Vec::new(),
        };
        let (denials, how) = (&self.snapshot.denials, self.snapshot.config.server.decision_subject);
        let user = token.and_then(|token| denials.subject(how, &token.principal().id));
        let record = record.map(|mut record| {
            record.user = record.user.and_then(|_| user.clone());
            record
        });
        let policies = &self.snapshot.policies.set().policies;
        let applied = seen.applied.iter().filter_map(|(policy, result)| {
            let policy = policies.get(policy.0 as usize)?;
            Some(AppliedPolicy { id: policy.id.to_string(), result: result.as_str() })
        });
        let app = seen.app.and_then(|app| self.snapshot.config.apps.get(app.0 as usize));
        Entry {
            version: 1,
            created_date_time: clock::timestamp(self.now_unix_ms),
            request_id: self.id_text(),
            outcome: outcome.as_str(),
            reason: refusal.map(Refusal::reason),
            error_code: info.map(|info| info.code).filter(|code| *code != 0),
            status: self.status(info.map(|info| info.status)),
            upstream_failure: self.upstream_failure.as_ref().map(|(cause, _)| cause.as_str()),
            upstream_server: self
                .upstream_failure
                .as_ref()
                .and_then(|(_, server)| server.as_deref().map(str::to_owned)),
            reasons,
            app_id: app.map(|app| app.id.clone()),
            user_id: user.map(|user| short(&user, VALUE_MAX)),
            // Of a request that was not admitted, only the connection is known.
            ip_address: self.seen_at().map(|client| client.to_string()),
            country: seen.country.known().map(|country| country.as_str().to_owned()),
            device_platform: seen.platform.map(Platform::as_str),
            client_app_used: seen.client_app.map(ClientAppType::as_str),
            device_id: token.and_then(|token| token.device()).map(|device| short(device.id, VALUE_MAX)),
            device_compliant: token
                .and_then(|token| token.device())
                .and_then(|device| device.traits.compliant),
            at_fault: match (refusal, head) {
                (Some(Refusal::BadRequest(bad)), Some(head)) => {
                    let header = self.snapshot.config.trusted_proxies.header;
                    let name = admit::at_fault(*bad, &head.headers, header);
                    Some(field(name.as_bytes(), NAME_MAX))
                }
                _ => None,
            },
            host: head.and_then(stated_host).map(record::field::host),
            method: head.map(|head| field(head.method.as_str().as_bytes(), NAME_MAX)),
            path: head.map(|head| record::field::path(head.raw_path())),
            policy_generation: self.snapshot.generation.0,
            policies_digest: hex(denials.policies_digest()),
            repeats: seen.repeats,
            facts: record,
            applied_conditional_access_policies: applied.collect(),
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if !self.recorded {
            self.state.metrics.unfinished();
            self.record(Outcome::Failed, None, None);
        }
        self.state.metrics.gone();
    }
}

/// Who asks, and where the token of it came. Whoever has no valid token is told the same whatever the app, its
/// issuers and the names of its cookies are: what the answer turns on is whether `Authorization` carries a
/// `Bearer` credential, and whether a signature was good once.
fn authenticate(
    state: &State,
    snapshot: &Snapshot,
    request: &AdmittedRequest<'_>,
    app: &portcullis_config::settings::App,
    now: i64,
) -> Result<(Arc<Caller>, Place), Refusal> {
    let cookie = app.token.cookie.as_deref().map_or(Ok(None), |name| request.cookie(name));
    let by_header = |name: &str| request.header(&HeaderName::from_bytes(name.as_bytes()).ok()?);
    let authorization = request.authorization();
    let found = token::find_token(&app.token, authorization, |_| cookie.ok().flatten(), by_header);
    let Some((token, place)) = found else {
        return Err(match authorization.and_then(token::bearer) {
            Some(_) => Refusal::BadToken(BadToken::Place),
            None if cookie.is_err() => Refusal::BadSession(BadToken::Malformed),
            None => Refusal::NoToken,
        });
    };
    let presented = Presented { token, accepted: &app.issuers, now };
    let observe = |lookup| state.metrics.token_looked_up(lookup);
    let (verifier, policies) = (&snapshot.verifier, &snapshot.policies);
    let caller = token::authenticate(verifier, &state.cache, policies, presented, observe)
        .map_err(|problem| as_told(problem.into(), place))?;
    if app.audiences.as_ref().is_some_and(|audiences| !caller.token().is_meant_for(audiences)) {
        return Err(as_told(Refusal::BadToken(BadToken::Audience), place));
    }
    // From here on somebody is known. A credential that came twice, or that nobody read, names somebody else.
    let is_unread = place != Place::Authorization && authorization.is_some_and(|value| !value.is_ascii());
    if cookie.is_err() || is_unread {
        return Err(Refusal::BadRequest(BadRequest::Credential));
    }
    if app.forward_authorization && place != Place::Authorization && authorization.is_some() {
        return Err(Refusal::BadRequest(BadRequest::SecondCredential));
    }
    // Browsers send cookies with a WebSocket of any page, and no CORS stands before it.
    let is_foreign = || !request.is_from_own_page(&app.allowed_origins);
    if place == Place::Cookie && request.is_websocket() && is_foreign() {
        return Err(Refusal::BadRequest(BadRequest::Origin));
    }
    Ok((caller, place))
}

/// A token's refusal as somebody may be told who sent it in this place.
const fn as_told(refusal: Refusal, place: Place) -> Refusal {
    match (refusal, place) {
        // The signature was good: its holder was somebody once, and knows the cookie.
        (Refusal::BadToken(bad @ (BadToken::Expired | BadToken::Revoked)), _)
        | (Refusal::BadToken(bad), Place::Authorization) => Refusal::BadToken(bad),
        (Refusal::BadToken(bad), Place::Cookie | Place::Header) => Refusal::BadSession(bad),
        (other, _) => other,
    }
}

/// Takes an offer of another protocol up, if it is of WebSockets, and else away: offers are optional, and what
/// is answered goes on in HTTP/1.1 (RFC 9110, section 7.8).
fn take_up(header: &mut RequestHeader, websocket: bool) -> Result<()> {
    header.remove_header(&UPGRADE);
    header.remove_header("http2-settings");
    if websocket { header.insert_header(UPGRADE, "websocket") } else { Ok(()) }
}

/// What a request for no app is told: `refusal`, if it comes from somebody known; and else what any app
/// would tell, so that nobody learns from outside which apps there are.
fn nowhere(
    state: &State,
    snapshot: &Snapshot,
    request: &AdmittedRequest<'_>,
    refusal: Refusal,
    now: i64,
) -> Refusal {
    let issuers: Vec<usize> = (0..snapshot.config.issuers.len()).collect();
    let Some(token) = request.authorization().and_then(token::bearer) else {
        return Refusal::NoToken;
    };
    let presented = Presented { token, accepted: &issuers, now };
    let observe = |lookup| state.metrics.token_looked_up(lookup);
    token::authenticate(&snapshot.verifier, &state.cache, &snapshot.policies, presented, observe)
        .map_or_else(Refusal::from, |_| refusal)
}

/// The host that a head names, as it was sent.
fn stated_host(head: &RequestHeader) -> Option<&[u8]> {
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    authority.or_else(|| head.headers.get(http::header::HOST).map(HeaderValue::as_bytes))
}

fn hex(digest: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(digest))
}

/// Counts what the policies came to, and keeps what page and log may tell of it.
struct Seeing<'s> {
    /// `None` when the request was counted before.
    tally: Option<Tally<'s>>,
    noteworthy: &'s mut Vec<(PolicyIndex, PolicyResult)>,
}

impl Observer for Seeing<'_> {
    fn satisfied(&mut self, row: SatisfiedRow) {
        if let Some(tally) = &mut self.tally {
            tally.satisfied(row);
        }
    }

    fn applied(&mut self, policy: PolicyIndex, result: PolicyResult) {
        if let Some(tally) = &mut self.tally {
            tally.applied(policy, result);
        }
        if !matches!(result, PolicyResult::Success | PolicyResult::ReportOnlySuccess) {
            self.noteworthy.push((policy, result));
        }
    }
}

async fn write(session: &mut Session, answer: Answer, close: bool) -> Result<()> {
    // With all its fields at once: set one by one, each would be looked up.
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status =
        http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    head.headers = answer.headers;
    let head = ResponseHeader::from(head);
    if close {
        // Nothing that follows an ambiguous head on this connection can be trusted.
        session.set_keepalive(None);
    }
    let body = if session.req_header().method == Method::HEAD { Bytes::new() } else { answer.body };
    session.write_response_header(Box::new(head), body.is_empty()).await?;
    if !body.is_empty() {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

/// There is nobody to read an answer, and nothing that follows on the connection can be trusted.
const fn nobody_left() -> FailToProxy {
    FailToProxy { error_code: 0, can_reuse_downstream: false }
}

/// Whether a failure is one of the client's connection. Pingora leaves out to say so where it writes trailers.
fn is_of_client(problem: &Error) -> bool {
    match problem.esource() {
        ErrorSource::Downstream => true,
        ErrorSource::Unset => matches!(problem.etype(), ErrorType::WriteError | ErrorType::WriteTimedout),
        ErrorSource::Upstream | ErrorSource::Internal => false,
    }
}

/// Whether the client broke the protocol, rather than went away: closed, reset, or took and sent nothing for
/// too long.
fn spoke_nonsense(problem: &Error) -> bool {
    match problem.etype() {
        ErrorType::ConnectionClosed
        | ErrorType::ReadError
        | ErrorType::WriteError
        | ErrorType::H2Error
        | ErrorType::ReadTimedout
        | ErrorType::WriteTimedout => {
            // Over HTTP/2 a breach of the protocol ends the stream or the connection from our side.
            problem.root_cause().downcast_ref::<h2::Error>().is_some_and(h2::Error::is_library)
        }
        _ => true,
    }
}

/// The status of the head that the client was sent.
fn status_written(session: &Session) -> Option<u16> {
    session.response_written().map(|head| head.status.as_u16())
}

fn traffic(session: &Session) -> Traffic {
    let written = session.response_written();
    let status = status_written(session);
    let is_of_events = || {
        let kind = written.and_then(|head| head.headers.get(http::header::CONTENT_TYPE));
        kind.is_some_and(|kind| {
            kind.as_bytes().get(..EVENTS.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS))
        })
    };
    Traffic {
        status,
        bytes_in: session.body_bytes_read() as u64,
        bytes_out: session.body_bytes_sent() as u64,
        is_stream: status == Some(101) || is_of_events(),
    }
}

/// The kind of server-sent events (HTML Living Standard, section 9.2).
const EVENTS: &[u8] = b"text/event-stream";

/// A fault of ours where a permit should be: never a way through.
fn no_permit() -> Box<Error> {
    Error::explain(ErrorType::HTTPStatus(500), "no permit")
}

/// What a hook returns that never waits. `async fn` would put a future on the heap for each.
type Ready<'f, T = Result<()>> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;

fn ready<'f>(result: Result<()>) -> Ready<'f> {
    match result {
        // Of no size, so that its box is no allocation.
        Ok(()) => Box::pin(poll_fn(|_| Poll::Ready(Ok(())))),
        Err(problem) => Box::pin(std::future::ready(Err(problem))),
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    // Boxed: the context is a part of every future of the request, and those are moved about.
    type CTX = Box<Passage>;

    // Read once; only a judgement that comes later reads the clock again.
    fn new_ctx(&self) -> Box<Passage> {
        self.state.metrics.begun();
        let since = clock::unix_time();
        let stamp = uuid::Timestamp::from_unix_time(since.as_secs(), since.subsec_nanos(), 0, 0);
        Box::new(Passage {
            state: self.state,
            snapshot: self.state.snapshot(),
            started: Instant::now(),
            request_id: RequestId(uuid::Uuid::new_v7(stamp).as_u128()),
            now_unix_ms: clock::millis(since),
            connection: None,
            progress: Progress::Received,
            seen: Seen::default(),
            attempts: 0,
            chosen: None,
            tried: Vec::new(),
            upstream_failure: None,
            asked_upstream: None,
            body_bytes: 0,
            asked_upgrade: false,
            interim: 0,
            drops_body: false,
            is_judged: false,
            traffic: Traffic::default(),
            recorded: false,
        })
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    fn early_request_filter<'g, 's, 'w, 'f>(
        &'g self,
        session: &'s mut Session,
        way: &'w mut Box<Passage>,
    ) -> Ready<'f>
    where
        Self: 'f,
        'g: 'f,
        's: 'f,
        'w: 'f,
    {
        let idle = way.snapshot.config.server.client_idle;
        // Whether it may be used again was read from the head (RFC 9112, section 9.3); this is for how long.
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(idle.as_secs().max(1)));
        }
        // Clients of HTTP/1.0 know no interim answers (RFC 9110, section 15.2).
        if session.req_header().version < Version::HTTP_11 {
            session.set_ignore_info_resp(true);
        }
        // A client that takes nothing of its answer is idle too.
        session.set_write_timeout(Some(idle));
        let peer = session.client_addr().and_then(|address| address.as_inet()).map(SocketAddr::ip);
        let local = session.server_addr().and_then(|address| address.as_inet()).map(SocketAddr::port);
        let listeners = &way.snapshot.config.server.listeners;
        let of_local = listeners.iter().find(|listener| Some(listener.address.port()) == local);
        way.connection = peer.map(|peer| Connection {
            peer,
            tls: session.digest().is_some_and(|digest| digest.ssl_digest.is_some()),
            port: of_local.and_then(|listener| listener.public_port).or(local),
        });
        ready(Ok(()))
    }

    fn request_filter<'g, 's, 'w, 'f>(
        &'g self,
        session: &'s mut Session,
        way: &'w mut Box<Passage>,
    ) -> Ready<'f, Result<bool>>
    where
        Self: 'f,
        'g: 'f,
        's: 'f,
        'w: 'f,
    {
        match way.enter(session) {
            Ok(None) => Box::pin(poll_fn(|_| Poll::Ready(Ok(false)))),
            Ok(Some((answer, close))) => Box::pin(async move {
                write(session, answer, close).await?;
                Ok(true)
            }),
            Err(problem) => Box::pin(std::future::ready(Err(problem))),
        }
    }

    /// As pingora has it, but for a future on the heap.
    fn proxy_upstream_filter<'g, 's, 'w, 'f>(
        &'g self,
        _session: &'s mut Session,
        _way: &'w mut Box<Passage>,
    ) -> Ready<'f, Result<bool>>
    where
        Self: 'f,
        'g: 'f,
        's: 'f,
        'w: 'f,
    {
        Box::pin(poll_fn(|_| Poll::Ready(Ok(true))))
    }

    async fn upstream_peer(&self, _session: &mut Session, way: &mut Box<Passage>) -> Result<Box<HttpPeer>> {
        let Progress::Permitted(permit) = &way.progress else { return Err(no_permit()) };
        // A permit for one app, load or request opens no other.
        if Some(permit.app()) != way.seen.app || permit.request_id() != way.request_id {
            return Err(no_permit());
        }
        let attempt = way.attempts;
        way.attempts += 1;
        // What was read of the body is sent, and counted, again.
        way.body_bytes = 0;
        // Between a request's begin and its first attempt there is nothing to wait for.
        way.asked_upstream = Some(if attempt == 0 { way.started } else { Instant::now() });
        let upstreams = &way.snapshot.upstreams;
        let chosen = upstreams.choose(permit, &way.tried).ok_or_else(|| {
            Error::explain(ErrorType::HTTPStatus(502), "no upstream of this app has an address")
        })?;
        let peer = upstreams.endpoint(permit, &chosen).map(upstream::Endpoint::peer);
        way.chosen = Some(chosen);
        peer.ok_or_else(no_permit)
    }

    fn upstream_request_filter<'g, 's, 'h, 'w, 'f>(
        &'g self,
        session: &'s mut Session,
        header: &'h mut RequestHeader,
        way: &'w mut Box<Passage>,
    ) -> Ready<'f>
    where
        Self: 'f,
        'g: 'f,
        's: 'f,
        'h: 'f,
        'w: 'f,
    {
        ready(way.tell_app(session.req_header().version, header))
    }

    fn request_body_filter<'g, 's, 'b, 'w, 'f>(
        &'g self,
        session: &'s mut Session,
        body: &'b mut Option<Bytes>,
        end: bool,
        way: &'w mut Box<Passage>,
    ) -> Ready<'f>
    where
        Self: 'f,
        'g: 'f,
        's: 'f,
        'b: 'f,
        'w: 'f,
    {
        ready(way.take_body(session, body, end))
    }

    // Here and not later: pingora makes its own framing of what this filter leaves.
    fn upstream_response_filter<'g, 's, 'r, 'w, 'f>(
        &'g self,
        _session: &'s mut Session,
        response: &'r mut ResponseHeader,
        way: &'w mut Box<Passage>,
    ) -> Ready<'f>
    where
        Self: 'f,
        'g: 'f,
        's: 'f,
        'r: 'f,
        'w: 'f,
    {
        ready(way.take_answer(response))
    }

    /// Here pingora has made its own framing of the answer.
    fn response_filter<'g, 's, 'r, 'w, 'f>(
        &'g self,
        session: &'s mut Session,
        response: &'r mut ResponseHeader,
        _way: &'w mut Box<Passage>,
    ) -> Ready<'f>
    where
        Self: 'f,
        'g: 'f,
        's: 'f,
        'r: 'f,
        'w: 'f,
    {
        // A client of HTTP/1.0 knows no chunks: the end of the connection ends the body (RFC 9112, sections 6.1 and
        // 6.3).
        if session.req_header().version < Version::HTTP_11
            && response.remove_header(&TRANSFER_ENCODING).is_some()
        {
            session.set_keepalive(None);
        }
        ready(Ok(()))
    }

    fn connected_to_upstream<'g, 's, 'p, 'd, 'w, 'f>(
        &'g self,
        _session: &'s mut Session,
        reused: bool,
        _peer: &'p HttpPeer,
        _fd: std::os::fd::RawFd,
        _digest: Option<&'d Digest>,
        way: &'w mut Box<Passage>,
    ) -> Ready<'f>
    where
        Self: 'f,
        'g: 'f,
        's: 'f,
        'p: 'f,
        'd: 'f,
        'w: 'f,
    {
        way.meters().upstream_connected(reused);
        ready(Ok(()))
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        _end: bool,
        way: &mut Box<Passage>,
    ) -> Result<Option<Duration>> {
        if body.is_some() {
            way.judge_again(session.req_header())?;
        }
        if way.drops_body {
            *body = None;
        }
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        way: &mut Box<Passage>,
        mut problem: Box<Error>,
    ) -> Box<Error> {
        // This attempt is over and counted.
        way.asked_upstream = None;
        way.upstream_failed(upstream::cause_of(&problem), true, &problem);
        let has_another = match &way.progress {
            Progress::Permitted(permit) => way.snapshot.upstreams.has_another(permit, &way.tried),
            _ => false,
        };
        problem.set_retry(has_another && way.attempts < upstream::ATTEMPTS_MAX);
        problem
    }

    /// A request goes out a second time only if it cannot have been carried out twice: its method allows that,
    /// nothing of its body was sent, nothing came back, and the connection was one that had been idle.
    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut problem: Box<Error>,
        way: &mut Box<Passage>,
        reused: bool,
    ) -> Box<Error> {
        problem.retry.decide_reuse(reused);
        let is_untouched = way.body_bytes == 0 && way.interim == 0 && session.response_written().is_none();
        let again = problem.retry()
            && is_untouched
            && session.req_header().method.is_idempotent()
            && way.attempts < upstream::ATTEMPTS_MAX;
        problem.set_retry(again);
        if again && let Some(address) = way.endpoint().map(|endpoint| endpoint.address) {
            way.tried.push(address);
        }
        problem
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        problem: &Error,
        way: &mut Box<Passage>,
    ) -> FailToProxy {
        let refusal = match (&way.progress, problem.etype()) {
            // Judged anew and refused.
            (Progress::Answered(refusal), ErrorType::HTTPStatus(_)) => *refusal,
            // Refused, and the client did not wait for the answer: that refusal is what happened.
            (Progress::Answered(_), _) => return nobody_left(),
            // A socket that says nothing is no failure of the app: it ends, as it was let in.
            (Progress::Permitted(_), ErrorType::ReadTimedout) if session.was_upgraded() => {
                return nobody_left();
            }
            (_, ErrorType::HTTPStatus(413)) => Refusal::BodyTooLarge,
            (_, ErrorType::HTTPStatus(500) | ErrorType::InternalError) => Refusal::Internal,
            _ if InspectedStream::of(session).is_some_and(InspectedStream::has_malformed_chunks) => {
                Refusal::BadRequest(BadRequest::Framing)
            }
            _ if is_of_client(problem) => {
                if spoke_nonsense(problem) {
                    way.progress = Progress::Answered(Refusal::BadRequest(BadRequest::Framing));
                } else {
                    way.progress.abort(Stage::of(status_written(session)));
                }
                return nobody_left();
            }
            (_, ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout) => {
                Refusal::Upstream { status: 504 }
            }
            _ => Refusal::Upstream { status: 502 },
        };
        let status = refusal.info().status;
        if way.asked_upstream.is_some() && matches!(refusal, Refusal::Upstream { .. }) {
            let cause = match problem.etype() {
                ErrorType::HTTPStatus(502) => NetworkFailure::Dns,
                _ => upstream::cause_of(problem),
            };
            way.upstream_failed(cause, false, problem);
        }
        // After an interim answer the answer is still to come (RFC 9110, section 15.2).
        let is_answered = session.response_written().is_some_and(|head| {
            !head.status.is_informational() || head.status == http::StatusCode::SWITCHING_PROTOCOLS
        });
        if !is_answered {
            let answer = way.answer(&refusal, session.req_header());
            if let Err(problem) = write(session, answer, true).await {
                tracing::debug!(%problem, "an answer could not be written");
            }
        }
        way.progress = Progress::Answered(refusal);
        FailToProxy { error_code: status, can_reuse_downstream: false }
    }

    fn logging<'g, 's, 'e, 'w, 'f>(
        &'g self,
        session: &'s mut Session,
        _problem: Option<&'e Error>,
        way: &'w mut Box<Passage>,
    ) -> Ready<'f, ()>
    where
        Self: 'f,
        'g: 'f,
        's: 'f,
        'e: 'f,
        'w: 'f,
    {
        way.end(session);
        Box::pin(poll_fn(|_| Poll::Ready(())))
    }

    /// Pingora's own lines about a request: never with a query, which may hold secrets.
    fn request_summary(&self, session: &Session, way: &Box<Passage>) -> String {
        let head = session.req_header();
        let method = field(head.method.as_str().as_bytes(), NAME_MAX);
        format!("{} {method} {}", way.id_text(), record::field::path(head.raw_path()))
    }
}
