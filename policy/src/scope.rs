//! What a principal fixes: which policies speak of it, and which controls its token already proves.
//! Bound once per token, stamped with the generation of the policies it was bound to.

use alloc::string::String;
use alloc::vec::Vec;

use crate::compile::{CompiledPolicies, subjects_match, user_matches};
use crate::decision::Generation;
use crate::model::{AuthenticationStrength, Evidence};
use crate::signals::{Identity, Principal, SignIn};
use crate::tri::Tri;

/// A principal, bound to one load of the policies.
#[derive(Debug)]
pub struct Scope {
    generation: Generation,
    subjects: Vec<Tri>,
    assigned: Vec<Tri>,
    pub(crate) mfa: bool,
    pub(crate) approved_client: bool,
    pub(crate) protected_client: bool,
}

impl Scope {
    pub(crate) fn bind(policies: &CompiledPolicies, principal: &Principal) -> Self {
        let set = policies.set();
        let assigned = set.apps.iter().map(|app| match (&app.assigned, &principal.identity) {
            (None, _) => Tri::Yes,
            (Some(selectors), Identity::User { .. }) => {
                Tri::any(selectors, |one| user_matches(one, principal))
            }
            (Some(_), Identity::Workload { .. }) => Tri::No,
        });
        let client = |clients: &[String]| {
            principal
                .sign_in
                .client_id
                .as_ref()
                .is_some_and(|id| clients.iter().any(|one| one.eq_ignore_ascii_case(id)))
        };
        Self {
            generation: policies.generation(),
            subjects: set.policies.iter().map(|policy| subjects_match(&policy.subjects, principal)).collect(),
            assigned: assigned.collect(),
            mfa: proves_mfa(&set.evidence, &principal.sign_in),
            approved_client: client(&set.evidence.approved_clients),
            protected_client: client(&set.evidence.protected_clients),
        }
    }

    /// The load of the policies that it belongs to.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn subject(&self, policy: usize) -> Tri {
        // A policy that the scope does not know could be about anybody.
        self.subjects.get(policy).copied().unwrap_or(Tri::Maybe)
    }

    pub(crate) fn assigned(&self, app: usize) -> Tri {
        self.assigned.get(app).copied().unwrap_or(Tri::No)
    }
}

fn proves_mfa(evidence: &Evidence, sign_in: &SignIn) -> bool {
    let method = |wanted: &String| sign_in.methods.iter().any(|one| one.eq_ignore_ascii_case(wanted));
    let acr = |wanted: &String| sign_in.acr.as_ref() == Some(wanted);
    evidence.mfa_methods.iter().any(method) || evidence.mfa_acrs.iter().any(acr)
}

pub(crate) fn proves_strength(strength: &AuthenticationStrength, sign_in: &SignIn) -> bool {
    let used = |wanted: &String| sign_in.methods.iter().any(|one| one.eq_ignore_ascii_case(wanted));
    strength.combinations.iter().any(|combination| !combination.is_empty() && combination.iter().all(used))
        || sign_in.acr.as_ref().is_some_and(|acr| strength.acrs.contains(acr))
}
