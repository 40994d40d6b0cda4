//! What is wrong with a set that compiles: policies that can never apply, that others make moot, that
//! contradict or shut everybody out, and apps and people that no policy covers.
//!
//! Each finding but "never applies" carries a request as witness. The reference says what it comes to, and
//! the engine must say the same. Conditions are independent of one another, so each is searched over the
//! values at which anything in the policies at hand can change its answer; those of rules are made from the
//! rules, and where they are not all there are, nothing is said of what was not found. Which policies stand beside one another the engine tells: those that apply to the
//! same request. So the cost grows with what meets, not with every pair.
//!
//! The search is bounded in steps, not in time, so that a set has the same findings everywhere; what was
//! left out is a finding of its own.

mod people;
mod values;
mod witness;

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use crate::compile::CompiledPolicies;
use crate::decision::{Generation, PolicyIndex};
use crate::model::{
    App, ClientAppType, Conditions, FilterMode, Flow, Grant, LocationSelector, Operator, Place, Platform,
    Policy, PolicySet, PolicyState, RiskLevel, SessionControls, Subjects, Targets, Unmatched, UserSelector,
};
use crate::path::PathCase;
use crate::reference::{Conclusion, Part, Tri, check};
use crate::rule::Environment;
use crate::rule::sample::Samples;
use crate::signals::{AppIndex, ClientContext, Fact, OwnedDevice, OwnedSignals, Principal, Target, Value};
use crate::words;
use values::{Whereabouts, satisfied};
use witness::{decided, evaluated, put};

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
    pub witness: Option<OwnedSignals>,
    /// What the whole set says to the witness.
    pub conclusion: Option<Conclusion>,
}

words! {
    /// The kinds of findings.
    pub enum IssueKind {
        /// No request can make the policy apply.
        NeverApplies = "never-applies",
        /// Another policy blocks whatever this one applies to.
        Shadowed = "shadowed",
        /// Another policy asks at least as much wherever this one applies.
        Redundant = "redundant",
        /// Who meets one policy is blocked by another.
        Contradiction = "contradiction",
        /// A policy demands what no sign-in can bring.
        Unsatisfiable = "unsatisfiable",
        /// A block of everybody that spares nobody.
        LockOut = "lock-out",
        /// An app that no enforced policy speaks of.
        AppUncovered = "app-uncovered",
        /// People for whom no enforced policy of an app speaks.
        PeopleUncovered = "people-uncovered",
        /// A device rule that rests on attributes which users can change.
        ChangeableDevice = "changeable-device",
        /// What was not searched to the end, for it takes more steps than one analysis has.
        Unfinished = "unfinished",
        /// The engine and the reference disagree about the witness: a defect of this program.
        Disputed = "disputed",
    }
}

/// How many steps the policies have together, and the apps. A step is a selector, some networks or a
/// part of a condition looked at: a few nanoseconds.
const STEPS_MAX: u64 = 16_000_000_000;
/// How many of them one policy or app may take, so that a single one cannot starve the others.
const STEPS_OF_ONE_MAX: u64 = STEPS_MAX / 50;
/// How many kinds of people who are covered by nothing are told of one app.
const PEOPLE_MAX: usize = 8;

/// Analyses a set at a time in Unix seconds. The findings come in order of policies and apps; a set that
/// does not compile has none.
///
/// # Cost
/// Linear in the policies, times those that apply to the same request and the values that these name;
/// allocates. For an administrator who asks, never on the request path. It ends after a fixed number of
/// steps, about a minute at most; [`IssueKind::Unfinished`] then says what was left out.
#[must_use]
pub fn analyze(set: &PolicySet, now: i64) -> Vec<Issue> {
    analyze_within(set, now, STEPS_MAX, STEPS_OF_ONE_MAX)
}

/// A device and claims for which the rules of conditions hold.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The device; [`Fact::Unknown`] is an unregistered one.
    pub device: Fact<OwnedDevice>,
    /// Claims, by name.
    pub claims: Vec<(String, Value)>,
}

/// Something that the rules of conditions match, if something is found; `None` where there are no rules. Rules that
/// ask for attributes of apps, methods or paths are passed over.
#[must_use]
pub fn sample(conditions: &Conditions) -> Option<Sample> {
    let filter = conditions.device.as_ref();
    if filter.is_none() && conditions.claims.is_none() {
        return None;
    }
    let samples = Samples::of(filter.map(|filter| &filter.rule).into_iter().chain(&conditions.claims));
    let mut plain = plain(AppIndex(0), 0);
    let nowhere = App {
        id: String::new(),
        groups: Vec::new(),
        attributes: Vec::new(),
        assigned: None,
        unmatched: Unmatched::Deny,
        paths: PathCase::default(),
    };
    samples.combinations().find_map(|combination| {
        plain.device = Fact::Unknown;
        plain.principal.standing_mut().claims.clear();
        combination.into_iter().for_each(|(place, value)| put(&mut plain, place, value));
        let holds = plain.with(|signals| {
            let environment = Environment::of(signals, &nowhere.attributes, nowhere.paths);
            let device = filter.is_none_or(|filter| {
                let wanted = if filter.mode == FilterMode::Include { Tri::Yes } else { Tri::No };
                filter.rule.holds(&environment) == wanted
            });
            device && conditions.claims.as_ref().is_none_or(|rule| rule.holds(&environment) == Tri::Yes)
        });
        holds.then(|| Sample {
            device: plain.device.clone(),
            claims: plain
                .principal
                .standing
                .claims
                .iter()
                .map(|(name, value)| (String::from(&**name), value.clone()))
                .collect(),
        })
    })
}

