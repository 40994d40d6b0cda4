//! Configuration of Portcullis: files to checked settings and policies, or diagnoses.
//!
//! Synchronous, and reads only when asked. [`load::load`] is the entry; what it finds wrong is
//! returned as [`diagnose::Diagnostic`]s, all at once, each with its place and its mend.

pub mod ask;
pub mod diagnose;
pub mod file;
pub mod import;
mod include;
pub mod load;
mod lower;
pub mod output;
pub mod printable;
pub mod reference;
pub mod reserved;
mod schema;
pub mod settings;
pub mod vocabulary;

pub use diagnose::{Diagnostic, Severity, Sources};
pub use load::{Loaded, load, load_settings};
pub use settings::Config;
