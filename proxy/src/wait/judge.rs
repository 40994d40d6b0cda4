//! The refused navigation, decided again with the facts of the request that asks.

use std::sync::Arc;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, HeaderName, ORIGIN,
    PRAGMA, REFERER,
};
use http::{HeaderMap, HeaderValue, Method, Version};
use portcullis_policy::signals::RequestId;

use crate::admit::{Connection, Head};
use crate::authorize::{Authorizer, RequestFacts, Turn, Verdict};
use crate::clock;
use crate::refusal::{BadToken, Refusal};
use crate::session::{Session, SessionHandle};
use crate::state::{Snapshot, State};
use crate::tls::Arrival;
use crate::waiting::{WaitFor, WaitHandle};

/// What a page is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It would be refused still.
    Still,
    /// It would be let in.
    ComeIn,
    /// The page is not this client's, or not any more.
    Foreign,
}

/// What is answered, and the session that it rests on, if there is one.
pub(super) type Judged = (Answer, Option<Arc<Session>>);

/// A page that asks.
#[derive(Debug)]
pub(crate) struct Page {
    handle: WaitHandle,
    headers: HeaderMap,
    authority: Option<Box<str>>,
    connection: Connection,
    arrival: Arrival,
    request_id: RequestId,
}

/// Fields of the asking request that a navigation has otherwise or not at all, and that no decision rests on.
const LEFT_OUT: [HeaderName; 9] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CACHE_CONTROL,
    CONNECTION,
    CONTENT_LENGTH,
    ORIGIN,
    PRAGMA,
    REFERER,
];
/// What a browser sends with a navigation of its user (Fetch Metadata Request Headers, section 2).
const OF_NAVIGATION: [(&str, HeaderValue); 4] = [
    ("accept", HeaderValue::from_static("text/html")),
    ("sec-fetch-mode", HeaderValue::from_static("navigate")),
    ("sec-fetch-dest", HeaderValue::from_static("document")),
    ("sec-fetch-site", HeaderValue::from_static("same-origin")),
];

impl Page {
    /// A page with this handle, that asks by a request with this head.
    pub(crate) fn new(
        handle: WaitHandle,
        (headers, authority): (&HeaderMap, Option<&str>),
        (connection, arrival): (Connection, Arrival),
        request_id: RequestId,
    ) -> Self {
        Self {
            handle,
            headers: of_navigation(headers),
            authority: authority.map(Into::into),
            connection,
            arrival,
            request_id,
        }
    }

    pub(crate) const fn handle(&self) -> &WaitHandle {
        &self.handle
    }

    pub(super) const fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// Decides again, for a page that waits; with the session that it was decided for.
    pub(super) async fn ask(&self, state: &'static State) -> Judged {
        let judged = self.decide(state).await;
        state.metrics.waiting.decided();
        judged
    }

    /// Decides again.
    pub(crate) async fn answer(&self, state: &'static State) -> Answer {
        self.decide(state).await.0
    }

    /// Loads the session where only the store has it.
    async fn decide(&self, state: &'static State) -> Judged {
        match self.judge(state) {
            Err(session) => {
                state.load_session(&session).await;
                // Asked once, and not answered: nobody knows.
                self.judge(state).unwrap_or((Answer::Still, None))
            }
            Ok(judged) => judged,
        }
    }

    fn judge(&self, state: &'static State) -> Result<Judged, Box<SessionHandle>> {
        let snapshot = state.snapshot();
        let authorizer = Authorizer {
            state,
            snapshot: &snapshot,
            request_id: self.request_id,
            arrival: &self.arrival,
            now_unix_ms: clock::millis(clock::unix_time()),
            turn: Turn::Waits,
        };
        let target = self.handle.target().as_bytes();
        let head =
            Head::new(&Method::GET, target, Version::HTTP_11, &self.headers, self.authority.as_deref());
        let mut facts = RequestFacts::default();
        let verdict = authorizer.authorize(&head, self.connection, &mut facts);
        let is_its_user = || {
            let caller = facts.caller.as_deref();
            let holder = caller.and_then(|caller| authorizer.holder(caller));
            holder.is_some() && self.handle.holder().is_none_or(|whose| holder == Some(whose))
        };
        let answer = match verdict {
            Verdict::Load(session) => return Err(session),
            Verdict::Permit(_) if !is_its_user() || !self.is_of_app(&snapshot, &facts) => Answer::Foreign,
            Verdict::Permit(permit) => {
                let waits_for_app = self.handle.waits_for() == WaitFor::Upstream;
                let app = snapshot.config.apps.get(permit.app().0 as usize);
                let has_servers = app.is_none_or(|app| app.shaping.own_answer.is_none());
                let answers = !waits_for_app || !has_servers || snapshot.upstreams.would_take(&permit);
                if answers { Answer::ComeIn } else { Answer::Still }
            }
            // Whose it is cannot be told for the moment.
            Verdict::Refusal(
                Refusal::KeysUnavailable
                | Refusal::SessionsUnavailable
                | Refusal::BadToken(BadToken::NotTried),
            ) => Answer::Still,
            Verdict::Refusal(_) if is_its_user() && self.is_of_app(&snapshot, &facts) => Answer::Still,
            // No user, another one, or no request that any app would get.
            Verdict::Refusal(_)
            | Verdict::Reply(_)
            | Verdict::Own(_)
            | Verdict::Wait(_)
            | Verdict::Report(_) => Answer::Foreign,
        };
        Ok((answer, facts.session))
    }

    fn is_of_app(&self, snapshot: &Snapshot, facts: &RequestFacts) -> bool {
        let app = facts.app.and_then(|app| snapshot.config.apps.get(app.0 as usize));
        self.handle.is_of_app(app.map(|app| app.id.as_str()))
    }
}

/// The fields of a navigation of the same browser. Each is copied: it would hold on to the buffer of the whole head.
fn of_navigation(asked: &HeaderMap) -> HeaderMap {
    let kept = |name: &HeaderName| {
        !LEFT_OUT.contains(name)
            && name != "last-event-id"
            && !OF_NAVIGATION.iter().any(|(other, _)| name == other)
    };
    let kept: Vec<_> = asked.iter().filter(|(name, _)| kept(name)).collect();
    let mut headers = HeaderMap::with_capacity(kept.len() + OF_NAVIGATION.len());
    for (name, value) in kept {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_str().as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            headers.append(name, value);
        }
    }
    for (name, value) in OF_NAVIGATION {
        headers.insert(HeaderName::from_static(name), value);
    }
    headers
}
