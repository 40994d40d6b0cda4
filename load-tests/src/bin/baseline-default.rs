//! Bare pingora with its default settings and the platform's allocator.

use portcullis_load_tests::baseline::{Settings, serve};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    serve(Settings::Default)
}
