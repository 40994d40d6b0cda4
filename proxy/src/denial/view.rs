//! What is said, before it takes a form: page, twin and text are made from the same [`View`], so
//! that none of them tells more than the others.

use portcullis_config::settings::Disclosure;
use portcullis_policy::decision::{ReasonCode, Refused};
use portcullis_policy::model::{ClientAppType, Platform};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use uuid::Uuid;

use super::Desk;
use super::escape::{cap, is_own_path, is_web_link, one_line};
use super::facts::{DeviceState, Facts, RemedySuggestion};
use super::repeats::REPEATS_SHOWN_MAX;
use super::texts::{Message, Texts, label};
use crate::refusal::{BadToken, Refusal, Resolution, Row, reason_row};

/// Alternatives shown at most, and parts of one.
const REMEDIES_MAX: usize = 3;
const REMEDY_PARTS_MAX: usize = 2;

const TIMESTAMP: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
const MINUTE: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day] [hour]:[minute] UTC");

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

/// Everything that one denial says, as plain lines that are not escaped for any form yet.
#[derive(Debug)]
pub(super) struct View<'v> {
    pub(super) row: Row,
    pub(super) error: &'static str,
    pub(super) request_id: String,
    pub(super) correlation_id: Option<String>,
    pub(super) timestamp: String,
    pub(super) headline: String,
    pub(super) lead: String,
    pub(super) verdict: Option<String>,
    pub(super) repeated: Option<String>,
    /// The operator's words, at full disclosure.
    pub(super) messages: Vec<String>,
    pub(super) remedies: Vec<RemedyView>,
    pub(super) reasons: Vec<ReasonView>,
    pub(super) details: Vec<(&'static str, String)>,
    pub(super) report: String,
    pub(super) actions: Vec<Action>,
    pub(super) support_code: Option<String>,
    /// The user's own facts; `None` where they are not to be shown.
    pub(super) own: Option<&'v Facts<'v>>,
    /// Whether the way out may be named: not at minimal disclosure of a decision.
    pub(super) names_resolution: bool,
    pub(super) is_temporary: bool,
}

#[derive(Debug)]
pub(super) struct RemedyView {
    pub(super) kind: String,
    pub(super) text: String,
    /// Whether the policies were asked again with it and let in.
    pub(super) verified: bool,
}

#[derive(Debug)]
pub(super) struct ReasonView {
    pub(super) class: &'static str,
    pub(super) code: u32,
    pub(super) action: &'static str,
    pub(super) text: &'static str,
}

/// A link.
#[derive(Debug)]
pub(super) struct Action {
    pub(super) text: String,
    /// Checked, not escaped.
    pub(super) href: String,
    pub(super) is_primary: bool,
}

impl<'v> View<'v> {
    /// ORACLE: who has no valid token sees nothing of app, address, device or policy; only a
    /// decision, or an upstream's failure after a grant, has a reader whose token was verified.
    pub(super) fn of(refusal: &Refusal, facts: &'v Facts<'v>, teller: &Teller<'v>) -> Self {
        let row = refusal.row();
        let shows_own = teller.disclosure != Disclosure::Minimal && is_verified(refusal);
        let own = shows_own.then_some(facts);
        // A row speaks: a refusal whose answer is 503 is temporary on the page as well.
        let is_temporary = row.resolution == Resolution::RetryLater;
        let refused = match refusal {
            Refusal::Policy(refused, _) => Some(*refused),
            _ => None,
        };
        let texts = teller.texts;
        let mut view = Self {
            row,
            error: error_word(refusal, is_temporary),
            request_id: Uuid::from_u128(facts.request_id).to_string(),
            correlation_id: own.and_then(|own| own.trace_id).map(|id| format!("{id:032x}")),
            timestamp: timestamp(facts.now_unix_ms),
            headline: String::new(),
            lead: String::new(),
            verdict: None,
            repeated: None,
            messages: Vec::new(),
            remedies: Vec::new(),
            reasons: Vec::new(),
            details: Vec::new(),
            report: String::new(),
            actions: Vec::new(),
            support_code: teller.support_code.clone(),
            own,
            names_resolution: refused.is_none() || own.is_some(),
            is_temporary,
        };
        view.head(refusal, texts);
        if let (Some(refused), Some(own)) = (refused, own) {
            view.reasons = reasons(refused, row, is_temporary, texts);
            if !is_temporary {
                view.remedies = remedies(refused, row.resolution, own, texts);
                view.repeated = repeated(teller.repeats, texts);
            }
            if teller.disclosure == Disclosure::Full {
                view.messages = teller.messages.iter().map(|text| one_line(text, cap::MESSAGE)).collect();
            }
        }
        view.details = details(&view, teller.desk);
        view.report = report(&view, teller.desk);
        view.actions = actions(&view, refused, facts, teller);
        view
    }

