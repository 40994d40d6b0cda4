//! A rule asked of a request. No allocation; numbers and booleans are compared as what they are.

use alloc::string::String;
use core::cmp::Ordering;

use super::Rule;
use super::tree::{Attribute, Comparison, DeviceAttribute, Node, Operand, Operator, Reach, Test};
use crate::model::App;
use crate::path::PathCase;
use crate::signals::{Action, Device, Fact, Signals, Standing, Value};
use crate::text;
use crate::tri::Tri;

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
    pub(crate) fn of(signals: &Signals<'r>, app: &'r App) -> Self {
        let device = signals.context.device.as_ref();
        let standing = Some(&*signals.principal.standing);
        let (action, now) = (signals.action, signals.now);
        Self { device, standing, app: &app.attributes, action, paths: app.paths, now }
    }

    /// Nothing but an app, for filters that are decided at load.
    pub(crate) const fn of_app(app: &'r [(String, Value)]) -> Self {
        let (action, paths) = (Action { method: "", path: "" }, PathCase::Unknown);
        Self { device: Fact::Unknown, standing: None, app, action, paths, now: 0 }
    }
}

/// An attribute's value, borrowed.
#[derive(Clone, Copy)]
enum Seen<'r> {
    Null,
    Text(&'r str),
    Bool(bool),
    Number(f64),
    List(&'r [String]),
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
        let compare = |seen: Seen<'_>| compare(seen, self.operator, &self.operand);
        Tri::from_bool(match (self.reach, seen) {
            (Reach::Any | Reach::All, Seen::Null) => false,
            (Reach::Any, Seen::List(items)) => items.iter().any(|item| compare(Seen::Text(item))),
            (Reach::All, Seen::List(items)) => {
                !items.is_empty() && items.iter().all(|item| compare(Seen::Text(item)))
            }
            // A single value is a collection of one.
            (Reach::Whole, seen) | (_, seen @ (Seen::Text(_) | Seen::Bool(_) | Seen::Number(_))) => {
                compare(seen)
            }
        })
    }
}

/// `None` when the fact is unavailable.
fn seen<'r>(attribute: &Attribute, environment: &Environment<'r>) -> Option<Seen<'r>> {
    let of_value = |value: &'r Value| match value {
        Value::Text(text) => Seen::Text(text),
        Value::Bool(flag) => Seen::Bool(*flag),
        Value::Number(number) => Seen::Number(*number),
        Value::List(items) => Seen::List(items),
    };
    Some(match attribute {
        Attribute::Device(attribute) => match environment.device {
            Fact::Known(device) => of_device(*attribute, device),
            Fact::Unknown => Seen::Null,
            Fact::Unavailable => return None,
        },
        Attribute::User(name) => environment
            .standing
            .map_or(&[][..], |standing| &standing.claims)
            .iter()
            .find(|(known, _)| text::eq(known, name))
            .map_or(Seen::Null, |(_, value)| of_value(value)),
        Attribute::App(name) => environment
            .app
            .iter()
            .find(|(known, _)| text::eq(known, name))
            .map_or(Seen::Null, |(_, value)| of_value(value)),
        Attribute::Method => Seen::Text(environment.action.method),
        Attribute::Path => Seen::Text(environment.action.path),
    })
}

