//! Git's extension for large files shows `message` of an answer of its own content type (Git LFS Batch API, "Response Errors").

use super::said::sentence;
use crate::denial::json::{Object, name};
use crate::denial::texts::Texts;
use crate::denial::view::View;

/// `{"message": …, "request_id": …}`.
pub(super) fn message(view: &View<'_>, texts: &Texts) -> Vec<u8> {
    let mut out = String::with_capacity(512);
    Object::write(&mut out, |body| {
        body.text(name!("message"), &sentence(view, texts));
        body.literal(name!("request_id"), &view.request_id);
    });
    out.into_bytes()
}
