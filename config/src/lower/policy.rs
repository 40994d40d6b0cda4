//! Policies: whom, what, when, and what is asked.

use portcullis_policy::PolicySet;
use portcullis_policy::model::{
    AppSelector, Apps, Control, FilterMode, Grant, GuestKind, GuestKinds, Guests, Operator, Persistence,
    Policy, PolicyState, SessionControls, SignInFrequency, Subjects, Targets, Tenants, UserSelector, Users,
    WorkloadSelector, Workloads,
};

use super::context::Context;
use super::definitions::{Definitions, Referent};
use super::values::{self, Flaw};
use super::{conditions, denial, rule};
use crate::diagnose::{At, Diagnostic};
use crate::schema::check::{listed, nearest, shortened};
use crate::schema::policy_tables::{APPS, CONDITIONS, FILTER, GRANT, POLICY, SESSION, USERS, WORKLOADS};
use crate::schema::tree::{Kind, View};
use crate::settings::PolicyDenial;
use crate::vocabulary::CONTROLS;

/// The policies of one file; what each says of its denials comes back, in the same order.
pub(super) fn policies(
    cx: &mut Context<'_>,
    file: View<'_>,
    known: &mut Definitions,
    set: &mut PolicySet,
) -> Vec<PolicyDenial> {
    let mut denials = Vec::new();
    for view in file.tables("policy", &POLICY) {
        let said = denial::of_policy(cx, view);
        if let Some(policy) = policy(cx, view, known) {
            known.proofs.asks(view, &policy, &set.apps);
            set.policies.push(policy);
            denials.push(said);
        }
    }
    denials
}

fn policy(cx: &mut Context<'_>, view: View<'_>, known: &mut Definitions) -> Option<Policy> {
    let id = cx.parse_key(view, "id", values::id);
    if let Some(id) = &id {
        known.policies.define(cx, "policy", id.as_str(), view.at_key("id"));
    }
    let subjects = subjects(cx, view);
    let targets = targets(cx, view, known);
    let conditions = match view.table("conditions", &CONDITIONS) {
        Some(table) => conditions::conditions(cx, table, known),
        None => Some(Default::default()),
    };
    let session = session(cx, view);
    let grant = grant(cx, view, known, session.as_ref());
    if let (Some(grant), Some(targets)) = (&grant, &targets) {
        password_change(cx, view, grant, targets);
    }
    let id = id?;
    let state = match view.text("state")? {
        "enabled" => PolicyState::Enabled,
        "report-only" => PolicyState::ReportOnly,
        "disabled" => PolicyState::Disabled,
        _ => return None,
    };
    let name = view.text("name").unwrap_or(id.as_str()).to_owned();
    Some(Policy {
        id,
        name,
        state,
        subjects: known.interners.subjects.intern(subjects?),
        targets: known.interners.targets.intern(targets?),
        conditions: known.interners.conditions.intern(conditions?),
        grant: grant?,
        session: session?,
    })
}

/// Exactly one of two keys; anything else is reported.
fn one_of(
    cx: &mut Context<'_>,
    view: View<'_>,
    keys: [&'static str; 2],
    code: &'static str,
) -> Option<&'static str> {
    let [first, second] = keys;
    match (view.get(first).is_some(), view.get(second).is_some()) {
        (true, false) => Some(first),
        (false, true) => Some(second),
        (both, _) => {
            let what = if both {
                format!("the policy has both `{first}` and `{second}`")
            } else {
                format!("the policy has neither `{first}` nor `{second}`")
            };
            cx.push(Diagnostic::error(code, view.at(), what).help("a policy has exactly one of them"));
            None
        }
    }
}

