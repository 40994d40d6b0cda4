//! `portcullis schema`: the format of the configuration, for editors that complete and check.

use super::terminal::{self, Failure};

/// Prints the schema.
pub(super) fn run() -> Result<(), Failure> {
    terminal::print(&serde_json::to_string_pretty(&portcullis_config::reference::json_schema())?);
    Ok(())
}
