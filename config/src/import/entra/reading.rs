//! Reading one object with an account open: every helper that takes a value gives its verdict.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::account::{Account, Field, Outcome, is_annotation, is_operation};
use super::json::Json;

/// What it would mean to go on without a part that cannot be enforced. A policy only ever adds
/// demands, so a policy that applies to more, or is met by less, is stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loss {
    /// The policy refuses more: it is written so, and reported.
    Stricter,
    /// The policy may apply to more than was meant. One that demands is stricter for it, and is written; a
    /// block would shut out people who were never meant.
    Wider,
    /// The policy would apply under any circumstance: stricter, and nonsense if it blocks.
    Condition,
    /// The policy would refuse less, or miss somebody.
    Weaker,
    /// Nobody can say, because it is not known here.
    Unknown,
    /// Nothing that can be enforced would be left.
    Whole,
}

/// A part that cannot be enforced.
#[derive(Clone, Debug)]
pub(super) struct Reason {
    pub(super) loss: Loss,
    pub(super) text: String,
}

/// Things that the policies name and that must exist in the configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Needs {
    /// Apps by id, as far as the export has them.
    pub(super) apps: BTreeMap<String, App>,
    /// App groups, with Entra's word.
    pub(super) groups: BTreeMap<&'static str, &'static str>,
    /// Locations that are not in the export: name, and Entra's id.
    pub(super) locations: BTreeMap<String, String>,
    /// Strengths by name.
    pub(super) strengths: BTreeMap<String, Strength>,
    /// Keys of `[issuer.claims]` whose claims carry what the policies ask for.
    pub(super) claims: BTreeSet<&'static str>,
}

/// An app as far as the export has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct App {
    /// Its display name, or nothing.
    pub(super) name: String,
    /// Custom security attributes, `SET_NAME`, which app filters ask for.
    pub(super) attributes: Table,
    /// Whether it is traffic of Global Secure Access, which does not pass through here.
    pub(super) is_tunnelled: bool,
}

/// A named location of the export.
#[derive(Clone, Debug)]
pub(super) struct Located {
    /// Our name.
    pub(super) name: String,
    /// Whether all of it was taken.
    pub(super) is_whole: bool,
    /// Whether any address can be in it.
    pub(super) is_somewhere: bool,
}

/// An authentication strength as it will be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Strength {
    /// Lines of comment.
    pub(super) comment: Vec<String>,
    /// Combinations of `amr` methods; empty when nobody can meet it yet.
    pub(super) combinations: Vec<Vec<&'static str>>,
}

/// What is found in the export beside policies.
#[derive(Debug, Default)]
pub(super) struct World {
    /// Named locations by Entra's id in lower case.
    pub(super) locations: BTreeMap<String, Located>,
    /// Whether one of them is trusted.
    pub(super) has_trusted: bool,
    /// The names of those locations.
    pub(super) location_names: BTreeSet<String>,
    /// Whether one of them is made of countries.
    pub(super) has_countries: bool,
    /// Strength policies by id in lower case. `None` when the export contradicts itself.
    pub(super) strengths: BTreeMap<String, Option<Json>>,
    /// Apps by app id in lower case.
    pub(super) apps: BTreeMap<String, App>,
}

/// An account that is open, and what was found so far.
pub(super) struct Reading<'w> {
    pub(super) world: &'w World,
    pub(super) account: Account,
    pub(super) reasons: Vec<Reason>,
    pub(super) remarks: Vec<String>,
    pub(super) placeholders: BTreeSet<String>,
    pub(super) needs: Needs,
}

/// The word for absent and empty parts.
const NOTHING: &str = "says nothing";
/// The word for objects whose members are all null: PowerShell and other clients of Graph write them for
/// what is not configured, where Graph itself writes null.
const UNSET: &str = "is not configured: every member is null";

