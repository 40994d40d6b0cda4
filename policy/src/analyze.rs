//! What is wrong with a set that compiles: policies that can never apply, that others make moot, that
//! contradict or shut everybody out, and apps and people that no policy covers.
//!
//! Each finding but "never applies" carries a request as witness, and was verified by evaluating it.
//! Conditions are independent of one another, so each is searched over the values at which anything in
//! the set can change its answer; only rules are searched over a sample, and say so.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::decision::PolicyIndex;
use crate::explain::guest_word;
use crate::model::{
    App, ClientAppType, Conditions, Control, CountryCode, Flow, Grant, GuestKind, Operator, PathPattern,
    Place, Platform, Policy, PolicySet, PolicyState, RiskLevel, SessionControls, Subjects, Targets, Tenants,
    Unmatched, UserSelector, WorkloadSelector,
};
use crate::reference::{Check, Conclusion, Part, Tri, checks, evaluate};
use crate::remedy::changes;
use crate::signals::{
    Action, AppIndex, ClientContext, Device, Fact, Identity, Principal, RequestId, SignIn, Signals, Target,
};

/// One finding.
#[derive(Clone, Debug)]
pub struct Issue {
    /// What kind.
    pub kind: IssueKind,
    /// The policies that it is about.
    pub policies: Vec<PolicyIndex>,
    /// The app that it is about.
    pub app: Option<AppIndex>,
    /// What is wrong, lower case, without a full stop.
    pub what: String,
    /// How to mend it.
    pub help: &'static str,
    /// A request that shows it.
    pub witness: Option<Witness>,
    /// What the whole set says to the witness.
    pub conclusion: Option<Conclusion>,
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IssueKind {
    /// No request can make the policy apply.
    NeverApplies,
    /// Another policy blocks whatever this one applies to.
    Shadowed,
    /// Another policy asks at least as much wherever this one applies.
    Redundant,
    /// Who meets one policy is blocked by another.
    Contradiction,
    /// A policy demands what no sign-in can bring.
    Unsatisfiable,
    /// A block of everybody that spares nobody.
    LockOut,
    /// An app that no enforced policy speaks of.
    AppUncovered,
    /// People for whom no enforced policy of an app speaks.
    PeopleUncovered,
    /// A device rule that rests on attributes which users can change.
    ChangeableDevice,
}

impl IssueKind {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverApplies => "never-applies",
            Self::Shadowed => "shadowed",
            Self::Redundant => "redundant",
            Self::Contradiction => "contradiction",
            Self::Unsatisfiable => "unsatisfiable",
            Self::LockOut => "lock-out",
            Self::AppUncovered => "app-uncovered",
            Self::PeopleUncovered => "people-uncovered",
            Self::ChangeableDevice => "changeable-device",
        }
    }
}

/// A request, owned.
#[derive(Clone, Debug)]
pub struct Witness {
    /// Who.
    pub principal: Principal,
    /// For what.
    pub target: Target,
    /// Method.
    pub method: String,
    /// Path.
    pub path: String,
    /// Address and country.
    pub place: (Fact<IpAddr>, Fact<CountryCode>),
    /// Platform.
    pub platform: Fact<Platform>,
    /// Kind of client.
    pub client_app: ClientAppType,
    /// Sign-in, user, insider and service principal risk.
    pub risks: [RiskLevel; 4],
    /// The device.
    pub device: Option<WitnessDevice>,
    /// When, Unix seconds.
    pub now: i64,
}

/// The device of a witness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WitnessDevice {
    /// `isCompliant`
    pub compliant: Option<bool>,
    /// `trustType`
    pub trust_type: Option<&'static str>,
    /// `displayName`, `model`, `manufacturer`, `operatingSystem`, `operatingSystemVersion` and the rest.
    pub text: Option<String>,
}

