//! Rows of bits, what never falls in any of them, and the search for one of each dimension that leave nothing.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// A bit for each obstacle and for each policy that could speak.
pub(crate) type Words = Box<[u64]>;

/// What a choice of values has to come to.
#[derive(Debug, Default)]
pub(crate) struct Goal {
    /// None of these may be left.
    pub(crate) obstacles: Vec<u64>,
    /// Of each of these some must be.
    pub(crate) speakers: Vec<Vec<u64>>,
}

impl Goal {
    /// Whether it may still be reached, where this is left so far, and of what follows these never fall and these may stay.
    pub(crate) fn is_reachable(&self, left: &[u64], never: &[u64], some: &[u64]) -> bool {
        let words = left.iter().zip(never).zip(&self.obstacles);
        let mut stuck = words.map(|((left, never), mask)| left & never & mask);
        if stuck.any(|word| word != 0) {
            return false;
        }
        self.speakers.iter().all(|mask| {
            let mut words = left.iter().zip(some).zip(mask);
            words.any(|((left, some), mask)| left & some & mask != 0)
        })
    }

    /// Whether a value with this row does wherever one with the other does.
    pub(crate) fn is_as_good(&self, one: &[u64], other: &[u64]) -> bool {
        let mut obstacles = one.iter().zip(other).zip(&self.obstacles);
        obstacles.all(|((one, other), mask)| one & !other & mask == 0)
            && self.speakers.iter().all(|mask| {
                let mut words = one.iter().zip(other).zip(mask);
                words.all(|((one, other), mask)| other & !one & mask == 0)
            })
    }
}

/// What stays at one value.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) words: Words,
    /// Which value, for whoever made the row.
    pub(crate) value: usize,
}

/// Values of one dimension that are reached by the same changes.
#[derive(Debug)]
pub(crate) struct Group {
    /// The changes, as bits.
    pub(crate) changes: u32,
    /// In the order in which they are preferred.
    pub(crate) rows: Vec<Row>,
    /// What stays at each of the values.
    pub(crate) never: Words,
    /// What stays at some of them.
    pub(crate) some: Words,
}

impl Group {
    /// Drops values that another one is as good as: an earlier one, or, where `any_order`, a later one too.
    pub(crate) fn new(changes: u32, rows: Vec<Row>, goal: &Goal, any_order: bool) -> Self {
        let mut kept: Vec<Row> = Vec::new();
        for row in rows {
            if kept.iter().any(|other| goal.is_as_good(&other.words, &row.words)) {
                continue;
            }
            if any_order {
                kept.retain(|other| !goal.is_as_good(&row.words, &other.words));
            }
            kept.push(row);
        }
        let width = goal.obstacles.len();
        let (mut never, mut some): (Words, Words) =
            (alloc::vec![u64::MAX; width].into(), alloc::vec![0; width].into());
        for row in &kept {
            never.iter_mut().zip(&row.words).for_each(|(never, word)| *never &= word);
            some.iter_mut().zip(&row.words).for_each(|(some, word)| *some |= word);
        }
        Self { changes, rows: kept, never, some }
    }
}

/// Something that can have one of several values.
#[derive(Debug)]
pub(crate) struct Dimension {
    /// The changes that it is about; some may be about others as well.
    pub(crate) span: u32,
    /// By changes, the present value first.
    pub(crate) groups: Vec<Group>,
}

impl Dimension {
    /// The values that exactly those of some changes lead to which are about it; `None` when none do.
    pub(crate) fn group(&self, changes: u32) -> Option<&Group> {
        self.groups.iter().find(|group| group.changes == changes & self.span)
    }
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Who was shown a choice took it.
    Found,
    /// There is no other.
    Exhausted,
    /// There may be others: the steps are used up.
    CutShort,
}

/// A search within a number of steps.
#[derive(Debug)]
pub(crate) struct Search<'g> {
    pub(crate) goal: &'g Goal,
    /// Steps that may still be taken.
    pub(crate) left: u32,
}

impl Search<'_> {
    /// Shows `visit` every choice of one row from each list of groups at which the goal is reached, the preferred ones
    /// first, until it takes one.
    pub(crate) fn find<'r>(
        &mut self,
        lists: &[Vec<&'r Group>],
        visit: &mut dyn FnMut(&[&'r Row]) -> bool,
    ) -> Ending {
        let width = self.goal.obstacles.len();
        // For each list, what the lists from it on leave at best.
        let mut bounds = Vec::from([Bound::open(width)]);
        for list in lists.iter().rev() {
            let after = bounds.last().map_or_else(|| Bound::open(width), Bound::clone);
            bounds.push(after.before(list));
        }
        bounds.reverse();
        let start = alloc::vec![u64::MAX; width];
        self.descend(lists, &bounds, &start, &mut Vec::new(), visit)
    }

    fn descend<'r>(
        &mut self,
        lists: &[Vec<&'r Group>],
        bounds: &[Bound],
        left: &[u64],
        chosen: &mut Vec<&'r Row>,
        visit: &mut dyn FnMut(&[&'r Row]) -> bool,
    ) -> Ending {
        let Some(bound) = bounds.first() else { return Ending::Exhausted };
        if !self.goal.is_reachable(left, &bound.never, &bound.some) {
            return Ending::Exhausted;
        }
        let (Some((list, lists)), Some(bounds)) = (lists.split_first(), bounds.get(1..)) else {
            return if visit(chosen) { Ending::Found } else { Ending::Exhausted };
        };
        for row in list.iter().flat_map(|group| &group.rows) {
            let Some(steps) = self.left.checked_sub(1) else { return Ending::CutShort };
            self.left = steps;
            let left: Words = left.iter().zip(&row.words).map(|(left, word)| left & word).collect();
            chosen.push(row);
            let ending = self.descend(lists, bounds, &left, chosen, visit);
            chosen.pop();
            if ending != Ending::Exhausted {
                return ending;
            }
        }
        Ending::Exhausted
    }
}

/// What some dimensions leave whatever their values are, and what they could leave.
#[derive(Clone, Debug)]
struct Bound {
    never: Words,
    some: Words,
}

impl Bound {
    fn open(width: usize) -> Self {
        Self { never: alloc::vec![u64::MAX; width].into(), some: alloc::vec![u64::MAX; width].into() }
    }

    fn before(mut self, list: &[&Group]) -> Self {
        let width = self.never.len();
        let (mut never, mut some) = (alloc::vec![u64::MAX; width], alloc::vec![0_u64; width]);
        for group in list {
            never.iter_mut().zip(&group.never).for_each(|(never, word)| *never &= word);
            some.iter_mut().zip(&group.some).for_each(|(some, word)| *some |= word);
        }
        self.never.iter_mut().zip(never).for_each(|(all, word)| *all &= word);
        self.some.iter_mut().zip(some).for_each(|(all, word)| *all &= word);
        self
    }
}
