//! The rules of policies as terms of single comparisons, and for each attribute of a device the values that they tell
//! apart. Made once for each load.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::rows::Words;
use crate::model::{Conditions, FilterMode, PolicySet, PolicyState};
use crate::rule::sample::device_values;
use crate::rule::{Comparison, Environment, Node};
use crate::tri::Tri;
use crate::value::{DeviceAttribute, OwnedDevice, Value};

/// A rule of more terms than this is not taken apart.
const TERMS_MAX: usize = 64;
/// An attribute of more values than this has too many to try.
const VALUES_MAX: usize = 1_024;

/// A comparison, or that it does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Literal {
    comparison: u32,
    negated: bool,
}

/// What the rules of all policies tell apart.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    comparisons: Vec<Comparison>,
    /// For each comparison of an attribute of a device, its bit in the answers there.
    own_bits: Vec<usize>,
    pub(crate) attributes: Vec<AttributeClasses>,
    /// What conditions ask by rules, each once; a request matches when all of some term hold. `None`: too many terms.
    rules: Vec<Option<Vec<Box<[Literal]>>>>,
    /// Which of them each policy has.
    of_policy: Vec<Option<u32>>,
}

/// The values of one attribute of a device that comparisons tell apart.
#[derive(Debug)]
pub(crate) struct AttributeClasses {
    pub(crate) attribute: DeviceAttribute,
    /// `None` is null.
    pub(crate) values: Vec<Option<Value>>,
    /// For each value, which of the attribute's comparisons hold.
    answers: Vec<Words>,
    /// Whether there is no other class.
    pub(crate) is_complete: bool,
}

impl Classes {
    pub(crate) fn new(set: &PolicySet) -> Self {
        let mut builder = Builder::default();
        let of_policy = set.policies.iter().map(|policy| {
            let conditions = &policy.conditions;
            let has_rule = conditions.device.is_some() || conditions.claims.is_some();
            (policy.state == PolicyState::Enabled && has_rule).then(|| builder.rule(conditions))
        });
        let of_policy = of_policy.collect();
        builder.finish(of_policy)
    }

    /// The terms of a policy's rules; nothing inside when they are too many, nothing at all when it has no rule.
    pub(crate) fn terms(&self, policy: u32) -> Option<Option<&[Box<[Literal]>]>> {
        let rule = (*self.of_policy.get(policy as usize)?)?;
        Some(self.rules.get(rule as usize)?.as_deref())
    }

    /// Whether a literal holds.
    pub(crate) fn holds(&self, literal: Literal, environment: &Environment<'_>) -> Tri {
        let comparison = self.comparisons.get(literal.comparison as usize);
        let holds = comparison.map_or(Tri::Maybe, |comparison| comparison.holds(environment));
        if literal.negated { holds.not() } else { holds }
    }

    /// The attribute of the device that a literal is about.
    pub(crate) fn attribute(&self, literal: Literal) -> Option<DeviceAttribute> {
        self.comparisons.get(literal.comparison as usize)?.device_attribute()
    }

    /// Whether a literal about an attribute holds at one of the values that it is told apart by.
    pub(crate) fn holds_at(&self, literal: Literal, classes: &AttributeClasses, value: usize) -> bool {
        let bit = self.own_bits.get(literal.comparison as usize).copied().unwrap_or(usize::MAX);
        let word = classes.answers.get(value).and_then(|answers| answers.get(bit / 64));
        let holds = word.is_some_and(|word| word >> (bit % 64) & 1 == 1);
        holds != literal.negated
    }
}

/// A device filter with its mode, and a rule about claims, as written.
type WrittenRules = (Option<(FilterMode, Box<str>)>, Option<Box<str>>);

#[derive(Default)]
struct Builder {
    known: HashMap<Comparison, u32>,
    comparisons: Vec<Comparison>,
    known_rules: HashMap<WrittenRules, u32>,
    rules: Vec<Option<Vec<Box<[Literal]>>>>,
}

impl Builder {
    fn rule(&mut self, conditions: &Conditions) -> u32 {
        let filter = conditions.device.as_ref();
        let key = (
            filter.map(|filter| (filter.mode, filter.rule.source().into())),
            conditions.claims.as_ref().map(|rule| rule.source().into()),
        );
        if let Some(known) = self.known_rules.get(&key) {
            return *known;
        }
        let by_filter = filter
            .map_or_else(all, |filter| self.terms(filter.rule.root(), filter.mode == FilterMode::Include));
        let by_claims = conditions.claims.as_ref().map_or_else(all, |rule| self.terms(rule.root(), true));
        let terms = by_filter.zip(by_claims).and_then(|(one, other)| both(&one, &other));
        let terms = terms.map(|terms| terms.into_iter().map(Vec::into_boxed_slice).collect());
        let next = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        self.rules.push(terms);
        self.known_rules.insert(key, next);
        next
    }

