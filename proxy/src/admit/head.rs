//! A request head before it is read. Its fields are for [`admit`](super::admit) alone to decide by; pages and logs,
//! of refused requests too, ask for single ones.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};

use super::raw::RawHead;

/// What browsers say of a request, and libraries that fill pages with its answer.
const OF_NAVIGATIONS: [&str; 8] = [
    "sec-fetch-mode",
    "sec-fetch-dest",
    "sec-fetch-user",
    "hx-request",
    "x-up-version",
    "content-type",
    "content-length",
    "transfer-encoding",
];

/// A request head as received.
#[derive(Clone, Copy, Debug)]
pub struct Head<'r> {
    /// Method.
    pub method: &'r Method,
    /// The request target, byte for byte.
    pub target: &'r [u8],
    /// Protocol version.
    pub version: Version,
    pub(super) raw: Option<RawHead<'r>>,
    pub(super) headers: &'r HeaderMap,
    pub(super) authority: Option<&'r str>,
}

impl<'r> Head<'r> {
    /// What a parser made of a head. `authority` is `:authority` of an HTTP/2 request.
    #[must_use]
    pub const fn new(
        method: &'r Method,
        target: &'r [u8],
        version: Version,
        headers: &'r HeaderMap,
        authority: Option<&'r str>,
    ) -> Self {
        Self { method, target, version, raw: None, headers, authority }
    }

    /// The same beside the bytes of an HTTP/1 head. They are wanted once: what was admitted is what the parser made
    /// of them.
    #[must_use]
    pub fn with_raw(self, raw: RawHead<'r>) -> Self {
        Self { target: raw.target(), raw: Some(raw), ..self }
    }

    /// A request that its client could have sent instead, with the same fields.
    #[must_use]
    pub const fn instead<'s>(&self, method: &'s Method, target: &'s [u8]) -> Head<'s>
    where
        'r: 's,
    {
        Head {
            method,
            target,
            version: self.version,
            raw: None,
            headers: self.headers,
            authority: self.authority,
        }
    }

    /// The same for this host, where it names none.
    #[must_use]
    pub const fn of_host<'s>(&self, host: &'s str) -> Head<'s>
    where
        'r: 's,
    {
        Head { authority: Some(host), ..*self }
    }

    /// `:authority` of an HTTP/2 request.
    #[must_use]
    pub const fn authority(&self) -> Option<&'r str> {
        self.authority
    }

    /// What follows the path in the target, if it is text.
    #[must_use]
    pub fn query(&self) -> Option<&'r str> {
        let mark = memchr::memchr(b'?', self.target)?;
        std::str::from_utf8(self.target.get(mark + 1..)?).ok()
    }

    /// The host that is named, as it was sent.
    #[must_use]
    pub fn host(&self) -> Option<&'r [u8]> {
        self.authority.map(str::as_bytes).or_else(|| self.hint_bytes(&header::HOST))
    }

    /// The fields without those by which a browser says what it does with the answer: as if a program asked.
    #[must_use]
    pub fn fields_of_program(&self) -> HeaderMap {
        let mut fields = self.headers.clone();
        for name in OF_NAVIGATIONS {
            fields.remove(name);
        }
        fields
    }

    /// The first value of a field that is visible ASCII, for a page or a log: nothing is decided by it.
    #[must_use]
    pub fn hint(&self, name: &HeaderName) -> Option<&'r str> {
        self.headers.get_all(name).iter().find_map(|value| value.to_str().ok())
    }

    /// The first value of a field, as [`hint`](Self::hint).
    #[must_use]
    pub fn hint_bytes(&self, name: &HeaderName) -> Option<&'r [u8]> {
        self.headers.get(name).map(HeaderValue::as_bytes)
    }
}
