//! Assertions as apps verify them, and how seldom they are signed.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use portcullis_config::settings::{self, Secret};
use portcullis_policy::signals::{AppIndex, RequestId};
use serde_json::{Value, json};

use super::{AssertionFault, AssertionKey, AssertionKeyFault, Assertions, Statement};
use crate::admit::{Scheme, Site};
use crate::clock::unix_now;
use crate::token::{CachedPrincipal, fixtures};

const HTTPS: Site = Site { scheme: Scheme::Https, port: 443 };
const LIFE: i64 = 120;

/// A private key as `openssl genpkey` writes it.
fn pem(curve: &'static rcgen::SignatureAlgorithm) -> String {
    rcgen::KeyPair::generate_for(curve).unwrap().serialize_pem()
}

fn try_assertions(pems: &[&str]) -> Result<Assertions, AssertionFault> {
    Assertions::new(&settings::Assertion {
        keys: pems.iter().map(|pem| Secret::new(*pem)).collect(),
        header: "x-portcullis-assertion".into(),
        life: Duration::from_secs(LIFE as u64),
    })
}

fn assertions(pems: &[&str]) -> Assertions {
    try_assertions(pems).unwrap()
}

fn signer() -> Assertions {
    assertions(&[&pem(&rcgen::PKCS_ECDSA_P256_SHA256)])
}

fn statement<'r>(caller: &'r CachedPrincipal, host: &'r HeaderValue, now: i64) -> Statement<'r> {
    Statement {
        caller,
        app: AppIndex(0),
        app_id: "wiki",
        host,
        site: HTTPS,
        session: None,
        request_id: RequestId(0x0192_7a3b_4c5d_7e6f_8123_4567_89ab_cdef),
        now,
    }
}

