//! The servers of the apps. Every entry takes a [`Permit`]: without one there is no server and no header.
//!
//! Host names are resolved away from the request path; a request finds a ready peer or none. Each address of
//! each server is an `Endpoint` of its own, with its own health, which outlives reloads.

mod address;
mod answer;
mod back;
mod balance;
mod cause;
mod clear_site_data;
mod endpoint;
mod forgeable;
mod headers;
mod health;
mod identity;
pub(crate) mod leg;
mod outstanding;
mod resolve;
mod retry;
mod trial;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use portcullis_config::Config;
use portcullis_config::settings::{self, Balance, UpstreamAddress, UpstreamProtocol};
use portcullis_policy::Permit;
use portcullis_policy::decision::Generation;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use self::balance::{Pool, Sticky};
use self::health::Subject;
use self::resolve::Names;
use crate::record::ServerMetrics;
use crate::seal::Seals;
use crate::session::CookieForm;
use crate::tls::ClientIdentity;

pub(crate) use address::Address;
pub(crate) use answer::{Cleaned, Expected, authenticates_connection, change_fields, clean};
pub(crate) use back::Public;
pub(crate) use balance::{Affinity, Asking};
pub(crate) use endpoint::Endpoint;
pub(crate) use headers::{
    ForwardedFor, HeadPlan, PermittedRequest, authority, drop_header_case, has_looped, prepare,
};
pub(crate) use health::{Health, HealthReading, Standing};
pub(crate) use outstanding::InFlight;
pub(crate) use resolve::Name;
pub(crate) use retry::{Budget, Failed, Retry, Stage};
pub(crate) use trial::try_upstream;

/// The upstreams of every app, by position.
#[derive(Debug)]
pub struct Upstreams {
    generation: Generation,
    apps: Vec<AppUpstreams>,
    names: Names,
    /// The cookies that carry tokens, of all apps: what one app sets may reach another.
    own_cookies: Vec<Box<[u8]>>,
}

#[derive(Debug)]
struct AppUpstreams {
    id: Box<str>,
    plan: HeadPlan,
    panic_percent: u8,
    servers: Vec<Server>,
    endpoints: Endpoints,
    balance: Balance,
    sticky: Option<Sticky>,
    /// Of the app, whatever its servers are: a reload in the middle of an outage begins none anew.
    budget: Arc<Budget>,
}

/// Where an app's servers are.
#[derive(Debug)]
enum Endpoints {
    /// All at addresses, which need no resolving: nothing is looked after.
    Fixed(Pool),
    /// At what names last resolved to.
    Resolved(ArcSwap<Pool>),
}

/// One server as it is configured, and what a peer at one of its addresses is like.
#[derive(Debug)]
struct Server {
    app: Arc<str>,
    name: Arc<str>,
    at: At,
    weight: u16,
    health: settings::Health,
    metrics: Arc<ServerMetrics>,
    template: Template,
}

/// Where a server is.
#[derive(Debug)]
enum At {
    /// At an address of which nothing must be asked first.
    Fixed(Address),
    /// At a port of what a name resolves to.
    Resolved(Arc<Name>, u16),
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
            UpstreamProtocol::Http1 => peer.options.set_http_version(1, 1),
            UpstreamProtocol::Http2 => peer.options.set_http_version(2, 2),
            UpstreamProtocol::Auto => peer.options.set_http_version(2, 1),
        }
        Ok(peer)
    }

    /// Whoever answers to this at an address is the same server.
    fn reached_by(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.group, &self.tls_name).hash(&mut hasher);
        hasher.finish()
    }
}

impl Server {
    fn new(
        app: &settings::App,
        upstream: &settings::Upstream,
        known: &mut Known<'_>,
    ) -> Result<Self, String> {
        let name: Arc<str> = upstream.at.to_string().into();
        let at = match &upstream.at {
            UpstreamAddress::Network { host, port } => match host.parse::<IpAddr>() {
                Ok(address) => At::Fixed(SocketAddr::from((address, *port)).into()),
                Err(_) => At::Resolved(known.name(host), *port),
            },
            UpstreamAddress::Unix(path) => At::Fixed(Address::Unix(path.as_str().into())),
        };
        Ok(Self {
            app: app.id.as_str().into(),
            metrics: known.metrics(&app.id, &name),
            name,
            at,
            weight: upstream.weight,
            health: app.health.clone(),
            template: Template::new(app, upstream)?,
        })
    }