/// A request of which nothing is known.
fn plain(app: AppIndex, now: i64) -> OwnedSignals {
    let none = Fact::Known(RiskLevel::None);
    OwnedSignals {
        principal: people::somebody(),
        target: Target { app, context: None },
        method: String::from("GET"),
        path: String::from("/"),
        context: ClientContext {
            client_app: Fact::Known(ClientAppType::Browser),
            sign_in_risk: none,
            user_risk: none,
            insider_risk: none,
            service_principal_risk: none,
            ..ClientContext::UNKNOWN
        },
        device: Fact::Unknown,
        now,
    }
}

/// The same request with each of these values in one place.
fn each<T>(
    from: &OwnedSignals,
    values: impl IntoIterator<Item = T>,
    set: impl Fn(&mut OwnedSignals, T),
) -> Vec<OwnedSignals> {
    let with = |value| {
        let mut witness = from.clone();
        set(&mut witness, value);
        witness
    };
    values.into_iter().map(with).collect()
}

fn analyze_within(set: &PolicySet, now: i64, steps: u64, steps_of_one: u64) -> Vec<Issue> {
    let Some(mut analysis) = Analysis::new(set, now) else { return Vec::new() };
    let mut issues = Vec::new();
    let mut left = steps;
    let mut unfinished = Vec::new();
    for (policy, position) in set.policies.iter().zip(0_u32..) {
        if policy.state != PolicyState::Disabled {
            analysis.grant_steps(left.min(steps_of_one));
            let mut found = Vec::new();
            analysis.policy(policy, PolicyIndex(position), &mut found);
            left = left.saturating_sub(analysis.steps_taken());
            // Nothing was found is no finding when the search was cut short.
            if analysis.is_exhausted() {
                unfinished.push(PolicyIndex(position));
            } else {
                issues.append(&mut found);
            }
        }
    }
    left = steps;
    let mut apps = Vec::new();
    for (app, position) in set.apps.iter().zip(0_u32..) {
        analysis.grant_steps(left.min(steps_of_one));
        let mut found = Vec::new();
        analysis.app(app, AppIndex(position), &mut found);
        left = left.saturating_sub(analysis.steps_taken());
        if analysis.is_exhausted() {
            apps.push(app.id.as_str());
        } else {
            issues.append(&mut found);
        }
    }
    issues.extend(left_out(set, unfinished, &apps));
    issues
}

/// Says what was left out, if anything was.
fn left_out(set: &PolicySet, policies: Vec<PolicyIndex>, apps: &[&str]) -> Option<Issue> {
    if policies.is_empty() && apps.is_empty() {
        return None;
    }
    let mut what = format!(
        "{} of {} policies and {} of {} apps were not searched to the end",
        policies.len(),
        set.policies.len(),
        apps.len(),
        set.apps.len()
    );
    if let Some(first) = policies.first().and_then(|index| set.policies.get(index.0 as usize)) {
        what.push_str(&format!(": policies from `{}` on", first.id.as_str()));
    }
    if let Some(app) = apps.first() {
        what.push_str(&format!("; apps from `{app}` on"));
    }
    Some(Issue {
        kind: IssueKind::Unfinished,
        policies,
        app: None,
        what,
        help: "analyze a part of the policies at a time; what was found above holds all the same",
        witness: None,
        conclusion: None,
    })
}

/// A set that is being searched.
struct Analysis<'s> {
    set: &'s PolicySet,
    now: i64,
    engine: CompiledPolicies,
    /// The same set, with everybody assigned to every app: it tells which policies apply to a request.
    open: CompiledPolicies,
    places: Vec<Whereabouts>,
    /// How much it takes to look at each policy's locations, and at all there is of all policies.
    location_steps: Vec<u64>,
    conclude_steps: u64,
    /// What each policy says of each app and each place, once it was asked.
    rows: RefCell<Vec<[Option<Row>; 2]>>,
    granted: u64,
    left: Cell<u64>,
}

/// A bit for each value.
type Row = alloc::rc::Rc<[u64]>;

