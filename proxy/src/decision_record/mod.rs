//! Everything that one decision rested on, in a form that can be written down and decided again: the decision log
//! has it, a support code seals it, and `explain` asks today's policies the same question with it.
//!
//! Groups and roles are recorded only where a policy or an app names them: no other can change a
//! decision, and a user's list of memberships does not belong in a log.

mod recorder;
mod replay;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use recorder::NamedIds;

/// More memberships, claims or longer texts than these are cut, and the record says so.
const ITEMS_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 512;

/// The facts of one decision. Absent means not known; a source that did not answer is named in
/// `unavailable`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DecisionRecord {
    /// Unix seconds at which it was decided.
    pub now: i64,
    /// The app's id.
    pub app: String,
    /// The authentication context that the route asked for.
    pub context: Option<String>,
    /// Method.
    pub method: String,
    /// Path, without the query.
    pub path: String,
    /// The id of the person or program, or its hash in a log that hashes.
    pub user: Option<String>,
    /// Whether it is a program.
    pub is_workload: bool,
    /// How a person is external, as a position in `GuestKind::ALL`.
    pub guest: Option<u8>,
    /// The tenant that the person comes from.
    pub home_tenant: Option<String>,
    /// Groups that policies or apps name.
    pub groups: Option<Vec<String>>,
    /// Roles that policies or apps name.
    pub roles: Option<Vec<String>>,
    /// Time of the sign-in, Unix seconds.
    pub auth_time: Option<i64>,
    /// `amr`
    pub methods: Vec<String>,
    /// `acr`
    pub acr: Option<String>,
    /// `acrs`
    pub contexts: Vec<String>,
    /// The client that the token was issued to.
    pub client_id: Option<String>,
    /// The authentication flow, as a position in `Flow::ALL`.
    pub flow: Option<u8>,
    /// Time of the last password change, Unix seconds.
    pub password_changed: Option<i64>,
    /// When the user's risk was seen, Unix seconds.
    pub risk_seen: Option<i64>,
    /// Accepted terms of use.
    pub terms: Vec<String>,
    /// Satisfied external controls.
    pub custom_controls: Vec<String>,
    /// Claims that rules may ask for.
    pub claims: Vec<(String, ClaimValue)>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// Its country.
    pub country: Option<String>,
    /// The platform.
    pub platform: Option<String>,
    /// The kind of client.
    pub client_app: Option<String>,
    /// The device; absent is an unregistered one.
    pub device: Option<RecordedDevice>,
    /// Sign-in risk.
    pub sign_in_risk: Option<String>,
    /// User risk.
    pub user_risk: Option<String>,
    /// Insider risk.
    pub insider_risk: Option<String>,
    /// Service principal risk.
    pub service_principal_risk: Option<String>,
    /// Facts whose source did not answer, by the names of this structure's fields.
    pub unavailable: Vec<String>,
    /// Whether something was too long to be recorded: deciding again may then have another result.
    #[serde(rename = "isCut")]
    pub truncated: bool,
    /// What the token's issuer can prove, as `IssuerEvidence` writes it; absent for the usual.
    pub issuer_evidence: Option<u8>,
    /// Whether the token was a bearer's in `Authorization`; absent where it was not.
    pub bearer: Option<bool>,
}

/// A claim's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClaimValue {
    /// Text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A collection of texts.
    List(Vec<String>),
}

/// A registered device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RecordedDevice {
    /// `deviceId`
    pub device_id: Option<String>,
    /// `displayName`
    pub display_name: Option<String>,
    /// `deviceOwnership`
    pub ownership: Option<String>,
    /// `enrollmentProfileName`
    pub enrollment_profile: Option<String>,
    /// `isCompliant`
    pub compliant: Option<bool>,
    /// `manufacturer`
    pub manufacturer: Option<String>,
    /// `mdmAppId`
    pub mdm_app_id: Option<String>,
    /// `model`
    pub model: Option<String>,
    /// `operatingSystem`
    pub operating_system: Option<String>,
    /// `operatingSystemVersion`
    pub operating_system_version: Option<String>,
    /// `physicalIds`
    pub physical_ids: Vec<String>,
    /// `profileType`
    pub profile_type: Option<String>,
    /// `systemLabels`
    pub system_labels: Vec<String>,
    /// `trustType`
    pub trust_type: Option<String>,
    /// `extensionAttribute1` … `15`: those that have a value, by number.
    pub extension_attributes: Vec<(u8, String)>,
}

impl DecisionRecord {
    /// About how many bytes it takes in memory: its contents, twice, for lists have spare capacity.
    #[must_use]
    pub fn weight(&self) -> usize {
        let said = postcard::experimental::serialized_size(self).unwrap_or(TEXT_BYTES_MAX * ITEMS_MAX);
        size_of::<Self>() + 2 * said
    }

    /// Leaves out what takes most space and decides least often, where space is short.
    pub fn reduce(&mut self) {
        self.truncated = true;
        self.claims.clear();
        self.path = self.path.chars().take(64).collect();
        let lists = [&mut self.methods, &mut self.contexts, &mut self.terms, &mut self.custom_controls];
        for list in lists.into_iter().chain(&mut self.groups).chain(&mut self.roles) {
            list.truncate(8);
        }
        if let Some(device) = &mut self.device {
            *device = RecordedDevice {
                device_id: device.device_id.take(),
                compliant: device.compliant,
                operating_system: device.operating_system.take(),
                operating_system_version: device.operating_system_version.take(),
                trust_type: device.trust_type.take(),
                ..RecordedDevice::default()
            };
        }
    }

    /// What fits wherever it has to: who, where, by what, and the risks.
    #[must_use]
    pub fn core(&self) -> Self {
        /// Bytes of a text; there are at most six.
        const LONGEST: usize = 48;
        let cut = |text: &str| {
            let mut end = text.len().min(LONGEST);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.get(..end).unwrap_or_default().to_owned()
        };
        Self {
            truncated: true,
            app: cut(&self.app),
            path: cut(&self.path),
            user: self.user.as_deref().map(cut),
            home_tenant: None,
            groups: None,
            roles: None,
            methods: Vec::new(),
            acr: None,
            contexts: Vec::new(),
            client_id: self.client_id.as_deref().map(cut),
            terms: Vec::new(),
            custom_controls: Vec::new(),
            claims: Vec::new(),
            method: cut(&self.method),
            device: self.device.as_ref().map(|device| RecordedDevice {
                device_id: device.device_id.as_deref().map(cut),
                compliant: device.compliant,
                ..RecordedDevice::default()
            }),
            ..self.clone()
        }
    }
}
