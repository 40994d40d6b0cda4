//! The client's address as text, for everyone who tells it: the app, the user, the log.

use std::fmt::Write as _;
use std::net::IpAddr;

use arrayvec::ArrayString;

/// An IP address as text; the longest is an IPv4 address that is written as an IPv6 one.
pub(crate) type AddressText = ArrayString<45>;

/// An address as everybody writes it. The usual kind is written by hand: formatting costs more.
pub(crate) fn address(address: IpAddr) -> AddressText {
    let mut out = AddressText::default();
    let IpAddr::V4(address) = address else {
        // INVARIANT: there is room for every address.
        let _ = write!(out, "{address}");
        return out;
    };
    let (mut text, mut end) = ([0; "255.255.255.255".len()], 0);
    let mut push = |byte| {
        if let Some(place) = text.get_mut(end) {
            *place = byte;
            end += 1;
        }
    };
    for (at, part) in address.octets().into_iter().enumerate() {
        if at > 0 {
            push(b'.');
        }
        if part > 99 {
            push(b'0' + part / 100);
        }
        if part > 9 {
            push(b'0' + part / 10 % 10);
        }
        push(b'0' + part % 10);
    }
    // INVARIANT: digits and points.
    out.push_str(text.get(..end).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default());
    out
}
