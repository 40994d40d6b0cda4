//! What a help desk finds, from what a caller reads out: by `explain`, and over HTTP.

use std::fs;
use std::process::{Command, Output};

use portcullis::reference::Reference;
use serde_json::Value;

use crate::running::Running;
use crate::wire::{Answer, exchange};

const JSON: &str = "Accept: application/json\r\n";
const BROWSER: &str = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n";

fn explain(running: &Running, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("explain").args(arguments).arg("--config").arg(running.file("portcullis.toml"));
    command.output().unwrap()
}

fn said(running: &Running, arguments: &[&str]) -> String {
    let output = explain(running, arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn failure(running: &Running, arguments: &[&str]) -> String {
    let output = explain(running, arguments);
    assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    assert!(output.stdout.is_empty(), "nothing is told");
    String::from_utf8(output.stderr).unwrap()
}

fn log(running: &Running) -> String {
    fs::read_to_string(running.file("decisions.ndjson")).unwrap_or_default()
}

/// The id of a refused request, once its line is written.
fn refused(running: &Running, name: &str, path: &str, more: &str) -> String {
    let answer = running.ask(name, path, more);
    assert!(answer.status >= 400, "{}", answer.body);
    let id = answer.header("x-request-id").unwrap().to_owned();
    running.wait_for("the line to be written", |running| log(running).contains(&id));
    id
}

fn reference(id: &str) -> String {
    let number = u128::from_str_radix(&id.replace('-', ""), 16).unwrap();
    Reference::of(number).to_string()
}

#[test]
fn a_reference_read_out_over_the_telephone_leads_to_the_rule_and_to_what_would_help() {
    let running = Running::start();
    let id = refused(&running, "blocked-location", "/reports", BROWSER);
    let reference = reference(&id);
    let spoken = reference.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "i");
    let words: Vec<&str> = spoken.split(' ').collect();
    for arguments in [vec![reference.as_str()], words, vec![&reference[..6]], vec![id.as_str()]] {
        let account = said(&running, &arguments);
        for wanted in [
            reference.as_str(),
            id.as_str(),
            "Say to the caller\n  Your sign-in was successful, but “Internal wiki” cannot be opened from where you were.",
            "block-other-countries (Nobody from countries where we have no people): failure at ",
            "/policies/block-other-countries.toml:",
            "location matches: wants all, except allowed-countries, office-munich; saw address 192.0.2.10, country KP, in none",
            "it blocks",
            "The policies are the same as then.",
            "refused today too: 53003, blocked-location",
            "What would let this request in\n",
        ] {
            assert!(account.contains(wanted), "{arguments:?}: `{wanted}` is missing:\n{account}");
        }
        let sentence = account.split("Say to the caller\n").nth(1).unwrap().lines().next().unwrap();
        for secret in ["block-other", "office", "allowed", "KP", "192.0.2"] {
            assert!(!sentence.contains(secret), "the sentence names a rule: {sentence}");
        }
    }
    let json: Value = serde_json::from_str(&said(&running, &[&reference, "--format", "json"])).unwrap();
    let account = &json["found"][0];
    assert_eq!((account["reference"].as_str(), account["code"].as_u64()), (Some(&*reference), Some(53003)));
    let policy = &account["policies"][0];
    assert_eq!(
        (policy["id"].as_str(), policy["then"].as_str()),
        (Some("block-other-countries"), Some("failure"))
    );
    let location = policy["conditions"].as_array().unwrap().iter().find(|one| one["what"] == "location");
    assert_eq!(location.unwrap()["holds"], "yes");
}

#[test]
fn who_called_is_confirmed_or_not_and_the_other_refusals_of_the_same_person_are_listed() {
    let running = Running::start();
    let first = refused(&running, "blocked-location", "/one", BROWSER);
    let second = refused(&running, "blocked-location", "/two", JSON);
    let of = |user: &str| said(&running, &[&second, "--user", user]);
    let yes = of("ALICE");
    assert!(yes.contains("`ALICE` is who asked"), "{yes}");
    assert!(!yes.contains("no policy names a user with this hash"), "{yes}");
    let no = of("mallory");
    assert!(no.contains("`mallory` is not who asked") && no.contains("sha256:"), "{no}");
    let others = no.split("Other refusals of the same person or program\n").nth(1).unwrap();
    assert!(others.contains(&format!("{} wiki (53003, blocked-location)", reference(&first))), "{others}");
    assert!(!others.contains(&reference(&second)), "it is not among the others: {others}");
}

#[test]
fn every_page_is_in_the_log_and_of_programs_what_is_left_out_leads_to_the_line_that_stands_for_it() {
    let running = Running::start();
    let ids = |more: &str| -> Vec<String> {
        let ask = |number| running.ask("blocked-location", &format!("/{number}"), more);
        (0..40).map(|number| ask(number).header("x-request-id").unwrap().to_owned()).collect()
    };
    let (pages, answers) = (ids(BROWSER), ids(JSON));
    let last = refused(&running, "blocked-device", "/last", BROWSER);
    let log = log(&running);
    assert!(log.contains(&last));
    assert_eq!(pages.iter().filter(|id| !log.contains(*id)).count(), 0, "each page is logged");
    let left_out: Vec<&String> = answers.iter().filter(|id| !log.contains(*id)).collect();
    assert_eq!(left_out.len(), 28, "ten are written, then the 16th and the 32nd");
    for id in [left_out[0], left_out[14], left_out[27]] {
        for what in [id, &reference(id)] {
            let account = said(&running, &[what]);
            assert!(
                account.contains("blocked-location") && account.contains("block-other-countries"),
                "{account}"
            );
            assert!(what != id || account.contains(&format!("Request {id}, at ")), "{account}");
        }
    }
    // What programs were answered is no repetition to a person.
    let repeats = |id: &str| {
        let line = log.lines().find(|line| line.contains(id)).unwrap();
        serde_json::from_str::<Value>(line).unwrap()["repeats"].as_u64().unwrap()
    };
    assert_eq!((repeats(&pages[0]), repeats(&pages[39]), repeats(&answers[0])), (1, 40, 1));
}

#[test]
fn what_is_forged_foreign_or_unknown_tells_nothing_but_that() {
    let running = Running::start();
    let answer = running.ask("blocked-location", "/", JSON);
    let problem: Value = serde_json::from_str(&answer.body).unwrap();
    let code = problem["support"]["code"].as_str().unwrap();
    assert!(said(&running, &[code]).contains("block-other-countries"));
    let mut forged = code.to_owned();
    forged.replace_range(300..301, if &code[300..301] == "A" { "B" } else { "A" });
    let other = Running::start();
    for (running, what, expected) in [
        (&running, forged.as_str(), "altered"),
        (&other, code, "key that this configuration does not name"),
        (&running, "ZZZZ-ZZZZ", "no line of the log has this reference; searched "),
        (&running, "01937e2a-1b2c-7d3e-8f40-516273849999", "no line of the log has this request id"),
        (&running, "7K3U", "no `U`"),
        (&running, "7K", "4 are the least"),
        (&running, &"A".repeat(768), "no support code"),
    ] {
        let said = failure(running, &[what]);
        assert!(said.contains(expected), "{what}: {said}");
        for secret in ["alice", "wiki", "block-", "KP"] {
            assert!(!said.to_lowercase().contains(secret), "{what}: {said}");
        }
    }
}

#[test]
fn a_log_that_was_rotated_is_looked_through_too() {
    let running = Running::start();
    let id = refused(&running, "blocked-location", "/", BROWSER);
    fs::rename(running.file("decisions.ndjson"), running.file("decisions.ndjson.1")).unwrap();
    let later = refused(&running, "blocked-device", "/", BROWSER);
    assert!(!log(&running).contains(&id));
    for id in [&id, &later] {
        assert!(said(&running, &[&reference(id)]).contains(id.as_str()));
        assert!(said(&running, &[id]).contains(id.as_str()));
    }
    let said = failure(&running, &[&reference(&id), "--since", "2999-01-01T00:00:00Z"]);
    assert!(said.contains("older lines were not asked for"), "{said}");
}

#[test]
fn the_wrong_group_an_edited_rule_and_a_rule_that_locks_everybody_out_are_each_named() {
    let running = Running::start();
    let file = running.file("policies/hr-only.toml");
    let policy = |users: &str| {
        format!(
            "[[policy]]\nid = \"hr-only\"\nname = \"HR only\"\nusers = {users}\napps = {{ include = [\"all\"] }}\ngrant = \"block\"\n"
        )
    };
    assert_eq!(running.ask("allowed", "/", JSON).status, 200);
    fs::write(&file, policy("{ include = [\"all\"], exclude = [\"group:hr\"] }")).unwrap();
    running.wait_for("the edit to take effect", |running| running.ask("allowed", "/", JSON).status == 403);
    let id = refused(&running, "allowed", "/", BROWSER);
    let account = said(&running, &[&id]);
    // The wrong group: the rule, the group that it wants, and those that the user has.
    assert!(account.contains("hr-only (HR only): failure"), "{account}");
    assert!(account.contains("users matches: wants all, except group:hr; saw user "), "{account}");
    assert!(
        account.contains("Only an administrator") || account.contains("does not meet the criteria"),
        "{account}"
    );
    // The rule was changed since.
    fs::write(&file, policy("{ include = [\"group:hr\"] }")).unwrap();
    let account = said(&running, &[&id]);
    for wanted in [
        "The policies changed since this decision.",
        "The text of `hr-only` changed.",
        "its text changed since",
        "would be let in today",
    ] {
        assert!(account.contains(wanted), "`{wanted}` is missing:\n{account}");
    }
    fs::remove_file(&file).unwrap();
    let account = said(&running, &[&id]);
    assert!(account.contains("`hr-only` is no longer configured."), "{account}");
    // Everybody is refused.
    fs::write(&file, policy("{ include = [\"all\"] }")).unwrap();
    running.wait_for("everybody to be refused", |running| running.ask("allowed", "/", JSON).status == 403);
    let id = refused(&running, "allowed", "/", BROWSER);
    let account = said(&running, &[&id]);
    assert!(
        account.contains("No change avoids hr-only") || account.contains("No change on the user's side"),
        "{account}"
    );
}

#[test]
fn page_header_log_and_account_have_one_id() {
    let running = Running::start();
    let answer = running.ask("blocked-location", "/", BROWSER);
    let id = answer.header("x-request-id").unwrap();
    assert!(answer.body.contains(id), "{}", answer.body);
    running.wait_for("the line to be written", |running| log(running).contains(id));
    let by_id = said(&running, &[id]);
    assert_eq!(by_id, said(&running, &[&reference(id)]));
}

const TOKEN: &str = "5a1f0c7be2d94e60b3c8";

fn desk(running: &Running, method: &str, headers: &str, body: &str) -> Answer {
    let admin = &running.admin;
    let length = body.len();
    let head = format!(
        "{method} /help-desk HTTP/1.1\r\nHost: {admin}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n{headers}Connection: close\r\n\r\n{body}"
    );
    exchange(admin, head.as_bytes())
}

/// Gives the help desk its token.
fn open_desk(running: &Running) {
    let config = running.file("portcullis.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(running.file("desk.token"), format!("{TOKEN}\n")).unwrap();
    let text =
        text.replacen("[server]\n", "[server]\nhelp-desk = { token = { file = \"desk.token\" } }\n", 1);
    fs::write(config, text).unwrap();
    running.wait_for("the desk to open", |running| desk(running, "GET", "", "").status == 401);
}

#[test]
fn the_desk_is_shut_until_it_has_a_token_and_then_answers_whoever_has_it() {
    let running = Running::start();
    let id = refused(&running, "blocked-location", "/reports", BROWSER);
    let reference = reference(&id);
    assert_eq!(desk(&running, "GET", "", "").status, 404);
    assert_eq!(desk(&running, "POST", "", "what=x").status, 405);
    open_desk(&running);
    let ours = format!("Authorization: Bearer {TOKEN}\r\n");
    let form = desk(&running, "GET", &ours, "");
    assert_eq!(form.status, 200);
    assert!(form.body.contains("<label for=\"what\">") && !form.body.contains("<script"), "{}", form.body);
    let policy = form.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"),
        "{policy}"
    );

    let body = format!("what={}&user=alice", reference.to_lowercase());
    let page = desk(&running, "POST", &ours, &body);
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    for wanted in
        [&*reference, &id, "block-other-countries", "`alice` is who asked", "class=\"say\"", "office-munich"]
    {
        assert!(page.body.contains(wanted), "`{wanted}` is missing: {}", page.body);
    }
    let json = desk(&running, "POST", &format!("{ours}{JSON}"), &body);
    let json: Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!(json["found"][0]["requestId"], *id);
    assert!(json["found"][0]["since"].to_string().contains("Keys now: issuer "), "{json}");
    for (what, status) in [("ZZZZ-ZZZZ", 404), ("ZZ", 400), (&*"A".repeat(768), 404)] {
        let answer = desk(&running, "POST", &ours, &format!("what={what}"));
        assert_eq!(answer.status, status, "{what}");
        assert!(!answer.body.contains("block-other") && !answer.body.contains(what), "{}", answer.body);
    }
    assert_eq!(running.metric("portcullis_help_desk_lookups_total{result=\"found\"}"), 2.0);
    assert_eq!(running.metric("portcullis_help_desk_lookups_total{result=\"not-found\"}"), 3.0);
    // What a client sent stays text.
    let odd = refused(&running, "blocked-location", "/%3Cscript%3Ealert(1)%3C/script%3E", BROWSER);
    let page = desk(&running, "POST", &ours, &format!("what={odd}"));
    assert!(page.status == 200 && !page.body.contains("<script"), "{}", page.body);
}

#[test]
fn whoever_has_no_token_is_told_nothing_and_may_not_guess_often() {
    let running = Running::start();
    let id = refused(&running, "blocked-location", "/", BROWSER);
    open_desk(&running);
    let ours = format!("Authorization: Bearer {TOKEN}\r\n");
    let body = format!("what={id}");
    for foreign in ["Origin: https://evil.test\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        assert_eq!(desk(&running, "POST", &format!("{ours}{foreign}"), &body).status, 403, "{foreign}");
    }
    let own = format!("{ours}Origin: http://{}\r\nSec-Fetch-Site: same-origin\r\n", running.admin);
    assert_eq!(desk(&running, "POST", &own, &body).status, 200);
    let mut refusals = 0;
    let limited = (0..20).any(|number| {
        let answer = desk(&running, "POST", &format!("Authorization: Bearer wrong-{number}\r\n"), &body);
        assert!(!answer.body.contains("block-other") && !answer.body.contains(&id), "{}", answer.body);
        refusals += usize::from(answer.status == 401);
        answer.status == 429
    });
    assert!(limited && refusals <= 10, "{refusals} guesses");
    let answer = desk(&running, "POST", &ours, &body);
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, Some("60")),
        "nobody, until the minute is over"
    );
}

