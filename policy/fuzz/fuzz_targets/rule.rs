//! No text makes the rule parser panic; what it takes parses again the same; what it refuses names a
//! place inside the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_policy::rule::Rule;

fuzz_target!(|text: &str| match Rule::parse(text) {
    Ok(rule) => assert_eq!(Rule::parse(rule.source()).as_ref(), Ok(&rule)),
    Err(error) => {
        assert!(error.offset + error.len <= text.len(), "{error:?}");
        assert!(!error.what.is_empty() && !error.help.is_empty());
    }
});
