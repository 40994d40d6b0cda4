//! Names that are checked once, where they are made.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// A policy's name in files, metrics and logs: `[a-z0-9][a-z0-9-]*`, at most 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyId(Box<str>);

impl PolicyId {
    /// The longest id, in bytes.
    pub const LEN_MAX: usize = 64;

    /// Checks and takes an id.
    ///
    /// # Errors
    /// [`InvalidId`] when the text is empty, too long, or holds anything but lower-case letters,
    /// digits and inner hyphens.
    ///
    /// ```
    /// use portcullis_policy::model::PolicyId;
    /// assert!(PolicyId::new("block-abroad").is_ok());
    /// assert!(PolicyId::new("Block abroad").is_err());
    /// ```
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        let head = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let tail =
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if head && tail && text.len() <= Self::LEN_MAX {
            Ok(Self(text.into_boxed_str()))
        } else {
            Err(InvalidId)
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id consists of lower-case letters, digits and inner hyphens, and has at most 64 of them")]
pub struct InvalidId;

/// An ISO 3166-1 alpha-2 country code, upper case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CountryCode([u8; 2]);

impl CountryCode {
    /// Takes two ASCII letters in any case; anything else is no code.
    ///
    /// ```
    /// use portcullis_policy::model::CountryCode;
    /// assert_eq!(CountryCode::new("no").unwrap().as_str(), "NO");
    /// assert!(CountryCode::new("N0").is_none());
    /// ```
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        match text.as_bytes() {
            &[a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }

    /// How many codes there could be.
    pub(crate) const COUNT: usize = 26 * 26;

    /// Its place among all codes, by the alphabet.
    pub(crate) const fn index(self) -> usize {
        // INVARIANT: `new` admits ASCII letters only and makes them upper case.
        let [first, second] = self.0;
        (first as usize).wrapping_sub(b'A' as usize) * 26 + (second as usize).wrapping_sub(b'A' as usize)
    }

    /// The two letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // INVARIANT: `new` admits ASCII letters only, so this is always valid UTF-8.
        core::str::from_utf8(&self.0).unwrap_or("??")
    }
}

/// An authentication context, `c1` to `c99`: what a route asks for instead of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AuthenticationContext(u8);

impl AuthenticationContext {
    /// Takes `c1` … `c99`.
    ///
    /// ```
    /// use portcullis_policy::model::AuthenticationContext;
    /// assert_eq!(AuthenticationContext::new("c7").unwrap().number(), 7);
    /// assert!(AuthenticationContext::new("c100").is_none());
    /// assert!(AuthenticationContext::new("c07").is_none());
    /// ```
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('c')?;
        if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u8 = digits.parse().ok()?;
        (1..=99).contains(&number).then_some(Self(number))
    }

    /// Its number, 1 to 99.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for AuthenticationContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}
