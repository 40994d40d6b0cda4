//! Which class an address belongs to, found in a few steps: a trie whose nodes look at as many bits as
//! there are edges below them, and whose leaves hold the last few edges to search.
//!
//! Networks are nested or apart, never crossing, so their edges cut the address space into pieces within
//! which the set of locations is one.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Reverse;

/// An address as a number.
pub(super) trait Address: Copy + Ord {
    /// How many bits it has.
    const BITS: u32;
    const ZERO: Self;
    /// The next address, if there is one.
    fn next(self) -> Option<Self>;
    /// The address before; that of zero is the last one.
    fn previous(self) -> Self;
    /// `width` bits (below 32) that have `shift` bits below them.
    fn field(self, shift: u32, width: u32) -> usize;
    /// This address, with `field` where `shift` bits are below it.
    fn with(self, field: usize, shift: u32) -> Self;
}

macro_rules! address {
    ($number:ty) => {
        impl Address for $number {
            const BITS: u32 = <$number>::BITS;
            const ZERO: Self = 0;

            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }

            fn previous(self) -> Self {
                self.wrapping_sub(1)
            }

            #[inline]
            fn field(self, shift: u32, width: u32) -> usize {
                ((self >> shift) as usize) & ((1 << width) - 1)
            }

            fn with(self, field: usize, shift: u32) -> Self {
                self | (field as $number) << shift
            }
        }
    };
}
address!(u32);
address!(u128);

/// Addresses, cut into pieces of one class each.
#[derive(Debug)]
pub(super) struct Intervals<T> {
    pieces: Box<[Piece<T>]>,
    slots: Box<[Slot]>,
    nodes: Box<[Node]>,
}

/// From `start` to the next piece.
#[derive(Clone, Copy, Debug)]
struct Piece<T> {
    start: T,
    class: u32,
}

/// Looks at `width` bits that have `shift` bits below them.
#[derive(Clone, Copy, Debug)]
struct Node {
    shift: u8,
    width: u8,
    first_slot: u32,
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    /// All addresses are of this class.
    Class(u32),
    /// A few pieces, of which the last that begins before the address is the one.
    Pieces {
        first: u32,
        len: u8,
    },
    Node(u32),
}

/// So many pieces are searched rather than split.
const PIECES_MAX: usize = 4;
/// The most bits that a node looks at.
const WIDTH_MAX: u32 = 12;

impl<T: Address> Intervals<T> {
    /// From ranges (both ends inside) that are nested or apart, each with what holds in it; `class_of`
    /// names the class of everything that holds at a place.
    pub(super) fn new<H: Copy>(
        mut ranges: Vec<(T, T, H)>,
        mut class_of: impl FnMut(&[(T, H)]) -> u32,
    ) -> Self {
        ranges.sort_unstable_by_key(|(start, end, _)| (*start, Reverse(*end)));
        let mut pieces = Vec::from([Piece { start: T::ZERO, class: class_of(&[]) }]);
        let mut push = |start: T, around: &[(T, H)]| {
            let class = class_of(around);
            // A range that begins where another ends: the later word is the right one.
            if pieces.len() > 1 && pieces.last().is_some_and(|last: &Piece<T>| last.start == start) {
                pieces.pop();
            }
            match pieces.last_mut() {
                Some(last) if last.start == start => last.class = class,
                Some(last) if last.class == class => {}
                Some(_) | None => pieces.push(Piece { start, class }),
            }
        };
        // The ranges around the current place, the innermost last.
        let mut around: Vec<(T, H)> = Vec::new();
        let mut ranges = ranges.into_iter().peekable();
        loop {
            let next = ranges.peek().map(|(start, ..)| *start);
            // Leave the ranges that end before the next one begins.
            while let Some((end, _)) = around.last().copied()
                && next.is_none_or(|next| end < next)
            {
                while around.pop_if(|(other, _)| *other == end).is_some() {}
                if let Some(start) = end.next() {
                    push(start, &around);
                }
            }
            let Some(start) = next else { break };
            while let Some((_, end, holds)) = ranges.next_if(|(other, ..)| *other == start) {
                around.push((end, holds));
            }
            push(start, &around);
        }
        let mut trie = Trie { slots: Vec::new(), nodes: Vec::new() };
        let root = trie.build(&pieces, 0, T::ZERO, T::BITS);
        trie.slots.push(root);
        Self { pieces: pieces.into(), slots: trie.slots.into(), nodes: trie.nodes.into() }
    }

    /// The first address of each piece, and the last one before it.
    pub(super) fn edges(&self) -> impl Iterator<Item = T> {
        self.pieces.iter().flat_map(|piece| [piece.start.previous(), piece.start])
    }

    /// The class of an address; `None` only if the trie is broken.
    #[inline]
    pub(super) fn class(&self, address: T) -> Option<u32> {
        let mut slot = self.slots.last()?;
        loop {
            match slot {
                Slot::Class(class) => return Some(*class),
                Slot::Pieces { first, len } => {
                    let first = *first as usize;
                    let few = self.pieces.get(first..first + usize::from(*len))?;
                    return few.iter().rev().find(|piece| piece.start <= address).map(|piece| piece.class);
                }
                Slot::Node(node) => {
                    let Node { shift, width, first_slot } = self.nodes.get(*node as usize)?;
                    let field = address.field(u32::from(*shift), u32::from(*width));
                    slot = self.slots.get(*first_slot as usize + field)?;
                }
            }
        }
    }
}

