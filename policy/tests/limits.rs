//! Large and strange sets: a right answer or a clear error, never a stack that ends.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::sync::Arc;

use portcullis_policy::decision::{Generation, PolicyIndex, PolicyResult, ReasonCode};
use portcullis_policy::model::*;
use portcullis_policy::path::PathCase;
use portcullis_policy::rule::Rule;
use portcullis_policy::signals::*;
use portcullis_policy::{CompiledPolicies, Decision, PolicySet, Signals};

fn policy(number: usize, users: Users, grant: Grant) -> Policy {
    Policy {
        id: PolicyId::new(format!("p{number}")).unwrap(),
        name: String::new(),
        state: PolicyState::Enabled,
        subjects: Subjects::Users(users).into(),
        targets: Targets::Apps(Apps { include: vec![AppSelector::All], ..Apps::default() }).into(),
        conditions: Conditions::default().into(),
        grant,
        session: SessionControls::default(),
    }
}

fn everybody() -> Users {
    Users { include: vec![UserSelector::All], exclude: vec![] }
}

fn group(number: usize) -> UserSelector {
    UserSelector::Group(format!("group-{number}"))
}

fn app(number: usize) -> App {
    App {
        id: format!("app-{number}"),
        groups: vec![],
        attributes: vec![],
        assigned: None,
        unmatched: Unmatched::Allow,
        paths: PathCase::Unknown,
    }
}

fn compile(set: PolicySet) -> CompiledPolicies {
    CompiledPolicies::compile(set, Generation(1)).unwrap()
}

fn member_of(groups: &[usize]) -> Principal {
    let groups = Fact::Known(groups.iter().map(|number| format!("GROUP-{number}")).collect());
    let standing = Standing { groups, ..Standing::default() };
    Principal { id: "alice".into(), auth_time: None, standing: standing.into() }
}

fn decide(
    policies: &CompiledPolicies,
    person: &Principal,
    app: u32,
    context: &ClientContext<'_>,
) -> Decision {
    let signals = Signals {
        principal: person,
        target: Target { app: AppIndex(app), context: None },
        action: Action { method: "GET", path: "/" },
        context,
        request_id: RequestId(7),
        now: 1_800_000_000,
    };
    policies.decide(&policies.bind(person), &signals)
}

fn applied(decision: &Decision) -> Vec<u32> {
    decision.applied.iter().map(|(PolicyIndex(position), _)| *position).collect()
}

#[test]
fn a_policy_may_name_fifty_thousand_groups() {
    let include = (0..50_000).map(group).collect();
    let exclude = (50_000..100_000).map(group).collect();
    let set = PolicySet {
        apps: vec![app(0)],
        policies: vec![policy(0, Users { include, exclude }, Grant::Block)],
        ..PolicySet::default()
    };
    let policies = compile(set);
    for (groups, expected) in [
        (&[49_999][..], vec![0]),
        (&[0, 50_000], vec![]),
        (&[99_999], vec![]),
        (&[100_000], vec![]),
        (&[7, 8], vec![0]),
    ] {
        let decision = decide(&policies, &member_of(groups), 0, &ClientContext::UNKNOWN);
        assert_eq!(applied(&decision), expected, "{groups:?}");
    }
}

