//! What a newcomer sees in the first minute.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::browser::Browser;
use crate::running::Running;
use crate::wire::exchange;

#[test]
fn the_three_requests_of_the_demo_are_let_in_blocked_by_place_and_blocked_for_the_device() {
    let running = Running::start();
    let allowed = running.ask("allowed", "/", "");
    assert_eq!(allowed.status, 200, "{}", allowed.body);
    assert!(allowed.header("x-request-id").is_some());

    let json = "Accept: application/json\r\n";
    let place = running.ask("blocked-location", "/", json);
    assert_eq!(place.status, 403, "{}", place.body);
    let problem: serde_json::Value = serde_json::from_str(&place.body).unwrap();
    assert_eq!(problem["code"], 53003);
    assert_eq!(place.header("content-type"), Some("application/problem+json"));
    assert_eq!(place.header("cache-control"), Some("no-store"));
    assert_eq!(problem["request_id"].as_str(), place.header("x-request-id"));

    let device = running.ask("blocked-device", "/", json);
    assert_eq!(device.status, 403, "{}", device.body);
    let problem: serde_json::Value = serde_json::from_str(&device.body).unwrap();
    assert_eq!(problem["code"], 53000);

    for (name, (status, code)) in &running.answers {
        let answer = running.ask(name, "/", json);
        let found = serde_json::from_str::<serde_json::Value>(&answer.body)
            .ok()
            .and_then(|body| body["code"].as_u64());
        assert_eq!((answer.status, found), (*status, *code), "the label of {name}");
    }

    // What only the border knows is no page of the wiki within itself.
    let past = running.ask("allowed", "/demo/decision/0", "");
    assert_eq!(past.status, 404, "{}", past.body);
    assert!(past.body.contains("past the border") && !past.body.contains("Internal wiki"), "{}", past.body);
    assert!(past.body.contains("target=\"_top\""), "it leads on: {}", past.body);

    for (series, least) in [
        ("portcullis_requests_total{app=\"wiki\",outcome=\"granted\"}", 1.0),
        ("portcullis_requests_total{app=\"wiki\",outcome=\"denied\"}", 2.0),
    ] {
        running.wait_for(series, |running| running.metric(series) >= least);
    }
}

#[test]
fn a_browser_gets_a_page_that_says_what_it_saw_and_names_no_policy() {
    let running = Running::start();
    let page = running.ask("blocked-location", "/", "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n");
    assert_eq!(page.status, 403);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    for wanted in ["53003", "192.0.2.10", page.header("x-request-id").unwrap()] {
        assert!(page.body.contains(wanted), "`{wanted}` is missing:\n{}", page.body);
    }
    for secret in ["block-other-countries", "office-munich", "allowed-countries", "203.0.113"] {
        assert!(!page.body.contains(secret), "`{secret}` must not be shown");
    }
    assert!(page.body.len() < 16 * 1024);
}

#[test]
fn without_a_valid_token_every_caller_gets_the_same_401() {
    let running = Running::start();
    let ask = |more: &str| {
        let head =
            format!("GET / HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\n{more}\r\n", running.app_host);
        running.raw(head.as_bytes())
    };
    let near = ask("X-Forwarded-For: 203.0.113.10\r\n");
    let far = ask("X-Forwarded-For: 192.0.2.10\r\n");
    assert_eq!((near.status, far.status), (401, 401));
    assert!(near.header("www-authenticate").unwrap().starts_with("Bearer"));
    let without_ids = |body: &str| {
        let mut problem: serde_json::Value = serde_json::from_str(body).unwrap();
        for varying in ["instance", "reference", "request_id", "timestamp", "correlation_id"] {
            problem.as_object_mut().unwrap().remove(varying);
        }
        if let Some(support) = problem.get_mut("support") {
            *support = serde_json::Value::Null;
        }
        problem
    };
    assert_eq!(without_ids(&near.body), without_ids(&far.body));
    assert!(!near.body.contains("203.0.113.10") && !far.body.contains("wiki"));

    let forged = ask("Authorization: Bearer eyJhbGciOiJub25lIn0.e30.x\r\n");
    assert_eq!(forged.status, 401);
    assert!(forged.header("www-authenticate").unwrap().contains("invalid_token"));
}

/// Signs in at the demo's provider, and goes where that leads.
fn sign_in(browser: &mut Browser, at: &str, picked: &str) -> crate::browser::Page {
    let (url, query) = at.split_once('?').unwrap();
    let origin = url.strip_suffix("/authorize").unwrap();
    let back = browser.submit(url, &format!("Origin: {origin}\r\n"), &format!("{query}&{picked}"));
    assert_eq!(back.status(), 303, "{}", back.answer.body);
    browser.follow(&back.location())
}

