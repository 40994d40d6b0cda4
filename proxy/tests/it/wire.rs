//! Raw HTTP/1 over a socket: bytes out, one answer back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer, read to the end of its declared length.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Sends raw bytes on a connection of their own and reads one answer, or whatever arrived before it closed.
pub(crate) fn exchange(address: &str, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // A proxy that refuses early closes while the rest is still being sent.
    let _ = stream.write_all(bytes);
    answer(&mut stream, bytes.starts_with(b"HEAD "))
}

/// Reads one answer.
pub(crate) fn answer(stream: &mut impl Read, head_only: bool) -> Answer {
    let mut received = Vec::new();
    let mut chunk = [0; 16 * 1024];
    let complete = |received: &[u8]| {
        let text = String::from_utf8_lossy(received);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
        });
        let chunked_end =
            head.to_ascii_lowercase().contains("transfer-encoding: chunked") && body.ends_with("0\r\n\r\n");
        let switched = head.contains(" 101 ");
        (head_only || switched || chunked_end || length.is_some_and(|length| body.len() >= length))
            .then_some(())
    };
    while complete(&received).is_none() {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(read) => received.extend_from_slice(&chunk[..read]),
        }
    }
    let text = String::from_utf8_lossy(&received).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}
