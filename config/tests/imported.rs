//! What exported policies decide once they are imported: import, load, compile, decide. Each is asked alone,
//! and its result is given in Entra's words.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends")]

use std::path::Path;

use portcullis_config::Config;
use portcullis_config::diagnose::render_text;
use portcullis_config::import::entra::Importer;
use portcullis_config::import::entra::read::write;
use portcullis_config::load::load;
use portcullis_policy::decision::Generation;
use portcullis_policy::model::{ClientAppType, CountryCode, Flow, GuestKind, Platform, RiskLevel};
use portcullis_policy::signals::{
    Action, AppIndex, ClientContext, Device, Fact, Identity, Principal, RequestId, SignIn, Signals, Standing,
    Target,
};
use portcullis_policy::{CompiledPolicies, Outcome};

const NOW: i64 = 1_800_000_000;
/// Stands in the exports' excludes of groups where they have a placeholder.
const GROUP: &str = "0e1f2a3b-0000-4000-8000-000000000001";

/// The one trusted location of the tenant; nobody here asks from it unless the case says so.
const OFFICE: &str = r##"{"@odata.type": "#microsoft.graph.ipNamedLocation", "id": "0f1ce000-0000-4000-8000-000000000001",
    "displayName": "Office", "isTrusted": true, "ipRanges": [{"cidrAddress": "198.51.100.0/24"}]}"##;

/// Who asks, and how.
#[derive(Clone)]
struct Ask {
    principal: Principal,
    app: &'static str,
    context: ClientContext<'static>,
}

/// An employee in a browser on an unregistered computer, signed in a minute ago with a password.
fn employee() -> Ask {
    let standing = Standing {
        groups: Fact::Known(vec![]),
        roles: Fact::Known(vec![]),
        sign_in: SignIn { methods: vec!["pwd".into()], ..SignIn::default() },
        ..Standing::default()
    };
    Ask {
        principal: Principal { id: "someone".into(), auth_time: Some(NOW - 60), standing: standing.into() },
        app: "an-app",
        context: ClientContext {
            address: Fact::Known("203.0.113.9".parse().unwrap()),
            platform: Fact::Known(Platform::Windows),
            client_app: Fact::Known(ClientAppType::Browser),
            ..ClientContext::UNKNOWN
        },
    }
}

impl Ask {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn in_group(self, id: &str) -> Self {
        self.with(|ask| ask.principal.standing_mut().groups = Fact::Known(vec![id.to_owned()]))
    }

    fn in_role(self, id: &str) -> Self {
        self.with(|ask| ask.principal.standing_mut().roles = Fact::Known(vec![id.to_owned()]))
    }

    fn with_mfa(self) -> Self {
        self.with(|ask| ask.principal.standing_mut().sign_in.methods.push("mfa".into()))
    }

    fn by(self, client: ClientAppType) -> Self {
        self.with(|ask| ask.context.client_app = Fact::Known(client))
    }

    fn on(self, device: Device<'static>) -> Self {
        self.with(|ask| ask.context.device = Fact::Known(device))
    }

    fn from(self, country: &str) -> Self {
        self.with(|ask| ask.context.country = Fact::Known(CountryCode::new(country).unwrap()))
    }
}

/// Imports files of `tests/import`, with ids in the place of placeholders, as the import asks for; and with
/// `enforced` what Entra would only report.
fn imported(files: &[&str], enforced: bool) -> Config {
    let mut importer = Importer::new(false);
    for name in files {
        let bytes = std::fs::read(Path::new("tests/import").join(name)).unwrap();
        let mut text = text_of(&bytes);
        while let Some((before, rest)) = text.split_once("\"<") {
            let (_, after) = rest.split_once(">\"").unwrap();
            text = format!("{before}\"{GROUP}\"{after}");
        }
        if enforced {
            text = text.replace("enabledForReportingButNotEnforced", "enabled");
        }
        // As it was published it has an empty list where a condition belongs: see the next test.
        text = text.replace("\"locations\": []", "\"locations\": null");
        importer.add(name, text.as_bytes());
    }
    importer.add("office.json", OFFICE.as_bytes());
    loaded(importer)
}

/// PowerShell writes UTF-16, little end first.
fn text_of(bytes: &[u8]) -> String {
    match bytes.strip_prefix(&[0xff, 0xfe]) {
        None => String::from_utf8(bytes.to_vec()).unwrap(),
        Some(wide) => {
            let units = wide.chunks_exact(2).map(|pair| u16::from_le_bytes(pair.try_into().unwrap()));
            String::from_utf16(&units.collect::<Vec<_>>()).unwrap()
        }
    }
}

