//! Which refusals the decision log leaves out, and where what they repeat stands.
//!
//! A person's page is always logged. Of what programs are answered, the same refusal over and over, most is left out;
//! and whoever looks up one of those is to find its cause all the same. So a request that is left out takes the end of the
//! id of the line that was written last for the same situation: its reference is that line's. Nothing grows by it, and
//! no second log is needed.
//!
//! A table of fixed size without locks. A situation that was pushed out of it is written once more.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::repeats::Repeats;
use crate::reference::{REFERENCE_BITS, Reference};

/// Lines of the log that are remembered, in groups.
const GROUPS: usize = 1_024;
const GROUP: usize = 8;
/// Refusals of one situation that are written one by one.
const WRITTEN_EACH: u32 = 10;
/// From here on the count stands still.
const COUNT_MAX: u32 = 4_096;

/// How often a refusal was repeated, and what becomes of it in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repetition {
    /// How many such refusals there were within ten minutes, this one included: pages, or answers to programs. 0 where
    /// it was not counted.
    pub repeats: u32,
    /// Whether it is answered as a page. Only those are repetitions to a person.
    pub is_page: bool,
    /// The reference of the line that stands for this one, which is left out.
    pub same_as: Option<Reference>,
}

impl Repetition {
    /// How often a person saw it, this time included.
    #[must_use]
    pub fn shown(&self) -> Option<u32> {
        (self.is_page && self.repeats > 0).then_some(self.repeats)
    }
}

/// The nth of the same refusals within ten minutes is written: the first ten, then powers of two, so that the last line
/// shows how many there were to within a half. Metrics count each.
const fn is_written(repeats: u32) -> bool {
    repeats <= WRITTEN_EACH || (repeats.is_power_of_two() && repeats < COUNT_MAX)
}

/// What programs were refused lately, and the lines that stand for it.
pub(super) struct Thinning {
    counts: Repeats,
    /// Of each, 24 bits of its situation's hash, then its reference.
    written: Box<[[AtomicU64; GROUP]]>,
}

impl fmt::Debug for Thinning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thinning").finish_non_exhaustive()
    }
}

impl Thinning {
    pub(super) fn new() -> Self {
        let written = (0..GROUPS).map(|_| Default::default()).collect();
        Self { counts: Repeats::new(), written }
    }

    /// Counts a refusal in this situation at `now` (Unix seconds), whose line would have this reference.
    pub(super) fn count(
        &self,
        situation: impl std::hash::Hash,
        now: i64,
        reference: Reference,
    ) -> Repetition {
        let hash = self.counts.hash(situation);
        let repeats = self.counts.count_hashed(hash, now);
        let repetition = Repetition { repeats, is_page: false, same_as: None };
        let place = usize::try_from(hash).unwrap_or(0);
        let Some(group) = self.written.get(place % GROUPS) else { return repetition };
        let tag = hash >> REFERENCE_BITS << REFERENCE_BITS;
        let is_own = |word: u64| word != 0 && word >> REFERENCE_BITS == tag >> REFERENCE_BITS;
        let own = group.iter().find(|word| is_own(word.load(Ordering::Relaxed)));
        if !is_written(repeats)
            && let Some(word) = own.map(|word| word.load(Ordering::Relaxed)).filter(|word| is_own(*word))
        {
            return Repetition { same_as: Some(Reference::from_bits(word)), ..repetition };
        }
        if let Some(word) = own.or_else(|| group.get(place / GROUPS % GROUP)) {
            word.store(tag | reference.bits(), Ordering::Relaxed);
        }
        repetition
    }
}

#[cfg(test)]
mod tests {
    use super::Thinning;
    use crate::reference::Reference;

    const NOW: i64 = 1_795_487_466;

    fn reference(number: u64) -> Reference {
        Reference::from_bits(number)
    }

    #[test]
    fn what_is_left_out_has_the_reference_of_the_line_before_it() {
        let thinning = Thinning::new();
        let mut written = Vec::new();
        let mut last = reference(0);
        for number in 1..=5_000_u64 {
            let counted = thinning.count(("kari", "api"), NOW, reference(number));
            match counted.same_as {
                Some(line) => assert_eq!(line, last, "{number}"),
                None => {
                    last = reference(number);
                    written.push(number);
                }
            }
        }
        assert_eq!(written, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 32, 64, 128, 256, 512, 1_024, 2_048]);
        let later = thinning.count(("kari", "api"), NOW + 600, reference(9));
        assert_eq!((later.repeats, later.same_as), (1, None), "ten minutes later it is written again");
    }

    #[test]
    fn no_situation_is_found_in_the_line_of_another_however_many_there_are() {
        let thinning = Thinning::new();
        let users: Vec<u64> = (1..=20_000).collect();
        let mut last = vec![reference(0); users.len() + 1];
        let mut number = 0;
        for _ in 0..12 {
            for user in &users {
                number += 1;
                let counted = thinning.count(user, NOW, reference(number));
                let line = &mut last[*user as usize];
                match counted.same_as {
                    Some(found) => assert_eq!(found, *line, "{user}"),
                    None => *line = reference(number),
                }
            }
        }
    }
}
