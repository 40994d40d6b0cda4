//! How often something may happen, and how slowly a body may come.

use std::time::Duration;

/// A token bucket: so many in a while, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many within [`Rate::per`]; at least 1.
    pub count: u32,
    /// A second, a minute or an hour.
    pub per: Duration,
    /// How many at once, after a pause; at least 1.
    pub burst: u32,
}

/// What nobody may exceed, of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at once; `None` is by the descriptors that the process may open.
    pub connections: Option<usize>,
    /// Connections of one address, or of one /64 of IPv6.
    pub connections_per_address: u32,
    /// Connections of one trusted proxy or source of PROXY headers; `None` is nine tenths of all.
    pub connections_per_proxy: Option<u32>,
    /// Bytes that are read of a head.
    pub head_bytes_max: usize,
    /// How long a head may take.
    pub head_time: Duration,
    /// Bytes of heads that are not complete, of all connections.
    pub unfinished_heads: u64,
    /// How long a connection may take until its first request.
    pub handshake_time: Duration,
    /// Streams of a connection before a request on it is let in.
    pub streams_before_grant: u32,
    /// Streams of a connection.
    pub streams: u32,
    /// Bytes of answers that a connection may leave unread.
    pub unsent_per_connection: u64,
    /// Bytes of answers that all connections may leave unread; `None` is by the memory that the process may take.
    pub unsent: Option<u64>,
    /// How long a refusal may be left unread.
    pub stall: Duration,
    /// Refusal pages that wait for their answer to change, each with a stream.
    pub waiting: u32,
    /// Tokens of one address that were verified in vain.
    pub failed_verifications: Rate,
}
