//! Asking the policies from the command line: `what-if`, `test` and `analyze` of the real binary.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

struct Output {
    code: i32,
    out: String,
    err: String,
}

fn run(arguments: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its configuration ends without reading.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let done = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Output { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) }
}

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples/first.toml");
    path.to_str().unwrap().to_owned()
}

/// The example with a country database and policies of its own, in a folder.
fn with_policies(folder: &Path, policies: &str) -> PathBuf {
    let text = std::fs::read_to_string(example()).unwrap();
    let text = text.replace("policies = [\"policies/*.toml\"]", "policies = [\"own.toml\"]");
    let database = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/GeoIP2-Country-Test.mmdb");
    let text = format!("{text}\n[geo]\ndatabase = \"{}\"\n", database.display());
    let main = folder.join("main.toml");
    std::fs::write(&main, text).unwrap();
    std::fs::write(folder.join("own.toml"), policies).unwrap();
    main
}

const ABROAD: &str = r#"
[[location]]
name = "britain"
countries = ["GB"]
[[policy]]
id = "abroad"
users = { include = ["all"], exclude = ["group:break-glass"] }
apps = { include = ["all"] }
grant = "block"
conditions.locations = { include = ["all"], exclude = ["britain", "office-munich"] }
[[policy]]
id = "device"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = { controls = ["compliant-device"] }
"#;

#[test]
fn what_if_says_the_outcome_the_reason_of_each_policy_and_the_remedies() {
    let config = example();
    let asked = run(
        &["what-if", "--config", &config, "--user", "alice", "--app", "wiki", "--ip", "192.0.2.1", "--all"],
        "",
    );
    assert_eq!(asked.code, 0, "{}", asked.err);
    for line in [
        "challenge: 50076 mfa-required (mfa-required)",
        "admin-strong: did not apply, by authenticationContext: wants c1; saw no authentication context requested",
        "mfa-everywhere: applies: interrupted; mfa unmet (amr never asserted, acr never asserted, acrs none)",
        "  stronger sign in",
    ] {
        assert!(asked.out.contains(line), "`{line}` is missing:\n{}", asked.out);
    }
    // What applied comes first, and the rest only when it is asked for.
    let base = ["what-if", "--config", &config, "--user", "alice", "--app", "wiki", "--ip", "192.0.2.1"];
    let short = run(&base, "").out;
    let lines: Vec<&str> = short.lines().collect();
    assert!(lines[1].starts_with("  mfa-everywhere: applies"), "{short}");
    assert_eq!(lines[2], "  and 3 policies that do not apply: `--all` says why", "{short}");
    assert!(!short.contains("admin-strong"), "{short}");
    // The path of an app implies its authentication context; a flag overrides the file.
    let request = "user = \"alice\"\napp = \"wiki\"\npath = \"/public\"\n";
    let json = ["what-if", "--config", &config, "--request", "-", "--format", "json"];
    let asked = run(&[&json[..], &["--path", "/admin/users", "--mfa"]].concat(), request);
    let output: Value = serde_json::from_str(&asked.out).unwrap();
    // Of the version 2 token the context itself is missing; signing in for it could bring it.
    assert_eq!((output["outcome"].as_str(), output["code"].as_u64()), (Some("challenge"), Some(50074)));
    assert_eq!(output["policies"][0]["result"], "interrupted");
    assert_eq!(output["policies"][1]["result"], "notApplied");
    assert_eq!(output["policies"][2]["result"], "success");
    assert_eq!(output["policies"][3]["result"], "reportOnlyNotApplied");
    assert_eq!(output["policies"][3]["ruledOutBy"], "users");
}

#[test]
fn what_if_looks_the_country_up_when_only_an_address_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let config = with_policies(folder.path(), ABROAD);
    let ask = |more: &[&str]| {
        let base = ["what-if", "--config", config.to_str().unwrap(), "--user", "alice", "--app", "wiki"];
        run(&[&base[..], &["--device-compliant", "true", "--format", "json"], more].concat(), "")
    };
    let outcome = |output: Output| serde_json::from_str::<Value>(&output.out).unwrap()["outcome"].clone();
    assert_eq!(outcome(ask(&["--ip", "81.2.69.142"])), "grant");
    assert_eq!(outcome(ask(&["--ip", "2001:218::1"])), "block");
    assert_eq!(outcome(ask(&["--ip", "2001:218::1", "--country", "GB"])), "grant");
    assert_eq!(outcome(ask(&["--ip", "2001:218::1", "--group", "break-glass"])), "grant");
}

