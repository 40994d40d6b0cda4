//! Generated policy sets and requests for measuring, the same ones for every engine and every run.
//!
//! A realistic organisation: fifty apps, a few policies about everything, many about one or two apps and
//! some groups, a good part of them bound to places, platforms, clients or devices. The worst case is
//! an organisation in which every policy is about every app.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use portcullis_policy::model::{
    App, AppSelector, Apps, AuthenticationContext, AuthenticationStrength, ClientAppSet, ClientAppType,
    Conditions, Control, CountryCode, DeviceFilter, Evidence, FilterMode, Grant, GuestKind, GuestKinds,
    Guests, LocationSelector, Locations, NamedLocation, Operator, PathPattern, Persistence, Place, Platform,
    PlatformSelector, Platforms, Policy, PolicyId, PolicySet, PolicyState, RequestCondition, RiskLevel,
    RiskSet, SessionControls, SignInFrequency, Subjects, Targets, Tenants, TimeCondition, TimeZone,
    Unmatched, UserSelector, Users, WeekWindow,
};
use portcullis_policy::path::PathCase;
use portcullis_policy::rule::Rule;
use portcullis_policy::signals::{
    Action, AppIndex, ClientContext, Device, Fact, Identity, Principal, RequestId, SignIn, Signals, Standing,
    Target, Value,
};

/// The time of every request, in Unix seconds: a Friday in January 2027.
pub(crate) const NOW: i64 = 1_800_000_000;
/// How many apps there are.
pub(crate) const APPS: usize = 50;
/// How many locations are made of networks, and of how many networks each.
const NETWORK_LOCATIONS: usize = 20;
const NETWORKS: usize = 200;

pub(crate) const DEVICE_RULES: [&str; 6] = [
    r#"device.model -startsWith "Surface""#,
    r#"device.trustType -eq "ServerAD""#,
    r#"device.isCompliant -ne True"#,
    r#"device.trustType -in ["AzureAD", "ServerAD"] -and device.deviceOwnership -eq "Company""#,
    r#"device.operatingSystem -eq "Windows" -and -not (device.extensionAttribute1 -eq "kiosk")"#,
    r#"device.manufacturer -contains "micro""#,
];
pub(crate) const CLAIM_RULES: [&str; 2] =
    [r#"user.department -eq "finance""#, r#"user.level -in ["2", "3"]"#];
const COUNTRIES: [&str; 12] = ["DE", "AT", "CH", "FR", "NL", "PL", "US", "GB", "BR", "IN", "CN", "NG"];
const PATHS: [&str; 6] = ["/", "/admin/users", "/reports/2026/q4", "/api/v1/items", "/export", "/help"];

/// What is generated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) policies: usize,
    /// Every policy is about every app.
    pub(crate) every_app: bool,
    /// Leaves out what has no obvious counterpart in other engines: weekly windows.
    pub(crate) for_peers: bool,
}

impl Shape {
    pub(crate) const fn realistic(policies: usize) -> Self {
        Self { policies, every_app: false, for_peers: false }
    }

    /// Groups that policies name; people are in others as well. Where people are in two hundred groups
    /// there are at least a thousand.
    fn groups(self) -> u64 {
        (self.policies as u64 / 5).max(1_000)
    }
}

/// Random numbers by Sebastiano Vigna's SplitMix64: the same everywhere, for ever.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        let at = self.below(items.len() as u64) as usize;
        items.get(at).cloned().unwrap_or_else(|| unreachable!("picked below the length"))
    }

    fn many<T>(&mut self, max: u64, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..=self.below(max)).map(|_| make(self)).collect()
    }
}

/// As long as the ids of real directories.
fn id(kind: u64, number: u64) -> String {
    format!("{kind:08x}-4e1c-4b7a-9d2f-{number:012x}")
}

fn group(number: u64) -> String {
    id(1, number)
}

fn network(location: u64, number: u64) -> String {
    if number % 8 == 7 {
        format!("2001:db8:{location:x}:{number:x}00::/56")
    } else {
        format!("10.{location}.{number}.0/24")
    }
}

