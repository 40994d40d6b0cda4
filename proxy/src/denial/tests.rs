//! What a denial promises, over every refusal, form and disclosure.

use std::net::{IpAddr, Ipv4Addr};

use portcullis_config::settings::{self, Disclosure};
use portcullis_policy::decision::{ReasonCode, ReasonSet, Refused};
use portcullis_policy::model::{ClientAppType, CountryCode, Platform};
use serde_json::Value;

use super::{Answer, Asked, Denials, DeviceState, Facts, RemedySuggestion, StepUp};
use crate::refusal::{BadRequest, BadToken, Refusal};

const NOW: i64 = 1_795_487_466_123;
const ID: u128 = 0x0193_7e2a_1b2c_7d3e_8f40_5162_7384_95a6;
const BLOCKED: Refusal = refused(ReasonCode::BlockedByLocation);
const BROWSER: Asked<'static> = asked("text/html", Some("navigate"));
const SCRIPT: Asked<'static> = asked("application/json", None);
const TERMINAL: Asked<'static> = asked("text/plain", None);

const fn asked(accept: &'static str, mode: Option<&'static str>) -> Asked<'static> {
    Asked {
        method: "GET",
        is_upgrade: false,
        accept: Some(accept),
        accept_language: None,
        sec_fetch_mode: mode,
        sec_fetch_dest: None,
        x_requested_with: None,
        hx_request: false,
        content_type: None,
        user_agent: None,
        had_bearer: false,
    }
}

const fn refused(primary: ReasonCode) -> Refusal {
    Refusal::Policy(Refused { primary, reasons: ReasonSet::EMPTY.with(primary), temporary: false })
}

fn branding() -> settings::Denial {
    settings::Denial {
        installation: "Northwind access".into(),
        disclosure: Disclosure::Standard,
        contact_mail: Some("help@northwind.example".into()),
        contact_url: Some("https://help.northwind.example/".into()),
        remediation_url: Some("https://devices.northwind.example/".into()),
        accent: None,
        logo: None,
    }
}

fn denials() -> Denials {
    Denials::new(&branding(), &[])
}

fn facts() -> Facts<'static> {
    Facts {
        app: Some(("payroll", "Payroll")),
        user: Some("kari@northwind.example"),
        client: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
        country: CountryCode::new("NO"),
        platform: Some(Platform::Windows),
        client_app: Some(ClientAppType::Browser),
        device: DeviceState::NotCompliant { id: "5f3c2a10-77aa-4c1e-9d6b-0a1b2c3d4e5f" },
        os_version: Some("10.0.22631"),
        remedies: &[&[RemedySuggestion::OtherNetwork], &[RemedySuggestion::CompliantDevice]],
        sign_in_url: Some("/sign-in"),
        ..Facts::of_request(ID, NOW)
    }
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.to_str().unwrap())
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn every_refusal() -> Vec<Refusal> {
    let mut list = vec![
        Refusal::NoApp,
        Refusal::NoToken,
        Refusal::KeysUnavailable,
        Refusal::Internal,
        Refusal::Upstream { status: 502 },
        Refusal::Upstream { status: 504 },
        Refusal::BodyTooLarge,
    ];
    list.extend(BadRequest::ALL.map(Refusal::BadRequest));
    list.extend(BadToken::ALL.map(Refusal::BadToken));
    for primary in ReasonCode::ALL {
        for temporary in [false, true] {
            let reasons = ReasonCode::ALL.into_iter().fold(ReasonSet::EMPTY, ReasonSet::with);
            for reasons in [ReasonSet::EMPTY.with(primary), reasons] {
                list.push(Refusal::Policy(Refused { primary, reasons, temporary }));
            }
        }
    }
    list
}

fn every_answer(facts: &Facts<'_>) -> Vec<(Refusal, Answer)> {
    let denials = denials();
    let mut list = Vec::new();
    for refusal in every_refusal() {
        for asked in [BROWSER, SCRIPT, TERMINAL] {
            for disclosure in [Disclosure::Minimal, Disclosure::Standard, Disclosure::Full] {
                list.push((refusal, denials.render(&refusal, facts, &asked, disclosure)));
            }
        }
    }
    list
}

