//! A refusal page waits, and is told when it may open its app.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::running::Running;
use crate::wire::Answer;

const NAVIGATES: &str =
    "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: none\r\nAccept: text/html\r\n";
const EVENTS: &str = "Accept: text/event-stream\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n";

/// The handle that a page holds; none where it does not wait.
fn handle(page: &Answer) -> Option<&str> {
    let marks = ["data-wait=\"", "/.portcullis/report?"];
    let after = marks.iter().find_map(|mark| page.body.split(mark).nth(1))?;
    after.split('"').next()
}

fn page(running: &Running, name: &str, path: &str) -> Answer {
    running.ask(name, path, NAVIGATES)
}

fn asked_target(handle: &str) -> String {
    format!("/.portcullis/wait?{handle}")
}

/// An open stream of events.
struct Events {
    socket: TcpStream,
    received: String,
}

impl Events {
    fn open(running: &Running, name: &str, handle: &str) -> Self {
        let mut socket = TcpStream::connect(&running.proxy).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut head = format!("GET {} HTTP/1.1\r\nHost: {}\r\n", asked_target(handle), running.app_host);
        for (name, value) in &running.requests[name] {
            if !name.eq_ignore_ascii_case("host") {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        socket.write_all(format!("{head}{EVENTS}\r\n").as_bytes()).unwrap();
        Self { socket, received: String::new() }
    }

    /// Reads until this text has come; `false` when the stream ends before.
    fn until(&mut self, text: &str) -> bool {
        let mut chunk = [0; 4096];
        while !self.received.contains(text) {
            match self.socket.read(&mut chunk) {
                Ok(0) | Err(_) => return false,
                Ok(count) => self.received.push_str(std::str::from_utf8(&chunk[..count]).unwrap()),
            }
        }
        true
    }

    /// What the stream has said when it ends, head and body.
    fn ended(mut self) -> (String, String) {
        assert!(!self.until("\u{0}"), "it goes on");
        let (head, body) = self.received.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }
}

fn let_other_countries_in(running: &Running) {
    let file = running.file("policies/block-other-countries.toml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("state = \"enabled\""), "{text}");
    fs::write(&file, text.replace("state = \"enabled\"", "state = \"disabled\"")).unwrap();
}

fn waiting(running: &Running) -> f64 {
    running.metric("portcullis_waiting_pages")
}

fn ended(running: &Running, cause: &str) -> f64 {
    running.metric(&format!("portcullis_waiting_ended_total{{cause=\"{cause}\"}}"))
}

#[test]
fn a_page_is_told_to_come_in_when_a_policy_is_edited() {
    let running = Running::start();
    let page = page(&running, "blocked-location", "/reports");
    assert_eq!(page.status, 403);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("connect-src 'self'"), "{policy}");
    let handle = handle(&page).unwrap();

    let mut events = Events::open(&running, "blocked-location", handle);
    assert!(events.until("data: still\n\n"), "{}", events.received);
    assert_eq!(waiting(&running), 1.0);
    let polled = running.ask("blocked-location", &asked_target(handle), "Sec-Fetch-Site: same-origin\r\n");
    assert_eq!(polled.status, 429, "one decision a second: {}", polled.head);
    let_other_countries_in(&running);
    assert!(events.until("data: come-in\n\n"), "{}", events.received);
    let (head, body) = events.ended();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for line in ["content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"] {
        assert!(head.contains(line), "{line} in {head}");
    }
    // Nothing but when to come again, and the answers.
    let told: Vec<_> = body.lines().filter(|line| !line.is_empty() && !line.starts_with("retry: ")).collect();
    assert_eq!(told.first().copied(), Some("data: still"));
    assert_eq!(told.last().copied(), Some("data: come-in"));
    assert!(told.iter().all(|line| ["data: still", "data: come-in"].contains(line)), "{body}");
    running.wait_for("the stream to be counted", |running| ended(running, "come-in") == 1.0);
    assert_eq!(waiting(&running), 0.0);
    running.wait_for("a poll to be answered", |running| {
        running.ask("blocked-location", &asked_target(handle), "").body == "come-in"
    });
}

#[test]
fn a_page_that_is_left_waits_no_more() {
    let running = Running::start();
    let page = page(&running, "blocked-location", "/");
    let mut events = Events::open(&running, "blocked-location", handle(&page).unwrap());
    assert!(events.until("data: still"), "{}", events.received);
    drop(events);
    running.wait_for("the place to be free", |running| waiting(running) == 0.0);
    assert_eq!(ended(&running, "client"), 1.0);
}

#[test]
fn only_pages_of_refusals_that_may_pass_wait() {
    let running = Running::start();
    assert!(handle(&page(&running, "blocked-location", "/")).is_some());
    let json = running.ask("blocked-location", "/", "Accept: application/json\r\n");
    assert_eq!(handle(&json), None, "{}", json.body);
    let stranger = format!("GET / HTTP/1.1\r\nHost: {}\r\n{NAVIGATES}\r\n", running.app_host);
    let stranger = running.raw(stranger.as_bytes());
    assert_eq!(handle(&stranger), None, "{}", stranger.head);
    assert!(!stranger.head.contains("connect-src"), "{}", stranger.head);
}

#[test]
fn a_process_that_ends_tells_its_pages_to_come_again() {
    let mut running = Running::start();
    let page = page(&running, "blocked-location", "/");
    let mut events = Events::open(&running, "blocked-location", handle(&page).unwrap());
    assert!(events.until("data: still"), "{}", events.received);
    let sent = std::process::Command::new("kill").args(["-TERM", &running.pid().to_string()]).status();
    assert!(sent.unwrap().success());
    let (_, body) = events.ended();
    let last = body.lines().rfind(|line| !line.is_empty()).unwrap();
    assert!(last.starts_with("retry: "), "{body}");
    assert!(running.ended());
}

#[test]
fn a_user_reports_a_refusal_and_the_log_says_of_which() {
    let running = Running::start();
    let page = page(&running, "blocked-location", "/reports");
    let refused = page.header("x-request-id").unwrap();
    let target = page.body.split("method=\"post\" action=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(target.starts_with("/.portcullis/report?"), "{target}");
    let report = |name: &str, more: &str| {
        let mut head =
            format!("POST {target} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n", running.app_host);
        for (name, value) in
            running.requests[name].iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host"))
        {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        running
            .raw(format!("{head}{NAVIGATES}{more}\r\n").replace("Site: none", "Site: same-origin").as_bytes())
    };
    // A browser sends `Origin: null` from a page that sends no referrer.
    let reported = report("blocked-location", "Origin: null\r\n");
    assert_eq!(reported.status, 200, "{}", reported.body);
    assert_ne!(reported.header("x-request-id"), Some(refused));
    let reference = page.body.split("class=\"ref\"").nth(1).unwrap();
    let reference = reference.split('>').nth(1).unwrap().split('<').next().unwrap();
    assert!(reported.body.contains(reference), "{reference} in {}", reported.body);
    let line = format!("\"reports\":\"{refused}\"");
    running.wait_for("the line of the report", |running| {
        fs::read_to_string(running.file("decisions.ndjson")).is_ok_and(|log| log.contains(&line))
    });
    assert_eq!(running.metric("portcullis_refusals_reported_total"), 1.0);
    // Six a minute are enough for anybody.
    let answers: Vec<u16> = (0..6).map(|_| report("blocked-location", "").status).collect();
    assert_eq!(answers, [200, 200, 200, 200, 200, 429]);
    assert_eq!(running.metric("portcullis_refusals_reported_total"), 6.0);
}
