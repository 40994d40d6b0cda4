//! The process: listeners, runtimes, signals, and the hand-over to a successor.

use std::path::Path;
use std::pin::Pin;
use std::sync::mpsc;

use async_trait::async_trait;
use pingora::apps::HttpServerOptions;
use pingora::listeners::tls::TlsSettings;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::proxy::http_proxy;
use pingora::server::configuration::{Opt, ServerConf};
use pingora::server::{
    RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch, UnixShutdownSignalWatch,
};
use pingora::services::background::{BackgroundService, background_service};
use pingora::services::listening::Service;
use portcullis_config::settings::CertificatePair;
use portcullis_config::{file, output};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;

use crate::admin::Admin;
use crate::background::Background;
use crate::gateway::Gateway;
use crate::preflight;
use crate::process_log;
use crate::received::InspectingServer;
use crate::state::{PEM_BYTES_MAX, State};

/// What is gathered for a client before it is sent: head and body of a denial leave together, where
/// pingora's own 1,460 bytes would send them one by one, and a second packet costs more than the page.
const WRITE_BYTES: usize = 8 << 10;

/// How to start.
pub struct Start {
    /// Take the sockets over from the process that serves now.
    pub upgrade: bool,
    /// What else lives and ends with the proxy.
    pub companion: Option<Companion>,
}

/// A task beside the proxy; it is handed a watch that turns true when the proxy ends.
pub type Companion =
    Box<dyn Fn(watch::Receiver<bool>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

struct CompanionService(Companion);

#[async_trait]
impl BackgroundService for CompanionService {
    async fn start(&self, shutdown: ShutdownWatch) {
        (self.0)(shutdown).await;
    }
}

/// Why the process could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The process that serves now could not be asked to hand over.
    #[error("no process to take over from: {0}")]
    Predecessor(String),
    /// The machine lacks what is needed.
    #[error("{0}")]
    Impossible(String),
    /// The process id cannot be written.
    #[error("the process id cannot be written to {0}: {1}")]
    PidFile(String, std::io::Error),
    /// A TLS listener's files are no good.
    #[error("TLS for {address}: {problem}")]
    Tls {
        /// The listener.
        address: String,
        /// What is wrong.
        problem: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {problem}")]
    Listen {
        /// The listener.
        address: String,
        /// What is wrong.
        problem: std::io::Error,
    },
}

/// Installs the one crypto library and the log, both before anything else.
pub fn prepare_process() {
    // A second call finds it installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    process_log::install();
}

/// Whether certificate and key are what they are said to be, and belong together. Pingora would panic in
/// the listener's own thread, and the process would live on without serving.
pub(crate) fn check_pair(tls: &CertificatePair) -> Result<(), Box<dyn std::error::Error>> {
    // A second call finds it installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&file::read(&tls.certificate, PEM_BYTES_MAX)?)
            .collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&file::read(&tls.key, PEM_BYTES_MAX)?)?;
    rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    Ok(())
}

fn ask_predecessor(pid_file: &Path) -> Result<(), ServeError> {
    let fail = |problem: &dyn std::fmt::Display| {
        ServeError::Predecessor(format!("{}: {problem}", pid_file.display()))
    };
    let text = file::read(pid_file, 64).map_err(|problem| fail(&problem))?;
    let text = String::from_utf8_lossy(&text);
    let number: i32 = text.trim().parse().map_err(|problem| fail(&problem))?;
    let pid = rustix::process::Pid::from_raw(number).ok_or_else(|| fail(&"no process id"))?;
    rustix::process::kill_process(pid, rustix::process::Signal::QUIT).map_err(|problem| fail(&problem))
}

/// The signals that pingora waits for, but for SIGINT, which it never hears of.
struct Signals {
    /// Told of SIGINT.
    ended: mpsc::Sender<()>,
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        match UnixShutdownSignalWatch.recv().await {
            ShutdownSignal::FastShutdown => {
                tracing::info!("SIGINT: ends at once");
                // INVARIANT: who waits lives as long as the process.
                let _ = self.ended.send(());
                std::future::pending().await
            }
            other => other,
        }
    }
}

/// Runs the server until SIGTERM or SIGQUIT has ended it, or SIGINT has come.
///
/// On SIGINT pingora ends its runtimes one by one without telling those who accept connections. Who has a
/// listener of a runtime that is gone, on one that is not yet, gets an error at once for every attempt: it writes
/// it to the log, tries again without a pause, and its runtime, which never gets its turn, never ends. So the
/// process ends around pingora.
fn run(server: Server) {
    let (ended, waiting) = mpsc::channel();
    let serving = std::thread::spawn(move || {
        let signals = Signals { ended: ended.clone() };
        server.run(RunArgs { shutdown_signal: Box::new(signals) });
        // INVARIANT: who waits lives as long as the process.
        let _ = ended.send(());
    });
    if waiting.recv().is_err()
        && let Err(panic) = serving.join()
    {
        std::panic::resume_unwind(panic);
    }
}

