//! Values that the comparisons of rules distinguish, made from the rules themselves: for each
//! attribute one value for each result that its comparisons can have.
//!
//! For text compared by `-eq`, `-in`, `-startsWith`, `-endsWith` and `-contains` the values are complete. A
//! text with some answers begins with one of the named beginnings or none, ends with one of the named ends or
//! none, and holds some of the named parts; put together of just these, with a letter between that no rule
//! names, it gives the same answers. Versions that are ordered, and claims, which may be texts, numbers, truths
//! or collections, are sampled: what is found there is so, and what is not found proves nothing.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Rule;
use super::tree::{Attribute, Comparison, Operand, Reach, Test};
use crate::value::{DeviceAttribute, Value};

/// How many combinations are tried at most.
const COMBINATIONS_MAX: usize = 20_000;
/// How many parts that a text may hold are combined at most.
const PARTS_MAX: usize = 5;
/// How many elements of a collection are combined at most.
const ELEMENTS_MAX: usize = 5;

/// An attribute, for whoever puts values into a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SampledAttribute {
    /// `device.` and Entra's name.
    Device(DeviceAttribute),
    /// `user.` and a name in lower case.
    Claim(String),
    /// `request.method`
    Method,
    /// `request.path`
    Path,
}

/// The values of one attribute, `None` being null.
#[derive(Clone, Debug)]
struct Column {
    place: SampledAttribute,
    values: Vec<Option<Value>>,
}

/// Every combination of values of the attributes that rules ask for.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    columns: Vec<Column>,
    /// Whether every request is distinguished by one of the combinations: then what none of them does, none does.
    pub(crate) is_complete: bool,
    /// Whether attributes of apps are asked for, which only apps can bring.
    pub(crate) asks_of_apps: bool,
}

impl Samples {
    pub(crate) fn of<'r>(rules: impl Iterator<Item = &'r Rule>) -> Self {
        let mut comparisons = Vec::new();
        for rule in rules {
            rule.root.comparisons(&mut |comparison| {
                comparisons.push(comparison.clone());
                true
            });
        }
        let mut samples = Self { columns: Vec::new(), is_complete: true, asks_of_apps: false };
        let mut seen: Vec<&Attribute> = Vec::new();
        for attribute in comparisons.iter().map(|comparison| &comparison.attribute) {
            if seen.contains(&attribute) {
                continue;
            }
            seen.push(attribute);
            let own: Vec<&Comparison> =
                comparisons.iter().filter(|one| one.attribute == *attribute).collect();
            samples.add(attribute, &own);
        }
        if samples.columns.iter().any(|column| column.is_extension()) {
            samples.add_management();
        }
        let count = samples.columns.iter().map(|column| column.values.len());
        let combinations = count.fold(1_usize, usize::saturating_mul);
        samples.is_complete &= combinations <= COMBINATIONS_MAX;
        samples
    }

    fn add(&mut self, attribute: &Attribute, comparisons: &[&Comparison]) {
        let (place, mut values) = match attribute {
            Attribute::App(_) => {
                self.asks_of_apps = true;
                return;
            }
            Attribute::Device(DeviceAttribute::IsCompliant) => {
                let truths = [true, false].map(|truth| Some(Value::Bool(truth)));
                (SampledAttribute::Device(DeviceAttribute::IsCompliant), truths.into())
            }
            Attribute::Device(attribute) => {
                let texts = texts(comparisons, &mut self.is_complete);
                let is_list =
                    matches!(attribute, DeviceAttribute::PhysicalIds | DeviceAttribute::SystemLabels);
                let values = if is_list {
                    lists(&texts, &mut self.is_complete)
                } else {
                    texts.into_iter().map(|text| Some(Value::Text(text))).collect()
                };
                (SampledAttribute::Device(*attribute), values)
            }
            Attribute::User(name) => {
                // A claim may be of any kind: what is not among these is not ruled out.
                self.is_complete = false;
                let texts = texts(comparisons, &mut false);
                let mut values: Vec<Option<Value>> = lists(&texts, &mut false);
                for text in &texts {
                    values.extend(text.parse().ok().map(|number| Some(Value::Number(number))));
                    values.extend(text.parse().ok().map(|truth| Some(Value::Bool(truth))));
                }
                values.extend(texts.into_iter().map(|text| Some(Value::Text(text))));
                (SampledAttribute::Claim(String::from(&**name)), values)
            }
            // Not every text is a method or a path.
            Attribute::Method | Attribute::Path => {
                self.is_complete = false;
                let values = texts(comparisons, &mut false).into_iter().map(|text| Some(Value::Text(text)));
                let place = if *attribute == Attribute::Method {
                    SampledAttribute::Method
                } else {
                    SampledAttribute::Path
                };
                self.columns.push(Column { place, values: values.collect() });
                return;
            }
        };
        values.insert(0, None);
        self.columns.push(Column { place, values });
    }

    /// Extension attributes have values only on a device that is managed, compliant or hybrid joined: by each of
    /// these it is tried, where the rules do not try it already.
    fn add_management(&mut self) {
        let cases = [
            (DeviceAttribute::IsCompliant, Value::Bool(true)),
            (DeviceAttribute::MdmAppId, Value::Text(String::from("witness"))),
            (DeviceAttribute::TrustType, Value::Text(String::from("ServerAD"))),
        ];
        for (attribute, value) in cases {
            let place = SampledAttribute::Device(attribute);
            match self.columns.iter_mut().find(|column| column.place == place) {
                Some(column) if column.values.contains(&Some(value.clone())) => {}
                Some(column) => column.values.push(Some(value)),
                None => self.columns.push(Column { place, values: Vec::from([None, Some(value)]) }),
            }
        }
    }

    /// Combinations, as many as are tried; each is what to put where.
    pub(crate) fn combinations(&self) -> impl Iterator<Item = Vec<(&SampledAttribute, Option<&Value>)>> {
        let sizes: Vec<usize> = self.columns.iter().map(|column| column.values.len().max(1)).collect();
        let count = sizes.iter().copied().fold(1_usize, usize::saturating_mul).min(COMBINATIONS_MAX);
        (0..count).map(move |number| {
            let mut rest = number;
            let mut picked = Vec::with_capacity(self.columns.len());
            for (column, size) in self.columns.iter().zip(&sizes) {
                picked.push((&column.place, column.values.get(rest % size).and_then(Option::as_ref)));
                rest /= size;
            }
            picked
        })
    }
}

