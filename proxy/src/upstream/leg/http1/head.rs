//! Heads of answers, and where the answers end. What is odd is refused: two readers of it may disagree about its end, and
//! what follows on the connection would be another user's.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{StatusCode, Version};
use memchr::memchr;
use pingora::http::ResponseHeader;

use super::super::fault::Fault;
use super::super::fields::{FIELDS_MAX, HEAD_BYTES_MAX};

/// What of a request its answer depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) head_only: bool,
    /// What a server says that takes the WebSocket that was asked for.
    pub(super) accept: Option<Accept>,
}

/// The value of `Sec-WebSocket-Accept`.
pub(super) type Accept = [u8; 28];

/// What RFC 6455, section 4.2.2, makes of the key of a request. Whoever passes on a switch without it has a tunnel to a server
/// that goes on with HTTP, and whose further requests nobody judges.
pub(super) fn accept_of(key: &HeaderValue) -> Accept {
    let all = [key.as_bytes(), b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &all);
    let mut accept = [0; 28];
    // INVARIANT: 20 bytes become 28 letters.
    let _ = STANDARD.encode_slice(digest.as_ref(), &mut accept);
    accept
}

/// Reads a head as it comes.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    /// So far no end was found.
    searched: usize,
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Box<ResponseHeader>,
    pub(super) is_interim: bool,
    pub(super) framing: Framing,
    /// Whether the connection may serve another request after it.
    pub(super) keeps: bool,
}

/// Where an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// With its head.
    Empty,
    Length(u64),
    Chunked,
    /// With the connection.
    UntilClose,
    /// It is followed by another protocol.
    Tunnel,
}

impl HeadReader {
    /// Takes a head out of what came; `None` when it is not whole yet.
    pub(super) fn read(&mut self, received: &mut BytesMut, asked: Asked) -> Result<Option<Answer>, Fault> {
        let end = self.find_end(received);
        if end.unwrap_or(received.len()) > HEAD_BYTES_MAX {
            return Err(TOO_LARGE);
        }
        let Some(end) = end else { return Ok(None) };
        parse(&received.split_to(end).freeze(), asked).map(Some)
    }

    /// Where the head ends: behind its empty line.
    fn find_end(&mut self, received: &[u8]) -> Option<usize> {
        while let Some(line) = memchr(b'\n', received.get(self.searched..)?) {
            let next = self.searched + line + 1;
            match received.get(next..)? {
                [b'\n', ..] => return Some(next + 1),
                [b'\r', b'\n', ..] => return Some(next + 2),
                // What follows the line decides, and is not here yet.
                [] | [b'\r'] => {
                    self.searched = next - 1;
                    return None;
                }
                _ => self.searched = next,
            }
        }
        self.searched = received.len();
        None
    }
}

const TOO_LARGE: Fault = Fault::protocol("the answer's head has more than 100 fields or 64 KiB");
const NO_HTTP: Fault = Fault::protocol("the answer's head is no HTTP/1.1");
const AMBIGUOUS: Fault = Fault::protocol("the answer's length is ambiguous");

fn parse(bytes: &Bytes, asked: Asked) -> Result<Answer, Fault> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut fields);
    match parsed.parse(bytes) {
        // What the parser would skip is odd here.
        Ok(httparse::Status::Complete(end)) if end == bytes.len() && bytes.starts_with(b"HTTP/") => {}
        Err(httparse::Error::TooManyHeaders) => return Err(TOO_LARGE),
        Ok(_) | Err(_) => return Err(NO_HTTP),
    }
    let version = if parsed.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(NO_HTTP)?;
    let (mut parts, ()) = http::Response::new(()).into_parts();
    (parts.status, parts.version) = (status, version);
    parts.headers.reserve(parsed.headers.len() + ADDED);
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| NO_HTTP)?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value)).map_err(|_| NO_HTTP)?;
        parts.headers.append(name, value);
    }
    let framing = framing(status, version, &parts.headers, asked)?;
    let stays = match version {
        Version::HTTP_11 => !says(b"close", &parts.headers),
        _ => says(b"keep-alive", &parts.headers),
    };
    let keeps = stays
        && !matches!(framing, Framing::UntilClose | Framing::Tunnel)
        && !(framing == Framing::Empty && !asked.head_only && promises_body(status, &parts.headers));
    let mut head = Box::new(ResponseHeader::from(parts));
    let reason = parsed.reason.filter(|reason| status.canonical_reason() != Some(*reason));
    // One that cannot be written is left out: it has no meaning (RFC 9110, section 15.1).
    let _ = reason.map(|reason| head.set_reason_phrase(Some(reason)));
    let is_interim = status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS;
    Ok(Answer { head, is_interim, framing, keeps })
}