/// A user whose token says this too; `null` takes a claim away.
fn caller(claims: &Value) -> Arc<CachedPrincipal> {
    fixtures::caller(|all| {
        for (name, value) in claims.as_object().unwrap() {
            match value {
                Value::Null => all.as_object_mut().unwrap().remove(name),
                value => all.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
    })
}

fn part(value: &HeaderValue, at: usize) -> Value {
    let part = value.to_str().unwrap().split('.').nth(at).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn host() -> HeaderValue {
    HeaderValue::from_static("wiki.test")
}

#[test]
fn an_assertion_says_who_asks_for_one_app_and_a_short_time() {
    let (signer, host, now) = (signer(), host(), unix_now());
    let caller = caller(&json!({"preferred_username": "Kari Nordmann", "groups": ["staff", "payroll"]}));
    let session = Some("c2Vzc2lvbg");
    let value = signer.value(&Statement { session, ..statement(&caller, &host, now) }).unwrap();
    assert!(value.is_sensitive());
    assert_eq!(
        part(&value, 1),
        json!({
            "iss": "https://wiki.test",
            "aud": "wiki",
            "sub": "anna",
            "name": "Kari Nordmann",
            "groups": ["staff", "payroll"],
            "sid": "c2Vzc2lvbg",
            "iat": now,
            "exp": now + LIFE,
            "jti": "01927a3b-4c5d-7e6f-8123-456789abcdef",
        })
    );
    let keys: Value = serde_json::from_slice(&signer.key_set()).unwrap();
    assert_eq!(
        part(&value, 0),
        json!({"alg": "ES256", "kid": keys["keys"][0]["kid"], "typ": "portcullis-assertion+jwt"})
    );
}

#[test]
fn the_published_key_verifies_and_no_altered_assertion_passes() {
    let (signer, host) = (signer(), host());
    let value = signer.value(&statement(&caller(&json!({})), &host, unix_now())).unwrap();
    let keys: Value = serde_json::from_slice(&signer.key_set()).unwrap();
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(keys["keys"][0][name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    let text = value.to_str().unwrap();
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    key.verify(signed.as_bytes(), &signature).unwrap();
    key.verify(signed.replacen('e', "f", 1).as_bytes(), &signature).unwrap_err();
}

#[test]
fn a_kid_is_the_thumbprint_of_rfc_7638_and_all_keys_are_published_in_order() {
    let pems = [pem(&rcgen::PKCS_ECDSA_P256_SHA256), pem(&rcgen::PKCS_ECDSA_P256_SHA256)];
    let both: Value = serde_json::from_slice(&assertions(&[&pems[0], &pems[1]]).key_set()).unwrap();
    for (at, pem) in pems.iter().enumerate() {
        let alone: Value = serde_json::from_slice(&assertions(&[pem]).key_set()).unwrap();
        let key = &both["keys"][at];
        assert_eq!(*key, alone["keys"][0]);
        assert_eq!((&key["use"], &key["alg"], &key["d"]), (&json!("sig"), &json!("ES256"), &Value::Null));
        let (x, y) = (key["x"].as_str().unwrap(), key["y"].as_str().unwrap());
        let canonical = json!({"crv": "P-256", "kty": "EC", "x": x, "y": y}).to_string();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
        assert_eq!(key["kid"], json!(URL_SAFE_NO_PAD.encode(digest)));
    }
    assert_eq!(both["keys"].as_array().unwrap().len(), 2);
}

#[test]
fn what_cannot_sign_by_es256_is_refused_and_shown_to_nobody() {
    let good = pem(&rcgen::PKCS_ECDSA_P256_SHA256);
    let other = pem(&rcgen::PKCS_ECDSA_P384_SHA384);
    let ed = pem(&rcgen::PKCS_ED25519);
    let secret = good.lines().nth(1).unwrap();
    for (bad, fault) in [
        ("", AssertionKeyFault::NoKey),
        ("no key", AssertionKeyFault::NoKey),
        (&*good.replace("PRIVATE", "PUBLIC"), AssertionKeyFault::NoKey),
        (&*good.replace("PRIVATE", "EC PRIVATE"), AssertionKeyFault::NoKey),
        (&*other, AssertionKeyFault::Curve),
        (&*ed, AssertionKeyFault::Curve),
    ] {
        assert_eq!(AssertionKey::from_pem(bad.as_bytes()).unwrap_err(), fault, "{bad}");
        let refused = try_assertions(&[&good, bad]).unwrap_err();
        assert_eq!(refused, AssertionFault::Key(1, fault));
        assert!(refused.to_string().starts_with("assertion key 2: it"), "{refused}");
    }
    assert_eq!(try_assertions(&[]).unwrap_err(), AssertionFault::NoKey);
    let shown = format!("{:?}", assertions(&[&good]));
    assert!(!shown.contains(secret) && shown.contains("kid"), "{shown}");
}

#[test]
fn groups_that_do_not_fit_or_are_not_known_are_never_an_empty_list() {
    let (signer, host, now) = (signer(), host(), unix_now());
    let said = |claims: &Value| {
        let value = signer.value(&statement(&caller(claims), &host, now)).unwrap();
        let payload = part(&value, 1);
        (payload["groups"].clone(), payload["hasgroups"].clone(), value.len())
    };
    let many: Vec<String> = (0..200).map(|at| format!("{at:08x}-0000-4000-8000-000000000000")).collect();
    let few = many.get(..70).unwrap();
    let (groups, hasgroups, bytes) = said(&json!({ "groups": few }));
    assert_eq!((groups, hasgroups), (json!(few), Value::Null));
    assert!(bytes < 5_000, "{bytes}");
    let (groups, hasgroups, bytes) = said(&json!({ "groups": many }));
    assert_eq!((groups, hasgroups), (Value::Null, json!(true)));
    assert!(bytes < 1_000, "{bytes}");
    // Microsoft Entra's overage: the token says where to ask, not which.
    let overage = json!({"groups": null, "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://x"}}});
    let (groups, hasgroups, _) = said(&overage);
    assert_eq!((groups, hasgroups), (Value::Null, json!(true)));
    let (groups, hasgroups, _) = said(&json!({ "groups": [] }));
    assert_eq!((groups, hasgroups), (json!([]), Value::Null));
}

#[test]
fn an_assertion_is_signed_once_in_half_its_life_for_one_caller_app_and_host() {
    let (signer, host, now) = (signer(), host(), unix_now());
    let caller = caller(&json!({}));
    let at = |now| signer.value(&statement(&caller, &host, now)).unwrap();
    let first = at(now);
    assert_eq!(at(now + LIFE / 2 - 1), first);
    // A clock that was set back: no assertion from the future.
    assert_ne!(at(now - 1), first);
    let second = at(now + LIFE / 2);
    assert_ne!(second, first);
    let (other_host, later) = (HeaderValue::from_static("wiki.test2"), now + LIFE / 2);
    let base = statement(&caller, &host, later);
    let variants = [
        (Statement { app: AppIndex(1), app_id: "mail", ..base }, "https://wiki.test", "mail"),
        (Statement { host: &other_host, ..base }, "https://wiki.test2", "wiki"),
        (Statement { site: Site { port: 8443, ..HTTPS }, ..base }, "https://wiki.test:8443", "wiki"),
        (
            Statement { site: Site { scheme: Scheme::Http, port: 443 }, ..base },
            "http://wiki.test:443",
            "wiki",
        ),
        (Statement { session: Some("one"), ..base }, "https://wiki.test", "wiki"),
        (Statement { session: Some("two"), ..base }, "https://wiki.test", "wiki"),
    ];
    let all = variants.map(|(statement, issuer, audience)| {
        let value = signer.value(&statement).unwrap();
        let payload = part(&value, 1);
        assert_eq!((&payload["iss"], &payload["aud"]), (&json!(issuer), &json!(audience)));
        assert_eq!(payload["sid"].as_str(), statement.session);
        (statement, value)
    });
    // Each is kept beside the others.
    for (statement, value) in &all {
        assert_eq!(signer.value(statement).unwrap(), *value);
    }
    assert_eq!(at(later), second);
}

#[test]
fn what_is_kept_for_a_caller_is_bounded() {
    let (signer, host, now) = (signer(), host(), unix_now());
    let caller = caller(&json!({}));
    let of = |app| signer.value(&Statement { app: AppIndex(app), ..statement(&caller, &host, now) }).unwrap();
    let first = of(0);
    let latest: Vec<_> = (1..100).map(of).collect();
    assert_eq!(of(99), latest[98]);
    assert_eq!(of(95), latest[94]);
    assert_ne!(of(0), first, "the oldest went");
}

/// The README's code block in this language.
fn example(language: &str) -> &'static str {
    let (_, rest) = include_str!("README.md").split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

/// What a program printed; `None`, and says so, where it cannot run here.
fn run(interpreter: &str, probe: [&str; 2], program: [&str; 2]) -> Option<String> {
    let works = Command::new(interpreter).args(probe).output();
    if !works.as_ref().is_ok_and(|done| done.status.success()) {
        eprintln!("skipped: `{interpreter} {}` does not run here: {works:?}", probe.join(" "));
        return None;
    }
    let done = Command::new(interpreter).args(program).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8(done.stdout).unwrap())
}

#[test]
fn the_readmes_examples_accept_an_assertion_and_refuse_what_is_none() {
    let (signer, host, now) = (signer(), host(), unix_now());
    let caller = caller(&json!({"preferred_username": "Zo\u{eb}"}));
    let good = signer.value(&statement(&caller, &host, now)).unwrap();
    let expired = signer.value(&statement(&caller, &host, now - LIFE - 20)).unwrap();
    let other_app =
        signer.value(&Statement { app: AppIndex(1), app_id: "mail", ..statement(&caller, &host, now) });
    let stranger = self::signer().value(&statement(&caller, &host, now)).unwrap_or(expired.clone());
    let other_host = HeaderValue::from_static("evil.test");
    let other_issuer = signer.value(&statement(&caller, &other_host, now)).unwrap();
    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
    let good = text(&good);
    let unsigned = format!("{}.", good.rsplit_once('.').unwrap().0);
    let none = {
        let payload = good.split('.').nth(1).unwrap();
        format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"portcullis-assertion+jwt"}"#))
    };
    let mut cases = vec![good];
    cases.extend([
        unsigned,
        none,
        text(&expired),
        text(&other_app.unwrap()),
        text(&stranger),
        text(&other_issuer),
    ]);
    let (cases_json, keys) =
        (json!(cases).to_string(), String::from_utf8(signer.key_set().to_vec()).unwrap());
    let expected = "Zo\u{eb}\n".to_owned() + &"refused\n".repeat(cases.len() - 1);

    let python = format!(
        "{}\nimport json, sys\nsys.stdout.reconfigure(encoding='utf-8')\n\
         for case in json.loads({cases_json:?}):\n    try:\n        \
         print(verify_assertion(case, json.loads({keys:?}), 'https://wiki.test', 'wiki')['name'])\n    \
         except jwt.InvalidTokenError:\n        print('refused')",
        example("python")
    );
    if let Some(printed) = run("python3", ["-c", "import jwt, cryptography"], ["-c", &python]) {
        assert_eq!(printed, expected);
    }
    let script = format!(
        "{}\nfor (const one of JSON.parse({cases_json:?})) {{\n  try {{\n    \
         console.log(verifyAssertion(one, JSON.parse({keys:?}), 'https://wiki.test', 'wiki').name)\n  \
         }} catch (problem) {{ console.log('refused') }}\n}}",
        example("javascript")
    );
    if let Some(printed) = run("node", ["-e", ""], ["-e", &script]) {
        assert_eq!(printed, expected);
    }
}
