//! Whom and what a policy is about: users, workloads, apps.

use portcullis_policy::model::AuthenticationContext;
use toml::{Table, Value};

use super::account::Field;
use super::reading::{App, Loss, Reading, key, strings};
use super::{apps, names};
use crate::vocabulary::{GUEST_KINDS, from_graph};

/// Whom a policy is about.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Subjects {
    /// `users` or `workloads`.
    pub(super) key: &'static str,
    pub(super) sides: Sides,
}

/// Selectors to both sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sides {
    pub(super) include: Vec<String>,
    pub(super) exclude: Vec<String>,
}

/// What a policy is about.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Targets {
    Apps { sides: Sides, filter: Option<Table> },
    Contexts(Vec<String>),
}

/// The two sides of an assignment: what is missing from an include is missed by the policy; what is
/// missing from an exclude is spared no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Include,
    Exclude,
}

impl Side {
    pub(super) const fn loss(self) -> Loss {
        match self {
            Self::Include => Loss::Weaker,
            Self::Exclude => Loss::Stricter,
        }
    }
}

/// Whom the policy is about: people, or programs if it names any.
pub(super) fn subjects(reading: &mut Reading<'_>, conditions: &Field<'_>) -> Subjects {
    let workloads = workloads(reading, conditions);
    let users = users(reading, conditions);
    let names_people = users.include.iter().any(|selector| selector != "none");
    let names_programs = !workloads.include.is_empty();
    if names_people && names_programs {
        reading.reason(Loss::Whole, "it is about people and programs at once, which Entra does not allow");
    }
    if names_programs {
        return Subjects { key: "workloads", sides: workloads };
    }
    let mut sides = users;
    if sides.include.is_empty() {
        reading.reason(Loss::Whole, "it includes nobody");
        sides.include.push("none".to_owned());
    }
    let stands_for =
        |selector: &String| selector.split_once(':').is_some_and(|(_, id)| reading.placeholders.contains(id));
    if sides.include.iter().all(stands_for) {
        reading.reason(Loss::Whole, "whom it includes is not known until the placeholders are replaced");
    }
    Subjects { key: "users", sides }
}

fn users(reading: &mut Reading<'_>, conditions: &Field<'_>) -> Sides {
    let mut sides = Sides::default();
    let Some(users) = reading.object(conditions, "users") else { return sides };
    for (name, side, kind) in [
        ("includeUsers", Side::Include, "user"),
        ("includeGroups", Side::Include, "group"),
        ("includeRoles", Side::Include, "role"),
        ("excludeUsers", Side::Exclude, "user"),
        ("excludeGroups", Side::Exclude, "group"),
        ("excludeRoles", Side::Exclude, "role"),
    ] {
        for (field, text) in reading.texts(&users, name) {
            let special = match (kind, text.to_ascii_lowercase().as_str()) {
                ("user", "all") => Some("all"),
                ("user", "none") => Some("none"),
                ("user", "guestsorexternalusers") => Some("guests"),
                _ => None,
            };
            let selector = match special {
                Some(word) => {
                    reading.taken(&field, "");
                    Some(word.to_owned())
                }
                None => id(reading, &field, text, side, kind),
            };
            sides.of(side).extend(selector);
        }
    }
    for (name, side) in
        [("includeGuestsOrExternalUsers", Side::Include), ("excludeGuestsOrExternalUsers", Side::Exclude)]
    {
        if let Some(field) = reading.configured(&users, name, side.loss()) {
            let selectors = guests(reading, &field, side);
            sides.of(side).extend(selectors);
        }
    }
    sides
}

impl Sides {
    pub(super) fn of(&mut self, side: Side) -> &mut Vec<String> {
        match side {
            Side::Include => &mut self.include,
            Side::Exclude => &mut self.exclude,
        }
    }
}

