//! Several servers behind one app: whom requests go to, what one that is dead costs, and how sockets and servers that
//! ask who we are are reached.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

use crate::free::free_address;
use crate::keys;
use crate::service::{HOST, Process, Service, wait_for};
use crate::wire::{Answer, exchange};

/// Answers each request with its name, until it is dropped.
struct Named {
    address: String,
    heads: Arc<AtomicUsize>,
}

/// Reads heads and answers each; `false` when it is asked to hang up.
fn serve(mut stream: impl Read + Write, name: &str, heads: &AtomicUsize) {
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(read) = stream.read(&mut chunk)
        && read > 0
    {
        received.extend_from_slice(&chunk[..read]);
        if !received.windows(4).any(|window| window == b"\r\n\r\n") {
            continue;
        }
        heads.fetch_add(1, Ordering::Relaxed);
        let text = String::from_utf8_lossy(&received).into_owned();
        if text.contains(&format!("/hang-up-{name}")) {
            return;
        }
        received.clear();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

impl Named {
    fn start(name: &'static str) -> Self {
        Self::at(&TcpListener::bind("127.0.0.1:0").unwrap(), name)
    }

    fn at(listener: &TcpListener, name: &'static str) -> Self {
        let address = listener.local_addr().unwrap().to_string();
        let heads = Arc::new(AtomicUsize::new(0));
        let (listener, counted) = (listener.try_clone().unwrap(), Arc::clone(&heads));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || serve(stream, name, &counted));
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> usize {
        self.heads.load(Ordering::Relaxed)
    }

    fn url(&self) -> String {
        format!("\"http://{}\"", self.address)
    }
}

/// A proxy in front of these upstreams; `lines` are further ones of the app, `top` of the main file.
fn start(service: &Service, upstreams: &str, lines: &str, top: &str) -> Process {
    let text = service.configuration("", "");
    let own = format!("upstreams = [\"http://{}\"]", service.app.address);
    assert!(text.contains(&own));
    let text = text.replace(&own, &format!("upstreams = [{upstreams}]\n{lines}"));
    let text = text.replace("[[issuer]]", &format!("{top}\n[[issuer]]"));
    fs::write(service.file("portcullis.toml"), text).unwrap();
    service.start()
}

#[test]
fn a_dead_server_of_three_loses_no_request_and_weights_share_the_rest() {
    let (one, two, dead) = (Named::start("one"), Named::start("two"), free_address());
    let service = Service::new("");
    let upstreams = format!(
        "{{ url = \"http://{}\", weight = 3 }}, \"http://{dead}\", {{ url = \"http://{}\" }}",
        one.address, two.address
    );
    let _process = start(&service, &upstreams, "", "");
    for number in 0..200 {
        let method = ["GET", "POST", "PUT", "DELETE"][number % 4];
        let answer = exchange(&service.plain, &Service::head(method, "/", "Content-Length: 0\r\n"));
        assert_eq!(answer.status, 200, "{number}: {answer:?}");
    }
    assert_eq!((one.heads(), two.heads()), (150, 50));
    let retries = service.metric("portcullis_upstream_retries_total{app=\"wiki\",reason=\"connect\"}");
    let failures = service.metric("portcullis_upstream_failures_total{app=\"wiki\",kind=\"refused\"}");
    assert!(retries >= 1.0 && (retries - failures).abs() < 0.5, "{retries} for {failures} failures");
}

#[test]
fn what_a_server_hangs_up_on_goes_to_another_once_and_what_changes_something_does_not() {
    let (one, two) = (Named::start("one"), Named::start("two"));
    let service = Service::new("");
    let upstreams = [one.url(), two.url()].join(", ");
    let _process = start(&service, &upstreams, "", "");
    for _ in 0..6 {
        let answer = service.get("/hang-up-one");
        assert_eq!((answer.status, answer.body.as_str()), (200, "two"), "{answer:?}");
    }
    let refused = |reason: &str| {
        let series = format!("portcullis_upstream_retries_refused_total{{app=\"wiki\",reason=\"{reason}\"}}");
        service.metric(&series)
    };
    let retried = |reason: &str| {
        service.metric(&format!("portcullis_upstream_retries_total{{app=\"wiki\",reason=\"{reason}\"}}"))
    };
    assert!(retried("reset") >= 1.0);
    let before = one.heads() + two.heads();
    let post = |path: &str| exchange(&service.plain, &Service::head("POST", path, "Content-Length: 0\r\n"));
    let answers = [post("/hang-up-two"), post("/hang-up-two"), post("/hang-up-two")];
    assert_eq!(one.heads() + two.heads(), before + 3, "each was sent once: {answers:?}");
    assert!(answers.iter().any(|answer| answer.status == 502), "{answers:?}");
    assert_eq!(refused("budget") + refused("attempts"), 0.0);
}

#[test]
fn retries_end_with_their_budget_and_are_counted() {
    // Everybody hangs up on everything, at once: an outage.
    let servers = [(); 4].map(|()| Named::start("all"));
    let service = Service::new("");
    let upstreams = servers.each_ref().map(Named::url).join(", ");
    let _process = start(&service, &upstreams, "retries = { attempts = 8, budget-percent = 20 }", "");
    for _ in 0..60 {
        assert_eq!(service.get("/hang-up-all").status, 502);
    }
    let sent: usize = servers.iter().map(Named::heads).sum();
    let spent = service.metric("portcullis_upstream_retries_refused_total{app=\"wiki\",reason=\"budget\"}");
    // Thirty in ten seconds there may always be; on a slow machine the sixty take two or three times that.
    assert!((90..=150).contains(&sent), "60 requests were sent {sent} times");
    assert!(spent > 0.0, "{spent}");
}

#[test]
fn an_app_that_forbids_retries_has_none() {
    let (dead, live) = (free_address(), Named::start("live"));
    let service = Service::new("");
    let upstreams = format!("\"http://{dead}\", {}", live.url());
    let _process = start(&service, &upstreams, "retries = { attempts = 1 }", "");
    assert_eq!(service.get("/").status, 502);
    assert_eq!(service.get("/").body, "live", "it was left out");
    let series = "portcullis_upstream_retries_refused_total{app=\"wiki\",reason=\"attempts\"}";
    assert!(service.metric(series) >= 1.0);
}

/// A request by TLS, where the cookie has its prefix, with these header lines.
fn by_tls(service: &Service, lines: &str) -> Answer {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(service.authority.clone()).unwrap();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = rustls_pki_types::ServerName::try_from(HOST).unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(&service.tls).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, socket);
    stream.write_all(&Service::head("GET", "/", lines)).unwrap();
    crate::wire::answer(&mut stream, false)
}

#[test]
fn a_browser_stays_at_its_server_and_moves_when_that_is_gone() {
    let servers = ["one", "two", "three"].map(Named::start);
    let service = Service::new("");
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).unwrap();
    fs::write(service.file("session.key"), key).unwrap();
    let upstreams = servers.each_ref().map(Named::url).join(", ");
    let session = "[session]\nkeys = [\"session.key\"]\n";
    let _process = start(&service, &upstreams, "balance = { policy = \"sticky\" }", session);

    let first = by_tls(&service, "");
    let set = first.header("set-cookie").unwrap().to_owned();
    assert!(set.starts_with("__Host-Http-portcullis-server-"), "{set}");
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{set}");
    assert_eq!(first.header("cache-control"), Some("private"));
    let cookie = set.split(';').next().unwrap().to_owned();
    for _ in 0..10 {
        let again = by_tls(&service, &format!("Cookie: {cookie}\r\n"));
        assert_eq!(again.body, first.body);
        assert_eq!(again.header("set-cookie"), None, "{again:?}");
    }
    // Without it, or with one that was tampered with, others serve too.
    let (name, value) = cookie.split_once('=').unwrap();
    let other = if &value[20..21] == "A" { "B" } else { "A" };
    let altered = format!("{name}={}{other}{}", &value[..20], &value[21..]);
    for lines in [String::new(), format!("Cookie: {altered}\r\n"), format!("Cookie: {name}=one\r\n")] {
        let bodies: Vec<_> = (0..6).map(|_| by_tls(&service, &lines)).collect();
        assert!(bodies.iter().any(|answer| answer.body != first.body), "{lines}");
        assert!(bodies.iter().all(|answer| answer.header("set-cookie").is_some()), "{lines}");
    }

    // Its server is taken out of the list: the browser moves, and is told so.
    let left: Vec<_> =
        ["one", "two", "three"].iter().zip(&servers).filter(|(name, _)| **name != first.body).collect();
    let upstreams = left.iter().map(|(_, server)| server.url()).collect::<Vec<_>>().join(", ");
    let text = fs::read_to_string(service.file("portcullis.toml")).unwrap();
    let line = text.lines().find(|line| line.starts_with("upstreams = ")).unwrap();
    fs::write(service.file("portcullis.toml"), text.replace(line, &format!("upstreams = [{upstreams}]")))
        .unwrap();
    let moved = wait_for("the browser to move", || {
        let answer = by_tls(&service, &format!("Cookie: {cookie}\r\n"));
        (answer.body != first.body).then_some(answer)
    });
    let next = moved.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    for _ in 0..6 {
        assert_eq!(by_tls(&service, &format!("Cookie: {next}\r\n")).body, moved.body);
    }
}

