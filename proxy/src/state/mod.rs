//! One immutable [`Snapshot`] of everything a request is judged with, behind one atomic pointer.
//!
//! A reload builds a whole new snapshot and swaps the pointer, or changes nothing. A request takes
//! its snapshot first and sees no other; no request waits for a reload.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use portcullis_config::diagnose::{Diagnostic, Severity, render_text};
use portcullis_config::{Config, Loaded, load, settings};
use portcullis_policy::CompiledPolicies;
use portcullis_policy::decision::Generation;
use portcullis_policy::remedy::{Candidates, Installation, STEPS_MAX};

use crate::assertion::Assertions;
use crate::clock::unix_now;
use crate::context::geo::{GeoDatabase, GeoState};
use crate::denial::Denials;
use crate::limit::Limits;
use crate::own::OwnHosts;
use crate::pages::Pages;
use crate::process_log;
use crate::provider::Provider;
use crate::record::{
    AppMetrics, DecisionLog, Format, IssuerReading, ListenerCounters, Metrics, PolicyCounters, PolicyReading,
    ServerReading, Serving, SignInMetrics,
};
use crate::remedies::RemedyFinder;
use crate::route::Routes;
use crate::seal::Seals;
use crate::session::storage::{Storage, StorageProblem};
use crate::session::{By, SessionHandle, Sessions};
use crate::tls::{self, Tls};
use crate::token::{KeyStore, TokenCache, Verifier};
use crate::upstream::{Name, Standing, Upstreams};
use crate::waiting::{WaitHandles, Waiting};

/// Verified tokens cached at most.
pub(crate) const CACHED_TOKENS: usize = 100_000;

/// Everything that one request is judged with.
#[derive(Debug)]
pub struct Snapshot {
    /// Which load this is.
    pub generation: Generation,
    /// The settings it was made of; its policies are in `policies`.
    pub config: Config,
    /// The decision.
    pub policies: CompiledPolicies,
    /// Host and path to app.
    pub routes: Routes,
    /// Token verification.
    pub verifier: Arc<Verifier>,
    /// Keys of each issuer, by position.
    pub stores: Vec<Arc<KeyStore>>,
    /// What we know of each provider, by position.
    pub providers: Vec<Arc<Provider>>,
    /// Address to country.
    pub geo: GeoState,
    /// Refusals to answers.
    pub denials: Denials,
    /// Pages around signing in and out.
    pub pages: Pages,
    /// Addresses and connections of the apps.
    pub upstreams: Upstreams,
    /// What signs statements to apps, where there is a key for it.
    pub assertions: Option<Assertions>,
    /// Certificates of the listeners, and what clients are asked for.
    pub tls: Tls,
    /// What seals and opens what browsers keep for us.
    pub seals: Seals,
    /// What seals and opens what pages wait for.
    pub wait_handles: WaitHandles,
    /// The hosts that have paths of ours.
    pub own_hosts: OwnHosts,
    /// Counters by app.
    pub app_metrics: Vec<Arc<AppMetrics>>,
    /// Counters for requests that reach no app.
    pub unknown_app_metrics: Arc<AppMetrics>,
    /// Counters by policy.
    pub policy_counters: PolicyCounters,
    /// What would let refused requests in.
    pub remedies: RemedyFinder,
}

impl Snapshot {
    /// The counters of an app, or those of none.
    #[must_use]
    pub fn metrics_of(&self, app: Option<u32>) -> &AppMetrics {
        app.and_then(|app| self.app_metrics.get(app as usize)).unwrap_or(&self.unknown_app_metrics)
    }

    /// What a search for remedies knows of the installation, for whoever asks about a request of the past: of its issuer it
    /// is taken that it tells how people sign in.
    #[must_use]
    pub const fn installation(&self) -> Installation<'_> {
        Installation { candidates: self.remedies.candidates(), tells_sign_in: true, steps_max: STEPS_MAX }
    }
}

