//! The hot path. Policies that speak of the app and the principal are asked in turn; a block wins, then
//! every other one must be satisfied. Nothing here allocates for a request that few policies touch.

use core::net::IpAddr;

use crate::compile::CompiledPolicies;
use crate::decision::{
    Applied, Decision, Outcome, Permit, PolicyIndex, PolicyResult, ReasonCode, ReasonSet, Refused,
    SessionLimits,
};
use crate::model::{
    ClientAppType, Conditions, Control, FilterMode, Grant, LocationSelector, NamedLocation, Operator,
    PathPattern, Persistence, Place, Platform, PlatformSelector, Policy, PolicyState, RequestCondition,
    RiskLevel, RiskSet, SessionControls, SignInFrequency, Targets, TimeCondition, Unmatched, WeekWindow,
};
use crate::rule::Environment;
use crate::scope::{Scope, proves_strength};
use crate::signals::{ClientContext, Device, Fact, Signals};
use crate::tri::Tri;

/// Clock skew that `everyTime` forgives, in seconds (Entra: five minutes).
const EVERY_TIME_SKEW_SECS: i64 = 300;
/// How far `auth_time` may lie ahead of our clock before it proves nothing, in seconds.
const AHEAD_MAX_SECS: i64 = 60;

/// What one policy that applies comes to.
pub(crate) struct Verdict {
    pub(crate) kind: Kind,
    pub(crate) reasons: ReasonSet,
    /// Whether the refusal would stand whatever the unavailable facts are.
    pub(crate) certain: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Satisfied,
    Blocks,
    Denies,
    Challenges,
}

impl CompiledPolicies {
    /// Decides one request.
    ///
    /// A scope that was bound to another load of the policies, or an app that this load does not know,
    /// is refused.
    ///
    /// # Cost
    /// Linear in the policies that target the app; no lock, no clock, and no allocation unless more
    /// than [`Applied::INLINE`] policies apply.
    #[must_use]
    pub fn decide(&self, scope: &Scope, signals: &Signals<'_>) -> Decision {
        let app_position = signals.target.app.0 as usize;
        let (Some(app), Some(policies)) = (self.set.apps.get(app_position), self.by_app.get(app_position))
        else {
            return refuse(
                Outcome::Block,
                ReasonSet::EMPTY.with(ReasonCode::NoPolicy),
                false,
                Applied::new(),
            );
        };
        if scope.generation() != self.generation() {
            return refuse(
                Outcome::Deny,
                ReasonSet::EMPTY.with(ReasonCode::FactUnavailable),
                true,
                Applied::new(),
            );
        }
        match scope.assigned(app_position) {
            Tri::Yes => {}
            unsure => {
                let reasons = ReasonSet::EMPTY.with(ReasonCode::NotAssigned);
                return refuse(Outcome::Deny, reasons, unsure == Tri::Maybe, Applied::new());
            }
        }

        let mut applied = Applied::new();
        let mut spoken = Tri::No;
        let mut limits = SessionLimits { sign_in_until: None, persistent_browser: None };
        let (mut block, mut deny, mut challenge) = (Tally::NONE, Tally::NONE, Tally::NONE);
        for index in policies {
            let Some(policy) = self.set.policies.get(index.0 as usize) else { continue };
            let applies = self.applies(policy, *index, scope, signals);
            if applies == Tri::No {
                continue;
            }
            let verdict = self.verdict(policy, applies, scope, signals);
            applied.push(*index, result(policy.state, verdict.kind));
            if policy.state != PolicyState::Enabled {
                continue;
            }
            spoken = spoken.or(applies);
            limit(&mut limits, &policy.session, signals);
            match verdict.kind {
                Kind::Satisfied => {}
                Kind::Blocks => block.add(&verdict),
                Kind::Denies => deny.add(&verdict),
                Kind::Challenges => challenge.add(&verdict),
            }
        }

        let all = block.reasons.union(deny.reasons).union(challenge.reasons);
        // The refusal is temporary only when no policy refuses for certain.
        let temporary = !(block.certain || deny.certain || challenge.certain);
        if !block.reasons.is_empty() {
            return refuse(Outcome::Block, block.reasons, temporary, applied);
        }
        if !deny.reasons.is_empty() {
            return refuse(Outcome::Deny, all, temporary, applied);
        }
        if !challenge.reasons.is_empty() {
            return refuse(Outcome::Challenge, all, temporary, applied);
        }
        match (spoken, app.unmatched) {
            (Tri::Yes, Unmatched::Allow | Unmatched::Deny) | (Tri::No | Tri::Maybe, Unmatched::Allow) => {
                let permit = Permit::grant(signals.target.app, self.generation(), signals.request_id, limits);
                Decision { outcome: Outcome::Grant(permit), applied }
            }
            // Whether any policy speaks turns on an unavailable fact: no.
            (unsure, Unmatched::Deny) => refuse(
                Outcome::Block,
                ReasonSet::EMPTY.with(ReasonCode::NoPolicy),
                unsure == Tri::Maybe,
                applied,
            ),
        }
    }

