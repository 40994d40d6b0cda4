//! The results of policies, counted sixty-four at a time.
//!
//! A decision reports most of its policies as rows of bits, and to count those one by one would cost more
//! than deciding. So the counters of a row's policies are bit-sliced: bit `b` of plane `n` is bit `n` of
//! the counter of policy `b`. To add one to any of the sixty-four is a carry from plane to plane, which
//! ends after two on average; what leaves the last plane is added to plain counters. Each thread
//! writes to a shard of its own, a scrape sums, and no thread waits for another.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use portcullis_policy::decision::{PolicyIndex, PolicyResult};
use portcullis_policy::model::PolicyState;
use portcullis_policy::{CompiledPolicies, SatisfiedRow};

use super::counters;

/// Bits of a bit-sliced counter.
const PLANES: usize = 8;
/// Results that one policy can have: enforced ones or report-only ones, never both.
pub(super) const RESULTS: usize = 3;
/// Stands for no policy.
const NO_POLICY: u32 = u32::MAX;

/// The counters of every policy of one load, with what was counted in earlier ones.
#[derive(Debug)]
pub struct PolicyCounters {
    current: Arc<GenerationCounters>,
    /// What loads before the former one counted.
    base: Box<[u64]>,
    /// The former load, in which a request that began before may still count; and where each of our
    /// policies was in it.
    former: Option<(Arc<GenerationCounters>, Box<[u32]>)>,
}

/// What is counted under one generation of the configuration.
#[derive(Debug)]
struct GenerationCounters {
    policies: usize,
    /// For each position of the engine's rows, the counter of its policy's success.
    owners: Box<[u32]>,
    shards: Box<[Shard]>,
}

#[derive(Debug)]
#[repr(align(64))]
struct Shard {
    /// Odd while a thread writes to `planes` and `overflows`.
    sequence: AtomicU64,
    /// For each word of the engine's rows, `PLANES` planes.
    planes: Box<[AtomicU64]>,
    /// For each position, how often its bit-sliced counter has overflowed.
    overflows: Box<[AtomicU32]>,
    /// For each policy, `RESULTS` counters.
    counts: Box<[AtomicU64]>,
}

/// Where a result is counted among those of its policy.
pub(super) const fn cell_of(result: PolicyResult) -> usize {
    match result {
        PolicyResult::Success | PolicyResult::ReportOnlySuccess => 0,
        PolicyResult::Failure | PolicyResult::ReportOnlyFailure => 1,
        PolicyResult::Interrupted | PolicyResult::ReportOnlyInterrupted => 2,
    }
}

impl PolicyCounters {
    /// Counters for a load; what a policy counted in the former one goes on, unless it was enforced and
    /// is not, or the reverse.
    #[must_use]
    pub fn new(policies: &CompiledPolicies, former: Option<(&CompiledPolicies, &Self)>) -> Self {
        let set = &policies.set().policies;
        let current = Arc::new(GenerationCounters::new(policies));
        let Some((old, former)) = former else {
            return Self { current, base: vec![0; set.len() * RESULTS].into(), former: None };
        };
        let is_enforced = |state: PolicyState| state == PolicyState::Enabled;
        let known: HashMap<(&str, bool), u32> = old
            .set()
            .policies
            .iter()
            .zip(0_u32..)
            .map(|(policy, place)| ((policy.id.as_str(), is_enforced(policy.state)), place))
            .collect();
        let places: Box<[u32]> = set
            .iter()
            .map(|policy| known.get(&(policy.id.as_str(), is_enforced(policy.state))).copied())
            .map(|place| place.unwrap_or(NO_POLICY))
            .collect();
        // No request of the load before the former one can still count in that.
        let mut base = vec![0; set.len() * RESULTS];
        add_moved(&mut base, &former.earlier(), &places);
        Self { base: base.into(), former: Some((Arc::clone(&former.current), places)), current }
    }

    /// Begins to count for one request. Never waits.
    #[must_use]
    pub fn begin(&self) -> DecisionCounter<'_> {
        let current = &*self.current;
        let first = counters::thread_index();
        let free = (0..current.shards.len()).find_map(|step| {
            let shard = current.shards.get((first + step) % current.shards.len())?;
            let sequence = shard.sequence.load(Ordering::Relaxed);
            let is_free = sequence.is_multiple_of(2)
                && shard
                    .sequence
                    .compare_exchange(sequence, sequence + 1, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok();
            // A reader that sees any of the writes below also sees this mark.
            fence(Ordering::Release);
            is_free.then_some((shard, sequence))
        });
        DecisionCounter { current, free }
    }

    /// All counters: for each policy, by position, `RESULTS` of them.
    #[must_use]
    pub fn read(&self) -> Vec<u64> {
        let mut counts = self.earlier();
        self.current.add_to(&mut counts);
        counts
    }

