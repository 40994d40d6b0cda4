//! What the controls of a grant come to, for one sign-in and one state of the device.

use alloc::string::String;

use crate::decision::{ReasonCode, ReasonSet};
use crate::model::{Operator, PolicySet};
use crate::signals::{IssuerEvidence, SignIn};
use crate::text;
use crate::tri::Tri;
use crate::value::{Device, Fact};

/// A grant control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ControlCode {
    pub(crate) test: ControlTest,
    pub(super) reason: ReasonCode,
    /// Whether the user can do it now; otherwise it is a state.
    pub(super) performable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ControlTest {
    /// Asserted by the token: a proof, by its place.
    Proof(u32),
    Compliant,
    HybridJoined,
}

/// All that a grant control asks of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceState {
    Known { compliant: bool, joined: bool },
    Unknown,
    Unavailable,
}

impl DeviceState {
    /// Every state, by its place.
    pub(super) const ALL: [Self; 6] = [
        Self::Known { compliant: false, joined: false },
        Self::Known { compliant: true, joined: false },
        Self::Known { compliant: false, joined: true },
        Self::Known { compliant: true, joined: true },
        Self::Unknown,
        Self::Unavailable,
    ];

    pub(crate) fn of(device: &Fact<Device<'_>>) -> Self {
        match device {
            Fact::Known(device) => {
                Self::Known { compliant: device.compliant == Some(true), joined: device.is_hybrid_joined() }
            }
            Fact::Unknown => Self::Unknown,
            Fact::Unavailable => Self::Unavailable,
        }
    }

    pub(crate) const fn position(self) -> usize {
        match self {
            Self::Known { compliant, joined } => compliant as usize + 2 * joined as usize,
            Self::Unknown => 4,
            Self::Unavailable => 5,
        }
    }
}

/// What a policy that applies comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Verdict {
    pub(crate) kind: Kind,
    pub(crate) reasons: ReasonSet,
    /// Whether an unavailable fact could have satisfied it.
    pub(crate) unsure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Satisfied,
    Blocks,
    Denies,
    Challenges,
}

impl Verdict {
    /// For a grant that cannot be found: a refusal.
    pub(crate) const LOST: Self =
        Self { kind: Kind::Blocks, reasons: ReasonSet::EMPTY.with(ReasonCode::Blocked), unsure: false };
    /// For a grant that is met.
    pub(crate) const SATISFIED: Self =
        Self { kind: Kind::Satisfied, reasons: ReasonSet::EMPTY, unsure: false };
}

/// What is unmet of a grant's controls.
pub(super) struct Required {
    operator: Operator,
    /// Whether the controls are met for certain.
    met: bool,
    some_unsure: bool,
    some_unmet: bool,
    /// Of the unmet ones: what the user can do now, what is asked of the sign-in but can never be proven, and
    /// states.
    acts: ReasonSet,
    unprovable: ReasonSet,
    states: ReasonSet,
}

pub(super) fn require(
    operator: Operator,
    controls: &[ControlCode],
    proofs: &[Proven],
    device: DeviceState,
) -> Required {
    let (mut some_met, mut some_unsure, mut some_unmet) = (false, false, false);
    let (mut acts, mut unprovable, mut states) = (ReasonSet::EMPTY, ReasonSet::EMPTY, ReasonSet::EMPTY);
    for control in controls {
        let (holds, reason) = control.is_met(proofs, device);
        match holds {
            Tri::Yes => {
                some_met = true;
                continue;
            }
            Tri::Maybe => some_unsure = true,
            Tri::No => some_unmet = true,
        }
        if !control.performable {
            states = states.with(reason);
        } else if control.is_provable(proofs) {
            acts = acts.with(reason);
        } else {
            unprovable = unprovable.with(reason);
        }
    }
    let met = match operator {
        Operator::And => !some_unsure && !some_unmet,
        Operator::Or => some_met,
    };
    Required { operator, met, some_unsure, some_unmet, acts, unprovable, states }
}

impl Required {
    /// What it comes to where the evidence of each control counts.
    pub(super) fn verdict(self) -> Verdict {
        if self.met {
            return Verdict::SATISFIED;
        }
        // What no token will ever prove ends it as a missing state does: nobody signs in in vain.
        let unprovable = if self.unprovable.is_empty() {
            ReasonSet::EMPTY
        } else {
            ReasonSet::EMPTY.with(ReasonCode::NotProvable)
        };
        let states = self.states.union(unprovable);
        match self.operator {
            // What the user can perform is proven or not: only states are ever in doubt.
            Operator::And if states.is_empty() => {
                Verdict { kind: Kind::Challenges, reasons: self.acts, unsure: false }
            }
            Operator::And => {
                Verdict { kind: Kind::Denies, reasons: states.union(self.acts), unsure: self.is_unsure() }
            }
            Operator::Or if self.acts.is_empty() => {
                Verdict { kind: Kind::Denies, reasons: states, unsure: self.some_unsure }
            }
            Operator::Or => Verdict { kind: Kind::Challenges, reasons: self.acts, unsure: self.some_unsure },
        }
    }

