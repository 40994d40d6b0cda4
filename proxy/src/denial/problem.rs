//! Problem details (RFC 9457): the denial for programs, `application/problem+json`.

use portcullis_policy::model::Platform;
use serde::Serialize;

use super::branding::Branding;
use super::escape::{Plain, cap, one_line};
use super::texts::Texts;
use super::view::View;
use crate::refusal::{ErrorInfo, RETRY_AFTER};

/// The members. What disclosure withholds is absent, not empty.
#[derive(Serialize)]
struct Problem<'v> {
    r#type: String,
    title: String,
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Reason>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remedies: Vec<Remedy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<App>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<Client<'v>>,
    support: Support<'v>,
}

#[derive(Serialize)]
struct Reason {
    class: &'static str,
    code: u32,
    action: &'static str,
}

impl From<ErrorInfo> for Reason {
    fn from(info: ErrorInfo) -> Self {
        Self { class: info.class.as_str(), code: info.code, action: info.resolution.as_str() }
    }
}

#[derive(Serialize)]
struct Remedy {
    kind: String,
    text: String,
    verified: bool,
}

#[derive(Serialize)]
struct App {
    id: String,
    name: String,
}

/// The user's own facts; null is what is not known.
#[derive(Serialize)]
struct Client<'v> {
    ip: Option<&'v str>,
    country: Option<String>,
    platform: Option<&'static str>,
    device_id: Option<String>,
    device_state: &'static str,
}

/// Where help is.
#[derive(Serialize)]
struct Support<'v> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'v str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<&'v str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'v str>,
}

/// What a view says, as a text of JSON.
pub(super) fn json(view: &View<'_>, branding: &Branding, texts: &Texts) -> Vec<u8> {
    let info = view.info;
    let kind: &str = if view.code.is_empty() { info.error } else { &view.code };
    let line = |text: &str, max| one_line(text, max).into_owned();
    let mut detail = text(|out| view.lead(out));
    for sentence in [view.verdict(), view.repeated()].into_iter().flatten() {
        detail.push_str(texts.space);
        detail.push_str(sentence);
    }
    let remedies = view.remedies().into_iter().map(|remedy| Remedy {
        kind: remedy.kind(),
        text: text(|out| view.remedy(remedy, out)),
        verified: remedy.is_verified(),
    });
    let problem = Problem {
        r#type: format!("urn:portcullis:denial:{kind}"),
        title: text(|out| view.headline(out)),
        status: info.status,
        detail,
        instance: format!("urn:uuid:{}", view.request_id),
        code: (info.code != 0).then_some(info.code),
        error: info.error,
        request_id: &view.request_id,
        correlation_id: view.correlation_id.as_deref(),
        timestamp: &view.timestamp,
        resolution: view.names_resolution.then(|| info.resolution.as_str()),
        retryable: view.is_temporary,
        retry_after: view.is_temporary.then_some(RETRY_AFTER.as_secs()),
        messages: view.messages().map(|message| line(message, cap::MESSAGE)).collect(),
        reasons: view.reasons().into_iter().map(Reason::from).collect(),
        remedies: remedies.collect(),
        app: view
            .own
            .and_then(|own| own.app)
            .map(|(id, name)| App { id: line(id, cap::APP_ID), name: line(name, cap::APP_NAME) }),
        client: view.own.map(|own| Client {
            ip: view.address.as_deref(),
            country: own.shown_country().map(|code| line(code, cap::WORD)),
            platform: own.platform.map(Platform::as_str),
            device_id: own.device.id().map(|id| line(id, cap::DEVICE_ID)),
            device_state: own.device.label(),
        }),
        support: Support {
            url: branding.contact_url.as_deref(),
            mail: branding.contact_mail.as_ref().map(|mail| mail.address.as_str()),
            code: view.support_code(),
        },
    };
    // INVARIANT: texts and numbers are always JSON.
    serde_json::to_vec(&problem).unwrap_or_default()
}

fn text(write: impl FnOnce(&mut Plain<'_>)) -> String {
    let mut text = String::new();
    write(&mut Plain(&mut text));
    text
}
