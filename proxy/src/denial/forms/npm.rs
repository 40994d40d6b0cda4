//! npm and its kin: `error` of a JSON object is what they show behind the status (npm-registry-fetch, `errors.js`).

use super::said::sentence;
use crate::denial::json::{Object, name};
use crate::denial::texts::Texts;
use crate::denial::view::View;

/// `{"error": …}`.
pub(super) fn error(view: &View<'_>, texts: &Texts) -> Vec<u8> {
    let mut out = String::with_capacity(512);
    Object::write(&mut out, |body| {
        body.text(name!("error"), &sentence(view, texts));
        body.literal(name!("reason"), view.info.error);
        if view.info.code != 0 {
            body.number(name!("code"), view.info.code);
        }
        body.literal(name!("reference"), &view.reference);
        body.literal(name!("request_id"), &view.request_id);
    });
    out.into_bytes()
}
