//! Why a text is no rule, and where.

use alloc::string::String;

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

pub(super) fn error(
    offset: usize,
    len: usize,
    what: impl Into<String>,
    help: impl Into<String>,
) -> RuleError {
    RuleError { offset, len, what: what.into(), help: help.into() }
}