#[test]
fn what_if_reads_a_path_as_a_request_would_be_read() {
    const POLICIES: &str = r#"
[[policy]]
id = "open"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = { controls = ["mfa"] }
[[policy]]
id = "secret"
users = { include = ["all"] }
apps = { include = ["all"] }
grant = "block"
conditions = { request = { paths = ["/group/secret/**", "/übung"] } }
"#;
    let folder = tempfile::tempdir().unwrap();
    let config = with_policies(folder.path(), POLICIES);
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("id = \"wiki\"", "id = \"wiki\"\nallow-paths = [\"encoded-slash\"]");
    std::fs::write(&config, text).unwrap();
    let ask = |path: &str| {
        let base =
            ["what-if", "--config", config.to_str().unwrap(), "--user", "alice", "--app", "wiki", "--mfa"];
        run(&[&base[..], &["--format", "json", "--path", path]].concat(), "")
    };
    for (path, outcome) in [
        ("/group/open", "grant"),
        ("/GROUP/secret/", "block"),
        ("/group%2Fsecret", "block"),
        ("/group%2Fopen", "grant"),
        ("/%C3%9Cbung/", "block"),
        ("/ÜBUNG", "block"),
    ] {
        let output = ask(path);
        let found: Value =
            serde_json::from_str(&output.out).unwrap_or_else(|_| panic!("{path}: {}", output.err));
        assert_eq!(found["outcome"], outcome, "{path}");
    }
    for (path, help) in [
        ("/group;x/secret", "allow-paths = [\"path-parameters\"]"),
        ("/group/secret.", "allow-paths = [\"trailing-dot\"]"),
        ("/group/../x", "write a path such as `/admin`"),
    ] {
        let output = ask(path);
        assert_eq!(output.code, 1, "{path}");
        assert!(
            output.err.contains("error[ask/path]") && output.err.contains(help),
            "{path}: {}",
            output.err
        );
    }
}

#[test]
fn graphs_own_body_is_answered_in_graphs_shape() {
    let config = example();
    let body = r##"{
      "signInIdentity": { "@odata.type": "#microsoft.graph.userSignIn", "userId": "alice" },
      "signInContext": { "@odata.type": "#microsoft.graph.applicationContext", "includeApplications": ["wiki"] },
      "signInConditions": { "devicePlatform": "iOS", "clientAppType": "browser", "ipAddress": "198.51.100.3",
        "deviceInfo": { "isCompliant": true, "extensionAttribute3": "x", "model": null } },
      "appliedPoliciesOnly": APPLIED
    }"##;
    let ask = |applied: &str| {
        let body = body.replace("APPLIED", applied);
        let output = run(&["what-if", "--config", &config, "--request", "-", "--format", "graph"], &body);
        assert_eq!(output.code, 0, "{}", output.err);
        serde_json::from_str::<Value>(&output.out).unwrap()["value"].as_array().unwrap().clone()
    };
    let reasons: Vec<_> =
        ask("false").iter().map(|policy| policy["analysisReasons"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reasons, ["authenticationContext", "users", "location", "users"]);
    assert!(ask("true").is_empty());
}

