//! Whether a request may pass: a head, a connection, one snapshot and one time in; a verdict, and what was learned
//! of the request, out.
//!
//! [`Authorizer::authorize`] is the one screen that matters: admit, enter, route, authenticate, gather, decide. Its only
//! source of a [`Permit`] is a decision that granted. Nothing here knows pingora: `gateway` judges what a client sent,
//! and whoever is asked on behalf of another proxy judges what that describes.

mod credential;
mod htmx;
mod office;
mod opening;
mod own_path;
mod probe;
mod refusal_page;
mod rewrite;
mod seen;
mod session;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header::{ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::{HeaderMap, HeaderValue, Method};
use percent_encoding::{CONTROLS, percent_encode};
use portcullis_config::settings::App;
use portcullis_policy::decision::{PolicyIndex, PolicyResult, Refused};
use portcullis_policy::model::{AuthenticationContext, ClientAppType, CountryCode, Platform};
use portcullis_policy::path::PathForms;
use portcullis_policy::remedy::Remedies;
use portcullis_policy::signals::{Action, AppIndex, Fact, RequestId, Target};
use portcullis_policy::{Observer, Permit, Reading, SatisfiedRow, Signals};

use self::seen::SeenByApp;
use crate::admit::{AdmittedRequest, Connection, Head, HeaderPresence, Scheme, Site, admit};
use crate::context;
use crate::cors;
use crate::decision_record::DecisionRecord;
use crate::denial::{
    Answer, Counted, DeviceState, Facts, Negotiated, OwnSignIn, Repetition, RequestHints, trace_id,
};
use crate::limit::{Kind, Quota};
use crate::own::{Demand, Navigation, Own, OwnRequest, SignInCause};
use crate::record::DecisionCounter;
use crate::refusal::{BadRequest, BadToken, Carrier, Refusal, Sender};
use crate::route::{Found, RewrittenTarget, Route};
use crate::session::{Session, SessionHandle};
use crate::state::{Snapshot, State};
use crate::tls::Arrival;
use crate::token::{self, CachedPrincipal, TokenLocation};
use crate::upstream;
use crate::waiting::{Holder, WaitFor, WaitHandle};

pub use refusal_page::RefusalPage;

/// Whether a request may pass.
#[derive(Debug)]
pub enum Verdict {
    /// It may.
    Permit(Permit),
    /// It may not, and why.
    Refusal(Refusal),
    /// It has an answer of our own, which is no refusal.
    Reply(Reply),
    /// It is for a path of ours, or needs a sign-in first: what answers it may wait for others.
    Own(Box<OwnRequest>),
    /// The store has to be asked for its session ([`Sessions::load`](crate::session::Sessions::load)), and then it is
    /// judged once more.
    Load(Box<SessionHandle>),
    /// It comes from a page that waits; what answers it may wait, too.
    Wait(Box<WaitHandle>),
    /// The user of a refusal page reports what it says.
    Report(Box<WaitHandle>),
}

/// Why a request is not let in at once.
enum Stop {
    Refusal(Refusal),
    /// It is sent to sign in.
    SignIn(Demand, SignInCause),
    /// It is a form, which would be lost on the way to a sign-in.
    FormNotSent,
    /// See [`Verdict::Load`].
    Load(Box<SessionHandle>),
    /// See [`Verdict::Wait`].
    Wait(Box<WaitHandle>),
    /// See [`Verdict::Reply`].
    Reply(Reply),
    /// See [`Verdict::Report`].
    Report(Box<WaitHandle>),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

/// Which time a request is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The first.
    First,
    /// The first, once more: its session was loaded meanwhile.
    Loaded,
    /// It was let in, and is looked at again: it is counted already.
    Again,
    /// It was refused, and a page of its own shows that to a person: it is neither counted nor logged once more.
    Shown,
    /// It was refused, and a page waits for it: nobody asks for it now, so that it is neither counted nor written down.
    Waits,
}

impl Turn {
    /// Whether the request itself has come, and not something that looks at it again.
    const fn is_request(self) -> bool {
        match self {
            Self::First | Self::Loaded => true,
            Self::Again | Self::Shown | Self::Waits => false,
        }
    }

