//! What is said, before it takes a form: page, twin and text are made from the same [`View`], so
//! that none of them tells more than the others.

use portcullis_config::settings::Disclosure;
use portcullis_policy::decision::{ReasonCode, Refused};
use portcullis_policy::model::{ClientAppType, Platform};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use uuid::Uuid;

use super::escape::{cap, is_own_path, is_web_link, one_line};
use super::facts::{DeviceState, Facts, RemedySuggestion};
use super::texts::{Texts, fill, label};
use super::{Desk, RETRY_AFTER};
use crate::refusal::{BadToken, Refusal, Resolution, Row, reason_row};

/// Alternatives shown at most, and parts of one.
const REMEDIES_MAX: usize = 4;
const REMEDY_PARTS_MAX: usize = 3;

const TIMESTAMP: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Everything that one denial says, as plain lines that are not escaped for any form yet.
#[derive(Debug)]
pub(super) struct View<'v> {
    pub(super) row: Row,
    pub(super) error: &'static str,
    pub(super) request_id: String,
    pub(super) timestamp: String,
    pub(super) headline: String,
    pub(super) lead: String,
    pub(super) verdict: Option<String>,
    pub(super) remedies: Vec<RemedyView>,
    pub(super) reasons: Vec<ReasonView>,
    pub(super) details: Vec<(&'static str, String)>,
    pub(super) report: String,
    pub(super) actions: Vec<Action>,
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
    pub(super) fn of(
        refusal: &Refusal,
        facts: &'v Facts<'v>,
        disclosure: Disclosure,
        desk: &Desk,
        can_repeat: bool,
        texts: &Texts,
    ) -> Self {
        let row = refusal.row();
        let verified = match refusal {
            Refusal::Policy(_) | Refusal::Upstream { .. } => true,
            Refusal::BadRequest(_)
            | Refusal::NoApp
            | Refusal::NoToken
            | Refusal::BadToken(_)
            | Refusal::KeysUnavailable
            | Refusal::Internal
            | Refusal::BodyTooLarge => false,
        };
        let own = match disclosure {
            Disclosure::Minimal => None,
            Disclosure::Standard | Disclosure::Full => verified.then_some(facts),
        };
        // A row speaks: a refusal whose answer is 503 is temporary on the page as well.
        let is_temporary = row.resolution == Resolution::RetryLater;
        let refused = match refusal {
            Refusal::Policy(refused) => Some(*refused),
            _ => None,
        };
        let request_id = Uuid::from_u128(facts.request_id).to_string();
        let timestamp = timestamp(facts.now_unix_ms);
        let mut view = Self {
            row,
            error: error_word(refusal, is_temporary),
            headline: String::new(),
            lead: String::new(),
            verdict: None,
            remedies: Vec::new(),
            reasons: Vec::new(),
            details: details(row.code, &request_id, &timestamp, own, desk, texts),
            report: report(row.code, &request_id, &timestamp, own, desk),
            actions: Vec::new(),
            own,
            names_resolution: refused.is_none() || own.is_some(),
            is_temporary,
            request_id,
            timestamp,
        };
        view.head(refusal, texts);
        if let (Some(refused), Some(own)) = (refused, own) {
            view.reasons = reasons(refused, is_temporary, texts);
            if !is_temporary {
                view.remedies = remedies(refused, row.resolution, own, texts);
            }
        }
        view.actions = actions(&view, refused, facts, desk, can_repeat, texts);
        view
    }

    fn head(&mut self, refusal: &Refusal, texts: &Texts) {
        let app = self
            .own
            .and_then(|own| own.app)
            .map_or_else(|| texts.this_app.to_owned(), |(_, name)| one_line(name, cap::APP_NAME_HEADLINE));
        let named = |text: &str| fill(text, &[("app", &app)]);
        let unavailable = match self.own.and_then(|own| own.app) {
            Some(_) => named(texts.headline_unavailable),
            None => texts.headline_unavailable_nameless.to_owned(),
        };
        let (headline, lead, structural) = match refusal {
            Refusal::Policy(_) if self.is_temporary => (unavailable, texts.lead_unavailable, None),
            Refusal::Policy(refused) => match (refused.primary, self.row.resolution) {
                (_, Resolution::Reauthenticate) => (
                    named(texts.headline_reauthenticate),
                    texts.lead_reauthenticate,
                    Some(texts.verdict_reauthenticate),
                ),
                (ReasonCode::NotAssigned, _) => {
                    (named(texts.headline_account), texts.lead_account, Some(texts.verdict_structural))
                }
                _ => (named(texts.headline_context), texts.lead_context, Some(texts.verdict_structural)),
            },
            Refusal::Upstream { .. } => (unavailable, texts.lead_upstream, None),
            Refusal::KeysUnavailable => (unavailable, texts.lead_unavailable, None),
            Refusal::NoToken => (texts.headline_sign_in.to_owned(), texts.lead_sign_in, None),
            Refusal::BadToken(_) => (texts.headline_sign_in_again.to_owned(), texts.lead_sign_in_again, None),
            Refusal::BadRequest(_) => (texts.headline_bad_request.to_owned(), texts.lead_bad_request, None),
            Refusal::NoApp => (texts.headline_no_app.to_owned(), texts.lead_no_app, None),
            Refusal::BodyTooLarge => (texts.headline_too_large.to_owned(), texts.lead_too_large, None),
            Refusal::Internal => (texts.headline_fault.to_owned(), texts.lead_fault, None),
        };
        self.headline = headline;
        self.lead = match self.own.and_then(|own| own.user) {
            Some(user) => fill(texts.signed_in_as, &[("user", &one_line(user, cap::USER))]) + " " + lead,
            None => lead.to_owned(),
        };
        self.verdict = if self.is_temporary {
            let minutes = RETRY_AFTER.as_secs().div_ceil(60).to_string();
            Some(fill(texts.verdict_temporary, &[("minutes", &minutes)]))
        } else {
            structural.map(str::to_owned)
        };
    }
}

