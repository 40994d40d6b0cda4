//! One connection of HTTP/2, from its preface until its last stream has ended.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Accept, HttpSession, default_h2_options, handshake};
use pingora::protocols::{Digest, GetProxyDigest as _};
use pingora::server::ShutdownWatch;
use portcullis_config::settings::Limits;
use tokio::time::{Instant, sleep, timeout_at};

use super::app::ConnApp;
use super::conn::Conn;
use super::connection::Connection;
use super::signal::Draining;
use super::streams::Stream;
use crate::record::Closed;

/// Malformed streams that a connection may open, as pingora's own loop counts them.
const MALFORMED_STREAMS_MAX: usize = 32;

/// How long a client has to answer the end of a connection on which nothing is under way.
const GOODBYE: Duration = Duration::from_secs(1);
/// What a stream takes that waits for its turn.
const WAITING_BYTES: u64 = 4 << 10;

/// Bytes of an answer that are gathered for one stream beyond what its client takes.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// Ends when another stream may begin. Awake on every poll of the connection's task, it needs no waker.
async fn room(connection: &Connection, max: u32) {
    std::future::poll_fn(|_| {
        let has_room = connection.streams.open() < max && !connection.is_over_budget();
        if has_room { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Serves a connection; its preface must be there by `deadline`.
pub(super) async fn serve<P: HttpServerApp + Send + Sync + 'static>(
    conn: Conn,
    app: Arc<ConnApp<P>>,
    connection: &Connection,
    shutdown: ShutdownWatch,
    limits: &Limits,
    idle: Duration,
    deadline: Instant,
) {
    let digest = Arc::new(Digest {
        ssl_digest: None,
        timing_digest: Vec::new(),
        proxy_digest: conn.get_proxy_digest(),
        socket_digest: None,
    });
    let mut options = default_h2_options();
    options.max_concurrent_streams(limits.streams).max_send_buffer_size(SEND_BUFFER_BYTES);
    let mut http2 = match timeout_at(deadline, handshake(Box::new(conn), Some(options))).await {
        Ok(Ok(http2)) => http2,
        Ok(Err(_)) => return,
        Err(_) => return connection.signal.ends_for(Closed::HandshakeTime),
    };
    let streams = &connection.streams;
    // What was opened beyond the limits waits here, and its memory is counted with what is unsent.
    let mut waiting = VecDeque::new();
    let mut waits = connection.nothing_unsent();
    let mut idle_timer = std::pin::pin!(sleep(idle));
    let mut is_draining = false;
    let mut malformed = 0;
    loop {
        let max = if connection.is_granted() { limits.streams } else { limits.streams_before_grant };
        while streams.open() < max
            && !connection.is_over_budget()
            && let Some(session) = waiting.pop_front()
        {
            let (app, shutdown) = (Arc::clone(&app), shutdown.clone());
            let stream = Stream::serve(streams);
            tokio::spawn(async move {
                app.process_new_http(ServerSession::new_http2(session), &shutdown).await;
                drop(stream);
            });
        }
        waits.hold(waiting.len() as u64 * WAITING_BYTES);
        let is_idle = streams.are_idle() && waiting.is_empty();
        let accepted = tokio::select! {
            biased;
            () = Draining(&connection.signal), if !is_draining => {
                http2.graceful_shutdown();
                is_draining = true;
                idle_timer.as_mut().reset(Instant::now() + idle.min(GOODBYE));
                continue;
            }
            accepted = HttpSession::from_h2_conn(&mut http2, Arc::clone(&digest)) => accepted,
            // What was unread was taken, and nothing ended.
            () = room(connection, max), if !waiting.is_empty() => continue,
            () = streams.changed() => {
                let time = if is_draining { idle.min(GOODBYE) } else { idle };
                idle_timer.as_mut().reset(Instant::now() + time);
                continue;
            }
            () = idle_timer.as_mut(), if is_idle => {
                let why = if is_draining { Closed::Drain } else { Closed::Idle };
                return connection.signal.ends_for(why);
            }
        };
        match accepted {
            // Most clients close the socket without a word.
            Err(_) | Ok(None) => return,
            Ok(Some(H2Accept::Rejected)) => {
                malformed += 1;
                if malformed >= MALFORMED_STREAMS_MAX {
                    return connection.signal.ends_for(Closed::Malformed);
                }
            }
            Ok(Some(H2Accept::Session(mut session))) => {
                if waiting.len() >= limits.streams as usize {
                    // Nothing of it was handled: the client may ask again (RFC 9113, section 8.7).
                    connection.counters.stream_refused();
                    session.shutdown_with_reason(h2::Reason::REFUSED_STREAM);
                } else {
                    waiting.push_back(session);
                }
            }
        }
    }
}
