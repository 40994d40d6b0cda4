//! Every reason a request stops: its code, status, class and resolution. The one place that owns
//! the table of `denial`'s codes. A *decision* is what policies say, a *refusal* is why a request
//! stops, a *denial* is what the user is shown.

use portcullis_policy::decision::{ReasonCode, Refused};
use portcullis_policy::model::Evidence;
use portcullis_policy::path::PathForm;
use portcullis_policy::signals::{Fact, Principal};

/// Why a request stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request is ambiguous or malformed (400). Nothing of it is judged.
    BadRequest(BadRequest),
    /// No app answers to this host and path (404).
    NoApp,
    /// No token came (401).
    NoToken,
    /// The token is not valid (401).
    BadToken(BadToken),
    /// The token in a cookie or header of the app's own is not valid (401). Told exactly as [`Refusal::NoToken`]:
    /// any other answer would tell strangers the cookie's name.
    BadSession(BadToken),
    /// The keys to verify the token are not at hand: temporary (503).
    KeysUnavailable,
    /// The policies refuse; the subcode narrows the code that is shown.
    Policy(Refused, Subcode),
    /// No permit, or one that does not fit, where one is needed: a fault of ours (500).
    Internal,
    /// The upstream does not answer (502, 504).
    Upstream {
        /// 502 or 504.
        status: u16,
    },
    /// The request body is too large (413).
    BodyTooLarge,
    /// The request has been here before: an app's upstream leads back to us (508).
    Loop,
}

/// What tells two refusals for the same reason apart, because what ends them differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Subcode {
    /// The reason says it all.
    #[default]
    None,
    /// The sign-in is too old, and it was a multifactor one: the second factor is asked for again.
    MfaExpired,
    /// A device is asked for, and a token that a program sent carries no claim about one.
    DeviceClaimsMissing,
    /// The decision turned on groups or roles that the token does not tell whole, or not in a form that can be
    /// read. Waiting does not help; an administrator's change of the issuer or of the settings does.
    GroupsNotTold,
}

impl Subcode {
    /// Every subcode.
    pub const ALL: [Self; 4] = [Self::None, Self::MfaExpired, Self::DeviceClaimsMissing, Self::GroupsNotTold];

    /// The subcode of a refusal by policies, of somebody with a token that was brought so. `evidence`: what the
    /// policies accept as proof.
    fn of(refused: Refused, principal: &Principal, evidence: &Evidence, carrier: Carrier) -> Self {
        let standing = &principal.standing;
        let is_untold = standing.groups == Fact::Unavailable || standing.roles == Fact::Unavailable;
        match (refused.primary, carrier) {
            _ if refused.temporary && is_untold => Self::GroupsNotTold,
            (ReasonCode::SignInTooOld, _) if evidence.proves_mfa(&standing.sign_in) => Self::MfaExpired,
            (ReasonCode::DeviceUnknown, Carrier::Bearer) => Self::DeviceClaimsMissing,
            _ => Self::None,
        }
    }

    /// The error instead of the reason's own, if the subcode fits the reason.
    const fn info(self, reason: ReasonCode) -> Option<ErrorInfo> {
        use Resolution::{ChangeContext, Reauthenticate};
        match (self, reason) {
            (Self::MfaExpired, ReasonCode::SignInTooOld) => {
                Some(info(50078, Class::Authentication, Reauthenticate, 401))
            }
            (Self::DeviceClaimsMissing, ReasonCode::DeviceUnknown) => {
                Some(info(50187, Class::Device, ChangeContext, 403))
            }
            _ => None,
        }
    }
}

/// What brought a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// `Authorization: Bearer`: a program that can be given other tokens.
    Bearer,
    /// A cookie or header of a session that began in a browser.
    BrowserSession,
}

