//! The tools say what the request path says: the same case as a request over a socket, as a question to `what-if`,
//! as a case of `test`, and to `explain` afterwards.

use std::process::Command;

use serde_json::{Value, json};

use crate::keys;
use crate::wire::exchange;
use crate::world::{HOST, Setup, TRUSTED, World};

const POLICIES: &str = r#"
[[policy]]
id = "fresh"
users = { include = ["all"] }
apps = { include = ["all"] }
conditions = { request = { paths = ["/fresh"] } }
session = { sign-in-frequency = "1h" }

[[policy]]
id = "device"
users = { include = ["all"] }
apps = { include = ["all"] }
conditions = { request = { paths = ["/device"] } }
grant = { controls = ["compliant-device"] }

[[policy]]
id = "mfa"
users = { include = ["all"] }
apps = { include = ["all"] }
conditions = { request = { paths = ["/mfa"] } }
grant = { controls = ["mfa"] }

[[policy]]
id = "both"
users = { include = ["all"] }
apps = { include = ["all"] }
conditions = { request = { paths = ["/both"] } }
grant = { controls = ["mfa"] }
session = { sign-in-frequency = "1h" }

[[policy]]
id = "terms"
users = { include = ["all"] }
apps = { include = ["all"] }
conditions = { request = { paths = ["/terms"] } }
grant = { controls = ["terms-of-use:house"] }

[[policy]]
id = "vault"
users = { include = ["all"] }
authentication-contexts = ["c1"]
grant = { controls = ["mfa", "compliant-device"] }

[[policy]]
id = "place"
users = { include = ["all"] }
apps = { include = ["all"] }
conditions = { request = { paths = ["/place"] }, locations = { include = ["embargo"] } }
grant = "block"

[[policy]]
id = "clerks"
users = { include = ["group:clerks"] }
apps = { include = ["all"] }
conditions = { request = { paths = ["/ledger"] } }
grant = "block"
"#;

/// One case, as a token and as a question.
struct Case {
    path: &'static str,
    /// Whether the token comes in the cookie of a session.
    in_session: bool,
    claims: Value,
    from: Option<&'static str>,
    /// Lines of the question, beside who, path and carrier.
    question: &'static str,
    /// The code that the page must show; `None` when let in.
    code: Option<u32>,
}

fn case(path: &'static str, claims: Value, question: &'static str, code: Option<u32>) -> Case {
    Case { path, in_session: false, claims, from: None, question, code }
}

fn cases() -> Vec<Case> {
    let old = || keys::now() - 7_200;
    let in_session = |case: Case| Case { in_session: true, ..case };
    let compliant = json!({ "deviceid": "d1", "device_compliant": true });
    let lacking = json!({ "deviceid": "d1", "device_compliant": false });
    vec![
        case("/", json!({}), "", None),
        case("/fresh", json!({}), "", None),
        case("/fresh", json!({ "auth_time": old(), "amr": ["pwd"] }), "signed-in = \"2h\"", Some(70_044)),
        case(
            "/fresh",
            json!({ "auth_time": old(), "amr": ["pwd", "mfa"] }),
            "signed-in = \"2h\"\namr = [\"pwd\", \"mfa\"]",
            Some(50_078),
        ),
        // A context that proves several factors counts for the code as well.
        case(
            "/fresh",
            json!({ "auth_time": old(), "amr": [], "acrs": ["c4"] }),
            "signed-in = \"2h\"\nacrs = [\"c4\"]",
            Some(50_078),
        ),
        case("/device", json!({}), "", Some(50_187)),
        in_session(case("/device", json!({}), "", Some(50_097))),
        case("/device", lacking, "device = { id = \"d1\", compliant = false }", Some(53_000)),
        case("/device", compliant, "device = { id = \"d1\", compliant = true }", None),
        case("/mfa", json!({ "amr": ["pwd"] }), "amr = [\"pwd\"]", Some(50_076)),
        case("/mfa", json!({ "amr": [], "acrs": "c4" }), "acrs = [\"c4\"]", None),
        case("/mfa", json!({ "amr": ["mfa"] }), "mfa = true", None),
        case("/both", json!({ "amr": ["pwd"], "auth_time": old() }), "signed-in = \"2h\"", Some(50_076)),
        case("/terms", json!({}), "", Some(53_003)),
        case("/vault/x", json!({ "amr": [], "acrs": ["c2"] }), "acrs = [\"c2\"]", Some(50_076)),
        case("/vault/x", json!({ "amr": [], "acrs": ["c1"] }), "acrs = [\"c1\"]", None),
        Case { from: Some("192.0.2.7"), ..case("/place", json!({}), "ip = \"192.0.2.7\"", Some(53_003)) },
        Case { from: Some("198.51.100.7"), ..case("/place", json!({}), "ip = \"198.51.100.7\"", None) },
        case("/ledger", json!({ "groups": ["clerks"] }), "groups = [\"clerks\"]", Some(53_003)),
        // More groups than the token holds.
        case(
            "/ledger",
            json!({ "groups": null, "_claim_names": { "groups": "src1" } }),
            "unavailable = [\"groups\"]",
            Some(880_001),
        ),
    ]
}

