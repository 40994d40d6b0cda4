//! Sessions in Redis or Valkey: for replicas.
//!
//! One connection for all requests, made anew when it breaks, and one that follows what other replicas end. Every answer
//! takes a second at most. What the server acknowledges and then loses (a restart without persistence, a failover to a
//! replica that is behind) signs people out; it signs nobody in.

mod connect;
mod follow;
mod requests;
mod scripts;
#[cfg(test)]
mod tests;

pub use self::connect::Target;
pub(crate) use self::follow::follow;
pub use self::requests::RedisStore;
