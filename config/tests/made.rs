//! Configurations whose secrets are in no repository: they are copied, and the secrets that they name are made.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::Path;
use std::process::Command;

use portcullis_config::diagnose::render_text;
use portcullis_config::load::load;
use portcullis_config::settings::{
    ClientAuthentication, SealKey, SessionAuthorization, SessionSettings, SessionStore,
};
use portcullis_config::{Config, Loaded};

/// Runs `openssl`, which makes keys as the comments of the files say.
fn openssl(arguments: &[&str]) {
    let done = Command::new("openssl").args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Makes what a file of this name holds by its ending.
fn make(file: &Path) {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let out = file.to_string_lossy().into_owned();
    match name.as_str() {
        "corp.key" | "corp-ca.pem" | "corp.pem" => {
            let key = file.with_extension("made");
            openssl(&[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=corp",
                "-days",
                "2",
                "-keyout",
                &key.to_string_lossy(),
                "-out",
                &out,
            ]);
        }
        "entra.crt" => {
            let key = file.with_extension("pem").to_string_lossy().into_owned();
            openssl(&["req", "-x509", "-key", &key, "-subj", "/CN=portcullis", "-days", "2", "-out", &out]);
        }
        "entra.pem" => {
            openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &out])
        }
        name if name.ends_with(".pem") => {
            openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &out]);
        }
        name if name.ends_with(".secret") => openssl(&["rand", "-base64", "-out", &out, "24"]),
        _ => openssl(&["rand", "-out", &out, "32"]),
    }
}

/// A configuration beside the secrets that it names as `secrets/…`.
fn load_beside_secrets(text: &str) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    let main = folder.path().join("portcullis.toml");
    std::fs::write(&main, text).unwrap();
    let mut names: Vec<&str> = text.split('"').filter_map(|word| word.strip_prefix("secrets/")).collect();
    // A certificate is made of its key.
    names.sort_by_key(|name| name.ends_with(".crt"));
    for name in names {
        make(&folder.path().join("secrets").join(name));
    }
    load(&main)
}

/// The same, without a word about it.
fn loaded(text: &str) -> Config {
    let loaded = load_beside_secrets(text);
    let said = render_text(&loaded.diagnostics, &loaded.sources);
    assert!(said.is_empty(), "{said}");
    loaded.config.unwrap()
}

#[test]
fn the_example_with_sign_in_loads_without_a_word_and_says_what_it_says() {
    let config = loaded(&std::fs::read_to_string("examples/sign-in/portcullis.toml").unwrap());
    let [corp, partners] = &config.providers[..] else { panic!("two providers") };
    assert!(matches!(&corp.client_authentication, ClientAuthentication::PrivateKey(keys) if keys.len() == 1));
    assert!(matches!(partners.client_authentication, ClientAuthentication::Secret { .. }));
    let session = config.session.as_ref().unwrap();
    assert!(matches!(session.store, SessionStore::Redis { .. }) && session.refresh);
    let [wiki, payroll] = &config.apps[..] else { panic!("two apps") };
    assert_eq!((&wiki.sign_in[..], &payroll.sign_in[..]), (&[0, 1][..], &[0][..]));
    assert!(wiki.assertion && !payroll.assertion && payroll.keep_fragment);
    assert_eq!(payroll.session_authorization, SessionAuthorization::AccessToken);
    assert_eq!(config.sign_in_host.as_deref(), Some("auth.corp.example"));
}

/// The fenced TOML of the recipes, each with the name of its provider.
fn recipes() -> Vec<(String, String)> {
    let text = std::fs::read_to_string("../deploy/providers/README.md").unwrap();
    let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0.to_owned());
    let name = |block: &str| {
        let (_, provider) = block.split_once("[[provider]]\nname = \"").unwrap();
        provider.split_once('"').unwrap().0.to_owned()
    };
    blocks.map(|block| (name(&block), block)).collect()
}

/// A recipe with an app that signs people in there, and a policy that asks for this.
fn around(name: &str, recipe: &str, grant: &str) -> String {
    format!(
        r#"{recipe}
[server]
listeners = [{{ address = "127.0.0.1:8443", tls = {{ certificate = "secrets/corp.pem", key = "secrets/corp.key" }} }}]
[session]
keys = ["secrets/session-1.key"]
store = {{ redb = "sessions.redb" }}
refresh = {}
[[app]]
id = "wiki"
hosts = ["wiki.corp.example"]
upstreams = ["http://10.0.0.5:3000"]
sign-in = "{name}"
[[policy]]
id = "asked"
users = {{ include = ["all"] }}
apps = {{ include = ["all"] }}
{grant}
"#,
        recipe.contains("offline_access")
    )
}

