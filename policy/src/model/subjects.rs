//! Whom a policy is about.

use alloc::string::String;
use alloc::vec::Vec;

use crate::value::GuestKinds;

/// Whom a policy is about: people, or programs acting for themselves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subjects {
    /// People. Never matches a workload, not even with [`UserSelector::All`].
    Users(Users),
    /// Service principals: tokens without a user. Never matches a person.
    Workloads(Workloads),
}

/// People included and excluded. An exclusion wins over any inclusion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Users {
    /// The policy is about anybody whom one of these matches,
    pub include: Vec<UserSelector>,
    /// unless one of these matches.
    pub exclude: Vec<UserSelector>,
}

/// A selector of people. Ids compare without case ([`text`](crate::text)).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UserSelector {
    /// Everybody, guests included.
    All,
    /// Nobody.
    None,
    /// The person with this id.
    User(String),
    /// Members of this group.
    Group(String),
    /// Holders of this directory role.
    Role(String),
    /// Guests and external users.
    Guests(Guests),
}

/// Which guests and external users are meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Guests {
    /// The kinds that match.
    pub kinds: GuestKinds,
    /// The organisations that they come from.
    pub tenants: Tenants,
}

/// The home organisations of external users.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tenants {
    /// Any organisation.
    Any,
    /// One of these tenant ids. A guest whose home tenant is not known is none of them.
    Only(Vec<String>),
}

/// Programs included and excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Workloads {
    /// The policy is about any program that one of these matches,
    pub include: Vec<WorkloadSelector>,
    /// unless one of these matches.
    pub exclude: Vec<WorkloadSelector>,
}

/// A selector of service principals.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WorkloadSelector {
    /// Every service principal of the organisation.
    All,
    /// None.
    None,
    /// The service principal with this id. Compares without case ([`text`](crate::text)).
    ServicePrincipal(String),
}
