//! The obvious evaluator: what a policy means, written to be read beside the specification.
//!
//! It asks every policy everything, remembers the result of each assignment, condition and control, and
//! combines that in three-valued logic. It narrows nothing and keeps nothing, so it is slow; the engine
//! in `decide` is held against it by tests, and [`explain`](crate::explain) adds words to it.
//!
//! What the engine has, it says again in its own words, on purpose: one would not check the other otherwise.
//! Of the engine it shares the model, the signals and the rule language. Rules have their own
//! obvious evaluator in the tests.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::decision::{Outcome, PolicyIndex, PolicyResult, ReasonCode, ReasonSet, Refused, SessionLimits};
use crate::model::{
    App, AppSelector, Apps, ClientAppType, Conditions, Control, FilterMode, Grant, LocationSelector,
    Operator, PathPattern, Persistence, Place, PlatformSelector, Policy, PolicySet, PolicyState,
    RequestCondition, RiskLevel, RiskSet, SessionControls, SignInFrequency, Subjects, Targets, Tenants,
    TimeCondition, TimeZone, Unmatched, UserSelector, WorkloadSelector,
};
use crate::path::{self, PathCase};
use crate::rule::{Environment, Rule};
use crate::signals::{Action, Device, Fact, Identity, Principal, Signals};
use crate::text::{self, fold};
pub use crate::tri::Tri;
use crate::words;

/// What every policy of a set says about one request, and what that comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// Whether the principal is assigned to the app at all. Policies decide only when the answer is
    /// [`Tri::Yes`]; what they would say is listed all the same.
    pub assigned: Tri,
    /// One finding for each policy of the set, disabled ones included, in their order.
    pub findings: Vec<Finding>,
    /// In or out.
    pub conclusion: Conclusion,
}

impl Evaluation {
    /// The policies that applied or may have, with their results: what
    /// [`Decision::applied`](crate::Decision::applied) holds.
    pub fn applied(&self) -> impl Iterator<Item = (PolicyIndex, PolicyResult)> {
        let asked = self.assigned == Tri::Yes;
        let results = self.findings.iter().filter(move |_| asked);
        results.filter_map(|finding| match finding.result {
            FindingResult::Applied(result) => Some((finding.policy, result)),
            FindingResult::NotApplied | FindingResult::ReportOnlyNotApplied | FindingResult::NotEnabled => {
                None
            }
        })
    }
}

/// The outcome, without the permit: only the engine can give one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// Let in, with these limits.
    Grant(SessionLimits),
    /// The user can do something now that would let this in.
    Challenge(Refused),
    /// A state is not what it must be.
    Deny(Refused),
    /// A policy blocks, or none speaks for this request.
    Block(Refused),
}

impl From<&Outcome> for Conclusion {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Grant(permit) => Self::Grant(permit.session()),
            Outcome::Challenge(refused) => Self::Challenge(*refused),
            Outcome::Deny(refused) => Self::Deny(*refused),
            Outcome::Block(refused) => Self::Block(*refused),
        }
    }
}

impl Conclusion {
    /// Why not, unless it is a grant.
    #[must_use]
    pub const fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Grant(_) => None,
            Self::Challenge(refused) | Self::Deny(refused) | Self::Block(refused) => Some(refused),
        }
    }

    /// The word for people and machines: `grant`, `challenge`, `deny` or `block`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Grant(_) => "grant",
            Self::Challenge(_) => "challenge",
            Self::Deny(_) => "deny",
            Self::Block(_) => "block",
        }
    }
}

/// What one policy says about one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which policy.
    pub policy: PolicyIndex,
    /// Whether it applies: all of `checks`.
    pub applies: Tri,
    /// Its state, its assignments and every configured condition, in the order in which they are reported.
    pub checks: Vec<Check>,
    /// Each control that it asks for, in its order; whether it was met.
    pub controls: Vec<(Control, Tri)>,
    /// Whether the sign-in is fresh enough; `None` when the policy does not ask.
    pub fresh: Option<bool>,
    /// What it comes to.
    pub result: FindingResult,
}

impl Finding {
    /// The first part of the policy that ruled it out; `None` when it applies or may.
    #[must_use]
    pub fn ruled_out_by(&self) -> Option<Part> {
        self.checks.iter().find(|check| check.holds == Tri::No).map(|check| check.part)
    }
}

/// One part of a policy, and whether the request matches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which part.
    pub part: Part,
    /// Whether it matches; [`Tri::Maybe`] when that turns on an unavailable fact.
    pub holds: Tri,
}

