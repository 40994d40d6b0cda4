//! The account of an import: for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::account::{Outcome, Property};
use crate::printable::counted;

/// The most errors, and reasons of one policy, that are shown to people.
const SHOWN_MAX: usize = 20;

/// What became of everything that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Files that were looked at.
    pub files: usize,
    /// Every policy found, in the order of the ids written.
    pub policies: Vec<Item>,
    /// Every named location found.
    pub locations: Vec<Item>,
    /// Documents that are no policies.
    pub not_policies: Vec<NotPolicy>,
    /// What a person must look at.
    pub errors: Vec<Problem>,
}

/// A policy or a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The file that has it.
    pub file: String,
    /// Where in the file, such as `value[3].PolicyConfig`; empty when it is the whole file.
    pub place: String,
    /// Its display name.
    pub name: String,
    /// Its id in the files written.
    pub id: String,
    /// Its id in Entra, if the export has it.
    pub entra_id: Option<String>,
    /// The state in which it was written; empty for a location.
    pub state: String,
    /// Its state in Entra; empty for a location.
    pub entra_state: String,
    /// Why it is not, or not wholly, enforced.
    pub reasons: Vec<String>,
    /// What became of each property, in the order of the input.
    pub properties: Vec<Property>,
}

/// A document that is no policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotPolicy {
    /// The file that has it.
    pub file: String,
    /// What it seems to be.
    pub why: String,
}

/// Something wrong in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file it is in.
    pub file: String,
    /// What is wrong and how to mend it.
    pub message: String,
    /// Whether something is missing from the output because of it.
    pub lost: bool,
}

impl Report {
    /// Whether something that was asked for is not in the output.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.errors.iter().any(|problem| problem.lost)
    }

    /// The report for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let not_policies = self.not_policies.iter().map(|one| json!({ "file": one.file, "why": one.why }));
        let errors = self.errors.iter();
        let errors = errors.map(|one| json!({ "file": one.file, "message": one.message, "lost": one.lost }));
        json!({
            "files": self.files,
            "policies": self.policies.iter().map(Item::to_json).collect::<Vec<_>>(),
            "locations": self.locations.iter().map(Item::to_json).collect::<Vec<_>>(),
            "not_policies": not_policies.collect::<Vec<_>>(),
            "errors": errors.collect::<Vec<_>>(),
        })
    }

    /// The report for people: totals, what is not enforced and why, and what to mend.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let state = |state: &str| self.policies.iter().filter(|item| item.state == state).count();
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "{}: {} ({} enabled, {} report-only, {} disabled), {}, {}",
            counted(self.files, "file", "files"),
            counted(self.policies.len(), "policy", "policies"),
            state("enabled"),
            state("report-only"),
            state("disabled"),
            counted(self.locations.len(), "named location", "named locations"),
            counted(self.not_policies.len(), "other document", "other documents")
        );
        let items = || self.policies.iter().chain(&self.locations);
        let outcome = |outcome: Outcome| {
            items().flat_map(|item| &item.properties).filter(|property| property.outcome == outcome).count()
        };
        let _ = writeln!(
            out,
            "{}: {} taken, {} adapted, {} refused",
            counted(items().map(|item| item.properties.len()).sum(), "property", "properties"),
            outcome(Outcome::Taken),
            outcome(Outcome::Adapted),
            outcome(Outcome::Refused)
        );
        let mut refused: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for item in items() {
            let mut here: BTreeMap<String, usize> = BTreeMap::new();
            for property in item.properties.iter().filter(|property| property.outcome == Outcome::Refused) {
                *here
                    .entry(format!("{}: {}", without_positions(&property.path), property.note))
                    .or_default() += 1;
            }
            for (what, count) in here {
                let entry = refused.entry(what).or_default();
                *entry = (entry.0 + count, entry.1 + 1);
            }
        }
        if !refused.is_empty() {
            let _ = writeln!(out, "\nrefused (properties, in how many policies or locations):");
        }
        for (what, (properties, items)) in refused {
            let _ = writeln!(out, "{properties:>6} {items:>5}  {}", printable(&what));
        }
        for item in self.policies.iter().filter(|item| !item.reasons.is_empty() && item.state != "disabled") {
            let _ = writeln!(
                out,
                "\nwarning: `{}` is {} and differs from what it is in Entra:",
                item.id, item.state
            );
            for reason in item.reasons.iter().take(SHOWN_MAX) {
                let _ = writeln!(out, "  {}", printable(reason));
            }
        }
        let disabled =
            || self.policies.iter().filter(|item| item.state == "disabled" && !item.reasons.is_empty());
        if disabled().next().is_some() {
            let _ = writeln!(
                out,
                "\ndisabled, because it cannot be enforced as it was meant (each file says all of it):"
            );
        }
        for item in disabled() {
            let reason = item.reasons.first().map(String::as_str).unwrap_or_default();
            let _ = writeln!(out, "  {}: {}", item.id, printable(reason));
        }
        if !self.not_policies.is_empty() {
            let _ = writeln!(out, "\nother documents, which are no policies:");
        }
        for one in self.not_policies.iter().take(SHOWN_MAX) {
            let _ = writeln!(out, "  {}: {}", printable(&one.file), printable(&one.why));
        }
        if let Some(more) = self.not_policies.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            let _ = writeln!(out, "  and {more} more, which the report (`--report FILE`) names");
        }
        // What is lost comes first; of the rest the report for programs has all.
        let mut problems: Vec<&Problem> = self.errors.iter().collect();
        problems.sort_by_key(|problem| !problem.lost);
        for problem in problems.iter().take(SHOWN_MAX) {
            let word = if problem.lost { "error" } else { "warning" };
            let _ =
                writeln!(out, "\n{word}: {}\n  {}", printable(&problem.file), printable(&problem.message));
        }
        if let Some(more) = problems.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            let _ = writeln!(out, "\nand {more} more, which the report (`--report FILE`) names");
        }
        out
    }
}

impl Item {
    fn to_json(&self) -> Value {
        let property = |property: &Property| json!({ "path": property.path, "outcome": property.outcome.as_str(), "note": property.note });
        let mut value = json!({
            "file": self.file,
            "place": self.place,
            "name": self.name,
            "id": self.id,
            "entra_id": self.entra_id,
            "reasons": self.reasons,
            "properties": self.properties.iter().map(property).collect::<Vec<_>>(),
        });
        if let Value::Object(object) = &mut value
            && !self.state.is_empty()
        {
            object.insert("state".to_owned(), self.state.clone().into());
            object.insert("entra_state".to_owned(), self.entra_state.clone().into());
        }
        value
    }
}

/// A path without the positions in lists, so that like is counted with like. Keys in brackets stay.
fn without_positions(path: &str) -> String {
    let mut parts = path.split('[');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(']') {
            Some((position, rest)) if position.bytes().all(|byte| byte.is_ascii_digit()) => {
                out.push_str(rest)
            }
            _ => {
                out.push('[');
                out.push_str(part);
            }
        }
    }
    out
}

/// One line that cannot forge another, nor drive a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if super::names::is_hidden(c) { '\u{fffd}' } else { c }).take(2_000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_brackets_are_shown_and_positions_are_not() {
        for (path, wanted) in [
            ("conditions.users.includeUsers[12]", "conditions.users.includeUsers"),
            ("a[0][\"b.c\"].d[3].e", "a[\"b.c\"].d.e"),
        ] {
            assert_eq!(without_positions(path), wanted);
        }
    }
}
