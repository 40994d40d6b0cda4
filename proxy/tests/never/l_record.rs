//! L. What is recorded of a request that its client did not wait for.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::h2::{Connection, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, block, fields, frame};
use crate::keys;
use crate::origin::Counter;
use crate::raw_app::{RawApp, Reply};
use crate::wire::answer;
use crate::world::{HOST, Setup, World};

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const FRAMING: &str = "portcullis_refusals_total{app=\"wiki\",reason=\"bad-framing\",code=\"0\"}";
/// `CANCEL` (RFC 9113, section 7).
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// Logs every request, and lets bodies of any length in.
fn world() -> World {
    World::start(Setup {
        log: "grants-one-in = 1",
        policies: String::from(
            "[[policy]]\nid = \"fine\"\nusers = { include = [\"all\"] }\napps = { include = [\"all\"] }\ngrant = { controls = [\"mfa\"] }\n\n[[policy]]\nid = \"no-admin\"\nusers = { include = [\"all\"] }\napps = { include = [\"all\"] }\ngrant = \"block\"\nconditions = { request = { paths = [\"/admin/**\"] } }\n",
        ),
        ..Setup::default()
    })
}

fn outcome(world: &World, outcome: &str) -> f64 {
    world.metric(&format!("portcullis_requests_total{{app=\"wiki\",outcome=\"{outcome}\"}}"))
}

/// The line of the one request for this path.
fn line(world: &World, path: &str) -> Value {
    let of = |world: &World| {
        world
            .log()
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|line| line["path"] == path)
    };
    world.wait_for("the line of the log", |world| of(world).is_some());
    of(world).unwrap()
}

/// Waits until this many requests ended as aborted at `stage`, and asserts that nothing else is recorded of them.
fn aborted(world: &World, stage: &str, count: f64) {
    let series = format!("portcullis_client_aborts_total{{app=\"wiki\",stage=\"{stage}\"}}");
    world.wait_for(&series, |world| world.metric(&series) >= count);
    for other in ["rejected", "failed", "denied", "unauthenticated"] {
        assert_eq!(outcome(world, other), 0.0, "{other} after {stage}");
    }
    assert_eq!(world.metric(FRAMING), 0.0, "{stage}");
}

fn open(world: &World, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(&world.plain).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// An HTTP/2 connection with one GET in progress.
fn h2_get(world: &World, path: &str) -> Connection<impl Read + Write + use<>> {
    let mut connection = Connection::open(world.connect(HOST, &[b"h2"]));
    let bearer = format!("Bearer {}", keys::token());
    let mut head = fields("GET", HOST, path);
    head.push((b"authorization", bearer.as_bytes()));
    connection.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&head)));
    connection
}

#[test]
fn never_n103_a_client_that_leaves_before_the_answer_is_an_attacker_or_a_grant() {
    let world = world();
    let hits = |count| world.wait_for("the app to be asked", move |world| world.origin.hits() == count);
    // While the app works.
    let stream = open(&world, &World::head("GET", "/wait", ""));
    hits(1);
    drop(stream);
    aborted(&world, "before-answer", 1.0);
    let entry = line(&world, "/wait");
    assert_eq!((&entry["outcome"], &entry["status"]), (&"aborted".into(), &499.into()), "{entry}");
    assert_eq!(entry["reason"], Value::Null, "{entry}");
    assert!(entry["userId"].is_string(), "the user is recorded: {entry}");
    assert_eq!(entry["upstreamServer"], world.origin.address.as_str(), "{entry}");
    // During its own upload, with a length and without.
    for lines in ["Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut stream = open(&world, &World::head("POST", "/upload", lines));
        stream.write_all(b"5\r\nhello\r\n").unwrap();
        world.wait_for("the upload to begin", |world| world.origin.raw().contains("hello"));
        drop(stream);
    }
    aborted(&world, "before-answer", 3.0);
    // Over HTTP/2: the stream alone, and the whole connection.
    let mut connection = h2_get(&world, "/wait");
    hits(2);
    connection.send(&frame(RST_STREAM, 0, 1, &CANCEL));
    aborted(&world, "before-answer", 4.0);
    let connection = h2_get(&world, "/wait");
    hits(3);
    drop(connection);
    aborted(&world, "before-answer", 5.0);
    assert_eq!(outcome(&world, "granted"), 0.0);
    assert_eq!(outcome(&world, "aborted"), 5.0);
}

