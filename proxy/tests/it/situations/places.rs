//! Where somebody connects from.

use serde_json::Value;

use super::said::Said;
use super::site::{ABROAD, DAMAGED, HOME, OFFICE, RELAY, VPN, Visitor, site};

const RULE: &str = "A rule of your organisation, not a fault";
const LEAVE: &str = "Turn off your VPN or proxy, or use another network";
const APPROVED: &str = "Connect to your organisation’s network or its VPN";
const COUNTRY: &str = "Connect from another country";
const ADMINISTRATOR: &str = "only an administrator";

/// Situation 1: the password is right, and still it is refused; people clear caches and reset passwords.
#[test]
fn somebody_whose_password_is_right_is_told_that_it_is_a_rule_and_what_to_do() {
    let site = site();
    Said::of(&site, &Visitor::new("payroll", ABROAD))
        .is(403, 53003, "access_blocked")
        .headline("You can’t open “Payroll” from here right now")
        .classes(&["location"], "change_context")
        .remedies(&[("approved_network", 1)])
        .says(&[
            RULE,
            "You are signed in as anna@corp.example. Your sign-in was successful but does not meet the criteria to access this \
             resource. Your password is not the problem.",
            APPROVED,
            "You are at 198.51.100.200, United States (approximate).",
            "Error code 53003",
            "Decision by Northwind",
        ])
        .never(&["try again", ADMINISTRATOR, LEAVE, "a fault on our side"]);
    assert_eq!(site.call(&Visitor::new("payroll", OFFICE)).status, 200);
}

/// Situation 2: a VPN, or an address that many share.
#[test]
fn somebody_behind_a_vpn_is_told_to_leave_it() {
    let site = site();
    Said::of(&site, &Visitor::new("wiki", VPN))
        .is(403, 53003, "access_blocked")
        .classes(&["location"], "change_context")
        .remedies(&[("leave_network", 1)])
        .says(&[
            LEAVE,
            "You are at 198.51.100.20, United States (approximate).",
            "Your password is not the problem.",
        ])
        .never(&[APPROVED, COUNTRY, ADMINISTRATOR]);
    // It is true: the same country, and an address that is of no such network.
    assert_eq!(site.call(&Visitor::new("wiki", ABROAD)).status, 200);
}

/// Situation 3: a job in a cloud, which comes from another address each time.
#[test]
fn a_job_in_a_cloud_reads_which_address_was_seen_and_that_repeating_is_in_vain() {
    let site = site();
    let mut told = Vec::new();
    for from in ["198.51.100.150", "198.51.100.151"] {
        let said = Said::of(&site, &Visitor::new("payroll", from));
        said.is(403, 53003, "access_blocked").classes(&["location"], "change_context");
        said.remedies(&[("approved_network", 1)]).never(&[LEAVE, ADMINISTRATOR]);
        assert_eq!((said.client("ip"), said.client("country")), (&from.into(), &"US".into()));
        assert_eq!((&said.problem["retryable"], &said.problem["retry_after"]), (&false.into(), &Value::Null));
        assert_eq!((said.twin.header("retry-after"), said.twin.header("www-authenticate")), (None, None));
        told.push(said.problem["remedies"][0]["text"].clone());
    }
    assert_eq!(told[0], told[1]);
}

/// Situation 4: an IPv6 address that no location lists.
#[test]
fn an_ipv6_address_that_no_location_lists_is_shown_as_it_was_seen() {
    let said = Said::of(&site(), &Visitor::new("payroll", "2001:db8:9::7"));
    said.is(403, 53003, "access_blocked").classes(&["location"], "change_context");
    said.remedies(&[("approved_network", 1)]).says(&["You are at 2001:db8:9::7.", APPROVED]);
    said.never(&["approximate", LEAVE, ADMINISTRATOR]);
    assert_eq!((said.client("ip"), said.client("country")), (&"2001:db8:9::7".into(), &Value::Null));
}

