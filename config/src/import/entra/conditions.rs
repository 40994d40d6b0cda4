//! Under which circumstances a policy speaks.

use portcullis_policy::rule::Rule;
use toml::{Table, Value};

use super::account::Field;
use super::assignments::{Side, Sides, sides_table};
use super::json::Json;
use super::names;
use super::reading::{Located, Loss, Reading, key, strings};
use crate::vocabulary::{CLIENT_APPS, FLOWS, GraphWords, INSIDER_RISKS, PLATFORMS, RISKS, from_graph};

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

/// What the rooms above read.
const KNOWN: [&str; 13] = [
    "users",
    "applications",
    "clientApplications",
    "clientAppTypes",
    "platforms",
    "locations",
    "signInRiskLevels",
    "userRiskLevels",
    "insiderRiskLevels",
    "servicePrincipalRiskLevels",
    "authenticationFlows",
    "devices",
    "deviceStates",
];

/// Conditions that have no counterpart, and those that are there and empty. OData has no null for a list:
/// there, an empty one is what is not configured.
fn unenforceable(reading: &mut Reading<'_>, conditions: &Field<'_>) {
    for (name, field) in conditions.members() {
        let known = KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name));
        let unset = field.json.is_unset() || matches!(field.json, Json::List(items) if items.is_empty());
        if !known && field.json.says_nothing() && !unset {
            reading.empty(&field, Loss::Wider);
        }
    }
    for (name, note) in [
        ("times", "Entra never documented how it counts: write `time` by hand"),
        ("agentIdRiskLevels", "the risk of agent identities has no counterpart here"),
        ("agents", "agent identities are treated as other programs here"),
        ("agentContext", "agent identities are treated as other programs here"),
    ] {
        if let Some(field) = conditions.get(name).filter(|field| !field.json.says_nothing()) {
            reading.refused(&field, Loss::Condition, note);
        }
    }
}

/// One word of a list whose values are ORed. An unknown one would be missed.
fn word(reading: &mut Reading<'_>, field: &Field<'_>, text: &str, words: GraphWords) -> Option<&'static str> {
    word_of(reading, field, text, words, Loss::Unknown)
}

fn word_of(
    reading: &mut Reading<'_>,
    field: &Field<'_>,
    text: &str,
    words: GraphWords,
    loss: Loss,
) -> Option<&'static str> {
    let Some(ours) = from_graph(words, text) else {
        reading.refused(field, loss, "is a value that is not known here");
        return None;
    };
    // The same word in our spelling needs no explanation.
    if key(text) == ours.replace('-', "") {
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
    if texts.is_empty()
        && let Some(field) = conditions.get("clientAppTypes")
    {
        // Until August 2020 such a policy missed clients with legacy authentication.
        reading.refused(&field, Loss::Wider, "names no client app: any was written");
    }
    let found = texts.into_iter().filter_map(|(field, text)| word(reading, &field, text, CLIENT_APPS));
    words(found.collect())
}

/// What an include or exclude comes to.
enum Named {
    /// A selector that can match.
    Known(String),
    /// A selector that matches nothing until somebody fills it in.
    Nothing(String),
    /// It could not be written.
    Lost,
}

/// Include and exclude lists of one condition, whose include must not be empty.
fn both_sides(
    reading: &mut Reading<'_>,
    field: &Field<'_>,
    names: [&str; 2],
    mut selector: impl FnMut(&mut Reading<'_>, &Field<'_>, &str, Side) -> Named,
) -> Option<Value> {
    let mut sides = Sides::default();
    let (mut excluded, mut spared) = (0_usize, 0_usize);
    for (name, side) in names.into_iter().zip([Side::Include, Side::Exclude]) {
        for (item, text) in reading.texts(field, name) {
            let found = selector(reading, &item, text, side);
            if side == Side::Exclude {
                excluded += 1;
                spared += usize::from(matches!(found, Named::Known(_)));
            }
            if let Named::Known(text) | Named::Nothing(text) = found {
                sides.of(side).push(text);
            }
        }
    }
    if excluded > 0 && spared == 0 {
        let what = "nothing that it excludes is known here, so it spares nobody";
        reading.reason(Loss::Wider, format!("{}: {what}", field.path));
    }
    if sides.include.is_empty() {
        // Entra asks for an include; without one the reading that refuses more is taken.
        reading
            .reason(Loss::Wider, format!("{}: names nothing that it includes; any was written", field.path));
        if sides.exclude.is_empty() {
            return None;
        }
        sides.include.push("all".to_owned());
    }
    Some(Value::Table(sides_table(&sides)))
}

fn platforms(reading: &mut Reading<'_>, conditions: &Field<'_>) -> Option<Value> {
    let field = reading.configured(conditions, "platforms", Loss::Wider)?;
    both_sides(reading, &field, ["includePlatforms", "excludePlatforms"], |reading, field, text, side| {
        if text.eq_ignore_ascii_case("all") {
            reading.taken(field, "");
            return Named::Known("all".to_owned());
        }
        let loss = if side == Side::Include { Loss::Unknown } else { Loss::Stricter };
        let found = word_of(reading, field, text, PLATFORMS, loss);
        found.map_or(Named::Lost, |word| Named::Known(word.to_owned()))
    })
}

fn locations(reading: &mut Reading<'_>, conditions: &Field<'_>) -> Option<Value> {
    let field = reading.configured(conditions, "locations", Loss::Wider)?;
    both_sides(reading, &field, ["includeLocations", "excludeLocations"], location)
}

