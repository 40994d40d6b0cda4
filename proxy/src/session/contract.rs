//! What every store and every log must do, run against each of them.
//!
//! Those of Redis start `PORTCULLIS_TEST_REDIS` (the path of a `redis-server` or `valkey-server`) on a socket of their own,
//! and say that they are skipped where it is not set.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Moment, unix_now};
use crate::session::key::{Mark, OnceKey, StoreKey};
use crate::session::revocation::{
    By, Notice, Once, RevocationLog, RevocationMap, SessionMarks, Standing, Use, Version,
};
use crate::session::store::{Entry, Fence, Fenced, Seen, Store};

pub(super) const ISSUER: &str = "https://issuer.example";

pub(super) fn key(number: u32) -> StoreKey {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    StoreKey::of(&id)
}

/// A session that was signed in before everything that ends it here.
pub(super) fn entry(number: u32, sub: &str, sid: Option<&str>) -> Entry {
    let now = unix_now();
    let marks = SessionMarks::new(key(number), ISSUER, sub, sid, Moment::of_secs(now - 60));
    Entry { key: key(number), value: format!("sealed {number}").into_bytes(), expires_at: now + 3600, marks }
}

pub(super) fn of_subject(sub: &str) -> Notice {
    of(Mark::of_subject(ISSUER, sub))
}

fn of(mark: Mark) -> Notice {
    Notice { mark, not_before: Moment::now(), until: unix_now() + 3600, by: By::Known }
}

pub(super) fn once(jti: &str) -> Once {
    Once { key: OnceKey::of("logout", ISSUER, jti), until: unix_now() + 600 }
}

async fn value(store: &dyn Store, number: u32) -> Option<Vec<u8>> {
    store.get(key(number)).await.unwrap().map(|stored| stored.value)
}

/// How a session stands that was looked up at `seen`.
fn standing(map: &RevocationMap, session: &Entry, seen: Option<Version>) -> Standing {
    map.standing(&session.marks, seen)
}

/// What every log does.
pub(super) async fn log(log: &dyn RevocationLog, map: &RevocationMap) {
    assert_eq!(log.first_use(once("1")).await, Ok(Use::First));
    assert_eq!(log.first_use(once("1")).await, Ok(Use::Again), "a replay");
    assert_eq!(log.first_use(once("2")).await, Ok(Use::First));

    let alice = entry(1, "alice", None);
    assert_eq!(standing(map, &alice, None), Standing::Stands);
    assert_eq!(log.revoke(of_subject("alice"), Some(once("3"))).await, Ok(Use::First));
    assert_eq!(standing(map, &alice, None), Standing::Ended);

    let bob = entry(2, "bob", None);
    assert_eq!(log.revoke(of_subject("bob"), Some(once("3"))).await, Ok(Use::Again), "a replay");
    assert_eq!(standing(map, &bob, None), Standing::Stands, "it ends nothing");
    assert_eq!(log.revoke(of_subject("bob"), None).await, Ok(Use::First));
    assert_eq!(log.revoke(of_subject("bob"), None).await, Ok(Use::First), "no token, no replay");
    assert_eq!(standing(map, &bob, None), Standing::Ended);
}

/// What every store does.
pub(super) async fn store(store: &Arc<dyn Store>, map: &RevocationMap) {
    finds_what_it_keeps(&**store, map).await;
    notes_when_sessions_were_used(&**store).await;
    ends_all_of_a_mark(&**store, map).await;
    keeps_nothing_of_what_is_invented(&**store, map).await;
    locks_and_fences(&**store, map).await;
    lets_one_of_many_refresh(store).await;
}

