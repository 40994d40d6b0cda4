//! The challenges of a 401.

use portcullis_config::settings::Disclosure;
use portcullis_policy::PolicySet;
use portcullis_policy::decision::{PolicyIndex, PolicyResult, ReasonCode, ReasonSet, Refused};
use portcullis_policy::model::{
    AuthenticationStrength, Control, Evidence, Grant, Operator, Policy, SessionControls, Targets,
};
use serde_json::Value;

use super::{
    BLOCKED, SCRIPT, branding, config, denials, every_refusal, facts, header, policy, refused, render,
    step_up_policies,
};
use crate::decision_record::DecisionRecord;
use crate::denial::{Denials, Facts};
use crate::refusal::{BadToken, Refusal, Subcode};

fn challenge(denials: &Denials, refusal: Refusal, facts: &Facts<'_>) -> Option<String> {
    let answer = render(denials, &refusal, facts, &SCRIPT, Disclosure::Standard);
    header(&answer, "www-authenticate").map(str::to_owned)
}

#[test]
fn challenges_are_those_of_rfc_6750_and_rfc_9470() {
    let denials = Denials::new(&config(branding(), step_up_policies()), 1);
    let of = |refusal, asking: &[u32]| {
        let applied: Vec<_> = asking.iter().map(|at| (PolicyIndex(*at), PolicyResult::Interrupted)).collect();
        challenge(&denials, refusal, &Facts { applied: &applied, ..facts() }).unwrap()
    };
    assert_eq!(of(Refusal::NoToken, &[]), "Bearer");
    assert_eq!(of(Refusal::BadToken(BadToken::Audience), &[]), "Bearer error=\"invalid_token\"");
    assert_eq!(
        of(Refusal::BadToken(BadToken::Expired), &[]),
        "Bearer error=\"invalid_token\", error_description=\"The access token expired\""
    );
    let step = "Bearer error=\"insufficient_user_authentication\"";
    let strength = refused(ReasonCode::StrengthRequired);
    assert_eq!(of(strength, &[0]), format!("{step}, acr_values=\"phr phrh\""));
    assert_eq!(of(strength, &[0, 1]), format!("{step}, acr_values=\"phrh\""), "one that satisfies both");
    assert_eq!(of(refused(ReasonCode::MfaRequired), &[2]), format!("{step}, acr_values=\"mfa phr\""));
    assert_eq!(of(refused(ReasonCode::SignInTooOld), &[1, 2]), format!("{step}, max_age=\"600\""));
    assert_eq!(of(refused(ReasonCode::SignInTooOld), &[]), format!("{step}, max_age=\"0\""));
    for refusal in every_refusal() {
        let asked = challenge(&denials, refusal, &facts());
        assert_eq!(asked.is_some(), refusal.info().status == 401, "{refusal:?}");
    }
}

/// The claims that a challenge of Microsoft's asks for.
fn asked_claims(challenge: &str) -> Value {
    use base64::Engine as _;
    let text = challenge.split_once("claims=\"").unwrap().1.trim_end_matches('"');
    let json = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    serde_json::from_slice::<Value>(&json).unwrap()["access_token"].clone()
}

#[test]
fn a_client_that_follows_claims_challenges_gets_one_and_no_other_client_does() {
    let denials = denials();
    let mut record = DecisionRecord { context: Some("c1".into()), ..DecisionRecord::default() };
    let tenant = "11111111-2222-3333-4444-555555555555";
    let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let of = |record: &DecisionRecord, issuer: &str, follows: bool| {
        let facts = Facts {
            record: Some(record),
            issuer: Some(issuer),
            follows_claims_challenges: follows,
            ..facts()
        };
        challenge(&denials, refused(ReasonCode::MfaRequired), &facts).unwrap()
    };
    // base64 of {"access_token":{"acrs":{"essential":true,"value":"c1"}}}
    assert_eq!(
        of(&record, &issuer, true),
        format!(
            "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize\", \
             error=\"insufficient_claims\", \
             claims=\"eyJhY2Nlc3NfdG9rZW4iOnsiYWNycyI6eyJlc3NlbnRpYWwiOnRydWUsInZhbHVlIjoiYzEifX19\""
        )
    );
    record.context = None;
    let by_time = of(&record, "https://id.example/", true);
    assert!(by_time.starts_with("Bearer realm=\"\", error=\"insufficient_claims\", claims=\""), "{by_time}");
    assert!(of(&record, &issuer, false).contains("insufficient_user_authentication"));
    let facts = Facts { record: Some(&record), follows_claims_challenges: true, ..facts() };
    assert_eq!(challenge(&denials, BLOCKED, &facts), None, "a block is never a challenge");
    assert_eq!(challenge(&denials, refused(ReasonCode::NotProvable), &facts), None, "nor what cannot come");
}

