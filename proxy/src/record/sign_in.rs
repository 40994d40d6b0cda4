//! What is counted of signing in, for each provider. Attempts that nobody came back from are no failures: a page that is closed,
//! a phone that is put away and a bookmark of the sign-in page look like one.

use std::sync::atomic::{AtomicU64, Ordering};

use super::exposition::Page;
use super::names;
use crate::refusal::SignInFault;

/// The counters of a provider.
#[derive(Debug)]
pub struct SignInMetrics {
    provider: String,
    started: AtomicU64,
    completed: AtomicU64,
    failed: [AtomicU64; SignInFault::ALL.len()],
    loops_broken: AtomicU64,
}

impl SignInMetrics {
    /// Counters at zero, of the provider with this name.
    #[must_use]
    pub fn new(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            started: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            failed: [const { AtomicU64::new(0) }; SignInFault::ALL.len()],
            loops_broken: AtomicU64::new(0),
        }
    }

    /// The provider's name.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// A browser was sent to the provider.
    pub fn started(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody was signed in.
    pub fn completed(&self) {
        self.completed.fetch_add(1, Ordering::Relaxed);
    }

    /// A sign-in failed.
    pub fn failed(&self, fault: SignInFault) {
        if let Some(count) = self.failed.get(fault as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A browser that went round was stopped.
    pub fn loop_broken(&self) {
        self.loops_broken.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes the counters of all providers. A reason that never occurred is left out: there are many, and most never do.
pub(super) fn write(page: &mut Page, providers: &[&SignInMetrics]) {
    let mut started = page.family(&names::SIGN_INS_STARTED);
    for one in providers {
        started.value(&[&one.provider], one.started.load(Ordering::Relaxed));
    }
    let mut completed = page.family(&names::SIGN_INS_COMPLETED);
    for one in providers {
        completed.value(&[&one.provider], one.completed.load(Ordering::Relaxed));
    }
    let mut failed = page.family(&names::SIGN_INS_FAILED);
    for one in providers {
        for (fault, count) in SignInFault::ALL.into_iter().zip(&one.failed) {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                failed.value(&[&one.provider, fault.as_str()], count);
            }
        }
    }
    let mut loops = page.family(&names::SIGN_IN_LOOPS);
    for one in providers {
        loops.value(&[&one.provider], one.loops_broken.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::super::exposition::Format;
    use super::*;

    #[test]
    fn each_failure_is_counted_by_its_reason_and_an_attempt_that_was_left_is_none() {
        let metrics = SignInMetrics::new("entra");
        metrics.started();
        metrics.started();
        metrics.completed();
        metrics.failed(SignInFault::IdTokenNonce);
        metrics.failed(SignInFault::IdTokenNonce);
        let mut page = Page::new(Format::Text, 0);
        write(&mut page, &[&metrics]);
        let text = page.end();
        for line in [
            "portcullis_sign_ins_started_total{provider=\"entra\"} 2",
            "portcullis_sign_ins_completed_total{provider=\"entra\"} 1",
            "portcullis_sign_ins_failed_total{provider=\"entra\",reason=\"id-token-nonce\"} 2",
            "portcullis_sign_in_loops_broken_total{provider=\"entra\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert_eq!(text.matches("sign_ins_failed_total{").count(), 1, "{text}");
    }
}
