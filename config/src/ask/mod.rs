//! Questions to the policies, written down: a request for `what-if`, and cases for `test`. TOML or JSON of
//! our own, or Graph's what-if body; mistakes are reported as in a configuration.

mod facts;
mod graph;
mod json;
mod question;

use std::path::{Path, PathBuf};

pub use question::{Asking, Case, Question};

use crate::diagnose::{Diagnostic, FileId, Severity, Sources};
use crate::load;
use crate::schema::ask_tables::{CASES, QUESTION};
use crate::schema::check;
use crate::schema::tree::{Entry, Kind, Node};

/// The file that stands for what the command line writes, among the texts that were read.
pub const COMMAND_LINE: &str = "command line";

/// The result of reading.
#[derive(Clone, Debug)]
pub struct Read<T> {
    /// What was asked for, unless there is an error among the diagnoses.
    pub value: Option<T>,
    /// Every problem found.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that were read.
    pub sources: Sources,
}

/// A request to be asked, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// The question.
    pub question: Question,
    /// Whether Graph's body asked for the policies that apply only.
    pub applied_only: bool,
}

/// Reads a request: `text` of `path` if there is one (TOML, JSON, or Graph's body), and over it
/// `overrides`, TOML again, which the command line writes.
#[must_use]
pub fn request(asking: Asking<'_>, text: Option<(&Path, String)>, overrides: String) -> Read<Request> {
    let (mut sources, mut found) = (Sources::default(), Vec::new());
    let mut parts = Vec::new();
    if let Some((path, text)) = text {
        parts.push(parse(&mut sources, path.to_path_buf(), text, &mut found));
    }
    parts.push(parse(&mut sources, PathBuf::from(COMMAND_LINE), overrides, &mut found));
    let parts: Option<Vec<Node>> = parts.into_iter().collect();
    let request = parts.and_then(|parts| {
        let applied_only = parts.first().is_some_and(graph::applied_only);
        let mut whole: Option<Node> = None;
        for part in parts {
            let part = if graph::is_body(&part) { graph::translate(&part, &mut found) } else { part };
            whole = Some(match whole {
                None => part,
                Some(mut under) => {
                    lay_over(&mut under, part);
                    under
                }
            });
        }
        let node = whole?;
        check::table(&QUESTION, &node, &mut found);
        let question = facts::question(asking, &node, &sources, &mut found);
        question.map(|question| Request { question, applied_only })
    });
    finish(request, found, sources)
}

/// Reads a file of cases.
#[must_use]
pub fn cases(asking: Asking<'_>, path: &Path, text: String) -> Read<Vec<Case>> {
    let (mut sources, mut found) = (Sources::default(), Vec::new());
    let cases = parse(&mut sources, path.to_path_buf(), text, &mut found).and_then(|node| {
        check::table(&CASES, &node, &mut found);
        facts::cases(asking, &node, &sources, &mut found)
    });
    finish(cases, found, sources)
}

fn finish<T>(value: Option<T>, mut diagnostics: Vec<Diagnostic>, sources: Sources) -> Read<T> {
    diagnostics.sort_by_key(|diagnostic| (diagnostic.file, diagnostic.span.start));
    let refused = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    Read { value: value.filter(|_| !refused), diagnostics, sources }
}

/// JSON when it begins like it, else TOML.
fn parse(sources: &mut Sources, path: PathBuf, text: String, found: &mut Vec<Diagnostic>) -> Option<Node> {
    let is_json = text.trim_start().starts_with('{');
    let file: FileId = sources.add(path, text);
    let text = sources.text(file);
    if !is_json {
        return load::parse(file, text, found);
    }
    json::parse(file, text).map_err(|problem| found.push(*problem)).ok()
}

/// Puts the entries of one table over those of another; tables within are laid over in turn.
fn lay_over(under: &mut Node, over: Node) {
    let Kind::Table(entries) = over.kind else { return };
    let Kind::Table(below) = &mut under.kind else { return };
    for entry in entries {
        match below.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => replace(known, entry),
            None => below.push(entry),
        }
    }
}

fn replace(known: &mut Entry, entry: Entry) {
    match (&known.value.kind, &entry.value.kind) {
        (Kind::Table(_), Kind::Table(_)) => lay_over(&mut known.value, entry.value),
        _ => *known = entry,
    }
}
