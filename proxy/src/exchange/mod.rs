//! The state of one request, from its head to its end; recorded once, when it ends. A request that is
//! dropped before, by a panic too, is counted by the `Drop` of its [`RequestContext`].

mod event;
mod progress;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::header::{ACCEPT, STRICT_TRANSPORT_SECURITY};
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_config::settings::{App, SessionAuthorization};
use portcullis_policy::model::Persistence;
use portcullis_policy::signals::{AppIndex, RequestId};

use crate::admit::{Connection, Head, Scheme};
use crate::assertion::Statement;
use crate::authorize::{Authorizer, RefusalPage, RequestFacts, Turn, Verdict};
use crate::clock;
use crate::denial::Answer;
use crate::failure::NetworkFailure;
use crate::forward_auth::{Asked, Described};
use crate::limit::BodyPace;
use crate::listener::Unsent;
use crate::own::OwnRequest;
use crate::record::{AppMetrics, Outcome, SignInFailure, Traffic};
use crate::refusal::Refusal;
use crate::session::{CookieForm, Keeping, Lasting};
use crate::sign_in::SignInContext;
use crate::state::{Snapshot, State};
use crate::tls::{Arrival, Origin};
use crate::upstream;

pub use progress::Progress;

/// How long a permit covers a transfer that lasts: later bytes are judged anew before they pass.
const REAUTHORIZE_EVERY_MS: u64 = 1_000;

/// The state of one request.
#[derive(Debug)]
pub struct RequestContext {
    pub(crate) state: &'static State,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) started: Instant,
    pub(crate) request_id: RequestId,
    /// The id as a header's value, written once: the app and the client both receive it.
    id_value: OnceLock<HeaderValue>,
    /// When it arrived, or was last judged; exact to a tick of the kernel.
    now_unix_ms: i64,
    /// `None` when its other end has no address.
    pub(crate) connection: Option<Connection>,
    pub(crate) arrival: Arrival,
    /// What another proxy asks about, where it is not the client itself that asks.
    pub(crate) asked: Option<Arc<Asked>>,
    pub(crate) progress: Progress,
    pub(crate) facts: RequestFacts,
    pub(crate) forwarding: Forwarding,
    /// Bytes of a refusal that are sent beside the request.
    pub(crate) bytes_beside: u64,
    /// The status of an answer that is sent beside the request.
    pub(crate) status_beside: Option<u16>,
    turn: Turn,
    /// Since when a transfer waits for its session to be loaded, Unix milliseconds.
    waits_since: Option<i64>,
    /// Why a sign-in failed, where this request was to complete one.
    sign_in_failure: OnceLock<SignInFailure>,
    /// The id of the refused request whose page the user reports by this one.
    pub(crate) reports: Option<u128>,
    traffic: Traffic,
    is_recorded: bool,
}

/// What became of sending a request to its app.
#[derive(Debug, Default)]
pub(crate) struct Forwarding {
    pub(crate) attempts: usize,
    /// Where it was sent last.
    pub(crate) chosen: Option<upstream::Chosen>,
    /// Counts it at the server where it is under way.
    pub(crate) in_flight: Option<upstream::InFlight>,
    /// Which server it belongs to.
    pub(crate) affinity: upstream::Affinity,
    /// The addresses that failed it.
    pub(crate) tried: Vec<upstream::Address>,
    /// Why the last attempt failed that got no answer.
    pub(crate) failure: Option<NetworkFailure>,
    /// The server where it was sent last, once the permit can no longer say it: after a failure or a refusal, and under
    /// another configuration.
    pub(crate) server: Option<Arc<str>>,
    /// Whether the client had been sent the head of an answer whose rest never came.
    pub(crate) is_truncated: bool,
    pub(crate) asked_at: Option<Instant>,
    pub(crate) body_bytes: u64,
    /// While its body is waited for.
    pub(crate) pace: Option<BodyPace>,
    /// Whether the app was asked to switch to a WebSocket.
    pub(crate) asked_upgrade: bool,
    /// Interim answers of the app so far.
    pub(crate) interim: u8,
    /// Whether the answer's body is not passed on.
    pub(crate) drops_body: bool,
    /// What of the answer the client has not taken, over HTTP/2.
    pub(crate) unsent: Option<Unsent>,
}

impl RequestContext {
    /// A request begins. The clock is read once; only a judgement that comes later reads it again.
    pub(crate) fn new(state: &'static State) -> Self {
        state.metrics.begun();
        let since = clock::unix_time();
        let stamp = uuid::Timestamp::from_unix_time(since.as_secs(), since.subsec_nanos(), 0, 0);
        Self {
            state,
            snapshot: state.snapshot(),
            started: Instant::now(),
            request_id: RequestId(uuid::Uuid::new_v7(stamp).as_u128()),
            id_value: OnceLock::new(),
            now_unix_ms: clock::millis(since),
            connection: None,
            arrival: Arrival::default(),
            asked: None,
            progress: Progress::Received,
            facts: RequestFacts::default(),
            forwarding: Forwarding::default(),
            bytes_beside: 0,
            status_beside: None,
            turn: Turn::First,
            sign_in_failure: OnceLock::new(),
            waits_since: None,
            reports: None,
            traffic: Traffic::default(),
            is_recorded: false,
        }
    }

