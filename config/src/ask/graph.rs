//! Graph's what-if body to a question of ours, each value keeping its place.
//! Source: Microsoft Graph, `conditionalAccessRoot: evaluate`.

use crate::diagnose::{At, Diagnostic};
use crate::schema::ask_tables::{
    GRAPH, GRAPH_CONDITIONS, GRAPH_CONTEXT, GRAPH_DEVICE, GRAPH_FLOW, GRAPH_IDENTITY,
};
use crate::schema::check::{self, listed};
use crate::schema::tree::{Entry, Kind, Node, View};

/// Whether a tree is such a body.
pub(super) fn is_body(node: &Node) -> bool {
    node.entries().iter().any(|entry| entry.key == "signInIdentity" || entry.key == "signInContext")
}

/// Whether only the policies that apply are asked for.
pub(super) fn applied_only(node: &Node) -> bool {
    is_body(node) && View::new(&GRAPH, node).is_on("appliedPoliciesOnly")
}

/// Words that Graph uses, and ours; an empty one says nothing (`all`).
type Words = &'static [(&'static str, &'static str)];

const PLATFORMS: Words = &[
    ("all", ""),
    ("android", "android"),
    ("iOS", "ios"),
    ("windows", "windows"),
    ("windowsPhone", "windows-phone"),
    ("macOS", "macos"),
    ("linux", "linux"),
];
const CLIENTS: Words = &[
    ("all", ""),
    ("browser", "browser"),
    ("mobileAppsAndDesktopClients", "mobile-apps-and-desktop-clients"),
    ("exchangeActiveSync", "exchange-active-sync"),
    ("easSupported", "exchange-active-sync"),
    ("other", "other"),
];
const RISKS: Words = &[("none", "none"), ("low", "low"), ("medium", "medium"), ("high", "high")];
const INSIDER: Words = &[("none", "none"), ("minor", "low"), ("moderate", "medium"), ("elevated", "high")];
const FLOWS: Words = &[
    ("none", ""),
    ("deviceCodeFlow", "device-code-flow"),
    ("authenticationTransfer", "authentication-transfer"),
];
const GUESTS: Words = &[
    ("none", ""),
    ("internalGuest", "internal-guest"),
    ("b2bCollaborationGuest", "b2b-collaboration-guest"),
    ("b2bCollaborationMember", "b2b-collaboration-member"),
    ("b2bDirectConnectUser", "b2b-direct-connect-user"),
    ("otherExternalUser", "other-external-user"),
    ("serviceProvider", "service-provider"),
];
const DEVICE: Words = &[
    ("deviceId", "id"),
    ("displayName", "name"),
    ("enrollmentProfileName", "enrollment-profile"),
    ("isCompliant", "compliant"),
    ("manufacturer", "manufacturer"),
    ("mdmAppId", "mdm-app-id"),
    ("model", "model"),
    ("operatingSystem", "operating-system"),
    ("operatingSystemVersion", "operating-system-version"),
    ("ownership", "ownership"),
    ("physicalIds", "physical-ids"),
    ("profileType", "profile-type"),
    ("systemLabels", "system-labels"),
    ("trustType", "trust-type"),
];

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

    fn word(&mut self, key: &str, view: View<'_>, graph: &str, words: Words) {
        let Some((text, at)) = view.text(graph).map(|text| (text, view.at_key(graph))) else { return };
        match words.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(text)) {
            Some((_, "")) => {}
            Some((_, ours)) => self.put(key, at, Kind::Text((*ours).to_owned())),
            None => {
                let what = format!("`{graph}` knows no `{}`", check::shortened(text));
                let help = format!("it is one of {}", listed(words.iter().map(|(theirs, _)| *theirs)));
                self.found.push(Diagnostic::error("value/word", at, what).help(help));
            }
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
        to.word("guest", identity, "externalUserType", GUESTS);
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
        to.word("platform", conditions, "devicePlatform", PLATFORMS);
        to.word("client", conditions, "clientAppType", CLIENTS);
        to.word("sign-in-risk", conditions, "signInRiskLevel", RISKS);
        to.word("user-risk", conditions, "userRiskLevel", RISKS);
        to.word("service-principal-risk", conditions, "servicePrincipalRiskLevel", RISKS);
        to.word("insider-risk", conditions, "insiderRiskLevel", INSIDER);
        to.copy("acrs", conditions, "acrs");
        to.copy("country", conditions, "country");
        to.copy("ip", conditions, "ipAddress");
        if let Some(flow) = conditions.table("authenticationFlow", &GRAPH_FLOW) {
            to.word("flow", flow, "transferMethod", FLOWS);
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
    let mut entries: Vec<Entry> =
        DEVICE.iter().filter_map(|(theirs, ours)| Some(entry(ours, device.get(theirs)?))).collect();
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
