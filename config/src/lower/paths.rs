//! What `check` says of paths that two servers could read differently: apps that share a server under
//! different rules, and forms of paths that an app allows.

use portcullis_policy::PolicySet;
use portcullis_policy::model::{AppSelector, Targets};
use portcullis_policy::path::{PathCase, PathForm, PathForms};

use super::context::Context;
use crate::diagnose::{At, Diagnostic};
use crate::schema::tree::View;
use crate::settings::{App, Upstream};

/// How an app takes letter case.
pub(super) fn case(view: View<'_>) -> PathCase {
    match view.text("paths") {
        Some("case-sensitive") => PathCase::Sensitive,
        Some("case-insensitive") => PathCase::Insensitive,
        _ => PathCase::Unknown,
    }
}

/// The forms that an app allows, each with what it means for the rules.
pub(super) fn allowed(cx: &mut Context<'_>, view: View<'_>) -> PathForms {
    cx.not_empty(view, "allow-paths", "leave it out to refuse them all");
    let mut forms = PathForms::EMPTY;
    for (text, at) in view.texts("allow-paths") {
        // Other words were reported by the check of the format.
        let Some(form) = PathForm::ALL.into_iter().find(|form| form.as_str() == text) else { continue };
        if forms.contains(form) {
            cx.push(
                Diagnostic::error("id/duplicate", at, format!("`{text}` is written twice"))
                    .help("delete one of them"),
            );
            continue;
        }
        forms = forms.with(form);
        cx.push(
            Diagnostic::warning("app/allowed-path", at, format!("requests with `{text}` reach this app"))
                .why(form.meaning())
                .help("keep it only if the app needs such paths"),
        );
    }
    forms
}

/// Warns of apps that share a server, where a path that one of them lets pass could be the other's page.
pub(super) fn shared_upstreams(apps: &[App], set: &PolicySet, places: &[At], found: &mut Vec<Diagnostic>) {
    for (later, (app, at)) in apps.iter().zip(places).enumerate() {
        let shares = |other: &&App| {
            let same = |theirs: &Upstream| app.upstreams.iter().any(|own| own.at == theirs.at);
            other.upstreams.iter().any(same) && differ(set, other, app)
        };
        let Some(other) = apps.iter().take(later).find(shares) else { continue };
        let what = format!("`{}` and `{}` share a server and have different rules", other.id, app.id);
        let case = [other, app].iter().any(|app| app.paths == PathCase::Unknown);
        let help = if case {
            "if the server separates hosts or paths by other rules than Portcullis, give both the same rules; say `paths = \"case-sensitive\"` or `\"case-insensitive\"` if you know"
        } else {
            "if the server separates hosts or paths by other rules than Portcullis, give both the same rules"
        };
        found.push(
            Diagnostic::warning("app/shared-upstream", *at, what)
                .why("whoever reaches a page of one app under a name of the other is judged by the other's rules")
                .help(help),
        );
    }
}

/// Whether two apps let different requests in.
fn differ(set: &PolicySet, one: &App, other: &App) -> bool {
    let model = |id: &str| set.apps.iter().find(|app| app.id == id);
    let (Some(left), Some(right)) = (model(&one.id), model(&other.id)) else { return true };
    let settings = one.contexts != other.contexts
        || one.methods != other.methods
        || one.issuers != other.issuers
        || one.audiences != other.audiences
        || one.allow_paths != other.allow_paths
        || one.paths != other.paths;
    let access = left.unmatched != right.unmatched || left.assigned != right.assigned;
    let named = |selector: &AppSelector, app: &portcullis_policy::model::App| match selector {
        AppSelector::All => true,
        AppSelector::None => false,
        AppSelector::App(id) => *id == app.id,
        AppSelector::Group(group) => app.groups.contains(group),
    };
    let policies = set.policies.iter().any(|policy| match &*policy.targets {
        Targets::Contexts(_) => false,
        Targets::Apps(apps) => {
            let meant = |side: &[AppSelector], app| side.iter().any(|selector| named(selector, app));
            meant(&apps.include, left) != meant(&apps.include, right)
                || meant(&apps.exclude, left) != meant(&apps.exclude, right)
                || (apps.filter.is_some() && left.attributes != right.attributes)
        }
    });
    settings || access || policies
}
