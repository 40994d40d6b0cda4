//! What each policy wanted, and what it made of the request.

use portcullis_policy::explain::Explained;
use portcullis_policy::model::PolicyState;
use portcullis_policy::reference::{Part, Tri};

use super::desk::Desk;
use super::found::Found;
use super::parts::{Condition, PolicyAccount};
use super::since;

/// Each policy: those that refused then, those that refuse today, those that applied, the rest.
pub(super) fn policies(found: &Found, today: &[Explained], desk: &Desk<'_>) -> Vec<PolicyAccount> {
    let set = desk.policies.set();
    let mut accounts = Vec::new();
    for (at, policy) in set.policies.iter().enumerate() {
        let explained = today.iter().find(|one| one.finding.policy.0 as usize == at);
        let then = found.applied.iter().find(|one| one.id == policy.id.as_str());
        // Of a request that was refused before any decision, no policy says anything.
        if then.is_none() && (explained.is_none() || policy.state == PolicyState::Disabled) {
            continue;
        }
        let holds = |tri: Tri| match tri {
            Tri::Yes => "yes",
            Tri::No => "no",
            Tri::Maybe => "unavailable",
        };
        let parts = explained.iter().flat_map(|one| &one.parts).filter(|words| words.part != Part::State);
        let conditions = parts.map(|words| Condition {
            what: words.part.as_str().to_owned(),
            holds: holds(words.holds),
            wanted: words.wanted.clone(),
            seen: words.seen.clone(),
        });
        let controls = explained.iter().flat_map(|one| &one.controls).map(|one| Condition {
            what: one.control.clone(),
            holds: holds(one.met),
            wanted: String::new(),
            seen: one.seen.clone(),
        });
        accounts.push(PolicyAccount {
            id: policy.id.to_string(),
            name: policy.name.clone(),
            place: desk.config.policy_places.get(at).cloned().unwrap_or_default(),
            then: then.map(|one| one.result.clone()),
            today: explained.map(|one| one.finding.result.as_str()),
            changed: then.and_then(|one| since::has_changed(one, desk)),
            conditions: conditions.collect(),
            controls: controls.collect(),
        });
    }
    let gone =
        found.applied.iter().filter(|one| set.policies.iter().all(|policy| policy.id.as_str() != one.id));
    accounts.extend(gone.map(|one| PolicyAccount {
        id: one.id.clone(),
        name: if desk.broken.is_some() { "not compared" } else { "no longer configured" }.to_owned(),
        place: String::new(),
        then: Some(one.result.clone()),
        today: None,
        changed: None,
        conditions: Vec::new(),
        controls: Vec::new(),
    }));
    accounts.sort_by_key(PolicyAccount::rank);
    accounts
}
