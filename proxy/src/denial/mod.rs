//! What a client is shown when a request stops: the only room that writes refusals.
//!
//! The user learns five things: is it me or the system, what was seen, what can be done now, will
//! waiting help, and what to send to whom. An attacker learns no rule from it:
//! - without a verified token nothing of app, address, device or policy is shown;
//! - what passed is never listed, a risk is never named, a policy never appears;
//! - nothing of path, query, header or token is ever reflected.

mod asked;
mod desk;
mod escape;
mod facts;
mod headers;
mod page;
mod texts;
mod twin;
mod view;

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use portcullis_config::settings::{self, Disclosure};

pub use asked::{Asked, Negotiated};
pub use facts::{DeviceState, Facts, RemedySuggestion, StepUp};

use crate::refusal::Refusal;
use desk::Desk;
use page::Page;
use texts::{ENGLISH, Texts};
use view::View;
pub(crate) use view::timestamp;

/// How long a client is asked to wait when a refusal is temporary.
pub const RETRY_AFTER: Duration = Duration::from_secs(120);

/// The denials of one configuration: everything that does not change between two of them.
#[derive(Debug)]
pub struct Denials {
    desk: Desk,
    page: Page,
    texts: &'static Texts,
    csp: HeaderValue,
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header fields, type and length of the body included.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; the caller leaves it out where the request was `HEAD`.
    pub body: Bytes,
}

impl Denials {
    /// Prepares page and policy of content. A link, logo or colour that could carry more than it
    /// says is left out.
    #[must_use]
    pub fn new(settings: &settings::Denial, apps: &[settings::App]) -> Self {
        let desk = Desk::new(settings, apps);
        let (style, source) = page::style(&desk);
        let csp = format!(
            "default-src 'none'; style-src {source}; img-src data:; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'self'"
        );
        let csp = HeaderValue::from_str(&csp)
            .unwrap_or(const { HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'") });
        Self { page: Page::new(&desk, &style, &ENGLISH), desk, texts: &ENGLISH, csp }
    }

    /// The answer to a refused request, in the form that its client reads.
    ///
    /// `disclosure` is the strictest that installation, app and refusing policies ask for. It can
    /// only take away: who has no verified token is shown nothing, whatever it says.
    #[must_use]
    pub fn render(
        &self,
        refusal: &Refusal,
        facts: &Facts<'_>,
        asked: &Asked<'_>,
        disclosure: Disclosure,
    ) -> Answer {
        let view = View::of(refusal, facts, disclosure, &self.desk, asked.is_get(), self.texts);
        let mut headers = headers::common(refusal, &view, &facts.step_up, &self.csp, self.texts.lang);
        let (content_type, body) = match asked.negotiate() {
            Negotiated::Grpc(kind) => {
                headers::grpc(&mut headers, kind, &view);
                return Answer { status: 200, headers, body: Bytes::new() };
            }
            Negotiated::Html => ("text/html; charset=utf-8", self.page.render(&view)),
            Negotiated::Json => ("application/problem+json", twin::json(&view, &self.desk)),
            Negotiated::Plain => (
                "text/plain; charset=utf-8",
                twin::plain(&view, &self.desk, self.texts.heading_remedies, self.texts.contact),
            ),
        };
        headers::body(&mut headers, content_type, body.len());
        Answer { status: view.row.status, headers, body: Bytes::from(body) }
    }
}
