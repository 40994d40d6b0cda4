//! Every reason a request stops. A *decision* is what policies say, a *refusal* is why a request stops, a
//! *denial* is what the user is shown. The words, codes, statuses and texts of all
//! of them are one table: `table` has the rows of policies, [`Refusal::info`] all others.

mod bad;
mod sign_in_fault;
mod subcode;
mod table;

use std::sync::LazyLock;

use portcullis_policy::decision::{ReasonCode, ReasonSet, Refused};
use portcullis_policy::model::Evidence;
use portcullis_policy::signals::Principal;

pub use bad::{BadRequest, BadToken, ClientCertificateProblem, Sender};
pub use sign_in_fault::{Blame, SignInFault, SignInTrouble};
pub use subcode::{Carrier, Subcode};
pub use table::{Class, ErrorInfo, RETRY_AFTER, Resolution};

/// Why a request stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request is ambiguous or malformed (400). Nothing of it is judged.
    BadRequest(BadRequest),
    /// No app answers to this host and path (404).
    NoApp,
    /// There is no token (401).
    NoToken,
    /// The token is not valid (401).
    BadToken(BadToken),
    /// The token in a cookie or header of the app's own is not valid (401). Answered exactly as [`Refusal::NoToken`]:
    /// any other answer would show strangers the cookie's name.
    BadSession(BadToken),
    /// The client showed no certificate, or one that does not count, to an app that asks for it (403, 503).
    ClientCertificate(ClientCertificateProblem),
    /// The keys to verify the token are not available: temporary (503).
    KeysUnavailable,
    /// The store of sessions does not answer: temporary (503), and never a reason to sign in.
    SessionsUnavailable,
    /// The policies refuse; the subcode narrows the code that is shown.
    Policy(Refused, Subcode),
    /// No permit, or one that does not fit, where one is needed: a fault of ours (500).
    Internal,
    /// The upstream does not answer (502, 504).
    Upstream {
        /// 502 or 504.
        status: u16,
    },
    /// The app is being worked at (503).
    Maintenance,
    /// More requests came than the app's rates let in (429).
    TooManyRequests(Sender),
    /// The request body is too large (413).
    BodyTooLarge,
    /// The request body came too slowly (408).
    BodyTooSlow,
    /// The request has been here before: an app's upstream leads back to us (508).
    Loop,
    /// A sign-in failed; nobody is signed in by it.
    SignIn(SignInFault),
}

/// The word for programs of whatever came too often.
const TOO_MANY: &str = "too_many_requests";

static ALL: LazyLock<Vec<Refusal>> = LazyLock::new(|| {
    let mut all = Vec::with_capacity(Refusal::COUNT);
    all.extend(BadRequest::ALL.map(Refusal::BadRequest));
    all.extend(BadToken::ALL.map(Refusal::BadToken));
    all.extend(BadToken::ALL.map(Refusal::BadSession));
    all.extend(ClientCertificateProblem::ALL.map(Refusal::ClientCertificate));
    all.extend(ReasonCode::ALL.map(|reason| Refusal::of_reason(reason, Subcode::None)));
    all.extend(SUBCODES.map(|(reason, subcode)| Refusal::of_reason(reason, subcode)));
    all.extend(SignInFault::ALL.map(Refusal::SignIn));
    all.extend(OTHERS);
    all
});

/// Each subcode with its reason.
const SUBCODES: [(ReasonCode, Subcode); Subcode::ALL.len() - 1] = [
    (ReasonCode::SignInTooOld, Subcode::MfaExpired),
    (ReasonCode::DeviceUnknown, Subcode::DeviceClaimsMissing),
    (ReasonCode::FactUnavailable, Subcode::GroupsMissing),
];

const OTHERS: [Refusal; 12] = [
    Refusal::NoApp,
    Refusal::NoToken,
    Refusal::KeysUnavailable,
    Refusal::SessionsUnavailable,
    Refusal::Internal,
    Refusal::Upstream { status: 502 },
    Refusal::TooManyRequests(Sender::Address),
    Refusal::TooManyRequests(Sender::Principal),
    Refusal::BodyTooLarge,
    Refusal::BodyTooSlow,
    Refusal::Loop,
    Refusal::Maintenance,
];

// Where each kind begins in [`Refusal::all`].
const BAD_TOKENS_AT: usize = BadRequest::ALL.len();
const BAD_SESSIONS_AT: usize = BAD_TOKENS_AT + BadToken::ALL.len();
const CLIENT_CERTIFICATES_AT: usize = BAD_SESSIONS_AT + BadToken::ALL.len();
const REASONS_AT: usize = CLIENT_CERTIFICATES_AT + ClientCertificateProblem::ALL.len();
const SUBCODES_AT: usize = REASONS_AT + ReasonCode::ALL.len();
const SIGN_INS_AT: usize = SUBCODES_AT + SUBCODES.len();
const OTHERS_AT: usize = SIGN_INS_AT + SignInFault::ALL.len();

impl Refusal {
    /// How many refusals are counted apart.
    pub const COUNT: usize = OTHERS_AT + OTHERS.len();

