//! The semantics, sentence by sentence, through the crate's public names.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::sync::Arc;
use std::time::Duration;

use portcullis_policy::decision::{Generation, PolicyResult, ReasonCode, ReasonSet, Refused};
use portcullis_policy::model::*;
use portcullis_policy::path::PathCase;
use portcullis_policy::remedy::{self, Candidates, Installation, Remedy, StrongerMethod};
use portcullis_policy::rule::Rule;
use portcullis_policy::signals::*;
use portcullis_policy::{CompiledPolicies, NoObserver, Outcome, PolicySet, Reading, Signals};

const NOW: i64 = 1_800_000_000;

fn policy(id: &str, grant: Grant) -> Policy {
    Policy {
        id: PolicyId::new(id).unwrap(),
        name: id.to_owned(),
        state: PolicyState::Enabled,
        subjects: Subjects::Users(Users { include: vec![UserSelector::All], exclude: vec![] }).into(),
        targets: Targets::Apps(Apps { include: vec![AppSelector::All], ..Apps::default() }).into(),
        conditions: Conditions::default().into(),
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
            paths: PathCase::Unknown,
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
    let groups = Fact::Known(vec!["engineering".into()]);
    let standing = Standing { groups, ..Standing::default() };
    Principal { id: "alice".into(), auth_time: Some(NOW - 600), standing: standing.into() }
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
    Arc::make_mut(&mut abroad.conditions).locations = Some(Locations {
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
    })
    .into();
    assert_eq!(reason(set(vec![spared, ask_nothing()]), &alice(), at("192.0.2.1")), None);
}

#[test]
fn an_unavailable_fact_refuses_more_and_says_that_it_is_temporary() {
    let unlocated = ClientContext { address: Fact::Unavailable, ..ClientContext::UNKNOWN };
    let found = refused(set(vec![abroad_is_blocked(), ask_nothing()]), &alice(), unlocated).unwrap();
    assert!(found.temporary);
    // With a certain refusal beside it, waiting would not help.
    let found =
        refused(set(vec![abroad_is_blocked(), policy("all", Grant::Block)]), &alice(), unlocated).unwrap();
    assert!(!found.temporary);
    // Groups that a token could not carry do not exclude.
    let mut spared = policy("spared", Grant::Block);
    spared.subjects = Subjects::Users(Users {
        include: vec![UserSelector::All],
        exclude: vec![UserSelector::Group("engineering".into())],
    })
    .into();
    let mut overage = alice();
    overage.standing_mut().groups = Fact::Unavailable;
    assert!(refused(set(vec![spared, ask_nothing()]), &overage, at("192.0.2.1")).unwrap().temporary);
}

#[test]
fn a_policy_that_only_may_apply_speaks_for_nobody_though_it_would_be_satisfied() {
    let mut office = policy("office", require(Operator::And, &[Control::Mfa]));
    Arc::make_mut(&mut office.conditions).locations =
        Some(Locations { include: vec![LocationSelector::Named("office".into())], exclude: vec![] });
    let mut alice = alice();
    alice.standing_mut().sign_in.methods = vec!["mfa".into()];
    assert_eq!(reason(set(vec![office.clone()]), &alice, at("203.0.113.9")), None);
    let unlocated = ClientContext { address: Fact::Unavailable, ..ClientContext::UNKNOWN };
    let found = refused(set(vec![office]), &alice, unlocated).unwrap();
    assert_eq!((found.primary, found.temporary), (ReasonCode::NoPolicy, true));
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
    strong.standing_mut().sign_in.methods = vec!["pwd".into(), "MFA".into()];
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
    let results: Vec<_> = decision.applied.iter().map(|(_, result)| *result).collect();
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
        person.auth_time = auth_time;
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
    program.id = "backup".into();
    program.standing_mut().identity = Identity::Workload;
    assert_eq!(
        reason(set(vec![policy("all", Grant::Block)]), &program, at("192.0.2.1")),
        Some(ReasonCode::NoPolicy)
    );
    let mut workloads = policy("workloads", Grant::Block);
    workloads.subjects =
        Subjects::Workloads(Workloads { include: vec![WorkloadSelector::All], exclude: vec![] }).into();
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
    Arc::make_mut(&mut lost.conditions)
        .locations
        .as_mut()
        .unwrap()
        .exclude
        .push(LocationSelector::Named("nowhere".into()));
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
    Arc::make_mut(&mut hours.conditions).time =
        Some(TimeCondition { zone: berlin, windows, from: None, until: None });
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

/// What would let a request in, where every address lies in the country that it came from.
fn remedies(compiled: &CompiledPolicies, signals: &Signals<'_>) -> Vec<Vec<Remedy>> {
    let country_of = |_| signals.context.country;
    let candidates = Candidates::new(compiled, Some(&country_of));
    let installation =
        Installation { candidates: &candidates, tells_sign_in: true, steps_max: remedy::STEPS_MAX };
    let found = remedy::find(compiled, &compiled.bind(signals.principal), signals, &[], &installation);
    found.alternatives.into_iter().map(|one| one.changes).collect()
}

#[test]
fn only_what_would_really_be_let_in_is_suggested() {
    let find = |policies: Vec<Policy>, context: ClientContext<'_>| {
        let compiled = CompiledPolicies::compile(set(policies), Generation(1)).unwrap();
        let person = alice();
        remedies(&compiled, &signals(&person, &context))
    };
    let abroad = || vec![abroad_is_blocked(), ask_nothing()];
    assert_eq!(find(abroad(), at("192.0.2.1")), [vec![Remedy::ApprovedNetwork]]);
    let device = policy("device", require(Operator::And, &[Control::CompliantDevice]));
    let both = find([abroad(), vec![device]].concat(), ClientContext { ..at("192.0.2.1") });
    assert_eq!(both, [vec![Remedy::ApprovedNetwork, Remedy::CompliantDevice]]);
    assert!(find(vec![policy("stop", Grant::Block)], at("192.0.2.1")).is_empty());
}

/// Entra's behaviour table for device filters.
#[test]
fn a_null_attribute_fails_positive_operators_and_passes_negative_ones() {
    let check = |rule: &str, device: Option<bool>, expected: bool| {
        let mut filtered = policy("filtered", Grant::Block);
        let rule = Rule::parse(rule).unwrap();
        let source = rule.source().to_owned();
        Arc::make_mut(&mut filtered.conditions).device =
            Some(DeviceFilter { mode: FilterMode::Include, rule });
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

fn about(include: Vec<UserSelector>, exclude: Vec<UserSelector>) -> Policy {
    let mut block = policy("about", Grant::Block);
    block.subjects = Subjects::Users(Users { include, exclude }).into();
    block
}

#[test]
fn guests_are_matched_by_kind_and_home_tenant_and_everybody_includes_them() {
    let guests = |tenants| {
        let kinds = GuestKinds::EMPTY.with(GuestKind::B2bCollaborationGuest).with(GuestKind::ServiceProvider);
        UserSelector::Guests(Guests { kinds, tenants })
    };
    let any = || guests(Tenants::Any);
    let only = || guests(Tenants::Only(vec!["contoso".into()]));
    let collaborator = Some(GuestKind::B2bCollaborationGuest);
    let internal = Some(GuestKind::InternalGuest);
    for (include, exclude, guest, home, blocked) in [
        (vec![any()], vec![], None, None, false),
        (vec![any()], vec![], collaborator, None, true),
        (vec![any()], vec![], internal, None, false),
        (vec![only()], vec![], collaborator, Some("CONTOSO"), true),
        (vec![only()], vec![], collaborator, Some("fabrikam"), false),
        (vec![only()], vec![], collaborator, None, false),
        (vec![only()], vec![], internal, Some("contoso"), false),
        (vec![UserSelector::All], vec![], collaborator, None, true),
        (vec![UserSelector::All], vec![any()], collaborator, None, false),
        (vec![UserSelector::All], vec![any()], internal, None, true),
        (vec![UserSelector::None], vec![], collaborator, None, false),
    ] {
        let mut person = alice();
        let home_tenant = home.map(str::to_owned);
        person.standing_mut().identity = Identity::User { guest, home_tenant };
        let text = format!("{include:?} but {exclude:?}: {guest:?} of {home:?}");
        let found = reason(set(vec![about(include, exclude), ask_nothing()]), &person, at("192.0.2.1"));
        assert_eq!(found == Some(ReasonCode::Blocked), blocked, "{text}");
    }
}

#[test]
fn groups_and_roles_that_are_not_at_hand_may_include_and_never_exclude() {
    let group = || UserSelector::Group("Engineering".into());
    let role = || UserSelector::Role("admin".into());
    let user = |id: &str| UserSelector::User(id.into());
    // Blocked for certain, blocked until the fact is there, or not blocked.
    for (include, exclude, groups_known, roles_known, blocked) in [
        (vec![group()], vec![], true, true, Some(false)),
        (vec![group()], vec![], false, true, Some(true)),
        (vec![role()], vec![], true, false, Some(true)),
        (vec![role()], vec![], true, true, None),
        (vec![role(), user("ALICE")], vec![], true, false, Some(false)),
        (vec![user("bob")], vec![], false, false, None),
        (vec![UserSelector::All], vec![group()], true, true, None),
        (vec![UserSelector::All], vec![group()], false, true, Some(true)),
        (vec![UserSelector::All], vec![role()], false, true, Some(false)),
        (vec![group()], vec![user("alice")], false, false, None),
    ] {
        let mut person = alice();
        if !groups_known {
            person.standing_mut().groups = Fact::Unavailable;
        }
        if !roles_known {
            person.standing_mut().roles = Fact::Unavailable;
        }
        let text = format!("{include:?} but {exclude:?}, groups {groups_known}, roles {roles_known}");
        let found = refused(set(vec![about(include, exclude), ask_nothing()]), &person, at("192.0.2.1"));
        assert_eq!(found.map(|refused| refused.temporary), blocked, "{text}");
    }
}

#[test]
fn assignment_to_an_app_is_by_user_group_and_role_and_never_for_programs() {
    let open = |selectors: Vec<UserSelector>| {
        let mut open = set(vec![ask_nothing()]);
        open.apps[0].assigned = Some(selectors);
        open
    };
    let group = || vec![UserSelector::Group("ENGINEERING".into())];
    assert_eq!(reason(open(group()), &alice(), at("192.0.2.1")), None);
    assert_eq!(reason(open(vec![]), &alice(), at("192.0.2.1")), Some(ReasonCode::NotAssigned));
    assert_eq!(reason(open(vec![UserSelector::All]), &alice(), at("192.0.2.1")), None);
    let mut overage = alice();
    overage.standing_mut().groups = Fact::Unavailable;
    let found = refused(open(group()), &overage, at("192.0.2.1")).unwrap();
    assert_eq!((found.primary, found.temporary), (ReasonCode::NotAssigned, true));
    let mut program = alice();
    program.id = "backup".into();
    program.standing_mut().identity = Identity::Workload;
    let everybody = open(vec![UserSelector::All]);
    assert_eq!(reason(everybody, &program, at("192.0.2.1")), Some(ReasonCode::NotAssigned));
}

/// Each condition against a fact that matches, one that does not, an unknown and an unavailable one:
/// `Some(temporary)` where the policy blocks.
#[test]
fn each_condition_tells_known_unknown_and_unavailable_apart() {
    let risky = || Some(RiskSet::EMPTY.with(RiskLevel::High));
    let unknown = ClientContext::UNKNOWN;
    let named = |platform| vec![PlatformSelector::Named(platform)];
    let platforms = |include, exclude| Conditions {
        platforms: Some(Platforms { include, exclude }),
        ..Conditions::default()
    };
    let risk = |fact| {
        [
            (
                Conditions { sign_in_risk: risky(), ..Conditions::default() },
                ClientContext { sign_in_risk: fact, ..unknown },
            ),
            (
                Conditions { user_risk: risky(), ..Conditions::default() },
                ClientContext { user_risk: fact, ..unknown },
            ),
            (
                Conditions { insider_risk: risky(), ..Conditions::default() },
                ClientContext { insider_risk: fact, ..unknown },
            ),
            (
                Conditions { service_principal_risk: risky(), ..Conditions::default() },
                ClientContext { service_principal_risk: fact, ..unknown },
            ),
        ]
    };
    let mut cases = Vec::new();
    for (fact, blocked) in [
        (Fact::Known(RiskLevel::High), Some(false)),
        (Fact::Known(RiskLevel::Medium), None),
        (Fact::Unknown, None),
        (Fact::Unavailable, Some(true)),
    ] {
        cases.extend(risk(fact).map(|(conditions, context)| (conditions, context, blocked)));
    }
    let on = |platform| ClientContext { platform, ..unknown };
    for (platform, included, all_but) in [
        (Fact::Known(Platform::Windows), Some(false), None),
        (Fact::Known(Platform::Linux), None, Some(false)),
        (Fact::Unknown, None, Some(false)),
        (Fact::Unavailable, Some(true), Some(true)),
    ] {
        cases.push((platforms(named(Platform::Windows), vec![]), on(platform), included));
        cases.push((platforms(vec![PlatformSelector::All], named(Platform::Windows)), on(platform), all_but));
        cases.push((platforms(vec![PlatformSelector::All], vec![]), on(platform), Some(false)));
    }
    for (client_app, browser, other) in [
        (Fact::Known(ClientAppType::Browser), Some(false), None),
        (Fact::Unknown, None, Some(false)),
        (Fact::Unavailable, Some(true), Some(true)),
    ] {
        let wants =
            |kind| Conditions { client_apps: Some(ClientAppSet::EMPTY.with(kind)), ..Conditions::default() };
        let context = ClientContext { client_app, ..unknown };
        cases.push((wants(ClientAppType::Browser), context, browser));
        cases.push((wants(ClientAppType::Other), context, other));
    }
    for (conditions, context, blocked) in cases {
        let text = format!("{conditions:?} with {context:?}");
        let mut block = policy("block", Grant::Block);
        block.conditions = conditions.into();
        let found = refused(set(vec![block, ask_nothing()]), &alice(), context);
        assert_eq!(found.map(|refused| refused.temporary), blocked, "{text}");
    }
}

#[test]
fn a_country_counts_when_unknown_only_where_the_location_says_so() {
    let mut places = set(vec![]);
    places.locations.push(NamedLocation {
        name: "nowhere-known".into(),
        place: Place::Countries { countries: vec![CountryCode::new("FR").unwrap()], include_unknown: true },
    });
    for (name, country, blocked) in [
        ("home-countries", Fact::Known("DE"), Some(false)),
        ("home-countries", Fact::Known("FR"), None),
        ("home-countries", Fact::Unknown, None),
        ("home-countries", Fact::Unavailable, Some(true)),
        ("nowhere-known", Fact::Known("fr"), Some(false)),
        ("nowhere-known", Fact::Known("ZZ"), None),
        ("nowhere-known", Fact::Unknown, Some(false)),
        ("nowhere-known", Fact::Unavailable, Some(true)),
    ] {
        let mut block = policy("block", Grant::Block);
        let include = vec![LocationSelector::Named(name.into())];
        Arc::make_mut(&mut block.conditions).locations = Some(Locations { include, exclude: vec![] });
        let country = match country {
            Fact::Known(code) => Fact::Known(CountryCode::new(code).unwrap()),
            Fact::Unknown => Fact::Unknown,
            Fact::Unavailable => Fact::Unavailable,
        };
        let policies = PolicySet { policies: vec![block, ask_nothing()], ..places.clone() };
        let found = refused(policies, &alice(), ClientContext { country, ..ClientContext::UNKNOWN });
        assert_eq!(found.map(|refused| refused.temporary), blocked, "{name}, {country:?}");
    }
}

#[test]
fn a_policy_about_a_context_speaks_only_where_that_context_is_asked_for() {
    let context = |text| AuthenticationContext::new(text).unwrap();
    let mut strict = policy("strict", Grant::Block);
    strict.targets = Targets::Contexts(vec![context("c1"), context("c7")]).into();
    let compiled = CompiledPolicies::compile(set(vec![strict, ask_nothing()]), Generation(1)).unwrap();
    let person = alice();
    let scope = compiled.bind(&person);
    for (asked, blocked) in
        [(None, false), (Some("c1"), true), (Some("c7"), true), (Some("c2"), false), (Some("c99"), false)]
    {
        let target = Target { app: AppIndex(0), context: asked.map(context) };
        let signals = Signals { target, ..signals(&person, &ClientContext::UNKNOWN) };
        let found = compiled.decide(&scope, &signals).into_granted().is_err();
        assert_eq!(found, blocked, "{asked:?}");
    }
}

#[test]
fn a_filter_in_mode_exclude_matches_what_its_rule_does_not() {
    for (mode, device, blocked) in [
        (FilterMode::Include, Fact::Known(true), Some(false)),
        (FilterMode::Include, Fact::Known(false), None),
        (FilterMode::Exclude, Fact::Known(true), None),
        (FilterMode::Exclude, Fact::Known(false), Some(false)),
        (FilterMode::Exclude, Fact::Unknown, Some(false)),
        (FilterMode::Include, Fact::Unavailable, Some(true)),
        (FilterMode::Exclude, Fact::Unavailable, Some(true)),
    ] {
        let mut block = policy("block", Grant::Block);
        let rule = Rule::parse("device.isCompliant -eq True").unwrap();
        Arc::make_mut(&mut block.conditions).device = Some(DeviceFilter { mode, rule });
        let context = match device {
            Fact::Known(compliant) => on(Some(compliant)),
            Fact::Unknown => ClientContext::UNKNOWN,
            Fact::Unavailable => ClientContext { device: Fact::Unavailable, ..ClientContext::UNKNOWN },
        };
        let found = refused(set(vec![block, ask_nothing()]), &alice(), context);
        assert_eq!(found.map(|refused| refused.temporary), blocked, "{mode:?}, {device:?}");
    }
}

#[test]
fn a_sign_in_may_lie_a_minute_ahead_and_every_time_forgives_five_behind() {
    for (frequency, auth_time, fresh) in [
        (SignInFrequency::EveryTime, NOW - 300, true),
        (SignInFrequency::EveryTime, NOW - 301, false),
        (SignInFrequency::EveryTime, NOW + 60, true),
        (SignInFrequency::EveryTime, NOW + 61, false),
        (SignInFrequency::Every(Duration::from_secs(3_600)), NOW + 60, true),
        (SignInFrequency::Every(Duration::from_secs(3_600)), NOW + 61, false),
    ] {
        let mut often = policy("often", Grant::SessionOnly);
        often.session.sign_in_frequency = Some(frequency);
        let mut person = alice();
        person.auth_time = Some(auth_time);
        let found = reason(set(vec![often]), &person, at("192.0.2.1"));
        assert_eq!(found, (!fresh).then_some(ReasonCode::SignInTooOld), "{frequency:?}, {}", auth_time - NOW);
    }
}

#[test]
fn apps_are_meant_by_id_group_and_filter_and_excludes_win() {
    let app = |id: &str, group: &str, tier: &str| App {
        id: id.into(),
        groups: vec![group.into()],
        attributes: vec![("tier".into(), Value::Text(tier.into()))],
        assigned: None,
        unmatched: Unmatched::Allow,
        paths: PathCase::Unknown,
    };
    let filter = |mode| Some((mode, Rule::parse("app.tier -eq \"gold\"").unwrap()));
    let (one, group) = (|| AppSelector::App("a".into()), || AppSelector::Group("east".into()));
    // a: east, gold; b: west, gold; c: east, tin
    for (apps, blocked) in [
        (Apps { include: vec![AppSelector::All], ..Apps::default() }, "abc"),
        (Apps { include: vec![one()], ..Apps::default() }, "a"),
        (Apps { include: vec![group()], ..Apps::default() }, "ac"),
        (Apps { include: vec![AppSelector::All], exclude: vec![group()], filter: None }, "b"),
        (Apps { include: vec![AppSelector::All], exclude: vec![AppSelector::All], filter: None }, ""),
        (Apps { include: vec![AppSelector::None], ..Apps::default() }, ""),
        (Apps { filter: filter(FilterMode::Include), ..Apps::default() }, "ab"),
        (Apps { exclude: vec![one()], filter: filter(FilterMode::Include), ..Apps::default() }, "b"),
        (Apps { include: vec![AppSelector::All], exclude: vec![], filter: filter(FilterMode::Exclude) }, "c"),
        (Apps { include: vec![group()], exclude: vec![], filter: filter(FilterMode::Exclude) }, "c"),
    ] {
        let text = format!("{apps:?}");
        let mut block = policy("block", Grant::Block);
        block.targets = Targets::Apps(apps).into();
        let apps = vec![app("a", "east", "gold"), app("b", "west", "gold"), app("c", "east", "tin")];
        let policies = PolicySet { apps, policies: vec![block], ..PolicySet::default() };
        let compiled = CompiledPolicies::compile(policies, Generation(1)).unwrap();
        let person = alice();
        let scope = compiled.bind(&person);
        let refuses = |position: u32| {
            let target = Target { app: AppIndex(position), context: None };
            let signals = Signals { target, ..signals(&person, &ClientContext::UNKNOWN) };
            compiled.decide(&scope, &signals).into_granted().is_err()
        };
        let found: String =
            (0..).zip("abc".chars()).filter(|(at, _)| refuses(*at)).map(|(_, name)| name).collect();
        assert_eq!(found, blocked, "{text}");
    }
}

#[test]
fn limits_of_several_policies_are_merged_and_the_strictest_wins() {
    let session = |id, hours: Option<u64>, persistent_browser| {
        let mut one = policy(id, Grant::SessionOnly);
        one.session = SessionControls {
            sign_in_frequency: hours.map(|hours| SignInFrequency::Every(Duration::from_secs(hours * 3_600))),
            persistent_browser,
        };
        one
    };
    let limits =
        |policies| decide(set(policies), &alice(), at("192.0.2.1")).into_granted().unwrap().session();
    let always = session("always", Some(8), Some(Persistence::Always));
    let never = session("never", Some(2), Some(Persistence::Never));
    for order in [vec![always.clone(), never.clone()], vec![never.clone(), always.clone()]] {
        let merged = limits(order);
        assert_eq!(merged.sign_in_until, Some(NOW - 600 + 7_200));
        assert_eq!(merged.persistent_browser, Some(Persistence::Never));
    }
    assert_eq!(limits(vec![always.clone()]).persistent_browser, Some(Persistence::Always));
    let mut watched = never;
    watched.state = PolicyState::ReportOnly;
    assert_eq!(limits(vec![always, watched]).sign_in_until, Some(NOW - 600 + 8 * 3_600));
}

#[test]
fn each_control_is_met_by_its_evidence_alone() {
    let strength = |combinations: &[&[&str]], acrs: &[&str]| AuthenticationStrength {
        name: "strong".into(),
        combinations: combinations.iter().map(|one| one.iter().map(|m| (*m).to_owned()).collect()).collect(),
        acrs: acrs.iter().map(|acr| (*acr).to_owned()).collect(),
        contexts: vec![],
    };
    let met = |control: Control, change: fn(&mut SignIn)| {
        let mut policies = set(vec![policy("one", require(Operator::And, &[control]))]);
        policies.strengths = vec![strength(&[&["fido"], &["x509", "pin"], &[]], &["phr"])];
        policies.evidence.approved_clients = vec!["outlook".into()];
        policies.evidence.protected_clients = vec!["teams".into()];
        policies.evidence.mfa_acrs = vec!["possession".into()];
        let mut person = alice();
        change(&mut person.standing_mut().sign_in);
        reason(policies, &person, at("192.0.2.1"))
    };
    let name = || "strong".to_owned();
    /// Changes of a sign-in.
    type Changes = &'static [fn(&mut SignIn)];
    let cases: [(Control, ReasonCode, Changes, Changes); 7] = [
        (
            Control::Mfa,
            ReasonCode::MfaRequired,
            &[|s| s.methods = vec!["MFA".into()], |s| s.acr = Some("possession".into())],
            &[|_| {}, |s| s.methods = vec!["pwd".into()], |s| s.acr = Some("POSSESSION".into())],
        ),
        (
            Control::Strength(name()),
            ReasonCode::StrengthRequired,
            &[
                |s| s.methods = vec!["FIDO".into()],
                |s| s.methods = vec!["pin".into(), "x509".into()],
                |s| s.acr = Some("phr".into()),
            ],
            &[|_| {}, |s| s.methods = vec!["x509".into()], |s| s.acr = Some("mfa".into())],
        ),
        (
            Control::ApprovedClientApp,
            ReasonCode::ClientNotApproved,
            &[|s| s.client_id = Some("Outlook".into())],
            &[|_| {}, |s| s.client_id = Some("teams".into())],
        ),
        (
            Control::AppProtection,
            ReasonCode::ClientNotProtected,
            &[|s| s.client_id = Some("teams".into())],
            &[|s| s.client_id = Some("outlook".into())],
        ),
        (
            Control::PasswordChange,
            ReasonCode::PasswordChangeRequired,
            &[|s| (s.password_changed, s.risk_seen) = (Some(2), Some(1))],
            &[
                |s| (s.password_changed, s.risk_seen) = (Some(1), Some(1)),
                |s| (s.password_changed, s.risk_seen) = (Some(1), None),
                |s| (s.password_changed, s.risk_seen) = (None, Some(1)),
            ],
        ),
        (
            Control::TermsOfUse(name()),
            ReasonCode::TermsRequired,
            &[|s| s.terms = vec!["strong".into()]],
            &[|s| s.custom_controls = vec!["strong".into()]],
        ),
        (
            Control::Custom(name()),
            ReasonCode::ExternalControlRequired,
            &[|s| s.custom_controls = vec!["strong".into()]],
            &[|s| s.terms = vec!["strong".into()]],
        ),
    ];
    for (control, unmet, enough, too_little) in cases {
        for (number, change) in enough.iter().enumerate() {
            assert_eq!(met(control.clone(), *change), None, "{control:?}, evidence {number}");
        }
        for (number, change) in too_little.iter().enumerate() {
            assert_eq!(met(control.clone(), *change), Some(unmet), "{control:?}, evidence {number}");
        }
    }
    let joined = policy("joined", require(Operator::And, &[Control::HybridJoinedDevice]));
    let device = |trust_type| {
        let device = Device { trust_type, compliant: Some(true), ..Device::default() };
        ClientContext { device: Fact::Known(device), ..ClientContext::UNKNOWN }
    };
    assert_eq!(reason(set(vec![joined.clone()]), &alice(), device(Some("serverad"))), None);
    assert_eq!(
        reason(set(vec![joined]), &alice(), device(Some("AzureAD"))),
        Some(ReasonCode::DeviceNotJoined)
    );
}

#[test]
fn a_request_condition_is_about_method_and_path_by_segments() {
    for (condition, method, path, blocked) in [
        (RequestCondition { methods: vec!["POST".into()], ..RequestCondition::default() }, "POST", "/", true),
        (RequestCondition { methods: vec!["POST".into()], ..RequestCondition::default() }, "GET", "/", false),
        (paths(&["/admin/**"], &[]), "GET", "/admin", true),
        (paths(&["/admin/**"], &[]), "GET", "/admin/users", true),
        (paths(&["/admin/**"], &[]), "GET", "/administration", false),
        (paths(&["/admin"], &[]), "GET", "/admin/users", false),
        (paths(&["/admin"], &[]), "GET", "/admin", true),
        (paths(&["/admin"], &[]), "GET", "/admin/", true),
        (paths(&["/admin"], &[]), "GET", "/ADMIN/", true),
        (paths(&["/übung/**"], &[]), "GET", "/ÜBUNG/1", true),
        (paths(&["/admin/**"], &["/admin/help"]), "GET", "/admin/HELP", true),
        (paths(&["/admin/**"], &["/admin/help"]), "GET", "/admin/help", false),
        (paths(&[], &["/admin/help"]), "GET", "/other", true),
    ] {
        let text = format!("{condition:?}: {method} {path}");
        let mut block = policy("block", Grant::Block);
        Arc::make_mut(&mut block.conditions).request = Some(condition);
        let compiled = CompiledPolicies::compile(set(vec![block, ask_nothing()]), Generation(1)).unwrap();
        let person = alice();
        let action = Action { method, path };
        let asked = Signals { action, ..signals(&person, &ClientContext::UNKNOWN) };
        let found = compiled.decide(&compiled.bind(&person), &asked).into_granted().is_err();
        assert_eq!(found, blocked, "{text}");
    }
}

fn paths(include: &[&str], exclude: &[&str]) -> RequestCondition {
    let pattern = |text: &&str| match text.strip_suffix("/**") {
        Some(root) => PathPattern::Subtree(root.to_owned()),
        None => PathPattern::Exact((*text).to_owned()),
    };
    RequestCondition {
        methods: vec![],
        paths: include.iter().map(pattern).collect(),
        exclude_paths: exclude.iter().map(pattern).collect(),
    }
}

#[test]
fn a_policy_that_asks_for_nothing_is_refused_at_load() {
    for (grant, what) in [
        (
            require(Operator::And, &[]),
            "requires no control; write `block`, a control, or session controls alone",
        ),
        (Grant::SessionOnly, "neither grants, blocks nor limits the session"),
    ] {
        let problems =
            CompiledPolicies::compile(set(vec![policy("idle", grant)]), Generation(1)).unwrap_err();
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(texts, [format!("policy `idle`: {what}")]);
    }
    let mut limited = policy("limited", Grant::SessionOnly);
    limited.session.persistent_browser = Some(Persistence::Never);
    assert!(
        CompiledPolicies::compile(set(vec![limited, policy("block", Grant::Block)]), Generation(1)).is_ok()
    );
}

/// Logs, metrics and dashboards rest on these words.
#[test]
fn reasons_and_results_have_their_words() {
    let reasons: Vec<&str> = ReasonCode::ALL.into_iter().map(ReasonCode::as_str).collect();
    assert_eq!(
        reasons,
        [
            "not-assigned",
            "blocked-location",
            "blocked-platform",
            "blocked-client-app",
            "blocked-device",
            "blocked-flow",
            "blocked-risk",
            "blocked-request",
            "blocked",
            "no-policy",
            "device-not-compliant",
            "device-unknown",
            "device-not-joined",
            "client-not-approved",
            "client-not-protected",
            "not-provable",
            "mfa-required",
            "strength-required",
            "sign-in-too-old",
            "password-change-required",
            "terms-required",
            "external-control-required",
            "fact-unavailable",
        ]
    );
    let results: Vec<&str> = PolicyResult::ALL.into_iter().map(PolicyResult::as_str).collect();
    assert_eq!(
        results,
        [
            "success",
            "failure",
            "interrupted",
            "reportOnlySuccess",
            "reportOnlyFailure",
            "reportOnlyInterrupted"
        ]
    );
}

#[test]
fn a_set_of_reasons_holds_each_once_and_tells_the_first() {
    let (mfa, blocked) = (ReasonCode::MfaRequired, ReasonCode::Blocked);
    let one = ReasonSet::EMPTY.with(mfa).with(mfa);
    assert!(one.contains(mfa) && !one.contains(blocked) && !one.is_empty());
    let both = one.union(one).union(ReasonSet::EMPTY.with(blocked)).union(one);
    assert_eq!(both.iter().collect::<Vec<_>>(), [blocked, mfa]);
    assert_eq!((both.first(), ReasonSet::EMPTY.first()), (Some(blocked), None));
}

/// What operators read in a debug log.
#[test]
fn decisions_and_policies_can_be_shown() {
    let decision = decide(set(vec![ask_nothing()]), &alice(), ClientContext::UNKNOWN);
    let shown = format!("{decision:?}");
    assert!(shown.contains("Permit") && shown.contains("[(PolicyIndex(0), Success)]"), "{shown}");
    assert_eq!((decision.applied.len(), decision.applied.is_empty()), (1, false));
    let refused = decide(set(vec![]), &alice(), ClientContext::UNKNOWN);
    assert_eq!((refused.applied.len(), refused.applied.is_empty()), (0, true));
    let compiled = CompiledPolicies::compile(set(vec![ask_nothing()]), Generation(7)).unwrap();
    let shown = format!("{compiled:?}");
    assert!(shown.contains("Generation(7)") && shown.contains("policies: 1"), "{shown}");
}

#[test]
fn a_time_condition_begins_at_its_first_moment_and_ends_before_its_last() {
    let utc = TimeZone { name: "Etc/UTC".into(), first_offset_secs: 0, transitions: vec![] };
    let check = |windows: Vec<WeekWindow>, from, until, cases: &[(i64, bool)]| {
        let mut timed = ask_nothing();
        Arc::make_mut(&mut timed.conditions).time =
            Some(TimeCondition { zone: utc.clone(), windows, from, until });
        let compiled = CompiledPolicies::compile(set(vec![timed]), Generation(1)).unwrap();
        let (person, context) = (alice(), at("203.0.113.9"));
        let scope = compiled.bind(&person);
        for (now, open) in cases {
            let signals = Signals { now: *now, ..signals(&person, &context) };
            let granted = compiled.decide(&scope, &signals).into_granted().is_ok();
            assert_eq!(granted, *open, "{now}, from {from:?} until {until:?}");
        }
    };
    let (first, last) = (NOW, NOW + 3_600);
    let dates = [(first - 1, false), (first, true), (last - 1, true), (last, false), (last + 1, false)];
    check(vec![], Some(first), Some(last), &dates);
    check(vec![], Some(first), None, &[(first - 1, false), (first, true), (first + 1, true)]);
    check(vec![], None, Some(last), &[(last - 1, true), (last, false)]);
    // Monday 2026-01-19 00:00 UTC.
    let monday = 1_768_780_800;
    let minute = |number: i64| monday + number * 60;
    let window = |start_minute, end_minute| WeekWindow { start_minute, end_minute };
    check(
        vec![window(480, 1_080)],
        None,
        None,
        &[
            (minute(480) - 1, false),
            (minute(480), true),
            (minute(1_080) - 1, true),
            (minute(1_080), false),
            (minute(481), true),
        ],
    );
    // Sunday 22:00 to Monday 02:00: over the end of the week.
    check(
        vec![window(9_960, 120)],
        None,
        None,
        &[
            (minute(0), true),
            (minute(120) - 1, true),
            (minute(120), false),
            (minute(9_960) - 1, false),
            (minute(9_960), true),
            (minute(10_079), true),
        ],
    );
    // A window that begins where it ends is the whole week.
    check(
        vec![window(600, 600)],
        None,
        None,
        &[(minute(599), true), (minute(600), true), (minute(601), true)],
    );
}

#[test]
fn a_path_is_excluded_whatever_else_matches() {
    let mut writes = policy("writes", Grant::Block);
    Arc::make_mut(&mut writes.conditions).request = Some(RequestCondition {
        methods: vec!["POST".into(), "PUT".into()],
        ..paths(&["/admin/**", "/help"], &["/admin/public/**"])
    });
    let compiled = CompiledPolicies::compile(set(vec![writes, ask_nothing()]), Generation(1)).unwrap();
    let (person, context) = (alice(), at("203.0.113.9"));
    let scope = compiled.bind(&person);
    for (method, path, blocked) in [
        ("POST", "/admin", true),
        ("PUT", "/admin/users", true),
        ("POST", "/help", true),
        ("GET", "/admin", false),
        ("POST", "/admin/public", false),
        ("POST", "/admin/public/x", false),
        ("POST", "/administrator", false),
        ("POST", "/help/me", false),
    ] {
        let signals = Signals { action: Action { method, path }, ..signals(&person, &context) };
        let refused = compiled.decide(&scope, &signals).into_granted().is_err();
        assert_eq!(refused, blocked, "{method} {path}");
    }
}

#[test]
fn ids_of_users_groups_roles_and_tenants_compare_without_case_beyond_ascii() {
    let selectors = [
        UserSelector::User("jörg".into()),
        UserSelector::Group("ÄRZTE".into()),
        UserSelector::Role("ΣΎΜΒΟΥΛΟΣ".into()),
    ];
    let people = [
        Principal { id: "JÖRG".into(), ..alice() },
        Principal {
            standing: Standing { groups: Fact::Known(vec!["ärzte".into()]), ..Standing::default() }.into(),
            ..alice()
        },
        Principal {
            standing: Standing {
                roles: Fact::Known(vec!["σύμβουλος".into()]), ..Standing::default()
            }
            .into(),
            ..alice()
        },
    ];
    for (position, selector) in selectors.into_iter().enumerate() {
        let mut block = policy("block", Grant::Block);
        block.subjects = Subjects::Users(Users { include: vec![selector.clone()], exclude: vec![] }).into();
        for (other, person) in people.iter().enumerate() {
            let blocked = refused(set(vec![block.clone(), ask_nothing()]), person, at("192.0.2.1")).is_some();
            assert_eq!(blocked, position == other, "{selector:?} and {person:?}");
        }
    }
}

/// The result of a question with these readings, and the path that decided.
fn read_as<'r>(set: PolicySet, person: &'r Principal, readings: &[Reading<'r>]) -> (&'r str, Outcome) {
    let compiled = CompiledPolicies::compile(set, Generation(1)).unwrap();
    let signals = signals(person, &ClientContext::UNKNOWN);
    let (asked, outcome) =
        compiled.decide_readings(&compiled.bind(person), &signals, readings, &mut NoObserver);
    (asked.action.path, outcome)
}

fn reading(path: &str) -> Reading<'_> {
    Reading { path, context: None }
}

#[test]
fn a_path_that_can_be_read_in_several_ways_gets_the_strictest_outcome() {
    let on = |condition: RequestCondition, grant: Grant| {
        let mut policy = policy(&format!("on-{}", condition.paths.len()), grant);
        Arc::make_mut(&mut policy.conditions).request = Some(condition);
        policy
    };
    let mfa = Grant::Require { operator: Operator::And, controls: vec![Control::Mfa] };
    let person = alice();
    let both = [reading("/g%2Fadmin"), reading("/g/admin")];
    let swapped = [reading("/g/admin"), reading("/g%2Fadmin")];
    for readings in [&both, &swapped] {
        let block = set(vec![on(paths(&["/g/admin"], &[]), Grant::Block), ask_nothing()]);
        assert!(
            matches!(read_as(block, &person, readings), ("/g/admin", Outcome::Block(refused)) if !refused.temporary)
        );
        // A rule for the path as it is written sees it, too.
        let ask = set(vec![on(paths(&["/g%2Fadmin"], &[]), mfa.clone()), ask_nothing()]);
        assert!(matches!(read_as(ask, &person, readings), ("/g%2Fadmin", Outcome::Challenge(_))));
        // An exclusion must hold of each.
        let spared =
            set(vec![on(paths(&["/g/**", "/g%2Fadmin"], &["/g/admin"]), Grant::Block), ask_nothing()]);
        assert!(matches!(read_as(spared, &person, readings), (_, Outcome::Block(_))));
        let spared = set(vec![on(paths(&["/**"], &["/g/admin", "/g%2Fadmin"]), Grant::Block), ask_nothing()]);
        assert!(matches!(read_as(spared, &person, readings), (_, Outcome::Grant(_))));
        // A policy that speaks for one of them alone opens nothing that is closed by default.
        let mut speaks = on(paths(&["/g/admin"], &[]), Grant::SessionOnly);
        speaks.session.persistent_browser = Some(Persistence::Always);
        let alone = set(vec![speaks]);
        assert!(matches!(read_as(alone, &person, readings), ("/g%2Fadmin", Outcome::Block(_))));
    }
}

#[test]
fn a_grant_of_several_readings_keeps_the_limits_of_each() {
    let limited = |id: &str, path: &str, session: SessionControls| {
        let mut policy = policy(id, Grant::SessionOnly);
        Arc::make_mut(&mut policy.conditions).request = Some(paths(&[path], &[]));
        policy.session = session;
        policy
    };
    let hour = SignInFrequency::Every(Duration::from_secs(3_600));
    let frequency = SessionControls { sign_in_frequency: Some(hour), ..SessionControls::default() };
    let never =
        SessionControls { persistent_browser: Some(Persistence::Never), ..SessionControls::default() };
    let policies = vec![limited("one", "/a", frequency), limited("other", "/b", never)];
    let person = alice();
    let (_, outcome) = read_as(set(policies), &person, &[reading("/a"), reading("/b")]);
    let limits = outcome.into_granted().unwrap().session();
    assert_eq!(limits.sign_in_until, Some(NOW - 600 + 3_600));
    assert_eq!(limits.persistent_browser, Some(Persistence::Never));
}

fn context(name: &str) -> AuthenticationContext {
    AuthenticationContext::new(name).unwrap()
}

/// Whom a token of Entra's version 2 names: it asserts contexts, and neither methods nor an `acr`.
fn by_version_2(contexts: &[&str]) -> Principal {
    let mut principal = alice();
    let sign_in = &mut principal.standing_mut().sign_in;
    sign_in.contexts = contexts.iter().map(|name| context(name)).collect();
    sign_in.issuer = IssuerEvidence {
        contexts_satisfy: true,
        asserts_methods: false,
        asserts_acr: false,
        ..IssuerEvidence::ANY
    };
    principal
}

/// A policy about a context.
fn of_context(id: &str, contexts: &[&str], grant: Grant) -> Policy {
    let contexts = contexts.iter().map(|name| context(name)).collect();
    Policy { targets: Targets::Contexts(contexts).into(), ..policy(id, grant) }
}

/// What is decided of a route that asks for a context.
fn asked_for(set: PolicySet, principal: &Principal, asked: &str, device: ClientContext<'_>) -> String {
    let compiled = CompiledPolicies::compile(set, Generation(1)).unwrap();
    let mut signals = signals(principal, &device);
    signals.target.context = Some(context(asked));
    match compiled.decide(&compiled.bind(principal), &signals).outcome {
        Outcome::Grant(_) => "grant".to_owned(),
        Outcome::Challenge(refused) => format!("challenge {}", refused.primary.as_str()),
        Outcome::Deny(refused) => format!("deny {}", refused.primary.as_str()),
        Outcome::Block(refused) => format!("block {}", refused.primary.as_str()),
    }
}

#[test]
fn a_context_that_the_token_holds_meets_the_policies_that_target_it() {
    let mfa = require(Operator::And, &[Control::Mfa]);
    let ask = |principal: &Principal, asked: &str| {
        let policies = vec![ask_nothing(), of_context("step-up", &["c1", "c2"], mfa.clone())];
        asked_for(set(policies), principal, asked, ClientContext::UNKNOWN)
    };
    assert_eq!(ask(&by_version_2(&[]), "c1"), "challenge mfa-required");
    assert_eq!(ask(&by_version_2(&["c1"]), "c1"), "grant");
    assert_eq!(ask(&by_version_2(&["c7", "c1"]), "c1"), "grant");
    // The context that is asked for counts, not another one of the same policy.
    assert_eq!(ask(&by_version_2(&["c1"]), "c2"), "challenge mfa-required");
    // No policy speaks of it.
    assert_eq!(ask(&by_version_2(&[]), "c3"), "grant");
    // Whose word does not count proves nothing by it.
    let mut other = by_version_2(&["c1"]);
    other.standing_mut().sign_in.issuer = IssuerEvidence::ANY;
    assert_eq!(ask(&other, "c1"), "challenge mfa-required");
}

#[test]
fn the_word_for_a_context_meets_the_whole_grant_and_never_a_block_nor_an_old_sign_in() {
    let ask = |policy: Policy, held: &[&str], context: ClientContext<'_>| {
        asked_for(set(vec![ask_nothing(), policy]), &by_version_2(held), "c1", context)
    };
    let both = || require(Operator::And, &[Control::CompliantDevice, Control::Mfa]);
    let device = || require(Operator::Or, &[Control::CompliantDevice]);
    assert_eq!(ask(of_context("a", &["c1"], both()), &["c1"], on(Some(false))), "grant");
    // A sign-in for the context can bring what no claim of the device does.
    assert_eq!(ask(of_context("a", &["c1"], both()), &[], on(Some(false))), "challenge mfa-required");
    assert_eq!(
        ask(of_context("a", &["c1"], device()), &[], ClientContext::UNKNOWN),
        "challenge strength-required"
    );
    assert_eq!(ask(of_context("a", &["c1"], device()), &[], on(Some(true))), "grant");
    assert_eq!(ask(of_context("a", &["c1"], Grant::Block), &["c1"], ClientContext::UNKNOWN), "block blocked");
    let mut fresh = of_context("a", &["c1"], both());
    fresh.session.sign_in_frequency = Some(SignInFrequency::Every(Duration::from_secs(300)));
    assert_eq!(ask(fresh, &["c1"], ClientContext::UNKNOWN), "challenge sign-in-too-old");
    // A policy about apps is not met by it.
    assert_eq!(ask(policy("a", device()), &["c1"], ClientContext::UNKNOWN), "deny device-unknown");
}

#[test]
fn contexts_prove_several_factors_and_strengths_where_the_evidence_says_so() {
    let ask = |control: Control, held: &[&str]| {
        let mut policies = set(vec![policy("a", require(Operator::And, &[control]))]);
        policies.evidence.mfa_contexts = vec![context("c1")];
        policies.strengths = vec![AuthenticationStrength {
            name: "hard".into(),
            combinations: vec![],
            acrs: vec![],
            contexts: vec![context("c2"), context("c3")],
        }];
        reason(policies, &by_version_2(held), ClientContext::UNKNOWN)
    };
    let hard = || Control::Strength("hard".into());
    assert_eq!(ask(Control::Mfa, &["c1"]), None);
    assert_eq!(ask(Control::Mfa, &["c2"]), Some(ReasonCode::MfaRequired));
    assert_eq!(ask(hard(), &["c3"]), None);
    assert_eq!(ask(hard(), &["c1"]), Some(ReasonCode::StrengthRequired));
}

#[test]
fn what_no_token_of_the_issuer_can_ever_prove_is_denied_and_not_challenged() {
    let ask = |grant: Grant, change: fn(&mut PolicySet), principal: &Principal| {
        let mut policies = set(vec![policy("a", grant)]);
        change(&mut policies);
        let decision = decide(policies, principal, ClientContext::UNKNOWN);
        match decision.outcome {
            Outcome::Challenge(refused) => ("challenge", refused),
            Outcome::Deny(refused) => ("deny", refused),
            Outcome::Grant(_) | Outcome::Block(_) => panic!("{decision:?}"),
        }
    };
    let mfa = || require(Operator::And, &[Control::Mfa]);
    let (outcome, refused) = ask(mfa(), |_| {}, &by_version_2(&["c1"]));
    assert_eq!((outcome, refused.primary, refused.temporary), ("deny", ReasonCode::NotProvable, false));
    // One context that proves it, and it can be asked for.
    let by_context: fn(&mut PolicySet) = |set| set.evidence.mfa_contexts = vec![context("c2")];
    let (outcome, refused) = ask(mfa(), by_context, &by_version_2(&["c1"]));
    assert_eq!((outcome, refused.primary), ("challenge", ReasonCode::MfaRequired));
    // Other issuers assert methods.
    let (outcome, _) = ask(mfa(), |_| {}, &alice());
    assert_eq!(outcome, "challenge");
    let either = require(Operator::Or, &[Control::Mfa, Control::TermsOfUse("t".into())]);
    let (outcome, refused) = ask(either, |_| {}, &by_version_2(&[]));
    assert_eq!((outcome, refused.primary), ("challenge", ReasonCode::TermsRequired));
    assert!(!refused.reasons.contains(ReasonCode::NotProvable), "{refused:?}");
    let mut silent = by_version_2(&[]);
    silent.standing_mut().sign_in.issuer = IssuerEvidence::from_bits(0b01_1111);
    for control in [
        Control::Mfa,
        Control::PasswordChange,
        Control::TermsOfUse("t".into()),
        Control::Custom("duo".into()),
    ] {
        let (outcome, refused) = ask(require(Operator::And, std::slice::from_ref(&control)), |_| {}, &silent);
        assert_eq!((outcome, refused.primary), ("deny", ReasonCode::NotProvable), "{control:?}");
    }
}

#[test]
fn a_stronger_sign_in_is_offered_only_where_its_token_would_be_believed() {
    let mfa = || require(Operator::And, &[Control::Mfa]);
    let alternatives = |set: PolicySet, principal: &Principal, asked: Option<&str>| {
        let compiled = CompiledPolicies::compile(set, Generation(1)).unwrap();
        let mut signals = signals(principal, &ClientContext::UNKNOWN);
        signals.target.context = asked.map(context);
        remedies(&compiled, &signals)
    };
    let stronger = |method| vec![vec![Remedy::StrongerSignIn { method }]];
    let app = || set(vec![policy("a", mfa())]);
    assert_eq!(alternatives(app(), &by_version_2(&[]), None), Vec::<Vec<Remedy>>::new());
    assert_eq!(alternatives(app(), &alice(), None), stronger(StrongerMethod::Mfa));
    let mut mapped = app();
    mapped.evidence.mfa_contexts = vec![context("c1")];
    assert_eq!(alternatives(mapped, &by_version_2(&[]), None), stronger(StrongerMethod::Mfa));
    let step_up = || set(vec![ask_nothing(), of_context("a", &["c1"], mfa())]);
    assert_eq!(
        alternatives(step_up(), &by_version_2(&[]), Some("c1")),
        stronger(StrongerMethod::Context(context("c1")))
    );
}

#[test]
fn what_an_issuer_can_tell_survives_being_written_down() {
    for bits in 0..64 {
        assert_eq!(IssuerEvidence::from_bits(bits).to_bits(), bits);
    }
    assert_eq!(IssuerEvidence::from_bits(0), IssuerEvidence::ANY);
    assert!(IssuerEvidence::from_bits(0b10_0000).contexts_satisfy);
}
