//! Policies, checked and narrowed at load: what each says of an app is decided once per load, what it
//! says of a principal once per token, and the rest waits for the request.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use hashbrown::{HashMap, HashSet};

use crate::decision::{Generation, PolicyIndex};
use crate::model::{
    AppSelector, AuthenticationStrength, Control, FilterMode, Grant, LocationSelector, NamedLocation, Place,
    Policy, PolicySet, PolicyState, SessionControls, Subjects, Targets, UserSelector, WorkloadSelector,
};
use crate::rule::Environment;
use crate::scope::Scope;
use crate::signals::Principal;
use crate::tri::Tri;

/// A policy set, ready to decide. Immutable; a reload makes another one.
pub struct CompiledPolicies {
    pub(crate) set: PolicySet,
    generation: Generation,
    /// For each app, the policies that are not disabled and target it, by app or by context.
    pub(crate) by_app: Vec<Vec<PolicyIndex>>,
    pub(crate) locations: HashMap<String, usize>,
    pub(crate) strengths: HashMap<String, usize>,
}

impl fmt::Debug for CompiledPolicies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledPolicies")
            .field("generation", &self.generation)
            .field("policies", &self.set.policies.len())
            .field("apps", &self.set.apps.len())
            .finish_non_exhaustive()
    }
}

/// Why a policy set cannot be served. Every one is a reason to refuse the whole set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", policy_prefix(.policy))]
pub struct CompileError {
    /// The policy that it is about, by id.
    pub policy: Option<String>,
    /// What is wrong.
    pub what: String,
}

fn policy_prefix(policy: &Option<String>) -> String {
    policy.as_ref().map(|id| format!("policy `{id}`: ")).unwrap_or_default()
}

fn index_by_name<'a>(
    kind: &str,
    names: impl Iterator<Item = &'a str>,
    problems: &mut Vec<CompileError>,
) -> HashMap<String, usize> {
    let mut index = HashMap::new();
    for (position, name) in names.enumerate() {
        if index.insert(String::from(name), position).is_some() {
            problems.push(CompileError { policy: None, what: format!("two {kind} are named `{name}`") });
        }
    }
    index
}

/// A location, strength or app that a policy names and nobody defines would silently widen or empty
/// the policy: it is refused.
fn check_policy(
    policy: &Policy,
    locations: &HashMap<String, usize>,
    strengths: &HashMap<String, usize>,
    apps: &HashMap<String, usize>,
    problems: &mut Vec<CompileError>,
) {
    let mut complain =
        |what: String| problems.push(CompileError { policy: Some(String::from(policy.id.as_str())), what });
    if let Some(condition) = &policy.conditions.locations {
        for selector in condition.include.iter().chain(&condition.exclude) {
            if let LocationSelector::Named(name) = selector
                && !locations.contains_key(name.as_str())
            {
                complain(format!("no named location `{name}`"));
            }
        }
    }
    if let Targets::Apps(targets) = &policy.targets {
        for selector in targets.include.iter().chain(&targets.exclude) {
            if let AppSelector::App(name) = selector
                && !apps.contains_key(name.as_str())
            {
                complain(format!("no app `{name}`"));
            }
        }
    }
    if let Grant::Require { controls, .. } = &policy.grant {
        if controls.is_empty() {
            complain(String::from(
                "requires no control; write `block`, a control, or session controls alone",
            ));
        }
        for control in controls {
            if let Control::Strength(name) = control
                && !strengths.contains_key(name.as_str())
            {
                complain(format!("no authentication strength `{name}`"));
            }
        }
    }
    if policy.grant == Grant::SessionOnly && policy.session == SessionControls::default() {
        complain(String::from("neither grants, blocks nor limits the session"));
    }
}

