//! Which characters may reach a terminal or a log as they are. Control characters drive terminals and forge
//! lines, those of bidirectional text make a name look like another one.

use std::fmt::Write as _;

/// Whether a character does nothing but stand there.
#[must_use]
pub fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            // Arabic letter mark, left-to-right and right-to-left marks, embeddings, overrides, isolates
            // (Unicode Standard Annex 9, table 4); line and paragraph separators.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// A number with its noun: `1 policy`, `2 policies`.
#[must_use]
pub fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// Text of several lines for a terminal. Everything else that is not printable becomes `\uNNNN`, which in
/// JSON and in TOML means the same character.
#[must_use]
pub fn lines(text: &str) -> String {
    escaped(text, |character| matches!(character, '\n' | '\t'))
}

/// A value in one line of text: as [`lines`], and a new line begins no other one.
#[must_use]
pub fn value(text: &str) -> String {
    escaped(text, |_| false)
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_printable(character) || stays(character) {
            shown.push(character);
        } else {
            // INVARIANT: none of them is beyond four digits, and writing to a `String` cannot fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(character));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_stays() {
        let odd = "\u{0}\u{7}\u{8}\u{b}\u{c}\r\u{1b}[2J\u{7f}\u{85}\u{9b}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}";
        for shown in [lines(odd), value(odd)] {
            assert!(shown.chars().all(is_printable), "{shown:?}");
            assert!(shown.contains("\\u001b[2J") && shown.ends_with("\\u2069"), "{shown}");
        }
        assert_eq!(lines("a\n\tb"), "a\n\tb");
        assert_eq!(value("a\n\tb"), "a\\u000a\\u0009b");
        assert_eq!(value("Übung \u{1f600} שלום"), "Übung \u{1f600} שלום", "the counterpart: text stays");
    }

    #[test]
    fn what_is_escaped_means_the_same_in_json_and_toml() {
        let text = "a\u{202e}b\u{7f}c\u{85}";
        let json = serde_json::to_string(text).unwrap();
        assert_eq!(serde_json::from_str::<String>(&lines(&json)).unwrap(), text);
        let table = toml::from_str::<toml::Table>(&lines("x = \"a\u{202e}b\u{9b}c\"")).unwrap();
        assert_eq!(table.get("x").and_then(toml::Value::as_str), Some("a\u{202e}b\u{9b}c"));
    }
}
