//! What is counted of signing in, for each provider. Attempts that nobody came back from are no failures: a page that is closed,
//! a phone that is put away and a bookmark of the sign-in page look like one.

use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_policy::words;

use super::exposition::Page;
use super::names;
use crate::refusal::SignInFault;

words! {
    /// What ended sessions.
    pub enum Logout {
        /// A user signed out here.
        Here = "here",
        /// The user was sent on to sign out at the provider.
        Provider = "provider",
        /// A provider said so, from server to server.
        BackChannel = "back-channel",
        /// A provider's page said so.
        FrontChannel = "front-channel",
    }
}

words! {
    /// What became of the refresh of a session.
    pub enum Refresh {
        /// It has new tokens.
        Refreshed = "refreshed",
        /// Another replica did it.
        Elsewhere = "elsewhere",
        /// The provider says that the grant is over: the session has ended.
        Ended = "ended",
        /// It is tried again.
        Failed = "failed",
    }
}

/// How often sessions were ended.
#[derive(Debug, Default)]
pub(super) struct Logouts([AtomicU64; Logout::ALL.len()]);

impl Logouts {
    pub(super) fn count(&self, what: Logout) {
        if let Some(count) = self.0.get(what as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn write(&self, page: &mut Page) {
        let mut logouts = page.family(&names::LOGOUTS);
        for (what, count) in Logout::ALL.into_iter().zip(&self.0) {
            logouts.value(&[what.as_str()], count.load(Ordering::Relaxed));
        }
    }
}

/// The counters of a provider.
#[derive(Debug)]
pub struct SignInMetrics {
    provider: String,
    started: AtomicU64,
    completed: AtomicU64,
    failed: [AtomicU64; SignInFault::ALL.len()],
    loops_broken: AtomicU64,
    refreshes: [AtomicU64; Refresh::ALL.len()],
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
            refreshes: Default::default(),
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

    /// A session was to be refreshed.
    pub fn refreshed(&self, result: Refresh) {
        if let Some(count) = self.refreshes.get(result as usize) {
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
    let mut refreshes = page.family(&names::SESSION_REFRESHES);
    for one in providers {
        for (result, count) in Refresh::ALL.into_iter().zip(&one.refreshes) {
            refreshes.value(&[&one.provider, result.as_str()], count.load(Ordering::Relaxed));
        }
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
        metrics.refreshed(Refresh::Ended);
        let logouts = Logouts::default();
        logouts.count(Logout::BackChannel);
        let mut page = Page::new(Format::Text, 0);
        write(&mut page, &[&metrics]);
        logouts.write(&mut page);
        let text = page.end();
        for line in [
            "portcullis_sign_ins_started_total{provider=\"entra\"} 2",
            "portcullis_sign_ins_completed_total{provider=\"entra\"} 1",
            "portcullis_sign_ins_failed_total{provider=\"entra\",reason=\"id-token-nonce\"} 2",
            "portcullis_sign_in_loops_broken_total{provider=\"entra\"} 0",
            "portcullis_session_refreshes_total{provider=\"entra\",result=\"ended\"} 1",
            "portcullis_session_refreshes_total{provider=\"entra\",result=\"refreshed\"} 0",
            "portcullis_logouts_total{kind=\"back-channel\"} 1",
            "portcullis_logouts_total{kind=\"here\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert_eq!(text.matches("sign_ins_failed_total{").count(), 1, "{text}");
    }
}
