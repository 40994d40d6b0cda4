//! Which of an app's servers takes a request, how often a request is sent anew, and how long its steps may take.

use super::context::Context;
use super::sign_in::is_loopback;
use super::values::{self, Flaw};
use crate::diagnose::Diagnostic;
use crate::schema::check::shortened;
use crate::schema::tables::{BALANCE, RETRIES, TIMEOUTS};
use crate::schema::tree::View;
use crate::settings::{Balance, BalancePolicy, HashKey, Retries, Timeouts, is_own_cookie};

/// `has_session` says whether there are keys that seal cookies, `is_plain` whether browsers come by plain HTTP alone.
pub(super) fn balance(
    cx: &mut Context<'_>,
    app: View<'_>,
    (has_session, is_plain): (bool, bool),
) -> Option<Balance> {
    let view = app.table_or_default("balance", &BALANCE);
    let policy = view.word("policy", BalancePolicy::from_word)?;
    let hash_by = cx.parse_key(view, "hash-by", hash_key);
    let life = cx.parse_key(view, "cookie-life", values::duration);
    for (key, of, help) in [
        (
            "hash-by",
            BalancePolicy::ConsistentHash,
            "write `policy = \"consistent-hash\"`, or take `hash-by` away",
        ),
        ("cookie-life", BalancePolicy::Sticky, "write `policy = \"sticky\"`, or take `cookie-life` away"),
    ] {
        if view.get(key).is_some() && policy != of {
            let what = format!("`{key}` means nothing to the policy `{}`", policy.as_str());
            cx.push(
                Diagnostic::error("balance/policy", view.at_key(key), what)
                    .why("requests would be balanced as if it were not there")
                    .help(help),
            );
        }
    }
    match policy {
        BalancePolicy::RoundRobin => Some(Balance::RoundRobin),
        BalancePolicy::LeastRequests => Some(Balance::LeastRequests),
        BalancePolicy::ConsistentHash => {
            if view.get("hash-by").is_none() {
                cx.push(
                    Diagnostic::error("balance/hash-by", view.at(), "it is not said what `consistent-hash` goes by")
                        .why("a request without a key falls to no server")
                        .help("write `hash-by = \"principal\"`, `\"address\"`, `\"cookie:NAME\"` or `\"header:NAME\"`"),
                );
            }
            hash_by.map(Balance::ConsistentHash)
        }
        BalancePolicy::Sticky => {
            if !has_session {
                cx.push(
                    Diagnostic::error("balance/sticky", view.at_key("policy"), "there is no key that could seal the cookie")
                        .why("whoever can make the cookie chooses the server, and learns which there are")
                        .help("write `[session]` with `keys`, which seal it; or balance by `consistent-hash`, which wants no cookie"),
                );
            } else if is_plain {
                warn_of_plain(cx, app, view);
            }
            Some(Balance::Sticky { life })
        }
    }
}

/// Where nobody is given the cookie, each request goes to a server of its own.
fn warn_of_plain(cx: &mut Context<'_>, app: View<'_>, balance: View<'_>) {
    let elsewhere =
        app.texts("hosts").find(|(host, _)| values::host(host).is_ok_and(|host| !is_loopback(&host)));
    let Some((host, _)) = elsewhere else { return };
    let what = format!("the app's host `{}` is reached by plain HTTP alone", shortened(host));
    cx.push(
        Diagnostic::warning("balance/sticky-plain", balance.at_key("policy"), what)
            .why("browsers get the cookie over https alone: no browser would stay at its server")
            .help("give a listener `tls`, or name the proxy that ends TLS in `[trusted-proxies]`; or balance by `consistent-hash`"),
    );
}

/// `principal`, `address`, `cookie:NAME`, `header:NAME`.
fn hash_key(text: &str) -> Result<HashKey, Flaw> {
    let flaw = || {
        Flaw::new(
            "balance/hash-by",
            format!("`{}` is nothing that a request could fall to a server by", shortened(text)),
        )
        .help("write `principal`, `address`, `cookie:NAME` or `header:NAME`")
    };
    match text.split_once(':') {
        None if text == "principal" => Ok(HashKey::Principal),
        None if text == "address" => Ok(HashKey::Address),
        Some(("cookie", name)) if is_own_cookie(name) => Err(Flaw::new(
            "balance/hash-by",
            format!("`{}` is a cookie of Portcullis, which changes as it is renewed", shortened(name)),
        )
        .help("write `principal`, which stays the same while somebody is signed in")),
        Some(("cookie", name)) if values::is_token(name) => Ok(HashKey::Cookie(name.to_owned())),
        Some(("header", name)) if values::is_token(name) => Ok(HashKey::Header(name.to_ascii_lowercase())),
        _ => Err(flaw()),
    }
}

pub(super) fn retries(app: View<'_>) -> Option<Retries> {
    let view = app.table_or_default("retries", &RETRIES);
    Some(Retries { attempts: view.integer("attempts")?, budget_percent: view.integer("budget-percent")? })
}

pub(super) fn timeouts(cx: &mut Context<'_>, app: View<'_>) -> Option<Timeouts> {
    let view = app.table_or_default("timeouts", &TIMEOUTS);
    let mut duration = |key: &str| cx.parse_key(view, key, values::duration);
    let total = duration("total");
    Some(Timeouts {
        connect: duration("connect")?,
        first_byte: duration("first-byte")?,
        read: duration("read")?,
        write: duration("write")?,
        stream_idle: duration("stream-idle")?,
        idle: duration("idle")?,
        total,
    })
}
