//! The shapes of errors that single programs read.

use portcullis_config::settings::{Clients, Disclosure};
use serde_json::{Value, json};

use super::json as parsed;
use super::{BLOCKED, denials, every_refusal, facts, header, render};
use crate::denial::forms::{Program, program_of};
use crate::denial::{Answer, RequestHints};
use crate::refusal::Refusal;

fn asked(agent: &str, refusal: &Refusal) -> Answer {
    let hints = RequestHints { method: "GET", user_agent: Some(agent.as_bytes()), ..RequestHints::EMPTY };
    render(&denials(), refusal, &facts(), &hints, Disclosure::Standard)
}

const AGENTS: [&str; 7] =
    ["docker/27", "Helm/3", "npm/10", "kubectl/v1 kubernetes/1", "Terraform/1", "pip/24", "git-lfs/3"];

#[test]
fn each_program_gets_its_own_shape_with_the_code_and_the_reference() {
    let docker = parsed(&asked("docker/27", &BLOCKED));
    assert_eq!(docker["errors"][0]["code"], "DENIED");
    assert_eq!(docker["errors"][0]["detail"]["code"], 53003);
    let npm = parsed(&asked("npm/10", &BLOCKED));
    assert_eq!(npm["reason"], "access_blocked");
    let status = parsed(&asked("kubectl/v1 kubernetes/1", &BLOCKED));
    let named =
        [&status["kind"], &status["apiVersion"], &status["status"], &status["reason"], &status["code"]];
    assert_eq!(
        named.map(Value::clone),
        [json!("Status"), json!("v1"), json!("Failure"), json!("Forbidden"), json!(403)]
    );
    let terraform = parsed(&asked("Terraform/1", &BLOCKED));
    assert_eq!(
        (&terraform["errors"][0]["status"], &terraform["errors"][0]["code"]),
        (&json!("403"), &json!("53003"))
    );
    let lfs = parsed(&asked("git-lfs/3", &BLOCKED));
    let messages = [
        &docker["errors"][0]["message"],
        &npm["error"],
        &status["message"],
        &terraform["errors"][0]["detail"],
        &lfs["message"],
    ];
    for message in messages {
        let message = message.as_str().unwrap();
        assert!(
            message.contains("Payroll") && message.ends_with(" [53003; reference C9SR-95D6]"),
            "{message}"
        );
        assert!(!message.contains(['\n', '\r']), "{message}");
    }
}

#[test]
fn a_status_line_says_the_code_where_a_program_shows_nothing_else() {
    for (agent, says) in [
        ("pip/24", true),
        ("Helm/3", true),
        ("Terraform/1", true),
        ("Wget/1.21", true),
        ("docker/27", false),
        ("curl/8", false),
    ] {
        let phrase = asked(agent, &BLOCKED).phrase;
        let expected = says.then(|| "Forbidden; 53003; reference C9SR-95D6".to_owned());
        assert_eq!(phrase, expected, "{agent}");
    }
    // With a 401 npm reads nothing of the body.
    assert_eq!(
        header(&asked("npm/10", &Refusal::NoToken), "npm-notice"),
        Some("Unauthorized; 50058; reference C9SR-95D6")
    );
}

#[test]
fn every_refusal_has_every_shape_and_keeps_its_status_and_its_challenge() {
    for refusal in every_refusal() {
        let usual = asked("curl/8", &refusal);
        for agent in AGENTS {
            let answer = asked(agent, &refusal);
            assert_eq!(answer.status, usual.status, "{agent}: {refusal:?}");
            for name in
                ["www-authenticate", "x-request-id", "proxy-status", "retry-after", "cache-control", "vary"]
            {
                assert_eq!(header(&answer, name), header(&usual, name), "{agent}: {refusal:?}");
            }
            if agent != "pip/24" {
                assert!(parsed(&answer).is_object(), "{agent}: {refusal:?}");
            }
            assert_eq!(header(&answer, "content-length"), Some(&*answer.body.len().to_string()));
        }
    }
}

#[test]
fn a_shape_of_the_app_shows_no_more_than_the_problem_details() {
    let named = RequestHints { method: "GET", clients: Some(Clients::Npm), ..RequestHints::EMPTY };
    let shown = render(&denials(), &BLOCKED, &facts(), &named, Disclosure::Minimal);
    let said = String::from_utf8(shown.body.to_vec()).unwrap();
    for own in ["Payroll", "kari", "203.0.113.7", "5f3c2a10"] {
        assert!(!said.contains(own), "{said}");
    }
    assert_eq!(program_of(b"Mozilla/5.0 (X11) docker/27"), None);
    assert_eq!(program_of(b"git-lfs/3"), Some(Program::GitLfs));
}
