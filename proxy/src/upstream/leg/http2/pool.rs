//! Which connection a request goes over: one that has room, or a new one, which all who wait for it share.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pingora::connectors::TransportConnector;
use pingora::protocols::{ALPN, Stream};
use pingora::upstreams::peer::{HttpPeer, Peer as _};
use tokio::sync::watch;

use super::super::fault::{Failure, Fault};
use super::STREAMS_MAX;
use super::connection::{Connection, Shared, Slot, open};
use crate::failure::NetworkFailure;

/// How long a server may take to say what it takes, and an idle connection stays, where a peer does not say.
const TIME: Duration = Duration::from_secs(10);
/// How often a request looks for room on connections that others made. With each, others found theirs.
const ROUNDS_MAX: usize = 32;
/// Connections that are made for one request: each has a place for it, unless the server ends it at once.
const DIALS_MAX: usize = 2;

/// Connections in HTTP/2 to the servers of all apps, by what they may be shared for.
pub(crate) struct Pool {
    transport: Arc<TransportConnector>,
    /// Read at each request, and changed where a server is met first, or is met no more.
    servers: Arc<Servers>,
}

type Servers = ArcSwap<HashMap<u64, Arc<Server>>>;

/// What a request goes over.
pub(crate) enum Found {
    Http2(Slot),
    /// The server chose HTTP/1.1.
    Http1 {
        stream: Stream,
        is_reused: bool,
    },
}

/// Connections to one server.
///
/// Its lock is taken once a request, for as long as it takes to count; the library takes one of the connection at each step.
#[derive(Default)]
struct Server {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Vec<Arc<Connection>>,
    dials: Vec<Dial>,
    /// What the last connection had room for.
    room: Option<usize>,
    /// It chose HTTP/1.1 when it could.
    prefers_http1: bool,
}

/// A connection that is being made.
struct Dial {
    waiting: usize,
    made: watch::Receiver<Option<Made>>,
}

/// What came of it. Over HTTP/1.1 one takes the connection.
#[derive(Clone)]
enum Made {
    /// With a place for whoever asked for it, where the server has not ended it already.
    Http2(Arc<Mutex<Option<Slot>>>),
    Http1(Arc<Mutex<Option<Stream>>>),
    Failed(Arc<Failure>),
}

/// What a request does next.
enum Next {
    Go(Slot),
    Wait(watch::Receiver<Option<Made>>),
    Dial(watch::Sender<Option<Made>>, watch::Receiver<Option<Made>>),
    /// By itself, for a connection would not be shared.
    Alone,
    /// It had its connections made, and none of them lasted.
    GiveUp,
}

impl Pool {
    pub(in super::super) fn new(transport: Arc<TransportConnector>) -> Self {
        Self { transport, servers: Arc::default() }
    }

    /// Whether requests to a peer may go over HTTP/2.
    pub(in super::super) fn serves(peer: &HttpPeer) -> bool {
        match peer.options.alpn {
            ALPN::H2 => true,
            // Without TLS nothing is chosen.
            ALPN::H2H1 => peer.tls(),
            ALPN::H1 | ALPN::Custom(_) => false,
        }
    }

    /// A place on a connection to a peer, or the connection itself where the server chose HTTP/1.1: then one that is idle,
    /// unless a `fresh` one is wanted.
    ///
    /// # Errors
    /// When no connection could be made, within the peer's times.
    pub(in super::super) async fn find(&self, peer: &HttpPeer, fresh: bool) -> Result<Found, Fault> {
        let key = peer.reuse_hash();
        let may_be_http1 = peer.options.alpn != ALPN::H2;
        let mut dials = 0;
        for _ in 0..ROUNDS_MAX {
            let server = self.server(key);
            let (mut made, is_ours) = match server.next(may_be_http1, dials < DIALS_MAX) {
                Next::Go(slot) => return Ok(Found::Http2(slot)),
                Next::Wait(made) => (made, false),
                Next::GiveUp => return Err(Fault::Closed),
                Next::Alone => {
                    dials += 1;
                    if !fresh && let Some(stream) = self.transport.reused_stream(peer).await {
                        return Ok(Found::Http1 { stream, is_reused: true });
                    }
                    match connect(&self.transport, peer).await? {
                        (stream, Speaks::Http1) => return Ok(Found::Http1 { stream, is_reused: false }),
                        (stream, Speaks::Http2) => {
                            match adopt(key, &self.servers, &server, stream, peer).await? {
                                Some(slot) => return Ok(Found::Http2(slot)),
                                None => continue,
                            }
                        }
                    }
                }
                Next::Dial(sender, made) => {
                    dials += 1;
                    self.dial(key, server, peer, sender);
                    (made, true)
                }
            };
            let made = made.wait_for(Option::is_some).await.ok().and_then(|made| made.clone());
            match made {
                Some(Made::Http2(place)) if is_ours => {
                    if let Some(slot) = place.lock().take() {
                        return Ok(Found::Http2(slot));
                    }
                }
                Some(Made::Http2(_)) => {}
                Some(Made::Http1(stream)) => {
                    if let Some(stream) = stream.lock().take() {
                        return Ok(Found::Http1 { stream, is_reused: false });
                    }
                }
                Some(Made::Failed(failure)) => return Err(Fault::Shared(failure)),
                // Whoever made it has panicked, or the process ends.
                None => return Err(Fault::Closed),
            }
        }
        // No connection had room.
        Err(Fault::Timeout(NetworkFailure::ConnectTimeout))
    }

