//! A request as facts, owned, and what the policies must say to it.

use std::net::IpAddr;

use portcullis_policy::Reading;
use portcullis_policy::model::{AuthenticationContext, ClientAppType, CountryCode, Platform, RiskLevel};
use portcullis_policy::signals::{
    Action, AppIndex, ClientContext, Device, Fact, Principal, RequestId, Signals, Target,
};

/// A request as facts, owned.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who asks.
    pub principal: Principal,
    /// For which app.
    pub app: AppIndex,
    /// The authentication context that is asked for.
    pub context: Option<AuthenticationContext>,
    /// Whether the token comes as a bearer's, rather than in the cookie or header of a session.
    pub is_bearer: bool,
    /// Method.
    pub method: String,
    /// Path, in normal form.
    pub path: String,
    /// How else the app may read it, with the context that each reading asks for.
    pub other_readings: Vec<(String, Option<AuthenticationContext>)>,
    /// Client's address.
    pub address: Fact<IpAddr>,
    /// Its country; `None` when the question does not tell and it is to be looked up.
    pub country: Option<Fact<CountryCode>>,
    /// Platform.
    pub platform: Fact<Platform>,
    /// Kind of client.
    pub client_app: Fact<ClientAppType>,
    /// Device.
    pub device: Fact<OwnedDevice>,
    /// Sign-in, user, insider and service principal risk.
    pub risks: [Fact<RiskLevel>; 4],
    /// The time of asking, Unix seconds.
    pub now: i64,
}

/// A device's attributes, owned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedDevice {
    /// Texts, by the name of the field of [`Device`].
    pub(crate) texts: Vec<(&'static str, String)>,
    /// `isCompliant`
    pub compliant: Option<bool>,
    /// `physicalIds`
    pub physical_ids: Vec<String>,
    /// `systemLabels`
    pub system_labels: Vec<String>,
    /// `extensionAttribute1` … `15`: those that have a value, by number.
    pub extension_attributes: Vec<(u8, String)>,
}

impl OwnedDevice {
    /// The device as signals take it.
    #[must_use]
    pub fn as_device(&self) -> Device<'_> {
        let text =
            |name: &str| self.texts.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str());
        Device {
            device_id: text("id"),
            display_name: text("name"),
            ownership: text("ownership"),
            enrollment_profile: text("enrollment-profile"),
            compliant: self.compliant,
            manufacturer: text("manufacturer"),
            mdm_app_id: text("mdm-app-id"),
            model: text("model"),
            operating_system: text("operating-system"),
            operating_system_version: text("operating-system-version"),
            physical_ids: &self.physical_ids,
            profile_type: text("profile-type"),
            system_labels: &self.system_labels,
            trust_type: text("trust-type"),
            extension_attributes: &self.extension_attributes,
        }
    }
}

impl Question {
    /// The circumstances.
    #[must_use]
    pub fn client_context(&self) -> ClientContext<'_> {
        let [sign_in_risk, user_risk, insider_risk, service_principal_risk] = self.risks;
        let device = match &self.device {
            Fact::Known(device) => Fact::Known(device.as_device()),
            Fact::Unknown => Fact::Unknown,
            Fact::Unavailable => Fact::Unavailable,
        };
        ClientContext {
            address: self.address,
            country: self.country.unwrap_or_default(),
            platform: self.platform,
            client_app: self.client_app,
            device,
            sign_in_risk,
            user_risk,
            insider_risk,
            service_principal_risk,
        }
    }

    /// Every way in which the app may read the path; none where there is but one.
    #[must_use]
    pub fn readings(&self) -> Vec<Reading<'_>> {
        if self.other_readings.is_empty() {
            return Vec::new();
        }
        let others = self.other_readings.iter().map(|(path, context)| Reading { path, context: *context });
        [Reading { path: &self.path, context: self.context }].into_iter().chain(others).collect()
    }

    /// The question as the policies take it.
    #[must_use]
    pub fn signals<'r>(&'r self, context: &'r ClientContext<'r>) -> Signals<'r> {
        Signals {
            principal: &self.principal,
            target: Target { app: self.app, context: self.context },
            action: Action { method: &self.method, path: &self.path },
            context,
            request_id: RequestId(0),
            now: self.now,
        }
    }
}

/// A request and what the policies must say to it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What must hold, as a sentence.
    pub name: String,
    /// `path:line:column` of the case.
    pub place: String,
    /// The request.
    pub question: Question,
    /// `grant`, `challenge`, `deny` or `block`.
    pub expect: String,
    /// The code of the denial.
    pub code: Option<u32>,
    /// Exactly the enforced policies that apply, sorted; `None` when not told.
    pub applied: Option<Vec<String>>,
}
