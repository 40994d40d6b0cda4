//! Import from Entra: every property is accounted for, and what comes out can be loaded.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test that cannot go on ends"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use portcullis_config::diagnose::render_text;
use portcullis_config::import::entra::read::{import, write};
use portcullis_config::import::entra::{Import, Importer, Outcome};
use portcullis_config::load::load;
use portcullis_policy::CompiledPolicies;
use portcullis_policy::decision::Generation;
use portcullis_policy::model::{PolicyState, Unmatched};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A policy that this format can say whole.
fn plain() -> Value {
    json!({
        "id": "11111111-2222-3333-4444-555555555555",
        "displayName": "MFA for all",
        "state": "enabled",
        "conditions": {
            "users": { "includeUsers": ["All"] },
            "applications": { "includeApplications": ["All"] },
        },
        "grantControls": { "operator": "OR", "builtInControls": ["mfa"] },
    })
}

/// A policy with one value set, by a path with dots; missing objects are made.
fn with(mut policy: Value, path: &str, value: Value) -> Value {
    let mut at = &mut policy;
    for key in path.split('.') {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[key];
    }
    *at = value;
    policy
}

fn imported(documents: &[Value], partial: bool) -> Import {
    let mut importer = Importer::new(partial);
    for (position, document) in documents.iter().enumerate() {
        importer.add(&format!("{position}.json"), document.to_string().as_bytes());
    }
    importer.finish()
}

/// Writes and loads; what is refused here would be refused by `portcullis check`.
fn loaded(import: &Import) -> portcullis_config::Config {
    let folder = tempfile::tempdir().unwrap();
    write(import, folder.path()).unwrap();
    let loaded = load(&folder.path().join("portcullis.toml"));
    let text = render_text(&loaded.diagnostics, &loaded.sources);
    let config = loaded.config.unwrap_or_else(|| panic!("{text}\n{:#?}", import.files));
    assert_eq!(config.policies.policies.len(), import.report.policies.len());
    if let Err(problems) = CompiledPolicies::compile(config.policies.clone(), Generation(1)) {
        panic!("{problems:?}");
    }
    config
}

fn leaf_count(value: &Value) -> usize {
    match value {
        Value::Array(items) if !items.is_empty() => items.iter().map(leaf_count).sum(),
        Value::Object(entries) if !entries.is_empty() => entries.values().map(leaf_count).sum(),
        _ => 1,
    }
}

/// Where a path of the report leads in the input.
fn resolve<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let mut at = value;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let mut items = serde_json::Deserializer::from_str(after).into_iter::<Value>();
            let step = items.next()?.ok()?;
            rest = after[items.byte_offset()..].strip_prefix(']')?;
            at = match step {
                Value::String(key) => at.get(key)?,
                step => at.get(usize::try_from(step.as_u64()?).ok()?)?,
            };
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let (key, value) =
            at.as_object()?.iter().filter(|(key, _)| rest.starts_with(key.as_str())).find(|(key, _)| {
                let after = &rest[key.len()..];
                after.is_empty() || after.starts_with(['.', '['])
            })?;
        rest = &rest[key.len()..];
        at = value;
    }
    Some(at)
}

/// The law: every leaf of the input is in the report exactly once.
fn check_accounted(document: &Value, import: &Import) {
    assert_eq!(import.report.policies.len(), 1, "{document}: {:?}", import.report);
    let properties = &import.report.policies[0].properties;
    let mut seen = BTreeSet::new();
    for property in properties {
        assert!(seen.insert(&property.path), "`{}` twice: {document}", property.path);
        let leaf =
            resolve(document, &property.path).unwrap_or_else(|| panic!("`{}`: {document}", property.path));
        assert_eq!(leaf_count(leaf), 1, "`{}` is no leaf: {document}", property.path);
        assert_ne!(property.note, "not accounted for", "`{}`: {document}", property.path);
    }
    assert_eq!(seen.len(), leaf_count(document), "{document}: {properties:#?}");
    let refused = properties.iter().any(|property| property.outcome == Outcome::Refused);
    let item = &import.report.policies[0];
    let stricter = import.files[&format!("policies/{}.toml", item.id)].contains("# STRICTER THAN IN ENTRA");
    assert!(
        !refused || item.state == "disabled" || stricter,
        "enforced with a refused part and nothing said: {document}: {item:#?}"
    );
}

/// Imports one policy, checks the law and that it loads, and gives state, file and reasons.
fn one(policy: &Value) -> (String, String, Vec<String>) {
    one_of(policy, false)
}

fn one_of(policy: &Value, partial: bool) -> (String, String, Vec<String>) {
    let import = imported(std::slice::from_ref(policy), partial);
    if !partial {
        check_accounted(policy, &import);
    }
    loaded(&import);
    let item = &import.report.policies[0];
    (item.state.clone(), import.files[&format!("policies/{}.toml", item.id)].clone(), item.reasons.clone())
}

#[test]
fn a_policy_that_can_be_said_whole_is_enforced_as_it_was() {
    let import = imported(&[plain()], false);
    check_accounted(&plain(), &import);
    let config = loaded(&import);
    let policy = &config.policies.policies[0];
    assert_eq!((policy.id.as_str(), policy.name.as_str()), ("mfa-for-all", "MFA for all"));
    assert_eq!(policy.state, PolicyState::Enabled);
    assert!(import.report.errors.is_empty() && !import.report.is_incomplete());
    assert_eq!(config.policies.apps[0].unmatched, Unmatched::Allow);
    for (theirs, ours) in [
        ("enabledForReportingButNotEnforced", PolicyState::ReportOnly),
        ("disabled", PolicyState::Disabled),
        ("enabled", PolicyState::Enabled),
    ] {
        let config = loaded(&imported(&[with(plain(), "state", json!(theirs))], false));
        assert_eq!(config.policies.policies[0].state, ours);
    }
}