fn loaded(importer: Importer) -> Config {
    let import = importer.finish();
    let folder = tempfile::tempdir().unwrap();
    write(&import, folder.path()).unwrap();
    let loaded = load(&folder.path().join("portcullis.toml"));
    loaded.config.unwrap_or_else(|| panic!("{}", render_text(&loaded.diagnostics, &loaded.sources)))
}

/// The outcome, what the user lacks, and what the result of the only policy: `notApplied` when it did not.
fn decided(config: &Config, ask: &Ask) -> String {
    let policies = CompiledPolicies::compile(config.policies.clone(), Generation(1)).unwrap();
    let app = config.policies.apps.iter().position(|app| app.id == ask.app).unwrap();
    let decision = policies.decide(
        &policies.bind(&ask.principal),
        &Signals {
            principal: &ask.principal,
            target: Target { app: AppIndex(u32::try_from(app).unwrap()), context: None },
            action: Action { method: "GET", path: "/" },
            context: &ask.context,
            request_id: RequestId(1),
            now: NOW,
        },
    );
    let result = decision.applied.first().map_or("notApplied", |(_, result)| result.as_str());
    match &decision.outcome {
        Outcome::Grant(_) => format!("grant {result}"),
        Outcome::Challenge(refused) => format!("challenge {} {result}", refused.primary.as_str()),
        Outcome::Deny(refused) => format!("deny {} {result}", refused.primary.as_str()),
        Outcome::Block(_) => format!("block {result}"),
    }
}

fn check(files: &[&str], cases: &[(Ask, &str)]) {
    let config = imported(files, true);
    for (position, (ask, wanted)) in cases.iter().enumerate() {
        assert_eq!(
            decided(&config, ask),
            *wanted,
            "{files:?}, case {position}: {:#?}",
            config.policies.policies
        );
    }
}

#[test]
fn legacy_authentication_is_blocked_except_for_those_excluded() {
    let excluded = "2802b872-ccfb-4b29-a9a9-459808dfb11b";
    check(
        &["block-legacy-authentication.json"],
        &[
            (employee().by(ClientAppType::Other), "block failure"),
            (employee().by(ClientAppType::ExchangeActiveSync), "block failure"),
            (employee().with(|ask| ask.context.client_app = Fact::Unknown), "block failure"),
            (employee(), "grant notApplied"),
            (employee().by(ClientAppType::MobileAndDesktop), "grant notApplied"),
            (employee().by(ClientAppType::Other).in_group(excluded), "grant notApplied"),
        ],
    );
}

#[test]
fn admins_need_mfa_and_nobody_else_does() {
    let (admin, emergency) = ("62e90394-69f5-4237-9190-012177145e10", "f753047e-de31-4c74-a6fb-c38589047723");
    check(
        &["mfa-for-admin-roles.json"],
        &[
            (employee().in_role(admin), "challenge mfa-required interrupted"),
            (employee().in_role(&admin.to_uppercase()), "challenge mfa-required interrupted"),
            (employee().in_role(admin).with_mfa(), "grant success"),
            (employee(), "grant notApplied"),
            (employee().in_role(admin).in_group(emergency), "grant notApplied"),
            // A token without the roles could be an admin's.
            (
                employee().with(|ask| ask.principal.standing_mut().roles = Fact::Unavailable),
                "challenge mfa-required interrupted",
            ),
        ],
    );
}

#[test]
fn guests_need_mfa_of_whatever_kind_they_are() {
    let guest = |kind| {
        employee().with(|ask| {
            ask.principal.id = "guest".into();
            ask.principal.standing_mut().identity =
                Identity::User { guest: Some(kind), home_tenant: Some("elsewhere".into()) };
        })
    };
    check(
        &["mfa-for-guests.json"],
        &[
            (guest(GuestKind::B2bCollaborationGuest), "challenge mfa-required interrupted"),
            (guest(GuestKind::ServiceProvider), "challenge mfa-required interrupted"),
            (guest(GuestKind::B2bCollaborationGuest).with_mfa(), "grant success"),
            (employee(), "grant notApplied"),
        ],
    );
}