/// What outlives a reload, and the snapshot that serves.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    current: ArcSwap<Snapshot>,
    /// Verified tokens; entries of former generations are not used.
    pub cache: TokenCache,
    /// `None` while the configuration that the process started with has no sessions.
    sessions: Option<Sessions>,
    /// Where they are.
    storage: Option<Storage>,
    /// What addresses and people have used of their limits.
    pub limits: Limits,
    /// Pages that wait.
    pub waiting: Waiting,
    /// All metrics.
    pub metrics: Metrics,
    /// The decision log.
    pub log: DecisionLog,
    // What the process started with: what only a restart can change is still as it says.
    started: settings::RestartValues,
    /// Counters of the listeners that the process started with.
    pub listeners: Vec<ListenerCounters>,
    // Held by reloads alone, never by a request.
    reloading: Mutex<()>,
    /// Snapshots that no new request takes; see [`State::drop_retired`].
    retired: Mutex<Vec<Arc<Snapshot>>>,
    /// Whether the process is about to end.
    leaving: AtomicBool,
}

/// Why there is no state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The configuration is not valid; the text shows each problem with its place.
    #[error("{0}")]
    Configuration(String),
    /// The decision log cannot be opened.
    #[error("a log cannot be opened: {0}")]
    Log(std::io::Error),
    /// The session store cannot be used.
    #[error(transparent)]
    Sessions(#[from] StorageProblem),
    /// A file of policies holds none any more.
    #[error(
        "{} held policies and holds none now, as while it is written; to do without them remove the file, or disable them (`state = \"disabled\"`)",
        .0.display()
    )]
    Emptied(PathBuf),
    /// The files were written while they were read.
    #[error("the files are being written")]
    Changing,
}

/// Reads a configuration and says everything that is wrong with it.
///
/// # Errors
/// The diagnostics, rendered as text.
pub fn read(path: &Path) -> Result<Config, StateError> {
    accept(load(path))
}

/// The same, with a look at the certificates and lists that it would serve with. `is_whole` is asked about what was read,
/// `None` if that cannot serve.
fn read_to_serve(path: &Path, is_whole: impl FnOnce(Option<&Config>) -> bool) -> Result<Config, StateError> {
    let mut loaded = load(path);
    if !is_whole(loaded.config.as_ref()) {
        return Err(StateError::Changing);
    }
    if let Some(config) = &loaded.config {
        let found = tls::inspect::look(&loaded, config, unix_now());
        if found.iter().any(|one| one.severity == Severity::Error) {
            loaded.config = None;
        }
        loaded.diagnostics.extend(found);
    }
    accept(loaded)
}

/// Refuses a file of policies that has lost all of them, for one that is written just now may be empty: without its policies, apps
/// that let in by `unmatched` would be open. The main file cannot serve empty.
fn keeps_policies(config: Config, former: &Config, main: &Path) -> Result<Config, StateError> {
    let holds = |config: &Config, file: &Path| {
        let file = file.to_string_lossy();
        let mut places = config.policy_places.iter();
        places.any(|place| place.strip_prefix(&*file).is_some_and(|rest| rest.starts_with(':')))
    };
    let emptied = former.files.iter().find(|file| {
        *file != main && holds(former, file) && config.files.contains(file) && !holds(&config, file)
    });
    match emptied {
        Some(file) => Err(StateError::Emptied(file.clone())),
        None => Ok(config),
    }
}

fn accept(loaded: Loaded) -> Result<Config, StateError> {
    let text = |diagnostics: &[Diagnostic]| render_text(diagnostics, &loaded.sources);
    match loaded.config {
        Some(config) => {
            // Before the first line of this process.
            process_log::write_as(config.server.process_log);
            let (shown, more) = few_of_each(loaded.diagnostics);
            if !shown.is_empty() {
                tracing::warn!("{}{more}", text(&shown));
            }
            Ok(config)
        }
        None => Err(StateError::Configuration(text(&loaded.diagnostics))),
    }
}

/// The first warnings of each code, and how many more there are: ten thousand policies may have the same problem
/// ten thousand times, at each reload. `portcullis check` shows all.
fn few_of_each(warnings: Vec<Diagnostic>) -> (Vec<Diagnostic>, String) {
    const SHOWN: usize = 3;
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut shown = Vec::new();
    for warning in warnings {
        let count = counts.entry(warning.code).or_default();
        *count += 1;
        if *count <= SHOWN {
            shown.push(warning);
        }
    }
    let more = counts.iter().filter(|(_, count)| **count > SHOWN);
    let more = more.map(|(code, count)| format!("and {} more of {code}\n", count - SHOWN));
    (shown, more.collect())
}

