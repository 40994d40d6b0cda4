//! Graph's what-if body to a question of ours, each value keeping its place.
//! Source: Microsoft Graph, `conditionalAccessRoot: evaluate`.

use portcullis_policy::model::ClientAppType;
use portcullis_policy::signals::DeviceAttribute;

use crate::diagnose::{At, Diagnostic};
use crate::schema::ask_tables::{
    GRAPH, GRAPH_CONDITIONS, GRAPH_CONTEXT, GRAPH_DEVICE, GRAPH_FLOW, GRAPH_IDENTITY,
};
use crate::schema::check::{self, listed};
use crate::schema::tree::{Entry, Kind, Node, View};
use crate::vocabulary::{
    CLIENT_APPS, DEVICE_KEYS, FLOWS, GUEST_KINDS, GraphWords, INSIDER_RISKS, PLATFORMS, RISKS, from_graph,
};

/// Whether a tree is such a body.
pub(super) fn is_body(node: &Node) -> bool {
    node.entries().iter().any(|entry| entry.key == "signInIdentity" || entry.key == "signInContext")
}

/// Whether only the policies that apply are asked for.
pub(super) fn applied_only(node: &Node) -> bool {
    is_body(node) && View::new(&GRAPH, node).is_on("appliedPoliciesOnly")
}

struct Translation<'f> {
    entries: Vec<Entry>,
    found: &'f mut Vec<Diagnostic>,
}

impl Translation<'_> {
    fn put(&mut self, key: &str, at: At, kind: Kind) {
        self.entries.push(Entry { key: key.to_owned(), at, value: Node { at, kind } });
    }

    fn copy(&mut self, key: &str, view: View<'_>, graph: &str) {
        if let Some(node) = view.get(graph) {
            self.put(key, node.at, node.kind.clone());
        }
    }

    /// Translates a word; the word `nothing` leaves the key out.
    fn word(&mut self, key: &str, view: View<'_>, graph: &str, words: GraphWords, nothing: &str) {
        let Some((text, at)) = view.text(graph).map(|text| (text, view.at_key(graph))) else { return };
        if let Some(ours) = from_graph(words, text) {
            self.put(key, at, Kind::Text(ours.to_owned()));
        } else if text.is_empty() || !text.eq_ignore_ascii_case(nothing) {
            let what = format!("`{graph}` has no value `{}`", check::shortened(text));
            let known =
                words.iter().map(|(theirs, _)| *theirs).chain([nothing]).filter(|word| !word.is_empty());
            let help = format!("it is one of {}", listed(known));
            self.found.push(Diagnostic::error("value/word", at, what).help(help));
        }
    }
}

/// The same question under our keys.
pub(super) fn translate(body: &Node, found: &mut Vec<Diagnostic>) -> Node {
    check::table(&GRAPH, body, found);
    let view = View::new(&GRAPH, body);
    let mut to = Translation { entries: Vec::new(), found };
    if let Some(identity) = view.table("signInIdentity", &GRAPH_IDENTITY) {
        to.copy("user", identity, "userId");
        to.copy("program", identity, "servicePrincipalId");
        to.copy("home-tenant", identity, "externalTenantId");
        to.word("guest", identity, "externalUserType", GUEST_KINDS, "none");
    }
    if let Some(context) = view.table("signInContext", &GRAPH_CONTEXT) {
        let apps: Vec<_> = context.texts("includeApplications").collect();
        match apps.as_slice() {
            [] => {}
            [(app, at)] => to.put("app", *at, Kind::Text((*app).to_owned())),
            [_, (_, at), ..] => to.found.push(
                Diagnostic::error("ask/apps", *at, "a request is for one app").help("ask once for each"),
            ),
        }
        to.copy("context", context, "authenticationContextValue");
        if context.get("userAction").is_some() {
            let what = "user actions belong to Microsoft's own services";
            let at = context.at_key("userAction");
            to.found.push(Diagnostic::error("ask/user-action", at, what).help("ask for an app"));
        }
    }
    if let Some(conditions) = view.table("signInConditions", &GRAPH_CONDITIONS) {
        to.word("platform", conditions, "devicePlatform", PLATFORMS, "all");
        match conditions.text("clientAppType") {
            Some(word) if word.eq_ignore_ascii_case("easSupported") => to.put(
                "client",
                conditions.at_key("clientAppType"),
                Kind::Text(ClientAppType::ExchangeActiveSync.as_str().to_owned()),
            ),
            _ => to.word("client", conditions, "clientAppType", CLIENT_APPS, "all"),
        }
        to.word("sign-in-risk", conditions, "signInRiskLevel", RISKS, "");
        to.word("user-risk", conditions, "userRiskLevel", RISKS, "");
        to.word("service-principal-risk", conditions, "servicePrincipalRiskLevel", RISKS, "");
        to.word("insider-risk", conditions, "insiderRiskLevel", INSIDER_RISKS, "");
        to.copy("acrs", conditions, "acrs");
        to.copy("country", conditions, "country");
        to.copy("ip", conditions, "ipAddress");
        if let Some(flow) = conditions.table("authenticationFlow", &GRAPH_FLOW) {
            to.word("flow", flow, "transferMethod", FLOWS, "none");
        }
        if let Some(device) = conditions.table("deviceInfo", &GRAPH_DEVICE) {
            let kind = Kind::Table(of_device(device));
            to.put("device", device.at(), kind);
        }
    }
    Node { at: body.at, kind: Kind::Table(to.entries) }
}

fn of_device(device: View<'_>) -> Vec<Entry> {
    let entry = |key: &str, node: &Node| Entry { key: key.to_owned(), at: node.at, value: node.clone() };
    let mut entries: Vec<Entry> = DEVICE_KEYS
        .into_iter()
        .filter_map(|(ours, attribute)| {
            // `deviceInfo` names attributes as rules do, but for this one.
            let theirs = match attribute {
                DeviceAttribute::DeviceOwnership => "ownership",
                _ => DeviceAttribute::NAMED.into_iter().find(|(_, named)| *named == attribute)?.0,
            };
            Some(entry(ours, device.get(theirs)?))
        })
        .collect();
    let extensions: Vec<Entry> = (1..=15)
        .filter_map(|number| {
            let node = device.get(&format!("extensionAttribute{number}"))?;
            Some(entry(&number.to_string(), node))
        })
        .collect();
    if !extensions.is_empty() {
        let node = Node { at: device.at(), kind: Kind::Table(extensions) };
        entries.push(entry("extension-attributes", &node));
    }
    entries
}
