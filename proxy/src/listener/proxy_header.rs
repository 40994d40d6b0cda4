//! The header that a load balancer sends before a client's bytes: PROXY protocol, version 1 and 2
//! (<https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>). It is read of configured sources alone, and of those
//! each connection must have it: whoever may leave it out may also have it forged by a client.

use std::net::SocketAddr;

use proxy_header::{Error, ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest header that is waited for: room for what version 2 adds to addresses, and a fraction of what its length
/// could say.
const HEADER_BYTES_MAX: usize = 4096;

/// The longest line of version 1, as its specification says.
const VERSION_1_BYTES_MAX: usize = 107;

/// The byte of version and command of a header of version 2 that says `LOCAL`; text has none of it there.
const LOCAL: u8 = 0x20;

/// What is wrong with a header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Who is connected.
    pub(super) client: Client,
    /// What was received behind it.
    pub(super) rest: Vec<u8>,
}

/// Who is connected, as a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// The client, and where it connected to.
    Named(SocketAddr, SocketAddr),
    /// The balancer itself, for a check of health: `LOCAL` of version 2.
    Balancer,
    /// Somebody whose address the balancer does not know or cannot write. It is not the balancer's: a client would have
    /// what that one is trusted with.
    Unknown,
}

/// Reads a header.
pub(super) async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Result<Header, Malformed> {
    let mut bytes = Vec::with_capacity(256);
    loop {
        if socket.read_buf(&mut bytes).await.map_err(|_| Malformed)? == 0 {
            return Err(Malformed);
        }
        match parse(&bytes) {
            Ok(Some(header)) => return Ok(header),
            Ok(None) if bytes.len() < HEADER_BYTES_MAX => {}
            _ => return Err(Malformed),
        }
    }
}

/// The header at the begin of these bytes; `None` when more must come.
fn parse(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let (header, length) = match ProxyHeader::parse(bytes, ParseConfig::default()) {
        Ok(parsed) => parsed,
        // The header is there, and shorter than its addresses.
        Err(Error::BufferTooShort) if length_said(bytes).is_some_and(|length| bytes.len() >= length) => {
            return Err(Malformed);
        }
        Err(Error::BufferTooShort) => return Ok(None),
        Err(_) => return Err(Malformed),
    };
    let client = match header.proxied_address() {
        None if bytes.get(12) == Some(&LOCAL) => Client::Balancer,
        None => Client::Unknown,
        Some(addresses) if addresses.protocol == Protocol::Stream => {
            Client::Named(canonical(addresses.source), canonical(addresses.destination))
        }
        // No client comes by datagrams.
        Some(_) => return Err(Malformed),
    };
    let rest = bytes.get(length..).unwrap_or_default().to_vec();
    Ok(Some(Header { client, rest }))
}

/// How long a header of version 2 says that it is, or one of version 1 may be at most.
fn length_said(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"PROXY") {
        return Some(VERSION_1_BYTES_MAX);
    }
    let length = bytes.get(14..16)?;
    Some(16 + usize::from(u16::from_be_bytes(length.try_into().ok()?)))
}

/// An address of IPv4 that is written as one of IPv6 is one of IPv4: networks of policies are compared with it.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        bytes.extend([0x20 | command, family]);
        bytes.extend(u16::try_from(addresses.len()).unwrap().to_be_bytes());
        bytes.extend(addresses);
        bytes
    }

    const FOUR: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 2, 0x12, 0x34, 0x01, 0xbb];

    fn client(bytes: &[u8]) -> Option<String> {
        match parse(bytes).unwrap().unwrap().client {
            Client::Named(client, _) => Some(client.to_string()),
            Client::Balancer | Client::Unknown => None,
        }
    }

    #[test]
    fn the_client_is_whom_the_header_names() {
        let one = b"PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\nGET /";
        assert_eq!(client(one).as_deref(), Some("192.0.2.1:4660"));
        assert_eq!(parse(one).unwrap().unwrap().rest, b"GET /");
        assert_eq!(
            client(b"PROXY TCP6 2001:db8::1 2001:db8::2 4660 443\r\n").as_deref(),
            Some("[2001:db8::1]:4660")
        );
        assert_eq!(client(&two(1, 0x11, FOUR)).as_deref(), Some("192.0.2.1:4660"));
        // With a field behind the addresses.
        assert_eq!(client(&two(1, 0x11, &[FOUR, &[4, 0, 1, 9]].concat())).as_deref(), Some("192.0.2.1:4660"));
        let mapped = b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 4660 443\r\n";
        assert_eq!(client(mapped).as_deref(), Some("192.0.2.1:4660"), "no network of IPv4 would match it");
    }

    #[test]
    fn who_is_not_named_is_the_balancer_only_if_it_says_so() {
        let client = |bytes: &[u8]| parse(bytes).unwrap().unwrap().client;
        assert_eq!(client(&two(0, 0x11, FOUR)), Client::Balancer, "LOCAL");
        assert_eq!(client(&two(0, 0, &[])), Client::Balancer, "LOCAL");
        assert_eq!(client(b"PROXY UNKNOWN\r\n"), Client::Unknown);
        assert_eq!(client(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), Client::Unknown);
        assert_eq!(client(&two(1, 0, &[])), Client::Unknown, "UNSPEC");
        assert_eq!(client(&two(1, 0x31, &[0; 216])), Client::Unknown, "a socket of its machine");
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bad in [
            &b"GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n"[..],
            b"PROXY TCP4 192.0.2.1 198.51.100.2 4660 70000\r\n",
            b"PROXY TCP4 192.0.2.01 198.51.100.2 4660 443\r\n",
            b"PROXY TCP4  192.0.2.1 198.51.100.2 4660 443\r\n",
            b"PROXY TCP4 2001:db8::1 2001:db8::2 4660 443\r\n",
            b"PROXY TCP5 192.0.2.1 198.51.100.2 4660 443\r\n",
            &two(1, 0x12, FOUR),
            &two(1, 0x11, &FOUR[..8]),
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c",
        ] {
            assert_eq!(parse(bad), Err(Malformed), "{}", bad.escape_ascii());
        }
    }

    #[tokio::test]
    async fn a_header_may_come_byte_by_byte_and_not_without_end() {
        use tokio::io::AsyncWriteExt as _;
        let sent = [&two(1, 0x11, FOUR)[..], b"\x16\x03"].concat();
        for at_once in [1, 3, 64] {
            let (mut balancer, mut socket) = tokio::io::duplex(at_once);
            let bytes = sent.clone();
            let sends = tokio::spawn(async move { balancer.write_all(&bytes).await });
            let header = read(&mut socket).await.unwrap();
            assert!(b"\x16\x03".starts_with(&header.rest[..]), "{:?}", header.rest);
            drop(socket);
            let _ = sends.await.unwrap();
        }
        let (mut balancer, mut socket) = tokio::io::duplex(1 << 20);
        let endless = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"[..], &[0; HEADER_BYTES_MAX]].concat();
        balancer.write_all(&endless).await.unwrap();
        assert_eq!(read(&mut socket).await, Err(Malformed));
    }
}
