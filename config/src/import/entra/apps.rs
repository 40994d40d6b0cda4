//! Filters for apps. Entra asks for custom security attributes of a service principal; here an app has
//! `attributes`, and they come from the service principals that are exported beside the policies.

use portcullis_policy::rule::Rule;
use toml::{Table, Value};

use super::account::Field;
use super::json::Json;
use super::reading::{Loss, Reading, key};

/// What Entra writes before an attribute's name.
const THEIRS: &str = "customsecurityattribute.";
/// The most attributes of one app; Entra allows fifty.
const ATTRIBUTES_MAX: usize = 50;
/// The longest text of an attribute, in bytes; Entra's limit is 64 characters.
const TEXT_BYTES_MAX: usize = 256;

/// The custom security attributes of an exported app, by the name that rules have for them: `SET_NAME`.
pub(super) fn attributes(app: &Json) -> Table {
    let mut table = Table::new();
    for (set, attributes) in app.get("customSecurityAttributes").map_or(&[][..], Json::entries) {
        for (name, json) in attributes.entries() {
            let name = format!("{set}_{name}");
            if let Some(value) = value(json)
                && name.len() <= 2 * TEXT_BYTES_MAX
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && table.len() < ATTRIBUTES_MAX
                && !table.keys().any(|known| known.eq_ignore_ascii_case(&name))
            {
                table.insert(name, value);
            }
        }
    }
    table
}

/// Whether an exported app is one that Private Access publishes, by the tags that its wizards set.
pub(super) fn is_tunnelled(app: &Json) -> bool {
    let Some(Json::List(tags)) = app.get("tags") else { return false };
    tags.iter().filter_map(Json::text).any(|tag| {
        ["PrivateAccessNonWebApplication", "NetworkAccessQuickAccessApplication"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(tag))
    })
}

/// A value as an app's attribute; `None` when it cannot be one.
fn value(json: &Json) -> Option<Value> {
    match json {
        Json::Bool(flag) => Some(Value::Boolean(*flag)),
        Json::List(items) => {
            let items: Option<Vec<Value>> = items.iter().take(ATTRIBUTES_MAX + 1).map(text).collect();
            items.filter(|items| (1..=ATTRIBUTES_MAX).contains(&items.len())).map(Value::Array)
        }
        Json::Number(number) => number
            .as_i64()
            .and_then(|number| i32::try_from(number).ok())
            .map(|number| Value::Integer(number.into())),
        Json::Text(_) => text(json),
        Json::Null | Json::Object(_) => None,
    }
}

/// A text, or a number of a list as one: a rule compares the elements of a list as texts.
fn text(json: &Json) -> Option<Value> {
    match json {
        Json::Text(text) if text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control) => {
            Some(Value::String(text.clone()))
        }
        Json::Number(number) => Some(Value::String(number.to_string())),
        _ => None,
    }
}

/// The filter of a policy over `app.*`. The apps of the export that have one of its attributes are written
/// down with them; without any, an include would match no app.
pub(super) fn filter(reading: &mut Reading<'_>, field: &Field<'_>) -> Option<Table> {
    let mode = reading.text(field, "mode");
    let rule = reading.text(field, "rule");
    let (Some((mode_field, mode)), Some((rule_field, rule))) = (mode, rule) else {
        reading.refused(field, Loss::Unknown, "is a filter without mode or rule");
        return None;
    };
    let (ours, names) = over_apps(rule);
    let mode = key(mode);
    let problem = match (mode.as_str(), Rule::parse(&ours)) {
        ("include" | "exclude", Ok(rule)) if rule.is_about_apps() => None,
        ("include" | "exclude", Ok(_)) => {
            Some("is a rule over more than custom security attributes".to_owned())
        }
        (_, Ok(_)) => Some("has a mode that is not known here".to_owned()),
        (_, Err(error)) => Some(format!("is a rule that cannot be read here: {}", error.what)),
    };
    if let Some(problem) = problem {
        reading.refused(field, Loss::Unknown, &problem);
        return None;
    }
    reading.adapted(&mode_field, "");
    let world = reading.world;
    let known =
        world.apps.iter().filter(|(_, app)| app.attributes.keys().any(|name| names.contains(&key(name))));
    let before = reading.needs.apps.len();
    reading.needs.apps.extend(known.map(|(id, app)| (id.clone(), app.clone())));
    let found = reading.needs.apps.len() > before
        || reading
            .needs
            .apps
            .values()
            .any(|app| app.attributes.keys().any(|name| names.contains(&key(name))));
    if found {
        let note = "is a rule over `app.*` here; the apps of the export have their `attributes` in \
                    `portcullis.toml`, and another app is matched once it has them too";
        reading.remarked(&rule_field, note);
    } else {
        let note = "is a rule over `app.*` here: no app of the export has such an attribute (export service \
                    principals with `customSecurityAttributes`, or write `attributes` in `portcullis.toml`)";
        if mode == "include" {
            reading.refused(&rule_field, Loss::Weaker, note);
        } else {
            reading.remarked(&rule_field, note);
        }
    }
    let mut filter = Table::new();
    filter.insert("mode".to_owned(), Value::String(mode));
    filter.insert("rule".to_owned(), Value::String(ours));
    Some(filter)
}