    fn head(&mut self, refusal: &Refusal, texts: &Texts) {
        let app = self.own.and_then(|own| own.app).map(|(_, name)| one_line(name, cap::APP_NAME_HEADLINE));
        let named = |with: &Message, without: &Message| match &app {
            Some(app) => with.fill(&[("app", app)]),
            None => without.as_str().to_owned(),
        };
        let unavailable = || named(&texts.headline_unavailable, &texts.headline_unavailable_nameless);
        let plain = |headline: &Message| headline.as_str().to_owned();
        let (headline, lead, structural) = match refusal {
            Refusal::Policy(..) if self.is_temporary => (unavailable(), &texts.lead_unavailable, None),
            Refusal::Policy(refused, _) => match (refused.primary, self.row.resolution) {
                (_, Resolution::Reauthenticate) => (
                    named(&texts.headline_reauthenticate, &texts.headline_reauthenticate_nameless),
                    &texts.lead_reauthenticate,
                    Some(&texts.verdict_reauthenticate),
                ),
                (ReasonCode::NotAssigned, _) => (
                    named(&texts.headline_account, &texts.headline_account_nameless),
                    &texts.lead_account,
                    Some(&texts.verdict_structural),
                ),
                _ => (
                    named(&texts.headline_context, &texts.headline_context_nameless),
                    &texts.lead_context,
                    Some(&texts.verdict_structural),
                ),
            },
            Refusal::Upstream { .. } => (unavailable(), &texts.lead_upstream, None),
            Refusal::KeysUnavailable => (unavailable(), &texts.lead_unavailable, None),
            Refusal::NoToken => (plain(&texts.headline_sign_in), &texts.lead_sign_in, None),
            Refusal::BadToken(_) => (plain(&texts.headline_sign_in_again), &texts.lead_sign_in_again, None),
            Refusal::BadRequest(_) => (plain(&texts.headline_bad_request), &texts.lead_bad_request, None),
            Refusal::NoApp => (plain(&texts.headline_no_app), &texts.lead_no_app, None),
            Refusal::BodyTooLarge => (plain(&texts.headline_too_large), &texts.lead_too_large, None),
            Refusal::Internal => (plain(&texts.headline_fault), &texts.lead_fault, None),
        };
        self.headline = headline;
        let lead = lead.as_str();
        self.lead = match self.own.and_then(|own| own.user) {
            Some(user) => {
                texts.signed_in_as.fill(&[("user", &one_line(user, cap::USER))]) + texts.space + lead
            }
            None => lead.to_owned(),
        };
        let verdict = if self.is_temporary { Some(&texts.verdict_temporary) } else { structural };
        self.verdict = verdict.map(|verdict| verdict.as_str().to_owned());
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
        | Refusal::KeysUnavailable
        | Refusal::Internal
        | Refusal::BodyTooLarge => false,
    }
}

