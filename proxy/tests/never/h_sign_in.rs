//! H. Sign-in, cookies, redirects.

use serde_json::json;

use crate::keys::{self, token, token_with};
use crate::origin::BODY;
use crate::wire::exchange;
use crate::world::{HOST, Setup, World};

const PAGE: &str = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";

/// A page without the one place where something of the request comes back: the link to the page's other languages keeps
/// the query, percent-encoded, and leads to the same path on the same host.
fn without_language_link(body: &str) -> String {
    let Some((before, rest)) = body.split_once("href=\"?") else { return body.to_owned() };
    let (query, after) = rest.split_once('"').unwrap();
    let is_harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"%&;=-._~!$()*+,/:?@[]".contains(&byte);
    assert!(query.bytes().all(is_harmless), "{query}");
    assert!(!after.contains("href=\"?"), "one such link: {after}");
    format!("{before}{after}")
}

/// A page without its one script, whose hash its policy names.
fn without_script(body: &str) -> String {
    let Some((before, rest)) = body.split_once("<script>") else { return body.to_owned() };
    let (script, after) = rest.split_once("</script>").unwrap();
    assert!(!script.contains("alert(1)") && !script.contains("zqx"), "{script}");
    format!("{before}{after}")
}

#[test]
fn never_n58_a_redirect_or_link_to_the_sign_in_is_led_off_site() {
    let world = World::start(Setup { app: "sign-in-url = \"https://login.test/start\"", ..Setup::default() });
    for target in [
        "/?rd=https://evil.test",
        "/?rd=//evil.test",
        "/x/evil.test",
        "/?x=/%09/evil.test",
        "/@evil.test",
        "//evil.test",
        "/%5Cevil.test",
    ] {
        for more in ["", "X-Auth-Request-Redirect: https://evil.test\r\n", "Referer: https://evil.test/\r\n"]
        {
            let text = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{PAGE}{more}\r\n");
            let answer = exchange(&world.plain, text.as_bytes());
            assert!(matches!(answer.status, 400 | 401 | 302 | 303), "{target}: {}", answer.status);
            if let Some(location) = answer.header("location") {
                assert!(location.starts_with("https://login.test/start"), "{location}");
            }
            assert!(!answer.head.contains("evil.test"), "{target}: {}", answer.head);
            let body = without_language_link(&answer.body);
            assert!(!body.contains("evil.test"), "{target}: {body}");
        }
    }
    let text = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{PAGE}\r\n");
    let answer = exchange(&world.plain, text.as_bytes());
    assert!(
        answer.body.contains("https://login.test/start") || answer.head.contains("https://login.test/start"),
        "the counterpart: the configured address is there"
    );
}

#[test]
fn never_n59_a_token_travels_in_a_url_or_a_page() {
    let world = World::start(Setup { app: "sign-in-url = \"https://login.test/start\"", ..Setup::default() });
    let good = token();
    let expired = token_with(|claims| claims["exp"] = json!(keys::now() - 100));
    for (token, target, expected) in [(&good, "/admin", 403), (&expired, "/", 401), (&good, "/", 200)] {
        for more in [PAGE, "Accept: application/json\r\n", ""] {
            for carrier in
                [format!("Authorization: Bearer {token}\r\n"), format!("Cookie: session={token}\r\n")]
            {
                let text = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{carrier}{more}\r\n");
                let answer = exchange(&world.plain, text.as_bytes());
                assert_eq!(answer.status, expected);
                let signature = token.rsplit('.').next().unwrap();
                assert!(!answer.head.contains(signature) && !answer.body.contains(signature));
                assert!(!answer.head.contains("eyJ"), "{}", answer.head);
            }
        }
    }
}

