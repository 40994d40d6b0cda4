//! Identity as an app reads it: one spelling for each value, so that no two people, names or lists of groups
//! reach an app as the same bytes, and decoding gives back what the token said.
//!
//! Item by item, these bytes of the value in UTF-8 are percent-encoded, and no others: `%`, `,`, controls,
//! everything outside ASCII, and spaces at either end. Items of a list are joined with a plain `,`.

use http::header::HeaderValue;
use portcullis_config::settings::IdentityValue;
use portcullis_policy::signals::{Fact, Value};

use crate::token::VerifiedToken;

/// What an identity header says of the holder of a token; `None` when the token does not say it, and for an
/// empty list: nobody is in no group.
pub(super) fn identity_value(value: &IdentityValue, token: &VerifiedToken) -> Option<HeaderValue> {
    match value {
        IdentityValue::UserId => Some(one(&token.principal().id)),
        IdentityValue::UserName => token.user_name().map(one),
        IdentityValue::Groups => token.groups_header(|groups| match groups {
            Fact::Known(groups) => list(groups),
            Fact::Unknown | Fact::Unavailable => None,
        }),
        IdentityValue::DeviceId => token.device()?.device_id.map(one),
        IdentityValue::Claim(name) => {
            let claims = &token.principal().standing.claims;
            let (_, found) = claims.iter().find(|(known, _)| **known == **name)?;
            match found {
                Value::Text(text) => Some(one(text)),
                Value::Bool(flag) => Some(HeaderValue::from_static(if *flag { "true" } else { "false" })),
                // Whole numbers that this could not hold are text.
                Value::Number(number) => Some(one(&number.to_string())),
                Value::List(items) => list(items),
            }
        }
    }
}

/// One value.
fn one(text: &str) -> HeaderValue {
    if is_plain(text) {
        return as_value(text);
    }
    let mut encoded = String::with_capacity(text.len() + 16);
    push(text, &mut encoded);
    as_value(&encoded)
}

/// A list of values; `None` when there is none.
fn list(items: &[String]) -> Option<HeaderValue> {
    let (first, rest) = items.split_first()?;
    let mut encoded = String::with_capacity(items.iter().map(|item| item.len() + 1).sum());
    push(first, &mut encoded);
    for item in rest {
        encoded.push(',');
        push(item, &mut encoded);
    }
    Some(as_value(&encoded))
}

fn as_value(encoded: &str) -> HeaderValue {
    // INVARIANT: what `push` writes, and what `is_plain`, is visible ASCII and spaces.
    HeaderValue::from_str(encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Whether a text is its own encoding.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| !is_encoded(byte)) && !text.starts_with(' ') && !text.ends_with(' ')
}

/// Whether a byte is encoded wherever it stands.
const fn is_encoded(byte: u8) -> bool {
    !matches!(byte, b' '..=b'~') || matches!(byte, b'%' | b',')
}

