//! What is taken, and is probably not what was meant: a name that is written once beside one that is written
//! often, an app that no policy covers, no policy at all.

use std::collections::BTreeMap;

use portcullis_policy::PolicySet;
use portcullis_policy::model::{
    App, AppSelector, Apps, FilterMode, PolicyState, Subjects, Targets, Unmatched,
};

use crate::diagnose::{At, Diagnostic, Sources};
use crate::schema::check::shortened;
use crate::schema::policy_tables::{POLICY, USERS, WORKLOADS};
use crate::schema::tables::{APP, ASSIGNED};
use crate::schema::tree::View;
use crate::settings;

/// How often a name is written before another that is close to it, and written once, looks like a slip.
const OFTEN: usize = 3;
/// The shortest name that is compared: `hr` and `it` are no slips of each other.
const NAME_CHARS_MIN: usize = 5;
/// The most names of one kind that are compared with each other.
const NAMES_MAX: usize = 5_000;

/// How often each name that nothing in the files defines is written: people, groups, roles, programs.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Kind and name in lower case: how often, the first place, and how it is written there.
    names: BTreeMap<(&'static str, String), (usize, At, String)>,
}

impl Written {
    /// Takes note of the names in the policies of one file.
    pub(super) fn policies(&mut self, file: View<'_>) {
        for policy in file.tables("policy", &POLICY) {
            for (key, table) in [("users", &USERS), ("workloads", &WORKLOADS)] {
                let Some(sides) = policy.table(key, table) else { continue };
                for (text, at) in sides.texts("include").chain(sides.texts("exclude")) {
                    let Some((kind, name)) = text.split_once(':') else { continue };
                    let kinds = ["user", "group", "role", "service-principal"];
                    if let Some(kind) = kinds.into_iter().find(|known| *known == kind) {
                        self.note(kind, name, at);
                    }
                }
            }
        }
    }

    /// The same for the apps of the main file.
    pub(super) fn apps(&mut self, main: View<'_>) {
        for app in main.tables("app", &APP) {
            for (name, at) in app.texts("groups") {
                self.note("app group", name, at);
            }
            let Some(assigned) = app.table("assigned", &ASSIGNED) else { continue };
            for (key, kind) in [("users", "user"), ("groups", "group"), ("roles", "role")] {
                for (name, at) in assigned.texts(key) {
                    self.note(kind, name, at);
                }
            }
        }
    }

    fn note(&mut self, kind: &'static str, name: &str, at: At) {
        let entry = self.names.entry((kind, name.to_lowercase()));
        entry.or_insert_with(|| (0, at, name.to_owned())).0 += 1;
    }

    /// Each name that is written once and close to one that is written often.
    pub(super) fn near_misses(&self, sources: &Sources, found: &mut Vec<Diagnostic>) {
        for kind in ["user", "group", "role", "service-principal", "app group"] {
            let of_kind = || self.names.iter().filter(|((of, _), _)| *of == kind).take(NAMES_MAX);
            let often: Vec<_> = of_kind().filter(|(_, (count, ..))| *count >= OFTEN).collect();
            let once = of_kind().filter(|(_, (count, ..))| *count == 1);
            for ((_, name), (_, at, written)) in once {
                let near = often.iter().find(|((_, other), _)| is_near(name, other));
                let Some((_, (count, first, meant))) = near else { continue };
                let (written, meant) = (shortened(written), shortened(meant));
                let place = sources.place(first.file, first.start);
                found.push(
                    Diagnostic::warning(
                        "name/near-miss",
                        *at,
                        format!(
                            "the {kind} `{written}` is named here alone; `{meant}` is named {count} times"
                        ),
                    )
                    .why("a name that nobody has is no error, and matches nobody")
                    .help(format!("did you mean `{meant}`, first named at {place}?")),
                );
            }
        }
    }
}

/// Whether one name may be a slip of another: one letter more, less, other or swapped, two in long names. Names
/// that differ in digits alone count things.
fn is_near(name: &str, other: &str) -> bool {
    let (short, long) = (name.chars().count(), other.chars().count());
    let letters = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    short >= NAME_CHARS_MIN
        && short.abs_diff(long) <= 2
        && letters(name) != letters(other)
        && strsim::damerau_levenshtein(name, other) <= if short >= 10 { 2 } else { 1 }
}