fn geo(config: &Config) -> Result<GeoState, StateError> {
    match &config.geo {
        None => Ok(GeoState::NotConfigured),
        Some(geo) => match GeoDatabase::open(&geo.database, &geo.country_path) {
            Ok(database) => Ok(GeoState::Ready(Box::new(database))),
            Err(problem) => Err(StateError::Configuration(format!(
                "error[geo/unreadable]: {}: {problem}\n  = help: replace the file, or remove [geo]\n",
                geo.database.display()
            ))),
        },
    }
}

fn build(
    mut config: Config,
    generation: Generation,
    former: Option<&Snapshot>,
) -> Result<(Snapshot, Duration), StateError> {
    let unreadable = crate::upstream::unreadable_authorities(&config);
    if !unreadable.is_empty() {
        return Err(StateError::Configuration(unreadable.concat()));
    }
    let denials = Denials::new(&config, generation.0);
    let pages = Pages::new(&config);
    let started = Instant::now();
    // Ten thousand policies take megabytes: one copy is enough.
    let set = std::mem::take(&mut config.policies);
    let policies = CompiledPolicies::compile(set, generation).map_err(|problems| {
        let lines = problems.iter().map(|problem| format!("error[policy/compile]: {problem}\n"));
        StateError::Configuration(lines.collect())
    })?;
    let compile = started.elapsed();
    // An issuer whose settings did not change keeps its keys.
    let store = |issuer: &settings::Issuer| {
        let known = former.and_then(|former| {
            let position = former.config.issuers.iter().position(|old| {
                old.name == issuer.name
                    && old.issuer == issuer.issuer
                    && old.keys == issuer.keys
                    && old.ca == issuer.ca
                    && old.algorithms == issuer.algorithms
                    && (old.refresh, old.refresh_min, old.stale_max)
                        == (issuer.refresh, issuer.refresh_min, issuer.stale_max)
            })?;
            former.stores.get(position).cloned()
        });
        known.unwrap_or_else(|| Arc::new(KeyStore::new(issuer)))
    };
    let stores: Vec<_> = config.issuers.iter().map(store).collect();
    // Where nothing changed that verification depends on, verified tokens stay verified: to verify thousands
    // anew at once would hold requests up.
    let is_same = |former: &&Snapshot| {
        former.config.issuers == config.issuers
            && former.stores.iter().zip(&stores).all(|(old, new)| Arc::ptr_eq(old, new))
    };
    let verifier = former.filter(is_same).map_or_else(
        || Arc::new(Verifier::new(&config.issuers, stores.clone())),
        |former| Arc::clone(&former.verifier),
    );
    let assertion = config.assertion.as_ref();
    let assertions = assertion
        .map(Assertions::new)
        .transpose()
        .map_err(|fault| StateError::Configuration(format!("error[assertion/key]: {fault}\n")))?;
    let header = assertion.map(|assertion| assertion.header.as_str());
    let geo = geo(&config)?;
    let snapshot = Snapshot {
        generation,
        routes: Routes::new(&config.apps).without(config.sign_in_host.as_deref()),
        verifier,
        stores,
        providers: providers(&config, former)?,
        remedies: RemedyFinder::new(candidates(&policies, &geo)),
        geo,
        denials,
        pages,
        upstreams: Upstreams::new(generation, &config, header, former.map(|former| &former.upstreams))
            .map_err(StateError::Configuration)?,
        assertions,
        tls: Tls::new(&config, former.map(|former| &former.tls))
            .map_err(|problem| StateError::Configuration(format!("error[tls/unusable]: {problem}\n")))?,
        seals: Seals::new(config.session.iter().flat_map(|session| &session.keys).map(|key| &key.0)),
        wait_handles: WaitHandles::new(&config),
        own_hosts: OwnHosts::new(&config),
        app_metrics: config.apps.iter().map(|app| app_metrics(&app.id, former)).collect(),
        unknown_app_metrics: former.map_or_else(
            || Arc::new(AppMetrics::new(None)),
            |former| Arc::clone(&former.unknown_app_metrics),
        ),
        policy_counters: PolicyCounters::new(
            &policies,
            former.map(|former| (&former.policies, &former.policy_counters)),
        ),
        policies,
        config,
    };
    Ok((snapshot, compile))
}

