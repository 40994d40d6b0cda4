//! How sessions end: by the user here, by the provider's word, from the next request on; and what apps and users are told
//! of them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::browser::{Browser, NAVIGATION, Page};
use crate::keys;
use crate::redis::Redis;
use crate::signing_in::{SHOP, Setup, WIKI, World};
use crate::wire::{Answer, exchange};

/// What a script asks with.
const FETCH: &str = "Accept: application/json\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Site: same-origin\r\n";

impl World {
    fn origin(&self, host: &str) -> String {
        format!("Origin: {}\r\nSec-Fetch-Site: same-origin\r\n", self.url(host, ""))
    }

    /// Whether the browser's session of a host is honoured.
    fn is_signed_in(&self, browser: &Browser, host: &str) -> bool {
        let before = self.app.hits();
        let status = browser.clone().send("GET", &self.url(host, "/x"), FETCH).status();
        assert!(matches!(status, 200 | 401), "{status}");
        assert_eq!(self.app.hits() - before, usize::from(status == 200));
        status == 200
    }

    fn sign_out(&self, browser: &mut Browser, host: &str) -> Page {
        browser.submit(&self.url(host, "/.portcullis/sign-out"), &self.origin(host), "")
    }

    /// What the provider says from server to server.
    fn back_channel(&self, form: &str) -> Answer {
        let head = format!(
            "POST /.portcullis/logout/backchannel HTTP/1.1\r\nHost: {WIKI}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{form}",
            form.len()
        );
        exchange(&self.proxy, head.as_bytes())
    }

    fn log_out(&self, change: impl FnOnce(&mut Value)) -> u16 {
        self.back_channel(&format!("logout_token={}", self.openid.logout_token(change))).status
    }

    fn logouts(&self, kind: &str) -> f64 {
        self.metric(&format!("portcullis_logouts_total{{kind=\"{kind}\"}}"))
    }

    /// The provider gives each sign-in this `sid`, if any, and this `sub`.
    fn signs_in_as(&self, sub: &'static str, sid: Option<&'static str>) {
        self.openid.behave(|manners| {
            manners.claims = Some(Arc::new(move |claims| {
                claims["sub"] = json!(sub);
                if let Some(sid) = sid {
                    claims["sid"] = json!(sid);
                }
            }));
        });
    }
}

#[test]
fn signing_out_asks_first_and_a_stolen_copy_of_the_cookie_is_refused_on_the_next_request() {
    let world = World::plain();
    let mut browser = world.signed_in();
    let stolen = browser.clone();
    let page = browser.open(&world.url(WIKI, "/.portcullis/sign-out"));
    assert_eq!(page.status(), 200, "{page:?}");
    assert!(page.answer.body.contains("action=\"/.portcullis/sign-out\""), "{page:?}");
    assert!(page.answer.body.contains("anna@corp.example"), "{page:?}");
    assert!(world.is_signed_in(&browser, WIKI), "to be asked ends nothing");

    let page = world.sign_out(&mut browser, WIKI);
    assert_eq!(page.status(), 303, "{page:?}\n{}", world.said());
    assert_eq!(page.answer.header("clear-site-data"), Some("\"cache\""));
    assert!(browser.cookies(WIKI, "").is_empty(), "{:?}", browser.cookies(WIKI, ""));
    let location = page.location();
    let there = format!("{}/end?tenant=7&", world.openid.issuer());
    assert!(location.starts_with(&there), "{location}");
    let sent = crate::openid::parameters(location.split_once('?').unwrap().1);
    // There is no ID token where there is no store.
    assert_eq!(sent["logout_hint"], "anna@corp.example");
    assert_eq!(sent["client_id"], crate::openid::CLIENT);
    assert_eq!(sent["post_logout_redirect_uri"], world.url(WIKI, "/.portcullis/signed-out"));
    assert!(!sent.contains_key("id_token_hint") && !sent["state"].contains("wiki"), "{sent:?}");

    for host in [WIKI, SHOP] {
        assert!(!world.is_signed_in(&stolen, host), "{host}");
    }
    assert_eq!(stolen.clone().open(&world.url(WIKI, "/")).status(), 303, "a person is sent to sign in");

    let back = browser.follow(&location);
    assert_eq!(back.status(), 200, "{back:?}");
    assert!(back.url.contains("/.portcullis/signed-out?state="), "{}", back.url);
    assert!(back.answer.body.contains(&format!("{}\"", world.url(WIKI, "/"))), "a link to sign in: {back:?}");
    assert_eq!((world.logouts("here"), world.logouts("provider")), (1.0, 1.0));
    let said = world.said();
    assert!(said.contains("signed out here") && !said.contains("anna"), "{said}");
}

