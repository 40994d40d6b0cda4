//! An app's answer before it is passed on: what concerns the one connection or is ours alone to say is taken out. Where
//! it ends is the leg's to know.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, SET_COOKIE, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};
use http::{StatusCode, Version, response};
use pingora::http::ResponseHeader;
use portcullis_config::reserved::folded;

use super::clear_site_data::keep_cookies;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
const PERSISTENT_AUTH: HeaderName = HeaderName::from_static("persistent-auth");
/// Interim answers (1xx) to one request at most.
const INTERIM_MAX: u8 = 8;
/// Fields that concern one connection (RFC 9110, section 7.6.1; RFC 4559), but for those that frame or switch it.
/// Trailers never pass, so that none is announced.
const HOP_BY_HOP: [HeaderName; 8] = [
    TE,
    TRAILER,
    PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-support"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("http2-settings"),
];
/// What browsers ask of a cookie by its name (RFC 6265bis, section 4.1.3).
const COOKIE_PREFIXES: [&[u8]; 4] = [b"__host-http-", b"__host-", b"__http-", b"__secure-"];
/// How we call ourselves in `Proxy-Status`.
const NAME: &[u8] = b"portcullis";

/// Why an answer is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    /// It switches protocols, and nobody asked for that.
    Switch,
    /// Too many interim answers preceded it.
    Interim,
    /// It wants to authenticate, or has authenticated, the connection, which serves many users.
    ConnectionAuthentication,
}

impl Odd {
    /// What the log says.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Switch => "the answer switches protocols, which was not asked for",
            Self::Interim => "more than 8 interim answers came before the answer",
            Self::ConnectionAuthentication => {
                "the app authenticates connections (NTLM, Negotiate), and they are shared between users"
            }
        }
    }
}

/// What is looked at beside the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'r> {
    /// Whether the app received the client's `Authorization`, and may say what is wrong with it.
    pub(crate) authorization: bool,
    /// Whether the app was asked to switch to a WebSocket.
    pub(crate) upgrade: bool,
    /// Our cookies, as [`plain_cookie_name`] gives them.
    pub(crate) own_cookies: &'r [Box<[u8]>],
    /// Whether browsers keep their cookies whatever the app asks them to clear.
    pub(crate) keeps_cookies: bool,
}

/// What was done to an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cleaned {
    /// Cookies of ours that the app wanted to set.
    pub(crate) cookies: u16,
    /// Fields that only we speak.
    pub(crate) words: u16,
    /// Challenges that nobody could meet.
    pub(crate) challenges: u16,
    /// Wishes to clear the browser's cookies.
    pub(crate) clearings: u16,
    /// Whether what follows as its body is dropped.
    pub(crate) is_empty: bool,
}

/// What a name of a field asks for. In one pass: each look-up would cost as much.
#[derive(Debug, Default)]
struct Found {
    connection: bool,
    cookie: bool,
    challenge: bool,
    clearing: bool,
    words: bool,
    hop: bool,
    persistent: bool,
}

impl Found {
    fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for name in headers.keys() {
            match name.as_str() {
                "connection" => found.connection = true,
                "set-cookie" => found.cookie = true,
                "www-authenticate" => found.challenge = true,
                "clear-site-data" => found.clearing = true,
                "persistent-auth" => found.persistent = true,
                "proxy-status" => found.words = true,
                "keep-alive"
                | "proxy-connection"
                | "te"
                | "trailer"
                | "upgrade"
                | "proxy-authenticate"
                | "proxy-authentication-info"
                | "proxy-support"
                | "http2-settings" => found.hop = true,
                name => found.words |= is_request_id(name),
            }
        }
        found
    }
}

/// Whether a name is that of the request's id, or could be taken for it.
fn is_request_id(name: &str) -> bool {
    name.bytes().map(folded).eq(X_REQUEST_ID.as_str().bytes())
}