    /// Whether a person is before it, who can be sent to sign in.
    const fn may_sign_in(self) -> bool {
        match self {
            Self::First | Self::Loaded | Self::Shown => true,
            Self::Again | Self::Waits => false,
        }
    }
}

/// An answer of our own that is no refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The client is sent to the same place by https (308).
    ToHttps(HeaderValue),
    /// A browser may send what it asked leave for (204).
    Preflight(HeaderMap),
    /// A balancer asks whether requests may come (200, 503).
    Health {
        /// Whether they may.
        is_good: bool,
    },
}

/// What was learned of a request while it was judged; for page, log, metrics and the app. What a judgement did not
/// come to is as in the default.
#[derive(Debug, Default)]
pub struct RequestFacts {
    pub(crate) app: Option<AppIndex>,
    pub(crate) host: Option<HeaderValue>,
    /// `None` as well when the trusted proxies do not know it.
    pub(crate) client: Option<IpAddr>,
    /// `None` when the request was not admitted.
    pub(crate) site: Option<Site>,
    /// Whether `X-Forwarded-For` says so already.
    pub(crate) keep_forwarded_for: bool,
    pub(crate) presence: HeaderPresence,
    pub(crate) had_bearer: bool,
    pub(crate) content_length: Option<u64>,
    pub(crate) caller: Option<Arc<CachedPrincipal>>,
    /// Whether the token that was verified is the one in `Authorization`.
    pub(crate) authorization_is_verified: bool,
    /// The origin of the page that asks, where it is another than the app's and the app names it.
    pub(crate) allowed_origin: Option<HeaderValue>,
    /// Whether a page of another origin asks for leave.
    pub(crate) is_preflight: bool,
    /// What the app receives instead of what was asked for; `None`: that.
    pub(crate) rewritten: Option<RewrittenTarget>,
    /// Whether it is let in as nobody, where the app opens to everybody.
    pub(crate) is_open: bool,
    /// Where the user was, where that is another place than what was asked for.
    pub(crate) return_to: Option<String>,
    /// The session that the request came on.
    pub(crate) session: Option<Arc<Session>>,
    /// Whether the session's last sign-in was asked for what policies ask for still.
    pub(crate) step_up_not_delivered: bool,
    /// The authentication context that the route asks for.
    pub(crate) context: Option<AuthenticationContext>,
    pub(crate) country: Fact<CountryCode>,
    pub(crate) platform: Option<Platform>,
    pub(crate) client_app: Option<ClientAppType>,
    /// What is left of the app's rates: of the address, and of the person or program.
    pub(crate) quotas: Quotas,
    pub(crate) decision: DecisionFacts,
}

/// What is left of each rate that a request was counted for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quotas {
    pub(crate) failures: Option<Quota>,
    pub(crate) address: Option<Quota>,
    pub(crate) principal: Option<Quota>,
}

impl Quotas {
    /// The name and the rest of the quota that a request was refused for.
    fn of(&self, refusal: &Refusal) -> Option<(&'static str, Quota)> {
        match refusal {
            Refusal::BadToken(BadToken::NotTried) => Some(("failed-verifications", self.failures?)),
            Refusal::TooManyRequests(Sender::Address) => Some(("address", self.address?)),
            Refusal::TooManyRequests(Sender::Principal) => Some(("principal", self.principal?)),
            _ => None,
        }
    }

    /// The quotas of the app that a request was counted for.
    pub(crate) fn counted(&self) -> Vec<(&'static str, Quota)> {
        let address = self.address.map(|quota| ("address", quota));
        address.into_iter().chain(self.principal.map(|quota| ("principal", quota))).collect()
    }

    /// Whether the app has rates.
    pub(crate) const fn is_counted(&self) -> bool {
        self.address.is_some() || self.principal.is_some()
    }
}

/// What the policies said.
#[derive(Debug, Default)]
pub(crate) struct DecisionFacts {
    /// Policies that applied: those that are noteworthy, or all of them where `record` is set.
    pub(crate) applied: Vec<(PolicyIndex, PolicyResult)>,
    pub(crate) remedies: Option<Arc<Remedies>>,
    /// What was decided on, where somebody wants it.
    pub(crate) record: Option<Box<DecisionRecord>>,
    /// Once a refusal was counted.
    pub(crate) repetition: Option<Repetition>,
}

