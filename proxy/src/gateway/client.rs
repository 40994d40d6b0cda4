//! The client's side of a request under way, polled: what it sends, and what it is sent, piece by piece.
//!
//! Pingora's session is asked anew at each poll, and what it gives is dropped when it would wait: over HTTP/1 its queue
//! of tasks keeps what is half written, over HTTP/2 the stream does. Order is ours: after a 101 its head must be written
//! before the client is read again, and pingora panics at a body of the wrong kind.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;
use pingora::http::ResponseHeader;
use pingora::prelude::{Error, ErrorType, Result};
use pingora::protocols::http::{HttpTask, ServerSession};

use crate::listener::Conn;

/// What is on its way to the client.
#[derive(Default)]
pub(super) struct Client {
    /// Over HTTP/2, once the head is sent.
    stream: Option<SendStream<Bytes>>,
    piece: Bytes,
    /// Bytes of the body that were sent over HTTP/2, which pingora does not see.
    bytes_sent: u64,
    /// The end was given.
    ends: bool,
    is_tunnel: bool,
    /// Something may have been gathered that is not sent.
    is_gathered: bool,
}

impl Client {
    /// The next piece of the request's body, and whether it is the last. Not to be called after that.
    pub(super) fn poll_read(
        &mut self,
        session: &mut ServerSession,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Bytes, bool)>> {
        let piece = match &mut *session {
            ServerSession::H2(session) => match ready!(session.poll_read_body_bytes(cx)) {
                Some(Ok(piece)) => Some(piece),
                Some(Err(problem)) => return Poll::Ready(Err(of_client("reading", problem))),
                None => None,
            },
            session => {
                let read = ready!(pin!(session.read_body_or_idle(false)).poll(cx));
                read.map_err(Error::into_down)?
            }
        };
        let end = piece.is_none() || session.is_body_done();
        Poll::Ready(Ok((piece.unwrap_or_default(), end)))
    }

    /// Ready when the client has gone, while nothing more of it is expected.
    pub(super) fn poll_gone(
        &mut self,
        session: &mut ServerSession,
        cx: &mut Context<'_>,
    ) -> Poll<Box<Error>> {
        if let Some(stream) = &mut self.stream {
            if self.ends {
                return Poll::Pending;
            }
            let reset = ready!(stream.poll_reset(cx));
            return Poll::Ready(match reset {
                Ok(reason) => Error::explain(ErrorType::H2Error, format!("reset: {reason}")).into_down(),
                Err(problem) => of_client("waiting", problem),
            });
        }
        match ready!(pin!(session.read_body_or_idle(true)).poll(cx)) {
            Ok(_) => Poll::Pending,
            Err(problem) => Poll::Ready(problem.into_down()),
        }
    }

    /// Whether the client has given the request up before anybody was asked, where that can be seen: over HTTP/2. A stream that
    /// ended for a breach of the protocol is none of that: what it was is told when its body is read.
    pub(super) async fn has_given_up(session: &mut ServerSession) -> Option<Box<Error>> {
        let ServerSession::H2(session) = session else { return None };
        let reset = poll_fn(|cx| match pin!(session.idle()).poll(cx) {
            Poll::Ready(reset) => Poll::Ready(Some(reset)),
            Poll::Pending => Poll::Ready(None),
        });
        match reset.await? {
            Ok(
                Reason::PROTOCOL_ERROR
                | Reason::FLOW_CONTROL_ERROR
                | Reason::FRAME_SIZE_ERROR
                | Reason::STREAM_CLOSED,
            ) => None,
            Ok(reason) => Some(Error::explain(ErrorType::H2Error, format!("reset: {reason}")).into_down()),
            Err(problem) => Some(problem.into_down()),
        }
    }

    /// Sends a head: an interim one, or that of the answer, after which nothing may follow.
    pub(super) fn send_head(
        &mut self,
        session: &mut ServerSession,
        head: Box<ResponseHeader>,
        end: bool,
    ) -> Result<()> {
        let is_interim = head.status.is_informational();
        self.is_tunnel = head.status == http::StatusCode::SWITCHING_PROTOCOLS;
        self.ends = end;
        match session {
            // Pingora has no way to pass interim answers on here.
            ServerSession::H2(_) if is_interim => {}
            ServerSession::H2(session) => {
                session.write_response_header(head, end)?;
                self.stream = session.take_response_body_writer();
            }
            session => {
                session.send_downstream_proxy_task(HttpTask::Header(head, end));
                self.is_gathered = true;
            }
        }
        Ok(())
    }

