//! Our own paths: before routing, in every spelling, so that none of them ever reaches an app.

use std::net::IpAddr;
use std::time::Duration;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderName, ORIGIN};
use portcullis_config::settings::{OWN_PATHS, Rate};
use portcullis_policy::path::{Compare, is_below};
use portcullis_policy::signals::AppIndex;

use super::{Authorizer, RequestFacts, Stop, Turn};
use crate::admit::{AdmittedRequest, Head};
use crate::denial::RequestHints;
use crate::own::{Askers, Navigation, OWN_BODY_BYTES_MAX, Own, OwnHints, OwnPath, OwnRequest};
use crate::refusal::{BadRequest, Refusal, Sender};
use crate::waiting::WaitHandle;

/// How often one address may ask for paths of ours or be sent to sign in: an office behind one address signs in at
/// nine, and each sign-in takes four.
const RATE: Rate = Rate { count: 50, per: Duration::from_secs(1), burst: 500 };
/// How often an address may send logout tokens: a provider ends many sessions at once. Apart from the rest, or whoever
/// shares its address could keep them out with anything.
const LOGOUT_RATE: Rate = Rate { count: 200, per: Duration::from_secs(1), burst: 5_000 };
const LOGOUTS: &str = "back-channel logouts";
/// How often pages of one address may ask whether they may open their app: each user of an office has one open when the
/// network fails. Apart from the rest, for the same reason.
const WAIT_RATE: Rate = Rate { count: 400, per: Duration::from_secs(1), burst: 5_000 };
const WAITS: &str = "/.portcullis/wait";
/// Where the user of a refusal page reports what it says.
const REPORTS: &str = "/.portcullis/report";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What forms of ours, and providers, send.
const FORM: &str = "application/x-www-form-urlencoded";

impl Authorizer<'_> {
    /// What a request for a path of ours is answered with; `None` when it is for no such path.
    ///
    /// # Errors
    /// Why it is refused. Whatever any app could take for a path of ours is one, and only its own spelling is answered.
    pub(super) fn own_path(
        &self,
        request: &AdmittedRequest<'_>,
        head: &Head<'_>,
        address: IpAddr,
        facts: &mut RequestFacts,
    ) -> Result<Option<OwnRequest>, Stop> {
        let is_own = |path: &str| is_below(path, OWN_PATHS, Compare::Folded);
        if !is_own(request.path()) && !request.other_paths().any(is_own) {
            return Ok(None);
        }
        if let Some(handle) = self.wait(request, head) {
            self.count_own(address, WAITS, WAIT_RATE)?;
            return Err(Stop::Wait(Box::new(handle)));
        }
        if let Some(handle) = self.report(request, head) {
            self.count_own(address, OWN_PATHS, RATE)?;
            return Err(Stop::Report(Box::new(handle)));
        }
        // What was let in before is no request for a path of ours.
        let host = self.snapshot.own_hosts.get(request.host()).filter(|_| self.turn.is_request());
        let Some(app) = host else {
            return Err(self.unknown_app(request, (address, &mut facts.quotas), Refusal::NoApp).into());
        };
        let target = head.target.split(|byte| *byte == b'?').next().unwrap_or_default();
        let providers = &self.snapshot.config.providers;
        let provider = |name: &str| providers.iter().position(|provider| provider.name == name);
        let written = std::str::from_utf8(target).ok();
        let named = written.and_then(|written| OwnPath::named(written, provider));
        let (budget, rate) = match named {
            Some(OwnPath::BackChannelLogout) => (LOGOUTS, LOGOUT_RATE),
            _ => (OWN_PATHS, RATE),
        };
        self.count_own(address, budget, rate)?;
        if !written.is_some_and(|written| written.starts_with(OWN_PATHS)) {
            return Err(Refusal::BadRequest(BadRequest::Target).into());
        }
        let Some(path) = named else {
            return Err(self.unknown_app(request, (address, &mut facts.quotas), Refusal::NoApp).into());
        };
        check(path, request, head)?;
        let mut own = self.own_request(Own::Path(path), app, request, head)?;
        if path.needs_session() {
            own.session = self.session(request)?.ok();
            facts.session.clone_from(&own.session);
        }
        Ok(Some(own))
    }

    /// What the page waits for that asks.
    ///
    /// ORACLE: any host answers a page of ours, which shows that by what it sends; whatever else asks is answered as if there
    /// was no such path.
    fn wait(&self, request: &AdmittedRequest<'_>, head: &Head<'_>) -> Option<WaitHandle> {
        let sealed = sealed_in(head, WAITS)?;
        let may_ask = self.turn.is_request()
            && self.snapshot.config.server.limits.waiting > 0
            && *head.method == Method::GET
            && !request.is_websocket()
            && !request.has_body()
            && is_of_own_page(request);
        may_ask.then(|| self.snapshot.wait_handles.open(sealed, self.now()))?
    }

    /// The page whose user reports what it says; the same holds of it as of one that waits.
    fn report(&self, request: &AdmittedRequest<'_>, head: &Head<'_>) -> Option<WaitHandle> {
        let sealed = sealed_in(head, REPORTS)?;
        // Its form is empty. A page that sends no referrer sends forms with `Origin: null` (Fetch, "append a request Origin
        // header"), so that only the browser's own word tells a page of ours; another has no handle to send.
        let may_report = self.turn.is_request()
            && *head.method == Method::POST
            && !request.is_websocket()
            && !request.has_body()
            && (!request.has(&SEC_FETCH_SITE) || request.header(&SEC_FETCH_SITE) == Some("same-origin"));
        may_report.then(|| self.snapshot.wait_handles.open(sealed, self.now()))?
    }

    /// What is answered instead of an app.
    pub(super) fn own_of_app(
        &self,
        what: Own,
        (request, head): (&AdmittedRequest<'_>, &Head<'_>),
        address: IpAddr,
        facts: &RequestFacts,
    ) -> Result<OwnRequest, Refusal> {
        self.count_own(address, OWN_PATHS, RATE)?;
        let mut own = self.own_request(what, facts.app, request, head)?;
        own.session.clone_from(&facts.session);
        Ok(own)
    }

    fn count_own(&self, address: IpAddr, budget: &str, rate: Rate) -> Result<(), Refusal> {
        if self.turn != Turn::First {
            return Ok(());
        }
        let quota = self.state.limits.count_address(budget, address, rate, self.now_unix_ms);
        if quota.is_exceeded { Err(Refusal::TooManyRequests(Sender::Address)) } else { Ok(()) }
    }

    fn own_request(
        &self,
        what: Own,
        app: Option<AppIndex>,
        request: &AdmittedRequest<'_>,
        head: &Head<'_>,
    ) -> Result<OwnRequest, Refusal> {
        let hints = RequestHints {
            is_upgrade: request.is_websocket(),
            had_bearer: request.authorization().is_some(),
            ..RequestHints::read(head)
        };
        let text = |name: &HeaderName| request.header(name).map(str::to_owned);
        let target = std::str::from_utf8(head.target);
        Ok(OwnRequest {
            what,
            app,
            host: request.host().to_owned(),
            site: request.site(),
            method: head.method.clone(),
            // A query of other bytes is no query of ours, nor can it be sent back.
            target: target.map_err(|_| Refusal::BadRequest(BadRequest::Target))?.to_owned(),
            cookies: request.own_cookies().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            client: request.client(),
            origin: text(&ORIGIN),
            content_type: text(&CONTENT_TYPE),
            navigation: Navigation::of(request),
            hints: OwnHints::of(&hints),
            session: None,
            request_id: self.request_id,
            now_unix_ms: self.now_unix_ms,
        })
    }
}

