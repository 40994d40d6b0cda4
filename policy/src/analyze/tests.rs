//! How a search ends that takes more steps than it has.

use alloc::sync::Arc;

use super::*;
use crate::model::{AppSelector, Apps, Control, PolicyId, Users};
use crate::path::PathCase;

/// Policies in pairs of which each is redundant beside the other.
fn equal_policies(count: usize) -> PolicySet {
    let policy = |number: usize| Policy {
        id: PolicyId::new(format!("p{number}")).unwrap(),
        name: String::new(),
        state: PolicyState::Enabled,
        subjects: Subjects::Users(Users {
            include: Vec::from([UserSelector::Group(format!("g{}", number / 2))]),
            exclude: Vec::new(),
        })
        .into(),
        targets: Targets::Apps(Apps { include: Vec::from([AppSelector::All]), ..Apps::default() }).into(),
        conditions: Conditions::default().into(),
        grant: Grant::Require { operator: Operator::And, controls: Vec::from([Control::Mfa]) },
        session: SessionControls::default(),
    };
    let app = |id: &str| App {
        id: id.into(),
        groups: Vec::new(),
        attributes: Vec::new(),
        assigned: None,
        unmatched: Unmatched::Deny,
        paths: PathCase::Unknown,
    };
    PolicySet {
        policies: (0..count).map(policy).collect(),
        apps: Vec::from([app("wiki"), app("payroll")]),
        ..PolicySet::default()
    }
}

fn kinds(issues: &[Issue]) -> Vec<(IssueKind, String)> {
    issues.iter().map(|issue| (issue.kind, issue.what.clone())).collect()
}

#[test]
fn a_search_that_is_cut_short_says_what_was_left_out_and_claims_nothing_of_it() {
    let set = equal_policies(40);
    let whole = kinds(&analyze(&set, 0));
    assert_eq!(whole.len(), 20 + 2, "{whole:?}");
    let mut unfinished = 0;
    for steps in [0, 1, 10, 100, 1_000, 10_000, 30_000, 100_000, 1_000_000] {
        let mut found = analyze_within(&set, 0, steps, steps);
        if found.last().is_some_and(|issue| issue.kind == IssueKind::Unfinished) {
            let left = found.pop().unwrap();
            unfinished += 1;
            for issue in &found {
                assert!(!issue.policies.first().is_some_and(|first| left.policies.contains(first)));
            }
            let done = set.policies.len() - left.policies.len();
            let pairs = found.iter().filter(|issue| issue.kind == IssueKind::Redundant);
            assert_eq!(pairs.count(), done / 2, "{steps} steps: {}", left.what);
        } else {
            assert_eq!(kinds(&found), whole);
        }
        assert!(kinds(&found).iter().all(|issue| whole.contains(issue)), "{steps} steps");
    }
    assert!((3..9).contains(&unfinished), "{unfinished}");
}

#[test]
fn large_policies_do_not_starve_the_others() {
    let mut set = equal_policies(4);
    for policy in set.policies.iter_mut().take(2) {
        if let Subjects::Users(users) = Arc::make_mut(&mut policy.subjects) {
            users.include.extend((0..5_000).map(|number| UserSelector::User(format!("u{number}"))));
        }
    }
    let found = analyze_within(&set, 0, 10_000_000, 60_000);
    assert!(found.iter().any(|issue| issue.kind == IssueKind::Redundant && issue.policies[0].0 == 3));
    let left = found.last().unwrap();
    assert_eq!(left.kind, IssueKind::Unfinished);
    // The earlier of the two is not reported, so its search may end at once.
    assert!(
        left.policies.contains(&PolicyIndex(1)) && !left.policies.contains(&PolicyIndex(3)),
        "{}",
        left.what
    );
}
