//! Compares a tree with the description of the format: unknown and missing keys, wrong types,
//! unknown words. What strings mean is lowering's business.

use super::tree::{Kind, Node};
use super::{Form, Need, Shape, Table};
use crate::diagnose::Diagnostic;

/// A key that more tables have says nothing of where it belongs.
const HOMES_MAX: usize = 3;

/// Longer words are not compared with others: nobody mistypes a novel.
const WORD_LEN_MAX: usize = 64;

/// Compares a table with its description and adds every problem found.
pub(crate) fn table(table: &Table, node: &Node, found: &mut Vec<Diagnostic>) {
    for entry in node.entries() {
        match table.keys.iter().find(|key| key.name == entry.key) {
            Some(key) => value(&key.shape, &format!("`{}`", key.name), &entry.value, found),
            None => {
                let names = table.keys.iter().map(|key| key.name);
                let help = match nearest(&entry.key, names.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => match homes(&entry.key) {
                        titles if titles.is_empty() => format!("known keys are {}", listed(names)),
                        titles => format!("`{}` is a key of {}", entry.key, titles.join(", ")),
                    },
                };
                found.push(
                    Diagnostic::error("key/unknown", entry.at, format!("unknown key `{}`", entry.key))
                        .label(format!("not a key of {}", table.title))
                        .why("a setting that is not known would silently protect nothing")
                        .help(help),
                );
            }
        }
    }
    for key in table.keys {
        let present = node.entries().iter().any(|entry| entry.key == key.name);
        if key.need == Need::Required && !present {
            let what = format!("{} has no `{}`", table.title, key.name);
            found.push(
                Diagnostic::error("key/missing", node.at, what)
                    .label(format!("needs `{}`", key.name))
                    .help(format!("`{}` is: {}", key.name, key.doc)),
            );
        }
    }
}

fn value(shape: &Shape, name: &str, node: &Node, found: &mut Vec<Diagnostic>) {
    match (shape, &node.kind) {
        (Shape::Text(_), Kind::Text(_)) | (Shape::Bool, Kind::Bool(_)) | (Shape::Date, Kind::Date(_)) => {}
        (Shape::Number, Kind::Integer(Some(_))) => {}
        (Shape::Number, Kind::Float(float)) if float.is_finite() => {}
        (Shape::Word(words), Kind::Text(text)) => {
            if !words.contains(&text.as_str()) {
                unknown_word(name, words, text, node, found);
            }
        }
        (Shape::Integer { min, max }, Kind::Integer(integer)) => {
            if !integer.is_some_and(|integer| (*min..=*max).contains(&integer)) {
                let what = format!("{name} is out of range");
                found.push(
                    Diagnostic::error("value/range", node.at, what)
                        .help(format!("it lies between {min} and {max}")),
                );
            }
        }
        (Shape::List(item), Kind::List(items)) => {
            for node in items {
                value(item, name, node, found);
            }
        }
        (Shape::Table(inner), Kind::Table(_)) => table(inner, node, found),
        (Shape::Map(inner), Kind::Table(entries)) => {
            for entry in entries {
                value(inner, &format!("`{}`", entry.key), &entry.value, found);
            }
        }
        (Shape::Either(shapes), _) => either(shapes, name, node, found),
        (Shape::Text(Form::Duration), Kind::Integer(_) | Kind::Float(_)) => {
            found.push(
                Diagnostic::error("value/duration", node.at, format!("{name} is a number without a unit"))
                    .why("seconds and milliseconds would look the same")
                    .help("write a string with a unit: `\"30s\"`, `\"5m\"`, `\"8h\"`, `\"30d\"`"),
            );
        }
        (Shape::Text(Form::Size), Kind::Integer(_) | Kind::Float(_)) => {
            found.push(
                Diagnostic::error("value/size", node.at, format!("{name} is a number without a unit"))
                    .help("write a string with a unit: `\"64KiB\"`, `\"10MiB\"`"),
            );
        }
        (Shape::Text(Form::Rate), Kind::Integer(_) | Kind::Float(_)) => {
            found.push(
                Diagnostic::error("value/rate", node.at, format!("{name} is a number without a unit"))
                    .why("a second and a minute would look the same")
                    .help("write a string with a unit: `\"100/s\"`, `\"1000/m burst 50\"`"),
            );
        }
        (Shape::List(Shape::Table(table)), Kind::Table(_)) if table.title.starts_with("[[") => {
            let what = format!("{name} is one table, where a list of them belongs");
            found.push(
                Diagnostic::error("toml/brackets", node.at, what)
                    .label("one pair of brackets")
                    .help(format!("begin each with two pairs: `{}`", table.title)),
            );
        }
        (Shape::Table(table), Kind::List(_)) if table.title.starts_with('[') => {
            let what = format!("{name} is a list, where one table belongs");
            found.push(
                Diagnostic::error("toml/brackets", node.at, what)
                    .label("two pairs of brackets")
                    .help(format!("begin it with one pair: `{}`", table.title)),
            );
        }
        (Shape::Table(table), _) => {
            let what = format!("{name} is {}, not a table", node.type_name());
            let required: Vec<_> = table.keys.iter().filter(|key| key.need == Need::Required).collect();
            let keys: Vec<_> = required.iter().map(|key| format!("{} = …", key.name)).collect();
            let docs: Vec<_> =
                required.iter().map(|key| format!("; `{}` is: {}", key.name, key.doc)).collect();
            let help = match keys.is_empty() {
                true => {
                    format!("write a table; its keys are {}", listed(table.keys.iter().map(|key| key.name)))
                }
                false => format!("write {name} as a table: `{{ {} }}`{}", keys.join(", "), docs.concat()),
            };
            found.push(Diagnostic::error("value/type", node.at, what).label("expected a table").help(help));
        }
        _ => wrong_type(&expected(shape), name, node, found),
    }
}

