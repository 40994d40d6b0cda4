//! The streams of a connection of HTTP/2: those whose request is under way, and those whose answer is not taken yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Streams under way.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: AtomicUsize,
    /// One of them ended, or more of them may begin.
    changed: Notify,
}

pub(super) struct Stream(Arc<Streams>);

impl Stream {
    pub(super) fn begin(streams: &Arc<Streams>) -> Self {
        streams.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(streams))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_one();
    }
}

impl Streams {
    pub(super) fn open(&self) -> u32 {
        u32::try_from(self.open.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
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
