//! What is suggested to a user would be let in, tried here with changes made independently of the
//! engine's own search.

use std::sync::Arc;

use portcullis_policy::model::*;
use portcullis_policy::reference::evaluate;
use portcullis_policy::remedy::{self, Candidates, Installation, Remedy};
use portcullis_policy::rule::Rule;
use portcullis_policy::signals::*;
use portcullis_policy::{CompiledPolicies, PolicySet};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::{Choices, NOW, Question, ask, cases, compile, policy_set, question};

/// Every form that a change could take, as a user would carry it out.
fn carried_out(set: &PolicySet, question: &Question, remedy: Remedy) -> Vec<Question> {
    let with = |change: &dyn Fn(&mut Question)| {
        let mut changed = question.clone();
        change(&mut changed);
        changed
    };
    let device = |change: &dyn Fn(&mut Device<'static>)| {
        with(&|changed| {
            let mut device = changed.context.device.known().unwrap_or_default();
            device.device_id = device.device_id.or(Some("d9"));
            change(&mut device);
            changed.context.device = Fact::Known(device);
        })
    };
    match remedy {
        Remedy::SignInAgain => vec![with(&|changed| {
            changed.principal.auth_time = Some(changed.now);
        })],
        Remedy::StrongerSignIn { .. } => vec![with(&|changed| {
            changed.principal.auth_time = Some(changed.now);
            let sign_in = &mut changed.principal.standing_mut().sign_in;
            // A token brings what its issuer asserts: methods perhaps, and any context.
            if sign_in.issuer.asserts_methods {
                sign_in.methods = ["pwd", "mfa", "ngcmfa", "fido", "hwk", "otp"].map(str::to_owned).to_vec();
            }
            sign_in.contexts =
                ["c1", "c2", "c99"].map(|name| AuthenticationContext::new(name).unwrap()).to_vec();
        })],
        Remedy::LeaveNetwork | Remedy::OtherCountry | Remedy::ApprovedNetwork => {
            let networks = set.locations.iter().flat_map(|location| match &location.place {
                Place::Networks { networks, .. } => networks.clone(),
                Place::Countries { .. } => vec![],
            });
            let mut places: Vec<_> =
                networks.map(|network| (Fact::Known(network.addr()), question.context.country)).collect();
            for country in ["DE", "NO", "KP"] {
                places.push((Fact::Unknown, Fact::Known(CountryCode::new(country).unwrap())));
            }
            places
                .into_iter()
                .map(|(address, country)| {
                    with(&|changed| (changed.context.address, changed.context.country) = (address, country))
                })
                .collect()
        }
        Remedy::AcceptTerms
        | Remedy::ExternalControl
        | Remedy::ChangePassword
        | Remedy::OtherSignInFlow
        | Remedy::ApprovedClientApp
        | Remedy::ProtectedClientApp
        | Remedy::OtherDevice => vec![],
        Remedy::NewerOs => {
            ["9.9", "9.9.1", "10", "10.1", "10.0.22631", "10.0.22631.0", "10.0.22631.0.1", "10.0.22631.1"]
                .into_iter()
                .map(|version| device(&|device| device.operating_system_version = Some(version)))
                .collect()
        }
        Remedy::RegisteredDevice => vec![device(&|_| {})],
        Remedy::CompliantDevice => vec![device(&|device| device.compliant = Some(true))],
        Remedy::HybridJoinedDevice => vec![device(&|device| device.trust_type = Some("ServerAD"))],
        Remedy::LaterTime { at } => vec![with(&|changed| {
            let fresh = changed.principal.auth_time == Some(changed.now);
            changed.now = at;
            if fresh {
                changed.principal.auth_time = Some(at);
            }
        })],
    }
}

fn find(compiled: &CompiledPolicies, question: &Question) -> Vec<Vec<Remedy>> {
    let country_of = |_| question.context.country;
    let candidates = Candidates::new(compiled, Some(&country_of));
    let installation =
        Installation { candidates: &candidates, tells_sign_in: true, steps_max: remedy::STEPS_MAX };
    let scope = compiled.bind(&question.principal);
    let found = remedy::find(compiled, &scope, &question.signals(), &[], &installation);
    found.alternatives.into_iter().map(|one| one.changes).collect()
}

