//! The rule language, operator by operator, through the crate's public names.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends")]

use portcullis_policy::decision::Generation;
use portcullis_policy::model::*;
use portcullis_policy::path::PathCase;
use portcullis_policy::rule::{Rule, RuleError};
use portcullis_policy::signals::*;
use portcullis_policy::{CompiledPolicies, Outcome, PolicySet, Signals};

/// A device with something in every attribute.
fn device() -> Device<'static> {
    // Tests keep what they borrow for ever.
    let leak = |items: &[&str]| -> &'static [String] {
        items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>().leak()
    };
    Device {
        device_id: Some("d1"),
        display_name: Some("Alice's laptop"),
        ownership: Some("Company"),
        enrollment_profile: Some("Autopilot"),
        compliant: Some(true),
        manufacturer: Some("Microsoft Corporation"),
        mdm_app_id: Some("0000000a-0000-0000-c000-000000000000"),
        model: Some("Surface Pro 9"),
        operating_system: Some("Windows"),
        operating_system_version: Some("10.0.22631.3007"),
        physical_ids: leak(&["[OrderID]:179887", "[ZTDId]:77"]),
        profile_type: Some("RegisteredDevice"),
        system_labels: leak(&["M365Managed"]),
        trust_type: Some("AzureAD"),
        extension_attributes: vec![(1, "Kiosk".to_owned()), (15, "17".to_owned())].leak(),
    }
}

/// Whether a rule matches a request from this device, asked through a policy that blocks what it matches.
fn matches(rule: &str, device: Fact<Device<'_>>) -> bool {
    let rule = Rule::parse(rule).unwrap_or_else(|error| panic!("{rule}: {error:?}"));
    let policy = Policy {
        id: PolicyId::new("filtered").unwrap(),
        name: String::new(),
        state: PolicyState::Enabled,
        subjects: Subjects::Users(Users { include: vec![UserSelector::All], exclude: vec![] }).into(),
        targets: Targets::Apps(Apps { include: vec![AppSelector::All], ..Apps::default() }).into(),
        conditions: Conditions {
            device: Some(DeviceFilter { mode: FilterMode::Include, rule }),
            ..Conditions::default()
        }
        .into(),
        grant: Grant::Block,
        session: SessionControls::default(),
    };
    let app = App {
        id: "wiki".into(),
        groups: vec![],
        attributes: vec![("Tier".into(), Value::Text("Gold".into()))],
        assigned: None,
        unmatched: Unmatched::Allow,
        paths: PathCase::Unknown,
    };
    let set = PolicySet { apps: vec![app], policies: vec![policy], ..PolicySet::default() };
    let compiled = CompiledPolicies::compile(set, Generation(1)).unwrap();
    let text = |text: &str| Value::Text(text.into());
    let standing = Standing {
        claims: vec![
            ("admin".into(), Value::Bool(false)),
            ("clients".into(), Value::List(vec!["web-1".into(), "Web-2".into()])),
            ("department".into(), text("Finance")),
            ("empty".into(), Value::List(vec![])),
            ("level".into(), Value::Number(3.0)),
            ("version".into(), text("9.10")),
        ],
        ..Standing::default()
    };
    let principal = Principal { id: "alice".into(), auth_time: None, standing: standing.into() };
    let context = ClientContext { device, ..ClientContext::UNKNOWN };
    let signals = Signals {
        principal: &principal,
        target: Target { app: AppIndex(0), context: None },
        action: Action { method: "GET", path: "/Admin/users" },
        context: &context,
        request_id: RequestId(7),
        now: 0,
    };
    match compiled.decide(&compiled.bind(&principal), &signals).outcome {
        Outcome::Grant(_) => false,
        Outcome::Block(refused) => {
            assert!(!refused.temporary);
            true
        }
        other @ (Outcome::Challenge(_) | Outcome::Deny(_)) => panic!("{other:?}"),
    }
}

