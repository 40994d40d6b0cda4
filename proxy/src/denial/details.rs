//! The details that a help desk asks for, and the report to copy.

use std::borrow::Cow;

use portcullis_policy::model::{ClientAppType, Platform};

use super::escape::{Escaper, cap, one_line};
use super::facts::Facts;
use super::texts::label;
use super::view::View;

impl View<'_> {
    /// What distinguishes this refusal from any other.
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
        line(label::DECISION_BY, &self.context.branding.installation);
    }

    /// The block to copy. People paste it in public, so it holds neither user, address nor device id
    /// that could be read.
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
        line(label::DECISION_BY, &self.context.branding.installation);
        if let Some(code) = self.support_code() {
            line(label::SUPPORT_CODE, code);
        }
    }
}

fn platform(own: &Facts<'_>) -> Option<Cow<'static, str>> {
    let name = platform_name(own.platform?);
    Some(match own.os_version {
        Some(version) => Cow::Owned([name, " ", &one_line(version, cap::OS_VERSION)].concat()),
        None => Cow::Borrowed(name),
    })
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

const fn client_name(client: ClientAppType) -> &'static str {
    match client {
        ClientAppType::Browser => "Browser",
        ClientAppType::MobileAndDesktop => "Mobile app or desktop client",
        ClientAppType::ExchangeActiveSync => "Exchange ActiveSync",
        ClientAppType::Other => "Other client",
    }
}