#[test]
fn each_recipe_for_a_provider_loads_and_proves_what_its_page_says() {
    let recipes = recipes();
    let names: Vec<&str> = recipes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["entra", "okta", "keycloak", "google"]);
    for (name, recipe) in &recipes {
        // Where something proves a second factor, nothing is said about a policy that asks for it.
        let grant = match name.as_str() {
            "google" => r#"session = { persistent-browser = "never" }"#,
            _ => r#"grant = { controls = ["mfa"] }"#,
        };
        let config = loaded(&around(name, recipe, grant));
        let [provider] = &config.providers[..] else { panic!("{name}") };
        let issuer = &config.issuers[provider.issuer];
        assert_eq!((provider.name.as_str(), issuer.name.as_str()), (name.as_str(), name.as_str()));
        assert!(issuer.audiences.is_empty(), "{name}: no access token is accepted");
        let signs = matches!(provider.client_authentication, ClientAuthentication::PrivateKey(_));
        assert_eq!(signs, name != "google", "{name}");
    }
}

#[test]
fn the_first_lines_of_the_chapter_on_signing_in_load() {
    let chapter = std::fs::read_to_string("../proxy/SIGN-IN.md").unwrap();
    let (_, rest) = chapter.split_once("```toml\n").unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    let around = r#"
[server]
listeners = [{ address = "127.0.0.1:8443", tls = { certificate = "secrets/corp.pem", key = "secrets/corp.key" } }]
[[issuer]]
name = "staff"
issuer = "https://id.corp.example"
keys = { discovery = "https://id.corp.example/.well-known/openid-configuration" }
[[policy]]
id = "mfa"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = { controls = ["mfa"] }
"#;
    let config = loaded(&format!("{block}{around}"));
    assert_eq!(config.apps[0].sign_in, [0]);
    assert!(config.session.unwrap().journal.is_some());
}

/// Sealing keys and times serve at once; where sessions are is opened once.
#[test]
fn where_sessions_are_takes_a_restart_and_nothing_else_of_them_does() {
    let config = loaded(&std::fs::read_to_string("examples/sign-in/portcullis.toml").unwrap());
    let differing = |change: fn(&mut SessionSettings)| {
        let mut changed = config.clone();
        change(changed.session.as_mut().unwrap());
        changed.restart_values().differing(&config.restart_values())
    };
    assert_eq!(differing(|session| session.keys.push(SealKey([1; 32]))), [""; 0]);
    assert_eq!(differing(|session| session.idle *= 2), [""; 0]);
    assert_eq!(differing(|session| session.refresh = false), [""; 0]);
    assert_eq!(differing(|session| session.store = SessionStore::Cookie), ["session.store"]);
    assert_eq!(differing(|session| session.journal = Some("other".into())), ["session.journal"]);
    let mut without = config.clone();
    without.session = None;
    assert_eq!(without.restart_values().differing(&config.restart_values()), ["session.store"]);
}

#[test]
fn a_provider_has_the_authorities_of_its_issuer_unless_it_names_its_own() {
    let text = std::fs::read_to_string("examples/sign-in/portcullis.toml").unwrap();
    let file =
        |config: &Config| config.providers[0].ca.as_ref().map(|ca| ca.file.file_name().unwrap().to_owned());
    assert_eq!(file(&loaded(&text)), None);
    let keys = "keys = { discovery = \"https://sso.corp.example";
    assert_eq!(text.matches(keys).count(), 1);
    let of_issuer = text.replace(keys, &format!("ca = \"secrets/corp-ca.pem\"\n{keys}"));
    assert_eq!(file(&loaded(&of_issuer)), Some("corp-ca.pem".into()));
    let own = of_issuer.replace("issuer = \"keycloak\"", "issuer = \"keycloak\"\nca = \"secrets/corp.pem\"");
    assert_eq!(file(&loaded(&own)), Some("corp.pem".into()));
}

#[test]
fn each_app_that_moves_over_from_another_proxy_loads() {
    let text = std::fs::read_to_string("../deploy/moving-over/README.md").unwrap();
    let blocks: Vec<&str> =
        text.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert_eq!(blocks.len(), text.matches("\n## From ").count(), "one for each proxy");
    for block in blocks {
        let around = format!(
            r#"{block}
[server]
listeners = [{{ address = "127.0.0.1:8443", tls = {{ certificate = "secrets/corp.pem", key = "secrets/corp.key" }} }}]
[[issuer]]
name = "corp"
issuer = "https://id.corp.example"
claims = {{ groups = "groups", extra = ["email"] }}
keys = {{ discovery = "https://id.corp.example/.well-known/openid-configuration" }}
[[provider]]
name = "corp"
issuer = "corp"
client-id = "portcullis"
private-key = {{ file = "secrets/client-1.pem" }}
[session]
keys = ["secrets/session-1.key"]
store = {{ redb = "sessions.redb" }}
[assertion]
keys = ["secrets/assertion-1.pem"]
[[policy]]
id = "twice-a-day"
users = {{ include = ["all"] }}
apps = {{ include = ["all"] }}
session = {{ sign-in-frequency = "12h" }}
"#
        );
        let config = loaded(&around);
        assert_eq!(config.apps.len(), 1);
    }
}
