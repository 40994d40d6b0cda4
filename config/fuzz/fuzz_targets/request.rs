//! No request makes reading panic: TOML, JSON or Graph's body; what is wrong with it can be shown.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_config::ask::Asking;
use portcullis_config::diagnose::render_text;
use portcullis_config::{Config, ask, load};

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/first.toml");
    load(&example).config.expect("the example loads")
});

fuzz_target!(|text: &str| {
    let path = Path::new("request");
    let asking = Asking { config: &CONFIG, now: 1_800_000_000, is_received: |_, _| true };
    let read = ask::request(asking, Some((path, text.to_owned())), String::new());
    assert!(read.value.is_some() || !read.diagnostics.is_empty());
    let _ = render_text(&read.diagnostics, &read.sources);
    let cases = ask::cases(asking, path, text.to_owned());
    assert!(cases.value.is_some() || !cases.diagnostics.is_empty());
});
