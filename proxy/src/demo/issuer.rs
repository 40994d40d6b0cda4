//! An identity issuer for demonstrations: a fresh ES256 key at each start, real signed tokens.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The audience of the demo's access tokens.
pub(super) const AUDIENCE: &str = "portcullis-demo";
const KEY_ID: &str = "demo-1";
/// How long its tokens are valid.
pub(super) const LIFETIME_SECS: i64 = 8 * 3_600;

/// The issuer and its key.
pub(super) struct Issuer {
    url: String,
    key: EcdsaKeyPair,
}

/// A person to pick: id, label with the name first, groups.
pub(super) const PERSONS: [(&str, &str, &[&str]); 3] = [
    ("alice", "Alice Example, engineering", &["engineering"]),
    ("bob", "Bob Example, sales", &["sales"]),
    ("gina", "Gina Guest, not assigned to the wiki", &["visitors"]),
];

/// A way to prove it, in the words of `amr` (RFC 8176): id, label, methods.
pub(super) const METHODS: [(&str, &str, &[&str]); 2] = [
    ("mfa", "With a password and a second factor", &["pwd", "mfa"]),
    ("password", "With a password only", &["pwd"]),
];

/// A device to pick: id and label.
pub(super) const DEVICES: [(&str, &str); 3] = [
    ("compliant", "A managed laptop that meets the requirements"),
    ("not-compliant", "A managed laptop that does not"),
    ("none", "A browser that shows no device identity"),
];

/// A sign-in: ids of what was picked. Unknown ones get a nobody without groups, methods and device.
#[derive(Clone, Debug, Default)]
pub(super) struct SignIn {
    pub(super) person: String,
    pub(super) method: String,
    pub(super) device: String,
    /// The provider's session.
    pub(super) sid: Option<String>,
    /// How long ago it was, in seconds.
    pub(super) age_secs: i64,
}

impl SignIn {
    pub(super) fn new(person: &str, method: &str, device: &str) -> Self {
        Self { person: person.into(), method: method.into(), device: device.into(), ..Self::default() }
    }
}

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

    /// An access token for the wiki. Empty when signing fails.
    pub(super) fn access_token(&self, sign_in: &SignIn, now: i64) -> String {
        self.sign(self.claims(sign_in, AUDIENCE, now))
    }

    /// An ID token for a client, bound to its access token (OpenID Connect Core 1.0, section 3.1.3.6).
    pub(super) fn id_token(
        &self,
        sign_in: &SignIn,
        client_id: &str,
        nonce: Option<&str>,
        access_token: &str,
        now: i64,
    ) -> String {
        let mut claims = self.claims(sign_in, client_id, now);
        let hash = digest(&SHA256, access_token.as_bytes());
        let half = hash.as_ref().get(..16).unwrap_or_default();
        if let Value::Object(claims) = &mut claims {
            claims.insert("at_hash".into(), URL_SAFE_NO_PAD.encode(half).into());
            claims.extend(nonce.map(|nonce| ("nonce".to_owned(), nonce.into())));
            claims.extend(sign_in.sid.as_deref().map(|sid| ("sid".to_owned(), sid.into())));
        }
        self.sign(claims)
    }

    fn claims(&self, sign_in: &SignIn, audience: &str, now: i64) -> Value {
        let person = PERSONS.iter().find(|(id, ..)| *id == sign_in.person).copied();
        let (id, label, groups) = person.unwrap_or(("nobody", "Nobody", &[]));
        let name = label.split(',').next().unwrap_or(id);
        let methods =
            METHODS.iter().find(|(id, ..)| *id == sign_in.method).map_or(&[][..], |(_, _, amr)| amr);
        let mut claims = json!({
            "iss": self.url, "aud": audience, "sub": id, "preferred_username": format!("{id}@example.com"), "name": name,
            "groups": groups, "amr": methods, "auth_time": now - sign_in.age_secs, "iat": now, "nbf": now, "exp": now + LIFETIME_SECS,
        });
        let state = match sign_in.device.as_str() {
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
        claims
    }

    fn sign(&self, claims: Value) -> String {
        let header = json!({ "typ": "JWT", "alg": "ES256", "kid": KEY_ID });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        match self.key.sign(&SystemRandom::new(), signed.as_bytes()) {
            Ok(signature) => format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())),
            Err(_) => String::new(),
        }
    }
}
