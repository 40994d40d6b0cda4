//! Who somebody is, and what changed meanwhile.

use super::said::Said;
use super::site::{HOME, NOTES, OFFICE, Visitor, site};
use crate::wire::exchange;

const ADMINISTRATOR: &str = "Only an administrator can change this";

/// Situation 14: the wrong group. Its name and the rule's are for `explain`.
#[test]
fn somebody_in_the_wrong_group_is_told_whom_to_ask_and_not_which_group() {
    let site = site();
    Said::of(&site, &Visitor::new("people", HOME).with("groups", vec!["staff", "externals"]))
        .is(403, 53003, "access_blocked")
        .classes(&["policy"], "contact_admin")
        .remedies(&[("administrator", 1)])
        .says(&[
            ADMINISTRATOR,
            "Nothing that you can change here would let you in. Give your help desk this reference.",
            "help@northwind.example",
        ])
        .never(&["password", "vpn", "device that", "sign in again", "staff"]);
    assert_eq!(site.call(&Visitor::new("people", HOME)).status, 200);
}

/// Situation 20: a guest of another organisation.
#[test]
fn a_guest_sees_with_which_account_and_whom_to_ask() {
    let site = site();
    let guest = || {
        Visitor::new("people", HOME)
            .with("acct", 1)
            .with("preferred_username", "gina@partner.example")
            .with("idp", "https://sts.windows.net/2f1c8d5e-7a51-4d0c-9a2e-6b7f0c1d2e3f/")
    };
    let said = Said::of(&site, &guest());
    said.is(403, 53003, "access_blocked").classes(&["policy"], "contact_admin");
    said.remedies(&[("administrator", 1)]);
    said.says(&["You are signed in as gina@partner.example.", ADMINISTRATOR, "Decision by Northwind"]);
    said.never(&["password", "tenant", "2f1c8d5e"]);
    // Her own organisation's compliance is not asked for: her device is told what everybody's is told.
    let device = Said::of(&site, &Visitor::new("mail", HOME).with("acct", 1));
    device.is(403, 50187, "device_identity_missing").remedies(&[("compliant_device", 1)]);
}

/// Situation 21: it worked an hour ago, and the rule, or the device, is another one since.
#[test]
fn what_worked_before_is_told_what_is_the_matter_now() {
    let site = site();
    let visitor = || Visitor::new("notes", HOME);
    assert_eq!(site.call(&visitor()).status, 200);
    site.edit_notes(&NOTES.replace("report-only", "enabled"));
    site.wait_for("the edit to take effect", || site.call(&visitor()).status == 403);
    Said::of(&site, &visitor())
        .is(403, 53003, "access_blocked")
        .classes(&["location"], "change_context")
        .remedies(&[("approved_network", 1)])
        .says(&["Connect to your organisation’s network or its VPN", "Your password is not the problem."]);
    assert_eq!(site.call(&Visitor::new("notes", OFFICE)).status, 200);
    site.edit_notes(NOTES);
    site.wait_for("the edit to take effect", || site.call(&visitor()).status == 200);
    // The device met the requirements, and does not any more.
    let device = |is_compliant| Visitor::new("mail", HOME).on_device("macOS", "15.1", is_compliant);
    assert_eq!(site.call(&device(true)).status, 200);
    Said::of(&site, &device(false)).is(403, 53000, "device_not_compliant").says(&[
        "This device, laptop-7, is registered but does not meet the requirements.",
        "Device state Not compliant",
    ]);
}

/// Situation 22: everybody is refused: a service is down, or a policy has locked all out.
#[test]
fn a_service_that_is_down_is_ours_and_passes_and_a_rule_for_everybody_does_not() {
    let site = site();
    let fault = "A fault on our side, not a decision";
    Said::of(&site, &Visitor::new("gone", HOME))
        .headline("“Gone” can’t be opened for the moment")
        .says(&[fault, "You were let in, but the app behind us did not answer.", "Try again"])
        .never(&["a rule of your organisation", "criteria", "administrator", "password"]);
    let keys = Said::of(&site, &Visitor::new("wiki", HOME).with("iss", "https://silent.test/"));
    keys.is(503, 90033, "temporarily_unavailable");
    keys.says(&[fault, "Nothing on your side caused this.", "Try again"]);
    // Nobody knows yet who asks: neither app nor user is named.
    keys.headline("This can’t be opened for the moment").never(&["wiki", "anna", HOME]);
    assert!(keys.page.header("retry-after").is_some() && keys.twin.header("retry-after").is_some());

    let locked = Said::of(&site, &Visitor::new("locked", OFFICE));
    locked.is(403, 53003, "access_blocked").classes(&["policy"], "contact_admin");
    locked
        .remedies(&[("administrator", 1)])
        .says(&["A rule of your organisation, not a fault", ADMINISTRATOR]);
    locked.never(&["try again", "fault on our side", "password"]);
    assert_eq!((&locked.problem["retryable"], locked.twin.header("retry-after")), (&false.into(), None));
    // A good token is nothing that this would depend on.
    let stranger =
        exchange(&site.proxy, b"GET / HTTP/1.1\r\nHost: locked.test\r\nAccept: application/json\r\n\r\n");
    assert_eq!((stranger.status, stranger.header("www-authenticate")), (401, Some("Bearer")));
}

/// Situation 23: signed in with the wrong account.
#[test]
fn somebody_with_the_wrong_account_is_told_which_and_led_to_another() {
    let site = site();
    let said = Said::of(&site, &Visitor::new("ledger", HOME));
    said.is(403, 50105, "not_assigned")
        .headline("You can’t open “Ledger” with this account")
        .classes(&["assignment"], "contact_admin")
        .says(&[
            "You are signed in as anna@corp.example.",
            "Your sign-in was successful, but this account is not assigned to the app.",
            "Not anna@corp.example?",
            "Use another account",
        ])
        .never(&["from here", "vpn", "try again"]);
    assert!(said.page.body.contains("href=\"https://login.northwind.example/\""), "{}", said.page.body);
    let ours = Visitor::new("ledger", HOME).with("groups", vec!["bookkeepers"]);
    assert_eq!(site.call(&ours).status, 200);
}
