//! Accepts connections, and sees each to its end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ipnet::IpNet;
use pingora::apps::HttpServerApp;
use pingora::server::ShutdownWatch;
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::app::ConnApp;
use super::arrival::{self, Failed};
use super::budget::Budget;
use super::conn::{Conn, HeadLimits, Io};
use super::connection::Connection;
use super::heads::UnfinishedHead;
use super::proxy_header::{self, Client, Malformed};
use super::seats::{Seat, Seats};
use super::signal::{Kind, Signal, until_cut};
use super::turns::Turns;
use super::wire::Wire;
use super::{http1, http2};
use crate::limit::{network, unsent_max};
use crate::record::{ListenerCounters, Pause};
use crate::state::State;
use crate::tls::{Handshake, Names};

/// How long nothing is accepted when the machine has no descriptor or memory left for it.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection that was accepted just before the process ends has for its first request.
const LAST_TIME: Duration = Duration::from_secs(1);

/// One listener, and what its connections are handed to.
pub struct Door<P> {
    /// Its position in the settings that the process started with.
    pub index: usize,
    /// What judges requests.
    pub state: &'static State,
    /// The proxy.
    pub app: Arc<P>,
    /// Who is connected, to all listeners.
    pub seats: Arc<Seats>,
    /// Those that serve; one after the other gets a connection.
    pub workers: Arc<[Worker]>,
    /// Turns true when the process ends.
    pub drain: ShutdownWatch,
}

/// A runtime of one thread, which serves connections.
#[derive(Clone, Debug)]
pub struct Worker {
    runtime: Handle,
    /// Of those there of whom nothing is known.
    turns: Arc<Turns>,
}

impl Worker {
    /// One with this runtime.
    #[must_use]
    pub fn new(runtime: &Handle, state: &'static State) -> Self {
        Self { runtime: runtime.clone(), turns: Arc::new(Turns::new(&state.metrics.turns_waiting)) }
    }
}

