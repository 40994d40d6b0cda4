//! What the user can do: ways that would let in, each made of steps that are needed together.

use arrayvec::ArrayVec;
use portcullis_policy::decision::ReasonCode;
use portcullis_policy::model::ClientAppType;
use portcullis_policy::remedy::Remedy;

use super::details::platform_name;
use super::escape::{Escaper, Hole, Plain};
use super::facts::DeviceState;
use super::step::{Card, Remedied, Step, Suggestion, WAYS_MAX, Way};
use super::texts::{Message, STEPS_MAX, Texts};
use super::view::View;
use crate::refusal::{Class, ClientCertificateProblem, ErrorInfo};

impl View<'_> {
    /// What helps, way by way.
    pub(super) fn remedies(&self) -> Vec<Remedied> {
        if self.own.is_none() {
            return Vec::new();
        }
        let of_step = |(way, step): (u8, &Step)| Remedied {
            kind: step.kind(),
            step: Some(*step),
            is_verified: step.is_verified(),
            way,
        };
        let said = |kind, is_verified| vec![Remedied { kind, step: None, is_verified, way: 1 }];
        match self.card {
            Card::Administrator => said("administrator", true),
            Card::NoneFound => said("help_desk", false),
            Card::None
            | Card::Ways
            | Card::SignIn(_)
            | Card::Later(_)
            | Card::HelpDesk
            | Card::Waiting
            | Card::Maintenance
            | Card::Limited => {
                let numbered = (1_u8..).zip(&self.ways);
                numbered
                    .flat_map(|(way, steps)| steps.iter().map(move |step| (way, step)))
                    .map(of_step)
                    .collect()
            }
        }
    }

    /// What is said of what helps.
    pub(super) fn remedy(&self, remedied: Remedied, out: &mut impl Escaper) {
        match remedied.step {
            Some(step) => self.instruction(step, out),
            None => {
                self.card_heading(out);
            }
        }
    }

    /// Writes what is to be done first, or what there is to know; `false` where there is nothing.
    pub(super) fn advice(&self, out: &mut impl Escaper) -> bool {
        match self.ways.first().and_then(|way| way.first()) {
            Some(step) => {
                self.instruction(*step, out);
                true
            }
            // A program that shows a line does not wait: it is told when to try again.
            None if matches!(self.card, Card::Waiting | Card::Maintenance) => {
                self.card_note(out);
                true
            }
            None => self.card_heading(out),
        }
    }

    /// Whether anything was seen that the step is about.
    pub(super) fn has_seen(&self, step: Step) -> bool {
        let mut seen = String::new();
        self.seen(step, &mut Plain(&mut seen));
        !seen.is_empty()
    }

    /// Whether the ways are listed step by step.
    pub(super) const fn lists_ways(&self) -> bool {
        matches!(self.card, Card::Ways)
    }

    /// The ways that would let in. Where a risk is among the reasons there is none: what helps the
    /// user would help the thief as well.
    pub(super) fn find_ways(&self, certificate: Option<ClientCertificateProblem>) -> ArrayVec<Way, WAYS_MAX> {
        let one = |suggestion| ArrayVec::from_iter([Way::from_iter([Step::Suggested(suggestion)])]);
        if let (Some(problem), false, Some(_)) = (certificate, self.is_temporary, self.own) {
            return one(Suggestion::Certificate(problem));
        }
        let (Some(refused), Some(own)) = (self.refused, self.own) else { return ArrayVec::new() };
        let hidden = refused.reasons.with(refused.primary).contains(ReasonCode::BlockedByRisk)
            || self.groups_missing
            // What would help was just tried.
            || self.not_delivered;
        if self.is_temporary || hidden {
            return ArrayVec::new();
        }
        own.remedies
            .map_or(&[][..], |found| &found.alternatives)
            .iter()
            .map(|alternative| &alternative.changes)
            .filter(|changes| (1..=usize::from(STEPS_MAX)).contains(&changes.len()))
            .map(|changes| changes.iter().map(|remedy| Step::Verified(*remedy)).collect())
            .take(WAYS_MAX)
            .collect()
    }

    /// Whether a step, or what the page begins with, says this reason already.
    pub(super) fn is_said(&self, reason: &ErrorInfo) -> bool {
        let is_policy = matches!(reason.class, Class::Policy | Class::Assignment | Class::Unavailable);
        is_policy || self.ways.iter().flatten().any(|step| step.covers(reason.class))
    }

    /// What to do.
    pub(super) fn instruction(&self, step: Step, out: &mut impl Escaper) {
        let system = match step {
            Step::Verified(Remedy::NewerOs) => {
                self.own.and_then(|own| own.os_name().or(own.platform.map(platform_name)))
            }
            Step::Verified(_) | Step::Suggested(_) => None,
        };
        instruct(step, system, self.context.texts, out);
    }

    /// What was seen that the step is about; nothing is written where there is nothing to say.
    pub(super) fn seen(&self, step: Step, out: &mut impl Escaper) {
        let (texts, Some(own)) = (self.context.texts, self.own) else { return };
        if step.is_network() {
            self.seen_at(out);
            if step == Step::Verified(Remedy::OtherCountry) && self.country().is_some() {
                out.literal(texts.space);
                out.literal(texts.seen_country_by_vpn.as_str());
            }
            return;
        }
        if step.is_device() {
            return self.seen_device(out);
        }
        if step.is_sign_in() {
            if let Some(at) = own.record.and_then(|record| record.auth_time) {
                texts.seen_signed_in_at.write(out, &[(Hole::Time, &texts.locale.moment(at))]);
            }
            return;
        }
        if let (Step::Verified(Remedy::NewerOs), Some(_), Some(version)) =
            (step, own.os_name(), own.os_version)
        {
            texts.seen_version.write(out, &[(Hole::Version, version)]);
        }
    }

    fn seen_at(&self, out: &mut impl Escaper) {
        let (texts, Some(address)) = (self.context.texts, self.address.as_deref()) else { return };
        match self.country() {
            Some(country) => {
                texts.seen_at_country.write(out, &[(Hole::Address, address), (Hole::Country, country)]);
            }
            None => texts.seen_at.write(out, &[(Hole::Address, address)]),
        }
    }

    fn seen_device(&self, out: &mut impl Escaper) {
        let (texts, Some(own)) = (self.context.texts, self.own) else { return };
        let named = |message: &Message, id: &str, out: &mut _| message.write(out, &[(Hole::Device, id)]);
        match own.device {
            DeviceState::NotAvailable if own.client_app == Some(ClientAppType::Browser) => {
                out.literal(texts.seen_device_not_shown.as_str());
            }
            DeviceState::NotAvailable => out.literal(texts.seen_device_not_shown_by_client.as_str()),
            DeviceState::NotCompliant { id } => named(&texts.seen_device_lacking, id, out),
            DeviceState::Registered { id } => named(&texts.seen_device_registered, id, out),
            // What passed is never listed.
            DeviceState::Compliant { .. } | DeviceState::HybridJoined { .. } => {}
        }
    }
}