    /// Whether a policy applies: every assignment and every configured condition matches.
    pub(crate) fn applies(
        &self,
        policy: &Policy,
        index: PolicyIndex,
        scope: &Scope,
        signals: &Signals<'_>,
    ) -> Tri {
        let mut applies = scope.subject(index.0 as usize);
        if applies == Tri::No {
            return Tri::No;
        }
        if let Targets::Contexts(contexts) = &policy.targets
            && !signals.target.context.is_some_and(|asked| contexts.contains(&asked))
        {
            return Tri::No;
        }
        let context = signals.context;
        let conditions = &policy.conditions;
        if let Some(wanted) = conditions.client_apps {
            applies = applies.and(match context.client_app {
                Fact::Known(kind) => Tri::from_bool(wanted.contains(kind)),
                Fact::Unknown => Tri::from_bool(wanted.contains(ClientAppType::Other)),
                Fact::Unavailable => Tri::Maybe,
            });
        }
        if let Some(platforms) = &conditions.platforms {
            let holds = |selector: &PlatformSelector| platform(selector, context.platform);
            applies =
                applies.and(Tri::any(&platforms.include, holds).unless(Tri::any(&platforms.exclude, holds)));
        }
        for (wanted, risk) in [
            (conditions.sign_in_risk, context.sign_in_risk),
            (conditions.user_risk, context.user_risk),
            (conditions.insider_risk, context.insider_risk),
            (conditions.service_principal_risk, context.service_principal_risk),
        ] {
            applies = applies.and(risk_matches(wanted, risk));
        }
        if let Some(flows) = conditions.flows {
            applies = applies
                .and(Tri::from_bool(signals.principal.sign_in.flow.is_some_and(|flow| flows.contains(flow))));
        }
        if applies == Tri::No {
            return Tri::No;
        }
        if let Some(locations) = &conditions.locations {
            let holds = |selector: &LocationSelector| self.located(selector, context);
            applies =
                applies.and(Tri::any(&locations.include, holds).unless(Tri::any(&locations.exclude, holds)));
        }
        if let Some(request) = &conditions.request {
            applies = applies.and(Tri::from_bool(request_matches(request, signals)));
        }
        if let Some(time) = &conditions.time {
            applies = applies.and(Tri::from_bool(time_matches(time, signals.now)));
        }
        if applies == Tri::No {
            return Tri::No;
        }
        applies.and(self.rules(conditions, signals))
    }

    fn rules(&self, conditions: &Conditions, signals: &Signals<'_>) -> Tri {
        let attributes =
            self.set.apps.get(signals.target.app.0 as usize).map_or(&[][..], |app| &app.attributes);
        let environment = Environment::of(signals, attributes);
        let mut holds = Tri::Yes;
        if let Some(filter) = &conditions.device {
            let found = filter.rule.holds(&environment);
            holds = holds.and(match filter.mode {
                FilterMode::Include => found,
                FilterMode::Exclude => found.not(),
            });
        }
        if let Some(rule) = &conditions.claims {
            holds = holds.and(rule.holds(&environment));
        }
        holds
    }

