//! Logout tokens that are accepted, and what each rule refuses.

use serde_json::{Value, json};

use super::super::fixtures::{HEADER, ISSUER, RSA, claims, now, verifier};
use super::super::verify::TokenProblem;
use super::{EVENT, IdTokenProblem, LOGOUT_TOKEN_LIFE_SECS, LogoutToken};
use crate::refusal::BadToken;

const CLIENT: &str = "portcullis";
const KIND: &str = r#"{"alg":"RS256","typ":"logout+jwt","kid":"rsa"}"#;

fn logout_claims(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = json!({
        "iss": ISSUER, "aud": CLIENT, "iat": now(), "exp": now() + 120, "jti": "j-1",
        "sub": "anna", "sid": "s-1", "events": { EVENT: {} },
    });
    change(&mut claims);
    claims.to_string()
}

fn verified_as(header: &str, payload: &str) -> Result<LogoutToken, IdTokenProblem> {
    verifier().0.verify_logout_token(&RSA.sign(header, payload), (0, CLIENT), now())
}

fn problem(change: impl FnOnce(&mut Value)) -> Option<IdTokenProblem> {
    verified_as(KIND, &logout_claims(change)).err()
}

fn without(name: &'static str) -> Option<IdTokenProblem> {
    problem(|claims| drop(claims.as_object_mut().unwrap().remove(name)))
}

const fn bad(bad: BadToken) -> Option<IdTokenProblem> {
    Some(IdTokenProblem::Token(TokenProblem::Bad(bad)))
}

#[test]
fn a_good_logout_token_names_a_session_or_a_subject() {
    let token = verified_as(KIND, &logout_claims(|_| {})).unwrap();
    assert_eq!(
        (token.sub.as_deref(), token.sid.as_deref(), token.jti.as_str()),
        (Some("anna"), Some("s-1"), "j-1")
    );
    assert_eq!(without("sub"), None);
    assert_eq!(without("sid"), None);
    let neither = |claims: &mut Value| {
        let claims = claims.as_object_mut().unwrap();
        claims.remove("sub");
        claims.remove("sid");
    };
    assert_eq!(problem(neither), Some(IdTokenProblem::NoLogout));
}

#[test]
fn trap_23_a_logout_token_has_an_iat_and_a_jti() {
    assert_eq!(without("iat"), bad(BadToken::Claims));
    assert_eq!(without("jti"), Some(IdTokenProblem::NoLogout));
    for odd in [json!(""), json!(1), json!(null), json!("j".repeat(513))] {
        assert_eq!(problem(|claims| claims["jti"] = odd.clone()), Some(IdTokenProblem::NoLogout), "{odd}");
    }
    assert_eq!(problem(|claims| claims["iat"] = json!(now() + 600)), bad(BadToken::NotYetValid));
}

#[test]
fn trap_27_a_logout_token_is_judged_by_its_own_rules() {
    // An ID token that is signed just as well, whatever it says of its kind.
    let id_token = claims(|claims| {
        claims["aud"] = json!(CLIENT);
        claims["nonce"] = json!("n");
    });
    for header in [HEADER, KIND] {
        assert!(verified_as(header, &id_token.to_string()).is_err(), "{header}");
    }
    assert_eq!(verified_as(HEADER, &logout_claims(|_| {})).err(), bad(BadToken::Header));
    assert_eq!(without("events"), Some(IdTokenProblem::NoLogout));
    for odd in [json!({}), json!({ EVENT: true }), json!([EVENT]), json!({ "other": {} })] {
        assert_eq!(problem(|claims| claims["events"] = odd.clone()), Some(IdTokenProblem::NoLogout), "{odd}");
    }
    for nonce in [json!("n"), json!(null)] {
        assert_eq!(
            problem(|claims| claims["nonce"] = nonce.clone()),
            Some(IdTokenProblem::NoLogout),
            "{nonce}"
        );
    }
}

#[test]
fn a_logout_token_is_for_this_client_of_this_issuer() {
    assert_eq!(problem(|claims| claims["aud"] = json!(["x", CLIENT])), None);
    assert_eq!(problem(|claims| claims["aud"] = json!("x")), Some(IdTokenProblem::Audience));
    let text = RSA.sign(KIND, &logout_claims(|_| {}));
    assert_eq!(verifier().0.verify_logout_token(&text, (1, CLIENT), now()).err(), bad(BadToken::Issuer));
}

#[test]
fn a_logout_token_is_over_when_its_jti_is_forgotten() {
    let old = |claims: &mut Value| {
        claims["iat"] = json!(now() - LOGOUT_TOKEN_LIFE_SECS - 60);
        claims["exp"] = json!(now() + 86_400);
    };
    assert_eq!(problem(old), bad(BadToken::Expired));
    let token = verified_as(KIND, &logout_claims(|claims| claims["exp"] = json!(now() + 86_400))).unwrap();
    assert!(token.expires_at <= now() + LOGOUT_TOKEN_LIFE_SECS + 30);
    assert_eq!(problem(|claims| claims["exp"] = json!(now() - 60)), bad(BadToken::Expired));
    assert_eq!(without("exp"), None, "early providers leave it out");
}
