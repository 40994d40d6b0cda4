//! Policies that were written elsewhere, brought into this format with an account of every property.

pub mod entra;
