//! The hot path, readable in one sitting. Each fact of the request picks a row of policies; their AND
//! says which apply. A block wins, then every other one must be satisfied.

use alloc::vec::Vec;

use crate::compile::{Answers, CompiledPolicies, DeviceState, Kind, Masked, Ones, Session, Verdict};
use crate::decision::{
    Decision, Outcome, Permit, PolicyIndex, PolicyResult, ReasonCode, ReasonSet, Refused, SessionLimits,
};
use crate::model::{AuthenticationContext, Persistence, Unmatched};
use crate::rule::Environment;
use crate::scope::Scope;
use crate::signals::{Action, Signals, Target};
use crate::tri::Tri;

/// How far `auth_time` may lie ahead of our clock before it proves nothing, in seconds.
pub(crate) const AHEAD_MAX_SECS: i64 = 60;

/// Observes what each policy comes to while a decision is made, so that nothing need be listed.
pub trait Observer {
    /// Policies applied and are satisfied: 64 at most, in the order in which the engine keeps them; see
    /// [`CompiledPolicies::owner`].
    fn satisfied(&mut self, row: SatisfiedRow);
    /// A policy applied, with this result.
    fn applied(&mut self, policy: PolicyIndex, result: PolicyResult);
}

/// One reading of a request that an app may have: see [`path`](crate::path).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading<'r> {
    /// The path.
    pub path: &'r str,
    /// The authentication context that it asks for.
    pub context: Option<AuthenticationContext>,
}

/// Observes nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn satisfied(&mut self, _row: SatisfiedRow) {}

    fn applied(&mut self, _policy: PolicyIndex, _result: PolicyResult) {}
}

/// Some policies of one word of the engine's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SatisfiedRow {
    /// Which word; below [`CompiledPolicies::words`].
    pub word: u32,
    /// Which of its policies.
    pub bits: u64,
}

impl SatisfiedRow {
    /// The positions of its policies in the engine's rows.
    pub fn positions(self) -> impl Iterator<Item = u32> {
        Ones(self.bits).map(move |bit| self.word * 64 + bit)
    }
}

/// Lists what applied.
struct Listed<'d> {
    policies: &'d CompiledPolicies,
    applied: Vec<(PolicyIndex, PolicyResult)>,
}

impl Observer for Listed<'_> {
    fn satisfied(&mut self, row: SatisfiedRow) {
        self.applied.extend(row.positions().filter_map(|position| self.policies.owner(position)));
    }

    fn applied(&mut self, policy: PolicyIndex, result: PolicyResult) {
        self.applied.push((policy, result));
    }
}

impl CompiledPolicies {
    /// Decides one request, and lists the policies that applied.
    ///
    /// A scope that was bound to another load of the policies, or an app that this load does not know,
    /// is refused.
    ///
    /// # Cost
    /// That of [`decide_observed`](Self::decide_observed), and a list of the policies that apply, sorted.
    #[must_use]
    pub fn decide(&self, scope: &Scope, signals: &Signals<'_>) -> Decision {
        let mut listed = Listed { policies: self, applied: Vec::new() };
        let outcome = self.decide_observed(scope, signals, &mut listed);
        let mut applied = listed.applied;
        applied.sort_unstable();
        Decision { outcome, applied }
    }

    /// Decides one request, and reports to `observer` which policies applied. Always the same outcome as
    /// [`decide`](Self::decide).
    ///
    /// # Cost
    /// One AND for each fact and each 64 policies that target the app; then linear in those policies that
    /// apply and are not satisfied by the sign-in alone. No lock, no clock, no allocation.
    #[must_use]
    pub fn decide_observed(
        &self,
        scope: &Scope,
        signals: &Signals<'_>,
        observer: &mut impl Observer,
    ) -> Outcome {
        let app = signals.target.app;
        let (Some(plan), Some(target)) = (self.plan(app), self.set().apps.get(app.0 as usize)) else {
            return unasked(Outcome::Block, ReasonCode::NoPolicy, false);
        };
        if scope.generation() != self.generation() {
            return unasked(Outcome::Deny, ReasonCode::FactUnavailable, true);
        }
        match plan.assigned.map_or(Tri::Yes, |bit| scope.assigned(bit)) {
            Tri::Yes => {}
            unsure => return unasked(Outcome::Deny, ReasonCode::NotAssigned, unsure == Tri::Maybe),
        }

        let narrowing = self.facts.narrow(signals);
        let environment = Environment::of(signals, &target.attributes, target.paths);
        let device = DeviceState::of(&signals.context.device).position();
        let mut answers = Answers::default();
        let mut combined = Combined::NONE;
        for Masked { word, bits } in self.words_of(plan) {
            let row = *word as usize;
            let about = bits & scope.possible(row);
            if about == 0 {
                continue;
            }
            let possible = about & narrowing.possible(row);
            if possible == 0 {
                continue;
            }
            let certain = scope.certain(row) & narrowing.certain(row);
            // Most of what applies is satisfied by the sign-in, and asks nothing of the request.
            let satisfied = possible & certain & scope.satisfied(row);
            if satisfied != 0 {
                observer.satisfied(SatisfiedRow { word: *word, bits: satisfied });
                if satisfied & self.demands.enforced(row) != 0 {
                    combined.spoken = Tri::Yes;
                }
            }
            for bit in Ones(possible & !satisfied) {
                // INVARIANT: every bit that an app looks at has a policy, and every policy its grant.
                let Some(demand) = self.demands.of(row * 64 + bit as usize) else { continue };
                let mut applies = if certain >> bit & 1 == 1 { Tri::Yes } else { Tri::Maybe };
                if let Some(question) = demand.question {
                    applies = applies.and(self.questions.ask(question, &environment, &mut answers));
                    if applies == Tri::No {
                        continue;
                    }
                }
                let mut verdict = scope.verdicts.of(demand.grant, device).copied().unwrap_or(Verdict::LOST);
                if demand.by_context && holds_context(signals) {
                    verdict = Verdict::SATISFIED;
                }
                if let Some(session) = self.demands.session(demand) {
                    verdict = combined.session(session, verdict, demand.enforced, signals);
                }
                observer.applied(demand.policy, result(demand.enforced, verdict.kind));
                if demand.enforced {
                    combined.add(applies, &verdict);
                }
            }
        }
        combined.conclude(target.unmatched, |limits| {
            Permit::grant(app, self.generation(), signals.request_id, limits)
        })
    }

