//! What is said, before it takes a form: page, twin and text are made from the same [`View`], so
//! that none of them tells more than the others.

use std::borrow::Cow;

use arrayvec::ArrayVec;
use portcullis_config::settings::Disclosure;
use portcullis_policy::decision::{ReasonCode, Refused};
use portcullis_policy::model::{ClientAppType, Platform};
use portcullis_policy::remedy::Remedy;

use super::Desk;
use super::escape::{Pen, Plain, cap, is_own_path, is_web_link, one_line};
use super::facts::{DeviceState, Facts};
use super::repeats::REPEATS_SHOWN_MAX;
use super::texts::{Hole, Message, Texts, label};
use crate::clock;
use crate::refusal::{ErrorInfo, Refusal, Resolution, Subcode};

/// Alternatives shown at most, and parts of one.
const REMEDIES_MAX: usize = 3;
const REMEDY_PARTS_MAX: usize = 2;

/// What a denial is told with, beside the facts.
#[derive(Debug)]
pub(super) struct Teller<'v> {
    pub(super) desk: &'v Desk,
    pub(super) texts: &'static Texts,
    pub(super) disclosure: Disclosure,
    /// The operator's words of the policies that refused.
    pub(super) messages: Vec<&'v str>,
    /// How many such refusals there were a short while ago, this one included.
    pub(super) repeats: u32,
    pub(super) support_code: Option<String>,
    /// Whether a person can simply ask again: a read, which is safe to repeat.
    pub(super) can_repeat: bool,
}

/// Everything that one denial may say. What takes words is written when a form asks for it, so that
/// no form pays for the words of another.
#[derive(Debug)]
pub(super) struct View<'v> {
    pub(super) info: ErrorInfo,
    /// The code in digits; empty where there is none.
    pub(super) code: String,
    pub(super) request_id: String,
    pub(super) correlation_id: Option<String>,
    pub(super) timestamp: String,
    /// The user's own facts; `None` where they are not to be shown.
    pub(super) own: Option<&'v Facts<'v>>,
    /// The client's address, among the own facts.
    pub(super) address: Option<String>,
    /// Whether the way out may be named: not at minimal disclosure of a decision.
    pub(super) names_resolution: bool,
    pub(super) is_temporary: bool,
    refused: Option<Refused>,
    /// Whether the decision turned on groups that the token does not tell.
    groups_not_told: bool,
    sign_in_url: Option<&'v str>,
    opening: Opening,
    teller: Teller<'v>,
}

/// Something that the user can do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way<'v> {
    /// Changes that are needed together; the policies were asked again with them, and let in.
    Verified(&'v [Remedy]),
    /// What helps by its nature: its word in the twin, and what is said.
    Likely(&'static str, &'static Message),
}

/// A link.
#[derive(Debug)]
pub(super) struct Action<'v> {
    pub(super) text: Cow<'v, str>,
    /// Checked, not escaped.
    pub(super) href: Cow<'v, str>,
    pub(super) is_primary: bool,
}

/// What a denial begins with.
#[derive(Debug)]
struct Opening {
    /// With the app's name, and without.
    headline: (Option<&'static Message>, &'static Message),
    lead: &'static Message,
    /// Whether trying again helps.
    verdict: Option<&'static Message>,
}