    /// What was counted in earlier loads.
    fn earlier(&self) -> Vec<u64> {
        let mut counts = self.base.to_vec();
        if let Some((former, places)) = &self.former {
            let mut theirs = vec![0; former.policies * RESULTS];
            former.add_to(&mut theirs);
            add_moved(&mut counts, &theirs, places);
        }
        counts
    }
}

/// Adds the counters of policies that have moved; `places` says where each was.
fn add_moved(counts: &mut [u64], theirs: &[u64], places: &[u32]) {
    for (ours, place) in counts.chunks_mut(RESULTS).zip(places) {
        let start = (*place as usize).saturating_mul(RESULTS);
        let theirs = theirs.get(start..).unwrap_or_default();
        ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| *ours += theirs);
    }
}

impl GenerationCounters {
    fn new(policies: &CompiledPolicies) -> Self {
        let (words, count) = (policies.words(), policies.set().policies.len());
        let positions = u32::try_from(words * 64).unwrap_or(u32::MAX);
        let owner = |position| policies.owner(position).map_or(NO_POLICY, |(policy, _)| policy.0);
        let shard = || Shard {
            sequence: AtomicU64::new(0),
            planes: std::iter::repeat_with(AtomicU64::default).take(words * PLANES).collect(),
            overflows: std::iter::repeat_with(AtomicU32::default).take(words * 64).collect(),
            counts: std::iter::repeat_with(AtomicU64::default).take(count * RESULTS).collect(),
        };
        Self {
            policies: count,
            owners: (0..positions).map(owner).collect(),
            shards: std::iter::repeat_with(shard).take(counters::shards()).collect(),
        }
    }

    fn add_to(&self, counts: &mut [u64]) {
        for shard in &self.shards {
            for (sum, count) in counts.iter_mut().zip(&shard.counts) {
                *sum += count.load(Ordering::Relaxed);
            }
            for (word, owners) in self.owners.chunks(64).enumerate() {
                let rows = shard.read(word);
                for (owner, count) in owners.iter().zip(rows) {
                    if let Some(sum) = counts.get_mut((*owner as usize).saturating_mul(RESULTS)) {
                        *sum += count;
                    }
                }
            }
        }
    }
}

impl Shard {
    /// Adds one to each of the row's counters.
    fn add(&self, row: SatisfiedRow) {
        let word = row.word as usize;
        let mut carry = row.bits;
        for plane in self.planes.get(word * PLANES..(word + 1) * PLANES).unwrap_or_default() {
            // This thread alone writes here.
            let before = plane.load(Ordering::Relaxed);
            plane.store(before ^ carry, Ordering::Relaxed);
            carry &= before;
            if carry == 0 {
                return;
            }
        }
        for position in (SatisfiedRow { word: row.word, bits: carry }).positions() {
            if let Some(overflows) = self.overflows.get(position as usize) {
                overflows.store(overflows.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            }
        }
    }

    /// The counters of one word, as they were between two decisions.
    fn read(&self, word: usize) -> [u64; 64] {
        loop {
            let before = self.sequence.load(Ordering::Acquire);
            let counts = self.read_once(word);
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before {
                return counts;
            }
            // A request writes for less than a microsecond.
            std::thread::yield_now();
        }
    }

    fn read_once(&self, word: usize) -> [u64; 64] {
        let mut counts = [0; 64];
        let overflows = self.overflows.get(word * 64..(word + 1) * 64).unwrap_or_default();
        for (count, overflows) in counts.iter_mut().zip(overflows) {
            *count = u64::from(overflows.load(Ordering::Relaxed)) << PLANES;
        }
        let planes = self.planes.get(word * PLANES..(word + 1) * PLANES).unwrap_or_default();
        for (plane, weight) in planes.iter().zip(0_u32..) {
            let plane = plane.load(Ordering::Relaxed);
            for (count, bit) in counts.iter_mut().zip(0_u32..) {
                *count += (plane >> bit & 1) << weight;
            }
        }
        counts
    }
}

/// Counts one decision; the shard is free for others when it is dropped.
#[derive(Debug)]
pub struct DecisionCounter<'t> {
    current: &'t GenerationCounters,
    /// The shard that it writes rows to, and the sequence that it found there.
    free: Option<(&'t Shard, u64)>,
}

impl DecisionCounter<'_> {
    /// Policies of a row were satisfied.
    pub fn satisfied(&mut self, row: SatisfiedRow) {
        if let Some((shard, _)) = self.free {
            shard.add(row);
            return;
        }
        // More threads than shards, and all at it: one by one then.
        for position in row.positions() {
            if let Some(owner) =
                self.current.owners.get(position as usize).filter(|owner| **owner != NO_POLICY)
            {
                self.count(*owner as usize * RESULTS);
            }
        }
    }

    /// A policy had a result.
    pub fn applied(&mut self, policy: PolicyIndex, result: PolicyResult) {
        self.count(policy.0 as usize * RESULTS + cell_of(result));
    }

