//! What of a sign-in's claims a session keeps: the claims that the issuer's settings, rules and identity headers read,
//! and those that tell persons from programs. A cookie has no room for more.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use portcullis_config::settings::{Claims, Issuer, claim_path_names};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::claims::ClaimReader;

/// The claims that [`ClaimReader`] reads whatever the settings say.
const ALWAYS: [&str; 15] = [
    "_claim_names",
    "acct",
    "appid",
    "azp",
    "client_id",
    "email",
    "hasgroups",
    "idp",
    "idtyp",
    "oid",
    "preferred_username",
    "sub",
    "tid",
    "unique_name",
    "upn",
];
/// The same that only some issuers send.
const RARELY: [&str; 2] = ["userType", "xms_cc"];

/// The claims of a session, of a verified ID token alone: `token` makes them, and [`Verifier::read_session`] reads
/// them.
///
/// [`Verifier::read_session`]: super::Verifier::read_session
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionClaims {
    /// The name of their issuer in the settings.
    pub(super) issuer: String,
    /// Which claims the settings named when these were kept; see [`Self::are_of`].
    named: [u8; 8],
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub(super) claims: Map<String, Value>,
}

impl fmt::Debug for SessionClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionClaims").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl SessionClaims {
    /// Keeps of these claims what is read of them.
    pub(super) fn of(claims: &Map<String, Value>, settings: &Issuer) -> Self {
        let mut kept = Map::new();
        let mut keep = |name: &str| {
            if let Some(value) = ClaimReader::new(claims).raw(name) {
                put(&mut kept, claims, name, value);
            }
        };
        names(&settings.claims).into_iter().for_each(&mut keep);
        ALWAYS.into_iter().chain(RARELY).for_each(&mut keep);
        Self { issuer: settings.name.clone(), named: digest(&settings.claims), claims: kept }
    }

    /// The name of the issuer in the settings.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The claim of this name, or at this path; for pages that show a user what is known of him.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        ClaimReader::new(&self.claims).get(name)
    }

    /// About how long their text is, in bytes.
    pub(crate) fn text_bytes(&self) -> usize {
        serde_json::to_vec(&self.claims).map_or(0, |text| text.len())
    }

    /// Whether they are those of this issuer, and were kept by settings that read the same: a claim that is read since
    /// would seem to be missing, and who has no such group would be in none.
    pub(super) fn are_of(&self, settings: &Issuer) -> bool {
        self.issuer == settings.name && self.named == digest(&settings.claims)
    }

    /// Adds claims that are not there yet, of those that settings read.
    pub(super) fn add(&mut self, more: &Map<String, Value>, settings: &Issuer) {
        let of_sign_in = of_sign_in(&settings.claims);
        let more = Self::of(more, settings).claims;
        for (name, value) in more {
            let is_of_sign_in = of_sign_in.iter().any(|own| root(own) == name || *own == name);
            if !is_of_sign_in && !self.claims.contains_key(&name) {
                self.claims.insert(name, value);
            }
        }
    }
}

impl SessionClaims {
    /// Takes over how and when the user signed in, where these claims say nothing of it: they are of a token that was
    /// refreshed, for which nobody signed in anew (OpenID Connect Core 1.0, section 12.2).
    pub(super) fn keep_sign_in_of(&mut self, former: &Self, settings: &Issuer) {
        let names = &settings.claims;
        for name in [&names.methods, &names.acr, &names.contexts, &names.auth_time] {
            let is_said = ClaimReader::new(&self.claims).raw(name).is_some();
            if let (false, Some(value)) = (is_said, ClaimReader::new(&former.claims).raw(name)) {
                put(&mut self.claims, &former.claims, name, value);
            }
        }
    }
}

/// The first name of a claim's path.
fn root(name: &str) -> &str {
    match claim_path_names(name) {
        Some(mut names) => names.next().unwrap_or(name),
        None => name.split('.').next().unwrap_or(name),
    }
}

/// What only a signed token may say: how and when the user signed in.
fn of_sign_in(claims: &Claims) -> Vec<&str> {
    let mut names =
        vec![&*claims.methods, &claims.acr, &claims.contexts, &claims.auth_time, "azp", "idtyp", "sub"];
    names.extend(claims.flow.as_deref());
    names
}

/// All names that the settings give.
fn names(claims: &Claims) -> Vec<&str> {
    // With all fields, so that a new one cannot be forgotten.
    let Claims {
        user_id,
        user_name,
        groups,
        roles,
        list_separator: _,
        methods,
        acr,
        contexts,
        auth_time,
        device_id,
        device_compliant,
        device_trust_type,
        device_os,
        device_os_version,
        sign_in_risk,
        user_risk,
        insider_risk,
        service_principal_risk,
        risk_seen,
        flow,
        guest_kind,
        home_tenant,
        device_attributes,
        terms,
        custom_controls,
        password_changed,
        extra,
    } = claims;
    let always: [&String; 13] = [
        user_id,
        user_name,
        groups,
        roles,
        methods,
        acr,
        contexts,
        auth_time,
        device_id,
        device_compliant,
        device_trust_type,
        device_os,
        device_os_version,
    ];
    let optional = [
        sign_in_risk,
        user_risk,
        insider_risk,
        service_principal_risk,
        risk_seen,
        flow,
        guest_kind,
        home_tenant,
        terms,
        custom_controls,
        password_changed,
    ];
    let mut names: Vec<&str> = always.into_iter().map(String::as_str).collect();
    names.extend(optional.into_iter().filter_map(|name| name.as_deref()));
    names.extend(device_attributes.iter().map(|(_, name)| name.as_str()));
    names.extend(extra.iter().map(String::as_str));
    names
}