/// The policies, apps and locations of a shape.
pub(crate) fn set(shape: Shape) -> PolicySet {
    let mut dice = Dice::new(shape.policies as u64);
    let unmatched = if shape.for_peers { Unmatched::Allow } else { Unmatched::Deny };
    let apps = (0..APPS).map(|number| App {
        id: format!("app-{number}"),
        groups: vec![format!("area-{}", number % 10)],
        attributes: vec![("tier".to_owned(), Value::Text(format!("t{}", number % 4)))],
        assigned: None,
        unmatched,
        paths: PathCase::Unknown,
    });
    let places = (0..NETWORK_LOCATIONS as u64).map(|location| NamedLocation {
        name: format!("site-{location}"),
        place: Place::Networks {
            networks: (0..NETWORKS as u64).filter_map(|one| network(location, one).parse().ok()).collect(),
            trusted: location < 5,
        },
    });
    let countries = COUNTRIES.chunks(3).zip(0..).map(|(some, number)| NamedLocation {
        name: format!("countries-{number}"),
        place: Place::Countries {
            countries: some.iter().filter_map(|code| CountryCode::new(code)).collect(),
            include_unknown: number % 2 == 1,
        },
    });
    PolicySet {
        apps: apps.collect(),
        locations: places.chain(countries).collect(),
        strengths: vec![AuthenticationStrength {
            name: "phishing-resistant".to_owned(),
            combinations: vec![vec!["fido".to_owned()], vec!["x509".to_owned(), "mfa".to_owned()]],
            acrs: vec![],
            contexts: vec![],
        }],
        evidence: Evidence::default(),
        policies: (0..shape.policies).filter_map(|number| policy(&mut dice, shape, number)).collect(),
    }
}

fn policy(dice: &mut Dice, shape: Shape, number: usize) -> Option<Policy> {
    if number == 0 {
        return baseline();
    }
    let grant = grant(dice);
    let session = SessionControls {
        sign_in_frequency: (grant == Grant::SessionOnly || dice.percent(15))
            .then(|| SignInFrequency::Every(Duration::from_secs(3_600 * (4 + dice.below(20))))),
        persistent_browser: dice.percent(10).then_some(Persistence::Never),
    };
    Some(Policy {
        id: PolicyId::new(format!("policy-{number}")).ok()?,
        name: format!("Policy {number}"),
        state: match dice.below(20) {
            0 => PolicyState::Disabled,
            1..=3 => PolicyState::ReportOnly,
            _ => PolicyState::Enabled,
        },
        subjects: Subjects::Users(users(dice, shape)).into(),
        targets: targets(dice, shape).into(),
        conditions: conditions(dice, shape, grant == Grant::Block).into(),
        grant,
        session,
    })
}

/// Speaks for everybody and everything, so that requests that no other policy minds are let in.
fn baseline() -> Option<Policy> {
    Some(Policy {
        id: PolicyId::new("policy-0").ok()?,
        name: "Baseline".to_owned(),
        state: PolicyState::Enabled,
        subjects: Subjects::Users(Users { include: vec![UserSelector::All], exclude: vec![] }).into(),
        targets: Targets::Apps(Apps { include: vec![AppSelector::All], ..Apps::default() }).into(),
        conditions: Conditions::default().into(),
        grant: Grant::SessionOnly,
        session: SessionControls { sign_in_frequency: None, persistent_browser: Some(Persistence::Always) },
    })
}

fn users(dice: &mut Dice, shape: Shape) -> Users {
    let spared = UserSelector::Group(group(0));
    match dice.below(100) {
        0..10 => Users { include: vec![UserSelector::All], exclude: vec![spared] },
        10..15 => Users {
            include: vec![UserSelector::Guests(Guests {
                kinds: GuestKinds::EMPTY
                    .with(GuestKind::B2bCollaborationGuest)
                    .with(GuestKind::OtherExternalUser),
                tenants: Tenants::Any,
            })],
            exclude: vec![],
        },
        15..25 => Users {
            include: dice.many(3, |dice| UserSelector::Role(id(2, dice.below(30)))),
            exclude: vec![spared],
        },
        25..32 => Users {
            include: dice.many(3, |dice| UserSelector::User(id(3, dice.below(10_000)))),
            exclude: vec![],
        },
        _ => Users {
            include: dice.many(3, |dice| UserSelector::Group(group(1 + dice.below(shape.groups())))),
            exclude: if dice.percent(20) {
                vec![UserSelector::Group(group(1 + dice.below(shape.groups())))]
            } else {
                vec![]
            },
        },
    }
}

