//! Where lines of the decision log end up: standard output, a file that is rotated, or syslog.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_config::settings::{LogSink, SyslogTarget};

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
}

struct Open {
    file: BufWriter<File>,
    inode: (u64, u64),
    bytes: u64,
}

impl Open {
    fn append(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let seen = file.metadata()?;
        Ok(Self { inode: (seen.dev(), seen.ino()), bytes: seen.len(), file: BufWriter::new(file) })
    }
}

impl LogFile {
    fn open(path: PathBuf, bytes_max: Option<u64>, keep: u32) -> io::Result<Self> {
        Ok(Self { open: Open::append(&path)?, path, bytes_max, keep, stuck: false })
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

    fn flush(&mut self) -> io::Result<()> {
        self.open.file.flush()?;
        // Once for each batch: what was written lies in the old file, what comes goes to a new one.
        let there = std::fs::metadata(&self.path).ok().map(|seen| (seen.dev(), seen.ino()));
        if there != Some(self.open.inode) {
            self.open = Open::append(&self.path)?;
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.open.file.flush()?;
        let numbered = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..self.keep).rev() {
            // A number that there is not yet moves nowhere.
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
        sink.line(b"between").unwrap();
        sink.flush().unwrap();
        sink.line(b"after").unwrap();
        sink.flush().unwrap();
        assert_eq!((read(&moved), read(&path)), ("before\nbetween\n".into(), "after\n".into()));
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
