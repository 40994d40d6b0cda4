//! The process: sockets, threads, signals, the drain, and the hand-over to a successor.
//!
//! What can fail is done before anything is published; what is under way is finished before the process ends. The
//! threads: one for signals and the hand-over (the caller's), one for each worker, one for what runs beside requests,
//! and one for the admin listener, which answers whatever the others do.

mod drain;
mod error;
mod handover;
mod notify;
mod pid_file;
mod process;
mod runtimes;
mod signals;
mod sockets;
mod spawn;

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pingora::proxy::http_proxy;
use pingora::server::configuration::ServerConf;
use portcullis_config::settings::Server;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

pub use error::{End, ServeError};
pub use process::{Process, prepare_process};
pub(crate) use sockets::bind;

use self::drain::{Cause, Open, drain};
use self::handover::{Given, Predecessor, Progress, Taken, UpgradeSocket, wait_for_successor};
use self::pid_file::PidFile;
use self::runtimes::Runtimes;
use self::signals::{Signals, Wish};
use self::sockets::Inherited;
use self::spawn::Spawned;
use crate::admin::{self, Admin, Connected, Neighbour, NeighbourState, Next, NextState, Phase, Status};
use crate::background::{Background, ReloadRequest};
use crate::gateway::Gateway;
use crate::limit::{self, MORE_DESCRIPTORS};
use crate::listener::{self, Door, Seats, Worker};
use crate::preflight;
use crate::record::Handover;
use crate::session::storage::StorageProblem;
use crate::sign_in::refresh;
use crate::state::State;
use crate::wait;

/// How long a successor waits for the keys of every issuer before it asks for the sockets.
const KEYS_TIME: Duration = Duration::from_secs(20);
/// How often it looks.
const KEYS_LOOK: Duration = Duration::from_millis(20);
/// How long a start waits for the first answers about keys.
const FIRST_TIME: Duration = Duration::from_secs(3);
/// How long it waits until its predecessor drains.
const FOLLOW_TIME: Duration = Duration::from_secs(20);

/// How to start.
pub struct Start {
    /// Take the sockets over from the process that serves now.
    pub upgrade: bool,
    /// Sockets that listen already at addresses of the configuration; what is missing is bound.
    pub sockets: Vec<TcpListener>,
    /// What else lives and ends with the proxy.
    pub companion: Option<Companion>,
}

/// A task beside the proxy; it is handed a watch that turns true when the proxy ends.
pub type Companion =
    Box<dyn FnOnce(watch::Receiver<bool>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// A process that is about to serve: nothing can fail any more but the consent of its predecessor.
struct Prepared {
    pid_file: Option<PidFile>,
    upgrade_socket: Option<UpgradeSocket>,
    given: Given,
    predecessor: Option<Predecessor>,
    sockets: Vec<TcpListener>,
    admin: TcpListener,
    companion: Option<Companion>,
    reloads: mpsc::Sender<ReloadRequest>,
}

/// Serves until a signal ends it, or a successor has taken over.
///
/// # Errors
/// When an address or a file is no good, or there is nobody to take over from. Nothing has changed then.
pub fn serve(process: Process, state: &'static State, start: Start) -> Result<End, ServeError> {
    let Process { program, runtime, mut signals, mut inherited } = process;
    let snapshot = state.snapshot();
    if let Some(problem) = preflight::problems(&snapshot.config).into_iter().next() {
        return Err(ServeError::Impossible(problem.what));
    }
    let settings = snapshot.config.server.clone();
    drop(snapshot);
    if let Some(connections) = settings.limits.connections {
        limit::raise_descriptors(connections);
        if let Some(problem) = limit::too_many(connections) {
            tracing::warn!("{problem}; {MORE_DESCRIPTORS}");
        }
    }
    let status: &'static Status = Box::leak(Box::new(Status::new()));
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let runtimes = Runtimes::start(settings.threads.unwrap_or_else(cores))?;
    let (end, ending) = watch::channel(false);
    let begin = Begin { state, status, settings: &settings, runtimes: &runtimes, ending };
    // A program that has a companion cannot be started a second time.
    let program = program.filter(|_| start.companion.is_none());
    let Start { upgrade, sockets, companion } = start;
    for socket in sockets {
        inherited.add(socket.into())?;
    }
    let ended = runtime.block_on(async {
        let prepared = tokio::select! {
            prepared = begin.prepare(inherited, upgrade, companion) => prepared?,
            () = asked_to_stop(&mut signals) => return Ok(End::Finished),
        };
        let ended = live(prepared, &begin, &mut signals, program.as_ref()).await;
        state.flush_uses().await;
        ended
    });
    end.send_replace(true);
    runtimes.end();
    state.log.flush();
    ended
}

async fn asked_to_stop(signals: &mut Signals) {
    while !matches!(signals.next().await, Wish::Finish | Wish::End) {}
}

/// What a start needs.
struct Begin<'s> {
    state: &'static State,
    status: &'static Status,
    settings: &'s Server,
    runtimes: &'s Runtimes,
    ending: watch::Receiver<bool>,
}

