//! Claims of a token, read in the words of the policies. A missing claim is unknown; an unreadable claim
//! never counts as missing.

use std::sync::atomic::{AtomicBool, Ordering};

use portcullis_config::settings::{Claims, Issuer, ListSeparator, claim_label, claim_path_names};
use portcullis_config::vocabulary::{FLOWS, GUEST_KINDS, from_graph};
use portcullis_policy::model::{AuthenticationContext, Flow, GuestKind, RiskLevel};
use portcullis_policy::signals::{DeviceAttribute, Fact, Identity, OwnedDevice, Value as Attribute};
use serde_json::{Map, Value};

use super::times::NumericDate;
use crate::refusal::BadToken;

/// The longest id, in bytes.
const ID_BYTES_MAX: usize = 512;

/// The claims of a token, asked by name.
pub(super) struct ClaimReader<'c> {
    claims: &'c Map<String, Value>,
}

impl<'c> ClaimReader<'c> {
    /// A reader of these claims.
    pub(super) const fn new(claims: &'c Map<String, Value>) -> Self {
        Self { claims }
    }

    /// The claim at the end of this path of names, or of exactly this name, or else the value at this dotted path; may be null.
    pub(super) fn raw(&self, name: &str) -> Option<&'c Value> {
        if let Some(mut names) = claim_path_names(name) {
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
    pub(super) fn get(&self, name: &str) -> Option<&'c Value> {
        self.raw(name).filter(|value| !value.is_null())
    }

