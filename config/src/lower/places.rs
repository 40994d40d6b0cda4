//! Named locations and authentication strengths.

use portcullis_policy::PolicySet;
use portcullis_policy::model::{AuthenticationStrength, NamedLocation, Place};

use super::context::Context;
use super::definitions::Definitions;
use super::values;
use crate::diagnose::Diagnostic;
use crate::schema::check::shortened;
use crate::schema::tables::{LOCATION, STRENGTH};
use crate::schema::tree::{Node, View};

/// Methods that are phishing-resistant and prove two factors: a FIDO key or passkey with user
/// verification, and a smart card with its PIN. Method names: RFC 8176 and Entra's `amr` values.
const PHISHING_RESISTANT: &[&[&str]] = &[&["fido"], &["sc", "pin"]];
/// A device-bound key unlocked by PIN or biometrics, or the authenticator app's key.
const PASSWORDLESS: &[&[&str]] =
    &[&["ngcmfa"], &["hwk", "pin"], &["hwk", "fpt"], &["hwk", "face"], &["rsa", "mfa"]];
/// Something known and something possessed.
const MULTIFACTOR: &[&[&str]] =
    &[&["mfa"], &["pwd", "otp"], &["pwd", "sms"], &["pwd", "tel"], &["pwd", "hwk"], &["pwd", "swk"]];
/// OpenID Connect Extended Authentication Profile, section 3: phishing-resistant, also hardware.
const PHISHING_RESISTANT_ACRS: &[&str] = &["phr", "phrh"];

/// Adds Entra's three built-in strengths.
pub(super) fn built_in_strengths(known: &mut Definitions, set: &mut PolicySet) {
    let strengths: [(&str, &[&[&[&str]]]); 3] = [
        ("phishing-resistant-mfa", &[PHISHING_RESISTANT]),
        ("passwordless-mfa", &[PHISHING_RESISTANT, PASSWORDLESS]),
        ("multifactor-authentication", &[PHISHING_RESISTANT, PASSWORDLESS, MULTIFACTOR]),
    ];
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    for (name, parts) in strengths {
        known.strengths.built_in(name);
        set.strengths.push(AuthenticationStrength {
            name: name.to_owned(),
            combinations: parts.iter().flat_map(|part| part.iter()).map(|words| owned(words)).collect(),
            acrs: owned(PHISHING_RESISTANT_ACRS),
            contexts: Vec::new(),
        });
    }
}

/// The locations and strengths of one file.
pub(super) fn places(cx: &mut Context<'_>, file: View<'_>, known: &mut Definitions, set: &mut PolicySet) {
    for view in file.tables("location", &LOCATION) {
        set.locations.extend(location(cx, view, known));
    }
    for view in file.tables("strength", &STRENGTH) {
        set.strengths.extend(strength(cx, view, known));
    }
}

fn location(cx: &mut Context<'_>, view: View<'_>, known: &mut Definitions) -> Option<NamedLocation> {
    let name = view.text("name");
    if let Some(name) = name {
        named(cx, view, name);
        known.locations.define(cx, "location", name, view.at_key("name"));
    }
    let (networks, countries) = (view.get("networks"), view.get("countries"));
    if networks.is_some() == countries.is_some() {
        cx.push(
            Diagnostic::error("location/kind", view.at(), "a location has either `networks` or `countries`")
                .help("make two locations and name both in the policy"),
        );
        return None;
    }
    let stray = if networks.is_some() { "include-unknown" } else { "trusted" };
    if view.get(stray).is_some() {
        let other = if networks.is_some() { "countries" } else { "networks" };
        cx.push(
            Diagnostic::error(
                "location/kind",
                view.at_key(stray),
                format!("`{stray}` goes with `{other}` only"),
            )
            .why("it would have no effect")
            .help("take it away"),
        );
    }
    let why = "nobody would ever be in this location";
    let place = if networks.is_some() {
        cx.not_empty(view, "networks", why);
        let networks = cx.parse_list(view, "networks", values::network);
        Place::Networks { networks, trusted: view.is_on("trusted") }
    } else {
        cx.not_empty(view, "countries", why);
        if !known.has_geo {
            cx.push(
                Diagnostic::error(
                    "location/no-geo",
                    view.at_key("countries"),
                    "a country location without `[geo]`",
                )
                .why("the country of an address would never be known, so nobody would ever be in it")
                .help("name a country database: `[geo]` with `database = \"country.mmdb\"`"),
            );
        }
        let countries = cx.parse_list(view, "countries", values::country);
        Place::Countries { countries, include_unknown: view.is_on("include-unknown") }
    };
    Some(NamedLocation { name: name?.to_owned(), place })
}

fn named(cx: &mut Context<'_>, view: View<'_>, name: &str) {
    let blank = name.trim() != name || name.is_empty() || name.chars().any(char::is_control);
    if blank || name.len() > 256 || matches!(name, "all" | "all-trusted" | "none") {
        cx.push(
            Diagnostic::error(
                "id/invalid",
                view.at_key("name"),
                format!("`{}` cannot be a name", shortened(name)),
            )
            .help(
                "a name has 1 to 256 bytes, no blanks at its ends, and is not `all`, `all-trusted` or `none`",
            ),
        );
    }
}

fn strength(cx: &mut Context<'_>, view: View<'_>, known: &mut Definitions) -> Option<AuthenticationStrength> {
    let name = view.text("name");
    if let Some(name) = name {
        named(cx, view, name);
        known.strengths.define(cx, "strength", name, view.at_key("name"));
    }
    let combinations = view.items("combinations");
    for node in combinations {
        let blank = node.items().iter().any(|item| item.text().is_some_and(|text| text.trim().is_empty()));
        if node.items().is_empty() || blank {
            cx.push(
                Diagnostic::error("value/empty", node.at, "a combination without methods")
                    .why("every sign-in would meet it")
                    .help("name the methods that are enough together, such as `[\"pwd\", \"otp\"]`"),
            );
        }
    }
    if combinations.is_empty() && view.items("acrs").is_empty() && view.items("contexts").is_empty() {
        cx.push(
            Diagnostic::error("value/empty", view.at(), "a strength without combinations")
                .why("no sign-in could ever meet it")
                .help("write `combinations = [[\"fido\"], [\"pwd\", \"otp\"]]`, `acrs` or `contexts`"),
        );
    }
    let texts =
        |node: &Node| node.items().iter().filter_map(|item| item.text().map(ToOwned::to_owned)).collect();
    Some(AuthenticationStrength {
        name: name?.to_owned(),
        combinations: combinations.iter().map(texts).collect(),
        acrs: view.owned("acrs"),
        contexts: cx.parse_list(view, "contexts", values::context),
    })
}
