//! `portcullis what-if`: what the policies would say to a request that nobody sends, and why.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use portcullis_config::ask;
use portcullis_config::diagnose::{Diagnostic, render_text};
use portcullis_config::printable::value;
use portcullis_config::settings::{App, OwnAnswer};
use portcullis_policy::PolicySet;
use portcullis_policy::explain::Explained;
use portcullis_policy::model::PolicyState;
use portcullis_policy::reference::{Conclusion, Tri};
use portcullis_policy::remedy::{Finding, Remedies, Remedy};
use serde_json::{Value, json};

use super::ask::{Answered, Subject, asking};
use super::terminal::{self, Failure};
use crate::clock::{self, unix_now};

/// The largest request that is read, in bytes.
const REQUEST_BYTES_MAX: u64 = 8 << 20;

/// The request: user, app, address, device. A flag overrides the file.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The main configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The request: TOML or JSON, or the body of Graph's `conditionalAccess/evaluate`; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// For people, for programs, or as Graph answers.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Say of every policy why it did not apply, instead of how many did not.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    facts: Facts,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
    Graph,
}

/// The common facts, as flags.
#[derive(Debug, Args)]
struct Facts {
    /// The user's id.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The program's id, instead of a user.
    #[arg(long, value_name = "ID")]
    program: Option<String>,
    /// A group; may be repeated.
    #[arg(long, value_name = "ID")]
    group: Vec<String>,
    /// A directory role; may be repeated.
    #[arg(long, value_name = "ID")]
    role: Vec<String>,
    /// The app.
    #[arg(long, value_name = "ID")]
    app: Option<String>,
    /// The client's address.
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<String>,
    /// Its country, instead of a look-up.
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    /// The device's platform.
    #[arg(long)]
    platform: Option<String>,
    /// The kind of client.
    #[arg(long)]
    client: Option<String>,
    /// Whether the device is compliant.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    device_compliant: Option<bool>,
    /// The device's join type: `AzureAD`, `ServerAD` or `Workplace`.
    #[arg(long, num_args = 0..=1, default_missing_value = "ServerAD", value_name = "TYPE")]
    device_joined: Option<String>,
    /// The sign-in proved several factors.
    #[arg(long)]
    mfa: bool,
    /// An authentication context that the token holds (`acrs`), such as `c1`; may be repeated.
    #[arg(long, value_name = "CONTEXT")]
    acrs: Vec<String>,
    /// The authentication context that is asked for, instead of the path's.
    #[arg(long, value_name = "CONTEXT")]
    context: Option<String>,
    /// The issuer of the token, by its name; the app's first if absent.
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// What brings the token: `bearer` or `session`.
    #[arg(long)]
    carrier: Option<String>,
    /// Sign-in risk.
    #[arg(long, value_name = "LEVEL")]
    sign_in_risk: Option<String>,
    /// User risk.
    #[arg(long, value_name = "LEVEL")]
    user_risk: Option<String>,
    /// The path.
    #[arg(long)]
    path: Option<String>,
    /// The method.
    #[arg(long)]
    method: Option<String>,
    /// How long ago the sign-in was, such as `10m`.
    #[arg(long, value_name = "SPAN")]
    signed_in: Option<String>,
    /// When: `2026-01-19T08:00:00+01:00`.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

impl Facts {
    /// The flags as the file would write them; JSON strings and lists are TOML ones.
    fn written(&self) -> String {
        let mut text = String::new();
        let mut put = |key: &str, value: Value| {
            let _ = writeln!(text, "{key} = {value}");
        };
        let texts = [
            ("user", &self.user),
            ("program", &self.program),
            ("app", &self.app),
            ("ip", &self.ip),
            ("country", &self.country),
            ("platform", &self.platform),
            ("client", &self.client),
            ("sign-in-risk", &self.sign_in_risk),
            ("user-risk", &self.user_risk),
            ("path", &self.path),
            ("method", &self.method),
            ("context", &self.context),
            ("issuer", &self.issuer),
            ("carrier", &self.carrier),
            ("signed-in", &self.signed_in),
            ("at", &self.at),
            ("device.trust-type", &self.device_joined),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                put(key, json!(value));
            }
        }
        for (key, values) in [("groups", &self.group), ("roles", &self.role), ("acrs", &self.acrs)] {
            if !values.is_empty() {
                put(key, json!(values));
            }
        }
        if self.mfa {
            put("mfa", json!(true));
        }
        if let Some(compliant) = self.device_compliant {
            put("device.compliant", json!(compliant));
        }
        text
    }
}

