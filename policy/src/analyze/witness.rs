//! A request that shows a finding, owned, so that it can be asked again.

use alloc::string::String;
use core::net::IpAddr;

use crate::compile::CompiledPolicies;
use crate::decision::Outcome;
use crate::model::{ClientAppType, CountryCode, Platform, PolicySet, RiskLevel};
use crate::reference::{Conclusion, evaluate};
use crate::signals::{Action, ClientContext, Device, Fact, Principal, RequestId, Signals, Target};

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

/// The device of a witness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WitnessDevice {
    /// `isCompliant`
    pub compliant: Option<bool>,
    /// `trustType`
    pub trust_type: Option<&'static str>,
    /// `displayName`, `model`, `manufacturer`, `operatingSystem`, `operatingSystemVersion` and the rest.
    pub text: Option<String>,
}

impl Witness {
    /// Lends the request to somebody who asks.
    pub(super) fn with<T>(&self, ask: impl FnOnce(&Signals<'_>) -> T) -> T {
        let [sign_in_risk, user_risk, insider_risk, service_principal_risk] = self.risks.map(Fact::Known);
        let device = self.device.as_ref().map_or(Fact::Unknown, |device| {
            let text = device.text.as_deref();
            Fact::Known(Device {
                device_id: Some("witness"),
                compliant: device.compliant,
                trust_type: device.trust_type,
                display_name: text,
                model: text,
                manufacturer: text,
                operating_system: text,
                operating_system_version: text,
                ..Device::default()
            })
        });
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
