//! Makes the question of a recorded decision again.

use portcullis_policy::PolicySet;
use portcullis_policy::model::{
    AuthenticationContext, ClientAppType, CountryCode, Flow, GuestKind, Platform, RiskLevel,
};
use portcullis_policy::signals::{
    Action, AppIndex, ClientContext, Device, Fact, Identity, IssuerEvidence, Principal, RequestId, SignIn,
    Signals, Standing, Target, Value,
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

    /// The circumstances.
    #[must_use]
    pub fn client_context(&self) -> ClientContext<'_> {
        let word = |name: &str, text: &Option<String>| self.fact(name, text.clone());
        let risk = |name: &str, text: &Option<String>| match word(name, text) {
            Fact::Known(text) => RiskLevel::from_word(&text).map_or(Fact::Unavailable, Fact::Known),
            Fact::Unknown => Fact::Unknown,
            Fact::Unavailable => Fact::Unavailable,
        };
        ClientContext {
            address: self.fact("address", self.address),
            country: self.fact("country", self.country.as_deref().and_then(CountryCode::new)),
            platform: self.fact("platform", self.platform.as_deref().and_then(Platform::from_word)),
            client_app: self.fact("clientApp", self.client_app.as_deref().and_then(ClientAppType::from_word)),
            device: self.fact("device", self.device.as_ref().map(RecordedDevice::as_device)),
            sign_in_risk: risk("signInRisk", &self.sign_in_risk),
            user_risk: risk("userRisk", &self.user_risk),
            insider_risk: risk("insiderRisk", &self.insider_risk),
            service_principal_risk: risk("servicePrincipalRisk", &self.service_principal_risk),
        }
    }

    /// What was asked for, if a policy set still has the app.
    #[must_use]
    pub fn target(&self, set: &PolicySet) -> Option<Target> {
        let app = set.apps.iter().position(|app| app.id == self.app)?;
        Some(Target {
            app: AppIndex(u32::try_from(app).ok()?),
            context: self.context.as_deref().and_then(AuthenticationContext::new),
        })
    }

    /// The question, asked anew at the time of then.
    #[must_use]
    pub fn signals<'c>(
        &'c self,
        principal: &'c Principal,
        context: &'c ClientContext<'c>,
        target: Target,
    ) -> Signals<'c> {
        Signals {
            principal,
            target,
            action: Action { method: &self.method, path: &self.path },
            context,
            request_id: RequestId(0),
            now: self.now,
        }
    }
}

impl RecordedDevice {
    fn as_device(&self) -> Device<'_> {
        Device {
            device_id: self.device_id.as_deref(),
            display_name: self.display_name.as_deref(),
            ownership: self.ownership.as_deref(),
            enrollment_profile: self.enrollment_profile.as_deref(),
            compliant: self.compliant,
            manufacturer: self.manufacturer.as_deref(),
            mdm_app_id: self.mdm_app_id.as_deref(),
            model: self.model.as_deref(),
            operating_system: self.operating_system.as_deref(),
            operating_system_version: self.operating_system_version.as_deref(),
            physical_ids: &self.physical_ids,
            profile_type: self.profile_type.as_deref(),
            system_labels: &self.system_labels,
            trust_type: self.trust_type.as_deref(),
            extension_attributes: &self.extension_attributes,
        }
    }
}
