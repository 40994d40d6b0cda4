//! An app's servers: where they are, what they speak, and how they and we prove ourselves to each other.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::authorities::authorities;
use super::context::Context;
use super::values::{self, Flaw};
use crate::diagnose::{At, Diagnostic};
use crate::schema::check::shortened;
use crate::schema::tables::UPSTREAM;
use crate::schema::tree::{Kind, Node, View};
use crate::settings::{CertificatePair, Upstream, UpstreamAddress, UpstreamProtocol, UpstreamTls};

/// The longest path of a socket, in bytes: what the kernel's `sockaddr_un` has room for, and a zero.
const SOCKET_PATH_MAX: usize = 107;

/// The app's servers, each with the authorities that it is checked against.
pub(super) fn upstreams(cx: &mut Context<'_>, view: View<'_>, own: &[SocketAddr]) -> Vec<Upstream> {
    let common = authorities(cx, view, "upstream-ca");
    let mut all: Vec<Upstream> = Vec::new();
    for node in view.items("upstreams") {
        let Some(one) = upstream(cx, node, own) else { continue };
        if all.iter().any(|former| former.at == one.at) {
            cx.push(
                Diagnostic::error(
                    "upstream/duplicate",
                    node.at,
                    format!("`{}` is in the list already", one.at),
                )
                .why("one server would be counted, and looked after, as if it were two")
                .help("give it a `weight`, if it is to take more than the others"),
            );
        }
        all.push(one);
    }
    let is_whole = all.len() == view.items("upstreams").len();
    if is_whole && !all.is_empty() && all.iter().all(|one| one.weight == 0) {
        cx.push(
            Diagnostic::error("upstream/weight", view.at_key("upstreams"), "all servers have the weight 0")
                .why("no server would take a request without a cookie")
                .help("give one of them a weight"),
        );
    }
    if view.get("upstream-ca").is_some() && !all.is_empty() && all.iter().all(|one| one.tls.is_none()) {
        plain_with(cx, "ca", view.at_key("upstream-ca"));
    }
    for tls in all.iter_mut().filter_map(|one| one.tls.as_mut()).filter(|tls| tls.ca.is_none()) {
        tls.ca.clone_from(&common);
    }
    all
}

/// Reports what says how certificates are checked, where there are none.
fn plain_with(cx: &mut Context<'_>, what: &str, at: At) {
    let (code, what, why, help) = match what {
        "ca" => (
            "upstream/ca",
            "a plain HTTP upstream has an authority",
            "no certificate would be checked",
            "write `https://`, or take the authority away",
        ),
        "tls-name" => (
            "upstream/tls-name",
            "a plain HTTP upstream has a server name",
            "no certificate would be checked",
            "write `https://`, or take `tls-name` away",
        ),
        _ => (
            "upstream/client-certificate",
            "a plain HTTP upstream is shown a certificate",
            "without TLS there is nobody to show it to",
            "write `https://`, or take `client-certificate` and `client-key` away",
        ),
    };
    cx.push(Diagnostic::error(code, at, what).why(why).help(help));
}

/// Which of our own addresses an upstream leads to, as far as can be seen without asking anybody: what loops
/// through a name or another machine is seen when it comes back (`Via`).
fn leads_back(upstream: &Upstream, own: &[SocketAddr]) -> Option<SocketAddr> {
    let UpstreamAddress::Network { host, port } = &upstream.at else { return None };
    let name = host.to_ascii_lowercase();
    let is_local = name == "localhost" || name.ends_with(".localhost");
    let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
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
    own.iter().copied().find(|listener| listener.port() == *port && reaches(listener))
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
        let (at, named) = upstream_of(cx, text, node.at, None)?;
        let tls = named.map(|name| UpstreamTls { name, ca: None, client: None });
        return Some(Upstream { at, weight: 1, protocol: UpstreamProtocol::Http1, tls });
    }
    matches!(node.kind, Kind::Table(_)).then_some(())?;
    let view = View::new(&UPSTREAM, node);
    let name = match view.get("tls-name") {
        Some(_) => Some(cx.parse_key(view, "tls-name", values::host)?),
        None => None,
    };
    let name = name.map(|name| (name, view.at_key("tls-name")));
    let (at, named) = upstream_of(cx, view.text("url")?, view.at_key("url"), name)?;
    let ca = authorities(cx, view, "ca");
    let client = client_identity(cx, view);
    let tls = named.map(|name| UpstreamTls { name, ca, client });
    let protocol = view.word("protocol", UpstreamProtocol::from_word)?;
    if tls.is_none() {
        for key in ["ca", "client-certificate", "client-key"] {
            if view.get(key).is_some() {
                plain_with(cx, key, view.at_key(key));
            }
        }
        if protocol == UpstreamProtocol::Auto {
            cx.push(
                Diagnostic::error(
                    "upstream/protocol",
                    view.at_key("protocol"),
                    "without TLS nothing is chosen",
                )
                .why("it is the handshake of TLS that says which protocol a server speaks")
                .help("write `h2` if it takes HTTP/2 at once, or leave `protocol` out for HTTP/1.1"),
            );
        }
    }
    Some(Upstream { at, weight: view.integer("weight")?, protocol, tls })
}