#[test]
fn a_sign_out_from_another_page_ends_nothing() {
    let world = World::plain();
    let mut browser = world.signed_in();
    let url = world.url(WIKI, "/.portcullis/sign-out");
    let same = world.url(WIKI, "");
    for origin in [
        String::new(),
        "Origin: null\r\n".to_owned(),
        "Origin: https://evil.test\r\nSec-Fetch-Site: cross-site\r\n".to_owned(),
        // The same site, and another host of it; and the same host by another port.
        format!("Origin: {}\r\nSec-Fetch-Site: same-site\r\n", world.url(SHOP, "")),
        format!("Origin: http://{WIKI}:1\r\nSec-Fetch-Site: same-site\r\n"),
        format!("Origin: {same}\r\nSec-Fetch-Site: cross-site\r\n"),
        format!("Origin: {same}\r\nOrigin: https://evil.test\r\n"),
    ] {
        let page = browser.submit(&url, &origin, "");
        assert!(matches!(page.status(), 400 | 403), "{origin}: {page:?}");
        assert!(page.set_cookies().is_empty(), "{origin}: {page:?}");
        assert!(world.is_signed_in(&browser, WIKI), "{origin}");
    }
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS"] {
        let page = browser.send(method, &url, &world.origin(WIKI));
        assert_eq!(page.status(), 405, "{method}: {page:?}");
    }
    assert!(world.is_signed_in(&browser, WIKI));
    assert_eq!(world.logouts("here"), 0.0);
    assert_eq!(world.sign_out(&mut browser, WIKI).status(), 303, "the counterpart");
    assert!(!world.is_signed_in(&browser, WIKI));
}

#[test]
fn the_page_at_the_end_believes_no_state_but_our_own() {
    let world = World::plain();
    for state in ["", "?state=x", "?state=https://evil.test", "?state=a&state=b"] {
        let page = Browser::default().open(&world.url(WIKI, &format!("/.portcullis/signed-out{state}")));
        assert_eq!(page.status(), 200, "{page:?}");
        assert!(!page.answer.body.contains("\"https://evil.test"), "{page:?}");
    }
}

#[test]
fn trap_24_a_logout_by_sub_ends_all_sessions_of_the_person_on_every_host_and_a_sid_ends_its_own() {
    let world = World::plain();
    let sign_in = |host: &str| {
        let mut browser = Browser::default();
        assert_eq!(browser.follow(&world.url(host, "/")).status(), 200);
        browser
    };
    world.signs_in_as("anna", Some("s1"));
    let (phone, laptop) = (sign_in(WIKI), sign_in(SHOP));
    world.signs_in_as("anna", Some("s2"));
    let tablet = sign_in(WIKI);
    world.signs_in_as("anna", None);
    let old = sign_in(SHOP);
    world.signs_in_as("bert", Some("s3"));
    let bert = sign_in(WIKI);
    let all = [(&phone, WIKI), (&laptop, SHOP), (&tablet, WIKI), (&old, SHOP), (&bert, WIKI)];
    let stand = || all.map(|(browser, host)| world.is_signed_in(browser, host));
    assert_eq!(stand(), [true; 5]);
    assert_eq!(world.log_out(|claims| claims["sid"] = json!("s1")), 200);
    assert_eq!(stand(), [false, false, true, true, true], "a session of the provider, on both hosts");
    assert_eq!(
        world.log_out(|claims| (claims["sid"], claims["sub"]) = (json!("unknown"), json!("anna"))),
        200
    );
    assert_eq!(stand(), [false, false, true, false, true], "what named no session may rest on that one");
    assert_eq!(world.log_out(|claims| claims["sub"] = json!("anna")), 200);
    assert_eq!(stand(), [false, false, false, false, true]);
    assert_eq!(world.logouts("back-channel"), 3.0);
    world.signs_in_as("anna", Some("s4"));
    assert_eq!(
        Browser::default().follow(&world.url(WIKI, "/")).status(),
        200,
        "who signs in again is signed in"
    );
}

