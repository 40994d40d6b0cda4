//! Cedar: a `forbid` for each policy that refuses, beside one `permit`. Groups and roles are parents of
//! the user; a single app stands in the scope, where Cedar wants it.

use std::collections::HashSet;
use std::hint::black_box;
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet,
    Request, Response, RestrictedExpression,
};

use crate::question::Question;
use crate::task::{Expr, Field, Set, Task};

pub struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
}

pub struct Prepared {
    request: Request,
    entities: Entities,
}

impl Cedar {
    pub fn new(task: &Task) -> Self {
        let mut policies = PolicySet::new();
        let mut add = |id: String, text: &str| {
            let policy = Policy::parse(Some(PolicyId::new(id)), text)
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            policies.add(policy).expect("ids are unique");
        };
        add("open".to_owned(), "permit(principal, action, resource);");
        for (position, parts) in &task.refusals {
            let app = parts.iter().find_map(|part| match part {
                Expr::Is(Field::App, id) => Some(format!("resource == App::\"{id}\"")),
                _ => None,
            });
            let rest = parts.iter().filter(|part| !matches!(part, Expr::Is(Field::App, _)));
            let when: Vec<String> = rest.map(write).collect();
            let when = if when.is_empty() { "true".to_owned() } else { when.join(" && ") };
            let resource = app.unwrap_or_else(|| "resource".to_owned());
            add(position.to_string(), &format!("forbid(principal, action, {resource}) when {{ {when} }};"));
        }
        Self { authorizer: Authorizer::new(), policies }
    }

    pub fn prepare(&self, question: &Question) -> Prepared {
        let user = uid("User", question.field(Field::User));
        let parents = question.groups.iter().map(|id| uid("Group", id));
        let parents: HashSet<EntityUid> =
            parents.chain(question.roles.iter().map(|id| uid("Role", id))).collect();
        let bare = parents.iter().cloned().map(|uid| Entity::new_no_attrs(uid, HashSet::new()));
        let mut entities: Vec<Entity> = bare.collect();
        entities.push(Entity::new_no_attrs(user.clone(), parents));
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let mut pairs: Vec<(String, RestrictedExpression)> =
            question.fields().map(|(field, value)| (field.word().to_owned(), text(value))).collect();
        pairs.extend(
            question
                .flags()
                .map(|(flag, holds)| (flag.word().to_owned(), RestrictedExpression::new_bool(holds))),
        );
        pairs.push(("age".to_owned(), RestrictedExpression::new_long(question.age_secs)));
        let locations = question.locations.iter().map(|name| text(name));
        pairs.push(("locations".to_owned(), RestrictedExpression::new_set(locations)));
        let context = Context::from_pairs(pairs).expect("keys are unique");
        let app = uid("App", question.field(Field::App));
        Prepared {
            request: Request::new(user, uid("Action", "open"), app, context, None)
                .expect("no schema to break"),
            entities: Entities::from_entities(entities, None).expect("entities are unique"),
        }
    }

    pub fn decide(&self, prepared: &Prepared) -> Response {
        self.authorizer.is_authorized(&prepared.request, black_box(&self.policies), &prepared.entities)
    }

    /// The enforced policies that refuse.
    pub fn answer(&self, question: &Question) -> Vec<usize> {
        let response = self.decide(&self.prepare(question));
        assert_eq!(response.diagnostics().errors().count(), 0, "{response:?}");
        let reasons = response.diagnostics().reason();
        let mut refusing: Vec<usize> = reasons.filter_map(|id| id.to_string().parse().ok()).collect();
        refusing.sort_unstable();
        refusing
    }
}

fn uid(kind: &str, id: &str) -> EntityUid {
    let kind = EntityTypeName::from_str(kind).expect("a plain name");
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
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
        Expr::Member(Set::Groups, id) => format!("principal in Group::\"{id}\""),
        Expr::Member(Set::Roles, id) => format!("principal in Role::\"{id}\""),
        Expr::Member(Set::Locations, name) => format!("context.locations.contains(\"{name}\")"),
        Expr::Is(Field::App, id) => format!("resource == App::\"{id}\""),
        Expr::Is(Field::User, id) => format!("principal == User::\"{id}\""),
        Expr::Is(field, word) => format!("context.{} == \"{word}\"", field.word()),
        Expr::Starts(field, word) => format!("context.{} like \"{word}*\"", field.word()),
        Expr::Has(field, word) => format!("context.{} like \"*{word}*\"", field.word()),
        Expr::Holds(flag) => format!("context.{}", flag.word()),
        Expr::AgeAtMost(secs) => format!("context.age <= {secs}"),
    }
}
