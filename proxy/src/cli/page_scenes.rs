//! The refusals that `portcullis page` draws: each whose page is another, and each state that a page can be in, with what
//! typically ends it.

use portcullis_policy::decision::{ReasonCode, ReasonSet, Refused};
use portcullis_policy::remedy::{Finding, Remedies, Remedy, StrongerMethod};

use crate::denial::DeviceState;
use crate::refusal::{BadRequest, BadToken, Refusal, Subcode};

/// One page: its name, the refusal, and what would end it.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) name: String,
    pub(super) refusal: Refusal,
    ways: &'static [&'static [Remedy]],
    finding: Finding,
    pub(super) device: DeviceState<'static>,
    pub(super) repeats: u32,
    pub(super) not_delivered: bool,
}

impl Scene {
    fn new(name: &str, refusal: Refusal) -> Self {
        Self {
            name: name.to_owned(),
            refusal,
            ways: &[],
            finding: Finding::OnlyAdministrator,
            device: DeviceState::NotAvailable,
            repeats: 1,
            not_delivered: false,
        }
    }

    pub(super) fn remedies(&self) -> Remedies {
        let found = Remedies::example(self.ways.iter().map(|changes| changes.to_vec()));
        if self.ways.is_empty() { Remedies { finding: self.finding, ..found } } else { found }
    }
}

/// Every page that a refusal can have.
pub(super) fn all() -> Vec<Scene> {
    Refusal::all().iter().filter_map(scene).chain(states()).collect()
}

const ID: &str = "5f3c2a10-77aa-4c1e-9d6b-0a1b2c3d4e5f";
const COMPLIANT: DeviceState<'_> = DeviceState::Compliant { id: ID };
const LACKING: DeviceState<'_> = DeviceState::NotCompliant { id: ID };
const STRONGER: Remedy = Remedy::StrongerSignIn { method: StrongerMethod::Mfa };

/// One page for each state of the card.
fn states() -> impl Iterator<Item = Scene> {
    let blocked = |primary: ReasonCode, other: ReasonCode| {
        let reasons = ReasonSet::EMPTY.with(primary).with(other);
        Refusal::Policy(Refused { primary, reasons, temporary: false }, Subcode::None)
    };
    let place = blocked(ReasonCode::BlockedByLocation, ReasonCode::DeviceNotCompliant);
    let rule = blocked(ReasonCode::Blocked, ReasonCode::Blocked);
    let more = blocked(ReasonCode::MfaRequired, ReasonCode::MfaRequired);
    let of = |name: &str, refusal, ways, device| Scene { ways, device, ..Scene::new(name, refusal) };
    [
        of("state-two-steps", place, &[&[Remedy::LeaveNetwork, Remedy::CompliantDevice]], LACKING),
        of("state-three-steps", place, &[&[STRONGER, Remedy::ApprovedNetwork, Remedy::NewerOs]], LACKING),
        of("state-one-step", place, &[&[Remedy::ApprovedNetwork]], COMPLIANT),
        of("state-other-country", place, &[&[Remedy::OtherCountry]], COMPLIANT),
        of(
            "state-alternatives",
            place,
            &[&[Remedy::LeaveNetwork], &[STRONGER, Remedy::CompliantDevice]],
            DeviceState::NotAvailable,
        ),
        Scene { finding: Finding::NotFound, ..Scene::new("state-none-found", rule) },
        Scene { repeats: 4, ..Scene::new("state-administrator", place) },
        Scene { not_delivered: true, ..Scene::new("state-not-delivered", more) },
        Scene { finding: Finding::SignInNotTold, ..Scene::new("state-sign-in-not-told", more) },
        of("state-closed", rule, &[&[Remedy::LaterTime { at: 1_796_022_000 }]], COMPLIANT),
    ]
    .into_iter()
}