impl<'s> Analysis<'s> {
    fn new(set: &'s PolicySet, now: i64) -> Option<Self> {
        let open = PolicySet {
            apps: set.apps.iter().map(|app| App { assigned: None, ..app.clone() }).collect(),
            ..set.clone()
        };
        let engine = CompiledPolicies::compile(set.clone(), Generation(1)).ok()?;
        let open = CompiledPolicies::compile(open, Generation(1)).ok()?;
        let location_steps = location_steps(set);
        Some(Self {
            set,
            now,
            places: values::places(&engine),
            conclude_steps: location_steps.iter().sum::<u64>() + 20 * set.policies.len() as u64,
            location_steps,
            engine,
            open,
            rows: RefCell::new(alloc::vec![[None, None]; set.policies.len()]),
            granted: 0,
            left: Cell::new(0),
        })
    }

    fn grant_steps(&mut self, steps: u64) {
        self.granted = steps;
        self.left.set(steps);
    }

    fn steps_taken(&self) -> u64 {
        self.granted.saturating_sub(self.left.get())
    }

    /// Takes steps; once there are none, nothing that was searched counts.
    fn take(&self, steps: u64) {
        self.left.set(self.left.get().saturating_sub(steps));
    }

    fn is_exhausted(&self) -> bool {
        self.left.get() == 0
    }

    fn plain(&self, app: AppIndex) -> OwnedSignals {
        plain(app, self.now)
    }

    /// Every form of a witness that differs in one part, at which one of the policies can change its answer.
    fn forms(&self, policies: &[&Policy], part: Part, from: &OwnedSignals) -> Vec<OwnedSignals> {
        let risk = |of: for<'c> fn(&'c mut ClientContext<'static>) -> &'c mut Fact<RiskLevel>| {
            each(from, RiskLevel::ALL, |witness, level| *of(&mut witness.context) = Fact::Known(level))
        };
        match part {
            Part::State => Vec::new(),
            Part::Users => {
                let people = policies.iter().flat_map(|policy| people::included(policy));
                each(from, people, set_principal)
            }
            Part::Workloads => each(from, people::programs(policies), |witness, one| witness.principal = one),
            Part::Application => {
                let apps = (0_u32..).zip(&self.set.apps).map(|(app, _)| AppIndex(app));
                each(from, apps, |witness, app| witness.target.app = app)
            }
            Part::AuthenticationContext => {
                let contexts = policies.iter().flat_map(|policy| match &*policy.targets {
                    Targets::Apps(_) => &[],
                    Targets::Contexts(contexts) => contexts.as_slice(),
                });
                each(from, contexts, |witness, context| witness.target.context = Some(*context))
            }
            Part::DevicePlatform => {
                let platforms = Platform::ALL.into_iter().map(Fact::Known).chain([Fact::Unknown]);
                each(from, platforms, |witness, platform| witness.context.platform = platform)
            }
            Part::ClientApps => each(from, ClientAppType::ALL, |witness, kind| {
                witness.context.client_app = Fact::Known(kind);
            }),
            Part::Location => each(from, &self.places, |witness, (address, country)| {
                (witness.context.address, witness.context.country) = (*address, *country);
            }),
            Part::SignInRisk => risk(|context| &mut context.sign_in_risk),
            Part::UserRisk => risk(|context| &mut context.user_risk),
            Part::InsiderRisk => risk(|context| &mut context.insider_risk),
            Part::ServicePrincipalRisk => risk(|context| &mut context.service_principal_risk),
            // Rules are searched together: see `by_rules`.
            Part::Devices | Part::Claims => Vec::new(),
            Part::AuthenticationFlow => {
                let flows = Flow::ALL.into_iter().map(Some).chain([None]);
                each(from, flows, |witness, flow| witness.principal.standing_mut().sign_in.flow = flow)
            }
            Part::Request => each(from, values::requests(policies), |witness, (method, path)| {
                (witness.method, witness.path) = (method, path);
            }),
            Part::Time => each(from, values::moments(policies, self.now), |witness, at| witness.now = at),
        }
    }

    /// Whether a part of a policy holds; one that the policy does not have does.
    fn holds(&self, policy: Subject<'_>, part: Part, witness: &OwnedSignals) -> bool {
        self.take(self.cost(policy, part));
        let Some(app) = self.set.apps.get(witness.target.app.0 as usize) else { return false };
        let holds = witness.with(|signals| check(self.set, app, policy.policy, part, signals));
        holds.is_none_or(|holds| holds == Tri::Yes)
    }

    /// How many steps it takes to look at a part.
    fn cost(&self, policy: Subject<'_>, part: Part) -> u64 {
        let one = policy.policy;
        match (part, &*one.subjects, &*one.targets) {
            (Part::Users, Subjects::Users(users), _) => {
                10 + (users.include.len() + users.exclude.len()) as u64
            }
            (Part::Workloads, Subjects::Workloads(workloads), _) => {
                10 + (workloads.include.len() + workloads.exclude.len()) as u64
            }
            (Part::Application, _, Targets::Apps(apps)) => {
                10 + (apps.include.len() + apps.exclude.len()) as u64
            }
            (Part::Location, ..) => 10 + self.location_steps.get(policy.at()).copied().unwrap_or_default(),
            (Part::Devices | Part::Claims | Part::Request | Part::Time, ..) => 20,
            _ => 10,
        }
    }

