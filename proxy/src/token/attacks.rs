//! Tokens that must not be believed, and the few that must.
#![expect(clippy::string_slice, reason = "tests cut texts of their own making")]

use std::time::Duration;

use aws_lc_rs::hmac;
use portcullis_config::settings::DeviceAttribute;
use portcullis_policy::model::{Flow, GuestKind, RiskLevel};
use portcullis_policy::signals::{Fact, Identity, Value as Attribute};
use serde_json::{Value, json};

use super::TokenProblem;
use super::claims::VerifiedToken;
use super::fixtures::{
    AUDIENCE, EC, HEADER, ISSUER, RSA, RSA_OTHER, b64, claims, issuer, now, nowhere, set, token, verifier,
    verifier_with,
};
use super::jwk::{KeySet, KeySetError};
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
        ("exp", json!(now as f64 + 600.5)),
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
fn times_are_kept_with_the_configured_leeway() {
    let now = now();
    assert!(verify(&token(|claims| claims["exp"] = json!(now - 5))).is_ok());
    refused(&token(|claims| claims["exp"] = json!(now - 12)), BadToken::Expired);
    refused(&token(|claims| claims["exp"] = json!(0)), BadToken::Expired);
    refused(&token(|claims| claims["nbf"] = json!(now + 60)), BadToken::NotYetValid);
    refused(&token(|claims| claims["iat"] = json!(now + 60)), BadToken::NotYetValid);
    let mut settings = issuer("main", ISSUER, nowhere());
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
fn claims_that_can_be_read_in_two_ways_are_refused() {
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

#[test]
fn key_sets_hold_only_keys_that_may_verify() {
    let algorithms = ["RS256".to_owned(), "ES256".to_owned(), "EdDSA".to_owned()];
    let parse = |keys: &[Value]| KeySet::parse(&set(keys).body, &algorithms);
    let with = |name: &str, value: Value| {
        let mut key = RSA.jwk("x");
        key[name] = value;
        key
    };
    assert_eq!(parse(&[RSA.jwk("a"), EC.jwk("b")]).unwrap().count(), 2);
    for bad in [
        json!({"kty": "oct", "kid": "x", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ"}),
        json!({"kty": "oct", "kid": "x", "alg": "RS256", "k": "AAAA", "n": "AAAA", "e": "AQAB"}),
        with("use", json!("enc")),
        with("use", json!(["sig"])),
        with("key_ops", json!(["sign"])),
        with("key_ops", json!("verify")),
        with("alg", json!("HS256")),
        with("alg", json!("ES256")),
        with("alg", json!("RS512")),
        with("alg", json!("none")),
        with("alg", json!(null)),
        with("d", json!("AAAA")),
        with("e", json!("AQ")),
        with("e", json!("AA")),
        with("e", json!("AQAC")),
        with("n", json!(b64(&[0xff; 128]))),
        with("n", json!(b64(&[&[0; 200][..], &[0xff; 128]].concat()))),
        json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}),
        json!({"kty": "EC", "crv": "secp256k1", "x": b64(&[1; 32]), "y": b64(&[1; 32])}),
        json!({"kty": "OKP", "crv": "X25519", "x": b64(&[1; 32])}),
        json!({}),
    ] {
        assert_eq!(parse(std::slice::from_ref(&bad)).err(), Some(KeySetError::Empty), "{bad}");
    }
    assert_eq!(parse(&[]).err(), Some(KeySetError::Empty));
    assert_eq!(parse(&[RSA.jwk("a"), EC.jwk("a")]).err(), Some(KeySetError::RepeatedKid));
    assert_eq!(parse(&[with("kid", json!(1))]).err(), Some(KeySetError::Malformed));
    assert_eq!(parse(&vec![json!({}); 1000]).err(), Some(KeySetError::TooMany));
    for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, r#"{"keys":[1]}"#] {
        assert_eq!(KeySet::parse(bad.as_bytes(), &algorithms).err(), Some(KeySetError::Malformed), "{bad}");
    }
}

#[test]
fn a_broken_set_does_not_replace_a_good_one_and_equal_keys_keep_their_generation() {
    let (verifier, store) = verifier();
    assert!(store.install(Ok(set(&[RSA.jwk("a"), EC.jwk("a")])), now()).is_err());
    assert_eq!((store.generation(), store.failures(), store.keys()), (1, 1, 2));
    assert!(verifier.verify(&token(|_| {}), &[0], now()).is_ok());
    store.install(Ok(set(&[EC.jwk("ec"), RSA.jwk("rsa")])), now()).unwrap();
    assert_eq!(store.generation(), 1);
    store.install(Ok(set(&[EC.jwk("ec"), RSA_OTHER.jwk("rsa")])), now()).unwrap();
    assert_eq!(store.generation(), 2);
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
    let roles = read(|c| c["hasgroups"] = json!(true)).principal().standing.roles.clone();
    assert_eq!(roles, Fact::Unknown);
}

#[test]
fn programs_and_guests_are_told_from_people() {
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
    let mut settings = issuer("main", ISSUER, nowhere());
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
    assert_eq!((device.id, device.traits.compliant), ("d-1", Some(true)));
    assert_eq!(verified.risks().sign_in, Fact::Known(RiskLevel::High));
    assert_eq!(verified.risks().user, Fact::Unavailable);
    assert_eq!(verified.risks().service_principal, Fact::Known(RiskLevel::Low));
    assert_eq!(verified.risks().insider, Fact::Unknown);
    let seen = device.as_device();
    assert_eq!(seen.model, Some("Surface"));
    assert_eq!(seen.extension_attributes, [(15, "fifteen".to_owned())]);
    assert_eq!((seen.physical_ids, seen.display_name), (&["[ZTDID]:x".to_owned()][..], None));
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
