//! Every set of up to two policies over up to three facts, each known, unknown or unavailable: without
//! randomness, so that nothing in this small world is left to luck. What holds here is also said in
//! plain sentences, not only by comparison with the reference.

use portcullis_policy::model::*;
use portcullis_policy::path::PathCase;
use portcullis_policy::reference::{Conclusion, evaluate};
use portcullis_policy::signals::*;
use portcullis_policy::{CompiledPolicies, PolicySet};

use crate::world::{NOW, applied, compile, conclusion};

/// What a policy asks in this world.
const GRANTS: usize = 6;
/// What it rests on: nothing, or one selection over one of the three facts.
const CONDITIONS: usize = 10;
const STATES: [PolicyState; 3] = [PolicyState::Enabled, PolicyState::ReportOnly, PolicyState::Disabled];

fn grant(number: usize) -> Grant {
    let controls = || vec![Control::Mfa, Control::CompliantDevice];
    match number {
        0 => Grant::Block,
        1 => Grant::SessionOnly,
        2 => Grant::Require { operator: Operator::And, controls: vec![Control::Mfa] },
        3 => Grant::Require { operator: Operator::And, controls: vec![Control::CompliantDevice] },
        4 => Grant::Require { operator: Operator::And, controls: controls() },
        _ => Grant::Require { operator: Operator::Or, controls: controls() },
    }
}

/// Address, platform and device; included, excluded, and rules of both signs.
fn conditions(number: usize) -> Conditions {
    let office = || LocationSelector::Named("office".into());
    let windows = || PlatformSelector::Named(Platform::Windows);
    let rule = |text: &str| portcullis_policy::rule::Rule::parse(text).unwrap();
    let device = |mode, text| Conditions {
        device: Some(DeviceFilter { mode, rule: rule(text) }),
        ..Conditions::default()
    };
    let located = |include, exclude| Conditions {
        locations: Some(Locations { include, exclude }),
        ..Conditions::default()
    };
    let platform = |include, exclude| Conditions {
        platforms: Some(Platforms { include, exclude }),
        ..Conditions::default()
    };
    match number {
        0 => Conditions::default(),
        1 => located(vec![office()], vec![]),
        2 => located(vec![LocationSelector::All], vec![LocationSelector::AllTrusted]),
        3 => platform(vec![windows()], vec![]),
        4 => platform(vec![PlatformSelector::All], vec![windows()]),
        5 => device(FilterMode::Include, "device.isCompliant -eq True"),
        6 => device(FilterMode::Include, "device.isCompliant -ne True"),
        7 => device(FilterMode::Exclude, "device.isCompliant -eq True"),
        8 => Conditions { platforms: platform(vec![windows()], vec![]).platforms, ..conditions(2) },
        _ => Conditions { platforms: platform(vec![windows()], vec![]).platforms, ..conditions(6) },
    }
}

fn policies(id: &str) -> Vec<Policy> {
    let mut all = Vec::new();
    for state in STATES {
        for condition in 0..CONDITIONS {
            for grants in 0..GRANTS {
                all.push(Policy {
                    id: PolicyId::new(id).unwrap(),
                    name: String::new(),
                    state,
                    subjects: Subjects::Users(Users { include: vec![UserSelector::All], exclude: vec![] })
                        .into(),
                    targets: Targets::Apps(Apps { include: vec![AppSelector::All], ..Apps::default() })
                        .into(),
                    conditions: conditions(condition).into(),
                    grant: grant(grants),
                    session: SessionControls {
                        persistent_browser: (grants == 1).then_some(Persistence::Never),
                        ..SessionControls::default()
                    },
                });
            }
        }
    }
    all
}

fn set(unmatched: Unmatched, policies: Vec<Policy>) -> PolicySet {
    PolicySet {
        apps: vec![App {
            id: "wiki".into(),
            groups: vec![],
            attributes: vec![],
            assigned: None,
            unmatched,
            paths: PathCase::Unknown,
        }],
        locations: vec![NamedLocation {
            name: "office".into(),
            place: Place::Networks { networks: vec!["203.0.113.0/24".parse().unwrap()], trusted: true },
        }],
        policies,
        ..PolicySet::default()
    }
}

fn person(methods: &[&str]) -> Principal {
    let methods = methods.iter().map(|one| (*one).to_owned()).collect();
    let standing = Standing { sign_in: SignIn { methods, ..SignIn::default() }, ..Standing::default() };
    Principal { id: "alice".into(), auth_time: None, standing: standing.into() }
}

/// Each of the three facts: two values, unknown, unavailable. Sixty-four or more circumstances.
fn circumstances() -> Vec<ClientContext<'static>> {
    let mut all = Vec::new();
    let device = |compliant| {
        Fact::Known(Device { device_id: Some("d1"), compliant: Some(compliant), ..Device::default() })
    };
    for address in [
        Fact::Known("203.0.113.9".parse().unwrap()),
        Fact::Known("192.0.2.1".parse().unwrap()),
        Fact::Unknown,
        Fact::Unavailable,
    ] {
        for platform in
            [Fact::Known(Platform::Windows), Fact::Known(Platform::Linux), Fact::Unknown, Fact::Unavailable]
        {
            for device in [device(true), device(false), Fact::Unknown, Fact::Unavailable] {
                all.push(ClientContext { address, platform, device, ..ClientContext::UNKNOWN });
            }
        }
    }
    all
}

