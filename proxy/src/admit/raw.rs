//! The bytes of an HTTP/1 head as received. Parsers correct what they read: they cut off a fragment, escape a
//! space, take a bare LF for the end of a line. We refuse what needs correction, so we must see it.

/// A head as it was received.
#[derive(Clone, Copy, Debug)]
pub struct RawHead<'h> {
    bytes: &'h [u8],
    /// Without its end, and without empty lines before it.
    first_line: &'h [u8],
    is_mended: bool,
}

impl<'h> RawHead<'h> {
    /// These bytes.
    #[must_use]
    pub fn new(bytes: &'h [u8]) -> Self {
        let line = bytes.trim_ascii_start();
        let line = memchr::memchr(b'\n', line).and_then(|end| line.get(..end)).unwrap_or(line);
        Self { bytes, first_line: line.strip_suffix(b"\r").unwrap_or(line), is_mended: false }
    }

    /// What a parser took for a head, beside the bytes that the client sent.
    #[must_use]
    pub fn beside(parsed: &'h [u8], received: &[u8]) -> Self {
        Self { is_mended: !received.starts_with(parsed), ..Self::new(parsed) }
    }

    /// Whether the parser read something other than what was sent: it escapes a space in a target.
    pub(super) const fn is_mended(&self) -> bool {
        self.is_mended
    }

    /// Whether a field of this name, in lower case, was sent. Parsers take one of two lengths away.
    pub(super) fn has_field(&self, name: &str) -> bool {
        self.bytes.split(|byte| *byte == b'\n').any(|line| {
            line.split_at_checked(name.len()).is_some_and(|(field, rest)| {
                field.eq_ignore_ascii_case(name.as_bytes()) && rest.trim_ascii_start().starts_with(b":")
            })
        })
    }

    /// The target in the first line. Empty when the line cannot be read.
    #[must_use]
    pub fn target(&self) -> &'h [u8] {
        let line = self.first_line;
        // The last one stands near the end, before the version.
        let ends = (memchr::memchr(b' ', line), line.iter().rposition(|byte| *byte == b' '));
        let (Some(first), Some(last)) = ends else { return b"" };
        line.get(first + 1..last).unwrap_or_default()
    }

    /// Whether any line ends in a bare LF, which other readers take for no end.
    pub(super) fn has_bare_end(&self) -> bool {
        memchr::memchr_iter(b'\n', self.bytes)
            .any(|at| at.checked_sub(1).and_then(|before| self.bytes.get(before)) != Some(&b'\r'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_ends_in_a_bare_lf_is_seen_wherever_it_stands() {
        for (head, is_bare) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", false),
            ("\r\nGET / HTTP/1.1\r\n\r\n", false),
            ("\nGET / HTTP/1.1\r\n\r\n", true),
            ("GET / HTTP/1.1\nHost: x\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nHost: x\n\r\n", true),
            ("GET / HTTP/1.1\r\nHost: x\r\n\n", true),
            ("GET / HTTP/1.1\r\nA: x\nB: y\r\n\r\n", true),
        ] {
            assert_eq!(RawHead::new(head.as_bytes()).has_bare_end(), is_bare, "{head:?}");
        }
    }

    #[test]
    fn a_field_that_the_parser_took_away_is_still_seen() {
        let has = |head: &str| RawHead::new(head.as_bytes()).has_field("content-length");
        assert!(has("POST / HTTP/1.1\r\nHost: x\r\ncontent-LENGTH: 3\r\n\r\n"));
        assert!(has("POST / HTTP/1.1\r\nContent-Length:3\r\n\r\n"));
        assert!(!has("POST /content-length: HTTP/1.1\r\nX: content-length: 3\r\n\r\n"));
        assert!(!has("POST / HTTP/1.1\r\nContent-Length-X: 3\r\n\r\n"));
    }

    #[test]
    fn a_head_is_mended_when_it_is_not_what_was_sent() {
        let parsed = b"GET /a%20b HTTP/1.1\r\n\r\n";
        let is_mended = |received: &[u8]| RawHead::beside(parsed, received).is_mended();
        assert!(!is_mended(parsed) && !is_mended(b"GET /a%20b HTTP/1.1\r\n\r\nbody"));
        assert!(is_mended(b"GET /a b HTTP/1.1\r\n\r\n") && is_mended(b""));
    }

    #[test]
    fn the_target_is_what_stands_in_the_first_line() {
        for (head, target) in [
            ("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n", "/a?b"),
            ("\r\nGET /a HTTP/1.1\r\n\r\n", "/a"),
            ("GET /a#b HTTP/1.1\r\n\r\n", "/a#b"),
            ("GET /a b HTTP/1.1\r\n\r\n", "/a b"),
            ("GET http://x/ HTTP/1.1\r\n\r\n", "http://x/"),
            ("GET HTTP/1.1\r\n\r\n", ""),
            ("", ""),
        ] {
            assert_eq!(RawHead::new(head.as_bytes()).target(), target.as_bytes(), "{head:?}");
        }
    }
}
