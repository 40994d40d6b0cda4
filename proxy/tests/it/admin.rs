//! The admin listener answers whatever strangers do at the others.

use std::net::TcpStream;
use std::process::Command;

use crate::service::{Service, wait_for};

#[test]
fn admin_answers_while_strangers_hold_every_connection_and_every_descriptor() {
    let service = Service::new("");
    let mut command = Command::new("bash");
    command.args([
        "-c",
        "ulimit -n 128; exec \"$@\"",
        "-",
        env!("CARGO_BIN_EXE_portcullis"),
        "run",
        "--config",
    ]);
    command.arg(service.file("portcullis.toml")).stdout(std::process::Stdio::null());
    command.stderr(std::fs::File::create(service.file("first.log")).unwrap());
    let process = service.process(command, "first.log");
    wait_for("it to serve", || service.is_ready().then_some(()));
    let limit = service.status().unwrap()["budgets"]["connections"]["limit"].as_u64().unwrap();
    assert!(limit < 128, "of {limit} connections, descriptors are left for the rest");
    let strangers: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(&service.plain).unwrap()).collect();
    // The place for the last one is taken before it is accepted.
    wait_for("them to hold all that there is", || {
        let used = service.status()?["budgets"]["connections"]["used"].as_u64()?;
        (used + 1 >= limit).then_some(())
    });
    assert!(service.is_ready(), "{}", process.said());
    assert!(service.metric("process_open_fds") > 0.0);
    // And those that are short of them still wait, and are served once there is room.
    drop(strangers);
    wait_for("the app to be served again", || (service.get("/").status == 200).then_some(()));
}

#[test]
fn who_holds_admin_connections_keeps_nobody_out() {
    let service = Service::new("");
    let _process = service.start();
    let held: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(&service.admin).unwrap()).collect();
    for _ in 0..5 {
        assert!(service.is_ready());
    }
    assert_eq!(service.status().unwrap()["state"], "serving");
    drop(held);
}
