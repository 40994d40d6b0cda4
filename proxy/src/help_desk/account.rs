//! The account of one decision: what was asked and seen, what each policy wanted and made of it, what changed since, and
//! what the policies of today say to the same facts.

use jiff::tz::TimeZone;
use portcullis_policy::path::{PathForm, read_text};
use serde::Serialize;
use uuid::Uuid;

use super::caller::Caller;
use super::desk::{Desk, Lookup};
use super::facts::{asked, seen, stated};
use super::found::Found;
use super::logs::Logs;
use super::parts::{Other, PolicyAccount, Value};
use super::policies::policies;
use super::today::{Today, ask};
use super::{sentence, since, zone};
use crate::clock::timestamp;
use crate::decision_record::DecisionRecord;
use crate::reference::Reference;
use crate::refusal::{BadRequest, Refusal};

/// Everything about one decision that a help desk asks for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The request's id.
    pub request_id: String,
    /// What is said of it over the telephone.
    pub reference: String,
    /// What may be read out to the caller; nothing else here may.
    pub say: String,
    /// When: UTC, and the zone of this machine beside it.
    pub at: String,
    /// Which load of the configuration decided.
    pub generation: u64,
    /// The number on the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// Why, in the words of logs and metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How it ended, in the words of logs and metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Whether nothing refused it: it went to its app, or was answered in the app's place.
    pub was_let_in: bool,
    /// Whether its answer was cut after its head: then the user was shown no page.
    pub answer_truncated: bool,
    /// Whether it was the policies that refused it.
    #[serde(skip)]
    pub refused_by_policies: bool,
    /// When the user reported it from the page, UTC.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reported: Vec<String>,
    /// What is to be known of this look-up.
    pub notes: Vec<String>,
    /// Who called.
    pub who: Vec<Value>,
    /// What was asked for.
    pub asked: Vec<Value>,
    /// What was seen.
    pub seen: Vec<Value>,
    /// Each policy that applied, then or today, those that refused first; then how many did not apply, and each of those.
    pub policies: Vec<PolicyAccount>,
    /// What changed since.
    pub since: Vec<String>,
    /// What the policies of today say to the same facts.
    pub today: Vec<String>,
    /// What would let it in: alternatives of steps.
    pub remedies: Vec<Vec<String>>,
    /// The last refusals of the same person or program, newest first.
    pub others: Vec<Other>,
    /// Where those were looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others_searched: Option<String>,
}

impl Account {
    pub(super) fn of(found: &Found, desk: &Desk<'_>, lookup: &Lookup<'_>, logs: &Logs) -> Self {
        let zone = zone::local();
        let zone = zone.as_ref();
        let caller = Caller::of(found, desk, lookup.user);
        let subject = found.subject.as_deref().and_then(|subject| as_logged(subject, found, desk));
        let (history, searched) =
            subject.map_or_else(Default::default, |subject| logs.history(&subject, found.request_id));
        let record = found.record.as_ref().map(|record| DecisionRecord {
            user: caller.id.clone().or_else(|| record.user.clone()),
            ..record.clone()
        });
        let today = match (&record, desk.broken) {
            (_, Some(why)) => Today::not_asked(why),
            (Some(record), None) => ask(record, desk, zone),
            (None, None) => Today::default(),
        };
        let refusal = sentence::refusal_of(found.reason.as_deref(), found.code, today.refusal)
            .filter(|_| !found.was_let_in());
        let refusal = refusal.as_ref();
        let app = desk.config.apps.iter().find(|app| Some(app.id.as_str()) == found.app());
        let app = app.map(|app| app.name.as_str()).or_else(|| found.app());
        let reported = logs.reports_of(found.request_id, found.now_unix_ms);
        let mut said = today.said;
        if found.record.is_some() && !caller.is_known && desk.broken.is_none() {
            said.push(
                "The log does not name the user, and no policy names a user with this hash: what a new policy says of users \
                 by id is not taken into account. With `--user ID` it is."
                    .to_owned(),
            );
        }
        Self {
            request_id: Uuid::from_u128(found.request_id).to_string(),
            reference: Reference::of(found.request_id).to_string(),
            say: sentence::of(found, refusal, app, &today.help, desk),
            at: zone::both(found.now_unix_ms, zone),
            generation: found.generation,
            code: found.code,
            reason: found.reason.clone().or_else(|| shared_reason(today.refusal, found)),
            refused_by_policies: matches!(refusal, Some(Refusal::Policy(..))),
            outcome: found.outcome.clone(),
            was_let_in: found.was_let_in(),
            answer_truncated: found.is_truncated,
            notes: notes(found, refusal, &reported, zone),
            reported: reported.iter().map(|at| timestamp(*at)).collect(),
            who: caller.values,
            asked: asked(found, refusal, desk.config),
            seen: record.as_ref().map_or_else(|| stated(found), |record| seen(record, zone)),
            policies: policies(found, &today.policies, desk),
            since: since::of(found, desk, &history),
            today: said,
            remedies: today.steps,
            others: history.iter().map(other).collect(),
            others_searched: searched.map(|searched| searched.to_string()),
        }
    }
}

