//! Everything that one decision rested on, in a form that can be written down and decided again.
//!
//! Groups and roles are kept only where a policy or an app names them: no other can change a
//! decision, and nobody's list of memberships belongs into a log.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;

use ahash::RandomState;
use portcullis_policy::model::{
    AuthenticationContext, ClientAppType, CountryCode, Flow, GuestKind, Platform, RiskLevel, Subjects,
    UserSelector,
};
use portcullis_policy::signals::{
    Action, ClientContext, Device, Fact, Identity, IssuerEvidence, Principal, RequestId, SignIn, Signals,
    Standing, Target, Value,
};
use portcullis_policy::{PolicySet, text};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::refusal::Carrier;

/// More memberships, claims or longer texts than these are cut, and the case says so.
const ITEMS_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 512;

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

/// The facts of one decision. Absent means not known; a source that did not answer is named in
/// `unavailable`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Case {
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
    pub claims: Vec<(String, Claim)>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// Its country.
    pub country: Option<String>,
    /// The platform.
    pub platform: Option<String>,
    /// The kind of client.
    pub client_app: Option<String>,
    /// The device; absent is an unregistered one.
    pub device: Option<CaseDevice>,
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
    /// Whether something was too long to be kept: deciding again may then come to something else.
    pub is_cut: bool,
    /// What the word of the token's issuer is good for, as `IssuerEvidence` writes it; absent where it is as usual.
    pub issuer_evidence: Option<u8>,
    /// Whether the token came as a bearer's, where it did.
    pub bearer: Option<bool>,
}

/// A claim's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Claim {
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
pub struct CaseDevice {
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

/// Writes a case down; remembers whether anything was cut.
struct Scribe<'n> {
    named: &'n NamedIds,
    unavailable: Vec<String>,
    is_cut: bool,
}

