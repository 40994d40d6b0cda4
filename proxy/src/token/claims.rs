//! What a verified token says, in the words of the policies. A claim that is missing is unknown; a
//! claim that is there and cannot be read is never taken for one that is missing.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use portcullis_config::settings::{Claims, DeviceAttribute, Issuer, ListSeparator, claim_label, way_of};
use portcullis_policy::model::{AuthenticationContext, Flow, GuestKind, RiskLevel};
use portcullis_policy::signals::{Device, Fact, Identity, Principal, SignIn, Standing, Value as Attribute};
use serde_json::{Map, Value};

use super::alike::Alike;
use super::times::{NumericDate, Times};
use crate::refusal::BadToken;

/// The longest id, in bytes.
const ID_BYTES_MAX: usize = 512;

/// A token whose signature and claims were verified. Only [`Verifier::verify`](super::Verifier::verify)
/// makes one. Small, for there are many: what other tokens say too is shared with them.
#[derive(Clone, Debug)]
pub struct VerifiedToken {
    principal: Principal,
    user_name: Option<Box<str>>,
    device_id: Option<Box<str>>,
    kind: Arc<TokenKind>,
    times: Times,
    key_generation: u32,
    issuer_index: usize,
}

/// What tokens of people of one standing say alike.
#[derive(Debug)]
pub(super) struct TokenKind {
    standing: Arc<Standing>,
    /// Most of an installation's devices say the same, and each request asks what.
    device: Arc<DeviceTraits>,
    risks: Risks,
    audiences: Vec<String>,
    follows_claims_challenges: bool,
    /// The groups as a header tells them, once an app has been told.
    groups: OnceLock<Option<HeaderValue>>,
}

impl TokenKind {
    const fn said(&self) -> (&Arc<Standing>, &Arc<DeviceTraits>, &Risks, &Vec<String>, bool) {
        (&self.standing, &self.device, &self.risks, &self.audiences, self.follows_claims_challenges)
    }
}

impl PartialEq for TokenKind {
    fn eq(&self, other: &Self) -> bool {
        self.said() == other.said()
    }
}

impl Hash for TokenKind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.said().hash(state);
    }
}

/// What tokens in use say alike.
pub(super) struct TokensAlike {
    standings: Alike<Standing>,
    devices: Alike<DeviceTraits>,
    kinds: Alike<TokenKind>,
}

impl TokensAlike {
    /// Looks among about so many of each.
    pub(super) fn new(count: usize) -> Self {
        Self { standings: Alike::new(count), devices: Alike::new(count), kinds: Alike::new(count) }
    }
}

/// The levels that a token tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Risks {
    /// Of the sign-in.
    pub sign_in: Fact<RiskLevel>,
    /// Of the user.
    pub user: Fact<RiskLevel>,
    /// That an insider means harm.
    pub insider: Fact<RiskLevel>,
    /// Of the service principal.
    pub service_principal: Fact<RiskLevel>,
}

/// What a token says about a registered device.
#[derive(Clone, Copy, Debug)]
pub struct DeviceClaims<'t> {
    /// Its id.
    pub id: &'t str,
    /// The rest.
    pub traits: &'t DeviceTraits,
}

/// What a token says of a device beside its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeviceTraits {
    /// Whether it is compliant; `None` when the token does not say, or not clearly.
    pub compliant: Option<bool>,
    /// How it is joined.
    pub trust_type: Option<String>,
    /// Its operating system.
    pub os: Option<String>,
    /// The version of it.
    pub os_version: Option<String>,
    /// What few installations map; apart, for every request reads the rest.
    rare: Option<Box<RareDeviceClaims>>,
}

/// Attributes of a device that claims must be mapped to by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct RareDeviceClaims {
    display_name: Option<String>,
    ownership: Option<String>,
    enrollment_profile: Option<String>,
    manufacturer: Option<String>,
    mdm_app_id: Option<String>,
    model: Option<String>,
    profile_type: Option<String>,
    physical_ids: Vec<String>,
    system_labels: Vec<String>,
    extension_attributes: Vec<(u8, String)>,
}

