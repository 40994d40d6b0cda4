//! The file format as one table of keys, and files as trees in which every value has its place.
//!
//! The same table checks files and makes the reference, so the two cannot disagree.

pub(crate) mod ask_tables;
pub(crate) mod check;
pub(crate) mod policy_tables;
pub(crate) mod sign_in_tables;
pub(crate) mod tables;
pub(crate) mod tree;

use crate::settings::Disclosure;

/// A table of the format.
#[derive(Debug)]
pub(crate) struct Table {
    /// What diagnoses call it.
    pub(crate) title: &'static str,
    /// The keys that it may hold.
    pub(crate) keys: &'static [Key],
}

/// One key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) need: Need,
    pub(crate) doc: &'static str,
}

/// Whether a key must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
    /// Absent means this. Lowering reads it from here; no other place has it.
    Default(Literal),
}

/// A default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Literal {
    Text(&'static str),
    Texts(&'static [&'static str]),
    Bool(bool),
    Integer(i64),
}

/// What a value looks like.
#[derive(Debug)]
pub(crate) enum Shape {
    /// A string of this form.
    Text(Form),
    /// One of these words.
    Word(&'static [&'static str]),
    Bool,
    Integer {
        min: i64,
        max: i64,
    },
    /// A list of these.
    List(&'static Shape),
    Table(&'static Table),
    /// Free keys, with values of this shape.
    Map(&'static Shape),
    /// The first that fits the value's type.
    Either(&'static [Shape]),
    Number,
    /// A TOML date or date and time.
    Date,
}

/// What a string holds. Lowering parses it; the reference describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Duration,
    Size,
    /// `100/s burst 200`.
    Rate,
    /// `1KiB/s`.
    ByteRate,
    Path,
    Glob,
    Url,
    SocketAddress,
    Network,
    Country,
    Id,
    Rule,
    PathPattern,
    Host,
    Selector,
    Date,
    Window,
    Zone,
    Context,
    Control,
    Identity,
    Colour,
}

pub(crate) const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, shape, need: Need::Required, doc }
}

pub(crate) const fn optional(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, shape, need: Need::Optional, doc }
}

pub(crate) const fn default(name: &'static str, value: Literal, shape: Shape, doc: &'static str) -> Key {
    Key { name, shape, need: Need::Default(value), doc }
}

// Shapes that several tables have.

const TEXT: Shape = Shape::Text(Form::Plain);
const TEXTS: Shape = Shape::List(&TEXT);
const DURATION: Shape = Shape::Text(Form::Duration);
const CONTEXTS: Shape = Shape::List(&Shape::Text(Form::Context));
const DATE: Shape = Shape::Either(&[Shape::Text(Form::Date), Shape::Date]);
const DISCLOSURE: Shape = Shape::Word(&Disclosure::WORDS);
