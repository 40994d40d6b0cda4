//! Whether the session store could be used: its file, as `run` looks at it before it begins, and whether its server answers.

use std::time::{Duration, Instant};

use portcullis_config::Config;
use portcullis_config::settings::{SessionSettings, SessionStore};
use tokio::time::{sleep, timeout};

use super::answer::Answer;
use crate::session::key::StoreKey;
use crate::session::storage::Storage;

/// How long a server may take to be reached: a name, TLS, a password, and what may be slow on the first time.
const LONGEST: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);

/// What would stop `run`, in words. Nothing is opened, and no server is asked.
pub(super) fn unusable(config: &Config) -> Option<String> {
    config.session.as_ref().and_then(|session| Storage::new(session).err()).map(|problem| problem.to_string())
}

/// Asks the server of a store for a session that nobody has; `None` where the store has no server.
pub(super) async fn ask_store(session: &SessionSettings) -> Option<Answer> {
    let SessionStore::Redis { .. } = &session.store else { return None };
    const ASKED: &str = "redis";
    let started = Instant::now();
    let bad = |what: String| {
        let why = "who has a session would get 503, and nobody could sign in";
        let help = "is the server running, does a firewall let this machine through, and are `password` and `ca` right?";
        Some(Answer::bad(ASKED, "online/session-store", what, why, help))
    };
    let storage = match Storage::new(session) {
        Ok(storage) => storage,
        Err(problem) => return bad(format!("the session store: {problem}")),
    };
    if let Err(problem) = storage.open().await {
        return bad(format!("the session store: {problem}"));
    }
    let store = storage.store.as_ref()?;
    let mut latest = None;
    let answered = timeout(LONGEST, async {
        loop {
            match store.get(StoreKey::of(&[0; 32])).await {
                Ok(_) => return,
                Err(problem) => latest = Some(problem),
            }
            sleep(PAUSE).await;
        }
    });
    match answered.await {
        Ok(()) => {
            let took = started.elapsed().as_millis();
            Some(Answer::good(ASKED, format!("session store: answers, in {took} ms")))
        }
        Err(_) => bad(latest
            .map_or_else(|| "the session store gives no answer".to_owned(), |problem| problem.to_string())),
    }
}
