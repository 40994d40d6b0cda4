//! Links of a denial that lead behind the very rule that they are the way out of: whoever follows one is refused again.
//!
//! Each kind of request that the policies tell apart is asked for each app; where it is refused and shown such a link, the
//! same person in the same circumstances is asked for what the link leads to.

use portcullis_config::diagnose::{Diagnostic, FileId, Severity};
use portcullis_config::{Config, Loaded, ask};
use portcullis_policy::decision::{Generation, ReasonCode, Refused};
use portcullis_policy::signals::{OwnedSignals, Target};
use portcullis_policy::{CompiledPolicies, Outcome};

use super::super::ask::asking;
use super::super::kinds;
use crate::refusal::{Class, ErrorInfo};
use crate::route::{Found, Routes};

/// Requests that are asked for one app.
const KINDS_MAX: usize = 2_000;

/// A link of the denial, and whom it is shown.
struct Link<'c> {
    key: &'static str,
    url: &'c str,
    /// Where it leads among our own apps.
    target: Target,
    path: String,
    is_shown: fn(ErrorInfo) -> bool,
}

/// A warning for each link that leads back.
pub(super) fn look(loaded: &Loaded, config: &Config, now: i64) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let routes = Routes::new(&config.apps);
    for app in &config.apps {
        let Some(url) = app.sign_in_url.as_deref().filter(|url| leads_to(url, config, &routes).is_some())
        else {
            continue;
        };
        found.push(warning(
            loaded,
            "sign-in-url",
            url,
            format!("`sign-in-url` of app `{}` leads to an app behind this proxy", app.id),
            "nobody is let in there without having signed in already, so whoever has to sign in goes round in a circle"
                .to_owned(),
        ));
    }
    let denial = &config.denial;
    let links = [
        ("remediation-url", denial.remediation_url.as_deref(), is_about_devices as fn(ErrorInfo) -> bool),
        ("contact-url", denial.contact_url.as_deref(), |_| true),
    ];
    let links: Vec<Link<'_>> = links
        .into_iter()
        .filter_map(|(key, url, is_shown)| {
            let (target, path) = leads_to(url?, config, &routes)?;
            Some(Link { key, url: url?, target, path, is_shown })
        })
        .collect();
    let Ok(policies) = CompiledPolicies::compile(config.policies.clone(), Generation(1)) else {
        return found;
    };
    for link in &links {
        let refused = config.apps.iter().find_map(|app| leads_back(link, app, config, &policies, now));
        if let Some(example) = refused {
            let what = format!("`{}` leads to an app that refuses those whom it is shown to", link.key);
            found.push(warning(
                loaded,
                link.key,
                link.url,
                what,
                format!("for example: {example}, and again there"),
            ));
        }
    }
    found
}

fn is_about_devices(info: ErrorInfo) -> bool {
    matches!(info.class, Class::Device | Class::Platform)
}

/// The app of ours that a link leads to, and the path there.
fn leads_to(url: &str, config: &Config, routes: &Routes) -> Option<(Target, String)> {
    let url = url::Url::parse(url).ok()?;
    let (host, path) = (url.host_str()?, url.path());
    if !config.apps.iter().any(|app| app.has_host(&host.to_ascii_lowercase())) {
        return None;
    }
    match routes.find(host, path, std::iter::empty()) {
        Found::App(route) => Some((Target { app: route.app, context: route.context }, path.to_owned())),
        Found::None | Found::Several => None,
    }
}

/// Who is refused by an app, shown the link, and refused where it leads.
fn leads_back(
    link: &Link<'_>,
    app: &portcullis_config::settings::App,
    config: &Config,
    policies: &CompiledPolicies,
    now: i64,
) -> Option<String> {
    kinds::of(config, app, now).into_iter().take(KINDS_MAX).find_map(|kind| {
        let question = ask::request(asking(config, now), None, kind.request).value?.question;
        let refused = refused(policies, &question.signals)?;
        let mut reasons = refused.reasons.iter().chain([refused.primary]);
        if refused.temporary
            || !reasons.any(|reason: ReasonCode| (link.is_shown)(ErrorInfo::of_reason(reason)))
        {
            return None;
        }
        let there = OwnedSignals {
            target: link.target,
            method: "GET".to_owned(),
            path: link.path.clone(),
            ..question.signals
        };
        self::refused(policies, &there).map(|_| kind.name)
    })
}

/// Why it is refused, where no sign-in would change that.
fn refused(policies: &CompiledPolicies, asked: &OwnedSignals) -> Option<Refused> {
    let context = asked.client_context();
    let scope = policies.bind(&asked.principal);
    match policies.decide(&scope, &asked.signals(&context)).outcome {
        Outcome::Grant(_) | Outcome::Challenge(_) => None,
        Outcome::Deny(refused) | Outcome::Block(refused) => Some(refused),
    }
}

fn warning(loaded: &Loaded, key: &'static str, url: &str, what: String, why: String) -> Diagnostic {
    let text = loaded.sources.text(FileId::MAIN);
    let start = text.find(&format!("{key} =")).or_else(|| text.find(url)).unwrap_or(0);
    let start = text.get(start..).and_then(|rest| rest.find(url)).map_or(start, |at| start + at);
    let len = if text.get(start..).is_some_and(|rest| rest.starts_with(url)) { url.len() } else { 0 };
    Diagnostic {
        code: "denial/way-out",
        severity: Severity::Warning,
        file: FileId::MAIN,
        span: start..start + len,
        what,
        label: Some("leads behind the rule that it is the way out of".to_owned()),
        why: Some(why),
        help: Some("let the app of that address in under the same circumstances, or name an address outside of this proxy".to_owned()),
    }
}
