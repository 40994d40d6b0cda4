//! `portcullis analyze`: what is wrong with policies that load: dead, shadowed, contradictory, shutting
//! everybody out, or leaving somebody uncovered; each with a request that shows it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use portcullis_config::printable::value;
use portcullis_policy::analyze::{Issue, Witness, analyze};
use portcullis_policy::model::PolicySet;
use portcullis_policy::signals::{Fact, Identity, Principal, Value as Attribute};
use serde_json::{Value, json};

use super::ask::Subject;
use crate::clock::unix_now;

/// What to analyze and how to tell.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The main configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// For people or for programs.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Exit with 1 when anything is found.
    #[arg(long, value_enum)]
    deny: Option<Deny>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Deny {
    /// Every finding; all of them are warnings.
    Warnings,
}

/// Exit status 0, or 1 when the configuration cannot be loaded or a finding is denied.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let subject = match Subject::load(&arguments.config) {
        Ok(subject) => subject,
        Err(problem) => {
            super::error(&format!("portcullis: {problem}"));
            return ExitCode::FAILURE;
        }
    };
    let set = subject.policies.set();
    let issues = analyze(set, unix_now());
    match arguments.format {
        Format::Text => {
            for issue in &issues {
                super::print(&text_of(set, issue));
            }
            let policies = super::counted(set.policies.len(), "policy", "policies");
            let warnings = super::counted(issues.len(), "warning", "warnings");
            super::print(&format!("{policies} analyzed, {warnings}"));
        }
        Format::Json => {
            let issues: Vec<Value> = issues.iter().map(|issue| json_of(set, issue)).collect();
            super::print(&format!("{:#}", json!({ "warnings": issues })));
        }
    }
    let denied = matches!(arguments.deny, Some(Deny::Warnings)) && !issues.is_empty();
    if denied { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn text_of(set: &PolicySet, issue: &Issue) -> String {
    let mut text = format!(
        "warning[analyze/{}]: {}\n  = help: {}",
        issue.kind.as_str(),
        value(&issue.what),
        value(issue.help)
    );
    if let (Some(witness), Some(conclusion)) = (&issue.witness, &issue.conclusion) {
        text.push_str(&format!(
            "\n  = for example: {}: {}",
            value(&shown(set, witness)),
            conclusion.as_str()
        ));
    }
    text.push('\n');
    text
}

/// Entra's names of a device's texts, and the keys of a question.
pub(super) const DEVICE_KEYS: [(&str, &str); 11] = [
    ("deviceId", "id"),
    ("displayName", "name"),
    ("deviceOwnership", "ownership"),
    ("enrollmentProfileName", "enrollment-profile"),
    ("manufacturer", "manufacturer"),
    ("mdmAppId", "mdm-app-id"),
    ("model", "model"),
    ("operatingSystem", "operating-system"),
    ("operatingSystemVersion", "operating-system-version"),
    ("profileType", "profile-type"),
    ("trustType", "trust-type"),
];

/// A witness as its facts, under the keys that `what-if` takes; what is not told is left out.
fn facts(set: &PolicySet, witness: &Witness) -> Vec<(&'static str, Value)> {
    let mut facts = Vec::new();
    let Principal { id, standing, .. } = &witness.principal;
    match &standing.identity {
        Identity::User { guest, home_tenant } => {
            facts.push(("user", json!(id)));
            facts.extend(guest.map(|kind| ("guest", json!(kind.as_str()))));
            facts.extend(home_tenant.as_ref().map(|tenant| ("home-tenant", json!(tenant))));
        }
        Identity::Workload => facts.push(("program", json!(id))),
    }
    for (key, ids) in [("groups", &standing.groups), ("roles", &standing.roles)] {
        if let Fact::Known(ids) = ids
            && !ids.is_empty()
        {
            facts.push((key, json!(ids)));
        }
    }
    let app = set.apps.get(witness.target.app.0 as usize);
    facts.extend(app.map(|app| ("app", json!(app.id))));
    facts.extend(witness.target.context.map(|context| ("context", json!(context.to_string()))));
    facts.push(("method", json!(witness.method)));
    facts.push(("path", json!(witness.path)));
    facts.extend(witness.place.0.known().map(|address| ("ip", json!(address.to_string()))));
    facts.extend(witness.place.1.known().map(|country| ("country", json!(country.as_str()))));
    facts.extend(witness.platform.known().map(|platform| ("platform", json!(platform.as_str()))));
    facts.push(("client", json!(witness.client_app.as_str())));
    if !standing.sign_in.methods.is_empty() {
        facts.push(("amr", json!(standing.sign_in.methods)));
    }
    facts.extend(standing.sign_in.flow.map(|flow| ("flow", json!(flow.as_str()))));
    let risks = ["sign-in-risk", "user-risk", "insider-risk", "service-principal-risk"];
    for (key, level) in risks.into_iter().zip(witness.risks) {
        if level.as_str() != "none" {
            facts.push((key, json!(level.as_str())));
        }
    }
    if let Some(device) = &witness.device {
        let mut known = serde_json::Map::new();
        for (name, key) in DEVICE_KEYS {
            known.extend(device.text(name).map(|text| (key.to_owned(), json!(text))));
        }
        known.extend(device.compliant.map(|flag| ("compliant".to_owned(), json!(flag))));
        for (key, items) in [("physical-ids", &device.physical_ids), ("system-labels", &device.system_labels)]
        {
            if !items.is_empty() {
                known.insert(key.to_owned(), json!(items));
            }
        }
        if !device.extension_attributes.is_empty() {
            let numbered = device.extension_attributes.iter();
            let numbered = numbered.map(|(number, text)| (number.to_string(), json!(text)));
            known.insert("extension-attributes".to_owned(), Value::Object(numbered.collect()));
        }
        facts.push(("device", Value::Object(known)));
    }
    if !standing.claims.is_empty() {
        let claims = standing.claims.iter().map(|(name, value)| (name.to_string(), claim(value)));
        facts.push(("claims", Value::Object(claims.collect())));
    }
    facts
}

fn claim(value: &Attribute) -> Value {
    match value {
        Attribute::Text(text) => json!(text),
        Attribute::Bool(truth) => json!(truth),
        Attribute::Number(number) => json!(number),
        Attribute::List(items) => json!(items),
    }
}

fn shown(set: &PolicySet, witness: &Witness) -> String {
    let facts = facts(set, witness).into_iter().map(|(key, value)| format!("{key} = {value}"));
    facts.collect::<Vec<_>>().join(", ")
}

fn json_of(set: &PolicySet, issue: &Issue) -> Value {
    let ids = issue.policies.iter().filter_map(|policy| set.policies.get(policy.0 as usize));
    let witness = issue.witness.as_ref().map(|witness| {
        facts(set, witness)
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect::<serde_json::Map<_, _>>()
    });
    json!({
        "kind": issue.kind.as_str(),
        "policies": ids.map(|policy| policy.id.as_str()).collect::<Vec<_>>(),
        "app": issue.app.and_then(|app| set.apps.get(app.0 as usize)).map(|app| app.id.as_str()),
        "what": issue.what,
        "help": issue.help,
        "witness": witness,
        "outcome": issue.conclusion.map(|conclusion| conclusion.as_str()),
    })
}