/// What makes a request ambiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadRequest {
    /// Host missing, doubled or malformed.
    Host,
    /// The target is no plain path, or not a normalised one.
    Target,
    /// Transfer-Encoding or Content-Length are unusual.
    Framing,
    /// A header name or value that could be read in two ways.
    Header,
    /// A doubled credential.
    Credential,
    /// The method is none that could be meant.
    Method,
    /// The method is known, and not accepted here (405).
    MethodNotAllowed,
    /// The forwarded address of a trusted proxy cannot be read.
    ForwardedAddress,
    /// The head is too large.
    TooLarge,
    /// A page of another origin opens a WebSocket with the user's cookie (403).
    Origin,
    /// `Authorization` beside a token in another place, for an app that would receive it unverified.
    SecondCredential,
    /// The readings of its path lead to different apps.
    AmbiguousPath,
    /// `Destination` is no plain path of the same host.
    Destination,
    /// Its path has a form that the app does not allow.
    Path(PathForm),
}

impl BadRequest {
    /// How many kinds there are beside [`Self::Path`].
    const PLAIN: usize = 13;

    /// Every kind.
    pub const ALL: [Self; Self::PLAIN + PathForm::ALL.len()] = [
        Self::Host,
        Self::Target,
        Self::Framing,
        Self::Header,
        Self::Credential,
        Self::Method,
        Self::MethodNotAllowed,
        Self::ForwardedAddress,
        Self::TooLarge,
        Self::Origin,
        Self::SecondCredential,
        Self::AmbiguousPath,
        Self::Destination,
        Self::Path(PathForm::EncodedSlash),
        Self::Path(PathForm::PathParameters),
        Self::Path(PathForm::DoubleSlash),
        Self::Path(PathForm::DoubleEncoding),
        Self::Path(PathForm::TrailingDot),
        Self::Path(PathForm::StreamName),
        Self::Path(PathForm::ShortName),
        Self::Path(PathForm::SessionSegment),
        Self::Path(PathForm::InvisibleCharacter),
        Self::Path(PathForm::LookAlike),
        Self::Path(PathForm::Decomposed),
    ];

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub const fn position(self) -> usize {
        match self {
            Self::Host => 0,
            Self::Target => 1,
            Self::Framing => 2,
            Self::Header => 3,
            Self::Credential => 4,
            Self::Method => 5,
            Self::MethodNotAllowed => 6,
            Self::ForwardedAddress => 7,
            Self::TooLarge => 8,
            Self::Origin => 9,
            Self::SecondCredential => 10,
            Self::AmbiguousPath => 11,
            Self::Destination => 12,
            Self::Path(form) => Self::PLAIN + form as usize,
        }
    }

    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "bad-host",
            Self::Target => "bad-target",
            Self::Framing => "bad-framing",
            Self::Header => "bad-header",
            Self::Credential => "bad-credential",
            Self::Method => "bad-method",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::ForwardedAddress => "bad-forwarded-address",
            Self::TooLarge => "head-too-large",
            Self::Origin => "foreign-origin",
            Self::SecondCredential => "second-credential",
            Self::AmbiguousPath => "ambiguous-path",
            Self::Destination => "bad-destination",
            Self::Path(form) => match form {
                PathForm::EncodedSlash => "path-encoded-slash",
                PathForm::PathParameters => "path-parameters",
                PathForm::DoubleSlash => "path-double-slash",
                PathForm::DoubleEncoding => "path-double-encoding",
                PathForm::TrailingDot => "path-trailing-dot",
                PathForm::StreamName => "path-stream-names",
                PathForm::ShortName => "path-short-names",
                PathForm::SessionSegment => "path-session-segments",
                PathForm::InvisibleCharacter => "path-invisible-characters",
                PathForm::LookAlike => "path-look-alikes",
                PathForm::Decomposed => "path-decomposed",
            },
        }
    }
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadToken {
    /// It is no signed JWT, or too long.
    Malformed,
    /// Algorithm, type or critical header that is not accepted.
    Header,
    /// Its issuer is not one of the app's.
    Issuer,
    /// No key of its issuer has this `kid`.
    UnknownKey,
    /// The signature does not verify.
    Signature,
    /// It has expired, or is too old.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It is for another audience.
    Audience,
    /// A required claim is missing or of the wrong type.
    Claims,
    /// It was good, and was ended by a logout or a revocation.
    Revoked,
    /// It came in `Authorization`, where the app takes none.
    Place,
}