fn targets(dice: &mut Dice, shape: Shape) -> Targets {
    let app = |dice: &mut Dice| AppSelector::App(format!("app-{}", dice.below(APPS as u64)));
    let every = || Apps { include: vec![AppSelector::All], ..Apps::default() };
    if shape.every_app {
        return Targets::Apps(every());
    }
    match dice.below(100) {
        0..2 => Targets::Apps(every()),
        2 => Targets::Apps(Apps { exclude: vec![app(dice)], ..every() }),
        3..6 => Targets::Contexts(AuthenticationContext::new("c1").into_iter().collect()),
        6..10 => Targets::Apps(Apps {
            include: vec![AppSelector::Group(format!("area-{}", dice.below(10)))],
            ..Apps::default()
        }),
        _ => Targets::Apps(Apps { include: dice.many(2, app), ..Apps::default() }),
    }
}

fn conditions(dice: &mut Dice, shape: Shape, blocks: bool) -> Conditions {
    let mut conditions = Conditions::default();
    // Nobody blocks without a condition: a block always has a place, a risk or a client.
    let kind = if blocks { dice.below(4) } else { 4 + dice.below(10) };
    if kind == 0 || dice.percent(25) {
        conditions.locations = Some(locations(dice, blocks));
    }
    if kind == 1 || kind == 4 {
        conditions.sign_in_risk = Some(RiskSet::EMPTY.with(RiskLevel::High).with(RiskLevel::Medium));
    }
    if kind == 2 || kind == 5 {
        conditions.user_risk = Some(RiskSet::EMPTY.with(RiskLevel::High));
    }
    if kind == 3 {
        conditions.client_apps =
            Some(ClientAppSet::EMPTY.with(ClientAppType::ExchangeActiveSync).with(ClientAppType::Other));
    } else if dice.percent(25) {
        conditions.client_apps =
            Some(ClientAppSet::EMPTY.with(ClientAppType::Browser).with(ClientAppType::MobileAndDesktop));
    }
    if dice.percent(30) {
        let named = dice.many(3, |dice| PlatformSelector::Named(dice.pick(&Platform::ALL)));
        conditions.platforms = Some(if dice.percent(50) {
            Platforms { include: named, exclude: vec![] }
        } else {
            Platforms { include: vec![PlatformSelector::All], exclude: named }
        });
    }
    if dice.percent(10) {
        let mode = dice.pick(&[FilterMode::Include, FilterMode::Exclude]);
        let rule = dice.pick(&DEVICE_RULES);
        conditions.device = Rule::parse(rule).ok().map(|rule| DeviceFilter { mode, rule });
    }
    if dice.percent(8) {
        conditions.request = Some(RequestCondition {
            methods: if dice.percent(30) { vec!["POST".to_owned()] } else { vec![] },
            paths: vec![PathPattern::Subtree(dice.pick(&["/admin", "/reports", "/export"]).to_owned())],
            exclude_paths: vec![],
        });
    }
    if dice.percent(4) && !shape.for_peers {
        conditions.time = Some(TimeCondition {
            zone: TimeZone { name: "UTC".to_owned(), first_offset_secs: 0, transitions: vec![] },
            windows: vec![WeekWindow { start_minute: 480, end_minute: 7_000 }],
            from: None,
            until: None,
        });
    }
    if dice.percent(3) {
        conditions.claims = Rule::parse(dice.pick(&CLAIM_RULES)).ok();
    }
    conditions
}

fn locations(dice: &mut Dice, blocks: bool) -> Locations {
    let site = |dice: &mut Dice| LocationSelector::Named(format!("site-{}", dice.below(20)));
    let countries = |dice: &mut Dice| LocationSelector::Named(format!("countries-{}", dice.below(4)));
    if blocks && dice.percent(40) {
        return Locations { include: vec![countries(dice)], exclude: vec![LocationSelector::AllTrusted] };
    }
    let mut exclude = vec![LocationSelector::AllTrusted];
    if dice.percent(50) {
        exclude.push(site(dice));
    }
    Locations { include: vec![LocationSelector::All], exclude }
}

fn grant(dice: &mut Dice) -> Grant {
    let require = |operator, controls: &[Control]| Grant::Require { operator, controls: controls.to_vec() };
    match dice.below(100) {
        0..25 => Grant::Block,
        25..50 => require(Operator::And, &[Control::Mfa]),
        50..60 => require(Operator::And, &[Control::CompliantDevice]),
        60..75 => require(Operator::Or, &[Control::CompliantDevice, Control::HybridJoinedDevice]),
        75..85 => require(Operator::And, &[Control::Mfa, Control::CompliantDevice]),
        85..90 => require(Operator::And, &[Control::Strength("phishing-resistant".to_owned())]),
        _ => Grant::SessionOnly,
    }
}

/// A request, owned.
pub(crate) struct Request {
    pub(crate) principal: Principal,
    pub(crate) context: ClientContext<'static>,
    pub(crate) target: Target,
    pub(crate) action: Action<'static>,
}

