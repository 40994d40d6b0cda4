//! Sessions: what seals them, where they are, and how long they last; and the assertion that apps receive.

use std::time::Duration;

use url::{Host, Url};

use super::authorities::authorities;
use super::context::Context;
use super::headers::carries_identity;
use super::secrets::{self, SigningUse};
use super::values::{self, Flaw};
use crate::diagnose::Diagnostic;
use crate::schema::check::shortened;
use crate::schema::sign_in_tables::STORE;
use crate::schema::tree::View;
use crate::settings::{Assertion, SealKey, Secret, SessionSettings, SessionStore};

/// Browsers forget cookies after 400 days (RFC 6265bis, section 5.5).
const ABSOLUTE_MAX: Duration = Duration::from_secs(400 * 86_400);
/// For so long a sign-out elsewhere may go unseen while the store is down.
const STALE_MAX: Duration = Duration::from_secs(3_600);
const LIFE: std::ops::RangeInclusive<Duration> = Duration::from_secs(30)..=Duration::from_secs(600);

const ASSERTION: SigningUse =
    SigningUse { code: "assertion/key", why: "apps could not verify who asks, or anybody could say it" };

pub(super) fn session(cx: &mut Context<'_>, view: View<'_>) -> Option<SessionSettings> {
    let keys: Option<Vec<SealKey>> = secrets::seal_keys(cx, view);
    let store = store(cx, view);
    let (idle, absolute) = (seconds(cx, view, "idle"), seconds(cx, view, "absolute"));
    let stale_max = seconds(cx, view, "stale-max");
    times(cx, view, (idle, absolute), stale_max);
    let journal = view.text("journal").map(|text| {
        let path = cx.path(text);
        cx.names(&path, view.at_key("journal"));
        path
    });
    let refresh = view.is_on("refresh");
    match (&store, &journal) {
        (Some(SessionStore::Cookie), None) => cx.push(
            Diagnostic::warning("session/no-journal", view.at(), "sign-outs do not outlive a restart")
                .why("with the cookie store, a cookie that was copied before its sign-out is good again after one")
                .help("add `journal = \"/var/lib/portcullis/sign-outs.journal\"`, a file that the proxy may write, or use a store"),
        ),
        (Some(store), Some(_)) if store.holds_tokens() => cx.push(
            Diagnostic::error("session/journal", view.at_key("journal"), "`journal` beside a store")
                .why("the store itself holds what was signed out")
                .help("take `journal` away"),
        ),
        _ => {}
    }
    if refresh && matches!(store, Some(SessionStore::Cookie)) {
        cx.push(
            Diagnostic::error(
                "session/needs-store",
                view.at_key("refresh"),
                "`refresh` with the cookie store",
            )
            .why("a refresh token is too precious for a browser, and two replicas would use it twice")
            .help("name a store: `store = { redb = \"sessions.redb\" }` or `{ redis = \"rediss://…\" }`"),
        );
    }
    Some(SessionSettings {
        keys: keys?,
        store: store?,
        idle: idle?,
        absolute: absolute?,
        stale_max: stale_max?,
        journal,
        refresh,
    })
}

/// A duration of whole seconds, in which cookies and tokens count.
fn seconds(cx: &mut Context<'_>, view: View<'_>, key: &str) -> Option<Duration> {
    let duration = cx.parse_key(view, key, values::duration)?;
    if duration.subsec_nanos() != 0 {
        cx.push(
            Diagnostic::error(
                "session/times",
                view.at_key(key),
                format!("`{key}` is no whole number of seconds"),
            )
            .why("cookies and tokens count whole seconds")
            .help("write at least `\"1s\"`, in whole seconds"),
        );
    }
    Some(duration)
}