/// Exit status 0 whatever the answer; 1 when the question or the configuration is wrong.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let subject = Subject::load(&arguments.config)?;
    let text = match &arguments.request {
        None => None,
        Some(path) => Some((path.as_path(), read(path)?)),
    };
    let read = ask::request(asking(&subject.config, unix_now()), text, arguments.facts.written());
    let Some(mut request) = read.value else {
        return Err(in_flags(&read));
    };
    let answered = subject.ask(&mut request.question)?;
    let set = subject.policies.set();
    let app = subject.config.apps.get(request.question.signals.target.app.0 as usize);
    let instead = app.and_then(instead);
    match arguments.format {
        Format::Text => {
            let text = text_of(set, &answered, arguments.all);
            terminal::print(&[text, instead.map(|(words, _)| words).unwrap_or_default()].concat());
        }
        Format::Json => {
            let answer = json_of(set, &answered, instead.map(|(_, found)| found));
            terminal::print(&format!("{answer:#}"));
        }
        Format::Graph => terminal::print(&format!("{:#}", graph_of(set, &answered, request.applied_only))),
    }
    Ok(())
}

/// Problems of a request. Of what flags said, the flag is shown, and not the TOML that stands for it.
fn in_flags<T>(read: &ask::Read<T>) -> Failure {
    let is_of_flags = |one: &&Diagnostic| read.sources.path(one.file) == Path::new(ask::COMMAND_LINE);
    let (flags, written): (Vec<&Diagnostic>, Vec<&Diagnostic>) =
        read.diagnostics.iter().partition(is_of_flags);
    let mut problems = Vec::new();
    if !written.is_empty() {
        let written: Vec<Diagnostic> = written.into_iter().cloned().collect();
        problems.push(render_text(&written, &read.sources));
    }
    for one in flags {
        let (line, column) = read.sources.line_column(one.file, one.span.start);
        let line = read.sources.text(one.file).lines().nth(line - 1).unwrap_or_default();
        let place = match line.split_once(" = ") {
            // What is missing has no line of its own.
            Some((key, said)) if column > 1 => format!("--{} {}", flag_of(key), value(said)),
            _ => "the command line".to_owned(),
        };
        let mut text =
            format!("{}[{}]: {}\n --> {place}\n", one.severity.as_str(), one.code, value(&one.what));
        for (word, said) in [("why", &one.why), ("help", &one.help)] {
            if let Some(said) = said {
                let _ = writeln!(text, "  = {word}: {}", value(said));
            }
        }
        problems.push(text);
    }
    format!("the request is invalid\n{}", problems.join("\n")).into()
}

/// The flag that writes a key.
fn flag_of(key: &str) -> &str {
    match key {
        "groups" => "group",
        "roles" => "role",
        "device.compliant" => "device-compliant",
        "device.trust-type" => "device-joined",
        same => same,
    }
}

/// The text of a file, or of standard input where it is `-`. A pipe is good enough: `--request <(…)` is one.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let problem = |error: std::io::Error| format!("cannot read `{}`: {error}", terminal::shown(path));
    let mut text = String::new();
    if path.as_os_str() == "-" {
        let input = std::io::stdin().lock();
        input.take(REQUEST_BYTES_MAX + 1).read_to_string(&mut text).map_err(problem)?;
    } else {
        let file = std::fs::File::open(path).map_err(problem)?;
        file.take(REQUEST_BYTES_MAX + 1).read_to_string(&mut text).map_err(problem)?;
    }
    // A part of it would be another question.
    if text.len() as u64 > REQUEST_BYTES_MAX {
        return Err(format!("`{}` is larger than 8MiB", terminal::shown(path)).into());
    }
    Ok(text)
}

