//! ID tokens that are accepted, and what each rule refuses.

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use serde_json::{Value, json};

use super::super::fixtures::{
    EC, ED, HEADER, ISSUER, RSA, b64, claims, issuer, now, set, unused_source, verifier_with,
};
use super::super::verify::{TokenProblem, Verifier};
use super::{ExpectedIdToken, IdToken, IdTokenProblem};
use crate::refusal::BadToken;

const CLIENT: &str = "portcullis";
const EXPECTED: ExpectedIdToken<'_> =
    ExpectedIdToken { issuer: 0, client_id: CLIENT, nonce: Some("n-1"), access_token: None };

fn verifier() -> Verifier {
    let mut settings = issuer("main", ISSUER, unused_source());
    settings.algorithms.push("EdDSA".into());
    let (verifier, store) = verifier_with(&settings);
    store.install(Ok(set(&[RSA.jwk("rsa"), EC.jwk("ec"), ED.jwk("ed")])), now()).unwrap();
    verifier
}

fn id_claims(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims(|claims| {
        claims["aud"] = json!(CLIENT);
        claims["nonce"] = json!("n-1");
        claims["sid"] = json!("s-1");
        claims["auth_time"] = json!(now() - 30);
    });
    change(&mut claims);
    claims.to_string()
}

fn verified(
    change: impl FnOnce(&mut Value),
    expected: &ExpectedIdToken<'_>,
) -> Result<IdToken, IdTokenProblem> {
    verifier().verify_id_token(&RSA.sign(HEADER, &id_claims(change)), expected, now())
}

fn problem(change: impl FnOnce(&mut Value)) -> Option<IdTokenProblem> {
    verified(change, &EXPECTED).err()
}

const fn bad(bad: BadToken) -> Option<IdTokenProblem> {
    Some(IdTokenProblem::Token(TokenProblem::Bad(bad)))
}

#[test]
fn a_good_id_token_is_a_session() {
    let token = verified(|claims| claims["acr"] = json!("gold"), &EXPECTED).unwrap();
    assert_eq!((token.sub.as_str(), token.sid.as_deref()), ("anna", Some("s-1")));
    assert_eq!((token.auth_time, token.acr.as_deref()), (Some(now() - 30), Some("gold")));
    let session = verifier().read_session(&token.claims, now() + 60, now()).unwrap();
    assert_eq!(&*session.principal().id, "anna");
    assert_eq!(session.user_name(), Some("anna@example.org"));
    assert_eq!(session.principal().auth_time, Some(now() - 30));
}

#[test]
fn a_session_lasts_whatever_becomes_of_the_keys_that_signed_it() {
    let token = verified(|_| {}, &EXPECTED).unwrap();
    let settings = issuer("main", ISSUER, unused_source());
    let store = std::sync::Arc::new(super::super::keys::KeyStore::new(&settings));
    let without_keys = Verifier::new(&[settings], vec![store]);
    assert!(without_keys.read_session(&token.claims, now() + 60, now()).is_ok());
    let other = Verifier::new(&[issuer("other", ISSUER, unused_source())], Vec::new());
    assert!(other.read_session(&token.claims, now() + 60, now()).is_err());
}

#[test]
fn an_id_token_answers_the_attempt_that_asked_for_it() {
    for nonce in [json!("n-2"), json!("n-1 "), json!(""), json!(null), json!(1), json!(["n-1"])] {
        assert_eq!(problem(|claims| claims["nonce"] = nonce.clone()), Some(IdTokenProblem::Nonce), "{nonce}");
    }
    let without = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("nonce"));
    assert_eq!(problem(without), Some(IdTokenProblem::Nonce));
    let refreshed = ExpectedIdToken { nonce: None, ..EXPECTED };
    assert!(verified(without, &refreshed).is_ok());
}

#[test]
fn an_id_token_is_for_us_and_was_issued_to_us() {
    for (audience, party, is_ours) in [
        (json!(CLIENT), None, true),
        (json!([CLIENT]), None, true),
        (json!([CLIENT]), Some(CLIENT), true),
        (json!([CLIENT, "api"]), Some(CLIENT), true),
        (json!([CLIENT, "api"]), None, false),
        (json!([CLIENT, "api"]), Some("api"), false),
        (json!(CLIENT), Some("other"), false),
        (json!("api://portcullis"), None, false),
        (json!(["Portcullis"]), None, false),
        (json!([]), None, false),
    ] {
        let change = |claims: &mut Value| {
            claims["aud"] = audience.clone();
            if let Some(party) = party {
                claims["azp"] = json!(party);
            }
        };
        let expected = (!is_ours).then_some(IdTokenProblem::Audience);
        assert_eq!(problem(change), expected, "{audience} {party:?}");
    }
    assert_eq!(problem(|claims| claims["aud"] = json!([CLIENT, 1])), bad(BadToken::Claims));
    assert_eq!(problem(|claims| claims["azp"] = json!([CLIENT])), bad(BadToken::Claims));
}

#[test]
fn an_id_token_has_an_end_and_a_time_of_issue() {
    let without =
        |name: &'static str| problem(move |claims| drop(claims.as_object_mut().unwrap().remove(name)));
    assert_eq!(without("exp"), bad(BadToken::Claims));
    assert_eq!(without("iat"), bad(BadToken::Claims));
    assert_eq!(without("sub"), Some(IdTokenProblem::Subject));
    assert_eq!(problem(|claims| claims["exp"] = json!(now() - 60)), bad(BadToken::Expired));
    assert_eq!(problem(|claims| claims["iat"] = json!(now() + 600)), bad(BadToken::NotYetValid));
    assert_eq!(problem(|claims| claims["sub"] = json!("")), Some(IdTokenProblem::Subject));
    assert_eq!(problem(|claims| claims["sub"] = json!("a".repeat(256))), Some(IdTokenProblem::Subject));
    assert_eq!(problem(|claims| claims["sid"] = json!(7)), bad(BadToken::Claims));
}

