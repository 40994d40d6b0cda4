//! An identity issuer for demonstrations: a fresh ES256 key at each start, real signed tokens.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The audience of the demo's tokens.
pub(super) const AUDIENCE: &str = "portcullis-demo";
const KEY_ID: &str = "demo-1";
const LIFETIME_SECS: i64 = 8 * 3_600;

/// The issuer and its key.
pub(super) struct Issuer {
    url: String,
    key: EcdsaKeyPair,
}

/// A person to pick: id, name, groups, methods of the sign-in.
pub(super) const PERSONS: [(&str, &str, &[&str], &[&str]); 3] = [
    ("alice", "Alice Example, engineering, signed in with MFA", &["engineering"], &["pwd", "mfa"]),
    ("bob", "Bob Example, sales, signed in with a password only", &["sales"], &["pwd"]),
    ("gina", "Gina Guest, not assigned to the wiki", &["visitors"], &["pwd", "mfa"]),
];

/// A device to pick: id and label.
pub(super) const DEVICES: [(&str, &str); 3] = [
    ("compliant", "A managed laptop that meets the requirements"),
    ("not-compliant", "A managed laptop that does not"),
    ("none", "A browser that shows no device identity"),
];

impl Issuer {
    pub(super) fn new(url: String) -> Option<Self> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).ok()?;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).ok()?;
        Some(Self { url, key })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The public key, as a JWKS document (RFC 7517).
    pub(super) fn jwks(&self) -> String {
        // An uncompressed point: 0x04, then x and y of 32 bytes each.
        let point = self.key.public_key().as_ref();
        let (x, y) = point.get(1..).and_then(|rest| rest.split_at_checked(32)).unwrap_or_default();
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }] })
        .to_string()
    }

    /// A token for a person on a device; unknown names get the first of each. Empty when signing fails.
    pub(super) fn sign(&self, person: &str, device: &str, now: i64) -> String {
        let (id, label, groups, methods) =
            PERSONS.iter().find(|(id, ..)| *id == person).copied().unwrap_or(("nobody", "Nobody", &[], &[]));
        let name = label.split(',').next().unwrap_or(id);
        let mut claims = json!({
            "iss": self.url, "aud": AUDIENCE, "sub": id, "preferred_username": format!("{id}@example.com"), "name": name,
            "groups": groups, "amr": methods, "auth_time": now - 60, "iat": now, "nbf": now, "exp": now + LIFETIME_SECS,
        });
        let state = match device {
            "compliant" => Some(true),
            "not-compliant" => Some(false),
            _ => None,
        };
        if let (Some(compliant), Value::Object(claims)) = (state, &mut claims) {
            claims.insert("deviceid".into(), json!(format!("laptop-of-{id}")));
            claims.insert("device_compliant".into(), json!(compliant));
            claims.insert("device_trust_type".into(), json!("AzureAD"));
            claims.insert("device_os".into(), json!("Windows"));
            claims.insert("device_os_version".into(), json!("10.0.22631"));
        }
        let header = json!({ "typ": "JWT", "alg": "ES256", "kid": KEY_ID });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        match self.key.sign(&SystemRandom::new(), signed.as_bytes()) {
            Ok(signature) => format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())),
            Err(_) => String::new(),
        }
    }
}
