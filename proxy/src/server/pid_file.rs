//! The file with the process id: for people and for other programs. Nobody here reads it to find a process: what
//! stands in it may be old, or somebody else's.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use portcullis_config::file;

/// Our process id, written beside its place.
#[derive(Debug)]
pub(super) struct PidFile {
    place: PathBuf,
    new: PathBuf,
    text: String,
    is_published: bool,
}

impl PidFile {
    /// Writes the id beside `place`. What can fail has then been done.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(super) fn prepare(place: &Path) -> io::Result<Self> {
        let name = place.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
        let text = format!("{}\n", std::process::id());
        let mut own = name.to_os_string();
        own.push(format!(".{}.new", std::process::id()));
        let new = place.with_file_name(own);
        if place.is_dir() {
            return Err(io::Error::other("a folder stands there"));
        }
        // Of a process of this number that was killed. A link goes, not what it leads to.
        let _ = fs::remove_file(&new);
        // A name that is taken, by a link too, is an error (`O_EXCL`).
        let mut file = OpenOptions::new().write(true).create_new(true).open(&new)?;
        let prepared = Self { place: place.to_owned(), new, text, is_published: false };
        file.write_all(prepared.text.as_bytes())?;
        Ok(prepared)
    }

    /// Puts it into its place: from now on the process of this number is the one that serves.
    ///
    /// # Errors
    /// When somebody put a folder there meanwhile.
    pub(super) fn publish(&mut self) -> io::Result<()> {
        // A link in its place is replaced, never followed.
        fs::rename(&self.new, &self.place)?;
        self.is_published = true;
        Ok(())
    }

    /// After a hand-over the file is the successor's.
    pub(super) fn leave(mut self) {
        self.is_published = false;
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // What stays is only untidy.
        let _ = fs::remove_file(&self.new);
        if self.is_published
            && fs::symlink_metadata(&self.place).is_ok_and(|seen| seen.is_file())
            && file::read(&self.place, 64).is_ok_and(|text| text == self.text.as_bytes())
        {
            let _ = fs::remove_file(&self.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_file_is_ours_from_its_publication_to_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("own.pid");
        let mut file = PidFile::prepare(&place).unwrap();
        assert!(!place.exists(), "a start that fails leaves the file of who serves");
        file.publish().unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
        drop(PidFile::prepare(&place).unwrap());
        assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
    }

    #[test]
    fn the_file_of_a_successor_stays() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("own.pid");
        let mut file = PidFile::prepare(&place).unwrap();
        file.publish().unwrap();
        fs::write(&place, "1\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&place).unwrap(), "1\n");
        let mut file = PidFile::prepare(&place).unwrap();
        file.publish().unwrap();
        file.leave();
        assert!(place.exists(), "it was handed over");
    }

    #[test]
    fn a_link_in_its_place_leads_to_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("precious"), "theirs").unwrap();
        symlink(at("precious"), at("own.pid")).unwrap();
        symlink(at("precious"), at(&format!("own.pid.{}.new", std::process::id()))).unwrap();
        let mut file = PidFile::prepare(&at("own.pid")).unwrap();
        file.publish().unwrap();
        assert!(!fs::symlink_metadata(at("own.pid")).unwrap().is_symlink());
        drop(file);
        assert_eq!(fs::read_to_string(at("precious")).unwrap(), "theirs");
        assert_eq!(names(folder.path()), ["precious"]);
        fs::create_dir(at("folder")).unwrap();
        assert!(PidFile::prepare(&at("folder")).is_err());
        assert!(PidFile::prepare(&at("missing/own.pid")).is_err());
    }
}
