//! A thread that writes for everybody: what waits is written together, with one flush to disk.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::outage::{Operation, StoreFault, StoreUnavailable};

/// What may wait; more is refused.
const QUEUE_MAX: usize = 4096;
/// What is written together at most.
pub(super) const BATCH_MAX: usize = 256;
/// How often it is looked whether a file has changed hands.
const GATE_LOOK: Duration = Duration::from_millis(5);
/// How long anybody waits for an answer.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(1);

/// Sends work to the thread. The thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Worker<W> {
    sender: SyncSender<W>,
    gate: Gate,
}

/// Holds those who ask back while a file changes hands: for a moment, not for long.
#[derive(Debug, Default)]
pub(super) struct Gate(AtomicBool);

impl Gate {
    /// Nobody passes from now on, or everybody does again.
    pub(super) fn close(&self, is_closed: bool) {
        self.0.store(is_closed, Ordering::Release);
    }

    /// Waits until it is open, or for as long as an answer may take.
    pub(super) async fn passed(&self) {
        let end = Instant::now() + ANSWER_TIME;
        while self.0.load(Ordering::Acquire) && Instant::now() < end {
            sleep(GATE_LOOK).await;
        }
    }
}

impl<W: Send + 'static> Worker<W> {
    /// Starts the thread; `work` is called with everything that waits.
    pub(super) fn start(name: &str, mut work: impl FnMut(Vec<W>) + Send + 'static) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        let run = move || {
            while let Some(batch) = next(&receiver) {
                work(batch);
            }
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { sender, gate: Gate::default() })
    }

    /// What holds those who ask back.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Asks for what is answered when it is done, however long that takes; the queue is no bound.
    pub(super) fn tell(&self, work: W) {
        // A thread that has ended drops what it is sent, and whoever waits for an answer sees that.
        let _ = self.sender.send(work);
    }

    /// Asks, and waits for the answer. `make` is given where the answer goes.
    pub(super) async fn ask<T>(
        &self,
        operation: Operation,
        make: impl FnOnce(oneshot::Sender<Result<T, StoreFault>>) -> W,
    ) -> Result<T, StoreUnavailable> {
        self.gate.passed().await;
        let fail = |fault| StoreUnavailable { operation, fault };
        let (answer, answered) = oneshot::channel();
        self.sender.try_send(make(answer)).map_err(|problem| {
            fail(match problem {
                TrySendError::Full(_) => StoreFault::Timeout,
                TrySendError::Disconnected(_) => StoreFault::NotOpen,
            })
        })?;
        match timeout(ANSWER_TIME, answered).await {
            Ok(Ok(answer)) => answer.map_err(fail),
            // It was not answered: the batch failed.
            Ok(Err(_)) => Err(fail(StoreFault::Disk)),
            Err(_) => Err(fail(StoreFault::Timeout)),
        }
    }
}

/// All that waits, once anything does.
fn next<W>(receiver: &Receiver<W>) -> Option<Vec<W>> {
    let first = receiver.recv().ok()?;
    Some(std::iter::once(first).chain(receiver.try_iter().take(BATCH_MAX - 1)).collect())
}
