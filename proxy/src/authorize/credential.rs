//! Who asks: by a token where the app looks for one, or by the session of a browser.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderName;
use portcullis_config::settings::App;

use super::{Authorizer, Credential, Quotas, Sending, Stop, Turn};
use crate::admit::AdmittedRequest;
use crate::limit::Kind;
use crate::own::Navigation;
use crate::refusal::{BadRequest, BadToken, Refusal};
use crate::token::{self, CachedPrincipal, Presented, TokenLocation, TokenProblem};

impl Authorizer<'_> {
    /// The principal, and what it came with. A client without a valid token gets the same answer whatever the app,
    /// its issuers and the names of its cookies are: what it turns on is whether `Authorization` carries a `Bearer`
    /// credential, and whether a signature was good once. A browser is sent to sign in where the app has a sign-in.
    pub(super) fn authenticate(
        &self,
        request: &AdmittedRequest<'_>,
        app: &App,
        (address, quotas): Sending<'_>,
    ) -> Result<(Arc<CachedPrincipal>, Credential), Stop> {
        let cookie = app.token.cookie.as_deref().map_or(Ok(None), |name| request.cookie(name));
        let by_header = |name: &str| request.header(&HeaderName::from_bytes(name.as_bytes()).ok()?);
        let authorization = request.authorization();
        let found = token::find_token(&app.token, authorization, |_| cookie.ok().flatten(), by_header);
        let Some((token, place)) = found else {
            return match authorization.and_then(token::bearer) {
                // Verified in vain, and answered as by an app that takes it: or the answers would tell this app from others.
                Some(token) => {
                    let verified = self.verify(token, &app.issuers, Kind::Bearer, (address, quotas));
                    let place = |_| Refusal::BadToken(BadToken::Place);
                    Err(verified.map_or_else(Refusal::from, place).into())
                }
                None if cookie.is_err() => Err(Refusal::BadSession(BadToken::Malformed).into()),
                None if app.sign_in.is_empty() => Err(Refusal::NoToken.into()),
                None => self.authenticate_session(request, app),
            };
        };
        let kind = if place == TokenLocation::Authorization { Kind::Bearer } else { Kind::Session };
        let caller = self
            .verify(token, &app.issuers, kind, (address, quotas))
            .map_err(|problem| bad_token(problem.into(), place))?;
        if app.audiences.as_ref().is_some_and(|audiences| !caller.token().is_meant_for(audiences)) {
            return Err(bad_token(Refusal::BadToken(BadToken::Audience), place).into());
        }
        // From here on the user is known. A credential that was sent twice may name another user.
        if cookie.is_err() {
            return Err(Refusal::BadRequest(BadRequest::Credential).into());
        }
        let credential = Credential::Token(place);
        check_beside(request, app, &credential)?;
        Ok((caller, credential))
    }

    /// The same by the session of a browser.
    fn authenticate_session(
        &self,
        request: &AdmittedRequest<'_>,
        app: &App,
    ) -> Result<(Arc<CachedPrincipal>, Credential), Stop> {
        let session = self.session(request)?.and_then(|session| self.session_of_app(session, app));
        let session = session.map_err(|why| self.without_session(request, Navigation::of(request), why))?;
        let (caller, credential) = (Arc::clone(session.caller()), Credential::Session(session));
        check_beside(request, app, &credential)?;
        Ok((caller, credential))
    }

    /// A token that is remembered is looked at always; any other only while few tokens of its address failed.
    pub(super) fn verify(
        &self,
        token: &[u8],
        accepted: &[usize],
        kind: Kind,
        (address, quotas): Sending<'_>,
    ) -> Result<Arc<CachedPrincipal>, TokenProblem> {
        let presented = Presented { token, accepted, now: self.now() };
        let observe = |lookup| self.state.metrics.token_looked_up(lookup);
        let (verifier, policies) = (&self.snapshot.verifier, &self.snapshot.policies);
        let may_verify = || self.may_verify((address, kind), quotas);
        let found =
            token::authenticate(verifier, &self.state.cache, policies, presented, may_verify, observe);
        match found {
            // Good once: not an attack, but a page that was left open; and it is remembered.
            Err(
                TokenProblem::Bad(BadToken::Expired | BadToken::NotTried) | TokenProblem::KeysUnavailable,
            )
            | Ok(_) => {}
            Err(TokenProblem::Bad(_)) => self.count_failure((address, kind)),
        }
        found
    }

    /// Whether another token of this address may be verified.
    fn may_verify(&self, from: (IpAddr, Kind), quotas: &mut Quotas) -> bool {
        // What was let in goes on: whoever shares its address cannot end it.
        if self.turn == Turn::Again {
            return true;
        }
        let rate = self.snapshot.config.server.limits.failed_verifications;
        let quota = self.state.limits.failures(from, rate, self.now_unix_ms);
        quotas.failures = Some(quota).filter(|quota| quota.is_exceeded);
        !quota.is_exceeded
    }

    fn count_failure(&self, from: (IpAddr, Kind)) {
        if self.turn != Turn::Again {
            let rate = self.snapshot.config.server.limits.failed_verifications;
            self.state.limits.count_failure(from, rate, self.now_unix_ms);
        }
    }
}

/// Whether nothing else of the request speaks for another user, and no foreign page for this one.
fn check_beside(request: &AdmittedRequest<'_>, app: &App, credential: &Credential) -> Result<(), Refusal> {
    if *credential == Credential::Token(TokenLocation::Authorization) {
        return Ok(());
    }
    let authorization = request.authorization();
    // A credential that nobody read may name another user.
    if authorization.is_some_and(|value| !value.is_ascii()) {
        return Err(Refusal::BadRequest(BadRequest::Credential));
    }
    if app.forward_authorization && authorization.is_some() {
        return Err(Refusal::BadRequest(BadRequest::SecondCredential));
    }
    // Browsers send cookies with a WebSocket of any page, and no CORS stands before it.
    let is_by_cookie = *credential != Credential::Token(TokenLocation::Header);
    if is_by_cookie && request.is_websocket() && !request.is_from_own_page(&app.allowed_origins) {
        return Err(Refusal::BadRequest(BadRequest::Origin));
    }
    Ok(())
}

/// A token's refusal as somebody may learn it who sent it in this place.
const fn bad_token(refusal: Refusal, place: TokenLocation) -> Refusal {
    match (refusal, place) {
        // The signature was good: its holder was somebody once, and knows the cookie.
        (Refusal::BadToken(bad @ (BadToken::Expired | BadToken::Revoked)), _)
        | (Refusal::BadToken(bad), TokenLocation::Authorization) => Refusal::BadToken(bad),
        (Refusal::BadToken(bad), TokenLocation::Cookie | TokenLocation::Header) => Refusal::BadSession(bad),
        (other, _) => other,
    }
}