/// Situation 5: a privacy relay.
#[test]
fn somebody_behind_a_privacy_relay_is_told_what_was_seen_and_to_turn_it_off() {
    let site = site();
    Said::of(&site, &Visitor::new("wiki", RELAY))
        .is(403, 53003, "access_blocked")
        .remedies(&[("leave_network", 1)])
        .says(&[LEAVE, "You are at 198.51.100.70, United States (approximate)."])
        .never(&[APPROVED, ADMINISTRATOR]);
    // Where the country alone is asked for, the relay's country is what was seen.
    Said::of(&site, &Visitor::new("crm", RELAY))
        .remedies(&[("other_country", 1), ("approved_network", 2)])
        .says(&[COUNTRY, "A VPN or proxy can make you appear in a country where you are not."]);
    let six = Said::of(&site, &Visitor::new("wiki", "2001:db8:7e1a::5"));
    six.remedies(&[("leave_network", 1)]).says(&["You are at 2001:db8:7e1a::5."]);
}

/// Situation 6: the data about addresses is wrong for many: it passes, and it is not their fault.
#[test]
fn data_that_cannot_be_read_is_a_fault_of_ours_that_passes() {
    let site = site();
    let said = Said::of(&site, &Visitor::new("crm", DAMAGED));
    said.is(503, 90033, "temporarily_unavailable")
        .headline("“Customers” can’t be opened for the moment")
        .classes(&["unavailable"], "retry_later")
        .remedies(&[])
        .says(&[
            "A fault on our side, not a decision",
            "Waiting for it to clear",
            "Nothing on your side caused this.",
            "Try again",
        ])
        .never(&[RULE, "will not change", ADMINISTRATOR, LEAVE, APPROVED, COUNTRY, "your password"]);
    assert_eq!(said.problem["retryable"], true);
    for answer in [&said.page, &said.twin] {
        assert_eq!(answer.header("retry-after"), Some(said.problem["retry_after"].to_string().as_str()));
        assert_eq!(answer.header("www-authenticate"), None);
    }
    // Where no rule turns on it, nothing is amiss.
    assert_eq!(site.call(&Visitor::new("locked", DAMAGED)).status, 403);
    assert_eq!(site.call(&Visitor::new("wiki", DAMAGED)).status, 200);
}

/// Situation 13: a second factor can be set up in the office only.
#[test]
fn setting_a_second_factor_up_at_home_leads_to_the_office_and_the_rest_is_open() {
    let site = site();
    Said::of(&site, &Visitor::new("account", HOME).at("/mfa/set-up"))
        .is(403, 53003, "access_blocked")
        .headline("You can’t open “My account” from here right now")
        .classes(&["location"], "change_context")
        .remedies(&[("approved_network", 1)])
        .says(&[APPROVED, "You are at 203.0.113.200, Germany (approximate)."])
        .never(&["stronger method", LEAVE, ADMINISTRATOR]);
    assert_eq!(site.call(&Visitor::new("account", HOME)).status, 200);
    assert_eq!(site.call(&Visitor::new("account", OFFICE).at("/mfa/set-up")).status, 200);
}

/// Situation 18: travelling.
#[test]
fn a_traveller_is_told_that_it_is_the_country_and_which_was_seen() {
    let site = site();
    let said = Said::of(&site, &Visitor::new("crm", ABROAD));
    said.is(403, 53003, "access_blocked").classes(&["location"], "change_context");
    said.remedies(&[("other_country", 1), ("approved_network", 2)]);
    said.says(&[COUNTRY, "You are at 198.51.100.200, United States (approximate)."]);
    // Which countries would do is not told.
    said.never(&["germany", LEAVE, ADMINISTRATOR]);
    assert_eq!(said.client("country"), "US");
    assert_eq!(site.call(&Visitor::new("crm", HOME)).status, 200);
}
