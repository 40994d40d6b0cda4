//! Real handshakes between rustls clients and what a configuration makes of its files.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portcullis_config::Severity;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber,
};
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};

use super::provider::provider;
use super::*;
use crate::clock::unix_now;

const DAY: Duration = Duration::from_secs(86_400);
const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// An authority, with its certificate as PEM.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// What a client's certificate is.
struct Wanted {
    serial: u64,
    from: SystemTime,
    until: SystemTime,
    usage: ExtendedKeyUsagePurpose,
}

impl Default for Wanted {
    fn default() -> Self {
        let now = SystemTime::now();
        Self { serial: 1, from: now - DAY, until: now + DAY, usage: ExtendedKeyUsagePurpose::ClientAuth }
    }
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn issues(&self, wanted: Wanted) -> Leaf {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = named("laptop");
        params.serial_number = Some(SerialNumber::from(wanted.serial));
        (params.not_before, params.not_after) = (wanted.from.into(), wanted.until.into());
        params.extended_key_usages = vec![wanted.usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        }
    }

    fn revokes(&self, serials: &[u64], next_update: SystemTime) -> String {
        let now = SystemTime::now();
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now.into(),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: (now - 2 * DAY).into(),
            next_update: next_update.into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut all = DistinguishedName::new();
    all.push(DnType::CommonName, name);
    all
}

/// A folder with a configuration, whose app `wiki` asks nothing of its clients and whose app `pay` does.
struct Folder {
    folder: tempfile::TempDir,
    authority: Authority,
}

const LISTENERS: &str = r#"
    { address = "127.0.0.1:8443", tls = { certificates = [
        { certificate = "first.pem", key = "first.key" },
        { certificate = "corp.pem", key = "corp.key" },
    ] } },
    { address = "127.0.0.1:8080", redirect-to-https = true },
"#;

impl Folder {
    fn new() -> Self {
        let folder = Self { folder: tempfile::tempdir().unwrap(), authority: Authority::new("staff") };
        folder.write("keys.json", "{\"keys\": []}");
        folder.serve("first", &["wiki.test", "pay.test"]);
        folder.serve("corp", &["*.corp.test", "corp.test"]);
        folder.write("ca.pem", &folder.authority.pem);
        folder.write("crl.pem", &folder.authority.revokes(&[], SystemTime::now() + DAY));
        folder.configure(LISTENERS, "client-certificate = \"required\"");
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// A new pair for these names.
    fn serve(&self, name: &str, names: &[&str]) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = (SystemTime::now() + 100 * DAY).into();
        self.write(&format!("{name}.pem"), &params.self_signed(&key).unwrap().pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    fn configure(&self, listeners: &str, pay: &str) {
        let app = |id: &str, lines: &str| {
            format!(
                "[[app]]\nid = \"{id}\"\nhosts = [\"{id}.test\", \"{id}.corp.test\"{}]\nupstreams = [\"http://127.0.0.1:9\"]\n{lines}\n",
                if id == "wiki" { ", \"corp.test\"" } else { "" }
            )
        };
        let pay = format!("{pay}\nclient-ca = \"ca.pem\"\nclient-crl = \"crl.pem\"\nhsts = \"30d\"");
        let text = format!(
            "[server]\nlisteners = [{listeners}]\n[[issuer]]\nname = \"idp\"\nissuer = \"https://id.test\"\naudiences = [\"api\"]\nkeys = {{ file = \"keys.json\" }}\n{}{}",
            app("wiki", ""),
            app("pay", &pay)
        );
        self.write("portcullis.toml", &text);
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("portcullis.toml")
    }

    fn load(&self, former: Option<&Tls>) -> Result<Tls, TlsError> {
        let loaded = portcullis_config::load(&self.path());
        let said = portcullis_config::diagnose::render_text(&loaded.diagnostics, &loaded.sources);
        Tls::new(&loaded.config.unwrap_or_else(|| panic!("{said}")), former)
    }

    /// What a look at the files finds: codes of errors with a `!` behind them, and of warnings.
    fn found(&self) -> Vec<String> {
        let loaded = portcullis_config::load(&self.path());
        let found = inspect::look(&loaded, loaded.config.as_ref().unwrap(), unix_now());
        let code = |one: &portcullis_config::Diagnostic| {
            format!("{}{}", one.code, if one.severity == Severity::Error { "!" } else { "" })
        };
        found.iter().map(code).collect()
    }
}

/// Trusts whatever is served here: which it is, is what the tests look at.
#[derive(Debug)]
struct Anything;

impl rustls::client::danger::ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A client that remembers its sessions.
fn client(leaf: Option<&Leaf>, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions).unwrap();
    let builder = builder.with_root_certificates(RootCertStore::empty());
    let mut config = match leaf {
        Some(leaf) => builder.with_client_auth_cert(leaf.chain.clone(), leaf.key.clone_key()).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.dangerous().set_certificate_verifier(Arc::new(Anything));
    config.resumption = Resumption::in_memory_sessions(256);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// What both sides saw of one connection.
struct Met {
    handshake: Handshake,
    served: CertificateDer<'static>,
}

/// One connection to the first listener; an address as the name is no name.
fn meet(tls: &Tls, name: &str, client: &Arc<ClientConfig>) -> Met {
    let names = tls.listener(0).unwrap().names.clone().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (near, far) = tokio::io::duplex(1 << 16);
        let server = async {
            let begun = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), near).await.unwrap();
            let config = names.choose(&begun.client_hello());
            let mut stream = begun.into_stream(config).await.unwrap();
            // What the client reads brings its tickets along.
            stream.write_all(b"!").await.unwrap();
            stream.flush().await.unwrap();
            names.judge(stream.get_ref().1)
        };
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let client = async {
            let mut stream = TlsConnector::from(Arc::clone(client)).connect(name, far).await.unwrap();
            stream.read_u8().await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            stream.get_ref().1.peer_certificates().unwrap()[0].clone()
        };
        let (handshake, served) = tokio::join!(server, client);
        Met { handshake, served }
    })
}

