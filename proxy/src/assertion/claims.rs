//! What an assertion says.

use http::HeaderValue;
use portcullis_policy::signals::{AppIndex, Fact, RequestId};
use serde::Serialize;

use crate::admit::Site;
use crate::token::CachedPrincipal;

/// The most that the groups of an assertion take together, in bytes: servers refuse heads of more than 8 KiB.
const GROUPS_BYTES_MAX: usize = 3 * 1024;

/// What an assertion is about.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'r> {
    /// Who asks.
    pub caller: &'r CachedPrincipal,
    /// The app that receives it, as the permit names it.
    pub app: AppIndex,
    /// The app's id: the audience.
    pub app_id: &'r str,
    /// The host that was asked for, as decided on.
    pub host: &'r HeaderValue,
    /// Scheme and port under which the client asked.
    pub site: Site,
    /// What stands for the session in public, where there is one; never its id.
    pub session: Option<&'r str>,
    /// The request for which it is signed.
    pub request_id: RequestId,
    /// Unix seconds.
    pub now: i64,
}

/// The claims of one assertion.
pub(super) struct Claims<'r> {
    pub(super) issuer: &'r str,
    pub(super) expires_at: i64,
    pub(super) statement: &'r Statement<'r>,
}

/// As they are written (RFC 7519, section 4.1).
#[derive(Serialize)]
struct Payload<'r> {
    iss: &'r str,
    aud: &'r str,
    sub: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<&'r [String]>,
    /// That there are groups which are not listed, as Microsoft Entra says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hasgroups: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'r str>,
    iat: i64,
    exp: i64,
    jti: String,
}

impl Claims<'_> {
    pub(super) fn to_json(&self) -> Option<Vec<u8>> {
        let statement = self.statement;
        let token = statement.caller.token();
        let principal = token.principal();
        let (groups, hasgroups) = listed(&principal.standing.groups);
        let payload = Payload {
            iss: self.issuer,
            aud: statement.app_id,
            sub: &principal.id,
            name: token.user_name(),
            groups,
            hasgroups,
            sid: statement.session,
            iat: statement.now,
            exp: self.expires_at,
            jti: uuid::Uuid::from_u128(statement.request_id.0).to_string(),
        };
        serde_json::to_vec(&payload).ok()
    }
}

/// The groups if they are known and few enough to be listed, and else that there are some: of a part an app could
/// conclude that somebody is not in the rest.
fn listed(groups: &Fact<Vec<String>>) -> (Option<&[String]>, Option<bool>) {
    match groups {
        Fact::Known(groups)
            if groups.iter().map(|group| group.len() + 3).sum::<usize>() <= GROUPS_BYTES_MAX =>
        {
            (Some(groups), None)
        }
        Fact::Known(_) | Fact::Unavailable => (None, Some(true)),
        Fact::Unknown => (None, None),
    }
}

/// The URL of the installation under a host: `https://wiki.corp.example`, with the port where it is not the scheme's own.
pub(super) fn origin(host: &HeaderValue, site: Site) -> Option<String> {
    let (scheme, host) = (site.scheme.as_str(), host.to_str().ok()?);
    Some(match site.written_port() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

/// Whether a text is what [`origin`] writes. No allocation.
pub(super) fn is_origin(text: &str, host: &HeaderValue, site: Site) -> bool {
    let rest = text.strip_prefix(site.scheme.as_str()).and_then(|rest| rest.strip_prefix("://"));
    let rest = rest.and_then(|rest| rest.as_bytes().strip_prefix(host.as_bytes()));
    match (rest, site.written_port()) {
        (Some([]), None) => true,
        (Some([b':', digits @ ..]), Some(port)) => {
            // INVARIANT: `origin` writes no zero before and no sign.
            std::str::from_utf8(digits).is_ok_and(|digits| digits.parse() == Ok(port))
        }
        _ => false,
    }
}
