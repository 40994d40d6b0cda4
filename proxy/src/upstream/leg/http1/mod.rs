//! A request and its answer over HTTP/1.1 (RFC 9112).

mod chunks;
mod head;
mod sending;

use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::SEC_WEBSOCKET_KEY;
use pingora::protocols::Stream;
use tokio::io::AsyncReadExt as _;

use self::chunks::{Chunks, Part, piece};
use self::head::{Asked, Framing, HeadReader, accept_of};
use self::sending::Sending;
use super::fault::Fault;
use super::message::{Event, Request};

/// Room for the head of an answer at first, and with it for many a whole answer.
const HEAD_BYTES: usize = 4 << 10;
/// Room for what follows, at most.
const BODY_BYTES: usize = 32 << 10;

/// A request under way.
pub(crate) struct Exchange {
    stream: Stream,
    sending: Sending,
    /// What came and was not looked at yet.
    received: BytesMut,
    bytes_received: u64,
    state: State,
    /// What the answer is to.
    asked: Asked,
    /// Whether the server keeps the connection open.
    keeps: bool,
}

#[derive(Debug)]
enum State {
    Head(HeadReader),
    Length(u64),
    Chunks(Chunks),
    /// The end of the connection ends the answer.
    UntilClose,
    /// It speaks another protocol; its end is that of one direction alone.
    Tunnel,
    End,
}

impl Exchange {
    pub(super) fn new(stream: Stream, request: &Request) -> Result<Self, Fault> {
        let key = request.head.headers.get(SEC_WEBSOCKET_KEY).filter(|_| request.upgrade);
        let accept = key.map(accept_of);
        Ok(Self {
            stream,
            sending: Sending::new(request)?,
            received: BytesMut::new(),
            bytes_received: 0,
            state: State::Head(HeadReader::default()),
            asked: Asked { head_only: request.head.method == http::Method::HEAD, accept },
            keeps: true,
        })
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Fault>> {
        loop {
            if let Some(event) = self.next_of_received()? {
                return Poll::Ready(Ok(event));
            }
            if ready!(self.poll_receive(cx))? == 0 {
                match self.state {
                    State::UntilClose | State::Tunnel => self.state = State::End,
                    _ => return Poll::Ready(Err(Fault::Closed)),
                }
            }
        }
    }

    /// The next event, as far as it has come.
    fn next_of_received(&mut self) -> Result<Option<Event>, Fault> {
        match &mut self.state {
            State::Head(reader) => {
                let Some(answer) = reader.read(&mut self.received, self.asked)? else { return Ok(None) };
                if answer.is_interim {
                    *reader = HeadReader::default();
                    return Ok(Some(Event::Interim(answer.head)));
                }
                self.keeps = answer.keeps;
                self.state = match answer.framing {
                    Framing::Empty | Framing::Length(0) => State::End,
                    Framing::Length(length) => State::Length(length),
                    Framing::Chunked => State::Chunks(Chunks::default()),
                    Framing::UntilClose => State::UntilClose,
                    Framing::Tunnel => {
                        self.sending.switch();
                        State::Tunnel
                    }
                };
                Ok(Some(Event::Head(answer.head)))
            }
            State::Length(left) => {
                let Some(piece) = piece(&mut self.received, *left) else { return Ok(None) };
                *left -= piece.len() as u64;
                if *left == 0 {
                    self.state = State::End;
                }
                Ok(Some(Event::Data(piece)))
            }
            State::Chunks(chunks) => Ok(match chunks.next(&mut self.received)? {
                Part::More => None,
                Part::Data(piece) => Some(Event::Data(piece)),
                Part::End(trailers) => {
                    self.state = State::End;
                    Some(trailers.map_or(Event::End, Event::Trailers))
                }
            }),
            State::UntilClose | State::Tunnel => Ok(piece(&mut self.received, u64::MAX).map(Event::Data)),
            State::End => Ok(Some(Event::End)),
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Fault>> {
        let room = match &self.state {
            State::Head(_) => HEAD_BYTES,
            State::Length(left) => usize::try_from(*left).unwrap_or(BODY_BYTES).min(BODY_BYTES),
            State::Chunks(_) | State::UntilClose | State::Tunnel | State::End => BODY_BYTES,
        };
        self.received.reserve(room);
        let read = pin!(self.stream.read_buf(&mut self.received)).poll(cx);
        match read {
            Poll::Ready(Ok(count)) => {
                self.bytes_received += count as u64;
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(problem)) => Poll::Ready(Err(Fault::Io(problem))),
            Poll::Pending => {
                // Whoever waits for long, as sockets do, holds no room meanwhile.
                if self.received.is_empty() && !matches!(self.state, State::Head(_)) {
                    self.received = BytesMut::new();
                }
                Poll::Pending
            }
        }
    }

    pub(super) const fn is_ended(&self) -> bool {
        matches!(self.state, State::End)
    }

    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.sending.poll_ready(&mut self.stream, cx)
    }

    pub(super) fn send_data(&mut self, piece: Bytes, end: bool) -> Result<(), Fault> {
        self.sending.send(piece, end)
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.sending.poll_flush(&mut self.stream, cx)
    }

    pub(super) const fn takes_body(&self) -> bool {
        !self.sending.has_failed()
    }

    pub(super) const fn has_received(&self) -> bool {
        self.bytes_received > 0
    }

    pub(super) const fn moved(&self) -> (u64, u64) {
        (self.sending.bytes_sent(), self.bytes_received)
    }

    /// The connection, where another request may follow: both sides are whole, nothing came behind the answer, and the
    /// server wants to keep it.
    pub(super) fn into_idle(self) -> Option<Stream> {
        let is_idle = self.keeps && self.is_ended() && self.received.is_empty() && self.sending.is_complete();
        is_idle.then_some(self.stream)
    }
}
