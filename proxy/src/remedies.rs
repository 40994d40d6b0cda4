//! What would let a refused request in, found once for each situation: users who are refused try again, pages load a
//! hundred parts, and a policy that was changed refuses many people at once.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;
use arc_swap::ArcSwapOption;
use portcullis_policy::remedy::{Candidates, Installation, Remedies, STEPS_MAX, find};
use portcullis_policy::{CompiledPolicies, Reading, Scope, Signals};

/// Situations that are remembered at most; a new one takes the place of another.
const SITUATIONS: usize = 1_024;

/// Alternatives that are kept at most.
const ALTERNATIVES: usize = 16;

/// Searches for remedies, and remembers what they found. One for each load of the policies.
pub struct RemedyFinder {
    candidates: Candidates,
    /// Two hashes, so that nobody is told what was found for somebody else.
    hashes: [RandomState; 2],
    slots: Box<[ArcSwapOption<Remembered>]>,
    searches: AtomicU64,
}

/// What was found in one situation.
struct Remembered {
    situation: (u64, u64),
    found_at: i64,
    remedies: Arc<Remedies>,
}

impl fmt::Debug for RemedyFinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemedyFinder").field("searches", &self.searches).finish_non_exhaustive()
    }
}

impl RemedyFinder {
    /// Nothing is remembered yet.
    #[must_use]
    pub fn new(candidates: Candidates) -> Self {
        Self {
            candidates,
            hashes: [RandomState::new(), RandomState::new()],
            slots: (0..SITUATIONS).map(|_| ArcSwapOption::empty()).collect(),
            searches: AtomicU64::new(0),
        }
    }