/// What users could change to, each address with its country.
#[must_use]
pub fn candidates(policies: &CompiledPolicies, geo: &GeoState) -> Candidates {
    match geo {
        GeoState::NotConfigured => Candidates::new(policies, None),
        GeoState::Missing | GeoState::Ready(_) => {
            Candidates::new(policies, Some(&|address| geo.country(address)))
        }
    }
}

/// The providers, handed on from the former snapshot where nothing of one changed.
fn providers(config: &Config, former: Option<&Snapshot>) -> Result<Vec<Arc<Provider>>, StateError> {
    let known = |name: &str| former?.providers.iter().find(|provider| provider.name() == name);
    let make = |settings: &settings::Provider| {
        let fault = || {
            StateError::Configuration(format!(
                "error[provider/issuer]: provider `{}` has no issuer\n",
                settings.name
            ))
        };
        let issuer = config.issuers.get(settings.issuer).ok_or_else(fault)?;
        let known = known(&settings.name);
        if let Some(same) = known.filter(|provider| provider.is_of(settings, issuer)) {
            return Ok(Arc::clone(same));
        }
        let metrics = known.map_or_else(
            || Arc::new(SignInMetrics::new(&settings.name)),
            |former| Arc::clone(former.metrics()),
        );
        let made = Provider::new(settings, issuer, metrics);
        made.map(Arc::new)
            .map_err(|problem| StateError::Configuration(format!("error[provider/unusable]: {problem}\n")))
    };
    config.providers.iter().map(make).collect()
}

/// The counters of an app, handed on from the former snapshot if it had the app.
fn app_metrics(id: &str, former: Option<&Snapshot>) -> Arc<AppMetrics> {
    let known = former.and_then(|former| former.app_metrics.iter().find(|app| app.id() == Some(id)));
    known.map_or_else(|| Arc::new(AppMetrics::new(Some(id))), Arc::clone)
}

impl State {
    /// Loads a configuration for the first time. The state lives as long as the process: every request would otherwise
    /// contend on the counter of its owners.
    ///
    /// # Errors
    /// When it is not valid.
    pub fn start(path: &Path) -> Result<&'static Self, StateError> {
        // On a thread of its own, as reloads are: its end gives back what loading took for a while.
        let loaded = std::thread::scope(|scope| scope.spawn(|| Self::load(path)).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        loaded.map(|state| &*Box::leak(Box::new(state)))
    }

    fn load(path: &Path) -> Result<Self, StateError> {
        // Nothing serves yet that half a file could take away: a start reads what is there.
        let config = read_to_serve(path, |_| true)?;
        let metrics = Metrics::new();
        let log = DecisionLog::open(&config.server.decision_log).map_err(StateError::Log)?;
        let listeners = config.server.listeners.iter();
        let listeners =
            listeners.map(|listener| ListenerCounters::new(listener.address.to_string())).collect();
        let started = config.restart_values();
        let storage = config.session.as_ref().map(Storage::new).transpose()?;
        let sessions = storage
            .as_ref()
            .map(|storage| Sessions::new(storage.store.clone(), Arc::clone(&storage.revocations)));
        let (snapshot, compile) = build(config, Generation(1), None)?;
        metrics.reloaded(unix_now(), compile);
        Ok(Self {
            listeners,
            started,
            path: path.to_owned(),
            current: ArcSwap::from_pointee(snapshot),
            cache: TokenCache::new(CACHED_TOKENS),
            sessions,
            storage,
            limits: Limits::new(),
            waiting: Waiting::default(),
            metrics,
            log,
            reloading: Mutex::new(()),
            retired: Mutex::new(Vec::new()),
            leaving: AtomicBool::new(false),
        })
    }