impl Witness {
    fn with<T>(&self, ask: impl FnOnce(&Signals<'_>) -> T) -> T {
        let [sign_in_risk, user_risk, insider_risk, service_principal_risk] = self.risks.map(Fact::Known);
        let device = self.device.as_ref().map_or(Fact::Unknown, |device| {
            let text = device.text.as_deref();
            Fact::Known(Device {
                device_id: Some("witness"),
                compliant: device.compliant,
                trust_type: device.trust_type,
                display_name: text,
                model: text,
                manufacturer: text,
                operating_system: text,
                operating_system_version: text,
                ..Device::default()
            })
        });
        let context = ClientContext {
            address: self.place.0,
            country: self.place.1,
            platform: self.platform,
            client_app: Fact::Known(self.client_app),
            device,
            sign_in_risk,
            user_risk,
            insider_risk,
            service_principal_risk,
        };
        ask(&Signals {
            principal: &self.principal,
            target: self.target,
            action: Action { method: &self.method, path: &self.path },
            context: &context,
            request_id: RequestId(0),
            now: self.now,
        })
    }

    /// What a set says to it.
    #[must_use]
    pub fn ask(&self, set: &PolicySet) -> Conclusion {
        self.with(|signals| evaluate(set, signals).conclusion)
    }
}

/// Analyses a set at a time in Unix seconds. The findings come in order of policies and apps.
///
/// # Cost
/// Quadratic in the enabled policies, times the values that the set names; allocates. For an
/// administrator who asks, never on the request path.
#[must_use]
pub fn analyze(set: &PolicySet, now: i64) -> Vec<Issue> {
    let analysis = Analysis::new(set, now);
    let mut issues = Vec::new();
    for (policy, position) in set.policies.iter().zip(0_u32..) {
        if policy.state != PolicyState::Disabled {
            analysis.policy(policy, PolicyIndex(position), &mut issues);
        }
    }
    for (app, position) in set.apps.iter().zip(0_u32..) {
        analysis.app(app, AppIndex(position), &mut issues);
    }
    issues
}

/// The values at which something in the set can change its answer.
struct Analysis<'s> {
    set: &'s PolicySet,
    now: i64,
    people: Vec<Principal>,
    places: Vec<(Fact<IpAddr>, Fact<CountryCode>)>,
}

impl<'s> Analysis<'s> {
    fn new(set: &'s PolicySet, now: i64) -> Self {
        Self { set, now, people: people(set), places: places(set) }
    }

    fn plain(&self, app: AppIndex) -> Witness {
        Witness {
            principal: person("somebody"),
            target: Target { app, context: None },
            method: String::from("GET"),
            path: String::from("/"),
            place: (Fact::Unknown, Fact::Unknown),
            platform: Fact::Unknown,
            client_app: ClientAppType::Browser,
            risks: [RiskLevel::None; 4],
            device: None,
            now: self.now,
        }
    }

    /// Every form of a witness that differs in one part.
    fn forms(&self, policy: &Policy, part: Part, from: &Witness) -> Vec<Witness> {
        let each = |change: &mut dyn FnMut(&mut Witness)| {
            let mut witness = from.clone();
            change(&mut witness);
            witness
        };
        let risk = |at: usize| {
            let with = |level| {
                each(&mut |witness| {
                    if let Some(risk) = witness.risks.get_mut(at) {
                        *risk = level;
                    }
                })
            };
            RiskLevel::ALL.into_iter().map(with).collect()
        };
        match part {
            Part::State => Vec::new(),
            Part::Users | Part::Workloads => self
                .people
                .iter()
                .map(|one| {
                    each(&mut |witness| {
                        let flow = witness.principal.sign_in.flow;
                        witness.principal = one.clone();
                        witness.principal.sign_in.flow = flow;
                    })
                })
                .collect(),
            Part::Application => (0_u32..)
                .zip(&self.set.apps)
                .map(|(app, _)| each(&mut |witness| witness.target.app = AppIndex(app)))
                .collect(),
            Part::AuthenticationContext => match &policy.targets {
                Targets::Apps(_) => Vec::new(),
                Targets::Contexts(contexts) => contexts
                    .iter()
                    .map(|context| each(&mut |witness| witness.target.context = Some(*context)))
                    .collect(),
            },
            Part::DevicePlatform => Platform::ALL
                .into_iter()
                .map(Fact::Known)
                .chain([Fact::Unknown])
                .map(|platform| each(&mut |witness| witness.platform = platform))
                .collect(),
            Part::ClientApps => ClientAppType::ALL
                .into_iter()
                .map(|kind| each(&mut |witness| witness.client_app = kind))
                .collect(),
            Part::Location => {
                self.places.iter().map(|place| each(&mut |witness| witness.place = *place)).collect()
            }
            Part::SignInRisk => risk(0),
            Part::UserRisk => risk(1),
            Part::InsiderRisk => risk(2),
            Part::ServicePrincipalRisk => risk(3),
            Part::Devices | Part::Claims => devices(&policy.conditions)
                .into_iter()
                .map(|device| each(&mut |witness| witness.device = device.clone()))
                .collect(),
            Part::AuthenticationFlow => Flow::ALL
                .into_iter()
                .map(Some)
                .chain([None])
                .map(|flow| each(&mut |witness| witness.principal.sign_in.flow = flow))
                .collect(),
            Part::Request => requests(self.set)
                .into_iter()
                .map(|(method, path)| {
                    each(&mut |witness| {
                        witness.method.clone_from(&method);
                        witness.path.clone_from(&path);
                    })
                })
                .collect(),
            Part::Time => {
                let mut moments = Vec::from([self.now]);
                for time in self.set.policies.iter().filter_map(|one| one.conditions.time.as_ref()) {
                    moments.extend(changes(time, self.now));
                    moments.extend(time.from.into_iter().flat_map(|from| changes(time, from.max(self.now))));
                }
                moments.retain(|at| *at >= self.now);
                moments.into_iter().map(|at| each(&mut |witness| witness.now = at)).collect()
            }
        }
    }

