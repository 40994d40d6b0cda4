//! What an address, a person or a body may not exceed: how often, and how slowly. Without it whoever has no token could
//! spend our processor on signatures, and a body that comes byte by byte would hold a connection, an app's too, for as
//! long as its sender likes.
//!
//! Memory is fixed: nothing that a client sends makes any of it grow. Time is that of the request.

mod body;
mod buckets;
mod busiest;
mod descriptors;
mod memory;
mod quota;

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use portcullis_config::settings::Rate;

pub use body::{BodyPace, DRAIN_MAX};
use buckets::Buckets;
pub use busiest::Busiest;
pub use descriptors::connections_max;
pub(crate) use descriptors::{MORE_DESCRIPTORS, raise_descriptors, too_many};
pub use memory::unsent_max;
pub use quota::{Quota, fields, retry_after_secs};

/// How many connections of an address may be cut before it is let in again only at the rate of [`CUTS`].
const CUTS_FREE: u32 = 50;
/// Cuts that are counted. Many connections may have been let in before the first of them is cut: those beyond [`CUTS_FREE`] keep the
/// next ones out for so much longer.
const CUTS: Rate = Rate { count: 5, per: Duration::from_secs(1), burst: 2 * CUTS_FREE };

/// All token buckets of the process. They outlive reloads: a limit is not lifted by one.
#[derive(Debug)]
pub struct Limits {
    failures: Buckets,
    /// Connections that a limit cut, by address.
    cuts: Buckets,
    // Made when the first app has a rate.
    addresses: LazyLock<Buckets>,
    principals: LazyLock<Buckets>,
}

/// What brought a token. Each kind is counted apart: else the answer to a `Bearer` token would tell strangers whether a
/// cookie that they sent had a name that an app reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `Authorization: Bearer`.
    Bearer,
    /// A cookie or header of the app's own.
    Session,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

impl Limits {
    /// All buckets full.
    #[must_use]
    pub fn new() -> Self {
        Self {
            failures: Buckets::new(),
            cuts: Buckets::new(),
            addresses: LazyLock::new(Buckets::new),
            principals: LazyLock::new(Buckets::new),
        }
    }

    /// Whether tokens of this address and kind may still fail to verify; counts nothing. `now_unix_ms`: of the request.
    pub fn failures(&self, from: (IpAddr, Kind), rate: Rate, now_unix_ms: i64) -> Quota {
        self.failures.peek(&(network(from.0), from.1), rate, now_unix_ms)
    }

    /// Counts a token of this address and kind that failed to verify.
    pub fn count_failure(&self, from: (IpAddr, Kind), rate: Rate, now_unix_ms: i64) {
        self.failures.take(&(network(from.0), from.1), rate, now_unix_ms);
    }

    /// Whether another connection of this address may begin: not while too many of its were cut lately. Who is cut and comes
    /// back at once would have the work of a handshake and of its first requests done again and again.
    #[must_use]
    pub fn may_connect(&self, address: IpAddr, now_unix_ms: i64) -> bool {
        let quota = self.cuts.peek(&network(address), CUTS, now_unix_ms);
        // It says what would be left behind one more.
        !quota.is_exceeded && quota.left >= CUTS.burst - CUTS_FREE
    }

    /// Counts a connection of this address that a limit cut.
    pub fn count_cut(&self, address: IpAddr, now_unix_ms: i64) {
        self.cuts.take(&network(address), CUTS, now_unix_ms);
    }

    /// How much of its burst the address has spent that has spent most. Takes a look at all of them.
    #[must_use]
    pub fn most_failures(&self, rate: Rate, now_unix_ms: i64) -> u64 {
        self.failures.most(rate, now_unix_ms)
    }

    /// Counts a request of this address for an app.
    pub fn count_address(&self, app: &str, address: IpAddr, rate: Rate, now_unix_ms: i64) -> Quota {
        self.addresses.take(&(app, network(address)), rate, now_unix_ms)
    }

