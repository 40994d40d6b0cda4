//! A device and claims for which rules hold, for whoever writes requests.

use alloc::string::String;
use alloc::vec::Vec;

use super::witness::{plain, put};
use crate::model::{App, Conditions, FilterMode, Unmatched};
use crate::path::PathCase;
use crate::reference::Tri;
use crate::rule::Environment;
use crate::rule::sample::Samples;
use crate::signals::{AppIndex, Fact, OwnedDevice, Value};

/// A device and claims for which the rules of conditions hold.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The device; [`Fact::Unknown`] is an unregistered one.
    pub device: Fact<OwnedDevice>,
    /// Claims, by name.
    pub claims: Vec<(String, Value)>,
}

/// Something that the rules of conditions match, if something is found; `None` where there are no rules. Rules that
/// ask for attributes of apps, methods or paths are passed over.
#[must_use]
pub fn sample(conditions: &Conditions) -> Option<Sample> {
    let filter = conditions.device.as_ref();
    if filter.is_none() && conditions.claims.is_none() {
        return None;
    }
    let samples = Samples::of(filter.map(|filter| &filter.rule).into_iter().chain(&conditions.claims));
    let mut plain = plain(AppIndex(0), 0);
    let no_app = App {
        id: String::new(),
        groups: Vec::new(),
        attributes: Vec::new(),
        assigned: None,
        unmatched: Unmatched::Deny,
        paths: PathCase::default(),
    };
    samples.combinations().find_map(|combination| {
        plain.device = Fact::Unknown;
        plain.principal.standing_mut().claims.clear();
        combination.into_iter().for_each(|(place, value)| put(&mut plain, place, value));
        let holds = plain.with(|signals| {
            let environment = Environment::of(signals, &no_app.attributes, no_app.paths);
            let device = filter.is_none_or(|filter| {
                let wanted = if filter.mode == FilterMode::Include { Tri::Yes } else { Tri::No };
                filter.rule.holds(&environment) == wanted
            });
            device && conditions.claims.as_ref().is_none_or(|rule| rule.holds(&environment) == Tri::Yes)
        });
        holds.then(|| Sample {
            device: plain.device.clone(),
            claims: plain
                .principal
                .standing
                .claims
                .iter()
                .map(|(name, value)| (String::from(&**name), value.clone()))
                .collect(),
        })
    })
}
