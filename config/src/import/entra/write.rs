//! What was understood, as files of this format. Values go through the TOML crate's own writer;
//! comments are made of lines that cannot end early.

use toml::{Table, Value};

use super::assignments::{Targets, sides_table};
use super::controls::grant_value;
use super::policy::Draft;
use super::reading::{App, Needs, Reason};
use super::report::printable;
use super::{names, places};

/// The longest line of a comment, in characters, where it can be broken.
const LINE_CHARS: usize = 100;
/// The most reasons and remarks that are written above a policy; the report has all.
const LINES_MAX: usize = 40;

/// A comment: every line of it begins with `#`, whatever the text holds.
fn comment(out: &mut String, indent: &str, text: &str) {
    let mut line = String::new();
    let mut margin = indent.to_owned();
    for word in printable(text).split(' ') {
        if !line.is_empty() && line.chars().count() + word.chars().count() >= LINE_CHARS {
            push_comment(out, &margin, &line);
            margin = " ".repeat(indent.len().max(2));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    push_comment(out, &margin, &line);
}

fn push_comment(out: &mut String, indent: &str, line: &str) {
    out.push_str(format!("# {indent}{line}").trim_end());
    out.push('\n');
}

fn comments<'a>(out: &mut String, indent: &str, lines: impl ExactSizeIterator<Item = &'a str>) {
    let more = lines.len().saturating_sub(LINES_MAX);
    for line in lines.take(LINES_MAX) {
        comment(out, indent, line);
    }
    if more > 0 {
        comment(out, indent, &format!("and {more} more, which the report names"));
    }
}

/// `key = value`; a long list gets a line for each item.
fn pair(out: &mut String, key: &str, value: &Value) {
    out.push_str(key);
    out.push_str(" = ");
    match value {
        Value::Array(items) if items.len() > 3 => {
            out.push_str("[\n");
            for item in items {
                out.push_str(&format!("    {item},\n"));
            }
            out.push(']');
        }
        _ => out.push_str(&value.to_string()),
    }
    out.push('\n');
}

/// A table with its tables below it. What is read first comes first.
fn table(out: &mut String, header: &str, content: &Table) {
    out.push_str(&format!("\n[{header}]\n"));
    let first = ["include", "operator", "mode"];
    let mut pairs: Vec<(&String, &Value)> = content.iter().filter(|(_, value)| !value.is_table()).collect();
    pairs.sort_by_key(|(key, _)| !first.contains(&key.as_str()));
    for (key, value) in pairs {
        pair(out, key, value);
    }
    for (key, value) in content {
        if let Value::Table(inner) = value {
            table(out, &format!("{header}.{key}"), inner);
        }
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// The file of one policy.
pub(super) fn policy(draft: &Draft, id: &str, file: &str, place: &str) -> String {
    let mut out = String::new();
    comment(&mut out, "", &draft.name);
    let entra_id = draft.entra_id.as_deref().unwrap_or("unknown");
    comment(&mut out, "", &format!("Imported from Entra: id {entra_id}, state {}.", draft.entra_state));
    let place = if place.is_empty() { String::new() } else { format!(", at `{place}`") };
    comment(&mut out, "", &format!("From {file}{place}"));
    comments(&mut out, "  ", draft.history.iter().map(String::as_str));
    let reasons = draft.reasons.iter().map(|reason: &Reason| reason.text.as_str());
    if !draft.reasons.is_empty() {
        if draft.state == "disabled" {
            comment(&mut out, "", "NOT ENFORCED: it is written as disabled, because");
        } else {
            let weaker = draft.reasons.iter().any(|reason| reason.loss == super::reading::Loss::Weaker);
            let what = if weaker {
                "WEAKER THAN IN ENTRA: parts were left out (--partial)"
            } else {
                "STRICTER THAN IN ENTRA, because"
            };
            comment(&mut out, "", what);
        }
        comments(&mut out, "  - ", reasons);
    }
    if !draft.placeholders.is_empty() {
        let list = draft.placeholders.join(", ");
        comment(
            &mut out,
            "",
            &format!("TO DO: replace by object ids, until when nobody is meant by them: {list}"),
        );
    }
    if !draft.remarks.is_empty() {
        comment(&mut out, "", "To know:");
        comments(&mut out, "  - ", draft.remarks.iter().map(String::as_str));
    }
    out.push_str("[[policy]]\n");
    pair(&mut out, "id", &text(id));
    pair(&mut out, "name", &text(&draft.name));
    pair(&mut out, "state", &text(draft.state));
    if let Targets::Contexts(contexts) = &draft.targets {
        pair(&mut out, "authentication-contexts", &super::reading::strings(contexts));
    }
    let grant = grant_value(&draft.grant);
    if let Some(Value::String(_)) = &grant {
        if draft.stand_in {
            comment(&mut out, "", "Stands for what cannot be enforced here:");
        }
        pair(&mut out, "grant", &text("block"));
    }
    table(&mut out, &format!("policy.{}", draft.subjects.key), &sides_table(&draft.subjects.sides));
    if let Targets::Apps { sides, filter } = &draft.targets {
        let mut apps = sides_table(sides);
        if sides.include.is_empty() {
            apps.remove("include");
        }
        if let Some(filter) = filter {
            apps.insert("filter".to_owned(), Value::Table(filter.clone()));
        }
        table(&mut out, "policy.apps", &apps);
    }
    if !draft.conditions.is_empty() {
        table(&mut out, "policy.conditions", &draft.conditions);
    }
    if let Some(Value::Table(grant)) = &grant {
        table(&mut out, "policy.grant", grant);
    }
    if !draft.session.is_empty() {
        table(&mut out, "policy.session", &draft.session);
    }
    out
}

/// A named location with what is said above it.
pub(super) fn location(comment: &[String], name: &str, content: &Table) -> String {
    let mut out = String::new();
    comments(&mut out, "", comment.iter().map(String::as_str));
    out.push_str("[[location]]\n");
    pair(&mut out, "name", &text(name));
    for (key, value) in content {
        pair(&mut out, key, value);
    }
    out
}

/// The file with named locations and authentication strengths.
pub(super) fn locations(found: &[String], needs: &Needs) -> String {
    let mut out = String::new();
    comment(&mut out, "", "Named locations and authentication strengths, imported from Entra.");
    for location in found {
        out.push('\n');
        out.push_str(location);
    }
    for (name, id) in &needs.locations {
        out.push('\n');
        comment(
            &mut out,
            "",
            &format!("FILL IN: policies name the location {id}, which is not in the export."),
        );
        comment(&mut out, "", "Until then nobody is ever in it; then enable the policies that wait for it.");
        out.push_str("[[location]]\n");
        pair(&mut out, "name", &text(name));
        for (key, value) in places::placeholder() {
            pair(&mut out, &key, &value);
        }
    }
    for (name, strength) in &needs.strengths {
        out.push('\n');
        comments(&mut out, "", strength.comment.iter().map(String::as_str));
        out.push_str("[[strength]]\n");
        pair(&mut out, "name", &text(name));
        if strength.combinations.is_empty() {
            comment(&mut out, "", "FILL IN `combinations`: until then nobody meets it.");
            pair(&mut out, "acrs", &super::reading::strings([format!("fill-in:{name}")]));
        } else {
            let lists = strength.combinations.iter().map(super::reading::strings);
            pair(&mut out, "combinations", &Value::Array(lists.collect()));
        }
    }
    out
}

/// The main file: everything that Graph does not have, to be filled in.
pub(super) fn main(needs: &Needs, has_policies: bool, has_countries: bool) -> String {
    let mut out = String::new();
    for line in [
        "Imported from Entra. Policies and named locations come from there; what Entra does not know about this \
         proxy is marked FILL IN.",
        "After each change: portcullis check --config portcullis.toml",
    ] {
        comment(&mut out, "", line);
    }
    if has_policies {
        pair(&mut out, "policies", &super::reading::strings(["policies/*.toml"]));
    }
    pair(&mut out, "locations", &super::reading::strings(["locations.toml"]));
    out.push('\n');
    comment(&mut out, "", "FILL IN: where to listen, and `tls = { certificate, key }`.");
    out.push_str("[server]\nlisteners = [{ address = \"127.0.0.1:8080\" }]\nadmin = \"127.0.0.1:9090\"\n\n");
    comment(&mut out, "", "FILL IN: your tenant's id in both URLs, and the audiences of your apps.");
    let tenant = "00000000-0000-0000-0000-000000000000";
    out.push_str("[[issuer]]\nname = \"entra\"\n");
    let issuer = format!("https://login.microsoftonline.com/{tenant}/v2.0");
    pair(&mut out, "issuer", &text(&issuer));
    pair(&mut out, "audiences", &super::reading::strings(["api://fill-in"]));
    let mut keys = Table::new();
    keys.insert("discovery".to_owned(), text(&format!("{issuer}/.well-known/openid-configuration")));
    pair(&mut out, "keys", &Value::Table(keys));
    out.push('\n');
    if !needs.claims.is_empty() {
        comment(
            &mut out,
            "",
            "FILL IN: the claims that carry what these policies ask for; without `#` before them.",
        );
    }
    out.push_str("[issuer.claims]\nuser-id = \"oid\"\n");
    for key in &needs.claims {
        comment(&mut out, "", &format!("{key} = \"FILL IN\""));
    }
    out.push('\n');
    comment(
        &mut out,
        "",
        "FILL IN: version 2 tokens of Entra carry neither `amr` nor `acr`. Without `#`, once your tenant grants the \
         authentication context c1 to nobody without a second factor (deploy/entra-id.md):",
    );
    comment(&mut out, "", "[evidence]");
    comment(&mut out, "", "mfa-contexts = [\"c1\"]");
    if has_countries {
        out.push('\n');
        let note = "FILL IN: a country database in MMDB format, such as MaxMind's GeoLite2-Country or one of its \
                    kind. `check`, `analyze` and `test` work without it; `run` does not start.";
        comment(&mut out, "", note);
        out.push_str("[geo]\ndatabase = \"country.mmdb\"\n");
    }
    apps(&mut out, needs);
    out
}

/// The apps that policies name, and one for each group that would be empty.
fn apps(out: &mut String, needs: &Needs) {
    out.push('\n');
    comment(
        out,
        "",
        "FILL IN: hosts and upstreams of each app that stands behind this proxy; delete an app only together with \
         its name in the policies. `unmatched = \"allow\"` is what Entra does when no policy applies; `deny` is safer.",
    );
    let nothing = App::default();
    let mut written: Vec<(&str, &str, Vec<&str>, &App)> = Vec::new();
    for (id, app) in &needs.apps {
        let groups = match needs.groups.contains_key("office365") && names::is_of_office365(id) {
            true => vec!["office365"],
            false => Vec::new(),
        };
        written.push((id, &app.name, groups, app));
    }
    for (group, word) in &needs.groups {
        if !written.iter().any(|(_, _, groups, _)| groups.contains(group)) {
            let id = if *group == "office365" { "an-office365-app" } else { "a-microsoft-admin-portal" };
            written.push((id, word, vec![group], &nothing));
        }
    }
    if written.is_empty() {
        written.push(("an-app", "", Vec::new(), &nothing));
    }
    for (id, name, groups, app) in written {
        out.push('\n');
        if !name.is_empty() {
            comment(out, "", name);
        }
        out.push_str("[[app]]\n");
        pair(out, "id", &text(id));
        if !name.is_empty() {
            pair(out, "name", &text(&printable(name)));
        }
        pair(out, "hosts", &super::reading::strings([format!("{id}.invalid")]));
        if !groups.is_empty() {
            pair(out, "groups", &super::reading::strings(groups));
        }
        if !app.attributes.is_empty() {
            pair(out, "attributes", &Value::Table(app.attributes.clone()));
        }
        pair(out, "upstreams", &super::reading::strings(["http://127.0.0.1:9"]));
        pair(out, "unmatched", &text("allow"));
    }
}
