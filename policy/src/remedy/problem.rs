//! One refused request as rows of bits: for each value that something could have, the obstacles that stay.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::axes::{Axes, axes, is_of_state};
use super::candidates::Candidates;
use super::changes::{Axis, Value, bits, changed};
use crate::compile::{CompiledPolicies, ControlCode, ControlTest, DeviceState, Proof, Proven, matching};
use crate::decide::AHEAD_MAX_SECS;
use crate::model::{TimeCondition, Unmatched};
use crate::obstacles::{Asked, Dimension, Entry, Goal, Group, Literal, Row, Words, entries};
use crate::rule::Environment;
use crate::scope::Scope;
use crate::signals::{SignIn, Signals};
use crate::tri::Tri;
use crate::value::{DeviceAttribute, Fact};

/// A refused request, ready to be searched.
pub(super) struct Problem<'c> {
    pub(super) entries: Vec<Entry<'c>>,
    pub(super) axes: Vec<Axis<'c>>,
    pub(super) dimensions: Vec<Dimension>,
    pub(super) goal: Goal,
    pub(super) is_complete: bool,
    pub(super) moments: Vec<i64>,
}

/// What rows are made of.
struct Builder<'b, 'c, 'r> {
    policies: &'c CompiledPolicies,
    candidates: &'c Candidates,
    readings: &'b [Signals<'r>],
    signals: &'b Signals<'r>,
    entries: &'b [Entry<'c>],
}

impl<'c> Problem<'c> {
    /// Works out what stands in the way of a request that is asked in these readings.
    pub(super) fn new(
        policies: &'c CompiledPolicies,
        candidates: &'c Candidates,
        scope: &Scope,
        readings: &[Signals<'_>],
    ) -> Self {
        let (entries, with_speakers) = parts(policies, candidates, scope, readings);
        let Axes { axes, is_complete, moments } = axes(policies, candidates, readings, &entries);
        let mut problem = Self {
            goal: goal(&entries, readings.len(), with_speakers),
            entries,
            axes,
            is_complete,
            moments,
            dimensions: Vec::new(),
        };
        if let Some(signals) = readings.first() {
            let builder = Builder { policies, candidates, readings, signals, entries: &problem.entries };
            problem.dimensions =
                problem.axes.iter().map(|axis| builder.dimension(axis, &problem.goal)).collect();
        }
        problem.drop_speakers();
        problem
    }

    /// Where somebody speaks whatever is changed, nobody else needs to.
    fn drop_speakers(&mut self) {
        let width = self.goal.obstacles.len();
        let mut always = alloc::vec![u64::MAX; width];
        for group in self.dimensions.iter().flat_map(|dimension| &dimension.groups) {
            always.iter_mut().zip(&group.never).for_each(|(always, never)| *always &= never);
        }
        self.goal.speakers.retain(|mask| mask.iter().zip(&always).all(|(mask, always)| mask & always == 0));
    }
}

/// The parts of policies that could matter, and whether some policy has to speak.
fn parts<'c>(
    policies: &'c CompiledPolicies,
    candidates: &'c Candidates,
    scope: &Scope,
    readings: &[Signals<'_>],
) -> (Vec<Entry<'c>>, bool) {
    let Some(signals) = readings.first() else { return (Vec::new(), false) };
    let app = policies.set().apps.get(signals.target.app.0 as usize);
    let with_speakers = app.is_some_and(|app| app.unmatched == Unmatched::Deny);
    let sign_in = &signals.principal.standing.sign_in;
    let mut found = Vec::new();
    for (signals, reading) in readings.iter().zip(0..) {
        let needs = |asked: &Asked<'c>| {
            let Asked::Controls { any, or_context } = asked else { return true };
            let stays_met = |control: &ControlCode| match control.test {
                ControlTest::Proof(place) => {
                    policies.demands.proof(place).is_some_and(|proof| match proof {
                        Proof::ApprovedClient | Proof::ProtectedClient => false,
                        // Another sign-in has another `acr`, and nothing else less.
                        Proof::Mfa | Proof::Strength(_) if sign_in.acr.is_some() => false,
                        proof => proof.state(sign_in, policies.set()) == Proven::Yes,
                    })
                }
                ControlTest::Compliant | ControlTest::HybridJoined => false,
            };
            !(any.iter().any(stays_met) || (*or_context && holds_context(sign_in, signals)))
        };
        found.extend(entries(
            (policies, &candidates.classes),
            scope,
            (reading, signals),
            with_speakers,
            &needs,
        ));
    }
    (found, with_speakers)
}

