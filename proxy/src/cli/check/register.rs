//! What an operator registers at each provider: the addresses that browsers and the provider itself come back to.

use std::collections::BTreeSet;

use portcullis_config::Config;
use portcullis_config::settings::{OWN_PATHS, Provider};

use crate::session::is_loopback;

/// Where clients come to, as a browser writes it before and behind the host.
struct Public {
    scheme: &'static str,
    /// With its colon; empty for the usual one.
    port: String,
    /// Whether a proxy in front ends the connections of browsers: its scheme and port are not known here.
    is_behind: bool,
}

impl Public {
    /// By the first listener with TLS; or by the proxy in front that ends it; or, for this machine alone, by plain HTTP.
    fn of(config: &Config) -> Self {
        let mut listeners = config.server.listeners.iter().filter(|one| one.forward_auth.is_none());
        let shown = |port: u16, usual: u16| if port == usual { String::new() } else { format!(":{port}") };
        if let Some(listener) = listeners.clone().find(|one| one.tls.is_some()) {
            let port = listener.public_port.unwrap_or(listener.address.port());
            return Self { scheme: "https", port: shown(port, 443), is_behind: false };
        }
        let asked = config.server.listeners.iter().any(|one| one.forward_auth.is_some());
        let plain = listeners.find(|one| !one.redirect_to_https);
        match plain.filter(|_| !asked && config.trusted_proxies.networks.is_empty()) {
            Some(listener) => {
                let port = listener.public_port.unwrap_or(listener.address.port());
                Self { scheme: "http", port: shown(port, 80), is_behind: false }
            }
            None => Self { scheme: "https", port: String::new(), is_behind: true },
        }
    }

    fn url(&self, host: &str, path: &str) -> String {
        // Where a proxy in front has no TLS, browsers keep a session of names of this machine alone.
        let scheme = if self.is_behind && is_loopback(host) { "http" } else { self.scheme };
        format!("{scheme}://{host}{}{OWN_PATHS}/{path}", self.port)
    }
}

/// For each provider that some app uses, a line that names it and one for each address.
pub(super) fn lines(config: &Config) -> Vec<String> {
    let public = Public::of(config);
    let of_one = |(position, provider): (usize, &Provider)| {
        let apps = config.apps.iter().filter(|app| app.sign_in.contains(&position));
        let of_apps: BTreeSet<&str> = apps.flat_map(|app| &app.hosts).map(String::as_str).collect();
        let hosts: Vec<&str> = match config.sign_in_host.as_deref().filter(|_| !of_apps.is_empty()) {
            Some(host) => vec![host],
            None => of_apps.into_iter().collect(),
        };
        let mut lines = Vec::new();
        let Some(first) = hosts.first() else { return lines };
        lines.push(format!("provider `{}`: register client `{}` with", provider.name, provider.client_id));
        let mut line = |name: &str, host: &str, path: &str| {
            lines.push(format!("  {name:<26} {}", public.url(host, path)));
        };
        for host in &hosts {
            line("redirect URI", host, &format!("callback/{}", provider.name));
        }
        for host in &hosts {
            line("post-logout redirect URI", host, "signed-out");
        }
        line("back-channel logout URI", first, "logout/backchannel");
        line("front-channel logout URI", first, "logout/frontchannel");
        if public.is_behind {
            lines.push("  with the scheme and the port that browsers use at the proxy in front".to_owned());
        }
        lines
    };
    config.providers.iter().enumerate().flat_map(of_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_proxy_names_of_this_machine_are_reached_by_http_and_all_others_by_https() {
        let public = |is_behind| Public { scheme: "https", port: String::new(), is_behind };
        for (host, is_behind, url) in [
            ("wiki.localhost", true, "http://wiki.localhost/.portcullis/signed-out"),
            ("127.0.0.1", true, "http://127.0.0.1/.portcullis/signed-out"),
            ("wiki.test", true, "https://wiki.test/.portcullis/signed-out"),
            ("wiki.localhost", false, "https://wiki.localhost/.portcullis/signed-out"),
        ] {
            assert_eq!(public(is_behind).url(host, "signed-out"), url);
        }
    }
}
