//! Why: the reference evaluation with words. What each policy wanted, what was seen, and which part of it
//! ruled it out; for `what-if`, for administrators who look up a refusal, and for the decision log.
//!
//! Operator text: it names policies, groups and networks, so it never belongs on a user's page.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::decision::PolicyIndex;
use crate::model::{
    AppSelector, ClientAppType, Conditions, Control, FilterMode, Flow, GuestKind, LocationSelector,
    PathPattern, Place, PlatformSelector, Policy, PolicySet, PolicyState, RiskLevel, RiskSet,
    SignInFrequency, Subjects, Targets, Tenants, UserSelector, WorkloadSelector,
};
use crate::reference::{Conclusion, Finding, Part, Tri, evaluate};
use crate::signals::{Device, Fact, Identity, Signals};

/// Why a request was decided as it was.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Whether the principal is assigned to the app; policies decide only when [`Tri::Yes`].
    pub assigned: Tri,
    /// In or out.
    pub conclusion: Conclusion,
    /// Every policy of the set, disabled ones included, in their order.
    pub policies: Vec<Explained>,
}

/// One policy's answer, with words.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The findings of the reference.
    pub finding: Finding,
    /// Every part of the policy, in the order of [`Finding::checks`].
    pub parts: Vec<Words>,
    /// Every control that it asks for, in the order of [`Finding::controls`], then the freshness of the
    /// sign-in.
    pub controls: Vec<Demanded>,
}

/// What a part of a policy wanted, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// Which part.
    pub part: Part,
    /// Whether it matched.
    pub holds: Tri,
    /// What the policy wants.
    pub wanted: String,
    /// What the request brought.
    pub seen: String,
}

/// A control, and whether it was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demanded {
    /// Its name, as files write it.
    pub control: String,
    /// Whether there was evidence; [`Tri::Maybe`] when the fact is unavailable.
    pub met: Tri,
    /// What the request brought.
    pub seen: String,
}

/// Explains one request. It never differs from `decide`; tests hold both together.
///
/// # Cost
/// Linear in everything; allocates. Never on the request path.
#[must_use]
pub fn explain(set: &PolicySet, signals: &Signals<'_>) -> Explanation {
    let evaluation = evaluate(set, signals);
    let words = evaluation.findings.into_iter().filter_map(|finding| {
        let policy = set.policies.get(finding.policy.0 as usize)?;
        let parts = finding.checks.iter().map(|check| Words {
            part: check.part,
            holds: check.holds,
            wanted: wanted(policy, check.part),
            seen: seen(set, check.part, signals),
        });
        let mut controls: Vec<Demanded> = finding
            .controls
            .iter()
            .map(|(control, met)| Demanded {
                control: control_name(control),
                met: *met,
                seen: evidence(control, signals),
            })
            .collect();
        if let (Some(frequency), Some(fresh)) = (policy.session.sign_in_frequency, finding.fresh) {
            controls.push(Demanded {
                control: match frequency {
                    SignInFrequency::Every(span) => format!("sign-in-frequency {}s", span.as_secs()),
                    SignInFrequency::EveryTime => String::from("sign-in-frequency every-time"),
                },
                met: Tri::from_bool(fresh),
                seen: match signals.principal.auth_time {
                    Some(at) => format!("signed in {} s ago", signals.now.saturating_sub(at)),
                    None => String::from("no time of sign-in"),
                },
            });
        }
        Some(Explained { parts: parts.collect(), controls, finding })
    });
    let policies = words.collect();
    Explanation { assigned: evaluation.assigned, conclusion: evaluation.conclusion, policies }
}

impl Explanation {
    /// What one policy says.
    #[must_use]
    pub fn of(&self, policy: PolicyIndex) -> Option<&Explained> {
        self.policies.iter().find(|explained| explained.finding.policy == policy)
    }
}

impl Explained {
    /// One sentence without a full stop: why it did not apply, or what it asks and was given.
    #[must_use]
    pub fn sentence(&self) -> String {
        if let Some(words) = self.parts.iter().find(|words| words.holds == Tri::No) {
            return match words.part {
                Part::State => String::from("did not apply: it is disabled"),
                part => {
                    format!("did not apply, by {}: wants {}; saw {}", part.as_str(), words.wanted, words.seen)
                }
            };
        }
        let doubt: Vec<&str> = self
            .parts
            .iter()
            .filter(|words| words.holds == Tri::Maybe)
            .map(|words| words.part.as_str())
            .collect();
        let applies = match doubt.as_slice() {
            [] => String::from("applies"),
            parts => format!("is taken to apply, because {} is unavailable", parts.join(", ")),
        };
        let demands = self.controls.iter().map(|one| match one.met {
            Tri::Yes => format!("{} met ({})", one.control, one.seen),
            Tri::Maybe => format!("{} unavailable ({})", one.control, one.seen),
            Tri::No => format!("{} unmet ({})", one.control, one.seen),
        });
        let demands: Vec<String> = demands.collect();
        let result = self.finding.result.as_str();
        if demands.is_empty() {
            format!("{applies}: {result}")
        } else {
            format!("{applies}: {result}; {}", demands.join("; "))
        }
    }
}

