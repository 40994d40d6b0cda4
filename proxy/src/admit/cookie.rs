//! The cookies of a request (RFC 6265, section 4.2). Only ours is read; the others are opaque.

use http::{HeaderMap, header};
use memchr::memchr;

/// One cookie, without the white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cookie<'h> {
    /// Name and value, as they were sent.
    pub(crate) pair: &'h [u8],
    /// What stands before the first `=`; without one, all.
    pub(crate) name: &'h [u8],
    /// What stands behind it.
    pub(crate) value: Option<&'h [u8]>,
}

/// All cookies, in their order. HTTP/2 may send each in a line of its own (RFC 9113, section 8.2.3).
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = Cookie<'_>> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let pairs = lines.flat_map(|line| pairs(line.as_bytes())).map(<[u8]>::trim_ascii);
    pairs.filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = split_at(pair, b'=');
        Cookie { pair, name: name.trim_ascii(), value: value.map(<[u8]>::trim_ascii) }
    })
}

/// What stands between semicolons.
fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let pair;
        (pair, rest) = split_at(rest?, b';');
        Some(pair)
    })
}

/// What stands before a byte and behind it. A session's cookie has thousands of bytes: they are not looked at one by one.
fn split_at(bytes: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    let found = memchr(byte, bytes).and_then(|at| Some((bytes.get(..at)?, bytes.get(at + 1..)?)));
    found.map_or((bytes, None), |(before, behind)| (before, Some(behind)))
}
