//! Descriptors: each connection takes one, and whatever else the process opens needs some, too. When none are left,
//! nothing is accepted for a while, and apps, keys and logs cannot be reached.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are left for everything else: upstreams, the admin listener, keys, files.
const LEFT: usize = 64;

/// How many connections the process may have: as configured, or 80 % of its descriptors.
#[must_use]
pub fn connections_max(configured: Option<usize>) -> usize {
    configured.unwrap_or_else(|| allowed(count(getrlimit(Resource::Nofile).current)))
}

/// How many connections so many descriptors allow for.
fn allowed(descriptors: usize) -> usize {
    (descriptors / 5 * 4).min(descriptors.saturating_sub(LEFT)).max(1)
}

/// How many descriptors so many connections need.
fn needed(connections: usize) -> usize {
    connections.saturating_add(connections.div_ceil(4)).max(connections.saturating_add(LEFT))
}

/// `None` is no limit.
fn count(limit: Option<u64>) -> usize {
    limit.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX)
}

/// Lets the process open what so many connections need, as far as the system allows.
pub(crate) fn raise_descriptors(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = needed(connections).min(count(limit.maximum));
    if wanted > count(limit.current) {
        // A system that refuses is seen by what `too_many` says of its limit, and by pauses of the listeners.
        let current = u64::try_from(wanted).ok();
        let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum });
    }
}

/// What is wrong when so many connections need more descriptors than this process may ever open (`RLIMIT_NOFILE`,
/// hard), in words.
pub(crate) fn too_many(connections: usize) -> Option<String> {
    told(connections, count(getrlimit(Resource::Nofile).maximum))
}

fn told(connections: usize, most: usize) -> Option<String> {
    let needed = needed(connections);
    (needed > most).then(|| {
        format!(
            "`connections = {connections}` of `[server.limits]` needs {needed} descriptors, and a process may open {most} here (RLIMIT_NOFILE): that is enough for {}",
            allowed(most)
        )
    })
}

/// How it is mended.
pub(crate) const MORE_DESCRIPTORS: &str = "raise the limit for the user or unit that runs the proxy (`LimitNOFILE=` of systemd, `ulimit -Hn`, `--ulimit nofile=` of a container), or write less";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_and_at_least_64_descriptors_are_left_for_all_else() {
        for (descriptors, connections) in [(20_000, 16_000), (1_024, 816), (200, 136), (64, 1), (0, 1)] {
            assert_eq!(allowed(descriptors), connections, "{descriptors}");
        }
        for connections in [1, 136, 256, 816, 16_000] {
            assert!(allowed(needed(connections)) >= connections, "{connections}");
        }
        assert_eq!(told(16_000, 20_000), None);
        assert_eq!(told(usize::MAX, usize::MAX), None, "no limit");
        let words = told(16_001, 20_000).unwrap();
        assert!(words.contains("needs 20002 descriptors") && words.ends_with("enough for 16000"), "{words}");
    }
}