fn run(arguments: &[&str]) -> (bool, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_portcullis")).args(arguments).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn never_n104_a_tool_says_another_code_or_outcome_than_the_request_path() {
    let world = World::start(Setup {
        policies: POLICIES.to_owned(),
        issuer: "contexts-satisfy = true",
        app: "contexts = [{ path = \"/vault\", context = \"c1\" }]",
        top: format!("{TRUSTED}\n[evidence]\nmfa-contexts = [\"c4\"]\n"),
        ..Setup::default()
    });
    let file = |name: &str| world.file(name).to_str().unwrap().to_owned();
    let config = file("portcullis.toml");
    let mut written = String::new();
    for (number, case) in cases().into_iter().enumerate() {
        let Case { path, in_session, claims, from, question, code } = case;
        let label = format!("case {number}: {path} {claims}");
        // Each of somebody else, so that no refusal is a repetition that the log leaves out.
        let user = format!("user-{number}");
        let token = keys::token_with(|token| {
            token["sub"] = json!(user);
            token["groups"] = json!([]);
            token.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
            token.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        });
        let carried = if in_session {
            format!("Cookie: session={token}")
        } else {
            format!("Authorization: Bearer {token}")
        };
        let address = from.map(|from| format!("X-Forwarded-For: {from}\r\n")).unwrap_or_default();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{carried}\r\n{address}\r\n");
        let answer = exchange(&world.plain, head.as_bytes());
        let shown = answer.header("proxy-status").and_then(|status| {
            status
                .split_once("details=\"")
                .and_then(|(_, code)| code.trim_end_matches('"').parse::<u32>().ok())
        });
        assert_eq!(shown, code, "the page, {label}: {answer:?}");
        assert_eq!(answer.status == 200, code.is_none(), "the page, {label}: {answer:?}");

        let carrier = if in_session { "session" } else { "bearer" };
        let signed_in = if question.contains("signed-in") { "" } else { "signed-in = \"5s\"\n" };
        let request = format!(
            "user = \"{user}\"\napp = \"wiki\"\npath = \"{path}\"\ncarrier = \"{carrier}\"\n{signed_in}{question}\n"
        );
        let asked = file(&format!("question-{number}.toml"));
        std::fs::write(&asked, &request).unwrap();
        let (good, said) = run(&["what-if", "--config", &config, "--request", &asked, "--format", "json"]);
        assert!(good, "{label}: {said}");
        let answered: Value = serde_json::from_str(&said).unwrap();
        let outcome = answered["outcome"].as_str().unwrap();
        assert_eq!(answered["code"].as_u64(), code.map(u64::from), "what-if, {label}: {said}");
        assert_eq!(outcome == "grant", code.is_none(), "what-if, {label}");
        // What a new token can mend is a 401, and a challenge; what waiting mends is a 503.
        assert_eq!(outcome == "challenge", answer.status == 401, "{label}: {answer:?}");
        assert_eq!(answered["temporary"] == true, answer.status == 503, "{label}: {answer:?}");
        let code_line = code.map(|code| format!("code = {code}\n")).unwrap_or_default();
        written.push_str(&format!(
            "[[case]]\nname = \"{number} {path}\"\nexpect = \"{outcome}\"\n{code_line}[case.request]\n{request}\n"
        ));

        let Some(code) = code else { continue };
        let id = answer.header("x-request-id").unwrap().to_owned();
        world.wait_for("the line of the log", |world| world.log().contains(&id));
        let (good, said) = run(&["explain", &id, "--config", &config, "--log", &file("decisions.ndjson")]);
        assert!(good, "{label}: {said}");
        assert!(said.contains(&format!("Shown to the user: error code {code}")), "explain, {label}: {said}");
        assert!(said.contains(&format!("would be refused today too: {code}, ")), "explain, {label}: {said}");
    }
    let cases_file = file("cases.toml");
    std::fs::write(&cases_file, &written).unwrap();
    let (good, said) = run(&["test", "--config", &config, &cases_file]);
    assert!(good, "{said}");
    assert!(said.contains(&format!("{} passed, 0 failed", cases().len())), "{said}");
}
