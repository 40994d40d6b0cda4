//! The semantics, sentence by sentence, through the crate's public names.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::time::Duration;

use portcullis_policy::decision::{Generation, PolicyResult, ReasonCode, Refused};
use portcullis_policy::model::*;
use portcullis_policy::remedy::{self, Remedy};
use portcullis_policy::rule::Rule;
use portcullis_policy::signals::*;
use portcullis_policy::{CompiledPolicies, Outcome, PolicySet, Signals};

const NOW: i64 = 1_800_000_000;

fn policy(id: &str, grant: Grant) -> Policy {
    Policy {
        id: PolicyId::new(id).unwrap(),
        name: id.to_owned(),
        state: PolicyState::Enabled,
        subjects: Subjects::Users(Users { include: vec![UserSelector::All], exclude: vec![] }),
        targets: Targets::Apps(Apps { include: vec![AppSelector::All], ..Apps::default() }),
        conditions: Conditions::default(),
        grant,
        session: SessionControls::default(),
    }
}

fn require(operator: Operator, controls: &[Control]) -> Grant {
    Grant::Require { operator, controls: controls.to_vec() }
}

fn set(policies: Vec<Policy>) -> PolicySet {
    let location = |name: &str, network: &str, trusted| NamedLocation {
        name: name.to_owned(),
        place: Place::Networks { networks: vec![network.parse().unwrap()], trusted },
    };
    PolicySet {
        apps: vec![App {
            id: "wiki".into(),
            groups: vec![],
            attributes: vec![],
            assigned: None,
            unmatched: Unmatched::Deny,
        }],
        locations: vec![
            location("office", "203.0.113.0/24", true),
            location("branch", "2001:db8::/32", false),
            NamedLocation {
                name: "home-countries".into(),
                place: Place::Countries {
                    countries: vec![CountryCode::new("DE").unwrap()],
                    include_unknown: false,
                },
            },
        ],
        policies,
        ..PolicySet::default()
    }
}

fn alice() -> Principal {
    Principal {
        identity: Identity::User { id: "alice".into(), guest: None, home_tenant: None },
        groups: Fact::Known(vec!["engineering".into()]),
        roles: Fact::Unknown,
        sign_in: SignIn { auth_time: Some(NOW - 600), ..SignIn::default() },
        claims: vec![],
    }
}

fn decide(set: PolicySet, principal: &Principal, context: ClientContext<'_>) -> portcullis_policy::Decision {
    let compiled = CompiledPolicies::compile(set, Generation(1)).unwrap();
    let scope = compiled.bind(principal);
    compiled.decide(&scope, &signals(principal, &context))
}

fn signals<'r>(principal: &'r Principal, context: &'r ClientContext<'r>) -> Signals<'r> {
    Signals {
        principal,
        target: Target { app: AppIndex(0), context: None },
        action: Action { method: "GET", path: "/" },
        context,
        request_id: RequestId(7),
        now: NOW,
    }
}

/// `None` when let in.
fn refused(set: PolicySet, principal: &Principal, context: ClientContext<'_>) -> Option<Refused> {
    decide(set, principal, context).into_granted().err()
}

fn reason(set: PolicySet, principal: &Principal, context: ClientContext<'_>) -> Option<ReasonCode> {
    refused(set, principal, context).map(|refused| refused.primary)
}

fn at(address: &str) -> ClientContext<'static> {
    ClientContext { address: Fact::Known(address.parse().unwrap()), ..ClientContext::UNKNOWN }
}

fn on(compliant: Option<bool>) -> ClientContext<'static> {
    let device = Device { device_id: Some("d1"), compliant, ..Device::default() };
    ClientContext { device: Fact::Known(device), ..ClientContext::UNKNOWN }
}

fn abroad_is_blocked() -> Policy {
    let mut abroad = policy("abroad", Grant::Block);
    abroad.conditions.locations = Some(Locations {
        include: vec![LocationSelector::All],
        exclude: vec![LocationSelector::AllTrusted, LocationSelector::Named("branch".into())],
    });
    abroad
}

fn ask_nothing() -> Policy {
    let mut open = policy("open", Grant::SessionOnly);
    open.session.persistent_browser = Some(Persistence::Always);
    open
}

#[test]
fn without_a_policy_that_applies_the_app_decides_and_refuses_by_default() {
    assert_eq!(reason(set(vec![]), &alice(), at("192.0.2.1")), Some(ReasonCode::NoPolicy));
    let mut open = set(vec![]);
    open.apps[0].unmatched = Unmatched::Allow;
    assert_eq!(reason(open, &alice(), at("192.0.2.1")), None);
}