/// What a page of ours sends to this path to show that it is one.
fn sealed_in<'r>(head: &Head<'r>, path: &str) -> Option<&'r str> {
    std::str::from_utf8(head.target.strip_prefix(path.as_bytes())?.strip_prefix(b"?")?).ok()
}

/// Whether no page of another origin asks.
fn is_of_own_page(request: &AdmittedRequest<'_>) -> bool {
    let site = request.header(&SEC_FETCH_SITE);
    let is_foreign = request.has(&SEC_FETCH_SITE) && !matches!(site, Some("same-origin" | "none"));
    !is_foreign && request.is_from_own_page(&[])
}

/// Whether a path of ours is asked for as it must be.
fn check(path: OwnPath, request: &AdmittedRequest<'_>, head: &Head<'_>) -> Result<(), Refusal> {
    if !path.takes(head.method) || request.is_websocket() {
        return Err(Refusal::BadRequest(BadRequest::MethodNotAllowed));
    }
    let is_post = *head.method == Method::POST;
    if is_post {
        let kind = request.header(&CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case(FORM) {
            return Err(Refusal::BadRequest(BadRequest::Header));
        }
    }
    let body_bytes_max = if is_post { OWN_BODY_BYTES_MAX as u64 } else { 0 };
    let is_unknown = !is_post && request.has_body();
    if is_unknown || request.content_length().is_some_and(|length| length > body_bytes_max) {
        return Err(Refusal::BodyTooLarge);
    }
    let is_page = Navigation::of(request) == Navigation::Page;
    let is_own = is_of_own_page(request);
    let may = match path.is_for() {
        Askers::Navigations => is_page,
        // A form is sent with an `Origin`: one without is sent by no browser of today, or by a script that hides.
        Askers::OwnPages if is_post => is_own && request.has(&ORIGIN),
        Askers::OwnPages => is_page || is_own,
        Askers::Everybody => true,
    };
    if may { Ok(()) } else { Err(Refusal::BadRequest(BadRequest::Origin)) }
}
