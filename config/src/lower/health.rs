//! How the health of an app's servers is judged.

use super::context::Context;
use super::values::{self, Flaw};
use crate::diagnose::Diagnostic;
use crate::schema::check::shortened;
use crate::schema::tables::{HEALTH, HEALTH_CHECK};
use crate::schema::tree::View;
use crate::settings::{CheckMethod, Health, HealthCheck, Statuses};

/// `hosts` are those of the app: as requests do, a check asks for the first of them.
pub(super) fn health(cx: &mut Context<'_>, view: View<'_>, hosts: &[String]) -> Option<Health> {
    let view = view.table_or_default("health", &HEALTH);
    let check = match view.table("check", &HEALTH_CHECK) {
        Some(check) => Some(self::check(cx, check, hosts)?),
        None => None,
    };
    let eject_for = cx.parse_key(view, "eject-for", values::duration)?;
    let eject_max = cx.parse_key(view, "eject-max", values::duration)?;
    if eject_for > eject_max {
        cx.push(
            Diagnostic::error(
                "health/times",
                view.at_first(&["eject-for", "eject-max"]),
                "`eject-for` is longer than `eject-max`",
            )
            .why("a server would be left out for longer at first than at most")
            .help(format!(
                "raise `eject-max`, which is {}, or shorten `eject-for`, which is {}",
                view.said("eject-max"),
                view.said("eject-for")
            )),
        );
    }
    Some(Health {
        check,
        failures: view.integer("failures")?,
        eject_for,
        eject_max,
        panic_percent: view.integer("panic-percent")?,
    })
}

fn check(cx: &mut Context<'_>, view: View<'_>, hosts: &[String]) -> Option<HealthCheck> {
    let path = cx.parse_key(view, "path", path);
    let host = match view.get("host") {
        Some(_) => cx.parse_key(view, "host", values::host),
        None => first(cx, view, hosts),
    };
    let written = view.owned("expect").len();
    cx.not_empty(view, "expect", "no answer would be good; leave it out to expect `2xx`");
    let expect = cx.parse_list(view, "expect", statuses);
    let whole = (expect.len() == written).then(|| Statuses::new(expect));
    let interval = cx.parse_key(view, "interval", values::duration)?;
    let timeout = cx.parse_key(view, "timeout", values::duration)?;
    if timeout >= interval {
        cx.push(
            Diagnostic::error(
                "health/times",
                view.at_first(&["timeout", "interval"]),
                "`timeout` is not shorter than `interval`",
            )
            .why("a server that does not answer would be asked anew before the last check is over")
            .help(format!(
                "raise `interval`, which is {}, or shorten `timeout`, which is {}",
                view.said("interval"),
                view.said("timeout")
            )),
        );
    }
    Some(HealthCheck {
        path: path?,
        host: host?,
        method: view.word("method", CheckMethod::from_word)?,
        expect: whole?,
        interval,
        timeout,
        healthy: view.integer("healthy")?,
        unhealthy: view.integer("unhealthy")?,
    })
}

/// The first host of the app, where its servers know it by a name.
fn first(cx: &mut Context<'_>, view: View<'_>, hosts: &[String]) -> Option<String> {
    let named = hosts.iter().find(|host| !host.starts_with("*.")).cloned();
    if let (None, Some(host)) = (&named, hosts.first()) {
        cx.push(
            Diagnostic::error("health/host", view.at(), format!("the app's host `{host}` stands for many"))
                .why("a server is checked for one of them")
                .help("write `host`, such as `host = \"check.corp.example\"`"),
        );
    }
    named
}

/// A path as it goes over the wire, with or without a query.
fn path(text: &str) -> Result<String, Flaw> {
    let is_fit = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    is_fit.then(|| text.to_owned()).ok_or_else(|| {
        Flaw::new("health/path", format!("`{}` is no path to ask for", shortened(text)))
            .help("begin it with `/`, and escape what is not ASCII: `/healthz`")
    })
}

/// `200`, `2xx` or `200-399`.
fn statuses(text: &str) -> Result<(u16, u16), Flaw> {
    let flaw = || {
        Flaw::new("health/expect", format!("`{}` is no status", shortened(text)))
            .help("write statuses from 200 to 599: `200`, `2xx`, `200-399`")
    };
    let one = |text: &str| match text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<u16>().ok().filter(|status| (200..600).contains(status)),
        false => None,
    };
    let range = match (text.strip_suffix("xx"), text.split_once('-')) {
        (Some(class), _) => one(&format!("{class}00")).map(|first| (first, first + 99)),
        (None, Some((first, last))) => one(first).zip(one(last)),
        (None, None) => one(text).map(|status| (status, status)),
    };
    range.filter(|(first, last)| first <= last).ok_or_else(flaw)
}
