//! CEL: one compiled program for each policy, all of them run in one context.

use std::collections::HashMap;
use std::hint::black_box;

use cel::{Context, Program, Value};

use crate::question::Question;
use crate::task::{Expr, Set, Task};

pub struct Cel(Vec<(usize, Program)>);

impl Cel {
    pub fn new(task: &Task) -> Self {
        let programs = task.refusals.iter().map(|(position, parts)| {
            let text = if parts.is_empty() { "true".to_owned() } else { write(&Expr::All(parts.clone())) };
            (*position, Program::compile(&text).unwrap_or_else(|error| panic!("{text}: {error}")))
        });
        Self(programs.collect())
    }

    pub fn prepare(&self, question: &Question) -> Context<'static, 'static> {
        let mut context = Context::default();
        for (field, value) in question.fields() {
            context.add_variable_from_value(field.word(), value.to_owned());
        }
        for (flag, holds) in question.flags() {
            context.add_variable_from_value(flag.word(), holds);
        }
        context.add_variable_from_value("age", question.age_secs);
        // Maps, so that membership is one look-up.
        for (name, set) in
            [("groups", &question.groups), ("roles", &question.roles), ("locations", &question.locations)]
        {
            let members: HashMap<String, bool> = set.iter().map(|one| (one.clone(), true)).collect();
            context.add_variable_from_value(name, members);
        }
        context
    }

    pub fn decide(&self, context: &Context<'_, '_>) -> Vec<usize> {
        let refuses = |program: &Program| match program.execute(black_box(context)) {
            Ok(Value::Bool(refuses)) => refuses,
            other => panic!("no answer: {other:?}"),
        };
        self.0.iter().filter(|(_, program)| refuses(program)).map(|(position, _)| *position).collect()
    }

    /// The enforced policies that refuse.
    pub fn answer(&self, question: &Question) -> Vec<usize> {
        self.decide(&self.prepare(question))
    }
}

fn write(expr: &Expr) -> String {
    let all = |parts: &[Expr], sign: &str| {
        let parts: Vec<String> = parts.iter().map(write).collect();
        format!("({})", parts.join(sign))
    };
    match expr {
        Expr::All(parts) => all(parts, " && "),
        Expr::Any(parts) => all(parts, " || "),
        Expr::Not(part) => format!("!({})", write(part)),
        Expr::Member(set, name) => {
            let set = match set {
                Set::Groups => "groups",
                Set::Roles => "roles",
                Set::Locations => "locations",
            };
            format!("\"{name}\" in {set}")
        }
        Expr::Is(field, word) => format!("{} == \"{word}\"", field.word()),
        Expr::Starts(field, word) => format!("{}.startsWith(\"{word}\")", field.word()),
        Expr::Has(field, word) => format!("{}.contains(\"{word}\")", field.word()),
        Expr::Holds(flag) => flag.word().to_owned(),
        Expr::AgeAtMost(secs) => format!("age <= {secs}"),
    }
}
