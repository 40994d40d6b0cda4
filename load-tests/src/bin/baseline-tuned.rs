//! Bare pingora with the settings and the allocator that Portcullis uses.

use portcullis_load_tests::baseline::{Settings, serve};
// As in Portcullis: linked for the `malloc` that it defines.
use mimalloc as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    serve(Settings::Tuned)
}
