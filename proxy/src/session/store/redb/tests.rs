//! The database file in good and bad times: killed, full, damaged, taken.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use ::redb::Database;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;
use crate::session::contract::{self, entry, key, of_subject, once};
use crate::session::health::Condition;
use crate::session::revocation::{Records, Standing};

struct Fixture {
    store: Arc<dyn Store>,
    redb: Arc<RedbStore>,
    map: Arc<RevocationMap>,
}

fn fixture(place: &Path) -> Fixture {
    let map = Arc::new(RevocationMap::new(Records::Stored));
    map.sessions_live(Duration::from_secs(3600));
    let redb = Arc::new(RedbStore::new(place.to_owned(), Arc::clone(&map), Arc::default()).unwrap());
    Fixture { store: Arc::clone(&redb) as _, redb, map }
}

async fn opened(place: &Path) -> Fixture {
    let fixture = fixture(place);
    fixture.redb.open().await.unwrap();
    fixture
}

#[tokio::test]
async fn it_does_what_every_store_does() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("sessions.redb");
    let fixture = opened(&place).await;
    contract::log(&*fixture.store, &fixture.map).await;
    contract::store(&fixture.store, &fixture.map).await;
    assert_eq!(fixture.redb.health.condition(), Condition::Works);
    let mode = std::fs::metadata(&place).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else reads it");
}

#[tokio::test]
async fn a_store_that_is_not_open_says_so_and_never_that_there_is_no_session() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = fixture(&folder.path().join("sessions.redb"));
    let fault = |answer: Result<Option<Stored>, StoreUnavailable>| answer.unwrap_err().fault;
    assert_eq!(fault(fixture.store.get(key(1)).await), StoreFault::NotOpen);
    assert_eq!(fixture.store.first_use(once("1")).await.unwrap_err().fault, StoreFault::NotOpen);
    assert!(matches!(fixture.redb.health.condition(), Condition::Failing(_, StoreFault::NotOpen)));
}

#[tokio::test]
async fn what_was_stored_and_ended_is_so_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("sessions.redb");
    let before = opened(&place).await;
    for number in 0..100 {
        before.store.put(entry(number, &format!("user {}", number % 2), None), None).await.unwrap();
    }
    let lock = before.store.lock(key(1), Duration::from_secs(3600)).await.unwrap().unwrap();
    before.store.revoke(of_subject("user 0"), Some(once("1"))).await.unwrap();
    drop(before);
    let after = loop {
        // The thread of the former one is about to end.
        let after = fixture(&place);
        match after.redb.open().await {
            Ok(()) => break after,
            Err(FileProblem::Held) => sleep(Duration::from_millis(5)).await,
            Err(problem) => panic!("{problem}"),
        }
    };
    for number in 0..100 {
        let found = after.store.get(key(number)).await.unwrap();
        assert_eq!(found.is_some(), number % 2 == 1, "{number}");
    }
    assert_eq!(after.map.standing(&entry(0, "user 0", None).marks, None), Standing::Ended);
    assert_eq!(after.store.first_use(once("1")).await, Ok(Use::Again));
    let next = after.store.lock(key(1), Duration::from_secs(1)).await.unwrap();
    assert!(next.is_some_and(|next| next > lock), "whoever held a lock is gone; fences go on");
}

#[tokio::test]
async fn the_file_of_another_process_is_not_opened_until_that_one_leaves_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("sessions.redb");
    let former = opened(&place).await;
    former.store.put(entry(1, "alice", None), None).await.unwrap();
    let lock = former.store.lock(key(1), Duration::from_secs(60)).await.unwrap().unwrap();
    let next = fixture(&place);
    assert!(matches!(next.redb.open().await, Err(FileProblem::Held)));
    assert!(next.store.get(key(1)).await.is_err());

    let leaving = tokio::spawn({
        let former = Arc::clone(&former.redb);
        async move { former.release().await }
    });
    tokio::task::yield_now().await;
    while former.store.lock(key(2), Duration::from_secs(60)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    // It waits for the exchange that is under way: what came of it would be lost.
    let renewed = Entry { value: b"renewed".to_vec(), ..entry(1, "alice", None) };
    assert_eq!(former.store.put_fenced(renewed, lock).await, Ok(Fenced::Stored));
    former.store.unlock(key(1), lock).await.unwrap();
    leaving.await.unwrap();
    assert!(former.store.get(key(1)).await.is_err());
    assert_eq!(former.store.remove(key(1)).await.unwrap_err().fault, StoreFault::HandedOver);
    former.redb.look_after(true);
    assert_eq!(
        former.store.revoke(of_subject("alice"), None).await.unwrap_err().fault,
        StoreFault::HandedOver
    );

    next.redb.open().await.unwrap();
    assert_eq!(next.store.get(key(1)).await.unwrap().unwrap().value, b"renewed");
}

