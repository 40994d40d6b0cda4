//! The account of one decision: what was asked and seen, which policies refused and why, and what
//! the policies of today would say to the same facts.

use std::fmt::Write as _;

use portcullis_config::Config;
use portcullis_config::printable::value;
use portcullis_config::settings::Subject;
use portcullis_policy::decision::{Generation, Refused};
use portcullis_policy::model::{
    Conditions, Control, FilterMode, Grant, LocationSelector, Operator, Policy, PolicySet, PolicyState,
    SignInFrequency, Subjects, Unmatched, UserSelector, WorkloadSelector,
};
use portcullis_policy::remedy::{self, Candidates, Installation};
use portcullis_policy::signals::{Fact, Signals};
use portcullis_policy::{CompiledPolicies, Outcome};

use super::super::terminal::Failure;
use super::found::{Found, hex};
use crate::clock::timestamp;
use crate::decision_record::DecisionRecord;
use crate::denial::Denials;
use crate::refusal::Refusal;

/// Writes the account.
pub(super) fn of(found: &Found, config: Config, denials: &Denials) -> Result<String, Failure> {
    let set = &config.policies;
    let mut out = String::new();
    line(
        &mut out,
        &format!(
            "Request {} at {}, load {} of the configuration",
            found.request_id, found.at, found.generation
        ),
    );
    if let Some(code) = found.code {
        line(&mut out, &format!("Shown to the user: error code {code}"));
    }
    let let_in = let_in(&mut out, found);
    let Some(record) = &found.record else {
        if !let_in {
            let reason = found.reason.as_deref().unwrap_or("unknown");
            line(
                &mut out,
                &format!("No policy was evaluated: the request was refused before, because of `{reason}`."),
            );
        }
        for (name, value) in &found.stated {
            fact(&mut out, name, value);
        }
        return Ok(out);
    };
    let (record, is_known) = with_subject(record, set, denials);
    asked(&mut out, &record, is_known, &config);
    seen(&mut out, &record);
    if let_in {
        granting(&mut out, found, set);
    } else {
        refusing(&mut out, &record, found, set);
    }

    line(&mut out, "\nSince then");
    let changed = found.policies_digest != hex(denials.policies_digest());
    line(
        &mut out,
        if changed {
            "  The policies changed since this decision."
        } else {
            "  The policies are the same as then."
        },
    );
    if record.truncated {
        line(&mut out, "  Some facts were too long to be recorded, so what follows may be wrong.");
    }
    if !is_known {
        line(
            &mut out,
            "  The log does not name the user, and no policy names a user with this hash: what a new policy \
             says of users by id is not taken into account.",
        );
    }
    if changed && record.groups.is_some() {
        line(
            &mut out,
            "  Only groups and roles that a policy named then were recorded; one that a policy names since then \
             counts as not held.",
        );
    }
    again(&mut out, &record, config.policies)?;
    Ok(out)
}

fn line(out: &mut String, text: &str) {
    // INVARIANT: writing to a `String` cannot fail. An empty line before a heading stands at its beginning.
    let (before, text) = text.strip_prefix('\n').map_or(("", text), |text| ("\n", text));
    let _ = writeln!(out, "{before}{}", value(text));
}

fn fact(out: &mut String, name: &str, value: &str) {
    line(out, &format!("  {name:<20} {value}"));
}

