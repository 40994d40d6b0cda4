//! Session tickets: sealed with keys of this process, or with those of files that replicas share.
//!
//! Each class of names has keys of its own, derived from what its clients are asked for. So a ticket is opened only
//! where a handshake would have been asked for the same: no session outlives a change of the authorities or of the
//! revocation lists that it was judged by.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac, rand};
use portcullis_config::settings::TicketKey;
use rustls::server::ProducesTickets;

use super::clients::ClassLabel;
use crate::clock::unix_now;

/// How long a session may be resumed.
const LIFETIME_SECS: u32 = 12 * 60 * 60;
/// How far the clock of the replica that sealed may be ahead.
const SKEW_SECS: i64 = 60;
const NAME_BYTES: usize = 16;
const SALT_BYTES: usize = 32;
const HEAD_BYTES: usize = NAME_BYTES + SALT_BYTES;
const TIME_BYTES: usize = 8;
/// The largest ticket that is opened: a TLS 1.3 identity has 16 bits of length.
const TICKET_BYTES_MAX: usize = 1 << 16;

/// The keys of each class.
#[derive(Clone, Debug)]
pub(super) struct Tickets {
    files: Vec<TicketKey>,
    classes: BTreeMap<ClassLabel, Arc<dyn ProducesTickets>>,
}

impl Tickets {
    /// The keys of these classes, handed on where neither the files nor the class changed.
    pub(super) fn new(
        files: &[TicketKey],
        labels: impl Iterator<Item = ClassLabel>,
        former: Option<&Self>,
    ) -> Result<Self, rustls::Error> {
        let former = former.filter(|former| former.files == files);
        let mut classes = BTreeMap::new();
        for label in labels {
            let known = former.and_then(|former| former.classes.get(&label).cloned());
            let ticketer = match known {
                Some(ticketer) => ticketer,
                None if files.is_empty() => rustls::crypto::aws_lc_rs::Ticketer::new()?,
                None => Arc::new(FileTickets::new(files, label)?),
            };
            classes.insert(label, ticketer);
        }
        Ok(Self { files: files.to_vec(), classes })
    }

    pub(super) fn of(&self, label: ClassLabel) -> Option<Arc<dyn ProducesTickets>> {
        self.classes.get(&label).cloned()
    }
}

/// Seals with the first key, opens with each.
struct FileTickets {
    keys: Vec<ClassKey>,
}

impl fmt::Debug for FileTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileTickets(…)")
    }
}

/// A key of a file, for one class.
struct ClassKey {
    name: [u8; NAME_BYTES],
    key: hmac::Key,
}

/// The length of what is derived.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn failed(_: aws_lc_rs::error::Unspecified) -> rustls::Error {
    rustls::Error::General("a ticket key cannot be derived".to_owned())
}

impl ClassKey {
    fn new(file: &TicketKey, label: ClassLabel) -> Result<Self, rustls::Error> {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"portcullis session tickets 1").extract(&file.0);
        let mut bytes = [0; NAME_BYTES + 32];
        let info = [label.as_bytes()];
        secret
            .expand(&info, Length(bytes.len()))
            .and_then(|derived| derived.fill(&mut bytes))
            .map_err(failed)?;
        let (name, key) =
            bytes.split_first_chunk::<NAME_BYTES>().ok_or_else(|| failed(aws_lc_rs::error::Unspecified))?;
        Ok(Self { name: *name, key: hmac::Key::new(hmac::HMAC_SHA256, key) })
    }

    /// A key for one ticket: under a salt of 256 bits no two have the same, so that the nonce can be fixed.
    fn sealing(&self, salt: &[u8]) -> Option<LessSafeKey> {
        let derived = hmac::sign(&self.key, salt);
        Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, derived.as_ref()).ok()?))
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

impl FileTickets {
    fn new(files: &[TicketKey], label: ClassLabel) -> Result<Self, rustls::Error> {
        let keys = files.iter().map(|file| ClassKey::new(file, label)).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    fn seal(&self, plain: &[u8], now: i64) -> Option<Vec<u8>> {
        let key = self.keys.first()?;
        let mut salt = [0; SALT_BYTES];
        rand::fill(&mut salt).ok()?;
        let head = [&key.name[..], &salt].concat();
        let mut body = [&now.to_be_bytes()[..], plain].concat();
        key.sealing(&salt)?.seal_in_place_append_tag(nonce(), Aad::from(&head), &mut body).ok()?;
        Some([head, body].concat())
    }

    fn open(&self, ticket: &[u8], now: i64) -> Option<Vec<u8>> {
        let (head, body) = ticket.split_at_checked(HEAD_BYTES)?;
        let (name, salt) = head.split_at_checked(NAME_BYTES)?;
        let key = self.keys.iter().find(|key| key.name == name)?;
        let mut body = body.to_vec();
        let plain = key.sealing(salt)?.open_in_place(nonce(), Aad::from(head), &mut body).ok()?;
        let (sealed_at, plain) = plain.split_first_chunk::<TIME_BYTES>()?;
        let age = now.checked_sub(i64::from_be_bytes(*sealed_at))?;
        (-SKEW_SECS..=i64::from(LIFETIME_SECS)).contains(&age).then(|| plain.to_vec())
    }
}

impl ProducesTickets for FileTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_SECS
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, unix_now())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > TICKET_BYTES_MAX {
            return None;
        }
        self.open(ticket, unix_now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn tickets(keys: &[u8], label: &[u8]) -> FileTickets {
        let files: Vec<_> = keys.iter().map(|byte| TicketKey([*byte; 80])).collect();
        FileTickets::new(&files, ClassLabel::of([label].into_iter())).unwrap()
    }

    #[test]
    fn the_first_key_seals_and_each_opens() {
        let (old, both, new) = (tickets(&[1], b"a"), tickets(&[2, 1], b"a"), tickets(&[2], b"a"));
        let ticket = old.seal(b"session", NOW).unwrap();
        assert_eq!(old.open(&ticket, NOW).as_deref(), Some(&b"session"[..]));
        assert_eq!(both.open(&ticket, NOW).as_deref(), Some(&b"session"[..]), "a replica with the same key");
        assert_eq!(new.open(&ticket, NOW), None, "a key that went");
        let ticket = both.seal(b"session", NOW).unwrap();
        assert_eq!((old.open(&ticket, NOW), new.open(&ticket, NOW).is_some()), (None, true));
        assert_ne!(both.seal(b"session", NOW), both.seal(b"session", NOW));
    }

    #[test]
    fn a_ticket_is_opened_in_its_class_alone() {
        let ticket = tickets(&[1], b"one list").seal(b"session", NOW).unwrap();
        assert!(tickets(&[1], b"one list").open(&ticket, NOW).is_some());
        assert_eq!(tickets(&[1], b"another list").open(&ticket, NOW), None);
    }

    #[test]
    fn a_ticket_ends_and_no_bit_of_it_can_be_changed() {
        let one = tickets(&[1], b"a");
        let ticket = one.seal(b"session", NOW).unwrap();
        for (age, opens) in
            [(43_200, true), (43_201, false), (-60, true), (-61, false), (i64::MAX - NOW, false)]
        {
            assert_eq!(one.open(&ticket, NOW + age).is_some(), opens, "{age}");
        }
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(one.open(&changed, NOW), None, "byte {at}");
            assert_eq!(one.open(&ticket[..at], NOW), None, "{at} bytes");
        }
        assert_eq!(one.decrypt(&vec![0; TICKET_BYTES_MAX + 1]), None);
    }
}