async fn finds_what_it_keeps(store: &dyn Store, map: &RevocationMap) {
    assert_eq!(value(store, 10).await, None);
    let first = entry(10, "carol", Some("s"));
    store.put(first.clone(), None).await.unwrap();
    assert_eq!(value(store, 10).await.as_deref(), Some(b"sealed 10".as_slice()));
    // Any bytes.
    let odd = Entry { value: (0..=255).cycle().take(70_000).collect(), ..entry(11, "carol", None) };
    store.put(odd.clone(), None).await.unwrap();
    assert_eq!(value(store, 11).await, Some(odd.value));

    let seen = map.version();
    store.put(entry(12, "carol", Some("s")), Some(first.key)).await.unwrap();
    assert_eq!(value(store, 10).await, None, "another one stands in for it");
    assert_eq!(standing(map, &first, Some(seen)), Standing::Ended, "where it is remembered, too");
    assert!(value(store, 12).await.is_some());

    let seen = map.version();
    store.remove(key(12)).await.unwrap();
    assert_eq!(value(store, 12).await, None);
    assert_eq!(standing(map, &entry(12, "carol", Some("s")), Some(seen)), Standing::Ended);
    store.remove(key(13)).await.unwrap();

    let expired = Entry { expires_at: unix_now(), ..entry(14, "carol", None) };
    store.put(expired, None).await.unwrap();
    assert_eq!(value(store, 14).await, None, "its time is over");
}

async fn notes_when_sessions_were_used(store: &dyn Store) {
    let session = entry(20, "dave", None);
    store.put(session.clone(), None).await.unwrap();
    let seen_at = async || store.get(session.key).await.unwrap().unwrap().last_seen_at;
    let first = seen_at().await;
    let seen = |number, at| Seen { key: key(number), at, expires_at: session.expires_at };
    store.seen(vec![seen(21, first + 9), seen(20, first + 100)]).await.unwrap();
    assert_eq!(seen_at().await, first + 100);
    store.seen(vec![seen(20, first + 50)]).await.unwrap();
    assert_eq!(seen_at().await, first + 100, "a slower replica does not turn it back");
    assert_eq!(value(store, 21).await, None, "what is gone stays gone");
    assert_eq!(value(store, 20).await.as_deref(), Some(b"sealed 20".as_slice()));
    store.seen((0..1000).map(|number| seen(30_000 + number, 1)).collect()).await.unwrap();
    store.seen(Vec::new()).await.unwrap();
    // The index outlives it.
    store.revoke(of_subject("dave"), None).await.unwrap();
    assert_eq!(value(store, 20).await, None);
}

async fn ends_all_of_a_mark(store: &dyn Store, map: &RevocationMap) {
    for (number, sub, sid) in
        [(30, "erin", Some("1")), (31, "erin", Some("1")), (32, "erin", Some("2")), (33, "erin", None)]
    {
        store.put(entry(number, sub, sid), None).await.unwrap();
    }
    store.put(entry(34, "frank", Some("9")), None).await.unwrap();
    let alive = async || {
        let mut alive = BTreeSet::new();
        for number in 30..35 {
            if value(store, number).await.is_some() {
                alive.insert(number);
            }
        }
        alive
    };
    assert_eq!(alive().await.len(), 5);
    store.revoke(of(Mark::of_session(ISSUER, "1")), None).await.unwrap();
    assert_eq!(alive().await, BTreeSet::from([32, 33, 34]), "those of one session at the provider");
    assert_eq!(standing(map, &entry(30, "erin", Some("1")), None), Standing::Ended);
    store.revoke(of_subject("erin"), None).await.unwrap();
    assert_eq!(alive().await, BTreeSet::from([34]), "trap 24: all of a person");
    let again = entry(35, "erin", None);
    let again = Entry { marks: SessionMarks { signed_in: Moment::now(), ..again.marks }, ..again };
    store.put(again.clone(), None).await.unwrap();
    assert!(value(store, 35).await.is_some(), "who signs in again is signed in");
    assert_eq!(standing(map, &again, None), Standing::Stands);
}