    /// Decides a request with several readings, and reports to `observer` the reading that decides:
    /// the one with the strictest outcome. It is granted only if each is, within the limits of them all.
    /// Returns the question as that reading asks it, and the outcome.
    ///
    /// # Cost
    /// That of [`decide_observed`](Self::decide_observed) for each reading and once more; without any, the path is taken as it stands.
    #[must_use]
    pub fn decide_readings<'r>(
        &self,
        scope: &Scope,
        signals: &Signals<'r>,
        readings: &[Reading<'r>],
        observer: &mut impl Observer,
    ) -> (Signals<'r>, Outcome) {
        let mut limits = SessionLimits { sign_in_until: None, persistent_browser: None };
        let mut strictest = (0, *signals);
        for (position, reading) in readings.iter().enumerate() {
            let asked = Signals {
                target: Target { context: reading.context, ..signals.target },
                action: Action { path: reading.path, ..signals.action },
                ..*signals
            };
            let outcome = self.decide_observed(scope, &asked, &mut NoObserver);
            if let Outcome::Grant(permit) = &outcome {
                limits = limits.and(permit.session());
            }
            let severity = severity(&outcome);
            if position == 0 || severity > strictest.0 {
                strictest = (severity, asked);
            }
        }
        let (_, asked) = strictest;
        let outcome = match self.decide_observed(scope, &asked, observer) {
            Outcome::Grant(permit) if !readings.is_empty() => {
                Outcome::Grant(Permit::grant(permit.app(), permit.generation(), permit.request_id(), limits))
            }
            outcome => outcome,
        };
        (asked, outcome)
    }

    /// How many words the engine's rows have.
    #[must_use]
    pub fn words(&self) -> usize {
        self.demands.words()
    }

    /// The policy at a position of the engine's rows, and what it comes to when it is satisfied. A policy
    /// may have several positions; some have none.
    #[must_use]
    pub fn owner(&self, position: u32) -> Option<(PolicyIndex, PolicyResult)> {
        let demand = self.demands.of(position as usize)?;
        self.set().policies.get(demand.policy.0 as usize)?;
        Some((demand.policy, result(demand.enforced, Kind::Satisfied)))
    }
}

/// Whether the issuer says, and its word counts, that the context which is asked for was satisfied.
fn holds_context(signals: &Signals<'_>) -> bool {
    let sign_in = &signals.principal.standing.sign_in;
    let held = |asked| sign_in.contexts.contains(&asked);
    sign_in.issuer.contexts_satisfy && signals.target.context.is_some_and(held)
}

/// Whether the sign-in is at most so many seconds old. Without `auth_time` it never is.
fn is_fresh(age_max_secs: i64, signals: &Signals<'_>) -> bool {
    let Some(signed_in) = signals.principal.auth_time else { return false };
    let age = signals.now.saturating_sub(signed_in);
    age >= -AHEAD_MAX_SECS && age <= age_max_secs
}

/// All enforced policies that applied so far.
struct Combined {
    /// Whether an enabled policy applied.
    spoken: Tri,
    limits: SessionLimits,
    blocks: ReasonSet,
    denies: ReasonSet,
    challenges: ReasonSet,
    /// Whether some policy refuses whatever the unavailable facts are.
    certain: bool,
}

impl Combined {
    const NONE: Self = Self {
        spoken: Tri::No,
        limits: SessionLimits { sign_in_until: None, persistent_browser: None },
        blocks: ReasonSet::EMPTY,
        denies: ReasonSet::EMPTY,
        challenges: ReasonSet::EMPTY,
        certain: false,
    };

