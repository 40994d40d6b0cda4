//! One look-up of a name: in `/etc/hosts`, then by DNS, for both families of addresses.
//!
//! Files and servers are read anew each time: both change while the process runs, and a look-up is rare. Each family
//! has an answer of its own, so that one server's fault with `AAAA` takes no `A` away.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, Resolver, TokioResolver};
use portcullis_config::settings::Dns;
use portcullis_policy::words;

/// Addresses of a name that are used at most.
const ADDRESSES_MAX: usize = 64;
/// The longest detail of a failure, in characters.
const DETAIL_MAX: usize = 300;

words! {
    /// What a look-up came to.
    pub enum LookupResult {
        /// The name has an address.
        Found = "found",
        /// It does not exist, or has no address that can be used.
        Absent = "absent",
        /// No answer came in time.
        Timeout = "timeout",
        /// The servers said that they cannot tell, or none could be asked.
        Failed = "failed",
    }
}

/// What is known of one family of a name's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// These, for so long.
    Addresses(Vec<IpAddr>, Duration),
    /// There is none, and somebody who must know said so.
    Absent,
    /// Nobody could tell, and why.
    Failed(LookupResult, String),
}

/// What a look-up came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) v4: Family,
    pub(super) v6: Family,
}

impl Answer {
    pub(super) fn failed(result: LookupResult, detail: &str) -> Self {
        let family = Family::Failed(result, detail.to_owned());
        Self { v4: family.clone(), v6: family }
    }

    fn has_address(&self) -> bool {
        matches!(self.v4, Family::Addresses(..)) || matches!(self.v6, Family::Addresses(..))
    }

    fn has_failed(&self) -> bool {
        matches!(self.v4, Family::Failed(..)) || matches!(self.v6, Family::Failed(..))
    }
}

/// Looks a name up, within the time that the settings give.
pub(super) async fn look_up(host: &str, settings: &Dns) -> Answer {
    match tokio::time::timeout(settings.timeout, ask(host, settings)).await {
        Ok(answer) => answer,
        Err(_) => Answer::failed(LookupResult::Timeout, "no answer in time"),
    }
}

async fn ask(host: &str, settings: &Dns) -> Answer {
    let own = settings.clone();
    let read = tokio::task::spawn_blocking(move || (Hosts::from_system().unwrap_or_default(), servers(&own)));
    let (hosts, servers) = match read.await {
        Ok((hosts, Ok(servers))) => (hosts, Ok(servers)),
        Ok((hosts, Err(problem))) => (hosts, Err(problem)),
        Err(_) => return Answer::failed(LookupResult::Failed, "the process ends"),
    };
    let Ok(name) = Name::from_ascii(host) else {
        return Answer::failed(LookupResult::Failed, "it cannot be a name in DNS");
    };
    if let Some(answer) = in_hosts(&hosts, &name) {
        return answer;
    }
    let (config, options) = match servers {
        Ok(servers) => servers,
        Err(problem) => return Answer::failed(LookupResult::Failed, &shortened(&problem.to_string())),
    };
    let candidates = candidates(&name, options.ndots, &config);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    let resolver = match builder.build() {
        Ok(resolver) => resolver,
        Err(problem) => return Answer::failed(LookupResult::Failed, &shortened(&problem.to_string())),
    };
    let mut failed = None;
    for candidate in candidates {
        let (v4, v6) = tokio::join!(
            family(&resolver, candidate.clone(), RecordType::A),
            family(&resolver, candidate, RecordType::AAAA)
        );
        let answer = Answer { v4, v6 };
        if answer.has_address() {
            return answer;
        }
        if answer.has_failed() {
            failed.get_or_insert(answer);
        }
    }
    // That one of several names is not known is no proof that there is none.
    failed.unwrap_or(Answer { v4: Family::Absent, v6: Family::Absent })
}

/// The servers that are asked and how: those of the settings, or the system's.
fn servers(settings: &Dns) -> Result<(ResolverConfig, ResolverOpts), NetError> {
    let (config, mut options) = if settings.servers.is_empty() {
        read_system_conf()?
    } else {
        let servers = settings.servers.iter().map(|address| {
            let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
                let mut connection = ConnectionConfig::new(protocol);
                connection.port = address.port();
                connection
            });
            NameServerConfig::new(address.ip(), true, connections.into())
        });
        // As the system's search list is not asked for by whoever names servers, neither is it used.
        (ResolverConfig::from_name_servers(servers.collect()), ResolverOpts::default())
    };
    // What is left of the whole time is for a second server, or TCP.
    options.timeout = options.timeout.min(settings.timeout / 3);
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = 0;
    Ok((config, options))
}

