//! Requests with and without sessions, and requests for our own paths, judged by a whole configuration.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use portcullis_policy::signals::RequestId;
use serde_json::{Value, json};

use crate::admit::{Connection, Head};
use crate::authorize::{Authorizer, RequestFacts, Turn, Verdict};
use crate::clock::{Moment, unix_now};
use crate::own::{Own, OwnPath, OwnRequest, Prompt, SignInCause};
use crate::refusal::{BadRequest, Refusal, Sender};
use crate::seal::{Purpose, Seals};
use crate::session::revocation::{Cause, Revoked, Who};
use crate::session::{CookieForm, Keeping, Lasting, SessionId, SessionRecord};
use crate::state::{Snapshot, State};
use crate::tls::Arrival;
use crate::token;

const NOW: i64 = 1_795_773_600;
const HOST: &str = "wiki.test";
const NAVIGATE: &[(&str, &str)] =
    &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("accept", "text/html")];
const CONFIG: &str = r#"
policies = ["policies.toml"]

[server]
listeners = [{ address = "127.0.0.1:8080" }]

[trusted-proxies]
networks = ["10.0.0.0/8"]

[evidence]
mfa-acrs = ["gold"]

[session]
keys = ["session.key"]
idle = "1h"
absolute = "12h"

[[issuer]]
name = "main"
issuer = "https://id.test/tenant"
audiences = ["api://wiki"]
keys = { file = "keys.json" }

[[provider]]
name = "main"
issuer = "main"
client-id = "portcullis"
public-client = true

[[provider]]
name = "second"
issuer = "main"
client-id = "portcullis-2"
public-client = true

[[app]]
id = "wiki"
hosts = ["wiki.test", "localhost"]
upstreams = ["http://127.0.0.1:9"]
unmatched = "allow"
token = { bearer = true, cookie = "own-token" }
sign-in = "main"
allow-paths = ["double-slash", "path-parameters", "encoded-slash"]

[[app]]
id = "api"
hosts = ["api.test"]
upstreams = ["http://127.0.0.1:9"]
unmatched = "allow"
"#;
const POLICIES: &str = r#"
[[policy]]
id = "mfa-for-pay"
users = { include = ["all"] }
apps = { include = ["all"] }
conditions = { request = { paths = ["/pay/**"] } }
grant = { controls = ["mfa"] }

[[policy]]
id = "fresh"
users = { include = ["all"] }
apps = { include = ["all"] }
conditions = { request = { paths = ["/fresh/**"] } }
session = { sign-in-frequency = "1h", persistent-browser = "always" }
"#;

/// A state that lives as long as the test's process.
struct World {
    state: &'static State,
    snapshot: Arc<Snapshot>,
    _folder: tempfile::TempDir,
}

fn key(seed: u8) -> [u8; 32] {
    digest(&SHA256, &[seed]).as_ref().try_into().unwrap()
}

impl World {
    fn new() -> Self {
        Self::with(CONFIG)
    }

    fn with(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        write("keys.json", br#"{"keys": []}"#);
        write("session.key", &key(1));
        write("former.key", &key(2));
        write("policies.toml", POLICIES.as_bytes());
        write("portcullis.toml", config.as_bytes());
        let state =
            State::start(&folder.path().join("portcullis.toml")).unwrap_or_else(|why| panic!("{why}"));
        Self { state, snapshot: state.snapshot(), _folder: folder }
    }

    fn record(&self, change: impl FnOnce(&mut SessionRecord)) -> SessionRecord {
        self.record_of(
            &json!({"sub": "anna", "preferred_username": "anna@example.org", "auth_time": NOW - 60}),
            change,
        )
    }

    fn record_of(&self, claims: &Value, change: impl FnOnce(&mut SessionRecord)) -> SessionRecord {
        let mut record = SessionRecord {
            id: SessionId::draw().unwrap(),
            host: HOST.into(),
            provider: "main".into(),
            claims: token::session_claims(claims, &self.snapshot.config.issuers[0]),
            sub: "anna".into(),
            sid: Some("s-1".into()),
            created_at: NOW - 600,
            ends_at: NOW + 40_000,
            signed_in_at: NOW - 600,
            signed_in: Moment::of_secs(NOW - 600),
            last_seen_at: NOW - 10,
            lasting: Lasting::BrowserSession,
            answered: None,
            tokens: None,
        };
        change(&mut record);
        record
    }

    /// The cookie's value.
    fn sealed(&self, record: &SessionRecord) -> String {
        self.snapshot.seals.seal(Purpose::Session, &record.to_bytes().unwrap()).unwrap()
    }

    fn cookie(&self, change: impl FnOnce(&mut SessionRecord)) -> String {
        format!("__Host-Http-portcullis={}", self.sealed(&self.record(change)))
    }

    fn judge(&self, request: &Asked<'_>) -> (Verdict, RequestFacts) {
        let authorizer = Authorizer {
            state: self.state,
            snapshot: &self.snapshot,
            request_id: RequestId(7),
            arrival: &Arrival::default(),
            now_unix_ms: request.now * 1_000,
            turn: request.turn,
        };
        let connection = Connection {
            peer: "192.0.2.7".parse().unwrap(),
            is_unknown: false,
            tls: request.tls,
            port: Some(if request.tls { 443 } else { 8080 }),
        };
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_str(request.host).unwrap());
        for (name, value) in request.lines {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        if let Some(cookie) = request.cookie {
            headers.append("cookie", HeaderValue::from_str(cookie).unwrap());
        }
        let head = Head::new(&request.method, request.target.as_bytes(), Version::HTTP_11, &headers, None);
        let mut facts = RequestFacts::default();
        let verdict = authorizer.authorize(&head, connection, &mut facts);
        (verdict, facts)
    }

    fn verdict(&self, request: &Asked<'_>) -> Verdict {
        self.judge(request).0
    }
}

#[derive(Clone)]
struct Asked<'r> {
    method: Method,
    host: &'r str,
    target: &'r str,
    lines: &'r [(&'r str, &'r str)],
    cookie: Option<&'r str>,
    tls: bool,
    now: i64,
    turn: Turn,
}

