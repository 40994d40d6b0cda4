//! The request as it is written: one framing, made here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use pingora::protocols::Stream;
use tokio::io::AsyncWrite as _;

use super::super::fault::Fault;
use super::super::message::{Body, Request};

/// Room for a head at first.
const HEAD_BYTES: usize = 1 << 10;

/// What is left to be written, and what may follow.
pub(super) struct Sending {
    /// The head, or the line before a chunk.
    before: BytesMut,
    piece: Bytes,
    /// What ends a chunk, or the body.
    after: &'static [u8],
    state: State,
    is_flushed: bool,
    bytes_sent: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of the body are missing.
    Length(u64),
    Chunks,
    Tunnel,
    /// The last byte was given.
    Complete,
    /// The tunnel's end is to be said when everything is written.
    Closing,
    Closed,
    /// The server takes nothing more.
    Failed,
}

const TARGET: Fault = Fault::protocol("the target of the request cannot be written");
const LENGTH: Fault = Fault::protocol("the body of the request has another length than was said");

impl Sending {
    pub(super) fn new(request: &Request) -> Result<Self, Fault> {
        let head = &request.head;
        let mut before = BytesMut::with_capacity(HEAD_BYTES);
        let target = head.raw_path();
        let is_target = !target.is_empty() && target.iter().all(|byte| *byte > b' ' && *byte != 0x7f);
        if !is_target {
            return Err(TARGET);
        }
        for part in [head.method.as_str().as_bytes(), b" ", target, b" HTTP/1.1\r\n"] {
            before.extend_from_slice(part);
        }
        head.header_to_h1_wire(&mut before);
        let state = match request.body {
            Body::None => State::Complete,
            Body::Length(length) => {
                let line = format!("Content-Length: {length}\r\n");
                before.extend_from_slice(line.as_bytes());
                if length == 0 { State::Complete } else { State::Length(length) }
            }
            Body::Unknown => {
                before.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
                State::Chunks
            }
        };
        if request.upgrade {
            before.extend_from_slice(b"Connection: Upgrade\r\n");
        }
        before.extend_from_slice(b"\r\n");
        Ok(Self { before, piece: Bytes::new(), after: b"", state, is_flushed: false, bytes_sent: 0 })
    }

    /// The server speaks another protocol from here on.
    pub(super) fn switch(&mut self) {
        // A request that was not sent whole is not followed by anything else.
        self.state = if self.is_complete() { State::Tunnel } else { State::Failed };
    }

    pub(super) fn poll_ready(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        // The first piece leaves together with the head.
        if self.piece.is_empty() && self.after.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.poll_flush(stream, cx)
    }

    pub(super) fn send(&mut self, piece: Bytes, end: bool) -> Result<(), Fault> {
        self.is_flushed = false;
        match &mut self.state {
            State::Length(left) => {
                *left = left.checked_sub(piece.len() as u64).ok_or(LENGTH)?;
                if end && *left > 0 {
                    return Err(LENGTH);
                }
                if *left == 0 {
                    self.state = State::Complete;
                }
                self.piece = piece;
            }
            State::Chunks => {
                // A chunk without content would be the last one (RFC 9112, section 7.1).
                if !piece.is_empty() {
                    self.before.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                }
                self.after = match (piece.is_empty(), end) {
                    (true, false) => b"",
                    (false, false) => b"\r\n",
                    (true, true) => b"0\r\n\r\n",
                    (false, true) => b"\r\n0\r\n\r\n",
                };
                self.piece = piece;
                if end {
                    self.state = State::Complete;
                }
            }
            State::Tunnel => {
                self.piece = piece;
                if end {
                    self.state = State::Closing;
                }
            }
            // The end may be said again, and to whom takes nothing anything may be said.
            State::Complete if !piece.is_empty() => return Err(LENGTH),
            State::Complete | State::Closing | State::Closed | State::Failed => {}
        }
        Ok(())
    }

