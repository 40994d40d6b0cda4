//! Whoever holds a stolen token must not learn that it was noticed: a refusal for a risk has every byte and every field of
//! a plain block.

use super::said::between;
use super::site::{Site, VPN, Visitor};
use crate::wire::Answer;

const TOP: &str = r#"
[server]
listeners = [{ address = "@PROXY@" }]
admin = "@ADMIN@"
threads = 1
decision-log = { file = "decisions.ndjson" }

[trusted-proxies]
networks = ["127.0.0.0/8"]

[[issuer]]
name = "main"
issuer = "https://id.test/tenant"
audiences = ["api://wiki"]
keys = { file = "keys.json" }

[issuer.claims]
sign-in-risk = "sir"
user-risk = "ur"
insider-risk = "ir"
service-principal-risk = "spr"

[geo]
database = "country.mmdb"

[[location]]
name = "vpn-exits"
networks = ["198.51.100.0/26"]

[denial]
installation = "Northwind"
contact-mail = "help@northwind.example"
contact-url = "https://help.northwind.example/"
remediation-url = "https://devices.northwind.example/enrol"
support-keys = ["support.key"]
"#;

/// Each with what its rule rests on where a risk is meant, and what stays of it where none is.
const RULES: [(&str, &str, &str); 8] = [
    ("sign-in", "grant = \"block\"\nconditions = { sign-in-risk = [\"high\"] }", "grant = \"block\""),
    ("user", "grant = \"block\"\nconditions = { user-risk = [\"medium\", \"high\"] }", "grant = \"block\""),
    ("insider", "grant = \"block\"\nconditions = { insider-risk = [\"high\"] }", "grant = \"block\""),
    (
        "all",
        "grant = \"block\"\nconditions = { sign-in-risk = [\"high\"], user-risk = [\"high\"] }",
        "grant = \"block\"",
    ),
    (
        "path",
        "grant = \"block\"\nconditions = { user-risk = [\"high\"], request = { paths = [\"/**\"] } }",
        "grant = \"block\"\nconditions = { request = { paths = [\"/**\"] } }",
    ),
    (
        "place",
        "grant = \"block\"\nconditions = { sign-in-risk = [\"high\"], locations = { include = [\"vpn-exits\"] } }",
        "grant = \"block\"\nconditions = { locations = { include = [\"vpn-exits\"] } }",
    ),
    (
        "device",
        "grant = { controls = [\"compliant-device\"] }\nconditions = { user-risk = [\"high\"] }",
        "grant = { controls = [\"compliant-device\"] }",
    ),
    (
        "step-up",
        "grant = { controls = [\"mfa\"] }\nconditions = { sign-in-risk = [\"high\"] }",
        "grant = { controls = [\"mfa\"] }",
    ),
];
const LEVELS: [&str; 3] = ["minimal", "standard", "full"];

/// All rules at all levels: each is an app, which says how much it shows. Half of the apps have a second rule, which blocks
/// the network.
fn installation(has_risks: bool) -> Site {
    let (mut main, mut policies) = (format!("policies = [\"policies.toml\"]\n{TOP}"), String::new());
    for (rule, risky, plain) in RULES {
        let body = if has_risks { risky } else { plain };
        for level in LEVELS {
            for beside in ["", "-vpn"] {
                let app = format!("{rule}-{level}{beside}");
                main.push_str(&format!(
                    "\n[[app]]\nid = \"{app}\"\nname = \"The app\"\nhosts = [\"{app}.test\"]\nupstreams = [\"http://@APP@\"]\nunmatched = \
                     \"allow\"\ndisclosure = \"{level}\"\ntoken = {{ bearer = true, cookie = \"session\" }}\n"
                ));
                let head = "users = { include = [\"all\"] }";
                policies.push_str(&format!(
                    "\n[[policy]]\nid = \"{app}\"\n{head}\napps = {{ include = [\"{app}\"] }}\nmessage = \"Ask at the desk.\"\n{body}\n"
                ));
                if !beside.is_empty() {
                    policies.push_str(&format!(
                        "\n[[policy]]\nid = \"{app}-network\"\n{head}\napps = {{ include = [\"{app}\"] }}\ngrant = \"block\"\nconditions \
                         = {{ locations = {{ include = [\"vpn-exits\"] }} }}\n"
                    ));
                }
            }
        }
    }
    Site::start(&main, &policies)
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

/// What differs from one request to the next, by its form and length.
fn form_of(word: &str) -> Option<String> {
    let dashes = word.matches('-').count();
    let digits = |word: &str| !word.is_empty() && word.chars().all(|character| character.is_ascii_digit());
    if word.len() == 36 && dashes == 4 {
        return Some("<id>".to_owned());
    }
    if word.len() == 9
        && word.as_bytes()[4] == b'-'
        && !word.chars().any(|character| character.is_ascii_lowercase())
    {
        return Some("<reference>".to_owned());
    }
    if word.len() >= 40 && !word.starts_with("sha256-") {
        return Some(format!("<{}>", word.len()));
    }
    // Minutes, seconds and the date before them: `2026-11-28T14`, `05`, `123Z`.
    let is_moment = word.len() == 13 && word.contains('T') || word.len() == 4 && word.ends_with('Z');
    (is_moment || (word.len() == 2 && digits(word))).then(|| "<time>".to_owned())
}

/// A text without what differs from one request to the next.
fn blank(text: &str) -> String {
    let mut blanked = String::new();
    // The reference is spelled out as well, for whoever hears the page.
    let spelled = text.split_once("<span class=\"vh\">").filter(|_| text.contains("class=\"ref\""));
    let text = match spelled {
        Some(_) => {
            let inside = between(text, "</bdi><span class=\"vh\">", "</span>");
            assert_eq!(inside.len(), 18, "{inside}");
            text.replace(inside, "<spelled>")
        }
        None => text.to_owned(),
    };
    let text = text.replace("urn:uuid:", "urn-uuid ");
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|character| is_word(character) != is_word(first)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match form_of(word).filter(|_| is_word(first)) {
            Some(form) => blanked.push_str(&form),
            None => blanked.push_str(word),
        }
        rest = after;
    }
    blanked
}

