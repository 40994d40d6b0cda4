//! Support codes: a whole decision, sealed, so that a help desk can ask why without any log, and
//! the user who carries the code cannot read it.
//!
//! `version (1) | key id (4) | nonce (12) | AES-256-GCM ciphertext and tag`, as base64url. Version
//! and key id are authenticated too. The key's id is the start of its digest, so that several keys
//! can be held while codes of the former one are still about.
//!
//! Every code has the same length: how many groups, which policies, or whether a risk stands in it cannot be told from
//! outside. A decision that is too long for it is cut, and says so.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_config::settings::{Subject, SupportKey};
use serde::{Deserialize, Serialize};

use crate::decision_record::DecisionRecord;

/// What a code of another version holds is not known.
const VERSION: u8 = 2;
const KEY_ID_LEN: usize = 4;
const HEAD_LEN: usize = 1 + KEY_ID_LEN;
/// How long a code is answered, in seconds: 72 hours.
pub const CODE_LIFE_SECS: i64 = 72 * 3_600;
/// Bytes of a code: three times 192, so that it is written without padding.
const CODE_BYTES: usize = 576;
/// Of those, bytes for the decision.
const TEXT_BYTES: usize = CODE_BYTES - HEAD_LEN - NONCE_LEN - TAG_LEN;
const TAG_LEN: usize = 16;
/// The longest text that is read as a code; mail programs add line ends and spaces.
const READ_CHARS_MAX: usize = 8_192;

/// What a support code holds; sealed from a record that is lent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SealedDecision<C = DecisionRecord> {
    /// The request's id.
    pub request_id: u128,
    /// When it was decided, Unix milliseconds.
    pub now_unix_ms: i64,
    /// The code that was shown; 0 for none.
    pub code: u32,
    /// Which load of the configuration decided.
    pub generation: u64,
    /// The digest of its policies.
    pub policies_digest: [u8; 8],
    /// Policies that refused or asked for more.
    pub refusing: Vec<SealedPolicy>,
    /// The facts.
    pub record: C,
}

/// A policy's part in a sealed decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedPolicy {
    /// Its id.
    pub id: String,
    /// Its result, in Entra's words.
    pub result: String,
    /// The digest of its text.
    pub digest: [u8; 4],
}

/// Why a code cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// No base64url, or of another length.
    #[error("this is no support code; copy it whole")]
    Malformed,
    /// Another version sealed it.
    #[error("the code is of another version of Portcullis; explain it with that one")]
    OtherVersion,
    /// Sealed with a key that the configuration does not name.
    #[error("the code was sealed with a key that this configuration does not name")]
    UnknownKey,
    /// It was altered, or the key is another one.
    #[error("the code was altered in transit; copy it whole")]
    Altered,
}

/// The keys of an installation.
#[derive(Debug)]
pub(super) struct Seal {
    /// Each prepared once: to expand a key costs more than to seal with it.
    keys: Vec<([u8; KEY_ID_LEN], RandomizedNonceKey)>,
    /// What names people and programs in logs: by the first key, and formerly by the others.
    subjects: Vec<hmac::Key>,
}

