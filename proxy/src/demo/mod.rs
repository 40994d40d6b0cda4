//! Everything that `portcullis demo` needs beside the proxy: an OpenID provider to play with, a front
//! door that plays the company's border, an internal wiki, a small country database, sample policies.
//! All of it on loopback; nothing of it is used when a configuration is served.

mod decision;
mod files;
mod form;
mod issuer;
mod pages;
mod places;
mod provider;
mod servers;

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio::sync::watch;

use issuer::{Issuer, SignIn};
use provider::Provider;
use servers::FrontDoor;

/// The demo app's host.
const APP_HOST: &str = "wiki.localhost";

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A port or a file.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The folder holds a configuration already.
    #[error("{} exists already; name an empty folder with --dir", .0.display())]
    Exists(PathBuf),
    /// The signing key could not be made.
    #[error("no signing key could be made")]
    Key,
}

/// Where the demo is to listen and to write.
#[derive(Clone, Debug)]
pub struct Options {
    /// The proxy's address.
    pub proxy: SocketAddr,
    /// The admin listener's address.
    pub admin: SocketAddr,
    /// Where the files go; a fresh folder, removed at the end, when left out.
    pub folder: Option<PathBuf>,
}

/// Removes the demo's own folder when it is dropped.
#[must_use]
pub struct FolderGuard(Option<PathBuf>);

impl Drop for FolderGuard {
    fn drop(&mut self) {
        if let Some(folder) = &self.0
            && let Err(problem) = fs::remove_dir_all(folder)
        {
            tracing::warn!(folder = %folder.display(), %problem, "the demo's folder could not be removed");
        }
    }
}

/// A request to try, and how it is answered.
struct Sample {
    name: &'static str,
    what: &'static str,
    token: String,
    address: &'static str,
    status: u16,
    code: Option<u32>,
}

/// A demo whose ports are bound and whose files are written.
pub struct Demo {
    options: Options,
    folder: PathBuf,
    front: TcpListener,
    wiki: TcpListener,
    door: Arc<FrontDoor>,
}

impl Demo {
    /// Binds ports for issuer and app, makes a key and writes the configuration. The guard is to be dropped when the
    /// demo has ended.
    ///
    /// # Errors
    /// When a port cannot be bound, or a file not be written, or the folder is in use.
    pub fn prepare(options: Options) -> Result<(Self, FolderGuard), DemoError> {
        let front = TcpListener::bind("127.0.0.1:0")?;
        let wiki = TcpListener::bind("127.0.0.1:0")?;
        front.set_nonblocking(true)?;
        wiki.set_nonblocking(true)?;
        let own = front.local_addr()?;
        let issuer = Issuer::new(format!("http://{own}")).ok_or(DemoError::Key)?;
        let client_secret = provider::random().ok_or(DemoError::Key)?;
        let (folder, guard) = match options.folder.clone() {
            Some(folder) => (folder, FolderGuard(None)),
            None => {
                let folder = std::env::temp_dir().join(format!("portcullis-demo-{}", std::process::id()));
                // For this user alone: it holds a key.
                fs::DirBuilder::new().mode(0o700).create(&folder).map_err(|problem| {
                    match problem.kind() {
                        ErrorKind::AlreadyExists => DemoError::Exists(folder.clone()),
                        _ => problem.into(),
                    }
                })?;
                (folder.clone(), FolderGuard(Some(folder)))
            }
        };
        let config = folder.join(files::MAIN);
        if config.exists() {
            return Err(DemoError::Exists(config));
        }
        let Options { proxy, admin, .. } = options;
        let addresses = files::Addresses { proxy, admin, wiki: wiki.local_addr()? };
        files::write(&folder, addresses, issuer.url(), &client_secret)?;
        let apps = [APP_HOST, "localhost"].map(|host| format!("http://{host}:{}", own.port()));
        let door = Arc::new(FrontDoor {
            provider: Provider::new(issuer, client_secret, apps.into()),
            proxy,
            own: own.to_string(),
            log: folder.join(files::DECISION_LOG),
        });
        Ok((Self { options, folder, front, wiki, door }, guard))
    }

    /// The main configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.join(files::MAIN)
    }

    /// Serves issuer, front door and app until asked to stop.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) {
        let (front, wiki) = match (self.front.try_clone(), self.wiki.try_clone()) {
            (Ok(front), Ok(wiki)) => (front, wiki),
            (Err(problem), _) | (_, Err(problem)) => {
                tracing::error!(%problem, "the demo's neighbours cannot be served");
                return;
            }
        };
        tokio::join!(
            servers::front_door(front, Arc::clone(&self.door), shutdown.clone()),
            servers::wiki(wiki, (self.folder.clone(), self.door.provider.app().to_owned()), shutdown),
        );
    }

    fn samples(&self) -> [Sample; 3] {
        let now = crate::clock::unix_now();
        let sample = |name, what, device, address, status, code| {
            let token = self
                .issuer()
                .access_token(&SignIn { age_secs: 60, ..SignIn::new("alice", "mfa", device) }, now);
            Sample { name, what, token, address, status, code }
        };
        let (office, abroad) = ("203.0.113.10", "192.0.2.10");
        [
            sample("allowed", "let in", "compliant", office, 200, None),
            sample("blocked-location", "blocked for its place", "compliant", abroad, 403, Some(53003)),
            sample("blocked-device", "blocked for its device", "not-compliant", office, 403, Some(53000)),
        ]
    }

    /// What scripts need, as one line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let requests: Vec<_> = self
            .samples()
            .into_iter()
            .map(|sample| {
                let headers = json!({
                    "Host": APP_HOST,
                    "Authorization": format!("Bearer {}", sample.token),
                    "X-Forwarded-For": sample.address,
                });
                json!({ "name": sample.name, "headers": headers, "status": sample.status, "code": sample.code })
            })
            .collect();
        json!({
            "proxy": format!("http://{}", self.options.proxy),
            "admin": format!("http://{}", self.options.admin),
            "app_host": APP_HOST,
            "front_door": self.issuer().url(),
            "url": self.door.provider.app(),
            "config": self.config(),
            "requests": requests,
        })
        .to_string()
    }

    /// What a person needs.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "Portcullis demo\n\n  Open {}/ in a browser: sign in as somebody, on some device, at some place.\n  Proxy: http://{}\n  Metrics: http://{}/metrics\n  Policies: {} (edit one, save, try again)\n\nOr by curl:\n",
            self.door.provider.app(),
            self.options.proxy,
            self.options.admin,
            self.policies().display(),
        );
        for Sample { what, token, address, status, code, .. } in self.samples() {
            let code = code.map(|code| format!(", error code {code}")).unwrap_or_default();
            text.push_str(&format!(
                "\n# {what}: {status}{code}\ncurl -i http://{} -H 'Host: {APP_HOST}' -H 'X-Forwarded-For: {address}' -H 'Authorization: Bearer {token}'\n",
                self.options.proxy
            ));
        }
        text.push_str(match &self.options.folder {
            Some(_) => "\nCtrl-C ends it; its files stay.\n",
            None => "\nCtrl-C ends it and removes its files; with `--dir FOLDER` they stay.\n",
        });
        text
    }

    fn issuer(&self) -> &Issuer {
        &self.door.provider.issuer
    }

    fn policies(&self) -> PathBuf {
        Path::new(&self.folder).join("policies")
    }
}
