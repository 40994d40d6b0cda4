//! A request as its app will see it.

use portcullis_config::settings::App;
use portcullis_policy::Reading;
use portcullis_policy::model::AuthenticationContext;
use portcullis_policy::path::{PathForms, ReadPath};

use crate::route::RewrittenTarget;

/// A request as its app will see it.
#[derive(Debug)]
pub(super) struct SeenByApp {
    pub(super) rewritten: RewrittenTarget,
    /// Its path, and the one of its `Destination`.
    pub(super) paths: Vec<ReadPath<'static>>,
}

impl SeenByApp {
    /// What of its paths the app must allow by name.
    pub(super) fn forms(&self) -> PathForms {
        self.paths.iter().fold(PathForms::EMPTY, |forms, path| forms.union(path.forms()))
    }

    /// Whether nobody reads its path as another one.
    pub(super) fn has_one_reading(&self) -> bool {
        self.forms().is_empty() && self.paths.iter().all(|path| path.others().is_empty())
    }

    /// Adds to what the request may be about what the app will see. Where that asks for no context, what was asked for does.
    pub(super) fn add_readings<'r>(
        &'r self,
        app: &App,
        (asked, context): (&'r str, Option<AuthenticationContext>),
        readings: &mut Vec<Reading<'r>>,
    ) {
        if readings.is_empty() {
            readings.push(Reading { path: asked, context });
        }
        let others = |path: &'r ReadPath<'static>| path.others().iter().map(String::as_str);
        for path in self.paths.iter().flat_map(|path| [path.written()].into_iter().chain(others(path))) {
            let (own, by_case) = app.contexts_of(path);
            for own in [Some(own), by_case].into_iter().flatten() {
                let reading = Reading { path, context: own.or(context) };
                if !readings.contains(&reading) {
                    readings.push(reading);
                }
            }
        }
    }
}
