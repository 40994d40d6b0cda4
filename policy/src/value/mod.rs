//! The kinds of values that facts have: below policies, rules and signals, which all speak of them.

mod device;
mod kinds;

pub use device::{Device, DeviceAttribute, OwnedDevice};
pub use kinds::{
    AuthenticationContext, ClientAppSet, ClientAppType, CountryCode, Flow, FlowSet, GuestKind, GuestKinds,
    Platform, RiskLevel, RiskSet,
};

use alloc::string::String;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

/// A fact, or the kind of its absence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fact<T> {
    /// Known.
    Known(T),
    /// No source has it, and none should: it simply is not known.
    #[default]
    Unknown,
    /// A configured source should have it and did not answer. Decided as whatever refuses more.
    Unavailable,
}

impl<T> Fact<T> {
    /// The value, if known.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown | Self::Unavailable => None,
        }
    }

    /// The same fact, borrowed.
    pub const fn as_ref(&self) -> Fact<&T> {
        match self {
            Self::Known(value) => Fact::Known(value),
            Self::Unknown => Fact::Unknown,
            Self::Unavailable => Fact::Unavailable,
        }
    }

    /// The fact about what `f` makes of the value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Self::Known(value) => Fact::Known(f(value)),
            Self::Unknown => Fact::Unknown,
            Self::Unavailable => Fact::Unavailable,
        }
    }
}

/// A claim's or attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A collection of texts.
    List(Vec<String>),
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        core::mem::discriminant(self).hash(state);
        match self {
            Self::Text(text) => text.hash(state),
            Self::Bool(truth) => truth.hash(state),
            // Both zeros are equal, and one after this.
            Self::Number(number) => (number + 0.0).to_bits().hash(state),
            Self::List(texts) => texts.hash(state),
        }
    }
}

/// A claim's or attribute's value, borrowed; or that there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'r> {
    /// No value.
    Null,
    /// Text.
    Text(&'r str),
    /// True or false.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A collection of texts.
    List(&'r [String]),
}

impl<'r> From<&'r Value> for ValueRef<'r> {
    fn from(value: &'r Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text),
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::Number(*number),
            Value::List(items) => Self::List(items),
        }
    }
}
