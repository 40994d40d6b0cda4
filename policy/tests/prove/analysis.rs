//! What `analyze` claims of a set, tried with questions that it did not choose.

use std::sync::Arc;

use portcullis_policy::analyze::{IssueKind, analyze};
use portcullis_policy::model::*;
use portcullis_policy::path::PathCase;
use portcullis_policy::reference::{Conclusion, Tri, evaluate};
use portcullis_policy::rule::Rule;
use portcullis_policy::signals::{AppIndex, Identity, Signals};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::{self, Choices, NOW, cases, policy_set, question};

proptest! {
    #![proptest_config(ProptestConfig { cases: cases() / 20, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_to_never_apply_or_to_be_covered_is_so(
        of_set in vec(any::<u8>(), 0..300), of_questions in vec(any::<u8>(), 2_000),
    ) {
        let set = policy_set(&mut Choices::new(&of_set), 4);
        let issues = analyze(&set, NOW - 7_200);
        let mut choices = Choices::new(&of_questions);
        for _ in 0..30 {
            let question = question(&mut choices);
            let findings = evaluate(&set, &question.signals()).findings;
            let applies = |at: usize| findings.get(at).map(|finding| finding.applies);
            for issue in &issues {
                let at = |position: usize| applies(issue.policies[position].0 as usize);
                match issue.kind {
                    IssueKind::NeverApplies => {
                        prop_assert_ne!(at(0), Some(Tri::Yes), "{} {:#?}\n{:#?}", issue.what, set, question);
                    }
                    IssueKind::Shadowed | IssueKind::Redundant if at(0) == Some(Tri::Yes) => {
                        prop_assert_eq!(at(1), Some(Tri::Yes), "{} {:#?}\n{:#?}", issue.what, set, question);
                    }
                    _ => {}
                }
            }
        }
        let compiled = world::compile(set.clone());
        for issue in &issues {
            prop_assert_eq!(issue.witness.is_none(), issue.kind == IssueKind::NeverApplies);
            if let Some(witness) = &issue.witness {
                let context = witness.client_context();
                let signals = witness.signals(&context);
                let conclusion = evaluate(&set, &signals).conclusion;
                prop_assert_eq!(Some(conclusion), issue.conclusion);
                let scope = compiled.bind(&witness.principal);
                prop_assert_eq!(Conclusion::from(&compiled.decide(&scope, &signals).outcome), conclusion);
            }
            prop_assert!(!matches!(issue.kind, IssueKind::Unfinished | IssueKind::Disputed), "{}", issue.what);
        }
    }

    /// Nobody slips through unseen: whom no enforced policy of an app speaks of, and who may use it, has a
    /// finding of that app. The reverse: who is found is spoken of by none.
    #[test]
    fn people_whom_no_policy_speaks_of_are_found(
        of_set in vec(any::<u8>(), 0..300), of_questions in vec(any::<u8>(), 2_000),
    ) {
        let mut set = policy_set(&mut Choices::new(&of_set), 5);
        for policy in &mut set.policies {
            policy.conditions = Arc::default();
            if matches!(*policy.targets, Targets::Contexts(_)) {
                policy.state = PolicyState::Disabled;
            }
        }
        let issues = analyze(&set, NOW);
        let uncovered = |signals: &Signals<'_>| {
            let evaluation = evaluate(&set, signals);
            let silent = evaluation.findings.iter().zip(&set.policies).all(|(finding, policy)| {
                policy.state != PolicyState::Enabled || finding.applies == Tri::No
            });
            evaluation.assigned == Tri::Yes && silent
        };
        let about = |app: AppIndex| {
            let kinds = [IssueKind::AppUncovered, IssueKind::PeopleUncovered];
            issues.iter().filter(move |issue| issue.app == Some(app) && kinds.contains(&issue.kind))
        };
        let mut choices = Choices::new(&of_questions);
        for _ in 0..30 {
            let question = question(&mut choices);
            let person = matches!(question.principal.standing.identity, Identity::User { .. });
            let app = question.target.app;
            if person && (app.0 as usize) < set.apps.len() && uncovered(&question.signals()) {
                prop_assert!(about(app).next().is_some(), "{:#?}\n{:#?}", set, question.principal);
            }
        }
        for issue in (0..set.apps.len()).flat_map(|app| about(AppIndex(app as u32))) {
            let speaks = issue.witness.as_ref().map(|witness| {
                let question = world::Question {
                    principal: witness.principal.clone(), ..question(&mut Choices::new(&[]))
                };
                let signals = Signals { target: witness.target, ..question.signals() };
                issue.kind == IssueKind::PeopleUncovered && !uncovered(&signals)
            });
            prop_assert_eq!(speaks, Some(false), "{}", issue.what);
        }
    }
}

