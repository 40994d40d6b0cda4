//! One value of a log line: printable, bounded, and marked where it was cut. A
//! client sends values of any length, and they must not control the terminal on which somebody reads the log.

use portcullis_config::printable::is_printable;

/// The longest path in a log, in bytes.
pub const PATH_MAX: usize = 1_024;
/// The longest host: that of any name (RFC 1035, section 2.3.4).
pub const HOST_MAX: usize = 255;
/// The longest id of a person, a program, or a device, user agent, or other value.
pub const VALUE_MAX: usize = 256;
/// The longest name of a header, or a method.
pub const NAME_MAX: usize = 64;
/// Ends what was cut.
const CUT: char = '…';

/// A value in at most `most` bytes: bytes that are no text and characters that steer a terminal become
/// `\xNN` and `\u{NNNN}`.
#[must_use]
pub fn field(value: &[u8], most: usize) -> String {
    let mut shown = Shown { text: String::with_capacity(value.len().min(most)), fits: 0, most };
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_printable(character) {
                shown.text.push(character);
            } else {
                shown.text.extend(character.escape_unicode());
            }
            if shown.is_full() {
                return shown.cut();
            }
        }
        for byte in chunk.invalid() {
            shown.text.push_str(&format!("\\x{byte:02x}"));
            if shown.is_full() {
                return shown.cut();
            }
        }
    }
    shown.text
}

struct Shown {
    text: String,
    /// How much of it leaves space for the mark of a cut.
    fits: usize,
    most: usize,
}

impl Shown {
    /// Whether what was added last is too much.
    fn is_full(&mut self) -> bool {
        if self.text.len() + CUT.len_utf8() <= self.most {
            self.fits = self.text.len();
        }
        self.text.len() > self.most
    }

    fn cut(mut self) -> String {
        self.text.truncate(self.fits);
        self.text.push(CUT);
        self.text
    }
}

/// A text in at most `most` bytes, otherwise as it is: an id must stay one.
#[must_use]
pub fn short(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most.saturating_sub(CUT.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut shortened = text.get(..end).unwrap_or_default().to_owned();
    shortened.push(CUT);
    shortened
}

/// A target without what may hold secrets: query, fragment, the parameters of a segment (`;jsessionid=…`), and
/// what stands before the path of an absolute one.
#[must_use]
pub fn path(target: &[u8]) -> String {
    let end = memchr::memchr2(b'?', b'#', target).unwrap_or(target.len());
    let mut rest = target.get(..end).unwrap_or_default();
    if !rest.starts_with(b"/")
        && let Some(scheme) = memchr::memmem::find(rest, b"://")
    {
        let after = rest.get(scheme + 3..).unwrap_or_default();
        let begin = memchr::memchr(b'/', after).unwrap_or(after.len());
        rest = after.get(begin..).unwrap_or_default();
    }
    if memchr::memchr(b';', rest).is_none() {
        return field(rest, PATH_MAX);
    }
    let segments = rest.split(|byte| *byte == b'/').map(|segment| {
        let end = memchr::memchr(b';', segment).map_or(segment.len(), |at| at + 1);
        segment.get(..end).unwrap_or_default()
    });
    field(&segments.collect::<Vec<_>>().join(&b'/'), PATH_MAX)
}

/// A host as it was sent, without what may stand before it (`user:password@`).
#[must_use]
pub fn host(stated: &[u8]) -> String {
    let begin = memchr::memrchr(b'@', stated).map_or(0, |at| at + 1);
    field(stated.get(begin..).unwrap_or_default(), HOST_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_and_printable_stays_as_it_is() {
        for value in ["", "/wiki/Übung", "/a\\b", "Mozilla/5.0 (X11) \"x\"", "…"] {
            assert_eq!(field(value.as_bytes(), 64), value);
        }
    }

    #[test]
    fn what_steers_a_terminal_or_is_no_text_is_written_out() {
        assert_eq!(field(b"a\x1b[31m\n\xffz\xc3", 64), "a\\u{1b}[31m\\u{a}\\xffz\\xc3");
        assert_eq!(field("x\u{202e}y\u{2066}\u{9b}".as_bytes(), 64), "x\\u{202e}y\\u{2066}\\u{9b}");
    }

    #[test]
    fn what_is_long_is_cut_between_characters_and_says_so() {
        for (value, most) in [
            ("x".repeat(5_000), 64),
            ("ü".repeat(5_000), 63),
            ("😀".repeat(50), 30),
            ("\u{202e}".repeat(50), 30),
            ("y".repeat(65), 64),
        ] {
            let shown = field(value.as_bytes(), most);
            assert!(shown.len() <= most && shown.ends_with('…'), "{shown}");
            assert!(shown.len() > most - 12, "{shown}");
        }
        for (text, most) in [("x".repeat(300), 256), ("ü".repeat(300), 255), ("😀".repeat(100), 256)] {
            let shortened = short(&text, most);
            assert!(
                shortened.len() <= most && shortened.len() > most - 8 && shortened.ends_with('…'),
                "{shortened}"
            );
        }
        assert_eq!(short("a\u{202e}b", 64), "a\u{202e}b");
        assert_eq!(field(&[0xff; 100], 16), "\\xff\\xff\\xff…");
        assert_eq!(field(&[b'z'; 64], 64).len(), 64, "one that fits is whole");
    }

    #[test]
    fn a_path_is_logged_without_its_secrets() {
        for (target, expected) in [
            ("/a/b?token=s3cret", "/a/b"),
            ("/a#access_token=s3cret", "/a"),
            ("http://anna:s3cret@wiki.test/a?b", "/a"),
            ("http://anna:s3cret@wiki.test", ""),
            ("http://anna:s3cret@wiki.test?s3cret", ""),
            ("/shop;jsessionid=s3cret/cart;x=s3cret", "/shop;/cart;"),
            ("*", "*"),
            ("/https://x/y", "/https://x/y"),
        ] {
            assert_eq!(path(target.as_bytes()), expected, "{target}");
        }
        assert_eq!(host(b"anna:s3cret@wiki.test:80"), "wiki.test:80");
    }
}
