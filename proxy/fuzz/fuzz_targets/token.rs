//! Any header and any claims, properly signed, and any text at all: nothing panics, nothing unsigned
//! verifies, and what verifies says what a plain reading of its claims says.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use portcullis::token::{KeyStore, Verifier};
use portcullis_config::settings::{Claims, Issuer, KeySource};
use serde_json::{Value, json};

const ISSUER: &str = "https://id.test";
const AUDIENCE: &str = "api";
const NOW: i64 = 1_800_000_000;
const HEADER: &str = r#"{"alg":"ES256","kid":"k"}"#;

static KEY: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let point = KEY.public_key().as_ref();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
    let document = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": x, "y": y}]});
    let file = std::env::temp_dir().join(format!("portcullis-fuzz-{}.json", std::process::id()));
    std::fs::write(&file, document.to_string()).unwrap();
    let issuer = Issuer {
        name: "main".into(),
        issuer: ISSUER.into(),
        audiences: vec![AUDIENCE.into()],
        algorithms: vec!["ES256".into()],
        types: vec!["jwt".into()],
        keys: KeySource::File(file.clone()),
        ca: None,
        leeway: Duration::from_secs(10),
        max_age: None,
        refresh: Duration::from_secs(3600),
        refresh_min: Duration::from_secs(30),
        // The keys were fetched by today's clock and are asked by a fixed one.
        stale_max: Duration::from_secs(u64::from(u32::MAX)),
        evidence: portcullis_policy::signals::IssuerEvidence::ANY,
        claims: Claims {
            extra: vec!["email".into(), "a.b".into()],
            sign_in_risk: Some("risk".into()),
            ..Claims::default()
        },
    };
    let store = Arc::new(KeyStore::new(&issuer));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let filled = Arc::clone(&store);
    runtime.block_on(async move {
        let running = tokio::spawn(filled.clone().run(stopped));
        while filled.keys() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.send(true).unwrap();
        running.await.unwrap();
    });
    let _ = std::fs::remove_file(file);
    Verifier::new(&[issuer], vec![store])
});

fn sign(header: &[u8], payload: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = KEY.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

fuzz_target!(|data: &[u8]| {
    let verifier = &*VERIFIER;
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(verifier.verify(text, &[0], NOW).is_err(), "an unsigned text verified");
    }
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let (header, payload) = second.map_or((HEADER.as_bytes(), first), |second| (first, second));
    if verifier.verify(&sign(header, payload), &[0], NOW).is_err() {
        return;
    }
    let claims: Value = serde_json::from_slice(payload).expect("verified claims are JSON");
    assert_eq!(claims["iss"], ISSUER);
    let aud = &claims["aud"];
    assert!(aud == AUDIENCE || aud.as_array().is_some_and(|list| list.iter().any(|one| one == AUDIENCE)));
    let exp = claims["exp"].as_i64().expect("`exp` is an integer");
    assert!(exp + 10 > NOW);
    for past in ["nbf", "iat"] {
        assert!(claims.get(past).is_none_or(|at| at.as_i64().is_some_and(|at| at <= NOW + 10)), "{past}");
    }
    let header: Value = serde_json::from_slice(header).expect("a verified header is JSON");
    assert_eq!(header["alg"], "ES256");
    assert!(header.get("crit").is_none());
});
