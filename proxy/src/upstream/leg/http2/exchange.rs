//! A request and its answer on one stream.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::Method;

use super::super::fault::Fault;
use super::super::message::{Body, Event, Request, Sent};
use super::connection::Slot;
use super::head;

/// Interim answers that wait to be passed on, at most.
const INTERIM_MAX: usize = 8;
/// What is kept of a request's body for another server, in bytes and pieces: calls of gRPC and forms are shorter.
const SENT_BYTES_MAX: usize = 32 << 10;
const SENT_PIECES_MAX: usize = 32;
/// A request that waited for so long, while nothing came on its connection, and then was given up, says that the
/// connection may be dead.
const SILENT_FOR: Duration = Duration::from_secs(1);

/// A request under way.
pub(crate) struct Exchange {
    answer: Answer,
    sending: Sending,
    /// What came while the client took nothing: the library keeps each frame by itself, and heads without a limit.
    waiting: VecDeque<Result<Event, Fault>>,
    /// What was given of a short body, until something is answered.
    sent: Option<Sent>,
    method: Method,
    bytes_received: u64,
    began: Instant,
    /// What had come on the connection when it began.
    received_before: u64,
    /// Last: a stream has its place until it is over.
    slot: Slot,
}

#[derive(Debug)]
enum Answer {
    Head(ResponseFuture),
    Body {
        body: RecvStream,
        /// Its head allows none.
        is_empty: bool,
    },
    /// Nothing more comes.
    End,
}

/// The request as it is sent.
struct Sending {
    stream: SendStream<Bytes>,
    piece: Bytes,
    /// The piece is the last.
    ends: bool,
    state: State,
    bytes_sent: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of the body are missing.
    Length(u64),
    Unknown,
    /// The last byte was given.
    Complete,
    /// The server takes nothing more.
    Failed,
}

const LENGTH: Fault = Fault::protocol("the body of the request has another length than was said");
const BODY: Fault = Fault::protocol("the answer has a body where there can be none");

/// Pieces of a body that wait are joined up to so many bytes.
const JOINED_BYTES_MAX: usize = 4 << 10;

impl Exchange {
    pub(in super::super) fn new(mut slot: Slot, request: &Request) -> Result<Self, Fault> {
        let head = head::request(&request.head, request.body, slot.is_tls())?;
        let state = match request.body {
            Body::None | Body::Length(0) => State::Complete,
            Body::Length(length) => State::Length(length),
            Body::Unknown => State::Unknown,
        };
        let received_before = slot.shared().received();
        let sent = slot.sender().send_request(head, state == State::Complete);
        let (answer, stream) = sent.map_err(|problem| {
            slot.shared().retire();
            Fault::Untouched(problem)
        })?;
        Ok(Self {
            answer: Answer::Head(answer),
            sending: Sending { stream, piece: Bytes::new(), ends: false, state, bytes_sent: 0 },
            waiting: VecDeque::new(),
            sent: Some(Sent::new()),
            method: request.head.method.clone(),
            bytes_received: 0,
            began: Instant::now(),
            received_before,
            slot,
        })
    }

