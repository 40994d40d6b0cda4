//! Small random worlds: a policy set, and questions about it. Made from bytes, so that property tests
//! can shrink them and a fuzzer can steer them; when the bytes end, every choice is the simplest.
//!
//! Atoms are few on purpose: policies and requests must meet often, or nothing is tested.

pub(crate) mod rules;

use std::sync::LazyLock;
use std::time::Duration;

use portcullis_policy::decision::{Generation, PolicyIndex, PolicyResult};
use portcullis_policy::model::*;
use portcullis_policy::path::PathCase;
use portcullis_policy::reference::Conclusion;
use portcullis_policy::signals::*;
use portcullis_policy::{CompiledPolicies, Decision, PolicySet};

/// Monday 2027-01-18 08:00 UTC, a little past.
pub(crate) const NOW: i64 = 1_800_259_200 + 17;

const APPS: [&str; 3] = ["wiki", "payroll", "admin"];
const PERSONS: [&str; 3] = ["alice", "bob", "carol"];
const PROGRAMS: [&str; 2] = ["backup", "deploy"];
const GROUPS: [&str; 3] = ["engineering", "sales", "emergency-access"];
const ROLES: [&str; 2] = ["global-administrator", "reader"];
const TENANTS: [&str; 2] = ["tenant-a", "tenant-b"];
const LOCATIONS: [&str; 6] = ["office", "branch", "lab", "home-countries", "far-countries", "six"];
const COUNTRIES: [&str; 4] = ["DE", "NO", "US", "KP"];
const STRENGTHS: [&str; 3] = ["phishing-resistant", "two-keys", "impossible"];
const METHODS: [&str; 5] = ["mfa", "fido", "pwd", "hwk", "otp"];
const CLIENTS: [&str; 3] = ["approved-client", "protected-client", "other-client"];
const TERMS: [&str; 2] = ["terms-2026", "terms-guest"];
const CUSTOMS: [&str; 2] = ["duo", "badge"];
const CONTEXTS: [&str; 3] = ["c1", "c2", "c99"];
const HTTP_METHODS: [&str; 3] = ["GET", "POST", "DELETE"];
const PATHS: [&str; 11] = [
    "/",
    "/admin",
    "/Admin/",
    "/admin/users",
    "/administrator",
    "/ADMIN/Users/",
    "/public",
    "/public/x",
    "/übung",
    "/adm\u{131}n",
    "/ÜBUNG/x",
];
const ADDRESSES: [&str; 8] = [
    "203.0.113.9",
    "203.0.113.200",
    "198.51.100.7",
    "2001:db8::1",
    "::ffff:203.0.113.9",
    "2001:db8:ffff::1",
    "192.0.2.1",
    "10.1.2.3",
];
static PHYSICAL_IDS: LazyLock<Vec<String>> = LazyLock::new(|| vec!["[ZTDId]:1".into(), "[GID]:2".into()]);
static EXTENSIONS: LazyLock<Vec<(u8, String)>> =
    LazyLock::new(|| vec![(1, "kiosk".into()), (1, "SAW".into())]);
static SYSTEM_LABELS: LazyLock<Vec<String>> = LazyLock::new(|| vec!["AutopilotDevice".into()]);

/// Choices, one byte each.
pub(crate) struct Choices<'b> {
    bytes: &'b [u8],
}

impl<'b> Choices<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    /// A number below `count`, which is at most 256.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        usize::from(*first) % count
    }

    /// True for one byte in `count`.
    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    pub(crate) fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Some of the items, at most `most`.
    fn some<T: Copy>(&mut self, items: &[T], most: usize) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| self.of(items)).collect()
    }

    fn words(&mut self, items: &[&str], most: usize) -> Vec<String> {
        self.some(items, most).into_iter().map(|word| self.cased(word)).collect()
    }

    /// The same name, now and then in capitals: ids compare without case.
    fn cased(&mut self, word: &str) -> String {
        if self.one_in(4) { word.to_ascii_uppercase() } else { word.to_owned() }
    }

    pub(crate) fn maybe<T>(&mut self, one_in: usize, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.one_in(one_in).then(|| make(self))
    }

    /// Known mostly, unknown now and then, unavailable more seldom.
    fn fact<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Fact<T> {
        match self.below(8) {
            0 => Fact::Unknown,
            7 => Fact::Unavailable,
            _ => Fact::Known(make(self)),
        }
    }
}

