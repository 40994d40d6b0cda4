//! Names under which a client must not speak to an app: those that only a proxy may say
//! ([`portcullis_config::reserved`]), those under which this app reads who asks, and all that careless readers
//! may take for another name.

use portcullis_config::reserved::{RESERVED, fold};

use crate::admit::is_plain_name;

/// The names that are taken away from a request before an app sees it.
#[derive(Debug)]
pub(super) struct Forgeable {
    /// As careless readers take them, in order; none belongs to the family of another.
    entries: Vec<Entry>,
    beginnings: Beginnings,
    /// Names that pass all the same, in lower case and in this spelling alone.
    passed: Vec<Box<str>>,
}

/// A name, or what the names of a family begin with.
#[derive(Debug)]
struct Entry {
    text: Box<str>,
    is_family: bool,
}

impl Entry {
    fn covers(&self, name: &str) -> bool {
        if self.is_family { name.starts_with(&*self.text) } else { *name == *self.text }
    }
}

impl Forgeable {
    /// The reserved names and these of an app, without those that pass.
    pub(super) fn new<'n>(
        of_app: impl Iterator<Item = &'n str>,
        passed: impl Iterator<Item = &'n str>,
    ) -> Self {
        let entry = |name: &str, is_family| Entry { text: fold(name).into(), is_family };
        let reserved = RESERVED.iter().map(|reserved| match reserved.family() {
            Some(prefix) => entry(prefix, true),
            None => entry(reserved.name, false),
        });
        let mut entries: Vec<Entry> = reserved.chain(of_app.map(|name| entry(name, false))).collect();
        // What belongs to a family comes behind it, with nothing between but its other members.
        entries.sort_unstable_by(|a, b| a.text.cmp(&b.text).then(b.is_family.cmp(&a.is_family)));
        entries.dedup_by(|next, entry| entry.covers(&next.text));
        let beginnings = Beginnings::of(entries.iter().map(|entry| &*entry.text));
        let passed = passed.map(|name| name.to_ascii_lowercase().into()).collect();
        Self { entries, beginnings, passed }
    }

    /// Whether a header of this name, in lower case, is to be taken away.
    pub(super) fn holds(&self, name: &str) -> bool {
        (!is_plain_name(name) || self.is_listed(name)) && !self.passed.iter().any(|passed| **passed == *name)
    }

    /// Whether an entry covers a plain name.
    fn is_listed(&self, name: &str) -> bool {
        if !self.beginnings.may_begin(name) {
            return false;
        }
        // The last entry that is not behind the name is the only one that can cover it.
        let behind = self.entries.partition_point(|entry| *entry.text <= *name);
        let entry = behind.checked_sub(1).and_then(|last| self.entries.get(last));
        entry.is_some_and(|entry| entry.covers(name))
    }
}

/// What entries begin with: for each first sign, the second signs, of which the lower five bits count. Nearly all names
/// begin otherwise, and are not looked for.
#[derive(Debug)]
struct Beginnings(Box<[u32; 256]>);

impl Beginnings {
    fn of<'e>(entries: impl Iterator<Item = &'e str>) -> Self {
        let mut seconds = Box::new([0; 256]);
        for (first, second) in entries.map(beginning) {
            if let Some(seconds) = seconds.get_mut(usize::from(first)) {
                *seconds |= second;
            }
        }
        Self(seconds)
    }

    /// Whether an entry could cover this name.
    fn may_begin(&self, name: &str) -> bool {
        let (first, second) = beginning(name);
        self.0.get(usize::from(first)).is_some_and(|seconds| seconds & second != 0)
    }
}

/// The first sign of a name, and the bit of the second.
fn beginning(name: &str) -> (u8, u32) {
    let (first, second) = match name.as_bytes() {
        [first, second, ..] => (*first, *second),
        [first] => (*first, 0),
        [] => (0, 0),
    };
    (first, 1 << (second & 31))
}

#[cfg(test)]
mod tests {
    use portcullis_config::reserved::{RESERVED, reserved};
    use proptest::prelude::*;

    use super::{Forgeable, is_plain_name};

    fn plain() -> Forgeable {
        Forgeable::new(["X-My-User", "X-Token"].into_iter(), std::iter::empty())
    }

    #[test]
    fn every_reserved_name_is_taken_away_in_every_spelling() {
        let forgeable = plain();
        for entry in RESERVED {
            for member in ["", "x", "-user", "-client-ip"] {
                let name = match entry.family() {
                    Some(prefix) => format!("{prefix}{member}"),
                    None => entry.name.to_owned(),
                };
                for sign in ["-", "_", ".", "~", "|"] {
                    let name = name.replace('-', sign);
                    assert!(forgeable.holds(&name), "{name} of {}", entry.name);
                }
            }
        }
    }

    #[test]
    fn a_look_alike_of_an_apps_own_header_is_taken_away_and_another_header_is_not() {
        let forgeable = plain();
        for name in ["x-my-user", "x_my_user", "x.my-user", "x~my~user", "x-token"] {
            assert!(forgeable.holds(name), "{name}");
        }
        for name in ["x-my-users", "xmy-user", "x-my-use", "x", "", "accept", "x-tokens", "authorization"] {
            assert!(!forgeable.holds(name), "{name}");
        }
    }

    #[test]
    fn what_an_app_lets_pass_passes_in_one_spelling_alone() {
        let forgeable = Forgeable::new(std::iter::empty(), ["Cf-Ray", "X-User-Id"].into_iter());
        assert!(!forgeable.holds("cf-ray") && !forgeable.holds("x-user-id"));
        for name in ["cf_ray", "cf.ray", "cf-rays", "cf-connecting-ip", "x_user-id", "x-user"] {
            assert!(forgeable.holds(name), "{name}");
        }
    }

    proptest! {
        /// The quick look-up and the obvious one agree.
        #[test]
        fn a_plain_name_is_taken_away_exactly_when_it_is_reserved_and_an_odd_one_always(
            entry in any::<prop::sample::Index>(),
            cut in 0_usize..40,
            tail in "[a-z0-9_.~-]{0,6}",
        ) {
            let known = entry.get(RESERVED).name.trim_end_matches('*');
            let name = format!("{}{tail}", known.get(..cut).unwrap_or(known));
            let forgeable = Forgeable::new(std::iter::empty(), std::iter::empty());
            let expected = !is_plain_name(&name) || reserved(&name).is_some();
            prop_assert_eq!(forgeable.holds(&name), expected, "{}", name);
        }
    }
}
