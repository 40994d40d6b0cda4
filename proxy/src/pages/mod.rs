//! The pages of our own around signing in and out: each is shown to a person who did nothing wrong and wants to get on,
//! so it says whose turn it is, whose fault, and what to do, in the look and the languages of a denial.
//!
//! Nobody is signed in where most of them are shown: they name no app, and show nothing of what a client sent but
//! what the page is about, escaped. Programs get the same as JSON, terminals as text.

mod content;
mod html;
mod json;
mod page;
mod report;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::header::{REFERRER_POLICY, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use portcullis_config::Config;

use crate::denial::branding::Branding;
use crate::denial::escape::escape_html;
use crate::denial::{Answer, Negotiated, RequestHints, headers, languages};
use crate::refusal::{RETRY_AFTER as RETRY_AFTER_TIME, Refusal};
use content::{Body, Content};
use html::Frame;
use report::Report;

pub use page::{Choice, FragmentStep, MeDevice, MePage, OwnPage, PageRequest, ProviderError, SignedOutThere};

/// The pages of one configuration: what does not change between two of them.
#[derive(Debug)]
pub struct Pages {
    branding: Branding,
    frame: Frame,
    /// Position of the installation's default language.
    language: usize,
}

/// The longest query that links to other languages keep, in bytes.
const QUERY_BYTES_MAX: usize = 2 << 10;

impl Pages {
    /// Prepares the pages of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self::with(Branding::new(&config.denial, &config.apps), config.denial.language)
    }

    fn with(branding: Branding, language: &str) -> Self {
        Self { frame: Frame::new(&branding), language: languages::position(language).unwrap_or(0), branding }
    }

    /// The page in the form and the language that its reader wants: HTML, JSON or plain text. Never stored, never in
    /// a frame.
    #[must_use]
    pub fn answer(&self, hints: &RequestHints<'_>, request: PageRequest, page: &OwnPage) -> Answer {
        let position = languages::choose(hints.query, hints.accept_language, self.language);
        // INVARIANT: `choose` gives a position of `ALL`, which is not empty.
        let Some(language) = languages::ALL.get(position).or_else(|| languages::ALL.first()) else {
            let refusal = Some(Refusal::Internal);
            return Answer {
                status: 500,
                headers: HeaderMap::new(),
                body: Bytes::new(),
                refusal,
                phrase: None,
            };
        };
        let texts = &language.texts;
        let content = Content::of(page, texts);
        let report = Report::new(&content, &self.branding, request);
        let (kind, body) = match hints.negotiate() {
            Negotiated::Html => {
                let keep = if content.can_be_asked_again { kept_query(hints) } else { None };
                (headers::HTML, self.frame.render(&content, &report, language, keep.as_deref()))
            }
            Negotiated::Plain => (headers::PLAIN, json::plain(&content, &report, texts)),
            Negotiated::Json | Negotiated::Grpc(_) | Negotiated::Program(_) => {
                let kind = if content.fault.is_some() { headers::JSON } else { JSON };
                (kind, json::json(&content, &report, texts))
            }
        };
        let policy = HeaderValue::from_str(&self.frame.content_policy(&content))
            .unwrap_or(const { HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'") });
        let mut fields = headers::fixed(&policy, language.tag);
        if let Ok(id) = HeaderValue::from_str(&report.request_id) {
            fields.insert(headers::X_REQUEST_ID, id);
        }
        if matches!(content.body, Body::SignOut(_) | Body::Me(..)) {
            // A page that sends no referrer sends forms with `Origin: null` (Fetch, "append a request Origin header").
            fields.insert(REFERRER_POLICY, const { HeaderValue::from_static("same-origin") });
        }
        if content.status == 401 {
            fields.insert(WWW_AUTHENTICATE, const { HeaderValue::from_static("Bearer") });
        }
        if content.fault.is_some_and(|fault| fault.info().is_temporary()) {
            fields.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_TIME.as_secs()));
        }
        headers::body(&mut fields, kind, body.len());
        let refusal = match (page, content.fault) {
            (OwnPage::FormNotSent { .. } | OwnPage::NotSignedIn { .. }, _) => Some(Refusal::NoToken),
            (_, fault) => fault.map(Refusal::SignIn),
        };
        let body = Bytes::from(body);
        Answer { status: content.status, headers: fields, body, refusal, phrase: None }
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What of the query the page's links to other languages keep: all but a language, as it was received, escaped. `None`
/// where the page was not read by `GET`, or the query is none that could be a link's.
fn kept_query(hints: &RequestHints<'_>) -> Option<String> {
    let query = hints.query.unwrap_or_default();
    let is_plain = query.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'<>\\^`{|}#".contains(&byte));
    if hints.method != "GET" || !is_plain || query.len() > QUERY_BYTES_MAX {
        return None;
    }
    let mut kept = String::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("lang=")) {
        kept.push_str(&escape_html(pair));
        kept.push_str("&amp;");
    }
    Some(kept)
}
