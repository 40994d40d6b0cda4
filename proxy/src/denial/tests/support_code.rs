//! The code for the help desk.

use portcullis_config::settings::{self, SupportKey};
use portcullis_policy::decision::{PolicyIndex, PolicyResult, ReasonCode};

use super::{BLOCKED, ID, NOW, SCRIPT, branding, config, denials_of, facts, json, refused, step_up_policies};
use crate::decision_record::{ClaimValue, DecisionRecord};
use crate::denial::{Denials, Facts};
use crate::refusal::Refusal;

#[test]
fn a_support_code_is_there_when_there_is_a_key_and_opens_to_the_whole_decision() {
    let record = DecisionRecord {
        app: "payroll".into(),
        user: Some("kari".into()),
        now: 5,
        ..DecisionRecord::default()
    };
    let applied = [(PolicyIndex(0), PolicyResult::Interrupted), (PolicyIndex(1), PolicyResult::Success)];
    let facts = Facts { record: Some(&record), applied: &applied, ..facts() };
    let settings = settings::Denial { support_keys: vec![SupportKey([1; 32])], ..branding() };
    let denials = Denials::new(&config(settings, step_up_policies()), 7);
    let refusal = refused(ReasonCode::StrengthRequired);
    let problem = json(&denials.render(&refusal, &facts, &SCRIPT));
    let opened = denials.open(problem["support"]["code"].as_str().unwrap()).unwrap();
    assert_eq!((opened.request_id, opened.now_unix_ms, opened.generation), (ID, NOW, 7));
    let refusing: Vec<(&str, &str)> = opened.refusing.iter().map(|one| (&*one.id, &*one.result)).collect();
    assert_eq!(refusing, [("secret-one", "interrupted")]);
    assert_eq!((opened.code, &opened.record), (50074, &record));
    assert_eq!(opened.policies_digest, denials.policies_digest());
    assert!(json(&denials.render(&Refusal::NoToken, &facts, &SCRIPT))["support"]["code"].is_null());
    let keyless = Denials::new(&config(branding(), step_up_policies()), 7);
    assert!(json(&keyless.render(&refusal, &facts, &SCRIPT))["support"]["code"].is_null());
    assert_ne!(denials.policies_digest(), denials_of(branding()).policies_digest());
}

#[test]
fn a_case_too_large_for_a_code_is_reduced_rather_than_left_out() {
    let mut record = DecisionRecord { user: Some("kari".into()), ..DecisionRecord::default() };
    record.claims = vec![("claim".into(), ClaimValue::Text("x".repeat(500))); 64];
    let settings = settings::Denial { support_keys: vec![SupportKey([1; 32])], ..branding() };
    let denials = denials_of(settings);
    let problem = json(&denials.render(&BLOCKED, &Facts { record: Some(&record), ..facts() }, &SCRIPT));
    let opened = denials.open(problem["support"]["code"].as_str().unwrap()).unwrap();
    assert!(opened.record.truncated && opened.record.user.as_deref() == Some("kari"));
}
