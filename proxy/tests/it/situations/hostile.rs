//! What strangers and configurations can write into a refusal changes nothing but its own text, escaped and cut.

use serde_json::Value;

use super::site::{HOME, Site, Visitor};
use crate::wire::Answer;

/// As TOML and JSON write it.
const NASTY: [&str; 8] = [
    "</title></style></pre></main><script>alert(1)</script><img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)\" ' style='color:red",
    "{{script}}{{style}}{{headline}} { $app } {\"x\"} {app} %s {0} ⟨⟩",
    "\u{202e}gro.live\u{202c}\u{2066}\u{2067}\u{200f}\u{061c}\u{2028}\u{2029}\u{feff}",
    "a\r\nX-Evil: 1\r\n\r\n<html>\n\tError code: 0\u{0}\u{1b}[2J\u{7f}\u{85}",
    "👩‍👩‍👧‍👦🏳️‍🌈 e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301} \u{fdfd}\u{12031}",
    "]]><!-- --> <!DOCTYPE x [<!ENTITY e \"e\">]> &e; &lt;b&gt; &#x3c;i&#x3e;",
    "javascript:alert(1)//data:text/html,<svg/onload=alert(1)>",
];

fn toml_text(text: &str) -> String {
    // A JSON string is a TOML string, but for what it may leave as it is.
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn installation(name: &str) -> Site {
    let text = toml_text(name);
    let main = format!(
        r#"policies = ["policies.toml"]

[server]
listeners = [{{ address = "@PROXY@" }}]
admin = "@ADMIN@"
threads = 1

[trusted-proxies]
networks = ["127.0.0.0/8"]

[[issuer]]
name = "main"
issuer = "https://id.test/tenant"
audiences = ["api://wiki"]
keys = {{ file = "keys.json" }}

[geo]
database = "country.mmdb"

[denial]
installation = {text}
support-keys = ["support.key"]

[[app]]
id = "wiki"
name = {text}
hosts = ["wiki.test"]
upstreams = ["http://@APP@"]
disclosure = "full"
token = {{ bearer = true, cookie = "session" }}
"#
    );
    let policies = format!(
        "[[policy]]\nid = \"device\"\nusers = {{ include = [\"all\"] }}\napps = {{ include = [\"all\"] }}\ngrant = {{ controls = \
         [\"compliant-device\"] }}\nmessage = {text}\n"
    );
    Site::start(&main, &policies)
}

fn visitor(text: &str) -> Visitor {
    let mut visitor = Visitor::new("wiki", HOME).on_device("Windows", "10.0", false);
    for claim in ["preferred_username", "name", "deviceid", "device_os", "device_os_version"] {
        visitor = visitor.with(claim, text);
    }
    visitor.with("groups", vec![text]).with("roles", vec![text]).with("amr", vec![text]).with("acr", text)
}

/// The markup alone: names of elements and of their attributes, in their order.
fn markup(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for tag in page.split('<').skip(1).filter(|tag| tag.contains('>')) {
        let mut names = String::new();
        for (at, part) in tag.split('>').next().unwrap().split('"').enumerate() {
            if at % 2 == 0 {
                names.push_str(part);
            }
        }
        found.push(names);
    }
    found
}

fn names_of_fields(answer: &Answer) -> Vec<String> {
    let lines = answer.head.lines().skip(1);
    lines.map(|line| line.split(':').next().unwrap().to_ascii_lowercase()).collect()
}

/// Neither a character that turns text around nor one that acts on a terminal.
fn is_quiet(text: &str) -> bool {
    let is_loud = |character: char| {
        (character.is_control() && !matches!(character, '\n'))
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}' | '\u{2067}' | '\u{061c}' | '\u{feff}')
    };
    !text.contains(is_loud)
}

const JSON: &str = "Accept: application/json\r\n";
const CURL: &str = "Accept: */*\r\nUser-Agent: curl/8.11.0\r\n";

/// What a refusal is made of must be that of an honest one.
fn assert_tame(site: &Site, honest: &[Answer; 3], visitor: &Visitor, what: &str) {
    let [page, json, plain] = asked(site, visitor, "");
    assert_eq!(page.status, 403, "{what}: {}", page.head);
    assert_eq!(markup(&page.body), markup(&honest[0].body), "{what}");
    for (answer, honest) in [&page, &json, &plain].into_iter().zip(honest) {
        assert_eq!(names_of_fields(answer), names_of_fields(honest), "{what}");
        for name in ["content-security-policy", "proxy-status", "content-type"] {
            assert_eq!(answer.header(name), honest.header(name), "{what}");
        }
        assert!(answer.body.len() < honest.body.len() + 6 * 1024, "{what}: {} bytes", answer.body.len());
    }
    assert!(is_quiet(&page.body) && is_quiet(&plain.body), "{what}: {:?}", plain.body);
    assert_eq!(plain.body.lines().count(), honest[2].body.lines().count(), "{what}: {}", plain.body);
    assert!(!plain.body.lines().any(|line| line.trim() == "Error code: 0"), "{what}");
    let problem: Value = serde_json::from_str(&json.body).unwrap();
    let honest: Value = serde_json::from_str(&honest[1].body).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        (keys(&problem), keys(&problem["client"])),
        (keys(&honest), keys(&honest["client"])),
        "{what}"
    );
    for key in ["type", "status", "code", "error", "resolution", "reasons", "retryable"] {
        assert_eq!(problem[key], honest[key], "{what}");
    }
}