#[test]
fn who_signs_in_again_in_the_second_of_a_sign_out_is_signed_in_though_the_provider_goes_on_with_its_session()
{
    for session in ["", "store = { redb = \"sessions.redb\" }"] {
        let world = World::start(Setup { session, ..Setup::default() });
        world.signs_in_as("anna", Some("s1"));
        let mut browser = world.signed_in();
        for turn in 0..5 {
            let stolen = browser.clone();
            match turn % 2 {
                0 => assert_eq!(world.sign_out(&mut browser, WIKI).status(), 303),
                _ => assert_eq!(world.log_out(|claims| claims["sid"] = json!("s1")), 200),
            }
            browser = world.signed_in();
            assert!(world.is_signed_in(&browser, WIKI), "{session:?}, {turn}");
            assert!(!world.is_signed_in(&stolen, WIKI), "{session:?}, {turn}");
        }
    }
}

#[test]
fn who_signs_out_while_the_provider_is_down_ends_on_our_page_and_is_told() {
    let world = World::plain();
    let mut browser = world.signed_in();
    let stolen = browser.clone();
    world.openid.behave(|manners| manners.is_down = true);
    // It is taken to answer for a second after it did.
    std::thread::sleep(Duration::from_millis(1_200));
    let page = world.sign_out(&mut browser, WIKI);
    assert_eq!(page.status(), 303, "{page:?}");
    assert!(page.location().starts_with("/.portcullis/signed-out?state="), "{page:?}");
    assert!(!world.is_signed_in(&stolen, WIKI));
    let end = browser.next(&page);
    let end = browser.open(&end);
    assert_eq!(end.status(), 200, "{end:?}");
    for told in ["“<bdi>Contoso</bdi>” did not answer", "Signed out here"] {
        assert!(end.answer.body.contains(told), "{told}: {end:?}");
    }
    assert_eq!((world.logouts("here"), world.logouts("provider")), (1.0, 0.0));
}

#[test]
fn a_sign_out_that_could_not_be_kept_is_said_again_until_it_is() {
    let world = World::plain();
    world.signs_in_as("anna", Some("s1"));
    let mut browser = world.signed_in();
    let journal = world.folder.path().join("revocations.journal");
    let length = || std::fs::metadata(&journal).unwrap().len();
    let before = length();
    world.limit_files(&before.to_string());
    for turn in ["first", "second"] {
        let page = world.sign_out(&mut browser, WIKI);
        assert_eq!(page.status(), 503, "{turn}: nobody is told that it worked: {page:?}");
        assert!(!world.is_signed_in(&browser, WIKI), "{turn}: here it has ended");
    }
    assert_eq!(length(), before);
    world.limit_files("unlimited");
    let page = world.sign_out(&mut browser, WIKI);
    assert_eq!(page.status(), 303, "{page:?}\n{}", world.said());
    assert!(length() > before, "it lasts now");
}

