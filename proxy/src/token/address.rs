//! Which addresses keys, metadata and tokens may come from.

use std::net::IpAddr;

use reqwest::Url;

/// The address is neither https, nor http on loopback where that is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Insecure;

/// The address, if we may speak to it: https, or http on loopback where that is admitted.
pub(super) fn permitted(url: &str, loopback: bool) -> Result<Url, Insecure> {
    let url = Url::parse(url).map_err(|_| Insecure)?;
    let host = url.host_str().ok_or(Insecure)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Insecure);
    }
    let local = host == "localhost"
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback && local => Ok(url),
        _ => Err(Insecure),
    }
}

#[cfg(test)]
mod tests {
    use super::{Insecure, permitted};

    #[test]
    fn keys_come_by_https_or_from_loopback_only() {
        for good in
            ["https://id.example/keys", "http://127.0.0.1:8/k", "http://[::1]/k", "http://localhost/k"]
        {
            assert!(permitted(good, true).is_ok(), "{good}");
        }
        for bad in [
            "http://id.example/keys",
            "http://127.0.0.1.example/k",
            "http://localhost.example/k",
            "http://10.0.0.1/k",
            "http://user@127.0.0.1/k",
            "https://user:word@id.example/k",
            "file:///etc/passwd",
            "ftp://id.example/",
            "keys",
            "",
        ] {
            assert_eq!(permitted(bad, true), Err(Insecure), "{bad}");
        }
        assert_eq!(permitted("http://127.0.0.1/k", false), Err(Insecure));
    }
}