/// What the app `pay` says to a handshake.
fn pay(tls: &Tls, handshake: &Handshake) -> Result<(), ClientCertificateProblem> {
    tls.authenticate_client(1, Some(handshake), unix_now())
}

fn certificate(folder: &Folder, name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder.folder.path().join(name)).unwrap()
}

#[test]
fn a_client_is_served_the_certificate_of_the_name_it_asks_for_or_the_first() {
    let folder = Folder::new();
    let tls = folder.load(None).unwrap();
    let (first, corp) = (certificate(&folder, "first.pem"), certificate(&folder, "corp.pem"));
    for (name, served) in [
        ("wiki.test", &first),
        ("WIKI.test", &first),
        ("corp.test", &corp),
        ("a.corp.test", &corp),
        ("a.b.corp.test", &first),
        ("other.test", &first),
        ("192.0.2.1", &first),
    ] {
        for versions in [TLS12, TLS13] {
            let met = meet(&tls, name, &client(None, versions));
            assert_eq!(&met.served, served, "{name}");
            let version = if versions == TLS12 { "TLSv1.2" } else { "TLSv1.3" };
            assert_eq!((met.handshake.version(), met.handshake.is_resumed()), (version, false));
            assert!(met.handshake.cipher().contains("AES"), "{}", met.handshake.cipher());
        }
    }
}

