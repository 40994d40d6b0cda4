//! The main file and what it includes, read once, when asked.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::diagnose::{At, Diagnostic, FileId, Severity, Sources};
use crate::file;
use crate::include::matches;
use crate::lower::Lowering;
use crate::lower::context::Named;
use crate::schema::check;
use crate::schema::tables::{INCLUDED, MAIN};
use crate::schema::tree::{Node, View};
use crate::settings::Config;

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// The most files that are included.
const FILES_MAX: usize = 10_000;
/// The most bytes that are read in all.
const TOTAL_BYTES_MAX: usize = 64 << 20;
/// The most problems that are reported; the rest would not be read.
const DIAGNOSTICS_MAX: usize = 1_000;

/// The result of loading.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration; `Some` only when there is no error among the diagnoses.
    pub config: Option<Config>,
    /// Every problem found, in the order of files and lines.
    pub diagnostics: Vec<Diagnostic>,
    /// The files that were read, for showing places.
    pub sources: Sources,
    /// Where the files and folders are named that the configuration needs.
    named: Vec<Named>,
}

impl Loaded {
    /// Where a file or folder is named in the files that were read: for what a closer look at it finds. `None`
    /// for what no file names.
    #[must_use]
    pub fn place(&self, path: &Path) -> Option<(FileId, Range<usize>)> {
        let named = self.named.iter().find(|named| named.path == path)?;
        Some((named.at.file, named.at.start..named.at.end))
    }

    /// The files that only the proxy may read: private keys, and keys of support codes.
    pub fn secrets(&self) -> impl Iterator<Item = &Path> {
        self.named.iter().filter(|named| named.is_secret).map(|named| named.path.as_path())
    }
}

/// Loads a configuration: the main file, the files that it includes, and a look at the files that
/// it names (certificates, keys, databases), which must be readable.
///
/// Relative paths in it start from the main file's folder. Every problem is reported, not only the
/// first; when a file is no TOML, what depends on its meaning is not looked at.
#[must_use]
pub fn load(path: &Path) -> Loaded {
    let mut loader = Loader::default();
    let config = loader.main(path);
    let Loader { sources, mut found, named, .. } = loader;
    found.sort_by_key(|diagnostic| (diagnostic.file, diagnostic.span.start));
    // Errors first when cutting, so that what is cut is never the only reason for a refusal.
    let refused = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    if refused && found.len() > DIAGNOSTICS_MAX {
        found.retain(|diagnostic| diagnostic.severity == Severity::Error);
    }
    found.truncate(DIAGNOSTICS_MAX);
    Loaded { config: config.filter(|_| !refused), diagnostics: found, sources, named }
}

/// The settings of the main file, without any policy or location, if they can be read whatever else is wrong: to tell what a
/// log says while something is being mended. Of a file with a fault in its TOML they are what can be made of the rest. Nothing
/// is ever decided by them.
#[must_use]
pub fn load_settings(path: &Path) -> Option<Config> {
    let mut loader = Loader::default();
    let main = loader.file(path, None).or_else(|| {
        let file = loader.sources.add(path.to_path_buf(), read(path).ok()?);
        Some(Node::of_table(file, DeTable::parse_recoverable(loader.sources.text(file)).0))
    })?;
    let mut lowering = Lowering::new(path.parent().unwrap_or(Path::new("")).to_path_buf());
    lowering.settings(&main, &loader.sources);
    lowering.end(&loader.sources, true).0
}

#[derive(Default)]
struct Loader {
    sources: Sources,
    found: Vec<Diagnostic>,
    named: Vec<Named>,
    bytes: usize,
}

