//! The denial for terminals: a short text.

use super::branding::Branding;
use super::escape::{Escaper as _, Plain, cap};
use super::texts::Texts;
use super::view::View;

/// Room for the text; a longer one grows its buffer.
const TEXT_BYTES: usize = 2048;

/// What a view says, line by line.
pub(super) fn text(view: &View<'_>, branding: &Branding, texts: &Texts) -> Vec<u8> {
    let mut out = String::with_capacity(TEXT_BYTES);
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
    let remedies = view.remedies();
    if !remedies.is_empty() {
        out.push('\n');
        out.push_str(texts.heading_remedies.as_str());
        out.push_str(":\n");
        for remedy in remedies {
            out.push_str("- ");
            view.remedy(remedy, &mut Plain(&mut out));
            out.push('\n');
        }
    }
    out.push('\n');
    view.report(&mut Plain(&mut out));
    out.push('\n');
    let mail = branding.contact_mail.as_ref().map(|mail| mail.address.as_str());
    for address in [mail, branding.contact_url.as_deref()].into_iter().flatten() {
        for text in [texts.contact.as_str(), ": ", address, "\n"] {
            out.push_str(text);
        }
    }
    out.into_bytes()
}
