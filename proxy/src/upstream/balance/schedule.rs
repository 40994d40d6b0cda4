//! Weighted round robin, worked out beforehand: at which servers each turn falls, so that a turn costs one addition.
//!
//! Smooth: a server of weight 5 beside two of weight 1 is asked in a, a, b, a, c, a, a and not five times in a row. A
//! turn that falls to a server that takes nothing is given up for the next one: what is left is just as smooth.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The longest schedule, in turns: weights that want more are rounded.
const TURNS_MAX: u64 = 1 << 14;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// Positions of servers.
    turns: Vec<u32>,
    servers: usize,
    next: AtomicUsize,
}

impl Schedule {
    /// A schedule for servers of these weights; those of weight 0 have no turn.
    pub(super) fn new(weights: &[u32]) -> Self {
        Self { turns: smooth(&reduced(weights)), servers: weights.len(), next: AtomicUsize::new(0) }
    }

    /// The next server in turn that can be used.
    ///
    /// # Cost
    /// As many steps as there are servers, and twice as many where some cannot be used; no lock, no allocation.
    pub(super) fn next(&self, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let mut last = 0;
        for _ in 0..self.servers {
            last = self.next.fetch_add(1, Ordering::Relaxed);
            let at = self.at(last)?;
            if usable(at) {
                return Some(at);
            }
        }
        // Turns of one server that takes nothing may be many.
        (1..=self.servers).map(|step| last.wrapping_add(step) % self.servers).find(|at| usable(*at))
    }

    fn at(&self, turn: usize) -> Option<usize> {
        let turn = turn.checked_rem(self.turns.len())?;
        self.turns.get(turn).and_then(|at| usize::try_from(*at).ok())
    }
}

/// The weights in lowest terms, and small enough for a schedule.
fn reduced(weights: &[u32]) -> Vec<u64> {
    let divisor = weights.iter().copied().map(u64::from).fold(0, greatest_common_divisor).max(1);
    let weights: Vec<u64> = weights.iter().map(|weight| u64::from(*weight) / divisor).collect();
    let total: u64 = weights.iter().sum();
    if total <= TURNS_MAX {
        return weights;
    }
    // No weight that there is becomes none.
    let scaled = |weight: &u64| (weight * TURNS_MAX / total).max(u64::from(*weight > 0));
    weights.iter().map(scaled).collect()
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The turns of one round: each time the server that is owed most has it, and owes a round in return.
fn smooth(weights: &[u64]) -> Vec<u32> {
    let total: u64 = weights.iter().sum();
    let signed = |weight: u64| i64::try_from(weight).unwrap_or(i64::MAX);
    let mut owed = vec![0_i64; weights.len()];
    let mut turns = Vec::new();
    for _ in 0..total {
        for (owed, weight) in owed.iter_mut().zip(weights) {
            *owed += signed(*weight);
        }
        // The first of several.
        let most =
            owed.iter().enumerate().filter(|(at, _)| weights.get(*at).is_some_and(|weight| *weight > 0));
        let most = most.max_by_key(|(at, owed)| (**owed, std::cmp::Reverse(*at))).map(|(at, _)| at);
        let Some(at) = most else { break };
        if let Some(owed) = owed.get_mut(at) {
            *owed -= signed(total);
        }
        turns.extend(u32::try_from(at));
    }
    turns
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(schedule: &Schedule, count: usize, usable: impl Fn(usize) -> bool) -> Vec<usize> {
        (0..count).filter_map(|_| schedule.next(&usable)).collect()
    }

    #[test]
    fn turns_are_as_many_as_the_weight_and_never_all_in_a_row() {
        assert_eq!(taken(&Schedule::new(&[5, 1, 1]), 7, |_| true), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(taken(&Schedule::new(&[1, 1, 1]), 6, |_| true), [0, 1, 2, 0, 1, 2]);
        assert_eq!(taken(&Schedule::new(&[300, 600]), 6, |_| true), [1, 0, 1, 1, 0, 1]);
        assert_eq!(taken(&Schedule::new(&[0, 2]), 3, |_| true), [1, 1, 1]);
        assert_eq!(taken(&Schedule::new(&[]), 1, |_| true), [0_usize; 0]);
        assert_eq!(taken(&Schedule::new(&[0]), 1, |_| true), [0_usize; 0]);
    }

    #[test]
    fn the_turns_of_a_server_that_takes_nothing_are_shared_by_all_others() {
        let taken = taken(&Schedule::new(&[1, 1, 1]), 300, |at| at != 1);
        let of = |server: usize| taken.iter().filter(|at| **at == server).count();
        assert_eq!([of(0), of(1), of(2)], [150, 0, 150]);
    }

    #[test]
    fn a_server_with_a_single_turn_among_thousands_is_found() {
        let schedule = Schedule::new(&[1_000, 1, 1_000]);
        assert_eq!(taken(&schedule, 50, |at| at == 1), [1; 50]);
    }

    #[test]
    fn weights_that_make_too_long_a_round_are_rounded_and_none_is_lost() {
        let weights: Vec<u32> = (0..64).map(|at| if at == 0 { 1 } else { 999 + at % 2 }).collect();
        let schedule = Schedule::new(&weights);
        assert!(schedule.turns.len() as u64 <= TURNS_MAX + 64, "{}", schedule.turns.len());
        assert!(schedule.turns.contains(&0));
    }

    proptest! {
        #[test]
        fn every_stretch_has_each_server_by_its_weight_within_a_few_turns(
            weights in prop::collection::vec(0_u32..20, 1..6),
            from in 0_usize..50,
            count in 1_usize..200,
        ) {
            let total: u32 = weights.iter().sum();
            prop_assume!(total > 0);
            let schedule = Schedule::new(&weights);
            taken(&schedule, from, |_| true);
            let taken = taken(&schedule, count, |_| true);
            prop_assert_eq!(taken.len(), count);
            for (server, weight) in weights.iter().enumerate() {
                let got = taken.iter().filter(|at| **at == server).count() as f64;
                let due = count as f64 * f64::from(*weight) / f64::from(total);
                let slack = weights.len() as f64;
                prop_assert!((got - due).abs() <= slack, "{server}: {got} instead of {due}");
            }
        }
    }
}