#[test]
fn an_exclude_always_wins_over_an_include() {
    let policies = || set(vec![abroad_is_blocked(), ask_nothing()]);
    assert_eq!(reason(policies(), &alice(), at("192.0.2.1")), Some(ReasonCode::BlockedByLocation));
    for inside in ["203.0.113.9", "2001:db8::1", "::ffff:203.0.113.9"] {
        assert_eq!(reason(policies(), &alice(), at(inside)), None, "{inside}");
    }
    let mut spared = abroad_is_blocked();
    spared.subjects = Subjects::Users(Users {
        include: vec![UserSelector::User("ALICE".into())],
        exclude: vec![UserSelector::Group("Engineering".into())],
    });
    assert_eq!(reason(set(vec![spared, ask_nothing()]), &alice(), at("192.0.2.1")), None);
}

#[test]
fn an_unavailable_fact_refuses_more_and_says_that_it_is_temporary() {
    let nowhere = ClientContext { address: Fact::Unavailable, ..ClientContext::UNKNOWN };
    let found = refused(set(vec![abroad_is_blocked(), ask_nothing()]), &alice(), nowhere).unwrap();
    assert!(found.temporary);
    // With a certain refusal beside it, waiting would not help.
    let found =
        refused(set(vec![abroad_is_blocked(), policy("all", Grant::Block)]), &alice(), nowhere).unwrap();
    assert!(!found.temporary);
    // Groups that a token could not carry do not exclude.
    let mut spared = policy("spared", Grant::Block);
    spared.subjects = Subjects::Users(Users {
        include: vec![UserSelector::All],
        exclude: vec![UserSelector::Group("engineering".into())],
    });
    let mut overage = alice();
    overage.groups = Fact::Unavailable;
    assert!(refused(set(vec![spared, ask_nothing()]), &overage, at("192.0.2.1")).unwrap().temporary);
}

#[test]
fn an_unreadable_inventory_keeps_a_compliance_demand_in_force() {
    let demand = || set(vec![policy("device", require(Operator::And, &[Control::CompliantDevice]))]);
    let unreadable = ClientContext { device: Fact::Unavailable, ..ClientContext::UNKNOWN };
    assert!(refused(demand(), &alice(), unreadable).unwrap().temporary);
    assert_eq!(reason(demand(), &alice(), on(Some(true))), None);
    assert_eq!(reason(demand(), &alice(), on(Some(false))), Some(ReasonCode::DeviceNotCompliant));
    assert_eq!(reason(demand(), &alice(), on(None)), Some(ReasonCode::DeviceNotCompliant));
    assert_eq!(reason(demand(), &alice(), ClientContext::UNKNOWN), Some(ReasonCode::DeviceUnknown));
}

#[test]
fn a_state_that_is_not_met_refuses_before_anything_is_asked_of_the_user() {
    let both = require(Operator::And, &[Control::Mfa, Control::CompliantDevice]);
    let decision = decide(set(vec![policy("both", both)]), &alice(), on(Some(false)));
    let Outcome::Deny(refused) = decision.outcome else { panic!("{decision:?}") };
    assert_eq!(refused.primary, ReasonCode::DeviceNotCompliant);
    assert!(refused.reasons.contains(ReasonCode::MfaRequired));
}

#[test]
fn one_performable_alternative_makes_it_a_challenge() {
    let either = require(Operator::Or, &[Control::Mfa, Control::CompliantDevice]);
    let decision = decide(set(vec![policy("either", either.clone())]), &alice(), on(Some(false)));
    assert!(matches!(decision.outcome, Outcome::Challenge(_)), "{decision:?}");
    assert_eq!(reason(set(vec![policy("either", either.clone())]), &alice(), on(Some(true))), None);
    let mut strong = alice();
    strong.sign_in.methods = vec!["pwd".into(), "MFA".into()];
    assert_eq!(reason(set(vec![policy("either", either)]), &strong, on(Some(false))), None);
}

#[test]
fn policies_are_anded_among_themselves_in_any_order() {
    let mfa = policy("mfa", require(Operator::And, &[Control::Mfa]));
    let device = policy("device", require(Operator::And, &[Control::CompliantDevice]));
    for order in [vec![mfa.clone(), device.clone()], vec![device.clone(), mfa.clone()]] {
        assert_eq!(reason(set(order), &alice(), on(Some(true))), Some(ReasonCode::MfaRequired));
    }
    let blocked = set(vec![mfa, policy("stop", Grant::Block), device]);
    let decision = decide(blocked, &alice(), on(Some(true)));
    assert!(matches!(decision.outcome, Outcome::Block(_)));
}

