//! Makes signed tokens, and the keys to verify them with.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::Fallible;

#[derive(Args)]
pub(crate) struct Order {
    #[arg(long)]
    algorithm: Algorithm,
    #[arg(long, default_value_t = 1_000)]
    count: usize,
    /// The number of the first person.
    #[arg(long, default_value_t = 0)]
    first: usize,
    #[arg(long, default_value_t = 10)]
    groups: usize,
    #[arg(long, default_value = "https://issuer.load.example")]
    issuer: String,
    /// Seconds until the tokens expire; below zero, they have.
    #[arg(long, default_value_t = 86_400, allow_hyphen_values = true)]
    life: i64,
    /// Claims that replace those of the same name, as a JSON object.
    #[arg(long, default_value = "{}")]
    claims: String,
    /// Signs with the key of an earlier order, which is this folder.
    #[arg(long)]
    key: Option<PathBuf>,
    #[arg(long, default_value = "load-1")]
    kid: String,
    /// A folder for `key.der`, `jwks.json`, `public.pem` and `tokens.txt`.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Algorithm {
    Rs256,
    Es256,
}

struct Signer {
    key: Key,
    kid: String,
}

enum Key {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

impl Signer {
    /// A new private key, as PKCS #8.
    fn generate(algorithm: Algorithm) -> Fallible<Vec<u8>> {
        let random = SystemRandom::new();
        Ok(match algorithm {
            Algorithm::Rs256 => {
                let der: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?;
                der.as_ref().to_vec()
            }
            Algorithm::Es256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?.as_ref().to_vec()
            }
        })
    }

    fn new(algorithm: Algorithm, der: &[u8], kid: &str) -> Fallible<Self> {
        let key = match algorithm {
            Algorithm::Rs256 => Key::Rsa(RsaKeyPair::from_pkcs8(der)?),
            Algorithm::Es256 => Key::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)?),
        };
        Ok(Self { key, kid: kid.into() })
    }

    const fn name(&self) -> &'static str {
        match &self.key {
            Key::Rsa(_) => "RS256",
            Key::Ec(_) => "ES256",
        }
    }

    fn sign(&self, message: &[u8]) -> Fallible<Vec<u8>> {
        Ok(match &self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
                signature
            }
            Key::Ec(key) => key.sign(&SystemRandom::new(), message)?.as_ref().to_vec(),
        })
    }

    fn token(&self, claims: &Value) -> Fallible<String> {
        let head = json!({ "typ": "JWT", "alg": self.name(), "kid": self.kid });
        let signed = format!("{}.{}", encoded(&head), encoded(claims));
        let signature = self.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The public key as PEM and as JWKS.
    fn public(&self) -> Fallible<(String, Value)> {
        let (der, mut jwk): (PublicKeyX509Der<'_>, Value) = match &self.key {
            Key::Rsa(key) => {
                let public = key.public_key();
                let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
                let n = part(public.modulus().big_endian_without_leading_zero());
                let e = part(public.exponent().big_endian_without_leading_zero());
                (public.as_der()?, json!({ "kty": "RSA", "n": n, "e": e }))
            }
            Key::Ec(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = point
                    .get(1..)
                    .and_then(|rest| rest.split_at_checked(32))
                    .ok_or("no uncompressed point")?;
                let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
                (
                    key.public_key().as_der()?,
                    json!({ "kty": "EC", "crv": "P-256", "x": part(x), "y": part(y) }),
                )
            }
        };
        let members = jwk.as_object_mut().ok_or("no object")?;
        members.insert("kid".into(), json!(self.kid));
        members.insert("use".into(), json!("sig"));
        members.insert("alg".into(), json!(self.name()));
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
        Ok((pem, json!({ "keys": [jwk] })))
    }
}

impl Order {
    pub(crate) fn carry_out(&self) -> Fallible<()> {
        fs::create_dir_all(&self.out)?;
        let key = |folder: &Path| folder.join("key.der");
        let der = match &self.key {
            Some(folder) => fs::read(key(folder))?,
            None => Signer::generate(self.algorithm)?,
        };
        let signer = Signer::new(self.algorithm, &der, &self.kid)?;
        let (pem, jwks) = signer.public()?;
        fs::write(key(&self.out), &der)?;
        fs::write(self.out.join("public.pem"), pem)?;
        fs::write(self.out.join("jwks.json"), jwks.to_string())?;
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
        let issued = now + self.life.min(0) - 60;
        let replaced: Value = serde_json::from_str(&self.claims)?;
        let mut lines = String::new();
        for person in self.first..self.first + self.count {
            let member: Vec<String> =
                (0..self.groups).map(|n| format!("g{:04}", (person * 7 + n * 37) % 500)).collect();
            let mut claims = json!({
                "iss": self.issuer, "aud": "load", "sub": format!("u{person:05}"),
                "name": format!("User {person:05}"), "preferred_username": format!("u{person:05}@load.example"),
                "groups": member, "amr": ["pwd", "mfa"], "auth_time": issued, "iat": issued, "nbf": issued,
                "exp": now + self.life, "deviceid": format!("d{person:05}"), "device_compliant": true,
                "device_trust_type": "ServerAD", "device_os": "Windows", "device_os_version": "10.0.22631",
            });
            if let (Some(claims), Some(replaced)) = (claims.as_object_mut(), replaced.as_object()) {
                claims.extend(replaced.clone());
            }
            lines.push_str(&signer.token(&claims)?);
            lines.push('\n');
        }
        fs::write(self.out.join("tokens.txt"), lines)?;
        Ok(())
    }
}