#[test]
fn who_asks_falls_to_one_server_and_a_header_to_the_same_after_a_reload() {
    let servers = ["one", "two", "three"].map(Named::start);
    let service = Service::new("");
    let by = "balance = { policy = \"consistent-hash\", hash-by = \"header:X-Room\" }";
    let _process = start(&service, &servers.each_ref().map(Named::url).join(", "), by, "");
    let room = |number: usize| {
        exchange(&service.plain, &Service::head("GET", "/", &format!("X-Room: {number}\r\n"))).body
    };
    let before: Vec<String> = (0..30).map(room).collect();
    assert_eq!(before, (0..30).map(room).collect::<Vec<_>>());
    let names: std::collections::BTreeSet<_> = before.iter().collect();
    assert_eq!(names.len(), 3, "{before:?}");

    let text = fs::read_to_string(service.file("portcullis.toml")).unwrap();
    let line = text.lines().find(|line| line.starts_with("upstreams = ")).unwrap();
    let reversed = servers.iter().rev().map(Named::url).collect::<Vec<_>>().join(", ");
    fs::write(service.file("portcullis.toml"), text.replace(line, &format!("upstreams = [{reversed}]")))
        .unwrap();
    let loads = || service.metric("portcullis_configuration_reloads_total{result=\"success\"}");
    wait_for("the reload", || (loads() >= 1.0).then_some(()));
    assert_eq!(before, (0..30).map(room).collect::<Vec<_>>(), "the order means nothing");
}