impl Opening {
    fn of(refusal: &Refusal, resolution: Resolution, texts: &'static Texts) -> Self {
        let unavailable = (Some(&texts.headline_unavailable), &texts.headline_unavailable_nameless);
        let is_temporary = resolution == Resolution::RetryLater;
        let (headline, lead, structural) = match refusal {
            Refusal::Policy(_, Subcode::GroupsNotTold) => (
                (Some(&texts.headline_account), &texts.headline_account_nameless),
                &texts.lead_groups,
                Some(&texts.verdict_groups),
            ),
            Refusal::Policy(..) if is_temporary => (unavailable, &texts.lead_unavailable, None),
            Refusal::Policy(refused, _) => match (refused.primary, resolution) {
                (_, Resolution::Reauthenticate) => (
                    (Some(&texts.headline_reauthenticate), &texts.headline_reauthenticate_nameless),
                    &texts.lead_reauthenticate,
                    Some(&texts.verdict_reauthenticate),
                ),
                (ReasonCode::NotAssigned, _) => (
                    (Some(&texts.headline_account), &texts.headline_account_nameless),
                    &texts.lead_account,
                    Some(&texts.verdict_structural),
                ),
                _ => (
                    (Some(&texts.headline_context), &texts.headline_context_nameless),
                    &texts.lead_context,
                    Some(&texts.verdict_structural),
                ),
            },
            Refusal::Upstream { .. } => (unavailable, &texts.lead_upstream, None),
            Refusal::KeysUnavailable => (unavailable, &texts.lead_unavailable, None),
            Refusal::NoToken | Refusal::BadSession(_) => {
                ((None, &texts.headline_sign_in), &texts.lead_sign_in, None)
            }
            Refusal::BadToken(_) => ((None, &texts.headline_sign_in_again), &texts.lead_sign_in_again, None),
            Refusal::BadRequest(_) => ((None, &texts.headline_bad_request), &texts.lead_bad_request, None),
            Refusal::NoApp => ((None, &texts.headline_no_app), &texts.lead_no_app, None),
            Refusal::BodyTooLarge => ((None, &texts.headline_too_large), &texts.lead_too_large, None),
            Refusal::Internal | Refusal::Loop => ((None, &texts.headline_fault), &texts.lead_fault, None),
        };
        let verdict = if is_temporary { Some(&texts.verdict_temporary) } else { structural };
        Self { headline, lead, verdict }
    }
}

impl<'v> View<'v> {
    /// ORACLE: who has no valid token sees nothing of app, address, device or policy; only a
    /// decision, or an upstream's failure after a grant, has a reader whose token was verified.
    pub(super) fn of(refusal: &'v Refusal, facts: &'v Facts<'v>, teller: Teller<'v>) -> Self {
        let info = refusal.info();
        let shows_own = teller.disclosure != Disclosure::Minimal && is_verified(refusal);
        let own = shows_own.then_some(facts);
        // The table speaks: a refusal whose answer is 503 is temporary on the page as well.
        let is_temporary = info.is_temporary();
        let refused = match refusal {
            Refusal::Policy(refused, _) => Some(*refused),
            _ => None,
        };
        Self {
            info,
            code: if info.code == 0 { String::new() } else { info.code.to_string() },
            request_id: uuid::Uuid::from_u128(facts.request_id).to_string(),
            correlation_id: own.and_then(|own| own.trace_id).map(|id| format!("{id:032x}")),
            timestamp: clock::timestamp(facts.now_unix_ms),
            own,
            address: own.and_then(|own| own.client).map(|client| client.to_string()),
            names_resolution: refused.is_none() || own.is_some(),
            is_temporary,
            refused,
            groups_not_told: matches!(refusal, Refusal::Policy(_, Subcode::GroupsNotTold)),
            sign_in_url: facts.sign_in_url,
            opening: Opening::of(refusal, info.resolution, teller.texts),
            teller,
        }
    }

    pub(super) fn headline(&self, pen: &mut impl Pen) {
        let app = self.own.and_then(|own| own.app);
        match (self.opening.headline, app) {
            ((Some(named), _), Some((_, name))) => {
                named.write(pen, &[(Hole::App, name)]);
            }
            ((_, nameless), _) => pen.own(nameless.as_str()),
        }
    }

    pub(super) fn lead(&self, pen: &mut impl Pen) {
        let texts = self.teller.texts;
        if let Some(user) = self.own.and_then(|own| own.user) {
            texts.signed_in_as.write(pen, &[(Hole::User, user)]);
            pen.own(texts.space);
        }
        pen.own(self.opening.lead.as_str());
    }

