//! Where an app that is asked under another path or host sends its clients: what it says of its own place is led back to the
//! place that they know. Only its own servers' names and the host that it was asked for are its own; all others are left as
//! they are.

use http::header::{CONTENT_LOCATION, LOCATION, REFRESH, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_config::settings::{App, UpstreamHost};

use crate::admit::Site;
use crate::route::PrefixRewrite;

/// How the answers of one app are led back.
#[derive(Debug)]
pub(super) struct Back {
    prefix: Option<PrefixRewrite>,
    /// What the app may take for its own host, lower case, with a port that is not the scheme's own.
    own: Vec<String>,
}

/// Where the client asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Public<'r> {
    pub(crate) site: Site,
    /// Host, and port where that is not the scheme's own.
    pub(crate) authority: &'r str,
}

impl Back {
    /// `None` for an app that is asked as its clients ask.
    pub(super) fn of(app: &App) -> Option<Self> {
        let prefix = PrefixRewrite::of(app);
        let mut own = Vec::new();
        match &app.shaping.upstream_host {
            UpstreamHost::Keep if prefix.is_none() => return None,
            UpstreamHost::Keep | UpstreamHost::Upstream => {}
            UpstreamHost::Name(name) => own.push(name.clone()),
        }
        for upstream in &app.upstreams {
            own.push(upstream.authority());
        }
        own.dedup();
        Some(Self { prefix, own })
    }

    /// Leads the fields of an answer back.
    pub(super) fn lead(&self, headers: &mut HeaderMap, public: Public<'_>) {
        for name in [LOCATION, CONTENT_LOCATION] {
            self.each(headers, &name, |value| self.url(value, public));
        }
        self.each(headers, &REFRESH, |value| self.refresh(value, public));
        self.each(headers, &SET_COOKIE, |value| self.cookie(value));
    }

    /// Writes those values anew of which `change` makes another.
    fn each(&self, headers: &mut HeaderMap, name: &HeaderName, change: impl Fn(&str) -> Option<String>) {
        let http::header::Entry::Occupied(mut entry) = headers.entry(name) else { return };
        for value in entry.iter_mut() {
            let changed = value.to_str().ok().and_then(&change);
            if let Some(changed) = changed.and_then(|changed| HeaderValue::try_from(changed).ok()) {
                *value = changed;
            }
        }
    }

