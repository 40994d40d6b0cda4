//! A verified token as other modules see it: its principal and claims.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use portcullis_config::settings::Issuer;
use portcullis_policy::model::RiskLevel;
use portcullis_policy::signals::{Device, Fact, OwnedDevice, Principal, SignIn, Standing};
use serde_json::{Map, Value};

use super::claims::ClaimReader;
use super::intern::Interner;
use super::times::Times;
use crate::refusal::BadToken;

/// A token whose signature and claims were verified. Only [`Verifier::verify`](super::Verifier::verify)
/// makes one, and [`Verifier::read_session`](super::Verifier::read_session) of one that was verified before.
#[derive(Clone, Debug)]
pub struct VerifiedToken {
    principal: Principal,
    user_name: Option<Box<str>>,
    device_id: Option<Box<str>>,
    kind: Arc<TokenKind>,
    times: Times,
    believed: Believed,
    issuer_index: usize,
}

/// Why a token is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Believed {
    /// Keys of this generation verified it, and it is believed as long as they are the issuer's.
    ByKeys(u32),
    /// It was verified when its user signed in, and is believed as long as the session lasts.
    BySession,
}

/// What tokens of users of one standing have in common; one copy serves all that are equal.
#[derive(Debug)]
pub(super) struct TokenKind {
    standing: Arc<Standing>,
    /// All but the id.
    device: OwnedDevice,
    risks: Risks,
    audiences: Vec<String>,
    follows_claims_challenges: bool,
    /// The groups as a header's value, once an app asked for them.
    groups_header: OnceLock<Option<HeaderValue>>,
}

impl TokenKind {
    /// Everything but the header, which follows from the standing.
    const fn claims(&self) -> (&Arc<Standing>, &OwnedDevice, &Risks, &Vec<String>, bool) {
        (&self.standing, &self.device, &self.risks, &self.audiences, self.follows_claims_challenges)
    }
}

impl PartialEq for TokenKind {
    fn eq(&self, other: &Self) -> bool {
        self.claims() == other.claims()
    }
}

impl Hash for TokenKind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.claims().hash(state);
    }
}

/// What tokens in use have in common.
pub(super) struct TokenInterners {
    standings: Interner<Standing>,
    kinds: Interner<TokenKind>,
}

impl TokenInterners {
    /// Knows about this many of each.
    pub(super) fn new(count: usize) -> Self {
        Self { standings: Interner::new(count), kinds: Interner::new(count) }
    }
}

/// The risk levels that a token states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Risks {
    /// Of the sign-in.
    pub sign_in: Fact<RiskLevel>,
    /// Of the user.
    pub user: Fact<RiskLevel>,
    /// That an insider means harm.
    pub insider: Fact<RiskLevel>,
    /// Of the service principal.
    pub service_principal: Fact<RiskLevel>,
}

impl VerifiedToken {
    /// INVARIANT: called by `Verifier::verify` and `Verifier::read_session` alone, at their end.
    pub(super) fn read(
        claims: &Map<String, Value>,
        settings: &Issuer,
        times: Times,
        (issuer_index, believed): (usize, Believed),
        now: i64,
    ) -> Result<Self, BadToken> {
        let names = &settings.claims;
        let source = ClaimReader::new(claims);
        // A time in the future would prove a fresh sign-in without end.
        let past = |name: &str| source.time(name).filter(|at| at.up <= now.saturating_add(30));
        let (id, identity) = source.identity(names)?;
        let (methods, acr) = (source.texts(&names.methods), source.text(&names.acr));
        let standing = Standing {
            identity,
            groups: source.memberships(&names.groups, names.list_separator),
            roles: source.memberships(&names.roles, names.list_separator),
            sign_in: SignIn {
                contexts: source.contexts(&names.contexts),
                issuer: settings.evidence.shown_by(&methods, acr.as_ref()),
                methods,
                acr,
                client_id: source.client_id(),
                flow: source.flow(names.flow.as_deref())?,
                // A change answers a risk that was seen before it: each is rounded to the other's side.
                password_changed: names.password_changed.as_deref().and_then(past).map(|at| at.down),
                risk_seen: names.risk_seen.as_deref().and_then(past).map(|at| at.up),
                terms: names.terms.as_deref().map(|name| source.texts(name)).unwrap_or_default(),
                custom_controls: names
                    .custom_controls
                    .as_deref()
                    .map(|name| source.texts(name))
                    .unwrap_or_default(),
            },
            claims: source.extra(&names.extra)?,
        };
        let (device_id, device) = source.device(settings)?.unzip();
        // A name decides nothing, so an unfit one is left out rather than refused.
        let user_name = source.id(&names.user_name).unwrap_or_default();
        let standing = Arc::new(standing);
        let kind = TokenKind {
            standing: Arc::clone(&standing),
            device: device.unwrap_or_default(),
            risks: Risks {
                sign_in: source.risk(names.sign_in_risk.as_deref()),
                user: source.risk(names.user_risk.as_deref()),
                insider: source.risk(names.insider_risk.as_deref()),
                service_principal: source.risk(names.service_principal_risk.as_deref()),
            },
            audiences: source.texts("aud"),
            follows_claims_challenges: source.follows_claims_challenges(),
            groups_header: OnceLock::new(),
        };
        Ok(Self {
            principal: Principal {
                id: id.into(),
                auth_time: past(&names.auth_time).map(|at| at.down),
                standing,
            },
            user_name: user_name.map(Into::into),
            device_id: device_id.map(Into::into),
            kind: Arc::new(kind),
            times,
            believed,
            issuer_index,
        })
    }

    /// Who it is.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The name to show; never decides anything.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        self.user_name.as_deref()
    }

    /// The registered device, if the token names one.
    #[must_use]
    pub fn device(&self) -> Option<Device<'_>> {
        let id = self.device_id.as_deref()?;
        Some(Device { device_id: Some(id), ..self.kind.device.as_device() })
    }

    /// The risks that it states.
    #[must_use]
    pub fn risks(&self) -> Risks {
        self.kind.risks
    }

    /// Whether it is for one of these audiences; the issuer's were checked already.
    #[must_use]
    pub fn is_meant_for(&self, audiences: &[String]) -> bool {
        self.kind.audiences.iter().any(|meant| audiences.contains(meant))
    }

    /// Position of its issuer in the configuration.
    #[must_use]
    pub const fn issuer_index(&self) -> usize {
        self.issuer_index
    }

    /// Why it is believed.
    pub(super) const fn believed(&self) -> Believed {
        self.believed
    }

    /// Whether the client that it was issued to follows Microsoft's claims challenges.
    #[must_use]
    pub fn follows_claims_challenges(&self) -> bool {
        self.kind.follows_claims_challenges
    }

    /// When it is valid.
    pub(super) const fn times(&self) -> Times {
        self.times
    }

    /// Replaces its parts by equal copies that other tokens use. Returns whether no other token has this standing.
    pub(super) fn intern(&mut self, interners: &TokenInterners) -> bool {
        let is_new = interners.standings.intern(&mut self.principal.standing);
        if let Some(kind) = Arc::get_mut(&mut self.kind) {
            kind.standing = Arc::clone(&self.principal.standing);
        }
        interners.kinds.intern(&mut self.kind);
        is_new
    }

    /// The groups as a header's value, which `make` makes once for all who have the same. There may be hundreds
    /// of them.
    pub(crate) fn groups_header(
        &self,
        make: impl FnOnce(&Fact<Vec<String>>) -> Option<HeaderValue>,
    ) -> Option<HeaderValue> {
        self.kind.groups_header.get_or_init(|| make(&self.kind.standing.groups)).clone()
    }
}
