//! `Forwarded` (RFC 7239, section 4), read as it is written: quoted strings first, then the list, then the
//! parameters. A comma or semicolon between quotes separates nothing (RFC 9110, sections 5.6.1 and 5.6.4).

use std::borrow::Cow;

/// What one proxy says of the connection that it took a request from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'l> {
    /// `for`, without quotes.
    pub(super) node: Option<Cow<'l, str>>,
    /// `proto`, without quotes.
    pub(super) proto: Option<Cow<'l, str>>,
}

/// The elements of one line, in their order. `None` when the line cannot be read, or says something twice.
///
/// Two liberties: white space beside a semicolon, and `:`, `[` and `]` outside of quotes, which many write
/// in `for=192.0.2.1:80`. Neither gives a line a second reading.
pub(super) fn elements(line: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut rest = Rest(line);
    let mut all = Vec::new();
    loop {
        rest.skip_space();
        match rest.peek() {
            None => return Some(all),
            // Empty elements are skipped.
            Some(b',') => rest.skip(),
            Some(_) => all.push(element(&mut rest)?),
        }
    }
}

/// One element, up to the comma or the end behind it.
fn element<'l>(rest: &mut Rest<'l>) -> Option<Element<'l>> {
    let mut found = Element::default();
    let mut names: Vec<&[u8]> = Vec::new();
    loop {
        rest.skip_space();
        match rest.peek() {
            None | Some(b',') => return Some(found),
            Some(b';') => {
                rest.skip();
                continue;
            }
            Some(_) => {}
        }
        let name = rest.take_while(is_token)?;
        rest.expect(b'=')?;
        let value = rest.value()?;
        // Each parameter once: of two values it is unclear which counts.
        if names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return None;
        }
        names.push(name);
        if name.eq_ignore_ascii_case(b"for") {
            found.node = Some(value);
        } else if name.eq_ignore_ascii_case(b"proto") {
            found.proto = Some(value);
        }
        rest.skip_space();
        if !matches!(rest.peek(), None | Some(b',' | b';')) {
            return None;
        }
    }
}

/// `tchar` (RFC 9110, section 5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// What is left to read.
struct Rest<'l>(&'l [u8]);

impl<'l> Rest<'l> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn skip(&mut self) {
        self.0 = self.0.get(1..).unwrap_or_default();
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.skip();
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    /// At least one byte.
    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> Option<&'l [u8]> {
        let end = self.0.iter().position(|byte| !fits(*byte)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at_checked(end).filter(|(taken, _)| !taken.is_empty())?;
        self.0 = rest;
        Some(taken)
    }