/// Makes an app's answer fit to be passed on; see the module.
///
/// `interim` counts the interim answers of the request so far.
///
/// # Errors
/// When it is not passed on; its connection must not be used again.
pub(crate) fn clean(
    answer: &mut ResponseHeader,
    expected: Expected<'_>,
    interim: &mut u8,
    request_id: HeaderValue,
) -> Result<Cleaned, Odd> {
    let status = answer.status;
    let found = Found::of(&answer.headers);
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let is_websocket = answer
            .headers
            .get(UPGRADE)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
        if !expected.upgrade || !is_websocket {
            return Err(Odd::Switch);
        }
    } else if status.is_informational() {
        *interim += 1;
        if *interim > INTERIM_MAX {
            return Err(Odd::Interim);
        }
    } else if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        // Of us nobody is asked to authenticate to a proxy.
        return Err(Odd::ConnectionAuthentication);
    }

    let reason = answer.get_reason_phrase().filter(|reason| status.canonical_reason() != Some(*reason));
    let reason = reason.map(str::to_owned);
    let empty = ResponseHeader::from(http::Response::new(()).into_parts().0);
    let mut parts = response::Parts::from(std::mem::replace(answer, empty));
    // Ours, whatever the app speaks (RFC 9110, section 2.5).
    parts.version = Version::HTTP_11;
    let cleaned = clean_fields(&mut parts.headers, status, &found, expected)?;
    parts.headers.insert(X_REQUEST_ID, request_id);
    *answer = ResponseHeader::from(parts);
    if let Some(reason) = reason {
        // It was accepted before.
        let _ = answer.set_reason_phrase(Some(&reason));
    }
    Ok(cleaned)
}

/// Changes the fields of an answer, and nothing else of it.
pub(crate) fn change_fields(answer: &mut ResponseHeader, change: impl FnOnce(&mut HeaderMap)) {
    let reason =
        answer.get_reason_phrase().filter(|reason| answer.status.canonical_reason() != Some(*reason));
    let reason = reason.map(str::to_owned);
    let empty = ResponseHeader::from(http::Response::new(()).into_parts().0);
    let mut parts = response::Parts::from(std::mem::replace(answer, empty));
    change(&mut parts.headers);
    *answer = ResponseHeader::from(parts);
    if let Some(reason) = reason {
        // It was accepted before.
        let _ = answer.set_reason_phrase(Some(&reason));
    }
}

fn clean_fields(
    headers: &mut HeaderMap,
    status: StatusCode,
    found: &Found,
    expected: Expected<'_>,
) -> Result<Cleaned, Odd> {
    let mut cleaned = Cleaned::default();
    // First, while nothing is taken out: the sign of an authenticated connection ends it.
    if found.persistent {
        let says_no = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"false");
        if !headers.get_all(PERSISTENT_AUTH).iter().all(says_no) {
            return Err(Odd::ConnectionAuthentication);
        }
        headers.remove(PERSISTENT_AUTH);
    }
    if found.challenge {
        cleaned.challenges = clean_challenges(headers, status, expected)?;
    }
    let is_switch = status == StatusCode::SWITCHING_PROTOCOLS;
    if found.connection && !is_switch {
        remove_nominated(headers);
    }
    if found.hop {
        for name in HOP_BY_HOP {
            headers.remove(name);
        }
        if !is_switch {
            headers.remove(UPGRADE);
        }
    }
    // RFC 9110, section 8.6, and RFC 9112, section 6.1: these have no content, hence no length of it.
    if status.is_informational() || status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
    } else if status == StatusCode::NOT_MODIFIED {
        headers.remove(TRANSFER_ENCODING);
    } else if status == StatusCode::RESET_CONTENT {
        // RFC 9110, section 15.3.6: no content either, but its reader looks for a length.
        headers.remove(TRANSFER_ENCODING);
        headers.insert(CONTENT_LENGTH, const { HeaderValue::from_static("0") });
        cleaned.is_empty = true;
    }
    if found.cookie {
        let is_foreign = |value: &HeaderValue| !sets_one_of(value.as_bytes(), expected.own_cookies);
        cleaned.cookies = retain(headers, &SET_COOKIE, is_foreign);
    }
    if found.clearing && expected.keeps_cookies {
        cleaned.clearings = u16::from(keep_cookies(headers));
    }
    if found.words {
        let ours = |value: &HeaderValue| {
            value.as_bytes().windows(NAME.len()).any(|part| part.eq_ignore_ascii_case(NAME))
        };
        cleaned.words = retain(headers, &PROXY_STATUS, |value| !ours(value));
        let lookalikes = headers.keys().filter(|name| is_request_id(name.as_str()) && **name != X_REQUEST_ID);
        for name in lookalikes.cloned().collect::<Vec<_>>() {
            headers.remove(name);
            cleaned.words += 1;
        }
    }
    Ok(cleaned)
}

