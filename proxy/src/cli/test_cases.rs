//! `portcullis test`: cases that say what must be let in and what must not, run like tests.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use portcullis_config::ask::{self, Case};
use portcullis_config::printable::value;
use portcullis_policy::model::PolicyState;
use portcullis_policy::reference::{FindingResult, Tri};

use super::ask::{Answered, Subject, asking, invalid};
use super::kinds;
use super::terminal::{self, Failure};
use super::what_if::headline;
use crate::clock::unix_now;

/// Cases of one app that `--init` writes at most.
const CASES_MAX: usize = 100;

/// Which cases, of which configuration.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The main configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Files of cases.
    #[arg(value_name = "CASES", required_unless_present = "init")]
    cases: Vec<PathBuf>,
    /// Print a first file of cases: one of each kind that the policies distinguish, with what they say today.
    #[arg(long, conflicts_with = "cases")]
    init: bool,
}

/// Exit status 0 when every case holds, 1 when one fails or cannot be read.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let subject = match Subject::load(&arguments.config) {
        Ok(subject) => subject,
        Err(problem) => {
            terminal::error(&format!("portcullis: {problem}"));
            return ExitCode::FAILURE;
        }
    };
    if arguments.init {
        return init(&subject);
    }
    let (mut passed, mut failed, mut unreadable) = (0_usize, 0_usize, false);
    for path in &arguments.cases {
        let text = match cases_text(path) {
            Ok(text) => text,
            Err(problem) => {
                terminal::error(&format!("portcullis: {problem}"));
                unreadable = true;
                continue;
            }
        };
        let read = ask::cases(asking(&subject.config, unix_now()), path, text);
        let Some(cases) = read.value else {
            terminal::error(&format!(
                "portcullis: {}",
                invalid("the file of cases", &read.diagnostics, &read.sources)
            ));
            unreadable = true;
            continue;
        };
        for case in cases {
            match judge(&subject, case.clone()) {
                Ok(()) => {
                    passed += 1;
                    terminal::print(&format!("ok      {}", value(&case.name)));
                }
                Err(why) => {
                    failed += 1;
                    terminal::print(&format!(
                        "FAILED  {}\n        at {}\n{why}",
                        value(&case.name),
                        value(&case.place)
                    ));
                }
            }
        }
    }
    terminal::print(&format!("\n{passed} passed, {failed} failed"));
    if passed + failed == 0 && !unreadable {
        terminal::error("portcullis: no case was found, so nothing was tested");
    }
    if failed == 0 && !unreadable && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The text of a file of cases. A pipe that nobody writes to would be waited for without end, so only `-` is one.
fn cases_text(path: &Path) -> Result<String, Failure> {
    if path.as_os_str() != "-" && std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(format!("cannot read `{}`: it is not a regular file", terminal::shown(path)).into());
    }
    super::what_if::read(path)
}

fn judge(subject: &Subject, mut case: Case) -> Result<(), String> {
    let answered = subject.ask(&mut case.question).map_err(|problem| problem.to_string())?;
    let mut why = String::new();
    let found = answered.outcome();
    if found != case.expect {
        let _ = writeln!(why, "        expected {}, found {}", case.expect, headline(&answered));
    }
    let code = answered.code.filter(|_| !answered.is_public).map(|(code, _)| code);
    if case.code.is_some() && case.code != code {
        let shown = |code: Option<u32>| code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        let _ = writeln!(why, "        expected code {}, found {}", shown(case.code), shown(code));
    }
    let applied = applied(subject, &answered);
    if let Some(expected) = &case.applied
        && *expected != applied
    {
        let _ = writeln!(why, "        expected to apply: {expected:?}, found {applied:?}");
    }
    if why.is_empty() {
        return Ok(());
    }
    for explained in &answered.explanation.policies {
        let policy = subject.policies.set().policies.get(explained.finding.policy.0 as usize);
        let id = policy.map_or("", |policy| policy.id.as_str());
        let _ = writeln!(why, "          {id}: {}", value(&explained.sentence()));
    }
    why.truncate(why.trim_end().len());
    Err(why)
}

/// The enforced policies that applied, or may have, by id, sorted.
fn applied(subject: &Subject, answered: &Answered) -> Vec<String> {
    let policies = answered.explanation.policies.iter().filter_map(|explained| {
        let policy = subject.policies.set().policies.get(explained.finding.policy.0 as usize)?;
        let counts = policy.state == PolicyState::Enabled
            && !answered.is_public
            && answered.explanation.assigned == Tri::Yes
            && matches!(explained.finding.result, FindingResult::Applied(_));
        counts.then(|| policy.id.as_str().to_owned())
    });
    let mut ids: Vec<String> = policies.collect();
    ids.sort();
    ids
}

/// A case of each path that an app opens to everybody, and of each kind that the policies distinguish: for each app, users of each kind that policies name, with each
/// condition that policies have. Of the cases with the same answer by the same policies the first is written; where no
/// policy applies, the first of those ruled out by the same conditions. The answers of today become expectations, to be
/// read and corrected by a person.
fn init(subject: &Subject) -> ExitCode {
    let mut out = String::from(
        "# What the policies say today, once for each kind of request that they distinguish. Read each case: is it what \
         you mean? Then keep it in CI.\n",
    );
    for app in &subject.config.apps {
        let (mut seen, mut written) = (BTreeSet::new(), 0);
        for kind in kinds::strangers(app).into_iter().chain(kinds::of(&subject.config, app, unix_now())) {
            let read = ask::request(asking(&subject.config, unix_now()), None, kind.request.clone());
            // A question that makes no sense here, such as several factors where nothing proves them.
            let Some(mut asked) = read.value else { continue };
            let answered = match subject.decide(&mut asked.question) {
                Ok(answered) => answered,
                Err(problem) => {
                    terminal::error(&format!("portcullis: {problem}"));
                    return ExitCode::FAILURE;
                }
            };
            let (outcome, applied) = (answered.outcome(), applied(subject, &answered));
            let code = answered.code.filter(|_| !answered.is_public).map(|(code, _)| code);
            // Where no policy applies, the reasons why not: a user in an excluded group, an address in the office.
            let policies = answered.explanation.policies.iter();
            let ruled_out: Vec<_> = if applied.is_empty() && !answered.is_public {
                policies.map(|explained| explained.finding.ruled_out_by()).collect()
            } else {
                Vec::new()
            };
            let is_new = seen.insert((outcome, code, applied.clone(), ruled_out));
            if written >= CASES_MAX || !(is_new || kind.is_stranger) {
                continue;
            }
            written += 1;
            let name = serde_json::Value::from(kind.name);
            let _ = write!(out, "\n[[case]]\nname = {name}\nexpect = \"{outcome}\"\n");
            if let Some(code) = code {
                let _ = writeln!(out, "code = {code}");
            }
            let _ = writeln!(out, "applied = {}", serde_json::Value::from(applied));
            let _ = write!(out, "[case.request]\n{}", kind.request);
        }
    }
    terminal::print(out.trim_end());
    ExitCode::SUCCESS
}