#[test]
fn a_compliant_or_hybrid_joined_device_is_required_of_desktop_clients() {
    let staff = || {
        let ask = employee().in_group("6c96716b-b32b-40b8-9009-49748bb6fcd5");
        let ask = ask.by(ClientAppType::MobileAndDesktop);
        ask.with(|ask| ask.app = "00000002-0000-0ff1-ce00-000000000000")
    };
    let compliant = Device { compliant: Some(true), ..Device::default() };
    let joined = Device { compliant: Some(false), trust_type: Some("ServerAD"), ..Device::default() };
    let neither = Device { compliant: Some(false), trust_type: Some("AzureAD"), ..Device::default() };
    check(
        &["trusted-device.json"],
        &[
            (staff().on(compliant), "grant success"),
            (staff().on(joined), "grant success"),
            (staff().on(neither), "deny device-not-compliant failure"),
            (staff(), "deny device-unknown failure"),
            (staff().by(ClientAppType::Browser), "grant notApplied"),
            (staff().with(|ask| ask.context.platform = Fact::Known(Platform::Linux)), "grant notApplied"),
            (employee().with(|ask| ask.app = "00000002-0000-0ff1-ce00-000000000000"), "grant notApplied"),
        ],
    );
}

#[test]
fn other_countries_are_blocked_and_so_is_an_address_of_none() {
    check(
        &["block-other-countries.json", "allowed-countries.json"],
        &[
            (employee().from("NL"), "grant notApplied"),
            (employee().from("DE"), "block failure"),
            (employee(), "block failure"),
            (employee().from("DE").in_group("6499f521-8620-4f4e-92a1-db47c79362e8"), "grant notApplied"),
            (employee().with(|ask| ask.context.country = Fact::Unavailable), "block failure"),
        ],
    );
}

#[test]
fn risks_and_flows_that_claims_tell_decide() {
    let risk = |set: fn(&mut ClientContext<'static>, Fact<RiskLevel>), level| {
        employee().with(|ask| set(&mut ask.context, Fact::Known(level)))
    };
    let insider = |level| risk(|context, level| context.insider_risk = level, level);
    check(
        &["block-insider-risk.json"],
        &[
            // Entra's `elevated`.
            (insider(RiskLevel::High), "block failure"),
            (insider(RiskLevel::Medium), "grant notApplied"),
            (employee(), "grant notApplied"),
        ],
    );
    let flow = |flow| employee().with(|ask| ask.principal.standing_mut().sign_in.flow = flow);
    check(
        &["block-device-code-flow.json"],
        &[
            (flow(Some(Flow::DeviceCode)), "block failure"),
            (flow(Some(Flow::AuthenticationTransfer)), "grant notApplied"),
            (flow(None), "grant notApplied"),
        ],
    );
    let program = |level| {
        employee().with(|ask| {
            ask.principal.id = "nightly-job".into();
            ask.principal.standing_mut().identity = Identity::Workload;
            ask.context.service_principal_risk = Fact::Known(level);
        })
    };
    check(
        &["workload-risk.json"],
        &[
            (program(RiskLevel::Low), "block failure"),
            (program(RiskLevel::None), "grant notApplied"),
            (employee(), "grant notApplied"),
        ],
    );
    let user = |changed: Option<i64>| {
        let ask = risk(|context, level| context.user_risk = level, RiskLevel::High).with_mfa();
        ask.with(|ask| {
            ask.principal.standing_mut().sign_in.risk_seen = Some(NOW - 600);
            ask.principal.standing_mut().sign_in.password_changed = changed;
        })
    };
    check(
        &["password-change-on-user-risk.json"],
        &[
            (user(Some(NOW - 60)), "grant success"),
            (user(Some(NOW - 6_000)), "challenge password-change-required interrupted"),
            (user(None), "challenge password-change-required interrupted"),
            (employee(), "grant notApplied"),
        ],
    );
}

#[test]
fn admins_are_blocked_away_from_trusted_networks_and_sign_ins_grow_old_on_untrusted_devices() {
    check(
        &["block-admins-untrusted-location.json"],
        &[
            (employee().in_role("62e90394-69f5-4237-9190-012177145e10"), "block failure"),
            (employee(), "grant notApplied"),
            (employee().in_role("62e90394-69f5-4237-9190-012177145e10").in_group(GROUP), "grant notApplied"),
            (
                employee().in_role("62e90394-69f5-4237-9190-012177145e10").with(|ask| {
                    ask.context.address = Fact::Known("198.51.100.7".parse().unwrap());
                }),
                "grant notApplied",
            ),
        ],
    );
    let signed_in = |hours: i64| employee().with(|ask| ask.principal.auth_time = Some(NOW - hours * 3_600));
    let compliant = Device { compliant: Some(true), ..Device::default() };
    check(
        &["short-sign-in-untrusted-device.json"],
        &[
            (signed_in(11), "grant success"),
            (signed_in(13), "challenge sign-in-too-old interrupted"),
            (signed_in(13).on(compliant), "grant notApplied"),
        ],
    );
}

