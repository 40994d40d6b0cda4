//! The kinds of requests that policies distinguish, as questions: users of each kind that they name, and each
//! condition that they have, one at a time.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use portcullis_config::Config;
use portcullis_config::settings::App;
use portcullis_policy::model::{
    ClientAppType, Conditions, Control, Flow, Grant, GuestKind, LocationSelector, PathPattern, Place,
    Platform, Policy, PolicyState, RiskLevel, Subjects, Targets, Tenants, UserSelector, WorkloadSelector,
};
use portcullis_policy::signals::{Fact, Value};
use serde_json::json;

use super::ask::own_paths;

/// People of one app at most: memberships of which there are more are left to a person.
const PEOPLE_MAX: usize = 60;

/// A kind of request.
pub(super) struct Kind {
    /// What it is, as a sentence.
    pub(super) name: String,
    /// TOML, as `what-if` takes it.
    pub(super) request: String,
    /// Whether nobody is behind it.
    pub(super) is_stranger: bool,
}

/// Whether conditions ask for something.
type Asks = fn(&Conditions) -> bool;

/// A part of a request: its words in a case's name, and its lines.
#[derive(Clone)]
struct Trait {
    name: String,
    lines: String,
}

fn trait_of(name: impl Into<String>, lines: impl Into<String>) -> Trait {
    Trait { name: name.into(), lines: lines.into() }
}

/// A request of nobody for each path that an app opens to everybody.
pub(super) fn strangers(app: &App) -> Vec<Kind> {
    let of_path = |pattern: &PathPattern| {
        let path = within(pattern);
        Kind {
            name: format!("a stranger opens {} at {path}", app.id),
            request: format!("app = {}\npath = {}\n", json!(app.id), json!(path)),
            is_stranger: true,
        }
    };
    app.openings.paths.iter().map(of_path).collect()
}

/// A path that a pattern covers.
fn within(pattern: &PathPattern) -> String {
    match pattern {
        PathPattern::Exact(path) => path.clone(),
        PathPattern::Subtree(path) => format!("{path}/below"),
    }
}

/// The kinds of requests for an app, the plainest first. `now`: Unix seconds; asked where policies ask for times, so
/// that the same case has the same answer at any hour.
pub(super) fn of(config: &Config, app: &App, now: i64) -> Vec<Kind> {
    let set = &config.policies;
    let model = set.apps.iter().find(|one| one.id == app.id);
    let policies: Vec<&Policy> = set
        .policies
        .iter()
        .filter(|policy| policy.state != PolicyState::Disabled)
        .filter(|policy| match &*policy.targets {
            Targets::Apps(apps) => model.is_some_and(|model| apps.covers(model)),
            Targets::Contexts(wanted) => app.contexts.iter().any(|(_, context)| wanted.contains(context)),
        })
        .collect();
    let assigned = model.and_then(|model| model.assigned.as_deref()).unwrap_or_default();
    let mut base = format!("app = {}\n", json!(app.id));
    if policies.iter().any(|policy| policy.conditions.time.is_some()) {
        let at = crate::clock::timestamp(now.saturating_mul(1_000));
        let _ = writeln!(base, "at = {}", json!(at.as_str()));
    }
    let circumstances = circumstances(config, app, &policies);
    let mut kinds = Vec::new();
    for person in people(&policies, assigned) {
        for circumstance in &circumstances {
            kinds.push(Kind {
                name: format!("{} opens {} {}", person.name, app.id, circumstance.name),
                request: format!("{}{base}{}", person.lines, circumstance.lines),
                is_stranger: false,
            });
        }
    }
    kinds
}

