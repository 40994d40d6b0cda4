//! What a rule is made of, once it is parsed.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::path::composed;
use crate::value::DeviceAttribute;

/// A rule's tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Compare(Comparison),
}

impl Node {
    /// Whether every comparison in the tree is such.
    pub(super) fn comparisons(&self, holds: &mut impl FnMut(&Comparison) -> bool) -> bool {
        match self {
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().all(|node| node.comparisons(holds)),
            Self::Not(node) => node.comparisons(holds),
            Self::Compare(comparison) => holds(comparison),
        }
    }
}

/// One attribute compared with one value or several. Text is folded, so that two comparisons
/// that mean the same are the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Comparison {
    pub(super) attribute: Attribute,
    /// What of the attribute is compared.
    pub(super) reach: Reach,
    pub(super) operator: Operator,
    pub(super) operand: Operand,
}

impl Comparison {
    /// The attribute of the device that is compared, if it is one.
    pub(crate) const fn device_attribute(&self) -> Option<DeviceAttribute> {
        match self.attribute {
            Attribute::Device(attribute) => Some(attribute),
            Attribute::User(_) | Attribute::App(_) | Attribute::Method | Attribute::Path => None,
        }
    }
}

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Attribute {
    Device(DeviceAttribute),
    User(Box<str>),
    App(Box<str>),
    Method,
    Path,
}

/// Whether the attribute itself is compared, or the elements of a collection one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reach {
    Whole,
    /// `-any (_ …)`
    Any,
    /// `-all (_ …)`
    All,
}

/// How it is compared. `negated` is the operator's `not` form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Operator {
    pub(super) test: Test,
    pub(super) negated: bool,
}

impl Operator {
    /// Whether it compares versions and numbers.
    pub(super) const fn is_ordering(self) -> bool {
        matches!(self.test, Test::Less | Test::LessOrEqual | Test::Greater | Test::GreaterOrEqual)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Test {
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operand {
    Null,
    Text(Box<str>),
    List(Vec<Box<str>>),
}

impl Operand {
    /// Brings texts into the normal form of paths ([`composed`]).
    pub(super) fn compose(&mut self) {
        let texts = match self {
            Self::Null => &mut [],
            Self::Text(text) => core::slice::from_mut(text),
            Self::List(texts) => texts.as_mut_slice(),
        };
        for text in texts {
            if let Some(composed) = composed(text) {
                *text = composed.into();
            }
        }
    }
}
