//! Any head at all: what is admitted can be read in one way only, and reading it again changes nothing.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use libfuzzer_sys::fuzz_target;
use portcullis::admit::{Connection, Head, RawHead, admit};
use portcullis_config::settings::{ForwardedHeader, TrustedProxies};

fuzz_target!(|data: &[u8]| {
    // A head as it would come: a request line, then lines of headers.
    let raw = RawHead::new(data);
    let target = raw.target();
    let mut lines = data.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.next().unwrap_or_default();
    let method = first.split(|byte| *byte == b' ').next().unwrap_or_default();
    let Ok(method) = Method::from_bytes(method) else { return };
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let proxies = TrustedProxies { networks: Vec::new(), header: ForwardedHeader::XForwardedFor };
    let peer = "192.0.2.1".parse().unwrap();
    let connection = Connection { peer, tls: false, port: Some(8080) };
    let head = |target| Head::new(&method, target, Version::HTTP_11, &headers, None);
    let asked = head(target).with_raw(raw);
    let Ok(request) = admit(&asked, connection, &proxies) else { return };

    assert_eq!(request.client(), Some(peer), "nobody is trusted");
    assert!(matches!(request.site().port, 80 | 8080), "a client names no port of its own");
    let host = request.host();
    assert!(
        !host.is_empty() && !host.bytes().any(|byte| byte.is_ascii_uppercase() || b"@/?# ".contains(&byte))
    );
    let path = request.path();
    for reading in std::iter::once(path).chain(request.other_paths()) {
        assert!(reading.starts_with('/'), "{reading}");
        assert!(reading.split('/').all(|segment| segment != "." && segment != ".."), "{reading}");
        for form in ["\\", "?", "#", "\0", "\r", "\n", "%2E", "%5C"] {
            assert!(!reading.contains(form), "{reading} holds {form:?}");
        }
    }
    // What the app receives decodes to the same text.
    let decode = |path: &[u8]| percent_encoding::percent_decode(path).collect::<Vec<u8>>();
    let sent = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    assert_eq!(decode(sent), decode(path.as_bytes()), "judged and sent differ");
    // Escaped anew it is the same path.
    const BEYOND_ASCII: &percent_encoding::AsciiSet = percent_encoding::CONTROLS;
    let escaped = percent_encoding::utf8_percent_encode(path, BEYOND_ASCII).to_string();
    let again = head(escaped.as_bytes());
    let again = admit(&again, connection, &proxies).expect("the normal form is admitted");
    assert_eq!(again.path(), path, "the normal form is its own");
});
