//! The machine's twin of the page: `application/problem+json` (RFC 9457), and the short text for
//! terminals. Written straight into one buffer: refusals come in storms.

use super::escape::{Json, Pen, Plain, cap, one_line};
use super::texts::Texts;
use super::view::View;
use super::{Desk, RETRY_AFTER};

/// Room for a twin; a longer one grows its buffer.
const TWIN_BYTES: usize = 2048;

/// A JSON object on its way into a buffer.
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
    fn field(&mut self, name: &'static str) -> &mut String {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
        self.out
    }

    /// A field that is written as text.
    fn text(&mut self, name: &'static str, write: impl FnOnce(&mut Json<'_>)) {
        let out = self.field(name);
        out.push('"');
        write(&mut Json(out));
        out.push('"');
    }

    /// A field of our own words, digits and ids.
    fn own(&mut self, name: &'static str, text: &str) {
        self.text(name, |pen| pen.own(text));
    }

    /// Foreign text, or null.
    fn maybe(&mut self, name: &'static str, text: Option<&str>) {
        match text {
            Some(text) => self.text(name, |pen| pen.text(text)),
            None => self.raw(name, "null"),
        }
    }

    /// A number, a boolean, null.
    fn raw(&mut self, name: &'static str, literal: &str) {
        self.field(name).push_str(literal);
    }

    /// A field with a list, which is left out when it is empty.
    fn list<T>(
        &mut self,
        name: &'static str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut String, T),
    ) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            return;
        }
        let out = self.field(name);
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
    problem.text("type", |pen| {
        pen.own("urn:portcullis:denial:");
        pen.own(if view.code.is_empty() { view.error } else { &view.code });
    });
    problem.text("title", |pen| view.headline(pen));
    problem.raw("status", &view.row.status.to_string());
    problem.text("detail", |pen| {
        view.lead(pen);
        for sentence in [view.verdict(), view.repeated()].into_iter().flatten() {
            pen.own(texts.space);
            pen.own(sentence);
        }
    });
    problem.text("instance", |pen| {
        pen.own("urn:uuid:");
        pen.own(&view.request_id);
    });
    if !view.code.is_empty() {
        problem.raw("code", &view.code);
    }
    problem.own("error", view.error);
    problem.own("request_id", &view.request_id);
    if let Some(id) = &view.correlation_id {
        problem.own("correlation_id", id);
    }
    problem.own("timestamp", &view.timestamp);
    if view.names_resolution {
        problem.own("resolution", view.row.resolution.as_str());
    }
    problem.raw("retryable", truth(view.is_temporary));
    if view.is_temporary {
        problem.raw("retry_after", &RETRY_AFTER.as_secs().to_string());
    }
    problem.list("messages", view.messages(), |out, message| {
        out.push('"');
        Json(out).text(&message);
        out.push('"');
    });
    problem.list("reasons", view.reasons(), |out, reason| {
        let mut object = Object::new(out);
        object.own("class", reason.class);
        object.raw("code", &reason.code.to_string());
        object.own("action", reason.action);
        object.end();
    });
    problem.list("remedies", view.ways(), |out, way| {
        let mut object = Object::new(out);
        object.text("kind", |pen| way.kind(pen));
        object.text("text", |pen| view.way(way, pen));
        object.raw("verified", truth(way.is_verified()));
        object.end();
    });
    if let Some((id, name)) = view.own.and_then(|own| own.app) {
        let mut app = Object::new(problem.field("app"));
        app.text("id", |pen| pen.text(&one_line(id, cap::APP_ID)));
        app.text("name", |pen| pen.text(&one_line(name, cap::APP_NAME)));
        app.end();
    }
    if let Some(own) = view.own {
        let mut client = Object::new(problem.field("client"));
        client.maybe("ip", view.address.as_deref());
        client.maybe("country", own.shown_country());
        client.maybe("platform", own.platform.map(portcullis_policy::model::Platform::as_str));
        client.maybe("device_id", own.device.id().map(|id| one_line(id, cap::DEVICE_ID)).as_deref());
        client.own("device_state", own.device.label());
        client.end();
    }
    let mut support = Object::new(problem.field("support"));
    if let Some(url) = &desk.contact_url {
        support.maybe("url", Some(url));
    }
    if let Some(mail) = &desk.contact_mail {
        support.maybe("mail", Some(&mail.address));
    }
    if let Some(code) = view.support_code() {
        support.own("code", code);
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
