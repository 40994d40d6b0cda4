//! Writes a country database in the MaxMind DB format 2.0, small enough to be made on the spot.

use std::net::IpAddr;

use ipnet::IpNet;

/// Writes a database in which each network has its country (`country.iso_code`). Later networks win.
#[must_use]
pub fn write(networks: &[(IpNet, &str)], built_at_unix: u64) -> Vec<u8> {
    let mut nodes: Vec<[Record; 2]> = vec![[Record::Empty; 2]];
    let mut data = Vec::new();
    for (network, country) in networks {
        let offset = data.len();
        map(&mut data, 1);
        text(&mut data, "country");
        map(&mut data, 1);
        text(&mut data, "iso_code");
        text(&mut data, country);
        insert(&mut nodes, network, offset);
    }
    let count = nodes.len();
    let mut file = Vec::new();
    for node in &nodes {
        for record in node {
            // 16 bytes of zeros stand between tree and data; a record's value counts from the tree's end.
            let value = match record {
                Record::Empty => count,
                Record::Node(node) => *node,
                Record::Data(offset) => count + 16 + offset,
            };
            file.extend(u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    metadata(&mut file, count, built_at_unix);
    file
}

#[derive(Clone, Copy)]
enum Record {
    Empty,
    Node(usize),
    Data(usize),
}

fn insert(nodes: &mut Vec<[Record; 2]>, network: &IpNet, offset: usize) {
    // IPv4 lives in ::/96 of an IPv6 tree.
    let (bits, len) = match (network.network(), network.prefix_len()) {
        (IpAddr::V4(address), len) => (u128::from(address.to_bits()), u32::from(len) + 96),
        (IpAddr::V6(address), len) => (address.to_bits(), u32::from(len)),
    };
    let mut node = 0;
    for depth in 0..len {
        let side = usize::try_from((bits >> (127 - depth)) & 1).unwrap_or(0);
        let is_last = depth + 1 == len;
        let fresh = nodes.len();
        let Some(record) = nodes.get_mut(node).and_then(|records| records.get_mut(side)) else { return };
        if is_last {
            *record = Record::Data(offset);
        } else if let Record::Node(next) = record {
            node = *next;
        } else {
            let inherited = std::mem::replace(record, Record::Node(fresh));
            nodes.push([inherited; 2]);
            node = fresh;
        }
    }
}

fn map(out: &mut Vec<u8>, pairs: u8) {
    out.push((7 << 5) | pairs);
}

fn text(out: &mut Vec<u8>, value: &str) {
    // Every text of ours is shorter than 29 bytes, the longest whose length fits the control byte.
    let len = value.len().min(28);
    out.push((2 << 5) | u8::try_from(len).unwrap_or(0));
    out.extend(value.bytes().take(len));
}

fn number(out: &mut Vec<u8>, kind: u8, value: u64) {
    let bytes: Vec<u8> = value.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let len = u8::try_from(bytes.len()).unwrap_or(0);
    if kind > 7 {
        out.extend([len, kind - 7]);
    } else {
        out.push((kind << 5) | len);
    }
    out.extend(bytes);
}

fn metadata(out: &mut Vec<u8>, nodes: usize, built_at_unix: u64) {
    const UINT16: u8 = 5;
    const UINT32: u8 = 6;
    const UINT64: u8 = 9;
    map(out, 9);
    for (name, kind, value) in [
        ("binary_format_major_version", UINT16, 2),
        ("binary_format_minor_version", UINT16, 0),
        ("build_epoch", UINT64, built_at_unix),
        ("ip_version", UINT16, 6),
        ("node_count", UINT32, nodes as u64),
        ("record_size", UINT16, 32),
    ] {
        text(out, name);
        number(out, kind, value);
    }
    text(out, "database_type");
    text(out, "Portcullis-Demo-Country");
    text(out, "description");
    map(out, 1);
    text(out, "en");
    text(out, "Invented, for demonstrations");
    text(out, "languages");
    out.extend([1, 11 - 7]);
    text(out, "en");
}

#[cfg(test)]
mod tests {
    use maxminddb::{Reader, path};

    #[test]
    fn a_written_database_is_read_back_by_the_real_reader() {
        let networks = [
            ("203.0.113.0/24".parse().unwrap(), "DE"),
            ("192.0.2.0/24".parse().unwrap(), "KP"),
            ("192.0.2.128/25".parse().unwrap(), "US"),
            ("2001:db8:de::/48".parse().unwrap(), "DE"),
        ];
        let reader = Reader::from_source(super::write(&networks, 1_700_000_000)).unwrap();
        let country = |address: &str| {
            let found = reader.lookup(address.parse().unwrap()).unwrap();
            found.decode_path::<String>(&path!["country", "iso_code"]).unwrap()
        };
        assert_eq!(country("203.0.113.10").as_deref(), Some("DE"));
        assert_eq!(country("192.0.2.1").as_deref(), Some("KP"));
        assert_eq!(country("192.0.2.200").as_deref(), Some("US"));
        assert_eq!(country("2001:db8:de::1").as_deref(), Some("DE"));
        assert_eq!(country("10.0.0.1"), None);
    }
}
