//! The authorization request (OpenID Connect Core 1.0, section 3.1.2.1): what a provider is asked, and the attempt that waits for
//! its answer.

use portcullis_config::settings::{App, PushedAuthorization};
use serde_json::json;

use super::answer::{Failure, Lines, fail, page, redirect};
use super::attempt::{Asked, Attempt, Goal, challenge_of, new_state, random, tag_of};
use super::chooser::{self, link};
use super::context::SignIn;
use super::target::origin;
use crate::denial::Answer;
use crate::pages::{FragmentStep, OwnPage};
use crate::provider::{Metadata, Provider};
use crate::refusal::SignInFault;

/// What a sign-in is for.
#[derive(Clone, Debug)]
pub(super) struct Beginning<'s> {
    pub(super) app: &'s App,
    pub(super) provider: &'s Provider,
    pub(super) asked: Asked,
    pub(super) target: String,
}

/// Sends the browser to the provider.
pub(super) async fn send(
    it: SignIn<'_>,
    provider: &Provider,
    asked: Asked,
    goal: Goal,
    keeps_fragment: bool,
    mut lines: Lines,
) -> Answer {
    let SignIn { ctx, request, .. } = it;
    let (retry, choose) = ways_on(it, &goal);
    match prepare(it, provider, asked, goal).await {
        Ok((attempt, location, more)) => {
            provider.metrics().started();
            lines.extend(more);
            if keeps_fragment {
                let (tag, step) = (tag_of(&attempt.state), FragmentStep::Save);
                let keep = OwnPage::KeepFragment { attempt: tag, step, next: location };
                return page(ctx, request, &keep, lines);
            }
            redirect(ctx, request, &location, lines)
        }
        Err(mut failure) => {
            // A provider that does not work must not be the only one.
            failure.lines = chooser::forget(it);
            fail(ctx, request, Some(provider), Failure { retry, choose, ..failure })
        }
    }
}

/// The links of a page about a failure: to try again, and to choose another provider.
pub(super) fn ways_on(it: SignIn<'_>, goal: &Goal) -> (String, Option<String>) {
    let here = origin(it.request.site, &it.request.host);
    let base = if goal.origin == here { "" } else { goal.origin.as_str() };
    let app = it.ctx.snapshot.config.apps.iter().find(|app| app.id == goal.app);
    let has_several = app.is_some_and(|app| app.sign_in.len() > 1);
    let retry = [base, &link(&goal.target, None)].concat();
    let choose = has_several.then(|| format!("{retry}&choose="));
    (retry, choose)
}

/// An attempt, where it sends the browser to, and the cookies that it needs.
async fn prepare(
    it: SignIn<'_>,
    provider: &Provider,
    asked: Asked,
    goal: Goal,
) -> Result<(Attempt, String, Lines), Failure> {
    let metadata = provider.ready().await?;
    let (SignIn { request, seals, .. }, now) = (it, it.request.now());
    let own = origin(request.site, &request.host);
    let attempt = Attempt {
        state: new_state(seals, now).ok_or(SignInFault::Internal)?,
        nonce: random().ok_or(SignInFault::Internal)?,
        verifier: random().ok_or(SignInFault::Internal)?,
        started_at: now,
        provider: provider.name().to_owned(),
        host: request.host.clone(),
        redirect_uri: format!("{own}/.portcullis/callback/{}", provider.name()),
        asked,
        goal,
    };
    let lines = attempt.keep(&it.cookies, seals).ok_or(SignInFault::Internal)?;
    let parameters = parameters(provider, &attempt);
    let location = location(provider, &metadata, &parameters).await?;
    Ok((attempt, location, lines))
}

/// The parameters of an authorization request (OpenID Connect Core 1.0, section 3.1.2.1; RFC 7636). Ours, and those of the
/// configuration, which cannot be ours.
fn parameters(provider: &Provider, attempt: &Attempt) -> Vec<(String, String)> {
    let settings = provider.settings();
    let Attempt { asked, .. } = attempt;
    let mut list: Vec<(&str, String)> = vec![
        ("response_type", "code".to_owned()),
        ("response_mode", "query".to_owned()),
        ("client_id", settings.client_id.clone()),
        ("redirect_uri", attempt.redirect_uri.clone()),
        ("scope", settings.scopes.join(" ")),
        ("state", attempt.state.clone()),
        ("nonce", attempt.nonce.clone()),
        ("code_challenge", challenge_of(&attempt.verifier)),
        ("code_challenge_method", "S256".to_owned()),
    ];
    let given = settings.parameters.iter().map(|(name, value)| (name.as_str(), value.clone()));
    list.extend(given.collect::<Vec<_>>());
    list.extend(asked.max_age_secs.map(|secs| ("max_age", secs.to_string())));
    if !asked.acr_values.is_empty() {
        list.push(("acr_values", asked.acr_values.join(" ")));
    }
    if let Some(claims) = claims(&asked.contexts) {
        list.push(("claims", claims));
    }
    if let Some(prompt) = &asked.prompt {
        list.retain(|(name, _)| *name != "prompt");
        list.push(("prompt", prompt.clone()));
    }
    list.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The claims request for authentication contexts (OpenID Connect Core 1.0, section 5.5; Microsoft identity platform, "Claims
/// challenges").
fn claims(contexts: &[String]) -> Option<String> {
    let wanted = match contexts {
        [] => return None,
        [one] => json!({ "essential": true, "value": one }),
        several => json!({ "essential": true, "values": several }),
    };
    Some(json!({ "id_token": { "acrs": wanted } }).to_string())
}

/// Where the browser is sent: with all parameters, or with the name of those that were pushed.
async fn location(
    provider: &Provider,
    metadata: &Metadata,
    parameters: &[(String, String)],
) -> Result<String, Failure> {
    let offers = metadata.pushed_authorization_endpoint.is_some();
    let pushes = match provider.settings().pushed_authorization {
        PushedAuthorization::Required => true,
        PushedAuthorization::Auto => offers || metadata.requires_pushed,
        PushedAuthorization::Never => metadata.requires_pushed,
    };
    let mut url = metadata.authorization_endpoint.clone();
    url.set_fragment(None);
    if pushes {
        let request_uri = provider.push(metadata, parameters).await?;
        url.query_pairs_mut()
            .append_pair("client_id", &provider.settings().client_id)
            .append_pair("request_uri", &request_uri);
    } else {
        url.query_pairs_mut().extend_pairs(parameters);
    }
    Ok(url.into())
}
