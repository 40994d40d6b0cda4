//! The streams of a connection of HTTP/2: those whose request is under way, and those whose answer is not taken yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Streams under way.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: AtomicUsize,
    /// The last of them ended.
    ended: Notify,
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
        if self.0.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.ended.notify_one();
        }
    }
}

impl Streams {
    pub(super) fn open(&self) -> u32 {
        u32::try_from(self.open.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }

    /// Ends when there has been no stream for so long.
    pub(super) async fn idle(&self, time: Duration) {
        while self.open.load(Ordering::Relaxed) != 0 {
            self.ended.notified().await;
        }
        tokio::time::sleep(time).await;
    }
}