impl BadToken {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::Header,
        Self::Issuer,
        Self::UnknownKey,
        Self::Signature,
        Self::Expired,
        Self::NotYetValid,
        Self::Audience,
        Self::Claims,
        Self::Revoked,
        Self::Place,
    ];

    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "token-malformed",
            Self::Header => "token-header",
            Self::Issuer => "token-issuer",
            Self::UnknownKey => "token-unknown-key",
            Self::Signature => "token-signature",
            Self::Expired => "token-expired",
            Self::NotYetValid => "token-not-yet-valid",
            Self::Audience => "token-audience",
            Self::Claims => "token-claims",
            Self::Revoked => "token-revoked",
            Self::Place => "token-place",
        }
    }
}

/// What kind of fact failed, as shown to users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Address, network, country.
    Location,
    /// Device identity, compliance, join.
    Device,
    /// Kind of client.
    ClientApp,
    /// Platform or operating system version.
    Platform,
    /// Way of signing in.
    Flow,
    /// Strength of the sign-in.
    Authentication,
    /// Age or validity of token or session.
    Session,
    /// Assignment to the app.
    Assignment,
    /// A rule that is not explained (risk included).
    Policy,
    /// Something of ours does not answer.
    Unavailable,
    /// The request itself.
    Request,
}

impl Class {
    /// The word in JSON and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Location => "location",
            Self::Device => "device",
            Self::ClientApp => "client_app",
            Self::Platform => "platform",
            Self::Flow => "flow",
            Self::Authentication => "authentication",
            Self::Session => "session",
            Self::Assignment => "assignment",
            Self::Policy => "policy",
            Self::Unavailable => "unavailable",
            Self::Request => "request",
        }
    }
}

/// What would end the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// Another network, device or client.
    ChangeContext,
    /// Mend the device.
    Remediate,
    /// Sign in again, or stronger.
    Reauthenticate,
    /// Sign in.
    SignIn,
    /// Only an administrator can.
    ContactAdmin,
    /// It passes by itself.
    RetryLater,
    /// Send a proper request.
    FixRequest,
}

impl Resolution {
    /// The word in JSON and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChangeContext => "change_context",
            Self::Remediate => "remediate",
            Self::Reauthenticate => "reauthenticate",
            Self::SignIn => "sign_in",
            Self::ContactAdmin => "contact_admin",
            Self::RetryLater => "retry_later",
            Self::FixRequest => "fix_request",
        }
    }
}

/// What a client is told of an error: one row of the table of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorInfo {
    /// The number shown; Microsoft's where the meaning is theirs. Zero: no code, plain HTTP.
    pub code: u32,
    /// Kind of fact.
    pub class: Class,
    /// What would end it.
    pub resolution: Resolution,
    /// HTTP status.
    pub status: u16,
}

/// Groups or roles could not be told. Numbers from here on are ours: Microsoft has none for what they mean.
const GROUPS_NOT_TOLD: u32 = 880_001;

const fn info(code: u32, class: Class, resolution: Resolution, status: u16) -> ErrorInfo {
    ErrorInfo { code, class, resolution, status }
}