/// Accepts connections until the process ends, and then those that wait; the socket is closed when this returns.
///
/// # Errors
/// When the socket is none to be waited for.
pub async fn serve<P>(socket: std::net::TcpListener, door: Door<P>) -> io::Result<()>
where
    P: HttpServerApp + Send + Sync + 'static,
{
    socket.set_nonblocking(true)?;
    let local = socket.local_addr()?;
    let socket = TcpListener::from_std(socket)?;
    let door = Arc::new(door);
    let state = door.state;
    let counters = state.listeners.get(door.index).ok_or(io::ErrorKind::NotFound)?;
    let mut drain = door.drain.clone();
    let mut workers = door.workers.iter().cycle();
    let mut hand_over = |stream: TcpStream, peer: SocketAddr, permit| {
        let mut seat = door.seats.take(permit, counters, peer.ip());
        let snapshot = door.state.snapshot();
        let server = &snapshot.config.server;
        // A reload may have put the listeners into another order, or left this one out.
        let listener = snapshot.tls.listener(door.index);
        let from = listener.map_or(&[][..], |listener| &listener.proxy_protocol_from);
        let address = peer.ip().to_canonical();
        let is_in = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        let has_header = is_in(from);
        let asks = listener.and_then(|listener| listener.forward_auth.as_ref());
        let asks_from = asks.map_or(&[][..], |asks| &asks.peers);
        // Many clients come by one balancer or proxy: the limit of a client would be one of all of them.
        let is_shared = has_header || is_in(&snapshot.config.trusted_proxies.networks) || is_in(asks_from);
        let counted = if is_shared {
            seat.count_proxy(address, server.limits.connections_per_proxy)
        } else {
            seat.count_client(address, server.limits.connections_per_address)
        };
        if let Err(limit) = counted {
            return seat.signal.ends_for(limit);
        }
        drop(snapshot);
        // It is waited for where it is served.
        let (Some(worker), Ok(stream)) = (workers.next(), stream.into_std()) else { return };
        let door = Arc::clone(&door);
        let came = Came { peer, local, has_header, turns: Arc::clone(&worker.turns) };
        worker.runtime.spawn(async move {
            let signal = Arc::clone(&seat.signal);
            until_cut(&signal, async move {
                // A socket that fails at once was gone.
                let _ = connection(stream, came, seat, &door, counters).await;
            })
            .await;
        });
    };
    loop {
        let permit = match door.seats.permit_now() {
            Some(permit) => Some(permit),
            None => {
                counters.paused(Pause::Full);
                tokio::select! {
                    biased;
                    _ = drain.wait_for(|drain| *drain) => break,
                    permit = door.seats.permit() => permit,
                }
            }
        };
        let Some(permit) = permit else { return Ok(()) };
        let accepted = tokio::select! {
            biased;
            _ = drain.wait_for(|drain| *drain) => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => hand_over(stream, peer, permit),
            Err(problem) if is_exhausted(&problem) => {
                counters.paused(Pause::Exhausted);
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
            // One that was gone again before it was accepted.
            Err(_) => {}
        }
    }
    // The kernel has accepted these already: closing the socket would reset them.
    while let Some(permit) = door.seats.permit_now() {
        let accepted = std::future::poll_fn(|cx| Poll::Ready(socket.poll_accept(cx))).await;
        let Poll::Ready(Ok((stream, peer))) = accepted else { break };
        hand_over(stream, peer, permit);
    }
    drop(socket);
    door.seats.drain();
    door.state.waiting.drain();
    Ok(())
}

/// Whether the machine has no descriptor or memory left.
fn is_exhausted(problem: &io::Error) -> bool {
    let number = problem.raw_os_error().map(Errno::from_raw_os_error);
    number.is_some_and(|number| [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].contains(&number))
}

/// Where a connection comes from.
struct Came {
    peer: SocketAddr,
    local: SocketAddr,
    /// Whether it begins with a PROXY header.
    has_header: bool,
    /// Those of the worker that serves it.
    turns: Arc<Turns>,
}

/// Sees one connection to its end.
async fn connection<P>(
    stream: std::net::TcpStream,
    came: Came,
    mut seat: Seat,
    door: &Door<P>,
    counters: &'static ListenerCounters,
) -> io::Result<()>
where
    P: HttpServerApp + Send + Sync + 'static,
{
    let socket = TcpStream::from_std(stream)?;
    socket.set_nodelay(true)?;
    let snapshot = door.state.snapshot();
    let (idle, limits) = (snapshot.config.server.client_idle, snapshot.config.server.limits);
    let deadline = Instant::now() + limits.handshake_time;
    let signal = Arc::clone(&seat.signal);
    let names = snapshot.tls.listener(door.index).and_then(|listener| listener.names.clone());
    drop(snapshot);
    let is_tls = names.is_some();
    let turns = Arc::clone(&came.turns);
    let arriving = Box::pin(arrive(came, socket, &mut seat, names, door));
    let arrived = within(deadline, &signal, arriving).await.unwrap_or(Err(Failed::TooLate { is_tls }));
    let Arrived { io, is_http2, handshake, peer, local, is_unknown } = match arrived {
        Ok(arrived) => arrived,
        Err(why) => {
            why.count(&signal, counters);
            return Ok(());
        }
    };
    signal.set_kind(if is_http2 { Kind::Http2 } else { Kind::Http1 });
    let connection = Arc::new(Connection::new(
        door.index,
        (peer, local, is_unknown),
        (turns, seat.client()),
        handshake,
        signal,
        counters,
        Budget {
            seats: Arc::clone(&door.seats),
            total: &door.state.metrics.unsent,
            of_connection: limits.unsent_per_connection,
            of_process: unsent_max(limits.unsent),
            stall: limits.stall,
        },
    ));
    let unfinished = UnfinishedHead {
        seats: Arc::clone(&door.seats),
        signal: Arc::clone(&connection.signal),
        total: &door.state.metrics.unfinished_heads,
        of_process: limits.unfinished_heads,
    };
    let head = HeadLimits { bytes: limits.head_bytes_max, time: limits.head_time, unfinished };
    let conn = Conn::new(io, is_http2, head, Arc::clone(&connection), seat)?;
    let app = Arc::new(ConnApp::new(Arc::clone(&door.app), Arc::clone(&connection), idle));
    if is_http2 {
        // Apart, or the state of this loop would be a part of every connection.
        Box::pin(http2::serve(conn, app, &connection, door.drain.clone(), &limits, idle, deadline)).await;
    } else {
        http1::serve(conn, app, &door.drain).await;
    }
    Ok(())
}

/// Runs an arrival until its time is over; once the process ends, that is soon.
async fn within<T>(
    deadline: Instant,
    signal: &Signal,
    arriving: impl Future<Output = T> + Unpin,
) -> Option<T> {
    let mut arriving = arriving;
    let mut timer = std::pin::pin!(tokio::time::sleep_until(deadline));
    let mut is_last = false;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(arrived) = Pin::new(&mut arriving).poll(cx) {
            return Poll::Ready(Some(arrived));
        }
        if !is_last && signal.is_draining() {
            is_last = true;
            timer.as_mut().reset(deadline.min(Instant::now() + LAST_TIME));
        }
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// A connection whose first request can be read.
struct Arrived {
    io: Io,
    is_http2: bool,
    handshake: Option<Arc<Handshake>>,
    peer: SocketAddr,
    local: SocketAddr,
    /// The balancer does not know who its client is.
    is_unknown: bool,
}

async fn arrive<P>(
    came: Came,
    mut socket: TcpStream,
    seat: &mut Seat,
    names: Option<Arc<Names>>,
    door: &Door<P>,
) -> Result<Arrived, Failed> {
    let Came { mut peer, mut local, has_header, turns } = came;
    let mut prefix = Vec::new();
    let mut is_unknown = false;
    if has_header {
        let header = proxy_header::read(&mut socket).await.map_err(|Malformed| Failed::ProxyHeader)?;
        prefix = header.rest;
        match header.client {
            Client::Named(client, destination) => {
                (peer, local) = (client, destination);
                let max = door.state.snapshot().config.server.limits.connections_per_address;
                seat.count_client(peer.ip(), max).map_err(Failed::Limit)?;
            }
            Client::Balancer => {}
            Client::Unknown => is_unknown = true,
        }
    }
    let mut wire = Wire::new(socket);
    wire.set_prefix(prefix);
    let Some(names) = names else {
        let (io, is_http2) = arrival::plain(wire).await?;
        return Ok(Arrived { io, is_http2, handshake: None, peer, local, is_unknown });
    };
    match arrival::tls(wire, &names, &turns, network(peer.ip())).await {
        Err(Failed::PlainRequest(wire)) => {
            arrival::refuse_plain(*wire).await;
            Err(Failed::PlainAnswered)
        }
        arrived => arrived.map(|(io, is_http2, handshake)| {
            let handshake = Some(Arc::new(handshake));
            Arrived { io, is_http2, handshake, peer, local, is_unknown }
        }),
    }
}
