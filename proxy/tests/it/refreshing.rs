//! Tokens of sessions in a store: apps receive them, and they are fresh.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::redis::Redis;
use crate::signing_in::{SHOP, Setup, WIKI, World, random};

const FETCH: &str = "Accept: application/json\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Site: same-origin\r\n";

fn setup(session: &'static str) -> Setup {
    Setup {
        provider: "scopes = [\"openid\", \"profile\", \"offline_access\"]",
        wiki: "session-authorization = \"access-token\"",
        session: format!("{session}\nrefresh = true").leak(),
        session_key: Some(random()),
        ..Setup::default()
    }
}

fn world() -> World {
    World::start(setup("store = { redb = \"sessions.redb\" }"))
}

/// What comes with a token answer beside the rest.
#[derive(Clone, Copy)]
enum Gives {
    /// A refresh token that counts once.
    New,
    /// None.
    None,
}

impl World {
    /// From now on access tokens are good for so many seconds; `claims` changes ID tokens.
    fn gives(&self, secs: u32, gives: Gives, claims: fn(&mut Value)) {
        let latest = Arc::clone(&self.openid.refreshes);
        self.openid.behave(|manners| {
            manners.claims = Some(Arc::new(claims));
            manners.tokens = Some(Arc::new(move |text| {
                *text = text.replacen("\"expires_in\":300", &format!("\"expires_in\":{secs}"), 1);
                if matches!(gives, Gives::New) {
                    let token =
                        format!("{{\"refresh_token\":\"refresh-token-{}\",", latest.load(Ordering::SeqCst));
                    *text = text.replacen('{', &token, 1);
                }
            }));
        });
    }

    fn refreshes(&self, result: &str) -> f64 {
        self.metric(&format!("portcullis_session_refreshes_total{{provider=\"idp\",result=\"{result}\"}}"))
    }

