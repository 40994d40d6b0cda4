//! What the pages promise, over every page, form and language.

use std::net::IpAddr;

use portcullis_config::settings;
use serde_json::Value;

use super::{
    Choice, FragmentStep, MeDevice, MePage, OwnPage, PageRequest, Pages, ProviderError, SignedOutThere,
};
use crate::denial::branding::Branding;
use crate::denial::page::hash;
use crate::denial::{Answer, DeviceState, RequestHints, languages};
use crate::refusal::SignInFault;

const REQUEST: PageRequest =
    PageRequest { request_id: 0x0193_7e2a_1b2c_7d3e_8f40_5162_7384_95a6, now_unix_ms: 1_795_487_466_123 };
const BROWSER: RequestHints<'static> = RequestHints::of_get("text/html", Some("navigate"));
const PROGRAM: RequestHints<'static> = RequestHints::of_get("application/json", None);
const TERMINAL: RequestHints<'static> = RequestHints::of_get("text/plain", None);

fn pages() -> Pages {
    let denial = settings::Denial {
        installation: "Northwind".into(),
        contact_mail: Some("help@northwind.example".into()),
        contact_url: Some("https://help.northwind.example/".into()),
        ..settings::Denial::default()
    };
    Pages::with(Branding::new(&denial, &[]), denial.language)
}

fn me(foreign: &str) -> OwnPage {
    OwnPage::Me(Box::new(MePage {
        user: foreign.into(),
        user_id: foreign.into(),
        app: foreign.into(),
        provider: foreign.into(),
        methods: vec![foreign.into()],
        auth_time: Some(1_795_487_000),
        device: MeDevice::of(&DeviceState::Compliant { id: foreign }),
        address: Some(IpAddr::from([198, 51, 100, 20])),
        country: Some("US".into()),
        idle_until: 1_795_490_000,
        until: 1_795_530_000,
        sign_out: "/.portcullis/sign-out".into(),
        leads_to: Some("https://id.example/end?x=y".into()),
        other_account: Some("/.portcullis/sign-in?prompt=select_account".into()),
    }))
}

fn failed(fault: SignInFault, foreign: &str) -> OwnPage {
    OwnPage::SignInFailed {
        provider: foreign.into(),
        fault,
        said: Some(ProviderError { error: foreign.into(), description: Some(foreign.into()) }),
        retry: "/.portcullis/sign-in?return=%2F".into(),
        choose: Some("/.portcullis/sign-in?return=%2F&choose=".into()),
    }
}

/// Every page, with one text wherever a foreign one may stand.
fn every_page(foreign: &str) -> Vec<OwnPage> {
    let retry = || String::from("/.portcullis/sign-in?return=%2F");
    let mut all: Vec<_> = SignInFault::ALL.map(|fault| failed(fault, foreign)).into();
    all.extend([
        OwnPage::Chooser {
            choices: ["a", "b"]
                .map(|provider| Choice {
                    name: foreign.into(),
                    href: format!("/.portcullis/sign-in?provider={provider}"),
                })
                .into(),
            keeps_fragment: false,
        },
        OwnPage::CookiesBlocked { retry: retry() },
        OwnPage::LoopBroken { provider: foreign.into(), fault: SignInFault::SessionNotKept, retry: retry() },
        OwnPage::LoopBroken { provider: foreign.into(), fault: SignInFault::CookiesBlocked, retry: retry() },
        OwnPage::FormNotSent { sign_in: retry() },
        OwnPage::SignOut { action: "/.portcullis/sign-out".into(), user: foreign.into(), leads_to: None },
        OwnPage::NotSignedIn { sign_in: retry() },
        OwnPage::SignedOut { sign_in: retry(), there: SignedOutThere::Ended },
        OwnPage::Reported { reference: foreign.into() },
        OwnPage::SignedOut { sign_in: retry(), there: SignedOutThere::NotAsked },
        OwnPage::SignedOut { sign_in: retry(), there: SignedOutThere::Unreached(foreign.into()) },
        me(foreign),
        OwnPage::StaleLink { retry: retry() },
        fragment("abc_-9", FragmentStep::Save, "https://id.example/authorize?client_id=a&state=b"),
        fragment("abc_-9", FragmentStep::Restore, "/wiki/page?x=y&z"),
    ]);
    all
}