/// The record with the id of its user or program, where the id is known or a policy names an id with this hash.
fn with_subject(record: &DecisionRecord, set: &PolicySet, denials: &Denials) -> (DecisionRecord, bool) {
    let Some(subject) = &record.user else { return (record.clone(), false) };
    if !subject.starts_with("sha256:") {
        return (record.clone(), true);
    }
    let of_apps = set.apps.iter().flat_map(|app| app.assigned.iter().flatten());
    let of_policies = set.policies.iter().flat_map(|policy| match &*policy.subjects {
        Subjects::Users(users) => users.include.iter().chain(&users.exclude),
        Subjects::Workloads(_) => [].iter().chain(&[]),
    });
    let users = of_apps.chain(of_policies).filter_map(|selector| match selector {
        UserSelector::User(id) => Some(id),
        _ => None,
    });
    let workloads = set.policies.iter().flat_map(|policy| match &*policy.subjects {
        Subjects::Workloads(workloads) => workloads.include.iter().chain(&workloads.exclude),
        Subjects::Users(_) => [].iter().chain(&[]),
    });
    let workloads = workloads.filter_map(|selector| match selector {
        WorkloadSelector::ServicePrincipal(id) => Some(id),
        WorkloadSelector::All | WorkloadSelector::None => None,
    });
    let hashes_to = |id: &&String| denials.subject(Subject::Hashed, id).as_ref() == Some(subject);
    match users.chain(workloads).find(hashes_to) {
        Some(id) => (DecisionRecord { user: Some(id.clone()), ..record.clone() }, true),
        None => (record.clone(), false),
    }
}

fn asked(out: &mut String, record: &DecisionRecord, is_known: bool, config: &Config) {
    line(out, "\nAsked");
    let app = config.apps.iter().find(|app| app.id == record.app);
    let name = app.map(|app| format!("{} ({})", app.name, record.app));
    fact(out, "App", &name.unwrap_or_else(|| format!("{} (no longer configured)", record.app)));
    fact(out, "Request", &format!("{} {}", record.method, record.path));
    if let Some(context) = &record.context {
        fact(out, "Context", context);
    }
    let kind = if record.is_workload { "Program" } else { "Person" };
    let who = record.user.as_deref().unwrap_or("not recorded");
    fact(out, kind, &if is_known { who.to_owned() } else { format!("{who} (not named by any policy)") });
}

fn seen(out: &mut String, record: &DecisionRecord) {
    line(out, "\nSeen");
    let text = |name: &str, value: Option<String>| match value {
        Some(value) => value,
        None if record.unavailable.iter().any(|missing| missing == name) => {
            "its source did not answer".to_owned()
        }
        None => "not known".to_owned(),
    };
    fact(out, "IP address", &text("address", record.address.map(|address| address.to_string())));
    fact(out, "Country", &text("country", record.country.clone()));
    fact(out, "Platform", &text("platform", record.platform.clone()));
    fact(out, "Client", &text("clientApp", record.client_app.clone()));
    let device = record.device.as_ref().map(|device| {
        let mut words = vec![device.device_id.clone().unwrap_or_else(|| "without id".to_owned())];
        words.push(match device.compliant {
            Some(true) => "compliant".to_owned(),
            Some(false) => "not compliant".to_owned(),
            None => "compliance not known".to_owned(),
        });
        words.extend(device.trust_type.as_ref().map(|kind| format!("joined as {kind}")));
        let os = [&device.operating_system, &device.operating_system_version];
        let os = os.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
        words.extend((!os.is_empty()).then_some(os));
        words.join(", ")
    });
    let device = device.or_else(|| {
        (!record.unavailable.iter().any(|missing| missing == "device"))
            .then(|| "no device identity was sent".to_owned())
    });
    fact(out, "Device", &text("device", device));
    let signed_in = record.auth_time.map(|at| {
        let mins = record.now.saturating_sub(at).div_euclid(60);
        let minutes = if mins == 1 { "minute" } else { "minutes" };
        format!("{} ({mins} {minutes} before)", timestamp(at.saturating_mul(1_000)))
    });
    fact(out, "Signed in", &text("authTime", signed_in));
    let mut methods = record.methods.join(", ");
    for (name, value) in
        [("acr", record.acr.clone().unwrap_or_default()), ("acrs", record.contexts.join(", "))]
    {
        if !value.is_empty() {
            let gap = if methods.is_empty() { "" } else { "; " };
            let _ = write!(methods, "{gap}{name} {value}");
        }
    }
    fact(out, "Methods", if methods.is_empty() { "none stated" } else { &methods });
    for (name, members) in [("Groups", &record.groups), ("Roles", &record.roles)] {
        let missing = record.unavailable.contains(&name.to_lowercase());
        let shown = match members {
            _ if missing => "the token does not hold all of them".to_owned(),
            Some(ids) if !ids.is_empty() => ids.join(", "),
            Some(_) | None => "none that a policy names".to_owned(),
        };
        fact(out, name, &shown);
    }
    for (name, level) in [
        ("Sign-in risk", &record.sign_in_risk),
        ("User risk", &record.user_risk),
        ("Insider risk", &record.insider_risk),
        ("Program risk", &record.service_principal_risk),
    ] {
        if let Some(level) = level {
            fact(out, name, level);
        }
    }
}

