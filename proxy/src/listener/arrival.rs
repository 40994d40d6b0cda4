//! From a socket to a connection that speaks HTTP: who it is, whether it is encrypted, and which version it speaks; all
//! of it within one time.

use std::io;
use std::sync::Arc;

use rustls::server::Acceptor;
use tokio::io::AsyncReadExt as _;
use tokio_rustls::LazyConfigAcceptor;

use super::conn::{Io, linger};
use super::signal::Signal;
use super::turns::Turns;
use super::wire::Wire;
use crate::record::{Closed, HandshakeFailure, ListenerCounters};
use crate::tls::{Handshake, Names};

/// How the preface of HTTP/2 begins, and no method of HTTP/1.
const PREFACE: &[u8] = b"PRI";
/// The first byte of a TLS handshake (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

const PLAIN_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 57\r\nConnection: close\r\n\r\nThis port speaks HTTPS: write https:// before the address";

/// Why a connection did not get as far as a request.
#[derive(Debug)]
pub(super) enum Failed {
    /// It was closed, or broke.
    Gone {
        /// Whether it was TLS that was waited for.
        is_tls: bool,
    },
    /// It had not come as far in the time that it has.
    TooLate {
        /// Whether it was TLS that was waited for.
        is_tls: bool,
    },
    /// It should have begun with a PROXY header.
    ProxyHeader,
    /// The client that the PROXY header names is beyond this limit.
    Limit(Closed),
    /// A plain request on a listener with TLS, which was answered.
    PlainAnswered,
    /// A plain request on a listener with TLS.
    PlainRequest(Box<Wire>),
    /// Something else than TLS.
    NotTls,
    /// The handshake of TLS.
    Handshake(io::Error),
}

impl Failed {
    /// Counts it.
    pub(super) fn count(&self, signal: &Signal, counters: &ListenerCounters) {
        let handshake = match self {
            Self::Gone { is_tls: false } => None,
            Self::TooLate { is_tls: false } | Self::ProxyHeader | Self::Limit(_) => None,
            Self::Gone { is_tls: true } => Some(HandshakeFailure::Gone),
            Self::TooLate { is_tls: true } => Some(HandshakeFailure::Timeout),
            Self::PlainAnswered | Self::PlainRequest(_) => Some(HandshakeFailure::Plain),
            Self::NotTls => Some(HandshakeFailure::NotTls),
            Self::Handshake(problem) => Some(failure(problem)),
        };
        if let Some(why) = handshake {
            counters.handshake_failed(why);
        }
        match self {
            Self::Gone { .. } => {}
            Self::TooLate { .. } => signal.ends_for(Closed::HandshakeTime),
            Self::ProxyHeader => signal.ends_for(Closed::ProxyHeader),
            Self::Limit(limit) => signal.ends_for(*limit),
            Self::PlainAnswered | Self::PlainRequest(_) | Self::NotTls | Self::Handshake(_) => {
                signal.ends_for(Closed::Handshake);
            }
        }
    }
}

/// Why rustls gave a handshake up.
fn failure(problem: &io::Error) -> HandshakeFailure {
    match problem.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(_)) => HandshakeFailure::Alert,
        Some(_) => HandshakeFailure::Protocol,
        None => HandshakeFailure::Gone,
    }
}

impl From<io::Error> for Failed {
    fn from(_: io::Error) -> Self {
        Self::Gone { is_tls: false }
    }
}

/// Takes in a plain connection; whether it speaks HTTP/2.
pub(super) async fn plain(mut wire: Wire) -> Result<(Io, bool), Failed> {
    let mut begin = wire.prefix().to_vec();
    let mut peeked = [0; PREFACE.len()];
    loop {
        let seen = if begin.is_empty() {
            let count = wire.socket.peek(&mut peeked).await?;
            peeked.get(..count).unwrap_or_default()
        } else {
            &begin
        };
        if seen.is_empty() {
            return Err(Failed::Gone { is_tls: false });
        }
        let is_http2 = seen.starts_with(PREFACE);
        if is_http2 || !PREFACE.starts_with(seen) {
            wire.set_prefix(begin);
            return Ok((Io::Plain(wire), is_http2));
        }
        // It may become the preface: what is there is read, so that more can be waited for.
        if wire.socket.read_buf(&mut begin).await? == 0 {
            return Err(Failed::Gone { is_tls: false });
        }
    }
}

/// The first byte of a connection, which stays to be read.
async fn first(wire: &Wire) -> io::Result<u8> {
    if let Some(first) = wire.prefix().first() {
        return Ok(*first);
    }
    let mut first = [0];
    match wire.socket.peek(&mut first).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(first[0]),
    }
}

/// Says to a plain request on a listener with TLS where it is, and closes.
pub(super) async fn refuse_plain(wire: Wire) {
    // A client that takes nothing is not waited for: the whole arrival has its time.
    let _ = linger(Io::Plain(wire), PLAIN_REQUEST).await;
}

/// Takes in a connection that must be encrypted, in this client's turns; whether it speaks HTTP/2.
pub(super) async fn tls(
    wire: Wire,
    names: &Names,
    turns: &Arc<Turns>,
    client: u64,
) -> Result<(Io, bool, Handshake), Failed> {
    match first(&wire).await.map_err(|_| Failed::Gone { is_tls: true })? {
        TLS_HANDSHAKE => {}
        b'A'..=b'Z' => return Err(Failed::PlainRequest(Box::new(wire))),
        _ => return Err(Failed::NotTls),
    }
    let start = LazyConfigAcceptor::new(Acceptor::default(), wire).await.map_err(Failed::Handshake)?;
    let handshake = async {
        let config = names.choose(&start.client_hello());
        start.into_stream(config).await
    };
    let tls = turns.by(client, || false, handshake).await.map_err(Failed::Handshake)?;
    let session = tls.get_ref().1;
    let is_http2 = session.alpn_protocol() == Some(b"h2");
    let handshake = names.judge(session);
    Ok((Io::Tls(Box::new(tls)), is_http2, handshake))
}
