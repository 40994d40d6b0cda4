//! Public listeners: addresses, certificates, ticket keys, and what plain ones do.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use portcullis_policy::path::{Compare, is_below};

use super::context::Context;
use super::values::{self, Flaw};
use crate::diagnose::Diagnostic;
use crate::file;
use crate::schema::check::shortened;
use crate::schema::sign_in_tables::FORWARD_AUTH;
use crate::schema::tables::{HSTS, LISTENER, LISTENER_TLS, PAIR, PROXY_PROTOCOL, SERVER};
use crate::schema::tree::{Node, View};
use crate::settings::{
    CertificatePair, ForwardAuth, ForwardAuthProtocol, Hsts, Listener, ListenerTls, OWN_PATHS, Server,
    TicketKey, TrustedProxies,
};

/// The largest file with a ticket key: 80 bytes in base64, and what an editor adds.
const KEY_FILE_BYTES_MAX: u64 = 1_024;

/// Whether two addresses cannot both be listened on.
pub(super) fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port()
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

pub(super) fn listener(
    cx: &mut Context<'_>,
    view: View<'_>,
    taken: &mut BTreeSet<SocketAddr>,
) -> Option<Listener> {
    let tls = view.table("tls", &LISTENER_TLS).map(|tls| self::tls(cx, tls));
    let address = cx.parse_key(view, "address", values::socket_address)?;
    if taken.iter().any(|earlier| clash(*earlier, address)) {
        let what = format!("`{address}` is listened on twice");
        cx.push(
            Diagnostic::error("server/address-twice", view.at_key("address"), what)
                .help("give each listener an address and port of its own"),
        );
    }
    taken.insert(address);
    let public_port = view.integer("public-port");
    let redirect_to_https = view.is_on("redirect-to-https");
    if redirect_to_https && view.get("tls").is_some() {
        cx.push(
            Diagnostic::error(
                "listener/redirect",
                view.at_key("redirect-to-https"),
                "a listener with TLS sends its clients to https",
            )
            .why("they would be sent to where they are, again and again")
            .help("say it of the plain listener, or take `tls` away here"),
        );
    }
    let hsts = hsts(cx, view);
    let forward_auth = view.table("forward-auth", &FORWARD_AUTH).map(|table| forward_auth(cx, view, table));
    let tls = match tls {
        // A certificate that cannot be used never turns into plain HTTP.
        Some(tls) => Some(tls?),
        None if view.get("tls").is_some() => return None,
        None => None,
    };
    let proxy_protocol_from = view.table("proxy-protocol", &PROXY_PROTOCOL).map_or_else(Vec::new, |table| {
        cx.not_empty(table, "from", "no connection would have a PROXY header");
        let mut networks = Vec::new();
        for (text, at) in table.texts("from") {
            networks.extend(cx.parse(text, at, values::network));
        }
        // Two halves are a whole too.
        if IpNet::aggregate(&networks).iter().any(|network| network.prefix_len() == 0) {
            cx.push(
                Diagnostic::error(
                    "proxy-protocol/everyone",
                    table.at_key("from"),
                    "everybody may send a PROXY header",
                )
                .why("every client could claim any address and so be in any location")
                .help("name the networks of your load balancers"),
            );
        }
        networks
    });
    let forward_auth = match forward_auth {
        // A proxy's questions are never taken for clients' requests.
        Some(forward_auth) => Some(forward_auth?),
        None => None,
    };
    let health_path = cx.parse_key(view, "health-path", health_path);
    Some(Listener {
        address,
        tls,
        public_port,
        proxy_protocol_from,
        redirect_to_https,
        hsts,
        forward_auth,
        health_path,
    })
}

/// A path that is the same to every reader, and nobody else's.
fn health_path(text: &str) -> Result<String, Flaw> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte));
    let path = values::path_prefix(text).ok().filter(|path| is_plain && path != "/" && path == text);
    path.filter(|path| !is_below(path, OWN_PATHS, Compare::Folded)).ok_or_else(|| {
        Flaw::new("listener/health-path", format!("`{}` is no path for health checks", shortened(text)))
            .why("it is compared byte by byte, and no app receives it from this listener")
            .help("write a path such as `/healthz`, of letters, digits, `-`, `_` and `.`, and not below `/.portcullis`")
    })
}

