//! Which hosts and paths lead to an app; two apps never share one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use portcullis_policy::path::{PathCase, folded};

use super::client_certificates::Entrances;
use super::context::Context;
use super::values;
use crate::diagnose::{At, Diagnostic};
use crate::schema::tree::View;

/// Which host and path lead to an app already, and where we listen.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// By the host, and the path without letter case.
    taken: BTreeMap<(String, String), Vec<Taken>>,
    pub(super) own: Vec<SocketAddr>,
    pub(super) entrances: Option<Entrances>,
}

impl Routes {
    /// Nothing is taken yet; the process listens on `own`, and clients come in by `entrances`, if these could be
    /// read.
    pub(super) fn new(own: Vec<SocketAddr>, entrances: Option<Entrances>) -> Self {
        Self { taken: BTreeMap::new(), own, entrances }
    }
}

impl Routes {
    /// Warns where an exact host takes from a wildcard what it does not serve itself.
    pub(super) fn shadowed(&self, cx: &mut Context<'_>) {
        let exact: BTreeSet<&str> =
            self.taken.keys().map(|(host, _)| host.as_str()).filter(|host| !host.starts_with("*.")).collect();
        for host in exact {
            let Some((_, rest)) = host.split_once('.') else { continue };
            let of = |wanted: &str| {
                let routes = self.taken.iter().filter(move |((host, _), _)| host == wanted);
                routes.flat_map(|(_, taken)| taken).collect::<Vec<_>>()
            };
            let (own, wild) = (of(host), of(&format!("*.{rest}")));
            let (Some(first), Some(wildcard)) = (own.first(), wild.first()) else { continue };
            if own.iter().any(|taken| taken.path == "/") {
                continue;
            }
            let place = cx.sources.place(wildcard.at.file, wildcard.at.start);
            let what =
                format!("`{host}` is taken from `*.{rest}`, and only `{}` of it is served", first.path);
            cx.push(
                Diagnostic::warning("host/shadowed", first.at, what)
                    .why(format!("an exact host wins over a wildcard with all its paths; the others lead nowhere (404). The wildcard stands at {place}"))
                    .help("give an app the host with the path `/`, too"),
            );
        }
    }
}

#[derive(Debug)]
struct Taken {
    path: String,
    case: PathCase,
    at: At,
}

pub(super) fn hosts(
    cx: &mut Context<'_>,
    view: View<'_>,
    (path, case): (&str, PathCase),
    routes: &mut Routes,
) -> Vec<String> {
    cx.not_empty(view, "hosts", "no request would ever be for this app");
    let mut hosts = Vec::new();
    for (name, at) in view.texts("hosts") {
        let Some(host) = cx.parse(name, at, values::host_or_wildcard) else { continue };
        let taken = routes.taken.entry((host.clone(), folded(path))).or_default();
        let tells_apart = |other: &Taken| {
            other.path != path && [case, other.case].iter().all(|case| *case == PathCase::Sensitive)
        };
        let first = taken.iter().find(|other| !tells_apart(other)).map(|first| first.at);
        taken.push(Taken { path: path.to_owned(), case, at });
        if let Some(first) = first {
            let place = cx.sources.place(first.file, first.start);
            cx.push(
                Diagnostic::error(
                    "host/duplicate",
                    at,
                    format!("`{host}` with path `{path}` is taken already"),
                )
                .label("leads to two apps")
                .why("it would depend on their order whose policies protect it")
                .help(format!("first used at {place}")),
            );
        }
        hosts.push(host);
    }
    hosts
}
