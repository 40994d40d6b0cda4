//! Servers that fail, come back, move and vanish, and what users notice of it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::balance::{Authority, asking_server};
use crate::free::free_address;
use crate::h2::{END_HEADERS, END_STREAM, HEADERS, SETTINGS, frame};
use crate::name_server::{NameServer, Reply};
use crate::service::{Process, Service, wait_for};
use crate::wire::answer;

/// A server of the app: it says its name, answers checks with a status that a test sets, and `/slow` after a while.
struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    status: AtomicU16,
    requests: AtomicUsize,
    last_check: Mutex<String>,
}

impl Server {
    fn start(name: &'static str) -> Self {
        Self::start_at(name, "127.0.0.1:0".parse().unwrap()).unwrap()
    }

    fn start_at(name: &'static str, address: SocketAddr) -> Option<Self> {
        let listener = TcpListener::bind(address).ok()?;
        let address = listener.local_addr().unwrap();
        let (status, requests) = (AtomicU16::new(200), AtomicUsize::new(0));
        let shared = Arc::new(Shared { name, status, requests, last_check: Mutex::default() });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Some(Self { address, shared })
    }

    fn checks_get(&self, status: u16) {
        self.shared.status.store(status, Ordering::Relaxed);
    }

    fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if lines.read_line(&mut head).unwrap_or(0) == 0 {
                    return;
                }
            }
            let (status, body) = if head.contains(" /healthz ") {
                self.last_check.lock().unwrap().clone_from(&head);
                (self.status.load(Ordering::Relaxed), "")
            } else {
                self.requests.fetch_add(1, Ordering::Relaxed);
                if head.contains(" /slow ") {
                    std::thread::sleep(Duration::from_millis(1_500));
                }
                (200, self.name)
            };
            let text = format!("HTTP/1.1 {status} Any\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if (&stream).write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    }
}

const CHECK: &str =
    r#"check = { path = "/healthz", interval = "200ms", timeout = "150ms", healthy = 2, unhealthy = 2 }"#;

/// Writes a configuration with these servers, `health` and further lines.
fn configure(service: &Service, servers: &[String], health: &str, more: &str) {
    let text = service.configuration("", "");
    let before = format!("upstreams = [\"http://{}\"]\n", service.app.address);
    assert!(text.contains(&before));
    let servers = format!("upstreams = {servers:?}\n");
    let text = text.replace(&before, &servers);
    fs::write(service.file("portcullis.toml"), format!("{text}\n[app.health]\n{health}\n{more}\n")).unwrap();
}

fn urls(servers: &[&Server]) -> Vec<String> {
    servers.iter().map(|server| format!("http://{}", server.address)).collect()
}

/// What `/status` says of the only address of a server.
fn address(service: &Service, at: usize) -> Option<Value> {
    service.status()?["apps"][0]["servers"].get(at)?["addresses"].get(0).cloned()
}

fn wait_until(service: &Service, at: usize, state: &str) {
    wait_for(&format!("server {at} to be {state}"), || {
        (address(service, at)?["state"] == state).then_some(())
    });
}

fn said(service: &Service, text: &str) -> usize {
    fs::read_to_string(service.file("first.log")).unwrap().matches(text).count()
}

/// Reloads after a change of something else, and waits until it serves.
fn reload(service: &Service, generation: u64) {
    let file = service.file("portcullis.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("name = \"Wiki\"", &format!("name = \"Wiki {generation}\""))).unwrap();
    wait_for("the reload", || (service.status()?["configuration"] == generation).then_some(()));
}

fn bodies(service: &Service, count: usize) -> Vec<String> {
    (0..count).map(|_| service.get("/").body).collect()
}