/// Judges one request, by one snapshot and at one time.
#[derive(Clone, Copy, Debug)]
pub struct Authorizer<'s> {
    /// What outlives reloads: remembered tokens, metrics, logs.
    pub state: &'s State,
    /// What the request is judged by.
    pub snapshot: &'s Snapshot,
    /// Whose permit it will be.
    pub request_id: RequestId,
    /// How it reached us.
    pub arrival: &'s Arrival,
    /// Unix milliseconds.
    pub now_unix_ms: i64,
    /// Which time this request is judged; it is counted once.
    pub turn: Turn,
}

/// Whose request it is, before it is known who asks, and what is left of the rates.
type Sending<'q> = (IpAddr, &'q mut Quotas);

/// What a request is let in by.
#[derive(Debug)]
enum Credential {
    Token(TokenLocation),
    Session(Arc<Session>),
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token(one), Self::Token(other)) => one == other,
            (Self::Session(one), Self::Session(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// The question to the policies.
struct AccessRequest<'r> {
    caller: &'r CachedPrincipal,
    app: &'r App,
    /// How it is answered depends on this, and nothing else.
    head: &'r Head<'r>,
    is_upgrade: bool,
    /// Everything that the request may be about, if that is more than one path with one context.
    readings: &'r [Reading<'r>],
    carrier: Carrier,
    signals: Signals<'r>,
}