/// The tables of the main file that have a key of this name; none if they are many.
fn homes(key: &str) -> Vec<&'static str> {
    fn look(table: &'static Table, key: &str, found: &mut Vec<&'static str>) {
        for one in table.keys {
            if one.name == key && !found.contains(&table.title) {
                found.push(table.title);
            }
            inside(&one.shape, key, found);
        }
    }
    fn inside(shape: &'static Shape, key: &str, found: &mut Vec<&'static str>) {
        match shape {
            Shape::Table(table) => look(table, key, found),
            Shape::List(inner) | Shape::Map(inner) => inside(inner, key, found),
            Shape::Either(shapes) => shapes.iter().for_each(|shape| inside(shape, key, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    look(&super::tables::MAIN, key, &mut found);
    if found.len() > HOMES_MAX { Vec::new() } else { found }
}

fn either(shapes: &[Shape], name: &str, node: &Node, found: &mut Vec<Diagnostic>) {
    let mut attempts = shapes.iter().filter(|shape| type_fits(shape, node)).map(|shape| {
        let mut problems = Vec::new();
        value(shape, name, node, &mut problems);
        problems
    });
    let Some(first) = attempts.next() else {
        let names: Vec<String> = shapes.iter().map(expected).collect();
        return wrong_type(&names.join(" or "), name, node, found);
    };
    if first.is_empty() || attempts.any(|problems| problems.is_empty()) {
        return;
    }
    found.extend(first);
}

const fn type_fits(shape: &Shape, node: &Node) -> bool {
    matches!(
        (shape, &node.kind),
        (Shape::Text(_) | Shape::Word(_), Kind::Text(_))
            | (Shape::Text(Form::Duration | Form::Size), Kind::Integer(_) | Kind::Float(_))
            | (Shape::Bool, Kind::Bool(_))
            | (Shape::Integer { .. }, Kind::Integer(_))
            | (Shape::Number, Kind::Integer(_) | Kind::Float(_))
            | (Shape::List(_), Kind::List(_))
            | (Shape::Table(_) | Shape::Map(_), Kind::Table(_))
            | (Shape::Date, Kind::Date(_))
    )
}

fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Text(_) => "a string".to_owned(),
        Shape::Word(words) => listed(words.iter().copied()),
        Shape::Bool => "a boolean".to_owned(),
        Shape::Integer { .. } => "an integer".to_owned(),
        Shape::Number => "a finite number".to_owned(),
        Shape::List(item) => match item {
            Shape::Table(_) => "a list of tables".to_owned(),
            _ => "a list".to_owned(),
        },
        Shape::Table(_) | Shape::Map(_) => "a table".to_owned(),
        Shape::Either(shapes) => shapes.iter().map(expected).collect::<Vec<_>>().join(" or "),
        Shape::Date => "a date".to_owned(),
    }
}

fn wrong_type(expected: &str, name: &str, node: &Node, found: &mut Vec<Diagnostic>) {
    let what = format!("{name} is {}, not {expected}", node.type_name());
    let help = match (expected, &node.kind) {
        ("a string", Kind::Integer(Some(value))) => format!("write it in quotes: `\"{value}\"`"),
        ("a string", Kind::Float(value)) => format!("write it in quotes: `\"{value}\"`"),
        ("a string", Kind::Bool(value)) => format!("write it in quotes: `\"{value}\"`"),
        ("a list", Kind::Text(text)) => format!("write it in brackets: `[\"{}\"]`", shortened(text)),
        _ => format!("write {expected}"),
    };
    found.push(
        Diagnostic::error("value/type", node.at, what).label(format!("expected {expected}")).help(help),
    );
}

fn unknown_word(name: &str, words: &[&str], text: &str, node: &Node, found: &mut Vec<Diagnostic>) {
    let help = match nearest(text, words.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it is one of {}", listed(words.iter().copied())),
    };
    found.push(
        Diagnostic::error("value/word", node.at, format!("{name} has no value `{}`", shortened(text)))
            .help(help),
    );
}

/// Words in backticks, with commas.
pub(crate) fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Their words, cut where they would fill the screen.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(WORD_LEN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The candidate that a mistyped word probably meant: at most a third of its letters differ.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > WORD_LEN_MAX {
        return None;
    }
    let lower = word.to_ascii_lowercase().replace('_', "-");
    candidates
        .filter(|candidate| candidate.len() <= WORD_LEN_MAX)
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
