//! The answer: granted with a permit, or refused with reasons.

use alloc::vec::Vec;
use core::fmt;

use crate::model::Persistence;
use crate::signals::{AppIndex, RequestId};
use crate::words;
use crate::words::word_set;

/// What the policies say about one request.
#[derive(Debug)]
pub struct Decision {
    /// In or out.
    pub outcome: Outcome,
    /// Policies that applied, enforced and report-only, each with its result; in order of position.
    /// Empty when nothing applied. Disabled policies and those that did not apply are left out.
    pub applied: Vec<(PolicyIndex, PolicyResult)>,
}

/// In or out. Exhaustive on purpose: a new outcome must break every `match`.
#[derive(Debug)]
pub enum Outcome {
    /// Let in.
    Grant(Permit),
    /// The user can do something now that would let this in.
    Challenge(Refused),
    /// A state (of the device, of the client) is not what it must be.
    Deny(Refused),
    /// A policy blocks, or none speaks for this request.
    Block(Refused),
}

impl Decision {
    /// The permit, or why there is none.
    ///
    /// # Errors
    /// What was refused, for every outcome but a grant.
    pub fn into_granted(self) -> Result<Permit, Refused> {
        self.outcome.into_granted()
    }
}

impl Outcome {
    /// The permit, or why there is none.
    ///
    /// # Errors
    /// What was refused, for every outcome but a grant.
    pub fn into_granted(self) -> Result<Permit, Refused> {
        match self {
            Self::Grant(permit) => Ok(permit),
            Self::Challenge(refused) | Self::Deny(refused) | Self::Block(refused) => Err(refused),
        }
    }
}

/// The right to reach one app's upstream once. Made by `CompiledPolicies::decide`, and by `CompiledPolicies::open` of what
/// an app opens to everybody.
///
/// ```compile_fail,E0451
/// use portcullis_policy::{Permit, decision::{Generation, SessionLimits}, signals::{AppIndex, RequestId}};
/// let forged = Permit {
///     app: AppIndex(0),
///     generation: Generation(1),
///     request_id: RequestId(7),
///     session: SessionLimits { sign_in_until: None, persistent_browser: None },
/// };
/// ```
///
/// The same names without the construction compile, so the example above fails for the right reason:
/// ```
/// use portcullis_policy::{Permit, decision::{Generation, SessionLimits}, signals::{AppIndex, RequestId}};
/// fn app_of(permit: &Permit) -> (AppIndex, Generation, RequestId, SessionLimits) {
///     (permit.app(), permit.generation(), permit.request_id(), permit.session())
/// }
/// ```
pub struct Permit {
    app: AppIndex,
    generation: Generation,
    request_id: RequestId,
    session: SessionLimits,
}

impl Permit {
    /// INVARIANT: called at the end of a decision that granted, and for what an app opens; by nothing else.
    pub(crate) const fn grant(
        app: AppIndex,
        generation: Generation,
        request_id: RequestId,
        session: SessionLimits,
    ) -> Self {
        Self { app, generation, request_id, session }
    }

    /// The app that it opens.
    #[must_use]
    pub const fn app(&self) -> AppIndex {
        self.app
    }

    /// The generation of policies that granted it.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// The request that it was granted to.
    #[must_use]
    pub const fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// What holds for the session.
    #[must_use]
    pub const fn session(&self) -> SessionLimits {
        self.session
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("app", &self.app).finish_non_exhaustive()
    }
}

/// Which load of the policies is meant; grows by one with each load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// Session controls of all policies that applied, merged; the strictest value won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Unix second at which the sign-in will be too old; `None` when nothing limits it.
    pub sign_in_until: Option<i64>,
    /// Whether the session may outlive the browser.
    pub persistent_browser: Option<Persistence>,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reason that is shown first.
    pub primary: ReasonCode,
    /// Every reason that failed, `primary` included.
    pub reasons: ReasonSet,
    /// Whether the refusal turned on a fact that was unavailable: with the fact available the answer
    /// could be another, so waiting may help. False: a rule said no to real inputs.
    pub temporary: bool,
}

words! {
    /// Why, as a closed vocabulary for page, log and metric.
    ///
    /// The order is the order in which reasons are shown when several failed.
    pub enum ReasonCode {
        /// The person is not assigned to the app.
        NotAssigned = "not-assigned",
        /// A block policy applied whose decisive condition is the location.
        BlockedByLocation = "blocked-location",
        /// … the platform or operating system version (platform condition).
        BlockedByPlatform = "blocked-platform",
        /// … the client app type.
        BlockedByClientApp = "blocked-client-app",
        /// … the device filter.
        BlockedByDevice = "blocked-device",
        /// … the authentication flow.
        BlockedByFlow = "blocked-flow",
        /// … a risk. Never shown as risk.
        BlockedByRisk = "blocked-risk",
        /// … method or path, or the time.
        BlockedByRequest = "blocked-request",
        /// A block policy applied for who the person is, or for no condition at all.
        Blocked = "blocked",
        /// No enabled policy applied, and the app refuses then.
        NoPolicy = "no-policy",
        /// Compliant device required; the device is known and is not compliant.
        DeviceNotCompliant = "device-not-compliant",
        /// Compliant or joined device required; the request carried no device evidence.
        DeviceUnknown = "device-unknown",
        /// Hybrid joined device required.
        DeviceNotJoined = "device-not-joined",
        /// Approved client app required.
        ClientNotApproved = "client-not-approved",
        /// App protection policy required.
        ClientNotProtected = "client-not-protected",
        /// Something of the sign-in is required of which no token of this issuer holds evidence: signing in again
        /// would not help.
        NotProvable = "not-provable",
        /// Multifactor authentication required.
        MfaRequired = "mfa-required",
        /// A stronger authentication required.
        StrengthRequired = "strength-required",
        /// The sign-in is too old.
        SignInTooOld = "sign-in-too-old",
        /// Password change required.
        PasswordChangeRequired = "password-change-required",
        /// Terms of use to be accepted.
        TermsRequired = "terms-required",
        /// An external control to be satisfied.
        ExternalControlRequired = "external-control-required",
        /// A fact that the decision turned on was unavailable.
        FactUnavailable = "fact-unavailable",
    }
}

word_set! {
    /// A set of reasons; they are listed in the order in which they are shown.
    ReasonSet of ReasonCode: u32
}

impl ReasonSet {
    /// The reason that is shown first.
    #[must_use]
    pub fn first(self) -> Option<ReasonCode> {
        self.iter().next()
    }
}

words! {
    /// The result of one policy, in Entra's words.
    pub enum PolicyResult {
        /// Enforced, applied, satisfied: `success`.
        Success = "success",
        /// Enforced, applied, and refuses: `failure`.
        Failure = "failure",
        /// Enforced, applied, and asks for something that can be done now: `interrupted`.
        Interrupted = "interrupted",
        /// Report-only, would have been satisfied: `reportOnlySuccess`.
        ReportOnlySuccess = "reportOnlySuccess",
        /// Report-only, would have refused: `reportOnlyFailure`.
        ReportOnlyFailure = "reportOnlyFailure",
        /// Report-only, would have asked: `reportOnlyInterrupted`.
        ReportOnlyInterrupted = "reportOnlyInterrupted",
    }
}

/// The position of a policy in its [`PolicySet`](crate::model::PolicySet).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyIndex(pub u32);