impl Default for Asked<'_> {
    fn default() -> Self {
        Self {
            method: Method::GET,
            host: HOST,
            target: "/page",
            lines: NAVIGATE,
            cookie: None,
            tls: true,
            now: NOW,
            turn: Turn::First,
        }
    }
}

fn sign_in(verdict: Verdict) -> OwnRequest {
    match verdict {
        Verdict::Own(own) if matches!(own.what, Own::SignIn { .. }) => *own,
        other => panic!("{other:?}"),
    }
}

fn cause(verdict: Verdict) -> SignInCause {
    let Own::SignIn { cause, .. } = sign_in(verdict).what else { unreachable!() };
    cause
}

fn is_let_in(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Permit(_))
}

fn refusal(verdict: Verdict) -> Refusal {
    match verdict {
        Verdict::Refusal(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_lets_in_as_a_token_does() {
    let world = World::new();
    let cookie = world.cookie(|_| {});
    for _ in 0..2 {
        let (verdict, facts) = world.judge(&Asked { cookie: Some(&cookie), ..Asked::default() });
        assert!(is_let_in(&verdict), "{verdict:?}");
        assert_eq!(facts.caller.unwrap().token().user_name(), Some("anna@example.org"));
        assert!(facts.session.is_some() && !facts.authorization_is_verified);
    }
    assert_eq!(world.state.sessions().unwrap().len(), 1, "it is remembered");
    let script = Asked { lines: &[("sec-fetch-mode", "cors")], cookie: Some(&cookie), ..Asked::default() };
    assert!(is_let_in(&world.verdict(&script)), "for scripts of the app, too");
}

#[test]
fn trap_02_nothing_but_a_navigation_starts_a_sign_in() {
    let world = World::new();
    let html = ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
    for (method, lines, starts) in [
        (Method::GET, NAVIGATE, true),
        (Method::GET, &[html][..], true),
        (Method::GET, &[("accept", "*/*")], false),
        (Method::GET, &[("accept", "text/html;q=0, */*")], false),
        (Method::GET, &[html, ("x-requested-with", "XMLHttpRequest")], false),
        // A favicon, a service worker, a script, a frame, an image, what is fetched ahead.
        (Method::GET, &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image"), html], false),
        (Method::GET, &[("sec-fetch-mode", "same-origin"), ("sec-fetch-dest", "serviceworker"), html], false),
        (Method::GET, &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), html], false),
        (Method::GET, &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe"), html], false),
        (Method::GET, &[("sec-fetch-mode", "navigate"), html], false),
        (Method::GET, &[("sec-fetch-dest", "document"), html], false),
        (
            Method::GET,
            &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-purpose", "prefetch")],
            false,
        ),
        (Method::HEAD, NAVIGATE, false),
        (Method::PUT, &[html], false),
    ] {
        let verdict = world.verdict(&Asked { method: method.clone(), lines, ..Asked::default() });
        if starts {
            assert_eq!(cause(verdict), SignInCause::NoSession, "{method} {lines:?}");
        } else {
            assert_eq!(refusal(verdict), Refusal::NoToken, "{method} {lines:?}");
        }
    }
    let form = world.verdict(&Asked { method: Method::POST, ..Asked::default() });
    let Verdict::Own(form) = form else { panic!("{form:?}") };
    assert!(matches!(form.what, Own::FormNotSent { .. }), "a form that a person sent: {form:?}");
    let bearer = [NAVIGATE, &[("authorization", "Bearer x")]].concat();
    assert!(matches!(
        refusal(world.verdict(&Asked { lines: &bearer, ..Asked::default() })),
        Refusal::BadToken(_)
    ));
    let elsewhere = Asked { host: "api.test", ..Asked::default() };
    assert_eq!(refusal(world.verdict(&elsewhere)), Refusal::NoToken, "an app without a sign-in");
    let unknown = Asked { host: "unknown.test", ..Asked::default() };
    assert_eq!(refusal(world.verdict(&unknown)), Refusal::NoToken);
}

#[test]
fn trap_30_no_user_agent_is_an_exemption() {
    let world = World::new();
    for agent in ["", "kube-probe/1.31", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "Mozilla/5.0 (bot)"] {
        let lines = [NAVIGATE, &[("user-agent", agent)]].concat();
        assert_eq!(
            cause(world.verdict(&Asked { lines: &lines, ..Asked::default() })),
            SignInCause::NoSession
        );
        let lines = [("user-agent", agent)];
        assert_eq!(refusal(world.verdict(&Asked { lines: &lines, ..Asked::default() })), Refusal::NoToken);
    }
}

#[test]
fn a_cookie_is_sent_in_the_clear_to_nobody() {
    let world = World::new();
    let name = "portcullis-session";
    let of = |host: &'static str| {
        let record = world.record(|record| record.host = host.into());
        format!("{name}={}", world.sealed(&record))
    };
    let plain = |host, cookie| Asked { tls: false, host, cookie, ..Asked::default() };
    let (local, remote) = (of("localhost"), of(HOST));
    assert!(is_let_in(&world.verdict(&plain("localhost", Some(&local)))));
    assert_eq!(cause(world.verdict(&plain("localhost", None))), SignInCause::NoSession);
    // No sign-in begins where none could end.
    assert_eq!(refusal(world.verdict(&plain(HOST, Some(&remote)))), Refusal::NoToken);
    // Over https the name without the prefix is nobody's: a page on the network could have set it.
    let downgraded = Asked { cookie: Some(&remote), ..Asked::default() };
    assert_eq!(cause(world.verdict(&downgraded)), SignInCause::NoSession);
}

#[test]
fn a_cookie_that_is_not_ours_of_this_host_and_of_now_is_no_session() {
    let world = World::new();
    let good = world.cookie(|_| {});
    let (begin, end) = good.split_at(good.len() - 20);
    let altered = format!("{begin}{}{}", if end.starts_with('A') { "B" } else { "A" }, end.split_at(1).1);
    let foreign = Seals::new([&key(9)]);
    let sealed = |seals: &Seals, purpose, record: &SessionRecord| {
        format!("__Host-Http-portcullis={}", seals.seal(purpose, &record.to_bytes().unwrap()).unwrap())
    };
    let record = world.record(|_| {});
    let newer = {
        let mut bytes = record.to_bytes().unwrap();
        bytes[0] += 1;
        format!("__Host-Http-portcullis={}", world.snapshot.seals.seal(Purpose::Session, &bytes).unwrap())
    };
    let (none, expired) = (SignInCause::NoSession, SignInCause::Expired);
    for (name, cookie, expected) in [
        ("altered", altered, none),
        ("another key", sealed(&foreign, Purpose::Session, &record), none),
        ("another purpose", sealed(&world.snapshot.seals, Purpose::Attempt, &record), none),
        ("trap 33: a newer version", newer, none),
        ("doubled", format!("{good}; {good}"), none),
        ("doubled in another way", format!("{good}; __Host-Http-portcullis=x"), none),
        ("huge", format!("__Host-Http-portcullis={}", "A".repeat(9_000)), none),
        (
            "trap 9: chosen by somebody",
            "__Host-Http-portcullis=0123456789abcdef0123456789abcdef".into(),
            none,
        ),
        ("without the prefix", good.replace("__Host-Http-", ""), none),
        ("of another host", world.cookie(|record| record.host = "api.test".into()), none),
        ("of another provider", world.cookie(|record| record.provider = "second".into()), none),
        ("of no provider", world.cookie(|record| record.provider = "gone".into()), none),
        ("idle", world.cookie(|record| record.last_seen_at = NOW - 3_600), expired),
        ("over by what is configured", world.cookie(|record| record.created_at = NOW - 43_200), expired),
        ("over by what was configured", world.cookie(|record| record.ends_at = NOW), expired),
        ("trap 31: of no time", world.cookie(|record| record.created_at = i64::MIN), expired),
        ("trap 31: seen in the far past", world.cookie(|record| record.last_seen_at = i64::MIN), expired),
    ] {
        let verdict = world.verdict(&Asked { cookie: Some(&cookie), ..Asked::default() });
        assert_eq!(cause(verdict), expected, "{name}");
        let script = Asked { cookie: Some(&cookie), lines: &[], ..Asked::default() };
        assert_eq!(refusal(world.verdict(&script)), Refusal::NoToken, "{name}");
    }
    assert!(is_let_in(&world.verdict(&Asked { cookie: Some(&good), ..Asked::default() })), "the counterpart");
}

#[test]
fn a_remembered_session_ends_in_its_second() {
    let world = World::new();
    let cookie = world.cookie(|record| record.ends_at = NOW + 100);
    let at = |now| world.verdict(&Asked { cookie: Some(&cookie), now, ..Asked::default() });
    assert!(is_let_in(&at(NOW)) && is_let_in(&at(NOW + 99)));
    assert_eq!(cause(at(NOW + 100)), SignInCause::Expired);
    let cookie = world.cookie(|_| {});
    let at = |now, turn| world.verdict(&Asked { cookie: Some(&cookie), now, turn, ..Asked::default() });
    assert!(is_let_in(&at(NOW + 3_000, Turn::First)));
    assert!(is_let_in(&at(NOW + 6_500, Turn::First)), "it was used meanwhile");
    assert!(is_let_in(&at(NOW + 9_000, Turn::Again)), "what was let in before");
    assert_eq!(cause(at(NOW + 10_100, Turn::First)), SignInCause::Expired, "to look again is no use of it");
}

#[test]
fn a_former_key_opens_sessions_and_the_first_seals() {
    let world = World::with(&CONFIG.replace("[\"session.key\"]", "[\"session.key\", \"former.key\"]"));
    let record = world.record(|_| {});
    let sealed = Seals::new([&key(2)]).seal(Purpose::Session, &record.to_bytes().unwrap()).unwrap();
    let cookie = format!("__Host-Http-portcullis={sealed}");
    assert!(is_let_in(&world.verdict(&Asked { cookie: Some(&cookie), ..Asked::default() })));
}

#[test]
fn never_n101_a_session_that_was_ended_is_honoured_on_no_request() {
    let world = World::new();
    let cookies = [world.cookie(|_| {}), world.cookie(|record| record.sid = None)];
    let ask = |cookie: &str| world.verdict(&Asked { cookie: Some(cookie), ..Asked::default() });
    assert!(cookies.iter().all(|cookie| is_let_in(&ask(cookie))));
    let revoke = |who| {
        let revoked = Revoked { who, cause: Cause::BackChannel };
        // Whether it outlives this process is the journal's to say, which is not open here.
        let _ = futures_block_on(
            world.state.sessions().unwrap().revocations().revoke(&revoked, Moment::of_secs(NOW)),
        );
    };
    let issuer = || "https://id.test/tenant".to_owned();
    revoke(Who::Session { issuer: issuer(), sid: "s-1".into() });
    assert_eq!(cause(ask(&cookies[0])), SignInCause::Expired);
    assert!(is_let_in(&ask(&cookies[1])), "of another session at the provider");
    revoke(Who::Subject { issuer: issuer(), sub: "anna".into() });
    for cookie in &cookies {
        assert_eq!(cause(ask(cookie)), SignInCause::Expired);
        let lasts = Asked { cookie: Some(cookie), turn: Turn::Again, ..Asked::default() };
        assert_eq!(refusal(world.verdict(&lasts)), Refusal::NoToken, "n81: what lasts ends, too");
    }
    let later = world.cookie(|record| record.signed_in = Moment::of_secs(NOW + 1));
    assert!(is_let_in(&ask(&later)), "the next sign-in is a new one");
}

fn futures_block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn policies_that_ask_for_more_lead_to_a_sign_in_that_asks_for_it_and_never_twice_at_once() {
    let world = World::new();
    let cookie = world.cookie(|_| {});
    let pay = |cookie, lines| Asked { target: "/pay/1", cookie, lines, ..Asked::default() };
    let Own::SignIn { demand, cause, .. } = sign_in(world.verdict(&pay(Some(&cookie), NAVIGATE))).what else {
        unreachable!()
    };
    assert_eq!((cause, demand.acr_values.as_slice()), (SignInCause::StepUp, &["gold".to_owned()][..]));
    let refused = refusal(world.verdict(&pay(Some(&cookie), &[])));
    assert_eq!(refused.info().status, 401, "a script is challenged: {refused:?}");
    // The next session was asked for it, and its provider did not deliver.
    let answered = world.cookie(|record| {
        record.answered = Some(demand.digest());
        record.signed_in_at = NOW - 5;
    });
    let (verdict, facts) = world.judge(&pay(Some(&answered), NAVIGATE));
    assert!(matches!(refusal(verdict), Refusal::Policy(..)) && facts.step_up_not_delivered);
    let later = world.verdict(&Asked { now: NOW + 120, ..pay(Some(&answered), NAVIGATE) });
    assert!(matches!(sign_in(later).what, Own::SignIn { cause: SignInCause::StepUp, .. }), "a new attempt");
    let gold = world.record_of(&json!({"sub": "anna", "acr": "gold", "auth_time": NOW - 60}), |_| {});
    let gold = format!("__Host-Http-portcullis={}", world.sealed(&gold));
    assert!(is_let_in(&world.verdict(&pay(Some(&gold), NAVIGATE))), "the counterpart");
}

#[test]
fn nobody_is_sent_to_a_sign_in_that_nothing_could_be_asked_for() {
    let world = World::with(&CONFIG.replace("mfa-acrs = [\"gold\"]", ""));
    let cookie = world.cookie(|_| {});
    let asked = Asked { target: "/pay/1", cookie: Some(&cookie), lines: NAVIGATE, ..Asked::default() };
    let (verdict, facts) = world.judge(&asked);
    assert!(matches!(refusal(verdict), Refusal::Policy(..)) && facts.step_up_not_delivered);
}

#[test]
fn a_sign_in_that_is_too_old_leads_to_a_fresh_one() {
    let world = World::new();
    let old = world.record_of(&json!({"sub": "anna", "auth_time": NOW - 7_200}), |_| {});
    let old = format!("__Host-Http-portcullis={}", world.sealed(&old));
    let fresh = Asked { target: "/fresh/1", cookie: Some(&old), ..Asked::default() };
    let Own::SignIn { demand, .. } = sign_in(world.verdict(&fresh)).what else { unreachable!() };
    assert_eq!((demand.max_age_secs, demand.prompt), (Some(3_600), None::<Prompt>));
    let asked_for = |auth_time: i64| {
        let claims = json!({"sub": "anna", "auth_time": auth_time});
        let record = world.record_of(&claims, |record| {
            record.answered = Some(demand.digest());
            record.signed_in_at = NOW - 10;
        });
        let cookie = format!("__Host-Http-portcullis={}", world.sealed(&record));
        world.judge(&Asked { cookie: Some(&cookie), ..fresh.clone() })
    };
    let (verdict, _) = asked_for(NOW - 3_605);
    assert!(matches!(sign_in(verdict).what, Own::SignIn { .. }), "it was fresh, and has aged since");
    let (verdict, facts) = asked_for(NOW - 7_200);
    assert!(matches!(refusal(verdict), Refusal::Policy(..)) && facts.step_up_not_delivered);
}

#[test]
fn never_n85_a_websocket_of_a_foreign_page_does_not_ride_on_the_session() {
    let world = World::new();
    let cookie = world.cookie(|_| {});
    let socket = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
    let from = |origin: &'static str| [&socket[..], &[("origin", origin)]].concat();
    let ask = |lines: &[(&str, &str)]| {
        world.verdict(&Asked { cookie: Some(&cookie), lines, target: "/socket", ..Asked::default() })
    };
    for origin in
        ["https://evil.test", "http://wiki.test", "https://wiki.test:444", "null", "https://wiki.test.evil"]
    {
        assert_eq!(refusal(ask(&from(origin))), Refusal::BadRequest(BadRequest::Origin), "{origin}");
    }
    assert!(is_let_in(&ask(&from("https://wiki.test"))), "the counterpart");
    let without = world.verdict(&Asked { lines: &from("https://wiki.test"), ..Asked::default() });
    assert_eq!(refusal(without), Refusal::NoToken, "a socket is challenged, never sent to sign in");
}

#[test]
fn never_n83_a_path_that_any_app_may_take_for_ours_reaches_no_app() {
    let world = World::new();
    let cookie = world.cookie(|_| {});
    for target in [
        "/.portcullis",
        "/.portcullis/",
        "/.portcullis/unknown",
        "/.portcullis/sign-in/",
        "/.portcullis/callback",
        "/.portcullis/callback/",
        "/.portcullis/callback/MAIN",
        "/.PORTCULLIS/me",
        "/.Portcullis/sign-out?x",
        "//.portcullis/me",
        "/.portcullis//me",
        "/.portcullis;x/me",
        "/.portcullis%2Fme",
        "/.portcullis/me;x=1",
        "/%2eportcullis/me",
        "/%2Eportcullis/me",
        "/x/../.portcullis/me",
        "/./.portcullis/me",
        "/.portcullis/%6De",
        "/.p%6Frtcullis/me",
        "/.portcullis\\me",
        "/.portcullis%5Cme",
    ] {
        for lines in [NAVIGATE, &[]] {
            let verdict = world.verdict(&Asked { target, lines, cookie: Some(&cookie), ..Asked::default() });
            assert!(matches!(verdict, Verdict::Refusal(_)), "{target}: {verdict:?}");
        }
        // Where there is no sign-in, they are nobody's either.
        let verdict = world.verdict(&Asked { target, host: "api.test", ..Asked::default() });
        assert!(matches!(verdict, Verdict::Refusal(_)), "{target}: {verdict:?}");
    }
    for (target, path) in [
        ("/.portcullis/sign-in?return=/a", OwnPath::SignIn),
        ("/.portcullis/callback/second?code=x&state=y", OwnPath::Callback(Some(1))),
        ("/.portcullis/callback/unknown?code=x", OwnPath::Callback(None)),
        ("/.portcullis/hand-over?code=x", OwnPath::HandOver),
        ("/.portcullis/sign-out", OwnPath::SignOut),
        ("/.portcullis/signed-out", OwnPath::SignedOut),
        ("/.portcullis/logout/frontchannel?iss=x&sid=y", OwnPath::FrontChannelLogout),
        ("/.portcullis/me", OwnPath::Me),
        ("/.portcullis/keys", OwnPath::Keys),
    ] {
        match world.verdict(&Asked { target, cookie: Some(&cookie), ..Asked::default() }) {
            Verdict::Own(own) => {
                assert_eq!((own.what.clone(), own.target.as_str()), (Own::Path(path), target));
                assert_eq!(own.session.is_some(), path.needs_session(), "{target}");
            }
            other => panic!("{target}: {other:?}"),
        }
    }
    let beside =
        world.verdict(&Asked { target: "/.portcullisx/me", cookie: Some(&cookie), ..Asked::default() });
    assert!(is_let_in(&beside), "the counterpart: {beside:?}");
}

#[test]
fn trap_28_own_paths_take_their_own_methods_alone() {
    let world = World::new();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let post = [form, ("origin", "https://wiki.test"), ("sec-fetch-site", "same-origin")];
    let own = "https://wiki.test";
    let not_allowed = Some(Refusal::BadRequest(BadRequest::MethodNotAllowed));
    let foreign = Some(Refusal::BadRequest(BadRequest::Origin));
    for (method, target, lines, expected) in [
        (Method::OPTIONS, "/.portcullis/sign-in", NAVIGATE, not_allowed),
        (Method::OPTIONS, "/.portcullis/logout/backchannel", &[form][..], not_allowed),
        (Method::HEAD, "/.portcullis/callback/main?code=x", NAVIGATE, not_allowed),
        (Method::POST, "/.portcullis/callback/main", &post, not_allowed),
        (Method::PUT, "/.portcullis/sign-out", &post, not_allowed),
        (Method::GET, "/.portcullis/logout/backchannel", NAVIGATE, not_allowed),
        (Method::POST, "/.portcullis/sign-out", &post, None),
        (Method::POST, "/.portcullis/sign-out", &[form], foreign),
        (Method::POST, "/.portcullis/sign-out", &[form, ("origin", "null")], foreign),
        (Method::POST, "/.portcullis/sign-out", &[form, ("origin", "https://evil.test")], foreign),
        (
            Method::POST,
            "/.portcullis/sign-out",
            &[form, ("origin", own), ("sec-fetch-site", "same-site")],
            foreign,
        ),
        (
            Method::POST,
            "/.portcullis/sign-out",
            &[("content-type", "text/plain"), ("origin", own)],
            Some(Refusal::BadRequest(BadRequest::Header)),
        ),
        (Method::POST, "/.portcullis/logout/backchannel", &[form], None),
        (
            Method::POST,
            "/.portcullis/logout/backchannel",
            &[form, ("content-length", "65537")],
            Some(Refusal::BodyTooLarge),
        ),
        (Method::GET, "/.portcullis/me", &[("content-length", "1")], Some(Refusal::BodyTooLarge)),
        (Method::GET, "/.portcullis/me", &[("sec-fetch-site", "same-origin")], None),
        (Method::GET, "/.portcullis/me", &[("sec-fetch-site", "cross-site")], foreign),
        (Method::GET, "/.portcullis/me", &[("origin", "https://evil.test")], foreign),
        (Method::GET, "/.portcullis/sign-in", &[("sec-fetch-mode", "cors")], foreign),
        (Method::GET, "/.portcullis/callback/main?code=x", &[], foreign),
    ] {
        let verdict = world.verdict(&Asked { method: method.clone(), target, lines, ..Asked::default() });
        match (verdict, expected) {
            (Verdict::Own(_), None) => {}
            (Verdict::Refusal(found), Some(expected)) => {
                assert_eq!(found, expected, "{method} {target} {lines:?}");
            }
            (verdict, _) => panic!("{method} {target} {lines:?}: {verdict:?}"),
        }
    }
}

#[test]
fn trap_07_letter_case_hides_nothing() {
    let world = World::new();
    let cookie = world.cookie(|_| {});
    assert!(is_let_in(&world.verdict(&Asked {
        host: "WIKI.Test",
        cookie: Some(&cookie),
        ..Asked::default()
    })));
    // Names of cookies have a case (RFC 6265, section 5.4): another is another cookie.
    let other = cookie.replace("__Host-Http-portcullis", "__HOST-HTTP-PORTCULLIS");
    assert_eq!(
        cause(world.verdict(&Asked { cookie: Some(&other), ..Asked::default() })),
        SignInCause::NoSession
    );
    let shouted = [("Sec-Fetch-Mode", "NAVIGATE"), ("Sec-Fetch-Dest", "Document")];
    assert_eq!(cause(world.verdict(&Asked { lines: &shouted, ..Asked::default() })), SignInCause::NoSession);
}

#[test]
fn trap_29_sign_ins_are_limited_by_a_configuration_that_says_nothing_of_limits() {
    let world = World::new();
    let mut verdicts = (0..600).map(|_| world.verdict(&Asked::default()));
    let limited = verdicts
        .position(|verdict| matches!(verdict, Verdict::Refusal(Refusal::TooManyRequests(Sender::Address))));
    assert!(limited.is_some_and(|after| after >= 500), "{limited:?}");
    let cookie = world.cookie(|_| {});
    assert!(
        is_let_in(&world.verdict(&Asked { cookie: Some(&cookie), ..Asked::default() })),
        "who is in goes on"
    );
    // Nor does it keep out what a provider says behind the same address.
    let logout = Asked {
        target: "/.portcullis/logout/backchannel",
        method: Method::POST,
        lines: &[("content-type", "application/x-www-form-urlencoded")],
        ..Asked::default()
    };
    assert!(matches!(world.verdict(&logout), Verdict::Own(_)));
}

#[test]
fn a_cookie_is_renewed_when_it_says_too_little_of_its_use_and_not_by_each_answer() {
    let world = World::new();
    let sessions = world.state.sessions().unwrap();
    let keeping = |now| Keeping {
        seals: &world.snapshot.seals,
        settings: world.snapshot.config.session.as_ref().unwrap(),
        form: CookieForm::Secure,
        verifier: &world.snapshot.verifier,
        now,
    };
    let renewed = |cookie: &str, lasting, now| {
        let (_, facts) = world.judge(&Asked { cookie: Some(cookie), now, ..Asked::default() });
        let set = sessions.renewed(&facts.session.unwrap(), lasting, &keeping(now));
        set.map(|set| set.to_str().unwrap().to_owned())
    };
    let cookie = world.cookie(|_| {});
    assert_eq!(renewed(&cookie, None, NOW + 300), None);
    let set = renewed(&cookie, None, NOW + 400).expect("after a tenth of the idle time");
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{set}");
    assert_eq!(renewed(&cookie, None, NOW + 401), None, "other answers of the same page");
    let (next, _) = set.split_once(';').unwrap();
    assert!(is_let_in(&world.verdict(&Asked { cookie: Some(next), now: NOW + 3_900, ..Asked::default() })));
    // Policies say that the browser keeps it.
    let cookie = world.cookie(|_| {});
    let set = renewed(&cookie, Some(Lasting::UntilItEnds), NOW).unwrap();
    assert!(set.ends_with("; Secure; Max-Age=40000"), "{set}");
    let (kept, _) = set.split_once(';').unwrap();
    assert_eq!(renewed(kept, Some(Lasting::UntilItEnds), NOW + 40), None);
    let set = renewed(kept, Some(Lasting::BrowserSession), NOW + 80).unwrap();
    assert!(!set.contains("Max-Age"), "{set}");
}

#[test]
fn a_session_that_fits_into_no_cookie_is_said_to_need_a_store() {
    let world = World::new();
    let sessions = world.state.sessions().unwrap();
    let groups: Vec<String> = (0..200).map(|_| uuid::Uuid::now_v7().to_string()).collect();
    let record = world.record_of(&json!({"sub": "anna", "groups": groups}), |_| {});
    let keeping = Keeping {
        seals: &world.snapshot.seals,
        settings: world.snapshot.config.session.as_ref().unwrap(),
        form: CookieForm::Secure,
        verifier: &world.snapshot.verifier,
        now: NOW,
    };
    let problem = futures_block_on(sessions.open(&record, None, &keeping)).unwrap_err();
    assert!(problem.to_string().contains("`store`"), "{problem}");
    let small = world.record(|_| {});
    assert!(futures_block_on(sessions.open(&small, None, &keeping)).is_ok(), "the counterpart");
}

#[test]
fn a_session_whose_claims_were_kept_by_other_settings_is_over() {
    let world = World::new();
    let mut other = world.snapshot.config.issuers[0].clone();
    other.claims.extra.push("department".into());
    let claims = token::session_claims(&json!({"sub": "anna"}), &other);
    let cookie = world.cookie(|record| record.claims = claims);
    assert_eq!(
        cause(world.verdict(&Asked { cookie: Some(&cookie), ..Asked::default() })),
        SignInCause::Expired
    );
}

#[test]
fn no_session_is_shown_by_debug() {
    let world = World::new();
    let record = world.record(|_| {});
    let cookie = world.cookie(|_| {});
    let (_, facts) = world.judge(&Asked { cookie: Some(&cookie), ..Asked::default() });
    let shown = format!("{:?} {:?} {:?}", facts.session, record.id, world.state.sessions());
    assert!(!shown.contains("anna") && !shown.contains(cookie.split_at(30).1), "{shown}");
}

/// What comes of a request with this session of a store, once that was asked.
fn loaded(world: &World, id: SessionId) -> (Verdict, RequestFacts) {
    let sealed = world.snapshot.seals.seal(Purpose::SessionId, id.bytes()).unwrap();
    let cookie = format!("__Host-Http-portcullis={sealed}");
    let asked = Asked { cookie: Some(&cookie), now: unix_now(), ..Asked::default() };
    match world.judge(&asked) {
        (Verdict::Load(handle), _) => {
            futures_block_on(world.state.load_session(&handle));
            world.judge(&Asked { turn: Turn::Loaded, ..asked })
        }
        known => known,
    }
}

#[test]
fn trap_32_a_store_that_does_not_answer_sends_nobody_to_sign_in() {
    let world =
        World::with(&CONFIG.replace("idle = \"1h\"", "store = { redb = \"sessions.redb\" }\nidle = \"1h\""));
    let sessions = world.state.sessions().unwrap();
    let id = SessionId::draw().unwrap();
    // Nobody has opened it yet.
    assert_eq!(refusal(loaded(&world, id).0), Refusal::SessionsUnavailable);
    assert_eq!(refusal(loaded(&world, id).0), Refusal::SessionsUnavailable, "nor is it asked each time");
    assert_eq!(Refusal::SessionsUnavailable.info().status, 503);
    let absent = world.verdict(&Asked { now: unix_now(), ..Asked::default() });
    assert_eq!(cause(absent), SignInCause::NoSession, "who has no cookie is no matter of the store");

    futures_block_on(world.state.storage().unwrap().open()).unwrap();
    let now = unix_now();
    let record = world.record(|record| {
        (record.created_at, record.signed_in_at, record.last_seen_at) = (now, now, now);
        record.ends_at = now + 40_000;
    });
    let keeping = Keeping {
        seals: &world.snapshot.seals,
        settings: world.snapshot.config.session.as_ref().unwrap(),
        form: CookieForm::Secure,
        verifier: &world.snapshot.verifier,
        now,
    };
    let set = futures_block_on(sessions.open(&record, None, &keeping)).unwrap();
    assert!(set.len() < 300, "the cookie has the id alone: {set:?}");
    assert!(is_let_in(&loaded(&world, record.id).0), "the counterpart");
    let former = loaded(&world, record.id).1.session.unwrap();
    // The next sign-in of the same browser takes its place.
    let next = SessionRecord { id: SessionId::draw().unwrap(), ..record.clone() };
    futures_block_on(sessions.open(&next, Some(&former), &keeping)).unwrap();
    assert!(is_let_in(&loaded(&world, next.id).0));
    assert_eq!(cause(loaded(&world, record.id).0), SignInCause::Expired, "trap 9: the former one is dead");
}
