//! The side that serves, and is asked to hand over.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::wire::Wire;
use super::{HANDOVER_TIME, Hello, Offer, PROTOCOL, Progress, Ready, Reply};
use crate::admin::{Left, Next, NextState, Status};
use crate::preflight;
use crate::record::{Handover, Metrics};
use crate::server::notify;

/// Successors that wait to be asked in.
const BACKLOG: i32 = 8;
/// After an error of the system, such as no descriptor being left.
const PAUSE: Duration = Duration::from_secs(1);

/// The socket at which a successor asks.
#[derive(Debug)]
pub(in crate::server) struct UpgradeSocket {
    place: PathBuf,
    listener: UnixListener,
    /// Which file is ours.
    inode: (u64, u64),
}

impl UpgradeSocket {
    /// Makes it: for this user alone, in a folder that only this user can write.
    ///
    /// # Errors
    /// When the folder is somebody else's too, when something else stands there, or when a process answers there.
    pub(in crate::server) fn open(place: &Path) -> io::Result<Self> {
        // The place itself must be short enough for a socket, not only the one that it is made at.
        SockAddr::unix(place)?;
        preflight::only_ours(preflight::folder_of(place)).map_err(io::Error::other)?;
        if let Some(seen) = found(place)? {
            judge(&seen)?;
            match BlockingStream::connect(place) {
                // A process was killed, and its socket stays.
                Err(problem) if problem.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(problem) => return Err(problem),
                Ok(_) => {
                    return Err(io::Error::new(
                        io::ErrorKind::AddrInUse,
                        "another process serves with it; `run --upgrade` takes over from that one",
                    ));
                }
            }
        }
        let new = place.with_file_name(format!(".{}.new", std::process::id()));
        let _ = fs::remove_file(&new);
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(&new)?)?;
        // Before it listens: until then nobody can connect.
        let opened = fs::set_permissions(&new, Permissions::from_mode(0o600))
            .and_then(|()| socket.listen(BACKLOG))
            .and_then(|()| fs::rename(&new, place));
        if let Err(problem) = opened {
            let _ = fs::remove_file(&new);
            return Err(problem);
        }
        Self::of(place, socket.into())
    }

    /// That of a predecessor, whose file stays.
    ///
    /// # Errors
    /// When it is no such socket.
    pub(in crate::server) fn of(place: &Path, socket: OwnedFd) -> io::Result<Self> {
        let listener = std::os::unix::net::UnixListener::from(socket);
        listener.set_nonblocking(true)?;
        let seen = fs::symlink_metadata(place)?;
        Ok(Self {
            place: place.to_owned(),
            listener: UnixListener::from_std(listener)?,
            inode: (seen.dev(), seen.ino()),
        })
    }

    /// Nobody asks here any more: there will be no successor.
    pub(in crate::server) fn remove(self) {
        let is_ours = |seen: &fs::Metadata| (seen.dev(), seen.ino()) == self.inode;
        if fs::symlink_metadata(&self.place).as_ref().is_ok_and(is_ours) {
            let _ = fs::remove_file(&self.place);
        }
    }
}

/// What stands there, links not followed.
fn found(place: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(place) {
        Ok(seen) => Ok(Some(seen)),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// Whether it is a socket of this user.
pub(super) fn judge(seen: &fs::Metadata) -> io::Result<()> {
    let own = rustix::process::geteuid().as_raw();
    if !seen.file_type().is_socket() {
        return Err(io::Error::other("it is no socket (a link to one is none)"));
    }
    if seen.uid() != own {
        return Err(io::Error::other(format!("it belongs to user {}, not to {own}", seen.uid())));
    }
    Ok(())
}

/// Whether a process of this user is at the other end; its id.
pub(super) fn peer(stream: &UnixStream) -> io::Result<u32> {
    let peer = stream.peer_cred()?;
    let own = rustix::process::geteuid().as_raw();
    if peer.uid() != own {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("it is a process of user {}, not of {own}", peer.uid()),
        ));
    }
    // None of a process that we cannot see: in another container, say.
    Ok(peer.pid().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0))
}

