//! A request that shows a finding, owned, so that it can be asked again.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::compile::CompiledPolicies;
use crate::decision::Outcome;
use crate::model::{ClientAppType, CountryCode, Platform, PolicySet, RiskLevel};
use crate::reference::{Conclusion, evaluate};
use crate::rule::sample::{OwnedAttributes, Place, set_device};
use crate::signals::{Action, ClientContext, Device, Fact, Principal, RequestId, Signals, Target, Value};

/// A request, owned.
#[derive(Clone, Debug)]
pub struct Witness {
    /// Who.
    pub principal: Principal,
    /// For what.
    pub target: Target,
    /// Method.
    pub method: String,
    /// Path.
    pub path: String,
    /// Address and country.
    pub place: (Fact<IpAddr>, Fact<CountryCode>),
    /// Platform.
    pub platform: Fact<Platform>,
    /// Kind of client.
    pub client_app: ClientAppType,
    /// Sign-in, user, insider and service principal risk.
    pub risks: [RiskLevel; 4],
    /// The device.
    pub device: Option<WitnessDevice>,
    /// When, Unix seconds.
    pub now: i64,
}

/// The device of a witness. Absent attributes are null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WitnessDevice {
    /// `isCompliant`
    pub compliant: Option<bool>,
    /// Texts, by Entra's names.
    pub texts: Vec<(&'static str, String)>,
    /// `physicalIds`
    pub physical_ids: Vec<String>,
    /// `systemLabels`
    pub system_labels: Vec<String>,
    /// `extensionAttribute1` … `15`: those that have a value, by number.
    pub extension_attributes: Vec<(u8, String)>,
}

impl WitnessDevice {
    /// A text, by Entra's name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str())
    }

    fn as_device(&self) -> Device<'_> {
        Device {
            device_id: self.text("deviceId"),
            display_name: self.text("displayName"),
            ownership: self.text("deviceOwnership"),
            enrollment_profile: self.text("enrollmentProfileName"),
            compliant: self.compliant,
            manufacturer: self.text("manufacturer"),
            mdm_app_id: self.text("mdmAppId"),
            model: self.text("model"),
            operating_system: self.text("operatingSystem"),
            operating_system_version: self.text("operatingSystemVersion"),
            physical_ids: &self.physical_ids,
            profile_type: self.text("profileType"),
            system_labels: &self.system_labels,
            trust_type: self.text("trustType"),
            extension_attributes: &self.extension_attributes,
        }
    }
}

impl OwnedAttributes for WitnessDevice {
    fn set_text(&mut self, name: &'static str, value: Option<String>) {
        self.texts.retain(|(known, _)| *known != name);
        self.texts.extend(value.map(|text| (name, text)));
    }

    fn compliant(&mut self, value: Option<bool>) {
        self.compliant = value;
    }

    fn list(&mut self, name: &'static str, value: Vec<String>) {
        match name {
            "physicalIds" => self.physical_ids = value,
            _ => self.system_labels = value,
        }
    }

    fn extension(&mut self, number: u8, value: Option<String>) {
        self.extension_attributes.retain(|(known, _)| *known != number);
        self.extension_attributes.extend(value.map(|text| (number, text)));
    }
}

impl Witness {
    /// The same request with this value in this place.
    pub(super) fn put(&mut self, place: &Place, value: Option<&Value>) {
        match (place, value) {
            (Place::Device(place), value) => {
                let mut device = self.device.take().unwrap_or_default();
                set_device(&mut device, *place, value);
                // A device of which nothing is known is as good as none.
                self.device = Some(device).filter(|device| *device != WitnessDevice::default());
            }
            (Place::Claim(name), value) => {
                let claims = &mut self.principal.standing_mut().claims;
                claims.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                claims.extend(value.map(|value| (name.as_str().into(), value.clone())));
                claims.sort_by(|left, right| left.0.cmp(&right.0));
            }
            (Place::Method, Some(Value::Text(text))) => self.method = text.to_ascii_uppercase(),
            (Place::Path, Some(Value::Text(text))) => self.path.clone_from(text),
            (Place::Method | Place::Path, _) => {}
        }
    }

    /// Lends the request to somebody who asks.
    pub(super) fn with<T>(&self, ask: impl FnOnce(&Signals<'_>) -> T) -> T {
        let [sign_in_risk, user_risk, insider_risk, service_principal_risk] = self.risks.map(Fact::Known);
        let device = self.device.as_ref().map_or(Fact::Unknown, |device| Fact::Known(device.as_device()));
        let context = ClientContext {
            address: self.place.0,
            country: self.place.1,
            platform: self.platform,
            client_app: Fact::Known(self.client_app),
            device,
            sign_in_risk,
            user_risk,
            insider_risk,
            service_principal_risk,
        };
        ask(&Signals {
            principal: &self.principal,
            target: self.target,
            action: Action { method: &self.method, path: &self.path },
            context: &context,
            request_id: RequestId(0),
            now: self.now,
        })
    }

    /// What the reference says to it.
    #[must_use]
    pub fn ask(&self, set: &PolicySet) -> Conclusion {
        self.with(|signals| evaluate(set, signals).conclusion)
    }

    /// What the engine says to it.
    #[must_use]
    pub fn decide(&self, policies: &CompiledPolicies) -> Conclusion {
        let scope = policies.bind(&self.principal);
        match self.with(|signals| policies.decide(&scope, signals)).outcome {
            Outcome::Grant(permit) => Conclusion::Grant(permit.session()),
            Outcome::Challenge(refused) => Conclusion::Challenge(refused),
            Outcome::Deny(refused) => Conclusion::Deny(refused),
            Outcome::Block(refused) => Conclusion::Block(refused),
        }
    }
}
