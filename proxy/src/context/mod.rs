//! The circumstances of a request. Gathers facts, never decides, never fails: what is missing is a
//! [`Fact::Unknown`], what should be there and is not, a [`Fact::Unavailable`].

pub mod agent;
pub mod geo;

use portcullis_policy::signals::{ClientContext, Fact};

use crate::admit::AdmittedRequest;
use crate::token::VerifiedToken;
use geo::GeoState;

/// Puts together what is known of a request.
#[must_use]
pub fn gather<'r>(
    request: &AdmittedRequest<'_>,
    token: &'r VerifiedToken,
    geo: &GeoState,
) -> ClientContext<'r> {
    let (platform, client_app) =
        agent::classify(request.user_agent(), request.platform_hint(), request.path());
    let risks = token.risks();
    ClientContext {
        address: request.client().map_or(Fact::Unknown, Fact::Known),
        country: request.client().map_or(Fact::Unknown, |client| geo.country(client)),
        platform,
        client_app,
        device: token.device().map_or(Fact::Unknown, Fact::Known),
        sign_in_risk: risks.sign_in,
        user_risk: risks.user,
        insider_risk: risks.insider,
        service_principal_risk: risks.service_principal,
    }
}
