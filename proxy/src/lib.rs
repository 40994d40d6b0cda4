//! Portcullis, the enforcement point: a conditional-access reverse proxy.
//!
//! Rooms, in the order in which a request walks through them; `gateway` has the order of steps.

pub mod refusal;
