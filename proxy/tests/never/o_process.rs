//! The process itself: what a stop and an upgrade do to requests, and who gets the listening sockets.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::service::{Process, Service, wait_for};
use crate::wire::answer;

/// The user `nobody`.
const NOBODY: u32 = 65534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn never_n96_a_stop_cuts_what_is_under_way() {
    let service = Service::new("grace = \"60s\"");
    let mut process = service.start();
    let mut slow = service.send(&Service::head("GET", "/slow", ""));
    let mut upload = service.send(&Service::head("POST", "/upload", "Content-Length: 20\r\n"));
    upload.write_all(b"0123456789").unwrap();
    service.app.wait_for("/slow", 1);
    process.signal("TERM");
    process.wait_to_say("what is under way may finish");
    upload.write_all(b"0123456789").unwrap();
    assert_eq!(answer(&mut upload, false).body, "20 bytes");
    assert!(process.runs());
    service.app.open();
    assert_eq!(answer(&mut slow, false).body, "slow");
    assert_eq!(process.end().code(), Some(0), "{}", process.said());
}

#[test]
fn never_n96_an_upgrade_cuts_what_is_under_way() {
    let service = Service::new("grace = \"60s\"");
    let mut first = service.start();
    let mut slow = service.send(&Service::head("GET", "/slow", ""));
    service.app.wait_for("/slow", 1);
    let second = service.spawn(&["--upgrade"], "second.log");
    wait_for("the successor", || (service.status()?["pid"] == second.pid()).then_some(()));
    first.wait_to_say("what is under way may finish");
    assert_eq!(service.get("/").status, 200, "the counterpart: new ones go to the successor");
    assert!(first.runs());
    service.app.open();
    assert_eq!(answer(&mut slow, false).body, "slow");
    assert_eq!(first.end().code(), Some(0), "{}", first.said());
}

/// Asserts that a start fails and says this; whatever stands in the upgrade socket's place still does.
fn refuses_to_start(service: &Service, arguments: &[&str], says: &str) {
    let before = fs::symlink_metadata(service.file("up.sock")).map(|seen| seen.ino()).ok();
    let mut process = service.spawn(arguments, "refused.log");
    assert!(!process.end().success());
    assert!(process.said().contains(says), "{says:?}: {}", process.said());
    let after = fs::symlink_metadata(service.file("up.sock")).map(|seen| seen.ino()).ok();
    assert_eq!(before, after);
}

/// The programs that can connect to a socket as another user.
#[expect(clippy::print_stdout, reason = "whoever runs the tests should see what was skipped")]
fn python() -> Option<&'static Path> {
    let found =
        ["/usr/bin/python3", "/usr/local/bin/python3"].map(Path::new).into_iter().find(|one| one.exists());
    if found.is_none() {
        println!("skipped: no python3 that another user can call");
    }
    found.filter(|_| {
        let root = is_root();
        if !root {
            println!("skipped: only root can be another user");
        }
        root
    })
}

/// What a process of another user receives when it asks for the sockets: how many bytes.
fn asks_as_nobody(python: &Path, socket: &Path) -> String {
    let script = r#"
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(60)
try:
    s.connect(sys.argv[1])
except OSError as problem:
    sys.exit(print(type(problem).__name__))
try:
    s.sendall(b'{"protocol":2,"version":"0"}\n')
    data, control, flags, peer = s.recvmsg(65536, 65536)
    print(len(data), "bytes", len(control), "messages of control")
except (ConnectionError, BrokenPipeError):
    print("0 bytes 0 messages of control")
"#;
    let asked = Command::new(python)
        .args(["-c", script])
        .arg(socket)
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    assert!(asked.status.success(), "{asked:?}");
    String::from_utf8(asked.stdout).unwrap().trim().to_owned()
}

#[test]
fn never_n106_a_process_of_another_user_is_sent_the_sockets() {
    let service = Service::new("grace = \"60s\"");
    let mut first = service.start();
    let socket = service.file("up.sock");
    assert_eq!(fs::symlink_metadata(&socket).unwrap().mode() & 0o7777, 0o600);
    let Some(python) = python() else { return };
    // Somebody lets others look into the folder, and even connect.
    fs::set_permissions(service.folder.path(), Permissions::from_mode(0o755)).unwrap();
    assert_eq!(asks_as_nobody(python, &socket), "PermissionError");
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
    for _ in 0..5 {
        assert_eq!(asks_as_nobody(python, &socket), "0 bytes 0 messages of control");
    }
    assert_eq!(service.metric("portcullis_handovers_total{result=\"foreign\"}"), 5.0);
    let lines = first.said().matches("NOT handed over").count();
    assert_eq!(lines, 3, "the first, second and fourth attempt: {}", first.said());
    assert!(first.runs() && service.is_ready());
    // The counterpart: a process of this user.
    let second = service.spawn(&["--upgrade"], "second.log");
    wait_for("the successor", || (service.status()?["pid"] == second.pid()).then_some(()));
}

