//! Writes a decision's facts down, bounded in number and length.

use std::borrow::Cow;
use std::collections::HashSet;

use ahash::RandomState;
use portcullis_policy::model::{Flow, GuestKind, RiskLevel, Subjects, UserSelector};
use portcullis_policy::signals::{Device, Fact, Identity, Principal, Signals, Standing, Value};
use portcullis_policy::{PolicySet, text};

use super::{ClaimValue, DecisionRecord, ITEMS_MAX, RecordedDevice, TEXT_BYTES_MAX};
use crate::refusal::Carrier;

/// Ids of groups and roles that policies and apps name, in lower case.
#[derive(Debug, Default)]
pub struct NamedIds {
    groups: HashSet<String, RandomState>,
    roles: HashSet<String, RandomState>,
}

impl NamedIds {
    /// Collects them; once for each load.
    #[must_use]
    pub fn of(set: &PolicySet) -> Self {
        let mut named = Self::default();
        let of_policies = set.policies.iter().flat_map(|policy| match &*policy.subjects {
            Subjects::Users(users) => users.include.iter().chain(&users.exclude),
            Subjects::Workloads(_) => [].iter().chain(&[]),
        });
        for selector in of_policies.chain(set.apps.iter().flat_map(|app| app.assigned.iter().flatten())) {
            match selector {
                UserSelector::Group(id) => {
                    named.groups.insert(text::folded(id));
                }
                UserSelector::Role(id) => {
                    named.roles.insert(text::folded(id));
                }
                UserSelector::All | UserSelector::None | UserSelector::User(_) | UserSelector::Guests(_) => {}
            }
        }
        named
    }
}

/// Writes a record down; remembers whether anything was cut.
struct Recorder<'n> {
    named: &'n NamedIds,
    unavailable: Vec<String>,
    truncated: bool,
}

impl Recorder<'_> {
    fn text(&mut self, text: &str) -> String {
        if text.len() <= TEXT_BYTES_MAX {
            return text.to_owned();
        }
        self.truncated = true;
        text.chars().take(TEXT_BYTES_MAX / 4).collect()
    }

    fn maybe(&mut self, text: Option<&str>) -> Option<String> {
        text.map(|text| self.text(text))
    }

    fn list<'t>(&mut self, items: impl IntoIterator<Item = &'t String>) -> Vec<String> {
        let mut list = Vec::new();
        for item in items {
            if list.len() == ITEMS_MAX {
                self.truncated = true;
                break;
            }
            list.push(self.text(item));
        }
        list
    }

    fn members(&mut self, name: &str, of: &Fact<Vec<String>>) -> Option<Vec<String>> {
        let named = self.named;
        let known = if name == "groups" { &named.groups } else { &named.roles };
        let ids = self.known(name, of.as_ref())?;
        Some(self.list(ids.iter().filter(|id| known.contains(&*folded(id)))))
    }

    fn known<T>(&mut self, name: &str, fact: Fact<T>) -> Option<T> {
        if matches!(fact, Fact::Unavailable) {
            self.unavailable.push(name.to_owned());
        }
        fact.known()
    }

    fn claims(&mut self, claims: &[(Box<str>, Value)]) -> Vec<(String, ClaimValue)> {
        self.truncated |= claims.len() > ITEMS_MAX;
        let mut list = Vec::new();
        for (name, value) in claims.iter().take(ITEMS_MAX) {
            let value = match value {
                Value::Text(text) => ClaimValue::Text(self.text(text)),
                Value::Bool(truth) => ClaimValue::Bool(*truth),
                Value::Number(number) => ClaimValue::Number(*number),
                Value::List(items) => ClaimValue::List(self.list(items)),
            };
            list.push((self.text(name), value));
        }
        list
    }

    fn device(&mut self, device: &Device<'_>) -> RecordedDevice {
        RecordedDevice {
            device_id: self.maybe(device.device_id),
            display_name: self.maybe(device.display_name),
            ownership: self.maybe(device.ownership),
            enrollment_profile: self.maybe(device.enrollment_profile),
            compliant: device.compliant,
            manufacturer: self.maybe(device.manufacturer),
            mdm_app_id: self.maybe(device.mdm_app_id),
            model: self.maybe(device.model),
            operating_system: self.maybe(device.operating_system),
            operating_system_version: self.maybe(device.operating_system_version),
            physical_ids: self.list(device.physical_ids),
            profile_type: self.maybe(device.profile_type),
            system_labels: self.list(device.system_labels),
            trust_type: self.maybe(device.trust_type),
            extension_attributes: device
                .extension_attributes
                .iter()
                .map(|(number, value)| (*number, self.text(value)))
                .collect(),
        }
    }
}