fn location(reading: &mut Reading<'_>, field: &Field<'_>, text: &str, side: Side) -> Named {
    match text.to_ascii_lowercase().as_str() {
        "all" => {
            reading.taken(field, "");
            return Named::Known("all".to_owned());
        }
        "alltrusted" => return trusted(reading, field, side),
        _ => {}
    }
    let known = reading.world.locations.get(&key(text)).cloned();
    if let Some(Located { name, is_whole, is_somewhere }) = known {
        if is_whole {
            reading.taken(field, "");
        } else {
            incomplete(
                reading,
                field,
                side,
                &format!("the named location `{name}` could not be taken whole"),
            );
        }
        return if is_somewhere { Named::Known(name) } else { Named::Nothing(name) };
    }
    if !names::is_presentable(text) {
        reading.refused(field, side.loss(), "is no location id and cannot be written");
        return Named::Lost;
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
    Named::Nothing(name)
}

/// Every trusted location: as many as the export has, without the trusted addresses of the MFA service,
/// which Graph does not have.
fn trusted(reading: &mut Reading<'_>, field: &Field<'_>, side: Side) -> Named {
    let name = "all-trusted".to_owned();
    if reading.world.has_trusted {
        let note = "is every location of the export that is trusted; addresses that the MFA service trusts are not \
                    exported: add them to one";
        reading.remarked(field, note);
        return Named::Known(name);
    }
    let note = "no trusted location is in the export: export named locations too, or write one into \
                `locations.toml`";
    incomplete(reading, field, side, note);
    Named::Nothing(name)
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
    known: GraphWords,
    ours: &'static str,
) -> Option<Value> {
    let mut found = Vec::new();
    let texts = reading.texts(conditions, name);
    if let Some(field) = conditions.get(name)
        && texts.is_empty()
        && field.json.says_nothing()
    {
        // Graph requires the list and writes an empty one where no risk is configured.
        match field.json {
            Json::List(items) if items.is_empty() && name != "insiderRiskLevels" => {
                reading.taken(&field, "is not configured");
            }
            _ => reading.empty(&field, Loss::Wider),
        }
    }
    for (field, text) in texts {
        for part in text.split(',').map(str::trim) {
            found.extend(word(reading, &field, part, known));
        }
    }
    if !found.is_empty() {
        reading.needs.claims.insert(ours);
        reading.remarks.push(format!(
            "conditions.{name}: name its claim, `{ours}`, in `[issuer.claims]`; until then the risk \
             counts as `none`"
        ));
    }
    words(found)
}

fn flows(reading: &mut Reading<'_>, conditions: &Field<'_>) -> Option<Value> {
    let flows = reading.configured(conditions, "authenticationFlows", Loss::Wider)?;
    let mut found = Vec::new();
    let texts = reading.texts(&flows, "transferMethods");
    if texts.iter().all(|(_, text)| text.split(',').all(|part| part.trim().eq_ignore_ascii_case("none"))) {
        reading.reason(Loss::Wider, format!("{}: names no flow; any sign-in was written", flows.path));
    }
    for (field, text) in texts {
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
            "conditions.authenticationFlows: name its claim, `flow`, in `[issuer.claims]`; until then \
             no sign-in counts as one of these"
                .to_owned(),
        );
    }
    words(found)
}

/// The device filter, or the conditions that it replaced.
fn devices(reading: &mut Reading<'_>, conditions: &Field<'_>) -> Option<Value> {
    let mut found = Vec::new();
    if let Some(devices) = reading.configured(conditions, "devices", Loss::Wider) {
        let before = reading.reasons.len();
        let mut named = false;
        if let Some(filter) = reading.configured(&devices, "deviceFilter", Loss::Wider) {
            named = true;
            found.extend(device_filter(reading, &filter));
        }
        for lists in [["includeDevices", "excludeDevices"], ["includeDeviceStates", "excludeDeviceStates"]] {
            named |= names_any(&devices, lists);
            found.extend(device_states(reading, &devices, lists));
        }
        if !named && reading.reasons.len() == before {
            reading.reason(Loss::Wider, format!("{}: names no device; any was written", devices.path));
        }
    }
    if let Some(states) = reading.configured(conditions, "deviceStates", Loss::Wider) {
        let lists = ["includeStates", "excludeStates"];
        if !names_any(&states, lists) {
            reading.reason(Loss::Wider, format!("{}: names no device; any was written", states.path));
        }
        found.extend(device_states(reading, &states, lists));
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

/// Whether one of two lists has an item.
fn names_any(field: &Field<'_>, lists: [&str; 2]) -> bool {
    lists.into_iter().filter_map(|name| field.get(name)).any(|list| !list.json.says_nothing())
}

/// The retired condition: all devices, except those that are compliant or hybrid joined.
fn device_states(reading: &mut Reading<'_>, field: &Field<'_>, names: [&str; 2]) -> Option<(String, String)> {
    let [include, exclude] = names;
    let mut all = true;
    let (included, excluded) = (reading.texts(field, include), reading.texts(field, exclude));
    if included.is_empty() && !excluded.is_empty() {
        let what = "names no device that it includes; any was written";
        reading.reason(Loss::Wider, format!("{}: {what}", field.path));
    }
    for (item, text) in included {
        if text.eq_ignore_ascii_case("all") {
            reading.adapted(&item, "is every device, registered or not");
        } else {
            all = false;
            reading.refused(&item, Loss::Unknown, "is a device state that is not known here");
        }
    }
    let mut rules = Vec::new();
    let excludes = !excluded.is_empty();
    for (item, text) in excluded {
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
    if excludes && rules.is_empty() {
        let what = "nothing that it excludes is known here, so it spares nobody";
        reading.reason(Loss::Wider, format!("{}: {what}", field.path));
    }
    (all && !rules.is_empty()).then(|| ("exclude".to_owned(), rules.join(" -or ")))
}
