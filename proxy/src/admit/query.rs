//! The query of an HTTP/1 request, before it is parsed. Clients send bytes in it that have no place in a URI (RFC
//! 3986, section 3.4): the parser refuses some of them, and apps read them differently. They are encoded, as
//! browsers do (WHATWG URL, query percent-encode set), so that there is one spelling of each.

use std::borrow::Cow;
use std::ops::Range;

use percent_encoding::{AsciiSet, percent_encode};

/// What is encoded beside everything outside ASCII. Controls, spaces and `#` end a target or are refused.
const ENCODED: &AsciiSet = &AsciiSet::EMPTY.add(b'"').add(b'<').add(b'>');

/// A target as it would have reached us in a head of its own: its query is encoded.
pub(crate) fn encode_query(target: &[u8]) -> Cow<'_, [u8]> {
    let path = memchr::memchr(b'?', target).unwrap_or(target.len());
    let (path, query) = target.split_at_checked(path).unwrap_or((target, &[]));
    let encoded = Cow::from(percent_encode(query, ENCODED));
    if encoded.len() == query.len() {
        return Cow::Borrowed(target);
    }
    Cow::Owned([path, encoded.as_bytes()].concat())
}

/// The position within a head.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum QueryEncoder {
    /// Before its first line; there may be empty ones.
    #[default]
    Before,
    /// In the first line, before its first `?`.
    Line,
    /// In the query.
    Query,
    /// Behind the query, or behind a first line without one.
    Behind,
}

impl QueryEncoder {
    /// The next bytes as they are to be parsed. However they are split, the result is the same.
    pub(crate) fn encode<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let within = self.query_within(bytes);
        let before = bytes.get(..within.start).unwrap_or_default();
        let behind = bytes.get(within.end..).unwrap_or_default();
        let query = bytes.get(within).unwrap_or_default();
        let encoded = Cow::from(percent_encode(query, ENCODED));
        if encoded.len() == query.len() {
            return Cow::Borrowed(bytes);
        }
        Cow::Owned([before, encoded.as_bytes(), behind].concat())
    }

    /// Which of these bytes are of the query.
    fn query_within(&mut self, bytes: &[u8]) -> Range<usize> {
        let rest = |start: usize| bytes.get(start..).unwrap_or_default();
        let mut start = 0;
        if matches!(self, Self::Before) {
            start = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if start < bytes.len() {
                *self = Self::Line;
            }
        }
        if matches!(self, Self::Line)
            && let Some(found) = memchr::memchr2(b'?', b'\n', rest(start))
        {
            start += found + 1;
            *self = if bytes.get(start - 1) == Some(&b'?') { Self::Query } else { Self::Behind };
        }
        if !matches!(self, Self::Query) {
            return 0..0;
        }
        let end = memchr::memchr3(b' ', b'\r', b'\n', rest(start));
        if end.is_some() {
            *self = Self::Behind;
        }
        start..end.map_or(bytes.len(), |end| start + end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(head: &[u8]) -> Vec<u8> {
        QueryEncoder::default().encode(head).into_owned()
    }

    #[test]
    fn bytes_of_the_query_that_are_no_uri_are_encoded_and_no_others() {
        for (sent, parsed) in [
            (&b"GET /a?b=caf\xe9 HTTP/1.1\r\n"[..], &b"GET /a?b=caf%E9 HTTP/1.1\r\n"[..]),
            (b"GET /a?caf\xc3\xa9 HTTP/1.1\r\n", b"GET /a?caf%C3%A9 HTTP/1.1\r\n"),
            (b"GET /a?\"<x>\"?\xff HTTP/1.1\r\n", b"GET /a?%22%3Cx%3E%22?%FF HTTP/1.1\r\n"),
            (b"\r\n\nGET /a?\xe9 HTTP/1.1\r\n", b"\r\n\nGET /a?%E9 HTTP/1.1\r\n"),
            (b"GET /a?%zz'{}|\\^`%e9 HTTP/1.1\r\n", b"GET /a?%zz'{}|\\^`%e9 HTTP/1.1\r\n"),
            (b"GET /caf\xe9<\"> HTTP/1.1\r\n", b"GET /caf\xe9<\"> HTTP/1.1\r\n"),
            (b"GET /a?b\x7f\x01\t#\" HTTP/1.1\r\n", b"GET /a?b\x7f\x01\t#%22 HTTP/1.1\r\n"),
            (b"GET /a?b \xe9\" HTTP/1.1\r\n", b"GET /a?b \xe9\" HTTP/1.1\r\n"),
            (b"GET /a HTTP/1.1\r\nX: ?\xe9\"\r\n\r\n?\xe9", b"GET /a HTTP/1.1\r\nX: ?\xe9\"\r\n\r\n?\xe9"),
            (b"GET /?\xe9\nX: ?\xe9\n", b"GET /?%E9\nX: ?\xe9\n"),
            (b"", b""),
        ] {
            assert_eq!(encoded(sent).escape_ascii().to_string(), parsed.escape_ascii().to_string());
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_split(
            line in "[\r\n]{0,2}[A-Z]{1,3} /[a-z?\"]{0,4}[ \"<>?\u{80}-\u{ff}a-z]{0,12}\r?\n",
            body in prop::collection::vec(any::<u8>(), 0..9),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            // Latin-1, as it is typed.
            let mut head: Vec<u8> = line.chars().filter_map(|char| u8::try_from(char).ok()).collect();
            head.extend(body);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(head.len())).collect();
            cuts.extend([0, head.len()]);
            cuts.sort_unstable();
            let mut encoder = QueryEncoder::default();
            let pieces: Vec<u8> =
                cuts.windows(2).flat_map(|cut| encoder.encode(&head[cut[0]..cut[1]]).into_owned()).collect();
            prop_assert_eq!(pieces, encoded(&head));
        }
    }
}
