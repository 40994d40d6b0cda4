//! The side that is to serve, and asks for the sockets.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::predecessor::{UpgradeSocket, judge, peer};
use super::wire::Wire;
use super::{ANSWER_TIME, Hello, Offer, PROTOCOL, Progress, Ready, Reply};
use crate::preflight;
use crate::server::error::ServeError;
use crate::server::sockets::Inherited;

/// How long a predecessor that closed the connection may take to end.
const END_TIME: Duration = Duration::from_secs(1);
/// How often that is looked at.
const END_LOOK: Duration = Duration::from_millis(10);

/// The process that serves, and has offered its sockets.
#[derive(Debug)]
pub(in crate::server) struct Predecessor {
    wire: Wire,
    offer: Offer,
    /// Says when it has ended; `None` if the system does not let us look.
    end: Option<OwnedFd>,
}

/// What it offers.
#[derive(Debug)]
pub(in crate::server) struct Taken {
    /// Listening sockets.
    pub(in crate::server) sockets: Inherited,
    /// Where the next successor will ask.
    pub(in crate::server) upgrade_socket: UpgradeSocket,
}

/// Asks the process that serves for its sockets. It goes on serving.
///
/// # Errors
/// When none is there, when it is somebody else's, or when it refuses.
pub(in crate::server) async fn ask(place: &Path) -> Result<(Predecessor, Taken), ServeError> {
    let fail = |problem: io::Error| ServeError::Predecessor(format!("{}: {problem}", place.display()));
    let talk = async {
        preflight::only_ours(preflight::folder_of(place)).map_err(io::Error::other)?;
        judge(&fs::symlink_metadata(place)?)?;
        let stream = UnixStream::connect(place).await?;
        peer(&stream)?;
        let mut wire = Wire::new(stream, true);
        wire.send(&Hello { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").to_owned() }).await?;
        let offer = match wire.receive().await? {
            Reply::Offer(offer) => offer,
            Reply::Refused(why) => return Err(io::Error::other(format!("it refuses: {why}"))),
        };
        if offer.protocol != PROTOCOL {
            let other = offer.protocol;
            return Err(io::Error::other(format!(
                "it speaks version {other} of the hand-over, not {PROTOCOL}"
            )));
        }
        let mut received = wire.receive_sockets(offer.sockets).await?;
        let last = received.pop().ok_or_else(|| io::Error::other("it offers no sockets"))?;
        let mut sockets = Inherited::default();
        for socket in received {
            sockets.add(socket)?;
        }
        let upgrade_socket = UpgradeSocket::of(place, last)?;
        let pid = i32::try_from(offer.pid).ok().and_then(Pid::from_raw);
        let end = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Ok((Predecessor { wire, offer, end }, Taken { sockets, upgrade_socket }))
    };
    match timeout(ANSWER_TIME, talk).await {
        Ok(answer) => answer.map_err(fail),
        Err(_) => Err(fail(io::ErrorKind::TimedOut.into())),
    }
}

impl Predecessor {
    /// Its process id, as it says.
    pub(in crate::server) fn pid(&self) -> u32 {
        self.offer.pid
    }

    /// Which process since the first start it is.
    pub(in crate::server) fn generation(&self) -> u64 {
        self.offer.generation
    }

    /// Its version.
    pub(in crate::server) fn version(&self) -> &str {
        &self.offer.version
    }

    /// The issuers whose tokens it can verify.
    pub(in crate::server) fn issuers(&self) -> &[String] {
        &self.offer.issuers
    }

    /// Says that this process can serve, and waits until it may.
    ///
    /// # Errors
    /// When it no longer wants to hand over, and goes on serving.
    pub(in crate::server) async fn serving(&mut self) -> Result<(), ServeError> {
        let talk = async {
            self.wire.send(&Ready::Serving).await?;
            loop {
                if let Progress::Handed = self.wire.receive().await? {
                    return Ok::<_, io::Error>(());
                }
            }
        };
        let problem = match timeout(ANSWER_TIME, talk).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(problem)) => problem,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        if self.has_ended().await {
            tracing::warn!("the predecessor ended in the middle of the hand-over; this process serves alone");
            return Ok(());
        }
        Err(ServeError::Predecessor(format!("process {} goes on serving: {problem}", self.offer.pid)))
    }

    /// Says that this process accepts connections, and waits until the other one accepts none: what it says then, or
    /// `None` if it has ended.
    pub(in crate::server) async fn accepting(&mut self) -> Option<Progress> {
        self.wire.send(&Ready::Accepting).await.ok()?;
        self.hear().await
    }

    /// How far it is, whenever it says so; `None` once it has ended.
    pub(in crate::server) async fn hear(&mut self) -> Option<Progress> {
        self.wire.receive().await.ok()
    }

    /// The kernel closes what a process had open a moment before the process has ended.
    async fn has_ended(&self) -> bool {
        let Some(end) = &self.end else { return false };
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let ended = async {
            while !poll(&mut [PollFd::new(end, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0) {
                sleep(END_LOOK).await;
            }
        };
        timeout(END_TIME, ended).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_predecessor_that_dies_leaves_the_service_to_its_successor() {
        for lives in ["0.2", "30"] {
            let mut child = Command::new("sleep").arg(lives).spawn().unwrap();
            let pid = child.id();
            let end = pidfd_open(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), PidfdFlags::empty());
            let (own, other) = UnixStream::pair().unwrap();
            let offer = Offer {
                protocol: PROTOCOL,
                version: "1".to_owned(),
                pid,
                generation: 1,
                sockets: 0,
                issuers: Vec::new(),
            };
            let mut predecessor = Predecessor { wire: Wire::new(own, true), offer, end: end.ok() };
            // Its sockets are closed, and its end is still to be seen.
            drop(other);
            assert_eq!(predecessor.serving().await.is_ok(), lives == "0.2", "it lives for {lives} s");
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