impl Begin<'_> {
    /// Opens the session store. A predecessor may have its file: it leaves it when this process serves.
    async fn open_sessions(&self, upgrade: bool) -> Result<(), ServeError> {
        let Some(storage) = self.state.storage() else { return Ok(()) };
        match storage.open().await {
            Err(StorageProblem::Held(_)) if upgrade => Ok(()),
            opened => Ok(opened?),
        }
    }

    /// Does everything that can fail.
    async fn prepare(
        &self,
        inherited: Inherited,
        upgrade: bool,
        companion: Option<Companion>,
    ) -> Result<Prepared, ServeError> {
        self.open_sessions(upgrade).await?;
        let user_folder = preflight::user_folder();
        let pid_file = preflight::runtime_file(&self.settings.pid_file, user_folder.as_deref());
        let upgrade_socket = preflight::upgrade_socket(&self.settings.upgrade_socket, user_folder.as_deref());
        let pid_file = pid_file.as_deref().map(prepare_pid_file).transpose()?;
        let (reloads, requests) = mpsc::channel(1);
        self.runtimes.beside().spawn(Background::new(self.state).run(requests, self.ending.clone()));
        self.runtimes.beside().spawn(refresh::run(self.state, self.ending.clone()));
        self.runtimes.beside().spawn(wait::follow(self.state, self.ending.clone()));
        let (mut inherited, predecessor, upgrade_socket) = if upgrade {
            let place = upgrade_socket.ok_or_else(|| {
                ServeError::Predecessor("this user has no folder with an upgrade socket".to_owned())
            })?;
            let (predecessor, taken) = self.take_over(&place).await?;
            (taken.sockets, Some(predecessor), Some(taken.upgrade_socket))
        } else {
            (inherited, None, upgrade_socket.as_deref().map(open_upgrade_socket).transpose()?)
        };
        if upgrade_socket.is_none() {
            tracing::info!(
                "no upgrade: neither /run/portcullis nor $XDG_RUNTIME_DIR is a folder of this user alone"
            );
        }
        let mut sockets = Vec::new();
        for listener in &self.settings.listeners {
            sockets.push(inherited.take_or_bind(listener.address)?);
        }
        let admin = inherited.take_or_bind(self.settings.admin)?;
        let left: Vec<String> = inherited.left().iter().map(ToString::to_string).collect();
        match predecessor {
            Some(_) if !left.is_empty() => tracing::info!("no longer listened on: {}", left.join(", ")),
            None if !left.is_empty() => {
                return Err(ServeError::Inherited(format!(
                    "systemd listens on {}, and no listener of the configuration does: connections would hang",
                    left.join(", ")
                )));
            }
            _ => {}
        }
        // A companion may be the issuer, and answers later.
        if predecessor.is_none() && companion.is_none() {
            self.first_answers().await;
        }
        let given = Given { generation: self.status.generation(), sockets: duplicates(&sockets, &admin)? };
        Ok(Prepared { pid_file, upgrade_socket, given, predecessor, sockets, admin, companion, reloads })
    }

    /// Serves. The sender turns true when somebody else is to answer at the admin listener; the task ends when it accepts
    /// nothing any more.
    fn open(
        &self,
        sockets: Vec<TcpListener>,
        admin: TcpListener,
        companion: Option<Companion>,
    ) -> (Open, watch::Sender<bool>, JoinHandle<io::Result<()>>) {
        let (admin_end, admin_ending) = watch::channel(false);
        let answering = admin::serve(admin, Admin::new(self.state, self.status), admin_ending);
        let admin_ended = self.runtimes.admin().spawn(answering);
        if let Some(companion) = companion {
            self.runtimes.beside().spawn(companion(self.ending.clone()));
        }
        let limit = limit::connections_max(self.settings.limits.connections);
        self.state.metrics.connections_max.store(limit as u64, Ordering::Relaxed);
        let seats = Seats::new(limit, &self.state.limits);
        let (drain, accepting) = self.listen(sockets, &seats);
        let listeners = &self.settings.listeners;
        self.status.serves(Connected {
            seats: Arc::clone(&seats),
            limit,
            listeners: listeners.iter().map(|listener| (listener.address, listener.tls.is_some())).collect(),
        });
        for listener in &self.settings.listeners {
            let tls = listener.tls.is_some();
            tracing::info!(address = %listener.address, tls, "listening");
        }
        tracing::info!(address = %self.settings.admin, "the admin listener answers");
        (Open { seats, metrics: &self.state.metrics, drain, accepting }, admin_end, admin_ended)
    }

    /// Waits until every issuer's keys were asked for. Who connects meanwhile, or has waited in a socket that systemd holds,
    /// is served and not refused. What does not answer holds up no start.
    async fn first_answers(&self) {
        let keys = async {
            while !self.state.has_asked_for_keys() {
                sleep(KEYS_LOOK).await;
            }
        };
        let _ = timeout(FIRST_TIME, keys).await;
    }

    /// Asks for the sockets once this process can do what the other one can.
    async fn take_over(&self, place: &Path) -> Result<(Predecessor, Taken), ServeError> {
        let state = self.state;
        let all_keys = async {
            while state.usable_issuers().len() < state.snapshot().config.issuers.len() {
                sleep(KEYS_LOOK).await;
            }
        };
        let _ = timeout(KEYS_TIME, all_keys).await;
        let (predecessor, taken) = handover::ask(place).await?;
        let usable = state.usable_issuers();
        let is_of_config =
            |name: &String| state.snapshot().config.issuers.iter().any(|issuer| issuer.name == *name);
        let lost = predecessor.issuers().iter().filter(|name| is_of_config(name) && !usable.contains(name));
        let lost: Vec<&str> = lost.map(String::as_str).collect();
        if !lost.is_empty() {
            return Err(ServeError::Predecessor(format!(
                "process {} has the keys of {}, and this process could not get them: its users would be refused",
                predecessor.pid(),
                lost.join(", ")
            )));
        }
        self.status.follow(Neighbour {
            pid: predecessor.pid(),
            generation: predecessor.generation(),
            version: predecessor.version().to_owned(),
            state: NeighbourState::Serving,
            left: None,
        });
        Ok((predecessor, taken))
    }

    /// Takes connections in.
    fn listen(&self, sockets: Vec<TcpListener>, seats: &Arc<Seats>) -> (watch::Sender<bool>, JoinSet<()>) {
        let conf = Arc::new(ServerConf {
            // Pingora forwards nothing.
            upstream_keepalive_pool_size: 1,
            ..ServerConf::default()
        });
        let app = Arc::new(http_proxy(&conf, Gateway::new(self.state, self.settings.upstream_pool)));
        let mut accepting = JoinSet::new();
        let (drain, draining) = watch::channel(false);
        let workers = self.runtimes.workers();
        let serving: Arc<[Worker]> = workers.iter().map(|worker| Worker::new(worker, self.state)).collect();
        for (index, (socket, worker)) in sockets.into_iter().zip(workers.iter().cycle()).enumerate() {
            let door = Door {
                index,
                state: self.state,
                app: Arc::clone(&app),
                seats: Arc::clone(seats),
                workers: Arc::clone(&serving),
                drain: draining.clone(),
            };
            let accept = async move {
                if let Err(problem) = listener::serve(socket, door).await {
                    tracing::error!(index, %problem, "a listener ended");
                }
            };
            accepting.spawn_on(accept, worker);
        }
        (drain, accepting)
    }
}

