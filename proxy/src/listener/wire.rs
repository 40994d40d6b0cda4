//! A socket, and what was read of it before anybody knew who is to have it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How much is read in a row before other connections have their turn. Whoever sends without end (frames that ask for nothing but
/// an acknowledgement, for instance) would otherwise be read for as long as the runtime lets one task go on.
const SHARE: usize = 16 << 10;

/// A socket with bytes to be read first.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) socket: TcpStream,
    prefix: Vec<u8>,
    /// How much was read since this task last waited.
    in_a_row: usize,
}

impl Wire {
    pub(super) const fn new(socket: TcpStream) -> Self {
        Self { socket, prefix: Vec::new(), in_a_row: 0 }
    }

    /// What is read before anything else.
    pub(super) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    pub(super) fn set_prefix(&mut self, prefix: Vec<u8>) {
        self.prefix = prefix;
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.prefix.is_empty() {
            if this.in_a_row >= SHARE {
                this.in_a_row = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let before = buf.filled().len();
            let read = Pin::new(&mut this.socket).poll_read(cx, buf);
            this.in_a_row = match read {
                Poll::Pending => 0,
                Poll::Ready(_) => this.in_a_row.saturating_add(buf.filled().len().saturating_sub(before)),
            };
            return read;
        }
        let fits = this.prefix.len().min(buf.remaining());
        buf.put_slice(this.prefix.drain(..fits).as_slice());
        if this.prefix.is_empty() {
            this.prefix = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