    /// What would let the request in. `tells_sign_in` is as in [`Installation`].
    ///
    /// # Cost
    /// Where the situation is known, two hashes of what the policies look at, without a lock.
    pub fn find(
        &self,
        policies: &CompiledPolicies,
        scope: &Scope,
        signals: &Signals<'_>,
        readings: &[Reading<'_>],
        tells_sign_in: bool,
    ) -> Arc<Remedies> {
        let hash = |by: &RandomState| {
            let mut state = by.build_hasher();
            state.write_u8(u8::from(tells_sign_in));
            self.candidates.hash_situation(policies, scope, signals, readings, &mut state);
            state.finish()
        };
        let [first, second] = &self.hashes;
        let situation = (hash(first), hash(second));
        let at = usize::try_from(situation.0 % SITUATIONS as u64).unwrap_or_default();
        let slot = self.slots.get(at);
        if let Some(slot) = slot
            && let Some(known) = &*slot.load()
            && known.situation == situation
            && (known.found_at..known.remedies.valid_until).contains(&signals.now)
        {
            return Arc::clone(&known.remedies);
        }
        self.searches.fetch_add(1, Ordering::Relaxed);
        let installation = Installation { candidates: &self.candidates, tells_sign_in, steps_max: STEPS_MAX };
        let mut remedies = find(policies, scope, signals, readings, &installation);
        // The smallest come first, and nobody reads so many.
        remedies.alternatives.truncate(ALTERNATIVES);
        let remedies = Arc::new(remedies);
        if let Some(slot) = slot {
            let found_at = signals.now;
            slot.store(Some(Arc::new(Remembered { situation, found_at, remedies: Arc::clone(&remedies) })));
        }
        remedies
    }

    /// What users could change to.
    #[must_use]
    pub const fn candidates(&self) -> &Candidates {
        &self.candidates
    }

    /// How often it was searched.
    #[must_use]
    pub fn searches(&self) -> u64 {
        self.searches.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portcullis_policy::PolicySet;
    use portcullis_policy::decision::Generation;
    use portcullis_policy::model::{
        App, AppSelector, Apps, Conditions, Grant, LocationSelector, Locations, NamedLocation, PathPattern,
        Place, Policy, PolicyId, PolicyState, RequestCondition, SessionControls, Subjects, Targets,
        TimeCondition, TimeZone, Unmatched, UserSelector, Users,
    };
    use portcullis_policy::path::PathCase;
    use portcullis_policy::remedy::Remedy;
    use portcullis_policy::signals::{
        Action, AppIndex, ClientContext, Fact, Principal, RequestId, Standing, Target,
    };

    use super::*;

    /// Two apps that are open from the office alone; the first tells paths apart.
    fn policies(until: Option<i64>) -> CompiledPolicies {
        let app = |id: &str| App {
            id: id.into(),
            groups: vec![],
            attributes: vec![],
            assigned: None,
            unmatched: Unmatched::Allow,
            paths: PathCase::Unknown,
        };
        let policy = |id: &str, app: AppSelector, conditions: Conditions| Policy {
            id: PolicyId::new(id).unwrap(),
            name: id.into(),
            state: PolicyState::Enabled,
            subjects: Subjects::Users(Users { include: vec![UserSelector::All], exclude: vec![] }).into(),
            targets: Targets::Apps(Apps { include: vec![app], ..Apps::default() }).into(),
            conditions: conditions.into(),
            grant: Grant::Block,
            session: SessionControls::default(),
        };
        let abroad = Locations {
            include: vec![LocationSelector::All],
            exclude: vec![LocationSelector::Named("office".into())],
        };
        let zone = TimeZone { name: "UTC".into(), first_offset_secs: 0, transitions: vec![] };
        let time = until.map(|until| TimeCondition { zone, windows: vec![], from: None, until: Some(until) });
        let paths = vec![PathPattern::Subtree("/secret".into())];
        let set = PolicySet {
            apps: vec![app("paths"), app("plain")],
            locations: vec![NamedLocation {
                name: "office".into(),
                place: Place::Networks { networks: vec!["203.0.113.0/24".parse().unwrap()], trusted: true },
            }],
            policies: vec![
                policy(
                    "abroad",
                    AppSelector::All,
                    Conditions { locations: Some(abroad), time, ..Conditions::default() },
                ),
                policy(
                    "secret",
                    AppSelector::App("paths".into()),
                    Conditions {
                        request: Some(RequestCondition { paths, ..RequestCondition::default() }),
                        ..Conditions::default()
                    },
                ),
            ],
            ..PolicySet::default()
        };
        CompiledPolicies::compile(set, Generation(1)).unwrap()
    }

    /// Asks, and says what was found and how often it was searched so far.
    fn ask(
        (finder, policies): (&RemedyFinder, &CompiledPolicies),
        (user, address): (&str, &str),
        (app, path): (u32, &str),
        now: i64,
    ) -> (Vec<Remedy>, u64) {
        let principal =
            Principal { id: user.into(), auth_time: Some(now - 60), standing: Arc::new(Standing::default()) };
        let context =
            ClientContext { address: Fact::Known(address.parse().unwrap()), ..ClientContext::UNKNOWN };
        let signals = Signals {
            principal: &principal,
            target: Target { app: AppIndex(app), context: None },
            action: Action { method: "GET", path },
            context: &context,
            request_id: RequestId(1),
            now,
        };
        let found = finder.find(policies, &policies.bind(&principal), &signals, &[], true);
        let changes = found.alternatives.first().map_or_else(Vec::new, |one| one.changes.clone());
        (changes, finder.searches())
    }

    #[test]
    fn one_situation_is_searched_once_whoever_is_in_it() {
        let policies = policies(None);
        let finder = RemedyFinder::new(Candidates::new(&policies, None));
        let both = (&finder, &policies);
        let office = vec![Remedy::ApprovedNetwork];
        assert_eq!(ask(both, ("kari", "192.0.2.1"), (1, "/"), 100), (office.clone(), 1));
        for number in 0..100 {
            let path = format!("/part/{number}");
            assert_eq!(ask(both, ("kari", "192.0.2.1"), (1, &path), 101).1, 1, "another part of the page");
        }
        assert_eq!(
            ask(both, ("ola", "198.51.100.7"), (1, "/"), 110),
            (office.clone(), 1),
            "the same to the policies"
        );
        assert_eq!(ask(both, ("kari", "192.0.2.1"), (0, "/"), 110), (office.clone(), 2), "another app");
        assert_eq!(
            ask(both, ("kari", "192.0.2.1"), (0, "/secret"), 110),
            (vec![], 3),
            "a path that policies know"
        );
        assert_eq!(ask(both, ("kari", "192.0.2.1"), (1, "/"), 99).1, 4, "a clock that went back");
    }

    #[test]
    fn what_is_remembered_does_not_outlive_the_moment_at_which_it_changes() {
        let policies = policies(Some(1_000));
        let finder = RemedyFinder::new(Candidates::new(&policies, None));
        let both = (&finder, &policies);
        assert_eq!(ask(both, ("kari", "192.0.2.1"), (1, "/"), 990).1, 1);
        assert_eq!(ask(both, ("kari", "192.0.2.1"), (1, "/"), 999).1, 1);
        assert_eq!(ask(both, ("kari", "192.0.2.1"), (1, "/"), 1_000), (vec![], 2), "let in from now on");
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let policies = policies(None);
        let finder = RemedyFinder::new(Candidates::new(&policies, None));
        for number in 0..3 * SITUATIONS {
            ask((&finder, &policies), ("kari", "192.0.2.1"), (0, &format!("/{number}")), 100);
        }
        assert_eq!(finder.slots.len(), SITUATIONS);
        assert_eq!(finder.searches(), 3 * SITUATIONS as u64);
    }
}
