//! A path as it was sent or written, in its normal form.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::equivalent::{composed, is_invisible, is_look_alike};
use super::{PathForm, PathForms, fold};

/// A path that is malformed, or hides what it is. Nobody needs such a one, so no app can allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// A path in its normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadPath<'p> {
    written: Cow<'p, str>,
    forms: PathForms,
    others: Vec<String>,
}

impl ReadPath<'_> {
    /// The same, on its own.
    #[must_use]
    pub fn into_owned(self) -> ReadPath<'static> {
        ReadPath { written: Cow::Owned(self.written.into_owned()), forms: self.forms, others: self.others }
    }

    /// The path in normal form, read as it is written.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// What of it an app must allow by name.
    #[must_use]
    pub const fn forms(&self) -> PathForms {
        self.forms
    }

    /// How else an app may read it, each in normal form and each but once. Most paths have none.
    #[must_use]
    pub fn others(&self) -> &[String] {
        &self.others
    }
}

/// Where a path comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A request: what must be escaped is.
    Wire,
    /// A file that a person wrote: Unicode as it is.
    File,
}

/// Reads the path of a request target, without its query.
///
/// # Errors
/// [`Unreadable`] when it is no path, malformed, or hides what it is.
///
/// # Cost
/// One pass and no allocation for letters, digits and `-_~@:+,=.` between single slashes.
pub fn read(path: &[u8]) -> Result<ReadPath<'_>, Unreadable> {
    match plain(path) {
        Some(path) => Ok(plainly(path)),
        None => read_any(path, Source::Wire),
    }
}

/// Reads a path that a person wrote, in Unicode or escaped.
///
/// # Errors
/// [`Unreadable`] as [`read`] says it.
pub fn read_text(path: &str) -> Result<ReadPath<'_>, Unreadable> {
    match plain(path.as_bytes()) {
        Some(path) => Ok(plainly(path)),
        None => read_any(path.as_bytes(), Source::File),
    }
}

/// [`read`] without its fast path.
#[cfg(test)]
pub(super) fn again(path: &[u8]) -> Result<ReadPath<'_>, Unreadable> {
    read_any(path, Source::Wire)
}

const fn plainly(path: &str) -> ReadPath<'_> {
    ReadPath { written: Cow::Borrowed(path), forms: PathForms::EMPTY, others: Vec::new() }
}

/// A path that needs no second look, as nearly all are.
fn plain(path: &[u8]) -> Option<&str> {
    let mut before = b' ';
    for byte in path {
        let is_plain = match byte {
            // Neither the first of two, nor after a name that ends in a dot.
            b'/' => !matches!(before, b'/' | b'.'),
            _ if before == b' ' => false,
            b'.' => before != b'/',
            b':' => before != b':',
            b'0'..=b'9' => before != b'~',
            b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'~' | b'@' | b'+' | b',' | b'=' => true,
            _ => false,
        };
        if !is_plain {
            return None;
        }
        before = *byte;
    }
    if matches!(before, b' ' | b'.') { None } else { core::str::from_utf8(path).ok() }
}

#[cold]
fn read_any(path: &[u8], source: Source) -> Result<ReadPath<'static>, Unreadable> {
    if path.first() != Some(&b'/') {
        return Err(Unreadable);
    }
    let mut text = decode(path, source)?;
    let mut forms = forms_of(&text)?;
    let mut composed = composed(&text);
    if let Some(composed) = &composed {
        forms = forms.union(forms_of(composed)?).with(PathForm::Decomposed);
    }
    // What a person writes means the page, however the editor spells its letters.
    if source == Source::File {
        text = composed.take().unwrap_or(text);
    }
    let written = escape(&text);
    let mut others: Vec<String> = Vec::new();
    if !forms.is_empty() {
        for reading in [Some(text), composed].iter().flatten().flat_map(|text| readings(text, forms)) {
            let reading = escape(&reading);
            if reading != written && !others.contains(&reading) {
                others.push(reading);
            }
        }
    }
    Ok(ReadPath { written: Cow::Owned(written), forms, others })
}

/// Stands for an escaped slash in decoded text, where no path has a control character.
const SLASH: char = '\0';

/// Undoes every escape, but for that of a slash.
fn decode(path: &[u8], source: Source) -> Result<String, Unreadable> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.iter().copied();
    while let Some(byte) = rest.next() {
        let byte = match (byte, source) {
            (b'%', _) => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else { return Err(Unreadable) };
                let byte = u8::try_from(high * 16 + low).map_err(|_| Unreadable)?;
                match byte {
                    // An escape that no honest client writes is there to look different. (GitLab's write `%2E`.)
                    b'\\' | b'-' | b'_' => return Err(Unreadable),
                    _ if byte.is_ascii_alphanumeric() || byte.is_ascii_control() => return Err(Unreadable),
                    b'/' => SLASH as u8,
                    _ => byte,
                }
            }
            (b'\\' | b'#' | b'?', _) => return Err(Unreadable),
            (b' ' | b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | 0x80.., Source::Wire) => {
                return Err(Unreadable);
            }
            _ if byte.is_ascii_control() => return Err(Unreadable),
            _ => byte,
        };
        decoded.push(byte);
    }
    // Overlong forms (`%c0%af` for `/`) are no UTF-8, and C1 controls are no text.
    let decoded = String::from_utf8(decoded).map_err(|_| Unreadable)?;
    if decoded.chars().any(|char| !char.is_ascii() && char.is_control()) {
        Err(Unreadable)
    } else {
        Ok(decoded)
    }
}

