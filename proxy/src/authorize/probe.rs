//! `/.portcullis/probe?app=ID`: what a request for an app would be answered now, as JSON. For scripts that were refused where they
//! cannot read why: a WebSocket, an event stream, an image. It says what the same client would read if it asked for the app
//! itself by GET, and nothing to strangers.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue};
use portcullis_config::settings::{App, OWN_PATHS, Rate};
use portcullis_policy::path::{Compare, is_below};
use url::form_urlencoded;

use super::{Authorizer, RequestFacts, Stop};
use crate::admit::{Connection, Head};
use crate::denial::Answer;
use crate::own::OwnRequest;
use crate::refusal::{Refusal, Sender};

/// How often one session may ask.
const RATE: Rate = Rate { count: 1, per: Duration::from_secs(1), burst: 20 };
const PROBE: &str = "/.portcullis/probe";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl Authorizer<'_> {
    /// Answers a probe, or says why the request that it is about would be refused. That is judged as any other of its client;
    /// nothing is asked of the app. `asking` are the fields of the probe, as a program sends them.
    ///
    /// # Errors
    /// Why it would be refused, or the probe is.
    pub fn probe(
        &self,
        own: &OwnRequest,
        asking: &Head<'_>,
        connection: Connection,
        facts: &mut RequestFacts,
    ) -> Result<Answer, Refusal> {
        self.count_probe(own)?;
        let unknown = if own.session.is_some() { Refusal::NoApp } else { Refusal::NoToken };
        let (app, target) = self.probed(own).ok_or(unknown)?;
        self.judge_instead(&asking.instead(asking.method, target.as_bytes()), connection, facts)?;
        // It may be another app's path.
        let is_of_app = facts.app_of(self.snapshot).is_some_and(|found| found.id == app.id);
        if is_of_app { Ok(self.let_in(app)) } else { Err(Refusal::NoApp) }
    }

    fn count_probe(&self, own: &OwnRequest) -> Result<(), Refusal> {
        let Some(session) = &own.session else { return Ok(()) };
        let token = session.caller().token();
        let who = (token.issuer_index(), &*token.principal().id);
        let quota = self.state.limits.count_principal(PROBE, who, RATE, self.now_unix_ms);
        if quota.is_exceeded { Err(Refusal::TooManyRequests(Sender::Principal)) } else { Ok(()) }
    }

    /// The app of this host that is asked about, and the path: the one that is named, or the app's first.
    fn probed(&self, own: &OwnRequest) -> Option<(&App, String)> {
        let query = own.query().unwrap_or_default();
        let one = |name: &str| {
            let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(known, _)| known == name);
            let value = values.next().map(|(_, value)| value.into_owned());
            value.filter(|_| values.next().is_none())
        };
        let id = one("app")?;
        let mut apps = self.snapshot.config.apps.iter();
        let app = apps.find(|app| app.id == id && app.has_host(&own.host))?;
        let path = one("path").unwrap_or_else(|| app.path_prefix.clone());
        let is_plain = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        (is_plain && !is_below(&path, OWN_PATHS, Compare::Folded)).then_some((app, path))
    }

    fn let_in(&self, app: &App) -> Answer {
        let id = uuid::Uuid::from_u128(self.request_id.0).to_string();
        let said = serde_json::json!({
            "status": 200, "permitted": true, "app": { "id": app.id, "name": app.name }, "request_id": id,
        });
        let body = Bytes::from(said.to_string());
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, const { HeaderValue::from_static("application/json") }),
            (CACHE_CONTROL, const { HeaderValue::from_static("no-store") }),
            (X_CONTENT_TYPE_OPTIONS, const { HeaderValue::from_static("nosniff") }),
            (CONTENT_LENGTH, HeaderValue::from(body.len())),
        ]);
        if let Ok(id) = HeaderValue::try_from(id) {
            headers.insert(REQUEST_ID, id);
        }
        Answer { status: 200, headers, body, refusal: None, phrase: None }
    }

    /// Judges what the client could ask for instead, as a program would: it is sent to no sign-in, and to no app.
    pub(super) fn judge_instead(
        &self,
        head: &Head<'_>,
        connection: Connection,
        facts: &mut RequestFacts,
    ) -> Result<(), Refusal> {
        let quotas = facts.quotas;
        *facts = RequestFacts { quotas, ..RequestFacts::default() };
        let request = self.admit(head, connection, facts)?;
        let address = facts.client.unwrap_or(connection.peer);
        match self.judge(&request, head, address, facts) {
            Ok(_) => Ok(()),
            Err(Stop::Refusal(refusal)) => Err(refusal),
            // It was loaded, if it could be.
            Err(Stop::Load(_)) => Err(Refusal::SessionsUnavailable),
            Err(Stop::SignIn(..) | Stop::FormNotSent | Stop::Reply(_) | Stop::Wait(_) | Stop::Report(_)) => {
                Err(Refusal::NoToken)
            }
        }
    }
}

impl RequestFacts {
    fn app_of<'s>(&self, snapshot: &'s crate::state::Snapshot) -> Option<&'s App> {
        self.app.and_then(|app| snapshot.config.apps.get(app.0 as usize))
    }
}