    fn checks(&self, policy: &Policy, witness: &Witness) -> Vec<Check> {
        let Some(app) = self.set.apps.get(witness.target.app.0 as usize) else { return Vec::new() };
        witness.with(|signals| checks(self.set, app, policy, signals))
    }

    fn holds(&self, policy: &Policy, part: Part, witness: &Witness) -> bool {
        let checks = self.checks(policy, witness);
        checks.iter().find(|check| check.part == part).is_none_or(|check| check.holds == Tri::Yes)
    }

    fn applies(&self, policy: &Policy, witness: &Witness) -> bool {
        let checks = self.checks(policy, witness);
        !checks.is_empty() && checks.iter().all(|check| check.holds == Tri::Yes)
    }

    /// A request to which a policy applies, or the part that nothing matches.
    fn witness(&self, policy: &Policy) -> Result<Witness, Part> {
        let mut witness = self.plain(AppIndex(0));
        for part in Part::ALL {
            if !self.holds(policy, part, &witness) {
                let mut forms = self.forms(policy, part, &witness).into_iter();
                witness = forms.find(|form| self.holds(policy, part, form)).ok_or(part)?;
            }
        }
        if self.applies(policy, &witness) { Ok(witness) } else { Err(Part::Claims) }
    }

    fn policy(&self, policy: &Policy, position: PolicyIndex, issues: &mut Vec<Issue>) {
        let one = Vec::from([position]);
        let id = policy.id.as_str();
        if self.set.apps.is_empty() {
            return;
        }
        let witness = match self.witness(policy) {
            Ok(witness) => witness,
            Err(part) => {
                let what = if matches!(part, Part::Devices | Part::Claims) {
                    format!("no request was found to which `{id}` applies: its rule matched no sample")
                } else {
                    format!("`{id}` can never apply: nothing matches its {}", part.as_str())
                };
                let help = "mend or remove that part; a policy that never applies protects nothing";
                issues.push(Issue {
                    kind: IssueKind::NeverApplies,
                    policies: one,
                    app: None,
                    what,
                    help,
                    witness: None,
                    conclusion: None,
                });
                return;
            }
        };
        let mut found = |kind, policies: Vec<PolicyIndex>, what: String, help, witness: &Witness| {
            issues.push(Issue {
                kind,
                policies,
                app: Some(witness.target.app),
                what,
                help,
                conclusion: Some(witness.ask(self.set)),
                witness: Some(witness.clone()),
            });
        };
        if policy.state == PolicyState::Enabled {
            self.others(policy, position, &witness, &mut found);
            if locks_out(policy) && matches!(witness.ask(self.set), Conclusion::Block(_)) {
                let what = format!("`{id}` blocks everybody it meets and spares no emergency access");
                let help = "exclude a group or two accounts that are kept for emergencies";
                found(IssueKind::LockOut, one.clone(), what, help, &witness);
            }
            if let Some(failing) = self.unsatisfied(policy, &witness) {
                let what = format!("`{id}` demands what no sign-in can bring");
                let help = "configure the evidence for its controls, or demand another";
                found(IssueKind::Unsatisfiable, one.clone(), what, help, &failing);
            }
        }
        if let Some(filter) = &policy.conditions.device
            && rests_on_changeable(filter.rule.source())
        {
            let what = format!("the device rule of `{id}` rests on attributes that a user can change");
            let help = "add an attribute that the directory sets: `isCompliant`, `trustType`, `deviceId`";
            found(IssueKind::ChangeableDevice, one, what, help, &witness);
        }
    }

