//! How a client shows to a provider who it is (OpenID Connect Core 1.0, section 9; RFC 6749, section 2.3.1; RFC 7523).

use std::fmt;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use portcullis_config::settings::{ClientAuthentication, Secret, SecretMethod, SigningKey};
use reqwest::{RequestBuilder, Url};
use serde::Serialize;
use url::form_urlencoded;

use super::problem::ProviderProblem;
use crate::clock::unix_now;
use crate::refusal::SignInFault;

/// How long an assertion about ourselves is good.
const ASSERTION_SECS: i64 = 60;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The names and values of a form.
pub(super) type Form = Vec<(String, String)>;

/// Who we are at a provider, and how we show it.
pub(super) struct Credentials {
    client_id: String,
    method: Method,
}

enum Method {
    Secret(Secret, SecretMethod),
    PrivateKey { header: Box<Header>, key: Box<EncodingKey> },
    Public,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// What a client says of itself (RFC 7523, section 3).
#[derive(Serialize)]
struct Claims<'c> {
    iss: &'c str,
    sub: &'c str,
    aud: &'c str,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl Credentials {
    pub(super) fn new(client_id: &str, authentication: &ClientAuthentication) -> Result<Self, String> {
        let method = match authentication {
            ClientAuthentication::Secret { secret, method } => Method::Secret(secret.clone(), *method),
            ClientAuthentication::Public => Method::Public,
            ClientAuthentication::PrivateKey(keys) => private_key(keys.first().ok_or("no private key")?)?,
        };
        Ok(Self { client_id: client_id.to_owned(), method })
    }

    /// Adds to a form, or to the request's head, what shows who we are. `audience` is whom an assertion is for.
    pub(super) fn add_to(
        &self,
        request: RequestBuilder,
        form: &mut Form,
        audience: &str,
    ) -> Result<RequestBuilder, ProviderProblem> {
        match &self.method {
            Method::Secret(secret, SecretMethod::Basic) => {
                // Each is encoded as a form's value first (RFC 6749, section 2.3.1).
                let encode =
                    |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", encode(&self.client_id), encode(secret.expose()));
                return Ok(request.header("authorization", format!("Basic {}", STANDARD.encode(pair))));
            }
            Method::Secret(secret, SecretMethod::Post) => {
                form.push(("client_secret".to_owned(), secret.expose().to_owned()));
            }
            Method::Public => {}
            Method::PrivateKey { header, key } => {
                form.push(("client_assertion_type".to_owned(), ASSERTION_TYPE.to_owned()));
                form.push(("client_assertion".to_owned(), self.assertion(header, key, audience)?));
            }
        }
        // An authorization request has it already.
        if !form.iter().any(|(name, _)| name == "client_id") {
            form.push(("client_id".to_owned(), self.client_id.clone()));
        }
        Ok(request)
    }

    fn assertion(
        &self,
        header: &Header,
        key: &EncodingKey,
        audience: &str,
    ) -> Result<String, ProviderProblem> {
        let unsigned = || ProviderProblem::new(SignInFault::Internal, "no assertion can be signed");
        let mut id = [0; 16];
        SystemRandom::new().fill(&mut id).map_err(|_| unsigned())?;
        let now = unix_now();
        let (iss, sub) = (self.client_id.as_str(), self.client_id.as_str());
        let (jti, exp) = (URL_SAFE_NO_PAD.encode(id), now + ASSERTION_SECS);
        let claims = Claims { iss, sub, aud: audience, jti, iat: now, nbf: now, exp };
        jsonwebtoken::encode(header, &claims, key).map_err(|_| unsigned())
    }
}

fn private_key(signing: &SigningKey) -> Result<Method, String> {
    let pem = signing.pem.expose().as_bytes();
    let (algorithm, key) = match signing.algorithm.as_str() {
        "ES256" => (Algorithm::ES256, EncodingKey::from_ec_pem(pem)),
        "PS256" => (Algorithm::PS256, EncodingKey::from_rsa_pem(pem)),
        other => return Err(format!("no client signs with `{other}`")),
    };
    let mut header = Header::new(algorithm);
    header.kid.clone_from(&signing.kid);
    header.x5t_s256.clone_from(&signing.thumbprint);
    let key = key.map_err(|_| format!("the private key is none for {}", signing.algorithm))?;
    Ok(Method::PrivateKey { header: Box::new(header), key: Box::new(key) })
}

/// Whom an assertion for this provider is for. Where the token endpoint belongs to another origin than the issuer, what is
/// signed for it would be good there too: then it is signed for the issuer alone.
pub(super) fn audience<'a>(issuer: &'a str, token_endpoint: &'a Url) -> &'a str {
    let is_own = Url::parse(issuer).is_ok_and(|issuer| issuer.origin() == token_endpoint.origin());
    if is_own { token_endpoint.as_str() } else { issuer }
}
