//! The search for requests: which forms a request can take, whether a policy applies to one, and whether one
//! policy applies wherever another does.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use super::people;
use super::values;
use super::values::Whereabouts;
use super::witness::{decided, each, evaluated, plain, put, set_principal};
use crate::compile::CompiledPolicies;
use crate::decision::{Generation, PolicyIndex};
use crate::model::{
    App, ClientAppType, Conditions, Flow, LocationSelector, Place, Platform, Policy, PolicySet, RiskLevel,
    Subjects, Targets, UserSelector,
};
use crate::path::PathCase;
use crate::reference::{Conclusion, Part, Tri, check};
use crate::rule::sample::Samples;
use crate::signals::{AppIndex, ClientContext, Fact, OwnedSignals};

/// A set that is being searched.
pub(super) struct Analysis<'s> {
    pub(super) set: &'s PolicySet,
    pub(super) now: i64,
    pub(super) engine: CompiledPolicies,
    /// The same set, with everybody assigned to every app: it says which policies apply to a request.
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
pub(super) type Row = alloc::rc::Rc<[u64]>;

impl<'s> Analysis<'s> {
    pub(super) fn new(set: &'s PolicySet, now: i64) -> Option<Self> {
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

    pub(super) fn grant_steps(&mut self, steps: u64) {
        self.granted = steps;
        self.left.set(steps);
    }

    pub(super) fn steps_taken(&self) -> u64 {
        self.granted.saturating_sub(self.left.get())
    }

    /// Takes steps; once there are none, nothing that was searched counts.
    pub(super) fn take(&self, steps: u64) {
        self.left.set(self.left.get().saturating_sub(steps));
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.left.get() == 0
    }

    pub(super) fn plain(&self, app: AppIndex) -> OwnedSignals {
        plain(app, self.now)
    }

    /// Every form of a witness that differs in one part, at which one of the policies can change its answer.
    pub(super) fn forms(&self, policies: &[&Policy], part: Part, from: &OwnedSignals) -> Vec<OwnedSignals> {
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
    pub(super) fn holds(&self, policy: Subject<'_>, part: Part, witness: &OwnedSignals) -> bool {
        self.take(self.cost(policy, part));
        let Some(app) = self.set.apps.get(witness.target.app.0 as usize) else { return false };
        let holds = witness.with(|signals| check(self.set, app, policy.policy, part, signals));
        holds.is_none_or(|holds| holds == Tri::Yes)
    }

    /// How many steps it takes to look at a part.
    pub(super) fn cost(&self, policy: Subject<'_>, part: Part) -> u64 {
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

    pub(super) fn applies(&self, policy: Subject<'_>, witness: &OwnedSignals) -> bool {
        Part::ALL.into_iter().all(|part| self.holds(policy, part, witness))
    }

    /// A request to which a policy applies; or the part that nothing matches, or that none was found among those
    /// that were tried.
    pub(super) fn witness(&self, policy: Subject<'_>) -> Result<OwnedSignals, NoWitness> {
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

    /// The same request at an app of the policy for each treatment that apps give the letter case of paths: what
    /// one of them excludes may be another page of the next.
    pub(super) fn at_apps_of_each_case(&self, policy: Subject<'_>, from: &OwnedSignals) -> Vec<OwnedSignals> {
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
    pub(super) fn by_rules(
        &self,
        policy: Subject<'_>,
        from: OwnedSignals,
    ) -> Result<OwnedSignals, NoWitness> {
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
    pub(super) fn beside(&self, witness: &OwnedSignals) -> BTreeSet<PolicyIndex> {
        // A word for each fact and each 64 policies.
        self.take(1_000 + self.set.policies.len() as u64 / 4);
        let scope = self.open.bind(&witness.principal);
        let decision = witness.with(|signals| self.open.decide(&scope, signals));
        decision.applied.iter().map(|(index, _)| *index).collect()
    }

    /// What the whole set says to a witness: the reference, and whether the engine says the same.
    pub(super) fn conclude(&self, witness: &OwnedSignals) -> (Conclusion, bool) {
        self.take(self.conclude_steps);
        let conclusion = evaluated(witness, self.set);
        (conclusion, conclusion == decided(witness, &self.engine))
    }

    /// Whether `wide` applies wherever `narrow` does, part by part.
    pub(super) fn covers(&self, wide: Subject<'_>, narrow: Subject<'_>) -> bool {
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
                // A route's context says nothing about its app, nor the reverse.
                (Targets::Contexts(_), Targets::Apps(_)) => false,
                (Targets::Apps(_), Targets::Contexts(_) | Targets::Apps(_)) => true,
            }
            && Part::ALL.into_iter().all(|part| self.covers_part(wide, narrow, part))
            && self.covers_people(wide, narrow)
            && !self.is_exhausted()
    }

    pub(super) fn covers_part(&self, wide: Subject<'_>, narrow: Subject<'_>, part: Part) -> bool {
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

    pub(super) fn covers_people(&self, wide: Subject<'_>, narrow: Subject<'_>) -> bool {
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
    pub(super) fn row(&self, policy: Subject<'_>, part: Part) -> Row {
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
}

/// Why there is no request to which a policy applies.
pub(super) enum NoWitness {
    /// There is none: nothing matches this part, and everything that could was tried.
    Impossible(Part),
    /// None was found, and not everything was tried.
    NotFound,
}

/// A policy with its position.
#[derive(Clone, Copy)]
pub(super) struct Subject<'s> {
    pub(super) policy: &'s Policy,
    pub(super) position: PolicyIndex,
}

impl<'s> Subject<'s> {
    pub(super) const fn at(self) -> usize {
        self.position.0 as usize
    }

    pub(super) fn includes(self) -> &'s [UserSelector] {
        match &*self.policy.subjects {
            Subjects::Users(users) => &users.include,
            Subjects::Workloads(_) => &[],
        }
    }

    pub(super) fn excludes(self) -> &'s [UserSelector] {
        match &*self.policy.subjects {
            Subjects::Users(users) => &users.exclude,
            Subjects::Workloads(_) => &[],
        }
    }
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
