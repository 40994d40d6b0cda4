//! The names of our cookies, and how they are set. A script of an app can set `__Host-x`, but no `__Host-Http-x` (RFC
//! 6265bis, section 4.1.3): a session that it planted would be the attacker's. Browsers that do not know the longer
//! prefix keep what `__Host-` says.

use std::net::Ipv4Addr;
use std::time::Duration;

use http::HeaderValue;

use crate::admit::{Scheme, Site};

/// The longest value of a session's cookie: browsers keep 4096 bytes of name, value and attributes (RFC 6265bis,
/// section 5.6).
pub const VALUE_BYTES_MAX: usize = 3_800;

const SECURE: &str = "__Host-Http-portcullis";
// Names of `portcullis_config::settings::OWN_COOKIES`, which no app can set or see.
const PLAIN: &str = "portcullis";

/// How cookies are set on a host: with the prefix where it is reached by https; without on loopback, where no other
/// machine listens; and elsewhere not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieForm {
    /// `__Host-Http-` and `Secure`.
    Secure,
    /// Neither: plain http to this machine.
    Loopback,
}

impl CookieForm {
    /// The form for a host that was reached so; `None` where a cookie would cross a network in the clear.
    #[must_use]
    pub fn of(site: Site, host: &str) -> Option<Self> {
        match site.scheme {
            Scheme::Https => Some(Self::Secure),
            Scheme::Http => is_loopback(host).then_some(Self::Loopback),
        }
    }

    /// The name of the session's cookie.
    #[must_use]
    pub const fn session_name(self) -> &'static str {
        match self {
            Self::Secure => SECURE,
            Self::Loopback => "portcullis-session",
        }
    }

    /// The name of another cookie of ours: `suffix` is lower-case letters, digits and hyphens.
    #[must_use]
    pub fn name(self, suffix: &str) -> String {
        match self {
            Self::Secure => format!("{SECURE}-{suffix}"),
            Self::Loopback => format!("{PLAIN}-{suffix}"),
        }
    }

    /// The value of a `Set-Cookie`: for this host and no other, for no script, for no request of another site but to
    /// come here. `None` for the life of the browser's session; a life of zero takes the cookie away. `value` is
    /// base64url.
    #[must_use]
    pub fn set(self, name: &str, value: &str, life: Option<Duration>) -> Option<HeaderValue> {
        let secure = match self {
            Self::Secure => "; Secure",
            Self::Loopback => "",
        };
        let life = life.map(|life| format!("; Max-Age={}", life.as_secs())).unwrap_or_default();
        HeaderValue::try_from(format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{life}")).ok()
    }

    /// The `Set-Cookie` that takes a cookie away.
    #[must_use]
    pub fn remove(self, name: &str) -> Option<HeaderValue> {
        self.set(name, "", Some(Duration::ZERO))
    }
}

/// Whether a host is this machine: a name of RFC 6761, section 6.3, or an address.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host == "[::1]"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use portcullis_config::settings::is_own_cookie;

    use super::*;

    const HTTPS: Site = Site { scheme: Scheme::Https, port: 443 };
    const HTTP: Site = Site { scheme: Scheme::Http, port: 8080 };

    #[test]
    fn a_cookie_has_the_prefix_where_it_is_secure_and_crosses_no_network_where_it_is_not() {
        assert_eq!(CookieForm::of(HTTPS, "wiki.test"), Some(CookieForm::Secure));
        for host in ["localhost", "wiki.localhost", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert_eq!(CookieForm::of(HTTP, host), Some(CookieForm::Loopback), "{host}");
        }
        for host in ["wiki.test", "localhost.test", "notlocalhost", "10.0.0.1", "[::2]", ""] {
            assert_eq!(CookieForm::of(HTTP, host), None, "{host}");
        }
    }

    #[test]
    fn a_cookie_is_for_one_host_and_no_script() {
        let set = CookieForm::Secure.set(CookieForm::Secure.session_name(), "abc", None).unwrap();
        assert_eq!(set, "__Host-Http-portcullis=abc; Path=/; HttpOnly; SameSite=Lax; Secure");
        let name = CookieForm::Loopback.name("attempt-1");
        let set = CookieForm::Loopback.set(&name, "abc", Some(Duration::from_secs(600))).unwrap();
        assert_eq!(set, "portcullis-attempt-1=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=600");
        let gone = CookieForm::Secure.remove(&CookieForm::Secure.name("choice")).unwrap();
        assert_eq!(gone, "__Host-Http-portcullis-choice=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0");
    }

    #[test]
    fn all_our_names_are_kept_for_ourselves() {
        for form in [CookieForm::Secure, CookieForm::Loopback] {
            assert!(is_own_cookie(form.session_name()) && is_own_cookie(&form.name("attempt-1")), "{form:?}");
        }
    }
}
