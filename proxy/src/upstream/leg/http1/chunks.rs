//! The chunked coding of an answer's body (RFC 9112, section 7.1), read to the letter.

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use memchr::memchr;

use super::super::fault::Fault;
use super::super::fields::{TRAILER_BYTES_MAX, TRAILERS_MAX, may_trail};

/// The line of a chunk's size at most, with its extensions, in bytes.
const LINE_BYTES_MAX: usize = 1024;

/// Where in a chunked body we are.
#[derive(Debug, Default)]
pub(super) enum Chunks {
    #[default]
    Size,
    /// So many bytes of the chunk are left.
    Data(u64),
    /// The line end behind a chunk.
    DataEnd,
    Trailers,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Part {
    /// More must be received first.
    More,
    Data(Bytes),
    /// The end, and what stands between it and the last chunk.
    End(Option<HeaderMap>),
}

const MALFORMED: Fault = Fault::protocol("a chunk of the answer is malformed");
const TRAILERS: Fault = Fault::protocol("the trailers of the answer are malformed, or too large");

impl Chunks {
    pub(super) fn next(&mut self, received: &mut BytesMut) -> Result<Part, Fault> {
        loop {
            match self {
                Self::Size => {
                    let Some(size) = take_size(received)? else { return Ok(Part::More) };
                    *self = if size == 0 { Self::Trailers } else { Self::Data(size) };
                }
                Self::Data(left) => {
                    let Some(piece) = piece(received, *left) else { return Ok(Part::More) };
                    *left -= piece.len() as u64;
                    if *left == 0 {
                        *self = Self::DataEnd;
                    }
                    return Ok(Part::Data(piece));
                }
                Self::DataEnd => match &**received {
                    [b'\r', b'\n', ..] => {
                        received.advance(2);
                        *self = Self::Size;
                    }
                    [] | [b'\r'] => return Ok(Part::More),
                    _ => return Err(MALFORMED),
                },
                Self::Trailers => {
                    return Ok(match take_trailers(received)? {
                        None => Part::More,
                        Some(trailers) => Part::End((!trailers.is_empty()).then_some(trailers)),
                    });
                }
            }
        }
    }
}

/// Takes what came, at most so many bytes of it; `None` when nothing did.
pub(super) fn piece(received: &mut BytesMut, at_most: u64) -> Option<Bytes> {
    let count = usize::try_from(at_most).unwrap_or(usize::MAX).min(received.len());
    (count > 0).then(|| received.split_to(count).freeze())
}

/// Takes the line of a chunk's size, and whatever extensions follow the size: nobody here knows one.
fn take_size(received: &mut BytesMut) -> Result<Option<u64>, Fault> {
    let Some(end) = memchr(b'\n', received) else {
        return if received.len() > LINE_BYTES_MAX { Err(MALFORMED) } else { Ok(None) };
    };
    let line = received.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(MALFORMED)?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, rest) = line.split_at_checked(digits).ok_or(MALFORMED)?;
    let is_extension = matches!(rest.trim_ascii_start(), [] | [b';', ..]);
    let is_text = rest.iter().all(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f);
    // 15 digits do not overflow 64 bits, nor does any sum of lengths that is ever reached.
    if !(1..=15).contains(&digits) || line.len() > LINE_BYTES_MAX || !is_extension || !is_text {
        return Err(MALFORMED);
    }
    let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
    let size = size.ok_or(MALFORMED)?;
    received.advance(end + 1);
    Ok(Some(size))
}

/// Takes the trailers and the empty line behind them. Only what may stand there remains (RFC 9110, section 6.5.1).
fn take_trailers(received: &mut BytesMut) -> Result<Option<HeaderMap>, Fault> {
    let mut fields = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    let (end, parsed) = match httparse::parse_headers(received, &mut fields) {
        Ok(httparse::Status::Complete(parsed)) => parsed,
        Ok(httparse::Status::Partial) if received.len() <= TRAILER_BYTES_MAX => return Ok(None),
        Ok(httparse::Status::Partial) | Err(_) => return Err(TRAILERS),
    };
    let mut trailers = HeaderMap::new();
    for field in parsed {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| TRAILERS)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| TRAILERS)?;
        if may_trail(&name) {
            trailers.append(name, value);
        }
    }
    received.advance(end);
    Ok(Some(trailers))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a body that is received in pieces of so many bytes, and what is left behind it.
    fn decode(body: &[u8], step: usize) -> Result<(Vec<u8>, Vec<String>, usize), String> {
        let (mut chunks, mut received, mut data) = (Chunks::default(), BytesMut::new(), Vec::new());
        let mut rest = body.chunks(step);
        loop {
            match chunks.next(&mut received).map_err(|fault| fault.to_string())? {
                Part::More => received.extend_from_slice(rest.next().ok_or("not whole")?),
                Part::Data(piece) => data.extend_from_slice(&piece),
                Part::End(trailers) => {
                    let names = trailers.iter().flat_map(HeaderMap::keys).map(ToString::to_string);
                    return Ok((
                        data,
                        names.collect(),
                        received.len() + rest.map(<[u8]>::len).sum::<usize>(),
                    ));
                }
            }
        }
    }

    #[test]
    fn a_body_is_the_same_however_it_is_cut() {
        let body = b"3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\nContent-Length: 5\r\n\r\nNEXT";
        for step in 1..body.len() {
            let expected = (b"abc0123456789".to_vec(), vec!["x-sum".to_owned()], 4);
            assert_eq!(decode(body, step), Ok(expected), "{step}");
        }
        assert_eq!(decode(b"0\r\n\r\n", 1), Ok((Vec::new(), Vec::new(), 0)));
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for body in [
            &b"\r\nabc"[..],
            b"3\nabc\r\n0\r\n\r\n",
            b"0x3\r\nabc\r\n0\r\n\r\n",
            b"+3\r\nabc",
            b" 3\r\nabc",
            b"3 x\r\nabc",
            b"3;a\rb\r\nabc",
            b"-1\r\n",
            b"1000000000000000\r\n",
            b"3\r\nabcd\r\n0\r\n\r\n",
            b"3\r\nabc\n0\r\n\r\n",
            b"0\r\nno colon\r\n\r\n",
            b"0\r\nA : b\r\n\r\n",
        ] {
            let problem = decode(body, 1).unwrap_err();
            assert!(problem.contains("malformed"), "{}: {problem}", body.escape_ascii());
        }
        assert_eq!(decode(b"3\r\nabc\r\n0\r\n", 1), Err("not whole".to_owned()));
        let long = [b"3;", &[b'x'; LINE_BYTES_MAX][..]].concat();
        assert!(decode(&long, 7).unwrap_err().contains("malformed"));
        let trailers = [b"0\r\n", &b"A: b\r\n".repeat(TRAILER_BYTES_MAX)[..]].concat();
        assert!(decode(&trailers, 1000).unwrap_err().contains("trailers"));
    }
}