    /// How a policy stands to the others.
    fn others(
        &self,
        policy: &Policy,
        position: PolicyIndex,
        witness: &Witness,
        found: &mut impl FnMut(IssueKind, Vec<PolicyIndex>, String, &'static str, &Witness),
    ) {
        let satisfied = satisfied(self.set, policy, witness);
        for (other, index) in
            self.set.policies.iter().zip(0_u32..).map(|(one, index)| (one, PolicyIndex(index)))
        {
            if index == position || other.state != PolicyState::Enabled {
                continue;
            }
            let (id, name) = (policy.id.as_str(), other.id.as_str());
            let both = Vec::from([position, index]);
            // Of two that are the same, the later one is told.
            let covers = || {
                self.applies(other, witness)
                    && self.covers(other, policy)
                    && (policy.grant != other.grant || index < position || !self.covers(policy, other))
            };
            if other.grant == Grant::Block && covers() {
                let what = format!("`{name}` blocks everything that `{id}` applies to");
                let help = "remove one of them, or exclude from the block what is meant to pass";
                found(IssueKind::Shadowed, both, what, help, witness);
            } else if asks_no_more(policy, other) && covers() {
                let what = format!("`{name}` asks at least as much wherever `{id}` applies");
                found(IssueKind::Redundant, both, what, "remove it, or say what it adds", witness);
            } else if other.grant == Grant::Block
                && policy.grant != Grant::Block
                && !self.applies(other, witness)
                && self.applies(policy, &satisfied)
                && self.applies(other, &satisfied)
            {
                let what = format!("who meets `{id}` is blocked by `{name}`");
                let help = "change the device rule of one of them";
                found(IssueKind::Contradiction, both, what, help, &satisfied);
            }
        }
    }

    /// Whether `wide` applies wherever `narrow` does, part by part.
    fn covers(&self, wide: &Policy, narrow: &Policy) -> bool {
        let same_rules = |left: &Conditions, right: &Conditions| {
            let device = match (&left.device, &right.device) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(left), Some(right)) => left.mode == right.mode && left.rule == right.rule,
            };
            device && left.claims.as_ref().is_none_or(|rule| right.claims.as_ref() == Some(rule))
        };
        let plain = self.plain(AppIndex(0));
        same_rules(&wide.conditions, &narrow.conditions)
            && match (&wide.targets, &narrow.targets) {
                (Targets::Contexts(wide), Targets::Contexts(narrow)) => {
                    narrow.iter().all(|context| wide.contains(context))
                }
                // A route's context says nothing about its app, nor the other way round.
                (Targets::Contexts(_), Targets::Apps(_)) => false,
                (Targets::Apps(_), Targets::Contexts(_) | Targets::Apps(_)) => true,
            }
            && Part::ALL
                .into_iter()
                .filter(|part| {
                    !matches!(part, Part::State | Part::Devices | Part::Claims | Part::AuthenticationContext)
                })
                .all(|part| {
                    self.forms(narrow, part, &plain)
                        .iter()
                        .chain([&plain])
                        .all(|form| !self.holds(narrow, part, form) || self.holds(wide, part, form))
                })
            && core::mem::discriminant(&wide.subjects) == core::mem::discriminant(&narrow.subjects)
    }

    /// A request with every proof there is that a policy still refuses.
    fn unsatisfied(&self, policy: &Policy, witness: &Witness) -> Option<Witness> {
        if !matches!(policy.grant, Grant::Require { .. }) {
            return None;
        }
        let alone = PolicySet {
            policies: Vec::from([Policy { session: SessionControls::default(), ..policy.clone() }]),
            apps: self
                .set
                .apps
                .iter()
                .map(|app| App { assigned: None, unmatched: Unmatched::Allow, ..app.clone() })
                .collect(),
            ..self.set.clone()
        };
        let best = satisfied(self.set, policy, witness);
        // A device that meets the demand may no longer match the filter; then the policy is satisfied.
        (!matches!(best.ask(&alone), Conclusion::Grant(_)) && self.applies(policy, &best)).then_some(best)
    }

    fn app(&self, app: &App, index: AppIndex, issues: &mut Vec<Issue>) {
        let plain = self.plain(index);
        let enabled = || self.set.policies.iter().filter(|policy| policy.state == PolicyState::Enabled);
        let speaks = |policy: &&Policy| match policy.targets {
            Targets::Apps(_) => self.holds(policy, Part::Application, &plain),
            Targets::Contexts(_) => false,
        };
        let happens = match app.unmatched {
            Unmatched::Deny => "nobody",
            Unmatched::Allow => "everybody whom nothing else stops",
        };
        let help = "let a policy include it, or say what `unmatched` should be";
        if !enabled().any(|policy| speaks(&policy)) {
            issues.push(Issue {
                kind: IssueKind::AppUncovered,
                policies: Vec::new(),
                app: Some(index),
                what: format!("no enforced policy speaks of app `{}`: {happens} is let in", app.id),
                help,
                conclusion: Some(plain.ask(self.set)),
                witness: Some(plain),
            });
            return;
        }
        let uncovered = |principal: &&Principal| {
            let asked = Witness { principal: (*principal).clone(), ..plain.clone() };
            let part = |policy: &Policy| match policy.subjects {
                Subjects::Users(_) => Part::Users,
                Subjects::Workloads(_) => Part::Workloads,
            };
            let is_user = matches!(principal.identity, Identity::User { .. });
            let assigned = app.assigned.is_none() || !matches!(evaluate_assigned(&asked, self.set), Tri::No);
            is_user
                && assigned
                && !enabled().filter(speaks).any(|policy| self.holds(policy, part(policy), &asked))
        };
        let mut names = BTreeSet::new();
        let mut first = None;
        for principal in self.people.iter().filter(uncovered) {
            names.insert(name(principal));
            first.get_or_insert_with(|| Witness { principal: principal.clone(), ..plain.clone() });
        }
        if let Some(witness) = first {
            let names: Vec<String> = names.into_iter().take(8).collect();
            let what = format!(
                "no enforced policy of app `{}` speaks of {}: of them {happens} is let in",
                app.id,
                names.join("; ")
            );
            issues.push(Issue {
                kind: IssueKind::PeopleUncovered,
                policies: Vec::new(),
                app: Some(index),
                what,
                help,
                conclusion: Some(witness.ask(self.set)),
                witness: Some(witness),
            });
        }
    }
}

