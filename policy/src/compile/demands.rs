//! What each policy asks, its names resolved: grant controls, session limits, and the reason that is
//! given when it refuses.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::layout::Layout;
use super::remainder::{QuestionIndex, QuestionsBuilder};
use crate::decision::{PolicyIndex, ReasonCode};
use crate::model::{
    AuthenticationStrength, Conditions, Control, Evidence, Grant, Operator, Persistence, Policy, PolicySet,
    PolicyState, SignInFrequency,
};
use crate::signals::SignIn;

/// Clock skew that `everyTime` forgives, in seconds (Entra: five minutes).
const EVERY_TIME_SKEW_SECS: i64 = 300;

/// A policy, as the request path reads it: one for each bit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub(crate) policy: PolicyIndex,
    pub(crate) enforced: bool,
    /// What the tables do not tell.
    pub(crate) question: Option<QuestionIndex>,
    pub(crate) grant: GrantCode,
    /// The oldest sign-in that will do, in seconds.
    pub(crate) sign_in_age_max_secs: Option<i64>,
    pub(crate) persistent_browser: Option<Persistence>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum GrantCode {
    Block(ReasonCode),
    Nothing,
    /// Controls, by their place in [`Demands::controls`].
    Require {
        operator: Operator,
        start: u32,
        end: u32,
    },
}

/// A grant control.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ControlCode {
    pub(crate) test: ControlTest,
    pub(crate) reason: ReasonCode,
    /// Whether the user can do it now; otherwise it is a state.
    pub(crate) performable: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum ControlTest {
    /// Told by the token: a proof, by its place.
    Proof(u32),
    Compliant,
    HybridJoined,
}

/// Something that a token can prove, the same for every request that carries it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Proof {
    Mfa,
    ApprovedClient,
    ProtectedClient,
    PasswordChange,
    Strength(String),
    Terms(String),
    Custom(String),
}

/// What all policies ask.
#[derive(Debug)]
pub(crate) struct Demands {
    by_bit: Box<[Option<Demand>]>,
    controls: Box<[ControlCode]>,
    proofs: Box<[Proof]>,
}

impl Demands {
    pub(super) fn new(set: &PolicySet, layout: &Layout, questions: &mut QuestionsBuilder) -> Self {
        let mut grants = Grants::default();
        let mut by_policy: Vec<Option<Demand>> = alloc::vec![None; set.policies.len()];
        let mut demand = |owner: &PolicyIndex| {
            let policy = set.policies.get(owner.0 as usize)?;
            let known = by_policy.get_mut(owner.0 as usize)?;
            Some(*known.get_or_insert_with(|| Demand {
                policy: *owner,
                enforced: policy.state == PolicyState::Enabled,
                question: questions.of(&policy.conditions),
                grant: grants.of(policy),
                sign_in_age_max_secs: policy.session.sign_in_frequency.map(span_secs),
                persistent_browser: policy.session.persistent_browser,
            }))
        };
        let by_bit = layout.owners.iter().map(&mut demand).collect();
        let mut proofs: Vec<(Proof, u32)> = grants.proofs.into_iter().collect();
        proofs.sort_unstable_by_key(|(_, place)| *place);
        Self {
            by_bit,
            controls: grants.controls.into(),
            proofs: proofs.into_iter().map(|(proof, _)| proof).collect(),
        }
    }

    #[inline]
    pub(crate) fn of(&self, bit: usize) -> Option<&Demand> {
        self.by_bit.get(bit).and_then(Option::as_ref)
    }

    #[inline]
    pub(crate) fn controls(&self, start: u32, end: u32) -> &[ControlCode] {
        self.controls.get(start as usize..end as usize).unwrap_or(&[])
    }

    /// Which proofs a sign-in brings, a bit for each.
    pub(crate) fn proven(&self, set: &PolicySet, sign_in: &SignIn) -> Box<[u64]> {
        let mut proven: Box<[u64]> = alloc::vec![0; self.proofs.len().div_ceil(64)].into();
        for (proof, place) in self.proofs.iter().zip(0_u32..) {
            if proof.is_in(sign_in, set) {
                super::bits::set_bit(&mut proven, place);
            }
        }
        proven
    }
}

impl Proof {
    fn is_in(&self, sign_in: &SignIn, set: &PolicySet) -> bool {
        let evidence = &set.evidence;
        match self {
            Self::Mfa => proves_mfa(evidence, sign_in),
            Self::ApprovedClient => is_client(&evidence.approved_clients, sign_in),
            Self::ProtectedClient => is_client(&evidence.protected_clients, sign_in),
            Self::PasswordChange => match (sign_in.password_changed, sign_in.risk_seen) {
                (Some(changed), Some(seen)) => changed > seen,
                // Without both times there is no evidence.
                (None | Some(_), None) | (None, Some(_)) => false,
            },
            Self::Strength(name) => {
                let named = set.strengths.iter().find(|strength| strength.name == *name);
                named.is_some_and(|strength| proves_strength(strength, sign_in))
            }
            Self::Terms(name) => sign_in.terms.contains(name),
            Self::Custom(name) => sign_in.custom_controls.contains(name),
        }
    }
}

