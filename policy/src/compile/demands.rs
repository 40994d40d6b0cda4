//! What each policy asks, its names resolved: grant controls, session limits, and the reason that is
//! given when it refuses.
//!
//! What a grant comes to depends on the sign-in and on the state of the device. The sign-in is fixed by
//! the token, and a device has six states: so `bind` works the answers out, and a request looks them up.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::Hash;
use core::num::NonZeroU32;

use hashbrown::HashMap;

use super::bits::Ones;
use super::layout::Layout;
use super::remainder::{QuestionIndex, QuestionsBuilder};
use crate::decision::{PolicyIndex, ReasonCode, ReasonSet};
use crate::model::{
    Conditions, Control, Grant, Operator, Persistence, Policy, PolicySet, PolicyState, SessionControls,
    SignInFrequency, Targets,
};
use crate::signals::{Device, Fact, IssuerEvidence, SignIn};
use crate::text;
use crate::tri::Tri;

/// Clock skew that `everyTime` forgives, in seconds (Entra: five minutes).
const EVERY_TIME_SKEW_SECS: i64 = 300;

/// A policy, as the request path reads it: one for each bit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub(crate) policy: PolicyIndex,
    pub(crate) enforced: bool,
    /// What the tables do not tell.
    pub(crate) question: Option<QuestionIndex>,
    /// What it grants for, by its place.
    pub(crate) grant: u32,
    /// Whether the word of the issuer that the context asked for is satisfied meets it.
    pub(crate) by_context: bool,
    /// Its session controls, if it has any.
    session: Option<SessionIndex>,
}

/// The place of session controls among all, from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SessionIndex(NonZeroU32);

/// Session controls, as the request path reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Session {
    /// The oldest sign-in that will do, in seconds.
    pub(crate) sign_in_age_max_secs: Option<i64>,
    pub(crate) persistent_browser: Option<Persistence>,
}

/// A grant, its names resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum GrantCode {
    Block(ReasonCode),
    Nothing,
    Require { operator: Operator, controls: Box<[ControlCode]>, by_context: bool },
}

