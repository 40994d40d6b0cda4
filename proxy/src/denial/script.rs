//! The script of the page, as it is sent: `page.js` without what is only there for its readers.

use std::sync::LazyLock;

pub(super) const SOURCE: &str = include_str!("page.js");

/// The script as it is sent.
pub(super) static SENT: LazyLock<String> = LazyLock::new(|| {
    let lines = SOURCE.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    // Each line ends where a statement or a block does, which a test holds; none needs the end of the line.
    lines.map(squeezed).collect::<String>().replace(";}", "}")
});

/// A line without spaces beside punctuation, outside of texts. `page.js` has no other quotes than these, and no regular
/// expressions.
fn squeezed(line: &str) -> String {
    const PUNCTUATION: &str = "{}()[]=<>?:;,&|+-*!";
    let mut out = String::with_capacity(line.len());
    let mut is_text = false;
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        is_text ^= char == '\'';
        let is_beside = |other: Option<char>| other.is_some_and(|other| PUNCTUATION.contains(other));
        if char == ' ' && !is_text && (is_beside(out.chars().next_back()) || is_beside(chars.peek().copied()))
        {
            continue;
        }
        out.push(char);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_go_where_they_mean_nothing() {
        assert_eq!(squeezed("const a = 'x = y', b = (c) => c + 1;"), "const a='x = y',b=(c)=>c+1;");
        assert_eq!(squeezed("return later(500, comeIn);"), "return later(500,comeIn);");
    }

    #[test]
    fn the_script_is_small_and_cannot_end_its_element() {
        assert!(SENT.len() < 1_900, "{} bytes", SENT.len());
        for line in SOURCE.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")) {
            assert!(line.ends_with(['{', '}', ';']), "{line}");
        }
        assert!(!SENT.contains("</") && !SENT.contains("<!--"));
        for odd in ['"', '`', '\t'] {
            assert!(!SENT.contains(odd), "{odd:?} is not squeezed right");
        }
        assert!(!SOURCE.contains("+ +") && !SOURCE.contains("- -"), "{SOURCE}");
    }
}
