//! Finds and reads exports, and writes the configuration made of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Import, Importer};

/// The largest export that is read, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// The most bytes that are read in all.
const TOTAL_BYTES_MAX: usize = 128 << 20;
/// The most files that are read.
const FILES_MAX: usize = 20_000;
/// The deepest folder below a given one.
const DEPTH_MAX: usize = 32;

/// Imports files, and all files named `*.json` in folders, however deep. Links to folders are
/// followed where they are named, but not inside folders.
#[must_use]
pub fn import(paths: &[PathBuf], partial: bool) -> Import {
    let mut importer = Importer::new(partial);
    let mut found = Vec::new();
    for path in paths {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => folder(path, 0, &mut found, &mut importer),
            Ok(_) => found.push(path.clone()),
            Err(error) => importer.add_unreadable(&path.to_string_lossy(), &error.to_string()),
        }
    }
    found.sort();
    found.dedup();
    let mut bytes = 0_usize;
    for (position, path) in found.iter().enumerate() {
        let name = path.to_string_lossy();
        if position >= FILES_MAX || bytes > TOTAL_BYTES_MAX {
            importer.add_unreadable(&name, "this is more than one import takes; import in several parts");
            // One word for all that follow: a list of them would be no help.
            break;
        }
        match content(path) {
            Ok(content) => {
                bytes = bytes.saturating_add(content.len());
                importer.add(&name, &content);
            }
            Err(error) => importer.add_unreadable(&name, &error.to_string()),
        }
    }
    importer.finish()
}

/// The `*.json` files below a folder.
fn folder(path: &Path, depth: usize, found: &mut Vec<PathBuf>, importer: &mut Importer) {
    let entries = match fs::read_dir(path) {
        Ok(entries) if depth < DEPTH_MAX => entries,
        Ok(_) => return importer.add_unreadable(&path.to_string_lossy(), "the folder lies too deep"),
        Err(error) => return importer.add_unreadable(&path.to_string_lossy(), &error.to_string()),
    };
    for entry in entries {
        let entry = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)));
        match entry {
            Ok((path, kind)) if kind.is_dir() => folder(&path, depth + 1, found, importer),
            Ok((path, kind)) if kind.is_file() => {
                let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
                if json && found.len() <= FILES_MAX {
                    found.push(path);
                }
            }
            Ok((path, kind)) if kind.is_symlink() => link(path, found, importer),
            // Pipes and devices never end, and nobody exports into them.
            Ok(_) => {}
            Err(error) => importer.add_unreadable(&path.to_string_lossy(), &error.to_string()),
        }
    }
}

/// A link inside a folder: to a file it is as good as the file; to a folder it could lead in circles.
fn link(path: PathBuf, found: &mut Vec<PathBuf>, importer: &mut Importer) {
    let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() && json && found.len() <= FILES_MAX => found.push(path),
        Ok(metadata) if metadata.is_dir() => {
            importer.add_unreadable(
                &path.to_string_lossy(),
                "a link to a folder is not followed: name the folder",
            );
        }
        Err(error) if json => importer.add_unreadable(&path.to_string_lossy(), &error.to_string()),
        Ok(_) | Err(_) => {}
    }
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    crate::file::read(path, FILE_BYTES_MAX).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => {
            io::Error::other("it is larger than 16MiB; export it in several parts")
        }
        _ => error,
    })
}

/// Writes the files of an import into a folder that is empty or does not exist yet, so that nothing
/// of an earlier import is loaded together with it.
///
/// # Errors
/// When the folder holds something, or cannot be written.
pub fn write(import: &Import, folder: &Path) -> io::Result<()> {
    match fs::read_dir(folder) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                let problem = format!("`{}` is not empty: name a new folder", folder.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, problem));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::create_dir_all(folder.join("policies"))?;
    for (name, content) in &import.files {
        crate::output::write(&folder.join(name), content)?;
    }
    Ok(())
}