    pub(in super::super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Fault>> {
        let event = match self.waiting.pop_front() {
            Some(event) => event?,
            None => ready!(self.poll_event(cx))?,
        };
        if let (Event::Data(piece), Answer::Body { body, .. }) = (&event, &mut self.answer) {
            // Only now may the app send more. It fails where more is given back than came, which is not so.
            let _ = body.flow_control().release_capacity(piece.len());
        }
        Poll::Ready(Ok(event))
    }

    /// Takes what has come out of the library's hands, whether anybody wants it yet or not.
    fn take_waiting(&mut self, cx: &mut Context<'_>) {
        while !matches!(self.answer, Answer::End) {
            let Poll::Ready(event) = self.poll_event(cx) else { return };
            match (event, self.waiting.back_mut()) {
                (Ok(Event::Data(piece)), Some(Ok(Event::Data(last))))
                    if last.len() + piece.len() <= JOINED_BYTES_MAX =>
                {
                    join(last, &piece);
                }
                // It is known from where the answer is.
                (Ok(Event::End), _) => {}
                (event, _) => self.waiting.push_back(event),
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Fault>> {
        let event = match &self.answer {
            Answer::Head(_) => ready!(self.poll_head(cx)),
            Answer::Body { .. } => ready!(self.poll_body(cx)),
            Answer::End => Ok(Event::End),
        };
        if event.is_err() {
            self.answer = Answer::End;
        }
        Poll::Ready(event)
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Fault>> {
        let Answer::Head(future) = &mut self.answer else { return Poll::Pending };
        if let Some(interim) = ready!(future.poll_informational(cx)) {
            let interim = interim.map_err(|problem| self.slot.shared().fault(problem))?;
            let (head, bytes, ()) = head::answer(interim)?;
            self.bytes_received += bytes;
            self.sent = None;
            if self.waiting.len() >= INTERIM_MAX {
                return Poll::Ready(Err(Fault::protocol("too many interim answers")));
            }
            return Poll::Ready(Ok(Event::Interim(head)));
        }
        let answer = ready!(Pin::new(future).poll(cx));
        let answer = answer.map_err(|problem| self.slot.shared().fault(problem))?;
        let (head, bytes, body) = head::answer(answer)?;
        self.bytes_received += bytes;
        self.sent = None;
        let is_empty = head::is_without_body(&self.method, head.status);
        self.answer = if body.is_end_stream() { Answer::End } else { Answer::Body { body, is_empty } };
        Poll::Ready(Ok(Event::Head(head)))
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Fault>> {
        let Answer::Body { body, is_empty } = &mut self.answer else { return Poll::Pending };
        while let Some(piece) = ready!(body.poll_data(cx)) {
            let piece = piece.map_err(|problem| self.slot.shared().fault(problem))?;
            if piece.is_empty() {
                continue;
            }
            if *is_empty {
                return Poll::Ready(Err(BODY));
            }
            self.bytes_received += piece.len() as u64;
            if body.is_end_stream() {
                self.answer = Answer::End;
            }
            return Poll::Ready(Ok(Event::Data(piece)));
        }
        let trailers = ready!(body.poll_trailers(cx));
        let trailers = trailers.map_err(|problem| self.slot.shared().fault(problem))?;
        self.answer = Answer::End;
        Poll::Ready(match trailers {
            Some(trailers) => head::behind(trailers).map(Event::Trailers),
            None => Ok(Event::End),
        })
    }

    pub(in super::super) fn is_ended(&self) -> bool {
        matches!(self.answer, Answer::End) && self.waiting.is_empty()
    }

    pub(in super::super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.sending.poll_write(cx).map(Ok)
    }

    pub(in super::super) fn send_data(&mut self, piece: Bytes, end: bool) -> Result<(), Fault> {
        if let Some(sent) = &mut self.sent {
            let bytes: usize = sent.iter().map(|(piece, _)| piece.len()).sum();
            if bytes + piece.len() <= SENT_BYTES_MAX && sent.len() < SENT_PIECES_MAX {
                sent.push_back((piece.clone(), end));
            } else {
                self.sent = None;
            }
        }
        self.sending.send(piece, end)
    }

    pub(in super::super) const fn take_sent(&mut self) -> Option<Sent> {
        self.sent.take()
    }

    pub(in super::super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.take_waiting(cx);
        self.sending.poll_write(cx).map(Ok)
    }

    pub(in super::super) fn takes_body(&self) -> bool {
        self.sending.state != State::Failed
    }

    pub(in super::super) const fn has_received(&self) -> bool {
        self.bytes_received > 0
    }

    /// Whether what waits ends in a fault.
    #[cfg(test)]
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.waiting.back(), Some(Err(_)))
    }

    pub(in super::super) const fn moved(&self) -> (u64, u64) {
        (self.sending.bytes_sent, self.bytes_received)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let is_given_up = !matches!(self.answer, Answer::End)
            || !matches!(self.sending.state, State::Complete | State::Failed);
        if is_given_up {
            let shared = self.slot.shared();
            let in_silence = shared.received() == self.received_before && self.began.elapsed() >= SILENT_FOR;
            shared.gave_up(in_silence);
        }
    }
}

/// Puts a piece behind another one, with room for more.
fn join(last: &mut Bytes, piece: &[u8]) {
    let mut joined = std::mem::take(last).try_into_mut().unwrap_or_else(|last| {
        let mut joined = BytesMut::with_capacity(JOINED_BYTES_MAX);
        joined.extend_from_slice(&last);
        joined
    });
    joined.extend_from_slice(piece);
    *last = joined.freeze();
}

impl Sending {
    fn send(&mut self, piece: Bytes, end: bool) -> Result<(), Fault> {
        match &mut self.state {
            State::Length(left) => {
                *left = left.checked_sub(piece.len() as u64).ok_or(LENGTH)?;
                if end && *left > 0 {
                    return Err(LENGTH);
                }
                if *left == 0 {
                    self.state = State::Complete;
                    self.ends = true;
                }
            }
            State::Unknown if end => {
                self.state = State::Complete;
                self.ends = true;
            }
            // The end may be said again.
            State::Complete if !piece.is_empty() => return Err(LENGTH),
            State::Failed => return Ok(()),
            State::Unknown | State::Complete => {}
        }
        self.piece = piece;
        Ok(())
    }

    /// Ready when nothing is left of what was given. A server that takes nothing more may have answered: what it said is
    /// to be read, and only that fails.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if ready!(self.poll_send(cx)).is_none() {
            self.state = State::Failed;
            (self.piece, self.ends) = (Bytes::new(), false);
        }
        Poll::Ready(())
    }

    /// `None` when the server takes nothing more.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        while !self.piece.is_empty() {
            self.stream.reserve_capacity(self.piece.len());
            let room = self.stream.capacity().min(self.piece.len());
            if room == 0 {
                match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => return Poll::Ready(None),
                }
            }
            let part = self.piece.split_to(room);
            let end = self.piece.is_empty() && std::mem::take(&mut self.ends);
            if self.stream.send_data(part, end).is_err() {
                return Poll::Ready(None);
            }
            self.bytes_sent += room as u64;
        }
        if std::mem::take(&mut self.ends) {
            return Poll::Ready(self.stream.send_data(Bytes::new(), true).ok());
        }
        Poll::Ready(Some(()))
    }
}