#[test]
fn a_policy_about_more_kinds_of_guests_is_not_covered_by_one_about_fewer() {
    let guests = |kinds: &[GuestKind], tenants| {
        let guests = Guests { kinds: kinds.iter().copied().collect(), tenants };
        Subjects::Users(Users { include: vec![UserSelector::Guests(guests)], exclude: vec![] })
    };
    let (one, two) = (GuestKind::B2bCollaborationGuest, GuestKind::ServiceProvider);
    let only = || Tenants::Only(vec!["tenant-a".into()]);
    for (narrow, wide, covered) in [
        (guests(&[one, two], Tenants::Any), guests(&[one], Tenants::Any), false),
        (guests(&[one], Tenants::Any), guests(&[one, two], Tenants::Any), true),
        (guests(&[one], Tenants::Any), guests(&[one], only()), false),
        (guests(&[one], only()), guests(&[one], Tenants::Any), true),
    ] {
        let kinds = kinds(|policies| {
            policies[0].subjects = narrow.clone().into();
            let mut block = policies[0].clone();
            block.subjects = wide.clone().into();
            block.grant = Grant::Block;
            policies.push(block);
        });
        assert_eq!(kinds.contains(&IssueKind::Shadowed), covered, "{narrow:?} {wide:?}");
    }
}

