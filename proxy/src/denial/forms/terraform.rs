//! HCP Terraform's API, and what speaks it (JSON:API 1.1, "Error Objects"). Of other back ends Terraform shows the status line.

use super::said::sentence;
use crate::denial::json::{Object, name};
use crate::denial::texts::Texts;
use crate::denial::view::View;

/// `{"errors": [{id, status, code, title, detail}]}`.
pub(super) fn errors(view: &View<'_>, texts: &Texts) -> Vec<u8> {
    let mut out = String::with_capacity(640);
    Object::write(&mut out, |body| {
        body.list(name!("errors"), [()], |out, ()| {
            Object::write(out, |error| {
                error.literal(name!("id"), &view.request_id);
                // Text, says the specification.
                error.literal(name!("status"), &view.info.status.to_string());
                error.literal(name!("code"), if view.code.is_empty() { view.info.error } else { &view.code });
                error.written(name!("title"), |out| view.headline(out));
                error.text(name!("detail"), &sentence(view, texts));
            });
        });
    });
    out.into_bytes()
}