#[test]
fn a_mistake_in_a_request_is_reported_with_its_place_and_its_mend() {
    let config = example();
    let ask = |request: &str| run(&["what-if", "--config", &config, "--request", "-"], request);
    for (request, wanted) in [
        ("user = \"a\"\napp = \"wikki\"\n", "-:2:7\n"),
        ("user = \"a\"\napp = \"wikki\"\n", "did you mean `wiki`?"),
        ("user = \"a\"\napp = \"wiki\"\nplatfrom = \"ios\"\n", "did you mean `platform`?"),
        ("{\n  \"user\": \"a\",\n  \"app\": wiki }", "-:3:10\n"),
        ("app = \"wiki\"\n", "neither `user` nor `program`"),
        ("user = \"a\"\napp = \"wiki\"\nip = \"1.2.3\"\n", "`1.2.3` is no address"),
        (r#"{"signInIdentity": {"userId": "a"}, "signInContext": {"userAction": "x"}}"#, "ask/user-action"),
    ] {
        let output = ask(request);
        assert_eq!(output.code, 1, "{request}");
        assert!(output.err.contains(wanted), "`{wanted}` is missing:\n{}", output.err);
        assert!(output.out.is_empty(), "{}", output.out);
    }
}

#[test]
fn cases_run_like_tests_and_their_failures_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let config = with_policies(folder.path(), ABROAD);
    let config = config.to_str().unwrap();
    let cases = |text: &str| {
        let path = folder.path().join("cases.toml");
        std::fs::write(&path, text).unwrap();
        run(&["test", "--config", config, path.to_str().unwrap()], "")
    };
    let case = |expect: &str, more: &str| {
        format!(
            "[[case]]\nname = \"a compliant device in Britain\"\nexpect = \"{expect}\"\n{more}\n\
             request = {{ user = \"alice\", app = \"wiki\", ip = \"81.2.69.142\", device = {{ compliant = true }} }}\n"
        )
    };
    let passed = cases(&case("grant", "applied = [\"device\"]"));
    assert_eq!(passed.code, 0, "{}{}", passed.out, passed.err);
    assert!(passed.out.contains("1 passed, 0 failed"), "{}", passed.out);
    let failed = cases(&case("block", "code = 53003\napplied = [\"abroad\"]"));
    assert_eq!(failed.code, 1);
    for wanted in [
        "cases.toml:2:8",
        "expected block, found grant",
        "expected code 53003, found none",
        "expected to apply: [\"abroad\"], found [\"device\"]",
        "abroad: did not apply, by location",
        "0 passed, 1 failed",
    ] {
        assert!(failed.out.contains(wanted), "`{wanted}` is missing:\n{}", failed.out);
    }
    for wrong in ["", "[[case]]\nname = 1\n", &case("grant", "applied = [\"abraod\"]")] {
        assert_eq!(cases(wrong).code, 1, "{wrong}");
    }
    // What `--init` prints holds today, and is a file of cases.
    let first = run(&["test", "--config", config, "--init"], "");
    assert_eq!(first.code, 0, "{}", first.err);
    let again = cases(&first.out);
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    // One of each kind that the policies distinguish, and not only a stranger.
    let words = [
        "expect = \"block\"\ncode = 53003\napplied = [\"abroad\",\"device\"]",
        "on a compliant device",
        "from office-munich",
        "a member of break-glass",
        "expect = \"grant\"",
        "expect = \"deny\"",
    ];
    for wanted in words {
        assert!(first.out.contains(wanted), "`{wanted}` is missing:\n{}", first.out);
    }
    let answers: Vec<&str> = first.out.split("[[case]]").skip(1).collect();
    let mut expectations: Vec<String> = answers
        .iter()
        .map(|case| {
            case.lines().skip(2).take_while(|line| *line != "[case.request]").collect::<Vec<_>>().join(";")
        })
        .collect();
    let count = expectations.len();
    assert!(again.out.contains(&format!("{count} passed")), "{}", again.out);
    expectations.sort();
    expectations.dedup();
    assert_eq!(expectations.len(), count, "each answer once:\n{}", first.out);
}

#[test]
fn the_first_cases_hold_each_reason_why_no_policy_applies() {
    let folder = tempfile::tempdir().unwrap();
    let policy = r#"
[[policy]]
id = "managed"
users = { include = ["all"], exclude = ["group:break-glass"] }
apps = { include = ["all"] }
grant = { controls = ["compliant-device"] }
conditions.locations = { include = ["all"], exclude = ["office-munich"] }
"#;
    let config = with_policies(folder.path(), policy);
    let first = run(&["test", "--config", config.to_str().unwrap(), "--init"], "");
    assert_eq!(first.code, 0, "{}", first.err);
    for spared in ["a member of break-glass opens wiki", "from office-munich\""] {
        assert!(first.out.contains(spared), "`{spared}` is missing:\n{}", first.out);
    }
}

#[test]
fn analyze_shows_a_request_for_each_finding_and_can_refuse() {
    let config = example();
    let sound = run(&["analyze", "--config", &config, "--deny", "warnings"], "");
    assert!(sound.out.contains("4 policies analyzed, 0 warnings"), "{}{}", sound.out, sound.err);
    assert_eq!(sound.code, 0);
    let folder = tempfile::tempdir().unwrap();
    let shut = ABROAD.replace(", exclude = [\"group:break-glass\"]", "");
    let config = with_policies(folder.path(), &shut);
    let config = config.to_str().unwrap();
    let output = run(&["analyze", "--config", config, "--format", "json"], "");
    assert_eq!(output.code, 0, "{}", output.err);
    let output: Value = serde_json::from_str(&output.out).unwrap();
    let found = output["warnings"].as_array().unwrap();
    let lock = found.iter().find(|one| one["kind"] == "lock-out").unwrap();
    assert_eq!(lock["policies"][0], "abroad");
    assert_eq!(lock["outcome"], "block");
    // The witness is a request that `what-if` takes, and it says the same.
    let asked = run(
        &["what-if", "--config", config, "--request", "-", "--format", "json"],
        &lock["witness"].to_string(),
    );
    assert_eq!(serde_json::from_str::<Value>(&asked.out).unwrap()["outcome"], "block", "{}", asked.err);
    for one in found.iter().filter(|one| one["witness"].is_object()) {
        let asked = run(&["what-if", "--config", config, "--request", "-"], &one["witness"].to_string());
        assert_eq!(asked.code, 0, "{one:#}\n{}", asked.err);
    }
    assert_eq!(run(&["analyze", "--config", config, "--deny", "warnings"], "").code, 1);
}

