//! The filter language (placeholder until the room is built).

/// A parsed and checked rule.
#[derive(Clone, Debug)]
pub struct Rule;