/// The rule with `app.` for `CustomSecurityAttribute.`, but not inside quotes; and the attributes that it
/// names, in lower case.
fn over_apps(rule: &str) -> (String, Vec<String>) {
    let (mut ours, mut names) = (String::new(), Vec::new());
    let mut quote = None;
    let mut rest = rule;
    while let Some(next) = rest.chars().next() {
        let head = rest.get(..THEIRS.len());
        if quote.is_none() && head.is_some_and(|head| head.eq_ignore_ascii_case(THEIRS)) {
            rest = rest.get(THEIRS.len()..).unwrap_or_default();
            let end =
                rest.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(rest.len());
            names.push(key(rest.get(..end).unwrap_or_default()));
            ours.push_str("app.");
            continue;
        }
        let mut width = next.len_utf8();
        match (quote, next) {
            (None, '"' | '\'') => quote = Some(next),
            (Some(open), _) if next == open => quote = None,
            // What is escaped ends no text.
            (Some(_), '\\') => width += rest.chars().nth(1).map_or(0, char::len_utf8),
            _ => {}
        }
        ours.push_str(rest.get(..width).unwrap_or_default());
        rest = rest.get(width..).unwrap_or_default();
    }
    (ours, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_over_attributes_speaks_of_apps_but_leaves_texts_alone() {
        let theirs = r#"CustomSecurityAttribute.Eng_Project -eq "CustomSecurityAttribute.x" -and customSecurityAttribute.A_B -in ["y", 'é\'CustomSecurityAttribute.z']"#;
        let ours = r#"app.Eng_Project -eq "CustomSecurityAttribute.x" -and app.A_B -in ["y", 'é\'CustomSecurityAttribute.z']"#;
        assert_eq!(over_apps(theirs), (ours.to_owned(), vec!["eng_project".to_owned(), "a_b".to_owned()]));
        assert!(Rule::parse(ours).is_ok());
        for text in ["", "\"", "\"\\", "CustomSecurityAttribute.", "é'é"] {
            over_apps(text);
        }
    }

    #[test]
    fn attributes_are_taken_as_far_as_an_app_can_have_them() {
        let json = r##"{"customSecurityAttributes": {"Eng": {"@odata.type": "#microsoft.graph.customSecurityAttributeValue",
            "Project@odata.type": "#Collection(String)", "Project": ["Baker", "Cascade"], "Cost": 7, "Codes": [1, 2],
            "Certified": true, "Level": "high", "Big": 5000000000, "None": null, "Empty": [], "project": "twice"}}}"##;
        let table = attributes(&Json::parse(json.as_bytes()).unwrap().0);
        let wanted: Table = toml::from_str(
            "Eng_Project = [\"Baker\", \"Cascade\"]\nEng_Cost = 7\nEng_Codes = [\"1\", \"2\"]\nEng_Certified = true\nEng_Level = \"high\"",
        )
        .unwrap();
        assert_eq!(table, wanted);
    }
}