/// Says whether the request was let in, and whether its client waited for the answer.
fn let_in(out: &mut String, found: &Found) -> bool {
    match found.outcome.as_deref() {
        Some("granted") => line(out, "The request was let in."),
        Some("aborted") => {
            line(out, "The request was let in; its client went away before the answer was whole.");
        }
        _ => return false,
    }
    true
}

/// The policies that applied to a request that was let in.
fn granting(out: &mut String, found: &Found, set: &PolicySet) {
    line(out, "\nPolicies that applied and were met");
    let named = |id: &str| {
        let policy = set.policies.iter().find(|policy| policy.id.as_str() == id);
        policy.map_or_else(
            || format!("{id} (no longer configured)"),
            |policy| format!("{id} ({})", policy.name),
        )
    };
    let mut any = false;
    for (id, _) in found.applied.iter().filter(|(_, result)| result == "success") {
        any = true;
        line(out, &format!("  {}", named(id)));
    }
    if !any {
        line(out, "  none: no policy applied to this request, and the app lets such requests in");
    }
    for (id, result) in found.applied.iter().filter(|(_, result)| result.starts_with("reportOnly")) {
        line(out, &format!("  {}: {result} (watched only, decided nothing)", named(id)));
    }
}

/// The policies that refused, with what each says today.
fn refusing(out: &mut String, record: &DecisionRecord, found: &Found, set: &PolicySet) {
    line(out, "\nPolicies that refused or asked for more");
    let enforced =
        found.applied.iter().filter(|(_, result)| matches!(result.as_str(), "failure" | "interrupted"));
    let mut any = false;
    for (id, result) in enforced {
        any = true;
        let Some(policy) = set.policies.iter().find(|policy| policy.id.as_str() == id) else {
            line(out, &format!("  {id}: {result}; no longer configured"));
            continue;
        };
        line(out, &format!("  {id} ({}): {result}", policy.name));
        describe(out, policy, record, set);
    }
    if !any {
        line(
            out,
            match found.code {
                Some(50105) => {
                    "  none: the app is assigned to certain people, and this one is not among them"
                }
                Some(_) | None => {
                    "  none: no policy applied to this request, and the app refuses such requests"
                }
            },
        );
    }
    let watched = found.applied.iter().filter(|(_, result)| result.starts_with("reportOnly"));
    for (id, result) in watched {
        line(out, &format!("  {id}: {result} (watched only, decided nothing)"));
    }
}