words! {
    /// The parts of a policy that can rule it out, in the order in which they are reported; Graph's word where it has one.
    pub enum Part {
        /// It is disabled.
        State = "policyNotEnabled",
        /// Its users.
        Users = "users",
        /// Its service principals.
        Workloads = "workloadIdentities",
        /// Its apps.
        Application = "application",
        /// Its authentication contexts.
        AuthenticationContext = "authenticationContext",
        /// Device platforms.
        DevicePlatform = "devicePlatform",
        /// Client app types.
        ClientApps = "clientApps",
        /// Named locations.
        Location = "location",
        /// Sign-in risk.
        SignInRisk = "signInRisk",
        /// User risk.
        UserRisk = "userRisk",
        /// Insider risk.
        InsiderRisk = "insiderRisk",
        /// Service principal risk.
        ServicePrincipalRisk = "servicePrincipalRisk",
        /// The device filter.
        Devices = "devices",
        /// Authentication flows.
        AuthenticationFlow = "authenticationFlow",
        /// Method and path.
        Request = "request",
        /// Weekly windows and dates.
        Time = "time",
        /// The rule over claims.
        Claims = "claims",
    }
}

impl Part {
    /// The word of Graph's `whatIfAnalysisReasons`. Graph has none for method, path, claims and service
    /// principal risk: they narrow the target, the user and the program, and are reported as those.
    /// Source: Microsoft Graph, `whatIfAnalysisReasons`.
    #[must_use]
    pub const fn graph_reason(self) -> &'static str {
        match self {
            Self::Claims => Self::Users.as_str(),
            Self::ServicePrincipalRisk => Self::Workloads.as_str(),
            Self::Request => Self::Application.as_str(),
            other => other.as_str(),
        }
    }
}

/// The result of one policy, those that did not apply included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FindingResult {
    /// It applied, or may have.
    Applied(PolicyResult),
    /// Enforced, did not apply: `notApplied`.
    NotApplied,
    /// Report-only, did not apply: `reportOnlyNotApplied`.
    ReportOnlyNotApplied,
    /// Disabled: `notEnabled`.
    NotEnabled,
}

impl FindingResult {
    /// Entra's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied(result) => result.as_str(),
            Self::NotApplied => "notApplied",
            Self::ReportOnlyNotApplied => "reportOnlyNotApplied",
            Self::NotEnabled => "notEnabled",
        }
    }
}

/// Evaluates every policy of a set. An app that the set does not have is refused.
///
/// # Cost
/// Linear in everything; allocates. Never on the request path.
#[must_use]
pub fn evaluate(set: &PolicySet, signals: &Signals<'_>) -> Evaluation {
    let Some(app) = set.apps.get(signals.target.app.0 as usize) else {
        let refused = refusal(ReasonSet::EMPTY.with(ReasonCode::NoPolicy), false);
        return Evaluation {
            assigned: Tri::No,
            findings: Vec::new(),
            conclusion: Conclusion::Block(refused),
        };
    };
    let assigned = assigned(app, signals.principal);
    let mut findings = Vec::with_capacity(set.policies.len());
    let mut demands = Vec::new();
    for (policy, position) in set.policies.iter().zip(0_u32..) {
        let (finding, demand) = finding(set, app, policy, PolicyIndex(position), signals);
        if finding.applies != Tri::No && policy.state == PolicyState::Enabled {
            demands.push((policy, finding.applies, demand));
        }
        findings.push(finding);
    }
    let conclusion = match assigned {
        Tri::Yes => conclude(app, &demands, signals),
        unsure => {
            Conclusion::Deny(refusal(ReasonSet::EMPTY.with(ReasonCode::NotAssigned), unsure == Tri::Maybe))
        }
    };
    Evaluation { assigned, findings, conclusion }
}

/// What a policy that applies demands of the request.
#[derive(Clone, Copy)]
struct Demand {
    kind: Kind,
    /// Whether the demand is met. An unavailable fact meets nothing.
    met: Tri,
    reasons: ReasonSet,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Block,
    /// Something that the user can do now.
    Act,
    /// A state of device or client.
    State,
}

