//! A file as a tree of owned values, each with its place.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Table;
use crate::diagnose::{At, FileId};

/// A value and where it is written.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Text(String),
    Integer(Option<i64>),
    Float(f64),
    Bool(bool),
    Date(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key with its place, and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: At,
    pub(crate) value: Node,
}

impl Node {
    /// Takes the parser's tree apart, so that both are never there as a whole.
    pub(crate) fn of_table(file: FileId, table: Spanned<DeTable<'_>>) -> Self {
        let span = table.span();
        let at = At { file, start: span.start, end: span.end };
        Self { at, kind: entries(file, table.into_inner()) }
    }

    fn of_value(file: FileId, value: Spanned<DeValue<'_>>) -> Self {
        let span = value.span();
        let at = At { file, start: span.start, end: span.end };
        let kind = match value.into_inner() {
            DeValue::String(text) => Kind::Text(text.into_owned()),
            DeValue::Integer(integer) => {
                Kind::Integer(i64::from_str_radix(integer.as_str(), integer.radix()).ok())
            }
            DeValue::Float(float) => Kind::Float(float.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(boolean) => Kind::Bool(boolean),
            DeValue::Datetime(datetime) => Kind::Date(datetime.to_string()),
            DeValue::Array(items) => {
                Kind::List(items.into_iter().map(|item| Self::of_value(file, item)).collect())
            }
            DeValue::Table(table) => entries(file, table),
        };
        Self { at, kind }
    }

    /// What people call the value's type.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Text(_) => "a string",
            Kind::Integer(_) => "an integer",
            Kind::Float(_) => "a number",
            Kind::Bool(_) => "a boolean",
            Kind::Date(_) => "a date",
            Kind::List(_) => "a list",
            Kind::Table(_) => "a table",
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) const fn boolean(&self) -> Option<bool> {
        match self.kind {
            Kind::Bool(boolean) => Some(boolean),
            _ => None,
        }
    }

    /// The entries of a table; none for anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }
}

fn entries(file: FileId, table: DeTable<'_>) -> Kind {
    let entry = |(key, value): (Spanned<Cow<'_, str>>, Spanned<DeValue<'_>>)| {
        let span = key.span();
        let at = At { file, start: span.start, end: span.end };
        Entry { key: key.into_inner().into_owned(), at, value: Node::of_value(file, value) }
    };
    let mut entries: Vec<Entry> = table.into_iter().map(entry).collect();
    // Diagnoses follow the order of the file, not that of the map.
    entries.sort_by_key(|entry| entry.at.start);
    Kind::Table(entries)
}

/// A table seen through its description: only described keys can be asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'t> {
    table: &'static Table,
    node: &'t Node,
}

impl<'t> View<'t> {
    pub(crate) const fn new(table: &'static Table, node: &'t Node) -> Self {
        Self { table, node }
    }

    /// The place that stands for the whole table: its header or its braces.
    pub(crate) const fn at(&self) -> At {
        self.node.at
    }

    /// A key's value. Asking for a key that the format does not describe is a mistake in this
    /// crate, which tests notice.
    pub(crate) fn get(&self, name: &str) -> Option<&'t Node> {
        debug_assert!(self.table.keys.iter().any(|key| key.name == name), "{}.{name}", self.table.title);
        self.node.entries().iter().find(|entry| entry.key == name).map(|entry| &entry.value)
    }

    /// A key's value as text.
    pub(crate) fn text(&self, name: &str) -> Option<&'t str> {
        self.get(name)?.text()
    }

    /// The place of a key's value, or of the table if there is none.
    pub(crate) fn at_key(&self, name: &str) -> At {
        self.get(name).map_or(self.node.at, |node| node.at)
    }

    /// The items of a list under a key.
    pub(crate) fn items(&self, name: &str) -> &'t [Node] {
        self.get(name).map_or(&[], Node::items)
    }

    /// Text items of a list under a key, with their places.
    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = (&'t str, At)> + use<'t> {
        self.items(name).iter().filter_map(|item| Some((item.text()?, item.at)))
    }

    /// Text items of a list under a key, owned.
    pub(crate) fn owned(&self, name: &str) -> Vec<String> {
        self.texts(name).map(|(text, _)| text.to_owned()).collect()
    }

    /// A boolean under a key.
    pub(crate) fn boolean(&self, name: &str, default: bool) -> bool {
        self.get(name).and_then(Node::boolean).unwrap_or(default)
    }

    /// A table under a key, through its description.
    pub(crate) fn table(&self, name: &str, table: &'static Table) -> Option<View<'t>> {
        let node = self.get(name)?;
        matches!(node.kind, Kind::Table(_)).then_some(View { table, node })
    }

    /// Tables of a list under a key, through their description.
    pub(crate) fn tables(&self, name: &str, table: &'static Table) -> impl Iterator<Item = View<'t>> {
        let tables = self.items(name).iter().filter(|node| matches!(node.kind, Kind::Table(_)));
        tables.map(move |node| View { table, node })
    }
}