fn push(text: &str, to: &mut String) {
    let inside = text.trim_matches(' ');
    let before = text.len() - text.trim_start_matches(' ').len();
    let within = before..before + inside.len();
    for (at, byte) in text.bytes().enumerate() {
        if is_encoded(byte) || !within.contains(&at) {
            to.push('%');
            for digit in [byte >> 4, byte & 15] {
                to.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
            }
        } else {
            to.push(char::from(byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// What the README says to do with a value.
    fn decoded(value: &HeaderValue) -> String {
        let text = value.to_str().unwrap();
        percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
    }

    fn decoded_list(value: Option<&HeaderValue>) -> Vec<String> {
        let Some(value) = value else { return Vec::new() };
        let items = value.to_str().unwrap().split(',').map(HeaderValue::from_str);
        items.map(|item| decoded(&item.unwrap())).collect()
    }

    /// Texts that are likely to be taken for each other.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[ a%2,\\t\u{e9}\u{3000}]{0,6}", "(%(61|2C|25|20)|a|,| ){0,4}", any::<String>(),]
    }

    proptest! {
        #[test]
        fn a_value_is_decoded_to_itself(text in text()) {
            let value = one(&text);
            prop_assert_eq!(decoded(&value), text.as_str());
            let bytes = value.as_bytes();
            prop_assert!(bytes.iter().all(|byte| matches!(byte, b' '..=b'~')), "{:?}", value);
            prop_assert_eq!(bytes.trim_ascii(), bytes, "nothing that a reader would trim");
        }

        #[test]
        fn two_values_are_never_the_same_bytes(one_text in text(), other in text()) {
            prop_assert_eq!(one(&one_text) == one(&other), one_text == other);
        }

        #[test]
        fn a_list_is_decoded_to_itself(items in prop::collection::vec(text(), 0..5)) {
            prop_assert_eq!(decoded_list(list(&items).as_ref()), items);
        }

        #[test]
        fn two_lists_are_never_the_same_bytes(
            items in prop::collection::vec(text(), 0..3),
            other in prop::collection::vec(text(), 0..3),
        ) {
            prop_assert_eq!(list(&items) == list(&other), items == other);
        }

        #[test]
        fn an_item_is_spelled_as_it_would_be_alone(items in prop::collection::vec(text(), 1..5)) {
            let alone: Vec<String> = items.iter().map(|item| one(item).to_str().unwrap().to_owned()).collect();
            prop_assert_eq!(list(&items).unwrap(), alone.join(","));
        }
    }

    /// Each is a line of the README: what the token says, and what the app receives.
    const VECTORS: [(&str, &str); 9] = [
        ("a", "a"),
        (" a", "%20a"),
        ("%61", "%2561"),
        ("Zo\u{eb} Q", "Zo%C3%AB Q"),
        ("x,admin", "x%2Cadmin"),
        ("a\r\nX-Admin: 1", "a%0D%0AX-Admin: 1"),
        ("CN=Staff+IT;O=Corp", "CN=Staff+IT;O=Corp"),
        ("tab\t", "tab%09"),
        ("", ""),
    ];

    #[test]
    fn values_are_spelled_as_the_readme_says() {
        for (said, spelled) in VECTORS {
            assert_eq!(one(said), spelled, "{said:?}");
        }
        let groups = ["x,admin", " staff", "B\u{fc}ro"].map(str::to_owned);
        assert_eq!(list(&groups).unwrap(), "x%2Cadmin,%20staff,B%C3%BCro");
        assert_eq!(list(&[]), None);
        assert_eq!(list(&[String::new()]).unwrap(), "");
        assert_eq!(list(&[String::new(), String::new()]).unwrap(), ",");
    }

    /// The README's code block in this language.
    fn example(language: &str) -> String {
        let readme = include_str!("../../README.md");
        let (_, rest) = readme.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    }

    /// Runs a program that says what it decoded, one item a line; `None`, and says so, where there is no
    /// interpreter.
    fn run(interpreter: &str, flag: &str, program: &str) -> Option<String> {
        match Command::new(interpreter).args([flag, program]).env("PYTHONIOENCODING", "utf-8").output() {
            Ok(output) => {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                Some(String::from_utf8(output.stdout).unwrap())
            }
            Err(problem) => {
                eprintln!("skipped: no {interpreter} here: {problem}");
                None
            }
        }
    }

    #[test]
    fn the_readmes_decoders_give_back_what_the_token_said() {
        let said: Vec<String> = VECTORS.iter().map(|(said, _)| (*said).to_owned()).collect();
        let value = list(&said).unwrap();
        let value = value.to_str().unwrap();
        let expected: String =
            said.iter().map(|said| format!("{}\n", said.replace(['\r', '\n'], "~"))).collect();
        let python = format!(
            "{}\nfor item in decode_list({value:?}): print(item.replace('\\r', '~').replace('\\n', '~'))",
            example("python")
        );
        if let Some(decoded) = run("python3", "-c", &python) {
            assert_eq!(decoded, expected);
        }
        let script = format!(
            "{}\nfor (const item of decodeList({value:?})) console.log(item.replace(/[\\r\\n]/g, '~'))",
            example("javascript")
        );
        if let Some(decoded) = run("node", "-e", &script) {
            assert_eq!(decoded, expected);
        }
    }
}
