//! What somebody uses: device, system, program, way of signing in.

use super::said::Said;
use super::site::{HOME, Visitor, site};

const NOT_SHOWN: &str =
    "This browser did not show a device identity. Use a normal window of a supported browser.";
const MANAGED: &str = "Use a device that your organisation manages";
const LINK: &str = "href=\"https://devices.northwind.example/enrol\"";

/// Situation 7: the device is enrolled and compliant, and the browser showed no identity of it.
#[test]
fn a_browser_that_shows_no_device_is_told_so_and_never_that_the_device_is_a_bad_one() {
    let site = site();
    let said = Said::of(&site, &Visitor::new("mail", HOME));
    // The same for a program, whose token lacks the claims.
    said.is(403, 50187, "device_identity_missing").classes(&["device"], "change_context");
    assert!(said.page.header("proxy-status").unwrap().contains("details=\"50097\""), "{}", said.page.head);
    said.remedies(&[("compliant_device", 1)]);
    said.says(&[
        MANAGED,
        NOT_SHOWN,
        "Error code 50097",
        "Device identifier Not shown",
        "Device state Not available",
    ]);
    said.never(&["is registered but", "does not meet the requirements", "update", "only an administrator"]);
    assert!(said.page.body.contains(LINK) && said.text.contains("Fix this device"), "{}", said.text);
    assert_eq!(
        (said.client("device_id"), said.client("device_state")),
        (&().into(), &"Not available".into())
    );
    let seen = said.problem["remedies"][0]["seen"].as_str().unwrap();
    assert!(!seen.contains("This browser"), "a program is no browser: {seen}");
    assert_eq!(site.call(&Visitor::new("mail", HOME).on_device("Windows", "10.0.22631", true)).status, 200);
}

/// Situation 8: the page speaks of the browser, and the rule is about compliance: both are told at once.
#[test]
fn a_device_that_lacks_something_is_told_beside_a_browser_that_is_not_approved() {
    let site = site();
    let said = Said::of(&site, &Visitor::new("docs", HOME).on_device("Windows", "10.0.22631", false));
    said.is(403, 53000, "device_not_compliant").classes(&["device", "client_app"], "remediate");
    assert_eq!(
        (&said.problem["reasons"][0]["code"], &said.problem["reasons"][1]["code"]),
        (&53000.into(), &53002.into())
    );
    said.remedies(&[("approved_client_app", 1), ("compliant_device", 1)]).says(&[
        "Both steps are needed.",
        "Open it in an app that your organisation approves",
        "Use a device that your organisation manages",
        "This device, laptop-7, is registered but does not meet the requirements.",
    ]);
    said.never(&["did not show", "only an administrator"]);
    // Only the one that fails.
    Said::of(&site, &Visitor::new("mail", HOME).on_device("Windows", "10.0.22631", false))
        .is(403, 53000, "device_not_compliant")
        .classes(&["device"], "remediate")
        .remedies(&[("compliant_device", 1)])
        .says(&[
            "This device, laptop-7, is registered but does not meet the requirements.",
            "Not compliant",
            "Fix this device",
        ])
        .never(&["did not show", "the kind of program"]);
}

/// Situation 9: device code, command line, WSL: the way of signing in is refused, and not the machine.
#[test]
fn a_sign_in_by_device_code_is_told_that_it_is_the_way_of_signing_in() {
    let site = site();
    let visitor = || Visitor::new("cloud", HOME).with("flow", "deviceCodeFlow");
    Said::of(&site, &visitor())
        .is(403, 530_033, "flow_not_allowed")
        .classes(&["flow"], "change_context")
        .remedies(&[("other_sign_in", 1)])
        .says(&["Sign in directly on this device, not with a code and not by transfer from another device"])
        .never(&["device that", "this device, laptop", "vpn", "only an administrator"]);
    let curl = site.call_as("GET", &visitor(), "Accept: */*\r\nUser-Agent: curl/8.11.0\r\n");
    assert!(curl.header("content-type").unwrap().starts_with("text/plain"), "{}", curl.head);
    assert!(
        curl.body.contains("Sign in directly on this device") && curl.body.contains("530033"),
        "{}",
        curl.body
    );
    assert_eq!(site.call(&Visitor::new("cloud", HOME)).status, 200);
}

/// Situation 10: "device authentication is required", and no word of what to do next.
#[test]
fn a_device_that_is_asked_for_comes_with_the_next_step() {
    let said = Said::of(&site(), &Visitor::new("vault", HOME));
    said.is(403, 50187, "device_identity_missing").classes(&["device"], "change_context");
    assert_eq!(said.problem["remedies"][0]["kind"], "compliant_device", "{}", said.problem);
    said.says(&[MANAGED, NOT_SHOWN, "Fix this device"]);
    said.never(&["only an administrator", "device authentication is required"]);
    assert!(said.page.body.contains(LINK), "{}", said.page.body);
}

/// Situation 17: it works on the phone, and not on the laptop.
#[test]
fn a_laptop_is_told_that_another_device_would_be_let_in_and_the_phone_is() {
    let site = site();
    Said::of(&site, &Visitor::new("field", HOME).on_device("Windows", "10.0.22631", true))
        .is(403, 53003, "access_blocked")
        .headline("You can’t open “Field service” right now")
        .classes(&["device"], "change_context")
        .remedies(&[("other_device", 1)])
        .says(&["Use another device; your help desk can say which", "Device platform Windows 10.0.22631"])
        // Which one is for the help desk to say, and what passed is not listed.
        .never(&["ios", "does not meet the requirements of", "only an administrator"]);
    assert_eq!(site.call(&Visitor::new("field", HOME).on_device("iOS", "18.1", true)).status, 200);
}

/// Situation 19: the operating system is too old.
#[test]
fn an_old_system_is_told_to_update_and_which_version_was_seen() {
    let site = site();
    let said = Said::of(&site, &Visitor::new("lab", HOME).on_device("Windows", "10.0.19045", true));
    said.is(403, 53003, "access_blocked").classes(&["device"], "change_context");
    let first = &said.problem["remedies"][0];
    assert_eq!(
        (&first["kind"], &first["text"]),
        (&"update_os".into(), &"Update Windows".into()),
        "{}",
        said.problem
    );
    said.says(&[
        "Update Windows",
        "This device reports version 10.0.19045.",
        "Device platform Windows 10.0.19045",
    ]);
    // The least version that would do is for full disclosure.
    said.never(&["22000", "only an administrator"]);
    assert_eq!(site.call(&Visitor::new("lab", HOME).on_device("Windows", "10.0.22631", true)).status, 200);
}