/// An app below `/gitlab`, which knows nothing of that, and another one below it.
fn below_a_path(folder: &Path, policies: &str) -> PathBuf {
    let main = with_policies(folder, policies);
    let text = std::fs::read_to_string(&main).unwrap();
    let before = "hosts = [\"wiki.example.com\"]\n";
    assert!(text.contains(before));
    let app = format!("{before}path = \"/gitlab\"\nprefix-rewrite = \"/\"\nunmatched = \"allow\"\n");
    let text = text.replace("contexts = [{ path = \"/admin\", context = \"c1\" }]\n", "");
    let other = "[[app]]\nid = \"registry\"\nhosts = [\"wiki.example.com\"]\npath = \"/gitlab/v2\"\nupstreams = [\"http://127.0.0.1:3001\"]\nunmatched = \"allow\"\n\n[[location]]\n";
    std::fs::write(&main, text.replace(before, &app).replacen("[[location]]\n", other, 1)).unwrap();
    main
}

const ADMIN_IS_SHUT: &str = r#"
[[policy]]
id = "admin"
users = { include = ["all"] }
apps = { include = ["wiki"] }
grant = "block"
conditions.request = { paths = ["/admin/**"] }
[[policy]]
id = "never"
users = { include = ["all"] }
apps = { include = ["wiki"] }
grant = { controls = ["mfa"] }
conditions.request = { paths = ["/admin/**"] }
"#;

#[test]
fn what_if_knows_the_path_of_an_app_and_what_stands_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let main = below_a_path(folder.path(), ADMIN_IS_SHUT);
    let ask = |more: &[&str]| {
        let base = ["what-if", "--config", main.to_str().unwrap(), "--user", "kari", "--app", "wiki"];
        run(&[&base[..], more].concat(), "")
    };
    let grant = ask(&[]);
    assert!(
        grant.out.starts_with("grant: "),
        "without a path it is the app's own: {}{}",
        grant.out,
        grant.err
    );
    assert!(ask(&["--path", "/gitlab/x"]).out.starts_with("grant: "));
    let block = ask(&["--path", "/gitlab/admin/x"]);
    assert!(block.out.starts_with("block: "), "what the app sees: {}{}", block.out, block.err);
    for (path, why) in [
        ("/", "`/` is no path of the app `wiki`"),
        ("/admin/x", "`/admin/x` is no path of the app `wiki`"),
        ("/gitlabs", "`/gitlabs` is no path of the app `wiki`"),
        ("/gitlab/v2/x", "`/gitlab/v2/x` is a path of the app `registry`"),
    ] {
        let refused = ask(&["--path", path]);
        assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{path}");
        assert!(refused.err.contains(why), "{path}: {}", refused.err);
    }
    assert!(ask(&["--path", "/admin"]).err.contains("its paths begin with `/gitlab`"));
}

#[test]
fn no_allow_paths_is_advised_for_a_path_that_prefix_rewrite_makes_two_of() {
    let folder = tempfile::tempdir().unwrap();
    let main = below_a_path(folder.path(), ADMIN_IS_SHUT);
    let ask = |path: &str| {
        let base = ["what-if", "--config", main.to_str().unwrap(), "--user", "kari", "--app", "wiki"];
        run(&[&base[..], &["--path", path]].concat(), "")
    };
    let check = |path: &str, wanted: &str, other: &str| {
        let found = ask(path);
        assert_eq!(found.code, 1, "{path}");
        assert!(found.err.contains(wanted) && !found.err.contains(other), "{path}: {}", found.err);
    };
    let (never, allowed) = ("no `allow-paths` lets it pass", "allow-paths = [\"");
    // What it makes of it begins with two slashes: a host and its path.
    check("/gitlab//x", never, allowed);
    check("/gitlab/%2Fx", never, allowed);
    check("/gitlab/a//x", "allow-paths = [\"double-slash\"]", never);
    let text = std::fs::read_to_string(&main).unwrap();
    let allows = "path = \"/gitlab\"\nallow-paths = [\"double-slash\"]\n";
    std::fs::write(&main, text.replacen("path = \"/gitlab\"\n", allows, 1)).unwrap();
    check("/gitlab//x", never, allowed);
    assert!(ask("/gitlab/a//x").out.starts_with("grant: "), "{}", ask("/gitlab/a//x").err);
}

