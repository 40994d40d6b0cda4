//! One connection to an upstream, made as requests make them: for `check --online`.

use std::net::SocketAddr;
use std::time::Duration;

use pingora::connectors::TransportConnector;
use pingora::upstreams::peer::HttpPeer;
use portcullis_config::settings::Upstream;

use super::{authorities, cause_of};

/// Connects to one address of an upstream, with TLS where the upstream has it. `step` is the longest that
/// connecting may take; with TLS it may take twice as long.
///
/// # Errors
/// Why there is no connection: the cause as metrics name it, and the words of the library.
pub(crate) async fn try_upstream(
    upstream: &Upstream,
    address: SocketAddr,
    step: Duration,
) -> Result<(), String> {
    let name = upstream.tls_name.clone();
    let mut peer = HttpPeer::new(address, name.is_some(), name.unwrap_or_default());
    peer.options.connection_timeout = Some(step);
    peer.options.total_connection_timeout = Some(step * 2);
    // A file of authorities that cannot be read is reported by `check` itself.
    peer.options.ca = upstream.ca.as_ref().and_then(|ca| authorities(ca).ok());
    TransportConnector::new(None).new_stream(&peer).await.map(|_| ()).map_err(|problem| {
        let words: String = problem.to_string().chars().filter(|c| !c.is_control()).take(300).collect();
        format!("{}: {}", cause_of(&problem).as_str(), words.trim())
    })
}
