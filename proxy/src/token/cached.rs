//! A principal whose token was verified, as the cache holds it: the token's claims, what the policies make of them, and
//! what both depend on.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use portcullis_policy::signals::AppIndex;
use portcullis_policy::{CompiledPolicies, Scope};

use super::verified::{Believed, VerifiedToken};
use super::verify::Verifier;

/// How long an entry is valid, in seconds: the longest that claims outlive a change which the keys do not show.
const LIFE_SECS: i64 = 5 * 60;

/// The principal of a verified token, bound to the policies.
#[derive(Debug)]
pub struct CachedPrincipal {
    /// What was signed about the holder, for each app the latest.
    pub(super) statements: ArcSwapOption<Vec<SignedStatement>>,
    pub(super) token: VerifiedToken,
    pub(super) scope: Arc<Scope>,
    /// Unix seconds.
    pub(super) verified_at: i64,
    /// [`Verifier::instance`].
    pub(super) verifier: u32,
    /// Memory that no other entry shares, for what the token says; an estimate.
    pub(super) token_bytes: usize,
    /// Memory that no other entry shares, for the scope.
    pub(super) scope_bytes: usize,
}

impl CachedPrincipal {
    /// The verified token.
    #[must_use]
    pub const fn token(&self) -> &VerifiedToken {
        &self.token
    }

    /// The principal, bound to the policies.
    #[must_use]
    pub const fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    /// Memory that no other entry shares; an estimate.
    #[must_use]
    pub const fn own_bytes(&self) -> usize {
        self.token_bytes + self.scope_bytes
    }

    /// Whether it was read by this verifier and bound to these policies.
    #[must_use]
    pub fn is_by(&self, verifier: &Verifier, policies: &CompiledPolicies) -> bool {
        self.verifier == verifier.instance() && self.scope.generation() == policies.generation()
    }

    /// The signed statement that `is_such`, or the one that `sign` makes. A statement is signed twice where two requests
    /// find none at the same moment.
    pub(crate) fn signed_statement(
        &self,
        is_such: impl Fn(&SignedStatement) -> bool,
        sign: impl FnOnce() -> Option<SignedStatement>,
    ) -> Option<HeaderValue> {
        let known = self.statements.load();
        let mut all = known.iter().flat_map(|known| known.iter());
        if let Some(known) = all.find(|known| is_such(known)) {
            return Some(known.value.clone());
        }
        let signed = sign()?;
        let value = signed.value.clone();
        // Of the others those that serve still, the latest first.
        let others = known.iter().flat_map(|known| known.iter());
        let others = others.filter(|other| other.fresh_until > signed.signed_at && !signed.replaces(other));
        let others: Vec<_> = others.take(STATEMENTS_MAX - 1).cloned().collect();
        self.statements.store(Some(Arc::new([vec![signed], others].concat())));
        Some(value)
    }

    /// Whether the token is still as good as when it was verified, for an app that accepts these
    /// issuers.
    pub(super) fn holds(&self, verifier: &Verifier, accepted: &[usize], now: i64) -> bool {
        accepted.contains(&self.token.issuer_index()) && self.is_believed(verifier, now)
    }

    /// Whether the token is still as good as when it was verified.
    pub(super) fn is_believed(&self, verifier: &Verifier, now: i64) -> bool {
        let issuer = self.token.issuer_index();
        let age = now.saturating_sub(self.verified_at);
        self.verifier == verifier.instance()
            && (0..LIFE_SECS).contains(&age)
            && self.token.times().are_current(now, verifier.leeway(issuer))
            && match self.token.believed() {
                Believed::ByKeys(generation) => verifier.usable_generation(issuer, now) == Some(generation),
                Believed::BySession => true,
            }
    }
}

/// How many statements are kept for one principal: one for each app that is open at once.
const STATEMENTS_MAX: usize = 8;

/// A statement about a principal that was signed for one app; a credential, so that its value is a sensitive one.
#[derive(Clone, Debug)]
pub struct SignedStatement {
    /// The app that it is for.
    pub app: AppIndex,
    /// The URL of ours that it was signed under.
    pub origin: String,
    /// The session that it names, if any; not by its id.
    pub session: Option<Box<str>>,
    /// Unix seconds.
    pub signed_at: i64,
    /// Until when it serves further requests, in Unix seconds.
    pub fresh_until: i64,
    /// The header's value.
    pub value: HeaderValue,
}

impl SignedStatement {
    fn replaces(&self, other: &Self) -> bool {
        self.app == other.app && self.origin == other.origin && self.session == other.session
    }
}