/// An app that is gone, and tells everybody so, and one of which a part is open.
fn open_to_everybody(folder: &Path) -> PathBuf {
    let main = with_policies(folder, ABROAD);
    let text = std::fs::read_to_string(&main).unwrap();
    let before = "hosts = [\"wiki.example.com\"]\n";
    let app = format!("{before}public = [\"/healthz\", \"/static/**\"]\n");
    let gone = "[[app]]\nid = \"gone\"\nhosts = [\"gone.example.com\"]\nrespond = { status = 410 }\npublic = [\"/**\"]\n\n[[app]]\nid = \"old\"\nhosts = [\"old.example.com\"]\nredirect = { to = \"https://new.example.com/\" }\n\n[[location]]\n";
    std::fs::write(&main, text.replace(before, &app).replacen("[[location]]\n", gone, 1)).unwrap();
    main
}

#[test]
fn a_stranger_is_asked_about_where_everybody_is_let_in_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let main = open_to_everybody(folder.path());
    let config = main.to_str().unwrap();
    let ask = |app: &str, path: &str| {
        run(&["what-if", "--config", config, "--app", app, "--path", path, "--format", "json"], "")
    };
    for (app, path) in [("gone", "/any"), ("wiki", "/healthz"), ("wiki", "/static/a.css")] {
        let found = ask(app, path);
        let found: Value =
            serde_json::from_str(&found.out).unwrap_or_else(|_| panic!("{app} {path}: {}", found.err));
        assert_eq!(found["outcome"], "public", "{app} {path}");
        // Of what nobody is asked for nothing is said.
        assert_eq!(found["policies"], serde_json::json!([]), "{app} {path}");
    }
    for (app, path) in [("wiki", "/healthz/"), ("wiki", "/"), ("old", "/")] {
        let found = ask(app, path);
        assert_eq!(found.code, 1, "{app} {path}");
        assert!(found.err.contains("without a token only the paths of `public`"), "{path}: {}", found.err);
    }
    // Each open path has a case, which holds.
    let first = run(&["test", "--config", config, "--init"], "");
    for name in [
        "a stranger opens gone at /below",
        "a stranger opens wiki at /healthz",
        "a stranger opens wiki at /static/below",
    ] {
        let case = format!("name = \"{name}\"\nexpect = \"public\"\n");
        assert!(first.out.contains(&case), "`{name}` is missing:\n{}", first.out);
    }
    let cases = folder.path().join("cases.toml");
    std::fs::write(&cases, &first.out).unwrap();
    let again = run(&["test", "--config", config, cases.to_str().unwrap()], "");
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
}

#[test]
fn an_app_that_is_open_to_everybody_has_nobody_uncovered() {
    let folder = tempfile::tempdir().unwrap();
    let main = open_to_everybody(folder.path());
    // The policies speak of the wiki alone.
    std::fs::write(folder.path().join("own.toml"), ABROAD.replace("\"all\"] }\ngrant", "\"wiki\"] }\ngrant"))
        .unwrap();
    let found = run(&["analyze", "--config", main.to_str().unwrap(), "--format", "json"], "");
    let found: Value = serde_json::from_str(&found.out).unwrap();
    let found = found["warnings"].as_array().unwrap();
    let uncovered =
        |app: &str| found.iter().any(|one| one["what"].as_str().unwrap().contains(&format!("app `{app}`")));
    assert!(uncovered("old") && !uncovered("gone"), "{found:#?}");
}

