//! Who called, held against who asked.

use portcullis_policy::PolicySet;
use portcullis_policy::model::{Subjects, UserSelector, WorkloadSelector};

use super::desk::Desk;
use super::found::Found;
use super::parts::Value;

/// Who called, and whether it is who says so.
pub(super) struct Caller {
    pub(super) values: Vec<Value>,
    /// The id, where it is known by now.
    pub(super) id: Option<String>,
    pub(super) is_known: bool,
}

impl Caller {
    pub(super) fn of(found: &Found, desk: &Desk<'_>, claimed: Option<&str>) -> Self {
        let is_program = found.record.as_ref().is_some_and(|record| record.is_workload);
        let kind = if is_program { "Program" } else { "Person" };
        let Some(subject) = &found.subject else {
            let none = "not known: there was no valid sign-in, or the log names nobody".to_owned();
            return Self {
                values: Vec::from([Value { name: kind, value: none }]),
                id: None,
                is_known: false,
            };
        };
        let matches =
            |id: &str| portcullis_policy::text::eq(subject, id) || desk.denials.is_hash_of(subject, id);
        let is_hashed = subject.starts_with("sha256:");
        let claim = claimed.map(|id| (id, matches(id)));
        let id = match claim {
            Some((id, true)) => Some(id.to_owned()),
            _ if is_hashed => named_ids(desk.policies.set()).find(|id| matches(id)).cloned(),
            _ => Some(subject.clone()),
        };
        let shown = match &id {
            Some(id) => id.clone(),
            None if desk.broken.is_some() => subject.clone(),
            None => format!("{subject} (not named by any policy)"),
        };
        let mut values = Vec::from([Value { name: kind, value: shown }]);
        if let Some((said, is)) = claim {
            let value = match is {
                true => format!("`{said}` is who asked"),
                false if !is_hashed => format!("`{said}` is not who asked"),
                false if desk.config.denial.support_keys.is_empty() => format!(
                    "whether `{said}` asked cannot be told: without `denial.support-keys` the log's hashes are of the process that wrote them"
                ),
                false => format!(
                    "`{said}` is not who asked by any key of `denial.support-keys`; the log may be older than these"
                ),
            };
            values.push(Value { name: "Caller", value });
        }
        Self { values, is_known: id.is_some(), id }
    }
}

/// Ids of people and programs that apps or policies name.
fn named_ids(set: &PolicySet) -> impl Iterator<Item = &String> {
    let of_apps = set.apps.iter().flat_map(|app| app.assigned.iter().flatten());
    let of_policies = set.policies.iter().flat_map(|policy| match &*policy.subjects {
        Subjects::Users(users) => users.include.iter().chain(&users.exclude),
        Subjects::Workloads(_) => [].iter().chain(&[]),
    });
    let users = of_apps.chain(of_policies).filter_map(|selector| match selector {
        UserSelector::User(id) => Some(id),
        UserSelector::All
        | UserSelector::None
        | UserSelector::Group(_)
        | UserSelector::Role(_)
        | UserSelector::Guests(_) => None,
    });
    let workloads = set.policies.iter().flat_map(|policy| match &*policy.subjects {
        Subjects::Workloads(workloads) => workloads.include.iter().chain(&workloads.exclude),
        Subjects::Users(_) => [].iter().chain(&[]),
    });
    users.chain(workloads.filter_map(|selector| match selector {
        WorkloadSelector::ServicePrincipal(id) => Some(id),
        WorkloadSelector::All | WorkloadSelector::None => None,
    }))
}