/// What to do; `system`: what the device runs, where it is known.
pub(super) fn instruct(step: Step, system: Option<&str>, texts: &Texts, out: &mut impl Escaper) {
    let message = match step {
        Step::Verified(remedy) => match remedy {
            Remedy::LeaveNetwork => &texts.step_leave_network,
            Remedy::ApprovedNetwork => &texts.step_approved_network,
            Remedy::OtherCountry => &texts.step_other_country,
            Remedy::LaterTime { at } => {
                let time = texts.locale.moment_with_weekday(at);
                return texts.step_later.write(out, &[(Hole::Time, &time)]);
            }
            Remedy::NewerOs => {
                let Some(name) = system else { return out.literal(texts.step_update_nameless.as_str()) };
                return texts.step_update.write(out, &[(Hole::Platform, name)]);
            }
            Remedy::SignInAgain => &texts.step_sign_in_again,
            Remedy::StrongerSignIn { .. } => &texts.step_stronger,
            Remedy::AcceptTerms => &texts.step_terms,
            Remedy::ExternalControl => &texts.step_external,
            Remedy::ChangePassword => &texts.step_password,
            Remedy::OtherSignInFlow => &texts.step_other_flow,
            Remedy::ApprovedClientApp => &texts.step_approved_app,
            Remedy::ProtectedClientApp => &texts.step_protected_app,
            Remedy::CompliantDevice => &texts.step_compliant_device,
            Remedy::HybridJoinedDevice => &texts.step_hybrid_device,
            Remedy::RegisteredDevice => &texts.step_registered_device,
            Remedy::OtherDevice => &texts.step_other_device,
        },
        Step::Suggested(suggestion) => match suggestion {
            Suggestion::SignInAgain => &texts.step_sign_in_again,
            Suggestion::Certificate(problem) => match problem {
                ClientCertificateProblem::Missing => &texts.step_certificate_choose,
                ClientCertificateProblem::Untrusted => &texts.step_certificate_other,
                ClientCertificateProblem::Revoked | ClientCertificateProblem::Unverifiable => {
                    &texts.step_certificate_new
                }
                ClientCertificateProblem::Expired => &texts.step_certificate_renew,
            },
        },
    };
    out.literal(message.as_str());
}
