//! The journal in good and bad times.

use std::fs;
use std::time::Duration;

use super::*;
use crate::clock::Moment;
use crate::session::key::Mark;
use crate::session::outage::StoreFault;
use crate::session::revocation::{Records, SessionMarks, Standing};

struct Fixture {
    journal: Journal,
    map: Arc<RevocationMap>,
}

fn fixture(place: Option<&Path>) -> Fixture {
    let map = Arc::new(RevocationMap::new(Records::None));
    map.sessions_live(Duration::from_secs(3600));
    let journal = Journal::new(place.map(Path::to_owned), Arc::clone(&map), Arc::default()).unwrap();
    Fixture { journal, map }
}

async fn opened(place: &Path) -> Fixture {
    let fixture = fixture(Some(place));
    assert!(!fixture.map.is_complete(), "nobody is let in before it is known who signed out");
    fixture.journal.open().await.unwrap();
    assert!(fixture.map.is_complete());
    fixture
}

fn notice(sub: &str) -> Notice {
    let now = unix_now();
    let mark = Mark::of_subject("issuer", sub);
    Notice { mark, not_before: Moment::of_secs(now), until: now + 3600, by: By::Known }
}

fn once(jti: &str) -> Once {
    Once { key: OnceKey::of("logout", "issuer", jti), until: unix_now() + 600 }
}

fn has_ended(fixture: &Fixture, sub: &str) -> bool {
    let marks =
        SessionMarks::new(crate::session::key::StoreKey([0; 32]), "issuer", sub, None, Moment::of_secs(1));
    fixture.map.standing(&marks, None) == Standing::Ended
}

async fn closed(fixture: Fixture) {
    fixture.journal.release().await;
}

#[tokio::test]
async fn it_does_what_every_log_does_with_and_without_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("journal");
    for place in [Some(place.as_path()), None] {
        let Fixture { journal, map } = fixture(place);
        let early = journal.first_use(once("0")).await;
        assert_eq!(early.unwrap_err().fault, StoreFault::NotOpen, "trap 25: it refuses until it is open");
        journal.open().await.unwrap();
        crate::session::contract::log(&journal, &map).await;
    }
}

#[tokio::test]
async fn what_ended_has_ended_after_a_restart_and_what_was_used_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("journal");
    let before = opened(&place).await;
    before.journal.revoke(notice("alice"), Some(once("1"))).await.unwrap();
    before.journal.revoke(notice("bob"), None).await.unwrap();
    closed(before).await;
    let after = opened(&place).await;
    assert!(has_ended(&after, "alice") && has_ended(&after, "bob") && !has_ended(&after, "carol"));
    assert_eq!(after.journal.first_use(once("1")).await, Ok(Use::Again));
    assert_eq!(after.journal.first_use(once("2")).await, Ok(Use::First));
}

#[tokio::test]
async fn a_torn_last_record_is_removed_and_writing_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("journal");
    let before = opened(&place).await;
    before.journal.revoke(notice("alice"), None).await.unwrap();
    before.journal.revoke(notice("bob"), None).await.unwrap();
    closed(before).await;
    let bytes = fs::read(&place).unwrap();
    fs::write(&place, &bytes[..bytes.len() - 5]).unwrap();
    let after = opened(&place).await;
    assert!(has_ended(&after, "alice") && !has_ended(&after, "bob"));
    after.journal.revoke(notice("carol"), None).await.unwrap();
    closed(after).await;
    let last = opened(&place).await;
    assert!(has_ended(&last, "alice") && has_ended(&last, "carol"));
}

#[tokio::test]
async fn a_damaged_or_foreign_journal_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("journal");
    let before = opened(&place).await;
    for sub in ["alice", "bob", "carol"] {
        before.journal.revoke(notice(sub), None).await.unwrap();
    }
    closed(before).await;
    let mut bytes = fs::read(&place).unwrap();
    bytes[40] ^= 1;
    for bad in [bytes, b"something else".to_vec(), b"portcullis revocations 9\n".to_vec()] {
        fs::write(&place, &bad).unwrap();
        assert!(matches!(Journal::inspect(&place), Err(JournalProblem::Malformed(_))));
        let fixture = fixture(Some(&place));
        assert!(matches!(fixture.journal.open().await, Err(JournalProblem::Malformed(_))));
        let refused = fixture.journal.revoke(notice("dave"), None).await;
        assert_eq!(refused.unwrap_err().fault, StoreFault::NotOpen);
        assert_eq!(fs::read(&place).unwrap(), bad);
    }
}

#[tokio::test]
async fn one_process_has_it_until_it_leaves_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("journal");
    let former = opened(&place).await;
    former.journal.revoke(notice("alice"), None).await.unwrap();
    let next = fixture(Some(&place));
    Journal::inspect(&place).unwrap();
    assert!(matches!(next.journal.open().await, Err(JournalProblem::Held)));
    former.journal.release().await;
    let refused = former.journal.revoke(notice("bob"), None).await;
    assert_eq!(refused.unwrap_err().fault, StoreFault::HandedOver);
    next.journal.open().await.unwrap();
    assert!(has_ended(&next, "alice"));
}

#[tokio::test]
async fn it_is_written_anew_with_what_matters_and_stays_held() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("journal");
    let fixture = Arc::new(opened(&place).await);
    fixture.journal.revoke(notice("alice"), Some(once("1"))).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..IDLE_RECORDS + 10 {
        let fixture = Arc::clone(&fixture);
        tasks.spawn(async move { fixture.journal.revoke(notice("bob"), None).await });
        if tasks.len() == 200 {
            tasks.join_next().await.unwrap().unwrap().unwrap();
        }
    }
    assert!(tasks.join_all().await.into_iter().all(|answer| answer.is_ok()));
    let large = fs::metadata(&place).unwrap().len();
    fixture.journal.look_after(true);
    fixture.journal.revoke(notice("carol"), None).await.unwrap();
    let small = fs::metadata(&place).unwrap().len();
    assert!(small < 500 && large > 100_000, "{large} -> {small}");
    let other = self::fixture(Some(&place));
    assert!(matches!(other.journal.open().await, Err(JournalProblem::Held)));
    fixture.journal.release().await;
    let after = opened(&place).await;
    assert!(["alice", "bob", "carol"].iter().all(|sub| has_ended(&after, sub)));
    assert_eq!(after.journal.first_use(once("1")).await, Ok(Use::Again));
}

#[tokio::test]
async fn trap_25_what_cannot_be_written_is_refused_may_come_again_and_is_whole_when_the_disk_is() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("journal");
    let fixture = opened(&place).await;
    fixture.journal.revoke(notice("alice"), None).await.unwrap();
    // A device that is always full stands for the disk.
    fixture.journal.break_file().await;
    let refused = fixture.journal.revoke(notice("bob"), Some(once("1"))).await;
    assert_eq!(refused.unwrap_err().fault, StoreFault::Disk);
    assert!(!has_ended(&fixture, "bob"), "the token may come again, and ends them then");
    assert!(matches!(fixture.journal.health.condition(), Condition::Failing(_, StoreFault::Disk)));
    // The next one writes the file anew, where there is room.
    assert_eq!(fixture.journal.revoke(notice("bob"), Some(once("1"))).await, Ok(Use::First));
    assert_eq!(fixture.journal.health.condition(), Condition::Works);
    closed(fixture).await;
    let after = opened(&place).await;
    assert!(has_ended(&after, "alice") && has_ended(&after, "bob"));
}