/// The row of one reason given by policies.
#[must_use]
pub const fn reason_info(reason: ReasonCode) -> ErrorInfo {
    use Resolution::{ChangeContext, ContactAdmin, Reauthenticate, Remediate, RetryLater};
    match reason {
        ReasonCode::NotAssigned => info(50105, Class::Assignment, ContactAdmin, 403),
        ReasonCode::BlockedByLocation => info(53003, Class::Location, ChangeContext, 403),
        ReasonCode::BlockedByPlatform => info(50005, Class::Platform, Remediate, 403),
        ReasonCode::BlockedByClientApp => info(53003, Class::ClientApp, ChangeContext, 403),
        ReasonCode::BlockedByDevice => info(53003, Class::Device, ChangeContext, 403),
        ReasonCode::BlockedByFlow => info(530_033, Class::Flow, ChangeContext, 403),
        ReasonCode::BlockedByRisk => info(53004, Class::Policy, ContactAdmin, 403),
        ReasonCode::BlockedByRequest | ReasonCode::Blocked | ReasonCode::NoPolicy => {
            info(53003, Class::Policy, ContactAdmin, 403)
        }
        ReasonCode::DeviceNotCompliant => info(53000, Class::Device, Remediate, 403),
        ReasonCode::DeviceUnknown => info(50097, Class::Device, ChangeContext, 403),
        ReasonCode::DeviceNotJoined => info(53001, Class::Device, Remediate, 403),
        ReasonCode::ClientNotApproved => info(53002, Class::ClientApp, ChangeContext, 403),
        ReasonCode::ClientNotProtected => info(53009, Class::ClientApp, ChangeContext, 403),
        ReasonCode::NotProvable => info(53003, Class::Authentication, ContactAdmin, 403),
        ReasonCode::MfaRequired => info(50076, Class::Authentication, Reauthenticate, 401),
        ReasonCode::StrengthRequired => info(50074, Class::Authentication, Reauthenticate, 401),
        ReasonCode::SignInTooOld => info(70044, Class::Session, Reauthenticate, 401),
        ReasonCode::PasswordChangeRequired => info(50142, Class::Authentication, Reauthenticate, 401),
        ReasonCode::TermsRequired | ReasonCode::ExternalControlRequired => {
            info(50158, Class::Authentication, Reauthenticate, 401)
        }
        ReasonCode::FactUnavailable => info(90033, Class::Unavailable, RetryLater, 503),
    }
}

impl Refusal {
    /// What a decision of the policies comes to: the one place where its code and subcode are worked out, for page,
    /// log, metric and the command line alike.
    #[must_use]
    pub fn by_policies(
        refused: Refused,
        principal: &Principal,
        evidence: &Evidence,
        carrier: Carrier,
    ) -> Self {
        Self::Policy(refused, Subcode::of(refused, principal, evidence, carrier))
    }

    /// The row that decides code, status and resolution. A refusal that turned on an unavailable
    /// fact is temporary, whatever policy said it, unless the fact is one that waiting does not bring.
    #[must_use]
    pub const fn info(&self) -> ErrorInfo {
        match self {
            // RFC 6455, section 4.2.2.
            Self::BadRequest(BadRequest::Origin) => info(0, Class::Request, Resolution::FixRequest, 403),
            Self::BadRequest(BadRequest::MethodNotAllowed) => {
                info(0, Class::Request, Resolution::FixRequest, 405)
            }
            Self::BadRequest(_) => info(0, Class::Request, Resolution::FixRequest, 400),
            Self::NoApp => info(0, Class::Request, Resolution::FixRequest, 404),
            Self::NoToken | Self::BadSession(_) => info(50058, Class::Session, Resolution::SignIn, 401),
            Self::BadToken(BadToken::Expired) => info(70043, Class::Session, Resolution::SignIn, 401),
            Self::BadToken(BadToken::Revoked) => info(50173, Class::Session, Resolution::SignIn, 401),
            Self::BadToken(_) => info(50013, Class::Session, Resolution::SignIn, 401),
            Self::KeysUnavailable => info(90033, Class::Unavailable, Resolution::RetryLater, 503),
            Self::Policy(_, Subcode::GroupsNotTold) => {
                info(GROUPS_NOT_TOLD, Class::Policy, Resolution::ContactAdmin, 403)
            }
            Self::Policy(refused, _) if refused.temporary => reason_info(ReasonCode::FactUnavailable),
            Self::Policy(refused, subcode) => match subcode.info(refused.primary) {
                Some(info) => info,
                None => reason_info(refused.primary),
            },
            Self::Internal => info(0, Class::Unavailable, Resolution::RetryLater, 500),
            Self::Upstream { status } => info(0, Class::Unavailable, Resolution::RetryLater, *status),
            Self::BodyTooLarge => info(0, Class::Request, Resolution::FixRequest, 413),
            // RFC 5842, section 7.2.
            Self::Loop => info(0, Class::Unavailable, Resolution::ContactAdmin, 508),
        }
    }