fn asked(site: &Site, visitor: &Visitor, more: &str) -> [Answer; 3] {
    let call = |lines: &str| site.call_as("GET", visitor, &format!("{lines}{more}"));
    [site.open_with(visitor, more), call(JSON), call(CURL)]
}

#[test]
fn no_name_in_a_token_or_a_configuration_changes_more_than_its_own_text() {
    let honest_site = installation("Wiki");
    let honest = asked(&honest_site, &visitor("anna"), "");
    assert!(markup(&honest[0].body).len() > 50, "{}", honest[0].body);
    for text in NASTY {
        if text.contains('\0') {
            // Such an id is no token's.
            let [page, ..] = asked(&honest_site, &visitor(text), "");
            assert_eq!(page.status, 401, "{}", page.head);
            assert!(!page.body.contains("Evil") && !page.head.contains("Evil"), "{}", page.body);
            assert_tame(&honest_site, &honest, &visitor("anna").with("device_os", text), text);
            continue;
        }
        assert_tame(&honest_site, &honest, &visitor(text), text);
    }
    let long: String = "ab<\"'&👩‍👩‍👧".repeat(150);
    assert_tame(&honest_site, &honest, &visitor("anna").with("device_os", long), "a long text");
    // Names of a configuration cannot hold characters that are not printed.
    for text in [NASTY[0], NASTY[1], NASTY[2], NASTY[6], NASTY[7]] {
        assert_tame(&installation(text), &honest, &visitor(text), text);
    }
}

#[test]
fn no_field_of_a_request_changes_its_refusal() {
    let site = installation("Wiki");
    let honest = asked(&site, &visitor("anna"), "");
    for text in NASTY.iter().filter(|text| !text.contains(['\r', '\n', '\0'])) {
        let fields = format!(
            "X-Request-Id: {text}\r\nTraceparent: {text}\r\nX-Correlation-Id: {text}\r\nReferer: {text}\r\nOrigin: {text}\r\n\
             X-Forwarded-Host: {text}\r\nX-Forwarded-Proto: {text}\r\nSec-CH-UA-Platform: {text}\r\nPrefer: {text}\r\n"
        );
        for (answer, honest) in asked(&site, &visitor("anna"), &fields).iter().zip(&honest) {
            // It is refused as it is, or for its form; never is anything of it said.
            assert!(matches!(answer.status, 400 | 403), "{text}: {}", answer.head);
            assert!(
                !answer.body.contains("alert(1)") && !answer.head.contains("alert(1)"),
                "{text}: {}",
                answer.body
            );
            assert!(is_quiet(&answer.body) && !answer.body.contains("{{"), "{text}: {}", answer.body);
            if answer.status == 403 {
                assert_eq!(names_of_fields(answer), names_of_fields(honest), "{text}");
                assert_eq!(markup(&answer.body), markup(&honest.body), "{text}");
            }
        }
    }
    // More than is read.
    let huge = "x".repeat(64 * 1024);
    for name in ["Accept-Language", "User-Agent", "X-Request-Id", "Accept"] {
        let answer = site.call_as("GET", &visitor("anna"), &format!("{name}: {huge}\r\n"));
        assert!(matches!(answer.status, 0 | 400 | 403 | 431), "{name}: {}", answer.head);
        assert!(!answer.body.contains("xxxx") && !answer.head.contains("xxxx"), "{name}");
    }
}

#[test]
fn no_language_that_is_asked_for_is_said_back() {
    let site = installation("Wiki");
    for (target, accepted) in [
        ("/?lang=%3Cscript%3Ealert(1)%3C/script%3E", "en"),
        ("/?lang=../../etc/passwd&x=%22%3E%3Cimg%20src=x%3E", "en"),
        ("/?lang=de%0d%0aX-Evil:%201", "en"),
        ("/?lang=%E2%80%AEed", "<script>alert(1)</script>, \"quoted\";q=9, *;q=0.0001"),
        ("/?a={{script}}&lang=xx", "x-klingon, en-GB-oed, de-1996-x-%s;q=0.1, ⟨⟩"),
        ("/?lang=en&lang=%00", "en;q=nan, *;q=-1"),
    ] {
        let visitor = visitor("anna").at(target);
        let lines =
            format!("Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nAccept-Language: {accepted}\r\n");
        let answer = site.call_as("GET", &visitor, &lines);
        assert!(matches!(answer.status, 400 | 403), "{target}: {}", answer.head);
        let language = answer.header("content-language").unwrap();
        assert!(
            language.len() <= 7 && language.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'),
            "{language}"
        );
        assert!(!answer.head.to_ascii_lowercase().contains("x-evil"), "{}", answer.head);
        for unwanted in ["<script>alert", "<img", "etc/passwd\"", "{{", "\u{202e}", "klingon"] {
            assert!(!answer.body.contains(unwanted), "{target}: `{unwanted}`: {}", answer.body);
        }
    }
}
