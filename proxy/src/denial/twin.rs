//! The machine's twin of the page: `application/problem+json` (RFC 9457), and the short text for
//! terminals.

use serde::Serialize;

use super::escape::{cap, one_line};
use super::texts::Texts;
use super::view::View;
use super::{Desk, RETRY_AFTER};

#[derive(Serialize)]
struct Problem<'v> {
    r#type: String,
    title: &'v str,
    status: u16,
    detail: String,
    instance: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u32>,
    error: &'static str,
    request_id: &'v str,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'v str>,
    timestamp: &'v str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<&'static str>,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    messages: &'v [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Reason>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remedies: Vec<Remedy<'v>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<App>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<Client>,
    support: Support<'v>,
}

#[derive(Serialize)]
struct Reason {
    class: &'static str,
    code: u32,
    action: &'static str,
}

#[derive(Serialize)]
struct Remedy<'v> {
    kind: &'v str,
    text: &'v str,
    verified: bool,
}

#[derive(Serialize)]
struct App {
    id: String,
    name: String,
}

#[derive(Serialize)]
struct Client {
    ip: Option<String>,
    country: Option<String>,
    platform: Option<&'static str>,
    device_id: Option<String>,
    device_state: &'static str,
}

#[derive(Serialize)]
struct Support<'v> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'v str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<&'v str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'v str>,
}

/// The twin. Fields that disclosure keeps back are absent, not empty.
pub(super) fn json(view: &View<'_>, desk: &Desk, texts: &Texts) -> Vec<u8> {
    let sentences = [Some(&view.lead), view.verdict.as_ref(), view.repeated.as_ref()];
    let detail = sentences.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(texts.space);
    let kind = if view.row.code == 0 { view.error.to_owned() } else { view.row.code.to_string() };
    let problem = Problem {
        r#type: format!("urn:portcullis:denial:{kind}"),
        title: &view.headline,
        status: view.row.status,
        detail,
        instance: format!("urn:uuid:{}", view.request_id),
        code: (view.row.code != 0).then_some(view.row.code),
        error: view.error,
        request_id: &view.request_id,
        correlation_id: view.correlation_id.as_deref(),
        timestamp: &view.timestamp,
        resolution: view.names_resolution.then_some(view.row.resolution.as_str()),
        retryable: view.is_temporary,
        retry_after: view.is_temporary.then_some(RETRY_AFTER.as_secs()),
        messages: &view.messages,
        reasons: view
            .reasons
            .iter()
            .map(|reason| Reason { class: reason.class, code: reason.code, action: reason.action })
            .collect(),
        remedies: view
            .remedies
            .iter()
            .map(|remedy| Remedy { kind: &remedy.kind, text: &remedy.text, verified: remedy.verified })
            .collect(),
        app: view
            .own
            .and_then(|own| own.app)
            .map(|(id, name)| App { id: one_line(id, cap::APP_ID), name: one_line(name, cap::APP_NAME) }),
        client: view.own.map(|own| Client {
            ip: own.client.map(|address| address.to_string()),
            country: own.shown_country().map(str::to_owned),
            platform: own.platform.map(portcullis_policy::model::Platform::as_str),
            device_id: own.device.id().map(|id| one_line(id, cap::DEVICE_ID)),
            device_state: own.device.label(),
        }),
        support: Support {
            url: desk.contact_url.as_deref(),
            mail: desk.contact_mail.as_ref().map(|mail| mail.address.as_str()),
            code: view.support_code.as_deref(),
        },
    };
    // INVARIANT: texts, numbers and booleans always serialise.
    serde_json::to_vec(&problem).unwrap_or_default()
}

/// The short text.
pub(super) fn plain(view: &View<'_>, desk: &Desk, texts: &Texts) -> Vec<u8> {
    let mut out = String::with_capacity(1024);
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    line(&view.headline);
    line(&view.lead);
    for sentence in [&view.verdict, &view.repeated].into_iter().flatten().chain(&view.messages) {
        line(sentence);
    }
    if !view.remedies.is_empty() {
        line("");
        line(&format!("{}:", texts.heading_remedies.as_str()));
        for remedy in &view.remedies {
            line(&format!("- {}", remedy.text));
        }
    }
    line("");
    line(&view.report);
    let mail = desk.contact_mail.as_ref().map(|mail| mail.address.as_str());
    for address in [mail, desk.contact_url.as_deref()].into_iter().flatten() {
        line(&format!("{}: {address}", texts.contact.as_str()));
    }
    out.into_bytes()
}