// What a policy wants.

fn wanted(policy: &Policy, part: Part) -> String {
    let conditions = &policy.conditions;
    match part {
        Part::State => match policy.state {
            PolicyState::Enabled => String::from("enabled"),
            PolicyState::ReportOnly => String::from("report-only"),
            PolicyState::Disabled => String::from("disabled"),
        },
        Part::Users => match &*policy.subjects {
            Subjects::Users(users) => selection(&users.include, &users.exclude, user_selector),
            Subjects::Workloads(_) => String::new(),
        },
        Part::Workloads => match &*policy.subjects {
            Subjects::Workloads(programs) => {
                selection(&programs.include, &programs.exclude, |one| match one {
                    WorkloadSelector::All => String::from("all"),
                    WorkloadSelector::None => String::from("none"),
                    WorkloadSelector::ServicePrincipal(id) => id.clone(),
                })
            }
            Subjects::Users(_) => String::new(),
        },
        Part::Application => match &*policy.targets {
            Targets::Apps(apps) => {
                let named = selection(&apps.include, &apps.exclude, |one| match one {
                    AppSelector::All => String::from("all"),
                    AppSelector::None => String::from("none"),
                    AppSelector::App(id) => id.clone(),
                    AppSelector::Group(group) => format!("group:{group}"),
                });
                match &apps.filter {
                    None => named,
                    Some((mode, rule)) => format!("{named}, filter {}", filter(*mode, rule.source())),
                }
            }
            Targets::Contexts(_) => String::new(),
        },
        Part::AuthenticationContext => match &*policy.targets {
            Targets::Contexts(contexts) => list(contexts),
            Targets::Apps(_) => String::new(),
        },
        Part::DevicePlatform => conditions.platforms.as_ref().map_or_else(String::new, |platforms| {
            selection(&platforms.include, &platforms.exclude, |one| match one {
                PlatformSelector::All => String::from("all"),
                PlatformSelector::Named(platform) => String::from(platform.as_str()),
            })
        }),
        Part::ClientApps => conditions
            .client_apps
            .map_or_else(String::new, |kinds| list(kinds.iter().map(ClientAppType::as_str))),
        Part::Location => conditions.locations.as_ref().map_or_else(String::new, |locations| {
            selection(&locations.include, &locations.exclude, |one| match one {
                LocationSelector::All => String::from("all"),
                LocationSelector::AllTrusted => String::from("all-trusted"),
                LocationSelector::Named(name) => name.clone(),
            })
        }),
        Part::SignInRisk => risks(conditions.sign_in_risk),
        Part::UserRisk => risks(conditions.user_risk),
        Part::InsiderRisk => risks(conditions.insider_risk),
        Part::ServicePrincipalRisk => risks(conditions.service_principal_risk),
        Part::Devices => conditions
            .device
            .as_ref()
            .map_or_else(String::new, |device| filter(device.mode, device.rule.source())),
        Part::AuthenticationFlow => {
            conditions.flows.map_or_else(String::new, |flows| list(flows.iter().map(Flow::as_str)))
        }
        Part::Request => request(conditions),
        Part::Time => conditions.time.as_ref().map_or_else(String::new, |time| {
            let windows: Vec<String> =
                time.windows.iter().map(|window| clock(window.start_minute, window.end_minute)).collect();
            let span = match (time.from, time.until) {
                (None, None) => String::new(),
                (from, until) => format!(" from {} until {}", moment(from), moment(until)),
            };
            let windows = if windows.is_empty() { String::from("any time") } else { windows.join(", ") };
            format!("{windows} ({}){span}", time.zone.name)
        }),
        Part::Claims => {
            conditions.claims.as_ref().map_or_else(String::new, |rule| String::from(rule.source()))
        }
    }
}

fn selection<T>(include: &[T], exclude: &[T], name: impl Fn(&T) -> String) -> String {
    let include = if include.is_empty() { String::from("none") } else { list(include.iter().map(&name)) };
    if exclude.is_empty() {
        include
    } else {
        format!("{include}, except {}", list(exclude.iter().map(&name)))
    }
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { String::from("none") } else { items.join(", ") }
}

