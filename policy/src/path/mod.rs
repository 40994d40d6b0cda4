//! How a path is read and how it is compared: the one place that decides it. An app that takes
//! `/Admin/`, `/admin;x` or `/admin%2Fusers` for a page that a rule calls `/admin` would else be open.
//!
//! [`read`] brings a path into its *normal form*: Unicode, with percent-escapes only where a character
//! means something else when it stands bare (`%2F`, `%23`, `%3F`, `%25`, `%20` …). What no app needs and
//! what hides something (`..`, `%2e`, `\`, escaped letters, overlong UTF-8, control characters) is
//! refused there. Forms that some apps need and others misread are marked as [`PathForm`]s; an app
//! refuses each of them unless it allows it by name.
//!
//! Four forms have several *readings*: an app may take `%2F` for a slash or for itself, may strip
//! `;parameters` or keep them, may merge `//` or not, may compose letters and accents or not. Each reading is decided and the strictest outcome
//! counts ([`CompiledPolicies::decide_readings`](crate::CompiledPolicies::decide_readings)).
//!
//! Comparisons ([`is_below`], [`PathPattern::matches`](crate::model::PathPattern::matches)) go segment by
//! segment, ignore a slash at the end, and ignore letter case, unless the app is known to distinguish case: as widely
//! as any server does where a match makes the decision stricter ([`Compare::Folded`]), as [`text`] does where it spares
//! ([`Compare::Case`]).

mod equivalent;
mod read;

pub(crate) use equivalent::composed;
pub use read::{ReadPath, Unreadable, read, read_text};

use alloc::string::String;

use crate::text;
use crate::words;
use crate::words::word_set;

words! {
    /// A form of a path that some servers read otherwise than it is written. Each is refused unless the app
    /// allows it by name.
    pub enum PathForm {
        /// `%2F`: a slash within a segment, or one that divides segments.
        EncodedSlash = "encoded-slash",
        /// `;name=value` in a segment: Java's servers take it away, others keep it (RFC 3986, section 3.3).
        PathParameters = "path-parameters",
        /// `//`: an empty segment, which many servers merge with the next.
        DoubleSlash = "double-slash",
        /// `%25` before two hexadecimal digits: a second decoding makes another character of it.
        DoubleEncoding = "double-encoding",
        /// A segment that ends in a dot or a space, which Windows takes away.
        TrailingDot = "trailing-dot",
        /// `::` or `:$` in a segment: a stream of a file on Windows (`web.config::$DATA`).
        StreamName = "stream-names",
        /// `~` and a digit: a short name of a file on Windows (`SECRET~1`).
        ShortName = "short-names",
        /// `(S(…))`: a session's id within a path, which ASP.NET takes away.
        SessionSegment = "session-segments",
        /// A character that nobody sees: zero width, direction of writing, soft hyphen.
        InvisibleCharacter = "invisible-characters",
        /// A space, slash, backslash or dot in another form (no-break, full-width), which some servers and
        /// file systems take for the plain one.
        LookAlike = "look-alikes",
        /// Text that is not in Unicode's Normalization Form C, such as a letter and its accent as two characters:
        /// macOS takes canonical equivalents for one name.
        Decomposed = "decomposed",
    }
}

impl PathForm {
    /// What an app that allows it must be like, or what rules then see.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::EncodedSlash => {
                "rules see `%2F` both as a slash and as itself, and the strictest outcome counts"
            }
            Self::PathParameters => {
                "rules see each segment with and without what follows `;`, and the strictest outcome counts"
            }
            Self::DoubleSlash => {
                "rules see `//` both as it is and as one slash, and the strictest outcome counts"
            }
            Self::DoubleEncoding => "rules see the path decoded once: the app must not decode it twice",
            Self::TrailingDot => {
                "rules see dots and spaces at the end of a name: no Windows file system may be behind the app"
            }
            Self::StreamName => "rules see `::` as text: no Windows file system may be behind the app",
            Self::ShortName => {
                "rules see `~1` as text: no file system with short names may be behind the app"
            }
            Self::SessionSegment => "rules see `(S(…))` as text: the app must not be ASP.NET",
            Self::InvisibleCharacter => {
                "rules see zero-width and bidirectional characters as text: the app must not drop them"
            }
            Self::LookAlike => {
                "rules see look-alikes of `/`, `.`, `\\` and the space as text: the app must not fold them"
            }
            Self::Decomposed => {
                "rules see the path both as it is and with letters and accents composed (NFC), and the strictest outcome counts"
            }
        }
    }
}

word_set! {
    /// Forms of paths.
    PathForms of PathForm: u16
}

impl PathForms {
    /// The first of these that is not among `allowed`.
    #[must_use]
    pub fn beyond(self, allowed: Self) -> Option<PathForm> {
        // Most paths have none.
        if self.is_empty() { None } else { self.iter().find(|form| !allowed.contains(*form)) }
    }
}

