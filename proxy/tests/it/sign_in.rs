//! Signing in with the real binary: the good course of it, and everything that a provider, a link or a browser may bring
//! instead.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, KeyPair as _, RSA_PSS_2048_8192_SHA256};
use serde_json::{Value, json};

use crate::browser::{Browser, NAVIGATION, Page};
use crate::free::free_address;
use crate::keys;
use crate::openid::{Breakdown, Client, Manners, OpenId, parameters};
use crate::origin::{BODY, Origin};
use crate::service::wait_for;
use crate::signing_in::{AUTH, SHOP, Setup, WIKI, World};
use crate::wire::exchange;

/// The query of an address.
fn query_of(url: &str) -> std::collections::BTreeMap<String, String> {
    parameters(url.split_once('?').map_or("", |(_, query)| query))
}

/// Nobody is signed in: neither here, nor at the next request.
fn assert_nobody(world: &World, browser: &mut Browser, page: &Page) {
    assert!(page.status() >= 400, "{page:?}");
    assert!(!page.set_cookies().iter().any(|line| line.starts_with("portcullis-session=ey")), "{page:?}");
    assert!(browser.cookies(WIKI, "portcullis-session").is_empty(), "{browser:?}");
    assert!(browser.cookies(WIKI, "portcullis-attempt").is_empty(), "the attempt is over: {browser:?}");
    assert_eq!(world.app.hits(), 0, "the app was reached");
}

#[test]
fn a_deep_link_leads_through_the_provider_to_the_very_page_and_to_no_other_app() {
    let world = World::plain();
    let mut browser = Browser::default();
    let first = browser.open(&world.url(WIKI, "/deep/page?id=7&x=%2F"));
    assert_eq!(first.status(), 303, "{first:?}\n{}", world.said());
    let asked = query_of(&first.location());
    assert!(first.location().starts_with(&format!("{}/authorize?", world.openid.issuer())), "{first:?}");
    assert_eq!(asked["redirect_uri"], world.url(WIKI, "/.portcullis/callback/idp"));
    assert!(asked["state"].len() > 43 && asked["nonce"].len() == 43, "{asked:?}");
    let back = browser.open(&first.location());
    let end = browser.open(&browser.next(&back));
    assert_eq!((end.status(), end.location().as_str()), (303, "/deep/page?id=7&x=%2F"), "{}", world.said());
    let page = browser.open(&browser.next(&end));
    assert_eq!((page.status(), page.answer.body.as_str()), (200, BODY), "{page:?}");
    let seen = world.app.last();
    assert_eq!((seen.target(), seen.values("x-user")), ("/deep/page?id=7&x=%2F", vec!["anna"]));
    assert!(seen.values("cookie").is_empty(), "our cookies stay here: {}", seen.head);
    assert_eq!((world.completed(), browser.cookies(WIKI, "portcullis-attempt").len()), (1.0, 0));
    // The other app has its own session.
    assert_eq!(browser.open(&world.url(SHOP, "/")).status(), 303);
    // What was used is over: the same answer again signs nobody in, and whoever is signed in goes on.
    let again = browser.open(&browser.next(&back));
    assert_eq!((again.status(), again.location().as_str()), (303, "/"));
    let mut stranger = Browser::default();
    assert_eq!(stranger.open(&browser.next(&back)).status(), 400);
    assert_eq!(world.openid.asked("/token").len(), 1, "the code was sent once");
}

