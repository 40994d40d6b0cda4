//! Arguments to a command to an exit status; everything else is in the library.

use std::process::ExitCode;

// Linked for what it defines: `malloc` and its kin, which Rust's own allocator and the C libraries call.
// As a global allocator it would get an alignment with each call and, for most sizes, take its slow path.
use mimalloc as _;

fn main() -> ExitCode {
    portcullis::cli::run()
}
