//! What each policy asks, its names resolved: grant controls, session limits, and the reason that is
//! given when it refuses.
//!
//! What a grant comes to depends on the sign-in and on the state of the device. The sign-in is fixed by
//! the token, and a device has six states: so `bind` works the answers out, and a request looks them up.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::Hash;
use core::num::NonZeroU32;

use hashbrown::HashMap;

use super::bits::Ones;
use super::controls::{ControlCode, ControlTest, DeviceState, Kind, Proof, Proven, Verdict, require};
use super::layout::Layout;
use super::remainder::{QuestionIndex, QuestionsBuilder};
use crate::decision::{PolicyIndex, ReasonCode, ReasonSet};
use crate::model::{
    Conditions, Control, Grant, Operator, Persistence, Policy, PolicySet, PolicyState, SessionControls,
    SignInFrequency, Targets,
};
use crate::signals::SignIn;

/// Clock skew that `everyTime` forgives, in seconds (Entra: five minutes).
const EVERY_TIME_SKEW_SECS: i64 = 300;

/// A policy, as the request path reads it: one for each bit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub(crate) policy: PolicyIndex,
    pub(crate) enforced: bool,
    /// What the tables do not answer.
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

/// What a policy asks of whoever it applies to, for those who look for a way through.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asks<'p> {
    /// Nothing would do.
    Block,
    /// Nothing, but for what its session controls say.
    Nothing,
    /// These controls, all or one of them.
    Controls(Operator, &'p [ControlCode]),
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

    /// What a policy asks, its session controls apart. A grant that cannot be found is a block.
    pub(crate) fn asks(&self, demand: &Demand) -> Asks<'_> {
        match self.grants.get(demand.grant as usize) {
            Some(GrantCode::Block(_)) | None => Asks::Block,
            Some(GrantCode::Nothing) => Asks::Nothing,
            Some(GrantCode::Require { operator, controls, .. }) => Asks::Controls(*operator, controls),
        }
    }

    /// Something that tokens can prove, by its place.
    pub(crate) fn proof(&self, place: u32) -> Option<&Proof> {
        self.proofs.get(place as usize)
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
        let trusts_contexts = sign_in.issuer.contexts_satisfy;
        let verdict = |grant: &GrantCode, device: DeviceState| match grant {
            GrantCode::Block(reason) => {
                Verdict { kind: Kind::Blocks, reasons: ReasonSet::EMPTY.with(*reason), unsure: false }
            }
            GrantCode::Nothing => Verdict::SATISFIED,
            GrantCode::Require { operator, controls, by_context: true } if trusts_contexts => {
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

/// Values stored once each, named by their position.
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
