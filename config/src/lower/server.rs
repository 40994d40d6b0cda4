//! The process, trusted proxies and the country database.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use super::context::Context;
use super::listener;
use super::secrets;
use super::values::{self, Flaw};
use crate::diagnose::{At, Diagnostic};
use crate::schema::tables::{ACCESS_LOG, DECISION_LOG, HELP_DESK, LIMITS, LISTENER};
use crate::schema::tree::{Node, View};
use crate::settings::{
    AccessFormat, AccessLog, DecisionLog, ForwardedHeader, Geo, HelpDesk, Limits, LogSink, ProcessLog,
    Server, Subject, SyslogTarget, TrustedProxies,
};

/// Bytes of a head that can be limited to.
const HEAD_BYTES: std::ops::RangeInclusive<u64> = 1024..=512 * 1024;

pub(super) fn server(cx: &mut Context<'_>, view: View<'_>, public_admin: bool) -> Option<Server> {
    cx.not_empty(view, "listeners", "nobody could reach any app");
    let mut taken = BTreeSet::new();
    let mut listeners = Vec::new();
    for listener in view.tables("listeners", &LISTENER) {
        listeners.extend(listener::listener(cx, listener, &mut taken));
    }
    let admin = cx.parse_key(view, "admin", values::socket_address)?;
    if !admin.ip().is_loopback() && !public_admin {
        cx.push(
            Diagnostic::error(
                "server/public-admin",
                view.at_key("admin"),
                format!("`{admin}` is not loopback"),
            )
            .label("metrics and health would answer strangers")
            .why("metrics name policies and apps, which shows an attacker what is not protected")
            .help("use a loopback address, or set `insecure-options = { public-admin = true }`"),
        );
    }
    if taken.iter().any(|address| listener::clash(*address, admin)) {
        let what = format!("`{admin}` is a public listener too");
        cx.push(
            Diagnostic::error("server/address-twice", view.at_key("admin"), what)
                .help("give metrics and health a port of their own"),
        );
    }
    let grace = cx.parse_key(view, "grace", values::duration)?;
    let pre_stop_delay = cx.parse_key(view, "pre-stop-delay", values::duration).unwrap_or_default();
    let client_idle = cx.parse_key(view, "client-idle", values::duration)?;
    let body_bytes_max = cx.parse_key(view, "body-max", values::size)?;
    let limits = view.table_or_default("limits", &LIMITS);
    let limits = self::limits(cx, limits)?;
    for key in ["upgrade-socket", "pid-file"] {
        if let Some(text) = view.get(key).and_then(Node::text) {
            let path = cx.path(text);
            cx.names(&path, view.at_key(key));
        }
    }
    let decision_log = decision_log(cx, view)?;
    let help_desk = match view.table("help-desk", &HELP_DESK) {
        Some(table) => Some(help_desk(cx, view.at_key("help-desk"), table, admin, &decision_log)?),
        None => None,
    };
    Some(Server {
        listeners,
        admin,
        help_desk,
        threads: view.integer("threads"),
        grace,
        pre_stop_delay,
        upgrade_socket: cx.path(view.text("upgrade-socket")?),
        pid_file: cx.path(view.text("pid-file")?),
        client_idle,
        upstream_pool: view.integer("upstream-pool")?,
        body_bytes_max,
        limits,
        decision_log,
        decision_subject: view
            .table_or_default("decision-log", &DECISION_LOG)
            .word("subject", Subject::from_word)?,
        process_log: view.word("process-log", ProcessLog::from_word)?,
    })
}

/// Who may look refusals up. `None` where nobody can be let in.
fn help_desk(
    cx: &mut Context<'_>,
    at: At,
    table: View<'_>,
    admin: SocketAddr,
    log: &DecisionLog,
) -> Option<HelpDesk> {
    const CODE: &str = "help-desk/token";
    if !admin.ip().is_loopback() {
        cx.push(
            Diagnostic::error("help-desk/plain", at, format!("the help desk would answer at `{admin}` in the clear"))
                .why("the token and what is told of people would cross a network unprotected")
                .help("keep `admin` on a loopback address, and put a proxy with TLS on this machine in front of `/help-desk`"),
        );
    }
    if !matches!(log.sink, LogSink::File { .. }) {
        cx.push(
            Diagnostic::warning("help-desk/no-log", at, "the decision log goes to no file")
                .why("neither references nor request ids can be looked up, support codes alone can")
                .help("write `decision-log = { file = \"decisions.ndjson\", max-size = \"64MiB\" }`"),
        );
    }
    let token = secrets::secret(cx, table, "token", CODE)?;
    if let Some(reason) = secrets::guessable(&token) {
        cx.push(
            Diagnostic::error(CODE, table.at_key("token"), format!("this token can be guessed: {reason}"))
                .why("whoever has it is told everything about any refusal, rules and people included")
                .help("make one: `(umask 027; openssl rand -hex 32 > secrets/help-desk.token)`"),
        );
        return None;
    }
    Some(HelpDesk { token })
}

