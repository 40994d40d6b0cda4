//! The client's address as text, for everyone who tells it: the app, the user, the log.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

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

/// The IPv4 address that [`address`] writes as this text, if there is one: leading zeros, which some readers
/// take for octal, make it none. The general reader costs three times as much.
pub(super) fn v4(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut bits, mut points, mut part) = (0_u32, 0_u32, None);
    for byte in text {
        part = match (byte, part) {
            (b'0'..=b'9', None) => Some(u32::from(byte - b'0')),
            (b'0'..=b'9', Some(1..=25)) => part.map(|part| part * 10 + u32::from(byte - b'0')),
            (b'.', Some(part @ 0..=255)) => {
                bits = bits << 8 | part;
                points += 1;
                None
            }
            _ => return None,
        };
    }
    part.filter(|part| *part <= 255 && points == 3).map(|part| Ipv4Addr::from_bits(bits << 8 | part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_address_is_read_as_everybody_reads_it(text in "[0-9]{0,3}(\\.[0-9]{0,3}){2,4}|[ -~]{0,18}") {
            prop_assert_eq!(v4(text.as_bytes()), text.parse().ok());
        }

        #[test]
        fn what_is_written_is_read(bits in any::<u32>()) {
            let client = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(v4(address(client.into()).as_bytes()), Some(client));
        }
    }
}
