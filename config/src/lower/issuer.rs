//! Token issuers: whose word counts, and with which keys it is checked.

use std::collections::BTreeMap;
use std::time::Duration;

use super::authorities::authorities;
use super::context::Context;
use super::names::Names;
use super::values;
use crate::diagnose::{At, Diagnostic};
use crate::schema::check::{nearest, shortened};
use crate::schema::tables::{CLAIMS, ISSUER, KEYS};
use crate::schema::tree::{Kind, Node, View};
use crate::settings::{Claims, Issuer, KeySource, ListSeparator, claim_path};
use portcullis_policy::signals::{DeviceAttribute, IssuerEvidence};

/// Signature algorithms with a public key. Sources: RFC 7518, section 3.1; RFC 8037.
const ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
const LEEWAY_MAX: Duration = Duration::from_secs(30);
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Version 2 of Microsoft's tokens has issuers whose URL ends so.
const VERSION_2: &str = "/v2.0";

/// Attributes of the device whose claims have keys of their own.
const HAVE_KEYS: [DeviceAttribute; 5] = [
    DeviceAttribute::DeviceId,
    DeviceAttribute::IsCompliant,
    DeviceAttribute::TrustType,
    DeviceAttribute::OperatingSystem,
    DeviceAttribute::OperatingSystemVersion,
];

/// `contexts_satisfy`: what `[evidence]` says of every issuer, if it does. Browsers sign in at the issuers in
/// `of_providers`; at which, is not known if `None`.
pub(super) fn issuer(
    cx: &mut Context<'_>,
    view: View<'_>,
    names: &mut Names,
    (contexts_satisfy, of_providers): (Option<bool>, Option<&[&str]>),
) -> Option<Issuer> {
    let name = cx.parse_key(view, "name", values::id);
    if let Some(name) = &name {
        names.define(cx, "issuer", name.as_str(), view.at_key("name"));
    }
    let may_be_of_provider =
        of_providers.is_none_or(|names| view.text("name").is_some_and(|name| names.contains(&name)));
    if view.get("audiences").is_none() && !may_be_of_provider {
        cx.push(
            Diagnostic::error("key/missing", view.at(), "`audiences` is missing in [[issuer]]")
                .why("it says for whom the tokens must be made that are accepted")
                .help(
                    "add it; only where browsers sign in at a `[[provider]]` of this issuer it may be absent",
                ),
        );
    }
    cx.not_empty(view, "audiences", "tokens made for other services would have to be accepted, or none");
    for key in ["issuer", "audiences"] {
        no_blank(cx, view, key);
    }
    cx.not_empty(view, "algorithms", "no token could be verified");
    cx.not_empty(view, "types", "no token would be of an accepted type");
    let algorithms = algorithms(cx, view);
    let types = view.texts("types").map(|(text, _)| text.to_ascii_lowercase()).collect();
    let keys = keys(cx, view);
    let ca = authorities(cx, view, "ca");
    if let (Some(_), Some(KeySource::File(_))) = (view.get("ca"), &keys) {
        cx.push(
            Diagnostic::error("issuer/ca", view.at_key("ca"), "an issuer with a key file has an authority")
                .why("its keys come from no server, so that no certificate is checked")
                .help("take `ca` away, or name a `url` or `discovery`"),
        );
    }
    let leeway = cx.parse_key(view, "leeway", values::duration)?;
    if leeway > LEEWAY_MAX {
        cx.push(
            Diagnostic::error("issuer/leeway", view.at_key("leeway"), "`leeway` is more than 30s")
                .why("a token that has ended would be accepted for that long")
                .help("write at most `\"30s\"` and let clocks be synchronised"),
        );
    }
    let max_age = cx.parse_key(view, "max-age", values::duration);
    let refresh = cx.parse_key(view, "refresh", values::duration)?;
    let refresh_min = cx.parse_key(view, "refresh-min", values::duration)?;
    let stale_max = cx.parse_key(view, "stale-max", values::duration)?;
    if refresh_min < Duration::from_secs(1) || refresh < refresh_min || stale_max < refresh {
        cx.push(
            Diagnostic::error("issuer/refresh", view.at_key("refresh"), "the times of fetching keys contradict each other")
                .help("`refresh-min` is at least 1s, `refresh` at least `refresh-min`, `stale-max` at least `refresh`"),
        );
    }
    let claims = claims(cx, view.table_or_default("claims", &CLAIMS));
    let evidence = evidence(view, &claims, contexts_satisfy);
    Some(Issuer {
        name: name?.as_str().to_owned(),
        issuer: view.text("issuer")?.to_owned(),
        audiences: view.owned("audiences"),
        algorithms,
        types,
        keys: keys?,
        ca,
        leeway,
        max_age,
        refresh,
        refresh_min,
        stale_max,
        claims,
        evidence,
    })
}