#[test]
fn a_hundred_thousand_policies_each_find_their_people_and_apps() {
    let count = 100_000;
    let policies = (0..count).map(|number| {
        let mut one = policy(number, Users { include: vec![group(number)], exclude: vec![] }, Grant::Block);
        // Some about few apps, some about many, some about all but one.
        let named = |apps: std::ops::Range<usize>| {
            apps.map(|app| AppSelector::App(format!("app-{}", app % 20))).collect::<Vec<_>>()
        };
        one.targets = Targets::Apps(match number % 4 {
            0 => Apps { include: named(number..number + 1), ..Apps::default() },
            1 => Apps { include: named(number..number + 7), ..Apps::default() },
            2 => Apps { include: vec![AppSelector::All], exclude: named(number..number + 1), filter: None },
            _ => Apps { include: vec![AppSelector::All], ..Apps::default() },
        })
        .into();
        one
    });
    let set =
        PolicySet { policies: policies.collect(), apps: (0..20).map(app).collect(), ..PolicySet::default() };
    let policies = compile(set);
    for number in [0, 1, 2, 3, 63, 64, 65, 4_094, 50_001, 77_778, 99_998, 99_999] {
        let person = member_of(&[number, 100_000]);
        for app in 0..20 {
            let from = number % 20;
            let expected = match number % 4 {
                0 => app == from,
                1 => (app + 20 - from) % 20 < 7,
                2 => app != from,
                _ => true,
            };
            let decision = decide(&policies, &person, u32::try_from(app).unwrap(), &ClientContext::UNKNOWN);
            let found = applied(&decision);
            assert_eq!(
                found,
                if expected { vec![number as u32] } else { vec![] },
                "policy {number}, app {app}"
            );
        }
    }
}

/// So many places and policies that their rows are not precomputed but put together.
#[test]
fn thousands_of_locations_each_find_their_policies() {
    let places = 3_000;
    let name = |number: usize| format!("site-{number}");
    let location = |number: usize| NamedLocation {
        name: name(number),
        place: Place::Networks {
            networks: vec![format!("10.{}.{}.0/24", number / 250, number % 250).parse().unwrap()],
            trusted: number == 17,
        },
    };
    let mut policies: Vec<Policy> = (0..24_000)
        .map(|number| {
            let mut one = policy(number, everybody(), Grant::Block);
            let include = vec![LocationSelector::Named(name(number % places))];
            Arc::make_mut(&mut one.conditions).locations = Some(Locations { include, exclude: vec![] });
            one
        })
        .collect();
    for (policy, exclude) in policies.iter_mut().zip([
        LocationSelector::Named(name(0)),
        LocationSelector::AllTrusted,
        LocationSelector::All,
    ]) {
        Arc::make_mut(&mut policy.conditions).locations =
            Some(Locations { include: vec![LocationSelector::All], exclude: vec![exclude] });
    }
    // At its own site the fifth is in two of its locations, elsewhere in one.
    let around = NamedLocation {
        name: "around".into(),
        place: Place::Networks { networks: vec!["10.0.0.0/8".parse().unwrap()], trusted: false },
    };
    if let Some(locations) = &mut Arc::make_mut(&mut policies[4].conditions).locations {
        locations.include.push(LocationSelector::Named("around".into()));
    }
    let set = PolicySet {
        apps: vec![app(0)],
        locations: (0..places).map(location).chain([around]).collect(),
        policies,
        ..PolicySet::default()
    };
    let policies = compile(set);
    let at = |address: Fact<&str>| {
        let address = match address {
            Fact::Known(address) => Fact::Known(address.parse().unwrap()),
            Fact::Unknown => Fact::Unknown,
            Fact::Unavailable => Fact::Unavailable,
        };
        applied(&decide(&policies, &member_of(&[]), 0, &ClientContext { address, ..ClientContext::UNKNOWN }))
    };
    let eighth = |first: u32| (0..8).map(move |turn| first + turn * 3_000);
    assert_eq!(at(Fact::Known("10.0.5.1")), [0, 1, 4].into_iter().chain(eighth(5)).collect::<Vec<_>>());
    // The first three policies were made others.
    assert_eq!(at(Fact::Known("10.0.0.1")), [1, 4].into_iter().chain(eighth(0).skip(1)).collect::<Vec<_>>());
    assert_eq!(at(Fact::Known("10.0.17.1")), [0, 4].into_iter().chain(eighth(17)).collect::<Vec<_>>());
    assert_eq!(at(Fact::Known("10.0.4.1")), [0, 1].into_iter().chain(eighth(4)).collect::<Vec<_>>());
    assert_eq!(at(Fact::Known("192.0.2.1")), [0, 1]);
    assert_eq!(at(Fact::Unknown), [0, 1]);
    let unavailable = at(Fact::Unavailable);
    assert_eq!(unavailable.len(), 23_999, "all but the one that excludes every place");
    assert!(!unavailable.contains(&2));
}

