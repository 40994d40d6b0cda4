//! Sentences that hold of any set and any question, whatever the engine looks like inside.

use std::ops::ControlFlow;
use std::sync::Arc;

use portcullis_policy::PolicySet;
use portcullis_policy::decision::SessionLimits;
use portcullis_policy::model::*;
use portcullis_policy::reference::{Conclusion, FindingResult, Tri, evaluate};
use portcullis_policy::signals::*;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::{self, Choices, Question, applied, ask, cases, compile, conclusion, policy_set, question};

fn decided(set: &PolicySet, question: &Question) -> Conclusion {
    conclusion(&ask(&compile(set.clone()), question))
}

const fn is_in(conclusion: &Conclusion) -> bool {
    matches!(conclusion, Conclusion::Grant(_))
}

/// Whether `left` limits a session at least as much as `right`.
fn limits_as_much(left: &SessionLimits, right: &SessionLimits) -> bool {
    let until = |limits: &SessionLimits| limits.sign_in_until.unwrap_or(i64::MAX);
    let rank = |limits: &SessionLimits| match limits.persistent_browser {
        None => 0,
        Some(Persistence::Always) => 1,
        Some(Persistence::Never) => 2,
    };
    until(left) <= until(right) && rank(left) >= rank(right)
}

/// The same question with every unavailable fact answered, as well as that can be drawn.
fn answered(question: &Question, choices: &mut Choices<'_>) -> Question {
    fn settle<T>(fact: &mut Fact<T>, choices: &mut Choices<'_>, make: impl FnOnce(&mut Choices<'_>) -> T) {
        if matches!(fact, Fact::Unavailable) {
            *fact = if choices.one_in(4) { Fact::Unknown } else { Fact::Known(make(choices)) };
        }
    }
    let mut whole = question.clone();
    // A second question lends its facts; those that it lacks are known here.
    let lender = loop_until_known(choices);
    settle(&mut whole.principal.standing_mut().groups, choices, |choices| {
        vec![choices.of(&["engineering", "sales", "emergency-access"]).to_owned()]
    });
    settle(&mut whole.principal.standing_mut().roles, choices, |_| vec!["reader".to_owned()]);
    let context = &mut whole.context;
    settle(&mut context.address, choices, |_| lender.address.known().unwrap());
    settle(&mut context.country, choices, |_| lender.country.known().unwrap());
    settle(&mut context.platform, choices, |_| lender.platform.known().unwrap());
    settle(&mut context.client_app, choices, |_| lender.client_app.known().unwrap());
    settle(&mut context.device, choices, |_| lender.device.known().unwrap());
    for risk in [
        &mut context.sign_in_risk,
        &mut context.user_risk,
        &mut context.insider_risk,
        &mut context.service_principal_risk,
    ] {
        settle(risk, choices, |choices| choices.of(&RiskLevel::ALL));
    }
    whole
}

