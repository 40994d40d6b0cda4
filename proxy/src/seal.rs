//! What we hand to a browser or a store and want back unread and unchanged: sessions, attempts to sign in, codes that
//! pass from one host to another.
//!
//! `version (1) | key id (4) | nonce (12) | AES-256-GCM ciphertext and tag (16)`, as base64url. Version, key id and
//! [`Purpose`] are authenticated too: what was sealed for one purpose opens for no other. The key's id is the start of
//! its digest, so that several keys can be held while what a former one sealed is still about. Nonces are drawn at
//! random, 96 bits: a key is good for 2^32 seals (NIST SP 800-38D, section 8.3).

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_policy::words;

/// The version of the layout above. A replica of another version takes the text for no seal at all.
const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 4;
const HEAD_LEN: usize = 1 + KEY_ID_LEN;
const TAG_LEN: usize = 16;
/// Version, key id and purpose.
const AAD_LEN: usize = HEAD_LEN + 1;

words! {
    /// What a seal is for.
    pub enum Purpose {
        /// A whole session, in a cookie.
        Session = "session",
        /// The id of a session that a store holds, in a cookie.
        SessionId = "session-id",
        /// A whole session, in a store.
        StoredSession = "stored-session",
        /// An attempt to sign in, in a cookie.
        Attempt = "attempt",
        /// A code that passes a sign-in from the sign-in host to an app's host.
        HandOver = "hand-over",
        /// That a browser has signed out, and where it may go.
        SignedOut = "signed-out",
        /// A form of ours that only our own page may send.
        Form = "form",
        /// Which provider a browser chose.
        Choice = "choice",
        /// The `state` of an attempt to sign in.
        State = "state",
        /// How often a browser was sent to sign in lately.
        Turns = "turns",
        /// What the hosts of a sign-in pass to each other through the browser.
        HandOverLink = "hand-over-link",
        /// What a page waits for that was shown instead of an app.
        Wait = "wait",
        /// A refusal that a page of its own shows.
        Refusal = "refusal",
        /// Which server of an app served a browser last.
        Server = "server",
    }
}

/// Why a text was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// No base64url, or too short.
    #[error("it is no seal")]
    Malformed,
    /// Of another version than this process writes.
    #[error("it is a seal of another version")]
    OtherVersion,
    /// Made with a key that is not configured.
    #[error("it was sealed with a key that is not configured")]
    UnknownKey,
    /// Altered, for another purpose, or made with another key of the same id.
    #[error("it was altered, or sealed for something else")]
    Altered,
}

/// The keys that seal and open.
pub struct Seals {
    /// The first seals. Each is prepared once: to expand a key costs more than to seal with it.
    keys: Vec<([u8; KEY_ID_LEN], RandomizedNonceKey)>,
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seals").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Seals {
    /// Takes the keys, 32 random bytes each: the first seals, all open. Without one, nothing is sealed and nothing
    /// opens.
    #[must_use]
    pub fn new<'k>(keys: impl IntoIterator<Item = &'k [u8; 32]>) -> Self {
        // INVARIANT: every 32 bytes are a key of AES-256.
        let prepare = |key: &[u8; 32]| Some((key_id(key), RandomizedNonceKey::new(&AES_256_GCM, key).ok()?));
        Self { keys: keys.into_iter().filter_map(prepare).collect() }
    }

    /// How many characters a sealed text of so many bytes has.
    #[must_use]
    pub const fn sealed_len(plain_len: usize) -> usize {
        ((HEAD_LEN + NONCE_LEN + plain_len + TAG_LEN) * 4).div_ceil(3)
    }

    /// Seals these bytes with the first key, as base64url; `None` without a key, or when no nonce could be drawn.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, plain: &[u8]) -> Option<String> {
        let (id, key) = self.keys.first()?;
        let mut sealed = plain.to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(aad(*id, purpose)), &mut sealed).ok()?;
        let mut text = Vec::with_capacity(HEAD_LEN + NONCE_LEN + sealed.len());
        text.push(VERSION);
        text.extend_from_slice(id);
        text.extend_from_slice(nonce.as_ref());
        text.extend_from_slice(&sealed);
        Some(URL_SAFE_NO_PAD.encode(text))
    }

    /// Opens a text with whichever key sealed it. Its age, and its length before that, are for the caller to judge.
    ///
    /// # Errors
    /// When it is no seal of these keys for this purpose: to be treated as if there was none.
    pub fn open(&self, purpose: Purpose, text: &str) -> Result<Vec<u8>, UnsealError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| UnsealError::Malformed)?;
        let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>().ok_or(UnsealError::Malformed)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(UnsealError::Malformed)?;
        let [version, id @ ..] = *head;
        if version != VERSION {
            return Err(UnsealError::OtherVersion);
        }
        let known = self.keys.iter().find(|(known, _)| *known == id);
        let (_, key) = known.ok_or(UnsealError::UnknownKey)?;
        let mut sealed = sealed.to_vec();
        let opened = key.open_in_place(Nonce::from(nonce), Aad::from(aad(id, purpose)), &mut sealed);
        let len = opened.map_err(|_| UnsealError::Altered)?.len();
        sealed.truncate(len);
        Ok(sealed)
    }
}