/// Serves until a signal ends it: SIGTERM finishes what is under way, SIGINT does not, SIGQUIT
/// hands the sockets to a successor.
///
/// # Errors
/// When an address or a TLS file is no good, or there is nobody to take over from.
pub fn serve(state: &'static State, start: Start) -> Result<(), ServeError> {
    let snapshot = state.snapshot();
    if let Some(problem) = preflight::problems(&snapshot.config).into_iter().next() {
        return Err(ServeError::Impossible(problem.what));
    }
    let settings = snapshot.config.server.clone();
    drop(snapshot);
    let user_folder = preflight::user_folder();
    let place = |path: &Path| preflight::runtime_file(path, user_folder.as_deref());
    let (pid_file, upgrade_socket) = (place(&settings.pid_file), place(&settings.upgrade_socket));
    match &pid_file {
        Some(path) => preflight::make_folder(path)
            .map_err(|problem| ServeError::PidFile(path.display().to_string(), problem))?,
        None => tracing::info!(
            "no file with the process id and no upgrade: there is neither /run/portcullis nor $XDG_RUNTIME_DIR"
        ),
    }
    let conf = ServerConf {
        threads: settings
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        work_stealing: false,
        upgrade_sock: upgrade_socket
            .as_deref()
            // A place that nobody has: a socket in a folder of everybody's could be somebody else's.
            .unwrap_or(Path::new("/nonexistent/portcullis.sock"))
            .display()
            .to_string(),
        // What is under way may finish within `grace`; nothing new is waited for.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(settings.grace.as_secs()),
        upstream_keepalive_pool_size: settings.upstream_pool,
        max_retries: crate::upstream::ATTEMPTS_MAX,
        ..ServerConf::default()
    };
    if start.upgrade {
        let nowhere = || ServeError::Predecessor("there is no file with its process id".to_owned());
        ask_predecessor(pid_file.as_deref().ok_or_else(nowhere)?)?;
    } else {
        // Pingora panics on an address in use; say it in words first.
        let addresses = settings.listeners.iter().map(|listener| listener.address).chain([settings.admin]);
        for address in addresses {
            std::net::TcpListener::bind(address)
                .map_err(|problem| ServeError::Listen { address: address.to_string(), problem })?;
        }
    }
    let mut server =
        Server::new_with_opt_and_conf(Some(Opt { upgrade: start.upgrade, ..Opt::default() }), conf);
    server.bootstrap();

    let gateway = Gateway::new(state);
    let mut requests = http_proxy(&server.configuration, gateway);
    let mut options = HttpServerOptions::default();
    options.h2_idle_timeout = Some(settings.client_idle);
    requests.server_options = Some(options);
    let mut proxy = Service::new("portcullis".to_owned(), InspectingServer::new(requests));
    for listener in &settings.listeners {
        let address = listener.address.to_string();
        let listening =
            ListenerConfig::tcp(&address).l4_buffer(L4BufferSettings::default().write(WRITE_BYTES));
        match &listener.tls {
            None => proxy.add_listener(listening),
            Some(tls) => {
                let Some(tls) = tls.pairs.first() else { continue };
                let fail = |problem: &dyn std::fmt::Display| ServeError::Tls {
                    address: address.clone(),
                    problem: problem.to_string(),
                };
                check_pair(tls).map_err(|problem| fail(&problem))?;
                let certificate = tls.certificate.to_str().ok_or_else(|| fail(&"the path is not UTF-8"))?;
                let key = tls.key.to_str().ok_or_else(|| fail(&"the path is not UTF-8"))?;
                let mut acceptor =
                    TlsSettings::intermediate(certificate, key).map_err(|problem| fail(&problem))?;
                acceptor.enable_h2();
                proxy.add_listener(listening.tls(acceptor));
            }
        }
    }
    let mut admin = Service::new("portcullis admin".to_owned(), Admin::new(state));
    admin.threads = Some(1);
    admin.add_tcp(&settings.admin.to_string());

    server.add_service(background_service("background", Background::new(state)));
    server.add_boxed_service(Box::new(proxy));
    server.add_service(admin);
    if let Some(companion) = start.companion {
        server.add_service(background_service("companion", CompanionService(companion)));
    }
    let own = format!("{}\n", std::process::id());
    if let Some(path) = &pid_file {
        // Never through a link that somebody laid there.
        output::write(path, &own)
            .map_err(|problem| ServeError::PidFile(path.display().to_string(), problem))?;
    }
    run(server);
    state.log.flush();
    if let Some(path) = pid_file
        && file::read(&path, 64).is_ok_and(|text| text == own.as_bytes())
    {
        // After an upgrade the file is the successor's. A file that stays is only untidy.
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}