/// Circumstances of which everything that `answered` lends is known.
fn loop_until_known(choices: &mut Choices<'_>) -> ClientContext<'static> {
    let drawn = (0..16).try_for_each(|_| {
        let context = world::context(choices);
        let all = context.address.known().is_some()
            && context.country.known().is_some()
            && context.platform.known().is_some()
            && context.client_app.known().is_some()
            && context.device.known().is_some();
        if all { ControlFlow::Break(context) } else { ControlFlow::Continue(()) }
    });
    drawn.break_value().unwrap_or(ClientContext {
        address: Fact::Known("203.0.113.9".parse().unwrap()),
        country: Fact::Known(CountryCode::new("DE").unwrap()),
        platform: Fact::Known(Platform::Windows),
        client_app: Fact::Known(ClientAppType::Browser),
        device: Fact::Known(Device { compliant: Some(true), ..Device::default() }),
        ..ClientContext::UNKNOWN
    })
}

fn drawn(bytes: &[u8]) -> (PolicySet, Question, Choices<'_>) {
    let mut choices = Choices::new(bytes);
    let question = question(&mut choices);
    let set = policy_set(&mut choices, 5);
    (set, question, choices)
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..500)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases() / 2, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_policies_changes_nothing(bytes in bytes(), turn in 0_usize..6, mirror: bool) {
        let (set, question, _) = drawn(&bytes);
        let mut other = set.clone();
        let turn = turn.min(other.policies.len());
        other.policies.rotate_left(turn);
        if mirror {
            other.policies.reverse();
        }
        let (left, right) = (ask(&compile(set.clone()), &question), ask(&compile(other.clone()), &question));
        prop_assert_eq!(conclusion(&left), conclusion(&right));
        let named = |set: &PolicySet, decision| {
            let name = |(index, result): (portcullis_policy::decision::PolicyIndex, _)| {
                (set.policies[index.0 as usize].id.clone(), result)
            };
            let mut results: Vec<_> = applied(decision).into_iter().map(name).collect();
            results.sort_by(|left, right| left.0.cmp(&right.0));
            results
        };
        prop_assert_eq!(named(&set, &left), named(&other, &right));
    }

    #[test]
    fn one_more_block_policy_never_lets_more_in(bytes in bytes()) {
        let (mut set, question, mut choices) = drawn(&bytes);
        let before = decided(&set, &question);
        let mut block = world::policy(&mut choices, "one-more");
        block.grant = Grant::Block;
        block.state = PolicyState::Enabled;
        set.policies.push(block);
        let after = decided(&set, &question);
        prop_assert!(is_in(&before) || !is_in(&after), "{:#?}\n{:#?}", set, question);
    }

    /// True of any policy where the app lets in what no policy speaks of. Where it refuses that, a
    /// policy that grants is also what opens the door, so there it is true of block policies only.
    #[test]
    fn one_more_exclude_never_refuses_more_unless_the_policy_opened_the_door(bytes in bytes()) {
        let (mut set, question, mut choices) = drawn(&bytes);
        let blocks_only = choices.one_in(2);
        if !blocks_only {
            for app in &mut set.apps {
                app.unmatched = Unmatched::Allow;
            }
        }
        let mut spared = set.clone();
        let added = world::user_selector(&mut choices);
        for policy in &mut spared.policies {
            if let Subjects::Users(users) = Arc::make_mut(&mut policy.subjects)
                && (!blocks_only || policy.grant == Grant::Block)
            {
                users.exclude.push(added.clone());
            }
        }
        let (before, after) = (decided(&set, &question), decided(&spared, &question));
        // An exclude can end the only block and so show the demands behind it; it never shuts.
        // A block policy counts as speaking for the app, but it never opened the door.
        prop_assert!(!is_in(&before) || is_in(&after), "{:#?}\n{:#?}", set, question);
    }

    #[test]
    fn report_only_policies_never_change_the_outcome(bytes in bytes()) {
        let (mut set, question, _) = drawn(&bytes);
        let with = ask(&compile(set.clone()), &question);
        set.policies.retain(|policy| policy.state != PolicyState::ReportOnly);
        prop_assert_eq!(conclusion(&with), decided(&set, &question));
    }

    /// They are tried as they would be enforced: a report-only policy says what it would have said.
    #[test]
    fn a_report_only_policy_records_what_it_would_do_enforced(bytes in bytes()) {
        let (mut set, question, _) = drawn(&bytes);
        let enforced = evaluate(&set, &question.signals());
        for policy in &mut set.policies {
            if policy.state == PolicyState::Enabled {
                policy.state = PolicyState::ReportOnly;
            }
        }
        let watched = ask(&compile(set.clone()), &question);
        let word = |result: &str| match result {
            "failure" => "reportOnlyFailure".to_owned(),
            "success" => "reportOnlySuccess".to_owned(),
            "interrupted" => "reportOnlyInterrupted".to_owned(),
            other => other.to_owned(),
        };
        let expected: Vec<_> =
            enforced.applied().map(|(policy, result)| (policy, word(result.as_str()))).collect();
        let found: Vec<_> =
            applied(&watched).into_iter().map(|(policy, result)| (policy, result.as_str().to_owned())).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_disabled_policy_is_invisible(bytes in bytes()) {
        let (set, question, _) = drawn(&bytes);
        let mut without = set.clone();
        without.policies.retain(|policy| policy.state != PolicyState::Disabled);
        let (left, right) = (ask(&compile(set.clone()), &question), ask(&compile(without.clone()), &question));
        prop_assert_eq!(conclusion(&left), conclusion(&right));
        prop_assert_eq!(applied(&left).len(), applied(&right).len());
    }

    /// Failing closed, said exactly: what is let in while facts are unavailable would be let in whatever
    /// they are, with limits that are no looser.
    #[test]
    fn what_is_let_in_without_a_fact_is_let_in_whatever_the_fact_is(bytes in bytes()) {
        let (set, question, mut choices) = drawn(&bytes);
        if let Conclusion::Grant(limits) = decided(&set, &question) {
            let whole = answered(&question, &mut choices);
            match decided(&set, &whole) {
                Conclusion::Grant(later) => prop_assert!(
                    limits_as_much(&limits, &later), "{:#?}\n{:#?}\n{:#?}", set, question, whole
                ),
                refused => prop_assert!(false, "{:?}\n{:#?}\n{:#?}\n{:#?}", refused, set, question, whole),
            }
        }
    }

    /// No answer says that waiting will not help when it might.
    #[test]
    fn a_refusal_that_is_not_temporary_stands_whatever_the_missing_facts_are(bytes in bytes()) {
        let (set, question, mut choices) = drawn(&bytes);
        if let Some(refused) = decided(&set, &question).refused()
            && !refused.temporary
        {
            let whole = answered(&question, &mut choices);
            prop_assert!(!is_in(&decided(&set, &whole)), "{:#?}\n{:#?}\n{:#?}", set, question, whole);
        }
    }

    /// No answer says to wait for facts that are all there.
    #[test]
    fn with_every_fact_at_hand_no_refusal_is_temporary(bytes in bytes()) {
        let (set, question, mut choices) = drawn(&bytes);
        let whole = answered(&question, &mut choices);
        if let Some(refused) = decided(&set, &whole).refused() {
            prop_assert!(!refused.temporary, "{:#?}\n{:#?}", set, whole);
        }
        let evaluation = evaluate(&set, &whole.signals());
        prop_assert!(evaluation.findings.iter().all(|finding| finding.applies != Tri::Maybe));
    }

    /// Policies are combined by AND: those that grant each by itself grant together.
    #[test]
    fn a_set_lets_in_what_each_of_its_policies_lets_in(bytes in bytes()) {
        let (mut set, question, _) = drawn(&bytes);
        for app in &mut set.apps {
            app.unmatched = Unmatched::Allow;
        }
        let alone = set.policies.iter().all(|policy| {
            is_in(&decided(&PolicySet { policies: vec![policy.clone()], ..set.clone() }, &question))
        });
        if !set.policies.is_empty() {
            prop_assert_eq!(is_in(&decided(&set, &question)), alone);
        }
    }

    /// The part that is reported to have ruled a policy out did so: with it alone the policy does not apply.
    #[test]
    fn a_policy_that_did_not_apply_names_what_ruled_it_out(bytes in bytes()) {
        let (set, question, _) = drawn(&bytes);
        for finding in evaluate(&set, &question.signals()).findings {
            let quiet = matches!(
                finding.result,
                FindingResult::NotApplied | FindingResult::ReportOnlyNotApplied | FindingResult::NotEnabled
            );
            prop_assert_eq!(quiet, finding.ruled_out_by().is_some(), "{:?}", finding);
        }
    }
}