/// What a successor is given.
#[derive(Debug)]
pub(in crate::server) struct Given {
    /// Which process since the first start this is.
    pub(in crate::server) generation: u64,
    /// Listening sockets, those of admin too.
    pub(in crate::server) sockets: Vec<OwnedFd>,
}

/// A successor that accepts connections.
#[derive(Debug)]
pub(in crate::server) struct Successor {
    wire: Wire,
    /// Its process id, as the kernel says.
    pub(in crate::server) pid: u32,
    /// Its version, as it says.
    pub(in crate::server) version: String,
}

impl Successor {
    /// Says what is left to be finished here.
    pub(in crate::server) async fn draining(&self, left: Left) {
        // Nobody may be there to hear it: then nobody asks.
        let _ = timeout(PAUSE, self.wire.send(&Progress::Draining(left))).await;
    }

    /// Says what was cut here.
    pub(in crate::server) async fn cut(&self, left: Left) {
        let _ = timeout(PAUSE, self.wire.send(&Progress::Cut(left))).await;
    }
}

/// Why there was no hand-over.
enum Failure {
    /// Somebody looked whether this process lives.
    Probe,
    /// A process of another user.
    Foreign(io::Error),
    /// No hand-over can be to this one.
    Refused(String),
    /// It left, was silent, or failed.
    Abandoned(io::Error),
}