/// A set of up to `most` policies over a fixed small world.
pub(crate) fn policy_set(choices: &mut Choices<'_>, most: usize) -> PolicySet {
    let count = choices.below(most + 1);
    let unmatched = |choices: &mut Choices<'_>| choices.of(&[Unmatched::Deny, Unmatched::Allow]);
    let network = |name: &str, networks: &[&str], trusted| NamedLocation {
        name: name.to_owned(),
        place: Place::Networks {
            networks: networks.iter().map(|one| one.parse().unwrap()).collect(),
            trusted,
        },
    };
    let country = |name: &str, countries: &[&str], include_unknown| NamedLocation {
        name: name.to_owned(),
        place: Place::Countries {
            countries: countries.iter().map(|one| CountryCode::new(one).unwrap()).collect(),
            include_unknown,
        },
    };
    let contexts = |names: &[&str]| -> Vec<AuthenticationContext> {
        names.iter().map(|name| AuthenticationContext::new(name).unwrap()).collect()
    };
    // What counts as evidence differs from world to world: in some, no token could prove a thing.
    let mfa_contexts = if choices.one_in(3) { contexts(&["c1"]) } else { vec![] };
    let key_contexts = if choices.one_in(3) { contexts(&["c2", "c99"]) } else { vec![] };
    let strength = |name: &str, combinations: &[&[&str]], acrs: &[&str]| AuthenticationStrength {
        name: name.to_owned(),
        combinations: combinations
            .iter()
            .map(|methods| methods.iter().map(|method| (*method).to_owned()).collect())
            .collect(),
        acrs: acrs.iter().map(|acr| (*acr).to_owned()).collect(),
        contexts: if name == "two-keys" { key_contexts.clone() } else { vec![] },
    };
    PolicySet {
        apps: APPS
            .iter()
            .enumerate()
            .map(|(position, id)| App {
                id: (*id).to_owned(),
                groups: if position == 0 { vec![] } else { vec!["confidential".into()] },
                attributes: if position == 2 {
                    vec![("tier".into(), Value::Text("gold".into())), ("public".into(), Value::Bool(true))]
                } else {
                    vec![]
                },
                assigned: choices.maybe(8, |choices| user_selectors(choices, 3)),
                unmatched: unmatched(choices),
                paths: choices.of(&[PathCase::Unknown, PathCase::Sensitive, PathCase::Insensitive]),
            })
            .collect(),
        locations: vec![
            network("office", &["203.0.113.0/25", "2001:db8::/48"], true),
            network("branch", &["203.0.113.0/24"], false),
            network("lab", &["10.0.0.0/8", "198.51.100.7/32"], true),
            country("home-countries", &["DE", "NO"], false),
            country("far-countries", &["KP"], true),
            network("six", &["2001:db8::/32"], false),
        ],
        strengths: vec![
            strength("phishing-resistant", &[&["FIDO"], &["hwk", "pwd"]], &["phr"]),
            strength("two-keys", &[&["hwk", "otp"]], &[]),
            strength("impossible", &[], &[]),
        ],
        evidence: Evidence {
            mfa_acrs: vec!["urn:mfa".into()],
            mfa_contexts,
            approved_clients: vec!["approved-client".into()],
            protected_clients: vec!["protected-client".into()],
            ..Evidence::default()
        },
        policies: (0..count).map(|position| policy(choices, &format!("p{position}"))).collect(),
    }
}

