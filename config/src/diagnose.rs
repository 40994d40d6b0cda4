//! What is wrong in a configuration, where, why it matters and how to mend it.
//!
//! An administrator reads these under pressure: every problem comes at once, with the smallest
//! span that shows it, and only `help` proposes a mend.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::printable::is_printable;

/// The most characters of a source line that are shown.
const EXCERPT_CHARS_MAX: usize = 200;

/// How much a diagnosis matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is taken, and is probably not what was meant.
    Warning,
}

impl Severity {
    /// The word used in text and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One of the files in [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(usize);

impl FileId {
    /// The main file, which is read first.
    pub const MAIN: Self = Self(0);
}

/// The texts that were read, so that places can be shown.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

/// One file and its text.
#[derive(Clone, Debug)]
struct Source {
    path: PathBuf,
    text: String,
}

impl Sources {
    /// Stores a file's text. A file that could not be read has an empty one.
    pub(crate) fn add(&mut self, path: PathBuf, text: String) -> FileId {
        self.files.push(Source { path, text });
        FileId(self.files.len() - 1)
    }

    /// The path of a file, as it was reached from the path given to `load`.
    #[must_use]
    pub fn path(&self, file: FileId) -> &Path {
        self.files.get(file.0).map_or(Path::new(""), |source| source.path.as_path())
    }

    /// The text of a file.
    #[must_use]
    pub fn text(&self, file: FileId) -> &str {
        self.files.get(file.0).map_or("", |source| source.text.as_str())
    }

    /// Every path, in the order of reading.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|source| source.path.as_path())
    }

    /// Line and column of a byte offset, both from 1; columns count characters.
    /// An offset past the end is the end.
    #[must_use]
    pub fn line_column(&self, file: FileId, offset: usize) -> (usize, usize) {
        let text = self.text(file);
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = text.get(..offset).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// Where the value of a key stands that is one of these texts, the first that is found; a longer one that only begins
    /// so is none.
    #[must_use]
    pub fn find_value(&self, texts: &[&str]) -> Option<(FileId, Range<usize>)> {
        let is_end =
            |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || "-._:".contains(next));
        let of_text = |text: &str| {
            self.files.iter().enumerate().find_map(|(file, source)| {
                source.text.match_indices(text).find_map(|(start, _)| {
                    let (before, rest) = (source.text.get(..start)?, source.text.get(start + text.len()..)?);
                    let is_value = before.ends_with(['"', '\'']) && is_end(rest);
                    is_value.then(|| (FileId(file), start..start + text.len()))
                })
            })
        };
        texts.iter().filter(|text| !text.is_empty()).find_map(|text| of_text(text))
    }

    /// `path:line:column` of an offset.
    #[must_use]
    pub fn place(&self, file: FileId, offset: usize) -> String {
        let (line, column) = self.line_column(file, offset);
        format!("{}:{line}:{column}", clean(&self.path(file).to_string_lossy()))
    }
}

/// A place in a file: bytes `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) file: FileId,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable code such as `location/unknown`.
    pub code: &'static str,
    /// Whether it refuses the configuration.
    pub severity: Severity,
    /// The file it is in.
    pub file: FileId,
    /// Its bytes in that file.
    pub span: Range<usize>,
    /// The problem, lower case, without a full stop.
    pub what: String,
    /// A few words beside the carets.
    pub label: Option<String>,
    /// What would happen if it stayed.
    pub why: Option<String>,
    /// How to mend it.
    pub help: Option<String>,
}

impl Diagnostic {
    pub(crate) fn error(code: &'static str, at: At, what: impl Into<String>) -> Self {
        let (what, severity) = (what.into(), Severity::Error);
        Self {
            code,
            severity,
            file: at.file,
            span: at.start..at.end,
            what,
            label: None,
            why: None,
            help: None,
        }
    }

