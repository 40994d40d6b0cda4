//! What a caller read out: told apart by its form.

use std::str::FromStr;

use uuid::Uuid;

use crate::reference::{REFERENCE_CHARS, ReferenceError, ReferencePattern};

/// The longest text that is read.
const CHARS_MAX: usize = 16_384;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Query {
    /// A request's id.
    Id(Uuid),
    /// A reference, or its beginning.
    Reference(ReferencePattern),
    /// Anything longer.
    Code(String),
}

/// Why a text is nothing of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Of a reference's length, and none.
    #[error("this is no reference: {0}")]
    Reference(#[from] ReferenceError),
    /// Longer than a code can be.
    #[error("this is longer than a support code")]
    Length,
}

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        if text.len() > CHARS_MAX {
            return Err(QueryError::Length);
        }
        if let Ok(id) = Uuid::parse_str(text.trim()) {
            return Ok(Self::Id(id));
        }
        let said = text.chars().filter(|character| character.is_alphanumeric()).count();
        if said <= REFERENCE_CHARS {
            return Ok(Self::Reference(text.parse()?));
        }
        Ok(Self::Code(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Query, QueryError};

    #[test]
    fn each_is_known_by_its_form() {
        let query = |text: &str| text.parse::<Query>();
        assert!(matches!(query(" 01937e2a-1b2c-7d3e-8f40-516273849999 "), Ok(Query::Id(_))));
        assert!(matches!(query("01937E2A1B2C7D3E8F40516273849999"), Ok(Query::Id(_))));
        for reference in ["7k3m-9q2x", "7K3M", "7K3M 9Q2", " o1il-0000 "] {
            assert!(matches!(query(reference), Ok(Query::Reference(_))), "{reference}");
        }
        assert!(matches!(query(&"A".repeat(768)), Ok(Query::Code(_))));
        for odd in ["", "7K", "7K3M-9Q2U", "-"] {
            assert!(matches!(query(odd), Err(QueryError::Reference(_))), "{odd}");
        }
        assert_eq!(query(&"A".repeat(20_000)), Err(QueryError::Length));
    }
}
