//! The decision log: one line of JSON for each refusal, each report-only finding and, where asked
//! for, a sample of the requests that were let in.
//!
//! Writing never holds a request up: entries go through a bounded queue to one thread, and what
//! does not fit is counted. Values are JSON-escaped, so no client can forge a line. Tokens,
//! cookies and query strings are never in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

use portcullis_config::settings;
use serde::Serialize;

use super::Case;
use super::case::without_absent;
use super::sink::Sink;

/// Entries that may wait for the sink.
const QUEUE: usize = 8_192;
/// How long the thread lets entries gather before it looks again. It is woken by the first entry after a
/// silence only: a wake-up for each costs more than all else of an entry.
const GATHERING: Duration = Duration::from_millis(20);
/// The longest that the end of the process waits for entries under way.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// One decision, in Entra's field names where Entra has them.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Version of this format.
    pub version: u8,
    /// UTC, ISO 8601.
    pub created_date_time: String,
    /// The id on page and header.
    pub request_id: String,
    /// `granted`, `denied`, …
    pub outcome: &'static str,
    /// The closed word for why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The number on the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u32>,
    /// HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Every reason that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<&'static str>,
    /// The app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// The user's or program's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// Its country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The platform that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_platform: Option<&'static str>,
    /// The kind of client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_app_used: Option<&'static str>,
    /// The device's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// Whether the device is compliant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_compliant: Option<bool>,
    /// Method and path, without the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path, without the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Which configuration decided.
    pub policy_generation: u64,
    /// The digest of its policies.
    pub policies_digest: String,
    /// How many such refusals there were within ten minutes, this one included; see [`is_logged`].
    /// 0 for a request that was let in.
    pub repeats: u32,
    /// Everything that was decided on, so that it can be decided again.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "without_absent")]
    pub facts: Option<Box<Case>>,
    /// Policies that applied, with their results.
    pub applied_conditional_access_policies: Vec<AppliedPolicy>,
}

/// One policy's part in a decision.
#[derive(Clone, Debug, Serialize)]
pub struct AppliedPolicy {
    /// The policy's id.
    pub id: String,
    /// Entra's word for the result.
    pub result: &'static str,
}

/// Refusals of one user, app and code that are written one by one.
const REPEATS_LOGGED: u32 = 10;

/// Whether the nth of the same refusals within ten minutes is written. A flood of them is thinned
/// to its powers of two, so that the last line tells how many there were to within a half; metrics
/// count each.
#[must_use]
pub const fn is_logged(repeats: u32) -> bool {
    repeats <= REPEATS_LOGGED || (repeats.is_power_of_two() && repeats < 4_096)
}

/// Where entries go.
#[derive(Debug)]
pub struct DecisionLog {
    queue: Option<SyncSender<Message>>,
    grants_one_in: Option<u32>,
    counts: Arc<Counts>,
}

#[derive(Debug)]
enum Message {
    Entry(Box<Entry>),
    /// Answered when everything before it is written.
    Flush(std::sync::mpsc::Sender<()>),
}

#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    sampled: AtomicU64,
}

impl DecisionLog {
    /// Opens the log and starts its thread.
    ///
    /// # Errors
    /// When the sink cannot be opened, or no thread can be started.
    pub fn open(settings: &settings::DecisionLog) -> std::io::Result<Self> {
        let (grants_one_in, counts) = (settings.grants_one_in, Arc::new(Counts::default()));
        let Some(sink) = Sink::open(&settings.sink)? else {
            return Ok(Self { queue: None, grants_one_in: None, counts });
        };
        let (queue, messages) = sync_channel(QUEUE);
        let counting = Arc::clone(&counts);
        std::thread::Builder::new()
            .name("decision-log".into())
            .spawn(move || write(&messages, sink, &counting))?;
        Ok(Self { queue: Some(queue), grants_one_in, counts })
    }

    /// Whether anybody reads: without, entries need not be made.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Whether a request that was let in is one of the sample. The choice hangs on the random part
    /// of its id alone, so that it can be told from the id and nobody can avoid it.
    #[must_use]
    pub const fn samples(&self, request_id: u128) -> bool {
        match self.grants_one_in {
            Some(one_in) => {
                // The low 62 bits of a version 7 UUID are random (RFC 9562, section 5.7).
                ((request_id as u64) & ((1 << 62) - 1)).is_multiple_of(one_in as u64)
            }
            None => false,
        }
    }