impl<'t> DeviceClaims<'t> {
    /// The same as the policies see it.
    #[must_use]
    pub fn as_device(self) -> Device<'t> {
        let traits = self.traits;
        let device = Device {
            device_id: Some(self.id),
            compliant: traits.compliant,
            trust_type: traits.trust_type.as_deref(),
            operating_system: traits.os.as_deref(),
            operating_system_version: traits.os_version.as_deref(),
            ..Device::default()
        };
        let Some(rare) = &traits.rare else { return device };
        Device {
            display_name: rare.display_name.as_deref(),
            ownership: rare.ownership.as_deref(),
            enrollment_profile: rare.enrollment_profile.as_deref(),
            manufacturer: rare.manufacturer.as_deref(),
            mdm_app_id: rare.mdm_app_id.as_deref(),
            model: rare.model.as_deref(),
            profile_type: rare.profile_type.as_deref(),
            physical_ids: &rare.physical_ids,
            system_labels: &rare.system_labels,
            extension_attributes: &rare.extension_attributes,
            ..device
        }
    }
}

impl VerifiedToken {
    /// INVARIANT: called by `Verifier::verify` alone, at its end.
    pub(super) fn read(
        claims: &Map<String, Value>,
        settings: &Issuer,
        times: Times,
        (issuer_index, key_generation): (usize, u32),
        now: i64,
    ) -> Result<Self, BadToken> {
        let names = &settings.claims;
        let source = Source { claims };
        // A time of ours in the future would prove something for as long as it likes.
        let past = |name: &str| source.time(name).filter(|at| at.up <= now.saturating_add(30));
        let (id, identity) = source.identity(names)?;
        let (methods, acr) = (source.texts(&names.methods), source.text(&names.acr));
        let standing = Standing {
            identity,
            groups: source.memberships(&names.groups, names.list_separator),
            roles: source.memberships(&names.roles, names.list_separator),
            sign_in: SignIn {
                contexts: source.contexts(&names.contexts),
                issuer: settings.evidence.shown_by(&methods, acr.as_ref()),
                methods,
                acr,
                client_id: source.client_id(),
                flow: source.flow(names.flow.as_deref())?,
                // A change answers a risk that was seen before it: each is rounded to the other's side.
                password_changed: names.password_changed.as_deref().and_then(past).map(|at| at.down),
                risk_seen: names.risk_seen.as_deref().and_then(past).map(|at| at.up),
                terms: names.terms.as_deref().map(|name| source.texts(name)).unwrap_or_default(),
                custom_controls: names
                    .custom_controls
                    .as_deref()
                    .map(|name| source.texts(name))
                    .unwrap_or_default(),
            },
            claims: source.extra(&names.extra)?,
        };
        let (device_id, device) = source.device(settings)?.unzip();
        // A name decides nothing, so an unfit one is left out rather than refused.
        let user_name = source.id(&names.user_name).unwrap_or_default();
        let standing = Arc::new(standing);
        let kind = TokenKind {
            standing: Arc::clone(&standing),
            device: Arc::new(device.unwrap_or_default()),
            risks: Risks {
                sign_in: source.risk(names.sign_in_risk.as_deref()),
                user: source.risk(names.user_risk.as_deref()),
                insider: source.risk(names.insider_risk.as_deref()),
                service_principal: source.risk(names.service_principal_risk.as_deref()),
            },
            audiences: source.texts("aud"),
            follows_claims_challenges: source.follows_claims_challenges(),
            groups: OnceLock::new(),
        };
        Ok(Self {
            principal: Principal {
                id: id.into(),
                auth_time: past(&names.auth_time).map(|at| at.down),
                standing,
            },
            user_name: user_name.map(Into::into),
            device_id: device_id.map(Into::into),
            kind: Arc::new(kind),
            times,
            key_generation,
            issuer_index,
        })
    }

