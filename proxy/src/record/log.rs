//! The decision log: one line of JSON for each refusal, each report-only finding and, where asked
//! for, a sample of the requests that were let in.
//!
//! Writing never holds a request up: entries go through a bounded queue to one thread, and what
//! does not fit is counted. Values are JSON-escaped, so no client can forge a line. Tokens,
//! cookies and query strings are never in it.

use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_config::settings::{self, AccessFormat};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::access::Access;
use super::field::{NAME_MAX, field};
use super::lines::{Line, Lines};
use crate::decision_record::DecisionRecord;

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
    /// Whether the client was sent that status and less than the whole answer, for the reason that is said.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub answer_truncated: bool,
    /// Why the app gave no answer; see [`NetworkFailure`](crate::failure::NetworkFailure).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_failure: Option<&'static str>,
    /// The server of the app to which it was sent last, as the configuration names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_server: Option<String>,
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
    /// The serial number of the client's certificate, where one was shown, good or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// What a known user or program was known by: `session`, or `token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<&'static str>,
    /// The session, by a name that says nothing of its cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Of a request that was rejected for its form: which header, or which part, was at fault. Never its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_fault: Option<String>,
    /// Of a request about which another proxy asked: which, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_auth: Option<FrontProxy>,
    /// Of a sign-in that failed: what is known of it beside the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in_failure: Option<SignInFailure>,
    /// Of a request by which a user reports a refusal: the id of the refused request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reports: Option<String>,
    /// The host that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path, without the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How often it was sent to servers of the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_attempts: Option<usize>,
    /// Which configuration decided.
    pub policy_generation: u64,
    /// The digest of its policies.
    pub policies_digest: String,
    /// How many such refusals there were within ten minutes, this one included: of pages those that were shown, of answers
    /// to programs those of the same situation, most of which are left out. 0 for a request that was let in.
    pub repeats: u32,
    /// Everything that the decision rested on, so that it can be decided again.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "without_absent")]
    pub facts: Option<Box<DecisionRecord>>,
    /// Policies that applied, with their results.
    pub applied_conditional_access_policies: Vec<AppliedPolicy>,
}

/// The longest description of what went wrong, in bytes.
const DESCRIPTION_MAX: usize = 512;

/// What is known of a sign-in that failed: the provider's own words (RFC 6749, section 4.1.2.1), and ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignInFailure {
    /// The provider's name.
    pub provider: String,
    /// `error`, where it is certain that the provider said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `error_description`, the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_description: Option<String>,
    /// What the operator can look for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl SignInFailure {
    /// Printable and bounded, whatever the provider wrote.
    #[must_use]
    pub fn new(provider: &str, said: Option<(&str, Option<&str>)>, detail: &str) -> Self {
        let kept =
            |text: &str, most: usize| Some(field(text.as_bytes(), most)).filter(|text| !text.is_empty());
        Self {
            provider: provider.to_owned(),
            error: said.and_then(|(error, _)| kept(error, NAME_MAX)),
            error_description: said.and_then(|(_, text)| kept(text?, DESCRIPTION_MAX)),
            detail: kept(detail, DESCRIPTION_MAX),
        }
    }
}

impl SignInFailure {
    fn weight(&self) -> usize {
        let maybe = [&self.error, &self.error_description, &self.detail];
        let texts = maybe.into_iter().filter_map(|text| text.as_ref()).map(String::capacity);
        self.provider.capacity() + texts.sum::<usize>()
    }
}

/// A proxy that asks whether to let a request in.
#[derive(Clone, Debug, Serialize)]
pub struct FrontProxy {
    /// How it asks.
    pub protocol: &'static str,
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
}

/// One policy's part in a decision.
#[derive(Clone, Debug, Serialize)]
pub struct AppliedPolicy {
    /// The policy's id.
    pub id: String,
    /// Entra's word for the result.
    pub result: &'static str,
    /// The digest of its text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
}

/// A record without what is absent or empty, as most is of most requests. Support codes hold every field by its
/// position, so this cannot be said where the fields are.
fn without_absent<S: Serializer>(
    record: &Option<Box<DecisionRecord>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    present(serde_json::to_value(record).map_err(S::Error::custom)?).serialize(serializer)
}

/// Lists that say something where they are empty: the token listed them all, and no policy names any. Absent, they are not
/// known.
const MEMBERSHIPS: [&str; 2] = ["groups", "roles"];