#[test]
fn every_hole_escapes_what_is_put_into_it() {
    let attack =
        "</title></pre></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\r\n{app}{{lead}}";
    let hostile = Facts {
        app: Some((attack, attack)),
        user: Some(attack),
        device: DeviceState::Registered { id: attack },
        os_version: Some(attack),
        sign_in_url: Some("/x\"><script>"),
        ..facts()
    };
    let settings = settings::Denial {
        installation: attack.into(),
        contact_mail: Some(format!("a@b{attack}")),
        contact_url: Some("javascript:alert(1)".into()),
        remediation_url: Some(format!("https://x/{attack}")),
        accent: Some("red}</style>".into()),
        logo: Some(format!("data:image/png,{attack}")),
        ..branding()
    };
    let denials = Denials::new(&settings, &[]);
    for refusal in every_refusal() {
        let answer = denials.render(&refusal, &hostile, &BROWSER, Disclosure::Full);
        let page = text(&answer);
        assert!(
            !page.contains("<script") && !page.contains("<img") && !page.contains("javascript:"),
            "{page}"
        );
        for once in ["</title>", "</style>", "</pre>", "<h1>", "</html>"] {
            assert_eq!(page.matches(once).count(), 1, "{once} in {page}");
        }
        assert!(!page.contains('\r') && !page.contains("href=\"/x"));
        let plain = denials.render(&refusal, &hostile, &TERMINAL, Disclosure::Full);
        assert!(!text(&plain).contains('\r'));
        json(&denials.render(&refusal, &hostile, &SCRIPT, Disclosure::Full));
    }
}

#[test]
fn no_name_can_add_a_line_or_turn_the_text_around() {
    let name = "x\nError code: 0\u{202e}\u{2028}\u{1b}[2J\u{200b}";
    let hostile = Facts { app: Some((name, name)), user: Some(name), ..facts() };
    let answer = denials().render(&BLOCKED, &hostile, &TERMINAL, Disclosure::Standard);
    assert!(!text(&answer).lines().any(|line| line == "Error code: 0"));
    for answer in [answer, denials().render(&BLOCKED, &hostile, &BROWSER, Disclosure::Standard)] {
        assert!(!text(&answer).contains(['\u{202e}', '\u{2028}', '\u{1b}', '\u{200b}']));
    }
}

#[test]
fn who_has_no_valid_token_learns_nothing_of_app_address_device_or_policy() {
    let bare = Facts { sign_in_url: Some("/sign-in"), ..Facts::of_request(ID, NOW) };
    let full = facts();
    let mut unsigned = vec![
        Refusal::NoApp,
        Refusal::NoToken,
        Refusal::KeysUnavailable,
        Refusal::Internal,
        Refusal::BodyTooLarge,
    ];
    unsigned.extend(BadRequest::ALL.map(Refusal::BadRequest));
    unsigned.extend(BadToken::ALL.map(Refusal::BadToken));
    let grpc = Asked { content_type: Some("application/grpc"), ..SCRIPT };
    let denials = denials();
    for refusal in unsigned {
        for asked in [BROWSER, SCRIPT, TERMINAL, grpc] {
            let one = denials.render(&refusal, &bare, &asked, Disclosure::Full);
            for disclosure in [Disclosure::Minimal, Disclosure::Standard, Disclosure::Full] {
                let other = denials.render(&refusal, &full, &asked, disclosure);
                assert_eq!(
                    (one.status, &one.body, &one.headers),
                    (other.status, &other.body, &other.headers)
                );
            }
        }
    }
}

#[test]
fn all_bad_tokens_look_the_same_but_an_expired_one() {
    let denials = denials();
    let of = |bad| denials.render(&Refusal::BadToken(bad), &facts(), &SCRIPT, Disclosure::Standard);
    let first = of(BadToken::Malformed);
    for bad in BadToken::ALL {
        let answer = of(bad);
        let same = (&answer.body, &answer.headers) == (&first.body, &first.headers);
        assert_eq!(same, bad != BadToken::Expired, "{bad:?}");
        assert_eq!(answer.status, 401);
    }
    assert_eq!(json(&of(BadToken::Expired))["code"], 70043);
    assert_eq!(json(&first)["code"], 50013);
    let words = BadRequest::ALL
        .map(|bad| denials.render(&Refusal::BadRequest(bad), &facts(), &SCRIPT, Disclosure::Standard).body);
    // A foreign origin is refused as RFC 6455 asks, with 403; all others with 400.
    let same = words.iter().filter(|word| **word == words[0]).count();
    assert_eq!(same, BadRequest::ALL.len() - 1);
}