/// What the word of an issuer is good for. Tokens of version 2 have neither `amr` nor `acr` (Microsoft: "Access
/// token claims reference"), so that no new sign-in brings them, unless a claim of another name is said to be
/// them; and they have `acrs`.
fn evidence(view: View<'_>, claims: &Claims, contexts_satisfy: Option<bool>) -> IssuerEvidence {
    let is_version_2 = view.text("issuer").is_some_and(|issuer| issuer.ends_with(VERSION_2));
    let mapped = |key: &str| view.table("claims", &CLAIMS).is_some_and(|table| table.get(key).is_some());
    let own = view.get("contexts-satisfy").and_then(Node::boolean);
    IssuerEvidence {
        contexts_satisfy: own.or(contexts_satisfy).unwrap_or(is_version_2),
        asserts_methods: !is_version_2 || mapped("methods"),
        asserts_acr: !is_version_2 || mapped("acr"),
        asserts_password_change: claims.password_changed.is_some() && claims.risk_seen.is_some(),
        asserts_terms: claims.terms.is_some(),
        asserts_custom_controls: claims.custom_controls.is_some(),
    }
}

/// Whether an issuer's tokens have a state of the device under this key of `[issuer.claims]`: Microsoft's own
/// carry neither compliance nor join type, unless a claim of one's own does.
pub(super) fn asserts_device(view: View<'_>, key: &str) -> bool {
    let iss = view.text("issuer").unwrap_or_default();
    let is_microsoft = iss.ends_with(VERSION_2) || iss.starts_with("https://sts.windows.net/");
    !is_microsoft || view.table("claims", &CLAIMS).is_some_and(|table| table.get(key).is_some())
}

fn no_blank(cx: &mut Context<'_>, view: View<'_>, key: &str) {
    let own = view.text(key).map(|text| (text, view.at_key(key)));
    for (text, at) in own.into_iter().chain(view.texts(key)) {
        if text.trim() != text || text.is_empty() || text.contains('\0') {
            cx.push(
                Diagnostic::error("value/empty", at, format!("`{key}` is empty or has blanks at its ends"))
                    .why("it compares exactly with what tokens say")
                    .help("write it exactly as tokens have it, without blanks at its ends"),
            );
        }
    }
}

fn algorithms(cx: &mut Context<'_>, view: View<'_>) -> Vec<String> {
    let mut accepted = Vec::new();
    for (text, at) in view.texts("algorithms") {
        // RFC 9864 names the same algorithms with their curves.
        let name = match text {
            "Ed25519" => "EdDSA",
            "ESP256" => "ES256",
            "ESP384" => "ES384",
            other => other,
        };
        if ALGORITHMS.contains(&name) {
            if !accepted.iter().any(|known| known == name) {
                accepted.push(name.to_owned());
            }
            continue;
        }
        let lower = text.to_ascii_lowercase();
        let (what, why) = if lower == "none" {
            ("`none` is no signature", "everybody could write tokens")
        } else if lower.starts_with("hs") {
            ("a symmetrical algorithm is not accepted", "whoever can check such a token can also write one")
        } else {
            ("", "no token could be verified with it")
        };
        let what =
            if what.is_empty() { format!("no algorithm `{}`", shortened(text)) } else { what.to_owned() };
        let help = match nearest(text, ALGORITHMS.into_iter()) {
            Some(near) if !lower.starts_with("hs") => format!("did you mean `{near}`?"),
            _ => format!("accepted are {}", ALGORITHMS.join(", ")),
        };
        cx.push(Diagnostic::error("issuer/algorithm", at, what).why(why).help(help));
    }
    accepted
}

