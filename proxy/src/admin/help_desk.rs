//! The help desk over HTTP: a page and JSON at `/help-desk`, for whoever has its token.
//!
//! What is asked comes in a body, so that neither codes nor people stand in anybody's log of URLs; each look-up is logged
//! here instead, with who asked. Whoever has no token learns only that one is needed, and guesses are few.

use std::error::Error;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body;
use parking_lot::Mutex;
use portcullis_config::printable;
use portcullis_config::settings;
use serde_json::json;

use super::answer::{Answer, JSON, TEXT, answer, is_of_odd_host};
use crate::background::spawn_low_priority;
use crate::clock::unix_now;
use crate::help_desk::{self, Desk, Lookup, LookupError, Page, form_page, look_up};
use crate::record::DeskResult;
use crate::state::State;

const HTML: &str = "text/html; charset=utf-8";
/// A support code of mail programs and an id.
const BODY_BYTES_MAX: usize = 32 << 10;
/// How much of the logs one look-up reads.
const LOG_BYTES_MAX: u64 = 1 << 30;
const MINUTE: Duration = Duration::from_secs(60);
/// Look-ups a minute.
const LOOKUPS_MAX: u32 = 60;
/// Requests a minute without the token. Beyond, nobody is let in until the minute is over.
const WRONG_MAX: u32 = 10;
/// Characters of a name in the log.
const NAME_MAX: usize = 64;

/// The desk, and how often it was asked of late.
#[derive(Debug)]
pub(super) struct HelpDesk {
    lookups: Pace,
    wrong: Pace,
    /// Held while logs are read: one look-up at a time.
    looking: tokio::sync::Mutex<()>,
}

/// So many a minute.
#[derive(Debug)]
struct Pace(Mutex<Option<(Instant, u32)>>);

impl Pace {
    const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// How many there were in this minute.
    fn count(&self) -> u32 {
        self.0.lock().filter(|(since, _)| since.elapsed() < MINUTE).map_or(0, |(_, count)| count)
    }

    /// One more.
    fn add(&self) {
        let mut held = self.0.lock();
        *held = match *held {
            Some((since, count)) if since.elapsed() < MINUTE => Some((since, count.saturating_add(1))),
            Some(_) | None => Some((Instant::now(), 1)),
        };
    }
}

/// What a form says.
#[derive(Debug, Default)]
struct Form {
    what: String,
    user: Option<String>,
}

impl HelpDesk {
    pub(super) const fn new() -> Self {
        Self { lookups: Pace::new(), wrong: Pace::new(), looking: tokio::sync::Mutex::const_new(()) }
    }

    pub(super) async fn respond<B: Body>(
        &self,
        state: &'static State,
        settings: &settings::HelpDesk,
        request: Request<B>,
        local: Option<IpAddr>,
    ) -> Answer
    where
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let headers = request.headers();
        if is_of_odd_host(headers, local) || is_of_other_page(headers) {
            return answer(StatusCode::FORBIDDEN, TEXT, "not for pages of other hosts\n");
        }
        if self.wrong.count() >= WRONG_MAX {
            state.metrics.desk_asked(DeskResult::TooMany);
            return too_many("too many requests without the token; wait a minute\n");
        }
        let Some(agent) = agent(headers, settings) else {
            self.wrong.add();
            state.metrics.desk_asked(DeskResult::NotAllowed);
            tracing::warn!("the help desk was asked without its token");
            return not_allowed();
        };
        let installation = state.snapshot().config.denial.installation.clone();
        match *request.method() {
            Method::GET | Method::HEAD => page(StatusCode::OK, form_page(&installation, None)),
            Method::POST => self.ask(state, request, agent, &installation).await,
            _ => answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET, HEAD and POST\n"),
        }
    }

    async fn ask<B: Body>(
        &self,
        state: &'static State,
        request: Request<B>,
        agent: String,
        installation: &str,
    ) -> Answer
    where
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if self.lookups.count() >= LOOKUPS_MAX {
            state.metrics.desk_asked(DeskResult::TooMany);
            return too_many("too many look-ups; wait a minute\n");
        }
        self.lookups.add();
        let as_json = wants_json(request.headers());
        let Ok(body) = Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await else {
            state.metrics.desk_asked(DeskResult::Failed);
            return answer(
                StatusCode::PAYLOAD_TOO_LARGE,
                TEXT,
                "the body is too large, or was not sent whole\n",
            );
        };
        let form = read(&body.to_bytes());
        let _one_at_a_time = self.looking.lock().await;
        // Not on this thread: whoever asks for the health in the meantime is answered at once.
        let Some(result) = spawn_low_priority(move || find(state, &form)).await else {
            state.metrics.desk_asked(DeskResult::Failed);
            return answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the look-up failed\n");
        };
        note(state, &agent, &result);
        let status = status(&result);
        if as_json {
            let body = match &result {
                Ok(found) => {
                    let searched = found.searched.as_ref().map(ToString::to_string);
                    json!({ "found": found.accounts, "more": found.more, "searched": searched })
                }
                Err(problem) => json!({ "error": problem.to_string() }),
            };
            return answer(status, JSON, format!("{body:#}\n"));
        }
        page(status, form_page(installation, Some(&result)))
    }
}

