//! Under which circumstances a policy speaks.

use portcullis_policy::rule::Rule;
use toml::{Table, Value};

use super::account::Field;
use super::assignments::{Side, Sides, sides_table};
use super::names;
use super::reading::{Loss, Reading, key, strings};

/// Entra's words and ours. The first column compares without case.
type Words = &'static [(&'static str, &'static str)];

const CLIENT_APPS: Words = &[
    ("browser", "browser"),
    ("mobileAppsAndDesktopClients", "mobile-apps-and-desktop-clients"),
    ("exchangeActiveSync", "exchange-active-sync"),
    ("other", "other"),
];
const PLATFORMS: Words = &[
    ("all", "all"),
    ("android", "android"),
    ("iOS", "ios"),
    ("windows", "windows"),
    ("windowsPhone", "windows-phone"),
    ("macOS", "macos"),
    ("linux", "linux"),
];
const RISKS: Words = &[("none", "none"), ("low", "low"), ("medium", "medium"), ("high", "high")];
const INSIDER_RISKS: Words =
    &[("none", "none"), ("minor", "low"), ("moderate", "medium"), ("elevated", "high")];
const FLOWS: Words =
    &[("deviceCodeFlow", "device-code-flow"), ("authenticationTransfer", "authentication-transfer")];

/// The conditions as a table of the file.
pub(super) fn conditions(reading: &mut Reading<'_>, field: &Field<'_>) -> Table {
    let mut table = Table::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            table.insert(key.to_owned(), value);
        }
    };
    put("client-apps", client_apps(reading, field));
    put("platforms", platforms(reading, field));
    put("locations", locations(reading, field));
    put("sign-in-risk", risk(reading, field, "signInRiskLevels", RISKS, "sign-in-risk"));
    put("user-risk", risk(reading, field, "userRiskLevels", RISKS, "user-risk"));
    put("insider-risk", risk(reading, field, "insiderRiskLevels", INSIDER_RISKS, "insider-risk"));
    let workload_risk = "service-principal-risk";
    put(workload_risk, risk(reading, field, "servicePrincipalRiskLevels", RISKS, workload_risk));
    put("authentication-flows", flows(reading, field));
    put("device-filter", devices(reading, field));
    unenforceable(reading, field);
    table
}

/// Conditions that have no counterpart.
fn unenforceable(reading: &mut Reading<'_>, conditions: &Field<'_>) {
    for (name, note) in [
        ("times", "Entra never documented how it counts: write `time` by hand"),
        ("agentIdRiskLevels", "the risk of agent identities has no counterpart here"),
        ("agents", "agent identities are not told apart from other programs here"),
        ("agentContext", "agent identities are not told apart from other programs here"),
    ] {
        if let Some(field) = conditions.get(name).filter(|field| !field.json.says_nothing()) {
            reading.refused(&field, Loss::Condition, note);
        }
    }
}

/// One word of a list whose values are ORed. An unknown one would be missed.
fn word(reading: &mut Reading<'_>, field: &Field<'_>, text: &str, words: Words) -> Option<&'static str> {
    let found = words.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(text));
    let Some((theirs, ours)) = found else {
        reading.refused(field, Loss::Unknown, "is a value that is not known here");
        return None;
    };
    // The same word in our spelling needs no explanation.
    if key(theirs) == ours.replace('-', "") {
        reading.taken(field, "");
    } else {
        reading.adapted(field, &format!("is `{ours}` here"));
    }
    Some(ours)
}

/// A list of words; absent when it is empty.
fn words(found: Vec<&'static str>) -> Option<Value> {
    (!found.is_empty()).then(|| strings(found))
}

fn client_apps(reading: &mut Reading<'_>, conditions: &Field<'_>) -> Option<Value> {
    let texts = reading.texts(conditions, "clientAppTypes");
    if texts.iter().any(|(_, text)| text.eq_ignore_ascii_case("all")) {
        for (field, _) in texts {
            reading.taken(&field, "any client app");
        }
        return None;
    }
    let found = texts.into_iter().filter_map(|(field, text)| word(reading, &field, text, CLIENT_APPS));
    words(found.collect())
}