/// Asks every question of one set; returns how many were let in.
fn ask_everything(
    set: &PolicySet,
    persons: &[Principal],
    circumstances: &[ClientContext<'static>],
) -> (usize, usize) {
    let compiled: CompiledPolicies = compile(set.clone());
    let (mut asked, mut granted) = (0, 0);
    for principal in persons {
        let scope = compiled.bind(principal);
        for context in circumstances {
            let signals = Signals {
                principal,
                target: Target { app: AppIndex(0), context: None },
                action: Action { method: "GET", path: "/" },
                context,
                request_id: RequestId(1),
                now: NOW,
            };
            let decision = compiled.decide(&scope, &signals);
            let reference = evaluate(set, &signals);
            let found = conclusion(&decision);
            assert_eq!(found, reference.conclusion, "{set:#?}\n{signals:#?}");
            assert!(reference.applied().eq(applied(&decision)), "{set:#?}\n{signals:#?}");
            asked += 1;
            match found {
                Conclusion::Grant(_) => granted += 1,
                Conclusion::Challenge(refused) | Conclusion::Deny(refused) | Conclusion::Block(refused) => {
                    let complete = ![
                        matches!(context.address, Fact::Unavailable),
                        matches!(context.platform, Fact::Unavailable),
                        matches!(context.device, Fact::Unavailable),
                    ]
                    .contains(&true);
                    // With every fact at hand no refusal can be temporary.
                    assert!(!(complete && refused.temporary), "{set:#?}\n{signals:#?}");
                }
            }
        }
    }
    (asked, granted)
}

#[test]
fn every_set_of_up_to_two_policies_is_decided_as_the_reference_does() {
    let persons = [person(&["pwd"]), person(&["pwd", "mfa"])];
    let circumstances = circumstances();
    let (first, second) = (policies("a"), policies("b"));
    let (mut sets, mut asked, mut granted) = (0, 0, 0);
    let mut all = |set: PolicySet| {
        let (questions, grants) = ask_everything(&set, &persons, &circumstances);
        sets += 1;
        asked += questions;
        granted += grants;
    };
    for unmatched in [Unmatched::Deny, Unmatched::Allow] {
        all(set(unmatched, vec![]));
        for one in &first {
            all(set(unmatched, vec![one.clone()]));
        }
    }
    // The order of two policies changes nothing (a law of its own), so each pair is asked once.
    for (position, one) in first.iter().enumerate() {
        for other in second.iter().skip(position) {
            all(set(Unmatched::Deny, vec![one.clone(), other.clone()]));
        }
    }
    assert_eq!(sets, 2 * (1 + 180) + 180 * 181 / 2);
    assert_eq!(asked, sets * 2 * 64);
    // Neither always nor never: the world is not trivial.
    assert!(granted * 100 > asked * 10 && granted * 100 < asked * 60, "{granted} of {asked}");
}

/// The combining alone, in a table: what two policies of these kinds come to, whatever else.
#[test]
fn the_refusal_that_can_be_mended_least_is_told() {
    let persons = [person(&["pwd"])];
    let context = ClientContext {
        device: Fact::Known(Device { compliant: Some(false), ..Device::default() }),
        ..ClientContext::UNKNOWN
    };
    let word = |first: usize, second: usize| {
        let policy = |id: &str, grants: usize| {
            let mut policy = policies(id).swap_remove(grants);
            policy.conditions = Conditions::default().into();
            policy
        };
        let set = set(Unmatched::Deny, vec![policy("a", first), policy("b", second)]);
        let signals = Signals {
            principal: &persons[0],
            target: Target { app: AppIndex(0), context: None },
            action: Action { method: "GET", path: "/" },
            context: &context,
            request_id: RequestId(1),
            now: NOW,
        };
        let compiled = compile(set);
        conclusion(&compiled.decide(&compiled.bind(&persons[0]), &signals)).as_str()
    };
    // In the order of `grant`: block, nothing, mfa, device, both, either.
    let expected = [
        ["block", "block", "block", "block", "block", "block"],
        ["block", "grant", "challenge", "deny", "deny", "challenge"],
        ["block", "challenge", "challenge", "deny", "deny", "challenge"],
        ["block", "deny", "deny", "deny", "deny", "deny"],
        ["block", "deny", "deny", "deny", "deny", "deny"],
        ["block", "challenge", "challenge", "deny", "deny", "challenge"],
    ];
    for (first, row) in expected.iter().enumerate() {
        for (second, expected) in row.iter().enumerate() {
            assert_eq!(word(first, second), *expected, "{:?} and {:?}", grant(first), grant(second));
        }
    }
}