    fn applies(&self, policy: Subject<'_>, witness: &OwnedSignals) -> bool {
        Part::ALL.into_iter().all(|part| self.holds(policy, part, witness))
    }

    /// A request to which a policy applies; or the part that nothing matches, or that none was found among those
    /// that were tried.
    fn witness(&self, policy: Subject<'_>) -> Result<OwnedSignals, NoWitness> {
        let mut witness = self.plain(AppIndex(0));
        for part in Part::ALL.into_iter().filter(|part| !matches!(part, Part::Devices | Part::Claims)) {
            if !self.holds(policy, part, &witness) {
                let bases = match part {
                    Part::Request => self.at_apps_of_each_case(policy, &witness),
                    _ => Vec::from([witness]),
                };
                let mut forms = bases.iter().flat_map(|base| self.forms(&[policy.policy], part, base));
                let fits = |form: &OwnedSignals| !self.is_exhausted() && self.holds(policy, part, form);
                witness = forms.find(fits).ok_or(NoWitness::Impossible(part))?;
            }
        }
        self.by_rules(policy, witness)
    }

    /// The same request at an app of the policy for each way in which apps take the letter case of paths: what
    /// one of them excludes may be another page of the next.
    fn at_apps_of_each_case(&self, policy: Subject<'_>, from: &OwnedSignals) -> Vec<OwnedSignals> {
        let mut cases: Vec<PathCase> = Vec::new();
        let mut bases = Vec::new();
        for (app, position) in self.set.apps.iter().zip(0_u32..) {
            if self.is_exhausted() || cases.contains(&app.paths) {
                continue;
            }
            let mut base = from.clone();
            base.target.app = AppIndex(position);
            if self.holds(policy, Part::Application, &base) {
                cases.push(app.paths);
                bases.push(base);
            }
        }
        bases
    }

    /// The same request with attributes for which the policy's rules hold. They are searched together, for one
    /// attribute may be asked for by both, and each app is tried where they ask for attributes of apps.
    fn by_rules(&self, policy: Subject<'_>, from: OwnedSignals) -> Result<OwnedSignals, NoWitness> {
        if self.applies(policy, &from) {
            return Ok(from);
        }
        let conditions = &policy.policy.conditions;
        let filter = conditions.device.as_ref().map(|filter| &filter.rule);
        let samples = Samples::of(filter.into_iter().chain(&conditions.claims));
        let apps: Vec<AppIndex> = if samples.asks_of_apps {
            (0_u32..).zip(&self.set.apps).map(|(app, _)| AppIndex(app)).collect()
        } else {
            Vec::from([from.target.app])
        };
        for app in apps {
            let mut base = from.clone();
            base.target.app = app;
            if !self.holds(policy, Part::Application, &base) {
                continue;
            }
            for combination in samples.combinations() {
                if self.is_exhausted() {
                    return Err(NoWitness::NotFound);
                }
                let mut form = base.clone();
                combination.into_iter().for_each(|(place, value)| put(&mut form, place, value));
                if self.applies(policy, &form) {
                    return Ok(form);
                }
            }
        }
        if !samples.is_complete {
            return Err(NoWitness::NotFound);
        }
        Err(NoWitness::Impossible(if conditions.device.is_some() { Part::Devices } else { Part::Claims }))
    }

    /// The policies that apply to a request, as the engine sees it.
    fn beside(&self, witness: &OwnedSignals) -> BTreeSet<PolicyIndex> {
        // A word for each fact and each 64 policies.
        self.take(1_000 + self.set.policies.len() as u64 / 4);
        let scope = self.open.bind(&witness.principal);
        let decision = witness.with(|signals| self.open.decide(&scope, signals));
        decision.applied.iter().map(|(index, _)| *index).collect()
    }

    /// What the whole set says to a witness: the reference, and whether the engine says the same.
    fn conclude(&self, witness: &OwnedSignals) -> (Conclusion, bool) {
        self.take(self.conclude_steps);
        let conclusion = evaluated(witness, self.set);
        (conclusion, conclusion == decided(witness, &self.engine))
    }

    /// An issue with its witness, unless the two that were asked about it disagree.
    fn issue(
        &self,
        kind: IssueKind,
        policies: Vec<PolicyIndex>,
        what: String,
        help: &'static str,
        witness: OwnedSignals,
    ) -> Issue {
        let (conclusion, agreed) = self.conclude(&witness);
        let (kind, help) = match agreed {
            true => (kind, help),
            false => {
                (IssueKind::Disputed, "the engine decides otherwise than the reference: please report this")
            }
        };
        let app = Some(witness.target.app);
        Issue { kind, policies, app, what, help, witness: Some(witness), conclusion: Some(conclusion) }
    }

