//! Why a sign-in ended without a session: one closed set of words for log, metric and page, each with whose fault it is and
//! with a code of its own. A word says nothing that the provider sent.

use portcullis_policy::words;

use super::table::{Class, ErrorInfo, Resolution};

words! {
    /// Why nobody was signed in.
    pub enum SignInFault {
        /// The provider says that the user, or an administrator, said no (`access_denied`).
        AccessDenied = "access-denied",
        /// The provider wants the user to sign in, and was not let ask (`login_required`).
        LoginRequired = "login-required",
        /// The provider wants something of the user that it was not let ask for (`interaction_required` and the like).
        InteractionRequired = "interaction-required",
        /// The answer belongs to no attempt that this browser has: it is too old, or was used before.
        StaleLink = "stale-link",
        /// The browser sends none of our cookies back.
        CookiesBlocked = "cookies-blocked",
        /// The link or the answer is not one that a browser was sent to: a parameter is missing, doubled or unknown.
        MalformedLink = "malformed-link",
        /// The answer came to another host, app or provider than the attempt began for.
        OtherAttempt = "other-attempt",
        /// The provider cannot serve now (`temporarily_unavailable`, `server_error`, a status of 500 or more).
        ProviderUnavailable = "provider-unavailable",
        /// The provider answered with an error that this list does not name.
        ProviderError = "provider-error",
        /// The answer names another issuer, or none where the provider says that it names itself (RFC 9207).
        OtherIssuer = "other-issuer",
        /// The provider does not take the code (`invalid_grant`).
        CodeRefused = "code-refused",
        /// An answer of the provider is not what the protocol says: a redirect, a page, members that are doubled.
        MalformedAnswer = "malformed-answer",
        /// An answer of the provider is larger than any should be.
        AnswerTooLarge = "answer-too-large",
        /// The ID token is no signed JWT of a kind that is accepted.
        IdTokenMalformed = "id-token-malformed",
        /// The ID token's signature does not verify.
        IdTokenSignature = "id-token-signature",
        /// The ID token is of another issuer.
        IdTokenIssuer = "id-token-issuer",
        /// The ID token is meant for somebody else (`aud`, `azp`).
        IdTokenAudience = "id-token-audience",
        /// The ID token belongs to another attempt (`nonce`).
        IdTokenNonce = "id-token-nonce",
        /// The ID token has expired, or is not valid yet.
        IdTokenTime = "id-token-time",
        /// The ID token belongs to another access token (`at_hash`).
        IdTokenAccessToken = "id-token-access-token",
        /// A claim of the ID token is missing, or of the wrong type.
        IdTokenClaims = "id-token-claims",
        /// Userinfo is about another user than the ID token (`sub`).
        UserinfoSubject = "userinfo-subject",
        /// A fresh sign-in was asked for, and `auth_time` does not show one.
        NotFresh = "not-fresh",
        /// An authentication context was asked for, and `acrs` does not name it.
        ContextMissing = "context-missing",
        /// The provider does not accept this client or its secret (`invalid_client`, `unauthorized_client`).
        ClientRefused = "client-refused",
        /// The provider does not accept the request (`invalid_request`, `invalid_scope` and the like).
        RequestRefused = "request-refused",
        /// The provider's metadata are malformed, of another issuer, or lack what a sign-in needs.
        MetadataUnusable = "metadata-unusable",
        /// What there is to remember of the user does not fit into a cookie.
        SessionTooLarge = "session-too-large",
        /// The provider cannot be reached.
        ProviderUnreachable = "provider-unreachable",
        /// The provider did not answer in time.
        ProviderTimeout = "provider-timeout",
        /// The provider's keys are not available.
        KeysUnavailable = "keys-unavailable",
        /// The store of sessions does not answer.
        StoreUnavailable = "store-unavailable",
        /// Sign-ins succeed, and the browser comes back without a session each time.
        SessionNotKept = "session-not-kept",
        /// A fault of ours.
        Internal = "sign-in-internal",
    }
}

words! {
    /// Whose fault a failed sign-in is.
    pub enum Blame {
        /// The user's, or the user's browser's.
        User = "user",
        /// The provider's.
        Provider = "provider",
        /// The configuration's, here or at the provider.
        Configuration = "configuration",
        /// The network's.
        Network = "network",
        /// Ours.
        Us = "us",
    }
}

/// What a person is told of a failed sign-in: several faults are one to whoever signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInTrouble {
    /// The provider or the user ended it before it was finished.
    Ended,
    /// The provider could not finish it.
    ProviderError,
    /// The link is over, or was never whole.
    OldLink,
    /// The browser keeps no cookie.
    NoCookies,
    /// What the provider answered is not accepted.
    Answer,
    /// The provider did not do what was asked for.
    NotDelivered,
    /// The connection to the provider is not set up as it has to be.
    Configuration,
    /// The provider does not answer.
    NoAnswer,
    /// The session could not be kept.
    Store,
    /// The session was lost again and again.
    NotKept,
    /// A fault of ours.
    Internal,
}

