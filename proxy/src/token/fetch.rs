//! Fetching keys and discovery documents from where the configuration says, and from no other place: no redirect,
//! no address out of a token, bounded in time and size.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use portcullis_config::file;
use portcullis_config::settings::{Authorities, KeySource};
use reqwest::header::{CACHE_CONTROL, DATE};
use reqwest::{Certificate, Client, Response, StatusCode, Url, redirect};

use super::address::{Insecure, permitted};
use super::discovery::{self, Discovery, DiscoveryError};
use super::jwk::{KeySet, KeySetError};
use crate::failure::NetworkFailure;

/// The largest document, in bytes.
pub(super) const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// The longest that one request may take, body included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest and longest time, in seconds, for which a source may ask us to cache its keys.
const MAX_AGE: (u64, u64) = (5 * 60, 24 * 60 * 60);
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// Why keys could not be fetched. Says nothing that the source sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The source cannot be reached, or not in time.
    #[error("no answer: {}", .0.as_str())]
    Unreachable(NetworkFailure),
    /// It answered with another status than 200; redirects are not followed.
    #[error("an answer with status {0}")]
    Status(u16),
    /// The document is larger than 1 MiB.
    #[error("the document is larger than 1 MiB")]
    TooLarge,
    /// The address is neither https nor http on loopback.
    #[error("the address is neither https nor http on loopback")]
    Insecure,
    /// The discovery document is malformed (OpenID Connect Discovery 1.0, section 3).
    #[error("the discovery document is malformed")]
    Discovery,
    /// The discovery document is about another issuer (same, section 4.3).
    #[error("the discovery document is about another issuer")]
    OtherIssuer,
    /// The file cannot be read, or is no regular file.
    #[error("the key file cannot be read")]
    File,
    /// The document is no usable key set.
    #[error(transparent)]
    Keys(#[from] KeySetError),
}

impl From<Insecure> for FetchError {
    fn from(_: Insecure) -> Self {
        Self::Insecure
    }
}

impl From<DiscoveryError> for FetchError {
    fn from(error: DiscoveryError) -> Self {
        match error {
            DiscoveryError::Malformed => Self::Discovery,
            DiscoveryError::OtherIssuer => Self::OtherIssuer,
            DiscoveryError::Insecure => Self::Insecure,
        }
    }
}

/// A document, and how long its source asks to keep it.
pub(super) struct Document {
    pub(super) body: Vec<u8>,
    /// `max-age` (RFC 9111, section 5.2.2.1), clamped to 5 minutes … 24 hours.
    pub(super) max_age: Option<Duration>,
}

/// A discovery document, and what it may lead to.
pub(crate) struct Discovered {
    pub(crate) document: Discovery,
    /// Whether the document came from this machine: only such a one may name services on it.
    pub(crate) is_local: bool,
    pub(crate) max_age: Option<Duration>,
}

/// Distinguishes a file from the one that was there before. Changes when a file is written in place,
/// renamed over, or its link is turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileMark {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl FileMark {
    /// The mark of the file at this path; `None` when there is none.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let data = std::fs::metadata(path).ok()?;
        Some(Self {
            device: data.dev(),
            inode: data.ino(),
            length: data.len(),
            modified: (data.mtime(), data.mtime_nsec()),
        })
    }
}

/// Fetches for one issuer; keeps its connections.
pub(crate) struct Fetcher {
    issuer: String,
    ca: Option<Authorities>,
    client: Option<Client>,
    /// What was asked for last, without its query: keys may have secrets there.
    pub(crate) asked: Option<String>,
    /// The `Date` of the latest answer.
    pub(super) date: Option<String>,
    /// The issuer that the latest discovery document names.
    pub(super) stated_issuer: Option<String>,
}

impl Fetcher {
    pub(crate) fn new(issuer: String, ca: Option<Authorities>) -> Self {
        Self { issuer, ca, client: None, asked: None, date: None, stated_issuer: None }
    }

    /// Fetches the key document of this source once.
    pub(super) async fn keys(&mut self, source: &KeySource) -> Result<Document, FetchError> {
        match source.clone() {
            KeySource::File(path) => tokio::task::spawn_blocking(move || read_file(&path))
                .await
                .unwrap_or(Err(FetchError::File))
                .map(|body| Document { body, max_age: None }),
            KeySource::Url(url) => {
                let url = permitted(&url, true)?;
                self.get(url).await
            }
            KeySource::Discovery(base) => {
                let found = self.discover(&base).await?;
                let keys = found.document.url("jwks_uri", found.is_local)?.ok_or(FetchError::Discovery)?;
                self.get(keys).await
            }
        }
    }