    /// The disjunctive terms of a node, or of its opposite.
    fn terms(&mut self, node: &Node, holds: bool) -> Option<Vec<Vec<Literal>>> {
        match (node, holds) {
            (Node::Compare(comparison), _) => {
                let next = u32::try_from(self.comparisons.len()).unwrap_or(u32::MAX);
                let comparison = *self.known.entry(comparison.clone()).or_insert_with_key(|comparison| {
                    self.comparisons.push(comparison.clone());
                    next
                });
                Some(Vec::from([Vec::from([Literal { comparison, negated: !holds }])]))
            }
            (Node::Not(node), _) => self.terms(node, !holds),
            (Node::And(nodes), true) | (Node::Or(nodes), false) => nodes
                .iter()
                .try_fold(Vec::from([Vec::new()]), |so_far, node| both(&so_far, &self.terms(node, holds)?)),
            (Node::Or(nodes), true) | (Node::And(nodes), false) => {
                nodes.iter().try_fold(Vec::new(), |mut so_far, node| {
                    so_far.extend(self.terms(node, holds)?);
                    (so_far.len() <= TERMS_MAX).then_some(so_far)
                })
            }
        }
    }

    fn finish(self, of_policy: Vec<Option<u32>>) -> Classes {
        let mut own_bits = alloc::vec![usize::MAX; self.comparisons.len()];
        let mut attributes: Vec<AttributeClasses> = Vec::new();
        for first in &self.comparisons {
            let Some(attribute) = first.device_attribute() else { continue };
            if attributes.iter().any(|known| known.attribute == attribute) {
                continue;
            }
            let mut own: Vec<&Comparison> = Vec::new();
            for (comparison, bit) in self.comparisons.iter().zip(&mut own_bits) {
                if comparison.device_attribute() == Some(attribute) {
                    *bit = own.len();
                    own.push(comparison);
                }
            }
            attributes.push(AttributeClasses::new(attribute, &own));
        }
        let Self { comparisons, rules, .. } = self;
        Classes { comparisons, own_bits, attributes, rules, of_policy }
    }
}

/// What nothing is asked of.
fn all() -> Option<Vec<Vec<Literal>>> {
    Some(Vec::from([Vec::new()]))
}

/// Each term of one with each of another; `None` when these are too many.
fn both(one: &[Vec<Literal>], other: &[Vec<Literal>]) -> Option<Vec<Vec<Literal>>> {
    if one.len().saturating_mul(other.len()) > TERMS_MAX {
        return None;
    }
    let pairs = one.iter().flat_map(|one| other.iter().map(move |other| [&**one, &**other].concat()));
    Some(pairs.collect())
}

impl AttributeClasses {
    /// One value for each vector of answers.
    fn new(attribute: DeviceAttribute, own: &[&Comparison]) -> Self {
        let (tried, mut is_complete) = device_values(attribute, own);
        let mut known = HashMap::new();
        let (mut values, mut answers) = (Vec::new(), Vec::new());
        for value in tried {
            let mut device = OwnedDevice {
                // Extension attributes are seen on such a device alone.
                compliant: matches!(attribute, DeviceAttribute::Extension(_)).then_some(true),
                ..OwnedDevice::default()
            };
            device.set(attribute, value.clone());
            let device = device.as_device();
            let environment = Environment::of_device(&device);
            let mut row = alloc::vec![0_u64; own.len().div_ceil(64)];
            for (comparison, bit) in own.iter().zip(0..) {
                if comparison.holds(&environment) == Tri::Yes
                    && let Some(word) = row.get_mut(bit / 64)
                {
                    *word |= 1 << (bit % 64);
                }
            }
            let row = row.into_boxed_slice();
            // Which versions are newer depends on the device: of them all are kept.
            let is_version = attribute == DeviceAttribute::OperatingSystemVersion;
            if known.insert(row.clone(), ()).is_none() || is_version {
                if values.len() == VALUES_MAX {
                    is_complete = false;
                    break;
                }
                values.push(value);
                answers.push(row);
            }
        }
        Self { attribute, values, answers, is_complete }
    }
}