/// The subject of a decision as this configuration's log names it.
fn as_logged(subject: &str, found: &Found, desk: &Desk<'_>) -> Option<String> {
    // A code holds the id itself; a line holds what the log names it by.
    let is_of_code = found.outcome.is_none();
    let how = desk.config.server.decision_subject;
    if is_of_code { desk.denials.subject(how, subject) } else { Some(subject.to_owned()) }
}

/// The reason of a support code, which has the number alone: what the same policies make of the same facts.
fn shared_reason(today: Option<Refusal>, found: &Found) -> Option<String> {
    let info = today?.info();
    (Some(info.code) == found.code).then(|| info.reason.to_owned())
}

fn notes(found: &Found, refusal: Option<&Refusal>, reported: &[i64], zone: Option<&TimeZone>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(first) = reported.first() {
        let times = match reported.len() {
            1 => String::new(),
            count => format!(", {count} times in all"),
        };
        notes.push(format!("The user reported it from the page at {}{times}.", zone::both(*first, zone)));
    }
    if let Some(id) = found.stands_for {
        let at = zone::both(i64::try_from(id >> 80).unwrap_or_default(), zone);
        notes.push(format!(
            "Request {}, at {at}, was left out of the log: it repeated this one, which the same person or program was refused \
             for the same app, by the same policies, for the same reasons. Address, path and time are those of this one.",
            Uuid::from_u128(id)
        ));
    }
    if let Some(id) = found.reports {
        notes.push(format!(
            "By this request its user reported another one, which was refused: look up {}.",
            Uuid::from_u128(id)
        ));
        return notes;
    }
    match found.outcome.as_deref() {
        Some("granted") => notes.push("The request was let in.".to_owned()),
        Some("public") => notes.push(
            "The request was let in as nobody's, and no policy was asked: its path is public, or it was a preflight that the \
             app answers."
                .to_owned(),
        ),
        Some("replied") => notes.push(
            "Nothing refused the request: it was answered in the app's place (`redirect`, `respond`, a preflight, the way to \
             https or to the sign-in)."
                .to_owned(),
        ),
        Some("aborted") => {
            notes.push("The request was let in; its client went away before the answer was whole.".to_owned())
        }
        _ => notes.extend(ended(found, refusal)),
    }
    if let Some(repeats) = found.repeats.filter(|repeats| *repeats > 1) {
        // Of pages those that were shown are counted, of answers to programs those of the same situation.
        let which = if found.stands_for.is_some() { "that one" } else { "this one" };
        notes.push(format!(
            "Refusals of the same person or program for the same app and cause within ten minutes, {which} included: {repeats}."
        ));
    }
    notes
}

/// How a request ended that the policies did not refuse; `None` where they did.
fn ended(found: &Found, refusal: Option<&Refusal>) -> Option<String> {
    let reason = found.reason.as_deref().unwrap_or("unknown");
    let Some(refusal) = refusal else {
        return Some(format!(
            "This version does not know the reason `{reason}`: another one wrote the line."
        ));
    };
    if found.is_truncated {
        let status = found.stated("Status").unwrap_or("a status");
        return Some(format!(
            "The request was let in, and its answer began: the client got {status}, and less than the whole answer. It ended \
             because of `{reason}`."
        ));
    }
    let let_in = if found.was_known() {
        "The policies let the request in"
    } else {
        "No policy was asked, for the path is public"
    };
    Some(match refusal {
        Refusal::Policy(..) => return None,
        Refusal::Upstream { .. } => format!("{let_in}; the app behind did not answer it."),
        Refusal::Maintenance => format!("{let_in}; its app is under maintenance."),
        Refusal::BadRequest(bad) => {
            let before =
                format!("No policy was evaluated: the request was refused before, because of `{reason}`.");
            let path = found.stated("Path").unwrap_or_default();
            bad_request(*bad, path).map_or_else(|| before.clone(), |form| format!("{before} {form}"))
        }
        Refusal::SignIn(_) => {
            format!("It was a sign-in, which no policy is asked about; it failed because of `{reason}`.")
        }
        Refusal::BodyTooLarge | Refusal::BodyTooSlow | Refusal::Internal => {
            format!("No policy refused it: it ended because of `{reason}`.")
        }
        Refusal::NoApp
        | Refusal::NoToken
        | Refusal::BadToken(_)
        | Refusal::BadSession(_)
        | Refusal::ClientCertificate(_)
        | Refusal::KeysUnavailable
        | Refusal::SessionsUnavailable
        | Refusal::TooManyRequests(_)
        | Refusal::Loop => {
            format!("No policy was evaluated: the request was refused before, because of `{reason}`.")
        }
    })
}

