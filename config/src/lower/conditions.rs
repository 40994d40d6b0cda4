//! The circumstances under which a policy speaks.

use portcullis_policy::model::{
    ClientAppType, Conditions, DeviceFilter, Flow, LocationSelector, Locations, Platform, PlatformSelector,
    Platforms, RequestCondition, RiskLevel,
};

use super::context::Context;
use super::definitions::{Definitions, Referent};
use super::{rule, time, values};
use crate::diagnose::{At, Diagnostic};
use crate::schema::policy_tables::{FILTER, LOCATIONS, PLATFORMS, REQUEST, TIME};
use crate::schema::tree::View;
use crate::settings::Claims;

/// `None` when a condition has an error: a policy without it would be another policy.
pub(super) fn conditions(
    cx: &mut Context<'_>,
    view: View<'_>,
    known: &mut Definitions,
) -> Option<Conditions> {
    let never = "the policy would never apply";
    for key in ["client-apps", "sign-in-risk", "user-risk", "insider-risk", "service-principal-risk"] {
        cx.not_empty(view, key, never);
    }
    cx.not_empty(view, "authentication-flows", never);
    warn_unmapped_signals(cx, view, known);
    let client_apps = words(view, "client-apps", ClientAppType::from_word);
    let flows = words(view, "authentication-flows", Flow::from_word);
    let risk = |key: &str| words(view, key, RiskLevel::from_word);
    let platforms = view.table("platforms", &PLATFORMS).map(|table| platforms(cx, table));
    let locations = view.table("locations", &LOCATIONS).map(|table| locations(cx, table, known));
    let device = view.table("device-filter", &FILTER).map(|table| rule::filter(cx, table));
    let request = view.table("request", &REQUEST).map(|table| request(cx, table));
    let time = view.table("time", &TIME).map(|table| time::condition(cx, table));
    let claims = view.text("claims").map(|text| rule::rule(cx, text, view.at_key("claims")));
    Some(Conditions {
        client_apps,
        platforms,
        locations,
        sign_in_risk: risk("sign-in-risk"),
        user_risk: risk("user-risk"),
        insider_risk: risk("insider-risk"),
        service_principal_risk: risk("service-principal-risk"),
        device: whole(device)?.map(|(mode, rule)| DeviceFilter { mode, rule }),
        flows,
        request,
        time: whole(time)?,
        claims: whole(claims)?,
    })
}

/// An absent condition stays absent; one with an error spoils all.
fn whole<T>(condition: Option<Option<T>>) -> Option<Option<T>> {
    match condition {
        None => Some(None),
        Some(None) => None,
        Some(Some(condition)) => Some(Some(condition)),
    }
}

/// The set of words of a list, if it is there. Unknown words were reported when shapes were compared.
fn words<T, S: FromIterator<T>>(view: View<'_>, key: &str, from_word: fn(&str) -> Option<T>) -> Option<S> {
    view.get(key)?;
    Some(view.texts(key).filter_map(|(text, _)| from_word(text)).collect())
}

/// Warns of conditions on signals that no claim is mapped to: they count as no risk and no flow, so the policy
/// would look stricter than it is.
fn warn_unmapped_signals(cx: &mut Context<'_>, view: View<'_>, known: &Definitions) {
    type IsMapped = fn(&Claims) -> bool;
    let signals: [(&str, &str, IsMapped); 5] = [
        ("sign-in-risk", "sign-in-risk", |claims| claims.sign_in_risk.is_some()),
        ("user-risk", "user-risk", |claims| claims.user_risk.is_some()),
        ("insider-risk", "insider-risk", |claims| claims.insider_risk.is_some()),
        ("service-principal-risk", "service-principal-risk", |claims| {
            claims.service_principal_risk.is_some()
        }),
        ("authentication-flows", "flow", |claims| claims.flow.is_some()),
    ];
    for (key, claim, is_mapped) in signals {
        if view.get(key).is_some() && !known.claims.is_empty() && !known.claims.iter().any(is_mapped) {
            let why = match claim {
                "flow" => "without its claim a sign-in has no flow, so this policy would not apply",
                _ => "without its claim a risk counts as `none`, so this policy would hardly ever apply",
            };
            cx.push(
                Diagnostic::warning(
                    "policy/no-signal",
                    view.at_key(key),
                    format!("no issuer has a claim for `{claim}`"),
                )
                .why(why)
                .help(format!("name the claim in `[issuer.claims]`: `{claim} = \"…\"`")),
            );
        }
    }
}

fn platforms(cx: &mut Context<'_>, view: View<'_>) -> Platforms {
    cx.not_empty(view, "include", "the policy would never apply");
    let side = |key: &str| {
        let find = |text: &str| match text {
            "all" => Some(PlatformSelector::All),
            _ => Platform::from_word(text).map(PlatformSelector::Named),
        };
        view.texts(key).filter_map(|(text, _)| find(text)).collect()
    };
    Platforms { include: side("include"), exclude: side("exclude") }
}

fn locations(cx: &mut Context<'_>, view: View<'_>, known: &mut Definitions) -> Locations {
    cx.not_empty(view, "include", "the policy would never apply");
    let mut side = |key: &str, why: &'static str| {
        view.texts(key).map(|(text, at)| location(text, at, known, why)).collect()
    };
    Locations {
        include: side("include", "the policy would not apply there"),
        exclude: side("exclude", "this exclude would spare nobody, so people in that place would be stopped"),
    }
}

fn location(text: &str, at: At, known: &mut Definitions, why: &'static str) -> LocationSelector {
    match text {
        "all" => LocationSelector::All,
        "all-trusted" => LocationSelector::AllTrusted,
        name => {
            known.reference(Referent::Location, name, at, why);
            LocationSelector::Named(name.to_owned())
        }
    }
}

fn request(cx: &mut Context<'_>, view: View<'_>) -> RequestCondition {
    for key in ["methods", "paths"] {
        cx.not_empty(view, key, "leave it out to mean any");
    }
    let condition = RequestCondition {
        methods: cx.parse_list(view, "methods", values::method),
        paths: cx.parse_list(view, "paths", values::path_pattern),
        exclude_paths: cx.parse_list(view, "exclude-paths", values::path_pattern),
    };
    if ["methods", "paths", "exclude-paths"].iter().all(|key| view.get(key).is_none()) {
        cx.push(
            Diagnostic::error("value/empty", view.at(), "`request` is empty")
                .why("it would have no effect")
                .help("write `methods`, `paths` or `exclude-paths`, or leave `request` out"),
        );
    }
    condition
}