impl<'w> Reading<'w> {
    pub(super) fn open(world: &'w World, json: &Json) -> Self {
        Self {
            world,
            account: Account::open(json),
            reasons: Vec::new(),
            remarks: Vec::new(),
            placeholders: BTreeSet::new(),
            needs: Needs::default(),
        }
    }

    pub(super) fn taken(&mut self, field: &Field<'_>, note: &str) {
        self.account.mark(field, Outcome::Taken, note);
    }

    pub(super) fn adapted(&mut self, field: &Field<'_>, note: &str) {
        self.account.mark(field, Outcome::Adapted, note);
    }

    /// Adapted, and the reader of the file must know.
    pub(super) fn remarked(&mut self, field: &Field<'_>, note: &str) {
        self.adapted(field, note);
        self.remarks.push(format!("{}: {note}", field.path));
    }

    pub(super) fn refused(&mut self, field: &Field<'_>, loss: Loss, note: &str) {
        self.account.mark(field, Outcome::Refused, note);
        self.reason(loss, format!("{}: {note}", field.path));
    }

    /// A reason that no property stands for.
    pub(super) fn reason(&mut self, loss: Loss, text: impl Into<String>) {
        self.reasons.push(Reason { loss, text: text.into() });
    }

    /// An object under a key. What is there and is no object is refused.
    pub(super) fn object<'j>(&mut self, above: &Field<'j>, key: &str) -> Option<Field<'j>> {
        let field = above.get(key)?;
        let has_members = matches!(field.json, Json::Object(entries) if !entries.is_empty());
        if field.json.is_unset() || field.json.says_nothing() && !has_members {
            self.taken(&field, NOTHING);
            return None;
        }
        if has_members {
            return Some(field);
        }
        self.wrong(&field, "an object");
        None
    }

    /// An object under a key whose absence means something else than its presence. Null, or members that are
    /// all null, is how Graph and its clients write what is not configured. What is there and empty is reported
    /// as a doubt: Graph never writes it, and nobody can say whether it was to match anything or nothing.
    pub(super) fn configured<'j>(&mut self, above: &Field<'j>, key: &str, doubt: Loss) -> Option<Field<'j>> {
        let field = above.get(key)?;
        if field.json.is_unset() {
            self.taken(&field, UNSET);
            return None;
        }
        if field.json.says_nothing() {
            self.empty(&field, doubt);
            return None;
        }
        self.object(above, key)
    }

    /// Reports a part that is there and empty.
    pub(super) fn empty(&mut self, field: &Field<'_>, doubt: Loss) {
        let note = "is there and empty, which may mean anything or nothing: left out; write null if it is not \
                    configured, or what it was to name";
        self.refused(field, doubt, note);
    }

    /// The items of a list under a key, without nulls. One string alone is a list of one: that is
    /// how PowerShell writes it.
    pub(super) fn list<'j>(&mut self, above: &Field<'j>, key: &str) -> Vec<Field<'j>> {
        let Some(field) = above.get(key) else { return Vec::new() };
        match field.json {
            Json::List(_) => {
                let (items, empty): (Vec<_>, Vec<_>) =
                    field.items().into_iter().partition(|item| *item.json != Json::Null);
                for item in empty {
                    self.taken(&item, NOTHING);
                }
                items
            }
            Json::Text(_) => vec![field],
            _ if field.json.says_nothing() => Vec::new(),
            _ => {
                self.wrong(&field, "a list");
                Vec::new()
            }
        }
    }

    /// The texts of a list under a key.
    pub(super) fn texts<'j>(&mut self, above: &Field<'j>, key: &str) -> Vec<(Field<'j>, &'j str)> {
        let mut texts = Vec::new();
        for item in self.list(above, key) {
            match item.json {
                Json::Text(text) => texts.push((item, text.as_str())),
                _ => self.wrong(&item, "a string"),
            }
        }
        texts
    }

    /// A text under a key.
    pub(super) fn text<'j>(&mut self, above: &Field<'j>, key: &str) -> Option<(Field<'j>, &'j str)> {
        let field = above.get(key)?;
        match field.json {
            Json::Text(text) => Some((field, text)),
            _ if field.json.says_nothing() => None,
            _ => {
                self.wrong(&field, "a string");
                None
            }
        }
    }

    /// A boolean under a key.
    pub(super) fn flag<'j>(&mut self, above: &Field<'j>, key: &str) -> Option<(Field<'j>, bool)> {
        let field = above.get(key)?;
        match field.json {
            Json::Bool(flag) => Some((field, *flag)),
            _ if field.json.says_nothing() => None,
            _ => {
                self.wrong(&field, "a boolean");
                None
            }
        }
    }

    /// Something of another type than Graph's.
    pub(super) fn wrong(&mut self, field: &Field<'_>, wanted: &str) {
        // ConvertTo-Json stops at a depth of two by default, and writes a type's name.
        let cut = field.json.text().is_some_and(|text| {
            text.starts_with("@{") || text.starts_with("System.") || text.starts_with("Microsoft.Graph.")
        });
        let note = if cut {
            "was cut off by the export: use `ConvertTo-Json -Depth 20`".to_owned()
        } else {
            format!("is {}, not {wanted}", field.json.kind())
        };
        self.refused(field, Loss::Unknown, &note);
    }

    /// Takes note that a placeholder stands where an id belongs.
    pub(super) fn placeholder(&mut self, text: &str) {
        self.placeholders.insert(text.to_owned());
    }

    /// Gives a verdict on what no room has taken: annotations, operations and empty parts say nothing,
    /// and everything else is unknown.
    pub(super) fn settle(&mut self, root: &Field<'_>) {
        for (key, member) in root.members() {
            if is_operation(key, member.json) {
                self.taken(&member, "an operation that Graph offers, no part of the object");
            }
        }
        let mut left = Vec::new();
        unmarked(root, &self.account, &mut left);
        for field in left {
            if field.json.says_nothing() {
                self.taken(&field, NOTHING);
            } else if is_annotation(&field.path) {
                self.taken(&field, "an annotation of the format");
            } else if is_remark(&field) {
                self.adapted(&field, "a remark, of no effect");
            } else {
                self.refused(&field, Loss::Unknown, "unknown property: what it demands is not known here");
            }
        }
    }
}

