//! HTTP/2 by hand: frames and header blocks that no well-behaved client would send.

use std::io::{Read, Write};

/// What the stream received.
#[derive(Debug)]
pub(crate) enum Answer {
    Response {
        status: u16,
        body: String,
    },
    /// `RST_STREAM`.
    Reset,
    /// `GOAWAY` with this code before any answer.
    GoAway(u32),
    /// The connection closed without a word.
    Closed,
}

impl Answer {
    /// The status, 0 when there was none.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Response { status, .. } => *status,
            Self::Reset | Self::GoAway(_) | Self::Closed => 0,
        }
    }

    pub(crate) fn body(&self) -> &str {
        match self {
            Self::Response { body, .. } => body,
            Self::Reset | Self::GoAway(_) | Self::Closed => "",
        }
    }

    /// Whether the request was turned away for what it looked like.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Response { status, .. } => matches!(status, 400 | 403 | 404 | 405 | 431),
            Self::Reset | Self::GoAway(_) | Self::Closed => true,
        }
    }
}

pub(crate) type Field<'f> = (&'f [u8], &'f [u8]);

/// The four pseudo header fields.
pub(crate) fn fields<'f>(method: &'f str, authority: &'f str, path: &'f str) -> Vec<Field<'f>> {
    vec![
        (b":method", method.as_bytes()),
        (b":scheme", b"https"),
        (b":authority", authority.as_bytes()),
        (b":path", path.as_bytes()),
    ]
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
pub(crate) const PING: u8 = 6;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A frame as it is on the wire (RFC 9113, section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn integer(bytes: &mut Vec<u8>, value: usize) {
    if value < 127 {
        bytes.push(u8::try_from(value).unwrap());
        return;
    }
    bytes.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
}

/// A header block of literals without indexing (RFC 7541, section 6.2.2): any bytes at all.
pub(crate) fn block(fields: &[Field<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            integer(&mut bytes, text.len());
            bytes.extend(*text);
        }
    }
    bytes
}

/// The status at the start of the first header block on a connection.
fn status(block: &[u8]) -> u16 {
    match block.first() {
        Some(indexed @ 0x88..=0x8e) => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        // A literal under the name `:status`, Huffman-coded or not.
        Some(0x48 | 0x08 | 0x18) if block[1] & 0x80 == 0 => {
            String::from_utf8_lossy(&block[2..5]).parse().unwrap()
        }
        Some(0x48 | 0x08 | 0x18) => {
            let length = usize::from(block[1] & 0x7f);
            let bits: String = block[2..2 + length].iter().map(|byte| format!("{byte:08b}")).collect();
            let mut at = 0;
            let mut number = 0;
            for _ in 0..3 {
                let (digit, width) = match &bits[at..at + 5] {
                    "00000" => (0, 5),
                    "00001" => (1, 5),
                    "00010" => (2, 5),
                    _ => (u16::from_str_radix(&bits[at..at + 6], 2).unwrap() - 0b01_1001 + 3, 6),
                };
                number = number * 10 + digit;
                at += width;
            }
            number
        }
        other => panic!("a header block begins with {other:?}"),
    }
}

/// A connection after its preface.
pub(crate) struct Connection<S> {
    pub(crate) stream: S,
}

impl<S: Read + Write> Connection<S> {
    pub(crate) fn open(mut stream: S) -> Self {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        stream.write_all(&bytes).unwrap();
        Self { stream }
    }

    /// Sends frames as they are; a connection that is closed already is no fault.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).is_ok()
    }

    /// The next frame: kind, flags, stream, payload.
    pub(crate) fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        if head[3] == SETTINGS && head[4] & 1 == 0 {
            self.send(&frame(SETTINGS, 1, 0, &[]));
        }
        Some((head[3], head[4], stream, payload))
    }

    /// One request on stream 1, with trailers if there are any.
    pub(crate) fn ask(
        &mut self,
        fields: &[Field<'_>],
        body: Option<&[u8]>,
        trailers: &[Field<'_>],
    ) -> Answer {
        let last = if body.is_none() { END_STREAM } else { 0 };
        let mut bytes = frame(HEADERS, END_HEADERS | last, 1, &block(fields));
        if let Some(body) = body {
            let last = if trailers.is_empty() { END_STREAM } else { 0 };
            bytes.extend(frame(DATA, last, 1, body));
            if !trailers.is_empty() {
                bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(trailers)));
            }
        }
        self.send(&bytes);
        self.answer(1)
    }

    /// A request on stream 1 whose body is sent piece by piece, one after each time that reading runs out, until there is
    /// an answer.
    pub(crate) fn trickle(&mut self, fields: &[Field<'_>], piece: &[u8], times: usize) -> Answer {
        self.send(&frame(HEADERS, END_HEADERS, 1, &block(fields)));
        for _ in 0..times {
            if !self.send(&frame(DATA, 0, 1, piece)) {
                return Answer::Closed;
            }
            while let Some((kind, _, stream, payload)) = self.next() {
                match kind {
                    HEADERS if stream == 1 => {
                        return Answer::Response { status: status(&payload), body: String::new() };
                    }
                    RST_STREAM if stream == 1 => return Answer::Reset,
                    _ => {}
                }
            }
        }
        Answer::Closed
    }

    /// The answer on this stream.
    pub(crate) fn answer(&mut self, wanted: u32) -> Answer {
        let code = |payload: &[u8]| u32::from_be_bytes(payload[..4].try_into().unwrap());
        let mut found = None;
        let mut body = Vec::new();
        while let Some((kind, flags, stream, payload)) = self.next() {
            match kind {
                HEADERS if stream == wanted && found.is_none() => found = Some(status(&payload)),
                DATA if stream == wanted => body.extend(payload),
                RST_STREAM if stream == wanted && found.is_none() => return Answer::Reset,
                RST_STREAM if stream == wanted => break,
                GOAWAY if found.is_none() => return Answer::GoAway(code(&payload[4..])),
                _ => {}
            }
            if stream == wanted && matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                break;
            }
        }
        match found {
            Some(status) => Answer::Response { status, body: String::from_utf8_lossy(&body).into_owned() },
            None => Answer::Closed,
        }
    }
}
