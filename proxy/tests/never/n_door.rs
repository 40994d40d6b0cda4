//! N95: what one client can hold before anybody knows who it is.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::h2::{Connection, END_HEADERS, END_STREAM, HEADERS, PING, SETTINGS, block, fields, frame};
use crate::wire::answer;
use crate::world::{HOST, Setup, TRUSTED, World};

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Everything until the end of the connection.
fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return String::from_utf8_lossy(&bytes).into_owned(),
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(problem) => panic!("{problem}, after {:?}", String::from_utf8_lossy(&bytes)),
        }
    }
}

fn started(limits: &'static str) -> World {
    World::start(Setup { server: limits, ..Setup::default() })
}

#[test]
fn never_n95_a_head_is_read_beyond_its_limit() {
    let world = started("limits = { head-max = \"4KiB\" }");
    for requests_before in [0, 2] {
        let mut stream = connect(&world.plain);
        for _ in 0..requests_before {
            stream.write_all(&World::head("GET", "/", "")).unwrap();
            assert_eq!(answer(&mut stream, false).status, 200);
        }
        let head = World::head("GET", "/", &format!("X-Long: {}\r\n", "a".repeat(3_900)));
        assert!(head.len() > 4096);
        // No end of a head among them, and far more than is read.
        stream.write_all(&head[..head.len() - 2]).unwrap();
        let _ = stream.write_all(&[b'a'; 100_000]);
        let text = rest(&mut stream);
        assert!(text.starts_with("HTTP/1.1 431 "), "after {requests_before}: {text}");
    }
    let mut fits = World::head("GET", "/", "");
    fits.truncate(fits.len() - 2);
    fits.extend(format!("X-Long: {}\r\n\r\n", "a".repeat(4_096 - fits.len() - 12)).bytes());
    assert_eq!(fits.len(), 4096);
    assert_eq!(crate::wire::exchange(&world.plain, &fits).status, 200, "the counterpart");
}

#[test]
fn never_n95_unfinished_heads_of_many_connections_take_all_memory() {
    let world = started("limits = { unfinished-heads = \"256KiB\" }");
    let held = |world: &World| world.metric("portcullis_unfinished_head_bytes");
    let closed = |world: &World| {
        let plain = &world.plain;
        world.metric(&format!(
            "portcullis_connections_closed_total{{listener=\"{plain}\",reason=\"unfinished-heads\"}}"
        ))
    };
    // One that is small, and is to live.
    let mut small = connect(&world.plain);
    small.write_all(&World::head("GET", "/small", "")[..100]).unwrap();
    let heads: Vec<TcpStream> = (0..16)
        .map(|_| {
            let mut stream = connect(&world.plain);
            let _ = stream.write_all(
                format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Long: {}", "a".repeat(40_000)).as_bytes(),
            );
            stream
        })
        .collect();
    // Six have room, beside what is small.
    world.wait_for("the others to be closed", |world| closed(world) >= 10.0 && held(world) > 0.0);
    assert!(held(&world) <= 262_144.0, "{}", held(&world));
    small.write_all(&World::head("GET", "/small", "")[100..]).unwrap();
    assert_eq!(answer(&mut small, false).status, 200, "the smaller ones stay");
    assert_eq!(world.get("/", "").status, 200, "and others come in");
    drop(heads);
    world.wait_for("nothing to be held", |world| held(world) == 0.0);
}

#[test]
fn never_n95_a_head_that_drips_holds_a_connection() {
    let world = started("limits = { head-time = \"500ms\" }");
    for requests_before in [0, 2] {
        let mut stream = connect(&world.plain);
        for _ in 0..requests_before {
            stream.write_all(&World::head("POST", "/", "Content-Length: 3\r\n")).unwrap();
            // A body may take longer than a head.
            std::thread::sleep(Duration::from_millis(700));
            stream.write_all(b"abc").unwrap();
            assert_eq!(answer(&mut stream, false).status, 200);
        }
        let mut drips = stream.try_clone().unwrap();
        let dripping = std::thread::spawn(move || {
            let mut count = 0;
            for byte in format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Long: {}", "a".repeat(10_000)).bytes() {
                if drips.write_all(&[byte]).is_err() {
                    break;
                }
                count += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            count
        });
        let text = rest(&mut stream);
        assert!(text.starts_with("HTTP/1.1 408 "), "after {requests_before}: {text}");
        assert!(dripping.join().unwrap() < 5_000, "it was given up before all was sent");
    }
}