    /// The snapshot that serves. A request calls this once.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Reads the files anew and serves them, or goes on with the current ones. Blocks; never on the request
    /// path. `is_whole` is asked whether what was read is what is in the files, `None` if that cannot serve.
    ///
    /// # Errors
    /// What is wrong; the former configuration stays in force.
    pub fn reload(
        &self,
        is_whole: impl FnOnce(Option<&Config>) -> bool,
    ) -> Result<Arc<Snapshot>, StateError> {
        let _one_at_a_time = self.reloading.lock();
        let former = self.snapshot();
        let read = read_to_serve(&self.path, is_whole);
        if let Err(StateError::Changing) = read {
            return Err(StateError::Changing);
        }
        let built = read
            .and_then(|config| keeps_policies(config, &former.config, &self.path))
            .and_then(|config| build(config, Generation(former.generation.0 + 1), Some(&former)));
        let (snapshot, compile) = built.inspect_err(|_| self.metrics.reload_refused())?;
        let values = snapshot.config.restart_values();
        let waiting = values.differing(&self.started);
        if !waiting.is_empty() && values != former.config.restart_values() {
            tracing::warn!(
                keys = waiting.join(", "),
                "what has changed in these serves after a restart or `portcullis run --upgrade`; the rest serves now"
            );
        }
        if let (Some(storage), Some(settings)) = (&self.storage, &snapshot.config.session) {
            storage.revocations.sessions_live(settings.absolute);
        }
        let snapshot = Arc::new(snapshot);
        self.metrics.reloaded(unix_now(), compile);
        self.current.store(Arc::clone(&snapshot));
        self.retired.lock().push(former);
        self.waiting.wake_all();
        Ok(snapshot)
    }

    /// Frees the former snapshots that no request holds any more. To free ten thousand policies takes a while:
    /// were it left to the last request that holds them, everything on its thread would wait. Called from
    /// the background.
    pub fn drop_retired(&self) {
        let is_held = |snapshot: &Arc<Snapshot>| Arc::strong_count(snapshot) > 1;
        let (held, free) = std::mem::take(&mut *self.retired.lock()).into_iter().partition(is_held);
        self.retired.lock().extend::<Vec<_>>(held);
        drop::<Vec<_>>(free);
    }

    /// Whether [`drop_retired`](Self::drop_retired) has something to look at.
    pub fn has_retired(&self) -> bool {
        !self.retired.lock().is_empty()
    }

    /// Sessions, if there are any in the configuration that the process started with.
    #[must_use]
    pub const fn sessions(&self) -> Option<&Sessions> {
        self.sessions.as_ref()
    }

    /// Where sessions are, if there are any.
    #[must_use]
    pub const fn storage(&self) -> Option<&Storage> {
        self.storage.as_ref()
    }

    /// Tells the store when sessions were last used. Called from the background, and when this process leaves the store.
    pub async fn flush_uses(&self) {
        if let (Some(sessions), Some(settings)) = (&self.sessions, &self.snapshot().config.session) {
            // A failure is counted and logged where it happens; what is still known is told the next time.
            let _ = sessions.flush_uses(settings).await;
        }
    }