#[test]
fn never_n103_a_client_that_leaves_a_download_is_an_attacker_or_a_grant() {
    let world = world();
    let mut stream = open(&world, &World::head("GET", "/large", ""));
    stream.read_exact(&mut [0; 100]).unwrap();
    drop(stream);
    aborted(&world, "during-answer", 1.0);
    let entry = line(&world, "/large");
    assert_eq!((&entry["outcome"], &entry["status"]), (&"aborted".into(), &200.into()), "{entry}");
    let mut connection = h2_get(&world, "/large");
    while connection.next().is_some_and(|(kind, ..)| kind != DATA) {}
    connection.send(&frame(RST_STREAM, 0, 1, &CANCEL));
    aborted(&world, "during-answer", 2.0);
    let mut connection = h2_get(&world, "/large");
    while connection.next().is_some_and(|(kind, ..)| kind != DATA) {}
    drop(connection);
    aborted(&world, "during-answer", 3.0);
    assert_eq!(outcome(&world, "granted"), 0.0);
    let sent = world.metric("portcullis_client_bytes_total{app=\"wiki\",direction=\"out\"}");
    assert!(sent > 100.0, "{sent}");
}

#[test]
fn never_n103_a_socket_that_is_closed_is_reported_as_broken() {
    let world = world();
    let mut stream = open(&world, &World::head("GET", "/ws", UPGRADE));
    assert_eq!(answer(&mut stream, false).status, 101);
    stream.write_all(b"ping").unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    world.wait_for("the clean end", |world| outcome(world, "granted") == 1.0);
    assert_eq!(outcome(&world, "aborted"), 0.0);
    // The counterpart breaks: it does not read what it was sent, so its system answers with a reset.
    let mut stream = open(&world, &World::head("GET", "/ws", UPGRADE));
    assert_eq!(answer(&mut stream, false).status, 101);
    stream.write_all(b"ping").unwrap();
    stream.peek(&mut [0; 1]).unwrap();
    drop(stream);
    aborted(&world, "socket", 1.0);
    assert_eq!(world.metric("portcullis_stream_duration_seconds_count{app=\"wiki\"}"), 2.0);
    assert_eq!(
        world.metric("portcullis_request_duration_seconds_count{app=\"wiki\"}"),
        0.0,
        "no page among them"
    );
}

#[test]
fn never_n103_a_connection_that_ends_between_requests_is_reported_at_all() {
    let world = world();
    let mut stream = open(&world, &World::head("GET", "/", ""));
    assert_eq!(answer(&mut stream, false).status, 200);
    drop(stream);
    let mut stream = open(&world, b"GET / HT");
    stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert_eq!(world.get("/", "").status, 200);
    world.wait_for("both", |world| outcome(world, "granted") == 2.0);
    assert_eq!(outcome(&world, "aborted"), 0.0);
    assert_eq!(world.metric(FRAMING), 0.0);
}

#[test]
fn never_n103_nonsense_passes_for_a_client_that_left() {
    let world = world();
    let mut stream = open(&world, &World::head("POST", "/", "Transfer-Encoding: chunked\r\n"));
    stream.write_all(b"5\r\nhello\r\nnonsense\r\n").unwrap();
    world.wait_for("the refusal", |world| world.metric(FRAMING) == 1.0);
    assert_eq!((outcome(&world, "rejected"), outcome(&world, "aborted")), (1.0, 0.0));
    // HTTP/2: more bytes than were announced (RFC 9113, section 8.1.1).
    let mut connection = Connection::open(world.connect(HOST, &[b"h2"]));
    let bearer = format!("Bearer {}", keys::token());
    let mut head = fields("POST", HOST, "/");
    head.extend([(&b"authorization"[..], bearer.as_bytes()), (b"content-length", b"10")]);
    connection.send(&frame(HEADERS, END_HEADERS, 1, &block(&head)));
    connection.send(&frame(DATA, END_STREAM, 1, b"far more than ten bytes"));
    world.wait_for("the refusal", |world| world.metric(FRAMING) == 2.0);
    assert_eq!(outcome(&world, "aborted"), 0.0);
}

