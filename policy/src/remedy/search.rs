//! Single changes, and pairs of them when none is enough.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::candidates::Installation;
use super::found::{Finding, Remedies, Remedy, StrongerMethod};
use crate::compile::CompiledPolicies;
use crate::decide::{AHEAD_MAX_SECS, Reading};
use crate::decision::Outcome;
use crate::model::{Conditions, CountryCode, Place, Policy, PolicyState, Targets, TimeCondition};
use crate::rule::Rule;
use crate::scope::Scope;
use crate::signals::{ClientContext, Device, Fact, Principal, Signals};

/// The most decisions that one search takes: a denial is not the place for a long one.
const DECISIONS_MAX: usize = 512;
/// The most networks and countries that are tried.
const PLACES_MAX: usize = 24;
/// The most versions that are tried.
const VERSIONS_MAX: usize = 8;
/// The most moments that are tried, the earliest first.
const MOMENTS_MAX: usize = 32;
/// How far ahead a later time is looked for, in seconds.
const AHEAD_SECS: i64 = 7 * 86_400;

/// Finds what would let this request in, through all policies at once, for each of its readings; without any, its path is
/// taken as it stands.
#[must_use]
pub fn find(
    policies: &CompiledPolicies,
    scope: &Scope,
    signals: &Signals<'_>,
    readings: &[Reading<'_>],
    installation: &Installation<'_>,
) -> Remedies {
    let valid_until = signals.now.saturating_add(5);
    let nothing = |finding, is_exhaustive| Remedies { finding, is_exhaustive, valid_until, ..Remedies::NONE };
    match policies.decide_readings(scope, signals, readings, &mut crate::decide::NoObserver).1 {
        Outcome::Grant(_) => return nothing(Finding::LetIn, true),
        Outcome::Challenge(refused) | Outcome::Deny(refused) | Outcome::Block(refused) => {
            if refused.temporary {
                return nothing(Finding::Waiting, true);
            }
        }
    }
    let (again, stronger) = (again(signals), stronger(policies, signals));
    let mut search = Search {
        policies,
        signals,
        scope,
        again: (policies.bind(&again), &again),
        stronger: (policies.bind(&stronger), &stronger),
        left: DECISIONS_MAX,
    };
    let mut alternatives = search.singles();
    if alternatives.is_empty() {
        alternatives = search.pairs();
    }
    let is_sign_in = |remedy: &Remedy| matches!(remedy, Remedy::SignInAgain | Remedy::StrongerSignIn { .. });
    let found = alternatives.len();
    if !installation.tells_sign_in {
        alternatives.retain(|changes| !changes.iter().any(is_sign_in));
    }
    if alternatives.is_empty() {
        return nothing(if found > 0 { Finding::SignInNotTold } else { Finding::NotFound }, false);
    }
    // A stronger device helps wherever a weaker one does; one suggestion is enough.
    let registered = alternatives.iter().any(|alternative| alternative == &[Remedy::RegisteredDevice]);
    let compliant = alternatives.iter().any(|alternative| alternative == &[Remedy::CompliantDevice]);
    alternatives.retain(|alternative| match alternative.as_slice() {
        [Remedy::CompliantDevice] => !registered,
        [Remedy::HybridJoinedDevice] => !registered && !compliant,
        _ => true,
    });
    alternatives.sort();
    alternatives.dedup();
    Remedies { valid_until, ..Remedies::example(alternatives) }
}

/// One exact form of a change, to be tried.
#[derive(Clone, Debug)]
enum Trial {
    Again,
    Stronger,
    Place(Fact<IpAddr>, Fact<CountryCode>),
    Version(Box<str>),
    Registered,
    Compliant,
    Joined,
    At(i64),
}

impl Trial {
    const fn remedy(&self) -> Remedy {
        match self {
            Self::Again => Remedy::SignInAgain,
            Self::Stronger => Remedy::StrongerSignIn { method: StrongerMethod::Several },
            Self::Place(Fact::Known(_), _) => Remedy::ApprovedNetwork,
            Self::Place(Fact::Unknown | Fact::Unavailable, _) => Remedy::LeaveNetwork,
            Self::Version(_) => Remedy::NewerOs,
            Self::Registered => Remedy::RegisteredDevice,
            Self::Compliant => Remedy::CompliantDevice,
            Self::Joined => Remedy::HybridJoinedDevice,
            Self::At(at) => Remedy::LaterTime { at: *at },
        }
    }

    const fn is_device(&self) -> bool {
        matches!(self, Self::Registered | Self::Compliant | Self::Joined)
    }
}

struct Search<'s, 'r> {
    policies: &'s CompiledPolicies,
    signals: &'s Signals<'r>,
    scope: &'s Scope,
    again: (Scope, &'s Principal),
    stronger: (Scope, &'s Principal),
    /// Decisions that may still be taken.
    left: usize,
}

impl Search<'_, '_> {
    fn singles(&mut self) -> Vec<Vec<Remedy>> {
        let mut alternatives = Vec::new();
        for trials in self.trials() {
            if let Some(found) = trials.iter().find(|trial| self.is_let_in(&[trial])) {
                alternatives.push(Vec::from([found.remedy()]));
            }
        }
        alternatives
    }

    fn pairs(&mut self) -> Vec<Vec<Remedy>> {
        let all = self.trials();
        let mut pairs: Vec<(&[Trial], &[Trial])> = Vec::new();
        for (position, first) in all.iter().enumerate() {
            pairs.extend(all.iter().skip(position + 1).map(|second| (first.as_slice(), second.as_slice())));
        }
        // The short ones first: should the decisions run out, little was left untried.
        pairs.sort_by_key(|(first, second)| first.len() * second.len());
        let mut alternatives = Vec::new();
        for (first, second) in pairs {
            let mut both = first.iter().flat_map(|one| second.iter().map(move |other| (one, other)));
            if let Some((one, other)) = both.find(|(one, other)| self.is_let_in(&[one, other])) {
                alternatives.push(Vec::from([one.remedy(), other.remedy()]));
            }
        }
        alternatives
    }

    /// Each change with the forms in which it is tried; those that would replace an unavailable fact,
    /// or change nothing, are left out.
    fn trials(&self) -> Vec<Vec<Trial>> {
        let context = self.signals.context;
        let mut all = Vec::from([Vec::from([Trial::Again]), Vec::from([Trial::Stronger])]);
        if context.address != Fact::Unavailable && context.country != Fact::Unavailable {
            all.push(places(self.policies, context));
        }
        match &context.device {
            Fact::Unavailable => {}
            Fact::Unknown => {
                all.extend([Trial::Registered, Trial::Compliant, Trial::Joined].map(|one| Vec::from([one])))
            }
            Fact::Known(device) => {
                all.push(self.versions(device));
                if device.compliant != Some(true) {
                    all.push(Vec::from([Trial::Compliant]));
                }
                if !device.is_hybrid_joined() {
                    all.push(Vec::from([Trial::Joined]));
                }
            }
        }
        all.push(self.moments());
        all.retain(|trials| !trials.is_empty());
        all
    }

    /// The enabled policies with such conditions that speak of the app, or of a context. Few policies
    /// have the conditions that are asked for, so those are looked at first.
    fn relevant(&self, with: impl Fn(&Conditions) -> bool) -> impl Iterator<Item = &Policy> {
        let set = self.policies.set();
        let app = set.apps.get(self.signals.target.app.0 as usize);
        set.policies.iter().filter(move |policy| {
            policy.state == PolicyState::Enabled
                && with(&policy.conditions)
                && match &*policy.targets {
                    Targets::Contexts(_) => true,
                    Targets::Apps(apps) => app.is_some_and(|app| apps.covers(app)),
                }
        })
    }

    /// Versions above the device's own that rules speak of.
    fn versions(&self, device: &Device<'_>) -> Vec<Trial> {
        let Some(own) = device.operating_system_version.and_then(version) else { return Vec::new() };
        let mut found: Vec<(Vec<u64>, Box<str>)> = Vec::new();
        let with_rule = |conditions: &Conditions| conditions.device.is_some() || conditions.claims.is_some();
        for policy in self.relevant(with_rule) {
            let filter = policy.conditions.device.as_ref().map(|filter| &filter.rule);
            for rule in filter.into_iter().chain(&policy.conditions.claims) {
                found.extend(versions_in(rule).filter(|(numbers, _)| *numbers > own));
            }
        }
        found.sort();
        found.dedup();
        found.into_iter().take(VERSIONS_MAX).map(|(_, text)| Trial::Version(text)).collect()
    }

    /// Moments ahead at which a time condition changes its answer. Between them no answer of any
    /// changes, so the first one that is let in is the earliest.
    fn moments(&self) -> Vec<Trial> {
        let now = self.signals.now;
        let mut found = Vec::new();
        let timed = self.relevant(|conditions| conditions.time.is_some());
        for condition in timed.filter_map(|policy| policy.conditions.time.as_ref()) {
            found.extend(changes(condition, now));
        }
        // A sign-in of which our clock says that it is yet to come proves nothing until then.
        let signed_in = self.signals.principal.auth_time;
        found.extend(signed_in.map(|at| at.saturating_sub(AHEAD_MAX_SECS)));
        found.retain(|at| *at > now && *at <= now.saturating_add(AHEAD_SECS));
        found.sort_unstable();
        found.dedup();
        found.into_iter().take(MOMENTS_MAX).map(Trial::At).collect()
    }

    fn is_let_in(&mut self, trials: &[&Trial]) -> bool {
        if trials.iter().filter(|trial| trial.is_device()).count() == 2
            && trials.iter().any(|trial| matches!(trial, Trial::Registered))
        {
            // A compliant or joined device is registered already.
            return false;
        }
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        let mut context = *self.signals.context;
        let mut now = self.signals.now;
        let (mut scope, mut principal) = (self.scope, self.signals.principal);
        for trial in trials {
            match trial {
                Trial::Again => (scope, principal) = (&self.again.0, self.again.1),
                Trial::Stronger => (scope, principal) = (&self.stronger.0, self.stronger.1),
                Trial::Place(address, country) => (context.address, context.country) = (*address, *country),
                Trial::Version(version) => {
                    let device = context.device.known().unwrap_or_default();
                    context.device =
                        Fact::Known(Device { operating_system_version: Some(version), ..device });
                }
                Trial::Registered => context.device = Fact::Known(better(&context, None, None)),
                Trial::Compliant => context.device = Fact::Known(better(&context, Some(true), None)),
                Trial::Joined => context.device = Fact::Known(better(&context, None, Some("ServerAD"))),
                Trial::At(at) => now = *at,
            }
        }
        // A later sign-in is as late as the visit that it is for.
        let fresh = trials.iter().any(|trial| matches!(trial, Trial::Again | Trial::Stronger));
        let later;
        if fresh && now != self.signals.now {
            let mut moved = principal.clone();
            moved.auth_time = Some(now);
            later = moved;
            principal = &later;
        }
        let asked = Signals { principal, context: &context, now, ..*self.signals };
        matches!(self.policies.decide(scope, &asked).outcome, Outcome::Grant(_))
    }
}

/// The present device with a better state; its own attributes stay, so that filters still see it.
fn better<'r>(
    context: &ClientContext<'r>,
    compliant: Option<bool>,
    trust_type: Option<&'r str>,
) -> Device<'r> {
    let device = context.device.known().unwrap_or_default();
    Device {
        device_id: device.device_id.or(Some("another device")),
        compliant: compliant.or(device.compliant),
        trust_type: trust_type.or(device.trust_type),
        ..device
    }
}

/// The same person after signing in again.
fn again(signals: &Signals<'_>) -> Principal {
    let mut principal = signals.principal.clone();
    principal.auth_time = Some(signals.now);
    principal
}

/// The same person after signing in with everything that the policies know as evidence and that tokens of this
/// issuer can hold.
fn stronger(policies: &CompiledPolicies, signals: &Signals<'_>) -> Principal {
    let mut principal = again(signals);
    let set = policies.set();
    let sign_in = &mut principal.standing_mut().sign_in;
    if sign_in.issuer.asserts_methods {
        sign_in.methods.extend(set.evidence.mfa_methods.iter().cloned());
        let combinations = set.strengths.iter().flat_map(|strength| &strength.combinations);
        sign_in.methods.extend(combinations.flatten().cloned());
    }
    sign_in.contexts.extend(&set.evidence.mfa_contexts);
    sign_in.contexts.extend(set.strengths.iter().flat_map(|strength| &strength.contexts));
    if sign_in.issuer.contexts_satisfy {
        sign_in.contexts.extend(signals.target.context);
    }
    principal
}

/// Places that the named locations speak of: addresses of each network, and each country. A network is
/// tried in the country of now: where it lies is not known here.
fn places(policies: &CompiledPolicies, context: &ClientContext<'_>) -> Vec<Trial> {
    let here = (context.address, context.country);
    let mut places = Vec::new();
    for location in &policies.set().locations {
        match &location.place {
            Place::Networks { networks, .. } => places.extend(
                networks.iter().take(2).map(|network| (Fact::Known(network.addr()), context.country)),
            ),
            Place::Countries { countries, .. } => {
                places.extend(countries.iter().take(2).map(|country| (Fact::Unknown, Fact::Known(*country))));
            }
        }
    }
    places.retain(|place| *place != here);
    places.truncate(PLACES_MAX);
    places.into_iter().map(|(address, country)| Trial::Place(address, country)).collect()
}

/// The numbers of a version; `None` when a part is no number.
fn version(text: &str) -> Option<Vec<u64>> {
    text.split('.').map(|part| part.parse().ok()).collect()
}

/// Everything in a rule about the version that reads as one, and for each the next above it. What is
/// found is only tried, so reading the text is enough: a wrong find costs one decision.
fn versions_in(rule: &Rule) -> impl Iterator<Item = (Vec<u64>, Box<str>)> {
    let source = rule.source();
    let speaks = source.to_ascii_lowercase().contains("operatingsystemversion");
    let words = source.split(|char: char| !(char.is_ascii_digit() || char == '.')).filter(move |_| speaks);
    words.flat_map(|word| {
        let above = alloc::format!("{word}.1");
        [String::from(word), above].into_iter().filter_map(|text| Some((version(&text)?, text.into())))
    })
}

/// Every moment of the coming week at which a time condition may change its answer.
pub(crate) fn changes(condition: &TimeCondition, now: i64) -> Vec<i64> {
    condition.changes(now)
}
