//! What was asked for, and what was seen.

use jiff::tz::TimeZone;
use portcullis_config::Config;

use super::found::Found;
use super::parts::Value;
use super::zone;
use crate::clock::timestamp;
use crate::decision_record::DecisionRecord;
use crate::refusal::Refusal;

pub(super) fn asked(found: &Found, refusal: Option<&Refusal>, config: &Config) -> Vec<Value> {
    let mut values = Vec::new();
    let app = found.app().map(|id| match config.apps.iter().find(|app| app.id == id) {
        Some(app) => format!("{} ({id})", app.name),
        None => format!("{id} (no longer configured)"),
    });
    values
        .extend(app.or_else(|| no_app(refusal).map(str::to_owned)).map(|value| Value { name: "App", value }));
    if let Some(record) = &found.record {
        values.push(Value { name: "Request", value: format!("{} {}", record.method, record.path) });
        if let Some(context) = &record.context {
            values.push(Value { name: "Context", value: context.clone() });
        }
    }
    for name in ["Host", "Status", "Known by", "Session", "App's failure", "App's server", "Attempts"] {
        if let Some(value) = found.stated(name) {
            values.push(Value { name, value: value.to_owned() });
        }
    }
    values
}

/// Why there is no app, where that is to be known of the refusal.
fn no_app(refusal: Option<&Refusal>) -> Option<&'static str> {
    match refusal? {
        Refusal::NoApp | Refusal::NoToken | Refusal::BadToken(_) | Refusal::TooManyRequests(_) => {
            Some("none: no app has this host and path")
        }
        Refusal::BadRequest(_) | Refusal::Loop => {
            Some("not known: the request was refused before one was looked for")
        }
        Refusal::SignIn(_) => Some("not known: it was a sign-in"),
        _ => None,
    }
}

/// What the log has of a request that no policy was asked about.
pub(super) fn stated(found: &Found) -> Vec<Value> {
    let beside = |name: &str| {
        matches!(
            name,
            "IP address"
                | "Method"
                | "Path"
                | "At fault"
                | "Provider"
                | "Its error"
                | "It says"
                | "In detail"
        )
    };
    let values = found.stated.iter().filter(|(name, _)| beside(name));
    values.map(|(name, value)| Value { name, value: value.clone() }).collect()
}

pub(super) fn seen(record: &DecisionRecord, zone: Option<&TimeZone>) -> Vec<Value> {
    let is_missing = |name: &str| record.unavailable.iter().any(|missing| missing == name);
    let text = |name: &str, value: Option<String>| match value {
        Some(value) => value,
        None if is_missing(name) => "its source did not answer".to_owned(),
        None => "not known".to_owned(),
    };
    let mut values = Vec::new();
    let mut say = |name: &'static str, value: String| values.push(Value { name, value });
    say("IP address", text("address", record.address.map(|address| address.to_string())));
    say("Country", text("country", record.country.clone()));
    say("Platform", text("platform", record.platform.clone()));
    say("Client", text("clientApp", record.client_app.clone()));
    say(
        "Device",
        text(
            "device",
            device(record)
                .or_else(|| (!is_missing("device")).then(|| "no device identity was sent".to_owned())),
        ),
    );
    let signed_in = record.auth_time.map(|at| {
        let mins = record.now.saturating_sub(at).div_euclid(60);
        let minutes = if mins == 1 { "minute" } else { "minutes" };
        format!("{} ({mins} {minutes} before)", zone::both(at.saturating_mul(1_000), zone))
    });
    say("Signed in", text("authTime", signed_in));
    let evidence = [
        ("", record.methods.join(", ")),
        ("acr ", record.acr.clone().unwrap_or_default()),
        ("acrs ", record.contexts.join(", ")),
    ];
    let evidence = evidence.into_iter().filter(|(_, value)| !value.is_empty());
    let evidence: Vec<String> = evidence.map(|(name, value)| format!("{name}{value}")).collect();
    say("Methods", if evidence.is_empty() { "none stated".to_owned() } else { evidence.join("; ") });
    for (name, key, members) in [("Groups", "groups", &record.groups), ("Roles", "roles", &record.roles)] {
        say(
            name,
            match members {
                _ if is_missing(key) => "the token does not hold all of them".to_owned(),
                Some(ids) if !ids.is_empty() => ids.join(", "),
                Some(_) => "none that a policy names".to_owned(),
                None => "not stated, or none that a policy names".to_owned(),
            },
        );
    }
    let times = [("Password changed", record.password_changed), ("Risk seen", record.risk_seen)];
    for (name, at) in times {
        if let Some(at) = at {
            say(name, timestamp(at.saturating_mul(1_000)));
        }
    }
    let texts = [
        ("Client id", record.client_id.clone()),
        ("Home tenant", record.home_tenant.clone()),
        ("Terms accepted", (!record.terms.is_empty()).then(|| record.terms.join(", "))),
        (
            "External controls",
            (!record.custom_controls.is_empty()).then(|| record.custom_controls.join(", ")),
        ),
        ("Sign-in risk", record.sign_in_risk.clone()),
        ("User risk", record.user_risk.clone()),
        ("Insider risk", record.insider_risk.clone()),
        ("Program risk", record.service_principal_risk.clone()),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            say(name, value);
        }
    }
    if !record.unavailable.is_empty() {
        say("Did not answer", record.unavailable.join(", "));
    }
    if record.truncated {
        say("Cut", "some facts were too long to be recorded, so what follows may be wrong".to_owned());
    }
    values
}

fn device(record: &DecisionRecord) -> Option<String> {
    let device = record.device.as_ref()?;
    let mut words = vec![device.device_id.clone().unwrap_or_else(|| "without id".to_owned())];
    words.extend(device.display_name.as_ref().map(|name| format!("“{name}”")));
    words.push(match device.compliant {
        Some(true) => "compliant".to_owned(),
        Some(false) => "not compliant".to_owned(),
        None => "compliance not known".to_owned(),
    });
    words.extend(device.trust_type.as_ref().map(|kind| format!("joined as {kind}")));
    let os = [&device.operating_system, &device.operating_system_version];
    let os = os.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
    words.extend((!os.is_empty()).then_some(os));
    let model = [&device.manufacturer, &device.model];
    words.extend(model.into_iter().flatten().cloned());
    Some(words.join(", "))
}