/// Status line, fields in their order, and body; the time of day is no part of it.
fn all_of(answer: &Answer) -> String {
    let fields: Vec<_> = answer
        .head
        .lines()
        .filter(|line| !line.to_ascii_lowercase().starts_with("date:"))
        .map(blank)
        .collect();
    format!("{}\n\n{}", fields.join("\n"), blank(&answer.body))
}

/// As each kind of client asks.
fn answers(site: &Site, visitor: &Visitor) -> Vec<(&'static str, Answer)> {
    let call = |method: &str, lines: &str| site.call_as(method, visitor, lines);
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
                   dGhlIHNhbXBsZSBub25jZQ==\r\n";
    vec![
        ("page", site.open(visitor)),
        ("page of a program", call("GET", "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n")),
        (
            "page in German",
            call("GET", "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nAccept-Language: de\r\n"),
        ),
        ("json", call("GET", "Accept: application/json\r\n")),
        ("json of a post", call("POST", "Accept: */*\r\nContent-Length: 0\r\n")),
        ("plain", call("GET", "Accept: */*\r\nUser-Agent: curl/8.11.0\r\n")),
        ("git", call("GET", "Accept: */*\r\nUser-Agent: git/2.47.0\r\n")),
        ("grpc", call("POST", "Content-Type: application/grpc\r\nTE: trailers\r\nContent-Length: 0\r\n")),
        ("websocket", call("GET", upgrade)),
        ("htmx", call("GET", "HX-Request: true\r\nAccept: */*\r\nSec-Fetch-Mode: cors\r\n")),
        ("head", call("HEAD", "Accept: application/json\r\n")),
    ]
}

fn holder(app: &'static str) -> Visitor {
    Visitor::new(app, VPN).with("sir", "high").with("ur", "high").with("ir", "high").with("amr", vec!["pwd"])
}

#[test]
fn a_risk_is_refused_in_every_byte_and_field_as_a_plain_block_is() {
    let (risky, plain) = (installation(true), installation(false));
    let mut compared = 0;
    for (rule, ..) in RULES {
        for level in LEVELS {
            for beside in ["", "-vpn"] {
                let app: &'static str = format!("{rule}-{level}{beside}").leak();
                // It is the risk that is refused: without one the door is open, unless another rule shuts it.
                let calm = risky.call(&Visitor::new(app, super::site::HOME));
                assert_eq!(calm.status, 200, "{app}: {calm:?}");
                let of = |site: &Site| answers(site, &holder(app));
                for ((client, a), (_, b)) in of(&risky).iter().zip(of(&plain)) {
                    assert!(a.status >= 400 || a.header("grpc-status").is_some(), "{app}, {client}: {a:?}");
                    assert_eq!(all_of(a), all_of(&b), "{app}, {client}");
                    let lengths = (a.body.len(), b.body.len());
                    assert_eq!(lengths.0, lengths.1, "{app}, {client}: {}\n{}", a.body, b.body);
                    if *client == "page" {
                        let handle = |page: &Answer| between(&page.body, "/.portcullis/report?", "\"").len();
                        assert_eq!(handle(a), handle(&b), "{app}");
                    }
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, RULES.len() * LEVELS.len() * 2 * 11);
}
