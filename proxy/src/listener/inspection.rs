//! What a client sends over HTTP/1, byte for byte. Pingora's parser mends what it reads: it escapes a space in a target,
//! and takes anything for a chunk's extension. What needed mending is refused, so its bytes must be seen before the
//! parser has them. One thing is mended here, since the parser would refuse it: bytes of a query that have no place in
//! a URI are percent-encoded.
//!
//! The parser is given what belongs to one request, and no byte of the next: that is held until the next is asked for.
//! To end a head too early does no harm here, for the parser asks on; to miss its end leaves the rest with the
//! parser, which then gives the connection up.

use std::borrow::Cow;

use bytes::{Buf as _, BytesMut};
use memchr::memchr;
use tokio::io::ReadBuf;

use crate::admit::{ChunkLines, QueryEncoder};

/// Room that is held between two requests of a connection, in bytes.
const IDLE_BYTES: usize = 1024;

/// What is received, and what is expected.
#[derive(Debug, Default)]
pub(super) struct Inspection {
    /// The head as the parser has it, and what came with its end where the end was not seen.
    head: Vec<u8>,
    /// Bytes of this head as they were received.
    received: usize,
    expected: Expected,
    /// Encoded bytes of the head that found no room where the received ones had been.
    encoded: BytesMut,
    /// Received behind the end of the request.
    held: BytesMut,
}

/// What the bytes that come next are.
#[derive(Debug)]
enum Expected {
    Head(QueryEncoder, LineEnd),
    /// A body of so many bytes.
    Length(u64),
    /// A body with chunks.
    Chunks(ChunkLines),
    /// A body with chunks of which a line was wrong.
    Malformed,
    /// What nobody needs to watch: a socket of another protocol.
    Anything,
}

impl Default for Expected {
    fn default() -> Self {
        Self::Head(QueryEncoder::default(), LineEnd::default())
    }
}

/// How the bytes of a head end so far.
#[derive(Clone, Copy, Debug, Default)]
enum LineEnd {
    #[default]
    Within,
    Lf,
    LfCr,
}

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes; 0 is no body.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// What may be read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// At most so many bytes.
    Read(usize),
    /// None of this request: it is complete.
    Complete,
}

/// A line of a chunked body is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl LineEnd {
    /// Where the empty line ends that ends a head, if it is in these bytes.
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            match (*self, bytes.get(at)) {
                (_, None) => return None,
                (Self::Lf | Self::LfCr, Some(b'\n')) => {
                    *self = Self::Within;
                    return Some(at + 1);
                }
                (Self::Lf, Some(b'\r')) => {
                    *self = Self::LfCr;
                    at += 1;
                }
                (_, Some(_)) => {
                    *self = Self::Within;
                    at += memchr(b'\n', bytes.get(at..)?)? + 1;
                    *self = Self::Lf;
                }
            }
        }
    }
}

impl Inspection {
    /// The next request begins.
    pub(super) fn expect_head(&mut self) {
        self.head.clear();
        self.received = 0;
        self.expected = Expected::default();
    }

    /// Nobody knows when the next request comes.
    pub(super) fn shrink(&mut self) {
        self.head.shrink_to(IDLE_BYTES);
    }

    /// The head is judged: what follows its `head_bytes` is the body. `false` when its beginning, which came already,
    /// is wrong.
    pub(super) fn expect_body(&mut self, head_bytes: usize, framing: Framing) -> bool {
        let early = self.head.get(head_bytes..).unwrap_or_default();
        let mut good = true;
        self.expected = match framing {
            Framing::Length(length) => Expected::Length(length.saturating_sub(early.len() as u64)),
            Framing::Chunked => {
                let mut lines = ChunkLines::new();
                good = lines.take(early);
                if good { Expected::Chunks(lines) } else { Expected::Malformed }
            }
        };
        good
    }

    /// The app has agreed to speak another protocol: everything passes from here on.
    pub(super) fn pass_all(&mut self) {
        self.expected = Expected::Anything;
    }

    /// The head, and what came with the end of it.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Bytes of the head that were received so far; `None` when no head is expected.
    pub(super) fn head_received(&self) -> Option<usize> {
        matches!(self.expected, Expected::Head(..)).then_some(self.received)
    }

    /// Whether a line of the chunked body was wrong; nothing of it passes then.
    pub(super) fn is_malformed(&self) -> bool {
        matches!(self.expected, Expected::Malformed)
    }

