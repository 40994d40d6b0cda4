//! Tokens that must not be believed, and the few that must.
#![expect(clippy::string_slice, reason = "tests cut texts of their own making")]

use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512,
    RsaEncoding,
};
use portcullis_config::settings::{ListSeparator, claim_way};
use portcullis_policy::model::{Flow, GuestKind, RiskLevel};
use portcullis_policy::signals::DeviceAttribute;
use portcullis_policy::signals::{Fact, Identity, Value as Attribute};
use serde_json::{Value, json};

use super::fixtures::{
    AUDIENCE, EC, ED, HEADER, ISSUER, RSA, RSA_OTHER, TestKey, b64, claims, issuer, now, set, token,
    unused_source, verifier, verifier_with,
};
use super::jwk::{KeyFault, KeySet, KeySetError};
use super::verified::VerifiedToken;
use super::verify::TokenProblem;
use crate::refusal::BadToken;

fn verify(token: &str) -> Result<VerifiedToken, TokenProblem> {
    verifier().0.verify(token, &[0], now())
}

#[track_caller]
fn refused(token: &str, reason: BadToken) {
    assert_eq!(verify(token).err(), Some(TokenProblem::Bad(reason)));
}

fn read(change: impl FnOnce(&mut Value)) -> VerifiedToken {
    verify(&token(change)).unwrap()
}

#[test]
fn a_good_token_makes_its_user_known() {
    let verified = read(|_| {});
    assert_eq!(*verified.principal().id, *"anna");
    assert_eq!(verified.principal().standing.identity, Identity::PERSON);
    assert_eq!(verified.principal().standing.groups, Fact::Known(vec!["g1".into(), "g2".into()]));
    assert_eq!(verified.user_name(), Some("anna@example.org"));
    assert_eq!(verified.issuer_index(), 0);
    let payload = claims(|_| {}).to_string();
    for header in [
        r#"{"alg":"ES256","kid":"ec"}"#,
        r#"{"alg":"ES256","typ":"AT+JWT","kid":"ec"}"#,
        r#"{"alg":"ES256","typ":"application/at+jwt"}"#,
    ] {
        assert!(verify(&EC.sign(header, &payload)).is_ok(), "{header}");
    }
}