    /// Judges the request; its facts are what was learned.
    pub(crate) fn authorize(&mut self, head: &Head<'_>) -> Verdict {
        let Some(connection) = self.connection else { return Verdict::Refusal(Refusal::Internal) };
        let (authorizer, facts) = self.authorizer();
        let verdict = authorizer.authorize(head, connection, facts);
        self.turn = match (self.turn, &verdict) {
            (Turn::First, Verdict::Load(_)) => Turn::Loaded,
            _ => Turn::Again,
        };
        verdict
    }

    /// Judges a request once more, whose session was loaded meanwhile.
    pub(crate) fn authorize_loaded(&mut self, head: &Head<'_>) -> Verdict {
        // What was learned is learned anew; it was counted when it came.
        self.facts = RequestFacts { quotas: self.facts.quotas, ..RequestFacts::default() };
        match self.authorize(head) {
            // Asked once, and not answered.
            Verdict::Load(_) => Verdict::Refusal(Refusal::SessionsUnavailable),
            verdict => verdict,
        }
    }

    /// The cookie of the session that the request came on, where the answer is to renew it.
    pub(crate) fn renewed_cookie(&self) -> Option<HeaderValue> {
        let (Some(session), Progress::Permitted(permit)) = (&self.facts.session, &self.progress) else {
            return None;
        };
        let lasting = permit.session().persistent_browser.map(|persistence| match persistence {
            Persistence::Always => Lasting::UntilItEnds,
            Persistence::Never => Lasting::BrowserSession,
        });
        let keeping = Keeping {
            seals: &self.snapshot.seals,
            settings: self.snapshot.config.session.as_ref()?,
            form: CookieForm::of(self.facts.site?, &session.record().host)?,
            verifier: &self.snapshot.verifier,
            now: self.now_unix_ms.div_euclid(1_000),
        };
        self.state.sessions()?.renewed(session, lasting, &keeping)
    }

    /// Which server of its app the request belongs to.
    pub(crate) fn affinity(&self, headers: &HeaderMap) -> upstream::Affinity {
        let Progress::Permitted(permit) = &self.progress else { return upstream::Affinity::None };
        let asking = upstream::Asking {
            headers,
            caller: self.facts.caller.as_deref(),
            client: self.facts.client,
            form: self.cookie_form(),
            seals: &self.snapshot.seals,
            now: self.now_unix_ms.div_euclid(1_000),
        };
        self.snapshot.upstreams.affinity(permit, asking)
    }

    /// The cookie that keeps the browser at the server that answered, where it has none that does.
    pub(crate) fn sticky_cookie(&self) -> Option<HeaderValue> {
        let Progress::Permitted(permit) = &self.progress else { return None };
        let made_with = (self.cookie_form()?, &self.snapshot.seals, self.now_unix_ms.div_euclid(1_000));
        let served = (self.endpoint()?, self.forwarding.affinity);
        self.snapshot.upstreams.sticky_cookie(permit, served, made_with)
    }

    /// How cookies are set on the host that was asked for, if at all.
    fn cookie_form(&self) -> Option<CookieForm> {
        CookieForm::of(self.facts.site?, self.facts.host.as_ref()?.to_str().ok()?)
    }

