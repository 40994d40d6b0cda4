//! Every metric's name and help, in one place. `portcullis_<noun>_<unit>_total`; label values come
//! from configuration or from closed sets of words, never from a client.

macro_rules! names {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $help:literal;)*) => {
        $($(#[$doc])* pub(crate) const $constant: (&str, &str) = ($name, $help);)*

        /// Name and help of every metric of ours.
        pub const ALL: &[(&str, &str)] = &[$(($name, $help)),*];
    };
}

names! {
    REQUESTS = "portcullis_requests_total", "Requests by app and outcome.";
    REFUSALS = "portcullis_refusals_total", "Refused requests by app, reason and code.";
    POLICY_RESULTS = "portcullis_policy_results_total",
        "Results of policies that applied, in Entra's words; report-only results are apart.";
    REQUEST_DURATION = "portcullis_request_duration_seconds", "Time from the request's head to the end of its answer.";
    TOKEN_DURATION = "portcullis_token_verification_duration_seconds", "Time to authenticate a request, cached tokens included.";
    DECISION_DURATION = "portcullis_decision_duration_seconds", "Time to gather the context and to decide.";
    KEYS = "portcullis_issuer_keys", "Keys held for an issuer.";
    KEYS_AGE = "portcullis_issuer_keys_age_seconds", "Age of an issuer's key set; -1 when there is none.";
    KEY_FETCH_FAILURES = "portcullis_issuer_key_fetch_failures", "Failed attempts to fetch an issuer's keys since start.";
    GENERATION = "portcullis_configuration_generation", "Number of the configuration that serves.";
    RELOADS = "portcullis_configuration_reloads_total", "Reloads by result.";
    RELOAD_OK = "portcullis_configuration_last_reload_successful", "1 when the newest configuration serves, 0 when a broken one was refused.";
    RELOAD_TIME = "portcullis_configuration_last_reload_success_timestamp_seconds", "When the serving configuration was loaded.";
    COMPILE_SECONDS = "portcullis_configuration_compile_duration_seconds", "Time to compile the policies that serve.";
    POLICIES = "portcullis_policies", "Policies by state.";
    CACHE_ENTRIES = "portcullis_token_cache_entries", "Verified tokens in the cache.";
    LOG_DROPPED = "portcullis_decision_log_dropped_total", "Decisions that the log could not take.";
    LOG_SAMPLED = "portcullis_decision_log_sampled_total", "Repeated refusals that the log left out on purpose; metrics count them.";
    UNFINISHED = "portcullis_requests_unfinished_total", "Requests whose handling ended without an answer; a panic is one.";
    BUILD_INFO = "portcullis_build_info", "Always 1; the label has the version.";
}
