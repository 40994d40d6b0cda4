//! Who may import whom: the house on one page, held against the sources.
//!
//! Three laws. No circle: neither of files nor of folders beside each other. No import that [`ROOMS`] does not list. No
//! pingora outside [`PINGORA`]. What breaks them today stands in [`KNOWN`]; what stands there and breaks nothing any more
//! must be taken out.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{self, Graph, Import, circles};
use super::{complain, root};

/// The crates in the order of the direction, with the names by which others import them.
const CRATES: [(&str, &str); 3] =
    [("policy", "portcullis_policy"), ("config", "portcullis_config"), ("proxy", "portcullis")];

/// Each room, lowest first, and the rooms of its own crate that it may import. What a lower crate has is open to all rooms
/// above it; that no crate imports one above it is held by the manifests.
const ROOMS: &[(&str, &[&str])] = &[
    ("policy/text", &[]),
    ("policy/words", &[]),
    ("policy/tri", &[]),
    ("policy/value", &[]),
    ("policy/path", &["text"]),
    ("policy/signals", &["value"]),
    ("policy/rule", &["path", "signals", "text", "tri", "value"]),
    ("policy/model", &["path", "rule", "signals", "text", "tri", "value"]),
    ("policy/decision", &["model", "signals"]),
    ("policy/reference", &["decision", "model", "path", "rule", "signals", "text", "tri", "value"]),
    ("policy/compile", &["decision", "model", "path", "rule", "signals", "text", "tri", "value"]),
    ("policy/scope", &["compile", "decision", "signals", "tri"]),
    ("policy/decide", &["compile", "decision", "model", "rule", "scope", "signals", "tri", "value"]),
    ("policy/opening", &["compile", "decision", "model", "path", "signals"]),
    ("policy/explain", &["decision", "model", "reference", "signals", "tri", "value"]),
    ("policy/obstacles", &["compile", "decision", "model", "rule", "scope", "signals", "tri", "value"]),
    (
        "policy/remedy",
        &[
            "compile",
            "decide",
            "decision",
            "model",
            "obstacles",
            "path",
            "rule",
            "scope",
            "signals",
            "text",
            "tri",
            "value",
        ],
    ),
    (
        "policy/analyze",
        &["compile", "decision", "model", "path", "reference", "rule", "signals", "tri", "value"],
    ),
    //
    ("config/printable", &[]),
    ("config/file", &[]),
    ("config/output", &[]),
    ("config/reserved", &[]),
    ("config/settings", &[]),
    ("config/vocabulary", &[]),
    ("config/diagnose", &["printable"]),
    ("config/include", &[]),
    ("config/schema", &["diagnose", "settings"]),
    ("config/lower", &["diagnose", "file", "reserved", "schema", "settings", "vocabulary"]),
    ("config/load", &["diagnose", "file", "include", "lower", "schema", "settings"]),
    ("config/ask", &["diagnose", "load", "lower", "schema", "settings", "vocabulary"]),
    ("config/import", &["file", "output", "printable", "vocabulary"]),
    ("config/reference", &["schema"]),
    //
    ("proxy/clock", &[]),
    ("proxy/failure", &[]),
    ("proxy/process_log", &[]),
    ("proxy/reference", &[]),
    ("proxy/refusal", &[]),
    ("proxy/seal", &[]),
    ("proxy/tls", &["clock", "refusal"]),
    ("proxy/decision_record", &["refusal"]),
    ("proxy/admit", &["refusal"]),
    ("proxy/route", &[]),
    ("proxy/token", &["clock", "failure", "refusal"]),
    ("proxy/context", &["admit", "token"]),
    ("proxy/assertion", &["admit", "token"]),
    ("proxy/limit", &[]),
    ("proxy/cors", &[]),
    ("proxy/session", &["admit", "clock", "failure", "seal", "token"]),
    ("proxy/denial", &["admit", "clock", "decision_record", "limit", "reference", "refusal"]),
    ("proxy/waiting", &["seal"]),
    (
        "proxy/help_desk",
        &["clock", "decision_record", "denial", "failure", "reference", "refusal", "waiting"],
    ),
    ("proxy/pages", &["clock", "denial", "reference", "refusal"]),
    ("proxy/own", &["admit", "denial", "session"]),
    ("proxy/forward_auth", &["admit", "denial"]),
    ("proxy/record", &["clock", "decision_record", "failure", "limit", "refusal", "session", "token"]),
    ("proxy/upstream", &["admit", "clock", "failure", "record", "route", "seal", "session", "tls", "token"]),
    ("proxy/remedies", &[]),
    ("proxy/preflight", &["record"]),
    ("proxy/provider", &["clock", "failure", "record", "refusal", "token"]),
    (
        "proxy/state",
        &[
            "assertion",
            "clock",
            "context",
            "denial",
            "limit",
            "own",
            "pages",
            "process_log",
            "provider",
            "record",
            "remedies",
            "route",
            "seal",
            "session",
            "tls",
            "token",
            "upstream",
            "waiting",
        ],
    ),
    (
        "proxy/authorize",
        &[
            "admit",
            "context",
            "cors",
            "decision_record",
            "denial",
            "limit",
            "own",
            "record",
            "refusal",
            "route",
            "session",
            "state",
            "tls",
            "token",
            "upstream",
            "waiting",
        ],
    ),
    ("proxy/background", &["provider", "state", "token", "upstream"]),
    ("proxy/listener", &["admit", "clock", "limit", "record", "state", "tls"]),
    (
        "proxy/wait",
        &[
            "admit",
            "authorize",
            "clock",
            "limit",
            "listener",
            "record",
            "refusal",
            "session",
            "state",
            "tls",
            "waiting",
        ],
    ),
    (
        "proxy/sign_in",
        &[
            "admit",
            "assertion",
            "clock",
            "denial",
            "own",
            "pages",
            "provider",
            "record",
            "refusal",
            "route",
            "seal",
            "session",
            "state",
            "token",
            "waiting",
        ],
    ),
    (
        "proxy/exchange",
        &[
            "admit",
            "assertion",
            "authorize",
            "clock",
            "denial",
            "failure",
            "forward_auth",
            "limit",
            "listener",
            "own",
            "record",
            "refusal",
            "session",
            "sign_in",
            "state",
            "tls",
            "upstream",
        ],
    ),
    (
        "proxy/gateway",
        &[
            "admit",
            "authorize",
            "clock",
            "cors",
            "denial",
            "exchange",
            "failure",
            "forward_auth",
            "limit",
            "listener",
            "own",
            "pages",
            "record",
            "reference",
            "refusal",
            "sign_in",
            "state",
            "tls",
            "upstream",
            "wait",
            "waiting",
        ],
    ),
    (
        "proxy/admin",
        &["background", "clock", "help_desk", "limit", "listener", "record", "session", "state", "upstream"],
    ),
    (
        "proxy/server",
        &[
            "admin",
            "background",
            "gateway",
            "limit",
            "listener",
            "preflight",
            "process_log",
            "record",
            "session",
            "sign_in",
            "state",
            "upstream",
            "wait",
        ],
    ),
    ("proxy/demo", &["clock"]),
    (
        "proxy/cli",
        &[
            "clock",
            "context",
            "decision_record",
            "demo",
            "denial",
            "help_desk",
            "limit",
            "pages",
            "preflight",
            "refusal",
            "route",
            "server",
            "session",
            "state",
            "tls",
            "token",
            "upstream",
        ],
    ),
];

