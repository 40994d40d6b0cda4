//! An answer that outlives its request: events, sent as they come, for as long as the client stays. Pingora's part of the
//! request ends before it begins, for a request that waits takes ten times the memory of what waits here.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use pingora::protocols::Stream as Wire;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::conn::Conn;
use super::connection::{Connection, send_all};
use super::streams::Stream;

/// What sends the events; it ends when there are no more.
pub(crate) type Sending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The client takes nothing, or is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// It is gone.
    Gone,
    /// It took nothing for as long as an answer of ours may be left unread.
    Stalled,
}

/// Where events go.
pub(crate) struct EventStream {
    to: To,
    stall: Duration,
}

enum To {
    /// To the end of the connection.
    Http1(Wire),
    Http2 {
        body: SendStream<Bytes>,
        _stream: Stream,
    },
}

impl EventStream {
    /// Sends these bytes, all of them.
    ///
    /// # Errors
    /// When the client does not take them.
    pub(crate) async fn send(&mut self, bytes: Bytes) -> Result<(), Unsent> {
        let sending = async {
            match &mut self.to {
                To::Http1(wire) => {
                    wire.write_all(&bytes).await.map_err(|_| Unsent::Gone)?;
                    wire.flush().await.map_err(|_| Unsent::Gone)
                }
                To::Http2 { body, .. } => {
                    if send_all(body, bytes, false).await {
                        Ok(())
                    } else {
                        Err(Unsent::Gone)
                    }
                }
            }
        };
        timeout(self.stall, sending).await.unwrap_or(Err(Unsent::Stalled))
    }

    /// Ends when the client has gone.
    pub(crate) async fn gone(&mut self) {
        match &mut self.to {
            // Whatever it sends now, it does not wait for events any more.
            To::Http1(wire) => {
                if let Some(conn) = (**wire).as_any().downcast_ref::<Conn>() {
                    poll_fn(|cx| conn.poll_readable(cx)).await;
                }
            }
            To::Http2 { body, .. } => {
                // Whether it was reset, or the connection is closed.
                let _ = poll_fn(|cx| body.poll_reset(cx)).await;
            }
        }
    }

    /// Says that no more come.
    pub(crate) async fn end(self) {
        match self.to {
            // A client that takes nothing more is not waited for.
            To::Http1(mut wire) => drop(timeout(self.stall, wire.shutdown()).await),
            To::Http2 { mut body, .. } => {
                // A stream that is gone needs no end.
                let _ = body.send_data(Bytes::new(), true);
            }
        }
    }
}

impl Connection {
    /// Holds the connection of HTTP/1 when pingora is through with the request, and sends events on it. Their head is a part of
    /// them: pingora has written none.
    pub(crate) fn hold_events(&self, send: impl FnOnce(EventStream) -> Sending + Send + Sync + 'static) {
        let stall = self.stall();
        self.hold(Box::new(move |wire| send(EventStream { to: To::Http1(wire), stall })));
    }

    /// Sends events on a stream of HTTP/2, whose head was sent.
    pub(crate) fn send_events(
        self: &Arc<Self>,
        body: SendStream<Bytes>,
        send: impl FnOnce(EventStream) -> Sending,
    ) {
        let to = To::Http2 { body, _stream: Stream::begin_waiting(&self.streams) };
        tokio::spawn(send(EventStream { to, stall: self.stall() }));
    }
}
