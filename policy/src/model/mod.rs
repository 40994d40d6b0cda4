//! A policy as data: what an administrator wrote, before anything is compiled.
//!
//! Names are strings here and become small numbers in `compile`. Everything is public and plain,
//! so that `config` can build it and tests can generate it; `CompiledPolicies::compile` checks
//! that it makes sense.

mod conditions;
mod controls;
mod ids;
mod resources;
mod subjects;

pub use conditions::{
    Conditions, DeviceFilter, FilterMode, LocationSelector, Locations, PathPattern, PlatformSelector,
    Platforms, RequestCondition, TimeCondition, TimeZone, Transition, WeekWindow,
};
pub use controls::{
    AuthenticationStrength, Control, Grant, Operator, Persistence, SessionControls, SignInFrequency,
};
pub use ids::{InvalidId, PolicyId};
pub use resources::{App, AppSelector, Apps, Evidence, NamedLocation, Place, Targets, Unmatched};
pub use subjects::{Guests, Subjects, Tenants, UserSelector, Users, WorkloadSelector, Workloads};

pub use crate::value::{
    AuthenticationContext, ClientAppSet, ClientAppType, CountryCode, Flow, FlowSet, GuestKind, GuestKinds,
    Platform, RiskLevel, RiskSet,
};

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
/// What many policies have in common (everybody but the emergency accounts, any app, abroad) they can share.
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
