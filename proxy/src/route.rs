//! Host and path to an app: one look-up, whose result all later modules use.

mod rewrite;

use std::collections::HashMap;

use ahash::RandomState;
use http::HeaderValue;
use portcullis_config::settings::{self, contexts_of};
use portcullis_policy::Reading;
use portcullis_policy::model::AuthenticationContext;
use portcullis_policy::path::{PathCase, is_below};
use portcullis_policy::signals::AppIndex;

pub(crate) use rewrite::{PrefixRewrite, RewrittenTarget};

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route<'r> {
    /// The app.
    pub app: AppIndex,
    /// The authentication context that this part of the app asks for.
    pub context: Option<AuthenticationContext>,
    /// Everything that the request may be about, if that is more than one path with one context.
    pub readings: Vec<Reading<'r>>,
    /// The host that was asked, as a header's value.
    pub host: HeaderValue,
}

/// What was found for a host and the paths that a request may be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'r> {
    /// One app.
    App(Route<'r>),
    /// No app.
    None,
    /// The paths do not lead to one app, and it is unclear which of them would serve the request.
    Several,
}

#[derive(Debug)]
struct Candidate {
    /// `None` for a wildcard: the host that was asked.
    host: Option<HeaderValue>,
    prefix: String,
    app: AppIndex,
    contexts: Vec<(String, AuthenticationContext)>,
    paths: PathCase,
}

/// Every app's hosts and prefixes.
#[derive(Debug)]
pub struct Routes {
    hosts: HashMap<String, Vec<Candidate>, RandomState>,
    /// By what stands behind `*.`.
    wildcards: HashMap<String, Vec<Candidate>, RandomState>,
    /// By app.
    rewrites: Vec<Option<PrefixRewrite>>,
}

impl Routes {
    /// Takes the apps; positions become [`AppIndex`]es.
    #[must_use]
    pub fn new(apps: &[settings::App]) -> Self {
        let mut hosts: HashMap<String, Vec<Candidate>, RandomState> = HashMap::default();
        let mut wildcards: HashMap<String, Vec<Candidate>, RandomState> = HashMap::default();
        for (app, position) in apps.iter().zip(0_u32..) {
            for host in &app.hosts {
                // INVARIANT: a configured host is letters, digits, dots, hyphens or an address in brackets.
                let Ok(value) = HeaderValue::from_str(host) else { continue };
                let (map, name, value) = match host.strip_prefix("*.") {
                    Some(rest) => (&mut wildcards, rest, None),
                    None => (&mut hosts, host.as_str(), Some(value)),
                };
                map.entry(name.to_owned()).or_default().push(Candidate {
                    host: value,
                    prefix: app.path_prefix.clone(),
                    app: AppIndex(position),
                    contexts: app.contexts.clone(),
                    paths: app.paths,
                });
            }
        }
        for candidates in hosts.values_mut().chain(wildcards.values_mut()) {
            // Of two prefixes of one path the one with more segments is the longer, however they are spelled.
            candidates.sort_by_key(|candidate| {
                std::cmp::Reverse(candidate.prefix.split('/').filter(|segment| !segment.is_empty()).count())
            });
        }
        Self { hosts, wildcards, rewrites: apps.iter().map(PrefixRewrite::of).collect() }
    }

    /// Whether some app has this host.
    #[must_use]
    pub fn has_host(&self, host: &str) -> bool {
        !self.candidates(host).is_empty()
    }

    /// Keeps a host from every wildcard: it is no app's.
    #[must_use]
    pub fn without(mut self, host: Option<&str>) -> Self {
        if let Some(host) = host {
            self.hosts.entry(host.to_owned()).or_default();
        }
        self
    }

    /// Those of an exact name, or else of the wildcard for its first label: a name that is known is never its wildcard's.
    fn candidates(&self, host: &str) -> &[Candidate] {
        let of_wildcard = || {
            let (_, rest) = host.split_once('.').filter(|(first, _)| !first.is_empty())?;
            self.wildcards.get(rest)
        };
        self.hosts.get(host).or_else(of_wildcard).map_or(&[][..], Vec::as_slice)
    }

