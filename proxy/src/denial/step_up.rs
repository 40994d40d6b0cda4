//! What a new sign-in must bring, for the challenges of a 401: worked out per policy at load, put
//! together for the policies that asked.

use portcullis_policy::PolicySet;
use portcullis_policy::decision::{PolicyIndex, PolicyResult, ReasonCode, Refused};
use portcullis_policy::model::{AuthenticationContext, Control, Grant, SignInFrequency, Targets};

/// What a token can hold that proves something, by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Proofs {
    acrs: Vec<String>,
    contexts: Vec<AuthenticationContext>,
}

/// What one policy asks of a sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asks {
    /// Whether it is about authentication contexts, of which the route asks for one.
    is_of_context: bool,
    /// What proves multifactor authentication, if it asks for that.
    mfa: Option<Proofs>,
    /// What proves each strength that it asks for.
    strengths: Vec<Proofs>,
    /// How old the sign-in may be, in seconds.
    max_age_secs: Option<u64>,
}

/// What policies ask of sign-ins, by position.
#[derive(Debug, Default)]
pub(super) struct StepUps(Vec<Asks>);

/// The authentication contexts of a request, and its token's class of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Contexts {
    /// What the route asks for.
    pub(super) asked: Option<AuthenticationContext>,
    /// What the token holds.
    pub(super) held: Vec<AuthenticationContext>,
    /// The token's `acr`.
    pub(super) acr: Option<String>,
}

impl Contexts {
    fn hold_one_of(&self, proofs: &Proofs) -> bool {
        proofs.contexts.iter().any(|context| self.held.contains(context))
    }

    fn acr_is_one_of(&self, proofs: &Proofs) -> bool {
        self.acr.as_ref().is_some_and(|acr| proofs.acrs.contains(acr))
    }
}

/// What a new sign-in must bring (RFC 9470, section 3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepUp {
    /// `acr` values of which one is enough, the preferred one first.
    pub acr_values: Vec<String>,
    /// Authentication contexts of which one is enough, the preferred one first; none that the token holds.
    pub contexts: Vec<AuthenticationContext>,
    /// How long ago the sign-in may be, in seconds.
    pub max_age_secs: Option<u64>,
}

impl StepUps {
    pub(super) fn of(set: &PolicySet) -> Self {
        let asks = set.policies.iter().map(|policy| {
            let mut asks = Asks {
                is_of_context: matches!(&*policy.targets, Targets::Contexts(_)),
                max_age_secs: policy.session.sign_in_frequency.map(|frequency| match frequency {
                    SignInFrequency::Every(span) => span.as_secs(),
                    SignInFrequency::EveryTime => 0,
                }),
                ..Asks::default()
            };
            if let Grant::Require { controls, .. } = &policy.grant {
                for control in controls {
                    match control {
                        Control::Mfa => {
                            asks.mfa = Some(Proofs {
                                acrs: set.evidence.mfa_acrs.clone(),
                                contexts: set.evidence.mfa_contexts.clone(),
                            });
                        }
                        Control::Strength(name) => {
                            let strength = set.strengths.iter().find(|strength| strength.name == *name);
                            asks.strengths.extend(strength.map(|strength| Proofs {
                                acrs: strength.acrs.clone(),
                                contexts: strength.contexts.clone(),
                            }));
                        }
                        Control::CompliantDevice
                        | Control::HybridJoinedDevice
                        | Control::ApprovedClientApp
                        | Control::AppProtection
                        | Control::PasswordChange
                        | Control::TermsOfUse(_)
                        | Control::Custom(_) => {}
                    }
                }
            }
            asks
        });
        Self(asks.collect())
    }

    /// What would satisfy all policies that asked at once. Where nothing would, what satisfies the first is
    /// named: the next sign-in is asked for the rest. Nothing is named that the token holds already: a client
    /// that follows challenges would come back with the same. A token has one `acr`, and the next one replaces it:
    /// where none proves what is missing and what this one proves, contexts are named, which add up.
    pub(super) fn needed(
        &self,
        refused: Refused,
        applied: &[(PolicyIndex, PolicyResult)],
        contexts: &Contexts,
    ) -> StepUp {
        let unmet = |reason| refused.primary == reason || refused.reasons.contains(reason);
        let is_held = |context: &AuthenticationContext| contexts.held.contains(context);
        let asked = contexts.asked.filter(|asked| !is_held(asked));
        let mut step_up = StepUp::default();
        let mut is_one_acr_enough = true;
        let mut proven: Vec<&Proofs> = Vec::new();
        for (policy, result) in applied {
            let Some(asks) = self.0.get(policy.0 as usize) else { continue };
            let is_asking = match result {
                PolicyResult::Interrupted | PolicyResult::Failure => true,
                PolicyResult::Success => false,
                _ => continue,
            };
            // Its issuer's policies ask, for this context, what ours does.
            if let (true, true, Some(asked)) = (is_asking, asks.is_of_context, asked) {
                narrow(&mut step_up.contexts, &[asked]);
            }
            let strengths = asks.strengths.iter().map(|proofs| (proofs, ReasonCode::StrengthRequired));
            let mfa = asks.mfa.iter().map(|proofs| (proofs, ReasonCode::MfaRequired));
            for (proofs, reason) in strengths.chain(mfa) {
                if contexts.hold_one_of(proofs) {
                    continue;
                }
                if contexts.acr_is_one_of(proofs) {
                    proven.push(proofs);
                } else if is_asking && unmet(reason) {
                    is_one_acr_enough &= narrow(&mut step_up.acr_values, &proofs.acrs);
                    if !asks.is_of_context || asked.is_none() {
                        narrow(&mut step_up.contexts, &proofs.contexts);
                    }
                }
            }
            if let (true, Some(secs), true) = (is_asking, asks.max_age_secs, unmet(ReasonCode::SignInTooOld))
            {
                step_up.max_age_secs = Some(step_up.max_age_secs.map_or(secs, |other| other.min(secs)));
            }
        }
        step_up.contexts.retain(|context| !is_held(context));
        // What is missing comes first.
        for proofs in proven {
            is_one_acr_enough &= narrow(&mut step_up.acr_values, &proofs.acrs);
        }
        if !is_one_acr_enough && !step_up.contexts.is_empty() {
            step_up.acr_values.clear();
        }
        step_up
    }
}

/// Leaves of the values those that are among others too, unless that leaves none, and says whether it left any.
fn narrow<T: Clone + PartialEq>(values: &mut Vec<T>, others: &[T]) -> bool {
    if values.is_empty() {
        *values = others.to_vec();
        return !others.is_empty();
    }
    let both: Vec<T> = values.iter().filter(|value| others.contains(value)).cloned().collect();
    if both.is_empty() {
        return false;
    }
    *values = both;
    true
}