    fn policy(&self, policy: &Policy, position: PolicyIndex, issues: &mut Vec<Issue>) {
        let one = Vec::from([position]);
        let id = policy.id.as_str();
        if self.set.apps.is_empty() {
            return;
        }
        let subject = Subject { policy, position };
        let witness = match self.witness(subject) {
            Ok(witness) => witness,
            // Of what was not found among those that were tried nothing is said: it may well be live.
            Err(NoWitness::NotFound) => return,
            Err(NoWitness::Impossible(part)) => {
                let what = format!("`{id}` can never apply: nothing matches its {}", part.as_str());
                let help = "mend that part: a policy that never applies protects nothing";
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
        if policy.state == PolicyState::Enabled {
            self.others(subject, &witness, issues);
            if locks_out(policy) && matches!(decided(&witness, &self.engine), Conclusion::Block(_)) {
                let what = format!("`{id}` blocks everybody it meets and spares no emergency access");
                let help = "exclude a group or two accounts that are kept for emergencies";
                issues.push(self.issue(IssueKind::LockOut, one.clone(), what, help, witness.clone()));
            }
            if let Some(failing) = self.unsatisfied(subject, &witness) {
                let what = format!("`{id}` demands what no sign-in can bring");
                let help = "configure the evidence for its controls, or demand another";
                issues.push(self.issue(IssueKind::Unsatisfiable, one.clone(), what, help, failing));
            }
        }
        if let Some(filter) = &policy.conditions.device
            && rests_on_changeable(filter.rule.source())
        {
            let what = format!("the device rule of `{id}` rests on attributes that a user can change");
            let help = "add an attribute that the directory sets: `isCompliant`, `trustType`, `deviceId`";
            issues.push(self.issue(IssueKind::ChangeableDevice, one, what, help, witness));
        }
    }

    /// How a policy stands to those that apply beside it.
    fn others(&self, subject: Subject<'_>, witness: &OwnedSignals, issues: &mut Vec<Issue>) {
        let Subject { policy, position } = subject;
        let choice = values::choices(self.set, policy).into_iter().next().unwrap_or_default();
        let satisfied = satisfied(self.set, policy, witness, &choice);
        let mut beside = self.beside(witness);
        beside.extend(self.beside(&satisfied));
        for index in beside {
            let Some(other) = self.set.policies.get(index.0 as usize) else { continue };
            if index == position || other.state != PolicyState::Enabled || self.is_exhausted() {
                continue;
            }
            let (id, name) = (policy.id.as_str(), other.id.as_str());
            let both = Vec::from([position, index]);
            let rival = Subject { policy: other, position: index };
            // Of two that are the same, the later one is told.
            let covers = || {
                self.applies(rival, witness)
                    && self.covers(rival, subject)
                    && (policy.grant != other.grant || index < position || !self.covers(subject, rival))
            };
            if other.grant == Grant::Block && covers() {
                let what = format!("`{name}` blocks everything that `{id}` applies to");
                let help = "remove one of them, or exclude from the block what is meant to pass";
                issues.push(self.issue(IssueKind::Shadowed, both, what, help, witness.clone()));
            } else if asks_no_more(policy, other) && covers() {
                let what = format!("`{name}` asks at least as much wherever `{id}` applies");
                let help = "remove it, or say what it adds";
                issues.push(self.issue(IssueKind::Redundant, both, what, help, witness.clone()));
            } else if other.grant == Grant::Block
                && policy.grant != Grant::Block
                && !self.applies(rival, witness)
                && self.applies(subject, &satisfied)
                && self.applies(rival, &satisfied)
            {
                let what = format!("who meets `{id}` is blocked by `{name}`");
                let help = "change the device rule of one of them";
                issues.push(self.issue(IssueKind::Contradiction, both, what, help, satisfied.clone()));
            }
        }
    }

    /// Whether `wide` applies wherever `narrow` does, part by part.
    fn covers(&self, wide: Subject<'_>, narrow: Subject<'_>) -> bool {
        let same_rules = |left: &Conditions, right: &Conditions| {
            let device = match (&left.device, &right.device) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(left), Some(right)) => left.mode == right.mode && left.rule == right.rule,
            };
            device && left.claims.as_ref().is_none_or(|rule| right.claims.as_ref() == Some(rule))
        };
        same_rules(&wide.policy.conditions, &narrow.policy.conditions)
            && match (&*wide.policy.targets, &*narrow.policy.targets) {
                (Targets::Contexts(wide), Targets::Contexts(narrow)) => {
                    narrow.iter().all(|context| wide.contains(context))
                }
                // A route's context says nothing about its app, nor the other way round.
                (Targets::Contexts(_), Targets::Apps(_)) => false,
                (Targets::Apps(_), Targets::Contexts(_) | Targets::Apps(_)) => true,
            }
            && Part::ALL.into_iter().all(|part| self.covers_part(wide, narrow, part))
            && self.covers_people(wide, narrow)
            && !self.is_exhausted()
    }

