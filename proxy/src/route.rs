//! Host and path to an app: one look-up, whose result everybody uses.

use std::collections::HashMap;

use ahash::RandomState;
use http::HeaderValue;
use portcullis_config::settings;
use portcullis_policy::model::AuthenticationContext;
use portcullis_policy::signals::AppIndex;

use crate::kept::for_good;

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The app.
    pub app: AppIndex,
    /// The authentication context that this part of the app asks for.
    pub context: Option<AuthenticationContext>,
    /// The host that was asked; see [`Routes::host`].
    pub host: HostIndex,
}

/// Position of a host within the routes that found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostIndex(u32);

#[derive(Debug)]
struct Candidate {
    host: HostIndex,
    prefix: String,
    app: AppIndex,
    contexts: Vec<(String, AuthenticationContext)>,
}

/// Every app's hosts and prefixes.
#[derive(Debug)]
pub struct Routes {
    hosts: HashMap<String, Vec<Candidate>, RandomState>,
    /// Each host as a header's value.
    values: Vec<HeaderValue>,
}

impl Routes {
    /// Takes the apps; positions become [`AppIndex`]es.
    #[must_use]
    pub fn new(apps: &[settings::App]) -> Self {
        let mut hosts: HashMap<String, Vec<Candidate>, RandomState> = HashMap::default();
        let mut values = Vec::new();
        for (app, position) in apps.iter().zip(0_u32..) {
            let mut contexts = app.contexts.clone();
            contexts.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
            for host in &app.hosts {
                // INVARIANT: a configured host is letters, digits, dots, hyphens or an address in brackets.
                if !host.is_ascii() || HeaderValue::from_str(host).is_err() {
                    continue;
                }
                let Ok(index) = u32::try_from(values.len()) else { continue };
                values.push(HeaderValue::from_static(for_good(host)));
                hosts.entry(host.clone()).or_default().push(Candidate {
                    host: HostIndex(index),
                    prefix: app.path_prefix.clone(),
                    app: AppIndex(position),
                    contexts: contexts.clone(),
                });
            }
        }
        for candidates in hosts.values_mut() {
            candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.prefix.len()));
        }
        Self { hosts, values }
    }

    /// The app with the longest prefix for this host, if any. No allocation.
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> Option<Route> {
        let candidates = self.hosts.get(host)?;
        let found = candidates.iter().find(|candidate| is_below(path, &candidate.prefix))?;
        let context =
            found.contexts.iter().find(|(prefix, _)| is_below(path, prefix)).map(|(_, context)| *context);
        Some(Route { app: found.app, context, host: found.host })
    }

    /// The host of a route as a header's value; `None` when other routes found it.
    #[must_use]
    pub fn host(&self, host: HostIndex) -> Option<&HeaderValue> {
        self.values.get(host.0 as usize)
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