fn kinds(change: impl FnOnce(&mut Vec<Policy>)) -> Vec<IssueKind> {
    let mut set = policy_set(&mut Choices::new(&[]), 0);
    let mut base = world::policy(&mut Choices::new(&[]), "base");
    base.grant = Grant::Require { operator: Operator::And, controls: vec![Control::Mfa] };
    base.session = SessionControls::default();
    set.policies = vec![base];
    change(&mut set.policies);
    for (position, policy) in set.policies.iter_mut().enumerate() {
        policy.id = PolicyId::new(format!("p{position}")).unwrap();
    }
    let mut kinds: Vec<_> = analyze(&set, NOW).iter().map(|issue| issue.kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

fn device(mode: FilterMode, rule: &str) -> Option<DeviceFilter> {
    Some(DeviceFilter { mode, rule: Rule::parse(rule).unwrap() })
}

#[test]
fn each_kind_of_finding_has_a_set_that_shows_it_and_a_sound_set_shows_none() {
    assert_eq!(kinds(|_| {}), []);
    let never = kinds(|policies| {
        let mut dead = policies[0].clone();
        Arc::make_mut(&mut dead.conditions).locations = Some(Locations {
            include: vec![LocationSelector::Named("office".into())],
            exclude: vec![LocationSelector::AllTrusted],
        });
        policies.push(dead);
    });
    assert_eq!(never, [IssueKind::NeverApplies]);
    let shut = kinds(|policies| policies[0].grant = Grant::Block);
    assert_eq!(shut, [IssueKind::LockOut]);
    let shadowed = kinds(|policies| {
        let mut block = policies[0].clone();
        block.grant = Grant::Block;
        policies.push(block);
    });
    assert_eq!(shadowed, [IssueKind::Shadowed, IssueKind::LockOut]);
    let redundant = kinds(|policies| {
        let mut more = policies[0].clone();
        more.grant = Grant::Require {
            operator: Operator::And,
            controls: vec![Control::CompliantDevice, Control::Mfa],
        };
        policies.push(more);
    });
    assert_eq!(redundant, [IssueKind::Redundant]);
    let contradiction = kinds(|policies| {
        policies[0].grant =
            Grant::Require { operator: Operator::And, controls: vec![Control::CompliantDevice] };
        let mut block = policies[0].clone();
        block.grant = Grant::Block;
        Arc::make_mut(&mut block.conditions).device =
            device(FilterMode::Include, "device.isCompliant -eq True");
        if let Subjects::Users(users) = Arc::make_mut(&mut block.subjects) {
            users.exclude = vec![UserSelector::Group("emergency-access".into())];
        }
        policies.push(block);
    });
    assert_eq!(contradiction, [IssueKind::Contradiction]);
    let unsatisfiable = kinds(|policies| {
        policies[0].grant = Grant::Require {
            operator: Operator::And,
            controls: vec![Control::Strength("impossible".into())],
        };
    });
    assert_eq!(unsatisfiable, [IssueKind::Unsatisfiable]);
    let changeable = kinds(|policies| {
        let mut named = policies[0].clone();
        named.grant = Grant::Require {
            operator: Operator::And,
            controls: vec![Control::TermsOfUse("terms-2026".into())],
        };
        Arc::make_mut(&mut named.conditions).device =
            device(FilterMode::Include, r#"device.displayName -startsWith "KIOSK""#);
        policies.push(named);
    });
    assert_eq!(changeable, [IssueKind::ChangeableDevice]);
    assert_eq!(kinds(Vec::clear), [IssueKind::AppUncovered]);
    let people = kinds(|policies| {
        policies[0].subjects =
            Subjects::Users(Users { include: vec![UserSelector::Group("sales".into())], exclude: vec![] })
                .into();
    });
    assert_eq!(people, [IssueKind::PeopleUncovered]);
}

/// What is found of one policy with these rules, beside one that asks everybody for two factors.
fn of_rules(filter: Option<(FilterMode, &str)>, claims: Option<&str>) -> Vec<IssueKind> {
    kinds(|policies| {
        let mut ruled = policies[0].clone();
        ruled.grant = Grant::Block;
        if let Subjects::Users(users) = Arc::make_mut(&mut ruled.subjects) {
            users.exclude = vec![UserSelector::Group("emergency-access".into())];
        }
        let conditions = Arc::make_mut(&mut ruled.conditions);
        conditions.device = filter.and_then(|(mode, rule)| device(mode, rule));
        conditions.claims = claims.map(|rule| Rule::parse(rule).unwrap());
        policies.push(ruled);
    })
}

/// An exclusion compares with case: in another spelling the same page is met.
#[test]
fn a_policy_that_another_spelling_of_its_page_meets_is_not_called_dead() {
    let found = kinds(|policies| {
        let mut spared = policies[0].clone();
        spared.grant = Grant::Block;
        Arc::make_mut(&mut spared.conditions).request = Some(RequestCondition {
            methods: Vec::new(),
            paths: vec![PathPattern::Subtree("/admin".into())],
            exclude_paths: vec![PathPattern::Subtree("/admin".into())],
        });
        policies.push(spared);
    });
    assert!(!found.contains(&IssueKind::NeverApplies), "{found:?}");
}

#[test]
fn a_policy_that_meets_a_page_of_an_app_that_takes_case_otherwise_is_not_called_dead() {
    let mut set = policy_set(&mut Choices::new(&[]), 0);
    let mut policy = world::policy(&mut Choices::new(&[]), "p0");
    policy.grant = Grant::Block;
    Arc::make_mut(&mut policy.conditions).request = Some(RequestCondition {
        methods: Vec::new(),
        paths: vec![PathPattern::Exact("/admin".into())],
        exclude_paths: vec![PathPattern::Subtree("/ADMIN".into())],
    });
    set.policies = vec![policy];
    let is_dead =
        |set: &PolicySet| analyze(set, NOW).iter().any(|issue| issue.kind == IssueKind::NeverApplies);
    for app in &mut set.apps {
        app.paths = PathCase::Insensitive;
    }
    assert!(is_dead(&set), "the counterpart: every app takes both for one page");
    set.apps.last_mut().unwrap().paths = PathCase::Sensitive;
    assert!(!is_dead(&set));
}

#[test]
fn a_live_rule_is_never_called_dead_whatever_it_asks_for() {
    use FilterMode::{Exclude, Include};
    for (mode, rule) in [
        (Include, r#"device.extensionAttribute1 -eq "SAW""#),
        (Exclude, r#"device.extensionAttribute1 -ne "SAW""#),
        (Include, r#"device.extensionAttribute1 -eq "SAW" -and device.isCompliant -ne True"#),
        (Include, r#"device.extensionAttribute1 -eq "SAW" -and device.extensionAttribute15 -startsWith "x""#),
        (
            Include,
            r#"device.operatingSystemVersion -startsWith "10.0" -and device.operatingSystem -eq "Windows""#,
        ),
        (
            Include,
            r#"device.operatingSystemVersion -startsWith "10.0" -and device.operatingSystemVersion -lt "10.0.22000""#,
        ),
        (
            Include,
            r#"device.operatingSystemVersion -ge "10.0.19045" -and device.operatingSystemVersion -lt "10.0.22631""#,
        ),
        (
            Include,
            r#"device.model -startsWith "Surface" -and device.model -endsWith "9" -and device.model -contains "Pro" -and device.model -notContains "Hub""#,
        ),
        (
            Include,
            r#"device.manufacturer -in ["Contoso", "Fabrikam"] -and device.deviceOwnership -eq "Company" -and device.trustType -ne "Workplace""#,
        ),
        (
            Include,
            r#"device.physicalIds -any (_ -startsWith "[OrderID]:") -and device.systemLabels -contains "AutopilotDevice""#,
        ),
        (
            Include,
            r#"device.physicalIds -all (_ -endsWith "1") -and device.profileType -eq "RegisteredDevice""#,
        ),
        (Include, r#"user.department -eq "Sales" -and device.enrollmentProfileName -startsWith "Kiosk""#),
        (Exclude, r#"device.displayName -eq null"#),
    ] {
        let found = of_rules(Some((mode, rule)), None);
        assert!(!found.contains(&IssueKind::NeverApplies), "{rule}: {found:?}");
    }
    for rule in [
        r#"user.department -eq "Sales""#,
        r#"user.department -startsWith "S" -and user.level -ge "2""#,
        r#"user.projects -contains "apollo" -and user.projects -contains "gemini""#,
        r#"user.projects -any (_ -startsWith "apo")"#,
        r#"user.verified -eq True"#,
        r#"user.level -eq "3" -and request.method -eq "DELETE" -and request.path -startsWith "/vault""#,
        r#"user.department -eq "Sales" -and device.extensionAttribute1 -eq "SAW""#,
    ] {
        let found = of_rules(Some((Include, r#"device.extensionAttribute1 -ne "kiosk""#)), Some(rule));
        assert!(!found.contains(&IssueKind::NeverApplies), "{rule}: {found:?}");
    }
}

#[test]
fn a_rule_is_called_dead_only_where_everything_was_tried() {
    use FilterMode::{Exclude, Include};
    for (mode, rule) in [
        (Include, r#"device.model -eq "A" -and device.model -eq "B""#),
        (Include, r#"device.model -startsWith "A" -and device.model -notStartsWith "A""#),
        (Include, r#"device.isCompliant -eq True -and device.isCompliant -eq False"#),
        (Exclude, r#"device.model -eq "A" -or device.model -ne "A""#),
        (Include, r#"device.systemLabels -contains "A" -and device.systemLabels -notContains "A""#),
        (Include, r#"device.extensionAttribute1 -eq "A" -and device.extensionAttribute1 -eq null"#),
    ] {
        assert_eq!(of_rules(Some((mode, rule)), None), [IssueKind::NeverApplies], "{rule}");
    }
    // Dead, but what was tried is not all there is: nothing is said.
    for rule in [
        r#"device.operatingSystemVersion -lt "1" -and device.operatingSystemVersion -gt "2""#,
        r#"request.method -eq "NONE" -and request.method -eq "OTHER""#,
    ] {
        assert_eq!(of_rules(Some((Include, rule)), None), [], "{rule}");
    }
    let two = r#"user.department -eq "a" -and user.department -ne "a""#;
    assert_eq!(of_rules(None, Some(two)), []);
    // More combinations than are tried.
    let wide = (1..=15).map(|number| {
        format!("device.extensionAttribute{number} -contains \"a\" -and device.extensionAttribute{number} -contains \"b\"")
    });
    let wide =
        wide.collect::<Vec<_>>().join(" -and ") + " -and device.model -eq \"A\" -and device.model -eq \"B\"";
    assert_eq!(of_rules(Some((Include, &wide)), None), []);
}

#[test]
fn one_client_or_class_that_meets_two_demands_at_once_is_found() {
    let demand = |both: bool, controls: Vec<Control>| {
        let mut set = policy_set(&mut Choices::new(&[]), 0);
        let mut base = world::policy(&mut Choices::new(&[]), "base");
        base.grant = Grant::Require { operator: Operator::And, controls };
        base.session = SessionControls::default();
        set.policies = vec![base];
        set.evidence.mfa_methods = vec![];
        set.evidence.mfa_contexts = vec![];
        set.evidence.mfa_acrs = vec!["gold".into(), "silver".into()];
        set.evidence.approved_clients = vec!["a".into(), "b".into()];
        set.evidence.protected_clients = vec![if both { "b".into() } else { "c".into() }];
        set.strengths = vec![AuthenticationStrength {
            name: "hard".into(),
            combinations: vec![],
            acrs: vec![if both { "silver".into() } else { "bronze".into() }],
            contexts: vec![],
        }];
        let kinds: Vec<_> = analyze(&set, NOW).iter().map(|issue| issue.kind).collect();
        kinds.contains(&IssueKind::Unsatisfiable)
    };
    let clients = || vec![Control::ApprovedClientApp, Control::AppProtection];
    let classes = || vec![Control::Mfa, Control::Strength("hard".into())];
    assert!(!demand(true, clients()) && demand(false, clients()));
    assert!(!demand(true, classes()) && demand(false, classes()));
}
