//! Names of sessions and of what ends them, as digests: neither a store nor a journal can be read back into a cookie,
//! an account or a session at the provider.

use aws_lc_rs::digest::{Context, SHA256};

/// Under which a session is stored: the SHA-256 of its id. Whoever reads a store has no id, and so no cookie.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey(pub [u8; 32]);

impl StoreKey {
    /// The key of the session with this id (32 random bytes).
    #[must_use]
    pub fn of(id: &[u8; 32]) -> Self {
        Self(sha256("session id", &[id]))
    }
}

impl std::fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreKey(…)")
    }
}

/// What a revocation names, as a digest: one session here, all sessions here of one session at the provider, or all of
/// one person.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark(pub [u8; 32]);

impl Mark {
    /// One session here.
    #[must_use]
    pub fn of_key(key: StoreKey) -> Self {
        Self(sha256("session here", &[&key.0]))
    }

    /// Everyone whom `issuer` calls `sub`.
    #[must_use]
    pub fn of_subject(issuer: &str, sub: &str) -> Self {
        Self(sha256("subject", &[issuer.as_bytes(), sub.as_bytes()]))
    }

    /// The session at the provider that `issuer` calls `sid` (OpenID Connect Back-Channel Logout 1.0, section 2.1).
    #[must_use]
    pub fn of_session(issuer: &str, sid: &str) -> Self {
        Self(sha256("session there", &[issuer.as_bytes(), sid.as_bytes()]))
    }

    /// The sessions of one person whose ID tokens named no session at the provider.
    #[must_use]
    pub fn of_unnamed(issuer: &str, sub: &str) -> Self {
        Self(sha256("session there without a name", &[issuer.as_bytes(), sub.as_bytes()]))
    }
}

impl std::fmt::Debug for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mark(…)")
    }
}

/// What may be used once: a logout token, a hand-over code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OnceKey(pub [u8; 32]);

impl OnceKey {
    /// The key of the token that `issuer` calls `jti`. `purpose` keeps kinds of tokens apart.
    #[must_use]
    pub fn of(purpose: &str, issuer: &str, jti: &str) -> Self {
        Self(sha256("once", &[purpose.as_bytes(), issuer.as_bytes(), jti.as_bytes()]))
    }
}

impl std::fmt::Debug for OnceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnceKey(…)")
    }
}

/// A digest of parts that cannot be mistaken for other parts: each goes with its length.
fn sha256(kind: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in std::iter::once(&kind.as_bytes()).chain(parts) {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_cut_elsewhere_and_other_kinds_are_other_names() {
        assert_eq!(Mark::of_subject("a", "b"), Mark::of_subject("a", "b"));
        assert_ne!(Mark::of_subject("ab", "c"), Mark::of_subject("a", "bc"));
        assert_ne!(Mark::of_subject("a", "b"), Mark::of_session("a", "b"));
        assert_ne!(OnceKey::of("logout", "a", "b"), OnceKey::of("hand-over", "a", "b"));
        assert_ne!(StoreKey::of(&[1; 32]).0, [1; 32]);
    }

    #[test]
    fn no_name_is_shown() {
        let shown = format!("{:?} {:?} {:?}", StoreKey([7; 32]), Mark([7; 32]), OnceKey([7; 32]));
        assert_eq!(shown, "StoreKey(…) Mark(…) OnceKey(…)");
    }
}