/// Somebody of no group, and one of each kind that a policy or the app names.
fn people(policies: &[&Policy], assigned: &[UserSelector]) -> Vec<Trait> {
    let mut found = Vec::from([trait_of("a user of no group", "user = \"somebody\"\n")]);
    let mut seen = BTreeSet::new();
    let mut add = |one: Trait| {
        if found.len() < PEOPLE_MAX && seen.insert(one.lines.clone()) {
            found.push(one);
        }
    };
    let of_policies = policies.iter().flat_map(|policy| match &*policy.subjects {
        Subjects::Users(users) => users.include.iter().chain(&users.exclude),
        Subjects::Workloads(_) => [].iter().chain(&[]),
    });
    for selector in assigned.iter().chain(of_policies) {
        match selector {
            UserSelector::All | UserSelector::None => {}
            UserSelector::User(id) => add(trait_of(format!("user {id}"), format!("user = {}\n", json!(id)))),
            UserSelector::Group(id) => {
                let lines = format!("user = \"somebody\"\ngroups = {}\n", json!([id]));
                add(trait_of(format!("a member of {id}"), lines));
            }
            UserSelector::Role(id) => {
                let lines = format!("user = \"somebody\"\nroles = {}\n", json!([id]));
                add(trait_of(format!("a holder of role {id}"), lines));
            }
            UserSelector::Guests(guests) => {
                let homes = match &guests.tenants {
                    Tenants::Any => Vec::from([None]),
                    Tenants::Only(tenants) => tenants.iter().map(Some).collect(),
                };
                for kind in GuestKind::ALL.into_iter().filter(|kind| guests.kinds.contains(*kind)) {
                    for home in &homes {
                        let word = kind.as_str();
                        let mut lines = format!("user = \"guest\"\nguest = {}\n", json!(word));
                        let mut name = format!("a guest ({word}");
                        if let Some(home) = home {
                            let _ = writeln!(lines, "home-tenant = {}", json!(home));
                            let _ = write!(name, " of {home}");
                        }
                        add(trait_of(name + ")", lines));
                    }
                }
            }
        }
    }
    let programs = policies.iter().flat_map(|policy| match &*policy.subjects {
        Subjects::Workloads(workloads) => workloads.include.iter().chain(&workloads.exclude),
        Subjects::Users(_) => [].iter().chain(&[]),
    });
    let mut any = false;
    for selector in programs {
        any = true;
        if let WorkloadSelector::ServicePrincipal(id) = selector {
            add(trait_of(format!("program {id}"), format!("program = {}\n", json!(id))));
        }
    }
    if any {
        add(trait_of("some other program", "program = \"some-program\"\n"));
    }
    found
}

/// With one factor and with several, and, with several, each circumstance that a policy asks for.
fn circumstances(config: &Config, app: &App, policies: &[&Policy]) -> Vec<Trait> {
    const ONE: &str = "client = \"browser\"\nsigned-in = \"1m\"\n";
    let proven = format!("mfa = true\n{ONE}");
    let mut found = Vec::from([
        trait_of("with one factor from an unknown place", ONE),
        trait_of("with several factors from an unknown place", proven.clone()),
    ]);
    let mut vary = Vec::new();
    let has = |test: &dyn Fn(&Conditions) -> bool| policies.iter().any(|policy| test(&policy.conditions));
    if policies.iter().any(|policy| policy.session.sign_in_frequency.is_some()) {
        let lines = "mfa = true\nclient = \"browser\"\nsigned-in = \"365d\"\n";
        found.push(trait_of("with several factors a year ago", lines));
    }
    let asks_device = policies.iter().any(|policy| match &policy.grant {
        Grant::Require { controls, .. } => {
            controls.contains(&Control::CompliantDevice) || controls.contains(&Control::HybridJoinedDevice)
        }
        Grant::Block | Grant::SessionOnly => false,
    });
    if asks_device || has(&|conditions| conditions.device.is_some()) {
        for (name, device) in [
            ("a registered device", json!({ "id": "d1" })),
            ("a compliant device", json!({ "id": "d1", "compliant": true })),
            ("a device that is not compliant", json!({ "id": "d1", "compliant": false })),
            ("a hybrid joined device", json!({ "id": "d1", "trust-type": "ServerAD" })),
        ] {
            vary.push(trait_of(format!("on {name}"), inline("device", &device)));
        }
    }
    vary.extend(places(config, policies));
    if has(&|conditions| conditions.platforms.is_some()) {
        for platform in Platform::ALL {
            let lines = format!("platform = {}\n", json!(platform.as_str()));
            vary.push(trait_of(format!("on {}", platform.as_str()), lines));
        }
    }
    let risks: [(&str, Asks); 4] = [
        ("sign-in-risk", |conditions| conditions.sign_in_risk.is_some()),
        ("user-risk", |conditions| conditions.user_risk.is_some()),
        ("insider-risk", |conditions| conditions.insider_risk.is_some()),
        ("service-principal-risk", |conditions| conditions.service_principal_risk.is_some()),
    ];
    for (key, _) in risks.into_iter().filter(|(_, asked)| has(asked)) {
        for level in RiskLevel::ALL.into_iter().filter(|level| *level != RiskLevel::None) {
            let (level, words) = (level.as_str(), key.replace('-', " "));
            vary.push(trait_of(format!("at {level} {words}"), format!("{key} = {}\n", json!(level))));
        }
    }
    if has(&|conditions| conditions.flows.is_some()) {
        for flow in Flow::ALL {
            let flow = flow.as_str();
            vary.push(trait_of(format!("by {flow}"), format!("flow = {}\n", json!(flow))));
        }
    }
    vary.extend(requests(app, policies));
    for (path, context) in &app.contexts {
        let lines = format!("path = {}\n", json!(path));
        vary.push(trait_of(format!("at {path}"), lines.clone()));
        let lines = format!("{lines}acrs = {}\n", json!([context.to_string()]));
        vary.push(trait_of(format!("at {path} with {context}"), lines));
    }
    vary.extend(claims(policies));
    for one in vary {
        // `acrs` and `mfa` may stand side by side.
        found.push(trait_of(format!("with several factors {}", one.name), format!("{proven}{}", one.lines)));
        found.push(trait_of(format!("with one factor {}", one.name), format!("{ONE}{}", one.lines)));
    }
    if has(&|conditions| conditions.client_apps.is_some()) {
        for kind in ClientAppType::ALL.into_iter().filter(|kind| *kind != ClientAppType::Browser) {
            let kind = kind.as_str();
            let lines = format!("mfa = true\nclient = {}\nsigned-in = \"1m\"\n", json!(kind));
            found.push(trait_of(format!("with several factors from client {kind}"), lines));
        }
    }
    found
}

