//! Headers that reach an app: identity from the token, reserved names that an app wants all the same, and the
//! verified `Authorization`.

use super::context::Context;
use super::values;
use crate::diagnose::Diagnostic;
use crate::reserved::{Harm, fold, reserved};
use crate::schema::check::shortened;
use crate::schema::tree::{Node, View};
use crate::settings::{IdentityValue, Issuer, TokenPlaces, claim_label};

/// Headers that frame the message, route it, or carry other credentials: never identity.
const FORBIDDEN_HEADERS: [&str; 16] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "forwarded",
    "x-forwarded-for",
    "keep-alive",
];

/// Whether a header of this name, in lower case, can say who asks.
pub(super) fn carries_identity(lower: &str) -> bool {
    values::is_token(lower)
        && !FORBIDDEN_HEADERS.contains(&lower)
        && reserved(lower).is_none_or(|reserved| reserved.harm != Harm::Judged)
        // Some servers read `_` as `-`, so a client could send a variant that is not removed.
        && !lower.contains('_')
}

pub(super) fn identity_headers(
    cx: &mut Context<'_>,
    view: View<'_>,
    issuers: &[Issuer],
    accepted: &[usize],
) -> Vec<(String, IdentityValue)> {
    let mut headers: Vec<(String, IdentityValue)> = Vec::new();
    for entry in view.get("identity-headers").map_or(&[][..], Node::entries) {
        let lower = entry.key.to_ascii_lowercase();
        let twice = headers.iter().any(|(name, _)| fold(name) == fold(&lower));
        if !carries_identity(&lower) || twice {
            let what = format!("`{}` cannot carry identity", shortened(&entry.key));
            cx.push(
                Diagnostic::error("app/identity-header", entry.at, what)
                    .why("it is no header name, is written twice, or means something else to proxies and servers")
                    .help("use a name of your own with hyphens, such as `X-User`"),
            );
            continue;
        }
        let Some(text) = entry.value.text() else { continue };
        let value = match text {
            "user-id" => IdentityValue::UserId,
            "user-name" => IdentityValue::UserName,
            "groups" => IdentityValue::Groups,
            "device-id" => IdentityValue::DeviceId,
            _ => match text.strip_prefix("claim:") {
                Some(claim) if !claim.is_empty() => {
                    let mut accepted = accepted.iter().filter_map(|position| issuers.get(*position));
                    if !accepted
                        .any(|issuer| issuer.claims.extra.iter().any(|extra| claim_label(extra) == claim))
                    {
                        let what = format!(
                            "claim `{}` is not among the extra claims of any accepted issuer",
                            shortened(claim)
                        );
                        cx.push(
                            Diagnostic::error("app/identity-claim", entry.value.at, what)
                                .why("the header would always be empty")
                                .help(format!(
                                    "add it to `[issuer.claims]`: `extra = [\"{}\"]`",
                                    shortened(claim)
                                )),
                        );
                    }
                    IdentityValue::Claim(claim.to_owned())
                }
                _ => {
                    cx.push(
                        Diagnostic::error(
                            "value/word",
                            entry.value.at,
                            format!("no identity value `{}`", shortened(text)),
                        )
                        .help("it is `user-id`, `user-name`, `groups`, `device-id` or `claim:NAME`"),
                    );
                    continue;
                }
            },
        };
        headers.push((entry.key.clone(), value));
    }
    headers
}

/// Reserved headers that an app wants all the same.
pub(super) fn allow_headers(
    cx: &mut Context<'_>,
    view: View<'_>,
    identity: &[(String, IdentityValue)],
    token: &TokenPlaces,
) -> Vec<String> {
    const CODE: &str = "app/allow-header";
    let mut allowed = Vec::new();
    for (text, at) in view.texts("allow-headers") {
        let (lower, shown) = (text.to_ascii_lowercase(), shortened(text));
        let is_set = identity
            .iter()
            .map(|(name, _)| name.as_str())
            .chain(token.header.as_deref())
            .any(|name| fold(name) == fold(&lower));
        let found = reserved(text);
        if !values::is_token(text) || text.contains('_') || FORBIDDEN_HEADERS.contains(&lower.as_str()) {
            cx.push(
                Diagnostic::error(CODE, at, format!("`{shown}` is no header that could be allowed"))
                    .help("name a header with hyphens, such as `Cf-Ray`"),
            );
        } else if is_set {
            cx.push(
                Diagnostic::error(CODE, at, format!("`{shown}` is set by Portcullis, or carries the token"))
                    .why("what a client sends under this name must not reach the app beside it")
                    .help("take it away"),
            );
        } else if let Some(judged) = found.filter(|found| found.harm == Harm::Judged) {
            cx.push(
                Diagnostic::error(CODE, at, format!("`{shown}` cannot be allowed"))
                    .why(format!(
                        "the app could serve something else than the policies judged ({})",
                        judged.why
                    ))
                    .help("take it away"),
            );
        } else {
            match found {
                None => cx.push(
                    Diagnostic::warning(CODE, at, format!("`{shown}` is not reserved"))
                        .why("it reaches the app without being named here")
                        .help("take it away"),
                ),
                Some(found) if found.harm == Harm::Identity => cx.push(
                    Diagnostic::warning(CODE, at, format!("any client can say who it is by `{shown}`"))
                        .why(format!("apps believe it ({}), and Portcullis does not check it", found.why))
                        .help("set it from the token by `identity-headers`, or be sure that the app does not read it"),
                ),
                Some(_) => {}
            }
            allowed.push(lower);
        }
    }
    allowed
}

/// Only what was verified is forwarded, so a token in another place leaves nothing to forward.
pub(super) fn forward_authorization(cx: &mut Context<'_>, view: View<'_>, token: &TokenPlaces) -> bool {
    let forwards = view.is_on("forward-authorization");
    let other = token.cookie.is_some() || token.header.is_some();
    if forwards && (other || !token.bearer) {
        let what = if token.bearer {
            "`forward-authorization` beside a token in a cookie or header"
        } else {
            "`forward-authorization` has nothing to forward"
        };
        cx.push(
            Diagnostic::warning("app/forward-authorization", view.at_key("forward-authorization"), what)
                .why("only an `Authorization` that was verified reaches the app; one that comes beside a token in another place is refused with 400")
                .help("take the token from `Authorization` alone, or turn `forward-authorization` off"),
        );
    }
    forwards
}
