//! What an app opens to everybody: requests that need no identity, and of which no policy is asked. The permit is made
//! here, so that a request which is let in without anybody behind it has come through the engine as well.

use alloc::vec::Vec;

use crate::compile::CompiledPolicies;
use crate::decision::{Permit, SessionLimits};
use crate::model::PathPattern;
use crate::path::{PathCase, is_below};
use crate::signals::{AppIndex, RequestId};

/// What an app opens to everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Openings {
    /// These paths.
    pub paths: Vec<PathPattern>,
    /// Preflights (Fetch Standard, section 3.2.2), which carry no credentials.
    pub preflights: bool,
}

impl Openings {
    /// Whether it opens nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.preflights
    }

    /// Whether a path in normal form is open. Letter case counts unless the app is known not to distinguish it, and a slash
    /// at the end makes another path: what could be two pages is one alone here.
    ///
    /// ```
    /// use portcullis_policy::{Openings, model::PathPattern::{Exact, Subtree}, path::PathCase};
    /// let openings = Openings { paths: vec![Exact("/healthz".into()), Subtree("/.well-known".into())], preflights: false };
    /// let is_open = |path| openings.covers(path, PathCase::Unknown);
    /// assert!(is_open("/healthz") && is_open("/.well-known/security.txt"));
    /// assert!(!is_open("/healthz/") && !is_open("/Healthz") && !is_open("/healthz/x") && !is_open("/.well-knowns"));
    /// ```
    #[must_use]
    pub fn covers(&self, path: &str, case: PathCase) -> bool {
        let compare = case.sparing();
        self.paths.iter().any(|pattern| match pattern {
            PathPattern::Exact(wanted) => compare.strip_prefix(path, wanted).is_some_and(str::is_empty),
            PathPattern::Subtree(base) => is_below(path, base, compare),
        })
    }
}

/// What is asked for without an identity.
#[derive(Clone, Copy, Debug)]
pub enum Opening<'r> {
    /// A path. It has one reading alone: no server takes it for another.
    Path(&'r str),
    /// Leave for a page of another origin, which the app names.
    Preflight,
}

impl CompiledPolicies {
    /// The permit of a request that its app opens to everybody; `None` where it does not.
    #[must_use]
    pub fn open(
        &self,
        app: AppIndex,
        openings: &Openings,
        asked: Opening<'_>,
        request_id: RequestId,
    ) -> Option<Permit> {
        let case = self.set().apps.get(app.0 as usize)?.paths;
        let is_open = match asked {
            Opening::Path(path) => openings.covers(path, case),
            Opening::Preflight => openings.preflights,
        };
        let limits = SessionLimits { sign_in_until: None, persistent_browser: None };
        is_open.then(|| Permit::grant(app, self.generation(), request_id, limits))
    }
}