/// An inline table of one level.
fn inline(key: &str, value: &serde_json::Value) -> String {
    let fields = value.as_object().into_iter().flatten();
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name} = {value}")).collect();
    format!("{key} = {{ {} }}\n", fields.join(", "))
}

/// An address or a country of each location that the policies name.
fn places(config: &Config, policies: &[&Policy]) -> Vec<Trait> {
    let mut named = BTreeSet::new();
    let mut all_trusted = false;
    for locations in policies.iter().filter_map(|policy| policy.conditions.locations.as_ref()) {
        for selector in locations.include.iter().chain(&locations.exclude) {
            match selector {
                LocationSelector::Named(name) => {
                    named.insert(name.as_str());
                }
                LocationSelector::AllTrusted => all_trusted = true,
                LocationSelector::All => {}
            }
        }
    }
    let mut found = Vec::new();
    for location in &config.policies.locations {
        let name = location.name.as_str();
        match &location.place {
            Place::Networks { networks, trusted } if named.contains(name) || (*trusted && all_trusted) => {
                if let Some(network) = networks.first() {
                    let address = network.addr().to_string();
                    // Stated, so that a look-up in a database of countries changes nothing.
                    let lines = format!("ip = {}\ncountry = \"ZZ\"\n", json!(address));
                    found.push(trait_of(format!("from {name}"), lines));
                }
            }
            Place::Countries { countries, .. } if named.contains(name) => {
                if let Some(country) = countries.first() {
                    let country = country.as_str();
                    let lines = format!("country = {}\n", json!(country));
                    found.push(trait_of(format!("from {name} ({country})"), lines));
                }
            }
            Place::Networks { .. } | Place::Countries { .. } => {}
        }
    }
    found
}

/// A request for each path and method that the policies name: for a path that the app sees, that by which it does.
fn requests(app: &App, policies: &[&Policy]) -> Vec<Trait> {
    let (mut paths, mut methods) = (BTreeSet::new(), BTreeSet::new());
    for request in policies.iter().filter_map(|policy| policy.conditions.request.as_ref()) {
        methods.extend(request.methods.iter().cloned());
        for pattern in request.paths.iter().chain(&request.exclude_paths) {
            paths.extend(own_paths(app, &within(pattern)).into_iter().next());
        }
    }
    let of_path = |path: &String| trait_of(format!("at {path}"), format!("path = {}\n", json!(path)));
    let of_method =
        |method: &String| trait_of(format!("by {method}"), format!("method = {}\n", json!(method)));
    let mut found: Vec<Trait> = paths.iter().map(of_path).collect();
    found.extend(methods.iter().map(of_method));
    for path in &paths {
        for method in &methods {
            let (path, method) = (of_path(path), of_method(method));
            found.push(trait_of(
                format!("{} {}", method.name, path.name),
                format!("{}{}", path.lines, method.lines),
            ));
        }
    }
    found
}

/// A request for which each policy's rules hold, as far as one is found.
fn claims(policies: &[&Policy]) -> Vec<Trait> {
    let mut found = Vec::new();
    for policy in policies {
        let Some(sample) = portcullis_policy::analyze::sample(&policy.conditions) else { continue };
        let mut lines = String::new();
        if let Fact::Known(device) = &sample.device {
            let fields = super::analyze::device_facts(device);
            let numbered = device.extension_attributes.iter();
            let numbered: Vec<String> =
                numbered.map(|(number, text)| format!("\"{number}\" = {}", json!(text))).collect();
            let mut parts: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            if !numbered.is_empty() {
                parts.push(format!("extension-attributes = {{ {} }}", numbered.join(", ")));
            }
            let _ = writeln!(lines, "device = {{ {} }}", parts.join(", "));
        }
        let claims = sample.claims.iter().map(|(name, value)| {
            let value = match value {
                Value::Text(text) => json!(text),
                Value::Bool(truth) => json!(truth),
                Value::Number(number) => json!(number),
                Value::List(items) => json!(items),
            };
            format!("{} = {value}", json!(name))
        });
        let claims: Vec<String> = claims.collect();
        if !claims.is_empty() {
            let _ = writeln!(lines, "claims = {{ {} }}", claims.join(", "));
        }
        if !lines.is_empty() {
            found.push(trait_of(format!("as the rules of {} say", policy.id.as_str()), lines));
        }
    }
    found
}
