//! What lowering knows while it reads: the texts, the folder, and what it has found so far.

use std::path::{Path, PathBuf};

use super::values::Flaw;
use crate::diagnose::{At, Diagnostic, Sources};
use crate::schema::tree::{Kind, Node, View};

/// What lowering needs to know and what it finds.
pub(crate) struct Context<'s> {
    pub(crate) sources: &'s Sources,
    pub(crate) folder: &'s Path,
    pub(crate) found: &'s mut Vec<Diagnostic>,
    pub(crate) files: &'s mut Vec<PathBuf>,
    pub(crate) named: &'s mut Vec<Named>,
}

/// A file or folder that the configuration names.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) path: PathBuf,
    pub(crate) at: At,
    /// Whether only the proxy may read it.
    pub(crate) is_secret: bool,
}

impl Context<'_> {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    pub(crate) fn flaw(&mut self, at: At, flaw: Flaw) {
        let mut diagnostic = Diagnostic::error(flaw.code, at, flaw.what).maybe_help(flaw.help);
        diagnostic.why = flaw.why.map(ToOwned::to_owned);
        self.push(diagnostic);
    }

    /// Parses a string; a flaw is reported at its place.
    pub(crate) fn parse<T>(
        &mut self,
        text: &str,
        at: At,
        parse: impl FnOnce(&str) -> Result<T, Flaw>,
    ) -> Option<T> {
        match parse(text) {
            Ok(value) => Some(value),
            Err(flaw) => {
                self.flaw(at, flaw);
                None
            }
        }
    }

    /// Parses the string under a key, if there is one or the key has a default. What has a flaw is reported; the
    /// default stands for it, so that nothing is reported twice.
    pub(crate) fn parse_key<T>(
        &mut self,
        view: View<'_>,
        key: &str,
        parse: impl Fn(&str) -> Result<T, Flaw>,
    ) -> Option<T> {
        let written = view.get(key).and_then(Node::text);
        let parsed = written.and_then(|text| self.parse(text, view.at_key(key), &parse));
        parsed.or_else(|| parse(view.default_text(key)?).ok())
    }

    /// Parses every string of a list under a key.
    pub(crate) fn parse_list<T>(
        &mut self,
        view: View<'_>,
        key: &str,
        parse: impl Fn(&str) -> Result<T, Flaw>,
    ) -> Vec<T> {
        view.texts(key).filter_map(|(text, at)| self.parse(text, at, &parse)).collect()
    }

    /// A list that is written down but empty says nothing that could be meant.
    pub(crate) fn not_empty(&mut self, view: View<'_>, key: &str, why: &str) {
        if let Some(node) = view.get(key)
            && node.items().is_empty()
            && matches!(node.kind, Kind::List(_))
        {
            self.push(
                Diagnostic::error("value/empty", node.at, format!("`{key}` is empty"))
                    .why(why)
                    .help(format!("add an item to `{key}`, or leave it out where it is optional")),
            );
        }
    }

    /// Where a file or folder is named, for those who look at it more closely.
    pub(crate) fn names(&mut self, path: &Path, at: At) {
        self.named.push(Named { path: path.to_owned(), at, is_secret: false });
    }

    /// A file that was named last is one that only the proxy may read.
    pub(crate) fn is_secret(&mut self, path: &Path) {
        for named in self.named.iter_mut().filter(|named| named.path == path) {
            named.is_secret = true;
        }
    }

    /// A path, relative to the main file's folder.
    pub(crate) fn path(&self, text: &str) -> PathBuf {
        self.folder.join(Path::new(text))
    }

    /// A file that must be there and readable; it is watched from now on.
    pub(crate) fn readable(&mut self, view: View<'_>, key: &str) -> Option<PathBuf> {
        self.readable_at(view.text(key)?, view.at_key(key))
    }

    /// The same for a path at a place of its own.
    pub(crate) fn readable_at(&mut self, text: &str, at: At) -> Option<PathBuf> {
        self.readable_or_made(text, at, None)
    }

    /// The same for a file that its owner makes, with the command that does.
    pub(crate) fn readable_or_made(&mut self, text: &str, at: At, made_by: Option<&str>) -> Option<PathBuf> {
        let path = self.path(text);
        // Asked before opening: to open a pipe would wait for its writer.
        let checked = std::fs::metadata(&path).and_then(|metadata| match metadata.is_file() {
            true => std::fs::File::open(&path)?.metadata(),
            false => Ok(metadata),
        });
        let problem = match checked {
            Ok(metadata) if metadata.is_file() => {
                self.files.push(path.clone());
                self.names(&path, at);
                return Some(path);
            }
            Ok(_) => "it is not a file".to_owned(),
            Err(error) => error.to_string(),
        };
        let what = format!("cannot read `{}`: {problem}", path.display());
        let mut help = "paths are relative to the folder of the main file".to_owned();
        if let Some(command) = made_by {
            help.push_str(&format!("; `{command}` makes one there"));
        }
        self.push(
            Diagnostic::error("file/unreadable", at, what)
                .why("it would be missed only when the first request needs it")
                .help(help),
        );
        None
    }
}
