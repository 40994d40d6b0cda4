//! The one type of a client's connection that pingora is given: plain or TLS. It gathers what is written, so that head
//! and body of an answer leave together, has what is received over HTTP/1 watched, and limits each head while it
//! is read.

use std::io::{self, IoSlice};
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;

use super::budget::Unsent;
use super::connection::Connection;
use super::control::ControlFrames;
use super::heads::UnfinishedHead;
use super::inspection::{Framing, Inspection, Malformed, Next};
use super::seats::Seat;
use super::signal::Kind;
use super::websocket::{Frames, GOING_AWAY, policy_violated};
use super::wire::Wire;
use crate::record::Closed;

/// What is gathered for a client before it is sent: head and body of a denial leave together, for a second packet
/// costs more than the page.
const WRITE_BYTES: usize = 8 << 10;
/// How long, and for how many bytes, a closed connection is read on when its client may still be sending: what is not
/// read would make the kernel reset the connection, and the client would lose the answer that it was sent.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 << 10;

/// Limits of a head.
#[derive(Debug)]
pub(super) struct HeadLimits {
    /// Bytes that are read of it.
    pub(super) bytes: usize,
    /// How long it may take from its first byte.
    pub(super) time: Duration,
    /// What is there of one that is not complete.
    pub(super) unfinished: UnfinishedHead,
}

#[derive(Debug)]
pub(super) enum Io {
    Plain(Wire),
    Tls(Box<TlsStream<Wire>>),
    /// It was given away to be closed.
    Gone,
}

/// What goes to the client, and the socket. Pingora gives a session's stream out to look at only, and gathers answers whose
/// length is known until their end: who knows that nothing more comes for now sends from there.
#[derive(Debug)]
struct Channel {
    io: Io,
    out: Vec<u8>,
    /// How much of `out` is sent.
    sent: usize,
    connection: Arc<Connection>,
    /// Of HTTP/1, what the socket does not take; over HTTP/2 it is counted by stream.
    unsent: Option<Unsent>,
}

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Conn {
    channel: Mutex<Channel>,
    /// Of HTTP/1 alone; HTTP/2 has lengths for everything, and no lines. Nobody else has it while bytes are read.
    inspection: Option<Mutex<Inspection>>,
    limits: HeadLimits,
    /// Armed when a head is incomplete and nothing comes.
    head_timer: Option<Pin<Box<Sleep>>>,
    /// The timer was not asked since this head began.
    is_new_head: AtomicBool,
    has_written: bool,
    connection: Arc<Connection>,
    /// Of HTTP/2, the frames that carry nothing of a request.
    control: Option<Box<ControlFrames>>,
    digest: Arc<ProxyDigest>,
    seat: Option<Seat>,
    /// Of a WebSocket, once it is one.
    frames: Option<Frames>,
    /// A WebSocket's client was sent the frame that closes; what its app sends after that goes to nobody.
    is_closed: bool,
}

impl Conn {
    pub(super) fn new(
        io: Io,
        is_http2: bool,
        limits: HeadLimits,
        connection: Arc<Connection>,
        seat: Seat,
    ) -> io::Result<Self> {
        let response = ResponseHeader::build(200, Some(0)).map_err(io::Error::other)?;
        let user_data: Box<dyn std::any::Any + Send + Sync> = Box::new(Arc::clone(&connection));
        let channel =
            Channel { io, out: Vec::new(), sent: 0, connection: Arc::clone(&connection), unsent: None };
        Ok(Self {
            channel: Mutex::new(channel),
            inspection: (!is_http2).then(Mutex::default),
            limits,
            head_timer: None,
            is_new_head: AtomicBool::new(true),
            has_written: false,
            connection,
            control: is_http2.then(|| Box::new(ControlFrames::new())),
            digest: Arc::new(ProxyDigest::new(Box::new(response), Some(user_data))),
            seat: Some(seat),
            frames: None,
            is_closed: false,
        })
    }

    /// The connection of a session, if it speaks HTTP/1.
    pub(crate) fn of(session: &ServerSession) -> Option<&Self> {
        (**session.stream()?).as_any().downcast_ref()
    }

