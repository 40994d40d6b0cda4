//! Names against a real DNS server on loopback, whose answers change.

use std::net::IpAddr;

use super::*;

#[path = "../../../tests/it/name_server.rs"]
mod name_server;

use name_server::{NameServer, Question, Reply};

fn ips(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}

fn settings(server: &NameServer) -> Dns {
    Dns {
        servers: vec![server.address],
        timeout: Duration::from_millis(900),
        ttl_min: Duration::from_secs(2),
        ttl_max: Duration::from_secs(60),
        hold: Duration::from_secs(30),
    }
}

fn name(server: &NameServer) -> Name {
    Name::new("wiki.corp", &settings(server), Known::default(), Arc::default())
}

/// For how long the last answer counts, in whole seconds.
fn counts_secs(name: &Name) -> u64 {
    let due = name.known.lock().due.unwrap();
    (due - Instant::now() + Duration::from_millis(500)).as_secs()
}

fn last(name: &Name) -> LookupResult {
    name.last().unwrap().result
}

fn addresses(ttl: u32, addresses: &[&str]) -> impl Fn(&Question) -> Reply + Send + 'static {
    let addresses = ips(addresses);
    move |_| Reply::Addresses(ttl, addresses.clone())
}

#[tokio::test]
async fn all_addresses_count_for_their_time_and_change_with_the_answer() {
    let server = NameServer::start(addresses(10, &["127.0.0.9", "127.0.0.7", "127.0.0.9", "0.0.0.0"]));
    let name = name(&server);
    for (ttl, secs) in [(10, 10), (0, 2), (1, 2), (59, 59), (86_400, 60)] {
        server.answers(addresses(ttl, &["127.0.0.9", "127.0.0.7", "127.0.0.9", "0.0.0.0"]));
        name.look_up().await;
        assert_eq!(name.addresses(), ips(&["127.0.0.7", "127.0.0.9"]));
        assert_eq!((counts_secs(&name), last(&name)), (secs, LookupResult::Found), "{ttl}");
    }
    server.answers(addresses(10, &["127.0.0.8"]));
    name.look_up().await;
    assert_eq!(name.addresses(), ips(&["127.0.0.8"]));
    assert!(server.asked().iter().all(|asked| asked.name == "wiki.corp."), "{:?}", server.asked());
    assert!(server.asked().iter().any(|asked| asked.is_v6), "both families are asked for");
}

#[tokio::test]
async fn a_look_up_that_fails_keeps_the_addresses_and_is_counted() {
    let server = NameServer::start(addresses(10, &["127.0.0.7"]));
    let name = name(&server);
    name.look_up().await;
    for (reply, result) in [(Reply::Fails, LookupResult::Failed), (Reply::Silent, LookupResult::Timeout)] {
        server.answers(move |_| reply.clone());
        name.look_up().await;
        assert_eq!((name.addresses(), last(&name)), (ips(&["127.0.0.7"]), result));
        assert_eq!(counts_secs(&name), 2, "it is asked again soon");
    }
    let counts: Vec<u64> = name.results().map(|(_, count)| count).collect();
    assert_eq!(counts, [1, 0, 1, 1], "found, absent, timeout, failed");
    server.answers(addresses(10, &["127.0.0.8"]));
    name.look_up().await;
    assert_eq!((name.addresses(), last(&name)), (ips(&["127.0.0.8"]), LookupResult::Found));
}

#[tokio::test]
async fn a_name_that_is_gone_loses_its_addresses_when_that_has_been_said_for_long_enough() {
    for gone in [Reply::NoName, Reply::Addresses(10, Vec::new())] {
        let server = NameServer::start(addresses(10, &["127.0.0.7"]));
        let name = name(&server);
        name.look_up().await;
        let reply = gone.clone();
        server.answers(move |_| reply.clone());
        name.look_up().await;
        assert_eq!((name.addresses(), last(&name)), (ips(&["127.0.0.7"]), LookupResult::Absent), "{gone:?}");
        // As if half a minute had passed.
        name.known.lock().absent_since = Instant::now().checked_sub(Duration::from_secs(31));
        name.look_up().await;
        assert_eq!(name.addresses(), ips(&[]), "{gone:?}");
        // One that comes back in between begins anew.
        server.answers(addresses(10, &["127.0.0.7"]));
        name.look_up().await;
        server.answers(move |_| gone.clone());
        name.look_up().await;
        assert_eq!(name.addresses(), ips(&["127.0.0.7"]));
    }
}

#[tokio::test]
async fn long_answers_come_by_tcp_and_slow_ones_within_the_time() {
    let many: Vec<String> = (1..=100).map(|last| format!("127.0.1.{last}")).collect();
    let many = ips(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let reply = Reply::Addresses(10, many.clone());
    let server = NameServer::start(move |_| Reply::Truncated(Box::new(reply.clone())));
    let name = name(&server);
    name.look_up().await;
    assert_eq!(name.addresses(), many[..64], "as many as are used at most");
    assert!(server.asked().iter().any(|asked| asked.by_tcp));
    let slow = |millis: u64| {
        let reply = Reply::Addresses(10, ips(&["127.0.0.7"]));
        move |_: &Question| Reply::After(Duration::from_millis(millis), Box::new(reply.clone()))
    };
    server.answers(slow(150));
    name.look_up().await;
    assert_eq!((name.addresses(), last(&name)), (ips(&["127.0.0.7"]), LookupResult::Found));
    server.answers(slow(5_000));
    let began = Instant::now();
    name.look_up().await;
    assert_eq!((name.addresses(), last(&name)), (ips(&["127.0.0.7"]), LookupResult::Timeout));
    assert!(began.elapsed() < Duration::from_secs(3), "its own time is kept");
}

#[tokio::test]
async fn a_family_that_cannot_be_told_keeps_its_addresses_while_the_other_changes() {
    let mut known = Known::default();
    let settings = settings(&NameServer::start(addresses(10, &[])));
    let found = |address: &str| Family::Addresses(ips(&[address]), Duration::from_secs(10));
    let failed = Family::Failed(LookupResult::Failed, "server failure".into());
    let now = Instant::now();
    known.take(Answer { v4: found("10.0.0.1"), v6: found("fd00::1") }, &settings, now, 1);
    assert!(known.take(Answer { v4: found("10.0.0.2"), v6: failed.clone() }, &settings, now, 2));
    assert_eq!(known.addresses(), ips(&["10.0.0.2", "fd00::1"]));
    assert_eq!(known.last.as_ref().unwrap().result, LookupResult::Found);
    assert!(!known.take(Answer { v4: failed.clone(), v6: failed }, &settings, now, 3));
    assert!(known.take(Answer { v4: found("10.0.0.2"), v6: Family::Absent }, &settings, now, 4));
    assert_eq!(known.addresses(), ips(&["10.0.0.2"]), "it has none of that family any more");
}
