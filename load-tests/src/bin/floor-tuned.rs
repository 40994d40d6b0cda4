//! Bare pingora with the settings and the allocator that Portcullis uses.

use portcullis_load_tests::floor::{Settings, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    serve(Settings::Tuned)
}
