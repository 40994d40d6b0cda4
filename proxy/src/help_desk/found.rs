//! A decision as a support code or a log has it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use crate::clock::{parse_timestamp, timestamp};
use crate::decision_record::DecisionRecord;
use crate::denial::SealedDecision;
use crate::failure::NetworkFailure;

/// One decision as it was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) request_id: u128,
    /// The id that was asked for, where the log left that request out and this one's line stands for it.
    pub(super) stands_for: Option<u128>,
    pub(super) now_unix_ms: i64,
    /// The number on the page.
    pub(super) code: Option<u32>,
    /// How it ended, where the log has it.
    pub(super) outcome: Option<String>,
    /// The reason code, where the log has it.
    pub(super) reason: Option<String>,
    /// How often within ten minutes, where the log has it.
    pub(super) repeats: Option<u32>,
    /// The refused request that its user reported by this one.
    pub(super) reports: Option<u128>,
    /// Whether the client had been sent the head of an answer whose rest never came.
    pub(super) is_truncated: bool,
    /// What else the log has, by name.
    pub(super) stated: Vec<(&'static str, String)>,
    pub(super) generation: u64,
    /// As hexadecimal digits.
    pub(super) policies_digest: String,
    pub(super) applied: Vec<Applied>,
    /// `None` for a request that was refused before any decision.
    pub(super) record: Option<DecisionRecord>,
    /// The person or program, as the log names it.
    pub(super) subject: Option<String>,
}

/// A policy's part in it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Applied {
    pub(super) id: String,
    pub(super) result: String,
    /// Of its text, as hexadecimal digits; absent in lines of versions that did not write it.
    #[serde(default)]
    pub(super) digest: Option<String>,
}

/// What a provider answered to a sign-in that failed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignInFailure {
    #[serde(default)]
    provider: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
    #[serde(default)]
    detail: Option<String>,
}

/// The part of a log line that is read back; see `record::Entry`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    created_date_time: String,
    #[serde(deserialize_with = "request_id")]
    request_id: u128,
    #[serde(default)]
    outcome: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    at_fault: Option<String>,
    #[serde(default)]
    ip_address: Option<String>,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    app_id: Option<String>,
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    carrier: Option<String>,
    #[serde(default)]
    session_id: Option<String>,
    #[serde(default)]
    upstream_failure: Option<String>,
    #[serde(default)]
    upstream_server: Option<String>,
    #[serde(default)]
    upstream_attempts: Option<u64>,
    #[serde(default)]
    sign_in_failure: Option<SignInFailure>,
    #[serde(default)]
    error_code: Option<u32>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    answer_truncated: bool,
    #[serde(default)]
    repeats: Option<u32>,
    #[serde(default)]
    reports: Option<String>,
    policy_generation: u64,
    #[serde(default)]
    policies_digest: String,
    #[serde(default)]
    facts: Option<DecisionRecord>,
    #[serde(default)]
    applied_conditional_access_policies: Vec<Applied>,
}

fn request_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    let text = String::deserialize(deserializer)?;
    Uuid::parse_str(&text).map(|id| id.as_u128()).map_err(D::Error::custom)
}

impl Found {
    pub(super) fn of_code(decision: SealedDecision) -> Self {
        let applied = decision.refusing.into_iter().map(|policy| Applied {
            id: policy.id,
            result: policy.result,
            digest: Some(format!("{:08x}", u32::from_be_bytes(policy.digest))),
        });
        Self {
            request_id: decision.request_id,
            stands_for: None,
            now_unix_ms: decision.now_unix_ms,
            code: Some(decision.code).filter(|code| *code != 0),
            outcome: None,
            reason: None,
            repeats: None,
            reports: None,
            is_truncated: false,
            stated: Vec::new(),
            generation: decision.generation,
            policies_digest: hex(decision.policies_digest),
            applied: applied.collect(),
            subject: decision.record.user.clone(),
            record: Some(decision.record),
        }
    }

    pub(super) fn of_line(line: Line) -> Self {
        let failed = line
            .sign_in_failure
            .map(|failed| [failed.provider, failed.error, failed.error_description, failed.detail]);
        let [provider, error, description, detail] = failed.unwrap_or_default();
        let stated = [
            ("At fault", line.at_fault),
            ("Provider", provider),
            ("Its error", error),
            ("It says", description),
            ("In detail", detail),
            ("App", line.app_id),
            ("IP address", line.ip_address),
            ("Host", line.host),
            ("Method", line.method),
            ("Path", line.path),
            ("Status", line.status.map(|status| status.to_string())),
            ("Known by", line.carrier),
            ("Session", line.session_id),
            ("App's failure", line.upstream_failure.map(|cause| explained(&cause))),
            ("App's server", line.upstream_server),
            ("Attempts", line.upstream_attempts.map(|attempts| attempts.to_string())),
        ];
        Self {
            request_id: line.request_id,
            stands_for: None,
            now_unix_ms: parse_timestamp(&line.created_date_time).unwrap_or_default(),
            code: line.error_code,
            outcome: line.outcome,
            reason: line.reason,
            repeats: line.repeats,
            reports: line.reports.and_then(|id| Uuid::parse_str(&id).ok()).map(|id| id.as_u128()),
            is_truncated: line.answer_truncated,
            stated: stated.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
            generation: line.policy_generation,
            policies_digest: line.policies_digest,
            applied: line.applied_conditional_access_policies,
            subject: line.user_id,
            record: line.facts,
        }
    }

    /// Something that the log has of every request.
    pub(super) fn stated(&self, name: &str) -> Option<&str> {
        self.stated.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The app's id.
    pub(super) fn app(&self) -> Option<&str> {
        self.record.as_ref().map(|record| record.app.as_str()).or_else(|| self.stated("App"))
    }

    /// Whether nothing refused it: it went to its app, or we answered it in the app's place.
    pub(super) fn was_let_in(&self) -> bool {
        matches!(self.outcome.as_deref(), Some("granted" | "aborted" | "public" | "replied"))
    }

    /// Whether it was known who asked. Who asks for a public path is not.
    pub(super) fn was_known(&self) -> bool {
        self.subject.is_some() || self.record.is_some() || self.stated("Known by").is_some()
    }

    /// When it was decided.
    pub(super) fn at(&self) -> String {
        timestamp(self.now_unix_ms)
    }
}

/// A cause with what it means; one that this version does not know as it is.
fn explained(cause: &str) -> String {
    match NetworkFailure::ALL.into_iter().find(|known| known.as_str() == cause) {
        Some(known) => format!("{cause}: {}", known.meaning()),
        None => cause.to_owned(),
    }
}

/// A digest as hexadecimal digits.
pub(super) fn hex(digest: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(digest))
}
