//! The search: every smallest set of up to three changes, each confirmed by deciding again; and whether nothing helps.

use alloc::vec::Vec;

use super::candidates::Installation;
use super::changes::{Value, bits, changed, remedy};
use super::found::{Alternative, CHANGES_MAX, Finding, Remedies, Remedy};
use super::problem::Problem;
use crate::compile::CompiledPolicies;
use crate::decide::{NoObserver, Reading};
use crate::decision::{Outcome, PolicyIndex, ReasonCode};
use crate::obstacles::{Asked, Ending, Group, Row, Search};
use crate::scope::Scope;
use crate::signals::{Action, Signals, Target};

/// How many steps one decision counts as.
const DECISION_STEPS: u32 = 32;
/// How long an answer holds at most, in seconds: what lies just beyond the time that is searched comes nearer.
const LIFE_SECS: i64 = 60;
/// Changes that only another token of the same issuer can show.
const SIGN_INS: u32 = bits::AGAIN | bits::STRONGER;

/// Finds what would let a request in, through all policies at once, for each of its readings; without any, its path is
/// taken as it stands.
///
/// Told are the smallest sets of changes; of sets that do no more and are no easier than another (a device in a better
/// state, an approved network where any other would do) only the other one.
///
/// # Cost
/// Some tens of microseconds, and memory that is freed at the end; for refused requests only.
#[must_use]
pub fn find(
    policies: &CompiledPolicies,
    scope: &Scope,
    signals: &Signals<'_>,
    readings: &[Reading<'_>],
    installation: &Installation<'_>,
) -> Remedies {
    let mut found = Remedies {
        is_exhaustive: true,
        valid_until: signals.now.saturating_add(LIFE_SECS),
        ..Remedies::NONE
    };
    found.finding = match policies.decide_readings(scope, signals, readings, &mut NoObserver).1 {
        Outcome::Grant(_) => Finding::LetIn,
        Outcome::Challenge(refused) | Outcome::Deny(refused) | Outcome::Block(refused) => {
            match refused.primary {
                _ if refused.temporary => Finding::Waiting,
                ReasonCode::NotAssigned => Finding::OnlyAdministrator,
                // An app that nobody knows.
                _ if policies.plan(signals.target.app).is_none() => Finding::OnlyAdministrator,
                _ => Finding::NotFound,
            }
        }
    };
    if found.finding != Finding::NotFound {
        return found;
    }
    let asked = in_readings(signals, readings);
    let problem = Problem::new(policies, installation.candidates, scope, &asked);
    found.is_exhaustive = problem.is_complete;
    found.valid_until = valid_until(&problem, signals);
    let mut finder = Finder {
        problem: &problem,
        policies,
        scope,
        signals,
        readings,
        left: installation.steps_max,
        is_exhaustive: problem.is_complete,
    };
    finder.run(installation.tells_sign_in, &mut found);
    found
}

/// The request in each of its readings.
pub(super) fn in_readings<'r>(signals: &Signals<'r>, readings: &[Reading<'r>]) -> Vec<Signals<'r>> {
    if readings.is_empty() {
        return Vec::from([*signals]);
    }
    let each = readings.iter().map(|reading| Signals {
        target: Target { context: reading.context, ..signals.target },
        action: Action { path: reading.path, ..signals.action },
        ..*signals
    });
    each.collect()
}

/// The first moment at which the search could come to something else by itself.
fn valid_until(problem: &Problem<'_>, signals: &Signals<'_>) -> i64 {
    let too_old = problem.entries.iter().filter_map(|entry| match entry.asked {
        Asked::Fresh(age) => Some(signals.principal.auth_time?.saturating_add(age).saturating_add(1)),
        Asked::Speaks | Asked::Never | Asked::Controls { .. } => None,
    });
    let moments = problem.moments.iter().copied().chain(too_old).filter(|at| *at > signals.now);
    moments.fold(signals.now.saturating_add(LIFE_SECS), i64::min)
}

struct Finder<'f, 'r> {
    problem: &'f Problem<'f>,
    policies: &'f CompiledPolicies,
    scope: &'f Scope,
    signals: &'f Signals<'r>,
    readings: &'f [Reading<'r>],
    /// Steps that may still be taken.
    left: u32,
    is_exhaustive: bool,
}

impl Finder<'_, '_> {
    fn run(&mut self, tells_sign_in: bool, found: &mut Remedies) {
        if let Some(unavoidable) = self.unavoidable() {
            found.is_exhaustive = self.is_exhaustive;
            if self.is_exhaustive {
                (found.finding, found.unavoidable) = (Finding::OnlyAdministrator, unavoidable);
            }
            return;
        }
        let mut told: Vec<(u32, Alternative)> = Vec::new();
        let mut untold: Vec<u32> = Vec::new();
        for changes in self.sets() {
            let is_untold = !tells_sign_in && changes & SIGN_INS != 0;
            let is_known = |known: u32| does_no_more(known, changes);
            if told.iter().any(|(known, _)| is_known(*known))
                || (is_untold && untold.iter().any(|known| is_known(*known)))
            {
                continue;
            }
            match self.alternative(changes) {
                Some(_) if is_untold => untold.push(changes),
                Some(alternative) => told.push((changes, alternative)),
                None => {}
            }
            if self.left == 0 {
                break;
            }
        }
        // One of as many changes may have been found after one that is no easier.
        let sets: Vec<u32> = told.iter().map(|(changes, _)| *changes).collect();
        told.retain(|(changes, _)| {
            sets.iter().all(|other| other == changes || !does_no_more(*other, *changes))
        });
        found.finding = match (told.is_empty(), untold.is_empty()) {
            (false, _) => Finding::Found,
            (true, false) if self.is_exhaustive => Finding::SignInNotTold,
            (true, false) => Finding::NotFound,
            (true, true) => self.nothing(),
        };
        found.alternatives = told.into_iter().map(|(_, alternative)| alternative).collect();
        found.is_exhaustive = self.is_exhaustive;
    }

    /// The policies that no change avoids; `None` when each could be.
    fn unavoidable(&self) -> Option<Vec<PolicyIndex>> {
        let Problem { goal, dimensions, entries, .. } = self.problem;
        let mut never = goal.obstacles.clone();
        for group in dimensions.iter().flat_map(|dimension| &dimension.groups) {
            never.iter_mut().zip(&group.never).for_each(|(never, word)| *never &= word);
        }
        let stays = |(_, number): &(_, usize)| {
            never.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
        };
        let mut found: Vec<PolicyIndex> =
            entries.iter().zip(0..).filter(stays).map(|(entry, _)| entry.policy).collect();
        found.sort_unstable();
        found.dedup();
        (!found.is_empty()).then_some(found)
    }

    /// Every set of changes that could help, the smaller first, then the easier.
    fn sets(&self) -> Vec<u32> {
        let groups = self.problem.dimensions.iter().flat_map(|dimension| &dimension.groups);
        let available = groups.fold(0, |all, group| all | group.changes);
        let each: Vec<u32> =
            (0..bits::OFFERED).map(|bit| 1 << bit).filter(|bit| available & bit != 0).collect();
        let mut all: Vec<u32> = Vec::from([0]);
        let mut last = all.clone();
        for _ in 0..CHANGES_MAX {
            // What comes after the hardest of a set, so that each set is made once.
            let next = last.iter().flat_map(|set| {
                let hardest = u32::BITS - set.leading_zeros();
                each.iter().filter(move |bit| bit.trailing_zeros() >= hardest).map(move |bit| set | bit)
            });
            last = next.collect();
            all.extend(&last);
        }
        all.into_iter().skip(1).filter(|set| self.could_help(*set)).collect()
    }

    /// Whether each change is one that can be made with the others, and what never falls does not stand in the way.
    fn could_help(&self, changes: u32) -> bool {
        let Problem { goal, dimensions, .. } = self.problem;
        let width = goal.obstacles.len();
        let (mut never, mut some) = (alloc::vec![u64::MAX; width], alloc::vec![u64::MAX; width]);
        for dimension in dimensions {
            let Some(group) = dimension.group(changes) else { return false };
            never.iter_mut().zip(&group.never).for_each(|(all, word)| *all &= word);
            some.iter_mut().zip(&group.some).for_each(|(all, word)| *all &= word);
        }
        goal.is_reachable(&some, &never, &some)
    }

    /// The alternative of exactly these changes, the preferred values first.
    fn alternative(&mut self, changes: u32) -> Option<Alternative> {
        let problem = self.problem;
        let lists: Option<Vec<Vec<&Group>>> = problem
            .dimensions
            .iter()
            .map(|dimension| dimension.group(changes).map(|group| Vec::from([group])))
            .collect();
        let mut search = Search { goal: &problem.goal, left: self.left };
        let (mut found, mut decisions, mut was_wrong) = (None, 0, false);
        let ending = search.find(&lists?, &mut |rows| {
            let values = values(problem, rows);
            decisions += 1;
            if self.is_let_in(&values) {
                found = Some(alternative(changes, problem, rows));
                return true;
            }
            // Told is only what was decided again.
            was_wrong = true;
            false
        });
        self.left = search.left.saturating_sub(decisions * DECISION_STEPS);
        self.is_exhaustive &= ending != Ending::CutShort && !(was_wrong && found.is_none()) && self.left > 0;
        found
    }

    fn is_let_in(&self, values: &[&Value<'_>]) -> bool {
        let asked = changed(self.signals, values.iter().copied());
        let rebound;
        let mut scope = self.scope;
        let sign_in = &asked.principal.standing.sign_in;
        if *sign_in != self.signals.principal.standing.sign_in {
            rebound = self.policies.rebind(scope, sign_in);
            scope = &rebound;
        }
        let context = asked.client_context();
        let signals = asked.signals(&context);
        let outcome = self.policies.decide_readings(scope, &signals, self.readings, &mut NoObserver).1;
        matches!(outcome, Outcome::Grant(_))
    }

    /// What it means that no few changes help: whether any number of them would, or another user agent.
    fn nothing(&mut self) -> Finding {
        if !self.is_exhaustive {
            return Finding::NotFound;
        }
        let problem = self.problem;
        // Another device, or this one: dimensions that speak of both agree on which.
        for other in [0, bits::OTHER_DEVICE] {
            let lists = problem.dimensions.iter().map(|dimension| {
                let agrees = |group: &&Group| {
                    dimension.span & bits::OTHER_DEVICE == 0 || group.changes & bits::OTHER_DEVICE == other
                };
                dimension.groups.iter().filter(agrees).collect()
            });
            let lists: Vec<Vec<&Group>> = lists.collect();
            if lists.iter().any(Vec::is_empty) {
                continue;
            }
            let mut search = Search { goal: &problem.goal, left: self.left };
            let mut is_let_in = false;
            let ending = search.find(&lists, &mut |rows| {
                is_let_in = self.is_let_in(&values(problem, rows));
                true
            });
            self.left = search.left;
            if ending != Ending::Exhausted {
                self.is_exhaustive = is_let_in;
                return Finding::NotFound;
            }
        }
        Finding::OnlyAdministrator
    }
}

/// Whether one set of changes asks for no more than another: each of its changes stands for one of the other, the same or
/// one that is no easier.
fn does_no_more(one: u32, other: u32) -> bool {
    if one == 0 {
        return true;
    }
    let first = one & one.wrapping_neg();
    let forms = bits::no_easier_than(first) & other;
    let mut forms = (0..bits::OFFERED).map(|bit| 1 << bit).filter(|form| forms & form != 0);
    forms.any(|form| does_no_more(one & !first, other & !form))
}

fn values<'p>(problem: &'p Problem<'p>, rows: &[&Row]) -> Vec<&'p Value<'p>> {
    let pairs = problem.axes.iter().zip(rows);
    pairs.filter_map(|(axis, row)| axis.values.get(row.value)).map(|(_, value)| value).collect()
}

/// What is told of a choice.
fn alternative(changes: u32, problem: &Problem<'_>, rows: &[&Row]) -> Alternative {
    let mut found = Alternative::default();
    let mut made: Vec<Remedy> = Vec::new();
    for (axis, row) in problem.axes.iter().zip(rows) {
        let Some((own, value)) = axis.values.get(row.value) else { continue };
        let each = (0..bits::OFFERED).map(|bit| 1 << bit).filter(|bit| own & changes & bit != 0);
        made.extend(each.filter_map(|change| remedy(change, value)));
        match value {
            Value::Place(address, country) => {
                if *own != bits::LEAVE {
                    found.tried.country = country.known();
                }
                if *own == bits::APPROVED_NETWORK {
                    found.tried.address = address.known();
                }
            }
            Value::Attribute(_, Some(crate::value::Value::Text(version))) if *own == bits::NEWER_OS => {
                found.tried.os_version = Some(version.clone());
            }
            _ => {}
        }
    }
    made.sort_unstable();
    // Several dimensions say together what another device is.
    made.dedup();
    found.changes = made;
    found
}