/// One scene for each refusal whose page is another.
fn scene(refusal: &Refusal) -> Option<Scene> {
    let info = refusal.info();
    let mut scene = Scene::new(info.reason, *refusal);
    match refusal {
        Refusal::Policy(_, Subcode::GroupsMissing) => {}
        Refusal::Policy(refused, _) => {
            scene.name = format!("{}-{}", info.reason, info.code);
            (scene.ways, scene.device) = example(refused.primary);
        }
        Refusal::BadRequest(BadRequest::Target) => scene.name = "bad-request".to_owned(),
        Refusal::BadToken(BadToken::Signature) => scene.name = "token-invalid".to_owned(),
        Refusal::BadToken(BadToken::Expired | BadToken::Revoked | BadToken::NotTried) => {}
        Refusal::BadRequest(BadRequest::Misdirected) => {}
        // Shown as those above, or as `no-token`.
        Refusal::BadRequest(_) | Refusal::BadToken(_) | Refusal::BadSession(_) => return None,
        Refusal::NoApp
        | Refusal::NoToken
        | Refusal::ClientCertificate(_)
        | Refusal::KeysUnavailable
        | Refusal::SessionsUnavailable
        | Refusal::Internal
        | Refusal::Upstream { .. }
        | Refusal::TooManyRequests(_)
        | Refusal::BodyTooLarge
        | Refusal::BodyTooSlow
        | Refusal::Maintenance
        | Refusal::Loop => {}
        // The pages of signing in are drawn by `pages`.
        Refusal::SignIn(_) => return None,
    }
    Some(scene)
}

/// What typically ends a refusal for this reason, and the device that it is about.
const fn example(reason: ReasonCode) -> (&'static [&'static [Remedy]], DeviceState<'static>) {
    match reason {
        ReasonCode::BlockedByLocation => (&[&[Remedy::LeaveNetwork], &[Remedy::CompliantDevice]], LACKING),
        ReasonCode::BlockedByPlatform => (&[&[Remedy::NewerOs]], COMPLIANT),
        ReasonCode::BlockedByClientApp => (&[&[Remedy::ApprovedClientApp]], COMPLIANT),
        ReasonCode::BlockedByDevice => {
            (&[&[Remedy::ApprovedNetwork, Remedy::RegisteredDevice]], DeviceState::NotAvailable)
        }
        ReasonCode::BlockedByFlow => (&[&[Remedy::OtherSignInFlow]], COMPLIANT),
        ReasonCode::BlockedByRequest => (&[&[Remedy::LaterTime { at: 1_795_510_800 }]], COMPLIANT),
        ReasonCode::DeviceNotCompliant => (&[&[Remedy::CompliantDevice]], LACKING),
        ReasonCode::DeviceUnknown => (&[&[Remedy::CompliantDevice]], DeviceState::NotAvailable),
        ReasonCode::DeviceNotJoined => (&[&[Remedy::HybridJoinedDevice]], DeviceState::Registered { id: ID }),
        ReasonCode::ClientNotApproved => (&[&[Remedy::ApprovedClientApp]], COMPLIANT),
        ReasonCode::ClientNotProtected => (&[&[Remedy::ProtectedClientApp]], COMPLIANT),
        ReasonCode::MfaRequired | ReasonCode::StrengthRequired => (&[&[STRONGER]], COMPLIANT),
        ReasonCode::SignInTooOld => (&[&[Remedy::SignInAgain]], COMPLIANT),
        ReasonCode::PasswordChangeRequired => (&[&[Remedy::ChangePassword]], COMPLIANT),
        ReasonCode::TermsRequired => (&[&[Remedy::AcceptTerms]], COMPLIANT),
        ReasonCode::ExternalControlRequired => (&[&[Remedy::ExternalControl]], COMPLIANT),
        ReasonCode::NotAssigned
        | ReasonCode::BlockedByRisk
        | ReasonCode::Blocked
        | ReasonCode::NoPolicy
        | ReasonCode::NotProvable
        | ReasonCode::FactUnavailable => (&[], COMPLIANT),
    }
}