#[test]
fn every_attribute_is_compared_by_each_of_its_operators() {
    for (rule, expected) in [
        // Ids and words.
        ("device.deviceId -eq \"D1\"", true),
        ("device.deviceId -ne \"d1\"", false),
        ("device.deviceId -in [\"d0\", \"d1\"]", true),
        ("device.deviceId -notIn [\"d0\", \"d1\"]", false),
        ("device.deviceId -notIn [\"d0\"]", true),
        ("device.mdmAppId -eq \"0000000a-0000-0000-c000-000000000000\"", true),
        ("device.deviceOwnership -eq \"Company\"", true),
        ("device.profileType -eq \"RegisteredDevice\"", true),
        ("device.trustType -in [\"AzureAD\", \"ServerAD\"]", true),
        ("device.trustType -eq \"ServerAD\"", false),
        // Text.
        ("device.displayName -startsWith \"alice\"", true),
        ("device.displayName -notStartsWith \"alice\"", false),
        ("device.displayName -startsWith \"laptop\"", false),
        ("device.displayName -startsWith \"Alice's laptop and more\"", false),
        ("device.displayName -endsWith \"LAPTOP\"", true),
        ("device.displayName -endsWith \"alice\"", false),
        ("device.displayName -notEndsWith \"laptop\"", false),
        ("device.displayName -endsWith \"more than Alice's laptop\"", false),
        ("device.displayName -contains \"'S LAP\"", true),
        ("device.displayName -contains \"desk\"", false),
        ("device.displayName -notContains \"desk\"", true),
        ("device.enrollmentProfileName -eq \"autopilot\"", true),
        ("device.manufacturer -contains \"soft\"", true),
        ("device.model -startsWith \"Surface\"", true),
        ("device.model -in [\"Surface Pro 9\"]", true),
        ("device.operatingSystem -eq \"Windows\"", true),
        ("device.operatingSystemVersion -startsWith \"10.0.2\"", true),
        // Versions, number by number.
        ("device.operatingSystemVersion -ge \"10.0.22631\"", true),
        ("device.operatingSystemVersion -gt \"10.0.22631.3007\"", false),
        ("device.operatingSystemVersion -ge \"10.0.22631.3007\"", true),
        ("device.operatingSystemVersion -le \"10.0.22631.3007\"", true),
        ("device.operatingSystemVersion -lt \"10.0.22631.3007\"", false),
        ("device.operatingSystemVersion -lt \"10.0.22631.3007.0\"", false),
        ("device.operatingSystemVersion -lt \"10.1\"", true),
        ("device.operatingSystemVersion -gt \"9\"", true),
        ("device.operatingSystemVersion -le \"9.99\"", false),
        ("user.version -gt \"9.9\"", true),
        ("user.version -lt \"9.9\"", false),
        // Booleans, however they are written.
        ("device.isCompliant -eq True", true),
        ("device.isCompliant -eq \"true\"", true),
        ("device.isCompliant -ne \"True\"", false),
        ("device.isCompliant -eq False", false),
        ("user.admin -eq false", true),
        // Collections.
        ("device.physicalIds -contains \"[ZTDID]:77\"", true),
        ("device.physicalIds -contains \"ZTDId\"", false),
        ("device.physicalIds -notContains \"[ZTDId]:77\"", false),
        ("device.systemLabels -contains \"M365Managed\"", true),
        ("device.physicalIds -any (_ -startsWith \"[OrderID]\")", true),
        ("device.physicalIds -any _ -startsWith \"[orderid]\"", true),
        ("device.physicalIds -any (_ -startsWith \"[Nothing]\")", false),
        ("device.physicalIds -all (_ -contains \"ID]:\")", true),
        ("device.physicalIds -all (_ -contains \"order\")", false),
        ("device.physicalIds -any (_ -notContains \"order\")", true),
        ("user.clients -all (_ -startsWith \"web-\")", true),
        ("user.clients -any (_ -in [\"web-2\", \"web-3\"])", true),
        ("user.clients -eq \"web-1\"", true),
        ("user.clients -startsWith \"WEB-2\"", true),
        ("user.clients -endsWith \"3\"", false),
        ("user.department -any (_ -eq \"finance\")", true),
        ("user.department -all (_ -eq \"sales\")", false),
        ("user.empty -any (_ -ne \"x\")", false),
        ("user.empty -all (_ -eq \"x\")", false),
        ("user.nothing -any (_ -ne \"x\")", false),
        ("user.nothing -all (_ -ne \"x\")", false),
        // Extension attributes.
        ("device.extensionAttribute1 -eq \"kiosk\"", true),
        ("device.extensionAttribute15 -ge 17", true),
        ("device.extensionAttribute15 -lt 17", false),
        ("device.extensionAttribute2 -eq null", true),
        // Claims, app and request.
        ("user.DEPARTMENT -eq \"finance\"", true),
        ("user.level -eq 3", true),
        ("user.level -ge 3.5", false),
        ("user.level -gt -1", true),
        ("user.level -le 3", true),
        ("user.level -in [2, 3]", true),
        ("user.level -startsWith \"3\"", false),
        ("app.tier -eq \"gold\"", true),
        ("app.owner -eq null", true),
        ("request.method -in [\"GET\", \"HEAD\"]", true),
        ("request.path -startsWith \"/admin\"", true),
        ("request.path -contains \"secret\"", false),
    ] {
        assert_eq!(matches(rule, Fact::Known(device())), expected, "{rule}");
    }
}