/// Include and exclude lists of one condition, whose include must not be empty.
fn both_sides(
    reading: &mut Reading<'_>,
    field: &Field<'_>,
    names: [&str; 2],
    mut selector: impl FnMut(&mut Reading<'_>, &Field<'_>, &str, Side) -> Option<String>,
) -> Option<Value> {
    let mut sides = Sides::default();
    for (name, side) in names.into_iter().zip([Side::Include, Side::Exclude]) {
        for (item, text) in reading.texts(field, name) {
            let found = selector(reading, &item, text, side);
            match side {
                Side::Include => sides.include.extend(found),
                Side::Exclude => sides.exclude.extend(found),
            }
        }
    }
    if sides.include.is_empty() {
        if sides.exclude.is_empty() {
            return None;
        }
        // Entra asks for an include; without one the reading that refuses more is taken.
        sides.include.push("all".to_owned());
        reading.reason(Loss::Stricter, format!("{}: nothing is included; `all` was written", field.path));
    }
    Some(Value::Table(sides_table(&sides)))
}

fn platforms(reading: &mut Reading<'_>, conditions: &Field<'_>) -> Option<Value> {
    let field = reading.object(conditions, "platforms")?;
    both_sides(reading, &field, ["includePlatforms", "excludePlatforms"], |reading, field, text, _| {
        word(reading, field, text, PLATFORMS).map(ToOwned::to_owned)
    })
}

fn locations(reading: &mut Reading<'_>, conditions: &Field<'_>) -> Option<Value> {
    // An empty list stands for null in some exports.
    let field = reading.object(conditions, "locations")?;
    both_sides(reading, &field, ["includeLocations", "excludeLocations"], location)
}

fn location(reading: &mut Reading<'_>, field: &Field<'_>, text: &str, side: Side) -> Option<String> {
    match text.to_ascii_lowercase().as_str() {
        "all" => {
            reading.taken(field, "");
            return Some("all".to_owned());
        }
        "alltrusted" => {
            reading.taken(field, "");
            return Some("all-trusted".to_owned());
        }
        _ => {}
    }
    let known = reading.world.locations.get(&key(text)).cloned();
    if let Some((name, whole)) = known {
        if whole {
            reading.taken(field, "");
        } else {
            incomplete(
                reading,
                field,
                side,
                &format!("the named location `{name}` could not be taken whole"),
            );
        }
        return Some(name);
    }
    if !names::is_presentable(text) {
        reading.refused(field, side.loss(), "is no location id and cannot be written");
        return None;
    }
    let (id, what) = match text {
        "00000000-0000-0000-0000-000000000000" => {
            ("mfa-trusted-ips".to_owned(), "the MFA service's trusted addresses")
        }
        "3d46dbda-8382-466a-856d-eb00cbc6b910" => {
            ("all-compliant-networks".to_owned(), "the networks of Global Secure Access")
        }
        _ if names::is_guid(text) => (key(text), "a named location that is not in the export"),
        _ => {
            reading.placeholder(text);
            (names::marked_slug(text, "location"), "no location id")
        }
    };
    let mut name = format!("missing-{id}");
    while reading.world.location_names.contains(&name) {
        name.push_str("-x");
    }
    reading.needs.locations.insert(name.clone(), text.to_owned());
    incomplete(reading, field, side, &format!("is {what}: fill in `{name}` in `locations.toml`"));
    Some(name)
}

/// A location in which fewer addresses are than were meant.
fn incomplete(reading: &mut Reading<'_>, field: &Field<'_>, side: Side, note: &str) {
    match side {
        Side::Include => reading.refused(field, Loss::Weaker, note),
        Side::Exclude => reading.remarked(field, note),
    }
}

/// Risk levels, written as a list or, for insider risk, as words with commas.
fn risk(
    reading: &mut Reading<'_>,
    conditions: &Field<'_>,
    name: &str,
    known: Words,
    ours: &'static str,
) -> Option<Value> {
    let mut found = Vec::new();
    for (field, text) in reading.texts(conditions, name) {
        for part in text.split(',').map(str::trim) {
            found.extend(word(reading, &field, part, known));
        }
    }
    if !found.is_empty() {
        reading.needs.claims.insert(ours);
        reading.remarks.push(format!(
            "conditions.{name}: name the claim that tells it, `{ours}` in `[issuer.claims]`; until then the risk \
             counts as `none`"
        ));
    }
    words(found)
}

