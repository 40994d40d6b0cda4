//! The machine's twin of the page: `application/problem+json` (RFC 9457), and the short text for
//! terminals. Written straight into one buffer: refusals come in storms.

use super::escape::{Json, Pen, Plain, cap, one_line};
use super::texts::Texts;
use super::view::{View, digits};
use super::{Desk, RETRY_AFTER};

/// Room for a twin; a longer one grows its buffer.
const TWIN_BYTES: usize = 2048;

/// A field's name as it stands between two fields.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

/// A JSON object on its way into a buffer. Fields are named by [`key`].
struct Object<'o> {
    out: &'o mut String,
    is_empty: bool,
}

impl<'o> Object<'o> {
    fn new(out: &'o mut String) -> Self {
        out.push('{');
        Self { out, is_empty: true }
    }

    /// Begins a field; its value is written to what comes back.
    fn field(&mut self, key: &'static str) -> &mut String {
        let first = std::mem::take(&mut self.is_empty);
        self.out.push_str(if first { key.strip_prefix(',').unwrap_or(key) } else { key });
        self.out
    }

    /// A field that is written as text.
    fn text(&mut self, key: &'static str, write: impl FnOnce(&mut Json<'_>)) {
        let out = self.field(key);
        out.push('"');
        write(&mut Json(out));
        out.push('"');
    }

    /// A field of our own words, digits and ids.
    fn own(&mut self, key: &'static str, text: &str) {
        self.text(key, |pen| pen.own(text));
    }

    /// Foreign text, or null.
    fn maybe(&mut self, key: &'static str, text: Option<&str>) {
        match text {
            Some(text) => self.text(key, |pen| pen.text(text)),
            None => self.raw(key, "null"),
        }
    }

    /// A number, a boolean, null.
    fn raw(&mut self, key: &'static str, literal: &str) {
        self.field(key).push_str(literal);
    }

    /// A field with a list, which is left out when it is empty.
    fn list<T>(
        &mut self,
        key: &'static str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut String, T),
    ) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            return;
        }
        let out = self.field(key);
        out.push('[');
        while let Some(item) = items.next() {
            write(out, item);
            if items.peek().is_some() {
                out.push(',');
            }
        }
        out.push(']');
    }

    fn end(self) {
        self.out.push('}');
    }
}

const fn truth(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}

/// The twin. Fields that disclosure keeps back are absent, not empty.
pub(super) fn json(view: &View<'_>, desk: &Desk, texts: &Texts) -> Vec<u8> {
    let mut out = String::with_capacity(TWIN_BYTES);
    let mut problem = Object::new(&mut out);
    problem.text(key!("type"), |pen| {
        pen.own("urn:portcullis:denial:");
        pen.own(if view.code.is_empty() { view.error } else { &view.code });
    });
    problem.text(key!("title"), |pen| view.headline(pen));
    problem.raw(key!("status"), &digits(view.row.status.into()));
    problem.text(key!("detail"), |pen| {
        view.lead(pen);
        for sentence in [view.verdict(), view.repeated()].into_iter().flatten() {
            pen.own(texts.space);
            pen.own(sentence);
        }
    });
    problem.text(key!("instance"), |pen| {
        pen.own("urn:uuid:");
        pen.own(&view.request_id);
    });
    if !view.code.is_empty() {
        problem.raw(key!("code"), &view.code);
    }
    problem.own(key!("error"), view.error);
    problem.own(key!("request_id"), &view.request_id);
    if let Some(id) = &view.correlation_id {
        problem.own(key!("correlation_id"), id);
    }
    problem.own(key!("timestamp"), &view.timestamp);
    if view.names_resolution {
        problem.own(key!("resolution"), view.row.resolution.as_str());
    }
    problem.raw(key!("retryable"), truth(view.is_temporary));
    if view.is_temporary {
        problem.raw(key!("retry_after"), &RETRY_AFTER.as_secs().to_string());
    }
    problem.list(key!("messages"), view.messages(), |out, message| {
        out.push('"');
        Json(out).text(&message);
        out.push('"');
    });
    problem.list(key!("reasons"), view.reasons(), |out, reason| {
        let mut object = Object::new(out);
        object.own(key!("class"), reason.class);
        object.raw(key!("code"), &digits(reason.code));
        object.own(key!("action"), reason.action);
        object.end();
    });
    problem.list(key!("remedies"), view.ways(), |out, way| {
        let mut object = Object::new(out);
        object.text(key!("kind"), |pen| way.kind(pen));
        object.text(key!("text"), |pen| view.way(way, pen));
        object.raw(key!("verified"), truth(way.is_verified()));
        object.end();
    });
    if let Some((id, name)) = view.own.and_then(|own| own.app) {
        let mut app = Object::new(problem.field(key!("app")));
        app.text(key!("id"), |pen| pen.text(&one_line(id, cap::APP_ID)));
        app.text(key!("name"), |pen| pen.text(&one_line(name, cap::APP_NAME)));
        app.end();
    }
    if let Some(own) = view.own {
        let mut client = Object::new(problem.field(key!("client")));
        client.maybe(key!("ip"), view.address.as_deref());
        client.maybe(key!("country"), own.shown_country());
        client.maybe(key!("platform"), own.platform.map(portcullis_policy::model::Platform::as_str));
        client.maybe(key!("device_id"), own.device.id().map(|id| one_line(id, cap::DEVICE_ID)).as_deref());
        client.own(key!("device_state"), own.device.label());
        client.end();
    }
    let mut support = Object::new(problem.field(key!("support")));
    if let Some(url) = &desk.contact_url {
        support.maybe(key!("url"), Some(url));
    }
    if let Some(mail) = &desk.contact_mail {
        support.maybe(key!("mail"), Some(&mail.address));
    }
    if let Some(code) = view.support_code() {
        support.own(key!("code"), code);
    }
    support.end();
    problem.end();
    out.into_bytes()
}

/// The short text.
pub(super) fn plain(view: &View<'_>, desk: &Desk, texts: &Texts) -> Vec<u8> {
    let mut out = String::with_capacity(TWIN_BYTES);
    view.headline(&mut Plain(&mut out));
    out.push('\n');
    view.lead(&mut Plain(&mut out));
    out.push('\n');
    for sentence in [view.verdict(), view.repeated()].into_iter().flatten() {
        out.push_str(sentence);
        out.push('\n');
    }
    for message in view.messages() {
        out.push_str(&message);
        out.push('\n');
    }
    let ways = view.ways();
    if !ways.is_empty() {
        out.push('\n');
        out.push_str(texts.heading_remedies.as_str());
        out.push_str(":\n");
        for way in ways {
            out.push_str("- ");
            view.way(way, &mut Plain(&mut out));
            out.push('\n');
        }
    }
    out.push('\n');
    view.report(&mut Plain(&mut out));
    out.push('\n');
    let mail = desk.contact_mail.as_ref().map(|mail| mail.address.as_str());
    for address in [mail, desk.contact_url.as_deref()].into_iter().flatten() {
        for text in [texts.contact.as_str(), ": ", address, "\n"] {
            out.push_str(text);
        }
    }
    out.into_bytes()
}