    fn wait_for_refresh(&self, result: &str) {
        let started = Instant::now();
        while self.refreshes(result) == 0.0 {
            assert!(started.elapsed() < Duration::from_secs(60), "never {result}: {}", self.said());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What the app of a host received as `Authorization`.
    fn authorization(&self, browser: &mut Browser, host: &str, more: &str) -> Vec<String> {
        let page = browser.send("GET", &self.url(host, "/x"), &format!("{FETCH}{more}"));
        assert_eq!(page.status(), 200, "{page:?}\n{}", self.said());
        self.app.last().values("authorization").into_iter().map(str::to_owned).collect()
    }

    fn methods(&self, browser: &mut Browser) -> String {
        browser.send("GET", &self.url(WIKI, "/.portcullis/me"), FETCH).answer.body
    }
}

#[test]
fn an_app_receives_the_access_token_and_a_fresh_one_before_it_ends_and_claims_follow() {
    let world = world();
    world.gives(61, Gives::New, |_| {});
    let mut browser = world.signed_in();
    assert_eq!(world.authorization(&mut browser, WIKI, ""), ["Bearer access-token-of-anna"]);
    for cookie in browser.cookies(WIKI, "") {
        assert!(!world.app.last().holds(&cookie.1), "{cookie:?}");
    }
    world.gives(3_000, Gives::New, |claims| claims["amr"] = json!(["pwd", "otp", "mfa"]));
    world.wait_for_refresh("refreshed");
    assert_eq!(world.authorization(&mut browser, WIKI, ""), ["Bearer access-token-1"]);
    let me = world.methods(&mut browser);
    assert!(me.contains("mfa"), "{me}");
    // Not before: of this provider's refresh tokens one counts, whoever has it.
    let mut shopper = Browser::default();
    assert_eq!(shopper.follow(&world.url(SHOP, "/")).status(), 200);
    assert!(world.authorization(&mut shopper, SHOP, "").is_empty(), "an app that does not ask for it");
    let said = world.said() + &world.log();
    for secret in ["access-token-", "refresh-token-", "eyJ"] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
}

#[test]
fn a_refresh_without_a_new_refresh_token_leaves_the_old_one_good() {
    let world = world();
    world.gives(61, Gives::New, |_| {});
    let mut browser = world.signed_in();
    world.gives(3_000, Gives::None, |_| {});
    world.wait_for_refresh("refreshed");
    assert_eq!(world.authorization(&mut browser, WIKI, ""), ["Bearer access-token-1"]);
    let asked = world.openid.asked("/token");
    assert_eq!(asked.last().unwrap().parameters["refresh_token"], "refresh-token-0");
}

#[test]
fn trap_20_a_failed_refresh_holds_no_lock_and_trap_21_ends_no_session_but_a_grant_that_is_over_does() {
    let world = world();
    world.gives(61, Gives::New, |_| {});
    let mut browser = world.signed_in();
    world.openid.behave(|manners| manners.token_endpoint = Some(crate::openid::Breakdown::Status(500)));
    world.wait_for_refresh("failed");
    assert_eq!(world.refreshes("failed"), 1.0, "not asked again at once");
    assert_eq!(browser.send("GET", &world.url(WIKI, "/x"), FETCH).status(), 200, "{}", world.said());
    // The next attempt comes before the lock of the first one would be over, and the grant is over.
    world.gives(3_000, Gives::New, |_| {});
    world.openid.refreshes.store(7, Ordering::SeqCst);
    world.wait_for_refresh("ended");
    assert_eq!(browser.send("GET", &world.url(WIKI, "/x"), FETCH).status(), 401, "{}", world.said());
}

#[test]
fn trap_22_a_refreshed_id_token_of_somebody_else_ends_the_session_whose_grant_it_used_up() {
    let world = world();
    world.gives(61, Gives::New, |claims| claims["sid"] = json!("s1"));
    let mut browser = world.signed_in();
    world.gives(3_000, Gives::New, |claims| claims["sub"] = json!("eve"));
    world.wait_for_refresh("ended");
    let before = world.app.hits();
    assert_eq!(browser.send("GET", &world.url(WIKI, "/x"), FETCH).status(), 401, "{}", world.said());
    assert_eq!(world.app.hits(), before);
}

#[test]
fn a_refreshed_id_token_that_does_not_count_yet_loses_no_refresh_token() {
    let world = world();
    world.gives(61, Gives::New, |_| {});
    let mut browser = world.signed_in();
    world.gives(3_000, Gives::New, |claims| claims["nbf"] = json!(claims["exp"].as_i64().unwrap() - 1));
    world.wait_for_refresh("failed");
    assert_eq!(browser.send("GET", &world.url(WIKI, "/x"), FETCH).status(), 200, "{}", world.said());
    assert_eq!(
        world.app.last().values("authorization"),
        ["Bearer access-token-of-anna"],
        "nothing of it counts"
    );
    world.gives(3_000, Gives::New, |_| {});
    world.wait_for_refresh("refreshed");
    let asked = world.openid.asked("/token");
    assert_eq!(asked.last().unwrap().parameters["refresh_token"], "refresh-token-1");
}

#[test]
fn trap_19_two_replicas_use_a_refresh_token_once_and_both_have_what_it_brought() {
    let Some(redis) = Redis::start() else { return };
    let setup = setup(redis.store());
    let first = World::start(setup.clone());
    let (app, openid, other) = (first.app.clone(), first.openid.clone(), first.other.clone());
    let second = World::start_with(setup, app, openid, other);
    first.gives(61, Gives::New, |_| {});
    let mut browser = first.signed_in();
    for world in [&first, &second] {
        assert_eq!(world.authorization(&mut browser, WIKI, ""), ["Bearer access-token-of-anna"]);
    }
    first.gives(3_000, Gives::New, |_| {});
    let done = |result: &str| first.refreshes(result) + second.refreshes(result);
    let started = Instant::now();
    while done("refreshed") + done("elsewhere") < 2.0 {
        assert!(started.elapsed() < Duration::from_secs(60), "{}{}", first.said(), second.said());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!((done("refreshed"), done("failed"), done("ended")), (1.0, 0.0, 0.0));
    let grants = first.openid.asked("/token");
    assert_eq!(grants.iter().filter(|asked| asked.parameters["grant_type"] == "refresh_token").count(), 1);
    for world in [&first, &second] {
        assert_eq!(world.authorization(&mut browser, WIKI, ""), ["Bearer access-token-1"]);
    }
}