    /// Looks at the head, and at what came with the end of it.
    pub(crate) fn head<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        self.limits.unfinished.set(0);
        match &self.inspection {
            Some(inspection) => look(inspection.lock().head()),
            None => look(&[]),
        }
    }

    /// The head is judged: what follows its `head_bytes` is the body. `false` when its beginning, which came already, is
    /// wrong.
    pub(crate) fn expect_body(&self, head_bytes: usize, framing: Framing) -> bool {
        self.inspection.as_ref().is_none_or(|inspection| inspection.lock().expect_body(head_bytes, framing))
    }

    /// The app has agreed to speak another protocol: what the client sends passes from here on, and not before.
    pub(crate) fn switch_protocol(&self) {
        self.connection.signal.set_kind(Kind::WebSocket);
        if let Some(inspection) = &self.inspection {
            inspection.lock().pass_all();
        }
    }

    /// A WebSocket may not go on: its client is sent a frame that says so when the connection ends.
    pub(crate) fn refuse_websocket(&self, code: u32) {
        self.connection.signal.refuse(code);
    }

    /// Whether a line of the chunked body was wrong; nothing of it passes then.
    pub(crate) fn has_malformed_chunks(&self) -> bool {
        self.inspection.as_ref().is_some_and(|inspection| inspection.lock().is_malformed())
    }

    /// The next request begins.
    pub(super) fn expect_head(&self) {
        self.limits.unfinished.set(0);
        if let Some(inspection) = &self.inspection {
            inspection.lock().expect_head();
            self.is_new_head.store(true, Ordering::Relaxed);
        }
    }

    /// Nobody knows when the next request comes.
    pub(super) fn shrink(&self) {
        if let Some(inspection) = &self.inspection {
            inspection.lock().shrink();
        }
    }

    /// Whether something can be read; for the last who asked it is woken.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.inspection.as_ref().is_some_and(|inspection| inspection.lock().has_bytes()) {
            return Poll::Ready(());
        }
        let channel = self.channel.lock();
        let wire = match &channel.io {
            Io::Plain(wire) => wire,
            // Bytes that rustls holds decrypted already.
            Io::Tls(tls) if !tls.get_ref().1.wants_read() => return Poll::Ready(()),
            Io::Tls(tls) => tls.get_ref().0,
            Io::Gone => return Poll::Ready(()),
        };
        if !wire.prefix().is_empty() {
            return Poll::Ready(());
        }
        // A socket that failed is to be read too.
        wire.socket.poll_read_ready(cx).map(drop)
    }

    /// Reads for HTTP/2, which has lengths for everything: only frames are counted that carry nothing of a request.
    fn poll_read_http2(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.channel.get_mut().io.poll_read(cx, buf))?;
        let Some(control) = &mut self.control else { return Poll::Ready(Ok(())) };
        let received = buf.filled().get(before..).unwrap_or_default();
        let is_within = control.receive(received, self.connection.is_granted());
        self.connection.signal.control.store(control.spent(), Ordering::Relaxed);
        if is_within {
            return Poll::Ready(Ok(()));
        }
        self.connection.signal.ends_for(Closed::ControlFrames);
        // Nothing of it is looked at.
        buf.set_filled(before);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "too many frames without a request")))
    }

    /// What was sent over HTTP/2 pays for frames of the client that say that it was taken.
    fn count_sent(&mut self, parts: &[IoSlice<'_>], sent: &Poll<io::Result<usize>>) {
        let (Some(control), Poll::Ready(Ok(sent))) = (&mut self.control, sent) else { return };
        let mut left = *sent;
        for part in parts {
            let taken = left.min(part.len());
            control.sent(part.get(..taken).unwrap_or_default());
            left -= taken;
        }
    }

    /// Gives the client up: it is sent this answer, and the connection ends.
    fn give_up(&mut self, cx: &mut Context<'_>, answer: &[u8], why: &'static str) -> io::Error {
        let channel = self.channel.get_mut();
        channel.out.extend_from_slice(answer);
        // What cannot be sent at once is sent when the connection is closed.
        let _ = channel.poll_send(cx);
        io::Error::new(io::ErrorKind::InvalidData, why)
    }

    /// Whether a head has taken too long; its time begins when nothing comes for the first time.
    fn poll_head_time(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let time = self.limits.time;
        if std::mem::take(self.is_new_head.get_mut()) {
            // What an earlier head was given says nothing of this one.
            if let Some(timer) = &mut self.head_timer {
                timer.as_mut().reset(Instant::now() + time);
            }
        }
        let timer = self.head_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        timer.as_mut().poll(cx)
    }

    /// Adds the frame that closes a WebSocket, if one may stand here; whether it did.
    fn close_websocket(&mut self, frame: &[u8]) -> bool {
        let may = !self.is_closed && self.frames.as_ref().is_some_and(Frames::is_between);
        if may {
            self.is_closed = true;
            self.channel.get_mut().out.extend_from_slice(frame);
        }
        may
    }

    /// Says to the client of a WebSocket that the process ends, where a frame may stand. The client answers it, and the
    /// app, to which the answer passes, ends both.
    fn go_away(&mut self, cx: &mut Context<'_>) {
        if self.connection.is_draining() && self.close_websocket(GOING_AWAY) {
            // What cannot be sent at once is sent with the next write, or when the connection is closed.
            let _ = self.channel.get_mut().poll_flush(cx);
        }
    }

    /// Sends what was gathered, for whoever knows that nothing more comes for now.
    pub(crate) fn poll_send_gathered(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.channel.lock().poll_flush(cx)
    }

    /// Says to the client that nothing more comes, while it may go on sending.
    pub(crate) fn poll_close_writing(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut channel = self.channel.lock();
        ready!(channel.poll_flush(cx))?;
        channel.io.poll_shutdown(cx)
    }

    /// What an app sends on a WebSocket.
    fn poll_write_frames(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_closed {
            // What was said may still wait for the client.
            let _ = self.channel.get_mut().poll_flush(cx);
            return Poll::Ready(Ok(bytes.len()));
        }
        let mut frames = self.frames.clone().unwrap_or_else(Frames::new);
        // Once the process ends, no further than to the end of this frame.
        let whole =
            if self.connection.is_draining() { frames.clone().next_boundary(bytes) } else { bytes.len() };
        let part = bytes.get(..whole).unwrap_or(bytes);
        let written = self.channel.get_mut().poll_gather(cx, part);
        if let Poll::Ready(Ok(count)) = &written {
            frames.follow(part.get(..*count).unwrap_or(part));
        }
        self.frames = Some(frames);
        self.go_away(cx);
        written
    }
}

