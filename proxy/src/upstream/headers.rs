//! What the app is told about the request: forged headers out, ours in.
//!
//! Runs after pingora has dropped hop-by-hop headers, so that no client can have ours dropped by
//! naming them in `Connection`.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, COOKIE, FORWARDED, HeaderName, HeaderValue};
use pingora::Result;
use pingora::http::RequestHeader;
use portcullis_config::settings::{self, IdentityValue};
use portcullis_policy::signals::{Fact, Identity, Value};

use crate::admit::STRIPPED;
use crate::token::VerifiedToken;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a permitted request is about.
pub(crate) struct Prepared<'r> {
    /// The app's settings.
    pub(crate) app: &'r settings::App,
    /// Who asks.
    pub(crate) token: &'r VerifiedToken,
    /// The client's address, as decided on.
    pub(crate) client: IpAddr,
    /// The host, as decided on.
    pub(crate) host: &'r str,
    /// The request's id, as text.
    pub(crate) request_id: &'r str,
    /// Whether the client's connection was encrypted.
    pub(crate) tls: bool,
}

/// Whether an app could take `name` for `ours`: the same but for case and for what stands between the
/// words. CGI makes `_` of `-`, and some servers do so with every sign that is no letter or digit.
fn looks_like(name: &str, ours: &str) -> bool {
    name.len() == ours.len()
        && name.bytes().zip(ours.bytes()).all(|(a, b)| {
            let folded =
                |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
            folded(a) == folded(b)
        })
}

fn is_forgeable(name: &HeaderName, app: &settings::App) -> bool {
    let name_text = name.as_str();
    name == FORWARDED
        || [
            &X_FORWARDED_FOR,
            &X_FORWARDED_HOST,
            &X_FORWARDED_PROTO,
            &X_FORWARDED_PORT,
            &X_REAL_IP,
            &X_REQUEST_ID,
        ]
        .into_iter()
        .any(|ours| looks_like(name_text, ours.as_str()))
        || STRIPPED.iter().any(|stripped| looks_like(name_text, stripped))
        || app.identity_headers.iter().any(|(ours, _)| looks_like(name_text, ours))
        || app.token.header.as_ref().is_some_and(|ours| looks_like(name_text, ours))
}

/// Text that any header may carry: bytes outside visible ASCII are percent-encoded.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).ok().filter(|_| text.is_ascii()).unwrap_or_else(|| {
        let encoded = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        // INVARIANT: percent-encoding yields ASCII letters, digits and `%` only.
        HeaderValue::from_str(&encoded.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
    })
}

fn identity_value(value: &IdentityValue, token: &VerifiedToken) -> Option<HeaderValue> {
    let principal = token.principal();
    match value {
        IdentityValue::UserId => match &principal.identity {
            Identity::User { id, .. } | Identity::Workload { id } => Some(header_value(id)),
        },
        IdentityValue::UserName => token.user_name().map(header_value),
        IdentityValue::Groups => match &principal.groups {
            // A comma inside a group's name would make two groups of it.
            Fact::Known(groups) if !groups.is_empty() => {
                let plain: Vec<&str> =
                    groups.iter().map(String::as_str).filter(|group| !group.contains(',')).collect();
                Some(header_value(&plain.join(",")))
            }
            Fact::Known(_) | Fact::Unknown | Fact::Unavailable => None,
        },
        IdentityValue::DeviceId => token.device().map(|device| header_value(&device.id)),
        IdentityValue::Claim(name) => {
            let (_, found) = principal.claims.iter().find(|(known, _)| **known == **name)?;
            match found {
                Value::Text(text) => Some(header_value(text)),
                Value::Bool(flag) => Some(header_value(if *flag { "true" } else { "false" })),
                Value::Number(number) => Some(header_value(&number.to_string())),
                Value::List(items) => Some(header_value(&items.join(","))),
            }
        }
    }
}

/// The client's cookies in one line, without ours. `None` when none is left.
fn cookies(header: &RequestHeader, ours: Option<&str>) -> Option<HeaderValue> {
    let mut kept = Vec::new();
    for line in header.headers.get_all(COOKIE) {
        for pair in line.as_bytes().split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii_end();
            if pair.is_empty() || ours.is_some_and(|ours| name == ours.as_bytes()) {
                continue;
            }
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(pair);
        }
    }
    if kept.is_empty() { None } else { HeaderValue::from_bytes(&kept).ok() }
}

/// Rewrites the head that goes to the app.
///
/// # Errors
/// When a configured header name cannot be set; the request then fails rather than pass without.
pub(crate) fn prepare(header: &mut RequestHeader, passage: &Prepared<'_>) -> Result<()> {
    let app = passage.app;
    let forged: Vec<HeaderName> =
        header.headers.keys().filter(|name| is_forgeable(name, app)).cloned().collect();
    for name in &forged {
        header.remove_header(name);
    }
    if !app.forward_authorization && header.headers.contains_key(AUTHORIZATION) {
        header.remove_header(&AUTHORIZATION);
    }
    if header.headers.contains_key(COOKIE) {
        let kept = cookies(header, app.token.cookie.as_deref());
        header.remove_header(&COOKIE);
        if let Some(kept) = kept {
            header.insert_header(COOKIE, kept)?;
        }
    }
    for (name, value) in &app.identity_headers {
        if let Some(value) = identity_value(value, passage.token) {
            header.insert_header(name.clone(), value)?;
        }
    }
    header.insert_header(X_FORWARDED_FOR, header_value(&passage.client.to_string()))?;
    header.insert_header(X_FORWARDED_HOST, header_value(passage.host))?;
    header.insert_header(
        X_FORWARDED_PROTO,
        HeaderValue::from_static(if passage.tls { "https" } else { "http" }),
    )?;
    header.insert_header(X_REQUEST_ID, header_value(passage.request_id))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_alike_of_an_identity_header_is_recognised() {
        for name in ["x-user", "X_User", "x.user", "X-USER", "x~user", "x|user"] {
            assert!(looks_like(name, "X-User"), "{name}");
        }
        assert!(!looks_like("x-users", "X-User"));
        assert!(!looks_like("xuser", "X-User"));
    }

    #[test]
    fn our_cookie_never_reaches_the_app_and_split_cookies_are_joined() {
        let mut header = RequestHeader::build("GET", b"/", None).unwrap();
        header.append_header("cookie", "a=1; portcullis=secret").unwrap();
        header.append_header("cookie", "b=2").unwrap();
        assert_eq!(cookies(&header, Some("portcullis")).unwrap(), "a=1; b=2");
        assert_eq!(cookies(&header, None).unwrap(), "a=1; portcullis=secret; b=2");
    }

    #[test]
    fn a_value_that_no_header_may_carry_is_percent_encoded() {
        assert_eq!(header_value("Zoë\r\nX-Admin: 1"), "Zo%C3%AB%0D%0AX%2DAdmin%3A%201");
        assert_eq!(header_value("alice@example.com"), "alice@example.com");
    }
}
