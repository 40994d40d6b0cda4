//! What a denial promises, over every refusal, form and disclosure.

mod actions;
mod challenges;
mod disclosure;
mod form;
mod programs;
mod remedies;
mod spoken;
mod support_code;
mod written;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use portcullis_config::Config;
use portcullis_config::settings::{
    self, DecisionLog, Disclosure, ForwardedHeader, LogSink, Server, Subject, TrustedProxies,
};
use portcullis_policy::PolicySet;
use portcullis_policy::decision::{ReasonCode, ReasonSet, Refused};
use portcullis_policy::model::{
    AuthenticationStrength, ClientAppType, Conditions, Control, CountryCode, Evidence, Grant, Operator,
    Platform, Policy, PolicyId, PolicyState, SessionControls, SignInFrequency, Subjects, Targets, Users,
};
use portcullis_policy::remedy::{Remedies, Remedy, StrongerMethod};
use serde_json::Value;

use super::{Answer, Denials, DeviceState, Facts, RequestHints};
use crate::refusal::{Refusal, Subcode};

const NOW: i64 = 1_795_487_466_123;
const ID: u128 = 0x0193_7e2a_1b2c_7d3e_8f40_5162_7384_95a6;
const BLOCKED: Refusal = refused(ReasonCode::BlockedByLocation);
const BROWSER: RequestHints<'static> = RequestHints::of_get("text/html", Some("navigate"));
const SCRIPT: RequestHints<'static> = RequestHints::of_get("application/json", None);
const TERMINAL: RequestHints<'static> = RequestHints::of_get("text/plain", None);

const fn refused(primary: ReasonCode) -> Refusal {
    let reasons = ReasonSet::EMPTY.with(primary);
    Refusal::Policy(Refused { primary, reasons, temporary: false }, Subcode::None)
}

fn branding() -> settings::Denial {
    settings::Denial {
        installation: "Northwind access".into(),
        contact_mail: Some("help@northwind.example".into()),
        contact_url: Some("https://help.northwind.example/".into()),
        remediation_url: Some("https://devices.northwind.example/".into()),
        ..settings::Denial::default()
    }
}

fn config(denial: settings::Denial, policies: PolicySet) -> Config {
    Config {
        server: Server {
            listeners: Vec::new(),
            admin: "127.0.0.1:9090".parse().unwrap(),
            help_desk: None,
            threads: None,
            grace: std::time::Duration::ZERO,
            pre_stop_delay: std::time::Duration::ZERO,
            upgrade_socket: "u".into(),
            pid_file: "p".into(),
            client_idle: std::time::Duration::ZERO,
            upstream_pool: 0,
            body_bytes_max: 0,
            limits: settings::Limits {
                waiting: 10_000,
                connections: None,
                connections_per_address: 512,
                connections_per_proxy: None,
                head_bytes_max: 48 << 10,
                head_time: std::time::Duration::from_secs(15),
                handshake_time: std::time::Duration::from_secs(10),
                streams_before_grant: 16,
                streams: 100,
                unfinished_heads: 64 << 20,
                unsent_per_connection: 1 << 20,
                unsent: Some(64 << 20),
                stall: std::time::Duration::from_secs(5),
                failed_verifications: settings::Rate {
                    count: 1,
                    per: std::time::Duration::from_secs(1),
                    burst: 1,
                },
            },
            decision_log: DecisionLog { sink: LogSink::Off, grants_one_in: None, access: None },
            process_log: settings::ProcessLog::Text,
            decision_subject: Subject::Hashed,
        },
        trusted_proxies: TrustedProxies { networks: Vec::new(), header: ForwardedHeader::XForwardedFor },
        issuers: Vec::new(),
        providers: Vec::new(),
        session: None,
        sign_in_host: None,
        assertion: None,
        apps: Vec::new(),
        dns: settings::Dns {
            servers: Vec::new(),
            timeout: std::time::Duration::ZERO,
            ttl_min: std::time::Duration::ZERO,
            ttl_max: std::time::Duration::ZERO,
            hold: std::time::Duration::ZERO,
        },
        geo: None,
        denial,
        policies,
        policy_places: Vec::new(),
        files: Vec::new(),
    }
}

fn denials_of(denial: settings::Denial) -> Denials {
    Denials::new(&config(denial, PolicySet::default()), 1)
}

fn denials() -> Denials {
    denials_of(branding())
}

/// Asks each time a room that has counted no refusal yet.
fn render(
    denials: &Denials,
    refusal: &Refusal,
    facts: &Facts<'_>,
    hints: &RequestHints<'_>,
    shown: Disclosure,
) -> Answer {
    denials.repeats.forget();
    denials.render_at(refusal, facts, hints, shown)
}

