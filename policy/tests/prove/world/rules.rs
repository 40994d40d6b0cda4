//! Random rules as trees: written out for the engine to parse, and evaluated here directly.

use portcullis_policy::rule::Rule;
use portcullis_policy::signals::{Device, Fact, Signals, Value};

use super::Choices;

/// A rule, before it is text.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
    Not(Box<Tree>),
    /// Attribute, operator, operands: one text, several for `-in`, none for null.
    Compare(&'static str, &'static str, Vec<&'static str>),
}

type Vocabulary = &'static [(&'static str, &'static [&'static str], &'static [&'static str])];

const DEVICE: Vocabulary = &[
    ("device.isCompliant", &["eq", "ne"], &["True", "False"]),
    (
        "device.model",
        &[
            "eq",
            "ne",
            "startsWith",
            "notStartsWith",
            "endsWith",
            "notEndsWith",
            "contains",
            "notContains",
            "in",
            "notIn",
        ],
        &["Surface Pro", "SURFACE", "pro", "Book", "zz"],
    ),
    ("device.trustType", &["eq", "ne", "in", "notIn"], &["AzureAD", "ServerAD", "Workplace"]),
    ("device.physicalIds", &["contains", "notContains"], &["[ZTDId]:1", "[ztdid]:1", "[ZTDId]"]),
    ("device.systemLabels", &["contains", "notContains"], &["AutopilotDevice", "Other"]),
    (
        "device.operatingSystemVersion",
        &["eq", "ne", "startsWith", "notStartsWith", "lt", "le", "gt", "ge"],
        &["10.0.22631", "10", "9.9", "10.0.22631.0"],
    ),
    ("device.deviceId", &["eq", "ne", "in", "notIn"], &["d1", "D1", "d2"]),
    ("DEVICE.manufacturer", &["eq", "ne", "contains"], &["microsoft", "soft", "ÜBER"]),
    ("device.extensionAttribute1", &["eq", "ne", "startsWith", "notContains"], &["kiosk", "s", "SAW"]),
    ("device.deviceOwnership", &["eq", "ne"], &["Company", "Personal"]),
];

const OTHER: Vocabulary = &[
    ("user.department", &["eq", "ne", "in", "notStartsWith"], &["sales", "Research", "Übung"]),
    ("user.level", &["eq", "ge", "lt"], &["1", "2", "9"]),
    ("user.projects", &["contains", "notContains"], &["Apollo", "gem"]),
    ("user.verified", &["eq", "ne"], &["True", "False"]),
    ("user.absent", &["eq", "ne", "endsWith", "notIn"], &["x"]),
    ("request.method", &["eq", "ne", "in"], &["GET", "POST"]),
    ("request.path", &["startsWith", "notStartsWith", "contains"], &["/admin", "/public/"]),
    ("app.tier", &["eq", "ne"], &["gold", "Silver"]),
];

pub(crate) fn device_tree(choices: &mut Choices<'_>, depth: usize) -> Tree {
    tree(choices, depth, DEVICE)
}

pub(crate) fn any_tree(choices: &mut Choices<'_>, depth: usize) -> Tree {
    let vocabulary = if choices.one_in(4) { DEVICE } else { OTHER };
    tree(choices, depth, vocabulary)
}

fn tree(choices: &mut Choices<'_>, depth: usize, vocabulary: Vocabulary) -> Tree {
    let inner = |choices: &mut Choices<'_>| Box::new(tree(choices, depth.saturating_sub(1), vocabulary));
    match if depth == 0 { 0 } else { choices.below(6) } {
        3 => Tree::Not(inner(choices)),
        4 => Tree::And(inner(choices), inner(choices)),
        5 => Tree::Or(inner(choices), inner(choices)),
        _ => {
            let (attribute, operators, values) = choices.of(vocabulary);
            let operator = choices.of(operators);
            let operands = match operator {
                "in" | "notIn" => (0..=choices.below(2)).map(|_| choices.of(values)).collect(),
                "eq" | "ne" if choices.one_in(5) => vec![],
                _ => vec![choices.of(values)],
            };
            Tree::Compare(attribute, operator, operands)
        }
    }
}