/// Any policy that compiles.
pub(crate) fn policy(choices: &mut Choices<'_>, id: &str) -> Policy {
    let grant = grant(choices);
    let mut session = SessionControls {
        sign_in_frequency: choices.maybe(3, |choices| {
            choices.of(&[
                SignInFrequency::EveryTime,
                SignInFrequency::Every(Duration::from_secs(3_600)),
                SignInFrequency::Every(Duration::from_secs(86_400)),
            ])
        }),
        persistent_browser: choices
            .maybe(5, |choices| choices.of(&[Persistence::Always, Persistence::Never])),
    };
    if grant == Grant::SessionOnly && session == SessionControls::default() {
        session.persistent_browser = Some(Persistence::Always);
    }
    Policy {
        id: PolicyId::new(id).unwrap(),
        name: id.to_owned(),
        state: choices.of(&[
            PolicyState::Enabled,
            PolicyState::Enabled,
            PolicyState::Enabled,
            PolicyState::Enabled,
            PolicyState::ReportOnly,
            PolicyState::Disabled,
        ]),
        subjects: subjects(choices).into(),
        targets: targets(choices).into(),
        conditions: conditions(choices).into(),
        grant,
        session,
    }
}

fn subjects(choices: &mut Choices<'_>) -> Subjects {
    if choices.one_in(6) {
        let selectors = |choices: &mut Choices<'_>, most: usize| {
            (0..choices.below(most + 1))
                .map(|_| match choices.below(4) {
                    0 => WorkloadSelector::All,
                    3 => WorkloadSelector::None,
                    _ => {
                        let id = choices.of(&PROGRAMS);
                        WorkloadSelector::ServicePrincipal(choices.cased(id))
                    }
                })
                .collect()
        };
        return Subjects::Workloads(Workloads {
            include: selectors(choices, 2),
            exclude: selectors(choices, 1),
        });
    }
    let mut include = user_selectors(choices, 3);
    if !choices.one_in(3) {
        include.push(UserSelector::All);
    }
    let exclude = if choices.one_in(3) { user_selectors(choices, 2) } else { vec![] };
    Subjects::Users(Users { include, exclude })
}

fn user_selectors(choices: &mut Choices<'_>, most: usize) -> Vec<UserSelector> {
    (0..choices.below(most + 1)).map(|_| user_selector(choices)).collect()
}

pub(crate) fn user_selector(choices: &mut Choices<'_>) -> UserSelector {
    match choices.below(8) {
        0 => UserSelector::All,
        1 => UserSelector::None,
        2 | 3 => {
            let id = choices.of(&PERSONS);
            UserSelector::User(choices.cased(id))
        }
        4 | 5 => {
            let id = choices.of(&GROUPS);
            UserSelector::Group(choices.cased(id))
        }
        6 => {
            let id = choices.of(&ROLES);
            UserSelector::Role(choices.cased(id))
        }
        _ => UserSelector::Guests(Guests {
            kinds: choices.some(&GuestKind::ALL, 3).into_iter().collect(),
            tenants: if choices.one_in(2) { Tenants::Only(choices.words(&TENANTS, 2)) } else { Tenants::Any },
        }),
    }
}

