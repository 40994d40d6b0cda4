//! A rule asked of a request. No allocation; numbers and booleans are compared as what they are.

use alloc::string::String;
use core::cmp::Ordering;

use super::Rule;
use super::tree::{Attribute, Comparison, Node, Operand, Operator, Reach, Test};
use crate::path::PathCase;
use crate::signals::{Action, Signals, Standing};
use crate::text;
use crate::tri::Tri;
use crate::value::{Device, DeviceAttribute, Fact, Value, ValueRef};

/// What a rule can ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Environment<'r> {
    device: Fact<&'r Device<'r>>,
    /// Looked at by the rules that ask for claims alone: it is rarely in a near cache.
    standing: Option<&'r Standing>,
    app: &'r [(String, Value)],
    pub(crate) action: Action<'r>,
    /// How the app takes the letter case of paths.
    pub(crate) paths: PathCase,
    /// Unix seconds.
    pub(crate) now: i64,
}

impl<'r> Environment<'r> {
    /// A request to an app with these attributes.
    pub(crate) fn of(signals: &Signals<'r>, app: &'r [(String, Value)], paths: PathCase) -> Self {
        let device = signals.context.device.as_ref();
        let standing = Some(&*signals.principal.standing);
        Self { device, standing, app, action: signals.action, paths, now: signals.now }
    }

    /// Nothing but an app, for filters that are decided at load.
    pub(crate) const fn of_app(app: &'r [(String, Value)]) -> Self {
        let (action, paths) = (Action { method: "", path: "" }, PathCase::Unknown);
        Self { device: Fact::Unknown, standing: None, app, action, paths, now: 0 }
    }
}

impl<'r> Environment<'r> {
    /// Nothing but a device.
    pub(crate) const fn of_device(device: &'r Device<'r>) -> Self {
        Self { device: Fact::Known(device), ..Self::of_app(&[]) }
    }

    /// The same with another device.
    pub(crate) const fn with_device(self, device: &'r Device<'r>) -> Self {
        Self { device: Fact::Known(device), ..self }
    }
}

impl Rule {
    /// Whether the rule matches.
    pub(crate) fn holds(&self, environment: &Environment<'_>) -> Tri {
        holds(&self.root, environment)
    }
}

fn holds(node: &Node, environment: &Environment<'_>) -> Tri {
    match node {
        Node::And(nodes) => nodes.iter().fold(Tri::Yes, |so_far, node| so_far.and(holds(node, environment))),
        Node::Or(nodes) => Tri::any(nodes, |node| holds(node, environment)),
        Node::Not(node) => holds(node, environment).not(),
        Node::Compare(comparison) => comparison.holds(environment),
    }
}

impl Comparison {
    pub(crate) fn holds(&self, environment: &Environment<'_>) -> Tri {
        let Some(seen) = seen(&self.attribute, environment) else { return Tri::Maybe };
        let compare = |seen: ValueRef<'_>| compare(seen, self.operator, &self.operand);
        Tri::from_bool(match (self.reach, seen) {
            (Reach::Any | Reach::All, ValueRef::Null) => false,
            (Reach::Any, ValueRef::List(items)) => items.iter().any(|item| compare(ValueRef::Text(item))),
            (Reach::All, ValueRef::List(items)) => {
                !items.is_empty() && items.iter().all(|item| compare(ValueRef::Text(item)))
            }
            // A single value is a collection of one.
            (Reach::Whole, seen)
            | (_, seen @ (ValueRef::Text(_) | ValueRef::Bool(_) | ValueRef::Number(_))) => compare(seen),
        })
    }
}

/// `None` when the fact is unavailable.
fn seen<'r>(attribute: &Attribute, environment: &Environment<'r>) -> Option<ValueRef<'r>> {
    Some(match attribute {
        Attribute::Device(attribute) => match environment.device {
            Fact::Known(device) => of_device(*attribute, device),
            Fact::Unknown => ValueRef::Null,
            Fact::Unavailable => return None,
        },
        Attribute::User(name) => environment
            .standing
            .map_or(&[][..], |standing| &standing.claims)
            .iter()
            .find(|(known, _)| text::eq(known, name))
            .map_or(ValueRef::Null, |(_, value)| value.into()),
        Attribute::App(name) => environment
            .app
            .iter()
            .find(|(known, _)| text::eq(known, name))
            .map_or(ValueRef::Null, |(_, value)| value.into()),
        Attribute::Method => ValueRef::Text(environment.action.method),
        Attribute::Path => ValueRef::Text(environment.action.path),
    })
}