#[test]
fn what_is_answered_in_place_of_an_app_is_told_to_programs_too() {
    let folder = tempfile::tempdir().unwrap();
    let main = open_to_everybody(folder.path());
    let ask = |app: &str| {
        let base = ["what-if", "--config", main.to_str().unwrap(), "--user", "kari", "--format", "json"];
        let found = run(&[&base[..], &["--app", app]].concat(), "");
        serde_json::from_str::<Value>(&found.out).unwrap()["instead"].clone()
    };
    assert_eq!(ask("gone"), serde_json::json!({ "kind": "respond", "status": 410 }));
    let to = "https://new.example.com/";
    assert_eq!(ask("old"), serde_json::json!({ "kind": "redirect", "status": 302, "to": to }));
    assert_eq!(ask("wiki"), Value::Null);
    let text = std::fs::read_to_string(&main).unwrap();
    std::fs::write(&main, text.replacen("id = \"wiki\"", "id = \"wiki\"\nmaintenance = true", 1)).unwrap();
    assert_eq!(ask("wiki"), serde_json::json!({ "kind": "maintenance", "status": 503, "code": 880_401 }));
}

#[test]
fn a_mistake_on_the_command_line_is_shown_as_the_flag_that_has_it() {
    let config = example();
    let ask = |more: &[&str]| run(&[&["what-if", "--config", &config][..], more].concat(), "");
    for (flags, wanted) in [
        (&["--user", "a", "--app", "wikii"][..], "no app `wikii`\n --> --app \"wikii\"\n"),
        (&["--user", "a"], "has no `app`\n --> the command line\n"),
        (&["--user", "a"], "on the command line `--app`"),
        (&["--app", "wiki"], "neither `user` nor `program`\n --> the command line\n"),
        (&["--user", "a", "--app", "wiki", "--acrs", "c99999"], " --> --acrs [\"c99999\"]\n"),
    ] {
        let found = ask(flags);
        assert_eq!(found.code, 1, "{flags:?}");
        assert!(found.err.contains(wanted), "`{wanted}` is missing:\n{}", found.err);
        assert!(!found.err.contains(" | "), "no TOML that nobody wrote: {}", found.err);
    }
}

#[test]
fn first_cases_and_examples_name_the_path_that_clients_ask_for() {
    let folder = tempfile::tempdir().unwrap();
    let main = below_a_path(folder.path(), ADMIN_IS_SHUT);
    let config = main.to_str().unwrap();
    let first = run(&["test", "--config", config, "--init"], "");
    assert_eq!(first.code, 0, "{}", first.err);
    assert!(first.out.contains("path = \"/gitlab/admin/below\""), "{}", first.out);
    let cases = folder.path().join("cases.toml");
    std::fs::write(&cases, &first.out).unwrap();
    let again = run(&["test", "--config", config, cases.to_str().unwrap()], "");
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    let found = run(&["analyze", "--config", config, "--format", "json"], "");
    let found: Value = serde_json::from_str(&found.out).unwrap();
    let found = found["warnings"].as_array().unwrap();
    let examples: Vec<&Value> = found.iter().filter(|one| one["witness"].is_object()).collect();
    assert!(!examples.is_empty(), "{found:#?}");
    for one in examples {
        let path = one["witness"]["path"].as_str().unwrap();
        assert!(one["app"] != "wiki" || path.starts_with("/gitlab"), "{one:#}");
        let json = ["what-if", "--config", config, "--request", "-", "--format", "json"];
        let asked = run(&json, &one["witness"].to_string());
        assert_eq!(asked.code, 0, "{one:#}\n{}", asked.err);
        assert_eq!(serde_json::from_str::<Value>(&asked.out).unwrap()["outcome"], one["outcome"], "{one:#}");
    }
}

#[test]
fn a_pipe_of_cases_is_refused_and_no_argument_steers_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("cases");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let output = run(&["test", "--config", &example(), pipe.to_str().unwrap()], "");
    assert_eq!(output.code, 1);
    assert!(output.err.contains("it is not a regular file"), "{}", output.err);
    let output = run(&["what-if", "--\u{1b}]0;owned\u{7}"], "");
    assert_eq!(output.code, 2);
    assert!(output.err.contains("unexpected argument"), "{}", output.err);
    assert!(!output.err.contains(['\u{1b}', '\u{7}']), "{:?}", output.err);
    assert!(run(&["--help"], "").out.contains("what-if"));
}

#[test]
fn a_sign_in_can_be_of_just_now() {
    let config = example();
    let asked = |ago: &str| {
        let user = ["what-if", "--config", &config, "--user", "kari", "--app", "wiki", "--signed-in", ago];
        run(&user, "")
    };
    assert_eq!(asked("0s").out, asked("1s").out);
    assert_eq!(asked("0s").code, 0, "{}", asked("0s").err);
    let output = asked("0");
    assert!(
        output.code == 1 && output.err.starts_with("portcullis: the request is invalid\n"),
        "{}",
        output.err
    );
}