    fn covers_part(&self, wide: Subject<'_>, narrow: Subject<'_>, part: Part) -> bool {
        let within = |one: &OwnedSignals| !self.holds(narrow, part, one) || self.holds(wide, part, one);
        match part {
            // Rules were compared as they are written, contexts as lists; people follow.
            Part::State
            | Part::Devices
            | Part::Claims
            | Part::AuthenticationContext
            | Part::Users
            | Part::Workloads => true,
            Part::Application | Part::Location => {
                let (wide, narrow) = (self.row(wide, part), self.row(narrow, part));
                narrow.iter().zip(wide.iter()).all(|(narrow, wide)| narrow & !wide == 0)
            }
            Part::DevicePlatform
            | Part::ClientApps
            | Part::SignInRisk
            | Part::UserRisk
            | Part::InsiderRisk
            | Part::ServicePrincipalRisk
            | Part::AuthenticationFlow
            | Part::Request
            | Part::Time => {
                let plain = self.plain(AppIndex(0));
                self.forms(&[wide.policy, narrow.policy], part, &plain).iter().all(within)
            }
        }
    }

    fn covers_people(&self, wide: Subject<'_>, narrow: Subject<'_>) -> bool {
        let plain = self.plain(AppIndex(0));
        match (&*wide.policy.subjects, &*narrow.policy.subjects) {
            (Subjects::Users(all), Subjects::Users(_))
                if all.include.contains(&UserSelector::All) && all.exclude.is_empty() =>
            {
                true
            }
            (Subjects::Users(wide_users), Subjects::Users(narrow_users)) => {
                people::between(narrow_users, wide_users).all(|one| {
                    let mut asked = plain.clone();
                    set_principal(&mut asked, one);
                    !self.is_exhausted()
                        && (!self.holds(narrow, Part::Users, &asked) || self.holds(wide, Part::Users, &asked))
                })
            }
            (Subjects::Workloads(_), Subjects::Workloads(_)) => {
                let forms = self.forms(&[wide.policy, narrow.policy], Part::Workloads, &plain);
                forms.iter().all(|one| {
                    !self.is_exhausted()
                        && (!self.holds(narrow, Part::Workloads, one)
                            || self.holds(wide, Part::Workloads, one))
                })
            }
            (Subjects::Users(_), Subjects::Workloads(_)) | (Subjects::Workloads(_), Subjects::Users(_)) => {
                false
            }
        }
    }

    /// For which apps, or in which places, a part of a policy holds.
    fn row(&self, policy: Subject<'_>, part: Part) -> Row {
        let kind = usize::from(part == Part::Location);
        let known = self.rows.borrow().get(policy.at()).and_then(|rows| rows.get(kind)?.clone());
        if let Some(row) = known {
            return row;
        }
        let count = if part == Part::Location { self.places.len() } else { self.set.apps.len() };
        let mut row = alloc::vec![0_u64; count.div_ceil(64)];
        let mut asked = self.plain(AppIndex(0));
        for at in 0..count {
            match part {
                Part::Location => {
                    if let Some(place) = self.places.get(at) {
                        (asked.context.address, asked.context.country) = *place;
                    }
                }
                _ => asked.target.app = AppIndex(u32::try_from(at).unwrap_or(u32::MAX)),
            }
            if self.holds(policy, part, &asked)
                && let Some(word) = row.get_mut(at / 64)
            {
                *word |= 1 << (at % 64);
            }
        }
        let row: Row = row.into();
        if let Some(place) = self.rows.borrow_mut().get_mut(policy.at()).and_then(|rows| rows.get_mut(kind)) {
            *place = Some(row.clone());
        }
        row
    }

    /// A request with every proof there is that a policy still refuses.
    fn unsatisfied(&self, subject: Subject<'_>, witness: &OwnedSignals) -> Option<OwnedSignals> {
        let policy = subject.policy;
        if !matches!(policy.grant, Grant::Require { .. }) {
            return None;
        }
        let app = self.set.apps.get(witness.target.app.0 as usize)?;
        // The policy's demand alone: no conditions, and nobody else to ask.
        let alone = PolicySet {
            policies: Vec::from([Policy {
                conditions: Conditions::default().into(),
                session: SessionControls::default(),
                ..policy.clone()
            }]),
            apps: Vec::from([App { assigned: None, unmatched: Unmatched::Allow, ..app.clone() }]),
            locations: Vec::new(),
            strengths: self.set.strengths.clone(),
            evidence: self.set.evidence.clone(),
        };
        let mut failing = None;
        for choice in values::choices(self.set, policy) {
            let best = satisfied(self.set, policy, witness, &choice);
            let target = Target { app: AppIndex(0), ..best.target };
            let asked = OwnedSignals { target, ..best.clone() };
            // A device that meets the demand may no longer match the filter; then the policy is satisfied.
            if matches!(evaluated(&asked, &alone), Conclusion::Grant(_)) || !self.applies(subject, &best) {
                return None;
            }
            failing = Some(best);
        }
        failing
    }