/// All enabled policies that apply (or may), combined.
fn conclude(app: &App, demands: &[(&Policy, Tri, Demand)], signals: &Signals<'_>) -> Conclusion {
    let unmet = || demands.iter().filter(|(_, _, demand)| demand.met != Tri::Yes);
    let reasons_of = |kind: Kind| {
        unmet()
            .filter(|(_, _, demand)| demand.kind == kind)
            .fold(ReasonSet::EMPTY, |all, (_, _, demand)| all.union(demand.reasons))
    };
    // Some policy applies for certain and is unmet for certain: no fact that is missing would help.
    let certain = unmet().any(|(_, applies, demand)| *applies == Tri::Yes && demand.met == Tri::No);
    let (block, state, act) = (reasons_of(Kind::Block), reasons_of(Kind::State), reasons_of(Kind::Act));
    // Whatever fails is listed.
    let all = block.union(state).union(act);
    if !block.is_empty() {
        return Conclusion::Block(refusal(all, !certain));
    }
    if !state.is_empty() {
        return Conclusion::Deny(refusal(all, !certain));
    }
    if !act.is_empty() {
        return Conclusion::Challenge(refusal(act, !certain));
    }
    let spoken = Tri::any(demands, |(_, applies, _)| *applies);
    match (app.unmatched, spoken) {
        (Unmatched::Allow, _) | (Unmatched::Deny, Tri::Yes) => {
            let policies = demands.iter().map(|(policy, _, _)| &policy.session);
            Conclusion::Grant(limits(policies, signals.principal.auth_time))
        }
        (Unmatched::Deny, unsure) => {
            Conclusion::Block(refusal(ReasonSet::EMPTY.with(ReasonCode::NoPolicy), unsure == Tri::Maybe))
        }
    }
}

fn refusal(reasons: ReasonSet, temporary: bool) -> Refused {
    let primary = reasons.iter().next().unwrap_or(ReasonCode::Blocked);
    Refused { primary, reasons, temporary }
}

fn finding(
    set: &PolicySet,
    app: &App,
    policy: &Policy,
    position: PolicyIndex,
    signals: &Signals<'_>,
) -> (Finding, Demand) {
    let checks = checks(set, app, policy, signals);
    let applies = checks.iter().fold(Tri::Yes, |all, check| all.and(check.holds));
    let controls: Vec<(Control, Tri)> = match &policy.grant {
        Grant::Block | Grant::SessionOnly => Vec::new(),
        Grant::Require { controls, .. } => {
            // The issuer's word for a context speaks for each control of its policy.
            let met_by_context = is_met_by_context(policy, signals);
            let met = |one| if met_by_context { Tri::Yes } else { control(set, one, signals).0 };
            controls.iter().map(|one| (one.clone(), met(one))).collect()
        }
    };
    let demand = demand(set, policy, signals);
    let result = match (applies, policy.state) {
        (_, PolicyState::Disabled) => FindingResult::NotEnabled,
        (Tri::No, PolicyState::Enabled) => FindingResult::NotApplied,
        (Tri::No, PolicyState::ReportOnly) => FindingResult::ReportOnlyNotApplied,
        (Tri::Yes | Tri::Maybe, PolicyState::Enabled) => FindingResult::Applied(match demand {
            Demand { met: Tri::Yes, .. } => PolicyResult::Success,
            Demand { kind: Kind::Act, .. } => PolicyResult::Interrupted,
            Demand { kind: Kind::Nothing | Kind::Block | Kind::State, .. } => PolicyResult::Failure,
        }),
        (Tri::Yes | Tri::Maybe, PolicyState::ReportOnly) => FindingResult::Applied(match demand {
            Demand { met: Tri::Yes, .. } => PolicyResult::ReportOnlySuccess,
            Demand { kind: Kind::Act, .. } => PolicyResult::ReportOnlyInterrupted,
            Demand { kind: Kind::Nothing | Kind::Block | Kind::State, .. } => PolicyResult::ReportOnlyFailure,
        }),
    };
    let fresh = policy
        .session
        .sign_in_frequency
        .map(|frequency| is_fresh(frequency, signals.principal.auth_time, signals.now));
    (Finding { policy: position, applies, checks, controls, fresh, result }, demand)
}

// Assignments and conditions.

/// Every part that the policy has, in the order of [`Part::ALL`].
fn checks(set: &PolicySet, app: &App, policy: &Policy, signals: &Signals<'_>) -> Vec<Check> {
    let one = |part| check(set, app, policy, part, signals).map(|holds| Check { part, holds });
    Part::ALL.into_iter().filter_map(one).collect()
}