#[test]
fn never_n106_the_sockets_are_taken_from_a_process_of_another_user() {
    let Some(python) = python() else { return };
    let service = Service::new("");
    // The file is ours, and who listens is not.
    let script = r#"
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
os.setgid(65534)
os.setuid(65534)
s.listen()
print("listening", flush=True)
while True:
    c, _ = s.accept()
    print(c.recv(100), flush=True)
"#;
    let mut thief = Command::new(python)
        .args(["-c", script])
        .arg(service.file("up.sock"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = thief.stdout.take().unwrap();
    let mut line = [0; 10];
    said.read_exact(&mut line).unwrap();
    refuses_to_start(&service, &["--upgrade"], "it is a process of user 65534");
    let mut heard = [0; 3];
    said.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"b''", "nothing was said to it");
    thief.kill().unwrap();
    thief.wait().unwrap();
}

#[test]
fn never_n106_a_socket_that_somebody_else_could_have_put_there_is_used() {
    let service = Service::new("");
    let socket = service.file("up.sock");
    let folder = service.folder.path();
    for mode in [0o777, 0o1777, 0o775] {
        fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
        refuses_to_start(&service, &[], "others can write there");
        refuses_to_start(&service, &["--upgrade"], "others can write there");
        let checked = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["check", "--config"])
            .arg(service.file("portcullis.toml"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(!checked.status.success() && text.contains("error[run/impossible]"), "{text}");
        assert!(text.contains("another user could take a successor's place there"), "{text}");
    }
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    if is_root() {
        drop(UnixListener::bind(&socket).unwrap());
        chown(&socket, Some(NOBODY), None).unwrap();
        refuses_to_start(&service, &[], "it belongs to user 65534");
        refuses_to_start(&service, &["--upgrade"], "it belongs to user 65534");
        fs::remove_file(&socket).unwrap();
        chown(folder, Some(NOBODY), None).unwrap();
        refuses_to_start(&service, &[], "belongs to user 65534");
        chown(folder, Some(0), None).unwrap();
    } else {
        println!("files of another user are not tried: only root can make them");
    }
    fs::write(service.file("precious"), "theirs").unwrap();
    for target in ["precious", "elsewhere.sock"] {
        symlink(service.file(target), &socket).unwrap();
        refuses_to_start(&service, &[], "it is no socket");
        refuses_to_start(&service, &["--upgrade"], "it is no socket");
        fs::remove_file(&socket).unwrap();
    }
    let elsewhere = UnixListener::bind(service.file("elsewhere.sock")).unwrap();
    symlink(service.file("elsewhere.sock"), &socket).unwrap();
    refuses_to_start(&service, &["--upgrade"], "it is no socket");
    fs::remove_file(&socket).unwrap();
    drop(elsewhere);
    // One that answers is another process'.
    let alive = UnixListener::bind(&socket).unwrap();
    refuses_to_start(&service, &[], "another process serves with it");
    drop(alive);
    // The counterpart: what a killed process left is replaced.
    let mut process = service.start();
    process.signal("KILL");
    process.end();
    assert!(socket.exists());
    let mut process = service.start();
    UnixStream::connect(&socket).unwrap();
    process.signal("TERM");
    assert_eq!(process.end().code(), Some(0), "{}", process.said());
}

#[test]
fn never_n106_the_pid_file_is_believed_or_leads_elsewhere() {
    let service = Service::new("grace = \"60s\"");
    fs::write(service.file("precious"), "theirs").unwrap();
    symlink(service.file("precious"), service.file("pid")).unwrap();
    let mut first = service.start();
    assert_eq!(fs::read_to_string(service.file("precious")).unwrap(), "theirs");
    let is_own = || !fs::symlink_metadata(service.file("pid")).unwrap().is_symlink();
    first.wait_for("a pid file of its own", || is_own().then_some(()));
    // Somebody else's number in it: a process that must not hear of the upgrade.
    let bystander = service.process(
        {
            let mut command = Command::new("sleep");
            command.arg("600");
            command
        },
        "refused.log",
    );
    let mut bystander: Process = bystander;
    for text in [bystander.pid().to_string(), format!("-{}", bystander.pid()), "nonsense".to_owned()] {
        fs::write(service.file("pid"), &text).unwrap();
        assert!(first.runs(), "{text}");
    }
    let second = service.spawn(&["--upgrade"], "second.log");
    wait_for("the successor", || (service.status()?["pid"] == second.pid()).then_some(()));
    assert_eq!(first.end().code(), Some(0), "{}", first.said());
    assert!(bystander.runs(), "no signal went to it");
    wait_for("the file to be the successor's", || {
        (fs::read_to_string(service.file("pid")).ok()?.trim() == second.pid().to_string()).then_some(())
    });
}
