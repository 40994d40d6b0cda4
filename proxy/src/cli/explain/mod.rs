//! `portcullis explain`: a support code, or a request id and a log, to the whole decision in plain
//! words, for the person at the help desk.

mod account;
mod found;
mod search;

use std::path::PathBuf;

use clap::Args;
use portcullis_config::settings::LogSink;
use serde::Deserialize;
use uuid::Uuid;

use super::terminal::{self, Failure};
use crate::clock::{timestamp, unix_now};
use crate::decision_record::DecisionRecord;
use crate::denial::{CODE_LIFE_SECS, Denials};
use found::{Found, hex};

/// What to explain.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The support code or the request id, as the denial page shows it.
    #[arg(value_name = "CODE or REQUEST-ID")]
    what: String,
    /// The main configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The decision log to look a request id up in; the configuration's own if left out. Can be
    /// given more than once.
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
}

/// The part of a log line that is read back; see `record::Entry`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    created_date_time: String,
    request_id: String,
    #[serde(default)]
    outcome: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    at_fault: Option<String>,
    #[serde(default)]
    ip_address: Option<String>,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    error_code: Option<u32>,
    policy_generation: u64,
    #[serde(default)]
    policies_digest: String,
    #[serde(default)]
    facts: Option<DecisionRecord>,
    #[serde(default)]
    applied_conditional_access_policies: Vec<Applied>,
}

#[derive(Debug, Deserialize)]
struct Applied {
    id: String,
    result: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = crate::state::read(&arguments.config)?;
    let denials = Denials::new(&config, 0);
    let found = match Uuid::parse_str(arguments.what.trim()) {
        Ok(id) => {
            let configured = match &config.server.decision_log.sink {
                LogSink::File { path, .. } => vec![path.clone()],
                LogSink::Off | LogSink::Stdout | LogSink::Syslog(_) => Vec::new(),
            };
            let logs = if arguments.log.is_empty() { configured } else { arguments.log.clone() };
            logged(id, &logs)?
        }
        Err(_) => sealed(&denials, &arguments.what)?,
    };
    terminal::print(&account::of(&found, config, &denials)?);
    Ok(())
}

fn sealed(denials: &Denials, code: &str) -> Result<Found, Failure> {
    let decision = denials.open(code)?;
    let at = timestamp(decision.now_unix_ms);
    let age_secs = unix_now().saturating_sub(decision.now_unix_ms.div_euclid(1_000));
    if !(-300..=CODE_LIFE_SECS).contains(&age_secs) {
        let hours = CODE_LIFE_SECS / 3_600;
        return Err(format!("the code is of {at}; codes are answered for {hours} hours").into());
    }
    Ok(Found {
        request_id: Uuid::from_u128(decision.request_id).to_string(),
        at,
        code: Some(decision.code).filter(|code| *code != 0),
        outcome: None,
        reason: None,
        stated: Vec::new(),
        generation: decision.generation,
        policies_digest: hex(decision.policies_digest),
        applied: decision.refusing.into_iter().map(|policy| (policy.id, policy.result)).collect(),
        record: Some(decision.record),
    })
}

fn logged(id: Uuid, logs: &[PathBuf]) -> Result<Found, Failure> {
    if logs.is_empty() {
        return Err("the configuration logs to no file; name one with --log FILE".into());
    }
    for path in logs {
        let line =
            search::find(path, id).map_err(|problem| format!("{}: {problem}", terminal::shown(path)))?;
        let Some(line) = line else { continue };
        let line: Line = serde_json::from_slice(&line).map_err(|problem| {
            format!("{}: the line of this request is broken: {problem}", terminal::shown(path))
        })?;
        return Ok(Found {
            request_id: line.request_id,
            at: line.created_date_time,
            code: line.error_code,
            outcome: line.outcome,
            reason: line.reason,
            stated: [
                ("At fault", line.at_fault),
                ("IP address", line.ip_address),
                ("Host", line.host),
                ("Method", line.method),
                ("Path", line.path),
            ]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect(),
            generation: line.policy_generation,
            policies_digest: line.policies_digest,
            applied: line
                .applied_conditional_access_policies
                .into_iter()
                .map(|applied| (applied.id, applied.result))
                .collect(),
            record: line.facts,
        });
    }
    Err("no line of the log has this request id; a repeated refusal may have been left out: ask for the support code".into())
}
