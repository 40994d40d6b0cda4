//! The demo's configuration, written to disk so that a newcomer can edit it and watch.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_config::output;

use super::issuer::AUDIENCE;
use super::{DemoError, Options, mmdb};

/// Writes everything into `folder`.
pub(super) fn write(
    folder: &Path,
    options: &Options,
    issuer: &str,
    wiki: SocketAddr,
) -> Result<(), DemoError> {
    let main = folder.join("portcullis.toml");
    if main.exists() {
        return Err(DemoError::Exists(main));
    }
    fs::create_dir_all(folder.join("policies"))?;
    let networks: Vec<_> = [
        ("203.0.113.0/24", "DE"),
        ("198.51.100.0/24", "US"),
        ("192.0.2.0/24", "KP"),
        ("2001:db8:de::/48", "DE"),
    ]
    .into_iter()
    .filter_map(|(network, country)| Some((network.parse().ok()?, country)))
    .collect();
    let built = u64::try_from(crate::clock::unix_now()).unwrap_or(0);
    output::write(&folder.join("country.mmdb"), mmdb::write(&networks, built))?;
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| std::io::Error::other("no random bytes"))?;
    output::write(&folder.join("support.key"), STANDARD.encode(key))?;
    output::write(&folder.join("locations.toml"), LOCATIONS)?;
    output::write(&folder.join("policies/block-other-countries.toml"), BLOCK)?;
    output::write(&folder.join("policies/require-compliant-device.toml"), DEVICE)?;
    output::write(&folder.join("policies/watch-mfa.toml"), WATCH)?;
    // Last, so that a folder with a main file is whole.
    output::write(&main, main_file(options, issuer, wiki))?;
    Ok(())
}

fn main_file(options: &Options, issuer: &str, wiki: SocketAddr) -> String {
    format!(
        r#"# The demonstration's configuration. Save a change and it serves within a second or two.
policies = ["policies/*.toml"]
locations = ["locations.toml"]

[server]
listeners = [{{ address = "{proxy}" }}]
admin = "{admin}"
decision-log = {{ file = "decisions.ndjson" }}
pid-file = "portcullis.pid"
upgrade-socket = "upgrade.sock"

# The demo's front door tells where a visitor comes from. Outside of a demo, name your load balancer.
[trusted-proxies]
networks = ["127.0.0.0/8"]

[[issuer]]
name = "demo"
issuer = "{issuer}"
audiences = ["{AUDIENCE}"]
algorithms = ["ES256"]
keys = {{ url = "{issuer}/jwks.json" }}

[[app]]
id = "wiki"
name = "Internal wiki"
hosts = ["wiki.localhost", "localhost", "127.0.0.1"]
upstreams = ["http://{wiki}"]
assigned = {{ groups = ["engineering", "sales"] }}
unmatched = "deny"
token = {{ bearer = true, cookie = "portcullis_demo_token" }}
sign-in-url = "{issuer}/demo/"
identity-headers = {{ "X-User" = "user-id", "X-User-Name" = "user-name", "X-Groups" = "groups", "X-Device" = "device-id" }}

[geo]
database = "country.mmdb"

[denial]
installation = "Portcullis demo"
contact-mail = "help@example.com"
support-keys = ["support.key"]
"#,
        proxy = options.proxy,
        admin = options.admin,
    )
}

const LOCATIONS: &str = r#"[[location]]
name = "office-munich"
networks = ["203.0.113.0/24"]
trusted = true

# Add "KP" here, and the visitor from abroad is let in.
[[location]]
name = "allowed-countries"
countries = ["DE", "US"]
"#;

const BLOCK: &str = r#"# Change the state to "report-only": the request from abroad passes, and the metrics still count it.
[[policy]]
id = "block-other-countries"
name = "Nobody from countries where we have no people"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"

[policy.conditions]
locations = { include = ["all"], exclude = ["allowed-countries", "office-munich"] }
"#;

const DEVICE: &str = r#"[[policy]]
id = "require-compliant-device"
name = "Only devices that meet our requirements"
state = "enabled"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = { operator = "and", controls = ["compliant-device"] }
"#;

const WATCH: &str = r#"# Report-only: counted in portcullis_policy_results_total, never enforced. Bob has no MFA: see what
# would happen to him before you enable it.
[[policy]]
id = "watch-mfa"
name = "Multifactor authentication for everybody"
state = "report-only"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = { operator = "and", controls = ["mfa"] }
"#;