/// What is authenticated beside the text.
fn aad(id: [u8; KEY_ID_LEN], purpose: Purpose) -> [u8; AAD_LEN] {
    let [a, b, c, d] = id;
    // The position of a purpose is a part of the layout: new ones come last.
    [VERSION, a, b, c, d, purpose as u8]
}

fn key_id(key: &[u8; 32]) -> [u8; KEY_ID_LEN] {
    digest(&SHA256, key).as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seals(keys: &[u8]) -> Seals {
        let keys: Vec<[u8; 32]> = keys.iter().map(|byte| [*byte; 32]).collect();
        Seals::new(&keys)
    }

    fn decoded(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_and_shows_nothing_before() {
        let text = seals(&[1]).seal(Purpose::Session, b"anna@example.org").unwrap();
        assert_eq!(seals(&[1]).open(Purpose::Session, &text).unwrap(), b"anna@example.org");
        assert_eq!(text.len(), Seals::sealed_len(16));
        assert!(!decoded(&text).windows(4).any(|window| window == b"anna"));
        let again = seals(&[1]).seal(Purpose::Session, b"anna@example.org").unwrap();
        assert_ne!(text, again, "each has a nonce of its own");
    }

    #[test]
    fn what_was_sealed_for_one_purpose_opens_for_no_other() {
        let text = seals(&[1]).seal(Purpose::Attempt, b"x").unwrap();
        for other in Purpose::ALL.into_iter().filter(|other| *other != Purpose::Attempt) {
            assert_eq!(seals(&[1]).open(other, &text), Err(UnsealError::Altered), "{other:?}");
        }
    }

    #[test]
    fn a_former_key_opens_and_does_not_seal() {
        let text = seals(&[1]).seal(Purpose::Session, b"x").unwrap();
        assert_eq!(seals(&[2, 1]).open(Purpose::Session, &text).unwrap(), b"x");
        assert_eq!(seals(&[2]).open(Purpose::Session, &text), Err(UnsealError::UnknownKey));
        let text = seals(&[2, 1]).seal(Purpose::Session, b"x").unwrap();
        assert_eq!(seals(&[1]).open(Purpose::Session, &text), Err(UnsealError::UnknownKey));
        assert_eq!(seals(&[]).seal(Purpose::Session, b"x"), None);
        assert_eq!(seals(&[]).open(Purpose::Session, &text), Err(UnsealError::UnknownKey));
    }

    #[test]
    fn trap_33_a_seal_of_a_newer_version_is_none() {
        let text = seals(&[1]).seal(Purpose::Session, b"x").unwrap();
        let mut bytes = decoded(&text);
        bytes[0] = VERSION + 1;
        let newer = URL_SAFE_NO_PAD.encode(bytes);
        assert_eq!(seals(&[1]).open(Purpose::Session, &newer), Err(UnsealError::OtherVersion));
    }

    proptest! {
        #[test]
        fn any_altered_byte_is_refused(plain: Vec<u8>, at: prop::sample::Index, bits in 1_u8..) {
            let text = seals(&[1]).seal(Purpose::Session, &plain).unwrap();
            let mut bytes = decoded(&text);
            *at.get_mut(&mut bytes) ^= bits;
            prop_assert!(seals(&[1]).open(Purpose::Session, &URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }

        #[test]
        fn any_shortened_or_foreign_text_is_refused(plain: Vec<u8>, cut in 1_usize..40, odd in ".*") {
            let text = seals(&[1]).seal(Purpose::Session, &plain).unwrap();
            let short = text.get(..text.len().saturating_sub(cut)).unwrap();
            prop_assert!(seals(&[1]).open(Purpose::Session, short).is_err());
            let long = [&*text, &*odd, " "].concat();
            prop_assert!(seals(&[1]).open(Purpose::Session, &long).is_err());
            prop_assert!(seals(&[1]).open(Purpose::Session, &odd).is_err());
        }
    }
}
