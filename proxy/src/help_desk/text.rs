//! An account as text for a terminal, and the parts of it that the page shows in the same order.

use std::fmt;

use portcullis_config::printable::value;

use super::account::Account;
use super::answer::Answer;
use super::parts::{Condition, PolicyAccount, Value};

/// A part of an account.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) rows: Vec<Row>,
}

/// A line of a part.
pub(super) enum Row {
    /// A named value.
    Fact(String, String),
    /// A sentence.
    Line(String),
    /// What belongs to the line before.
    Detail(String),
}

/// The parts of an account, in the order in which a help desk needs them.
pub(super) fn sections(account: &Account) -> Vec<Section> {
    let facts = |values: &[Value]| -> Vec<Row> {
        values.iter().map(|one| Row::Fact(one.name.to_owned(), one.value.clone())).collect()
    };
    let lines = |lines: &[String]| -> Vec<Row> { lines.iter().cloned().map(Row::Line).collect() };
    let mut sections = vec![
        Section { title: "Say to the caller", rows: Vec::from([Row::Line(account.say.clone())]) },
        Section { title: "Who", rows: facts(&account.who) },
        Section { title: "Asked", rows: facts(&account.asked) },
        Section { title: "Seen", rows: facts(&account.seen) },
    ];
    sections.extend(policies(account));
    sections.push(Section {
        title: "Since then",
        rows: [lines(&account.since), lines(&account.today)].into_iter().flatten().collect(),
    });
    if !account.remedies.is_empty() {
        let ways = account.remedies.iter().map(|steps| Row::Line(steps.join("; and ")));
        sections.push(Section { title: "What would let this request in", rows: ways.collect() });
    }
    let mut rows: Vec<Row> = account
        .others
        .iter()
        .map(|one| {
            let code = one.code.map(|code| format!("{code}, ")).unwrap_or_default();
            Row::Line(format!("{} {} {} ({code}{})", one.at, one.reference, one.app, one.reason))
        })
        .collect();
    match &account.others_searched {
        Some(searched) if rows.is_empty() => rows.push(Row::Line(format!("none; {searched}"))),
        Some(_) => {}
        None => rows.push(Row::Line("not known: no log names this person or program".to_owned())),
    }
    sections.push(Section { title: "Other refusals of the same person or program", rows });
    sections.retain(|section| !section.rows.is_empty());
    sections
}

fn policies(account: &Account) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut add = |title, wanted: &dyn Fn(&&PolicyAccount) -> bool, detailed: bool| {
        let rows = account
            .policies
            .iter()
            .filter(wanted)
            .flat_map(|policy| rows(policy, detailed))
            .collect::<Vec<_>>();
        sections.push(Section { title, rows });
    };
    let refused = |policy: &&PolicyAccount| policy.refused_then();
    let is_report = |policy: &&PolicyAccount| {
        [policy.then.as_deref(), policy.today].iter().flatten().any(|result| result.starts_with("reportOnly"))
    };
    add("Policies that refused or asked for more", &refused, true);
    add(
        if account.was_let_in {
            "Policies that applied and were met"
        } else {
            "Policies that applied and did not refuse"
        },
        &|policy| policy.applied() && !refused(policy) && !is_report(policy),
        true,
    );
    add(
        "Watched only, decided nothing",
        &|policy| policy.applied() && !refused(policy) && is_report(policy),
        true,
    );
    add("Policies that did not apply", &|policy| !policy.applied(), false);
    if account.refused_by_policies
        && !account.policies.iter().any(|policy| policy.refused_then())
        && !account.policies.is_empty()
    {
        let why = match account.reason.as_deref() {
            Some("not-assigned") => {
                "none: the app is assigned to certain people, and this one is not among them"
            }
            Some("no-policy") => "none: no policy applied to this request, and the app refuses such requests",
            Some(_) | None => "none is named in the log",
        };
        if let Some(first) = sections.first_mut() {
            first.rows.push(Row::Line(why.to_owned()));
        }
    }
    sections
}

fn rows(policy: &PolicyAccount, detailed: bool) -> Vec<Row> {
    let then = policy.then.as_deref();
    let today = match (then, policy.today) {
        (Some(then), Some(today)) if then == today => String::new(),
        (Some(_), Some(today)) => format!("; by today's text {today}"),
        (None, Some(today)) => today.to_owned(),
        (_, None) => String::new(),
    };
    let changed = if policy.changed == Some(true) { "; its text changed since" } else { "" };
    let place = if policy.place.is_empty() { String::new() } else { format!(" at {}", policy.place) };
    let mut rows = Vec::from([Row::Line(format!(
        "{} ({}): {}{today}{changed}{place}",
        policy.id,
        policy.name,
        then.unwrap_or_default()
    ))]);
    if !detailed {
        let ruled_out = policy.conditions.iter().find(|one| one.holds == "no");
        rows.extend(ruled_out.map(|one| Row::Detail(condition(one))));
        return rows;
    }
    rows.extend(policy.conditions.iter().map(|one| Row::Detail(condition(one))));
    let controls = policy.controls.iter().map(|one| {
        let met = match one.holds {
            "yes" => "met",
            "no" => "not met",
            other => other,
        };
        Row::Detail(format!("asks for {}: {met}; saw {}", one.what, one.seen))
    });
    let before = rows.len();
    rows.extend(controls);
    if rows.len() == before && matches!(policy.today.or(then), Some("failure" | "reportOnlyFailure")) {
        rows.push(Row::Detail("it blocks".to_owned()));
    }
    rows
}

fn condition(one: &Condition) -> String {
    let holds = match one.holds {
        "yes" => "matches",
        "no" => "does not match",
        _ => "cannot be told",
    };
    format!("{} {holds}: wants {}; saw {}", one.what, one.wanted, one.seen)
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(searched) = self.searched.as_ref().filter(|_| self.accounts.len() > 1) {
            writeln!(f, "{} requests have this reference; {searched}.\n", self.accounts.len())?;
        }
        for (at, account) in self.accounts.iter().enumerate() {
            if at > 0 {
                writeln!(f, "\n----\n")?;
            }
            write!(f, "{account}")?;
        }
        if self.more {
            write!(f, "\nMore requests fit; ask for the rest of the reference.")?;
        }
        Ok(())
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Reference {}", self.reference)?;
        writeln!(
            f,
            "Request {} at {}, load {} of the configuration",
            self.request_id,
            value(&self.at),
            self.generation
        )?;
        if let Some(code) = self.code {
            let reason =
                self.reason.as_deref().map(|reason| format!(" ({})", value(reason))).unwrap_or_default();
            let shown = match self.answer_truncated {
                false => "Shown to the user",
                true => "Not shown, for the answer had begun",
            };
            writeln!(f, "{shown}: error code {code}{reason}")?;
        }
        for note in &self.notes {
            writeln!(f, "{}", value(note))?;
        }
        for section in sections(self) {
            writeln!(f, "\n{}", section.title)?;
            for row in &section.rows {
                match row {
                    Row::Fact(name, text) => writeln!(f, "  {name:<20} {}", value(text))?,
                    Row::Line(text) => writeln!(f, "  {}", value(text))?,
                    Row::Detail(text) => writeln!(f, "    {}", value(text))?,
                }
            }
        }
        Ok(())
    }
}
