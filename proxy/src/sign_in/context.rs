//! What signing in works with: the state, one snapshot, the request, and what the configuration has for sessions.

use std::sync::OnceLock;

use portcullis_config::settings::{App, SessionSettings};
use portcullis_policy::signals::AppIndex;

use super::cookie::Cookies;
use crate::own::OwnRequest;
use crate::record::SignInFailure;
use crate::seal::Seals;
use crate::session::Sessions;
use crate::state::{Snapshot, State};

/// What an answer of our own is made with: one snapshot, as any request has it.
#[derive(Clone, Copy, Debug)]
pub struct SignInContext<'s> {
    /// What outlives reloads.
    pub state: &'static State,
    /// What the request is answered by.
    pub snapshot: &'s Snapshot,
    /// What the request's line in the decision log says of a sign-in that failed.
    pub failure: &'s OnceLock<SignInFailure>,
}

/// A request that signing in answers, with what that needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignIn<'r> {
    pub(super) ctx: SignInContext<'r>,
    pub(super) request: &'r OwnRequest,
    pub(super) cookies: Cookies<'r>,
    pub(super) seals: &'r Seals,
    pub(super) sessions: &'static Sessions,
    pub(super) settings: &'r SessionSettings,
}

impl<'r> SignIn<'r> {
    /// `None` where the configuration has no sessions, or a cookie would cross a network in the clear.
    pub(super) fn of(ctx: SignInContext<'r>, request: &'r OwnRequest) -> Option<Self> {
        let (cookies, sessions) = (Cookies::of(request)?, ctx.state.sessions()?);
        let (seals, settings) = (&ctx.snapshot.seals, ctx.snapshot.config.session.as_ref()?);
        Some(Self { ctx, request, cookies, seals, sessions, settings })
    }

    pub(super) fn app(&self, app: AppIndex) -> Option<&'r App> {
        self.ctx.snapshot.config.apps.get(app.0 as usize)
    }
}
