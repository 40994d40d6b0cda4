//! Whose work is next on a worker, where it is much or nobody knows whose it is: TLS handshakes, whose arithmetic takes as long as many
//! requests, requests on connections on which none was let in, and long bodies that move without a pause. Whoever opens hundreds
//! of connections at once would have everybody else wait for all of theirs. One step of one of them is done at a time, and then
//! whatever else there is to do; clients have their turns one after the other, however much each has begun.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use ahash::AHashMap;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

/// The turns of one worker. Nobody else asks for them, so that its lock is free.
#[derive(Debug)]
pub(super) struct Turns {
    queue: Mutex<Queue>,
    /// How many wait, on all workers.
    waiting: &'static AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    is_taken: bool,
    /// Whose turn comes next; each once.
    clients: VecDeque<u64>,
    /// Those of a client, the first first; none is empty.
    waiting: AHashMap<u64, VecDeque<oneshot::Sender<Turn>>>,
}

impl Queue {
    fn push(&mut self, client: u64, waiter: oneshot::Sender<Turn>) {
        let waiting = self.waiting.entry(client).or_default();
        if waiting.is_empty() {
            self.clients.push_back(client);
        }
        waiting.push_back(waiter);
    }

    /// The next that is still there.
    fn pop(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(client) = self.clients.pop_front() {
            let Some(waiting) = self.waiting.get_mut(&client) else { continue };
            let next = std::iter::from_fn(|| waiting.pop_front()).find(|waiter| !waiter.is_closed());
            if waiting.is_empty() {
                self.waiting.remove(&client);
            } else {
                self.clients.push_back(client);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

/// A turn; the next one's begins when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Turns>);

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        let next = queue.pop();
        queue.is_taken = next.is_some();
        drop(queue);
        if let Some(next) = next {
            // Whoever has gone gives it back, and it goes on to the next.
            drop(next.send(Self(Arc::clone(&self.0))));
        }
    }
}

/// One that waits, as it is counted.
struct Waiting(&'static AtomicU64);

impl Waiting {
    fn begin(count: &'static AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turns {
    /// Nobody waits; whoever will is counted in `waiting`.
    pub(super) fn new(waiting: &'static AtomicU64) -> Self {
        Self { queue: Mutex::default(), waiting }
    }

    /// Waits for a turn. `None`: nobody has turns to give any more.
    pub(super) async fn take(self: &Arc<Self>, client: u64) -> Option<Turn> {
        let turn = {
            let mut queue = self.queue.lock();
            if !queue.is_taken {
                queue.is_taken = true;
                return Some(Turn(Arc::clone(self)));
            }
            let (waiter, turn) = oneshot::channel();
            queue.push(client, waiter);
            turn
        };
        let _waiting = Waiting::begin(self.waiting);
        turn.await.ok()
    }

    /// Does the work of this client, each step in a turn: from when something is there until something is waited for. Once it
    /// `is_known`, what is left needs none.
    pub(super) async fn by<T>(
        self: &Arc<Self>,
        client: u64,
        is_known: impl Fn() -> bool,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = pin!(work);
        let woken = Arc::new(Woken(Notify::new()));
        let waker = Waker::from(Arc::clone(&woken));
        loop {
            let turn = self.take(client).await;
            let step = work.as_mut().poll(&mut Context::from_waker(&waker));
            // Whatever waits already, and what has come meanwhile, goes before the next turn.
            tokio::task::yield_now().await;
            drop(turn);
            if let Poll::Ready(done) = step {
                return done;
            }
            if is_known() {
                return work.await;
            }
            woken.0.notified().await;
        }
    }
}

/// Whether there is a next step to do.
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    fn turns() -> Arc<Turns> {
        Arc::new(Turns::new(Box::leak(Box::default())))
    }

    const FLOOD: u64 = 1;
    const OTHER: u64 = 2;

    /// What was done, in order, when this work was begun in order.
    async fn order(begun: impl IntoIterator<Item = (u64, &'static str)>) -> Vec<&'static str> {
        let turns = turns();
        let done = Arc::<Mutex<Vec<&'static str>>>::default();
        let begin = |(client, name): (u64, &'static str)| {
            let (turns, done) = (Arc::clone(&turns), Arc::clone(&done));
            tokio::spawn(async move { turns.by(client, || false, async { done.lock().push(name) }).await })
        };
        let tasks: Vec<_> = begun.into_iter().map(begin).collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(turns.queue.lock().waiting.is_empty() && !turns.queue.lock().is_taken);
        Arc::try_unwrap(done).unwrap().into_inner()
    }

    #[tokio::test]
    async fn a_client_with_hundreds_of_handshakes_delays_another_by_one() {
        let flood = std::iter::repeat_n((FLOOD, "flood"), 500);
        let done = order(flood.chain([(OTHER, "other"), (OTHER, "another")])).await;
        let at = |name| done.iter().position(|one| *one == name).unwrap();
        // The flood's first has its turn already when the others come.
        assert_eq!((at("other"), at("another"), done.len()), (2, 4, 502));
    }

    #[tokio::test]
    async fn what_else_there_is_to_do_goes_before_the_next_turn() {
        let turns = turns();
        let done = Arc::<Mutex<Vec<String>>>::default();
        let other = tokio::spawn({
            let done = Arc::clone(&done);
            async move {
                for turn in 0..20 {
                    done.lock().push(format!("request {turn}"));
                    tokio::task::yield_now().await;
                }
            }
        });
        let handshakes: Vec<_> = (0..10)
            .map(|_| {
                let (turns, done) = (Arc::clone(&turns), Arc::clone(&done));
                tokio::spawn(async move {
                    turns.by(FLOOD, || false, async { done.lock().push("handshake".to_owned()) }).await;
                })
            })
            .collect();
        other.await.unwrap();
        for handshake in handshakes {
            handshake.await.unwrap();
        }
        let done = done.lock();
        let is_handshake = |name: &String| name == "handshake";
        assert!(!done.windows(2).any(|pair| pair.iter().all(is_handshake)), "{done:?}");
        assert_eq!(done.iter().filter(|name| is_handshake(name)).count(), 10);
    }

    #[tokio::test]
    async fn a_step_that_waits_leaves_the_turn_to_others() {
        let turns = turns();
        let (answer, answered) = oneshot::channel();
        let slow = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { turns.by(FLOOD, || false, answered).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(turns.by(OTHER, || false, async { 7 }).await, 7);
        answer.send(8).unwrap();
        assert_eq!(slow.await.unwrap(), Ok(8));
    }

    #[tokio::test]
    async fn whoever_is_known_by_now_needs_no_turn() {
        let turns = turns();
        let (answer, answered) = oneshot::channel();
        let is_known = Arc::<AtomicBool>::default();
        let known = tokio::spawn({
            let (turns, is_known) = (Arc::clone(&turns), Arc::clone(&is_known));
            async move {
                let work = async {
                    is_known.store(true, Ordering::Relaxed);
                    answered.await
                };
                turns.by(FLOOD, || is_known.load(Ordering::Relaxed), work).await
            }
        });
        while !is_known.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        let taken = turns.take(OTHER).await;
        answer.send(8).unwrap();
        assert_eq!(known.await.unwrap(), Ok(8));
        drop(taken);
    }

    #[tokio::test]
    async fn whoever_goes_leaves_its_turn_and_its_place() {
        let turns = turns();
        let taken = turns.take(FLOOD).await;
        let begin = |client| {
            let turns = Arc::clone(&turns);
            tokio::spawn(async move { turns.by(client, || false, std::future::ready(())).await })
        };
        let gone: Vec<_> = (0..100).map(|_| begin(FLOOD)).collect();
        let stays = begin(OTHER);
        let gone_too = begin(3);
        while turns.waiting.load(Ordering::Relaxed) < 102 {
            tokio::task::yield_now().await;
        }
        for task in gone.iter().chain([&gone_too]) {
            task.abort();
        }
        while turns.waiting.load(Ordering::Relaxed) > 1 {
            tokio::task::yield_now().await;
        }
        drop(taken);
        stays.await.unwrap();
        assert!(turns.take(FLOOD).await.is_some());
        assert!(turns.queue.lock().waiting.is_empty());
        assert_eq!(turns.waiting.load(Ordering::Relaxed), 0);
    }
}
