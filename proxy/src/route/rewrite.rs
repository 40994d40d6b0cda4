//! What an app receives in place of its own path, and where a path of the app's own is found by its clients.
//!
//! A request is rewritten before it is judged, and both its paths are: the one that was asked for and the one that the app
//! will see. What cannot be rewritten so that all readers agree is refused.

use http::HeaderValue;
use http::uri::PathAndQuery;
use percent_encoding::{CONTROLS, percent_encode};
use portcullis_config::settings::App;
use portcullis_policy::path::{Compare, ReadPath, is_below, read};

/// How the paths of one app are rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PrefixRewrite {
    /// The app's path, in normal form.
    prefix: String,
    /// How many segments that has.
    segments: usize,
    compare: Compare,
    /// The app's path as it is sent; empty for the root.
    public: String,
    /// What stands in its place, as it is sent; empty for the root.
    internal: String,
}

/// What an app receives instead of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RewrittenTarget {
    /// Path and query.
    pub(crate) target: PathAndQuery,
    /// `Destination`, where it was sent.
    pub(crate) destination: Option<HeaderValue>,
    /// The part of the path that the app does not see, as clients send it.
    pub(crate) prefix: HeaderValue,
}

/// A request as its app will see it.
#[derive(Debug)]
pub(crate) struct Rewritten {
    /// Path and query.
    pub(crate) target: PathAndQuery,
    /// How the path reads.
    pub(crate) path: ReadPath<'static>,
}

/// A path that cannot be rewritten so that it has one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unrewritable;

impl PrefixRewrite {
    /// What this app asks for, if it does.
    pub(crate) fn of(app: &App) -> Option<Self> {
        let internal = app.shaping.prefix_rewrite.as_deref()?;
        Some(Self { compare: app.paths.stricter(), ..Self::plain(&app.path_prefix, internal) })
    }

    /// For an app that takes letter case as it likes.
    pub(crate) fn plain(prefix: &str, internal: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            segments: prefix.split('/').filter(|segment| !segment.is_empty()).count(),
            compare: Compare::Folded,
            public: sent(prefix),
            internal: sent(internal),
        }
    }

    /// The app's path, as clients send it; empty for the root.
    pub(crate) fn public(&self) -> &str {
        &self.public
    }

    /// A path with what stands in place of the app's own, whatever that comes to.
    ///
    /// # Errors
    /// When it does not begin with the app's path.
    fn path(&self, asked: &[u8]) -> Result<Vec<u8>, Unrewritable> {
        let (removed, rest) = self.split(asked).ok_or(Unrewritable)?;
        // What is taken away is the app's path, and not what only has as many slashes.
        let is_prefix = match removed {
            b"" => self.segments == 0,
            removed => read(removed).is_ok_and(|read| {
                let written = read.written();
                is_below(written, &self.prefix, self.compare) && is_below(&self.prefix, written, self.compare)
            }),
        };
        let path = match (self.internal.as_bytes(), rest) {
            (b"", b"") => b"/".to_vec(),
            (internal, rest) => [internal, rest].concat(),
        };
        if is_prefix { Ok(path) } else { Err(Unrewritable) }
    }

    /// The target of a request as the app will see it.
    ///
    /// # Errors
    /// When its path does not begin with the app's, or when what comes out could be read as anything but a path from the
    /// root.
    pub(crate) fn target(&self, asked: &[u8]) -> Result<Rewritten, Unrewritable> {
        let query = memchr::memchr(b'?', asked).unwrap_or(asked.len());
        let (path, query) = asked.split_at_checked(query).ok_or(Unrewritable)?;
        let path = self.path(path)?;
        let reading = owned(&path)?;
        // What stood behind the app's path stands at the root now: an app that decodes an escaped slash there, or takes
        // parameters away, has two slashes as well.
        if begins_a_host(&reading) {
            return Err(Unrewritable);
        }
        let target = PathAndQuery::try_from([&path, query].concat()).map_err(|_| Unrewritable)?;
        // What is sent is what was read: nothing was cut off.
        if target.path().as_bytes() != path {
            Err(Unrewritable)
        } else {
            Ok(Rewritten { target, path: reading })
        }
    }

    /// The head and the rest of a path, cut behind as many segments as the app's path has.
    fn split<'p>(&self, asked: &'p [u8]) -> Option<(&'p [u8], &'p [u8])> {
        let slashes = memchr::memchr_iter(b'/', asked);
        let end = slashes.chain([asked.len()]).nth(self.segments)?;
        let (head, rest) = asked.split_at_checked(end)?;
        (asked.starts_with(b"/") && (rest.is_empty() || rest.starts_with(b"/"))).then_some((head, rest))
    }

    /// Whether a path lies below the app's own, as clients send it.
    pub(crate) fn is_public(&self, path: &str) -> bool {
        is_at_or_below(path, &self.public)
    }

    /// Where clients find a path that the app speaks of; `None` where they do not, or it is theirs already.
    pub(crate) fn back(&self, spoken: &str) -> Option<String> {
        if !spoken.starts_with('/') || spoken.starts_with("//") {
            return None;
        }
        // It knows its path: by `X-Forwarded-Prefix`, or because somebody told it.
        let knows = !self.public.is_empty() && self.is_public(spoken);
        if knows && !self.is_public(&self.internal) {
            return None;
        }
        let rest =
            spoken.strip_prefix(self.internal.as_str()).filter(|_| is_at_or_below(spoken, &self.internal))?;
        let path = [&self.public, rest].concat();
        let path = if path.is_empty() { "/".to_owned() } else { path };
        (!path.starts_with("//")).then_some(path)
    }
}