#[test]
fn the_token_never_chooses_how_it_is_verified() {
    let payload = claims(|_| {}).to_string();
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None","kid":"rsa"}"#,
        r#"{"alg":"RS384","kid":"rsa"}"#,
        r#"{"alg":"PS256","kid":"rsa"}"#,
        r#"{"alg":"ES256","kid":"rsa"}"#,
        r#"{"alg":["RS256"],"kid":"rsa"}"#,
        r#"{"kid":"rsa"}"#,
        r#"{"alg":"RS256","kid":"rsa","typ":"logout+jwt"}"#,
        r#"{"alg":"RS256","kid":"rsa","typ":null}"#,
        r#"{"alg":"RS256","kid":"rsa","crit":["exp"]}"#,
        r#"{"alg":"RS256","kid":"rsa","crit":[]}"#,
        r#"{"alg":"RS256","kid":"rsa","b64":false}"#,
        r#"{"alg":"RS256","kid":"rsa","zip":"DEF"}"#,
        r#"{"alg":"RS256","kid":7}"#,
    ] {
        let token = RSA.sign(header, &payload);
        assert!(
            matches!(verify(&token), Err(TokenProblem::Bad(BadToken::Header | BadToken::UnknownKey))),
            "{header}"
        );
    }
    refused(&RSA.sign(r#"{"alg":"RS256","kid":"rsa","kid":"rsa"}"#, &payload), BadToken::Malformed);
    refused(&RSA.sign(r#"[["alg","RS256"]]"#, &payload), BadToken::Malformed);
    // A key sent along is not looked at.
    let header = json!({"alg": "RS256", "kid": "rsa", "jwk": RSA_OTHER.public}).to_string();
    refused(&RSA_OTHER.sign(&header, &payload), BadToken::Signature);
}

#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    let header = r#"{"alg":"HS256","typ":"JWT","kid":"rsa"}"#;
    let message = format!("{}.{}", b64(header.as_bytes()), b64(claims(|_| {}).to_string().as_bytes()));
    for secret in [RSA.public["n"].as_str().unwrap().as_bytes(), RSA.jwk("rsa").to_string().as_bytes()] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        refused(&format!("{message}.{}", b64(tag.as_ref())), BadToken::Header);
    }
    refused(&format!("{message}."), BadToken::Malformed);
}

#[test]
fn claims_of_the_wrong_type_are_refused() {
    let now = now();
    let cases: [(&str, Value); 26] = [
        ("exp", json!((now + 600).to_string())),
        ("exp", json!(1e300)),
        ("exp", json!(-1)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(-600.5)),
        ("exp", json!(null)),
        ("exp", json!(true)),
        ("exp", json!([now + 600])),
        ("nbf", json!("0")),
        ("nbf", json!(-1)),
        ("nbf", json!(null)),
        ("iat", json!("now")),
        ("iat", json!(1e300)),
        ("aud", json!(42)),
        ("aud", json!(null)),
        ("aud", json!({"a": AUDIENCE})),
        ("aud", json!([AUDIENCE, 42])),
        ("aud", json!([[AUDIENCE]])),
        ("sub", json!(7)),
        ("sub", json!(null)),
        ("sub", json!("")),
        ("sub", json!("anna\r\nx-admin: 1")),
        ("acct", json!("guest")),
        ("idtyp", json!(["app"])),
        ("deviceid", json!({"id": 1})),
    ];
    for (name, value) in cases {
        let result = verify(&token(|claims| claims[name] = value.clone()));
        assert!(
            matches!(result, Err(TokenProblem::Bad(BadToken::Claims | BadToken::Malformed))),
            "{name}: {value}: {result:?}"
        );
    }
    for name in ["exp", "aud", "sub"] {
        refused(&token(|claims| drop(claims.as_object_mut().unwrap().remove(name))), BadToken::Claims);
    }
}

#[test]
fn only_the_exact_issuer_and_audience_are_accepted() {
    for value in [json!([ISSUER]), json!([ISSUER, "https://evil"]), json!({"iss": ISSUER}), json!(null)] {
        refused(&token(|claims| claims["iss"] = value), BadToken::Issuer);
    }
    for value in ["https://id.example/tenant/", "https://ID.example/tenant", "", "https://evil.example"] {
        refused(&token(|claims| claims["iss"] = json!(value)), BadToken::Issuer);
    }
    refused(&token(|claims| drop(claims.as_object_mut().unwrap().remove("iss"))), BadToken::Issuer);
    for value in [json!("api://other"), json!([]), json!(["api://other"]), json!("API://portcullis")] {
        refused(&token(|claims| claims["aud"] = value), BadToken::Audience);
    }
    assert!(verify(&token(|claims| claims["aud"] = json!(["api://other", AUDIENCE]))).is_ok());
    // An issuer that is known, but not accepted by this app.
    assert_eq!(
        verifier().0.verify(&token(|_| {}), &[], now()).err(),
        Some(TokenProblem::Bad(BadToken::Issuer))
    );
}

#[test]
fn times_are_checked_with_the_configured_leeway() {
    let now = now();
    assert!(verify(&token(|claims| claims["exp"] = json!(now - 5))).is_ok());
    refused(&token(|claims| claims["exp"] = json!(now - 12)), BadToken::Expired);
    refused(&token(|claims| claims["exp"] = json!(0)), BadToken::Expired);
    refused(&token(|claims| claims["nbf"] = json!(now + 60)), BadToken::NotYetValid);
    refused(&token(|claims| claims["iat"] = json!(now + 60)), BadToken::NotYetValid);
    let mut settings = issuer("main", ISSUER, unused_source());
    settings.max_age = Some(Duration::from_secs(30));
    let (verifier, _) = verifier_with(&settings);
    let old = verifier.verify(&token(|claims| claims["iat"] = json!(now - 60)), &[0], now).err();
    assert_eq!(old, Some(TokenProblem::Bad(BadToken::Expired)));
    let ageless = token(|claims| drop(claims.as_object_mut().unwrap().remove("iat")));
    assert_eq!(verifier.verify(&ageless, &[0], now).err(), Some(TokenProblem::Bad(BadToken::Claims)));
}

#[test]
fn a_token_that_is_not_whole_and_exact_is_refused() {
    let good = token(|_| {});
    let mut parts = good.split('.');
    let (header, payload, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "a.b.c".into(),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{good}="),
        format!("{good}."),
        format!("{good}.{payload}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{header}..{signature}"),
        format!("{header}={}", &good[header.len()..]),
        format!("{header}.{payload}.{signature}\u{e9}"),
        format!("{good}{}", "A".repeat(16 * 1024)),
    ] {
        assert_eq!(verify(&bad).err(), Some(TokenProblem::Bad(BadToken::Malformed)), "{bad:.60}");
    }
    for end in 1..good.len().min(60) {
        assert!(verify(&good[..good.len() - end]).is_err());
    }
    let forged = b64(claims(|claims| claims["sub"] = json!("root")).to_string().as_bytes());
    refused(&format!("{header}.{forged}.{signature}"), BadToken::Signature);
    refused(&RSA_OTHER.sign(HEADER, &claims(|_| {}).to_string()), BadToken::Signature);
    // Other bits in the unused end of the signature's last character are another text.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for other in alphabet.chars().filter(|&other| other != last) {
        let turned = format!("{}{other}", &good[..good.len() - 1]);
        assert!(verify(&turned).is_err());
    }
}