fn limits(cx: &mut Context<'_>, view: View<'_>) -> Option<Limits> {
    let head_bytes_max = cx.parse_key(view, "head-max", values::size)?;
    if !HEAD_BYTES.contains(&head_bytes_max) {
        cx.push(
            Diagnostic::error("limits/head-max", view.at_key("head-max"), "`head-max` is out of bounds")
                .why("below 1 KiB no token fits a head; beyond 512 KiB the parser refuses it")
                .help("write a size from 1KiB to 512KiB; browsers send at most 16 KiB of most heads"),
        );
    }
    let streams: u32 = view.integer("streams")?;
    let streams_before_grant: u32 = view.integer("streams-before-grant")?;
    if streams_before_grant > streams {
        cx.push(
            Diagnostic::error(
                "limits/streams",
                view.at_key("streams-before-grant"),
                "more streams before a request is let in than after",
            )
            .help("`streams-before-grant` is for those whom nobody knows: write less than `streams`"),
        );
    }
    Some(Limits {
        connections: view.integer("connections"),
        connections_per_address: view.integer("connections-per-address")?,
        connections_per_proxy: view.integer("connections-per-proxy"),
        head_bytes_max: usize::try_from(head_bytes_max).unwrap_or(usize::MAX),
        head_time: cx.parse_key(view, "head-time", values::duration)?,
        handshake_time: cx.parse_key(view, "handshake-time", values::duration)?,
        streams_before_grant,
        streams,
        unfinished_heads: cx.parse_key(view, "unfinished-heads", values::size)?,
        unsent_per_connection: cx.parse_key(view, "unsent-per-connection", values::size)?,
        unsent: cx.parse_key(view, "unsent", values::size),
        stall: cx.parse_key(view, "stall", values::duration)?,
        waiting: view.integer("waiting")?,
        failed_verifications: cx.parse_key(view, "failed-verifications", values::rate)?,
    })
}

fn decision_log(cx: &mut Context<'_>, view: View<'_>) -> Option<DecisionLog> {
    let Some(table) = view.table("decision-log", &DECISION_LOG) else {
        let sink = if view.text("decision-log") == Some("off") { LogSink::Off } else { LogSink::Stdout };
        return Some(DecisionLog { sink, grants_one_in: None, access: None });
    };
    let sink = log_sink(cx, table)?;
    let access = match table.table("access", &ACCESS_LOG) {
        Some(access) => Some(AccessLog {
            sink: log_sink(cx, access)?,
            format: access.word("format", AccessFormat::from_word)?,
        }),
        None => None,
    };
    let file = |sink: &LogSink| match sink {
        LogSink::File { path, .. } => Some(path.clone()),
        LogSink::Off | LogSink::Stdout | LogSink::Syslog(_) => None,
    };
    if let Some(access) = &access
        && let Some(path) = file(&access.sink)
        && file(&sink).as_ref() == Some(&path)
    {
        let what = format!("`{}` is the decision log, too", path.display());
        cx.push(
            Diagnostic::error("decision-log/same-file", table.at_key("access"), what)
                .why("two logs would be rotated as one, and lose lines")
                .help("give the access log a file of its own"),
        );
    }
    Some(DecisionLog { sink, grants_one_in: table.integer("grants-one-in"), access })
}

