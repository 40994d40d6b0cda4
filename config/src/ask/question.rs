//! A request that is written down, and what the policies must say to it.

use portcullis_policy::Reading;
use portcullis_policy::model::AuthenticationContext;
use portcullis_policy::signals::OwnedSignals;

use crate::settings::{App, Config};

/// To what questions are put.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'c> {
    /// The configuration.
    pub config: &'c Config,
    /// The time of asking, Unix seconds.
    pub now: i64,
    /// Whether an app receives a path of its own, in normal form, so that all readers agree on it; no other passes,
    /// whatever the app allows.
    pub is_received: fn(&App, &str) -> bool,
}

/// A request to be asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The request.
    pub signals: OwnedSignals,
    /// Whether the question says nothing of the country, so that it is to be looked up by the address.
    pub looks_up_country: bool,
    /// Whether the app opens the path to everybody, so that no policy is asked.
    pub is_public: bool,
    /// Whether the token comes as a bearer's, rather than in the cookie or header of a session.
    pub is_bearer: bool,
    /// How else the app may read the path, with the context that each reading asks for.
    pub other_readings: Vec<(String, Option<AuthenticationContext>)>,
}

impl Question {
    /// Each reading of the path that the app may have; none where there is but one.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading<'_>> {
        if self.other_readings.is_empty() {
            return Vec::new();
        }
        let written = Reading { path: &self.signals.path, context: self.signals.target.context };
        let others = self.other_readings.iter().map(|(path, context)| Reading { path, context: *context });
        [written].into_iter().chain(others).collect()
    }
}

/// A request and what the policies must say to it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What must hold, as a sentence.
    pub name: String,
    /// `path:line:column` of the case.
    pub place: String,
    /// The request.
    pub question: Question,
    /// `grant`, `challenge`, `deny`, `block` or `public`.
    pub expect: String,
    /// The code of the denial.
    pub code: Option<u32>,
    /// Exactly the enforced policies that apply, sorted; `None` when not given.
    pub applied: Option<Vec<String>>,
}
