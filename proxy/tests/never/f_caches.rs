//! F. Caches and stale facts.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::keys::{self, EC, HEADER, claims, now, sign, token, token_with};
use crate::world::{HOST, Setup, World};

#[test]
fn never_n49_a_cached_token_is_reused_for_another_issuer_audience_host_or_method() {
    let world = World::start(Setup {
        app: "issuers = [\"main\"]\naudiences = [\"api://wiki\"]\nmethods = [\"GET\"]",
        audiences: "[\"api://wiki\", \"api://narrow\"]",
        top: format!(
            r#"
[[issuer]]
name = "second"
issuer = "https://second.test"
audiences = ["{audience}"]
keys = {{ file = "keys.json" }}

[[app]]
id = "second"
hosts = ["second.test"]
upstreams = ["http://127.0.0.1:9"]
unmatched = "allow"
issuers = ["second"]

[[app]]
id = "narrow"
hosts = ["narrow.test"]
upstreams = ["http://127.0.0.1:9"]
unmatched = "allow"
issuers = ["main"]
audiences = ["api://narrow"]

[[app]]
id = "closed"
hosts = ["closed.test"]
upstreams = ["http://127.0.0.1:9"]
unmatched = "deny"
"#,
            audience = keys::AUDIENCE,
        ),
        ..Setup::default()
    });
    let ask = |method: &str, host: &str, token: &str| {
        world.bare(&format!("{method} / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"))
    };
    let ours = token();
    let of_second = token_with(|claims| claims["iss"] = json!("https://second.test"));
    let narrow = token_with(|claims| claims["aud"] = json!("api://narrow"));
    // Twice: the second time everything that can be remembered is.
    for round in 0..2 {
        assert_eq!(ask("GET", HOST, &ours), 200, "the counterpart, round {round}");
        assert_eq!(ask("GET", "second.test", &ours), 401, "another issuer's app, round {round}");
        assert_eq!(ask("GET", "narrow.test", &ours), 401, "another audience's app, round {round}");
        assert_eq!(
            ask("GET", "narrow.test", &narrow),
            502,
            "that app's counterpart is let in, round {round}"
        );
        assert_eq!(ask("GET", "closed.test", &ours), 403, "a stricter app, round {round}");
        assert_eq!(ask("POST", HOST, &ours), 405, "another method, round {round}");
        assert_eq!(ask("GET", HOST, &of_second), 401, "a token of the other issuer, round {round}");
        assert_eq!(ask("GET", "second.test", &of_second), 502, "the other app's counterpart is let in");
        assert_eq!(ask("GET", HOST, &narrow), 401, "a token for another audience, round {round}");
        assert_eq!(world.get("/admin", "").status, 403, "the path is judged each time, round {round}");
    }
    assert_eq!(world.origin.hits(), 2);
    // Users with the same groups, company and kind of device share memory, and still are distinguished.
    let people = ["anna", "bert", "carl"].map(|name| {
        let token = token_with(|claims| {
            claims["sub"] = json!(name);
            claims["preferred_username"] = json!(format!("{name}@example.org"));
            claims["deviceid"] = json!(format!("device-of-{name}"));
            claims["groups"] = if name == "carl" { json!(["others"]) } else { json!(["staff", "wiki"]) };
        });
        (name, token)
    });
    for round in 0..3 {
        for (name, token) in &people {
            assert_eq!(ask("GET", HOST, token), 200, "{name}, round {round}");
            let seen = world.origin.last();
            let groups = if *name == "carl" { "others" } else { "staff,wiki" };
            assert_eq!(seen.values("x-user"), [*name]);
            assert_eq!(seen.values("x-user-name"), [format!("{name}@example.org")]);
            assert_eq!(seen.values("x-device"), [format!("device-of-{name}")]);
            assert_eq!(seen.values("x-groups"), [groups]);
        }
    }
    // One letter of a remembered token decides.
    let (rest, signature) = ours.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    assert_eq!(ask("GET", HOST, &format!("{rest}.{other}{}", &signature[1..])), 401);
}

