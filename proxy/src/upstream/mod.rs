//! The servers of the apps. Every entry takes a [`Permit`]: without one there is no server and no header.
//!
//! Host names are resolved away from the request path; a request finds a ready peer or none. Each address of
//! each server is an `Endpoint` of its own, with its own health.

mod answer;
mod clear_site_data;
mod endpoint;
mod forgeable;
mod headers;
mod identity;
mod trial;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{WrappedX509, parse_x509};
use portcullis_config::settings;
use portcullis_policy::Permit;
use portcullis_policy::decision::Generation;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

pub(crate) use answer::{Cleaned, Expected, authenticates_connection, clean};
pub(crate) use endpoint::{Endpoint, cause_of};
pub(crate) use headers::{ForwardedFor, HeadPlan, PermittedRequest, drop_header_case, has_looped, prepare};
pub(crate) use trial::try_upstream;

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
    servers: Vec<Server>,
    endpoints: Endpoints,
    turn: AtomicUsize,
}

/// Where an app's servers are.
#[derive(Debug)]
enum Endpoints {
    /// All at addresses, which need no resolving: nothing is looked after.
    Fixed(Vec<Arc<Endpoint>>),
    /// At what names last resolved to.
    Resolved(ArcSwap<Vec<Arc<Endpoint>>>),
}

/// One server as it is configured, and what a peer at one of its addresses is like.
#[derive(Debug)]
struct Server {
    upstream: settings::Upstream,
    name: Arc<str>,
    timeouts: settings::Timeouts,
    /// Pooled connections never cross from one app, or from one authority, to another.
    group: u64,
    ca: Option<Arc<CaType>>,
}

impl Server {
    fn new(app: &settings::App, upstream: &settings::Upstream) -> Result<Self, String> {
        let mut hasher = DefaultHasher::new();
        (app.id.as_str(), upstream.ca.as_ref().map(|ca| &ca.certificates)).hash(&mut hasher);
        let name = match upstream.host.contains(':') {
            true => format!("[{}]:{}", upstream.host, upstream.port),
            false => format!("{}:{}", upstream.host, upstream.port),
        };
        Ok(Self {
            name: name.into(),
            upstream: upstream.clone(),
            timeouts: app.timeouts,
            // Zero is "no group".
            group: hasher.finish() | 1,
            ca: upstream.ca.as_ref().map(authorities).transpose()?,
        })
    }

    /// The address, where it is one and no name.
    fn fixed(&self) -> Option<SocketAddr> {
        self.upstream.host.parse::<IpAddr>().ok().map(|address| (address, self.upstream.port).into())
    }

    /// All addresses; none while the name does not resolve. Blocks.
    fn addresses(&self) -> Vec<SocketAddr> {
        if let Some(address) = self.fixed() {
            return vec![address];
        }
        let mut addresses: Vec<SocketAddr> = Vec::new();
        match (self.upstream.host.as_str(), self.upstream.port).to_socket_addrs() {
            Ok(found) => {
                for address in found {
                    if !addresses.contains(&address) {
                        addresses.push(address);
                    }
                }
            }
            Err(problem) => {
                tracing::warn!(server = %self.name, cause = "dns", %problem, "the upstream's name does not resolve");
            }
        }
        addresses
    }

    fn endpoint(&self, address: SocketAddr) -> Arc<Endpoint> {
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
        peer.options.ca.clone_from(&self.ca);
        Arc::new(Endpoint::new(Arc::clone(&self.name), address, peer))
    }
}

/// Servers that one request is sent to at most.
pub(crate) const ATTEMPTS_MAX: usize = 8;

/// What cannot be read of the authorities that a configuration names, in words.
pub(crate) fn unreadable_authorities(config: &portcullis_config::Config) -> Vec<String> {
    let of_apps =
        config.apps.iter().flat_map(|app| &app.upstreams).filter_map(|upstream| upstream.ca.as_ref());
    let all = of_apps.chain(config.issuers.iter().filter_map(|issuer| issuer.ca.as_ref()));
    let mut problems: Vec<String> = all.filter_map(|ca| authorities(ca).err()).collect();
    problems.dedup();
    problems
}

/// Trust anchors as pingora wants them.
///
/// # Errors
/// When one is no certificate.
pub(crate) fn authorities(ca: &settings::Authorities) -> Result<Arc<CaType>, String> {
    let mut roots = rustls::RootCertStore::empty();
    let mut parsed = Vec::new();
    for der in &ca.certificates {
        let is_whole = X509Certificate::from_der(der).is_ok_and(|(rest, _)| rest.is_empty());
        if !is_whole || roots.add(der.clone().into()).is_err() {
            return Err(format!(
                "error[ca/certificate]: {}: one of its certificates cannot be read\n  = help: it holds PEM certificates of authorities\n",
                ca.file.display()
            ));
        }
        parsed.push(WrappedX509::new(der.clone(), parse_x509));
    }
    Ok(parsed.into())
}

