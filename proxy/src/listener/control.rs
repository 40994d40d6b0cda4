//! Frames of HTTP/2 that carry nothing of a request: each costs us work, and its sender next to nothing. They are counted by
//! the nine bytes that begin a frame (RFC 9113, section 4.1), on their way to the library, which acknowledges each.

use std::time::Instant;

/// What a client says before its first frame (RFC 9113, section 3.4).
const PREFACE_BYTES: u32 = 24;
const HEAD_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;

/// Control frames at once, and in a second, of a connection on which no request was let in.
pub(crate) const AT_ONCE: u64 = 1_000;
const IN_A_SECOND: u64 = 100;
/// How many times as many they are once one was.
pub(crate) const GRANTED_TIMES: u64 = 10;
/// Bytes that are sent to the client pay for a frame: whoever takes a download says so with a frame for each few KiB.
const BYTES_PAY: u64 = 1 << 10;
/// For how many frames one of an answer pays: gRPC's C library says of each small message two or three times that it was
/// taken, for the stream and for the connection.
const ANSWER_PAYS: u64 = 4;

/// What a client sends beside its requests.
#[derive(Debug)]
pub(super) struct ControlFrames {
    received: Frames,
    sent: Frames,
    left: u64,
    /// Bytes, and frames of answers, that were sent and have not paid yet.
    bytes: u64,
    answers: u64,
    /// When `left` was filled up last; the clock is only read when nothing is left.
    filled: Instant,
    is_granted: bool,
}

/// Where in a frame a direction is, however its bytes come.
#[derive(Debug)]
struct Frames {
    at: At,
}

#[derive(Debug)]
enum At {
    /// In so many bytes that are none of a head.
    Within(u32),
    Head([u8; HEAD_BYTES], usize),
}

/// Whether a frame carries nothing of a request.
fn is_control(length: u32, kind: u8, flags: u8) -> bool {
    match kind {
        HEADERS => false,
        DATA => length == 0 && flags & END_STREAM == 0,
        CONTINUATION => length == 0,
        _ => true,
    }
}

const fn is_answer(length: u32, kind: u8, _flags: u8) -> bool {
    kind == HEADERS || kind == DATA && length > 0
}

impl ControlFrames {
    pub(super) fn new() -> Self {
        Self {
            received: Frames { at: At::Within(PREFACE_BYTES) },
            sent: Frames { at: At::Within(0) },
            left: AT_ONCE,
            bytes: 0,
            answers: 0,
            filled: Instant::now(),
            is_granted: false,
        }
    }

    /// Takes in what was received; `false` when it holds more such frames than the client may send.
    pub(super) fn receive(&mut self, bytes: &[u8], is_granted: bool) -> bool {
        let frames = self.received.count(bytes, is_control);
        if frames <= self.left {
            self.left -= frames;
            return true;
        }
        self.fill(is_granted);
        let has_left = frames <= self.left;
        self.left = self.left.saturating_sub(frames);
        has_left
    }

    /// How many of those that may come at once are spent.
    pub(super) const fn spent(&self) -> u64 {
        let all = if self.is_granted { AT_ONCE * GRANTED_TIMES } else { AT_ONCE };
        all.saturating_sub(self.left)
    }

    /// These bytes were sent to the client.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.answers += self.sent.count(bytes, is_answer);
    }

    fn fill(&mut self, is_granted: bool) {
        let times = if is_granted { GRANTED_TIMES } else { 1 };
        if is_granted && !self.is_granted {
            self.is_granted = true;
            self.left += AT_ONCE * (GRANTED_TIMES - 1);
        }
        let passed = u64::try_from(self.filled.elapsed().as_millis()).unwrap_or(u64::MAX);
        let earned = passed.saturating_mul(IN_A_SECOND * times) / 1_000;
        if earned > 0 {
            self.filled = Instant::now();
        }
        let paid =
            std::mem::take(&mut self.bytes) / BYTES_PAY + std::mem::take(&mut self.answers) * ANSWER_PAYS;
        self.left = self.left.saturating_add(earned).saturating_add(paid).min(AT_ONCE * times);
    }
}

