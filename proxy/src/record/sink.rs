//! Where lines of the decision log and the access log end up: standard output, a file that is rotated,
//! or syslog. A file is a regular file, whatever somebody puts in its place: to open a pipe would wait for a
//! reader, and a symbolic link would lead our lines to a place of somebody else's choice.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_config::settings::{LogSink, SyslogTarget};
use rustix::fs::{Access, OFlags};

/// Who may read a log that we begin: we and our group.
const MODE: u32 = 0o640;
/// The longest that a datagram may wait for a syslog daemon that does not read.
const SYSLOG_TIMEOUT: Duration = Duration::from_secs(1);
/// Facility `authpriv` (10), severity `info` (6): RFC 5424, section 6.2.1.
const PRIORITY: u8 = 10 * 8 + 6;

/// An open sink.
pub(super) enum Sink {
    Stdout(BufWriter<io::Stdout>),
    File(LogFile),
    Syslog(Syslog),
}

impl Sink {
    /// Opens a sink; `None` when the log is off.
    ///
    /// # Errors
    /// When it cannot be opened, or is no regular file.
    pub(super) fn open(sink: &LogSink) -> io::Result<Option<Self>> {
        Ok(Some(match sink {
            LogSink::Off => return Ok(None),
            LogSink::Stdout => Self::Stdout(BufWriter::new(io::stdout())),
            LogSink::File { path, bytes_max, keep } => {
                Self::File(LogFile::open(path.clone(), *bytes_max, *keep)?)
            }
            LogSink::Syslog(target) => Self::Syslog(Syslog::open(target)?),
        }))
    }

    /// Gets ready for a batch of lines.
    pub(super) fn begin(&mut self) {
        if let Self::File(file) = self {
            file.begin();
        }
    }

    /// Takes one line, given without its end.
    pub(super) fn line(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.write_all(line).and_then(|()| out.write_all(b"\n")),
            Self::File(file) => file.line(line),
            Self::Syslog(syslog) => syslog.line(line),
        }
    }

    /// Hands everything on that was taken.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(file) => file.flush(),
            Self::Syslog(_) => Ok(()),
        }
    }
}

/// A file that is appended to. At `bytes_max` it becomes `NAME.1`, and so on up to `NAME.KEEP`.
/// When somebody else moved or removed it (logrotate), a new one is begun.
pub(super) struct LogFile {
    path: PathBuf,
    bytes_max: Option<u64>,
    keep: u32,
    open: Open,
    stuck: bool,
    /// Whether lines go to a file that was moved, for no new one can be begun.
    astray: bool,
}

struct Open {
    file: BufWriter<File>,
    inode: (u64, u64),
    bytes: u64,
}

impl Open {
    fn append(path: &Path) -> io::Result<Self> {
        let named =
            |problem: io::Error| io::Error::new(problem.kind(), format!("{}: {problem}", path.display()));
        // Looked at before, since opening some devices has effects, and again once it is open, since it may have changed.
        is_fit(path).map_err(named)?;
        let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(MODE)
            .custom_flags(flags.bits().cast_signed())
            .open(path)
            .map_err(named)?;
        let seen = file.metadata()?;
        if !seen.is_file() {
            return Err(named(not_a_file()));
        }
        Ok(Self { inode: (seen.dev(), seen.ino()), bytes: seen.len(), file: BufWriter::new(file) })
    }

    /// Whether what is written here can still be found under some name.
    fn has_a_name(&self) -> bool {
        self.file.get_ref().metadata().is_ok_and(|seen| seen.nlink() > 0)
    }
}

fn not_a_file() -> io::Error {
    let what = "it is a pipe, a device, a folder or a symbolic link, and no regular file; standard output is \
                `decision-log = \"stdout\"`";
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// Whether a log can lie there: a regular file, or nothing yet.
fn is_fit(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(seen) if seen.is_file() => Ok(()),
        Ok(_) => Err(not_a_file()),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(problem) => Err(problem),
    }
}

/// Whether a log could be begun or continued there, without doing so; for `check`.
///
/// # Errors
/// What is wrong with the place.
pub fn can_log_to(sink: &LogSink) -> io::Result<()> {
    let path = match sink {
        LogSink::File { path, .. } => path,
        LogSink::Syslog(target) => {
            let shown = match target {
                SyslogTarget::Socket(path) => path.display().to_string(),
                SyslogTarget::Udp(address) => address.to_string(),
            };
            return Syslog::open(target).map(drop).map_err(|problem| named_as(Path::new(&shown), &problem));
        }
        LogSink::Off | LogSink::Stdout => return Ok(()),
    };
    let named = |problem: io::Error| io::Error::new(problem.kind(), format!("{}: {problem}", path.display()));
    is_fit(path).map_err(named)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !std::fs::metadata(folder).map_err(|problem| named_as(folder, &problem))?.is_dir() {
        return Err(named_as(folder, &"it is no folder"));
    }
    let may =
        |path: &Path| rustix::fs::access(path, Access::WRITE_OK).map_err(|problem| named_as(path, &problem));
    if path.exists() { may(path) } else { may(folder) }
}

