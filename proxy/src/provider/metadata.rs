//! What a provider says of itself, fetched beside requests as keys are, and kept while its source does not answer.

use std::sync::Arc;
use std::time::Duration;

use portcullis_config::settings::{Authorities, KeySource};
use reqwest::Url;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::problem::ProviderProblem;
use crate::failure::NetworkFailure;
use crate::refusal::SignInFault;
use crate::token::{Discovered, FetchError, Fetcher};

/// Between attempts while the source fails: doubled from the first to the second.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long a source that answered is taken to answer.
const ANSWERS_FOR: Duration = Duration::from_secs(1);
/// How long metadata are good, where their source does not say a shorter time.
const REFRESH: Duration = Duration::from_secs(60 * 60);

/// What a provider says of itself (OpenID Connect Discovery 1.0, section 3; RFC 8414, RFC 9126, RFC 9207).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Where browsers are sent to sign in.
    pub authorization_endpoint: Url,
    /// Where codes become tokens.
    pub token_endpoint: Url,
    /// Where further claims are.
    pub userinfo_endpoint: Option<Url>,
    /// Where browsers are sent to sign out.
    pub end_session_endpoint: Option<Url>,
    /// Where authorization requests are pushed to (RFC 9126).
    pub pushed_authorization_endpoint: Option<Url>,
    /// Whether only pushed requests are accepted.
    pub requires_pushed: bool,
    /// Whether each authorization answer names its issuer (RFC 9207).
    pub names_issuer: bool,
}

impl Metadata {
    /// Reads what a sign-in needs of a discovery document.
    fn read(found: &Discovered) -> Result<Self, FetchError> {
        let Discovered { document, is_local, .. } = found;
        let url = |name: &str| document.url(name, *is_local).map_err(FetchError::from);
        let needed = |name: &str| url(name)?.ok_or(FetchError::Discovery);
        // Where it is not named, it is among the defaults (section 3).
        if document.list("response_types_supported").is_some_and(|types| !types.contains(&"code")) {
            return Err(FetchError::Discovery);
        }
        Ok(Self {
            authorization_endpoint: needed("authorization_endpoint")?,
            token_endpoint: needed("token_endpoint")?,
            userinfo_endpoint: url("userinfo_endpoint")?,
            end_session_endpoint: url("end_session_endpoint")?,
            pushed_authorization_endpoint: url("pushed_authorization_request_endpoint")?,
            requires_pushed: document.is_set("require_pushed_authorization_requests"),
            names_issuer: document.is_set("authorization_response_iss_parameter_supported"),
        })
    }
}

/// What is known of a provider's metadata.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The last good ones.
    metadata: Option<Arc<Metadata>>,
    /// Why the latest fetch failed, and of what.
    problem: Option<(FetchError, String)>,
    /// How often it was tried.
    attempts: u64,
    /// When it answered last.
    answered_at: Option<Instant>,
}

/// A provider's metadata.
#[derive(Debug)]
pub(super) struct MetadataStore {
    provider: String,
    issuer: String,
    base: String,
    ca: Option<Authorities>,
    known: watch::Sender<Known>,
    wanted: Notify,
}

impl MetadataStore {
    pub(super) fn new(provider: &str, issuer: &str, base: String, ca: Option<Authorities>) -> Self {
        let known = watch::Sender::new(Known::default());
        Self { provider: provider.into(), issuer: issuer.into(), base, ca, known, wanted: Notify::new() }
    }

    /// Whether an issuer with these keys has its metadata where this one looks.
    pub(super) fn is_from(&self, keys: &KeySource, issuer: &str) -> bool {
        match keys {
            KeySource::Discovery(base) => *base == self.base,
            KeySource::File(_) | KeySource::Url(_) => *issuer == self.base,
        }
    }

    pub(super) fn latest(&self) -> Option<Arc<Metadata>> {
        self.known.borrow().metadata.clone()
    }

