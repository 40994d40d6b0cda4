//! Whom the policies are about, as an index from configured ids to policies: a principal with two hundred
//! groups costs two hundred look-ups, however many policies there are.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::bits::{Postings, add, set_bit};
use super::layout::Layout;
use crate::model::{Guests, PolicySet, Subjects, Tenants, UserSelector, WorkloadSelector};
use crate::signals::{Fact, Identity, Principal};
use crate::text;

#[derive(Debug)]
pub(crate) struct SubjectIndex {
    users: Directory,
    groups: Directory,
    roles: Directory,
    workloads: Directory,
    guests: GuestIndex,
    /// Policies about every person, and about every program.
    all_users: Sides<Box<[u64]>>,
    all_workloads: Sides<Box<[u64]>>,
}

/// What includes and what excludes.
#[derive(Debug, Default)]
struct Sides<T> {
    include: T,
    exclude: T,
}

/// One kind of id.
#[derive(Debug)]
struct Directory {
    /// Ids without case; foldhash resists no chosen keys, and these are configured.
    names: HashMap<Box<str>, u32>,
    policies: Sides<Postings>,
    /// Policies that name any id of this kind: those that depend on ids that are unavailable.
    any: Sides<Box<[u64]>>,
}

#[derive(Debug)]
struct GuestIndex {
    selectors: Vec<Guests>,
    policies: Sides<Postings>,
}

/// The policies that are about somebody.
#[derive(Debug)]
pub(crate) struct About {
    /// Those that are, or may be.
    pub(crate) possible: Box<[u64]>,
    /// Those of which that is certain; `None` when all of them are.
    pub(crate) certain: Option<Box<[u64]>>,
}

impl SubjectIndex {
    pub(super) fn new(set: &PolicySet, layout: &Layout) -> Self {
        let words = layout.words();
        let mut builder = Builder::new(words);
        for (bit, policy) in layout.policies(set) {
            match &*policy.subjects {
                Subjects::Users(users) => {
                    users.include.iter().for_each(|one| builder.user(one, Side::Include, bit));
                    users.exclude.iter().for_each(|one| builder.user(one, Side::Exclude, bit));
                }
                Subjects::Workloads(workloads) => {
                    workloads.include.iter().for_each(|one| builder.workload(one, Side::Include, bit));
                    workloads.exclude.iter().for_each(|one| builder.workload(one, Side::Exclude, bit));
                }
            }
        }
        for (app, plan) in set.apps.iter().zip(&layout.plans) {
            if let (Some(selectors), Some(bit)) = (&app.assigned, plan.assigned) {
                selectors.iter().for_each(|one| builder.user(one, Side::Include, bit));
            }
        }
        builder.finish()
    }

    /// Which policies are about `principal`.
    ///
    /// # Cost
    /// A look-up for each id that the principal has; allocates.
    pub(crate) fn about(&self, principal: &Principal) -> About {
        let Principal { id, standing, .. } = principal;
        let all = match &standing.identity {
            Identity::User { .. } => &self.all_users,
            Identity::Workload => &self.all_workloads,
        };
        let mut found = Sides { include: all.include.clone(), exclude: all.exclude.clone() };
        let mut unsure: Option<Sides<Box<[u64]>>> = None;
        let mut key = String::new();
        match &standing.identity {
            Identity::Workload => self.workloads.find(id, &mut key, &mut found),
            Identity::User { guest, home_tenant } => {
                self.users.find(id, &mut key, &mut found);
                for (directory, ids) in [(&self.groups, &standing.groups), (&self.roles, &standing.roles)] {
                    match ids {
                        Fact::Known(ids) => {
                            ids.iter().for_each(|id| directory.find(id, &mut key, &mut found))
                        }
                        Fact::Unknown => {}
                        Fact::Unavailable => directory.doubt(&mut unsure),
                    }
                }
                if let Some(kind) = guest {
                    for (selector, name) in self.guests.selectors.iter().zip(0_u32..) {
                        let from = match &selector.tenants {
                            Tenants::Any => true,
                            Tenants::Only(wanted) => home_tenant
                                .as_ref()
                                .is_some_and(|home| wanted.iter().any(|one| text::eq(one, home))),
                        };
                        if from && selector.kinds.contains(*kind) {
                            add(&mut found.include, self.guests.policies.include.of(name));
                            add(&mut found.exclude, self.guests.policies.exclude.of(name));
                        }
                    }
                }
            }
        }
        combine(found, unsure)
    }
}

/// Some include and no exclude; what depends on an id that is unavailable stays possible.
fn combine(mut found: Sides<Box<[u64]>>, unsure: Option<Sides<Box<[u64]>>>) -> About {
    let Some(unsure) = unsure else {
        found.include.iter_mut().zip(&found.exclude).for_each(|(include, exclude)| *include &= !exclude);
        return About { possible: found.include, certain: None };
    };
    let mut certain = found.include.clone();
    for ((word, exclude), doubt) in certain.iter_mut().zip(&found.exclude).zip(&unsure.exclude) {
        *word &= !(exclude | doubt);
    }
    for ((word, exclude), doubt) in found.include.iter_mut().zip(&found.exclude).zip(&unsure.include) {
        *word = (*word | doubt) & !exclude;
    }
    About { possible: found.include, certain: Some(certain) }
}