fn user_selector(selector: &UserSelector) -> String {
    match selector {
        UserSelector::All => String::from("all"),
        UserSelector::None => String::from("none"),
        UserSelector::User(id) => id.clone(),
        UserSelector::Group(id) => format!("group:{id}"),
        UserSelector::Role(id) => format!("role:{id}"),
        UserSelector::Guests(guests) => {
            let kinds: Vec<&str> = guests.kinds.iter().map(GuestKind::as_str).collect();
            match &guests.tenants {
                Tenants::Any => format!("guests:{}", kinds.join(",")),
                Tenants::Only(tenants) => format!("guests:{}@{}", kinds.join(","), tenants.join(",")),
            }
        }
    }
}

fn risks(wanted: Option<RiskSet>) -> String {
    wanted.map_or_else(String::new, |levels| list(levels.iter().map(RiskLevel::as_str)))
}

fn filter(mode: FilterMode, rule: &str) -> String {
    match mode {
        FilterMode::Include => format!("`{rule}`"),
        FilterMode::Exclude => format!("anything but `{rule}`"),
    }
}

fn request(conditions: &Conditions) -> String {
    let Some(request) = &conditions.request else { return String::new() };
    let pattern = |pattern: &PathPattern| match pattern {
        PathPattern::Exact(path) => path.clone(),
        PathPattern::Subtree(path) => format!("{path}/**"),
    };
    let methods =
        if request.methods.is_empty() { String::from("any method") } else { request.methods.join(", ") };
    let mut text = format!("{methods} on ");
    text.push_str(&if request.paths.is_empty() {
        String::from("any path")
    } else {
        list(request.paths.iter().map(pattern))
    });
    if !request.exclude_paths.is_empty() {
        text.push_str(&format!(", except {}", list(request.exclude_paths.iter().map(pattern))));
    }
    text
}

/// A weekly window, as people say it.
fn clock(start: u16, end: u16) -> String {
    format!("{}-{}", week_minute(start), week_minute(end))
}

fn week_minute(minute: u16) -> String {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let day = DAYS.get(usize::from(minute / 1_440)).copied().unwrap_or("sun end");
    format!("{day} {:02}:{:02}", minute % 1_440 / 60, minute % 60)
}

fn moment(at: Option<i64>) -> String {
    at.map_or_else(|| String::from("ever"), |at| format!("Unix second {at}"))
}

/// A control as files write it.
fn control_name(control: &Control) -> String {
    String::from(match control {
        Control::Mfa => "mfa",
        Control::CompliantDevice => "compliant-device",
        Control::HybridJoinedDevice => "hybrid-joined-device",
        Control::ApprovedClientApp => "approved-client-app",
        Control::AppProtection => "app-protection",
        Control::PasswordChange => "password-change",
        Control::Strength(name) => return format!("strength:{name}"),
        Control::TermsOfUse(name) => return format!("terms-of-use:{name}"),
        Control::Custom(name) => return format!("custom:{name}"),
    })
}

// What a request brought.

fn fact<T>(fact: &Fact<T>, show: impl FnOnce(&T) -> String) -> String {
    match fact {
        Fact::Known(value) => show(value),
        Fact::Unknown => String::from("nothing known"),
        Fact::Unavailable => String::from("unavailable: its source does not answer"),
    }
}

/// Groups or roles. A record of a decision has those alone that a policy names.
fn members(ids: &Fact<Vec<String>>) -> String {
    match ids {
        Fact::Known(ids) if ids.is_empty() => String::from("none that a policy names"),
        Fact::Unknown => String::from("not stated"),
        known => fact(known, |ids| list(ids)),
    }
}