#[test]
fn while_a_policy_is_broken_what_the_log_says_is_told_and_nothing_is_compared() {
    let running = Running::start();
    let id = refused(&running, "blocked-location", "/reports", JSON);
    fs::write(running.file("policies/block-other-countries.toml"), "[[policy]\n").unwrap();
    let account = said(&running, &[&id]);
    for wanted in [
        "Shown to the user: error code 53003 (blocked-location)",
        "block-other-countries (not compared): failure\n",
        "192.0.2.10",
        "The configuration of today cannot be read, so nothing is compared with it: `portcullis check` says what is wrong.",
        // Which disclosure the policy asks for is not known.
        "it does not meet the criteria to open “Internal wiki”",
    ] {
        assert!(account.contains(wanted), "`{wanted}` is missing:\n{account}");
    }
    for untrue in [
        "no longer configured",
        "What would let",
        "not named by any policy",
        "the same as then",
        "changed since",
    ] {
        assert!(!account.contains(untrue), "`{untrue}`:\n{account}");
    }
}

#[test]
fn while_the_main_file_is_no_toml_what_the_log_says_is_told() {
    let running = Running::start();
    let id = refused(&running, "blocked-location", "/reports", JSON);
    let config = running.file("portcullis.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replacen("[[app]]\n", "[[app]]\nmaintenance = flase\n", 1)).unwrap();
    let log = running.file("decisions.ndjson");
    for arguments in [vec![id.as_str()], vec![id.as_str(), "--log", log.to_str().unwrap()]] {
        let output = explain(&running, &arguments);
        let (out, err) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(err.contains("flase"), "the fault is said: {err}");
        assert!(
            output.status.success() && out.contains("block-other-countries (not compared): failure"),
            "{out}{err}"
        );
    }
}

#[test]
fn a_request_for_no_app_is_told_as_one() {
    let running = Running::start();
    let head = "GET /x HTTP/1.1\r\nHost: unknown.example\r\nConnection: close\r\n\r\n";
    let answer = exchange(&running.proxy, head.as_bytes());
    let id = answer.header("x-request-id").unwrap().to_owned();
    running.wait_for("the line to be written", |running| log(running).contains(&id));
    let account = said(&running, &[&id]);
    for wanted in [
        "none: no app has this host and path",
        "unknown.example",
        "You were not signed in.",
        "because of `no-token`",
    ] {
        assert!(account.contains(wanted), "`{wanted}` is missing:\n{account}");
    }
    assert!(!account.contains("“the app”") && !account.contains("once more"), "{account}");
}
