//! All sessions that this process remembers, and where the others are.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use portcullis_config::settings::SessionSettings;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::cookie::{CookieForm, VALUE_BYTES_MAX};
use super::key::{Mark, StoreKey};
use super::no_session::NoSession;
use super::outage::StoreUnavailable;
use super::record::{Lasting, SessionRecord};
use super::remembered::{Session, Use};
use super::revocation::{Cause, Revocations, Revoked, SessionMarks, Who};
use super::store::{Entry, Seen, Store};
use crate::clock::Moment;
use crate::seal::{Purpose, Seals};
use crate::token::{Fingerprint, Fingerprints, Verifier};

/// Sessions remembered at most, and the least that one counts as, in bytes.
const REMEMBERED_MAX: usize = 100_000;
const BYTES_MIN: u64 = 2048;
/// Answers of the store without a session that are kept at most.
const ANSWERS_MAX: usize = 4_096;
/// How long an answer counts that may change, in seconds: for requests that come together, and no longer.
const ANSWER_SECS: i64 = 2;
/// A cookie is renewed after a tenth of the idle time, and not more often than this, in seconds.
const RENEW_SECS_MIN: i64 = 30;
/// How much later than its idle time a stored session is dropped, in seconds: its use is written once a minute.
const STORED_SLACK_SECS: i64 = 120;

/// What a cookie is made with.
#[derive(Clone, Copy, Debug)]
pub struct Keeping<'r> {
    /// What seals it.
    pub seals: &'r Seals,
    /// How long sessions last.
    pub settings: &'r SessionSettings,
    /// How cookies are set on this host.
    pub form: CookieForm,
    /// What knows issuers.
    pub verifier: &'r Verifier,
    /// Unix seconds.
    pub now: i64,
}

/// Why a session was not opened: nobody is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// The store did not take it: temporary.
    #[error(transparent)]
    Unavailable(#[from] StoreUnavailable),
    /// It does not fit into a cookie: the user is in many groups, and the session needs a store, or the provider is to
    /// send fewer claims.
    #[error("the session has {bytes} bytes and a cookie takes {VALUE_BYTES_MAX}; give `[session]` a `store`")]
    TooLarge {
        /// How large it is, sealed.
        bytes: usize,
    },
    /// It could not be sealed, or its issuer is not configured: a fault of ours.
    #[error("the session could not be sealed")]
    Unsealable,
}

/// Why the store gave no session.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answered {
    /// It has none that may be used.
    None(NoSession),
    /// It did not answer.
    Unavailable,
}

/// All sessions. They outlive reloads.
pub struct Sessions {
    store: Option<Arc<dyn Store>>,
    revocations: Arc<Revocations>,
    pub(super) fingerprints: Fingerprints,
    pub(super) remembered: Cache<Fingerprint, Arc<Session>, ByBytes>,
    uses: Cache<StoreKey, Arc<Use>>,
    answers: Cache<StoreKey, (i64, Answered)>,
    /// The sessions at providers on which sessions rest that were seen here. Where a store has sessions, it knows.
    known: Cache<Mark, ()>,
}

#[derive(Clone, Debug)]
pub(super) struct ByBytes;

impl Weighter<Fingerprint, Arc<Session>> for ByBytes {
    fn weight(&self, _: &Fingerprint, session: &Arc<Session>) -> u64 {
        (session.bytes() as u64).max(BYTES_MIN)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("remembered", &self.remembered.len()).finish_non_exhaustive()
    }
}

impl Sessions {
    /// None remembered yet. Without a store, sessions are in cookies.
    #[must_use]
    pub fn new(store: Option<Arc<dyn Store>>, revocations: Arc<Revocations>) -> Self {
        let bytes = (REMEMBERED_MAX as u64).saturating_mul(BYTES_MIN);
        Self {
            store,
            revocations,
            fingerprints: Fingerprints::new(),
            remembered: Cache::with_weighter(REMEMBERED_MAX, bytes, ByBytes),
            uses: Cache::new(REMEMBERED_MAX),
            answers: Cache::new(ANSWERS_MAX),
            known: Cache::new(REMEMBERED_MAX),
        }
    }

    /// Where sessions are; `None` where they are in cookies.
    #[must_use]
    pub fn store(&self) -> Option<&Arc<dyn Store>> {
        self.store.as_ref()
    }