async fn keeps_nothing_of_what_is_invented(store: &dyn Store, map: &RevocationMap) {
    let (kept, version) = (map.len(), map.version());
    for number in 0..100 {
        let invented = of(Mark::of_session(ISSUER, &format!("invented {number}")));
        assert_eq!(store.revoke_stored(invented).await, Ok(false));
    }
    assert_eq!((map.len(), map.version()), (kept, version), "strangers fill nothing");
    let (ends, stands) = (entry(60, "ivan", Some("there")), entry(61, "ivan", Some("elsewhere")));
    for session in [&ends, &stands] {
        store.put(session.clone(), None).await.unwrap();
    }
    assert_eq!(store.revoke_stored(of(Mark::of_session(ISSUER, "there"))).await, Ok(true));
    assert_eq!((value(store, 60).await, standing(map, &ends, None)), (None, Standing::Ended));
    assert_eq!(standing(map, &stands, None), Standing::Stands);
    assert!(value(store, 61).await.is_some());
    assert_eq!(store.revoke_stored(of(Mark::of_session(ISSUER, "there"))).await, Ok(false), "again");
}

async fn locks_and_fences(store: &dyn Store, map: &RevocationMap) {
    let long = Duration::from_secs(60);
    let session = entry(40, "grace", None);
    store.put(session.clone(), None).await.unwrap();
    let first = store.lock(session.key, long).await.unwrap().unwrap();
    assert_eq!(store.lock(session.key, long).await, Ok(None), "trap 19: one at a time");
    assert!(store.lock(key(41), long).await.unwrap().is_some(), "another session has a lock of its own");
    store.unlock(session.key, Fence(first.0 + 1000)).await.unwrap();
    assert_eq!(store.lock(session.key, long).await, Ok(None), "trap 20: only its holder gives it back");

    let seen = map.version();
    let renewed = |text: &str| Entry { value: text.as_bytes().to_vec(), ..session.clone() };
    assert_eq!(store.put_fenced(renewed("first"), first).await, Ok(Fenced::Stored));
    assert_eq!(value(store, 40).await.as_deref(), Some(b"first".as_slice()));
    assert_eq!(standing(map, &session, Some(seen)), Standing::LookAgain, "others look it up again");
    assert_eq!(store.lock(session.key, long).await, Ok(None), "to write gives no lock back");
    store.unlock(session.key, first).await.unwrap();

    // A holder that took too long.
    let slow = store.lock(session.key, Duration::from_millis(20)).await.unwrap().unwrap();
    let fast = loop {
        match store.lock(session.key, long).await.unwrap() {
            Some(fence) => break fence,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert!(first < slow && slow < fast);
    assert_eq!(store.put_fenced(renewed("fast"), fast).await, Ok(Fenced::Stored));
    assert_eq!(store.put_fenced(renewed("slow"), slow).await, Ok(Fenced::Superseded), "trap 19");
    assert_eq!(value(store, 40).await.as_deref(), Some(b"fast".as_slice()));
    store.unlock(session.key, slow).await.unwrap();
    assert_eq!(store.lock(session.key, long).await, Ok(None), "trap 20: the slow one gives nothing back");

    store.revoke(of_subject("grace"), None).await.unwrap();
    assert_eq!(store.put_fenced(renewed("late"), fast).await, Ok(Fenced::Gone), "no refresh brings it back");
    assert_eq!(value(store, 40).await, None);
}

async fn lets_one_of_many_refresh(store: &Arc<dyn Store>) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = Arc::clone(store);
        tasks.spawn(async move { store.lock(key(50), Duration::from_secs(60)).await.unwrap() });
    }
    let locks = tasks.join_all().await;
    assert_eq!(locks.into_iter().flatten().count(), 1, "trap 19: one exchange for fifty requests");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = Arc::clone(store);
        tasks.spawn(async move { store.revoke(of_subject("heidi"), Some(once("many"))).await.unwrap() });
    }
    let uses = tasks.join_all().await;
    assert_eq!(uses.into_iter().filter(|used| *used == Use::First).count(), 1, "one token, one use");
}
