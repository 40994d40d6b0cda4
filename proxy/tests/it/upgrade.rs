//! A successor takes over: nobody is refused, and whoever fails to take over changes nothing.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::free::free_address;
use crate::service::{Process, Service, wait_for};
use crate::wire::{answer, exchange};

/// Clients that ask as long as `during` lasts: each request on a connection of its own. How many were asked; each was
/// answered with 200.
fn under_load(service: &Service, during: impl FnOnce()) -> usize {
    let (stop, asked, wrong) =
        (AtomicBool::new(false), AtomicUsize::new(0), std::sync::Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| service.get("/")));
                    asked.fetch_add(1, Ordering::Relaxed);
                    match answer {
                        Ok(answer) if answer.status == 200 && answer.body == "quick" => {}
                        other => wrong.lock().unwrap().push(format!("{other:?}")),
                    }
                }
            });
        }
        struct Stop<'s>(&'s AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(&stop);
        let some = || asked.load(Ordering::Relaxed);
        wait_for("the load", || (some() > 20).then_some(()));
        during();
        let then = some();
        wait_for("the load after it", || (some() > then + 20).then_some(()));
    });
    let wrong = wrong.into_inner().unwrap();
    let asked = asked.into_inner();
    assert!(wrong.is_empty(), "{} of {asked} requests failed: {:?}", wrong.len(), wrong.first());
    asked
}

/// The next attempt succeeds: what failed before it left nothing behind.
fn is_followed(first: &mut Process, service: &Service) {
    assert!(first.runs());
    let mut second = service.spawn(&["--upgrade"], "second.log");
    serves_as(service, 2, &mut second);
    assert_eq!(service.status().unwrap()["pid"], second.pid());
    assert_eq!(first.end().code(), Some(0), "{}", first.said());
}

/// Whether the process of this generation serves alone.
fn is_served_by(service: &Service, generation: u64) -> Option<()> {
    let status = service.status()?;
    // Until the other one knows, both of them answer.
    (status["generation"] == generation && status["predecessor"]["state"] != "serving").then_some(())
}

/// Waits until this process, which has this generation, serves alone.
fn serves_as(service: &Service, generation: u64, process: &mut Process) {
    process.wait_for("the successor", || is_served_by(service, generation));
}

#[test]
fn a_successor_takes_over_under_load_and_no_request_fails() {
    let service = Service::new("grace = \"60s\"");
    let mut first = service.start();
    let mut slow = service.send(&Service::head("GET", "/slow", ""));
    service.app.wait_for("/slow", 1);
    let mut alive = service.send(&Service::head("GET", "/", ""));
    assert_eq!(answer(&mut alive, false).status, 200);
    let mut second = None;
    let asked = under_load(&service, || {
        serves_as(&service, 2, second.insert(service.spawn(&["--upgrade"], "second.log")));
        first.wait_to_say("nothing new is taken");
    });
    println!("{asked} requests, 0 errors");
    let mut second = second.unwrap();
    let status = service.status().unwrap();
    assert_eq!(status["pid"], second.pid(), "{status:#}");
    assert_eq!(status["predecessor"]["pid"], first.pid(), "{status:#}");
    wait_for("the predecessor to be seen draining", || {
        let status = service.status()?;
        let predecessor = &status["predecessor"];
        (predecessor["state"] == "draining" && predecessor["left"]["http1Requests"] == 1).then_some(())
    });
    assert_eq!(fs::read_to_string(service.file("pid")).unwrap().trim(), second.pid().to_string());
    let mut rest = Vec::new();
    let _ = alive.read_to_end(&mut rest);
    assert!(rest.is_empty(), "an idle connection is closed");
    service.app.open();
    let slow = answer(&mut slow, false);
    assert_eq!((slow.status, slow.body.as_str(), slow.header("connection")), (200, "slow", Some("close")));
    assert_eq!(first.end().code(), Some(0), "{}", first.said());
    wait_for("the predecessor to be seen gone", || {
        (service.status()?["predecessor"]["state"] == "ended").then_some(())
    });
    assert_eq!(service.metric("portcullis_handovers_total{result=\"taken\"}"), 1.0);
    assert_eq!(
        fs::read_to_string(service.file("pid")).unwrap().trim(),
        second.pid().to_string(),
        "and it stays"
    );
    // And once more: the place where a successor asks was handed over, too.
    let mut third = None;
    under_load(&service, || {
        serves_as(&service, 3, third.insert(service.spawn(&["--upgrade"], "third.log")));
    });
    assert_eq!(second.end().code(), Some(0), "{}", second.said());
    let mut third = third.unwrap();
    third.signal("TERM");
    assert_eq!(third.end().code(), Some(0), "{}", third.said());
    assert!(!service.file("pid").exists() && !service.file("up.sock").exists());
}