fn fragment(attempt: &str, step: FragmentStep, next: &str) -> OwnPage {
    OwnPage::KeepFragment { attempt: attempt.into(), step, next: next.into() }
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

fn shown(page: &OwnPage) -> String {
    text(&pages().answer(&BROWSER, REQUEST, page)).to_owned()
}

#[test]
fn every_page_is_spoken_in_every_language_below_14_kb() {
    let pages = pages();
    for language in languages::ALL.iter() {
        let hints = RequestHints { accept_language: Some(language.tag), ..BROWSER };
        for page in every_page("Contoso") {
            let answer = pages.answer(&hints, REQUEST, &page);
            let html = text(&answer);
            assert!(html.len() < 14 * 1024, "{}: {} bytes", language.tag, html.len());
            assert!(html.contains(&format!("<html lang=\"{}\" dir=\"{}\">", language.tag, language.dir)));
            assert!(!html.contains("{{") && !html.contains("{ $") && !html.contains("<h1></h1>"), "{html}");
            assert_eq!(header(&answer, "content-language"), Some(language.tag));
            let between = |open: &str, close: &str| {
                html.split_once(open).unwrap().1.split_once(close).unwrap().0.to_owned()
            };
            let headline = between("<h1>", "</h1>").replace("<bdi>", "").replace("</bdi>", "");
            assert_eq!(between("<title>", "</title>"), format!("{headline} – Northwind"));
        }
    }
}

#[test]
fn no_foreign_text_becomes_markup_or_a_line_of_its_own() {
    let hostile = "</p><script>alert(1)</script>\"'&\u{202e}\n\rx{{lang}}";
    let pages = pages();
    for page in every_page(hostile) {
        let html = text(&pages.answer(&BROWSER, REQUEST, &page)).to_owned();
        assert!(!html.contains("<script>alert") && !html.contains("</p><script>"), "{html}");
        assert!(!html.contains('\u{202e}'), "{html}");
        assert!(!html.contains("x{{lang}}") || html.contains("&lt;/p&gt;"), "{html}");
        let json: Value = serde_json::from_str(text(&pages.answer(&PROGRAM, REQUEST, &page))).unwrap();
        assert!(!json.to_string().contains('\u{202e}'), "{json}");
        let plain = text(&pages.answer(&TERMINAL, REQUEST, &page)).to_owned();
        assert!(!plain.contains('\r') && !plain.contains("\nx{{lang}}"), "{plain}");
    }
}

#[test]
fn a_link_that_is_none_is_left_out() {
    for bad in
        ["javascript:alert(1)", "//evil.example", "/\\evil.example", "data:text/html,x", "/a\"b", "/a\nb"]
    {
        for page in [
            OwnPage::Chooser {
                choices: vec![Choice { name: "a".into(), href: bad.into() }],
                keeps_fragment: false,
            },
            OwnPage::SignInFailed {
                provider: "a".into(),
                fault: SignInFault::AccessDenied,
                said: None,
                retry: bad.into(),
                choose: Some(bad.into()),
            },
            OwnPage::CookiesBlocked { retry: bad.into() },
            OwnPage::FormNotSent { sign_in: bad.into() },
            OwnPage::SignedOut { sign_in: bad.into(), there: SignedOutThere::NotAsked },
            OwnPage::SignOut { action: bad.into(), user: "a".into(), leads_to: None },
            OwnPage::StaleLink { retry: bad.into() },
            fragment("a", FragmentStep::Save, bad),
            fragment("a", FragmentStep::Restore, bad),
        ] {
            let html = shown(&page);
            for attribute in ["href", "action", "data-next", "content"] {
                assert!(!html.contains(&format!("{attribute}=\"{bad}\"")), "{bad}: {html}");
            }
            assert!(!html.contains("evil.example"), "{html}");
        }
    }
}

#[test]
fn a_fragment_is_appended_to_nothing_but_a_provider_before_and_a_path_of_this_host_after() {
    for (attempt, step, next) in [
        ("", FragmentStep::Restore, "/"),
        ("a\"b", FragmentStep::Restore, "/"),
        ("a", FragmentStep::Restore, "https://evil.example/"),
        ("a", FragmentStep::Restore, "//evil.example/"),
        ("a", FragmentStep::Restore, "/a#b"),
        ("a", FragmentStep::Save, "/authorize"),
        ("a", FragmentStep::Save, "https://id.example/#"),
        ("a", FragmentStep::Save, "javascript:alert(1)"),
    ] {
        let answer = pages().answer(&BROWSER, REQUEST, &fragment(attempt, step, next));
        assert_eq!(answer.status, 500, "{attempt} {step:?} {next}");
        assert!(!text(&answer).contains("data-next"), "{attempt} {step:?} {next}");
    }
    let html = shown(&fragment("abc", FragmentStep::Restore, "/a?b=c&d"));
    assert!(
        html.contains("<body data-step=\"restore\" data-attempt=\"abc\" data-next=\"/a?b=c&amp;d\">"),
        "{html}"
    );
    assert!(
        html.contains("<noscript><meta http-equiv=\"refresh\" content=\"0;url=/a?b=c&amp;d\"></noscript>"),
        "{html}"
    );
}

#[test]
fn nothing_but_our_own_style_and_script_runs_and_no_page_is_stored_or_framed() {
    let pages = pages();
    for page in every_page("Contoso") {
        let answer = pages.answer(&BROWSER, REQUEST, &page);
        let html = text(&answer);
        let policy = header(&answer, "content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        let style = html.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        assert!(policy.contains(&format!("style-src {};", hash(style))), "{policy}");
        assert_eq!(html.matches("<script").count(), policy.matches("script-src").count(), "{policy}");
        if let Some((_, script)) = html.split_once("<script>") {
            let script = script.split_once("</script>").unwrap().0;
            assert!(policy.contains(&format!("script-src {};", hash(script))), "{policy}");
        }
        for outside in [" style=", " onclick", "src=\"http", "<link", "<iframe", "@import"] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
        assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"));
        let has_form = html.contains("<form");
        assert_eq!(policy.contains("form-action 'none'"), !has_form, "{policy}");
        // With `no-referrer` the form would come with `Origin: null`.
        let referrer = if has_form { "same-origin" } else { "no-referrer" };
        assert_eq!(header(&answer, "referrer-policy"), Some(referrer));
    }
}

#[test]
fn a_form_may_lead_to_the_provider_that_ends_its_session_and_to_no_other_place() {
    for (leads_to, allowed) in [
        (Some("https://id.example:8443/end?a=b"), "form-action 'self' https://id.example:8443;"),
        (Some("http://127.0.0.1:9/end"), "form-action 'self' http://127.0.0.1:9;"),
        (Some("https://id.example;script-src *"), "form-action 'self';"),
        (Some("javascript://x"), "form-action 'self';"),
        (None, "form-action 'self';"),
    ] {
        let leads_to = leads_to.map(str::to_owned);
        let page = OwnPage::SignOut { action: "/.portcullis/sign-out".into(), user: "a".into(), leads_to };
        let answer = pages().answer(&BROWSER, REQUEST, &page);
        assert!(header(&answer, "content-security-policy").unwrap().contains(allowed), "{allowed}");
    }
}

#[test]
fn a_fault_says_whose_it_is_and_has_its_code_its_id_and_help() {
    for fault in SignInFault::ALL {
        let page = failed(fault, "Contoso");
        let answer = pages().answer(&BROWSER, REQUEST, &page);
        assert_eq!(answer.status, fault.status(), "{fault:?}");
        let html = text(&answer);
        let code = fault.code().to_string();
        for wanted in [
            "<p class=\"kind\"><svg",
            &code,
            fault.as_str(),
            "01937e2a-1b2c-7d3e-8f40-5162738495a6",
            "mailto:help@northwind.example",
            "https://help.northwind.example/",
            "2026-",
            "/.portcullis/sign-in?return=%2F",
        ] {
            assert!(html.contains(wanted), "{fault:?}: {wanted}: {html}");
        }
        let answer = pages().answer(&PROGRAM, REQUEST, &page);
        assert_eq!(header(&answer, "content-type"), Some("application/problem+json"));
        let json: Value = serde_json::from_str(text(&answer)).unwrap();
        assert_eq!(json["code"], fault.code());
        assert_eq!(json["blame"], fault.blame().as_str());
        assert_eq!(json["status"], fault.status());
        assert_eq!(json["request_id"], header(&answer, "x-request-id").unwrap());
    }
}

#[test]
fn the_providers_words_are_shown_as_its_own_and_only_where_they_were_handed_over() {
    let said = |said| OwnPage::SignInFailed {
        provider: "Contoso".into(),
        fault: SignInFault::AccessDenied,
        said,
        retry: "/".into(),
        choose: None,
    };
    let html = shown(&said(Some(ProviderError {
        error: "access_denied".into(),
        description: Some("No <consent>".into()),
    })));
    assert!(
        html.contains("<b>“Contoso” says</b><bdi>No &lt;consent&gt;</bdi> (<bdi>access_denied</bdi>)"),
        "{html}"
    );
    assert!(!shown(&said(None)).contains("says"));
}

#[test]
fn before_a_sign_in_a_chooser_names_providers_and_nothing_else() {
    let page = OwnPage::Chooser {
        choices: ["Contoso", "Fabrikam"]
            .map(|name| Choice { name: name.into(), href: format!("/.portcullis/sign-in?provider={name}") })
            .into(),
        keeps_fragment: true,
    };
    let answer = pages().answer(&PROGRAM, REQUEST, &page);
    let json: Value = serde_json::from_str(text(&answer)).unwrap();
    assert_eq!(json["choices"][1]["href"], "/.portcullis/sign-in?provider=Fabrikam");
    assert!(json.get("app").is_none());
    let html = shown(&page);
    assert!(
        html.contains("<li><a class=\"btn\" href=\"/.portcullis/sign-in?provider=Contoso\"><svg")
            && html.contains("<bdi>Contoso</bdi></a></li>"),
        "{html}"
    );
}

#[test]
fn a_form_that_was_not_sent_is_a_401_whose_link_opens_a_tab_of_its_own() {
    let sent = RequestHints { method: "POST", ..BROWSER };
    let page = OwnPage::FormNotSent { sign_in: "/.portcullis/sign-in?return=%2Fform".into() };
    let answer = pages().answer(&sent, REQUEST, &page);
    assert_eq!(answer.status, 401);
    assert_eq!(header(&answer, "www-authenticate"), Some("Bearer"));
    let html = text(&answer);
    assert!(
        html.contains(
            "class=\"btn go\" href=\"/.portcullis/sign-in?return=%2Fform\" target=\"_blank\" rel=\"noopener\""
        ),
        "{html}"
    );
    assert!(!html.contains("<form") && !html.contains("<input"));
}

#[test]
fn links_to_other_languages_keep_the_query_and_are_absent_where_the_page_cannot_be_asked_again() {
    let with = |query, page: &OwnPage| {
        let hints = RequestHints { query: Some(query), ..BROWSER };
        text(&pages().answer(&hints, REQUEST, page)).to_owned()
    };
    let chooser = OwnPage::Chooser { choices: Vec::new(), keeps_fragment: true };
    assert!(with("return=%2Fa&lang=de&x", &chooser).contains("<a href=\"?return=%2Fa&amp;x&amp;lang=ja\""));
    assert!(!with("return=\"><script>", &chooser).contains("?return"));
    let html = with("code=secret&state=s", &failed(SignInFault::CodeRefused, "a"));
    assert!(!html.contains("secret") && !html.contains("lang=ja\""), "{html}");
}

#[test]
fn a_choice_of_who_keeps_a_fragment_takes_it_along_by_a_script_of_ours_alone() {
    let chooser = |keeps_fragment| {
        let choices = vec![Choice { name: "Contoso".into(), href: "/.portcullis/sign-in?provider=a".into() }];
        pages().answer(&BROWSER, REQUEST, &OwnPage::Chooser { choices, keeps_fragment })
    };
    let (with, without) = (chooser(true), chooser(false));
    let script = text(&with).split_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
    assert!(script.contains("location.hash"), "{script}");
    let policy = header(&with, "content-security-policy").unwrap();
    assert!(policy.contains(&format!("script-src {};", hash(script))), "{policy}");
    assert!(!text(&without).contains("<script>"));
    assert!(!header(&without, "content-security-policy").unwrap().contains("script-src"));
}

#[test]
fn what_a_sign_in_does_not_say_is_said_to_be_missing() {
    let OwnPage::Me(mut me) = me("alice") else { panic!("it is that page") };
    (me.methods, me.auth_time) = (Vec::new(), None);
    let html = shown(&OwnPage::Me(me));
    assert!(html.matches("Not available").count() >= 2, "{html}");
}

#[test]
fn who_is_signed_in_is_a_page_and_an_object() {
    let answer = pages().answer(&PROGRAM, REQUEST, &me("alice"));
    assert_eq!(header(&answer, "content-type"), Some("application/json"));
    let json: Value = serde_json::from_str(text(&answer)).unwrap();
    assert_eq!(json["user"], "alice");
    assert_eq!(json["device"], serde_json::json!({ "id": "alice", "state": "Compliant" }));
    assert_eq!(json["client"]["ip"], "198.51.100.20");
    assert!(json["session"]["until"].as_str().unwrap().starts_with("2026-"));
    let html = shown(&me("alice"));
    assert!(html.contains("<form class=\"foot\" method=\"post\" action=\"/.portcullis/sign-out\">"));
    assert!(html.contains("<dt>Device state</dt><dd>Compliant</dd>"));
    assert!(html.contains("198.51.100.20"));
}