    /// What has ended.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.remembered.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Opens a session after a sign-in. The one that it replaces, of the same browser, is dead from then on.
    ///
    /// # Errors
    /// When it was not opened; see [`NotOpened`].
    pub async fn open(
        &self,
        record: &SessionRecord,
        replaced: Option<&Session>,
        keeping: &Keeping<'_>,
    ) -> Result<HeaderValue, NotOpened> {
        let cookie = self.cookie(record, keeping)?;
        match &self.store {
            Some(store) => {
                let entry = entry(record, keeping).ok_or(NotOpened::Unsealable)?;
                store.put(entry, replaced.map(Session::key)).await?;
            }
            None => {
                let iss = keeping.verifier.iss_of(record.claims.issuer()).ok_or(NotOpened::Unsealable)?;
                self.know(&marks(record, iss));
                if let Some(replaced) = replaced {
                    self.end(replaced.key(), Cause::Replaced).await?;
                }
            }
        }
        Ok(cookie)
    }

    /// Ends a session, everywhere.
    ///
    /// # Errors
    /// When it may live on elsewhere, or after a restart; here it has ended nevertheless.
    pub async fn close(&self, session: &Session) -> Result<(), StoreUnavailable> {
        match &self.store {
            Some(store) => store.remove(session.key()).await,
            None => self.end(session.key(), Cause::SignOut).await,
        }
    }

    async fn end(&self, key: StoreKey, cause: Cause) -> Result<(), StoreUnavailable> {
        let revoked = Revoked { who: Who::Here(key), cause };
        self.revocations.revoke(&revoked, Moment::now()).await
    }

    /// Whether sessions are known of which somebody says that they have ended; then [`end_named`](Self::end_named) is
    /// no guess. `None`: the store knows, and is asked there.
    pub fn knows(&self, revoked: &Revoked) -> Option<bool> {
        let mark = self.revocations.notice(revoked, Moment::FIRST).mark;
        self.store.is_none().then(|| self.known.get(&mark).is_some())
    }

    /// Ends sessions on the word of anybody, who may have invented it. What names no session that is known is kept by no
    /// store; where sessions are in cookies alone, one may be of before this process, and it is kept while there is room
    /// for such. Whether it named any that is known.
    ///
    /// # Errors
    /// As [`Revocations::revoke`].
    pub async fn end_named(&self, revoked: &Revoked) -> Result<bool, StoreUnavailable> {
        let (revocations, at) = (&self.revocations, Moment::now());
        match (&self.store, self.knows(revoked)) {
            (Some(store), _) => store.revoke_stored(revocations.notice(revoked, at)).await,
            (None, Some(true)) => revocations.revoke(revoked, at).await.map(|()| true),
            (None, _) => revocations.revoke_by_anybody(revoked, at).await.map(|()| false),
        }
    }

    /// Takes note that a session is of ours.
    pub(super) fn know(&self, marks: &SessionMarks) {
        if let (None, Some(mark)) = (&self.store, marks.session) {
            self.known.insert(mark, ());
        }
    }

    /// Keeps what the store said of a session that it does not have.
    pub(super) fn keep_answer(&self, key: StoreKey, answer: Answered, now: i64) {
        self.answers.insert(key, (now, answer));
    }

    /// What the store said of a session that it does not have.
    pub(super) fn answer_of(&self, key: StoreKey, now: i64) -> Option<Answered> {
        let (at, answer) = self.answers.get(&key)?;
        let is_final = matches!(answer, Answered::None(why) if why.is_final());
        let is_fresh = (0..=ANSWER_SECS).contains(&now.saturating_sub(at));
        (is_final || is_fresh).then_some(answer)
    }

    /// The one note of a session's use.
    pub(super) fn use_of(&self, key: StoreKey) -> Arc<Use> {
        let made = self.uses.get_or_insert_with(&key, || Ok::<_, std::convert::Infallible>(Arc::default()));
        match made {
            Ok(known) => known,
        }
    }