    /// Whether the client may still be sending what nobody will read.
    pub(super) fn is_unfinished(&self) -> bool {
        !self.held.is_empty()
            || match &self.expected {
                Expected::Head(..) => self.received > 0,
                Expected::Length(length) => *length > 0,
                Expected::Chunks(lines) => !lines.is_done(),
                Expected::Malformed => true,
                Expected::Anything => false,
            }
    }

    /// Whether there are bytes that need not be received any more.
    pub(super) fn has_bytes(&self) -> bool {
        !self.held.is_empty() || !self.encoded.is_empty()
    }

    pub(super) fn next(&self) -> Next {
        match &self.expected {
            Expected::Length(0) => Next::Complete,
            Expected::Length(length) => Next::Read(usize::try_from(*length).unwrap_or(usize::MAX)),
            Expected::Chunks(lines) if lines.is_done() => Next::Complete,
            Expected::Head(..) | Expected::Chunks(_) | Expected::Malformed | Expected::Anything => {
                Next::Read(usize::MAX)
            }
        }
    }

    /// Gives encoded bytes that wait; `false` when there are none.
    pub(super) fn give_encoded(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if self.encoded.is_empty() {
            return false;
        }
        let fits = self.encoded.len().min(buf.remaining());
        buf.put_slice(self.encoded.get(..fits).unwrap_or_default());
        self.encoded.advance(fits);
        if self.encoded.is_empty() {
            self.encoded = BytesMut::new();
        }
        true
    }

    /// Gives at most `room` bytes that are held; `false` when there are none.
    pub(super) fn give_held(&mut self, room: usize, buf: &mut ReadBuf<'_>) -> Result<bool, Malformed> {
        if self.held.is_empty() {
            return Ok(false);
        }
        let before = buf.filled().len();
        let fits = self.held.len().min(buf.remaining()).min(room);
        let held = self.held.split_to(fits);
        buf.put_slice(&held);
        let own = self.take(buf, before)?;
        if own < fits {
            // What is left is behind it in the same memory, so this copies nothing.
            let mut rest = held;
            rest.advance(own);
            rest.unsplit(std::mem::take(&mut self.held));
            self.held = rest;
        } else if self.held.is_empty() {
            self.held = BytesMut::new();
        }
        Ok(true)
    }

    /// Takes in what was received behind `before`, and leaves in `buf` what the parser is to have.
    pub(super) fn receive(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> Result<(), Malformed> {
        let received = buf.filled().len();
        // Of these bytes only those stay in `buf` that are of this request.
        let behind = |buf: &ReadBuf<'_>, own: usize| {
            BytesMut::from(buf.filled().get(before + own..received).unwrap_or_default())
        };
        let mut held = None;
        let own = self.own(buf.filled().get(before..).unwrap_or_default())?;
        if before + own < received {
            held = Some(behind(buf, own));
            buf.set_filled(before + own);
        }
        self.encode(buf, before);
        if let Some(held) = held {
            self.held = held;
        }
        Ok(())
    }

    /// Holds what came behind the end of the request.
    pub(super) fn hold(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        self.held.extend_from_slice(buf.filled().get(before..).unwrap_or_default());
        buf.set_filled(before);
    }