#[test]
fn a_server_whose_checks_fail_gets_no_requests_through_reloads_and_comes_back() {
    let (service, [one, two]) = (Service::new(""), ["one", "two"].map(Server::start));
    configure(&service, &urls(&[&one, &two]), CHECK, "");
    let _process: Process = service.start();
    wait_for("the first checks", || {
        let checked = |at: usize| Some(!address(&service, at)?["lastCheck"].is_null());
        (checked(0)? && checked(1)?).then_some(())
    });
    let mut seen = bodies(&service, 4);
    seen.sort_unstable();
    assert_eq!(seen, ["one", "one", "two", "two"]);
    let check = one.shared.last_check.lock().unwrap().clone();
    assert!(check.starts_with("GET /healthz HTTP/1.1\r\n"), "{check}");
    assert!(check.contains("host: wiki.test\r\n") && check.contains("(health check)"), "{check}");

    one.checks_get(503);
    wait_until(&service, 0, "check-fails");
    let asked = one.requests();
    assert_eq!(bodies(&service, 6), ["two"; 6]);
    let down = address(&service, 0).unwrap();
    assert_eq!((&down["cause"], &down["lastCheck"]["status"]), (&"status".into(), &503.into()), "{down:#}");
    let name = one.address.to_string();
    let series = |family: &str, more: &str| {
        service
            .metric(&format!("portcullis_upstream_server_{family}{{app=\"wiki\",server=\"{name}\"{more}}}"))
    };
    assert_eq!((series("up", ""), series("check_fails", ""), series("addresses", "")), (0.0, 1.0, 1.0));
    assert!(series("checks_total", ",result=\"status\"") >= 2.0);
    assert!(series("response_duration_seconds_count", "") >= 2.0);

    reload(&service, 2);
    let after = address(&service, 0).unwrap();
    assert_eq!((&after["state"], &after["since"]), (&down["state"], &down["since"]), "{after:#}");
    assert_eq!(bodies(&service, 6), ["two"; 6]);
    assert_eq!(one.requests(), asked, "nobody asked it meanwhile");
    assert_eq!(said(&service, "health check fails"), 1, "once, and not with each check");

    one.checks_get(204);
    wait_until(&service, 0, "up");
    let mut seen = bodies(&service, 4);
    seen.sort_unstable();
    assert_eq!(seen, ["one", "one", "two", "two"]);
    assert_eq!(said(&service, "health check passes"), 1);
}

#[test]
fn with_all_servers_out_requests_try_them_all_the_same() {
    let (service, [one, two]) = (Service::new(""), ["one", "two"].map(Server::start));
    configure(&service, &urls(&[&one, &two]), CHECK, "");
    let _process: Process = service.start();
    one.checks_get(500);
    two.checks_get(404);
    wait_until(&service, 0, "check-fails");
    wait_until(&service, 1, "check-fails");
    let mut seen = bodies(&service, 4);
    seen.sort_unstable();
    assert_eq!(seen, ["one", "one", "two", "two"], "they may work, and nothing else could");
    assert_eq!(service.metric("portcullis_upstream_panic{app=\"wiki\"}"), 1.0);
    assert_eq!(service.status().unwrap()["apps"][0]["panic"], true);
    one.checks_get(200);
    wait_until(&service, 0, "up");
    assert_eq!(service.metric("portcullis_upstream_panic{app=\"wiki\"}"), 0.0);
    assert_eq!(bodies(&service, 4), ["one"; 4]);
}

/// A server that speaks HTTP/2 alone, without TLS, and answers each request with 200.
fn http2_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut preface = [0; 24];
                stream.read_exact(&mut preface).ok()?;
                stream.write_all(&frame(SETTINGS, 0, 0, &[])).ok()?;
                loop {
                    let mut head = [0; 9];
                    stream.read_exact(&mut head).ok()?;
                    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                    std::io::copy(&mut (&stream).take(length.into()), &mut std::io::sink()).ok()?;
                    let on = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                    if head[3] == HEADERS {
                        // `:status: 200` of the static table.
                        let answer = frame(HEADERS, END_HEADERS | END_STREAM, on, &[0x88]);
                        stream.write_all(&answer).ok()?;
                    }
                }
                #[expect(unreachable_code, reason = "it ends with its socket")]
                Some(())
            });
        }
    });
    address
}

