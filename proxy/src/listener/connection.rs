//! What is known of a connection, for everybody who handles a request that comes on it.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use parking_lot::Mutex;
use pingora::protocols::Stream as Wire;
use pingora::protocols::http::ServerSession;

use super::budget::{Budget, Unsent};
use super::signal::Signal;
use super::streams::{Stream, Streams};
use super::turns::{Turn, Turns};
use crate::limit::network;
use crate::record::ListenerCounters;
use crate::tls::Handshake;

/// What goes on on a connection of HTTP/1 when pingora has given it back.
type Held = Box<dyn FnOnce(Wire) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// One client's connection.
pub(crate) struct Connection {
    /// Which of the configured listeners took it in.
    pub(crate) listener: usize,
    /// The client: what a PROXY header says, where one is demanded.
    pub(crate) peer: SocketAddr,
    /// The peer is a balancer that does not know who its client is.
    pub(crate) is_unknown: bool,
    /// Where the client connected to.
    pub(crate) local: SocketAddr,
    /// What the handshake of TLS showed; `None` is plain.
    pub(crate) handshake: Option<Arc<Handshake>>,
    pub(super) signal: Arc<Signal>,
    pub(super) streams: Arc<Streams>,
    /// Of the worker that serves it.
    turns: Arc<Turns>,
    /// Who it is to limits; `None` where many come by one connection, or nobody knows who it is.
    client: Option<u64>,
    /// What its listener counts.
    pub(super) counters: &'static ListenerCounters,
    budget: Budget,
    /// What sends events on it after its request, over HTTP/1.
    held: Mutex<Option<Held>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(
        listener: usize,
        (peer, local, is_unknown): (SocketAddr, SocketAddr, bool),
        (turns, client): (Arc<Turns>, Option<u64>),
        handshake: Option<Arc<Handshake>>,
        signal: Arc<Signal>,
        counters: &'static ListenerCounters,
        budget: Budget,
    ) -> Self {
        Self {
            listener,
            peer,
            is_unknown,
            local,
            handshake,
            signal,
            streams: Arc::default(),
            turns,
            client,
            counters,
            budget,
            held: Mutex::default(),
        }
    }

    /// The connection that a session's request came on; `None` is a fault of ours.
    pub(crate) fn of(session: &ServerSession) -> Option<&Arc<Self>> {
        session.digest()?.proxy_digest.as_ref()?.user_data.as_ref()?.downcast_ref()
    }

    /// Whether the process ends: what is answered now is the last on this connection.
    pub(crate) fn is_draining(&self) -> bool {
        self.signal.is_draining()
    }

    /// How long an answer of ours may be left unread.
    pub(crate) const fn stall(&self) -> Duration {
        self.budget.stall
    }

    /// A request that came on it was let in.
    pub(crate) fn grant(&self) {
        if !self.is_granted() {
            self.signal.grant();
            self.streams.look();
        }
    }

    /// Whether a request that came on it was let in.
    pub(super) fn is_granted(&self) -> bool {
        self.signal.is_granted()
    }

    /// Its client gave a request up that an app was asked, over HTTP/2.
    pub(crate) fn gave_up(&self) {
        self.streams.gave_up();
    }

    /// Whether its requests need no turns: one was let in, or many clients come by it.
    pub(super) fn is_known(&self) -> bool {
        self.client.is_none() || self.is_granted()
    }

    /// Does what a request needs in its client's turns, until the connection is known.
    pub(super) async fn in_turns<T>(&self, request: impl Future<Output = T>) -> T {
        self.turns.by(self.whose(), || self.is_known(), request).await
    }

    /// Waits for the next turn of its client, when all else there is to do was done.
    pub(crate) async fn turn(&self) -> Option<Turn> {
        self.turns.take(self.whose()).await
    }

    fn whose(&self) -> u64 {
        self.client.unwrap_or_else(|| network(self.peer.ip()))
    }

    /// Goes on like this, over HTTP/1, when pingora is through with the request.
    pub(super) fn hold(&self, held: Held) {
        *self.held.lock() = Some(held);
    }

    pub(super) fn take_held(&self) -> Option<Held> {
        self.held.lock().take()
    }

    /// Nothing that the client has not taken yet, to be counted.
    pub(crate) fn nothing_unsent(&self) -> Unsent {
        Unsent::new(Arc::clone(&self.signal), self.budget.clone())
    }

    /// Whether its client leaves more unread than one connection may.
    pub(super) fn is_over_budget(&self) -> bool {
        self.budget.is_over(&self.signal)
    }

    /// Sends the body of a refusal over HTTP/2, beside the request, which may end: while a client takes nothing, the
    /// request would take ten times the memory of its answer.
    pub(crate) fn send_beside(&self, mut body: SendStream<Bytes>, bytes: Bytes) {
        body.reserve_capacity(bytes.len());
        if body.capacity() >= bytes.len() {
            // A stream that is gone takes nothing, and nobody waits for it.
            let _ = body.send_data(bytes, true);
            return;
        }
        let mut unsent = self.nothing_unsent();
        unsent.set(bytes.len() as u64, false);
        let stream = Stream::begin(&self.streams);
        let (stall, counters) = (self.stall(), self.counters);
        tokio::spawn(async move {
            let sent = tokio::time::timeout(stall, send_all(&mut body, bytes, true)).await;
            if sent.is_err() {
                counters.answer_unread();
                body.send_reset(h2::Reason::CANCEL);
            }
            drop((unsent, stream));
        });
    }
}

/// Sends bytes as the client takes them, and that they are the last, or not; `false` when the stream is gone.
pub(super) async fn send_all(body: &mut SendStream<Bytes>, mut bytes: Bytes, are_last: bool) -> bool {
    while !bytes.is_empty() {
        body.reserve_capacity(bytes.len());
        let Some(Ok(room)) = std::future::poll_fn(|cx| body.poll_capacity(cx)).await else { return false };
        let piece = bytes.split_to(room.min(bytes.len()));
        if body.send_data(piece, are_last && bytes.is_empty()).is_err() {
            return false;
        }
    }
    true
}
