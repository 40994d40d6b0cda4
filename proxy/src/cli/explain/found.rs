//! A decision as a support code or a log has it.

use crate::decision_record::DecisionRecord;

/// One decision as it was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) request_id: String,
    /// UTC, ISO 8601.
    pub(super) at: String,
    /// The number on the page.
    pub(super) code: Option<u32>,
    /// How it ended, where the log has it.
    pub(super) outcome: Option<String>,
    /// The reason code, where the log has it.
    pub(super) reason: Option<String>,
    /// What the log has of a request that was refused before any decision, by name.
    pub(super) stated: Vec<(&'static str, String)>,
    pub(super) generation: u64,
    /// As hexadecimal digits.
    pub(super) policies_digest: String,
    /// Ids of policies, with their results.
    pub(super) applied: Vec<(String, String)>,
    /// `None` for a request that was refused before any decision.
    pub(super) record: Option<DecisionRecord>,
}

/// A digest as hexadecimal digits.
pub(super) fn hex(digest: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(digest))
}
