//! A policy as data: what an administrator wrote, before anything is compiled.
//!
//! Names are strings here and become small numbers in `compile`. Everything is public and plain,
//! so that `config` can build it and tests can generate it; `CompiledPolicies::compile` checks
//! that it makes sense.

mod conditions;
mod controls;
mod ids;
mod resources;

pub use conditions::{
    ClientAppSet, ClientAppType, Conditions, DeviceFilter, FilterMode, Flow, FlowSet, LocationSelector,
    Locations, PathPattern, Platform, PlatformSelector, Platforms, RequestCondition, RiskLevel, RiskSet,
    TimeCondition, TimeZone, Transition, WeekWindow,
};
pub use controls::{
    AuthenticationStrength, Control, Grant, Operator, Persistence, SessionControls, SignInFrequency,
};
pub use ids::{AuthenticationContext, CountryCode, InvalidId, PolicyId};
pub use resources::{App, AppSelector, Apps, Evidence, NamedLocation, Place, Targets, Unmatched};

use crate::words;
use crate::words::word_set;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Everything a decision rests on that does not change from request to request.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    /// The protected applications. A [`Target`](crate::signals::Target) names one by its
    /// position here.
    pub apps: Vec<App>,
    /// Named locations, referred to by name.
    pub locations: Vec<NamedLocation>,
    /// Authentication strengths, built-in and custom, referred to by name.
    pub strengths: Vec<AuthenticationStrength>,
    /// What counts as proof that a control is met.
    pub evidence: Evidence,
    /// The policies. Their order never changes a decision.
    pub policies: Vec<Policy>,
}

/// One conditional access policy.
///
/// It *applies* to a request when its subjects, its targets and every configured condition match;
/// exclusions always win. Source: Entra documentation, "Conditional Access: Policies".
///
/// What many policies say alike (everybody but the emergency accounts, any app, abroad) they can share.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Unique and stable; appears in metrics and logs, never on a user's page.
    pub id: PolicyId,
    /// What administrators call it; operator text.
    pub name: String,
    /// Whether it is enforced, only watched, or switched off.
    pub state: PolicyState,
    /// Whom it is about.
    pub subjects: Arc<Subjects>,
    /// What they want to reach.
    pub targets: Arc<Targets>,
    /// Under which circumstances; an absent condition matches anything.
    pub conditions: Arc<Conditions>,
    /// What it asks.
    pub grant: Grant,
    /// What holds for the session that follows.
    pub session: SessionControls,
}

/// Whether a policy bites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PolicyState {
    /// Evaluated and enforced.
    #[default]
    Enabled,
    /// Evaluated and recorded, never enforced.
    ReportOnly,
    /// Checked at load, not evaluated.
    Disabled,
}

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

/// One way of naming people. Ids compare without case ([`text`](crate::text)).
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

words! {
    /// How somebody is external to the organisation, in Graph's words.
    pub enum GuestKind {
        /// `internalGuest`
        InternalGuest = "internal-guest",
        /// `b2bCollaborationGuest`
        B2bCollaborationGuest = "b2b-collaboration-guest",
        /// `b2bCollaborationMember`
        B2bCollaborationMember = "b2b-collaboration-member",
        /// `b2bDirectConnectUser`
        B2bDirectConnectUser = "b2b-direct-connect-user",
        /// `serviceProvider`
        ServiceProvider = "service-provider",
        /// `otherExternalUser`
        OtherExternalUser = "other-external-user",
    }
}

/// Programs included and excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Workloads {
    /// The policy is about any program that one of these matches,
    pub include: Vec<WorkloadSelector>,
    /// unless one of these matches.
    pub exclude: Vec<WorkloadSelector>,
}

/// One way of naming a service principal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WorkloadSelector {
    /// Every service principal of the organisation.
    All,
    /// None.
    None,
    /// The service principal with this id. Compares without case ([`text`](crate::text)).
    ServicePrincipal(String),
}

word_set! {
    /// Kinds of guests.
    GuestKinds of GuestKind: u8
}