fn times(
    cx: &mut Context<'_>,
    view: View<'_>,
    (idle, absolute): (Option<Duration>, Option<Duration>),
    stale_max: Option<Duration>,
) {
    const CODE: &str = "session/times";
    if let (Some(idle), Some(absolute)) = (idle, absolute)
        && idle > absolute
    {
        let at = if view.get("idle").is_some() { view.at_key("idle") } else { view.at_key("absolute") };
        cx.push(
            Diagnostic::error(CODE, at, "`idle` is longer than `absolute`")
                .why("a session would end before it could be idle for so long")
                .help("write an `idle` of at most `absolute`"),
        );
    }
    if absolute.is_some_and(|absolute| absolute > ABSOLUTE_MAX) {
        cx.push(
            Diagnostic::error(CODE, view.at_key("absolute"), "`absolute` is longer than 400 days")
                .why("browsers keep no cookie for longer")
                .help("write at most `\"400d\"`"),
        );
    }
    if stale_max.is_some_and(|stale_max| stale_max > STALE_MAX) {
        cx.push(
            Diagnostic::error(CODE, view.at_key("stale-max"), "`stale-max` is longer than an hour")
                .why("who was signed out elsewhere would be let in for so long")
                .help("write at most `\"1h\"`"),
        );
    }
}

fn store(cx: &mut Context<'_>, view: View<'_>) -> Option<SessionStore> {
    const CODE: &str = "session/store";
    let Some(table) = view.table("store", &STORE) else {
        return (view.text("store")? == "cookie").then_some(SessionStore::Cookie);
    };
    let of_redis = ["password", "ca"].into_iter().find(|key| table.get(key).is_some());
    match (table.text("redb"), table.text("redis"), of_redis) {
        (Some(file), None, None) => {
            let path = cx.path(file);
            cx.names(&path, table.at_key("redb"));
            Some(SessionStore::Redb(path))
        }
        (None, Some(_), _) => redis(cx, table),
        (Some(_), None, Some(key)) => {
            cx.push(
                Diagnostic::error(CODE, table.at_key(key), format!("`{key}` is of `redis` alone"))
                    .help("take it away; who may read the database file is said by its mode"),
            );
            None
        }
        _ => {
            cx.push(
                Diagnostic::error(CODE, table.at(), "`store` has not exactly one of `redb` and `redis`")
                    .why("it must be clear where sessions are")
                    .help("write `store = \"cookie\"`, `{ redb = \"sessions.redb\" }` or `{ redis = \"rediss://…\" }`"),
            );
            None
        }
    }
}

fn redis(cx: &mut Context<'_>, table: View<'_>) -> Option<SessionStore> {
    let url = cx.parse_key(table, "redis", redis_url);
    let password = match table.get("password") {
        Some(_) => Some(secrets::secret(cx, table, "password", "session/redis")?),
        None => None,
    };
    let ca = authorities(cx, table, "ca");
    let url = url?;
    if table.get("ca").is_some() && url.scheme() != "rediss" {
        cx.push(
            Diagnostic::error("session/redis", table.at_key("ca"), "a store without TLS has an authority")
                .why("no certificate would be checked")
                .help("write `rediss://`, or take `ca` away"),
        );
    }
    (table.get("ca").is_none() || ca.is_some()).then(|| SessionStore::Redis {
        url: Secret::new(String::from(url)),
        password,
        ca,
    })
}

/// `rediss://host`, `redis://` on this machine, `unix:///socket`. The text is not repeated: it may hold a password.
fn redis_url(text: &str) -> Result<Url, Flaw> {
    const HELP: &str =
        "write `rediss://host:6379/0`, `redis://127.0.0.1:6379/0` or `unix:///run/valkey.sock`";
    let flaw = |what: &str| Flaw::new("session/redis", what).help(HELP);
    let url = Url::parse(text).map_err(|error| flaw(&format!("this is no URL: {error}")))?;
    if url.password().is_some() {
        return Err(flaw("the URL of a store carries no password")
            .why("this file is read by more people than a secret's own")
            .help("put it into a file: `password = { file = \"…\" }`"));
    }
    // Hosts of a scheme that browsers do not know are names, even if they are addresses.
    let is_here = url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
    });
    match url.scheme() {
        "rediss" if url.host_str().is_some_and(|host| Host::parse(host).is_ok()) => Ok(url),
        "redis" if is_here => Ok(url),
        "unix" if url.host_str().is_none_or(str::is_empty) && url.path().len() > 1 => Ok(url),
        "redis" => Err(flaw("a store on another machine without TLS")
            .why("whoever is between could read and change sessions")
            .help("write `rediss://`, with `ca` where its certificate comes from an authority of your own")),
        _ => Err(flaw("this is no URL of a store")),
    }
}