    /// Whether trying again helps.
    pub(super) fn verdict(&self) -> Option<&'static str> {
        self.opening.verdict.map(Message::as_str)
    }

    /// What is said of a refusal that came again and again.
    pub(super) fn repeated(&self) -> Option<&'static str> {
        let texts = self.teller.texts;
        if self.refused.is_none() || self.own.is_none() || self.is_temporary {
            return None;
        }
        let message = match self.teller.repeats {
            0 | 1 => return None,
            count if count > REPEATS_SHOWN_MAX => &texts.verdict_repeated_often,
            count => texts.verdict_repeated.get(usize::try_from(count - 2).ok()?)?,
        };
        Some(message.as_str())
    }

    /// The operator's words, at full disclosure.
    pub(super) fn messages(&self) -> impl Iterator<Item = &'v str> {
        let shows = self.refused.is_some() && self.own.is_some();
        let is_full = self.teller.disclosure == Disclosure::Full;
        let shown = if shows && is_full { self.teller.messages.as_slice() } else { &[] };
        shown.iter().copied()
    }

    /// All failing classes at once; what passed is never listed. A temporary refusal lists only that
    /// a fact was missing: whatever else failed may have failed for want of it.
    pub(super) fn reasons(&self) -> Vec<ErrorInfo> {
        let (Some(refused), Some(_)) = (self.refused, self.own) else { return Vec::new() };
        if self.groups_not_told {
            // Whatever else failed may have failed for want of them.
            return vec![self.info];
        }
        let mut list: Vec<ErrorInfo> = Vec::new();
        for reason in refused.reasons.with(refused.primary).iter() {
            if (reason == ReasonCode::FactUnavailable) != self.is_temporary {
                continue;
            }
            let info = if reason == refused.primary { self.info } else { ErrorInfo::of_reason(reason) };
            let is_same = |known: &ErrorInfo| {
                known.text == info.text || (known.code, known.class) == (info.code, info.class)
            };
            if !list.iter().any(is_same) {
                list.push(info);
            }
        }
        list
    }

    /// What the user can do. Where a risk is among the reasons nothing is offered: a way around it
    /// would be a way for the thief as well.
    pub(super) fn ways(&self) -> ArrayVec<Way<'v>, REMEDIES_MAX> {
        let texts = self.teller.texts;
        let one = |way| ArrayVec::from_iter([way]);
        let (Some(refused), Some(own)) = (self.refused, self.own) else { return ArrayVec::new() };
        if self.is_temporary {
            return ArrayVec::new();
        }
        let administrator = Way::Likely("administrator", &texts.remedy_administrator);
        if refused.reasons.with(refused.primary).contains(ReasonCode::BlockedByRisk) {
            return one(administrator);
        }
        if self.groups_not_told {
            return one(administrator);
        }
        let verified = own.remedies.iter().filter(|parts| !parts.is_empty()).take(REMEDIES_MAX);
        let verified: ArrayVec<_, REMEDIES_MAX> =
            verified.map(|parts| Way::Verified(parts.get(..REMEDY_PARTS_MAX).unwrap_or(parts))).collect();
        if !verified.is_empty() {
            return verified;
        }
        one(match refused.primary {
            ReasonCode::PasswordChangeRequired => Way::Likely("change_password", &texts.remedy_password),
            ReasonCode::TermsRequired | ReasonCode::ExternalControlRequired => {
                Way::Likely("sign_in_again", &texts.remedy_interaction)
            }
            ReasonCode::SignInTooOld => Way::Likely("sign_in_again", &texts.remedy_sign_in_again),
            ReasonCode::BlockedByFlow => Way::Likely("other_sign_in", &texts.remedy_other_flow),
            _ if self.info.resolution == Resolution::Reauthenticate => {
                Way::Likely("stronger_sign_in", &texts.remedy_stronger)
            }
            _ => administrator,
        })
    }

    /// What is said of one way.
    pub(super) fn way(&self, way: Way<'_>, pen: &mut impl Pen) {
        let texts = self.teller.texts;
        match way {
            Way::Likely(_, message) => pen.own(message.as_str()),
            Way::Verified(parts) => {
                if parts.len() > 1 {
                    pen.own(texts.remedy_together.as_str());
                    pen.own(texts.space);
                }
                for (at, remedy) in parts.iter().enumerate() {
                    if at > 0 {
                        pen.own(texts.space);
                    }
                    self.remedy(*remedy, pen);
                }
            }
        }
    }

    fn remedy(&self, remedy: Remedy, pen: &mut impl Pen) {
        let (texts, Some(own)) = (self.teller.texts, self.own) else { return };
        let message = match remedy {
            Remedy::OtherNetwork => {
                pen.own(texts.remedy_other_network.as_str());
                let Some(address) = self.address.as_deref() else { return };
                pen.own(texts.space);
                match own.shown_country() {
                    Some(country) => {
                        let values = [(Hole::Address, address), (Hole::Country, country)];
                        texts.seen_at_country.write(pen, &values);
                    }
                    None => texts.seen_at.write(pen, &[(Hole::Address, address)]),
                }
                return;
            }
            Remedy::LaterTime { at } => {
                return texts.remedy_later.write(pen, &[(Hole::Time, &clock::minute(at))]);
            }
            Remedy::NewerOs => match (own.platform, own.os_version) {
                (Some(platform), Some(version)) => {
                    let values = [(Hole::Platform, platform_name(platform)), (Hole::Version, version)];
                    return texts.remedy_update_named_os.write(pen, &values);
                }
                (Some(_) | None, _) => &texts.remedy_update_os,
            },
            Remedy::DesktopOrMobileApp => &texts.remedy_desktop_or_mobile,
            Remedy::Browser => &texts.remedy_browser,
            Remedy::StrongerSignIn => &texts.remedy_stronger,
            Remedy::SignInAgain => &texts.remedy_sign_in_again,
            Remedy::CompliantDevice => &texts.remedy_compliant_device,
            Remedy::HybridJoinedDevice => &texts.remedy_hybrid_device,
            Remedy::RegisteredDevice => &texts.remedy_registered_device,
        };
        pen.own(message.as_str());
        let is_about_device =
            matches!(remedy, Remedy::CompliantDevice | Remedy::HybridJoinedDevice | Remedy::RegisteredDevice);
        if let (true, Some(seen)) = (is_about_device, device_seen(own, texts)) {
            pen.own(texts.space);
            pen.own(seen.as_str());
        }
    }

    /// What tells this refusal from any other.
    fn identity(&self, line: &mut impl FnMut(&'static str, &str)) {
        if !self.code.is_empty() {
            line(label::CODE, &self.code);
        }
        line(label::REQUEST_ID, &self.request_id);
        if let Some(id) = &self.correlation_id {
            line(label::CORRELATION_ID, id);
        }
        line(label::TIMESTAMP, &self.timestamp);
    }

    /// Labels and values in English in every language, so that a help desk can read what it is sent.
    pub(super) fn details(&self, mut line: impl FnMut(&'static str, &str)) {
        self.identity(&mut line);
        if let Some(own) = self.own {
            let absent = || Cow::Borrowed(label::NOT_AVAILABLE);
            if let Some((id, name)) = own.app {
                line(label::APP_NAME, &one_line(name, cap::APP_NAME));
                line(label::APP_ID, &one_line(id, cap::APP_ID));
            }
            line(label::USER, &own.user.map_or_else(absent, |user| one_line(user, cap::USER)));
            line(label::ADDRESS, self.address.as_deref().unwrap_or(label::NOT_AVAILABLE));
            let place = own.shown_country().map(|country| Cow::Owned(format!("{country} (approximate)")));
            line(label::LOCATION, &place.unwrap_or_else(absent));
            let device = own.device.id().map(|id| one_line(id, cap::DEVICE_ID));
            line(label::DEVICE_ID, &device.unwrap_or_else(absent));
            line(label::PLATFORM, &platform(own).unwrap_or_else(absent));
            line(label::DEVICE_STATE, own.device.label());
            line(label::CLIENT, own.client_app.map_or(label::NOT_AVAILABLE, client_name));
        }
        line(label::DECISION_BY, &self.teller.desk.installation);
    }

    /// The block to copy. People paste it in public, so it holds neither user, address nor device id
    /// that could be read.
    pub(super) fn report(&self, pen: &mut impl Pen) {
        let mut is_first = true;
        let mut line = |label: &'static str, text: &str| {
            if !std::mem::take(&mut is_first) {
                pen.own("\n");
            }
            pen.own(label);
            pen.own(": ");
            pen.text(text);
        };
        self.identity(&mut line);
        if let Some(own) = self.own {
            if let Some((id, _)) = own.app {
                line(label::APP_ID, &one_line(id, cap::APP_ID));
            }
            if let Some(platform) = platform(own) {
                line(label::PLATFORM, &platform);
            }
            line(label::DEVICE_STATE, own.device.label());
        }
        line(label::DECISION_BY, &self.teller.desk.installation);
        if let Some(code) = self.support_code() {
            line(label::SUPPORT_CODE, code);
        }
    }

    pub(super) fn support_code(&self) -> Option<&str> {
        self.teller.support_code.as_deref()
    }

    pub(super) fn actions(&self) -> Vec<Action<'v>> {
        let (texts, desk) = (self.teller.texts, self.teller.desk);
        let mut list = Vec::with_capacity(5);
        let mut push = |text: &'v Message, href: Cow<'v, str>, is_primary| {
            list.push(Action { text: Cow::Borrowed(text.as_str()), href, is_primary });
        };
        // A link back to the very page: an empty reference reflects nothing.
        if self.is_temporary && self.teller.can_repeat {
            push(&texts.action_try_again, Cow::Borrowed(""), true);
        }
        let sign_in = self
            .sign_in_url
            .filter(|url| is_own_path(url) || (is_web_link(url) && desk.knows_sign_in(url)))
            .map(Cow::Borrowed);
        if let Some(url) = sign_in {
            match self.info.resolution {
                Resolution::SignIn if self.info.code == 50058 => push(&texts.action_sign_in, url, true),
                Resolution::SignIn | Resolution::Reauthenticate => {
                    push(&texts.action_sign_in_again, url, true);
                }
                Resolution::ChangeContext | Resolution::Remediate | Resolution::ContactAdmin
                    if self.refused.is_some() =>
                {
                    push(&texts.action_other_account, url, false);
                }
                Resolution::ChangeContext
                | Resolution::Remediate
                | Resolution::ContactAdmin
                | Resolution::RetryLater
                | Resolution::FixRequest => {}
            }
        }
        let mendable = [ReasonCode::DeviceNotCompliant, ReasonCode::DeviceNotJoined];
        let is_mendable = |refused: Refused| mendable.iter().any(|reason| refused.reasons.contains(*reason));
        let mends = self.own.is_some()
            && !self.is_temporary
            && !self.groups_not_told
            && self.refused.is_some_and(is_mendable);
        if let (true, Some(url)) = (mends, &desk.remediation_url) {
            push(&texts.action_fix_device, Cow::Borrowed(url), false);
        }
        if let Some(url) = &desk.contact_url {
            push(&texts.action_help, Cow::Borrowed(url), false);
        }
        if let Some(mail) = &desk.contact_mail {
            let subject = match self.info.code {
                0 => format!("Access refused, request {}", self.request_id),
                code => format!("Access refused, code {code}, request {}", self.request_id),
            };
            let mut text = String::with_capacity(64);
            texts.action_mail.write(&mut Plain(&mut text), &[(Hole::Address, &mail.address)]);
            let href = Cow::Owned(mail.href(&subject));
            list.push(Action { text: Cow::Owned(text), href, is_primary: false });
        }
        list
    }
}