fn find(state: &'static State, form: &Form) -> Result<help_desk::Answer, LookupError> {
    let snapshot = state.snapshot();
    let keys = state.issuers();
    let desk = Desk {
        config: &snapshot.config,
        policies: &snapshot.policies,
        denials: &snapshot.denials,
        installation: snapshot.installation(),
        now: unix_now(),
        keys: Some(&keys),
        broken: None,
    };
    let lookup = Lookup {
        what: &form.what,
        user: form.user.as_deref(),
        logs: &[],
        since: None,
        bytes_max: LOG_BYTES_MAX,
    };
    look_up(&lookup, &desk)
}

/// Logs and counts a look-up: who asked, and which requests were told of. Neither the code nor the person that was named.
fn note(state: &State, agent: &str, result: &Result<help_desk::Answer, LookupError>) {
    match result {
        Ok(found) => {
            state.metrics.desk_asked(DeskResult::Found);
            let requests: Vec<&str> =
                found.accounts.iter().map(|account| account.request_id.as_str()).collect();
            tracing::info!(agent, requests = requests.join(" "), "the help desk looked a refusal up");
        }
        Err(problem) => {
            let is_failure = matches!(problem, LookupError::Log { .. });
            state.metrics.desk_asked(if is_failure { DeskResult::Failed } else { DeskResult::NotFound });
            tracing::info!(agent, %problem, "the help desk looked a refusal up and found nothing");
        }
    }
}