/// Apps about which no enabled policy speaks, and what happens to their visitors.
pub(super) fn uncovered(
    set: &PolicySet,
    settings: &[settings::App],
    place: impl Fn(&str) -> Option<At>,
    found: &mut Vec<Diagnostic>,
) {
    // Of what is open to everybody no policy is asked.
    let asked = set.apps.iter().zip(settings).filter(|(_, settings)| !settings.is_public());
    for (app, _) in asked {
        let Some(at) = place(&app.id) else { continue };
        let about = |state: PolicyState| {
            let mut policies = set.policies.iter().filter(move |policy| policy.state == state);
            policies.any(|policy| {
                matches!(*policy.subjects, Subjects::Users(_))
                    && match &*policy.targets {
                        Targets::Apps(apps) => includes(apps, app),
                        // Some part of an app that asks for the context.
                        Targets::Contexts(_) => false,
                    }
            })
        };
        if about(PolicyState::Enabled) {
            continue;
        }
        let id = shortened(&app.id);
        let watched = if about(PolicyState::ReportOnly) {
            "; those in report-only are recorded and refuse nobody"
        } else {
            ""
        };
        let (what, help) = match app.unmatched {
            Unmatched::Deny => (
                format!("no enabled policy covers the app `{id}`, so it lets nobody in"),
                "enable a policy for it, or write `unmatched = \"allow\"` into the app to let in whoever has a valid \
                 token",
            ),
            Unmatched::Allow => (
                format!("no enabled policy covers the app `{id}`, so it lets in whoever has a valid token"),
                "enable a policy for it, or write `unmatched = \"deny\"` into the app",
            ),
        };
        let why =
            format!("`unmatched` says what happens when no enabled policy speaks of a request{watched}");
        found.push(Diagnostic::warning("app/uncovered", at, what).why(why).help(help));
    }
}

/// Session controls of policies whose apps sign nobody in: they are taken, and nothing of ours carries them out.
pub(super) fn sessionless(
    set: &PolicySet,
    settings: &[settings::App],
    place: impl Fn(&str) -> Option<At>,
    found: &mut Vec<Diagnostic>,
) {
    let signs_in = settings.iter().any(|app| !app.sign_in.is_empty());
    for policy in set.policies.iter().filter(|policy| policy.state != PolicyState::Disabled) {
        let mut about = set.apps.iter().zip(settings).filter(|(app, settings)| match &*policy.targets {
            Targets::Apps(apps) => includes(apps, app),
            Targets::Contexts(contexts) => {
                settings.contexts.iter().any(|(_, asked)| contexts.contains(asked))
            }
        });
        let is_about_some = about.clone().next().is_some();
        let some_signs_in = about.any(|(_, app)| !app.sign_in.is_empty() || app.sign_in_url.is_some());
        let Some(at) = place(policy.id.as_str()).filter(|_| is_about_some && !some_signs_in) else {
            continue;
        };
        let session = &policy.session;
        let (key, why) = if session.persistent_browser.is_some() {
            ("persistent-browser", "it is about sessions of browsers, and none is made there")
        } else if session.sign_in_frequency.is_some() && signs_in {
            ("sign-in-frequency", "whose sign-in is too old is refused there, and cannot sign in again")
        } else {
            continue;
        };
        found.push(
            Diagnostic::warning(
                "policy/no-session",
                at,
                format!("no app of this policy with `{key}` signs people in"),
            )
            .why(why)
            .help(
                "write `sign-in = \"PROVIDER\"` into the app, or leave it to whoever signs people in there",
            ),
        );
    }
}

/// Whether apps that a policy speaks of hold this one, as far as its filter, which is asked for, allows.
fn includes(apps: &Apps, app: &App) -> bool {
    let names = |selectors: &[AppSelector]| {
        selectors.iter().any(|selector| match selector {
            AppSelector::All => true,
            AppSelector::None => false,
            AppSelector::App(id) => *id == app.id,
            AppSelector::Group(group) => app.groups.contains(group),
        })
    };
    let may_include = matches!(apps.filter, Some((FilterMode::Include, _)));
    (names(&apps.include) || may_include) && !names(&apps.exclude)
}

#[cfg(test)]
mod tests {
    use super::is_near;

    #[test]
    fn slips_are_told_from_other_names() {
        for (slip, meant) in [
            ("finanace", "finance"),
            ("fiannce", "finance"),
            ("emergency-acess", "emergency-access"),
            ("emergency_acces", "emergency-access"),
            ("6499f521-8620-4f4e-92a1-db47c79362ea", "6499f521-8620-4f4e-92a1-db47c79362e8"),
        ] {
            assert!(is_near(slip, meant), "{slip}");
        }
        for (name, other) in [
            ("hr", "it"),
            ("team-1", "team-2"),
            ("floor-11", "floor-1"),
            ("sales", "finance"),
            ("staff-berlin", "staff-munich"),
            ("6499f521-8620-4f4e-92a1-db47c79362e8", "2802b872-ccfb-4b29-a9a9-459808dfb11b"),
        ] {
            assert!(!is_near(name, other), "{name}");
        }
    }
}
