//! A file as a tree of owned values, each with its place.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Literal, Need, Table};
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

/// A table seen through its description: only described keys can be asked for, and a key that is absent has the
/// default that the description names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'t> {
    table: &'static Table,
    /// The place that stands for the whole table: its header or its braces.
    at: At,
    entries: &'t [Entry],
}

impl<'t> View<'t> {
    pub(crate) fn new(table: &'static Table, node: &'t Node) -> Self {
        Self { table, at: node.at, entries: node.entries() }
    }

    /// A table that no file has: every key with a default has that.
    pub(crate) const fn absent(table: &'static Table) -> Self {
        Self { table, at: At { file: FileId::MAIN, start: 0, end: 0 }, entries: &[] }
    }

    /// The place that stands for the whole table: its header or its braces.
    pub(crate) const fn at(&self) -> At {
        self.at
    }

    /// A key's value as it is written. Asking for a key that the format does not describe is a mistake in this
    /// crate, which tests notice.
    pub(crate) fn get(&self, name: &str) -> Option<&'t Node> {
        debug_assert!(self.table.keys.iter().any(|key| key.name == name), "{}.{name}", self.table.title);
        self.entries.iter().find(|entry| entry.key == name).map(|entry| &entry.value)
    }

    /// The default of a key.
    pub(crate) fn default(&self, name: &str) -> Option<Literal> {
        match self.table.keys.iter().find(|key| key.name == name)?.need {
            Need::Default(default) => Some(default),
            Need::Required | Need::Optional => None,
        }
    }

    /// The default of a key whose value is text.
    pub(crate) fn default_text(&self, name: &str) -> Option<&'static str> {
        match self.default(name)? {
            Literal::Text(text) => Some(text),
            Literal::Texts(_) | Literal::Bool(_) | Literal::Integer(_) => None,
        }
    }

    /// A key's value as text.
    pub(crate) fn text(&self, name: &str) -> Option<&'t str> {
        self.get(name).map_or_else(|| self.default_text(name), Node::text)
    }

    /// A key's value as one of a vocabulary's words. A word that is not known was reported when shapes were
    /// compared; the default stands for it.
    pub(crate) fn word<T>(&self, name: &str, from_word: fn(&str) -> Option<T>) -> Option<T> {
        let written = self.text(name).and_then(from_word);
        written.or_else(|| self.default_text(name).and_then(from_word))
    }

    /// The place of a key's value, or of the table if there is none.
    pub(crate) fn at_key(&self, name: &str) -> At {
        self.get(name).map_or(self.at, |node| node.at)
    }

    /// Where the first of these keys is written that is; the table, where none is.
    pub(crate) fn at_first(&self, names: &[&str]) -> At {
        names.iter().find_map(|name| self.get(name)).map_or(self.at, |node| node.at)
    }

    /// The value of a key as its reader knows it: what is written, or the default, which says so.
    pub(crate) fn said(&self, name: &str) -> String {
        let text = self.text(name).unwrap_or_default();
        let origin = if self.get(name).is_some() { "" } else { " by default" };
        format!("`{text}`{origin}")
    }

    /// The items of a list that is written under a key.
    pub(crate) fn items(&self, name: &str) -> &'t [Node] {
        self.get(name).map_or(&[], Node::items)
    }

    /// Text items of a list under a key, with their places.
    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = (&'t str, At)> + use<'t> {
        let default = match self.default(name) {
            Some(Literal::Texts(texts)) if self.get(name).is_none() => texts,
            _ => &[],
        };
        let at = self.at;
        let written = self.items(name).iter().filter_map(|item| Some((item.text()?, item.at)));
        written.chain(default.iter().map(move |text| (*text, at)))
    }

    /// Text items of a list under a key, owned.
    pub(crate) fn owned(&self, name: &str) -> Vec<String> {
        self.texts(name).map(|(text, _)| text.to_owned()).collect()
    }

    /// Whether a switch is on: as it is written, or as its default says.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        let default = self.default(name) == Some(Literal::Bool(true));
        self.get(name).and_then(Node::boolean).unwrap_or(default)
    }

    /// An integer under a key; `None` for one that does not fit.
    pub(crate) fn integer<T: TryFrom<i64>>(&self, name: &str) -> Option<T> {
        let integer = match (self.get(name).map(|node| &node.kind), self.default(name)) {
            (Some(Kind::Integer(integer)), _) => (*integer)?,
            (None, Some(Literal::Integer(integer))) => integer,
            _ => return None,
        };
        T::try_from(integer).ok()
    }

    /// A table under a key, through its description.
    pub(crate) fn table(&self, name: &str, table: &'static Table) -> Option<View<'t>> {
        let node = self.get(name)?;
        matches!(node.kind, Kind::Table(_)).then(|| View::new(table, node))
    }

    /// A table under a key, or its defaults where no file has it.
    pub(crate) fn table_or_default(&self, name: &str, table: &'static Table) -> View<'t> {
        self.table(name, table).unwrap_or(View { at: self.at_key(name), ..View::absent(table) })
    }

    /// Tables of a list under a key, through their description.
    pub(crate) fn tables(&self, name: &str, table: &'static Table) -> impl Iterator<Item = View<'t>> {
        let tables = self.items(name).iter().filter(|node| matches!(node.kind, Kind::Table(_)));
        tables.map(move |node| View::new(table, node))
    }
}