    /// The cookie of a session that was used by a request which was let in, if it is to be set anew: because it says
    /// when the session was used, or because the browser is to keep it otherwise than it does. `lasting`: as policies
    /// ask; `None` leaves it as it is.
    pub fn renewed(
        &self,
        session: &Session,
        lasting: Option<Lasting>,
        keeping: &Keeping<'_>,
    ) -> Option<HeaderValue> {
        let record = session.record();
        let present = session.use_.lasting(record.lasting);
        let lasting = lasting.unwrap_or(present);
        let pause = renew_after_secs(keeping.settings);
        let is_old = self.store.is_none() && keeping.now.saturating_sub(record.last_seen_at) >= pause;
        if !(is_old || lasting != present) || !session.use_.takes_renewal(keeping.now, RENEW_SECS_MIN) {
            return None;
        }
        let record = SessionRecord { last_seen_at: keeping.now, lasting, ..record.clone() };
        session.use_.set_lasting(lasting);
        self.cookie(&record, keeping).ok()
    }

    /// The cookie of a session.
    fn cookie(&self, record: &SessionRecord, keeping: &Keeping<'_>) -> Result<HeaderValue, NotOpened> {
        let sealed = match &self.store {
            Some(_) => keeping.seals.seal(Purpose::SessionId, record.id.bytes()),
            None => {
                let bytes = record.to_bytes().ok_or(NotOpened::Unsealable)?;
                keeping.seals.seal(Purpose::Session, &bytes)
            }
        };
        let value = sealed.ok_or(NotOpened::Unsealable)?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(NotOpened::TooLarge { bytes: value.len() });
        }
        let left = record.ends_at.saturating_sub(keeping.now).max(0);
        let life = match record.lasting {
            Lasting::BrowserSession => None,
            Lasting::UntilItEnds => Some(Duration::from_secs(left.unsigned_abs())),
        };
        keeping.form.set(keeping.form.session_name(), &value, life).ok_or(NotOpened::Unsealable)
    }

    /// Tells the store which sessions were used since it was told last. Called from the background, once a minute.
    ///
    /// # Errors
    /// When it does not answer; the next call tells it what is still known.
    pub async fn flush_uses(&self, settings: &SessionSettings) -> Result<(), StoreUnavailable> {
        let Some(store) = &self.store else { return Ok(()) };
        let mut seen = Vec::new();
        for (_, session) in self.remembered.iter() {
            if let Some(at) = session.use_.take_unflushed() {
                seen.push(Seen {
                    key: session.key(),
                    at,
                    expires_at: expires_at(session.record(), at, settings),
                });
            }
        }
        if seen.is_empty() { Ok(()) } else { store.seen(seen).await }
    }

    /// Forgets sessions that are over, and cookies that were renewed since. Called from the background.
    pub fn sweep(&self, settings: &SessionSettings, now: i64) {
        for (at, session) in self.remembered.iter() {
            let record = session.record();
            let is_over =
                now >= record.ends_at || now >= session.seen_at().saturating_add(secs(settings.idle));
            let is_renewed = self.store.is_none()
                && now >= record.last_seen_at.saturating_add(2 * renew_after_secs(settings));
            if is_over || is_renewed {
                self.remembered.remove_if(&at, |known| Arc::ptr_eq(known, &session));
            }
        }
    }
}

/// How old what a cookie says of its use may be, in seconds, before it is renewed.
fn renew_after_secs(settings: &SessionSettings) -> i64 {
    (secs(settings.idle) / 10).max(RENEW_SECS_MIN)
}

/// When a session that was seen at this time may be dropped.
fn expires_at(record: &SessionRecord, seen_at: i64, settings: &SessionSettings) -> i64 {
    record.ends_at.min(seen_at.saturating_add(secs(settings.idle)).saturating_add(STORED_SLACK_SECS))
}

/// A session as a store keeps it; `None` is a fault of ours.
pub(super) fn entry(record: &SessionRecord, keeping: &Keeping<'_>) -> Option<Entry> {
    let value = keeping.seals.seal(Purpose::StoredSession, &record.to_bytes()?)?.into_bytes();
    let iss = keeping.verifier.iss_of(record.claims.issuer())?;
    let key = record.id.key();
    Some(Entry {
        key,
        value,
        expires_at: expires_at(record, record.last_seen_at, keeping.settings),
        marks: marks(record, iss),
    })
}

fn marks(record: &SessionRecord, iss: &str) -> SessionMarks {
    SessionMarks::new(record.id.key(), iss, &record.sub, record.sid.as_deref(), record.signed_in)
}

pub(super) fn secs(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}
