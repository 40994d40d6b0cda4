//! Everything tried, by the reference evaluator: no rows, no bounds, nothing left out because something else is as good.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_policy::decision::PolicyIndex;
use portcullis_policy::model::PolicyState;
use portcullis_policy::reference::{Conclusion, FindingResult, evaluate};
use portcullis_policy::remedy::{Installation, Remedy, Trials};
use portcullis_policy::signals::OwnedSignals;
use portcullis_policy::{CompiledPolicies, PolicySet};

use crate::world::Question;

/// The word of a change, which leaves out how exactly it is made.
pub(super) fn kind(remedy: Remedy) -> &'static str {
    remedy.as_str()
}

type Kinds = BTreeSet<&'static str>;

/// Something that could be otherwise, all of the device together: choices of the dimensions that say it, by the changes
/// that lead there. Of values that the reference finds the same in every respect one is kept.
struct Part {
    dimensions: Vec<usize>,
    span: Kinds,
    by_kinds: BTreeMap<Kinds, Vec<Vec<usize>>>,
    /// Choices that cannot be offered.
    forged: Vec<Vec<usize>>,
}

pub(super) struct BruteForce<'w> {
    set: &'w PolicySet,
    trials: Trials<'w>,
    parts: Vec<Part>,
    count: usize,
}

impl<'w> BruteForce<'w> {
    pub(super) fn new(
        set: &'w PolicySet,
        compiled: &'w CompiledPolicies,
        question: &'w Question,
        installation: &Installation<'w>,
    ) -> Self {
        let scope = compiled.bind(&question.principal);
        let trials = Trials::new(compiled, &scope, &question.signals(), &[], installation);
        let dimensions = trials.dimensions();
        let is_device = |dimension: &usize| {
            let mut changes = dimensions[*dimension].iter().flat_map(|trial| &trial.changes);
            changes.any(|change| {
                ["registered_device", "compliant_device", "hybrid_joined_device", "newer_os", "other_device"]
                    .contains(&kind(*change))
            })
        };
        let (device, others): (Vec<usize>, Vec<usize>) = (0..dimensions.len()).partition(is_device);
        let groups = others.into_iter().map(|one| vec![one]).chain([device]);
        let mut brute = Self { set, trials, parts: vec![], count: dimensions.len() };
        for group in groups.filter(|group| !group.is_empty()) {
            let mut choices: Vec<Vec<usize>> = vec![vec![]];
            for dimension in &group {
                let values = 0..dimensions[*dimension].len();
                choices = choices
                    .iter()
                    .flat_map(|choice| values.clone().map(move |value| [&choice[..], &[value]].concat()))
                    .collect();
            }
            let mut part = Part {
                dimensions: group.clone(),
                span: Kinds::new(),
                by_kinds: BTreeMap::new(),
                forged: vec![],
            };
            let mut known = BTreeSet::new();
            for choice in choices {
                let trials =
                    group.iter().zip(&choice).map(|(dimension, value)| &dimensions[*dimension][*value]);
                let trials: Vec<_> = trials.collect();
                let Some(asked) = brute.with(&[(&group, &choice)]) else { continue };
                let kinds: Kinds =
                    trials.iter().flat_map(|trial| &trial.changes).map(|one| kind(*one)).collect();
                part.span.extend(&kinds);
                let is_forged = trials.iter().any(|trial| !trial.is_offered);
                if !known.insert((is_forged, kinds.clone(), brute.respects(&asked))) {
                    continue;
                }
                if is_forged {
                    part.forged.push(choice);
                } else {
                    part.by_kinds.entry(kinds).or_default().push(choice);
                }
            }
            brute.parts.push(part);
        }
        brute
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.trials.is_complete
    }

    fn with(&self, chosen: &[(&Vec<usize>, &Vec<usize>)]) -> Option<OwnedSignals> {
        let mut all = vec![0; self.count];
        for (dimensions, values) in chosen {
            dimensions.iter().zip(*values).for_each(|(dimension, value)| all[*dimension] = *value);
        }
        self.trials.with(&all)
    }

    /// Everything that the reference finds of the enforced policies.
    fn respects(&self, asked: &OwnedSignals) -> Vec<String> {
        let context = asked.client_context();
        let evaluation = evaluate(self.set, &asked.signals(&context));
        let enforced = evaluation.findings.iter().zip(&self.set.policies);
        let enforced = enforced.filter(|(_, policy)| policy.state == PolicyState::Enabled);
        enforced
            .map(|(finding, _)| {
                let checks: Vec<_> = finding.checks.iter().map(|check| check.holds).collect();
                let controls: Vec<_> = finding.controls.iter().map(|(_, met)| *met).collect();
                format!("{checks:?}{controls:?}{:?}", finding.fresh)
            })
            .collect()
    }

    fn is_let_in(&self, chosen: &[(&Vec<usize>, &Vec<usize>)]) -> Option<OwnedSignals> {
        let asked = self.with(chosen)?;
        let context = asked.client_context();
        let conclusion = evaluate(self.set, &asked.signals(&context)).conclusion;
        matches!(conclusion, Conclusion::Grant(_)).then_some(asked)
    }

    /// Every way to make exactly these changes that is let in, until `take` has enough.
    fn ways(&self, kinds: &Kinds, take: &mut dyn FnMut(&OwnedSignals) -> bool) -> bool {
        let mut lists: Vec<(&Vec<usize>, &Vec<Vec<usize>>)> = vec![];
        for part in &self.parts {
            let own: Kinds = kinds.intersection(&part.span).copied().collect();
            if own.is_empty() {
                continue;
            }
            let Some(choices) = part.by_kinds.get(&own) else { return false };
            lists.push((&part.dimensions, choices));
        }
        self.product(&lists, &mut vec![], take)
    }