fn targets(choices: &mut Choices<'_>) -> Targets {
    if choices.one_in(6) {
        let contexts = choices.some(&CONTEXTS, 2);
        return Targets::Contexts(contexts.into_iter().filter_map(AuthenticationContext::new).collect());
    }
    let selectors = |choices: &mut Choices<'_>, most: usize| {
        (0..choices.below(most + 1))
            .map(|_| match choices.below(5) {
                0 => AppSelector::All,
                1 => AppSelector::Group("confidential".into()),
                2 => AppSelector::None,
                _ => AppSelector::App(choices.of(&APPS).to_owned()),
            })
            .collect::<Vec<_>>()
    };
    let mut include = selectors(choices, 2);
    if !choices.one_in(3) {
        include.push(AppSelector::All);
    }
    let exclude = if choices.one_in(4) { selectors(choices, 1) } else { vec![] };
    let filter = choices.maybe(8, |choices| {
        let mode = choices.of(&[FilterMode::Include, FilterMode::Exclude]);
        let rule = choices.of(&[r#"app.tier -eq "gold""#, r#"app.tier -ne "GOLD""#, "app.public -eq True"]);
        (mode, portcullis_policy::rule::Rule::parse(rule).unwrap())
    });
    Targets::Apps(Apps { include, exclude, filter })
}

fn grant(choices: &mut Choices<'_>) -> Grant {
    match choices.below(6) {
        0 => Grant::SessionOnly,
        1 | 2 => Grant::Block,
        _ => {
            let operator = choices.of(&[Operator::And, Operator::Or]);
            let controls = (0..=choices.below(3)).map(|_| control(choices)).collect();
            Grant::Require { operator, controls }
        }
    }
}

pub(crate) fn control(choices: &mut Choices<'_>) -> Control {
    match choices.below(9) {
        0 => Control::Mfa,
        1 => Control::CompliantDevice,
        2 => Control::HybridJoinedDevice,
        3 => Control::ApprovedClientApp,
        4 => Control::AppProtection,
        5 => Control::PasswordChange,
        6 => Control::Strength(choices.of(&STRENGTHS).to_owned()),
        7 => Control::TermsOfUse(choices.of(&TERMS).to_owned()),
        _ => Control::Custom(choices.of(&CUSTOMS).to_owned()),
    }
}

/// None, one, or many: a policy of many conditions seldom applies, and one alone says what it does.
fn conditions(choices: &mut Choices<'_>) -> Conditions {
    match choices.below(4) {
        0 => Conditions::default(),
        1 | 2 => {
            let only = choices.below(12);
            some_conditions(choices, |_, position| position == only)
        }
        _ => some_conditions(choices, |choices, _| choices.one_in(5)),
    }
}

fn some_conditions(
    choices: &mut Choices<'_>,
    mut wanted: impl FnMut(&mut Choices<'_>, usize) -> bool,
) -> Conditions {
    let risks = |choices: &mut Choices<'_>| choices.some(&RiskLevel::ALL, 3).into_iter().collect::<RiskSet>();
    let mut next = 0..;
    let mut wants = |choices: &mut Choices<'_>| next.next().is_some_and(|position| wanted(choices, position));
    Conditions {
        client_apps: wants(choices).then(|| choices.some(&ClientAppType::ALL, 3).into_iter().collect()),
        platforms: wants(choices).then(|| {
            let selector = |choices: &mut Choices<'_>| match choices.below(3) {
                0 => PlatformSelector::All,
                _ => PlatformSelector::Named(choices.of(&Platform::ALL)),
            };
            Platforms {
                include: (0..=choices.below(2)).map(|_| selector(choices)).collect(),
                exclude: (0..choices.below(3)).map(|_| selector(choices)).collect(),
            }
        }),
        locations: wants(choices).then(|| {
            let selector = |choices: &mut Choices<'_>| match choices.below(6) {
                0 => LocationSelector::All,
                1 => LocationSelector::AllTrusted,
                _ => LocationSelector::Named(choices.of(&LOCATIONS).to_owned()),
            };
            let mut include: Vec<_> = (0..choices.below(3)).map(|_| selector(choices)).collect();
            if include.is_empty() {
                include.push(LocationSelector::All);
            }
            Locations { include, exclude: (0..choices.below(3)).map(|_| selector(choices)).collect() }
        }),
        sign_in_risk: wants(choices).then(|| risks(choices)),
        user_risk: wants(choices).then(|| risks(choices)),
        insider_risk: wants(choices).then(|| risks(choices)),
        service_principal_risk: wants(choices).then(|| risks(choices)),
        device: wants(choices).then(|| DeviceFilter {
            mode: choices.of(&[FilterMode::Include, FilterMode::Exclude]),
            rule: rules::device_tree(choices, 2).rule(),
        }),
        flows: wants(choices).then(|| choices.some(&Flow::ALL, 2).into_iter().collect()),
        request: wants(choices).then(|| {
            let pattern = |choices: &mut Choices<'_>| match choices.below(4) {
                0 => PathPattern::Subtree(String::new()),
                1 => PathPattern::Exact(choices.of(&PATHS).to_owned()),
                _ => PathPattern::Subtree(choices.of(&PATHS[1..]).to_owned()),
            };
            RequestCondition {
                methods: choices.some(&HTTP_METHODS, 2).into_iter().map(str::to_owned).collect(),
                paths: (0..choices.below(3)).map(|_| pattern(choices)).collect(),
                exclude_paths: (0..choices.below(2)).map(|_| pattern(choices)).collect(),
            }
        }),
        time: wants(choices).then(|| time(choices)),
        claims: wants(choices).then(|| rules::any_tree(choices, 2).rule()),
    }
}

