//! The request target: one plain, normalised path, or nothing. Pingora passes paths on untouched, so a
//! path that an app could read otherwise than the policies did must not come through.

use std::borrow::Cow;

use crate::refusal::BadRequest;

/// The path of an origin-form target, in the one spelling that rules are written in. The query is cut
/// off and takes part in nothing.
///
/// Escapes that an app undoes before it looks (RFC 3986, section 6.2.2) must not make two paths of
/// one: `%40` is judged as `@`, `%c3` as `%C3`, and the app receives what was sent. An escaped letter
/// or digit, which no honest client sends, is refused: `/%61dmin` is only there to look different.
pub(super) fn path(target: &[u8]) -> Result<Cow<'_, str>, BadRequest> {
    match plain(target) {
        Some(path) => Ok(Cow::Borrowed(path)),
        None => any_path(target),
    }
}

/// The path of a target that needs no second look, as nearly all are: one pass, and no more code than that.
fn plain(target: &[u8]) -> Option<&str> {
    let mut before = b' ';
    let mut end = target.len();
    for (at, byte) in target.iter().enumerate() {
        let is_plain = match byte {
            b'/' => before != b'/',
            _ if at == 0 => false,
            b'.' => before != b'/',
            b'?' => {
                end = at;
                break;
            }
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'_'
            | b'~'
            | b'@'
            | b':'
            | b'+'
            | b','
            | b'=' => true,
            _ => false,
        };
        if !is_plain {
            return None;
        }
        before = *byte;
    }
    let (path, query) = target.split_at_checked(end)?;
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\');
    if path.is_empty() || !query.iter().all(is_plain) { None } else { std::str::from_utf8(path).ok() }
}

/// The path of any target.
fn any_path(target: &[u8]) -> Result<Cow<'_, str>, BadRequest> {
    let text = std::str::from_utf8(target).map_err(|_| BadRequest::Target)?;
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if !path.starts_with('/') || !text.bytes().all(is_plain) || query.contains('\\') {
        return Err(BadRequest::Target);
    }
    if path
        .bytes()
        .any(|byte| matches!(byte, b'\\' | b';' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}'))
    {
        return Err(BadRequest::Target);
    }
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        // Some file systems take no notice of a space at the end of a name.
        let trimmed = segment.ends_with("%20");
        if segment == "." || segment == ".." || trimmed || (segment.is_empty() && !is_last) {
            return Err(BadRequest::Target);
        }
    }
    if path.contains('%') { canonical(path).map(Cow::Owned) } else { Ok(Cow::Borrowed(path)) }
}

/// Every escape is well formed, none hides a byte that means something in a path or another escape, and
/// all of them together are text.
fn canonical(path: &str) -> Result<String, BadRequest> {
    let mut judged = String::with_capacity(path.len());
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            judged.push(char::from(byte));
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(BadRequest::Target) };
        let byte = u8::try_from(high * 16 + low).map_err(|_| BadRequest::Target)?;
        decoded.push(byte);
        match byte {
            b'/' | b'\\' | b'.' | b'%' | b';' | b'#' | b'?' | b'-' | b'_' => return Err(BadRequest::Target),
            _ if byte.is_ascii_control() || byte.is_ascii_alphanumeric() => return Err(BadRequest::Target),
            b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | b' ' | 0x80.. => {
                let upper = |digit: u32| char::from_digit(digit, 16).map(|digit| digit.to_ascii_uppercase());
                judged.push('%');
                judged.extend(upper(high));
                judged.extend(upper(low));
            }
            _ => judged.push(char::from(byte)),
        }
    }
    // Overlong forms (`%c0%af` for `/`) are no UTF-8, and C1 controls are no text.
    let text = std::str::from_utf8(&decoded).map_err(|_| BadRequest::Target)?;
    if text.chars().any(char::is_control) { Err(BadRequest::Target) } else { Ok(judged) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_needs_no_second_look_would_stand_it(target in "/?([a-z./?%#;\\\\@A_ é]|%2[0e]){0,12}") {
            let looked_at = any_path(target.as_bytes());
            prop_assert_eq!(path(target.as_bytes()), looked_at.clone());
            if let Some(plain) = plain(target.as_bytes()) {
                prop_assert_eq!(Ok(Cow::Borrowed(plain)), looked_at);
            }
        }
    }

    #[test]
    fn most_paths_need_no_second_look() {
        for target in ["/", "/a/b/", "/app.js?v=1&x=%2e", "/u/@me:1", "/a.b.c/d_e-f~"] {
            assert_eq!(plain(target.as_bytes()), target.split('?').next(), "{target}");
        }
        for target in ["", "a", "*", "//", "/.", "/a//b", "/a/..", "/a%40", "/a?b#", "/a;b", "?"] {
            assert_eq!(plain(target.as_bytes()), None, "{target}");
        }
    }
}