impl Column {
    const fn is_extension(&self) -> bool {
        matches!(self.place, SampledAttribute::Device(DeviceAttribute::Extension(_)))
    }
}

/// Values of one attribute of a device, null among them, for each result that these comparisons can have; and whether
/// that is every one of them.
pub(crate) fn device_values(
    attribute: DeviceAttribute,
    comparisons: &[&Comparison],
) -> (Vec<Option<Value>>, bool) {
    let mut values = Vec::from([None]);
    if attribute == DeviceAttribute::IsCompliant {
        values.extend([true, false].map(|truth| Some(Value::Bool(truth))));
        return (values, true);
    }
    let mut is_complete = true;
    let mut found = texts(comparisons, &mut is_complete);
    let is_ordered = |one: &Comparison| one.operator.is_ordering();
    let orders = comparisons.iter().any(|one| is_ordered(one));
    if orders {
        found.extend(between(comparisons));
        // Where no part of a text is looked for, order and equality are all that tells versions apart.
        let is_of_part = |one: &&&Comparison| {
            matches!(one.operator.test, Test::StartsWith | Test::EndsWith | Test::Contains)
        };
        is_complete = !comparisons.iter().any(|one| is_of_part(&one));
    }
    if matches!(attribute, DeviceAttribute::PhysicalIds | DeviceAttribute::SystemLabels) {
        values.extend(lists(&found, &mut is_complete));
    } else {
        values.extend(found.into_iter().map(|text| Some(Value::Text(text))));
    }
    (values, is_complete)
}

/// For each version that is compared: one that is equal and not the same text, and the next above it, which is below
/// every greater one that is compared.
fn between(comparisons: &[&Comparison]) -> Vec<String> {
    let operands = comparisons.iter().flat_map(|one| match &one.operand {
        Operand::Null => &[][..],
        Operand::Text(text) => core::slice::from_ref(text),
        Operand::List(texts) => texts,
    });
    let operands: Vec<&str> = operands.map(|text| &**text).collect();
    let parts = |text: &str| text.split('.').count();
    let longest = operands.iter().map(|text| parts(text)).max().unwrap_or(0);
    let mut found = Vec::from([String::from("0")]);
    for operand in operands {
        let zeros = ".0".repeat(longest + 1 - parts(operand).min(longest));
        found.push(format!("{operand}{zeros}"));
        found.push(format!("{operand}{zeros}.1"));
    }
    found
}