    pub(crate) fn warning(code: &'static str, at: At, what: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, at, what) }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
}

/// Writes diagnoses for people, with excerpts. Empty when there are none.
#[must_use]
pub fn render_text(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let mut out = String::new();
    for (position, diagnostic) in diagnostics.iter().enumerate() {
        if position > 0 {
            out.push('\n');
        }
        render_one(&mut out, diagnostic, sources);
    }
    out
}

/// Writing to a `String` cannot fail, so the results of `writeln!` carry no news here.
fn render_one(out: &mut String, diagnostic: &Diagnostic, sources: &Sources) {
    let (line, column) = sources.line_column(diagnostic.file, diagnostic.span.start);
    let gutter = " ".repeat(line.to_string().len());
    let _ =
        writeln!(out, "{}[{}]: {}", diagnostic.severity.as_str(), diagnostic.code, clean(&diagnostic.what));
    let text = sources.text(diagnostic.file);
    if text.is_empty() {
        let path = sources.path(diagnostic.file).to_string_lossy();
        let _ = writeln!(out, "{gutter}--> {}", clean(&path));
    } else {
        let _ = writeln!(out, "{gutter}--> {}", sources.place(diagnostic.file, diagnostic.span.start));
        let (shown, skipped) = excerpt(text, line, column);
        let marks = carets(diagnostic, text, column, shown.chars().count() + skipped);
        let indent = " ".repeat(column - 1 - skipped.min(column - 1));
        let _ = writeln!(out, "{gutter} |");
        let _ = writeln!(out, "{line} | {shown}");
        let label = diagnostic.label.as_deref().map(|label| format!(" {}", clean(label))).unwrap_or_default();
        let _ = writeln!(out, "{gutter} | {indent}{marks}{label}");
    }
    if let Some(why) = &diagnostic.why {
        let _ = writeln!(out, "{gutter} = why: {}", clean(why));
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(out, "{gutter} = help: {}", clean(help));
    }
}

/// The part of a line that is shown, and how many characters before it are left out.
fn excerpt(text: &str, line: usize, column: usize) -> (String, usize) {
    let full = text.split('\n').nth(line.saturating_sub(1)).unwrap_or_default();
    let skipped = if column > EXCERPT_CHARS_MAX { column - EXCERPT_CHARS_MAX / 4 } else { 0 };
    let part: String = full.trim_end_matches('\r').chars().skip(skipped).take(EXCERPT_CHARS_MAX).collect();
    (clean(part.trim_end()), skipped)
}

/// One caret for each character of the span on its first line; at least one.
fn carets(diagnostic: &Diagnostic, text: &str, column: usize, end_column: usize) -> String {
    let spanned = text.get(diagnostic.span.clone()).unwrap_or_default();
    let width = spanned.split(['\n', '\r']).next().unwrap_or_default().chars().count();
    let room = (end_column + 1).saturating_sub(column).max(1);
    "^".repeat(width.clamp(1, room))
}

/// Control characters, which could forge lines or drive a terminal, become a visible mark.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if !is_printable(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Diagnoses for programs: an array of objects with `code`, `severity`, `file`, `line`, `column`,
/// `end_line`, `end_column` (from 1, the end exclusive), `what`, `why`, `help` and `label`.
#[must_use]
pub fn render_json(diagnostics: &[Diagnostic], sources: &Sources) -> Value {
    let one = |diagnostic: &Diagnostic| {
        let (line, column) = sources.line_column(diagnostic.file, diagnostic.span.start);
        let (end_line, end_column) = sources.line_column(diagnostic.file, diagnostic.span.end);
        json!({
            "code": diagnostic.code,
            "severity": diagnostic.severity.as_str(),
            "file": sources.path(diagnostic.file).to_string_lossy(),
            "line": line,
            "column": column,
            "end_line": end_line,
            "end_column": end_column,
            "what": diagnostic.what,
            "why": diagnostic.why,
            "help": diagnostic.help,
            "label": diagnostic.label,
        })
    };
    Value::Array(diagnostics.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnosis_reads_as_the_style_page_shows() {
        let mut sources = Sources::default();
        let text = format!("{}exclude = [\"office-muc\"]\n", "\n".repeat(13));
        let start = text.find('"').unwrap();
        let file = sources.add(PathBuf::from("policies/block-abroad.toml"), text);
        let diagnostic = Diagnostic::error(
            "location/unknown",
            At { file, start, end: start + 12 },
            "no named location `office-muc`",
        )
        .label("not defined in any loaded file")
        .why("this exclude would spare nobody, so people in that office would be blocked")
        .help("did you mean `office-munich`, defined at portcullis.toml:41:1?");
        let expected = "\
error[location/unknown]: no named location `office-muc`
  --> policies/block-abroad.toml:14:12
   |
14 | exclude = [\"office-muc\"]
   |            ^^^^^^^^^^^^ not defined in any loaded file
   = why: this exclude would spare nobody, so people in that office would be blocked
   = help: did you mean `office-munich`, defined at portcullis.toml:41:1?
";
        assert_eq!(render_text(&[diagnostic], &sources), expected);
    }

    #[test]
    fn a_very_long_line_is_shown_in_part_and_without_control_characters() {
        let mut sources = Sources::default();
        let file = sources.add(PathBuf::from("x.toml"), format!("{}\u{1b}[31mé\r\n", "a".repeat(5_000)));
        let diagnostic = Diagnostic::error("toml/syntax", At { file, start: 5_000, end: 5_007 }, "odd");
        let text = render_text(&[diagnostic], &sources);
        assert!(text.len() < 1_000, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