fn evaluate_assigned(witness: &Witness, set: &PolicySet) -> Tri {
    witness.with(|signals| evaluate(set, signals).assigned)
}

fn person(id: &str) -> Principal {
    Principal {
        identity: Identity::User { id: id.to_string(), guest: None, home_tenant: None },
        groups: Fact::Known(Vec::new()),
        roles: Fact::Known(Vec::new()),
        sign_in: SignIn::default(),
        claims: Vec::new(),
    }
}

/// Who a principal of the sample is, in words.
fn name(principal: &Principal) -> String {
    let mut parts = Vec::new();
    if let Identity::User { id, guest, .. } = &principal.identity {
        if id != "somebody" {
            parts.push(format!("user {id}"));
        }
        parts.extend(guest.map(|kind| format!("guests:{}", guest_word(kind))));
    }
    for (kind, ids) in [("group", &principal.groups), ("role", &principal.roles)] {
        if let Fact::Known(ids) = ids {
            parts.extend(ids.iter().map(|id| format!("{kind} {id}")));
        }
    }
    if parts.is_empty() { String::from("a user of no group") } else { parts.join(" and ") }
}

/// One principal for each way in which policies name people, and for each two of them: an include
/// needs one, an exclude one more.
fn people(set: &PolicySet) -> Vec<Principal> {
    /// Beyond this many selectors pairs are left out.
    const PAIRS_OF_MAX: usize = 40;
    let mut selectors: Vec<&UserSelector> = Vec::new();
    let mut programs = BTreeSet::from(["some-program"]);
    for policy in &set.policies {
        match &policy.subjects {
            Subjects::Users(users) => selectors.extend(users.include.iter().chain(&users.exclude)),
            Subjects::Workloads(workloads) => {
                for one in workloads.include.iter().chain(&workloads.exclude) {
                    if let WorkloadSelector::ServicePrincipal(id) = one {
                        programs.insert(id.as_str());
                    }
                }
            }
        }
    }
    selectors.extend(set.apps.iter().filter_map(|app| app.assigned.as_ref()).flatten());
    selectors.retain(|one| !matches!(one, UserSelector::All | UserSelector::None));
    let mut unique: Vec<&UserSelector> = Vec::new();
    for selector in selectors {
        if !unique.contains(&selector) {
            unique.push(selector);
        }
    }
    let mut people = Vec::from([person("somebody")]);
    for (position, selector) in unique.iter().enumerate() {
        let mut one = person("somebody");
        become_one(&mut one, selector);
        people.push(one.clone());
        if unique.len() <= PAIRS_OF_MAX {
            for other in unique.iter().skip(position + 1) {
                let mut both = one.clone();
                become_one(&mut both, other);
                people.push(both);
            }
        }
    }
    people.extend(
        programs
            .into_iter()
            .map(|id| Principal { identity: Identity::Workload { id: id.to_string() }, ..person("") }),
    );
    people
}