impl Channel {
    /// The client does not take so many bytes for now.
    fn count_unsent(&mut self, bytes: usize) {
        let connection = &self.connection;
        self.unsent
            .get_or_insert_with(|| connection.nothing_unsent())
            .set(bytes as u64, bytes >= WRITE_BYTES);
    }

    /// Sends what was gathered, and what TLS made of it.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.out.is_empty() {
            ready!(self.poll_send(cx))?;
        }
        self.io.poll_flush(cx)
    }

    /// Gathers what is to be sent, and sends it when it is enough.
    fn poll_gather(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.out.len() + bytes.len() > WRITE_BYTES {
            let gathered = self.poll_send(cx)?;
            if gathered.is_pending() {
                let left = self.out.len().saturating_sub(self.sent);
                self.count_unsent(left + bytes.len());
                return Poll::Pending;
            }
            if bytes.len() >= WRITE_BYTES {
                let sent = self.io.poll_write(cx, bytes);
                if sent.is_pending() {
                    self.count_unsent(bytes.len());
                } else {
                    self.unsent = None;
                }
                return sent;
            }
        }
        if self.out.capacity() == 0 {
            self.out.reserve_exact(WRITE_BYTES);
        }
        self.out.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Sends what was gathered.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            let Poll::Ready(sent) = self.io.poll_write(cx, rest) else {
                let left = rest.len();
                self.count_unsent(left);
                return Poll::Pending;
            };
            match sent? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
        }
        self.sent = 0;
        // An idle connection holds no buffer.
        self.out = Vec::new();
        self.unsent = None;
        Poll::Ready(Ok(()))
    }
}

impl Io {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(wire) => Pin::new(wire).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }

    /// As [`poll_read`](Self::poll_read), for at most `room` bytes.
    fn poll_read_at_most(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() <= room {
            return self.poll_read(cx, buf);
        }
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(self.poll_read(cx, &mut part))?;
        let count = part.filled().len();
        buf.advance(count);
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(wire) => Pin::new(wire).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            // A socket has nothing to flush.
            Self::Plain(_) | Self::Gone => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(wire) => Pin::new(wire).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }

    fn socket(&self) -> Option<&tokio::net::TcpStream> {
        match self {
            Self::Plain(wire) => Some(&wire.socket),
            Self::Tls(tls) => Some(&tls.get_ref().0.socket),
            Self::Gone => None,
        }
    }
}

const TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain\r\nContent-Length: 46\r\nConnection: close\r\n\r\nThe head of this request is larger than taken.";
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain\r\nContent-Length: 39\r\nConnection: close\r\n\r\nThe head of this request took too long.";

