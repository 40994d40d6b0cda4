//! What a new sign-in must bring, for the challenges of a 401: worked out per policy at load, put
//! together for the policies that asked.

use portcullis_policy::PolicySet;
use portcullis_policy::decision::{PolicyIndex, PolicyResult, ReasonCode, Refused};
use portcullis_policy::model::{Control, Grant, SignInFrequency};

/// What one policy asks of a sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asks {
    /// `acr` values that prove multifactor authentication, if it asks for that.
    mfa: Option<Vec<String>>,
    /// `acr` values of each strength that it asks for.
    strengths: Vec<Vec<String>>,
    /// How old the sign-in may be, in seconds.
    max_age_secs: Option<u64>,
}

/// What policies ask of sign-ins, by position.
#[derive(Debug, Default)]
pub(super) struct StepUps(Vec<Asks>);

/// What a new sign-in must bring (RFC 9470, section 3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StepUp {
    /// `acr` values of which one is enough, the preferred one first.
    pub(super) acr_values: Vec<String>,
    /// How long ago the sign-in may be, in seconds.
    pub(super) max_age_secs: Option<u64>,
}

impl StepUps {
    pub(super) fn of(set: &PolicySet) -> Self {
        let asks = set.policies.iter().map(|policy| {
            let mut asks = Asks {
                max_age_secs: policy.session.sign_in_frequency.map(|frequency| match frequency {
                    SignInFrequency::Every(span) => span.as_secs(),
                    SignInFrequency::EveryTime => 0,
                }),
                ..Asks::default()
            };
            if let Grant::Require { controls, .. } = &policy.grant {
                for control in controls {
                    match control {
                        Control::Mfa => asks.mfa = Some(set.evidence.mfa_acrs.clone()),
                        Control::Strength(name) => {
                            let strength = set.strengths.iter().find(|strength| strength.name == *name);
                            asks.strengths.extend(strength.map(|strength| strength.acrs.clone()));
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

    /// What would satisfy all policies that asked at once. Where no one `acr` would, those of the
    /// first are named: the next sign-in is asked for the rest.
    pub(super) fn needed(&self, refused: Refused, applied: &[(PolicyIndex, PolicyResult)]) -> StepUp {
        let unmet = |reason| refused.primary == reason || refused.reasons.contains(reason);
        let asking = applied
            .iter()
            .filter(|(_, result)| matches!(result, PolicyResult::Interrupted | PolicyResult::Failure))
            .filter_map(|(policy, _)| self.0.get(policy.0 as usize));
        let mut step_up = StepUp::default();
        for asks in asking {
            if unmet(ReasonCode::StrengthRequired) {
                asks.strengths.iter().for_each(|acrs| step_up.narrow(acrs));
            }
            if let (Some(acrs), true) = (&asks.mfa, unmet(ReasonCode::MfaRequired)) {
                step_up.narrow(acrs);
            }
            if let (Some(secs), true) = (asks.max_age_secs, unmet(ReasonCode::SignInTooOld)) {
                step_up.max_age_secs = Some(step_up.max_age_secs.map_or(secs, |other| other.min(secs)));
            }
        }
        step_up
    }
}

impl StepUp {
    fn narrow(&mut self, acrs: &[String]) {
        if self.acr_values.is_empty() {
            self.acr_values = acrs.to_vec();
            return;
        }
        let both: Vec<String> = self.acr_values.iter().filter(|acr| acrs.contains(acr)).cloned().collect();
        if !both.is_empty() {
            self.acr_values = both;
        }
    }
}