/// `kind:ID`. What is no object id is written as it stands, so that it can be replaced in the file.
fn id(reading: &mut Reading<'_>, field: &Field<'_>, text: &str, side: Side, kind: &str) -> Option<String> {
    if names::is_guid(text) {
        reading.taken(field, "");
        return Some(format!("{kind}:{text}"));
    }
    if !names::is_presentable(text) {
        reading.refused(field, side.loss(), "is no object id and cannot be written");
        return None;
    }
    reading.placeholder(text);
    match side {
        Side::Include => reading.refused(
            field,
            Loss::Weaker,
            "is no object id: written as it is, and nobody is meant by it until it is replaced",
        ),
        // The file says it once, for all placeholders.
        Side::Exclude => {
            reading
                .adapted(field, "is no object id: written as it is, and spares nobody until it is replaced");
        }
    }
    Some(format!("{kind}:{text}"))
}

/// `guests:KIND,KIND@TENANT,TENANT`.
fn guests(reading: &mut Reading<'_>, field: &Field<'_>, side: Side) -> Vec<String> {
    let tenants = tenants(reading, field, side);
    let Some((types, text)) = reading.text(field, "guestOrExternalUserTypes") else {
        reading.reason(side.loss(), format!("{}: no kind of guests is named", field.path));
        return Vec::new();
    };
    let mut kinds = Vec::new();
    for word in text.split(',').map(str::trim) {
        match from_graph(GUEST_KINDS, word) {
            Some(kind) => kinds.push(kind),
            None if word.eq_ignore_ascii_case("none") => {}
            None => reading.refused(&types, side.loss(), "names a kind of guests that is not known here"),
        }
    }
    if kinds.is_empty() {
        reading.reason(side.loss(), format!("{}: names no guests", types.path));
    }
    reading.taken(&types, "");
    // Tokens of Entra show B2B guests and members by themselves.
    if kinds.iter().any(|kind| !kind.starts_with("b2b-collaboration")) {
        reading.needs.claims.insert("guest-kind");
    }
    if tenants.as_ref().is_some_and(|tenants| !tenants.is_empty()) {
        reading.needs.claims.insert("home-tenant");
    }
    let Some(tenants) = tenants else { return Vec::new() };
    let of_tenants: Vec<&str> = kinds.iter().copied().filter(|kind| *kind != "internal-guest").collect();
    match tenants.as_slice() {
        _ if kinds.is_empty() => Vec::new(),
        [] => vec![format!("guests:{}", kinds.join(","))],
        list => {
            // An internal guest has no home tenant, so naming tenants would miss them all.
            let internal = (of_tenants.len() < kinds.len()).then(|| "guests:internal-guest".to_owned());
            let others = (!of_tenants.is_empty())
                .then(|| format!("guests:{}@{}", of_tenants.join(","), list.join(",")));
            internal.into_iter().chain(others).collect()
        }
    }
}

/// The tenants of guests; an empty list is any tenant, `None` is no selector at all.
fn tenants(reading: &mut Reading<'_>, guests: &Field<'_>, side: Side) -> Option<Vec<String>> {
    let Some(field) = reading.configured(guests, "externalTenants", side.loss()) else {
        return Some(Vec::new());
    };
    let kind = reading.text(&field, "membershipKind");
    let typed = reading.text(&field, "@odata.type");
    let lower = |text: &str| text.to_ascii_lowercase();
    let all = kind.as_ref().map_or_else(
        || typed.as_ref().is_some_and(|(_, text)| lower(text).ends_with("allexternaltenants")),
        |(_, text)| lower(text) == "all",
    );
    let enumerated = kind.as_ref().map_or_else(
        || typed.as_ref().is_some_and(|(_, text)| lower(text).ends_with("enumeratedexternaltenants")),
        |(_, text)| lower(text) == "enumerated",
    );
    if let Some((field, _)) = &kind {
        if all || enumerated {
            reading.taken(field, "");
        } else {
            reading.refused(field, Loss::Unknown, "names tenants in a form that is not known here");
        }
    }
    if let Some((field, _)) = &typed {
        reading.taken(field, "");
    }
    let mut tenants = Vec::new();
    for (member, text) in reading.texts(&field, "members") {
        if all {
            reading.refused(&member, Loss::Unknown, "a tenant is named beside all tenants");
        } else if names::is_guid(text) {
            reading.taken(&member, "");
            tenants.push(text.to_owned());
        } else {
            reading.placeholder(text);
            reading.refused(&member, side.loss(), "is no tenant id; left out");
        }
    }
    match (all, enumerated && !tenants.is_empty()) {
        (true, _) => Some(Vec::new()),
        (false, true) => Some(tenants),
        (false, false) => {
            reading.reason(side.loss(), format!("{}: no tenant is named", field.path));
            None
        }
    }
}

