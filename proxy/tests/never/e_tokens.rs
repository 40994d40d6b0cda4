//! E. Tokens and keys.

use std::io::Write;
use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use crate::keys::{self, EC, HEADER, STRANGER, b64, claims, now, sign, sign_rsa, token, token_with};
use crate::origin::{Counter, json_reply};
use crate::world::{HOST, Setup, World};

/// Asserts that none of these tokens opens the app, and that the good one does.
fn refuses(world: &World, tokens: impl IntoIterator<Item = (&'static str, String)>) {
    for (what, token) in tokens {
        let before = world.origin.hits();
        assert_eq!(world.with_token(&token), 401, "{what}");
        let bearer = format!("Bearer {token}");
        let mut fields = crate::h2::fields("GET", HOST, "/");
        fields.push((b"authorization", bearer.as_bytes()));
        assert_eq!(world.h2(&fields, None).status(), 401, "{what} over HTTP/2");
        assert_eq!(world.origin.hits(), before, "{what} reached the app");
    }
    let before = world.origin.hits();
    assert_eq!(world.with_token(&token()), 200, "the counterpart");
    assert_eq!(world.origin.hits(), before + 1);
}

/// A token whose claim has this value.
fn claim(name: &str, value: Value) -> String {
    token_with(|claims| claims[name] = value)
}

fn without(name: &str) -> String {
    token_with(|claims| {
        claims.as_object_mut().unwrap().remove(name);
    })
}

#[test]
fn never_n38_the_token_chooses_the_algorithm() {
    let world = World::plain();
    let payload = claims().to_string();
    let body = |header: &str| format!("{}.{}", b64(header), b64(&payload));
    let mac = |header: &str, secret: &[u8]| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        format!("{0}.{1}", body(header), b64(hmac::sign(&key, body(header).as_bytes()).as_ref()))
    };
    let public = keys::jwks();
    refuses(
        &world,
        [
            ("none, no signature", format!("{}.", body(r#"{"alg":"none","typ":"JWT"}"#))),
            ("none, some signature", format!("{}.AAAA", body(r#"{"alg":"none","kid":"ec"}"#))),
            ("NoNe", format!("{}.AAAA", body(r#"{"alg":"NoNe","kid":"ec"}"#))),
            ("HS256 with the document", mac(r#"{"alg":"HS256","kid":"ec"}"#, public.as_bytes())),
            ("HS256 with an empty secret", mac(r#"{"alg":"HS256","kid":"rsa"}"#, b"")),
            ("RS256 named with the EC key", sign(&EC, r#"{"alg":"RS256","kid":"ec"}"#, &payload)),
            ("ES256 named with the RSA key", sign_rsa(r#"{"alg":"ES256","kid":"rsa"}"#, &payload)),
            ("PS256 with a key for RS256", sign_rsa(r#"{"alg":"PS256","kid":"rsa"}"#, &payload)),
            ("ES384", sign(&EC, r#"{"alg":"ES384","kid":"ec"}"#, &payload)),
            ("alg is a list", sign(&EC, r#"{"alg":["ES256"],"kid":"ec"}"#, &payload)),
            ("alg twice", sign(&EC, r#"{"alg":"none","alg":"ES256","kid":"ec"}"#, &payload)),
            ("no alg", sign(&EC, r#"{"kid":"ec"}"#, &payload)),
            ("crit", sign(&EC, r#"{"alg":"ES256","kid":"ec","crit":["exp"]}"#, &payload)),
            ("b64", sign(&EC, r#"{"alg":"ES256","kid":"ec","b64":false}"#, &payload)),
            ("another's key", sign(&STRANGER, HEADER, &payload)),
            ("logout+jwt", sign(&EC, r#"{"alg":"ES256","kid":"ec","typ":"logout+jwt"}"#, &payload)),
            ("an all-zero signature", format!("{}.{}", body(HEADER), b64([0; 64]))),
        ],
    );
    assert_eq!(
        world.with_token(&sign_rsa(r#"{"alg":"RS256","kid":"rsa"}"#, &payload)),
        200,
        "the RSA counterpart"
    );
}

#[test]
fn never_n39_a_time_of_the_wrong_type_or_range_counts_as_valid() {
    let world = World::plain();
    let mut bad = Vec::new();
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!("9999999999"),
            json!(null),
            json!(true),
            json!([9_999_999_999_i64]),
            json!({}),
            json!(1e300),
            json!(-1),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(-0.5),
            json!("1.5"),
            json!(253_402_300_800.5),
        ] {
            bad.push(("a time", claim(name, value)));
        }
    }
    let raw = claims().to_string();
    bad.push(("Infinity", sign(&EC, HEADER, &raw.replacen("\"exp\":", "\"exp\":1e999,\"x\":", 1))));
    bad.push(("no exp", without("exp")));
    bad.push(("expired", claim("exp", json!(now() - 5))));
    bad.push(("not yet valid", claim("nbf", json!(now() + 60))));
    bad.push(("issued in the future", claim("iat", json!(now() + 60))));
    bad.push(("milliseconds", claim("exp", json!((now() + 60) * 1_000_000))));
    bad.push(("over for a part of a second", claim("exp", json!(now() as f64 - 2.5))));
    bad.push(("a fraction too early", claim("nbf", json!(now() as f64 + 60.5))));
    refuses(&world, bad);
    assert_eq!(world.with_token(&without("nbf")), 200, "the counterpart: `nbf` is optional");
    for (name, value) in [("exp", 600.5), ("nbf", -5.25), ("iat", -5.75), ("auth_time", -5.5)] {
        let token = claim(name, json!(now() as f64 + value));
        assert_eq!(world.with_token(&token), 200, "a fraction is a time: {name} (RFC 7519, section 2)");
    }
}

/// Starts with this key document, and waits until it was looked at.
fn with_keys(document: &str) -> World {
    let world = World::launch_with(Setup::default(), |folder| {
        std::fs::write(folder.join("keys.json"), document).unwrap();
    })
    .unwrap();
    world.wait_for("the keys", |world| world.admin_get("/readyz", "").status == 200);
    world
}

#[test]
fn an_odd_key_costs_only_itself_and_its_reason_is_reported() {
    let whole: Value = serde_json::from_str(&keys::jwks()).unwrap();
    let mut keys = whole["keys"].as_array().unwrap().clone();
    let mut for_encryption = keys::ec_jwk(&STRANGER, "ec");
    for_encryption["use"] = json!("enc");
    let mut rsa_under_its_name = keys[1].clone();
    rsa_under_its_name["kid"] = json!("ec");
    let odd = [
        for_encryption,
        rsa_under_its_name,
        keys[0].clone(),
        json!({"kty": "RSA", "kid": null, "use": null, "alg": null, "n": "AQAB", "e": "AQAB"}),
        json!({"kty": "oct", "kid": "line\nend", "k": "AAAA"}),
        json!(7),
        keys::ec_jwk(&STRANGER, "torn"),
        keys::ec_jwk(&EC, "torn"),
    ];
    keys.splice(0..0, odd);
    let world = with_keys(&format!("\u{feff}{}", json!({ "keys": keys })));
    assert_eq!(world.with_token(&token()), 200);
    let payload = claims().to_string();
    for kid in ["rsa", "ec"] {
        assert_eq!(
            world.with_token(&sign_rsa(&format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#), &payload)),
            200
        );
    }
    for key in [&EC, &STRANGER] {
        assert_eq!(
            world.with_token(&sign(key, r#"{"alg":"ES256","kid":"torn"}"#, &payload)),
            401,
            "ambiguous"
        );
    }
    let said = world.said();
    for line in [
        "\"ec\": other-use",
        "without kid: weak",
        "\"line\\nend\": secret",
        "without kid: malformed",
        "\"torn\": ambiguous",
    ] {
        assert!(said.contains(&format!("a key of the set is not used: {line}")), "{line}: {said}");
    }
    for (reason, count) in
        [("other-use", 1.0), ("weak", 1.0), ("secret", 1.0), ("malformed", 1.0), ("ambiguous", 2.0)]
    {
        let series = format!("portcullis_issuer_keys_unused{{issuer=\"main\",reason=\"{reason}\"}}");
        assert!((world.metric(&series) - count).abs() < 0.5, "{series}");
    }
    let ready = world.admin_get("/readyz", "").body;
    assert!(
        ready.contains("issuer main: usable, 3 keys") && ready.contains("2 unused (ambiguous)"),
        "{ready}"
    );
}

#[test]
fn groups_that_a_token_leaves_out_are_refused_as_a_matter_for_an_administrator() {
    let policies = r#"
[[policy]]
id = "no-contractors"
users = { include = ["group:contractors"] }
apps = { include = ["all"] }
grant = "block"
"#;
    let world = World::start(Setup { policies: policies.to_owned(), ..Setup::default() });
    let ask = |change: &dyn Fn(&mut Value)| {
        let head = format!(
            "GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept: application/json\r\nAuthorization: Bearer {}\r\n\r\n",
            token_with(|claims| change(claims))
        );
        crate::wire::exchange(&world.plain, head.as_bytes())
    };
    let overage = |claims: &mut Value| {
        claims.as_object_mut().unwrap().remove("groups");
        claims["_claim_names"] = json!({ "groups": "src1" });
        claims["_claim_sources"] = json!({ "src1": { "endpoint": "https://graph.test/" } });
    };
    let several = |text: &'static str| move |claims: &mut Value| claims["groups"] = json!(text);
    let cases: [&dyn Fn(&mut Value); 5] = [
        &overage,
        &|claims| claims["hasgroups"] = json!(true),
        &several("staff contractors"),
        &several("staff,contractors"),
        &several(r#"["staff"]"#),
    ];
    for (at, change) in cases.into_iter().enumerate() {
        let answer = ask(change);
        assert_eq!(answer.status, 403, "case {at}: {}", answer.body);
        assert!(!answer.head.to_ascii_lowercase().contains("retry-after"), "case {at}: {}", answer.head);
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(
            (&problem["code"], &problem["error"]),
            (&json!(880_001), &json!("groups_not_told")),
            "{problem}"
        );
        assert_eq!(
            (&problem["retryable"], &problem["resolution"]),
            (&json!(false), &json!("contact_admin")),
            "{problem}"
        );
        assert!(!answer.body.contains("try again in") && !answer.body.contains("contractors"), "{problem}");
    }
    assert_eq!(world.origin.hits(), 0);
    let series = "portcullis_refusals_total{app=\"wiki\",reason=\"groups-not-told\",code=\"880001\"}";
    world.wait_for("the count", |world| world.metric(series) > 4.5);
    world.wait_for("the log", |world| world.log().contains("\"reason\":\"groups-not-told\""));
    assert_eq!(
        ask(&|claims| claims["groups"] = json!(["staff", "contractors"])).status,
        403,
        "the counterpart"
    );
    assert_eq!(ask(&|claims| claims["groups"] = json!("staff")).status, 200);
    assert_eq!(ask(&|claims| claims["groups"] = json!(["staff"])).status, 200);
}

#[test]
fn a_compliant_device_without_a_name_is_unregistered_and_reported_once() {
    let policies = r#"
[[policy]]
id = "managed"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = { controls = ["compliant-device"] }
"#;
    let world = World::start(Setup { policies: policies.to_owned(), ..Setup::default() });
    for _ in 0..3 {
        assert_eq!(world.with_token(&claim("device_compliant", json!(true))), 403);
    }
    let named = token_with(|claims| {
        claims["device_compliant"] = json!(true);
        claims["deviceid"] = json!("d-1");
    });
    assert_eq!(world.with_token(&named), 200, "the counterpart");
    let lines = world.said().matches("says that its device is compliant and names no device").count();
    assert_eq!(lines, 1, "{}", world.said());
}

#[test]
fn ready_is_whoever_has_an_issuer_that_is_usable_now() {
    let gone = crate::free::free_address();
    let second = format!(
        "[[issuer]]\nname = \"second\"\nissuer = \"https://second.test/\"\naudiences = [\"api\"]\nkeys = {{ url = \"http://{gone}/keys\" }}\n"
    );
    let world = World::start(Setup {
        top: second,
        issuer: "refresh-min = \"1s\"\nrefresh = \"1s\"\nstale-max = \"4s\"",
        ..Setup::default()
    });
    world.wait_for("the second issuer's first look", |world| {
        world.admin_get("/readyz", "").body.contains("issuer second: not usable, no keys yet; ")
    });
    assert_eq!(world.admin_get("/readyz", "").status, 200, "an issuer that is silent keeps no replica out");
    assert_eq!(world.with_token(&token()), 200);
    let usable = |world: &World, issuer: &str| {
        world.metric(&format!("portcullis_issuer_keys_usable{{issuer=\"{issuer}\"}}"))
    };
    assert!(usable(&world, "main") > 0.5 && usable(&world, "second") < 0.5);

    std::fs::remove_file(world.file("keys.json")).unwrap();
    world.wait_for("a fetch that fails", |world| {
        world.admin_get("/readyz", "").body.contains("the key file cannot be read")
    });
    world.wait_for("keys that are too old", |world| world.admin_get("/readyz", "").status == 503);
    // Requests read a clock that may be a tick of the kernel behind.
    world.wait_for("a refusal: not ready is whoever can let nobody in", |world| {
        world.with_token(&token()) == 503
    });
    let ready = world.admin_get("/readyz", "").body;
    assert!(ready.contains("issuer main: not usable, 2 keys, fetched"), "{ready}");
    std::fs::write(world.file("keys.json"), keys::jwks()).unwrap();
    world.wait_for("keys again", |world| world.admin_get("/readyz", "").status == 200);
    assert_eq!(world.with_token(&token()), 200);
}

#[test]
fn never_n40_issuer_or_audience_is_skipped() {
    let world = World::plain();
    refuses(
        &world,
        [
            ("no iss", without("iss")),
            ("no aud", without("aud")),
            ("another iss", claim("iss", json!("https://id.test/other"))),
            ("iss with a slash", claim("iss", json!(format!("{}/", keys::ISSUER)))),
            ("iss in capitals", claim("iss", json!(keys::ISSUER.to_uppercase()))),
            ("iss is a list", claim("iss", json!([keys::ISSUER]))),
            ("iss is an object", claim("iss", json!({ "x": keys::ISSUER }))),
            ("iss is null", claim("iss", json!(null))),
            ("another aud", claim("aud", json!("api://other"))),
            ("aud in capitals", claim("aud", json!(keys::AUDIENCE.to_uppercase()))),
            ("aud is empty", claim("aud", json!(""))),
            ("aud is an empty list", claim("aud", json!([]))),
            ("aud is null", claim("aud", json!(null))),
            ("aud is a number", claim("aud", json!(42))),
            ("aud is an object", claim("aud", json!({ "0": keys::AUDIENCE }))),
            ("aud holds a number", claim("aud", json!([keys::AUDIENCE, 42]))),
            ("aud is nested", claim("aud", json!([[keys::AUDIENCE]]))),
            ("aud has ours as a part", claim("aud", json!(format!("{},x", keys::AUDIENCE)))),
        ],
    );
    assert_eq!(world.with_token(&claim("aud", json!(["x", keys::AUDIENCE]))), 200, "the counterpart");
    for broken in ["issuer = \"\"", "audiences = []"] {
        let name = broken.split(' ').next().unwrap();
        let refused = World::launch_with(Setup::default(), |folder| {
            let file = folder.join("portcullis.toml");
            let text = std::fs::read_to_string(&file).unwrap();
            let lines: Vec<&str> = text
                .lines()
                .map(|line| if line.starts_with(&format!("{name} =")) { broken } else { line })
                .collect();
            std::fs::write(&file, lines.join("\n")).unwrap();
        });
        assert!(refused.is_err(), "{broken} must not start");
    }
}

#[test]
fn never_n42_any_token_or_an_unsigned_cookie_lets_in() {
    let world = World::plain();
    let ask = |lines: &str| world.bare(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n"));
    let unsigned = format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(claims().to_string()));
    for lines in [
        String::new(),
        "Authorization: Bearer x\r\n".to_owned(),
        "Authorization: Bearer\r\n".to_owned(),
        "Authorization: Bearer a.b.c\r\n".to_owned(),
        "Authorization: Basic YW5uYTpwYXNz\r\n".to_owned(),
        format!("Authorization: Basic {}\r\n", token()),
        "Cookie: session=1\r\n".to_owned(),
        "Cookie: session=\r\n".to_owned(),
        "Cookie: authenticated=true; user=anna; OauthHMAC=1; BearerToken=x\r\n".to_owned(),
        format!("Cookie: session={unsigned}\r\n"),
        format!("Cookie: Session={}\r\n", token()),
        format!("X-Token: {}\r\n", token()),
        format!("Proxy-Authorization: Bearer {}\r\n", token()),
        format!("Authorization: Bearer x\r\nCookie: session={}\r\n", token()),
    ] {
        assert_eq!(ask(&lines), 401, "{lines:?}");
    }
    assert_eq!(world.bare(&format!("GET /?access_token={} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", token())), 401);
    assert_eq!(world.origin.hits(), 0);
    assert_eq!(ask(&format!("Cookie: a=1; session={}\r\n", token())), 200, "the counterpart");
}

#[test]
fn never_n43_an_encrypted_token_is_accepted_or_costs_unbounded_work() {
    let world = World::plain();
    let five = |header: &str| format!("{}.AAAA.AAAA.{}.AAAA", b64(header), b64(claims().to_string()));
    let payload = claims().to_string();
    refuses(
        &world,
        [
            ("RSA-OAEP", five(r#"{"alg":"RSA-OAEP","enc":"A256GCM","kid":"rsa"}"#)),
            ("dir", five(r#"{"alg":"dir","enc":"A128CBC-HS256"}"#)),
            ("PBES2", five(r#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}"#)),
            ("zip", sign(&EC, r#"{"alg":"ES256","kid":"ec","zip":"DEF"}"#, &payload)),
            ("enc", sign(&EC, r#"{"alg":"ES256","kid":"ec","enc":"A256GCM"}"#, &payload)),
            ("four parts", format!("{}.AAAA", token())),
            ("two parts", token().rsplit_once('.').unwrap().0.to_owned()),
        ],
    );
}

#[test]
fn never_n44_a_crafted_token_panics_or_allocates_without_limit() {
    let world = World::plain();
    let payload = claims().to_string();
    let deep = format!("{{\"iss\":\"{}\",\"x\":{}{}}}", keys::ISSUER, "[".repeat(4000), "]".repeat(4000));
    refuses(
        &world,
        [
            ("dots", ".".repeat(8000)),
            ("empty parts", "..".to_owned()),
            ("a single dot", ".".to_owned()),
            ("deep claims", sign(&EC, HEADER, &deep)),
            ("deep header", sign(&EC, &format!("{}{}", "[".repeat(3000), "]".repeat(3000)), &payload)),
            ("a header that is no object", sign(&EC, "[]", &payload)),
            ("a header that is no text", sign(&EC, "\u{0}", &payload)),
            ("an empty header", sign(&EC, "", &payload)),
            (
                "a huge kid",
                sign(&EC, &format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(5000)), &payload),
            ),
            ("a kid that is a path", sign(&EC, r#"{"alg":"ES256","kid":"../../../dev/null"}"#, &payload)),
            ("a kid that is SQL", sign(&EC, r#"{"alg":"ES256","kid":"' OR '1'='1"}"#, &payload)),
            ("a kid that is null", sign(&EC, r#"{"alg":"ES256","kid":null}"#, &payload)),
            ("a long signature", format!("{}{}", token(), "A".repeat(4000))),
        ],
    );
    let long = world.with_token(&"a".repeat(17 * 1024));
    assert!(matches!(long, 400 | 401), "{long}");
    assert!(world.runs());
    assert!(!world.said().contains("panicked"), "{}", world.said());
    assert!((world.metric("portcullis_requests_unfinished_total")).abs() < 0.5);
}

#[test]
fn never_n45_a_truncated_or_re_encoded_token_still_verifies() {
    let world = World::plain();
    let good = token();
    let (rest, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = rest.split_once('.').unwrap();
    // The last letter of 64 bytes carries four bits; the others must be zero.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let neighbour = alphabet.chars().nth(alphabet.find(last).unwrap() ^ 1).unwrap();
    let s256 = |text: &str| text.to_owned();
    refuses(
        &world,
        [
            ("a letter less", s256(&good[..good.len() - 1])),
            ("half a signature", format!("{rest}.{}", &signature[..43])),
            (
                "other bits that mean nothing",
                format!("{rest}.{}{neighbour}", &signature[..signature.len() - 1]),
            ),
            ("padding", format!("{good}==")),
            ("padding inside", format!("{header}=.{payload}.{signature}")),
            ("the other alphabet", format!("{rest}.+/{}", &signature[2..])),
            ("a line end", format!("{header}.{payload}.{}%0a", signature)),
            ("a space", format!("{header}. {payload}.{signature}")),
            ("a tab", format!("{header}.{payload}\t.{signature}")),
            ("a word behind", format!("{good} x")),
            ("a comma behind", format!("{good},{good}")),
            ("quotes", format!("\"{good}\"")),
            ("another payload", format!("{header}.{}.{signature}", b64(claims().to_string() + " "))),
        ],
    );
}

#[test]
fn never_n46_a_key_url_of_a_token_makes_the_proxy_call() {
    let public = keys::ec_jwk(&STRANGER, "stranger");
    let document = json!({ "keys": [public] }).to_string();
    let server = Counter::start(move |stream| {
        let _ = stream.write_all(&json_reply(&document));
    });
    let world = World::plain();
    let payload = claims().to_string();
    let url = format!("http://{}/keys", server.address);
    let header = |extra: &str| format!(r#"{{"alg":"ES256","typ":"JWT","kid":"stranger",{extra}}}"#);
    refuses(
        &world,
        [
            ("jku", sign(&STRANGER, &header(&format!(r#""jku":"{url}""#)), &payload)),
            ("x5u", sign(&STRANGER, &header(&format!(r#""x5u":"{url}""#)), &payload)),
            (
                "jwk",
                sign(&STRANGER, &header(&format!(r#""jwk":{}"#, keys::ec_jwk(&STRANGER, "x"))), &payload),
            ),
            ("x5c", sign(&STRANGER, &header(r#""x5c":["AAAA"]"#), &payload)),
            ("kid is the url", sign(&STRANGER, &format!(r#"{{"alg":"ES256","kid":"{url}"}}"#), &payload)),
            ("iss is the url", {
                let mut claims = claims();
                claims["iss"] = json!(format!("http://{}", server.address));
                sign(&STRANGER, &header(r#""a":1"#), &claims.to_string())
            }),
        ],
    );
    // Time enough for a fetch behind the request.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(server.calls(), 0, "nothing was called");
    assert!(std::net::TcpStream::connect(&server.address).is_ok());
    world.wait_for("the counterpart: a call is counted", |_| server.calls() == 1);
}

#[test]
fn never_n47_unknown_key_ids_drive_one_fetch_for_each_request() {
    let document = keys::jwks();
    let server = Counter::start(move |stream| {
        let _ = stream.write_all(&json_reply(&document));
    });
    let world = World::start(Setup {
        keys: format!("{{ url = \"http://{}/jwks\" }}", server.address),
        issuer: "refresh-min = \"30s\"",
        ..Setup::default()
    });
    assert_eq!(server.calls(), 1, "the counterpart: the keys were fetched once");
    for number in 0..200 {
        let header = format!(r#"{{"alg":"ES256","typ":"JWT","kid":"k{number}"}}"#);
        assert_eq!(world.with_token(&sign(&STRANGER, &header, &claims().to_string())), 401);
    }
    std::thread::sleep(Duration::from_millis(500));
    assert!(server.calls() <= 2, "{} fetches for 200 unknown keys", server.calls());
    assert_eq!(world.with_token(&token()), 200, "the known keys go on");
}

#[test]
fn never_n48_a_list_or_a_repeated_member_is_taken_for_claims() {
    let world = World::plain();
    let good = claims().to_string();
    let inside = |text: &str| sign(&EC, HEADER, &good.replacen('{', &format!("{{{text},"), 1));
    refuses(
        &world,
        [
            ("a list", sign(&EC, HEADER, &format!("[{good}]"))),
            ("a list of values", sign(&EC, HEADER, &format!("[\"{}\"]", keys::ISSUER))),
            ("a text", sign(&EC, HEADER, "\"claims\"")),
            ("null", sign(&EC, HEADER, "null")),
            ("nothing", sign(&EC, HEADER, " ")),
            ("sub twice", inside(r#""sub":"admin""#)),
            ("groups twice", inside(r#""groups":["admins"]"#)),
            ("iss twice", inside(&format!(r#""iss":"{}""#, keys::ISSUER))),
            ("aud twice", inside(&format!(r#""aud":"{}""#, keys::AUDIENCE))),
            ("exp twice", inside(r#""exp":99999999999"#)),
            ("an escaped duplicate", inside(r#""\u0073ub":"admin""#)),
            ("a repeated member inside", inside(r#""device":{"a":1,"a":2}"#)),
            ("two objects", sign(&EC, HEADER, &format!("{good}{good}"))),
            ("kid twice", sign(&EC, r#"{"alg":"ES256","kid":"x","kid":"ec"}"#, &good)),
        ],
    );
    assert_eq!(world.with_token(&inside(r#""other":{"a":1,"b":2}"#)), 200, "the counterpart");
}
