//! What a policy asks, as an expression that every language can say.

use portcullis_policy::PolicySet;
use portcullis_policy::model::{
    AppSelector, Conditions, Control, FilterMode, Grant, GuestKind, LocationSelector, Operator, PathPattern,
    PlatformSelector, Policy, PolicyState, RiskSet, SignInFrequency, Subjects, Targets, UserSelector, Users,
};

use crate::world::{CLAIM_RULES, DEVICE_RULES, Shape, set};

/// A condition on a request.
#[derive(Clone, Debug)]
pub enum Expr {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    /// The request's set holds the name.
    Member(Set, String),
    /// The request's field is the text.
    Is(Field, String),
    Starts(Field, String),
    Has(Field, String),
    Holds(Flag),
    /// The sign-in is at most so many seconds old.
    AgeAtMost(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    Groups,
    Roles,
    Locations,
}

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($item:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($item,)+
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$item,)+];

            /// The name in every language.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$item => $word,)+
                }
            }
        }
    };
}

names! {
    /// Texts of a request, in lower case; what is not known is empty.
    Field {
        User = "user",
        Guest = "guest",
        App = "app",
        Platform = "platform",
        Client = "client",
        SignInRisk = "sign_in_risk",
        UserRisk = "user_risk",
        Method = "method",
        Path = "path",
        Model = "model",
        Trust = "trust",
        Compliant = "compliant",
        Ownership = "ownership",
        System = "system",
        Extension = "extension",
        Manufacturer = "manufacturer",
        Department = "department",
        Level = "level",
    }
}

names! {
    /// What a request brings as evidence.
    Flag {
        Mfa = "mfa",
        Strong = "strong",
        CompliantDevice = "compliant_device",
        JoinedDevice = "joined_device",
    }
}

/// The policies of one size, in every form.
pub struct Task {
    pub policies: usize,
    pub set: PolicySet,
    /// When each enforced policy refuses, by its position in the set.
    pub refusals: Vec<(usize, Vec<Expr>)>,
}

impl Task {
    pub fn new(policies: usize) -> Self {
        let set = set(shape(policies));
        let enforced =
            set.policies.iter().enumerate().filter(|(_, policy)| policy.state == PolicyState::Enabled);
        let refusals = enforced.filter_map(|(position, policy)| Some((position, refusal(policy)?)));
        Self { policies: policies, refusals: refusals.collect(), set }
    }
}

pub(crate) const fn shape(policies: usize) -> Shape {
    Shape { policies, every_app: false, for_peers: true }
}

/// The parts that must all hold for a policy to refuse; `None` when it never does.
fn refusal(policy: &Policy) -> Option<Vec<Expr>> {
    let mut parts = Vec::new();
    targets(&policy.targets, &mut parts)?;
    let Subjects::Users(people) = &*policy.subjects else { return None };
    users(people, &mut parts);
    conditions(&policy.conditions, &mut parts);
    let mut demands = Vec::new();
    match &policy.grant {
        Grant::Block => return Some(parts),
        Grant::SessionOnly => {}
        Grant::Require { operator, controls } => {
            let controls = controls.iter().map(control).collect();
            demands.push(match operator {
                Operator::And => Expr::All(controls),
                Operator::Or => Expr::Any(controls),
            });
        }
    }
    if let Some(SignInFrequency::Every(span)) = policy.session.sign_in_frequency {
        demands.push(Expr::AgeAtMost(span.as_secs() as i64));
    }
    if demands.is_empty() {
        return None;
    }
    parts.push(not(Expr::All(demands)));
    Some(parts)
}

fn not(expr: Expr) -> Expr {
    Expr::Not(Box::new(expr))
}

fn one_of(field: Field, words: impl IntoIterator<Item = &'static str>) -> Expr {
    Expr::Any(words.into_iter().map(|word| Expr::Is(field, word.to_owned())).collect())
}

fn control(control: &Control) -> Expr {
    Expr::Holds(match control {
        Control::Mfa => Flag::Mfa,
        Control::CompliantDevice => Flag::CompliantDevice,
        Control::HybridJoinedDevice => Flag::JoinedDevice,
        Control::Strength(_) => Flag::Strong,
        other => unreachable!("not generated: {other:?}"),
    })
}

fn targets(targets: &Targets, parts: &mut Vec<Expr>) -> Option<()> {
    // No request asks for an authentication context.
    let Targets::Apps(apps) = targets else { return None };
    let app = |selector: &AppSelector| match selector {
        AppSelector::App(id) => vec![Expr::Is(Field::App, id.clone())],
        AppSelector::Group(area) => {
            let number: usize =
                area.strip_prefix("area-").and_then(|number| number.parse().ok()).unwrap_or(0);
            let members = (0..crate::world::APPS).filter(|app| app % 10 == number);
            members.map(|app| Expr::Is(Field::App, format!("app-{app}"))).collect()
        }
        AppSelector::All | AppSelector::None => vec![],
    };
    if !apps.include.contains(&AppSelector::All) {
        let mut any: Vec<Expr> = apps.include.iter().flat_map(app).collect();
        parts.push(if any.len() == 1 { any.remove(0) } else { Expr::Any(any) });
    }
    if !apps.exclude.is_empty() {
        parts.push(not(Expr::Any(apps.exclude.iter().flat_map(app).collect())));
    }
    Some(())
}