#[test]
fn traps_23_25_26_27_what_is_no_logout_token_ends_nothing() {
    let world = World::plain();
    world.signs_in_as("anna", Some("s1"));
    let browser = world.signed_in();
    let good = world.openid.logout_token(|claims| claims["sid"] = json!("s1"));
    let with = |change: fn(&mut Value)| {
        world.openid.logout_token(|claims| {
            claims["sid"] = json!("s1");
            change(claims);
        })
    };
    let id_token = |header: &str| {
        let now = keys::now();
        let claims = json!({
            "iss": world.openid.issuer(), "aud": crate::openid::CLIENT, "sub": "anna", "sid": "s1", "iat": now,
            "exp": now + 60, "nonce": "n",
        });
        keys::sign(&keys::EC, header, &claims.to_string())
    };
    let one = |token: String| format!("logout_token={token}");
    let logout_header = r#"{"alg":"ES256","typ":"logout+jwt","kid":"ec"}"#;
    for (what, form) in [
        ("nothing", String::new()),
        ("doubled", format!("logout_token={good}&logout_token={good}")),
        ("without iat", one(with(|claims| drop(claims.as_object_mut().unwrap().remove("iat"))))),
        ("without jti", one(with(|claims| drop(claims.as_object_mut().unwrap().remove("jti"))))),
        ("without events", one(with(|claims| drop(claims.as_object_mut().unwrap().remove("events"))))),
        ("of another event", one(with(|claims| claims["events"] = json!({"urn:other": {}})))),
        ("with a nonce", one(with(|claims| claims["nonce"] = json!("n")))),
        ("of nobody", one(with(|claims| drop(claims.as_object_mut().unwrap().remove("sid"))))),
        ("old", one(with(|claims| claims["iat"] = json!(keys::now() - 100_000)))),
        ("over", one(with(|claims| claims["exp"] = json!(keys::now() - 1_000)))),
        ("of another client", one(with(|claims| claims["aud"] = json!("another")))),
        ("of another issuer", one(with(|claims| claims["iss"] = json!("https://evil.test")))),
        ("an ID token", one(id_token(keys::HEADER))),
        ("an ID token with its type", one(id_token(logout_header))),
        ("signed by a stranger", {
            let payload = good.split('.').nth(1).unwrap();
            let payload = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload);
            one(keys::sign(&keys::STRANGER, logout_header, &String::from_utf8(payload.unwrap()).unwrap()))
        }),
        ("no token", "logout_token=x".to_owned()),
    ] {
        let answer = world.back_channel(&form);
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
        assert!(world.is_signed_in(&browser, WIKI), "{what}");
    }
    assert_eq!(world.logouts("back-channel"), 0.0);
    let form = format!("logout_token={good}");
    let answer = world.back_channel(&form);
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "the counterpart");
    assert!(!world.is_signed_in(&browser, WIKI));
    assert_eq!(world.back_channel(&form).status, 400, "a second time");
    assert_eq!(world.logouts("back-channel"), 1.0);
    let said = world.said();
    assert!(!said.contains("eyJ") && !said.contains("anna"), "{said}");
}

/// What ends a session of `anna` at the provider's session `s1`.
type End = fn(&World, &mut Browser);

const ENDS: [(&str, End); 4] = [
    ("here", |world, browser| assert_eq!(world.sign_out(browser, WIKI).status(), 303)),
    ("back-channel by sid", |world, _| {
        assert_eq!(world.log_out(|claims| claims["sid"] = json!("s1")), 200, "{}", world.said());
    }),
    ("back-channel by sub", |world, _| {
        assert_eq!(world.log_out(|claims| claims["sub"] = json!("anna")), 200, "{}", world.said());
    }),
    ("front-channel", |world, _| {
        let query = format!("?iss={}&sid=s1", world.openid.issuer());
        let url = world.url(WIKI, &format!("/.portcullis/logout/frontchannel{query}"));
        assert_eq!(Browser::default().send("GET", &url, "").status(), 200);
    }),
];

