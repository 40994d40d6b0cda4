//! What stands between a request and its app, as bits, and the search for values at which nothing does.
//!
//! A policy that applies and is not met is an *obstacle*. Of everything that a request consists of (place, time, device,
//! sign-in …, each a *dimension*) an obstacle needs something, so it stands exactly where each dimension has a value at
//! which its condition holds: a *row* says of one value which obstacles stay. The AND of one row for each dimension is what
//! stands; the AND of all rows of a dimension is what *never* falls there. Nothing but words of bits is needed to find a
//! way through, or that there is none.
//!
//! What a policy asks is brought into that form by parts: of controls that are all needed each is an obstacle of its own,
//! of alternatives all together are one; a rule becomes several of single attributes (`terms`).

mod boxes;
mod classes;
mod rows;

pub(crate) use boxes::{Asked, Entry, entries};
pub(crate) use classes::{AttributeClasses, Classes, Literal};
pub(crate) use rows::{Dimension, Ending, Goal, Group, Row, Search, Words};
