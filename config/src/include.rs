//! Which files a pattern of `policies` or `locations` means.
//!
//! A folder holds what others put there too. A name that the pattern cannot mean is passed over, whatever bytes
//! it is of; one that it may mean and that is no text is an error, for a policy must not be left out unseen.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
/// The deepest folder below the pattern's own.
const DEPTH_MAX: usize = 32;

/// The paths below `folder` that `pattern` means, at most `most`, in no order.
///
/// # Errors
/// When the pattern is none, a folder cannot be read, or a name may be meant and is no text.
pub(crate) fn matches(folder: &Path, pattern: &str, most: usize) -> Result<Vec<PathBuf>, String> {
    let mut search = Search { found: Vec::new(), most };
    let mut parts = Vec::new();
    let mut base = folder.to_path_buf();
    for component in Path::new(pattern).components() {
        match component {
            Component::RootDir | Component::Prefix(_) => base = PathBuf::from("/"),
            Component::CurDir => {}
            Component::ParentDir => parts.push(Part::Literal("..".to_owned())),
            Component::Normal(name) => parts.push(part(&name.to_string_lossy())?),
        }
    }
    search.below(&base, &parts, 0)?;
    Ok(search.found)
}

enum Part {
    /// A name as it stands.
    Literal(String),
    /// Any name that matches.
    Pattern(Pattern),
    /// `**`: this folder, and all below it.
    Folders,
}

fn part(text: &str) -> Result<Part, String> {
    if text == "**" {
        return Ok(Part::Folders);
    }
    if !text.contains(['*', '?', '[']) {
        return Ok(Part::Literal(text.to_owned()));
    }
    Pattern::new(text).map(Part::Pattern).map_err(|problem| problem.to_string())
}

struct Search {
    found: Vec<PathBuf>,
    most: usize,
}

impl Search {
    fn below(&mut self, folder: &Path, parts: &[Part], depth: usize) -> Result<(), String> {
        if self.found.len() >= self.most {
            return Ok(());
        }
        let Some((part, rest)) = parts.split_first() else {
            self.found.push(folder.to_path_buf());
            return Ok(());
        };
        match part {
            Part::Literal(name) => {
                let path = folder.join(name);
                if fs::symlink_metadata(&path).is_ok() {
                    self.below(&path, rest, depth)?;
                }
            }
            Part::Pattern(pattern) => {
                for entry in names(folder)? {
                    let name = entry.to_string_lossy();
                    if !pattern.matches_with(&name, OPTIONS) {
                        continue;
                    }
                    let path = folder.join(&entry);
                    if entry.to_str().is_none() {
                        return Err(format!("the name of `{}` is not UTF-8", path.display()));
                    }
                    if rest.is_empty() || path.is_dir() {
                        self.below(&path, rest, depth)?;
                    }
                }
            }
            Part::Folders if depth > DEPTH_MAX => {
                return Err(format!("`{}` lies too deep", folder.display()));
            }
            Part::Folders => {
                // `a/**` at the end means the folders themselves, which are no files: as elsewhere.
                self.below(folder, rest, depth)?;
                for entry in names(folder)? {
                    let path = folder.join(&entry);
                    let is_folder = fs::symlink_metadata(&path).is_ok_and(|seen| seen.is_dir());
                    if is_folder && !entry.to_string_lossy().starts_with('.') {
                        self.below(&path, parts, depth + 1)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The names in a folder; none where there is no such folder.
fn names(folder: &Path) -> Result<Vec<OsString>, String> {
    let named = |problem: std::io::Error| format!("`{}`: {problem}", folder.display());
    if !folder.is_dir() {
        return match fs::metadata(folder) {
            Err(problem) if problem.kind() != std::io::ErrorKind::NotFound => Err(named(problem)),
            Ok(_) | Err(_) => Ok(Vec::new()),
        };
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(named)? {
        names.push(entry.map_err(named)?.file_name());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    fn found(folder: &Path, pattern: &str) -> Result<Vec<String>, String> {
        let mut found: Vec<_> = matches(folder, pattern, 100)?
            .into_iter()
            .map(|path| path.strip_prefix(folder).unwrap_or(&path).display().to_string())
            .collect();
        found.sort();
        Ok(found)
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "a/b", ".hidden", "a/.hidden"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        for name in [
            "one.toml",
            "two.toml",
            "notes.txt",
            ".dot.toml",
            "a/three.toml",
            "a/b/four.toml",
            ".hidden/x.toml",
            "a/.hidden/x.toml",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    #[test]
    fn a_pattern_means_what_it_meant() {
        let folder = folder();
        for (pattern, wanted) in [
            ("*.toml", vec!["one.toml", "two.toml"]),
            ("one.toml", vec!["one.toml"]),
            ("./one.toml", vec!["one.toml"]),
            ("none.toml", vec![]),
            ("nowhere/*.toml", vec![]),
            ("one.toml/*.toml", vec![]),
            ("a/*.toml", vec!["a/three.toml"]),
            ("*/*.toml", vec!["a/three.toml"]),
            ("**/*.toml", vec!["a/b/four.toml", "a/three.toml", "one.toml", "two.toml"]),
            ("a/../[ot]*.toml", vec!["a/../one.toml", "a/../two.toml"]),
            (".*.toml", vec![".dot.toml"]),
            ("t??.toml", vec!["two.toml"]),
        ] {
            let options = MatchOptions { ..OPTIONS };
            let whole = folder.path().join(pattern);
            let mut by_glob: Vec<_> = glob::glob_with(whole.to_str().unwrap(), options)
                .unwrap()
                .map(|path| path.unwrap().strip_prefix(folder.path()).unwrap().display().to_string())
                .collect();
            by_glob.sort();
            assert_eq!(found(folder.path(), pattern).unwrap(), wanted, "{pattern}");
            // It finds nothing that is hidden, even where that is asked for.
            if !pattern.starts_with(".*") {
                assert_eq!(by_glob, wanted, "{pattern}: as the library of globs has it");
            }
        }
        let whole = format!("{}/*.toml", folder.path().display());
        assert_eq!(found(Path::new("/nowhere"), &whole).unwrap().len(), 2, "an absolute one");
        assert!(matches(folder.path(), "[", 10).is_err());
        assert_eq!(matches(folder.path(), "**/*.toml", 2).unwrap().len(), 2);
    }

    #[test]
    fn a_name_that_is_no_text_is_passed_over_unless_it_may_be_meant() {
        let folder = folder();
        let odd = |name: &[u8]| folder.path().join(OsStr::from_bytes(name));
        fs::write(odd(b"\xff\xfe.txt"), "").unwrap();
        fs::write(odd(b"\xff"), "").unwrap();
        assert_eq!(found(folder.path(), "*.toml").unwrap(), ["one.toml", "two.toml"]);
        assert_eq!(found(folder.path(), "**/*.toml").unwrap().len(), 4);
        fs::write(odd(b"caf\xe9.toml"), "").unwrap();
        let problem = found(folder.path(), "*.toml").unwrap_err();
        assert!(problem.contains("not UTF-8"), "{problem}");
        assert_eq!(found(folder.path(), "o*.toml").unwrap(), ["one.toml"], "the pattern cannot mean it");
    }
}
