//! Who asks, by the session that a browser brings; and what a navigation without one, or with one that is not enough,
//! leads to: a sign-in. Anything else is challenged, never redirected.

use std::sync::Arc;

use portcullis_config::settings::App;
use portcullis_policy::decision::Refused;
use portcullis_policy::remedy::Finding;

use super::{Authorizer, RequestFacts, Stop, Turn};
use crate::admit::AdmittedRequest;
use crate::own::{Demand, Navigation, Prompt, SignInCause};
use crate::refusal::{Refusal, Resolution};
use crate::session::{CookieForm, Found, NoSession, Presented, Session, Way};
use crate::token::CachedPrincipal;

/// How long after a sign-in that was asked for something the same is not asked for again, in seconds: what the provider
/// did not deliver then it would not deliver now, and the browser would go round.
const ANSWERED_SECS: i64 = 60;

impl Authorizer<'_> {
    /// The session of the host that was asked.
    ///
    /// # Errors
    /// When it cannot be known yet, or not at all.
    pub(super) fn session(
        &self,
        request: &AdmittedRequest<'_>,
    ) -> Result<Result<Arc<Session>, NoSession>, Stop> {
        let Some(form) = CookieForm::of(request.site(), request.host()) else {
            return Ok(Err(NoSession::Absent));
        };
        let cookie = match request.cookie(form.session_name()) {
            Ok(Some(cookie)) => cookie,
            Ok(None) => return Ok(Err(NoSession::Absent)),
            Err(_) => return Ok(Err(self.counted(NoSession::Doubled))),
        };
        let (state, snapshot) = (self.state, self.snapshot);
        let (Some(sessions), Some(settings)) = (state.sessions(), &snapshot.config.session) else {
            return Err(Refusal::SessionsUnavailable.into());
        };
        let by = state.sessions_by(snapshot, settings);
        let is_use = self.turn.is_request();
        let presented = Presented { cookie, host: request.host(), now: self.now(), is_use, by };
        let observe = |way: Way| state.metrics.session_found(way);
        match sessions.find(&presented, observe) {
            Found::Session(session) => Ok(Ok(session)),
            Found::None(why) => Ok(Err(self.counted(why))),
            Found::MustLoad(handle) if self.turn != Turn::Loaded => Err(Stop::Load(Box::new(handle))),
            Found::MustLoad(_) | Found::Unavailable => {
                state.metrics.sessions_unavailable();
                Err(Refusal::SessionsUnavailable.into())
            }
        }
    }

    fn counted(&self, why: NoSession) -> NoSession {
        if self.turn.is_request() {
            self.state.metrics.no_session(why);
        }
        why
    }

    /// The session, if the app takes it: of a provider at which its users sign in.
    pub(super) fn session_of_app(&self, session: Arc<Session>, app: &App) -> Result<Arc<Session>, NoSession> {
        let token = session.caller().token();
        let is_of_app = app.sign_in.iter().any(|at| {
            let provider = self.snapshot.config.providers.get(*at);
            provider.is_some_and(|provider| {
                provider.name == session.record().provider && provider.issuer == token.issuer_index()
            })
        });
        if is_of_app { Ok(session) } else { Err(self.counted(NoSession::OtherProvider)) }
    }

    /// What becomes of a request to an app with a sign-in that has no session.
    pub(super) fn without_session(
        &self,
        request: &AdmittedRequest<'_>,
        navigation: Navigation,
        why: NoSession,
    ) -> Stop {
        let can_keep_one = CookieForm::of(request.site(), request.host()).is_some();
        if !self.turn.may_sign_in() || !can_keep_one {
            return Refusal::NoToken.into();
        }
        match navigation {
            Navigation::Page => {}
            Navigation::Form => return Stop::FormNotSent,
            Navigation::None => return Refusal::NoToken.into(),
        }
        let cause = if why.is_over() { SignInCause::Expired } else { SignInCause::NoSession };
        Stop::SignIn(Demand::default(), cause)
    }

    /// What the policies' refusal of a session leads to: where a new sign-in could mend it, to one that is asked for what
    /// is missing. Unless the last one was asked for the same: then the provider did not deliver, which the refusal says.
    pub(super) fn step_up(&self, refusal: Refusal, navigation: Navigation, facts: &mut RequestFacts) -> Stop {
        let (Refusal::Policy(refused, _), Some(session)) = (refusal, facts.session.clone()) else {
            return refusal.into();
        };
        if refusal.info().resolution != Resolution::Reauthenticate {
            return refusal.into();
        }
        // Nobody is sent to sign in for what no token of the issuer ever tells.
        let finding = facts.decision.remedies.as_ref().map(|found| found.finding);
        if finding == Some(Finding::SignInNotTold) {
            return refusal.into();
        }
        let demand = self.demand(refused, session.caller(), facts);
        // Nothing that could be asked for proves what is missing: the next sign-in would be as this one.
        if demand == Demand::default() {
            facts.step_up_not_delivered = true;
            return refusal.into();
        }
        let record = session.record();
        let is_recent = self.now().saturating_sub(record.signed_in_at) < ANSWERED_SECS;
        let auth_time = session.caller().token().principal().auth_time;
        let was_delivered = was_fresh(&demand, auth_time, record.signed_in_at);
        if record.answered == Some(demand.digest()) && is_recent && !was_delivered {
            facts.step_up_not_delivered = true;
            return refusal.into();
        }
        if !self.turn.may_sign_in() || navigation != Navigation::Page {
            return refusal.into();
        }
        Stop::SignIn(demand, SignInCause::StepUp)
    }

    /// What a new sign-in has to bring.
    fn demand(&self, refused: Refused, caller: &CachedPrincipal, facts: &RequestFacts) -> Demand {
        let sign_in = &caller.token().principal().standing.sign_in;
        let step_up = self.snapshot.denials.step_up(refused, &facts.decision.applied, facts.context, sign_in);
        Demand {
            // Only where the sign-in must be of now: a provider whose own is young enough need not ask again.
            prompt: (step_up.max_age_secs == Some(0)).then_some(Prompt::Login),
            max_age_secs: step_up.max_age_secs,
            acr_values: step_up.acr_values,
            contexts: step_up.contexts.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Whether a sign-in brought what is asked for, and has aged since: nothing but its age is asked for, and it was young
/// enough when it came.
fn was_fresh(demand: &Demand, auth_time: Option<i64>, signed_in_at: i64) -> bool {
    let asks_age_alone = demand.acr_values.is_empty() && demand.contexts.is_empty();
    let (Some(max_age), Some(auth_time), true) = (demand.max_age_secs, auth_time, asks_age_alone) else {
        return false;
    };
    auth_time.saturating_add_unsigned(max_age) >= signed_in_at
}

#[cfg(test)]
mod tests;