#[test]
fn never_n96_a_head_is_given_the_time_of_an_earlier_one() {
    let world = started("limits = { head-time = \"2s\" }");
    let mut stream = connect(&world.plain);
    for request in 1..=3 {
        let head = World::head("GET", "/", "");
        let (begin, end) = head.split_at(20);
        stream.write_all(begin).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        stream.write_all(end).unwrap();
        assert_eq!(answer(&mut stream, false).status, 200, "request {request}");
        // Longer than a head may take, and no part of any.
        std::thread::sleep(Duration::from_millis(2_300));
    }
}

/// A balancer that forwards bytes writes no `X-Forwarded-For`: where it does not know its client, the client wrote that.
#[test]
fn never_n25_a_client_that_its_balancer_cannot_name_has_the_balancers_address_or_trust() {
    let plain = "proxy-protocol = { from = [\"127.0.0.0/8\"] }";
    let policies = format!(
        "{}\n[[policy]]\nid = \"inside\"\nusers = {{ include = [\"all\"] }}\napps = {{ include = [\"all\"] }}\n\
         grant = \"block\"\nconditions = {{ locations = {{ include = [\"all\"], exclude = [\"inside\"] }}, request = {{ paths = [\"/inside/**\"] }} }}\n",
        crate::world::POLICIES
    );
    let top = format!(
        "{}\n[[location]]\nname = \"inside\"\nnetworks = [\"127.0.0.0/8\", \"198.51.100.0/24\"]\n",
        TRUSTED
    );
    let world = World::start(Setup { plain, policies, top, ..Setup::default() });
    let says = "X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\n";
    let asks = |header: &[u8], path: &str| {
        crate::wire::exchange(&world.plain, &[header, &World::head("GET", path, says)].concat()).status
    };
    let two = |command: u8, family: u8, addresses: &[u8]| {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [b"\r\n\r\n\0\r\nQUIT\n", &[0x20 | command, family][..], &length, addresses].concat()
    };
    let unknown = [
        b"PROXY UNKNOWN\r\n".to_vec(),
        two(1, 0, &[]),
        two(1, 0x31, &[0; 216]),
        b"PROXY UNKNOWN ::1 ::1 1 1\r\n".to_vec(),
    ];
    for header in unknown {
        assert_eq!(asks(&header, "/"), 200);
        let seen = world.origin.last();
        assert_eq!(seen.values("X-Forwarded-For"), ["unknown"], "{}", header.escape_ascii());
        assert_eq!(seen.values("X-Forwarded-Proto"), ["http"]);
        assert_eq!(asks(&header, "/inside/"), 403);
    }
    for header in [two(0, 0, &[]), b"PROXY TCP4 127.0.0.9 127.0.0.1 1 80\r\n".to_vec()] {
        assert_eq!(asks(&header, "/inside/"), 200, "the counterpart: whoever is a trusted proxy");
        assert_eq!(world.origin.last().values("X-Forwarded-For"), ["198.51.100.7"]);
    }
}