static REMEDIES_FOUND: LazyLock<Remedies> =
    LazyLock::new(|| Remedies::example([vec![Remedy::LeaveNetwork], vec![Remedy::CompliantDevice]]));

/// One remedy of each kind.
const REMEDIES: [Remedy; 17] = [
    Remedy::LeaveNetwork,
    Remedy::CompliantDevice,
    Remedy::HybridJoinedDevice,
    Remedy::RegisteredDevice,
    Remedy::OtherDevice,
    Remedy::OtherCountry,
    Remedy::ApprovedNetwork,
    Remedy::ApprovedClientApp,
    Remedy::ProtectedClientApp,
    Remedy::OtherSignInFlow,
    Remedy::ChangePassword,
    Remedy::AcceptTerms,
    Remedy::ExternalControl,
    Remedy::StrongerSignIn { method: StrongerMethod::Mfa },
    Remedy::SignInAgain,
    Remedy::NewerOs,
    Remedy::LaterTime { at: 0 },
];

fn facts() -> Facts<'static> {
    Facts {
        app: Some(("payroll", "Payroll")),
        user: Some("kari@northwind.example"),
        client: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
        country: CountryCode::new("NO"),
        platform: Some(Platform::Windows),
        client_app: Some(ClientAppType::Browser),
        device: DeviceState::NotCompliant { id: "5f3c2a10-77aa-4c1e-9d6b-0a1b2c3d4e5f" },
        device_os: Some("Windows"),
        os_version: Some("10.0.22631"),
        remedies: Some(&REMEDIES_FOUND),
        sign_in_url: Some("/sign-in"),
        ..Facts::of_request(ID, NOW)
    }
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn every_refusal() -> Vec<Refusal> {
    let by_policies = |refusal: &Refusal| matches!(refusal, Refusal::Policy(..));
    let mut list: Vec<_> = Refusal::all().iter().copied().filter(|one| !by_policies(one)).collect();
    list.push(Refusal::Upstream { status: 504 });
    for primary in ReasonCode::ALL {
        for temporary in [false, true] {
            let reasons = ReasonCode::ALL.into_iter().fold(ReasonSet::EMPTY, ReasonSet::with);
            for reasons in [ReasonSet::EMPTY.with(primary), reasons] {
                for subcode in Subcode::ALL {
                    list.push(Refusal::Policy(Refused { primary, reasons, temporary }, subcode));
                }
            }
        }
    }
    list
}

fn every_answer(facts: &Facts<'_>) -> Vec<(Refusal, Answer)> {
    let denials = denials();
    let mut list = Vec::new();
    for refusal in every_refusal() {
        for hints in [BROWSER, SCRIPT, TERMINAL] {
            for disclosure in [Disclosure::Minimal, Disclosure::Standard, Disclosure::Full] {
                list.push((refusal, render(&denials, &refusal, facts, &hints, disclosure)));
            }
        }
    }
    list
}

fn policy(id: &str, grant: Grant, session: SessionControls) -> Policy {
    Policy {
        id: PolicyId::new(id).unwrap(),
        name: format!("secret name of {id}"),
        state: PolicyState::Enabled,
        subjects: Subjects::Users(Users::default()).into(),
        targets: Targets::Contexts(Vec::new()).into(),
        conditions: Conditions::default().into(),
        grant,
        session,
    }
}

/// Three policies: a strength, another strength with a sign-in frequency, and MFA.
fn step_up_policies() -> PolicySet {
    let strength = |name: &str, acrs: &[&str]| AuthenticationStrength {
        name: name.into(),
        combinations: Vec::new(),
        acrs: acrs.iter().map(|acr| (*acr).to_owned()).collect(),
        contexts: Vec::new(),
    };
    let require = |control: Control| Grant::Require { operator: Operator::And, controls: vec![control] };
    let every = |secs| SessionControls {
        sign_in_frequency: Some(SignInFrequency::Every(std::time::Duration::from_secs(secs))),
        persistent_browser: None,
    };
    PolicySet {
        strengths: vec![strength("strong", &["phr", "bad\"value", "phrh"]), strength("stronger", &["phrh"])],
        evidence: Evidence { mfa_acrs: vec!["mfa".into(), "phr".into()], ..Evidence::default() },
        policies: vec![
            policy("secret-one", require(Control::Strength("strong".into())), SessionControls::default()),
            policy("secret-two", require(Control::Strength("stronger".into())), every(3_600)),
            policy("secret-three", require(Control::Mfa), every(600)),
        ],
        ..PolicySet::default()
    }
}
