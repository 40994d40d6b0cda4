//! Configuration changes while requests run.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::running::Running;

fn policy_files(running: &Running) -> Vec<std::path::PathBuf> {
    fs::read_dir(running.file("policies")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn an_edited_policy_changes_the_decision_without_a_restart_and_without_a_failed_request() {
    let running = Running::start();
    assert_eq!(running.ask("blocked-location", "/", "").status, 403);
    let stop = AtomicBool::new(false);
    let (asked, failed) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                asked.fetch_add(1, Ordering::Relaxed);
                if running.ask("allowed", "/", "").status != 200 {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for file in policy_files(&running) {
            let text = fs::read_to_string(&file).unwrap();
            if text.contains("block-other-countries") {
                fs::write(&file, text.replace("state = \"enabled\"", "state = \"disabled\"")).unwrap();
            }
        }
        running.wait_for("the edit to take effect", |running| {
            running.ask("blocked-location", "/", "").status == 200
        });
        stop.store(true, Ordering::Relaxed);
    });
    assert!(asked.load(Ordering::Relaxed) > 0);
    assert_eq!(failed.load(Ordering::Relaxed), 0, "of {} requests", asked.load(Ordering::Relaxed));
    assert!(running.metric("portcullis_configuration_generation") >= 2.0);
}

#[test]
fn verified_tokens_outlive_a_reload_unless_what_is_asked_of_them_changed() {
    let running = Running::start();
    let lookups = || {
        ["rebound", "miss"].map(|result| {
            running.metric(&format!("portcullis_token_cache_lookups_total{{result=\"{result}\"}}"))
        })
    };
    let main = running.file("portcullis.toml");
    let edit = |change: &dyn Fn(&str) -> String| {
        let before = running.metric("portcullis_configuration_generation");
        let text = fs::read_to_string(&main).unwrap();
        fs::write(&main, change(&text)).unwrap();
        running.wait_for("the edit to serve", |running| {
            running.metric("portcullis_configuration_generation") > before
        });
        assert_eq!(running.ask("allowed", "/", "").status, 200);
    };
    assert_eq!(running.ask("allowed", "/", "").status, 200);
    let [rebound, miss] = lookups();
    edit(&|text| format!("{text}\n# a remark\n"));
    assert_eq!(lookups(), [rebound + 1.0, miss], "bound anew, not verified anew");
    edit(&|text| {
        assert!(text.contains("[[issuer]]"), "{text}");
        text.replacen("[[issuer]]", "[[issuer]]\nmax-age = \"23h\"", 1)
    });
    assert_eq!(lookups(), [rebound + 1.0, miss + 1.0], "another rule for tokens: verified anew");
}

#[test]
fn a_broken_edit_keeps_the_last_good_configuration_and_shows_in_a_metric() {
    let running = Running::start();
    let main = running.file("portcullis.toml");
    let good = fs::read_to_string(&main).unwrap();
    fs::write(&main, format!("{good}\nthis is not = = toml\n")).unwrap();
    let failures = "portcullis_configuration_reloads_total{result=\"failure\"}";
    running.wait_for("the broken edit to be refused", |running| running.metric(failures) >= 1.0);
    assert_eq!(running.metric("portcullis_configuration_last_reload_successful"), 0.0);
    assert_eq!(running.ask("allowed", "/", "").status, 200);
    assert_eq!(running.ask("blocked-location", "/", "").status, 403);

    fs::write(&main, good).unwrap();
    running.wait_for("the mended file to serve", |running| {
        running.metric("portcullis_configuration_last_reload_successful") >= 1.0
    });
}

#[test]
fn sigterm_ends_the_process() {
    let mut running = Running::start();
    let pid = running.pid();
    let killed = std::process::Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
    running
        .wait_for("the listener to close", |running| std::net::TcpStream::connect(&running.proxy).is_err());
    assert!(running.ended());
}

/// How pingora ends its runtimes on SIGINT is a race; with many threads it went wrong one time in three.
#[test]
fn sigint_ends_the_process_at_once_however_many_threads_it_has() {
    let running = Running::start();
    let text = fs::read_to_string(running.file("portcullis.toml")).unwrap();
    for round in 0..12 {
        let [proxy, admin] = [(); 2].map(|()| crate::free::free_address().to_string());
        let text = text
            .replace(&running.proxy, &proxy)
            .replace(&running.admin, &admin)
            .replace("[server]\n", "[server]\nthreads = 32\n")
            .replace("portcullis.pid", "second.pid")
            // A journal of sign-outs belongs to one process.
            .replace("revocations.journal", "second.journal")
            .replace("upgrade.sock", "second.sock");
        assert!(text.contains("threads = 32"), "{text}");
        let file = running.file("second.toml");
        fs::write(&file, text).unwrap();
        let second = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["run", "--config", file.to_str().unwrap()])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut second = Ended(second);
        running.wait_with(&mut second.0, "the second process to listen", |_| {
            std::net::TcpStream::connect(&proxy).is_ok()
        });
        let sent = std::process::Command::new("kill").args(["-INT", &second.0.id().to_string()]).status();
        assert!(sent.unwrap().success());
        let started = std::time::Instant::now();
        let status = loop {
            if let Some(status) = second.0.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed().as_secs() < 30, "round {round}: it goes on");
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        assert!(status.success(), "{status}");
        assert!(!running.file("second.pid").exists(), "the file with its id is left behind");
    }
}

/// A process that does not outlive its test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_upstream_is_found_by_its_name_as_well_and_one_without_an_address_is_the_apps_failure() {
    let running = Running::start();
    let main = running.file("portcullis.toml");
    let text = fs::read_to_string(&main).unwrap();
    let line = text.lines().find(|line| line.starts_with("upstreams = ")).unwrap();
    assert!(line.contains("127.0.0.1"), "{line}");
    // A name that is in no zone (RFC 6761, section 6.4).
    fs::write(&main, text.replace(line, &line.replace("127.0.0.1", "unknown.invalid"))).unwrap();
    running.wait_for("the name without an address", |running| running.ask("allowed", "/", "").status == 502);
    fs::write(&main, text.replace(line, &line.replace("127.0.0.1", "localhost"))).unwrap();
    running.wait_for("the name with one", |running| running.ask("allowed", "/", "").status == 200);
    assert_eq!(running.ask("blocked-location", "/", "").status, 403);
}
