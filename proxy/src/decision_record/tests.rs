//! What is recorded, and that it asks the same question again.

use portcullis_policy::PolicySet;
use portcullis_policy::model::{
    App, AuthenticationContext, ClientAppType, CountryCode, Flow, GuestKind, Platform, RiskLevel, Unmatched,
    UserSelector,
};
use portcullis_policy::signals::{
    Action, AppIndex, ClientContext, Device, Fact, Identity, IssuerEvidence, Principal, RequestId, SignIn,
    Signals, Standing, Target, Value,
};

use super::{DecisionRecord, NamedIds};
use crate::refusal::Carrier;

fn set() -> PolicySet {
    let assigned = ["g-named", "G-Upper"].map(|id| UserSelector::Group(id.into())).to_vec();
    let app = App {
        id: "payroll".into(),
        groups: Vec::new(),
        attributes: Vec::new(),
        assigned: Some(assigned),
        unmatched: Unmatched::Deny,
        paths: portcullis_policy::path::PathCase::Unknown,
    };
    PolicySet { apps: vec![app], ..PolicySet::default() }
}

fn principal() -> Principal {
    let standing = Standing {
        identity: Identity::User { guest: Some(GuestKind::ServiceProvider), home_tenant: Some("t".into()) },
        groups: Fact::Known(vec!["g-named".into(), "g-secret".into(), "g-upper".into()]),
        roles: Fact::Unavailable,
        sign_in: SignIn {
            methods: vec!["pwd".into(), "mfa".into()],
            acr: Some("gold".into()),
            contexts: vec![AuthenticationContext::new("c7").unwrap()],
            issuer: IssuerEvidence::from_bits(0b11_0000),
            client_id: Some("client".into()),
            flow: Some(Flow::ALL[1]),
            password_changed: Some(6),
            risk_seen: Some(7),
            terms: vec!["terms".into()],
            custom_controls: vec!["control".into()],
        },
        claims: vec![("a".into(), Value::Number(1.5)), ("b".into(), Value::List(vec!["x".into()]))],
    };
    Principal { id: "kari".into(), auth_time: Some(5), standing: standing.into() }
}

#[test]
fn a_record_that_was_written_down_asks_the_same_question_again() {
    let labels = vec!["label".to_owned()];
    let attributes = [(15, "fifteen".to_owned())];
    let device = Device {
        device_id: Some("d"),
        compliant: Some(false),
        trust_type: Some("ServerAD"),
        system_labels: &labels,
        extension_attributes: &attributes,
        ..Device::default()
    };
    let context = ClientContext {
        address: Fact::Known("2001:db8::1".parse().unwrap()),
        country: Fact::Unavailable,
        platform: Fact::Known(Platform::MacOs),
        client_app: Fact::Known(ClientAppType::Browser),
        device: Fact::Known(device),
        sign_in_risk: Fact::Known(RiskLevel::High),
        user_risk: Fact::Unknown,
        insider_risk: Fact::Unavailable,
        service_principal_risk: Fact::Unknown,
    };
    let principal = principal();
    let signals = Signals {
        principal: &principal,
        target: Target { app: AppIndex(0), context: AuthenticationContext::new("c1") },
        action: Action { method: "GET", path: "/x" },
        context: &context,
        request_id: RequestId(1),
        now: 1_000,
    };
    let record = DecisionRecord::of(&signals, "payroll", Carrier::Bearer, &NamedIds::of(&set()));
    let packed: DecisionRecord = postcard::from_bytes(&postcard::to_stdvec(&record).unwrap()).unwrap();
    let written: DecisionRecord = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
    assert_eq!((&packed, &written), (&record, &record));
    let again = record.signals(&set()).unwrap();
    let again_context = again.client_context();
    let asked = again.signals(&again_context);
    assert_eq!((asked.context, asked.target), (signals.context, signals.target));
    // Only groups that a policy or an app names remain.
    let mut named = principal.clone();
    named.standing_mut().groups = Fact::Known(vec!["g-named".into(), "g-upper".into()]);
    assert_eq!(*asked.principal, named);
    assert_eq!((asked.now, asked.action), (signals.now, signals.action));
    assert!(record.signals(&PolicySet::default()).is_none(), "the app is gone");
}

#[test]
fn what_is_too_long_truncated_and_the_record_says_so() {
    let mut principal = principal();
    principal.standing_mut().sign_in.methods = vec!["m".into(); 1_000];
    principal.standing_mut().sign_in.acr = Some("a".repeat(10_000));
    let country = CountryCode::new("NO").unwrap();
    let context = ClientContext { country: Fact::Known(country), ..ClientContext::UNKNOWN };
    let long = "/".repeat(10_000);
    let signals = Signals {
        principal: &principal,
        target: Target { app: AppIndex(0), context: None },
        action: Action { method: "GET", path: &long },
        context: &context,
        request_id: RequestId(1),
        now: 1_000,
    };
    let record = DecisionRecord::of(&signals, "payroll", Carrier::Bearer, &NamedIds::default());
    assert!(record.truncated && record.methods.len() == 64 && record.path.len() <= 512);
    assert!(postcard::to_stdvec(&record).unwrap().len() < 2_048);
    assert_eq!(record.groups.as_deref(), Some(&[][..]), "no policy names a group");
}