fn workloads(reading: &mut Reading<'_>, conditions: &Field<'_>) -> Sides {
    let mut sides = Sides::default();
    let Some(field) = reading.object(conditions, "clientApplications") else { return sides };
    for (name, side) in
        [("includeServicePrincipals", Side::Include), ("excludeServicePrincipals", Side::Exclude)]
    {
        for (field, text) in reading.texts(&field, name) {
            let special = match text.to_ascii_lowercase().as_str() {
                "serviceprincipalsinmytenant" => Some("all"),
                "none" => Some("none"),
                _ => None,
            };
            let selector = match special {
                Some(word) => {
                    reading.taken(&field, "");
                    Some(word.to_owned())
                }
                None => id(reading, &field, text, side, "service-principal"),
            };
            sides.of(side).extend(selector);
        }
    }
    if let Some(filter) = reading.configured(&field, "servicePrincipalFilter", Loss::Weaker) {
        reading.refused(
            &filter,
            Loss::Weaker,
            "attributes of service principals are not in tokens; name the service principals instead",
        );
    }
    for name in [
        "includeAgentIdServicePrincipals",
        "excludeAgentIdServicePrincipals",
        "agentIdServicePrincipalFilter",
    ] {
        if let Some(field) = field.get(name).filter(|field| !field.json.says_nothing()) {
            reading.refused(&field, Loss::Unknown, "agent identities are treated as other programs here");
        }
    }
    sides
}

/// What the policy is about: apps, or authentication contexts.
pub(super) fn targets(reading: &mut Reading<'_>, conditions: &Field<'_>) -> Targets {
    let mut sides = Sides::default();
    let Some(field) = reading.object(conditions, "applications") else {
        reading.reason(Loss::Whole, "it names no apps");
        sides.include.push("none".to_owned());
        return Targets::Apps { sides, filter: None };
    };
    for (name, side) in [("includeApplications", Side::Include), ("excludeApplications", Side::Exclude)] {
        for (field, text) in reading.texts(&field, name) {
            let selector = app(reading, &field, text, side);
            sides.of(side).extend(selector);
        }
    }
    for (item, _) in reading.texts(&field, "includeUserActions") {
        reading.refused(
            &item,
            Loss::Whole,
            "happens at Microsoft's own pages, which no proxy stands before: keep this policy in Entra",
        );
    }
    let tunnelled = sides.include.len();
    sides.include.retain(|selector| !is_tunnelled(reading, selector));
    sides.exclude.retain(|selector| !is_tunnelled(reading, selector));
    if sides.include.is_empty() && tunnelled > 0 {
        reading.reason(
            Loss::Whole,
            "what it is about is traffic of Global Secure Access: keep this policy in Entra",
        );
    }
    for name in ["globalSecureAccess", "networkAccess"] {
        if let Some(field) = field.get(name).filter(|field| !field.json.says_nothing()) {
            reading.refused(
                &field,
                Loss::Whole,
                "is traffic of Global Secure Access, which does not pass through here: keep this policy in Entra",
            );
        }
    }
    let contexts = contexts(reading, &field);
    let filter = match reading.configured(&field, "applicationFilter", Loss::Unknown) {
        Some(filter) => apps::filter(reading, &filter),
        None => None,
    };
    let filter_includes =
        filter.as_ref().is_some_and(|filter| filter.get("mode").and_then(Value::as_str) == Some("include"));
    let names_apps = sides.include.iter().any(|selector| selector != "none");
    if !contexts.is_empty() {
        if names_apps || filter.is_some() {
            reading.reason(Loss::Whole, "it is about apps and authentication contexts at once");
        }
        return Targets::Contexts(contexts);
    }
    if sides.include.is_empty() && !filter_includes {
        reading.reason(Loss::Whole, "it includes no app that could stand behind a proxy");
        sides.include.push("none".to_owned());
    }
    Targets::Apps { sides, filter }
}