/// What is said of a refusal that came again and again.
fn repeated(count: u32, texts: &Texts) -> Option<String> {
    let message = match count {
        0 | 1 => return None,
        _ if count > REPEATS_SHOWN_MAX => &texts.verdict_repeated_often,
        _ => texts.verdict_repeated.get(usize::try_from(count - 2).ok()?)?,
    };
    Some(message.as_str().to_owned())
}

/// ISO 8601 in UTC with milliseconds; a time beyond the calendar is the epoch.
pub(crate) fn timestamp(unix_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .format(TIMESTAMP)
        .unwrap_or_default()
}

/// The stable word of the twin. Apart from the words of log and metric, which name what users are
/// not told.
const fn error_word(refusal: &Refusal, is_temporary: bool) -> &'static str {
    match refusal {
        Refusal::BadRequest(_) => "bad_request",
        Refusal::NoApp => "not_found",
        Refusal::NoToken => "sign_in_required",
        Refusal::BadToken(BadToken::Expired) => "token_expired",
        Refusal::BadToken(BadToken::Revoked) => "token_revoked",
        Refusal::BadToken(_) => "token_invalid",
        Refusal::KeysUnavailable => "temporarily_unavailable",
        Refusal::Internal => "internal_error",
        Refusal::Upstream { .. } => "upstream_unavailable",
        Refusal::BodyTooLarge => "content_too_large",
        Refusal::Policy(..) if is_temporary => "temporarily_unavailable",
        Refusal::Policy(refused, _) => match refused.primary {
            ReasonCode::NotAssigned => "not_assigned",
            ReasonCode::BlockedByLocation
            | ReasonCode::BlockedByClientApp
            | ReasonCode::BlockedByDevice
            | ReasonCode::BlockedByRisk
            | ReasonCode::BlockedByRequest
            | ReasonCode::Blocked
            | ReasonCode::NoPolicy => "access_blocked",
            ReasonCode::BlockedByPlatform => "platform_not_supported",
            ReasonCode::BlockedByFlow => "flow_not_allowed",
            ReasonCode::DeviceNotCompliant => "device_not_compliant",
            ReasonCode::DeviceUnknown => "device_identity_missing",
            ReasonCode::DeviceNotJoined => "device_not_managed",
            ReasonCode::ClientNotApproved => "client_not_approved",
            ReasonCode::ClientNotProtected => "client_not_protected",
            ReasonCode::MfaRequired => "mfa_required",
            ReasonCode::StrengthRequired => "stronger_sign_in_required",
            ReasonCode::SignInTooOld => "sign_in_too_old",
            ReasonCode::PasswordChangeRequired => "password_change_required",
            ReasonCode::TermsRequired | ReasonCode::ExternalControlRequired => "interaction_required",
            ReasonCode::FactUnavailable => "temporarily_unavailable",
        },
    }
}

/// All failing classes at once; what passed is never listed. A temporary refusal lists only that
/// a fact was missing: whatever else failed may have failed for want of it.
fn reasons(refused: Refused, primary: Row, is_temporary: bool, texts: &'static Texts) -> Vec<ReasonView> {
    let mut list: Vec<ReasonView> = Vec::new();
    for reason in refused.reasons.with(refused.primary).iter() {
        if (reason == ReasonCode::FactUnavailable) != is_temporary {
            continue;
        }
        let row = if reason == refused.primary { primary } else { reason_row(reason) };
        let text = reason_text(reason, texts);
        let same = |known: &ReasonView| known.code == row.code && known.class == row.class.as_str();
        let seen = list.iter().any(|known| known.text == text || same(known));
        if !seen {
            list.push(ReasonView {
                class: row.class.as_str(),
                code: row.code,
                action: row.resolution.as_str(),
                text,
            });
        }
    }
    list
}