/// The place that a log's `file` or `syslog` names.
fn log_sink(cx: &mut Context<'_>, table: View<'_>) -> Option<LogSink> {
    let syslog = cx.parse_key(table, "syslog", syslog_target);
    if let Some(SyslogTarget::Socket(path)) = &syslog {
        cx.names(path, table.at_key("syslog"));
    }
    let bytes_max = cx.parse_key(table, "max-size", values::size);
    Some(match (table.text("file"), syslog) {
        (Some(_), Some(_)) => {
            cx.push(
                Diagnostic::error(
                    "decision-log/two-places",
                    table.at_key("syslog"),
                    "a file and syslog are both named",
                )
                .help("name one of them; a syslog daemon can write files, and a file can be forwarded"),
            );
            LogSink::Off
        }
        (Some(file), None) => {
            let path = cx.path(file);
            cx.names(&path, table.at_key("file"));
            LogSink::File { path, bytes_max, keep: table.integer("keep")? }
        }
        (None, Some(target)) => LogSink::Syslog(target),
        (None, None) => LogSink::Stdout,
    })
}

/// `/dev/log`, or `udp://192.0.2.1:514`. No names: the log must not hang on a resolver.
fn syslog_target(text: &str) -> Result<SyslogTarget, Flaw> {
    match text.strip_prefix("udp://") {
        Some(address) => values::socket_address(address).map(SyslogTarget::Udp),
        None if text.starts_with('/') => Ok(SyslogTarget::Socket(text.into())),
        None => Err(Flaw::new("decision-log/syslog", "neither a socket on this machine nor `udp://`")
            .help("write `/dev/log` or `udp://192.0.2.1:514`")),
    }
}

pub(super) fn trusted_proxies(cx: &mut Context<'_>, view: View<'_>, any: bool) -> Option<TrustedProxies> {
    let (mut networks, mut reported) = (Vec::new(), false);
    for (text, at) in view.texts("networks") {
        let Some(network) = cx.parse(text, at, values::network) else { continue };
        networks.push(network);
        // Two halves are a whole too.
        let everybody = IpNet::aggregate(&networks).iter().any(|network| network.prefix_len() == 0);
        if everybody && !reported && !any {
            cx.push(
                Diagnostic::error("trusted-proxies/everyone", at, format!("`{network}` trusts everybody"))
                    .why("every client could claim any address and so be in any location")
                    .help(
                        "name the networks of your proxies, or set `insecure-options = { trust-any-proxy = true }`",
                    ),
            );
        }
        // What is on this machine is the operator's own.
        let is_wide = network.prefix_len() < if network.addr().is_ipv4() { 24 } else { 56 };
        if is_wide && !reported && !everybody && !network.network().is_loopback() {
            cx.push(
                Diagnostic::warning("trusted-proxies/wide", at, format!("`{network}` trusts many addresses"))
                    .why("whoever has one of them can claim any address, and as many connections as a proxy (`connections-per-proxy`, not `connections-per-address`)")
                    .help("name the addresses of your proxies, or networks of /24 (/56 of IPv6) and narrower in which nobody else is"),
            );
        }
        reported |= everybody;
    }
    Some(TrustedProxies { networks, header: view.word("header", ForwardedHeader::from_word)? })
}

/// A database that is not there yet is no reason to refuse what policies say: they can be checked, analyzed and
/// tested without it. Whoever serves opens it, and refuses.
fn database(cx: &mut Context<'_>, view: View<'_>) -> Option<PathBuf> {
    let path = cx.path(view.text("database")?);
    if std::fs::symlink_metadata(&path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        let what = format!("there is no country database `{}`", path.display());
        cx.push(
            Diagnostic::warning("geo/missing", view.at_key("database"), what)
                .why("the country of an address cannot be found, and `run` will not start")
                .help("put one in MMDB format there, such as GeoLite2-Country; paths are relative to the folder of the main file"),
        );
        cx.files.push(path.clone());
        return Some(path);
    }
    cx.readable(view, "database")
}

pub(super) fn geo(cx: &mut Context<'_>, view: View<'_>) -> Option<Geo> {
    let database = database(cx, view);
    let path = view.text("country-path")?;
    let country_path: Vec<String> = path.split('.').map(ToOwned::to_owned).collect();
    if country_path.len() > 16 || country_path.iter().any(String::is_empty) {
        cx.push(
            Diagnostic::error(
                "geo/path",
                view.at_key("country-path"),
                "`country-path` has an empty name in it",
            )
            .help("write names with dots between them: `country.iso_code`"),
        );
    }
    Some(Geo { database: database?, country_path })
}
