//! What is wrong with a request or a token that is refused before any policy is asked.

use portcullis_policy::path::PathForm;
use portcullis_policy::words;

words! {
    /// What makes a request ambiguous or unacceptable.
    pub enum BadRequest {
        /// Host missing, doubled or malformed.
        Host = "bad-host",
        /// The target is no plain path, or not a normalised one.
        Target = "bad-target",
        /// Transfer-Encoding or Content-Length are unusual.
        Framing = "bad-framing",
        /// A header name or value that could be read in two ways.
        Header = "bad-header",
        /// A doubled credential.
        Credential = "bad-credential",
        /// The method is none that could be meant.
        Method = "bad-method",
        /// The method is known, and not accepted here (405).
        MethodNotAllowed = "method-not-allowed",
        /// The forwarded address of a trusted proxy cannot be read.
        ForwardedAddress = "bad-forwarded-address",
        /// The head is too large.
        TooLarge = "head-too-large",
        /// A page of another origin opens a WebSocket with the user's cookie (403).
        Origin = "foreign-origin",
        /// `Authorization` beside a token in another place, for an app that would receive it unverified.
        SecondCredential = "second-credential",
        /// The readings of its path lead to different apps.
        AmbiguousPath = "ambiguous-path",
        /// `Destination` is no plain path of the same host.
        Destination = "bad-destination",
        /// Its path has a form that the app does not allow: [`PathForm::EncodedSlash`].
        PathEncodedSlash = "path-encoded-slash",
        /// The same with [`PathForm::PathParameters`].
        PathParameters = "path-parameters",
        /// The same with [`PathForm::DoubleSlash`].
        PathDoubleSlash = "path-double-slash",
        /// The same with [`PathForm::DoubleEncoding`].
        PathDoubleEncoding = "path-double-encoding",
        /// The same with [`PathForm::TrailingDot`].
        PathTrailingDot = "path-trailing-dot",
        /// The same with [`PathForm::StreamName`].
        PathStreamName = "path-stream-names",
        /// The same with [`PathForm::ShortName`].
        PathShortName = "path-short-names",
        /// The same with [`PathForm::SessionSegment`].
        PathSessionSegment = "path-session-segments",
        /// The same with [`PathForm::InvisibleCharacter`].
        PathInvisibleCharacter = "path-invisible-characters",
        /// The same with [`PathForm::LookAlike`].
        PathLookAlike = "path-look-alikes",
        /// The same with [`PathForm::Decomposed`].
        PathDecomposed = "path-decomposed",
        /// It is for another host than its connection was opened for (421).
        Misdirected = "misdirected",
        /// Another proxy asks about a request that it does not describe as it must.
        Description = "bad-description",
        /// Whoever asks on behalf of others is none of the proxies that may (403).
        FrontProxy = "not-a-front-proxy",
    }
}

impl BadRequest {
    /// A path of a form that its app does not allow.
    #[must_use]
    pub const fn path(form: PathForm) -> Self {
        match form {
            PathForm::EncodedSlash => Self::PathEncodedSlash,
            PathForm::PathParameters => Self::PathParameters,
            PathForm::DoubleSlash => Self::PathDoubleSlash,
            PathForm::DoubleEncoding => Self::PathDoubleEncoding,
            PathForm::TrailingDot => Self::PathTrailingDot,
            PathForm::StreamName => Self::PathStreamName,
            PathForm::ShortName => Self::PathShortName,
            PathForm::SessionSegment => Self::PathSessionSegment,
            PathForm::InvisibleCharacter => Self::PathInvisibleCharacter,
            PathForm::LookAlike => Self::PathLookAlike,
            PathForm::Decomposed => Self::PathDecomposed,
        }
    }
}

words! {
    /// Why a token is not accepted.
    pub enum BadToken {
        /// It is no signed JWT, or too long.
        Malformed = "token-malformed",
        /// Algorithm, type or critical header that is not accepted.
        Header = "token-header",
        /// Its issuer is not one of the app's.
        Issuer = "token-issuer",
        /// No key of its issuer has this `kid`.
        UnknownKey = "token-unknown-key",
        /// The signature does not verify.
        Signature = "token-signature",
        /// It has expired, or is too old.
        Expired = "token-expired",
        /// It is not valid yet.
        NotYetValid = "token-not-yet-valid",
        /// It is for another audience.
        Audience = "token-audience",
        /// A required claim is missing or of the wrong type.
        Claims = "token-claims",
        /// It was good, and was ended by a logout or a revocation.
        Revoked = "token-revoked",
        /// It is in `Authorization`, where the app takes none.
        Place = "token-place",
        /// It was not looked at: too many tokens from its address failed to verify (429).
        NotTried = "token-not-tried",
    }
}

words! {
    /// Whose requests were too many.
    pub enum Sender {
        /// Of one address.
        Address = "rate-address",
        /// Of one person or program.
        Principal = "rate-principal",
    }
}

words! {
    /// Why a client certificate, or the lack of one, keeps a request out of an app that asks for it.
    pub enum ClientCertificateProblem {
        /// There is none.
        Missing = "client-certificate-missing",
        /// It comes from none of the app's authorities, is not made for clients, or cannot be read.
        Untrusted = "client-certificate-untrusted",
        /// Its authority withdrew it.
        Revoked = "client-certificate-revoked",
        /// Its time is over, or is still to come.
        Expired = "client-certificate-expired",
        /// The revocation lists do not speak of it, or are out of date: temporary (503).
        Unverifiable = "client-certificate-unverifiable",
    }
}