    /// The word for logs and metrics; a closed set.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::BadRequest(bad) => bad.as_str(),
            Self::NoApp => "no-app",
            Self::NoToken => "no-token",
            Self::BadToken(bad) | Self::BadSession(bad) => bad.as_str(),
            Self::KeysUnavailable => "keys-unavailable",
            Self::Policy(_, Subcode::GroupsNotTold) => "groups-not-told",
            Self::Policy(refused, _) => refused.primary.as_str(),
            Self::Internal => "internal",
            Self::Upstream { .. } => "upstream",
            Self::BodyTooLarge => "body-too-large",
            Self::Loop => "loop",
        }
    }
}

#[cfg(test)]
impl Refusal {
    /// Every refusal that is not by policies.
    pub(crate) fn but_by_policies() -> Vec<Self> {
        let mut all = vec![
            Self::NoApp,
            Self::NoToken,
            Self::KeysUnavailable,
            Self::Internal,
            Self::Upstream { status: 502 },
            Self::Upstream { status: 504 },
            Self::BodyTooLarge,
            Self::Loop,
        ];
        all.extend(BadRequest::ALL.map(Self::BadRequest));
        all.extend(BadToken::ALL.map(Self::BadToken));
        all.extend(BadToken::ALL.map(Self::BadSession));
        all
    }
}

#[cfg(test)]
mod tests {
    use portcullis_policy::decision::{ReasonCode, ReasonSet, Refused};
    use portcullis_policy::model::Evidence;
    use portcullis_policy::signals::{Fact, Principal, SignIn, Standing};

    use super::{BadRequest, Carrier, Class, Refusal, Resolution, Subcode};

    #[test]
    fn each_kind_of_bad_request_has_its_place_and_its_word() {
        let mut words = std::collections::BTreeSet::new();
        for (position, bad) in BadRequest::ALL.into_iter().enumerate() {
            assert_eq!(bad.position(), position, "{bad:?}");
            assert!(words.insert(bad.as_str()), "{bad:?}");
        }
    }

    fn refused(primary: ReasonCode, temporary: bool) -> Refused {
        Refused { primary, reasons: ReasonSet::EMPTY.with(primary), temporary }
    }

    fn every() -> Vec<(String, Refusal)> {
        let mut named: Vec<_> = Refusal::but_by_policies()
            .into_iter()
            .map(|refusal| (refusal.reason().to_owned(), refusal))
            .collect();
        for primary in ReasonCode::ALL {
            for subcode in Subcode::ALL {
                let refusal = Refusal::Policy(refused(primary, false), subcode);
                let plain = Refusal::Policy(refused(primary, false), Subcode::None);
                if subcode == Subcode::GroupsNotTold {
                    // One row, whatever the policies would have said.
                    if primary == ReasonCode::FactUnavailable {
                        named.push((refusal.reason().to_owned(), refusal));
                    }
                } else if subcode == Subcode::None {
                    named.push((refusal.reason().to_owned(), refusal));
                } else if refusal.info() != plain.info() {
                    named.push((format!("{}/{subcode:?}", refusal.reason()), refusal));
                }
            }
        }
        named
    }

