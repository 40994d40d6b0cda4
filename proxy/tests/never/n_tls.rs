//! Whom a TLS connection proves, and for which host: client certificates, resumed sessions, names, plain HTTP.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

use crate::h2;
use crate::keys;
use crate::wire::{Answer, answer, exchange};
use crate::world::{CERTIFICATE, HOST, Setup, World};

const DAY: Duration = Duration::from_secs(86_400);
/// A host of the same certificate whose app asks for nothing.
const OPEN: &str = "other.test";
/// A host of another certificate.
const APART: &str = "apart.test";

/// The authority of clients' certificates.
static AUTHORITY: LazyLock<(Issuer<'static, KeyPair>, String)> = LazyLock::new(|| authority("staff"));
/// Certificate and key of [`APART`].
static OTHER: LazyLock<(String, String, CertificateDer<'static>)> = LazyLock::new(|| {
    let made = rcgen::generate_simple_self_signed(vec![APART.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem(), made.cert.der().clone())
});

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

type Leaf = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn leaf(issuer: &Issuer<'_, KeyPair>, serial: u64, until: SystemTime) -> Leaf {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.serial_number = Some(SerialNumber::from(serial));
    (params.not_before, params.not_after) = ((until - 2 * DAY).into(), until.into());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    (vec![certificate.der().clone()], key)
}

fn list(serials: &[u64]) -> String {
    let now = SystemTime::now();
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: now.into(),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: (now - DAY).into(),
        next_update: (now + DAY).into(),
        crl_number: SerialNumber::from(serials.len() as u64 + 1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&AUTHORITY.0).unwrap().pem().unwrap()
}

/// The app at [`HOST`] asks for a certificate, those at [`OPEN`] and [`APART`] do not.
fn world(demand: &'static str) -> World {
    let setup = Setup {
        plain: "redirect-to-https = true",
        tls: "certificates = [{ certificate = \"chain.pem\", key = \"key.pem\" }, { certificate = \"apart.pem\", key = \"apart.key\" }]",
        app: demand,
        top: format!(
            "[[app]]\nid = \"open\"\nhosts = [\"{OPEN}\", \"{APART}\"]\nupstreams = [\"http://127.0.0.1:9\"]\nunmatched = \"allow\""
        ),
        ..Setup::default()
    };
    let world = World::launch_with(setup, |folder| {
        write(folder, "ca.pem", &AUTHORITY.1);
        write(folder, "crl.pem", &list(&[]));
        write(folder, "apart.pem", &OTHER.0);
        write(folder, "apart.key", &OTHER.1);
    });
    let world = world.unwrap();
    world.wait_for("the keys", |world| world.admin_get("/readyz", "").status == 200);
    world
}

const REQUIRED: &str = "client-certificate = \"required\"\nclient-ca = \"ca.pem\"\nclient-crl = \"crl.pem\"";

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}

/// A client with this certificate; it remembers sessions.
fn client(
    leaf: Option<&Leaf>,
    protocol: &[u8],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(CERTIFICATE.2.clone()).unwrap();
    roots.add(OTHER.2.clone()).unwrap();
    let builder = ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
    let mut config = match leaf {
        Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key()).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::in_memory_sessions(256);
    Arc::new(config)
}

const TLS13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
const TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A GET with a good token for this host on an open connection.
fn ask(stream: &mut Stream, host: &str, lines: &str) -> Answer {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nAccept: application/json\r\n{lines}\r\n",
        keys::token()
    );
    let _ = stream.write_all(head.as_bytes());
    answer(stream, false)
}

/// The same on a connection of its own that names this server.
fn ask_as(world: &World, client: &Arc<ClientConfig>, name: &str, host: &str) -> Answer {
    ask(&mut world.connect_with(name, Arc::clone(client)), host, "")
}

/// Revokes these, and waits until the proxy has it.
fn revoke(world: &World, serials: &[u64]) {
    let generation = |world: &World| world.metric("portcullis_configuration_generation");
    let before = generation(world);
    // As it is renewed where it counts: whole or not at all.
    fs::write(world.file("new.pem"), list(serials)).unwrap();
    fs::rename(world.file("new.pem"), world.file("crl.pem")).unwrap();
    world.wait_for("the new list", |world| generation(world) > before);
}

