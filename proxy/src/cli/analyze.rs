//! `portcullis analyze`: what is wrong with policies that load: dead, shadowed, contradictory, shutting
//! everybody out, or leaving somebody uncovered; each with a request that shows it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use portcullis_config::ask::Question;
use portcullis_config::printable::value;
use portcullis_config::settings::App;
use portcullis_config::vocabulary::DEVICE_KEYS;
use portcullis_policy::analyze::{Issue, IssueKind, analyze};
use portcullis_policy::model::{PolicySet, RiskLevel};
use portcullis_policy::signals::{
    AppIndex, Fact, Identity, OwnedDevice, OwnedSignals, Principal, Value as Attribute, ValueRef,
};
use serde_json::{Value, json};

use super::ask::{Subject, own_paths};
use super::terminal;
use crate::clock::unix_now;

/// What to analyze and how to report it.
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
            terminal::error(&format!("portcullis: {problem}"));
            return ExitCode::FAILURE;
        }
    };
    let set = subject.policies.set();
    let mut issues = analyze(set, unix_now());
    // Of what is open to everybody no policy is asked, so that none need speak of it.
    let is_public = |app: AppIndex| subject.config.apps.get(app.0 as usize).is_some_and(App::is_public);
    issues.retain(|issue| match issue.kind {
        IssueKind::AppUncovered | IssueKind::PeopleUncovered => !issue.app.is_some_and(is_public),
        _ => true,
    });
    match arguments.format {
        Format::Text => {
            for issue in &issues {
                terminal::print(&text_of(set, issue, example(&subject, issue).as_ref()));
            }
            let policies = terminal::counted(set.policies.len(), "policy", "policies");
            let warnings = terminal::counted(issues.len(), "warning", "warnings");
            terminal::print(&format!("{policies} analyzed, {warnings}"));
        }
        Format::Json => {
            let issues: Vec<Value> =
                issues.iter().map(|issue| json_of(set, issue, example(&subject, issue).as_ref())).collect();
            terminal::print(&format!("{:#}", json!({ "warnings": issues })));
        }
    }
    let denied = matches!(arguments.deny, Some(Deny::Warnings)) && !issues.is_empty();
    if denied { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A request that shows the finding: policies look at paths that the app sees, and a request names one that it is asked for.
/// `None` where no request for the app is answered so.
fn example(subject: &Subject, issue: &Issue) -> Option<OwnedSignals> {
    let (witness, conclusion) = (issue.witness.as_ref()?, issue.conclusion.as_ref()?);
    let app = subject.config.apps.get(witness.target.app.0 as usize)?;
    own_paths(app, &witness.path).into_iter().find_map(|path| {
        let mut question = Question {
            is_public: app.openings.covers(&path, app.paths),
            signals: OwnedSignals { path, ..witness.clone() },
            looks_up_country: false,
            is_bearer: true,
            other_readings: Vec::new(),
        };
        let answered = subject.decide(&mut question).ok()?;
        (answered.outcome() == conclusion.as_str()).then_some(question.signals)
    })
}

fn text_of(set: &PolicySet, issue: &Issue, example: Option<&OwnedSignals>) -> String {
    let mut text = format!(
        "warning[analyze/{}]: {}\n  = help: {}",
        issue.kind.as_str(),
        value(&issue.what),
        value(issue.help)
    );
    if let (Some(witness), Some(conclusion)) = (example, &issue.conclusion) {
        text.push_str(&format!(
            "\n  = for example: {}: {}",
            value(&shown(set, witness)),
            conclusion.as_str()
        ));
    }
    text.push('\n');
    text
}

/// A device's attributes under the keys of a question, but for those with a number.
pub(super) fn device_facts(device: &OwnedDevice) -> BTreeMap<&'static str, Value> {
    let device = device.as_device();
    let value = |attribute| match device.attribute(attribute) {
        ValueRef::Null => None,
        ValueRef::Text(text) => Some(json!(text)),
        ValueRef::Bool(truth) => Some(json!(truth)),
        ValueRef::Number(number) => Some(json!(number)),
        ValueRef::List(items) => Some(json!(items)),
    };
    DEVICE_KEYS.into_iter().filter_map(|(key, attribute)| Some((key, value(attribute)?))).collect()
}

/// A witness as its facts, under the keys that `what-if` takes; facts that are not known are left out.
fn facts(set: &PolicySet, witness: &OwnedSignals) -> Vec<(&'static str, Value)> {
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
    let context = &witness.context;
    facts.extend(context.address.known().map(|address| ("ip", json!(address.to_string()))));
    facts.extend(context.country.known().map(|country| ("country", json!(country.as_str()))));
    facts.extend(context.platform.known().map(|platform| ("platform", json!(platform.as_str()))));
    facts.extend(context.client_app.known().map(|client| ("client", json!(client.as_str()))));
    if !standing.sign_in.methods.is_empty() {
        facts.push(("amr", json!(standing.sign_in.methods)));
    }
    facts.extend(standing.sign_in.flow.map(|flow| ("flow", json!(flow.as_str()))));
    let risks = [
        ("sign-in-risk", context.sign_in_risk),
        ("user-risk", context.user_risk),
        ("insider-risk", context.insider_risk),
        ("service-principal-risk", context.service_principal_risk),
    ];
    for (key, risk) in risks {
        if let Fact::Known(level) = risk
            && level != RiskLevel::None
        {
            facts.push((key, json!(level.as_str())));
        }
    }
    if let Fact::Known(device) = &witness.device {
        let known = device_facts(device).into_iter().map(|(key, value)| (key.to_owned(), value));
        let mut known: serde_json::Map<_, _> = known.collect();
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

fn shown(set: &PolicySet, witness: &OwnedSignals) -> String {
    let facts = facts(set, witness).into_iter().map(|(key, value)| format!("{key} = {value}"));
    facts.collect::<Vec<_>>().join(", ")
}

fn json_of(set: &PolicySet, issue: &Issue, example: Option<&OwnedSignals>) -> Value {
    let ids = issue.policies.iter().filter_map(|policy| set.policies.get(policy.0 as usize));
    let witness = example.map(|witness| {
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