#[test]
fn the_page_stays_below_12_kb_whatever_is_put_into_it() {
    for long in ["\"".repeat(5000), "𝔘".repeat(5000)] {
        let link = format!("/sign-in?rd={}", "a".repeat(400));
        let alternatives: Vec<&[RemedySuggestion]> = vec![&RemedySuggestion::ALL; 50];
        let facts = Facts {
            app: Some((&long, &long)),
            user: Some(&long),
            device: DeviceState::NotCompliant { id: &long },
            os_version: Some(&long),
            remedies: &alternatives,
            sign_in_url: Some(&link),
            ..facts()
        };
        for logo in [None, Some(format!("data:image/png;base64,{}", "A".repeat(9000)))] {
            let denials =
                Denials::new(&settings::Denial { logo, installation: long.clone(), ..branding() }, &[]);
            for refusal in every_refusal() {
                let answer = denials.render(&refusal, &facts, &BROWSER, Disclosure::Full);
                assert!(answer.body.len() < 12 * 1024, "{} bytes", answer.body.len());
            }
        }
    }
    let usual = denials().render(&BLOCKED, &facts(), &BROWSER, Disclosure::Standard);
    assert!(usual.body.len() < 8 * 1024, "{} bytes", usual.body.len());
}

#[test]
fn minimal_disclosure_shows_code_request_time_and_contact_only() {
    let denials = denials();
    let mut keys = Vec::new();
    for asked in [BROWSER, SCRIPT, TERMINAL] {
        let answer = denials.render(&BLOCKED, &facts(), &asked, Disclosure::Minimal);
        for kept_back in
            ["Payroll", "payroll", "kari", "203.0.113.7", "NO (", "Windows", "5f3c2a10", "ompliant", "etwork"]
        {
            assert!(!text(&answer).contains(kept_back), "{kept_back}");
        }
        for shown in
            ["53003", "01937e2a-1b2c-7d3e-8f40-5162738495a6", "2026-11-24T02:31:06.123Z", "help@northwind"]
        {
            assert!(text(&answer).contains(shown), "{shown} in {}", text(&answer));
        }
        if let Ok(Value::Object(twin)) = serde_json::from_slice(&answer.body) {
            keys = twin.keys().cloned().collect();
        }
    }
    keys.sort();
    assert_eq!(
        keys,
        [
            "code",
            "detail",
            "error",
            "instance",
            "request_id",
            "retryable",
            "status",
            "support",
            "timestamp",
            "title",
            "type"
        ]
    );
}

#[test]
fn standard_disclosure_shows_the_own_facts_and_all_failing_classes() {
    let reasons = ReasonSet::EMPTY.with(ReasonCode::BlockedByLocation).with(ReasonCode::DeviceNotCompliant);
    let refusal =
        Refusal::Policy(Refused { primary: ReasonCode::BlockedByLocation, reasons, temporary: false });
    let twin = json(&denials().render(&refusal, &facts(), &SCRIPT, Disclosure::Standard));
    assert_eq!(twin["type"], "urn:portcullis:denial:53003");
    assert_eq!(twin["status"], 403);
    assert_eq!(twin["instance"], "urn:uuid:01937e2a-1b2c-7d3e-8f40-5162738495a6");
    assert_eq!(twin["resolution"], "change_context");
    assert_eq!(twin["retryable"], false);
    assert_eq!(twin["reasons"][0]["class"], "location");
    assert_eq!(twin["reasons"][1]["class"], "device");
    assert_eq!(twin["reasons"][1]["code"], 53000);
    assert_eq!(twin["remedies"][0]["kind"], "other_network");
    assert_eq!(twin["app"]["id"], "payroll");
    assert_eq!(twin["client"]["ip"], "203.0.113.7");
    assert_eq!(twin["client"]["country"], "NO");
    assert_eq!(twin["client"]["device_state"], "Not compliant");
    assert_eq!(twin["support"]["mail"], "help@northwind.example");

    let page = denials().render(&refusal, &facts(), &BROWSER, Disclosure::Standard);
    let page = text(&page);
    for shown in [
        "You can’t open Payroll from here right now",
        "You are signed in as kari@northwind.example.",
        "We see you at 203.0.113.7, NO (approximate).",
        "<dt>Device state</dt><dd>Not compliant</dd>",
        "<dt>Decision by</dt><dd>Northwind access</dd>",
        "Fix this device",
        "mailto:help@northwind.example?subject=Access%20refused%2C%20code%2053003",
    ] {
        assert!(page.contains(shown), "{shown} in {page}");
    }
    assert_eq!((page.matches("<h1>").count(), page.matches("<main>").count()), (1, 1));
    assert_eq!(page.matches("<dt>").count(), 13);
}

