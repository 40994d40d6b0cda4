//! What is asked of the server, and how long that may take.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::redis::aio::ConnectionManager;
use ::redis::{Client, Cmd, FromRedisValue, RedisError, Script, ScriptInvocation, cmd};
use tokio::time::timeout;

use super::connect::{self, Target};
use super::scripts;
use crate::clock::unix_now;
use crate::session::health::Health;
use crate::session::key::StoreKey;
use crate::session::outage::{Answer, Operation, StoreFault, StoreUnavailable};
use crate::session::revocation::{Link, Notice, Once, RevocationLog, RevocationMap, Use};
use crate::session::store::{Entry, Fence, Fenced, Seen, Store, Stored};

/// The longest that an answer takes.
const ANSWER_TIME: Duration = Duration::from_secs(1);
/// Sessions in one command: a script holds everybody else up.
const SEEN_AT_ONCE: usize = 256;

/// The store of many replicas.
#[derive(Debug)]
pub struct RedisStore {
    pub(super) client: Client,
    connection: OnceLock<ConnectionManager>,
    pub(super) map: Arc<RevocationMap>,
    pub(super) link: Arc<Link>,
    pub(super) health: Arc<Health>,
}

/// Whether a command that may have been done may be sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// Twice is as good as once.
    Yes,
    /// The second time would be answered differently.
    No,
}

/// What is sent.
enum Request<'r> {
    Command(&'r Cmd),
    Script(&'r ScriptInvocation<'r>),
}

impl Request<'_> {
    async fn send<T: FromRedisValue + Send>(
        &self,
        connection: &mut ConnectionManager,
    ) -> Result<T, RedisError> {
        match self {
            Self::Command(command) => command.query_async(connection).await,
            Self::Script(script) => script.invoke_async(connection).await,
        }
    }
}

pub(super) fn hex(bytes: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in bytes {
        // INVARIANT: writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What a failure of the client stands for. Says nothing that the server sent.
pub(super) fn fault(problem: &RedisError) -> StoreFault {
    if problem.is_timeout() {
        StoreFault::Timeout
    } else if problem.is_io_error() || problem.is_connection_dropped() || problem.is_connection_refusal() {
        StoreFault::Unreachable
    } else {
        match problem.kind() {
            ::redis::ErrorKind::Parse | ::redis::ErrorKind::UnexpectedReturnType => StoreFault::Unreadable,
            _ => StoreFault::Refused,
        }
    }
}

impl RedisStore {
    /// A store that is still to be reached.
    ///
    /// # Errors
    /// When the address or the authorities are no good.
    pub fn new(
        target: &Target<'_>,
        map: Arc<RevocationMap>,
        link: Arc<Link>,
        health: Arc<Health>,
    ) -> Result<Self, String> {
        let client = connect::client(target).map_err(|problem| problem.to_string())?;
        Ok(Self { client, connection: OnceLock::new(), map, link, health })
    }

    /// Begins to connect, on the present runtime. Whether the server answers is seen later: without it, no session is known.
    ///
    /// # Errors
    /// When the settings of the connection are no good.
    pub fn open(&self) -> Result<(), String> {
        let connection = connect::manager(&self.client).map_err(|problem| problem.to_string())?;
        let _ = self.connection.set(connection);
        Ok(())
    }

    pub(super) fn connected(&self) -> Result<ConnectionManager, StoreFault> {
        self.connection.get().cloned().ok_or(StoreFault::NotOpen)
    }

    /// Sends something, within a second; once more if the connection was found broken and that does no harm.
    async fn ask<T: FromRedisValue + Send>(
        &self,
        operation: Operation,
        repeat: Repeat,
        request: Request<'_>,
    ) -> Result<T, StoreUnavailable> {
        let talk = async {
            let mut connection = self.connected()?;
            let is_broken = |problem: &RedisError| problem.is_unrecoverable_error() && !problem.is_timeout();
            match request.send(&mut connection).await {
                Err(problem) if repeat == Repeat::Yes && is_broken(&problem) => {
                    request.send(&mut connection).await
                }
                other => other,
            }
            .map_err(|problem| fault(&problem))
        };
        let answer = timeout(ANSWER_TIME, talk).await.unwrap_or(Err(StoreFault::Timeout));
        self.health.note(answer.map_err(|fault| StoreUnavailable { operation, fault }))
    }

    async fn run(
        &self,
        operation: Operation,
        repeat: Repeat,
        script: &ScriptInvocation<'_>,
    ) -> Result<u64, StoreUnavailable> {
        self.ask(operation, repeat, Request::Script(script)).await
    }

    fn tell(&self, invocation: &mut ScriptInvocation<'_>, notice: &Notice) {
        let Notice { mark, not_before, until, by: _ } = notice;
        invocation.arg(hex(&mark.0)).arg(not_before.0).arg(*until).arg(self.map.kept_secs());
    }

    pub(super) fn taken_up(&self, notice: &Notice) {
        // A full map asks the store.
        let _ = self.map.apply(notice);
    }
}

/// key, value, u, p, now, expires
fn entry_args<'s>(script: &'s Script, entry: &Entry, now: i64) -> ScriptInvocation<'s> {
    let mut invocation = script.prepare_invoke();
    invocation
        .arg(hex(&entry.key.0))
        .arg(entry.value.as_slice())
        .arg(hex(&entry.marks.subject.0))
        .arg(entry.marks.session.map(|mark| hex(&mark.0)).unwrap_or_default())
        .arg(now)
        .arg(entry.expires_at);
    invocation
}