    fn server(&self, key: u64) -> Arc<Server> {
        if let Some(known) = self.servers.load().get(&key) {
            return Arc::clone(known);
        }
        let new = Arc::new(Server::default());
        let mut found = Arc::clone(&new);
        self.servers.rcu(|servers| {
            let mut servers = HashMap::clone(servers);
            found = Arc::clone(servers.entry(key).or_insert_with(|| Arc::clone(&new)));
            servers
        });
        found
    }

    /// Makes a connection for all who wait for it, whoever of them goes away meanwhile.
    fn dial(&self, key: u64, server: Arc<Server>, peer: &HttpPeer, done: watch::Sender<Option<Made>>) {
        let (transport, peer) = (Arc::clone(&self.transport), peer.clone());
        let servers = Arc::clone(&self.servers);
        tokio::spawn(async move {
            let made = match connect(&transport, &peer).await {
                Ok((stream, Speaks::Http1)) => {
                    server.state.lock().prefers_http1 = true;
                    Made::Http1(Arc::new(Mutex::new(Some(stream))))
                }
                Ok((stream, Speaks::Http2)) => match adopt(key, &servers, &server, stream, &peer).await {
                    Ok(place) => Made::Http2(Arc::new(Mutex::new(place))),
                    Err(fault) => Made::Failed(Arc::new(fault.into())),
                },
                Err(fault) => Made::Failed(Arc::new(fault.into())),
            };
            // Before it is told, so that nobody waits for what has been.
            server.state.lock().dials.retain(|dial| !dial.made.same_channel(&done.subscribe()));
            done.send_replace(Some(made));
            server.forget_unused(key, &servers);
        });
    }
}

/// Makes a connection one of a server's, and takes the first place on it; `None` where the server ends it already.
async fn adopt(
    key: u64,
    servers: &Arc<Servers>,
    server: &Arc<Server>,
    stream: Stream,
    peer: &HttpPeer,
) -> Result<Option<Slot>, Fault> {
    let time = peer.connection_timeout().unwrap_or(TIME);
    let idle = peer.idle_timeout().unwrap_or(TIME);
    let (of_server, of_servers): (Weak<Server>, Weak<Servers>) =
        (Arc::downgrade(server), Arc::downgrade(servers));
    let ended = move |shared: &Arc<Shared>| {
        if let Some(server) = of_server.upgrade() {
            server.state.lock().open.retain(|one| !Arc::ptr_eq(&one.shared, shared));
            if let Some(servers) = of_servers.upgrade() {
                server.forget_unused(key, &servers);
            }
        }
    };
    let connection = open(stream, time, idle, ended).await?;
    let place = Slot::of(&connection);
    let mut state = server.state.lock();
    state.prefers_http1 = false;
    state.room = Some(connection.shared.limit());
    // It may have ended at once, and its task looked for it in vain.
    if !connection.shared.is_retired() {
        state.open.push(connection);
    }
    Ok(place)
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
}

async fn connect(transport: &TransportConnector, peer: &HttpPeer) -> Result<(Stream, Speaks), Fault> {
    let stream = Box::pin(transport.new_stream(peer)).await.map_err(Fault::Connect)?;
    let speaks = match (peer.tls(), stream.selected_alpn_proto()) {
        (false, _) | (true, Some(ALPN::H2)) => Speaks::Http2,
        (true, _) if peer.options.alpn == ALPN::H2 => return Err(NO_HTTP2),
        (true, _) => Speaks::Http1,
    };
    Ok((stream, speaks))
}

const NO_HTTP2: Fault = Fault::protocol("the server does not choose HTTP/2 in the handshake of TLS");

impl Server {
    fn next(&self, may_be_http1: bool, may_dial: bool) -> Next {
        let mut state = self.state.lock();
        state.open.retain(|connection| !connection.shared.is_retired());
        if let Some(slot) = state.open.iter().find_map(Slot::of) {
            return Next::Go(slot);
        }
        if may_be_http1 && state.prefers_http1 && may_dial {
            return Next::Alone;
        }
        let room = state.room.unwrap_or(STREAMS_MAX).max(1);
        if let Some(dial) = state.dials.iter_mut().find(|dial| dial.waiting < room) {
            dial.waiting += 1;
            return Next::Wait(dial.made.clone());
        }
        if !may_dial {
            return Next::GiveUp;
        }
        let (sender, made) = watch::channel(None);
        state.dials.push(Dial { waiting: 1, made: made.clone() });
        Next::Dial(sender, made)
    }

    /// Leaves nothing behind of a server that is met no more, as after a reload. What it chose is then asked again.
    fn forget_unused(self: &Arc<Self>, key: u64, servers: &Servers) {
        let is_unused = || {
            let state = self.state.lock();
            state.open.is_empty() && state.dials.is_empty() && !state.prefers_http1
        };
        if is_unused() {
            servers.rcu(|servers| {
                let mut servers = HashMap::clone(servers);
                if servers.get(&key).is_some_and(|known| Arc::ptr_eq(known, self)) && is_unused() {
                    servers.remove(&key);
                }
                servers
            });
        }
    }
}