    pub(crate) fn located(&self, selector: &LocationSelector, context: &ClientContext<'_>) -> Tri {
        match selector {
            LocationSelector::All => Tri::Yes,
            LocationSelector::AllTrusted => Tri::any(self.trusted(), |location| in_place(location, context)),
            // INVARIANT: `compile` refuses a name that nobody defines.
            LocationSelector::Named(name) => {
                self.location(name).map_or(Tri::Maybe, |location| in_place(location, context))
            }
        }
    }

    /// What a policy that applies (or may) comes to.
    pub(crate) fn verdict(
        &self,
        policy: &Policy,
        applies: Tri,
        scope: &Scope,
        signals: &Signals<'_>,
    ) -> Verdict {
        let certain = applies == Tri::Yes;
        let fresh = fresh(&policy.session, signals);
        let stale = if fresh { ReasonSet::EMPTY } else { ReasonSet::EMPTY.with(ReasonCode::SignInTooOld) };
        let (kind, reasons, unsure) = match &policy.grant {
            Grant::Block => (Kind::Blocks, ReasonSet::EMPTY.with(block_reason(&policy.conditions)), false),
            Grant::SessionOnly => (Kind::Satisfied, ReasonSet::EMPTY, false),
            Grant::Require { operator, controls } => self.require(*operator, controls, scope, signals),
        };
        let kind = if kind == Kind::Satisfied && !fresh { Kind::Challenges } else { kind };
        let reasons = if kind == Kind::Blocks { reasons } else { reasons.union(stale) };
        // A stale sign-in refuses whatever the device is.
        Verdict { kind, reasons, certain: certain && (!unsure || !fresh) }
    }

    /// The kind, the reasons, and whether an unavailable fact could have satisfied it.
    fn require(
        &self,
        operator: Operator,
        controls: &[Control],
        scope: &Scope,
        signals: &Signals<'_>,
    ) -> (Kind, ReasonSet, bool) {
        let (mut met, mut unsure, mut sure_unmet) = (0_usize, false, false);
        let (mut states, mut performable) = (ReasonSet::EMPTY, ReasonSet::EMPTY);
        for control in controls {
            let (holds, reason) = self.control(control, scope, signals);
            match holds {
                Tri::Yes => {
                    met += 1;
                    continue;
                }
                Tri::Maybe => unsure = true,
                Tri::No => sure_unmet = true,
            }
            if is_performable(control) {
                performable = performable.with(reason)
            } else {
                states = states.with(reason)
            }
        }
        let satisfied = match operator {
            Operator::And => met == controls.len(),
            Operator::Or => met > 0,
        };
        if satisfied {
            return (Kind::Satisfied, ReasonSet::EMPTY, false);
        }
        match operator {
            // With AND one certain miss is a certain refusal; with OR any doubt could have satisfied it.
            Operator::And if !states.is_empty() => {
                (Kind::Denies, states.union(performable), unsure && !sure_unmet)
            }
            Operator::And => (Kind::Challenges, performable, unsure && !sure_unmet),
            Operator::Or if !performable.is_empty() => (Kind::Challenges, performable, unsure),
            Operator::Or => (Kind::Denies, states, unsure),
        }
    }

    fn control(&self, control: &Control, scope: &Scope, signals: &Signals<'_>) -> (Tri, ReasonCode) {
        let sign_in = &signals.principal.sign_in;
        let by_device = |holds: fn(&Device<'_>) -> bool, unmet: ReasonCode| match &signals.context.device {
            Fact::Known(device) => (Tri::from_bool(holds(device)), unmet),
            Fact::Unknown => (Tri::No, ReasonCode::DeviceUnknown),
            Fact::Unavailable => (Tri::Maybe, unmet),
        };
        match control {
            Control::Mfa => (Tri::from_bool(scope.mfa), ReasonCode::MfaRequired),
            Control::CompliantDevice => {
                by_device(|device| device.compliant == Some(true), ReasonCode::DeviceNotCompliant)
            }
            Control::HybridJoinedDevice => {
                by_device(|device| device.is_hybrid_joined(), ReasonCode::DeviceNotJoined)
            }
            Control::ApprovedClientApp => {
                (Tri::from_bool(scope.approved_client), ReasonCode::ClientNotApproved)
            }
            Control::AppProtection => {
                (Tri::from_bool(scope.protected_client), ReasonCode::ClientNotProtected)
            }
            Control::PasswordChange => {
                let newer = match (sign_in.password_changed, sign_in.risk_seen) {
                    (Some(changed), Some(seen)) => changed > seen,
                    // Without both times there is no evidence.
                    (None | Some(_), None) | (None, Some(_)) => false,
                };
                (Tri::from_bool(newer), ReasonCode::PasswordChangeRequired)
            }
            Control::Strength(name) => {
                let proven = self.strength(name).is_some_and(|strength| proves_strength(strength, sign_in));
                (Tri::from_bool(proven), ReasonCode::StrengthRequired)
            }
            Control::TermsOfUse(name) => {
                (Tri::from_bool(sign_in.terms.contains(name)), ReasonCode::TermsRequired)
            }
            Control::Custom(name) => {
                (Tri::from_bool(sign_in.custom_controls.contains(name)), ReasonCode::ExternalControlRequired)
            }
        }
    }
}