    #[test]
    fn the_table_of_codes_is_the_one_that_is_written_down() {
        let mut actual = String::from("# reason code class resolution status\n");
        for (name, refusal) in every() {
            let info = refusal.info();
            let (class, resolution) = (info.class.as_str(), info.resolution.as_str());
            actual += &format!("{name} {} {class} {resolution} {}\n", info.code, info.status);
        }
        if std::env::var_os("PORTCULLIS_BLESS").is_some() {
            std::fs::write("refusals.txt", &actual).unwrap();
        }
        let written = std::fs::read_to_string("refusals.txt").unwrap_or_default();
        assert_eq!(written, actual, "argue, then run with PORTCULLIS_BLESS=1");
    }

    #[test]
    fn whatever_turned_on_a_missing_fact_is_temporary_and_nothing_else_of_a_policy_is() {
        for primary in ReasonCode::ALL {
            for subcode in Subcode::ALL {
                let info = Refusal::Policy(refused(primary, true), subcode).info();
                if subcode == Subcode::GroupsNotTold {
                    // No waiting brings what the issuer does not tell.
                    assert_eq!(
                        (info.code, info.resolution, info.status),
                        (880_001, Resolution::ContactAdmin, 403)
                    );
                    continue;
                }
                assert_eq!((info.code, info.resolution, info.status), (90033, Resolution::RetryLater, 503));
                let info = Refusal::Policy(refused(primary, false), subcode).info();
                let temporary = info.resolution == Resolution::RetryLater;
                assert_eq!(temporary, primary == ReasonCode::FactUnavailable, "{primary:?}");
            }
        }
    }

    #[test]
    fn only_what_a_new_token_can_mend_is_a_401() {
        for (name, refusal) in every() {
            let info = refusal.info();
            let by_token = matches!(info.resolution, Resolution::Reauthenticate | Resolution::SignIn);
            assert_eq!(info.status == 401, by_token, "{name}");
        }
        let risk = Refusal::Policy(refused(ReasonCode::BlockedByRisk, false), Subcode::None);
        assert_eq!(risk.info().class, Class::Policy, "a risk is never shown as one");
    }

    #[test]
    fn a_nuance_is_told_for_its_reason_alone() {
        let asked = |refused, groups, had_mfa: bool, carrier| {
            let methods = if had_mfa { vec!["mfa".to_owned()] } else { vec!["pwd".to_owned()] };
            let sign_in = SignIn { methods, ..SignIn::default() };
            let standing = Standing { sign_in, groups, ..Standing::default() };
            let principal = Principal { id: "alice".into(), auth_time: None, standing: standing.into() };
            match Refusal::by_policies(refused, &principal, &Evidence::default(), carrier) {
                Refusal::Policy(_, subcode) => subcode,
                other => panic!("{other:?}"),
            }
        };
        for primary in ReasonCode::ALL {
            let told =
                |temporary| asked(refused(primary, temporary), Fact::Unavailable, false, Carrier::Bearer);
            assert_eq!(told(true), Subcode::GroupsNotTold, "{primary:?}");
            assert_ne!(told(false), Subcode::GroupsNotTold, "it turned on what is known: {primary:?}");
        }
        let of = |primary, had_mfa, carrier| asked(refused(primary, false), Fact::Unknown, had_mfa, carrier);
        assert_eq!(of(ReasonCode::SignInTooOld, true, Carrier::Bearer), Subcode::MfaExpired);
        assert_eq!(of(ReasonCode::SignInTooOld, false, Carrier::Bearer), Subcode::None);
        assert_eq!(of(ReasonCode::DeviceUnknown, true, Carrier::Bearer), Subcode::DeviceClaimsMissing);
        assert_eq!(of(ReasonCode::DeviceUnknown, true, Carrier::BrowserSession), Subcode::None);
        for primary in ReasonCode::ALL {
            if !matches!(primary, ReasonCode::SignInTooOld | ReasonCode::DeviceUnknown) {
                assert_eq!(of(primary, true, Carrier::Bearer), Subcode::None, "{primary:?}");
            }
        }
    }
}