fn of_device<'r>(attribute: DeviceAttribute, device: &Device<'r>) -> ValueRef<'r> {
    let managed =
        || device.mdm_app_id.is_some() || device.compliant == Some(true) || device.is_hybrid_joined();
    // Extension attributes have values only on a device that is managed, compliant or hybrid joined.
    match attribute {
        DeviceAttribute::Extension(_) if !managed() => ValueRef::Null,
        attribute => device.attribute(attribute),
    }
}

fn compare(seen: ValueRef<'_>, operator: Operator, operand: &Operand) -> bool {
    let positive = match (seen, operand) {
        (ValueRef::Null, Operand::Null) => true,
        (ValueRef::Null, Operand::Text(_) | Operand::List(_)) => false,
        (_, Operand::Null) => false,
        (seen, Operand::List(items)) => items.iter().any(|item| equals(seen, item)),
        (seen, Operand::Text(wanted)) => match operator.test {
            Test::Equals | Test::In => equals(seen, wanted),
            Test::StartsWith => on_text(seen, |seen| text::strip_prefix(seen, wanted).is_some()),
            Test::EndsWith => on_text(seen, |seen| text::ends_with(seen, wanted)),
            Test::Contains => match seen {
                // On a collection: one whole element.
                ValueRef::List(items) => items.iter().any(|item| text::eq(item, wanted)),
                ValueRef::Text(seen) => text::contains(seen, wanted),
                ValueRef::Null | ValueRef::Bool(_) | ValueRef::Number(_) => false,
            },
            Test::Less => ordered(seen, wanted).is_some_and(Ordering::is_lt),
            Test::LessOrEqual => ordered(seen, wanted).is_some_and(Ordering::is_le),
            Test::Greater => ordered(seen, wanted).is_some_and(Ordering::is_gt),
            Test::GreaterOrEqual => ordered(seen, wanted).is_some_and(Ordering::is_ge),
        },
    };
    positive != operator.negated
}

fn equals(seen: ValueRef<'_>, wanted: &str) -> bool {
    match seen {
        ValueRef::Null => false,
        ValueRef::Text(seen) => text::eq(seen, wanted),
        ValueRef::Bool(flag) => wanted.eq_ignore_ascii_case(if flag { "true" } else { "false" }),
        ValueRef::Number(number) => {
            wanted.parse::<f64>().is_ok_and(|wanted| wanted.total_cmp(&number).is_eq())
        }
        ValueRef::List(items) => items.iter().any(|item| text::eq(item, wanted)),
    }
}

fn on_text(seen: ValueRef<'_>, holds: impl Fn(&str) -> bool) -> bool {
    match seen {
        ValueRef::Text(text) => holds(text),
        ValueRef::List(items) => items.iter().any(|item| holds(item)),
        ValueRef::Null | ValueRef::Bool(_) | ValueRef::Number(_) => false,
    }
}

/// Versions compare number by number, so that `10.0.19045` is less than `10.0.22631` and `9` than `10`.
fn ordered(seen: ValueRef<'_>, wanted: &str) -> Option<Ordering> {
    match seen {
        ValueRef::Number(number) => wanted.parse::<f64>().ok().map(|wanted| number.total_cmp(&wanted)),
        ValueRef::Text(text) => {
            let (mut left, mut right) = (text.split('.'), wanted.split('.'));
            loop {
                let (a, b) = (left.next(), right.next());
                if a.is_none() && b.is_none() {
                    return Some(Ordering::Equal);
                }
                let number = |part: Option<&str>| part.unwrap_or("0").trim().parse::<u64>().ok();
                match number(a)?.cmp(&number(b)?) {
                    Ordering::Equal => {}
                    unequal => return Some(unequal),
                }
            }
        }
        ValueRef::Null | ValueRef::Bool(_) | ValueRef::List(_) => None,
    }
}