#[test]
fn never_n50_claims_outlive_their_time_their_keys_or_a_changed_policy() {
    let world = World::start(Setup { issuer: "max-age = \"1h\"", ..Setup::default() });
    let brief = token_with(|claims| claims["exp"] = json!(now() + 2));
    assert_eq!(world.with_token(&brief), 200, "the counterpart");
    let started = Instant::now();
    while world.with_token(&brief) == 200 {
        assert!(started.elapsed() < Duration::from_secs(15), "remembered beyond its time");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(world.with_token(&brief), 401);
    let old = token_with(|claims| {
        claims["iat"] = json!(now() - 4000);
        claims["nbf"] = json!(now() - 4000);
    });
    assert_eq!(world.with_token(&old), 401, "older than the longest age");
    // A withdrawn key ends what it signed, remembered or not.
    let rsa = keys::sign_rsa(r#"{"alg":"RS256","kid":"rsa"}"#, &claims().to_string());
    let lasting = token();
    assert_eq!((world.with_token(&lasting), world.with_token(&rsa)), (200, 200));
    let document = serde_json::json!({ "keys": [keys::ec_jwk(&EC, "ec")] }).to_string();
    std::fs::write(world.file("keys.json"), document).unwrap();
    world.wait_for("the withdrawn key to be forgotten", |world| world.with_token(&rsa) == 401);
    assert_eq!(world.with_token(&lasting), 200, "the other key goes on");
    // A group that is blocked now was let in before.
    let text = std::fs::read_to_string(world.file("policies.toml")).unwrap();
    let block = "\n[[policy]]\nid = \"no-staff\"\nusers = { include = [\"group:staff\"] }\napps = { include = [\"all\"] }\ngrant = \"block\"\n";
    std::fs::write(world.file("policies.toml"), format!("{text}{block}")).unwrap();
    world.wait_for("the new policy to meet the remembered token", |world| world.with_token(&lasting) == 403);
    let other = sign(&EC, HEADER, &{
        let mut claims = claims();
        claims["groups"] = json!(["visitors"]);
        claims.to_string()
    });
    assert_eq!(world.with_token(&other), 200, "the counterpart");
}

#[test]
fn never_n51_a_group_check_is_off_because_of_the_order_or_kind_of_options() {
    let block = r#"
[[policy]]
id = "no-contractors"
users = { include = ["group:contractors"] }
apps = { include = ["all"] }
grant = "block"
"#;
    let noise = r#"
[[policy]]
id = "noise"
state = "report-only"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
"#;
    for policies in [format!("{block}{noise}"), format!("{noise}{block}")] {
        for app in [
            "assigned = { groups = [\"staff\"], users = [\"nobody\"] }",
            "assigned = { users = [\"nobody\"], groups = [\"staff\"] }",
        ] {
            let world = World::start(Setup { policies: policies.clone(), app, ..Setup::default() });
            let with = |groups: serde_json::Value| {
                world.with_token(&token_with(|claims| claims["groups"] = groups.clone()))
            };
            assert_eq!(with(json!(["staff"])), 200, "the counterpart");
            for refused in [
                json!(["visitors"]),
                json!([]),
                json!("visitors"),
                json!(["staff", "contractors"]),
                json!(["contractors"]),
                json!(["staff,contractors"]),
                json!(["staf"]),
            ] {
                assert_eq!(with(refused.clone()), 403, "{refused}");
            }
            // What cannot be read is not "no groups".
            for unreadable in [json!({ "staff": true }), json!([["staff"]]), json!([1.5]), json!(null)] {
                let status = with(unreadable.clone());
                assert!(matches!(status, 403 | 503), "{unreadable}: {status}");
            }
            let overage = token_with(|claims| {
                claims.as_object_mut().unwrap().remove("groups");
                claims["_claim_names"] = json!({ "groups": "src1" });
            });
            let status = world.with_token(&overage);
            assert!(matches!(status, 403 | 503), "groups that are elsewhere: {status}");
            assert_eq!(world.origin.hits(), 1);
        }
    }
}