    /// How the paths of an app are rewritten, if they are.
    pub(crate) fn rewrite(&self, app: AppIndex) -> Option<&PrefixRewrite> {
        self.rewrites.get(app.0 as usize)?.as_ref()
    }

    /// The app with the longest prefix for this host and path, if any; `others` are further paths that the
    /// request may be about. No allocation unless there are such, or letter case decides on the context.
    #[must_use]
    pub fn find<'r>(&self, host: &str, path: &'r str, others: impl Iterator<Item = &'r str>) -> Found<'r> {
        let candidates = self.candidates(host);
        let find = |path: &str| candidates.iter().find(|candidate| candidate.covers(path));
        let found = find(path);
        let app = |candidate: Option<&Candidate>| candidate.map(|candidate| candidate.app);
        let mut readings = Vec::new();
        for other in others {
            if app(find(other)) != app(found) {
                return Found::Several;
            }
            if let Some(candidate) = found {
                readings.extend(candidate.readings(other));
            }
        }
        let Some(found) = found else { return Found::None };
        let (context, by_case) = contexts_of(&found.contexts, found.paths, path);
        if by_case.is_some() || !readings.is_empty() {
            readings.extend(found.readings(path));
        }
        // A host that was admitted is fit for a header.
        let host = match &found.host {
            Some(host) => host.clone(),
            None => match HeaderValue::from_str(host) {
                Ok(host) => host,
                Err(_) => return Found::None,
            },
        };
        Found::App(Route { app: found.app, context, readings, host })
    }
}

impl Candidate {
    /// What routes to an app routes to its rules, so it ignores case unless the app is known not to.
    fn covers(&self, path: &str) -> bool {
        is_below(path, &self.prefix, self.paths.stricter())
    }

