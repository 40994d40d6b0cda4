//! What a view says in one line.

use crate::denial::escape::{Plain, one_line, push_percent};
use crate::denial::texts::Texts;
use crate::denial::view::View;

/// The longest sentence, in characters: some programs cut their messages.
const SENTENCE_CHARS_MAX: usize = 500;

/// What a view says, in one line: what happened, what to do first, and what to tell the help desk.
pub(super) fn sentence(view: &View<'_>, texts: &Texts) -> String {
    let mut said = String::with_capacity(SENTENCE_CHARS_MAX);
    view.headline(&mut Plain(&mut said));
    let mut advice = String::new();
    if view.advice(&mut Plain(&mut advice)) {
        close(&mut said);
        said.push_str(texts.space);
        said.push_str(&advice);
    }
    close(&mut said);
    let said = one_line(&said, SENTENCE_CHARS_MAX);
    [&*said, " [", &called(view, "; "), "]"].concat()
}

/// Ends a sentence that has no end.
fn close(said: &mut String) {
    if said.ends_with(|last: char| last.is_alphanumeric() || matches!(last, ')' | '"' | '”' | '»')) {
        said.push('.');
    }
}

/// The code, if there is one, and the reference, in English as help desks read them.
fn called(view: &View<'_>, between: &str) -> String {
    let code = if view.code.is_empty() { view.info.error } else { &view.code };
    [code, between, "reference ", &view.reference].concat()
}

/// The reason phrase of a status line: what some programs show in place of any body. English, for a field of a head is ASCII.
pub(in crate::denial) fn phrase(view: &View<'_>) -> String {
    let usual =
        http::StatusCode::from_u16(view.info.status).ok().and_then(|status| status.canonical_reason());
    [usual.unwrap_or("Refused"), "; ", &called(view, "; ")].concat()
}

/// gRPC's message: percent-encoded, for it stands in a head.
pub(in crate::denial) fn grpc_message(view: &View<'_>, texts: &Texts) -> String {
    let mut message = String::with_capacity(256);
    push_percent(&mut message, &sentence(view, texts), b" ;:,.()[]'");
    message
}
