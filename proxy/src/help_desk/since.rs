//! What changed since a decision: policies, keys, and the device.

use std::time::UNIX_EPOCH;

use portcullis_config::settings::KeySource;

use super::desk::Desk;
use super::found::{Applied, Found, hex};
use crate::clock::timestamp;
use crate::denial::policy_digest;

/// What changed, each as a sentence; whether the policies are the same comes first.
pub(super) fn of(found: &Found, desk: &Desk<'_>, history: &[Found]) -> Vec<String> {
    let mut said = Vec::new();
    let is_same = found.policies_digest == hex(desk.denials.policies_digest());
    match desk.broken {
        // What there is of the policies says it.
        Some(_) => {}
        None if is_same => said.push("The policies are the same as then.".to_owned()),
        None => {
            said.push("The policies changed since this decision.".to_owned());
            policies(found, desk, &mut said);
        }
    }
    keys(found, desk, &mut said);
    device(found, history, &mut said);
    said
}

/// Whether a policy's text differs from what it was; `None` where that is not known.
pub(super) fn has_changed(applied: &Applied, desk: &Desk<'_>) -> Option<bool> {
    let policy = desk.policies.set().policies.iter().find(|policy| policy.id.as_str() == applied.id)?;
    let then = applied.digest.as_ref()?;
    Some(*then != format!("{:08x}", u32::from_be_bytes(policy_digest(policy))))
}

fn policies(found: &Found, desk: &Desk<'_>, said: &mut Vec<String>) {
    let set = desk.policies.set();
    let before = said.len();
    for applied in &found.applied {
        let id = &applied.id;
        if set.policies.iter().all(|policy| policy.id.as_str() != id) {
            said.push(format!("`{id}` is no longer configured."));
        } else if has_changed(applied, desk) == Some(true) {
            said.push(format!("The text of `{id}` changed."));
        }
    }
    if said.len() == before {
        said.push(
            "None of the policies that are named in this decision changed: another policy, an app, a location, a strength \
             or what counts as evidence did."
                .to_owned(),
        );
    }
}

fn keys(found: &Found, desk: &Desk<'_>, said: &mut Vec<String>) {
    let app = desk.config.apps.iter().find(|app| Some(app.id.as_str()) == found.app());
    let issuers = desk.config.issuers.iter().enumerate();
    let of_app = issuers.filter(|(at, _)| app.is_none_or(|app| app.issuers.contains(at)));
    for (_, issuer) in of_app {
        let KeySource::File(path) = &issuer.keys else { continue };
        let written = std::fs::metadata(path).and_then(|seen| seen.modified()).ok();
        let written = written.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let written = written.and_then(|since| i64::try_from(since.as_millis()).ok());
        if let Some(at) = written.filter(|at| *at > found.now_unix_ms) {
            said.push(format!(
                "The keys of issuer `{}` were written anew, at {}.",
                issuer.name,
                timestamp(at)
            ));
        }
    }
    if let Some(keys) = desk.keys {
        said.extend(keys.lines().filter(|line| !line.is_empty()).map(|line| format!("Keys now: {line}.")));
    }
}

/// Later requests of the same person with the same device show what it says of itself since.
fn device(found: &Found, history: &[Found], said: &mut Vec<String>) {
    let Some(then) = found.record.as_ref().and_then(|record| record.device.as_ref()) else {
        let later = history.iter().find(|one| {
            one.now_unix_ms > found.now_unix_ms
                && one.record.as_ref().is_some_and(|record| record.device.is_some())
        });
        if let (Some(_), Some(later)) = (&found.record, later) {
            said.push(format!("A later request of the same person, at {}, came with a device.", later.at()));
        }
        return;
    };
    let later = history.iter().filter(|one| one.now_unix_ms > found.now_unix_ms).find_map(|one| {
        let device = one.record.as_ref()?.device.as_ref()?;
        (device.device_id == then.device_id && device != then).then_some((one, device))
    });
    let Some((one, now)) = later else { return };
    let compliance = |compliant: Option<bool>| match compliant {
        Some(true) => "compliant",
        Some(false) => "not compliant",
        None => "of unknown compliance",
    };
    let mut changes = Vec::new();
    if then.compliant != now.compliant {
        changes.push(format!("{}, before {}", compliance(now.compliant), compliance(then.compliant)));
    }
    if then.operating_system_version != now.operating_system_version {
        let version = |text: &Option<String>| text.clone().unwrap_or_else(|| "none stated".to_owned());
        changes.push(format!(
            "version {}, before {}",
            version(&now.operating_system_version),
            version(&then.operating_system_version)
        ));
    }
    if then.trust_type != now.trust_type {
        changes.push("joined otherwise".to_owned());
    }
    if changes.is_empty() {
        changes.push("other attributes than before".to_owned());
    }
    said.push(format!("The device changed: at {} it was {}.", one.at(), changes.join("; ")));
}

#[cfg(test)]
mod tests {
    use super::device;
    use crate::help_desk::found::{Found, Line};

    fn found(minute: u32, device: &str) -> Found {
        let line = format!(
            "{{\"createdDateTime\":\"2026-11-24T02:{minute:02}:06.123Z\",\"requestId\":\"01937e2a-1b2c-7d3e-8f40-516273849999\",\
             \"policyGeneration\":1,\"facts\":{{\"device\":{device}}}}}"
        );
        Found::of_line(serde_json::from_str::<Line>(&line).unwrap())
    }

    fn said(then: &str, later: &[(u32, &str)]) -> Vec<String> {
        let history: Vec<Found> = later.iter().map(|(minute, device)| found(*minute, device)).collect();
        let mut said = Vec::new();
        device(&found(10, then), &history, &mut said);
        said
    }

    #[test]
    fn a_device_that_says_something_else_since_is_told_of() {
        let compliant = r#"{"deviceId":"d","compliant":true,"operatingSystemVersion":"10.0"}"#;
        let broken = r#"{"deviceId":"d","compliant":false,"operatingSystemVersion":"10.0"}"#;
        let changed = said(compliant, &[(20, broken), (5, broken)]);
        assert_eq!(
            changed,
            ["The device changed: at 2026-11-24T02:20:06.123Z it was not compliant, before compliant."]
        );
        assert!(said(compliant, &[(5, broken)]).is_empty(), "what was before is no change since");
        assert!(said(compliant, &[(20, compliant)]).is_empty());
        assert!(
            said(compliant, &[(20, r#"{"deviceId":"other"}"#)]).is_empty(),
            "another device is none of it"
        );
        assert!(said("null", &[(20, compliant)])[0].contains("came with a device"));
    }
}