/// What is wrong with a successor's configuration, and what it says.
struct Fault {
    name: &'static str,
    text: String,
    says: String,
}

#[test]
fn a_successor_that_fails_changes_nothing() {
    let service = Service::new("grace = \"60s\"");
    let mut first = service.start();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy_address = busy.local_addr().unwrap();
    let good = service.configuration("", "");
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    fs::write(service.file("other.pem"), other).unwrap();
    fs::write(service.file("none.json"), "{\"keys\":[]}").unwrap();
    let edited = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    };
    let fault = |name, text, says: &str| Fault { name, text, says: says.to_owned() };
    let faults = [
        fault(
            "the key of another certificate",
            edited("key = \"key.pem\"", "key = \"other.pem\""),
            "other.pem",
        ),
        fault(
            "a new address that somebody has",
            service.configuration(&format!(", {{ address = \"{busy_address}\" }}"), ""),
            &format!("cannot listen on {busy_address}"),
        ),
        fault(
            "a configuration that is broken",
            service.configuration("", "grace = = 1"),
            "error[toml/syntax]",
        ),
        fault("another upgrade socket", edited("up.sock", "other.sock"), "no hand-over"),
        fault("an issuer whose keys it cannot get", edited("keys.json", "none.json"), "has the keys of main"),
    ];
    for Fault { name, text, says } in faults {
        fs::write(service.file("faulty.toml"), text).unwrap();
        let asked = under_load(&service, || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
            command.args(["run", "--upgrade", "--config"]).arg(service.file("faulty.toml"));
            command.stdout(Stdio::null()).stderr(fs::File::create(service.file("second.log")).unwrap());
            let mut second = service.process(command, "second.log");
            let status = second.end();
            assert!(!status.success(), "{name}: {}", second.said());
            assert!(second.said().contains(&says), "{name}: {}", second.said());
            // An address has a place in the file; a socket and keys that are away have none.
            let has_place = second.said().contains("faulty.toml:2:");
            assert!(has_place || !says.starts_with("cannot listen"), "{name}: {}", second.said());
        });
        println!("{name}: {asked} requests, 0 errors");
        let status = service.status().unwrap();
        assert_eq!(status["pid"], first.pid(), "{name}: {status:#}");
        assert_eq!(status["state"], "serving", "{name}: {status:#}");
        assert!(first.runs(), "{name}");
        assert_eq!(
            fs::read_to_string(service.file("pid")).unwrap().trim(),
            first.pid().to_string(),
            "{name}"
        );
    }
}

/// The next line of a hand-over that says something; the empty ones carry sockets.
fn line(wire: &mut UnixStream) -> String {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        wire.read_exact(&mut byte).unwrap();
        match byte {
            [b'\n'] if line.is_empty() => {}
            [b'\n'] => return String::from_utf8(line).unwrap(),
            _ => line.extend(byte),
        }
    }
}

/// A successor that stops half-way: it says hello, takes the offer, and goes no further.
fn takes_the_offer(service: &Service) -> UnixStream {
    let mut wire = UnixStream::connect(service.file("up.sock")).unwrap();
    wire.write_all(b"{\"protocol\":2,\"version\":\"0.0.0\"}\n").unwrap();
    let offer = line(&mut wire);
    assert!(offer.contains("\"offer\"") && offer.contains("\"main\""), "{offer}");
    wire
}

