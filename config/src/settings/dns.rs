//! How the names of servers become addresses.

use std::net::SocketAddr;
use std::time::Duration;

/// Whom names are asked of, and for how long an answer counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// DNS servers; those of `/etc/resolv.conf` if there are none.
    pub servers: Vec<SocketAddr>,
    /// The longest that one look-up may take.
    pub timeout: Duration,
    /// For how long an answer counts at least, and after how long a look-up that failed is done again.
    pub ttl_min: Duration,
    /// For how long an answer counts at most.
    pub ttl_max: Duration,
    /// For how long a name must be said not to exist, until its addresses are given up.
    pub hold: Duration,
}
