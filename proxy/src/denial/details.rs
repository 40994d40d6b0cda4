//! The details that a help desk asks for, in the words of the reader's language, and the text for a ticket.

use std::borrow::Cow;

use portcullis_policy::model::{ClientAppType, Platform};

use super::escape::{Escaper, Hole, Plain, cap, one_line};
use super::facts::{DeviceState, Facts};
use super::texts::{Message, Texts, label};
use super::view::View;

/// A line of the details.
#[derive(Debug)]
pub(crate) struct Row<'v> {
    pub(crate) label: &'static Message,
    pub(crate) value: Cow<'v, str>,
    /// The same in a form for machines, where the value is a moment.
    pub(crate) datetime: Option<&'v str>,
}

impl<'v> Row<'v> {
    pub(crate) fn new(label: &'static Message, value: impl Into<Cow<'v, str>>) -> Self {
        Self { label, value: value.into(), datetime: None }
    }
}

impl View<'_> {
    /// What is asked for first.
    pub(super) fn first_rows(&self) -> Vec<Row<'_>> {
        let texts = self.context.texts;
        let mut rows = Vec::with_capacity(3);
        if !self.code.is_empty() {
            rows.push(Row::new(&texts.label_code, self.code.as_str()));
        }
        let time = texts.locale.moment(self.now_unix_secs);
        rows.push(Row { datetime: Some(&self.timestamp), ..Row::new(&texts.label_time, time) });
        if let Some((_, name)) = self.own.and_then(|own| own.app) {
            rows.push(Row::new(&texts.label_app, one_line(name, cap::APP_NAME)));
        }
        rows
    }

    /// What is asked for then.
    pub(super) fn more_rows(&self) -> Vec<Row<'_>> {
        let texts = self.context.texts;
        let mut rows = Vec::with_capacity(11);
        rows.push(Row::new(&texts.label_request_id, self.request_id.as_str()));
        if let Some(id) = &self.correlation_id {
            rows.push(Row::new(&texts.label_correlation_id, id.as_str()));
        }
        if let Some(own) = self.own {
            self.own_rows(own, &mut rows);
        }
        rows.push(Row::new(&texts.label_decision_by, self.context.branding.installation.as_str()));
        rows
    }

    fn own_rows<'s>(&'s self, own: &'s Facts<'_>, rows: &mut Vec<Row<'s>>) {
        let texts = self.context.texts;
        let absent = || Cow::Borrowed(texts.value_not_available.as_str());
        if let Some((id, _)) = own.app {
            rows.push(Row::new(&texts.label_app_id, one_line(id, cap::APP_ID)));
        }
        rows.push(Row::new(
            &texts.label_user,
            own.user.map_or_else(absent, |user| one_line(user, cap::USER)),
        ));
        rows.push(Row::new(&texts.label_address, self.address.as_deref().map_or_else(absent, Cow::Borrowed)));
        let place = self.country().map(|country| {
            let mut place = String::new();
            texts.value_approximate.write(&mut Plain(&mut place), &[(Hole::Country, country)]);
            Cow::Owned(place)
        });
        rows.push(Row::new(&texts.label_location, place.unwrap_or_else(absent)));
        let shown = own.device.id().map(|id| one_line(id, cap::DEVICE_ID));
        let not_shown = Cow::Borrowed(texts.value_not_shown.as_str());
        rows.push(Row::new(&texts.label_device_id, shown.unwrap_or(not_shown)));
        rows.push(Row::new(&texts.label_platform, platform(own).unwrap_or_else(absent)));
        rows.push(Row::new(&texts.label_device_state, own.device.words(texts).as_str()));
        rows.push(Row::new(
            &texts.label_client,
            own.client_app.map_or_else(absent, |client| client_name(client, texts)),
        ));
    }

    /// The text for a ticket, in English in every language. People paste it in public, so it holds neither user, address
    /// nor device id that could be read.
    pub(super) fn report(&self, out: &mut impl Escaper) {
        let mut is_first = true;
        let mut line = |label: &'static str, text: &str| {
            if !std::mem::take(&mut is_first) {
                out.literal("\n");
            }
            out.literal(label);
            out.literal(": ");
            out.text(text);
        };
        line(label::REFERENCE, &self.reference);
        if !self.code.is_empty() {
            line(label::CODE, &self.code);
        }
        line(label::TIME, &self.timestamp);
        if let Some((id, _)) = self.own.and_then(|own| own.app) {
            line(label::APP_ID, &one_line(id, cap::APP_ID));
        }
        line(label::REQUEST_ID, &self.request_id);
        if let Some(id) = &self.correlation_id {
            line(label::CORRELATION_ID, id);
        }
        if let Some(own) = self.own {
            line(label::DEVICE_STATE, own.device.label());
        }
        line(label::DECISION_BY, &self.context.branding.installation);
        if let Some(code) = self.support_code() {
            line(label::SUPPORT_CODE, code);
        }
    }
}

impl DeviceState<'_> {
    /// The state in the words of a language.
    pub(crate) const fn words(&self, texts: &'static Texts) -> &'static Message {
        match self {
            Self::NotAvailable => &texts.value_not_available,
            Self::Registered { .. } => &texts.value_registered,
            Self::Compliant { .. } => &texts.value_compliant,
            Self::NotCompliant { .. } => &texts.value_not_compliant,
            Self::HybridJoined { .. } => &texts.value_hybrid_joined,
        }
    }
}

/// System and version from one source: the device's own, or else what the browser says, which tells no version.
fn platform<'f>(own: &'f Facts<'_>) -> Option<Cow<'f, str>> {
    match (own.os_name(), own.os_version) {
        (Some(name), Some(version)) => {
            Some(Cow::Owned([&*one_line(name, cap::WORD), " ", &one_line(version, cap::OS_VERSION)].concat()))
        }
        (Some(name), None) => Some(one_line(name, cap::WORD)),
        (None, _) => own.platform.map(platform_name).map(Cow::Borrowed),
    }
}

pub(super) const fn platform_name(platform: Platform) -> &'static str {
    match platform {
        Platform::Android => "Android",
        Platform::Ios => "iOS",
        Platform::Windows => "Windows",
        Platform::MacOs => "macOS",
        Platform::Linux => "Linux",
        Platform::WindowsPhone => "Windows Phone",
    }
}

fn client_name(client: ClientAppType, texts: &'static Texts) -> Cow<'static, str> {
    let words = match client {
        ClientAppType::Browser => &texts.value_browser,
        ClientAppType::MobileAndDesktop => &texts.value_native_client,
        ClientAppType::ExchangeActiveSync => return Cow::Borrowed("Exchange ActiveSync"),
        ClientAppType::Other => &texts.value_other_client,
    };
    Cow::Borrowed(words.as_str())
}