    /// As [`receive`](Self::receive), for bytes that were held; how many of them are of this request.
    fn take(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> Result<usize, Malformed> {
        let own = self.own(buf.filled().get(before..).unwrap_or_default())?;
        buf.set_filled(before + own);
        self.encode(buf, before);
        Ok(own)
    }

    /// How many of these bytes are of this request.
    fn own(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let own = match &mut self.expected {
            Expected::Head(_, end) => {
                let own = end.find(bytes).unwrap_or(bytes.len());
                self.received += own;
                own
            }
            Expected::Length(length) => {
                let own = usize::try_from(*length).unwrap_or(usize::MAX).min(bytes.len());
                *length -= own as u64;
                own
            }
            Expected::Chunks(lines) => match lines.take_own(bytes) {
                Some(own) => own,
                None => {
                    self.expected = Expected::Malformed;
                    return Err(Malformed);
                }
            },
            Expected::Malformed => return Err(Malformed),
            Expected::Anything => bytes.len(),
        };
        Ok(own)
    }

    /// Bytes of a head as the parser is to have them.
    fn encode(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let Expected::Head(query, _) = &mut self.expected else { return };
        let bytes = buf.filled().get(before..).unwrap_or_default();
        match query.encode(bytes) {
            Cow::Borrowed(bytes) => self.head.extend_from_slice(bytes),
            Cow::Owned(encoded) => {
                self.head.extend_from_slice(&encoded);
                self.encoded = BytesMut::from(encoded.as_slice());
                buf.set_filled(before);
                self.give_encoded(buf);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the parser reads of these bytes, received and read so many at a time, until there is nothing for it.
    fn read(
        inspection: &mut Inspection,
        sent: &mut &[u8],
        received_at_once: usize,
        read_at_once: usize,
    ) -> Vec<u8> {
        let mut read = Vec::new();
        loop {
            let mut room = vec![0; read_at_once];
            let mut buf = ReadBuf::new(&mut room);
            if inspection.give_encoded(&mut buf) {
                read.extend_from_slice(buf.filled());
                continue;
            }
            let Next::Read(most) = inspection.next() else { return read };
            if !inspection.give_held(most, &mut buf).unwrap() {
                if sent.is_empty() {
                    return read;
                }
                let count = sent.len().min(received_at_once).min(buf.remaining()).min(most);
                buf.put_slice(&sent[..count]);
                *sent = &sent[count..];
                inspection.receive(&mut buf, 0).unwrap();
            }
            read.extend_from_slice(buf.filled());
            // A parser looks after each piece.
            if inspection.head_received().is_some() && read.ends_with(b"\r\n\r\n") {
                return read;
            }
        }
    }

    const SIZES: [(usize, usize); 7] = [(1, 1), (1, 64), (3, 2), (64, 1), (64, 5), (64, 64), (4096, 4096)];

    #[test]
    fn each_request_is_given_to_its_end_and_not_beyond() {
        let head = b"POST / HTTP/1.1\r\nX: \n\r\r\n\r\n";
        let chunked = b"3;x\r\nab\n\r\n0\r\nT: v\r\n\r\n";
        let sent = [&head[..], b"12345", head, chunked, head, head].concat();
        for (received_at_once, read_at_once) in SIZES {
            let mut inspection = Inspection::default();
            let mut rest = &sent[..];
            let mut next =
                |inspection: &mut Inspection| read(inspection, &mut rest, received_at_once, read_at_once);
            for (framing, body) in [
                (Framing::Length(5), &b"12345"[..]),
                (Framing::Chunked, &chunked[..]),
                (Framing::Length(0), b""),
                (Framing::Length(0), b""),
            ] {
                inspection.expect_head();
                assert_eq!(next(&mut inspection).escape_ascii().to_string(), head.escape_ascii().to_string());
                assert_eq!(inspection.head(), head);
                assert!(inspection.expect_body(head.len(), framing));
                assert_eq!(next(&mut inspection).escape_ascii().to_string(), body.escape_ascii().to_string());
                assert_eq!(inspection.next(), Next::Complete);
            }
            assert!(!inspection.is_unfinished());
        }
    }

    #[test]
    fn what_the_parser_has_already_of_a_body_is_judged_with_it() {
        let with = |early: &[u8]| {
            let mut inspection = Inspection::default();
            let head = b"POST / HTTP/1.1\n\n";
            inspection.head = [&head[..], early].concat();
            (inspection, head.len())
        };
        let (mut good, head) = with(b"3;x\r\nab");
        assert!(good.expect_body(head, Framing::Chunked) && good.is_unfinished());
        let (mut broken, head) = with(b"3;\nab");
        assert!(!broken.expect_body(head, Framing::Chunked) && broken.is_malformed());
        let (mut whole, head) = with(b"3;\nab");
        assert!(whole.expect_body(head, Framing::Length(7)));
        assert_eq!(whole.next(), Next::Read(2));
    }

    #[test]
    fn a_malformed_chunk_is_no_part_of_what_is_given() {
        let mut inspection = Inspection::default();
        assert!(inspection.expect_body(0, Framing::Chunked));
        let mut room = [0; 64];
        let mut buf = ReadBuf::new(&mut room);
        buf.put_slice(b"3;\nabc");
        assert_eq!(inspection.receive(&mut buf, 0), Err(Malformed));
        assert!(inspection.is_malformed());
    }

    #[test]
    fn a_query_is_read_encoded_however_little_is_sent_and_read_at_a_time() {
        let sent = b"POST /a?\xe9\xe9\"<\xff HTTP/1.1\r\nX: \xe9\r\n\r\n";
        let parsed = b"POST /a?%E9%E9%22%3C%FF HTTP/1.1\r\nX: \xe9\r\n\r\n";
        for (received_at_once, read_at_once) in SIZES {
            let mut inspection = Inspection::default();
            let read = read(&mut inspection, &mut &sent[..], received_at_once, read_at_once);
            assert_eq!(read.escape_ascii().to_string(), parsed.escape_ascii().to_string());
            assert_eq!(inspection.head(), parsed, "the head is compared with what was parsed");
        }
    }
}
