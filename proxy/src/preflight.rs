//! What `run` will need of this machine beside its configuration; looked at before anything is begun, and by
//! `check`.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use portcullis_config::Config;
use portcullis_config::settings::{LogSink, SessionStore, SyslogTarget};
use rustix::fs::Access;

use crate::record::can_log_to;

/// Where systemd makes a folder for us (`RuntimeDirectory=portcullis`), and where the defaults of `pid-file` and
/// `upgrade-socket` lie.
const RUN_FOLDER: &str = "/run/portcullis";

/// The sticky bit: in such a folder only the owner of a file may replace it.
const STICKY: u32 = 0o1000;

/// The folder of a file.
pub(crate) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether this user alone can make and replace files in a folder, and whether nobody else can put another folder in
/// its place. Whoever can do either could take the place of a process of ours.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn only_ours(folder: &Path) -> Result<(), String> {
    let own = rustix::process::geteuid().as_raw();
    let failed = |problem: std::io::Error| format!("{}: {problem}", folder.display());
    let seen = fs::metadata(folder).map_err(failed)?;
    if !seen.is_dir() {
        return Err(format!("{} is no folder", folder.display()));
    }
    if seen.uid() != own {
        return Err(format!("{} belongs to user {}, not to user {own}", folder.display(), seen.uid()));
    }
    if seen.mode() & 0o022 != 0 {
        let mode = seen.mode() & 0o7777;
        return Err(format!("{} has the mode {mode:04o}: others can write there", folder.display()));
    }
    // Both the name that is written and what it leads to.
    for whole in [std::path::absolute(folder), fs::canonicalize(folder)] {
        for above in whole.map_err(failed)?.ancestors().skip(1) {
            let seen = fs::metadata(above).map_err(failed)?;
            let is_theirs = seen.uid() != own && seen.uid() != 0;
            if is_theirs || (seen.mode() & 0o022 != 0 && seen.mode() & STICKY == 0) {
                return Err(format!("others can replace what is in {}", above.display()));
            }
        }
    }
    Ok(())
}

/// Where a successor asks for the sockets: the configured place, or, as for [`runtime_file`], one that is this user's
/// alone, or none. A container's volume at [`RUN_FOLDER`] may be everybody's: then there is no upgrade, which it
/// needs none of.
pub(crate) fn upgrade_socket(configured: &Path, user_folder: Option<&Path>) -> Option<PathBuf> {
    let place = runtime_file(configured, user_folder)?;
    let is_default = configured.parent() == Some(Path::new(RUN_FOLDER));
    let folder = folder_of(&place);
    // One that is missing is made, for this user alone.
    (!is_default || !folder.exists() || only_ours(folder).is_ok()).then_some(place)
}

/// Where a file of the running process goes. Without systemd there may be no [`RUN_FOLDER`]: then it goes to the
/// user's own runtime folder (XDG Base Directory Specification, `XDG_RUNTIME_DIR`), or there is none (`None`).
pub(crate) fn runtime_file(configured: &Path, user_folder: Option<&Path>) -> Option<PathBuf> {
    let is_usable = |folder: &Path| folder.is_dir() && rustix::fs::access(folder, Access::WRITE_OK).is_ok();
    if configured.parent() != Some(Path::new(RUN_FOLDER)) || is_usable(Path::new(RUN_FOLDER)) {
        return Some(configured.to_owned());
    }
    let folder = user_folder.filter(|folder| is_usable(folder))?.join("portcullis");
    Some(folder.join(configured.file_name()?))
}

/// The folder of this user's files of running processes.
pub(crate) fn user_folder() -> Option<PathBuf> {
    std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute())
}

/// Makes the folder of a file that [`runtime_file`] found, for us alone.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make_folder(file: &Path) -> std::io::Result<()> {
    match (file.parent(), user_folder()) {
        (Some(folder), Some(user)) if !folder.exists() && folder.parent() == Some(&user) => {
            fs::DirBuilder::new().mode(0o700).create(folder)
        }
        _ => Ok(()),
    }
}

/// Something that would stop `run`.
#[derive(Clone, Debug)]
pub(crate) struct Obstacle {
    /// The file or socket that it is about; empty for none.
    pub(crate) path: PathBuf,
    /// What is wrong, in words.
    pub(crate) what: String,
}