/// Which endpoint a request was sent to.
#[derive(Clone, Debug)]
pub(crate) enum Chosen {
    /// By its place in this generation: nobody shares the count of its owners.
    Fixed(Generation, usize),
    /// Itself: a name may resolve to something else meanwhile.
    Resolved(Arc<Endpoint>),
}

impl AppUpstreams {
    fn new(app: &settings::App, assertion: Option<&str>) -> Result<Self, String> {
        let servers = app.upstreams.iter().map(|upstream| Server::new(app, upstream));
        let servers = servers.collect::<Result<Vec<Server>, String>>()?;
        let fixed: Option<Vec<_>> =
            servers.iter().map(|server| Some(server.endpoint(server.fixed()?))).collect();
        let endpoints = match fixed {
            Some(fixed) => Endpoints::Fixed(fixed),
            None => Endpoints::Resolved(ArcSwap::default()),
        };
        let made =
            Self { plan: HeadPlan::new(app, assertion), servers, endpoints, turn: AtomicUsize::new(0) };
        made.resolve();
        Ok(made)
    }

    /// Each server once, by its configured name, and whether any of its addresses takes requests.
    fn servers(&self) -> Vec<(Arc<str>, bool)> {
        let resolved;
        let endpoints = match &self.endpoints {
            Endpoints::Fixed(endpoints) => endpoints,
            Endpoints::Resolved(current) => {
                resolved = current.load();
                &**resolved
            }
        };
        let mut servers: Vec<(Arc<str>, bool)> = Vec::new();
        for server in &self.servers {
            if servers.iter().all(|(name, _)| *name != server.name) {
                let is_up = endpoints.iter().any(|one| *one.server == *server.name && one.is_up());
                servers.push((Arc::clone(&server.name), is_up));
            }
        }
        servers
    }

    /// Whether each address would take a request now, if only to see whether it answers again.
    fn open_servers(&self) -> Vec<bool> {
        match &self.endpoints {
            Endpoints::Fixed(endpoints) => endpoints.iter().map(|one| one.would_take()).collect(),
            Endpoints::Resolved(current) => current.load().iter().map(|one| one.would_take()).collect(),
        }
    }

    /// Resolves every name anew. What is known of an address stays with it; a name that does not resolve keeps
    /// the addresses that it had.
    fn resolve(&self) {
        let Endpoints::Resolved(current) = &self.endpoints else { return };
        let former = current.load();
        let mut next: Vec<Arc<Endpoint>> = Vec::new();
        for server in &self.servers {
            let of_server = || former.iter().filter(|known| *known.server == *server.name);
            let addresses = server.addresses();
            if addresses.is_empty() {
                next.extend(of_server().cloned());
            }
            next.extend(addresses.into_iter().map(|address| {
                let known = of_server().find(|known| known.address == address).cloned();
                known.unwrap_or_else(|| server.endpoint(address))
            }));
        }
        let is_same =
            next.len() == former.len() && next.iter().zip(former.iter()).all(|(a, b)| Arc::ptr_eq(a, b));
        if !is_same {
            current.store(Arc::new(next));
        }
    }
}

/// The next endpoint in turn that takes requests and was not tried; else one that was not tried; else the
/// next one.
fn choose(turn: &AtomicUsize, endpoints: &[Arc<Endpoint>], tried: &[SocketAddr]) -> Option<usize> {
    let count = endpoints.len();
    let first = match count {
        0 => return None,
        1 => return Some(0),
        _ => turn.fetch_add(usize::from(tried.is_empty()), Ordering::Relaxed),
    };
    let in_turn = || (0..count).map(|step| first.wrapping_add(tried.len() + step) % count);
    let is_fresh = |at: &usize| endpoints.get(*at).is_some_and(|one| !tried.contains(&one.address));
    in_turn()
        .filter(is_fresh)
        .find(|at| endpoints.get(*at).is_some_and(|one| one.takes_requests()))
        .or_else(|| in_turn().find(is_fresh))
        .or_else(|| in_turn().next())
}

impl Upstreams {
    /// Makes the upstreams and resolves their names once; blocks for that, so not on the request
    /// path. `assertion` is the header of assertions, if there are any.
    ///
    /// # Errors
    /// When an authority's certificate cannot be read.
    pub fn new(
        generation: Generation,
        apps: &[settings::App],
        assertion: Option<&str>,
    ) -> Result<Self, String> {
        let cookies = apps.iter().filter_map(|app| app.token.cookie.as_deref());
        Ok(Self {
            generation,
            apps: apps.iter().map(|app| AppUpstreams::new(app, assertion)).collect::<Result<_, _>>()?,
            own_cookies: cookies.map(|name| answer::plain_cookie_name(name.as_bytes()).into()).collect(),
        })
    }

    /// Resolves every name anew. Blocks; called from the background.
    pub fn resolve(&self) {
        for app in &self.apps {
            app.resolve();
        }
    }

    /// The servers of each app, in the apps' order, and whether they take requests; for a scrape.
    pub fn servers(&self) -> impl Iterator<Item = Vec<(Arc<str>, bool)>> {
        self.apps.iter().map(AppUpstreams::servers)
    }