/// Whether a request matches one part of a policy; `None` when the policy does not have it.
pub(crate) fn check(
    set: &PolicySet,
    app: &App,
    policy: &Policy,
    part: Part,
    signals: &Signals<'_>,
) -> Option<Tri> {
    let context = signals.context;
    let conditions = &policy.conditions;
    let risk = |wanted: Option<RiskSet>, seen: Fact<RiskLevel>| {
        let wanted = wanted?;
        let no_risk = Tri::from_bool(wanted.contains(RiskLevel::None));
        Some(known(&seen, no_risk, |level| wanted.contains(*level)))
    };
    match (part, &*policy.subjects, &*policy.targets) {
        (Part::State, ..) => Some(Tri::from_bool(policy.state != PolicyState::Disabled)),
        (Part::Users, Subjects::Users(users), _) => {
            Some(included(&users.include, &users.exclude, |selector| user(selector, signals.principal)))
        }
        (Part::Workloads, Subjects::Workloads(workloads), _) => {
            let matches = |selector: &WorkloadSelector| workload(selector, signals.principal);
            Some(included(&workloads.include, &workloads.exclude, matches))
        }
        (Part::Users, Subjects::Workloads(_), _) | (Part::Workloads, Subjects::Users(_), _) => None,
        (Part::Application, _, Targets::Apps(apps)) => Some(application(apps, app)),
        (Part::AuthenticationContext, _, Targets::Contexts(contexts)) => {
            let asked = signals.target.context.is_some_and(|context| contexts.contains(&context));
            Some(Tri::from_bool(asked))
        }
        (Part::Application, _, Targets::Contexts(_)) | (Part::AuthenticationContext, _, Targets::Apps(_)) => {
            None
        }
        (Part::DevicePlatform, ..) => {
            let platforms = conditions.platforms.as_ref()?;
            let matches = |selector: &PlatformSelector| match selector {
                PlatformSelector::All => Tri::Yes,
                PlatformSelector::Named(wanted) => known(&context.platform, Tri::No, |seen| seen == wanted),
            };
            Some(included(&platforms.include, &platforms.exclude, matches))
        }
        (Part::ClientApps, ..) => {
            let wanted = conditions.client_apps?;
            let not_told = Tri::from_bool(wanted.contains(ClientAppType::Other));
            Some(known(&context.client_app, not_told, |seen| wanted.contains(*seen)))
        }
        (Part::Location, ..) => {
            let locations = conditions.locations.as_ref()?;
            let matches = |selector: &LocationSelector| location(set, selector, signals);
            Some(included(&locations.include, &locations.exclude, matches))
        }
        (Part::SignInRisk, ..) => risk(conditions.sign_in_risk, context.sign_in_risk),
        (Part::UserRisk, ..) => risk(conditions.user_risk, context.user_risk),
        (Part::InsiderRisk, ..) => risk(conditions.insider_risk, context.insider_risk),
        (Part::ServicePrincipalRisk, ..) => {
            risk(conditions.service_principal_risk, context.service_principal_risk)
        }
        (Part::Devices, ..) => {
            let filter = conditions.device.as_ref()?;
            let found = rule(&filter.rule, app, signals);
            Some(match filter.mode {
                FilterMode::Include => found,
                FilterMode::Exclude => found.not(),
            })
        }
        (Part::AuthenticationFlow, ..) => {
            let flows = conditions.flows?;
            let used = signals.principal.standing.sign_in.flow;
            Some(Tri::from_bool(used.is_some_and(|flow| flows.contains(flow))))
        }
        (Part::Request, ..) => {
            Some(Tri::from_bool(in_request(conditions.request.as_ref()?, app, &signals.action)))
        }
        (Part::Time, ..) => Some(Tri::from_bool(in_time(conditions.time.as_ref()?, signals.now))),
        (Part::Claims, ..) => Some(rule(conditions.claims.as_ref()?, app, signals)),
    }
}

/// Some include matches, and no exclude does. An exclude that turns on an unavailable fact leaves the
/// policy applying perhaps: it does not exclude for certain.
fn included<T>(include: &[T], exclude: &[T], matches: impl Fn(&T) -> Tri) -> Tri {
    let some = |of: &[T]| of.iter().map(&matches).fold(Tri::No, Tri::or);
    some(include).and(some(exclude).not())
}

/// Whether a fact is what is wanted; `unknown` when it is not known, perhaps when it is unavailable.
fn known<T>(fact: &Fact<T>, unknown: Tri, holds: impl FnOnce(&T) -> bool) -> Tri {
    match fact {
        Fact::Known(value) => Tri::from_bool(holds(value)),
        Fact::Unknown => unknown,
        Fact::Unavailable => Tri::Maybe,
    }
}

fn same(left: &str, right: &str) -> bool {
    left.chars().map(fold).eq(right.chars().map(fold))
}

