//! Sets of policies: a bit for each, in words of 64.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Some bits of one word of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Masked {
    pub(crate) word: u32,
    pub(crate) bits: u64,
}

pub(crate) fn set_bit(words: &mut [u64], bit: u32) {
    if let Some(word) = words.get_mut(bit as usize / 64) {
        *word |= 1 << (bit % 64);
    }
}

pub(crate) fn has_bit(words: &[u64], bit: u32) -> bool {
    words.get(bit as usize / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
}

/// Adds the bits of `set` to `words`.
pub(crate) fn add(words: &mut [u64], set: &[Masked]) {
    for Masked { word, bits } in set {
        if let Some(word) = words.get_mut(*word as usize) {
            *word |= bits;
        }
    }
}

/// The non-zero words of a set.
pub(crate) fn masked(words: &[u64]) -> Box<[Masked]> {
    let all = words.iter().zip(0_u32..).map(|(bits, word)| Masked { word, bits: *bits });
    all.filter(|some| some.bits != 0).collect()
}

/// The bits that are set, lowest first.
pub(crate) struct Ones(pub(crate) u64);

impl Iterator for Ones {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let bit = self.0.trailing_zeros();
        self.0 &= self.0.wrapping_sub(1);
        (bit < 64).then_some(bit)
    }
}

/// Sets in rows of equal width, one below the other.
#[derive(Debug)]
pub(crate) struct Rows {
    width: usize,
    cells: Vec<u64>,
}

impl Rows {
    /// Where the first row begins, in which every bit is set: it rules nothing out.
    pub(crate) const ALL: usize = 0;

    /// A table with the row [`ALL`](Self::ALL) alone.
    pub(crate) fn new(width: usize) -> Self {
        Self { width, cells: alloc::vec![u64::MAX; width] }
    }

    /// Adds a row and says where it begins.
    pub(crate) fn push(&mut self, row: &[u64]) -> usize {
        debug_assert_eq!(row.len(), self.width, "rows of one table are equally wide");
        let offset = self.cells.len();
        self.cells.extend_from_slice(row);
        offset
    }

    /// Where the next row will begin.
    pub(crate) const fn end(&self) -> usize {
        self.cells.len()
    }

    /// Where the row begins that lies `rows` below the one at `offset`.
    #[inline]
    pub(crate) const fn below(&self, offset: usize, rows: usize) -> usize {
        offset + rows * self.width
    }

    /// A word of the row that begins at `offset`, or `missing` where there is none: give what refuses more.
    #[inline]
    pub(crate) fn word(&self, offset: usize, word: usize, missing: u64) -> u64 {
        self.cells.get(offset + word).copied().unwrap_or(missing)
    }
}

/// For each of many names a set of bits, most of them small.
#[derive(Debug, Default)]
pub(crate) struct Postings {
    /// Where the list of each name begins in `lists`; one more than there are names.
    starts: Box<[u32]>,
    lists: Box<[Masked]>,
}

impl Postings {
    /// From pairs of name and bit, in any order, for names `0..names`.
    pub(crate) fn new(names: usize, mut pairs: Vec<(u32, u32)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = Vec::with_capacity(names + 1);
        let mut lists: Vec<Masked> = Vec::new();
        let mut rest = pairs.iter().peekable();
        for name in (0_u32..).take(names) {
            let start = lists.len();
            starts.push(u32::try_from(start).unwrap_or(u32::MAX));
            while let Some((_, bit)) = rest.next_if(|(owner, _)| *owner == name) {
                let (word, bits) = (bit / 64, 1 << (bit % 64));
                // The words of the names before are not this one's.
                match lists.get_mut(start..).and_then(<[_]>::last_mut) {
                    Some(last) if last.word == word => last.bits |= bits,
                    _ => lists.push(Masked { word, bits }),
                }
            }
        }
        starts.push(u32::try_from(lists.len()).unwrap_or(u32::MAX));
        Self { starts: starts.into(), lists: lists.into() }
    }

    pub(crate) fn of(&self, name: u32) -> &[Masked] {
        let at = |index: usize| self.starts.get(index).map(|start| *start as usize);
        match (at(name as usize), at(name as usize + 1)) {
            (Some(start), Some(end)) => self.lists.get(start..end).unwrap_or(&[]),
            (None, _) | (_, None) => &[],
        }
    }
}