    /// Waits until there are any, or a fetch that began after this call failed, or the time is over.
    pub(super) async fn wait(&self, longest: Duration) -> Result<Arc<Metadata>, ProviderProblem> {
        let mut known = self.known.subscribe();
        let before = known.borrow().attempts;
        if let Some(metadata) = known.borrow().metadata.clone() {
            return Ok(metadata);
        }
        self.wanted.notify_one();
        let first = known.wait_for(|known| known.metadata.is_some() || known.attempts > before);
        let found = match timeout(longest, first).await {
            Ok(Ok(found)) => found.clone(),
            // The sender lives as long as this store.
            Ok(Err(_)) => Known::default(),
            Err(_) => {
                return Err(ProviderProblem::new(SignInFault::ProviderTimeout, "no metadata yet"));
            }
        };
        found.metadata.ok_or_else(|| problem(found.problem))
    }

    /// Whether the source answers: it did lately, or does now.
    pub(super) async fn answers(&self, longest: Duration) -> bool {
        let mut known = self.known.subscribe();
        let (before, is_recent) = {
            let known = known.borrow();
            let is_recent = known.answered_at.is_some_and(|at| at.elapsed() < ANSWERS_FOR);
            (known.attempts, is_recent && known.problem.is_none())
        };
        if is_recent {
            return true;
        }
        self.wanted.notify_one();
        let next = known.wait_for(|known| known.attempts > before);
        matches!(timeout(longest, next).await, Ok(Ok(known)) if known.problem.is_none())
    }

    pub(super) async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        let mut fetcher = Fetcher::new(self.issuer.clone(), self.ca.clone());
        let mut backoff = RETRY.0;
        loop {
            let fetched = tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                fetched = fetcher.discover(&self.base) => fetched,
            };
            let began = Instant::now();
            let pause = match fetched.and_then(|found| Ok((Metadata::read(&found)?, found.max_age))) {
                Ok((metadata, max_age)) => {
                    backoff = RETRY.0;
                    self.install(metadata);
                    max_age.unwrap_or(REFRESH).min(REFRESH)
                }
                Err(error) => {
                    let url = fetcher.asked.clone().unwrap_or_default();
                    tracing::warn!(provider = %self.provider, url, %error, "metadata could not be fetched");
                    self.known.send_modify(|known| {
                        known.problem = Some((error, url));
                        known.attempts += 1;
                    });
                    let pause = backoff;
                    backoff = (backoff * 2).min(RETRY.1);
                    pause
                }
            };
            let wanted = async {
                self.wanted.notified().await;
                // Any number of sign-ins ask for one fetch, and not for one after the other.
                tokio::time::sleep_until(began + RETRY.0).await;
            };
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = wanted => {}
                () = sleep(pause) => {}
            }
        }
    }

    fn install(&self, metadata: Metadata) {
        self.known.send_modify(|known| {
            if known.metadata.as_deref() != Some(&metadata) {
                tracing::info!(provider = %self.provider, "metadata changed");
                known.metadata = Some(Arc::new(metadata));
            }
            known.problem = None;
            known.attempts += 1;
            known.answered_at = Some(Instant::now());
        });
    }
}

fn problem(failed: Option<(FetchError, String)>) -> ProviderProblem {
    let Some((error, url)) = failed else {
        return ProviderProblem::new(SignInFault::Internal, "no metadata");
    };
    let fault = match error {
        FetchError::Unreachable(NetworkFailure::Timeout) => SignInFault::ProviderTimeout,
        FetchError::Unreachable(_) => SignInFault::ProviderUnreachable,
        FetchError::Status(500..) => SignInFault::ProviderUnavailable,
        FetchError::Status(_)
        | FetchError::TooLarge
        | FetchError::Insecure
        | FetchError::Discovery
        | FetchError::OtherIssuer
        | FetchError::File
        | FetchError::Keys(_) => SignInFault::MetadataUnusable,
    };
    ProviderProblem::new(fault, format!("metadata {url}: {error}"))
}
