//! The denial for terminals: a short text.

use super::branding::Branding;
use super::escape::{Escaper as _, Plain, cap};
use super::step::Card;
use super::texts::Texts;
use super::view::View;

/// Room for the text; a longer one grows its buffer.
const TEXT_BYTES: usize = 2048;

/// What a view says, line by line.
pub(super) fn text(view: &View<'_>, branding: &Branding, texts: &'static Texts) -> Vec<u8> {
    let mut out = String::with_capacity(TEXT_BYTES);
    view.headline(&mut Plain(&mut out));
    out.push('\n');
    view.lead(&mut Plain(&mut out), false);
    out.push('\n');
    if let Some(sentence) = view.repeated() {
        out.push_str(sentence);
        out.push('\n');
    }
    card(view, &mut out, texts);
    for message in view.words().iter().map(|words| words.text) {
        Plain(&mut out).line(message, cap::MESSAGE);
        out.push('\n');
    }
    let reasons = view.reasons();
    for reason in reasons.iter().filter(|reason| !view.is_said(reason)) {
        out.push_str(texts.reason(reason));
        out.push('\n');
    }
    out.push('\n');
    view.report(&mut Plain(&mut out));
    out.push('\n');
    let mail = branding.contact_mail.as_ref().map(|mail| mail.address.as_str());
    for address in [mail, branding.contact_url.as_deref()].into_iter().flatten() {
        for text in [texts.contact.as_str(), texts.colon, address, "\n"] {
            out.push_str(text);
        }
    }
    out.into_bytes()
}

/// What helps, step by step.
fn card(view: &View<'_>, out: &mut String, texts: &'static Texts) {
    let at = out.len();
    out.push('\n');
    // A text waits for nothing: what it has of a fault is when to try again.
    if !matches!(view.card, Card::Waiting | Card::Maintenance) {
        if !view.card_heading(&mut Plain(out)) {
            out.truncate(at);
            return;
        }
        out.push('\n');
    }
    let note = out.len();
    view.card_note(&mut Plain(out));
    if out.len() > note {
        out.push('\n');
    }
    if !view.lists_ways() {
        return;
    }
    for (way_at, way) in view.ways.iter().enumerate() {
        if way_at > 0 {
            out.push_str(texts.note_or.as_str());
            out.push('\n');
        }
        for (number, step) in (1_u8..).zip(way) {
            if way.len() > 1 {
                out.push_str(&format!("{number}. "));
            } else {
                out.push_str("- ");
            }
            view.instruction(*step, &mut Plain(out));
            let said = out.len();
            out.push_str(". ");
            let seen = out.len();
            view.seen(*step, &mut Plain(out));
            if out.len() == seen {
                out.truncate(said);
            }
            out.push('\n');
        }
    }
}
