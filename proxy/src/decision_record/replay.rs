//! Makes the question of a recorded decision again.

use portcullis_policy::PolicySet;
use portcullis_policy::model::{
    AuthenticationContext, ClientAppType, CountryCode, Flow, GuestKind, Platform, RiskLevel,
};
use portcullis_policy::signals::{
    AppIndex, ClientContext, Fact, Identity, IssuerEvidence, OwnedDevice, OwnedSignals, Principal, SignIn,
    Standing, Target, Value,
};

use super::{ClaimValue, DecisionRecord, RecordedDevice};
use crate::refusal::Carrier;

impl DecisionRecord {
    fn fact<T>(&self, name: &str, value: Option<T>) -> Fact<T> {
        match value {
            Some(value) => Fact::Known(value),
            None if self.unavailable.iter().any(|missing| missing == name) => Fact::Unavailable,
            None => Fact::Unknown,
        }
    }

    /// The person or program, as it was bound to the policies. A hash stands where only the hash
    /// of the id is known.
    #[must_use]
    pub fn principal(&self) -> Principal {
        let identity = if self.is_workload {
            Identity::Workload
        } else {
            let guest = self.guest.and_then(|guest| GuestKind::ALL.get(usize::from(guest)).copied());
            Identity::User { guest, home_tenant: self.home_tenant.clone() }
        };
        let claims = self.claims.iter().map(|(name, value)| {
            let value = match value {
                ClaimValue::Text(text) => Value::Text(text.clone()),
                ClaimValue::Bool(truth) => Value::Bool(*truth),
                ClaimValue::Number(number) => Value::Number(*number),
                ClaimValue::List(items) => Value::List(items.clone()),
            };
            (name.as_str().into(), value)
        });
        let standing = Standing {
            identity,
            groups: self.fact("groups", self.groups.clone()),
            roles: self.fact("roles", self.roles.clone()),
            sign_in: SignIn {
                methods: self.methods.clone(),
                acr: self.acr.clone(),
                contexts: self.contexts.iter().filter_map(|text| AuthenticationContext::new(text)).collect(),
                issuer: IssuerEvidence::from_bits(self.issuer_evidence.unwrap_or_default()),
                client_id: self.client_id.clone(),
                flow: self.flow.and_then(|flow| Flow::ALL.get(usize::from(flow)).copied()),
                password_changed: self.password_changed,
                risk_seen: self.risk_seen,
                terms: self.terms.clone(),
                custom_controls: self.custom_controls.clone(),
            },
            claims: claims.collect(),
        };
        let id = self.user.as_deref().unwrap_or_default().into();
        Principal { id, auth_time: self.auth_time, standing: standing.into() }
    }

    /// What brought the token.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        if self.bearer == Some(true) { Carrier::Bearer } else { Carrier::BrowserSession }
    }

    /// The question, asked anew at the time of then; `None` where the policy set no longer has the app.
    #[must_use]
    pub fn signals(&self, set: &PolicySet) -> Option<OwnedSignals> {
        let app = set.apps.iter().position(|app| app.id == self.app)?;
        Some(OwnedSignals {
            principal: self.principal(),
            target: Target {
                app: AppIndex(u32::try_from(app).ok()?),
                context: self.context.as_deref().and_then(AuthenticationContext::new),
            },
            method: self.method.clone(),
            path: self.path.clone(),
            context: ClientContext {
                address: self.fact("address", self.address),
                country: self.fact("country", self.country.as_deref().and_then(CountryCode::new)),
                platform: self.fact("platform", self.platform.as_deref().and_then(Platform::from_word)),
                client_app: self
                    .fact("clientApp", self.client_app.as_deref().and_then(ClientAppType::from_word)),
                device: Fact::Unknown,
                sign_in_risk: self.risk("signInRisk", self.sign_in_risk.as_deref()),
                user_risk: self.risk("userRisk", self.user_risk.as_deref()),
                insider_risk: self.risk("insiderRisk", self.insider_risk.as_deref()),
                service_principal_risk: self
                    .risk("servicePrincipalRisk", self.service_principal_risk.as_deref()),
            },
            device: self.fact("device", self.device.as_ref().map(RecordedDevice::to_owned_device)),
            now: self.now,
        })
    }

    fn risk(&self, name: &str, level: Option<&str>) -> Fact<RiskLevel> {
        match self.fact(name, level) {
            Fact::Known(level) => RiskLevel::from_word(level).map_or(Fact::Unavailable, Fact::Known),
            Fact::Unknown => Fact::Unknown,
            Fact::Unavailable => Fact::Unavailable,
        }
    }
}

impl RecordedDevice {
    fn to_owned_device(&self) -> OwnedDevice {
        let device = self.clone();
        OwnedDevice {
            device_id: device.device_id,
            display_name: device.display_name,
            ownership: device.ownership,
            enrollment_profile: device.enrollment_profile,
            compliant: device.compliant,
            manufacturer: device.manufacturer,
            mdm_app_id: device.mdm_app_id,
            model: device.model,
            operating_system: device.operating_system,
            operating_system_version: device.operating_system_version,
            physical_ids: device.physical_ids,
            profile_type: device.profile_type,
            system_labels: device.system_labels,
            trust_type: device.trust_type,
            extension_attributes: device.extension_attributes,
        }
    }
}