#[test]
fn never_n98_a_client_without_a_good_certificate_reaches_an_app_that_asks_for_one() {
    let world = world(REQUIRED);
    let tomorrow = SystemTime::now() + DAY;
    let good = leaf(&AUTHORITY.0, 1, tomorrow);
    let stranger = leaf(&authority("staff").0, 1, tomorrow);
    let ended = leaf(&AUTHORITY.0, 1, SystemTime::now() - DAY);
    let revoked = leaf(&AUTHORITY.0, 7, tomorrow);
    revoke(&world, &[7]);
    for versions in [TLS12, TLS13] {
        for (leaf, code, reason) in [
            (None, "880101", "client-certificate-missing"),
            (Some(&stranger), "880102", "client-certificate-untrusted"),
            (Some(&revoked), "880103", "client-certificate-revoked"),
            (Some(&ended), "880104", "client-certificate-expired"),
        ] {
            let before = world.origin.hits();
            let refused = ask_as(&world, &client(leaf, b"http/1.1", versions), HOST, HOST);
            assert_eq!(refused.status, 403, "{reason}: {}", refused.body);
            assert!(refused.body.contains(code), "{reason}: {}", refused.body);
            assert_eq!(world.origin.hits(), before, "{reason}");
            world.wait_for(reason, |world| world.log().contains(reason));
        }
        let before = world.origin.hits();
        assert_eq!(ask_as(&world, &client(Some(&good), b"http/1.1", versions), HOST, HOST).status, 200);
        assert_eq!(world.origin.hits(), before + 1, "the counterpart");
    }
    // Strangers learn nothing of it.
    let mut stream = world.connect_with(HOST, client(None, b"http/1.1", TLS13));
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(answer(&mut stream, false).status, 401);
}

#[test]
fn never_n98_a_request_rides_on_a_connection_that_was_opened_for_another_name() {
    let world = world(REQUIRED);
    let good = leaf(&AUTHORITY.0, 1, SystemTime::now() + DAY);
    let client = |protocol: &[u8]| client(Some(&good), protocol, TLS13);
    let bearer = format!("Bearer {}", keys::token());
    for (name, host, is_misdirected) in [
        (HOST, HOST, false),
        // One certificate is for both: what an HTTP/2 client may take for one server (RFC 9113, section 9.1.1).
        (OPEN, HOST, true),
        (HOST, OPEN, false),
        (HOST, APART, true),
        (APART, HOST, true),
        (APART, OPEN, true),
        (APART, APART, false),
    ] {
        let before = world.origin.hits();
        let one = ask_as(&world, &client(b"http/1.1"), name, host).status;
        let mut fields = h2::fields("GET", host, "/");
        fields.push((b"authorization", bearer.as_bytes()));
        let stream = world.connect_with(name, client(b"h2"));
        let two = h2::Connection::open(stream).ask(&fields, None, &[]).status();
        assert_eq!([one == 421, two == 421], [is_misdirected; 2], "{name} asks for {host}: {one} {two}");
        let reached = if (name, host) == (HOST, HOST) { 2 } else { 0 };
        assert_eq!(world.origin.hits(), before + reached, "{name} asks for {host}");
    }
    // On an open connection, after a request that was right.
    let mut stream = world.connect_with(OPEN, client(b"http/1.1"));
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {OPEN}\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(answer(&mut stream, false).status, 401);
    assert_eq!(ask(&mut stream, HOST, "").status, 421);
}