    fn product<'a>(
        &self,
        lists: &[(&'a Vec<usize>, &'a Vec<Vec<usize>>)],
        chosen: &mut Vec<(&'a Vec<usize>, &'a Vec<usize>)>,
        take: &mut dyn FnMut(&OwnedSignals) -> bool,
    ) -> bool {
        let Some(((dimensions, choices), rest)) = lists.split_first() else {
            return self.is_let_in(chosen).is_some_and(|asked| take(&asked));
        };
        choices.iter().any(|choice| {
            chosen.push((dimensions, choice));
            let is_enough = self.product(rest, chosen, take);
            chosen.pop();
            is_enough
        })
    }

    /// The smallest sets of up to three changes; those that another sign-in is part of apart, where nobody could tell.
    pub(super) fn smallest(&self, tells: bool) -> (Vec<Vec<&'static str>>, Vec<Vec<&'static str>>) {
        let kinds: Vec<&'static str> = self.parts.iter().flat_map(|part| part.span.iter().copied()).collect();
        let mut sets: Vec<Kinds> = vec![];
        for (at, first) in kinds.iter().enumerate() {
            sets.push([*first].into());
            for (next, second) in kinds.iter().enumerate().skip(at + 1) {
                sets.push([*first, *second].into());
                sets.extend(kinds.iter().skip(next + 1).map(|third| [*first, *second, *third].into()));
            }
        }
        sets.sort_by_key(BTreeSet::len);
        let is_sign_in = |set: &Kinds| set.contains("sign_in_again") || set.contains("stronger_sign_in");
        let mut working: [Vec<Kinds>; 2] = [vec![], vec![]];
        for set in sets {
            let list = usize::from(!tells && is_sign_in(&set));
            // A set that holds another one which works is not smallest, whatever it does.
            let holds = |known: &Kinds| known.is_subset(&set);
            if working[0].iter().any(holds) || (list == 1 && working[1].iter().any(holds)) {
                continue;
            }
            if self.ways(&set, &mut |_| true) {
                working[list].push(set);
            }
        }
        let [told, untold] = working.map(|sets| {
            let smallest =
                sets.iter().filter(|set| sets.iter().all(|other| other == *set || !covers(other, set)));
            let mut smallest: Vec<Vec<&'static str>> = smallest.map(in_order).collect();
            smallest.sort();
            smallest
        });
        (told, untold)
    }

    /// The earliest moment at which exactly these changes work.
    pub(super) fn earliest(&self, kinds: &[&'static str]) -> Option<i64> {
        let mut earliest = None;
        self.ways(&kinds.iter().copied().collect(), &mut |asked| {
            earliest = Some(earliest.map_or(asked.now, |at: i64| at.min(asked.now)));
            false
        });
        earliest
    }

    /// Whether anything at all would be let in, of however many changes, and with whatever user agent.
    pub(super) fn is_anything_enough(&self) -> bool {
        let all: Vec<(&Vec<usize>, Vec<Vec<usize>>)> = self
            .parts
            .iter()
            .map(|part| {
                let choices = part.by_kinds.values().flatten().chain(&part.forged).cloned().collect();
                (&part.dimensions, choices)
            })
            .collect();
        let lists: Vec<_> = all.iter().map(|(dimensions, choices)| (*dimensions, choices)).collect();
        self.product(&lists, &mut vec![], &mut |_| true)
    }

    /// Whether a policy refuses whatever one thing is changed: what refuses at every value of each part by itself.
    pub(super) fn is_unavoidable(&self, policy: PolicyIndex) -> bool {
        self.parts.iter().all(|part| {
            part.by_kinds.values().flatten().chain(&part.forged).all(|choice| {
                let Some(asked) = self.with(&[(&part.dimensions, choice)]) else { return true };
                let context = asked.client_context();
                let evaluation = evaluate(self.set, &asked.signals(&context));
                let finding = &evaluation.findings[policy.0 as usize];
                matches!(finding.result, FindingResult::Applied(result) if result.as_str() != "success")
            })
        })
    }
}

/// The order in which changes are told.
fn in_order(kinds: &Kinds) -> Vec<&'static str> {
    const ORDER: [&str; 17] = [
        "sign_in_again",
        "stronger_sign_in",
        "accept_terms",
        "external_control",
        "change_password",
        "other_sign_in",
        "leave_network",
        "other_country",
        "approved_network",
        "approved_client_app",
        "protected_client_app",
        "newer_os",
        "registered_device",
        "compliant_device",
        "hybrid_joined_device",
        "other_device",
        "later_time",
    ];
    assert!(kinds.iter().all(|kind| ORDER.contains(kind)));
    ORDER.into_iter().filter(|kind| kinds.contains(kind)).collect()
}

/// Whether a set of changes asks for no more than another: each is one of the other's, or an easier form of one.
fn covers(one: &Kinds, other: &Kinds) -> bool {
    let harder: &[(&str, &[&str])] = &[
        ("sign_in_again", &["stronger_sign_in"]),
        ("leave_network", &["other_country", "approved_network"]),
        ("registered_device", &["compliant_device", "hybrid_joined_device", "other_device"]),
        ("compliant_device", &["other_device"]),
        ("hybrid_joined_device", &["other_device"]),
        ("newer_os", &["other_device"]),
    ];
    let Some(first) = one.iter().next() else { return true };
    let forms = harder.iter().filter(|(easy, _)| easy == first).flat_map(|(_, hard)| *hard).chain([first]);
    // Each stands for one of its own.
    forms.into_iter().filter(|form| other.contains(*form)).any(|form| {
        let (mut one, mut other) = (one.clone(), other.clone());
        one.remove(first);
        other.remove(form);
        covers(&one, &other)
    })
}