fn flows(reading: &mut Reading<'_>, conditions: &Field<'_>) -> Option<Value> {
    let field = reading.object(conditions, "authenticationFlows")?;
    let mut found = Vec::new();
    for (field, text) in reading.texts(&field, "transferMethods") {
        for part in text.split(',').map(str::trim) {
            if part.eq_ignore_ascii_case("none") {
                reading.taken(&field, "no flow");
            } else {
                found.extend(word(reading, &field, part, FLOWS));
            }
        }
    }
    if !found.is_empty() {
        reading.needs.claims.insert("flow");
        reading.remarks.push(
            "conditions.authenticationFlows: name the claim that tells it, `flow` in `[issuer.claims]`; until then \
             no sign-in counts as one of these"
                .to_owned(),
        );
    }
    words(found)
}

/// The device filter, or the conditions that it replaced.
fn devices(reading: &mut Reading<'_>, conditions: &Field<'_>) -> Option<Value> {
    let mut found = Vec::new();
    if let Some(devices) = reading.object(conditions, "devices") {
        if let Some(filter) = reading.object(&devices, "deviceFilter") {
            found.extend(device_filter(reading, &filter));
        }
        found.extend(device_states(reading, &devices, ["includeDevices", "excludeDevices"]));
        found.extend(device_states(reading, &devices, ["includeDeviceStates", "excludeDeviceStates"]));
    }
    if let Some(states) = reading.object(conditions, "deviceStates") {
        found.extend(device_states(reading, &states, ["includeStates", "excludeStates"]));
    }
    if found.len() > 1 {
        reading.reason(Loss::Unknown, "it has several conditions on devices, of which Entra allows one");
    }
    let (mode, rule) = found.into_iter().next()?;
    let mut table = Table::new();
    table.insert("mode".to_owned(), Value::String(mode));
    table.insert("rule".to_owned(), Value::String(rule));
    Some(Value::Table(table))
}

fn device_filter(reading: &mut Reading<'_>, field: &Field<'_>) -> Option<(String, String)> {
    let mode = reading.text(field, "mode");
    let rule = reading.text(field, "rule");
    let (Some((mode_field, mode)), Some((rule_field, rule))) = (mode, rule) else {
        reading.refused(field, Loss::Unknown, "is a filter without mode or rule");
        return None;
    };
    let mode = key(mode);
    if !matches!(mode.as_str(), "include" | "exclude") {
        reading.refused(&mode_field, Loss::Unknown, "is a mode that is not known here");
        reading.refused(&rule_field, Loss::Unknown, "goes with the mode");
        return None;
    }
    if let Err(error) = Rule::parse(rule) {
        reading.refused(&mode_field, Loss::Condition, "goes with the rule");
        let note = format!("is a rule that cannot be read here: {}", error.what);
        reading.refused(&rule_field, Loss::Condition, &note);
        return None;
    }
    reading.taken(field, "");
    Some((mode, rule.to_owned()))
}

/// The retired condition: all devices, except those that are compliant or hybrid joined.
fn device_states(reading: &mut Reading<'_>, field: &Field<'_>, names: [&str; 2]) -> Option<(String, String)> {
    let [include, exclude] = names;
    let mut all = true;
    for (item, text) in reading.texts(field, include) {
        if text.eq_ignore_ascii_case("all") {
            reading.adapted(&item, "is every device, registered or not");
        } else {
            all = false;
            reading.refused(&item, Loss::Unknown, "is a device state that is not known here");
        }
    }
    let mut rules = Vec::new();
    for (item, text) in reading.texts(field, exclude) {
        let rule = match text.to_ascii_lowercase().as_str() {
            "compliant" => "device.isCompliant -eq True",
            "domainjoined" => "device.trustType -eq \"ServerAD\"",
            _ => {
                reading.refused(&item, Loss::Stricter, "is a device state that is not known here");
                continue;
            }
        };
        reading.adapted(&item, &format!("is the device filter `{rule}` here"));
        rules.push(rule);
    }
    (all && !rules.is_empty()).then(|| ("exclude".to_owned(), rules.join(" -or ")))
}