impl CompiledPolicies {
    /// Checks and compiles a set.
    ///
    /// # Errors
    /// Every problem found: doubled names, references to nothing, policies that ask nothing.
    pub fn compile(set: PolicySet, generation: Generation) -> Result<Self, Vec<CompileError>> {
        let mut problems = Vec::new();
        let locations = index_by_name(
            "named locations",
            set.locations.iter().map(|location| location.name.as_str()),
            &mut problems,
        );
        let strengths = index_by_name(
            "strengths",
            set.strengths.iter().map(|strength| strength.name.as_str()),
            &mut problems,
        );
        let apps = index_by_name("apps", set.apps.iter().map(|app| app.id.as_str()), &mut problems);
        let mut ids = HashSet::new();
        for policy in &set.policies {
            if !ids.insert(policy.id.as_str()) {
                let what = String::from("another policy has the same id");
                problems.push(CompileError { policy: Some(String::from(policy.id.as_str())), what });
            }
            check_policy(policy, &locations, &strengths, &apps, &mut problems);
        }
        drop(ids);
        if !problems.is_empty() {
            return Err(problems);
        }
        let by_app = set.apps.iter().map(|app| {
            let touches = |policy: &Policy| match &policy.targets {
                Targets::Contexts(_) => true,
                Targets::Apps(targets) => {
                    let matches = |selector: &AppSelector| match selector {
                        AppSelector::All => true,
                        AppSelector::None => false,
                        AppSelector::App(id) => *id == app.id,
                        AppSelector::Group(group) => app.groups.contains(group),
                    };
                    let filtered = |mode: FilterMode| {
                        targets.filter.as_ref().is_some_and(|(found, rule)| {
                            *found == mode && rule.holds(&Environment::of_app(&app.attributes)) != Tri::No
                        })
                    };
                    (targets.include.iter().any(matches) || filtered(FilterMode::Include))
                        && !targets.exclude.iter().any(matches)
                        && !filtered(FilterMode::Exclude)
                }
            };
            let indexed = set.policies.iter().zip(0_u32..);
            let live = indexed.filter(|(policy, _)| policy.state != PolicyState::Disabled && touches(policy));
            live.map(|(_, position)| PolicyIndex(position)).collect()
        });
        let by_app = by_app.collect();
        Ok(Self { set, generation, by_app, locations, strengths })
    }

    /// The set that it was made of.
    #[must_use]
    pub const fn set(&self) -> &PolicySet {
        &self.set
    }

    /// Which load it is.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Works out once what the policies say of a principal; to be kept with the verified token.
    ///
    /// # Cost
    /// Linear in the policies; allocates. Not for every request.
    #[must_use]
    pub fn bind(&self, principal: &Principal) -> Scope {
        Scope::bind(self, principal)
    }

    pub(crate) fn location(&self, name: &str) -> Option<&NamedLocation> {
        self.set.locations.get(*self.locations.get(name)?)
    }

    pub(crate) fn strength(&self, name: &str) -> Option<&AuthenticationStrength> {
        self.set.strengths.get(*self.strengths.get(name)?)
    }

    pub(crate) fn trusted(&self) -> impl Iterator<Item = &NamedLocation> {
        self.set
            .locations
            .iter()
            .filter(|location| matches!(location.place, Place::Networks { trusted: true, .. }))
    }
}

/// Whether `subjects` speaks of `principal`.
pub(crate) fn subjects_match(subjects: &Subjects, principal: &Principal) -> Tri {
    use crate::signals::Identity;
    match (subjects, &principal.identity) {
        (Subjects::Users(users), Identity::User { .. }) => {
            let holds = |selector: &UserSelector| user_matches(selector, principal);
            Tri::any(&users.include, holds).unless(Tri::any(&users.exclude, holds))
        }
        (Subjects::Workloads(workloads), Identity::Workload { id }) => {
            let holds = |selector: &WorkloadSelector| {
                Tri::from_bool(match selector {
                    WorkloadSelector::All => true,
                    WorkloadSelector::None => false,
                    WorkloadSelector::ServicePrincipal(wanted) => wanted.eq_ignore_ascii_case(id),
                })
            };
            Tri::any(&workloads.include, holds).unless(Tri::any(&workloads.exclude, holds))
        }
        (Subjects::Users(_), Identity::Workload { .. }) | (Subjects::Workloads(_), Identity::User { .. }) => {
            Tri::No
        }
    }
}

/// Whether one selector speaks of a principal. Groups that a token could not carry are unavailable.
pub(crate) fn user_matches(selector: &UserSelector, principal: &Principal) -> Tri {
    use crate::model::Tenants;
    use crate::signals::{Fact, Identity};
    let member = |of: &Fact<Vec<String>>, wanted: &str| match of {
        Fact::Known(ids) => Tri::from_bool(ids.iter().any(|id| id.eq_ignore_ascii_case(wanted))),
        Fact::Unknown => Tri::No,
        Fact::Unavailable => Tri::Maybe,
    };
    let Identity::User { id, guest, home_tenant } = &principal.identity else { return Tri::No };
    match selector {
        UserSelector::All => Tri::Yes,
        UserSelector::None => Tri::No,
        UserSelector::User(wanted) => Tri::from_bool(wanted.eq_ignore_ascii_case(id)),
        UserSelector::Group(wanted) => member(&principal.groups, wanted),
        UserSelector::Role(wanted) => member(&principal.roles, wanted),
        UserSelector::Guests(guests) => {
            let kind = guest.is_some_and(|kind| guests.kinds.contains(kind));
            let tenant = match &guests.tenants {
                Tenants::Any => true,
                Tenants::Only(wanted) => home_tenant
                    .as_ref()
                    .is_some_and(|home| wanted.iter().any(|one| one.eq_ignore_ascii_case(home))),
            };
            Tri::from_bool(kind && tenant)
        }
    }
}