fn seen(set: &PolicySet, part: Part, signals: &Signals<'_>) -> String {
    let (principal, context) = (signals.principal, signals.context);
    let risk = |level: &Fact<RiskLevel>| match level {
        Fact::Unknown => String::from("none, for no source has it"),
        known => fact(known, |level| String::from(level.as_str())),
    };
    match part {
        Part::State => String::new(),
        Part::Users | Part::Workloads => match &principal.standing.identity {
            Identity::Workload => format!("program {}", principal.id),
            Identity::User { guest: kind, home_tenant } => {
                let mut text = format!("user {}", principal.id);
                if let Some(kind) = kind {
                    text.push_str(&format!(", {}", kind.as_str()));
                }
                if let Some(tenant) = home_tenant {
                    text.push_str(&format!(" of {tenant}"));
                }
                text.push_str(&format!(", groups {}", members(&principal.standing.groups)));
                text.push_str(&format!(", roles {}", members(&principal.standing.roles)));
                text
            }
        },
        Part::Application => set
            .apps
            .get(signals.target.app.0 as usize)
            .map_or_else(|| String::from("no such app"), |app| app.id.clone()),
        Part::AuthenticationContext => signals.target.context.map_or_else(
            || String::from("no authentication context requested"),
            |context| context.to_string(),
        ),
        Part::DevicePlatform => fact(&context.platform, |platform| String::from(platform.as_str())),
        Part::ClientApps => match &context.client_app {
            Fact::Unknown => String::from("other, for it is unknown"),
            known => fact(known, |kind| String::from(kind.as_str())),
        },
        Part::Location => {
            let address = fact(&context.address, |address| address.to_canonical().to_string());
            let country = fact(&context.country, |country| String::from(country.as_str()));
            format!("address {address}, country {country}, in {}", list(here(set, signals)))
        }
        Part::SignInRisk => risk(&context.sign_in_risk),
        Part::UserRisk => risk(&context.user_risk),
        Part::InsiderRisk => risk(&context.insider_risk),
        Part::ServicePrincipalRisk => risk(&context.service_principal_risk),
        Part::Devices => device(&context.device),
        Part::AuthenticationFlow => {
            principal.standing.sign_in.flow.map_or("no such flow", Flow::as_str).to_string()
        }
        Part::Request => format!("{} {}", signals.action.method, signals.action.path),
        Part::Time => format!("Unix second {}", signals.now),
        Part::Claims => {
            let claims = principal.standing.claims.iter().map(|(name, value)| format!("{name} = {value:?}"));
            format!("claims {}", list(claims))
        }
    }
}

/// The named locations that the request is in for certain.
fn here<'s>(set: &'s PolicySet, signals: &Signals<'_>) -> Vec<&'s str> {
    let context = signals.context;
    let is_here = |place: &Place| match place {
        Place::Networks { networks, .. } => context.address.known().is_some_and(|address| {
            let address = address.to_canonical();
            networks.iter().any(|network| network.contains(&address))
        }),
        Place::Countries { countries, include_unknown } => match context.country {
            Fact::Known(country) => countries.contains(&country),
            Fact::Unknown => *include_unknown,
            Fact::Unavailable => false,
        },
    };
    set.locations.iter().filter(|one| is_here(&one.place)).map(|one| one.name.as_str()).collect()
}

fn device(device: &Fact<Device<'_>>) -> String {
    match device {
        Fact::Unknown => String::from("an unregistered device"),
        known => fact(known, |device| {
            let mut parts = Vec::new();
            let mut add = |name: &str, value: Option<&str>| {
                parts.extend(value.map(|value| format!("{name} {value}")));
            };
            add("id", device.device_id);
            add("compliant", device.compliant.map(|flag| if flag { "yes" } else { "no" }));
            add("trust type", device.trust_type);
            add("system", device.operating_system);
            add("version", device.operating_system_version);
            add("model", device.model);
            add("manufacturer", device.manufacturer);
            add("name", device.display_name);
            add("ownership", device.ownership);
            format!("a device: {}", list(parts))
        }),
    }
}

fn evidence(control: &Control, signals: &Signals<'_>) -> String {
    let sign_in = &signals.principal.standing.sign_in;
    let or_none = |text: Option<&str>| String::from(text.unwrap_or("none"));
    match control {
        Control::Mfa | Control::Strength(_) => {
            let issuer = sign_in.issuer;
            let or_never =
                |asserted: bool, value: String| if asserted { value } else { String::from("never asserted") };
            format!(
                "amr {}, acr {}, acrs {}",
                or_never(issuer.asserts_methods || !sign_in.methods.is_empty(), list(&sign_in.methods)),
                or_never(issuer.asserts_acr || sign_in.acr.is_some(), or_none(sign_in.acr.as_deref())),
                list(&sign_in.contexts)
            )
        }
        Control::CompliantDevice | Control::HybridJoinedDevice => device(&signals.context.device),
        Control::ApprovedClientApp | Control::AppProtection => {
            format!("client {}", or_none(sign_in.client_id.as_deref()))
        }
        Control::PasswordChange => {
            format!(
                "password changed {}, risk seen {}",
                time(sign_in.password_changed),
                time(sign_in.risk_seen)
            )
        }
        Control::TermsOfUse(_) => format!("accepted {}", list(&sign_in.terms)),
        Control::Custom(_) => format!("satisfied {}", list(&sign_in.custom_controls)),
    }
}

fn time(at: Option<i64>) -> String {
    at.map_or_else(|| String::from("at no known time"), |at| format!("at Unix second {at}"))
}