#[test]
fn a_challenge_asks_for_a_context_that_proves_what_is_missing_and_never_for_one_that_is_held() {
    let context = |name: &str| portcullis_policy::model::AuthenticationContext::new(name).unwrap();
    let require = |control: Control| Grant::Require { operator: Operator::And, controls: vec![control] };
    let of_route = Policy {
        targets: Targets::Contexts(vec![context("c5"), context("c6")]).into(),
        ..policy("of-route", require(Control::CompliantDevice), SessionControls::default())
    };
    let set = PolicySet {
        strengths: vec![AuthenticationStrength {
            name: "strong".into(),
            combinations: Vec::new(),
            acrs: Vec::new(),
            contexts: vec![context("c2"), context("c3")],
        }],
        evidence: Evidence { mfa_contexts: vec![context("c1"), context("c3")], ..Evidence::default() },
        policies: vec![
            policy("mfa", require(Control::Mfa), SessionControls::default()),
            policy("strong", require(Control::Strength("strong".into())), SessionControls::default()),
            of_route,
        ],
        ..PolicySet::default()
    };
    let denials = Denials::new(&config(branding(), set), 1);
    let of = |reasons: &[ReasonCode], asking: &[u32], asked: Option<&str>, held: &[&str], follows: bool| {
        let reasons_set = reasons.iter().fold(ReasonSet::EMPTY, |all, reason| all.with(*reason));
        let refused = Refused { primary: reasons[0], reasons: reasons_set, temporary: false };
        let applied: Vec<_> = asking.iter().map(|at| (PolicyIndex(*at), PolicyResult::Interrupted)).collect();
        let record = DecisionRecord {
            context: asked.map(str::to_owned),
            contexts: held.iter().map(|name| (*name).to_owned()).collect(),
            ..DecisionRecord::default()
        };
        let facts =
            Facts { record: Some(&record), applied: &applied, follows_claims_challenges: follows, ..facts() };
        challenge(&denials, Refusal::Policy(refused, Subcode::None), &facts).unwrap()
    };
    let claims = |reasons: &[ReasonCode], asking: &[u32], asked: Option<&str>, held: &[&str]| {
        asked_claims(&of(reasons, asking, asked, held, true))
    };
    let acrs = |name: &str| serde_json::json!({ "acrs": { "essential": true, "value": name } });
    let (mfa, strength, old) =
        (ReasonCode::MfaRequired, ReasonCode::StrengthRequired, ReasonCode::SignInTooOld);
    assert_eq!(claims(&[mfa], &[0], None, &[]), acrs("c1"), "no route asks for it");
    assert_eq!(claims(&[mfa, strength], &[0, 1], None, &[]), acrs("c3"), "one that proves both");
    assert_eq!(claims(&[strength], &[2], Some("c6"), &["c5"]), acrs("c6"), "the one of the route");
    assert_eq!(claims(&[mfa], &[0], Some("c5"), &["c5"]), acrs("c1"), "not the one that is held");
    let both = claims(&[mfa, old], &[0], None, &[]);
    assert_eq!(both["acrs"], acrs("c1")["acrs"]);
    assert!(both["nbf"]["essential"].as_bool().unwrap(), "{both}");
    let fresh = claims(&[old], &[2], Some("c5"), &["c5"]);
    assert!(fresh.get("acrs").is_none() && fresh.get("nbf").is_some(), "{fresh}");
    let plain = of(&[mfa, strength], &[0, 1], None, &[], false);
    assert_eq!(plain, "Bearer error=\"insufficient_user_authentication\", acr_values=\"c3\"");
}