fn present(value: Value) -> Value {
    let Value::Object(fields) = value else { return value };
    let fields = fields.into_iter().map(|(name, value)| (name, present(value)));
    let is_there = |name: &str, value: &Value| {
        let is_empty = value.as_array().is_some_and(Vec::is_empty);
        !value.is_null() && (!is_empty || MEMBERSHIPS.contains(&name))
    };
    Value::Object(fields.filter(|(name, value)| is_there(name, value)).collect())
}

impl Line for Entry {
    fn weight(&self) -> usize {
        let own = [&self.created_date_time, &self.request_id, &self.policies_digest];
        let maybe = [
            &self.app_id,
            &self.user_id,
            &self.ip_address,
            &self.country,
            &self.device_id,
            &self.client_certificate,
            &self.session_id,
            &self.host,
            &self.method,
            &self.path,
            &self.at_fault,
            &self.reports,
            &self.upstream_server,
        ];
        let applied = self.applied_conditional_access_policies.iter();
        size_of::<Self>()
            + own.iter().map(|text| text.capacity()).sum::<usize>()
            + maybe.iter().filter_map(|text| text.as_ref()).map(String::capacity).sum::<usize>()
            + applied
                .map(|one| size_of::<AppliedPolicy>() + one.id.capacity() + one.digest.capacity())
                .sum::<usize>()
            + self.facts.as_ref().map_or(0, |record| record.weight())
            + self.sign_in_failure.as_ref().map_or(0, SignInFailure::weight)
    }

    fn write(&self, line: &mut Vec<u8>) -> std::io::Result<()> {
        serde_json::to_writer(line, self).map_err(Into::into)
    }
}

/// Where entries go: the decision log, and the access log beside it.
#[derive(Debug)]
pub struct DecisionLog {
    entries: Option<Lines<Entry>>,
    grants_one_in: Option<u32>,
    sampled: AtomicU64,
    access: Option<(Lines<Access>, AccessFormat)>,
}

impl DecisionLog {
    /// Opens the logs and starts their threads.
    ///
    /// # Errors
    /// When a sink cannot be opened, or no thread can be started.
    pub fn open(settings: &settings::DecisionLog) -> std::io::Result<Self> {
        let entries = Lines::open(&settings.sink, "decision log")?;
        let access = match &settings.access {
            Some(access) => Lines::open(&access.sink, "access log")?.map(|lines| (lines, access.format)),
            None => None,
        };
        let grants_one_in = settings.grants_one_in.filter(|_| entries.is_some());
        Ok(Self { entries, grants_one_in, sampled: AtomicU64::new(0), access })
    }

