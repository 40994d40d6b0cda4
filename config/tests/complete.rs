//! A configuration with every key: each is taken, and each arrives.
#![expect(clippy::expect_used, reason = "a test that cannot read its own files should stop")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use portcullis_config::load::load;
use portcullis_config::settings::{
    AccessFormat, AccessLog, AppDenial, Authorities, Balance, CertificatePair, CheckMethod,
    ClientAuthentication, ClientDemand, Clients, Config, Cors, DecisionLog, Disclosure, Dns, FieldValue,
    ForwardAuthProtocol, FullTo, HashKey, Health, Hsts, IdentityValue, KeySource, Limits, LogSink, OwnAnswer,
    PolicyDenial, ProcessLog, PushedAuthorization, Rate, Retries, SecretMethod, SessionAuthorization,
    SessionStore, Shaping, Subject, SupportKey, SyslogTarget, TicketKey, UpstreamHost, UpstreamProtocol,
};
use portcullis_config::{Severity, reference::json_schema};
use portcullis_policy::model::{Grant, Operator, PathPattern, Place, Subjects, Targets, Unmatched};

fn complete() -> Config {
    let loaded = load(Path::new("tests/complete/main.toml"));
    let text = portcullis_config::diagnose::render_text(&loaded.diagnostics, &loaded.sources);
    assert!(loaded.diagnostics.iter().all(|found| found.severity == Severity::Warning), "{text}");
    loaded.config.expect(&text)
}

