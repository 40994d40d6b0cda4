//! Where a request's token is looked for. The first place that holds one decides; what is in the
//! others is not tried.

use portcullis_config::settings::TokenPlaces;

/// Where a token was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenLocation {
    /// `Authorization: Bearer`.
    Authorization,
    /// The app's cookie.
    Cookie,
    /// The app's header.
    Header,
}

/// The token of a request, from the first configured place that holds one, and that place.
///
/// `authorization` is the value of the `Authorization` header, `cookie` and `header` look up one
/// value by name; one that is sent twice is none. A `Bearer` credential (RFC 6750, section 2.1) that
/// is malformed is returned as it is and fails to verify, instead of letting another place answer
/// for it.
#[must_use]
pub fn find_token<'r>(
    places: &TokenPlaces,
    authorization: Option<&'r [u8]>,
    cookie: impl FnOnce(&str) -> Option<&'r str>,
    header: impl FnOnce(&str) -> Option<&'r str>,
) -> Option<(&'r [u8], TokenLocation)> {
    let bearer = if places.bearer { authorization.and_then(bearer) } else { None };
    let cookie = || places.cookie.as_deref().and_then(cookie).filter(|value| !value.is_empty());
    let header = || places.header.as_deref().and_then(header).filter(|value| !value.is_empty());
    bearer
        .map(|token| (token, TokenLocation::Authorization))
        .or_else(|| cookie().map(|token| (token.as_bytes(), TokenLocation::Cookie)))
        .or_else(|| header().map(|token| (token.as_bytes(), TokenLocation::Header)))
}

/// The credential of a `Bearer` header; schemes compare without case (RFC 9110, section 11.1).
pub(crate) fn bearer(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, mut credential) = value.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) || credential.first().is_some_and(|byte| *byte != b' ') {
        return None;
    }
    while let Some(rest) = credential.strip_prefix(b" ") {
        credential = rest;
    }
    Some(credential)
}

#[cfg(test)]
mod tests {
    use portcullis_config::settings::TokenPlaces;

    use super::{TokenLocation, find_token};

    fn everywhere() -> TokenPlaces {
        TokenPlaces { bearer: true, cookie: Some("session".into()), header: Some("x-token".into()) }
    }

    #[test]
    fn the_first_place_that_holds_a_token_decides() {
        let find = |authorization: Option<&'static str>, cookie: Option<&'static str>, header| {
            let (token, place) =
                find_token(&everywhere(), authorization.map(str::as_bytes), |_| cookie, |_| header)?;
            Some((std::str::from_utf8(token).ok()?, place))
        };
        assert_eq!(find(Some("Bearer a"), Some("b"), Some("c")), Some(("a", TokenLocation::Authorization)));
        assert_eq!(find(Some("bEARER  a"), None, None), Some(("a", TokenLocation::Authorization)));
        for other in ["Basic a", "Bearera", "Beare", "", " Bearer a", "Bearer\ta"] {
            assert_eq!(
                find(Some(other), Some("b"), Some("c")),
                Some(("b", TokenLocation::Cookie)),
                "{other:?}"
            );
        }
        assert_eq!(find(None, Some(""), Some("c")), Some(("c", TokenLocation::Header)));
        assert_eq!(find(None, None, None), None);
    }

    #[test]
    fn a_malformed_bearer_credential_is_not_replaced_by_a_cookie() {
        let find = |authorization: &'static [u8]| {
            find_token(&everywhere(), Some(authorization), |_| Some("b"), |_| None)
        };
        assert_eq!(find(b"Bearer"), Some((&b""[..], TokenLocation::Authorization)));
        assert_eq!(find(b"Bearer x y"), Some((&b"x y"[..], TokenLocation::Authorization)));
    }

    #[test]
    fn a_place_that_is_not_configured_is_not_looked_at() {
        let places = TokenPlaces { bearer: false, cookie: None, header: None };
        assert_eq!(find_token(&places, Some(b"Bearer a"), |_| Some("b"), |_| Some("c")), None);
    }
}