/// Texts for each result that comparisons of one attribute can have.
fn texts(comparisons: &[&Comparison], is_complete: &mut bool) -> Vec<String> {
    let (mut whole, mut heads, mut tails, mut parts) =
        (BTreeSet::new(), BTreeSet::from([""]), BTreeSet::from([""]), BTreeSet::new());
    for comparison in comparisons {
        let operands: Vec<&str> = match &comparison.operand {
            Operand::Null => Vec::new(),
            Operand::Text(text) => Vec::from([&**text]),
            Operand::List(items) => items.iter().map(|item| &**item).collect(),
        };
        for operand in operands {
            match comparison.operator.test {
                Test::Equals | Test::In => {
                    whole.insert(String::from(operand));
                }
                Test::StartsWith => {
                    heads.insert(operand);
                }
                Test::EndsWith => {
                    tails.insert(operand);
                }
                Test::Contains => {
                    // Of a collection a whole element, of a text a part.
                    whole.insert(String::from(operand));
                    if comparison.reach == Reach::Whole || !operand.is_empty() {
                        parts.insert(operand);
                    }
                }
                Test::Less | Test::LessOrEqual | Test::Greater | Test::GreaterOrEqual => {
                    *is_complete = false;
                    whole.extend(around(operand));
                }
            }
        }
    }
    let is_named = |letter: &str| {
        let all = heads.iter().chain(&tails).chain(&parts).copied();
        all.chain(whole.iter().map(String::as_str)).any(|text| text.contains(letter))
    };
    // Versions are compared by numbers: there a zero is as good as a letter.
    let fresh = ["x", "q", "~", "_", "\u{e000}"].into_iter().find(|letter| !is_named(letter));
    let Some(fresh) = fresh else {
        *is_complete = false;
        return whole.into_iter().collect();
    };
    let parts: Vec<&str> = parts.into_iter().collect();
    if parts.len() > PARTS_MAX {
        *is_complete = false;
    }
    let ordered = comparisons.iter().any(|one| {
        matches!(one.operator.test, Test::Less | Test::LessOrEqual | Test::Greater | Test::GreaterOrEqual)
    });
    let mut found = whole;
    let fillers: &[&str] = if ordered { &[fresh, "", ".0", ".99999", ".99999.0"] } else { &[fresh] };
    for head in &heads {
        for tail in &tails {
            for chosen in 0..1_usize << parts.len().min(PARTS_MAX) {
                for filler in fillers {
                    let mut text = format!("{head}{filler}");
                    for (at, part) in parts.iter().enumerate().take(PARTS_MAX) {
                        if chosen >> at & 1 == 1 {
                            text.push_str(part);
                            text.push_str(filler);
                        }
                    }
                    text.push_str(tail);
                    found.insert(text);
                }
            }
        }
    }
    found.into_iter().collect()
}

/// A version, and those just below and above it.
fn around(version: &str) -> Vec<String> {
    let mut found = Vec::from([String::from(version), format!("{version}.1"), String::from("0")]);
    let (head, last) = version.rsplit_once('.').map_or(("", version), |(head, last)| (head, last));
    if let Ok(number) = last.parse::<u64>() {
        let with = |number: u64| {
            if head.is_empty() { format!("{number}") } else { format!("{head}.{number}") }
        };
        found.push(with(number.saturating_add(1)));
        found.extend(number.checked_sub(1).map(with));
    }
    found
}

/// Collections of such elements.
fn lists(elements: &[String], is_complete: &mut bool) -> Vec<Option<Value>> {
    let mut found = Vec::new();
    let few = elements.len() <= ELEMENTS_MAX;
    if !few {
        *is_complete = false;
        found.extend(elements.iter().map(|one| Some(Value::List(Vec::from([one.clone()])))));
        found.push(Some(Value::List(elements.to_vec())));
        return found;
    }
    for chosen in 1..1_usize << elements.len() {
        let items = elements.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
        found.push(Some(Value::List(items.map(|(_, item)| item.clone()).collect())));
    }
    found
}