    /// All addresses; none while its name does not resolve.
    fn addresses(&self) -> Vec<Address> {
        match &self.at {
            At::Fixed(address) => vec![address.clone()],
            At::Resolved(name, port) => {
                name.addresses().into_iter().map(|ip| SocketAddr::from((ip, *port)).into()).collect()
            }
        }
    }

    const fn resolved(&self) -> Option<&Arc<Name>> {
        match &self.at {
            At::Fixed(_) => None,
            At::Resolved(name, _) => Some(name),
        }
    }

    /// An endpoint at an address, with the health of `former` that is of the very same one.
    fn endpoint<'e>(
        &self,
        address: Address,
        former: impl IntoIterator<Item = &'e Arc<Endpoint>>,
    ) -> Result<Arc<Endpoint>, String> {
        let peer = self.template.peer(&address)?;
        let subject = Subject {
            app: Arc::clone(&self.app),
            server: Arc::clone(&self.name),
            address: address.to_string(),
            reached_by: self.template.reached_by(),
            settings: self.health.clone(),
        };
        let known = former.into_iter().map(|one| one.health()).find(|one| *one.subject() == subject).cloned();
        let health =
            known.unwrap_or_else(|| Arc::new(Health::new(subject, peer.clone(), Arc::clone(&self.metrics))));
        Ok(Arc::new(Endpoint::new(Arc::clone(&self.name), address, peer, health)))
    }
}

/// What the configuration before knows, and what this one has in common.
struct Known<'k> {
    former: Option<&'k Upstreams>,
    names: &'k mut Names,
    dns: &'k settings::Dns,
}

impl<'k> Known<'k> {
    fn name(&mut self, host: &str) -> Arc<Name> {
        self.names.of(host, self.dns, self.former.map(|former| &former.names))
    }

    /// The app of this id as it was before.
    fn app(&self, id: &str) -> Option<&'k AppUpstreams> {
        self.former?.apps.iter().find(|app| app.servers.iter().any(|server| *server.app == *id))
    }

    fn metrics(&self, app: &str, server: &str) -> Arc<ServerMetrics> {
        let known = self.app(app).and_then(|app| app.servers.iter().find(|one| *one.name == *server));
        known.map_or_else(Arc::default, |server| Arc::clone(&server.metrics))
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

/// What cannot be read of the authorities that a configuration names, in words.
pub(crate) fn unreadable_authorities(config: &Config) -> Vec<String> {
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
    fn new(app: &settings::App, assertion: Option<&str>, known: &mut Known<'_>) -> Result<Self, String> {
        let servers = app.upstreams.iter().map(|upstream| Server::new(app, upstream, known));
        let servers = servers.collect::<Result<Vec<Server>, String>>()?;
        let former = known.app(&app.id).map(AppUpstreams::current).unwrap_or_default();
        let endpoints = if servers.iter().any(|server| server.resolved().is_some()) {
            // What is known of them goes on; which of them still are is for `refresh` to say.
            let weight = |one: &Arc<Endpoint>| {
                servers.iter().find(|server| *server.name == *one.server).map_or(0, |server| server.weight)
            };
            let former = former.into_iter().map(|one| (Arc::clone(&one), weight(&one)));
            Endpoints::Resolved(ArcSwap::from_pointee(Pool::new(&app.id, former)))
        } else {
            let mut weighted = Vec::new();
            for server in &servers {
                for address in server.addresses() {
                    weighted.push((server.endpoint(address, &former)?, server.weight));
                }
            }
            Endpoints::Fixed(Pool::new(&app.id, weighted))
        };
        let plan = HeadPlan::new(app, assertion);
        Ok(Self {
            id: app.id.as_str().into(),
            plan,
            panic_percent: app.health.panic_percent,
            servers,
            endpoints,
            balance: app.balance.clone(),
            sticky: Sticky::of(app),
            budget: known.app(&app.id).map(|former| Arc::clone(&former.budget)).unwrap_or_default(),
        })
    }

    /// Whatever is asked of the servers' addresses.
    fn with_pool<T>(&self, ask: impl FnOnce(&Pool) -> T) -> T {
        match &self.endpoints {
            Endpoints::Fixed(pool) => ask(pool),
            Endpoints::Resolved(current) => ask(&current.load()),
        }
    }

    /// Every endpoint.
    fn current(&self) -> Vec<Arc<Endpoint>> {
        self.with_pool(|pool| pool.endpoints().cloned().collect())
    }

    /// Each server once, by its configured name.
    fn servers(&self) -> Vec<ServerState<'_>> {
        let endpoints = self.current();
        let mut states: Vec<ServerState<'_>> = Vec::new();
        for server in &self.servers {
            if states.iter().all(|state| *state.server != *server.name) {
                let own = endpoints.iter().filter(|one| *one.server == *server.name);
                states.push(ServerState {
                    server: &server.name,
                    metrics: &server.metrics,
                    name: server.resolved().map(Arc::as_ref),
                    is_checked: server.health.check.is_some(),
                    addresses: own.map(|one| one.health().read()).collect(),
                });
            }
        }
        states
    }

    /// Whether each address would take a request now, if only to see whether it answers again.
    fn open_servers(&self) -> Vec<bool> {
        self.with_pool(|pool| pool.endpoints().map(|one| one.would_take()).collect())
    }

    /// Whether all its addresses get requests, because too few are up; an app without servers has none to try.
    fn panics(&self) -> bool {
        !self.servers.is_empty() && self.with_pool(|pool| pool.panics(self.panic_percent))
    }

    /// Takes the addresses that names have now. What is known of one stays with it; requests under way at one that is
    /// gone go on.
    fn refresh(&self) {
        let Endpoints::Resolved(current) = &self.endpoints else { return };
        let former = current.load();
        let mut next: Vec<(Arc<Endpoint>, u16)> = Vec::new();
        for server in &self.servers {
            // What no peer can be made of was refused at load.
            let endpoint =
                |address| Some((server.endpoint(address, former.endpoints()).ok()?, server.weight));
            next.extend(server.addresses().into_iter().filter_map(endpoint));
        }
        current.store(Arc::new(Pool::new(&self.id, next)));
    }
}