    #[inline]
    fn add(&mut self, applies: Tri, verdict: &Verdict) {
        self.spoken = self.spoken.or(applies);
        let reasons = match verdict.kind {
            Kind::Satisfied => return,
            Kind::Blocks => &mut self.blocks,
            Kind::Denies => &mut self.denies,
            Kind::Challenges => &mut self.challenges,
        };
        *reasons = reasons.union(verdict.reasons);
        self.certain = self.certain || (applies == Tri::Yes && !verdict.unsure);
    }

    /// Merges a policy's session controls into the limits, the strictest value wins; and says what the
    /// policy comes to when the sign-in is too old.
    fn session(
        &mut self,
        session: &Session,
        verdict: Verdict,
        enforced: bool,
        signals: &Signals<'_>,
    ) -> Verdict {
        let auth_time = signals.principal.auth_time;
        if enforced {
            if let (Some(max), Some(signed_in)) = (session.sign_in_age_max_secs, auth_time) {
                let until = signed_in.saturating_add(max);
                let other = self.limits.sign_in_until;
                self.limits.sign_in_until = Some(other.map_or(until, |other| other.min(until)));
            }
            self.limits.persistent_browser =
                stricter(self.limits.persistent_browser, session.persistent_browser);
        }
        match (session.sign_in_age_max_secs, verdict.kind) {
            // Nothing that the user could do now is asked beside a block.
            (None, _) | (Some(_), Kind::Blocks) => verdict,
            (Some(max), _) if is_fresh(max, signals) => verdict,
            (Some(_), kind) => {
                let kind = if kind == Kind::Satisfied { Kind::Challenges } else { kind };
                let reasons = verdict.reasons.with(ReasonCode::SignInTooOld);
                // A stale sign-in refuses whatever the device is.
                Verdict { kind, reasons, unsure: false }
            }
        }
    }

    fn conclude(&self, unmatched: Unmatched, permit: impl FnOnce(SessionLimits) -> Permit) -> Outcome {
        // The refusal is temporary only when no policy refuses for certain.
        let temporary = !self.certain;
        // All that fails is told at once: one after the other would be an oracle.
        let all = self.blocks.union(self.denies).union(self.challenges);
        if !self.blocks.is_empty() {
            return Outcome::Block(refused(all, temporary));
        }
        if !self.denies.is_empty() {
            return Outcome::Deny(refused(all, temporary));
        }
        if !self.challenges.is_empty() {
            return Outcome::Challenge(refused(self.challenges, temporary));
        }
        match (self.spoken, unmatched) {
            (Tri::Yes, Unmatched::Allow | Unmatched::Deny) | (Tri::No | Tri::Maybe, Unmatched::Allow) => {
                Outcome::Grant(permit(self.limits))
            }
            // Whether any policy speaks turns on an unavailable fact: no.
            (unsure, Unmatched::Deny) => unasked(Outcome::Block, ReasonCode::NoPolicy, unsure == Tri::Maybe),
        }
    }
}

/// How strict an outcome is: what cannot be mended by waiting is stricter than what can.
const fn severity(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Grant(_) => 0,
        Outcome::Challenge(refused) => 2 - refused.temporary as u8,
        Outcome::Deny(refused) => 4 - refused.temporary as u8,
        Outcome::Block(refused) => 6 - refused.temporary as u8,
    }
}

impl SessionLimits {
    /// The stricter of each.
    fn and(self, other: Self) -> Self {
        let until = self.sign_in_until.into_iter().chain(other.sign_in_until).min();
        let persistent_browser = stricter(self.persistent_browser, other.persistent_browser);
        Self { sign_in_until: until, persistent_browser }
    }
}

const fn stricter(one: Option<Persistence>, other: Option<Persistence>) -> Option<Persistence> {
    match (one, other) {
        (Some(Persistence::Never), _) | (_, Some(Persistence::Never)) => Some(Persistence::Never),
        (Some(Persistence::Always), _) | (_, Some(Persistence::Always)) => Some(Persistence::Always),
        (None, None) => None,
    }
}

/// A refusal that comes of no policy.
fn unasked(outcome: fn(Refused) -> Outcome, reason: ReasonCode, temporary: bool) -> Outcome {
    outcome(refused(ReasonSet::EMPTY.with(reason), temporary))
}

fn refused(reasons: ReasonSet, temporary: bool) -> Refused {
    // The set's order is the order in which reasons are shown.
    let primary = reasons.first().unwrap_or(ReasonCode::Blocked);
    Refused { primary, reasons, temporary }
}

const fn result(enforced: bool, kind: Kind) -> PolicyResult {
    match (enforced, kind) {
        (true, Kind::Satisfied) => PolicyResult::Success,
        (true, Kind::Blocks | Kind::Denies) => PolicyResult::Failure,
        (true, Kind::Challenges) => PolicyResult::Interrupted,
        (false, Kind::Satisfied) => PolicyResult::ReportOnlySuccess,
        (false, Kind::Blocks | Kind::Denies) => PolicyResult::ReportOnlyFailure,
        (false, Kind::Challenges) => PolicyResult::ReportOnlyInterrupted,
    }
}
