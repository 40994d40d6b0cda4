//! How often something may happen, and how slowly a body may come.

use std::time::Duration;

/// A token bucket: so many in a while, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many within [`Rate::per`]; at least 1.
    pub count: u32,
    /// A second, a minute or an hour.
    pub per: Duration,
    /// How many at once, after a pause; at least 1.
    pub burst: u32,
}

/// What nobody may exceed, of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tokens of one address that were verified in vain.
    pub failed_verifications: Rate,
}