/// Takes the values out that do not hold, and says how many.
fn retain(headers: &mut HeaderMap, name: &HeaderName, holds: impl Fn(&HeaderValue) -> bool) -> u16 {
    if headers.get_all(name).iter().all(&holds) {
        return 0;
    }
    let (remaining, dropped): (Vec<_>, Vec<_>) =
        headers.get_all(name).iter().cloned().partition(|value| holds(value));
    headers.remove(name);
    for value in remaining {
        headers.append(name, value);
    }
    u16::try_from(dropped.len()).unwrap_or(u16::MAX)
}

/// Takes out what `Connection` names (RFC 9110, section 7.6.1), and the field itself. Lengths stay: who takes
/// them away changes where the answer ends.
fn remove_nominated(headers: &mut HeaderMap) {
    let mut nominated: Vec<HeaderName> = Vec::new();
    for line in headers.get_all(CONNECTION) {
        let names = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        nominated.extend(names.filter_map(|name| HeaderName::from_bytes(name).ok()));
    }
    for name in nominated {
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            headers.remove(name);
        }
    }
    headers.remove(CONNECTION);
}

/// Takes out challenges that a client of ours cannot meet: those that authenticate a connection (RFC 4559), and
/// those for a token where the app never sees one, which would be read as ours.
fn clean_challenges(headers: &mut HeaderMap, status: StatusCode, expected: Expected<'_>) -> Result<u16, Odd> {
    let mut bound = 0;
    let mut dropped = 0;
    let mut remaining = Vec::new();
    for line in headers.get_all(WWW_AUTHENTICATE) {
        let mut rest: Vec<u8> = Vec::new();
        let mut keeps = true;
        for part in outside_quotes(line.as_bytes()) {
            // A part without `=` in its first word begins a challenge (RFC 9110, section 11.6.1).
            let scheme = part.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
            if !scheme.contains(&b'=') {
                let is_bound = is_connection_scheme(scheme);
                keeps = !is_bound && (expected.authorization || !scheme.eq_ignore_ascii_case(b"bearer"));
                bound += u16::from(is_bound);
                dropped += u16::from(!keeps);
            }
            if keeps {
                if !rest.is_empty() {
                    rest.extend_from_slice(b", ");
                }
                rest.extend_from_slice(part);
            }
        }
        remaining.extend(HeaderValue::from_bytes(&rest).ok().filter(|value| !value.is_empty()));
    }
    // Where another scheme is offered, that one is left. An answer that is no challenge speaks of a
    // connection that is authenticated already.
    if bound > 0 && (status != StatusCode::UNAUTHORIZED || remaining.is_empty()) {
        return Err(Odd::ConnectionAuthentication);
    }
    if dropped > 0 {
        headers.remove(WWW_AUTHENTICATE);
        for value in remaining {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    Ok(dropped)
}

/// The elements of a list, without the white space around them; a comma in a quoted string ends none.
fn outside_quotes(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    line.split(move |byte| {
        let was_escaped = escaped;
        escaped = quoted && *byte == b'\\' && !was_escaped;
        if *byte == b'"' && !was_escaped {
            quoted = !quoted;
        }
        *byte == b',' && !quoted
    })
    .map(<[u8]>::trim_ascii)
    .filter(|part| !part.is_empty())
}

/// Whether a scheme authenticates the connection and not the request (RFC 4559, section 6; MS-NTHT).
fn is_connection_scheme(scheme: &[u8]) -> bool {
    [&b"ntlm"[..], b"negotiate", b"kerberos", b"nego2"].iter().any(|bound| scheme.eq_ignore_ascii_case(bound))
}

/// Whether an `Authorization` would authenticate the connection that it is sent on.
pub(crate) fn authenticates_connection(credential: &[u8]) -> bool {
    let credential = credential.trim_ascii();
    is_connection_scheme(credential.split(|byte| !byte.is_ascii_alphanumeric()).next().unwrap_or_default())
}

/// A cookie's name without case and without the prefixes that browsers give a meaning to: an app that may not
/// set one form of it may set none.
pub(super) fn plain_cookie_name(name: &[u8]) -> Vec<u8> {
    let mut name = name.trim_ascii().to_ascii_lowercase();
    while let Some(prefix) = COOKIE_PREFIXES.iter().find(|prefix| name.starts_with(prefix)) {
        name.drain(..prefix.len());
    }
    name
}

/// Whether a `Set-Cookie` sets one of these cookies. One without a name is sent back as its value alone, which
/// may look like a name and a value.
fn sets_one_of(set_cookie: &[u8], ours: &[Box<[u8]>]) -> bool {
    let pair = set_cookie.split(|byte| *byte == b';').next().unwrap_or_default();
    let blank = |byte: &u8| *byte == b'=' || byte.is_ascii_whitespace();
    let begin = pair.iter().position(|byte| !blank(byte)).unwrap_or(pair.len());
    let pair = pair.get(begin..).unwrap_or_default();
    let name = plain_cookie_name(pair.split(|byte| *byte == b'=').next().unwrap_or_default());
    // Those of sessions and sign-ins: `OWN_COOKIES` without what browsers give a meaning to.
    let is_of_session = name.strip_prefix(NAME).is_some_and(|rest| matches!(rest.first(), None | Some(b'-')));
    is_of_session || ours.iter().any(|ours| **ours == *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, fields: &[(&'static str, &str)]) -> ResponseHeader {
        let mut answer = ResponseHeader::build(status, None).unwrap();
        answer.set_version(Version::HTTP_11);
        for (name, value) in fields {
            answer.append_header(*name, *value).unwrap();
        }
        answer
    }

    fn cleaned(
        status: u16,
        fields: &[(&'static str, &str)],
        authorization: bool,
    ) -> Result<(Cleaned, Vec<String>), Odd> {
        let mut answer = answer(status, fields);
        let own: Vec<Box<[u8]>> = vec![plain_cookie_name(b"__Host-Session").into()];
        let expected = Expected { authorization, upgrade: false, own_cookies: &own, keeps_cookies: true };
        let done = clean(&mut answer, expected, &mut 0, HeaderValue::from_static("1"))?;
        let mut left: Vec<String> = answer
            .headers
            .iter()
            .filter(|(name, _)| **name != X_REQUEST_ID)
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        left.sort();
        Ok((done, left))
    }

    fn left(status: u16, fields: &[(&'static str, &str)]) -> Result<Vec<String>, Odd> {
        cleaned(status, fields, false).map(|(_, left)| left)
    }

    #[test]
    fn an_answer_keeps_its_status_its_words_and_its_headers_and_gets_the_id() {
        let mut answer =
            answer(404, &[("SET-cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Request-ID", "forged")]);
        answer.set_reason_phrase(Some("Nothing Here")).unwrap();
        let expected =
            Expected { authorization: false, upgrade: false, own_cookies: &[], keeps_cookies: true };
        let done = clean(&mut answer, expected, &mut 0, HeaderValue::from_static("1")).unwrap();
        assert_eq!(done, Cleaned::default());
        assert_eq!((answer.status.as_u16(), answer.get_reason_phrase()), (404, Some("Nothing Here")));
        let mut wire = bytes::BytesMut::new();
        answer.header_to_h1_wire(&mut wire);
        assert_eq!(wire, "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nx-request-id: 1\r\n");
    }

    #[test]
    fn what_concerns_one_connection_is_not_passed_on() {
        let fields = [
            ("Connection", "close, X-Own"),
            ("Connection", "te, content-length"),
            ("X-Own", "1"),
            ("TE", "trailers"),
            ("Trailer", "x-sum"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("Proxy-Authenticate", "Basic"),
            ("Upgrade", "h2c"),
            ("Content-Length", "3"),
            ("X-Other", "1"),
        ];
        assert_eq!(left(200, &fields).unwrap(), ["content-length: 3", "x-other: 1"]);
    }

    #[test]
    fn an_answer_without_content_has_no_length_of_it() {
        for status in [103, 204] {
            assert!(left(status, &[("Content-Length", "3")]).unwrap().is_empty(), "{status}");
            assert!(left(status, &[("Transfer-Encoding", "chunked")]).unwrap().is_empty(), "{status}");
        }
        assert_eq!(left(304, &[("Content-Length", "3")]).unwrap(), ["content-length: 3"]);
        assert!(left(304, &[("Transfer-Encoding", "chunked")]).unwrap().is_empty());
        let (done, left) = cleaned(205, &[("Transfer-Encoding", "chunked")], false).unwrap();
        assert_eq!((done.is_empty, left), (true, vec!["content-length: 0".to_owned()]));
    }

    #[test]
    fn many_interim_answers_are_refused() {
        let mut interim = 0;
        let expected =
            Expected { authorization: false, upgrade: false, own_cookies: &[], keeps_cookies: true };
        let mut hint = || clean(&mut answer(103, &[]), expected, &mut interim, HeaderValue::from_static("1"));
        for _ in 0..INTERIM_MAX {
            assert!(hint().is_ok());
        }
        assert_eq!(hint(), Err(Odd::Interim));
    }

    #[test]
    fn nobody_switches_protocols_unasked() {
        let switch = |upgrade: bool, name: &str| {
            let expected = Expected { authorization: false, upgrade, own_cookies: &[], keeps_cookies: true };
            let mut answer = answer(101, &[("Connection", "Upgrade"), ("Upgrade", name)]);
            clean(&mut answer, expected, &mut 0, HeaderValue::from_static("1")).map(|_| answer.headers.len())
        };
        assert_eq!(switch(true, "WebSocket"), Ok(3));
        assert_eq!(switch(false, "websocket"), Err(Odd::Switch));
        assert_eq!(switch(true, "h2c"), Err(Odd::Switch));
    }

    #[test]
    fn a_challenge_that_authenticates_a_connection_is_refused_or_left_out() {
        let bound = Err(Odd::ConnectionAuthentication);
        assert_eq!(left(401, &[("WWW-Authenticate", "NTLM")]), bound);
        assert_eq!(left(401, &[("WWW-Authenticate", "Negotiate"), ("WWW-Authenticate", "NTLM")]), bound);
        assert_eq!(left(401, &[("WWW-Authenticate", "Negotiate, NTLM TlRMTVNTUA==")]), bound);
        assert_eq!(left(200, &[("WWW-Authenticate", "negotiate oYG2")]), bound);
        assert_eq!(left(200, &[("Persistent-Auth", "true")]), bound);
        assert_eq!(left(200, &[("Connection", "Persistent-Auth"), ("Persistent-Auth", "true")]), bound);
        assert_eq!(left(407, &[("Proxy-Authenticate", "Basic")]), bound);
        assert!(left(200, &[("Persistent-Auth", "false")]).unwrap().is_empty());
        let mixed = "Negotiate, Basic realm=\"a, NTLM\", charset=\"UTF-8\", NTLM";
        let (done, left) = cleaned(401, &[("WWW-Authenticate", mixed)], false).unwrap();
        assert_eq!(left, ["www-authenticate: Basic realm=\"a, NTLM\", charset=\"UTF-8\""]);
        assert_eq!(done.challenges, 2);
        for credential in ["NTLM TlRM", "negotiate abc", " Kerberos x", "NEGOTIATE", "NTLM\tx"] {
            assert!(authenticates_connection(credential.as_bytes()), "{credential}");
        }
        for credential in ["Bearer NTLM", "Basic bnRsbQ==", "NTLMX a", ""] {
            assert!(!authenticates_connection(credential.as_bytes()), "{credential}");
        }
    }

    #[test]
    fn a_challenge_for_a_token_comes_from_an_app_only_if_it_sees_one() {
        let fields = [("WWW-Authenticate", "Bearer error=\"insufficient_claims\", claims=\"e30=\"")];
        assert!(cleaned(401, &fields, false).unwrap().1.is_empty());
        assert_eq!(cleaned(401, &fields, true).unwrap().1.len(), 1);
    }

    #[test]
    fn an_app_sets_no_cookie_of_ours_in_any_form() {
        for own in [
            "session=x",
            "SESSION=x; Path=/",
            " session =x",
            "__Host-session=x; Secure; Path=/",
            "__Secure-Session=x",
            "__host-http-session=x",
            "__Secure-__Host-session=x",
            "=session=x",
            "= session=x; Domain=corp.example",
            "session",
        ] {
            let (done, left) =
                cleaned(200, &[("Set-Cookie", "a=session"), ("Set-Cookie", own)], false).unwrap();
            assert_eq!((done.cookies, left), (1, vec!["set-cookie: a=session".to_owned()]), "{own}");
        }
        for other in ["sessions=x", "my-session=x", "a=1; session=2", "x=__Host-session=1"] {
            let (done, left) = cleaned(200, &[("Set-Cookie", other)], false).unwrap();
            assert_eq!((done.cookies, left.len()), (0, 1), "{other}");
        }
    }

    #[test]
    fn an_app_does_not_speak_our_words() {
        let fields = [
            ("Proxy-Status", "Portcullis; error=http_request_denied"),
            ("Proxy-Status", "cdn.example; received-status=200"),
            ("x_request_id", "forged"),
            ("X.Request-ID", "forged"),
            ("X-Request-Ids", "other"),
        ];
        let (done, left) = cleaned(200, &fields, false).unwrap();
        assert_eq!(done.words, 3);
        assert_eq!(left, ["proxy-status: cdn.example; received-status=200", "x-request-ids: other"]);
    }
}
