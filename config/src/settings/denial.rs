//! What a denial shows, to whom, and under whose name.

use portcullis_policy::words;

/// Denial page and branding.
#[derive(Clone, Debug)]
pub struct Denial {
    /// Who decides: the installation's name on the page.
    pub installation: String,
    /// How much is shown, where neither app nor policy says otherwise.
    pub disclosure: Disclosure,
    /// Who sees as much as [`Disclosure::Full`] allows; others get the standard.
    pub full_to: FullTo,
    /// The language of those who ask for none that we have, one of [`LANGUAGES`].
    pub language: &'static str,
    /// Help desk's mail address.
    pub contact_mail: Option<String>,
    /// Help desk's page.
    pub contact_url: Option<String>,
    /// Where a device is made compliant.
    pub remediation_url: Option<String>,
    /// Accent colour, `#rrggbb`.
    pub accent: Option<String>,
    /// Logo as `data:image/…` URI.
    pub logo: Option<String>,
    /// The operator's own page, checked: its holes are known, the required ones are there, and it
    /// loads and runs nothing.
    pub template: Option<String>,
    /// Keys that seal support codes: the first seals, each opens. Empty: no support codes.
    pub support_keys: Vec<SupportKey>,
    /// What each app adds, in the order of `Config::apps`.
    pub apps: Vec<AppDenial>,
    /// What each policy adds, in the order of `PolicySet::policies`.
    pub policies: Vec<PolicyDenial>,
}

/// What an app says about its denials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppDenial {
    /// How much is shown.
    pub disclosure: Option<Disclosure>,
    /// The language of those who ask for none that we have.
    pub language: Option<&'static str>,
}

/// What a policy says about the denials that it causes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyDenial {
    /// How much is shown.
    pub disclosure: Option<Disclosure>,
    /// The operator's words to the user; shown at full disclosure only.
    pub message: Option<String>,
}

words! {
    /// How much a denial shows; a stricter one is less.
    pub enum Disclosure {
        /// Code and request id.
        Minimal = "minimal",
        /// Also the user's own facts and what the user can do.
        Standard = "standard",
        /// Also operator texts.
        Full = "full",
    }
}

words! {
    /// Who sees as much as full disclosure allows.
    pub enum FullTo {
        /// Everybody with a valid token.
        Everybody = "everybody",
        /// Who comes on a device that is compliant or hybrid joined: a stolen token alone does not.
        ManagedDevices = "managed-devices",
    }
}

/// Languages of the denial page, as BCP 47 tags.
pub const LANGUAGES: &[&str] = &[
    "en", "ar", "cs", "de", "es", "fr", "hi", "id", "it", "ja", "ko", "nl", "pl", "pt-BR", "sv", "tr", "uk",
    "vi", "zh-Hans", "zh-Hant",
];

/// Holes of the denial page's template, and whether a template must have it.
///
/// `lang` and `dir` may stand in attribute values; all others in text.
pub const TEMPLATE_HOLES: &[(&str, bool)] = &[
    ("lang", true),
    ("dir", true),
    ("title", true),
    ("style", false),
    ("script", false),
    ("brand", false),
    ("headline", true),
    ("lead", true),
    ("verdict", true),
    ("message", true),
    ("remedies", true),
    ("actions", true),
    ("reasons", true),
    ("details", true),
    ("report", true),
    ("languages", false),
];

/// A key of 256 bits that seals support codes.
#[derive(Clone, PartialEq, Eq)]
pub struct SupportKey(pub [u8; 32]);

impl std::fmt::Debug for SupportKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SupportKey(…)")
    }
}