#[tokio::test]
async fn a_file_of_another_kind_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("sessions.redb");
    std::fs::write(&place, "[server]\nlisten = \"127.0.0.1:8080\"\n").unwrap();
    assert!(matches!(RedbStore::inspect(&place), Err(FileProblem::Foreign(_))));
    assert!(matches!(fixture(&place).redb.open().await, Err(FileProblem::Foreign(_))));
    assert!(std::fs::read_to_string(&place).unwrap().starts_with("[server]"));

    let other = folder.path().join("other.redb");
    let database = Database::create(&other).unwrap();
    let writing = database.begin_write().unwrap();
    writing.open_table(::redb::TableDefinition::<u64, u64>::new("numbers")).unwrap().insert(1, 2).unwrap();
    writing.commit().unwrap();
    drop(database);
    let problem = fixture(&other).redb.open().await.unwrap_err();
    assert!(matches!(problem, FileProblem::Foreign("it is a database of another program")), "{problem}");

    let newer = folder.path().join("newer.redb");
    let database = Database::create(&newer).unwrap();
    let writing = database.begin_write().unwrap();
    writing
        .open_table(::redb::TableDefinition::<&str, u64>::new("meta"))
        .unwrap()
        .insert("format", 99)
        .unwrap();
    writing.commit().unwrap();
    drop(database);
    let problem = fixture(&newer).redb.open().await.unwrap_err();
    assert!(matches!(problem, FileProblem::Foreign("another version of Portcullis wrote it")), "{problem}");
}

#[tokio::test]
async fn a_damaged_file_is_refused_or_read_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("sessions.redb");
    let before = opened(&place).await;
    for number in 0..2000 {
        // Not waited for one by one: many in one commit.
        let _ = before.store.put(entry(number, "alice", None), None).await;
    }
    before.redb.release().await;
    let good = std::fs::read(&place).unwrap();
    let mut refused = 0;
    for part in 0..64 {
        let mut bad = good.clone();
        let at = (bad.len() * part / 64) & !7;
        bad[at..at + 8].iter_mut().for_each(|byte| *byte ^= 0x5a);
        let place = folder.path().join(format!("{part}.redb"));
        std::fs::write(&place, &bad).unwrap();
        let after = fixture(&place);
        match after.redb.open().await {
            Ok(()) => {
                let found = after.store.get(key(1)).await.unwrap();
                assert_eq!(found.unwrap().value, b"sealed 1", "damage at {at}");
            }
            Err(FileProblem::Damaged(_) | FileProblem::Foreign(_)) => refused += 1,
            Err(problem) => panic!("damage at {at}: {problem}"),
        }
    }
    assert!(refused > 0, "no damage was seen");
}

/// Runs a test of this file in a process of its own.
fn child(test: &str, place: &Path, limit_blocks: Option<u64>) -> Command {
    let mut command = Command::new("sh");
    let limit =
        limit_blocks.map(|blocks| format!("trap '' XFSZ; ulimit -S -f {blocks}; ")).unwrap_or_default();
    command
        .args(["-c", &format!("{limit}exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("session::store::redb::tests::{test}"), "--nocapture"])
        .env("PORTCULLIS_TEST_CHILD", place)
        .stdout(Stdio::piped());
    command
}

fn place_of_child() -> Option<PathBuf> {
    std::env::var_os("PORTCULLIS_TEST_CHILD").map(PathBuf::from)
}

#[test]
fn a_process_that_is_killed_while_it_writes_loses_nothing_that_it_was_answered_for() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("sessions.redb");
    let mut last = 0;
    for round in 1..=3 {
        let mut child = child("writes_until_it_is_killed", &place, None).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let numbers =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("stored ")?.parse().ok());
        let mut numbers = numbers.skip_while(move |number: &u32| *number <= last);
        last = numbers.nth(100 * round).expect("it writes");
        child.kill().unwrap();
        // What it wrote before it died.
        last = numbers.last().unwrap_or(last);
        child.wait().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let after = opened(&place).await;
            for number in 1..=last {
                let found = after.store.get(key(number)).await.unwrap();
                assert!(found.is_some(), "round {round}: {number} of {last} is gone");
            }
            after.redb.release().await;
        });
    }
}

/// The other process of the test above.
#[tokio::test]
async fn writes_until_it_is_killed() {
    let Some(place) = place_of_child() else { return };
    let fixture = opened(&place).await;
    let mut number = 1;
    while fixture.store.get(key(number)).await.unwrap().is_some() {
        number += 1;
    }
    loop {
        let next: Vec<u32> = (number..number + 8).collect();
        let puts = next.iter().map(|number| fixture.store.put(entry(*number, "alice", None), None));
        for (put, number) in puts.zip(&next) {
            put.await.unwrap();
            println!("stored {number}");
        }
        std::io::stdout().flush().unwrap();
        number += 8;
    }
}

