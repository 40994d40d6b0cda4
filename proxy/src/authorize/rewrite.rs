//! A request as its app will see it, where the app is asked under another path: judged beside what was asked for.

use http::{HeaderName, HeaderValue};
use portcullis_config::settings::{App, UpstreamHost};
use portcullis_policy::Reading;
use portcullis_policy::model::AuthenticationContext;
use portcullis_policy::path::{PathForms, ReadPath};

use super::Authorizer;
use crate::admit::{AdmittedRequest, Head};
use crate::refusal::{BadRequest, Refusal};
use crate::route::{PrefixRewrite, RewrittenTarget, Route};

/// Where WebDAV is to copy or move something to (RFC 4918, section 10.3).
const DESTINATION: HeaderName = HeaderName::from_static("destination");

/// A request as its app will see it.
#[derive(Debug)]
pub(super) struct SeenByApp {
    pub(super) rewritten: RewrittenTarget,
    /// Its path, and the one of its `Destination`.
    paths: Vec<ReadPath<'static>>,
}

impl Authorizer<'_> {
    /// What the app of a route will see; `None` where that is what was asked for.
    ///
    /// # Errors
    /// When it cannot be said for certain.
    pub(super) fn seen_by_app(
        &self,
        head: &Head<'_>,
        request: &AdmittedRequest<'_>,
        route: &Route<'_>,
        app: &App,
    ) -> Result<Option<SeenByApp>, Refusal> {
        let Some(rewrite) = self.snapshot.routes.rewrite(route.app) else { return Ok(None) };
        let ambiguous = |_| Refusal::BadRequest(BadRequest::AmbiguousPath);
        let rewritten = rewrite.target(head.target).map_err(ambiguous)?;
        let mut paths = vec![rewritten.path];
        let destination = match request.header(&DESTINATION) {
            Some(text) => {
                let (destination, path) =
                    destination(rewrite, text, app).ok_or(Refusal::BadRequest(BadRequest::Destination))?;
                paths.push(path);
                Some(destination)
            }
            None => None,
        };
        let prefix = HeaderValue::from_str(rewrite.public()).map_err(|_| Refusal::Internal)?;
        let rewritten = RewrittenTarget { target: rewritten.target, destination, prefix };
        Ok(Some(SeenByApp { rewritten, paths }))
    }
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

/// `Destination` as the app will see it, and its path. It was admitted: it names the host that was asked, or none. Where the
/// app is asked under another one, it names none.
fn destination(rewrite: &PrefixRewrite, text: &str, app: &App) -> Option<(HeaderValue, ReadPath<'static>)> {
    let path_at = if text.starts_with('/') {
        0
    } else {
        text.find("://")? + 3 + text.split("://").nth(1)?.find('/')?
    };
    let (place, path) = text.split_at_checked(path_at)?;
    let rewritten = rewrite.target(path.as_bytes()).ok()?;
    let place = if app.shaping.upstream_host == UpstreamHost::Keep { place } else { "" };
    let value = HeaderValue::from_str(&format!("{place}{}", rewritten.target)).ok()?;
    Some((value, rewritten.path))
}
