//! Q. Signing in: where it leads, what it leaves in addresses and cookies, and what begins it.

use crate::browser::{Browser, NAVIGATION};
use crate::openid::parameters;
use crate::signing_in::{AUTH, SHOP, Setup, WIKI, World};

#[test]
fn never_n58_a_browser_is_sent_off_site_after_it_signed_in() {
    let world = World::plain();
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let begin = |target: &str| {
        let url = world.url(WIKI, &format!("/.portcullis/sign-in?return={}", encode(target)));
        Browser::default().open(&url)
    };
    for target in [
        "https://evil.test/",
        "//evil.test/",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "/%5Cevil.test",
        "/%2F%2Fevil.test",
        "/\tevil.test",
        "/ /evil.test",
        "\u{a0}//evil.test",
        "/x\r\nLocation: https://evil.test",
        "javascript:alert(1)",
        "@evil.test",
        "evil.test",
        ".evil.test",
        "/../evil",
        "/a/..//evil.test",
        "/#//evil.test",
        "/.portcullis/sign-out",
        "/.PORTCULLIS/callback/idp",
        "/%2eportcullis/me",
        "/ü",
    ] {
        let page = begin(target);
        assert_eq!(page.status(), 400, "{target:?}: {page:?}");
        assert!(
            !page.answer.head.contains("evil") && !page.answer.body.contains("evil"),
            "{target:?}: {page:?}"
        );
    }
    // A query is the app's own business, and stays one.
    for target in ["/", "/x?rd=https://evil.test", "/x?y=//evil.test%0d%0a", "/a%20b?c=%5C"] {
        let page = begin(target);
        assert_eq!(page.status(), 303, "the counterpart, {target:?}: {page:?}");
        let mut browser = Browser::default();
        let back =
            browser.follow(&world.url(WIKI, &format!("/.portcullis/sign-in?return={}", encode(target))));
        assert_eq!((back.status(), back.url.as_str()), (200, world.url(WIKI, target).as_str()), "{target}");
    }
    // What the navigation itself says of other hosts changes nothing.
    for lines in [
        "X-Forwarded-Host: evil.test\r\n",
        "Referer: https://evil.test/\r\n",
        "X-Original-URL: //evil.test\r\n",
    ] {
        let page = Browser::default().send("GET", &world.url(WIKI, "/x"), &format!("{NAVIGATION}{lines}"));
        assert!(!page.answer.head.contains("evil"), "{lines}: {page:?}");
    }
}

#[test]
fn never_n59_a_token_or_what_one_can_be_got_with_is_in_an_address_of_an_app() {
    let world = World::start(Setup { more: format!("[sign-in]\nhost = \"{AUTH}\"\n"), ..Setup::default() });
    let mut browser = Browser::default();
    let mut page = browser.open(&world.url(WIKI, "/deep"));
    let mut seen = Vec::new();
    while page.status() == 303 || page.status() == 302 {
        seen.push(page.location());
        let next = browser.next(&page);
        page = browser.open(&next);
    }
    assert_eq!((page.status(), world.app.hits()), (200, 1), "{page:?}");
    let callback = seen.iter().find(|url| url.contains("/callback/")).unwrap();
    let code = parameters(callback.split_once('?').unwrap().1)["code"].clone();
    for url in &seen {
        assert!(!url.contains("eyJ") && !url.contains("access-token"), "{url}");
        // The provider's code goes to the sign-in host alone.
        assert!(url.contains(AUTH) || !url.contains(&format!("code={code}")), "{url}");
    }
    assert!(!world.app.raw().contains("code=") && !world.app.raw().contains("eyJ"), "{}", world.app.raw());
    // The code of the hand-over is for one browser, one host, one use.
    let passed = seen.iter().find(|url| url.contains("/hand-over?")).unwrap();
    assert_eq!(Browser::default().open(passed).status(), 400);
    assert_eq!(Browser::default().open(&passed.replace(WIKI, SHOP)).status(), 400);
    let again = browser.open(passed);
    assert_eq!(
        (again.status(), again.location().as_str()),
        (303, "/"),
        "whoever is signed in goes on: {again:?}"
    );
}

