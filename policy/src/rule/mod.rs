//! The filter language: Entra's rule syntax for devices, with our namespaces beside it.
//!
//! A rule is parsed and checked once, at load, and asked with an `Environment`. Strings compare
//! without ASCII case. Every attribute of an unregistered device is null: positive operators do not
//! match null, negative ones do (Entra documentation, "Filter for devices as a condition").
//!
//! | attributes | operators |
//! |---|---|
//! | `device.displayName`, `enrollmentProfileName`, `manufacturer`, `model`, `operatingSystem`; `request.path` | `-eq -ne -in -notIn -startsWith -notStartsWith -endsWith -notEndsWith -contains -notContains` |
//! | `device.operatingSystemVersion`, `extensionAttribute1` to `15` | these, and `-lt -le -gt -ge` |
//! | `device.deviceId`, `mdmAppId`, `deviceOwnership`, `profileType`, `trustType`; `request.method` | `-eq -ne -in -notIn` |
//! | `device.isCompliant` | `-eq -ne`, with `True` or `False` |
//! | `device.physicalIds`, `systemLabels` | `-contains -notContains`, which ask for one whole element, and `-any`, `-all` |
//! | `user.`, `app.` and a name | all |
//!
//! Every attribute can be compared with `null` by `-eq` and `-ne`. `-any` and `-all` ask each element:
//! `device.physicalIds -any (_ -startsWith "[OrderID]:")`. They are positive operators: a collection that
//! is null or empty matches neither. `-lt` and its kin compare versions and numbers part by part.
//! Entra's dash may be left out (`device.model eq "x"`), and `==` and `!=` stand for `-eq` and `-ne`.

mod check;
mod error;
mod evaluate;
mod lex;
mod parse;
pub(crate) mod sample;
mod tree;

use alloc::boxed::Box;

pub use error::RuleError;
pub(crate) use evaluate::Environment;
use tree::Attribute;
pub(crate) use tree::{Comparison, Node};

/// A parsed and checked rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    source: Box<str>,
    root: Node,
}

impl Rule {
    /// The longest rule, in bytes. Entra's limit is 3,072 characters.
    pub const LEN_MAX: usize = parse::LEN_MAX;
    /// The deepest nesting.
    pub const DEPTH_MAX: usize = parse::DEPTH_MAX;

    /// Parses and checks a rule.
    ///
    /// # Errors
    /// [`RuleError`], with the place and the mend.
    ///
    /// ```
    /// use portcullis_policy::rule::Rule;
    /// assert!(Rule::parse(r#"device.model -startsWith "Surface" -and -not (device.trustType -in ["AzureAD", "ServerAD"])"#).is_ok());
    /// let error = Rule::parse("device.colour -eq \"red\"").unwrap_err();
    /// assert_eq!((error.offset, error.len), (0, 13));
    /// ```
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        parse::parse(text).map(|root| Self { source: text.into(), root })
    }

    pub(crate) const fn root(&self) -> &Node {
        &self.root
    }

    /// Whether it asks for nothing but attributes of an app, which are known at load.
    #[must_use]
    pub fn is_about_apps(&self) -> bool {
        self.root.comparisons(&mut |comparison| matches!(comparison.attribute, Attribute::App(_)))
    }

    /// Whether it asks for the method or the path of a request.
    pub(crate) fn asks_of_requests(&self) -> bool {
        let is_other =
            |comparison: &Comparison| !matches!(comparison.attribute, Attribute::Method | Attribute::Path);
        !self.root.comparisons(&mut |comparison| is_other(comparison))
    }

    /// The rule as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}