/// Which form of a request it was that was not accepted, and what would allow it, where a setting has to do with that.
fn bad_request(bad: BadRequest, path: &str) -> Option<String> {
    if let Some(form) = PathForm::ALL.into_iter().find(|form| BadRequest::path(*form) == bad) {
        return Some(format!(
            "Its path has the form `{0}`. With `allow-paths = [\"{0}\"]` in the app it would be judged, and {1}.",
            form.as_str(),
            form.meaning()
        ));
    }
    match bad {
        BadRequest::AmbiguousPath => Some(ambiguous(path)),
        BadRequest::MethodNotAllowed => {
            Some("The app's `methods` do not name its method, or it is one that no app is sent.".to_owned())
        }
        BadRequest::Origin => {
            Some("With its page's origin among the app's `allowed-origins` it would be judged.".to_owned())
        }
        _ => None,
    }
}

/// How a path is read in several ways. It is read anew as the log has it, where a very long one is cut.
fn ambiguous(path: &str) -> String {
    let read = read_text(path).ok();
    let forms: Vec<String> =
        read.iter().flat_map(|read| read.forms().iter()).map(|form| format!("`{}`", form.as_str())).collect();
    let readings: Vec<String> = read
        .iter()
        .flat_map(|read| [read.written()].into_iter().chain(read.others().iter().map(String::as_str)))
        .map(|reading| format!("`{reading}`"))
        .collect();
    let of = if forms.is_empty() { String::new() } else { format!(" of the form {}", forms.join(", ")) };
    let as_what = if readings.len() < 2 { String::new() } else { format!(" ({})", readings.join(" and ")) };
    format!(
        "Its path{of} can be read in several ways{as_what}, which lead to different apps, or which `prefix-rewrite` makes no \
         one path of. No `allow-paths` lets it in: it is to be sent in the plain form."
    )
}

fn other(found: &Found) -> Other {
    Other {
        at: timestamp(found.now_unix_ms),
        reference: Reference::of(found.request_id).to_string(),
        app: found.app().unwrap_or("no app").to_owned(),
        code: found.code,
        reason: found.reason.clone().unwrap_or_else(|| "unknown".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{BadRequest, Found, PathForm, bad_request, ended, notes};
    use crate::help_desk::found::Line;
    use crate::refusal::Refusal;

    #[test]
    fn the_form_that_was_not_accepted_and_what_would_allow_it_are_said_in_the_words_of_the_settings() {
        for form in PathForm::ALL {
            let said = bad_request(BadRequest::path(form), "/").unwrap();
            let allowed = format!("`allow-paths = [\"{}\"]`", form.as_str());
            assert!(said.contains(&allowed) && said.contains(form.meaning()), "{said}");
        }
        let said = bad_request(BadRequest::AmbiguousPath, "/gitlab//x").unwrap();
        for part in ["of the form `double-slash`", "`/gitlab//x` and `/gitlab/x`", "No `allow-paths`"] {
            assert!(said.contains(part), "`{part}`: {said}");
        }
        assert!(bad_request(BadRequest::Framing, "/").is_none());
    }

    #[test]
    fn what_was_answered_in_the_apps_place_is_told_as_refused_by_nobody() {
        for (outcome, note) in [("replied", "answered in the app's place"), ("public", "no policy was asked")]
        {
            let line = format!(
                "{{\"createdDateTime\":\"2026-11-24T02:31:06.123Z\",\"requestId\":\"01937e2a-1b2c-7d3e-8f40-516273849999\",\
                 \"policyGeneration\":1,\"status\":307,\"outcome\":\"{outcome}\"}}"
            );
            let found = Found::of_line(serde_json::from_str::<Line>(&line).unwrap());
            assert!(found.was_let_in(), "{outcome}");
            let notes = notes(&found, None, &[], None);
            assert!(matches!(&*notes, [one] if one.contains(note)), "{outcome}: {notes:?}");
        }
    }

    #[test]
    fn how_a_request_ended_is_said_of_each_refusal_that_no_policy_made() {
        for refusal in Refusal::all() {
            let info = refusal.info();
            let line = format!(
                "{{\"createdDateTime\":\"2026-11-24T02:31:06.123Z\",\"requestId\":\"01937e2a-1b2c-7d3e-8f40-516273849999\",\
                 \"policyGeneration\":1,\"userId\":\"alice\",\"reason\":\"{}\"}}",
                info.reason
            );
            let found = Found::of_line(serde_json::from_str::<Line>(&line).unwrap());
            let said = ended(&found, Some(refusal)).unwrap_or_default();
            let is_before = said.contains("No policy was evaluated");
            match refusal {
                Refusal::Policy(..) => assert_eq!(said, "", "{refusal:?}"),
                // Policies were asked, or may have been.
                Refusal::Upstream { .. } | Refusal::Maintenance => {
                    assert!(said.contains("let the request in"), "{refusal:?}: {said}")
                }
                Refusal::BodyTooLarge | Refusal::BodyTooSlow | Refusal::Internal | Refusal::SignIn(_) => {
                    assert!(!is_before && said.contains(info.reason), "{refusal:?}: {said}");
                }
                _ => assert!(is_before && said.contains(info.reason), "{refusal:?}: {said}"),
            }
        }
    }
}