#[test]
fn ambiguous_claims_are_refused() {
    let payload = claims(|_| {}).to_string();
    let tail = &payload[1..];
    for bad in [
        format!(r#"{{"sub":"root",{tail}"#),
        format!(r#"{{"iss":"https://evil",{tail}"#),
        format!(r#"{{"x":{{"a":1,"a":2}},{tail}"#),
        format!(r#"{{"iss":"https://id.example/tenant",{tail}"#),
        format!("[{payload}]"),
        format!("{payload}{payload}"),
        format!(r#"["{ISSUER}"]"#),
        "null".into(),
    ] {
        let result = verify(&RSA.sign(HEADER, &bad));
        assert!(
            matches!(result, Err(TokenProblem::Bad(BadToken::Malformed | BadToken::Issuer))),
            "{bad}: {result:?}"
        );
    }
}

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
        assert_eq!(parsed(std::slice::from_ref(&odd)).err(), Some(KeySetError::Empty), "{odd}");
        let beside = parsed(&[odd.clone(), EC.jwk("ec")]).unwrap();
        assert_eq!((beside.count(), beside.unused().len()), (1, 1), "{odd}");
        assert_eq!(beside.unused().first().map(|key| key.fault), Some(fault), "{odd}");
    }
    assert_eq!(parsed(&[]).err(), Some(KeySetError::Empty));
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
    assert_eq!(parsed(&[RSA.jwk("a"), RSA_OTHER.jwk("a")]).err(), Some(KeySetError::Empty));
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

#[test]
fn a_time_may_be_a_fraction_and_is_believed_no_longer_than_it_says() {
    let (verifier, now) = (verifier().0, now());
    let at = |change: &dyn Fn(&mut Value), now: i64| verifier.verify(&token(|c| change(c)), &[0], now);
    // The leeway of the fixture is 10 seconds.
    let end = (now + 100) as f64 + 0.5;
    assert!(at(&|c| c["exp"] = json!(end), now + 109).is_ok());
    assert_eq!(at(&|c| c["exp"] = json!(end), now + 110).err(), Some(BadToken::Expired.into()));
    let begin = (now + 10) as f64 - 0.5;
    assert!(at(&|c| c["nbf"] = json!(begin), now).is_ok());
    assert_eq!(at(&|c| c["nbf"] = json!(begin + 1.0), now).err(), Some(BadToken::NotYetValid.into()));
    assert!(at(&|c| c["iat"] = json!(begin), now).is_ok());
    assert_eq!(at(&|c| c["iat"] = json!(begin + 1.0), now).err(), Some(BadToken::NotYetValid.into()));
    let signed_in = at(&|c| c["auth_time"] = json!(now as f64 - 7.25), now).unwrap();
    assert_eq!(signed_in.principal().auth_time, Some(now - 8), "older is stricter");
    for odd in [json!("12"), json!(-3.5), json!(1e300), json!(null), json!(now as f64 + 60.5)] {
        assert_eq!(at(&|c| c["auth_time"] = odd.clone(), now).unwrap().principal().auth_time, None, "{odd}");
    }

    let mut settings = issuer("main", ISSUER, unused_source());
    settings.max_age = Some(Duration::from_secs(1_000));
    settings.claims.password_changed = Some("changed".into());
    settings.claims.risk_seen = Some("seen".into());
    let verifier = verifier_with(&settings).0;
    let issued = |at: f64| token(|c| c["iat"] = json!(at));
    assert!(verifier.verify(&issued(now as f64 - 1_008.5), &[0], now).is_ok());
    let old = verifier.verify(&issued(now as f64 - 1_009.5), &[0], now);
    assert_eq!(old.err(), Some(BadToken::Expired.into()));
    let both = token(|c| {
        c["changed"] = json!(now as f64 - 4.5);
        c["seen"] = json!(now as f64 - 4.75);
    });
    let sign_in = verifier.verify(&both, &[0], now).unwrap().principal().standing.sign_in.clone();
    assert_eq!((sign_in.password_changed, sign_in.risk_seen), (Some(now - 5), Some(now - 4)));
}

#[test]
fn groups_that_are_not_all_there_are_unavailable_and_never_none() {
    let groups = |change: fn(&mut Value)| read(change).principal().standing.groups.clone();
    assert_eq!(groups(|c| drop(c.as_object_mut().unwrap().remove("groups"))), Fact::Unknown);
    assert_eq!(groups(|c| c["groups"] = json!([])), Fact::Known(vec![]));
    assert_eq!(groups(|c| c["groups"] = json!("g")), Fact::Known(vec!["g".into()]));
    assert_eq!(groups(|c| c["groups"] = json!([7])), Fact::Known(vec!["7".into()]));
    for odd in [json!(null), json!({"a": 1}), json!(true), json!(["g", null]), json!([["g"]]), json!([1.5])] {
        assert_eq!(read(|c| c["groups"] = odd).principal().standing.groups, Fact::Unavailable);
    }
    assert_eq!(groups(|c| c["_claim_names"] = json!({"groups": "src1"})), Fact::Unavailable);
    assert_eq!(groups(|c| c["_claim_names"] = json!("groups")), Fact::Unavailable);
    assert_eq!(groups(|c| c["hasgroups"] = json!(true)), Fact::Unavailable);
    assert_eq!(groups(|c| c["hasgroups"] = json!("true")), Fact::Unavailable);
    for several in [
        "staff contractors",
        "staff,contractors",
        "staff;contractors",
        "staff|contractors",
        "staff\tcontractors",
        "staff\u{3001}contractors",
        r#"["staff"]"#,
        "[staff]",
        "{staff}",
        r#""staff""#,
        "CN=Staff,OU=Groups",
    ] {
        let standing = read(|c| {
            c["groups"] = json!(several);
            c["wids"] = json!(several);
        });
        let standing = &standing.principal().standing;
        assert_eq!(
            (&standing.groups, &standing.roles),
            (&Fact::Unavailable, &Fact::Unavailable),
            "{several}"
        );
    }
    for one in ["/staff/it", "urn:mace:staff", "b\u{fc}ro-7", "Staff_(DE)"] {
        assert_eq!(groups_of(one, None), Fact::Known(vec![one.into()]));
    }
    let roles = read(|c| c["hasgroups"] = json!(true)).principal().standing.roles.clone();
    assert_eq!(roles, Fact::Unknown);
}

/// The groups of a token whose claim is this text.
fn groups_of(text: &str, separator: Option<ListSeparator>) -> Fact<Vec<String>> {
    let mut settings = issuer("main", ISSUER, unused_source());
    settings.claims.list_separator = separator;
    let verified = verifier_with(&settings).0.verify(&token(|c| c["groups"] = json!(text)), &[0], now());
    verified.unwrap().principal().standing.groups.clone()
}

#[test]
fn groups_in_one_text_are_split_where_the_separator_is_configured() {
    let known = |groups: &[&str]| Fact::Known(groups.iter().map(|group| (*group).to_owned()).collect());
    let of = groups_of;
    assert_eq!(
        of("staff, Domain Users,,x", Some(ListSeparator::Comma)),
        known(&["staff", "Domain Users", "x"])
    );
    assert_eq!(of("CN=a,OU=b;CN=c", Some(ListSeparator::Semicolon)), known(&["CN=a,OU=b", "CN=c"]));
    assert_eq!(of("staff  contractors", Some(ListSeparator::Space)), known(&["staff", "contractors"]));
    assert_eq!(of("staff", Some(ListSeparator::Comma)), known(&["staff"]));
    assert_eq!(of("", Some(ListSeparator::Comma)), known(&[]));
    assert_eq!(of("", None), known(&[]));
    for odd in [r#"["staff","contractors"]"#, "staff,[contractors]", "staff,{x}", "staff,\"x\"", "a\u{1},b"] {
        assert_eq!(of(odd, Some(ListSeparator::Comma)), Fact::Unavailable, "{odd}");
    }
}

#[test]
fn a_claim_path_names_each_key_as_it_is() {
    let path = |names: &[&str]| claim_way(names);
    let mut settings = issuer("main", ISSUER, unused_source());
    settings.claims.roles = path(&["resource_access", "my.app", "roles"]);
    settings.claims.device_id = path(&["device.id"]);
    settings.claims.extra = vec![path(&["a", "b.c", "email"]), "plain".into()];
    let (verifier, _) = verifier_with(&settings);
    let verified = |change: &dyn Fn(&mut Value)| verifier.verify(&token(|c| change(c)), &[0], now());
    let found = verified(&|c| {
        c["resource_access"] = json!({"my.app": {"roles": ["admin"]}, "my": {"app": {"roles": ["other"]}}});
        c["device.id"] = json!("d-1");
        c["a"] = json!({"b.c": {"email": "x@corp.example"}});
    });
    let found = found.unwrap();
    assert_eq!(found.principal().standing.roles, Fact::Known(vec!["admin".into()]));
    assert_eq!(found.device().and_then(|device| device.device_id), Some("d-1"));
    let claims = &found.principal().standing.claims;
    assert_eq!(*claims, vec![("a.b.c.email".into(), Attribute::Text("x@corp.example".into()))]);
    // Dots separate nothing here, and only an object has keys.
    let other = verified(&|c| c["resource_access"] = json!({"my": {"app": {"roles": ["other"]}}})).unwrap();
    assert_eq!(other.principal().standing.roles, Fact::Unknown);
    let other = verified(&|c| c["resource_access"] = json!("my.app")).unwrap();
    assert_eq!(other.principal().standing.roles, Fact::Unknown);
    let elsewhere = verified(&|c| c["_claim_names"] = json!({"resource_access": "src1"})).unwrap();
    assert_eq!(elsewhere.principal().standing.roles, Fact::Unavailable);
    let two = verified(&|c| c["a"] = json!({"b.c": {"email": "a@evil@corp.example"}}));
    assert_eq!(two.err(), Some(TokenProblem::Bad(BadToken::Claims)), "an address is one by its last key");
}

#[test]
fn programs_and_guests_are_distinguished_from_members() {
    let somebody = |change: fn(&mut Value)| {
        let principal = read(change).principal().clone();
        (principal.id.into_string(), principal.standing.identity.clone())
    };
    let app = somebody(|c| {
        c["idtyp"] = json!("app");
        c["oid"] = json!("sp-1");
    });
    assert_eq!(app, ("sp-1".into(), Identity::Workload));
    let client = somebody(|c| {
        c["azp"] = json!("anna");
        drop(c.as_object_mut().unwrap().remove("preferred_username"));
    });
    assert_eq!(client, ("anna".into(), Identity::Workload));
    assert!(matches!(somebody(|c| c["azp"] = json!("anna")).1, Identity::User { .. }));
    let guest = somebody(|c| {
        c["acct"] = json!(1);
        c["tid"] = json!("here");
        c["idp"] = json!("https://sts.windows.net/there/");
    });
    let (kind, home_tenant) = (Some(GuestKind::B2bCollaborationGuest), Some("there".into()));
    assert_eq!(guest, ("anna".into(), Identity::User { guest: kind, home_tenant }));
}

#[test]
fn devices_risks_and_further_claims_are_read_by_their_configured_names() {
    let mut settings = issuer("main", ISSUER, unused_source());
    settings.claims.device_id = "dev.id".into();
    settings.claims.sign_in_risk = Some("https://x.example/risk".into());
    settings.claims.user_risk = Some("user.risk".into());
    settings.claims.service_principal_risk = Some("sp".into());
    settings.claims.flow = Some("transferMethod".into());
    settings.claims.guest_kind = Some("kind".into());
    settings.claims.device_attributes = vec![
        (DeviceAttribute::Model, "model".into()),
        (DeviceAttribute::PhysicalIds, "ids".into()),
        (DeviceAttribute::Extension(15), "model".into()),
        (DeviceAttribute::Extension(15), "last".into()),
    ];
    settings.claims.extra = vec!["tier".into(), "b".into(), "list".into(), "absent".into()];
    let (verifier, _) = verifier_with(&settings);
    let verified = verifier
        .verify(
            &token(|c| {
                c["dev"] = json!({"id": "d-1"});
                c["device_compliant"] = json!("True");
                c["https://x.example/risk"] = json!("HIGH");
                c["user"] = json!({"risk": "hidden"});
                c["sp"] = json!("low");
                c["transferMethod"] = json!("deviceCodeFlow");
                c["kind"] = json!("b2bDirectConnectUser");
                c["model"] = json!("Surface");
                c["ids"] = json!(["[ZTDID]:x"]);
                c["last"] = json!("fifteen");
                c["tier"] = json!(3);
                c["b"] = json!(true);
                c["list"] = json!(["x", 1]);
                c["auth_time"] = json!(now() + 4000);
            }),
            &[0],
            now(),
        )
        .unwrap();
    let device = verified.device().unwrap();
    assert_eq!((device.device_id, device.compliant), (Some("d-1"), Some(true)));
    assert_eq!(verified.risks().sign_in, Fact::Known(RiskLevel::High));
    assert_eq!(verified.risks().user, Fact::Unavailable);
    assert_eq!(verified.risks().service_principal, Fact::Known(RiskLevel::Low));
    assert_eq!(verified.risks().insider, Fact::Unknown);
    assert_eq!(device.model, Some("Surface"));
    assert_eq!(device.extension_attributes, [(15, "fifteen".to_owned())]);
    assert_eq!((device.physical_ids, device.display_name), (&["[ZTDID]:x".to_owned()][..], None));
    assert_eq!(verified.principal().standing.sign_in.flow, Some(Flow::DeviceCode));
    let Identity::User { guest, .. } = &verified.principal().standing.identity else { panic!("no user") };
    assert_eq!(*guest, Some(GuestKind::B2bDirectConnectUser));
    assert_eq!(verified.principal().auth_time, None);
    assert_eq!(
        verified.principal().standing.claims,
        vec![
            ("b".into(), Attribute::Bool(true)),
            ("list".into(), Attribute::List(vec!["x".into(), "1".into()])),
            ("tier".into(), Attribute::Number(3.0)),
        ]
    );
    // What cannot be read is never taken for absent: a flow or a kind of guest could be the blocked one.
    for (claim, value) in [("tier", json!({"a": 1})), ("transferMethod", json!("new")), ("kind", json!(7))] {
        let odd = verifier.verify(&token(|c| c[claim] = value.clone()), &[0], now());
        assert_eq!(odd.err(), Some(TokenProblem::Bad(BadToken::Claims)), "{claim}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_verifier_panic(header in ".{0,80}", payload in ".{0,80}", raw in ".{0,200}") {
        let (verifier, _) = verifier();
        proptest::prop_assert!(verifier.verify(&raw, &[0, 7], i64::MAX).is_err());
        let payload = format!(r#"{{"iss":"{ISSUER}","exp":{payload}}}"#);
        for header in [header.as_str(), HEADER] {
            let token = format!("{}.{}.AAAA", b64(header.as_bytes()), b64(payload.as_bytes()));
            for now in [i64::MIN, 0, i64::MAX] {
                proptest::prop_assert!(verifier.verify(&token, &[0], now).is_err());
            }
        }
    }
}

#[test]
fn contexts_are_read_from_an_array_or_a_text_and_what_is_none_proves_nothing() {
    let held = |acrs: Value| {
        let verified = read(|c| c["acrs"] = acrs);
        let contexts = &verified.principal().standing.sign_in.contexts;
        contexts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    for (claim, expected) in [
        (json!(["c1", "c25"]), "c1 c25"),
        (json!("c1"), "c1"),
        (json!("C2 c1"), "c1 c2"),
        (json!(["C1", "c1", "p1", "urn:user:registersecurityinfo"]), "c1"),
        (json!(["c100", "c0", "c01", "1", "", 7, null]), ""),
        (json!({"c1": true}), ""),
        (Value::Null, ""),
    ] {
        assert_eq!(held(claim.clone()), expected, "{claim}");
    }
}

#[test]
fn what_a_token_states_of_its_sign_in_becomes_evidence_of_its_issuer() {
    use portcullis_policy::signals::IssuerEvidence;
    let mut settings = issuer("main", ISSUER, unused_source());
    settings.evidence = IssuerEvidence {
        contexts_satisfy: true,
        tells_methods: false,
        tells_acr: false,
        ..IssuerEvidence::ANY
    };
    let (verifier, _) = verifier_with(&settings);
    let of = |change: fn(&mut Value)| {
        let verified = verifier.verify(&token(change), &[0], now()).unwrap();
        verified.principal().standing.sign_in.issuer
    };
    assert_eq!(of(|_| {}), settings.evidence);
    assert_eq!(
        of(|c| c["amr"] = json!(["pwd"])),
        IssuerEvidence { tells_methods: true, ..settings.evidence }
    );
    assert_eq!(of(|c| c["acr"] = json!("1")), IssuerEvidence { tells_acr: true, ..settings.evidence });
}

#[test]
fn a_client_says_in_its_token_that_it_follows_claims_challenges() {
    for (claim, expected) in [
        (json!(["cp1"]), true),
        (json!(["foo", "CP1"]), true),
        (json!("cp1"), true),
        (json!("cp1 foo"), true),
        (json!(["cp2"]), false),
        (json!("cp10"), false),
        (json!(true), false),
        (Value::Null, false),
    ] {
        assert_eq!(read(|c| c["xms_cc"] = claim.clone()).follows_claims_challenges(), expected, "{claim}");
    }
}