/// A reload neither moves sockets nor what was said of them: whoever is no balancer of a listener does not become one
/// because the file names the listeners in another order, or one fewer.
#[test]
fn never_n25_another_order_of_listeners_lets_a_client_choose_its_address() {
    let with_header = "proxy-protocol = { from = [\"127.0.0.0/8\"] }";
    for is_dropped in [false, true] {
        let world = World::start(Setup { plain: with_header, ..Setup::default() });
        let header = b"PROXY TCP4 198.51.100.7 198.51.100.8 1000 80\r\n";
        let with = [&header[..], &World::head("GET", "/", "")].concat();
        let reaches_as = || {
            assert_eq!(crate::wire::exchange(&world.plain, &with).status, 200);
            world.origin.last().values("X-Forwarded-For").join(",")
        };
        assert_eq!(reaches_as(), "198.51.100.7");
        let file = world.file("portcullis.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let plain = format!("{{ address = \"{}\", {with_header} }}", world.plain);
        let tls = format!(
            "{{ address = \"{}\", tls = {{ certificate = \"chain.pem\", key = \"key.pem\" }} }}",
            world.tls
        );
        let before = format!("listeners = [{plain}, {tls}]");
        assert!(text.contains(&before), "{text}");
        let after =
            if is_dropped { format!("listeners = [{tls}]") } else { format!("listeners = [{tls}, {plain}]") };
        let reloads = || world.metric("portcullis_configuration_generation");
        let generation = reloads();
        std::fs::write(&file, text.replace(&before, &after)).unwrap();
        world.wait_for("the reload", |_| reloads() > generation);
        assert_eq!(reaches_as(), "198.51.100.7", "the balancer's is still read");
        let answer = world.over_tls(HOST, &World::head("GET", "/", ""));
        assert_eq!(answer.status, 200, "nobody else's is demanded");
    }
}

#[test]
fn never_n95_a_silent_connection_is_held() {
    let world = started("client-idle = \"60s\"\nlimits = { handshake-time = \"1s\" }");
    // Nothing; the begin of a preface; a plain client; the begin of a handshake; a handshake, and then nothing.
    let nothing = connect(&world.plain);
    let mut preface = connect(&world.plain);
    preface.write_all(b"PR").unwrap();
    let silent = connect(&world.tls);
    let mut hello = connect(&world.tls);
    hello.write_all(&[0x16, 3, 1]).unwrap();
    let mut http2 = world.connect(HOST, &[b"h2"]);
    http2.flush().unwrap();
    while http2.conn.is_handshaking() {
        http2.conn.complete_io(&mut http2.sock).unwrap();
    }
    let begun = Instant::now();
    for mut stream in [nothing, preface, silent, hello] {
        assert_eq!(stream.read(&mut [0; 64]).unwrap_or(0), 0);
    }
    let mut raw = http2.sock;
    while raw.read(&mut [0; 4096]).unwrap_or(0) > 0 {}
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(world.get("/", "").status, 200, "the counterpart");
}

#[test]
fn never_n95_one_address_holds_all_connections() {
    let world = started("limits = { connections-per-address = 8 }");
    let held: Vec<_> = (0..8).map(|_| connect(&world.plain)).collect();
    world.wait_for("the ninth to be closed", |world| {
        connect(&world.plain).read(&mut [0; 1]).unwrap_or(0) == 0
            && connect(&world.tls).read(&mut [0; 1]).unwrap_or(0) == 0
    });
    for _ in 0..50 {
        assert_eq!(connect(&world.plain).read(&mut [0; 1]).unwrap_or(0), 0);
    }
    let said = world.said();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("address-limit")).collect();
    assert!(lines.len() <= 2, "one for each listener, however many connections: {said}");
    assert!(lines.iter().all(|line| line.contains("127.0.0.1")), "{said}");
    assert!(!lines.is_empty(), "whoever runs it reads who it was");
    for mut stream in held {
        stream.write_all(&World::head("GET", "/", "")).unwrap();
        assert_eq!(answer(&mut stream, false).status, 200, "who is there is served");
    }
    world.wait_for("a seat to be free", |world| {
        let mut stream = connect(&world.plain);
        stream.write_all(&World::head("GET", "/", "Connection: close\r\n")).is_ok()
            && stream.read(&mut [0; 12]).is_ok_and(|count| count > 0)
    });
}

#[test]
fn connections_beyond_the_process_limit_wait() {
    let world = started("limits = { connections = 4 }");
    let held: Vec<_> = (0..4).map(|_| connect(&world.plain)).collect();
    let mut fifth = connect(&world.plain);
    fifth.write_all(&World::head("GET", "/", "")).unwrap();
    fifth.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(fifth.read(&mut [0; 1]).is_err(), "it waits");
    assert_eq!(world.admin_get("/healthz", "").status, 200, "who looks after it has no part in this limit");
    drop(held);
    fifth.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(answer(&mut fifth, false).status, 200);
}

#[test]
fn requests_sent_together_are_answered_in_order() {
    let world = World::plain();
    let mut stream = connect(&world.plain);
    let mut bytes = World::head("POST", "/one", "Content-Length: 5\r\n");
    bytes.extend_from_slice(b"first");
    bytes.extend(World::head("POST", "/two", "Transfer-Encoding: chunked\r\n"));
    bytes.extend_from_slice(b"6\r\nsecond\r\n0\r\n\r\n");
    bytes.extend(World::head("GET", "/admin", ""));
    bytes.extend(World::head("GET", "/four", "Connection: close\r\n"));
    stream.write_all(&bytes).unwrap();
    let text = rest(&mut stream);
    let statuses: Vec<&str> = text.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "200", "403", "200"], "each is judged by itself: {text}");
    assert_eq!(world.origin.hits(), 3);
    assert_eq!(world.origin.last().target(), "/four");
}