#[test]
fn never_n103_a_refusal_that_nobody_reads_is_another_end() {
    let world = world();
    for _ in 0..20 {
        let stream = open(&world, &World::head("GET", "/admin", ""));
        drop(stream);
    }
    world.wait_for("all", |world| outcome(world, "denied") == 20.0);
    assert_eq!((outcome(&world, "aborted"), outcome(&world, "failed")), (0.0, 0.0));
}

/// A pipe that nobody writes to and nobody reads.
fn pipe(path: &std::path::Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// `portcullis` with these arguments, until it ends: status, standard output and standard error.
fn ends(arguments: &[&std::ffi::OsStr]) -> (bool, String, String) {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let started = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("it hangs: {arguments:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn never_n108_a_name_that_is_no_text_stops_a_reload_or_a_start() {
    use std::os::unix::ffi::OsStrExt as _;
    let world = world();
    let failures = "portcullis_configuration_reloads_total{result=\"failure\"}";
    let successes = "portcullis_configuration_reloads_total{result=\"success\"}";
    let main = std::fs::read_to_string(world.file("portcullis.toml")).unwrap();
    let odd = |name: &[u8]| world.folder.path().join(std::ffi::OsStr::from_bytes(name));
    std::fs::write(odd(b"\xff\xfe.txt"), "").unwrap();
    std::fs::write(odd(b"caf\xe9"), "").unwrap();
    let before = world.metric(successes);
    std::fs::write(world.file("portcullis.toml"), main.replace("[\"policies.toml\"]", "[\"pol*.toml\"]"))
        .unwrap();
    world.wait_for("the reload", |world| world.metric(successes) > before);
    let config = world.file("portcullis.toml");
    let check = ["check".as_ref(), "--config".as_ref(), config.as_os_str()];
    assert!(ends(&check).0, "{:?}", ends(&check));
    // One that the pattern may mean is not left out unseen.
    std::fs::write(odd(b"pol\xff.toml"), "").unwrap();
    world.wait_for("the refusal", |world| world.metric(failures) > 0.0);
    assert_eq!(world.get("/admin", "").status, 403, "the former policies go on");
    let (fit, _, output) = ends(&check);
    assert!(!fit && output.contains("include/pattern") && output.contains("not UTF-8"), "{output}");
}

#[test]
fn never_n108_a_pipe_in_place_of_a_file_hangs_the_start_or_the_check() {
    for name in ["decisions.ndjson", "policies.toml", "keys.json", "chain.pem", "key.pem"] {
        let tamper = |folder: &std::path::Path| {
            let _ = std::fs::remove_file(folder.join(name));
            pipe(&folder.join(name));
            let main = folder.join("portcullis.toml");
            let (fit, _, output) = ends(&["check".as_ref(), "--config".as_ref(), main.as_ref()]);
            assert!(!fit && output.contains(name), "`check` says so, too: {name}: {output}");
        };
        let output = World::launch_with(Setup::default(), tamper).err().unwrap();
        assert!(output.contains(name), "{output}");
    }
}

#[test]
fn never_n108_a_pipe_in_place_of_the_log_stops_it_for_good() {
    let world = world();
    let lost = "portcullis_decision_log_entries_total{result=\"failed\"}";
    let written = "portcullis_decision_log_entries_total{result=\"written\"}";
    assert_eq!(world.get("/one", "").status, 200);
    line(&world, "/one");
    std::fs::remove_file(world.file("decisions.ndjson")).unwrap();
    pipe(&world.file("decisions.ndjson"));
    assert_eq!(world.get("/two", "").status, 200);
    world.wait_for("what is lost to be counted", |world| world.metric(lost) == 1.0);
    std::fs::remove_file(world.file("decisions.ndjson")).unwrap();
    let before = world.metric(written);
    assert_eq!(world.get("/three", "").status, 200);
    line(&world, "/three");
    world.wait_for("the line to be counted", |world| world.metric(written) > before);
    assert!(world.said().contains("the decision log cannot be"), "{}", world.said());
}

#[test]
fn never_n108_control_characters_of_inputs_reach_the_terminal() {
    let world = World::plain();
    let odd = "x\u{1b}[2J\u{202e}\u{9b}y";
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let path = |name: &str| world.file(name).into_os_string();
    let config = path("portcullis.toml");
    let request = format!(
        "user = {0}\napp = \"wiki\"\npath = {1}\nclient = \"browser\"\n",
        json(odd),
        json(&format!("/admin/{odd}"))
    );
    std::fs::write(world.file("request.toml"), &request).unwrap();
    let cases = format!(
        "[[case]]\nname = {}\nexpect = \"grant\"\n[case.request]\n{request}",
        json(&format!("{odd}\nok      forged"))
    );
    std::fs::write(world.file("cases.toml"), cases).unwrap();
    let missing = path(&format!("{odd}.log"));
    let id = "0199a1b2-0000-7000-8000-000000000000";
    let mut said = String::new();
    for arguments in [
        &[
            "what-if".as_ref(),
            "--config".as_ref(),
            config.as_os_str(),
            "--request".as_ref(),
            path("request.toml").as_os_str(),
        ][..],
        &[
            "what-if".as_ref(),
            "--format".as_ref(),
            "json".as_ref(),
            "--config".as_ref(),
            config.as_os_str(),
            "--request".as_ref(),
            path("request.toml").as_os_str(),
        ],
        &["test".as_ref(), "--config".as_ref(), config.as_os_str(), path("cases.toml").as_os_str()],
        &["test".as_ref(), "--config".as_ref(), config.as_os_str(), missing.as_os_str()],
        &[
            "explain".as_ref(),
            id.as_ref(),
            "--config".as_ref(),
            config.as_os_str(),
            "--log".as_ref(),
            missing.as_os_str(),
        ],
        &["check".as_ref(), "--config".as_ref(), missing.as_os_str()],
        &["analyze".as_ref(), "--config".as_ref(), missing.as_os_str()],
        &[
            "import".as_ref(),
            "entra".as_ref(),
            missing.as_os_str(),
            "--out".as_ref(),
            path("out").as_os_str(),
        ],
    ] {
        let (_, out, err) = ends(arguments);
        let text = out + &err;
        assert!(!text.is_empty(), "{arguments:?}");
        for character in text.chars() {
            let steers =
                character != '\n' && (character.is_control() || matches!(character, '\u{202a}'..='\u{202e}'));
            assert!(!steers, "{arguments:?}: {text:?}");
        }
        assert!(!text.lines().any(|line| line == "ok      forged"), "{text}");
        said.push_str(&text);
    }
    assert!(said.contains("\\u001b[2J"), "the counterpart: it is shown, written out: {said}");
}

#[test]
fn never_n108_a_link_at_the_place_of_a_page_leads_elsewhere() {
    let world = World::plain();
    let out = world.file("pages");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(world.file("precious"), "untouched").unwrap();
    std::os::unix::fs::symlink(world.file("precious"), out.join("index.html")).unwrap();
    let config = world.file("portcullis.toml");
    let (done, _, output) = ends(&[
        "page".as_ref(),
        "--config".as_ref(),
        config.as_ref(),
        "--lang".as_ref(),
        "en".as_ref(),
        "--out".as_ref(),
        out.as_ref(),
    ]);
    assert!(done, "{output}");
    assert_eq!(std::fs::read_to_string(world.file("precious")).unwrap(), "untouched");
    assert!(std::fs::read_to_string(out.join("index.html")).unwrap().contains("Denial pages"));
}

#[test]
fn never_n95_a_probe_of_a_tls_port_writes_a_line() {
    let world = World::plain();
    // The TLS library warns of each hello whose name is an address.
    let mut hello = b"\x16\x03\x01\x00\x45\x01\x00\x00\x41\x03\x03".to_vec();
    hello.extend([7; 32]);
    hello.extend(b"\x00\x00\x02\x13\x01\x01\x00\x00\x16\x00\x00\x00\x12\x00\x10\x00\x00\x0d192.168.10.20");
    for bytes in
        [&b""[..], b"GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n", b"\x16\x03\x01\x00\x05nonsense", &hello]
    {
        let mut stream = TcpStream::connect(&world.tls).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let failed = |world: &World, why: &str| {
        let listener = &world.tls;
        world.metric(&format!(
            "portcullis_tls_handshake_failures_total{{listener=\"{listener}\",reason=\"{why}\"}}"
        ))
    };
    world.wait_for("the handshakes to be counted", |world| {
        ["gone", "plain-request", "protocol"].into_iter().all(|why| failed(world, why) >= 1.0)
    });
    assert!(!world.said().contains("andshake") && !world.said().contains("SNI"), "{}", world.said());
}

#[test]
fn never_n95_a_long_path_host_or_agent_fills_the_log() {
    let world = world();
    let long = "x".repeat(20_000);
    assert_eq!(world.get(&format!("/{long}"), &format!("User-Agent: {long}\r\n")).status, 200);
    let text = format!("GET /{long} HTTP/1.1\r\nHost: {HOST}\r\nX: {long}\r\n\r\n");
    assert_eq!(world.bare(&text), 401);
    world.wait_for("both lines", |world| world.log().lines().count() >= 2);
    for line in world.log().lines() {
        assert!(line.len() < 4_000, "{} bytes", line.len());
        let path = serde_json::from_str::<Value>(line).unwrap()["path"].as_str().unwrap().to_owned();
        assert!(path.ends_with('…') && path.len() <= 1_024, "{path}");
    }
}

#[test]
fn never_n77_a_rejected_request_is_logged_without_the_field_at_fault_or_with_its_value() {
    let world = world();
    let ask = |lines: &str| {
        world.bare(&format!("GET /a;jsessionid=s3cr3t?code=s3cr3t HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n"))
    };
    assert_eq!(ask("User-Agent: a\r\nUser-Agent: s3cr3t\r\n"), 400);
    world.wait_for("the line", |world| !world.log().is_empty());
    let entry: Value = serde_json::from_str(world.log().lines().next().unwrap()).unwrap();
    assert_eq!(entry["outcome"], "rejected", "{entry}");
    assert_eq!(entry["ipAddress"], "127.0.0.1", "{entry}");
    assert_eq!(entry["host"], HOST, "{entry}");
    assert_eq!(entry["path"], "/a;", "{entry}");
    assert_eq!(entry["atFault"], "user-agent", "{entry}");
    assert!(!world.log().contains("s3cr3t"), "{entry}");
}

#[test]
fn never_n77_the_access_log_has_a_line_for_each_request_and_no_secret() {
    let world = World::start(Setup {
        log: "access = { file = \"access.log\", format = \"combined\" }",
        ..Setup::default()
    });
    assert_eq!(
        world.get("/one?code=s3cr3t", "User-Agent: curl \"8\"\r\nReferer: https://x/?s3cr3t\r\n").status,
        200
    );
    assert_eq!(world.get("/admin", "").status, 403);
    assert_eq!(world.bare(&format!("GET /two HTTP/1.1\r\nHost: {HOST}\r\n\r\n")), 401);
    let stream = open(&world, &World::head("GET", "/wait", ""));
    world.wait_for("the app to be asked", |world| world.origin.last().target() == "/wait");
    drop(stream);
    let log = |world: &World| std::fs::read_to_string(world.file("access.log")).unwrap_or_default();
    world.wait_for("four lines", |world| log(world).lines().count() == 4);
    let text = log(&world);
    assert!(!text.contains("s3cr3t"), "{text}");
    for part in [
        "] \"GET /one HTTP/1.1\" 200 19 \"-\" \"curl \\x228\\x22\"\n",
        "] \"GET /admin HTTP/1.1\" 403 ",
        "] \"GET /two HTTP/1.1\" 401 ",
        "] \"GET /wait HTTP/1.1\" 499 0 \"-\" \"-\"\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(text.lines().all(|line| line.starts_with("127.0.0.1 - ")), "{text}");
    assert_eq!(text.matches("127.0.0.1 - sha256:").count(), 3, "who it was, hashed: {text}");
    world.wait_for("them to be counted", |world| {
        world.metric("portcullis_access_log_entries_total{result=\"written\"}") == 4.0
    });
}

#[test]
fn never_n77_a_line_of_the_access_log_says_which_server_was_asked() {
    let world = World::start(Setup { log: "access = { file = \"access.log\" }", ..Setup::default() });
    assert_eq!(world.get("/one", "").status, 200);
    assert_eq!(world.get("/admin", "").status, 403);
    let log = |world: &World| std::fs::read_to_string(world.file("access.log")).unwrap_or_default();
    world.wait_for("two lines", |world| log(world).lines().count() == 2);
    let text = log(&world);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |path: &str| lines.iter().find(|line| line["path"] == path).unwrap();
    let (let_in, refused) = (of("/one"), of("/admin"));
    assert!(let_in["upstreamServer"].as_str().unwrap().starts_with("127.0.0.1:"), "{let_in}");
    assert_eq!(let_in["upstreamAttempts"], 1, "{let_in}");
    for name in ["upstreamServer", "upstreamAttempts"] {
        assert!(refused.get(name).is_none(), "{refused}");
    }
}

#[test]
fn both_logs_name_the_server_of_each_request_that_was_sent_and_have_one_status_for_it() {
    let (tx, asked_for) = std::sync::mpsc::channel();
    let app = RawApp::start(move |asked| match asked.target() {
        "/left" => {
            let _ = tx.send(());
            Reply::Keep(Vec::new())
        }
        "/half" => Reply::Keep(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi".to_vec()),
        "/silent" | "/much" => Reply::Keep(Vec::new()),
        _ => Reply::ok("hi"),
    });
    let world = World::start(Setup {
        log: "grants-one-in = 1, access = { file = \"access.log\" }",
        app: "public = [\"/healthz\"]\nbody-max = \"1KiB\"\ntimeouts = { first-byte = \"2s\", read = \"1s\" }\n",
        upstreams: app.upstreams(),
        ..Setup::default()
    });
    assert_eq!(world.get("/healthz", "").status, 200);
    assert_eq!(world.get("/whole", "").status, 200);
    assert_eq!(world.get("/silent", "").status, 504);
    let mut half = open(&world, &World::head("GET", "/half", ""));
    let _ = half.read_to_end(&mut Vec::new());
    let left = open(&world, &World::head("GET", "/left", ""));
    asked_for.recv_timeout(Duration::from_secs(20)).unwrap();
    drop(left);
    let mut much = open(&world, &World::head("POST", "/much", "Transfer-Encoding: chunked\r\n"));
    much.write_all(format!("400\r\n{0}\r\n400\r\n{0}\r\n", "x".repeat(1_024)).as_bytes()).unwrap();
    assert_eq!(answer(&mut much, false).status, 413);
    let access = |world: &World| std::fs::read_to_string(world.file("access.log")).unwrap_or_default();
    world.wait_for("six lines", |world| access(world).lines().count() == 6);
    let access: Vec<Value> = access(&world).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let server = app.upstreams().replace(['[', ']', '"'], "").replace("http://", "");
    for (path, outcome, status, cut) in [
        ("/healthz", "public", 200, Value::Null),
        ("/whole", "granted", 200, Value::Null),
        ("/silent", "failed", 504, Value::Null),
        ("/half", "failed", 200, true.into()),
        ("/left", "aborted", 499, Value::Null),
        ("/much", "rejected", 413, Value::Null),
    ] {
        let decision = line(&world, path);
        for line in [&decision, access.iter().find(|line| line["path"] == path).unwrap()] {
            assert_eq!((&line["outcome"], &line["status"]), (&outcome.into(), &status.into()), "{line}");
            let sent = (&line["upstreamServer"], &line["upstreamAttempts"]);
            assert_eq!(sent, (&server.as_str().into(), &1.into()), "{line}");
            assert_eq!(line["answerTruncated"], cut, "{line}");
        }
    }
    let account = |path: &str| {
        let config = world.file("portcullis.toml");
        let id = line(&world, path)["requestId"].as_str().unwrap().to_owned();
        let (done, out, err) = ends(&["explain".as_ref(), id.as_ref(), "--config".as_ref(), config.as_ref()]);
        assert!(done, "{err}");
        out
    };
    let half = account("/half");
    for wanted in [
        "its answer began: the client got 200, and less than the whole answer",
        "read-timeout: an answer that had begun did not go on within `read`",
        "was cut off before its end",
    ] {
        assert!(half.contains(wanted), "`{wanted}` is missing: {half}");
    }
    assert!(!half.contains("did not answer"), "{half}");
    let public = account("/healthz");
    assert!(public.contains("its path is public") && public.contains("nothing refused it"), "{public}");
    assert!(!public.contains("unknown") && !public.contains("not known here"), "{public}");
}

#[test]
fn never_n77_a_granted_request_that_is_logged_has_its_policies_and_is_explained_as_granted() {
    let world = world();
    assert_eq!(world.get("/page", "").status, 200);
    let entry = line(&world, "/page");
    let applied = entry["appliedConditionalAccessPolicies"].to_string();
    assert!(applied.contains("\"fine\"") && applied.contains("\"success\""), "{entry}");
    let config = world.file("portcullis.toml");
    let id = entry["requestId"].as_str().unwrap();
    let (done, out, err) = ends(&["explain".as_ref(), id.as_ref(), "--config".as_ref(), config.as_ref()]);
    assert!(done, "{err}");
    assert!(out.contains("The request was let in.") && out.contains("fine"), "{out}");
    assert!(
        out.contains("would be let in today") && !out.contains("was refused") && !out.contains("be refused"),
        "{out}"
    );
}

#[test]
fn never_n77_the_process_log_is_json_where_that_is_asked_for() {
    let world = World::start(Setup { server: "process-log = \"json\"", ..Setup::default() });
    std::fs::write(world.file("policies.toml"), "[[policy]]\nid =\n").unwrap();
    world.wait_for("the refused reload", |world| world.said().contains("NOT reloaded"));
    for line in world.said().lines() {
        let message: Value = serde_json::from_str(line).unwrap_or_else(|problem| panic!("{problem}: {line}"));
        assert!(message["level"].is_string() && message["message"].is_string(), "{line}");
    }
}

#[test]
fn never_n108_a_start_without_systemd_needs_folders_that_nobody_made() {
    if std::path::Path::new("/run/portcullis").exists() {
        eprintln!("skipped: /run/portcullis is here");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let runtime = home.path().display().to_string();
    let as_by_default = |folder: &std::path::Path| {
        let path = folder.join("portcullis.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("pid-file = \"pid\"\n", "").replace("upgrade-socket = \"up.sock\"\n", "");
        std::fs::write(path, text).unwrap();
    };
    let setup = |runtime: &str| Setup {
        environment: vec![("XDG_RUNTIME_DIR", runtime.to_owned())],
        ..Setup::default()
    };
    let world = World::launch_with(setup(&runtime), as_by_default).unwrap();
    let pid = home.path().join("portcullis/portcullis.pid");
    world.wait_for("the file with the process id", |_| pid.exists());
    drop(world);
    // Without any folder it starts, too.
    drop(World::launch_with(setup("/nonexistent"), as_by_default).unwrap());
    // Both report a folder that is named and does not exist.
    let elsewhere = |folder: &std::path::Path| {
        let path = folder.join("portcullis.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("pid-file = \"pid\"", "pid-file = \"no-such-folder/pid\""))
            .unwrap();
        let (fit, _, output) = ends(&["check".as_ref(), "--config".as_ref(), path.as_ref()]);
        assert!(!fit && output.contains("no-such-folder"), "{output}");
    };
    let output = World::launch_with(Setup::default(), elsewhere).err().unwrap();
    assert!(output.contains("no-such-folder"), "{output}");
}

#[test]
fn never_n97_a_server_is_left_out_and_no_metric_names_it() {
    let dead = crate::free::free_address();
    let live = Counter::start(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let world = World::start(Setup {
        upstreams: format!("[\"http://{dead}\", \"http://{}\"]", live.address),
        ..Setup::default()
    });
    let up = |server: &str| {
        world.metric(&format!("portcullis_upstream_server_up{{app=\"wiki\",server=\"{server}\"}}"))
    };
    assert_eq!((up(&dead.to_string()), up(&live.address)), (1.0, 1.0), "nobody knows better yet");
    for _ in 0..4 {
        assert_eq!(world.get("/", "").status, 200);
    }
    assert_eq!((up(&dead.to_string()), up(&live.address)), (0.0, 1.0));
}
