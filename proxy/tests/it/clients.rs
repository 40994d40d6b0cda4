//! What clients get that show a refusal each in their own way: pages of other origins, htmx, Microsoft Office, scripts that cannot
//! read why they were refused.

use serde_json::Value;

use crate::browser::{Browser, NAVIGATION, Page};
use crate::signing_in::{Setup, WIKI, World};

const PORTAL: &str = "https://portal.test";
const CORS: &str = "allowed-origins = [\"https://portal.test\"]\n";

/// A policy that lets nobody in below `/cellar`.
fn cellar() -> String {
    "[[policy]]\nid = \"cellar\"\nusers = { include = [\"all\"] }\napps = { include = [\"all\"] }\ngrant = \"block\"\n\
     conditions = { request = { paths = [\"/cellar/**\"] } }\n"
        .to_owned()
}

fn world(wiki: &'static str) -> World {
    World::start(Setup { wiki, more: cellar(), ..Setup::default() })
}

/// The fields of an answer that have to do with origins, in their order.
fn of_origins(page: &Page) -> Vec<(String, String)> {
    let lines = page.answer.head.lines().filter_map(|line| line.split_once(':'));
    let mut found: Vec<_> = lines
        .filter(|(name, _)| name.to_ascii_lowercase().starts_with("access-control-"))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    found.sort();
    found
}

fn preflight(world: &World, browser: &mut Browser, target: &str, origin: &str) -> Page {
    let lines = format!(
        "Origin: {origin}\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: authorization, x-csrf\r\n\
         Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: cross-site\r\n"
    );
    browser.send("OPTIONS", &world.url(WIKI, target), &lines)
}

fn cross(origin: &str) -> String {
    format!("Origin: {origin}\r\nAccept: */*\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: cross-site\r\n")
}

