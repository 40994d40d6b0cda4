//! The Kubernetes API's `Status` (Kubernetes API reference, `meta/v1 Status`; reasons of `apimachinery/pkg/apis/meta/v1`).

use super::said::sentence;
use crate::denial::json::{Object, name};
use crate::denial::texts::Texts;
use crate::denial::view::View;

/// `{"kind": "Status", …}`.
pub(super) fn status(view: &View<'_>, texts: &Texts) -> Vec<u8> {
    let mut out = String::with_capacity(640);
    Object::write(&mut out, |status| {
        status.literal(name!("kind"), "Status");
        status.literal(name!("apiVersion"), "v1");
        status.object(name!("metadata"), |_| {});
        status.literal(name!("status"), "Failure");
        status.text(name!("message"), &sentence(view, texts));
        status.literal(name!("reason"), reason(view.info.status));
        status.object(name!("details"), |details| {
            details.literal(name!("uid"), &view.request_id);
            details.list(name!("causes"), [()], |out, ()| {
                Object::write(out, |cause| {
                    cause.literal(
                        name!("reason"),
                        if view.code.is_empty() { view.info.error } else { &view.code },
                    );
                    cause.text(name!("message"), &["reference ", &view.reference].concat());
                });
            });
            if let Some(secs) = view.retry_after_secs {
                details.number(name!("retryAfterSeconds"), secs);
            }
        });
        status.number(name!("code"), view.info.status);
    });
    out.into_bytes()
}

const fn reason(status: u16) -> &'static str {
    match status {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        413 => "RequestEntityTooLarge",
        408 | 504 => "Timeout",
        429 => "TooManyRequests",
        502 | 503 => "ServiceUnavailable",
        _ => "InternalError",
    }
}