fn prepare_pid_file(place: &Path) -> Result<PidFile, ServeError> {
    preflight::make_folder(place)
        .and_then(|()| PidFile::prepare(place))
        .map_err(|problem| ServeError::PidFile(place.display().to_string(), problem))
}

fn open_upgrade_socket(place: &Path) -> Result<UpgradeSocket, ServeError> {
    preflight::make_folder(place)
        .and_then(|()| UpgradeSocket::open(place))
        .map_err(|problem| ServeError::UpgradeSocket(place.display().to_string(), problem))
}

/// What a successor is given. The kernel closes a socket when the last of its descriptors is closed.
fn duplicates(sockets: &[TcpListener], admin: &TcpListener) -> Result<Vec<OwnedFd>, ServeError> {
    let duplicates = sockets.iter().chain([admin]).map(|socket| socket.try_clone().map(OwnedFd::from));
    Ok(duplicates.collect::<Result<_, _>>()?)
}

/// From the first request to the last.
async fn live(
    prepared: Prepared,
    begin: &Begin<'_>,
    signals: &mut Signals,
    program: Option<&std::path::PathBuf>,
) -> Result<End, ServeError> {
    let Prepared { mut pid_file, upgrade_socket, given, predecessor, sockets, admin, companion, reloads } =
        prepared;
    let (state, status, settings) = (begin.state, begin.status, begin.settings);
    let mut predecessor = predecessor;
    if let Some(predecessor) = &mut predecessor {
        // Nothing is accepted here before the other one knows: it may have given this process up.
        tokio::select! {
            may = predecessor.serving() => may?,
            () = asked_to_stop(signals) => {
                tracing::info!("asked to stop before it serves; process {} goes on", predecessor.pid());
                return Ok(End::Finished);
            }
        }
    }
    if predecessor.is_some()
        && let Some(storage) = state.storage()
    {
        // The other one leaves its file when it hears that this one accepts: whoever asks until then waits.
        begin.runtimes.beside().spawn(storage.take_over());
    }
    let (mut open, admin_end, admin_ended) = begin.open(sockets, admin, companion);
    if let Some(predecessor) = predecessor {
        tokio::select! {
            () = follow(predecessor, begin) => {}
            // The other one sees that this one has left.
            () = asked_to_stop(signals) => return Ok(drain(&Cause::Asked, settings.grace, &mut open, signals).await),
        }
    }
    if let Some(pid_file) = &mut pid_file
        && let Err(problem) = pid_file.publish()
    {
        tracing::error!(%problem, "the process id is not written");
    }
    notify::ready("serving");
    let workers = begin.runtimes.workers().to_vec();
    let alive =
        begin.runtimes.beside().spawn(notify::keep_alive(workers, notify::watchdog_time(), &state.metrics));
    let cause = match until_the_end(begin, signals, upgrade_socket.as_ref(), &given, &reloads, program).await
    {
        Some(cause) => cause,
        None => {
            if let Some(socket) = upgrade_socket {
                socket.remove();
            }
            return Ok(End::Finished);
        }
    };
    // The kernel would go on completing connections that nobody takes.
    drop(given);
    match &cause {
        Cause::Succeeded(successor) => {
            tracing::info!(pid = successor.pid, version = successor.version, "a successor serves");
            if let Some(pid_file) = pid_file.take() {
                pid_file.leave();
            }
            alive.abort();
            notify::successor(successor.pid);
            if let Some(storage) = state.storage() {
                state.flush_uses().await;
                storage.release().await;
            }
            // Before the successor hears that this process drains: whoever has seen it answer there as the only one must
            // not find this process again.
            admin_end.send_replace(true);
            let _ = admin_ended.await;
        }
        Cause::Asked => {
            notify::stopping("leaving");
            if let Some(socket) = upgrade_socket {
                socket.remove();
            }
            status.enter(Phase::Leaving);
            state.leave();
            if !settings.pre_stop_delay.is_zero() {
                tracing::info!(delay = ?settings.pre_stop_delay, "SIGTERM: `/readyz` says no; connections are still taken");
                if delay(settings.pre_stop_delay, signals).await {
                    return Ok(drain::cut("a second signal", &cause, &open.seats, open.metrics).await);
                }
            }
        }
    }
    status.enter(Phase::Draining);
    tracing::info!(grace = ?settings.grace, "nothing new is taken; what is under way may finish");
    Ok(drain(&cause, settings.grace, &mut open, signals).await)
}