#[test]
fn every_key_of_settings_arrives() {
    let config = complete();
    assert_eq!(config.files.len(), 22, "{:?}", config.files);
    let authorities = |ca: &Option<Authorities>| ca.as_ref().map(|ca| ca.file.clone());
    let of_upstreams: Vec<_> = config.apps[1]
        .upstreams
        .iter()
        .map(|one| one.tls.as_ref().and_then(|tls| authorities(&tls.ca)))
        .collect();
    let file = Some("tests/complete/ca.pem".into());
    assert_eq!(of_upstreams, [None, file.clone(), file.clone(), None, None]);
    assert_eq!(config.issuers.iter().map(|one| authorities(&one.ca)).collect::<Vec<_>>(), [None, None, file]);
    let listeners = &config.server.listeners;
    let tls = |listener: usize| listeners[listener].tls.as_ref().unwrap();
    assert_eq!(tls(0).pairs[0].key, Path::new("tests/complete/key.pem"));
    assert_eq!((&tls(1).pairs, &tls(1).ticket_keys[..]), (&tls(0).pairs, &[TicketKey([9; 80])][..]));
    assert!(listeners[2].tls.is_none() && listeners[2].redirect_to_https && !listeners[1].redirect_to_https);
    let hsts = |days: u64, include_subdomains| {
        Some(Hsts { max_age: Duration::from_secs(days * 86_400), include_subdomains })
    };
    assert_eq!((listeners[0].hsts, listeners[1].hsts), (hsts(30, false), hsts(1, false)));
    assert_eq!(config.apps[1].hsts, hsts(365, true));
    let clients = config.apps[1].client_certificates.as_ref().unwrap();
    assert_eq!((clients.demand, clients.authorities.len()), (ClientDemand::Optional, 1));
    assert_eq!(clients.revocations[0].lists, [vec![0x30, 0]]);
    let sink =
        LogSink::File { path: "tests/complete/decisions.log".into(), bytes_max: Some(64 << 20), keep: 3 };
    let access = AccessLog {
        sink: LogSink::File { path: "tests/complete/access.log".into(), bytes_max: Some(1 << 20), keep: 2 },
        format: AccessFormat::Combined,
    };
    let log = DecisionLog { sink, grants_one_in: Some(100), access: Some(access) };
    assert_eq!(config.server.decision_log, log);
    assert_eq!(config.server.process_log, ProcessLog::Json);
    assert_eq!((config.server.threads, config.server.upstream_pool), (Some(2), 7));
    assert_eq!(config.server.body_bytes_max, 1_024);
    let rate = |count, secs, burst| Rate { count, per: Duration::from_secs(secs), burst };
    let secs = Duration::from_secs;
    let limits = Limits {
        connections: Some(1_000),
        connections_per_address: 11,
        connections_per_proxy: Some(900),
        head_bytes_max: 8 << 10,
        head_time: secs(3),
        handshake_time: secs(4),
        streams_before_grant: 2,
        streams: 20,
        unfinished_heads: 1 << 10,
        unsent_per_connection: 2 << 10,
        unsent: Some(3 << 10),
        stall: secs(6),
        waiting: 8,
        failed_verifications: rate(5, 60, 7),
    };
    assert_eq!(config.server.limits, limits);
    let token = config.server.help_desk.as_ref().map(|desk| desk.token.expose());
    assert_eq!(token, Some("7f3c9d20b1e84a5c96fd1e0a2b7c4d38"));
    assert!(
        config.policy_places.iter().all(|place| place.starts_with("tests/complete/")),
        "{:?}",
        config.policy_places
    );
    assert_eq!(config.policy_places.len(), config.policies.policies.len());
    assert_eq!(listeners[2].proxy_protocol_from, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!((config.apps[1].body_bytes_max, config.apps[1].body_rate_min), (Some(2_048), 3_072));
    assert_eq!(config.apps[1].rate, Some(rate(100, 1, 200)));
    assert_eq!(config.apps[1].rate_per_principal, Some(rate(10, 3_600, 10)));
    assert_eq!(config.trusted_proxies.networks[1].to_string(), "192.0.2.0/24");
    assert_eq!(config.issuers[0].keys, KeySource::File("tests/complete/keys.json".into()));
    assert_eq!(config.issuers[0].types, ["at+jwt"]);
    assert_eq!(config.issuers[0].claims.extra, ["email", "\0realm.x\0tier"]);
    assert_eq!(config.issuers[0].algorithms, ["PS256", "EdDSA", "ES384"]);
    assert_eq!(config.issuers[0].max_age, Some(Duration::from_secs(28_800)));
    assert_eq!(config.issuers[0].claims.password_changed.as_deref(), Some("r"));
    let app = &config.apps[1];
    assert_eq!((app.hosts[0].as_str(), app.path_prefix.as_str()), ("wiki.example.com", "/wiki"));
    let upstreams: Vec<_> =
        app.upstreams.iter().map(|one| (one.at.to_string(), one.tls_name(), one.weight)).collect();
    assert_eq!(
        upstreams,
        [
            ("[::1]:3000".to_owned(), None, 1),
            ("10.0.0.5:8443".to_owned(), Some("wiki.corp"), 7),
            ("wiki.corp:443".to_owned(), Some("wiki.corp"), 1),
            ("unix:/run/wiki/wiki.sock".to_owned(), None, 1),
            ("unix:/run/wiki/other.sock".to_owned(), None, 0),
        ]
    );
    let protocols: Vec<_> = app.upstreams.iter().map(|one| one.protocol).collect();
    let (http1, auto, http2) = (UpstreamProtocol::Http1, UpstreamProtocol::Auto, UpstreamProtocol::Http2);
    assert_eq!(protocols, [http1, auto, http1, http1, http2]);
    let shown = CertificatePair {
        certificate: "tests/complete/chain.pem".into(),
        key: "tests/complete/key.pem".into(),
    };
    assert_eq!(app.upstreams[1].tls.as_ref().unwrap().client, Some(shown));
    assert_eq!(app.balance, Balance::ConsistentHash(HashKey::Header("x-room".into())));
    let sticky = Balance::Sticky { life: Some(Duration::from_hours(7 * 24)) };
    assert_eq!(config.apps[0].balance, sticky);
    assert_eq!(app.retries, Retries { attempts: 2, budget_percent: 5 });
    assert_eq!(config.apps[0].retries, Retries { attempts: 3, budget_percent: 20 });
    assert_eq!(app.identity_headers[4].1, IdentityValue::Claim("email".into()));
    assert_eq!(app.audiences.as_deref(), Some(&["api".to_owned()][..]));
    assert_eq!(app.allow_headers, ["cf-ray"]);
    assert_eq!(app.allowed_origins, ["https://portal.example.com"]);
    let cors = Cors {
        methods: vec!["GET".into()],
        headers: Some(vec!["x-csrf-token".into()]),
        expose: vec!["etag".into()],
        max_age: Duration::from_hours(1),
        credentials: true,
    };
    assert_eq!((&app.cors, app.clients, app.office), (&cors, Some(Clients::Docker), false));
    let timeouts = [
        app.timeouts.connect,
        app.timeouts.read,
        app.timeouts.write,
        app.timeouts.idle,
        app.timeouts.first_byte,
        app.timeouts.stream_idle,
        app.timeouts.total.unwrap(),
    ];
    assert_eq!(timeouts, [1, 2, 3, 4, 5, 6, 7].map(Duration::from_secs));
    let check = app.health.check.as_ref().unwrap();
    assert_eq!((check.path.as_str(), check.host.as_str()), ("/healthz?full", "probe.example.com"));
    let good: Vec<u16> = (200..600).filter(|status| check.expect.contains(*status)).collect();
    let expected: Vec<u16> = [204].into_iter().chain(300..400).chain(400..405).collect();
    assert_eq!((check.method, good), (CheckMethod::Head, expected));
    assert_eq!((check.interval, check.timeout), (Duration::from_secs(20), Duration::from_secs(3)));
    assert_eq!((check.healthy, check.unhealthy), (4, 6));
    let Health { failures, eject_for, eject_max, panic_percent, .. } = app.health;
    assert_eq!((failures, panic_percent), (5, 40));
    assert_eq!((eject_for, eject_max), (Duration::from_secs(1), Duration::from_secs(60)));
    let dns = Dns {
        servers: vec!["10.0.0.53:53".parse().unwrap(), "[2001:db8::53]:5353".parse().unwrap()],
        timeout: Duration::from_secs(1),
        ttl_min: Duration::from_secs(2),
        ttl_max: Duration::from_secs(60),
        hold: Duration::from_secs(10),
    };
    assert_eq!(config.dns, dns);
    let open = [PathPattern::Exact("/wiki/healthz".into()), PathPattern::Subtree("/wiki/.well-known".into())];
    assert_eq!((&app.openings.paths[..], app.openings.preflights), (&open[..], true));
    assert_eq!(listeners[2].health_path.as_deref(), Some("/lb-health"));
    let Shaping { prefix_rewrite, upstream_host, own_answer, maintenance, request, response } = &app.shaping;
    assert_eq!((own_answer, *maintenance), (&None, Some(Duration::from_secs(1_800))));
    assert_eq!(prefix_rewrite.as_deref(), Some("/app"));
    assert_eq!(*upstream_host, UpstreamHost::Name("wiki.internal:8080".into()));
    let text = |name: &str, value: &str| (name.to_owned(), FieldValue::Text(value.to_owned()));
    assert!(request.set.contains(&text("x-env", "prod")) && request.remove == ["referer"]);
    assert!(matches!(&request.set[..], [.., (name, FieldValue::Secret(_))] if name == "x-backend-key"));
    assert_eq!(
        (&response.set[..], &response.remove[..]),
        (&[text("x-frame-options", "DENY")][..], &["server".to_owned()][..])
    );
    assert!(!app.token.bearer && !app.websocket && app.forward_authorization);
    assert_eq!(config.geo.as_ref().unwrap().country_path, ["registered_country", "iso_code"]);
    assert_eq!(config.server.decision_subject, Subject::Clear);
    assert_eq!(config.denial.disclosure, Disclosure::Minimal);
    assert_eq!(config.denial.full_to, FullTo::ManagedDevices);
    assert_eq!(config.denial.language, "ja");
    assert_eq!(config.denial.support_keys, [SupportKey([7; 32])]);
    assert!(config.denial.template.as_ref().unwrap().contains("{{headline}}"));
    let app = AppDenial { disclosure: Some(Disclosure::Full), language: Some("de") };
    assert_eq!(config.denial.apps, [AppDenial::default(), app, AppDenial::default(), AppDenial::default()]);
    let [.., moved, robots] = &config.apps[..] else { panic!("{:?}", config.apps) };
    assert_eq!(moved.hosts, ["*.old.example.com"]);
    assert_eq!(moved.shaping.maintenance, None);
    let redirect = OwnAnswer::Redirect {
        to: "https://new.example.com/base".to_owned(),
        status: 308,
        keep_path: true,
        keep_query: true,
    };
    assert_eq!(moved.shaping.own_answer, Some(redirect));
    let fixed = OwnAnswer::Fixed {
        status: 203,
        content_type: "text/html".to_owned(),
        body: "<p>moved</p>".to_owned(),
    };
    assert_eq!(robots.shaping.own_answer, Some(fixed));
    assert_eq!(config.denial.policies[0].message.as_deref(), Some("Turn on the office VPN."));
    assert_eq!(config.denial.policies[1], PolicyDenial::default());
    assert!(config.denial.logo.as_ref().unwrap().starts_with("data:image/png;base64,iVBOR"));
    assert_eq!(config.policies.evidence.mfa_methods, ["otp"]);
}

#[test]
fn every_key_of_signing_in_arrives() {
    let config = complete();
    let [three, two] = &config.providers[..] else { panic!("{:?}", config.providers) };
    assert_eq!((three.name.as_str(), three.display_name.as_str(), three.issuer), ("three", "Three Ltd", 2));
    assert_eq!((two.display_name.as_str(), two.issuer, two.client_id.as_str()), ("two", 1, "portcullis-2"));
    let ClientAuthentication::Secret { secret, method } = &three.client_authentication else { panic!() };
    let written = std::fs::read_to_string("tests/complete/client.secret").unwrap();
    assert_eq!((secret.expose(), *method), (written.trim_end(), SecretMethod::Post));
    assert_eq!(three.scopes, ["openid", "offline_access"]);
    assert_eq!(two.scopes, ["openid", "profile", "email"]);
    assert_eq!(three.parameters, [("domain_hint".to_owned(), "example.com".to_owned())]);
    assert_eq!(three.pushed_authorization, PushedAuthorization::Required);
    assert!(three.userinfo && three.ca.is_some() && !two.userinfo && two.ca.is_none());

    let ClientAuthentication::PrivateKey(keys) = &two.client_authentication else { panic!() };
    let algorithms: Vec<_> = keys.iter().map(|key| (key.algorithm.as_str(), key.kid.as_deref())).collect();
    assert_eq!(algorithms, [("PS256", None), ("ES256", Some("ec-1"))]);
    assert_eq!(keys[0].thumbprint.as_deref().map(str::len), Some(43));
    assert_eq!(keys[1].thumbprint, None);
    let session = config.session.as_ref().unwrap();
    let raw = std::fs::read("tests/complete/session-1.key").unwrap();
    assert_eq!((session.keys.len(), &session.keys[0].0[..]), (2, &raw[..]));
    let SessionStore::Redis { url, password, ca } = &session.store else { panic!() };
    assert_eq!(url.expose(), "rediss://portcullis@valkey.example.com:6380/2");
    assert!(password.is_some() && ca.is_some() && session.refresh && session.journal.is_none());
    let secs = Duration::from_secs;
    assert_eq!((session.idle, session.absolute, session.stale_max), (secs(1_200), secs(32_400), secs(90)));
    assert_eq!(config.sign_in_host.as_deref(), Some("auth.example.com"));
    let assertion = config.assertion.as_ref().unwrap();
    assert_eq!((assertion.keys.len(), assertion.header.as_str()), (1, "x-assertion"));
    assert_eq!(assertion.life, secs(60));
    let (portal, wiki) = (&config.apps[0], &config.apps[1]);
    assert_eq!(portal.sign_in, [0, 1]);
    assert!(portal.keep_fragment && portal.clears_cookies && portal.assertion);
    assert_eq!(portal.session_authorization, SessionAuthorization::AccessToken);
    assert!(wiki.sign_in.is_empty() && !wiki.keep_fragment && !wiki.clears_cookies && !wiki.assertion);
    assert_eq!(wiki.session_authorization, SessionAuthorization::None);
    let asking = config.server.listeners[3].forward_auth.as_ref().unwrap();
    assert_eq!(asking.protocol, ForwardAuthProtocol::ExtAuthzGrpc);
    assert_eq!(asking.peers, ["10.0.0.5/32".parse().unwrap(), "10.1.0.0/16".parse().unwrap()]);
    assert!(config.server.listeners[0].forward_auth.is_none());
}

#[test]
fn every_key_of_policies_arrives() {
    let set = complete().policies;
    assert_eq!(set.apps[1].unmatched, Unmatched::Allow);
    assert_eq!(set.apps[1].assigned.as_ref().unwrap().len(), 3);
    assert_eq!(set.apps[1].attributes.len(), 4);
    assert!(
        set.locations.iter().any(|location| matches!(location.place, Place::Networks { trusted: true, .. }))
    );
    let policy = &set.policies[0];
    let Subjects::Users(users) = &*policy.subjects else { panic!() };
    assert_eq!((users.include.len(), users.exclude.len()), (4, 2));
    let Targets::Apps(apps) = &*policy.targets else { panic!() };
    assert_eq!((apps.include.len(), apps.exclude.len()), (2, 1));
    let Grant::Require { operator: Operator::Or, controls } = &policy.grant else { panic!() };
    assert_eq!(controls.len(), 8);
    let request = policy.conditions.request.as_ref().unwrap();
    assert_eq!(request.paths[0], PathPattern::Subtree(String::new()));
    assert_eq!(request.paths[1], PathPattern::Subtree("/wiki/a".into()));
    assert_eq!(request.paths[2], PathPattern::Exact("/wiki/b".into()));
    let time = policy.conditions.time.as_ref().unwrap();
    assert_eq!((time.windows.len(), time.from, time.until), (5, Some(1_767_222_000), Some(1_798_801_200)));
    assert!(matches!(*set.policies[1].targets, Targets::Contexts(_)));
    assert_eq!(set.policies[1].grant, Grant::Block);
}

/// Paths of all keys that a schema knows.
fn known(schema: &serde_json::Value, path: &str, out: &mut BTreeSet<String>) {
    for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
        out.insert(format!("{path}{key}"));
        known(inner, &format!("{path}{key}."), out);
    }
    for inner in schema["anyOf"].as_array().into_iter().flatten() {
        known(inner, path, out);
    }
    if schema["items"].is_object() {
        known(&schema["items"], path, out);
    }
}