    /// Fetches the discovery document below this address once (OpenID Connect Discovery 1.0, section 4).
    pub(crate) async fn discover(&mut self, base: &str) -> Result<Discovered, FetchError> {
        let base = base.trim_end_matches('/');
        let url = if base.ends_with(WELL_KNOWN) { base.to_owned() } else { format!("{base}{WELL_KNOWN}") };
        self.asked = Some(url.clone());
        let url = permitted(&url, true)?;
        let is_local = url.scheme() == "http";
        let fetched = self.get(url).await?;
        self.stated_issuer = discovery::issuer_of(&fetched.body);
        let document = Discovery::read(&fetched.body, &self.issuer)?;
        Ok(Discovered { document, is_local, max_age: fetched.max_age })
    }

    async fn get(&mut self, url: Url) -> Result<Document, FetchError> {
        let mut shown = url.clone();
        shown.set_query(None);
        self.asked = Some(shown.into());
        let client = match &self.client {
            Some(client) => client.clone(),
            None => self.client.insert(client(url.scheme() == "http", self.ca.as_ref())?).clone(),
        };
        let response = client.get(url).send().await.map_err(unreachable)?;
        let date = response.headers().get(DATE).and_then(|value| value.to_str().ok());
        self.date = date.map(ToOwned::to_owned);
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let max_age = response.headers().get(CACHE_CONTROL).and_then(|value| max_age(value.to_str().ok()?));
        Ok(Document { body: body(response, DOCUMENT_BYTES_MAX).await?, max_age })
    }
}

/// The body of an answer, unless it is longer than so many bytes.
pub(crate) async fn body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, FetchError> {
    if response.content_length().is_some_and(|length| length > bytes_max as u64) {
        return Err(FetchError::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The cause of a failure, which is all that we report of it.
pub(crate) fn unreachable(error: reqwest::Error) -> FetchError {
    let mut is_dns = false;
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(one) = next {
        // The resolver's error has no type of its own.
        is_dns |= one.to_string().starts_with("dns error");
        next = one.source();
    }
    let cause = match NetworkFailure::of_chain(&error) {
        _ if is_dns => NetworkFailure::Dns,
        _ if error.is_timeout() => NetworkFailure::Timeout,
        Some(cause) => cause,
        None if error.is_connect() => NetworkFailure::TlsOther,
        None => NetworkFailure::Protocol,
    };
    FetchError::Unreachable(cause)
}

/// A client that follows no redirect and waits for no more than five seconds; plain HTTP is for loopback alone.
pub(crate) fn client(loopback: bool, ca: Option<&Authorities>) -> Result<Client, FetchError> {
    // The client panics without a provider; the binary has installed this one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(TIMEOUT)
        .connect_timeout(TIMEOUT)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .https_only(!loopback);
    // A proxy from the environment may carry TLS, and must not see plain text.
    let mut builder = if loopback { builder.no_proxy() } else { builder };
    let local = |_| FetchError::Unreachable(NetworkFailure::Local);
    if let Some(ca) = ca {
        builder = builder.tls_built_in_root_certs(false);
        for der in &ca.certificates {
            builder = builder.add_root_certificate(Certificate::from_der(der).map_err(local)?);
        }
    }
    builder.build().map_err(local)
}

/// How many usable keys a file holds: what the fetcher and the key store would make of it.
///
/// # Errors
/// When it cannot be read, or holds no usable key.
pub fn keys_in_file(path: &Path, algorithms: &[String]) -> Result<usize, FetchError> {
    Ok(KeySet::parse(&read_file(path)?, algorithms)?.count())
}

fn read_file(path: &Path) -> Result<Vec<u8>, FetchError> {
    file::read(path, DOCUMENT_BYTES_MAX as u64).map_err(|problem| match problem.kind() {
        std::io::ErrorKind::FileTooLarge => FetchError::TooLarge,
        _ => FetchError::File,
    })
}

fn max_age(value: &str) -> Option<Duration> {
    let (least, most) = MAX_AGE;
    value.split(',').find_map(|directive| {
        let (name, seconds) = directive.trim().split_once('=')?;
        let seconds: u64 =
            name.eq_ignore_ascii_case("max-age").then(|| seconds.trim_matches('"').parse().ok())??;
        Some(Duration::from_secs(seconds.clamp(least, most)))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::max_age;

    #[test]
    fn max_age_is_clamped() {
        assert_eq!(max_age("public, Max-Age=3600"), Some(Duration::from_secs(3600)));
        assert_eq!(max_age("max-age=0"), Some(Duration::from_secs(300)));
        assert_eq!(max_age("max-age=99999999"), Some(Duration::from_secs(86400)));
        assert_eq!(max_age("s-maxage=1, no-store"), None);
        assert_eq!(max_age("max-age=-1"), None);
    }
}