#[test]
fn never_n63_a_crafted_cookie_costs_unbounded_work_or_ends_the_process() {
    let world = World::plain();
    let ask =
        |cookie: &str| world.bare(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\n\r\n"));
    let good = token();
    for cookie in [
        "session_chunks=99999999; session_0=a".to_owned(),
        "=".to_owned(),
        "=; =; =".to_owned(),
        ";;;;;;".to_owned(),
        "session".to_owned(),
        "session=;".to_owned(),
        format!("session={}", "a".repeat(15_000)),
        "a=b; ".repeat(1000),
        "; ".repeat(5000),
        format!("session={good}; session={good}"),
        format!("session={good}; session=x"),
        format!("\"session\"={good}"),
        format!("session=\"{good}\""),
    ] {
        let status = ask(&cookie);
        assert!(matches!(status, 400 | 401), "{cookie:.60}: {status}");
    }
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(ask(&format!("=x; a; b=1=2; session={good}; c")), 200, "the counterpart");
    assert!(world.runs() && !world.said().contains("panicked"));
}

#[test]
fn never_n64_protected_content_is_appended_to_a_refusal() {
    let world = World::plain();
    let bare = |method: &str, more: &str| {
        world.all(format!("{method} / HTTP/1.1\r\nHost: {HOST}\r\n{more}\r\n").as_bytes())
    };
    for more in [PAGE, "", "Accept: application/json\r\n", "Content-Type: application/grpc\r\n"] {
        for answer in [
            bare("GET", more),
            bare("HEAD", more),
            bare("POST", &format!("Content-Length: 0\r\n{more}")),
            world.all(&World::head("GET", "/admin", more)),
            world.all(&World::head("POST", "/admin", &format!("Content-Length: 0\r\n{more}"))),
        ] {
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
            assert!(!answer.contains(BODY), "{answer}");
        }
    }
    let answer = world.h2_get("/admin", &[]);
    assert_eq!(answer.status(), 403);
    assert!(!answer.body().contains(BODY));
    assert_eq!(world.origin.hits(), 0);
    assert!(world.get("/", "").body.contains(BODY), "the counterpart");
    assert_eq!(world.h2_get("/", &[]).body(), BODY, "the counterpart");
}

#[test]
fn never_n65_a_value_of_the_request_is_echoed_on_a_page() {
    let world = World::plain();
    let marks = ["zqx", "<script>", "onerror=", "javascript:"];
    let lines = format!(
        "{PAGE}User-Agent: zqx<script>alert(1)</script>\r\nReferer: https://zqx/<script>\r\nAccept-Language: zqx, \"><script>\r\nX-Request-Id: zqx\r\nX-Forwarded-Host: zqx\r\nCookie: a=zqx\r\nOrigin: https://zqx\r\n"
    );
    let pages = [
        world.get("/admin?zqx=<script>", &lines),
        world.get("/admin/zqx?lang=zqx", &lines),
        exchange(&world.plain, format!("GET /zqx?zqx HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n").as_bytes()),
        exchange(&world.plain, format!("GET /zqx;x HTTP/1.1\r\nHost: zqx\r\n{lines}\r\n").as_bytes()),
        exchange(
            &world.plain,
            World::head("GET", "/zqx", &lines).as_slice().split(|byte| *byte == b'!').next().unwrap(),
        ),
    ];
    for page in &pages[..4] {
        assert!(page.status >= 400, "{}", page.status);
        for mark in marks {
            let text = without_language_link(&without_script(&page.body)).to_ascii_lowercase();
            assert!(!text.contains(mark), "{mark}: {text}");
            assert!(!page.head.to_ascii_lowercase().contains("zqx"), "{}", page.head);
        }
    }
    assert_eq!(pages[4].status, 200, "the counterpart is let in");
    // The one text that the page shows on purpose comes from the token, and arrives escaped.
    let named = token_with(|claims| claims["preferred_username"] = json!("<img src=x onerror=alert(1)>\"'&"));
    let text = format!("GET /admin HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {named}\r\n{PAGE}\r\n");
    let page = exchange(&world.plain, text.as_bytes());
    assert_eq!(page.status, 403);
    assert!(!page.body.contains("<img src=x"), "{}", page.body);
    assert!(page.body.contains("&lt;img src=x"), "the counterpart: the name is shown: {}", page.body);
}