fn is_client(clients: &[String], sign_in: &SignIn) -> bool {
    let id = sign_in.client_id.as_ref();
    id.is_some_and(|id| clients.iter().any(|one| one.eq_ignore_ascii_case(id)))
}

fn proves_mfa(evidence: &Evidence, sign_in: &SignIn) -> bool {
    let method = |wanted: &String| sign_in.methods.iter().any(|one| one.eq_ignore_ascii_case(wanted));
    let acr = |wanted: &String| sign_in.acr.as_ref() == Some(wanted);
    evidence.mfa_methods.iter().any(method) || evidence.mfa_acrs.iter().any(acr)
}

fn proves_strength(strength: &AuthenticationStrength, sign_in: &SignIn) -> bool {
    let used = |wanted: &String| sign_in.methods.iter().any(|one| one.eq_ignore_ascii_case(wanted));
    strength.combinations.iter().any(|combination| !combination.is_empty() && combination.iter().all(used))
        || sign_in.acr.as_ref().is_some_and(|acr| strength.acrs.contains(acr))
}

fn span_secs(frequency: SignInFrequency) -> i64 {
    match frequency {
        SignInFrequency::Every(span) => i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        SignInFrequency::EveryTime => EVERY_TIME_SKEW_SECS,
    }
}

/// Controls and proofs, each list of controls once.
#[derive(Default)]
struct Grants {
    known: HashMap<Vec<Control>, (u32, u32)>,
    controls: Vec<ControlCode>,
    proofs: HashMap<Proof, u32>,
}

impl Grants {
    fn of(&mut self, policy: &Policy) -> GrantCode {
        match &policy.grant {
            Grant::Block => GrantCode::Block(block_reason(&policy.conditions)),
            Grant::SessionOnly => GrantCode::Nothing,
            Grant::Require { operator, controls } => {
                let (start, end) = match self.known.get(controls) {
                    Some(range) => *range,
                    None => {
                        let start = u32::try_from(self.controls.len()).unwrap_or(u32::MAX);
                        for control in controls {
                            let code = self.control(control);
                            self.controls.push(code);
                        }
                        let range = (start, u32::try_from(self.controls.len()).unwrap_or(u32::MAX));
                        self.known.insert(controls.clone(), range);
                        range
                    }
                };
                GrantCode::Require { operator: *operator, start, end }
            }
        }
    }

    fn proof(&mut self, proof: Proof) -> ControlTest {
        let next = u32::try_from(self.proofs.len()).unwrap_or(u32::MAX);
        ControlTest::Proof(*self.proofs.entry(proof).or_insert(next))
    }

    fn control(&mut self, control: &Control) -> ControlCode {
        let (test, reason, performable) = match control {
            Control::Mfa => (self.proof(Proof::Mfa), ReasonCode::MfaRequired, true),
            Control::CompliantDevice => (ControlTest::Compliant, ReasonCode::DeviceNotCompliant, false),
            Control::HybridJoinedDevice => (ControlTest::HybridJoined, ReasonCode::DeviceNotJoined, false),
            Control::ApprovedClientApp => {
                (self.proof(Proof::ApprovedClient), ReasonCode::ClientNotApproved, false)
            }
            Control::AppProtection => {
                (self.proof(Proof::ProtectedClient), ReasonCode::ClientNotProtected, false)
            }
            Control::PasswordChange => {
                (self.proof(Proof::PasswordChange), ReasonCode::PasswordChangeRequired, true)
            }
            Control::Strength(name) => {
                (self.proof(Proof::Strength(name.clone())), ReasonCode::StrengthRequired, true)
            }
            Control::TermsOfUse(name) => {
                (self.proof(Proof::Terms(name.clone())), ReasonCode::TermsRequired, true)
            }
            Control::Custom(name) => {
                (self.proof(Proof::Custom(name.clone())), ReasonCode::ExternalControlRequired, true)
            }
        };
        ControlCode { test, reason, performable }
    }
}

/// What a user would have to change for a block to end, by the conditions that the policy rests on.
const fn block_reason(conditions: &Conditions) -> ReasonCode {
    if conditions.locations.is_some() {
        ReasonCode::BlockedByLocation
    } else if conditions.device.is_some() {
        ReasonCode::BlockedByDevice
    } else if conditions.platforms.is_some() {
        ReasonCode::BlockedByPlatform
    } else if conditions.client_apps.is_some() {
        ReasonCode::BlockedByClientApp
    } else if conditions.flows.is_some() {
        ReasonCode::BlockedByFlow
    } else if conditions.sign_in_risk.is_some()
        || conditions.user_risk.is_some()
        || conditions.insider_risk.is_some()
        || conditions.service_principal_risk.is_some()
    {
        ReasonCode::BlockedByRisk
    } else if conditions.request.is_some() || conditions.time.is_some() {
        ReasonCode::BlockedByRequest
    } else {
        ReasonCode::Blocked
    }
}