impl Authorizer<'_> {
    /// Judges a request; `facts` are what was learned, whatever the verdict is.
    pub fn authorize(&self, head: &Head<'_>, connection: Connection, facts: &mut RequestFacts) -> Verdict {
        let health_check = self.health_check(head);
        let head = health_check.as_ref().unwrap_or(head);
        let entered = self.admit(head, connection, facts).and_then(|request| {
            if health_check.is_some() {
                let reply = Reply::Health { is_good: self.state.takes_requests() };
                return Ok((request, connection.peer, Some(reply)));
            }
            // Whom the trusted proxies do not know counts as they do.
            let address = facts.client.unwrap_or(connection.peer);
            let reply = self.enter(&request, head, (address, &mut facts.quotas))?;
            Ok((request, address, reply))
        });
        let (request, address) = match entered {
            Ok((.., Some(reply))) => return Verdict::Reply(reply),
            Ok((request, address, None)) => (request, address),
            Err(refusal) => return Verdict::Refusal(refusal),
        };
        let judged = match self.own_path(&request, head, address, facts) {
            Ok(Some(own)) => return Verdict::Own(Box::new(own)),
            Ok(None) => self.judge(&request, head, address, facts),
            Err(stop) => Err(stop),
        };
        let what = match (judged, facts.app) {
            (Ok(permit), _) => return Verdict::Permit(permit),
            (Err(Stop::Refusal(refusal)), _) => return Verdict::Refusal(refusal),
            (Err(Stop::Load(handle)), _) => return Verdict::Load(handle),
            (Err(Stop::Wait(handle)), _) => return Verdict::Wait(handle),
            (Err(Stop::Reply(reply)), _) => return Verdict::Reply(reply),
            (Err(Stop::Report(handle)), _) => return Verdict::Report(handle),
            (Err(Stop::SignIn(demand, cause)), Some(app)) => Own::SignIn { app, demand, cause },
            (Err(Stop::FormNotSent), Some(app)) => Own::FormNotSent { app },
            (Err(Stop::SignIn(..) | Stop::FormNotSent), None) => return Verdict::Refusal(Refusal::Internal),
        };
        let own = self.own_of_app(what, (&request, head), address, facts);
        own.map_or_else(Verdict::Refusal, |own| Verdict::Own(Box::new(own)))
    }

    /// Whether a request may reach its app. That the app is being worked at is nothing to tell whom it would not let in.
    fn judge(
        &self,
        request: &AdmittedRequest<'_>,
        head: &Head<'_>,
        address: IpAddr,
        facts: &mut RequestFacts,
    ) -> Result<Permit, Stop> {
        let permit = self.permit(request, head, address, facts)?;
        let app = self.snapshot.config.apps.get(permit.app().0 as usize).ok_or(Refusal::Internal)?;
        if app.shaping.maintenance.is_some() { Err(Refusal::Maintenance.into()) } else { Ok(permit) }
    }

    /// Route, authenticate, gather, decide: in this order, each from the former's result.
    fn permit(
        &self,
        request: &AdmittedRequest<'_>,
        head: &Head<'_>,
        address: IpAddr,
        facts: &mut RequestFacts,
    ) -> Result<Permit, Stop> {
        let mut route = self.route(request, (address, &mut facts.quotas))?;
        (facts.app, facts.host, facts.context) = (Some(route.app), Some(route.host.clone()), route.context);
        let app = self.snapshot.config.apps.get(route.app.0 as usize).ok_or(Refusal::Internal)?;

        // Before anything is done for a token.
        self.count_address((route.app, app), address, &mut facts.quotas)?;
        let seen = self.seen_by_app(head, request, &route, app)?;
        facts.rewritten = seen.as_ref().map(|seen| seen.rewritten.clone());
        facts.allowed_origin = cors::allowed(app, request.header(&ORIGIN));
        // A browser asks for leave before it sends the request itself (Fetch Standard, section 3.2.2).
        facts.is_preflight = facts.allowed_origin.is_some()
            && request.method() == "OPTIONS"
            && request.has(&ACCESS_CONTROL_REQUEST_METHOD);
        if let Some(permit) = self.open(request, seen.as_ref(), (route.app, app), facts)? {
            return Ok(permit);
        }
        if let Some(origin) = facts.allowed_origin.clone().filter(|_| facts.is_preflight) {
            let asked = request.header(&ACCESS_CONTROL_REQUEST_HEADERS);
            return Err(Stop::Reply(Reply::Preflight(cors::preflight(app, origin, asked))));
        }
        let (caller, credential) = self.authenticate(request, app, (address, &mut facts.quotas))?;
        facts.authorization_is_verified = credential == Credential::Token(TokenLocation::Authorization);
        if let Credential::Session(session) = credential {
            facts.session = Some(session);
        }
        let caller = &*facts.caller.insert(caller);
        // Before the policies, so that what they refuse counts too: a program in a loop is one, whatever it is answered.
        self.count_principal((route.app, app), caller, &mut facts.quotas)?;
        // Not before: what an app asks for, and what it allows, is nothing for strangers to find out.
        let handshake = self.arrival.handshake.as_deref();
        let client = self.snapshot.tls.authenticate_client(route.app.0, handshake, self.now());
        client.map_err(Refusal::ClientCertificate)?;
        accepted_by_app(request, seen.as_ref(), app)?;
        if let Some(seen) = &seen {
            seen.add_readings(app, (request.path(), route.context), &mut route.readings);
        }

        let context = context::gather(request, caller.token(), &self.snapshot.geo);
        facts.country = context.country;
        facts.platform = context.platform.known();
        facts.client_app = context.client_app.known();
        let asked = AccessRequest {
            caller,
            app,
            head,
            is_upgrade: facts.presence.websocket,
            readings: &route.readings,
            carrier: if facts.had_bearer { Carrier::Bearer } else { Carrier::BrowserSession },
            signals: Signals {
                principal: caller.token().principal(),
                target: Target { app: route.app, context: route.context },
                action: Action { method: request.method(), path: request.path() },
                context: &context,
                request_id: self.request_id,
                now: self.now(),
            },
        };
        let decided = self.decide(&asked, &mut facts.decision);
        decided.map_err(|refusal| self.step_up(refusal, Navigation::of(request), facts))
    }

    const fn now(&self) -> i64 {
        self.now_unix_ms.div_euclid(1_000)
    }

    fn admit<'r>(
        &self,
        head: &Head<'r>,
        connection: Connection,
        facts: &mut RequestFacts,
    ) -> Result<AdmittedRequest<'r>, Refusal> {
        let proxies = &self.snapshot.config.trusted_proxies;
        let request = admit(head, connection, proxies).map_err(Refusal::BadRequest)?;
        facts.client = request.client();
        facts.site = Some(request.site());
        facts.keep_forwarded_for = request.keep_forwarded_for();
        facts.presence = request.presence();
        facts.had_bearer = request.authorization().is_some();
        facts.content_length = request.content_length();
        if self.turn == Turn::First {
            if facts.presence.odd_names > 0 {
                self.state.metrics.odd_headers(facts.presence.odd_names.into());
            }
            if facts.client.is_none() {
                self.state.metrics.client_unknown();
            }
        }
        if upstream::has_looped(request.via()) {
            return Err(Refusal::Loop);
        }
        Ok(request)
    }

    /// What the listener says to a request before anybody asks for whom it is: whether the host is one that its
    /// connection may ask for, and whether it is sent to https. A listener that sends there lets nobody in.
    fn enter(
        &self,
        request: &AdmittedRequest<'_>,
        head: &Head<'_>,
        sender: Sending<'_>,
    ) -> Result<Option<Reply>, Refusal> {
        let tls = &self.snapshot.tls;
        let Some(listener) = self.arrival.listener.and_then(|index| tls.listener(index)) else {
            return Ok(None);
        };
        if let (Some(handshake), Some(names)) = (&self.arrival.handshake, &listener.names) {
            let misdirected = |_| Refusal::BadRequest(BadRequest::Misdirected);
            names.direct(handshake, request.host()).map_err(misdirected)?;
        }
        // Whom a trusted proxy took in by https is there already.
        let Some(port) = listener.redirect_port.filter(|_| request.site().scheme == Scheme::Http) else {
            return Ok(None);
        };
        // What a certificate names, everybody can see. Where a balancer has the certificates, nobody here knows them.
        let host = request.host();
        if !tls.names_host(host).unwrap_or_else(|| self.snapshot.routes.has_host(host)) {
            return Err(self.unknown_app(request, sender, Refusal::NoApp));
        }
        Ok(Some(Reply::ToHttps(https_location(host, port, head.target).ok_or(Refusal::Internal)?)))
    }

    fn route<'s>(
        &'s self,
        request: &'s AdmittedRequest<'_>,
        sender: Sending<'_>,
    ) -> Result<Route<'s>, Refusal> {
        let refusal = match self.snapshot.routes.find(request.host(), request.path(), request.other_paths()) {
            Found::App(route) => return Ok(route),
            Found::None => Refusal::NoApp,
            Found::Several => Refusal::BadRequest(BadRequest::AmbiguousPath),
        };
        Err(self.unknown_app(request, sender, refusal))
    }

    /// Why a request for no app is refused: `refusal`, if it comes from somebody known; and else as any app would
    /// refuse it, so that nobody learns from outside which apps there are.
    fn unknown_app(&self, request: &AdmittedRequest<'_>, sender: Sending<'_>, refusal: Refusal) -> Refusal {
        let issuers: Vec<usize> = (0..self.snapshot.config.issuers.len()).collect();
        let Some(token) = request.authorization().and_then(token::bearer) else {
            return Refusal::NoToken;
        };
        self.verify(token, &issuers, Kind::Bearer, sender).map_or_else(Refusal::from, |_| refusal)
    }

    fn count_address(
        &self,
        (index, app): (AppIndex, &App),
        address: IpAddr,
        quotas: &mut Quotas,
    ) -> Result<(), Refusal> {
        let Some(rate) = app.rate.filter(|_| self.turn == Turn::First) else { return Ok(()) };
        let quota = self.state.limits.count_address(&app.id, address, rate, self.now_unix_ms);
        self.snapshot.metrics_of(Some(index.0)).rate.counted(&quota, self.now_unix_ms);
        quotas.address = Some(quota);
        if quota.is_exceeded { Err(Refusal::TooManyRequests(Sender::Address)) } else { Ok(()) }
    }

    fn count_principal(
        &self,
        (index, app): (AppIndex, &App),
        caller: &CachedPrincipal,
        quotas: &mut Quotas,
    ) -> Result<(), Refusal> {
        let Some(rate) = app.rate_per_principal.filter(|_| self.turn.is_request()) else { return Ok(()) };
        let token = caller.token();
        let who = (token.issuer_index(), &*token.principal().id);
        let quota = self.state.limits.count_principal(&app.id, who, rate, self.now_unix_ms);
        self.snapshot.metrics_of(Some(index.0)).rate_per_principal.counted(&quota, self.now_unix_ms);
        quotas.principal = Some(quota);
        if quota.is_exceeded { Err(Refusal::TooManyRequests(Sender::Principal)) } else { Ok(()) }
    }

    fn decide(&self, asked: &AccessRequest<'_>, facts: &mut DecisionFacts) -> Result<Permit, Refusal> {
        let Self { state, snapshot, .. } = self;
        let started = Instant::now();
        let mut observer = DecisionObserver {
            counter: self.turn.is_request().then(|| snapshot.policy_counters.begin()),
            noteworthy: &mut facts.applied,
        };
        let (signals, outcome) = snapshot.policies.decide_readings(
            asked.caller.scope(),
            &asked.signals,
            asked.readings,
            &mut observer,
        );
        drop(observer);
        state.metrics.decided(started.elapsed());
        let asked = AccessRequest { signals, ..*asked };
        match outcome.into_granted() {
            Ok(permit) => {
                // Most are not logged. A logged one lists all that applied, so it is decided a second time: the first
                // time recorded only what was noteworthy.
                let is_logged = state.log.is_on() && self.turn != Turn::Waits;
                if is_logged && (!facts.applied.is_empty() || state.log.samples(self.request_id.0)) {
                    let decision = snapshot.policies.decide(asked.caller.scope(), &asked.signals);
                    facts.applied = decision.applied;
                    facts.record = Some(self.record(&asked));
                }
                Ok(permit)
            }
            Err(refused) => Err(self.refuse(refused, &asked, facts)),
        }
    }

    /// What the policies' refusal is to the user, and how often it was so lately.
    fn refuse(&self, refused: Refused, asked: &AccessRequest<'_>, facts: &mut DecisionFacts) -> Refusal {
        let AccessRequest { caller, signals, carrier, app, .. } = asked;
        let Snapshot { policies, denials, .. } = self.snapshot;
        let evidence = &policies.set().evidence;
        let refusal = Refusal::by_policies(refused, signals.principal, evidence, *carrier);
        if self.turn == Turn::Waits {
            return refusal;
        }
        if !refused.temporary {
            let store = self.snapshot.stores.get(caller.token().issuer_index());
            let tells_sign_in = store.is_none_or(|store| store.sign_ins().may_tell());
            let finder = &self.snapshot.remedies;
            let found = finder.find(policies, caller.scope(), signals, asked.readings, tells_sign_in);
            facts.remedies = Some(found);
        }
        // Counted first: of a storm of refusals most are not written down. A transfer that is cut was written down by
        // nobody yet, and its app knows its id.
        let repetition = self.turn.is_request().then(|| {
            let hints = RequestHints {
                is_upgrade: asked.is_upgrade,
                had_bearer: *carrier == Carrier::Bearer,
                ..RequestHints::read(asked.head)
            };
            let counted = self.counted_as(&app.id, &hints);
            denials.count(&refusal, &signals.principal.id, &facts.applied, counted)
        });
        facts.repetition = repetition;
        let logs = self.state.log.is_on() && repetition.is_none_or(|repetition| repetition.same_as.is_none());
        if logs || denials.wants_record(&refusal) {
            facts.record = Some(self.record(asked));
        }
        refusal
    }

    fn counted_as<'r>(&self, app: &'r str, hints: &RequestHints<'_>) -> Counted<'r> {
        Counted {
            app,
            is_page: hints.negotiate().is_page(),
            request_id: self.request_id.0,
            now_unix_ms: self.now_unix_ms,
        }
    }

    /// Counts a refusal that was not counted while it was decided.
    pub(crate) fn count_refusal(&self, refusal: &Refusal, head: &Head<'_>, facts: &mut RequestFacts) {
        if facts.decision.repetition.is_some() {
            return;
        }
        let app = facts.app.and_then(|app| self.snapshot.config.apps.get(app.0 as usize));
        let counted = self.counted_as(app.map_or("", |app| &app.id), &hints_of(head, facts));
        let repetition = self.snapshot.denials.count_by_address(refusal, facts.client, counted);
        facts.decision.repetition = Some(repetition);
    }

    fn record(&self, asked: &AccessRequest<'_>) -> Box<DecisionRecord> {
        Box::new(self.snapshot.denials.record(&asked.signals, &asked.app.id, asked.carrier))
    }

    /// The answer to a request that was refused.
    #[must_use]
    pub fn denial(&self, refusal: &Refusal, head: &Head<'_>, facts: &RequestFacts) -> Answer {
        let snapshot = self.snapshot;
        let app = facts.app.and_then(|app| snapshot.config.apps.get(app.0 as usize));
        let token = facts.caller.as_ref().map(|caller| caller.token());
        let device = token.and_then(|token| token.device());
        let hints = RequestHints {
            // ORACLE: to strangers all apps look the same.
            clients: token.and(app).and_then(|app| app.clients),
            ..hints_of(head, facts)
        };
        // ORACLE: who is let in as nobody is a stranger still.
        let known_app = app.filter(|_| !facts.is_open);
        let signs_in = known_app.is_some_and(|app| !app.sign_in.is_empty());
        let handle = self.page_handle(refusal, head, &hints, facts);
        let decision = &facts.decision;
        let shown = Facts {
            request_id: self.request_id.0,
            now_unix_ms: self.now_unix_ms,
            trace_id: trace_id(head),
            app_index: facts.app,
            app: known_app.map(|app| (app.id.as_str(), app.name.as_str())),
            methods: token.and(app).map(|app| &*app.methods).filter(|methods| !methods.is_empty()),
            user: token.and_then(|token| token.user_name()),
            client: facts.client.filter(|_| !facts.is_open),
            country: facts.country.known(),
            country_unavailable: facts.country == Fact::Unavailable,
            platform: facts.platform,
            client_app: facts.client_app,
            device: token.map_or(DeviceState::NotAvailable, |_| DeviceState::of(device.as_ref())),
            device_os: device.as_ref().and_then(|device| device.operating_system),
            os_version: device.as_ref().and_then(|device| device.operating_system_version),
            remedies: decision.remedies.as_deref(),
            sign_in_url: known_app.and_then(|app| app.sign_in_url.as_deref()),
            own_sign_in: signs_in.then(|| OwnSignIn {
                return_to: match &facts.return_to {
                    Some(back) => Some(back.as_bytes()),
                    None => (head.method == Method::GET).then_some(head.target),
                },
                has_session: facts.session.is_some(),
            }),
            issuer: token
                .and_then(|token| snapshot.config.issuers.get(token.issuer_index()))
                .map(|issuer| issuer.issuer.as_str()),
            follows_claims_challenges: token.is_some_and(|token| token.follows_claims_challenges()),
            step_up_not_delivered: facts.step_up_not_delivered,
            report: handle.as_deref(),
            applied: &decision.applied,
            repeats: decision.repetition.as_ref().and_then(Repetition::shown),
            exceeded: facts.quotas.of(refusal),
            retry_after: match refusal {
                Refusal::Maintenance => app.and_then(|app| app.shaping.maintenance),
                _ => None,
            },
            record: decision.record.as_deref(),
            wait: handle.as_deref().filter(|_| snapshot.config.server.limits.waiting > 0),
        };
        let mut answer = snapshot.denials.render(refusal, &shown, &hints);
        htmx::lead(&mut answer, head, facts.had_bearer, || self.refusal_link(refusal, head, facts));
        if let Some(app) = app {
            if let (Some(site), Some(Ok(host))) = (facts.site, facts.host.as_ref().map(HeaderValue::to_str)) {
                office::offer_dialog(&mut answer, app, (site, host), head);
            }
            if let Some(origin) = facts.allowed_origin.clone() {
                cors::expose_refusal(&mut answer.headers, app, origin);
            }
        }
        answer
    }
}

