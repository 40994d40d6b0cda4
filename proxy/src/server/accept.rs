//! Connections, as pingora takes them.

use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pingora::apps::ServerApp;
use pingora::listeners::tls::{Acceptor, TlsSettings};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream as L4;
use pingora::protocols::{GetSocketDigest as _, SocketDigest, Stream};
use portcullis_config::settings::Listener;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::error::ServeError;
use crate::admin::Left;

const PAUSE: Duration = Duration::from_millis(50);
const HANDSHAKE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Open {
    count: AtomicU64,
    none: Notify,
}

impl Open {
    pub(super) fn left(&self) -> Left {
        let connections = self.count.load(Ordering::SeqCst);
        Left { connections, http1_requests: connections, ..Left::default() }
    }
    pub(super) async fn none_left(&self) {
        loop {
            let wait = self.none.notified();
            if self.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            wait.await;
        }
    }
}

struct Seat(Arc<Open>);
impl Drop for Seat {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

/// What ends TLS on a listener; `None` for plain HTTP.
pub(super) fn acceptor(listener: &Listener) -> Result<Option<Acceptor>, ServeError> {
    let Some(pair) = listener.tls.as_ref().and_then(|tls| tls.pairs.first()) else { return Ok(None) };
    let fail = |problem: &dyn std::fmt::Display| ServeError::Tls {
        address: listener.address.to_string(),
        problem: problem.to_string(),
    };
    // The state has read the pair already: pingora would panic.
    let path = |path: &std::path::Path| path.to_str().map(ToOwned::to_owned);
    let (certificate, key) =
        path(&pair.certificate).zip(path(&pair.key)).ok_or_else(|| fail(&"the path is not UTF-8"))?;
    let mut settings = TlsSettings::intermediate(&certificate, &key).map_err(|problem| fail(&problem))?;
    settings.enable_h2();
    Ok(Some(settings.build()))
}

/// Accepts until `drain` turns true.
pub(super) async fn serve<A: ServerApp + Send + Sync + 'static>(
    socket: std::net::TcpListener,
    tls: Option<Acceptor>,
    app: Arc<A>,
    workers: Vec<Handle>,
    open: Arc<Open>,
    mut drain: watch::Receiver<bool>,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(socket) else { return };
    let tls = Arc::new(tls);
    let fresh = drain.clone();
    let mut workers = workers.iter().cycle();
    loop {
        let accepted = tokio::select! {
            _ = drain.wait_for(|drain| *drain) => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        open.count.fetch_add(1, Ordering::SeqCst);
        let seat = Seat(Arc::clone(&open));
        let (app, drain, tls) = (Arc::clone(&app), fresh.clone(), Arc::clone(&tls));
        let Ok(stream) = stream.into_std() else { continue };
        let Some(worker) = workers.next() else { return };
        worker.spawn(async move {
            let _seat = seat;
            let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { return };
            // It only costs time where it fails.
            let _ = stream.set_nodelay(true);
            let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
            let _ = digest.peer_addr.set(Some(SocketAddr::Inet(peer)));
            let mut stream = L4::from(stream);
            stream.set_socket_digest(digest);
            let mut stream: Stream = match &*tls {
                None => Box::new(stream),
                Some(tls) => match timeout(HANDSHAKE, tls.tls_handshake(stream)).await {
                    Ok(Ok(stream)) => Box::new(stream),
                    failed => {
                        // Counted by `process_log`, as pingora's own are.
                        let problem = failed.map(|failed| failed.err());
                        tracing::error!(target: "pingora_core::services::listening", ?problem, "Downstream handshake error");
                        return;
                    }
                },
            };
            while let Some(again) = app.process_new(stream, &drain).await {
                stream = again;
            }
        });
    }
}
