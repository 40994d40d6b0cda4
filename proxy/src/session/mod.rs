//! Sessions: who is signed in with a browser, how that is remembered, and how it ends. A session is a verified ID token,
//! and to the policies it is what a bearer token is.

mod batch;
#[cfg(test)]
mod contract;
mod cookie;
mod find;
pub mod health;
mod in_use;
pub mod key;
mod no_session;
pub mod outage;
mod record;
mod remembered;
pub mod revocation;
mod sessions;
pub mod storage;
pub mod store;

pub use cookie::{CookieForm, VALUE_BYTES_MAX, is_loopback};
pub use find::{By, Found, Presented, SessionHandle};
pub use no_session::{NoSession, Way};
pub use record::{DemandDigest, Lasting, SecretText, SessionId, SessionRecord, StoredTokens};
pub use remembered::Session;
pub use sessions::{Keeping, NotOpened, Sessions};