    /// Who it is.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The name to show; never decides anything.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        self.user_name.as_deref()
    }

    /// The registered device, if the token names one.
    #[must_use]
    pub fn device(&self) -> Option<DeviceClaims<'_>> {
        Some(DeviceClaims { id: self.device_id.as_deref()?, traits: &self.kind.device })
    }

    /// The risks that it tells.
    #[must_use]
    pub fn risks(&self) -> Risks {
        self.kind.risks
    }

    /// Whether one of these audiences is meant; the issuer's were checked already.
    #[must_use]
    pub fn is_meant_for(&self, audiences: &[String]) -> bool {
        self.kind.audiences.iter().any(|meant| audiences.contains(meant))
    }

    /// `exp`, Unix seconds.
    #[must_use]
    pub const fn expires_at(&self) -> i64 {
        self.times.expires_at
    }

    /// Position of its issuer in the configuration.
    #[must_use]
    pub const fn issuer_index(&self) -> usize {
        self.issuer_index
    }

    /// Generation of the issuer's keys that verified it.
    #[must_use]
    pub const fn key_generation(&self) -> u32 {
        self.key_generation
    }

    /// Whether the client that it was issued to follows Microsoft's claims challenges.
    #[must_use]
    pub fn follows_claims_challenges(&self) -> bool {
        self.kind.follows_claims_challenges
    }

    /// When it is valid.
    pub(super) const fn times(&self) -> Times {
        self.times
    }

    /// Takes what other tokens say too from them. Whether nobody has the same standing.
    pub(super) fn share(&mut self, alike: &TokensAlike) -> bool {
        let is_new = alike.standings.share(&mut self.principal.standing);
        if let Some(kind) = Arc::get_mut(&mut self.kind) {
            kind.standing = Arc::clone(&self.principal.standing);
            alike.devices.share(&mut kind.device);
        }
        alike.kinds.share(&mut self.kind);
        is_new
    }

    /// The groups as a header's value, which `make` makes once for all who have the same. There may be hundreds
    /// of them.
    pub(crate) fn told_groups(
        &self,
        make: impl FnOnce(&Fact<Vec<String>>) -> Option<HeaderValue>,
    ) -> Option<HeaderValue> {
        self.kind.groups.get_or_init(|| make(&self.kind.standing.groups)).clone()
    }
}

/// The claims, asked by name.
struct Source<'c> {
    claims: &'c Map<String, Value>,
}