    /// Writes what is left. A server that takes nothing more may have answered: what it said is to be read, and only that
    /// fails.
    pub(super) fn poll_flush(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        if self.is_flushed || self.has_failed() {
            return Poll::Ready(Ok(()));
        }
        if ready!(self.poll_write(stream, cx)).is_err() {
            self.state = State::Failed;
            (self.before, self.piece, self.after) = (BytesMut::new(), Bytes::new(), b"");
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !(self.before.is_empty() && self.piece.is_empty() && self.after.is_empty()) {
            let parts = [IoSlice::new(&self.before), IoSlice::new(&self.piece), IoSlice::new(self.after)];
            let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &parts))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        ready!(Pin::new(&mut *stream).poll_flush(cx))?;
        if self.state == State::Closing {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
            self.state = State::Closed;
        }
        self.is_flushed = true;
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, written: usize) {
        self.bytes_sent += written as u64;
        let of_before = written.min(self.before.len());
        self.before.advance(of_before);
        let of_piece = (written - of_before).min(self.piece.len());
        self.piece.advance(of_piece);
        self.after = self.after.get(written - of_before - of_piece..).unwrap_or_default();
    }

    /// Whether the server has the whole request.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Complete && self.is_flushed
    }

    pub(super) const fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed)
    }

    pub(super) const fn bytes_sent(&self) -> u64 {
        self.bytes_sent
    }
}

#[cfg(test)]
mod tests {
    use pingora::http::RequestHeader;

    use super::*;

    fn sending(body: Body, upgrade: bool) -> Sending {
        let mut head = RequestHeader::build_no_case("POST", b"/a?b", None).unwrap();
        head.insert_header("host", "app").unwrap();
        Sending::new(&Request { head: Box::new(head), body, upgrade }).unwrap()
    }

    /// What would be written now.
    fn written(sending: &mut Sending) -> String {
        let bytes = [&*sending.before, &*sending.piece, sending.after].concat();
        sending.advance(bytes.len());
        assert!(sending.before.is_empty() && sending.piece.is_empty() && sending.after.is_empty());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_request_has_one_framing() {
        let head = "POST /a?b HTTP/1.1\r\nHost: app\r\n";
        assert_eq!(written(&mut sending(Body::None, false)), format!("{head}\r\n"));
        assert_eq!(written(&mut sending(Body::None, true)), format!("{head}Connection: Upgrade\r\n\r\n"));
        let none = written(&mut sending(Body::Length(0), false));
        assert_eq!(none, format!("{head}Content-Length: 0\r\n\r\n"));
        let mut three = sending(Body::Length(3), false);
        three.send(Bytes::from_static(b"abc"), true).unwrap();
        assert_eq!(written(&mut three), format!("{head}Content-Length: 3\r\n\r\nabc"));
    }

    #[test]
    fn there_is_one_last_chunk_however_the_body_ends() {
        let ends: [&[(&[u8], bool)]; 4] = [
            &[(b"abc", true)],
            &[(b"abc", false), (b"", true)],
            &[(b"", false), (b"abc", false), (b"", false), (b"", true), (b"", true)],
            &[(b"ab", false), (b"c", true)],
        ];
        for pieces in ends {
            let mut sending = sending(Body::Unknown, false);
            let mut all = String::new();
            for (piece, end) in pieces {
                sending.send(Bytes::copy_from_slice(piece), *end).unwrap();
                all += &written(&mut sending);
            }
            let body = all.split_once("chunked\r\n\r\n").unwrap().1;
            let expected = ["3\r\nabc\r\n0\r\n\r\n", "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"];
            assert!(expected.contains(&body), "{pieces:?}: {body:?}");
        }
    }

    #[test]
    fn a_body_of_another_length_than_was_said_is_not_sent() {
        for pieces in [&[("abcd", false)][..], &[("ab", true)], &[("abc", true), ("d", true)]] {
            let mut sending = sending(Body::Length(3), false);
            let sent = pieces.iter().map(|(piece, end)| {
                let sent = sending.send(Bytes::from_static(piece.as_bytes()), *end);
                written(&mut sending);
                sent.is_ok()
            });
            assert!(!sent.collect::<Vec<_>>().last().unwrap(), "{pieces:?}");
        }
    }

    #[test]
    fn a_target_that_would_end_its_line_is_not_written() {
        for target in ["/a b", "/a\r\nX: y", "/a\0", "/a\u{7f}"] {
            let mut head = RequestHeader::build("GET", b"/", None).unwrap();
            if head.set_raw_path(target.as_bytes()).is_ok() {
                let request = Request { head: Box::new(head), body: Body::None, upgrade: false };
                assert!(Sending::new(&request).is_err(), "{target:?}");
            }
        }
    }
}
