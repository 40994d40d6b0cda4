//! One task for four engines: which policies refuse this request?
//!
//! The generated policies are turned once into plain expressions, and these are written down in the
//! language of each peer. The peers are helped where ours works: they are handed the *names* of the
//! locations that the request is in, which ours looks up by address; and they answer for enforced
//! policies only, where ours answers for report-only ones as well.

#[path = "../../benches/world/mod.rs"]
#[expect(dead_code, reason = "the engine's own benches use the rest")]
mod world;

pub mod cedar;
pub mod cel;
pub mod ours;
pub mod question;
pub mod rego;
pub mod task;