impl Tree {
    pub(crate) fn rule(&self) -> Rule {
        let text = self.text();
        Rule::parse(&text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    fn text(&self) -> String {
        match self {
            Self::And(left, right) => format!("({} -and {})", left.text(), right.text()),
            Self::Or(left, right) => format!("({} -or {})", left.text(), right.text()),
            Self::Not(inner) => format!("-not ({})", inner.text()),
            Self::Compare(attribute, operator @ ("in" | "notIn"), operands) => {
                let items: Vec<_> = operands.iter().map(|operand| format!("\"{operand}\"")).collect();
                format!("{attribute} -{operator} [{}]", items.join(", "))
            }
            Self::Compare(attribute, operator, operands) => match operands.as_slice() {
                [] => format!("{attribute} -{operator} null"),
                [operand, ..] => format!("{attribute} -{operator} \"{operand}\""),
            },
        }
    }

    /// Whether it matches; `None` when that turns on an unavailable device.
    pub(crate) fn holds(&self, signals: &Signals<'_>, app: &[(String, Value)]) -> Option<bool> {
        match self {
            Self::And(left, right) => match (left.holds(signals, app), right.holds(signals, app)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                (None, _) | (_, None) => None,
            },
            Self::Or(left, right) => match (left.holds(signals, app), right.holds(signals, app)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                (None, _) | (_, None) => None,
            },
            Self::Not(inner) => inner.holds(signals, app).map(|holds| !holds),
            Self::Compare(attribute, operator, operands) => {
                let seen = seen(attribute, signals, app)?;
                let (positive, negated) = match *operator {
                    "ne" => ("eq", true),
                    "notStartsWith" => ("startsWith", true),
                    "notEndsWith" => ("endsWith", true),
                    "notContains" => ("contains", true),
                    "notIn" => ("in", true),
                    other => (other, false),
                };
                Some(matches(&seen, positive, operands) != negated)
            }
        }
    }
}

/// What an attribute is: nothing, one text, or several.
enum Seen {
    Null,
    One(String),
    Several(Vec<String>),
}

fn seen(attribute: &str, signals: &Signals<'_>, app: &[(String, Value)]) -> Option<Seen> {
    let (space, name) = attribute.split_once('.').unwrap();
    let value = |value: Option<&Value>| match value {
        None => Seen::Null,
        Some(Value::Text(text)) => Seen::One(text.to_lowercase()),
        Some(Value::Bool(flag)) => Seen::One(flag.to_string()),
        Some(Value::Number(number)) => Seen::One(number.to_string()),
        Some(Value::List(items)) => Seen::Several(items.iter().map(|item| item.to_lowercase()).collect()),
    };
    Some(match space.to_lowercase().as_str() {
        "device" => match &signals.context.device {
            Fact::Unavailable => return None,
            Fact::Unknown => Seen::Null,
            Fact::Known(device) => of_device(name, device),
        },
        "user" => {
            let claims = &signals.principal.standing.claims;
            value(claims.iter().find(|(claim, _)| &**claim == name).map(|(_, value)| value))
        }
        "app" => value(app.iter().find(|(attribute, _)| attribute == name).map(|(_, value)| value)),
        "request" if name == "method" => Seen::One(signals.action.method.to_lowercase()),
        "request" => Seen::One(signals.action.path.to_lowercase()),
        other => panic!("{other}"),
    })
}

fn of_device(name: &str, device: &Device<'_>) -> Seen {
    let several = |items: &[String]| match items {
        [] => Seen::Null,
        items => Seen::Several(items.iter().map(|item| item.to_lowercase()).collect()),
    };
    let managed = device.mdm_app_id.is_some() || device.compliant == Some(true) || device.is_hybrid_joined();
    let one = match name {
        "isCompliant" => return device.compliant.map_or(Seen::Null, |flag| Seen::One(flag.to_string())),
        "physicalIds" => return several(device.physical_ids),
        "systemLabels" => return several(device.system_labels),
        "model" => device.model,
        "trustType" => device.trust_type,
        "operatingSystemVersion" => device.operating_system_version,
        "deviceId" => device.device_id,
        "manufacturer" => device.manufacturer,
        "deviceOwnership" => device.ownership,
        "extensionAttribute1" if managed => {
            device.extension_attributes.iter().find(|(number, _)| *number == 1).map(|(_, text)| text.as_str())
        }
        "extensionAttribute1" => None,
        other => panic!("{other}"),
    };
    one.map_or(Seen::Null, |text| Seen::One(text.to_lowercase()))
}

fn matches(seen: &Seen, operator: &str, operands: &[&str]) -> bool {
    let wanted: Vec<String> = operands.iter().map(|operand| operand.to_lowercase()).collect();
    let Some(first) = wanted.first() else { return matches!(seen, Seen::Null) };
    match (seen, operator) {
        (Seen::Null, _) => false,
        (Seen::One(text), "eq") => text == first,
        (Seen::One(text), "in") => wanted.contains(text),
        (Seen::One(text), "startsWith") => text.starts_with(first.as_str()),
        (Seen::One(text), "endsWith") => text.ends_with(first.as_str()),
        (Seen::One(text), "contains") => text.contains(first.as_str()),
        (Seen::Several(items), "contains") => items.contains(first),
        (Seen::One(text), "lt" | "le" | "gt" | "ge") => {
            let (Some(mut left), Some(mut right)) = (version(text), version(first)) else { return false };
            let len = left.len().max(right.len());
            left.resize(len, 0);
            right.resize(len, 0);
            match operator {
                "lt" => left < right,
                "le" => left <= right,
                "gt" => left > right,
                _ => left >= right,
            }
        }
        (Seen::One(_) | Seen::Several(_), other) => panic!("{other}"),
    }
}

/// The numbers of a version; `None` when a part is no number.
fn version(text: &str) -> Option<Vec<u64>> {
    text.split('.').map(|part| part.parse().ok()).collect()
}