/// Fields that we add to an answer, about.
const ADDED: usize = 4;

/// RFC 9112, section 6.3, but for what it lets pass that can be read in two ways: one length at most, or the one coding
/// that we know.
fn framing(
    status: StatusCode,
    version: Version,
    headers: &HeaderMap,
    asked: Asked,
) -> Result<Framing, Fault> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let (length, coding) = (lengths.next(), codings.next());
    if lengths.next().is_some() || codings.next().is_some() || length.is_some() && coding.is_some() {
        return Err(AMBIGUOUS);
    }
    let length = length.map(|length| digits(length.as_bytes()).ok_or(AMBIGUOUS)).transpose()?;
    let is_chunked = version == Version::HTTP_11
        && coding.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if coding.is_some() && !is_chunked {
        return Err(AMBIGUOUS);
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let mut said = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
        let is_taken = match (asked.accept, said.next(), said.next()) {
            (Some(accept), Some(said), None) => said.as_bytes() == accept,
            _ => false,
        };
        let is_agreed = is_taken && version == Version::HTTP_11 && headers.contains_key(UPGRADE);
        return if is_agreed { Ok(Framing::Tunnel) } else { Err(UNASKED) };
    }
    let is_empty = asked.head_only || status.is_informational() || matches!(status.as_u16(), 204 | 304);
    Ok(match length {
        _ if is_empty => Framing::Empty,
        Some(length) => Framing::Length(length),
        None if is_chunked => Framing::Chunked,
        None => Framing::UntilClose,
    })
}

const UNASKED: Fault =
    Fault::protocol("the answer switches protocols, which was not asked for, or not as RFC 6455 has it");