fn forward_auth(cx: &mut Context<'_>, listener: View<'_>, view: View<'_>) -> Option<ForwardAuth> {
    cx.not_empty(view, "peers", "nobody could ask");
    let mut peers = Vec::new();
    for (text, at) in view.texts("peers") {
        peers.extend(cx.parse(text, at, values::network));
    }
    // Two halves are a whole too.
    if IpNet::aggregate(&peers).iter().any(|network| network.prefix_len() == 0) {
        cx.push(
            Diagnostic::error("forward-auth/everyone", view.at_key("peers"), "everybody may ask")
                .why("every client could describe a request as it likes, and learn what policies say of anybody")
                .help("name the addresses of the proxies that ask"),
        );
    }
    for key in ["redirect-to-https", "proxy-protocol", "health-path"] {
        let is_said =
            if key == "redirect-to-https" { listener.is_on(key) } else { listener.get(key).is_some() };
        if is_said {
            cx.push(
                Diagnostic::error(
                    "listener/forward-auth",
                    listener.at_key(key),
                    format!("`{key}` beside `forward-auth`"),
                )
                .why("no client comes here, only proxies that describe requests")
                .help("take it away, or give clients a listener of their own"),
            );
        }
    }
    let protocol = view.word("protocol", ForwardAuthProtocol::from_word)?;
    (!peers.is_empty()).then_some(ForwardAuth { protocol, peers })
}

/// A listener that sends clients to https where this process has none, and is told by nobody that a client came by it.
pub(super) fn redirect_loop(cx: &mut Context<'_>, main: View<'_>, server: &Server, proxies: &TrustedProxies) {
    let has_tls = server.listeners.iter().any(|listener| listener.tls.is_some());
    if has_tls || !proxies.networks.is_empty() {
        return;
    }
    let view = main.table("server", &SERVER);
    let listeners = view.iter().flat_map(|view| view.tables("listeners", &LISTENER));
    for view in listeners.filter(|view| view.is_on("redirect-to-https")) {
        cx.push(
            Diagnostic::warning(
                "listener/redirect-loop",
                view.at_key("redirect-to-https"),
                "no listener has TLS, and no proxy is trusted to say that a client came by https",
            )
            .why("behind a balancer that ends TLS, each request would be sent to where it comes from, for ever")
            .help("name the balancer in `[trusted-proxies]`; where another process serves https, all is well"),
        );
    }
}

/// `hsts` of a listener or an app: a duration, or a table.
pub(super) fn hsts(cx: &mut Context<'_>, view: View<'_>) -> Option<Hsts> {
    let table = view.table("hsts", &HSTS);
    let max_age = match table {
        Some(table) => cx.parse_key(table, "max-age", values::duration)?,
        None => cx.parse_key(view, "hsts", values::duration)?,
    };
    if max_age.as_secs() == 0 {
        let at = table.map_or_else(|| view.at_key("hsts"), |table| table.at_key("max-age"));
        cx.push(
            Diagnostic::error("hsts/max-age", at, "`hsts` for less than a second")
                .why("browsers count whole seconds, and 0 makes them forget it (RFC 6797, section 6.1.1)")
                .help("write `hsts = \"365d\"`, or leave it out"),
        );
    }
    let include_subdomains = table.is_some_and(|table| table.is_on("include-subdomains"));
    Some(Hsts { max_age, include_subdomains })
}

