//! The request target: one plain, normalised path, or nothing. Pingora passes paths on untouched, so a
//! path that an app could read otherwise than the policies did must not come through.

use crate::refusal::BadRequest;

/// The path of an origin-form target. The query is cut off and takes part in nothing.
pub(super) fn path(target: &[u8]) -> Result<&str, BadRequest> {
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
    escapes(path)?;
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if segment == "." || segment == ".." || (segment.is_empty() && !is_last) {
            return Err(BadRequest::Target);
        }
    }
    Ok(path)
}

/// Every escape is well formed, and none hides a byte that means something in a path, or another escape.
fn escapes(path: &str) -> Result<(), BadRequest> {
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(BadRequest::Target) };
        let decoded = u8::try_from(high * 16 + low).map_err(|_| BadRequest::Target)?;
        if decoded.is_ascii_control() || matches!(decoded, b'/' | b'\\' | b'.' | b'%' | b';' | b'#' | b'?') {
            return Err(BadRequest::Target);
        }
    }
    Ok(())
}
