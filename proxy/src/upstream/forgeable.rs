//! Names under which a client must not speak to an app: those that only a proxy may say
//! ([`portcullis_config::reserved`]), and those under which this app is told who asks. Every request's names
//! are asked for, so that most are told apart by the three signs that they begin with.

use std::borrow::Cow;

use portcullis_config::reserved::{RESERVED, fold, folded};

/// The names that are taken away from a request before an app sees it.
#[derive(Debug)]
pub(super) struct Forgeable {
    /// Which third signs some name has after its first two; a bit for each, and a row for several pairs.
    begins: [u32; 256],
    /// Whole names as careless readers take them, in order.
    names: Vec<Box<str>>,
    /// What names of a family begin with, in order; none begins with another.
    families: Vec<Box<str>>,
    /// Names that pass all the same, in lower case and in this spelling alone.
    passed: Vec<Box<str>>,
}

impl Forgeable {
    /// The reserved names and these of an app, without those that pass.
    pub(super) fn new<'n>(
        of_app: impl Iterator<Item = &'n str>,
        passed: impl Iterator<Item = &'n str>,
    ) -> Self {
        let whole = RESERVED.iter().filter(|entry| entry.family().is_none()).map(|entry| entry.name);
        let mut names: Vec<Box<str>> = whole.chain(of_app).map(|name| fold(name).into()).collect();
        names.sort_unstable();
        names.dedup();
        let mut families: Vec<Box<str>> = Vec::new();
        let mut prefixes: Vec<String> =
            RESERVED.iter().filter_map(|entry| entry.family()).map(fold).collect();
        // A family within another comes right behind it.
        prefixes.sort_unstable();
        for prefix in prefixes {
            if families.last().is_none_or(|last| !prefix.starts_with(&**last)) {
                families.push(prefix.into());
            }
        }
        let mut begins = [0; 256];
        for name in names.iter().chain(&families) {
            let (row, bit) = beginning(name);
            if let Some(row) = begins.get_mut(row) {
                *row |= bit;
            }
        }
        Self {
            begins,
            names,
            families,
            passed: passed.map(|name| name.to_ascii_lowercase().into()).collect(),
        }
    }

    /// Whether a header of this name, in lower case, is to be taken away.
    pub(super) fn holds(&self, name: &str) -> bool {
        let (row, bit) = beginning(name);
        if self.begins.get(row).is_none_or(|row| row & bit == 0) {
            return false;
        }
        let name_as_read = as_read(name);
        let folded: &str = &name_as_read;
        let is_named = self.names.binary_search_by(|known| (**known).cmp(folded)).is_ok();
        // The last family that is not behind the name is the only one that it can belong to.
        let behind = self.families.partition_point(|family| **family <= *folded);
        let family = behind.checked_sub(1).and_then(|last| self.families.get(last));
        let is_of_family = || family.is_some_and(|family| folded.starts_with(&**family));
        (is_named || is_of_family()) && !self.passes(name)
    }

    /// Whether a header of this name, in lower case, passes whatever it looks like.
    pub(super) fn passes(&self, name: &str) -> bool {
        self.passed.iter().any(|passed| **passed == *name)
    }
}

/// A name in lower case as careless readers take it. Nearly all names are as they are read.
fn as_read(name: &str) -> Cow<'_, str> {
    let is_read_so = |byte| folded(byte) == byte;
    if name.bytes().all(is_read_so) { Cow::Borrowed(name) } else { Cow::Owned(fold(name)) }
}

/// Row and bit of the three signs that a name begins with. Several share one.
fn beginning(name: &str) -> (usize, u32) {
    let mut signs = name.bytes().map(folded);
    let mut next = || signs.next().unwrap_or(0) & 31;
    let (first, second, third) = (next(), next(), next());
    ((usize::from(first) * 8) ^ usize::from(second), 1 << third)
}

#[cfg(test)]
mod tests {
    use portcullis_config::reserved::{RESERVED, reserved};
    use proptest::prelude::*;

    use super::Forgeable;

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
        fn a_name_is_taken_away_exactly_when_it_is_reserved(
            entry in any::<prop::sample::Index>(),
            cut in 0_usize..40,
            tail in "[a-z0-9_.~-]{0,6}",
        ) {
            let known = entry.get(RESERVED).name.trim_end_matches('*');
            let name = format!("{}{tail}", known.get(..cut).unwrap_or(known));
            let forgeable = Forgeable::new(std::iter::empty(), std::iter::empty());
            prop_assert_eq!(forgeable.holds(&name), reserved(&name).is_some(), "{}", name);
        }
    }
}
