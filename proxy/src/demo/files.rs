//! The demo's configuration, written to disk so that a newcomer can edit it and watch.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_config::output;

use super::issuer::AUDIENCE;
use super::provider::{CLIENT_ID, NAME};

/// Invented countries of documentation's networks; SOURCE.md says how it was made.
const COUNTRIES: &[u8] = include_bytes!("country.mmdb");

/// Where everything listens.
#[derive(Clone, Copy)]
pub(super) struct Addresses {
    pub(super) proxy: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) wiki: SocketAddr,
}

/// The main file, in the demo's folder.
pub(super) const MAIN: &str = "portcullis.toml";
/// A policy file to edit, in the demo's folder.
pub(super) const EDITED: &str = "policies/require-compliant-device.toml";
/// The decision log, in the demo's folder.
pub(super) const DECISION_LOG: &str = "decisions.ndjson";

/// Writes everything into `folder`.
pub(super) fn write(
    folder: &Path,
    addresses: Addresses,
    issuer: &str,
    client_secret: &str,
) -> io::Result<()> {
    fs::create_dir_all(folder.join("policies"))?;
    output::write(&folder.join("country.mmdb"), COUNTRIES)?;
    for name in ["support.key", "session.key"] {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| io::Error::other("no random bytes"))?;
        secret(&folder.join(name), &STANDARD.encode(key))?;
    }
    secret(&folder.join("client.secret"), client_secret)?;
    output::write(&folder.join("locations.toml"), LOCATIONS)?;
    output::write(&folder.join("policies/block-other-countries.toml"), BLOCK)?;
    output::write(&folder.join(EDITED), DEVICE)?;
    output::write(&folder.join("policies/watch-mfa.toml"), WATCH)?;
    // Last, so that a folder with a main file is whole.
    output::write(&folder.join(MAIN), main_file(addresses, issuer))
}

fn main_file(Addresses { proxy, admin, wiki }: Addresses, issuer: &str) -> String {
    format!(
        r#"# The demonstration's configuration. Save a change and it serves within a second or two.
policies = ["policies/*.toml"]
locations = ["locations.toml"]

[server]
listeners = [{{ address = "{proxy}" }}]
admin = "{admin}"
# Every request that is let in is logged too: the wiki shows why. In earnest, refusals and a sample are enough.
decision-log = {{ file = "{DECISION_LOG}", grants-one-in = 1 }}
pid-file = "portcullis.pid"
upgrade-socket = "upgrade.sock"

# The demo's front door reports the visitor's address. Outside of a demo, name your load balancer.
[trusted-proxies]
networks = ["127.0.0.0/8"]

[[issuer]]
name = "demo"
issuer = "{issuer}"
audiences = ["{AUDIENCE}"]
algorithms = ["ES256"]
keys = {{ discovery = "{issuer}/.well-known/openid-configuration" }}

# Where browsers sign in. Its ID tokens are verified as the issuer above says.
[[provider]]
name = "{NAME}"
display-name = "Demo sign-in service"
issuer = "demo"
client-id = "{CLIENT_ID}"
client-secret = {{ file = "client.secret" }}
scopes = ["openid", "profile"]

[session]
keys = ["session.key"]
store = "cookie"
journal = "revocations.journal"
idle = "1h"
absolute = "8h"

[[app]]
id = "wiki"
name = "Internal wiki"
hosts = ["wiki.localhost", "localhost"]
upstreams = ["http://{wiki}"]
assigned = {{ groups = ["engineering", "sales"] }}
unmatched = "deny"
sign-in = "{NAME}"
identity-headers = {{ "X-User" = "user-id", "X-User-Name" = "user-name", "X-Groups" = "groups", "X-Device" = "device-id" }}

[geo]
database = "country.mmdb"

[denial]
installation = "Portcullis demo"
contact-mail = "help@example.com"
support-keys = ["support.key"]
"#
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

const WATCH: &str = r#"# Report-only: counted in portcullis_policy_results_total, never enforced. Sign in with a password
# only: the wiki shows what it would have asked for. Enable it, and it asks.
[[policy]]
id = "watch-mfa"
name = "Multifactor authentication for everybody"
state = "report-only"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = { operator = "and", controls = ["mfa"] }
"#;

/// Writes a file that nobody else may read.
fn secret(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use maxminddb::{Reader, path};

    #[test]
    fn the_country_database_has_the_countries_that_the_demo_speaks_of() {
        let reader = Reader::from_source(super::COUNTRIES).unwrap();
        let country = |address: &str| {
            let found = reader.lookup(address.parse().unwrap()).unwrap();
            found.decode_path::<String>(&path!["country", "iso_code"]).unwrap()
        };
        for place in crate::demo::places::PLACES {
            let expected = match place.id {
                "office" => "DE",
                "home" => "US",
                _ => "KP",
            };
            assert_eq!(country(place.address).as_deref(), Some(expected), "{}", place.id);
        }
        assert_eq!(country("2001:db8:de::1").as_deref(), Some("DE"));
        assert_eq!(country("10.0.0.1"), None);
    }
}