    /// What it comes to where the issuer's word that the context is satisfied is enough, and has not been given:
    /// a new sign-in could bring that, whatever the controls are.
    pub(super) fn until_context(self) -> Verdict {
        if self.met {
            return Verdict::SATISFIED;
        }
        let acts = self.acts.union(self.unprovable);
        let reasons =
            if acts.is_empty() { ReasonSet::EMPTY.with(ReasonCode::StrengthRequired) } else { acts };
        Verdict { kind: Kind::Challenges, reasons, unsure: self.is_unsure() }
    }

    /// With AND one certain miss is a certain refusal; with OR any doubt could have satisfied it.
    const fn is_unsure(&self) -> bool {
        match self.operator {
            Operator::And => self.some_unsure && !self.some_unmet,
            Operator::Or => self.some_unsure,
        }
    }
}

impl ControlCode {
    fn is_met(&self, proofs: &[Proven], device: DeviceState) -> (Tri, ReasonCode) {
        let by_device = |holds: fn(bool, bool) -> bool| match device {
            DeviceState::Known { compliant, joined } => {
                (Tri::from_bool(holds(compliant, joined)), self.reason)
            }
            DeviceState::Unknown => (Tri::No, ReasonCode::DeviceUnknown),
            DeviceState::Unavailable => (Tri::Maybe, self.reason),
        };
        match self.test {
            ControlTest::Proof(proof) => {
                (Tri::from_bool(proofs.get(proof as usize) == Some(&Proven::Yes)), self.reason)
            }
            ControlTest::Compliant => by_device(|compliant, _| compliant),
            ControlTest::HybridJoined => by_device(|_, joined| joined),
        }
    }

    /// Whether another sign-in could prove it.
    fn is_provable(&self, proofs: &[Proven]) -> bool {
        match self.test {
            ControlTest::Proof(proof) => proofs.get(proof as usize) != Some(&Proven::Never),
            ControlTest::Compliant | ControlTest::HybridJoined => false,
        }
    }
}

/// Something that a token can prove, the same for every request that carries it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Proof {
    Mfa,
    ApprovedClient,
    ProtectedClient,
    PasswordChange,
    Strength(String),
    Terms(String),
    Custom(String),
}

/// What a sign-in says of something that tokens can prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proven {
    Yes,
    /// Not now; another sign-in could.
    NotYet,
    /// No token of this issuer holds such evidence.
    Never,
}

impl Proof {
    pub(crate) fn state(&self, sign_in: &SignIn, set: &PolicySet) -> Proven {
        if self.is_in(sign_in, set) {
            Proven::Yes
        } else if self.is_provable_by(sign_in.issuer, set) {
            Proven::NotYet
        } else {
            Proven::Never
        }
    }

    fn is_in(&self, sign_in: &SignIn, set: &PolicySet) -> bool {
        let evidence = &set.evidence;
        match self {
            Self::Mfa => evidence.proves_mfa(sign_in),
            Self::ApprovedClient => is_client(&evidence.approved_clients, sign_in),
            Self::ProtectedClient => is_client(&evidence.protected_clients, sign_in),
            Self::PasswordChange => match (sign_in.password_changed, sign_in.risk_seen) {
                (Some(changed), Some(seen)) => changed > seen,
                // Without both times there is no evidence.
                (None | Some(_), None) | (None, Some(_)) => false,
            },
            Self::Strength(name) => {
                let named = set.strengths.iter().find(|strength| strength.name == *name);
                named.is_some_and(|strength| strength.is_proven_by(sign_in))
            }
            Self::Terms(name) => sign_in.terms.contains(name),
            Self::Custom(name) => sign_in.custom_controls.contains(name),
        }
    }

    fn is_provable_by(&self, issuer: IssuerEvidence, set: &PolicySet) -> bool {
        match self {
            Self::Mfa => set.evidence.is_mfa_provable_by(issuer),
            // States: nothing that signing in again would change.
            Self::ApprovedClient | Self::ProtectedClient => false,
            Self::PasswordChange => issuer.asserts_password_change,
            Self::Strength(name) => {
                let named = set.strengths.iter().find(|strength| strength.name == *name);
                named.is_some_and(|strength| strength.is_provable_by(issuer))
            }
            Self::Terms(_) => issuer.asserts_terms,
            Self::Custom(_) => issuer.asserts_custom_controls,
        }
    }
}

fn is_client(clients: &[String], sign_in: &SignIn) -> bool {
    let id = sign_in.client_id.as_ref();
    id.is_some_and(|id| clients.iter().any(|one| text::eq(one, id)))
}
