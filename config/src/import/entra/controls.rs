//! What a policy asks, and what holds for the session after it.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::account::Field;
use super::json::{Fnv, Json};
use super::names;
use super::reading::{Loss, Reading, Strength, key, strings};
use crate::vocabulary::CONTROLS;

/// What a policy asks.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Grant {
    Block,
    Require { operator: &'static str, controls: Vec<String> },
    Nothing,
}

const BUILT_IN_STRENGTHS: [(&str, &str); 3] = [
    ("00000000-0000-0000-0000-000000000002", "multifactor-authentication"),
    ("00000000-0000-0000-0000-000000000003", "passwordless-mfa"),
    ("00000000-0000-0000-0000-000000000004", "phishing-resistant-mfa"),
];

/// The grant controls of a policy. `on_user_risk` is whether the policy is about all apps and has a
/// user risk as its only condition: Graph's rule for `passwordChange`, which is this format's too.
pub(super) fn grant(reading: &mut Reading<'_>, policy: &Field<'_>, on_user_risk: bool) -> Grant {
    let Some(field) = reading.object(policy, "grantControls") else { return Grant::Nothing };
    let operator = operator(reading, &field);
    // Controls that nobody can meet before somebody fills in what the export does not say.
    let mut unmet: Vec<String> = Vec::new();
    // Of alternatives, one that is missing makes the policy stricter; of demands, weaker.
    let loss = if operator == "or" { Loss::Stricter } else { Loss::Weaker };
    let mut block = false;
    let mut controls = Vec::new();
    let mut password_change = None;
    for (item, text) in reading.texts(&field, "builtInControls") {
        let known = CONTROLS.iter().find(|(theirs, ..)| theirs.eq_ignore_ascii_case(text));
        match known {
            Some((_, "password-change", _)) => password_change = Some(item),
            // Microsoft: "Migrate approved client app to application protection policy".
            Some((_, "approved-client-app", _)) => reading.remarked(
                &item,
                "left out: Entra stopped enforcing it in 2026 and takes it as not selected; ask for an app \
                 protection policy instead, or add `approved-client-app` by hand",
            ),
            Some((_, ours, _)) => {
                reading.taken(&item, "");
                controls.push((*ours).to_owned());
            }
            None if text.eq_ignore_ascii_case("block") => {
                reading.taken(&item, "");
                block = true;
            }
            None if text.eq_ignore_ascii_case("riskRemediation") => {
                reading.refused(
                    &item,
                    loss,
                    "Entra's own remediation of a risk cannot be asked for here; ask for a strength",
                );
            }
            // It could be one that blocks.
            None => reading.refused(&item, Loss::Unknown, "is a control that is not known here"),
        }
    }
    for (name, kind) in [("termsOfUse", "terms-of-use"), ("customAuthenticationFactors", "custom")] {
        for (item, text) in reading.texts(&field, name) {
            if !names::is_presentable(text) {
                reading.refused(&item, loss, "is no id and cannot be written");
                continue;
            }
            if text.starts_with('<') {
                reading.placeholder(text);
                unmet.push(format!("{kind}:{text}"));
            }
            let claim = if kind == "custom" { "custom-controls" } else { "terms" };
            reading.needs.claims.insert(claim);
            reading.remarked(
                &item,
                &format!("is met by a claim of the token: name it, `{claim}` in `[issuer.claims]`"),
            );
            controls.push(format!("{kind}:{text}"));
        }
    }
    if let Some(strength) = reading.configured(&field, "authenticationStrength", loss) {
        let found = self::strength(reading, &strength, loss);
        unmet.extend(found.iter().filter(|(_, can_be_met)| !can_be_met).map(|(control, _)| control.clone()));
        controls.extend(found.map(|(control, _)| control));
    }
    if let Some(item) = password_change {
        if on_user_risk && operator == "and" && controls == ["mfa"] {
            reading.taken(&item, "");
            reading.needs.claims.extend(["password-changed", "risk-seen"]);
            controls.push("password-change".to_owned());
        } else {
            let note = "goes with `mfa` and AND, all apps, user risk and no other condition: left out";
            reading.refused(&item, loss, note);
        }
    }
    let is_unmet = |control: &String| unmet.contains(control);
    if !block
        && if operator == "or" {
            !controls.is_empty() && controls.iter().all(is_unmet)
        } else {
            !unmet.is_empty()
        }
    {
        let what = format!("nobody could meet {}: it would refuse everybody", unmet.join(", "));
        reading.reason(Loss::Unknown, what);
    }
    match (block, controls.is_empty()) {
        (true, empty) => {
            if !empty {
                reading.remarks.push("grantControls: where it blocks, nothing else is asked".to_owned());
            }
            Grant::Block
        }
        (false, true) => Grant::Nothing,
        (false, false) => Grant::Require { operator, controls },
    }
}