/// Waits until the predecessor accepts nothing any more. From then on its state is heard beside requests.
async fn follow(mut predecessor: Predecessor, begin: &Begin<'_>) {
    let status = begin.status;
    begin.state.metrics.handover(Handover::Taken);
    let metrics = &begin.state.metrics;
    let Ok(mut heard) = timeout(FOLLOW_TIME, predecessor.accepting()).await else {
        tracing::warn!("process {} does not say that it drains; this process serves, too", predecessor.pid());
        return;
    };
    let show = |heard: &Option<Progress>| match heard {
        Some(Progress::Draining(left)) => status.predecessor_is(NeighbourState::Draining, Some(*left)),
        Some(Progress::Cut(left)) => metrics.cut_by_predecessor(left.requests()),
        Some(Progress::Handed) => {}
        None => status.predecessor_is(NeighbourState::Ended, None),
    };
    show(&heard);
    begin.runtimes.beside().spawn(async move {
        while heard.is_some() {
            heard = predecessor.hear().await;
            show(&heard);
        }
    });
}

/// Whether a second signal ended the wait.
async fn delay(time: Duration, signals: &mut Signals) -> bool {
    let end = Instant::now() + time;
    tokio::select! {
        () = sleep_until(end) => false,
        () = asked_to_stop(signals) => true,
    }
}