fn reason_text(reason: ReasonCode, texts: &'static Texts) -> &'static str {
    let text = match reason {
        ReasonCode::NotAssigned => &texts.reason_assignment,
        ReasonCode::BlockedByLocation => &texts.reason_location,
        ReasonCode::BlockedByPlatform => &texts.reason_platform,
        ReasonCode::BlockedByClientApp => &texts.reason_client_app,
        ReasonCode::BlockedByDevice => &texts.reason_device,
        ReasonCode::BlockedByFlow => &texts.reason_flow,
        ReasonCode::BlockedByRisk
        | ReasonCode::BlockedByRequest
        | ReasonCode::Blocked
        | ReasonCode::NoPolicy => &texts.reason_policy,
        ReasonCode::DeviceNotCompliant => &texts.reason_device_compliance,
        ReasonCode::DeviceUnknown => &texts.reason_device_unknown,
        ReasonCode::DeviceNotJoined => &texts.reason_device_joined,
        ReasonCode::ClientNotApproved => &texts.reason_client_approved,
        ReasonCode::ClientNotProtected => &texts.reason_client_protected,
        ReasonCode::MfaRequired | ReasonCode::StrengthRequired => &texts.reason_authentication,
        ReasonCode::SignInTooOld => &texts.reason_session,
        ReasonCode::PasswordChangeRequired => &texts.reason_password,
        ReasonCode::TermsRequired | ReasonCode::ExternalControlRequired => &texts.reason_interaction,
        ReasonCode::FactUnavailable => &texts.reason_unavailable,
    };
    text.as_str()
}

/// What the user can do. Where a risk is among the reasons nothing is offered: a way around it
/// would be a way for the thief as well.
fn remedies(refused: Refused, resolution: Resolution, own: &Facts<'_>, texts: &Texts) -> Vec<RemedyView> {
    let unverified = |kind: &str, text: &Message| {
        vec![RemedyView { kind: kind.to_owned(), text: text.as_str().to_owned(), verified: false }]
    };
    if refused.reasons.with(refused.primary).contains(ReasonCode::BlockedByRisk) {
        return unverified("administrator", &texts.remedy_administrator);
    }
    let mut list = Vec::new();
    for parts in own.remedies.iter().filter(|parts| !parts.is_empty()).take(REMEDIES_MAX) {
        let parts = parts.iter().copied().take(REMEDY_PARTS_MAX);
        let kind = parts.clone().map(RemedySuggestion::as_str).collect::<Vec<_>>().join("+");
        let sentences = parts.map(|part| remedy_text(part, own, texts)).collect::<Vec<_>>();
        let mut text = sentences.join(texts.space);
        if sentences.len() > 1 {
            text = format!("{}{}{text}", texts.remedy_together.as_str(), texts.space);
        }
        list.push(RemedyView { kind, text, verified: true });
    }
    if !list.is_empty() {
        return list;
    }
    match refused.primary {
        ReasonCode::PasswordChangeRequired => unverified("change_password", &texts.remedy_password),
        ReasonCode::TermsRequired | ReasonCode::ExternalControlRequired => {
            unverified("sign_in_again", &texts.remedy_interaction)
        }
        ReasonCode::SignInTooOld => unverified("sign_in_again", &texts.remedy_sign_in_again),
        ReasonCode::BlockedByFlow => unverified("other_sign_in", &texts.remedy_other_flow),
        _ if resolution == Resolution::Reauthenticate => {
            unverified("stronger_sign_in", &texts.remedy_stronger)
        }
        _ => unverified("administrator", &texts.remedy_administrator),
    }
}

fn remedy_text(remedy: RemedySuggestion, own: &Facts<'_>, texts: &Texts) -> String {
    let plain = |text: &Message| text.as_str().to_owned();
    let with_device = |text: &Message| {
        let seen = match own.device {
            DeviceState::NotAvailable if own.client_app == Some(ClientAppType::Browser) => {
                &texts.device_not_shown
            }
            DeviceState::NotAvailable => &texts.device_not_shown_by_client,
            DeviceState::Unregistered => &texts.device_unregistered,
            DeviceState::NotCompliant { .. } => &texts.device_not_compliant,
            DeviceState::Registered { .. }
            | DeviceState::Compliant { .. }
            | DeviceState::HybridJoined { .. } => {
                return plain(text);
            }
        };
        format!("{}{}{}", text.as_str(), texts.space, seen.as_str())
    };
    match remedy {
        RemedySuggestion::OtherNetwork => {
            let text = texts.remedy_other_network.as_str();
            match (own.client.map(|address| address.to_string()), own.shown_country()) {
                (Some(address), Some(country)) => {
                    let seen = texts.seen_at_country.fill(&[("address", &address), ("country", country)]);
                    format!("{text}{}{seen}", texts.space)
                }
                (Some(address), None) => {
                    format!("{text}{}{}", texts.space, texts.seen_at.fill(&[("address", &address)]))
                }
                (None, _) => text.to_owned(),
            }
        }
        RemedySuggestion::CompliantDevice => with_device(&texts.remedy_compliant_device),
        RemedySuggestion::HybridJoinedDevice => with_device(&texts.remedy_hybrid_device),
        RemedySuggestion::RegisteredDevice => with_device(&texts.remedy_registered_device),
        RemedySuggestion::DesktopOrMobileApp => plain(&texts.remedy_desktop_or_mobile),
        RemedySuggestion::Browser => plain(&texts.remedy_browser),
        RemedySuggestion::StrongerSignIn => plain(&texts.remedy_stronger),
        RemedySuggestion::SignInAgain => plain(&texts.remedy_sign_in_again),
        RemedySuggestion::UpdateOs => match (own.platform, own.os_version) {
            (Some(platform), Some(version)) => texts.remedy_update_named_os.fill(&[
                ("platform", platform_name(platform)),
                ("version", &one_line(version, cap::OS_VERSION)),
            ]),
            (Some(_) | None, _) => plain(&texts.remedy_update_os),
        },
        RemedySuggestion::LaterTime { from_unix_secs } => {
            texts.remedy_later.fill(&[("time", &minute(from_unix_secs))])
        }
    }
}

/// A minute in UTC, for people.
fn minute(unix_secs: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(unix_secs).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(MINUTE).unwrap_or_default()
}

/// Labels and values in English in every language, so that a help desk can read what it is sent.
fn details(view: &View<'_>, desk: &Desk) -> Vec<(&'static str, String)> {
    let mut list = Vec::with_capacity(15);
    if view.row.code != 0 {
        list.push((label::CODE, view.row.code.to_string()));
    }
    list.push((label::REQUEST_ID, view.request_id.clone()));
    list.extend(view.correlation_id.clone().map(|id| (label::CORRELATION_ID, id)));
    list.push((label::TIMESTAMP, view.timestamp.clone()));
    if let Some(own) = view.own {
        let absent = || label::NOT_AVAILABLE.to_owned();
        if let Some((id, name)) = own.app {
            list.push((label::APP_NAME, one_line(name, cap::APP_NAME)));
            list.push((label::APP_ID, one_line(id, cap::APP_ID)));
        }
        list.push((label::USER, own.user.map_or_else(absent, |user| one_line(user, cap::USER))));
        list.push((label::ADDRESS, own.client.map_or_else(absent, |address| address.to_string())));
        let place = own.shown_country().map(|country| format!("{country} (approximate)"));
        list.push((label::LOCATION, place.unwrap_or_else(absent)));
        let device = own.device.id().map(|id| one_line(id, cap::DEVICE_ID));
        list.push((label::DEVICE_ID, device.unwrap_or_else(absent)));
        list.push((label::PLATFORM, platform(own).unwrap_or_else(absent)));
        list.push((label::DEVICE_STATE, own.device.label().to_owned()));
        list.push((label::CLIENT, own.client_app.map_or_else(absent, |app| client_name(app).to_owned())));
    }
    list.push((label::DECISION_BY, desk.installation.clone()));
    list
}

/// The block to copy. People paste it in public, so it holds neither user, address nor device id
/// that could be read.
fn report(view: &View<'_>, desk: &Desk) -> String {
    let mut lines = Vec::with_capacity(9);
    if view.row.code != 0 {
        lines.push(format!("{}: {}", label::CODE, view.row.code));
    }
    lines.push(format!("{}: {}", label::REQUEST_ID, view.request_id));
    lines.extend(view.correlation_id.as_ref().map(|id| format!("{}: {id}", label::CORRELATION_ID)));
    lines.push(format!("{}: {}", label::TIMESTAMP, view.timestamp));
    if let Some(own) = view.own {
        if let Some((id, _)) = own.app {
            lines.push(format!("{}: {}", label::APP_ID, one_line(id, cap::APP_ID)));
        }
        if let Some(platform) = platform(own) {
            lines.push(format!("{}: {platform}", label::PLATFORM));
        }
        lines.push(format!("{}: {}", label::DEVICE_STATE, own.device.label()));
    }
    lines.push(format!("{}: {}", label::DECISION_BY, desk.installation));
    lines.extend(view.support_code.as_ref().map(|code| format!("{}: {code}", label::SUPPORT_CODE)));
    lines.join("\n")
}

fn platform(own: &Facts<'_>) -> Option<String> {
    let name = platform_name(own.platform?);
    Some(match own.os_version {
        Some(version) => format!("{name} {}", one_line(version, cap::OS_VERSION)),
        None => name.to_owned(),
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

fn actions(view: &View<'_>, refused: Option<Refused>, facts: &Facts<'_>, teller: &Teller<'_>) -> Vec<Action> {
    let (texts, desk) = (teller.texts, teller.desk);
    let mut list = Vec::with_capacity(5);
    let mut push = |text: &str, href: String, is_primary| {
        list.push(Action { text: text.to_owned(), href, is_primary });
    };
    // A link back to the very page: an empty reference reflects nothing.
    if view.is_temporary && teller.can_repeat {
        push(texts.action_try_again.as_str(), String::new(), true);
    }
    let sign_in =
        facts.sign_in_url.filter(|url| is_own_path(url) || (is_web_link(url) && desk.knows_sign_in(url)));
    if let Some(url) = sign_in {
        match view.row.resolution {
            Resolution::SignIn if view.row.code == 50058 => {
                push(texts.action_sign_in.as_str(), url.to_owned(), true);
            }
            Resolution::SignIn | Resolution::Reauthenticate => {
                push(texts.action_sign_in_again.as_str(), url.to_owned(), true);
            }
            Resolution::ChangeContext | Resolution::Remediate | Resolution::ContactAdmin
                if refused.is_some() =>
            {
                push(texts.action_other_account.as_str(), url.to_owned(), false);
            }
            Resolution::ChangeContext
            | Resolution::Remediate
            | Resolution::ContactAdmin
            | Resolution::RetryLater
            | Resolution::FixRequest => {}
        }
    }
    let mendable = [ReasonCode::DeviceNotCompliant, ReasonCode::DeviceNotJoined];
    let mends = view.own.is_some()
        && !view.is_temporary
        && refused.is_some_and(|refused| mendable.iter().any(|reason| refused.reasons.contains(*reason)));
    if let (true, Some(url)) = (mends, &desk.remediation_url) {
        push(texts.action_fix_device.as_str(), url.clone(), false);
    }
    if let Some(url) = &desk.contact_url {
        push(texts.action_help.as_str(), url.clone(), false);
    }
    if let Some(mail) = &desk.contact_mail {
        let subject = match view.row.code {
            0 => format!("Access refused, request {}", view.request_id),
            code => format!("Access refused, code {code}, request {}", view.request_id),
        };
        push(&texts.action_mail.fill(&[("address", &mail.address)]), mail.href(&subject), false);
    }
    list
}
