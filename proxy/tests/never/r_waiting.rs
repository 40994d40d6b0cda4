//! R. Pages that wait: what `/.portcullis/wait` must never tell, and to whom.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::j_leaks::without_ids;
use crate::keys::{token, token_with};
use crate::wire::{Answer, exchange};
use crate::world::{HOST, POLICIES, Setup, World};

const NAVIGATES: &str =
    "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: none\r\nAccept: text/html\r\n";
const ASKS: &str = "Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\nAccept: */*\r\n";

fn head(method: &str, host: &str, target: &str, cookie: Option<&str>, lines: &str) -> Vec<u8> {
    let cookie = cookie.map(|token| format!("Cookie: session={token}\r\n")).unwrap_or_default();
    format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{cookie}{lines}\r\n").into_bytes()
}

/// The handle of the page that a user is shown at this path.
fn handle(world: &World, token: &str, path: &str) -> String {
    let page = exchange(&world.plain, &head("GET", HOST, path, Some(token), NAVIGATES));
    assert_eq!(page.status, 403, "{}", page.head);
    let handle = page.body.split("/.portcullis/report?").nth(1).and_then(|rest| rest.split('"').next());
    handle.unwrap_or_else(|| panic!("it does not wait: {}", page.body)).to_owned()
}

/// An answer without what differs between any two.
fn as_seen(answer: &Answer) -> (u16, String, Value) {
    (answer.status, without_stamps(&answer.head), without_ids(&answer.body))
}

fn without_stamps(text: &str) -> String {
    let stamps = ["x-request-id", "date", "content-length", "retry"];
    let is_stamp = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        stamps.iter().any(|stamp| stamp.eq_ignore_ascii_case(name))
    };
    text.lines().filter(|line| !is_stamp(line)).collect::<Vec<_>>().join("\n")
}

fn other_user() -> String {
    token_with(|claims| claims["sub"] = json!("bob"))
}