/// A moment for people: to the minute, in UTC.
fn minute(unix_secs: i64) -> String {
    let exact = timestamp(unix_secs.saturating_mul(1_000));
    let shown = exact.get(..16).map(|date| format!("{} UTC", date.replace('T', " ")));
    shown.unwrap_or(exact)
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
        Refusal::BadToken(_) => "token_invalid",
        Refusal::KeysUnavailable => "temporarily_unavailable",
        Refusal::Internal => "internal_error",
        Refusal::Upstream { .. } => "upstream_unavailable",
        Refusal::BodyTooLarge => "content_too_large",
        Refusal::Policy(_) if is_temporary => "temporarily_unavailable",
        Refusal::Policy(refused) => match refused.primary {
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
fn reasons(refused: Refused, is_temporary: bool, texts: &Texts) -> Vec<ReasonView> {
    let mut list: Vec<ReasonView> = Vec::new();
    for reason in refused.reasons.with(refused.primary).iter() {
        if (reason == ReasonCode::FactUnavailable) != is_temporary {
            continue;
        }
        let row = reason_row(reason);
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

const fn reason_text(reason: ReasonCode, texts: &Texts) -> &'static str {
    match reason {
        ReasonCode::NotAssigned => texts.reason_assignment,
        ReasonCode::BlockedByLocation => texts.reason_location,
        ReasonCode::BlockedByPlatform => texts.reason_platform,
        ReasonCode::BlockedByClientApp => texts.reason_client_app,
        ReasonCode::BlockedByDevice => texts.reason_device,
        ReasonCode::BlockedByFlow => texts.reason_flow,
        ReasonCode::BlockedByRisk
        | ReasonCode::BlockedByRequest
        | ReasonCode::Blocked
        | ReasonCode::NoPolicy => texts.reason_policy,
        ReasonCode::DeviceNotCompliant => texts.reason_device_compliance,
        ReasonCode::DeviceUnknown => texts.reason_device_unknown,
        ReasonCode::DeviceNotJoined => texts.reason_device_joined,
        ReasonCode::ClientNotApproved => texts.reason_client_approved,
        ReasonCode::ClientNotProtected => texts.reason_client_protected,
        ReasonCode::MfaRequired | ReasonCode::StrengthRequired => texts.reason_authentication,
        ReasonCode::SignInTooOld => texts.reason_session,
        ReasonCode::PasswordChangeRequired => texts.reason_password,
        ReasonCode::TermsRequired | ReasonCode::ExternalControlRequired => texts.reason_interaction,
        ReasonCode::FactUnavailable => texts.reason_unavailable,
    }
}

/// What the user can do. Where a risk is among the reasons nothing is offered: a way around it
/// would be a way for the thief as well.
fn remedies(refused: Refused, resolution: Resolution, own: &Facts<'_>, texts: &Texts) -> Vec<RemedyView> {
    let mut list = Vec::new();
    if !refused.reasons.with(refused.primary).contains(ReasonCode::BlockedByRisk) {
        for parts in own.remedies.iter().filter(|parts| !parts.is_empty()).take(REMEDIES_MAX) {
            let parts = parts.iter().copied().take(REMEDY_PARTS_MAX);
            let kind = parts.clone().map(RemedySuggestion::as_str).collect::<Vec<_>>().join("+");
            let sentences = parts.map(|part| remedy_text(part, own, texts)).collect::<Vec<_>>();
            let together =
                if sentences.len() > 1 { format!("{} ", texts.remedy_together) } else { String::new() };
            list.push(RemedyView { kind, text: together + &sentences.join(" "), verified: true });
        }
        if list.is_empty() && resolution == Resolution::Reauthenticate {
            let (kind, text) = match refused.primary {
                ReasonCode::PasswordChangeRequired => ("change_password", texts.remedy_password),
                ReasonCode::TermsRequired | ReasonCode::ExternalControlRequired => {
                    ("sign_in_again", texts.remedy_interaction)
                }
                ReasonCode::SignInTooOld => ("sign_in_again", texts.remedy_sign_in_again),
                _ => ("stronger_sign_in", texts.remedy_stronger),
            };
            list.push(RemedyView { kind: kind.to_owned(), text: text.to_owned(), verified: false });
        }
    }
    if list.is_empty() {
        let text = texts.remedy_administrator.to_owned();
        list.push(RemedyView { kind: "administrator".to_owned(), text, verified: false });
    }
    list
}

fn remedy_text(remedy: RemedySuggestion, own: &Facts<'_>, texts: &Texts) -> String {
    let with_device = |text: &str| match own.device {
        DeviceState::NotAvailable => format!("{text} {}", texts.device_not_shown),
        DeviceState::Unregistered => format!("{text} {}", texts.device_unregistered),
        DeviceState::NotCompliant { .. } => format!("{text} {}", texts.device_not_compliant),
        DeviceState::Registered { .. } | DeviceState::Compliant { .. } | DeviceState::HybridJoined { .. } => {
            text.to_owned()
        }
    };
    match remedy {
        RemedySuggestion::OtherNetwork => {
            let text = texts.remedy_other_network;
            match (own.client.map(|address| address.to_string()), own.shown_country()) {
                (Some(address), Some(country)) => {
                    let seen = fill(texts.seen_at_country, &[("address", &address), ("country", country)]);
                    format!("{text} {seen}")
                }
                (Some(address), None) => format!("{text} {}", fill(texts.seen_at, &[("address", &address)])),
                (None, _) => text.to_owned(),
            }
        }
        RemedySuggestion::CompliantDevice => with_device(texts.remedy_compliant_device),
        RemedySuggestion::HybridJoinedDevice => with_device(texts.remedy_hybrid_device),
        RemedySuggestion::RegisteredDevice => with_device(texts.remedy_registered_device),
        RemedySuggestion::DesktopOrMobileApp => texts.remedy_desktop_or_mobile.to_owned(),
        RemedySuggestion::Browser => texts.remedy_browser.to_owned(),
        RemedySuggestion::StrongerSignIn => texts.remedy_stronger.to_owned(),
        RemedySuggestion::SignInAgain => texts.remedy_sign_in_again.to_owned(),
        RemedySuggestion::NewerOs => match own.os_version {
            Some(version) => {
                let seen = fill(texts.os_version_seen, &[("version", version)]);
                format!("{} {seen}", texts.remedy_newer_os)
            }
            None => texts.remedy_newer_os.to_owned(),
        },
        RemedySuggestion::LaterTime { at } => fill(texts.remedy_later_time, &[("time", &minute(at))]),
    }
}

fn details(
    code: u32,
    request_id: &str,
    timestamp: &str,
    own: Option<&Facts<'_>>,
    desk: &Desk,
    texts: &Texts,
) -> Vec<(&'static str, String)> {
    let mut list = Vec::with_capacity(13);
    if code != 0 {
        list.push((label::CODE, code.to_string()));
    }
    list.push((label::REQUEST_ID, request_id.to_owned()));
    list.push((label::TIMESTAMP, timestamp.to_owned()));
    if let Some(own) = own {
        let absent = || texts.not_available.to_owned();
        if let Some((id, name)) = own.app {
            list.push((label::APP_NAME, one_line(name, cap::APP_NAME)));
            list.push((label::APP_ID, one_line(id, cap::APP_ID)));
        }
        list.push((label::USER, own.user.map_or_else(absent, |user| one_line(user, cap::USER))));
        list.push((label::ADDRESS, own.client.map_or_else(absent, |address| address.to_string())));
        let place = own.shown_country().map(|country| fill(texts.approximate, &[("country", country)]));
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

/// The block to copy. People paste it in public, so it holds neither user, address nor device id.
fn report(code: u32, request_id: &str, timestamp: &str, own: Option<&Facts<'_>>, desk: &Desk) -> String {
    let mut lines = Vec::with_capacity(7);
    if code != 0 {
        lines.push(format!("{}: {code}", label::CODE));
    }
    lines.push(format!("{}: {request_id}", label::REQUEST_ID));
    lines.push(format!("{}: {timestamp}", label::TIMESTAMP));
    if let Some(own) = own {
        if let Some((id, _)) = own.app {
            lines.push(format!("{}: {}", label::APP_ID, one_line(id, cap::APP_ID)));
        }
        if let Some(platform) = platform(own) {
            lines.push(format!("{}: {platform}", label::PLATFORM));
        }
        lines.push(format!("{}: {}", label::DEVICE_STATE, own.device.label()));
    }
    lines.push(format!("{}: {}", label::DECISION_BY, desk.installation));
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

fn actions(
    view: &View<'_>,
    refused: Option<Refused>,
    facts: &Facts<'_>,
    desk: &Desk,
    can_repeat: bool,
    texts: &Texts,
) -> Vec<Action> {
    let mut list = Vec::with_capacity(5);
    let mut push = |text: &str, href: String, is_primary| {
        list.push(Action { text: text.to_owned(), href, is_primary });
    };
    // A link back to the very page: an empty reference reflects nothing.
    if view.is_temporary && can_repeat {
        push(texts.action_try_again, String::new(), true);
    }
    let sign_in =
        facts.sign_in_url.filter(|url| is_own_path(url) || (is_web_link(url) && desk.knows_sign_in(url)));
    if let Some(url) = sign_in {
        match view.row.resolution {
            Resolution::SignIn if view.row.code == 50058 => push(texts.action_sign_in, url.to_owned(), true),
            Resolution::SignIn | Resolution::Reauthenticate => {
                push(texts.action_sign_in_again, url.to_owned(), true);
            }
            Resolution::ChangeContext | Resolution::Remediate | Resolution::ContactAdmin
                if refused.is_some() =>
            {
                push(texts.action_other_account, url.to_owned(), false);
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
        push(texts.action_fix_device, url.clone(), false);
    }
    if let Some(url) = &desk.contact_url {
        push(texts.action_help, url.clone(), false);
    }
    if let Some(mail) = &desk.contact_mail {
        let code = view.row.code.to_string();
        let subject = if view.row.code == 0 { texts.mail_subject_codeless } else { texts.mail_subject };
        let subject = fill(subject, &[("code", &code), ("id", &view.request_id)]);
        push(&fill(texts.action_mail, &[("address", &mail.address)]), mail.href(&subject), false);
    }
    list
}