    /// Every refusal that is counted apart: one for each reason and code.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &ALL
    }

    /// The position in [`Refusal::all`] of the refusal with this reason and code.
    #[must_use]
    pub fn index(&self) -> usize {
        let other = match *self {
            Self::BadRequest(bad) => return bad as usize,
            Self::BadToken(bad) => return BAD_TOKENS_AT + bad as usize,
            Self::BadSession(bad) => return BAD_SESSIONS_AT + bad as usize,
            Self::ClientCertificate(problem) => return CLIENT_CERTIFICATES_AT + problem as usize,
            Self::Policy(refused, subcode) => {
                return match subcode.fitting(refused) {
                    (reason, Subcode::None) => REASONS_AT + reason as usize,
                    // The first subcode is none.
                    (_, subcode) => SUBCODES_AT + subcode as usize - 1,
                };
            }
            Self::SignIn(fault) => return SIGN_INS_AT + fault as usize,
            // 502 and 504 have one reason and one code.
            Self::Upstream { .. } => Self::Upstream { status: 502 },
            Self::NoApp
            | Self::NoToken
            | Self::KeysUnavailable
            | Self::SessionsUnavailable
            | Self::Internal
            | Self::TooManyRequests(_)
            | Self::BodyTooLarge
            | Self::BodyTooSlow
            | Self::Loop
            | Self::Maintenance => *self,
        };
        // INVARIANT: every refusal has its place, which a test holds.
        OTHERS_AT + OTHERS.iter().position(|known| *known == other).unwrap_or_default()
    }

    /// A refusal by policies for one reason.
    const fn of_reason(primary: ReasonCode, subcode: Subcode) -> Self {
        let temporary = matches!(primary, ReasonCode::FactUnavailable);
        Self::Policy(Refused { primary, reasons: ReasonSet::EMPTY.with(primary), temporary }, subcode)
    }

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

    /// Its row of the table: code, status, resolution, words and text.
    #[must_use]
    pub const fn info(&self) -> ErrorInfo {
        use Class::{Device, Request, Session, Unavailable};
        use Resolution::{ChangeContext, ContactAdmin, FixRequest, RetryLater, SignIn};
        match self {
            Self::Policy(refused, subcode) => {
                let (reason, subcode) = subcode.fitting(*refused);
                let info = ErrorInfo::by_policies(reason, subcode);
                match subcode {
                    // The log names the requirement that could not be decided; code and text say that a fact is missing.
                    Subcode::None => ErrorInfo { reason: refused.primary.as_str(), ..info },
                    Subcode::MfaExpired | Subcode::DeviceClaimsMissing | Subcode::GroupsMissing => info,
                }
            }
            Self::BadRequest(bad) => {
                let status = match bad {
                    // RFC 6455, section 4.2.2.
                    BadRequest::Origin | BadRequest::FrontProxy => 403,
                    BadRequest::MethodNotAllowed => 405,
                    // RFC 9110, section 15.5.20.
                    BadRequest::Misdirected => 421,
                    _ => 400,
                };
                ErrorInfo::new(bad.as_str(), "bad_request", 0, Request, FixRequest, status)
            }
            // Numbers from 880201 on are ours: Microsoft's 50196 is for a client that loops.
            Self::BadToken(BadToken::NotTried) => {
                ErrorInfo::new("token-not-tried", TOO_MANY, 880_201, Unavailable, RetryLater, 429)
            }
            Self::TooManyRequests(sender) => {
                let code = match sender {
                    Sender::Address => 880_202,
                    Sender::Principal => 880_203,
                };
                ErrorInfo::new(sender.as_str(), TOO_MANY, code, Unavailable, RetryLater, 429)
            }
            Self::BadToken(bad) => {
                let (error, code) = match bad {
                    BadToken::Expired => ("token_expired", 70043),
                    BadToken::Revoked => ("token_revoked", 50173),
                    _ => ("token_invalid", 50013),
                };
                ErrorInfo::new(bad.as_str(), error, code, Session, SignIn, 401)
            }
            Self::BadSession(bad) => {
                ErrorInfo::new(bad.as_str(), "sign_in_required", 50058, Session, SignIn, 401)
            }
            // Numbers of our own: those of Microsoft are about certificates that sign a user in.
            Self::ClientCertificate(problem) => {
                let (error, code, class, resolution, status) = match problem {
                    ClientCertificateProblem::Missing => {
                        ("client_certificate_required", 880_101, Device, ChangeContext, 403)
                    }
                    ClientCertificateProblem::Untrusted => {
                        ("client_certificate_not_accepted", 880_102, Device, ChangeContext, 403)
                    }
                    ClientCertificateProblem::Revoked => {
                        ("client_certificate_revoked", 880_103, Device, ContactAdmin, 403)
                    }
                    ClientCertificateProblem::Expired => {
                        ("client_certificate_expired", 880_104, Device, ContactAdmin, 403)
                    }
                    ClientCertificateProblem::Unverifiable => {
                        ("temporarily_unavailable", 880_105, Unavailable, RetryLater, 503)
                    }
                };
                ErrorInfo::new(problem.as_str(), error, code, class, resolution, status)
            }
            Self::SignIn(fault) => fault.info(),
            Self::NoToken => ErrorInfo::new("no-token", "sign_in_required", 50058, Session, SignIn, 401),
            Self::NoApp => ErrorInfo::new("no-app", "not_found", 0, Request, FixRequest, 404),
            Self::KeysUnavailable => ErrorInfo::new(
                "keys-unavailable",
                "temporarily_unavailable",
                90033,
                Unavailable,
                RetryLater,
                503,
            ),
            Self::SessionsUnavailable => ErrorInfo::new(
                "sessions-unavailable",
                "temporarily_unavailable",
                90033,
                Unavailable,
                RetryLater,
                503,
            ),
            Self::Internal => ErrorInfo::new("internal", "internal_error", 0, Unavailable, RetryLater, 500),
            Self::Upstream { status } => {
                ErrorInfo::new("upstream", "upstream_unavailable", 0, Unavailable, RetryLater, *status)
            }
            Self::Maintenance => {
                ErrorInfo::new("maintenance", "maintenance", 880_401, Unavailable, RetryLater, 503)
            }
            Self::BodyTooLarge => {
                ErrorInfo::new("body-too-large", "content_too_large", 0, Request, FixRequest, 413)
            }
            Self::BodyTooSlow => {
                ErrorInfo::new("body-too-slow", "request_timeout", 0, Request, FixRequest, 408)
            }
            // RFC 5842, section 7.2.
            Self::Loop => ErrorInfo::new("loop", "loop_detected", 0, Unavailable, ContactAdmin, 508),
        }
    }

    /// The word for logs and metrics; a closed set.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.info().reason
    }
}