#[test]
fn never_n98_a_revoked_certificate_is_served_because_its_session_was_resumed() {
    for versions in [TLS12, TLS13] {
        let world = world(REQUIRED);
        let leaf = leaf(&AUTHORITY.0, 7, SystemTime::now() + DAY);
        let client = client(Some(&leaf), b"http/1.1", versions);
        let ask = || {
            let mut stream = world.connect_with(HOST, Arc::clone(&client));
            let answer = ask(&mut stream, HOST, "");
            (stream.conn.handshake_kind(), answer)
        };
        let mut open = world.connect_with(HOST, Arc::clone(&client));
        assert_eq!(self::ask(&mut open, HOST, "").status, 200);
        let (kind, answer) = ask();
        assert_eq!((kind, answer.status), (Some(HandshakeKind::Resumed), 200), "{}", answer.body);
        let mut resumed = world.connect_with(HOST, Arc::clone(&client));
        assert_eq!(self::ask(&mut resumed, HOST, "").status, 200);
        assert_eq!(resumed.conn.handshake_kind(), Some(HandshakeKind::Resumed));
        revoke(&world, &[7]);
        let before = world.origin.hits();
        let (kind, answer) = ask();
        assert_ne!(kind, Some(HandshakeKind::Resumed), "the ticket is of another list");
        for (which, answer) in [
            ("a new connection", answer),
            ("an open connection", self::ask(&mut open, HOST, "")),
            ("an open one with a resumed session", self::ask(&mut resumed, HOST, "")),
        ] {
            assert_eq!(answer.status, 403, "{which}: {}", answer.body);
            assert!(answer.body.contains("880103"), "{which}: {}", answer.body);
        }
        assert_eq!(world.origin.hits(), before);
    }
}

#[test]
fn never_n98_what_flows_goes_on_after_its_certificate_was_revoked() {
    let world = world(REQUIRED);
    let leaf = leaf(&AUTHORITY.0, 7, SystemTime::now() + DAY);
    let mut stream = world.connect_with(HOST, client(Some(&leaf), b"http/1.1", TLS13));
    let head = World::head("GET", "/stream", "");
    stream.write_all(&head).unwrap();
    let mut chunk = [0; 4096];
    assert!(stream.read(&mut chunk).unwrap() > 0);
    revoke(&world, &[7]);
    let begun = Instant::now();
    // It ends, or this test does not: events come ten times a second.
    while stream.read(&mut chunk).is_ok_and(|read| read > 0) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it flows on");
    }
    world.wait_for("its end", |world| world.log().contains("client-certificate-revoked"));
}

#[test]
fn never_n98_a_host_that_begins_to_ask_is_reached_by_connections_that_were_not_asked() {
    let world = world("");
    let leaf = leaf(&AUTHORITY.0, 1, SystemTime::now() + DAY);
    let client = client(Some(&leaf), b"http/1.1", TLS13);
    let mut open = world.connect_with(HOST, Arc::clone(&client));
    assert_eq!(ask(&mut open, HOST, "").status, 200);
    let main = world.file("portcullis.toml");
    let text = fs::read_to_string(&main).unwrap();
    fs::write(
        &main,
        text.replace("\n[[app]]\nid = \"open\"", &format!("\n{REQUIRED}\n[[app]]\nid = \"open\"")),
    )
    .unwrap();
    world.wait_for("the demand", |world| world.metric("portcullis_configuration_generation") > 1.0);
    assert_eq!(ask(&mut open, HOST, "").status, 421);
    assert_eq!(ask_as(&world, &client, HOST, HOST).status, 200, "asked, and with a certificate");
}