/// What distinguishes one set of names from another.
fn digest(claims: &Claims) -> [u8; 8] {
    let mut names = names(claims);
    names.sort_unstable();
    names.dedup();
    let mut context = Context::new(&SHA256);
    for name in names {
        context.update(&name.len().to_le_bytes());
        context.update(name.as_bytes());
    }
    context.finish().as_ref().first_chunk().copied().unwrap_or_default()
}

/// Puts a value where [`ClaimReader`] finds it by this name.
fn put(kept: &mut Map<String, Value>, claims: &Map<String, Value>, name: &str, value: &Value) {
    let steps: Vec<&str> = match claim_path_names(name) {
        Some(names) => names.collect(),
        // A claim of exactly this name goes first.
        None if claims.contains_key(name) => vec![name],
        None => name.split('.').collect(),
    };
    let Some((last, before)) = steps.split_last() else { return };
    let mut place = kept;
    for step in before {
        let inner = place.entry(*step).or_insert_with(|| Value::Object(Map::new()));
        // All of it is kept already.
        let Value::Object(inner) = inner else { return };
        place = inner;
    }
    place.insert((*last).to_owned(), value.clone());
}

// As text: the format of sealed records has no values of any type.
fn write<S: Serializer>(claims: &Map<String, Value>, serializer: S) -> Result<S::Ok, S::Error> {
    serde_json::to_string(claims).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    let text = String::deserialize(deserializer)?;
    serde_json::from_str(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use portcullis_config::settings::claim_path;
    use serde_json::json;

    use super::*;
    use crate::token::fixtures::{ISSUER, issuer, unused_source};

    fn kept(change: impl FnOnce(&mut Claims), claims: Value) -> Value {
        let mut settings = issuer("main", ISSUER, unused_source());
        change(&mut settings.claims);
        Value::Object(SessionClaims::of(claims.as_object().unwrap(), &settings).claims)
    }

    #[test]
    fn only_claims_that_something_reads_are_kept() {
        let claims =
            json!({"sub": "anna", "picture": "https://x", "nonce": "n", "groups": ["g1"], "at_hash": "h"});
        assert_eq!(kept(|_| {}, claims), json!({"sub": "anna", "groups": ["g1"]}));
    }

    #[test]
    fn a_claim_at_a_path_is_kept_there_without_what_is_beside_it() {
        let claims = json!({"a": {"b": {"c": 1, "d": 2}}, "x.y": 3, "x": {"y": 4}, "p.q": {"r": 5, "s": 6}});
        let names = |claims: &mut Claims| {
            claims.extra = vec!["a.b.c".into(), "x.y".into(), claim_path(&["p.q", "r"])];
        };
        assert_eq!(kept(names, claims), json!({"a": {"b": {"c": 1}}, "x.y": 3, "p.q": {"r": 5}}));
    }

    #[test]
    fn a_whole_claim_and_a_part_of_it_are_both_kept() {
        for extra in [["a", "a.b"], ["a.b", "a"]] {
            let names = |claims: &mut Claims| claims.extra = extra.map(str::to_owned).to_vec();
            assert_eq!(
                kept(names, json!({"a": {"b": 1, "c": 2}})),
                json!({"a": {"b": 1, "c": 2}}),
                "{extra:?}"
            );
        }
    }

    #[test]
    fn a_refreshed_token_that_says_nothing_of_the_sign_in_leaves_it_as_it_was() {
        let settings = issuer("main", ISSUER, unused_source());
        let of = |claims: Value| SessionClaims::of(claims.as_object().unwrap(), &settings);
        let former =
            of(json!({"sub": "anna", "auth_time": 7, "amr": ["mfa"], "acr": "gold", "groups": ["g1"]}));
        let mut silent = of(json!({"sub": "anna", "groups": ["g2"]}));
        silent.keep_sign_in_of(&former, &settings);
        let kept = json!({"sub": "anna", "auth_time": 7, "amr": ["mfa"], "acr": "gold", "groups": ["g2"]});
        assert_eq!(Value::Object(silent.claims), kept);
        let mut says = of(json!({"sub": "anna", "auth_time": 8, "amr": ["pwd"], "acr": "lead"}));
        says.keep_sign_in_of(&former, &settings);
        // Groups that it does not name are left.
        let said = json!({"sub": "anna", "auth_time": 8, "amr": ["pwd"], "acr": "lead"});
        assert_eq!(Value::Object(says.claims), said);
    }

    #[test]
    fn claims_that_were_kept_by_settings_which_read_others_are_not_these() {
        let mut settings = issuer("main", ISSUER, unused_source());
        let claims = SessionClaims::of(json!({"sub": "anna"}).as_object().unwrap(), &settings);
        assert!(claims.are_of(&settings));
        settings.claims.extra.push("department".into());
        assert!(!claims.are_of(&settings));
        assert!(!claims.are_of(&issuer("other", ISSUER, unused_source())));
    }

    #[test]
    fn they_are_written_and_read_as_they_are() {
        let settings = issuer("main", ISSUER, unused_source());
        let claims = json!({"sub": "anna", "groups": ["g1", 7], "_claim_names": {"groups": "src1"}});
        let claims = SessionClaims::of(claims.as_object().unwrap(), &settings);
        let bytes = postcard::to_allocvec(&claims).unwrap();
        assert_eq!(postcard::from_bytes::<SessionClaims>(&bytes).unwrap(), claims);
        assert!(!format!("{claims:?}").contains("anna"));
    }
}