/// How an app takes the letter case of paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PathCase {
    /// Nobody said: what makes a decision stricter ignores case, and an exclusion compares exactly.
    #[default]
    Unknown,
    /// `/Admin` and `/admin` are two pages.
    Sensitive,
    /// `/Admin` and `/admin` are one page.
    Insensitive,
}

impl PathCase {
    /// How paths compare where a match makes the decision stricter.
    #[must_use]
    pub const fn stricter(self) -> Compare {
        match self {
            Self::Unknown | Self::Insensitive => Compare::Folded,
            Self::Sensitive => Compare::Exact,
        }
    }

    /// How paths compare where a match spares from a policy.
    #[must_use]
    pub const fn sparing(self) -> Compare {
        match self {
            Self::Unknown | Self::Sensitive => Compare::Exact,
            Self::Insensitive => Compare::Case,
        }
    }
}

/// With or without letter case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// Without, and with everything that some server or file system takes for one character: for what makes a
    /// decision stricter.
    Folded,
    /// Without, as [`text::fold`] says, which every server without case agrees on: for what spares.
    Case,
    /// With.
    Exact,
}

/// The character that stands for all that file systems and servers without letter case take for one: what
/// [`text::fold`] says, and beyond it `ı` and `İ` for `i` (the up-case table of exFAT, and of NTFS, has `I` for
/// `ı`; Turkish locales have both) and full-width signs for plain ones (Windows' code pages).
/// Source: Microsoft, "exFAT file system specification", section 7.2.5.1, recommended up-case table.
#[inline]
fn fold(char: char) -> char {
    if char.is_ascii() { char.to_ascii_lowercase() } else { fold_beyond_ascii(char) }
}

#[cold]
fn fold_beyond_ascii(char: char) -> char {
    match char {
        'ı' | 'İ' => 'i',
        '\u{ff01}'..='\u{ff5e}' => {
            // INVARIANT: they stand in the order of ASCII.
            let plain = u32::from(char) - u32::from('\u{ff01}') + u32::from('!');
            char::from_u32(plain).map_or(char, |plain| plain.to_ascii_lowercase())
        }
        _ => text::fold(char),
    }
}

/// What stands for a character where all that could be one page is to be the same: [`fold`], and where its capital is
/// several characters these, for APFS, HFS+ and the case-insensitive folders of ext4 and F2FS fold fully: `ß` is
/// `ss` to them, and `ﬁ` is `fi` (Unicode, section 3.13; `CaseFolding.txt`, status F).
fn folded_fully(char: char) -> impl Iterator<Item = char> {
    let one = fold(char);
    let capitals = one.to_uppercase();
    let is_several = !one.is_ascii() && capitals.len() > 1;
    let several = is_several.then_some(capitals).into_iter().flatten().map(fold);
    several.chain((!is_several).then_some(one))
}

/// The text that all paths have in common that could be one page: a key to look them up by.
#[must_use]
pub fn folded(path: &str) -> String {
    path.chars().flat_map(folded_fully).collect()
}

impl Compare {
    pub(crate) fn strip_prefix<'p>(self, path: &'p str, prefix: &str) -> Option<&'p str> {
        match self {
            Self::Folded => strip_folded_prefix(path, prefix),
            Self::Case => text::strip_prefix(path, prefix),
            Self::Exact => path.strip_prefix(prefix),
        }
    }
}

/// What follows `prefix` in its fully folded form. A prefix that ends within a character is none.
fn strip_folded_prefix<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    if let Some(rest) = path.strip_prefix(prefix) {
        return Some(rest);
    }
    if path.is_ascii() && prefix.is_ascii() {
        return text::strip_prefix(path, prefix);
    }
    let mut rest = path.chars();
    let mut begun = None;
    for wanted in prefix.chars().flat_map(folded_fully) {
        let next = begun.as_mut().and_then(Iterator::next);
        let found = match next {
            Some(found) => found,
            None => begun.insert(folded_fully(rest.next()?)).next()?,
        };
        if found != wanted {
            return None;
        }
    }
    let is_whole = begun.and_then(|mut begun| begun.next()).is_none();
    is_whole.then_some(rest.as_str())
}

/// Whether `path` is `prefix` or lies below it, by whole segments. Both in normal form. No allocation.
///
/// ```
/// use portcullis_policy::path::{Compare::{Exact, Folded}, is_below};
/// assert!(is_below("/Admin/users", "/admin", Folded) && !is_below("/Admin", "/admin", Exact));
/// assert!(!is_below("/administrator", "/admin", Folded) && is_below("/x", "/", Exact));
/// ```
#[must_use]
pub fn is_below(path: &str, prefix: &str, compare: Compare) -> bool {
    let rest = compare.strip_prefix(path, prefix.strip_suffix('/').unwrap_or(prefix));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