fn assigned(app: &App, principal: &Principal) -> Tri {
    match &app.assigned {
        None => Tri::Yes,
        Some(selectors) => included(selectors, &[], |selector| user(selector, principal)),
    }
}

pub(crate) fn user(selector: &UserSelector, principal: &Principal) -> Tri {
    let Identity::User { guest, home_tenant } = &principal.standing.identity else { return Tri::No };
    match selector {
        UserSelector::All => Tri::Yes,
        UserSelector::None => Tri::No,
        UserSelector::User(wanted) => Tri::from_bool(same(&principal.id, wanted)),
        UserSelector::Group(wanted) => known(&principal.standing.groups, Tri::No, |groups| {
            groups.iter().any(|group| same(group, wanted))
        }),
        UserSelector::Role(wanted) => {
            known(&principal.standing.roles, Tri::No, |roles| roles.iter().any(|role| same(role, wanted)))
        }
        UserSelector::Guests(guests) => {
            let kind = guest.is_some_and(|kind| guests.kinds.contains(kind));
            let tenant = match (&guests.tenants, home_tenant) {
                (Tenants::Any, _) => true,
                (Tenants::Only(_), None) => false,
                (Tenants::Only(tenants), Some(home)) => tenants.iter().any(|tenant| same(tenant, home)),
            };
            Tri::from_bool(kind && tenant)
        }
    }
}

fn workload(selector: &WorkloadSelector, principal: &Principal) -> Tri {
    let Identity::Workload = principal.standing.identity else { return Tri::No };
    Tri::from_bool(match selector {
        WorkloadSelector::All => true,
        WorkloadSelector::None => false,
        WorkloadSelector::ServicePrincipal(wanted) => same(&principal.id, wanted),
    })
}

fn application(apps: &Apps, app: &App) -> Tri {
    let matches = |selector: &AppSelector| {
        Tri::from_bool(match selector {
            AppSelector::All => true,
            AppSelector::None => false,
            AppSelector::App(id) => *id == app.id,
            AppSelector::Group(group) => app.groups.contains(group),
        })
    };
    let filtered = |wanted: FilterMode| match &apps.filter {
        Some((mode, rule)) if *mode == wanted => rule.holds(&Environment::of_app(&app.attributes)),
        Some(_) | None => Tri::No,
    };
    let include = included(&apps.include, &[], matches).or(filtered(FilterMode::Include));
    let exclude = included(&apps.exclude, &[], matches).or(filtered(FilterMode::Exclude));
    include.and(exclude.not())
}

fn location(set: &PolicySet, selector: &LocationSelector, signals: &Signals<'_>) -> Tri {
    let is_here = |place: &Place| match place {
        Place::Networks { networks, .. } => known(&signals.context.address, Tri::No, |address| {
            let address: IpAddr = address.to_canonical();
            networks.iter().any(|network| network.contains(&address))
        }),
        Place::Countries { countries, include_unknown } => {
            known(&signals.context.country, Tri::from_bool(*include_unknown), |country| {
                countries.contains(country)
            })
        }
    };
    let trusted = |place: &Place| matches!(place, Place::Networks { trusted: true, .. });
    match selector {
        LocationSelector::All => Tri::Yes,
        LocationSelector::AllTrusted => set
            .locations
            .iter()
            .filter(|location| trusted(&location.place))
            .fold(Tri::No, |any, location| any.or(is_here(&location.place))),
        LocationSelector::Named(name) => set
            .locations
            .iter()
            .find(|location| location.name == *name)
            // Nobody defines it: it could be anywhere. `compile` refuses such a set.
            .map_or(Tri::Maybe, |location| is_here(&location.place)),
    }
}

fn rule(rule: &Rule, app: &App, signals: &Signals<'_>) -> Tri {
    rule.holds(&Environment::of(signals, &app.attributes, app.paths))
}

fn in_request(condition: &RequestCondition, app: &App, action: &Action<'_>) -> bool {
    // A slash at the end makes no difference, so paths are lists of segments.
    let segments = |path: &str, spelling: fn(&str) -> String| -> Vec<String> {
        path.strip_suffix('/').unwrap_or(path).split('/').map(spelling).collect()
    };
    let matches = |pattern: &PathPattern, spelling: fn(&str) -> String| {
        let asked = segments(action.path, spelling);
        match pattern {
            PathPattern::Exact(path) => asked == segments(path, spelling),
            PathPattern::Subtree(path) => asked.starts_with(&segments(path, spelling)),
        }
    };
    let meant = |pattern: &PathPattern| match app.paths {
        PathCase::Sensitive => matches(pattern, |path| String::from(path)),
        PathCase::Unknown | PathCase::Insensitive => matches(pattern, path::folded),
    };
    // What spares from a policy must be sure.
    let spared = |pattern: &PathPattern| match app.paths {
        PathCase::Sensitive | PathCase::Unknown => matches(pattern, |path| String::from(path)),
        PathCase::Insensitive => matches(pattern, text::folded),
    };
    let method = condition.methods.is_empty() || condition.methods.iter().any(|one| one == action.method);
    let path = condition.paths.is_empty() || condition.paths.iter().any(meant);
    method && path && !condition.exclude_paths.iter().any(spared)
}