    /// A path with each context that it may ask for.
    fn readings<'r>(&self, path: &'r str) -> impl Iterator<Item = Reading<'r>> {
        let (context, by_case) = contexts_of(&self.contexts, self.paths, path);
        [Some(context), by_case].into_iter().flatten().map(move |context| Reading { path, context })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Routes of a configuration with these apps.
    fn routes(apps: &str) -> Routes {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portcullis.toml");
        fs::write(folder.path().join("keys.json"), "{\"keys\": []}").unwrap();
        let text = format!(
            "[server]\nlisteners = [{{ address = \"127.0.0.1:8080\" }}]\n\n[[issuer]]\nname = \"idp\"\nissuer = \"https://idp.test\"\naudiences = [\"api\"]\nkeys = {{ url = \"https://idp.test/jwks\" }}\n\n{apps}"
        );
        fs::write(&path, text).unwrap();
        let loaded = portcullis_config::load(&path);
        let problems = portcullis_config::diagnose::render_text(&loaded.diagnostics, &loaded.sources);
        Routes::new(&loaded.config.unwrap_or_else(|| panic!("{problems}")).apps)
    }

    fn app(id: &str, lines: &str) -> String {
        format!(
            "[[app]]\nid = \"{id}\"\nhosts = [\"wiki.test\"]\nupstreams = [\"http://127.0.0.1:9\"]\n{lines}\n"
        )
    }

    /// The app and the context of the first reading, and how many readings there are.
    fn found(routes: &Routes, path: &str, others: &[&str]) -> Option<(u32, Option<String>, usize)> {
        match routes.find("wiki.test", path, others.iter().copied()) {
            Found::App(route) => {
                Some((route.app.0, route.context.map(|context| context.to_string()), route.readings.len()))
            }
            Found::None | Found::Several => None,
        }
    }

    #[test]
    fn the_app_with_the_longest_prefix_is_found_by_whole_segments_and_without_case() {
        let apps =
            [app("root", ""), app("admin", "path = \"/admin\""), app("deep", "path = \"/admin/übung\"")];
        let routes = routes(&apps.concat());
        for (path, expected) in [
            ("/", 0),
            ("/administrator", 0),
            ("/admin", 1),
            ("/ADMIN", 1),
            ("/Admin/", 1),
            ("/admin/x", 1),
            ("/admin/übung", 2),
            ("/ADMIN/ÜBUNG/1", 2),
        ] {
            assert_eq!(found(&routes, path, &[]), Some((expected, None, 0)), "{path}");
        }
    }

    #[test]
    fn an_exact_host_wins_over_a_wildcard_and_a_wildcard_stands_for_one_label() {
        let host = |id: &str, hosts: &str, lines: &str| {
            format!(
                "[[app]]\nid = \"{id}\"\nhosts = {hosts}\nupstreams = [\"http://127.0.0.1:9\"]\n{lines}\n"
            )
        };
        let apps = [
            host("any", r#"["*.corp.test"]"#, ""),
            host("admin", r#"["*.corp.test"]"#, "path = \"/admin\""),
            host("wiki", r#"["wiki.corp.test"]"#, "path = \"/wiki\""),
            host("deep", r#"["*.dev.corp.test"]"#, ""),
        ];
        let routes = routes(&apps.concat()).without(Some("login.corp.test"));
        let find = |host: &str, path: &str| match routes.find(host, path, [].into_iter()) {
            Found::App(route) => Some((route.app.0, route.host.to_str().unwrap().to_owned())),
            Found::None | Found::Several => None,
        };
        for (host, path, app) in [
            ("x.corp.test", "/", Some(0)),
            ("x.corp.test", "/admin/y", Some(1)),
            ("wiki.corp.test", "/wiki", Some(2)),
            ("wiki.corp.test", "/", None),
            ("wiki.corp.test", "/admin", None),
            ("x.dev.corp.test", "/", Some(3)),
            ("dev.corp.test", "/", Some(0)),
            ("a.b.corp.test", "/", None),
            ("corp.test", "/", None),
            (".corp.test", "/", None),
            ("login.corp.test", "/", None),
            ("*.corp.test", "/", Some(0)),
        ] {
            assert_eq!(find(host, path), app.map(|app| (app, host.to_owned())), "{host}{path}");
        }
        assert!(routes.has_host("x.corp.test") && !routes.has_host("corp.test"));
    }

    #[test]
    fn an_app_with_case_sensitive_paths_is_found_by_its_own_spelling() {
        let apps = [app("root", ""), app("admin", "path = \"/admin\"\npaths = \"case-sensitive\"")];
        let routes = routes(&apps.concat());
        assert_eq!(found(&routes, "/admin/x", &[]), Some((1, None, 0)));
        assert_eq!(found(&routes, "/Admin/x", &[]), Some((0, None, 0)));
    }

    #[test]
    fn readings_that_lead_to_different_apps_lead_to_none() {
        let apps = [app("root", ""), app("admin", "path = \"/admin\"")];
        let both = routes(&apps.concat());
        assert_eq!(found(&both, "/x%2Fadmin", &["/x/admin"]), Some((0, None, 2)));
        assert_eq!(found(&both, "//admin", &["/admin"]), None);
        assert_eq!(both.find("wiki.test", "//admin", ["/admin"].into_iter()), Found::Several);
        let admin = routes(&apps[1]);
        assert_eq!(admin.find("wiki.test", "//admin", ["/admin"].into_iter()), Found::Several);
        assert_eq!(admin.find("wiki.test", "//x", ["/x"].into_iter()), Found::None);
        assert_eq!(admin.find("other.test", "/admin", [].into_iter()), Found::None);
    }

    #[test]
    fn a_context_is_asked_for_in_any_spelling_and_a_laxer_one_by_its_own_alone() {
        let contexts =
            "contexts = [{ path = \"/pay\", context = \"c1\" }, { path = \"/pay/help\", context = \"c2\" }]";
        let routes = routes(&app("shop", contexts));
        let c = |number: &str| Some(number.to_owned());
        assert_eq!(found(&routes, "/pay/x", &[]), Some((0, c("c1"), 0)));
        assert_eq!(found(&routes, "/pay/help", &[]), Some((0, c("c2"), 0)));
        // On a case-sensitive server this is no help page: both contexts are required.
        assert_eq!(found(&routes, "/pay/HELP", &[]), Some((0, c("c2"), 2)));
        assert_eq!(found(&routes, "/PAY", &[]), Some((0, c("c1"), 2)));
        assert_eq!(found(&routes, "/x", &["/pay"]), Some((0, None, 2)));
    }
}