/// Decoded text in normal form: with escapes for what would mean something else if it stood bare.
fn escape(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            SLASH => normal.push_str("%2F"),
            ' ' | '"' | '#' | '%' | '<' | '>' | '?' | '^' | '`' | '{' | '|' | '}' => {
                normal.push_str(&format!("%{:02X}", u32::from(char)));
            }
            _ => normal.push(char),
        }
    }
    normal
}

/// The forms that decoded text has.
fn forms_of(text: &str) -> Result<PathForms, Unreadable> {
    let mut forms = PathForms::EMPTY;
    let mut mark = |form, is_such| {
        if is_such {
            forms = forms.with(form);
        }
    };
    mark(PathForm::EncodedSlash, text.contains(SLASH));
    mark(PathForm::PathParameters, text.contains(';'));
    mark(PathForm::DoubleSlash, has_empty_segment(text));
    // `%u0041`, too, which IIS would decode twice.
    let is_escape = |three: &[u8]| match three {
        [b'%', b'u' | b'U', digit] => digit.is_ascii_hexdigit(),
        [b'%', first, second] => first.is_ascii_hexdigit() && second.is_ascii_hexdigit(),
        _ => false,
    };
    mark(PathForm::DoubleEncoding, text.as_bytes().windows(3).any(is_escape));
    let unseen = text.chars().filter(|char| !char.is_ascii());
    mark(PathForm::InvisibleCharacter, unseen.clone().any(is_invisible));
    mark(PathForm::LookAlike, unseen.clone().any(is_look_alike));
    // An encoded slash ends a name for those who decode first, and a parameter for those who take it away.
    for piece in text.split(['/', SLASH]) {
        for name in [piece, piece.split(';').next().unwrap_or_default()] {
            forms = forms.union(forms_of_name(name)?);
        }
    }
    Ok(forms)
}

/// The forms that a name has on Windows and for ASP.NET.
fn forms_of_name(name: &str) -> Result<PathForms, Unreadable> {
    let mut forms = PathForms::EMPTY;
    let trimmed = name.trim_end_matches(['.', ' ']);
    if trimmed.len() != name.len() {
        // `.`, `..`, and what Windows takes for them.
        if trimmed.is_empty() {
            return Err(Unreadable);
        }
        forms = forms.with(PathForm::TrailingDot);
    }
    // Full-width signs count as the plain ones here as in comparisons: Windows' code pages make them so.
    let folded: Cow<'_, str> =
        if name.is_ascii() { Cow::Borrowed(name) } else { Cow::Owned(name.chars().map(fold).collect()) };
    if folded.contains("::") || folded.contains(":$") {
        forms = forms.with(PathForm::StreamName);
    }
    let bytes = folded.as_bytes();
    if bytes.windows(2).any(|pair| matches!(pair, [b'~', b'0'..=b'9'])) {
        forms = forms.with(PathForm::ShortName);
    }
    if bytes.windows(3).any(|three| matches!(three, [b'(', b'a'..=b'z' | b'A'..=b'Z', b'('])) {
        forms = forms.with(PathForm::SessionSegment);
    }
    Ok(forms)
}

/// Whether a segment is empty, the last one aside.
fn has_empty_segment(path: &str) -> bool {
    path.contains("//")
}

/// Every text that an app may read in a decoded one: slashes decoded, parameters taken away, in either order,
/// and slashes merged.
fn readings(text: &str, forms: PathForms) -> Vec<String> {
    let decoded = |path: &str| path.replace(SLASH, "/");
    let mut found = Vec::from([String::from(text)]);
    let is = |form| forms.contains(form);
    if is(PathForm::EncodedSlash) {
        found.push(decoded(text));
    }
    if is(PathForm::PathParameters) {
        found.push(without_parameters(text));
    }
    if is(PathForm::EncodedSlash) && is(PathForm::PathParameters) {
        found.push(without_parameters(&decoded(text)));
        found.push(decoded(&without_parameters(text)));
    }
    let merged: Vec<_> =
        found.iter().filter(|path| has_empty_segment(path)).map(|path| merged(path)).collect();
    found.extend(merged);
    found
}

fn without_parameters(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    for segment in path.split('/').skip(1) {
        plain.push('/');
        plain.push_str(segment.split(';').next().unwrap_or_default());
    }
    plain
}

/// The path with one slash where there are several.
fn merged(path: &str) -> String {
    let mut one = String::with_capacity(path.len());
    for char in path.chars() {
        if char != '/' || !one.ends_with('/') {
            one.push(char);
        }
    }
    one
}