fn of_device<'r>(attribute: DeviceAttribute, device: &Device<'r>) -> Seen<'r> {
    let text = |value: Option<&'r str>| value.map_or(Seen::Null, Seen::Text);
    let list = |items: &'r [String]| if items.is_empty() { Seen::Null } else { Seen::List(items) };
    match attribute {
        DeviceAttribute::DeviceId => text(device.device_id),
        DeviceAttribute::DisplayName => text(device.display_name),
        DeviceAttribute::DeviceOwnership => text(device.ownership),
        DeviceAttribute::EnrollmentProfileName => text(device.enrollment_profile),
        DeviceAttribute::IsCompliant => device.compliant.map_or(Seen::Null, Seen::Bool),
        DeviceAttribute::Manufacturer => text(device.manufacturer),
        DeviceAttribute::MdmAppId => text(device.mdm_app_id),
        DeviceAttribute::Model => text(device.model),
        DeviceAttribute::OperatingSystem => text(device.operating_system),
        DeviceAttribute::OperatingSystemVersion => text(device.operating_system_version),
        DeviceAttribute::PhysicalIds => list(device.physical_ids),
        DeviceAttribute::ProfileType => text(device.profile_type),
        DeviceAttribute::SystemLabels => list(device.system_labels),
        DeviceAttribute::TrustType => text(device.trust_type),
        // Extension attributes have values only on a device that is managed, compliant or hybrid joined.
        DeviceAttribute::Extension(number) => {
            let managed =
                device.mdm_app_id.is_some() || device.compliant == Some(true) || device.is_hybrid_joined();
            if managed {
                let mut known = device.extension_attributes.iter();
                let found = known.find(|(known, _)| *known == number);
                text(found.map(|(_, value)| value.as_str()))
            } else {
                Seen::Null
            }
        }
    }
}

fn compare(seen: Seen<'_>, operator: Operator, operand: &Operand) -> bool {
    let positive = match (seen, operand) {
        (Seen::Null, Operand::Null) => true,
        (Seen::Null, Operand::Text(_) | Operand::List(_)) => false,
        (_, Operand::Null) => false,
        (seen, Operand::List(items)) => items.iter().any(|item| equals(seen, item)),
        (seen, Operand::Text(wanted)) => match operator.test {
            Test::Equals | Test::In => equals(seen, wanted),
            Test::StartsWith => on_text(seen, |seen| text::strip_prefix(seen, wanted).is_some()),
            Test::EndsWith => on_text(seen, |seen| text::ends_with(seen, wanted)),
            Test::Contains => match seen {
                // On a collection: one whole element.
                Seen::List(items) => items.iter().any(|item| text::eq(item, wanted)),
                Seen::Text(seen) => text::contains(seen, wanted),
                Seen::Null | Seen::Bool(_) | Seen::Number(_) => false,
            },
            Test::Less => ordered(seen, wanted).is_some_and(Ordering::is_lt),
            Test::LessOrEqual => ordered(seen, wanted).is_some_and(Ordering::is_le),
            Test::Greater => ordered(seen, wanted).is_some_and(Ordering::is_gt),
            Test::GreaterOrEqual => ordered(seen, wanted).is_some_and(Ordering::is_ge),
        },
    };
    positive != operator.negated
}

fn equals(seen: Seen<'_>, wanted: &str) -> bool {
    match seen {
        Seen::Null => false,
        Seen::Text(seen) => text::eq(seen, wanted),
        Seen::Bool(flag) => wanted.eq_ignore_ascii_case(if flag { "true" } else { "false" }),
        Seen::Number(number) => wanted.parse::<f64>().is_ok_and(|wanted| wanted.total_cmp(&number).is_eq()),
        Seen::List(items) => items.iter().any(|item| text::eq(item, wanted)),
    }
}

fn on_text(seen: Seen<'_>, holds: impl Fn(&str) -> bool) -> bool {
    match seen {
        Seen::Text(text) => holds(text),
        Seen::List(items) => items.iter().any(|item| holds(item)),
        Seen::Null | Seen::Bool(_) | Seen::Number(_) => false,
    }
}

/// Versions compare number by number, so that `10.0.19045` is less than `10.0.22631` and `9` than `10`.
fn ordered(seen: Seen<'_>, wanted: &str) -> Option<Ordering> {
    match seen {
        Seen::Number(number) => wanted.parse::<f64>().ok().map(|wanted| number.total_cmp(&wanted)),
        Seen::Text(text) => {
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
        Seen::Null | Seen::Bool(_) | Seen::List(_) => None,
    }
}