fn goal(entries: &[Entry<'_>], readings: usize, with_speakers: bool) -> Goal {
    let width = entries.len().div_ceil(64);
    let mask = |is: &dyn Fn(&Entry<'_>) -> bool| words(entries, width, is).into_vec();
    let speakers = if with_speakers { readings } else { 0 };
    Goal {
        obstacles: mask(&|entry| !entry.speaks()),
        speakers: (0..speakers)
            .map(|reading| mask(&|entry| entry.speaks() && entry.reading == reading))
            .collect(),
    }
}

fn words(entries: &[Entry<'_>], width: usize, holds: &dyn Fn(&Entry<'_>) -> bool) -> Words {
    let word = |entries: &[Entry<'_>]| {
        entries.iter().zip(0_u32..).fold(0, |word, (entry, bit)| word | u64::from(holds(entry)) << bit)
    };
    let words: Words = entries.chunks(64).map(word).collect();
    debug_assert_eq!(words.len(), width, "a bit for each entry");
    words
}

/// Whether the issuer's word that the context was satisfied counts, and is given.
fn holds_context(sign_in: &SignIn, signals: &Signals<'_>) -> bool {
    sign_in.issuer.contexts_satisfy
        && signals.target.context.is_some_and(|asked| sign_in.contexts.contains(&asked))
}

impl<'c> Builder<'_, 'c, '_> {
    fn row(&self, value: usize, holds: &dyn Fn(&Entry<'_>) -> bool) -> Row {
        Row { words: words(self.entries, self.entries.len().div_ceil(64), holds), value }
    }

    /// The rows of one dimension, by the changes that lead to each.
    fn dimension(&self, axis: &Axis<'c>, goal: &Goal) -> Dimension {
        let rows = self.rows(axis);
        let mut by_changes: Vec<(u32, Vec<Row>)> = Vec::new();
        for row in rows {
            let Some((changes, _)) = axis.values.get(row.value) else { continue };
            match by_changes.iter_mut().find(|(known, _)| known == changes) {
                Some((_, rows)) => rows.push(row),
                None => by_changes.push((*changes, Vec::from([row]))),
            }
        }
        let group = |(changes, rows)| Group::new(changes, rows, goal, !axis.in_order);
        let mut groups: Vec<Group> = by_changes.into_iter().map(group).collect();
        // What does no more than to stay as it is helps nobody. What another device is, several dimensions say together.
        let present: Option<Words> = groups.first().map(|group| group.never.clone());
        groups.retain(|group| {
            group.changes == 0
                || group.changes & bits::OTHER_DEVICE != 0
                || present
                    .as_ref()
                    .is_none_or(|present| !group.rows.iter().all(|row| goal.is_as_good(present, &row.words)))
        });
        Dimension { span: axis.span, groups }
    }

    fn rows(&self, axis: &Axis<'c>) -> Vec<Row> {
        match axis.span {
            bits::LATER => self.moments(axis),
            span if span & bits::LEAVE != 0 => self.places(axis),
            span if span & bits::REGISTERED != 0 => self.devices(axis),
            span if span & (bits::OTHER_DEVICE | bits::NEWER_OS) != 0 => self.attributes(axis),
            bits::FLOW | bits::CLIENT_APP | bits::PLATFORM => self.facts(axis),
            _ => self.proofs(axis),
        }
    }

    /// When time conditions hold, and how old the sign-in of now will be.
    fn moments(&self, axis: &Axis<'c>) -> Vec<Row> {
        let mut conditions: Vec<&TimeCondition> = Vec::new();
        let mut ages: Vec<i64> = Vec::new();
        let places = self.entries.iter().map(|entry| {
            let condition = entry.time.map(|condition| {
                let known = conditions.iter().position(|known| *known == condition);
                known.unwrap_or_else(|| {
                    conditions.push(condition);
                    conditions.len() - 1
                })
            });
            let age = match entry.asked {
                Asked::Fresh(age) => Some(ages.iter().position(|known| *known == age).unwrap_or_else(|| {
                    ages.push(age);
                    ages.len() - 1
                })),
                Asked::Speaks | Asked::Never | Asked::Controls { .. } => None,
            };
            (condition, age)
        });
        let places: Vec<(Option<usize>, Option<usize>)> = places.collect();
        let auth_time = self.signals.principal.auth_time;
        let mut known: Vec<Vec<bool>> = Vec::new();
        let mut rows = Vec::new();
        for ((_, value), number) in axis.values.iter().zip(0..) {
            let now = if let Value::Moment(at) = value { *at } else { self.signals.now };
            let in_time = conditions.iter().map(|condition| matching::time(condition, now));
            let too_old = ages.iter().map(|age| {
                let seconds = auth_time.map(|at| now.saturating_sub(at));
                !seconds.is_some_and(|seconds| (-AHEAD_MAX_SECS..=*age).contains(&seconds))
            });
            let answers: Vec<bool> = in_time.chain(too_old).collect();
            // An earlier moment, or now, at which everything is the same.
            if number > 1 && known.contains(&answers) {
                continue;
            }
            let is = |place: Option<usize>, first: usize| {
                place.is_none_or(|place| answers.get(first + place).copied().unwrap_or(true))
            };
            let word = |places: &[(Option<usize>, Option<usize>)]| {
                places.iter().zip(0_u32..).fold(0, |word, ((time, age), bit)| {
                    word | u64::from(is(*time, 0) && is(*age, conditions.len())) << bit
                })
            };
            rows.push(Row { words: places.chunks(64).map(word).collect(), value: number });
            known.push(answers);
        }
        rows
    }

    fn places(&self, axis: &Axis<'c>) -> Vec<Row> {
        let row = |((_, value), number): (&(u32, Value<'c>), usize)| {
            let (address, country) = match value {
                Value::Place(address, country) => (*address, *country),
                _ => (self.signals.context.address, self.signals.context.country),
            };
            let place = self.policies.facts.place(address, country);
            // The entries lie in the order of the engine's words.
            let mut last = (usize::MAX, 0, 0);
            let word = |entries: &[Entry<'c>]| {
                entries.iter().zip(0_u32..).fold(0, |word, (entry, bit)| {
                    if entry.word != last.0 {
                        last = (entry.word, place.possible(entry.word), place.certain(entry.word));
                    }
                    word | u64::from(entry.is(last.1, last.2)) << bit
                })
            };
            Row { words: self.entries.chunks(64).map(word).collect(), value: number }
        };
        axis.values.iter().zip(0..).map(row).collect()
    }

    fn facts(&self, axis: &Axis<'c>) -> Vec<Row> {
        let (facts, context) = (&self.policies.facts, self.signals.context);
        let row = |((_, value), number): (&(u32, Value<'c>), usize)| {
            let fact = match (axis.span, value) {
                (_, Value::Flow) => facts.flow(None),
                (bits::FLOW, _) => facts.flow(self.signals.principal.standing.sign_in.flow),
                (_, Value::ClientApp(kind)) => facts.client_app(Fact::Known(*kind)),
                (bits::CLIENT_APP, _) => facts.client_app(context.client_app),
                (_, Value::Platform(platform)) => facts.platform(*platform),
                _ => facts.platform(context.platform),
            };
            self.row(number, &|entry| entry.is(fact.possible(entry.word), fact.certain(entry.word)))
        };
        axis.values.iter().zip(0..).map(row).collect()
    }

    /// What tokens prove. Each dimension speaks of proofs of its own: a part stays where none of it is proven in any.
    fn proofs(&self, axis: &Axis<'c>) -> Vec<Row> {
        let set = self.policies.set();
        let is_own = |proof: &Proof| match proof {
            Proof::Mfa | Proof::Strength(_) => axis.span & bits::STRONGER != 0,
            Proof::Terms(_) => axis.span == bits::TERMS,
            Proof::Custom(_) => axis.span == bits::EXTERNAL,
            Proof::PasswordChange => axis.span == bits::PASSWORD,
            Proof::ApprovedClient | Proof::ProtectedClient => axis.span & bits::APPROVED_APP != 0,
        };
        let mut own: Vec<(u32, &Proof)> = Vec::new();
        for entry in self.entries {
            let Asked::Controls { any, .. } = entry.asked else { continue };
            for control in any {
                if let ControlTest::Proof(place) = control.test
                    && own.iter().all(|(known, _)| *known != place)
                    && let Some(proof) = self.policies.demands.proof(place).filter(|proof| is_own(proof))
                {
                    own.push((place, proof));
                }
            }
        }
        let row = |((_, value), number): (&(u32, Value<'c>), usize)| {
            let principal = changed(self.signals, [value]).principal;
            let sign_in = &principal.standing.sign_in;
            let proven = own.iter().filter(|(_, proof)| proof.state(sign_in, set) == Proven::Yes);
            let proven: Vec<u32> = proven.map(|(place, _)| *place).collect();
            let is_fresh = matches!(value, Value::SignIn(..) | Value::Password);
            let by_sign_in = axis.span & bits::STRONGER != 0;
            self.row(number, &|entry| match entry.asked {
                Asked::Speaks | Asked::Never => true,
                Asked::Fresh(_) => !is_fresh,
                Asked::Controls { any, or_context } => {
                    let is_proven = |control: &ControlCode| match control.test {
                        ControlTest::Proof(place) => proven.contains(&place),
                        ControlTest::Compliant | ControlTest::HybridJoined => false,
                    };
                    let by_context = or_context
                        && by_sign_in
                        && self
                            .readings
                            .get(entry.reading)
                            .is_some_and(|signals| holds_context(sign_in, signals));
                    !(by_context || any.iter().any(is_proven))
                }
            })
        };
        axis.values.iter().zip(0..).map(row).collect()
    }

    /// The literals that such attributes are asked by, each once, and for each entry which of them it needs.
    fn literals(&self, is_such: &dyn Fn(DeviceAttribute) -> bool) -> (Vec<Literal>, Vec<Vec<usize>>) {
        let mut own: Vec<Literal> = Vec::new();
        let needed = self.entries.iter().map(|entry| {
            let such = entry
                .literals
                .iter()
                .filter(|literal| self.candidates.classes.attribute(**literal).is_some_and(is_such));
            such.map(|literal| {
                own.iter().position(|known| known == literal).unwrap_or_else(|| {
                    own.push(*literal);
                    own.len() - 1
                })
            })
            .collect()
        });
        let needed = needed.collect();
        (own, needed)
    }

    fn environment(&self) -> Environment<'_> {
        let app = self.policies.set().apps.get(self.signals.target.app.0 as usize);
        let (attributes, paths) =
            app.map_or((&[][..], crate::path::PathCase::Unknown), |app| (&app.attributes, app.paths));
        Environment::of(self.signals, attributes, paths)
    }

    /// States of the device, and the attributes that go with them.
    fn devices(&self, axis: &Axis<'c>) -> Vec<Row> {
        let (literals, needed) = self.literals(&is_of_state);
        let environment = self.environment();
        let row = |((_, value), number): (&(u32, Value<'c>), usize)| {
            let device = if let Value::Device(device) = value { Some(device.as_device()) } else { None };
            let environment = device.as_ref().map_or(environment, |device| environment.with_device(device));
            let holds = literals.iter().map(|literal| self.candidates.classes.holds(*literal, &environment));
            let holds: Vec<Tri> = holds.collect();
            let state = DeviceState::of(&device.map_or(self.signals.context.device, Fact::Known));
            let is_met = |control: &ControlCode| match (control.test, state) {
                (ControlTest::Compliant, DeviceState::Known { compliant, .. }) => compliant,
                (ControlTest::HybridJoined, DeviceState::Known { joined, .. }) => joined,
                (ControlTest::Compliant | ControlTest::HybridJoined | ControlTest::Proof(_), _) => false,
            };
            let stays = |entry: &Entry<'c>, needed: &[usize]| {
                // What a rule that is not taken apart says of another device, deciding again has to tell.
                let undecided = match (entry.undecided, device) {
                    (None, _) => true,
                    (Some(holds), None) => entry.is_so(holds),
                    (Some(_), Some(_)) => entry.speaks(),
                };
                let asked = match entry.asked {
                    Asked::Controls { any, .. } => !any.iter().any(is_met),
                    Asked::Speaks | Asked::Never | Asked::Fresh(_) => true,
                };
                let mut literals = needed.iter().filter_map(|literal| holds.get(*literal));
                undecided && asked && literals.all(|holds| entry.is_so(*holds))
            };
            self.zipped(number, &needed, &stays)
        };
        axis.values.iter().zip(0..).map(row).collect()
    }

    /// An attribute that depends on nothing else.
    fn attributes(&self, axis: &Axis<'c>) -> Vec<Row> {
        let attribute = axis.attribute;
        let (literals, needed) = self.literals(&|one| Some(one) == attribute);
        let classes = &self.candidates.classes;
        let known = classes.attributes.iter().find(|known| Some(known.attribute) == attribute);
        let environment = self.environment();
        let row = |((_, value), number): (&(u32, Value<'c>), usize)| {
            let at = match (value, known) {
                (Value::Attribute(_, value), Some(known)) => {
                    let same = |one: &Option<crate::value::Value>| one.as_ref() == *value;
                    known.values.iter().position(same).map(|at| (known, at))
                }
                _ => None,
            };
            let holds = literals.iter().map(|literal| match at {
                Some((known, at)) => Tri::from_bool(classes.holds_at(*literal, known, at)),
                None => classes.holds(*literal, &environment),
            });
            let holds: Vec<Tri> = holds.collect();
            let stays = |entry: &Entry<'c>, needed: &[usize]| {
                let is_newer =
                    axis.values.get(number).is_some_and(|(changes, _)| *changes & bits::NEWER_OS != 0);
                // See `devices`.
                let undecided = entry.undecided.is_none() || entry.speaks() || !is_newer;
                let mut literals = needed.iter().filter_map(|literal| holds.get(*literal));
                undecided && literals.all(|holds| entry.is_so(*holds))
            };
            self.zipped(number, &needed, &stays)
        };
        axis.values.iter().zip(0..).map(row).collect()
    }

    fn zipped(
        &self,
        value: usize,
        needed: &[Vec<usize>],
        stays: &dyn Fn(&Entry<'c>, &[usize]) -> bool,
    ) -> Row {
        let word = |(entries, needed): (&[Entry<'c>], &[Vec<usize>])| {
            let each = entries.iter().zip(needed).zip(0_u32..);
            each.fold(0, |word, ((entry, needed), bit)| word | u64::from(stays(entry, needed)) << bit)
        };
        let words: Box<[u64]> = self.entries.chunks(64).zip(needed.chunks(64)).map(word).collect();
        Row { words, value }
    }
}