#[test]
fn the_block_to_copy_holds_neither_user_nor_address_nor_device_id() {
    let answer = denials().render(&BLOCKED, &facts(), &BROWSER, Disclosure::Full);
    let block = text(&answer).split_once("<pre").unwrap().1.split_once("</pre>").unwrap().0.to_owned();
    assert!(block.contains("Error code: 53003\nRequest ID: 01937e2a"), "{block}");
    assert!(!block.contains("kari") && !block.contains("203.0") && !block.contains("5f3c2a10"), "{block}");
}

#[test]
fn a_structural_refusal_never_asks_to_wait_and_a_temporary_one_always_says_when() {
    for (refusal, answer) in every_answer(&facts()) {
        let temporary = refusal.row().resolution == crate::refusal::Resolution::RetryLater;
        assert_eq!(header(&answer, "retry-after"), temporary.then_some("120"), "{refusal:?}");
        let says = text(&answer);
        assert_eq!(says.contains("try again in 2 minutes"), temporary, "{refusal:?}: {says}");
        assert!(!(temporary && says.contains("a rule of your organisation")), "{refusal:?}: {says}");
        assert!(temporary || !says.contains(">Try again<"), "{refusal:?}: {says}");
        assert!(!temporary || answer.status >= 500, "{refusal:?}");
    }
}

#[test]
fn try_again_is_offered_for_a_temporary_get_only() {
    let denials = denials();
    let page = |asked: &Asked<'_>| {
        let answer = denials.render(&Refusal::KeysUnavailable, &facts(), asked, Disclosure::Standard);
        text(&answer).to_owned()
    };
    assert!(page(&BROWSER).contains("<a class=\"main\" href=\"\">Try again</a>"));
    assert!(!page(&Asked { method: "POST", ..BROWSER }).contains("Try again"));
}

#[test]
fn a_risk_is_never_named_and_nothing_is_offered_around_it() {
    for (_, answer) in every_answer(&facts()) {
        let says = text(&answer).to_lowercase();
        for word in ["risk", "threat", "suspicious", "compromised", "leaked", "anomal"] {
            assert!(!says.contains(word), "{word} in {says}");
        }
        assert!(answer.headers.iter().all(|(_, value)| !value.to_str().unwrap().contains("risk")));
    }
    let risk = refused(ReasonCode::BlockedByRisk);
    let twin = json(&denials().render(&risk, &facts(), &SCRIPT, Disclosure::Full));
    assert_eq!(twin["remedies"].as_array().unwrap().len(), 1);
    assert_eq!(twin["remedies"][0]["kind"], "administrator");
    assert_eq!(twin["reasons"][0]["class"], "policy");
    assert_eq!(twin["error"], "access_blocked");
}

#[test]
fn the_word_permission_never_sends_people_to_the_wrong_fix() {
    for (_, answer) in every_answer(&facts()) {
        let says = text(&answer).to_lowercase();
        assert!(!says.contains("permission") && !says.contains("aadsts"), "{says}");
    }
}

#[test]
fn challenges_are_those_of_rfc_6750_and_rfc_9470() {
    let denials = denials();
    let step_up = StepUp { acr_values: &["phr", "bad\"value", "mfa"], max_age_secs: None };
    let facts = Facts { step_up, ..facts() };
    let of = |refusal: Refusal| {
        let answer = denials.render(&refusal, &facts, &SCRIPT, Disclosure::Standard);
        header(&answer, "www-authenticate").map(str::to_owned)
    };
    assert_eq!(of(Refusal::NoToken).unwrap(), "Bearer");
    assert_eq!(of(Refusal::BadToken(BadToken::Audience)).unwrap(), "Bearer error=\"invalid_token\"");
    assert_eq!(
        of(Refusal::BadToken(BadToken::Expired)).unwrap(),
        "Bearer error=\"invalid_token\", error_description=\"The access token expired\""
    );
    assert_eq!(
        of(refused(ReasonCode::StrengthRequired)).unwrap(),
        "Bearer error=\"insufficient_user_authentication\", acr_values=\"phr mfa\""
    );
    assert_eq!(
        of(refused(ReasonCode::SignInTooOld)).unwrap(),
        "Bearer error=\"insufficient_user_authentication\", acr_values=\"phr mfa\", max_age=\"0\""
    );
    for refusal in every_refusal() {
        assert_eq!(of(refusal).is_some(), refusal.row().status == 401, "{refusal:?}");
    }
}

