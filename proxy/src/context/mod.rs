//! The circumstances of a request. Gathers facts, never decides, never fails: what is missing is a
//! [`Fact::Unknown`], what should be there and is not, a [`Fact::Unavailable`].

pub mod agent;
pub mod geo;

use http::HeaderName;
use portcullis_policy::signals::{ClientContext, Device, Fact};

use crate::admit::AdmittedRequest;
use crate::token::VerifiedToken;
use geo::GeoState;

const SEC_CH_UA_PLATFORM: HeaderName = HeaderName::from_static("sec-ch-ua-platform");

/// Puts together what is known of a request.
#[must_use]
pub fn gather<'r>(
    request: &AdmittedRequest<'_>,
    token: &'r VerifiedToken,
    geo: &GeoState,
) -> ClientContext<'r> {
    let (platform, client_app) =
        agent::classify(request.user_agent(), request.header(&SEC_CH_UA_PLATFORM), request.path());
    ClientContext {
        address: Fact::Known(request.client()),
        country: geo.country(request.client()),
        platform,
        client_app,
        device: token.device().map_or(Fact::Unknown, |device| {
            Fact::Known(Device {
                device_id: Some(&device.id),
                compliant: device.compliant,
                trust_type: device.trust_type.as_deref(),
                operating_system: device.os.as_deref(),
                operating_system_version: device.os_version.as_deref(),
                ..Device::default()
            })
        }),
        sign_in_risk: token.sign_in_risk(),
        user_risk: token.user_risk(),
        ..ClientContext::UNKNOWN
    }
}