fn keys(cx: &mut Context<'_>, view: View<'_>) -> Option<KeySource> {
    let keys = view.table("keys", &KEYS)?;
    let given = ["file", "url", "discovery"].into_iter().filter(|key| keys.get(key).is_some());
    if given.count() != 1 {
        cx.push(
            Diagnostic::error(
                "issuer/keys",
                keys.at(),
                "`keys` has not exactly one of `file`, `url`, `discovery`",
            )
            .why("it must be clear which keys are trusted")
            .help("write `keys = { discovery = \"https://…/.well-known/openid-configuration\" }`, or one of the other two"),
        );
        return None;
    }
    if keys.get("file").is_some() {
        return cx.readable(keys, "file").map(KeySource::File);
    }
    if keys.get("url").is_some() {
        let url = cx.parse_key(keys, "url", values::secure_url)?;
        return Some(KeySource::Url(url.into()));
    }
    let url = cx.parse_key(keys, "discovery", values::secure_url)?;
    if !url.path().ends_with(DISCOVERY) {
        let base = url.as_str().trim_end_matches('/');
        cx.push(
            Diagnostic::error("issuer/keys", keys.at_key("discovery"), "this is no discovery document")
                .help(format!("did you mean `{base}{DISCOVERY}`?")),
        );
        return None;
    }
    Some(KeySource::Discovery(url.into()))
}

/// The name of a claim as it is written, or the path to it as the settings carry it.
fn claim_name(node: &Node) -> Option<String> {
    if let Some(text) = node.text() {
        return Some(text.to_owned());
    }
    let names: Vec<&str> = node.items().iter().filter_map(Node::text).collect();
    match names.as_slice() {
        [] => None,
        [one] if !one.contains('.') => Some((*one).to_owned()),
        names => Some(claim_path(names)),
    }
}

/// A path has at least one name, and none is blank.
fn check_claim_path(cx: &mut Context<'_>, node: &Node) {
    if !matches!(node.kind, Kind::List(_)) {
        return;
    }
    let is_blank = |item: &Node| {
        item.text()
            .is_some_and(|text| text.trim() != text || text.is_empty() || text.contains(char::is_control))
    };
    if node.items().is_empty() || node.items().iter().any(is_blank) {
        cx.push(
            Diagnostic::error("value/empty", node.at, "the path to a claim is empty, or one of its names is")
                .help("write each name as the token has it: `[\"resource_access\", \"my.app\", \"roles\"]`"),
        );
    }
}

fn claims(cx: &mut Context<'_>, view: View<'_>) -> Claims {
    let keys = CLAIMS.keys.iter().map(|key| key.name);
    for key in keys.filter(|key| !matches!(*key, "extra" | "device-attributes")) {
        no_blank(cx, view, key);
    }
    no_blank(cx, view, "extra");
    for key in CLAIMS.keys.iter().map(|key| key.name).filter(|key| *key != "device-attributes") {
        if let Some(node) = view.get(key) {
            let one = std::slice::from_ref(node);
            for node in if key == "extra" { node.items() } else { one } {
                check_claim_path(cx, node);
            }
        }
    }
    Claims { device_attributes: device_attributes(cx, view), ..named_claims(view) }
}