#[test]
fn a_handle_that_is_forged_lent_or_asked_for_otherwise_gets_what_no_path_gets() {
    let world = World::plain();
    let anna = token();
    let good = handle(&world, &anna, "/admin");
    let wait = |handle: &str| format!("/.portcullis/wait?{handle}");
    let report = |handle: &str| format!("/.portcullis/report?{handle}");
    let altered = {
        let mut bytes = good.clone().into_bytes();
        let middle = bytes.len() / 2;
        bytes[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let bob = other_user();
    let nowhere = |method: &str, host: &str, cookie: Option<&str>, lines: &str| {
        as_seen(&exchange(&world.plain, &head(method, host, "/.portcullis/none-such", cookie, lines)))
    };
    let foreign = "Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: cross-site\r\nAccept: */*\r\n";
    let events = "Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\nAccept: text/event-stream\r\n";
    for (what, method, host, target, cookie, lines) in [
        ("forged", "GET", HOST, wait("AAAA"), Some(&*anna), ASKS),
        ("none", "GET", HOST, wait(""), Some(&*anna), ASKS),
        ("altered", "GET", HOST, wait(&altered), Some(&*anna), ASKS),
        ("altered, as a stream", "GET", HOST, wait(&altered), Some(&*anna), events),
        ("lent", "GET", HOST, wait(&good), Some(&*bob), ASKS),
        ("lent, as a stream", "GET", HOST, wait(&good), Some(&*bob), events),
        ("of nobody", "GET", HOST, wait(&good), None, ASKS),
        ("of nobody, as a stream", "GET", HOST, wait(&good), None, events),
        ("of another site", "GET", HOST, wait(&good), Some(&*anna), foreign),
        ("sent", "POST", HOST, wait(&good), Some(&*anna), ASKS),
        ("in other letters", "GET", HOST, format!("/.Portcullis/wait?{good}"), Some(&*anna), ASKS),
        ("elsewhere", "GET", "nowhere.test", wait(&good), Some(&*anna), ASKS),
        ("a forged report", "POST", HOST, report("AAAA"), Some(&*anna), ASKS),
        ("another user's report", "POST", HOST, report(&good), Some(&*bob), ASKS),
        ("nobody's report", "POST", HOST, report(&good), None, ASKS),
        ("a report from another site", "POST", HOST, report(&good), Some(&*anna), foreign),
        ("a report that is read", "GET", HOST, report(&good), Some(&*anna), ASKS),
    ] {
        // The pace of one decision a second is no part of it.
        let asked = loop {
            let asked = exchange(&world.plain, &head(method, host, &target, cookie, lines));
            if asked.status != 429 {
                break asked;
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        assert_eq!(as_seen(&asked), nowhere(method, host, cookie, lines), "{what}");
    }
    assert_eq!(world.origin.hits(), 0);
    std::thread::sleep(Duration::from_millis(1_100));
    let asked = exchange(&world.plain, &head("GET", HOST, &wait(&good), Some(&anna), ASKS));
    assert_eq!((asked.status, &*asked.body), (200, "still"), "the counterpart");
}

/// Everything that a stream says until it has said "still" so often, without the numbers of `retry`.
fn said(world: &World, token: &str, handle: &str, times: usize) -> String {
    let mut socket = TcpStream::connect(&world.plain).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let events = "Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\nAccept: text/event-stream\r\n";
    socket
        .write_all(&head("GET", HOST, &format!("/.portcullis/wait?{handle}"), Some(token), events))
        .unwrap();
    let mut received = String::new();
    let mut chunk = [0; 4096];
    while received.matches("data: ").count() < times {
        let count = socket.read(&mut chunk).unwrap();
        assert_ne!(count, 0, "it ended: {received}");
        received.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
    }
    without_stamps(&received)
}

#[test]
fn policies_that_differ_send_the_same_bytes_while_they_refuse() {
    let block_all = "[[policy]]\nid = \"none\"\nusers = { include = [\"all\"] }\napps = { include = [\"all\"] }\ngrant = \"block\"\n";
    let worlds = [POLICIES.to_owned(), format!("{POLICIES}{block_all}")]
        .map(|policies| World::start(Setup { policies, ..Setup::default() }));
    let anna = token();
    let said = std::thread::scope(|scope| {
        let anna = &anna;
        let threads = worlds.each_ref().map(|world| {
            scope.spawn(move || {
                let handle = handle(world, anna, "/admin");
                // A reload that changes nothing for her shows nothing of itself.
                let file = world.file("policies.toml");
                let text = std::fs::read_to_string(&file).unwrap();
                std::fs::write(&file, format!("{text}\n# another remark\n")).unwrap();
                said(world, anna, &handle, 2)
            })
        });
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0].matches("data: still").count(), 2, "{}", said[0]);
}

#[test]
fn a_page_that_waits_counts_for_nothing_and_writes_nothing_down() {
    let world = World::plain();
    let anna = token();
    let handle = handle(&world, &anna, "/admin");
    let decisions = || world.metric("portcullis_waiting_decisions_total");
    let before = (world.log().lines().count(), results(&world));
    let _ = said(&world, &anna, &handle, 2);
    assert!(decisions() >= 2.0);
    // Refused once more, which is the second time, and not the fourth.
    let page = exchange(&world.plain, &head("GET", HOST, "/admin", Some(&anna), NAVIGATES));
    assert_eq!(page.status, 403);
    world.wait_for("the refusal to be logged", |world| world.log().contains("\"repeats\":2"));
    assert!(!world.log().contains("\"repeats\":3"), "{}", world.log());
    let of_admin = world.log().lines().filter(|line| line.contains("\"reason\":\"blocked\"")).count();
    assert!(of_admin <= 2, "{of_admin} of {} before", before.0);
    assert_eq!(results(&world) - before.1, 1.0, "one decision, of the page");
    assert_eq!(world.origin.hits(), 0);
}

fn results(world: &World) -> f64 {
    world.metric("portcullis_policy_results_total{policy=\"no-admin\",result=\"failure\"}")
}

#[test]
fn one_user_holds_few_streams_and_nobody_more_than_there_are() {
    let world = World::start(Setup {
        server: "limits = { failed-verifications = \"1000000/s\", waiting = 6 }",
        ..Setup::default()
    });
    let open = |token: &str| {
        let handle = handle(&world, token, "/admin");
        let mut socket = TcpStream::connect(&world.plain).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let lines = "Sec-Fetch-Site: same-origin\r\nAccept: text/event-stream\r\n";
        let target = format!("/.portcullis/wait?{handle}");
        socket.write_all(&head("GET", HOST, &target, Some(token), lines)).unwrap();
        let mut first = [0; 12];
        socket.read_exact(&mut first).unwrap();
        (socket, String::from_utf8(first.to_vec()).unwrap())
    };
    let anna = token();
    let mut streams: Vec<_> = (0..5).map(|_| open(&anna)).collect();
    assert!(streams.iter().all(|(_, first)| first == "HTTP/1.1 200"), "{streams:?}");
    // The first one ended for the fifth.
    let mut rest = String::new();
    streams[0].0.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("\nretry: 1"), "{rest}");
    let others: Vec<_> = ["bob", "carol"]
        .map(|name| open(&token_with(|claims| claims["sub"] = json!(name))))
        .into_iter()
        .collect();
    assert!(others.iter().all(|(_, first)| first == "HTTP/1.1 200"), "{others:?}");
    let (_, one_more) = open(&token_with(|claims| claims["sub"] = json!("dave")));
    assert_eq!(one_more, "HTTP/1.1 503", "six are there");
    assert_eq!(world.metric("portcullis_waiting_pages"), 6.0);
    assert_eq!(world.metric("portcullis_waiting_refused_total{cause=\"full\"}"), 1.0);
}
