//! What the user can do, as far as it may be said.

use arrayvec::ArrayVec;
use portcullis_policy::decision::ReasonCode;
use portcullis_policy::model::ClientAppType;
use portcullis_policy::remedy::{Alternative, Remedy};

use super::details::platform_name;
use super::escape::Escaper;
use super::facts::{DeviceState, Facts};
use super::texts::{Hole, Message, Texts};
use super::view::View;
use crate::refusal::Resolution;

/// Alternatives shown at most, and parts of one.
const REMEDIES_MAX: usize = 3;
const REMEDY_PARTS_MAX: usize = 3;

/// Something that the user can do.
#[derive(Clone, Copy, Debug)]
pub(super) enum RemedyView<'v> {
    /// Changes that are needed together; the policies were asked again with them, and let in.
    Verified(&'v [Remedy]),
    /// What helps by its nature: its word for programs, and what is said.
    Suggested(&'static str, &'static Message),
}

impl<'v> View<'v> {
    /// What the user can do. Where a risk is among the reasons nothing is offered: what helps
    /// the user would help the thief as well.
    pub(super) fn remedies(&self) -> ArrayVec<RemedyView<'v>, REMEDIES_MAX> {
        let texts = self.context.texts;
        let one = |remedy| ArrayVec::from_iter([remedy]);
        let (Some(refused), Some(own)) = (self.refused, self.own) else { return ArrayVec::new() };
        if self.is_temporary {
            return ArrayVec::new();
        }
        let administrator = RemedyView::Suggested("administrator", &texts.remedy_administrator);
        if refused.reasons.with(refused.primary).contains(ReasonCode::BlockedByRisk) {
            return one(administrator);
        }
        if self.groups_missing {
            return one(administrator);
        }
        if own.step_up_not_delivered {
            // What would help was just tried.
            return ArrayVec::new();
        }
        let verified = own.remedies.map_or(&[][..], |found| &found.alternatives).iter();
        let is_shown = |one: &&Alternative| (1..=REMEDY_PARTS_MAX).contains(&one.changes.len());
        let verified: ArrayVec<_, REMEDIES_MAX> = verified
            .filter(is_shown)
            .take(REMEDIES_MAX)
            .map(|one| RemedyView::Verified(&one.changes))
            .collect();
        if !verified.is_empty() {
            return verified;
        }
        one(match refused.primary {
            ReasonCode::PasswordChangeRequired => {
                RemedyView::Suggested("change_password", &texts.remedy_password)
            }
            ReasonCode::TermsRequired | ReasonCode::ExternalControlRequired => {
                RemedyView::Suggested("sign_in_again", &texts.remedy_interaction)
            }
            ReasonCode::SignInTooOld => RemedyView::Suggested("sign_in_again", &texts.remedy_sign_in_again),
            ReasonCode::BlockedByFlow => RemedyView::Suggested("other_sign_in", &texts.remedy_other_flow),
            _ if self.info.resolution == Resolution::Reauthenticate => {
                RemedyView::Suggested("stronger_sign_in", &texts.remedy_stronger)
            }
            _ => administrator,
        })
    }

    /// What is said of one remedy.
    pub(super) fn remedy(&self, remedy: RemedyView<'_>, out: &mut impl Escaper) {
        let texts = self.context.texts;
        match remedy {
            RemedyView::Suggested(_, message) => out.literal(message.as_str()),
            RemedyView::Verified(parts) => {
                if parts.len() > 1 {
                    out.literal(texts.remedy_together.as_str());
                    out.literal(texts.space);
                }
                for (at, remedy) in parts.iter().enumerate() {
                    if at > 0 {
                        out.literal(texts.space);
                    }
                    self.remedy_part(*remedy, out);
                }
            }
        }
    }

    fn remedy_part(&self, remedy: Remedy, out: &mut impl Escaper) {
        let (texts, Some(own)) = (self.context.texts, self.own) else { return };
        let message = match remedy {
            Remedy::LeaveNetwork | Remedy::OtherCountry | Remedy::ApprovedNetwork => {
                out.literal(texts.remedy_other_network.as_str());
                let Some(address) = self.address.as_deref() else { return };
                out.literal(texts.space);
                match own.shown_country() {
                    Some(code) => {
                        let country = texts.locale.country(code).unwrap_or(code);
                        let values = [(Hole::Address, address), (Hole::Country, country)];
                        texts.seen_at_country.write(out, &values);
                    }
                    None => texts.seen_at.write(out, &[(Hole::Address, address)]),
                }
                return;
            }
            Remedy::LaterTime { at } => {
                return texts.remedy_later.write(out, &[(Hole::Time, &texts.locale.moment(at))]);
            }
            Remedy::NewerOs => match (own.platform, own.os_version) {
                (Some(platform), Some(version)) => {
                    let values = [(Hole::Platform, platform_name(platform)), (Hole::Version, version)];
                    return texts.remedy_update_named_os.write(out, &values);
                }
                (Some(_) | None, _) => &texts.remedy_update_os,
            },
            Remedy::ApprovedClientApp | Remedy::ProtectedClientApp => &texts.remedy_desktop_or_mobile,
            Remedy::StrongerSignIn { .. } => &texts.remedy_stronger,
            Remedy::AcceptTerms | Remedy::ExternalControl => &texts.remedy_interaction,
            Remedy::ChangePassword => &texts.remedy_password,
            Remedy::OtherSignInFlow => &texts.remedy_other_flow,
            Remedy::OtherDevice => &texts.remedy_registered_device,
            Remedy::SignInAgain => &texts.remedy_sign_in_again,
            Remedy::CompliantDevice => &texts.remedy_compliant_device,
            Remedy::HybridJoinedDevice => &texts.remedy_hybrid_device,
            Remedy::RegisteredDevice => &texts.remedy_registered_device,
        };
        out.literal(message.as_str());
        let is_about_device =
            matches!(remedy, Remedy::CompliantDevice | Remedy::HybridJoinedDevice | Remedy::RegisteredDevice);
        if let (true, Some(seen)) = (is_about_device, device_seen(own, texts)) {
            out.literal(texts.space);
            out.literal(seen.as_str());
        }
    }
}

impl RemedyView<'_> {
    /// Writes the word for programs; those of several parts are joined by `+`.
    pub(super) fn kind(self, out: &mut impl Escaper) {
        match self {
            Self::Suggested(kind, _) => out.literal(kind),
            Self::Verified(parts) => {
                for (at, remedy) in parts.iter().enumerate() {
                    if at > 0 {
                        out.literal("+");
                    }
                    out.literal(match remedy {
                        // Programs read this word; the engine's own is another.
                        Remedy::NewerOs => "update_os",
                        other => other.as_str(),
                    });
                }
            }
        }
    }

    pub(super) const fn is_verified(self) -> bool {
        matches!(self, Self::Verified(_))
    }
}

/// What is to be said of the device that was seen, where another is asked for.
fn device_seen(own: &Facts<'_>, texts: &'static Texts) -> Option<&'static Message> {
    match own.device {
        DeviceState::NotAvailable if own.client_app == Some(ClientAppType::Browser) => {
            Some(&texts.device_not_shown)
        }
        DeviceState::NotAvailable => Some(&texts.device_not_shown_by_client),
        DeviceState::Unregistered => Some(&texts.device_unregistered),
        DeviceState::NotCompliant { .. } => Some(&texts.device_not_compliant),
        DeviceState::Registered { .. } | DeviceState::Compliant { .. } | DeviceState::HybridJoined { .. } => {
            None
        }
    }
}
