//! Where a provider sends the browser back to (OpenID Connect Core 1.0, section 3.1.2.5). The answer counts for one attempt of
//! this browser, at this host, with this provider, once; whatever else comes here signs nobody in.

use std::time::Duration;

use tokio::time::Instant;

use super::answer::{Failure, Lines, fail};
use super::attempt::{Attempt, is_recent};
use super::authorization::ways_on;
use super::complete::SignedIn;
use super::context::SignIn;
use super::lost::without_attempt;
use super::parameters::Parameters;
use super::{chooser, complete, hand_over};
use crate::clock::{Moment, unix_now};
use crate::denial::Answer;
use crate::pages::ProviderError;
use crate::provider::{Grant, Metadata, Provider, TokenAnswer};
use crate::refusal::{BadToken, SignInFault};
use crate::token::{ExpectedIdToken, IdToken, IdTokenProblem, TokenProblem};

/// How far clocks of provider and proxy may differ where the age of a sign-in counts, in seconds.
const CLOCKS_SECS: i64 = 30;

/// How long a sign-in waits for keys that it asked for, and how often it looks.
const KEYS_TIME: Duration = Duration::from_secs(3);
const KEYS_LOOK: Duration = Duration::from_millis(50);

/// Takes a browser back from the provider at this position. What it is answered with turns on its attempt alone: whether
/// there is a provider of the path's name is nobody's business.
pub(super) async fn answer(it: SignIn<'_>, position: Option<usize>) -> Answer {
    let SignIn { ctx, request, .. } = it;
    let refuse = |failure| fail(ctx, request, None, failure);
    let Some(parameters) = Parameters::read(&request.target) else {
        return refuse(Failure {
            detail: "a parameter is doubled".into(),
            ..SignInFault::MalformedLink.into()
        });
    };
    let state = parameters.get("state").unwrap_or_default();
    let Some(attempt) = Attempt::find(&it.cookies, it.seals, state, request.now()) else {
        return without_attempt(it, is_recent(it.seals, state, request.now()));
    };
    let providers = &ctx.snapshot.providers;
    let of_attempt = providers.iter().enumerate().find(|(_, known)| known.name() == attempt.provider);
    let Some((at, provider)) = of_attempt else {
        return refuse(SignInFault::StaleLink.into());
    };
    // From here on the attempt is used, whatever comes of it.
    let ended: Lines = attempt.end(&it.cookies).into_iter().collect();
    // Mix-up (RFC 9700, section 4.4): each provider has a path of its own, and each attempt knows its provider.
    let taken = match position == Some(at) && attempt.host == request.host {
        true => take(it, provider, &attempt, &parameters).await,
        false => Err(SignInFault::OtherAttempt.into()),
    };
    match taken {
        Ok(signed_in) if attempt.goal.hand_over.is_some() => {
            hand_over::send(it, provider, &attempt, &signed_in, ended).await
        }
        Ok(signed_in) => complete::here(it, provider, &attempt, &signed_in, ended).await,
        Err(failure) => {
            let (retry, choose) = ways_on(it, &attempt.goal);
            let lines = ended.into_iter().chain(chooser::forget(it)).collect();
            fail(ctx, request, Some(provider), Failure { retry, choose, lines, ..failure })
        }
    }
}

