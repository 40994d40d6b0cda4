//! A process that has too few descriptors: it says so, goes on, and recovers.

use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::service::Service;

/// A command whose process may open so few files.
fn with_few(service: &Service, arguments: &[&str], log: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -n 120; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_portcullis")]);
    command.args(arguments).arg("--config").arg(service.file("portcullis.toml"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(service.file(log)).unwrap());
    command
}

#[test]
fn a_process_without_descriptors_accepts_nothing_for_a_while_and_recovers() {
    let service = Service::new("limits = { connections = 1000 }");
    let mut process = service.process(with_few(&service, &["run"], "first.log"), "first.log");
    process.wait_for("it to serve", || service.is_ready().then_some(()));
    let warned =
        "`connections = 1000` of `[server.limits]` needs 1250 descriptors, and a process may open 120 here";
    assert!(process.said().contains(warned), "{}", process.said());
    let held: Vec<TcpStream> = (0..150).map(|_| TcpStream::connect(&service.plain).unwrap()).collect();
    let series =
        format!("portcullis_accept_pauses_total{{listener=\"{}\",reason=\"exhausted\"}}", service.plain);
    // The admin listener has descriptors of its own.
    process.wait_for("a pause", || (service.metric(&series) >= 1.0).then_some(()));
    assert!(process.said().contains("no connection is accepted for a while"), "{}", process.said());
    drop(held);
    assert_eq!(service.get("/").status, 200);
    assert!(process.runs());
    process.signal("TERM");
    assert_eq!(process.end().code(), Some(0), "{}", process.said());
}

#[test]
fn check_says_that_connections_need_more_descriptors_than_there_are() {
    let service = Service::new("limits = { connections = 1000 }");
    let checked = |service: &Service| {
        let output = with_few(service, &["check"], "check.log")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let (fits, text) = checked(&service);
    assert!(fits && text.contains("warning[limits/descriptors]") && text.contains("LimitNOFILE="), "{text}");
    service.configure("", "limits = { connections = 50 }");
    let (fits, text) = checked(&service);
    assert!(fits && !text.contains("limits/descriptors"), "{text}");
}
