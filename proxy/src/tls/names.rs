//! Which certificate a client is served, and what it is asked for, by the name of the server that it asks for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ahash::RandomState;
use portcullis_config::settings::ListenerTls;
use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConnection};
use rustls::sign::CertifiedKey;

use super::clients::{Class, ClientTrust};
use super::error::TlsError;
use super::handshake::Handshake;
use super::pair::Pair;
use super::provider::provider;
use super::tickets::Tickets;

/// The certificates of one listener, and the settings of a handshake for each of its names.
#[derive(Debug)]
pub struct Names {
    certificates: Arc<Certificates>,
    /// Of names whose clients are not asked for a certificate.
    open: Arc<ServerConfig>,
    /// Of names whose clients are.
    asking: HashMap<String, Arc<ServerConfig>, RandomState>,
    tickets: Tickets,
}

/// The request is for another host than its connection was opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misdirected;

/// Pairs by name. Several pairs of one name differ in their kind of key, and the client chooses.
#[derive(Debug)]
struct Certificates {
    pairs: Vec<Pair>,
    exact: HashMap<String, Vec<usize>, RandomState>,
    /// By what stands behind `*.`.
    wildcards: HashMap<String, Vec<usize>, RandomState>,
}

/// The pair of names that no certificate is for.
const FIRST: &[usize] = &[0];

impl Certificates {
    fn new(pairs: Vec<Pair>) -> Self {
        let mut exact: HashMap<String, Vec<usize>, RandomState> = HashMap::default();
        let mut wildcards: HashMap<String, Vec<usize>, RandomState> = HashMap::default();
        for (at, pair) in pairs.iter().enumerate() {
            for name in &pair.facts.names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut wildcards, rest),
                    None => (&mut exact, name.as_str()),
                };
                let pairs = map.entry(name.to_owned()).or_default();
                if pairs.last() != Some(&at) {
                    pairs.push(at);
                }
            }
        }
        Self { pairs, exact, wildcards }
    }

    /// The pairs that are for a name, lower case.
    fn named(&self, name: &str) -> Option<&[usize]> {
        let below = || self.wildcards.get(name.split_once('.').filter(|(first, _)| !first.is_empty())?.1);
        self.exact.get(name).or_else(below).map(Vec::as_slice)
    }

    fn of(&self, name: Option<&str>) -> &[usize] {
        name.and_then(|name| self.named(name)).unwrap_or(FIRST)
    }
}

/// A server's name as it is looked up: of any case, and perhaps with a dot at its end.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(plain);
        let mut pairs = self.of(name.as_deref()).iter().filter_map(|at| self.pairs.get(*at));
        let first = pairs.clone().next()?;
        let fits = |pair: &&Pair| pair.key.key.choose_scheme(hello.signature_schemes()).is_some();
        Some(Arc::clone(&pairs.find(fits).unwrap_or(first).key))
    }
}

impl Names {
    /// Reads the pairs. `hosts`: those of apps that ask for client certificates, with what they trust. Blocks.
    ///
    /// # Errors
    /// When a pair cannot be used.
    pub(super) fn new(
        tls: &ListenerTls,
        hosts: &BTreeMap<&str, Vec<Arc<ClientTrust>>>,
        former: Option<&Self>,
    ) -> Result<Self, TlsError> {
        let read = |files| {
            Pair::read(files).map_err(|problem| TlsError::Pair {
                certificate: files.certificate.display().to_string(),
                problem,
            })
        };
        let pairs: Vec<Pair> = tls.pairs.iter().map(read).collect::<Result<_, _>>()?;
        let certificates = Arc::new(Certificates::new(pairs));
        let open = Class::of(&[]);
        let classes: BTreeMap<&str, Class> =
            hosts.iter().map(|(host, trusts)| (*host, Class::of(trusts))).collect();
        let labels = [&open].into_iter().chain(classes.values()).map(|class| class.label);
        let tickets = Tickets::new(&tls.ticket_keys, labels, former.map(|former| &former.tickets))?;
        let config = |class: &Class| server_config(class, &certificates, &tickets).map(Arc::new);
        let mut asking: HashMap<String, Arc<ServerConfig>, RandomState> = HashMap::default();
        let mut made: BTreeMap<_, Arc<ServerConfig>> = BTreeMap::new();
        for (host, class) in &classes {
            let config = match made.get(&class.label) {
                Some(config) => Arc::clone(config),
                None => {
                    let config = config(class)?;
                    made.insert(class.label, Arc::clone(&config));
                    config
                }
            };
            asking.insert((*host).to_owned(), config);
        }
        Ok(Self { open: config(&open)?, certificates, asking, tickets })
    }

    /// The settings of the handshake that a client begins.
    #[must_use]
    pub fn choose(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let name = hello.server_name().map(plain);
        Arc::clone(name.and_then(|name| self.asking.get(&name)).unwrap_or(&self.open))
    }

    /// What a handshake, once it is complete, has shown. Nothing of it is trusted yet: each request asks the apps'
    /// authorities.
    #[must_use]
    pub fn judge(&self, connection: &ServerConnection) -> Handshake {
        let name = connection.server_name().map(plain);
        let was_asked = name.as_deref().is_some_and(|name| self.asks(name));
        Handshake::new(name, was_asked, connection)
    }

    /// Whether a request for this host may come on a connection with this handshake: the same certificates must be
    /// for both names, and where clients are asked for one, the client must have named this very host and been asked.
    ///
    /// # Errors
    /// When the client must open another connection for it.
    pub fn direct(&self, handshake: &Handshake, host: &str) -> Result<(), Misdirected> {
        // As most installations are: no name leads to anything else.
        if self.certificates.pairs.len() == 1 && self.asking.is_empty() {
            return Ok(());
        }
        let name = handshake.name();
        let has_same = self.certificates.of(name) == self.certificates.of(Some(host));
        let is_right = has_same && (!self.asks(host) || (handshake.was_asked() && name == Some(host)));
        if is_right { Ok(()) } else { Err(Misdirected) }
    }

    /// Whether clients of this host are asked for a certificate.
    fn asks(&self, host: &str) -> bool {
        self.asking.contains_key(host)
    }

    /// Whether a certificate names this host.
    #[must_use]
    pub fn is_named(&self, host: &str) -> bool {
        self.certificates.named(host).is_some()
            || self.certificates.pairs.iter().any(|pair| pair.facts.covers(host))
    }

    /// Each name of each certificate, and when that expires, in Unix seconds.
    pub(super) fn expiries(&self) -> impl Iterator<Item = (&str, i64)> {
        self.certificates.pairs.iter().flat_map(|pair| {
            let (names, addresses) = (&pair.facts.names, &pair.facts.addresses);
            let all = names.iter().chain(addresses).map(String::as_str);
            let nameless = (names.is_empty() && addresses.is_empty()).then_some("");
            all.chain(nameless).map(|name| (name, pair.facts.until))
        })
    }
}

fn server_config(
    class: &Class,
    certificates: &Arc<Certificates>,
    tickets: &Tickets,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let resolver: Arc<dyn ResolvesServerCert> = Arc::<Certificates>::clone(certificates);
    let mut config = builder.with_client_cert_verifier(class.verifier()).with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Tickets alone: a cache would hold sessions beyond a change of what they were judged by.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if let Some(ticketer) = tickets.of(class.label) {
        config.ticketer = ticketer;
    }
    // Without the extended master secret a session of TLS 1.2 with a client certificate can be spliced onto another
    // one (RFC 7627, section 1).
    config.require_ems = class.asks();
    Ok(config)
}
