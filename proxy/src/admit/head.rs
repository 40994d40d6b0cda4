//! A request head before it is read.

use http::{HeaderMap, Method, Version};

use super::raw::RawHead;

/// A request head as it came.
#[derive(Clone, Copy, Debug)]
pub struct Head<'r> {
    /// Method.
    pub method: &'r Method,
    /// The request target, byte for byte; of an HTTP/1 request [`RawHead::target`].
    pub target: &'r [u8],
    /// The bytes of an HTTP/1 head, unless they were looked at before.
    pub raw: Option<RawHead<'r>>,
    /// Protocol version.
    pub version: Version,
    /// Header fields.
    pub headers: &'r HeaderMap,
    /// `:authority` of an HTTP/2 request.
    pub authority: Option<&'r str>,
}
