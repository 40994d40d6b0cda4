//! What form the answer takes, and what people read into it.

use serde_json::Value;

use super::said::Said;
use super::site::{ABROAD, HOME, Visitor, site};

/// Situation 11: a headline that reads as if a permission were missing.
#[test]
fn a_context_that_is_refused_is_never_told_as_a_permission_that_is_missing() {
    let site = site();
    // `Said` looks for the word and its kin in each page and twin.
    // Where it is not the place, the headline does not say so.
    for (visitor, name, here) in [
        (Visitor::new("payroll", ABROAD), "Payroll", " from here"),
        (Visitor::new("crm", ABROAD), "Customers", " from here"),
        (Visitor::new("mail", HOME), "Mail", ""),
        (Visitor::new("vault", HOME), "Vault", ""),
        (Visitor::new("locked", HOME), "Locked", ""),
        (Visitor::new("cloud", HOME).with("flow", "deviceCodeFlow"), "Cloud console", ""),
    ] {
        Said::of(&site, &visitor)
            .headline(&format!("You can’t open “{name}”{here} right now"))
            .says(&["Your sign-in was successful but does not meet the criteria to access this resource."])
            .never(&["not authorized", "not authorised", "forbidden", "access denied", "do not have access"]);
    }
}

/// Situation 15: a back end that calls in its user's name makes a 500 of it: what it is told can be handed on as it is.
#[test]
fn a_back_end_can_hand_the_challenge_and_the_twin_on_as_they_are() {
    let site = site();
    let weak = || Visitor::new("orders", HOME).with("amr", vec!["pwd"]);
    let said = Said::of(&site, &weak());
    said.is(401, 50076, "mfa_required").classes(&["authentication"], "reauthenticate");
    said.remedies(&[("stronger_sign_in", 1)]);
    said.headline("Sign in again to open “Orders”").never(&["password", "criteria"]);
    let challenge = "Bearer error=\"insufficient_user_authentication\"";
    assert!(said.twin.header("www-authenticate").unwrap().starts_with(challenge), "{}", said.twin.head);

    // Through the back end: its user has signed in well enough for the shop, and not for what the shop asks for.
    let shop = Visitor { app: "shop", ..weak() };
    let handed = site.call(&shop);
    assert_eq!(handed.status, 401, "{handed:?}");
    assert_eq!(handed.header("content-type"), Some("application/problem+json"));
    assert!(handed.header("www-authenticate").unwrap().starts_with(challenge), "{}", handed.head);
    let problem: Value = serde_json::from_str(&handed.body).unwrap();
    assert_eq!((&problem["code"], &problem["app"]["id"]), (&50076.into(), &"orders".into()), "{problem}");
    let id = problem["request_id"].as_str().unwrap();
    site.wait_for("the inner request to be logged", || site.has_logged(id));
    // With a good sign-in the back end gets what it asked for.
    assert_eq!(site.call(&Visitor::new("shop", HOME)).status, 200);
}

/// Situation 16: the help desk cannot find the event: page, header and log have one id.
#[test]
fn the_id_of_the_page_is_in_its_head_and_in_the_log_and_its_reference_is_of_it() {
    let site = site();
    let said = Said::of(&site, &Visitor::new("payroll", ABROAD));
    let id = said.page.header("x-request-id").unwrap();
    said.says(&[&format!("Request ID {id}"), "For your help desk", "Reference"]);
    site.wait_for("the line to be written", || site.has_logged(id));
    let number = u128::from_str_radix(&id.replace('-', ""), 16).unwrap();
    let reference = portcullis::reference::Reference::of(number).to_string();
    assert!(said.text.contains(&reference), "{reference}: {}", said.text);
    let traced = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    let page = super::said::words(&site.open_with(&Visitor::new("payroll", ABROAD), traced).body);
    assert!(page.contains("Correlation ID 0af7651916cd43dd8448eb211c80319c"), "{page}");
}

/// Situation 24: a script that gets a page.
#[test]
fn no_script_gets_a_page_and_every_person_does() {
    let site = site();
    let ask = |method: &str, lines: &str| {
        let answer = site.call_as(method, &Visitor::new("payroll", ABROAD), lines);
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(answer.header("vary").unwrap().contains("Accept"), "{}", answer.head);
        let kind = answer.header("content-type").unwrap().split(';').next().unwrap().to_owned();
        match kind.as_str() {
            "application/problem+json" => {
                let problem: Value = serde_json::from_str(&answer.body).unwrap();
                assert_eq!(problem["code"], 53003);
            }
            _ => assert!(answer.body.contains("53003"), "{}", answer.body),
        }
        kind
    };
    let (json, plain, html) = ("application/problem+json", "text/plain", "text/html");
    for (method, lines, kind) in [
        ("GET", "User-Agent: python-requests/2.32.3\r\nAccept: */*\r\n", json),
        ("GET", "User-Agent: Go-http-client/2.0\r\n", json),
        (
            "POST",
            "User-Agent: axios/1.7\r\nAccept: application/json, text/plain, */*\r\nContent-Length: 0\r\n",
            json,
        ),
        ("GET", "Accept: */*\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n", json),
        ("GET", "User-Agent: curl/8.11.0\r\nAccept: */*\r\n", plain),
        ("GET", "User-Agent: Wget/1.24.5\r\nAccept: */*\r\n", plain),
        ("GET", "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nSec-Fetch-Mode: navigate\r\n", html),
    ] {
        assert_eq!(ask(method, lines), kind, "{method} {lines}");
    }
}