/// Everything that would stop `run`.
#[must_use]
pub(crate) fn problems(config: &Config) -> Vec<Obstacle> {
    let log = &config.server.decision_log;
    let access = log.access.as_ref().map(|access| &access.sink);
    let logs = [("the decision log", Some(&log.sink)), ("the access log", access)];
    let path = |sink: &LogSink| match sink {
        LogSink::File { path, .. } | LogSink::Syslog(SyslogTarget::Socket(path)) => path.clone(),
        LogSink::Off | LogSink::Stdout | LogSink::Syslog(SyslogTarget::Udp(_)) => PathBuf::new(),
    };
    let closed = |(name, sink): (&str, Option<&LogSink>)| {
        let sink = sink?;
        let what = format!("{name} cannot be opened: {}", can_log_to(sink).err()?);
        Some(Obstacle { path: path(sink), what })
    };
    let mut problems: Vec<Obstacle> = logs.into_iter().filter_map(closed).collect();
    problems.extend(session_files(config));
    let user_folder = user_folder();
    let pid_file = runtime_file(&config.server.pid_file, user_folder.as_deref());
    let socket = upgrade_socket(&config.server.upgrade_socket, user_folder.as_deref());
    for (key, configured, place) in [
        ("pid-file", &config.server.pid_file, pid_file),
        ("upgrade-socket", &config.server.upgrade_socket, socket),
    ] {
        let Some(place) = place else { continue };
        let folder = folder_of(&place);
        if user_folder.as_deref().is_some_and(|user| Some(user) == folder.parent()) && !folder.exists() {
            continue;
        }
        let writable = match fs::metadata(folder) {
            Ok(seen) if !seen.is_dir() => Err("it is no folder".to_owned()),
            Ok(_) => rustix::fs::access(folder, Access::WRITE_OK).map_err(|problem| problem.to_string()),
            Err(problem) => Err(problem.to_string()),
        };
        let problem = match writable {
            Err(problem) => problem,
            Ok(()) if key == "pid-file" => continue,
            Ok(()) => match only_ours(folder) {
                Ok(()) => continue,
                Err(problem) => format!("another user could take a successor's place there: {problem}"),
            },
        };
        let what = format!("`{key}` cannot be made in {}: {problem}", folder.display());
        problems.push(Obstacle { path: configured.clone(), what });
    }
    problems
}

/// The files that sessions need, where they cannot be made, or another user could put one of his own in their place.
fn session_files(config: &Config) -> Vec<Obstacle> {
    let Some(session) = &config.session else { return Vec::new() };
    let store = match &session.store {
        SessionStore::Redb(path) => Some(("the session store", path)),
        SessionStore::Cookie | SessionStore::Redis { .. } => None,
    };
    let journal = session.journal.as_ref().map(|path| ("the journal of sign-outs", path));
    let unusable = |(name, path): (&str, &PathBuf)| {
        let folder = folder_of(path);
        let writable = rustix::fs::access(folder, Access::WRITE_OK).map_err(|problem| problem.to_string());
        let file = match fs::metadata(path) {
            Ok(seen) if !seen.is_file() => Err("it is no file".to_owned()),
            Ok(_) => rustix::fs::access(path, Access::WRITE_OK).map_err(|problem| problem.to_string()),
            Err(_) => Ok(()),
        };
        let problem = writable.and(file).and_then(|()| only_ours(folder)).err()?;
        Some(Obstacle { path: path.clone(), what: format!("{name} cannot be used: {problem}") })
    };
    [store, journal].into_iter().flatten().filter_map(unusable).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn without_systemd_files_of_the_process_go_to_the_users_folder_or_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own.pid");
        assert_eq!(runtime_file(&own, None), Some(own.clone()), "what is configured stays");
        // Beside the configuration, in the folder that `run` was called in: none has to be made.
        make_folder(Path::new("own.pid")).unwrap();
        let default = Path::new("/run/portcullis/portcullis.pid");
        if Path::new(RUN_FOLDER).is_dir() {
            println!("the rest is skipped: {RUN_FOLDER} is here");
            return;
        }
        assert_eq!(runtime_file(default, None), None);
        assert_eq!(runtime_file(default, Some(&folder.path().join("missing"))), None);
        let found = runtime_file(default, Some(folder.path())).unwrap();
        assert_eq!(found, folder.path().join("portcullis/portcullis.pid"));
    }
    #[test]
    fn a_folder_that_others_can_write_or_replace_is_not_ours() {
        let base = tempfile::tempdir().unwrap();
        let make = |name: &str, mode: u32| {
            let folder = base.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
            folder
        };
        for (name, mode, good) in [
            ("own", 0o700, true),
            ("readable", 0o755, true),
            ("group", 0o770, false),
            ("all", 0o777, false),
            ("sticky", 0o1777, false),
        ] {
            assert_eq!(only_ours(&make(name, mode)).is_ok(), good, "{name}");
        }
        let inside = base.path().join("all/own");
        fs::DirBuilder::new().mode(0o700).create(&inside).unwrap();
        assert!(only_ours(&inside).unwrap_err().contains("replace"), "the folder above is everybody's");
        let inside = base.path().join("sticky/own");
        fs::DirBuilder::new().mode(0o700).create(&inside).unwrap();
        only_ours(&inside).unwrap();
        std::os::unix::fs::symlink(base.path().join("own"), base.path().join("all/link")).unwrap();
        assert!(only_ours(&base.path().join("all/link")).is_err(), "the link can be replaced");
        fs::write(base.path().join("file"), "").unwrap();
        assert!(only_ours(&base.path().join("file")).is_err());
        assert!(only_ours(&base.path().join("missing")).is_err());
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(base.path().join("readable"), Some(65534), None).unwrap();
            assert!(only_ours(&base.path().join("readable")).unwrap_err().contains("65534"));
        } else {
            println!("a folder of another user is not tried: only root can make one");
        }
    }
}