fn in_time(condition: &TimeCondition, now: i64) -> bool {
    let begun = condition.from.is_none_or(|from| from <= now);
    let ended = condition.until.is_some_and(|until| until <= now);
    let minute = minute_of_week(&condition.zone, now);
    let in_window = condition.windows.iter().any(|window| {
        let (start, end) = (i64::from(window.start_minute), i64::from(window.end_minute));
        if start < end { start <= minute && minute < end } else { start <= minute || minute < end }
    });
    begun && !ended && (condition.windows.is_empty() || in_window)
}

/// Minutes since Monday 00:00 on the zone's wall clock.
fn minute_of_week(zone: &TimeZone, now: i64) -> i64 {
    const MINUTES_PER_WEEK: i64 = 7 * 24 * 60;
    // The epoch was a Thursday, three days after a Monday.
    const EPOCH_MINUTE: i64 = 3 * 24 * 60;
    let local = now.saturating_add(i64::from(offset_secs(zone, now)));
    (local.div_euclid(60) + EPOCH_MINUTE).rem_euclid(MINUTES_PER_WEEK)
}

/// Seconds east of UTC at a moment.
fn offset_secs(zone: &TimeZone, now: i64) -> i32 {
    let mut past = zone.transitions.iter().filter(|transition| transition.at <= now);
    past.next_back().map_or(zone.first_offset_secs, |transition| transition.offset_secs)
}

// Controls.

fn demand(set: &PolicySet, policy: &Policy, signals: &Signals<'_>) -> Demand {
    let signed_in = signals.principal.auth_time;
    let fresh = policy.session.sign_in_frequency.is_none_or(|one| is_fresh(one, signed_in, signals.now));
    let stale = if fresh { ReasonSet::EMPTY } else { ReasonSet::EMPTY.with(ReasonCode::SignInTooOld) };
    let asked = match &policy.grant {
        Grant::Block => {
            let reason = block_reason(&policy.conditions);
            return Demand { kind: Kind::Block, met: Tri::No, reasons: ReasonSet::EMPTY.with(reason) };
        }
        Grant::SessionOnly => Demand { kind: Kind::Nothing, met: Tri::Yes, reasons: ReasonSet::EMPTY },
        Grant::Require { .. } if is_met_by_context(policy, signals) => {
            Demand { kind: Kind::Nothing, met: Tri::Yes, reasons: ReasonSet::EMPTY }
        }
        Grant::Require { operator, controls } => require(set, policy, *operator, controls, signals),
    };
    Demand {
        // A sign-in that is too old is something that the user can mend; a missing state still is not.
        kind: if asked.met == Tri::Yes && !fresh { Kind::Act } else { asked.kind },
        met: asked.met.and(Tri::from_bool(fresh)),
        reasons: asked.reasons.union(stale),
    }
}

/// Whether the word of the token's issuer meets the policies that target an authentication context.
fn counts_contexts(policy: &Policy, signals: &Signals<'_>) -> bool {
    let issuer = signals.principal.standing.sign_in.issuer;
    matches!(&*policy.targets, Targets::Contexts(_)) && issuer.contexts_satisfy
}

/// Whether the issuer says that the context which is asked for was satisfied, and that meets the policy.
fn is_met_by_context(policy: &Policy, signals: &Signals<'_>) -> bool {
    let held = &signals.principal.standing.sign_in.contexts;
    let asked = signals.target.context;
    counts_contexts(policy, signals) && asked.is_some_and(|asked| held.contains(&asked))
}