#[test]
fn http2_is_spoken_to_a_plain_listener_by_whoever_knows() {
    let world = World::plain();
    let mut stream = connect(&world.plain);
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[3], 4, "its settings");
    let mut other = connect(&world.plain);
    for byte in World::head("PROPFIND", "/", "") {
        other.write_all(&[byte]).unwrap();
    }
    assert_eq!(answer(&mut other, false).status, 200, "the counterpart begins as the preface does");
}

#[test]
fn a_plain_request_to_a_tls_port_is_answered_once() {
    let world = World::plain();
    let mut stream = connect(&world.tls);
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).unwrap();
    let text = rest(&mut stream);
    assert!(text.starts_with("HTTP/1.1 400 ") && text.contains("HTTPS"), "{text}");
}

/// A world whose listeners demand a PROXY header of these networks.
fn behind_balancers(from: &'static str) -> World {
    behind_balancers_with(from, Setup::default())
}

fn behind_balancers_with(from: &'static str, setup: Setup) -> World {
    let world = World::launch_with(setup, |folder| {
        let path = folder.join("portcullis.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let demand = format!(", proxy-protocol = {{ from = [\"{from}\"] }} }}");
        let text = text.replacen(" }, { address", &format!("{demand}, {{ address"), 1);
        let text = text.replacen("key = \"key.pem\" } }]", &format!("key = \"key.pem\" }}{demand}]"), 1);
        assert_eq!(text.matches("proxy-protocol").count(), 2);
        std::fs::write(path, text).unwrap();
    })
    .unwrap();
    world.wait_for("the keys", |world| world.admin_get("/readyz", "").status == 200);
    world
}

#[test]
fn never_n95_a_proxy_header_is_believed_of_anybody_or_may_be_left_out() {
    let world = behind_balancers("127.0.0.0/8");
    let status = |header: &[u8]| {
        let mut stream = connect(&world.plain);
        stream.write_all(header).unwrap();
        stream.write_all(&World::head("GET", "/", "Connection: close\r\n")).unwrap();
        let mut begin = [0; 12];
        match stream.read_exact(&mut begin) {
            Ok(()) => String::from_utf8_lossy(&begin[9..]).into_owned(),
            Err(_) => "closed".to_owned(),
        }
    };
    let one = |client: &str| status(format!("PROXY TCP4 {client} 127.0.0.1 4660 80\r\n").as_bytes());
    assert_eq!(one("198.51.100.1"), "200");
    assert_eq!(one("192.0.2.1"), "403", "policies judge the address that it names");
    let two = |last: u8| {
        [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &[192, 0, 2, last, 127, 0, 0, 1, 18, 52, 0, 80]].concat()
    };
    assert_eq!(status(&two(9)), "403");
    assert_eq!(status(b""), "closed", "a connection of such a source has a header");
    assert_eq!(status(b"PROXY TCP4 192.0.2.01 127.0.0.1 4660 80\r\n"), "closed");
    assert_eq!(world.origin.hits(), 1);
    // Before the handshake of TLS.
    let mut tls = world.connect(HOST, &[b"http/1.1"]);
    tls.sock.write_all(b"PROXY TCP4 192.0.2.1 127.0.0.1 4660 443\r\n").unwrap();
    tls.write_all(&World::head("GET", "/", "")).unwrap();
    assert_eq!(answer(&mut tls, false).status, 403);
    // Of everybody else it is no header, and no request.
    let other = behind_balancers("203.0.113.0/24");
    let forged =
        other.bare("PROXY TCP4 198.51.100.1 127.0.0.1 4660 80\r\nGET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n");
    assert_eq!(forged, 400);
    assert_eq!(other.get("/", "").status, 200, "the counterpart");
}

#[test]
fn never_n95_refusals_that_nobody_reads_are_held() {
    let world = started("limits = { stall = \"1s\", streams-before-grant = 4 }");
    let mut stream = world.connect(HOST, &[b"h2"]);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // A window of nothing.
    bytes.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    let head = block(&fields("GET", HOST, "/"));
    for number in 0..20_u32 {
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, number * 2 + 1, &head));
    }
    stream.write_all(&bytes).unwrap();
    stream.flush().unwrap();
    let listener = format!("{{listener=\"{}\"}}", world.tls);
    let unread = |world: &World| world.metric(&format!("portcullis_answers_unread_total{listener}"));
    world.wait_for("the first to be given up", |world| unread(world) >= 4.0);
    assert_eq!(world.metric("portcullis_requests_in_flight"), 0.0, "none of them holds a request");
    world.wait_for("all to be given up", |world| unread(world) == 20.0);
    world.wait_for("nothing to be held", |world| world.metric("portcullis_unsent_bytes") == 0.0);
}

#[test]
fn never_n95_who_leaves_most_unread_takes_the_memory_of_all() {
    let world = started("limits = { unsent = \"1KiB\" }");
    let mut greedy = connect(&world.plain);
    greedy.write_all(&World::head("GET", "/large", "")).unwrap();
    let reason =
        format!("portcullis_connections_closed_total{{listener=\"{}\",reason=\"unsent\"}}", world.plain);
    world.wait_for("it to be cut", |world| world.metric(&reason) == 1.0);
    assert_eq!(world.get("/", "").status, 200, "the counterpart reads");
    world.wait_for("nothing to be held", |world| world.metric("portcullis_unsent_bytes") == 0.0);
}

#[test]
fn never_n95_frames_without_a_request_take_the_processor() {
    let world = World::plain();
    let mut stream = connect(&world.plain);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    stream.write_all(&bytes).unwrap();
    let mut reads = stream.try_clone().unwrap();
    let reading = std::thread::spawn(move || while reads.read(&mut [0; 16_384]).unwrap_or(0) > 0 {});
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(100);
    let begun = Instant::now();
    while stream.write_all(&pings).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "PINGs are answered without end");
    }
    reading.join().unwrap();
    let reason = format!(
        "portcullis_connections_closed_total{{listener=\"{}\",reason=\"control-frames\"}}",
        world.plain
    );
    world.wait_for("it to be counted", |world| world.metric(&reason) == 1.0);
    let mut counterpart = Connection::open(world.connect(HOST, &[b"h2"]));
    for _ in 0..50 {
        assert!(counterpart.send(&frame(PING, 0, 0, &[0; 8])));
    }
    assert_eq!(counterpart.ask(&fields("GET", HOST, "/"), None, &[]).status(), 401, "the counterpart");
}