struct Tally {
    reasons: ReasonSet,
    certain: bool,
}

impl Tally {
    const NONE: Self = Self { reasons: ReasonSet::EMPTY, certain: false };

    const fn add(&mut self, verdict: &Verdict) {
        self.reasons = self.reasons.union(verdict.reasons);
        self.certain = self.certain || verdict.certain;
    }
}

fn refuse(
    outcome: fn(Refused) -> Outcome,
    reasons: ReasonSet,
    temporary: bool,
    applied: Applied,
) -> Decision {
    // The set's order is the order in which reasons are shown.
    let primary = reasons.iter().next().unwrap_or(ReasonCode::Blocked);
    Decision { outcome: outcome(Refused { primary, reasons, temporary }), applied }
}

const fn result(state: PolicyState, kind: Kind) -> PolicyResult {
    match (state, kind) {
        (PolicyState::Enabled, Kind::Satisfied) => PolicyResult::Success,
        (PolicyState::Enabled, Kind::Blocks | Kind::Denies) => PolicyResult::Failure,
        (PolicyState::Enabled, Kind::Challenges) => PolicyResult::Interrupted,
        (PolicyState::ReportOnly | PolicyState::Disabled, Kind::Satisfied) => PolicyResult::ReportOnlySuccess,
        (PolicyState::ReportOnly | PolicyState::Disabled, Kind::Blocks | Kind::Denies) => {
            PolicyResult::ReportOnlyFailure
        }
        (PolicyState::ReportOnly | PolicyState::Disabled, Kind::Challenges) => {
            PolicyResult::ReportOnlyInterrupted
        }
    }
}

const fn is_performable(control: &Control) -> bool {
    match control {
        Control::Mfa
        | Control::PasswordChange
        | Control::Strength(_)
        | Control::TermsOfUse(_)
        | Control::Custom(_) => true,
        Control::CompliantDevice
        | Control::HybridJoinedDevice
        | Control::ApprovedClientApp
        | Control::AppProtection => false,
    }
}

/// What a user would have to change for a block to end, by the conditions that the policy rests on.
const fn block_reason(conditions: &Conditions) -> ReasonCode {
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
    } else if conditions.sign_in_risk.is_some()
        || conditions.user_risk.is_some()
        || conditions.insider_risk.is_some()
        || conditions.service_principal_risk.is_some()
    {
        ReasonCode::BlockedByRisk
    } else if conditions.request.is_some() || conditions.time.is_some() {
        ReasonCode::BlockedByRequest
    } else {
        ReasonCode::Blocked
    }
}

fn platform(selector: &PlatformSelector, seen: Fact<Platform>) -> Tri {
    match (selector, seen) {
        (PlatformSelector::All, _) => Tri::Yes,
        (PlatformSelector::Named(wanted), Fact::Known(seen)) => Tri::from_bool(*wanted == seen),
        (PlatformSelector::Named(_), Fact::Unknown) => Tri::No,
        (PlatformSelector::Named(_), Fact::Unavailable) => Tri::Maybe,
    }
}

