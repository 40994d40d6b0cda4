//! One connection to an upstream, made as requests make them: for `check --online`.

use std::time::Duration;

use pingora::connectors::TransportConnector;
use portcullis_config::settings::{App, Upstream};

use super::cause::{cause_of, words_of};
use super::{Address, Template};

/// Connects to one address of an upstream, with TLS where the upstream has
/// it. `step` is the longest that connecting may take; with TLS it may take twice as long.
///
/// # Errors
/// Why there is no connection: the cause as metrics name it, and the words of the library.
pub(crate) async fn try_upstream(
    app: &App,
    upstream: &Upstream,
    address: Address,
    step: Duration,
) -> Result<(), String> {
    // Files that cannot be read are reported by `check` itself.
    let mut peer = Template::new(app, upstream)?.peer(&address)?;
    peer.options.connection_timeout = Some(step);
    peer.options.total_connection_timeout = Some(step * 2);
    TransportConnector::new(None).new_stream(&peer).await.map(|_| ()).map_err(|problem| {
        let words: String = words_of(&problem).chars().filter(|c| !c.is_control()).take(300).collect();
        format!("{}: {words}", cause_of(&problem).as_str())
    })
}
