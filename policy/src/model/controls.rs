//! What a policy asks of a request, and of the session after it.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::signals::{IssuerEvidence, SignIn};
use crate::text;
use crate::value::AuthenticationContext;

/// What a policy that applies asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Refuse. No control can mend it.
    Block,
    /// Let in when the controls are met.
    Require {
        /// Whether all of them or one of them is enough.
        operator: Operator,
        /// Never empty.
        controls: Vec<Control>,
    },
    /// Ask nothing; only session controls follow. Graph: `grantControls` is `null`.
    SessionOnly,
}

/// How the controls of one policy combine. Policies among themselves are always ANDed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Operator {
    /// All controls.
    #[default]
    And,
    /// At least one control.
    Or,
}

/// A grant control, by Graph's names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Control {
    /// `mfa`: multifactor authentication.
    Mfa,
    /// `compliantDevice`: the device is marked compliant.
    CompliantDevice,
    /// `domainJoinedDevice`: the device is hybrid joined.
    HybridJoinedDevice,
    /// `approvedApplication`: the client is an approved client app.
    ApprovedClientApp,
    /// `compliantApplication`: the client is under an app protection policy.
    AppProtection,
    /// `passwordChange`: the password was changed after the risk was seen.
    PasswordChange,
    /// `authenticationStrength`: one of the allowed combinations of the named strength was used.
    Strength(String),
    /// `termsOfUse`: the named terms were accepted.
    TermsOfUse(String),
    /// `customAuthenticationFactors`: the named external control was satisfied.
    Custom(String),
}

/// Allowed combinations of authentication methods.
/// Source: Entra documentation, "Conditional Access authentication strength".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticationStrength {
    /// How controls refer to it.
    pub name: String,
    /// The strength is met when the sign-in's `amr` holds every method of one combination.
    /// Methods compare without case.
    pub combinations: Vec<Vec<String>>,
    /// `acr` values that meet it by themselves.
    pub acrs: Vec<String>,
    /// Authentication contexts that meet it by themselves: the token's `acrs` holds one of them.
    pub contexts: Vec<AuthenticationContext>,
}

impl AuthenticationStrength {
    /// Whether a sign-in holds evidence that it is met.
    #[must_use]
    pub fn is_proven_by(&self, sign_in: &SignIn) -> bool {
        let used = |wanted: &String| sign_in.methods.iter().any(|one| text::eq(one, wanted));
        let met = |combination: &Vec<String>| !combination.is_empty() && combination.iter().all(used);
        self.combinations.iter().any(met)
            || sign_in.acr.as_ref().is_some_and(|acr| self.acrs.contains(acr))
            || self.contexts.iter().any(|context| sign_in.contexts.contains(context))
    }

    /// Whether tokens of an issuer could ever hold such evidence.
    #[must_use]
    pub fn is_provable_by(&self, issuer: IssuerEvidence) -> bool {
        (issuer.asserts_methods && !self.combinations.is_empty())
            || (issuer.asserts_acr && !self.acrs.is_empty())
            || !self.contexts.is_empty()
    }
}

/// What holds for the session that a grant opens. Of several policies the strictest value wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionControls {
    /// How fresh the sign-in must be.
    pub sign_in_frequency: Option<SignInFrequency>,
    /// Whether the session outlives the browser.
    pub persistent_browser: Option<Persistence>,
}

/// How often the user signs in anew, measured from `auth_time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInFrequency {
    /// At least once in this span.
    Every(Duration),
    /// For each access; five minutes of clock skew are allowed.
    EveryTime,
}

/// Whether a browser session survives closing the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Persistence {
    /// It may.
    Always,
    /// It must not; the stricter of the two.
    Never,
}
