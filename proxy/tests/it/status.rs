//! What `/status` says is what the metrics say, and what is served.

use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::drain::{begin, over_tls};
use crate::service::{HOST, Service, wait_for};
use crate::wire::answer;

/// Reads until the other side closes.
fn until_closed(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn the_readme_has_every_key_of_the_page() {
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let (code, readme) = (read("src/admin/status.rs"), read("README.md"));
    let table = readme.split("**`/status`**").nth(1).unwrap().split("\n## ").next().unwrap();
    let texts: Vec<&str> = code.split('"').collect();
    let keys: Vec<&str> = texts
        .chunks(2)
        .zip(texts.chunks(2).skip(1))
        .filter_map(|(one, next)| {
            let key = *one.get(1)?;
            next[0].starts_with(':').then_some(key)
        })
        .collect();
    assert!(keys.len() > 60, "{keys:?}");
    for key in &keys {
        assert!(table.contains(&format!("`{key}`")), "`{key}` is not in the table of `/status`");
    }
    for row in table.lines().filter_map(|line| line.strip_prefix("| `")) {
        for name in row.split('|').next().unwrap().split('`').filter(|text| !text.contains([' ', ','])) {
            assert!(name.is_empty() || keys.contains(&name), "`{name}` is no key of the page");
        }
    }
}

#[test]
fn status_says_what_the_metrics_say_and_how_much_of_each_budget_is_used() {
    let service = Service::new(
        "limits = { connections = 100, connections-per-address = 5, head-max = \"1KiB\", unsent = \"1MiB\" }",
    );
    let main = service.file("portcullis.toml");
    let rates = "body-max = \"3MiB\"\nrate = \"4/h burst 50\"\nrate-per-principal = \"2/h burst 20\"\n";
    fs::write(&main, fs::read_to_string(&main).unwrap() + rates).unwrap();
    let _process = service.start();
    let mut held: Vec<TcpStream> =
        (0..3).map(|_| service.send(&Service::head("GET", "/", "Connection: keep-alive\r\n"))).collect();
    for stream in &mut held {
        assert_eq!(answer(stream, false).status, 200);
    }
    let long = format!("X-Long: {}\r\n", "x".repeat(2_000));
    let refused = until_closed(service.send(&Service::head("GET", "/", &long)));
    assert!(refused.starts_with("HTTP/1.1 431 "), "{refused}");
    let mut plain = TcpStream::connect(&service.tls).unwrap();
    plain.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    std::io::Write::write_all(&mut plain, &Service::head("GET", "/", "")).unwrap();
    until_closed(plain);
    let open = |at: usize| {
        let status = service.status()?;
        Some(status["listeners"].get(at)?["open"].clone())
    };
    // What was refused leaves its seat a moment after its answer.
    wait_for("the refused to be gone", || (open(0)? == 3 && open(1)? == 0).then_some(()));
    let mut streams = over_tls(&service);
    begin(&mut streams, 1, "/");
    assert_eq!(streams.answer(1).status(), 200);
    begin(&mut streams, 3, "/slow");
    service.app.wait_for("/slow", 1);
    let half = b"GET / HTTP/1.1\r\nHost: wiki";
    held.push(service.send(half));
    assert_eq!(until_closed(service.send(b"")), "", "one more than an address may have");
    wait_for("it to be gone", || {
        (service.status()?["listeners"][0]["closed"]["address-limit"] == 1).then_some(())
    });

    let used = |budget: &str| service.status()?["budgets"][budget]["used"].as_u64();
    wait_for("half a head to be seen", || (used("unfinishedHeads")? == half.len() as u64).then_some(()));

    let status = service.status().unwrap();
    let page = service.admin_get("/metrics").unwrap().body;
    for (at, (address, tls)) in [(&service.plain, false), (&service.tls, true)].into_iter().enumerate() {
        let listener = &status["listeners"][at];
        assert_eq!((&listener["address"], &listener["tls"]), (&json!(address), &json!(tls)));
        let series = |key: &str, metric: &str| {
            let value = |label: &str| {
                let series = format!("portcullis_{metric}{{listener=\"{address}\"{label}}} ");
                let line = page.lines().find_map(|line| line.strip_prefix(&series));
                line.unwrap_or_else(|| panic!("no {series}")).parse::<u64>().unwrap()
            };
            match &listener[key] {
                Value::Object(reasons) => {
                    let of_metric = page.lines().filter(|line| {
                        line.starts_with(&format!("portcullis_{metric}{{listener=\"{address}\""))
                    });
                    assert_eq!(of_metric.count(), reasons.len(), "{key}: every reason, from 0 on");
                    for (reason, count) in reasons {
                        assert_eq!(*count, value(&format!(",reason=\"{reason}\"")), "{key} {reason}");
                    }
                }
                count => assert_eq!(*count, value(""), "{key}"),
            }
        };
        series("open", "connections");
        series("accepted", "connections_accepted_total");
        series("closed", "connections_closed_total");
        series("handshakeFailures", "tls_handshake_failures_total");
        series("acceptPauses", "accept_pauses_total");
        series("http2StreamsRefused", "http2_streams_refused_total");
        series("answersUnread", "answers_unread_total");
    }
    let [plain, tls] = [0, 1].map(|at| &status["listeners"][at]);
    assert_eq!([&plain["open"], &plain["accepted"]], [4, 6], "{status:#}");
    assert_eq!([&plain["closed"]["head-max"], &plain["closed"]["address-limit"]], [1, 1], "{status:#}");
    assert_eq!([&tls["open"], &tls["accepted"], &tls["handshakeFailures"]["plain-request"]], [1, 2, 1]);

    let budgets = &status["budgets"];
    let budget =
        |name: &str| (budgets[name]["limit"].as_u64().unwrap(), budgets[name]["used"].as_u64().unwrap());
    assert_eq!(budget("connections"), (100, 5), "{budgets:#}");
    assert_eq!(budget("connectionsPerAddress"), (5, 5), "{budgets:#}");
    assert_eq!(budget("connectionsPerProxy"), (90, 0), "{budgets:#}");
    assert_eq!(budget("streams"), (100, 1), "{budgets:#}");
    assert_eq!(budget("streamsBeforeGrant"), (16, 0), "{budgets:#}");
    assert_eq!(budget("unfinishedHeads"), (48 << 20, half.len() as u64), "{budgets:#}");
    assert_eq!(budget("unsent"), (1 << 20, 0), "{budgets:#}");
    assert_eq!(budget("unsentPerConnection"), (1 << 20, 0), "{budgets:#}");
    assert_eq!(budget("verifiedTokens").1, 5, "{budgets:#}");
    assert_eq!(budget("adminConnections"), (32, 1), "the one that asks: {budgets:#}");
    assert_eq!(budget("failedVerifications"), (100, 0), "{budgets:#}");
    assert_eq!(budget("controlFrames").0, 1_000, "{budgets:#}");
    assert_eq!((&budgets["decisionLog"], &budgets["accessLog"]), (&Value::Null, &Value::Null));
    // Five were asked, by one person at one address; the hour gives little back while a test runs.
    let since = &status["apps"][0]["servers"][0]["addresses"][0]["since"];
    assert!(since.as_str().is_some_and(|since| since.ends_with('Z')), "{since}");
    let address = json!({
        "address": service.app.address,
        "state": "up",
        "since": since,
        "cause": null,
        "leftOutMs": null,
        "outstanding": 1,
        "lastCheck": null,
    });
    assert_eq!(
        status["apps"],
        json!([{
            "id": "wiki",
            "bodyMax": 3 << 20,
            "answeredBy": "servers",
            "bodyRateMin": 1 << 10,
            "rate": { "limit": 50, "used": 5, "count": 4, "perSeconds": 3_600 },
            "ratePerPrincipal": { "limit": 20, "used": 5, "count": 2, "perSeconds": 3_600 },
            "panic": false,
            "servers": [{ "server": service.app.address, "lookup": null, "addresses": [address] }],
        }])
    );
    assert_eq!(
        status["certificates"],
        json!([{ "listener": service.tls, "name": HOST, "notAfter": "4096-01-01T00:00:00Z" }])
    );
    assert_eq!((&status["predecessor"], &status["successor"]), (&Value::Null, &Value::Null));
}
