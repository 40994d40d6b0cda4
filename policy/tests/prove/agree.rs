//! The engine is held against the reference: the same outcome, reasons, results and limits, for every
//! generated set and question. `PORTCULLIS_CASES` asks for more cases than the usual 10,000.

use crate::world::{
    Choices, Question, applied, ask, cases, compile, conclusion, policy_set, question, rules,
};
use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_policy::PolicySet;
use portcullis_policy::decision::ReasonCode;
use portcullis_policy::model::{
    DeviceFilter, FilterMode, Grant, Policy, PolicyState, SessionControls, Subjects, Targets, UserSelector,
};
use portcullis_policy::reference::{Conclusion, Finding, Part, Tri, evaluate};
use portcullis_policy::signals::{AppIndex, Identity};
use proptest::collection::vec;
use proptest::prelude::*;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, ..ProptestConfig::default() }
}

fn agree(set: &PolicySet, questions: &[Question]) -> Result<(), TestCaseError> {
    let compiled = compile(set.clone());
    for question in questions {
        let decision = ask(&compiled, question);
        let reference = evaluate(set, &question.signals());
        prop_assert_eq!(conclusion(&decision), reference.conclusion, "{:#?}\n{:#?}", set, question);
        let expected: Vec<_> = reference.applied().collect();
        prop_assert_eq!(applied(&decision), expected, "{:#?}\n{:#?}", set, question);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(cases()))]

    #[test]
    fn the_engine_decides_as_the_reference_does(
        of_set in vec(any::<u8>(), 0..400), of_questions in vec(any::<u8>(), 0..240),
    ) {
        let set = policy_set(&mut Choices::new(&of_set), 6);
        let mut choices = Choices::new(&of_questions);
        let questions: Vec<_> = (0..4).map(|_| question(&mut choices)).collect();
        agree(&set, &questions)?;
    }

    /// The rule language against an evaluator that shares nothing with it but the text.
    #[test]
    fn a_rule_matches_what_its_text_says(
        of_rule in vec(any::<u8>(), 0..40), of_question in vec(any::<u8>(), 0..80),
    ) {
        let tree = rules::any_tree(&mut Choices::new(&of_rule), 3);
        let mut question = question(&mut Choices::new(&of_question));
        question.target.app = AppIndex(question.target.app.0 % 3);
        let mut set = policy_set(&mut Choices::new(&[]), 0);
        let attributes = set.apps[question.target.app.0 as usize].attributes.clone();
        let expected = tree.holds(&question.signals(), &attributes);
        let filtered = Policy {
            id: portcullis_policy::model::PolicyId::new("filtered").unwrap(),
            name: String::new(),
            state: PolicyState::Enabled,
            subjects: Subjects::Users(portcullis_policy::model::Users {
                include: vec![UserSelector::All], exclude: vec![],
            }).into(),
            targets: Targets::Apps(portcullis_policy::model::Apps {
                include: vec![portcullis_policy::model::AppSelector::All], ..Default::default()
            }).into(),
            conditions: Default::default(),
            grant: Grant::Block,
            session: SessionControls::default(),
        };
        let is_person = matches!(question.principal.identity, Identity::User { .. });
        for (mode, by_claims) in [(FilterMode::Include, true), (FilterMode::Include, false), (FilterMode::Exclude, false)] {
            let mut policy = filtered.clone();
            if by_claims {
                Arc::make_mut(&mut policy.conditions).claims = Some(tree.rule());
            } else {
                Arc::make_mut(&mut policy.conditions).device = Some(DeviceFilter { mode, rule: tree.rule() });
            }
            set.policies = vec![policy];
            let applies = match (expected, mode) {
                _ if !is_person => Tri::No,
                (None, _) => Tri::Maybe,
                (Some(true), FilterMode::Include) | (Some(false), FilterMode::Exclude) => Tri::Yes,
                (Some(false), FilterMode::Include) | (Some(true), FilterMode::Exclude) => Tri::No,
            };
            let found = evaluate(&set, &question.signals()).findings[0].applies;
            prop_assert_eq!(found, applies, "{:?} {:#?}", tree, question);
            let refused = conclusion(&ask(&compile(set.clone()), &question));
            let temporary = match refused {
                Conclusion::Block(refused) => refused.temporary,
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(temporary, applies == Tri::Maybe, "{:?} {:#?}", tree, question);
        }
    }
}

proptest! {
    #![proptest_config(config(cases() / 20))]

    /// So many that results spill, bit sets have several words, and an app's policies are spread.
    #[test]
    fn the_engine_decides_as_the_reference_does_over_many_policies(
        of_set in vec(any::<u8>(), 1_000..6_000), of_questions in vec(any::<u8>(), 120),
    ) {
        let set = policy_set(&mut Choices::new(&of_set), 200);
        let mut choices = Choices::new(&of_questions);
        let questions: Vec<_> = (0..2).map(|_| question(&mut choices)).collect();
        agree(&set, &questions)?;
    }
}

/// A generator that never reaches a corner proves nothing about it.
#[test]
fn the_generated_worlds_reach_every_reason_result_and_part() {
    let (mut reasons, mut results, mut parts) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut outcomes, mut temporary, mut granted_in_doubt) = (BTreeSet::new(), 0, 0);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = || {
        // xorshift: any fixed sequence will do, as long as it is the same in every run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    for _ in 0..3_000 {
        let bytes: Vec<u8> = (0..500).map(|_| byte()).collect();
        let mut choices = Choices::new(&bytes);
        let set = policy_set(&mut choices, 6);
        let question = question(&mut choices);
        let evaluation = evaluate(&set, &question.signals());
        outcomes.insert(evaluation.conclusion.as_str());
        results.extend(evaluation.findings.iter().map(|finding| finding.result.as_str()));
        parts.extend(evaluation.findings.iter().filter_map(Finding::ruled_out_by));
        match evaluation.conclusion.refused() {
            Some(refused) => {
                reasons.extend(refused.reasons.iter());
                temporary += usize::from(refused.temporary);
            }
            None => {
                let doubt = |finding: &&Finding| finding.applies == Tri::Maybe;
                granted_in_doubt += evaluation.findings.iter().filter(doubt).count();
            }
        }
    }
    // The last reason belongs to a scope of another load, which no evaluation has.
    let all = ReasonCode::ALL.into_iter().filter(|reason| *reason != ReasonCode::FactUnavailable);
    assert_eq!(reasons, all.collect());
    assert_eq!(parts, Part::ALL.into_iter().collect());
    assert_eq!(outcomes, ["block", "challenge", "deny", "grant"].into());
    assert_eq!(results.len(), 9, "{results:?}");
    assert!(temporary >= 50 && granted_in_doubt >= 5, "{temporary} {granted_in_doubt}");
}