#[test]
fn report_only_never_changes_the_outcome_and_is_recorded_in_entras_words() {
    let mut watched = policy("watched", Grant::Block);
    watched.state = PolicyState::ReportOnly;
    let mut off = policy("off", Grant::Block);
    off.state = PolicyState::Disabled;
    let decision = decide(set(vec![watched, off, ask_nothing()]), &alice(), at("192.0.2.1"));
    let results: Vec<_> = decision.applied.iter().map(|(_, result)| result).collect();
    assert_eq!(results, [PolicyResult::ReportOnlyFailure, PolicyResult::Success]);
    assert!(decision.into_granted().is_ok());
}

#[test]
fn a_sign_in_frequency_is_measured_from_auth_time_and_never_met_without_it() {
    let hourly = || {
        let mut hourly = policy("hourly", Grant::SessionOnly);
        hourly.session.sign_in_frequency = Some(SignInFrequency::Every(Duration::from_secs(3_600)));
        set(vec![hourly])
    };
    let signed_in = |auth_time| {
        let mut person = alice();
        person.sign_in.auth_time = auth_time;
        reason(hourly(), &person, at("192.0.2.1"))
    };
    assert_eq!(signed_in(Some(NOW - 3_600)), None);
    assert_eq!(signed_in(Some(NOW - 3_601)), Some(ReasonCode::SignInTooOld));
    assert_eq!(signed_in(None), Some(ReasonCode::SignInTooOld));
    assert_eq!(signed_in(Some(NOW + 3_600)), Some(ReasonCode::SignInTooOld), "from the future");
    let permit = decide(hourly(), &alice(), at("192.0.2.1")).into_granted().unwrap();
    assert_eq!(permit.session().sign_in_until, Some(NOW - 600 + 3_600));
}

#[test]
fn a_workload_is_never_matched_by_all_users() {
    let mut program = alice();
    program.identity = Identity::Workload { id: "backup".into() };
    assert_eq!(
        reason(set(vec![policy("all", Grant::Block)]), &program, at("192.0.2.1")),
        Some(ReasonCode::NoPolicy)
    );
    let mut workloads = policy("workloads", Grant::Block);
    workloads.subjects =
        Subjects::Workloads(Workloads { include: vec![WorkloadSelector::All], exclude: vec![] });
    assert_eq!(reason(set(vec![workloads]), &program, at("192.0.2.1")), Some(ReasonCode::Blocked));
}

#[test]
fn somebody_who_is_not_assigned_is_told_that_and_nothing_else() {
    let mut assigned = set(vec![policy("stop", Grant::Block)]);
    assigned.apps[0].assigned = Some(vec![UserSelector::Group("sales".into())]);
    let found = refused(assigned, &alice(), at("192.0.2.1")).unwrap();
    assert_eq!(found.primary, ReasonCode::NotAssigned);
    assert_eq!(found.reasons.iter().count(), 1);
}

#[test]
fn a_scope_of_another_load_is_never_used() {
    let old = CompiledPolicies::compile(set(vec![ask_nothing()]), Generation(1)).unwrap();
    let new = CompiledPolicies::compile(set(vec![ask_nothing()]), Generation(2)).unwrap();
    let (person, context) = (alice(), at("203.0.113.9"));
    let scope = old.bind(&person);
    assert!(old.decide(&scope, &signals(&person, &context)).into_granted().is_ok());
    assert!(new.decide(&scope, &signals(&person, &context)).into_granted().unwrap_err().temporary);
}

#[test]
fn a_reference_to_nothing_is_refused_at_load() {
    let mut lost = abroad_is_blocked();
    lost.conditions.locations.as_mut().unwrap().exclude.push(LocationSelector::Named("nowhere".into()));
    let errors = CompiledPolicies::compile(set(vec![lost]), Generation(1)).unwrap_err();
    assert_eq!(errors[0].to_string(), "policy `abroad`: no named location `nowhere`");
    let twice = set(vec![ask_nothing(), ask_nothing()]);
    assert!(CompiledPolicies::compile(twice, Generation(1)).is_err());
}