/// Why the process ends; `None` for at once.
async fn until_the_end(
    begin: &Begin<'_>,
    signals: &mut Signals,
    upgrade_socket: Option<&UpgradeSocket>,
    given: &Given,
    reloads: &mpsc::Sender<ReloadRequest>,
    program: Option<&std::path::PathBuf>,
) -> Option<Cause> {
    let state = begin.state;
    let succeeded = async {
        match upgrade_socket {
            Some(socket) => {
                wait_for_successor(socket, given, || state.usable_issuers(), &state.metrics, begin.status)
                    .await
            }
            None => std::future::pending().await,
        }
    };
    tokio::pin!(succeeded);
    let mut spawned: Option<Spawned> = None;
    loop {
        tokio::select! {
            successor = &mut succeeded => return Some(Cause::Succeeded(successor)),
            how = spawn::ended(&mut spawned) => {
                if let Some(spawned) = spawned.take() {
                    begin.status.successor_failed(spawned.pid);
                }
                tracing::error!("the successor ended ({how}); this process goes on serving");
                notify::ready("serving; the upgrade failed");
            }
            wish = signals.next() => match wish {
                Wish::End => {
                    tracing::info!("SIGINT: ends at once");
                    return None;
                }
                Wish::Finish => return Some(Cause::Asked),
                Wish::Reload => {
                    let (request, done) = oneshot::channel();
                    // One that waits already will see the same files.
                    if reloads.try_send(request).is_ok() {
                        notify::reloading("reloading");
                        tokio::spawn(async move {
                            notify::ready(match done.await {
                                Ok(true) => "serving",
                                _ => "serving the former configuration; the new one is wrong",
                            });
                        });
                    }
                }
                Wish::Upgrade if spawned.is_some() => tracing::warn!("SIGUSR2: a successor is starting already"),
                Wish::Upgrade => match spawn::spawn(program) {
                    Ok(child) => {
                        tracing::info!(pid = child.pid, "SIGUSR2: a successor starts");
                        notify::reloading("a successor starts");
                        let (pid, state) = (child.pid, NextState::Starting);
                        begin.status.successor_is(Next { pid, version: None, state });
                        spawned = Some(child);
                    }
                    Err(problem) => tracing::error!(%problem, "SIGUSR2: no successor can be started"),
                },
                Wish::Nothing => tracing::info!(
                    "SIGQUIT asks for nothing: `run --upgrade` takes over without it, SIGTERM ends the process"
                ),
            }
        }
    }
}