#[test]
fn a_session_that_ended_is_refused_by_every_replica_whatever_ended_it_and_wherever_it_is_stored() {
    let redis = Redis::start();
    let of_redis = redis.as_ref().map(Redis::store);
    let stores = [Some(("cookie", "", 1)), Some(("redb", "store = { redb = \"sessions.redb\" }", 1))];
    let stores = stores.into_iter().chain([of_redis.map(|lines| ("redis", lines, 2))]).flatten();
    for (store, session, count) in stores {
        let setup = Setup { session, session_key: Some(crate::signing_in::random()), ..Setup::default() };
        let first = World::start(setup.clone());
        let start = |_| {
            let (app, openid, other) = (first.app.clone(), first.openid.clone(), first.other.clone());
            World::start_with(setup.clone(), app, openid, other)
        };
        let others: Vec<World> = (1..count).map(start).collect();
        for (what, end) in ENDS {
            first.signs_in_as("anna", Some("s1"));
            let mut browser = first.signed_in();
            let stolen = browser.clone();
            let replicas = || std::iter::once(&first).chain(&others);
            for world in replicas() {
                assert!(world.is_signed_in(&stolen, WIKI), "{store}, {what}: {}", world.said());
            }
            end(&first, &mut browser);
            assert!(!first.is_signed_in(&stolen, WIKI), "{store}, {what}: the next request");
            for world in &others {
                let started = Instant::now();
                while world.is_signed_in(&stolen, WIKI) {
                    assert!(started.elapsed() < Duration::from_secs(10), "{store}, {what}: {}", world.said());
                }
            }
        }
    }
}

#[test]
fn sessions_and_what_ended_outlive_an_upgrade_wherever_they_are() {
    let server = "upgrade-socket = \"up.sock\"\npid-file = \"pid\"\ngrace = \"10s\"";
    for session in ["", "store = { redb = \"sessions.redb\" }"] {
        let mut world = World::start(Setup { server, session, ..Setup::default() });
        let mut browser = world.signed_in();
        let mut other = world.signed_in();
        let stolen = other.clone();
        assert_eq!(world.sign_out(&mut other, WIKI).status(), 303);
        for turn in 0..2 {
            world.upgrade();
            assert!(world.is_signed_in(&browser, WIKI), "{session:?}, {turn}: {}", world.said());
            assert!(!world.is_signed_in(&stolen, WIKI), "{session:?}, {turn}: {}", world.said());
        }
        let stolen = browser.clone();
        assert_eq!(world.sign_out(&mut browser, WIKI).status(), 303, "{}", world.said());
        world.upgrade();
        assert!(!world.is_signed_in(&stolen, WIKI), "{session:?}: {}", world.said());
        world.signed_in();
    }
}

#[test]
fn a_redis_by_tls_is_believed_by_its_own_authority_alone() {
    let Some(redis) = Redis::start_tls() else { return };
    let world = World::start(Setup { session: redis.store_of("ca.pem"), ..Setup::default() });
    let browser = world.signed_in();
    assert!(world.is_signed_in(&browser, WIKI));
    for session in [redis.store_of("other.pem"), redis.store()] {
        let world = World::start(Setup { session, ..Setup::default() });
        let page = Browser::default().follow(&world.url(WIKI, "/"));
        assert_eq!(page.status(), 503, "{session}: {page:?}\n{}", world.said());
        assert_eq!(world.app.hits(), 0);
    }
}

