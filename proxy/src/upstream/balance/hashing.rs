//! Which server a key falls to: the one that draws highest for it (rendezvous hashing). When a server goes, only the
//! keys that had fallen to it fall to others; where the list is in another order, or on another replica, nothing does.
//!
//! The numbers are our own and not a library's: they are the same on each machine and in each later version.

use crate::upstream::endpoint::Endpoint;

/// What tells a server, or what a request falls to one by, from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(u64);

impl Key {
    /// The key of these parts, each apart from the next.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        // FNV-1a, whose weak last bits are mixed below.
        const PRIME: u64 = 0x0100_0000_01b3;
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        for part in parts {
            (part.len() as u64).to_le_bytes().into_iter().for_each(&mut add);
            part.iter().copied().for_each(&mut add);
        }
        Self(mixed(hash))
    }

    /// What tells an address of a server of an app from all others.
    pub(super) fn of_address(app: &str, endpoint: &Endpoint) -> Self {
        Self::of(&[app.as_bytes(), endpoint.server.as_bytes(), endpoint.address.to_string().as_bytes()])
    }

    /// As bytes, for a seal.
    pub(super) const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// What [`Self::to_bytes`] gave.
    pub(super) const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }

    /// What a server of this weight draws for a key: the highest has it. A server of twice the weight wins twice as
    /// often (C. Schindelhauer and G. Schomaker, "Weighted Distributed Hash Tables", 2005).
    pub(super) fn draw(self, server: Self, weight: u32) -> f64 {
        if weight == 0 {
            return f64::NEG_INFINITY;
        }
        // 53 bits are what a number has; never 0, whose logarithm is none.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let even = ((mixed(self.0 ^ server.0) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        even.ln() / f64::from(weight)
    }
}

/// The finalizer of SplitMix64: each bit in turns on each bit out.
const fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn highest(key: u32, servers: &[(Key, u32)]) -> Key {
        let key = Key::of(&[&key.to_le_bytes()]);
        let draw = |(server, weight): &(Key, u32)| key.draw(*server, *weight);
        servers.iter().max_by(|a, b| draw(a).total_cmp(&draw(b))).unwrap().0
    }

    fn servers(weights: &[u32]) -> Vec<(Key, u32)> {
        weights.iter().enumerate().map(|(at, weight)| (Key::of(&[b"server", &[at as u8]]), *weight)).collect()
    }

    #[test]
    fn the_numbers_are_the_same_in_each_version_and_on_each_machine() {
        assert_eq!(Key::of(&[b"wiki", b"10.0.0.5:80"]).to_bytes(), [90, 225, 191, 146, 228, 9, 228, 69]);
        assert_ne!(Key::of(&[b"ab", b"c"]), Key::of(&[b"a", b"bc"]));
        let key = Key::of(&[b"anna"]);
        assert_eq!(Key::from_bytes(key.to_bytes()), key);
    }

    #[test]
    fn keys_are_shared_by_weight() {
        let servers = servers(&[1, 2, 1, 0]);
        let mut counts = [0_u32; 4];
        for key in 0..40_000 {
            let chosen = highest(key, &servers);
            counts[servers.iter().position(|(server, _)| *server == chosen).unwrap()] += 1;
        }
        for (count, due) in counts.into_iter().zip([10_000, 20_000, 10_000, 0]) {
            assert!(u32::abs_diff(count, due) < 500, "{counts:?}");
        }
    }

    proptest! {
        #[test]
        fn only_the_keys_of_a_server_that_goes_fall_to_others(
            weights in prop::collection::vec(1_u32..10, 2..8),
            gone: prop::sample::Index,
            first: u32,
        ) {
            let all = servers(&weights);
            let gone = gone.get(&all).0;
            let mut left: Vec<_> = all.iter().copied().filter(|(server, _)| *server != gone).collect();
            left.reverse();
            for key in (0..200).map(|step| first.wrapping_add(step)) {
                let before = highest(key, &all);
                if before != gone {
                    prop_assert_eq!(highest(key, &left), before);
                }
            }
        }
    }
}