    /// What sessions are read by.
    #[must_use]
    pub fn sessions_by<'s>(
        &'s self,
        snapshot: &'s Snapshot,
        settings: &'s settings::SessionSettings,
    ) -> By<'s> {
        let Snapshot { seals, policies, .. } = snapshot;
        By { settings, seals, verifier: &snapshot.verifier, cache: &self.cache, policies }
    }

    /// Loads a session from its store; see [`Sessions::load`].
    pub async fn load_session(&self, handle: &SessionHandle) {
        let snapshot = self.snapshot();
        if let (Some(sessions), Some(settings)) = (&self.sessions, &snapshot.config.session) {
            sessions.load(handle, &self.sessions_by(&snapshot, settings), unix_now()).await;
        }
    }

    /// Removes tokens and sessions that are no longer valid. Called from the background.
    pub fn sweep(&self) {
        let (snapshot, now) = (self.snapshot(), unix_now());
        self.cache.sweep(&snapshot.verifier, now);
        if let (Some(sessions), Some(settings)) = (&self.sessions, &snapshot.config.session) {
            sessions.sweep(settings, now);
        }
    }

    /// The page of metrics.
    #[must_use]
    pub fn metrics_page(&self, format: Format) -> String {
        let snapshot = self.snapshot();
        let now = unix_now();
        let apps =
            snapshot.app_metrics.iter().map(Arc::as_ref).chain([snapshot.unknown_app_metrics.as_ref()]);
        let counts = snapshot.policy_counters.read();
        let policies = snapshot.policies.set().policies.iter().zip(counts.as_chunks().0);
        let stores = snapshot.config.issuers.iter().zip(&snapshot.stores);
        let servers = self.servers(&snapshot);
        let panics = snapshot.config.apps.iter().map(|app| app.id.as_str()).zip(snapshot.upstreams.panics());
        let serving = Serving {
            now,
            generation: snapshot.generation.0,
            apps: apps.collect(),
            servers,
            panics: panics.collect(),
            policies: policies
                .map(|(policy, counts)| PolicyReading {
                    id: policy.id.as_str(),
                    state: policy.state,
                    counts: *counts,
                })
                .collect(),
            issuers: stores
                .map(|(issuer, store)| IssuerReading {
                    name: &issuer.name,
                    keys: store.keys(),
                    age_secs: store.age_secs(now),
                    usable: store.available(now),
                    failures: store.failures(),
                    is_failing: store.is_failing(),
                    interval_secs: store.interval().as_secs(),
                    unused: store.unused(),
                    tells_sign_in: store.sign_ins().may_tell(),
                })
                .collect(),
            geo_built: snapshot.geo.built(),
            certificates: snapshot.tls.expiries().collect(),
            cached: self.cache.len(),
            sessions_remembered: self.sessions.as_ref().map_or(0, Sessions::len),
            session_store: self.storage.as_ref(),
            log_entries: self.log.counts(),
            access_entries: self.log.access_counts(),
            sign_ins: snapshot.providers.iter().map(|provider| &**provider.metrics()).collect(),
            waiting: self.waiting.count(),
            listeners: &self.listeners,
        };
        self.metrics.page(&serving, format)
    }

    /// Every server of every app, at the moment of a scrape.
    fn servers<'s>(&self, snapshot: &'s Snapshot) -> Vec<ServerReading<'s>> {
        let apps = snapshot.config.apps.iter().zip(snapshot.upstreams.servers());
        let readings = apps.flat_map(|(app, servers)| {
            servers.into_iter().map(|one| {
                let how_many = |is_so: fn(Standing) -> bool| {
                    one.addresses.iter().filter(|address| is_so(address.standing)).count()
                };
                let lookups = one.name.into_iter().flat_map(Name::results);
                ServerReading {
                    app: &app.id,
                    server: one.server,
                    metrics: one.metrics,
                    is_up: how_many(|it| matches!(it, Standing::Up | Standing::OnTrial)) > 0,
                    addresses: one.addresses.len(),
                    ejected: how_many(|it| matches!(it, Standing::Ejected(_))),
                    failing: how_many(|it| it == Standing::CheckFails),
                    outstanding: one.addresses.iter().map(|address| u64::from(address.outstanding)).sum(),
                    is_checked: one.is_checked,
                    lookups: lookups.map(|(result, count)| (result.as_str(), count)).collect(),
                }
            })
        });
        readings.collect()
    }

    /// Whether any user can be let in at this moment: some issuer has keys that may be trusted. One issuer that
    /// does not answer keeps out no user of another.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let now = unix_now();
        self.snapshot().stores.iter().any(|store| store.available(now))
    }

    /// Whether a balancer is to send requests here: some user can be let in, and the process is not about to end.
    #[must_use]
    pub fn takes_requests(&self) -> bool {
        !self.leaving.load(Ordering::Relaxed) && self.is_ready()
    }

    /// The process is about to end: whoever balances load is to look elsewhere.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// The names of the issuers whose tokens can be verified now.
    #[must_use]
    pub fn usable_issuers(&self) -> Vec<String> {
        let now = unix_now();
        let snapshot = self.snapshot();
        let usable = snapshot.stores.iter().filter(|store| store.available(now));
        usable.map(|store| store.name().to_owned()).collect()
    }

    /// Whether the keys of every issuer are there, or were asked for in vain.
    #[must_use]
    pub fn has_asked_for_keys(&self) -> bool {
        let now = unix_now();
        self.snapshot().stores.iter().all(|store| store.available(now) || store.is_failing())
    }

    /// What is known of each issuer's keys, a line each.
    #[must_use]
    pub fn issuers(&self) -> String {
        let now = unix_now();
        let snapshot = self.snapshot();
        let lines =
            snapshot.stores.iter().map(|store| format!("issuer {}: {}\n", store.name(), store.describe(now)));
        lines.collect()
    }
}
