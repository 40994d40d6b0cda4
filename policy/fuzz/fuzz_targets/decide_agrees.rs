//! The engine decides as the reference does: the world of the property tests, steered by coverage.
#![no_main]
#![allow(dead_code, reason = "the world serves more tests than this one")]

use libfuzzer_sys::fuzz_target;
use portcullis_policy::reference::evaluate;

#[path = "../../tests/prove/world/mod.rs"]
mod world;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = world::Choices::new(bytes);
    let question = world::question(&mut choices);
    let set = world::policy_set(&mut choices, 6);
    let decision = world::ask(&world::compile(set.clone()), &question);
    let reference = evaluate(&set, &question.signals());
    assert_eq!(world::conclusion(&decision), reference.conclusion, "{set:#?}\n{question:#?}");
    assert!(reference.applied().eq(world::applied(&decision)), "{set:#?}\n{question:#?}");
});