fn describe(out: &mut String, policy: &Policy, record: &DecisionRecord, set: &PolicySet) {
    for text in conditions(&policy.conditions, record) {
        line(out, &format!("    applies to   {text}"));
    }
    let asks = match &policy.grant {
        Grant::Block => "it blocks".to_owned(),
        Grant::SessionOnly => "nothing but a fresh sign-in".to_owned(),
        Grant::Require { operator, controls } => {
            let word = match operator {
                Operator::And => " and ",
                Operator::Or => " or ",
            };
            controls.iter().map(control).collect::<Vec<_>>().join(word)
        }
    };
    line(out, &format!("    asks for     {asks}"));
    if let Some(frequency) = policy.session.sign_in_frequency {
        let text = match frequency {
            SignInFrequency::Every(span) => format!("a sign-in within {} minutes", span.as_secs() / 60),
            SignInFrequency::EveryTime => "a sign-in each time".to_owned(),
        };
        line(out, &format!("    asks for     {text}"));
    }
    let alone = alone(policy, record, set);
    match alone {
        Some(refused) => {
            for reason in refused.reasons.iter() {
                let info = coded(Refused { primary: reason, ..refused }, record, set).info();
                line(
                    out,
                    &format!("    not met      {} ({}, {})", reason.as_str(), info.class.as_str(), info.code),
                );
            }
        }
        None => line(out, "    not met      nothing, as the policy is today"),
    }
}

/// A refusal as the request path would have answered it.
fn coded(refused: Refused, record: &DecisionRecord, set: &PolicySet) -> Refusal {
    Refusal::by_policies(refused, &record.principal(), &set.evidence, record.carrier())
}

/// What one policy by itself says to the record.
fn alone(policy: &Policy, record: &DecisionRecord, set: &PolicySet) -> Option<Refused> {
    let mut set = PolicySet { policies: vec![policy.clone()], ..set.clone() };
    for policy in &mut set.policies {
        policy.state = PolicyState::Enabled;
    }
    for app in &mut set.apps {
        app.assigned = None;
        app.unmatched = Unmatched::Allow;
    }
    let compiled = CompiledPolicies::compile(set, Generation(0)).ok()?;
    decide(record, &compiled, |compiled, scope, signals| match compiled.decide(scope, signals).outcome {
        Outcome::Grant(_) => None,
        Outcome::Challenge(refused) | Outcome::Deny(refused) | Outcome::Block(refused) => Some(refused),
    })
    .flatten()
}