fn users(users: &Users, parts: &mut Vec<Expr>) {
    let user = |selector: &UserSelector| match selector {
        UserSelector::User(id) => Expr::Is(Field::User, id.clone()),
        UserSelector::Group(id) => Expr::Member(Set::Groups, id.clone()),
        UserSelector::Role(id) => Expr::Member(Set::Roles, id.clone()),
        UserSelector::Guests(guests) => one_of(Field::Guest, guests.kinds.iter().map(GuestKind::as_str)),
        UserSelector::All | UserSelector::None => unreachable!("stands alone"),
    };
    if !users.include.contains(&UserSelector::All) {
        parts.push(Expr::Any(users.include.iter().map(user).collect()));
    }
    if !users.exclude.is_empty() {
        parts.push(not(Expr::Any(users.exclude.iter().map(user).collect())));
    }
}

fn conditions(conditions: &Conditions, parts: &mut Vec<Expr>) {
    if let Some(locations) = &conditions.locations {
        let place = |selector: &LocationSelector| match selector {
            LocationSelector::Named(name) => Expr::Member(Set::Locations, name.clone()),
            LocationSelector::AllTrusted => Expr::Member(Set::Locations, "all-trusted".to_owned()),
            LocationSelector::All => unreachable!("stands alone"),
        };
        if !locations.include.contains(&LocationSelector::All) {
            parts.push(Expr::Any(locations.include.iter().map(place).collect()));
        }
        parts.push(not(Expr::Any(locations.exclude.iter().map(place).collect())));
    }
    let mut risk = |field: Field, wanted: Option<RiskSet>| {
        parts.extend(wanted.map(|levels| one_of(field, levels.iter().map(|level| level.as_str()))));
    };
    risk(Field::SignInRisk, conditions.sign_in_risk);
    risk(Field::UserRisk, conditions.user_risk);
    if let Some(kinds) = conditions.client_apps {
        parts.push(one_of(Field::Client, kinds.iter().map(|kind| kind.as_str())));
    }
    if let Some(platforms) = &conditions.platforms {
        let word = |selector: &PlatformSelector| match selector {
            PlatformSelector::Named(platform) => Some(platform.as_str()),
            PlatformSelector::All => None,
        };
        if !platforms.include.contains(&PlatformSelector::All) {
            parts.push(one_of(Field::Platform, platforms.include.iter().filter_map(word)));
        }
        if !platforms.exclude.is_empty() {
            parts.push(not(one_of(Field::Platform, platforms.exclude.iter().filter_map(word))));
        }
    }
    if let Some(filter) = &conditions.device {
        let rule = rule(filter.rule.source());
        parts.push(match filter.mode {
            FilterMode::Include => rule,
            FilterMode::Exclude => not(rule),
        });
    }
    if let Some(request) = &conditions.request {
        if !request.methods.is_empty() {
            parts.push(Expr::Any(
                request.methods.iter().map(|one| Expr::Is(Field::Method, one.clone())).collect(),
            ));
        }
        let path = |pattern: &PathPattern| match pattern {
            PathPattern::Exact(path) => vec![Expr::Is(Field::Path, path.clone())],
            PathPattern::Subtree(path) => {
                vec![Expr::Is(Field::Path, path.clone()), Expr::Starts(Field::Path, format!("{path}/"))]
            }
        };
        parts.push(Expr::Any(request.paths.iter().flat_map(path).collect()));
    }
    if let Some(claims) = &conditions.claims {
        parts.push(rule(claims.source()));
    }
}

/// The generated rules by hand: their language is ours alone.
fn rule(source: &str) -> Expr {
    let is = |field: Field, word: &str| Expr::Is(field, word.to_owned());
    let device = DEVICE_RULES.iter().position(|rule| *rule == source);
    let claim = CLAIM_RULES.iter().position(|rule| *rule == source);
    match (device, claim) {
        (Some(0), _) => Expr::Starts(Field::Model, "surface".to_owned()),
        (Some(1), _) => is(Field::Trust, "serverad"),
        (Some(2), _) => not(is(Field::Compliant, "true")),
        (Some(3), _) => {
            Expr::All(vec![one_of(Field::Trust, ["azuread", "serverad"]), is(Field::Ownership, "company")])
        }
        (Some(4), _) => Expr::All(vec![is(Field::System, "windows"), not(is(Field::Extension, "kiosk"))]),
        (Some(5), _) => Expr::Has(Field::Manufacturer, "micro".to_owned()),
        (_, Some(0)) => is(Field::Department, "finance"),
        (_, Some(1)) => one_of(Field::Level, ["2", "3"]),
        _ => unreachable!("a rule without a translation: {source}"),
    }
}