const fn risk_matches(wanted: Option<RiskSet>, seen: Fact<RiskLevel>) -> Tri {
    let Some(wanted) = wanted else { return Tri::Yes };
    match seen {
        Fact::Known(level) => Tri::from_bool(wanted.contains(level)),
        Fact::Unknown => Tri::from_bool(wanted.contains(RiskLevel::None)),
        Fact::Unavailable => Tri::Maybe,
    }
}

fn in_place(location: &NamedLocation, context: &ClientContext<'_>) -> Tri {
    match &location.place {
        Place::Networks { networks, .. } => match context.address {
            Fact::Known(address) => {
                let address = canonical(address);
                Tri::from_bool(networks.iter().any(|network| network.contains(&address)))
            }
            Fact::Unknown => Tri::No,
            Fact::Unavailable => Tri::Maybe,
        },
        Place::Countries { countries, include_unknown } => match context.country {
            Fact::Known(country) => Tri::from_bool(countries.contains(&country)),
            Fact::Unknown => Tri::from_bool(*include_unknown),
            Fact::Unavailable => Tri::Maybe,
        },
    }
}

/// An IPv4-mapped IPv6 address is the IPv4 address.
const fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn request_matches(condition: &RequestCondition, signals: &Signals<'_>) -> bool {
    let path = |pattern: &PathPattern| match pattern {
        PathPattern::Exact(wanted) => signals.action.path == wanted,
        PathPattern::Subtree(wanted) => signals
            .action
            .path
            .strip_prefix(wanted.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || wanted.ends_with('/')),
    };
    (condition.methods.is_empty() || condition.methods.iter().any(|method| method == signals.action.method))
        && (condition.paths.is_empty() || condition.paths.iter().any(path))
        && !condition.exclude_paths.iter().any(path)
}

fn time_matches(condition: &TimeCondition, now: i64) -> bool {
    if condition.from.is_some_and(|from| now < from) || condition.until.is_some_and(|until| now >= until) {
        return false;
    }
    if condition.windows.is_empty() {
        return true;
    }
    let zone = &condition.zone;
    let past = zone.transitions.partition_point(|transition| transition.at <= now);
    let offset = past
        .checked_sub(1)
        .and_then(|last| zone.transitions.get(last))
        .map_or(zone.first_offset_secs, |transition| transition.offset_secs);
    // 1970-01-01 was a Thursday: three days into a week that begins on Monday.
    let minute = (now.saturating_add(i64::from(offset)).div_euclid(60) + 3 * 1_440).rem_euclid(7 * 1_440);
    let inside = |window: &WeekWindow| {
        let (start, end) = (i64::from(window.start_minute), i64::from(window.end_minute));
        if start < end { (start..end).contains(&minute) } else { minute >= start || minute < end }
    };
    condition.windows.iter().any(inside)
}

/// Whether the sign-in is as fresh as the session controls ask. Without `auth_time` it never is.
fn fresh(session: &SessionControls, signals: &Signals<'_>) -> bool {
    let Some(frequency) = session.sign_in_frequency else { return true };
    let Some(signed_in) = signals.principal.sign_in.auth_time else { return false };
    let age = signals.now.saturating_sub(signed_in);
    age >= -AHEAD_MAX_SECS && age <= span_secs(frequency)
}

fn span_secs(frequency: SignInFrequency) -> i64 {
    match frequency {
        SignInFrequency::Every(span) => i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        SignInFrequency::EveryTime => EVERY_TIME_SKEW_SECS,
    }
}

/// Merges a policy's session controls into the limits; the strictest value wins.
fn limit(limits: &mut SessionLimits, session: &SessionControls, signals: &Signals<'_>) {
    if let (Some(frequency), Some(signed_in)) =
        (session.sign_in_frequency, signals.principal.sign_in.auth_time)
    {
        let until = signed_in.saturating_add(span_secs(frequency));
        limits.sign_in_until = Some(limits.sign_in_until.map_or(until, |other| other.min(until)));
    }
    limits.persistent_browser = match (limits.persistent_browser, session.persistent_browser) {
        (Some(Persistence::Never), _) | (_, Some(Persistence::Never)) => Some(Persistence::Never),
        (Some(Persistence::Always), _) | (_, Some(Persistence::Always)) => Some(Persistence::Always),
        (None, None) => None,
    };
}
