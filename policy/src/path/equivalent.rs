//! Characters of a path that are not what they seem: canonical equivalents, by Unicode's data; and short lists
//! by hand of what servers and file systems are known to drop or to turn into ASCII.

use alloc::string::String;

use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// Whether a character is not seen: general category Cf (but for the Arabic number signs, which are seen),
/// and the others that Unicode wants ignored where they cannot be shown.
/// Source: Unicode 16, `DerivedCoreProperties.txt`, `Default_Ignorable_Code_Point`, but for the variation
/// selectors, which are a part of emoji and dropped by no file system.
pub(super) const fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether a character passes for a space, a slash, a backslash or a dot: what compatibility
/// normalisation (NFKC) makes one of, and what Windows' code pages turn into one (`∕`, `∖`, `¥`, `₩`).
pub(super) const fn is_look_alike(char: char) -> bool {
    matches!(
        char,
        // Spaces and line ends.
        '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}'
            | '\u{3000}'
            // Slashes.
            | '\u{ff0f}' | '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{2571}'
            | '\u{2100}' | '\u{2101}' | '\u{2105}' | '\u{2106}'
            // Backslashes.
            | '\u{ff3c}' | '\u{fe68}' | '\u{2216}' | '\u{29f5}' | '\u{29f9}' | '\u{a5}' | '\u{20a9}'
            // Dots.
            | '\u{ff0e}' | '\u{fe52}' | '\u{2024}' | '\u{2025}' | '\u{2026}' | '\u{fe19}' | '\u{fe30}'
            // A percent sign, a semicolon, a colon and a tilde, which would make the other forms.
            | '\u{ff05}' | '\u{fe6a}' | '\u{ff1b}' | '\u{fe54}' | '\u{37e}' | '\u{ff1a}' | '\u{fe55}' | '\u{ff5e}'
    )
}

/// The text in Unicode's Normalization Form C, where it is not in it already: letters composed with their accents,
/// Korean syllables whole, and characters that Unicode has twice (`Å` the letter and the unit) made one.
pub(crate) fn composed(text: &str) -> Option<String> {
    if text.is_ascii() || is_nfc(text) { None } else { Some(text.nfc().collect()) }
}
