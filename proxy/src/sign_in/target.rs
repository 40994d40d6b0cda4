//! Where a browser may be sent after it signed in: a path that our own router knows as the app's, on the app's own host, and
//! nothing else. An open redirect begins with the first exception.

use portcullis_config::settings::OWN_PATHS;
use portcullis_policy::path::{Compare, is_below, read};
use portcullis_policy::signals::AppIndex;

use crate::admit::Site;
use crate::route::Found;
use crate::state::Snapshot;

/// The longest that is remembered, in bytes: it goes into a cookie.
const TARGET_BYTES_MAX: usize = 1_500;

/// A target on `host` that leads to an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReturnTarget {
    pub(super) app: AppIndex,
    /// The path, with its query.
    pub(super) text: String,
}

/// Reads a target; `None` when it leads anywhere but to one app of ours on this host.
pub(super) fn read_target(snapshot: &Snapshot, host: &str, text: &str) -> Option<ReturnTarget> {
    let is_plain = text
        .bytes()
        .all(|byte| matches!(byte, b'!'..=b'~') && !matches!(byte, b'\\' | b'#' | b'"' | b'<' | b'>'));
    if text.len() > TARGET_BYTES_MAX || !is_plain || !text.starts_with('/') || text.starts_with("//") {
        return None;
    }
    let path = text.split('?').next().unwrap_or_default();
    let path = read(path.as_bytes()).ok()?;
    let is_ours = |path: &str| is_below(path, OWN_PATHS, Compare::Folded);
    if is_ours(path.written()) || path.others().iter().any(|other| is_ours(other)) {
        return None;
    }
    let found = snapshot.routes.find(host, path.written(), path.others().iter().map(String::as_str));
    let Found::App(route) = found else { return None };
    // What the app would be refused is no place to go to.
    let app = snapshot.config.apps.get(route.app.0 as usize)?;
    let is_allowed = path.forms().beyond(app.allow_paths).is_none();
    is_allowed.then(|| ReturnTarget { app: route.app, text: text.to_owned() })
}

/// Where a browser goes that wanted nothing in particular.
pub(super) fn front_page(snapshot: &Snapshot, host: &str) -> Option<ReturnTarget> {
    let apps = snapshot.config.apps.iter().filter(|app| app.has_host(host));
    let prefixes = apps.filter(|app| !app.sign_in.is_empty()).map(|app| app.path_prefix.as_str());
    std::iter::once("/").chain(prefixes).find_map(|text| {
        let found = read_target(snapshot, host, text)?;
        let app = snapshot.config.apps.get(found.app.0 as usize)?;
        (!app.sign_in.is_empty()).then_some(found)
    })
}

/// The origin of a host as its clients know it (RFC 6454, section 6.2).
pub(super) fn origin(site: Site, host: &str) -> String {
    let port = site.written_port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{host}{port}", site.scheme.as_str())
}
