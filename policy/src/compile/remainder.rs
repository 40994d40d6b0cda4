//! What no table answers: rules, methods and paths, times. Asked only of the policies that are left,
//! and what several policies ask is answered once per request.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use hashbrown::HashMap;

use super::matching;
use crate::model::{Conditions, FilterMode, RequestCondition, TimeCondition};
use crate::rule::{Comparison, Environment, Node, Rule};
use crate::tri::Tri;

/// A question, by its place among the questions, from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct QuestionIndex(NonZeroU32);

impl QuestionIndex {
    const fn position(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Every question that some policy asks, each once.
#[derive(Debug)]
pub(crate) struct Questions {
    questions: Box<[Question]>,
    /// For each question, where its answer is stored during a request.
    places: Box<[Place]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Question {
    All(Box<[QuestionIndex]>),
    Any(Box<[QuestionIndex]>),
    Not(QuestionIndex),
    Compare(Comparison),
    Request(RequestCondition),
    Time(Box<TimeCondition>),
}

/// A bit of [`Answers`]; `NONE` for a question that is asked in one place only.
#[derive(Clone, Copy, Debug)]
struct Place(u8);

impl Place {
    const NONE: Self = Self(64);
}

/// Answers of one request. The 64 questions that most policies share have a place.
#[derive(Default)]
pub(crate) struct Answers {
    known: u64,
    yes: u64,
    maybe: u64,
}

impl Answers {
    fn get(&self, place: Place) -> Option<Tri> {
        let bit = 1_u64.checked_shl(u32::from(place.0)).unwrap_or(0);
        let (known, yes, maybe) = (self.known & bit != 0, self.yes & bit != 0, self.maybe & bit != 0);
        match (known, yes, maybe) {
            (false, ..) => None,
            (true, true, _) => Some(Tri::Yes),
            (true, false, true) => Some(Tri::Maybe),
            (true, false, false) => Some(Tri::No),
        }
    }

    fn store(&mut self, place: Place, answer: Tri) {
        let bit = 1_u64.checked_shl(u32::from(place.0)).unwrap_or(0);
        self.known |= bit;
        match answer {
            Tri::Yes => self.yes |= bit,
            Tri::Maybe => self.maybe |= bit,
            Tri::No => {}
        }
    }
}

impl Questions {
    /// The answer to one question. No allocation.
    pub(crate) fn ask(
        &self,
        question: QuestionIndex,
        environment: &Environment<'_>,
        answers: &mut Answers,
    ) -> Tri {
        let position = question.position();
        // INVARIANT: indexes come from `QuestionsBuilder`. A question that is lost could be anything.
        let (Some(asked), Some(place)) = (self.questions.get(position), self.places.get(position)) else {
            return Tri::Maybe;
        };
        if let Some(answer) = answers.get(*place) {
            return answer;
        }
        let answer = match asked {
            Question::All(parts) => {
                // The reverse: all hold when none fails.
                Tri::any(parts.iter(), |part| self.ask(*part, environment, answers).not()).not()
            }
            Question::Any(parts) => Tri::any(parts.iter(), |part| self.ask(*part, environment, answers)),
            Question::Not(part) => self.ask(*part, environment, answers).not(),
            Question::Compare(comparison) => comparison.holds(environment),
            Question::Request(condition) => {
                Tri::from_bool(matching::request(condition, environment.action, environment.paths))
            }
            Question::Time(condition) => Tri::from_bool(matching::time(condition, environment.now)),
        };
        answers.store(*place, answer);
        answer
    }
}

#[derive(Default)]
pub(super) struct QuestionsBuilder {
    known: HashMap<Question, QuestionIndex>,
    questions: Vec<Question>,
    /// How often each is asked.
    uses: Vec<u32>,
}

impl QuestionsBuilder {
    /// What the conditions leave to be asked, the cheap first; `None` when the tables answer everything.
    pub(super) fn of(&mut self, conditions: &Conditions) -> Option<QuestionIndex> {
        let mut parts = Vec::new();
        if let Some(request) = &conditions.request {
            parts.push(self.intern(Question::Request(request.clone())));
        }
        if let Some(time) = &conditions.time {
            parts.push(self.intern(Question::Time(Box::new(time.clone()))));
        }
        if let Some(filter) = &conditions.device {
            let rule = self.rule(&filter.rule);
            parts.push(match filter.mode {
                FilterMode::Include => rule,
                FilterMode::Exclude => self.intern(Question::Not(rule)),
            });
        }
        if let Some(rule) = &conditions.claims {
            parts.push(self.rule(rule));
        }
        match parts.as_slice() {
            [] => None,
            [one] => Some(*one),
            _ => Some(self.intern(Question::All(parts.into()))),
        }
    }

    fn rule(&mut self, rule: &Rule) -> QuestionIndex {
        self.node(rule.root())
    }

    fn node(&mut self, node: &Node) -> QuestionIndex {
        let question = match node {
            Node::And(parts) => Question::All(parts.iter().map(|part| self.node(part)).collect()),
            Node::Or(parts) => Question::Any(parts.iter().map(|part| self.node(part)).collect()),
            Node::Not(part) => Question::Not(self.node(part)),
            Node::Compare(comparison) => Question::Compare(comparison.clone()),
        };
        self.intern(question)
    }

    fn intern(&mut self, question: Question) -> QuestionIndex {
        let number = u32::try_from(self.questions.len()).unwrap_or(u32::MAX);
        let next = QuestionIndex(NonZeroU32::MIN.saturating_add(number));
        let index = *self.known.entry(question).or_insert_with_key(|question| {
            self.questions.push(question.clone());
            self.uses.push(0);
            next
        });
        if let Some(uses) = self.uses.get_mut(index.position()) {
            *uses += 1;
        }
        index
    }

    pub(super) fn finish(self) -> Questions {
        let mut shared: Vec<(u32, usize)> =
            self.uses.iter().zip(0..).filter(|(uses, _)| **uses > 1).map(|(uses, at)| (*uses, at)).collect();
        shared.sort_unstable_by(|left, right| right.cmp(left));
        let mut places = alloc::vec![Place::NONE; self.questions.len()];
        for ((_, question), place) in shared.into_iter().zip(0..Place::NONE.0) {
            if let Some(slot) = places.get_mut(question) {
                *slot = Place(place);
            }
        }
        Questions { questions: self.questions.into(), places: places.into() }
    }
}