fn operator(reading: &mut Reading<'_>, grant: &Field<'_>) -> &'static str {
    let Some((field, text)) = reading.text(grant, "operator") else {
        if grant.get("builtInControls").is_some_and(|controls| controls.items().len() > 1) {
            reading.remarks.push(format!("{}: the policy has no operator; `and` was written", grant.path));
        }
        return "and";
    };
    match text.to_ascii_uppercase().as_str() {
        "AND" => {
            reading.taken(&field, "");
            "and"
        }
        "OR" => {
            reading.taken(&field, "");
            "or"
        }
        _ => {
            reading.refused(
                &field,
                Loss::Unknown,
                "is an operator that is not known here; `and` was written",
            );
            "and"
        }
    }
}

/// A control that asks for an authentication strength, and whether anybody can meet it as it is written.
fn strength(reading: &mut Reading<'_>, field: &Field<'_>, loss: Loss) -> Option<(String, bool)> {
    let Some((id_field, id)) = reading.text(field, "id") else {
        reading.refused(field, loss, "is a strength without an id");
        return None;
    };
    if let Some((_, name)) = BUILT_IN_STRENGTHS.iter().find(|(theirs, _)| *theirs == id) {
        reading.taken(field, "is built in");
        return Some((format!("strength:{name}"), true));
    }
    if !names::is_presentable(id) {
        reading.refused(field, loss, "is a strength whose id cannot be written");
        return None;
    }
    if id.starts_with('<') {
        reading.placeholder(id);
    }
    let world = reading.world;
    let exported = world.strengths.get(&key(id)).and_then(Option::as_ref);
    let embedded = reading.texts(field, "allowedCombinations");
    let mut strength = Strength { comment: Vec::new(), combinations: Vec::new() };
    let mut identity = Fnv::new();
    identity.feed(key(id).as_bytes());
    let display = reading.text(field, "displayName").map(|(_, text)| text.to_owned());
    let display = display.or_else(|| Some(exported?.get("displayName")?.text()?.to_owned()));
    if let Some(restrictions) =
        restrictions(field).or_else(|| exported.and_then(|json| restrictions(&Field::root(json))))
    {
        let note = format!("restricts keys or certificates ({restrictions}), which tokens do not show");
        match field.get("combinationConfigurations").filter(|field| !field.json.says_nothing()) {
            Some(field) => reading.refused(&field, Loss::Weaker, &note),
            None => reading.reason(Loss::Weaker, format!("{}: {note}", field.path)),
        }
    }
    let combinations: Vec<String> = if embedded.is_empty() {
        exported.map(allowed).unwrap_or_default()
    } else {
        embedded.iter().map(|(_, text)| (*text).to_owned()).collect()
    };
    let mapped = methods(&combinations);
    for ((item, _), methods) in embedded.iter().zip(&mapped) {
        if methods.is_empty() {
            reading
                .remarked(item, "no `amr` value stands for this method: left out, so it does not count here");
        } else {
            reading.adapted(item, "is read from `amr` values here");
        }
    }
    for (theirs, ours) in combinations.iter().zip(&mapped) {
        identity.feed(theirs.as_bytes());
        strength.comment.push(if ours.is_empty() { format!("left out: {theirs}") } else { theirs.clone() });
    }
    strength.combinations = mapped.into_iter().flatten().collect();
    if strength.combinations.is_empty() {
        let note = "is a strength whose combinations are not in the export: fill it in, in `locations.toml`; \
                    until then nobody meets it";
        reading.refused(&id_field, Loss::Stricter, note);
    }
    reading.adapted(field, "is a strength of its own in `locations.toml`");
    strength.comment.insert(0, format!("{}; in Entra {id}", display.as_deref().unwrap_or("unnamed")));
    let name = names::slug(display.as_deref().unwrap_or("strength"), "strength");
    let name = names::with_mark(&name, identity.0);
    let can_be_met = !strength.combinations.is_empty();
    reading.needs.strengths.insert(name.clone(), strength);
    Some((format!("strength:{name}"), can_be_met))
}