    /// Judges anew a transfer that lasts, by the present configuration, keys and clock: a WebSocket, a stream or a long
    /// download ends when the request that began it would no longer be let in. To be called before a byte passes in
    /// either direction; a connection that stays silent ends by the upstream's read timeout.
    ///
    /// # Errors
    /// Why it is not let in any more; nothing else may pass.
    pub(crate) fn reauthorize(&mut self, head: &Head<'_>) -> Result<(), Refusal> {
        let now_unix_ms = clock::millis(clock::unix_time());
        // A clock that was set back does not show how long it has been.
        let is_due = now_unix_ms.abs_diff(self.now_unix_ms) >= REAUTHORIZE_EVERY_MS;
        if !is_due || !matches!(self.progress, Progress::Permitted(_)) {
            return Ok(());
        }
        self.keep_server();
        let former = std::mem::replace(&mut self.snapshot, self.state.snapshot());
        let id = |snapshot: &Snapshot, app: Option<AppIndex>| {
            app.and_then(|app| snapshot.config.apps.get(app.0 as usize)).map(|app| app.id.clone())
        };
        let app = id(&former, self.facts.app);
        let facts = RequestFacts { quotas: self.facts.quotas, ..RequestFacts::default() };
        let learned = std::mem::replace(&mut self.facts, facts);
        self.now_unix_ms = now_unix_ms;
        let refusal = match self.authorize(head) {
            Verdict::Permit(permit) if id(&self.snapshot, Some(permit.app())) == app => {
                self.progress = Progress::Permitted(permit);
                self.waits_since = None;
                return Ok(());
            }
            // Another app, or none: what began it is over.
            Verdict::Permit(_)
            | Verdict::Reply(_)
            | Verdict::Own(_)
            | Verdict::Wait(_)
            | Verdict::Report(_) => Refusal::NoApp,
            // It goes on while the store is asked, for as long as that may take.
            Verdict::Load(handle) if self.may_wait() => {
                let state = self.state;
                drop(tokio::spawn(async move { state.load_session(&handle).await }));
                (self.facts, self.snapshot) = (learned, former);
                return Ok(());
            }
            Verdict::Load(_) => Refusal::SessionsUnavailable,
            Verdict::Refusal(refusal) => refusal,
        };
        self.progress = Progress::Refused(refusal);
        Err(refusal)
    }

    /// Whether a transfer may go on while the store is asked for its session: not for longer than remembered sessions
    /// serve without the store.
    fn may_wait(&mut self) -> bool {
        let Some(settings) = &self.snapshot.config.session else { return false };
        let since = *self.waits_since.get_or_insert(self.now_unix_ms);
        u128::from(self.now_unix_ms.abs_diff(since)) < settings.stale_max.as_millis()
    }

    /// When it arrived, or was last judged: Unix milliseconds.
    pub(crate) const fn now_unix_ms(&self) -> i64 {
        self.now_unix_ms
    }

