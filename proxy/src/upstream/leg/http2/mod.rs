//! Requests and their answers over HTTP/2 (RFC 9113): over TLS where the server chooses it, else by prior knowledge.
//!
//! Connections are shared, and what one request does must not hold up another: the window of a connection is as large as
//! those of all its streams together, so that a client that takes nothing of its answer keeps the app from sending that
//! answer alone.

mod connection;
mod exchange;
mod head;
mod pool;
#[cfg(test)]
mod tests;

pub(super) use connection::Slot;
pub(crate) use exchange::Exchange;
pub(super) use pool::{Found, Pool};

/// Streams of one connection at most, and fewer where the server says so; for more, another connection is made.
const STREAMS_MAX: usize = 100;
/// What an app may send of an answer before the client has taken it, in bytes: at 10 ms to the app it makes 12 MiB a
/// second, at 1 ms what a fast network gives. This is what a stream takes at most, with as much as [`SEND_BUFFER_BYTES`] of
/// its request.
const STREAM_WINDOW: u32 = 128 << 10;
/// INVARIANT: no number of streams that stand still uses it up.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * 100;
/// What is gathered of a request beyond what the server takes, in bytes.
const SEND_BUFFER_BYTES: usize = 64 << 10;