#[test]
fn a_browser_signs_in_sees_the_wiki_and_why_and_is_refused_where_it_may_not_be() {
    let running = Running::start();
    let mut browser = Browser::default();
    let deep = format!("{}/deep/link?a=b", running.url);
    let asked = browser.follow(&deep);
    assert_eq!(asked.status(), 200, "{}", asked.answer.body);
    assert!(asked.answer.body.contains("Who are you today?"), "{}", asked.answer.body);

    let alice = "person=alice&method=password&device=compliant&place=office";
    let wiki = sign_in(&mut browser, &asked.url, alice);
    assert_eq!((wiki.status(), &wiki.url), (200, &deep));
    assert!(wiki.answer.body.contains("You are in, alice@example.com"), "{}", wiki.answer.body);
    assert!(!wiki.answer.body.contains("portcullis-session"), "{}", wiki.answer.body);
    let id = wiki.answer.header("x-request-id").unwrap();
    let why = browser.open(&format!("{}/demo/decision/{id}", running.url)).answer.body;
    for wanted in
        ["require-compliant-device</code></dt><dd>applied, and was satisfied", "would have asked for more"]
    {
        assert!(why.contains(wanted), "{wanted}: {why}");
    }

    let abroad = browser.follow(&format!("{}/demo/place/abroad", running.url));
    assert_eq!(abroad.status(), 403);
    assert!(
        abroad.answer.body.contains("53003") && abroad.answer.body.contains("192.0.2.10"),
        "{}",
        abroad.answer.body
    );
    let other = format!("{}/.portcullis/sign-in?return=/&prompt=select_account", running.url);
    assert!(
        abroad.answer.body.contains("/.portcullis/sign-in?return=/&amp;prompt=select_account"),
        "{}",
        abroad.answer.body
    );
    let asked = browser.follow(&other);
    assert!(asked.answer.body.contains("prompt=select_account"), "{}", asked.answer.body);
    let cancelled = sign_in(&mut browser, &asked.url, "cancel=yes");
    assert_eq!(cancelled.status(), 403);
    assert!(cancelled.answer.body.contains("The sign-in was not completed"), "{}", cancelled.answer.body);
    let asked = browser.follow(&other);
    let gina = sign_in(&mut browser, &asked.url, "person=gina&method=mfa&device=compliant&place=home");
    assert_eq!(gina.status(), 403);
    assert!(
        gina.answer.body.contains("50105") && gina.answer.body.contains("198.51.100.20"),
        "{}",
        gina.answer.body
    );
}

#[test]
fn trap_18_a_form_that_comes_without_a_session_is_in_no_page_and_is_not_sent() {
    let running = Running::start();
    let mut browser = Browser::default();
    let page =
        browser.submit(&format!("{}/edit", running.url), &format!("Origin: {}\r\n", running.url), "text=x");
    assert_eq!(page.status(), 401);
    assert!(
        page.answer.body.contains("Your form was not sent") && page.answer.body.contains("target=\"_blank\""),
        "{}",
        page.answer.body
    );
    assert_eq!(page.answer.header("www-authenticate"), Some("Bearer"));
    assert!(
        !page.answer.body.contains("<form") && !page.answer.body.contains("<input"),
        "{}",
        page.answer.body
    );
}

#[test]
fn trap_17_no_page_of_ours_comes_with_content_of_the_app() {
    let running = Running::start();
    let mut browser = Browser::default();
    let asked = browser.follow(&running.url);
    let abroad = sign_in(&mut browser, &asked.url, "person=alice&method=mfa&device=compliant&place=abroad");
    assert_eq!(abroad.status(), 403);
    let ours = [
        "/",
        "/.portcullis/me",
        "/.portcullis/sign-out",
        "/.portcullis/sign-in?return=//x",
        "/.portcullis/callback/demo",
    ];
    for path in ours {
        let page = browser.open(&format!("{}{path}", running.url));
        let length: usize = page.answer.header("content-length").unwrap().parse().unwrap();
        assert_eq!(page.answer.body.len(), length, "{path}");
        assert!(!page.answer.body.contains("What the app received"), "{path}: {}", page.answer.body);
    }
}

#[test]
fn the_demos_own_folder_is_removed_at_its_end_and_a_named_one_stays() {
    let home = tempfile::tempdir().unwrap();
    for (signal, named) in [("-INT", false), ("-TERM", false), ("-INT", true)] {
        let mut demo = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        demo.args(["demo", "--json", "--listen", "127.0.0.1:0"]).env("TMPDIR", home.path());
        if named {
            demo.arg("--dir").arg(home.path().join("named"));
        }
        let mut child = demo.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let started: serde_json::Value = serde_json::from_str(&line).unwrap();
        let folder = Path::new(started["config"].as_str().unwrap()).parent().unwrap().to_owned();
        assert!(folder.starts_with(home.path()) && folder.join("support.key").exists(), "{folder:?}");
        let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
        assert!(named || mode & 0o077 == 0, "{mode:o}");
        let admin = started["admin"].as_str().unwrap().trim_start_matches("http://").to_owned();
        let ready = format!("GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
        while TcpStream::connect(&admin).is_err() || exchange(&admin, ready.as_bytes()).status != 200 {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        assert!(child.wait().unwrap().success(), "{signal}");
        assert_eq!(folder.exists(), named, "{signal}");
    }
}
