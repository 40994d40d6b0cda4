//! The way to the apps. Every entry takes a [`Permit`]: without one there is no peer and no header.
//!
//! Host names are resolved away from the request path; a request finds a ready peer or none.

mod answer;
mod forgeable;
mod headers;
mod identity;

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use pingora::upstreams::peer::HttpPeer;
use portcullis_config::settings;
use portcullis_policy::Permit;
use portcullis_policy::decision::Generation;

pub(crate) use answer::{Cleaned, Expected, authenticates_connection, clean};
pub(crate) use headers::{HeadPlan, Prepared, Told, forget_spelling, prepare, was_here};

/// The upstreams of every app, by position.
#[derive(Debug)]
pub struct Upstreams {
    generation: Generation,
    apps: Vec<AppUpstreams>,
    /// The cookies that carry tokens, of all apps: what one app sets may reach another.
    own_cookies: Vec<Box<[u8]>>,
}

#[derive(Debug)]
struct AppUpstreams {
    plan: HeadPlan,
    slots: Vec<Arc<Slot>>,
    turn: AtomicUsize,
}

/// One upstream server and the peer that its name last resolved to.
#[derive(Debug)]
struct Slot {
    upstream: settings::Upstream,
    timeouts: settings::Timeouts,
    /// Pooled connections never cross from one app to another.
    group: u64,
    peer: Peer,
}

/// A peer is in a box of its own, which is copied to where it is wanted and not by way of the stack.
#[derive(Debug)]
enum Peer {
    /// At an address, which needs no resolving: nothing is looked after.
    Fixed(Box<HttpPeer>),
    /// At what a name last resolved to.
    Named(ArcSwapOption<Box<HttpPeer>>),
}

impl Slot {
    fn new(upstream: &settings::Upstream, timeouts: settings::Timeouts, group: u64) -> Self {
        let mut slot =
            Self { upstream: upstream.clone(), timeouts, group, peer: Peer::Named(ArcSwapOption::empty()) };
        if let Ok(address) = slot.upstream.host.parse::<IpAddr>() {
            slot.peer = Peer::Fixed(Box::new(slot.peer_at((address, slot.upstream.port).into())));
        }
        slot.resolve();
        slot
    }

    fn peer(&self) -> Option<Box<HttpPeer>> {
        match &self.peer {
            Peer::Fixed(peer) => Some(peer.clone()),
            Peer::Named(peer) => peer.load().as_deref().cloned(),
        }
    }

    fn resolve(&self) {
        let Peer::Named(peer) = &self.peer else { return };
        let found = (self.upstream.host.as_str(), self.upstream.port).to_socket_addrs();
        match found.map(|mut addresses| addresses.next()) {
            Ok(Some(address)) => {
                let same = peer.load().as_ref().is_some_and(|peer| peer._address.as_inet() == Some(&address));
                if !same {
                    peer.store(Some(Arc::new(Box::new(self.peer_at(address)))));
                }
            }
            // The last good address goes on serving; at first there is none, and requests get 502.
            Ok(None) | Err(_) => {
                tracing::warn!(host = self.upstream.host, "the upstream's name does not resolve");
            }
        }
    }

    fn peer_at(&self, address: SocketAddr) -> HttpPeer {
        // INVARIANT: a TLS upstream has a server name (checked at load); with an empty one pingora
        // would verify nothing.
        let name = self.upstream.tls_name.clone().unwrap_or_default();
        let mut peer = HttpPeer::new(address, self.upstream.tls_name.is_some(), name);
        peer.group_key = self.group;
        peer.options.connection_timeout = Some(self.timeouts.connect);
        peer.options.total_connection_timeout = Some(self.timeouts.connect * 2);
        peer.options.read_timeout = Some(self.timeouts.read);
        peer.options.write_timeout = Some(self.timeouts.write);
        peer.options.idle_timeout = Some(self.timeouts.idle);
        peer
    }
}

impl Upstreams {
    /// Makes the upstreams and resolves their names once; blocks for that, so not on the request
    /// path.
    #[must_use]
    pub fn new(generation: Generation, apps: &[settings::App]) -> Self {
        let slots = |(position, app): (usize, &settings::App)| {
            let slot = |upstream| Arc::new(Slot::new(upstream, app.timeouts, position as u64 + 1));
            AppUpstreams {
                plan: HeadPlan::new(app),
                slots: app.upstreams.iter().map(slot).collect(),
                turn: AtomicUsize::new(0),
            }
        };
        let cookies = apps.iter().filter_map(|app| app.token.cookie.as_deref());
        Self {
            generation,
            apps: apps.iter().enumerate().map(slots).collect(),
            own_cookies: cookies.map(|name| answer::plain_cookie_name(name.as_bytes()).into()).collect(),
        }
    }

    /// Resolves every name anew. Blocks; called from the background.
    pub fn resolve(&self) {
        for slot in self.apps.iter().flat_map(|app| &app.slots) {
            slot.resolve();
        }
    }

    /// The peer for a request that was permitted. `attempt` counts from 0; each further one takes
    /// the next server.
    ///
    /// `None` when the permit is of another generation, names no app of ours, or no server's name
    /// has resolved yet.
    pub fn peer(&self, permit: &Permit, attempt: usize) -> Option<Box<HttpPeer>> {
        if permit.generation() != self.generation {
            return None;
        }
        let app = self.apps.get(permit.app().0 as usize)?;
        let first = match app.slots.len() {
            0 => return None,
            1 => 0,
            _ => app.turn.fetch_add(usize::from(attempt == 0), Ordering::Relaxed),
        };
        (0..app.slots.len())
            .find_map(|step| app.slots.get((first + attempt + step) % app.slots.len())?.peer())
    }

    /// What the app of a permit is told of the request.
    pub(crate) fn head(&self, permit: &Permit) -> Option<&HeadPlan> {
        Some(&self.apps.get(permit.app().0 as usize)?.plan)
    }

    /// The names of the cookies that no app may set, as [`clean`] wants them.
    pub(crate) fn own_cookies(&self) -> &[Box<[u8]>] {
        &self.own_cookies
    }

    /// How many servers an app has: what a request may try.
    #[must_use]
    pub fn count(&self, permit: &Permit) -> usize {
        self.apps.get(permit.app().0 as usize).map_or(0, |app| app.slots.len())
    }
}