#[test]
fn a_preflight_of_an_allowed_origin_is_answered_here_and_its_page_reads_what_follows() {
    let world = world(CORS);
    let mut browser = world.signed_in();
    let before = world.app.hits();
    let leave = preflight(&world, &mut Browser::default(), "/x", PORTAL);
    assert_eq!(leave.status(), 204, "{leave:?}");
    let said = |name: &str| leave.answer.header(name).unwrap_or_default().to_owned();
    assert_eq!(said("access-control-allow-origin"), PORTAL);
    assert!(said("access-control-allow-methods").contains("PUT"));
    assert_eq!(said("access-control-allow-headers"), "authorization, x-csrf");
    assert_eq!(said("access-control-max-age"), "600");
    assert!(said("vary").contains("Origin") && !said("x-request-id").is_empty(), "{leave:?}");
    assert_eq!(leave.answer.header("access-control-allow-credentials"), None);
    assert_eq!(world.app.hits(), before, "nothing reaches the app without a permit");

    let refused = browser.send("GET", &world.url(WIKI, "/cellar/x"), &cross(PORTAL));
    let exposed = refused.answer.header("access-control-expose-headers").unwrap_or_default();
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.answer.header("access-control-allow-origin"), Some(PORTAL));
    for name in ["WWW-Authenticate", "X-Request-Id", "Retry-After", "Proxy-Status"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    assert!(refused.answer.header("vary").unwrap().contains("Origin"));
    let challenged = Browser::default().send("GET", &world.url(WIKI, "/x"), &cross(PORTAL));
    assert_eq!((challenged.status(), challenged.answer.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(challenged.answer.header("access-control-allow-origin"), Some(PORTAL));

    let let_in = browser.send("GET", &world.url(WIKI, "/x"), &cross(PORTAL));
    assert_eq!((let_in.status(), let_in.answer.header("access-control-allow-origin")), (200, Some(PORTAL)));
    let own = browser.send("GET", &world.url(WIKI, "/x"), &cross("https://wiki.localhost"));
    assert_eq!((own.status(), of_origins(&own)), (200, vec![]), "the app is asked by no other origin");
}

#[test]
fn credentials_methods_fields_and_age_are_those_of_the_app() {
    let cors = "allowed-origins = [\"https://portal.test\"]\ncors = { methods = [\"GET\"], headers = [\"X-One\"], \
                expose = [\"ETag\"], max-age = \"1h\", credentials = true }\n";
    let world = world(cors);
    let leave = preflight(&world, &mut Browser::default(), "/x", PORTAL);
    let expected = [
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-headers", "x-one"),
        ("access-control-allow-methods", "GET"),
        ("access-control-allow-origin", PORTAL),
        ("access-control-max-age", "3600"),
    ];
    assert_eq!(of_origins(&leave), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let let_in = world.signed_in().send("GET", &world.url(WIKI, "/x"), &cross(PORTAL));
    let expected = [
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-origin", PORTAL),
        ("access-control-expose-headers", "x-request-id, etag"),
    ];
    assert_eq!(of_origins(&let_in), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn an_app_that_answers_its_own_origins_is_not_spoken_over() {
    let world = world(CORS);
    let mut browser = world.signed_in();
    let let_in = browser.send("GET", &world.url(WIKI, "/origins"), &cross(PORTAL));
    let expected = vec![("access-control-allow-origin".to_owned(), "*".to_owned())];
    assert_eq!((let_in.status(), of_origins(&let_in)), (200, expected));
}

/// A request of htmx, for a part of a page.
fn htmx(browser: &mut Browser, world: &World, method: &str, target: &str, more: &str) -> Page {
    let lines = format!(
        "HX-Request: true\r\nAccept: */*\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n{more}"
    );
    browser.send(method, &world.url(WIKI, target), &lines)
}

#[test]
fn a_link_that_htmx_follows_becomes_a_navigation() {
    let world = world("");
    let boosted = "HX-Boosted: true\r\n";
    let refused = htmx(&mut world.signed_in(), &world, "GET", "/cellar/x?a=b", boosted);
    assert_eq!(
        (refused.status(), refused.answer.header("hx-redirect")),
        (403, Some("/cellar/x?a=b")),
        "{refused:?}"
    );
    // Who is not signed in is led to where a navigation signs in.
    let stranger = htmx(&mut Browser::default(), &world, "GET", "/x", boosted);
    assert_eq!((stranger.status(), stranger.answer.header("hx-redirect")), (401, Some("/x")));
    assert_eq!(stranger.answer.header("location"), None, "nothing but a navigation is redirected");
}

#[test]
fn a_probe_says_what_a_request_would_be_answered_to_who_may_ask_and_nothing_to_others() {
    let world = world("");
    let mut browser = world.signed_in();
    let before = world.app.hits();
    let script = "Accept: */*\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n";
    let mut ask = |target: &str, lines: &str| browser.send("GET", &world.url(WIKI, target), lines);
    let said =
        |page: &Page| serde_json::from_str::<Value>(&page.answer.body).unwrap_or_else(|_| panic!("{page:?}"));
    let good = ask("/.portcullis/probe?app=wiki", script);
    assert_eq!((good.status(), &said(&good)["permitted"]), (200, &Value::Bool(true)), "{good:?}");
    let refused = ask("/.portcullis/probe?app=wiki&path=/cellar/socket", script);
    assert_eq!((refused.status(), said(&refused)["code"].as_u64()), (403, Some(53003)), "{refused:?}");
    assert_eq!(refused.answer.header("content-type"), Some("application/problem+json"));
    // As a page it is the same: whoever opens it reads JSON, and is sent nowhere.
    let opened = ask("/.portcullis/probe?app=wiki&path=/cellar/socket", NAVIGATION);
    assert_eq!((opened.status(), said(&opened)["code"].as_u64()), (403, Some(53003)));
    for unknown in [
        "?app=shop",
        "?app=nothing",
        "",
        "?app=wiki&app=wiki",
        "?app=wiki&path=/.portcullis/me",
        "?app=wiki&path=x",
    ] {
        let page = ask(&format!("/.portcullis/probe{unknown}"), script);
        assert_eq!(page.status(), 404, "{unknown}: {page:?}");
    }
    let foreign = ask("/.portcullis/probe?app=wiki", &cross(PORTAL));
    assert_eq!(foreign.status(), 403, "{foreign:?}");
    assert_eq!(world.app.hits(), before, "nothing is asked of the app");
    // ORACLE: strangers get one answer.
    let strange = |query: &str| {
        let page =
            Browser::default().send("GET", &world.url(WIKI, &format!("/.portcullis/probe{query}")), script);
        (page.status(), said(&page)["code"].clone(), said(&page)["title"].clone())
    };
    let one = strange("?app=wiki");
    assert_eq!(one.0, 401);
    for query in ["?app=wiki&path=/cellar/x", "?app=shop", "?app=nothing", ""] {
        assert_eq!(strange(query), one, "{query}");
    }
    // Twenty at once, and then one a second.
    let limited =
        (0..40).map(|_| ask("/.portcullis/probe?app=wiki", script).status()).filter(|status| *status == 429);
    assert!(limited.count() > 0, "nobody probes without end");
}

#[test]
fn office_signs_in_by_a_dialog_where_the_app_says_so() {
    let world = world("office = true");
    let ask = |browser: &mut Browser, method: &str, target: &str, lines: &str| {
        browser.send(method, &world.url(WIKI, target), lines)
    };
    let speaks = "X-FORMS_BASED_AUTH_ACCEPTED: t\r\nUser-Agent: Microsoft Office Word 2014\r\n";
    let agent = "User-Agent: Microsoft Office Existence Discovery\r\n";
    for (method, lines) in [("OPTIONS", speaks), ("PROPFIND", agent), ("HEAD", agent), ("GET", speaks)] {
        let page = ask(&mut Browser::default(), method, "/doc.docx", lines);
        let said = |name: &str| page.answer.header(name).unwrap_or_default().to_owned();
        assert_eq!(page.status(), 403, "{method}: {page:?}");
        assert_eq!(said("x-forms_based_auth_required"), world.url(WIKI, "/.portcullis/sign-in?return=%2F"));
        assert_eq!(said("x-forms_based_auth_return_url"), world.url(WIKI, "/"));
        assert_eq!(said("x-forms_based_auth_dialog_size"), "800x600");
        assert!(
            !said("x-request-id").is_empty() && page.answer.header("www-authenticate").is_none(),
            "{page:?}"
        );
    }
    // Its dialog is a browser: it signs in there, and arrives where the answer said.
    let mut dialog = Browser::default();
    let arrived = dialog.follow(&world.url(WIKI, "/.portcullis/sign-in?return=%2F"));
    assert_eq!((arrived.status(), arrived.url), (200, world.url(WIKI, "/")));
    let opened = ask(&mut dialog, "GET", "/doc.docx", speaks);
    assert_eq!(opened.status(), 200);
    assert!(!world.app.last().head.to_ascii_lowercase().contains("forms_based"), "{}", world.app.last().head);
    // Others, and Office that says it does not, are challenged as ever.
    for lines in
        ["User-Agent: curl/8\r\n", "X-FORMS_BASED_AUTH_ACCEPTED: f\r\nUser-Agent: Microsoft Office\r\n"]
    {
        let page = ask(&mut Browser::default(), "OPTIONS", "/doc.docx", lines);
        assert_eq!((page.status(), page.answer.header("www-authenticate")), (401, Some("Bearer")), "{lines}");
    }
}

#[test]
fn what_htmx_cannot_show_is_a_page_of_its_own_for_its_user_alone() {
    let world = world("");
    let mut anna = world.signed_in();
    let current = format!("HX-Current-URL: {}\r\n", world.url(WIKI, "/page?a=b#c"));
    let before = world.app.hits();
    for method in ["GET", "POST", "DELETE"] {
        let refused = htmx(&mut anna, &world, method, "/cellar/part", &current);
        let to = refused.answer.header("hx-redirect").unwrap_or_else(|| panic!("{refused:?}")).to_owned();
        assert!(refused.status() == 403 && to.starts_with("/.portcullis/refusal/"), "{refused:?}");
        let id = refused.answer.header("x-request-id").unwrap();
        let page = anna.open(&world.url(WIKI, &to));
        assert_eq!((page.status(), page.answer.header("x-request-id")), (403, Some(id)), "{page:?}");
        assert!(page.answer.body.contains("53003") && page.answer.body.contains(id), "{page:?}");
        let in_german = anna.open(&world.url(WIKI, &format!("{to}?lang=de")));
        assert_eq!(in_german.answer.header("content-language"), Some("de"));
        // ORACLE: to anybody else it is no page at all.
        let stranger = Browser::default().open(&world.url(WIKI, &to));
        let nothing = Browser::default().open(&world.url(WIKI, "/.portcullis/refusal/AAAA"));
        let shown = |page: &Page| (page.status(), page.answer.header("proxy-status").map(str::to_owned));
        assert_eq!((stranger.status(), shown(&stranger)), (401, shown(&nothing)), "{stranger:?}");
        assert!(
            !stranger.answer.body.contains("53003") && !stranger.answer.body.contains(id),
            "{stranger:?}"
        );
        let mut bob = Browser::default();
        world.openid.behave(|manners| {
            manners.claims = Some(std::sync::Arc::new(|claims: &mut Value| claims["sub"] = "bob".into()));
        });
        bob.follow(&world.url(WIKI, "/"));
        world.openid.behave(|_| {});
        let foreign = bob.open(&world.url(WIKI, &to));
        assert_eq!(foreign.status(), 404, "{foreign:?}");
        for altered in [
            to.replace("refusal/", "refusal/A"),
            format!("{to}A"),
            format!("{to}/x"),
            to[..to.len() - 9].to_owned(),
        ] {
            let page = anna.open(&world.url(WIKI, &altered));
            assert_eq!(page.status(), 404, "{altered} of {to}: {page:?}");
        }
        // Neither is a script of a page told, nor a page of another host.
        let by_script = "Accept: */*\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n";
        assert_eq!(
            anna.send("GET", &world.url(WIKI, &to), by_script).answer.header("proxy-status").unwrap(),
            "portcullis; error=http_request_error"
        );
    }
    assert_eq!(world.app.hits(), before + 3, "bob's three front pages, and nothing else");
    // What would be let in now leads back.
    let lines = format!("{current}Accept: */*\r\n");
    let stranger = htmx(&mut Browser::default(), &world, "GET", "/part", &lines);
    let to = stranger.answer.header("hx-redirect").unwrap().to_owned();
    assert_eq!(stranger.status(), 401);
    let back = anna.open(&world.url(WIKI, &to));
    assert_eq!((back.status(), back.location().as_str()), (303, "/page?a=b"), "{back:?}");
    // And who is nobody signs in, and comes back to the page.
    let mut nobody = Browser::default();
    let end = nobody.follow(&world.url(WIKI, &to));
    assert_eq!((end.status(), end.url), (200, world.url(WIKI, "/page?a=b")));
}