/// Reads the answer, and asks the provider for tokens.
async fn take(
    it: SignIn<'_>,
    provider: &Provider,
    attempt: &Attempt,
    parameters: &Parameters,
) -> Result<SignedIn, Failure> {
    // What ends sessions from now on ends this one.
    let at = Moment::now();
    let metadata = provider.ready().await?;
    let is_named = check_issuer(provider, &metadata, parameters)?;
    if ["id_token", "access_token", "response"].iter().any(|name| parameters.has(name)) {
        let detail = "the answer has more than a code".to_owned();
        return Err(Failure { detail, ..SignInFault::MalformedLink.into() });
    }
    let code = match (parameters.get("error"), parameters.get("code")) {
        (Some(error), None) => return Err(error_of(error, parameters, is_named)),
        (None, Some(code)) => code,
        (Some(_), Some(_)) | (None, None) => return Err(SignInFault::MalformedLink.into()),
    };
    let grant = Grant::Code { code, verifier: &attempt.verifier, redirect_uri: &attempt.redirect_uri };
    let tokens = provider.tokens(&metadata, grant).await?;
    let id_token = verify(it, provider, attempt, &tokens).await?;
    let id_token = with_userinfo(it, provider, &metadata, id_token, &tokens).await?;
    check_freshness(&id_token, attempt)?;
    Ok(SignedIn { at, id_token, tokens })
}

/// RFC 9207, section 2.4: whether the answer names its issuer. It must name the right one, and name one at all where the
/// provider says that it does.
fn check_issuer(
    provider: &Provider,
    metadata: &Metadata,
    parameters: &Parameters,
) -> Result<bool, SignInFault> {
    match parameters.has("iss") {
        true if parameters.get("iss") == Some(provider.issuer()) => Ok(true),
        true => Err(SignInFault::OtherIssuer),
        false if metadata.names_issuer => Err(SignInFault::OtherIssuer),
        false => Ok(false),
    }
}

/// An error of the provider (RFC 6749, section 4.1.2.1; OpenID Connect Core 1.0, section 3.1.2.6). Its words are shown where it
/// is certain that they are its own.
fn error_of(error: &str, parameters: &Parameters, is_named: bool) -> Failure {
    let fault = match error {
        "access_denied" => SignInFault::AccessDenied,
        "login_required" => SignInFault::LoginRequired,
        "interaction_required" | "consent_required" | "account_selection_required" => {
            SignInFault::InteractionRequired
        }
        "temporarily_unavailable" | "server_error" => SignInFault::ProviderUnavailable,
        "unmet_authentication_requirements" => SignInFault::ContextMissing,
        "unauthorized_client" => SignInFault::ClientRefused,
        "invalid_request"
        | "invalid_scope"
        | "unsupported_response_type"
        | "invalid_request_uri"
        | "invalid_request_object"
        | "request_not_supported"
        | "request_uri_not_supported" => SignInFault::RequestRefused,
        _ => SignInFault::ProviderError,
    };
    let said = is_named.then(|| ProviderError {
        error: error.to_owned(),
        description: parameters.get("error_description").map(str::to_owned),
    });
    let detail = if is_named { crate::record::field::field(error.as_bytes(), 64) } else { String::new() };
    Failure { said, detail, ..fault.into() }
}

async fn verify(
    it: SignIn<'_>,
    provider: &Provider,
    attempt: &Attempt,
    tokens: &TokenAnswer,
) -> Result<IdToken, Failure> {
    let missing = || Failure { detail: "no id_token".into(), ..SignInFault::MalformedAnswer.into() };
    let text = tokens.id_token.as_ref().ok_or_else(missing)?;
    let settings = provider.settings();
    let expected = ExpectedIdToken {
        issuer: settings.issuer,
        client_id: &settings.client_id,
        nonce: Some(&attempt.nonce),
        access_token: tokens.access_token.as_ref().map(|token| token.expose()),
    };
    let snapshot = it.ctx.snapshot;
    let keys = snapshot.stores.get(settings.issuer);
    let waits_until = Instant::now() + KEYS_TIME;
    loop {
        let before = keys.map(|keys| keys.generation());
        // Not the time of the request: the token may have been issued since.
        let verified = snapshot.verifier.verify_id_token(text.expose(), &expected, unix_now());
        let problem = match verified {
            Ok(id_token) => return Ok(id_token),
            Err(problem) => problem,
        };
        // The provider signs with a new key, or the first keys are on their way: they are being fetched.
        let may_pass = matches!(
            problem,
            IdTokenProblem::Token(TokenProblem::KeysUnavailable | TokenProblem::Bad(BadToken::UnknownKey))
        );
        while may_pass && keys.map(|keys| keys.generation()) == before && Instant::now() < waits_until {
            tokio::time::sleep(KEYS_LOOK).await;
        }
        if !may_pass || keys.map(|keys| keys.generation()) == before {
            return Err(failure_of(problem));
        }
    }
}