/// What we show to the server, as files that were seen to be readable.
fn client_identity(cx: &mut Context<'_>, view: View<'_>) -> Option<CertificatePair> {
    let certificate = cx.readable(view, "client-certificate");
    let key = cx.readable(view, "client-key").inspect(|path| cx.is_secret(path));
    for (key, other) in [("client-certificate", "client-key"), ("client-key", "client-certificate")] {
        if view.get(key).is_some() && view.get(other).is_none() {
            cx.push(
                Diagnostic::error(
                    "upstream/client-certificate",
                    view.at_key(key),
                    format!("there is no `{other}`"),
                )
                .why("a certificate proves something only together with its key")
                .help("write `client-certificate = \"portcullis.pem\", client-key = \"portcullis.key\"`"),
            );
        }
    }
    Some(CertificatePair { certificate: certificate?, key: key? })
}

/// Where a URL leads, and with TLS the name that the certificate must carry. `name` is one that is written down.
fn upstream_of(
    cx: &mut Context<'_>,
    text: &str,
    at: At,
    name: Option<(String, At)>,
) -> Option<(UpstreamAddress, Option<String>)> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = cx.parse(path, at, socket_path)?;
        if let Some((_, at)) = name {
            plain_with(cx, "tls-name", at);
            return None;
        }
        return Some((UpstreamAddress::Unix(path), None));
    }
    let url = cx.parse(text, at, upstream_url)?;
    let host = match url.host()? {
        Host::Ipv6(address) => address.to_string(),
        host => host.to_string(),
    };
    let port = url.port_or_known_default()?;
    let of_url = matches!(url.host(), Some(Host::Domain(_))).then(|| host.clone());
    let there = UpstreamAddress::Network { host, port };
    match (url.scheme(), name, of_url) {
        ("https", Some((name, _)), _) | ("https", None, Some(name)) => Some((there, Some(name))),
        ("https", None, None) => {
            cx.push(
                Diagnostic::error("upstream/tls-name", at, "a TLS upstream at an address has no server name")
                    .why("its certificate could not be checked against anything")
                    .help(format!("write `{{ url = \"{text}\", tls-name = \"wiki.corp\" }}`")),
            );
            None
        }
        (_, Some((_, at)), _) => {
            plain_with(cx, "tls-name", at);
            None
        }
        (_, None, _) => Some((there, None)),
    }
}

/// What stands behind `unix:`.
fn socket_path(text: &str) -> Result<String, Flaw> {
    let path = text.strip_prefix("//").unwrap_or(text);
    let flaw = |what: String| {
        Flaw::new("value/url", what)
            .help("write `unix:` and the whole path of the socket: `unix:/run/wiki/wiki.sock`")
    };
    if !path.starts_with('/') || path.ends_with('/') || path.chars().any(char::is_control) {
        return Err(flaw(format!("`unix:{}` names no socket", shortened(text))));
    }
    if path.len() > SOCKET_PATH_MAX {
        return Err(flaw(format!("the path of a socket has at most {SOCKET_PATH_MAX} bytes")));
    }
    Ok(path.to_owned())
}

fn upstream_url(text: &str) -> Result<Url, Flaw> {
    const FORMS: &str = "write `http://host:port` or `https://host:port`, without path, or `unix:/path`";
    let flaw = |what: String| Flaw::new("value/url", what).help(FORMS);
    let url = Url::parse(text).map_err(|error| flaw(format!("`{}` is no URL: {error}", shortened(text))))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(flaw("an upstream carries no user name or password".to_owned()));
    }
    if let "h2" | "h2c" | "grpc" | "grpcs" = url.scheme() {
        let what = format!("`{}` is no scheme of an upstream", url.scheme());
        let scheme = if matches!(url.scheme(), "h2c" | "grpc") { "http" } else { "https" };
        return Err(Flaw::new("value/url", what)
            .help(format!("write `{{ url = \"{scheme}://host:port\", protocol = \"h2\" }}`")));
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let port = url.port_or_known_default().is_some_and(|port| port != 0);
    if !bare || !port || !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(flaw(format!("`{}` is no upstream", shortened(text))));
    }
    Ok(url)
}
