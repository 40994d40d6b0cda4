//! A request as plain data, from which each peer's form of it is made before any clock runs.

use portcullis_policy::PolicySet;
use portcullis_policy::model::{ClientAppType, GuestKind, Place, RiskLevel};
use portcullis_policy::signals::{Fact, Identity, Value};

use crate::task::{Field, Flag, shape};
use crate::world::{NOW, Request, requests};

pub struct Question {
    pub(crate) request: Request,
    pub groups: Vec<String>,
    pub roles: Vec<String>,
    pub locations: Vec<String>,
    pub age_secs: i64,
    fields: Vec<(Field, String)>,
    flags: Vec<(Flag, bool)>,
}

/// Requests of people in `groups` groups each.
pub fn questions(set: &PolicySet, policies: usize, groups: usize, count: usize) -> Vec<Question> {
    requests(shape(policies), groups, count).into_iter().map(|request| Question::new(set, request)).collect()
}

impl Question {
    fn new(set: &PolicySet, request: Request) -> Self {
        let (person, context) = (&request.principal, &request.context);
        let Identity::User { guest, .. } = &person.standing.identity else { unreachable!("people only") };
        let claim = |name: &str| {
            let found = person.standing.claims.iter().find(|(known, _)| &**known == name);
            match found.map(|(_, value)| value) {
                Some(Value::Text(text)) => text.clone(),
                _ => String::new(),
            }
        };
        let device = context.device.known();
        let lower = |text: Option<&str>| text.unwrap_or_default().to_ascii_lowercase();
        let managed =
            device.is_some_and(|device| device.compliant == Some(true) || device.is_hybrid_joined());
        let risk = |fact: Fact<RiskLevel>| fact.known().unwrap_or(RiskLevel::None).as_str().to_owned();
        let app = set.apps.get(request.target.app.0 as usize).map(|app| app.id.clone()).unwrap_or_default();
        let fields = Field::ALL.iter().map(|field| {
            let value = match field {
                Field::User => person.id.to_string(),
                Field::Guest => guest.map(GuestKind::as_str).unwrap_or_default().to_owned(),
                Field::App => app.clone(),
                Field::Platform => {
                    context.platform.known().map(|one| one.as_str()).unwrap_or_default().to_owned()
                }
                Field::Client => {
                    context.client_app.known().unwrap_or(ClientAppType::Other).as_str().to_owned()
                }
                Field::SignInRisk => risk(context.sign_in_risk),
                Field::UserRisk => risk(context.user_risk),
                Field::Method => request.action.method.to_owned(),
                Field::Path => request.action.path.to_owned(),
                Field::Model => lower(device.and_then(|device| device.model)),
                Field::Trust => lower(device.and_then(|device| device.trust_type)),
                Field::Compliant => {
                    device.and_then(|device| device.compliant).map(|yes| yes.to_string()).unwrap_or_default()
                }
                Field::Ownership => lower(device.and_then(|device| device.ownership)),
                Field::System => lower(device.and_then(|device| device.operating_system)),
                Field::Extension if managed => {
                    let first = device.and_then(|device| device.extension_attributes.first());
                    lower(first.map(|(_, value)| value.as_str()))
                }
                Field::Extension => String::new(),
                Field::Manufacturer => lower(device.and_then(|device| device.manufacturer)),
                Field::Department => claim("department"),
                Field::Level => claim("level"),
            };
            (*field, value)
        });
        let strong = person.standing.sign_in.methods.iter().any(|method| method == "fido");
        let flags = Flag::ALL.iter().map(|flag| {
            let holds = match flag {
                Flag::Mfa => person.standing.sign_in.methods.iter().any(|method| method == "mfa"),
                Flag::Strong => strong,
                Flag::CompliantDevice => device.is_some_and(|device| device.compliant == Some(true)),
                Flag::JoinedDevice => device.is_some_and(|device| device.is_hybrid_joined()),
            };
            (*flag, holds)
        });
        Self {
            fields: fields.collect(),
            flags: flags.collect(),
            groups: person.standing.groups.as_ref().known().cloned().unwrap_or_default(),
            roles: person.standing.roles.as_ref().known().cloned().unwrap_or_default(),
            locations: locations(set, &request),
            age_secs: person.auth_time.map_or(i64::MAX, |time| NOW - time),
            request,
        }
    }

    pub fn fields(&self) -> impl Iterator<Item = (Field, &str)> {
        self.fields.iter().map(|(field, value)| (*field, value.as_str()))
    }

    pub fn field(&self, wanted: Field) -> &str {
        self.fields().find(|(field, _)| *field == wanted).map_or("", |(_, value)| value)
    }

    pub fn flags(&self) -> impl Iterator<Item = (Flag, bool)> {
        self.flags.iter().copied()
    }
}

/// The names of the places that a request is in, found one by one.
fn locations(set: &PolicySet, request: &Request) -> Vec<String> {
    let mut names = Vec::new();
    for location in &set.locations {
        let (inside, is_trusted) = match &location.place {
            Place::Networks { networks, trusted } => (
                request
                    .context
                    .address
                    .known()
                    .is_some_and(|address| networks.iter().any(|one| one.contains(&address))),
                *trusted,
            ),
            Place::Countries { countries, include_unknown } => (
                match request.context.country {
                    Fact::Known(country) => countries.contains(&country),
                    Fact::Unknown | Fact::Unavailable => *include_unknown,
                },
                false,
            ),
        };
        if inside {
            names.push(location.name.clone());
            if is_trusted {
                names.push("all-trusted".to_owned());
            }
        }
    }
    names
}