#[test]
fn never_n98_a_plain_listener_that_redirects_lets_anybody_in_or_sends_them_elsewhere() {
    let world = world(REQUIRED);
    let https = world.tls.rsplit_once(':').unwrap().1;
    let token = keys::token();
    let get =
        |lines: &str| exchange(&world.plain, format!("GET /a/b?c=%20d HTTP/1.1\r\n{lines}\r\n").as_bytes());
    for host in [HOST, OPEN, APART, "WIKI.TEST:80"] {
        let found = get(&format!("Host: {host}\r\nAuthorization: Bearer {token}\r\n"));
        assert_eq!(found.status, 308, "{host}");
        let name = host.split(':').next().unwrap().to_lowercase();
        assert_eq!(found.header("location"), Some(&*format!("https://{name}:{https}/a/b?c=%20d")));
        assert_eq!(found.header("strict-transport-security"), None, "RFC 6797, section 7.2");
    }
    let posted = format!("POST /x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(exchange(&world.plain, posted.as_bytes()).status, 308, "the method stays");
    for (lines, status) in [
        ("Host: evil.test\r\n".to_owned(), 401),
        (format!("Host: evil.test\r\nAuthorization: Bearer {token}\r\n"), 404),
        (format!("Host: {HOST}\r\nHost: evil.test\r\n"), 400),
        (format!("Host: {HOST}@evil.test\r\n"), 400),
        ("Host: \r\n".to_owned(), 400),
    ] {
        let found = get(&lines);
        assert_eq!((found.status, found.header("location")), (status, None), "{lines}");
    }
    // A client is no trusted proxy, whatever it says of its scheme.
    let forged =
        get(&format!("Host: {HOST}\r\nX-Forwarded-Proto: https\r\nAuthorization: Bearer {token}\r\n"));
    assert_eq!(forged.status, 308);
    for target in ["http://evil.test/", "//evil.test/", "*", "evil.test:443", "/\\evil.test"] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n\r\n");
        let found = exchange(&world.plain, head.as_bytes());
        let is_ours =
            found.header("location").is_none_or(|to| to.starts_with(&format!("https://{HOST}:{https}/")));
        assert!(is_ours && found.status != 200, "{target}: {} {:?}", found.status, found.header("location"));
    }
    assert_eq!(world.origin.hits(), 0);
    let replied = "portcullis_requests_total{app=\"(none)\",outcome=\"replied\"}";
    world.wait_for("the answers to be counted", |world| world.metric(replied) >= 6.0);
}

#[test]
fn never_n98_a_renewed_certificate_waits_for_a_restart_or_a_broken_one_stops_the_service() {
    let world = world("hsts = \"30d\"");
    let served = |world: &World| {
        let client = client(None, b"http/1.1", TLS13);
        let mut stream = world.connect_with(APART, client);
        let status = ask(&mut stream, APART, "").status;
        (status, stream.conn.peer_certificates().unwrap()[0].clone())
    };
    let mut open = world.connect_with(HOST, client(None, b"http/1.1", TLS13));
    let known = ask(&mut open, HOST, "");
    assert_eq!(known.header("strict-transport-security"), Some("max-age=2592000"));
    let mut stranger = world.connect_with(HOST, client(None, b"http/1.1", TLS13));
    stranger.write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).unwrap();
    let unknown = answer(&mut stranger, false);
    assert_eq!((unknown.status, unknown.header("strict-transport-security")), (401, None), "an app's own");
    assert_eq!(served(&world), (502, OTHER.2.clone()));
    let expiry = format!(
        "portcullis_tls_certificate_not_after_timestamp_seconds{{listener=\"{}\",name=\"{APART}\"}}",
        world.tls
    );
    let before = world.metric(&expiry);
    let key = KeyPair::from_pem(&OTHER.1).unwrap();
    let mut params = CertificateParams::new(vec![APART.to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2031, 1, 1);
    let renewed = params.self_signed(&key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(renewed.der().clone()).unwrap();
    write(world.folder.path(), "apart.pem", &renewed.pem());
    world.wait_for("the renewed one in the metric", |world| world.metric(&expiry) == 1_924_992_000.0);
    assert_ne!(before, 1_924_992_000.0);
    let trusting = || {
        let mut config = ClientConfig::builder().with_root_certificates(roots.clone()).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    };
    let ask_renewed = |world: &World| {
        let mut stream = world.connect_with(APART, trusting());
        (ask(&mut stream, APART, "").status, stream.conn.peer_certificates().unwrap()[0].clone())
    };
    assert_eq!(ask_renewed(&world), (502, renewed.der().clone()));
    assert_eq!(ask(&mut open, HOST, "").status, 200, "open connections go on");
    // The key of another: refused with its place, and the last good one goes on.
    write(world.folder.path(), "apart.key", &CERTIFICATE.1);
    world.wait_for("the refusal", |world| world.said().contains("error[tls/pair]"));
    let said = world.said();
    assert!(
        said.contains("is not the key of the certificate in") && said.contains("portcullis.toml:"),
        "{said}"
    );
    assert_eq!(world.metric("portcullis_configuration_last_reload_successful"), 0.0);
    assert_eq!(ask_renewed(&world), (502, renewed.der().clone()));
    assert_eq!(ask(&mut open, HOST, "").status, 200);
}
