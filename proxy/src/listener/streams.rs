//! The streams of a connection of HTTP/2: those whose request is under way, and those whose answer is not taken yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Requests that a client may give up before it is asked how many it let finish.
const GIVEN_UP_FREE: u64 = 100;
/// How long the place stays taken of a request that was given up after its app was asked, where most are.
const GIVEN_UP_FOR: Duration = Duration::from_secs(1);

/// Streams under way.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: AtomicUsize,
    /// Those whose answer waits for events; they keep the connection open, and no other stream waits for them.
    waiting: AtomicUsize,
    /// Requests that were ever begun.
    begun: AtomicU64,
    /// Those that their client gave up after an app was asked.
    given_up: AtomicU64,
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

    /// One whose request is to be served.
    pub(super) fn serve(streams: &Arc<Streams>) -> Self {
        streams.begun.fetch_add(1, Ordering::Relaxed);
        Self::begin(streams)
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
    /// A client gave a request up that an app was asked. Who does that with most of its requests has its place back only a
    /// little later: a place that is free at once would let it ask as often as it can write, whatever limit streams have
    /// (CVE-2023-44487).
    pub(super) fn gave_up(self: &Arc<Self>) {
        let given_up = self.given_up.fetch_add(1, Ordering::Relaxed) + 1;
        if given_up <= GIVEN_UP_FREE || given_up.saturating_mul(2) <= self.begun.load(Ordering::Relaxed) {
            return;
        }
        let place = Stream::begin(self);
        tokio::spawn(async move {
            tokio::time::sleep(GIVEN_UP_FOR).await;
            drop(place);
        });
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_gives_up_most_requests_waits_for_their_places() {
        let streams = Arc::new(Streams::default());
        let give_up = |count: u64| {
            for _ in 0..count {
                let stream = Stream::serve(&streams);
                streams.gave_up();
                drop(stream);
            }
        };
        give_up(GIVEN_UP_FREE);
        assert_eq!(streams.open(), 0);
        give_up(7);
        // Nothing else runs before something is waited for.
        assert_eq!(streams.open(), 7);
        while streams.open() > 0 {
            streams.changed().await;
        }
        // Who lets as many finish is not held up.
        for _ in 0..GIVEN_UP_FREE + 9 {
            drop(Stream::serve(&streams));
        }
        give_up(2);
        assert_eq!(streams.open(), 0);
    }
}
