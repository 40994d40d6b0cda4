//! Whom it takes to distinguish two policies, or to slip through all of them.
//!
//! Groups and roles only add up: who is in one more meets one more selector and never one less. So an
//! include needs a person with one property, and an exclude one with one more.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::model::{GuestKind, Policy, Subjects, Tenants, UserSelector, Users, WorkloadSelector};
use crate::reference::{Tri, user};
use crate::signals::{Fact, Identity, Principal, Standing};

/// The id of a person whom no policy names.
const SOMEBODY: &str = "somebody";

/// A person of whom nothing is known but an id.
pub(super) fn person(id: &str) -> Principal {
    let standing =
        Standing { groups: Fact::Known(Vec::new()), roles: Fact::Known(Vec::new()), ..Standing::default() };
    Principal { id: id.into(), auth_time: None, standing: standing.into() }
}

pub(super) fn somebody() -> Principal {
    person(SOMEBODY)
}

fn program(id: &str) -> Principal {
    let mut program = person(id);
    program.standing_mut().identity = Identity::Workload;
    program
}

/// Who a person is, in words.
pub(super) fn name(principal: &Principal) -> String {
    let mut parts = Vec::new();
    let standing = &*principal.standing;
    if let Identity::User { guest, home_tenant } = &standing.identity {
        if *principal.id != *SOMEBODY {
            parts.push(format!("user {}", principal.id));
        }
        parts.extend(guest.map(|kind| format!("guests:{}", kind.as_str())));
        parts.extend(home_tenant.as_ref().map(|tenant| format!("tenant {tenant}")));
    }
    for (kind, ids) in [("group", &standing.groups), ("role", &standing.roles)] {
        if let Fact::Known(ids) = ids {
            parts.extend(ids.iter().map(|id| format!("{kind} {id}")));
        }
    }
    if parts.is_empty() { String::from("a user of no group") } else { parts.join(" and ") }
}

/// The tenants that distinguish guests.
pub(super) fn tenants<'s>(selectors: impl Iterator<Item = &'s UserSelector>) -> BTreeSet<String> {
    let mut tenants = BTreeSet::new();
    for selector in selectors {
        if let UserSelector::Guests(guests) = selector
            && let Tenants::Only(wanted) = &guests.tenants
        {
            tenants.extend(wanted.iter().cloned());
        }
    }
    tenants
}

/// Everybody whom a person can become by having what a selector asks for, and nothing more. Nobody when
/// the person is somebody else already.
pub(super) fn with(base: &Principal, selector: &UserSelector, tenants: &BTreeSet<String>) -> Vec<Principal> {
    let mut one = base.clone();
    let Identity::User { guest, .. } = one.standing.identity else { return Vec::new() };
    let add = |ids: &mut Fact<Vec<String>>, id: &String| {
        if let Fact::Known(ids) = ids {
            ids.push(id.clone());
        }
    };
    match selector {
        UserSelector::All | UserSelector::None => {}
        UserSelector::User(wanted) if *one.id == *SOMEBODY => one.id = wanted.as_str().into(),
        UserSelector::Guests(guests) if guest.is_none() => {
            return guests_of(base, |kind| guests.kinds.contains(kind), &guests.tenants, tenants);
        }
        UserSelector::User(_) | UserSelector::Guests(_) => {}
        UserSelector::Group(group) => add(&mut one.standing_mut().groups, group),
        UserSelector::Role(role) => add(&mut one.standing_mut().roles, role),
    }
    let meets = user(selector, &one) == Tri::Yes;
    if meets { Vec::from([one]) } else { Vec::new() }
}

fn guests_of(
    base: &Principal,
    wanted: impl Fn(GuestKind) -> bool,
    from: &Tenants,
    tenants: &BTreeSet<String>,
) -> Vec<Principal> {
    let homes: Vec<Option<&String>> = match from {
        Tenants::Any => core::iter::once(None).chain(tenants.iter().map(Some)).collect(),
        Tenants::Only(tenants) => tenants.iter().map(Some).collect(),
    };
    let mut found = Vec::new();
    for kind in GuestKind::ALL.into_iter().filter(|kind| wanted(*kind)) {
        for home in &homes {
            let mut one = base.clone();
            if let Identity::User { guest, home_tenant } = &mut one.standing_mut().identity {
                *guest = Some(kind);
                *home_tenant = home.cloned();
            }
            found.push(one);
        }
    }
    found
}

/// One principal for each selector by which a policy includes somebody.
pub(super) fn included(policy: &Policy) -> Vec<Principal> {
    match &*policy.subjects {
        Subjects::Users(users) => {
            let tenants = tenants(users.include.iter().chain(&users.exclude));
            users.include.iter().flat_map(|one| with(&somebody(), one, &tenants)).collect()
        }
        Subjects::Workloads(_) => programs(&[policy]),
    }
}

/// Every program that one of the policies names, and one that none does.
pub(super) fn programs(policies: &[&Policy]) -> Vec<Principal> {
    let mut ids = BTreeSet::from(["some-program"]);
    for policy in policies {
        if let Subjects::Workloads(workloads) = &*policy.subjects {
            for one in workloads.include.iter().chain(&workloads.exclude) {
                if let WorkloadSelector::ServicePrincipal(id) = one {
                    ids.insert(id.as_str());
                }
            }
        }
    }
    ids.into_iter().map(program).collect()
}

/// Everybody who could be in `narrow` and not in `wide`: who is included by one selector or another, alone
/// and with what the wide one excludes.
pub(super) fn between<'u>(narrow: &'u Users, wide: &'u Users) -> impl Iterator<Item = Principal> + 'u {
    let selectors = [&narrow.include, &narrow.exclude, &wide.include, &wide.exclude];
    let tenants = tenants(selectors.into_iter().flatten());
    narrow.include.iter().flat_map(move |include| {
        let alone = with(&somebody(), include, &tenants);
        let mut all = alone.clone();
        for exclude in &wide.exclude {
            all.extend(alone.iter().flat_map(|one| with(one, exclude, &tenants)));
        }
        all
    })
}