    fn app(&self, app: &App, index: AppIndex, issues: &mut Vec<Issue>) {
        let plain = self.plain(index);
        let enabled = self.set.policies.iter().zip(0_u32..);
        let mut speaking: Vec<Subject<'_>> = enabled
            .map(|(policy, position)| Subject { policy, position: PolicyIndex(position) })
            .filter(|one| one.policy.state == PolicyState::Enabled)
            .filter(|one| match *one.policy.targets {
                Targets::Apps(_) => self.holds(*one, Part::Application, &plain),
                Targets::Contexts(_) => false,
            })
            .collect();
        let happens = match app.unmatched {
            Unmatched::Deny => "nobody",
            Unmatched::Allow => "everybody whom nothing else stops",
        };
        let help = match app.unmatched {
            Unmatched::Deny => "let an enabled policy include it",
            Unmatched::Allow => {
                "let an enabled policy include it, or write `unmatched = \"deny\"` into the app"
            }
        };
        if speaking.is_empty() {
            let what = format!("no enforced policy speaks of app `{}`: {happens} is let in", app.id);
            issues.push(self.issue(IssueKind::AppUncovered, Vec::new(), what, help, plain));
            return;
        }
        // Those that spare the fewest first: who is covered by one without excludes cannot slip through.
        speaking.retain(|one| matches!(*one.policy.subjects, Subjects::Users(_)));
        speaking.sort_by_key(|one| one.excludes().len());
        let people = self.uncovered(app, &speaking, &plain);
        if let Some(first) = people.first() {
            let names: BTreeSet<String> = people.iter().map(people::name).collect();
            let names: Vec<String> = names.into_iter().collect();
            let what = format!(
                "no enforced policy of app `{}` speaks of {}: of them {happens} is let in",
                app.id,
                names.join("; ")
            );
            let witness = OwnedSignals { principal: first.clone(), ..plain };
            let help = "if this is not meant, let a policy include them";
            issues.push(self.issue(IssueKind::PeopleUncovered, Vec::new(), what, help, witness));
        }
    }

    /// People who may use an app and whom no policy is about. Who is covered must be excluded to get out,
    /// so each way of being excluded is followed until nobody covers any more.
    fn uncovered(&self, app: &App, speaking: &[Subject<'_>], plain: &OwnedSignals) -> Vec<Principal> {
        let selectors = speaking.iter().flat_map(|one| one.includes().iter().chain(one.excludes()));
        let tenants = people::tenants(selectors.chain(app.assigned.iter().flatten()));
        let nobody = people::somebody();
        let mut open: Vec<Principal> = match &app.assigned {
            None => Vec::from([nobody]),
            Some(assigned) => assigned.iter().flat_map(|one| people::with(&nobody, one, &tenants)).collect(),
        };
        open.reverse();
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        while let Some(one) = open.pop() {
            if found.len() >= PEOPLE_MAX || self.is_exhausted() {
                break;
            }
            if !seen.insert(people::name(&one)) {
                continue;
            }
            let asked = OwnedSignals { principal: one.clone(), ..plain.clone() };
            match speaking.iter().find(|policy| self.holds(**policy, Part::Users, &asked)) {
                None => found.push(one),
                Some(covering) => {
                    let ways = covering.excludes().iter().rev();
                    open.extend(ways.flat_map(|exclude| people::with(&one, exclude, &tenants)));
                }
            }
        }
        found
    }
}

/// Why there is no request to which a policy applies.
enum NoWitness {
    /// There is none: nothing matches this part, and everything that could was tried.
    Impossible(Part),
    /// None was found, and not everything was tried.
    NotFound,
}

/// A policy with its position.
#[derive(Clone, Copy)]
struct Subject<'s> {
    policy: &'s Policy,
    position: PolicyIndex,
}

impl<'s> Subject<'s> {
    const fn at(self) -> usize {
        self.position.0 as usize
    }

    fn includes(self) -> &'s [UserSelector] {
        match &*self.policy.subjects {
            Subjects::Users(users) => &users.include,
            Subjects::Workloads(_) => &[],
        }
    }

    fn excludes(self) -> &'s [UserSelector] {
        match &*self.policy.subjects {
            Subjects::Users(users) => &users.exclude,
            Subjects::Workloads(_) => &[],
        }
    }
}

/// Makes it the request of somebody else, who signed in in the same way.
fn set_principal(witness: &mut OwnedSignals, mut principal: Principal) {
    principal.standing_mut().sign_in.flow = witness.principal.standing.sign_in.flow;
    witness.principal = principal;
}