#[test]
fn every_policy_that_applied_is_listed_in_order_however_many_there_are() {
    for count in [1, 31, 64, 65, 160] {
        // Policies about one group are stored apart from those about everybody, so they are found later.
        let policies = (0..count).map(|number| {
            let users = if number % 3 == 0 {
                Users { include: vec![group(1)], exclude: vec![] }
            } else {
                everybody()
            };
            policy(number, users, if number % 2 == 0 { Grant::Block } else { mfa() })
        });
        let set = PolicySet { apps: vec![app(0)], policies: policies.collect(), ..PolicySet::default() };
        let decision = decide(&compile(set), &member_of(&[1]), 0, &ClientContext::UNKNOWN);
        let expected: Vec<_> = (0..count)
            .map(|number| {
                let result = if number % 2 == 0 { PolicyResult::Failure } else { PolicyResult::Interrupted };
                (PolicyIndex(number as u32), result)
            })
            .collect();
        assert_eq!(decision.applied, expected);
        assert_eq!(decision.into_granted().unwrap_err().primary, ReasonCode::Blocked);
    }
}

fn mfa() -> Grant {
    Grant::Require { operator: Operator::And, controls: vec![Control::Mfa] }
}

#[test]
fn a_rule_is_bounded_in_length_and_depth_and_says_so() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{}device.model -eq \"x\"{}", open.repeat(depth), close.repeat(depth))
    };
    for (open, close, levels) in [("(", ")", 1), ("-not ", "", 1), ("not (", ")", 2)] {
        assert!(Rule::parse(&nested(open, close, Rule::DEPTH_MAX / levels)).is_ok());
        assert!(Rule::parse(&nested(open, close, Rule::DEPTH_MAX / levels + 1)).is_err());
        assert!(Rule::parse(&nested(open, close, 10_000)).is_err());
        let deep = Rule::parse(&nested(open, close, 1_000)).unwrap_err();
        assert_eq!(deep.what, "the rule nests deeper than 64", "{open}");
    }
    let long = |count: usize| vec!["device.model -eq \"x\""; count].join(" -or ");
    assert!(Rule::parse(&long(600)).is_ok());
    let error = Rule::parse(&long(700)).unwrap_err();
    assert_eq!((error.offset, error.what.as_str()), (0, "the rule has 17495 bytes; 16384 are allowed"));
}

#[test]
fn a_set_with_too_many_policies_or_a_filter_that_asks_of_a_request_is_refused() {
    let mut filtered = policy(0, everybody(), Grant::Block);
    let rule = Rule::parse("app.tier -eq \"1\" -or device.isCompliant -eq True").unwrap();
    filtered.targets =
        Targets::Apps(Apps { filter: Some((FilterMode::Include, rule)), ..Apps::default() }).into();
    let set = PolicySet { apps: vec![app(0)], policies: vec![filtered], ..PolicySet::default() };
    let problems = CompiledPolicies::compile(set, Generation(1)).unwrap_err();
    assert_eq!(problems[0].to_string(), "policy `p0`: an app filter can ask for `app.` attributes only");

    let many = vec![app(0); (1 << 20) + 1];
    let problems = CompiledPolicies::compile(PolicySet { apps: many, ..PolicySet::default() }, Generation(1))
        .unwrap_err();
    assert_eq!(problems[0].to_string(), "1048577 apps are too many: 1048576 are allowed");
    // As many as are allowed are looked at.
    let many = vec![app(0); 1 << 20];
    let problems = CompiledPolicies::compile(PolicySet { apps: many, ..PolicySet::default() }, Generation(1))
        .unwrap_err();
    assert_eq!(problems[0].to_string(), "two apps are named `app-0`");
}