#[test]
fn checks_reach_a_server_as_requests_do_by_tls_http2_and_sockets() {
    let service = Service::new("");
    let authority = Authority::new("corp");
    let (certificate, key) = authority.issue("portcullis");
    fs::write(service.file("client.pem"), certificate).unwrap();
    fs::write(service.file("client.key"), key).unwrap();
    fs::write(service.file("corp.pem"), authority.issuer.pem()).unwrap();
    let [shown, unshown, misnamed] = [(); 3].map(|()| asking_server(&authority));
    let client = "client-certificate = \"client.pem\", client-key = \"client.key\"";
    let socket = service.file("app.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).is_ok_and(|count| count > 0) {}
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let plain = Server::start("plain");
    let upstreams = [
        format!("{{ url = \"https://{shown}\", tls-name = \"app.corp\", ca = \"corp.pem\", {client} }}"),
        format!("{{ url = \"unix:{}\" }}", socket.display()),
        format!("{{ url = \"http://{}\", protocol = \"h2\" }}", http2_server()),
        format!("{{ url = \"https://{unshown}\", tls-name = \"app.corp\", ca = \"corp.pem\" }}"),
        format!("{{ url = \"https://{misnamed}\", tls-name = \"other.corp\", ca = \"corp.pem\", {client} }}"),
        format!("{{ url = \"unix:{}\" }}", service.file("nobody.sock").display()),
        format!("{{ url = \"http://{}\", protocol = \"h2\" }}", plain.address),
    ];
    // A check's own time is more than a handshake takes, on a busy machine too.
    let check = r#"check = { path = "/healthz", interval = "6s", timeout = "5s", unhealthy = 1 }"#;
    configure(&service, &["http://replaced".to_owned()], check, "");
    let file = service.file("portcullis.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"http://replaced\"", &upstreams.join(", "))).unwrap();
    let _process: Process = service.start();
    for (at, expected) in [
        (0, "passed"),
        (1, "passed"),
        (2, "passed"),
        // It is not told who asks, for another name, by nobody, and in another language.
        (3, ""),
        (4, "tls-name"),
        (5, ""),
        (6, "protocol"),
    ] {
        let last = wait_for(&format!("check {at}"), || {
            let last = address(&service, at)?["lastCheck"].clone();
            (!last.is_null()).then_some(last)
        });
        let result = last["result"].as_str().unwrap();
        match expected {
            "" => assert_ne!(result, "passed", "{at}: {last:#}"),
            expected => assert_eq!(result, expected, "{at}: {last:#}"),
        }
        let detail = last["detail"].as_str().unwrap_or_default();
        assert_eq!(detail, detail.trim(), "{at}");
        wait_until(&service, at, if expected == "passed" { "up" } else { "check-fails" });
    }
}

#[test]
fn a_server_that_speaks_no_http_or_breaks_its_answers_off_is_left_out() {
    for (what, said, cause) in [
        ("no HTTP", "\u{15}\u{3} this is no HTTP\r\n\r\n", "protocol"),
        ("nothing", "", "reset"),
        ("half an answer", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "reset"),
    ] {
        let (service, good) = (Service::new(""), Server::start("good"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let bad = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut head = [0; 4096];
                if stream.read(&mut head).is_ok_and(|count| count > 0) {
                    counted.fetch_add(1, Ordering::Relaxed);
                    let _ = stream.write_all(said.as_bytes());
                }
            }
        });
        let servers = [format!("http://{bad}"), format!("http://{}", good.address)];
        configure(&service, &servers, "failures = 3\neject-for = \"1m\"", "");
        let _process: Process = service.start();
        for _ in 0..20 {
            // What came of half an answer is half of one.
            let mut stream = service.send(&Service::head("GET", "/", "Connection: close\r\n"));
            let _ = stream.read_to_end(&mut Vec::new());
        }
        assert_eq!(asked.load(Ordering::Relaxed), 3, "{what}: three of twenty were sent to it");
        let out = address(&service, 0).unwrap();
        assert_eq!((&out["state"], &out["cause"]), (&"ejected".into(), &cause.into()), "{what}: {out:#}");
        assert_eq!(bodies(&service, 6), ["good"; 6], "{what}");
        told_once_that_it_is_left_out(&service, &bad.to_string(), cause, 60);
    }
}

#[test]
fn dead_servers_are_502_with_the_cause_and_stay_ejected_through_a_reload() {
    let service = Service::new("");
    let dead = [(); 2].map(|()| free_address().to_string());
    let servers: Vec<String> = dead.iter().map(|address| format!("http://{address}")).collect();
    configure(&service, &servers, "eject-for = \"1m\"", "");
    let _process: Process = service.start();
    assert_eq!(service.get("/").status, 502);
    for at in 0..2 {
        let state = address(&service, at).unwrap();
        assert_eq!((&state["state"], &state["cause"]), (&"ejected".into(), &"refused".into()), "{state:#}");
        assert!(state["leftOutMs"].as_u64().is_some_and(|left| left > 50_000), "{state:#}");
    }
    reload(&service, 2);
    assert_eq!(address(&service, 0).unwrap()["state"], "ejected");
    assert_eq!(service.get("/").status, 502, "all out: they are tried");
    let failures = |server: &str| {
        service.metric(&format!(
            "portcullis_upstream_server_failures_total{{app=\"wiki\",server=\"{server}\",kind=\"refused\"}}"
        ))
    };
    assert!(failures(&dead[0]) + failures(&dead[1]) >= 3.0);
    for server in &dead {
        told_once_that_it_is_left_out(&service, server, "refused", 60);
    }
}

/// The log says so in one line, whatever it said of failures before.
fn told_once_that_it_is_left_out(service: &Service, server: &str, cause: &str, secs: u64) {
    let log = fs::read_to_string(service.file("first.log")).unwrap();
    let server = format!("server=\"{server}\"");
    let told: Vec<&str> =
        log.lines().filter(|line| line.contains("left_out_secs") && line.contains(&server)).collect();
    assert_eq!(told.len(), 1, "{log}");
    let (cause, left) = (format!("cause=\"{cause}\""), format!("left_out_secs={secs} "));
    for part in ["WARN", "app=\"wiki\"", &cause, &left] {
        assert!(told[0].contains(part), "{part}: {}", told[0]);
    }
}

/// Whether the server is neither up nor left out, but to be tried; that is not called a time-out of nothing.
fn is_on_trial(service: &Service) -> Option<()> {
    let state = address(service, 0)?;
    let left = state["leftOutMs"].as_u64();
    assert_eq!(state["state"] == "ejected", left.is_some_and(|left| left > 0), "{state:#}");
    (state["state"] == "on-trial").then_some(())
}

#[test]
fn a_server_that_the_next_request_tries_is_not_said_to_be_down() {
    for (what, eject_for, check) in [
        ("its time-out is over", "500ms", ""),
        (
            "a check passed",
            "1m",
            r#"check = { path = "/healthz", interval = "1s", timeout = "900ms", healthy = 1, unhealthy = 1 }"#,
        ),
    ] {
        let (service, at) = (Service::new(""), free_address());
        configure(&service, &[format!("http://{at}")], &format!("eject-for = \"{eject_for}\"\n{check}"), "");
        let _process: Process = service.start();
        let series = |family: &str| {
            service.metric(&format!("portcullis_upstream_{family}{{app=\"wiki\",server=\"{at}\"}}"))
        };
        let panic = || service.metric("portcullis_upstream_panic{app=\"wiki\"}");
        if !check.is_empty() {
            wait_until(&service, 0, "check-fails");
            assert_eq!((series("server_up"), panic()), (0.0, 1.0), "{what}");
        }
        assert_eq!(service.get("/").status, 502, "{what}");
        let server = Server::start_at("back", at).unwrap();
        wait_for(what, || is_on_trial(&service));
        assert_eq!(server.requests(), 0, "{what}: nobody asked it");
        assert_eq!((series("server_up"), series("server_ejected"), panic()), (1.0, 0.0, 0.0), "{what}");
        assert_eq!(service.get("/").body, "back", "{what}");
        wait_until(&service, 0, "up");
    }
}

#[test]
fn a_black_hole_costs_one_timeout_and_then_none() {
    // A listener whose queue is full: what connects now gets no answer at all.
    let hole = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    hole.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    hole.listen(0).unwrap();
    let at = hole.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&at, Duration::from_millis(200)) {
        queued.push(stream);
        assert!(queued.len() < 64, "the queue never fills");
    }
    let (service, live) = (Service::new(""), Server::start("live"));
    let servers = [format!("http://{at}"), format!("http://{}", live.address)];
    configure(&service, &servers, "eject-for = \"1m\"", "[app.timeouts]\nconnect = \"400ms\"");
    let _process: Process = service.start();
    let timed = || {
        let began = Instant::now();
        assert_eq!(service.get("/").body, "live");
        began.elapsed()
    };
    let slow = (0..10).map(|_| timed()).filter(|took| *took >= Duration::from_millis(390)).count();
    assert_eq!(slow, 1, "one of ten waited for the timeout");
    assert_eq!(address(&service, 0).unwrap()["cause"], "connect-timeout");
}