impl<'c> Source<'c> {
    /// The claim at the end of this way, or of this very name, or else the value at this dotted path; may be null.
    fn raw(&self, name: &str) -> Option<&'c Value> {
        if let Some(mut names) = way_of(name) {
            let first = self.claims.get(names.next()?)?;
            return names.try_fold(first, |value, name| value.as_object()?.get(name));
        }
        if let Some(value) = self.claims.get(name) {
            return Some(value);
        }
        let mut segments = name.split('.');
        let first = self.claims.get(segments.next()?)?;
        segments.try_fold(first, |value, segment| value.as_object()?.get(segment))
    }

    /// As [`raw`](Self::raw), where null is absence.
    fn get(&self, name: &str) -> Option<&'c Value> {
        self.raw(name).filter(|value| !value.is_null())
    }

    /// A text, or an integer as text. A fraction has no certain text.
    fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(scalar_text)
    }

    /// Texts that can only help: what cannot be read is left out and proves nothing.
    fn texts(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Value::Array(items)) => items.iter().filter_map(scalar_text).collect(),
            Some(value) => scalar_text(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Authentication contexts, as an array or as one text with spaces between. Microsoft writes their ids in
    /// both cases. What is none of ours (`p1`) proves nothing.
    fn contexts(&self, name: &str) -> Vec<AuthenticationContext> {
        let texts = self.texts(name);
        let words = texts.iter().flat_map(|text| text.split(' '));
        let mut contexts: Vec<_> =
            words.filter_map(|word| AuthenticationContext::new(&word.to_ascii_lowercase())).collect();
        contexts.sort_unstable();
        contexts.dedup();
        contexts
    }

    /// Whether the token was issued to a client that follows claims challenges: `xms_cc` holds `cp1`. Source:
    /// Microsoft identity platform, "Claims challenges, claims requests and client capabilities".
    fn follows_claims_challenges(&self) -> bool {
        let texts = self.texts("xms_cc");
        texts.iter().flat_map(|text| text.split(' ')).any(|word| word.eq_ignore_ascii_case("cp1"))
    }

    /// An id or a name that can be compared and put into a header.
    fn id(&self, name: &str) -> Result<Option<String>, BadToken> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let id = scalar_text(value).ok_or(BadToken::Claims)?;
        let fit = !id.is_empty()
            && id.len() <= ID_BYTES_MAX
            && !id.chars().any(char::is_control)
            && is_one_address(name, &id);
        if fit { Ok(Some(id)) } else { Err(BadToken::Claims) }
    }

    fn time(&self, name: &str) -> Option<NumericDate> {
        self.get(name).and_then(NumericDate::read).filter(|at| at.down > 0)
    }

    /// `azp` (OpenID Connect Core 1.0, section 2), Entra's `appid`, `client_id` (RFC 9068,
    /// section 2.2).
    fn client_id(&self) -> Option<String> {
        ["azp", "appid", "client_id"].into_iter().find_map(|name| self.text(name))
    }

    /// Person or program, by `idtyp` where the issuer has it, and otherwise by RFC 9068, section
    /// 2.2: a client that acts for itself is its own subject.
    fn identity(&self, names: &Claims) -> Result<(String, Identity), BadToken> {
        let kind = match self.get("idtyp") {
            None => None,
            Some(Value::String(kind)) => Some(kind.to_ascii_lowercase()),
            Some(_) => return Err(BadToken::Claims),
        };
        let program = match kind.as_deref() {
            Some("app") => true,
            Some(_) => false,
            None => {
                let subject = self.text("sub");
                let own = ["azp", "appid", "client_id"]
                    .into_iter()
                    .any(|name| subject.is_some() && self.text(name) == subject);
                let named = [names.user_name.as_str(), "preferred_username", "upn", "unique_name", "email"]
                    .into_iter()
                    .any(|name| self.get(name).is_some());
                own && !named
            }
        };
        if program {
            for name in ["oid", names.user_id.as_str(), "sub", "azp", "appid", "client_id"] {
                if let Some(id) = self.id(name)? {
                    return Ok((id, Identity::Workload));
                }
            }
            return Err(BadToken::Claims);
        }
        let id = self.id(&names.user_id)?.ok_or(BadToken::Claims)?;
        let guest = match names.guest_kind.as_deref().and_then(|name| self.get(name)) {
            Some(kind) => guest_kind(kind)?,
            None => self.guest()?.then_some(GuestKind::B2bCollaborationGuest),
        };
        let told = names.home_tenant.as_deref().and_then(|name| self.text(name));
        let home_tenant = match guest {
            _ if told.is_some() => told,
            Some(_) => self.home_of_guest(),
            None => self.text("tid"),
        };
        Ok((id, Identity::User { guest, home_tenant }))
    }

    /// The way of signing in. A word that is not known could be any of them: the token is refused.
    fn flow(&self, name: Option<&str>) -> Result<Option<Flow>, BadToken> {
        let Some(value) = name.and_then(|name| self.get(name)) else { return Ok(None) };
        match value.as_str() {
            Some("" | "none") => Ok(None),
            Some(word) if word.eq_ignore_ascii_case("deviceCodeFlow") => Ok(Some(Flow::DeviceCode)),
            Some(word) if word.eq_ignore_ascii_case("authenticationTransfer") => {
                Ok(Some(Flow::AuthenticationTransfer))
            }
            _ => Err(BadToken::Claims),
        }
    }

    /// Entra's `acct` (0 member, 1 guest), or `userType`. Unreadable is not "no guest".
    fn guest(&self) -> Result<bool, BadToken> {
        let by_account = match self.get("acct") {
            None => false,
            Some(value) => match scalar_text(value).as_deref() {
                Some("0") => false,
                Some("1") => true,
                _ => return Err(BadToken::Claims),
            },
        };
        let by_type = match self.get("userType") {
            None => false,
            Some(Value::String(kind)) => kind.eq_ignore_ascii_case("guest"),
            Some(_) => return Err(BadToken::Claims),
        };
        Ok(by_account || by_type)
    }

    /// The tenant in a guest's `idp`, such as `https://sts.windows.net/{tenant}/`; `tid` names
    /// the tenant that is visited.
    fn home_of_guest(&self) -> Option<String> {
        let provider = self.get("idp")?.as_str()?;
        let path = ["https://sts.windows.net/", "https://login.microsoftonline.com/"]
            .into_iter()
            .find_map(|prefix| provider.strip_prefix(prefix))?;
        path.split('/').next().filter(|tenant| !tenant.is_empty()).map(str::to_owned)
    }

    /// Ids of groups or roles. A token that holds only some of them, or says them in a way that
    /// cannot be read, leaves them unavailable.
    fn memberships(&self, name: &str, separator: Option<ListSeparator>) -> Fact<Vec<String>> {
        if self.has_more(name) {
            return Fact::Unavailable;
        }
        match self.raw(name) {
            None => Fact::Unknown,
            Some(Value::Array(items)) => match items.iter().map(scalar_text).collect() {
                Some(ids) => Fact::Known(ids),
                None => Fact::Unavailable,
            },
            Some(Value::String(text)) => one_text(text, separator).map_or(Fact::Unavailable, Fact::Known),
            Some(value) => scalar_text(value).map_or(Fact::Unavailable, |id| Fact::Known(vec![id])),
        }
    }

    /// Whether the token says that it does not hold all members: distributed claims (OpenID
    /// Connect Core 1.0, section 5.6.2), or Entra's `hasgroups`.
    fn has_more(&self, name: &str) -> bool {
        let names: Vec<&str> = way_of(name).map_or_else(|| name.split('.').collect(), Iterator::collect);
        let (short, head) = (names.last().copied().unwrap_or(name), names.first().copied().unwrap_or(name));
        let elsewhere = match self.claims.get("_claim_names") {
            None | Some(Value::Null) => false,
            Some(Value::Object(names)) => [name, short, head].iter().any(|name| names.contains_key(*name)),
            Some(_) => true,
        };
        let hinted = match self.claims.get("hasgroups") {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(text)) => !text.eq_ignore_ascii_case("false"),
            Some(_) => true,
        };
        elsewhere || (hinted && short.eq_ignore_ascii_case("groups"))
    }

    /// The device, which is one by its id alone: compliance of a device that nobody names could be any device's.
    fn device(&self, settings: &Issuer) -> Result<Option<(String, DeviceTraits)>, BadToken> {
        static IS_WARNED: AtomicBool = AtomicBool::new(false);
        let names = &settings.claims;
        let compliant = match self.get(&names.device_compliant) {
            Some(Value::Bool(compliant)) => Some(*compliant),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Some(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        };
        let Some(id) = self.id(&names.device_id)? else {
            if compliant == Some(true) && !IS_WARNED.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    issuer = %settings.name,
                    "a token says that its device is compliant and names no device: it counts as unregistered; let the issuer tell the claim {:?} too, or name another in `[issuer.claims]` `device-id` (told once)",
                    claim_label(&names.device_id)
                );
            }
            return Ok(None);
        };
        let mut traits = DeviceTraits {
            compliant,
            trust_type: self.text(&names.device_trust_type),
            os: self.text(&names.device_os),
            os_version: self.text(&names.device_os_version),
            ..DeviceTraits::default()
        };
        if !names.device_attributes.is_empty() {
            traits.rare = Some(Box::new(self.rare(&names.device_attributes)));
        }
        Ok(Some((id, traits)))
    }

    fn rare(&self, names: &[(DeviceAttribute, String)]) -> RareDeviceClaims {
        let mut rare = RareDeviceClaims::default();
        for (attribute, claim) in names {
            match attribute {
                DeviceAttribute::DisplayName => rare.display_name = self.text(claim),
                DeviceAttribute::Ownership => rare.ownership = self.text(claim),
                DeviceAttribute::EnrollmentProfile => rare.enrollment_profile = self.text(claim),
                DeviceAttribute::Manufacturer => rare.manufacturer = self.text(claim),
                DeviceAttribute::MdmAppId => rare.mdm_app_id = self.text(claim),
                DeviceAttribute::Model => rare.model = self.text(claim),
                DeviceAttribute::ProfileType => rare.profile_type = self.text(claim),
                DeviceAttribute::PhysicalIds => rare.physical_ids = self.texts(claim),
                DeviceAttribute::SystemLabels => rare.system_labels = self.texts(claim),
                DeviceAttribute::Extension(number) => {
                    let value = self.text(claim).map(|text| (*number, text));
                    rare.extension_attributes.retain(|(known, _)| known != number);
                    rare.extension_attributes.extend(value);
                }
            }
        }
        rare
    }

    /// A risk level. Words that are not known (`hidden`, `unknownFutureValue`) are no low risk.
    fn risk(&self, name: Option<&str>) -> Fact<RiskLevel> {
        let Some(value) = name.and_then(|name| self.raw(name)) else { return Fact::Unknown };
        let word = value.as_str().unwrap_or_default();
        RiskLevel::ALL
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(word))
            .map_or(Fact::Unavailable, Fact::Known)
    }

    /// The claims that rules ask for. One that has no value a rule could compare would make
    /// negative rules hold, so the token is refused.
    fn extra(&self, names: &[String]) -> Result<Vec<(Box<str>, Attribute)>, BadToken> {
        let mut extra: Vec<(Box<str>, Attribute)> = Vec::with_capacity(names.len());
        for name in names {
            let value = match self.get(name) {
                None => continue,
                Some(Value::String(text)) if !is_one_address(name, text) => return Err(BadToken::Claims),
                Some(Value::String(text)) => Attribute::Text(text.clone()),
                Some(Value::Bool(truth)) => Attribute::Bool(*truth),
                Some(Value::Number(number)) => exact(number)?,
                Some(Value::Array(items)) => {
                    let texts: Option<Vec<String>> = items.iter().map(scalar_text).collect();
                    Attribute::List(texts.ok_or(BadToken::Claims)?)
                }
                Some(_) => return Err(BadToken::Claims),
            };
            extra.push((claim_label(name).into(), value));
        }
        extra.sort_by(|(left, _), (right, _)| left.cmp(right));
        extra.dedup_by(|(left, _), (right, _)| left == right);
        Ok(extra)
    }
}