impl Frames {
    /// How many frames have their head end in these bytes and are such, by length, kind and flags.
    fn count(&mut self, bytes: &[u8], is_such: fn(u32, u8, u8) -> bool) -> u64 {
        let mut frames = 0;
        let mut rest = bytes;
        while let Some((byte, after)) = rest.split_first() {
            self.at = match &mut self.at {
                At::Within(0) => At::Head([0; HEAD_BYTES], 0),
                At::Within(left) => {
                    let within = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    rest = rest.get(within..).unwrap_or_default();
                    At::Within(left.saturating_sub(u32::try_from(within).unwrap_or(u32::MAX)))
                }
                At::Head(head, filled) => {
                    rest = after;
                    if let Some(place) = head.get_mut(*filled) {
                        *place = *byte;
                    }
                    let filled = *filled + 1;
                    let [high, middle, low, kind, flags, ..] = *head;
                    if filled < HEAD_BYTES {
                        At::Head(*head, filled)
                    } else {
                        let length = u32::from_be_bytes([0, high, middle, low]);
                        frames += u64::from(is_such(length, kind, flags));
                        At::Within(length)
                    }
                }
            };
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], &vec![9; payload]].concat()
    }

    #[test]
    fn frames_that_carry_nothing_of_a_request_are_counted_however_they_come() {
        let preface = [b'P'; PREFACE_BYTES as usize];
        let (ping, settings, window) = (frame(6, 0, 8), frame(4, 0, 0), frame(8, 0, 4));
        let carries = [frame(HEADERS, 4, 300), frame(DATA, 0, 20_000), frame(DATA, END_STREAM, 0)].concat();
        let empty = [frame(DATA, 0, 0), frame(CONTINUATION, 0, 0), frame(0xfa, 0, 3)].concat();
        let all = [&preface[..], &settings, &carries, &ping, &window, &carries, &empty].concat();
        for at_once in [1, 2, 8, 9, 10, 1_000, 100_000] {
            let mut frames = ControlFrames::new();
            let counted: u64 =
                all.chunks(at_once).map(|bytes| frames.received.count(bytes, is_control)).sum();
            assert_eq!(counted, 6, "{at_once}");
        }
    }

    #[test]
    fn who_was_let_in_and_who_takes_what_is_sent_may_send_more() {
        let pings = |count: usize| frame(6, 0, 8).repeat(count);
        let begun = || {
            let mut frames = ControlFrames::new();
            assert!(frames.receive(&[b'P'; PREFACE_BYTES as usize], false));
            assert!(frames.receive(&pings(1_000), false));
            frames
        };
        assert!(!begun().receive(&pings(500), false));
        assert!(begun().receive(&pings(8_000), true));
        assert!(!begun().receive(&pings(10_500), true));
        let mut download = begun();
        download.sent(&frame(DATA, 0, (1 << 20) - HEAD_BYTES));
        assert!(download.receive(&pings(1_000), false));
        assert!(!download.receive(&pings(1_000), false));
    }

    #[test]
    fn each_small_message_of_an_answer_pays_for_the_frames_that_say_it_was_taken() {
        let mut stream = ControlFrames::new();
        assert!(stream.receive(&[b'P'; PREFACE_BYTES as usize], true));
        let taken = frame(8, 0, 4).repeat(3);
        for number in 0..20_000 {
            stream.sent(&frame(DATA, 0, 105));
            assert!(stream.receive(&taken, true), "after {number} messages");
        }
        // What pays nothing: frames without content, and those of the connection.
        let mut silent = ControlFrames::new();
        assert!(silent.receive(&[b'P'; PREFACE_BYTES as usize], false));
        let empty = [frame(DATA, END_STREAM, 0), frame(6, 1, 8), frame(8, 0, 4)].concat();
        assert!((0..20_000).any(|_| {
            silent.sent(&empty);
            !silent.receive(&taken, false)
        }));
    }
}
