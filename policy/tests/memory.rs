//! What a large organisation costs in memory. Alone in its file: the count is of the whole process.

#[path = "../benches/world/mod.rs"]
#[expect(dead_code, reason = "the benches use the rest")]
mod world;

use std::alloc::System;

use portcullis_policy::CompiledPolicies;
use portcullis_policy::decision::Generation;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use world::Shape;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[test]
fn ten_thousand_policies_take_less_than_32_mib_and_a_token_a_few_kib() {
    for every_app in [false, true] {
        let shape = Shape { every_app, ..Shape::realistic(10_000) };
        let region = Region::new(ALLOCATOR);
        let set = world::set(shape);
        let written = region.change();
        let compiled = CompiledPolicies::compile(set, Generation(1)).unwrap();
        let all = region.change();
        let held = |change: stats_alloc::Stats| change.bytes_allocated - change.bytes_deallocated;
        println!(
            "every app: {every_app}; the set {:.1} MiB, compiled with it {:.1} MiB",
            mib(held(written)),
            mib(held(all))
        );
        assert!(held(all) < 32 << 20, "{:.1} MiB", mib(held(all)));

        let requests = world::requests(shape, 200, 1);
        let region = Region::new(ALLOCATOR);
        let scope = compiled.bind(&requests[0].principal);
        let bound = held(region.change());
        println!("a bound scope {bound} bytes");
        assert!(bound < 16 << 10, "{bound} bytes");
        drop(scope);
    }
}
