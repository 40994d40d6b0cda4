//! The decision log: one line of JSON for each refusal and each report-only finding.
//!
//! Writing never holds a request up: entries go through a bounded queue to one thread, and what
//! does not fit is counted. Values are JSON-escaped, so no client can forge a line. Tokens,
//! cookies and query strings are never in it.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use portcullis_config::settings;
use prometheus::IntCounter;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Case;

/// Entries that may wait for the disk.
const QUEUE: usize = 8_192;

/// One decision, in Entra's field names where Entra has them.
#[derive(Clone, Debug, Serialize)]
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
    pub facts: Option<Case>,
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

/// The facts without those that are absent or empty: most are, of most requests.
fn without_absent<S: Serializer>(case: &Option<Case>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut value = serde_json::to_value(case).map_err(serde::ser::Error::custom)?;
    strip(&mut value);
    value.serialize(serializer)
}

fn strip(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, value| {
            strip(value);
            match value {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => true,
            }
        });
    }
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
    queue: Option<SyncSender<Entry>>,
    dropped: IntCounter,
}

impl DecisionLog {
    /// Opens the log and starts its thread.
    ///
    /// # Errors
    /// When the file cannot be opened for appending, or no thread can be started.
    pub fn open(place: &settings::DecisionLog, dropped: IntCounter) -> std::io::Result<Self> {
        let sink: Box<dyn Write + Send> = match place {
            settings::DecisionLog::Off => return Ok(Self { queue: None, dropped }),
            settings::DecisionLog::Stdout => Box::new(std::io::stdout()),
            settings::DecisionLog::File(path) => {
                Box::new(OpenOptions::new().create(true).append(true).open(path)?)
            }
        };
        let (queue, entries) = sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("decision-log".into())
            .spawn(move || write(&entries, BufWriter::new(sink)))?;
        Ok(Self { queue: Some(queue), dropped })
    }

    /// Whether anybody reads: without, entries need not be made.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Hands an entry over, or counts it as dropped.
    pub fn push(&self, entry: Entry) {
        if let Some(queue) = &self.queue {
            match queue.try_send(entry) {
                Ok(()) => {}
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.dropped.inc(),
            }
        }
    }
}

fn write(entries: &Receiver<Entry>, mut sink: BufWriter<Box<dyn Write + Send>>) {
    while let Ok(first) = entries.recv() {
        let mut next = Some(first);
        while let Some(entry) = next {
            if let Ok(mut line) = serde_json::to_vec(&entry) {
                line.push(b'\n');
                if let Err(problem) = sink.write_all(&line) {
                    tracing::error!(%problem, "the decision log cannot be written");
                }
            }
            next = entries.try_recv().ok();
        }
        if let Err(problem) = sink.flush() {
            tracing::error!(%problem, "the decision log cannot be written");
        }
    }
}
