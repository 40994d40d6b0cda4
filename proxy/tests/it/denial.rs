//! What a refused person, program and help desk get from the real binary.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use crate::running::Running;

const JSON: &str = "Accept: application/json\r\n";
const BROWSER: &str = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n";

fn portcullis(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).output().unwrap()
}

fn explain(running: &Running, what: &str) -> String {
    let config = running.file("portcullis.toml");
    let output = portcullis(&["explain", what, "--config", config.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn problem(running: &Running, name: &str) -> Value {
    serde_json::from_str(&running.ask(name, "/reports", JSON).body).unwrap()
}

#[test]
fn a_support_code_explains_the_whole_decision_without_any_log() {
    let running = Running::start();
    let problem = problem(&running, "blocked-location");
    let code = problem["support"]["code"].as_str().unwrap();
    fs::remove_file(running.file("decisions.ndjson")).unwrap();
    let account = explain(&running, code);
    for wanted in [
        problem["request_id"].as_str().unwrap(),
        "error code 53003",
        "Internal wiki (wiki)",
        "GET /reports",
        "192.0.2.10",
        "KP",
        "block-other-countries (Nobody from countries where we have no people): failure",
        "location matches: wants all, except allowed-countries, office-munich; saw address 192.0.2.10, country KP, in none",
        "it blocks",
        "blocked-location",
        "The policies are the same as then.",
        "would be refused today too: 53003, blocked-location",
        "What would let this request in\n  ",
    ] {
        assert!(account.contains(wanted), "`{wanted}` is missing:\n{account}");
    }
}

#[test]
fn a_request_id_is_explained_from_the_log_with_the_policies_of_today() {
    let running = Running::start();
    let problem = problem(&running, "blocked-device");
    let id = problem["request_id"].as_str().unwrap();
    running.wait_for("the line to be written", |running| {
        fs::read_to_string(running.file("decisions.ndjson")).is_ok_and(|log| log.contains(id))
    });
    let account = explain(&running, id);
    for wanted in
        ["require-compliant-device", "asks for compliant-device: not met; saw ", "use a compliant device"]
    {
        assert!(account.contains(wanted), "`{wanted}` is missing:\n{account}");
    }
    fs::write(
        running.file("policies/require-compliant-device.toml"),
        fs::read_to_string(running.file("policies/require-compliant-device.toml"))
            .unwrap()
            .replace("state = \"enabled\"", "state = \"report-only\"")
            + "\n[[policy]]\nid = \"everybody\"\nusers = { include = [\"all\"] }\napps = { include = [\"all\"] }\n\
               session = { sign-in-frequency = \"90d\" }\n",
    )
    .unwrap();
    let account = explain(&running, id);
    assert!(account.contains("The policies changed since this decision."), "{account}");
    assert!(account.contains("would be let in today"), "{account}");

    let unknown = portcullis(&[
        "explain",
        "01937e2a-1b2c-7d3e-8f40-516273849999",
        "--config",
        running.file("portcullis.toml").to_str().unwrap(),
    ]);
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no line of the log has this request id"));
}

#[test]
fn the_log_names_people_by_a_hash_and_keeps_no_membership_that_no_policy_names() {
    let running = Running::start();
    let problem = problem(&running, "blocked-device");
    let id = problem["request_id"].as_str().unwrap();
    let line = || {
        let log = fs::read_to_string(running.file("decisions.ndjson")).unwrap_or_default();
        log.lines().find(|line| line.contains(id)).map(str::to_owned)
    };
    running.wait_for("the line to be written", |_| line().is_some());
    let entry: Value = serde_json::from_str(&line().unwrap()).unwrap();
    assert!(entry["userId"].as_str().unwrap().starts_with("sha256:"), "{entry}");
    assert_eq!(entry["facts"]["user"], entry["userId"]);
    assert_eq!(entry["facts"]["app"], "wiki");
    assert_eq!(entry["repeats"], 1);
    for group in entry["facts"]["groups"].as_array().unwrap() {
        assert!(["engineering", "sales"].contains(&group.as_str().unwrap()), "{entry}");
    }
}

#[test]
fn the_page_speaks_the_language_that_was_asked_for() {
    let running = Running::start();
    let ask = |path: &str, more: &str| running.ask("blocked-location", path, &format!("{BROWSER}{more}"));
    let page = ask("/", "Accept-Language: fi, ja-JP;q=0.9, de;q=0.5\r\n");
    assert_eq!(page.header("content-language"), Some("ja"));
    assert!(page.body.contains("<html lang=\"ja\" dir=\"ltr\">"), "{}", page.body);
    let page = ask("/?q=1&lang=ar", "Accept-Language: de\r\n");
    assert_eq!(page.header("content-language"), Some("ar"));
    assert!(page.body.contains("dir=\"rtl\""));
    assert!(page.body.len() < 16 * 1024, "{} bytes", page.body.len());
    assert!(page.body.contains("<a class=\"lang\" href=\"?q=1&amp;lang\">"), "{}", page.body);
}

#[test]
fn the_same_answer_to_a_program_again_and_again_is_thinned_in_the_log_and_a_page_is_not() {
    let running = Running::start();
    for _ in 0..40 {
        running.ask("blocked-location", "/", JSON);
    }
    for _ in 0..2 {
        // What programs were answered is no repetition to a person.
        let page = running.ask("blocked-location", "/", BROWSER).body;
        assert!(!page.contains("Refused more than 10 times"), "{page}");
    }
    let sampled = "portcullis_decision_log_entries_total{result=\"sampled\"}";
    // Of 40 the first ten are written, the 16th and the 32nd; and each page.
    running.wait_for("all to be counted", |running| running.metric(sampled) >= 28.0);
    assert_eq!(running.metric(sampled), 28.0);
    let denied = "portcullis_refusals_total{app=\"wiki\",reason=\"blocked-location\",code=\"53003\"}";
    assert_eq!(running.metric(denied), 42.0);
    let log = fs::read_to_string(running.file("decisions.ndjson")).unwrap();
    assert!(log.lines().count() <= 14, "{log}");
}

#[test]
fn head_grpc_and_htmx_get_what_they_can_read() {
    let running = Running::start();
    let token = running.token("blocked-location");
    let from = "X-Forwarded-For: 192.0.2.10\r\n";
    let send = |method: &str, more: &str| {
        let head = format!(
            "{method} / HTTP/1.1\r\nHost: {}\r\nAuthorization: {token}\r\n{from}{more}\r\n",
            running.app_host
        );
        running.raw(head.as_bytes())
    };
    let head = send("HEAD", JSON);
    assert_eq!((head.status, head.body.as_str()), (403, ""), "{}", head.head);
    assert!(head.header("proxy-status").unwrap().contains("details=\"53003\""));
    let grpc = send("POST", "Content-Type: application/grpc\r\nContent-Length: 0\r\n");
    assert_eq!((grpc.status, grpc.header("grpc-status")), (200, Some("7")), "{}", grpc.head);
    let htmx = send("GET", "HX-Request: true\r\n");
    assert_eq!(htmx.status, 403);
    assert!(htmx.header("content-type").unwrap().starts_with("text/html"));
    let socket = send(
        "GET",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    );
    assert_eq!(socket.header("content-type"), Some("application/problem+json"), "{}", socket.head);
}

#[test]
fn every_page_can_be_looked_at_before_a_user_meets_it() {
    let running = Running::start();
    let out = running.file("pages");
    let (config, folder) = (running.file("portcullis.toml"), out.to_str().unwrap().to_owned());
    let config = config.to_str().unwrap();
    let done = portcullis(&["page", "--config", config, "--lang", "de", "--out", &folder]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let page = fs::read_to_string(out.join("blocked-location-53003.de.standard.html")).unwrap();
    assert!(
        page.contains("lässt sich hier gerade nicht öffnen") && page.contains("„Internal wiki“"),
        "{page}"
    );
    let pages = fs::read_dir(&out).unwrap().count();
    assert!(pages > 90, "{pages}");
    assert!(!portcullis(&["page", "--config", config, "--code", "7", "--out", &folder]).status.success());
    assert!(!portcullis(&["page", "--config", config, "--lang", "xx", "--out", &folder]).status.success());
}

#[test]
fn a_sign_in_that_is_too_weak_and_too_old_is_challenged_with_what_the_policy_asks() {
    let running = Running::start();
    let main = running.file("portcullis.toml");
    fs::write(
        running.file("policies/step-up.toml"),
        r#"[[strength]]
name = "house"
combinations = [["fido"]]
acrs = ["urn:example:phr"]

[[policy]]
id = "step-up"
users = { include = ["all"] }
apps = { include = ["wiki"] }
grant = { controls = ["strength:house"] }
session = { sign-in-frequency = "10s" }
disclosure = "full"
message = "Use the key on your key ring."
"#,
    )
    .unwrap();
    assert!(portcullis(&["check", "--config", main.to_str().unwrap()]).status.success());
    running.wait_for("the edit to take effect", |running| running.ask("allowed", "/", JSON).status == 401);
    let answer = running.ask("allowed", "/", JSON);
    assert_eq!(
        answer.header("www-authenticate"),
        Some(
            "Bearer error=\"insufficient_user_authentication\", acr_values=\"urn:example:phr\", max_age=\"10\""
        )
    );
    let problem: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&problem["code"], &problem["resolution"]), (&50074.into(), &"reauthenticate".into()));
    assert_eq!(problem["messages"][0], "Use the key on your key ring.");
    // What is blocked as well is no challenge, and the policy that blocks says nothing of its own.
    let blocked = running.ask("blocked-location", "/", JSON);
    assert_eq!((blocked.status, blocked.header("www-authenticate")), (403, None));
}

#[test]
fn a_hashed_person_is_found_again_when_a_policy_names_the_person() {
    let running = Running::start();
    let problem = problem(&running, "blocked-location");
    let id = problem["request_id"].as_str().unwrap();
    running.wait_for("the line to be written", |running| {
        fs::read_to_string(running.file("decisions.ndjson")).is_ok_and(|log| log.contains(id))
    });
    assert!(explain(&running, id).contains("(not named by any policy)"));
    let file = running.file("policies/block-other-countries.toml");
    let text = fs::read_to_string(&file).unwrap();
    let spared = "users = { include = [\"all\"], exclude = [\"user:Alice\"] }";
    fs::write(&file, text.replace("users = { include = [\"all\"] }", spared)).unwrap();
    let account = explain(&running, id);
    assert!(account.contains("Person               Alice\n"), "{account}");
    assert!(account.contains("would be let in today"), "{account}");
}