impl Directory {
    fn find(&self, id: &str, key: &mut String, found: &mut Sides<Box<[u64]>>) {
        key.clear();
        text::fold_into(key, id);
        if let Some(name) = self.names.get(key.as_str()) {
            add(&mut found.include, self.policies.include.of(*name));
            add(&mut found.exclude, self.policies.exclude.of(*name));
        }
    }

    /// The ids are unavailable: every policy that names one could be meant.
    #[cold]
    fn doubt(&self, unsure: &mut Option<Sides<Box<[u64]>>>) {
        let unsure = unsure.get_or_insert_with(|| Sides {
            include: alloc::vec![0; self.any.include.len()].into(),
            exclude: alloc::vec![0; self.any.exclude.len()].into(),
        });
        unsure.include.iter_mut().zip(&self.any.include).for_each(|(word, any)| *word |= any);
        unsure.exclude.iter_mut().zip(&self.any.exclude).for_each(|(word, any)| *word |= any);
    }
}

#[derive(Clone, Copy)]
enum Side {
    Include,
    Exclude,
}

impl<T> Sides<T> {
    const fn side(&mut self, side: Side) -> &mut T {
        match side {
            Side::Include => &mut self.include,
            Side::Exclude => &mut self.exclude,
        }
    }
}

struct DirectoryBuilder {
    names: HashMap<Box<str>, u32>,
    pairs: Sides<Vec<(u32, u32)>>,
}

impl DirectoryBuilder {
    fn new() -> Self {
        Self { names: HashMap::new(), pairs: Sides::default() }
    }

    fn push(&mut self, id: &str, side: Side, bit: u32) {
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let name = *self.names.entry(text::folded(id).into()).or_insert(next);
        self.pairs.side(side).push((name, bit));
    }

    fn finish(self, words: usize) -> Directory {
        let any = |pairs: &[(u32, u32)]| {
            let mut row: Box<[u64]> = alloc::vec![0; words].into();
            pairs.iter().for_each(|(_, bit)| set_bit(&mut row, *bit));
            row
        };
        let any = Sides { include: any(&self.pairs.include), exclude: any(&self.pairs.exclude) };
        Directory { policies: postings(self.names.len(), self.pairs), any, names: self.names }
    }
}

fn postings(names: usize, pairs: Sides<Vec<(u32, u32)>>) -> Sides<Postings> {
    Sides { include: Postings::new(names, pairs.include), exclude: Postings::new(names, pairs.exclude) }
}

struct Builder {
    words: usize,
    users: DirectoryBuilder,
    groups: DirectoryBuilder,
    roles: DirectoryBuilder,
    workloads: DirectoryBuilder,
    guests: HashMap<Guests, u32>,
    guest_pairs: Sides<Vec<(u32, u32)>>,
    all_users: Sides<Box<[u64]>>,
    all_workloads: Sides<Box<[u64]>>,
}

impl Builder {
    fn new(words: usize) -> Self {
        let empty = || Sides { include: alloc::vec![0; words].into(), exclude: alloc::vec![0; words].into() };
        Self {
            words,
            users: DirectoryBuilder::new(),
            groups: DirectoryBuilder::new(),
            roles: DirectoryBuilder::new(),
            workloads: DirectoryBuilder::new(),
            guests: HashMap::new(),
            guest_pairs: Sides::default(),
            all_users: empty(),
            all_workloads: empty(),
        }
    }

    fn user(&mut self, selector: &UserSelector, side: Side, bit: u32) {
        match selector {
            UserSelector::All => set_bit(self.all_users.side(side), bit),
            UserSelector::None => {}
            UserSelector::User(id) => self.users.push(id, side, bit),
            UserSelector::Group(id) => self.groups.push(id, side, bit),
            UserSelector::Role(id) => self.roles.push(id, side, bit),
            UserSelector::Guests(guests) => {
                let next = u32::try_from(self.guests.len()).unwrap_or(u32::MAX);
                let name = *self.guests.entry(guests.clone()).or_insert(next);
                self.guest_pairs.side(side).push((name, bit));
            }
        }
    }

    fn workload(&mut self, selector: &WorkloadSelector, side: Side, bit: u32) {
        match selector {
            WorkloadSelector::All => set_bit(self.all_workloads.side(side), bit),
            WorkloadSelector::None => {}
            WorkloadSelector::ServicePrincipal(id) => self.workloads.push(id, side, bit),
        }
    }

    fn finish(self) -> SubjectIndex {
        let mut guests: Vec<(Guests, u32)> = self.guests.into_iter().collect();
        guests.sort_unstable_by_key(|(_, name)| *name);
        SubjectIndex {
            users: self.users.finish(self.words),
            groups: self.groups.finish(self.words),
            roles: self.roles.finish(self.words),
            workloads: self.workloads.finish(self.words),
            guests: GuestIndex {
                policies: postings(guests.len(), self.guest_pairs),
                selectors: guests.into_iter().map(|(selector, _)| selector).collect(),
            },
            all_users: self.all_users,
            all_workloads: self.all_workloads,
        }
    }
}
