//! Configuration of Portcullis: files to checked settings and policies, or diagnoses.
//!
//! Synchronous, and reads only when asked.

pub mod settings;

pub use settings::Config;