    /// Sends a piece of the body, which may be the last. To be called when [`poll_sent`](Self::poll_sent) was ready.
    pub(super) fn send_data(&mut self, session: &mut ServerSession, piece: Bytes, end: bool) {
        self.ends = end;
        if let ServerSession::H2(_) = session {
            self.piece = piece;
            return;
        }
        self.is_gathered = true;
        session.send_downstream_proxy_task(match self.is_tunnel {
            true => HttpTask::UpgradedBody(Some(piece), end),
            false => HttpTask::Body(Some(piece), end),
        });
    }

    /// Ends the answer, with what follows its body: HTTP/1 has its end alone, since its client was not asked whether it
    /// takes more.
    pub(super) fn send_end(
        &mut self,
        session: &mut ServerSession,
        trailers: Option<HeaderMap>,
    ) -> Result<()> {
        if std::mem::replace(&mut self.ends, true) {
            return Ok(());
        }
        match (session, &mut self.stream) {
            (ServerSession::H2(_), Some(stream)) => {
                let sent = match trailers {
                    Some(trailers) => stream.send_trailers(trailers),
                    None => stream.send_data(Bytes::new(), true),
                };
                sent.map_err(|problem| of_client("writing", problem))
            }
            (ServerSession::H2(_), None) => Ok(()),
            (session, _) => {
                session.send_downstream_proxy_task(HttpTask::Done);
                Ok(())
            }
        }
    }

    /// Ready when nothing is left of what was given.
    pub(super) fn poll_sent(
        &mut self,
        session: &mut ServerSession,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        match session {
            ServerSession::H2(_) => self.poll_piece(cx),
            session if session.has_pending_downstream_proxy_tasks() => {
                let written = ready!(pin!(session.write_downstream_proxy_tasks()).poll(cx));
                Poll::Ready(written.map(drop).map_err(Error::into_down))
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        while !self.piece.is_empty() {
            stream.reserve_capacity(self.piece.len());
            if stream.capacity() == 0 {
                match ready!(stream.poll_capacity(cx)) {
                    Some(Ok(_)) => continue,
                    Some(Err(problem)) => return Poll::Ready(Err(of_client("writing", problem))),
                    None => {
                        let gone = Error::explain(ErrorType::ConnectionClosed, "the stream is closed");
                        return Poll::Ready(Err(gone.into_down()));
                    }
                }
            }
            let part = self.piece.split_to(stream.capacity().min(self.piece.len()));
            self.bytes_sent += part.len() as u64;
            let end = self.ends && self.piece.is_empty();
            stream.send_data(part, end).map_err(|problem| of_client("writing", problem))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what was gathered: nothing more comes for now.
    pub(super) fn poll_send_gathered(
        &mut self,
        session: &ServerSession,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        if self.is_gathered
            && let Some(conn) = Conn::of(session)
        {
            ready!(conn.poll_send_gathered(cx)).map_err(write_failed)?;
        }
        self.is_gathered = false;
        Poll::Ready(Ok(()))
    }

    /// Says to the client of a tunnel that the app says nothing more.
    pub(super) fn poll_close_writing(session: &ServerSession, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(conn) = Conn::of(session) else { return Poll::Ready(Ok(())) };
        conn.poll_close_writing(cx).map_err(write_failed)
    }

    /// Bytes of the body that were sent beside pingora's count.
    pub(super) const fn bytes_beside(&self) -> u64 {
        self.bytes_sent
    }
}

fn of_client(doing: &'static str, problem: h2::Error) -> Box<Error> {
    let kind = if doing == "reading" { ErrorType::ReadError } else { ErrorType::WriteError };
    Error::because(kind, doing, problem).into_down()
}

fn write_failed(problem: std::io::Error) -> Box<Error> {
    Error::because(ErrorType::WriteError, "writing", problem).into_down()
}