pub(super) fn assertion(cx: &mut Context<'_>, view: View<'_>) -> Option<Assertion> {
    cx.not_empty(view, "keys", "no assertion could be signed");
    let mut keys = Vec::new();
    let mut is_whole = true;
    for (text, at) in view.texts("keys") {
        match secrets::signing_key(cx, (text, at), "ES256", &ASSERTION) {
            Some(key) if keys.contains(&key.pem) => cx.push(
                Diagnostic::error(ASSERTION.code, at, "this key is in the list already")
                    .help("name each key once; the first signs, all are published"),
            ),
            Some(key) => keys.push(key.pem),
            None => is_whole = false,
        }
    }
    let header = cx.parse_key(view, "header", header)?;
    let life = cx.parse_key(view, "life", values::duration)?;
    if !LIFE.contains(&life) || life.subsec_nanos() != 0 {
        cx.push(
            Diagnostic::error(
                "assertion/life",
                view.at_key("life"),
                "`life` is not between 30 seconds and 10 minutes",
            )
            .why("clocks differ by seconds, and an assertion that is found in a log is good until it ends")
            .help("write a few minutes, in whole seconds: `\"2m\"`"),
        );
    }
    (is_whole && !keys.is_empty()).then_some(Assertion { keys, header, life })
}

/// A header that can say who asks, in lower case.
fn header(text: &str) -> Result<String, Flaw> {
    let lower = text.to_ascii_lowercase();
    if carries_identity(&lower) {
        return Ok(lower);
    }
    Err(Flaw::new("assertion/header", format!("`{}` cannot carry the assertion", shortened(text)))
        .why("it is no header name, or means something else to proxies and servers")
        .help("use a name of your own with hyphens, such as `X-Portcullis-Assertion`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_31_times_are_whole_seconds_in_64_bits_and_bounded() {
        for text in
            ["1e300s", "99999999999999999999d", "18446744073709551615d", "-1s", "0s", "NaNs", "4294967296d"]
        {
            assert!(values::duration(text).is_err(), "{text}");
        }
        // Beyond what 32 bits hold in milliseconds, and what a session may last.
        assert_eq!(values::duration("399d").map(|time| time.as_millis()).ok(), Some(34_473_600_000));
        assert!(values::duration("400d").is_ok_and(|time| time <= ABSOLUTE_MAX));
        assert!(values::duration("401d").is_ok_and(|time| time > ABSOLUTE_MAX));
    }

    #[test]
    fn a_store_on_another_machine_is_reached_by_tls_alone() {
        for good in [
            "rediss://valkey.corp.example:6380/1",
            "rediss://app@10.0.0.7",
            "redis://127.0.0.1:6379",
            "redis://localhost/2",
            "redis://[::1]:6379/0",
            "unix:///run/valkey/valkey.sock",
        ] {
            assert!(redis_url(good).is_ok(), "{good}");
        }
        for bad in [
            "redis://valkey.corp.example",
            "redis://10.0.0.7:6379",
            "redis://localhost.corp.example",
            "rediss://:hush@valkey.corp.example",
            "redis://x:y@127.0.0.1",
            "rediss://",
            "unix://host/run/valkey.sock",
            "unix:///",
            "http://127.0.0.1",
            "valkey",
        ] {
            let flaw = redis_url(bad).unwrap_err();
            assert!(!flaw.what.contains("hush"), "{bad}");
        }
    }
}
