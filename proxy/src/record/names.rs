//! Every metric in one table: name, kind, labels and help. The scrape writes from it, the page
//! `proxy/README.md` is generated from it. `portcullis_<noun>_<unit>_total`; label values come from
//! configuration or from closed sets of words, never from a client.

/// What kind of metric a family is, in Prometheus' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of observations in buckets, with their sum.
    Histogram,
}

impl Kind {
    /// The word in the exposition formats.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One family of metrics.
#[derive(Debug)]
pub struct Family {
    /// Its full name.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The names of its labels, in the order in which their values are given.
    pub labels: &'static [&'static str],
    /// What it says, for people.
    pub help: &'static str,
}

macro_rules! families {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $constant: Family =
            Family { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*

        /// Every family, in the order of the page.
        pub const ALL: &[Family] = &[$($constant),*];
    };
}

families! {
    REQUESTS: Counter "portcullis_requests_total" ["app", "outcome"]
        "Requests by how they ended: granted, challenged, denied, unauthenticated, unavailable, rejected, limited (more than is let in), failed, replied (sent to https, or by an app without servers), public (forwarded with nobody behind it), aborted (let in; the client went away before the answer was whole).";
    ABORTS: Counter "portcullis_client_aborts_total" ["app", "stage"]
        "Requests that were let in and whose client went away: before-answer, during-answer, socket (a WebSocket that was not closed but broke).";
    CLIENT_BYTES: Counter "portcullis_client_bytes_total" ["app", "direction"]
        "Bytes of bodies (and of WebSockets) that clients sent (in) and were sent (out); counted when a request ends.";
    REQUEST_DURATION: Histogram "portcullis_request_duration_seconds" ["app"]
        "Time from the request's head to the end of its answer; without WebSockets and streams of events.";
    STREAM_DURATION: Histogram "portcullis_stream_duration_seconds" ["app"]
        "How long WebSockets and streams of events (text/event-stream) lasted.";
    IN_FLIGHT: Gauge "portcullis_requests_in_flight" []
        "Requests in progress.";
    UNFINISHED: Counter "portcullis_requests_unfinished_total" []
        "Requests whose handling ended without an answer; a panic is one.";
    UNKNOWN_CLIENTS: Counter "portcullis_client_address_unknown_total" []
        "Requests of which a trusted proxy does not know the client's address; they are in no location.";
    ODD_HEADERS: Counter "portcullis_request_headers_dropped_total" []
        "Header fields left out because their names hold more than letters, digits and hyphens.";
    REFUSALS: Counter "portcullis_refusals_total" ["app", "reason", "code"]
        "Refused requests by first reason and the code on the page; a refusal for want of a fact counts as fact-unavailable.";
    UNMET: Counter "portcullis_unmet_requirements_total" ["app", "reason"]
        "Every reason that failed in refused decisions, not only the first.";
    CHALLENGES_ENDED: Counter "portcullis_challenges_ended_total" ["app", "how"]
        "How challenges ended: met (the user returned within 15 minutes and was let in), abandoned, evicted (more were open than are followed).";
    POLICY_RESULTS: Counter "portcullis_policy_results_total" ["policy", "result"]
        "Results of policies that applied, in Entra's words; those of report-only policies begin with reportOnly.";
    UPSTREAM_RESPONSES: Counter "portcullis_upstream_responses_total" ["app", "status"]
        "Answers of an app by class of status.";
    UPSTREAM_FAILURES: Counter "portcullis_upstream_failures_total" ["app", "kind"]
        "Attempts that got no answer of an app: refused, unreachable, connect-timeout, answer-timeout (no head of an answer in time), read-timeout (the answer had begun), write-timeout, total-timeout (longer than timeouts.total), timeout (of which kind is not known), reset, dns (its name has no address), tls-unknown-ca, tls-name, tls-expired, tls-other, protocol (the answer is no HTTP that can be passed on), local (no descriptor or port was left here).";
    UPSTREAM_UP: Gauge "portcullis_upstream_server_up" ["app", "server"]
        "1 while an address of a configured server of an app takes requests, or was left out for long enough and the next request tries it; 0 while all are left out after failures, or their checks fail, or its name has none.";
    SERVER_ADDRESSES: Gauge "portcullis_upstream_server_addresses" ["app", "server"]
        "Addresses of a server: one, or those that its name has.";
    SERVER_EJECTED: Gauge "portcullis_upstream_server_ejected" ["app", "server"]
        "Addresses of a server that are left out for a while, because requests failed.";
    SERVER_CHECK_FAILS: Gauge "portcullis_upstream_server_check_fails" ["app", "server"]
        "Addresses of a server that are left out because their health checks fail.";
    SERVER_OUTSTANDING: Gauge "portcullis_upstream_server_outstanding" ["app", "server"]
        "Requests that are under way at a server, WebSockets and streams among them.";
    SERVER_EJECTIONS: Counter "portcullis_upstream_server_ejections_total" ["app", "server"]
        "Times when an address of a server was left out for a while, or for a longer while.";
    SERVER_FAILURES: Counter "portcullis_upstream_server_failures_total" ["app", "server", "kind"]
        "Attempts that got no answer of a server; the kinds are those of portcullis_upstream_failures_total.";
    SERVER_CHECKS: Counter "portcullis_upstream_server_checks_total" ["app", "server", "result"]
        "Health checks of a server: passed, status (not an expected one), or a kind of portcullis_upstream_failures_total; timeout is no answer within the check's own time.";
    SERVER_LOOKUPS: Counter "portcullis_upstream_server_lookups_total" ["app", "server", "result"]
        "Look-ups of a server's name: found, absent (it does not exist, or has no address), timeout, failed. Servers and apps of the same name share them.";
    SERVER_DURATION: Histogram "portcullis_upstream_server_response_duration_seconds" ["app", "server"]
        "Time from choosing a server to the head of its answer.";
    PANICS: Gauge "portcullis_upstream_panic" ["app"]
        "1 while all addresses of an app get requests, the bad ones too, because fewer are up than its panic-percent, or none.";
    UPSTREAM_DURATION: Histogram "portcullis_upstream_response_duration_seconds" ["app"]
        "Time from choosing an app's server to the head of its answer.";
    UPSTREAM_CONNECTIONS: Counter "portcullis_upstream_connections_total" ["app", "kind"]
        "Connections to an app by whether they were new or reused.";
    UPSTREAM_RETRIES: Counter "portcullis_upstream_retries_total" ["app", "reason"]
        "Requests that were sent to an app once more: connect (no connection was made), idle-closed (a connection that had been idle was closed as the request came), reset (the connection ended before the answer), untouched (over HTTP/2, the server said that it had not begun with it).";
    UPSTREAM_RETRIES_REFUSED: Counter "portcullis_upstream_retries_refused_total" ["app", "reason"]
        "Requests that could have been sent once more, and were not: attempts (sent as often as retries.attempts), budget (retries.budget-percent was spent).";
    ANSWER_FIELDS: Counter "portcullis_answer_fields_dropped_total" ["app", "kind"]
        "Fields taken out of an app's answers: cookie (it would have set one that carries tokens), word (only Portcullis says it), challenge (no client could meet it), clear-cookies (browsers would have forgotten their sign-ins).";
    TOKEN_DURATION: Histogram "portcullis_token_verification_duration_seconds" []
        "Time to verify a token that was not cached.";
    DECISION_DURATION: Histogram "portcullis_decision_duration_seconds" []
        "Time in which the policies decide a request.";
    CACHE_LOOKUPS: Counter "portcullis_token_cache_lookups_total" ["result"]
        "Look-ups of tokens: hit, rebound (known, but bound anew to changed policies), miss.";
    CACHE_ENTRIES: Gauge "portcullis_token_cache_entries" []
        "Verified tokens in the cache.";
    SESSION_LOOKUPS: Counter "portcullis_session_lookups_total" ["result"]
        "Look-ups of a browser's session: remembered, read (from the cookie or the store), unavailable (the store does not answer), and why there is none: absent is not counted.";
    SESSIONS_REMEMBERED: Gauge "portcullis_sessions_remembered" []
        "Sessions in memory.";
    SESSION_STORE_UP: Gauge "portcullis_session_store_up" ["store"]
        "1 while the session store answers, 0 while it fails; of the cookie store, its journal of sign-outs.";
    SESSION_STORE_FAILURES: Counter "portcullis_session_store_failures_total" ["operation"]
        "What the session store was asked for and did not do: open, get, put, remove, seen, lock, revoke, first-use (of a token that counts once), follow (what other replicas ended), sweep.";
    REVOCATIONS: Gauge "portcullis_revocations_remembered" []
        "Sign-outs, logouts and other ends of sessions that are remembered until no session is so old.";
    KEYS: Gauge "portcullis_issuer_keys" ["issuer"]
        "Keys held for an issuer.";
    KEYS_AGE: Gauge "portcullis_issuer_keys_age_seconds" ["issuer"]
        "Seconds since an issuer's key source last gave a good set; NaN before the first.";
    KEYS_USABLE: Gauge "portcullis_issuer_keys_usable" ["issuer"]
        "1 while an issuer's keys may be trusted; 0 without keys, or when they are older than stale-max.";
    KEYS_FETCH_OK: Gauge "portcullis_issuer_keys_last_fetch_successful" ["issuer"]
        "1 when the latest attempt to fetch an issuer's keys succeeded, or none was made yet; 0 when it failed.";
    KEYS_INTERVAL: Gauge "portcullis_issuer_keys_refresh_interval_seconds" ["issuer"]
        "After how long an issuer's keys are fetched anew, as its configuration and its key server say.";
    KEY_FETCH_FAILURES: Counter "portcullis_issuer_key_fetch_failures_total" ["issuer"]
        "Failed attempts to fetch an issuer's keys.";
    TELLS_SIGN_IN: Gauge "portcullis_issuer_tells_sign_in" ["issuer"]
        "0 when many tokens of an issuer in a row told neither how nor when somebody signed in (amr, acr, acrs, auth_time), and none did since the start: nothing that policies ask of a sign-in can be met, and no other sign-in is offered; else 1.";
    KEYS_UNUSED: Gauge "portcullis_issuer_keys_unused" ["issuer", "reason"]
        "Keys of an issuer's set that verify nothing: malformed, other-use (encryption), secret, algorithm, not-configured, weak, ambiguous.";
    SIGN_INS_STARTED: Counter "portcullis_sign_ins_started_total" ["provider"]
        "Browsers that were sent to a provider to sign in.";
    SIGN_INS_COMPLETED: Counter "portcullis_sign_ins_completed_total" ["provider"]
        "Sign-ins that ended with a session. Attempts that nobody came back from are neither completed nor failed.";
    SIGN_INS_FAILED: Counter "portcullis_sign_ins_failed_total" ["provider", "reason"]
        "Sign-ins that ended without a session, by the reason in the decision log; a reason that never occurred is absent.";
    SIGN_IN_LOOPS: Counter "portcullis_sign_in_loops_broken_total" ["provider"]
        "Browsers that went round between an app and a provider, and were shown a page instead of a third turn.";
    SESSION_REFRESHES: Counter "portcullis_session_refreshes_total" ["provider", "result"]
        "Sessions that were to get fresh tokens: refreshed, elsewhere (another replica did it), ended (the provider says that the grant is over), failed (tried again after half a minute).";
    LOGOUTS: Counter "portcullis_logouts_total" ["kind"]
        "What ended sessions: here (a user signed out), provider (the user was sent on to sign out there too), back-channel and front-channel (a provider said so).";
    GENERATION: Gauge "portcullis_configuration_generation" []
        "Number of the configuration that serves.";
    RELOADS: Counter "portcullis_configuration_reloads_total" ["result"]
        "Loads of a configuration by result: success, failure. The first load counts.";
    RELOAD_OK: Gauge "portcullis_configuration_last_reload_successful" []
        "1 when the newest configuration serves, 0 when a broken one was refused.";
    RELOAD_TIME: Gauge "portcullis_configuration_last_reload_success_timestamp_seconds" []
        "When the serving configuration was loaded.";
    COMPILE_SECONDS: Gauge "portcullis_configuration_compile_duration_seconds" []
        "Time to compile the policies that serve.";
    APPS: Gauge "portcullis_apps" []
        "Apps of the configuration that serves.";
    POLICIES: Gauge "portcullis_policies" ["state"]
        "Policies of the configuration that serves, by state.";
    GEO_BUILT: Gauge "portcullis_geo_database_build_timestamp_seconds" []
        "When the country database was built by its maker; absent without one.";
    CERTIFICATE: Gauge "portcullis_tls_certificate_not_after_timestamp_seconds" ["listener", "name"]
        "When the certificate expires that a listener serves now, by each name of it.";
    CONNECTIONS_MAX: Gauge "portcullis_connections_max" []
        "Connections that the process may have, on all listeners; 0 until it serves.";
    CONNECTIONS: Gauge "portcullis_connections" ["listener"]
        "Open connections of clients.";
    ACCEPTED: Counter "portcullis_connections_accepted_total" ["listener"]
        "Connections that were accepted.";
    CLOSED: Counter "portcullis_connections_closed_total" ["listener", "reason"]
        "Connections by why they ended: ended (by the client, or with an answer), idle, address-limit, proxy-limit (of the proxy or balancer that it came by), cut-limit (too many of its address were cut by the limits below lately), handshake-time, proxy-header, handshake, head-max (431), head-time (408), unfinished-heads (it held most of the heads that were not complete), malformed-streams, control-frames (PING, SETTINGS, WINDOW_UPDATE and the like without end), unsent (it held most of what clients leave unread), drain (idle when the process ended).";
    HANDSHAKES: Counter "portcullis_tls_handshake_failures_total" ["listener", "reason"]
        "Handshakes of TLS with clients that failed: gone, timeout, plain-request, not-tls, alert (the client refused, for instance for the certificate), protocol.";
    ACCEPT_PAUSES: Counter "portcullis_accept_pauses_total" ["listener", "reason"]
        "Times when nothing was accepted for a while: connections (as many as the process may have), exhausted (no descriptors or memory).";
    STREAMS_REFUSED: Counter "portcullis_http2_streams_refused_total" ["listener"]
        "Streams of HTTP/2 refused before they were looked at: more than `streams` waited for their turn.";
    ANSWERS_UNREAD: Counter "portcullis_answers_unread_total" ["listener"]
        "Refusals over HTTP/2 that a client did not take within `stall`; their streams were reset.";
    TURNS_WAITING: Gauge "portcullis_turns_waiting" []
        "Handshakes of TLS, and requests on connections on which none was let in yet, that wait for their client's turn.";
    UNFINISHED_HEADS: Gauge "portcullis_unfinished_head_bytes" []
        "Bytes of heads of HTTP/1 requests that are not complete, and wait for their clients.";
    UNSENT: Gauge "portcullis_unsent_bytes" []
        "Bytes of answers that wait for clients to take them, with an estimate of what is read ahead behind them, and of streams that wait.";
    LOG_ENTRIES: Counter "portcullis_decision_log_entries_total" ["result"]
        "Decisions for the log: written, dropped (the queue was full), failed (the sink did not take them), sampled (repeated refusals left out on purpose).";
    ACCESS_ENTRIES: Counter "portcullis_access_log_entries_total" ["result"]
        "Lines for the access log: written, dropped (the queue was full), failed (the sink did not take them).";
    HELP_DESK: Counter "portcullis_help_desk_lookups_total" ["result"]
        "Look-ups at the help desk of the admin listener: found, not-found (unknown, foreign or too old), not-allowed (without its token), too-many (nothing was looked up), failed.";
    FORWARD_AUTH: Counter "portcullis_forward_auth_answers_total" ["protocol", "answer"]
        "Answers to other proxies that ask whether to let a request in: allowed, refused, replied (sent elsewhere, to sign in for instance), bad-description (what they ask about is not described), not-a-peer (they may not ask).";
    WAITING_PAGES: Gauge "portcullis_waiting_pages" []
        "Refusal pages that hold a stream, to open the app when they may.";
    WAITING_ASKED: Counter "portcullis_waiting_asked_total" ["by"]
        "Times when a refusal page asked whether it may open the app: by a stream, which it then holds, or by a poll.";
    WAITING_ENDED: Counter "portcullis_waiting_ended_total" ["cause"]
        "Streams of refusal pages that ended: come-in (the app is open now), over (the session or token is good no more), client (the page was left), life (the page opens the next one), replaced (its user opened more for the app), unread, drain.";
    WAITING_REFUSED: Counter "portcullis_waiting_refused_total" ["cause"]
        "Refusal pages that may not wait: full (`[server.limits] waiting`), foreign (the page is somebody else's, or its user is signed out), too-often.";
    WAITING_DECISIONS: Counter "portcullis_waiting_decisions_total" []
        "Decisions that were made for refusal pages that wait.";
    REPORTED: Counter "portcullis_refusals_reported_total" []
        "Refusals that their users reported from the page; the decision log has a line for each, with the refused request's id in `reports`.";
    HANDOVERS: Counter "portcullis_handovers_total" ["result"]
        "Hand-overs of the listening sockets by `run --upgrade`: taken (this process took over), foreign (a process of another user asked), refused (of another protocol or unit), abandoned (the successor left or was silent before it served; this process goes on).";
    CUT_BY_PREDECESSOR: Counter "portcullis_requests_cut_by_predecessor_total" []
        "Requests and WebSockets that the process before this one cut when its `grace` was over. What a process cuts that nobody follows is in its log, and its exit status is 3.";
    WORKER_STALLS: Counter "portcullis_worker_stalls_total" []
        "Times when a worker thread took up no task for a quarter of systemd's `WatchdogSec`, or for 5 s.";
    BUILD_INFO: Gauge "portcullis_build_info" ["version"]
        "Always 1; the label has the version.";
    CPU: Counter "process_cpu_seconds_total" []
        "Total user and system CPU time spent in seconds.";
    OPEN_FDS: Gauge "process_open_fds" []
        "Number of open file descriptors.";
    MAX_FDS: Gauge "process_max_fds" []
        "Maximum number of open file descriptors.";
    VIRTUAL: Gauge "process_virtual_memory_bytes" []
        "Virtual memory size in bytes.";
    RESIDENT: Gauge "process_resident_memory_bytes" []
        "Resident memory size in bytes.";
    THREADS: Gauge "process_threads" []
        "Number of OS threads in the process.";
    START_TIME: Gauge "process_start_time_seconds" []
        "Start time of the process since unix epoch in seconds.";
}

/// The table of all metrics as Markdown, for the page.
#[must_use]
pub fn table() -> String {
    let mut text = String::from("| metric | kind | labels | meaning |\n|---|---|---|---|\n");
    for Family { name, kind, labels, help } in ALL {
        text.push_str(&format!("| `{name}` | {} | {} | {help} |\n", kind.as_str(), labels.join(", ")));
    }
    text
}
