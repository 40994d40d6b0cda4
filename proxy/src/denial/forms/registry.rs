//! Registries of container images (OCI Distribution Specification 1.1, "Error Codes"; Docker Registry HTTP API V2, "Errors").

use super::said::sentence;
use crate::denial::json::{Object, name};
use crate::denial::texts::Texts;
use crate::denial::view::View;

/// `{"errors": [{code, message, detail}]}`.
pub(super) fn errors(view: &View<'_>, texts: &Texts) -> Vec<u8> {
    let mut out = String::with_capacity(512);
    Object::write(&mut out, |body| {
        body.list(name!("errors"), [()], |out, ()| {
            Object::write(out, |error| {
                error.literal(name!("code"), code(view.info.status));
                error.text(name!("message"), &sentence(view, texts));
                error.object(name!("detail"), |detail| {
                    if view.info.code != 0 {
                        detail.number(name!("code"), view.info.code);
                    }
                    detail.literal(name!("error"), view.info.error);
                    detail.literal(name!("reference"), &view.reference);
                    detail.literal(name!("request_id"), &view.request_id);
                });
            });
        });
    });
    out.into_bytes()
}

/// The specification's word for a status; `UNAVAILABLE` is Docker's (distribution, `errcode/register.go`).
const fn code(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHORIZED",
        403 => "DENIED",
        404 => "NAME_UNKNOWN",
        429 => "TOOMANYREQUESTS",
        500..=599 => "UNAVAILABLE",
        _ => "UNSUPPORTED",
    }
}