/// Ids are in lower case most of the time.
fn folded(id: &str) -> Cow<'_, str> {
    if id.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
        Cow::Owned(text::folded(id))
    } else {
        Cow::Borrowed(id)
    }
}

fn position<T: PartialEq>(all: &[T], item: T) -> Option<u8> {
    u8::try_from(all.iter().position(|known| *known == item)?).ok()
}

impl DecisionRecord {
    /// Records what the decision rested on. `app` is the app's id.
    #[must_use]
    pub fn of(signals: &Signals<'_>, app: &str, carrier: Carrier, named: &NamedIds) -> Self {
        let mut recorder = Recorder { named, unavailable: Vec::new(), truncated: false };
        let Principal { id: user, auth_time, standing } = signals.principal;
        let Standing { identity, groups, roles, sign_in, claims } = &**standing;
        let context = signals.context;
        let (is_workload, guest, home_tenant) = match identity {
            Identity::User { guest, home_tenant } => (false, *guest, home_tenant.as_deref()),
            Identity::Workload => (true, None, None),
        };
        let risk = |recorder: &mut Recorder<'_>, name: &str, risk: Fact<RiskLevel>| {
            recorder.known(name, risk).map(|risk| risk.as_str().to_owned())
        };
        let mut record = Self {
            now: signals.now,
            app: app.to_owned(),
            context: signals.target.context.map(|context| context.to_string()),
            method: recorder.text(signals.action.method),
            path: recorder.text(signals.action.path),
            user: Some(recorder.text(user)),
            is_workload,
            guest: guest.and_then(|guest| position(&GuestKind::ALL, guest)),
            home_tenant: recorder.maybe(home_tenant),
            groups: recorder.members("groups", groups),
            roles: recorder.members("roles", roles),
            auth_time: *auth_time,
            methods: recorder.list(&sign_in.methods),
            acr: recorder.maybe(sign_in.acr.as_deref()),
            contexts: sign_in.contexts.iter().map(ToString::to_string).collect(),
            client_id: recorder.maybe(sign_in.client_id.as_deref()),
            flow: sign_in.flow.and_then(|flow| position(&Flow::ALL, flow)),
            password_changed: sign_in.password_changed,
            risk_seen: sign_in.risk_seen,
            terms: recorder.list(&sign_in.terms),
            custom_controls: recorder.list(&sign_in.custom_controls),
            claims: recorder.claims(claims),
            address: recorder.known("address", context.address),
            country: recorder.known("country", context.country).map(|country| country.as_str().to_owned()),
            platform: recorder
                .known("platform", context.platform)
                .map(|platform| platform.as_str().to_owned()),
            client_app: recorder.known("clientApp", context.client_app).map(|app| app.as_str().to_owned()),
            device: recorder.known("device", context.device.as_ref()).map(|device| recorder.device(device)),
            sign_in_risk: risk(&mut recorder, "signInRisk", context.sign_in_risk),
            user_risk: risk(&mut recorder, "userRisk", context.user_risk),
            insider_risk: risk(&mut recorder, "insiderRisk", context.insider_risk),
            service_principal_risk: risk(
                &mut recorder,
                "servicePrincipalRisk",
                context.service_principal_risk,
            ),
            issuer_evidence: Some(sign_in.issuer.to_bits()).filter(|bits| *bits != 0),
            bearer: (carrier == Carrier::Bearer).then_some(true),
            ..Self::default()
        };
        record.unavailable = recorder.unavailable;
        record.truncated = recorder.truncated;
        record
    }
}