pub(crate) fn time(choices: &mut Choices<'_>) -> TimeCondition {
    let zone = if choices.one_in(2) {
        // Summer time begins and ends within reach of the questions.
        TimeZone {
            name: "Europe/Berlin".into(),
            first_offset_secs: 3_600,
            transitions: vec![
                Transition { at: NOW - 86_400, offset_secs: 7_200 },
                Transition { at: NOW + 5_400, offset_secs: 3_600 },
            ],
        }
    } else {
        TimeZone { name: "UTC".into(), first_offset_secs: 0, transitions: vec![] }
    };
    let minute = |choices: &mut Choices<'_>| choices.of(&[0, 480, 481, 540, 600, 1_080, 4_320, 10_079]);
    let windows = (0..choices.below(3))
        .map(|_| WeekWindow { start_minute: minute(choices), end_minute: minute(choices) + 1 })
        .collect();
    let moment = |choices: &mut Choices<'_>| choices.of(&[NOW - 7_200, NOW, NOW + 1, NOW + 7_200]);
    TimeCondition { zone, windows, from: choices.maybe(4, moment), until: choices.maybe(4, moment) }
}

/// A question, owned.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) principal: Principal,
    pub(crate) target: Target,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) context: ClientContext<'static>,
    pub(crate) now: i64,
}

impl Question {
    pub(crate) fn signals(&self) -> Signals<'_> {
        Signals {
            principal: &self.principal,
            target: self.target,
            action: Action { method: self.method, path: self.path },
            context: &self.context,
            request_id: RequestId(7),
            now: self.now,
        }
    }
}

pub(crate) fn question(choices: &mut Choices<'_>) -> Question {
    let app = match choices.below(16) {
        // An app that the set does not have.
        15 => AppIndex(9),
        other => AppIndex((other % APPS.len()) as u32),
    };
    Question {
        principal: principal(choices),
        target: Target {
            app,
            context: choices.maybe(4, |choices| AuthenticationContext::new(choices.of(&CONTEXTS))).flatten(),
        },
        method: choices.of(&HTTP_METHODS),
        path: choices.of(&PATHS),
        context: context(choices),
        now: NOW + choices.of(&[0, 0, 3_600, -3_600, 7_200, 86_400 * 3]),
    }
}

pub(crate) fn principal(choices: &mut Choices<'_>) -> Principal {
    let is_program = choices.one_in(8);
    let id = choices.of(if is_program { &PROGRAMS[..] } else { &PERSONS[..] });
    let id = choices.cased(id).into();
    let identity = if is_program {
        Identity::Workload
    } else {
        Identity::User {
            guest: choices.maybe(4, |choices| choices.of(&GuestKind::ALL)),
            home_tenant: choices.maybe(3, |choices| {
                let tenant = choices.of(&TENANTS);
                choices.cased(tenant)
            }),
        }
    };
    let when =
        |choices: &mut Choices<'_>| NOW + choices.of(&[-100, -100, -600, -7_200, -100_000, 0, 60, 61, 3_600]);
    let mut claims: Vec<(Box<str>, Value)> = Vec::new();
    if choices.one_in(2) {
        claims.push(("department".into(), Value::Text(choices.of(&["Sales", "research", "ÜBUNG"]).into())));
    }
    if choices.one_in(2) {
        claims.push(("level".into(), Value::Number(choices.of(&[1.0, 2.0, 10.0]))));
    }
    if choices.one_in(2) {
        claims.push(("projects".into(), Value::List(choices.words(&["apollo", "gemini"], 2))));
    }
    if choices.one_in(2) {
        claims.push(("verified".into(), Value::Bool(choices.one_in(2))));
    }
    claims.sort_by(|left, right| left.0.cmp(&right.0));
    let auth_time = if choices.one_in(5) { None } else { Some(when(choices)) };
    let standing = Standing {
        identity,
        groups: choices.fact(|choices| choices.words(&GROUPS, 2)),
        roles: choices.fact(|choices| choices.words(&ROLES, 1)),
        sign_in: SignIn {
            methods: choices.words(&METHODS, 3),
            acr: choices.maybe(4, |choices| choices.of(&["urn:mfa", "phr", "URN:MFA"]).to_owned()),
            contexts: choices
                .some(&CONTEXTS, 2)
                .into_iter()
                .map(|name| AuthenticationContext::new(name).unwrap())
                .collect(),
            issuer: if choices.one_in(2) {
                IssuerEvidence::from_bits(choices.below(64) as u8)
            } else {
                IssuerEvidence::ANY
            },
            client_id: choices.maybe(2, |choices| {
                let client = choices.of(&CLIENTS);
                choices.cased(client)
            }),
            flow: choices.maybe(4, |choices| choices.of(&Flow::ALL)),
            password_changed: choices.maybe(3, when),
            risk_seen: choices.maybe(2, when),
            terms: choices.words(&TERMS, 1),
            custom_controls: choices.words(&CUSTOMS, 1),
        },
        claims,
    };
    Principal { id, auth_time, standing: standing.into() }
}