/// A length: digits and nothing else, few enough for 64 bits.
fn digits(text: &[u8]) -> Option<u64> {
    let is_number = (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Whether a body is announced where there can be none: it may come all the same. With status 304 the length is that of
/// another answer (RFC 9110, section 8.6).
fn promises_body(status: StatusCode, headers: &HeaderMap) -> bool {
    let has_length = headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    headers.contains_key(TRANSFER_ENCODING) || has_length && status != StatusCode::NOT_MODIFIED
}

/// Whether `Connection` has this option.
fn says(wanted: &[u8], headers: &HeaderMap) -> bool {
    let lines = headers.get_all(CONNECTION).iter();
    let mut options = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Asked = Asked { head_only: false, accept: None };

    fn read(text: &str, asked: Asked) -> Result<(Framing, bool), String> {
        let mut received = BytesMut::from(text);
        match HeadReader::default().read(&mut received, asked) {
            Ok(Some(answer)) => Ok((answer.framing, answer.keeps)),
            Ok(None) => Err("not whole".to_owned()),
            Err(fault) => Err(fault.to_string()),
        }
    }

    fn of(lines: &[&str]) -> Result<(Framing, bool), String> {
        read(&format!("{}\r\n\r\n", lines.join("\r\n")), GET)
    }

    #[test]
    fn where_an_answer_ends() {
        let ok = "HTTP/1.1 200 OK";
        for (lines, expected) in [
            (&[ok, "Content-Length: 3"][..], (Framing::Length(3), true)),
            (&[ok, "Content-Length: 3", "Connection: Foo, Close"], (Framing::Length(3), false)),
            (&[ok, "Transfer-Encoding: Chunked"], (Framing::Chunked, true)),
            (&[ok], (Framing::UntilClose, false)),
            (&["HTTP/1.0 200 OK", "Content-Length: 3"], (Framing::Length(3), false)),
            (&["HTTP/1.0 200 OK", "Content-Length: 3", "Connection: Keep-Alive"], (Framing::Length(3), true)),
            (&["HTTP/1.1 204 No Content"], (Framing::Empty, true)),
            (&["HTTP/1.1 204 No Content", "Content-Length: 3"], (Framing::Empty, false)),
            (&["HTTP/1.1 204 No Content", "Transfer-Encoding: chunked"], (Framing::Empty, false)),
            (&["HTTP/1.1 304 Not Modified", "Content-Length: 3"], (Framing::Empty, true)),
            (&["HTTP/1.1 205 Reset Content", "Content-Length: 3"], (Framing::Length(3), true)),
            (&["HTTP/1.1 200"], (Framing::UntilClose, false)),
        ] {
            assert_eq!(of(lines), Ok(expected), "{lines:?}");
        }
        let head = Asked { head_only: true, accept: None };
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", head), Ok((Framing::Empty, true)));
    }

    #[test]
    fn a_length_that_could_be_read_in_two_ways_is_refused() {
        for fields in [
            &["Content-Length: 3", "Content-Length: 3"][..],
            &["Content-Length: 3, 3"],
            &["Content-Length: +3"],
            &["Content-Length:"],
            &["Content-Length: 0x3"],
            &["Content-Length: 1234567890123456789"],
            &["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
            &["Transfer-Encoding: gzip, chunked"],
            &["Transfer-Encoding: identity"],
            &["Transfer-Encoding: chunked", "Content-Length: 3"],
        ] {
            let lines = [&["HTTP/1.1 200 OK"], fields].concat();
            assert_eq!(of(&lines), Err(AMBIGUOUS.to_string()), "{fields:?}");
        }
        assert_eq!(of(&["HTTP/1.0 200 OK", "Transfer-Encoding: chunked"]), Err(AMBIGUOUS.to_string()));
    }

    #[test]
    fn what_is_no_head_of_an_answer_is_refused() {
        for lines in [
            &["SSH-2.0-OpenSSH_9.2"][..],
            &["HTTP/2 200 OK"],
            &["HTTP/1.1 20 OK"],
            &["HTTP/1.1 200 OK", "Folded: a", " b"],
            &["HTTP/1.1 200 OK", "Space : a"],
            &["HTTP/1.1 200 OK", " Indented: a"],
            &["HTTP/1.1 200 OK", "Nul: \0"],
            &["HTTP/1.1 200 OK", "Bare: a\rb"],
            &["HTTP/1.1 200 OK", "no colon"],
            &["", "HTTP/1.1 200 OK"],
        ] {
            assert_eq!(of(lines), Err(NO_HTTP.to_string()), "{lines:?}");
        }
    }

    #[test]
    fn nobody_switches_protocols_unasked() {
        let switch =
            |accept: &str| format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n{accept}\r\n");
        let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        let upgrade = Asked { head_only: false, accept: Some(accept_of(&key)) };
        assert_eq!(read(&switch(accept), upgrade), Ok((Framing::Tunnel, false)));
        assert_eq!(read(&switch(accept), GET), Err(UNASKED.to_string()));
        // A server that has not understood goes on with HTTP, and so would its client with whatever it likes.
        for other in ["", "Sec-WebSocket-Accept: bad\r\n", &accept.repeat(2)] {
            assert_eq!(read(&switch(other), upgrade), Err(UNASKED.to_string()), "{other}");
        }
        assert_eq!(read("HTTP/1.1 101 Go\r\n\r\n", upgrade), Err(UNASKED.to_string()));
    }

    #[test]
    fn a_head_of_many_or_long_fields_is_refused_before_it_is_whole() {
        let mut received = BytesMut::from("HTTP/1.1 200 OK\r\nX-Long: ");
        let mut reader = HeadReader::default();
        while received.len() <= HEAD_BYTES_MAX {
            assert!(reader.read(&mut received, GET).unwrap().is_none());
            received.extend_from_slice(&[b'x'; 1000]);
        }
        assert!(reader.read(&mut received, GET).is_err());
        let many = vec!["X-Many: 1"; FIELDS_MAX + 1];
        assert_eq!(of(&[&["HTTP/1.1 200 OK"], &many[..]].concat()), Err(TOO_LARGE.to_string()));
        assert!(of(&[&["HTTP/1.1 200 OK"], &many[1..]].concat()).is_ok());
    }

    #[test]
    fn a_head_is_the_same_however_it_is_cut() {
        let text = "HTTP/1.1 404 Nothing Here\r\nSet-Cookie: a=1\r\nSet-Cookie: \u{e9}\r\nContent-Length: 3\r\n\r\nabc";
        for cut in 1..text.len() - 3 {
            let mut received = BytesMut::from(&text.as_bytes()[..cut]);
            let mut reader = HeadReader::default();
            let first = reader.read(&mut received, GET).unwrap();
            assert!(first.is_none(), "{cut}");
            received.extend_from_slice(&text.as_bytes()[cut..]);
            let answer = reader.read(&mut received, GET).unwrap().unwrap();
            assert_eq!(answer.head.status, 404);
            assert_eq!(answer.head.get_reason_phrase(), Some("Nothing Here"));
            assert_eq!(answer.head.headers.get_all("set-cookie").iter().count(), 2);
            assert_eq!(answer.head.headers["set-cookie"], "a=1");
            assert_eq!(received, "abc", "{cut}");
        }
    }
}
