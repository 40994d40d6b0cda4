//! One fetch of an issuer's keys, exactly as the keys are fetched for requests: for `check --online`.

use portcullis_config::settings::Issuer;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::fetch::{FetchError, Fetcher};
use super::keys::KeyStore;

/// What came of it.
#[derive(Debug)]
pub struct Trial {
    /// How many keys can be used, or why there is none.
    pub outcome: Result<usize, FetchError>,
    /// The source's clock, in Unix seconds, where it told it.
    pub date: Option<i64>,
    /// About whom the discovery document is, in the source's own words.
    pub told_issuer: Option<String>,
}

/// Fetches once.
pub async fn try_issuer(issuer: &Issuer) -> Trial {
    let mut fetcher = Fetcher::new(issuer.keys.clone(), issuer.issuer.clone(), issuer.ca.clone());
    let fetched = fetcher.fetch().await;
    let store = KeyStore::new(issuer);
    let outcome = store.install(fetched, 0).map(|_| store.keys());
    let date = fetcher.date.as_deref().and_then(|text| OffsetDateTime::parse(text, &Rfc2822).ok());
    Trial { outcome, date: date.map(OffsetDateTime::unix_timestamp), told_issuer: fetcher.told_issuer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_http_is_read() {
        let read =
            |text: &str| OffsetDateTime::parse(text, &Rfc2822).ok().map(OffsetDateTime::unix_timestamp);
        assert_eq!(read("Tue, 15 Nov 1994 08:12:31 GMT"), Some(784_887_151));
        assert_eq!(read("yesterday"), None);
    }
}