#[test]
fn a_successor_that_is_killed_or_silent_half_way_changes_nothing_and_the_next_one_takes_over() {
    let service = Service::new("grace = \"60s\"");
    let mut first = service.start();
    let abandoned = || service.metric("portcullis_handovers_total{result=\"abandoned\"}");
    let asked = under_load(&service, || {
        let offered = takes_the_offer(&service);
        let status = service.status().unwrap();
        assert_eq!(
            status["successor"],
            json!({ "pid": std::process::id(), "version": "0.0.0", "state": "taking-over" })
        );
        drop(offered);
        wait_for("the end to be seen", || (abandoned() >= 1.0).then_some(()));
        assert_eq!(service.status().unwrap()["successor"], Value::Null);
        // One that says nonsense, one that is of another version, and one that says nothing.
        let mut wire = takes_the_offer(&service);
        wire.write_all(b"\"nonsense\"\n").unwrap();
        wait_for("the nonsense to be seen", || (abandoned() >= 2.0).then_some(()));
        let mut wire = UnixStream::connect(service.file("up.sock")).unwrap();
        wire.write_all(b"{\"protocol\":999,\"version\":\"9\"}\n").unwrap();
        let mut said = String::new();
        wire.read_to_string(&mut said).unwrap();
        assert!(said.contains("refused") && !said.contains("offer"), "{said}");
        // One that dies when it may accept connections, and has accepted none.
        let mut wire = takes_the_offer(&service);
        wire.write_all(b"\"serving\"\n").unwrap();
        assert_eq!(line(&mut wire), "\"handed\"");
        assert_eq!(service.status().unwrap()["state"], "serving");
        drop(wire);
        wait_for("its end to be seen", || (abandoned() >= 3.0).then_some(()));
        let mut silent = takes_the_offer(&service);
        silent.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut rest = Vec::new();
        silent.read_to_end(&mut rest).unwrap();
        wait_for("the silence to be seen", || (abandoned() >= 4.0).then_some(()));
    });
    println!("{asked} requests, 0 errors");
    assert_eq!(service.metric("portcullis_handovers_total{result=\"refused\"}"), 1.0);
    is_followed(&mut first, &service);
}

#[test]
fn a_successor_that_waits_for_its_predecessor_hears_that_it_shall_stop() {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let service = Service::new("");
    // A predecessor that offers no socket but the one of the hand-over, and then falls silent.
    fs::set_permissions(service.folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let asked = UnixListener::bind(service.file("up.sock")).unwrap();
    let mut second = service.spawn(&["--upgrade"], "second.log");
    let (mut wire, _) = asked.accept().unwrap();
    wire.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    assert!(line(&mut wire).contains("\"protocol\":2"));
    let offer = json!({ "offer": {
        "protocol": 2, "version": "0", "pid": std::process::id(), "generation": 1, "sockets": 1, "issuers": [],
    } });
    wire.write_all(format!("{offer}\n").as_bytes()).unwrap();
    let sockets = [asked.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&sockets)));
    sendmsg(&wire, &[std::io::IoSlice::new(b"\n")], &mut control, SendFlags::empty()).unwrap();
    assert_eq!(line(&mut wire), "\"serving\"");
    second.signal("TERM");
    assert_eq!(second.end().code(), Some(0), "{}", second.said());
    assert!(second.said().contains("asked to stop before it serves"), "{}", second.said());
    assert!(service.file("up.sock").exists(), "the other one can be asked again");
}

#[test]
fn a_successor_that_is_killed_before_it_says_that_it_serves_cuts_nobody() {
    let service = Service::new("grace = \"60s\"");
    // The line that names the listeners that go is longer than the pipe to which the successor writes: it waits there,
    // with all sockets in its hands.
    let more: String = (0..300).map(|_| format!(", {{ address = \"{}\" }}", free_address())).collect();
    service.configure(&more, "grace = \"60s\"");
    let mut first = service.start();
    service.configure("", "grace = \"60s\"");
    let asked = under_load(&service, || {
        let (mut reader, writer) = std::io::pipe().unwrap();
        rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
        let mut command = service.command(&["--upgrade"], "second.log");
        command.stderr(writer);
        let mut second = service.process(command, "second.log");
        let mut said = Vec::new();
        while !said.ends_with(b"no longer listened on: ") {
            let mut byte = [0];
            reader.read_exact(&mut byte).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&said)));
            said.push(byte[0]);
        }
        let status = service.status().unwrap();
        assert_eq!(status["successor"]["state"], "taking-over", "{status:#}");
        assert_eq!(status["successor"]["pid"], second.pid(), "{status:#}");
        assert_eq!(status["successor"]["version"], env!("CARGO_PKG_VERSION"), "{status:#}");
        second.signal("KILL");
        assert!(!second.end().success());
        first.wait_to_say("a successor did not get so far as to serve; this process goes on");
    });
    println!("{asked} requests, 0 errors");
    assert_eq!(service.metric("portcullis_handovers_total{result=\"abandoned\"}"), 1.0);
    let status = service.status().unwrap();
    assert_eq!((&status["pid"], &status["state"]), (&json!(first.pid()), &json!("serving")), "{status:#}");
    assert_eq!(status["successor"], Value::Null, "{status:#}");
    is_followed(&mut first, &service);
}

