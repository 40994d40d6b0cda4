//! The policies that could stand in the way of a request, by parts: each of them holds where every dimension has a value
//! at which its own condition holds.

use alloc::vec::Vec;

use super::classes::{Classes, Literal};
use crate::compile::{Asks, CompiledPolicies, ControlCode, Masked, Ones, matching};
use crate::decision::PolicyIndex;
use crate::model::{FilterMode, Operator, TimeCondition};
use crate::rule::Environment;
use crate::scope::Scope;
use crate::signals::{Fact, Signals};
use crate::tri::Tri;

/// What one part of a policy asks of whoever it applies to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked<'p> {
    /// Nothing: that it applies lets others pass which are let in only where some policy speaks.
    Speaks,
    /// What nobody has.
    Never,
    /// One of these controls; or that the issuer says that the context was satisfied.
    Controls { any: &'p [ControlCode], or_context: bool },
    /// A sign-in of at most so many seconds.
    Fresh(i64),
}

/// A part of a policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'p> {
    pub(crate) policy: PolicyIndex,
    /// Where the policy is in the engine's rows.
    pub(crate) word: usize,
    pub(crate) bit: u32,
    /// Which reading of the request it is asked of.
    pub(crate) reading: usize,
    /// What of a rule about devices has to hold, all of it.
    pub(crate) literals: &'p [Literal],
    /// For a rule that is not taken apart, what it says now.
    pub(crate) undecided: Option<Tri>,
    pub(crate) time: Option<&'p TimeCondition>,
    pub(crate) asked: Asked<'p>,
}

impl Entry<'_> {
    pub(crate) const fn speaks(&self) -> bool {
        matches!(self.asked, Asked::Speaks)
    }

    /// Whether a condition about a fact holds, as far as it matters: what may stand in the way does, and what may speak does
    /// not.
    pub(crate) fn is(&self, possible: u64, certain: u64) -> bool {
        let word = if self.speaks() { certain } else { possible };
        word >> self.bit & 1 == 1
    }

    /// The same of an answer.
    pub(crate) fn is_so(&self, holds: Tri) -> bool {
        if self.speaks() { holds == Tri::Yes } else { holds != Tri::No }
    }
}

/// Every part of the enforced policies that could apply to one reading of a request, wherever, whenever and with whatever
/// it came. `needs` says whether what is asked could be missing at all; policies that only speak are listed where
/// `with_speakers`.
pub(crate) fn entries<'p>(
    (policies, classes): (&'p CompiledPolicies, &'p Classes),
    scope: &Scope,
    (reading, signals): (usize, &Signals<'_>),
    with_speakers: bool,
    needs: &dyn Fn(&Asked<'p>) -> bool,
) -> Vec<Entry<'p>> {
    let mut found = Vec::new();
    let app = signals.target.app;
    let (Some(plan), Some(target)) = (policies.plan(app), policies.set().apps.get(app.0 as usize)) else {
        return found;
    };
    let environment = Environment::of(signals, &target.attributes, target.paths);
    let fixed = policies.facts.fixed(signals);
    for Masked { word, bits } in policies.words_of(plan) {
        let row = *word as usize;
        let about = bits & scope.possible(row) & policies.demands.enforced(row);
        let possible = fixed.iter().fold(about, |found, fact| found & fact.possible(row));
        if possible == 0 {
            continue;
        }
        let certain = fixed.iter().fold(scope.certain(row), |found, fact| found & fact.certain(row));
        for bit in Ones(possible) {
            let Some(demand) = policies.demands.of(row * 64 + bit as usize) else { continue };
            let Some(policy) = policies.set().policies.get(demand.policy.0 as usize) else { continue };
            let conditions = &policy.conditions;
            if let Some(condition) = &conditions.request
                && !matching::request(condition, environment.action, environment.paths)
            {
                continue;
            }
            let speaks = with_speakers && certain >> bit & 1 == 1;
            let mut asked = Vec::new();
            match policies.demands.asks(demand) {
                Asks::Block => asked.push(Asked::Never),
                Asks::Nothing => {}
                Asks::Controls(Operator::And, all) => asked
                    .extend(all.chunks(1).map(|any| Asked::Controls { any, or_context: demand.by_context })),
                Asks::Controls(Operator::Or, any) => {
                    asked.push(Asked::Controls { any, or_context: demand.by_context });
                }
            }
            let session = policies.demands.session(demand).and_then(|session| session.sign_in_age_max_secs);
            if !matches!(asked.first(), Some(Asked::Never)) {
                asked.extend(session.map(Asked::Fresh));
            }
            asked.retain(|one| needs(one));
            if speaks {
                asked.push(Asked::Speaks);
            }
            let entry = Entry {
                policy: demand.policy,
                word: row,
                bit,
                reading,
                literals: &[],
                undecided: None,
                time: conditions.time.as_ref(),
                asked: Asked::Speaks,
            };
            match classes.terms(demand.policy.0) {
                None => found.extend(asked.iter().map(|asked| Entry { asked: *asked, ..entry })),
                Some(Some(terms)) => {
                    for term in terms.iter().filter(|term| is_alive(term, classes, &environment)) {
                        // What turns on a device that is unavailable speaks for nothing.
                        let is_sure = signals.context.device != Fact::Unavailable
                            || term.iter().all(|literal| classes.holds(*literal, &environment) == Tri::Yes);
                        let each = asked.iter().filter(|asked| is_sure || !matches!(asked, Asked::Speaks));
                        found.extend(each.map(|asked| Entry { literals: term, asked: *asked, ..entry }));
                    }
                }
                Some(None) => {
                    let filter = conditions.device.as_ref().map_or(Tri::Yes, |filter| {
                        let holds = filter.rule.holds(&environment);
                        if filter.mode == FilterMode::Include { holds } else { holds.not() }
                    });
                    let claims = conditions.claims.as_ref().map_or(Tri::Yes, |rule| rule.holds(&environment));
                    let holds = filter.and(claims);
                    let each =
                        asked.iter().map(|asked| Entry { asked: *asked, undecided: Some(holds), ..entry });
                    let is_changeable = signals.context.device != Fact::Unavailable;
                    found.extend(each.filter(|entry| is_changeable || entry.is_so(holds)));
                }
            }
        }
    }
    found
}

/// Whether what a term asks of anything but the device holds.
fn is_alive(term: &[Literal], classes: &Classes, environment: &Environment<'_>) -> bool {
    let mut others = term.iter().filter(|literal| classes.attribute(**literal).is_none());
    others.all(|literal| classes.holds(*literal, environment) != Tri::No)
}
