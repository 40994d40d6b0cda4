//! The servers of the apps. Every entry takes a [`Permit`]: without one there is no server and no header.
//!
//! Host names are resolved away from the request path; a request finds a ready peer or none. Each address of
//! each server is an `Endpoint` of its own, with its own health.

mod address;
mod answer;
mod clear_site_data;
mod endpoint;
mod forgeable;
mod headers;
mod identity;
pub(crate) mod leg;
mod trial;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use portcullis_config::settings::{self, UpstreamAddress, UpstreamProtocol};
use portcullis_policy::Permit;
use portcullis_policy::decision::Generation;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::tls::ClientIdentity;

pub(crate) use address::Address;
pub(crate) use answer::{Cleaned, Expected, authenticates_connection, clean};
pub(crate) use endpoint::Endpoint;
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
    /// At an address of which nothing must be asked first.
    fixed: Option<Arc<Endpoint>>,
    template: Template,
}

/// What the connections to all addresses of a server have in common.
#[derive(Debug)]
struct Template {
    timeouts: settings::Timeouts,
    /// Pooled connections never cross from one app, authority, certificate of ours or protocol to another.
    group: u64,
    tls_name: Option<String>,
    ca: Option<Arc<CaType>>,
    client: Option<Arc<CertKey>>,
    protocol: UpstreamProtocol,
}

impl Template {
    fn new(app: &settings::App, upstream: &settings::Upstream) -> Result<Self, String> {
        let identity = upstream.tls.as_ref().and_then(|tls| tls.client.as_ref()).map(client_identity);
        let identity = identity.transpose()?;
        let ca = upstream.tls.as_ref().and_then(|tls| tls.ca.as_ref());
        let mut hasher = DefaultHasher::new();
        (app.id.as_str(), ca.map(|ca| &ca.certificates), upstream.protocol.as_str()).hash(&mut hasher);
        identity.as_ref().map(|identity| (&identity.chain, &identity.key)).hash(&mut hasher);
        Ok(Self {
            timeouts: app.timeouts,
            // Zero is "no group".
            group: hasher.finish() | 1,
            tls_name: upstream.tls_name().map(ToOwned::to_owned),
            ca: ca.map(authorities).transpose()?,
            client: identity.map(|identity| Arc::new(CertKey::new(identity.chain, identity.key))),
            protocol: upstream.protocol,
        })
    }

    /// What pingora connects to at an address of the server.
    fn peer(&self, address: &Address) -> Result<HttpPeer, String> {
        let mut peer = address.peer(self.tls_name.as_deref()).map_err(|problem| problem.to_string())?;
        peer.group_key = self.group;
        peer.client_cert_key.clone_from(&self.client);
        peer.options.connection_timeout = Some(self.timeouts.connect);
        peer.options.total_connection_timeout = Some(self.timeouts.connect * 2);
        peer.options.read_timeout = Some(self.timeouts.first_byte.min(self.timeouts.read));
        peer.options.write_timeout = Some(self.timeouts.write);
        peer.options.idle_timeout = Some(self.timeouts.idle);
        peer.options.ca.clone_from(&self.ca);
        match self.protocol {
            UpstreamProtocol::Http1 | UpstreamProtocol::Auto => peer.options.set_http_version(1, 1),
            UpstreamProtocol::Http2 => peer.options.set_http_version(2, 2),
        }
        Ok(peer)
    }

    fn endpoint(&self, name: &Arc<str>, address: Address) -> Result<Arc<Endpoint>, String> {
        let peer = self.peer(&address)?;
        Ok(Arc::new(Endpoint::new(Arc::clone(name), address, peer)))
    }
}

impl Server {
    fn new(app: &settings::App, upstream: &settings::Upstream) -> Result<Self, String> {
        let template = Template::new(app, upstream)?;
        let name: Arc<str> = upstream.at.to_string().into();
        let fixed = match &upstream.at {
            UpstreamAddress::Network { host, port } => {
                host.parse::<IpAddr>().ok().map(|address| Address::from(SocketAddr::from((address, *port))))
            }
            UpstreamAddress::Unix(path) => Some(Address::Unix(path.as_str().into())),
        };
        let fixed = fixed.map(|address| template.endpoint(&name, address)).transpose()?;
        Ok(Self { upstream: upstream.clone(), name, fixed, template })
    }

    /// All addresses of its name; none while it does not resolve. Blocks.
    fn addresses(&self) -> Vec<Address> {
        let UpstreamAddress::Network { host, port } = &self.upstream.at else { return Vec::new() };
        let mut addresses: Vec<Address> = Vec::new();
        match (host.as_str(), *port).to_socket_addrs() {
            Ok(found) => {
                for address in found.map(Address::from) {
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
}

/// What we show to servers that ask who we are.
fn client_identity(files: &settings::CertificatePair) -> Result<ClientIdentity, String> {
    ClientIdentity::read(files).map_err(|problem| {
        format!(
            "error[tls/pair]: {} with {}: {problem}\n  = help: they are a certificate chain and its private key, in PEM\n",
            files.certificate.display(),
            files.key.display()
        )
    })
}

/// Servers that one request is sent to at most.
pub(crate) const ATTEMPTS_MAX: usize = 8;

/// What cannot be read of the authorities that a configuration names, in words.
pub(crate) fn unreadable_authorities(config: &portcullis_config::Config) -> Vec<String> {
    let of_apps = config
        .apps
        .iter()
        .flat_map(|app| &app.upstreams)
        .filter_map(|upstream| upstream.tls.as_ref()?.ca.as_ref());
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
        let fixed: Option<Vec<_>> = servers.iter().map(|server| server.fixed.clone()).collect();
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
            if let Some(fixed) = &server.fixed {
                next.push(Arc::clone(fixed));
                continue;
            }
            let of_server = || former.iter().filter(|known| *known.server == *server.name);
            let addresses = server.addresses();
            if addresses.is_empty() {
                next.extend(of_server().cloned());
            }
            next.extend(addresses.into_iter().filter_map(|address| {
                let known = of_server().find(|known| known.address == address).cloned();
                known.or_else(|| server.template.endpoint(&server.name, address).ok())
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
fn choose(turn: &AtomicUsize, endpoints: &[Arc<Endpoint>], tried: &[Address]) -> Option<usize> {
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
    pub(crate) fn choose(&self, permit: &Permit, tried: &[Address]) -> Option<Chosen> {
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
    pub(crate) fn has_another(&self, permit: &Permit, tried: &[Address]) -> bool {
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
            let address = Address::from(SocketAddr::from(([127, 0, 0, last], 80)));
            let peer = address.peer(None).unwrap();
            Arc::new(Endpoint::new("app:80".into(), address, peer))
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
                tried.push(all[at].address.clone());
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
        assert_ne!(choose(&turn, &all, &[all[1].address.clone()]), Some(1), "it may have come back");
        fail(&all[1]);
        let mut chosen: Vec<_> = (0..3).filter_map(|_| choose(&turn, &all, &[])).collect();
        chosen.sort_unstable();
        assert_eq!(chosen, [0, 1, 2], "that all are out stops nothing");
    }
}