#[test]
fn n81_a_live_websocket_on_a_session_ends_with_the_sign_out() {
    const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let world = World::plain();
    let mut browser = world.signed_in();
    let (origin, cookie) = (world.url(WIKI, ""), browser.header(WIKI));
    let host = origin.strip_prefix("http://").unwrap();
    let head = format!("GET /ws HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n{UPGRADE}{cookie}\r\n");
    // The app echoes.
    const HELLO: &[u8] = b"\x81\x85\0\0\0\0hello";
    let live = || {
        let mut socket = std::net::TcpStream::connect(&world.proxy).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        socket.write_all(head.as_bytes()).unwrap();
        let answer = crate::wire::answer(&mut socket, true);
        assert_eq!(answer.status, 101, "{answer:?}");
        socket.write_all(HELLO).unwrap();
        let mut echo = [0; HELLO.len()];
        (socket.read_exact(&mut echo).is_ok() && echo == HELLO).then_some(socket)
    };
    let mut socket = (0..3).find_map(|_| live()).expect("it lives");
    assert_eq!(world.sign_out(&mut browser, WIKI).status(), 303);
    // It is judged once a second. The app's echo is masked, which no server's frame is: so no frame of ours is put
    // behind it.
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut rest = [0; 64];
    let (begun, mut passed) = (Instant::now(), 0);
    let ended = loop {
        // Whether the socket takes more is not what is asked.
        let _ = socket.write_all(HELLO);
        std::thread::sleep(Duration::from_millis(100));
        match socket.read(&mut rest) {
            Ok(0) => break true,
            Ok(count) => passed += count,
            Err(problem) if matches!(problem.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break true,
        }
        if begun.elapsed() > Duration::from_secs(60) {
            break false;
        }
    };
    assert!(ended, "{passed} bytes of the app came after the sign-out, and it goes on");
    // Ten a second.
    assert!(passed <= 50 * HELLO.len(), "{passed} bytes");
}

#[test]
fn trap_34_signing_out_changes_a_cookie_that_no_script_reads_and_empties_caches() {
    let world = World::plain();
    let mut browser = world.signed_in();
    let page = world.sign_out(&mut browser, WIKI);
    let of_session = |line: &&str| line.starts_with("portcullis-session=");
    let [line] = page.set_cookies().into_iter().filter(of_session).collect::<Vec<_>>()[..] else {
        panic!("{page:?}");
    };
    assert!(line.contains("HttpOnly") && line.contains("Max-Age=0"), "{line}");
    let end = browser.open(&world.url(WIKI, "/.portcullis/signed-out"));
    for answer in [&page.answer, &end.answer] {
        assert_eq!(answer.header("clear-site-data"), Some("\"cache\""));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn trap_27_a_logout_token_signs_nobody_in() {
    let world = World::plain();
    world.openid.behave(|manners| {
        manners.sign = Some(|claims| {
            let mut claims = claims.clone();
            claims["jti"] = json!("j");
            claims["events"] = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
            keys::sign(&keys::EC, r#"{"alg":"ES256","typ":"logout+jwt","kid":"ec"}"#, &claims.to_string())
        });
    });
    let mut browser = Browser::default();
    let page = browser.follow(&world.url(WIKI, "/"));
    assert!(page.status() >= 400, "{page:?}");
    assert_eq!((world.app.hits(), world.completed()), (0, 0.0));
}

#[test]
fn a_front_channel_logout_ends_the_session_that_it_names_and_tells_nobody_what_there_is() {
    let world = World::plain();
    world.signs_in_as("anna", Some("s1"));
    let browser = world.signed_in();
    let issuer = world.openid.issuer();
    let ask = |query: &str| {
        let url = world.url(WIKI, &format!("/.portcullis/logout/frontchannel{query}"));
        let frame = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\nSec-Fetch-Site: cross-site\r\n";
        Browser::default().send("GET", &url, frame)
    };
    for query in [
        String::new(),
        "?sid=s1".to_owned(),
        format!("?iss={issuer}"),
        format!("?iss={issuer}&sid=s1&sid=s1"),
        format!("?iss={issuer}&sid={}", "x".repeat(600)),
    ] {
        assert_eq!(ask(&query).status(), 400, "{query}");
        assert!(world.is_signed_in(&browser, WIKI), "{query}");
    }
    let said = |page: &Page| {
        let head = page.answer.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
        format!("{}\n{}", head.collect::<Vec<_>>().join("\n"), page.answer.body)
    };
    let invented = ["?iss=https://evil.test&sid=s1".to_owned(), format!("?iss={issuer}&sid=s2")];
    let invented = invented.map(|query| said(&ask(&query)));
    assert!(world.is_signed_in(&browser, WIKI));
    assert_eq!(world.logouts("front-channel"), 0.0);
    let page = ask(&format!("?iss={issuer}&sid=s1"));
    assert_eq!(page.status(), 200, "{page:?}");
    assert_eq!(page.answer.header("cache-control"), Some("no-store"));
    let policy = page.answer.header("content-security-policy").unwrap();
    assert_eq!(policy, "default-src 'none'; frame-ancestors *");
    assert!(!world.is_signed_in(&browser, WIKI));
    assert_eq!(invented, [said(&page), said(&page)], "an issuer and a session that there are not");
    assert_eq!(world.logouts("front-channel"), 1.0);
}

#[test]
fn what_strangers_invent_keeps_out_no_logout_and_takes_no_room_where_sessions_are_stored() {
    for session in ["", "store = { redb = \"sessions.redb\" }"] {
        let world = World::start(Setup { session, ..Setup::default() });
        world.signs_in_as("anna", Some("s1"));
        let browser = world.signed_in();
        let issuer = world.openid.issuer();
        let ask = |sid: &str| {
            let target = format!("/.portcullis/logout/frontchannel?iss={issuer}&sid={sid}");
            Browser::default().send("GET", &world.url(WIKI, &target), "").status()
        };
        let answers: Vec<u16> = (0..400).map(|number| ask(&format!("invented-{number}"))).collect();
        // What would have to be kept has a budget; and the one of those that are known is not touched by it.
        assert_eq!(answers.contains(&429), session.is_empty(), "{session:?}");
        assert!(world.is_signed_in(&browser, WIKI));
        assert_eq!(ask("s1"), 200, "{session:?}");
        assert!(!world.is_signed_in(&browser, WIKI), "{session:?}");
        assert_eq!(world.log_out(|claims| claims["sub"] = json!("anna")), 200);
    }
}

#[test]
fn an_app_that_clears_site_data_ends_no_session_unless_it_may() {
    for (wiki, left) in [("", "\"cache\""), ("clears-cookies = true", "\"cache\", \"cookies\"")] {
        let world = World::start(Setup { wiki, ..Setup::default() });
        let page = world.signed_in().send("GET", &world.url(WIKI, "/clear"), FETCH);
        assert_eq!((page.status(), page.answer.header("clear-site-data")), (200, Some(left)), "{wiki}");
    }
}

#[test]
fn me_says_who_is_signed_in_to_a_page_and_to_a_person_and_nothing_to_others() {
    let world = World::plain();
    let mut browser = world.signed_in();
    let url = world.url(WIKI, "/.portcullis/me");
    let page = browser.send("GET", &url, FETCH);
    assert_eq!(page.status(), 200, "{page:?}");
    assert_eq!(page.answer.header("cache-control"), Some("no-store"));
    let said: Value = serde_json::from_str(&page.answer.body).unwrap();
    let text = said.to_string();
    for known in ["anna@corp.example", "Contoso", "Wiki", "127.0.0.1", "/.portcullis/sign-out", "pwd"] {
        assert!(text.contains(known), "{known}: {text}");
    }
    for secret in ["access-token", "eyJ"] {
        assert!(!text.contains(secret), "{text}");
    }
    let page = browser.send("GET", &url, NAVIGATION);
    assert_eq!(page.status(), 200, "{page:?}");
    assert!(page.answer.body.contains("anna@corp.example"), "{page:?}");
    let foreign = "Accept: application/json\r\nOrigin: https://evil.test\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Site: cross-site\r\n";
    let page = browser.send("GET", &url, foreign);
    assert!(!page.answer.body.contains("anna"), "{page:?}");
    let page = Browser::default().send("GET", &url, FETCH);
    assert_eq!(page.status(), 401, "{page:?}");
    let page = Browser::default().send("GET", &url, NAVIGATION);
    assert_eq!(page.status(), 401, "{page:?}");
    assert!(page.answer.body.contains("href=\"/.portcullis/sign-in?return=%2F\""), "no dead end: {page:?}");
    assert_eq!(world.app.hits(), 1, "none of this reached the app");
}

#[test]
fn an_app_receives_a_signed_statement_of_who_asks_and_nobody_else_can_send_one() {
    let folder = tempfile::tempdir().unwrap();
    let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_pem();
    let file = folder.path().join("assertion.pem");
    std::fs::write(&file, pem).unwrap();
    let more = format!("[assertion]\nkeys = [\"{}\"]\nlife = \"2m\"\n", file.display());
    let world = World::start(Setup { wiki: "assertion = true", more, ..Setup::default() });
    let mut browser = world.signed_in();
    let forged = "X-Portcullis-Assertion: forged\r\nX_Portcullis_Assertion: forged\r\n";
    let page = browser.send("GET", &world.url(WIKI, "/x"), &format!("{FETCH}{forged}"));
    assert_eq!(page.status(), 200, "{page:?}");
    let seen = world.app.last();
    assert!(!seen.holds("forged"), "{}", seen.head);
    let [assertion] = seen.values("x-portcullis-assertion")[..] else { panic!("{}", seen.head) };
    let keys = Browser::default().send("GET", &world.url(WIKI, "/.portcullis/keys"), "");
    assert_eq!(keys.answer.header("content-type"), Some("application/jwk-set+json"));
    assert!(keys.answer.header("cache-control").unwrap().starts_with("public, max-age="));
    let claims = verified(assertion, &keys.answer.body);
    assert_eq!(claims["iss"], json!(world.url(WIKI, "")));
    assert_eq!(
        (&claims["aud"], &claims["sub"], &claims["groups"]),
        (&json!("wiki"), &json!("anna"), &json!(["staff"]))
    );
    let session = claims["sid"].as_str().unwrap().to_owned();
    assert!(!browser.cookies(WIKI, "").iter().any(|(_, value)| value.contains(&session)));
    // The same one serves the next request, and another session has another.
    browser.send("GET", &world.url(WIKI, "/y"), FETCH);
    assert_eq!(world.app.last().values("x-portcullis-assertion"), [assertion]);
    world.signed_in();
    let other = world.app.last();
    let [other] = other.values("x-portcullis-assertion")[..] else { panic!("{}", other.head) };
    assert_ne!(verified(other, &keys.answer.body)["sid"], json!(session));
    // An app that wants none receives none, whoever sends it.
    let mut shopper = Browser::default();
    assert_eq!(shopper.follow(&world.url(SHOP, "/")).status(), 200);
    shopper.send("GET", &world.url(SHOP, "/x"), &format!("{FETCH}{forged}"));
    let seen = world.app.last();
    assert!(seen.values("x-portcullis-assertion").is_empty() && !seen.holds("forged"), "{}", seen.head);
    // A caller with a token of its own is told of, too.
    let now = keys::now();
    let token = json!({
        "iss": world.openid.issuer(), "aud": "api://wiki", "sub": "program", "iat": now, "exp": now + 60,
    });
    let token = keys::sign(&keys::EC, keys::HEADER, &token.to_string());
    let page =
        Browser::default().send("GET", &world.url(WIKI, "/z"), &format!("Authorization: Bearer {token}\r\n"));
    assert_eq!(page.status(), 200, "{page:?}");
    let seen = world.app.last();
    let [assertion] = seen.values("x-portcullis-assertion")[..] else { panic!("{}", seen.head) };
    let claims = verified(assertion, &keys.answer.body);
    assert_eq!((&claims["sub"], &claims["sid"]), (&json!("program"), &Value::Null));
}

/// The claims of an assertion that these keys verify.
fn verified(assertion: &str, keys: &str) -> Value {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let keys: Value = serde_json::from_str(keys).unwrap();
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let coordinate = |name: &str| part(keys["keys"][0][name].as_str().unwrap());
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(signed.as_bytes(), &part(signature)).unwrap();
    serde_json::from_slice(&part(signed.split_once('.').unwrap().1)).unwrap()
}
