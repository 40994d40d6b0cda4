//! How commands fail, and how they write to the terminal.

use std::io::Write as _;
use std::path::Path;

use portcullis_config::printable;
pub(super) use portcullis_config::printable::counted;

/// Why a command failed, for standard error.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Writes to standard output; nothing in it steers a terminal. A reader that went away (`| head`) has read
/// enough.
pub(super) fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", printable::lines(text));
}

#[expect(clippy::print_stderr, reason = "the command line's own output")]
pub(super) fn error(text: &str) {
    eprintln!("{}", printable::lines(text));
}

/// A path in one line.
pub(super) fn shown(path: &Path) -> String {
    printable::value(&path.to_string_lossy())
}
