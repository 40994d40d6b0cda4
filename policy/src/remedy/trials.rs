//! What a search tries, for whoever checks it: every value of every dimension, and what a request is with some of them.

use alloc::vec::Vec;

use super::candidates::Installation;
use super::changes::{Axis, bits, changed, remedy};
use super::found::Remedy;
use super::problem::Problem;
use super::search::in_readings;
use crate::compile::CompiledPolicies;
use crate::decide::Reading;
use crate::scope::Scope;
use crate::signals::{OwnedSignals, Signals};

/// What a search tries, before anything is left out.
#[doc(hidden)]
pub struct Trials<'c> {
    signals: Signals<'c>,
    axes: Vec<Axis<'c>>,
    /// Whether that is all there is.
    pub is_complete: bool,
}

/// Something that could be otherwise.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The changes that lead there; none for what is so now.
    pub changes: Vec<Remedy>,
    /// Whether it could be offered.
    pub is_offered: bool,
}

impl<'c> Trials<'c> {
    #[doc(hidden)]
    #[must_use]
    pub fn new(
        policies: &'c CompiledPolicies,
        scope: &Scope,
        signals: &Signals<'c>,
        readings: &[Reading<'c>],
        installation: &Installation<'c>,
    ) -> Self {
        let problem = Problem::new(policies, installation.candidates, scope, &in_readings(signals, readings));
        Self { signals: *signals, axes: problem.axes, is_complete: problem.is_complete }
    }

    /// The values of each dimension, the present one first.
    #[doc(hidden)]
    #[must_use]
    pub fn dimensions(&self) -> Vec<Vec<Trial>> {
        let trial = |(changes, value): &(u32, _)| {
            let each = (0..bits::OFFERED).map(|bit| 1 << bit).filter(|bit| changes & bit != 0);
            Trial {
                changes: each.filter_map(|change| remedy(change, value)).collect(),
                is_offered: changes & (bits::CLIENT_APP | bits::PLATFORM) == 0,
            }
        };
        self.axes.iter().map(|axis| axis.values.iter().map(trial).collect()).collect()
    }

    /// The request with one value of each dimension; `None` where they say different things of the device.
    #[doc(hidden)]
    #[must_use]
    pub fn with(&self, chosen: &[usize]) -> Option<OwnedSignals> {
        let picked = self.axes.iter().zip(chosen);
        let picked = picked.filter_map(|(axis, at)| Some((axis.span, axis.values.get(*at)?)));
        let picked: Vec<_> = picked.collect();
        let is_other = |(changes, _): &(u32, _)| changes & bits::OTHER_DEVICE != 0;
        let mut about = picked.iter().filter(|(span, _)| span & bits::OTHER_DEVICE != 0);
        let first = about.next().is_some_and(|(_, value)| is_other(value));
        if about.any(|(_, value)| is_other(value) != first) {
            return None;
        }
        Some(changed(&self.signals, picked.iter().map(|(_, (_, value))| value)))
    }
}