#[test]
fn never_n95_a_client_with_a_network_of_its_own_is_many_addresses() {
    let setup = Setup { server: "limits = { connections-per-address = 2 }", ..Setup::default() };
    let world = behind_balancers_with("127.0.0.0/8", setup);
    let from = |client: &str| {
        let mut stream = connect(&world.plain);
        let (family, own) = if client.contains(':') { ("TCP6", "::1") } else { ("TCP4", "127.0.0.1") };
        stream.write_all(format!("PROXY {family} {client} {own} 4660 80\r\n").as_bytes()).unwrap();
        let sent = stream.write_all(&World::head("GET", "/", ""));
        let is_served = sent.is_ok() && stream.read_exact(&mut [0; 12]).is_ok();
        is_served.then_some(stream)
    };
    let one = ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2"].map(from);
    assert!(one.iter().all(Option::is_some));
    assert!(from("2001:db8:0:1::3").is_none(), "a third of the same /64");
    assert!(from("2001:db8:0:2::1").is_some(), "another network");
    // The balancer has a limit of its own, however many clients come by it.
    let many: Vec<_> = (1..=9).map(|last| from(&format!("198.51.100.{last}"))).collect();
    assert!(many.iter().all(Option::is_some));
    let mapped = from("::ffff:198.51.100.1");
    assert!(mapped.is_some() && from("198.51.100.1").is_none(), "an IPv4 address in IPv6 is that address");
}