#[test]
fn weekly_windows_follow_the_wall_clock_of_their_zone() {
    let berlin = TimeZone {
        name: "Europe/Berlin".into(),
        first_offset_secs: 3_600,
        transitions: vec![Transition { at: 1_774_746_000, offset_secs: 7_200 }],
    };
    let mut hours = ask_nothing();
    // Monday 08:00 to 18:00.
    let windows = vec![WeekWindow { start_minute: 480, end_minute: 1_080 }];
    hours.conditions.time = Some(TimeCondition { zone: berlin, windows, from: None, until: None });
    let compiled = CompiledPolicies::compile(set(vec![hours]), Generation(1)).unwrap();
    let (person, context) = (alice(), at("203.0.113.9"));
    let scope = compiled.bind(&person);
    let open =
        |now| compiled.decide(&scope, &Signals { now, ..signals(&person, &context) }).into_granted().is_ok();
    assert!(!open(1_768_805_999), "Monday 2026-01-19 07:59:59 in winter time");
    assert!(open(1_768_806_000), "Monday 2026-01-19 08:00:00 in winter time");
    assert!(open(1_784_527_200), "Monday 2026-07-20 08:00:00 in summer time");
    assert!(!open(1_784_527_199), "Monday 2026-07-20 07:59:59 in summer time");
}

#[test]
fn only_what_would_really_be_let_in_is_suggested() {
    let find = |policies: Vec<Policy>, context: ClientContext<'_>| {
        let compiled = CompiledPolicies::compile(set(policies), Generation(1)).unwrap();
        let person = alice();
        let scope = compiled.bind(&person);
        remedy::find(&compiled, &scope, &signals(&person, &context)).ways
    };
    let abroad = || vec![abroad_is_blocked(), ask_nothing()];
    assert_eq!(find(abroad(), at("192.0.2.1")), [vec![Remedy::OtherNetwork]]);
    let device = policy("device", require(Operator::And, &[Control::CompliantDevice]));
    let both = find([abroad(), vec![device]].concat(), ClientContext { ..at("192.0.2.1") });
    assert_eq!(both, [vec![Remedy::OtherNetwork, Remedy::CompliantDevice]]);
    assert!(find(vec![policy("stop", Grant::Block)], at("192.0.2.1")).is_empty());
}

/// Entra's behaviour table for device filters.
#[test]
fn a_null_attribute_fails_positive_operators_and_passes_negative_ones() {
    let check = |rule: &str, device: Option<bool>, expected: bool| {
        let mut filtered = policy("filtered", Grant::Block);
        let rule = Rule::parse(rule).unwrap();
        let source = rule.source().to_owned();
        filtered.conditions.device = Some(DeviceFilter { mode: FilterMode::Include, rule });
        let context = device.map_or(ClientContext::UNKNOWN, |compliant| on(Some(compliant)));
        let found = reason(set(vec![filtered, ask_nothing()]), &alice(), context);
        assert_eq!(found == Some(ReasonCode::BlockedByDevice), expected, "{source} on {device:?}");
    };
    for positive in [
        r#"device.isCompliant -eq "False""#,
        r#"device.model -startsWith "S""#,
        r#"device.model -endsWith "e""#,
        r#"device.model -contains "urf""#,
        r#"device.trustType -in ["AzureAD"]"#,
        r#"device.physicalIds -contains "x""#,
        "device.deviceId -ne null",
    ] {
        check(positive, None, false);
    }
    for negative in [
        r#"device.isCompliant -ne "True""#,
        r#"device.model -notStartsWith "S""#,
        r#"device.model -notEndsWith "e""#,
        r#"device.model -notContains "urf""#,
        r#"device.trustType -notIn ["AzureAD"]"#,
        "device.deviceId -eq null",
        r#"-not (device.model -eq "a")"#,
    ] {
        check(negative, None, true);
    }
    check("device.isCompliant -eq true", Some(true), true);
    check("DEVICE.ISCOMPLIANT == \"TRUE\" and not (device.deviceId ne 'D1')", Some(true), true);
    check("device.isCompliant -eq True", Some(false), false);
    check(r#"device.isCompliant -ne "True""#, Some(true), false);
}

#[test]
fn a_broken_rule_says_where_and_how_to_mend_it() {
    for (rule, offset, what) in [
        ("", 0, "the rule ends where an attribute such as `device.isCompliant` is expected"),
        ("device.colour -eq \"red\"", 0, "no attribute `device.colour`"),
        ("device.model -is \"x\"", 13, "`is` is no operator"),
        ("device.model -eq \"x", 17, "the text does not end"),
        ("device.model -in \"x\"", 17, "`-in` wants a list"),
        ("(device.model -eq \"x\"", 21, "the rule ends where `)` is expected"),
        ("device.model -eq \"x\" device.model", 21, "the rule should end here"),
    ] {
        let error = Rule::parse(rule).unwrap_err();
        assert_eq!((error.offset, error.what.as_str()), (offset, what), "{rule}");
        assert!(!error.help.is_empty());
    }
    let deep = format!("{}device.model -eq 1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(Rule::parse(&deep).is_err());
}