#[test]
fn conditions_combine_with_and_binding_tighter_than_or() {
    let (yes, no) = ("user.level -eq 3", "user.level -eq 4");
    for (rule, expected) in [
        (format!("{yes} -and {no}"), false),
        (format!("{yes} -or {no}"), true),
        (format!("{yes} -or {no} -and {no}"), true),
        (format!("({yes} -or {no}) -and {no}"), false),
        (format!("{no} -and {no} -or {yes}"), true),
        (format!("-not {no} -and {yes}"), true),
        (format!("not ({yes} and {no})"), true),
        (format!("-not -not {yes}"), true),
        (format!("{yes} AND {yes} OR {no}"), true),
    ] {
        assert_eq!(matches(&rule, Fact::Unknown), expected, "{rule}");
    }
}

#[test]
fn exports_write_operators_without_a_dash_and_as_signs() {
    for rule in [
        "device.model startsWith \"surface\"",
        "device.model STARTSWITH 'surface'",
        "device.model == \"surface pro 9\"",
        "device.model != \"x\" and device.isCompliant eq true",
        "device.model -eq \"Surface\\ Pro 9\"",
    ] {
        assert!(matches(rule, Fact::Known(device())), "{rule}");
    }
}

#[test]
fn an_extension_attribute_is_null_on_a_device_that_nobody_manages() {
    let plain = Device { mdm_app_id: None, compliant: None, trust_type: Some("Workplace"), ..device() };
    let rule = "device.extensionAttribute1 -eq \"kiosk\"";
    assert!(!matches(rule, Fact::Known(plain)));
    assert!(matches("device.extensionAttribute1 -ne \"kiosk\"", Fact::Known(plain)));
    assert!(!matches(rule, Fact::Known(Device { compliant: Some(false), ..plain })));
    for managed in [
        Device { compliant: Some(true), ..plain },
        Device { mdm_app_id: Some("mdm"), ..plain },
        Device { trust_type: Some("serverad"), ..plain },
    ] {
        assert!(matches(rule, Fact::Known(managed)), "{managed:?}");
    }
}

#[test]
fn an_attribute_of_an_unregistered_device_is_null_for_every_operator() {
    for (rule, expected) in [
        ("device.physicalIds -contains \"x\"", false),
        ("device.physicalIds -notContains \"x\"", true),
        ("device.physicalIds -any (_ -ne \"x\")", false),
        ("device.physicalIds -all (_ -ne \"x\")", false),
        ("device.operatingSystemVersion -lt 10", false),
        ("device.operatingSystemVersion -ge 10", false),
        ("device.extensionAttribute3 -ne \"x\"", true),
        ("device.isCompliant -eq null", true),
        ("device.isCompliant -ne null", false),
        ("device.isCompliant == null", true),
    ] {
        assert_eq!(matches(rule, Fact::Unknown), expected, "{rule}");
    }
}

fn error(rule: &str) -> RuleError {
    Rule::parse(rule).unwrap_err()
}

