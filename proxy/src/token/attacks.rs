//! Tokens that must not be believed, and the few that must.
#![expect(clippy::string_slice, reason = "tests cut texts of their own making")]

use std::time::Duration;

use aws_lc_rs::hmac;
use portcullis_policy::signals::{Fact, Identity};
use serde_json::{Value, json};

use super::fixtures::{
    AUDIENCE, EC, HEADER, ISSUER, RSA, RSA_OTHER, b64, claims, issuer, now, read, token, unused_source,
    verifier, verifier_with, verify,
};
use super::verify::TokenProblem;
use crate::refusal::BadToken;

#[track_caller]
fn refused(token: &str, reason: BadToken) {
    assert_eq!(verify(token).err(), Some(TokenProblem::Bad(reason)));
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
