//! What a look-up came to.

use super::account::Account;
use super::search::Searched;

/// What was found.
#[derive(Debug)]
pub struct Answer {
    /// Each decision that fits; several where they share a reference.
    pub accounts: Vec<Account>,
    /// Whether more fit than are listed.
    pub more: bool,
    /// What was searched; `None` where nothing had to be.
    pub searched: Option<Searched>,
}