    /// A token or a quoted string.
    fn value(&mut self) -> Option<Cow<'l, str>> {
        if self.peek() != Some(b'"') {
            let token = self.take_while(|byte| is_token(byte) || matches!(byte, b':' | b'[' | b']'))?;
            return std::str::from_utf8(token).ok().map(Cow::Borrowed);
        }
        self.skip();
        let plain = self.0;
        let mut length = 0;
        let mut unescaped: Option<String> = None;
        loop {
            let byte = self.peek()?;
            self.skip();
            let (byte, escaped) = match byte {
                b'"' => break,
                b'\\' => {
                    let byte = self.peek()?;
                    self.skip();
                    (byte, true)
                }
                byte => (byte, false),
            };
            // Visible bytes alone: what we read is ASCII, and no address has bytes above it.
            if !matches!(byte, b'\t' | b' '..=b'~') {
                return None;
            }
            if escaped && unescaped.is_none() {
                let before = plain.get(..length).unwrap_or_default();
                unescaped = Some(String::from_utf8_lossy(before).into_owned());
            }
            match &mut unescaped {
                Some(text) => text.push(char::from(byte)),
                None => length += 1,
            }
        }
        match unescaped {
            Some(text) => Some(Cow::Owned(text)),
            None => std::str::from_utf8(plain.get(..length)?).ok().map(Cow::Borrowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each element as its `for` and `proto`.
    fn read(line: &str) -> Option<Vec<(Option<String>, Option<String>)>> {
        let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        let all = elements(line.as_bytes())?.into_iter();
        Some(all.map(|element| (owned(element.node), owned(element.proto))).collect())
    }

    fn nodes(line: &str) -> Option<Vec<String>> {
        Some(read(line)?.into_iter().map(|(node, _)| node.unwrap_or_else(|| "-".to_owned())).collect())
    }

    #[test]
    fn what_stands_between_quotes_separates_nothing() {
        for (line, expected) in [
            ("for=8.8.8.8;host=\"x,for=203.0.113.5;y=\"", vec!["8.8.8.8"]),
            ("for=\"203.0.113.5\";host=\"a;b\"", vec!["203.0.113.5"]),
            ("for=\"[2001:db8::1]:80\";proto=https, for=1.1.1.1", vec!["[2001:db8::1]:80", "1.1.1.1"]),
            ("host=\"a\\\",for=1.1.1.1;b=\\\"\";for=2.2.2.2", vec!["2.2.2.2"]),
            ("host=\"\\\\\", for=2.2.2.2", vec!["-", "2.2.2.2"]),
            ("for=\"\\1\\.1.1.1\"", vec!["1.1.1.1"]),
            ("for=1.1.1.1;", vec!["1.1.1.1"]),
            (";;for=1.1.1.1 ; proto=http", vec!["1.1.1.1"]),
            (",, for=1.1.1.1 ,\t, For=2.2.2.2,", vec!["1.1.1.1", "2.2.2.2"]),
            ("for=192.0.2.1:80", vec!["192.0.2.1:80"]),
            ("proto=https", vec!["-"]),
            ("for=\"\"", vec![""]),
            ("", vec![]),
            (" , ", vec![]),
        ] {
            assert_eq!(
                nodes(line).as_deref(),
                Some(&*expected.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()),
                "{line}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_or_says_something_twice_is_no_line() {
        for line in [
            "for=\"1.1.1.1",
            "for=\"1.1.1.1\\",
            "for=1.1.1.1;for=2.2.2.2",
            "for=1.1.1.1;FOR=1.1.1.1",
            "for=1.1.1.1;host=a;Host=b",
            "for",
            "for=",
            "=1.1.1.1",
            "for =1.1.1.1",
            "for= 1.1.1.1",
            "for=\"1.1.1.1\"x",
            "for=1.1.1.1 2.2.2.2",
            "for=1.1.1.1\"",
            "for=\"a\u{7f}\"",
            "for=\"\u{e9}\"",
            "for=1.1.1.1/8",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_by_the_grammar_is_read_back(
            written in prop::collection::vec(
                ("[ -~]{0,12}", "[ -~]{0,12}", prop_oneof![Just("http"), Just("https")], "[ \t]{0,2}", "[ \t,]{0,3}"),
                0..6,
            ),
            every in any::<bool>(),
        ) {
            let quoted = |text: &str| {
                let escaped = text.chars().map(|char| match char {
                    '"' | '\\' => format!("\\{char}"),
                    char if every => format!("\\{char}"),
                    char => char.to_string(),
                });
                format!("\"{}\"", escaped.collect::<String>())
            };
            let lines: Vec<String> = written
                .iter()
                .map(|(node, host, proto, space, commas)| {
                    format!("{space}host={};for={};proto={proto}{space},{commas}", quoted(host), quoted(node))
                })
                .collect();
            let expected: Vec<_> = written
                .iter()
                .map(|(node, _, proto, ..)| (Some(node.clone()), Some((*proto).to_owned())))
                .collect();
            prop_assert_eq!(read(&lines.concat()), Some(expected));
        }

        #[test]
        fn whatever_an_outsider_puts_between_quotes_changes_no_element(text in "[ -~]{0,40}") {
            // As a balancer does that escapes what a client sent.
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            let line = format!("for=8.8.8.8;host=\"{escaped}\";proto=http");
            prop_assert_eq!(read(&line), Some(vec![(Some("8.8.8.8".into()), Some("http".into()))]));
            // And as one does that does not: another hop is never read out of a whole string.
            let line = format!("for=8.8.8.8;host=\"{text}\"");
            if !text.contains(['"', '\\']) {
                prop_assert_eq!(nodes(&line), Some(vec!["8.8.8.8".to_owned()]));
            }
        }

        #[test]
        fn any_bytes_are_read_or_not_and_nothing_else(line in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(all) = elements(&line) {
                prop_assert!(all.len() <= line.len());
            }
        }
    }
}