/// By whole segments; an empty prefix is the root.
fn is_at_or_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a server may read it as a path that begins with two slashes: as a host and its path (RFC 3986, section 4.2).
fn begins_a_host(path: &ReadPath<'_>) -> bool {
    path.others().iter().map(String::as_str).chain([path.written()]).any(|reading| reading.starts_with("//"))
}

fn owned(path: &[u8]) -> Result<ReadPath<'static>, Unrewritable> {
    read(path).map(ReadPath::into_owned).map_err(|_| Unrewritable)
}

/// A path in normal form as it is sent, without a slash at its end.
fn sent(path: &str) -> String {
    percent_encode(path.trim_end_matches('/').as_bytes(), CONTROLS).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rewrite(prefix: &str, internal: &str) -> PrefixRewrite {
        PrefixRewrite::plain(prefix, internal)
    }

    fn target(rewrite: &PrefixRewrite, asked: &str) -> Option<String> {
        rewrite.target(asked.as_bytes()).ok().map(|rewritten| rewritten.target.to_string())
    }

    #[test]
    fn a_prefix_is_taken_away_or_replaced_by_whole_segments() {
        let strip = rewrite("/gitlab", "/");
        let replace = rewrite("/gitlab", "/app/v1");
        let add = rewrite("/", "/base");
        for (asked, stripped, replaced, added) in [
            ("/gitlab", Some("/"), Some("/app/v1"), Some("/base/gitlab")),
            ("/gitlab/", Some("/"), Some("/app/v1/"), Some("/base/gitlab/")),
            ("/gitlab?a=/x", Some("/?a=/x"), Some("/app/v1?a=/x"), Some("/base/gitlab?a=/x")),
            ("/GitLab/x", Some("/x"), Some("/app/v1/x"), Some("/base/GitLab/x")),
            (
                "/gitlab/a%2Fb/-/raw",
                Some("/a%2Fb/-/raw"),
                Some("/app/v1/a%2Fb/-/raw"),
                Some("/base/gitlab/a%2Fb/-/raw"),
            ),
            ("/gitlab//x", None, Some("/app/v1//x"), Some("/base/gitlab//x")),
            ("/gitlab//evil.test/x", None, Some("/app/v1//evil.test/x"), Some("/base/gitlab//evil.test/x")),
            ("/gitlabx/y", None, None, Some("/base/gitlabx/y")),
            ("/x/gitlab/y", None, None, Some("/base/x/gitlab/y")),
            ("//gitlab/y", None, None, Some("/base//gitlab/y")),
            ("/gitlab/../admin", None, None, None),
            // Whatever an app may take for two slashes at the beginning.
            ("/gitlab/%2Fevil.test", None, Some("/app/v1/%2Fevil.test"), Some("/base/gitlab/%2Fevil.test")),
            (
                "/gitlab/%2fevil.test/x",
                None,
                Some("/app/v1/%2fevil.test/x"),
                Some("/base/gitlab/%2fevil.test/x"),
            ),
            (
                "/gitlab/%2F%2Fevil.test",
                None,
                Some("/app/v1/%2F%2Fevil.test"),
                Some("/base/gitlab/%2F%2Fevil.test"),
            ),
            ("/gitlab/;a/evil.test", None, Some("/app/v1/;a/evil.test"), Some("/base/gitlab/;a/evil.test")),
            (
                "/gitlab/;a%2Fevil.test",
                None,
                Some("/app/v1/;a%2Fevil.test"),
                Some("/base/gitlab/;a%2Fevil.test"),
            ),
            (
                "/gitlab/;%2Fx/evil.test",
                None,
                Some("/app/v1/;%2Fx/evil.test"),
                Some("/base/gitlab/;%2Fx/evil.test"),
            ),
            ("/gitlab/a;/%2Fx", Some("/a;/%2Fx"), Some("/app/v1/a;/%2Fx"), Some("/base/gitlab/a;/%2Fx")),
            // And for a way up.
            ("/gitlab/%2e%2e/x", None, None, None),
            ("/gitlab/.%2Fx", None, None, None),
            ("/gitlab/%2E;a/x", None, None, None),
            ("/gitlab/x%2F..%2Fy", None, None, None),
            ("/gitlab/x/..;a/y", None, None, None),
            ("/gitlab/x/%2e%2e%20/y", None, None, None),
            ("/gitlab%2Fx", None, None, Some("/base/gitlab%2Fx")),
            ("/gitlab;x/y", None, None, Some("/base/gitlab;x/y")),
            ("/", None, None, Some("/base/")),
            ("", None, None, None),
            ("gitlab/x", None, None, None),
        ] {
            assert_eq!(target(&strip, asked).as_deref(), stripped, "strip {asked}");
            assert_eq!(target(&replace, asked).as_deref(), replaced, "replace {asked}");
            assert_eq!(target(&add, asked).as_deref(), added, "add {asked}");
        }
    }

    #[test]
    fn a_prefix_that_is_no_ascii_is_taken_away_as_it_is_sent() {
        let strip = rewrite("/übung/a", "/ö");
        assert_eq!(target(&strip, "/%C3%BCbung/a/x").as_deref(), Some("/%C3%B6/x"));
        assert_eq!(target(&strip, "/%C3%9CBUNG/A").as_deref(), Some("/%C3%B6"));
        // Read as a slash by some, this has one segment less than the app's path.
        assert_eq!(target(&strip, "/%C3%BCbung%EF%BC%8Fa/x"), None);
        assert_eq!(strip.back("/%C3%B6/x").as_deref(), Some("/%C3%BCbung/a/x"));
    }

    #[test]
    fn what_the_app_speaks_of_is_found_by_its_clients() {
        for (prefix, internal, spoken, found) in [
            ("/gitlab", "/", "/", Some("/gitlab/")),
            ("/gitlab", "/", "/users/sign_in", Some("/gitlab/users/sign_in")),
            ("/gitlab", "/", "/gitlab/users", None),
            ("/gitlab", "/", "/gitlabs", Some("/gitlab/gitlabs")),
            ("/gitlab", "/", "//evil.test/", None),
            ("/gitlab", "/", "users", None),
            ("/gitlab", "/app", "/app", Some("/gitlab")),
            ("/gitlab", "/app", "/app/x", Some("/gitlab/x")),
            ("/gitlab", "/app", "/apps", None),
            ("/gitlab", "/app", "/other", None),
            ("/", "/app", "/app", Some("/")),
            ("/", "/app", "/app/x", Some("/x")),
            ("/", "/app", "/app//evil.test/x", None),
            ("/", "/app", "/x", None),
            ("/a", "/a/b", "/a/b/c", Some("/a/c")),
        ] {
            let found = found.map(str::to_owned);
            assert_eq!(rewrite(prefix, internal).back(spoken), found, "{prefix} {internal} {spoken}");
        }
    }

    fn segment() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-c]{1,2}",
            Just("..".to_owned()),
            Just(".".to_owned()),
            Just(String::new()),
            Just("%2e%2e".to_owned()),
            Just("%2F".to_owned()),
            Just("..%2F..".to_owned()),
            Just("a;b".to_owned()),
            Just(";b".to_owned()),
            Just("%2Fa".to_owned()),
            Just(";%2Fa".to_owned()),
            Just("\\..".to_owned()),
            Just("%5c".to_owned()),
            Just("%25%32%65".to_owned()),
            Just("\u{ff0f}".to_owned()),
            "[a-c%2FfEe.;/\\\\]{0,6}",
        ]
    }

    proptest! {
        /// Whatever is asked for, the app is asked for a path below what stands in place of its own, or for nothing.
        #[test]
        fn a_rewritten_path_never_leaves_what_the_app_is_given(
            segments in prop::collection::vec(segment(), 0..6),
            internal in prop::sample::select(vec!["/", "/x", "/x/y"]),
            prefix in prop::sample::select(vec!["/", "/a", "/a/b"]),
        ) {
            let rewrite = rewrite(prefix, internal);
            let asked = format!("/{}", segments.join("/"));
            if let Ok(rewritten) = rewrite.target(asked.as_bytes()) {
                let sent = rewritten.target.path().to_owned();
                let again = read(sent.as_bytes()).unwrap();
                prop_assert!(sent.starts_with('/') && !sent.starts_with("//"), "{} {}", asked, sent);
                prop_assert!(is_below(again.written(), internal, Compare::Exact), "{} {}", asked, sent);
                for other in again.others() {
                    prop_assert!(!other.starts_with("//"), "{} {}", asked, other);
                    prop_assert!(!other.split('/').any(|segment| segment == ".."), "{} {}", asked, other);
                }
                prop_assert_eq!(again.written(), rewritten.path.written());
            }
        }

        /// And a path that the app speaks of comes back to it.
        #[test]
        fn a_path_that_is_led_back_leads_to_the_app(
            rest in "(/[a-c]{1,2}){0,4}/?",
            internal in prop::sample::select(vec!["/", "/x", "/x/y"]),
            prefix in prop::sample::select(vec!["/", "/a", "/a/b"]),
        ) {
            let rewrite = rewrite(prefix, internal);
            let spoken = format!("{}{rest}", internal.trim_end_matches('/'));
            if let Some(found) = rewrite.back(&spoken) {
                let asked = rewrite.path(found.as_bytes()).unwrap();
                let asked = String::from_utf8(asked).unwrap();
                prop_assert_eq!(asked.trim_end_matches('/'), spoken.trim_end_matches('/'), "{}", found);
            }
        }
    }
}