fn require(
    set: &PolicySet,
    policy: &Policy,
    operator: Operator,
    controls: &[Control],
    signals: &Signals<'_>,
) -> Demand {
    let answers = || controls.iter().map(|one| (one, control(set, one, signals)));
    let met = match operator {
        Operator::And => answers().fold(Tri::Yes, |all, (_, (met, _))| all.and(met)),
        Operator::Or => answers().fold(Tri::No, |any, (_, (met, _))| any.or(met)),
    };
    if met == Tri::Yes {
        return Demand { kind: Kind::Nothing, met, reasons: ReasonSet::EMPTY };
    }
    let unmet = |wanted: &dyn Fn(&Control) -> bool| {
        answers()
            .filter(|(one, (met, _))| *met != Tri::Yes && wanted(one))
            .fold(ReasonSet::EMPTY, |all, (_, (_, reason))| all.with(reason))
    };
    let can_come = |one: &Control| is_performable(one) && is_provable(set, one, signals);
    if counts_contexts(policy, signals) {
        // Signing in anew, for that context, could bring the issuer's word; and then no control is looked at.
        let acts = unmet(&is_performable);
        let reasons =
            if acts.is_empty() { ReasonSet::EMPTY.with(ReasonCode::StrengthRequired) } else { acts };
        return Demand { kind: Kind::Act, met, reasons };
    }
    let acts = unmet(&can_come);
    let mut states = unmet(&|one| !is_performable(one));
    if !unmet(&|one| is_performable(one) && !can_come(one)).is_empty() {
        states = states.with(ReasonCode::NotProvable);
    }
    match operator {
        // A state that is missing ends it: nobody is asked for anything in vain.
        Operator::And if !states.is_empty() => Demand { kind: Kind::State, met, reasons: states.union(acts) },
        Operator::And => Demand { kind: Kind::Act, met, reasons: acts },
        // One alternative that can be performed now is enough, and the only one that is reported.
        Operator::Or if !acts.is_empty() => Demand { kind: Kind::Act, met, reasons: acts },
        Operator::Or => Demand { kind: Kind::State, met, reasons: states },
    }
}

/// Whether a token of this issuer could hold evidence of something that the user can do.
fn is_provable(set: &PolicySet, control: &Control, signals: &Signals<'_>) -> bool {
    let issuer = signals.principal.standing.sign_in.issuer;
    let by = |methods: bool, acrs: bool, contexts: bool| {
        (methods && issuer.asserts_methods) || (acrs && issuer.asserts_acr) || contexts
    };
    match control {
        Control::Mfa => {
            let evidence = &set.evidence;
            by(
                !evidence.mfa_methods.is_empty(),
                !evidence.mfa_acrs.is_empty(),
                !evidence.mfa_contexts.is_empty(),
            )
        }
        Control::Strength(name) => set
            .strengths
            .iter()
            .filter(|one| one.name == *name)
            .any(|one| by(!one.combinations.is_empty(), !one.acrs.is_empty(), !one.contexts.is_empty())),
        Control::PasswordChange => issuer.asserts_password_change,
        Control::TermsOfUse(_) => issuer.asserts_terms,
        Control::Custom(_) => issuer.asserts_custom_controls,
        Control::CompliantDevice
        | Control::HybridJoinedDevice
        | Control::ApprovedClientApp
        | Control::AppProtection => false,
    }
}

const fn is_performable(control: &Control) -> bool {
    match control {
        Control::Mfa
        | Control::Strength(_)
        | Control::PasswordChange
        | Control::TermsOfUse(_)
        | Control::Custom(_) => true,
        Control::CompliantDevice
        | Control::HybridJoinedDevice
        | Control::ApprovedClientApp
        | Control::AppProtection => false,
    }
}