/// The answer in one line.
pub(super) fn headline(answered: &Answered) -> String {
    let word = answered.outcome();
    if answered.is_public {
        return format!("{word}: let in without identity; no policy is asked for this path");
    }
    match (&answered.explanation.conclusion, answered.code) {
        (Conclusion::Grant(limits), _) => match limits.sign_in_until {
            Some(until) => format!("{word}: let in, until the sign-in is too old at Unix second {until}"),
            None => format!("{word}: let in"),
        },
        (Conclusion::Challenge(refused) | Conclusion::Deny(refused) | Conclusion::Block(refused), code) => {
            let (code, reason) = code.unwrap_or_default();
            let reasons: Vec<&str> = refused.reasons.iter().map(|reason| reason.as_str()).collect();
            let temporary = if answered.is_temporary { ", temporary: a fact is unavailable" } else { "" };
            format!("{word}: {code} {reason} ({}){temporary}", reasons.join(", "))
        }
    }
}

/// What whoever is let in is answered by us, in place of the app: in words, and as a program reads it.
fn instead(app: &App) -> Option<(String, Value)> {
    Some(match (app.shaping.maintenance, &app.shaping.own_answer) {
        (Some(_), _) => (
            "\nthe app is being worked at: whoever is let in is answered 503, code 880401".to_owned(),
            json!({ "kind": "maintenance", "status": 503, "code": 880_401 }),
        ),
        (None, Some(OwnAnswer::Redirect { to, status, .. })) => (
            format!("\nthe app has no servers: whoever is let in is sent to {} ({status})", value(to)),
            json!({ "kind": "redirect", "status": status, "to": to }),
        ),
        (None, Some(OwnAnswer::Fixed { status, .. })) => (
            format!("\nthe app has no servers: whoever is let in is answered {status}"),
            json!({ "kind": "respond", "status": status }),
        ),
        (None, None) => return None,
    })
}

/// What applied first, since that decided; of the rest the number, or with `all` why not.
fn text_of(set: &PolicySet, answered: &Answered, all: bool) -> String {
    let mut out = headline(answered);
    if answered.is_public {
        return out;
    }
    match answered.explanation.assigned {
        Tri::Yes => {}
        Tri::No => out.push_str("\nnot assigned to the app: no policy was asked; they would say:"),
        Tri::Maybe => out.push_str("\nunknown whether assigned to the app; the policies would say:"),
    }
    let applied = |explained: &&Explained| explained.finding.ruled_out_by().is_none();
    let (applied, rest): (Vec<_>, Vec<_>) = answered.explanation.policies.iter().partition(applied);
    if applied.is_empty() {
        out.push_str("\n  no policy applies");
    }
    for explained in applied {
        let _ = write!(out, "\n  {}: {}", id(set, explained), value(&explained.sentence()));
    }
    match rest.len() {
        0 => {}
        _ if all => {
            for explained in rest {
                let _ = write!(out, "\n  {}: {}", id(set, explained), value(&explained.sentence()));
            }
        }
        1 => out.push_str("\n  and 1 policy that does not apply: `--all` says why"),
        count => {
            let _ = write!(out, "\n  and {count} policies that do not apply: `--all` says why");
        }
    }
    if answered.explanation.conclusion.refused().is_some() {
        out.push_str("\nwhat would let it in:");
        if answered.remedies.alternatives.is_empty() {
            let _ = write!(out, " {}", nothing(set, &answered.remedies));
        }
        for one in &answered.remedies.alternatives {
            let _ = write!(out, "\n  {}", remedy_text(&one.changes));
        }
    }
    out
}

/// Why there is no remedy.
fn nothing(set: &PolicySet, remedies: &Remedies) -> String {
    let why = match remedies.finding {
        Finding::LetIn => "it is let in",
        Finding::Waiting => "nothing but waiting: a fact is unavailable",
        Finding::SignInNotTold => "another sign-in, if the issuer told how and when people sign in",
        Finding::OnlyAdministrator => "nothing within the user's reach",
        Finding::Found | Finding::NotFound if remedies.is_exhaustive => {
            "nothing that can be offered: more than three changes at once, or another client or platform"
        }
        Finding::Found | Finding::NotFound => "nothing was found; not everything could be tried",
    };
    let names = remedies.unavoidable.iter().filter_map(|policy| set.policies.get(policy.0 as usize));
    let names: Vec<&str> = names.map(|policy| policy.id.as_str()).collect();
    if names.is_empty() { why.to_owned() } else { format!("{why}: no change avoids {}", names.join(", ")) }
}

