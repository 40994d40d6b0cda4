//! One connection: what its task does beside moving frames, and what requests know of it.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Ping, PingPong};
use pingora::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::super::fault::Fault;
use super::super::fields::{FIELDS_MAX, HEAD_BYTES_MAX};
use super::{CONNECTION_WINDOW, SEND_BUFFER_BYTES, STREAM_WINDOW, STREAMS_MAX};
use crate::failure::NetworkFailure;

/// How long a connection with open streams may be silent before it is asked whether it is alive.
const SILENCE: Duration = Duration::from_secs(30);
/// How long the answer to that may take.
const PONG_TIME: Duration = Duration::from_secs(10);
/// How long until it is asked again, if nothing but the answer came: servers of gRPC close connections on which they are
/// asked more often.
const PING_EVERY: Duration = Duration::from_secs(310);
/// How long the server may take to close a connection that serves nobody.
const GOODBYE: Duration = Duration::from_secs(5);
/// Requests that were given up on a connection, after which it takes no others: some servers close one, with all that it
/// serves, on which many are.
const GIVEN_UP_MAX: u32 = 100;
/// The head of an answer at most, as HTTP/2 counts it: 32 bytes more for each field.
#[expect(clippy::cast_possible_truncation, reason = "100 fields and 64 KiB")]
const HEAD_LIST_BYTES_MAX: u32 = (HEAD_BYTES_MAX + 32 * FIELDS_MAX) as u32;

/// What the task of a connection and its streams tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Streams that are open, as we count them.
    open: AtomicUsize,
    /// Streams that may be; 0 until the server has sent its settings.
    limit: AtomicUsize,
    /// Streams that were ever begun.
    begun: AtomicU64,
    /// Bytes that came.
    received: AtomicU64,
    /// Requests that were given up.
    given_up: AtomicU32,
    /// It takes no more requests.
    is_retired: AtomicBool,
    /// The server did not answer when it was asked whether it is alive.
    is_dead: AtomicBool,
    /// The first settings came.
    ready: Notify,
}

impl Shared {
    /// Takes a place for a stream.
    fn enter(&self) -> bool {
        if self.is_retired.load(Ordering::Relaxed) {
            return false;
        }
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let is_in = before < self.limit.load(Ordering::Relaxed);
        if is_in {
            self.begun.fetch_add(1, Ordering::Relaxed);
        } else {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
        is_in
    }

    fn set_limit(&self, limit: usize) {
        let limit = limit.min(STREAMS_MAX);
        if self.limit.swap(limit, Ordering::Relaxed) == 0 && limit > 0 {
            self.ready.notify_one();
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Lets it take no more requests; those under way go on.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }

    /// Notes that a request was given up, and whether nothing at all came while it waited.
    pub(super) fn gave_up(&self, in_silence: bool) {
        if self.given_up.fetch_add(1, Ordering::Relaxed) + 1 >= GIVEN_UP_MAX || in_silence {
            self.retire();
        }
    }

    /// The fault of a stream.
    pub(super) fn fault(&self, problem: h2::Error) -> Fault {
        if self.is_dead.load(Ordering::Relaxed) {
            return Fault::Timeout(NetworkFailure::Timeout);
        }
        problem.into()
    }
}

/// A connection that takes requests. When the last of its owners has gone, it says goodbye.
pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    is_tls: bool,
    pub(super) shared: Arc<Shared>,
}

/// A place for one stream on a connection.
pub(crate) struct Slot {
    /// First, so that the connection is not left before its last stream.
    sender: SendRequest<Bytes>,
    connection: Arc<Connection>,
    is_reused: bool,
}

impl Slot {
    /// `None` where there is no room, or the server takes no new requests.
    pub(super) fn of(connection: &Arc<Connection>) -> Option<Self> {
        if !connection.shared.enter() {
            return None;
        }
        let is_reused = connection.shared.begun.load(Ordering::Relaxed) > 1;
        let mut slot =
            Self { sender: connection.sender.clone(), connection: Arc::clone(connection), is_reused };
        // Waits for nothing, as places are counted here: it says whether the connection ends (RFC 9113, section 6.8).
        match slot.sender.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Some(slot),
            Poll::Ready(Err(_)) | Poll::Pending => {
                connection.shared.retire();
                None
            }
        }
    }

    /// Whether the connection served another request before.
    pub(in super::super) const fn is_reused(&self) -> bool {
        self.is_reused
    }

    pub(super) fn is_tls(&self) -> bool {
        self.connection.is_tls
    }

