//! Named locations.

use std::net::IpAddr;

use ipnet::IpNet;
use toml::{Table, Value};

use super::account::Field;
use super::json::Json;
use super::names;
use super::reading::{Loss, Reading, strings};
use crate::vocabulary::countries::is_assigned;

/// An address that no request comes from: the discard-only prefix of RFC 6666.
pub(super) const NOBODY: &str = "100::/128";

/// Whether an object is a named location.
pub(super) fn is_location(json: &Json) -> bool {
    let typed = json.get("@odata.type").and_then(Json::text);
    typed.is_some_and(|text| text.to_ascii_lowercase().ends_with("namedlocation"))
        || json.get("ipRanges").is_some()
        || json.get("countriesAndRegions").is_some()
        || json.get("countryLookupMethod").is_some()
}

/// A named location as the keys of `[[location]]`, without its name.
pub(super) fn location(reading: &mut Reading<'_>, root: &Field<'_>) -> Table {
    if let Some((field, _)) = reading.text(root, "displayName") {
        reading.taken(&field, "");
    }
    for name in ["id", "createdDateTime", "modifiedDateTime"] {
        if let Some((field, _)) = reading.text(root, name) {
            reading.adapted(&field, "written as a comment, or without effect");
        }
    }
    let typed = reading.text(root, "@odata.type").map(|(field, text)| {
        reading.taken(&field, "");
        text.to_ascii_lowercase()
    });
    let typed = typed.as_deref().unwrap_or_default();
    let by_address = root.get("ipRanges").is_some() || typed.ends_with(".ipnamedlocation");
    let by_country = root.get("countriesAndRegions").is_some() || typed.ends_with(".countrynamedlocation");
    let table = match (by_address, by_country) {
        (true, false) => networks(reading, root),
        (false, true) => countries(reading, root),
        _ => {
            reading.reason(
                Loss::Unknown,
                "it is neither a list of addresses nor one of countries: Global Secure Access and the like do not \
                 pass through here",
            );
            None
        }
    };
    for (name, member) in root.members() {
        if is_beside(name, member.json) {
            reading.adapted(&member, "describes the location, not where it is");
        }
    }
    reading.settle(root);
    table.unwrap_or_else(placeholder)
}

/// Whether a property is one that people and tools write beside a location: texts that no address hangs on.
fn is_beside(name: &str, json: &Json) -> bool {
    const WORDS: [&str; 16] = [
        "comment",
        "note",
        "remark",
        "description",
        "owner",
        "contact",
        "tag",
        "label",
        "ticket",
        "purpose",
        "reason",
        "created",
        "modified",
        "updated",
        "version",
        "url",
    ];
    let name = name.to_ascii_lowercase();
    let is_text = |json: &Json| matches!(json, Json::Text(_) | Json::Number(_));
    let texts = match json {
        Json::List(items) => items.iter().all(is_text),
        other => is_text(other),
    };
    texts && (name.starts_with(['_', '$', '/']) || WORDS.iter().any(|word| name.contains(word)))
}

/// A location in which nobody is.
pub(super) fn placeholder() -> Table {
    let mut table = Table::new();
    table.insert("networks".to_owned(), strings([NOBODY]));
    table
}

fn networks(reading: &mut Reading<'_>, root: &Field<'_>) -> Option<Table> {
    let mut networks = Vec::new();
    for item in reading.list(root, "ipRanges") {
        if let Some((typed, _)) = reading.text(&item, "@odata.type") {
            reading.taken(&typed, "");
        }
        let Some((field, text)) = reading.text(&item, "cidrAddress") else {
            // What it says instead stays unknown, and `settle` says so.
            reading.reason(Loss::Unknown, format!("{}: a range without `cidrAddress`", item.path));
            continue;
        };
        match network(text) {
            Some((network, exact)) => {
                if exact {
                    reading.taken(&field, "");
                } else {
                    reading.adapted(&field, &format!("means the network `{network}`"));
                }
                networks.push(network.to_string());
            }
            None => reading.refused(&field, Loss::Weaker, "is no network"),
        }
    }
    let trusted = reading.flag(root, "isTrusted").is_some_and(|(field, trusted)| {
        reading.taken(&field, "");
        trusted
    });
    if networks.is_empty() {
        reading.reason(Loss::Weaker, "no network is left in it");
        return None;
    }
    let mut table = Table::new();
    table.insert("networks".to_owned(), strings(networks));
    table.insert("trusted".to_owned(), Value::Boolean(trusted));
    Some(table)
}

/// A network or address, and whether it was written without bits beyond its prefix.
fn network(text: &str) -> Option<(IpNet, bool)> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((IpNet::from(address), true));
    }
    let network: IpNet = text.parse().ok()?;
    Some((network.trunc(), network.trunc() == network))
}

fn countries(reading: &mut Reading<'_>, root: &Field<'_>) -> Option<Table> {
    let mut by_address = true;
    if let Some((field, text)) = reading.text(root, "countryLookupMethod") {
        by_address = text.eq_ignore_ascii_case("clientIpAddress");
        if by_address {
            reading.taken(&field, "");
        } else {
            let note = "the place that the Authenticator app reports is not in tokens; by address it would be \
                        another place";
            reading.refused(&field, Loss::Unknown, note);
        }
    }
    let mut countries = Vec::new();
    for (field, text) in reading.texts(root, "countriesAndRegions") {
        let code = text.to_ascii_uppercase();
        if is_assigned(&code) {
            reading.taken(&field, "");
            countries.push(code);
        } else {
            reading.refused(&field, Loss::Weaker, "is no country code of ISO 3166-1");
        }
    }
    let unknown = reading.flag(root, "includeUnknownCountriesAndRegions").is_some_and(|(field, unknown)| {
        reading.taken(&field, "");
        unknown
    });
    if countries.is_empty() {
        reading.reason(Loss::Weaker, "no country is left in it");
    }
    if !by_address || countries.is_empty() {
        return None;
    }
    let mut table = Table::new();
    table.insert("countries".to_owned(), strings(countries));
    table.insert("include-unknown".to_owned(), Value::Boolean(unknown));
    Some(table)
}

/// The name that a location would like. What policies say with words of their own is no name.
pub(super) fn wanted_name(display: &str) -> String {
    match names::slug(display, "location") {
        slug if matches!(slug.as_str(), "all" | "all-trusted" | "none") => format!("location-{slug}"),
        slug => slug,
    }
}