impl SignInFault {
    /// What a person is told of it.
    #[must_use]
    pub const fn trouble(self) -> SignInTrouble {
        match self {
            Self::AccessDenied => SignInTrouble::Ended,
            Self::LoginRequired | Self::InteractionRequired | Self::ProviderError | Self::CodeRefused => {
                SignInTrouble::ProviderError
            }
            Self::StaleLink | Self::MalformedLink | Self::OtherAttempt => SignInTrouble::OldLink,
            Self::CookiesBlocked => SignInTrouble::NoCookies,
            Self::OtherIssuer
            | Self::MalformedAnswer
            | Self::AnswerTooLarge
            | Self::IdTokenMalformed
            | Self::IdTokenSignature
            | Self::IdTokenIssuer
            | Self::IdTokenAudience
            | Self::IdTokenNonce
            | Self::IdTokenTime
            | Self::IdTokenAccessToken
            | Self::IdTokenClaims
            | Self::UserinfoSubject => SignInTrouble::Answer,
            Self::NotFresh | Self::ContextMissing => SignInTrouble::NotDelivered,
            Self::ClientRefused | Self::RequestRefused | Self::MetadataUnusable | Self::SessionTooLarge => {
                SignInTrouble::Configuration
            }
            Self::ProviderUnavailable
            | Self::ProviderUnreachable
            | Self::ProviderTimeout
            | Self::KeysUnavailable => SignInTrouble::NoAnswer,
            Self::StoreUnavailable => SignInTrouble::Store,
            Self::SessionNotKept => SignInTrouble::NotKept,
            Self::Internal => SignInTrouble::Internal,
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::AccessDenied
            | Self::LoginRequired
            | Self::InteractionRequired
            | Self::StaleLink
            | Self::CookiesBlocked
            | Self::MalformedLink => Blame::User,
            Self::OtherAttempt
            | Self::ProviderUnavailable
            | Self::ProviderError
            | Self::OtherIssuer
            | Self::CodeRefused
            | Self::MalformedAnswer
            | Self::AnswerTooLarge
            | Self::IdTokenMalformed
            | Self::IdTokenSignature
            | Self::IdTokenIssuer
            | Self::IdTokenAudience
            | Self::IdTokenNonce
            | Self::IdTokenTime
            | Self::IdTokenAccessToken
            | Self::IdTokenClaims
            | Self::UserinfoSubject
            | Self::NotFresh
            | Self::ContextMissing => Blame::Provider,
            Self::ClientRefused | Self::RequestRefused | Self::MetadataUnusable | Self::SessionTooLarge => {
                Blame::Configuration
            }
            Self::ProviderUnreachable | Self::ProviderTimeout | Self::KeysUnavailable => Blame::Network,
            Self::StoreUnavailable | Self::SessionNotKept | Self::Internal => Blame::Us,
        }
    }

    /// The number shown; ours, from 880301 on.
    #[must_use]
    pub const fn code(self) -> u32 {
        880_301 + self as u32
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.info().status
    }

    /// Its row of the table of refusals.
    #[must_use]
    pub const fn info(self) -> ErrorInfo {
        use Class::{Authentication, Request, Session, Unavailable};
        use Resolution::{ContactAdmin, FixRequest, RetryLater};
        let (error, class, resolution, status) = match self {
            Self::AccessDenied => ("access_denied", Authentication, ContactAdmin, 403),
            Self::LoginRequired | Self::InteractionRequired => {
                ("interaction_required", Authentication, ContactAdmin, 403)
            }
            Self::NotFresh | Self::ContextMissing => {
                ("stronger_sign_in_not_delivered", Authentication, ContactAdmin, 403)
            }
            Self::StaleLink | Self::CookiesBlocked => ("sign_in_not_completed", Session, FixRequest, 400),
            Self::MalformedLink | Self::OtherAttempt => ("bad_request", Request, FixRequest, 400),
            Self::ProviderUnavailable
            | Self::ProviderUnreachable
            | Self::ProviderTimeout
            | Self::KeysUnavailable
            | Self::StoreUnavailable => ("temporarily_unavailable", Unavailable, RetryLater, 503),
            Self::SessionNotKept | Self::Internal => ("internal_error", Unavailable, RetryLater, 500),
            Self::ProviderError
            | Self::OtherIssuer
            | Self::CodeRefused
            | Self::MalformedAnswer
            | Self::AnswerTooLarge
            | Self::IdTokenMalformed
            | Self::IdTokenSignature
            | Self::IdTokenIssuer
            | Self::IdTokenAudience
            | Self::IdTokenNonce
            | Self::IdTokenTime
            | Self::IdTokenAccessToken
            | Self::IdTokenClaims
            | Self::UserinfoSubject
            | Self::ClientRefused
            | Self::RequestRefused
            | Self::MetadataUnusable
            | Self::SessionTooLarge => ("sign_in_failed", Authentication, ContactAdmin, 502),
        };
        ErrorInfo::new(self.as_str(), error, self.code(), class, resolution, status)
    }
}