#[test]
fn a_name_that_moves_takes_its_requests_along_and_one_that_is_gone_is_told() {
    let (one, _two) = loop {
        let one = Server::start("one");
        let other = SocketAddr::new("127.0.0.2".parse().unwrap(), one.address.port());
        if let Some(two) = Server::start_at("two", other) {
            break (one, two);
        }
    };
    let at = |address: &str| {
        let address: IpAddr = address.parse().unwrap();
        move |_: &crate::name_server::Question| Reply::Addresses(1, vec![address])
    };
    let dns = NameServer::start(at("127.0.0.1"));
    let service = Service::new("");
    let more = format!(
        "[dns]\nservers = [\"{}\"]\nttl-min = \"100ms\"\nttl-max = \"200ms\"\nhold = \"300ms\"\ntimeout = \"300ms\"",
        dns.address
    );
    let port = one.address.port();
    configure(&service, &[format!("http://app.corp.test:{port}")], "", &more);
    let _process: Process = service.start();
    assert_eq!(bodies(&service, 3), ["one"; 3]);

    // What is under way at the old address goes on.
    let mut slow = service.send(&Service::head("GET", "/slow", ""));
    wait_for("the slow request", || (one.requests() == 4).then_some(()));
    dns.answers(at("127.0.0.2"));
    wait_for("the new address", || (service.get("/").body == "two").then_some(()));
    let before = one.requests();
    assert_eq!(bodies(&service, 4), ["two"; 4]);
    assert_eq!(one.requests(), before, "the old one gets no new requests");
    assert_eq!(answer(&mut slow, false).body, "one");

    let lookups = |result: &str| {
        service.metric(&format!(
            "portcullis_upstream_server_lookups_total{{app=\"wiki\",server=\"app.corp.test:{port}\",result=\"{result}\"}}"
        ))
    };
    for (reply, result) in [(Reply::Fails, "failed"), (Reply::Silent, "timeout")] {
        let before = lookups(result);
        dns.answers(move |_| reply.clone());
        wait_for(result, || (lookups(result) > before).then_some(()));
        assert_eq!(service.get("/").body, "two", "its former address goes on serving");
    }
    // What UDP cuts off is asked for by TCP, and may take a moment there.
    dns.answers(|_| {
        let then = Reply::Addresses(1, vec!["127.0.0.1".parse().unwrap()]);
        Reply::Truncated(Box::new(Reply::After(Duration::from_millis(50), Box::new(then))))
    });
    wait_for("the answer by TCP", || (service.get("/").body == "one").then_some(()));
    assert!(dns.asked().iter().any(|question| question.by_tcp && !question.is_v6));
    dns.answers(|_| Reply::NoName);
    wait_for("the name to be given up", || (service.get("/").status == 502).then_some(()));
    let status = service.status().unwrap();
    let server = &status["apps"][0]["servers"][0];
    assert_eq!(
        (&server["lookup"]["result"], &server["addresses"]),
        (&"absent".into(), &Value::Array(vec![]))
    );
    assert!(service.metric("portcullis_upstream_failures_total{app=\"wiki\",kind=\"dns\"}") >= 1.0);
    dns.answers(at("127.0.0.1"));
    wait_for("it to come back", || (service.get("/").body == "one").then_some(()));
    let said = said(&service, "does not resolve");
    assert_eq!(
        said, 4,
        "once for each of three ways to fail and when its addresses were given up, not with each look-up"
    );
}
