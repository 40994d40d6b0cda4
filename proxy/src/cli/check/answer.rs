//! What came of one question of `check --online`.

use portcullis_config::diagnose::Severity;

/// The answer to one question.
pub(super) struct Answer {
    /// A line for people when all is well.
    pub(super) line: Option<String>,
    /// What is wrong: severity, code, what, why, how to mend it.
    pub(super) problem: Option<(Severity, &'static str, String, String, String)>,
    /// What stands in the file, in one of these ways.
    pub(super) asked: Vec<String>,
}

impl Answer {
    pub(super) fn good(asked: &str, line: String) -> Self {
        Self { line: Some(line), problem: None, asked: vec![asked.to_owned()] }
    }

    pub(super) fn bad(asked: &str, code: &'static str, what: String, why: &'static str, help: &str) -> Self {
        Self::of(asked, Severity::Error, code, what, why, help.to_owned())
    }

    pub(super) fn of(
        asked: &str,
        severity: Severity,
        code: &'static str,
        what: String,
        why: &'static str,
        help: String,
    ) -> Self {
        let problem = Some((severity, code, what, why.to_owned(), help));
        Self { line: None, problem, asked: vec![asked.to_owned()] }
    }
}