#[test]
fn a_block_whose_condition_is_there_and_empty_is_not_enforced() {
    let bytes = std::fs::read("tests/import/block-device-code-flow.json").unwrap();
    let text = text_of(&bytes).replace("enabledForReportingButNotEnforced", "enabled");
    assert!(text.contains("\"locations\": []"));
    let mut importer = Importer::new(false);
    importer.add("as-published.json", text.as_bytes());
    let config = loaded(importer);
    let coded = employee().with(|ask| ask.principal.standing_mut().sign_in.flow = Some(Flow::DeviceCode));
    assert_eq!(decided(&config, &coded), "grant notApplied");
}

#[test]
fn a_block_outside_trusted_locations_waits_for_one() {
    let bytes = std::fs::read("tests/import/block-admins-untrusted-location.json").unwrap();
    let mut importer = Importer::new(false);
    importer.add(
        "alone.json",
        text_of(&bytes).replace("enabledForReportingButNotEnforced", "enabled").as_bytes(),
    );
    let config = loaded(importer);
    let admin = employee().in_role("62e90394-69f5-4237-9190-012177145e10");
    assert_eq!(decided(&config, &admin), "grant notApplied");
}

#[test]
fn a_report_only_policy_tells_what_it_would_do_and_does_not() {
    let config = imported(&["mfa-for-admin-roles.json"], false);
    let admin = employee().in_role("62e90394-69f5-4237-9190-012177145e10");
    assert_eq!(decided(&config, &admin), "grant reportOnlyInterrupted");
    assert_eq!(decided(&config, &admin.with_mfa()), "grant reportOnlySuccess");
    let config = imported(&["block-insider-risk.json"], false);
    let insider = employee().with(|ask| ask.context.insider_risk = Fact::Known(RiskLevel::High));
    assert_eq!(decided(&config, &insider), "grant reportOnlyFailure");
}

#[test]
fn what_cannot_be_enforced_stays_off_even_if_it_was_on() {
    for file in ["register-security-info.json", "block-downloads.json", "filtered-websites.json"] {
        let config = imported(&[file], true);
        assert_eq!(decided(&config, &employee()), "grant notApplied", "{file}");
    }
}

#[test]
fn a_filter_over_attributes_meets_the_apps_that_the_export_says_have_them() {
    let policy = |mode: &str, include: &str, rule: &str| {
        format!(
            r#"{{"displayName": "Filtered", "state": "enabled", "conditions": {{
                "users": {{"includeUsers": ["All"]}},
                "applications": {{"includeApplications": [{include}],
                    "applicationFilter": {{"mode": "{mode}", "rule": "{rule}"}}}}}},
            "grantControls": {{"operator": "OR", "builtInControls": ["block"]}}}}"#
        )
    };
    let principals = br#"{"value": [
        {"appId": "aaaaaaaa-0000-4000-8000-000000000001", "displayName": "Ledger", "customSecurityAttributes":
            {"Finance": {"Class": "restricted", "Sites": ["Oslo", "Bergen"], "Tier": 2, "Audited": true}}},
        {"appId": "aaaaaaaa-0000-4000-8000-000000000002", "displayName": "Menu", "customSecurityAttributes":
            {"Finance": {"Class": "public", "Sites": ["Lund"], "Tier": 1, "Audited": false}}},
        {"appId": "aaaaaaaa-0000-4000-8000-000000000003", "displayName": "Plain"}]}"#;
    let blocked = |mode: &str, include: &str, rule: &str| {
        let mut importer = Importer::new(false);
        importer.add("policy.json", policy(mode, include, &rule.replace('"', "\\\"")).as_bytes());
        importer.add("principals.json", principals);
        let config = loaded(importer);
        let ask = |app| decided(&config, &employee().with(|ask| ask.app = app)).starts_with("block");
        [ask("aaaaaaaa-0000-4000-8000-000000000001"), ask("aaaaaaaa-0000-4000-8000-000000000002")]
    };
    for (rule, wanted) in [
        (r#"CustomSecurityAttribute.Finance_Class -eq "restricted""#, [true, false]),
        (r#"CustomSecurityAttribute.Finance_Class -in ["public", "internal"]"#, [false, true]),
        (r#"CustomSecurityAttribute.Finance_Sites -contains "Oslo""#, [true, false]),
        (
            r#"CustomSecurityAttribute.Finance_Tier -eq "2" -and CustomSecurityAttribute.Finance_Class -ne "public""#,
            [true, false],
        ),
        (
            r#"CustomSecurityAttribute.Finance_Class -ne "none" -and CustomSecurityAttribute.Finance_Audited -ne True"#,
            [false, true],
        ),
    ] {
        assert_eq!(blocked("include", "", rule), wanted, "{rule}");
        assert_eq!(blocked("exclude", r#""All""#, rule), wanted.map(|matched| !matched), "{rule}");
    }
}
