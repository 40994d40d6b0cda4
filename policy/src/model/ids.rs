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