/// A grant control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ControlCode {
    test: ControlTest,
    reason: ReasonCode,
    /// Whether the user can do it now; otherwise it is a state.
    performable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ControlTest {
    /// Told by the token: a proof, by its place.
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
    const ALL: [Self; 6] = [
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

/// What each grant comes to for one principal, for each state of the device.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Verdicts(Box<[Verdict]>);

impl Verdicts {
    /// `None` for a grant that does not exist.
    #[inline]
    pub(crate) fn of(&self, grant: u32, device: usize) -> Option<&Verdict> {
        self.0.get(grant as usize * DeviceState::ALL.len() + device)
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.0)
    }

    /// For each grant, whether it is satisfied in every state of the device.
    fn always_satisfied(&self) -> Vec<bool> {
        let satisfied = |states: &[Verdict]| states.iter().all(|one| one.kind == Kind::Satisfied);
        self.0.chunks(DeviceState::ALL.len()).map(satisfied).collect()
    }
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
    by_bit: Box<[Demand]>,
    /// Bits of policies that ask nothing but their grant: no question, no session controls.
    plain: Box<[u64]>,
    /// Bits of policies that are enforced, not report-only.
    enforced: Box<[u64]>,
    sessions: Box<[Session]>,
    grants: Box<[GrantCode]>,
    proofs: Box<[Proof]>,
}

impl Demands {
    pub(super) fn new(set: &PolicySet, layout: &Layout, questions: &mut QuestionsBuilder) -> Self {
        let mut names = Names::default();
        let mut by_policy: Vec<Option<Demand>> = alloc::vec![None; set.policies.len()];
        let by_bit = layout.owners.iter().map(|owner| {
            // A gap: no set has its bit.
            let gap = Demand {
                policy: *owner,
                enforced: false,
                question: None,
                grant: u32::MAX,
                by_context: false,
                session: None,
            };
            let position = owner.0 as usize;
            let (Some(policy), Some(known)) = (set.policies.get(position), by_policy.get_mut(position))
            else {
                return gap;
            };
            *known.get_or_insert_with(|| Demand {
                policy: *owner,
                enforced: policy.state == PolicyState::Enabled,
                question: questions.of(&policy.conditions),
                grant: names.grant(policy),
                by_context: is_by_context(policy),
                session: names.session(&policy.session),
            })
        });
        let by_bit: Box<[Demand]> = by_bit.collect();
        let row = |has: fn(&Demand) -> bool| {
            let word = |demands: &[Demand]| {
                let bits = demands.iter().zip(0_u32..).map(|(demand, bit)| u64::from(has(demand)) << bit);
                bits.fold(0, |word, bit| word | bit)
            };
            by_bit.chunks(64).map(word).collect()
        };
        Self {
            plain: row(|demand| demand.question.is_none() && demand.session.is_none()),
            enforced: row(|demand| demand.enforced),
            by_bit,
            sessions: names.sessions.into_list(),
            grants: names.grants.into_list(),
            proofs: names.proofs.into_list(),
        }
    }

    #[inline]
    pub(crate) fn of(&self, bit: usize) -> Option<&Demand> {
        self.by_bit.get(bit)
    }

    /// How many words a row of bits has.
    pub(crate) fn words(&self) -> usize {
        self.plain.len()
    }

    #[inline]
    pub(crate) fn session(&self, demand: &Demand) -> Option<&Session> {
        self.sessions.get(demand.session?.0.get() as usize - 1)
    }

    /// A word of the policies that are enforced.
    #[inline]
    pub(crate) fn enforced(&self, word: usize) -> u64 {
        self.enforced.get(word).copied().unwrap_or(u64::MAX)
    }

    /// Of the `possible` policies those that these verdicts satisfy in every state of the device, and that
    /// ask nothing else.
    pub(crate) fn satisfied(&self, possible: &[u64], verdicts: &Verdicts) -> Vec<u64> {
        let by_grant = verdicts.always_satisfied();
        let is_satisfied = |bit: usize| {
            let grant = self.of(bit).map(|demand| demand.grant as usize);
            grant.and_then(|grant| by_grant.get(grant)).copied().unwrap_or(false)
        };
        let words = possible.iter().zip(&self.plain).enumerate().map(|(word, (possible, plain))| {
            let ones = Ones(possible & plain).filter(|bit| is_satisfied(word * 64 + *bit as usize));
            ones.fold(0, |row, bit| row | 1 << bit)
        });
        words.collect()
    }

    /// What each grant comes to for whoever signed in so.
    pub(crate) fn verdicts(&self, set: &PolicySet, sign_in: &SignIn) -> Verdicts {
        let proofs: Vec<Proven> = self.proofs.iter().map(|proof| proof.state(sign_in, set)).collect();
        let by_word = sign_in.issuer.contexts_satisfy;
        let verdict = |grant: &GrantCode, device: DeviceState| match grant {
            GrantCode::Block(reason) => {
                Verdict { kind: Kind::Blocks, reasons: ReasonSet::EMPTY.with(*reason), unsure: false }
            }
            GrantCode::Nothing => Verdict::SATISFIED,
            GrantCode::Require { operator, controls, by_context: true } if by_word => {
                require(*operator, controls, &proofs, device).until_context()
            }
            GrantCode::Require { operator, controls, .. } => {
                require(*operator, controls, &proofs, device).verdict()
            }
        };
        let each = self.grants.iter().flat_map(|grant| DeviceState::ALL.map(|device| verdict(grant, device)));
        Verdicts(each.collect())
    }
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
struct Required {
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

fn require(operator: Operator, controls: &[ControlCode], proofs: &[Proven], device: DeviceState) -> Required {
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
    fn verdict(self) -> Verdict {
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
    fn until_context(self) -> Verdict {
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

/// What a sign-in says of something that tokens can prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proven {
    Yes,
    /// Not now; another sign-in could.
    NotYet,
    /// No token of this issuer holds such evidence.
    Never,
}

impl Proof {
    fn state(&self, sign_in: &SignIn, set: &PolicySet) -> Proven {
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
            Self::PasswordChange => issuer.tells_password_change,
            Self::Strength(name) => {
                let named = set.strengths.iter().find(|strength| strength.name == *name);
                named.is_some_and(|strength| strength.is_provable_by(issuer))
            }
            Self::Terms(_) => issuer.tells_terms,
            Self::Custom(_) => issuer.tells_custom_controls,
        }
    }
}

fn is_client(clients: &[String], sign_in: &SignIn) -> bool {
    let id = sign_in.client_id.as_ref();
    id.is_some_and(|id| clients.iter().any(|one| text::eq(one, id)))
}

/// Whether a policy is met by the issuer's word that its context was satisfied: one that asks something, of a
/// context. A block is not.
fn is_by_context(policy: &Policy) -> bool {
    matches!((&*policy.targets, &policy.grant), (Targets::Contexts(_), Grant::Require { .. }))
}

fn span_secs(frequency: SignInFrequency) -> i64 {
    match frequency {
        SignInFrequency::Every(span) => i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        SignInFrequency::EveryTime => EVERY_TIME_SKEW_SECS,
    }
}

/// Things that are kept once each, and named by their place.
struct Interner<T>(HashMap<T, u32>);

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Eq + Hash> Interner<T> {
    fn place(&mut self, item: T) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry(item).or_insert(next)
    }

    fn into_list(self) -> Box<[T]> {
        let mut list: Vec<(T, u32)> = self.0.into_iter().collect();
        list.sort_unstable_by_key(|(_, place)| *place);
        list.into_iter().map(|(item, _)| item).collect()
    }
}

#[derive(Default)]
struct Names {
    grants: Interner<GrantCode>,
    sessions: Interner<Session>,
    proofs: Interner<Proof>,
}

impl Names {
    fn grant(&mut self, policy: &Policy) -> u32 {
        let code = match &policy.grant {
            Grant::Block => GrantCode::Block(block_reason(&policy.conditions)),
            Grant::SessionOnly => GrantCode::Nothing,
            Grant::Require { operator, controls } => {
                let controls = controls.iter().map(|control| self.control(control)).collect();
                GrantCode::Require { operator: *operator, controls, by_context: is_by_context(policy) }
            }
        };
        self.grants.place(code)
    }

    fn session(&mut self, session: &SessionControls) -> Option<SessionIndex> {
        if *session == SessionControls::default() {
            return None;
        }
        let place = self.sessions.place(Session {
            sign_in_age_max_secs: session.sign_in_frequency.map(span_secs),
            persistent_browser: session.persistent_browser,
        });
        NonZeroU32::new(place.saturating_add(1)).map(SessionIndex)
    }

    fn control(&mut self, control: &Control) -> ControlCode {
        let mut proof = |proof: Proof| ControlTest::Proof(self.proofs.place(proof));
        let (test, reason, performable) = match control {
            Control::Mfa => (proof(Proof::Mfa), ReasonCode::MfaRequired, true),
            Control::CompliantDevice => (ControlTest::Compliant, ReasonCode::DeviceNotCompliant, false),
            Control::HybridJoinedDevice => (ControlTest::HybridJoined, ReasonCode::DeviceNotJoined, false),
            Control::ApprovedClientApp => {
                (proof(Proof::ApprovedClient), ReasonCode::ClientNotApproved, false)
            }
            Control::AppProtection => (proof(Proof::ProtectedClient), ReasonCode::ClientNotProtected, false),
            Control::PasswordChange => {
                (proof(Proof::PasswordChange), ReasonCode::PasswordChangeRequired, true)
            }
            Control::Strength(name) => {
                (proof(Proof::Strength(name.clone())), ReasonCode::StrengthRequired, true)
            }
            Control::TermsOfUse(name) => (proof(Proof::Terms(name.clone())), ReasonCode::TermsRequired, true),
            Control::Custom(name) => {
                (proof(Proof::Custom(name.clone())), ReasonCode::ExternalControlRequired, true)
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
