//! Which bit each policy has, and which bits an app looks at.
//!
//! A policy that targets many apps has one bit, among the *shared* ones; a policy that targets few has a
//! bit beside the others of each of those apps. So an app that a dozen of ten thousand policies target
//! looks at one or two words. Policies about the same people lie side by side: for somebody else their
//! words are zero and are passed over.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::bits::{Masked, masked, set_bit};
use crate::decision::PolicyIndex;
use crate::model::{
    App, AppSelector, Apps, FilterMode, Policy, PolicySet, PolicyState, Subjects, Targets, UserSelector,
    WorkloadSelector,
};
use crate::rule::{Environment, Rule};
use crate::tri::Tri;

/// Up to so many apps, a policy is copied to each of them.
const COPIES_MAX: usize = 4;

/// No policy has this position: it fills gaps.
pub(super) const NO_POLICY: PolicyIndex = PolicyIndex(u32::MAX);

#[derive(Debug)]
pub(super) struct Layout {
    /// For each bit, the policy that it stands for.
    pub(super) owners: Vec<PolicyIndex>,
    /// For each app, what it looks at.
    pub(super) plans: Vec<Plan>,
    /// The shared words, once for each distinct selection of them.
    pub(super) shared: Vec<Box<[Masked]>>,
}

/// The words that one app looks at.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Index of its shared words.
    pub(super) shared: u32,
    /// The words of policies that are copied to it.
    pub(super) per_app: Box<[Masked]>,
    /// The bit that says who is assigned to it; `None` is everybody.
    pub(crate) assigned: Option<u32>,
}

impl Layout {
    pub(super) fn new(set: &PolicySet) -> Self {
        let mut scopes = AppScopes::new(&set.apps);
        let (mut shared, mut per_app) = (Vec::new(), Vec::new());
        for (policy, position) in set.policies.iter().zip(0_u32..) {
            if policy.state == PolicyState::Disabled {
                continue;
            }
            let key = subject_key(&policy.subjects);
            match scopes.of(policy) {
                AppScope::Some(apps) if apps.len() <= COPIES_MAX && apps.len() < set.apps.len() => {
                    per_app.extend(apps.into_iter().map(|app| (app, key, PolicyIndex(position))));
                }
                scope => shared.push((key, PolicyIndex(position), scope)),
            }
        }
        shared.sort_by(|left, right| (left.0, left.1).cmp(&(right.0, right.1)));
        per_app.sort_unstable();

        let mut owners: Vec<PolicyIndex> = shared.iter().map(|(_, position, _)| *position).collect();
        let (selections, shared_of_app) = selections(&shared, set.apps.len());
        // Per-app bits begin a word, so that no shared word is looked at twice.
        owners.resize(owners.len().next_multiple_of(64), NO_POLICY);
        let mut per_app = per_app.into_iter().peekable();
        let mut plans = Vec::with_capacity(set.apps.len());
        for (app, shared) in (0_u32..).zip(shared_of_app) {
            let mut words: Vec<Masked> = Vec::new();
            while let Some((_, _, position)) = per_app.next_if(|(owner, ..)| *owner == app) {
                push_bit(&mut words, bit_of(owners.len()));
                owners.push(position);
            }
            plans.push(Plan { shared, per_app: words.into(), assigned: None });
        }
        // Who is assigned to an app is found as who a policy is about: one more bit.
        for (plan, app) in plans.iter_mut().zip(&set.apps) {
            if app.assigned.is_some() {
                plan.assigned = Some(bit_of(owners.len()));
                owners.push(NO_POLICY);
            }
        }
        Self { owners, plans, shared: selections }
    }

    /// How many words a set of policies has.
    pub(super) fn words(&self) -> usize {
        self.owners.len().div_ceil(64)
    }

    /// Each bit with its policy.
    pub(super) fn policies<'s>(&'s self, set: &'s PolicySet) -> impl Iterator<Item = (u32, &'s Policy)> {
        let policy = |(owner, bit): (&PolicyIndex, u32)| Some((bit, set.policies.get(owner.0 as usize)?));
        self.owners.iter().zip(0_u32..).filter_map(policy)
    }
}

