//! The denial page's settings, and what counts as evidence.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_policy::model::Evidence;

use super::Context;
use super::values::{self, Flaw};
use crate::diagnose::Diagnostic;
use crate::schema::tables::DENIAL;
use crate::schema::tree::View;
use crate::settings::{Denial, Disclosure};

/// A logo travels with every denial.
const LOGO_BYTES_MAX: u64 = 64 << 10;

pub(super) fn denial(cx: &mut Context<'_>, main: View<'_>) -> Option<Denial> {
    let Some(view) = main.table("denial", &DENIAL) else {
        return Some(Denial {
            installation: "Portcullis".to_owned(),
            disclosure: Disclosure::Standard,
            contact_mail: None,
            contact_url: None,
            remediation_url: None,
            accent: None,
            logo: None,
        });
    };
    let url = |text: &str| values::secure_url(text).map(String::from);
    Some(Denial {
        installation: cx.parse_key(view, "installation", line).unwrap_or_else(|| "Portcullis".to_owned()),
        disclosure: match view.text("disclosure") {
            Some("minimal") => Disclosure::Minimal,
            Some("full") => Disclosure::Full,
            _ => Disclosure::Standard,
        },
        contact_mail: cx.parse_key(view, "contact-mail", mail),
        contact_url: cx.parse_key(view, "contact-url", url),
        remediation_url: cx.parse_key(view, "remediation-url", url),
        accent: cx.parse_key(view, "accent", colour),
        logo: logo(cx, view),
    })
}

fn line(text: &str) -> Result<String, Flaw> {
    if text.trim().is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) {
        return Err(Flaw::new("denial/text", "a name on the page is one line of at most 100 characters"));
    }
    Ok(text.to_owned())
}

fn mail(text: &str) -> Result<String, Flaw> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".+-_@".contains(&byte);
    let (name, domain) = text.split_once('@').unwrap_or_default();
    if name.is_empty() || !domain.contains('.') || domain.contains('@') || !text.bytes().all(allowed) {
        return Err(Flaw::new("denial/mail", "`contact-mail` is no mail address")
            .help("write an address such as `help@example.com`"));
    }
    Ok(text.to_owned())
}

fn colour(text: &str) -> Result<String, Flaw> {
    let digits = text.strip_prefix('#').unwrap_or_default();
    if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(Flaw::new("denial/accent", "`accent` is no colour").help("write six hex digits: `#0a5c8f`"))
}

/// The logo as a data URI: the page loads nothing. SVG is not taken, since it can carry scripts.
fn logo(cx: &mut Context<'_>, view: View<'_>) -> Option<String> {
    let path = cx.readable(view, "logo")?;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&path).and_then(|file| {
        std::io::Read::read_to_end(&mut std::io::Read::take(file, LOGO_BYTES_MAX + 1), &mut bytes)
    });
    let kind = match bytes.as_slice() {
        _ if read.is_err() || u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LOGO_BYTES_MAX => None,
        [0x89, b'P', b'N', b'G', ..] => Some("png"),
        [0xff, 0xd8, 0xff, ..] => Some("jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("webp"),
        _ => None,
    };
    let Some(kind) = kind else {
        cx.push(
            Diagnostic::error(
                "denial/logo",
                view.at_key("logo"),
                "`logo` is no PNG, JPEG or WebP of at most 64KiB",
            )
            .why("it is written into every denial page"),
        );
        return None;
    };
    Some(format!("data:image/{kind};base64,{}", STANDARD.encode(&bytes)))
}

pub(super) fn evidence(view: View<'_>) -> Evidence {
    let defaults = Evidence::default();
    Evidence {
        mfa_methods: match view.get("mfa-methods") {
            Some(_) => view.owned("mfa-methods"),
            None => defaults.mfa_methods,
        },
        mfa_acrs: view.owned("mfa-acrs"),
        approved_clients: view.owned("approved-clients"),
        protected_clients: view.owned("protected-clients"),
    }
}