fn become_one(principal: &mut Principal, selector: &UserSelector) {
    let Identity::User { id, guest, home_tenant } = &mut principal.identity else { return };
    let add = |ids: &mut Fact<Vec<String>>, id: &String| {
        if let Fact::Known(ids) = ids {
            ids.push(id.clone());
        }
    };
    match selector {
        UserSelector::All | UserSelector::None => {}
        UserSelector::User(wanted) => id.clone_from(wanted),
        UserSelector::Group(group) => add(&mut principal.groups, group),
        UserSelector::Role(role) => add(&mut principal.roles, role),
        UserSelector::Guests(guests) => {
            *guest = GuestKind::ALL.into_iter().find(|kind| guests.kinds.contains(*kind));
            if let Tenants::Only(tenants) = &guests.tenants {
                *home_tenant = tenants.first().cloned();
            }
        }
    }
}

/// The beginning of each network and the first address after it, with each country that is named, one
/// that is not, and none.
fn places(set: &PolicySet) -> Vec<(Fact<IpAddr>, Fact<CountryCode>)> {
    let mut addresses = Vec::from([Fact::Unknown]);
    let mut countries = Vec::from([Fact::Unknown]);
    countries.extend(CountryCode::new("ZZ").map(Fact::Known));
    for location in &set.locations {
        match &location.place {
            Place::Networks { networks, .. } => {
                for network in networks {
                    addresses.push(Fact::Known(network.addr()));
                    addresses.extend(after(network.broadcast()).map(Fact::Known));
                }
            }
            Place::Countries { countries: named, .. } => {
                countries.extend(named.iter().copied().map(Fact::Known));
            }
        }
    }
    let with = |address: Fact<IpAddr>| countries.iter().map(move |country| (address, *country));
    addresses.into_iter().flat_map(with).collect()
}

fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            address.to_bits().checked_add(1).map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)))
        }
        IpAddr::V6(address) => {
            address.to_bits().checked_add(1).map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)))
        }
    }
}

/// Every method and path at which a request condition can change its answer.
fn requests(set: &PolicySet) -> Vec<(String, String)> {
    let mut methods = BTreeSet::from([String::from("GET"), String::from("PROPFIND")]);
    let mut paths = BTreeSet::from([String::from("/"), String::from("/elsewhere")]);
    for request in set.policies.iter().filter_map(|policy| policy.conditions.request.as_ref()) {
        methods.extend(request.methods.iter().cloned());
        for pattern in request.paths.iter().chain(&request.exclude_paths) {
            match pattern {
                PathPattern::Exact(path) => {
                    paths.insert(path.clone());
                }
                PathPattern::Subtree(path) => {
                    paths.extend([
                        format!("{path}/below"),
                        if path.is_empty() { String::from("/") } else { path.clone() },
                    ]);
                }
            }
        }
    }
    let with = |method: &String| {
        let method = method.clone();
        paths.iter().map(move |path| (method.clone(), path.clone())).collect::<Vec<_>>()
    };
    methods.iter().flat_map(with).collect()
}