#[test]
fn what_can_be_said_is_said_in_the_words_of_the_format() {
    let cases = [
        ("conditions.users.includeUsers", json!(["GuestsOrExternalUsers"]), "include = [\"guests\"]"),
        (
            "conditions.users.excludeGuestsOrExternalUsers",
            json!({ "guestOrExternalUserTypes": "internalGuest,serviceProvider",
                "externalTenants": { "@odata.type": "#microsoft.graph.conditionalAccessEnumeratedExternalTenants",
                    "membershipKind": "enumerated", "members": ["9a6d1bf4-7a5a-4f4c-8ac6-d9a9b3a0f111"] } }),
            "exclude = [\"guests:internal-guest\", \"guests:service-provider@9a6d1bf4-7a5a-4f4c-8ac6-d9a9b3a0f111\"]",
        ),
        ("conditions.applications.includeApplications", json!(["None"]), "include = [\"none\"]"),
        (
            "conditions.applications.includeApplications",
            json!(["Office365"]),
            "include = [\"group:office365\"]",
        ),
        (
            "conditions.applications.excludeApplications",
            json!(["797f4846-ba00-4fd7-ba43-dac1f8f63013"]),
            "exclude = [\"797f4846-ba00-4fd7-ba43-dac1f8f63013\"]",
        ),
        (
            "conditions.applications",
            json!({ "includeAuthenticationContextClassReferences": ["c1"] }),
            "authentication-contexts = [\"c1\"]",
        ),
        ("conditions.clientAppTypes", json!(["browser", "other"]), "client-apps = [\"browser\", \"other\"]"),
        (
            "conditions.platforms",
            json!({ "includePlatforms": ["iOS", "macOS"] }),
            "include = [\"ios\", \"macos\"]",
        ),
        ("conditions.signInRiskLevels", json!(["high"]), "sign-in-risk = [\"high\"]"),
        ("conditions.insiderRiskLevels", json!("moderate,elevated"), "insider-risk = [\"medium\", \"high\"]"),
        (
            "conditions.authenticationFlows",
            json!({ "transferMethods": "deviceCodeFlow,authenticationTransfer" }),
            "authentication-flows = [\"device-code-flow\", \"authentication-transfer\"]",
        ),
        (
            "conditions.devices",
            json!({ "deviceFilter": { "mode": "exclude", "rule": "device.trustType -eq \"ServerAD\"" } }),
            "mode = \"exclude\"",
        ),
        (
            "conditions.deviceStates",
            json!({ "includeStates": ["All"], "excludeStates": ["Compliant", "DomainJoined"] }),
            "rule = 'device.isCompliant -eq True -or device.trustType -eq \"ServerAD\"'",
        ),
        (
            "grantControls",
            json!({ "operator": "AND", "builtInControls": ["compliantDevice", "domainJoinedDevice"] }),
            "controls = [\"compliant-device\", \"hybrid-joined-device\"]",
        ),
        (
            "grantControls.authenticationStrength",
            json!({ "id": "00000000-0000-0000-0000-000000000004" }),
            "\"strength:phishing-resistant-mfa\"",
        ),
        ("grantControls.termsOfUse", json!(["7d4a"]), "\"terms-of-use:7d4a\""),
        (
            "sessionControls.signInFrequency",
            json!({ "isEnabled": true, "type": "hours", "value": 4, "frequencyInterval": "timeBased",
                "authenticationType": "primaryAndSecondaryAuthentication" }),
            "sign-in-frequency = \"4h\"",
        ),
        (
            "sessionControls.signInFrequency",
            json!({ "isEnabled": true, "frequencyInterval": "everyTime", "type": null, "value": null }),
            "sign-in-frequency = \"every-time\"",
        ),
        (
            "sessionControls.persistentBrowser",
            json!({ "isEnabled": true, "mode": "never" }),
            "persistent-browser = \"never\"",
        ),
    ];
    for (path, value, wanted) in cases {
        let (state, text, reasons) = one(&with(plain(), path, value));
        assert_eq!(state, "enabled", "{path}: {reasons:?}");
        assert!(text.contains(wanted), "`{wanted}` is missing for {path}:\n{text}");
    }
}