    /// Whether the log is on: otherwise entries need not be made.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.entries.is_some()
    }

    /// How lines of the access log are written; `None` when there is none.
    #[must_use]
    pub const fn access(&self) -> Option<AccessFormat> {
        match &self.access {
            Some((_, format)) => Some(*format),
            None => None,
        }
    }

    /// Whether a request that was let in is one of the sample. The choice depends on the random part
    /// of its id alone, so that it follows from the id and no client can avoid it.
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

    /// Counts a refusal that is left out on purpose, for a line that was written stands for it.
    pub fn skip(&self) {
        if self.is_on() {
            self.sampled.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hands an entry over, or counts it as dropped.
    pub fn push(&self, entry: Entry) {
        if let Some(entries) = &self.entries {
            entries.push(entry);
        }
    }

    /// Hands a line of the access log over, or counts it as dropped.
    pub fn push_access(&self, access: Access) {
        if let Some((lines, _)) = &self.access {
            lines.push(access);
        }
    }

    /// Waits until what was handed over is written, but not long. Blocks: for the end of the
    /// process.
    pub fn flush(&self) {
        if let Some(entries) = &self.entries {
            entries.flush();
        }
        if let Some((lines, _)) = &self.access {
            lines.flush();
        }
    }

    /// Entries so far: written, dropped, failed, left out by sampling.
    #[must_use]
    pub fn counts(&self) -> [u64; 4] {
        let [written, dropped, failed] = self.entries.as_ref().map_or([0; 3], Lines::counts);
        [written, dropped, failed, self.sampled.load(Ordering::Relaxed)]
    }

    /// Bytes of lines that wait to be written, of the decision log and of the access log; `None` where there is none.
    #[must_use]
    pub fn waiting_bytes(&self) -> [Option<usize>; 2] {
        [
            self.entries.as_ref().map(Lines::waiting_bytes),
            self.access.as_ref().map(|(lines, _)| lines.waiting_bytes()),
        ]
    }

    /// Lines of the access log so far: written, dropped, failed.
    #[must_use]
    pub fn access_counts(&self) -> [u64; 3] {
        self.access.as_ref().map_or([0; 3], |(lines, _)| lines.counts())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use portcullis_config::settings::LogSink;

    use super::super::lines::{BYTES_MAX, LINES_MAX};
    use super::*;
    use crate::decision_record::{ClaimValue, RecordedDevice};

    fn entry(id: usize) -> Entry {
        Entry { request_id: id.to_string(), ..Entry::default() }
    }

    fn log(sink: LogSink, grants_one_in: Option<u32>) -> DecisionLog {
        DecisionLog::open(&settings::DecisionLog { sink, grants_one_in, access: None }).unwrap()
    }

    #[test]
    fn the_facts_are_logged_without_what_is_absent_or_says_nothing_where_it_is_empty() {
        let device = RecordedDevice { compliant: Some(false), ..RecordedDevice::default() };
        let record = DecisionRecord {
            app: "wiki".into(),
            groups: Some(Vec::new()),
            claims: vec![("claim".into(), ClaimValue::List(Vec::new()))],
            device: Some(device),
            ..DecisionRecord::default()
        };
        let mut line = Vec::new();
        Entry { facts: Some(record.into()), ..Entry::default() }.write(&mut line).unwrap();
        let facts = &serde_json::from_slice::<Value>(&line).unwrap()["facts"];
        let expected = serde_json::json!({
            "now": 0, "app": "wiki", "method": "", "path": "", "isWorkload": false, "isCut": false,
            "claims": [["claim", {"list": []}]], "device": {"compliant": false},
            // The token listed them, and no policy names any; roles are not known.
            "groups": [],
        });
        assert_eq!(*facts, expected);
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
        let pushed = 3 * LINES_MAX;
        (0..pushed).for_each(|id| log.push(entry(id)));
        let [written, dropped, failed, _] = log.counts();
        assert!(dropped >= u64::try_from(LINES_MAX).unwrap(), "{written} {dropped} {failed}");
        assert!(written + dropped + failed <= u64::try_from(pushed).unwrap());
    }

    #[test]
    fn a_sink_that_does_not_take_lines_costs_no_more_memory_than_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let _daemon = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        let log = log(LogSink::Syslog(settings::SyslogTarget::Socket(path)), None);
        let long = || Entry { path: Some("x".repeat(45_000)), ..Entry::default() };
        let each = long().weight();
        assert!(each > 45_000);
        let pushed = 3 * BYTES_MAX / each;
        assert!(pushed < LINES_MAX, "the number of lines is not what bounds them");
        (0..pushed).for_each(|_| log.push(long()));
        let [written, dropped, failed, _] = log.counts();
        let held = pushed as u64 - written - dropped - failed;
        // A socket takes a few before it is full; they are counted with the rest of their batch.
        let taken = 16;
        assert!((held - held.min(taken)) * each as u64 <= BYTES_MAX as u64, "{held} lines are held");
        assert!(dropped > 0, "the rest is counted");
    }

    #[test]
    fn a_file_that_is_moved_under_load_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("decisions.ndjson");
        let log = log(LogSink::File { path: path.clone(), bytes_max: None, keep: 0 }, None);
        let moved = folder.path().join("moved");
        let started = Instant::now();
        let mut pushed = 0;
        let stop = std::sync::atomic::AtomicBool::new(false);
        // Never a moment without a line that waits.
        std::thread::scope(|scope| {
            let (stop, log) = (&stop, &log);
            let load = scope.spawn(move || {
                let mut pushed = 0_usize;
                while !stop.load(Ordering::Relaxed) {
                    log.push(entry(pushed));
                    pushed += 1;
                }
                pushed
            });
            while !path.exists() || std::fs::metadata(&path).unwrap().len() == 0 {
                std::thread::yield_now();
            }
            std::fs::rename(&path, &moved).unwrap();
            while !path.exists() && started.elapsed() < Duration::from_secs(60) {
                std::thread::yield_now();
            }
            let anew = path.exists();
            stop.store(true, Ordering::Relaxed);
            pushed = load.join().unwrap();
            assert!(anew, "the moved file grows on");
        });
        log.flush();
        let [written, dropped, failed, _] = log.counts();
        let lines = |path: &std::path::Path| std::fs::read_to_string(path).unwrap().lines().count();
        assert_eq!(written as usize, lines(&path) + lines(&moved));
        assert_eq!((written + dropped, failed), (pushed as u64, 0));
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
