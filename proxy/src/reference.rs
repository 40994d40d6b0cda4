//! References: what of a request's id a person can say over the telephone.
//!
//! Eight characters of Crockford's base32, `XXXX-XXXX`: the last 40 bits of the id. The front of a UUID of version 7 is the
//! clock and the same for all requests of a moment; its end is random. Of a million requests, two share a reference in about
//! one log of three, so whoever looks one up gets every match.
//! Source of the alphabet and of what is read as what: <https://www.crockford.com/base32.html>.

use std::fmt;
use std::str::FromStr;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a whole reference.
pub const REFERENCE_CHARS: usize = 8;
/// The shortest beginning that is looked for: with fewer, half a log would match.
pub const PREFIX_CHARS_MIN: usize = 4;
const BITS_PER_CHAR: usize = 5;
/// Bits of a reference.
pub(crate) const REFERENCE_BITS: usize = REFERENCE_CHARS * BITS_PER_CHAR;
const MASK: u64 = (1 << REFERENCE_BITS) - 1;

/// The reference of one request.
///
/// ```
/// # use portcullis::reference::{Reference, ReferencePattern};
/// let id = 0x0192_7a3b_4c5d_7e6f_8123_4567_89ab_cdef;
/// assert_eq!(Reference::of(id).to_string(), "CY4T-QKFF");
/// let said: ReferencePattern = "cy4t qkff".parse()?;
/// assert!(said.matches(id));
/// # Ok::<(), portcullis::reference::ReferenceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference(u64);

impl Reference {
    /// Of a request's id, as a UUID's number.
    #[must_use]
    pub const fn of(request_id: u128) -> Self {
        // What is cut off is what the mask would take away.
        Self(request_id as u64 & MASK)
    }

    /// Of the last 40 bits of a number.
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits & MASK)
    }

    /// As a number of 40 bits.
    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    /// The id with this reference instead of its own. It is still one of its own moment.
    pub(crate) const fn put_into(self, request_id: u128) -> u128 {
        request_id & !(MASK as u128) | self.0 as u128
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = (0..REFERENCE_CHARS)
            .rev()
            .filter_map(|place| ALPHABET.get((self.0 >> (place * BITS_PER_CHAR)) as usize & 31))
            .map(|character| char::from(*character))
            .collect();
        let (front, back) = text.split_at_checked(REFERENCE_CHARS / 2).unwrap_or((&text, ""));
        write!(f, "{front}-{back}")
    }
}

/// A reference as somebody said or typed it: whole, or its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferencePattern {
    bits: u64,
    /// How many bits of a reference follow those that were said.
    open_bits: usize,
}

impl ReferencePattern {
    /// Whether a request's id may be the one that was meant.
    #[must_use]
    pub const fn matches(self, request_id: u128) -> bool {
        Reference::of(request_id).0 >> self.open_bits == self.bits
    }

    /// Whether all of it was said.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.open_bits == 0
    }
}

/// Why a text is no reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Fewer than [`PREFIX_CHARS_MIN`] or more than [`REFERENCE_CHARS`] characters.
    #[error(
        "a reference has {REFERENCE_CHARS} characters; its first {PREFIX_CHARS_MIN} are the least that is looked for"
    )]
    Length,
    /// A character outside the alphabet.
    #[error("a reference has digits and letters only, and no `U`")]
    Character,
}

impl FromStr for ReferencePattern {
    type Err = ReferenceError;

    /// Case, spaces and hyphens do not count; `O` is read as `0`, `I` and `L` as `1`.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let mut bits = 0_u64;
        let mut count = 0;
        let said = text.chars().filter(|character| !character.is_whitespace() && !is_hyphen(*character));
        for character in said {
            count += 1;
            if count > REFERENCE_CHARS {
                return Err(ReferenceError::Length);
            }
            let value = value_of(character).ok_or(ReferenceError::Character)?;
            bits = bits << BITS_PER_CHAR | value;
        }
        match REFERENCE_CHARS.checked_sub(count) {
            Some(missing) if count >= PREFIX_CHARS_MIN => {
                Ok(Self { bits, open_bits: missing * BITS_PER_CHAR })
            }
            _ => Err(ReferenceError::Length),
        }
    }
}

fn value_of(character: char) -> Option<u64> {
    let meant = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    ALPHABET.iter().position(|known| char::from(*known) == meant)?.try_into().ok()
}

/// The hyphen of keyboards, and those that word processors and mail programs make of it.
const fn is_hyphen(character: char) -> bool {
    matches!(character, '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{PREFIX_CHARS_MIN, REFERENCE_CHARS, Reference, ReferenceError, ReferencePattern};

    fn pattern(text: &str) -> Result<ReferencePattern, ReferenceError> {
        text.parse()
    }

    #[test]
    fn what_is_heard_wrong_is_read_right() {
        let zero = pattern("oO00 il1L").unwrap();
        assert_eq!(zero, pattern("0000-1111").unwrap());
        assert_eq!(pattern(" 0000\u{2011}1111\n").unwrap(), zero, "a hyphen that does not break");
    }

    #[test]
    fn other_texts_are_no_references() {
        for short in ["", "7", "7K3", "-- -", "7K3M-9Q2XA", &"7".repeat(100_000)] {
            assert_eq!(pattern(short), Err(ReferenceError::Length), "{short:.12}");
        }
        for odd in ["7K3U", "7K3M-9Q2!", "../x", "७७७७", "7K3M\0QQQ"] {
            assert_eq!(pattern(odd), Err(ReferenceError::Character), "{odd}");
        }
    }

    #[test]
    fn a_whole_reference_is_told_from_its_beginning() {
        assert!(pattern("7K3M9Q2X").unwrap().is_whole());
        assert!(!pattern("7K3M9Q2").unwrap().is_whole());
    }

    proptest! {
        #[test]
        fn each_reference_finds_its_request_however_it_is_written(
            id: u128, chars in PREFIX_CHARS_MIN..=REFERENCE_CHARS, seed: u64,
        ) {
            let shown = Reference::of(id).to_string();
            let said: String = shown.replace('-', "").chars().take(chars).enumerate().map(|(at, character)| {
                let character = match (seed >> at & 1 == 1, character) {
                    (true, '0') => 'o',
                    (true, '1') => if seed >> 40 & 1 == 1 { 'l' } else { 'I' },
                    (true, other) => other.to_ascii_lowercase(),
                    (false, other) => other,
                };
                let gap = match seed >> (2 * at + 8) & 3 { 0 => " ", 1 => "-", _ => "" };
                format!("{gap}{character}")
            }).collect();
            prop_assert!(pattern(&said).unwrap().matches(id), "{} as {}", shown, said);
        }

        #[test]
        fn a_whole_reference_fits_the_ids_with_its_end_alone(id: u128, other: u128) {
            let whole = pattern(&Reference::of(id).to_string()).unwrap();
            let tail = (1_u128 << 40) - 1;
            prop_assert_eq!(whole.matches(other), id & tail == other & tail);
            prop_assert!(whole.matches(other & !tail | id & tail));
            prop_assert!(!whole.matches(id ^ 1), "the last bit counts");
            prop_assert!(!whole.matches(id ^ (1 << 39)), "the first bit counts");
        }

        #[test]
        fn reading_never_panics(text in "\\PC{0,20}") {
            let _ = pattern(&text);
        }
    }
}