/// Parses `include` and `exclude`. An include that is empty would match nothing.
fn sides<T>(
    cx: &mut Context<'_>,
    view: View<'_>,
    mut parse: impl FnMut(&mut Context<'_>, &str, At) -> Option<T>,
) -> (Vec<T>, Vec<T>) {
    cx.not_empty(view, "include", "the policy would never apply");
    let mut side = |key: &str| {
        let mut side: Vec<T> = view.texts(key).filter_map(|(text, at)| parse(cx, text, at)).collect();
        // Held as long as the configuration is: a list of one has room for four at first.
        side.shrink_to_fit();
        side
    };
    (side("include"), side("exclude"))
}

fn subjects(cx: &mut Context<'_>, view: View<'_>) -> Option<Subjects> {
    if one_of(cx, view, ["users", "workloads"], "policy/subjects")? == "users" {
        let (include, exclude) =
            sides(cx, view.table("users", &USERS)?, |cx, text, at| cx.parse(text, at, user_selector));
        return Some(Subjects::Users(Users { include, exclude }));
    }
    let (include, exclude) =
        sides(cx, view.table("workloads", &WORKLOADS)?, |cx, text, at| cx.parse(text, at, workload_selector));
    Some(Subjects::Workloads(Workloads { include, exclude }))
}

/// A selector that means nothing. The nearest prefix may be what was forgotten.
fn no_selector(text: &str, known: &'static str) -> Flaw {
    Flaw::new("selector/invalid", format!("`{}` selects nothing", shortened(text)))
        .help(format!("write one of {known}"))
}

fn user_selector(text: &str) -> Result<UserSelector, Flaw> {
    let flaw = || {
        no_selector(text, "`all`, `none`, `user:ID`, `group:ID`, `role:ID`, `guests`, `guests:KIND@TENANT`")
            .why("a person who was meant by it would be missed")
    };
    match text {
        "all" => return Ok(UserSelector::All),
        "none" => return Ok(UserSelector::None),
        "guests" => {
            let kinds = GuestKind::ALL.into_iter().collect();
            return Ok(UserSelector::Guests(Guests { kinds, tenants: Tenants::Any }));
        }
        _ => {}
    }
    let (kind, id) = text.split_once(':').ok_or_else(flaw)?;
    if id.is_empty() || id.trim() != id {
        return Err(flaw());
    }
    match kind {
        "user" => Ok(UserSelector::User(id.to_owned())),
        "group" => Ok(UserSelector::Group(id.to_owned())),
        "role" => Ok(UserSelector::Role(id.to_owned())),
        "guests" => guests(id).map(UserSelector::Guests),
        _ => Err(flaw()),
    }
}

/// `KIND,KIND@TENANT,TENANT`
fn guests(text: &str) -> Result<Guests, Flaw> {
    let (kinds, tenants) = match text.split_once('@') {
        Some((kinds, tenants)) => (kinds, Some(tenants)),
        None => (text, None),
    };
    let mut set = GuestKinds::EMPTY;
    for word in kinds.split(',') {
        let Some(kind) = GuestKind::from_word(word) else {
            let help = match nearest(word, GuestKind::WORDS.into_iter()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("kinds are {}", listed(GuestKind::WORDS.into_iter())),
            };
            return Err(
                Flaw::new("selector/invalid", format!("no kind of guests `{}`", shortened(word))).help(help)
            );
        };
        set = set.with(kind);
    }
    let tenants = match tenants {
        None => Tenants::Any,
        Some(list) if list.split(',').all(|tenant| !tenant.trim().is_empty()) => {
            Tenants::Only(list.split(',').map(|tenant| tenant.trim().to_owned()).collect())
        }
        Some(_) => {
            return Err(Flaw::new("selector/invalid", "a tenant id is missing after `@`")
                .help("write `guests:KIND@TENANT,TENANT`, or leave out `@` for guests of any tenant"));
        }
    };
    Ok(Guests { kinds: set, tenants })
}

fn workload_selector(text: &str) -> Result<WorkloadSelector, Flaw> {
    match (text, text.strip_prefix("service-principal:")) {
        ("all", _) => Ok(WorkloadSelector::All),
        ("none", _) => Ok(WorkloadSelector::None),
        (_, Some(id)) if !id.is_empty() && id.trim() == id => {
            Ok(WorkloadSelector::ServicePrincipal(id.to_owned()))
        }
        _ => Err(no_selector(text, "`all`, `none`, `service-principal:ID`")),
    }
}

fn targets(cx: &mut Context<'_>, view: View<'_>, known: &Definitions) -> Option<Targets> {
    if one_of(cx, view, ["apps", "authentication-contexts"], "policy/targets")? == "authentication-contexts" {
        cx.not_empty(view, "authentication-contexts", "the policy would never apply");
        return Some(Targets::Contexts(cx.parse_list(view, "authentication-contexts", values::context)));
    }
    let table = view.table("apps", &APPS)?;
    let (include, exclude) = sides(cx, table, |cx, text, at| app_selector(cx, text, at, known));
    let filter = match table.table("filter", &FILTER) {
        Some(filter) => Some(rule::filter(cx, filter)?),
        None if table.get("filter").is_some() => return None,
        None => None,
    };
    if let Some((_, rule)) = &filter
        && !rule.is_about_apps()
    {
        let at = table.table("filter", &FILTER).map_or(table.at(), |filter| filter.at_key("rule"));
        cx.push(
            Diagnostic::error("rule/app-filter", at, "this rule asks for more than attributes of apps")
                .why("which apps a policy is about is decided at load, when there is no request yet")
                .help("write `app.NAME`; the rest belongs into `conditions`"),
        );
    }
    if table.get("include").is_none() && !matches!(filter, Some((FilterMode::Include, _))) {
        cx.push(
            Diagnostic::error("policy/targets", table.at(), "`apps` includes nothing")
                .why("the policy would never apply")
                .help("write `include = [\"all\"]`, or name apps"),
        );
    }
    Some(Targets::Apps(Apps { include, exclude, filter }))
}

fn app_selector(cx: &mut Context<'_>, text: &str, at: At, known: &Definitions) -> Option<AppSelector> {
    let why = "an app that is meant by it would not be covered";
    match (text, text.strip_prefix("group:")) {
        ("all", _) => Some(AppSelector::All),
        ("none", _) => Some(AppSelector::None),
        (_, Some(group)) if known.app_groups.contains(group) => Some(AppSelector::Group(group.to_owned())),
        (_, Some(group)) => {
            known.app_groups.unknown(cx, "app/group-unknown", "app group", group, at, why);
            None
        }
        (id, None) if known.apps.contains(id) => Some(AppSelector::App(id.to_owned())),
        (id, None) => {
            known.apps.unknown(cx, "app/unknown", "app", id, at, why);
            None
        }
    }
}

fn grant(
    cx: &mut Context<'_>,
    view: View<'_>,
    known: &mut Definitions,
    session: Option<&SessionControls>,
) -> Option<Grant> {
    let Some(node) = view.get("grant") else {
        if session.is_some_and(|session| *session == SessionControls::default()) {
            cx.push(
                Diagnostic::error("policy/no-effect", view.at(), "the policy asks for nothing")
                    .label("needs `grant` or `session`")
                    .why("it would look like protection and be none")
                    .help("write `grant = \"block\"` or `grant = { controls = [\"mfa\"] }`"),
            );
        }
        return Some(Grant::SessionOnly);
    };
    if node.text() == Some("block") {
        if view.get("session").is_some() {
            cx.push(
                Diagnostic::warning(
                    "policy/block-session",
                    view.at_key("session"),
                    "`session` beside `block`",
                )
                .why("where a policy blocks there is no session, so this has no effect")
                .help("take `session` away"),
            );
        }
        return Some(Grant::Block);
    }
    let table = view.table("grant", &GRANT)?;
    cx.not_empty(table, "controls", "the policy would ask for nothing");
    let operator = match table.text("operator")? {
        "and" => Operator::And,
        "or" => Operator::Or,
        _ => return None,
    };
    let mut controls: Vec<Control> = Vec::new();
    for (text, at) in table.texts("controls") {
        let control = control(cx, text, at, known)?;
        if !controls.contains(&control) {
            controls.push(control);
        }
    }
    let strength = controls.iter().find_map(|control| match control {
        Control::Strength(name) => Some(name),
        _ => None,
    });
    if let (Some(name), true) = (strength, controls.contains(&Control::Mfa)) {
        let at = table.texts("controls").find(|(text, _)| *text == "mfa").map_or(table.at(), |(_, at)| at);
        let what = format!("`mfa` beside `strength:{}`", shortened(name));
        let why = match operator {
            Operator::And => "a strength asks for its methods by itself; Entra allows one of the two",
            Operator::Or => "any second factor is then enough, and the strength asks for nothing",
        };
        cx.push(Diagnostic::warning("policy/mfa-strength", at, what).why(why).help("leave out `mfa`"));
    }
    controls.shrink_to_fit();
    (!controls.is_empty()).then_some(Grant::Require { operator, controls })
}

fn control(cx: &mut Context<'_>, text: &str, at: At, known: &mut Definitions) -> Option<Control> {
    let claims = &known.claims;
    let unmapped = |claim: fn(&crate::settings::Claims) -> &Option<String>| {
        !claims.is_empty() && claims.iter().all(|claims| claim(claims).is_none())
    };
    let (control, missing) = match text.split_once(':') {
        None => {
            let found = CONTROLS.into_iter().find(|(_, name, _)| *name == text);
            let Some((.., control)) = found else { return no_control(cx, text, at) };
            let missing = (control == Control::PasswordChange && unmapped(|claims| &claims.password_changed))
                .then_some("password-changed");
            (control, missing)
        }
        Some((_, name)) if name.is_empty() || name.trim() != name => return no_control(cx, text, at),
        Some(("strength", name)) => {
            known.reference(Referent::Strength, name, at, "nobody could meet it");
            (Control::Strength(name.to_owned()), None)
        }
        Some(("terms-of-use", name)) => {
            (Control::TermsOfUse(name.to_owned()), unmapped(|claims| &claims.terms).then_some("terms"))
        }
        Some(("custom", name)) => {
            let missing = unmapped(|claims| &claims.custom_controls).then_some("custom-controls");
            (Control::Custom(name.to_owned()), missing)
        }
        Some(_) => return no_control(cx, text, at),
    };
    if let Some(claim) = missing {
        let what = format!("no issuer has a claim that shows whether `{}` is met", shortened(text));
        cx.push(
            Diagnostic::warning("policy/no-evidence", at, what)
                .why("without evidence a control is never met, so nobody would get in by it")
                .help(format!("name the claim in `[issuer.claims]`: `{claim} = \"…\"`")),
        );
    }
    Some(control)
}

fn no_control(cx: &mut Context<'_>, text: &str, at: At) -> Option<Control> {
    let names = CONTROLS.iter().map(|(_, name, _)| *name);
    let help = match nearest(text, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None if text == "block" => "write `grant = \"block\"`; blocking goes with no control".to_owned(),
        None => "controls are `mfa`, `compliant-device`, `hybrid-joined-device`, `approved-client-app`, \
                 `app-protection`, `password-change`, `strength:NAME`, `terms-of-use:NAME`, `custom:NAME`"
            .to_owned(),
    };
    cx.push(Diagnostic::error("control/unknown", at, format!("no control `{}`", shortened(text))).help(help));
    None
}

fn session(cx: &mut Context<'_>, view: View<'_>) -> Option<SessionControls> {
    if view.get("session").is_none() {
        return Some(SessionControls::default());
    }
    let table = view.table("session", &SESSION)?;
    let sign_in_frequency = match table.text("sign-in-frequency") {
        Some("every-time") => Some(SignInFrequency::EveryTime),
        Some(_) => {
            Some(SignInFrequency::Every(cx.parse_key(table, "sign-in-frequency", values::duration)?))
        }
        None if table.get("sign-in-frequency").is_some() => return None,
        None => None,
    };
    let persistent_browser = match table.text("persistent-browser") {
        Some("always") => Some(Persistence::Always),
        Some("never") => Some(Persistence::Never),
        Some(_) => return None,
        None => None,
    };
    if sign_in_frequency.is_none() && persistent_browser.is_none() {
        cx.push(
            Diagnostic::error("value/empty", table.at(), "`session` is empty")
                .why("it would have no effect")
                .help("write `sign-in-frequency` or `persistent-browser`, or leave `session` out"),
        );
    }
    Some(SessionControls { sign_in_frequency, persistent_browser })
}

/// Graph's rules for `passwordChange`: with `mfa` and AND, with user risk and no other condition,
/// on all apps. Source: Graph, `conditionalAccessGrantControls`.
fn password_change(cx: &mut Context<'_>, view: View<'_>, grant: &Grant, targets: &Targets) {
    let Grant::Require { operator, controls } = grant else { return };
    if !controls.contains(&Control::PasswordChange) {
        return;
    }
    let conditions = view.get("conditions");
    let keys: Vec<&str> =
        conditions.map_or(Vec::new(), |node| node.entries().iter().map(|entry| entry.key.as_str()).collect());
    let everything = Apps { include: vec![AppSelector::All], exclude: Vec::new(), filter: None };
    let all_apps = matches!(targets, Targets::Apps(apps)
        if apps.include == everything.include && apps.exclude.is_empty() && apps.filter.is_none());
    let problem = if *operator != Operator::And || !controls.contains(&Control::Mfa) {
        Some("it goes with `mfa` and `operator = \"and\"`")
    } else if controls.len() != 2 {
        Some("it goes with `mfa` and no other control")
    } else if keys != ["user-risk"] {
        Some("it goes with the condition `user-risk` and no other")
    } else if !all_apps {
        Some("it goes with `apps = { include = [\"all\"] }`")
    } else {
        None
    };
    if let Some(help) = problem {
        let at = view.get("grant").map_or(view.at(), |node| match &node.kind {
            Kind::Table(entries) => {
                let controls = entries.iter().find(|entry| entry.key == "controls");
                let items = controls.map_or(&[][..], |entry| entry.value.items());
                items
                    .iter()
                    .find(|item| item.text() == Some("password-change"))
                    .map_or(node.at, |item| item.at)
            }
            _ => node.at,
        });
        cx.push(
            Diagnostic::error(
                "policy/password-change",
                at,
                "`password-change` cannot be asked for like this",
            )
            .why("a new password chosen without a second factor could be the attacker's")
            .help(help),
        );
    }
}
