//! Replicas on one server, which is stopped, killed and cut off. `PORTCULLIS_TEST_REDIS` names the program of the server
//! (`redis-server`, `valkey-server`); without it these tests say that they are skipped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use ::redis::{Client, cmd};
use tokio::sync::watch;

use super::requests::RedisStore;
use super::{Target, follow, scripts};
use crate::session::contract::{self, entry, key, of_subject, once};
use crate::session::health::Condition;
use crate::session::outage::{Operation, StoreFault};
use crate::session::revocation::{Link, Records, RevocationMap, Standing, Trust, Use};
use crate::session::store::{Entry, Store};

const LOOK: Duration = Duration::from_millis(5);
const STALE_MAX: Duration = Duration::from_secs(300);

/// A server on a socket of its own; what it acknowledged outlives it.
struct Server {
    program: PathBuf,
    folder: TempDir,
    child: Mutex<Option<Child>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    async fn start() -> Option<Self> {
        let Some(program) = std::env::var_os("PORTCULLIS_TEST_REDIS") else {
            println!("skipped: PORTCULLIS_TEST_REDIS names no server");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let server = Self { program: program.into(), folder, child: Mutex::new(None) };
        server.run(&[]).await;
        Some(server)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    async fn run(&self, more: &[&str]) {
        let child = Command::new(&self.program)
            .args(["--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "always"])
            .args([Path::new("--unixsocket"), &self.socket(), Path::new("--dir"), self.folder.path()])
            .args(more)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        *self.child.lock().unwrap() = Some(child);
        let answers = || std::os::unix::net::UnixStream::connect(self.socket()).is_ok();
        while !answers() {
            sleep(LOOK).await;
        }
    }

    fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            self.signal_child(&child, Signal::CONT);
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn signal(&self, signal: Signal) {
        self.signal_child(self.child.lock().unwrap().as_ref().unwrap(), signal);
    }

    fn signal_child(&self, child: &Child, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    async fn command(&self, words: &[&str]) {
        let client = Client::open(format!("unix://{}", self.socket().display())).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = cmd(words[0]);
        command.arg(&words[1..]);
        let _: ::redis::Value = command.query_async(&mut connection).await.unwrap();
    }
}

/// A process that uses the server.
struct Replica {
    redis: Arc<RedisStore>,
    store: Arc<dyn Store>,
    follows: JoinHandle<()>,
    end: watch::Sender<bool>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.follows.abort();
    }
}

fn store(url: &str, password: Option<&str>) -> Arc<RedisStore> {
    let map = Arc::new(RevocationMap::new(Records::Stored));
    map.sessions_live(Duration::from_secs(3600));
    let target = Target { url, password, authorities: None };
    Arc::new(RedisStore::new(&target, map, Arc::new(Link::shared()), Arc::default()).unwrap())
}

fn replica(server: &Server) -> Replica {
    let redis = store(&format!("unix://{}", server.socket().display()), None);
    redis.open().unwrap();
    let (end, ending) = watch::channel(false);
    let follows = tokio::spawn({
        let redis = Arc::clone(&redis);
        async move { follow(&redis, ending).await }
    });
    Replica { store: Arc::clone(&redis) as _, redis, follows, end }
}

impl Replica {
    fn trust(&self) -> Trust {
        self.redis.link.trust(STALE_MAX)
    }

    async fn until_trust(&self, trust: Trust) {
        while self.trust() != trust {
            sleep(LOOK).await;
        }
    }

    async fn until_ended(&self, session: &Entry) {
        while self.redis.map.standing(&session.marks, None) != Standing::Ended {
            sleep(LOOK).await;
        }
    }
}

#[tokio::test]
async fn it_does_what_every_store_does() {
    let Some(server) = Server::start().await else { return };
    let one = replica(&server);
    contract::log(&*one.store, &one.redis.map).await;
    contract::store(&one.store, &one.redis.map).await;
    assert_eq!(one.redis.health.condition(), Condition::Works);
}

#[tokio::test]
async fn what_one_replica_ends_another_one_knows() {
    let Some(server) = Server::start().await else { return };
    let (one, other) = (replica(&server), replica(&server));
    assert_eq!(other.trust(), Trust::Expired, "before it has read what ended");
    other.until_trust(Trust::Current).await;
    let (alice, bob) = (entry(1, "alice", Some("s")), entry(2, "bob", None));
    one.store.put(alice.clone(), None).await.unwrap();
    one.store.put(bob.clone(), None).await.unwrap();
    assert!(other.store.get(alice.key).await.unwrap().is_some(), "they share sessions");
    let seen = other.redis.map.version();
    one.store.revoke(of_subject("alice"), Some(once("1"))).await.unwrap();
    other.until_ended(&alice).await;
    assert!(other.redis.map.version() > seen);
    assert_eq!(other.redis.map.standing(&bob.marks, Some(seen)), Standing::Stands);
    assert_eq!(other.store.get(alice.key).await, Ok(None));
    assert_eq!(other.store.first_use(once("1")).await, Ok(Use::Again), "they share what was used");
    one.store.remove(bob.key).await.unwrap();
    other.until_ended(&bob).await;
    // A process that starts later knows as much.
    let last = replica(&server);
    last.until_trust(Trust::Current).await;
    assert_eq!(last.redis.map.standing(&alice.marks, None), Standing::Ended);
}

#[tokio::test]
async fn trap_19_replicas_lock_each_other_out_and_look_up_what_another_one_refreshed() {
    let Some(server) = Server::start().await else { return };
    let (one, other) = (replica(&server), replica(&server));
    other.until_trust(Trust::Current).await;
    let session = entry(1, "alice", None);
    one.store.put(session.clone(), None).await.unwrap();
    let seen = other.redis.map.version();
    let fence = one.store.lock(session.key, Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(other.store.lock(session.key, Duration::from_secs(60)).await, Ok(None));
    one.store.put_fenced(Entry { value: b"renewed".to_vec(), ..session.clone() }, fence).await.unwrap();
    one.store.unlock(session.key, fence).await.unwrap();
    while other.redis.map.standing(&session.marks, Some(seen)) != Standing::LookAgain {
        sleep(LOOK).await;
    }
    assert_eq!(other.store.get(session.key).await.unwrap().unwrap().value, b"renewed");
    assert!(other.store.lock(session.key, Duration::from_secs(60)).await.unwrap() > Some(fence));
}

#[tokio::test]
async fn trap_32_a_server_that_is_killed_under_load_and_comes_again_never_says_that_there_is_no_session() {
    let Some(server) = Server::start().await else { return };
    let one = replica(&server);
    one.until_trust(Trust::Current).await;
    for number in 0..50 {
        one.store.put(entry(number, "alice", None), None).await.unwrap();
    }
    let (stop, stopped) = watch::channel(false);
    let mut load = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let (store, stopped) = (Arc::clone(&one.store), stopped.clone());
        load.spawn(async move {
            let (mut found, mut failed) = (0, 0);
            while !*stopped.borrow() {
                match store.get(key((worker * 7 + found) % 50)).await {
                    Ok(Some(_)) => found += 1,
                    Ok(None) => panic!("a session is there"),
                    Err(_) => {
                        failed += 1;
                        sleep(LOOK).await;
                    }
                }
            }
            (found, failed)
        });
    }
    for _ in 0..3 {
        sleep(Duration::from_millis(100)).await;
        server.kill();
        while one.store.get(key(1)).await.is_ok() {
            sleep(LOOK).await;
        }
        assert!(matches!(one.redis.health.condition(), Condition::Failing(..)));
        server.run(&[]).await;
        while one.store.get(key(1)).await.is_err() {
            sleep(LOOK).await;
        }
    }
    stop.send_replace(true);
    for (found, failed) in load.join_all().await {
        assert!(found > 0 && failed > 0, "{found} found, {failed} refused");
    }
}

#[tokio::test]
async fn a_server_that_is_silent_makes_memory_stale_and_one_that_speaks_again_makes_it_current() {
    let Some(server) = Server::start().await else { return };
    let (one, other) = (replica(&server), replica(&server));
    let session = entry(1, "alice", None);
    one.store.put(session.clone(), None).await.unwrap();
    other.until_trust(Trust::Current).await;
    server.signal(Signal::STOP);
    assert_eq!(one.store.get(session.key).await.unwrap_err().fault, StoreFault::Timeout);
    other.until_trust(Trust::Stale).await;
    assert_eq!(other.redis.link.trust(Duration::ZERO), Trust::Expired, "its bound");
    server.signal(Signal::CONT);
    while one.store.revoke(of_subject("alice"), None).await.is_err() {
        sleep(LOOK).await;
    }
    other.until_trust(Trust::Current).await;
    other.until_ended(&session).await;
}

#[tokio::test]
async fn a_subscription_that_breaks_misses_nothing() {
    let Some(server) = Server::start().await else { return };
    let (one, other) = (replica(&server), replica(&server));
    other.until_trust(Trust::Current).await;
    for number in 0..20 {
        server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
        let user = format!("user {number}");
        let session = entry(number, &user, None);
        while one.store.revoke(of_subject(&user), None).await.is_err() {
            sleep(LOOK).await;
        }
        other.until_ended(&session).await;
    }
    other.end.send_replace(true);
}

#[tokio::test]
async fn without_a_subscription_the_connection_of_requests_is_asked() {
    let Some(server) = Server::start().await else { return };
    let one = replica(&server);
    one.until_trust(Trust::Current).await;
    one.store.get(key(1)).await.unwrap();
    // As many clients as there are: nobody else comes in.
    let other = store(&format!("unix://{}", server.socket().display()), None);
    other.open().unwrap();
    other.get(key(1)).await.unwrap();
    server.command(&["CONFIG", "SET", "maxclients", "3"]).await;
    let (_end, ending) = watch::channel(false);
    let follows = tokio::spawn({
        let other = Arc::clone(&other);
        async move { follow(&other, ending).await }
    });
    for number in 0..3 {
        let user = format!("user {number}");
        let session = entry(number, &user, None);
        one.store.revoke(of_subject(&user), None).await.unwrap();
        while other.map.standing(&session.marks, None) != Standing::Ended {
            sleep(LOOK).await;
        }
    }
    assert_eq!(other.link.trust(STALE_MAX), Trust::Current);
    let failures = other.health.failures();
    assert!(failures.iter().any(|(operation, count)| *operation == Operation::Follow && *count > 0));
    follows.abort();
}

#[tokio::test]
async fn a_wrong_password_is_a_store_that_refuses() {
    let Some(server) = Server::start().await else { return };
    server.kill();
    server.run(&["--requirepass", "right and long"]).await;
    let url = format!("unix://{}", server.socket().display());
    for (password, fits) in [(None, false), (Some("wrong and long"), false), (Some("right and long"), true)] {
        let one = store(&url, password);
        one.open().unwrap();
        match one.get(key(1)).await {
            Ok(found) => assert!(fits && found.is_none()),
            Err(failure) => assert!(!fits && failure.fault == StoreFault::Refused, "{failure}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_takes_no_writes_refuses_them_and_still_finds_sessions() {
    let Some(server) = Server::start().await else { return };
    let one = replica(&server);
    one.store.put(entry(1, "alice", None), None).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let full = one.store.put(entry(2, "bob", None), None).await;
    assert_eq!(full.unwrap_err().fault, StoreFault::Refused);
    assert_eq!(one.store.first_use(once("1")).await.unwrap_err().fault, StoreFault::Refused, "trap 25");
    assert!(one.store.get(key(1)).await.unwrap().is_some());
    for sub in ["alice", "bob"] {
        one.store.revoke(of_subject(sub), None).await.unwrap();
        assert_eq!(one.redis.map.standing(&entry(3, sub, None).marks, None), Standing::Ended);
    }
    assert_eq!(one.store.get(key(1)).await, Ok(None), "to end sessions is never refused");
}

#[tokio::test]
async fn everything_stored_ends_by_itself() {
    let Some(server) = Server::start().await else { return };
    let one = replica(&server);
    one.store.put(entry(1, "alice", Some("s")), None).await.unwrap();
    one.store.revoke(of_subject("bob"), Some(once("1"))).await.unwrap();
    let fence = one.store.lock(key(1), Duration::from_secs(60)).await.unwrap().unwrap();
    one.store.put_fenced(entry(1, "alice", Some("s")), fence).await.unwrap();
    let mut connection = one.redis.connected().unwrap();
    let keys: Vec<String> = cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    let mut lasting = Vec::new();
    for key in &keys {
        assert!(key.starts_with(scripts::PREFIX), "{key}");
        let left: i64 = cmd("TTL").arg(key).query_async(&mut connection).await.unwrap();
        if left < 0 {
            lasting.push(key.as_str());
        }
    }
    lasting.sort_unstable();
    assert_eq!(
        lasting,
        ["portcullis:2:f", "portcullis:2:r"],
        "a number, and a stream that is trimmed: {keys:?}"
    );
    let named: Vec<_> = keys.iter().filter(|key| key.contains("alice") || key.contains("issuer")).collect();
    assert!(named.is_empty(), "{named:?}");
}
