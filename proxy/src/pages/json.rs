//! The page for programs: problem details (RFC 9457) where something failed, a plain object elsewhere.

use serde_json::{Map, Value, json};

use crate::clock::timestamp;
use crate::denial::escape::{Escaper as _, Plain, cap, one_line};
use crate::denial::texts::{Message, Texts};

use super::content::{Action, Body, Content};
use super::page::{Choice, MePage};
use super::report::Report;

/// What the page says, as a text of JSON.
pub(super) fn json(content: &Content<'_>, report: &Report<'_>, texts: &'static Texts) -> String {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("type", format!("urn:portcullis:sign-in:{}", content.kind).into());
    put("title", written(content, content.headline).into());
    put("status", content.status.into());
    put("detail", detail(content, texts).into());
    put("instance", format!("urn:uuid:{}", report.request_id).into());
    put("reference", report.reference.as_str().into());
    put("request_id", report.request_id.as_str().into());
    put("timestamp", report.timestamp.as_str().into());
    if let Some(fault) = content.fault {
        put("code", fault.code().into());
        put("error", content.kind.into());
        put("reason", fault.as_str().into());
        put("blame", fault.blame().as_str().into());
        put("retryable", fault.info().is_temporary().into());
    }
    if !content.provider.is_empty() {
        put("provider", one_line(content.provider, cap::PROVIDER).into());
    }
    if let Some(said) = content.said {
        let description = said.description.as_deref().map(|text| one_line(text, cap::SAID));
        put(
            "provider_error",
            json!({ "error": one_line(&said.error, cap::PROVIDER), "error_description": description }),
        );
    }
    match &content.body {
        Body::Choices(choices, _) => {
            let choices = choices.iter().filter(|choice| Action::is_link(&choice.href));
            let choice = |choice: &Choice| json!({ "name": one_line(&choice.name, cap::PROVIDER), "href": choice.href });
            put("choices", choices.map(choice).collect());
        }
        Body::SignOut(form) => drop(put("sign_out", form.action.into())),
        Body::Me(me, _) => me_members(me, put),
        Body::Nothing | Body::Fragment(_) => {}
    }
    let links: Vec<&str> = content.actions.iter().map(|action| action.href).collect();
    if !links.is_empty() {
        object.insert("links".to_owned(), links.into());
    }
    Value::Object(object).to_string()
}

fn me_members<R>(me: &MePage, mut put: impl FnMut(&str, Value) -> R) {
    put("user", one_line(&me.user, cap::USER).into());
    put("user_id", one_line(&me.user_id, cap::USER).into());
    put("app", one_line(&me.app, cap::APP_NAME).into());
    put("provider", one_line(&me.provider, cap::PROVIDER).into());
    put("methods", me.methods.iter().map(|method| one_line(method, cap::WORD)).collect());
    let time = |secs: i64| timestamp(secs.saturating_mul(1_000));
    put("auth_time", me.auth_time.map(time).into());
    let id = me.device.id().map(|id| one_line(id, cap::DEVICE_ID));
    put("device", json!({ "id": id, "state": me.device.state() }));
    put("client", json!({ "ip": me.address.map(|address| address.to_string()), "country": me.country }));
    put("session", json!({ "idle_until": time(me.idle_until), "until": time(me.until) }));
    put("sign_out", me.sign_out.as_str().into());
}

/// A text with its holes filled.
pub(super) fn written(content: &Content<'_>, message: &Message) -> String {
    let mut out = String::new();
    message.write(&mut Plain(&mut out), &content.holes());
    out
}

/// Who is signed in, and the lead.
fn detail(content: &Content<'_>, texts: &'static Texts) -> String {
    let mut out = String::new();
    if content.user.is_some() {
        texts.signed_in_as.write(&mut Plain(&mut out), &content.holes());
        out.push_str(texts.space);
    }
    content.lead.write(&mut Plain(&mut out), &content.holes());
    out
}

/// The page for terminals: a short text.
pub(super) fn plain(content: &Content<'_>, report: &Report<'_>, texts: &'static Texts) -> String {
    let mut out = written(content, content.headline);
    out.push('\n');
    if let Some(verdict) = content.verdict {
        out.push_str(verdict.words.as_str());
        out.push('\n');
    }
    out.push_str(&detail(content, texts));
    out.push('\n');
    if let Some(said) = content.said {
        out.push_str(&written(content, &texts.provider_says));
        out.push_str(texts.colon);
        if let Some(description) = &said.description {
            Plain(&mut out).line(description, cap::SAID);
            out.push(' ');
        }
        Plain(&mut out).line(&said.error, cap::PROVIDER);
        out.push('\n');
    }
    out.push('\n');
    for row in report.session_rows(texts) {
        for text in [row.label.as_str(), texts.colon, &row.value, "\n"] {
            out.push_str(text);
        }
    }
    report.ticket(&mut Plain(&mut out));
    out.push('\n');
    out
}
