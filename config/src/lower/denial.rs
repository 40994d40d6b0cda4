//! The denial page's settings, and what counts as evidence.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_policy::model::Evidence;

use super::context::Context;
use super::template;
use super::values::{self, Flaw};
use crate::diagnose::Diagnostic;
use crate::file;
use crate::schema::tables::{APP, DENIAL};
use crate::schema::tree::View;
use crate::settings::{AppDenial, Denial, Disclosure, FullTo, LANGUAGES, PolicyDenial, SupportKey};

/// A logo travels with every denial.
const LOGO_BYTES_MAX: u64 = 32 << 10;
/// A larger logo makes the page larger than the 12 KB that it keeps to otherwise.
const LOGO_BYTES_FIT: usize = 1_536;
const KEY_FILE_BYTES_MAX: u64 = 1 << 10;
const MESSAGE_CHARS_MAX: usize = 300;

impl Default for Denial {
    /// What holds where no file says anything.
    fn default() -> Self {
        let view = View::absent(&DENIAL);
        Self {
            installation: view.text("installation").unwrap_or_default().to_owned(),
            disclosure: disclosure(view).unwrap_or(Disclosure::Minimal),
            full_to: full_to(view).unwrap_or(FullTo::ManagedDevices),
            language: language(view).unwrap_or_default(),
            contact_mail: None,
            contact_url: None,
            remediation_url: None,
            accent: None,
            logo: None,
            template: None,
            support_keys: Vec::new(),
            apps: Vec::new(),
            policies: Vec::new(),
        }
    }
}

/// The settings of `[denial]`, with what apps add; what policies add is not known yet.
pub(super) fn denial(cx: &mut Context<'_>, main: View<'_>, apps: Vec<AppDenial>) -> Option<Denial> {
    let view = main.table_or_default("denial", &DENIAL);
    let url = |text: &str| values::secure_url(text).map(String::from);
    Some(Denial {
        installation: cx.parse_key(view, "installation", line)?,
        disclosure: disclosure(view)?,
        full_to: full_to(view)?,
        language: language(view)?,
        contact_mail: cx.parse_key(view, "contact-mail", mail),
        contact_url: cx.parse_key(view, "contact-url", url),
        remediation_url: cx.parse_key(view, "remediation-url", url),
        accent: cx.parse_key(view, "accent", colour),
        logo: logo(cx, view),
        template: template::template(cx, view),
        support_keys: support_keys(cx, view),
        apps,
        policies: Vec::new(),
    })
}

/// What an app says of its denials.
pub(super) fn of_app(view: View<'_>) -> AppDenial {
    AppDenial { disclosure: disclosure(view), language: language(view) }
}

/// What a policy says of its denials.
pub(super) fn of_policy(cx: &mut Context<'_>, view: View<'_>) -> PolicyDenial {
    PolicyDenial { disclosure: disclosure(view), message: cx.parse_key(view, "message", message) }
}

/// Whether some app's denials show all, where a policy does not say otherwise.
pub(super) fn some_app_is_full(main: View<'_>) -> bool {
    let installation = disclosure(main.table_or_default("denial", &DENIAL));
    main.tables("app", &APP).any(|app| disclosure(app).or(installation) == Some(Disclosure::Full))
}

/// A message that nobody will ever read: where no disclosure in force is the full one.
pub(super) fn hidden_message(cx: &mut Context<'_>, policy: View<'_>, some_app_is_full: bool) {
    let shown = match disclosure(policy) {
        Some(own) => own == Disclosure::Full,
        None => some_app_is_full,
    };
    if policy.get("message").is_some() && !shown {
        let at = policy.at_key("message");
        cx.push(
            Diagnostic::warning("denial/message-hidden", at, "nobody will read this message")
                .why("a policy's own words are shown at full disclosure only")
                .help("add `disclosure = \"full\"` to the policy, or leave the message out"),
        );
    }
}

fn disclosure(view: View<'_>) -> Option<Disclosure> {
    view.word("disclosure", Disclosure::from_word)
}

fn full_to(view: View<'_>) -> Option<FullTo> {
    view.word("full-to", FullTo::from_word)
}

fn language(view: View<'_>) -> Option<&'static str> {
    view.word("language", |wanted| LANGUAGES.iter().copied().find(|known| *known == wanted))
}

fn message(text: &str) -> Result<String, Flaw> {
    if text.trim().is_empty()
        || text.chars().count() > MESSAGE_CHARS_MAX
        || text.chars().any(char::is_control)
    {
        return Err(Flaw::new("denial/message", "a message is one paragraph of at most 300 characters")
            .why("it stands on the page beside what the user can do")
            .help("write at most 300 characters, without line breaks"));
    }
    Ok(text.to_owned())
}

/// Keys of 32 bytes, each in its own file. A key that cannot be read is an error: without it the
/// codes that users send in could not be opened.
fn support_keys(cx: &mut Context<'_>, view: View<'_>) -> Vec<SupportKey> {
    let mut keys = Vec::new();
    for (text, at) in view.texts("support-keys") {
        let Some(path) = cx.readable_at(text, at) else { continue };
        cx.is_secret(&path);
        let read = file::read(&path, KEY_FILE_BYTES_MAX);
        let decoded = read.ok().and_then(|bytes| STANDARD.decode(bytes.trim_ascii()).ok());
        match decoded.and_then(|key| <[u8; 32]>::try_from(key).ok()) {
            Some(key) => keys.push(SupportKey(key)),
            None => cx.push(
                Diagnostic::error("denial/support-key", at, "this file holds no key of 32 bytes in base64")
                    .why("support codes that it sealed could not be opened")
                    .help("make one with `openssl rand -base64 32`"),
            ),
        }
    }
    keys
}

fn line(text: &str) -> Result<String, Flaw> {
    if text.trim().is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) {
        return Err(Flaw::new("denial/text", "a name on the page is one line of at most 100 characters")
            .help("write a name such as `Example Corp`"));
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
    let bytes = file::read(&path, LOGO_BYTES_MAX).unwrap_or_default();
    let kind = match bytes.as_slice() {
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
                "`logo` is no PNG, JPEG or WebP of at most 32KiB",
            )
            .why("it is written into every denial page")
            .help("convert it to PNG, or make it smaller"),
        );
        return None;
    };
    if bytes.len() > LOGO_BYTES_FIT {
        cx.push(
            Diagnostic::warning("denial/logo-large", view.at_key("logo"), "`logo` is larger than 1536B")
                .why("it travels with every denial page, which stays below 12KB otherwise")
                .help("make the picture smaller, or reduce its colours"),
        );
    }
    Some(format!("data:image/{kind};base64,{}", STANDARD.encode(&bytes)))
}

pub(super) fn evidence(cx: &mut Context<'_>, view: View<'_>) -> Evidence {
    Evidence {
        mfa_methods: view.owned("mfa-methods"),
        mfa_acrs: view.owned("mfa-acrs"),
        mfa_contexts: cx.parse_list(view, "mfa-contexts", values::context),
        approved_clients: view.owned("approved-clients"),
        protected_clients: view.owned("protected-clients"),
    }
}