    fn count(&self, cell: usize) {
        let shards = &self.current.shards;
        let shard = self.free.map(|(shard, _)| shard);
        let shard = shard.or_else(|| shards.get(counters::thread_index() % shards.len().max(1)));
        if let Some(count) = shard.and_then(|shard| shard.counts.get(cell)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for DecisionCounter<'_> {
    fn drop(&mut self) {
        if let Some((shard, sequence)) = self.free {
            shard.sequence.store(sequence + 2, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_policy::decision::Generation;
    use portcullis_policy::model::{
        App, AppSelector, Apps, Conditions, Control, Grant, Operator, Policy, PolicyId, PolicySet,
        SessionControls, Subjects, Targets, Unmatched, UserSelector, Users,
    };

    use super::*;

    fn policy(id: &str, state: PolicyState) -> Policy {
        Policy {
            id: PolicyId::new(id).unwrap(),
            name: id.to_owned(),
            state,
            subjects: Subjects::Users(Users { include: vec![UserSelector::All], exclude: Vec::new() }).into(),
            targets: Targets::Apps(Apps { include: vec![AppSelector::All], ..Apps::default() }).into(),
            conditions: Conditions::default().into(),
            grant: Grant::Require { operator: Operator::And, controls: vec![Control::Mfa] },
            session: SessionControls::default(),
        }
    }

    fn compiled(ids: impl IntoIterator<Item = String>, state: PolicyState) -> CompiledPolicies {
        let set = PolicySet {
            policies: ids.into_iter().map(|id| policy(&id, state)).collect(),
            apps: vec![App {
                id: "wiki".to_owned(),
                groups: Vec::new(),
                attributes: Vec::new(),
                assigned: None,
                unmatched: Unmatched::Allow,
                paths: portcullis_policy::path::PathCase::Unknown,
            }],
            ..PolicySet::default()
        };
        CompiledPolicies::compile(set, Generation(1)).unwrap()
    }

    fn successes(counters: &PolicyCounters) -> Vec<u64> {
        counters.read().chunks(RESULTS).map(|counts| counts[0]).collect()
    }

    #[test]
    fn rows_count_as_policies_one_by_one_do() {
        let policies = compiled((0..150).map(|id| id.to_string()), PolicyState::Enabled);
        let counters = PolicyCounters::new(&policies, None);
        let mut expected = vec![0_u64; 150];
        let mut random = 7_u64;
        // Far beyond what the planes hold, so that counters overflow.
        for _ in 0..3_000 {
            let mut counter = counters.begin();
            for word in 0..policies.words() as u32 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let row = SatisfiedRow { word, bits: random | random >> 32 };
                counter.satisfied(row);
                for (owner, _) in row.positions().filter_map(|position| policies.owner(position)) {
                    expected[owner.0 as usize] += 1;
                }
            }
        }
        assert_eq!(successes(&counters), expected);
        assert!(expected.iter().all(|count| *count > 1_000), "{expected:?}");
    }

    #[test]
    fn nothing_that_many_threads_count_is_lost_and_no_scrape_goes_back() {
        let policies = compiled((0..70).map(|id| id.to_string()), PolicyState::Enabled);
        let counters = PolicyCounters::new(&policies, None);
        std::thread::scope(|scope| {
            for _ in 0..24 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let mut counter = counters.begin();
                        (0..2).for_each(|word| counter.satisfied(SatisfiedRow { word, bits: u64::MAX }));
                        counter.applied(PolicyIndex(3), PolicyResult::Failure);
                    }
                });
            }
            let mut last = vec![0; 70];
            for _ in 0..200 {
                let now = successes(&counters);
                assert!(now.iter().zip(&last).all(|(now, last)| now >= last), "{last:?} {now:?}");
                last = now;
            }
        });
        assert_eq!(successes(&counters), vec![48_000; 70]);
        assert_eq!(counters.read()[3 * RESULTS + cell_of(PolicyResult::Failure)], 48_000);
    }

    #[test]
    fn counters_follow_their_policies_through_reloads() {
        let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let first = compiled(ids(&["a", "b", "c"]), PolicyState::Enabled);
        let one = PolicyCounters::new(&first, None);
        one.begin().applied(PolicyIndex(0), PolicyResult::Success);
        one.begin().applied(PolicyIndex(2), PolicyResult::Success);
        let second = compiled(ids(&["c", "d", "a"]), PolicyState::Enabled);
        let two = PolicyCounters::new(&second, Some((&first, &one)));
        assert_eq!(successes(&two), [1, 0, 1]);
        // A request that began before the reload.
        one.begin().applied(PolicyIndex(2), PolicyResult::Success);
        two.begin().applied(PolicyIndex(1), PolicyResult::Success);
        assert_eq!(successes(&two), [2, 1, 1]);
        let three = PolicyCounters::new(&second, Some((&second, &two)));
        assert_eq!(successes(&three), [2, 1, 1]);
        let watched = compiled(ids(&["c"]), PolicyState::ReportOnly);
        let four = PolicyCounters::new(&watched, Some((&second, &three)));
        assert_eq!(successes(&four), [0], "its results are others now");
    }
}
