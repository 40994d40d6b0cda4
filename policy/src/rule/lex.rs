//! A rule's text to tokens, each with its place.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{RuleError, error};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    /// A word: attribute, operator (its dash taken off), number, `true`, `null`.
    Word(Box<str>),
    /// `-eq`, `==`, `!=`: certainly an operator.
    Operator(Box<str>),
    Text(Box<str>),
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) offset: usize,
    pub(super) len: usize,
}

fn is_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | ':' | '/' | '-' | '@')
}

pub(super) fn lex(text: &str) -> Result<Vec<Token>, RuleError> {
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((offset, char)) = chars.next() {
        let single = match char {
            char if char.is_whitespace() => continue,
            '(' => Some(Kind::Open),
            ')' => Some(Kind::Close),
            '[' => Some(Kind::OpenList),
            ']' => Some(Kind::CloseList),
            ',' => Some(Kind::Comma),
            _ => None,
        };
        if let Some(kind) = single {
            tokens.push(Token { kind, offset, len: 1 });
            continue;
        }
        match char {
            '"' | '\'' => {
                let mut inside = String::new();
                let mut end = None;
                while let Some((at, next)) = chars.next() {
                    match next {
                        next if next == char => {
                            end = Some(at);
                            break;
                        }
                        '\\' => inside.extend(chars.next().map(|(_, escaped)| escaped)),
                        other => inside.push(other),
                    }
                }
                let Some(end) = end else {
                    let help = format!("close it with {char}");
                    return Err(error(offset, text.len() - offset, "the text does not end", help));
                };
                tokens.push(Token { kind: Kind::Text(inside.into()), offset, len: end + 1 - offset });
            }
            '=' | '!' => {
                if chars.next_if(|(_, next)| *next == '=').is_none() {
                    return Err(error(
                        offset,
                        1,
                        format!("`{char}` is no operator"),
                        "write `==`, `!=`, `-eq` or `-ne`",
                    ));
                }
                let word = if char == '=' { "eq" } else { "ne" };
                tokens.push(Token { kind: Kind::Operator(word.into()), offset, len: 2 });
            }
            char if is_word(char) => {
                let mut word = String::from(char);
                while let Some((_, next)) = chars.next_if(|(_, next)| is_word(*next)) {
                    word.push(next);
                }
                let len = word.len();
                let kind = match word.strip_prefix('-') {
                    Some(operator) if operator.starts_with(|first: char| first.is_ascii_alphabetic()) => {
                        Kind::Operator(operator.into())
                    }
                    _ => Kind::Word(word.into()),
                };
                tokens.push(Token { kind, offset, len });
            }
            other => {
                let what = format!("`{other}` has no meaning in a rule");
                return Err(error(offset, other.len_utf8(), what, "put text into double quotes"));
            }
        }
    }
    Ok(tokens)
}