impl Seal {
    /// Without keys there are no codes, and subjects are hashed with a key that lasts as long as
    /// the process.
    pub(super) fn new(keys: &[SupportKey]) -> Self {
        let of_subjects = |key: &SupportKey| {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.0), b"decision-log.subject");
            hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref())
        };
        let mut subjects: Vec<hmac::Key> = keys.iter().map(of_subjects).collect();
        if subjects.is_empty() {
            subjects.push(passing_key().clone());
        }
        // INVARIANT: every 32 bytes are a key of AES-256.
        let prepared =
            |key: &SupportKey| Some((key_id(key), RandomizedNonceKey::new(&AES_256_GCM, &key.0).ok()?));
        Self { keys: keys.iter().filter_map(prepared).collect(), subjects }
    }

    pub(super) fn seals(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Seals with the first key; `None` without one, or when the decision is too long.
    pub(super) fn seal(&self, decision: &SealedDecision<&DecisionRecord>) -> Option<String> {
        let (id, key) = self.keys.first()?;
        let mut text = postcard::to_extend(decision, Vec::with_capacity(CODE_BYTES)).ok()?;
        if text.len() > TEXT_BYTES {
            return None;
        }
        // Whoever reads it stops where the decision ends.
        text.resize(TEXT_BYTES, 0);
        let mut head = [VERSION; HEAD_LEN];
        head.get_mut(1..)?.copy_from_slice(id);
        let nonce = key.seal_in_place_append_tag(Aad::from(head), &mut text).ok()?;
        let mut code = Vec::with_capacity(CODE_BYTES);
        code.extend_from_slice(&head);
        code.extend_from_slice(nonce.as_ref());
        code.extend_from_slice(&text);
        Some(URL_SAFE_NO_PAD.encode(code))
    }

    /// Opens a code with whichever key sealed it. Its age is for the caller to judge.
    pub(super) fn open(&self, code: &str) -> Result<SealedDecision, UnsealError> {
        let joined: String = code.split_ascii_whitespace().collect();
        if joined.len() > READ_CHARS_MAX {
            return Err(UnsealError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(joined).map_err(|_| UnsealError::Malformed)?;
        match bytes.first() {
            Some(&VERSION) if bytes.len() == CODE_BYTES => {}
            Some(version) if (1..VERSION).contains(version) => return Err(UnsealError::OtherVersion),
            Some(_) | None => return Err(UnsealError::Malformed),
        }
        let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>().ok_or(UnsealError::Malformed)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(UnsealError::Malformed)?;
        let Some((_, id)) = head.split_first() else { return Err(UnsealError::Malformed) };
        let known = self.keys.iter().find(|(known, _)| known == id);
        let (_, key) = known.ok_or(UnsealError::UnknownKey)?;
        let mut text = sealed.to_vec();
        let open = key
            .open_in_place(Nonce::from(nonce), Aad::from(*head), &mut text)
            .map_err(|_| UnsealError::Altered)?;
        postcard::from_bytes(open).map_err(|_| UnsealError::Malformed)
    }

    /// A person or program as the log names it.
    pub(super) fn subject(&self, how: Subject, id: &str) -> Option<String> {
        match how {
            Subject::Clear => Some(id.to_owned()),
            Subject::Hashed => self.subjects.first().map(|key| hashed(key, id)),
            Subject::None => None,
        }
    }

    /// Whether a log names this person or program so, by any of the keys.
    pub(super) fn is_hash_of(&self, text: &str, id: &str) -> bool {
        self.subjects.iter().any(|key| hashed(key, id) == text)
    }
}

/// An id, hashed with a key: the same for all spellings of the id.
fn hashed(key: &hmac::Key, id: &str) -> String {
    let tag = hmac::sign(key, portcullis_policy::text::folded(id).as_bytes());
    let mut text = String::with_capacity(39);
    text.push_str("sha256:");
    for byte in tag.as_ref().iter().take(16) {
        text.extend([byte >> 4, byte & 15].map(hex_digit));
    }
    text
}

const fn hex_digit(nibble: u8) -> char {
    (if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble }) as char
}

fn key_id(key: &SupportKey) -> [u8; KEY_ID_LEN] {
    let digest = digest(&SHA256, &key.0);
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

/// A key of this process alone.
fn passing_key() -> &'static hmac::Key {
    static KEY: LazyLock<hmac::Key> = LazyLock::new(|| {
        let state = RandomState::new();
        let bytes: Vec<u8> = (0_u64..4).flat_map(|part| state.hash_one(part).to_le_bytes()).collect();
        hmac::Key::new(hmac::HMAC_SHA256, &bytes)
    });
    &KEY
}

#[cfg(test)]
mod tests {
    use portcullis_config::settings::{Subject, SupportKey};

    use super::{CODE_BYTES, Seal, SealedDecision, SealedPolicy, UnsealError};
    use crate::decision_record::DecisionRecord;

    fn decision_on<C>(record: C) -> SealedDecision<C> {
        SealedDecision {
            request_id: 7,
            now_unix_ms: 1_795_487_466_123,
            code: 53003,
            generation: 3,
            policies_digest: [9; 8],
            refusing: vec![SealedPolicy {
                id: "block-abroad".into(),
                result: "failure".into(),
                digest: [1, 2, 3, 4],
            }],
            record,
        }
    }

    fn record() -> DecisionRecord {
        DecisionRecord { app: "payroll".into(), user: Some("kari".into()), ..DecisionRecord::default() }
    }

    fn decision() -> SealedDecision {
        decision_on(record())
    }

    fn sealed(keys: &[u8]) -> Option<String> {
        seal(keys).seal(&decision_on(&record()))
    }

    fn seal(keys: &[u8]) -> Seal {
        Seal::new(&keys.iter().map(|byte| SupportKey([*byte; 32])).collect::<Vec<_>>())
    }

    #[test]
    fn a_code_opens_with_its_key_and_shows_nothing_before() {
        let code = sealed(&[1]).unwrap();
        assert_eq!(seal(&[1]).open(&code), Ok(decision()));
        assert_ne!(sealed(&[1]).unwrap(), code, "each is sealed with a nonce of its own");
        let raw = base64::Engine::decode(&super::URL_SAFE_NO_PAD, &code).unwrap();
        for secret in ["block-abroad", "kari", "payroll"] {
            assert!(!raw.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
        assert_eq!(raw.len() % 192, 0);
    }

    #[test]
    fn every_code_has_the_same_length_whatever_is_in_it() {
        let risk = DecisionRecord {
            sign_in_risk: Some("high".into()),
            groups: Some(vec!["a".repeat(36); 5]),
            ..record()
        };
        for record in [&record(), &DecisionRecord::default(), &risk] {
            assert_eq!(seal(&[1]).seal(&decision_on(record)).unwrap().len(), CODE_BYTES / 3 * 4);
        }
        let long = DecisionRecord { path: "x".repeat(600), ..record() };
        assert_eq!(seal(&[1]).seal(&decision_on(&long)), None, "it is cut before it is sealed");
    }

    #[test]
    fn a_code_of_the_former_version_is_told_from_a_broken_one() {
        let mut raw = base64::Engine::decode(&super::URL_SAFE_NO_PAD, sealed(&[1]).unwrap()).unwrap();
        raw[0] = 1;
        let former = base64::Engine::encode(&super::URL_SAFE_NO_PAD, &raw);
        assert_eq!(seal(&[1]).open(&former), Err(UnsealError::OtherVersion));
        raw[0] = 3;
        let other = base64::Engine::encode(&super::URL_SAFE_NO_PAD, &raw);
        assert_eq!(seal(&[1]).open(&other), Err(UnsealError::Malformed));
    }

    #[test]
    fn a_former_key_still_opens_its_codes() {
        let code = sealed(&[1]).unwrap();
        assert_eq!(seal(&[2, 1]).open(&code), Ok(decision()));
        assert_eq!(seal(&[2]).open(&code), Err(UnsealError::UnknownKey));
        assert_eq!(seal(&[]).open(&code), Err(UnsealError::UnknownKey));
        assert_eq!(sealed(&[]), None);
    }

    #[test]
    fn a_code_that_was_altered_or_broken_by_mail_is_recognised() {
        let code = sealed(&[1]).unwrap();
        let (begin, end) = code.split_at(40);
        let wrapped = format!("  {begin}\r\n{end} ");
        assert_eq!(seal(&[1]).open(&wrapped), Ok(decision()));
        for at in [30, 60, code.len() - 2] {
            let mut bytes = code.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).unwrap();
            assert_eq!(seal(&[1]).open(&altered), Err(UnsealError::Altered), "{at}");
        }
        for broken in ["", "A", "!!", code.split_at(20).0, &"A".repeat(10_000)] {
            assert!(seal(&[1]).open(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_subject_is_hashed_with_the_key_and_without_regard_to_case() {
        let hashed = |keys: &[u8], id: &str| seal(keys).subject(Subject::Hashed, id).unwrap();
        assert_eq!(hashed(&[1], "Kari"), hashed(&[1], "kari"));
        assert_ne!(hashed(&[1], "kari"), hashed(&[2], "kari"));
        assert_eq!(hashed(&[], "kari"), hashed(&[], "kari"));
        assert!(!hashed(&[1], "kari").contains("kari"));
        assert_eq!(seal(&[1]).subject(Subject::Clear, "kari").as_deref(), Some("kari"));
        assert_eq!(seal(&[1]).subject(Subject::None, "kari"), None);
    }
}