/// Paths of all keys that a document uses.
fn used(document: &toml::Value, path: &str, out: &mut BTreeSet<String>) {
    match document {
        toml::Value::Table(table) => {
            for (key, value) in table {
                out.insert(format!("{path}{key}"));
                used(value, &format!("{path}{key}."), out);
            }
        }
        toml::Value::Array(items) => items.iter().for_each(|item| used(item, path, out)),
        _ => {}
    }
}

#[test]
fn every_key_of_the_schema_is_taken_by_the_loader() {
    let (mut all, mut seen) = (BTreeSet::new(), BTreeSet::new());
    known(&json_schema(), "", &mut all);
    for file in ["main", "policies", "extra"] {
        let text = std::fs::read_to_string(format!("tests/complete/{file}.toml")).unwrap();
        used(&toml::from_str(&text).unwrap(), "", &mut seen);
    }
    // Keys that hold rules, and one that excludes another: each has tests of its own.
    let elsewhere = |key: &&String| {
        [
            "policy.apps.filter",
            "policy.conditions.device-filter",
            "policy.conditions.claims",
            "server.decision-log.syslog",
            "server.decision-log.access.syslog",
            "session.journal",
            "session.store.redb",
        ]
        .iter()
        .any(|other| key.starts_with(other))
    };
    let missing: Vec<_> = all.difference(&seen).filter(|key| !elsewhere(key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_decision_log_goes_to_one_place() {
    let sink = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("main.toml");
        let rest = r#"
            [[issuer]]
            name = "idp"
            issuer = "https://idp.example.com"
            audiences = ["api"]
            keys = { url = "https://idp.example.com/jwks" }
            [[app]]
            id = "wiki"
            hosts = ["wiki.example.com"]
            upstreams = ["http://127.0.0.1:3000"]
        "#;
        let listeners = r#"listeners = [{ address = "127.0.0.1:8080" }]"#;
        std::fs::write(&main, format!("[server]\n{listeners}\n{text}\n{rest}")).unwrap();
        let loaded = load(&main);
        let problems = portcullis_config::diagnose::render_text(&loaded.diagnostics, &loaded.sources);
        loaded.config.expect(&problems).server.decision_log
    };
    assert_eq!(sink("").sink, LogSink::Stdout);
    assert_eq!(sink(r#"decision-log = "off""#).sink, LogSink::Off);
    let sampled = DecisionLog { sink: LogSink::Stdout, grants_one_in: Some(10), access: None };
    assert_eq!(sink("decision-log = { grants-one-in = 10 }"), sampled);
    let local = LogSink::Syslog(SyslogTarget::Socket("/dev/log".into()));
    assert_eq!(sink(r#"decision-log = { syslog = "/dev/log" }"#).sink, local.clone());
    let remote = LogSink::Syslog(SyslogTarget::Udp("192.0.2.1:514".parse().unwrap()));
    assert_eq!(sink(r#"decision-log = { syslog = "udp://192.0.2.1:514" }"#).sink, remote);
    let beside = sink(r#"decision-log = { file = "a", access = { syslog = "/dev/log" } }"#).access.unwrap();
    assert_eq!(beside, AccessLog { sink: local, format: AccessFormat::Json });
}
