//! The filter language: Entra's rule syntax for devices, with our namespaces beside it.
//!
//! A rule is parsed and checked once, at load, and asked with an `Environment`. Strings compare
//! without ASCII case. Every attribute of an unregistered device is null: positive operators do not
//! match null, negative ones do (Entra documentation, "Filter for devices as a condition").

mod evaluate;
mod lex;
mod parse;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

pub(crate) use evaluate::Environment;

/// A parsed and checked rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    source: Box<str>,
    root: Node,
}

/// Why a text is no rule, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct RuleError {
    /// Where it goes wrong, in bytes from the rule's beginning.
    pub offset: usize,
    /// How many bytes are meant; 0 at the rule's end.
    pub len: usize,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub help: String,
}

impl Rule {
    /// The longest rule, in bytes. Entra's limit is 3,072 characters.
    pub const LEN_MAX: usize = 16 * 1024;
    /// The deepest nesting.
    pub const DEPTH_MAX: usize = 64;

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

    /// The rule as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// A rule's tree.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Compare { attribute: Attribute, operator: Operator, operand: Operand },
}

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Attribute {
    Device(DeviceAttribute),
    User(Box<str>),
    App(Box<str>),
    Method,
    Path,
}

/// The attributes of a device, by Entra's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeviceAttribute {
    DeviceId,
    DisplayName,
    DeviceOwnership,
    EnrollmentProfileName,
    IsCompliant,
    Manufacturer,
    MdmAppId,
    Model,
    OperatingSystem,
    OperatingSystemVersion,
    PhysicalIds,
    ProfileType,
    SystemLabels,
    TrustType,
    Extension(usize),
}

/// How it is compared. `negated` is the operator's `not` form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Operator {
    test: Test,
    negated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Equals,
    StartsWith,
    EndsWith,
    Contains,
    In,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What it is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Operand {
    Null,
    Text(Box<str>),
    List(Vec<Box<str>>),
}