#[test]
fn what_cannot_be_enforced_disables_the_policy_and_says_why() {
    let on = json!({ "isEnabled": true });
    let cases = [
        (
            "conditions.applications",
            json!({ "includeUserActions": ["urn:user:registersecurityinfo"] }),
            "Microsoft's own pages",
        ),
        ("conditions.times", json!({ "allDay": true }), "write `time` by hand"),
        ("conditions.agentIdRiskLevels", json!("high"), "no counterpart"),
        ("conditions.signInRiskLevels", json!(["hidden"]), "not known here"),
        ("conditions.clientAppTypes", json!(["easSupported"]), "not known here"),
        ("conditions.somethingNew", json!({ "mode": "strict" }), "unknown property"),
        ("conditions.users.includeUsers", json!(["<Admins>"]), "until it is replaced"),
        ("conditions.users", json!("@{includeUsers=System.Object[]}"), "ConvertTo-Json -Depth"),
        ("conditions.users", json!(null), "includes nobody"),
        (
            "conditions.locations",
            json!({ "includeLocations": ["6c96716b-b32b-40b8-9009-49748bb6fcd5"] }),
            "not in the export",
        ),
        (
            "conditions.devices.deviceFilter",
            json!({ "mode": "include", "rule": "device.colour -eq \"red\"" }),
            "no attribute",
        ),
        (
            "conditions.applications.applicationFilter",
            json!({ "mode": "include", "rule": "CustomSecurityAttribute.Eng_Project -eq \"x\"" }),
            "no app of the export has such an attribute",
        ),
        (
            "conditions.applications.applicationFilter",
            json!({ "mode": "include", "rule": "CustomSecurityAttribute.Eng_Project -eq \"x\" -or device.isCompliant -eq True" }),
            "more than custom security attributes",
        ),
        (
            "conditions.applications.applicationFilter",
            json!({ "mode": "exclude", "rule": "CustomSecurityAttribute.Eng_Project -like \"x\"" }),
            "cannot be read here",
        ),
        ("conditions.agents", json!({ "includeAgentUsers": ["All"] }), "agent identities"),
        (
            "grantControls",
            json!({ "operator": "AND", "builtInControls": ["mfa", "riskRemediation"] }),
            "remediation",
        ),
        ("grantControls.builtInControls", json!(["unknownFutureValue"]), "not known here"),
        ("grantControls.builtInControls", json!(["mfa", "unknownFutureValue"]), "not known here"),
        ("grantControls.builtInControls", json!(["approvedApplication"]), "nothing that can be enforced"),
        (
            "grantControls",
            json!({ "operator": "AND", "builtInControls": ["mfa", "passwordChange"] }),
            "goes with `mfa`",
        ),
        (
            "grantControls",
            json!({ "operator": "OR", "authenticationStrength": { "id": "6c96716b-b32b-40b8-9009-49748bb6fcd5" } }),
            "it would refuse everybody",
        ),
        (
            "grantControls",
            json!({ "operator": "AND", "builtInControls": ["mfa"], "termsOfUse": ["<TermsOfUse>"] }),
            "it would refuse everybody",
        ),
        (
            "conditions.applications.includeApplications",
            json!(["5dc48733-b5df-475c-a49b-fa307ef00853"]),
            "Global Secure Access",
        ),
        ("conditions.applications.applicationFilter", json!({}), "is there and empty"),
        ("conditions.users.includeGuestsOrExternalUsers", json!({}), "is there and empty"),
        (
            "conditions.users.includeGuestsOrExternalUsers",
            json!({ "guestOrExternalUserTypes": "none" }),
            "names no guests",
        ),
        ("conditions.locations", json!({ "includeLocations": ["AllTrusted"] }), "no trusted location"),
        ("sessionControls.signInFrequency", json!({}), "is there and empty"),
        (
            "sessionControls.cloudAppSecurity",
            json!({ "isEnabled": true, "cloudAppSecurityType": "blockDownloads" }),
            "Defender",
        ),
        ("sessionControls.applicationEnforcedRestrictions", on.clone(), "Exchange and SharePoint"),
        ("sessionControls.secureSignInSession", on.clone(), "token protection"),
        ("sessionControls.continuousAccessEvaluation", json!({ "mode": "strictLocation" }), "judged anew"),
        ("sessionControls.disableResilienceDefaults", json!(true), "outage"),
        ("sessionControls.globalSecureAccessFilteringProfile", on, "Global Secure Access"),
        (
            "sessionControls.signInFrequency",
            json!({ "isEnabled": true, "type": "weeks", "value": 4 }),
            "hours or days",
        ),
        (
            "sessionControls.signInFrequency",
            json!({ "isEnabled": true, "type": "days", "value": -1 }),
            "hours or days",
        ),
        ("state", json!("unknownFutureValue"), "not known here"),
        ("deletedDateTime", json!("2026-01-01T00:00:00Z"), "deleted"),
        ("newTopLevel", json!([1]), "unknown property"),
    ];
    for (path, value, wanted) in cases {
        let (state, text, reasons) = one(&with(plain(), path, value));
        assert_eq!(state, "disabled", "{path}: {reasons:?}");
        assert!(reasons.iter().any(|reason| reason.contains(wanted)), "`{wanted}` for {path}: {reasons:?}");
        assert!(text.contains("# NOT ENFORCED"), "{text}");
    }
}

#[test]
fn null_and_empty_and_switched_off_parts_change_nothing() {
    let mut policy = plain();
    for path in [
        "conditions.somethingNew",
        "conditions.times",
        "conditions.deviceStates",
        "grantControls.authenticationStrength",
        "sessionControls.cloudAppSecurity",
        "partialEnablementStrategy",
    ] {
        policy = with(policy, path, json!(null));
    }
    policy = with(policy, "GrantControls", json!({}));
    // As PowerShell and other clients of Graph write what is not configured.
    let unset = json!({ "@odata.type": "x", "IncludePlatforms": null, "ExcludePlatforms": null });
    policy = with(policy, "conditions.platforms", unset);
    policy = with(policy, "conditions.devices", json!({ "DeviceFilter": { "Mode": null, "Rule": null } }));
    policy = with(policy, "conditions.authenticationFlows", json!({ "TransferMethods": null }));
    policy = with(policy, "conditions.userRiskLevels", json!([]));
    policy = with(policy, "conditions.someNewLevels", json!([]));
    policy = with(policy, "sessionControls.secureSignInSession", json!({ "isEnabled": false }));
    policy = with(policy, "sessionControls.disableResilienceDefaults", json!(false));
    policy["grantControls"]["authenticationStrength@odata.context"] = json!("https://graph/$metadata");
    let (state, text, reasons) = one(&policy);
    assert_eq!((state.as_str(), reasons.len()), ("enabled", 0), "{reasons:?}");
    assert_eq!(text, one(&plain()).1);
}

#[test]
fn a_partial_import_never_weakens_in_silence_and_never_guesses() {
    let monitored = with(plain(), "sessionControls.cloudAppSecurity", json!({ "isEnabled": true }));
    let (state, text, reasons) = one_of(&monitored, true);
    assert_eq!((state.as_str(), reasons.len()), ("enabled", 1));
    assert!(text.contains("# WEAKER THAN IN ENTRA"), "{text}");
    assert!(imported(&[monitored], true).report.to_text().contains("differs from what it is in Entra"));

    // What is stricter is written in both cases, and reported.
    let stricter = with(plain(), "grantControls.builtInControls", json!(["mfa", "riskRemediation"]));
    for partial in [true, false] {
        let (state, text, _) = one_of(&stricter, partial);
        assert_eq!(state, "enabled");
        assert!(text.contains("# STRICTER THAN IN ENTRA"), "{text}");
    }

    // Without its time a block would shut everybody out, always.
    let timed = with(plain(), "conditions.times", json!({ "allDay": true }));
    assert_eq!(one_of(&timed, true).0, "enabled");
    let blocking = with(timed, "grantControls.builtInControls", json!(["block"]));
    assert_eq!(one_of(&blocking, true).0, "disabled");

    for (path, value) in [
        ("conditions.somethingNew", json!(1)),
        ("conditions.users.includeUsers", json!(["<Admins>"])),
        ("conditions.applications", json!({ "includeUserActions": ["urn:user:registerdevice"] })),
        ("grantControls", json!(null)),
    ] {
        assert_eq!(one_of(&with(plain(), path, value), true).0, "disabled", "{path}");
    }
}

#[test]
fn a_policy_that_asks_for_nothing_enforceable_lets_nobody_in_when_enabled_by_mistake() {
    let policy = with(plain(), "grantControls", json!(null));
    let policy = with(policy, "sessionControls.cloudAppSecurity", json!({ "isEnabled": true }));
    let (state, text, _) = one(&policy);
    assert_eq!(state, "disabled");
    assert!(text.contains("grant = \"block\""), "{text}");
}