impl Default for Claims {
    /// The names of claims where no file names others.
    fn default() -> Self {
        named_claims(View::absent(&CLAIMS))
    }
}

/// The names of claims as they are written, or as they are by default.
fn named_claims(view: View<'_>) -> Claims {
    let optional = |key: &str| view.get(key).and_then(claim_name);
    let name = |key: &str| {
        let default = || view.default_text(key).map(ToOwned::to_owned);
        optional(key).or_else(default).unwrap_or_default()
    };
    Claims {
        user_id: name("user-id"),
        user_name: name("user-name"),
        groups: name("groups"),
        roles: name("roles"),
        list_separator: view.word("list-separator", ListSeparator::from_word),
        methods: name("methods"),
        acr: name("acr"),
        contexts: name("contexts"),
        auth_time: name("auth-time"),
        device_id: name("device-id"),
        device_compliant: name("device-compliant"),
        device_trust_type: name("device-trust-type"),
        device_os: name("device-os"),
        device_os_version: name("device-os-version"),
        sign_in_risk: optional("sign-in-risk"),
        user_risk: optional("user-risk"),
        insider_risk: optional("insider-risk"),
        service_principal_risk: optional("service-principal-risk"),
        risk_seen: optional("risk-seen"),
        flow: optional("flow"),
        guest_kind: optional("guest-kind"),
        home_tenant: optional("home-tenant"),
        device_attributes: Vec::new(),
        terms: optional("terms"),
        custom_controls: optional("custom-controls"),
        password_changed: optional("password-changed"),
        extra: view.items("extra").iter().filter_map(claim_name).collect(),
    }
}

fn device_attributes(cx: &mut Context<'_>, view: View<'_>) -> Vec<(DeviceAttribute, String)> {
    let mut found = Vec::new();
    for entry in view.get("device-attributes").map_or(&[][..], |node| node.entries()) {
        check_claim_path(cx, &entry.value);
        let Some(claim) = claim_name(&entry.value) else { continue };
        match DeviceAttribute::from_name(&entry.key).filter(|found| !HAVE_KEYS.contains(found)) {
            Some(attribute) if found.iter().any(|(known, _)| *known == attribute) => cx.push(
                Diagnostic::error(
                    "id/duplicate",
                    entry.at,
                    format!("`{}` is written twice", shortened(&entry.key)),
                )
                .why("it would depend on their order which claim counts")
                .help("delete one of them"),
            ),
            Some(attribute) => found.push((attribute, claim)),
            None => {
                let of_list =
                    DeviceAttribute::NAMED.into_iter().filter(|(_, found)| !HAVE_KEYS.contains(found));
                let names = of_list.map(|(name, _)| name);
                let what = format!("no device attribute `{}`", shortened(&entry.key));
                let help = match nearest(&entry.key, names.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!(
                        "they are {}, extensionAttribute1 to 15; compliance, join type and system have keys of their own",
                        names.collect::<Vec<_>>().join(", ")
                    ),
                };
                cx.push(Diagnostic::error("key/unknown", entry.at, what).help(help));
            }
        }
    }
    found
}

/// Two issuers with one `iss` would leave it to their order whose keys count.
pub(super) fn same_iss(cx: &mut Context<'_>, main: View<'_>) {
    let mut seen: BTreeMap<&str, At> = BTreeMap::new();
    for view in main.tables("issuer", &ISSUER) {
        let (Some(iss), at) = (view.text("issuer"), view.at_key("issuer")) else { continue };
        if let Some(first) = seen.insert(iss, at) {
            let place = cx.sources.place(first.file, first.start);
            cx.push(
                Diagnostic::error(
                    "id/duplicate",
                    at,
                    format!("issuer `{}` is defined twice", shortened(iss)),
                )
                .label("defined again")
                .why("it would depend on their order whose keys count")
                .help(format!("first defined at {place}")),
            );
        }
    }
}