async fn with_userinfo(
    it: SignIn<'_>,
    provider: &Provider,
    metadata: &Metadata,
    id_token: IdToken,
    tokens: &TokenAnswer,
) -> Result<IdToken, Failure> {
    if !provider.settings().userinfo {
        return Ok(id_token);
    }
    let missing = || Failure { detail: "no access_token".into(), ..SignInFault::MalformedAnswer.into() };
    let access_token = tokens.access_token.as_ref().ok_or_else(missing)?;
    let userinfo = provider.userinfo(metadata, access_token).await?;
    it.ctx.snapshot.verifier.with_userinfo(id_token, &userinfo, unix_now()).map_err(failure_of)
}

/// Whether what was asked for was delivered, as far as that is certain without the policies (OpenID Connect Core 1.0, sections
/// 3.1.3.7 and 5.5.1.1). `acr_values` is a wish: whether what came instead is enough, the policies decide at the next request.
fn check_freshness(id_token: &IdToken, attempt: &Attempt) -> Result<(), SignInFault> {
    let Attempt { asked, started_at, .. } = attempt;
    let wants_login = asked.prompt.as_deref() == Some("login");
    let longest = asked.max_age_secs.map(|secs| i64::try_from(secs).unwrap_or(i64::MAX));
    let longest = longest.or(wants_login.then_some(0));
    if let Some(longest) = longest {
        let earliest = started_at.saturating_sub(longest).saturating_sub(CLOCKS_SECS);
        let is_fresh = match id_token.auth_time {
            Some(at) => at >= earliest,
            // It need not be there unless `max_age` was asked for (section 2).
            None => asked.max_age_secs.is_none(),
        };
        if !is_fresh {
            return Err(SignInFault::NotFresh);
        }
    }
    let has = |context: &String| id_token.contexts.iter().any(|known| known.eq_ignore_ascii_case(context));
    if !asked.contexts.is_empty() && !asked.contexts.iter().any(has) {
        return Err(SignInFault::ContextMissing);
    }
    Ok(())
}

fn failure_of(problem: IdTokenProblem) -> Failure {
    let fault = match problem {
        IdTokenProblem::Token(TokenProblem::KeysUnavailable) => SignInFault::KeysUnavailable,
        IdTokenProblem::Token(TokenProblem::Bad(bad)) => match bad {
            BadToken::Signature | BadToken::UnknownKey | BadToken::Header => SignInFault::IdTokenSignature,
            BadToken::Issuer => SignInFault::IdTokenIssuer,
            BadToken::Audience => SignInFault::IdTokenAudience,
            BadToken::Expired | BadToken::NotYetValid => SignInFault::IdTokenTime,
            BadToken::Malformed => SignInFault::IdTokenMalformed,
            BadToken::Claims | BadToken::Place | BadToken::Revoked | BadToken::NotTried => {
                SignInFault::IdTokenClaims
            }
        },
        IdTokenProblem::Audience => SignInFault::IdTokenAudience,
        IdTokenProblem::Nonce => SignInFault::IdTokenNonce,
        IdTokenProblem::AccessTokenHash => SignInFault::IdTokenAccessToken,
        IdTokenProblem::Subject | IdTokenProblem::NoLogout => SignInFault::IdTokenClaims,
        IdTokenProblem::Userinfo | IdTokenProblem::UserinfoSubject => SignInFault::UserinfoSubject,
    };
    Failure { detail: problem.to_string(), ..fault.into() }
}