fn remedy_text(remedies: &[Remedy]) -> String {
    let words = remedies.iter().map(|remedy| match remedy {
        Remedy::LaterTime { at } => {
            format!("later time, from {}", clock::timestamp(at.saturating_mul(1_000)))
        }
        other => other.as_str().replace('_', " "),
    });
    words.collect::<Vec<_>>().join(" and ")
}

fn id<'s>(set: &'s PolicySet, explained: &Explained) -> &'s str {
    set.policies.get(explained.finding.policy.0 as usize).map_or("", |policy| policy.id.as_str())
}

const fn word(holds: Tri) -> &'static str {
    match holds {
        Tri::Yes => "yes",
        Tri::No => "no",
        Tri::Maybe => "unavailable",
    }
}

/// `instead`: what we answer to whoever is let in, in place of the app.
fn json_of(set: &PolicySet, answered: &Answered, instead: Option<Value>) -> Value {
    let asked = answered.explanation.policies.iter().filter(|_| !answered.is_public);
    let policies = asked.map(|explained| {
        let parts = explained.parts.iter().map(|words| {
            json!({
                "part": words.part.as_str(), "matches": word(words.holds),
                "wanted": words.wanted, "seen": words.seen,
            })
        });
        let controls = explained
            .controls
            .iter()
            .map(|one| json!({ "control": one.control, "met": word(one.met), "seen": one.seen }));
        json!({
            "id": id(set, explained),
            "result": explained.finding.result.as_str(),
            "applies": word(explained.finding.applies),
            "ruledOutBy": explained.finding.ruled_out_by().map(|part| part.as_str()),
            "parts": parts.collect::<Vec<_>>(),
            "controls": controls.collect::<Vec<_>>(),
            "why": explained.sentence(),
        })
    });
    let refused = answered.explanation.conclusion.refused().filter(|_| !answered.is_public);
    let remedies = answered.remedies.alternatives.iter().filter(|_| !answered.is_public).map(|one| {
        let parts = one.changes.iter().map(|remedy| match remedy {
            Remedy::LaterTime { at } => json!({ "kind": remedy.as_str(), "at": at }),
            other => json!({ "kind": other.as_str() }),
        });
        parts.collect::<Vec<_>>()
    });
    json!({
        "outcome": answered.outcome(),
        "code": answered.code.filter(|_| !answered.is_public).map(|(code, _)| code),
        "reasons": refused.map_or_else(Vec::new, |refused| {
            refused.reasons.iter().map(|reason| reason.as_str()).collect()
        }),
        "temporary": answered.is_temporary && !answered.is_public,
        "assigned": word(answered.explanation.assigned),
        "policies": policies.collect::<Vec<_>>(),
        "remedies": remedies.collect::<Vec<_>>(),
        "instead": instead,
    })
}

/// As `conditionalAccess/evaluate` answers. A policy that is taken to apply because a fact is
/// unavailable says `notEnoughInformation`.
fn graph_of(set: &PolicySet, answered: &Answered, applied_only: bool) -> Value {
    let asked = answered.explanation.policies.iter().filter(|_| !answered.is_public);
    let policies = asked.filter_map(|explained| {
        let policy = set.policies.get(explained.finding.policy.0 as usize)?;
        let reason = match (explained.finding.applies, explained.finding.ruled_out_by()) {
            (_, Some(part)) => part.graph_reason(),
            (Tri::Maybe, None) => "notEnoughInformation",
            (Tri::Yes | Tri::No, None) => "notSet",
        };
        let applies = explained.finding.ruled_out_by().is_none();
        (applies || !applied_only).then(|| {
            json!({
                "id": policy.id.as_str(),
                "displayName": policy.name,
                "state": match policy.state {
                    PolicyState::Enabled => "enabled",
                    PolicyState::ReportOnly => "enabledForReportingButNotEnforced",
                    PolicyState::Disabled => "disabled",
                },
                "policyApplies": applies,
                "analysisReasons": reason,
            })
        })
    });
    json!({ "value": policies.collect::<Vec<_>>() })
}
