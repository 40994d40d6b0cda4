//! Requests that are let in as nobody: for paths that an app opens to everybody, and preflights that it answers itself. And
//! those that no app is for: of a balancer that asks for the listener's health.

use http::{Method, Version};
use portcullis_config::settings::App;
use portcullis_policy::signals::AppIndex;
use portcullis_policy::{Opening, Permit};

use super::seen::SeenByApp;
use super::{Authorizer, RequestFacts, accepted_by_app, path_is_allowed};
use crate::admit::{AdmittedRequest, Head};
use crate::refusal::Refusal;

/// The host of a health check that names none; no app can have it (RFC 2606, section 2).
const NO_HOST: &str = "health-check.invalid";

impl Authorizer<'_> {
    /// The head of a request by which a balancer asks this listener for its health; `None` for any other. Its path is compared
    /// as it was sent: what only resembles it is any other request.
    pub(super) fn health_check<'r>(&self, head: &Head<'r>) -> Option<Head<'r>> {
        let listener = self.arrival.listener.and_then(|index| self.snapshot.tls.listener(index))?;
        let path = listener.health_path.as_deref()?;
        let is_check = path.as_bytes() == head.target
            && matches!(*head.method, Method::GET | Method::HEAD)
            && self.turn.is_request();
        // Balancers that speak HTTP/1.0 name no host (RFC 9112, section 3.2, asks for it from HTTP/1.1 on).
        let is_nameless = head.version < Version::HTTP_11 && head.host().is_none();
        is_check.then(|| if is_nameless { head.of_host(NO_HOST) } else { *head })
    }

    /// The permit of a request that the app opens to everybody, whoever sends it.
    ///
    /// # Errors
    /// Why such a request is refused all the same.
    pub(super) fn open(
        &self,
        request: &AdmittedRequest<'_>,
        seen: Option<&SeenByApp>,
        (index, app): (AppIndex, &App),
        facts: &mut RequestFacts,
    ) -> Result<Option<Permit>, Refusal> {
        if app.openings.is_empty() {
            return Ok(None);
        }
        // What some server takes for another path is not open, nor is what leads two ways.
        let is_one = request.path_forms().is_empty()
            && request.other_paths().next().is_none()
            && seen.is_none_or(SeenByApp::has_one_reading);
        let asked = match (facts.is_preflight, is_one && !request.is_websocket()) {
            (true, _) => Opening::Preflight,
            (false, true) => Opening::Path(request.path()),
            (false, false) => return Ok(None),
        };
        let open = |asked| self.snapshot.policies.open(index, &app.openings, asked, self.request_id);
        let Some(permit) = open(asked) else { return Ok(None) };
        let handshake = self.arrival.handshake.as_deref();
        let client = self.snapshot.tls.authenticate_client(index.0, handshake, self.now());
        client.map_err(Refusal::ClientCertificate)?;
        match asked {
            Opening::Path(_) => accepted_by_app(request, seen, app)?,
            // Its method is that of the preflight itself.
            Opening::Preflight => path_is_allowed(request, seen, app)?,
        }
        facts.is_open = true;
        Ok(Some(permit))
    }
}
