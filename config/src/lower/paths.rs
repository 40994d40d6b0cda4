//! What `check` says of paths that two servers could read differently: apps that share a server under
//! different rules, and forms of paths that an app allows.

use portcullis_policy::PolicySet;
use portcullis_policy::model::{AppSelector, Policy, PolicyState, Targets};
use portcullis_policy::path::{PathCase, PathForm, PathForms};

use super::context::Context;
use crate::diagnose::{At, Diagnostic};
use crate::schema::tree::View;
use crate::settings::{App, Upstream};

/// Rules by which two apps differ that are named at most.
const RULES_SHOWN: usize = 6;

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
        let shared = |other: &App| {
            let same = |theirs: &Upstream| app.upstreams.iter().any(|own| own.at == theirs.at);
            other.upstreams.iter().any(same).then(|| differences(set, other, app))
        };
        let former = apps.iter().take(later);
        let mut differing = former.filter_map(|other| Some((other, shared(other)?)));
        let Some((other, rules)) = differing.find(|(_, rules)| !rules.is_empty()) else { continue };
        let more = match rules.len().saturating_sub(RULES_SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let what = format!(
            "`{}` and `{}` share a server and have different rules: {}{more}",
            other.id,
            app.id,
            rules.iter().map(String::as_str).take(RULES_SHOWN).collect::<Vec<_>>().join(", ")
        );
        let help =
            "if the server separates hosts or paths by other rules than Portcullis, give both the same rules";
        found.push(
            Diagnostic::warning("app/shared-upstream", *at, what)
                .why("whoever reaches a page of one app under a name of the other is judged by the other's rules")
                .help(help),
        );
    }
}

/// The keys and policies by which two apps let different requests in.
fn differences(set: &PolicySet, one: &App, other: &App) -> Vec<String> {
    let model = |id: &str| set.apps.iter().find(|app| app.id == id);
    let (Some(left), Some(right)) = (model(&one.id), model(&other.id)) else {
        return vec!["`id`".to_owned()];
    };
    let keys = [
        ("public", one.openings.paths != other.openings.paths),
        ("cors", one.openings.preflights != other.openings.preflights),
        ("unmatched", left.unmatched != right.unmatched),
        ("assigned", left.assigned != right.assigned),
        ("issuers", one.issuers != other.issuers),
        ("audiences", one.audiences != other.audiences),
        ("client-certificate", one.client_certificates != other.client_certificates),
        ("methods", one.methods != other.methods),
        ("contexts", one.contexts != other.contexts),
        ("allow-paths", one.allow_paths != other.allow_paths),
        ("paths", one.paths != other.paths),
    ];
    let keys = keys.into_iter().filter(|(_, differ)| *differ).map(|(key, _)| format!("`{key}`"));
    let named = |selector: &AppSelector, app: &portcullis_policy::model::App| match selector {
        AppSelector::All => true,
        AppSelector::None => false,
        AppSelector::App(id) => *id == app.id,
        AppSelector::Group(group) => app.groups.contains(group),
    };
    let differs = |policy: &&Policy| match &*policy.targets {
        Targets::Contexts(_) => false,
        Targets::Apps(apps) => {
            let meant = |side: &[AppSelector], app| side.iter().any(|selector| named(selector, app));
            meant(&apps.include, left) != meant(&apps.include, right)
                || meant(&apps.exclude, left) != meant(&apps.exclude, right)
                || (apps.filter.is_some() && left.attributes != right.attributes)
        }
    };
    let enforced = set.policies.iter().filter(|policy| policy.state == PolicyState::Enabled);
    keys.chain(enforced.filter(differs).map(|policy| format!("policy `{}`", policy.id.as_str()))).collect()
}
