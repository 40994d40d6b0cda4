//! Where one server listens: resolved, so that nothing is asked when a request comes.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use pingora::upstreams::peer::HttpPeer;
use pingora::{BError, Error, ErrorType};

/// An address that can be connected to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    /// A port of an IP address.
    Inet(SocketAddr),
    /// A socket of this machine, at an absolute path.
    Unix(Arc<str>),
}

impl Address {
    /// What pingora connects to: with TLS where there is a server name.
    ///
    /// # Errors
    /// When the path is none that a socket could have: too long, or with a zero in it.
    pub(super) fn peer(&self, tls_name: Option<&str>) -> Result<HttpPeer, BError> {
        let name = tls_name.unwrap_or_default().to_owned();
        // Pingora verifies nothing of a TLS server without a name.
        if tls_name.is_some_and(str::is_empty) {
            return Err(Error::explain(ErrorType::InvalidCert, "a TLS server has no name to verify"));
        }
        match self {
            Self::Inet(address) => Ok(HttpPeer::new(address, tls_name.is_some(), name)),
            Self::Unix(path) => HttpPeer::new_uds(path, tls_name.is_some(), name),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}