#[cfg(test)]
mod tests {
    use portcullis_policy::decision::{ReasonCode, ReasonSet, Refused};
    use portcullis_policy::model::Evidence;
    use portcullis_policy::signals::{Fact, Principal, SignIn, Standing};

    use super::{Carrier, Class, ErrorInfo, Refusal, Resolution, Subcode};

    #[test]
    fn each_refusal_has_its_place_its_reason_and_its_code() {
        let mut seen = std::collections::BTreeSet::new();
        for (index, refusal) in Refusal::all().iter().enumerate() {
            assert_eq!(refusal.index(), index, "{refusal:?}");
            let info = refusal.info();
            assert!(seen.insert((info.reason, info.code)), "{refusal:?}");
        }
        assert_eq!(Refusal::all().len(), Refusal::COUNT);
        assert_eq!(Refusal::Upstream { status: 504 }.index(), Refusal::Upstream { status: 502 }.index());
        for primary in ReasonCode::ALL {
            for subcode in Subcode::ALL {
                for temporary in [false, true] {
                    let refusal = Refusal::Policy(refused(primary, temporary), subcode);
                    let counted = Refusal::all()[refusal.index()].info();
                    let info = refusal.info();
                    assert_eq!((counted.code, counted.status), (info.code, info.status), "{refusal:?}");
                    // The log names the requirement that could not be decided.
                    assert!(temporary || counted.reason == info.reason, "{refusal:?}");
                }
            }
        }
    }

    fn refused(primary: ReasonCode, temporary: bool) -> Refused {
        Refused { primary, reasons: ReasonSet::EMPTY.with(primary), temporary }
    }

    #[test]
    fn the_table_of_codes_is_the_one_that_is_written_down() {
        let mut actual = String::from("# reason error code class resolution status text\n");
        for refusal in Refusal::all() {
            let ErrorInfo { reason, error, code, class, resolution, status, text } = refusal.info();
            let (class, resolution) = (class.as_str(), resolution.as_str());
            let line = format!("{reason} {error} {code} {class} {resolution} {status} {text}");
            actual += line.trim_end();
            actual.push('\n');
        }
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("refusals.txt");
        expect_test::expect_file![file].assert_eq(&actual);
    }

    #[test]
    fn whatever_turned_on_a_missing_fact_is_temporary_and_nothing_else_of_a_policy_is() {
        for primary in ReasonCode::ALL {
            for subcode in Subcode::ALL {
                let info = Refusal::Policy(refused(primary, true), subcode).info();
                if subcode == Subcode::GroupsMissing {
                    // No waiting brings what the issuer does not say.
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
        for refusal in Refusal::all() {
            let info = refusal.info();
            let by_token = matches!(info.resolution, Resolution::Reauthenticate | Resolution::SignIn);
            assert_eq!(info.status == 401, by_token, "{refusal:?}");
        }
        let risk = Refusal::Policy(refused(ReasonCode::BlockedByRisk, false), Subcode::None);
        assert_eq!(risk.info().class, Class::Policy, "a risk is never shown as one");
    }

    #[test]
    fn a_subcode_is_shown_for_its_reason_alone() {
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
            let missing =
                |temporary| asked(refused(primary, temporary), Fact::Unavailable, false, Carrier::Bearer);
            assert_eq!(missing(true), Subcode::GroupsMissing, "{primary:?}");
            assert_ne!(missing(false), Subcode::GroupsMissing, "it turned on what is known: {primary:?}");
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