fn status(result: &Result<help_desk::Answer, LookupError>) -> StatusCode {
    match result {
        Ok(_) => StatusCode::OK,
        Err(LookupError::Query(_)) => StatusCode::BAD_REQUEST,
        Err(
            LookupError::Unseal(_)
            | LookupError::Stale { .. }
            | LookupError::NotFound { .. }
            | LookupError::NoLog,
        ) => StatusCode::NOT_FOUND,
        Err(LookupError::Log { .. }) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Who asks, as the log names it: the name of `Basic`, which nobody checks, or none. `None` without the token.
fn agent(headers: &HeaderMap, settings: &settings::HelpDesk) -> Option<String> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let (name, token) = if scheme.eq_ignore_ascii_case("bearer") {
        ("-".to_owned(), rest.trim().to_owned())
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
        let (name, token) = pair.split_once(':')?;
        (name.to_owned(), token.to_owned())
    } else {
        return None;
    };
    // Of digests, which have one length, so that how long it takes says nothing.
    let hashed = |text: &str| digest(&SHA256, text.as_bytes());
    verify_slices_are_equal(hashed(&token).as_ref(), hashed(settings.token.expose()).as_ref()).ok()?;
    Some(printable::value(&name.chars().take(NAME_MAX).collect::<String>()))
}

/// Whether another page's form or script is behind it. Browsers say so; what sends neither field is none.
fn is_of_other_page(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "none" && site != "same-origin";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let origin = origin.to_str().unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let of_origin = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    host.is_none() || of_origin != host
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.contains("application/json") && !accept.contains("text/html")
}

fn read(body: &[u8]) -> Form {
    let mut form = Form::default();
    for (name, value) in url::form_urlencoded::parse(body) {
        match &*name {
            "what" => form.what = value.into_owned(),
            "user" => form.user = Some(value.trim().to_owned()).filter(|user| !user.is_empty()),
            _ => {}
        }
    }
    form
}

fn page(status: StatusCode, page: Page) -> Answer {
    let mut response = answer(status, HTML, Bytes::from(page.html));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(page.content_policy));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

fn not_allowed() -> Answer {
    let mut response = answer(StatusCode::UNAUTHORIZED, TEXT, "the token of the help desk is needed\n");
    let challenge = HeaderValue::from_static("Basic realm=\"Portcullis help desk\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

fn too_many(text: &'static str) -> Answer {
    let mut response = answer(StatusCode::TOO_MANY_REQUESTS, TEXT, text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    response
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use portcullis_config::settings::{self, Secret};

    use super::{agent, is_of_other_page, read};

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn whoever_asks_has_the_token_and_a_name_that_forges_no_line() {
        let settings = settings::HelpDesk { token: Secret::new("0123456789abcdef0123") };
        let of = |value: &str| agent(&headers(&[("authorization", value)]), &settings);
        let basic = |pair: &str| {
            use base64::Engine as _;
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        };
        assert_eq!(of("Bearer 0123456789abcdef0123").as_deref(), Some("-"));
        assert_eq!(of(&basic("dana:0123456789abcdef0123")).as_deref(), Some("dana"));
        assert_eq!(of(&basic("da\nna:0123456789abcdef0123")).as_deref(), Some("da\\u000ana"));
        for wrong in
            ["Bearer 0123456789abcdef012", "Bearer ", "Bearer", "Digest x", "Basic !!", &basic("dana")]
        {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(of(&basic("dana:0123456789ABCDEF0123")), None);
        let mut two = headers(&[("authorization", "Bearer 0123456789abcdef0123")]);
        two.append("authorization", HeaderValue::from_static("Bearer x"));
        assert_eq!(agent(&two, &settings), None, "of two, neither counts");
        assert_eq!(agent(&headers(&[]), &settings), None);
    }

    #[test]
    fn a_form_of_another_page_is_refused() {
        for (lines, foreign) in [
            (&[("host", "127.0.0.1:9090")][..], false),
            (&[("host", "127.0.0.1:9090"), ("origin", "http://127.0.0.1:9090")], false),
            (&[("host", "desk.example"), ("origin", "https://desk.example")], false),
            (
                &[
                    ("host", "localhost:9090"),
                    ("origin", "https://desk.example"),
                    ("sec-fetch-site", "same-origin"),
                ],
                false,
            ),
            (&[("host", "127.0.0.1:9090"), ("origin", "http://127.0.0.1:8080")], true),
            (&[("host", "127.0.0.1:9090"), ("origin", "null")], true),
            (
                &[
                    ("host", "127.0.0.1:9090"),
                    ("origin", "http://127.0.0.1:9090"),
                    ("sec-fetch-site", "same-site"),
                ],
                true,
            ),
            (&[("host", "127.0.0.1:9090"), ("sec-fetch-site", "cross-site")], true),
        ] {
            assert_eq!(is_of_other_page(&headers(lines)), foreign, "{lines:?}");
        }
    }

    #[test]
    fn a_form_says_what_and_perhaps_who() {
        let form = read(b"what=7K3M-9Q2X&user=&other=1");
        assert_eq!((form.what.as_str(), form.user), ("7K3M-9Q2X", None));
        assert_eq!(read(b"user=+kari+").user.as_deref(), Some("kari"));
    }
}