/// What `/etc/hosts` says of a name, as it is written. It counts until it is read again.
fn in_hosts(hosts: &Hosts, name: &Name) -> Option<Answer> {
    let family = |kind: RecordType| {
        let found = hosts.lookup_static_host(&Query::query(name.clone(), kind));
        let addresses =
            found.iter().flat_map(|found| found.answers()).filter_map(|record| record.data.ip_addr());
        usable(addresses.collect(), Duration::ZERO)
    };
    let answer = Answer { v4: family(RecordType::A), v6: family(RecordType::AAAA) };
    answer.has_address().then_some(answer)
}

/// The names that a name may stand for, in the order in which they are asked for (resolv.conf(5), `search`, `ndots`).
fn candidates(name: &Name, ndots: usize, config: &ResolverConfig) -> Vec<Name> {
    let mut whole = name.clone();
    whole.set_fqdn(true);
    // RFC 6761, section 6.3: of these nobody is asked.
    if name.is_fqdn() || name.is_localhost() {
        return vec![whole];
    }
    let dots = usize::from(name.num_labels()).saturating_sub(1);
    let mut names: Vec<Name> = Vec::new();
    if dots >= ndots {
        names.push(whole.clone());
    }
    let suffixes = config.search().iter().filter_map(|suffix| name.clone().append_domain(suffix).ok());
    for name in suffixes.chain([whole]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

async fn family(resolver: &TokioResolver, name: Name, kind: RecordType) -> Family {
    match resolver.lookup(name, kind).await {
        Ok(found) => {
            let seconds = found.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
            let addresses = found.answers().iter().filter_map(|record| record.data.ip_addr());
            usable(addresses.collect(), Duration::from_secs(seconds.into()))
        }
        Err(problem) if problem.is_no_records_found() => Family::Absent,
        Err(problem @ NetError::Timeout) => {
            Family::Failed(LookupResult::Timeout, shortened(&problem.to_string()))
        }
        Err(problem) => Family::Failed(LookupResult::Failed, shortened(&problem.to_string())),
    }
}

/// Those that can be connected to, in an order that does not change from one look-up to the next.
fn usable(mut addresses: Vec<IpAddr>, ttl: Duration) -> Family {
    // To connect to no address is to connect to this machine, which is how some servers say that a name is blocked.
    addresses.retain(|address| !address.is_unspecified() && !address.is_multicast());
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(ADDRESSES_MAX);
    if addresses.is_empty() { Family::Absent } else { Family::Addresses(addresses, ttl) }
}

/// Whether this machine has a way to an address at all; sends nothing.
pub(super) fn has_route(address: IpAddr) -> bool {
    let from: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    UdpSocket::bind(SocketAddr::new(from, 0)).and_then(|socket| socket.connect((address, 9))).is_ok()
}

fn shortened(text: &str) -> String {
    text.escape_debug().take(DETAIL_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(search: &[&str]) -> ResolverConfig {
        let search = search.iter().map(|suffix| Name::from_ascii(suffix).unwrap()).collect();
        ResolverConfig::from_parts(None, search, Vec::new())
    }

    #[test]
    fn a_name_is_completed_as_the_system_completes_it() {
        let of = |name: &str, ndots: usize| {
            let names = candidates(&Name::from_ascii(name).unwrap(), ndots, &config(&["svc.corp.", "corp."]));
            names.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(of("wiki", 1), ["wiki.svc.corp.", "wiki.corp.", "wiki."]);
        assert_eq!(of("wiki.corp", 1), ["wiki.corp.", "wiki.corp.svc.corp.", "wiki.corp.corp."]);
        assert_eq!(of("wiki.corp", 5), ["wiki.corp.svc.corp.", "wiki.corp.corp.", "wiki.corp."]);
        assert_eq!(of("wiki.corp.", 5), ["wiki.corp."]);
        assert_eq!(of("localhost", 1), ["localhost."]);
        assert_eq!(of("my_app", 1).last().map(String::as_str), Some("my_app."));
    }

    #[test]
    fn hosts_come_first_and_name_both_families() {
        let mut hosts = Hosts::default();
        hosts.read_hosts_conf(&b"10.0.0.7 wiki\nfd00::7 wiki\n0.0.0.0 blocked\n"[..]).unwrap();
        let of = |name: &str| in_hosts(&hosts, &Name::from_ascii(name).unwrap());
        let found = of("wiki").unwrap();
        assert_eq!(found.v4, Family::Addresses(vec!["10.0.0.7".parse().unwrap()], Duration::ZERO));
        assert_eq!(found.v6, Family::Addresses(vec!["fd00::7".parse().unwrap()], Duration::ZERO));
        assert_eq!((of("blocked"), of("other")), (None, None));
    }

    #[test]
    fn loopback_has_a_route() {
        assert!(has_route(Ipv4Addr::LOCALHOST.into()));
    }
}
