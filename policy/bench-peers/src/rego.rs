//! Rego, by regorus: a partial set of the policies that refuse; alternatives are rules with several bodies.

use std::fmt::Write as _;
use std::hint::black_box;

use regorus::{CompiledPolicy, Engine, Value};
use serde_json::{Map, json};

use crate::question::Question;
use crate::task::{Expr, Set, Task};

pub struct Rego(CompiledPolicy);

impl Rego {
    pub fn new(task: &Task) -> Self {
        let mut engine = Engine::new();
        let mut helpers = 0;
        // A module may have a mebibyte at most.
        for (number, policies) in task.refusals.chunks(1_000).enumerate() {
            let mut module = Module { text: "package access\nimport rego.v1\n".to_owned(), helpers };
            for (position, parts) in policies {
                let body = module.body(parts);
                let _ = writeln!(module.text, "refuse contains {position} if {{ {body} }}");
            }
            helpers = module.helpers;
            engine.add_policy(format!("access-{number}.rego"), module.text).expect("it was written here");
        }
        Self(engine.compile_with_entrypoint(&"data.access.refuse".into()).expect("it has the rule"))
    }

    pub fn prepare(&self, question: &Question) -> Value {
        let mut input = Map::new();
        input.extend(question.fields().map(|(field, value)| (field.word().to_owned(), json!(value))));
        input.extend(question.flags().map(|(flag, holds)| (flag.word().to_owned(), json!(holds))));
        input.insert("age".to_owned(), json!(question.age_secs));
        // Objects, so that membership is one look-up.
        for (name, set) in
            [("groups", &question.groups), ("roles", &question.roles), ("locations", &question.locations)]
        {
            let members: Map<_, _> = set.iter().map(|one| (one.clone(), json!(true))).collect();
            input.insert(name.to_owned(), members.into());
        }
        Value::from(serde_json::Value::from(input))
    }

    pub fn decide(&self, input: &Value) -> Value {
        self.0.eval_with_input(black_box(input.clone())).expect("it evaluates")
    }

    /// The enforced policies that refuse.
    pub fn answer(&self, question: &Question) -> Vec<usize> {
        let found = self.decide(&self.prepare(question));
        let set = found.as_set().expect("a set of positions");
        let positions = set.iter().map(|one| one.as_u64().expect("a position") as usize);
        let mut refusing: Vec<usize> = positions.collect();
        refusing.sort_unstable();
        refusing
    }
}

struct Module {
    text: String,
    helpers: usize,
}

impl Module {
    fn body(&mut self, parts: &[Expr]) -> String {
        let parts: Vec<String> = parts.iter().map(|part| self.statement(part)).collect();
        if parts.is_empty() { "true".to_owned() } else { parts.join("; ") }
    }

    fn helper(&mut self, bodies: &[String]) -> String {
        let name = format!("h{}", self.helpers);
        self.helpers += 1;
        for body in bodies {
            let _ = writeln!(self.text, "{name} if {{ {body} }}");
        }
        name
    }

    fn statement(&mut self, expr: &Expr) -> String {
        match expr {
            Expr::All(parts) => self.body(parts),
            Expr::Any(parts) => match parts.as_slice() {
                [one] => self.statement(one),
                _ => {
                    let bodies: Vec<String> = parts.iter().map(|part| self.statement(part)).collect();
                    self.helper(&bodies)
                }
            },
            Expr::Not(part) => match &**part {
                Expr::All(_) | Expr::Any(_) | Expr::Not(_) => {
                    let body = self.statement(part);
                    format!("not {}", self.helper(&[body]))
                }
                atom => format!("not {}", self.statement(atom)),
            },
            Expr::Member(Set::Groups, id) => format!("input.groups[\"{id}\"]"),
            Expr::Member(Set::Roles, id) => format!("input.roles[\"{id}\"]"),
            Expr::Member(Set::Locations, name) => format!("input.locations[\"{name}\"]"),
            Expr::Is(field, word) => format!("input.{} == \"{word}\"", field.word()),
            Expr::Starts(field, word) => format!("startswith(input.{}, \"{word}\")", field.word()),
            Expr::Has(field, word) => format!("contains(input.{}, \"{word}\")", field.word()),
            Expr::Holds(flag) => format!("input.{}", flag.word()),
            Expr::AgeAtMost(secs) => format!("input.age <= {secs}"),
        }
    }
}