#[test]
fn any_number_of_listeners_is_handed_over_and_new_and_old_ones_come_and_go() {
    let service = Service::new("grace = \"60s\"");
    let many: Vec<String> = (0..70).map(|_| free_address().to_string()).collect();
    let listeners = |addresses: &[String]| {
        addresses.iter().map(|one| format!(", {{ address = \"{one}\" }}")).collect::<String>()
    };
    service.configure(&listeners(&many[..69]), "grace = \"60s\"");
    let mut first = service.start();
    let head = Service::head("GET", "/", "");
    for address in &many[..69] {
        assert_eq!(exchange(address, &head).status, 200);
    }
    // One goes, one is new.
    service.configure(&listeners(&many[1..]), "grace = \"60s\"");
    let mut second = service.spawn(&["--upgrade"], "second.log");
    serves_as(&service, 2, &mut second);
    assert_eq!(first.end().code(), Some(0), "{}", first.said());
    for address in &many[1..] {
        assert_eq!(exchange(address, &head).status, 200);
    }
    assert!(TcpStream::connect(&many[0]).is_err(), "nobody listens there any more: {}", second.said());
}

/// What a service manager hears.
struct Manager {
    socket: UnixDatagram,
    path: std::path::PathBuf,
}

impl Manager {
    fn new(service: &Service) -> Self {
        let path = service.file("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { socket, path }
    }

    /// The next message that holds this line, and the process that sent it is not looked at.
    fn hears(&self, line: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let length =
                self.socket.recv(&mut buffer).unwrap_or_else(|problem| panic!("never {line}: {problem}"));
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.lines().any(|one| one.starts_with(line)) {
                return text;
            }
        }
    }
}

#[test]
fn systemd_hears_of_start_reload_upgrade_and_stop_and_that_the_process_is_alive() {
    let service = Service::new("grace = \"60s\"");
    let manager = Manager::new(&service);
    let mut command = service.command(&[], "first.log");
    command.env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "2000000");
    let mut first = service.process(command, "first.log");
    manager.hears("READY=1");
    assert!(service.is_ready() || service.admin_get("/readyz").is_some(), "it listens when it says so");
    manager.hears("WATCHDOG=1");
    first.signal("HUP");
    let reloading = manager.hears("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    manager.hears("READY=1");
    // An upgrade that fails: the program serves on.
    service.configure("", "grace = = 1");
    first.signal("USR2");
    manager.hears("RELOADING=1");
    let failed = manager.hears("READY=1");
    assert!(failed.contains("the upgrade failed"), "{failed}");
    assert!(service.is_ready());
    // And one that does not.
    service.configure("", "grace = \"60s\"");
    let asked = under_load(&service, || {
        first.signal("USR2");
        manager.hears("RELOADING=1");
        let main = manager.hears("MAINPID=");
        wait_for("the successor", || is_served_by(&service, 2));
        let pid = service.status().unwrap()["pid"].to_string();
        assert!(main.lines().any(|line| line == format!("MAINPID={pid}")), "{main}");
        manager.hears("READY=1");
    });
    println!("{asked} requests, 0 errors");
    assert_eq!(first.end().code(), Some(0), "{}", first.said());
    manager.hears("WATCHDOG=1");
    let pid = service.status().unwrap()["pid"].to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    manager.hears("STOPPING=1");
    wait_for("its end", || (!service.file("pid").exists()).then_some(()));
}