#[test]
fn trap_31_times_beyond_all_calendars_are_none() {
    for odd in [json!(1e300), json!(-1), json!(u64::MAX), json!("1795773600"), json!(null)] {
        for name in ["exp", "iat"] {
            assert_eq!(problem(|claims| claims[name] = odd.clone()), bad(BadToken::Claims), "{name} {odd}");
        }
        let token = verified(|claims| claims["auth_time"] = odd.clone(), &EXPECTED).unwrap();
        assert_eq!(token.auth_time, None, "{odd}");
    }
    // Beyond 32 bits.
    let token = verified(|claims| claims["exp"] = json!(5_000_000_000_i64), &EXPECTED).unwrap();
    assert_eq!(token.expires_at, 5_000_000_000);
    let ahead = verified(|claims| claims["auth_time"] = json!(now() + 3_600), &EXPECTED).unwrap();
    assert_eq!(ahead.auth_time, None, "a sign-in of the future proves nothing");
}

#[test]
fn at_hash_is_that_of_the_access_token_by_the_hash_of_the_algorithm() {
    let access_token = "an-access-token";
    let half = |algorithm, of: usize| b64(&digest(algorithm, access_token.as_bytes()).as_ref()[..of]);
    let expected = ExpectedIdToken { access_token: Some(access_token), ..EXPECTED };
    let signed = |key: &super::super::fixtures::TestKey, header: &str, hash: Value| {
        let text = key.sign(header, &id_claims(|claims| claims["at_hash"] = hash));
        verifier().verify_id_token(&text, &expected, now()).err()
    };
    let (short, long) = (half(&SHA256, 16), half(&SHA512, 32));
    assert_eq!(signed(&RSA, HEADER, json!(short)), None);
    assert_eq!(signed(&EC, r#"{"alg":"ES256","kid":"ec"}"#, json!(short)), None);
    assert_eq!(signed(&ED, r#"{"alg":"EdDSA","kid":"ed"}"#, json!(long)), None);
    for wrong in [json!(long), json!(half(&SHA256, 15)), json!(""), json!(null), json!(1)] {
        assert_eq!(signed(&RSA, HEADER, wrong.clone()), Some(IdTokenProblem::AccessTokenHash), "{wrong}");
    }
    assert_eq!(verified(|_| {}, &expected).err(), None, "it is optional");
}

#[test]
fn an_access_token_or_a_logout_token_is_no_id_token() {
    for kind in ["at+jwt", "application/at+jwt", "logout+jwt", "dpop+jwt", ""] {
        let header = json!({"alg": "RS256", "kid": "rsa", "typ": kind}).to_string();
        let text = RSA.sign(&header, &id_claims(|_| {}));
        let found = verifier().verify_id_token(&text, &EXPECTED, now()).err();
        assert_eq!(found, bad(BadToken::Header), "{kind}");
    }
    for header in [r#"{"alg":"RS256","kid":"rsa"}"#, r#"{"alg":"RS256","kid":"rsa","typ":"application/JWT"}"#]
    {
        let text = RSA.sign(header, &id_claims(|_| {}));
        assert!(verifier().verify_id_token(&text, &EXPECTED, now()).is_ok(), "{header}");
    }
}

#[test]
fn an_id_token_of_another_issuer_or_of_no_key_is_none() {
    let elsewhere = ExpectedIdToken { issuer: 1, ..EXPECTED };
    assert_eq!(verified(|_| {}, &elsewhere).err(), bad(BadToken::Issuer));
    let forged = EC.sign(HEADER, &id_claims(|_| {}));
    let found = verifier().verify_id_token(&forged, &EXPECTED, now()).err();
    assert!(matches!(found, Some(IdTokenProblem::Token(_))), "{found:?}");
}

#[test]
fn userinfo_adds_what_the_token_does_not_say_and_only_of_the_same_user() {
    let mut settings = issuer("main", ISSUER, unused_source());
    settings.claims.extra.push("department".into());
    let (verifier, _store) = verifier_with(&settings);
    let with = |userinfo: &str| {
        let text = RSA.sign(HEADER, &id_claims(|claims| claims["groups"] = json!(["of-token"])));
        let token = verifier.verify_id_token(&text, &EXPECTED, now()).unwrap();
        verifier.with_userinfo(token, userinfo.as_bytes(), now())
    };
    let said = r#"{"sub":"anna","department":"sales","groups":["x"],"auth_time":1,"acr":"gold","amr":["mfa"],"picture":"p"}"#;
    let claims = with(said).unwrap().claims;
    assert_eq!(claims.get("department"), Some(&json!("sales")));
    assert_eq!(claims.get("groups"), Some(&json!(["of-token"])), "the token goes first");
    assert_eq!(claims.get("auth_time"), Some(&json!(now() - 30)), "the sign-in is the token's to say");
    assert_eq!((claims.get("acr"), claims.get("amr"), claims.get("picture")), (None, None, None));
    for other in [r#"{"sub":"bob"}"#, r#"{"sub":["anna"]}"#, "{}"] {
        assert_eq!(with(other).err(), Some(IdTokenProblem::UserinfoSubject), "{other}");
    }
    for odd in ["[]", "", r#"{"sub":"anna","sub":"anna"}"#] {
        assert_eq!(with(odd).err(), Some(IdTokenProblem::Userinfo), "{odd}");
    }
}