    /// A text, or an integer as text. A fraction has no certain text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(scalar_text)
    }

    /// Texts that can only help the user: an unreadable one is left out and proves nothing.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Value::Array(items)) => items.iter().filter_map(scalar_text).collect(),
            Some(value) => scalar_text(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// Authentication contexts, as an array or as one text with spaces between. Microsoft writes their ids in
    /// both cases. Other values (`p1`) prove nothing.
    pub(super) fn contexts(&self, name: &str) -> Vec<AuthenticationContext> {
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
    pub(super) fn follows_claims_challenges(&self) -> bool {
        let texts = self.texts("xms_cc");
        texts.iter().flat_map(|text| text.split(' ')).any(|word| word.eq_ignore_ascii_case("cp1"))
    }

    /// An id or a name that can be compared and put into a header.
    pub(super) fn id(&self, name: &str) -> Result<Option<String>, BadToken> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let id = scalar_text(value).ok_or(BadToken::Claims)?;
        let fit = !id.is_empty()
            && id.len() <= ID_BYTES_MAX
            && !id.chars().any(char::is_control)
            && is_one_address(name, &id);
        if fit { Ok(Some(id)) } else { Err(BadToken::Claims) }
    }

    pub(super) fn time(&self, name: &str) -> Option<NumericDate> {
        self.get(name).and_then(NumericDate::read).filter(|at| at.down > 0)
    }

    /// `azp` (OpenID Connect Core 1.0, section 2), Entra's `appid`, `client_id` (RFC 9068,
    /// section 2.2).
    pub(super) fn client_id(&self) -> Option<String> {
        ["azp", "appid", "client_id"].into_iter().find_map(|name| self.text(name))
    }

    /// Person or program, by `idtyp` where the issuer has it, and otherwise by RFC 9068, section
    /// 2.2: a client that acts for itself is its own subject.
    pub(super) fn identity(&self, names: &Claims) -> Result<(String, Identity), BadToken> {
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
        let named = names.home_tenant.as_deref().and_then(|name| self.text(name));
        let home_tenant = match guest {
            _ if named.is_some() => named,
            Some(_) => self.home_of_guest(),
            None => self.text("tid"),
        };
        Ok((id, Identity::User { guest, home_tenant }))
    }

    /// The authentication flow. A word that is not known could be any of them: the token is refused.
    pub(super) fn flow(&self, name: Option<&str>) -> Result<Option<Flow>, BadToken> {
        let Some(value) = name.and_then(|name| self.get(name)) else { return Ok(None) };
        match value.as_str() {
            Some("" | "none") => Ok(None),
            Some(word) => from_graph(FLOWS, word).and_then(Flow::from_word).map(Some).ok_or(BadToken::Claims),
            None => Err(BadToken::Claims),
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

    /// Ids of groups or roles. A token that holds only some of them, or has them in a form that
    /// cannot be read, leaves them unavailable.
    pub(super) fn memberships(&self, name: &str, separator: Option<ListSeparator>) -> Fact<Vec<String>> {
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
        let names: Vec<&str> =
            claim_path_names(name).map_or_else(|| name.split('.').collect(), Iterator::collect);
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

    /// The device's id and attributes. Only an id makes a device: compliance without an id could be that of any
    /// device.
    ///
    /// # Errors
    /// [`BadToken::Claims`] for an id that is there and cannot be read.
    pub(super) fn device(&self, issuer: &Issuer) -> Result<Option<(String, OwnedDevice)>, BadToken> {
        static IS_WARNED: AtomicBool = AtomicBool::new(false);
        let names = &issuer.claims;
        let compliant = match self.get(&names.device_compliant) {
            Some(Value::Bool(compliant)) => Some(*compliant),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Some(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        };
        let Some(id) = self.id(&names.device_id)? else {
            if compliant == Some(true) && !IS_WARNED.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    issuer = %issuer.name,
                    "a token says that its device is compliant and names no device: it counts as unregistered; let the issuer send the claim {:?} too, or name another in `[issuer.claims]` `device-id` (logged once)",
                    claim_label(&names.device_id)
                );
            }
            return Ok(None);
        };
        let mut device = OwnedDevice {
            compliant,
            trust_type: self.text(&names.device_trust_type),
            operating_system: self.text(&names.device_os),
            operating_system_version: self.text(&names.device_os_version),
            ..OwnedDevice::default()
        };
        for (attribute, name) in &names.device_attributes {
            let value = match attribute {
                DeviceAttribute::PhysicalIds | DeviceAttribute::SystemLabels => {
                    Some(Attribute::List(self.texts(name)))
                }
                _ => self.text(name).map(Attribute::Text),
            };
            device.set(*attribute, value);
        }
        Ok(Some((id, device)))
    }

    /// A risk level. Words that are not known (`hidden`, `unknownFutureValue`) are no low risk.
    pub(super) fn risk(&self, name: Option<&str>) -> Fact<RiskLevel> {
        let Some(value) = name.and_then(|name| self.raw(name)) else { return Fact::Unknown };
        let word = value.as_str().unwrap_or_default();
        RiskLevel::ALL
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(word))
            .map_or(Fact::Unavailable, Fact::Known)
    }

    /// The claims that rules ask for. One that has no value a rule could compare would make
    /// negative rules hold, so the token is refused.
    pub(super) fn extra(&self, names: &[String]) -> Result<Vec<(Box<str>, Attribute)>, BadToken> {
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

/// `aud`, a text or a list of texts (RFC 7519, section 4.1.3).
pub(super) fn audiences(claims: &Map<String, Value>) -> Result<Vec<&str>, BadToken> {
    match claims.get("aud") {
        Some(Value::String(audience)) => Ok(vec![audience]),
        Some(Value::Array(audiences)) => {
            audiences.iter().map(Value::as_str).collect::<Option<_>>().ok_or(BadToken::Claims)
        }
        _ => Err(BadToken::Claims),
    }
}

/// Groups or roles that a token has as one text. `None` when it could be one or several: taken for one, a rule
/// against one of several would not see it.
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

/// The kind of guest, in Graph's words; `member` and `none` are no guests.
fn guest_kind(value: &Value) -> Result<Option<GuestKind>, BadToken> {
    let word = value.as_str().ok_or(BadToken::Claims)?;
    match word.to_ascii_lowercase().as_str() {
        "member" | "none" | "" => Ok(None),
        "guest" => Ok(Some(GuestKind::B2bCollaborationGuest)),
        // A kind that is not known is not "no guest".
        _ => from_graph(GUEST_KINDS, word).and_then(GuestKind::from_word).map(Some).ok_or(BadToken::Claims),
    }
}
