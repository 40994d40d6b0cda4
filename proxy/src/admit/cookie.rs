//! The cookies of a request (RFC 6265, section 4.2). Only ours is read; the others are opaque.

use http::{HeaderMap, header};

/// One cookie, without the white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cookie<'h> {
    /// Name and value, as they were sent.
    pub(crate) pair: &'h [u8],
    /// What stands before the first `=`; without one, all.
    pub(crate) name: &'h [u8],
    /// What stands behind it.
    pub(super) value: Option<&'h [u8]>,
}

/// All cookies, in their order. HTTP/2 may send each in a line of its own (RFC 9113, section 8.2.3).
pub(crate) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = Cookie<'_>> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';')).map(<[u8]>::trim_ascii);
    pairs.filter(|pair| !pair.is_empty()).map(|pair| {
        let mut parts = pair.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
        Cookie { pair, name: parts.next().unwrap_or_default(), value: parts.next() }
    })
}