#[test]
fn a_principal_an_address_and_a_cookie_stay_at_one_server() {
    let servers = ["one", "two", "three"].map(Named::start);
    let upstreams = servers.each_ref().map(Named::url).join(", ");
    let authorized = |subject: &str| {
        let token = keys::token_with(|claims| {
            claims["sub"] = subject.into();
            claims["oid"] = subject.into();
        });
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n")
    };
    let by_principal = |number: usize| format!("{}\r\n", authorized(&format!("user-{number}")));
    let by_address =
        |number: usize| format!("{}X-Forwarded-For: 203.0.113.{number}\r\n\r\n", authorized("anna"));
    let by_cookie = |number: usize| format!("{}Cookie: a=1; room={number}\r\n\r\n", authorized("anna"));
    let proxies = "[trusted-proxies]\nnetworks = [\"127.0.0.1/32\"]\n";
    type Asks<'a> = &'a dyn Fn(usize) -> String;
    let cases: [(&str, &str, Asks<'_>); 3] = [
        ("principal", "", &by_principal),
        ("address", proxies, &by_address),
        ("cookie:room", "", &by_cookie),
    ];
    for (key, top, asks) in cases {
        let service = Service::new("");
        let lines = format!("balance = {{ policy = \"consistent-hash\", hash-by = \"{key}\" }}");
        let _process = start(&service, &upstreams, &lines, top);
        let server = |number: usize| {
            let answer = exchange(&service.plain, asks(number).as_bytes());
            assert_eq!(answer.status, 200, "{key} {number}: {answer:?}");
            answer.body
        };
        let first: Vec<String> = (0..24).map(server).collect();
        assert_eq!(first, (0..24).map(server).collect::<Vec<_>>(), "{key}");
        let names: std::collections::BTreeSet<_> = first.iter().collect();
        assert_eq!(names.len(), 3, "{key}: {first:?}");
    }
}

/// Holds each request that asks for `/hold` until it is let go.
struct Holding {
    address: String,
    held: Arc<AtomicUsize>,
    go: Arc<(std::sync::Mutex<bool>, std::sync::Condvar)>,
}

impl Holding {
    fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (held, go) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let (counted, gate) = (Arc::clone(&held), Arc::clone(&go));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counted, gate) = (Arc::clone(&counted), Arc::clone(&gate));
                std::thread::spawn(move || Self::answer(stream, name, &counted, &gate));
            }
        });
        Self { address, held, go }
    }

    fn answer(
        mut stream: TcpStream,
        name: &str,
        held: &AtomicUsize,
        (open, opened): &(std::sync::Mutex<bool>, std::sync::Condvar),
    ) {
        let mut received = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(read) = stream.read(&mut chunk)
            && read > 0
        {
            received.extend_from_slice(&chunk[..read]);
            if !received.ends_with(b"\r\n\r\n") {
                continue;
            }
            if received.starts_with(b"GET /hold ") {
                held.fetch_add(1, Ordering::Relaxed);
                let is_open = open.lock().unwrap();
                drop(opened.wait_while(is_open, |is_open| !*is_open).unwrap());
            }
            received.clear();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn let_go(&self) {
        *self.go.0.lock().unwrap() = true;
        self.go.1.notify_all();
    }
}

#[test]
fn the_server_with_the_fewest_requests_under_way_takes_the_next() {
    let servers = ["one", "two"].map(Holding::start);
    let service = Service::new("");
    let upstreams = servers.each_ref().map(|server| format!("\"http://{}\"", server.address)).join(", ");
    let _process = start(&service, &upstreams, "balance = { policy = \"least-requests\" }", "");
    let all_held = || servers.iter().map(Holding::held).sum::<usize>();
    let outstanding = |server: &Holding| {
        let name = &server.address;
        service.metric(&format!("portcullis_upstream_server_outstanding{{app=\"wiki\",server=\"{name}\"}}"))
    };
    // A client may have its answer before that is over for the proxy.
    let settled = |held: [usize; 2]| {
        let held = held.map(|count| f64::from(u8::try_from(count).unwrap()));
        wait_for("what is over to be over", || (servers.each_ref().map(outstanding) == held).then_some(()));
    };
    let mut waiting = Vec::new();
    for count in 1..=8 {
        waiting.push(service.send(&Service::head("GET", "/hold", "")));
        wait_for("it to be under way", || (all_held() == count).then_some(()));
        let held = servers.each_ref().map(Holding::held);
        assert!(held[0].abs_diff(held[1]) <= 1, "{held:?}");
        // While one has less to do, it has all that comes.
        if held[0] != held[1] {
            let free = if held[0] < held[1] { "one" } else { "two" };
            for _ in 0..6 {
                settled(held);
                assert_eq!(service.get("/").body, free, "{held:?}");
            }
            settled(held);
        }
    }
    settled([4, 4]);
    let status = service.status().unwrap();
    for at in 0..2 {
        assert_eq!(status["apps"][0]["servers"][at]["addresses"][0]["outstanding"], 4, "{status:#}");
    }
    servers.iter().for_each(Holding::let_go);
    for stream in &mut waiting {
        assert_eq!(crate::wire::answer(stream, false).status, 200);
    }
    settled([0, 0]);
}

#[test]
fn a_server_listens_on_a_socket_of_this_machine() {
    let service = Service::new("");
    let path = service.file("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let heads = Arc::new(AtomicUsize::new(0));
    let connections = Arc::new(AtomicUsize::new(0));
    let (counted, accepted) = (Arc::clone(&heads), Arc::clone(&connections));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            accepted.fetch_add(1, Ordering::Relaxed);
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || serve(stream, "socket", &counted));
        }
    });
    let _process = start(&service, &format!("\"unix:{}\"", path.display()), "", "");
    for _ in 0..5 {
        assert_eq!(service.get("/").body, "socket");
    }
    // A client may ask again before its connection is back in the pool.
    let (heads, connections) = (heads.load(Ordering::Relaxed), connections.load(Ordering::Relaxed));
    assert!(heads == 5 && connections < heads, "{heads} requests over {connections} connections");
    let series = format!("portcullis_upstream_server_up{{app=\"wiki\",server=\"unix:{}\"}}", path.display());
    assert_eq!(service.metric(&series), 1.0);
    fs::remove_file(&path).unwrap();
}

