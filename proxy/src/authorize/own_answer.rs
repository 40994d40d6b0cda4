//! What an app without servers answers who is let in: another place, or always the same.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue};
use percent_encoding::{CONTROLS, percent_encode};
use portcullis_config::settings::OwnAnswer;

/// An answer in the place of an app's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppReply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl AppReply {
    /// What this app answers a request with this target, as the app would see it; `None` is a fault of ours.
    pub(super) fn of(answer: &OwnAnswer, target: &[u8]) -> Option<Self> {
        // Who asks may be answered otherwise tomorrow, and others today.
        let mut headers =
            HeaderMap::from_iter([(CACHE_CONTROL, const { HeaderValue::from_static("no-store") })]);
        let (status, body) = match answer {
            OwnAnswer::Redirect { to, status, keep_path, keep_query } => {
                headers.insert(LOCATION, location(to, (*keep_path, *keep_query), target)?);
                (*status, Bytes::new())
            }
            OwnAnswer::Fixed { status, content_type, body } => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).ok()?);
                headers.insert(X_CONTENT_TYPE_OPTIONS, const { HeaderValue::from_static("nosniff") });
                (*status, Bytes::from(body.clone()))
            }
        };
        if status != 204 {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        Some(Self { status, headers, body })
    }
}

/// INVARIANT: `to` has a host, and what follows begins with `/` or `?`: nothing that a client sends can change the host.
fn location(to: &str, (keep_path, keep_query): (bool, bool), target: &[u8]) -> Option<HeaderValue> {
    let mark = memchr::memchr(b'?', target).unwrap_or(target.len());
    let (path, query) = target.split_at_checked(mark)?;
    let path = if keep_path { path } else { b"" };
    let query = if keep_query { query } else { b"" };
    if !path.is_empty() && !path.starts_with(b"/") {
        return None;
    }
    let kept = [path, query].concat();
    HeaderValue::try_from(format!("{to}{}", percent_encode(&kept, CONTROLS))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_keeps_what_it_is_to_keep_and_never_leaves_its_host() {
        for (to, kept, target, expected) in [
            ("https://new.test/", (false, false), "/a?b", "https://new.test/"),
            ("https://new.test/x?y=1", (false, false), "/a?b", "https://new.test/x?y=1"),
            ("https://new.test", (true, false), "/a/b%2Fc?d", "https://new.test/a/b%2Fc"),
            (
                "https://new.test/base",
                (true, true),
                "/a?b=//evil.test",
                "https://new.test/base/a?b=//evil.test",
            ),
            ("https://new.test", (true, true), "//evil.test/x", "https://new.test//evil.test/x"),
            ("https://new.test", (true, true), "/@evil.test", "https://new.test/@evil.test"),
            ("https://new.test/", (false, true), "/a?b", "https://new.test/?b"),
        ] {
            let found = location(to, kept, target.as_bytes()).unwrap();
            assert_eq!(found, expected, "{target}");
            let host = url::Url::parse(found.to_str().unwrap()).unwrap().host_str().map(str::to_owned);
            assert_eq!(host.as_deref(), Some("new.test"), "{target}");
        }
        assert_eq!(location("https://new.test", (true, true), b"evil.test"), None);
    }
}
