//! What became of every property: each leaf of the input is accounted for exactly once.
//!
//! The account begins with all leaves and no verdicts. Reading gives verdicts; what is left at the
//! end was not known to the importer, and is refused unless it says nothing.

use std::collections::HashMap;

use super::json::Json;

/// What became of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It means here what it meant there.
    Taken,
    /// It is expressed in other terms; the note says how.
    Adapted,
    /// It cannot be enforced here; the note says why, and what happens instead.
    Refused,
}

impl Outcome {
    /// The word used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Adapted => "adapted",
            Self::Refused => "refused",
        }
    }
}

/// A leaf of the input and its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Where it stands: `conditions.users.includeUsers[0]`.
    pub path: String,
    /// What became of it.
    pub outcome: Outcome,
    /// How, or why not; empty where nothing needs to be said.
    pub note: String,
}

/// A value with its path.
#[derive(Clone, Debug)]
pub(super) struct Field<'j> {
    pub(super) json: &'j Json,
    pub(super) path: String,
}

impl<'j> Field<'j> {
    pub(super) const fn root(json: &'j Json) -> Self {
        Self { json, path: String::new() }
    }

    /// A member, unless it is absent or null.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let (key, json) = self.json.member(key).filter(|(_, json)| **json != Json::Null)?;
        Some(Self { json, path: member(&self.path, key) })
    }

    /// The members of an object.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'j str, Self)> {
        self.json
            .entries()
            .iter()
            .map(|(key, json)| (key.as_str(), Self { json, path: member(&self.path, key) }))
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Vec<Self> {
        match self.json {
            Json::List(items) => {
                let item = |(position, json)| Self { json, path: format!("{}[{position}]", self.path) };
                items.iter().enumerate().map(item).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What OData says beside the data: the only usual keys with a dot. None of these is the beginning
/// of another, and none changes what an object means (`odata.bind` would).
const ANNOTATIONS: [&str; 11] = [
    "odata.type",
    "odata.context",
    "odata.id",
    "odata.etag",
    "odata.count",
    "odata.nextLink",
    "odata.navigationLink",
    "odata.associationLink",
    "odata.editLink",
    "odata.readLink",
    "microsoft.graph.tips",
];

/// Whether a leaf's path ends in an annotation.
pub(super) fn is_annotation(path: &str) -> bool {
    path.rsplit_once('@').is_some_and(|(_, last)| ANNOTATIONS.contains(&last))
}

/// Whether a member is an operation that the service offers (OData JSON Format 4.01, sections 4.5.14 and
/// 15: its name begins with `#`): where to post to, and nothing of the object itself.
pub(super) fn is_operation(key: &str, json: &Json) -> bool {
    let Json::Object(entries) = json else { return false };
    key.starts_with('#')
        && entries
            .iter()
            .all(|(key, value)| matches!(key.as_str(), "title" | "target") && value.text().is_some())
}

/// The path of a member. Keys that could be mistaken for a path are quoted.
fn member(path: &str, key: &str) -> String {
    let word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-$".contains(&byte));
    let plain = match key.split_once('@') {
        Some((before, annotation)) => word(before) && ANNOTATIONS.contains(&annotation),
        None => !key.is_empty() && word(key),
    };
    match (plain, path.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{path}.{key}"),
        (false, _) => format!("{path}[{}]", serde_json::Value::from(key)),
    }
}

/// Every leaf of a value with its path: scalars, and lists and objects that are empty.
pub(super) fn leaves(field: &Field<'_>, seen: &mut impl FnMut(String, &Json)) {
    match field.json {
        Json::List(items) if !items.is_empty() => {
            for item in field.items() {
                leaves(&item, seen);
            }
        }
        Json::Object(entries) if !entries.is_empty() => {
            for (_, member) in field.members() {
                leaves(&member, seen);
            }
        }
        _ => seen(field.path.clone(), field.json),
    }
}

/// An upper bound of the bytes that the paths of all leaves take, found without making them.
pub(super) fn path_bytes(json: &Json, above: usize) -> usize {
    match json {
        Json::List(items) if !items.is_empty() => {
            items.iter().map(|item| path_bytes(item, above + 10)).fold(0, usize::saturating_add)
        }
        Json::Object(entries) if !entries.is_empty() => {
            // A key can grow by quoting: six bytes for one that must be escaped.
            let each = entries.iter().map(|(key, value)| {
                let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric());
                path_bytes(value, above + key.len() * if plain { 1 } else { 6 } + 4)
            });
            each.fold(0, usize::saturating_add)
        }
        _ => above + 64,
    }
}

/// Verdicts so far.
#[derive(Debug, Default)]
pub(super) struct Account {
    properties: Vec<(String, Option<(Outcome, String)>)>,
    positions: HashMap<String, usize>,
}

impl Account {
    /// Opens the account of a value.
    pub(super) fn open(json: &Json) -> Self {
        let mut account = Self::default();
        leaves(&Field::root(json), &mut |path, _| {
            account.positions.insert(path.clone(), account.properties.len());
            account.properties.push((path, None));
        });
        account
    }

    /// Gives a verdict on every leaf of a value that has none yet.
    pub(super) fn mark(&mut self, field: &Field<'_>, outcome: Outcome, note: &str) {
        let Self { properties, positions } = self;
        leaves(field, &mut |path, _| {
            let property = positions.get(&path).and_then(|position| properties.get_mut(*position));
            if let Some((_, verdict)) = property {
                verdict.get_or_insert_with(|| (outcome, note.to_owned()));
            }
        });
    }

    /// Whether a leaf has its verdict.
    pub(super) fn is_marked(&self, path: &str) -> bool {
        let property = self.positions.get(path).and_then(|position| self.properties.get(*position));
        property.is_some_and(|(_, verdict)| verdict.is_some())
    }

    /// Closes the account.
    pub(super) fn close(self) -> Vec<Property> {
        let close = |(path, verdict): (String, Option<(Outcome, String)>)| {
            // INVARIANT: the reader settles every leaf. Should it forget one, it is not called taken.
            let (outcome, note) = verdict.unwrap_or((Outcome::Refused, "not accounted for".to_owned()));
            Property { path, outcome, note }
        };
        self.properties.into_iter().map(close).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_leaves_share_a_path() {
        let text = r#"{"a.b": 1, "a": {"b": 2, "@odata": {"type": 3}, "@odata.type": 4, "": 5, "[0]": 6},
            "c": [[], {}, [7]], "c[0]": 8, "d\"e": 9, "x@odata.id": null}"#;
        let json = Json::parse(text.as_bytes()).unwrap().0;
        let mut paths = Vec::new();
        leaves(&Field::root(&json), &mut |path, _| paths.push(path));
        let distinct: std::collections::BTreeSet<_> = paths.iter().collect();
        assert_eq!(distinct.len(), paths.len(), "{paths:?}");
        assert_eq!(paths.len(), 12);
        for wanted in ["a.b", "[\"a.b\"]", "a.@odata.type", "a[\"@odata\"].type", "c[2][0]", "x@odata.id"] {
            assert!(paths.iter().any(|path| path == wanted), "{wanted}: {paths:?}");
        }
        assert!(paths.iter().map(String::len).sum::<usize>() <= path_bytes(&json, 0));
    }
}
