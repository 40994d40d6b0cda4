//! What an account consists of.

use portcullis_policy::reference::FindingResult;
use serde::Serialize;

/// A named value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Value {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
}

/// What one policy wanted, and what it made of the request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyAccount {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// File, line and column; empty where it is no longer configured.
    pub place: String,
    /// Its result then, where it is known, in Entra's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then: Option<String>,
    /// Its result by the text of today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub today: Option<&'static str>,
    /// Whether its text changed since; `None` where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<bool>,
    /// Each of its assignments and conditions.
    pub conditions: Vec<Condition>,
    /// Each control that it asks for.
    pub controls: Vec<Condition>,
}

/// What was wanted and seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// Which.
    pub what: String,
    /// `yes`, `no`, or `unavailable`.
    pub holds: &'static str,
    /// What the policy wants.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub wanted: String,
    /// What the request brought.
    pub seen: String,
}

/// Another refusal of the same person.
#[derive(Clone, Debug, Serialize)]
pub struct Other {
    /// When.
    pub at: String,
    /// Its reference.
    pub reference: String,
    /// Its app.
    pub app: String,
    /// The number on the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// Why.
    pub reason: String,
}

impl PolicyAccount {
    /// Whether it refused or asked for more.
    #[must_use]
    pub fn refused_then(&self) -> bool {
        matches!(self.then.as_deref(), Some("failure" | "interrupted"))
    }

    /// Whether it applied, then or by today's text.
    #[must_use]
    pub fn applied(&self) -> bool {
        let not = [FindingResult::NotApplied, FindingResult::ReportOnlyNotApplied, FindingResult::NotEnabled];
        self.then.is_some() || self.today.is_some_and(|today| not.iter().all(|one| one.as_str() != today))
    }

    /// Its place in the order of the account.
    pub(super) fn rank(&self) -> u8 {
        match (self.refused_then(), self.today) {
            (true, _) => 0,
            (false, Some("failure" | "interrupted")) => 1,
            _ if self.applied() => 2,
            _ => 3,
        }
    }
}
