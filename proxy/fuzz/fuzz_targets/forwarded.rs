//! Any chain of hops: a peer that is not trusted speaks for nobody, and a trusted one names the first
//! hop from the right that is not trusted.
#![no_main]

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use libfuzzer_sys::fuzz_target;
use portcullis::admit::{Connection, Head, admit};
use portcullis_config::settings::{ForwardedHeader, TrustedProxies};

fuzz_target!(|data: &[u8]| {
    let Some((&kind, rest)) = data.split_first() else { return };
    let (header, name) = if kind & 1 == 0 {
        (ForwardedHeader::XForwardedFor, "x-forwarded-for")
    } else {
        (ForwardedHeader::Forwarded, "forwarded")
    };
    let networks: Vec<ipnet::IpNet> =
        ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().unwrap()).into();
    let trusted = |address: &IpAddr| networks.iter().any(|network| network.contains(address));
    let proxies = TrustedProxies { networks: networks.clone(), header };
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("wiki.test"));
    let mut lines = 0;
    // Far fewer than a head may have fields, so that one more makes no difference.
    for line in rest.split(|byte| *byte == b'\n').take(64) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static(name), value);
            lines += 1;
        }
    }
    let method = Method::GET;
    let client = |peer: &str, headers: &HeaderMap| {
        let peer = peer.parse().unwrap();
        let connection = Connection { peer, tls: false, port: Some(8080) };
        let head = Head::new(&method, b"/", Version::HTTP_11, headers, None);
        admit(&head, connection, &proxies).map(|request| request.client())
    };
    if let Ok(address) = client("192.0.2.9", &headers) {
        assert_eq!(address, Some("192.0.2.9".parse().unwrap()), "an untrusted peer speaks for nobody");
    }
    for peer in ["10.0.0.1", "::ffff:10.0.0.1"] {
        let Ok(address) = client(peer, &headers) else { continue };
        if let Some(address) = address {
            assert_eq!(address, address.to_canonical(), "a mapped address is the IPv4 address");
            if trusted(&address) {
                continue;
            }
        }
        assert!(lines > 0, "an address, or none, out of nowhere");
        // A hop that the client put in front changes nothing.
        let mut longer = HeaderMap::new();
        longer.insert("host", HeaderValue::from_static("wiki.test"));
        longer.append(HeaderName::from_static(name), HeaderValue::from_static("for=1.1.1.1"));
        for line in headers.get_all(name) {
            longer.append(HeaderName::from_static(name), line.clone());
        }
        assert_eq!(client(peer, &longer), Ok(address), "what is left of the client is not read");
    }
});