    pub(super) const fn sender(&mut self) -> &mut SendRequest<Bytes> {
        &mut self.sender
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.connection.shared
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connection.shared.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Speaks HTTP/2 over a stream, and waits until the server has said what it takes. The connection's task calls `ended`
/// when the connection takes no more requests, and closes it when it was idle for so long.
///
/// # Errors
/// When the server does not speak HTTP/2, or says nothing within `time`.
pub(super) async fn open(
    stream: Stream,
    time: Duration,
    idle: Duration,
    ended: impl FnOnce(&Arc<Shared>) + Send + 'static,
) -> Result<Arc<Connection>, Fault> {
    let shared = Arc::new(Shared::default());
    let is_tls = stream.selected_alpn_proto().is_some();
    let io = Counted { stream, shared: Arc::clone(&shared) };
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        // None before the server has sent its settings.
        .initial_max_send_streams(0)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEAD_LIST_BYTES_MAX)
        .max_send_buffer_size(SEND_BUFFER_BYTES);
    let deadline = Instant::now() + time;
    let Ok(begun) = tokio::time::timeout_at(deadline, builder.handshake(io)).await else {
        return Err(SILENT);
    };
    let (sender, connection) = begun?;
    let task = tokio::spawn(Task::new(connection, Arc::clone(&shared), idle).run(ended));
    let opened = Arc::new(Connection { sender, is_tls, shared });
    tokio::select! {
        biased;
        () = opened.shared.ready.notified() => Ok(opened),
        why = task => Err(why.ok().flatten().map_or(Fault::Closed, Fault::from)),
        () = tokio::time::sleep_until(deadline) => Err(SILENT),
    }
}

/// It says nothing in HTTP/2.
const SILENT: Fault = Fault::Timeout(NetworkFailure::ConnectTimeout);

type Frames = h2::client::Connection<Counted, Bytes>;

/// What a connection's task holds.
struct Task {
    frames: Frames,
    shared: Arc<Shared>,
    pings: Option<PingPong>,
    ping: Asked,
    idle: Duration,
}

/// Whether the server was asked if it is alive.
#[derive(Clone, Copy, Debug)]
enum Asked {
    No,
    /// Since then it owes the answer; so many bytes had come.
    Since(Instant, u64),
    /// Then it answered, and so many bytes had come.
    Answered(Instant, u64),
}

impl Task {
    fn new(mut frames: Frames, shared: Arc<Shared>, idle: Duration) -> Self {
        let pings = frames.ping_pong();
        Self { frames, shared, pings, ping: Asked::No, idle }
    }

    /// Moves frames until the connection ends; why it did, unless as usual.
    async fn run(mut self, ended: impl FnOnce(&Arc<Shared>)) -> Option<h2::Error> {
        let why = self.serve().await;
        self.shared.retire();
        ended(&self.shared);
        let why = match why {
            Some(why) => why,
            // Nobody owns it any more, or soon nobody will: what is open is served, and then it closes itself.
            None => self.close().await,
        };
        tracing::debug!(problem = ?why, "a connection to an upstream ended");
        why
    }

    /// Until it takes no more requests: it ended, and why, or else nobody uses it.
    async fn serve(&mut self) -> Option<Option<h2::Error>> {
        let mut idle_timer = pin!(sleep(self.idle));
        let mut begun = 0;
        let mut silence_timer = pin!(sleep(SILENCE));
        let mut received = 0;
        loop {
            tokio::select! {
                biased;
                ended = self.frames() => return Some(ended.err()),
                () = idle_timer.as_mut() => {
                    let begun_by_now = self.shared.begun.load(Ordering::Relaxed);
                    if self.shared.open.load(Ordering::Relaxed) == 0 && begun == begun_by_now {
                        return None;
                    }
                    begun = begun_by_now;
                    idle_timer.as_mut().reset(Instant::now() + self.idle);
                }
                () = silence_timer.as_mut() => {
                    if !self.is_alive(&mut received, silence_timer.as_mut()) {
                        self.shared.is_dead.store(true, Ordering::Relaxed);
                        return Some(None);
                    }
                }
            }
            if self.shared.is_retired() {
                return None;
            }
        }
    }

    /// Moves frames until the connection has ended.
    async fn frames(&mut self) -> Result<(), h2::Error> {
        std::future::poll_fn(|cx| {
            let polled = Pin::new(&mut self.frames).poll(cx);
            self.shared.set_limit(self.frames.max_concurrent_send_streams());
            if let (Asked::Since(..), Some(pings)) = (self.ping, &mut self.pings)
                && pings.poll_pong(cx).is_ready()
            {
                self.ping = Asked::Answered(Instant::now(), self.shared.received());
            }
            polled
        })
        .await
    }

    /// Looks whether anything came, asks the server if nothing did, and sets when to look again. `received` is what had come
    /// when it was looked last. Not alive is who owes the answer for too long.
    fn is_alive(&mut self, received: &mut u64, mut timer: Pin<&mut Sleep>) -> bool {
        let now = Instant::now();
        let by_now = self.shared.received();
        let is_silent = std::mem::replace(received, by_now) == by_now;
        let mut next = SILENCE;
        match self.ping {
            // Whatever came says that it is alive.
            Asked::Since(_, count) if count != by_now => self.ping = Asked::Answered(now, by_now),
            Asked::Since(since, _) if now >= since + PONG_TIME => return false,
            Asked::Since(since, _) => next = since + PONG_TIME - now,
            Asked::Answered(then, count) if count == by_now && now < then + PING_EVERY => {}
            Asked::No | Asked::Answered(..) => {
                let is_used = self.shared.open.load(Ordering::Relaxed) > 0;
                let asked = self.pings.as_mut().filter(|_| is_silent && is_used);
                if asked.is_some_and(|pings| pings.send_ping(Ping::opaque()).is_ok()) {
                    self.ping = Asked::Since(now, by_now);
                    next = PONG_TIME;
                }
            }
        }
        timer.as_mut().reset(now + next);
        true
    }

    /// Serves what is open, then closes.
    async fn close(&mut self) -> Option<h2::Error> {
        let mut silence_timer = pin!(sleep(SILENCE));
        let mut received = 0;
        loop {
            if self.shared.open.load(Ordering::Relaxed) == 0 {
                return timeout(GOODBYE, self.frames()).await.ok().and_then(Result::err);
            }
            tokio::select! {
                biased;
                ended = self.frames() => return ended.err(),
                () = silence_timer.as_mut() => {
                    if !self.is_alive(&mut received, silence_timer.as_mut()) {
                        self.shared.is_dead.store(true, Ordering::Relaxed);
                        return None;
                    }
                }
            }
        }
    }
}

/// Counts what comes.
struct Counted {
    stream: Stream,
    shared: Arc<Shared>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let count = buffer.filled().len() - before;
        if count > 0 {
            self.shared.received.fetch_add(count as u64, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
