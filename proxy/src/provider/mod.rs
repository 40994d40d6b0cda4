//! An OpenID provider as its client sees it: what it says of itself, how we show who we are, and the four requests that we send
//! it (OpenID Connect Core 1.0, RFC 6749, RFC 9126). Nothing here knows a browser or a session.
//!
//! Answers are bounded in time and size, no redirect is followed, and nothing that a provider sends becomes a metric's label.

mod authentication;
mod endpoint;
mod metadata;
mod problem;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use portcullis_config::settings::{self, Issuer, KeySource};
use tokio::sync::watch;

use authentication::Credentials;
use endpoint::Endpoints;
pub use metadata::Metadata;
use metadata::MetadataStore;
pub use problem::ProviderProblem;
pub use requests::{Grant, TokenAnswer};

use crate::record::SignInMetrics;

/// How long a sign-in waits for the provider's metadata, where none were fetched yet.
const FIRST_METADATA: Duration = Duration::from_secs(5);

/// How long a sign-out waits to learn whether the provider answers.
const LOOK: Duration = Duration::from_secs(2);

/// A configured provider.
#[derive(Debug)]
pub struct Provider {
    settings: settings::Provider,
    issuer: String,
    metadata: MetadataStore,
    endpoints: Endpoints,
    credentials: Credentials,
    metrics: Arc<SignInMetrics>,
}

impl Provider {
    /// A provider of the configuration; `issuer` is the one that its settings name.
    ///
    /// # Errors
    /// When a private key cannot sign, or no client can be made; the text is for the operator.
    pub fn new(
        settings: &settings::Provider,
        issuer: &Issuer,
        metrics: Arc<SignInMetrics>,
    ) -> Result<Self, String> {
        let base = match &issuer.keys {
            KeySource::Discovery(base) => base.clone(),
            KeySource::File(_) | KeySource::Url(_) => issuer.issuer.clone(),
        };
        let credentials = Credentials::new(&settings.client_id, &settings.client_authentication)
            .map_err(|problem| format!("provider `{}`: {problem}", settings.name))?;
        Ok(Self {
            issuer: issuer.issuer.clone(),
            metadata: MetadataStore::new(&settings.name, &issuer.issuer, base, settings.ca.clone()),
            endpoints: Endpoints::new(settings.ca.clone()),
            credentials,
            settings: settings.clone(),
            metrics,
        })
    }

    /// Its short name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Its settings.
    #[must_use]
    pub const fn settings(&self) -> &settings::Provider {
        &self.settings
    }

    /// The exact `iss` of its tokens and answers.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What is counted of its sign-ins.
    #[must_use]
    pub const fn metrics(&self) -> &Arc<SignInMetrics> {
        &self.metrics
    }

    /// Whether these settings would make the same provider: then the one that is there stays, with its metadata and its
    /// connections.
    #[must_use]
    pub fn is_of(&self, settings: &settings::Provider, issuer: &Issuer) -> bool {
        let same = |other: &Provider| (&other.settings, other.issuer.as_str()) == (settings, &issuer.issuer);
        same(self) && self.metadata.is_from(&issuer.keys, &issuer.issuer)
    }

    /// What it said of itself last; `None` before the first answer. Never waits.
    #[must_use]
    pub fn metadata(&self) -> Option<Arc<Metadata>> {
        self.metadata.latest()
    }

    /// The same, and waits for the first answer for a while: any number of sign-ins wait for one fetch.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ready(&self) -> Result<Arc<Metadata>, ProviderProblem> {
        self.metadata.wait(FIRST_METADATA).await
    }

    /// Whether it answers now, as far as its metadata can tell: a browser that is sent to one that does not ends with an
    /// error of its own. Waits for at most two seconds.
    pub async fn answers(&self) -> bool {
        self.metadata.answers(LOOK).await
    }

    /// Keeps the metadata fresh until shutdown is signalled, or its sender is gone.
    pub async fn run(self: Arc<Self>, shutdown: watch::Receiver<bool>) {
        self.metadata.run(shutdown).await;
    }
}