/// The rooms that speak pingora.
const PINGORA: [&str; 4] = ["proxy/gateway", "proxy/listener", "proxy/server", "proxy/upstream"];

/// Imports that break a law and are still to be cut.
const KNOWN: &[(&str, &str)] = &[];

/// The room of a file: the second step of its name.
fn room(file: &str) -> &str {
    let end = file.match_indices('/').nth(1).map_or(file.len(), |(at, _)| at);
    &file[..end]
}

fn is_between_rooms_that_may(from: &str, to: &str) -> bool {
    let (from, to) = (room(from), room(to));
    let own_crate = from.split('/').next();
    from == to
        || own_crate != to.split('/').next()
        || !to.contains('/')
        || ROOMS
            .iter()
            .any(|(room, may)| *room == from && may.iter().any(|one| to.ends_with(&format!("/{one}"))))
}

/// The imports of a graph as folders beside each other see them, for each folder.
fn between_siblings(imports: &BTreeSet<Import>) -> BTreeMap<String, BTreeSet<Import>> {
    let mut found: BTreeMap<String, BTreeSet<Import>> = BTreeMap::new();
    for (from, to) in imports {
        let mut steps = from.split('/').zip(to.split('/')).take_while(|(a, b)| a == b).map(|(a, _)| a);
        let parent = steps.by_ref().collect::<Vec<_>>().join("/");
        let child = |file: &str| {
            let below = file.strip_prefix(&parent)?.strip_prefix('/')?;
            Some(format!("{parent}/{}", below.split('/').next()?))
        };
        if let (false, Some(from), Some(to)) = (parent.is_empty(), child(from), child(to)) {
            found.entry(parent.clone()).or_default().insert((from, to));
        }
    }
    found
}