#[test]
fn never_n100_a_sign_in_begins_by_itself_goes_round_or_leaves_attempts_behind() {
    let world = World::plain();
    let url = world.url(WIKI, "/favicon.ico");
    for lines in [
        "Accept: */*\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: same-origin\r\nSec-Fetch-Dest: serviceworker\r\n",
        "Accept: text/html\r\nX-Requested-With: XMLHttpRequest\r\n",
    ] {
        let page = Browser::default().send("GET", &url, lines);
        assert!(page.status() == 401 && page.set_cookies().is_empty(), "{lines}: {page:?}");
        // Nor by a link of ours that a page embeds.
        let link = world.url(WIKI, "/.portcullis/sign-in?return=%2F");
        let page = Browser::default().send("GET", &link, lines);
        assert!(page.status() >= 400 && page.set_cookies().is_empty(), "{lines}: {page:?}");
    }
    assert_eq!(world.metric("portcullis_sign_ins_started_total{provider=\"idp\"}"), 0.0);
    let mut browser = Browser::default();
    for tab in 0..20 {
        assert_eq!(browser.open(&world.url(WIKI, &format!("/{tab}"))).status(), 303, "the counterpart");
    }
    assert!(browser.cookies(WIKI, "portcullis-attempt").len() <= 4);
    for _ in 0..2 {
        let page = browser.follow(&world.url(WIKI, "/"));
        assert_eq!(page.status(), 200, "{page:?}");
        browser.set(WIKI, "portcullis-session", None);
    }
    assert_eq!(browser.open(&world.url(WIKI, "/")).status(), 500, "the third turn");
    assert_eq!(Browser::without_cookies().follow(&world.url(WIKI, "/")).status(), 400);
}

#[test]
fn never_n58_a_sign_in_of_a_wildcard_host_ends_at_another_host() {
    let more = format!(
        "[sign-in]\nhost = \"{AUTH}\"\n\n[[app]]\nid = \"tools\"\nhosts = [\"*.localhost\"]\nrespond = {{ body = \"tools\" }}\nunmatched = \"allow\"\nsign-in = \"idp\"\n"
    );
    let world = World::start(Setup { more, ..Setup::default() });
    let (one, two) = ("one.localhost", "two.localhost");
    let mut browser = Browser::default();
    let page = browser.follow(&world.url(one, "/deep?id=7"));
    assert_eq!(
        (page.status(), &*page.answer.body, page.url.as_str()),
        (200, "tools", world.url(one, "/deep?id=7").as_str()),
        "{page:?}\n{}",
        world.said()
    );
    // A session is of one host, whatever host it is sent to.
    let session = browser.cookies(one, "portcullis-session");
    assert!(!session.is_empty(), "{browser:?}");
    for other in [two, WIKI, SHOP] {
        let mut thief = Browser::default();
        for (name, value) in &session {
            thief.set(other, name, Some(value));
        }
        let page = thief.open(&world.url(other, "/deep"));
        assert!(matches!(page.status(), 302 | 303), "{other}: {page:?}");
    }
    assert_eq!(world.app.hits(), 0);
    // What passes from host to host is good at the host that asked for it.
    let mut browser = Browser::default();
    let mut page = browser.open(&world.url(two, "/x"));
    let passed = loop {
        assert!(matches!(page.status(), 302 | 303), "{page:?}");
        if page.location().contains("/hand-over?") {
            break page.location();
        }
        let next = browser.next(&page);
        page = browser.open(&next);
    };
    assert!(passed.starts_with(&world.url(two, "/")), "{passed}");
    for other in [one, WIKI, AUTH] {
        let mut thief = browser.clone();
        for (name, value) in browser.cookies(two, "portcullis-hand-over") {
            thief.set(other, &name, Some(&value));
        }
        let page = thief.open(&passed.replace(two, other));
        assert!(
            page.status() >= 400 && page.set_cookies().iter().all(|line| !line.contains("session")),
            "{other}: {page:?}"
        );
    }
    assert_eq!(browser.follow(&passed).answer.body, "tools", "the counterpart");
    // No name of another depth begins a sign-in, and the sign-in host is nobody's app.
    for host in ["a.one.localhost", "localhost"] {
        let page = Browser::default().open(&world.url(host, "/x"));
        assert_eq!(page.status(), 401, "{host}: {page:?}");
        let page = Browser::default().open(&world.url(host, "/.portcullis/sign-in?return=%2Fx"));
        assert_eq!(page.status(), 401, "{host}: {page:?}");
    }
    let page = Browser::default().open(&world.url(AUTH, "/x"));
    assert_eq!(page.status(), 401, "{page:?}");
}