/// What decides the form of a request's answer.
fn hints_of<'r>(head: &Head<'r>, facts: &RequestFacts) -> RequestHints<'r> {
    RequestHints {
        is_upgrade: facts.presence.websocket,
        had_bearer: facts.had_bearer,
        ..RequestHints::read(head)
    }
}

impl Authorizer<'_> {
    /// By what we know the page again that is shown instead of the app: what it waits for, sealed; `None` where it waits for
    /// nothing.
    ///
    /// ORACLE: where nobody is known, it depends on nothing but the refusal and the target.
    fn page_handle(
        &self,
        refusal: &Refusal,
        head: &Head<'_>,
        hints: &RequestHints<'_>,
        facts: &RequestFacts,
    ) -> Option<String> {
        let waits_for = waits_for(refusal)?;
        let is_page = head.method == Method::GET && hints.negotiate() == Negotiated::Html;
        if !is_page {
            return None;
        }
        let path = std::str::from_utf8(head.target.split(|byte| *byte == b'?').next()?).ok()?;
        let holder = facts.caller.as_deref().and_then(|caller| self.holder(caller));
        let app = facts.app.and_then(|app| self.snapshot.config.apps.get(app.0 as usize));
        // Nobody is asked whose it is, where it could not be told.
        let holder = if waits_for == WaitFor::Source { None } else { Some(holder?) };
        let app = app.map(|app| app.id.as_str());
        let id = self.request_id.0;
        let handle = WaitHandle::new(id, path.to_owned(), app, holder, waits_for, self.now());
        self.snapshot.wait_handles.seal(&handle)
    }

    /// Who this is to handles.
    pub(crate) fn holder(&self, caller: &CachedPrincipal) -> Option<Holder> {
        let token = caller.token();
        let issuer = self.snapshot.config.issuers.get(token.issuer_index())?;
        Some(Holder::of(&issuer.issuer, &token.principal().id))
    }
}