pub(crate) fn context(choices: &mut Choices<'_>) -> ClientContext<'static> {
    let risk = |choices: &mut Choices<'_>| choices.of(&RiskLevel::ALL);
    ClientContext {
        address: choices.fact(|choices| choices.of(&ADDRESSES).parse().unwrap()),
        country: choices.fact(|choices| CountryCode::new(choices.of(&COUNTRIES)).unwrap()),
        platform: choices.fact(|choices| choices.of(&Platform::ALL)),
        client_app: choices.fact(|choices| choices.of(&ClientAppType::ALL)),
        device: choices.fact(device),
        sign_in_risk: choices.fact(risk),
        user_risk: choices.fact(risk),
        insider_risk: choices.fact(risk),
        service_principal_risk: choices.fact(risk),
    }
}

pub(crate) fn device(choices: &mut Choices<'_>) -> Device<'static> {
    let extension_attributes = choices.maybe(2, |choices| choices.of(&[0, 1]));
    Device {
        device_id: choices.maybe(2, |_| "d1"),
        display_name: choices.maybe(3, |_| "LAPTOP-7"),
        ownership: choices.maybe(3, |choices| choices.of(&["Company", "Personal"])),
        enrollment_profile: None,
        compliant: choices.maybe(2, |choices| choices.one_in(2)),
        manufacturer: choices.maybe(3, |choices| choices.of(&["Microsoft", "Contoso", "Überall"])),
        mdm_app_id: choices.maybe(4, |_| "0000000a-0000-0000-c000-000000000000"),
        model: choices.maybe(2, |choices| choices.of(&["Surface Pro", "surface", "Book", "ÜBER"])),
        operating_system: choices.maybe(2, |choices| choices.of(&["Windows", "iOS"])),
        operating_system_version: choices
            .maybe(2, |choices| choices.of(&["10.0.19045", "10.0.22631", "9", "10.0.22631.1", "beta"])),
        physical_ids: if choices.one_in(2) { &PHYSICAL_IDS } else { &[] },
        profile_type: None,
        system_labels: if choices.one_in(3) { &SYSTEM_LABELS } else { &[] },
        trust_type: choices.maybe(2, |choices| choices.of(&["AzureAD", "ServerAD", "serverad", "Workplace"])),
        extension_attributes: extension_attributes.map_or(&[], |at: usize| &EXTENSIONS[at..=at]),
    }
}

/// A policy set compiled, or the reasons in the panic's text: every generated set must compile.
pub(crate) fn compile(set: PolicySet) -> CompiledPolicies {
    CompiledPolicies::compile(set, Generation(1)).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// What `decide` says, in the terms of the reference.
pub(crate) fn conclusion(decision: &Decision) -> Conclusion {
    Conclusion::from(&decision.outcome)
}

pub(crate) fn applied(decision: &Decision) -> Vec<(PolicyIndex, PolicyResult)> {
    decision.applied.clone()
}

pub(crate) fn ask(compiled: &CompiledPolicies, question: &Question) -> Decision {
    compiled.decide(&compiled.bind(&question.principal), &question.signals())
}

/// How many cases a property test runs: `PORTCULLIS_CASES`, else 10,000.
pub(crate) fn cases() -> u32 {
    std::env::var("PORTCULLIS_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
}