impl Loader {
    fn main(&mut self, path: &Path) -> Option<Config> {
        let main = self.file(path, None)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        check::table(&MAIN, &main, &mut self.found);
        let included = self.includes(&main, path, &folder);
        let mut lowering = Lowering::new(folder);
        lowering.main(&main, &self.sources);
        let at = main.at;
        drop(main);
        let mut whole = true;
        // One after the other: a tree is several times as large as its text.
        for (path, asked) in included {
            match self.file(&path, Some(asked)) {
                Some(node) => {
                    check::table(&INCLUDED, &node, &mut self.found);
                    lowering.included(&node, &self.sources);
                }
                None => whole = false,
            }
        }
        // With a part missing, every reference into it would be reported as unknown.
        if !whole {
            return None;
        }
        self.named = std::mem::take(&mut lowering.named);
        let refused = self.found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        let (config, found) = lowering.end(&self.sources, refused);
        self.found.extend(found);
        let Some(mut config) = config else {
            // INVARIANT: what lowering leaves out was reported. Should that ever fail, nothing is run.
            if !self.found.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
                let what = "a part of the configuration is missing from what would run";
                self.found.push(
                    Diagnostic::error("config/incomplete", at, what)
                        .help("this is a mistake in Portcullis: please report it with the configuration"),
                );
            }
            return None;
        };
        config.files.extend(self.sources.paths().map(Path::to_path_buf));
        config.files.sort();
        config.files.dedup();
        Some(config)
    }

    /// The files that the main file includes, sorted, each once, with the place that asked.
    fn includes(&mut self, main: &Node, main_path: &Path, folder: &Path) -> Vec<(PathBuf, At)> {
        let view = View::new(&MAIN, main);
        let mut paths: Vec<(PathBuf, At)> = Vec::new();
        for (pattern, at) in view.texts("policies").chain(view.texts("locations")) {
            match matches(folder, pattern, FILES_MAX + 1) {
                Ok(matched) if matched.is_empty() => self.found.push(
                    Diagnostic::error("include/no-match", at, format!("no file matches `{pattern}`"))
                        .label("matches nothing")
                        .why("the policies meant by it would protect nothing")
                        .help("paths are relative to the folder of the main file"),
                ),
                Ok(matched) => paths.extend(matched.into_iter().map(|path| (path, at))),
                Err(problem) => {
                    let what = format!("cannot look for `{pattern}`: {problem}");
                    self.found
                        .push(Diagnostic::error("include/pattern", at, what).help(
                            "write a path or a pattern such as `policies/*.toml`, of readable folders",
                        ));
                }
            }
        }
        paths.sort_by(|(one, _), (other, _)| one.cmp(other));
        paths.dedup_by(|(one, _), (other, _)| one == other);
        paths.retain(|(path, _)| path != main_path);
        if let Some((_, at)) = paths.get(FILES_MAX) {
            let what = format!("more than {FILES_MAX} files are included");
            self.found.push(
                Diagnostic::error("include/too-many", *at, what)
                    .help("write several policies into one file, or narrow the pattern"),
            );
            paths.truncate(FILES_MAX);
        }
        paths
    }

    /// Reads and parses one file. `asked` is the place that included it.
    fn file(&mut self, path: &Path, asked: Option<At>) -> Option<Node> {
        let text = match read(path) {
            Ok(text) => text,
            Err((code, problem)) => {
                let file = self.sources.add(path.to_path_buf(), String::new());
                let at = asked.unwrap_or(At { file, start: 0, end: 0 });
                let what = format!("cannot read `{}`: {problem}", path.display());
                let help = match code {
                    "file/too-large" => "divide it into several files under `policies`",
                    "file/not-utf8" => "save it as UTF-8",
                    _ => "look at the path, and at who may read it",
                };
                self.found.push(Diagnostic::error(code, at, what).help(help));
                return None;
            }
        };
        self.bytes = self.bytes.saturating_add(text.len());
        let too_much = self.bytes > TOTAL_BYTES_MAX;
        let file = self.sources.add(path.to_path_buf(), if too_much { String::new() } else { text });
        if too_much {
            let at = asked.unwrap_or(At { file, start: 0, end: 0 });
            self.found.push(
                Diagnostic::error("file/too-large", at, "all files together exceed 64MiB")
                    .help("remove policies that are no longer needed"),
            );
            return None;
        }
        parse(file, self.sources.text(file), &mut self.found)
    }
}

fn read(path: &Path) -> Result<String, (&'static str, String)> {
    let bytes = file::read(path, FILE_BYTES_MAX).map_err(|error| match error.kind() {
        std::io::ErrorKind::FileTooLarge => ("file/too-large", "it is larger than 8MiB".to_owned()),
        _ => ("file/unreadable", error.to_string()),
    })?;
    String::from_utf8(bytes).map_err(|_| ("file/not-utf8", "it is not UTF-8".to_owned()))
}

/// Lists whose items begin with two brackets.
const LISTS: [&str; 6] = ["policy", "app", "issuer", "provider", "location", "strength"];

/// Reports the first `[policy]` where `[[policy]]` was meant, and of its kin; whatever it makes of the file is a
/// consequence. Says where it stands.
fn single_brackets(file: FileId, text: &str, found: &mut Vec<Diagnostic>) -> Option<usize> {
    let (mut offset, mut begun) = (0, Vec::new());
    for line in text.split_inclusive('\n') {
        let start = offset + (line.len() - line.trim_start().len());
        offset += line.len();
        let line = line.trim();
        if let Some(name) =
            LISTS.iter().find(|name| line.strip_prefix("[[").is_some_and(|rest| is_header(rest, name, "]]")))
        {
            begun.push(*name);
            continue;
        }
        let Some(rest) = line.strip_prefix('[').filter(|rest| !rest.starts_with('[')) else { continue };
        let single = LISTS.iter().find(|name| is_header(rest, name, "]"));
        let below = LISTS.iter().find(|name| {
            rest.split_once('.').is_some_and(|(first, _)| first.trim() == **name) && !begun.contains(name)
        });
        let Some(name) = single.or(below) else { continue };
        let end = start + line.find(']').map_or(line.len(), |end| end + 1);
        let shown = text.get(start..end).unwrap_or_default();
        let what = match single {
            Some(_) => format!("`{shown}` begins one table, where a list of them belongs"),
            None => format!("`{shown}` stands before the first `[[{name}]]`"),
        };
        found.push(
            Diagnostic::error("toml/brackets", At { file, start, end }, what)
                .label("one pair of brackets")
                .why("a second one would be the same table again, and its keys be written twice")
                .help(format!(
                    "begin each with two pairs: `[[{name}]]`; tables below it keep one, such as `[{name}.x]`"
                )),
        );
        return Some(start);
    }
    None
}

/// Whether what stands behind a bracket is this name and the end of the header.
fn is_header(rest: &str, name: &str, end: &str) -> bool {
    rest.trim_start().strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(end))
}

/// Parses TOML; every syntax error is reported, and then there is no tree.
pub(crate) fn parse(file: FileId, text: &str, found: &mut Vec<Diagnostic>) -> Option<Node> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(Node::of_table(file, table));
    }
    let doubled = errors.iter().any(|error| error.message().starts_with("duplicate key"));
    let single = if doubled { single_brackets(file, text, found) } else { None };
    for error in errors.into_iter().take(DIAGNOSTICS_MAX) {
        // What follows from a single table is reported with it.
        let follows = |from| error.span().is_some_and(|span| span.start >= from);
        if single.is_some_and(follows) && error.message().starts_with("duplicate key") {
            continue;
        }
        let span = error.span().unwrap_or(0..0);
        let at = At { file, start: span.start, end: span.end };
        found.push(
            Diagnostic::error("toml/syntax", at, error.message().to_lowercase())
                .help("look at quotes, brackets and commas before this place"),
        );
    }
    None
}
