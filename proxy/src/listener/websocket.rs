//! Where a WebSocket's frames begin and end, as the app sends them (RFC 6455, section 5.2): a frame of our own may stand
//! between two of them, and nowhere else.

/// Going away: status 1001 (section 7.4.1), in a frame that closes.
pub(super) const GOING_AWAY: &[u8] = &[0x88, 0x02, 0x03, 0xe9];

/// A policy is violated: status 1008, with the refusal's code as its reason (section 5.5.1): all that a script of a page
/// learns. What it means, `/.portcullis/probe` tells.
pub(super) fn policy_violated(code: u32) -> Vec<u8> {
    let reason = if code == 0 { String::new() } else { code.to_string() };
    let length = u8::try_from(2 + reason.len()).unwrap_or(2);
    [&[0x88, length, 0x03, 0xf0], reason.as_bytes()].concat()
}

/// The end of the head of the answer that switches protocols.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// The longest header of a frame.
const HEADER_BYTES_MAX: usize = 14;

/// How far what was sent has gone.
#[derive(Clone, Debug)]
enum Position {
    /// In the head of the answer; so many bytes of its end were there.
    Head(usize),
    /// In the header of a frame, of which these are known.
    Header([u8; HEADER_BYTES_MAX], usize),
    /// So many bytes before the end of a frame.
    Payload(u64),
}

/// Follows the frames.
#[derive(Clone, Debug)]
pub(super) struct Frames(Position);

impl Frames {
    /// Before the head of the answer is sent.
    pub(super) const fn new() -> Self {
        Self(Position::Head(0))
    }

    /// Whether the last frame is whole, and no other has begun.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.0, Position::Header(_, 0))
    }

    /// Follows `bytes` to the next place between two frames, or to their end: how many they are.
    pub(super) fn next_boundary(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += self.step(rest);
            if self.is_between() {
                break;
            }
        }
        at
    }

    /// Follows all of `bytes`.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = self.next_boundary(bytes);
            bytes = bytes.get(count..).unwrap_or_default();
        }
    }

    /// Takes some of `rest`, which is not empty.
    fn step(&mut self, rest: &[u8]) -> usize {
        let Some(first) = rest.first() else { return 0 };
        match &mut self.0 {
            Position::Head(matched) => {
                *matched = match END_OF_HEAD.get(*matched) {
                    Some(expected) if expected == first => *matched + 1,
                    _ => usize::from(*first == b'\r'),
                };
                if *matched == END_OF_HEAD.len() {
                    self.0 = Position::Header([0; HEADER_BYTES_MAX], 0);
                }
                1
            }
            Position::Header(header, known) => {
                if let Some(byte) = header.get_mut(*known) {
                    *byte = *first;
                }
                *known += 1;
                if let Some(payload) = payload(header, *known) {
                    self.0 = Self::within(payload);
                }
                1
            }
            Position::Payload(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                let left = left.saturating_sub(count as u64);
                self.0 = Self::within(left);
                count
            }
        }
    }

    const fn within(left: u64) -> Position {
        if left == 0 { Position::Header([0; HEADER_BYTES_MAX], 0) } else { Position::Payload(left) }
    }
}

/// The length of a frame's payload once its header is whole.
fn payload(header: &[u8; HEADER_BYTES_MAX], known: usize) -> Option<u64> {
    let [_, second, a, b, c, d, e, f, g, h, ..] = *header;
    let masked = if second & 0x80 == 0 { 0 } else { 4 };
    let (bytes, length) = match second & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes([a, b]))),
        127 => (10, u64::from_be_bytes([a, b, c, d, e, f, g, h])),
        length => (2, u64::from(length)),
    };
    (known >= bytes + masked).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut bytes = vec![0x82];
        match length {
            0..126 => bytes.push(mask | u8::try_from(length).unwrap()),
            126..0x1_0000 => {
                bytes.push(mask | 126);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            bytes.extend([1, 2, 3, 4]);
        }
        bytes.extend(std::iter::repeat_n(0x88, length));
        bytes
    }

    #[test]
    fn who_is_refused_is_told_the_code() {
        assert_eq!(policy_violated(53003), b"\x88\x07\x03\xf053003");
        assert_eq!(policy_violated(0), b"\x88\x02\x03\xf0");
        assert!(policy_violated(u32::MAX).len() < 128, "a frame that closes is short");
    }

    #[test]
    fn the_places_between_frames_are_found_however_the_bytes_are_cut() {
        let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n".to_vec();
        let mut sent = head.clone();
        let mut between = vec![head.len()];
        for (length, masked) in
            [(0, false), (5, false), (125, true), (126, false), (70_000, false), (0x1_0000, true)]
        {
            sent.extend(frame(length, masked));
            between.push(sent.len());
        }
        for piece in [1, 2, 3, 7, 64, 4096, sent.len()] {
            let mut frames = Frames::new();
            let mut found = Vec::new();
            let mut at = 0;
            for bytes in sent.chunks(piece) {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let count = frames.next_boundary(rest);
                    assert!(count > 0);
                    at += count;
                    rest = &rest[count..];
                    if frames.is_between() {
                        found.push(at);
                    }
                }
            }
            assert_eq!(found, between, "in pieces of {piece}");
            let mut all = Frames::new();
            all.follow(&sent);
            assert!(all.is_between());
        }
    }
}
