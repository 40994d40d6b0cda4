//! What is said to a connection from outside: that the process ends, or that it must go now. Its task is woken for it, so
//! that no request waits on a channel for something that comes once.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::record::Closed;

/// One connection, as the process sees it.
#[derive(Debug, Default)]
pub(super) struct Signal {
    /// The connection's task, from its first poll on.
    task: Mutex<Option<Waker>>,
    draining: AtomicBool,
    cut: AtomicBool,
    /// The position in [`Closed::ALL`] of why it ends; 0 is the usual end.
    why: AtomicU8,
    /// Bytes of answers that its client has not taken.
    pub(super) unsent: AtomicU64,
    /// The same, and what is read ahead behind them.
    pub(super) held: AtomicU64,
    /// Bytes of a head that is not complete.
    pub(super) head: AtomicU64,
    /// Frames of HTTP/2 that carry nothing of a request, of those that it may send at once.
    pub(super) control: AtomicU64,
    /// Requests under way on it.
    requests: AtomicU32,
    kind: AtomicU8,
    /// It is a WebSocket that may not go on: the code of why, and one more; 0 is that it may.
    refused: AtomicU32,
    /// A request that came on it was let in.
    granted: AtomicBool,
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing yet.
    Arriving,
    Http1,
    Http2,
    WebSocket,
}

const KINDS: [Kind; 4] = [Kind::Arriving, Kind::Http1, Kind::Http2, Kind::WebSocket];

impl Signal {
    /// The process ends: what is idle closes, and what is under way says that it is the last.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.wake();
    }

    /// The connection goes now, whatever is under way on it.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Notes why the connection ends; the first reason counts.
    pub(super) fn ends_for(&self, why: Closed) {
        // Whoever lost has nothing to add.
        let _ = self.why.compare_exchange(0, why as u8, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn why(&self) -> Closed {
        let at = usize::from(self.why.load(Ordering::Relaxed));
        Closed::ALL.get(at).copied().unwrap_or(Closed::Ended)
    }

    pub(super) fn set_kind(&self, kind: Kind) {
        self.kind.store(kind as u8, Ordering::Relaxed);
    }

    pub(super) fn kind(&self) -> Kind {
        let at = usize::from(self.kind.load(Ordering::Relaxed));
        KINDS.get(at).copied().unwrap_or(Kind::Arriving)
    }

    /// It is a WebSocket that may not go on.
    pub(super) fn refuse(&self, code: u32) {
        self.refused.store(code.saturating_add(1), Ordering::Relaxed);
    }

    /// The code of why it may not go on.
    pub(super) fn refused_for(&self) -> Option<u32> {
        self.refused.load(Ordering::Relaxed).checked_sub(1)
    }

    /// A request that came on it was let in.
    pub(super) fn grant(&self) {
        self.granted.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_granted(&self) -> bool {
        self.granted.load(Ordering::Relaxed)
    }

    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// A request begins; it ends when the guard is dropped.
    pub(super) fn request(&self) -> UnderWay<'_> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    /// The connection's task looks again at what it waits for.
    pub(super) fn wake(&self) {
        if let Some(task) = &*self.task.lock() {
            task.wake_by_ref();
        }
    }
}

/// A request under way.
pub(super) struct UnderWay<'a>(&'a Signal);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs a connection until it ends, or must go. To be the whole of a task: its waker is taken once.
pub(super) async fn until_cut(signal: &Signal, connection: impl Future<Output = ()>) {
    let mut connection = std::pin::pin!(connection);
    let mut is_known = false;
    std::future::poll_fn(|cx| {
        if !is_known {
            is_known = true;
            *signal.task.lock() = Some(cx.waker().clone());
        }
        if signal.is_cut() { Poll::Ready(()) } else { connection.as_mut().poll(cx) }
    })
    .await;
}

/// Ends when the process drains. Awake on every poll of the connection's task, it needs no waker.
pub(super) struct Draining<'a>(pub(super) &'a Signal);

impl Future for Draining<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        if self.0.is_draining() { Poll::Ready(()) } else { Poll::Pending }
    }
}