impl Way<'_> {
    /// The word in the twin.
    pub(super) fn kind(self, pen: &mut impl Pen) {
        match self {
            Self::Likely(kind, _) => pen.own(kind),
            Self::Verified(parts) => {
                for (at, remedy) in parts.iter().enumerate() {
                    if at > 0 {
                        pen.own("+");
                    }
                    pen.own(match remedy {
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

/// Whether the reader's token was verified. Exhaustive: a new refusal must say on which side it is.
pub(super) const fn is_verified(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Policy(..) | Refusal::Upstream { .. } => true,
        Refusal::BadRequest(_)
        | Refusal::NoApp
        | Refusal::NoToken
        | Refusal::BadToken(_)
        | Refusal::BadSession(_)
        | Refusal::KeysUnavailable
        | Refusal::Internal
        | Refusal::BodyTooLarge
        | Refusal::Loop => false,
    }
}

fn platform(own: &Facts<'_>) -> Option<Cow<'static, str>> {
    let name = platform_name(own.platform?);
    Some(match own.os_version {
        Some(version) => Cow::Owned([name, " ", &one_line(version, cap::OS_VERSION)].concat()),
        None => Cow::Borrowed(name),
    })
}

const fn platform_name(platform: Platform) -> &'static str {
    match platform {
        Platform::Android => "Android",
        Platform::Ios => "iOS",
        Platform::Windows => "Windows",
        Platform::MacOs => "macOS",
        Platform::Linux => "Linux",
        Platform::WindowsPhone => "Windows Phone",
    }
}

const fn client_name(client: ClientAppType) -> &'static str {
    match client {
        ClientAppType::Browser => "Browser",
        ClientAppType::MobileAndDesktop => "Mobile app or desktop client",
        ClientAppType::ExchangeActiveSync => "Exchange ActiveSync",
        ClientAppType::Other => "Other client",
    }
}