#[test]
fn a_placeholder_in_an_exclude_is_kept_and_told() {
    let policy = with(plain(), "conditions.users.excludeGroups", json!(["<EmergencyAccess>"]));
    let import = imported(&[policy], false);
    let item = &import.report.policies[0];
    assert_eq!(item.state, "enabled");
    assert!(import.files["policies/mfa-for-all.toml"].contains("exclude = [\"group:<EmergencyAccess>\"]"));
    let error = &import.report.errors[0];
    assert_eq!(error.file, "0.json");
    assert!(error.message.contains("`<EmergencyAccess>`") && error.message.contains("replace"), "{error:?}");
    assert!(!import.report.is_incomplete());
}

#[test]
fn named_locations_are_found_by_their_id() {
    let office = json!({ "@odata.type": "#microsoft.graph.ipNamedLocation", "id": "A1111111-2222-3333-4444-555555555555",
        "displayName": "Office \"Nord\"\nmunich", "isTrusted": true, "ipRanges": [
            { "@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "198.51.100.7/24" },
            { "@odata.type": "#microsoft.graph.iPv6CidrRange", "cidrAddress": "2001:db8::/32" } ] });
    let abroad = json!({ "@odata.type": "#microsoft.graph.countryNamedLocation", "id": "b1111111-2222-3333-4444-555555555555",
        "displayName": "Abroad", "countriesAndRegions": ["no", "SE"], "includeUnknownCountriesAndRegions": true,
        "countryLookupMethod": "clientIpAddress" });
    let gps = json!({ "@odata.type": "#microsoft.graph.countryNamedLocation", "id": "c1111111-2222-3333-4444-555555555555",
        "displayName": "By GPS", "countriesAndRegions": ["NO"], "countryLookupMethod": "authenticatorAppGps" });
    let policy = |include: &str, exclude: &str| {
        let locations = json!({ "includeLocations": [include], "excludeLocations": [exclude] });
        with(plain(), "conditions.locations", locations)
    };
    let page = json!({ "@odata.context": "x", "value": [office, abroad, gps,
        policy("b1111111-2222-3333-4444-555555555555", "a1111111-2222-3333-4444-555555555555"),
        policy("All", "c1111111-2222-3333-4444-555555555555"),
        policy("c1111111-2222-3333-4444-555555555555", "AllTrusted")] });
    let import = imported(&[page], false);
    let config = loaded(&import);
    assert_eq!(config.policies.locations.len(), 3);
    let states: Vec<&str> = import.report.policies.iter().map(|item| item.state.as_str()).collect();
    assert_eq!(
        states.iter().filter(|state| **state == "disabled").count(),
        1,
        "{:#?}",
        import.report.policies
    );
    let names: Vec<&str> = config.policies.locations.iter().map(|location| location.name.as_str()).collect();
    assert_eq!(names, ["office-nord-munich", "abroad", "by-gps"]);
    assert!(import.files.values().any(|text| text.contains("include = [\"abroad\"]")));
    assert!(import.files["locations.toml"].contains("\"198.51.100.0/24\""));
    // No file stands in the place of the database: a text would only be taken for a broken one.
    assert!(!import.files.contains_key("country.mmdb"));
    assert!(import.files["portcullis.toml"].contains("# FILL IN: a country database in MMDB format"));
}

#[test]
fn a_strength_counts_only_combinations_that_tokens_tell() {
    let strength = |combinations: Value| {
        let strength = json!({ "id": "6c96716b-b32b-40b8-9009-49748bb6fcd5", "displayName": "House",
            "allowedCombinations": combinations });
        with(plain(), "grantControls.authenticationStrength", strength)
    };
    let import =
        imported(&[strength(json!(["fido2", "password,hardwareOath", "temporaryAccessPassOneTime"]))], false);
    assert_eq!(import.report.policies[0].state, "enabled");
    assert!(
        import.files["locations.toml"].contains("combinations = [[\"fido\"]]"),
        "{}",
        import.files["locations.toml"]
    );
    // One word of RFC 8176 stands for both, so both must be allowed.
    let import = imported(&[strength(json!(["password,hardwareOath", "softwareOath,password"]))], false);
    assert!(
        import.files["locations.toml"].contains("[[\"otp\", \"pwd\"]"),
        "{}",
        import.files["locations.toml"]
    );
    // Nobody could meet it; the alternative remains, and a policy without one waits.
    let nobody = strength(json!(["federatedMultiFactor"]));
    assert_eq!(one(&nobody).0, "enabled");
    assert_eq!(one(&with(nobody, "grantControls.operator", json!("AND"))).0, "disabled");
    let restricted =
        json!([{ "@odata.type": "#microsoft.graph.fido2CombinationConfiguration", "allowedAAGUIDs": ["x"] }]);
    let policy = with(
        with(strength(json!(["fido2"])), "grantControls.operator", json!("AND")),
        "grantControls.authenticationStrength.combinationConfigurations",
        restricted,
    );
    assert_eq!(one(&policy).0, "disabled");
}

#[test]
fn workload_policies_are_about_programs() {
    let policy = with(plain(), "conditions.users.includeUsers", json!(["None"]));
    let programs = json!({ "includeServicePrincipals": ["ServicePrincipalsInMyTenant"],
        "excludeServicePrincipals": ["6c96716b-b32b-40b8-9009-49748bb6fcd5"] });
    let policy = with(policy, "conditions.clientApplications", programs);
    let policy = with(policy, "conditions.servicePrincipalRiskLevels", json!(["high"]));
    let policy = with(policy, "grantControls.builtInControls", json!(["block"]));
    let (state, text, reasons) = one(&policy);
    assert_eq!(state, "enabled", "{reasons:?}");
    assert!(text.contains("[policy.workloads]\ninclude = [\"all\"]"), "{text}");
    let both = with(policy, "conditions.users.includeUsers", json!(["All"]));
    assert_eq!(one(&both).0, "disabled");
}

#[test]
fn the_main_file_names_the_claims_that_policies_wait_for() {
    let policy = with(plain(), "conditions.insiderRiskLevels", json!("elevated"));
    let policy =
        with(policy, "conditions.authenticationFlows", json!({ "transferMethods": "deviceCodeFlow" }));
    let policy = with(
        policy,
        "conditions.users.excludeGuestsOrExternalUsers",
        json!({ "guestOrExternalUserTypes": "serviceProvider", "externalTenants": {
            "membershipKind": "enumerated", "members": ["9a6d1bf4-7a5a-4f4c-8ac6-d9a9b3a0f111"] } }),
    );
    let mut import = imported(&[with(policy, "grantControls.termsOfUse", json!(["7d4a"]))], false);
    let main = import.files.get_mut("portcullis.toml").unwrap();
    for key in ["insider-risk", "flow", "guest-kind", "home-tenant", "terms"] {
        let line = format!("# {key} = \"FILL IN\"\n");
        assert!(main.contains(&line), "{key}: {main}");
        *main = main.replace(&line, &format!("{key} = \"{key}\"\n"));
    }
    let config = loaded(&import);
    let claims = &config.issuers[0].claims;
    assert_eq!(
        (claims.insider_risk.as_deref(), claims.flow.as_deref()),
        (Some("insider-risk"), Some("flow"))
    );
    let bare = imported(&[plain()], false);
    assert!(!bare.files["portcullis.toml"].contains("the claims that carry"));
}

#[test]
fn a_password_change_is_taken_where_graph_allows_it() {
    let policy = with(plain(), "conditions.userRiskLevels", json!(["high"]));
    let policy = with(
        policy,
        "grantControls",
        json!({ "operator": "AND", "builtInControls": ["passwordChange", "mfa"] }),
    );
    let (state, text, _) = one(&policy);
    assert_eq!(state, "enabled");
    assert!(text.contains("controls = [\"mfa\", \"password-change\"]"), "{text}");
}

#[test]
fn ids_do_not_depend_on_the_order_of_files_and_never_collide() {
    let other = with(plain(), "id", json!("22222222-2222-3333-4444-555555555555"));
    let long = with(plain(), "displayName", json!("A".repeat(300)));
    let copy = with(long.clone(), "id", json!(null));
    let documents = [plain(), other, long, copy.clone(), copy];
    let ids = |documents: &[Value]| {
        let import = imported(documents, false);
        loaded(&import);
        import.report.policies.iter().map(|item| item.id.clone()).collect::<BTreeSet<_>>()
    };
    let forward = ids(&documents);
    assert_eq!(forward.len(), documents.len());
    let mut turned = documents.to_vec();
    turned.reverse();
    assert_eq!(ids(&turned), forward);
    assert_eq!(ids(&[plain()]).first().map(String::as_str), Some("mfa-for-all"));
}

#[test]
fn a_display_name_cannot_write_configuration() {
    let name = "x\n[[policy]]\nid = \"evil\"\r\u{2028}\u{202e}\"\"\" # '''\u{7f}\0";
    let policy = with(plain(), "displayName", json!(name));
    let policy = with(policy, "description", json!("\n]\nstate = \"disabled\"\n#"));
    let policy =
        with(policy, "conditions.users.excludeGroups", json!(["a\"]\nx = [\"", "\u{7}", " ", "q\"]#"]));
    let import = imported(&[policy], false);
    let config = loaded(&import);
    assert_eq!(config.policies.policies.len(), 1);
    for text in import.files.values() {
        for line in text.lines().filter(|line| line.starts_with('#')) {
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
}

#[test]
fn broken_and_foreign_files_are_told_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    std::fs::create_dir(folder.path().join("deeper")).unwrap();
    let wide: Vec<u8> = plain().to_string().encode_utf16().flat_map(u16::to_le_bytes).collect();
    put("deeper/wide.JSON", &[&[0xff, 0xfe], &*wide].concat());
    put("broken.json", b"{\"displayName\": ");
    put("twice.json", b"{\"conditions\": {\"a\": 1}, \"conditions\": {\"a\": 2}}");
    put("deep.json", "[".repeat(5_000).as_bytes());
    put("workflow.json", br#"{"$schema": "x", "resources": [{"type": "Microsoft.Logic/workflows"}]}"#);
    put("number.json", b"7");
    put("page.json", br#"{"value": [], "@odata.nextLink": "https://graph.microsoft.com/next"}"#);
    put("notes.txt", b"not looked at");
    std::fs::File::create(folder.path().join("huge.json")).unwrap().set_len(17 << 20).unwrap();
    let import = import(&[folder.path().to_owned(), folder.path().join("absent.json")], false);
    let report = &import.report;
    assert_eq!(report.policies.len(), 1, "{report:#?}");
    assert_eq!(report.files, 9);
    let messages = |name: &str| {
        let found = report.errors.iter().find(|problem| problem.file.ends_with(name));
        found.map(|problem| problem.message.as_str()).unwrap_or_default()
    };
    for (name, wanted) in [
        ("broken.json", "EOF"),
        ("twice.json", "twice"),
        ("deep.json", "nests deeper"),
        ("page.json", "nextLink"),
        ("huge.json", "16MiB"),
        ("absent.json", "cannot be read"),
    ] {
        assert!(messages(name).contains(wanted), "{name}: {:#?}", report.errors);
    }
    let foreign: Vec<&str> = report.not_policies.iter().map(|one| one.why.as_str()).collect();
    assert!(foreign.iter().any(|why| why.contains("Logic App")), "{foreign:?}");
    assert!(foreign.iter().any(|why| why.contains("a number")), "{foreign:?}");
    assert!(report.is_incomplete());
    loaded(&import);
}

#[test]
fn an_import_that_would_be_too_large_to_load_is_told_and_the_rest_goes_on() {
    let apps: Vec<String> = (0..8_000).map(|number| format!("<{number}>")).collect();
    let groups: Vec<String> = (0..50_000).map(|number| format!("{number:0>200}")).collect();
    let many_apps = with(plain(), "conditions.applications.includeApplications", json!(apps));
    let many_groups = with(plain(), "conditions.users.excludeGroups", json!(groups));
    let ranges: Vec<Value> = (0..110_000_u128)
        .map(|number| json!({ "cidrAddress": std::net::Ipv6Addr::from(u128::MAX - number).to_string() }))
        .collect();
    let location = json!({ "id": "x", "displayName": "many", "ipRanges": ranges });
    let import = imported(&[many_apps, many_groups, location, plain()], false);
    let config = loaded(&import);
    assert_eq!((config.policies.policies.len(), config.policies.locations.len()), (1, 0));
    assert_eq!(
        import.report.errors.iter().filter(|problem| problem.lost).count(),
        3,
        "{:#?}",
        import.report.errors
    );
}

#[test]
fn an_import_of_nothing_loads_and_a_used_folder_is_left_alone() {
    let import = imported(&[], false);
    loaded(&import);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "x").unwrap();
    assert!(write(&import, folder.path()).unwrap_err().to_string().contains("not empty"));
}

#[test]
fn the_report_has_the_shape_that_programs_expect() {
    let report = imported(&[plain(), json!(1)], false).report.to_json();
    assert_eq!(report["files"], 2);
    let policy = &report["policies"][0];
    assert_eq!(
        (&policy["file"], &policy["name"], &policy["id"]),
        (&json!("0.json"), &json!("MFA for all"), &json!("mfa-for-all"))
    );
    assert_eq!(policy["state"], "enabled");
    let property = json!({ "path": "conditions.users.includeUsers[0]", "outcome": "taken", "note": "" });
    assert!(policy["properties"].as_array().unwrap().contains(&property), "{policy:#}");
    assert_eq!(report["not_policies"][0]["file"], "1.json");
    assert!(report["locations"].is_array() && report["errors"].is_array());
}

#[test]
fn the_fixtures_import_as_their_source_means_them() {
    let import = import(&[PathBuf::from("tests/import")], false);
    let config = loaded(&import);
    let report = &import.report;
    assert!(report.policies.len() >= 5 && !report.is_incomplete(), "{:#?}", report.errors);
    assert!(config.policies.policies.iter().any(|policy| policy.state == PolicyState::ReportOnly));
    for item in &report.policies {
        let bytes = std::fs::read(&item.file).unwrap();
        let text = match bytes.strip_prefix(&[0xff, 0xfe]) {
            None => String::from_utf8(bytes).unwrap(),
            Some(wide) => {
                let units = wide.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
                String::from_utf16(&units.collect::<Vec<_>>()).unwrap()
            }
        };
        let document: Value = serde_json::from_str(&text).unwrap();
        check_accounted(&document, &import_of(&item.file));
    }
    // An export with all annotations of OData is no less enforced than a bare one.
    let enabled = report.policies.iter().filter(|item| item.state == "enabled").map(|item| &item.id);
    assert_eq!(enabled.count(), 2);
    assert!(report.locations.iter().all(|item| item.reasons.is_empty()), "{:#?}", report.locations);
}

fn import_of(file: &str) -> Import {
    import(&[PathBuf::from(file)], false)
}

/// The policies of a public repository, one by one: where each of them is after the import.
#[test]
fn every_policy_of_a_public_repository_is_accounted_for_and_loads() {
    let bytes = std::fs::read("tests/entra/repository.json").unwrap();
    let documents: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(documents.len(), 59);
    for partial in [false, true] {
        let mut importer = Importer::new(partial);
        importer.add("repository.json", &bytes);
        let import = importer.finish();
        let report = &import.report;
        assert!(!report.is_incomplete() && report.not_policies.is_empty(), "{:#?}", report.errors);
        assert_eq!(report.policies.len(), documents.len());
        loaded(&import);
        let text = report.to_text();
        let count = |state: &str| report.policies.iter().filter(|item| item.state == state).count();
        println!("partial {partial}: {} report-only, {} disabled", count("report-only"), count("disabled"));
        assert_eq!(count("report-only") + count("disabled"), documents.len(), "{text}");
        for item in &report.policies {
            // Either it is what it was, or the file and the output say what is not.
            let is_named = item.reasons.is_empty() || text.contains(&item.id);
            assert!(item.state == "report-only" || !item.reasons.is_empty(), "{item:#?}");
            assert!(is_named, "{} is not named:\n{text}", item.id);
        }
    }
    for document in &documents {
        check_accounted(document, &imported(std::slice::from_ref(document), false));
    }
}

#[test]
fn a_condition_that_is_there_and_empty_never_widens_a_block() {
    let block = with(plain(), "grantControls.builtInControls", json!(["block"]));
    for (path, values) in [
        ("conditions.clientAppTypes", vec![json!([]), json!([null])]),
        (
            "conditions.platforms",
            vec![
                json!([]),
                json!({}),
                json!({ "includePlatforms": [] }),
                json!({ "includePlatforms": [], "excludePlatforms": null }),
                json!({ "includePlatforms": [], "excludePlatforms": ["iOS"] }),
                json!({ "includePlatforms": ["all"], "excludePlatforms": ["visionOS"] }),
            ],
        ),
        (
            "conditions.locations",
            vec![
                json!([]),
                json!({}),
                json!({ "includeLocations": [], "excludeLocations": [] }),
                json!({ "includeLocations": [null], "excludeLocations": null }),
                json!({ "excludeLocations": ["AllTrusted"] }),
                json!({ "includeLocations": ["All"], "excludeLocations": ["AllTrusted"] }),
                json!({ "includeLocations": ["All"], "excludeLocations": ["6c96716b-b32b-40b8-9009-49748bb6fcd5"] }),
                json!({ "includeLocations": ["All"], "excludeLocations": [""] }),
            ],
        ),
        ("conditions.signInRiskLevels", vec![json!([null]), json!({}), json!([[]])]),
        ("conditions.userRiskLevels", vec![json!([null])]),
        ("conditions.servicePrincipalRiskLevels", vec![json!([null])]),
        ("conditions.insiderRiskLevels", vec![json!([]), json!("")]),
        (
            "conditions.authenticationFlows",
            vec![
                json!({}),
                json!([]),
                json!({ "transferMethods": "" }),
                json!({ "transferMethods": "none" }),
            ],
        ),
        (
            "conditions.devices",
            vec![
                json!({}),
                json!([]),
                json!({ "includeDevices": [], "excludeDevices": [], "deviceFilter": null }),
                json!({ "deviceFilter": {} }),
                json!({ "deviceFilter": { "mode": "exclude", "rule": "" } }),
                json!({ "includeDevices": [], "excludeDevices": ["Compliant"] }),
            ],
        ),
        (
            "conditions.deviceStates",
            vec![
                json!({}),
                json!({ "includeStates": [], "excludeStates": [] }),
                json!({ "includeStates": ["All"], "excludeStates": ["Patched"] }),
            ],
        ),
        ("conditions.times", vec![json!({}), json!({ "includedRanges": [] })]),
        ("conditions.agents", vec![json!({ "includeAgentUsers": [] })]),
        ("conditions.somethingNew", vec![json!({}), json!({ "include": [] })]),
    ] {
        for value in values {
            let (state, _, reasons) = one(&with(block.clone(), path, value.clone()));
            assert_eq!(state, "disabled", "{path} = {value}: {reasons:?}");
            assert!(!reasons.is_empty());
            assert_eq!(one_of(&with(block.clone(), path, value), true).0, "disabled");
        }
    }
    // The same conditions where a policy demands: any was written, which is stricter, and reported.
    for (path, value) in [
        ("conditions.platforms", json!({})),
        ("conditions.locations", json!({ "includeLocations": [] })),
        ("conditions.clientAppTypes", json!([])),
        ("conditions.authenticationFlows", json!({ "transferMethods": "none" })),
        ("conditions.devices", json!({ "includeDevices": [] })),
    ] {
        let (state, text, _) = one(&with(plain(), path, value));
        assert_eq!(state, "enabled", "{path}");
        assert!(text.contains("# STRICTER THAN IN ENTRA"), "{text}");
    }
}

#[test]
fn an_exclude_that_names_nobody_spares_nobody_and_disables_nothing() {
    let guests = "conditions.users.excludeGuestsOrExternalUsers";
    for (path, value) in [
        (guests, json!({})),
        (guests, json!({ "guestOrExternalUserTypes": "none" })),
        (guests, json!({ "guestOrExternalUserTypes": "" })),
        (guests, json!({ "guestOrExternalUserTypes": "visitorFromMars" })),
        (guests, json!({ "externalTenants": { "membershipKind": "all" } })),
        (
            guests,
            json!({ "guestOrExternalUserTypes": "serviceProvider",
                "externalTenants": { "membershipKind": "enumerated", "members": [] } }),
        ),
        ("conditions.users.excludeUsers", json!([""])),
        ("conditions.applications.excludeApplications", json!(["not an app"])),
        (
            "conditions.platforms",
            json!({ "includePlatforms": ["all"], "excludePlatforms": ["iOS", "visionOS"] }),
        ),
    ] {
        for controls in [json!(["mfa"]), json!(["block"])] {
            let policy = with(with(plain(), path, value.clone()), "grantControls.builtInControls", controls);
            let (state, text, reasons) = one(&policy);
            assert_eq!(state, "enabled", "{path} = {value}: {reasons:?}");
            assert!(text.contains("# STRICTER THAN IN ENTRA"), "{path} = {value}: {text}");
        }
    }
    for value in
        [json!(null), json!([]), json!({ "guestOrExternalUserTypes": null, "externalTenants": null })]
    {
        let path = if value.is_array() { "conditions.users.excludeGroups" } else { guests };
        let (state, text, reasons) = one(&with(plain(), path, value));
        assert_eq!((state.as_str(), reasons.len()), ("enabled", 0), "{text}");
    }
}

#[test]
fn a_policy_is_found_however_it_is_wrapped_and_what_is_not_found_is_no_success() {
    let quoted = plain().to_string();
    for (wrapped, place) in [
        (json!({ "value": [plain()] }), "value[0]"),
        (json!({ "value": plain() }), "value"),
        (json!([[plain()]]), "[0][0]"),
        (json!({ "PolicyName": "x", "PolicyConfig": plain() }), "PolicyConfig"),
        (json!([{ "PolicyConfig": { "inner": [plain()] } }]), "[0].PolicyConfig.inner[0]"),
        (
            json!({ "responses": [{ "id": "1", "status": 200, "body": { "value": [plain()] } }] }),
            "responses[0].body.value[0]",
        ),
        (json!({ "appId": "00000000-0000-4000-8000-000000000009", "policies": [plain()] }), "policies[0]"),
        (
            json!({ "export": { "conditionalAccess": { "policies": { "a": plain() } } } }),
            "export.conditionalAccess.policies.a",
        ),
        (json!({ "PolicyConfig": quoted }), "PolicyConfig"),
        (json!({ "Policy": format!("[{quoted}]") }), "Policy[0]"),
    ] {
        let import = imported(std::slice::from_ref(&wrapped), false);
        assert_eq!(import.report.policies.len(), 1, "{wrapped}: {:#?}", import.report);
        let item = &import.report.policies[0];
        assert_eq!((item.state.as_str(), item.place.as_str()), ("enabled", place), "{wrapped}");
        assert!(!import.report.is_incomplete());
        loaded(&import);
    }
    for (lost, wanted) in [
        (json!({ "Policy": { "IncludeUsers": ["All"], "State": "enabled" } }), "`Policy.IncludeUsers`"),
        (json!([1, { "a": { "builtInControls": ["mfa"] } }]), "at `[1]`"),
        (json!({ "error": { "code": "Forbidden", "message": "no" } }), "Forbidden"),
        (json!({ "x": format!("{{\"grantControls\": {{{}", "\"") }), "at `x`"),
        (json!({ "@odata.count": 3, "value": [plain()] }), "says that there are 3"),
        (json!({ "inner": { "@odata.nextLink": "https://x", "value": [plain()] } }), "nextLink"),
        (json!({ "tenant": "x" }), "nothing was imported"),
        (json!([]), "nothing was imported"),
    ] {
        let report = imported(std::slice::from_ref(&lost), false).report;
        assert!(report.is_incomplete(), "{lost}: {report:#?}");
        assert!(
            report.errors.iter().any(|error| error.message.contains(wanted)),
            "{lost}: {:?}",
            report.errors
        );
        assert!(report.to_text().contains(wanted));
    }
    // Poor policies are policies still.
    for poor in [
        json!({ "conditions": { "users": { "includeUsers": ["All"] } }, "state": "enabled" }),
        json!({ "displayName": "x", "state": "enabled", "sessionControls": null }),
        json!({ "displayName": "x", "state": "enabled", "conditions": null }),
        json!({ "conditions": { "clientAppTypes": ["all"] } }),
    ] {
        let import = imported(std::slice::from_ref(&poor), false);
        assert_eq!(import.report.policies.len(), 1, "{poor}");
        assert_eq!(import.report.policies[0].state, "disabled");
    }
}

#[test]
fn what_people_write_beside_a_location_or_a_policy_takes_nothing_from_it() {
    let office = |beside: Value| {
        let office = json!({ "id": "a1111111-2222-3333-4444-555555555555", "displayName": "Office", "isTrusted": true,
            "ipRanges": [{ "cidrAddress": "198.51.100.0/24", "comment": "Munich" }] });
        let mut office = office.as_object().unwrap().clone();
        office.extend(beside.as_object().unwrap().clone());
        Value::Object(office)
    };
    let policy = |place: &str| {
        with(plain(), "conditions.locations", json!({ "includeLocations": [place], "excludeLocations": [] }))
    };
    let policy = policy("a1111111-2222-3333-4444-555555555555");
    for beside in [
        json!({ "comment": "the one in Munich" }),
        json!({ "_comment": "x", "$note": "y", "//": "z" }),
        json!({ "description": "x", "ownerTeam": "network", "tags": ["vpn"], "ticketNumber": 7 }),
        json!({ "lastModifiedBy": "somebody", "createdOn": "2026-01-01", "version": 3 }),
    ] {
        let import = imported(&[office(beside.clone()), policy.clone()], false);
        assert_eq!(
            import.report.policies[0].state, "enabled",
            "{beside}: {:#?}",
            import.report.policies[0].reasons
        );
        loaded(&import);
    }
    // What could change where it is still does.
    for beside in [json!({ "excludedRanges": ["198.51.100.7"] }), json!({ "isInverted": true })] {
        let import = imported(&[office(beside.clone()), policy.clone()], false);
        assert_eq!(import.report.policies[0].state, "disabled", "{beside}");
    }
    let (state, text, reasons) = one(&with(with(plain(), "_comment", json!("ask Kim")), "notes", json!("x")));
    assert_eq!((state.as_str(), reasons.len()), ("enabled", 0), "{text}");
}

#[test]
fn what_entra_no_longer_enforces_or_never_sends_here_is_told() {
    let policy = with(
        plain(),
        "grantControls.builtInControls",
        json!(["mfa", "approvedApplication", "compliantApplication"]),
    );
    let (state, text, reasons) = one(&policy);
    assert_eq!((state.as_str(), reasons.len()), ("enabled", 0));
    assert!(text.contains("controls = [\"mfa\", \"app-protection\"]"), "{text}");
    assert!(text.contains("stopped enforcing it in 2026"), "{text}");

    let tunnelled = json!(["c08f52c9-8f03-4558-a0ea-9a4c878cf343", "797f4846-ba00-4fd7-ba43-dac1f8f63013"]);
    let (state, text, _) = one(&with(plain(), "conditions.applications.includeApplications", tunnelled));
    assert_eq!(state, "enabled");
    assert!(text.contains("include = [\"797f4846-ba00-4fd7-ba43-dac1f8f63013\"]"), "{text}");
    assert!(text.contains("is traffic of Global Secure Access"), "{text}");
    let published = json!({ "appId": "797f4846-ba00-4fd7-ba43-dac1f8f63013", "displayName": "Files",
        "tags": ["PrivateAccessNonWebApplication"] });
    let policy = with(
        plain(),
        "conditions.applications.includeApplications",
        json!(["797f4846-ba00-4fd7-ba43-dac1f8f63013"]),
    );
    let import = imported(&[published, policy], false);
    assert_eq!(import.report.policies[0].state, "disabled");
    assert!(!import.files["portcullis.toml"].contains("797f4846"), "{}", import.files["portcullis.toml"]);
}

/// Words that mean something to the importer, so that made-up policies reach its corners.
const WORDS: [&str; 40] = [
    "id",
    "displayName",
    "state",
    "conditions",
    "users",
    "applications",
    "locations",
    "platforms",
    "devices",
    "deviceFilter",
    "mode",
    "rule",
    "includeUsers",
    "excludeUsers",
    "includeGuestsOrExternalUsers",
    "guestOrExternalUserTypes",
    "externalTenants",
    "members",
    "membershipKind",
    "includeApplications",
    "excludeApplications",
    "includeLocations",
    "includePlatforms",
    "clientAppTypes",
    "signInRiskLevels",
    "authenticationFlows",
    "transferMethods",
    "clientApplications",
    "includeServicePrincipals",
    "grantControls",
    "operator",
    "builtInControls",
    "authenticationStrength",
    "allowedCombinations",
    "termsOfUse",
    "sessionControls",
    "signInFrequency",
    "value",
    "type",
    "isEnabled",
];
const VALUES: [&str; 22] = [
    "All",
    "None",
    "AllTrusted",
    "enabled",
    "disabled",
    "OR",
    "AND",
    "mfa",
    "block",
    "passwordChange",
    "high",
    "browser",
    "all",
    "hours",
    "include",
    "device.isCompliant -eq True",
    "enumerated",
    "internalGuest",
    "<Group>",
    "6c96716b-b32b-40b8-9009-49748bb6fcd5",
    "Office365",
    "c1",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        prop::sample::select(VALUES.to_vec()).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        let key = prop_oneof![
            8 => prop::sample::select(WORDS.to_vec()).prop_map(ToOwned::to_owned),
            1 => "[a-zA-Z@.\\[\\]\" ]{0,8}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_leaf_of_any_policy_is_in_the_report_exactly_once_and_the_output_loads(
        conditions in any_json(), grant in any_json(), session in any_json(), extra in any_json(),
        path in prop::sample::select(WORDS.to_vec()), partial in any::<bool>(),
    ) {
        let mut policy = plain();
        match extra.as_bool() {
            Some(true) => policy["conditions"] = conditions,
            _ => policy["conditions"][path] = conditions,
        }
        policy["grantControls"] = grant;
        policy["sessionControls"] = session;
        policy["extra"] = extra;
        let import = imported(std::slice::from_ref(&policy), partial);
        if !partial {
            check_accounted(&policy, &import);
        }
        loaded(&import);
    }
}

fn cases() -> u32 {
    std::env::var("PORTCULLIS_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}
