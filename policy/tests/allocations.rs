//! A decision allocates nothing. Alone in its file: the count is of the whole process.

#[path = "../benches/world/mod.rs"]
mod world;

use std::alloc::System;
use std::hint::black_box;

use portcullis_policy::decision::{Generation, PolicyIndex, PolicyResult};
use portcullis_policy::{CompiledPolicies, Observer, Outcome, SatisfiedRow};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use world::Shape;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

struct Observed<'o>(&'o mut usize);

impl Observer for Observed<'_> {
    fn satisfied(&mut self, row: SatisfiedRow) {
        *self.0 += row.positions().count();
    }

    fn applied(&mut self, _policy: PolicyIndex, _result: PolicyResult) {
        *self.0 += 1;
    }
}

#[test]
fn a_decision_allocates_nothing() {
    for (policies, groups) in [(100, 10), (100, 200), (1_000, 10), (1_000, 200), (10_000, 10)] {
        let shape = Shape::realistic(policies);
        let compiled = CompiledPolicies::compile(world::set(shape), Generation(1)).unwrap();
        let (mut let_in, mut refused) = (0, 0);
        for request in world::requests(shape, groups, 200) {
            let scope = compiled.bind(&request.principal);
            let (scope, signals) = (black_box(&scope), request.signals());
            let mut observed = 0_usize;
            let region = Region::new(ALLOCATOR);
            let outcome = compiled.decide_observed(scope, black_box(&signals), &mut Observed(&mut observed));
            assert_eq!(region.change().allocations, 0, "{policies} policies, {groups} groups: {outcome:?}");
            match outcome {
                Outcome::Grant(_) => let_in += 1,
                Outcome::Challenge(_) | Outcome::Deny(_) | Outcome::Block(_) => refused += 1,
            }
            assert_eq!(observed, compiled.decide(scope, &signals).applied.len());
        }
        assert!(let_in > 0 && refused > 0, "{policies} policies: {let_in} let in, {refused} refused");
    }
}
