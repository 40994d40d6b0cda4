//! How the server is reached: address, password, TLS, and how long anything may take.

use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use ::redis::{AsyncConnectionConfig, Client, IntoConnectionInfo as _, RedisResult, TlsCertificates};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const CONNECT_TIME: Duration = Duration::from_millis(800);
const RESPONSE_TIME: Duration = Duration::from_millis(800);
/// Commands that wait for the connection; more wait for a place.
const QUEUE_MAX: usize = 1024;

/// Where the server is.
pub struct Target<'t> {
    /// `redis://`, `rediss://` or `unix:///`, without a password.
    pub url: &'t str,
    /// The password.
    pub password: Option<&'t str>,
    /// Whose certificates count, in DER; the system's authorities if `None`.
    pub authorities: Option<&'t [Vec<u8>]>,
}

impl std::fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Target(…)")
    }
}

pub(super) fn client(target: &Target<'_>) -> RedisResult<Client> {
    let mut info = target.url.into_connection_info()?;
    if let Some(password) = target.password {
        let settings = info.redis_settings().clone().set_password(password);
        info = info.set_redis_settings(settings);
    }
    match target.authorities {
        Some(authorities) => {
            let certificates =
                TlsCertificates { client_tls: None, root_cert: Some(pem(authorities).into_bytes()) };
            Client::build_with_tls(info, certificates)
        }
        None => Client::open(info),
    }
}

fn pem(authorities: &[Vec<u8>]) -> String {
    let mut text = String::new();
    for der in authorities {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let body = STANDARD.encode(der);
        for line in body.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

/// The connection for requests; it is made when the first one asks.
pub(super) fn manager(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT_TIME))
        .set_response_timeout(Some(RESPONSE_TIME))
        // Whoever asks next tries again.
        .set_number_of_retries(0)
        .set_pipeline_buffer_size(QUEUE_MAX);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

/// A connection of its own for whoever waits for news, which takes up to `wait`.
pub(super) async fn follower(client: &Client, wait: Duration) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIME))
        .set_response_timeout(Some(wait + RESPONSE_TIME));
    client.get_multiplexed_async_connection_with_config(&config).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_refused_and_a_password_is_not_shown() {
        let target = |url, password| Target { url, password, authorities: None };
        assert!(client(&target("http://localhost", None)).is_err());
        assert!(client(&target("localhost", None)).is_err());
        let client = client(&target("redis://localhost/2", Some("hush"))).unwrap();
        assert_eq!(client.get_connection_info().redis_settings().password(), Some("hush"));
        assert_eq!(client.get_connection_info().redis_settings().db(), 2);
        assert!(!format!("{client:?} {:?}", target("redis://user@localhost", Some("hush"))).contains("hush"));
    }
}
