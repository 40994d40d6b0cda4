//! What one installation adds to every denial: who decides and where help is. Checked once, at
//! load; whatever could be no link is left out.

use portcullis_config::settings;

use super::escape::{cap, is_own_path, is_web_link, one_line, push_percent};

/// The checked settings.
#[derive(Debug)]
pub(crate) struct Branding {
    pub(crate) installation: String,
    pub(crate) contact_mail: Option<Mail>,
    pub(crate) contact_url: Option<String>,
    pub(crate) remediation_url: Option<String>,
    /// `data:` URI of an image.
    pub(crate) logo: Option<String>,
    /// `#rrggbb`, the colour of the mark.
    pub(crate) accent: Option<String>,
    sign_in: Vec<String>,
}

/// A mail address that is safe in a `mailto:` link.
#[derive(Debug)]
pub(crate) struct Mail {
    pub(crate) address: String,
}

impl Mail {
    fn new(address: &str) -> Option<Self> {
        let (local, domain) = address.split_once('@')?;
        let is_plain = |text: &str, more: &[u8]| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        let fits = address.len() <= 254 && is_plain(local, b"._+-") && is_plain(domain, b".-");
        fits.then(|| Self { address: address.to_owned() })
    }

    /// A link (RFC 6068) that opens a mail with this subject.
    pub(crate) fn href(&self, subject: &str) -> String {
        let mut href = String::from("mailto:");
        push_percent(&mut href, &self.address, b"@");
        href.push_str("?subject=");
        push_percent(&mut href, subject, b"");
        href
    }
}

impl Branding {
    pub(crate) fn new(settings: &settings::Denial, apps: &[settings::App]) -> Self {
        let link = |url: &Option<String>| {
            url.as_deref().filter(|url| is_web_link(url) || is_own_path(url)).map(str::to_owned)
        };
        let contact_mail = settings.contact_mail.as_deref().and_then(Mail::new);
        let contact_url = link(&settings.contact_url);
        Self {
            installation: one_line(&settings.installation, cap::INSTALLATION).into_owned(),
            contact_mail,
            contact_url,
            remediation_url: link(&settings.remediation_url),
            logo: settings.logo.as_deref().filter(|logo| is_logo(logo)).map(str::to_owned),
            accent: settings.accent.clone().filter(|accent| is_accent(accent)),
            sign_in: apps.iter().filter_map(|app| app.sign_in_url.clone()).collect(),
        }
    }

    /// Whether the configuration names this sign-in page. A request may add a query of ours to it,
    /// but never another host or path.
    pub(crate) fn knows_sign_in(&self, url: &str) -> bool {
        self.sign_in.iter().any(|known| {
            url.strip_prefix(known.as_str()).is_some_and(|rest| {
                let starts = if known.contains('?') { ['&', '#'] } else { ['?', '#'] };
                rest.is_empty() || rest.starts_with(starts)
            })
        })
    }
}

fn is_accent(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|hex| hex.len() == 6 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_logo(text: &str) -> bool {
    text.starts_with("data:image/")
        && text.len() <= cap::LOGO
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/;,+=%-._~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use portcullis_config::settings::Denial;

    use super::{Branding, Mail, is_accent, is_logo};

    #[test]
    fn a_mail_address_cannot_add_fields_to_the_mail() {
        for bad in ["a", "a@", "@b", "a@b?cc=c@d", "a@b,c@d", "a b@c", "a@b\n", "a@b@c", "a%40b@c", "\"@b"] {
            assert!(Mail::new(bad).is_none(), "{bad}");
        }
        let mail = Mail::new("help+it@example.org").unwrap();
        assert_eq!(mail.href("a&b=c d"), "mailto:help%2Bit@example.org?subject=a%26b%3Dc%20d");
    }

    #[test]
    fn accent_and_logo_cannot_carry_anything_else() {
        assert!(is_accent("#00aAff"));
        for bad in ["#fff", "red", "#00aaff;}", "#00aag0", "00aaff"] {
            assert!(!is_accent(bad), "{bad}");
        }
        assert!(is_logo("data:image/png;base64,iVBORw0KGgo="));
        for bad in
            ["data:text/html,x", "https://example.org/x.png", "data:image/png,\"onload", "javascript:x"]
        {
            assert!(!is_logo(bad), "{bad}");
        }
    }

    #[test]
    fn a_request_can_add_a_query_to_a_configured_sign_in_page_and_nothing_else() {
        let mut branding = Branding::new(&Denial::default(), &[]);
        branding.sign_in =
            vec!["https://id.example/in".into(), "https://id.example/authorize?client=a".into()];
        for known in
            ["https://id.example/in", "https://id.example/in?rd=x", "https://id.example/authorize?client=a&b"]
        {
            assert!(branding.knows_sign_in(known), "{known}");
        }
        for foreign in [
            "https://id.example/in.evil",
            "https://id.example/in/../out",
            "https://id.example/authorize?client=ab",
            "https://id.example.evil/in",
            "",
        ] {
            assert!(!branding.knows_sign_in(foreign), "{foreign}");
        }
    }
}
