//! Lines and sockets on a unix socket.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// The longest line, in bytes. Addresses and names of issuers are all that can be many.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Sockets that go with one byte; the kernel takes at most 253.
const SOCKETS_AT_ONCE: usize = 64;
/// Room for those of several bytes.
const SOCKETS_RECEIVED_MAX: usize = 253;

/// One end of a hand-over.
#[derive(Debug)]
pub(super) struct Wire {
    stream: UnixStream,
    bytes: Vec<u8>,
    sockets: VecDeque<OwnedFd>,
    /// Whether sockets are taken. Whoever asks for none leaves them to the kernel, which closes them.
    takes_sockets: bool,
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Wire {
    pub(super) fn new(stream: UnixStream, takes_sockets: bool) -> Self {
        Self { stream, bytes: Vec::new(), sockets: VecDeque::new(), takes_sockets }
    }

    /// Sends a message.
    pub(super) async fn send(&self, message: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        let mut rest = line.as_slice();
        while !rest.is_empty() {
            let sent = self.send_some(rest, &[]).await?;
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// Sends sockets; the other end has its own descriptors of them.
    pub(super) async fn send_sockets(&self, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
        for sockets in sockets.chunks(SOCKETS_AT_ONCE) {
            self.send_some(b"\n", sockets).await?;
        }
        Ok(())
    }

    async fn send_some(&self, bytes: &[u8], sockets: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.stream
            .async_io(Interest::WRITABLE, || {
                let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(SOCKETS_AT_ONCE))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                if !sockets.is_empty() && !control.push(SendAncillaryMessage::ScmRights(sockets)) {
                    return Err(invalid("too many sockets at once"));
                }
                let sent = sendmsg(
                    self.stream.as_fd(),
                    &[IoSlice::new(bytes)],
                    &mut control,
                    SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
                );
                Ok(sent?)
            })
            .await
    }

    /// Receives a message.
    ///
    /// # Errors
    /// When the other end leaves or says something else.
    pub(super) async fn receive<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        loop {
            while let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.bytes.drain(..=end).collect();
                if line.len() > 1 {
                    return serde_json::from_slice(&line).map_err(|_| invalid("it says something unknown"));
                }
            }
            if self.bytes.len() > LINE_BYTES_MAX {
                return Err(invalid("it says too much"));
            }
            self.fill().await?;
        }
    }

    /// Receives so many sockets.
    ///
    /// # Errors
    /// When the other end leaves, or no descriptors are left for them.
    pub(super) async fn receive_sockets(&mut self, count: usize) -> io::Result<Vec<OwnedFd>> {
        while self.sockets.len() < count {
            if self.bytes.len() > LINE_BYTES_MAX {
                return Err(invalid("it says too much"));
            }
            self.fill().await?;
        }
        Ok(self.sockets.drain(..count).collect())
    }

    async fn fill(&mut self) -> io::Result<()> {
        let Self { stream, bytes, sockets, takes_sockets } = self;
        let received = stream
            .async_io(Interest::READABLE, || {
                let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(SOCKETS_RECEIVED_MAX))];
                let mut control = match takes_sockets {
                    true => RecvAncillaryBuffer::new(&mut space),
                    false => RecvAncillaryBuffer::default(),
                };
                let mut buffer = [0; 4096];
                let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
                let received =
                    recvmsg(stream.as_fd(), &mut [IoSliceMut::new(&mut buffer)], &mut control, flags)?;
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(rights) = message {
                        sockets.extend(rights);
                    }
                }
                if *takes_sockets && received.flags.contains(ReturnFlags::CTRUNC) {
                    return Err(io::Error::other("no descriptors are left for the sockets"));
                }
                bytes.extend_from_slice(buffer.get(..received.bytes).unwrap_or_default());
                Ok(received.bytes)
            })
            .await?;
        if received == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    use super::*;

    fn pair() -> (Wire, Wire) {
        let (one, other) = UnixStream::pair().unwrap();
        (Wire::new(one, false), Wire::new(other, true))
    }

    #[tokio::test]
    async fn any_number_of_sockets_arrives_in_order_between_messages() {
        let listeners: Vec<_> = (0..300).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let (mut old, mut new) = pair();
        let send = async {
            old.send(&"before").await.unwrap();
            let sockets: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
            old.send_sockets(&sockets).await.unwrap();
            old.send(&"after").await.unwrap();
            old.receive::<u32>().await.unwrap()
        };
        let receive = async {
            assert_eq!(new.receive::<String>().await.unwrap(), "before");
            let sockets = new.receive_sockets(300).await.unwrap();
            assert_eq!(new.receive::<String>().await.unwrap(), "after");
            new.send(&7).await.unwrap();
            sockets
        };
        let (answer, sockets) = tokio::join!(send, receive);
        assert_eq!(answer, 7);
        let address = |listener: &TcpListener| listener.local_addr().unwrap();
        let received: Vec<_> = sockets.into_iter().map(|socket| address(&socket.into())).collect();
        assert_eq!(received, listeners.iter().map(address).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn nonsense_silence_without_an_end_and_foreign_sockets_are_refused() {
        let (mut old, new) = pair();
        new.send(&"a text").await.unwrap();
        assert!(old.receive::<u32>().await.is_err(), "another message");
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        new.send_sockets(&[socket.as_fd()]).await.unwrap();
        new.send(&1).await.unwrap();
        assert_eq!(old.receive::<u32>().await.unwrap(), 1);
        assert!(old.sockets.is_empty(), "nobody asked for sockets");
        drop(new);
        assert_eq!(old.receive::<u32>().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let (mut old, new) = pair();
        let flood = tokio::spawn(async move { while new.send_some(&[b'x'; 4096], &[]).await.is_ok() {} });
        assert_eq!(old.receive::<u32>().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        drop(old);
        flood.await.unwrap();
    }
}