/// The allowed combinations of an exported strength.
fn allowed(json: &Json) -> Vec<String> {
    match json.get("allowedCombinations") {
        Some(Json::List(items)) => {
            items.iter().filter_map(|item| item.text().map(ToOwned::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

/// What restricts the combinations further, in a few words.
fn restrictions(field: &Field<'_>) -> Option<String> {
    let field = field.get("combinationConfigurations").filter(|field| !field.json.says_nothing())?;
    Some(format!("{} of them", field.items().len().max(1)))
}

/// For each of Entra's combinations the combinations of `amr` methods that prove it; none when
/// tokens do not show it. RFC 8176 has one word for one-time codes, so these count only where the
/// strength allows them from both hardware and software.
fn methods(combinations: &[String]) -> Vec<Vec<Vec<&'static str>>> {
    let normal = |text: &str| {
        let mut parts: Vec<String> = text.split(',').map(|part| part.trim().to_ascii_lowercase()).collect();
        parts.sort();
        parts.dedup();
        parts
    };
    let each: Vec<Vec<String>> = combinations.iter().map(|text| normal(text)).collect();
    let all: BTreeSet<&Vec<String>> = each.iter().collect();
    let has_counterpart = |parts: &[String]| {
        let swap = |part: &String| match part.as_str() {
            "hardwareoath" => "softwareoath".to_owned(),
            "softwareoath" => "hardwareoath".to_owned(),
            _ => part.clone(),
        };
        let mut swapped: Vec<String> = parts.iter().map(swap).collect();
        swapped.sort();
        all.contains(&swapped)
    };
    let one = |parts: &Vec<String>| -> Vec<Vec<&'static str>> {
        if !has_counterpart(parts) {
            return Vec::new();
        }
        let mut found: Vec<Vec<&'static str>> = vec![Vec::new()];
        for part in parts {
            let methods: &[&[&'static str]] = match part.as_str() {
                "password" => &[&["pwd"]],
                "voice" => &[&["tel"]],
                "sms" => &[&["sms"]],
                "hardwareoath" | "softwareoath" => &[&["otp"]],
                "microsoftauthenticatorpush" => &[&["swk"]],
                "fido2" => &[&["fido"]],
                "windowshelloforbusiness" => &[&["hwk", "pin"], &["hwk", "fpt"], &["hwk", "face"]],
                "x509certificatemultifactor" => &[&["sc", "pin"]],
                _ => &[],
            };
            found =
                found.iter().flat_map(|before| methods.iter().map(|one| [before, *one].concat())).collect();
        }
        found
    };
    each.iter().map(one).collect()
}

/// The session controls of a policy, as a table of the file.
pub(super) fn session(reading: &mut Reading<'_>, policy: &Field<'_>) -> Table {
    let mut table = Table::new();
    let Some(field) = reading.object(policy, "sessionControls") else { return table };
    if let Some(control) = active(reading, &field, "signInFrequency")
        && let Some(value) = sign_in_frequency(reading, &control)
    {
        table.insert("sign-in-frequency".to_owned(), Value::String(value));
    }
    if let Some(control) = active(reading, &field, "persistentBrowser") {
        match reading.text(&control, "mode") {
            Some((_, mode)) if matches!(key(mode).as_str(), "always" | "never") => {
                reading.taken(&control, "");
                table.insert("persistent-browser".to_owned(), Value::String(key(mode)));
            }
            _ => reading.refused(&control, Loss::Unknown, "is a mode that is not known here"),
        }
    }
    for (name, note) in [
        (
            "applicationEnforcedRestrictions",
            "Exchange and SharePoint limit themselves: keep it in Entra; here, block or ask for a compliant device",
        ),
        (
            "cloudAppSecurity",
            "Defender for Cloud Apps is a proxy of its own: keep it in Entra; here, `request` limits methods and paths",
        ),
        (
            "secureSignInSession",
            "token protection binds tokens inside Microsoft's clients: keep it in Entra; here, ask for a compliant device",
        ),
        (
            "continuousAccessEvaluation",
            "is between Entra and Microsoft's services; here every single request is judged anew",
        ),
        (
            "globalSecureAccessFilteringProfile",
            "filters web traffic in Global Secure Access: keep it in Entra; it does not pass through here",
        ),
        (
            "networkAccessSecurity",
            "filters web traffic in Global Secure Access: keep it in Entra; it does not pass through here",
        ),
    ] {
        if let Some(control) = active(reading, &field, name) {
            reading.refused(&control, Loss::Weaker, note);
        }
    }
    if let Some((control, on)) = reading.flag(&field, "disableResilienceDefaults") {
        if on {
            reading.refused(
                &control,
                Loss::Weaker,
                "is Entra's behaviour in an outage of its own; here no session outlives its token in any case",
            );
        } else {
            reading.taken(&control, "is what holds without it");
        }
    }
    table
}

/// A session control that is switched on. One that does not say so counts as on.
fn active<'j>(reading: &mut Reading<'_>, session: &Field<'j>, name: &str) -> Option<Field<'j>> {
    let control = reading.configured(session, name, Loss::Weaker)?;
    match reading.flag(&control, "isEnabled") {
        Some((_, false)) => {
            reading.taken(&control, "switched off: no effect");
            None
        }
        Some((flag, true)) => {
            if control.json.entries().len() > 1 && matches!(name, "signInFrequency" | "persistentBrowser") {
                reading.taken(&flag, "");
            }
            Some(control)
        }
        None => Some(control),
    }
}

fn sign_in_frequency(reading: &mut Reading<'_>, control: &Field<'_>) -> Option<String> {
    if let Some((field, text)) = reading.text(control, "authenticationType") {
        match key(text).as_str() {
            "primaryandsecondaryauthentication" => reading.taken(&field, ""),
            "secondaryauthentication" => reading.remarked(
                &field,
                "only the second factor was asked again; here the whole sign-in must be fresh, which is stricter",
            ),
            _ => reading.refused(&field, Loss::Unknown, "is a value that is not known here"),
        }
    }
    let interval = reading.text(control, "frequencyInterval");
    if let Some((field, text)) = &interval {
        match key(text).as_str() {
            "everytime" => {
                reading.taken(control, "");
                return Some("every-time".to_owned());
            }
            "timebased" => reading.taken(field, ""),
            _ => {
                reading.refused(control, Loss::Unknown, "is an interval that is not known here");
                return None;
            }
        }
    }
    let unit = match reading.text(control, "type").map(|(_, text)| key(text)).as_deref() {
        Some("hours") => Some(("h", 3_650 * 24)),
        Some("days") => Some(("d", 3_650)),
        _ => None,
    };
    let value = control.get("value").and_then(|field| match field.json {
        Json::Number(number) => number.as_u64(),
        _ => None,
    });
    match (unit, value) {
        (Some((unit, max)), Some(value)) if (1..=max).contains(&value) => {
            reading.taken(control, "");
            Some(format!("{value}{unit}"))
        }
        _ => {
            reading.refused(control, Loss::Unknown, "is no number of hours or days");
            None
        }
    }
}

/// The grant as a value of the file.
pub(super) fn grant_value(grant: &Grant) -> Option<Value> {
    match grant {
        Grant::Block => Some(Value::String("block".to_owned())),
        Grant::Nothing => None,
        Grant::Require { operator, controls } => {
            let mut table = Table::new();
            table.insert("operator".to_owned(), Value::String((*operator).to_owned()));
            table.insert("controls".to_owned(), strings(controls));
            Some(Value::Table(table))
        }
    }
}