#[test]
fn an_operator_that_an_attribute_does_not_allow_is_a_mistake() {
    for (rule, underlined, what) in [
        (
            "device.isCompliant -startsWith \"T\"",
            "-startsWith",
            "`device.isCompliant` does not allow `-startsWith`",
        ),
        ("device.isCompliant -lt 3", "-lt", "`device.isCompliant` does not allow `-lt`"),
        ("device.isCompliant -in [True]", "-in", "`device.isCompliant` does not allow `-in`"),
        ("device.isCompliant -eq \"yes\"", "\"yes\"", "`yes` is neither True nor False"),
        ("device.trustType -contains \"AD\"", "-contains", "`device.trustType` does not allow `-contains`"),
        (
            "device.deviceId -startsWith \"d\"",
            "-startsWith",
            "`device.deviceId` does not allow `-startsWith`",
        ),
        ("device.model -ge 10", "-ge", "`device.model` does not allow `-ge`"),
        ("request.path -lt 1", "-lt", "`request.path` does not allow `-lt`"),
        ("request.method -contains \"G\"", "-contains", "`request.method` does not allow `-contains`"),
        ("device.physicalIds -eq \"x\"", "-eq", "`device.physicalIds` does not allow `-eq`"),
        (
            "device.systemLabels -startsWith \"x\"",
            "-startsWith",
            "`device.systemLabels` does not allow `-startsWith`",
        ),
        ("device.model -any (_ -eq \"x\")", "device.model", "`device.model` is no collection"),
        (
            "device.isCompliant -all (_ -eq True)",
            "device.isCompliant",
            "`device.isCompliant` is no collection",
        ),
        ("device.operatingSystemVersion -lt \"ten\"", "\"ten\"", "`ten` is no version and no number"),
        ("user.level -gt \"1.x\"", "\"1.x\"", "`1.x` is no version and no number"),
        ("user.level -gt \"NaN\"", "\"NaN\"", "`nan` is no version and no number"),
        ("device.trustType -in []", "[", "the list is empty"),
        ("device.displayName -contains \"\"", "\"\"", "an empty text is a part of every text"),
        ("user.department -notStartsWith \"\"", "\"\"", "an empty text is a part of every text"),
        ("device.deviceOwnership -eq \"Corporate\"", "\"Corporate\"", "no device has `corporate` there"),
        (
            "device.trustType -ne \"Hybrid Azure AD joined\"",
            "\"Hybrid Azure AD joined\"",
            "no device has `hybrid azure ad joined` there",
        ),
        ("device.trustType -in [\"AzureAD\", \"Hybrid\"]", "[", "no device has `hybrid` there"),
        ("device.model -in [\"x\", null]", "null", "null cannot be in a list"),
        ("device.model -startsWith null", "-startsWith", "null can only be compared with `-eq` and `-ne`"),
        ("device.model -eq [\"x\"]", "[", "only `-in` and `-notIn` take a list"),
        ("device.model -in \"x\"", "\"x\"", "`-in` wants a list"),
        ("device.model -match \"S.*\"", "-match", "`match` is no operator"),
        ("device.physicalIds -any (x -eq \"y\")", "x", "expected `_`, the element"),
        ("device.physicalIds -any (_ -eq \"y\" -or", "-or", "expected `)`"),
        ("device.model -in [\"x\" \"y\"]", "\"y\"", "expected `,` or `]`"),
        ("device.model -in [\"x\", (", "(", "expected a value"),
        ("device.model = \"x\"", "=", "`=` is no operator"),
        ("device.model & \"x\"", "&", "`&` has no meaning in a rule"),
        (
            "device.extensionAttribute16 -eq \"x\"",
            "device.extensionAttribute16",
            "no attribute `device.extensionAttribute16`",
        ),
        (
            "device.extensionAttribute0 -eq \"x\"",
            "device.extensionAttribute0",
            "no attribute `device.extensionAttribute0`",
        ),
        ("model -eq \"x\"", "model", "no attribute `model`"),
        ("user. -eq \"x\"", "user.", "no attribute `user.`"),
        ("(\"x\" -eq device.model)", "\"x\"", "expected an attribute"),
        ("device.model (\"x\")", "(", "expected an operator"),
        ("device.model -eq )", ")", "expected a value"),
    ] {
        let found = error(rule);
        let marked = rule.get(found.offset..found.offset + found.len);
        assert_eq!((marked, found.what.as_str()), (Some(underlined), what), "{rule}: {found:?}");
        assert!(!found.help.is_empty(), "{rule}");
        assert_eq!(found.to_string(), what);
    }
}

#[test]
fn a_rule_that_ends_too_soon_says_what_it_waits_for() {
    for (rule, waits_for) in [
        ("", "an attribute such as `device.isCompliant`"),
        ("device.model", "an operator such as `-eq`"),
        ("device.model -eq", "a value"),
        ("device.model -in [", "a value or `]`"),
        ("device.model -in [\"x\"", "`,` or `]`"),
        ("device.physicalIds -any", "`_`, the element,"),
        ("device.physicalIds -any (_ -eq \"x\"", "`)`"),
        ("-not", "an attribute such as `device.isCompliant`"),
        ("(device.model -eq \"x\"", "`)`"),
    ] {
        let found = error(rule);
        assert_eq!(found.what, format!("the rule ends where {waits_for} is expected"), "{rule}");
        assert_eq!((found.offset, found.len), (rule.len(), 0), "{rule}");
    }
}