/// What a page waits for that says this; `None` where nothing that happens later changes it, or only what the user sends.
const fn waits_for(refusal: &Refusal) -> Option<WaitFor> {
    match refusal {
        Refusal::Policy(..) | Refusal::ClientCertificate(_) | Refusal::Maintenance => Some(WaitFor::Decision),
        Refusal::KeysUnavailable | Refusal::SessionsUnavailable => Some(WaitFor::Source),
        Refusal::Upstream { .. } => Some(WaitFor::Upstream),
        // Somebody who sends too much is not helped by a page that asks.
        Refusal::TooManyRequests(_)
        | Refusal::BadRequest(_)
        | Refusal::NoApp
        | Refusal::NoToken
        | Refusal::BadToken(_)
        | Refusal::BadSession(_)
        | Refusal::Internal
        | Refusal::BodyTooLarge
        | Refusal::BodyTooSlow
        | Refusal::SignIn(_)
        | Refusal::Loop => None,
    }
}

/// The same target by https. It was admitted as an absolute path, and the rest of it can say what it likes.
fn https_location(host: &str, port: u16, target: &[u8]) -> Option<HeaderValue> {
    let port = if port == Scheme::Https.port() { String::new() } else { format!(":{port}") };
    let target = percent_encode(target, CONTROLS);
    HeaderValue::try_from(format!("https://{host}{port}{target}")).ok()
}

