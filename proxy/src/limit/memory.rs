//! Memory: how much the process may take, by its container or the machine. What clients leave unread is a share of it: on a
//! small machine it must not take all, and on a large one many slow downloads are no attack.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use rustix::process::{Resource, getrlimit};

/// Where nothing is configured, one of so many parts of the memory may be counted as unread. What is read ahead takes up to
/// twice what is counted.
const SHARE: u64 = 8;
/// At least, in bytes: of a container of 512 MiB.
const LEAST: u64 = 64 << 20;
/// At most, in bytes: some 6,500 downloads that are slower than their app.
const MOST: u64 = 1 << 30;

/// How many bytes of answers all clients together may leave unread: as configured, or by the memory.
#[must_use]
pub fn unsent_max(configured: Option<u64>) -> u64 {
    static OF_MEMORY: LazyLock<u64> = LazyLock::new(|| allowed(available(Path::new("/"))));
    configured.unwrap_or_else(|| *OF_MEMORY)
}

/// How many so much memory allows for; `None` is unknown.
fn allowed(memory: Option<u64>) -> u64 {
    memory.map_or(LEAST, |memory| (memory / SHARE).clamp(LEAST, MOST))
}

/// The least of what limits the memory, in bytes: control groups, the limit of the process, what the machine has.
fn available(root: &Path) -> Option<u64> {
    let read = |place: &str| fs::read_to_string(root.join(place)).ok();
    let of_machine = read("proc/meminfo").and_then(|text| in_meminfo(&text));
    let groups = read("proc/self/cgroup").unwrap_or_default();
    let of_groups = groups.lines().filter_map(|line| of_group(root, line));
    of_groups.chain(getrlimit(Resource::As).current).chain(of_machine).min()
}

/// `MemTotal:       24630644 kB` (proc(5)).
fn in_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The least limit of a control group and of those that it is in (cgroups(7)): `0::/a/b` of version 2, `4:memory:/a/b` of
/// version 1. In a container its own group is the root, whatever it is called outside.
fn of_group(root: &Path, line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
    let (mount, file) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|one| one == "memory") => {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return None,
    };
    let mount = root.join(mount);
    let of_one = |place: &Path| {
        let place = place.strip_prefix("/").ok()?;
        // `max` is no limit.
        fs::read_to_string(mount.join(place).join(file)).ok()?.trim().parse::<u64>().ok()
    };
    Path::new(group).ancestors().filter_map(of_one).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, place: &str, text: &str) {
        let place = root.join(place);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }

    const MEMINFO: &str = "MemTotal:       16384000 kB\nMemFree:         1234 kB\n";

    #[test]
    fn an_eighth_of_the_memory_may_be_unread_within_bounds() {
        for (memory, unsent) in [(512, 64), (128, 64), (2_048, 256), (4_096, 512), (65_536, 1_024)] {
            assert_eq!(allowed(Some(memory << 20)), unsent << 20, "{memory} MiB");
        }
        assert_eq!(allowed(None), LEAST);
        assert_eq!(unsent_max(Some(7)), 7);
        assert!((LEAST..=MOST).contains(&unsent_max(None)));
    }

    #[test]
    fn the_least_limit_of_the_groups_that_the_process_is_in_counts() {
        let with = |group: &str, files: &[(&str, &str)]| {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), "proc/meminfo", MEMINFO);
            write(folder.path(), "proc/self/cgroup", group);
            for (place, text) in files {
                write(folder.path(), &format!("sys/fs/cgroup/{place}"), text);
            }
            available(folder.path())
        };
        assert_eq!(with("0::/\n", &[]), Some(16_384_000 << 10), "the machine");
        assert_eq!(with("0::/\n", &[("memory.max", "536870912\n")]), Some(512 << 20), "a container");
        let slice = ("system.slice/memory.max", "1073741824\n");
        let unit = "0::/system.slice/portcullis.service\n";
        assert_eq!(
            with(unit, &[slice, ("system.slice/portcullis.service/memory.max", "max\n")]),
            Some(1 << 30)
        );
        let first = "9:name=systemd:/\n4:memory:/box\n0::/\n";
        assert_eq!(with(first, &[("memory/box/memory.limit_in_bytes", "268435456\n")]), Some(256 << 20));
        assert_eq!(with(first, &[("memory/memory.limit_in_bytes", "134217728\n")]), Some(128 << 20));
        assert_eq!(with("nonsense\n4:memory\n", &[]), Some(16_384_000 << 10));
    }

    #[test]
    fn a_machine_that_says_nothing_has_no_known_memory() {
        assert_eq!(in_meminfo("MemFree: 1 kB\n"), None);
        assert_eq!(in_meminfo("MemTotal: much\n"), None);
        assert_eq!(in_meminfo(MEMINFO), Some(16_384_000 << 10));
    }
}