fn named_as(path: &Path, problem: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {problem}", path.display()))
}

impl LogFile {
    fn open(path: PathBuf, bytes_max: Option<u64>, keep: u32) -> io::Result<Self> {
        Ok(Self { open: Open::append(&path)?, path, bytes_max, keep, stuck: false, astray: false })
    }

    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        let length = line.len() as u64 + 1;
        if self.bytes_max.is_some_and(|most| self.open.bytes > 0 && self.open.bytes + length > most) {
            let rotated = self.rotate();
            // Said once each time that it begins to fail. A file that grows beyond its bound is
            // better than decisions that are missing.
            if let (Err(problem), false) = (&rotated, self.stuck) {
                tracing::error!(%problem, path = %self.path.display(), "the decision log cannot be rotated; it grows on");
            }
            self.stuck = rotated.is_err();
        }
        self.open.file.write_all(line)?;
        self.open.file.write_all(b"\n")?;
        self.open.bytes += length;
        Ok(())
    }

    /// Begins a new file where somebody moved or removed the one that is open.
    fn begin(&mut self) {
        let there = std::fs::symlink_metadata(&self.path).ok().map(|seen| (seen.dev(), seen.ino()));
        if there == Some(self.open.inode) {
            return;
        }
        match Open::append(&self.path) {
            Ok(open) => (self.open, self.astray) = (open, false),
            // A file that was moved is a better place than none; what is written to one that was removed fails.
            Err(problem) => {
                if !std::mem::replace(&mut self.astray, true) {
                    tracing::error!(%problem, "the log cannot be begun anew where it was");
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.file.flush()?;
        if self.open.has_a_name() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::NotFound, "the file was removed while it was written to"))
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.open.file.flush()?;
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..self.keep).rev() {
            // A file that does not exist yet cannot be renamed.
            let _ = std::fs::rename(numbered(number), numbered(number + 1));
        }
        if self.keep == 0 {
            std::fs::remove_file(&self.path)?;
        } else {
            std::fs::rename(&self.path, numbered(1))?;
        }
        self.open = Open::append(&self.path)?;
        Ok(())
    }
}

/// A syslog daemon: datagrams, one for each line.
pub(super) enum Syslog {
    /// On this machine; in the form that `syslog(3)` sends and every daemon reads there.
    Local { socket: UnixDatagram, path: PathBuf },
    /// Elsewhere: RFC 5424 over UDP (RFC 5426).
    Remote { socket: UdpSocket, host: String },
}