#[test]
fn a_trusted_proxy_may_hold_more_connections_than_an_address() {
    let setup = Setup {
        server: "limits = { connections-per-address = 2 }",
        top: TRUSTED.to_owned(),
        ..Setup::default()
    };
    let world = World::start(setup);
    let held: Vec<_> = (0..6).map(|_| connect(&world.plain)).collect();
    for mut stream in held {
        stream.write_all(&World::head("GET", "/", "")).unwrap();
        assert_eq!(answer(&mut stream, false).status, 200);
    }
}

#[test]
fn never_n95_who_is_cut_comes_back_at_once_without_end() {
    let world = started("limits = { head-max = \"1KiB\" }");
    let long = World::head("GET", "/", &format!("X-Long: {}\r\n", "x".repeat(2_000)));
    let ask = |head: &[u8]| {
        let mut stream = connect(&world.plain);
        let mut begin = [0; 12];
        let answered = stream.write_all(head).is_ok() && stream.read_exact(&mut begin).is_ok();
        answered.then(|| String::from_utf8_lossy(&begin[9..]).into_owned())
    };
    let closed =
        format!("portcullis_connections_closed_total{{listener=\"{}\",reason=\"cut-limit\"}}", world.plain);
    for _ in 0..20 {
        assert_eq!(ask(&long).as_deref(), Some("431"), "a few mistakes cost nobody anything");
    }
    world.wait_for("it to be kept out", |world| ask(&long).is_none() && world.metric(&closed) > 0.0);
    let other = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    other.bind(&"127.0.0.9:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    other.connect(&world.plain.parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    let mut other = TcpStream::from(other);
    other.write_all(&World::head("GET", "/", "")).unwrap();
    assert_eq!(answer(&mut other, false).status, 200, "other addresses are served");
    world.wait_for("it to be let in again", |_| ask(&World::head("GET", "/", "")).as_deref() == Some("200"));
}

#[test]
fn never_n95_a_trusted_proxy_or_a_balancer_holds_all_connections() {
    let trusted = Setup {
        server: "limits = { connections-per-address = 2, connections-per-proxy = 6 }",
        top: TRUSTED.to_owned(),
        ..Setup::default()
    };
    // Nine tenths of all, where nobody says how many.
    let balancers = Setup { server: "limits = { connections = 20 }", ..Setup::default() };
    for (world, begin, most) in [
        (World::start(trusted), "", 6),
        (behind_balancers_with("127.0.0.0/8", balancers), "PROXY TCP4 192.0.2.9 127.0.0.1 4660 80\r\n", 18),
    ] {
        let ask = || {
            let mut stream = connect(&world.plain);
            let sent = stream.write_all(&[begin.as_bytes(), &World::head("GET", "/", "")].concat());
            (sent.is_ok() && stream.read_exact(&mut [0; 12]).is_ok()).then_some(stream)
        };
        world.wait_for("nothing to be open that a readiness check left", |world| {
            world.metric(&format!("portcullis_connections{{listener=\"{}\"}}", world.plain)) == 0.0
        });
        let held: Vec<_> = (0..most).map(|_| ask()).collect();
        assert!(held.iter().all(Option::is_some), "{begin}");
        assert!(ask().is_none(), "{begin}");
        let closed = format!(
            "portcullis_connections_closed_total{{listener=\"{}\",reason=\"proxy-limit\"}}",
            world.plain
        );
        world.wait_for("it to be counted", |world| world.metric(&closed) >= 1.0);
        drop(held);
        world.wait_for("room again", |_| ask().is_some());
    }
}

#[test]
fn never_n95_a_refusal_over_http1_that_nobody_reads_holds_a_connection() {
    let world = started("limits = { stall = \"1s\" }\nclient-idle = \"1h\"");
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address: std::net::SocketAddr = world.plain.parse().unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    // More than the kernel takes for a client that reads nothing.
    let asks = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/html\r\n\r\n").repeat(4_000);
    stream.set_nonblocking(true).unwrap();
    let mut rest = asks.as_bytes();
    let open = format!("portcullis_connections{{listener=\"{}\"}}", world.plain);
    let closed =
        format!("portcullis_connections_closed_total{{listener=\"{}\",reason=\"ended\"}}", world.plain);
    let before = world.metric(&closed);
    let sending = std::sync::Mutex::new((&mut stream, &mut rest));
    world.wait_for("it to be given up", |world| {
        let mut sending = sending.lock().unwrap();
        let (stream, rest) = &mut *sending;
        if let Ok(count) = stream.write(rest) {
            **rest = &rest[count..];
        }
        world.metric(&open) == 0.0 && world.metric(&closed) > before
    });
    assert_eq!(world.get("/", "").status, 200, "the counterpart");
}

#[test]
fn never_n95_malformed_streams_are_reset_without_end() {
    let world = World::plain();
    let mut stream = connect(&world.plain);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    let head = block(&fields("GET", "user@wiki.test", "/"));
    for number in 0..32_u32 {
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, number * 2 + 1, &head));
    }
    stream.write_all(&bytes).unwrap();
    let reason = format!(
        "portcullis_connections_closed_total{{listener=\"{}\",reason=\"malformed-streams\"}}",
        world.plain
    );
    world.wait_for("it to be closed", |world| world.metric(&reason) == 1.0);
    assert_eq!(world.origin.hits(), 0);
    let mut counterpart = Connection::open(world.connect(HOST, &[b"h2"]));
    assert!(counterpart.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)));
    assert_eq!(counterpart.answer(1).status(), 400);
    let good = block(&fields("GET", HOST, "/"));
    assert!(counterpart.send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &good)));
    assert_eq!(counterpart.answer(3).status(), 401, "one such stream is nothing");
}

