//! `/.portcullis/refusal/LINK`: the page of a refusal whose answer went to a script, that shows none of it.
//!
//! What was refused is sealed into the link. It is decided again for whoever opens it: the page says what this browser would be
//! answered now, under the id and the time of then. So a link that was forged, lent or has become old tells nothing; it is
//! answered as a path that does not exist.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, HeaderName, LOCATION};
use http::{HeaderMap, HeaderValue, Method};
use portcullis_config::settings::{App, OWN_PATHS};
use portcullis_policy::signals::RequestId;

use super::{Authorizer, RequestFacts, Turn, Verdict};
use crate::admit::{Connection, Head};
use crate::denial::Answer;
use crate::own::OwnRequest;
use crate::refusal::Refusal;
use crate::waiting::{ShownRefusal, WaitFor, WaitHandle};

const HX_CURRENT_URL: HeaderName = HeaderName::from_static("hx-current-url");

/// What is to be answered.
#[derive(Debug)]
pub enum RefusalPage {
    /// This.
    Answer(Answer),
    /// A sign-in, which asks for what was missing.
    Own(Box<OwnRequest>),
}

impl Authorizer<'_> {
    /// The path of a page that shows this refusal, where the user has a session of ours, or could have one.
    pub(super) fn refusal_link(
        &self,
        refusal: &Refusal,
        head: &Head<'_>,
        facts: &RequestFacts,
    ) -> Option<String> {
        let app = self.snapshot.config.apps.get(facts.app?.0 as usize)?;
        let host = facts.host.as_ref()?.to_str().ok()?;
        // A token that only scripts send does not come with the page.
        if app.sign_in.is_empty() || (facts.caller.is_some() && facts.session.is_none()) {
            return None;
        }
        let waits_for = decided_again(refusal)?;
        let holder = facts.session.as_ref().and_then(|session| self.holder(session.caller()));
        let target = std::str::from_utf8(head.target.split(|byte| *byte == b'?').next()?).ok()?;
        let shown = ShownRefusal {
            refused: WaitHandle::new(
                self.request_id.0,
                target.to_owned(),
                Some(&app.id),
                holder,
                waits_for,
                self.now(),
            ),
            method: head.method.as_str().to_owned(),
            at_unix_ms: self.now_unix_ms,
            host: host.to_owned(),
            back: self.back(head, host, facts).unwrap_or_else(|| front(app)),
        };
        let sealed = self.snapshot.wait_handles.seal_refusal(&shown)?;
        // In the path: the page links to itself in other languages by a query alone.
        Some(format!("{OWN_PATHS}/refusal/{sealed}"))
    }

    /// The page that a script filled, if it is one of this host.
    fn back(&self, head: &Head<'_>, host: &str, facts: &RequestFacts) -> Option<String> {
        let site = facts.site?;
        let port = site.written_port().map_or_else(String::new, |port| format!(":{port}"));
        let origin = format!("{}://{host}{port}", site.scheme.as_str());
        let path = head.hint(&HX_CURRENT_URL)?.strip_prefix(&origin)?;
        let path = path.split('#').next().unwrap_or_default();
        let is_plain = path.starts_with('/')
            && !path.starts_with("//")
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        is_plain.then(|| path.to_owned())
    }

    /// What the page of a refusal is.
    ///
    /// # Errors
    /// Why there is none.
    pub fn refusal_page(
        &self,
        own: &OwnRequest,
        head: &Head<'_>,
        connection: Connection,
        facts: &mut RequestFacts,
    ) -> Result<RefusalPage, Refusal> {
        let none = if own.session.is_some() { Refusal::NoApp } else { Refusal::NoToken };
        let holder = own.session.as_ref().and_then(|session| self.holder(session.caller()));
        let shown = self.opened(own).filter(|shown| shown.is_for(&own.host, holder)).ok_or(none)?;
        let method = Method::from_bytes(shown.method.as_bytes()).map_err(|_| none)?;
        let again = head.instead(&method, shown.refused.target().as_bytes());
        let judge =
            Authorizer { turn: Turn::Shown, request_id: RequestId(shown.refused.request_id()), ..*self };
        *facts = RequestFacts { quotas: facts.quotas, ..RequestFacts::default() };
        let verdict = judge.authorize(&again, connection, facts);
        let app = facts.app.and_then(|app| self.snapshot.config.apps.get(app.0 as usize));
        if !shown.refused.is_of_app(app.map(|app| app.id.as_str())) {
            return Err(none);
        }
        match verdict {
            Verdict::Permit(_) => Ok(RefusalPage::Answer(to(&shown.back).ok_or(none)?)),
            Verdict::Own(own) => Ok(RefusalPage::Own(Box::new(OwnRequest { target: shown.back, ..*own }))),
            Verdict::Refusal(refusal) => {
                let teller = Authorizer { now_unix_ms: shown.at_unix_ms, ..judge };
                facts.return_to = Some(shown.back);
                let answer = teller.denial(&refusal, head, facts);
                // It was refused before, and is only shown.
                Ok(RefusalPage::Answer(Answer { refusal: None, ..answer }))
            }
            Verdict::Load(_) => Err(Refusal::SessionsUnavailable),
            Verdict::Reply(_) | Verdict::Wait(_) | Verdict::Report(_) => Err(none),
        }
    }

    fn opened(&self, own: &OwnRequest) -> Option<ShownRefusal> {
        let sealed = own.path().strip_prefix(OWN_PATHS)?.strip_prefix("/refusal/")?;
        self.snapshot.wait_handles.open_refusal(sealed, self.now())
    }
}

/// What ends a refusal that is the same when it is decided again; `None` for one that is not.
const fn decided_again(refusal: &Refusal) -> Option<WaitFor> {
    match refusal {
        Refusal::Policy(..) | Refusal::ClientCertificate(_) | Refusal::NoToken | Refusal::BadSession(_) => {
            Some(WaitFor::Decision)
        }
        Refusal::KeysUnavailable | Refusal::SessionsUnavailable => Some(WaitFor::Source),
        Refusal::Upstream { .. }
        | Refusal::TooManyRequests(_)
        | Refusal::BadRequest(_)
        | Refusal::NoApp
        | Refusal::BadToken(_)
        | Refusal::Internal
        | Refusal::BodyTooLarge
        | Refusal::BodyTooSlow
        | Refusal::SignIn(_)
        | Refusal::Maintenance
        | Refusal::Loop => None,
    }
}

/// Where an app begins.
fn front(app: &App) -> String {
    if app.path_prefix.is_ascii() { app.path_prefix.clone() } else { "/".to_owned() }
}

/// Sends the browser back.
fn to(back: &str) -> Option<Answer> {
    let headers = HeaderMap::from_iter([
        (LOCATION, HeaderValue::try_from(back).ok()?),
        (CONTENT_LENGTH, const { HeaderValue::from_static("0") }),
        (CACHE_CONTROL, const { HeaderValue::from_static("no-store") }),
    ]);
    Some(Answer { status: 303, headers, body: Bytes::new(), refusal: None, phrase: None })
}
