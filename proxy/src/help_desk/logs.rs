//! The decision log with what it was rotated to, newest first.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use memchr::memmem;
use portcullis_config::Config;
use portcullis_config::settings::LogSink;
use uuid::Uuid;

use super::desk::{ACCOUNTS_MAX, Lookup, LookupError};
use super::found::{Found, Line};
use super::search::{self, Searched};
use crate::reference::{Reference, ReferencePattern};
use crate::waiting::LIFE_SECS;

/// How much of the log is looked at for what else a person was refused, in bytes.
const HISTORY_BYTES_MAX: u64 = 128 << 20;
/// Refusals of a person that are listed.
const HISTORY_MAX: usize = 10;
/// How long a line can stand for requests that the log leaves out, in milliseconds: for ten minutes, and a little more
/// where clocks were set.
const STANDS_FOR_MS: i64 = 11 * 60 * 1_000;

/// Logs to look in.
#[derive(Debug)]
pub(super) struct Logs {
    files: Vec<PathBuf>,
}

impl Logs {
    /// These, or those of the configuration.
    pub(super) fn of(config: &Config, given: &[PathBuf]) -> Self {
        if !given.is_empty() {
            return Self { files: given.to_vec() };
        }
        let LogSink::File { path, keep, .. } = &config.server.decision_log.sink else {
            return Self { files: Vec::new() };
        };
        let rotated = (1..=*keep).map(|number| {
            let mut name = path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        });
        // The newest is always looked for, so that a log that is not there is said to be missing.
        let files = [path.clone()].into_iter().chain(rotated.filter(|path| path.exists())).collect();
        Self { files }
    }

    fn not_empty(&self) -> Result<&[PathBuf], LookupError> {
        if self.files.is_empty() { Err(LookupError::NoLog) } else { Ok(&self.files) }
    }

    /// The line of a request, or the one that stands for it.
    pub(super) fn find_id(&self, id: Uuid) -> Result<(Option<Found>, Searched), LookupError> {
        let mut searched = Searched::default();
        for path in self.not_empty()? {
            let failed = |problem| LookupError::Log { path: path.clone(), problem };
            let line = search::find(path, id).map_err(failed)?;
            searched.add(path, std::fs::metadata(path).map_or(0, |seen| seen.len()));
            if let Some(line) = line {
                return Ok((Some(read(path, &line)?), searched));
            }
        }
        // The log leaves repetitions out; they have the reference of the line that stands for them, which came before.
        let Some(at_ms) = search::time_of(id) else { return Ok((None, searched)) };
        let reference = Reference::of(id.as_u128());
        let mut latest: Option<Found> = None;
        for path in &self.files {
            let failed = |problem| LookupError::Log { path: path.clone(), problem };
            search::between(path, at_ms - STANDS_FOR_MS, at_ms, |line| {
                if id_of(line).is_some_and(|other| Reference::of(other) == reference)
                    && let Ok(found) = read(path, line)
                    && (at_ms - STANDS_FOR_MS..=at_ms).contains(&found.now_unix_ms)
                    && latest.as_ref().is_none_or(|known| known.now_unix_ms < found.now_unix_ms)
                {
                    latest = Some(found);
                }
            })
            .map_err(failed)?;
        }
        Ok((latest.map(|found| Found { stands_for: Some(id.as_u128()), ..found }), searched))
    }

    /// Lines with this reference, newest first.
    pub(super) fn find_reference(
        &self,
        pattern: ReferencePattern,
        lookup: &Lookup<'_>,
    ) -> Result<(Vec<Found>, Searched), LookupError> {
        let mut found = Vec::new();
        let mut broken = None;
        let searched = self.walk(lookup.bytes_max, lookup.since, |path, line| {
            if id_of(line).is_some_and(|id| pattern.matches(id)) {
                match read(path, line) {
                    Ok(one) => found.push(one),
                    Err(problem) => broken = Some(problem),
                }
            }
            // One more than are listed, to know that there are more.
            if found.len() > ACCOUNTS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        match broken {
            Some(problem) if found.is_empty() => Err(problem),
            Some(_) | None => Ok((found, searched)),
        }
    }

    /// When the user reported this refusal, Unix milliseconds, each time; nothing where no log can be read.
    pub(super) fn reports_of(&self, id: u128, from_ms: i64) -> Vec<i64> {
        let name = format!("\"reports\":\"{}\"", Uuid::from_u128(id));
        let span = (from_ms, from_ms.saturating_add(LIFE_SECS * 1_000));
        let mut times = Vec::new();
        // The oldest first.
        for path in self.files.iter().rev() {
            // Who looks a refusal up wants to know of it, not of a log that is not whole.
            let _ = search::holding(path, span, &name, |line| {
                times.extend(read(path, line).ok().map(|found| found.now_unix_ms));
            });
        }
        times
    }

    /// The last requests of a person or program that were refused, newest first.
    pub(super) fn history(&self, subject: &str, beside: u128) -> (Vec<Found>, Option<Searched>) {
        let mut found = Vec::new();
        let Ok(name) = serde_json::to_string(subject) else { return (found, None) };
        let finder = memmem::Finder::new(name.as_bytes());
        let searched = self.walk(HISTORY_BYTES_MAX, None, |path, line| {
            if finder.find(line).is_some()
                && let Ok(one) = read(path, line)
                && one.subject.as_deref() == Some(subject)
                && one.request_id != beside
                && !one.was_let_in()
            {
                found.push(one);
            }
            if found.len() == HISTORY_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (found, searched.ok())
    }

    fn walk(
        &self,
        bytes_max: u64,
        since: Option<i64>,
        mut see: impl FnMut(&Path, &[u8]) -> ControlFlow<()>,
    ) -> Result<Searched, LookupError> {
        let mut searched = Searched::default();
        let mut left = bytes_max;
        for path in self.not_empty()? {
            let walked = search::backwards(path, left, since, &mut searched, |line| see(path, line))
                .map_err(|problem| LookupError::Log { path: path.clone(), problem })?;
            left = left.saturating_sub(walked);
            if searched.is_over() {
                break;
            }
        }
        Ok(searched)
    }
}

fn read(path: &Path, line: &[u8]) -> Result<Found, LookupError> {
    serde_json::from_slice::<Line>(line).map(Found::of_line).map_err(|problem| LookupError::Log {
        path: path.to_owned(),
        problem: std::io::Error::other(format!("the line of this request is broken: {problem}")),
    })
}

/// The id in a line, without reading the rest of it.
fn id_of(line: &[u8]) -> Option<u128> {
    const NAME: &[u8] = b"\"requestId\":\"";
    let at = memmem::find(line, NAME)?;
    let text = line.get(at + NAME.len()..)?.get(..36)?;
    Uuid::try_parse_ascii(text).ok().map(|id| id.as_u128())
}
