//! Whether an issuer tells how and when people sign in. Where it never does, nothing that is asked of a sign-in can be
//! proven by another one, and nobody is sent to sign in for it.

use std::sync::atomic::{AtomicU32, Ordering};

use portcullis_policy::signals::{Identity, Principal};

/// After so many tokens were read that said nothing it is taken for certain. Until then, and so after each start, an issuer is given
/// the benefit of the doubt: a sign-in that does not bring what was asked for is noticed by itself, and nobody is told that
/// only an administrator can help who could have helped himself.
const SILENT_TOKENS: u32 = 16;
/// It told, once.
const TOLD: u32 = u32::MAX;

/// What the tokens of one issuer told so far: `TOLD`, or how many said nothing.
#[derive(Debug, Default)]
pub struct SignInTelling(AtomicU32);

impl SignInTelling {
    /// Notes what a verified token says of the sign-in: its methods, its class, contexts or time. Programs sign nobody in.
    pub fn note(&self, principal: &Principal) {
        let seen = self.0.load(Ordering::Relaxed);
        // Nothing is written any more, so that nobody contends.
        if seen == TOLD || principal.standing.identity == Identity::Workload {
            return;
        }
        let sign_in = &principal.standing.sign_in;
        let tells = !sign_in.methods.is_empty()
            || sign_in.acr.is_some()
            || !sign_in.contexts.is_empty()
            || principal.auth_time.is_some();
        if tells {
            self.0.store(TOLD, Ordering::Relaxed);
        } else if seen < SILENT_TOKENS {
            // Of those that come at the same moment some may not be counted, and a token that tells is not forgotten.
            let _ = self.0.compare_exchange(seen, seen + 1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Whether another sign-in could show anything, as far as is known.
    #[must_use]
    pub fn may_tell(&self) -> bool {
        let seen = self.0.load(Ordering::Relaxed);
        seen == TOLD || seen < SILENT_TOKENS
    }
}

#[cfg(test)]
mod tests {
    use portcullis_policy::signals::Standing;

    use super::*;

    fn principal(auth_time: Option<i64>) -> Principal {
        Principal { id: "kari".into(), auth_time, standing: Standing::default().into() }
    }

    #[test]
    fn an_issuer_is_doubted_after_many_silent_tokens_and_believed_after_one_that_tells() {
        let telling = SignInTelling::default();
        for _ in 1..SILENT_TOKENS {
            telling.note(&principal(None));
            assert!(telling.may_tell(), "too few to say so");
        }
        telling.note(&principal(None));
        assert!(!telling.may_tell());
        telling.note(&principal(Some(1)));
        assert!(telling.may_tell());
        (0..100).for_each(|_| telling.note(&principal(None)));
        assert!(telling.may_tell(), "once is enough");
    }

    #[test]
    fn each_claim_about_the_sign_in_tells_and_those_of_programs_do_not_count() {
        let silent = || {
            let telling = SignInTelling::default();
            (0..SILENT_TOKENS).for_each(|_| telling.note(&principal(None)));
            telling
        };
        let with = |change: &dyn Fn(&mut Standing)| {
            let mut principal = principal(None);
            change(principal.standing_mut());
            let telling = silent();
            telling.note(&principal);
            telling.may_tell()
        };
        assert!(with(&|standing| standing.sign_in.methods = vec!["pwd".into()]));
        assert!(with(&|standing| standing.sign_in.acr = Some("1".into())));
        assert!(!with(&|_| {}));
        let programs = SignInTelling::default();
        let mut program = principal(None);
        program.standing_mut().identity = Identity::Workload;
        (0..100).for_each(|_| programs.note(&program));
        assert!(programs.may_tell());
    }
}
