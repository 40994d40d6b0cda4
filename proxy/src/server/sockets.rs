//! Where listening sockets come from: systemd or a predecessor hands them over, or they are bound here. A socket
//! that was handed over and is not served would take connections that nobody answers, so none is left over.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};

use listenfd::ListenFd;
use rustix::net::{SocketType, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::error::ServeError;

/// Connections that the kernel completes before they are accepted; it takes at most `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Listening sockets that somebody else bound, by local address.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    sockets: Vec<(SocketAddr, TcpListener)>,
}

impl Inherited {
    /// The sockets that systemd passed to this process (`sd_listen_fds(3)`); none without systemd.
    ///
    /// Call it before any other thread is there: it takes the variables out of the environment.
    ///
    /// # Errors
    /// When something else than a listening TCP socket was passed.
    pub(super) fn from_systemd() -> Result<Self, ServeError> {
        // Without this the sockets of whoever started us would be taken for ours.
        let is_ours = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
        if !is_ours {
            return Ok(Self::default());
        }
        let mut passed = ListenFd::from_env();
        let mut inherited = Self::default();
        for position in 0..passed.len() {
            let fail =
                |problem: io::Error| ServeError::Inherited(format!("systemd's socket {position}: {problem}"));
            if let Some(socket) = passed.take_tcp_listener(position).map_err(fail)? {
                inherited.add(socket.into()).map_err(fail)?;
            }
        }
        Ok(inherited)
    }

    /// Adds a socket.
    ///
    /// # Errors
    /// When it is no listening TCP socket.
    pub(super) fn add(&mut self, socket: OwnedFd) -> io::Result<()> {
        let is_stream = sockopt::socket_type(socket.as_fd())? == SocketType::STREAM;
        if !is_stream || !sockopt::socket_acceptconn(socket.as_fd())? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not listening"));
        }
        let socket = TcpListener::from(socket);
        socket.set_nonblocking(true)?;
        // Fails for a socket of another family.
        self.sockets.push((socket.local_addr()?, socket));
        Ok(())
    }

    /// The socket of this address, or a new one.
    ///
    /// # Errors
    /// When it cannot be bound.
    pub(super) fn take_or_bind(&mut self, address: SocketAddr) -> Result<TcpListener, ServeError> {
        match self.sockets.iter().position(|(bound, _)| *bound == address) {
            Some(position) => Ok(self.sockets.swap_remove(position).1),
            None => {
                bind(address).map_err(|problem| ServeError::Listen { address: address.to_string(), problem })
            }
        }
    }

    /// The addresses of those sockets that nobody took.
    pub(super) fn left(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|(address, _)| *address).collect()
    }
}

/// A socket that listens on this address.
///
/// # Errors
/// When the system refuses, as when somebody else listens there.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a process that has just ended do not hold the address.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_the_address_that_it_is_bound_to() {
        let free = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, own) = (free.local_addr().unwrap(), free.try_clone().unwrap());
        let mut inherited = Inherited::default();
        inherited.add(own.into()).unwrap();
        assert_eq!(inherited.left(), [address]);
        let other: SocketAddr = format!("127.0.0.2:{}", address.port()).parse().unwrap();
        assert_eq!(inherited.take_or_bind(other).unwrap().local_addr().unwrap(), other, "bound");
        assert_eq!(inherited.take_or_bind(address).unwrap().local_addr().unwrap(), address, "taken");
        assert!(inherited.left().is_empty());
        let busy = inherited.take_or_bind(address).unwrap_err().to_string();
        assert!(busy.contains(&address.to_string()), "{busy}");
    }

    #[test]
    fn what_does_not_listen_is_no_listening_socket() {
        let mut inherited = Inherited::default();
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let connected = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(inherited.add(connected.into()).is_err());
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(inherited.add(datagrams.into()).is_err());
        let folder = tempfile::tempdir().unwrap();
        let local = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        assert!(inherited.add(local.into()).is_err(), "a socket of this machine has no address");
        assert!(inherited.add(std::fs::File::open("/dev/null").unwrap().into()).is_err());
        assert!(inherited.left().is_empty());
    }
}