    /// Counts a refusal that is left out on purpose, for it was repeated often; see [`is_logged`].
    pub fn skip(&self) {
        if self.is_on() {
            self.counts.sampled.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hands an entry over, or counts it as dropped.
    pub fn push(&self, entry: Entry) {
        if let Some(queue) = &self.queue {
            match queue.try_send(Message::Entry(Box::new(entry))) {
                Ok(()) => {}
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                    self.counts.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Waits until what was handed over is written, but not long. Blocks: for the end of the
    /// process.
    pub fn flush(&self) {
        let Some(queue) = &self.queue else { return };
        let (done, told) = channel();
        let started = Instant::now();
        while let Err(TrySendError::Full(_)) = queue.try_send(Message::Flush(done.clone())) {
            if started.elapsed() > LAST_WORDS {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // In vain when the sink hangs: what it did not take is lost with the process.
        let _ = told.recv_timeout(LAST_WORDS);
    }

    /// Entries so far: written, dropped, failed, left out by sampling.
    #[must_use]
    pub fn counts(&self) -> [u64; 4] {
        let counts = &self.counts;
        [&counts.written, &counts.dropped, &counts.failed, &counts.sampled]
            .map(|count| count.load(Ordering::Relaxed))
    }
}

fn write(messages: &Receiver<Message>, mut sink: Sink, counts: &Counts) {
    let (mut told, mut line) = (false, Vec::new());
    while let Ok(first) = messages.recv() {
        let (mut next, mut batch, mut waiting) = (Some(first), 0, Vec::new());
        let mut problem = None;
        while let Some(message) = next {
            match message {
                Message::Entry(entry) => {
                    line.clear();
                    let written = serde_json::to_writer(&mut line, &entry).map_err(std::io::Error::from);
                    match written.and_then(|()| sink.line(&line)) {
                        Ok(()) => batch += 1,
                        Err(found) => {
                            counts.failed.fetch_add(1, Ordering::Relaxed);
                            problem = Some(found);
                        }
                    }
                }
                Message::Flush(done) => waiting.push(done),
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
        if let (Some(problem), false) = (&problem, told) {
            tracing::error!(%problem, "the decision log cannot be written");
        }
        told = problem.is_some();
        for done in waiting {
            // Nobody may be left to hear.
            let _ = done.send(());
        }
        std::thread::sleep(GATHERING);
    }
}

#[cfg(test)]
mod tests {
    use portcullis_config::settings::LogSink;

    use super::*;

    fn entry(id: usize) -> Entry {
        Entry { request_id: id.to_string(), ..Entry::default() }
    }

    fn log(sink: LogSink, grants_one_in: Option<u32>) -> DecisionLog {
        DecisionLog::open(&settings::DecisionLog { sink, grants_one_in }).unwrap()
    }

    #[test]
    fn what_was_handed_over_is_in_the_file_when_the_process_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("decisions.ndjson");
        let log = log(LogSink::File { path: path.clone(), bytes_max: None, keep: 0 }, None);
        (0..500).for_each(|id| log.push(entry(id)));
        log.flush();
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 500);
        assert_eq!(log.counts(), [500, 0, 0, 0]);
    }

    #[test]
    fn a_sink_that_does_not_take_lines_holds_nobody_up_and_every_line_is_accounted_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        // A daemon that never reads: its socket takes a few datagrams, then the thread waits.
        let _daemon = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        let log = log(LogSink::Syslog(settings::SyslogTarget::Socket(path)), None);
        let pushed = 3 * QUEUE;
        (0..pushed).for_each(|id| log.push(entry(id)));
        let [written, dropped, failed, _] = log.counts();
        assert!(dropped >= u64::try_from(QUEUE).unwrap(), "{written} {dropped} {failed}");
        assert!(written + dropped + failed <= u64::try_from(pushed).unwrap());
    }

    #[test]
    fn a_sample_is_about_as_large_as_was_asked_for_and_known_from_the_id() {
        let log = log(LogSink::Stdout, Some(10));
        let ids: Vec<u128> = (0..10_000).map(|_| uuid::Uuid::now_v7().as_u128()).collect();
        let sampled = ids.iter().filter(|id| log.samples(**id)).count();
        assert!((700..1_300).contains(&sampled), "{sampled} of 10,000");
        assert!(ids.iter().all(|id| log.samples(*id) == log.samples(*id | 1 << 127)));
    }
}
