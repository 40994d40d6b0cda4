//! Files that a command writes for its caller. A link that somebody put there is not followed: a new file is
//! made under a name of its own, and then takes the place of whatever stood there.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Writes a whole file, or leaves what was there.
///
/// # Errors
/// When the folder cannot be written to, or the place is a folder's.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    let mut own = name.to_os_string();
    own.push(format!(".{}-{}.new", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    let new = path.with_file_name(own);
    // A name that is taken, by a link too, is an error (`O_EXCL`).
    let mut file = OpenOptions::new().write(true).create_new(true).open(&new)?;
    let written = file.write_all(bytes.as_ref()).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // What remains of it is only untidy.
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_way_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("precious"), "kept").unwrap();
        for (link, target) in
            [("to-file", "precious"), ("to-nothing", "made-by-us"), ("to-itself", "to-itself")]
        {
            std::os::unix::fs::symlink(at(target), at(link)).unwrap();
            write(&at(link), "new").unwrap();
            assert!(!fs::symlink_metadata(at(link)).unwrap().is_symlink(), "{link}");
            assert_eq!(fs::read_to_string(at(link)).unwrap(), "new");
        }
        assert_eq!(fs::read_to_string(at("precious")).unwrap(), "kept");
        assert!(!at("made-by-us").exists());
        write(&at("plain"), "one").unwrap();
        write(&at("plain"), "two").unwrap();
        assert_eq!(
            fs::read_to_string(at("plain")).unwrap(),
            "two",
            "its counterpart, a plain file, is replaced"
        );
        fs::create_dir(at("folder")).unwrap();
        assert!(write(&at("folder"), "x").is_err());
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 6, "nothing else is left: {names:?}");
    }
}
