//! Values that are read at the moment of a scrape, beside the counters.

use portcullis_policy::decision::PolicyResult;
use portcullis_policy::model::PolicyState;

use super::app_metrics::AppMetrics;
use super::exposition::Page;
use super::listeners::ListenerCounters;
use super::names;
use super::policy_counters::{RESULTS, cell_of};
use super::servers::ServerReading;
use super::sign_in::SignInMetrics;
use crate::session::health::Condition;
use crate::session::storage::Storage;

/// What serves at the moment of a scrape.
#[derive(Debug)]
pub struct Serving<'s> {
    /// Now, in Unix seconds.
    pub now: i64,
    /// The number of the configuration.
    pub generation: u64,
    /// The counters of every app, and of none.
    pub apps: Vec<&'s AppMetrics>,
    /// Every server of every app.
    pub servers: Vec<ServerReading<'s>>,
    /// Every app, and whether all its servers get requests because too few are up.
    pub panics: Vec<(&'s str, bool)>,
    /// Every policy.
    pub policies: Vec<PolicyReading<'s>>,
    /// Every issuer.
    pub issuers: Vec<IssuerReading<'s>>,
    /// When the country database was built, in Unix seconds.
    pub geo_built: Option<u64>,
    /// Listeners with TLS, each name of their certificates, and when that expires, in Unix seconds.
    pub certificates: Vec<(String, &'s str, i64)>,
    /// Sessions in memory.
    pub sessions_remembered: usize,
    /// The session store, if there is one.
    pub session_store: Option<&'s Storage>,
    /// Verified tokens that are cached.
    pub cached: usize,
    /// Log entries: written, dropped, failed.
    pub log_entries: [u64; 4],
    /// Lines of the access log: written, dropped, failed.
    pub access_entries: [u64; 3],
    /// The counters of every provider.
    pub sign_ins: Vec<&'s SignInMetrics>,
    /// Pages that wait.
    pub waiting: usize,
    /// The counters of every listener.
    pub listeners: &'s [ListenerCounters],
}

/// A policy at the moment of a scrape.
#[derive(Clone, Copy, Debug)]
pub struct PolicyReading<'s> {
    /// Its id.
    pub id: &'s str,
    /// Its state; only results that this state can give become series.
    pub state: PolicyState,
    /// How often it was satisfied, refused, and asked for something.
    pub counts: [u64; RESULTS],
}

/// An issuer at the moment of a scrape.
#[derive(Clone, Debug)]
pub struct IssuerReading<'s> {
    /// Its short name.
    pub name: &'s str,
    /// Keys held.
    pub keys: usize,
    /// Seconds since its source last gave a good set.
    pub age_secs: Option<u64>,
    /// Whether the keys may be trusted.
    pub usable: bool,
    /// Fetches that failed.
    pub failures: u64,
    /// Whether the latest fetch failed.
    pub is_failing: bool,
    /// After how many seconds keys are fetched anew.
    pub interval_secs: u64,
    /// Keys of the set that verify nothing, by fault.
    pub unused: Vec<(&'static str, usize)>,
    /// Whether its tokens tell how or when people sign in, or could.
    pub tells_sign_in: bool,
}

pub(super) fn write_session_store(page: &mut Page, store: Option<&Storage>) {
    let Some(store) = store else { return };
    let is_up = store.condition() == Condition::Works;
    page.family(&names::SESSION_STORE_UP).value(&[store.kind()], u8::from(is_up));
    let mut failures = page.family(&names::SESSION_STORE_FAILURES);
    for (operation, count) in store.failures() {
        failures.value(&[operation.as_str()], count);
    }
    page.family(&names::REVOCATIONS).value(&[], store.revocations.len());
}

pub(super) fn write_policies(page: &mut Page, policies: &[PolicyReading<'_>]) {
    let mut results = page.family(&names::POLICY_RESULTS);
    for PolicyReading { id, state, counts } in policies {
        for result in PolicyResult::ALL {
            let reported = match result {
                PolicyResult::Success | PolicyResult::Failure | PolicyResult::Interrupted => false,
                PolicyResult::ReportOnlySuccess
                | PolicyResult::ReportOnlyFailure
                | PolicyResult::ReportOnlyInterrupted => true,
            };
            let possible = match state {
                PolicyState::Enabled => !reported,
                PolicyState::ReportOnly => reported,
                PolicyState::Disabled => false,
            };
            if possible {
                let count = counts.get(cell_of(result)).copied().unwrap_or_default();
                results.value(&[id, result.as_str()], count);
            }
        }
    }
}

pub(super) fn write_issuers(page: &mut Page, issuers: &[IssuerReading<'_>]) {
    let mut group = |family: &'static names::Family, value: fn(&IssuerReading<'_>) -> String| {
        let mut samples = page.family(family);
        for issuer in issuers {
            samples.value(&[issuer.name], value(issuer));
        }
    };
    group(&names::KEYS, |issuer| issuer.keys.to_string());
    group(&names::KEYS_AGE, |issuer| issuer.age_secs.map_or("NaN".to_owned(), |age| age.to_string()));
    group(&names::KEYS_USABLE, |issuer| u8::from(issuer.usable).to_string());
    group(&names::KEYS_FETCH_OK, |issuer| u8::from(!issuer.is_failing).to_string());
    group(&names::KEYS_INTERVAL, |issuer| issuer.interval_secs.to_string());
    group(&names::KEY_FETCH_FAILURES, |issuer| issuer.failures.to_string());
    group(&names::TELLS_SIGN_IN, |issuer| u8::from(issuer.tells_sign_in).to_string());
    let mut unused = page.family(&names::KEYS_UNUSED);
    for issuer in issuers {
        for (fault, count) in &issuer.unused {
            unused.value(&[issuer.name, fault], count.to_string());
        }
    }
}
