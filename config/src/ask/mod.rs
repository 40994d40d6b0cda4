//! Questions to the policies, written down: a request for `what-if`, and cases for `test`. TOML or JSON of
//! our own, or Graph's what-if body; mistakes are told as in a configuration.

mod graph;
mod json;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use portcullis_policy::Reading;
use portcullis_policy::model::{AuthenticationContext, ClientAppType, CountryCode, Platform, RiskLevel};
use portcullis_policy::signals::{
    Action, AppIndex, ClientContext, Device, Fact, Principal, RequestId, Signals, Target,
};

use crate::diagnose::{At, Diagnostic, FileId, Severity, Sources};
use crate::load;
use crate::lower::question;
use crate::schema::ask_tables::{CASES, QUESTION};
use crate::schema::check;
use crate::schema::tree::{Entry, Kind, Node};
use crate::settings::Config;

/// A request as facts, owned.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who asks.
    pub principal: Principal,
    /// For which app.
    pub app: AppIndex,
    /// The authentication context that is asked for.
    pub context: Option<AuthenticationContext>,
    /// Whether the token comes as a bearer's, rather than in the cookie or header of a session.
    pub is_bearer: bool,
    /// Method.
    pub method: String,
    /// Path, in normal form.
    pub path: String,
    /// How else the app may read it, with the context that each reading asks for.
    pub other_readings: Vec<(String, Option<AuthenticationContext>)>,
    /// Client's address.
    pub address: Fact<IpAddr>,
    /// Its country; `None` when the question does not tell and it is to be looked up.
    pub country: Option<Fact<CountryCode>>,
    /// Platform.
    pub platform: Fact<Platform>,
    /// Kind of client.
    pub client_app: Fact<ClientAppType>,
    /// Device.
    pub device: Fact<OwnedDevice>,
    /// Sign-in, user, insider and service principal risk.
    pub risks: [Fact<RiskLevel>; 4],
    /// The time of asking, Unix seconds.
    pub now: i64,
}

/// A device's attributes, owned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedDevice {
    /// Texts, by the name of the field of [`Device`].
    pub(crate) texts: Vec<(&'static str, String)>,
    /// `isCompliant`
    pub compliant: Option<bool>,
    /// `physicalIds`
    pub physical_ids: Vec<String>,
    /// `systemLabels`
    pub system_labels: Vec<String>,
    /// `extensionAttribute1` … `15`: those that have a value, by number.
    pub extension_attributes: Vec<(u8, String)>,
}

impl OwnedDevice {
    /// The device as signals take it.
    #[must_use]
    pub fn as_device(&self) -> Device<'_> {
        let text =
            |name: &str| self.texts.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str());
        Device {
            device_id: text("id"),
            display_name: text("name"),
            ownership: text("ownership"),
            enrollment_profile: text("enrollment-profile"),
            compliant: self.compliant,
            manufacturer: text("manufacturer"),
            mdm_app_id: text("mdm-app-id"),
            model: text("model"),
            operating_system: text("operating-system"),
            operating_system_version: text("operating-system-version"),
            physical_ids: &self.physical_ids,
            profile_type: text("profile-type"),
            system_labels: &self.system_labels,
            trust_type: text("trust-type"),
            extension_attributes: &self.extension_attributes,
        }
    }
}

impl Question {
    /// The circumstances.
    #[must_use]
    pub fn client_context(&self) -> ClientContext<'_> {
        let [sign_in_risk, user_risk, insider_risk, service_principal_risk] = self.risks;
        let device = match &self.device {
            Fact::Known(device) => Fact::Known(device.as_device()),
            Fact::Unknown => Fact::Unknown,
            Fact::Unavailable => Fact::Unavailable,
        };
        ClientContext {
            address: self.address,
            country: self.country.unwrap_or_default(),
            platform: self.platform,
            client_app: self.client_app,
            device,
            sign_in_risk,
            user_risk,
            insider_risk,
            service_principal_risk,
        }
    }

    /// Every way in which the app may read the path; none where there is but one.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading<'_>> {
        if self.other_readings.is_empty() {
            return Vec::new();
        }
        let others = self.other_readings.iter().map(|(path, context)| Reading { path, context: *context });
        [Reading { path: &self.path, context: self.context }].into_iter().chain(others).collect()
    }

    /// The question as the policies take it.
    #[must_use]
    pub fn signals<'r>(&'r self, context: &'r ClientContext<'r>) -> Signals<'r> {
        Signals {
            principal: &self.principal,
            target: Target { app: self.app, context: self.context },
            action: Action { method: &self.method, path: &self.path },
            context,
            request_id: RequestId(0),
            now: self.now,
        }
    }
}