/// Whether the app's settings let such a request through at all.
fn accepted_by_app(
    request: &AdmittedRequest<'_>,
    seen: Option<&SeenByApp>,
    app: &App,
) -> Result<(), Refusal> {
    // It would authenticate the connection to the app, and with it the next user whose request takes it.
    if app.forward_authorization && request.authorization().is_some_and(upstream::authenticates_connection) {
        return Err(Refusal::BadRequest(BadRequest::Credential));
    }
    path_is_allowed(request, seen, app)?;
    if !app.methods.is_empty() && !app.methods.iter().any(|method| method == request.method()) {
        return Err(Refusal::BadRequest(BadRequest::MethodNotAllowed));
    }
    Ok(())
}

/// Whether the app's settings let such a path through.
fn path_is_allowed(
    request: &AdmittedRequest<'_>,
    seen: Option<&SeenByApp>,
    app: &App,
) -> Result<(), Refusal> {
    let forms = request.path_forms().union(seen.map_or(PathForms::EMPTY, SeenByApp::forms));
    match forms.beyond(app.allow_paths) {
        Some(form) => Err(Refusal::BadRequest(BadRequest::path(form))),
        None => Ok(()),
    }
}

/// Counts the policies' results, and holds what page and log may say of them.
struct DecisionObserver<'s> {
    /// `None` when the request was counted before.
    counter: Option<DecisionCounter<'s>>,
    noteworthy: &'s mut Vec<(PolicyIndex, PolicyResult)>,
}

impl Observer for DecisionObserver<'_> {
    fn satisfied(&mut self, row: SatisfiedRow) {
        if let Some(counter) = &mut self.counter {
            counter.satisfied(row);
        }
    }

    fn applied(&mut self, policy: PolicyIndex, result: PolicyResult) {
        if let Some(counter) = &mut self.counter {
            counter.applied(policy, result);
        }
        if !matches!(result, PolicyResult::Success | PolicyResult::ReportOnlySuccess) {
            self.noteworthy.push((policy, result));
        }
    }
}

#[cfg(test)]
mod tests;