/// Whether an id is a profile of traffic, or an app behind the tunnel, of Global Secure Access.
fn is_tunnelled(reading: &Reading<'_>, id: &str) -> bool {
    names::is_traffic_profile(id) || reading.world.apps.get(id).is_some_and(|app| app.is_tunnelled)
}

fn app(reading: &mut Reading<'_>, field: &Field<'_>, text: &str, side: Side) -> Option<String> {
    let group = |reading: &mut Reading<'_>, name: &'static str, word: &'static str| {
        reading.remarked(field, "is a group of apps here: put your apps into it in `portcullis.toml`");
        reading.needs.groups.insert(name, word);
        Some(format!("group:{name}"))
    };
    match text.to_ascii_lowercase().as_str() {
        "all" | "none" => {
            reading.taken(field, "");
            Some(key(text))
        }
        "office365" => group(reading, "office365", "Office365"),
        "microsoftadminportals" => group(reading, "microsoft-admin-portals", "MicrosoftAdminPortals"),
        id if is_tunnelled(reading, id) => {
            let note = "is traffic of Global Secure Access, no app that could stand behind this proxy: left out; keep \
                        it in Entra";
            reading.remarked(field, note);
            Some(id.to_owned())
        }
        id if names::is_guid(id) => {
            reading.adapted(field, "is an app to fill in, in `portcullis.toml`");
            let mut app = reading.world.apps.get(id).cloned().unwrap_or_default();
            if app.name.is_empty() {
                app.name = names::app_name(id).unwrap_or_default().to_owned();
            }
            reading.needs.apps.insert(id.to_owned(), app);
            Some(id.to_owned())
        }
        _ if text.starts_with('<') && names::is_presentable(text) => {
            reading.placeholder(text);
            reading.remarked(field, "is no app id: it is an app to fill in, in `portcullis.toml`");
            let id = names::marked_slug(text, "app");
            let app = App { name: text.to_owned(), ..App::default() };
            reading.needs.apps.insert(id.clone(), app);
            Some(id)
        }
        _ => {
            let loss = if side == Side::Include { Loss::Unknown } else { Loss::Stricter };
            reading.refused(field, loss, "names apps in a form that is not known here");
            None
        }
    }
}

fn contexts(reading: &mut Reading<'_>, applications: &Field<'_>) -> Vec<String> {
    let mut contexts = Vec::new();
    for (field, text) in reading.texts(applications, "includeAuthenticationContextClassReferences") {
        if AuthenticationContext::new(text).is_some() {
            reading.remarked(
                &field,
                "is asked for by a part of an app: name it in `contexts` of an app in `portcullis.toml`",
            );
            contexts.push(text.to_owned());
        } else {
            reading.refused(&field, Loss::Unknown, "is no authentication context");
        }
    }
    contexts
}

/// Both sides of a list condition as a table of the file.
pub(super) fn sides_table(sides: &Sides) -> Table {
    let mut table = Table::new();
    table.insert("include".to_owned(), strings(&sides.include));
    if !sides.exclude.is_empty() {
        table.insert("exclude".to_owned(), strings(&sides.exclude));
    }
    table
}