    /// Counts a front-channel logout, of all browsers together.
    pub fn front_channel_logout(&self, rate: Rate, now_unix_ms: i64) -> Quota {
        self.failures.take(&"front-channel logout", rate, now_unix_ms)
    }

    /// Counts a decision for a page that waits, of this user and app.
    pub fn count_wait<K: Hash>(&self, who: &K, rate: Rate, now_unix_ms: i64) -> Quota {
        self.principals.take(&("wait", who), rate, now_unix_ms)
    }

    /// Counts a report of a refusal, by this user of this app.
    pub fn count_report<K: Hash>(&self, who: &K, rate: Rate, now_unix_ms: i64) -> Quota {
        self.principals.take(&("report", who), rate, now_unix_ms)
    }

    /// Counts a request of this person or program, of the issuer at this position, for an app.
    pub fn count_principal(
        &self,
        app: &str,
        (issuer, id): (usize, &str),
        rate: Rate,
        now_unix_ms: i64,
    ) -> Quota {
        self.principals.take(&(app, issuer, id), rate, now_unix_ms)
    }
}

/// Who an address is to a limit: an IPv4 address itself, an IPv6 address its network of 64 bits (RFC 6177), in
/// which a client takes whatever address it likes.
pub(crate) fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        // 0000:0000::/32 is no place where clients are (RFC 4291, section 2.5.3).
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_64_bits_is_one_client_and_a_mapped_address_is_its_ipv4() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
    }

    #[test]
    fn each_app_and_each_person_has_a_bucket() {
        let limits = Limits::new();
        let rate = Rate { count: 1, per: Duration::from_secs(60), burst: 1 };
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        assert!(!limits.count_address("wiki", address, rate, 0).is_exceeded);
        assert!(limits.count_address("wiki", address, rate, 0).is_exceeded);
        assert!(!limits.count_address("mail", address, rate, 0).is_exceeded);
        for (issuer, id) in [(0, "alice"), (0, "bob"), (1, "alice")] {
            assert!(!limits.count_principal("wiki", (issuer, id), rate, 0).is_exceeded, "{issuer} {id}");
            assert!(limits.count_principal("wiki", (issuer, id), rate, 0).is_exceeded, "{issuer} {id}");
        }
    }

    #[test]
    fn who_was_cut_too_often_is_let_in_at_the_rate_however_many_were_cut_at_once() {
        let limits = Limits::new();
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        for cut in 0..CUTS_FREE {
            assert!(limits.may_connect(address, 0), "{cut}");
            limits.count_cut(address, 0);
        }
        assert!(!limits.may_connect(address, 0));
        assert!(limits.may_connect(address, 200), "five a second");
        // All that are tried are let in until the first of them is cut.
        let mut let_in = 0;
        for tick in 1..=600 {
            let now = tick * 100;
            let begun = (0..20).filter(|_| limits.may_connect(address, now)).count();
            (0..begun).for_each(|_| limits.count_cut(address, now));
            let_in += begun;
        }
        assert!((280..=320).contains(&let_in), "{let_in} in a minute");
    }

    #[test]
    fn to_look_at_failures_counts_none() {
        let limits = Limits::new();
        let rate = Rate { count: 1, per: Duration::from_secs(1), burst: 2 };
        let from = ("192.0.2.7".parse().unwrap(), Kind::Bearer);
        for _ in 0..10 {
            assert!(!limits.failures(from, rate, 0).is_exceeded);
        }
        limits.count_failure(from, rate, 0);
        assert!(!limits.failures(from, rate, 0).is_exceeded);
        limits.count_failure(from, rate, 0);
        let over = limits.failures(from, rate, 0);
        assert!(over.is_exceeded);
        assert_eq!((over.left, over.wait), (0, Duration::from_secs(1)));
        assert!(!limits.failures((from.0, Kind::Session), rate, 0).is_exceeded, "a kind of its own");
        assert!(!limits.failures(from, rate, 1_000).is_exceeded);
    }
}