impl Request {
    pub(crate) fn signals(&self) -> Signals<'_> {
        Signals {
            principal: &self.principal,
            target: self.target,
            action: self.action,
            context: &self.context,
            request_id: RequestId(1),
            now: NOW,
        }
    }
}

/// Requests of people who are in `groups` groups each.
pub(crate) fn requests(shape: Shape, groups: usize, count: usize) -> Vec<Request> {
    let mut dice = Dice::new(0xC0FFEE ^ groups as u64);
    (0..count).map(|_| request(&mut dice, shape, groups)).collect()
}

fn request(dice: &mut Dice, shape: Shape, groups: usize) -> Request {
    let strong = dice.percent(80);
    let methods: &[&str] = if strong { &["pwd", "mfa", "fido"] } else { &["pwd"] };
    let text = |name: &str, value: String| (Box::from(name), Value::Text(value));
    let principal = Principal {
        id: id(3, dice.below(10_000)).into(),
        auth_time: Some(NOW - 600),
        standing: Arc::new(Standing {
            identity: Identity::User {
                guest: dice.percent(5).then_some(GuestKind::B2bCollaborationGuest),
                home_tenant: None,
            },
            groups: Fact::Known((0..groups).map(|_| group(1 + dice.below(2 * shape.groups()))).collect()),
            roles: Fact::Known(if dice.percent(10) { vec![id(2, dice.below(30))] } else { vec![] }),
            sign_in: SignIn {
                methods: methods.iter().map(|method| (*method).to_owned()).collect(),
                ..SignIn::default()
            },
            claims: vec![
                text("department", dice.pick(&["finance", "sales", "engineering"]).to_owned()),
                text("level", dice.below(5).to_string()),
            ],
        }),
    };
    let address = match dice.below(10) {
        0..6 => IpAddr::V4(Ipv4Addr::new(10, dice.below(22) as u8, dice.below(200) as u8, 7)),
        6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, dice.below(22) as u16, 0x0700, 0, 0, 0, 1)),
        _ => IpAddr::V4(Ipv4Addr::new(198, 51, 100, dice.below(200) as u8)),
    };
    let risk = |dice: &mut Dice| {
        Fact::Known(if dice.percent(95) { RiskLevel::None } else { dice.pick(&RiskLevel::ALL) })
    };
    let context = ClientContext {
        address: Fact::Known(address),
        country: if dice.percent(5) {
            Fact::Unknown
        } else {
            CountryCode::new(dice.pick(&COUNTRIES)).map_or(Fact::Unknown, Fact::Known)
        },
        platform: if dice.percent(3) { Fact::Unknown } else { Fact::Known(dice.pick(&Platform::ALL)) },
        client_app: Fact::Known(if dice.percent(80) {
            ClientAppType::Browser
        } else {
            dice.pick(&ClientAppType::ALL)
        }),
        device: if dice.percent(20) { Fact::Unknown } else { Fact::Known(device(dice)) },
        sign_in_risk: risk(dice),
        user_risk: risk(dice),
        insider_risk: Fact::Unknown,
        service_principal_risk: Fact::Unknown,
    };
    Request {
        principal,
        context,
        target: Target { app: AppIndex(dice.below(APPS as u64) as u32), context: None },
        action: Action { method: dice.pick(&["GET", "GET", "POST"]), path: dice.pick(&PATHS) },
    }
}

fn device(dice: &mut Dice) -> Device<'static> {
    static EXTENSIONS: LazyLock<[(u8, String); 2]> =
        LazyLock::new(|| [(1, "kiosk".into()), (1, "desk".into())]);
    let [kiosk, desk] = EXTENSIONS.each_ref().map(std::slice::from_ref);
    Device {
        device_id: Some("6f0f1c52-1b8e-4a45-8a55-000000000001"),
        ownership: dice.pick(&[Some("Company"), Some("Personal"), None]),
        compliant: dice.pick(&[Some(true), Some(true), Some(true), Some(false), None]),
        manufacturer: dice.pick(&[Some("Microsoft Corporation"), Some("Lenovo"), None]),
        model: dice.pick(&[Some("Surface Pro 9"), Some("ThinkPad X1"), None]),
        operating_system: dice.pick(&[Some("Windows"), Some("macOS")]),
        trust_type: dice.pick(&[Some("AzureAD"), Some("ServerAD"), Some("Workplace")]),
        extension_attributes: dice.pick(&[&[], kiosk, desk]),
        ..Device::default()
    }
}
