//! The country database.

use std::path::PathBuf;

/// The country database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geo {
    /// MMDB file.
    pub database: PathBuf,
    /// Path to the ISO code within a record, such as `country.iso_code`.
    pub country_path: Vec<String>,
}