fn decide<T>(
    record: &DecisionRecord,
    compiled: &CompiledPolicies,
    ask: impl FnOnce(&CompiledPolicies, &portcullis_policy::Scope, &Signals<'_>) -> T,
) -> Option<T> {
    let signals = record.signals(compiled.set())?;
    let context = signals.client_context();
    let scope = compiled.bind(&signals.principal);
    Some(ask(compiled, &scope, &signals.signals(&context)))
}

fn again(out: &mut String, record: &DecisionRecord, set: PolicySet) -> Result<(), Failure> {
    let compiled = CompiledPolicies::compile(set, Generation(0))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let answered = decide(record, &compiled, |compiled, scope, signals| {
        match compiled.decide(scope, signals).outcome {
            Outcome::Grant(_) => {
                line(out, "  The same request, with the facts of then, would be let in today.")
            }
            Outcome::Challenge(refused) | Outcome::Deny(refused) | Outcome::Block(refused) => {
                let reasons: Vec<_> = refused.reasons.iter().map(|reason| reason.as_str()).collect();
                let code = coded(refused, record, compiled.set()).info().code;
                let reasons = reasons.join(", ");
                line(out, &format!("  The same request would be refused today too: {code}, {reasons}."));
                let standing = &signals.principal.standing;
                let is_incomplete = [&standing.groups, &standing.roles].contains(&&Fact::Unavailable);
                if refused.temporary && is_incomplete {
                    line(
                        out,
                        "  It depends on groups or roles that the token does not list completely, or not as a list: waiting does not help. See \"Groups that a token leaves out\" in proxy/README.md.",
                    );
                } else if refused.temporary {
                    line(
                        out,
                        "  It depends on a fact whose source did not answer: with the fact it may be let in.",
                    );
                }
                let candidates = Candidates::new(compiled, None);
                let steps_max = remedy::STEPS_MAX;
                let installation = Installation { candidates: &candidates, tells_sign_in: true, steps_max };
                let remedies = remedy::find(compiled, scope, signals, &[], &installation).alternatives;
                line(out, "\nWhat would let this request in");
                for remedy in &remedies {
                    let words: Vec<_> =
                        remedy.changes.iter().map(|change| change.as_str().replace('_', " ")).collect();
                    line(out, &format!("  {}", words.join(" and ")));
                }
                if remedies.is_empty() {
                    line(out, "  nothing that the user can change: only another policy, group or assignment");
                }
            }
        }
    });
    if answered.is_none() {
        line(out, "  The app is no longer configured, so nothing can be asked again.");
    }
    Ok(())
}

/// Each configured condition, beside what was seen.
fn conditions(conditions: &Conditions, record: &DecisionRecord) -> Vec<String> {
    let Conditions {
        client_apps,
        platforms,
        locations,
        sign_in_risk,
        user_risk,
        insider_risk,
        service_principal_risk,
        device,
        flows,
        request,
        time,
        claims,
    } = conditions;
    let seen = |text: &Option<String>| text.clone().unwrap_or_else(|| "not known".to_owned());
    let mut list = Vec::new();
    if let Some(kinds) = client_apps {
        let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
        list.push(format!("clients {}; seen {}", kinds.join(", "), seen(&record.client_app)));
    }
    if let Some(platforms) = platforms {
        list.push(format!(
            "platforms {:?} except {:?}; seen {}",
            platforms.include,
            platforms.exclude,
            seen(&record.platform)
        ));
    }
    if let Some(locations) = locations {
        let names = |selectors: &[LocationSelector]| {
            let names = selectors.iter().map(|selector| match selector {
                LocationSelector::All => "all".to_owned(),
                LocationSelector::AllTrusted => "all-trusted".to_owned(),
                LocationSelector::Named(name) => name.clone(),
            });
            names.collect::<Vec<_>>().join(", ")
        };
        let mut text = format!("locations {}", names(&locations.include));
        if !locations.exclude.is_empty() {
            let _ = write!(text, " except {}", names(&locations.exclude));
        }
        let address = record.address.map(|address| address.to_string());
        let _ = write!(text, "; seen {}, country {}", seen(&address), seen(&record.country));
        list.push(text);
    }
    for (name, wanted, level) in [
        ("sign-in risk", sign_in_risk, &record.sign_in_risk),
        ("user risk", user_risk, &record.user_risk),
        ("insider risk", insider_risk, &record.insider_risk),
        ("program risk", service_principal_risk, &record.service_principal_risk),
    ] {
        if let Some(wanted) = wanted {
            let wanted: Vec<_> = wanted.iter().map(|level| level.as_str()).collect();
            list.push(format!("{name} {}; seen {}", wanted.join(", "), seen(level)));
        }
    }
    if let Some(filter) = device {
        let mode = match filter.mode {
            FilterMode::Include => "that match",
            FilterMode::Exclude => "that do not match",
        };
        list.push(format!("devices {mode} the policy's filter"));
    }
    if flows.is_some() {
        list.push("certain authentication flows".to_owned());
    }
    if request.is_some() {
        list.push(format!("certain methods or paths; seen {} {}", record.method, record.path));
    }
    if time.is_some() {
        list.push(format!("certain times; it was {}", timestamp(record.now.saturating_mul(1_000))));
    }
    if claims.is_some() {
        list.push("who matches the policy's rule over claims".to_owned());
    }
    list
}

fn control(control: &Control) -> String {
    match control {
        Control::Mfa => "multifactor authentication".to_owned(),
        Control::CompliantDevice => "a compliant device".to_owned(),
        Control::HybridJoinedDevice => "a hybrid joined device".to_owned(),
        Control::ApprovedClientApp => "an approved client app".to_owned(),
        Control::AppProtection => "an app under protection".to_owned(),
        Control::PasswordChange => "a password change".to_owned(),
        Control::Strength(name) => format!("the strength `{name}`"),
        Control::TermsOfUse(name) => format!("the terms `{name}`"),
        Control::Custom(name) => format!("the control `{name}`"),
    }
}
