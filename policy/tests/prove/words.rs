//! What `explain` says in words, and that it says the same as `decide`.

use std::sync::Arc;

use portcullis_policy::explain::explain;
use portcullis_policy::model::*;
use portcullis_policy::reference::Part;
use portcullis_policy::signals::*;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::{self, Choices, applied, ask, cases, compile, conclusion, policy_set, question};

proptest! {
    #![proptest_config(ProptestConfig { cases: cases() / 2, ..ProptestConfig::default() })]

    #[test]
    fn explain_and_decide_agree_on_every_case(bytes in vec(any::<u8>(), 0..500)) {
        let mut choices = Choices::new(&bytes);
        let question = question(&mut choices);
        let set = policy_set(&mut choices, 5);
        let decision = ask(&compile(set.clone()), &question);
        let explanation = explain(&set, &question.signals());
        prop_assert_eq!(conclusion(&decision), explanation.conclusion);
        for (policy, result) in applied(&decision) {
            let explained = explanation.of(policy).unwrap();
            prop_assert_eq!(explained.finding.result.as_str(), result.as_str());
            prop_assert!(explained.finding.ruled_out_by().is_none());
        }
        for explained in &explanation.policies {
            for words in &explained.parts {
                prop_assert!(!words.wanted.is_empty(), "{:?}", words);
                prop_assert!(words.part == Part::State || !words.seen.is_empty(), "{:?}", words);
            }
        }
    }
}

#[test]
fn a_policy_that_did_not_apply_says_what_it_wants_and_what_was_seen() {
    let mut choices = Choices::new(&[]);
    let mut set = policy_set(&mut choices, 0);
    let mut policy = world::policy(&mut choices, "abroad");
    policy.grant = Grant::Block;
    Arc::make_mut(&mut policy.conditions).locations = Some(Locations {
        include: vec![LocationSelector::All],
        exclude: vec![LocationSelector::Named("office".into())],
    });
    let mut demanding = world::policy(&mut choices, "device");
    demanding.session = SessionControls::default();
    demanding.grant =
        Grant::Require { operator: Operator::And, controls: vec![Control::CompliantDevice, Control::Mfa] };
    set.policies = vec![policy, demanding];
    let mut question = question(&mut choices);
    question.context = ClientContext {
        address: Fact::Known("203.0.113.9".parse().unwrap()),
        country: Fact::Known(CountryCode::new("DE").unwrap()),
        device: Fact::Known(Device { compliant: Some(false), ..Device::default() }),
        ..ClientContext::UNKNOWN
    };
    question.principal.standing_mut().sign_in.methods = vec!["mfa".into()];
    let says = |question: &world::Question| {
        let explanation = explain(&set, &question.signals());
        explanation.policies.iter().map(|one| one.sentence()).collect::<Vec<_>>()
    };
    assert_eq!(
        says(&question),
        [
            "did not apply, by location: wants all, except office; saw address 203.0.113.9, country DE, in \
             office, branch, home-countries",
            "applies: failure; compliant-device unmet (a device: compliant no); mfa met (amr mfa, acr none, acrs none)",
        ]
    );
    question.context.address = Fact::Unavailable;
    assert_eq!(says(&question)[0], "is taken to apply, because location is unavailable: failure");
}
