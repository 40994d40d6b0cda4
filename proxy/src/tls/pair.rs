//! A certificate chain and its key, read and held against each other.

use std::sync::Arc;

use portcullis_config::file;
use portcullis_config::settings::CertificatePair;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::provider::provider;

/// The largest file with a certificate chain or a key, in bytes.
pub(super) const PEM_BYTES_MAX: u64 = 1 << 20;

/// A chain that can be served.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) facts: Facts,
}

/// What the first certificate of a chain says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Names of servers, lower case; a `*.` stands before some.
    pub(super) names: Vec<String>,
    /// Addresses.
    pub(super) addresses: Vec<String>,
    /// When it begins and ends, in Unix seconds.
    pub(super) from: i64,
    pub(super) until: i64,
}

/// Why certificate and key cannot serve TLS.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file cannot be read.
    #[error("the {file} cannot be read: {problem}")]
    Unreadable {
        /// Which of the two.
        file: &'static str,
        /// Why.
        problem: std::io::Error,
    },
    /// A file is no PEM, or holds something else.
    #[error("the {file} file: {problem}")]
    Pem {
        /// Which of the two.
        file: &'static str,
        /// Why.
        problem: rustls_pki_types::pem::Error,
    },
    /// There is no certificate.
    #[error("the certificate file holds no certificate")]
    Empty,
    /// There is no key, or one that a passphrase protects.
    #[error(
        "the key file holds no private key, or one that a passphrase protects, which nobody could type here"
    )]
    NoKey,
    /// The certificate is none.
    #[error("a certificate cannot be read")]
    Malformed,
    /// The key is that of another certificate.
    #[error("the key is not that of the certificate")]
    Mismatch,
    /// The key is of a kind that cannot be used.
    #[error("{0}")]
    Key(rustls::Error),
}

/// A chain and its key in DER: what a server that we connect to is shown.
pub(crate) struct ClientIdentity {
    /// The chain, our own certificate first; at least one.
    pub(crate) chain: Vec<Vec<u8>>,
    /// The private key.
    pub(crate) key: Vec<u8>,
}

impl ClientIdentity {
    /// Reads both files, and holds them against each other.
    ///
    /// # Errors
    /// When they could prove nothing to a server.
    pub(crate) fn read(files: &CertificatePair) -> Result<Self, PairError> {
        let (chain, key) = parts(files)?;
        Pair::of(chain.clone(), key.clone_key())?;
        let is_readable = |der: &CertificateDer<'_>| X509Certificate::from_der(der).is_ok();
        if !chain.iter().all(is_readable) {
            return Err(PairError::Malformed);
        }
        Ok(Self {
            chain: chain.iter().map(|certificate| certificate.to_vec()).collect(),
            key: key.secret_der().to_vec(),
        })
    }
}

/// What both files hold.
fn parts(
    files: &CertificatePair,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), PairError> {
    let read = |path, file| {
        file::read(path, PEM_BYTES_MAX).map_err(|problem| PairError::Unreadable { file, problem })
    };
    let bad = |file| move |problem| PairError::Pem { file, problem };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&read(&files.certificate, "certificate")?)
            .collect::<Result<_, _>>()
            .map_err(bad("certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key, "key")?).map_err(|problem| match problem {
        rustls_pki_types::pem::Error::NoItemsFound => PairError::NoKey,
        problem => bad("key")(problem),
    })?;
    Ok((chain, key))
}

impl Pair {
    /// Reads both files.
    pub(super) fn read(files: &CertificatePair) -> Result<Self, PairError> {
        let (chain, key) = parts(files)?;
        Self::of(chain, key)
    }

    fn of(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, PairError> {
        let leaf = chain.first().ok_or(PairError::Empty)?;
        let facts = Facts::of(leaf).ok_or(PairError::Malformed)?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|problem| match problem {
            rustls::Error::InconsistentKeys(_) => PairError::Mismatch,
            other => PairError::Key(other),
        })?;
        Ok(Self { key: Arc::new(key), facts })
    }
}

impl Facts {
    fn of(leaf: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
        let validity = certificate.validity();
        let (mut names, mut addresses) = (Vec::new(), Vec::new());
        let alternatives = certificate.subject_alternative_name().ok()?;
        for name in alternatives.iter().flat_map(|found| &found.value.general_names) {
            match name {
                GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress([a, b, c, d]) => {
                    addresses.push(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string());
                }
                GeneralName::IPAddress(bytes) => {
                    let bytes = <[u8; 16]>::try_from(*bytes).ok();
                    addresses.extend(bytes.map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()));
                }
                _ => {}
            }
        }
        let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        Some(Self { names, addresses, from, until })
    }

    /// Whether it is for this host (RFC 9525, section 6.3: a `*` stands for one whole label).
    pub(super) fn covers(&self, host: &str) -> bool {
        let bare = host.trim_matches(['[', ']']);
        self.addresses.iter().any(|address| address == bare)
            || self.names.iter().any(|name| covers(name, host))
    }
}

/// Whether a name of a certificate is that of a host.
pub(super) fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(rest) => host.split_once('.').is_some_and(|(first, above)| !first.is_empty() && above == rest),
        None => name == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        for (name, host) in
            [("wiki.corp.example", "wiki.corp.example"), ("*.corp.example", "wiki.corp.example")]
        {
            assert!(covers(name, host), "{name} {host}");
        }
        for (name, host) in [
            ("*.corp.example", "corp.example"),
            ("*.corp.example", ".corp.example"),
            ("*.corp.example", "a.wiki.corp.example"),
            ("wiki.corp.example", "wiki2.corp.example"),
        ] {
            assert!(!covers(name, host), "{name} {host}");
        }
    }
}
