//! What a proxy that asked has to change in a request that was let in, so that the app receives what it would have
//! received from Portcullis itself.

use http::HeaderMap;
use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, FORWARDED, HOST, HeaderName, HeaderValue, UPGRADE, VIA,
};
use portcullis_config::reserved::{Harm, fold, reserved};

/// The proxy's own to say: it is the one that forwards.
const OF_PROXY: [HeaderName; 9] = [
    HOST,
    VIA,
    CONNECTION,
    UPGRADE,
    FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// The changes of a request's fields.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// Fields with their new values; whatever came under these names goes.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Fields that go.
    pub removed: Vec<HeaderName>,
    /// Names under which an app reads who asks, and that it is not to receive: a client's must go, whether one came or
    /// not.
    pub absent: Vec<HeaderName>,
    /// `Cookie` and `Authorization` where they are as they are to be: a proxy that was told to copy them copies them
    /// always.
    pub credentials: Vec<(HeaderName, HeaderValue)>,
}

impl Allowed {
    /// The difference between the fields that the proxy received and those that the app is to receive. `identity` are
    /// the names under which it reads who asks.
    #[must_use]
    pub fn between(before: &HeaderMap, after: &HeaderMap, identity: &[HeaderName]) -> Self {
        let ours = |name: &&HeaderName| !OF_PROXY.contains(name);
        let mut allowed = Self::default();
        for name in after.keys().filter(ours) {
            let is_same = before.get_all(name).iter().eq(after.get_all(name).iter());
            if !is_same || identity.contains(name) {
                allowed.set.extend(after.get_all(name).iter().map(|value| (name.clone(), value.clone())));
            }
        }
        allowed.removed.extend(before.keys().filter(ours).filter(|name| !after.contains_key(*name)).cloned());
        let believed = identity.iter().chain(&[COOKIE, AUTHORIZATION]);
        allowed.absent.extend(believed.filter(|name| !after.contains_key(*name)).cloned());
        let credential = |name: HeaderName| after.get(&name).cloned().map(|value| (name, value));
        let is_as_it_was = |name: &HeaderName| !allowed.set.iter().any(|(set, _)| set == name);
        let left = [COOKIE, AUTHORIZATION].into_iter().filter(is_as_it_was);
        allowed.credentials = left.filter_map(credential).collect();
        allowed
    }

    /// As the fields of an answer over HTTP, from which the proxy copies those that it was configured to copy.
    #[must_use]
    pub fn fields(&self) -> HeaderMap {
        self.set.iter().chain(&self.credentials).cloned().collect()
    }

    /// The same with an empty field where there is nothing to say, so that a client's own is overwritten by a proxy that
    /// can only copy.
    #[must_use]
    pub fn overwriting(&self) -> HeaderMap {
        let mut fields = self.fields();
        for name in &self.absent {
            fields.insert(name.clone(), const { HeaderValue::from_static("") });
        }
        fields
    }

    /// A field of the client's that we would take away, and that a proxy which only copies fields passes on: one that
    /// changes what the app does after the policies judged, or that says who the user is.
    #[must_use]
    pub fn passes_on(&self) -> Option<&HeaderName> {
        self.removed.iter().filter(|name| !self.absent.contains(name)).find(|name| {
            let reserved = reserved(name.as_str());
            reserved.is_some_and(|reserved| matches!(reserved.harm, Harm::Judged | Harm::Identity))
        })
    }

    /// Names of fields that a proxy must take away.
    pub fn taken_away(&self) -> impl Iterator<Item = &HeaderName> {
        let others = self.absent.iter().filter(|name| !self.removed.contains(name));
        self.removed.iter().chain(others)
    }
}

/// A field whose name careless readers take for one of these: a proxy would pass it on beside ours.
#[must_use]
pub fn imitates_identity<'h>(headers: &'h HeaderMap, identity: &[HeaderName]) -> Option<&'h HeaderName> {
    let imitates = |name: &&HeaderName| {
        !identity.contains(*name) && identity.iter().any(|own| fold(own.as_str()) == fold(name.as_str()))
    };
    headers.keys().find(imitates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    const USER: HeaderName = HeaderName::from_static("x-user");
    const GROUPS: HeaderName = HeaderName::from_static("x-groups");

    #[test]
    fn what_the_app_is_not_to_receive_goes_and_what_nobody_can_say_is_overwritten() {
        let before = map(&[
            ("accept", "a"),
            ("x-groups", "admin"),
            ("x-user", "mallory"),
            ("x-remote-user", "root"),
            ("cookie", "session=ours; theme=dark"),
            ("authorization", "Bearer secret"),
            ("host", "wiki.test"),
        ]);
        let after = map(&[
            ("accept", "a"),
            ("x-user", "alice"),
            ("cookie", "theme=dark"),
            ("host", "wiki.test"),
            ("via", "1.1 x"),
        ]);
        let allowed = Allowed::between(&before, &after, &[USER, GROUPS]);
        let fields = allowed.overwriting();
        let expected =
            map(&[("x-user", "alice"), ("x-groups", ""), ("cookie", "theme=dark"), ("authorization", "")]);
        assert_eq!(fields, expected);
        let mut removed: Vec<&str> = allowed.removed.iter().map(HeaderName::as_str).collect();
        removed.sort_unstable();
        assert_eq!(removed, ["authorization", "x-groups", "x-remote-user"]);
    }

    #[test]
    fn a_client_that_already_says_the_truth_is_overwritten_all_the_same() {
        let before = map(&[("x-user", "alice"), ("x-user", "alice")]);
        let allowed = Allowed::between(&before, &map(&[("x-user", "alice")]), &[USER]);
        assert_eq!(allowed.set, [(USER, HeaderValue::from_static("alice"))]);
    }

    #[test]
    fn what_only_we_would_take_away_is_found() {
        for (name, is_found) in [
            ("x-http-method-override", true),
            ("x_rewrite_url", true),
            ("x-middleware-subrequest", true),
            ("x-remote-user", true),
            ("x-auth-request-user", true),
            ("x-real-ip", false),
            ("cookie", false),
            ("authorization", false),
            ("x-user", false),
            ("x_other", false),
        ] {
            let allowed = Allowed::between(&map(&[(name, "a")]), &HeaderMap::new(), &[USER]);
            assert_eq!(allowed.passes_on().map(HeaderName::as_str), is_found.then_some(name));
        }
    }

    #[test]
    fn a_name_that_is_taken_for_an_identity_header_is_an_imitation() {
        for (name, is_one) in
            [("x_user", true), ("x.user", true), ("x-user", false), ("x-users", false), ("user", false)]
        {
            assert_eq!(imitates_identity(&map(&[(name, "a")]), &[USER]).is_some(), is_one, "{name}");
        }
    }
}