fn problems(graph: &Graph) -> Vec<String> {
    let shown = |ring: &BTreeSet<Import>| {
        let lines: Vec<_> = ring.iter().map(|(from, to)| format!("\n    {from} imports {to}")).collect();
        lines.concat()
    };
    let mut found = Vec::new();
    for ring in circles(&graph.imports) {
        found.push(format!("a circle of files:{}", shown(&ring)));
    }
    for (parent, imports) in between_siblings(&graph.imports) {
        for ring in circles(&imports) {
            found.push(format!("a circle of folders in {parent}:{}", shown(&ring)));
        }
    }
    for (from, to) in &graph.imports {
        if !is_between_rooms_that_may(from, to) {
            found.push(format!("{from} imports {to}: ROOMS does not list {} for {}", room(to), room(from)));
        }
        if from.contains('/') && !ROOMS.iter().any(|(one, _)| *one == room(from)) {
            found.push(format!("{from}: say in ROOMS what {} may import", room(from)));
        }
    }
    for (from, name) in &graph.foreign {
        if name.starts_with("pingora") && !PINGORA.contains(&room(from)) {
            found.push(format!("{from} imports {name}: PINGORA does not list {}", room(from)));
        }
    }
    found.sort();
    found.dedup();
    found
}

fn known() -> BTreeSet<Import> {
    KNOWN.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
}

fn without(graph: &Graph, cut: &BTreeSet<Import>) -> Graph {
    Graph {
        imports: graph.imports.difference(cut).cloned().collect(),
        foreign: graph.foreign.difference(cut).cloned().collect(),
    }
}

#[test]
fn no_room_imports_what_it_must_not_know() {
    let graph = graph::read(&root(), &CRATES);
    assert!(graph.imports.len() > 300, "the sources are not read: {} imports", graph.imports.len());
    complain(&problems(&without(&graph, &known())));
}

#[test]
fn what_is_known_to_break_a_law_still_does() {
    let graph = graph::read(&root(), &CRATES);
    let known = known();
    let breaks_none = |import: &&Import| {
        let mut others = known.clone();
        others.remove(*import);
        problems(&without(&graph, &others)).is_empty()
    };
    let idle: Vec<_> = known
        .iter()
        .filter(breaks_none)
        .map(|(from, to)| format!("{from} imports {to}: breaks no law any more; take it out of KNOWN"))
        .collect();
    complain(&idle);
}

#[test]
fn rooms_are_listed_lowest_first() {
    let mut seen = BTreeSet::new();
    for (room, may) in ROOMS {
        let own_crate = room.split('/').next().unwrap_or_default();
        for one in *may {
            assert!(
                seen.contains(&format!("{own_crate}/{one}")),
                "{room} may import {one}, which stands above it"
            );
        }
        seen.insert((*room).to_owned());
    }
}

/// `cargo test -p portcullis --test tidy print -- --nocapture` prints the graph of rooms.
#[test]
fn print_what_the_rooms_import() {
    let graph = graph::read(&root(), &CRATES);
    let mut rooms: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in graph.imports.iter().filter(|(from, to)| room(from) != room(to)) {
        rooms.entry(room(from)).or_default().insert(room(to));
    }
    for (room, _) in ROOMS {
        let to = rooms.get(room).into_iter().flatten().copied().collect::<Vec<_>>();
        println!("{room} -> {}", to.join(" "));
    }
}