#[test]
fn every_denial_carries_the_protecting_headers() {
    for (refusal, answer) in every_answer(&facts()) {
        assert_eq!(answer.status, refusal.row().status);
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-robots-tag", "noindex"),
            ("vary", "Accept, Accept-Language, Sec-Fetch-Mode"),
            ("content-language", "en"),
            ("x-request-id", "01937e2a-1b2c-7d3e-8f40-5162738495a6"),
        ] {
            assert_eq!(header(&answer, name), Some(value));
        }
        assert_eq!(header(&answer, "content-length"), Some(answer.body.len().to_string().as_str()));
        let csp = header(&answer, "content-security-policy").unwrap();
        assert!(csp.starts_with("default-src 'none'; style-src 'sha256-"), "{csp}");
        assert!(csp.ends_with("base-uri 'none'; frame-ancestors 'self'") && !csp.contains("unsafe"), "{csp}");
        assert!(header(&answer, "proxy-status").unwrap().starts_with("portcullis; error="));
    }
    let answer = denials().render(&BLOCKED, &facts(), &SCRIPT, Disclosure::Standard);
    assert_eq!(
        header(&answer, "proxy-status"),
        Some("portcullis; error=http_request_denied; details=\"53003\"")
    );
}

#[test]
fn the_content_policy_admits_exactly_the_style_of_the_page() {
    use base64::Engine as _;
    let answer = denials().render(&BLOCKED, &facts(), &BROWSER, Disclosure::Standard);
    let style = text(&answer).split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
    let hash = base64::engine::general_purpose::STANDARD.encode(digest);
    assert!(header(&answer, "content-security-policy").unwrap().contains(&format!("'sha256-{hash}'")));
    assert!(!text(&answer).contains("style=") && !text(&answer).contains("<link"));
}

#[test]
fn grpc_gets_trailers_only() {
    let asked = Asked { content_type: Some("application/grpc"), method: "POST", ..SCRIPT };
    for (refusal, status) in [
        (BLOCKED, "7"),
        (Refusal::NoToken, "16"),
        (refused(ReasonCode::MfaRequired), "16"),
        (Refusal::KeysUnavailable, "14"),
        (Refusal::Internal, "13"),
    ] {
        let answer = denials().render(&refusal, &facts(), &asked, Disclosure::Standard);
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert_eq!(header(&answer, "grpc-status"), Some(status));
        assert_eq!(header(&answer, "content-type"), Some("application/grpc"));
    }
    let answer = denials().render(&BLOCKED, &facts(), &asked, Disclosure::Standard);
    let message = header(&answer, "grpc-message").unwrap();
    assert_eq!(message, "53003; request 01937e2a-1b2c-7d3e-8f40-5162738495a6");
}

#[test]
fn a_sign_in_link_points_to_this_host_or_to_a_configured_page_only() {
    let page = |url: &str| {
        let facts = Facts { sign_in_url: Some(url), ..Facts::of_request(ID, NOW) };
        let answer = denials().render(&Refusal::NoToken, &facts, &BROWSER, Disclosure::Standard);
        text(&answer).contains(">Sign in</a>")
    };
    assert!(page("/sign-in?rd=%2F"));
    for bad in ["//evil.example/", "/\\evil.example", "https://evil.example/", "javascript:x", "", "sign-in"]
    {
        assert!(!page(bad), "{bad}");
    }
}

#[test]
fn a_missing_country_is_not_invented() {
    let facts = Facts { country_unavailable: true, ..facts() };
    let twin = json(&denials().render(&BLOCKED, &facts, &SCRIPT, Disclosure::Standard));
    assert_eq!(twin["client"]["country"], Value::Null);
}

#[test]
fn a_time_beyond_the_calendar_still_renders() {
    for now_unix_ms in [i64::MIN, i64::MAX, -1, 0] {
        let facts = Facts { now_unix_ms, ..facts() };
        assert_eq!(denials().render(&BLOCKED, &facts, &BROWSER, Disclosure::Full).status, 403);
    }
}