/// Groups or roles that a token tells as one text. `None` when it cannot be told whether it is one or several: taken
/// for one, a rule against one of several would not see it.
fn one_text(text: &str, separator: Option<ListSeparator>) -> Option<Vec<String>> {
    let is_odd = |sign: char| sign.is_control() || matches!(sign, '[' | ']' | '{' | '}' | '"');
    let parts: Vec<&str> = match separator {
        None => {
            let separates =
                |sign: char| sign.is_whitespace() || matches!(sign, ',' | ';' | '|' | '，' | '、' | '；');
            if text.contains(separates) {
                return None;
            }
            vec![text]
        }
        Some(ListSeparator::Comma) => text.split(',').collect(),
        Some(ListSeparator::Semicolon) => text.split(';').collect(),
        Some(ListSeparator::Space) => text.split(' ').collect(),
    };
    let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| (!part.contains(is_odd)).then(|| part.to_owned())).collect()
}

/// Whether a text can be the value of this claim, as far as addresses go: one with two `@` belongs to
/// another domain for each reader, and rules ask for domains.
fn is_one_address(name: &str, text: &str) -> bool {
    const ADDRESSES: [&str; 5] = ["email", "mail", "upn", "preferred_username", "unique_name"];
    let short = name.rsplit(['.', '/', '\0']).next().unwrap_or(name);
    !ADDRESSES.iter().any(|known| known.eq_ignore_ascii_case(short)) || text.matches('@').count() <= 1
}

