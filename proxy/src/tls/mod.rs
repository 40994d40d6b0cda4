//! TLS of the listeners: which certificate a client is served, whom it is asked to prove that it is, and what a
//! handshake came to.
//!
//! All of it is part of the snapshot: a reload swaps it whole. A connection keeps what its handshake showed
//! ([`Handshake`]), and each request on it is judged by the snapshot of then.

mod clients;
mod error;
mod handshake;
pub(crate) mod inspect;
mod names;
mod pair;
mod provider;
mod tickets;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;
use ipnet::IpNet;
use portcullis_config::Config;
use portcullis_config::settings::{self, ClientDemand, ForwardAuth, Hsts};

pub use clients::ClientTrust;
pub use error::TlsError;
pub use handshake::Handshake;
pub use names::{Misdirected, Names};
pub(crate) use pair::ClientIdentity;

use crate::refusal::ClientCertificateProblem;

/// What the listeners and the apps of one configuration say of TLS.
#[derive(Debug)]
pub struct Tls {
    listeners: Vec<Listener>,
    /// By app.
    clients: Vec<Option<ClientRule>>,
    /// By app.
    hsts: Vec<Option<HeaderValue>>,
    has_tls: bool,
}

/// A listener that the process has, as the configuration that serves describes it.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it serves TLS with; `None` is plain HTTP.
    pub names: Option<Arc<Names>>,
    /// The port of https to which requests are sent; `None` serves them.
    pub redirect_port: Option<u16>,
    /// `Strict-Transport-Security` of its answers.
    pub hsts: Option<HeaderValue>,
    /// The port that clients connect to.
    pub public_port: u16,
    /// Whose connections begin with a PROXY header.
    pub proxy_protocol_from: Vec<IpNet>,
    /// Which proxies ask here whether to let requests in, and how; `None` where clients come themselves.
    pub forward_auth: Option<ForwardAuth>,
    /// A path that is answered here, for whatever host.
    pub health_path: Option<String>,
}

/// How a request reached us.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    /// The position of its listener, see [`Tls::listener`]; `None` where there is none, as for described requests.
    pub listener: Option<usize>,
    /// What the handshake showed; `None` without TLS.
    pub handshake: Option<Arc<Handshake>>,
}

/// What an app asks of its clients.
#[derive(Clone, Debug)]
struct ClientRule {
    demand: ClientDemand,
    trust: Arc<ClientTrust>,
}

impl Tls {
    /// Reads certificates and keys, and hands on what `former` has and did not change: listeners by their address in
    /// the order in which the process began, authorities and session tickets by what they are made of. Blocks.
    ///
    /// # Errors
    /// When a pair or an authority cannot be used.
    pub fn new(config: &Config, former: Option<&Self>) -> Result<Self, TlsError> {
        let clients = client_rules(config, former)?;
        let mut hosts: BTreeMap<&str, Vec<Arc<ClientTrust>>> = BTreeMap::new();
        for (app, rule) in config.apps.iter().zip(&clients) {
            let Some(rule) = rule else { continue };
            for host in &app.hosts {
                hosts.entry(host).or_default().push(Arc::clone(&rule.trust));
            }
        }
        let listeners = &config.server.listeners;
        let https = listeners.iter().find(|listener| listener.tls.is_some()).map_or(443, port);
        let make = |listener: &settings::Listener, former: Option<&Listener>| {
            let names = match &listener.tls {
                Some(tls) => {
                    let former = former.and_then(|former| former.names.as_deref());
                    Some(Arc::new(Names::new(tls, &hosts, former)?))
                }
                None => None,
            };
            Ok::<_, TlsError>(Listener {
                address: listener.address,
                names,
                redirect_port: listener.redirect_to_https.then_some(https),
                hsts: listener.hsts.and_then(hsts),
                public_port: port(listener),
                proxy_protocol_from: listener.proxy_protocol_from.clone(),
                forward_auth: listener.forward_auth.clone(),
                health_path: listener.health_path.clone(),
            })
        };
        let listeners: Vec<Listener> = match former {
            None => listeners.iter().map(|listener| make(listener, None)).collect::<Result<_, _>>()?,
            Some(former) => {
                let again = |old: &Listener| match listeners.iter().find(|new| new.address == old.address) {
                    Some(new) => make(new, Some(old)),
                    // Its socket is open until a restart.
                    None => Ok(old.clone()),
                };
                former.listeners.iter().map(again).collect::<Result<_, _>>()?
            }
        };
        Ok(Self {
            has_tls: listeners.iter().any(|listener| listener.names.is_some()),
            listeners,
            clients,
            hsts: config.apps.iter().map(|app| app.hsts.and_then(hsts)).collect(),
        })
    }

