//! The public keys that verify what apps are told of their users; see `assertion`.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue};

use super::SignInContext;
use crate::assertion::Assertions;
use crate::denial::Answer;

/// `keys`: a JWK set (RFC 7517, section 8.5), empty where nothing is signed. The same for everybody, and public.
pub(super) fn keys(ctx: SignInContext<'_>) -> Answer {
    let nothing = || Bytes::from_static(br#"{"keys":[]}"#);
    let body = ctx.snapshot.assertions.as_ref().map_or_else(nothing, Assertions::key_set);
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, const { HeaderValue::from_static("application/jwk-set+json") }),
        (CONTENT_LENGTH, HeaderValue::from(body.len())),
        (CACHE_CONTROL, const { HeaderValue::from_static("public, max-age=900") }),
        (ACCESS_CONTROL_ALLOW_ORIGIN, const { HeaderValue::from_static("*") }),
        (X_CONTENT_TYPE_OPTIONS, const { HeaderValue::from_static("nosniff") }),
    ]);
    Answer { status: 200, headers, body, refusal: None, phrase: None }
}