impl Syslog {
    fn open(target: &SyslogTarget) -> io::Result<Self> {
        match target {
            SyslogTarget::Socket(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_write_timeout(Some(SYSLOG_TIMEOUT))?;
                socket.connect(path)?;
                Ok(Self::Local { socket, path: path.clone() })
            }
            SyslogTarget::Udp(address) => {
                let any: SocketAddr = match address {
                    SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
                    SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.set_write_timeout(Some(SYSLOG_TIMEOUT))?;
                socket.connect(address)?;
                let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
                let host = if name.is_empty() { "-".to_owned() } else { name };
                Ok(Self::Remote { socket, host })
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        let id = std::process::id();
        match self {
            Self::Local { socket, path } => {
                let mut message = format!("<{PRIORITY}>portcullis[{id}]: ").into_bytes();
                message.extend_from_slice(line);
                if socket.send(&message).is_err() {
                    // The daemon was restarted: its socket is another one now.
                    socket.connect(&*path)?;
                    socket.send(&message)?;
                }
            }
            Self::Remote { socket, host } => {
                // The entry carries its own time, so the header's is left to the receiver.
                let mut message = format!("<{PRIORITY}>1 - {host} portcullis {id} decision - ").into_bytes();
                message.extend_from_slice(line);
                socket.send(&message)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &tempfile::TempDir, bytes_max: Option<u64>, keep: u32) -> (Sink, PathBuf) {
        let path = folder.path().join("decisions.ndjson");
        let sink = Sink::open(&LogSink::File { path: path.clone(), bytes_max, keep }).unwrap().unwrap();
        (sink, path)
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_else(|problem| format!("{}: {problem}", path.display()))
    }

    #[test]
    fn a_file_that_is_full_becomes_number_one_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (mut sink, path) = file(&folder, Some(10), 2);
        for line in ["first", "second", "third", "fourth"] {
            sink.line(line.as_bytes()).unwrap();
        }
        sink.flush().unwrap();
        let name = |number: &str| folder.path().join(format!("decisions.ndjson{number}"));
        assert_eq!(read(&path), "fourth\n");
        assert_eq!((read(&name(".1")), read(&name(".2"))), ("third\n".into(), "second\n".into()));
        assert!(!name(".3").exists(), "`first` was two rotations ago");
    }

    #[test]
    fn a_file_that_cannot_be_rotated_grows_on_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (mut sink, path) = file(&folder, Some(10), 1);
        std::fs::create_dir_all(folder.path().join("decisions.ndjson.1/full")).unwrap();
        for line in ["first", "second", "third"] {
            sink.line(line.as_bytes()).unwrap();
        }
        sink.flush().unwrap();
        assert_eq!(read(&path), "first\nsecond\nthird\n");
    }

    #[test]
    fn a_file_that_somebody_moved_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (mut sink, path) = file(&folder, None, 0);
        sink.line(b"before").unwrap();
        sink.flush().unwrap();
        let moved = folder.path().join("moved");
        std::fs::rename(&path, &moved).unwrap();
        sink.begin();
        sink.line(b"after").unwrap();
        sink.flush().unwrap();
        assert_eq!((read(&moved), read(&path)), ("before\n".into(), "after\n".into()));
        std::fs::remove_file(&path).unwrap();
        sink.line(b"lost").unwrap();
        assert!(sink.flush().is_err(), "what nobody can find is not called written");
    }

    /// A pipe without a reader.
    fn pipe(path: &Path) {
        let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    }

    #[test]
    fn a_log_that_is_no_regular_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        pipe(&at("pipe"));
        std::fs::create_dir(at("folder")).unwrap();
        std::fs::write(at("elsewhere"), "").unwrap();
        std::os::unix::fs::symlink(at("elsewhere"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("loop"), at("loop")).unwrap();
        for name in ["pipe", "folder", "link", "loop", "/dev/null", "elsewhere/below"] {
            let sink = LogSink::File { path: at(name), bytes_max: None, keep: 0 };
            let problem = Sink::open(&sink).map(|_| ()).unwrap_err().to_string();
            assert!(problem.contains(name), "{name}: {problem}");
            assert!(can_log_to(&sink).is_err(), "{name}: `check` says so, too");
        }
        let good = LogSink::File { path: at("good"), bytes_max: None, keep: 0 };
        assert!(can_log_to(&good).is_ok() && !at("good").exists());
        assert!(Sink::open(&good).is_ok(), "a file in a good place opens");
        let missing = LogSink::File { path: at("no-such-folder/log"), bytes_max: None, keep: 0 };
        assert!(can_log_to(&missing).is_err());
    }

    #[test]
    fn a_log_is_for_us_and_our_group() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (mut sink, path) = file(&folder, Some(10), 1);
        sink.line(b"before it is full").unwrap();
        sink.line(b"after").unwrap();
        sink.flush().unwrap();
        for path in [path, folder.path().join("decisions.ndjson.1")] {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            // Whatever the mask of the tests takes away.
            assert_eq!(mode & !0o640, 0, "{}: {mode:o}", path.display());
        }
    }

    #[test]
    fn a_pipe_in_place_of_the_file_holds_nothing_up_and_no_line_is_called_written_that_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (mut sink, path) = file(&folder, None, 0);
        sink.line(b"before").unwrap();
        sink.flush().unwrap();
        let moved = folder.path().join("moved");
        std::fs::rename(&path, &moved).unwrap();
        pipe(&path);
        for line in [&b"one"[..], b"two"] {
            sink.begin();
            sink.line(line).unwrap();
            sink.flush().unwrap();
        }
        assert_eq!(read(&moved), "before\none\ntwo\n", "nothing is lost while the file has a name");
        std::fs::remove_file(&moved).unwrap();
        sink.begin();
        sink.line(b"lost").unwrap();
        assert!(sink.flush().is_err(), "what is lost is reported");
        std::fs::remove_file(&path).unwrap();
        sink.begin();
        sink.line(b"after").unwrap();
        sink.flush().unwrap();
        assert_eq!(read(&path), "after\n", "the place is free again");
    }

    #[test]
    fn a_local_syslog_daemon_gets_one_datagram_a_line_and_may_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut sink = Sink::open(&LogSink::Syslog(SyslogTarget::Socket(path.clone()))).unwrap().unwrap();
        let heard = |daemon: &UnixDatagram| {
            let mut buffer = [0; 256];
            let length = daemon.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        sink.line(b"{\"a\":1}").unwrap();
        assert_eq!(heard(&daemon), format!("<86>portcullis[{}]: {{\"a\":1}}", std::process::id()));
        drop(daemon);
        std::fs::remove_file(&path).unwrap();
        assert!(sink.line(b"lost").is_err());
        let daemon = UnixDatagram::bind(&path).unwrap();
        sink.line(b"again").unwrap();
        assert!(heard(&daemon).ends_with(": again"));
    }

    #[test]
    fn a_remote_syslog_daemon_gets_rfc_5424_by_udp() {
        let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = SyslogTarget::Udp(daemon.local_addr().unwrap());
        let mut sink = Sink::open(&LogSink::Syslog(target)).unwrap().unwrap();
        sink.line(b"{}").unwrap();
        let mut buffer = [0; 256];
        let length = daemon.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(text.starts_with("<86>1 - ") && text.ends_with(" decision - {}"), "{text}");
    }
}