#[test]
fn sockets_of_systemd_are_used_and_one_that_nobody_wants_is_an_error() {
    let service = Service::new("grace = \"60s\"");
    let listen = |address: &str| {
        let socket = TcpListener::bind(address).unwrap();
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::empty()).unwrap();
        socket
    };
    // The shell gives them the numbers that systemd does, and its own process id to the program.
    let start = |sockets: &[&TcpListener], log: &str| {
        let mut script = String::new();
        for (at, socket) in sockets.iter().enumerate() {
            script.push_str(&format!("exec {}<&{}; ", at + 200, socket.as_raw_fd()));
        }
        for at in 0..sockets.len() {
            script.push_str(&format!("exec {}<&{}; ", at + 3, at + 200));
        }
        script.push_str("LISTEN_PID=$$ LISTEN_FDS=$COUNT exec \"$PROGRAM\" run --config \"$CONFIG\"");
        let mut command = Command::new("bash");
        command.arg("-c").arg(script);
        command.env("COUNT", sockets.len().to_string()).env("PROGRAM", env!("CARGO_BIN_EXE_portcullis"));
        command.env("CONFIG", service.file("portcullis.toml")).stdout(Stdio::null());
        command.stderr(fs::File::create(service.file(log)).unwrap());
        service.process(command, log)
    };
    let plain = listen(&service.plain);
    // Asked before anybody serves: the kernel holds it until then.
    let mut early = service.send(&Service::head("GET", "/", ""));
    let mut process = start(&[&plain], "first.log");
    // 503 if the keys are not there yet.
    assert!(matches!(answer(&mut early, false).status, 200 | 503), "{}", process.said());
    wait_for("the rest to be bound", || service.is_ready().then_some(()));
    assert_eq!(service.get("/").status, 200);
    process.signal("TERM");
    assert_eq!(process.end().code(), Some(0), "{}", process.said());
    assert!(TcpStream::connect(&service.plain).is_ok(), "systemd's socket is still there");
    let stranger = listen("127.0.0.1:0");
    let address = stranger.local_addr().unwrap().to_string();
    let mut process = start(&[&plain, &stranger], "second.log");
    assert!(!process.end().success());
    assert!(process.said().contains(&format!("systemd listens on {address}")), "{}", process.said());
}

#[test]
fn status_shows_a_successor_that_starts_and_one_that_serves() {
    let service = Service::new("grace = \"60s\"");
    let mut first = service.start();
    // A key server that does not answer: a successor waits for it before it asks for anything.
    let good = fs::read_to_string(service.file("portcullis.toml")).unwrap();
    let silent = format!(
        "{good}\n[[issuer]]\nname = \"silent\"\nissuer = \"https://silent.test/\"\naudiences = [\"a\"]\nkeys = {{ url = \"http://{}/keys\" }}\n",
        free_address()
    );
    fs::write(service.file("portcullis.toml"), silent).unwrap();
    first.signal("USR2");
    let pid = first.wait_for("the successor to start", || {
        let status = service.status()?;
        (status["successor"]["state"] == "starting").then(|| status["successor"]["pid"].to_string())
    });
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    first.wait_for("its end to be seen", || (service.status()?["successor"] == Value::Null).then_some(()));
    fs::write(service.file("portcullis.toml"), good).unwrap();
    // Who asks on a connection that was open before hears the first process.
    let mut admin = TcpStream::connect(&service.admin).unwrap();
    admin.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut ask = || {
        admin.write_all(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        serde_json::from_str::<Value>(&answer(&mut admin, false).body).unwrap()
    };
    assert_eq!(ask()["pid"], first.pid());
    let _slow = service.send(&Service::head("GET", "/slow", ""));
    service.app.wait_for("/slow", 1);
    let mut second = service.spawn(&["--upgrade"], "second.log");
    serves_as(&service, 2, &mut second);
    let status = ask();
    assert_eq!((&status["pid"], &status["state"]), (&json!(first.pid()), &json!("draining")), "{status:#}");
    assert_eq!(
        status["successor"],
        json!({ "pid": second.pid(), "version": env!("CARGO_PKG_VERSION"), "state": "serving" })
    );
    // What is cut is counted by whoever is still there.
    first.signal("INT");
    assert_eq!(first.end().code(), Some(3), "{}", first.said());
    assert!(
        first
            .said()
            .contains("this is cut: 1 request by HTTP/1, 0 by HTTP/2, 0 WebSockets, on 1 open connection"),
        "{}",
        first.said()
    );
    let cut = || service.metric("portcullis_requests_cut_by_predecessor_total");
    wait_for("it to be counted", || (cut() == 1.0).then_some(()));
}
