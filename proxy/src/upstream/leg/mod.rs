//! The upstream leg: one request to one server, and its answer, over a connection from a pool.
//!
//! An [`Exchange`] is polled from one task, both directions in turn, and neither waits for the other: an app may answer
//! while it reads, or stop reading once it has answered. It owns its connection, so that dropping it closes that; only
//! one whose request and answer are both whole goes back to the pool.
//!
//! Framing is made here and never copied, in both directions. Timers are the caller's: what is polled here never waits
//! by itself.

mod fault;
mod fields;
mod http1;
mod http2;
mod message;

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::protocols::Stream;
use pingora::upstreams::peer::{HttpPeer, Peer as _};

pub(crate) use fault::Fault;
pub(crate) use message::{Body, Event, Request, Sent, is_grpc};

/// Connections to the servers of all apps.
pub(crate) struct Connector {
    transport: Arc<TransportConnector>,
    http2: http2::Pool,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// A connection that has no request yet, or a place on one.
pub(crate) enum Connected {
    Http1 { stream: Stream, is_reused: bool },
    Http2(http2::Slot),
}

impl Connector {
    /// Keeps so many idle connections at most.
    pub(crate) fn new(idle_max: usize) -> Self {
        let transport = Arc::new(TransportConnector::new(Some(ConnectorOptions::new(idle_max))));
        Self { http2: http2::Pool::new(Arc::clone(&transport)), transport }
    }

    /// A connection to a server: one that is idle, unless a `fresh` one is wanted. One of HTTP/2 is shared as long as
    /// nothing is known against it.
    ///
    /// # Errors
    /// When none could be made, within the peer's times.
    pub(crate) async fn connect(&self, peer: &HttpPeer, fresh: bool) -> Result<Connected, Fault> {
        // Apart: they are long, and most requests need none of it.
        if http2::Pool::serves(peer) {
            return match Box::pin(self.http2.find(peer, fresh)).await? {
                http2::Found::Http2(slot) => Ok(Connected::Http2(slot)),
                http2::Found::Http1 { stream, is_reused } => Ok(Connected::Http1 { stream, is_reused }),
            };
        }
        if !fresh && let Some(stream) = self.transport.reused_stream(peer).await {
            return Ok(Connected::Http1 { stream, is_reused: true });
        }
        match Box::pin(self.transport.new_stream(peer)).await {
            Ok(stream) => Ok(Connected::Http1 { stream, is_reused: false }),
            Err(problem) => Err(Fault::Connect(problem)),
        }
    }

    /// Takes an exchange back: its connection serves other requests if nothing of this one is left on it, and is closed
    /// otherwise.
    pub(crate) fn release(&self, exchange: Exchange, peer: &HttpPeer) {
        match exchange {
            Exchange::Http1(exchange) => {
                if let Some(stream) = exchange.into_idle() {
                    self.transport.release_stream(stream, peer.reuse_hash(), peer.idle_timeout());
                }
            }
            // It was never taken from others.
            Exchange::Http2(_) => {}
        }
    }
}

impl Connected {
    /// Whether it served another request before.
    pub(crate) const fn is_reused(&self) -> bool {
        match self {
            Self::Http1 { is_reused, .. } => *is_reused,
            Self::Http2(slot) => slot.is_reused(),
        }
    }

    /// Begins to send a request. Over HTTP/1 nothing is written until the exchange is polled.
    ///
    /// # Errors
    /// When the head cannot be written as it is, which is a fault of ours; over HTTP/2 also when the connection ends just
    /// now.
    pub(crate) fn ask(self, request: &Request) -> Result<Exchange, Fault> {
        Ok(match self {
            Self::Http1 { stream, .. } => Exchange::Http1(Box::new(http1::Exchange::new(stream, request)?)),
            Self::Http2(slot) => Exchange::Http2(Box::new(http2::Exchange::new(slot, request)?)),
        })
    }
}

/// A request under way.
pub(crate) enum Exchange {
    Http1(Box<http1::Exchange>),
    Http2(Box<http2::Exchange>),
}

impl Exchange {
    /// What comes next of the answer. Not to be called after [`Event::End`].
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Fault>> {
        match self {
            Self::Http1(exchange) => exchange.poll_next(cx),
            Self::Http2(exchange) => exchange.poll_next(cx),
        }
    }

    /// Whether the answer is whole, so that [`Event::End`] comes next without waiting.
    pub(crate) fn is_ended(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.is_ended(),
            Self::Http2(exchange) => exchange.is_ended(),
        }
    }

    /// Ready when a piece of the body may be sent.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        match self {
            Self::Http1(exchange) => exchange.poll_ready(cx),
            Self::Http2(exchange) => exchange.poll_ready(cx),
        }
    }

    /// Sends a piece of the body, and whether it is the last; it may be empty. To be called when [`poll_ready`] was
    /// ready.
    ///
    /// [`poll_ready`]: Self::poll_ready
    ///
    /// # Errors
    /// When the body is longer or shorter than was said.
    pub(crate) fn send_data(&mut self, piece: Bytes, end: bool) -> Result<(), Fault> {
        match self {
            Self::Http1(exchange) => exchange.send_data(piece, end),
            Self::Http2(exchange) => exchange.send_data(piece, end),
        }
    }

    /// Sends as much as the server takes; ready when nothing is left.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        match self {
            Self::Http1(exchange) => exchange.poll_flush(cx),
            Self::Http2(exchange) => exchange.poll_flush(cx),
        }
    }

    /// Whether the server still takes the request. One that has closed its side may have answered all the same.
    pub(crate) fn takes_body(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.takes_body(),
            Self::Http2(exchange) => exchange.takes_body(),
        }
    }

    /// Whether anything of an answer has come.
    pub(crate) fn has_received(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.has_received(),
            Self::Http2(exchange) => exchange.has_received(),
        }
    }

    /// What was sent of the body, to be sent to another server: of a short one that nothing was answered to.
    pub(crate) fn take_sent(&mut self) -> Option<Sent> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(exchange) => exchange.take_sent(),
        }
    }

    /// Bytes that have gone and come, of heads too; for whoever sees whether anything moves.
    pub(crate) fn moved(&self) -> (u64, u64) {
        match self {
            Self::Http1(exchange) => exchange.moved(),
            Self::Http2(exchange) => exchange.moved(),
        }
    }
}