#[test]
fn never_n95_a_connection_that_leaves_much_unread_is_given_more() {
    let world = started("limits = { unsent-per-connection = \"1KiB\" }");
    let mut stream = Connection::open(world.connect(HOST, &[b"h2"]));
    let token = format!("Bearer {}", crate::keys::token());
    let with_token = |path: &'static str| {
        let mut all = fields("GET", HOST, path);
        all.push((b"authorization", token.as_bytes()));
        block(&all)
    };
    // The client's window for a stream is 65,535 bytes, and it opens it no further.
    assert!(stream.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &with_token("/large"))));
    world.wait_for("something to be unread", |world| world.metric("portcullis_unsent_bytes") > 1_024.0);
    assert!(stream.send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &with_token("/second"))));
    // What waits for its turn is counted as unsent, too.
    let unread = world.metric("portcullis_unsent_bytes");
    world.wait_for("the second to wait", |world| world.metric("portcullis_unsent_bytes") >= unread);
    assert_eq!(world.get("/other", "").status, 200, "others are served");
    assert_eq!(world.origin.hits(), 2, "the second one waits");
    // The client takes some of the first, which goes on; then the second one's turn has come.
    for of in [0, 1] {
        assert!(stream.send(&frame(8, 0, of, &(1_u32 << 30).to_be_bytes())));
    }
    let second = stream.answer(3);
    assert_eq!(second.status(), 200, "{second:?}");
    assert_eq!(world.origin.hits(), 3);
}
