//! The id of a request, as everybody writes it.

/// How many characters it has.
pub(crate) const LENGTH: usize = uuid::fmt::Hyphenated::LENGTH;

/// A UUID as text (RFC 9562, section 4), in a tenth of the code of the library for them, all of which each request
/// would fetch for this.
pub(crate) fn text(id: u128) -> [u8; LENGTH] {
    let mut text = [b'-'; LENGTH];
    let [a, b, c, d] = [96, 64, 32, 0].map(|shift| digits((id >> shift) as u32));
    text[..8].copy_from_slice(&a);
    text[9..13].copy_from_slice(&b[..4]);
    text[14..18].copy_from_slice(&b[4..]);
    text[19..23].copy_from_slice(&c[..4]);
    text[24..28].copy_from_slice(&c[4..]);
    text[28..].copy_from_slice(&d);
    text
}

/// Eight hexadecimal digits, all of them at once: each has a byte of a word to itself.
const fn digits(value: u32) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let pairs = value as u64;
    let pairs = (pairs | pairs << 16) & 0x0000_ffff_0000_ffff;
    let pairs = (pairs | pairs << 8) & 0x00ff_00ff_00ff_00ff;
    let each = (pairs | pairs << 4) & (0x0f * EACH);
    // From ten on, six more reach the next four bits.
    let is_letter = (each + 6 * EACH) >> 4 & EACH;
    (each + b'0' as u64 * EACH + is_letter * (b'a' - 10 - b'0') as u64).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_is_written_as_uuids_are(id in any::<u128>()) {
            let text = super::text(id);
            prop_assert_eq!(std::str::from_utf8(&text).unwrap(), uuid::Uuid::from_u128(id).to_string());
        }
    }
}