/// A request and what the policies must say to it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What must hold, as a sentence.
    pub name: String,
    /// `path:line:column` of the case.
    pub place: String,
    /// The request.
    pub question: Question,
    /// `grant`, `challenge`, `deny` or `block`.
    pub expect: String,
    /// The code of the denial.
    pub code: Option<u32>,
    /// Exactly the enforced policies that apply, sorted; `None` when not told.
    pub applied: Option<Vec<String>>,
}

/// What came of reading.
#[derive(Clone, Debug)]
pub struct Read<T> {
    /// What was asked for, unless there is an error among the diagnoses.
    pub value: Option<T>,
    /// Every problem found.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that were read.
    pub sources: Sources,
}

/// A request to be asked, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// The question.
    pub question: Question,
    /// Whether Graph's body asked for the policies that apply only.
    pub applied_only: bool,
}

/// Reads a request: `text` of `path` if there is one (TOML, JSON, or Graph's body), and over it
/// `overrides`, TOML again, which the command line writes. `now` is the time of asking, Unix seconds.
#[must_use]
pub fn request(config: &Config, text: Option<(&Path, String)>, overrides: String, now: i64) -> Read<Request> {
    let (mut sources, mut found) = (Sources::default(), Vec::new());
    let mut parts = Vec::new();
    if let Some((path, text)) = text {
        parts.push(parse(&mut sources, path.to_path_buf(), text, &mut found));
    }
    parts.push(parse(&mut sources, PathBuf::from("command line"), overrides, &mut found));
    let parts: Option<Vec<Node>> = parts.into_iter().collect();
    let request = parts.and_then(|parts| {
        let applied_only = parts.first().is_some_and(graph::applied_only);
        let mut whole: Option<Node> = None;
        for part in parts {
            let part = if graph::is_body(&part) { graph::translate(&part, &mut found) } else { part };
            whole = Some(match whole {
                None => part,
                Some(mut under) => {
                    lay_over(&mut under, part);
                    under
                }
            });
        }
        let node = whole?;
        check::table(&QUESTION, &node, &mut found);
        let question = question::question(config, &node, now, &sources, &mut found);
        question.map(|question| Request { question, applied_only })
    });
    finish(request, found, sources)
}

/// Reads a file of cases.
#[must_use]
pub fn cases(config: &Config, path: &Path, text: String, now: i64) -> Read<Vec<Case>> {
    let (mut sources, mut found) = (Sources::default(), Vec::new());
    let cases = parse(&mut sources, path.to_path_buf(), text, &mut found).and_then(|node| {
        check::table(&CASES, &node, &mut found);
        question::cases(config, &node, now, &sources, &mut found)
    });
    finish(cases, found, sources)
}

fn finish<T>(value: Option<T>, mut diagnostics: Vec<Diagnostic>, sources: Sources) -> Read<T> {
    diagnostics.sort_by_key(|diagnostic| (diagnostic.file, diagnostic.span.start));
    let refused = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    Read { value: value.filter(|_| !refused), diagnostics, sources }
}

/// JSON when it begins like it, else TOML.
fn parse(sources: &mut Sources, path: PathBuf, text: String, found: &mut Vec<Diagnostic>) -> Option<Node> {
    let is_json = text.trim_start().starts_with('{');
    let file: FileId = sources.add(path, text);
    let text = sources.text(file);
    if !is_json {
        return load::parse(file, text, found);
    }
    json::parse(file, text).map_err(|problem| found.push(*problem)).ok()
}

/// Puts the entries of one table over those of another; tables within are laid over in turn.
fn lay_over(under: &mut Node, over: Node) {
    let Kind::Table(entries) = over.kind else { return };
    let Kind::Table(below) = &mut under.kind else { return };
    for entry in entries {
        match below.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => replace(known, entry),
            None => below.push(entry),
        }
    }
}

fn replace(known: &mut Entry, entry: Entry) {
    match (&known.value.kind, &entry.value.kind) {
        (Kind::Table(_), Kind::Table(_)) => lay_over(&mut known.value, entry.value),
        _ => *known = entry,
    }
}

/// The place that stands for a whole node.
pub(crate) fn place(sources: &Sources, at: At) -> String {
    sources.place(at.file, at.start)
}