    /// A URL or a path of the app's, where clients find it; `None` where it is right already, or not the app's.
    fn url(&self, text: &str, public: Public<'_>) -> Option<String> {
        // Browsers take a backslash for a slash, and drop what nobody sees: such a URL is nobody's.
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return None;
        }
        let scheme = ["http:", "https:"]
            .into_iter()
            .find(|scheme| text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme)));
        let behind = scheme.map_or(text, |scheme| text.get(scheme.len()..).unwrap_or_default());
        let Some(behind) = behind.strip_prefix("//") else {
            // A path from the root; anything else is found from where it is read.
            return if scheme.is_none() { self.target(text) } else { None };
        };
        let end = behind.find(['/', '?', '#']).unwrap_or(behind.len());
        let (authority, target) = behind.split_at_checked(end)?;
        let authority = authority.to_ascii_lowercase();
        let is_public = authority == public.authority || Some(&*authority) == host_of(public.authority);
        if !is_public && !self.own.contains(&authority) {
            return None;
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let found = self.target(&target);
        // A path of the server's that is no part of what the app was given is found nowhere.
        let is_known =
            |prefix: &PrefixRewrite| !prefix.public().is_empty() && prefix.is_public(path_of(&target));
        if found.is_none() && !is_public && self.prefix.as_ref().is_some_and(|prefix| !is_known(prefix)) {
            return None;
        }
        let (target, same) = (found.as_deref().unwrap_or(&target), found.is_none());
        let scheme = match scheme {
            Some(_) => format!("{}:", public.site.scheme.as_str()),
            None => String::new(),
        };
        let led = format!("{scheme}//{}{target}", public.authority);
        (!same || led != text).then_some(led)
    }

    /// A path from the root with what follows it.
    fn target(&self, text: &str) -> Option<String> {
        let path = path_of(text);
        let led = self.prefix.as_ref()?.back(path)?;
        Some([&led, text.get(path.len()..).unwrap_or_default()].concat())
    }

    /// `5; url=/x` (HTML Living Standard, section 4.2.5.3, "shared declarative refresh steps").
    fn refresh(&self, text: &str, public: Public<'_>) -> Option<String> {
        let at = text.to_ascii_lowercase().find("url=")? + "url=".len();
        let (before, url) = text.split_at_checked(at)?;
        let quote = url.chars().next().filter(|quote| matches!(quote, '"' | '\''));
        let bare = match quote {
            Some(quote) => url.get(1..)?.strip_suffix(quote)?,
            None => url.trim_end(),
        };
        let led = self.url(bare, public)?;
        let quote = quote.map(String::from).unwrap_or_default();
        Some(format!("{before}{quote}{led}{quote}"))
    }

    /// A cookie: its path is led back, and a domain that is the server's is left out, so that it is of the public host alone.
    fn cookie(&self, text: &str) -> Option<String> {
        let mut parts = text.split(';');
        let pair = parts.next()?;
        // Its name says that its path is the root (RFC 6265bis, section 4.1.3.2).
        let is_bound = pair.trim_start().get(..7).is_some_and(|name| name.eq_ignore_ascii_case("__host-"));
        let mut led = vec![pair.to_owned()];
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("domain") && self.is_own_domain(value) {
                continue;
            }
            let path =
                (name.eq_ignore_ascii_case("path") && !is_bound).then(|| self.cookie_path(value)).flatten();
            led.push(path.map_or_else(|| part.to_owned(), |path| format!(" Path={path}")));
        }
        let led = led.join(";");
        (led != text).then_some(led)
    }

    /// The root without its slash is where an app's own path begins: `/gitlab` and not `/gitlab/`, which `/gitlab` is not in.
    fn cookie_path(&self, path: &str) -> Option<String> {
        let prefix = self.prefix.as_ref()?;
        let led = prefix.back(path)?;
        let is_root = led.trim_end_matches('/') == prefix.public() && !prefix.public().is_empty();
        Some(if is_root { prefix.public().to_owned() } else { led })
    }

    fn is_own_domain(&self, domain: &str) -> bool {
        let domain = domain.trim_start_matches('.').to_ascii_lowercase();
        self.own.iter().any(|own| *own == domain || host_of(own) == Some(&*domain))
    }
}

fn path_of(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or_default()
}

