//! A path as it was sent or written, in its normal form.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::alike::{is_combining, is_invisible, is_look_alike};
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

/// [`read`] without its short way.
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
    let mut forms = PathForms::EMPTY;
    let written = normal_form(path, source, &mut forms)?;
    for segment in written.split('/').skip(1) {
        // An encoded slash ends a name for those who decode first.
        for piece in segment.split(SLASH) {
            look(piece, &mut forms)?;
            if let Some((name, _)) = piece.split_once(';') {
                look(name, &mut forms)?;
            }
        }
    }
    if has_empty_segment(&written) {
        forms = forms.with(PathForm::DoubleSlash);
    }
    let others = if forms.is_empty() { Vec::new() } else { other_readings(&written, forms) };
    Ok(ReadPath { written: Cow::Owned(written), forms, others })
}

/// An escaped slash in normal form, in which a bare percent sign is always escaped.
const SLASH: &str = "%2F";
/// A space.
const SPACE: &str = "%20";

/// Undoes escapes but for those that keep two characters apart.
fn normal_form(path: &[u8], source: Source, forms: &mut PathForms) -> Result<String, Unreadable> {
    let mut normal = Vec::with_capacity(path.len());
    let mut rest = path.iter().copied();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
            let (Some(high), Some(low)) = (digit(), digit()) else { return Err(Unreadable) };
            let byte = u8::try_from(high * 16 + low).map_err(|_| Unreadable)?;
            match byte {
                // An escape that no honest client writes is there to look different. (GitLab's write `%2E`.)
                b'\\' | b'-' | b'_' => return Err(Unreadable),
                _ if byte.is_ascii_alphanumeric() => return Err(Unreadable),
                b'/' => {
                    *forms = forms.with(PathForm::EncodedSlash);
                    normal.extend_from_slice(SLASH.as_bytes());
                    continue;
                }
                b'%' => {
                    let mut next = rest.clone().map(char::from);
                    let [first, second] = [next.next(), next.next()];
                    let is_digit = |char: Option<char>| char.is_some_and(|char| char.is_ascii_hexdigit());
                    // `%25u0041`, too, which IIS would decode twice.
                    if (is_digit(first) || matches!(first, Some('u' | 'U'))) && is_digit(second) {
                        *forms = forms.with(PathForm::DoubleEncoding);
                    }
                    byte
                }
                _ => byte,
            }
        } else {
            match (byte, source) {
                (b'\\' | b'#' | b'?', _) => return Err(Unreadable),
                (b' ' | b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | 0x80.., Source::Wire) => {
                    return Err(Unreadable);
                }
                _ => byte,
            }
        };
        match byte {
            _ if byte.is_ascii_control() => return Err(Unreadable),
            b' ' | b'"' | b'#' | b'%' | b'<' | b'>' | b'?' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                let digit = |four: u8| char::from_digit(u32::from(four), 16).unwrap_or('0');
                let upper = |four: u8| u8::try_from(digit(four).to_ascii_uppercase()).unwrap_or(b'0');
                normal.extend([b'%', upper(byte >> 4), upper(byte & 15)]);
            }
            b';' => {
                *forms = forms.with(PathForm::PathParameters);
                normal.push(byte);
            }
            _ => normal.push(byte),
        }
    }
    // Overlong forms (`%c0%af` for `/`) are no UTF-8, and C1 controls are no text.
    let normal = String::from_utf8(normal).map_err(|_| Unreadable)?;
    for char in normal.chars().filter(|char| !char.is_ascii()) {
        if char.is_control() {
            return Err(Unreadable);
        }
        for (is_such, form) in [
            (is_invisible(char), PathForm::InvisibleCharacter),
            (is_look_alike(char), PathForm::LookAlike),
            (is_combining(char), PathForm::Decomposed),
        ] {
            if is_such {
                *forms = forms.with(form);
            }
        }
    }
    Ok(normal)
}

/// Marks what a name is made of.
fn look(name: &str, forms: &mut PathForms) -> Result<(), Unreadable> {
    let mut trimmed = name;
    while let Some(shorter) = trimmed.strip_suffix('.').or_else(|| trimmed.strip_suffix(SPACE)) {
        trimmed = shorter;
    }
    if trimmed.len() != name.len() {
        // `.`, `..`, and what Windows takes for them.
        if trimmed.is_empty() {
            return Err(Unreadable);
        }
        *forms = forms.with(PathForm::TrailingDot);
    }
    // Full-width signs count as the plain ones here as in comparisons: Windows' code pages make them so.
    let folded: Cow<'_, str> =
        if name.is_ascii() { Cow::Borrowed(name) } else { Cow::Owned(name.chars().map(fold).collect()) };
    if folded.contains("::") || folded.contains(":$") {
        *forms = forms.with(PathForm::StreamName);
    }
    let bytes = folded.as_bytes();
    if bytes.windows(2).any(|pair| matches!(pair, [b'~', b'0'..=b'9'])) {
        *forms = forms.with(PathForm::ShortName);
    }
    if bytes.windows(3).any(|three| matches!(three, [b'(', b'a'..=b'z' | b'A'..=b'Z', b'('])) {
        *forms = forms.with(PathForm::SessionSegment);
    }
    Ok(())
}

/// Whether a segment is empty, the last one aside.
fn has_empty_segment(path: &str) -> bool {
    path.contains("//")
}

/// Every other path that an app may read: slashes decoded, parameters taken away, in either order, and
/// slashes merged.
fn other_readings(written: &str, forms: PathForms) -> Vec<String> {
    let decoded = |path: &str| path.replace(SLASH, "/");
    let mut found: Vec<String> = Vec::new();
    let mut add = |path: String| {
        let merged = has_empty_segment(&path).then(|| merged(&path));
        for reading in [Some(path), merged].into_iter().flatten() {
            if reading != written && !found.contains(&reading) {
                found.push(reading);
            }
        }
    };
    let is = |form| forms.contains(form);
    add(String::from(written));
    if is(PathForm::EncodedSlash) {
        add(decoded(written));
    }
    if is(PathForm::PathParameters) {
        add(without_parameters(written));
    }
    if is(PathForm::EncodedSlash) && is(PathForm::PathParameters) {
        add(without_parameters(&decoded(written)));
        add(decoded(&without_parameters(written)));
    }
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
