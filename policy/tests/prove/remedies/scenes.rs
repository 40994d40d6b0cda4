//! Generated configurations: most of them made of what organisations really have, one in five of anything.

use std::sync::Arc;
use std::time::Duration;

use portcullis_policy::PolicySet;
use portcullis_policy::model::*;
use portcullis_policy::rule::Rule;
use portcullis_policy::signals::*;

use crate::world::{Choices, NOW, Question, policy, policy_set, question};

/// A world and a request.
pub(super) fn scene(choices: &mut Choices<'_>, seed: u64) -> (PolicySet, Question) {
    let mut question = question(choices);
    if seed.is_multiple_of(5) {
        return (policy_set(choices, 4), question);
    }
    let mut set = policy_set(&mut Choices::new(&[]), 0);
    let unmatched = choices.of(&[Unmatched::Deny, Unmatched::Allow, Unmatched::Allow]);
    for app in &mut set.apps {
        (app.unmatched, app.assigned) = (unmatched, None);
    }
    if choices.one_in(3) {
        set.evidence.protected_clients.push("approved-client".into());
    }
    set.policies = (0..1 + choices.below(4)).map(|number| usual(choices, number)).collect();
    question.target.app = AppIndex(choices.below(3) as u32);
    // Facts are mostly known, and groups told: waiting is another test's.
    let context = &mut question.context;
    for risk in [&mut context.sign_in_risk, &mut context.user_risk, &mut context.insider_risk] {
        *risk = risk.known().map_or(Fact::Unknown, Fact::Known);
    }
    if context.address == Fact::Unavailable || context.country == Fact::Unavailable {
        context.address = Fact::Known("203.0.113.200".parse().unwrap());
        context.country = CountryCode::new("KP").map_or(Fact::Unknown, Fact::Known);
    }
    if let (Fact::Known(device), true) = (&mut context.device, choices.one_in(2)) {
        device.operating_system_version = Some("10.0.19045");
    }
    let standing = question.principal.standing_mut();
    (standing.groups, standing.roles) = (Fact::Known(vec![]), Fact::Known(vec![]));
    (set, question)
}

fn at(include: &[&str], exclude: &[&str]) -> Option<Locations> {
    let named = |names: &[&str]| {
        let one = |name: &&str| match *name {
            "all" => LocationSelector::All,
            "trusted" => LocationSelector::AllTrusted,
            name => LocationSelector::Named(name.into()),
        };
        names.iter().map(one).collect()
    };
    Some(Locations { include: named(include), exclude: named(exclude) })
}

/// One policy of a kind that is common.
fn usual(choices: &mut Choices<'_>, number: usize) -> Policy {
    let mut made = policy(&mut Choices::new(&[]), &format!("usual-{number}"));
    made.subjects = Subjects::Users(Users { include: vec![UserSelector::All], exclude: vec![] }).into();
    made.targets = Targets::Apps(Apps { include: vec![AppSelector::All], ..Apps::default() }).into();
    made.session = SessionControls::default();
    made.state = PolicyState::Enabled;
    let mut conditions = Conditions::default();
    let rule = |text: &str| Rule::parse(text).unwrap();
    made.grant = Grant::Block;
    // Where it holds: mostly one condition, of the commonest kinds.
    match choices.below(12) {
        0 => conditions.locations = at(&["far-countries"], &[]),
        1 => conditions.locations = at(&["all"], &["home-countries"]),
        2 => conditions.locations = at(&["all"], &["trusted"]),
        3 => conditions.locations = at(&["far-countries", "branch"], &["office"]),
        4 => conditions.locations = at(&["six", "branch"], &[]),
        5 => {
            let text = choices.of(&[
                r#"device.model -startsWith "Surface""#,
                r#"device.extensionAttribute1 -ne "SAW""#,
                r#"device.operatingSystemVersion -lt "10.0.22631""#,
                r#"device.trustType -notIn ["AzureAD", "ServerAD"]"#,
                r#"device.isCompliant -ne True -or device.deviceOwnership -eq "Personal""#,
                r#"device.deviceId -eq "d1""#,
                r#"device.operatingSystemVersion -lt "10.0.22631" -and device.model -contains "Book""#,
            ]);
            let mode = choices.of(&[FilterMode::Include, FilterMode::Include, FilterMode::Exclude]);
            conditions.device = Some(DeviceFilter { mode, rule: rule(text) });
        }
        6 => {
            let moment =
                |choices: &mut Choices<'_>| NOW + choices.of(&[-7_200, 3_600, 86_400 * 9, 86_400 * 40]);
            let windows = if choices.one_in(2) {
                vec![WeekWindow { start_minute: 540, end_minute: 480 }]
            } else {
                vec![]
            };
            conditions.time = Some(TimeCondition {
                zone: TimeZone { name: "UTC".into(), first_offset_secs: 3_600, transitions: vec![] },
                windows,
                from: choices.maybe(3, moment),
                until: choices.maybe(2, moment),
            });
        }
        7 => conditions.flows = Some(Flow::ALL.into_iter().collect()),
        8 => {
            conditions.client_apps =
                Some(ClientAppSet::EMPTY.with(choices.of(&[ClientAppType::Other, ClientAppType::Browser])));
        }
        9 => {
            let named = PlatformSelector::Named(choices.of(&Platform::ALL));
            conditions.platforms = Some(Platforms { include: vec![named], exclude: vec![] });
        }
        _ => {}
    }
    if choices.one_in(6) {
        conditions.locations = conditions.locations.or_else(|| at(&["all"], &["office"]));
    }
    let has_condition = conditions != Conditions::default();
    // What it asks there.
    let controls = match choices.below(9) {
        0..=2 if has_condition => vec![],
        3 => vec![Control::CompliantDevice],
        4 => vec![Control::CompliantDevice, Control::HybridJoinedDevice],
        5 => vec![Control::Mfa],
        6 => vec![Control::Strength("phishing-resistant".into())],
        7 => vec![Control::ApprovedClientApp, Control::AppProtection],
        8 => vec![match choices.below(3) {
            0 => Control::PasswordChange,
            1 => Control::TermsOfUse("terms-2026".into()),
            _ => Control::Custom("duo".into()),
        }],
        _ => vec![Control::Mfa, Control::CompliantDevice],
    };
    if !controls.is_empty() {
        let operator = choices.of(&[Operator::And, Operator::Or]);
        made.grant = Grant::Require { operator, controls };
        if choices.one_in(4) {
            made.session.sign_in_frequency = Some(
                choices.of(&[SignInFrequency::EveryTime, SignInFrequency::Every(Duration::from_secs(3_600))]),
            );
        }
    }
    made.conditions = Arc::new(conditions);
    made
}
