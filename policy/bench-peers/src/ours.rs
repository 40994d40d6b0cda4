//! Portcullis: policies compiled, the principal bound once per token.

use std::hint::black_box;

use portcullis_policy::decision::{Generation, PolicyResult};
use portcullis_policy::{CompiledPolicies, Decision, Scope};

use crate::question::Question;
use crate::task::Task;

pub struct Ours(CompiledPolicies);

impl Ours {
    pub fn new(task: &Task) -> Self {
        Self(CompiledPolicies::compile(task.set.clone(), Generation(1)).expect("a generated set is sound"))
    }

    pub fn prepare(&self, question: &Question) -> Scope {
        self.0.bind(&question.request.principal)
    }

    pub fn decide(&self, question: &Question, scope: &Scope) -> Decision {
        self.0.decide(black_box(scope), black_box(&question.request.signals()))
    }

    /// The enforced policies that refuse.
    pub fn answer(&self, question: &Question) -> Vec<usize> {
        let decision = self.decide(question, &self.prepare(question));
        let refusing = decision
            .applied
            .iter()
            .filter(|(_, result)| matches!(result, PolicyResult::Failure | PolicyResult::Interrupted));
        refusing.map(|(policy, _)| policy.0 as usize).collect()
    }

    pub fn lets_in(&self, question: &Question) -> bool {
        self.decide(question, &self.prepare(question)).into_granted().is_ok()
    }
}