/// INVARIANT: `compile` refuses sets that could have more bits than fit.
fn bit_of(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn push_bit(words: &mut Vec<Masked>, bit: u32) {
    let (word, bits) = (bit / 64, 1 << (bit % 64));
    match words.last_mut() {
        Some(last) if last.word == word => last.bits |= bits,
        _ => words.push(Masked { word, bits }),
    }
}

/// The shared words of each app; apps that look at the same ones share a selection.
fn selections(
    shared: &[(SubjectKey<'_>, PolicyIndex, AppScope)],
    apps: usize,
) -> (Vec<Box<[Masked]>>, Vec<u32>) {
    let mut every: Vec<u64> = alloc::vec![0; shared.len().div_ceil(64)];
    let mut some: Vec<Vec<u32>> = alloc::vec![Vec::new(); apps];
    for ((_, _, scope), bit) in shared.iter().zip(0_u32..) {
        match scope {
            AppScope::Every => set_bit(&mut every, bit),
            AppScope::Some(apps) => {
                for app in apps {
                    if let Some(bits) = some.get_mut(*app as usize) {
                        bits.push(bit);
                    }
                }
            }
        }
    }
    let mut selections = Vec::new();
    let mut known: HashMap<Vec<u32>, u32> = HashMap::new();
    let of_app = some.into_iter().map(|bits| {
        if let Some(selection) = known.get(&bits) {
            return *selection;
        }
        let mut words = every.clone();
        bits.iter().for_each(|bit| set_bit(&mut words, *bit));
        let selection = bit_of(selections.len());
        selections.push(masked(&words));
        known.insert(bits, selection);
        selection
    });
    let of_app = of_app.collect();
    (selections, of_app)
}

/// Sorts policies about the same people together, those about everybody first.
type SubjectKey<'s> = (u8, &'s str);

fn subject_key(subjects: &Subjects) -> SubjectKey<'_> {
    match subjects {
        Subjects::Users(users) if users.include.contains(&UserSelector::All) => (0, ""),
        Subjects::Users(users) => match users.include.first() {
            Some(UserSelector::User(id) | UserSelector::Group(id) | UserSelector::Role(id)) => (2, id),
            Some(UserSelector::Guests(_) | UserSelector::All | UserSelector::None) | None => (1, ""),
        },
        Subjects::Workloads(workloads) => match workloads.include.first() {
            Some(WorkloadSelector::ServicePrincipal(id)) => (4, id),
            Some(WorkloadSelector::All | WorkloadSelector::None) | None => (3, ""),
        },
    }
}

/// The apps that a policy targets.
enum AppScope {
    Every,
    /// Positions, ascending.
    Some(Vec<u32>),
}

struct AppScopes<'s> {
    apps: &'s [App],
    by_id: HashMap<&'s str, u32>,
    by_group: HashMap<&'s str, Vec<u32>>,
    /// Apps that a filter matches, by the filter's text: many policies share one.
    filtered: HashMap<&'s str, Vec<u32>>,
}

impl<'s> AppScopes<'s> {
    fn new(apps: &'s [App]) -> Self {
        let (mut by_id, mut by_group) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
        for (app, position) in apps.iter().zip(0_u32..) {
            by_id.insert(app.id.as_str(), position);
            for group in &app.groups {
                by_group.entry(group.as_str()).or_default().push(position);
            }
        }
        Self { apps, by_id, by_group, filtered: HashMap::new() }
    }

    fn of(&mut self, policy: &'s Policy) -> AppScope {
        match &*policy.targets {
            // Which contexts it speaks of is a fact of the request.
            Targets::Contexts(_) => AppScope::Every,
            Targets::Apps(targets) => self.of_apps(targets),
        }
    }

    fn of_apps(&mut self, targets: &'s Apps) -> AppScope {
        let (mut included, mut excluded) = (Vec::new(), Vec::new());
        let every = self.select(&targets.include, &mut included);
        let none = self.select(&targets.exclude, &mut excluded);
        if let Some((mode, rule)) = &targets.filter {
            let matched = self.filter(rule);
            match mode {
                FilterMode::Include => included.extend(matched),
                FilterMode::Exclude => excluded.extend(matched),
            }
        }
        if none {
            return AppScope::Some(Vec::new());
        }
        if every {
            if excluded.is_empty() {
                return AppScope::Every;
            }
            included = (0_u32..).take(self.apps.len()).collect();
        }
        included.sort_unstable();
        included.dedup();
        excluded.sort_unstable();
        included.retain(|app| excluded.binary_search(app).is_err());
        if included.len() == self.apps.len() { AppScope::Every } else { AppScope::Some(included) }
    }

    /// Adds the apps that are named one by one; `true` when every app is meant.
    fn select(&self, selectors: &[AppSelector], apps: &mut Vec<u32>) -> bool {
        let mut every = false;
        for selector in selectors {
            match selector {
                AppSelector::All => every = true,
                AppSelector::None => {}
                AppSelector::App(id) => apps.extend(self.by_id.get(id.as_str())),
                AppSelector::Group(group) => {
                    apps.extend(self.by_group.get(group.as_str()).into_iter().flatten())
                }
            }
        }
        every
    }

    fn filter(&mut self, rule: &'s Rule) -> impl Iterator<Item = u32> {
        let apps = self.apps;
        let matched = self.filtered.entry(rule.source()).or_insert_with(|| {
            let matches = |app: &App| rule.holds(&Environment::of_app(&app.attributes)) != Tri::No;
            (0_u32..).zip(apps).filter(|(_, app)| matches(app)).map(|(position, _)| position).collect()
        });
        matched.iter().copied()
    }
}
