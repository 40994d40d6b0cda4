//! The bytes of an HTTP/1 head as they came. Parsers mend what they read: they cut off a fragment, escape a
//! space, take a bare LF for the end of a line. What needed mending is refused, so it must be seen.

const END: &[u8] = b"\r\n";

/// A head as it was received.
#[derive(Clone, Copy, Debug)]
pub struct RawHead<'h> {
    bytes: &'h [u8],
    /// Without its end, and without empty lines before it.
    first_line: &'h [u8],
}

impl<'h> RawHead<'h> {
    /// These bytes.
    #[must_use]
    pub fn new(bytes: &'h [u8]) -> Self {
        let line = bytes.trim_ascii_start();
        let line = memchr::memchr(b'\n', line).and_then(|end| line.get(..end)).unwrap_or(line);
        Self { bytes, first_line: line.strip_suffix(b"\r").unwrap_or(line) }
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

/// Whether a head is its first line, its fields, each written `name: value`, and an empty line, all of which end in
/// CRLF, and nothing else: so nearly all clients write, and it can be told without looking at each byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct AsUsual<'h> {
    bytes: &'h [u8],
    /// Where the fields begin.
    begin: usize,
    /// What was seen of it.
    length: usize,
    fits: bool,
}

impl<'h> AsUsual<'h> {
    pub(super) fn of(head: RawHead<'h>) -> Self {
        let begin = head.first_line.len() + END.len();
        let fits = head.bytes.get(head.first_line.len()..begin) == Some(END);
        Self { bytes: head.bytes, begin, length: begin, fits }
    }

    /// Looks at a field that the parser made of the head, where it lies: no two share a byte.
    #[inline]
    pub(super) fn take(&mut self, name: &str, value: &[u8]) {
        // Far outside, if it lies elsewhere.
        let at = value.as_ptr().addr().wrapping_sub(self.bytes.as_ptr().addr());
        let line = at.checked_sub(2 + name.len()).zip(at.checked_add(value.len()));
        self.fits &= line.is_some_and(|(line, end)| {
            line >= self.begin
                && self.bytes.get(at - 2..at) == Some(b": ")
                && self.bytes.get(end..).is_some_and(|rest| rest.starts_with(END))
        });
        self.length += name.len() + value.len() + 4;
    }

    /// Whether that was all. INVARIANT: each byte was seen once, so nothing is left when the lengths add up.
    pub(super) fn is_all(&self) -> bool {
        self.fits && self.length + END.len() == self.bytes.len() && self.bytes.ends_with(b"\r\n\r\n")
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    type Line<'l> = (String, [&'l str; 3], &'l str);

    /// A head of these lines, and the fields that a parser makes of it: where they lie in it.
    fn parsed([first, last]: [&str; 2], lines: &[Line<'_>]) -> (Bytes, HeaderMap) {
        let mut head = format!("GET /a HTTP/1.1{first}");
        let mut places = Vec::new();
        for (name, [before, value, after], end) in lines {
            head += &format!("{name}:{before}");
            places.push((name, head.len()..head.len() + value.len()));
            head += &format!("{value}{after}{end}");
        }
        head += last;
        let head = Bytes::from(head);
        let mut fields = HeaderMap::new();
        for (name, place) in places {
            let value = HeaderValue::from_maybe_shared(head.slice(place)).unwrap();
            fields.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
        (head, fields)
    }

    fn is_as_usual(head: &[u8], fields: &HeaderMap) -> bool {
        let mut seen = AsUsual::of(RawHead::new(head));
        fields.iter().for_each(|(name, value)| seen.take(name.as_str(), value.as_bytes()));
        seen.is_all()
    }

    #[test]
    fn a_usual_head_is_told_at_once() {
        let line = |name: &str, value: &'static str| (name.to_owned(), [" ", value, ""], "\r\n");
        let lines = [line("Host", "x"), line("a", "1"), line("A", "2: 3")];
        let (head, mut fields) = parsed(["\r\n", "\r\n"], &lines);
        assert!(is_as_usual(&head, &fields));
        // One that the parser dropped could end as it likes.
        fields.remove("host");
        assert!(!is_as_usual(&head, &fields));
        fields.insert("host", HeaderValue::from_static("x"));
        assert!(!is_as_usual(&head, &fields));
        // The same, where the first line ends in a bare LF, and what was dropped is as long as what follows it.
        let head = Bytes::from_static(b"GET /a HTTP/1.1\nb: x\r\nc: y\r\n\r\n");
        let field =
            (HeaderName::from_static("b"), HeaderValue::from_maybe_shared(head.slice(19..20)).unwrap());
        assert!(!is_as_usual(&head, &HeaderMap::from_iter([field])));
    }

    proptest! {
        #[test]
        fn a_bare_lf_is_never_as_usual(
            ends in prop::array::uniform2(prop_oneof![8 => Just("\r\n"), 1 => Just("\n")]),
            lines in prop::collection::vec(
                ("[a-c]{1,3}", prop_oneof![
                    6 => Just([" ", "value", ""]), 1 => Just(["", "value", ""]), 1 => Just(["  ", "v", ""]),
                    1 => Just([" ", "v", " "]), 1 => Just([" ", "", ""]), 1 => Just([" ", ": ", ""]),
                ], prop_oneof![8 => Just("\r\n"), 1 => Just("\n")]),
                0..6,
            ),
            dropped in prop::option::weighted(0.2, "[a-c]{1,3}"),
        ) {
            let (head, mut fields) = parsed(ends, &lines);
            if let Some(name) = dropped {
                fields.remove(name.as_str());
            }
            let is_bare = head.windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r');
            prop_assert_eq!(RawHead::new(&head).has_bare_end(), is_bare);
            prop_assert!(!is_bare || !is_as_usual(&head, &fields));
        }
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
