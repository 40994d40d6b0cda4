//! Policies, checked and turned into tables at load.
//!
//! What each policy says of an app is decided here, once per load (`layout`); what it says of a principal
//! once per token (`subjects`, asked by `bind`); what it says of a fact of the request becomes a row of
//! bits for each value (`facts`, `places`). A decision ANDs a handful of rows and walks over the bits
//! that are left, to ask them what no table answers (`remainder`) and what they demand (`demands`).

mod bits;
mod check;
mod controls;
mod demands;
mod facts;
mod intervals;
mod layout;
pub(crate) mod matching;
mod places;
mod remainder;
mod subjects;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use layout::Layout;
use remainder::QuestionsBuilder;

pub(crate) use bits::{Masked, Ones, has_bit};
pub use check::CompileError;
pub(crate) use controls::{ControlCode, ControlTest, DeviceState, Kind, Proof, Proven, Verdict};
pub(crate) use demands::{Asks, Demands, Session, Verdicts};
pub(crate) use facts::Facts;
pub(crate) use layout::Plan;
pub(crate) use remainder::{Answers, Questions};
pub(crate) use subjects::SubjectIndex;

use crate::decision::Generation;
use crate::model::PolicySet;
use crate::signals::AppIndex;

/// A policy set, ready to decide. Immutable; a reload makes another one.
pub struct CompiledPolicies {
    set: PolicySet,
    generation: Generation,
    /// For each app, the words that it looks at.
    plans: Vec<Plan>,
    /// Words about policies that touch many apps.
    shared: Vec<Box<[Masked]>>,
    pub(crate) subjects: SubjectIndex,
    pub(crate) facts: Facts,
    pub(crate) demands: Demands,
    pub(crate) questions: Questions,
}

impl fmt::Debug for CompiledPolicies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledPolicies")
            .field("generation", &self.generation)
            .field("policies", &self.set.policies.len())
            .field("apps", &self.set.apps.len())
            .finish_non_exhaustive()
    }
}

impl CompiledPolicies {
    /// Checks and compiles a set.
    ///
    /// # Errors
    /// Every problem found: doubled names, references to nothing, policies that ask nothing.
    ///
    /// # Cost
    /// A row for each value of each fact, as wide as there are policies: ten thousand policies take some
    /// tens of milliseconds and a few megabytes beside the set itself.
    pub fn compile(set: PolicySet, generation: Generation) -> Result<Self, Vec<CompileError>> {
        let problems = check::check(&set);
        if !problems.is_empty() {
            return Err(problems);
        }
        let layout = Layout::new(&set);
        let mut questions = QuestionsBuilder::default();
        let demands = Demands::new(&set, &layout, &mut questions);
        Ok(Self {
            generation,
            subjects: SubjectIndex::new(&set, &layout),
            facts: Facts::new(&set, &layout),
            demands,
            questions: questions.finish(),
            plans: layout.plans,
            shared: layout.shared,
            set,
        })
    }

    /// The set that it was made of.
    #[must_use]
    pub const fn set(&self) -> &PolicySet {
        &self.set
    }

    /// Which load it is.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn plan(&self, app: AppIndex) -> Option<&Plan> {
        self.plans.get(app.0 as usize)
    }

    /// The words that an app looks at, each once.
    pub(crate) fn words_of<'p>(&'p self, plan: &'p Plan) -> impl Iterator<Item = &'p Masked> {
        self.shared.get(plan.shared as usize).into_iter().flatten().chain(&plan.per_app)
    }
}