#[test]
fn a_full_disk_refuses_what_is_new_keeps_what_was_and_works_again_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    // In units of 512 bytes.
    let output =
        child("writes_until_the_disk_is_full", &folder.path().join("sessions.redb"), Some(6000)).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("it was full"), "{said}");
}

/// The other process of the test above.
#[tokio::test]
async fn writes_until_the_disk_is_full() {
    let Some(place) = place_of_child() else { return };
    let fixture = opened(&place).await;
    let large = |number| Entry { value: vec![7; 20_000], ..entry(number, "alice", None) };
    let mut stored = 0;
    let failure = loop {
        match fixture.store.put(large(stored), None).await {
            Ok(()) => stored += 1,
            Err(failure) => break failure,
        }
    };
    assert!(stored > 10, "{stored}");
    assert_eq!(failure, StoreUnavailable { operation: Operation::Put, fault: StoreFault::Disk });
    println!("it was full after {stored}");
    // It is opened again; what was stored is there, and what was not is not.
    let answer = async |number| loop {
        fixture.redb.look_after(false);
        match fixture.store.get(key(number)).await {
            Ok(found) => break found,
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    };
    assert_eq!(answer(stored - 1).await.unwrap().value.len(), 20_000);
    assert_eq!(answer(stored).await, None);
    let limit = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: limit.maximum, ..limit }).unwrap();
    while fixture.store.put(large(stored), None).await.is_err() {
        sleep(Duration::from_millis(20)).await;
    }
    assert!(answer(stored).await.is_some());
    assert_eq!(fixture.redb.health.condition(), Condition::Works);
}

#[tokio::test]
async fn what_has_expired_is_dropped_and_its_place_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("sessions.redb");
    let fixture = opened(&place).await;
    let now = unix_now();
    let mut sizes = Vec::new();
    for round in 0..4_u32 {
        for number in 0..300 {
            let short = entry(round * 1000 + number, "alice", Some("s"));
            fixture.store.put(Entry { value: vec![1; 3000], ..short }, None).await.unwrap();
        }
        // As if their time were over.
        let batch =
            (0..300).map(|number| Seen { key: key(round * 1000 + number), at: now + 9, expires_at: now });
        fixture.store.seen(batch.collect()).await.unwrap();
        fixture.redb.look_after(true);
        fixture.store.put(entry(9999, "bob", None), None).await.unwrap();
        sizes.push(std::fs::metadata(&place).unwrap().len());
    }
    assert!(sizes[3] <= sizes[0], "the file does not grow: {sizes:?}");
    assert_eq!(fixture.store.get(key(1)).await, Ok(None));
}

/// Figures, where `PORTCULLIS_TEST_FIGURES` is set: what 100,000 sessions take on disk, and to open again.
#[tokio::test]
async fn figures_of_many_sessions() {
    if std::env::var_os("PORTCULLIS_TEST_FIGURES").is_none() {
        println!("skipped: PORTCULLIS_TEST_FIGURES is not set");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("sessions.redb");
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        status.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned()
    };
    let before = opened(&place).await;
    println!("before: {}", resident());
    let start = std::time::Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..100_000 {
        let store = Arc::clone(&before.store);
        let sized = Entry { value: vec![7; 1500], ..entry(number, &format!("user {number}"), Some("s")) };
        tasks.spawn(async move { store.put(sized, None).await });
        if tasks.len() == 250 {
            tasks.join_next().await.unwrap().unwrap().unwrap();
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }
    println!("100,000 sessions of 1,500 bytes stored in {:?}; {}", start.elapsed(), resident());
    let start = std::time::Instant::now();
    let now = unix_now();
    for numbers in (0..100_000).collect::<Vec<_>>().chunks(10_000) {
        let seen = |number: &u32| Seen { key: key(*number), at: now + 60, expires_at: now + 3600 };
        before.store.seen(numbers.iter().map(seen).collect()).await.unwrap();
    }
    println!("100,000 last-seen times in {:?}", start.elapsed());
    before.redb.release().await;
    let bytes = std::fs::metadata(&place).unwrap().len();
    let start = std::time::Instant::now();
    let after = opened(&place).await;
    println!("file of {} MiB opened and checked in {:?}; {}", bytes >> 20, start.elapsed(), resident());
    let start = std::time::Instant::now();
    for number in 0..10_000 {
        assert!(after.store.get(key(number * 7 % 100_000)).await.unwrap().is_some());
    }
    println!("10,000 look-ups one by one in {:?}; {}", start.elapsed(), resident());
}