struct Trie {
    slots: Vec<Slot>,
    nodes: Vec<Node>,
}

impl Trie {
    /// The slot for the block of `bits` bits that begins at `start`; `pieces` are those that reach into it,
    /// the first of them at `first`.
    fn build<T: Address>(&mut self, pieces: &[Piece<T>], first: usize, start: T, bits: u32) -> Slot {
        if let [only] = pieces {
            return Slot::Class(only.class);
        }
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        if pieces.len() <= PIECES_MAX || bits == 0 {
            let len = u8::try_from(pieces.len()).unwrap_or(u8::MAX);
            return Slot::Pieces { first: small(first), len };
        }
        let width = (pieces.len().ilog2() + 1).min(WIDTH_MAX).min(bits);
        let shift = bits - width;
        let first_slot = self.slots.len();
        let node = self.nodes.len();
        self.nodes.push(Node {
            shift: u8::try_from(shift).unwrap_or(u8::MAX),
            width: u8::try_from(width).unwrap_or(u8::MAX),
            first_slot: small(first_slot),
        });
        self.slots.resize(first_slot + (1 << width), Slot::Class(0));
        let mut rest = pieces;
        let mut skipped = 0;
        for field in 0..1_usize << width {
            let block = start.with(field, shift);
            // The last piece that begins before the block reaches into it.
            let before = rest.partition_point(|piece| piece.start <= block).saturating_sub(1);
            rest = rest.get(before..).unwrap_or(&[]);
            skipped += before;
            let end = if field + 1 == 1 << width {
                rest.len()
            } else {
                let next = start.with(field + 1, shift);
                rest.partition_point(|piece| piece.start < next)
            };
            let slot = self.build(rest.get(..end).unwrap_or(&[]), first + skipped, block, shift);
            if let Some(place) = self.slots.get_mut(first_slot + field) {
                *place = slot;
            }
        }
        Slot::Node(small(node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks every edge and its neighbours, and compares with a walk over the ranges.
    fn check<T: Address + core::fmt::Debug>(ranges: &[(T, T)], more: impl Fn(T) -> Vec<T>) {
        let with_number: Vec<_> =
            (0_u32..).zip(ranges).map(|(number, range)| (range.0, range.1, number)).collect();
        let mut sets: Vec<Vec<u32>> = Vec::new();
        let intervals = Intervals::new(with_number, |around| {
            let mut set: Vec<u32> = around.iter().map(|(_, number)| *number).collect();
            set.sort_unstable();
            sets.iter().position(|other| *other == set).unwrap_or_else(|| {
                sets.push(set);
                sets.len() - 1
            }) as u32
        });
        for asked in ranges.iter().flat_map(|range| [more(range.0), more(range.1)]).flatten() {
            let expected: Vec<u32> = (0_u32..)
                .zip(ranges)
                .filter(|(_, range)| range.0 <= asked && asked <= range.1)
                .map(|(number, _)| number)
                .collect();
            let class = intervals.class(asked).unwrap();
            assert_eq!(sets[class as usize], expected, "{asked:?} among {ranges:?}");
        }
    }

    #[test]
    fn an_address_is_in_every_network_around_it_and_in_no_other() {
        let v4 = |address: u32, prefix: u32| {
            let host = if prefix == 0 { u32::MAX } else { (1_u64 << (32 - prefix)) as u32 - 1 };
            (address & !host, address | host)
        };
        let near = |address: u32| {
            Vec::from([
                address.wrapping_sub(1),
                address,
                address.wrapping_add(1),
                0,
                u32::MAX,
                address ^ 0x8000,
            ])
        };
        check(&[], near);
        check(&[v4(0, 0)], near);
        check(&[v4(0, 0), v4(0, 1), v4(0, 1), v4(u32::MAX, 32), v4(0, 32)], near);
        check(&[v4(0x0A00_0000, 8), v4(0x0A01_0000, 16), v4(0x0A01_0200, 24), v4(0x0A01_0203, 32)], near);
        // Neighbours, a dense block, and nested ones, enough for several levels.
        let mut many: Vec<_> = (0..600).map(|one| v4(0x0A00_0000 + one * 256, 24)).collect();
        many.extend((0..200).map(|one| v4(0xC0A8_0000 + one * 977, 32 - one % 9)));
        many.extend((1..32).map(|prefix| v4(0x0A00_1234, prefix)));
        check(&many, near);
    }

    #[test]
    fn the_same_holds_for_long_addresses() {
        let v6 = |address: u128, prefix: u32| {
            let host = u128::MAX.checked_shr(prefix).unwrap_or(0);
            (address & !host, address | host)
        };
        let near = |address: u128| Vec::from([address.wrapping_sub(1), address, address.wrapping_add(1)]);
        let base = 0x2001_0db8_u128 << 96;
        let mut many: Vec<_> = (0..300).map(|one| v6(base + (one << 72), 56)).collect();
        many.extend((0..100).map(|one| v6(base + one * 3, 128)));
        many.extend((0..129).step_by(7).map(|prefix| v6(base + 5, prefix)));
        check(&many, near);
    }
}