    /// The listener at this position of the configuration that the process began with.
    #[must_use]
    pub fn listener(&self, index: usize) -> Option<&Listener> {
        self.listeners.get(index)
    }

    /// When the certificates that are served expire: listener, name, Unix seconds.
    pub fn expiries(&self) -> impl Iterator<Item = (String, &str, i64)> {
        self.listeners.iter().flat_map(|listener| {
            let names = listener.names.iter().flat_map(|names| names.expiries());
            names.map(|(name, not_after)| (listener.address.to_string(), name, not_after))
        })
    }

    /// Whether a certificate of ours names this host. `None`: no listener has TLS.
    #[must_use]
    pub fn names_host(&self, host: &str) -> Option<bool> {
        let mut names = self.listeners.iter().filter_map(|listener| listener.names.as_deref());
        self.has_tls.then(|| names.any(|names| names.is_named(host)))
    }

    /// `Strict-Transport-Security` of an answer that goes out by this listener: the app's, if the request's sender
    /// is known and the app has one.
    #[must_use]
    pub fn hsts(&self, listener: Option<usize>, app: Option<u32>) -> Option<(&HeaderValue, Origin)> {
        let of_app = app.and_then(|app| self.hsts.get(app as usize)?.as_ref());
        let of_listener = || self.listener(listener?)?.hsts.as_ref();
        match of_app {
            Some(value) => Some((value, Origin::App)),
            None => of_listener().map(|value| (value, Origin::Listener)),
        }
    }

    /// Whether this app lets in a client that showed what this handshake showed; `None` is a connection without TLS.
    /// Judges the chain anew where the app's authorities or lists changed since it was judged last, or time did.
    ///
    /// # Errors
    /// Why it does not.
    pub fn authenticate_client(
        &self,
        app: u32,
        handshake: Option<&Handshake>,
        now: i64,
    ) -> Result<(), ClientCertificateProblem> {
        match self.clients.get(app as usize) {
            Some(None) => Ok(()),
            Some(Some(ClientRule { demand, trust })) => {
                let shown = handshake.filter(|handshake| handshake.has_certificate());
                match (shown, demand) {
                    (Some(handshake), _) => handshake.client_certificate(trust, now),
                    // Where it cannot be asked for, none is as if there had been a bad one.
                    (None, ClientDemand::Optional) if handshake.is_some() => Ok(()),
                    (None, ClientDemand::Optional | ClientDemand::Required) => {
                        Err(ClientCertificateProblem::Missing)
                    }
                }
            }
            // An app that there is not asks for what nobody has.
            None => Err(ClientCertificateProblem::Missing),
        }
    }
}

/// Who set a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The app's settings: in place of what the app itself says.
    App,
    /// The listener's: where the app itself says nothing.
    Listener,
}

fn port(listener: &settings::Listener) -> u16 {
    listener.public_port.unwrap_or(listener.address.port())
}

/// RFC 6797, section 6.1.
fn hsts(hsts: Hsts) -> Option<HeaderValue> {
    let subdomains = if hsts.include_subdomains { "; includeSubDomains" } else { "" };
    HeaderValue::try_from(format!("max-age={}{subdomains}", hsts.max_age.as_secs())).ok()
}

/// What each app asks for. Apps with the same authorities and lists share one trust, and so does the former
/// configuration: what was judged by it stays judged.
fn client_rules(config: &Config, former: Option<&Tls>) -> Result<Vec<Option<ClientRule>>, TlsError> {
    let mut known: Vec<Arc<ClientTrust>> = Vec::new();
    let former = former.iter().flat_map(|former| former.clients.iter().flatten());
    known.extend(former.map(|rule| Arc::clone(&rule.trust)));
    let mut rules = Vec::with_capacity(config.apps.len());
    for app in &config.apps {
        let Some(settings) = &app.client_certificates else {
            rules.push(None);
            continue;
        };
        let trust = match known.iter().find(|trust| trust.is_made_of(settings)) {
            Some(trust) => Arc::clone(trust),
            None => {
                let made = ClientTrust::new(settings)
                    .map_err(|problem| TlsError::Clients { app: app.id.clone(), problem })?;
                let made = Arc::new(made);
                known.push(Arc::clone(&made));
                made
            }
        };
        rules.push(Some(ClientRule { demand: settings.demand, trust }));
    }
    Ok(rules)
}