/// A server as it is configured, and how its addresses do.
#[derive(Debug)]
pub(crate) struct ServerState<'s> {
    pub(crate) server: &'s str,
    pub(crate) metrics: &'s ServerMetrics,
    /// Where its host is a name.
    pub(crate) name: Option<&'s Name>,
    pub(crate) is_checked: bool,
    pub(crate) addresses: Vec<HealthReading>,
}

impl Upstreams {
    /// Makes the upstreams; what `former` knows of names and servers goes on. Names that are new are resolved once,
    /// which blocks: not to be called on the request path, nor within a runtime. `assertion` is the header of
    /// assertions, if there are any.
    ///
    /// # Errors
    /// When an authority's certificate cannot be read.
    pub fn new(
        generation: Generation,
        config: &Config,
        assertion: Option<&str>,
        former: Option<&Self>,
    ) -> Result<Self, String> {
        let apps = &config.apps;
        let cookies = apps.iter().filter_map(|app| app.token.cookie.as_deref());
        let mut names = Names::new(former.map(|former| &former.names));
        let mut known = Known { former, names: &mut names, dns: &config.dns };
        let made = apps.iter().map(|app| AppUpstreams::new(app, assertion, &mut known));
        let made = Self {
            generation,
            apps: made.collect::<Result<_, _>>()?,
            own_cookies: cookies.map(|name| answer::plain_cookie_name(name.as_bytes()).into()).collect(),
            names,
        };
        made.names.look_up_new();
        made.refresh();
        Ok(made)
    }

    /// Takes the addresses that names have now.
    pub(crate) fn refresh(&self) {
        for app in &self.apps {
            app.refresh();
        }
    }

    /// Every name of a server.
    pub(crate) const fn names(&self) -> &Names {
        &self.names
    }

    /// What is to be checked at intervals.
    pub(crate) fn checked(&self) -> Vec<Arc<Health>> {
        let endpoints = self.apps.iter().flat_map(AppUpstreams::current);
        endpoints.map(|one| Arc::clone(one.health())).filter(|health| health.is_checked()).collect()
    }

