//! Key sets: which keys of a set verify tokens, and which set replaces another.

use aws_lc_rs::signature::{
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding,
};
use serde_json::{Value, json};

use super::fixtures::{
    EC, ED, HEADER, ISSUER, RSA, RSA_OTHER, TestKey, b64, claims, issuer, now, set, token, unused_source,
    verifier,
};
use super::jwk::{KeyFault, KeySet, KeySetError};
use super::verified::VerifiedToken;
use super::verify::TokenProblem;
use crate::refusal::BadToken;

#[test]
fn a_token_without_kid_needs_the_only_key_of_its_algorithm() {
    let payload = claims(|_| {}).to_string();
    let (verifier, store) = verifier();
    let anonymous = RSA.sign(r#"{"alg":"RS256"}"#, &payload);
    assert!(verifier.verify(&anonymous, &[0], now()).is_ok());
    store.install(Ok(set(&[RSA.jwk("rsa"), RSA_OTHER.jwk("next")])), now()).unwrap();
    assert_eq!(verifier.verify(&anonymous, &[0], now()).err(), Some(TokenProblem::Bad(BadToken::UnknownKey)));
}

#[test]
fn an_unknown_kid_is_refused_at_once_and_asks_for_one_refresh() {
    let (verifier, store) = verifier();
    assert!(!store.refresh_requested());
    for number in 0..1000 {
        let header = format!(r#"{{"alg":"RS256","kid":"k{number}"}}"#);
        let token = format!("{}.{}.AAAA", b64(header.as_bytes()), b64(claims(|_| {}).to_string().as_bytes()));
        let result = verifier.verify(&token, &[0], now());
        assert_eq!(result.err(), Some(TokenProblem::Bad(BadToken::UnknownKey)));
    }
    assert!(store.refresh_requested());
    assert_eq!(store.failures(), 0);
}

fn parsed(keys: &[Value]) -> Result<KeySet, KeySetError> {
    let algorithms = ["RS256", "ES256", "EdDSA"].map(str::to_owned);
    KeySet::parse(&set(keys).body, &algorithms)
}

/// The RSA key, but for one member.
fn rsa_with(name: &str, value: Value) -> Value {
    let mut key = RSA.jwk("x");
    key[name] = value;
    key
}

#[test]
fn a_key_that_cannot_be_used_costs_only_itself_and_its_reason_is_reported() {
    assert_eq!(parsed(&[RSA.jwk("a"), EC.jwk("b")]).unwrap().count(), 2);
    for (fault, odd) in [
        (KeyFault::Secret, json!({"kty": "oct", "kid": "x", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ"})),
        (
            KeyFault::Secret,
            json!({"kty": "oct", "kid": "x", "alg": "RS256", "k": "AAAA", "n": "AAAA", "e": "AQAB"}),
        ),
        (KeyFault::Secret, rsa_with("d", json!("AAAA"))),
        (KeyFault::Use, rsa_with("use", json!("enc"))),
        (KeyFault::Malformed, rsa_with("use", json!(["sig"]))),
        (KeyFault::Use, rsa_with("key_ops", json!(["sign"]))),
        (KeyFault::Malformed, rsa_with("key_ops", json!("verify"))),
        (KeyFault::Algorithm, rsa_with("alg", json!("HS256"))),
        (KeyFault::Algorithm, rsa_with("alg", json!("RSA-OAEP"))),
        (KeyFault::Algorithm, rsa_with("alg", json!("ES256"))),
        (KeyFault::NotConfigured, rsa_with("alg", json!("RS512"))),
        (KeyFault::Algorithm, rsa_with("alg", json!("none"))),
        (KeyFault::Malformed, rsa_with("alg", json!(["RS256"]))),
        (KeyFault::Malformed, rsa_with("kid", json!(1))),
        (KeyFault::Malformed, rsa_with("n", json!(null))),
        (KeyFault::Malformed, rsa_with("n", json!("=="))),
        (KeyFault::Weak, rsa_with("e", json!("AQ"))),
        (KeyFault::Weak, rsa_with("e", json!("AA"))),
        (KeyFault::Weak, rsa_with("e", json!(""))),
        (KeyFault::Weak, rsa_with("e", json!("AQAC"))),
        (KeyFault::Weak, rsa_with("n", json!(b64(&[0xff; 128])))),
        (KeyFault::Weak, rsa_with("n", json!(b64(&[&[0; 200][..], &[0xff; 128]].concat())))),
        (KeyFault::Malformed, json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"})),
        (
            KeyFault::Algorithm,
            json!({"kty": "EC", "crv": "secp256k1", "x": b64(&[1; 32]), "y": b64(&[1; 32])}),
        ),
        (KeyFault::Algorithm, json!({"kty": "OKP", "crv": "X25519", "x": b64(&[1; 32])})),
        (KeyFault::Algorithm, json!({"kty": "AKP", "alg": "ML-DSA-44"})),
        (KeyFault::Malformed, json!({})),
        (KeyFault::Malformed, json!(1)),
        (KeyFault::Malformed, json!(null)),
    ] {
        assert_eq!(parsed(std::slice::from_ref(&odd)).err(), Some(KeySetError::Empty(Some(fault))), "{odd}");
        let beside = parsed(&[odd.clone(), EC.jwk("ec")]).unwrap();
        assert_eq!((beside.count(), beside.unused().len()), (1, 1), "{odd}");
        assert_eq!(beside.unused().first().map(|key| key.fault), Some(fault), "{odd}");
    }
    assert_eq!(parsed(&[]).err(), Some(KeySetError::Empty(None)));
    assert_eq!(parsed(&vec![json!({}); 1000]).err(), Some(KeySetError::TooMany));
    for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
        let algorithms = ["RS256".to_owned()];
        assert_eq!(KeySet::parse(bad.as_bytes(), &algorithms).err(), Some(KeySetError::Malformed), "{bad}");
    }
}

#[test]
fn a_member_that_is_null_is_absent() {
    for name in ["use", "alg", "key_ops", "d", "k"] {
        assert_eq!(parsed(&[rsa_with(name, json!(null))]).unwrap().count(), 1, "{name}");
    }
    let (verifier, store) = verifier();
    let mut key = RSA.jwk("rsa");
    key["kid"] = json!(null);
    store.install(Ok(set(&[key])), now()).unwrap();
    let payload = claims(|_| {}).to_string();
    assert!(verifier.verify(&RSA.sign(r#"{"alg":"RS256"}"#, &payload), &[0], now()).is_ok());
}

/// What comes of a token of this key and header when the issuer's set holds these keys.
fn with_keys(keys: &[Value], key: &TestKey, header: &str) -> Result<VerifiedToken, TokenProblem> {
    let (verifier, store) = verifier();
    store.install(Ok(set(keys)), now()).unwrap();
    verifier.verify(&key.sign(header, &claims(|_| {}).to_string()), &[0], now())
}

#[test]
fn only_two_different_keys_of_one_kid_and_algorithm_are_ambiguous_and_that_kid_alone() {
    let (rsa, ec) = (r#"{"alg":"RS256","kid":"a"}"#, r#"{"alg":"ES256","kid":"a"}"#);
    // RFC 7517, section 4.5: equivalent alternatives of several kinds may share a `kid`.
    let both = [RSA.jwk("a"), EC.jwk("a")];
    assert!(with_keys(&both, &RSA, rsa).is_ok() && with_keys(&both, &EC, ec).is_ok());
    // Some publish the key for encryption under the same name.
    let mut for_encryption = RSA_OTHER.jwk("a");
    for_encryption["use"] = json!("enc");
    assert!(with_keys(&[for_encryption, RSA.jwk("a")], &RSA, rsa).is_ok());
    // The same key twice is one, whatever zeros it is written with.
    let mut padded = RSA.jwk("a");
    padded["n"] = json!(b64(&[&[0, 0][..], &from_b64(&RSA.public["n"])].concat()));
    assert!(with_keys(&[RSA.jwk("a"), padded.clone(), RSA.jwk("a")], &RSA, rsa).is_ok());
    assert!(with_keys(&[RSA.jwk("a"), padded], &RSA, r#"{"alg":"RS256"}"#).is_ok());

    let torn = [RSA.jwk("a"), RSA_OTHER.jwk("a"), EC.jwk("a"), RSA_OTHER.jwk("b")];
    for key in [&RSA, &RSA_OTHER] {
        let bad = with_keys(&torn, key, rsa).err();
        assert!(matches!(bad, Some(TokenProblem::Bad(BadToken::Header | BadToken::UnknownKey))), "{bad:?}");
    }
    assert!(with_keys(&torn, &EC, ec).is_ok(), "another algorithm of that kid");
    assert!(with_keys(&torn, &RSA_OTHER, r#"{"alg":"RS256","kid":"b"}"#).is_ok(), "another kid");
    let faults: Vec<_> = parsed(&torn).unwrap().unused().iter().map(|key| key.fault).collect();
    assert_eq!(faults, [KeyFault::Ambiguous; 2]);
    assert_eq!(
        parsed(&[RSA.jwk("a"), RSA_OTHER.jwk("a")]).err(),
        Some(KeySetError::Empty(Some(KeyFault::Ambiguous)))
    );
}

fn from_b64(value: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
}

#[test]
fn zeros_before_a_number_are_not_a_part_of_it() {
    let mut key = RSA.jwk("rsa");
    for name in ["n", "e"] {
        key[name] = json!(b64(&[&[0][..], &from_b64(&RSA.public[name])].concat()));
    }
    assert!(with_keys(&[key], &RSA, HEADER).is_ok());
}

#[test]
fn a_key_without_alg_serves_what_its_issuer_is_accepted_with_and_one_with_alg_that_alone() {
    let payload = claims(|_| {}).to_string();
    let signed = |name: &str| {
        let encoding: &'static dyn RsaEncoding = match name {
            "RS256" => &RSA_PKCS1_SHA256,
            "RS384" => &RSA_PKCS1_SHA384,
            "RS512" => &RSA_PKCS1_SHA512,
            "PS256" => &RSA_PSS_SHA256,
            "PS384" => &RSA_PSS_SHA384,
            _ => &RSA_PSS_SHA512,
        };
        RSA.sign_as(encoding, &format!(r#"{{"alg":"{name}","kid":"rsa"}}"#), &payload)
    };
    let all = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    let accepts = |configured: &[&str], alg: Option<&str>| {
        let mut settings = issuer("main", ISSUER, unused_source());
        settings.algorithms = configured.iter().map(|name| (*name).to_owned()).collect();
        let store = std::sync::Arc::new(super::keys::KeyStore::new(&settings));
        let mut key = RSA.jwk("rsa");
        if let Some(alg) = alg {
            key["alg"] = json!(alg);
        }
        store.install(Ok(set(&[key])), now()).unwrap();
        let verifier = super::verify::Verifier::new(&[settings], vec![store]);
        all.into_iter().filter(|name| verifier.verify(&signed(name), &[0], now()).is_ok()).collect::<Vec<_>>()
    };
    assert_eq!(accepts(&all, None), all);
    assert_eq!(accepts(&["PS256", "RS512", "ES256"], None), ["RS512", "PS256"]);
    assert_eq!(accepts(&["RS256"], None), ["RS256"]);
    assert_eq!(accepts(&all, Some("PS384")), ["PS384"]);
}

#[test]
fn algorithm_names_with_the_curve_are_accepted() {
    let mut settings = issuer("main", ISSUER, unused_source());
    settings.algorithms = vec!["EdDSA".into(), "ES256".into()];
    let store = std::sync::Arc::new(super::keys::KeyStore::new(&settings));
    let verifier = super::verify::Verifier::new(&[settings], vec![std::sync::Arc::clone(&store)]);
    let payload = claims(|_| {}).to_string();
    for (key, alg, name) in [
        (&ED, "Ed25519", "Ed25519"),
        (&ED, "EdDSA", "Ed25519"),
        (&ED, "Ed25519", "EdDSA"),
        (&EC, "ESP256", "ESP256"),
        (&EC, "ES256", "ESP256"),
    ] {
        let mut jwk = key.jwk("k");
        jwk["alg"] = json!(alg);
        store.install(Ok(set(&[jwk])), now()).unwrap();
        let token = key.sign(&format!(r#"{{"alg":"{name}","kid":"k"}}"#), &payload);
        assert!(verifier.verify(&token, &[0], now()).is_ok(), "{alg} {name}");
    }
    for name in ["Ed448", "ESP512", "ES512", "ed25519", "ES256K", "HS256"] {
        let token = ED.sign(&format!(r#"{{"alg":"{name}","kid":"k"}}"#), &payload);
        let bad = Some(TokenProblem::Bad(BadToken::Header));
        assert_eq!(verifier.verify(&token, &[0], now()).err(), bad, "{name}");
    }
}

#[test]
fn a_mark_before_a_key_document_is_passed_over() {
    let document = [b"\xef\xbb\xbf", set(&[RSA.jwk("rsa")]).body.as_slice()].concat();
    assert_eq!(KeySet::parse(&document, &["RS256".to_owned()]).unwrap().count(), 1);
    let twice = [b"\xef\xbb\xbf", document.as_slice()].concat();
    assert_eq!(KeySet::parse(&twice, &["RS256".to_owned()]).err(), Some(KeySetError::Malformed));
}

#[test]
fn a_broken_set_does_not_replace_a_good_one_and_equal_keys_keep_their_generation() {
    let (verifier, store) = verifier();
    assert!(store.install(Ok(set(&[RSA.jwk("a"), RSA_OTHER.jwk("a")])), now()).is_err());
    assert_eq!((store.generation(), store.failures(), store.keys()), (1, 1, 2));
    assert!(verifier.verify(&token(|_| {}), &[0], now()).is_ok());
    let odd = json!({"kty": "RSA", "use": "enc", "kid": "e"});
    store.install(Ok(set(&[EC.jwk("ec"), odd, RSA.jwk("rsa")])), now()).unwrap();
    assert_eq!(store.generation(), 1);
    assert!(
        store.unused().contains(&("other-use", 1)) && store.describe(now()).contains("1 unused (other-use)")
    );
    store.install(Ok(set(&[EC.jwk("ec"), RSA_OTHER.jwk("rsa")])), now()).unwrap();
    assert_eq!(store.generation(), 2);
}