/// An authority, and what it issues.
pub(crate) struct Authority {
    pub(crate) issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        Self { issuer: rcgen::CertifiedIssuer::self_signed(params, key).unwrap() }
    }

    /// A certificate and its key, in PEM.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A server of TLS that wants a certificate of this authority, and answers with the serial of the one that it is shown.
pub(crate) fn asking_server(authority: &Authority) -> String {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (certificate, key) = authority.issue("app.corp");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let chain = vec![rustls_pki_types::CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let config = rustls::ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            std::thread::spawn(move || {
                let mut connection = rustls::ServerConnection::new(config).unwrap();
                let mut socket = socket;
                while connection.is_handshaking() {
                    if connection.complete_io(&mut socket).is_err() {
                        return;
                    }
                }
                let shown = connection.peer_certificates().and_then(<[_]>::first).map(keys::b64);
                let shown = shown.unwrap_or_default();
                serve(rustls::StreamOwned::new(connection, socket), &shown, &AtomicUsize::new(0));
            });
        }
    });
    address
}

#[test]
fn a_server_that_asks_who_we_are_is_shown_our_certificate_and_a_new_one_after_it_changed() {
    let (authority, stranger) = (Authority::new("corp"), Authority::new("elsewhere"));
    let service = Service::new("");
    let write = |name: &str, (certificate, key): &(String, String)| {
        fs::write(service.file(&format!("{name}.pem")), certificate).unwrap();
        fs::write(service.file(&format!("{name}.key")), key).unwrap();
    };
    let shown = |(certificate, _): &(String, String)| {
        keys::b64(rustls_pki_types::CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap())
    };
    let (first, second) = (authority.issue("portcullis"), authority.issue("portcullis"));
    write("client", &first);
    fs::write(service.file("corp.pem"), authority.issuer.pem()).unwrap();
    let upstream = format!(
        "{{ url = \"https://{}\", tls-name = \"app.corp\", ca = \"corp.pem\", client-certificate = \"client.pem\", client-key = \"client.key\" }}",
        asking_server(&authority)
    );
    let _process = start(&service, &upstream, "", "");
    assert_eq!(service.get("/").body, shown(&first));
    assert_eq!(service.get("/").body, shown(&first));

    write("client", &second);
    wait_for("the new certificate", || (service.get("/").body == shown(&second)).then_some(()));

    // A key of another certificate is refused, and what serves goes on.
    fs::write(service.file("client.key"), authority.issue("portcullis").1).unwrap();
    let failed = || service.metric("portcullis_configuration_reloads_total{result=\"failure\"}");
    wait_for("the reload to be refused", || (failed() >= 1.0).then_some(()));
    assert_eq!(service.get("/").body, shown(&second));

    // One of an authority that the server does not know is shown, and is no way in.
    write("client", &stranger.issue("portcullis"));
    wait_for("the stranger's certificate to be refused", || (service.get("/").status == 502).then_some(()));
}