    /// The servers of each app, in the apps' order; for a scrape and for people.
    pub(crate) fn servers(&self) -> impl Iterator<Item = Vec<ServerState<'_>>> {
        self.apps.iter().map(AppUpstreams::servers)
    }

    /// Whether all addresses of each app get requests, because too few are up; in the apps' order.
    pub(crate) fn panics(&self) -> impl Iterator<Item = bool> {
        self.apps.iter().map(AppUpstreams::panics)
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

    /// Which server of the permit's app a request belongs to.
    pub(crate) fn affinity(&self, permit: &Permit, asking: Asking<'_>) -> Affinity {
        self.app(permit).map_or(Affinity::None, |app| Affinity::of(&app.balance, app.sticky.as_ref(), asking))
    }

    /// The cookie that keeps a browser at the server that answered, where it has none that does.
    pub(crate) fn sticky_cookie(
        &self,
        permit: &Permit,
        (endpoint, affinity): (&Endpoint, Affinity),
        made_with: (CookieForm, &Seals, i64),
    ) -> Option<HeaderValue> {
        self.app(permit)?.sticky.as_ref()?.renewed(endpoint, affinity, made_with)
    }

    /// Where a request that was permitted is sent. `tried` are the addresses that failed it already; it is
    /// sent to none of them while another is there.
    ///
    /// `None` when the permit is of another generation, names no app of ours, or no server's name
    /// has resolved yet.
    pub(crate) fn choose(&self, permit: &Permit, affinity: Affinity, tried: &[Address]) -> Option<Chosen> {
        let app = self.app(permit)?;
        match &app.endpoints {
            Endpoints::Fixed(pool) => pool
                .choose(&app.balance, affinity, (tried, app.panic_percent))
                .map(|at| Chosen::Fixed(self.generation, at)),
            Endpoints::Resolved(current) => {
                let pool = current.load();
                let at = pool.choose(&app.balance, affinity, (tried, app.panic_percent))?;
                pool.get(at).cloned().map(Chosen::Resolved)
            }
        }
    }

    /// What was chosen.
    pub(crate) fn endpoint<'s>(&'s self, permit: &Permit, chosen: &'s Chosen) -> Option<&'s Endpoint> {
        match (chosen, &self.app(permit)?.endpoints) {
            (Chosen::Resolved(endpoint), _) => Some(endpoint),
            // After a reload the places are others.
            (Chosen::Fixed(of, at), Endpoints::Fixed(pool)) if *of == self.generation => {
                pool.get(*at).map(Arc::as_ref)
            }
            (Chosen::Fixed(..), _) => None,
        }
    }

    /// Whether there is an address of the app that has not failed the request.
    pub(crate) fn has_another(&self, permit: &Permit, tried: &[Address]) -> bool {
        self.app(permit).is_some_and(|app| app.with_pool(|pool| pool.has_another(tried)))
    }

    /// What the permit's app has left of retries.
    pub(crate) fn budget(&self, permit: &Permit) -> Option<&Budget> {
        Some(&self.app(permit)?.budget)
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
    use std::fs;

    use super::*;

    fn config(folder: &std::path::Path, app: &str) -> Config {
        let path = folder.join("portcullis.toml");
        fs::write(folder.join("keys.json"), "{\"keys\": []}").unwrap();
        let text = format!(
            "[server]\nlisteners = [{{ address = \"127.0.0.1:8080\" }}]\n\n[[issuer]]\nname = \"idp\"\nissuer = \"https://idp.test\"\naudiences = [\"api\"]\nkeys = {{ url = \"https://idp.test/jwks\" }}\n\n[[app]]\n{app}\n"
        );
        fs::write(&path, text).unwrap();
        let loaded = portcullis_config::load(&path);
        let problems = portcullis_config::diagnose::render_text(&loaded.diagnostics, &loaded.sources);
        loaded.config.unwrap_or_else(|| panic!("{problems}"))
    }

    #[test]
    fn what_an_app_has_spent_of_its_retries_is_spent_after_a_reload() {
        let folder = tempfile::tempdir().unwrap();
        let load = |app: &str, generation: u64, former: Option<&Upstreams>| {
            let config = config(folder.path(), app);
            Upstreams::new(Generation(generation), &config, None, former).unwrap()
        };
        let wiki = "id = \"wiki\"\nhosts = [\"wiki.test\"]\nupstreams = [\"http://127.0.0.1:9\"]";
        let first = load(wiki, 1, None);
        let spend = |upstreams: &Upstreams| {
            let budget = &upstreams.apps.first().unwrap().budget;
            (0..1_000).filter(|_| budget.allows(20, 0, 1_800_000_000_000)).count()
        };
        let at_once = spend(&first);
        assert!(at_once > 0 && at_once < 1_000, "{at_once}");
        let again = load(&wiki.replace(":9", ":10"), 2, Some(&first));
        assert_eq!(spend(&again), 0, "with other servers, too");
        let other = load(&wiki.replace("id = \"wiki\"", "id = \"mail\""), 3, Some(&again));
        assert_eq!(spend(&other), at_once, "another app has its own");
    }
}