/// For each policy, how much it takes to look at its location condition: a step for four networks or
/// countries, which are compared fast.
fn location_steps(set: &PolicySet) -> Vec<u64> {
    let size = |place: &Place| match place {
        Place::Networks { networks, .. } => networks.len(),
        Place::Countries { countries, .. } => countries.len(),
    };
    let sizes: hashbrown::HashMap<&str, usize> =
        set.locations.iter().map(|location| (location.name.as_str(), size(&location.place))).collect();
    let trusted = set.locations.iter().filter_map(|location| match &location.place {
        Place::Networks { networks, trusted: true } => Some(networks.len()),
        Place::Networks { .. } | Place::Countries { .. } => None,
    });
    let trusted: usize = trusted.sum();
    let steps = |policy: &Policy| {
        let Some(locations) = &policy.conditions.locations else { return 0 };
        let selectors = locations.include.iter().chain(&locations.exclude);
        let each = selectors.map(|selector| match selector {
            LocationSelector::All => 1,
            LocationSelector::AllTrusted => trusted,
            // By name it is found among all locations.
            LocationSelector::Named(name) => {
                set.locations.len() + sizes.get(name.as_str()).copied().unwrap_or_default()
            }
        });
        each.sum::<usize>() as u64 / 4
    };
    set.policies.iter().map(steps).collect()
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
    let Subjects::Users(users) = &*policy.subjects else { return false };
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

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use super::*;
    use crate::model::{AppSelector, Apps, Control, PolicyId, Users};

    /// Policies in pairs of which each is redundant beside the other.
    fn twins(count: usize) -> PolicySet {
        let policy = |number: usize| Policy {
            id: PolicyId::new(format!("p{number}")).unwrap(),
            name: String::new(),
            state: PolicyState::Enabled,
            subjects: Subjects::Users(Users {
                include: Vec::from([UserSelector::Group(format!("g{}", number / 2))]),
                exclude: Vec::new(),
            })
            .into(),
            targets: Targets::Apps(Apps { include: Vec::from([AppSelector::All]), ..Apps::default() }).into(),
            conditions: Conditions::default().into(),
            grant: Grant::Require { operator: Operator::And, controls: Vec::from([Control::Mfa]) },
            session: SessionControls::default(),
        };
        let app = |id: &str| App {
            id: id.into(),
            groups: Vec::new(),
            attributes: Vec::new(),
            assigned: None,
            unmatched: Unmatched::Deny,
            paths: PathCase::Unknown,
        };
        PolicySet {
            policies: (0..count).map(policy).collect(),
            apps: Vec::from([app("wiki"), app("payroll")]),
            ..PolicySet::default()
        }
    }

    fn told(issues: &[Issue]) -> Vec<(IssueKind, String)> {
        issues.iter().map(|issue| (issue.kind, issue.what.clone())).collect()
    }

    #[test]
    fn a_search_that_is_cut_short_says_what_was_left_out_and_claims_nothing_of_it() {
        let set = twins(40);
        let whole = told(&analyze(&set, 0));
        assert_eq!(whole.len(), 20 + 2, "{whole:?}");
        let mut unfinished = 0;
        for steps in [0, 1, 10, 100, 1_000, 10_000, 30_000, 100_000, 1_000_000] {
            let mut found = analyze_within(&set, 0, steps, steps);
            if found.last().is_some_and(|issue| issue.kind == IssueKind::Unfinished) {
                let left = found.pop().unwrap();
                unfinished += 1;
                for issue in &found {
                    assert!(!issue.policies.first().is_some_and(|first| left.policies.contains(first)));
                }
                let done = set.policies.len() - left.policies.len();
                let pairs = found.iter().filter(|issue| issue.kind == IssueKind::Redundant);
                assert_eq!(pairs.count(), done / 2, "{steps} steps: {}", left.what);
            } else {
                assert_eq!(told(&found), whole);
            }
            assert!(told(&found).iter().all(|issue| whole.contains(issue)), "{steps} steps");
        }
        assert!((3..9).contains(&unfinished), "{unfinished}");
    }

    #[test]
    fn large_policies_do_not_starve_the_others() {
        let mut set = twins(4);
        for policy in set.policies.iter_mut().take(2) {
            if let Subjects::Users(users) = Arc::make_mut(&mut policy.subjects) {
                users.include.extend((0..5_000).map(|number| UserSelector::User(format!("u{number}"))));
            }
        }
        let found = analyze_within(&set, 0, 10_000_000, 60_000);
        assert!(found.iter().any(|issue| issue.kind == IssueKind::Redundant && issue.policies[0].0 == 3));
        let left = found.last().unwrap();
        assert_eq!(left.kind, IssueKind::Unfinished);
        // The earlier of the two is not told, so its search may end at once.
        assert!(
            left.policies.contains(&PolicyIndex(1)) && !left.policies.contains(&PolicyIndex(3)),
            "{}",
            left.what
        );
    }
}
