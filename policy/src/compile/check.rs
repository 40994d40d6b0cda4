//! What makes a policy set unfit to be served. A location, strength or app that a policy names and nobody
//! defines would silently widen or empty the policy: it is refused.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashSet;

use crate::model::{
    AppSelector, Control, Grant, LocationSelector, Policy, PolicySet, SessionControls, Targets,
};

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

/// More policies than this make no set, disabled ones included.
const POLICIES_MAX: usize = 1 << 20;
/// More apps than this make no set.
const APPS_MAX: usize = 1 << 20;

/// Every problem of the set.
pub(super) fn check(set: &PolicySet) -> Vec<CompileError> {
    let mut problems = Vec::new();
    for (kind, found, max) in
        [("policies", set.policies.len(), POLICIES_MAX), ("apps", set.apps.len(), APPS_MAX)]
    {
        if found > max {
            let what = format!("{found} {kind} are too many: {max} are allowed");
            problems.push(CompileError { policy: None, what });
            return problems;
        }
    }
    let names = Names {
        locations: unique(
            "named locations",
            set.locations.iter().map(|one| one.name.as_str()),
            &mut problems,
        ),
        strengths: unique("strengths", set.strengths.iter().map(|one| one.name.as_str()), &mut problems),
        apps: unique("apps", set.apps.iter().map(|one| one.id.as_str()), &mut problems),
    };
    let mut ids = HashSet::new();
    for policy in &set.policies {
        let mut complain = |what: String| {
            problems.push(CompileError { policy: Some(String::from(policy.id.as_str())), what });
        };
        if !ids.insert(policy.id.as_str()) {
            complain(String::from("another policy has the same id"));
        }
        names.check(policy, &mut complain);
        check_demands(policy, &mut complain);
    }
    problems
}

fn unique<'a>(
    kind: &str,
    names: impl Iterator<Item = &'a str>,
    problems: &mut Vec<CompileError>,
) -> HashSet<&'a str> {
    let mut known = HashSet::new();
    for name in names {
        if !known.insert(name) {
            problems.push(CompileError { policy: None, what: format!("two {kind} are named `{name}`") });
        }
    }
    known
}

struct Names<'s> {
    locations: HashSet<&'s str>,
    strengths: HashSet<&'s str>,
    apps: HashSet<&'s str>,
}

impl Names<'_> {
    fn check(&self, policy: &Policy, complain: &mut impl FnMut(String)) {
        if let Some(condition) = &policy.conditions.locations {
            for selector in condition.include.iter().chain(&condition.exclude) {
                if let LocationSelector::Named(name) = selector
                    && !self.locations.contains(name.as_str())
                {
                    complain(format!("no named location `{name}`"));
                }
            }
        }
        if let Targets::Apps(targets) = &*policy.targets {
            for selector in targets.include.iter().chain(&targets.exclude) {
                if let AppSelector::App(name) = selector
                    && !self.apps.contains(name.as_str())
                {
                    complain(format!("no app `{name}`"));
                }
            }
            // Decided at load, it would find nothing of a request there.
            if let Some((_, rule)) = &targets.filter
                && !rule.is_about_apps()
            {
                complain(String::from("an app filter can ask for `app.` attributes only"));
            }
        }
        if let Grant::Require { controls, .. } = &policy.grant {
            for control in controls {
                if let Control::Strength(name) = control
                    && !self.strengths.contains(name.as_str())
                {
                    complain(format!("no authentication strength `{name}`"));
                }
            }
        }
    }
}

fn check_demands(policy: &Policy, complain: &mut impl FnMut(String)) {
    match &policy.grant {
        Grant::Require { controls, .. } if controls.is_empty() => {
            complain(String::from(
                "requires no control; write `block`, a control, or session controls alone",
            ));
        }
        Grant::SessionOnly if policy.session == SessionControls::default() => {
            complain(String::from("neither grants, blocks nor limits the session"));
        }
        Grant::Require { .. } | Grant::SessionOnly | Grant::Block => {}
    }
}
