//! One fetch of an issuer's keys, exactly as the keys are fetched for requests: for `check --online`.

use portcullis_config::settings::Issuer;

use super::fetch::{FetchError, Fetcher};
use super::keys::KeyStore;
use crate::clock;

/// Its result.
#[derive(Debug)]
pub struct Trial {
    /// How many keys can be used, or why there is none.
    pub outcome: Result<usize, FetchError>,
    /// The source's clock, in Unix seconds, where it sent a `Date`.
    pub date: Option<i64>,
    /// What was asked for last.
    pub asked: Option<String>,
    /// The issuer that the discovery document names.
    pub stated_issuer: Option<String>,
}

/// Fetches once.
pub async fn try_issuer(issuer: &Issuer) -> Trial {
    let mut fetcher = Fetcher::new(issuer.issuer.clone(), issuer.ca.clone());
    let fetched = fetcher.keys(&issuer.keys).await;
    let store = KeyStore::new(issuer);
    let outcome = store.install(fetched, 0).map(|_| store.keys());
    let date = fetcher.date.as_deref().and_then(clock::parse_http_date);
    Trial { outcome, date, asked: fetcher.asked, stated_issuer: fetcher.stated_issuer }
}
