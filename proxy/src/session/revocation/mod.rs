//! Which sessions have ended before their time, and what may not be used twice.
//!
//! A cookie cannot be taken back, so the server remembers what it no longer honours: one session, all sessions of one
//! session at the provider, all sessions of one person. Whatever ends sessions feeds [`Revocations::revoke`]: a sign-out
//! here, a logout at the provider, an administrator, an event of another system.
//!
//! Memory answers; a [`RevocationLog`] makes it last: a journal beside the cookie store, a table of redb, a stream of
//! Redis that every replica follows.

mod journal;
mod link;
mod map;
mod notice;

use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

pub use self::journal::{Journal, JournalProblem};
pub use self::link::{Link, Trust};
pub use self::map::{Records, RevocationMap, Standing, Version};
pub use self::notice::{By, Cause, Notice, Revoked, SessionMarks, Who};
use super::batch::ANSWER_TIME;
use super::key::{Mark, OnceKey};
use super::outage::{Answer, StoreUnavailable};
use crate::clock::Moment;

/// Whether a token that counts once has been used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// This is its first use.
    First,
    /// It has been used.
    Again,
}

/// Something that counts once: a logout token, a hand-over code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    /// What.
    pub key: OnceKey,
    /// When it would be refused for its age anyway, Unix seconds.
    pub until: i64,
}

/// Makes revocations last, and lets other replicas know of them.
pub trait RevocationLog: Send + Sync + std::fmt::Debug {
    /// Notes that sessions have ended; drops them where sessions are stored. Done when it outlives this process. Where
    /// `once` has been used, nothing is done: both are noted in one step, or neither. When it is done, the
    /// [`RevocationMap`] has it.
    fn revoke(&self, notice: Notice, once: Option<Once>) -> Answer<'_, Use>;

    /// Notes that something has been used that counts once, and says whether this is its first use. An error refuses
    /// the use.
    fn first_use(&self, once: Once) -> Answer<'_, Use>;
}

/// How often it is looked whether the journal was read.
const COMPLETE_LOOK: Duration = Duration::from_millis(5);

/// What has ended, for requests to ask.
#[derive(Debug)]
pub struct Revocations {
    map: Arc<RevocationMap>,
    link: Arc<Link>,
    log: Arc<dyn RevocationLog>,
    /// What has ended here and the log has not taken yet. It is told again until it does.
    unkept: Mutex<AHashMap<Mark, Notice>>,
}

impl Revocations {
    /// Those of one store.
    #[must_use]
    pub fn new(map: Arc<RevocationMap>, link: Arc<Link>, log: Arc<dyn RevocationLog>) -> Self {
        Self { map, link, log, unkept: Mutex::default() }
    }

    /// Sessions may live for `absolute` from now on; what ends them is kept for so long. Called at each load of the
    /// configuration.
    pub fn sessions_live(&self, absolute: Duration) {
        self.map.sessions_live(absolute);
    }

    /// Ends sessions: here at once, elsewhere and after a restart as soon as the log has it.
    ///
    /// # Errors
    /// When it may not outlive this process or reach other replicas. Whoever asked must ask again: a provider is
    /// answered with an error, a user sees that the sign-out did not work everywhere. Here they have ended nevertheless,
    /// and the log is told again.
    pub async fn revoke(&self, revoked: &Revoked, at: Moment) -> Result<(), StoreUnavailable> {
        let notice = self.notice(revoked, at);
        self.map.apply(&notice)?;
        self.keep(notice).await
    }

    /// Ends sessions on the word of anybody, about what nobody here knows: while there is room for such.
    ///
    /// # Errors
    /// When there is none, or it may not outlive this process.
    pub async fn revoke_by_anybody(&self, revoked: &Revoked, at: Moment) -> Result<(), StoreUnavailable> {
        let notice = Notice { by: By::Anybody, ..self.notice(revoked, at) };
        self.map.apply(&notice)?;
        self.log.revoke(notice, None).await.map(drop)
    }

    /// What is kept of a revocation.
    pub(super) fn notice(&self, revoked: &Revoked, at: Moment) -> Notice {
        revoked.notice(at, self.map.kept_until(at.secs()))
    }

    async fn keep(&self, notice: Notice) -> Result<(), StoreUnavailable> {
        let kept = self.log.revoke(notice, None).await;
        let mut unkept = self.unkept.lock();
        match &kept {
            Ok(_) => {
                if unkept.get(&notice.mark).is_some_and(|known| known.not_before <= notice.not_before) {
                    unkept.remove(&notice.mark);
                }
            }
            Err(_) => {
                let known = unkept.entry(notice.mark).or_insert(notice);
                if known.not_before < notice.not_before {
                    *known = notice;
                }
            }
        }
        kept.map(drop)
    }

    /// Tells the log what it has not taken yet, if there is anything: whoever asks a second time to be signed out, and the
    /// background once a second.
    ///
    /// # Errors
    /// When it does not take it now either.
    pub async fn keep_all(&self) -> Result<(), StoreUnavailable> {
        let now = Moment::now().secs();
        let unkept: Vec<Notice> = {
            let mut unkept = self.unkept.lock();
            unkept.retain(|_, notice| notice.until > now);
            unkept.values().copied().collect()
        };
        for notice in unkept {
            self.keep(notice).await?;
        }
        Ok(())
    }

    /// Ends sessions on the word of a token that counts once. [`Use::Again`]: it has been used, and ends nothing.
    ///
    /// # Errors
    /// When it cannot be known whether it has been used, or what it ends would not last. Nothing has ended then, and the
    /// token can be sent again.
    pub async fn revoke_once(
        &self,
        once: Once,
        revoked: &Revoked,
        at: Moment,
    ) -> Result<Use, StoreUnavailable> {
        self.log.revoke(self.notice(revoked, at), Some(once)).await
    }

    /// Whether a session still stands that was last looked up when [`version`](Self::version) was `seen`.
    #[must_use]
    pub fn standing(&self, marks: &SessionMarks, seen: Option<Version>) -> Standing {
        self.map.standing(marks, seen)
    }

    /// Whether everything is known here that has ended: not before the journal was read, which the process before this one
    /// may still write to.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.map.is_complete()
    }

    /// Waits until it is, but not longer than anybody waits for a store.
    pub(super) async fn completed(&self) {
        let end = Instant::now() + ANSWER_TIME;
        while !self.is_complete() && Instant::now() < end {
            sleep(COMPLETE_LOOK).await;
        }
    }

    /// Changes with every revocation. While it is the one of a session's last look-up, nothing need be looked up.
    #[must_use]
    pub fn version(&self) -> Version {
        self.map.version()
    }

    /// Whether what is remembered here may be relied on. One read of an atomic and of a coarse clock.
    #[must_use]
    pub fn trust(&self, stale_max: Duration) -> Trust {
        self.link.trust(stale_max)
    }

    /// Whether a token that counts once is used for the first time; from now on it is used.
    ///
    /// # Errors
    /// When that cannot be known: then it must be refused.
    pub async fn first_use(&self, once: Once) -> Result<Use, StoreUnavailable> {
        self.log.first_use(once).await
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