/// Waits until a successor accepts connections. Whoever does not get so far changes nothing.
pub(in crate::server) async fn wait_for_successor(
    socket: &UpgradeSocket,
    given: &Given,
    issuers: impl Fn() -> Vec<String>,
    metrics: &Metrics,
    status: &Status,
) -> Successor {
    let mut foreign: u64 = 0;
    loop {
        let stream = match socket.listener.accept().await {
            Ok((stream, _)) => stream,
            Err(problem) => {
                tracing::error!(%problem, "no successor can ask for the sockets");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let failure = match converse(stream, socket, given, &issuers, status, HANDOVER_TIME).await {
            Ok(successor) => return successor,
            Err(failure) => failure,
        };
        match failure {
            Failure::Probe => {}
            Failure::Foreign(problem) => {
                metrics.handover(Handover::Foreign);
                foreign += 1;
                // Whoever tries again and again must not fill the log.
                if foreign.is_power_of_two() {
                    tracing::warn!(%problem, attempts = foreign, "the listening sockets were asked for, and NOT handed over");
                }
            }
            Failure::Refused(why) => {
                metrics.handover(Handover::Refused);
                tracing::warn!("a successor was refused: {why}");
            }
            Failure::Abandoned(problem) => {
                metrics.handover(Handover::Abandoned);
                tracing::warn!(%problem, "a successor did not get so far as to serve; this process goes on");
            }
        }
    }
}

async fn converse(
    stream: UnixStream,
    socket: &UpgradeSocket,
    given: &Given,
    issuers: &impl Fn() -> Vec<String>,
    status: &Status,
    time: Duration,
) -> Result<Successor, Failure> {
    let begun = Instant::now();
    // Nothing is read of a stranger, and nothing said to one.
    let pid = peer(&stream).map_err(Failure::Foreign)?;
    let mut wire = Wire::new(stream, false);
    let talk = async {
        let hello: Hello = match wire.receive().await {
            Ok(hello) => hello,
            Err(problem) if problem.kind() == io::ErrorKind::UnexpectedEof => return Err(Failure::Probe),
            Err(problem) => return Err(Failure::Abandoned(problem)),
        };
        if let Err(why) = possible(hello.protocol, pid) {
            let _ = wire.send(&Reply::Refused(why.clone())).await;
            return Err(Failure::Refused(why));
        }
        let sockets: Vec<BorrowedFd<'_>> =
            given.sockets.iter().map(OwnedFd::as_fd).chain([socket.listener.as_fd()]).collect();
        let offer = Offer {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            generation: given.generation,
            sockets: sockets.len(),
            issuers: issuers(),
        };
        let version = Some(hello.version.clone());
        status.successor_is(Next { pid, version, state: NextState::TakingOver });
        wire.send(&Reply::Offer(offer)).await.map_err(Failure::Abandoned)?;
        wire.send_sockets(&sockets).await.map_err(Failure::Abandoned)?;
        match wire.receive().await.map_err(Failure::Abandoned)? {
            Ready::Serving => Ok(hello.version),
            Ready::Accepting => Err(Failure::Abandoned(io::ErrorKind::InvalidData.into())),
        }
    };
    let failure = match timeout(time, talk).await {
        // A process that was stopped for a while reads its answer before it sees that it is late, and the other one may
        // have given up: it waits a little longer than this.
        Ok(Ok(_)) if begun.elapsed() > time => Failure::Abandoned(io::ErrorKind::TimedOut.into()),
        Ok(Ok(version)) => match handed(&mut wire).await {
            Ok(()) => {
                let state = NextState::Serving;
                status.successor_is(Next { pid, version: Some(version.clone()), state });
                return Ok(Successor { wire, pid, version });
            }
            Err(problem) => Failure::Abandoned(problem),
        },
        Ok(Err(failure)) => failure,
        Err(_) => Failure::Abandoned(io::ErrorKind::TimedOut.into()),
    };
    status.successor_failed(pid);
    Err(failure)
}

/// Lets the successor accept connections, and waits until it does. As long as it lives it may begin to, however late it
/// is; this process serves meanwhile.
async fn handed(wire: &mut Wire) -> io::Result<()> {
    wire.send(&Progress::Handed).await?;
    match wire.receive().await? {
        Ready::Accepting => Ok(()),
        Ready::Serving => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Whether the end of this process, and the life of that one, would be the service's.
fn possible(protocol: u32, pid: u32) -> Result<(), String> {
    if protocol != PROTOCOL {
        return Err(format!(
            "it speaks version {protocol} of the hand-over, this process version {PROTOCOL}"
        ));
    }
    if std::process::id() == 1 {
        return Err(
            "this is the first process of a container, which ends with it; replace the container".to_owned()
        );
    }
    if notify::is_supervised() && !is_of_our_unit(pid) {
        return Err(
            "this process is a service of systemd, and that one is not in its unit; use `systemctl reload`"
                .to_owned(),
        );
    }
    Ok(())
}

/// Whether another process is in the same control group: systemd takes none from elsewhere for the service.
fn is_of_our_unit(pid: u32) -> bool {
    let group =
        |process: &str| portcullis_config::file::read(Path::new(&format!("/proc/{process}/cgroup")), 1 << 16);
    match (group("self"), group(&pid.to_string())) {
        (Ok(own), Ok(other)) => own == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_successor_that_may_have_given_up_is_not_handed_over_to() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        let socket = UpgradeSocket::open(&folder.path().join("upgrade.sock")).unwrap();
        let given = Given { generation: 1, sockets: Vec::new() };
        for stopped in [Duration::ZERO, Duration::from_millis(1_500)] {
            let (own, other) = UnixStream::pair().unwrap();
            let other = Wire::new(other, false);
            other.send(&Hello { protocol: PROTOCOL, version: "2".to_owned() }).await.unwrap();
            other.send(&Ready::Serving).await.unwrap();
            other.send(&Ready::Accepting).await.unwrap();
            // As a process that is stopped: nothing of it runs, and the other one has said everything meanwhile.
            let stop = || {
                std::thread::sleep(stopped);
                Vec::new()
            };
            let ended = converse(own, &socket, &given, &stop, &Status::new(), Duration::from_secs(1)).await;
            match ended {
                Ok(successor) => assert!(stopped.is_zero() && successor.version == "2"),
                Err(Failure::Abandoned(problem)) => {
                    assert!(!stopped.is_zero() && problem.kind() == io::ErrorKind::TimedOut, "{problem}");
                }
                Err(_) => panic!("it is a process of ours, and speaks as we do"),
            }
        }
    }
}
