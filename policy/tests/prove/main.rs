//! What is proven of the engine: `agree` holds it against the reference, `laws` against sentences that
//! must hold of any set, `small_world` against every small set there is. One binary, one world.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends, and what it generates is in bounds"
)]

mod agree;
mod analysis;
mod laws;
mod remedies;
mod small_world;
mod words;
mod world;