fn tls(cx: &mut Context<'_>, view: View<'_>) -> Option<ListenerTls> {
    let ticket_keys = ticket_keys(cx, view);
    let is_single = view.get("certificate").is_some() || view.get("key").is_some();
    let pairs: Vec<Option<CertificatePair>> = match view.get("certificates") {
        Some(node) if is_single => {
            cx.push(
                Diagnostic::error("listener/certificates", node.at, "one certificate and a list of them")
                    .why("it would not be clear which of them serves names that none is for")
                    .help("move `certificate` and `key` into the list; its first one serves all other names"),
            );
            return None;
        }
        Some(_) => {
            cx.not_empty(view, "certificates", "no TLS could be served");
            view.tables("certificates", &PAIR).map(|one| pair(cx, one)).collect()
        }
        None => {
            for (key, other) in [("certificate", "key"), ("key", "certificate")] {
                if view.get(key).is_none() {
                    let why = match view.get(other) {
                        Some(_) => "one is nothing without the other",
                        None => "no TLS could be served",
                    };
                    cx.push(
                        Diagnostic::error("key/missing", view.at(), format!("`{key}` is missing in tls"))
                            .why(why)
                            .help(
                                "write `tls = { certificate = \"wiki.pem\", key = \"wiki.key\" }`, or `certificates` with several such",
                            ),
                    );
                }
            }
            vec![pair(cx, view)]
        }
    };
    let pairs: Vec<CertificatePair> = pairs.into_iter().collect::<Option<_>>()?;
    (!pairs.is_empty()).then_some(ListenerTls { pairs, ticket_keys: ticket_keys? })
}

fn pair(cx: &mut Context<'_>, view: View<'_>) -> Option<CertificatePair> {
    let certificate = cx.readable(view, "certificate");
    let key = cx.readable(view, "key").inspect(|path| cx.is_secret(path));
    Some(CertificatePair { certificate: certificate?, key: key? })
}

/// Keys of 80 bytes, each in its own file. `None` when one cannot be read: the tickets that other replicas sealed
/// with it could not be opened.
fn ticket_keys(cx: &mut Context<'_>, view: View<'_>) -> Option<Vec<TicketKey>> {
    cx.not_empty(view, "ticket-keys", "leave it out for keys of the process alone");
    let mut keys: Vec<TicketKey> = Vec::new();
    let mut is_whole = view.items("ticket-keys").iter().all(|node| Node::text(node).is_some());
    for (text, at) in view.texts("ticket-keys") {
        let Some(path) = cx.readable_at(text, at) else {
            is_whole = false;
            continue;
        };
        cx.is_secret(&path);
        match file::read(&path, KEY_FILE_BYTES_MAX).ok().and_then(|bytes| ticket_key(&bytes)) {
            Some(key) if keys.contains(&key) => cx.push(
                Diagnostic::error("tls/ticket-key", at, "this key is in the list already")
                    .help("name each key once; a new one goes first, and an old one out after a day"),
            ),
            Some(key) => keys.push(key),
            None => {
                is_whole = false;
                cx.push(
                    Diagnostic::error("tls/ticket-key", at, "this file holds no key of 80 bytes")
                        .why("sessions could not be resumed at other replicas")
                        .help("make one with `(umask 027; openssl rand 80 > FILE)`, and give each replica the same"),
                );
            }
        }
    }
    is_whole.then_some(keys)
}

/// 80 bytes as they are, or in base64.
fn ticket_key(bytes: &[u8]) -> Option<TicketKey> {
    let raw = <[u8; 80]>::try_from(bytes).ok();
    let decoded = || <[u8; 80]>::try_from(STANDARD.decode(bytes.trim_ascii()).ok()?).ok();
    raw.or_else(decoded).map(TicketKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_key_is_eighty_bytes_raw_or_in_base64() {
        let key: [u8; 80] = std::array::from_fn(|at| at as u8);
        assert_eq!(ticket_key(&key), Some(TicketKey(key)));
        let text = format!("{}\n", STANDARD.encode(key));
        assert_eq!(ticket_key(text.as_bytes()), Some(TicketKey(key)));
        for bad in [&key[1..], b"", &[b'A'; 81], STANDARD.encode(&key[..48]).as_bytes()] {
            assert_eq!(ticket_key(bad), None, "{bad:?}");
        }
    }
}
