//! An app's servers: where they are, how their certificates are checked, and how long they may take.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::authorities::authorities;
use super::context::Context;
use super::values::{self, Flaw};
use crate::diagnose::{At, Diagnostic};
use crate::schema::check::shortened;
use crate::schema::tables::{TIMEOUTS, UPSTREAM};
use crate::schema::tree::{Kind, Node, View};
use crate::settings::{Timeouts, Upstream};

/// The app's servers, each with the authorities that it is checked against.
pub(super) fn upstreams(cx: &mut Context<'_>, view: View<'_>, own: &[SocketAddr]) -> Vec<Upstream> {
    let common = authorities(cx, view, "upstream-ca");
    let mut all: Vec<Upstream> =
        view.items("upstreams").iter().filter_map(|node| upstream(cx, node, own)).collect();
    if view.get("upstream-ca").is_some() && !all.is_empty() && all.iter().all(|one| one.tls_name.is_none()) {
        plain_with_ca(cx, view.at_key("upstream-ca"));
    }
    for one in all.iter_mut().filter(|one| one.tls_name.is_some() && one.ca.is_none()) {
        one.ca.clone_from(&common);
    }
    all
}

fn plain_with_ca(cx: &mut Context<'_>, at: At) {
    cx.push(
        Diagnostic::error("upstream/ca", at, "a plain HTTP upstream has an authority")
            .why("no certificate would be checked")
            .help("write `https://`, or take the authority away"),
    );
}

/// Which of our own addresses an upstream leads to, as far as can be seen without asking anybody: what loops
/// through a name or another machine is seen when it comes back (`Via`).
fn leads_back(upstream: &Upstream, own: &[SocketAddr]) -> Option<SocketAddr> {
    let name = upstream.host.to_ascii_lowercase();
    let is_local = name == "localhost" || name.ends_with(".localhost");
    let address = upstream.host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    let reaches = |listener: &SocketAddr| {
        let ip = listener.ip().to_canonical();
        let here = ip.is_unspecified() || ip.is_loopback();
        match address {
            // Connecting to no address connects to this machine.
            Some(to) if to.is_unspecified() => here,
            Some(to) => to == ip || (to.is_loopback() && ip.is_unspecified()),
            None => is_local && here,
        }
    };
    own.iter().copied().find(|listener| listener.port() == upstream.port && reaches(listener))
}

fn upstream(cx: &mut Context<'_>, node: &Node, own: &[SocketAddr]) -> Option<Upstream> {
    let found = upstream_at(cx, node)?;
    if let Some(listener) = leads_back(&found, own) {
        let what = format!("the upstream is this very process, which listens on `{listener}`");
        cx.push(
            Diagnostic::error("upstream/own-listener", node.at, what)
                .label("leads back")
                .why("each request would come back as another one, until it is refused with 508")
                .help("write where the app listens"),
        );
        return None;
    }
    Some(found)
}

fn upstream_at(cx: &mut Context<'_>, node: &Node) -> Option<Upstream> {
    if let Some(text) = node.text() {
        return upstream_of(cx, text, node.at, None);
    }
    matches!(node.kind, Kind::Table(_)).then_some(())?;
    let view = View::new(&UPSTREAM, node);
    let name = match view.get("tls-name") {
        Some(_) => Some(cx.parse_key(view, "tls-name", values::host)?),
        None => None,
    };
    let name = name.map(|name| (name, view.at_key("tls-name")));
    let mut made = upstream_of(cx, view.text("url")?, view.at_key("url"), name)?;
    if view.get("ca").is_some() {
        if made.tls_name.is_none() {
            plain_with_ca(cx, view.at_key("ca"));
        }
        made.ca = Some(authorities(cx, view, "ca")?);
    }
    Some(made)
}

fn upstream_of(cx: &mut Context<'_>, text: &str, at: At, name: Option<(String, At)>) -> Option<Upstream> {
    let url = cx.parse(text, at, upstream_url)?;
    let host = match url.host()? {
        Host::Ipv6(address) => address.to_string(),
        host => host.to_string(),
    };
    let port = url.port_or_known_default()?;
    let named = matches!(url.host(), Some(Host::Domain(_)));
    match (url.scheme(), name) {
        ("https", Some((name, _))) => Some(Upstream { host, port, tls_name: Some(name), ca: None }),
        ("https", None) if named => Some(Upstream { tls_name: Some(host.clone()), host, port, ca: None }),
        ("https", None) => {
            cx.push(
                Diagnostic::error("upstream/tls-name", at, "a TLS upstream at an address has no server name")
                    .why("its certificate could not be checked against anything")
                    .help(format!("write `{{ url = \"{text}\", tls-name = \"wiki.corp\" }}`")),
            );
            None
        }
        (_, Some((_, at))) => {
            cx.push(
                Diagnostic::error("upstream/tls-name", at, "a plain HTTP upstream has a server name")
                    .why("no certificate would be checked")
                    .help("write `https://`, or take `tls-name` away"),
            );
            None
        }
        (_, None) => Some(Upstream { host, port, tls_name: None, ca: None }),
    }
}

fn upstream_url(text: &str) -> Result<Url, Flaw> {
    let flaw = |what: String| {
        Flaw::new("value/url", what).help("write `http://host:port` or `https://host:port`, without path")
    };
    let url = Url::parse(text).map_err(|error| flaw(format!("`{}` is no URL: {error}", shortened(text))))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(flaw("an upstream carries no user name or password".to_owned()));
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let port = url.port_or_known_default().is_some_and(|port| port != 0);
    if !bare || !port || !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(flaw(format!("`{}` is no upstream", shortened(text))));
    }
    Ok(url)
}

pub(super) fn timeouts(cx: &mut Context<'_>, view: View<'_>) -> Option<Timeouts> {
    let view = view.table_or_default("timeouts", &TIMEOUTS);
    let mut duration = |key: &str| cx.parse_key(view, key, values::duration);
    let (connect, read, write, idle) =
        (duration("connect"), duration("read"), duration("write"), duration("idle"));
    Some(Timeouts { connect: connect?, read: read?, write: write?, idle: idle? })
}
