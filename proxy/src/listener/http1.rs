//! One connection of HTTP/1, from its first request to its last. Pingora's own loop does the same, and carries the state of a
//! loop of HTTP/2 with each connection, idle ones too.

use std::sync::Arc;

use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;

use super::app::ConnApp;
use super::conn::Conn;

/// Until a request says for how long.
const KEEPALIVE_SECS: u64 = 60;

/// Serves a connection.
pub(super) async fn serve<P: HttpServerApp + Send + Sync + 'static>(
    conn: Conn,
    app: Arc<ConnApp<P>>,
    shutdown: &ShutdownWatch,
) {
    let mut session = ServerSession::new_http1(Box::new(conn));
    // What is answered while the process ends is the last.
    session.set_keepalive((!*shutdown.borrow()).then_some(KEEPALIVE_SECS));
    let limit = app.server_options().and_then(|options| options.keepalive_request_limit);
    session.set_keepalive_reuses_remaining(limit);
    while let Some(reused) = app.process_new_http(session, shutdown).await {
        let (wire, settings) = reused.consume();
        session = ServerSession::new_http1(wire);
        if let Some(settings) = settings {
            settings.apply_to_session(&mut session);
        }
    }
}
