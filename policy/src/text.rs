//! What "without letter case" means, everywhere: Unicode's simple case folding. A comparison that knew
//! ASCII only would let `BÜRO-7` past a rule about `büro-`.
//!
//! Simple folding maps one character to one (Unicode, section 3.13; `CaseFolding.txt`, status C and S),
//! so `ß` is not `ss`, and the Turkish `ı` and `İ` are no `i`. There is no table here: the classes are
//! those that `core` knows as upper and lower case, and a test holds them against an independent copy of
//! `CaseFolding.txt`.

use alloc::string::String;

/// The character that stands for all that differ from this one in case only.
///
/// ```
/// use portcullis_policy::text::fold;
/// assert_eq!(fold('Ü'), fold('ü'));
/// assert_eq!(fold('K'), 'k');
/// ```
#[inline]
#[must_use]
pub fn fold(char: char) -> char {
    if char.is_ascii() { char.to_ascii_lowercase() } else { fold_beyond_ascii(char) }
}

#[cold]
fn fold_beyond_ascii(char: char) -> char {
    /// What a character becomes, if it becomes one character.
    fn one(mut mapped: impl Iterator<Item = char>, otherwise: char) -> char {
        match (mapped.next(), mapped.next()) {
            (Some(one), None) => one,
            _ => otherwise,
        }
    }
    match char {
        // Its capital is `I`, and that is no capital of its own.
        'ı' => char,
        // One text in two encodings, whose capitals are three or two characters.
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        '\u{fb05}' => '\u{fb06}',
        _ => {
            let upper = one(char.to_uppercase(), char);
            one(upper.to_lowercase(), upper)
        }
    }
}

/// Whether two texts differ in case only. No allocation.
#[must_use]
pub fn eq(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || (!(one.is_ascii() && other.is_ascii()) && one.chars().map(fold).eq(other.chars().map(fold)))
}

/// What follows `prefix`, which may differ in case. No allocation.
#[must_use]
pub fn strip_prefix<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    if let Some(rest) = text.strip_prefix(prefix) {
        return Some(rest);
    }
    let mut rest = text.chars();
    for wanted in prefix.chars() {
        let found = rest.next()?;
        if found != wanted && fold(found) != fold(wanted) {
            return None;
        }
    }
    Some(rest.as_str())
}

/// Whether `text` ends in `suffix`, which may differ in case. No allocation.
#[must_use]
pub fn ends_with(text: &str, suffix: &str) -> bool {
    let mut rest = text.chars().rev();
    suffix.chars().rev().all(|wanted| rest.next().is_some_and(|char| fold(char) == fold(wanted)))
}

/// Whether `wanted` stands anywhere in `text`, perhaps in other case. No allocation.
#[must_use]
pub fn contains(text: &str, wanted: &str) -> bool {
    if text.is_ascii() && wanted.is_ascii() {
        let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
        return wanted.is_empty()
            || text.windows(wanted.len()).any(|window| window.eq_ignore_ascii_case(wanted));
    }
    let mut rest = text.chars();
    loop {
        if strip_prefix(rest.as_str(), wanted).is_some() {
            return true;
        }
        if rest.next().is_none() {
            return false;
        }
    }
}

/// The text that all texts have in common that differ in case only: a key to look them up by.
#[must_use]
pub fn folded(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    fold_into(&mut key, text);
    key
}

/// Appends [`folded`] text to a key.
pub fn fold_into(key: &mut String, text: &str) {
    if text.is_ascii() {
        let begin = key.len();
        key.push_str(text);
        if let Some(added) = key.get_mut(begin..) {
            added.make_ascii_lowercase();
        }
    } else {
        key.extend(text.chars().map(fold));
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

    use super::*;

    /// Everything that differs from a character in case only, itself included, as another copy of
    /// `CaseFolding.txt` has it.
    fn same_class(char: char) -> Vec<char> {
        let mut class = ClassUnicode::new([ClassUnicodeRange::new(char, char)]);
        class.try_case_fold_simple().unwrap();
        class.ranges().iter().flat_map(|range| range.start()..=range.end()).collect()
    }

    #[test]
    fn text_folds_as_case_folding_txt_says() {
        // Letters that Unicode 17 added, later than the other copy.
        let later = |char: char| matches!(char, '\u{a7ce}'..='\u{a7d5}' | '\u{16ea0}'..='\u{16ed3}');
        for char in ('\0'..=char::MAX).filter(|char| !later(*char)) {
            let class = same_class(char);
            for other in &class {
                assert_eq!(fold(char), fold(*other), "{char:?} and {other:?} differ in case only");
            }
            assert!(class.contains(&fold(char)), "{char:?} is not {:?}", fold(char));
            assert_eq!(fold(fold(char)), fold(char), "{char:?}");
        }
    }

    #[test]
    fn text_compares_without_case_beyond_ascii() {
        assert!(eq("BÜRO-7", "büro-7") && eq("ΣΊΣΥΦΟΣ", "σίσυφος") && eq("\u{212a}ey", "KEY"));
        assert!(!eq("straße", "strasse") && !eq("ı", "i") && !eq("İ", "i") && !eq("a", "ab"));
        assert_eq!(strip_prefix("BÜRO-7", "büro-"), Some("7"));
        assert_eq!(strip_prefix("\u{212a}x", "k"), Some("x"), "of three bytes and of one");
        assert_eq!((strip_prefix("bü", "büro"), strip_prefix("büro", "")), (None, Some("büro")));
        assert!(ends_with("haus-ÜBER", "über") && !ends_with("er", "über") && ends_with("x", ""));
        assert!(contains("im BÜRO hier", "büro") && contains("", "") && !contains("im Büro", "büros"));
        assert!(contains("x\u{17f}y", "S"), "a long s");
    }

    proptest! {
        #[test]
        fn every_comparison_agrees_with_folded_texts(one in "[aAkKsSüÜſK-]{0,6}", other in "[aAkKsSüÜſK-]{0,3}") {
            let (left, right) = (folded(&one), folded(&other));
            prop_assert_eq!(eq(&one, &other), left == right);
            prop_assert_eq!(strip_prefix(&one, &other).map(folded), left.strip_prefix(&*right).map(String::from));
            prop_assert_eq!(ends_with(&one, &other), left.ends_with(&*right));
            prop_assert_eq!(contains(&one, &other), left.contains(&*right));
        }
    }
}
