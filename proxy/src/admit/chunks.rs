//! The lines of a chunked body (RFC 9112, section 7.1), watched beside the parser that decodes it. It takes
//! whatever stands in an extension, and a line of no digits for the last one; another reader in front of us
//! may see the end of a chunk there, and the two would no longer agree on where the next request begins.

/// The position within a chunked body.
#[derive(Clone, Debug)]
pub(crate) struct ChunkLines {
    at: At,
    size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In a chunk's size, after so many digits.
    Size(u8),
    /// Behind the size: an extension, or white space before one.
    Extension,
    /// Behind the CR of a line with a size.
    SizeEnd,
    /// In a chunk.
    Data,
    /// Where the CR, and then the LF, behind a chunk must stand.
    DataEnd,
    DataLf,
    /// At the begin of a line of trailers, within one, and behind its CR.
    Trailer,
    InTrailer,
    TrailerEnd,
    /// Behind the CR of the empty line.
    Last,
    /// What follows is no more of this body.
    Done,
    /// It was no chunked body, and cannot become one.
    Fault,
}

/// Digits of a size; more would not fit what counts them.
const DIGITS_MAX: u8 = 16;

impl ChunkLines {
    /// At the begin of a body.
    pub(crate) const fn new() -> Self {
        Self { at: At::Size(0), size: 0 }
    }

    /// Whether the body is complete.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.at, At::Done)
    }

    /// Takes in those of the next bytes that are of the body, and says how many they are; `None` as in
    /// [`take`](Self::take).
    pub(crate) fn take_own(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut rest = bytes;
        while !self.is_done() && !rest.is_empty() {
            rest = self.step(rest)?;
        }
        Some(bytes.len() - rest.len())
    }

    /// Takes the next bytes in. `false` when they are no chunked body, and every time from then on.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.step(rest) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        self.at != At::Fault
    }

    /// Takes in the next byte, or what is there of a chunk; what is behind it. `None` when it may not stand here.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        if self.at == At::Data {
            let within = usize::try_from(self.size).unwrap_or(usize::MAX).min(bytes.len());
            self.size -= within as u64;
            if self.size == 0 {
                self.at = At::DataEnd;
            }
            return bytes.get(within..);
        }
        let (byte, after) = bytes.split_first()?;
        self.at = self.next(*byte).unwrap_or(At::Fault);
        (self.at != At::Fault).then_some(after)
    }

    /// Where the next byte leads; `None` when it may not stand here.
    fn next(&mut self, byte: u8) -> Option<At> {
        Some(match (self.at, byte) {
            (At::Size(digits), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < DIGITS_MAX => {
                let digit = char::from(byte).to_digit(16)?;
                self.size = if digits == 0 { 0 } else { self.size.checked_mul(16)? } + u64::from(digit);
                At::Size(digits + 1)
            }
            (At::Size(1..), b';' | b' ' | b'\t') => At::Extension,
            (At::Size(1..) | At::Extension, b'\r') => At::SizeEnd,
            // An extension needs no controls, and other readers may take one for the end of the line.
            (At::Extension, b'\t' | b' '..=b'~' | 0x80..) => At::Extension,
            (At::SizeEnd, b'\n') => {
                if self.size == 0 {
                    At::Trailer
                } else {
                    At::Data
                }
            }
            (At::DataEnd, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size(0),
            (At::Trailer, b'\r') => At::Last,
            (At::InTrailer, b'\r') => At::TrailerEnd,
            (At::Trailer | At::InTrailer, b'\t' | b' '..=b'~' | 0x80..) => At::InTrailer,
            (At::TrailerEnd, b'\n') => At::Trailer,
            (At::Last, b'\n') | (At::Done, _) => At::Done,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_good(body: &[u8]) -> bool {
        let whole = ChunkLines::new().take(body);
        let mut lines = ChunkLines::new();
        let by_bytes = body.iter().fold(true, |good, byte| good & lines.take(&[*byte]));
        assert_eq!(whole, by_bytes, "it does not matter how they come: {:?}", String::from_utf8_lossy(body));
        whole
    }

    #[test]
    fn lines_end_in_crlf_and_sizes_have_digits() {
        for body in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "A;x=\"y z\";w\r\n0123456789\r\n00\r\n\r\n",
            "3 ;x\r\na\nc\r\n0\r\n\r\n",
            "3\r\n\r\n\r\r\n0\r\n\r\n",
            "0\r\nX: y\r\nZ: \u{e9}\r\n\r\nGET /next\n",
            "0\r\n\r\n\0\n",
            "3\r\nab",
            "",
        ] {
            assert!(is_good(body.as_bytes()), "{body:?}");
        }
        for body in [
            "3;\nabc\r\n0\r\n\r\n",
            "3;x\ny\r\nabc\r\n0\r\n\r\n",
            "3;x\ry\r\nabc\r\n0\r\n\r\n",
            "3;\0\r\nabc\r\n0\r\n\r\n",
            "3\nabc\r\n0\r\n\r\n",
            "3\rabc\r\n0\r\n\r\n",
            "\r\nabc",
            ";x\r\n\r\n",
            " 3\r\nabc\r\n0\r\n\r\n",
            "0x3\r\nabc\r\n0\r\n\r\n",
            "-3\r\nabc\r\n0\r\n\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "00000000000000001\r\na\r\n",
            "0\r\n\n",
            "0\r\nX: y\n\r\n",
            "0\r\nX: y\rz\r\n\r\n",
            "0\n\r\n",
        ] {
            assert!(!is_good(body.as_bytes()), "{body:?}");
        }
    }

    #[test]
    fn after_a_fault_there_is_nothing_but_faults() {
        let mut lines = ChunkLines::new();
        assert!(!lines.take(b"3\n"));
        assert!(!lines.take(b"0\r\n\r\n") && !lines.take(b""));
    }

    proptest! {
        #[test]
        fn a_body_that_is_written_by_the_grammar_is_taken(
            chunks in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..40), "(;[ -~]{0,9})?"), 0..6),
            trailers in prop::collection::vec("[a-z]{1,4}: [ -~]{0,9}", 0..3),
        ) {
            let mut body = Vec::new();
            for (data, extension) in chunks {
                body.extend(format!("{:X}{extension}\r\n", data.len()).into_bytes());
                body.extend(data);
                body.extend(b"\r\n");
            }
            body.extend(b"0\r\n");
            body.extend(trailers.iter().flat_map(|line| format!("{line}\r\n").into_bytes()));
            body.extend(b"\r\n");
            prop_assert!(is_good(&body));
        }

        #[test]
        fn a_bare_lf_in_a_line_is_never_taken(
            before in "[0-9a-f]{1,2}(;[ -~]{0,9})?", after in "[ -~]{0,9}",
        ) {
            let body = format!("{before}\n{after}\r\n");
            prop_assert!(!is_good(body.as_bytes()));
        }
    }
}
