//! What a token, or the cookie of a session, is found by in memory.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;

/// The key of a token or a cookie in memory: a part of it, or a digest that can be forged, would let one token answer for
/// another.
pub(crate) type Fingerprint = [u8; 16];

/// Makes fingerprints: GMAC (NIST SP 800-38D) of the whole text, under a key of this process that is
/// drawn at random and never leaves it.
///
/// A universal hash suffices, for no client ever sees a fingerprint: any two tokens that an attacker chooses
/// share one with a chance of at most 2^-118 (section 5.2.1 of the same gives the bound, the token's
/// blocks over 2^128). The constant nonce reveals the key's hash only to an attacker who has
/// fingerprints. It costs a third of SHA-256 where processors help with that, and a tenth elsewhere.
pub(crate) struct Fingerprints(Option<LessSafeKey>);

impl Fingerprints {
    pub(crate) fn new() -> Self {
        let mut key = [0; 32];
        let drawn = rand::fill(&mut key).and_then(|()| UnboundKey::new(&AES_256_GCM, &key));
        Self(drawn.ok().map(LessSafeKey::new))
    }

    /// `None` when no key could be drawn, or the token is too long for GMAC: then nothing is cached.
    pub(crate) fn of(&self, token: &[u8]) -> Option<Fingerprint> {
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let tag = self.0.as_ref()?.seal_in_place_separate_tag(nonce, Aad::from(token), &mut []).ok()?;
        tag.as_ref().try_into().ok()
    }
}
