//! What `run` will need of this machine beside its configuration; looked at before anything is begun, and by
//! `check`.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use portcullis_config::Config;
use portcullis_config::settings::{LogSink, SyslogTarget};
use rustix::fs::Access;

use crate::record::can_log_to;

/// Where systemd makes a folder for us (`RuntimeDirectory=portcullis`), and where the defaults of `pid-file` and
/// `upgrade-socket` lie.
const RUN_FOLDER: &str = "/run/portcullis";

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
    let user_folder = user_folder();
    for (key, configured) in
        [("pid-file", &config.server.pid_file), ("upgrade-socket", &config.server.upgrade_socket)]
    {
        let Some(path) = runtime_file(configured, user_folder.as_deref()) else { continue };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if user_folder.as_deref().is_some_and(|user| Some(user) == folder.parent()) && !folder.exists() {
            continue;
        }
        let problem = match fs::metadata(folder) {
            Ok(seen) if !seen.is_dir() => "it is no folder".to_owned(),
            Ok(_) => match rustix::fs::access(folder, Access::WRITE_OK) {
                Ok(()) => continue,
                Err(problem) => problem.to_string(),
            },
            Err(problem) => problem.to_string(),
        };
        let what = format!("`{key}` cannot be made in {}: {problem}", folder.display());
        problems.push(Obstacle { path: configured.clone(), what });
    }
    problems
}

#[cfg(test)]
mod tests {
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
}
