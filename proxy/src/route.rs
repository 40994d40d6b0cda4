//! Host and path to an app: one look-up, whose result everybody uses.

use std::collections::HashMap;

use ahash::RandomState;
use http::HeaderValue;
use portcullis_config::settings;
use portcullis_policy::model::AuthenticationContext;
use portcullis_policy::signals::AppIndex;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route<'t> {
    /// The app.
    pub app: AppIndex,
    /// The authentication context that this part of the app asks for.
    pub context: Option<AuthenticationContext>,
    /// The host that was asked, as a header's value.
    pub host: &'t HeaderValue,
}

#[derive(Debug)]
struct Candidate {
    host: HeaderValue,
    prefix: String,
    app: AppIndex,
    contexts: Vec<(String, AuthenticationContext)>,
}

/// Every app's hosts and prefixes.
#[derive(Debug)]
pub struct Routes {
    hosts: HashMap<String, Vec<Candidate>, RandomState>,
}

impl Routes {
    /// Takes the apps; positions become [`AppIndex`]es.
    #[must_use]
    pub fn new(apps: &[settings::App]) -> Self {
        let mut hosts: HashMap<String, Vec<Candidate>, RandomState> = HashMap::default();
        for (app, position) in apps.iter().zip(0_u32..) {
            let mut contexts = app.contexts.clone();
            contexts.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
            for host in &app.hosts {
                // INVARIANT: a configured host is letters, digits, dots, hyphens or an address in brackets.
                let Ok(value) = HeaderValue::from_str(host) else { continue };
                hosts.entry(host.clone()).or_default().push(Candidate {
                    host: value,
                    prefix: app.path_prefix.clone(),
                    app: AppIndex(position),
                    contexts: contexts.clone(),
                });
            }
        }
        for candidates in hosts.values_mut() {
            candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.prefix.len()));
        }
        Self { hosts }
    }

    /// The app with the longest prefix for this host, if any. No allocation.
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> Option<Route<'_>> {
        let candidates = self.hosts.get(host)?;
        let found = candidates.iter().find(|candidate| is_below(path, &candidate.prefix))?;
        let context =
            found.contexts.iter().find(|(prefix, _)| is_below(path, prefix)).map(|(_, context)| *context);
        Some(Route { app: found.app, context, host: &found.host })
    }
}

/// Whether `path` is `prefix` or below it, segment by segment.
fn is_below(path: &str, prefix: &str) -> bool {
    prefix == "/" || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_segment() {
        assert!(is_below("/admin", "/admin") && is_below("/admin/x", "/admin") && is_below("/x", "/"));
        assert!(!is_below("/administrator", "/admin") && !is_below("/", "/admin"));
    }
}
