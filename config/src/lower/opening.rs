//! What an app opens to everybody, and where that contradicts what else is written.

use portcullis_policy::model::{PathPattern, PolicyState, Targets};
use portcullis_policy::path::{Compare, is_below};
use portcullis_policy::{Openings, PolicySet};

use super::context::Context;
use super::values::{self, Flaw};
use crate::diagnose::{At, Diagnostic};
use crate::schema::check::shortened;
use crate::schema::tables::CORS;
use crate::schema::tree::View;
use crate::settings::{App, OWN_PATHS};

/// The paths of `public`, and whether preflights are passed on. `prefix` is the app's path.
pub(super) fn openings(cx: &mut Context<'_>, view: View<'_>, prefix: &str) -> Openings {
    cx.not_empty(view, "public", "leave it out where nothing is public");
    let paths = cx.parse_list(view, "public", |text| {
        let pattern = values::path_pattern(text)?;
        let flaw = |what: String| Flaw::new("app/public", what);
        if is_below(base(&pattern), OWN_PATHS, Compare::Folded) {
            return Err(flaw(format!("`{}` is a path of Portcullis", shortened(text)))
                .why("requests below it never reach an app")
                .help("take it away"));
        }
        if !is_below(base(&pattern), prefix, Compare::Exact) {
            return Err(flaw(format!("`{}` is not below the app's path `{prefix}`", shortened(text)))
                .why("no request for this app would ever have it")
                .help("write the whole path, beginning with the app's own"));
        }
        Ok(pattern)
    });
    let preflights = view.table("cors", &CORS).is_some_and(|cors| cors.text("preflight") == Some("pass"));
    Openings { paths, preflights }
}

/// The path of a pattern; the root without its slash is the empty path.
fn base(pattern: &PathPattern) -> &str {
    match pattern {
        PathPattern::Exact(path) | PathPattern::Subtree(path) => path,
    }
}

/// A pattern as it is written.
fn written(pattern: &PathPattern) -> String {
    match pattern {
        PathPattern::Exact(path) => path.clone(),
        PathPattern::Subtree(path) => format!("{path}/**"),
    }
}

/// A pattern of an app as it is asked for, and as the app sees it.
fn readings(app: &App, pattern: &PathPattern) -> Vec<PathPattern> {
    let mut found = Vec::from([pattern.clone()]);
    let Some(rewrite) = &app.shaping.prefix_rewrite else { return found };
    let (prefix, rewrite) = (app.path_prefix.trim_end_matches('/'), rewrite.trim_end_matches('/'));
    // INVARIANT: public paths are below the prefix, letter by letter.
    let rest = base(pattern).strip_prefix(prefix).unwrap_or_default();
    let path = format!("{rewrite}{rest}");
    found.push(match pattern {
        PathPattern::Exact(_) => PathPattern::Exact(path),
        PathPattern::Subtree(_) => PathPattern::Subtree(path),
    });
    found
}

/// Whether there may be a path that both cover.
fn overlap(one: &PathPattern, other: &PathPattern) -> bool {
    let covers = |whole: &PathPattern, path: &str| whole.matches(path, Compare::Folded);
    covers(one, base(other)) || covers(other, base(one))
}

/// A part of the app that asks for an authentication context asks for an identity.
pub(super) fn within_contexts(cx: &mut Context<'_>, view: View<'_>, app: &App) {
    for (text, at) in view.texts("public") {
        let Ok(pattern) = values::path_pattern(text) else { continue };
        let readings = readings(app, &pattern);
        let of_context = |(prefix, _): &&(String, _)| {
            let part = PathPattern::Subtree(prefix.clone());
            readings.iter().any(|open| overlap(open, &part))
        };
        let Some((prefix, context)) = app.contexts.iter().find(of_context) else { continue };
        cx.push(
            Diagnostic::error(
                "app/public-context",
                at,
                format!("`{}` is public, and `{prefix}` asks for the context `{context}`", shortened(text)),
            )
            .why("who is not known has satisfied no context")
            .help("name paths that lie apart"),
        );
    }
}

/// Warns of policies about a path that an app opens: they are not asked.
pub(super) fn unasked(
    set: &PolicySet,
    apps: &[App],
    place: impl Fn(&str) -> Option<At>,
    found: &mut Vec<Diagnostic>,
) {
    for policy in set.policies.iter().filter(|policy| policy.state != PolicyState::Disabled) {
        let Some(request) = &policy.conditions.request else { continue };
        for (app, model) in apps.iter().zip(&set.apps) {
            let is_about = matches!(&*policy.targets, Targets::Apps(targets) if targets.covers(model));
            let is_met = |open: &&PathPattern| {
                let readings = readings(app, open);
                request.paths.iter().any(|path| readings.iter().any(|open| overlap(path, open)))
            };
            let (true, Some(open), Some(at)) =
                (is_about, app.openings.paths.iter().find(is_met), place(policy.id.as_str()))
            else {
                continue;
            };
            let what = format!(
                "the policy is about paths of which the app `{}` opens `{}` to everybody",
                shortened(&app.id),
                shortened(&written(open))
            );
            found.push(
                Diagnostic::warning("app/public-policy", at, what)
                    .why("no policy is asked for a path in `public`")
                    .help("take the path out of `public` if the policy is meant to protect it"),
            );
        }
    }
}
