//! The streams of a connection of HTTP/2: those whose request is under way, and those whose answer is not taken yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Streams under way.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: AtomicUsize,
    /// Those whose answer waits for events; they keep the connection open, and no other stream waits for them.
    waiting: AtomicUsize,
    /// One of them ended, or more of them may begin.
    changed: Notify,
}

pub(super) struct Stream {
    streams: Arc<Streams>,
    waits: bool,
}

impl Stream {
    pub(super) fn begin(streams: &Arc<Streams>) -> Self {
        streams.open.fetch_add(1, Ordering::Relaxed);
        Self { streams: Arc::clone(streams), waits: false }
    }

    /// One whose request is over, and whose answer goes on.
    pub(super) fn begin_waiting(streams: &Arc<Streams>) -> Self {
        streams.waiting.fetch_add(1, Ordering::Relaxed);
        Self { streams: Arc::clone(streams), waits: true }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let count = if self.waits { &self.streams.waiting } else { &self.streams.open };
        count.fetch_sub(1, Ordering::Relaxed);
        self.streams.changed.notify_one();
    }
}

impl Streams {
    pub(super) fn open(&self) -> u32 {
        u32::try_from(self.open.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }

    /// Whether nothing is under way, and nothing waits for events.
    pub(super) fn are_idle(&self) -> bool {
        self.open() == 0 && self.waiting.load(Ordering::Relaxed) == 0
    }

    /// More of them may begin now.
    pub(super) fn look(&self) {
        self.changed.notify_one();
    }

    /// Ends when one of them has ended, or more may begin.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}