    /// What an answer of our own is made with.
    pub(crate) fn sign_in(&self) -> SignInContext<'_> {
        SignInContext { state: self.state, snapshot: &self.snapshot, failure: &self.sign_in_failure }
    }

    /// The answer to this refusal.
    pub(crate) fn denial(&mut self, refusal: &Refusal, head: &Head<'_>) -> Answer {
        let (authorizer, facts) = self.authorizer();
        authorizer.count_refusal(refusal, head, facts);
        // A request that the log leaves out is found there by the reference of the line that stands for it.
        if let Some(line) = facts.decision.repetition.and_then(|repetition| repetition.same_as) {
            self.request_id = RequestId(line.put_into(self.request_id.0));
            self.id_value = OnceLock::new();
        }
        let (authorizer, facts) = self.authorizer();
        let mut answer = authorizer.denial(refusal, head, facts);
        if let Some((value, _)) = self.hsts() {
            answer.headers.insert(STRICT_TRANSPORT_SECURITY, value.clone());
        }
        answer
    }

    /// What another request of the same client would be answered.
    pub(crate) fn probe(&mut self, own: &OwnRequest, head: &Head<'_>) -> Answer {
        let mut fields = head.fields_of_program();
        fields.insert(ACCEPT, const { HeaderValue::from_static("application/json") });
        let asking = Head::new(head.method, head.target, head.version, &fields, head.authority());
        let connection = self.connection;
        let (authorizer, facts) = self.authorizer();
        // It is a request of its own, which was not counted.
        let authorizer = Authorizer { turn: Turn::First, ..authorizer };
        let judged = connection.ok_or(Refusal::Internal);
        let judged = judged.and_then(|connection| authorizer.probe(own, &asking, connection, facts));
        judged.unwrap_or_else(|refusal| self.denial(&refusal, &asking))
    }

    /// The page of a refusal whose answer went to a script.
    pub(crate) fn refusal_page(&mut self, own: &OwnRequest, head: &Head<'_>) -> RefusalPage {
        let connection = self.connection.ok_or(Refusal::Internal);
        let (authorizer, facts) = self.authorizer();
        let page = connection.and_then(|connection| authorizer.refusal_page(own, head, connection, facts));
        page.unwrap_or_else(|refusal| RefusalPage::Answer(self.denial(&refusal, head)))
    }

    /// What judges this request, and the facts that it fills in.
    fn authorizer(&mut self) -> (Authorizer<'_>, &mut RequestFacts) {
        let authorizer = Authorizer {
            state: self.state,
            snapshot: &self.snapshot,
            request_id: self.request_id,
            arrival: &self.arrival,
            now_unix_ms: self.now_unix_ms,
            turn: self.turn,
        };
        (authorizer, &mut self.facts)
    }

    /// `Strict-Transport-Security` of the answer, where the client used https (RFC 6797, section 7.2). Only a known user
    /// sees an app's own: to others all apps look the same.
    pub(crate) fn hsts(&self) -> Option<(&HeaderValue, Origin)> {
        let is_https = match self.facts.site {
            Some(site) => site.scheme == Scheme::Https,
            None => self.connection.is_some_and(|connection| connection.tls),
        };
        let app = self.facts.app.filter(|_| self.facts.caller.is_some());
        is_https.then(|| self.snapshot.tls.hsts(self.arrival.listener, app.map(|app| app.0)))?
    }

    /// The request's end, reported to metrics and logs once.
    pub(crate) fn end(&mut self, traffic: Traffic, head: &Head<'_>) {
        self.traffic = traffic;
        let asked = self.asked.clone();
        let described = asked.as_ref().and_then(|asked| asked.described.as_ref().ok()).map(Described::head);
        let head = described.as_ref().unwrap_or(head);
        match self.progress {
            Progress::Refused(refusal) => self.record(Outcome::of(&refusal), Some(&refusal), Some(head)),
            Progress::Replied => self.record(Outcome::Replied, None, Some(head)),
            Progress::Permitted(_) => self.record(self.let_in(), None, Some(head)),
            Progress::Aborted(..) => self.record(Outcome::Aborted, None, Some(head)),
            Progress::Received => self.record(Outcome::Failed, None, None),
        }
    }

    /// The outcome of a request that was let in.
    pub(crate) const fn let_in(&self) -> Outcome {
        if self.facts.is_open { Outcome::Public } else { Outcome::Granted }
    }

    /// The app's settings.
    pub(crate) fn app(&self) -> Option<&App> {
        self.facts.app.and_then(|app| self.snapshot.config.apps.get(app.0 as usize))
    }

    /// The signed statement of who asks, for the app of the permit, and its header. `None` when none could be signed.
    pub(crate) fn assertion(&self) -> Option<(HeaderName, HeaderValue)> {
        let Progress::Permitted(permit) = &self.progress else { return None };
        let signer = self.snapshot.assertions.as_ref()?;
        let value = signer.value(&Statement {
            caller: self.facts.caller.as_deref()?,
            app: permit.app(),
            app_id: &self.app()?.id,
            host: self.facts.host.as_ref()?,
            site: self.facts.site?,
            session: self.facts.session.as_ref().map(|session| session.public_id()),
            request_id: self.request_id,
            now: self.now_unix_ms.div_euclid(1_000),
        })?;
        Some((signer.header().clone(), value))
    }

    /// The access token of the session that the request came on, for an app that asks for it. One that is over is not
    /// sent: the app would take it for a fault of the user's.
    pub(crate) fn session_authorization(&self) -> Option<HeaderValue> {
        if self.app()?.session_authorization != SessionAuthorization::AccessToken {
            return None;
        }
        let tokens = self.facts.session.as_ref()?.record().tokens.as_ref()?;
        let is_over = tokens.access_expires_at.is_some_and(|at| self.now_unix_ms >= at.saturating_mul(1_000));
        let token = tokens.access_token.as_ref().filter(|_| !is_over)?;
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The largest body that the request may have, in bytes.
    pub(crate) fn body_bytes_max(&self) -> u64 {
        let own = self.app().and_then(|app| app.body_bytes_max);
        own.unwrap_or(self.snapshot.config.server.body_bytes_max)
    }

    /// The app's counters, or those of none.
    pub(crate) fn app_metrics(&self) -> &AppMetrics {
        self.snapshot.metrics_of(self.facts.app.map(|app| app.0))
    }

    /// Where the request was sent last.
    pub(crate) fn endpoint(&self) -> Option<&upstream::Endpoint> {
        let (Progress::Permitted(permit) | Progress::Aborted(permit, _), Some(chosen)) =
            (&self.progress, &self.forwarding.chosen)
        else {
            return None;
        };
        self.snapshot.upstreams.endpoint(permit, chosen)
    }

    /// Keeps the name of the server for what is logged, before the permit or the configuration is another.
    pub(crate) fn keep_server(&mut self) {
        if let Some(server) = self.endpoint().map(|endpoint| Arc::clone(&endpoint.server)) {
            self.forwarding.server = Some(server);
        }
    }

    /// The request's id, as it is written.
    pub(crate) fn id_text(&self) -> String {
        uuid::Uuid::from_u128(self.request_id.0).to_string()
    }

    /// The request's id as a header's value.
    pub(crate) fn id_value(&self) -> HeaderValue {
        // INVARIANT: hexadecimal digits and hyphens are fit for a header.
        let write = || HeaderValue::try_from(self.id_text()).unwrap_or_else(|_| HeaderValue::from_static(""));
        self.id_value.get_or_init(write).clone()
    }
}

impl Drop for RequestContext {
    fn drop(&mut self) {
        if !self.is_recorded {
            self.state.metrics.unfinished();
            self.record(Outcome::Failed, None, None);
        }
        self.state.metrics.gone();
    }
}
