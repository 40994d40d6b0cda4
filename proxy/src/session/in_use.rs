//! Sessions that are to be refreshed: those in use here, and what the store has of one.

use std::sync::Arc;

use super::find::opened;
use super::outage::StoreUnavailable;
use super::record::SessionRecord;
use super::remembered::Session;
use super::sessions::{Keeping, Sessions, entry};
use super::store::{Fence, Fenced};
use crate::seal::Seals;

impl Sessions {
    /// The remembered sessions that are not over and whose record `wants` to be looked at. Called from the background.
    pub(crate) fn in_use(&self, now: i64, wants: impl Fn(&SessionRecord) -> bool) -> Vec<Arc<Session>> {
        let all = self.remembered.iter().map(|(_, session)| session);
        all.filter(|session| now < session.record().ends_at && wants(session.record())).collect()
    }

    /// What the store has of a session now; `None` when it has ended.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn reread(
        &self,
        session: &Session,
        seals: &Seals,
    ) -> Result<Option<SessionRecord>, StoreUnavailable> {
        let Some(store) = self.store() else { return Ok(None) };
        let stored = store.get(session.key()).await?;
        Ok(stored.and_then(|stored| opened(&stored, session.record().id, seals)))
    }

    /// Writes a session that was refreshed under a lock. `None`: it could not be sealed, a fault of ours.
    ///
    /// # Errors
    /// When the store does not take it.
    pub(crate) async fn rewrite(
        &self,
        record: &SessionRecord,
        keeping: &Keeping<'_>,
        fence: Fence,
    ) -> Result<Option<Fenced>, StoreUnavailable> {
        let (Some(store), Some(entry)) = (self.store(), entry(record, keeping)) else { return Ok(None) };
        store.put_fenced(entry, fence).await.map(Some)
    }
}