fn seconds_left(until: i64, now: i64) -> i64 {
    until.saturating_sub(now).max(1)
}

impl RevocationLog for RedisStore {
    fn revoke(&self, notice: Notice, once: Option<Once>) -> Answer<'_, Use> {
        Box::pin(async move {
            let now = unix_now();
            let mut invocation = scripts::REVOKE.prepare_invoke();
            let (key, left) =
                once.map_or_else(Default::default, |once| (hex(&once.key.0), seconds_left(once.until, now)));
            invocation.arg(key).arg(left);
            self.tell(&mut invocation, &notice);
            let repeat = if once.is_some() { Repeat::No } else { Repeat::Yes };
            match self.run(Operation::Revoke, repeat, &invocation).await? {
                0 => Ok(Use::Again),
                _ => {
                    self.taken_up(&notice);
                    Ok(Use::First)
                }
            }
        })
    }

    fn first_use(&self, once: Once) -> Answer<'_, Use> {
        Box::pin(async move {
            let mut invocation = scripts::FIRST_USE.prepare_invoke();
            invocation.arg(hex(&once.key.0)).arg(seconds_left(once.until, unix_now()));
            match self.run(Operation::FirstUse, Repeat::No, &invocation).await? {
                0 => Ok(Use::Again),
                _ => Ok(Use::First),
            }
        })
    }
}

impl Store for RedisStore {
    fn get(&self, key: StoreKey) -> Answer<'_, Option<Stored>> {
        Box::pin(async move {
            let mut command = cmd("HMGET");
            command.arg(format!("{}s:{}", scripts::PREFIX, hex(&key.0))).arg("v").arg("n");
            let found: (Option<Vec<u8>>, Option<i64>) =
                self.ask(Operation::Get, Repeat::Yes, Request::Command(&command)).await?;
            Ok(match found {
                (Some(value), Some(last_seen_at)) => Some(Stored { value, last_seen_at }),
                _ => None,
            })
        })
    }

    fn put(&self, entry: Entry, replaces: Option<StoreKey>) -> Answer<'_, ()> {
        Box::pin(async move {
            let now = unix_now();
            let mut invocation = entry_args(&scripts::PUT, &entry, now);
            let notice = replaces.map(|key| (key, Notice::ended(key, self.map.kept_until(now))));
            match &notice {
                Some((key, notice)) => {
                    invocation.arg(hex(&key.0));
                    self.tell(&mut invocation, notice);
                }
                None => drop(invocation.arg("")),
            }
            self.run(Operation::Put, Repeat::Yes, &invocation).await?;
            if let Some((_, notice)) = &notice {
                self.taken_up(notice);
            }
            Ok(())
        })
    }

    fn remove(&self, key: StoreKey) -> Answer<'_, ()> {
        Box::pin(async move {
            let notice = Notice::ended(key, self.map.kept_until(unix_now()));
            let mut invocation = scripts::REMOVE.prepare_invoke();
            invocation.arg(hex(&key.0));
            self.tell(&mut invocation, &notice);
            self.run(Operation::Remove, Repeat::Yes, &invocation).await?;
            self.taken_up(&notice);
            Ok(())
        })
    }

    fn revoke_stored(&self, notice: Notice) -> Answer<'_, bool> {
        Box::pin(async move {
            let mut invocation = scripts::REVOKE_STORED.prepare_invoke();
            self.tell(&mut invocation, &notice);
            let has_ended_any = self.run(Operation::Revoke, Repeat::Yes, &invocation).await? != 0;
            if has_ended_any {
                self.taken_up(&notice);
            }
            Ok(has_ended_any)
        })
    }

    fn seen(&self, batch: Vec<Seen>) -> Answer<'_, ()> {
        Box::pin(async move {
            for some in batch.chunks(SEEN_AT_ONCE) {
                let mut invocation = scripts::SEEN.prepare_invoke();
                invocation.arg(unix_now());
                for Seen { key, at, expires_at } in some {
                    invocation.arg(hex(&key.0)).arg(*at).arg(*expires_at);
                }
                self.run(Operation::Seen, Repeat::Yes, &invocation).await?;
            }
            Ok(())
        })
    }

    fn lock(&self, key: StoreKey, time: Duration) -> Answer<'_, Option<Fence>> {
        Box::pin(async move {
            let mut invocation = scripts::LOCK.prepare_invoke();
            invocation.arg(hex(&key.0)).arg(u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1));
            let fence = self.run(Operation::Lock, Repeat::No, &invocation).await?;
            Ok((fence != 0).then_some(Fence(fence)))
        })
    }

    fn unlock(&self, key: StoreKey, fence: Fence) -> Answer<'_, ()> {
        Box::pin(async move {
            let mut invocation = scripts::UNLOCK.prepare_invoke();
            invocation.arg(hex(&key.0)).arg(fence.0);
            self.run(Operation::Lock, Repeat::Yes, &invocation).await.map(drop)
        })
    }

    fn put_fenced(&self, entry: Entry, fence: Fence) -> Answer<'_, Fenced> {
        Box::pin(async move {
            let now = unix_now();
            let notice = Notice::changed(entry.key, self.map.kept_until(now));
            let mut invocation = entry_args(&scripts::PUT_FENCED, &entry, now);
            invocation.arg(fence.0);
            self.tell(&mut invocation, &notice);
            Ok(match self.run(Operation::Put, Repeat::Yes, &invocation).await? {
                0 => Fenced::Gone,
                1 => {
                    self.taken_up(&notice);
                    Fenced::Stored
                }
                _ => Fenced::Superseded,
            })
        })
    }
}