#[test]
fn a_challenge_asks_for_nothing_that_the_token_holds_beside_what_is_missing() {
    use portcullis_policy::model::AuthenticationContext;

    let context = |name: &str| AuthenticationContext::new(name).unwrap();
    let strength = |name: &str, acr: &str, contexts: &[&str]| AuthenticationStrength {
        name: name.into(),
        combinations: Vec::new(),
        acrs: vec![acr.to_owned()],
        contexts: contexts.iter().map(|name| context(name)).collect(),
    };
    let controls =
        |names: &[&str]| names.iter().map(|name| Control::Strength((*name).into())).collect::<Vec<_>>();
    let require = |names: &[&str]| Grant::Require { operator: Operator::And, controls: controls(names) };
    let set = PolicySet {
        strengths: vec![
            strength("key", "gold", &["c2"]),
            strength("card", "silver", &["c3"]),
            strength("plain", "iron", &[]),
        ],
        policies: vec![
            policy("both", require(&["key", "card"]), SessionControls::default()),
            policy("key", require(&["key"]), SessionControls::default()),
            policy("card", require(&["card"]), SessionControls::default()),
            policy("plain", require(&["plain"]), SessionControls::default()),
        ],
        ..PolicySet::default()
    };
    let denials = Denials::new(&config(branding(), set), 1);
    let asked = |applied: &[(u32, PolicyResult)], acr: Option<&str>, held: &[&str], follows: bool| {
        let reasons = ReasonSet::EMPTY.with(ReasonCode::StrengthRequired);
        let refused = Refused { primary: ReasonCode::StrengthRequired, reasons, temporary: false };
        let applied: Vec<_> = applied.iter().map(|(at, result)| (PolicyIndex(*at), *result)).collect();
        let contexts = held.iter().map(|name| (*name).to_owned()).collect();
        let record = DecisionRecord { acr: acr.map(str::to_owned), contexts, ..DecisionRecord::default() };
        let facts =
            Facts { record: Some(&record), applied: &applied, follows_claims_challenges: follows, ..facts() };
        challenge(&denials, Refusal::Policy(refused, Subcode::None), &facts).unwrap()
    };
    let values = |text: &str| {
        text.split("acr_values=\"").nth(1).map(|rest| rest.split('"').next().unwrap_or_default().to_owned())
    };
    let unmet = PolicyResult::Interrupted;
    let plain =
        |applied: &[(u32, PolicyResult)], acr, held: &[&str]| values(&asked(applied, acr, held, false));
    let claims =
        |held: &[&str]| asked_claims(&asked(&[(0, unmet)], None, held, true))["acrs"]["value"].clone();
    // One of two strengths is proven already, by a context or by the class.
    assert_eq!(claims(&["c2"]), "c3");
    assert_eq!(claims(&["c3"]), "c2");
    assert_eq!(plain(&[(0, unmet)], None, &["c2"]).unwrap(), "silver");
    // The next class would replace the one that proves the other strength; a context comes beside it.
    assert_eq!(plain(&[(0, unmet)], Some("gold"), &[]).unwrap(), "c3");
    assert_eq!(plain(&[(1, PolicyResult::Success), (2, unmet)], Some("gold"), &[]).unwrap(), "c3");
    assert_eq!(plain(&[(0, unmet)], None, &[]).unwrap(), "c2", "no class proves both");
    // Where nothing but a class proves it, the class is asked for.
    assert_eq!(plain(&[(1, PolicyResult::Success), (3, unmet)], Some("gold"), &[]).unwrap(), "iron");
}