    /// Whether each server of each app would take a request now.
    pub(crate) fn open_servers(&self) -> impl Iterator<Item = bool> {
        self.apps.iter().flat_map(AppUpstreams::open_servers)
    }

    /// Whether a server of the permit's app would take a request now.
    pub(crate) fn would_take(&self, permit: &Permit) -> bool {
        self.app(permit).is_some_and(|app| app.open_servers().contains(&true))
    }

    fn app(&self, permit: &Permit) -> Option<&AppUpstreams> {
        if permit.generation() != self.generation {
            return None;
        }
        self.apps.get(permit.app().0 as usize)
    }

    /// Where a request that was permitted is sent. `tried` are the addresses that failed it already; it is
    /// sent to none of them while another is there.
    ///
    /// `None` when the permit is of another generation, names no app of ours, or no server's name
    /// has resolved yet.
    pub(crate) fn choose(&self, permit: &Permit, tried: &[SocketAddr]) -> Option<Chosen> {
        let app = self.app(permit)?;
        match &app.endpoints {
            Endpoints::Fixed(endpoints) => {
                choose(&app.turn, endpoints, tried).map(|at| Chosen::Fixed(self.generation, at))
            }
            Endpoints::Resolved(current) => {
                let endpoints = current.load();
                let at = choose(&app.turn, &endpoints, tried)?;
                endpoints.get(at).cloned().map(Chosen::Resolved)
            }
        }
    }

    /// What was chosen.
    pub(crate) fn endpoint<'s>(&'s self, permit: &Permit, chosen: &'s Chosen) -> Option<&'s Endpoint> {
        match (chosen, &self.app(permit)?.endpoints) {
            (Chosen::Resolved(endpoint), _) => Some(endpoint),
            // After a reload the places are others.
            (Chosen::Fixed(of, at), Endpoints::Fixed(endpoints)) if *of == self.generation => {
                endpoints.get(*at).map(Arc::as_ref)
            }
            (Chosen::Fixed(..), _) => None,
        }
    }

    /// Whether there is an address of the app that has not failed the request.
    pub(crate) fn has_another(&self, permit: &Permit, tried: &[SocketAddr]) -> bool {
        let another = |endpoints: &[Arc<Endpoint>]| endpoints.iter().any(|one| !tried.contains(&one.address));
        self.app(permit).is_some_and(|app| match &app.endpoints {
            Endpoints::Fixed(endpoints) => another(endpoints),
            Endpoints::Resolved(current) => another(&current.load()),
        })
    }

    /// What the app of a permit receives of the request.
    pub(crate) fn head(&self, permit: &Permit) -> Option<&HeadPlan> {
        Some(&self.apps.get(permit.app().0 as usize)?.plan)
    }

    /// The names of the cookies that no app may set, as [`clean`] wants them.
    pub(crate) fn own_cookies(&self) -> &[Box<[u8]>] {
        &self.own_cookies
    }
}

#[cfg(test)]
mod tests {
    use pingora::{Error, ErrorType};

    use super::*;
    use crate::failure::NetworkFailure;

    fn endpoints(count: u8) -> Vec<Arc<Endpoint>> {
        let endpoint = |last: u8| {
            let address = SocketAddr::from(([127, 0, 0, last], 80));
            Arc::new(Endpoint::new("app:80".into(), address, HttpPeer::new(address, false, String::new())))
        };
        (1..=count).map(endpoint).collect()
    }

    fn fail(endpoint: &Endpoint) {
        let problem = Error::explain(ErrorType::ConnectRefused, "nobody there");
        endpoint.failed("wiki", NetworkFailure::Refused, true, &problem);
    }

    #[test]
    fn all_addresses_are_asked_in_turn_and_one_that_failed_is_not_asked_again() {
        let (all, turn) = (endpoints(3), AtomicUsize::new(0));
        let chosen: Vec<_> = (0..6).filter_map(|_| choose(&turn, &all, &[])).collect();
        assert_eq!(chosen, [0, 1, 2, 0, 1, 2]);
        for _ in 0..3 {
            let mut tried = Vec::new();
            for _ in 0..3 {
                let at = choose(&turn, &all, &tried).unwrap();
                assert!(!tried.contains(&all[at].address));
                tried.push(all[at].address);
            }
            assert!(choose(&turn, &all, &tried).is_some(), "then the next one");
        }
        assert_eq!(choose(&turn, &[], &[]), None);
    }

    #[test]
    fn what_is_left_out_is_asked_only_when_nothing_else_is_left() {
        let (all, turn) = (endpoints(3), AtomicUsize::new(0));
        fail(&all[0]);
        fail(&all[2]);
        assert!((0..6).all(|_| choose(&turn, &all, &[]) == Some(1)));
        assert_ne!(choose(&turn, &all, &[all[1].address]), Some(1), "it may have come back");
        fail(&all[1]);
        let mut chosen: Vec<_> = (0..3).filter_map(|_| choose(&turn, &all, &[])).collect();
        chosen.sort_unstable();
        assert_eq!(chosen, [0, 1, 2], "that all are out stops nothing");
    }
}
