//! Rules of the filter language, with problems shown at their place inside the string.

use portcullis_policy::model::FilterMode;
use portcullis_policy::rule::Rule;

use super::context::Context;
use crate::diagnose::{At, Diagnostic};
use crate::schema::tree::View;

/// Parses the rule that is written at `at`.
pub(super) fn rule(cx: &mut Context<'_>, text: &str, at: At) -> Option<Rule> {
    match parse(text) {
        Ok(rule) => Some(rule),
        Err(problem) => {
            let place = inner(cx.sources.text(at.file), at, problem.offset, problem.len);
            cx.push(Diagnostic::error("rule/syntax", place, problem.what).help(problem.help));
            None
        }
    }
}

/// Mode and rule of a filter.
pub(super) fn filter(cx: &mut Context<'_>, view: View<'_>) -> Option<(FilterMode, Rule)> {
    let rule = rule(cx, view.text("rule")?, view.at_key("rule"));
    let mode = match view.text("mode")? {
        "include" => FilterMode::Include,
        "exclude" => FilterMode::Exclude,
        _ => return None,
    };
    Some((mode, rule?))
}

/// What is wrong in a rule; offsets are bytes of the rule's text.
struct Problem {
    offset: usize,
    len: usize,
    what: String,
    help: String,
}

/// The only place that knows the rule parser.
fn parse(text: &str) -> Result<Rule, Problem> {
    Rule::parse(text).map_err(|error| Problem {
        offset: error.offset,
        len: error.len,
        what: error.what,
        help: error.help,
    })
}

/// The place in the file of bytes `offset..offset + len` of a string's value, which quotes and
/// escapes move.
fn inner(source: &str, at: At, offset: usize, len: usize) -> At {
    let raw = source.get(at.start..at.end).unwrap_or_default();
    let mut places = places(raw);
    let end = offset.saturating_add(len.max(1));
    let start = places.by_ref().find(|(value, ..)| *value >= offset).map_or(raw.len(), |(_, start, _)| start);
    let stop =
        self::places(raw).take_while(|(value, ..)| *value < end).last().map_or(start, |(.., stop)| stop);
    // The end of the rule lies before the closing quote.
    let start = start.min(raw.len().saturating_sub(1));
    At { file: at.file, start: at.start + start, end: at.start + stop.max(start + 1) }
}

/// For each character of a string's value: its offset there, and the bytes of its notation.
fn places(raw: &str) -> impl Iterator<Item = (usize, usize, usize)> {
    let (quote, open) = match raw {
        _ if raw.starts_with("\"\"\"") => ('"', 3),
        _ if raw.starts_with("'''") => ('\'', 3),
        _ => (raw.chars().next().unwrap_or('"'), 1),
    };
    let body = raw.get(open..raw.len().saturating_sub(open)).unwrap_or_default();
    // TOML drops a line break that follows the opening quotes at once.
    let trimmed = match open {
        3 => body.strip_prefix("\r\n").or_else(|| body.strip_prefix('\n')).unwrap_or(body),
        _ => body,
    };
    let mut position = open + body.len() - trimmed.len();
    let (mut rest, mut value) = (trimmed, 0);
    std::iter::from_fn(move || {
        let (notation, decoded) = if quote == '"' { unit(rest)? } else { plain(rest)? };
        let item = (value, position, position + notation);
        rest = rest.get(notation..)?;
        position += notation;
        value += decoded;
        Some(item)
    })
}

fn plain(rest: &str) -> Option<(usize, usize)> {
    rest.chars().next().map(|c| (c.len_utf8(), c.len_utf8()))
}

/// One character of a basic string: bytes of its notation and of its value.
fn unit(rest: &str) -> Option<(usize, usize)> {
    let Some(escaped) = rest.strip_prefix('\\') else { return plain(rest) };
    let digits = match escaped.chars().next()? {
        'u' => 4,
        'U' => 8,
        'x' => 2,
        c if c.is_whitespace() => {
            // A backslash at a line's end swallows the break and the indentation.
            let swallowed = escaped.len() - escaped.trim_start().len();
            return Some((1 + swallowed, 0));
        }
        _ => return Some((2, 1)),
    };
    let code = escaped.get(1..1 + digits).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let decoded = code.and_then(char::from_u32).map_or(1, char::len_utf8);
    Some((2 + digits, decoded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::Sources;

    fn check(raw: &str, offset: usize, len: usize, shown: &str) {
        let file = Sources::default().add("x".into(), String::new());
        let source = format!("r = {raw}\n");
        let at = inner(&source, At { file, start: 4, end: 4 + raw.len() }, offset, len);
        assert_eq!(source.get(at.start..at.end), Some(shown), "{raw}");
    }

    #[test]
    fn a_place_in_a_rule_is_shown_where_it_is_written() {
        check("'device.x -eq 1'", 7, 1, "x");
        check(r#""device.x -eq \"a\" -nope""#, 17, 5, "-nope");
        check("\"\"\"\ndevice.x -eq 1\"\"\"", 9, 3, "-eq");
        check(r#""\u00e9 -eq""#, 3, 3, "-eq");
        check("'abc'", 3, 1, "'");
        check("''", 0, 0, "'");
        check("'abc'", 900, 1, "'");
    }
}