/// Whether there is evidence that a control is met, and the reason when not.
fn control(set: &PolicySet, control: &Control, signals: &Signals<'_>) -> (Tri, ReasonCode) {
    let sign_in = &signals.principal.standing.sign_in;
    let method = |wanted: &str| sign_in.methods.iter().any(|used| same(used, wanted));
    let acr = |wanted: &str| sign_in.acr.as_deref() == Some(wanted);
    let client = |id: &str| sign_in.client_id.as_deref().is_some_and(|client| same(client, id));
    let evidence = &set.evidence;
    match control {
        Control::Mfa => {
            let proven = evidence.mfa_methods.iter().any(|one| method(one))
                || evidence.mfa_acrs.iter().any(|one| acr(one))
                || evidence.mfa_contexts.iter().any(|one| sign_in.contexts.contains(one));
            (Tri::from_bool(proven), ReasonCode::MfaRequired)
        }
        Control::Strength(name) => {
            let proven = set.strengths.iter().filter(|strength| strength.name == *name).any(|strength| {
                let combination =
                    |methods: &Vec<String>| !methods.is_empty() && methods.iter().all(|one| method(one));
                strength.combinations.iter().any(combination)
                    || strength.acrs.iter().any(|one| acr(one))
                    || strength.contexts.iter().any(|one| sign_in.contexts.contains(one))
            });
            (Tri::from_bool(proven), ReasonCode::StrengthRequired)
        }
        Control::CompliantDevice => {
            device(signals, ReasonCode::DeviceNotCompliant, |device| device.compliant == Some(true))
        }
        Control::HybridJoinedDevice => device(signals, ReasonCode::DeviceNotJoined, |device| {
            device.trust_type.is_some_and(|kind| kind.eq_ignore_ascii_case("ServerAD"))
        }),
        Control::ApprovedClientApp => {
            let approved = evidence.approved_clients.iter().any(|id| client(id));
            (Tri::from_bool(approved), ReasonCode::ClientNotApproved)
        }
        Control::AppProtection => {
            let protected = evidence.protected_clients.iter().any(|id| client(id));
            (Tri::from_bool(protected), ReasonCode::ClientNotProtected)
        }
        Control::PasswordChange => {
            // Without both times there is no evidence.
            let times = sign_in.password_changed.zip(sign_in.risk_seen);
            let newer = times.is_some_and(|(changed, seen)| changed > seen);
            (Tri::from_bool(newer), ReasonCode::PasswordChangeRequired)
        }
        Control::TermsOfUse(name) => {
            (Tri::from_bool(sign_in.terms.contains(name)), ReasonCode::TermsRequired)
        }
        Control::Custom(name) => {
            (Tri::from_bool(sign_in.custom_controls.contains(name)), ReasonCode::ExternalControlRequired)
        }
    }
}

fn device(signals: &Signals<'_>, unmet: ReasonCode, holds: fn(&Device<'_>) -> bool) -> (Tri, ReasonCode) {
    let met = known(&signals.context.device, Tri::No, holds);
    let showed_none = matches!(signals.context.device, Fact::Unknown);
    (met, if showed_none { ReasonCode::DeviceUnknown } else { unmet })
}

/// The class of the condition that a change would undo.
const fn block_reason(conditions: &Conditions) -> ReasonCode {
    let risk = conditions.sign_in_risk.is_some()
        || conditions.user_risk.is_some()
        || conditions.insider_risk.is_some()
        || conditions.service_principal_risk.is_some();
    if conditions.locations.is_some() {
        ReasonCode::BlockedByLocation
    } else if conditions.device.is_some() {
        ReasonCode::BlockedByDevice
    } else if conditions.platforms.is_some() {
        ReasonCode::BlockedByPlatform
    } else if conditions.client_apps.is_some() {
        ReasonCode::BlockedByClientApp
    } else if conditions.flows.is_some() {
        ReasonCode::BlockedByFlow
    } else if risk {
        ReasonCode::BlockedByRisk
    } else if conditions.request.is_some() || conditions.time.is_some() {
        ReasonCode::BlockedByRequest
    } else {
        ReasonCode::Blocked
    }
}

// The session.

fn is_fresh(frequency: SignInFrequency, signed_in: Option<i64>, now: i64) -> bool {
    /// Clocks differ; further ahead than this, in seconds, a sign-in time proves nothing.
    const AHEAD_MAX_SECS: i64 = 60;
    signed_in.is_some_and(|at| {
        let age = now.saturating_sub(at);
        (-AHEAD_MAX_SECS..=span_secs(frequency)).contains(&age)
    })
}

fn span_secs(frequency: SignInFrequency) -> i64 {
    /// Entra forgives five minutes of clock skew.
    const EVERY_TIME_SECS: i64 = 300;
    match frequency {
        SignInFrequency::Every(span) => i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        SignInFrequency::EveryTime => EVERY_TIME_SECS,
    }
}

/// The strictest of each control. A policy that only may apply counts: that limits more.
fn limits<'p>(
    policies: impl Iterator<Item = &'p SessionControls> + Clone,
    signed_in: Option<i64>,
) -> SessionLimits {
    let ends = policies.clone().filter_map(|session| {
        let (frequency, at) = session.sign_in_frequency.zip(signed_in)?;
        Some(at.saturating_add(span_secs(frequency)))
    });
    let persistence = policies.filter_map(|session| session.persistent_browser);
    SessionLimits {
        sign_in_until: ends.min(),
        persistent_browser: persistence.reduce(|one, other| match (one, other) {
            (Persistence::Always, Persistence::Always) => Persistence::Always,
            (Persistence::Never, _) | (_, Persistence::Never) => Persistence::Never,
        }),
    }
}
