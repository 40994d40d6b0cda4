//! What would let the caller in, with what the page does not say: which network, which version, when.

use jiff::tz::TimeZone;
use portcullis_policy::PolicySet;
use portcullis_policy::model::Place;
use portcullis_policy::remedy::{Alternative, Finding, Remedies, Remedy, StrongerMethod};

use super::zone;
use crate::denial::read_out;

/// Each alternative as its steps, in words for the help desk.
pub(super) fn in_words(found: &Remedies, set: &PolicySet, zone: Option<&TimeZone>) -> Vec<Vec<String>> {
    let steps = |one: &Alternative| one.changes.iter().map(|change| step(*change, one, set, zone)).collect();
    found.alternatives.iter().map(steps).collect()
}

fn step(change: Remedy, one: &Alternative, set: &PolicySet, zone: Option<&TimeZone>) -> String {
    let tried = &one.tried;
    let country = tried.country.map(|country| {
        format!("{} ({country})", read_out::country(country.as_str()), country = country.as_str())
    });
    let there = country.as_ref().map(|country| format!(", in {country}")).unwrap_or_default();
    match change {
        Remedy::SignInAgain => "sign in again".to_owned(),
        Remedy::StrongerSignIn { method } => match method {
            StrongerMethod::Mfa => "sign in again with multifactor authentication".to_owned(),
            StrongerMethod::Strength(at) => {
                let name = set.strengths.get(at as usize).map_or("?", |strength| &*strength.name);
                format!("sign in again with the strength `{name}`")
            }
            StrongerMethod::Context(context) => format!("sign in again for the context `{context}`"),
            StrongerMethod::Several => {
                "sign in again with everything at once that the policies above ask for".to_owned()
            }
        },
        Remedy::AcceptTerms => "accept the terms of use".to_owned(),
        Remedy::ExternalControl => "satisfy the external control".to_owned(),
        Remedy::ChangePassword => "change the password, and sign in with the new one".to_owned(),
        Remedy::OtherSignInFlow => "sign in without a device code or a transfer".to_owned(),
        Remedy::LeaveNetwork => format!("leave the VPN or proxy: an address of no named network{there}"),
        Remedy::OtherCountry => match country {
            Some(country) => format!("connect from another country, such as {country}"),
            None => "connect from another country".to_owned(),
        },
        Remedy::ApprovedNetwork => match tried.address {
            Some(address) => {
                let names: Vec<String> = set
                    .locations
                    .iter()
                    .filter(|location| match &location.place {
                        Place::Networks { networks, .. } => {
                            networks.iter().any(|network| network.contains(&address))
                        }
                        Place::Countries { .. } => false,
                    })
                    .map(|location| format!("`{}`", location.name))
                    .collect();
                format!("connect to {} (tried with {address}{there})", names.join(" and "))
            }
            None => "connect to a network that a location names".to_owned(),
        },
        Remedy::ApprovedClientApp => "use an approved client app".to_owned(),
        Remedy::ProtectedClientApp => "use a client app under protection".to_owned(),
        Remedy::NewerOs => match &tried.os_version {
            Some(version) => format!("update the system to version {version} or later"),
            None => "update the system".to_owned(),
        },
        Remedy::RegisteredDevice => "use a registered device".to_owned(),
        Remedy::CompliantDevice => "use a compliant device".to_owned(),
        Remedy::HybridJoinedDevice => "use a hybrid joined device".to_owned(),
        Remedy::OtherDevice => "use a device with other attributes; the filters above say which".to_owned(),
        Remedy::LaterTime { at } => format!("wait until {}", zone::both(at.saturating_mul(1_000), zone)),
    }
}

/// What the search came to, where it found nothing.
pub(super) fn nothing(found: &Remedies, set: &PolicySet) -> Option<String> {
    let text = match found.finding {
        Finding::LetIn | Finding::Found => return None,
        Finding::Waiting => "A source of facts did not answer: waiting, not a change, is what helps.".to_owned(),
        Finding::SignInNotTold => {
            "Only another sign-in would help, and the issuer has never told how or when anybody signed in: its tokens lack \
             `amr`, `acr`, `acrs` and `auth_time`."
                .to_owned()
        }
        Finding::OnlyAdministrator => {
            let named: Vec<&str> = found
                .unavoidable
                .iter()
                .filter_map(|policy| Some(set.policies.get(policy.0 as usize)?.id.as_str()))
                .collect();
            if named.is_empty() {
                "Nothing that the user could change: only another policy, group or assignment.".to_owned()
            } else {
                format!(
                    "Nothing that the user could change: only another policy, group or assignment. No change avoids {}.",
                    named.join(", ")
                )
            }
        }
        Finding::NotFound => {
            "No change on the user's side was found; the search was not exhaustive, or more than three changes at once would \
             be needed."
                .to_owned()
        }
    };
    Some(text)
}
