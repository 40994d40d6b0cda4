//! What we ask a provider for: to keep an authorization request, tokens for a code or for a refresh token, and further claims.

use std::fmt;

use portcullis_config::settings::Secret;
use reqwest::StatusCode;
use serde_json::{Map, Value};

use super::Provider;
use super::authentication::{Form, audience};
use super::endpoint::{JsonAnswer, send};
use super::metadata::Metadata;
use super::problem::ProviderProblem;
use crate::record::field::{VALUE_MAX, field};
use crate::refusal::SignInFault;

/// What is given for tokens.
#[derive(Clone, Copy)]
pub enum Grant<'g> {
    /// The code of an authorization answer (RFC 6749, section 4.1.3; RFC 7636, section 4.5).
    Code {
        /// The code.
        code: &'g str,
        /// The PKCE verifier of the attempt.
        verifier: &'g str,
        /// Where the answer was sent.
        redirect_uri: &'g str,
    },
    /// A refresh token (same, section 6).
    RefreshToken(&'g str),
}

impl fmt::Debug for Grant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code { .. } => "Code(…)",
            Self::RefreshToken(_) => "RefreshToken(…)",
        })
    }
}

/// What a token endpoint gave (RFC 6749, section 5.1; OpenID Connect Core 1.0, section 3.1.3.3).
#[derive(Clone, Debug)]
pub struct TokenAnswer {
    /// The ID token; a refresh may bring none.
    pub id_token: Option<Secret>,
    /// The access token.
    pub access_token: Option<Secret>,
    /// For how many seconds the access token is good.
    pub expires_in: Option<u64>,
    /// The refresh token; a refresh that brings none leaves the former one good.
    pub refresh_token: Option<Secret>,
}

impl Provider {
    /// Pushes an authorization request (RFC 9126, section 2.1), and returns its `request_uri`.
    ///
    /// # Errors
    /// Why the provider did not keep it.
    pub(crate) async fn push(
        &self,
        metadata: &Metadata,
        parameters: &[(String, String)],
    ) -> Result<String, ProviderProblem> {
        let missing =
            || ProviderProblem::new(SignInFault::MetadataUnusable, "no endpoint for pushed requests");
        let url = metadata.pushed_authorization_endpoint.as_ref().ok_or_else(missing)?;
        let JsonAnswer { status, members, .. } = self.post(metadata, url, parameters.to_vec()).await?;
        if status != StatusCode::CREATED && status != StatusCode::OK {
            return Err(refused(status, &members));
        }
        let uri = members.get("request_uri").and_then(Value::as_str).filter(|uri| !uri.is_empty());
        uri.map(str::to_owned)
            .ok_or_else(|| ProviderProblem::new(SignInFault::MalformedAnswer, "no request_uri"))
    }

    /// Asks for tokens.
    ///
    /// # Errors
    /// Why there are none; [`ProviderProblem::is_grant_over`] says whether the grant can ever bring some.
    pub(crate) async fn tokens(
        &self,
        metadata: &Metadata,
        grant: Grant<'_>,
    ) -> Result<TokenAnswer, ProviderProblem> {
        let (secrets, form) = match grant {
            Grant::Code { code, verifier, redirect_uri } => {
                let form = [
                    ("grant_type", "authorization_code"),
                    ("code", code),
                    ("code_verifier", verifier),
                    ("redirect_uri", redirect_uri),
                ];
                ([code, verifier], form.to_vec())
            }
            Grant::RefreshToken(token) => {
                let form = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
                ([token, token], form)
            }
        };
        let JsonAnswer { status, members, .. } =
            self.post(metadata, &metadata.token_endpoint, form_of(&form)).await?;
        if status != StatusCode::OK {
            return Err(refused(status, &members).without(&secrets));
        }
        TokenAnswer::read(&members).ok_or_else(|| {
            ProviderProblem::new(SignInFault::MalformedAnswer, "members of the token answer have other types")
        })
    }

    /// Asks for tokens with a refresh token.
    ///
    /// # Errors
    /// As for the tokens of a code.
    pub async fn refresh(&self, refresh_token: &Secret) -> Result<TokenAnswer, ProviderProblem> {
        let metadata = self.ready().await?;
        self.tokens(&metadata, Grant::RefreshToken(refresh_token.expose())).await
    }

    /// Asks for further claims (OpenID Connect Core 1.0, section 5.3), and returns the answer's text: whose they are is for the
    /// verifier to compare.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) async fn userinfo(
        &self,
        metadata: &Metadata,
        access_token: &Secret,
    ) -> Result<Vec<u8>, ProviderProblem> {
        let missing = || ProviderProblem::new(SignInFault::MetadataUnusable, "no userinfo endpoint");
        let url = metadata.userinfo_endpoint.as_ref().ok_or_else(missing)?;
        let request = self.endpoints.get(url)?.bearer_auth(access_token.expose());
        let JsonAnswer { status, members, bytes } = send(request).await?;
        if status == StatusCode::OK { Ok(bytes) } else { Err(refused(status, &members)) }
    }

    async fn post(
        &self,
        metadata: &Metadata,
        url: &reqwest::Url,
        mut form: Form,
    ) -> Result<JsonAnswer, ProviderProblem> {
        let audience = audience(&self.issuer, &metadata.token_endpoint);
        let request = self.credentials.add_to(self.endpoints.post(url)?, &mut form, audience)?;
        send(request.form(&form)).await
    }
}

impl TokenAnswer {
    /// `None` when a member has another type than the protocol gives it.
    fn read(members: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| match members.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(Value::String(text)) if !text.is_empty() => Some(Some(Secret::new(text.as_str()))),
            Some(_) => None,
        };
        let answer = Self {
            id_token: text("id_token")?,
            access_token: text("access_token")?,
            // Some providers write the number as a text.
            expires_in: match members.get("expires_in") {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text.parse().ok()?),
                Some(number) => Some(number.as_u64()?),
            },
            refresh_token: text("refresh_token")?,
        };
        let is_bearer = |kind: &Value| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("Bearer"));
        let has_kind = members.get("token_type").is_some_and(is_bearer);
        (has_kind || answer.access_token.is_none()).then_some(answer)
    }
}

fn form_of(pairs: &[(&str, &str)]) -> Form {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What an error of the provider means (RFC 6749, section 5.2; RFC 9126, section 2.3; RFC 6750, section 3.1).
fn refused(status: StatusCode, members: &Map<String, Value>) -> ProviderProblem {
    let named = members.get("error").and_then(Value::as_str).unwrap_or_default();
    let fault = match named {
        "invalid_grant" => SignInFault::CodeRefused,
        "invalid_client" | "unauthorized_client" => SignInFault::ClientRefused,
        "invalid_request"
        | "invalid_scope"
        | "unsupported_grant_type"
        | "invalid_request_object"
        | "invalid_redirect_uri"
        | "unsupported_response_type" => SignInFault::RequestRefused,
        "temporarily_unavailable" | "server_error" => SignInFault::ProviderUnavailable,
        _ => SignInFault::ProviderError,
    };
    let said = members.get("error_description").and_then(Value::as_str).unwrap_or_default();
    let (named, said) = (field(named.as_bytes(), VALUE_MAX), field(said.as_bytes(), VALUE_MAX));
    ProviderProblem::new(fault, format!("status {}, {named}: {said}", status.as_u16()))
}