impl AsyncRead for Conn {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.go_away(cx);
        let Some(inspection) = this.inspection.as_mut().map(Mutex::get_mut) else {
            return this.poll_read_http2(cx, buf);
        };
        if inspection.give_encoded(buf) {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let Next::Read(mut room) = inspection.next() else {
            // Whether the client goes away is all that may be learned now.
            if inspection.has_bytes() {
                return Poll::Pending;
            }
            ready!(this.channel.get_mut().io.poll_read(cx, buf))?;
            if buf.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            inspection.hold(buf, before);
            return Poll::Pending;
        };
        let head_received = inspection.head_received();
        if let Some(received) = head_received {
            room = this.limits.bytes.saturating_sub(received);
            if room == 0 {
                this.connection.signal.ends_for(Closed::HeadMax);
                return Poll::Ready(Err(this.give_up(cx, TOO_LARGE, "the head is too large")));
            }
        }
        match inspection.give_held(room, buf) {
            Ok(true) => return Poll::Ready(Ok(())),
            Ok(false) => {}
            Err(Malformed) => {
                buf.set_filled(before);
                return Poll::Ready(Err(malformed()));
            }
        }
        if this.channel.get_mut().io.poll_read_at_most(cx, room, buf)?.is_pending() {
            let Some(received) = head_received else { return Poll::Pending };
            this.limits.unfinished.set(received as u64);
            ready!(this.poll_head_time(cx));
            this.connection.signal.ends_for(Closed::HeadTime);
            let answer = if received == 0 { &[] } else { TOO_SLOW };
            return Poll::Ready(Err(this.give_up(cx, answer, "the head takes too long")));
        }
        if inspection.receive(buf, before).is_err() {
            buf.set_filled(before);
            return Poll::Ready(Err(malformed()));
        }
        Poll::Ready(Ok(()))
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a line of the chunked body is wrong")
}

impl AsyncWrite for Conn {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.has_written = true;
        if this.inspection.is_none() {
            // HTTP/2 gathers by itself.
            let sent = this.channel.get_mut().io.poll_write(cx, bytes);
            this.count_sent(&[IoSlice::new(bytes)], &sent);
            return sent;
        }
        if this.connection.signal.kind() == Kind::WebSocket {
            return this.poll_write_frames(cx, bytes);
        }
        this.channel.get_mut().poll_gather(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.inspection.is_some() {
            let first = bytes.iter().find(|part| !part.is_empty()).map_or(&[][..], |part| part);
            return Pin::new(this).poll_write(cx, first);
        }
        this.has_written = true;
        let sent = match &mut this.channel.get_mut().io {
            Io::Plain(wire) => Pin::new(wire).poll_write_vectored(cx, bytes),
            Io::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bytes),
            Io::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        };
        this.count_sent(bytes, &sent);
        sent
    }

    fn is_write_vectored(&self) -> bool {
        self.inspection.is_none()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().channel.get_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let channel = self.get_mut().channel.get_mut();
        ready!(channel.poll_send(cx))?;
        channel.io.poll_shutdown(cx)
    }
}

impl Drop for Conn {
    /// Wherever a connection is given up, what was written for its client is sent, and what the client may still be
    /// sending is read for a moment.
    fn drop(&mut self) {
        if self.connection.signal.is_cut() {
            return;
        }
        if let Some(code) = self.connection.signal.refused_for() {
            self.close_websocket(&policy_violated(code));
        }
        let is_unfinished =
            self.inspection.as_mut().is_some_and(|inspection| inspection.get_mut().is_unfinished());
        let channel = self.channel.get_mut();
        let owes = !channel.out.is_empty();
        if !(owes || is_unfinished && self.has_written) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let io = std::mem::replace(&mut channel.io, Io::Gone);
        let out = std::mem::take(&mut channel.out).split_off(channel.sent);
        let seat = self.seat.take();
        runtime.spawn(async move {
            let _ = tokio::time::timeout(LINGER, linger(io, &out)).await;
            drop(seat);
        });
    }
}

/// Sends what is left, says that it was the last, and reads on.
pub(super) async fn linger(io: Io, rest: &[u8]) -> io::Result<()> {
    async fn close(mut io: impl AsyncRead + AsyncWrite + Unpin, rest: &[u8]) -> io::Result<()> {
        io.write_all(rest).await?;
        io.shutdown().await?;
        let mut scrap = [0; 2048];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match io.read(&mut scrap).await? {
                0 => return Ok(()),
                count => left = left.saturating_sub(count),
            }
        }
        Ok(())
    }
    match io {
        Io::Plain(wire) => close(wire, rest).await,
        Io::Tls(tls) => close(*tls, rest).await,
        Io::Gone => Ok(()),
    }
}

#[async_trait]
impl Shutdown for Conn {
    async fn shutdown(&mut self) {
        // A client that takes nothing more is not waited for.
        let _ = tokio::time::timeout(LINGER, tokio::io::AsyncWriteExt::shutdown(self)).await;
    }
}

impl UniqueID for Conn {
    fn id(&self) -> i32 {
        self.channel.lock().io.socket().map_or(-1, |socket| socket.as_raw_fd())
    }
}

impl Ssl for Conn {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        None
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        Some(if self.inspection.is_some() { ALPN::H1 } else { ALPN::H2 })
    }
}

// What the hooks must know is in the proxy digest; nobody asks for the others.
impl GetTimingDigest for Conn {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Conn {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(Arc::clone(&self.digest))
    }
}

impl GetSocketDigest for Conn {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl Peek for Conn {}
