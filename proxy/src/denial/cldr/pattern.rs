//! Patterns of CLDR, as far as a minute in UTC needs them (UTS 35, part 4, "Date Format Patterns").

/// A pattern, taken apart.
#[derive(Debug)]
pub(super) struct Pattern {
    pieces: Vec<Piece>,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
}

/// What a pattern asks for. `digits` is how many are written at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Year,
    Month,
    MonthName,
    Day {
        digits: usize,
    },
    Weekday,
    /// Of 24.
    Hour {
        digits: usize,
    },
    /// Of 12, from 1.
    HourOfHalf,
    Minute,
    /// Before noon or after it.
    Half,
    Zone,
}

impl Field {
    const fn of(letter: char, digits: usize) -> Option<Self> {
        Some(match (letter, digits) {
            ('y', _) => Self::Year,
            ('M', 4) => Self::MonthName,
            ('M', _) => Self::Month,
            ('d', _) => Self::Day { digits },
            ('E', _) => Self::Weekday,
            ('H', _) => Self::Hour { digits },
            ('h', _) => Self::HourOfHalf,
            ('m', _) => Self::Minute,
            ('a', _) => Self::Half,
            ('v', _) => Self::Zone,
            _ => return None,
        })
    }
}

impl Pattern {
    /// Takes a pattern apart. Letters are fields, text stands as it is or between apostrophes. A field that is none of ours is
    /// left out; the tests hold every pattern against ICU.
    pub(super) fn parse(pattern: &str) -> Self {
        let (mut pieces, mut text, mut quoted) = (Vec::new(), String::new(), false);
        let mut chars = pattern.chars().peekable();
        while let Some(char) = chars.next() {
            if char == '\'' {
                quoted = !quoted;
            } else if quoted || !char.is_ascii_alphabetic() {
                text.push(char);
            } else {
                let mut digits = 1;
                while chars.next_if_eq(&char).is_some() {
                    digits += 1;
                }
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.extend(Field::of(char, digits).map(Piece::Field));
            }
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Self { pieces }
    }

    /// Writes the texts as they are, and each field as `write` does.
    pub(super) fn write(&self, out: &mut String, write: impl Fn(&mut String, Field)) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(field) => write(out, *field),
            }
        }
    }
}

/// A template with `{0}` and `{1}` filled. What is filled in is not searched for holes.
pub(super) fn fill(template: &str, zero: &str, one: &str) -> String {
    let mut out = String::with_capacity(template.len() + zero.len() + one.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (hole, tail) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(if hole == "0" { zero } else { one });
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{Field, Pattern, Piece, fill};

    #[test]
    fn a_pattern_is_letters_and_texts() {
        let text = |text: &str| Piece::Text(text.to_owned());
        let (day, name, year) = (Field::Day { digits: 1 }, Field::MonthName, Field::Year);
        let expected = [
            Piece::Field(day),
            text(" de "),
            Piece::Field(name),
            text(" de "),
            Piece::Field(year),
            text(" р."),
        ];
        assert_eq!(Pattern::parse("d 'de' MMMM 'de' y 'р'.").pieces, expected);
    }

    #[test]
    fn what_fills_a_hole_is_not_searched_for_holes() {
        assert_eq!(fill("{1}, {0}", "{1}", "{0}"), "{0}, {1}");
        assert_eq!(fill("{0}", "a", "b"), "a");
    }
}
