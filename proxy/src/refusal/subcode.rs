//! What narrows the code of a refusal by policies.

use portcullis_policy::decision::{ReasonCode, Refused};
use portcullis_policy::model::Evidence;
use portcullis_policy::signals::{Fact, Principal};
use portcullis_policy::words;

words! {
    /// What distinguishes two refusals for the same reason, because what ends them differs.
    #[derive(Default)]
    pub enum Subcode {
        /// The reason says it all.
        #[default]
        None = "none",
        /// The sign-in is too old, and it was a multifactor one: the second factor is asked for again.
        MfaExpired = "mfa-expired",
        /// A device is asked for, and a token that a program sent carries no claim about one.
        DeviceClaimsMissing = "device-claims-missing",
        /// The decision turned on groups or roles that the token does not list whole, or not in a form that can be
        /// read. Waiting does not help; an administrator's change of the issuer or of the settings does.
        GroupsMissing = "groups-not-told",
    }
}

impl Subcode {
    /// The subcode of a refusal by policies, of somebody with a token that was brought so. `evidence`: what the
    /// policies accept as proof.
    pub(super) fn of(refused: Refused, principal: &Principal, evidence: &Evidence, carrier: Carrier) -> Self {
        let standing = &principal.standing;
        let is_missing = standing.groups == Fact::Unavailable || standing.roles == Fact::Unavailable;
        match (refused.primary, carrier) {
            _ if refused.temporary && is_missing => Self::GroupsMissing,
            (ReasonCode::SignInTooOld, _) if evidence.proves_mfa(&standing.sign_in) => Self::MfaExpired,
            (ReasonCode::DeviceUnknown, Carrier::Bearer) => Self::DeviceClaimsMissing,
            _ => Self::None,
        }
    }

    /// The reason and subcode whose row of the table counts. A refusal that turned on an unavailable fact is
    /// temporary, whatever policy said it, unless the fact is one that waiting does not bring; a subcode that does
    /// not fit the reason is none.
    pub(super) const fn fitting(self, refused: Refused) -> (ReasonCode, Self) {
        match (self, refused.primary) {
            (Self::GroupsMissing, _) => (ReasonCode::FactUnavailable, self),
            _ if refused.temporary => (ReasonCode::FactUnavailable, Self::None),
            (Self::MfaExpired, ReasonCode::SignInTooOld)
            | (Self::DeviceClaimsMissing, ReasonCode::DeviceUnknown) => (refused.primary, self),
            (Self::None | Self::MfaExpired | Self::DeviceClaimsMissing, _) => (refused.primary, Self::None),
        }
    }
}

/// What brought a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// `Authorization: Bearer`: a program that can be given other tokens.
    Bearer,
    /// A cookie or header of a session that began in a browser.
    BrowserSession,
}
