//! The machine's twin of the page: `application/problem+json` (RFC 9457), and the short text for
//! terminals. Written straight into one buffer: refusals come in storms.

use portcullis_policy::model::Platform;

use super::desk::Desk;
use super::escape::{Json, Pen, Plain, cap};
use super::texts::Texts;
use super::view::View;
use crate::refusal::RETRY_AFTER;

/// Room for a twin; a longer one grows its buffer.
const TWIN_BYTES: usize = 2048;

/// Appends texts of ours: literals of JSON, and words that it need not escape. What is literal has a length that
/// the compiler knows, and costs no call.
macro_rules! push {
    ($out:ident, $($text:expr),+) => {{
        $($out.push_str($text);)+
    }};
}

/// The twin. Fields that disclosure keeps back are absent, not empty.
pub(super) fn json(view: &View<'_>, desk: &Desk, texts: &Texts) -> Vec<u8> {
    let mut text = String::with_capacity(TWIN_BYTES);
    let out = &mut text;
    let kind: &str = if view.code.is_empty() { view.info.error } else { &view.code };
    push!(out, r#"{"type":"urn:portcullis:denial:"#, kind, r#"","title":""#);
    view.headline(&mut Json(out));
    push!(out, r#"","status":"#, &view.info.status.to_string(), r#","detail":""#);
    view.lead(&mut Json(out));
    for sentence in [view.verdict(), view.repeated()].into_iter().flatten() {
        push!(out, texts.space, sentence);
    }
    push!(out, r#"","instance":"urn:uuid:"#, &view.request_id, "\"");
    if !view.code.is_empty() {
        push!(out, r#","code":"#, &view.code);
    }
    push!(out, r#","error":""#, view.info.error, r#"","request_id":""#, &view.request_id);
    if let Some(id) = &view.correlation_id {
        push!(out, r#"","correlation_id":""#, id);
    }
    push!(out, r#"","timestamp":""#, &view.timestamp);
    if view.names_resolution {
        push!(out, r#"","resolution":""#, view.info.resolution.as_str());
    }
    if view.is_temporary {
        push!(out, r#"","retryable":true,"retry_after":"#, &RETRY_AFTER.as_secs().to_string());
    } else {
        push!(out, r#"","retryable":false"#);
    }
    for (at, message) in view.messages().enumerate() {
        push!(out, if at == 0 { r#","messages":[""# } else { r#"",""# });
        Json(out).line(message, cap::MESSAGE);
    }
    if view.messages().next().is_some() {
        push!(out, "\"]");
    }
    reasons(view, out);
    ways(view, out);
    if let Some(own) = view.own {
        if let Some((id, name)) = own.app {
            push!(out, r#","app":{"id":""#);
            Json(out).line(id, cap::APP_ID);
            push!(out, r#"","name":""#);
            Json(out).line(name, cap::APP_NAME);
            push!(out, "\"}");
        }
        push!(out, r#","client":{"ip":"#);
        maybe(out, view.address.as_deref(), |out, address| push!(out, address));
        push!(out, r#","country":"#);
        maybe(out, own.shown_country(), |out, code| Json(out).line(code, cap::WORD));
        push!(out, r#","platform":"#);
        maybe(out, own.platform.map(Platform::as_str), |out, word| push!(out, word));
        push!(out, r#","device_id":"#);
        maybe(out, own.device.id(), |out, id| Json(out).line(id, cap::DEVICE_ID));
        push!(out, r#","device_state":""#, own.device.label(), "\"}");
    }
    push!(out, r#","support":{"#, &desk.support);
    if let Some(code) = view.support_code() {
        push!(out, if desk.support.is_empty() { r#""code":""# } else { r#","code":""# }, code, "\"");
    }
    push!(out, "}}");
    text.into_bytes()
}

fn reasons(view: &View<'_>, out: &mut String) {
    let reasons = view.reasons();
    for (at, reason) in reasons.iter().enumerate() {
        push!(
            out,
            if at == 0 { r#","reasons":[{"class":""# } else { r#",{"class":""# },
            reason.class.as_str()
        );
        push!(
            out,
            r#"","code":"#,
            &reason.code.to_string(),
            r#","action":""#,
            reason.resolution.as_str(),
            "\"}"
        );
    }
    if !reasons.is_empty() {
        push!(out, "]");
    }
}

fn ways(view: &View<'_>, out: &mut String) {
    let ways = view.ways();
    for (at, way) in ways.iter().enumerate() {
        push!(out, if at == 0 { r#","remedies":[{"kind":""# } else { r#",{"kind":""# });
        way.kind(&mut Json(out));
        push!(out, r#"","text":""#);
        view.way(*way, &mut Json(out));
        push!(out, if way.is_verified() { r#"","verified":true}"# } else { r#"","verified":false}"# });
    }
    if !ways.is_empty() {
        push!(out, "]");
    }
}

/// A text, or null.
fn maybe(out: &mut String, text: Option<&str>, write: impl FnOnce(&mut String, &str)) {
    match text {
        Some(text) => {
            push!(out, "\"");
            write(out, text);
            push!(out, "\"");
        }
        None => push!(out, "null"),
    }
}

/// The part of the twin that says where help is, as the fields of an object.
pub(super) fn support(url: Option<&str>, mail: Option<&str>) -> String {
    let mut text = String::new();
    let out = &mut text;
    for (name, value) in [("url", url), ("mail", mail)] {
        let Some(value) = value else { continue };
        push!(out, if out.is_empty() { "\"" } else { ",\"" }, name, r#"":""#);
        Json(out).text(value);
        push!(out, "\"");
    }
    text
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
        Plain(&mut out).line(message, cap::MESSAGE);
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
