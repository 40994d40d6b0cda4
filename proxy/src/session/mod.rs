//! Sessions: who is signed in with a browser, how that is remembered, and how it ends.

mod batch;
pub mod health;
pub mod key;
pub mod outage;
pub mod revocation;
pub mod store;