#[test]
fn a_rule_keeps_its_text_and_says_whether_it_is_about_apps_alone() {
    for (text, about_apps) in [
        (r#"app.tier -eq "1" -and -not (app.area -in ["a", "b"])"#, true),
        (r#"app.tier -eq "1" -or device.isCompliant -eq True"#, false),
        (r#"-not (user.department -eq "x")"#, false),
        (r#"request.method -eq "GET" -and app.tier -eq "1""#, false),
    ] {
        let rule = Rule::parse(text).unwrap();
        assert_eq!((rule.source(), rule.is_about_apps()), (text, about_apps));
    }
}

#[test]
fn every_attribute_can_be_asked_whether_it_is_null_but_not_its_elements() {
    for name in ["isCompliant", "deviceId", "model", "operatingSystemVersion", "physicalIds", "systemLabels"]
    {
        assert!(Rule::parse(&format!("device.{name} -eq null")).is_ok(), "{name}");
        assert!(Rule::parse(&format!("device.{name} -ne null")).is_ok(), "{name}");
        let contains = error(&format!("device.{name} -contains null"));
        assert_eq!(contains.what, "null can only be compared with `-eq` and `-ne`");
    }
    assert!(Rule::parse("device.model -any (_ -eq null)").is_err());
}

#[test]
fn a_version_with_more_parts_is_later_unless_they_are_zero() {
    let compare = |seen: &'static str, rule: &str| {
        let device = Device { operating_system_version: Some(seen), ..Device::default() };
        matches(&format!("device.operatingSystemVersion {rule}"), Fact::Known(device))
    };
    for (seen, rule, holds) in [
        ("10.0", "-lt \"10.0.1\"", true),
        ("10.0", "-ge \"10.0.1\"", false),
        ("10.0.1", "-gt \"10.0\"", true),
        ("10.0.1", "-le \"10.0\"", false),
        ("10.0.0", "-le \"10\"", true),
        ("10", "-ge \"10.0.0\"", true),
        ("10", "-gt \"10.0.0\"", false),
    ] {
        assert_eq!(compare(seen, rule), holds, "{seen} {rule}");
    }
}

#[test]
fn a_text_that_does_not_end_is_marked_to_the_end_and_a_rule_may_be_as_long_as_is_said() {
    let open = "device.model -eq \"abc";
    let found = error(open);
    assert_eq!((found.offset, found.len), (17, open.len() - 17));
    let rule = "device.model -eq \"abc\"";
    let longest = format!("{rule}{}", " ".repeat(Rule::LEN_MAX - rule.len()));
    assert!(Rule::parse(&longest).is_ok());
    assert!(Rule::parse(&format!("{longest} ")).is_err());
}

#[test]
fn what_stands_side_by_side_is_no_deeper_than_one_of_them() {
    for one in ["-not device.isCompliant -eq True", "(device.isCompliant -eq True)"] {
        assert!(Rule::parse(&vec![one; 2 * Rule::DEPTH_MAX].join(" -and ")).is_ok(), "{one}");
    }
}

#[test]
fn patterns_and_what_a_request_does_not_have_are_refused_with_a_mend() {
    for word in ["-match", "-notMatch", "-MATCH"] {
        let found = error(&format!("device.model {word} \"Surface.*\""));
        assert_eq!(found.help, "patterns are not supported: use -startsWith, -endsWith or -contains");
    }
    for name in ["request.host", "request.", "request.methods", "device.", "session.id"] {
        assert_eq!(error(&format!("{name} -eq \"x\"")).what, format!("no attribute `{name}`"));
    }
}

#[test]
fn text_compares_without_case_beyond_ascii() {
    for (name, rule, holds) in [
        ("BÜRO-7", "-startsWith \"büro-\"", true),
        ("BÜRO-7", "-notStartsWith \"büro-\"", false),
        ("haus ÜBER", "-endsWith \"Über\"", true),
        ("im ΣΊΣΥΦΟΣ haus", "-contains \"σίσυφος\"", true),
        ("\u{212a}iosk", "-eq \"kiosk\"", true),
        ("Straße", "-eq \"STRASSE\"", false),
        ("kıosk", "-eq \"kiosk\"", false),
        ("BÜRO", "-in [\"x\", \"büro\"]", true),
    ] {
        let device = Device { device_id: Some("d1"), display_name: Some(name), ..Device::default() };
        let rule = format!("device.displayName {rule}");
        assert_eq!(matches(&rule, Fact::Known(device)), holds, "{name}: {rule}");
    }
}
