//! How the names of servers become addresses.

use super::context::Context;
use super::values;
use crate::diagnose::Diagnostic;
use crate::schema::tables::DNS;
use crate::schema::tree::View;
use crate::settings::Dns;

pub(super) fn dns(cx: &mut Context<'_>, main: View<'_>) -> Option<Dns> {
    let view = main.table_or_default("dns", &DNS);
    cx.not_empty(view, "servers", "no name would resolve; leave it out to ask those of `/etc/resolv.conf`");
    let servers = cx.parse_list(view, "servers", values::socket_address);
    let mut duration = |key: &str| cx.parse_key(view, key, values::duration);
    let (timeout, ttl_min, ttl_max, hold) =
        (duration("timeout")?, duration("ttl-min")?, duration("ttl-max")?, duration("hold")?);
    if ttl_min > ttl_max {
        cx.push(
            Diagnostic::error(
                "dns/ttl",
                view.at_first(&["ttl-min", "ttl-max"]),
                "`ttl-min` is longer than `ttl-max`",
            )
            .why("no answer could count for as long as both say")
            .help(format!(
                "raise `ttl-max`, which is {}, or shorten `ttl-min`, which is {}",
                view.said("ttl-max"),
                view.said("ttl-min")
            )),
        );
    }
    Some(Dns { servers, timeout, ttl_min, ttl_max, hold })
}