/// A host without its port; `None` where it has none.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = authority.rsplit_once(':')?;
    port.bytes().all(|byte| byte.is_ascii_digit()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::Scheme;

    fn back(prefix: Option<(&str, &str)>) -> Back {
        Back {
            prefix: prefix.map(|(prefix, internal)| PrefixRewrite::plain(prefix, internal)),
            own: vec!["10.0.0.5:3000".to_owned(), "wiki.internal".to_owned()],
        }
    }

    const PUBLIC: Public<'static> =
        Public { site: Site { scheme: Scheme::Https, port: 8443 }, authority: "wiki.test:8443" };

    fn led(back: &Back, name: &'static str, value: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.append(name, HeaderValue::from_str(value).unwrap());
        back.lead(&mut headers, PUBLIC);
        headers.get(name).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_location_of_the_app_is_led_back_and_one_of_anybody_else_is_not() {
        let strip = back(Some(("/gitlab", "/")));
        for (said, expected) in [
            ("/users/sign_in", "/gitlab/users/sign_in"),
            ("/", "/gitlab/"),
            ("/?a=/b#/c", "/gitlab/?a=/b#/c"),
            ("/gitlab/users", "/gitlab/users"),
            ("users", "users"),
            ("?page=2", "?page=2"),
            ("../up", "../up"),
            ("http://10.0.0.5:3000/x?y", "https://wiki.test:8443/gitlab/x?y"),
            ("http://10.0.0.5:3000", "https://wiki.test:8443/gitlab/"),
            ("HTTP://Wiki.Internal/x", "https://wiki.test:8443/gitlab/x"),
            ("//wiki.internal/x", "//wiki.test:8443/gitlab/x"),
            ("https://wiki.test:8443/x", "https://wiki.test:8443/gitlab/x"),
            ("http://wiki.test:8443/gitlab/x", "https://wiki.test:8443/gitlab/x"),
            ("http://wiki.test/x", "https://wiki.test:8443/gitlab/x"),
            ("http://10.0.0.5:3001/x", "http://10.0.0.5:3001/x"),
            ("http://10.0.0.5/x", "http://10.0.0.5/x"),
            ("https://login.test/gitlab/x", "https://login.test/gitlab/x"),
            ("https://wiki.internal.evil.test/x", "https://wiki.internal.evil.test/x"),
            ("https://wiki.internal@evil.test/x", "https://wiki.internal@evil.test/x"),
            ("https://evil.test?wiki.internal/x", "https://evil.test?wiki.internal/x"),
            ("//evil.test/x", "//evil.test/x"),
            ("/\\evil.test/x", "/\\evil.test/x"),
            ("javascript:alert(1)", "javascript:alert(1)"),
            ("http:/x", "http:/x"),
        ] {
            for name in ["location", "content-location"] {
                assert_eq!(led(&strip, name, said), expected, "{name}: {said}");
            }
        }
        let replace = back(Some(("/", "/app")));
        for (said, expected) in [
            ("/app/x", "/x"),
            ("/app", "/"),
            ("/other", "/other"),
            ("/app//evil.test/x", "/app//evil.test/x"),
            ("http://wiki.internal/app//evil.test/x", "http://wiki.internal/app//evil.test/x"),
            ("http://wiki.internal/other", "http://wiki.internal/other"),
        ] {
            assert_eq!(led(&replace, "location", said), expected, "{said}");
        }
        let host = back(None);
        assert_eq!(led(&host, "location", "http://wiki.internal/x"), "https://wiki.test:8443/x");
        assert_eq!(led(&host, "location", "/x"), "/x");
    }

    #[test]
    fn a_refresh_is_led_back_with_its_seconds_and_quotes() {
        let strip = back(Some(("/gitlab", "/")));
        for (said, expected) in [
            ("5; url=/x", "5; url=/gitlab/x"),
            ("0;URL='http://wiki.internal/x'", "0;URL='https://wiki.test:8443/gitlab/x'"),
            ("5; url=https://evil.test/x", "5; url=https://evil.test/x"),
            ("5", "5"),
        ] {
            assert_eq!(led(&strip, "refresh", said), expected, "{said}");
        }
    }

    #[test]
    fn a_cookie_keeps_to_the_app_and_to_the_public_host() {
        let strip = back(Some(("/gitlab", "/")));
        for (said, expected) in [
            ("a=1; Path=/; HttpOnly", "a=1; Path=/gitlab; HttpOnly"),
            ("a=1; path=/users/; Secure", "a=1; Path=/gitlab/users/; Secure"),
            ("a=1; Path=/gitlab; Secure", "a=1; Path=/gitlab; Secure"),
            ("a=1", "a=1"),
            ("__Host-a=1; Path=/; Secure", "__Host-a=1; Path=/; Secure"),
            ("a=1; Domain=.Wiki.Internal; Path=/", "a=1; Path=/gitlab"),
            ("a=1; Domain=10.0.0.5", "a=1"),
            ("a=1; Domain=wiki.test", "a=1; Domain=wiki.test"),
            ("a=1; Domain=internal", "a=1; Domain=internal"),
            ("a=Path=/; Path=/x", "a=Path=/; Path=/gitlab/x"),
        ] {
            assert_eq!(led(&strip, "set-cookie", said), expected, "{said}");
        }
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("a=1; Path=/"));
        headers.append(SET_COOKIE, HeaderValue::from_static("b=2; Path=/x"));
        strip.lead(&mut headers, PUBLIC);
        let all: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(all, ["a=1; Path=/gitlab", "b=2; Path=/gitlab/x"]);
    }
}
