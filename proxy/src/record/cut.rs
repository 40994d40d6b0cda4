//! What was cut when the process ended, by app: the people of an app are told why by whoever runs it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use parking_lot::Mutex;

/// Apps that are named; what the others lost is one number.
const NAMED_MAX: usize = 20;
/// No app can be called so: ids are of letters, digits, `-`, `_` and `.`.
const NONE: &str = "(none)";

/// Requests that ended because the process did.
#[derive(Debug, Default)]
pub struct CutRequests(OnceLock<Mutex<BTreeMap<String, u64>>>);

impl CutRequests {
    /// From now on a request that ends was cut.
    pub fn begin(&self) {
        self.0.get_or_init(Mutex::default);
    }

    /// A request ended that was for this app, as far as it was known.
    pub fn ended(&self, app: Option<&str>) {
        if let Some(by_app) = self.0.get() {
            *by_app.lock().entry(app.unwrap_or(NONE).to_owned()).or_default() += 1;
        }
    }

    /// How many of each app were cut, most first, for people.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut by_app: Vec<(String, u64)> = match self.0.get() {
            Some(by_app) => by_app.lock().clone().into_iter().collect(),
            None => Vec::new(),
        };
        // Those of equal number stay in the order of their names.
        by_app.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let others = by_app.split_off(by_app.len().min(NAMED_MAX));
        let mut words: Vec<String> = by_app.iter().map(|(app, count)| format!("{app} {count}")).collect();
        if !others.is_empty() {
            let count: u64 = others.iter().map(|(_, count)| count).sum();
            words.push(format!("{} other apps {count}", others.len()));
        }
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_apps_that_lost_most_are_named_and_the_others_counted() {
        let cut = CutRequests::default();
        cut.ended(Some("early"));
        cut.begin();
        for (app, count) in [("wiki", 2), ("mail", 3), ("desk", 2)] {
            (0..count).for_each(|_| cut.ended(Some(app)));
        }
        cut.ended(None);
        assert_eq!(cut.in_words(), "mail 3, desk 2, wiki 2, (none) 1");
        (0..1_000).for_each(|number| cut.ended(Some(&format!("app{number:04}"))));
        let words = cut.in_words();
        assert!(words.starts_with("mail 3, desk 2, wiki 2, (none) 1, app0000 1, "), "{words}");
        assert!(words.ends_with(", app0015 1, 984 other apps 984"), "{words}");
    }
}