/// Whether a text stands under a key that people use for remarks.
fn is_remark(field: &Field<'_>) -> bool {
    let last =
        field.path.rsplit(['.', '"']).find(|part| !part.is_empty() && *part != "]").unwrap_or_default();
    let word = key(last.trim_start_matches(['_', '$', '/', '#']));
    field.json.text().is_some()
        && (last.starts_with("//")
            || matches!(
                word.as_str(),
                "comment" | "comments" | "note" | "notes" | "remark" | "remarks" | "description"
            ))
}

/// The leaves that have no verdict yet, as fields.
fn unmarked<'j>(field: &Field<'j>, account: &Account, found: &mut Vec<Field<'j>>) {
    match field.json {
        Json::List(items) if !items.is_empty() => {
            for item in field.items() {
                unmarked(&item, account, found);
            }
        }
        Json::Object(entries) if !entries.is_empty() => {
            for (_, member) in field.members() {
                unmarked(&member, account, found);
            }
        }
        _ if !account.is_marked(&field.path) => found.push(field.clone()),
        _ => {}
    }
}

/// A list of strings as a value of the file, each once, in order.
pub(super) fn strings<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> Value {
    let mut seen = BTreeSet::new();
    let mut values = Vec::new();
    for item in items {
        if seen.insert(item.as_ref().to_owned()) {
            values.push(Value::String(item.as_ref().to_owned()));
        }
    }
    Value::Array(values)
}

/// An id in the form in which it is looked up.
pub(super) fn key(id: &str) -> String {
    portcullis_policy::text::folded(id)
}
