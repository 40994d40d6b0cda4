//! Problem details (RFC 9457): the denial for programs, `application/problem+json`.

use portcullis_policy::model::Platform;

use super::branding::Branding;
use super::escape::{Escaper as _, cap};
use super::facts::Facts;
use super::json::{Object, line, name};
use super::texts::Texts;
use super::view::View;
use crate::refusal::ErrorInfo;

/// Room for the answer; a longer one grows its buffer.
const PROBLEM_BYTES: usize = 2048;

/// What a view says, as a text of JSON. What disclosure withholds is absent, not empty.
pub(super) fn json(view: &View<'_>, branding: &Branding, texts: &'static Texts) -> Vec<u8> {
    let mut out = String::with_capacity(PROBLEM_BYTES);
    Object::write(&mut out, |problem| {
        summary(problem, view, texts);
        what_helps(problem, view);
        if let Some(own) = view.own {
            own_facts(problem, view, own);
        }
        problem.object(name!("support"), |support| {
            if let Some(url) = &branding.contact_url {
                support.text(name!("url"), url);
            }
            if let Some(mail) = &branding.contact_mail {
                support.text(name!("mail"), &mail.address);
            }
            if let Some(code) = view.support_code() {
                support.text(name!("code"), code);
            }
        });
    });
    out.into_bytes()
}

/// What happened.
fn summary(problem: &mut Object<'_>, view: &View<'_>, texts: &'static Texts) {
    let info = view.info;
    problem.written(name!("type"), |out| {
        out.literal("urn:portcullis:denial:");
        out.literal(if view.code.is_empty() { info.error } else { &view.code });
    });
    problem.written(name!("title"), |out| view.headline(out));
    problem.number(name!("status"), info.status);
    problem.written(name!("detail"), |out| {
        view.lead(out, false);
        if let Some(sentence) = view.repeated() {
            out.literal(texts.space);
            out.literal(sentence);
        }
        if view.is_temporary {
            out.literal(texts.space);
            view.card_note(out);
        }
    });
    problem.written(name!("instance"), |out| {
        out.literal("urn:uuid:");
        out.literal(&view.request_id);
    });
    if info.code != 0 {
        problem.number(name!("code"), info.code);
    }
    problem.literal(name!("error"), info.error);
    problem.literal(name!("reference"), &view.reference);
    problem.literal(name!("request_id"), &view.request_id);
    if let Some(id) = &view.correlation_id {
        problem.literal(name!("correlation_id"), id);
    }
    problem.literal(name!("timestamp"), &view.timestamp);
}

/// What would end it.
fn what_helps(problem: &mut Object<'_>, view: &View<'_>) {
    if view.names_resolution {
        problem.literal(name!("resolution"), view.info.resolution.as_str());
    }
    problem.flag(name!("retryable"), view.is_temporary);
    if let Some(secs) = view.retry_after_secs {
        problem.number(name!("retry_after"), secs);
    }
    problem.list(name!("messages"), view.words().iter().map(|words| words.text), |out, message| {
        line(out, message, cap::MESSAGE)
    });
    problem.list(name!("reasons"), view.reasons(), |out, reason: ErrorInfo| {
        Object::write(out, |member| {
            member.literal(name!("class"), reason.class.as_str());
            member.number(name!("code"), reason.code);
            member.literal(name!("action"), reason.resolution.as_str());
        });
    });
    problem.list(name!("remedies"), view.remedies(), |out, remedied| {
        Object::write(out, |member| {
            member.literal(name!("kind"), remedied.kind);
            member.written(name!("text"), |out| view.remedy(remedied, out));
            if let Some(step) = remedied.step.filter(|step| view.has_seen(*step)) {
                member.written(name!("seen"), |out| view.seen(step, out));
            }
            member.flag(name!("verified"), remedied.is_verified);
            member.number(name!("way"), remedied.way);
        });
    });
}

/// The user's own facts; null is what is not known.
fn own_facts(problem: &mut Object<'_>, view: &View<'_>, own: &Facts<'_>) {
    if let Some((id, app_name)) = own.app {
        problem.object(name!("app"), |app| {
            app.line(name!("id"), id, cap::APP_ID);
            app.line(name!("name"), app_name, cap::APP_NAME);
        });
    }
    problem.object(name!("client"), |client| {
        match &view.address {
            Some(address) => client.literal(name!("ip"), address),
            None => client.null(name!("ip")),
        }
        match own.shown_country() {
            Some(country) => client.line(name!("country"), country, cap::WORD),
            None => client.null(name!("country")),
        }
        match own.platform.map(Platform::as_str) {
            Some(platform) => client.literal(name!("platform"), platform),
            None => client.null(name!("platform")),
        }
        match own.device.id() {
            Some(id) => client.line(name!("device_id"), id, cap::DEVICE_ID),
            None => client.null(name!("device_id")),
        }
        client.literal(name!("device_state"), own.device.label());
    });
}