#[test]
fn each_misbehaviour_of_a_provider_has_its_word_and_signs_nobody_in() {
    let claims = |change: fn(&mut Value)| Manners { claims: Some(Arc::new(change)), ..Manners::default() };
    let broken = |what| Manners { token_endpoint: Some(what), ..Manners::default() };
    let answer = |change: fn(&mut Vec<(String, String)>)| Manners {
        answer: Some(Arc::new(change)),
        ..Manners::default()
    };
    let sign = |sign: fn(&Value) -> String| Manners { sign: Some(sign), ..Manners::default() };
    let text = |change: fn(&mut String)| Manners { tokens: Some(Arc::new(change)), ..Manners::default() };
    let cases: Vec<(&str, Manners)> = vec![
        ("other-issuer", answer(|answer| answer[2].1 = "https://evil.test".into())),
        ("other-issuer", answer(|answer| drop(answer.remove(2)))),
        ("id-token-issuer", claims(|claims| claims["iss"] = json!("https://evil.test"))),
        ("id-token-nonce", claims(|claims| claims["nonce"] = json!("another"))),
        ("id-token-nonce", claims(|claims| drop(claims.as_object_mut().unwrap().remove("nonce")))),
        ("id-token-audience", claims(|claims| claims["aud"] = json!("another"))),
        ("id-token-audience", claims(|claims| claims["aud"] = json!(["wiki-client", "another"]))),
        ("id-token-audience", claims(|claims| claims["azp"] = json!("another"))),
        // An access token's audience is none of an ID token.
        ("id-token-audience", claims(|claims| claims["aud"] = json!("api://wiki"))),
        ("id-token-access-token", claims(|claims| claims["at_hash"] = json!("AAAAAAAAAAAAAAAAAAAAAA"))),
        ("id-token-time", claims(|claims| claims["exp"] = json!(keys::now() - 1_000))),
        ("id-token-time", claims(|claims| claims["iat"] = json!(keys::now() + 1_000))),
        ("id-token-claims", claims(|claims| drop(claims.as_object_mut().unwrap().remove("sub")))),
        (
            "id-token-malformed",
            sign(|claims| {
                format!("{}.{}.", keys::b64(r#"{"alg":"none","typ":"JWT"}"#), keys::b64(claims.to_string()))
            }),
        ),
        (
            "id-token-signature",
            sign(|claims| {
                let head = keys::b64(r#"{"alg":"none","typ":"JWT"}"#);
                format!("{head}.{}.AAAA", keys::b64(claims.to_string()))
            }),
        ),
        ("id-token-signature", sign(|claims| keys::sign(&keys::STRANGER, keys::HEADER, &claims.to_string()))),
        (
            "id-token-malformed",
            sign(|claims| {
                let doubled = claims.to_string().replacen('{', "{\"sub\":\"eve\",", 1);
                keys::sign(&keys::EC, keys::HEADER, &doubled)
            }),
        ),
        ("malformed-answer", text(|text| *text = text.replacen('{', "{\"id_token\":\"x\",", 1))),
        ("malformed-answer", text(|text| *text = r#"{"access_token":"x","token_type":"bearer"}"#.into())),
        ("malformed-answer", text(|text| *text = text.replacen("\"bearer\"", "\"mac\"", 1))),
        ("malformed-answer", text(|text| *text = "[]".into())),
        ("answer-too-large", broken(Breakdown::Huge)),
        ("provider-timeout", broken(Breakdown::Silent)),
        ("malformed-answer", broken(Breakdown::Cut)),
        ("malformed-answer", broken(Breakdown::Redirect)),
        ("malformed-answer", broken(Breakdown::Html)),
        ("malformed-answer", broken(Breakdown::ContentType)),
        ("provider-unavailable", broken(Breakdown::Status(500))),
        ("provider-error", broken(Breakdown::Status(418))),
    ];
    let world = World::plain();
    for (word, manners) in cases {
        let before = world.failed(word);
        *world.openid.manners.lock().unwrap() = manners;
        let mut browser = Browser::default();
        let page = browser.follow(&world.url(WIKI, "/"));
        assert_eq!(world.failed(word), before + 1.0, "{word}: {page:?}\n{}", world.said());
        assert_nobody(&world, &mut browser, &page);
        let id = page.answer.header("x-request-id").unwrap();
        let line = wait_for("the line of the decision log", || {
            world.log().lines().find(|line| line.contains(id)).map(str::to_owned)
        });
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["reason"].as_str(), Some(word), "{line}");
    }
    let said = world.said() + &world.log();
    for secret in ["code-0", "access-token-of-anna", "eyJ", "s%cret"] {
        assert!(!said.contains(secret), "{secret} is in a log: {said}");
    }
    world.openid.behave(|_| {});
    world.signed_in();
}

#[test]
fn an_error_of_the_provider_says_whose_fault_it_is_and_shows_its_words_where_they_are_its_own() {
    let world = World::plain();
    let error = |error: &'static str, names_issuer: bool| {
        world.openid.behave(|manners| {
            manners.answer = Some(Arc::new(move |answer| {
                answer.remove(0);
                answer.push(("error".into(), error.into()));
                answer.push(("error_description".into(), "<b>zqx</b> AADSTS65004".into()));
                if !names_issuer {
                    answer.retain(|(name, _)| name != "iss");
                    answer.push(("iss".into(), "https://evil.test".into()));
                }
            }));
        });
        let mut browser = Browser::default();
        let page = browser.follow(&world.url(WIKI, "/deep?id=7"));
        assert_nobody(&world, &mut browser, &page);
        page
    };
    for (word, reason, status) in [
        ("access_denied", "access-denied", 403),
        ("login_required", "login-required", 403),
        ("interaction_required", "interaction-required", 403),
        ("consent_required", "interaction-required", 403),
        ("temporarily_unavailable", "provider-unavailable", 503),
        ("server_error", "provider-unavailable", 503),
        ("unauthorized_client", "client-refused", 502),
        ("invalid_scope", "request-refused", 502),
        ("what_is_this", "provider-error", 502),
    ] {
        let before = world.failed(reason);
        let page = error(word, true);
        assert_eq!((page.status(), world.failed(reason)), (status, before + 1.0), "{word}: {page:?}");
        assert!(
            page.answer.body.contains("&lt;b&gt;zqx") && !page.answer.body.contains("<b>zqx"),
            "{word}: {page:?}"
        );
        assert!(page.answer.body.contains("AADSTS65004"), "{word}: {page:?}");
        let id = page.answer.header("x-request-id").unwrap();
        let line = loop {
            if let Some(line) = world.log().lines().find(|line| line.contains(id) && line.ends_with('}')) {
                break serde_json::from_str::<Value>(line).unwrap();
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(line["signInFailure"]["error"], word, "{line}");
        assert_eq!(line["signInFailure"]["errorDescription"], "<b>zqx</b> AADSTS65004", "{line}");
        let retry = "/.portcullis/sign-in?return=%2Fdeep%3Fid%3D7";
        assert!(page.answer.body.contains(retry), "{word}: {page:?}");
        assert!(
            page.answer.header("x-request-id").is_some_and(|id| page.answer.body.contains(id)),
            "{page:?}"
        );
    }
    let page = error("access_denied", false);
    assert!(!page.answer.body.contains("zqx"), "somebody else's words: {page:?}");
    assert_eq!(world.failed("other-issuer"), 1.0);
}

#[test]
fn a_request_is_pushed_where_the_provider_offers_it_and_nothing_of_it_is_in_the_address() {
    let world = World::start(Setup { provider: "pushed-authorization = \"required\"", ..Setup::default() });
    let mut browser = Browser::default();
    let page = browser.open(&world.url(WIKI, "/"));
    assert_eq!((page.status(), world.failed("metadata-unusable")), (502, 1.0), "not offered: {page:?}");
    let world = {
        let (app, openid, other) = (world.app.clone(), world.openid.clone(), world.other.clone());
        drop(world);
        openid.behave(|manners| {
            manners.metadata = Some(Arc::new(|metadata: &mut Value| {
                let issuer = metadata["issuer"].as_str().unwrap().to_owned();
                metadata["pushed_authorization_request_endpoint"] = json!(format!("{issuer}/par"));
            }));
        });
        World::start_with(Setup::default(), app, openid, other)
    };
    let mut browser = Browser::default();
    let first = browser.open(&world.url(WIKI, "/deep"));
    let asked = query_of(&first.location());
    assert_eq!(asked.keys().collect::<Vec<_>>(), ["client_id", "request_uri"], "{}", world.said());
    let page = browser.follow(&browser.next(&first));
    assert_eq!((page.status(), page.url.as_str()), (200, world.url(WIKI, "/deep").as_str()), "{page:?}");
    assert!(world.openid.asked("/par")[0].parameters.contains_key("code_challenge"));
}

#[test]
fn the_client_shows_who_it_is_by_secret_or_by_key_and_by_another_nobody_is_signed_in() {
    let ec = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let ec_key = Client::Key(&ECDSA_P256_SHA256_FIXED, ec.public_key_raw().to_vec());
    let rsa: &aws_lc_rs::encoding::Pkcs8V1Der<'_> = &keys::RSA.as_der().unwrap();
    let rsa_pem = pem(rsa.as_ref());
    let rsa_key = Client::Key(&RSA_PSS_2048_8192_SHA256, keys::RSA.public_key().as_ref().to_vec());
    let by_key = "private-key = [{ file = \"client.pem\", algorithm = \"ES256\", kid = \"one\" }]";
    let by_rsa = "private-key = [{ file = \"client.pem\", algorithm = \"PS256\" }]";
    let by_form = "client-secret = { file = \"client.secret\" }\nclient-secret-method = \"post\"";
    for (lines, key, client) in [
        (by_form, String::new(), Client::Post),
        (by_key, ec.serialize_pem(), ec_key),
        (by_rsa, rsa_pem, rsa_key),
    ] {
        let world = World::start(Setup { client: lines, key, ..Setup::default() });
        world.openid.behave(|manners| manners.client = Some(client.clone()));
        world.signed_in();
        world.openid.behave(|_| {});
        let page = Browser::default().follow(&world.url(WIKI, "/"));
        assert_eq!((page.status(), world.failed("client-refused")), (502, 1.0), "{client:?}: {page:?}");
    }
}

#[test]
fn an_assertion_is_for_the_issuer_where_the_token_endpoint_is_elsewhere() {
    let ec = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let client = Client::Key(&ECDSA_P256_SHA256_FIXED, ec.public_key_raw().to_vec());
    let openid = OpenId::start();
    let elsewhere = openid.issuer().replace("127.0.0.1", "localhost") + "/token";
    openid.behave(|manners| {
        manners.client = Some(client);
        manners.metadata = Some(Arc::new(move |metadata| metadata["token_endpoint"] = json!(elsewhere)));
    });
    let lines = "private-key = [{ file = \"client.pem\", algorithm = \"ES256\" }]";
    let setup = Setup { client: lines, key: ec.serialize_pem(), ..Setup::default() };
    let world = World::start_with(setup, Origin::start(), openid, OpenId::start());
    world.signed_in();
    let asked = world.openid.asked("/token");
    let assertion = &asked.last().unwrap().parameters["client_assertion"];
    let claims = base64::Engine::decode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        assertion.split('.').nth(1).unwrap(),
    );
    let claims: Value = serde_json::from_slice(&claims.unwrap()).unwrap();
    assert_eq!(claims["aud"], world.openid.issuer());
}

/// PKCS#8 as PEM (RFC 7468, section 10).
fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

/// A policy, by its lines.
fn policy(lines: &str) -> String {
    format!("[[policy]]\nid = \"more\"\nusers = {{ include = [\"all\"] }}\n{lines}\n")
}

#[test]
fn a_sign_in_that_is_too_old_is_asked_for_anew_and_only_a_fresh_one_counts() {
    let more = policy("apps = { include = [\"wiki\"] }\nsession = { sign-in-frequency = \"1h\" }");
    let world = World::start(Setup { more, ..Setup::default() });
    let is_old = |claims: &mut Value| claims["auth_time"] = json!(keys::now() - 7_200);
    world.openid.behave(|manners| manners.claims = Some(Arc::new(is_old)));
    let mut browser = Browser::default();
    let first = browser.open(&world.url(WIKI, "/deep"));
    let back = browser.open(&first.location());
    assert_eq!(browser.open(&back.location()).status(), 303, "signed in, once");
    let before = browser.cookies(WIKI, "portcullis-session");
    let again = browser.open(&world.url(WIKI, "/deep"));
    assert_eq!(query_of(&again.location())["max_age"], "3600", "{again:?}");
    // It says that it did, and did not.
    let page = browser.follow(&again.location());
    assert_eq!((page.status(), world.failed("not-fresh")), (403, 1.0), "{page:?}");
    assert_eq!(browser.cookies(WIKI, "portcullis-session"), before, "the former session stays");
    world.openid.behave(|_| {});
    let page = browser.follow(&world.url(WIKI, "/deep"));
    assert_eq!((page.status(), page.url.as_str()), (200, world.url(WIKI, "/deep").as_str()), "{page:?}");
    assert_ne!(browser.cookies(WIKI, "portcullis-session"), before, "with another id");
}

#[test]
fn a_context_that_a_page_needs_is_asked_for_by_claims_and_only_a_token_that_names_it_counts() {
    let more = format!(
        "[[strength]]\nname = \"strong\"\ncombinations = [[\"hwk\"]]\n\n{}",
        policy("authentication-contexts = [\"c1\"]\ngrant = { controls = [\"strength:strong\"] }")
    );
    let world = World::start(Setup {
        more,
        issuer: "contexts-satisfy = true",
        wiki: "contexts = [{ path = \"/vault\", context = \"c1\" }]",
        ..Setup::default()
    });
    let mut browser = world.signed_in();
    let without = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("acrs"));
    world.openid.behave(|manners| manners.claims = Some(Arc::new(without)));
    let asked = browser.open(&world.url(WIKI, "/vault/1"));
    let claims = &query_of(&asked.location())["claims"];
    assert_eq!(claims, r#"{"id_token":{"acrs":{"essential":true,"value":"c1"}}}"#, "{asked:?}");
    let page = browser.follow(&asked.location());
    assert_eq!((page.status(), world.failed("context-missing")), (403, 1.0), "{page:?}");
    assert_eq!(browser.open(&world.url(WIKI, "/")).status(), 200, "the former session is good for the rest");
    world.openid.behave(|_| {});
    let page = browser.follow(&world.url(WIKI, "/vault/1"));
    assert_eq!((page.status(), page.url.as_str()), (200, world.url(WIKI, "/vault/1").as_str()), "{page:?}");
}

#[test]
fn a_key_that_the_provider_has_only_begun_to_use_signs_in() {
    let world = World::start(Setup { issuer: "refresh-min = \"1s\"", ..Setup::default() });
    world.signed_in();
    let signs_anew: fn(&Value) -> String = |claims| {
        let header = keys::HEADER.replace("\"ec\"", "\"new\"");
        keys::sign(&keys::STRANGER, &header, &claims.to_string())
    };
    world.openid.behave(|manners| (manners.sign, manners.has_new_key) = (Some(signs_anew), true));
    let page = Browser::default().follow(&world.url(WIKI, "/"));
    assert_eq!(page.status(), 200, "{page:?}\n{}", world.said());
}

#[test]
fn userinfo_is_added_where_it_is_wanted_and_refused_where_it_is_about_somebody_else() {
    let world = World::start(Setup { provider: "userinfo = true", ..Setup::default() });
    world.signed_in();
    assert_eq!(world.openid.asked("/userinfo").len(), 1);
    world.openid.behave(|manners| {
        manners.userinfo = Some(Arc::new(|claims: &mut Value| claims["sub"] = json!("eve")));
    });
    let mut browser = Browser::default();
    let page = browser.follow(&world.url(WIKI, "/"));
    assert_eq!((page.status(), world.failed("userinfo-subject")), (502, 1.0), "{page:?}");
}

#[test]
fn metadata_that_lead_elsewhere_sign_nobody_in_and_are_asked_for_again() {
    for change in [
        json!({ "authorization_endpoint": "http://evil.test/" }),
        json!({ "token_endpoint": null }),
        json!({ "userinfo_endpoint": "file:///etc/passwd" }),
        json!({ "response_types_supported": ["token"] }),
    ] {
        let (app, openid, other) = (Origin::start(), OpenId::start(), OpenId::start());
        let changed = change.clone();
        openid.behave(|manners| {
            manners.metadata = Some(Arc::new(move |metadata: &mut Value| {
                metadata.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
            }));
        });
        let world = World::start_with(Setup::default(), app, openid, other);
        let page = Browser::default().follow(&world.url(WIKI, "/"));
        assert_eq!((page.status(), world.failed("metadata-unusable")), (502, 1.0), "{change}: {page:?}");
        world.openid.behave(|_| {});
        let started = Instant::now();
        while Browser::default().open(&world.url(WIKI, "/")).status() != 303 {
            assert!(started.elapsed() < Duration::from_secs(60), "it is not asked again: {}", world.said());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn trap_01_every_tab_completes_by_itself_and_trap_09_the_id_of_a_session_is_never_the_browsers() {
    let world = World::plain();
    let mut browser = Browser::default();
    browser.set(WIKI, "portcullis-session", Some("planted"));
    let tabs: Vec<_> = (0..3).map(|tab| browser.open(&world.url(WIKI, &format!("/tab/{tab}")))).collect();
    assert_eq!(browser.cookies(WIKI, "portcullis-attempt").len(), 3);
    let mut sessions = Vec::new();
    // In another order than they began.
    for tab in [1, 0, 2] {
        let page = browser.follow(&tabs[tab].location());
        assert_eq!(
            (page.status(), page.url.clone()),
            (200, world.url(WIKI, &format!("/tab/{tab}"))),
            "{page:?}"
        );
        sessions.push(browser.cookies(WIKI, "portcullis-session"));
    }
    sessions.dedup();
    assert_eq!(sessions.len(), 3, "each sign-in has a session of its own");
    // The former one is dead.
    let mut former = Browser::default();
    former.set(WIKI, "portcullis-session", Some(&sessions[0][0].1));
    assert_eq!(former.open(&world.url(WIKI, "/")).status(), 303);
    assert_eq!(browser.open(&world.url(WIKI, "/")).status(), 200, "the counterpart");
}

#[test]
fn trap_03_attempts_do_not_pile_up_and_trap_04_those_that_are_left_are_no_failures() {
    let world = World::plain();
    let mut browser = Browser::default();
    let long = format!("/deep?{}", "x".repeat(1_400));
    for tab in 0..12 {
        let target = if tab % 2 == 0 { format!("/tab/{tab}") } else { long.clone() };
        assert_eq!(browser.open(&world.url(WIKI, &target)).status(), 303);
        let cookies = browser.cookies(WIKI, "portcullis-attempt");
        let bytes: usize = cookies.iter().map(|(name, value)| name.len() + value.len() + 3).sum();
        assert!(cookies.len() <= 4 && bytes < 6_000, "{} cookies, {bytes} bytes", cookies.len());
    }
    // What nobody can read is taken away too.
    browser.set(WIKI, "portcullis-attempt-0000000000000000", Some("junk"));
    let last = browser.open(&world.url(WIKI, "/last"));
    assert!(!browser.cookies(WIKI, "portcullis-attempt").iter().any(|(_, value)| value == "junk"));
    let page = world.admin_get("/metrics").body;
    assert!(!page.contains("portcullis_sign_ins_failed_total{"), "{page}");
    assert_eq!(world.metric("portcullis_sign_ins_started_total{provider=\"idp\"}"), 13.0);
    assert_eq!(browser.follow(&last.location()).status(), 200);
}

#[test]
fn trap_05_a_state_that_is_over_and_trap_06_no_state_at_all_lead_on_whoever_is_signed_in() {
    let world = World::plain();
    let mut browser = world.signed_in();
    let callback = |query: &str| world.url(WIKI, &format!("/.portcullis/callback/idp{query}"));
    for query in ["", "?", "?code=x&state=y", "?state=y", "?code=x"] {
        let page = browser.open(&callback(query));
        assert_eq!((page.status(), page.location().as_str()), (303, "/"), "{query}: {page:?}");
        let mut stranger = Browser::default();
        let page = stranger.open(&callback(query));
        assert_eq!(page.status(), 400, "{query}: {page:?}");
        assert!(
            page.answer.body.contains("/.portcullis/sign-in?return=%2F"),
            "it offers to try again: {page:?}"
        );
    }
    assert_eq!(world.openid.asked("/token").len(), 1);
}

#[test]
fn trap_08_and_trap_10_the_state_is_no_session_and_the_answer_comes_by_query() {
    let world = World::plain();
    let mut browser = Browser::default();
    let first = browser.open(&world.url(WIKI, "/"));
    let asked = query_of(&first.location());
    assert_eq!(asked["response_mode"], "query");
    let attempt = browser.cookies(WIKI, "portcullis-attempt");
    let sealed = &attempt[0].1;
    assert!(!sealed.contains(&asked["state"]) && !sealed.contains(&asked["nonce"]), "{attempt:?}");
    let end = browser.follow(&first.location());
    assert_eq!(end.status(), 200);
    let session = &browser.cookies(WIKI, "portcullis-session")[0].1;
    assert!(!session.contains(&asked["state"]) && session != sealed);
    // An answer by form is a request of another site: no cookie of ours comes with it, and it is not read.
    let lines = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\nOrigin: null\r\n";
    let form =
        Browser::default().send("POST", &world.url(WIKI, "/.portcullis/callback/idp?code=a&state=b"), lines);
    assert!(matches!(form.status(), 403 | 405), "{form:?}");
}

#[test]
fn trap_11_of_a_link_nothing_counts_but_return_provider_and_another_account() {
    let world = World::start(Setup {
        provider: "parameters = { domain_hint = \"contoso.com\" }",
        ..Setup::default()
    });
    let begin = |query: &str| {
        let page = Browser::default().open(&world.url(WIKI, &format!("/.portcullis/sign-in{query}")));
        (page.status(), page.answer.header("location").map(query_of))
    };
    let (status, usual) = begin("?return=%2F");
    let names =
        |asked: &std::collections::BTreeMap<String, String>| asked.keys().cloned().collect::<Vec<_>>();
    let usual = usual.unwrap();
    assert_eq!((status, usual["domain_hint"].as_str()), (303, "contoso.com"));
    for extra in [
        "&scope=admin&acr_values=x&max_age=0&claims=%7B%7D&login_hint=eve&domain_hint=evil.test&prompt=none",
        "&client_id=evil&redirect_uri=https%3A%2F%2Fevil.test&response_mode=form_post&response_type=token&nonce=n",
        "&prompt=login&state=known&code_challenge=known&ui_locales=xx&request=x",
    ] {
        let (status, asked) = begin(&format!("?return=%2F{extra}"));
        if extra.contains("request=") {
            assert_eq!(status, 400, "a request of another host is sealed");
            continue;
        }
        let asked = asked.unwrap();
        assert_eq!(names(&asked), names(&usual), "{extra}");
        for name in ["scope", "client_id", "redirect_uri", "response_mode", "response_type", "domain_hint"] {
            assert_eq!(asked[name], usual[name], "{extra}");
        }
        for name in ["state", "nonce", "code_challenge"] {
            assert!(asked[name].len() >= 43, "{extra}");
        }
    }
    let (_, other) = begin("?return=%2F&prompt=select_account");
    assert_eq!(other.unwrap()["prompt"], "select_account", "the counterpart");
    assert_eq!(begin("?return=%2F&provider=unknown").0, 400);
}

#[test]
fn trap_26_a_doubled_parameter_is_refused_and_the_code_is_not_sent() {
    let world = World::plain();
    let mut browser = Browser::default();
    let first = browser.open(&world.url(WIKI, "/"));
    let back = browser.open(&first.location());
    let good = back.location();
    for double in
        ["&state=x", "&code=x", "&iss=x", "&code=code-0", "&c%6Fde=code-0", "&error=access_denied&error=x"]
    {
        let page = browser.open(&format!("{good}{double}"));
        assert_eq!(page.status(), 400, "{double}: {page:?}");
    }
    for more in ["&id_token=x", "&access_token=x", "&response=x"] {
        let mut other = browser.clone();
        assert_eq!(other.open(&format!("{good}{more}")).status(), 400, "{more}");
    }
    assert!(world.openid.asked("/token").is_empty());
    assert_eq!(browser.follow(&good).status(), 200, "the counterpart");
}

#[test]
fn a_browser_without_cookies_is_told_so_after_one_round() {
    let world = World::plain();
    let mut browser = Browser::without_cookies();
    let page = browser.follow(&world.url(WIKI, "/deep"));
    assert_eq!(page.status(), 400, "{page:?}");
    assert!(page.answer.body.contains("880305"), "{page:?}");
    assert!(world.openid.asked("/token").is_empty());
    assert_eq!(world.openid.asked("/authorize").len(), 1, "one round");
}

#[test]
fn a_browser_that_loses_its_session_each_time_is_stopped_at_the_third_turn() {
    let world = World::plain();
    let mut browser = Browser::default();
    for _ in 0..2 {
        let first = browser.open(&world.url(WIKI, "/deep"));
        assert_eq!(first.status(), 303);
        let back = browser.open(&first.location());
        assert_eq!(browser.open(&browser.next(&back)).status(), 303);
        // The browser drops it, as it does with one that is too large.
        browser.set(WIKI, "portcullis-session", None);
    }
    let page = browser.open(&world.url(WIKI, "/deep"));
    assert_eq!(page.status(), 500, "{page:?}");
    assert!(page.answer.body.contains("/.portcullis/sign-in?return=%2Fdeep"), "{page:?}");
    assert_eq!(world.metric("portcullis_sign_in_loops_broken_total{provider=\"idp\"}"), 1.0);
    // Whoever asks for it may try again.
    let page = browser.follow(&world.url(WIKI, "/.portcullis/sign-in?return=%2Fdeep"));
    assert_eq!(page.status(), 200, "{page:?}");
}

#[test]
fn an_answer_counts_for_the_provider_and_the_host_that_it_was_asked_for() {
    let setup = Setup { sign_in: "[\"idp\", \"other\"]", has_other: true, ..Setup::default() };
    let world = World::start(setup);
    let mut browser = Browser::default();
    let first = browser.open(&world.url(WIKI, "/.portcullis/sign-in?return=%2F&provider=idp"));
    let back = browser.open(&first.location());
    // Mix-up: the answer of one provider comes to the path of the other.
    let mixed = back.location().replace("/callback/idp", "/callback/other");
    let page = browser.open(&mixed);
    assert_eq!(page.status(), 400, "{page:?}");
    assert_eq!(
        world.metric("portcullis_sign_ins_failed_total{provider=\"idp\",reason=\"other-attempt\"}"),
        1.0
    );
    // Another host: the attempt's cookie is not there, and where it is carried there, it does not count.
    let first = browser.open(&world.url(WIKI, "/.portcullis/sign-in?return=%2F&provider=idp"));
    let back = browser.open(&first.location());
    for (name, value) in browser.cookies(WIKI, "portcullis-attempt") {
        browser.set(SHOP, &name, Some(&value));
    }
    let page = browser.open(&back.location().replace(WIKI, SHOP));
    assert_eq!(page.status(), 400, "{page:?}");
    assert!(world.openid.asked("/token").is_empty() && world.other.asked("/token").is_empty());
    assert_eq!(browser.follow(&back.location()).status(), 200, "the counterpart");
}

#[test]
fn no_callback_tells_a_stranger_which_providers_there_are() {
    let world = World::start(Setup { has_other: true, ..Setup::default() });
    let said = |browser: &mut Browser, name: &str, query: &str| {
        let page = browser.open(&world.url(WIKI, &format!("/.portcullis/callback/{name}?{query}")));
        // Ids and times differ by themselves.
        let differ = ["x-request-id", "date", "set-cookie"];
        let name_of = |line: &str| line.split(':').next().unwrap().to_ascii_lowercase();
        let is_plain = |line: &&str| !differ.contains(&name_of(line).as_str());
        let head: Vec<_> = page.answer.head.lines().filter(is_plain).map(str::to_owned).collect();
        // So does the reference, which is made of the id; the panel for the help desk says both at length.
        let before_desk = page.answer.body.split("<section class=\"desk\"").next().unwrap();
        let (before, after) = before_desk.split_once("<bdi dir=\"ltr\">").unwrap();
        let (reference, after) = after.split_once("</bdi>").unwrap();
        assert_eq!(reference.len(), "XXXX-XXXX".len(), "{reference}");
        (page.status(), head, format!("{before}{after}"))
    };
    let query_of = |browser: &mut Browser| {
        let begun = browser.open(&world.url(WIKI, "/"));
        let state = parameters(begun.location().split_once('?').unwrap().1)["state"].clone();
        format!("code=x&state={state}&iss={}", world.other.issuer())
    };
    for has_begun in [false, true] {
        let [other, nobody] = ["other", "nobody"].map(|name| {
            let mut browser = Browser::default();
            let query = if has_begun { query_of(&mut browser) } else { "code=x&state=y".to_owned() };
            said(&mut browser, name, &query)
        });
        assert_eq!(other, nobody, "begun: {has_begun}");
        assert_eq!(other.0, 400, "{other:?}");
    }
    assert!(world.other.asked("/token").is_empty());
}

/// To every proxy that asks, 2xx is leave to let its request in.
#[test]
fn a_page_that_leads_to_a_sign_in_lets_nobody_in_where_another_proxy_asks() {
    let choice = Setup { sign_in: "[\"idp\", \"other\"]", has_other: true, ..Setup::default() };
    let fragment = Setup { wiki: "keep-fragment = true", ..Setup::default() };
    for (setup, text) in [(choice, "Partners"), (fragment, "sessionStorage")] {
        let asking = free_address().to_string();
        let _world = World::start(Setup { asking: Some(asking.clone()), ..setup });
        for more in ["", "X-Portcullis-Answer: page\r\n"] {
            let question = format!(
                "GET / HTTP/1.1\r\nHost: auth.internal\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: http\r\n\
                 X-Forwarded-Host: {WIKI}\r\nX-Forwarded-Uri: /deep\r\nX-Forwarded-For: 127.0.0.1\r\n\
                 {NAVIGATION}{more}\r\n"
            );
            let answer = exchange(&asking, question.as_bytes());
            assert_eq!(answer.status, 401, "{text}: {}", answer.body);
            assert!(answer.body.contains(text), "the person still sees it: {}", answer.body);
            assert!(answer.header("www-authenticate").is_some(), "RFC 9110, section 15.5.2");
        }
    }
}

#[test]
fn several_providers_are_a_choice_that_is_remembered_and_can_be_made_anew() {
    let setup = Setup { sign_in: "[\"idp\", \"other\"]", has_other: true, ..Setup::default() };
    let world = World::start(setup);
    let mut browser = Browser::default();
    let page = browser.open(&world.url(WIKI, "/deep"));
    assert_eq!(page.status(), 200, "{page:?}");
    for text in ["Contoso", "Partners", "/.portcullis/sign-in?provider=other&amp;return=%2Fdeep"] {
        assert!(page.answer.body.contains(text), "{text}: {page:?}");
    }
    assert!(!page.answer.body.contains("Wiki"), "it names no app");
    let page = browser.follow(&world.url(WIKI, "/.portcullis/sign-in?provider=other&return=%2Fdeep"));
    assert_eq!((page.status(), page.url.as_str()), (200, world.url(WIKI, "/deep").as_str()), "{page:?}");
    assert_eq!((world.other.asked("/token").len(), world.openid.asked("/token").len()), (1, 0));
    browser.set(WIKI, "portcullis-session", None);
    let again = browser.open(&world.url(WIKI, "/deep"));
    assert!(again.location().starts_with(&world.other.issuer()), "remembered: {again:?}");
    let anew = browser.open(&world.url(WIKI, "/.portcullis/sign-in?return=%2Fdeep&choose="));
    assert!(anew.status() == 200 && anew.answer.body.contains("Contoso"), "{anew:?}");
}

#[test]
fn one_host_signs_in_for_all_apps_and_hands_over_to_this_browser_once() {
    let setup = Setup { more: format!("[sign-in]\nhost = \"{AUTH}\"\n"), ..Setup::default() };
    let world = World::start(setup);
    let mut browser = Browser::default();
    let first = browser.open(&world.url(WIKI, "/deep?id=7"));
    assert!(first.location().starts_with(&world.url(AUTH, "/.portcullis/sign-in?request=")), "{first:?}");
    let second = browser.open(&first.location());
    assert_eq!(second.status(), 303, "{second:?}\n{}", world.said());
    assert_eq!(query_of(&second.location())["redirect_uri"], world.url(AUTH, "/.portcullis/callback/idp"));
    let back = browser.open(&second.location());
    let third = browser.open(&back.location());
    let code = third.location();
    assert!(
        code.starts_with(&world.url(WIKI, "/.portcullis/hand-over?code=")),
        "{third:?}\n{}",
        world.said()
    );
    // Neither another browser nor another host can use it.
    let mut thief = Browser::default();
    assert_eq!(thief.open(&code).status(), 400);
    for (name, value) in browser.cookies(WIKI, "portcullis-hand-over") {
        thief.set(SHOP, &name, Some(&value));
    }
    assert_eq!(thief.open(&code.replace(WIKI, SHOP)).status(), 400);
    let twice = browser.clone();
    let end = browser.open(&code);
    assert_eq!((end.status(), end.location().as_str()), (303, "/deep?id=7"), "{end:?}\n{}", world.said());
    assert_eq!(browser.open(&browser.next(&end)).status(), 200);
    assert_eq!(world.app.last().values("x-user"), ["anna"]);
    // Once, even for the same browser.
    let mut twice = twice;
    let again = twice.open(&code);
    assert_eq!(again.status(), 400, "{again:?}");
    assert!(browser.cookies(WIKI, "portcullis-hand-over").is_empty());
    // The second app asks the provider anew, at the same address.
    let page = browser.follow(&world.url(SHOP, "/x"));
    assert_eq!((page.status(), page.url.as_str()), (200, world.url(SHOP, "/x").as_str()), "{page:?}");
}

#[test]
fn a_fragment_is_kept_by_a_page_that_leads_nowhere_else() {
    let world = World::start(Setup { wiki: "keep-fragment = true", ..Setup::default() });
    let mut browser = Browser::default();
    let save = browser.open(&world.url(WIKI, "/app?x=1"));
    assert_eq!(save.status(), 200, "{save:?}");
    assert!(save.answer.body.contains("data-step=\"save\""), "{save:?}");
    let next = save.answer.body.split("data-next=\"").nth(1).unwrap().split('"').next().unwrap();
    let next = next.replace("&amp;", "&");
    assert!(next.starts_with(&world.openid.issuer()), "{next}");
    let back = browser.open(&next);
    let restore = browser.open(&back.location());
    assert_eq!(restore.status(), 200, "{restore:?}");
    assert!(restore.answer.body.contains("data-step=\"restore\""), "{restore:?}");
    assert!(restore.answer.body.contains("data-next=\"/app?x=1\""), "{restore:?}");
    assert_eq!(browser.open(&world.url(WIKI, "/app?x=1")).status(), 200);
}

#[test]
fn only_a_page_that_a_person_opens_begins_a_sign_in() {
    let world = World::plain();
    let url = world.url(WIKI, "/");
    let ask = |method: &str, lines: &str| Browser::default().send(method, &url, lines);
    for lines in [
        "Accept: application/json\r\n",
        "Accept: */*\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n",
        "Accept: image/avif,*/*\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n",
        "Accept: text/html\r\nX-Requested-With: XMLHttpRequest\r\n",
        "Accept: */*\r\nSec-Fetch-Mode: same-origin\r\nSec-Fetch-Dest: serviceworker\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ] {
        let page = ask("GET", lines);
        assert!(page.status() == 401 && page.set_cookies().is_empty(), "{lines}: {page:?}");
        assert!(page.answer.header("www-authenticate").is_some(), "{lines}: {page:?}");
    }
    assert_eq!(ask("POST", &format!("Content-Length: 0\r\n{NAVIGATION}")).status(), 401);
    assert_eq!(ask("HEAD", NAVIGATION).status(), 401);
    assert!(world.openid.asked("/authorize").is_empty());
    assert_eq!(ask("GET", NAVIGATION).status(), 303, "the counterpart");
    assert_eq!(ask("GET", "Accept: text/html,*/*\r\n").status(), 303, "a browser of old");
}
