//! Lines that wait for a sink: a queue that is bounded in bytes, and one thread that writes. No request waits for
//! a disk; lines that do not fit are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

use portcullis_config::settings::LogSink;

use super::sink::Sink;

/// Lines that may wait for the sink.
pub(super) const LINES_MAX: usize = 8_192;
/// Bytes that the waiting lines may take, all together.
pub(crate) const BYTES_MAX: usize = 16 << 20;
/// Lines between two looks at whether the file is still in its place.
const BATCH_MAX: usize = 1_024;
/// How long the thread lets lines gather before it looks again. It is woken by the first line after a silence
/// only: a wake-up for each costs more than all else of a line.
const GATHERING: Duration = Duration::from_millis(20);
/// The longest that the end of the process waits for lines that are queued.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// What can be written as a line.
pub(super) trait Line: Send + 'static {
    /// About how many bytes it takes while it waits.
    fn weight(&self) -> usize;
    /// Appends it, without a line end.
    fn write(&self, line: &mut Vec<u8>) -> std::io::Result<()>;
}

/// A queue, and the thread at its end.
#[derive(Debug)]
pub(super) struct Lines<L> {
    queue: SyncSender<Message<L>>,
    counts: Arc<Counts>,
}

#[derive(Debug)]
enum Message<L> {
    Line(Box<L>, usize),
    /// Answered when everything before it is written.
    Flush(std::sync::mpsc::Sender<()>),
}

/// What became of lines.
#[derive(Debug, Default)]
pub(super) struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    /// Bytes of the lines that wait.
    waiting: AtomicUsize,
}

impl Counts {
    /// Written, dropped, failed.
    pub(super) fn read(&self) -> [u64; 3] {
        [&self.written, &self.dropped, &self.failed].map(|count| count.load(Ordering::Relaxed))
    }
}

impl<L: Line> Lines<L> {
    /// Opens the sink and starts the thread; `None` when the sink is off. `name` is what the log is called.
    ///
    /// # Errors
    /// When the sink cannot be opened, or no thread can be started.
    pub(super) fn open(sink: &LogSink, name: &'static str) -> std::io::Result<Option<Self>> {
        let Some(sink) = Sink::open(sink)? else { return Ok(None) };
        let (queue, messages) = sync_channel(LINES_MAX);
        let counts = Arc::new(Counts::default());
        let counting = Arc::clone(&counts);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || write(&messages, sink, &counting, name))?;
        Ok(Some(Self { queue, counts }))
    }

    /// Bytes of the lines that wait.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.counts.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn counts(&self) -> [u64; 3] {
        self.counts.read()
    }

    /// Hands a line over, or counts it as dropped.
    pub(super) fn push(&self, line: L) {
        let weight = line.weight();
        let counts = &self.counts;
        let before = counts.waiting.fetch_add(weight, Ordering::Relaxed);
        let sent = before.saturating_add(weight) <= BYTES_MAX
            && self.queue.try_send(Message::Line(Box::new(line), weight)).is_ok();
        if !sent {
            counts.waiting.fetch_sub(weight, Ordering::Relaxed);
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was handed over is written, but not long. Blocks: for the end of the process.
    pub(super) fn flush(&self) {
        let (done, written) = channel();
        let started = Instant::now();
        while let Err(TrySendError::Full(_)) = self.queue.try_send(Message::Flush(done.clone())) {
            if started.elapsed() > FLUSH_MAX {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // If the sink hangs, what it did not take is lost with the process.
        let _ = written.recv_timeout(FLUSH_MAX);
    }
}

fn write<L: Line>(messages: &Receiver<Message<L>>, mut sink: Sink, counts: &Counts, name: &str) {
    let (mut is_reported, mut line) = (false, Vec::new());
    let mut next = messages.recv().ok();
    while next.is_some() {
        let (mut batch, mut seen, mut waiting, mut problem) = (0, 0, Vec::new(), None);
        sink.begin();
        while let Some(message) = next.take() {
            match message {
                Message::Line(entry, weight) => {
                    line.clear();
                    match entry.write(&mut line).and_then(|()| sink.line(&line)) {
                        Ok(()) => batch += 1,
                        Err(found) => {
                            counts.failed.fetch_add(1, Ordering::Relaxed);
                            problem = Some(found);
                        }
                    }
                    drop(entry);
                    counts.waiting.fetch_sub(weight, Ordering::Relaxed);
                }
                Message::Flush(done) => waiting.push(done),
            }
            seen += 1;
            if seen >= BATCH_MAX {
                break;
            }
            next = messages.try_recv().ok();
        }
        match sink.flush() {
            Ok(()) => counts.written.fetch_add(batch, Ordering::Relaxed),
            Err(found) => {
                problem = Some(found);
                counts.failed.fetch_add(batch, Ordering::Relaxed)
            }
        };
        // Once for each time that it begins to fail: the counter has the number.
        if let (Some(problem), false) = (&problem, is_reported) {
            tracing::error!(%problem, "the {name} cannot be written");
        }
        is_reported = problem.is_some();
        for done in waiting {
            // The receiver may be gone.
            let _ = done.send(());
        }
        next = messages.try_recv().ok();
        if next.is_none() {
            std::thread::sleep(GATHERING);
            next = messages.recv().ok();
        }
    }
}