#[test]
fn a_changed_pair_is_served_by_the_next_snapshot_and_a_broken_one_by_none() {
    let folder = Folder::new();
    let before = folder.load(None).unwrap();
    let old = certificate(&folder, "first.pem");
    folder.serve("first", &["wiki.test"]);
    let after = folder.load(Some(&before)).unwrap();
    let new = certificate(&folder, "first.pem");
    assert_ne!(old, new);
    assert_eq!(meet(&before, "wiki.test", &client(None, TLS13)).served, old);
    assert_eq!(meet(&after, "wiki.test", &client(None, TLS13)).served, new);
    fs::copy(folder.folder.path().join("corp.key"), folder.folder.path().join("first.key")).unwrap();
    assert!(matches!(
        folder.load(Some(&after)),
        Err(TlsError::Pair { problem: pair::PairError::Mismatch, .. })
    ));
    assert_eq!(folder.found(), ["tls/pair!"]);
    folder.write("first.pem", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
    assert!(matches!(
        folder.load(Some(&after)),
        Err(TlsError::Pair { problem: pair::PairError::Malformed, .. })
    ));
}

#[test]
fn listeners_are_known_by_their_address_as_long_as_the_process_lasts() {
    let folder = Folder::new();
    let before = folder.load(None).unwrap();
    let plain = r#"{ address = "127.0.0.1:8080", redirect-to-https = true, public-port = 80 },"#;
    let other = r#"{ address = "127.0.0.1:9443", public-port = 443, hsts = { max-age = "1d", include-subdomains = true }, tls = { certificate = "corp.pem", key = "corp.key" } },"#;
    folder.configure(&format!("{other}{plain}"), "client-certificate = \"required\"");
    let after = folder.load(Some(&before)).unwrap();
    let addresses = |tls: &Tls| tls.listeners.iter().map(|one| one.address.port()).collect::<Vec<_>>();
    assert_eq!((addresses(&before), addresses(&after)), (vec![8443, 8080], vec![8443, 8080]));
    // Its socket is open until a restart, and what it served is what it serves.
    let first = |tls: &Tls| tls.listener(0).unwrap().names.clone().unwrap();
    assert!(Arc::ptr_eq(&first(&before), &first(&after)));
    let plain = |tls: &Tls| (tls.listener(1).unwrap().redirect_port, tls.listener(1).unwrap().public_port);
    assert_eq!((plain(&before), plain(&after)), ((Some(8443), 8080), (Some(443), 80)));
    let fresh = folder.load(None).unwrap();
    let value = |found: Option<(&HeaderValue, Origin)>| found.map(|(value, _)| value.clone());
    let text = |text| Some(HeaderValue::from_static(text));
    assert_eq!(value(fresh.hsts(Some(0), None)), text("max-age=86400; includeSubDomains"));
    assert_eq!(value(fresh.hsts(Some(0), Some(0))), text("max-age=86400; includeSubDomains"));
    assert_eq!(value(fresh.hsts(Some(0), Some(1))), text("max-age=2592000"), "the app's own");
    assert_eq!((value(fresh.hsts(Some(1), None)), value(fresh.hsts(None, None))), (None, None));
}

#[test]
fn the_expiry_of_what_is_served_is_known_by_listener_and_name() {
    let folder = Folder::new();
    let tls = folder.load(None).unwrap();
    let found: Vec<_> = tls.expiries().collect();
    let names: Vec<_> = found.iter().map(|(listener, name, _)| (listener.as_str(), *name)).collect();
    let at = "127.0.0.1:8443";
    assert_eq!(names, [(at, "wiki.test"), (at, "pay.test"), (at, "*.corp.test"), (at, "corp.test")]);
    let days = (found[0].2 - unix_now()) / 86_400;
    assert!((99..=100).contains(&days), "{days}");
}

#[test]
fn a_client_is_asked_for_a_certificate_only_where_it_names_a_host_that_wants_one() {
    let folder = Folder::new();
    let tls = folder.load(None).unwrap();
    let leaf = folder.authority.issues(Wanted::default());
    for versions in [TLS12, TLS13] {
        let client = client(Some(&leaf), versions);
        for (name, was_asked) in
            [("pay.test", true), ("pay.corp.test", true), ("wiki.test", false), ("192.0.2.1", false)]
        {
            let met = meet(&tls, name, &client).handshake;
            assert_eq!(met.has_certificate(), was_asked, "{name}");
            assert_eq!(met.serial().is_some(), was_asked, "{name}");
        }
    }
}

#[test]
fn a_certificate_is_good_only_from_its_authority_in_its_time_for_clients_and_not_revoked() {
    use ClientCertificateProblem::{Expired, Missing, Revoked, Untrusted};
    let folder = Folder::new();
    folder.write("crl.pem", &folder.authority.revokes(&[7], SystemTime::now() + DAY));
    let tls = folder.load(None).unwrap();
    let now = SystemTime::now();
    let (long_ago, ago, later) = (now - 3 * DAY, now - DAY, now + DAY);
    let of = |wanted| Some(folder.authority.issues(wanted));
    let stranger = Authority::new("staff");
    for (why, leaf, outcome) in [
        ("good", of(Wanted::default()), Ok(())),
        ("none", None, Err(Missing)),
        ("of another authority of that name", Some(stranger.issues(Wanted::default())), Err(Untrusted)),
        (
            "a server's",
            of(Wanted { usage: ExtendedKeyUsagePurpose::ServerAuth, ..Wanted::default() }),
            Err(Untrusted),
        ),
        ("ended", of(Wanted { from: long_ago, until: ago, ..Wanted::default() }), Err(Expired)),
        ("to come", of(Wanted { from: later, until: later + DAY, ..Wanted::default() }), Err(Expired)),
        ("revoked", of(Wanted { serial: 7, ..Wanted::default() }), Err(Revoked)),
    ] {
        for versions in [TLS12, TLS13] {
            let met = meet(&tls, "pay.test", &client(leaf.as_ref(), versions)).handshake;
            assert_eq!(pay(&tls, &met), outcome, "{why}");
            assert_eq!(pay(&tls, &met), outcome, "{why}, asked again");
            assert_eq!(
                tls.authenticate_client(0, Some(&met), unix_now()),
                Ok(()),
                "an app that asks for none"
            );
        }
    }
    assert_eq!(tls.authenticate_client(1, None, unix_now()), Err(Missing), "a plain connection");
    assert_eq!(tls.authenticate_client(2, None, unix_now()), Err(Missing), "no app");
}

#[test]
fn an_optional_certificate_may_be_missing_and_must_be_good() {
    let folder = Folder::new();
    folder.configure(LISTENERS, "client-certificate = \"optional\"");
    let tls = folder.load(None).unwrap();
    let outcome = |leaf: Option<&Leaf>| pay(&tls, &meet(&tls, "pay.test", &client(leaf, TLS13)).handshake);
    assert_eq!(outcome(None), Ok(()));
    assert_eq!(outcome(Some(&folder.authority.issues(Wanted::default()))), Ok(()));
    let stranger = Authority::new("stranger").issues(Wanted::default());
    assert_eq!(outcome(Some(&stranger)), Err(ClientCertificateProblem::Untrusted));
    assert_eq!(tls.authenticate_client(1, None, unix_now()), Err(ClientCertificateProblem::Missing));
}

#[test]
fn lists_that_are_out_of_date_or_missing_refuse_for_a_while() {
    let folder = Folder::new();
    let leaf = folder.authority.issues(Wanted::default());
    let outcome = || {
        let tls = folder.load(None).unwrap();
        pay(&tls, &meet(&tls, "pay.test", &client(Some(&leaf), TLS13)).handshake)
    };
    assert_eq!((outcome(), folder.found()), (Ok(()), vec![]));
    folder.write("crl.pem", &folder.authority.revokes(&[], SystemTime::now() - DAY));
    assert_eq!(outcome(), Err(ClientCertificateProblem::Unverifiable));
    assert_eq!(folder.found(), ["client-crl/expired"]);
    folder.write("crl.pem", &Authority::new("another").revokes(&[], SystemTime::now() + DAY));
    assert_eq!(outcome(), Err(ClientCertificateProblem::Unverifiable));
    assert_eq!(folder.found(), ["client-crl/missing"]);
    folder.write("crl.pem", "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n");
    assert!(matches!(folder.load(None), Err(TlsError::Clients { .. })));
    assert!(folder.found().contains(&"client-crl/list!".to_owned()));
}

#[test]
fn an_open_connection_is_judged_by_the_lists_of_now() {
    let folder = Folder::new();
    let leaf = folder.authority.issues(Wanted { serial: 7, ..Wanted::default() });
    let before = folder.load(None).unwrap();
    let open = meet(&before, "pay.test", &client(Some(&leaf), TLS13)).handshake;
    assert_eq!(pay(&before, &open), Ok(()));
    let same = folder.load(Some(&before)).unwrap();
    let trust = |tls: &Tls| Arc::clone(&tls.clients[1].as_ref().unwrap().trust);
    assert!(Arc::ptr_eq(&trust(&before), &trust(&same)), "nothing changed, and nothing is judged anew");
    assert_eq!(pay(&same, &open), Ok(()));
    folder.write("crl.pem", &folder.authority.revokes(&[7], SystemTime::now() + DAY));
    let after = folder.load(Some(&same)).unwrap();
    assert_eq!(pay(&after, &open), Err(ClientCertificateProblem::Revoked));
    folder.write("ca.pem", &Authority::new("staff").pem);
    let other = folder.load(Some(&after)).unwrap();
    assert_eq!(pay(&other, &open), Err(ClientCertificateProblem::Untrusted));
    // What time alone ends, ends without a reload.
    let tomorrow = unix_now() + 2 * 86_400;
    assert_eq!(before.authenticate_client(1, Some(&open), tomorrow), Err(ClientCertificateProblem::Expired));
    assert_eq!(pay(&before, &open), Ok(()), "a clock that was set back is asked again");
}

#[test]
fn a_session_is_resumed_across_reloads_until_its_authorities_or_lists_change() {
    let folder = Folder::new();
    let leaf = folder.authority.issues(Wanted { serial: 7, ..Wanted::default() });
    for versions in [TLS12, TLS13] {
        folder.write("crl.pem", &folder.authority.revokes(&[], SystemTime::now() + DAY));
        let before = folder.load(None).unwrap();
        let client = client(Some(&leaf), versions);
        let resumed = |tls: &Tls, name: &str| {
            let met = meet(tls, name, &client).handshake;
            (met.is_resumed(), pay(tls, &met))
        };
        assert_eq!(resumed(&before, "pay.test"), (false, Ok(())));
        assert_eq!(resumed(&before, "pay.test"), (true, Ok(())), "the chain is there on a resumed session");
        assert!(!resumed(&before, "wiki.test").0);
        folder.serve("corp", &["*.corp.test"]);
        let same = folder.load(Some(&before)).unwrap();
        assert_eq!(resumed(&same, "pay.test"), (true, Ok(())), "nothing about clients changed");
        let met = meet(&same, "pay.test", &client).handshake;
        assert!(met.is_resumed());
        folder.write("crl.pem", &folder.authority.revokes(&[7], SystemTime::now() + DAY));
        let after = folder.load(Some(&same)).unwrap();
        // Resumption never asks a verifier: what was resumed is judged all the same.
        assert_eq!(pay(&after, &met), Err(ClientCertificateProblem::Revoked));
        assert_eq!(resumed(&after, "pay.test"), (false, Err(ClientCertificateProblem::Revoked)));
        assert!(resumed(&after, "wiki.test").0, "names that ask for nothing go on");
    }
}

#[test]
fn replicas_with_the_same_ticket_keys_resume_each_others_sessions() {
    let folder = Folder::new();
    let listeners =
        |keys: &str| LISTENERS.replace("    ] } },", &format!("    ], ticket-keys = [{keys}] }} }},"));
    folder.write("one.key", &"1".repeat(80));
    folder.write("two.key", &"2".repeat(80));
    for versions in [TLS12, TLS13] {
        let client = client(None, versions);
        let load = |keys: &str| {
            folder.configure(&listeners(keys), "client-certificate = \"required\"");
            folder.load(None).unwrap()
        };
        let resumed = |tls: &Tls| meet(tls, "wiki.test", &client).handshake.is_resumed();
        let [one, other] = [0; 2].map(|_| load("\"one.key\""));
        assert_eq!([resumed(&one), resumed(&other)], [false, true], "another process");
        assert!(resumed(&load("\"two.key\", \"one.key\"")), "a new key first, the old one still opens");
        assert!(resumed(&load("\"two.key\"")), "sealed by the new one");
        assert!(!resumed(&one), "whose key is not known here");
    }
}

#[test]
fn a_connection_asks_for_hosts_of_its_certificate_and_for_those_that_want_one_by_their_name_alone() {
    let folder = Folder::new();
    let tls = folder.load(None).unwrap();
    let leaf = folder.authority.issues(Wanted::default());
    let names = tls.listener(0).unwrap().names.clone().unwrap();
    for (name, host, may) in [
        ("wiki.test", "wiki.test", true),
        ("wiki.test", "unknown.test", true),
        ("192.0.2.1", "wiki.test", true),
        ("192.0.2.1", "192.0.2.1", true),
        ("unknown.test", "wiki.test", true),
        ("wiki.test", "a.corp.test", false),
        ("a.corp.test", "b.corp.test", true),
        ("a.corp.test", "wiki.test", false),
        ("a.corp.test", "unknown.test", false),
        ("192.0.2.1", "a.corp.test", false),
        ("pay.test", "pay.test", true),
        ("wiki.test", "pay.test", false),
        ("192.0.2.1", "pay.test", false),
        ("pay.corp.test", "pay.test", false),
        ("a.corp.test", "pay.corp.test", false),
        // What a host asks for besides is nothing to one that asks for nothing.
        ("pay.test", "wiki.test", true),
    ] {
        let met = meet(&tls, name, &client(Some(&leaf), TLS13)).handshake;
        assert_eq!(names.direct(&met, host).is_ok(), may, "{name} asks for {host}");
    }
    // A connection from before the host asked for certificates must be opened anew.
    folder.configure(LISTENERS, "");
    let text = fs::read_to_string(folder.path()).unwrap();
    let (open, _) = text.split_once("client-ca").unwrap();
    fs::write(folder.path(), open).unwrap();
    let open = folder.load(None).unwrap();
    let met = meet(&open, "pay.test", &client(Some(&leaf), TLS13)).handshake;
    assert_eq!(open.listener(0).unwrap().names.as_deref().unwrap().direct(&met, "pay.test"), Ok(()));
    assert_eq!(names.direct(&met, "pay.test"), Err(Misdirected));
}

#[test]
fn what_is_odd_about_a_certificate_is_found_before_it_is_served() {
    let folder = Folder::new();
    let name = |at: &str| Path::new(folder.folder.path()).join(at);
    assert_eq!(folder.found(), Vec::<String>::new());
    folder.serve("corp", &["*.corp.test", "corp.test", "printer.test"]);
    assert_eq!(folder.found(), ["tls/unused-name"]);
    folder.serve("corp", &["printer.test"]);
    assert_eq!(folder.found(), ["tls/host", "tls/host"], "for no host, and hosts without one");
    folder.serve("corp", &["*.corp.test", "corp.test"]);
    let expired = |year| {
        let key = KeyPair::from_pem(&fs::read_to_string(name("first.key")).unwrap()).unwrap();
        let mut params = CertificateParams::new(vec!["wiki.test".to_owned(), "pay.test".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(year, 1, 1);
        params.not_after = rcgen::date_time_ymd(year + 1, 1, 1);
        folder.write("first.pem", &params.self_signed(&key).unwrap().pem());
        folder.found()
    };
    assert_eq!(expired(2020), ["tls/expired"]);
    folder.serve("first", &["wiki.test", "pay.test", "corp.test"]);
    assert_eq!(folder.found(), ["tls/same-name"]);
    folder.serve("first", &["wiki.test", "pay.test"]);
    let leaf = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new(Vec::new()).unwrap().signed_by(&leaf, &folder.authority.issuer).unwrap();
    folder.write("ca.pem", &leaf.pem());
    assert!(folder.found().contains(&"client-ca/no-authority!".to_owned()), "{:?}", folder.found());
    folder.write("ca.pem", &folder.authority.pem);
    assert_eq!(expired(3020), ["tls/not-yet"]);
}

#[test]
fn a_key_under_a_passphrase_is_named_as_such() {
    let folder = Folder::new();
    let label = "ENCRYPTED PRIVATE KEY";
    folder.write("first.key", &format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n"));
    assert_eq!(folder.found(), ["tls/pair!"]);
    let problem = folder.load(None).unwrap_err();
    assert!(matches!(problem, TlsError::Pair { problem: pair::PairError::NoKey, .. }), "{problem}");
}