fn is_in(compiled: &CompiledPolicies, question: &Question) -> bool {
    ask(compiled, question).into_granted().is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases() / 2, ..ProptestConfig::default() })]

    #[test]
    fn everything_that_is_suggested_would_be_let_in(bytes in vec(any::<u8>(), 0..400)) {
        let mut choices = Choices::new(&bytes);
        let question = question(&mut choices);
        let set = policy_set(&mut choices, 4);
        let compiled = compile(set.clone());
        let evaluation = evaluate(&set, &question.signals());
        let alternatives = find(&compiled, &question);
        match evaluation.conclusion.refused() {
            None => prop_assert!(alternatives.is_empty(), "let in already"),
            Some(refused) if refused.temporary => prop_assert!(alternatives.is_empty(), "waiting is the answer"),
            Some(_) => {}
        }
        for alternative in &alternatives {
            let mut forms = vec![question.clone()];
            for remedy in alternative {
                forms = forms.iter().flat_map(|form| carried_out(&set, form, *remedy)).collect();
            }
            prop_assert!(
                forms.iter().any(|form| is_in(&compiled, form)), "{:?}\n{:#?}\n{:#?}", alternative, set, question
            );
            let context = &question.context;
            for remedy in alternative {
                let stands_in = match remedy {
                    Remedy::LeaveNetwork | Remedy::OtherCountry | Remedy::ApprovedNetwork => {
                        context.address == Fact::Unavailable || context.country == Fact::Unavailable
                    }
                    Remedy::NewerOs
                    | Remedy::RegisteredDevice
                    | Remedy::CompliantDevice
                    | Remedy::HybridJoinedDevice => context.device == Fact::Unavailable,
                    _ => false,
                };
                prop_assert!(!stands_in, "{:?} replaces a fact that is unavailable", alternative);
            }
        }
    }

    /// Those changes that have one form are found whenever they help.
    #[test]
    fn a_single_change_that_helps_is_suggested(bytes in vec(any::<u8>(), 0..400)) {
        let mut choices = Choices::new(&bytes);
        let question = question(&mut choices);
        let set = policy_set(&mut choices, 4);
        let compiled = compile(set.clone());
        let helpless = match evaluate(&set, &question.signals()).conclusion.refused() {
            None => true,
            Some(refused) => refused.temporary,
        };
        let alternatives = find(&compiled, &question);
        for remedy in [Remedy::SignInAgain] {
            let helps = carried_out(&set, &question, remedy).iter().any(|form| is_in(&compiled, form));
            if !helpless && helps {
                prop_assert!(alternatives.contains(&vec![remedy]), "{:?} {:?}\n{:#?}", remedy, alternatives, set);
            }
        }
    }

    /// The moment named is the first: a minute before nobody is let in, and no half hour earlier either.
    #[test]
    fn a_later_time_is_the_earliest_one(bytes in vec(any::<u8>(), 0..400)) {
        let mut choices = Choices::new(&bytes);
        let question = question(&mut choices);
        let set = policy_set(&mut choices, 3);
        let compiled = compile(set.clone());
        for alternative in find(&compiled, &question) {
            if let [Remedy::LaterTime { at }] = alternative.as_slice() {
                let mut earlier = question.clone();
                let steps = (question.now..*at).step_by(1_800).chain([at - 1]);
                for now in steps {
                    earlier.now = now;
                    prop_assert!(!is_in(&compiled, &earlier), "{} before {}\n{:#?}", now, at, set);
                }
            }
        }
    }
}

fn blocked_by(change: impl FnOnce(&mut Conditions)) -> CompiledPolicies {
    let mut choices = Choices::new(&[]);
    let mut set = policy_set(&mut choices, 0);
    let mut block = crate::world::policy(&mut choices, "block");
    block.grant = Grant::Block;
    block.session = SessionControls::default();
    block.conditions = Arc::default();
    change(Arc::make_mut(&mut block.conditions));
    set.policies = vec![block];
    for app in &mut set.apps {
        app.unmatched = Unmatched::Allow;
    }
    compile(set)
}

#[test]
fn a_newer_version_is_suggested_when_the_version_refuses_and_the_device_tells_its_own() {
    let compiled = blocked_by(|conditions| {
        let rule = Rule::parse(r#"device.operatingSystemVersion -lt "10.0.22631""#).unwrap();
        conditions.device = Some(DeviceFilter { mode: FilterMode::Include, rule });
    });
    let on = |version: Option<&'static str>| {
        let mut question = question(&mut Choices::new(&[]));
        question.context.device =
            Fact::Known(Device { operating_system_version: version, ..Device::default() });
        find(&compiled, &question)
    };
    assert_eq!(on(Some("10.0.19045")), [vec![Remedy::NewerOs]]);
    assert!(on(Some("11")).is_empty(), "let in already");
    assert!(on(None).is_empty(), "no version to lie below");
}

#[test]
fn the_first_moment_of_the_next_window_is_suggested_across_a_change_of_the_clock() {
    // Blocked at all times but Monday to Friday 08:00 to 18:00 in Berlin.
    let week = |day: u16, hour: u16| day * 1_440 + hour * 60;
    let windows: Vec<_> = (0..5)
        .map(|day| WeekWindow { start_minute: week(day, 18), end_minute: week((day + 1) % 7, 8) })
        .map(|window| match window.start_minute {
            start if start == week(4, 18) => WeekWindow { start_minute: start, end_minute: week(0, 8) },
            _ => window,
        })
        .collect();
    // Sunday 2026-03-29 01:00 UTC: summer time begins.
    let berlin = TimeZone {
        name: "Europe/Berlin".into(),
        first_offset_secs: 3_600,
        transitions: vec![Transition { at: 1_774_746_000, offset_secs: 7_200 }],
    };
    let compiled = blocked_by(|conditions| {
        conditions.time = Some(TimeCondition { zone: berlin, windows, from: None, until: None });
    });
    let at = |now: i64| {
        let mut question = question(&mut Choices::new(&[]));
        question.now = now;
        find(&compiled, &question)
    };
    // Friday 2026-03-27 20:00 in winter time, for Monday 2026-03-30 08:00 in summer time, 06:00 UTC.
    assert_eq!(at(1_774_638_000), [vec![Remedy::LaterTime { at: 1_774_850_400 }]]);
    // Monday 2026-01-19 19:00, for Tuesday 08:00.
    assert_eq!(at(1_768_845_600), [vec![Remedy::LaterTime { at: 1_768_892_400 }]]);
    let far = blocked_by(|conditions| {
        conditions.time = Some(TimeCondition {
            zone: TimeZone { name: "UTC".into(), first_offset_secs: 0, transitions: vec![] },
            windows: vec![],
            from: None,
            until: Some(NOW + 8 * 86_400),
        });
    });
    let mut question = question(&mut Choices::new(&[]));
    question.now = NOW;
    assert!(find(&far, &question).is_empty(), "more than seven days ahead");
    question.now = NOW + 2 * 86_400;
    assert_eq!(find(&far, &question), [vec![Remedy::LaterTime { at: NOW + 8 * 86_400 }]]);
}