/// The text of a text or an integer.
fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// A number with all its digits: a whole one that `f64` would round is text, and one that was rounded when it
/// was read is refused, or two ids could become one.
fn exact(number: &serde_json::Number) -> Result<Attribute, BadToken> {
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    let value = number.as_f64().filter(|value| value.is_finite()).ok_or(BadToken::Claims)?;
    if value.abs() < WHOLE_MAX {
        return Ok(Attribute::Number(value));
    }
    if number.is_f64() { Err(BadToken::Claims) } else { Ok(Attribute::Text(number.to_string())) }
}

/// How somebody is external, in Graph's words; `member` and `none` are nobody external.
fn guest_kind(value: &Value) -> Result<Option<GuestKind>, BadToken> {
    let word = value.as_str().ok_or(BadToken::Claims)?;
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    Ok(Some(match () {
        () if is("internalGuest") => GuestKind::InternalGuest,
        () if is("b2bCollaborationGuest") || is("guest") => GuestKind::B2bCollaborationGuest,
        () if is("b2bCollaborationMember") => GuestKind::B2bCollaborationMember,
        () if is("b2bDirectConnectUser") => GuestKind::B2bDirectConnectUser,
        () if is("serviceProvider") => GuestKind::ServiceProvider,
        () if is("otherExternalUser") => GuestKind::OtherExternalUser,
        () if is("member") || is("none") || word.is_empty() => return Ok(None),
        // A kind that is not known is not "no guest".
        () => return Err(BadToken::Claims),
    }))
}
