//! A request as its app will see it, where the app is asked under another path: judged beside what was asked for.

use http::{HeaderName, HeaderValue};
use portcullis_config::settings::{App, UpstreamHost};
use portcullis_policy::path::ReadPath;

use super::Authorizer;
use super::seen::SeenByApp;
use crate::admit::{AdmittedRequest, Head};
use crate::refusal::{BadRequest, Refusal};
use crate::route::{PrefixRewrite, RewrittenTarget, Route};

/// Where WebDAV is to copy or move something to (RFC 4918, section 10.3).
const DESTINATION: HeaderName = HeaderName::from_static("destination");

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