/// Unregistered, and registered in every state that Entra tells, with each text that the rules name.
fn devices(conditions: &Conditions) -> Vec<Option<WitnessDevice>> {
    let mut texts = Vec::from([None, Some(String::from("something else"))]);
    let filter = conditions.device.as_ref().map(|filter| &filter.rule);
    for rule in filter.into_iter().chain(&conditions.claims) {
        let quoted = rule.source().split('"').skip(1).step_by(2);
        texts.extend(quoted.map(|text| Some(String::from(text))));
    }
    let mut devices = Vec::from([None]);
    for text in texts {
        for compliant in [None, Some(true), Some(false)] {
            for trust_type in [None, Some("AzureAD"), Some("ServerAD"), Some("Workplace")] {
                devices.push(Some(WitnessDevice { compliant, trust_type, text: text.clone() }));
            }
        }
    }
    devices
}

/// The same request with every proof that a policy's controls ask for.
fn satisfied(set: &PolicySet, policy: &Policy, witness: &Witness) -> Witness {
    let mut best = witness.clone();
    let sign_in = &mut best.principal.sign_in;
    sign_in.auth_time = Some(witness.now);
    sign_in.methods = set.evidence.mfa_methods.clone();
    sign_in.acr = set.evidence.mfa_acrs.first().cloned();
    sign_in.password_changed = Some(witness.now);
    sign_in.risk_seen = Some(witness.now.saturating_sub(60));
    let Grant::Require { controls, .. } = &policy.grant else { return best };
    for control in controls {
        let mut device = best.device.clone().unwrap_or_default();
        match control {
            Control::Mfa | Control::PasswordChange => {}
            Control::CompliantDevice => {
                device.compliant = Some(true);
                best.device = Some(device);
            }
            Control::HybridJoinedDevice => {
                device.trust_type = Some("ServerAD");
                best.device = Some(device);
            }
            Control::ApprovedClientApp => {
                best.principal.sign_in.client_id = set.evidence.approved_clients.first().cloned();
            }
            Control::AppProtection => {
                best.principal.sign_in.client_id = set.evidence.protected_clients.first().cloned();
            }
            Control::Strength(name) => {
                for strength in set.strengths.iter().filter(|strength| strength.name == *name) {
                    best.principal.sign_in.methods.extend(strength.combinations.iter().flatten().cloned());
                    if strength.combinations.is_empty()
                        && let Some(acr) = strength.acrs.first()
                    {
                        best.principal.sign_in.acr = Some(acr.clone());
                    }
                }
            }
            Control::TermsOfUse(name) => best.principal.sign_in.terms.push(name.clone()),
            Control::Custom(name) => best.principal.sign_in.custom_controls.push(name.clone()),
        }
    }
    best
}

/// Whether `less` demands nothing that `more` does not demand too.
fn asks_no_more(less: &Policy, more: &Policy) -> bool {
    let (Grant::Require { operator, controls }, Grant::Require { operator: Operator::And, controls: all }) =
        (&less.grant, &more.grant)
    else {
        return false;
    };
    let met = match operator {
        Operator::And => controls.iter().all(|control| all.contains(control)),
        Operator::Or => controls.iter().any(|control| all.contains(control)),
    };
    met && (less.session == SessionControls::default() || less.session == more.session)
}

/// A block of everybody without anybody who is spared by name, group or role.
fn locks_out(policy: &Policy) -> bool {
    let Subjects::Users(users) = &policy.subjects else { return false };
    policy.grant == Grant::Block
        && users.include.contains(&UserSelector::All)
        && !users.exclude.iter().any(|one| {
            matches!(
                one,
                UserSelector::All | UserSelector::User(_) | UserSelector::Group(_) | UserSelector::Role(_)
            )
        })
}

/// Whether a rule speaks of devices only by attributes that a user can change on the device.
fn rests_on_changeable(source: &str) -> bool {
    let lower = source.to_ascii_lowercase();
    let mut names = lower
        .split("device.")
        .skip(1)
        .map(|rest| rest.split(|char: char| !char.is_ascii_alphanumeric()).next().unwrap_or_default());
    let changeable = |name: &str| matches!(name, "displayname" | "model" | "manufacturer");
    lower.contains("device.") && names.all(changeable)
}
