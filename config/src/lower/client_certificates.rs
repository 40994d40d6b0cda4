//! Client certificates of an app: who issues them, what was revoked, and whether each client can be asked.

use std::net::SocketAddr;

use super::authorities::{authorities_at, revocations_at};
use super::context::Context;
use crate::diagnose::{At, Diagnostic};
use crate::schema::tree::{Node, View};
use crate::settings::{ClientCertificates, ClientDemand, Listener};

const CODE: &str = "app/client-certificate";

/// Where clients come in: listeners that let them in without TLS, and whether there is one with it.
#[derive(Debug, Default)]
pub(super) struct Entrances {
    plain: Vec<SocketAddr>,
    has_tls: bool,
    /// Where other proxies ask, which show no certificate of a client.
    asked: Vec<SocketAddr>,
}

impl Entrances {
    pub(super) fn of(listeners: &[Listener]) -> Self {
        let is_plain = |listener: &&Listener| {
            listener.tls.is_none() && !listener.redirect_to_https && listener.forward_auth.is_none()
        };
        Self {
            plain: listeners.iter().filter(is_plain).map(|listener| listener.address).collect(),
            has_tls: listeners
                .iter()
                .any(|listener| listener.tls.is_some() && listener.forward_auth.is_none()),
            asked: listeners
                .iter()
                .filter(|listener| listener.forward_auth.is_some())
                .map(|listener| listener.address)
                .collect(),
        }
    }
}

/// What an app says of client certificates. `None` where it says nothing, and where what it says is refused.
pub(super) fn client_certificates(
    cx: &mut Context<'_>,
    view: View<'_>,
    hosts: &[String],
    entrances: Option<&Entrances>,
) -> Option<ClientCertificates> {
    let Some(node) = view.get("client-certificate") else {
        for key in ["client-ca", "client-crl"] {
            if let Some(node) = view.get(key) {
                cx.push(
                    Diagnostic::error(CODE, node.at, format!("`{key}` without `client-certificate`"))
                        .why("clients would not be asked for a certificate")
                        .help("write `client-certificate = \"required\"`, or leave this out"),
                );
            }
        }
        return None;
    };
    let demand = view.word("client-certificate", ClientDemand::from_word);
    if view.get("client-ca").is_none() {
        cx.push(
            Diagnostic::error(CODE, node.at, "`client-certificate` without `client-ca`")
                .why("no certificate could be checked")
                .help("name a PEM file with the authorities that issue your clients' certificates"),
        );
    }
    if let Some(entrances) = entrances {
        reachable(cx, node.at, hosts, entrances);
    }
    cx.not_empty(view, "client-ca", "no certificate could be checked");
    cx.not_empty(view, "client-crl", "leave it out where nothing is revoked");
    let why = "no client's certificate could be checked against it";
    let authorities: Option<Vec<_>> =
        files(view, "client-ca").map(|(text, at)| authorities_at(cx, text, at, why)).collect();
    let revocations: Option<Vec<_>> =
        files(view, "client-crl").map(|(text, at)| revocations_at(cx, text, at)).collect();
    let (authorities, revocations) = (authorities?, revocations?);
    (!authorities.is_empty()).then_some(ClientCertificates { demand: demand?, authorities, revocations })
}

/// The paths under a key: one, or a list of them.
fn files<'t>(view: View<'t>, key: &str) -> impl Iterator<Item = (&'t str, At)> {
    let one = view.get(key).and_then(|node| Some((Node::text(node)?, node.at)));
    one.into_iter().chain(view.texts(key))
}

/// Whether a certificate can be asked for wherever the app is reached.
fn reachable(cx: &mut Context<'_>, at: At, hosts: &[String], entrances: &Entrances) {
    if !entrances.has_tls {
        cx.push(
            Diagnostic::error(CODE, at, "no listener has TLS, which asks for certificates")
                .why("nobody could show one, and who has none would be all there is")
                .help("give a listener `tls`; a proxy in front that ends TLS has to ask by itself"),
        );
        return;
    }
    for address in &entrances.plain {
        cx.push(
            Diagnostic::error(CODE, at, format!("the app is reached by plain HTTP on `{address}`"))
                .label("cannot be asked for there")
                .why("a client that comes by plain HTTP has no certificate to show")
                .help("write `redirect-to-https = true` into that listener, or give it `tls`"),
        );
    }
    for address in &entrances.asked {
        cx.push(
            Diagnostic::warning(
                CODE,
                at,
                format!("the app is refused to who asks on `{address}` for a proxy in front"),
            )
            .why("`forward-auth` shows no certificate of a client")
            .help("reach the app by a listener with `tls`"),
        );
    }
    for host in hosts.iter().filter(|host| host.starts_with("*.")) {
        cx.push(
            Diagnostic::error(CODE, at, format!("the app's host `{host}` stands for many"))
                .why("clients are asked for a certificate by the name that they ask for, and no list of names is known")
                .help("name each host"),
        );
    }
    for host in hosts.iter().filter(|host| is_address(host)) {
        cx.push(
            Diagnostic::error(CODE, at, format!("the app's host `{host}` is an address"))
                .why("clients name no address in a TLS handshake (RFC 6066, section 3), so that none is asked for a certificate")
                .help("reach the app by a name"),
        );
    }
}

fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok()
}
