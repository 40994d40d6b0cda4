//! What pingora calls at the begin of each request of a connection: the request's first byte is waited for here, and its
//! head is limited from here on.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::time::{Instant, Sleep};

use super::conn::Conn;
use super::connection::Connection;
use crate::record::Closed;

/// How long an idle connection is kept when the process ends: a request may be on its way, and a proxy that sends one on a connection that is
/// closed just then cannot know whether it was carried out, and fails it. Who asks meanwhile is told with the answer that it was the last.
const CROSSING: Duration = Duration::from_millis(500);

/// The proxy, on one connection.
pub(super) struct ConnApp<P> {
    proxy: Arc<P>,
    connection: Arc<Connection>,
    idle: Duration,
    /// One for the life of the connection: to set a timer off costs more than to move it.
    timer: Mutex<Option<std::pin::Pin<Box<Sleep>>>>,
}

impl<P> ConnApp<P> {
    pub(super) const fn new(proxy: Arc<P>, connection: Arc<Connection>, idle: Duration) -> Self {
        Self { proxy, connection, idle, timer: Mutex::new(None) }
    }

    /// Waits for the first byte of a request outside of pingora's future, which takes ten times the memory. `false`
    /// when none comes: the client was idle for too long, or the process ends.
    async fn first_byte(&self, conn: &Conn) -> bool {
        let mut is_waiting = false;
        let mut is_last = false;
        let is_there = std::future::poll_fn(|cx| {
            if conn.poll_readable(cx).is_ready() {
                return Poll::Ready(true);
            }
            let mut timer = self.timer.lock();
            let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.idle)));
            if !is_waiting {
                is_waiting = true;
                timer.as_mut().reset(Instant::now() + self.idle);
                conn.shrink();
            }
            if !is_last && self.connection.is_draining() {
                is_last = true;
                timer.as_mut().reset(Instant::now() + self.idle.min(CROSSING));
            }
            timer.as_mut().poll(cx).map(|()| {
                self.connection.signal.ends_for(if is_last { Closed::Drain } else { Closed::Idle });
                false
            })
        })
        .await;
        if is_there && !is_waiting {
            // It was sent ahead: other connections have their turn before each.
            tokio::task::yield_now().await;
        }
        is_there
    }
}

#[async_trait]
impl<P: HttpServerApp + Send + Sync + 'static> HttpServerApp for ConnApp<P> {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let is_http1 = Conn::of(&session).is_some();
        if let Some(conn) = Conn::of(&session) {
            if !self.first_byte(conn).await {
                return None;
            }
            conn.expect_head();
        }
        let under_way = self.connection.signal.request();
        // Made at its first turn: what waits for one holds little.
        let request = async { self.proxy.process_new_http(session, shutdown).await };
        let reused =
            if self.connection.is_known() { request.await } else { self.connection.in_turns(request).await };
        drop(under_way);
        let held = if is_http1 { self.connection.take_held() } else { None };
        let Some(held) = held else { return reused };
        let (wire, _) = reused?.consume();
        held(wire).await;
        None
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.proxy.server_options()
    }
}