impl Scribe<'_> {
    fn text(&mut self, text: &str) -> String {
        if text.len() <= TEXT_BYTES_MAX {
            return text.to_owned();
        }
        self.is_cut = true;
        text.chars().take(TEXT_BYTES_MAX / 4).collect()
    }

    fn maybe(&mut self, text: Option<&str>) -> Option<String> {
        text.map(|text| self.text(text))
    }

    fn list<'t>(&mut self, items: impl IntoIterator<Item = &'t String>) -> Vec<String> {
        let mut list = Vec::new();
        for item in items {
            if list.len() == ITEMS_MAX {
                self.is_cut = true;
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

    fn claims(&mut self, claims: &[(Box<str>, Value)]) -> Vec<(String, Claim)> {
        self.is_cut |= claims.len() > ITEMS_MAX;
        let mut list = Vec::new();
        for (name, value) in claims.iter().take(ITEMS_MAX) {
            let value = match value {
                Value::Text(text) => Claim::Text(self.text(text)),
                Value::Bool(truth) => Claim::Bool(*truth),
                Value::Number(number) => Claim::Number(*number),
                Value::List(items) => Claim::List(self.list(items)),
            };
            list.push((self.text(name), value));
        }
        list
    }

    fn device(&mut self, device: &Device<'_>) -> CaseDevice {
        CaseDevice {
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

impl Case {
    /// Writes down what was decided on. `app` is the app's id.
    #[must_use]
    pub fn of(signals: &Signals<'_>, app: &str, carrier: Carrier, named: &NamedIds) -> Self {
        let mut scribe = Scribe { named, unavailable: Vec::new(), is_cut: false };
        let Principal { id: user, auth_time, standing } = signals.principal;
        let Standing { identity, groups, roles, sign_in, claims } = &**standing;
        let context = signals.context;
        let (is_workload, guest, home_tenant) = match identity {
            Identity::User { guest, home_tenant } => (false, *guest, home_tenant.as_deref()),
            Identity::Workload => (true, None, None),
        };
        let risk = |scribe: &mut Scribe<'_>, name: &str, risk: Fact<RiskLevel>| {
            scribe.known(name, risk).map(|risk| risk.as_str().to_owned())
        };
        let mut case = Self {
            now: signals.now,
            app: app.to_owned(),
            context: signals.target.context.map(|context| context.to_string()),
            method: scribe.text(signals.action.method),
            path: scribe.text(signals.action.path),
            user: Some(scribe.text(user)),
            is_workload,
            guest: guest.and_then(|guest| position(&GuestKind::ALL, guest)),
            home_tenant: scribe.maybe(home_tenant),
            groups: scribe.members("groups", groups),
            roles: scribe.members("roles", roles),
            auth_time: *auth_time,
            methods: scribe.list(&sign_in.methods),
            acr: scribe.maybe(sign_in.acr.as_deref()),
            contexts: sign_in.contexts.iter().map(ToString::to_string).collect(),
            client_id: scribe.maybe(sign_in.client_id.as_deref()),
            flow: sign_in.flow.and_then(|flow| position(&Flow::ALL, flow)),
            password_changed: sign_in.password_changed,
            risk_seen: sign_in.risk_seen,
            terms: scribe.list(&sign_in.terms),
            custom_controls: scribe.list(&sign_in.custom_controls),
            claims: scribe.claims(claims),
            address: scribe.known("address", context.address),
            country: scribe.known("country", context.country).map(|country| country.as_str().to_owned()),
            platform: scribe.known("platform", context.platform).map(|platform| platform.as_str().to_owned()),
            client_app: scribe.known("clientApp", context.client_app).map(|app| app.as_str().to_owned()),
            device: scribe.known("device", context.device.as_ref()).map(|device| scribe.device(device)),
            sign_in_risk: risk(&mut scribe, "signInRisk", context.sign_in_risk),
            user_risk: risk(&mut scribe, "userRisk", context.user_risk),
            insider_risk: risk(&mut scribe, "insiderRisk", context.insider_risk),
            service_principal_risk: risk(&mut scribe, "servicePrincipalRisk", context.service_principal_risk),
            issuer_evidence: Some(sign_in.issuer.to_bits()).filter(|bits| *bits != 0),
            bearer: (carrier == Carrier::Bearer).then_some(true),
            ..Self::default()
        };
        case.unavailable = scribe.unavailable;
        case.is_cut = scribe.is_cut;
        case
    }

    /// About how many bytes it takes in memory: what it says, twice, for lists have room for more.
    #[must_use]
    pub fn weight(&self) -> usize {
        let said = postcard::experimental::serialized_size(self).unwrap_or(TEXT_BYTES_MAX * ITEMS_MAX);
        size_of::<Self>() + 2 * said
    }

    /// Leaves out what fills most room and decides least often, for where room is short.
    pub fn reduce(&mut self) {
        self.is_cut = true;
        self.claims.clear();
        self.path = self.path.chars().take(64).collect();
        let lists = [&mut self.methods, &mut self.contexts, &mut self.terms, &mut self.custom_controls];
        for list in lists.into_iter().chain(&mut self.groups).chain(&mut self.roles) {
            list.truncate(8);
        }
        if let Some(device) = &mut self.device {
            *device = CaseDevice {
                device_id: device.device_id.take(),
                compliant: device.compliant,
                operating_system: device.operating_system.take(),
                operating_system_version: device.operating_system_version.take(),
                trust_type: device.trust_type.take(),
                ..CaseDevice::default()
            };
        }
    }

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
                Claim::Text(text) => Value::Text(text.clone()),
                Claim::Bool(truth) => Value::Bool(*truth),
                Claim::Number(number) => Value::Number(*number),
                Claim::List(items) => Value::List(items.clone()),
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
            Fact::Known(text) => RiskLevel::ALL
                .into_iter()
                .find(|level| level.as_str() == text)
                .map_or(Fact::Unavailable, Fact::Known),
            Fact::Unknown => Fact::Unknown,
            Fact::Unavailable => Fact::Unavailable,
        };
        let platform = self.platform.as_deref();
        let platform = platform.and_then(|text| Platform::ALL.into_iter().find(|one| one.as_str() == text));
        let client = self.client_app.as_deref();
        let client = client.and_then(|text| ClientAppType::ALL.into_iter().find(|one| one.as_str() == text));
        ClientContext {
            address: self.fact("address", self.address),
            country: self.fact("country", self.country.as_deref().and_then(CountryCode::new)),
            platform: self.fact("platform", platform),
            client_app: self.fact("clientApp", client),
            device: self.fact("device", self.device.as_ref().map(CaseDevice::as_device)),
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
            app: portcullis_policy::signals::AppIndex(u32::try_from(app).ok()?),
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

impl CaseDevice {
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

/// A case as the log has it: without what is absent or empty, for most is, of most requests. Support
/// codes hold every field by its position, so this cannot be said where the fields are.
pub(super) fn without_absent<S: Serializer>(
    case: &Option<Box<Case>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match case {
        Some(case) => present(case, serializer),
        None => serializer.serialize_none(),
    }
}

/// Whether the log leaves a value out.
trait Absent {
    fn is_absent(&self) -> bool {
        false
    }
}

impl Absent for bool {}
impl Absent for i64 {}
impl Absent for u8 {}
impl Absent for String {}
impl Absent for IpAddr {}

impl<T> Absent for Vec<T> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Absent> Absent for Option<T> {
    fn is_absent(&self) -> bool {
        self.as_ref().is_none_or(Absent::is_absent)
    }
}

macro_rules! put {
    ($map:ident, $from:ident: $($name:literal $field:ident,)*) => {
        $(if !$from.$field.is_absent() {
            $map.serialize_entry($name, &$from.$field)?;
        })*
    };
}

fn present<S: Serializer>(case: &Case, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    put!(map, case:
        "now" now, "app" app, "context" context, "method" method, "path" path, "user" user,
        "isWorkload" is_workload, "guest" guest, "homeTenant" home_tenant, "groups" groups,
        "roles" roles, "authTime" auth_time, "methods" methods, "acr" acr, "contexts" contexts,
        "clientId" client_id, "flow" flow, "passwordChanged" password_changed,
        "riskSeen" risk_seen, "terms" terms, "customControls" custom_controls, "claims" claims,
        "address" address, "country" country, "platform" platform, "clientApp" client_app,
    );
    if let Some(device) = &case.device {
        map.serialize_entry("device", &Present(device))?;
    }
    put!(map, case:
        "signInRisk" sign_in_risk, "userRisk" user_risk, "insiderRisk" insider_risk,
        "servicePrincipalRisk" service_principal_risk, "unavailable" unavailable, "isCut" is_cut,
        "issuerEvidence" issuer_evidence, "bearer" bearer,
    );
    map.end()
}

struct Present<'c>(&'c CaseDevice);

impl Serialize for Present<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (device, mut map) = (self.0, serializer.serialize_map(None)?);
        put!(map, device:
            "deviceId" device_id, "displayName" display_name, "ownership" ownership,
            "enrollmentProfile" enrollment_profile, "compliant" compliant,
            "manufacturer" manufacturer, "mdmAppId" mdm_app_id, "model" model,
            "operatingSystem" operating_system, "operatingSystemVersion" operating_system_version,
            "physicalIds" physical_ids, "profileType" profile_type, "systemLabels" system_labels,
            "trustType" trust_type, "extensionAttributes" extension_attributes,
        );
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use portcullis_policy::PolicySet;
    use portcullis_policy::model::{
        App, AuthenticationContext, ClientAppType, CountryCode, Flow, GuestKind, Platform, RiskLevel,
        Unmatched, UserSelector,
    };
    use portcullis_policy::signals::{
        Action, AppIndex, ClientContext, Device, Fact, Identity, IssuerEvidence, Principal, RequestId,
        SignIn, Signals, Standing, Target, Value,
    };

    use serde_json::Value as Json;

    use super::{Case, CaseDevice, Claim, NamedIds, without_absent};
    use crate::refusal::Carrier;

    fn set() -> PolicySet {
        let assigned = ["g-named", "G-Upper"].map(|id| UserSelector::Group(id.into())).to_vec();
        let app = App {
            id: "payroll".into(),
            groups: Vec::new(),
            attributes: Vec::new(),
            assigned: Some(assigned),
            unmatched: Unmatched::Deny,
            paths: portcullis_policy::path::PathCase::Unknown,
        };
        PolicySet { apps: vec![app], ..PolicySet::default() }
    }

    fn principal() -> Principal {
        let standing = Standing {
            identity: Identity::User {
                guest: Some(GuestKind::ServiceProvider),
                home_tenant: Some("t".into()),
            },
            groups: Fact::Known(vec!["g-named".into(), "g-secret".into(), "g-upper".into()]),
            roles: Fact::Unavailable,
            sign_in: SignIn {
                methods: vec!["pwd".into(), "mfa".into()],
                acr: Some("gold".into()),
                contexts: vec![AuthenticationContext::new("c7").unwrap()],
                issuer: IssuerEvidence::from_bits(0b11_0000),
                client_id: Some("client".into()),
                flow: Some(Flow::ALL[1]),
                password_changed: Some(6),
                risk_seen: Some(7),
                terms: vec!["terms".into()],
                custom_controls: vec!["control".into()],
            },
            claims: vec![("a".into(), Value::Number(1.5)), ("b".into(), Value::List(vec!["x".into()]))],
        };
        Principal { id: "kari".into(), auth_time: Some(5), standing: standing.into() }
    }

    /// What the log writes.
    fn logged(case: &Case) -> Json {
        without_absent(&Some(Box::new(case.clone())), serde_json::value::Serializer).unwrap()
    }

    /// What is left when everything absent and empty is taken from what `serde` derives.
    fn stripped(value: Json) -> Json {
        let Json::Object(fields) = value else { return value };
        let fields = fields.into_iter().map(|(name, value)| (name, stripped(value)));
        let is_there =
            |value: &Json| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
        Json::Object(fields.filter(|(_, value)| is_there(value)).collect())
    }

    #[test]
    fn the_log_has_every_field_that_is_there_and_no_other() {
        let (text, texts) = (|| Some("text".to_owned()), || vec!["text".to_owned()]);
        let device = CaseDevice {
            device_id: text(),
            display_name: text(),
            ownership: text(),
            enrollment_profile: text(),
            compliant: Some(false),
            manufacturer: text(),
            mdm_app_id: text(),
            model: text(),
            operating_system: text(),
            operating_system_version: text(),
            physical_ids: texts(),
            profile_type: text(),
            system_labels: texts(),
            trust_type: text(),
            extension_attributes: vec![(1, "text".into())],
        };
        let full = Case {
            now: 1,
            app: "app".into(),
            context: text(),
            method: "GET".into(),
            path: "/".into(),
            user: text(),
            is_workload: true,
            guest: Some(1),
            home_tenant: text(),
            groups: Some(texts()),
            roles: Some(texts()),
            auth_time: Some(1),
            methods: texts(),
            acr: text(),
            contexts: texts(),
            client_id: text(),
            flow: Some(1),
            password_changed: Some(1),
            risk_seen: Some(1),
            terms: texts(),
            custom_controls: texts(),
            claims: vec![("claim".into(), Claim::List(Vec::new()))],
            address: Some("192.0.2.1".parse().unwrap()),
            country: text(),
            platform: text(),
            client_app: text(),
            device: Some(device),
            sign_in_risk: text(),
            user_risk: text(),
            insider_risk: text(),
            service_principal_risk: text(),
            unavailable: texts(),
            is_cut: true,
            issuer_evidence: Some(1),
            bearer: Some(true),
        };
        let bare = Case { groups: Some(Vec::new()), device: Some(CaseDevice::default()), ..Case::default() };
        for case in [full, bare, Case::default()] {
            assert_eq!(logged(&case), stripped(serde_json::to_value(&case).unwrap()));
        }
    }

    #[test]
    fn a_case_that_was_written_down_asks_the_same_question_again() {
        let labels = vec!["label".to_owned()];
        let attributes = [(15, "fifteen".to_owned())];
        let device = Device {
            device_id: Some("d"),
            compliant: Some(false),
            trust_type: Some("ServerAD"),
            system_labels: &labels,
            extension_attributes: &attributes,
            ..Device::default()
        };
        let context = ClientContext {
            address: Fact::Known("2001:db8::1".parse().unwrap()),
            country: Fact::Unavailable,
            platform: Fact::Known(Platform::MacOs),
            client_app: Fact::Known(ClientAppType::Browser),
            device: Fact::Known(device),
            sign_in_risk: Fact::Known(RiskLevel::High),
            user_risk: Fact::Unknown,
            insider_risk: Fact::Unavailable,
            service_principal_risk: Fact::Unknown,
        };
        let principal = principal();
        let signals = Signals {
            principal: &principal,
            target: Target { app: AppIndex(0), context: AuthenticationContext::new("c1") },
            action: Action { method: "GET", path: "/x" },
            context: &context,
            request_id: RequestId(1),
            now: 1_000,
        };
        let case = Case::of(&signals, "payroll", Carrier::Bearer, &NamedIds::of(&set()));
        assert_eq!(logged(&case), stripped(serde_json::to_value(&case).unwrap()));
        let packed: Case = postcard::from_bytes(&postcard::to_stdvec(&case).unwrap()).unwrap();
        let written: Case = serde_json::from_str(&serde_json::to_string(&case).unwrap()).unwrap();
        assert_eq!((&packed, &written), (&case, &case));
        assert_eq!(case.client_context(), context);
        assert_eq!(case.target(&set()), Some(signals.target));
        // Of the groups only those remain that something names.
        let mut named = principal.clone();
        named.standing_mut().groups = Fact::Known(vec!["g-named".into(), "g-upper".into()]);
        assert_eq!(case.principal(), named);
        let again = case.principal();
        let asked = case.signals(&again, &context, signals.target);
        assert_eq!((asked.now, asked.action), (signals.now, signals.action));
    }

    #[test]
    fn what_is_too_long_is_cut_and_the_case_says_so() {
        let mut principal = principal();
        principal.standing_mut().sign_in.methods = vec!["m".into(); 1_000];
        principal.standing_mut().sign_in.acr = Some("a".repeat(10_000));
        let country = CountryCode::new("NO").unwrap();
        let context = ClientContext { country: Fact::Known(country), ..ClientContext::UNKNOWN };
        let long = "/".repeat(10_000);
        let signals = Signals {
            principal: &principal,
            target: Target { app: AppIndex(0), context: None },
            action: Action { method: "GET", path: &long },
            context: &context,
            request_id: RequestId(1),
            now: 1_000,
        };
        let case = Case::of(&signals, "payroll", Carrier::Bearer, &NamedIds::default());
        assert!(case.is_cut && case.methods.len() == 64 && case.path.len() <= 512);
        assert!(postcard::to_stdvec(&case).unwrap().len() < 2_048);
        assert_eq!(case.groups.as_deref(), Some(&[][..]), "no policy names a group");
    }
}
