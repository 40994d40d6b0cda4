//! The demo's OpenID provider: one client, code flow with PKCE, and a page where one picks who one is instead of a
//! password. It keeps no session of its own: each sign-in asks anew.
//! Sources: OpenID Connect Core 1.0, RFC 6749, RFC 7636, RFC 9207, OpenID Connect RP-Initiated Logout 1.0.

use std::collections::HashMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::form::{Form, with_query};
use super::issuer::{Issuer, SignIn};
use super::places::{PLACES, Place};

/// How the proxy is registered.
pub(super) const CLIENT_ID: &str = "portcullis";
/// The name that the proxy has for this provider; part of the redirect address.
pub(super) const NAME: &str = "demo";

const CODE_LIFE_SECS: i64 = 60;
const CODES_MAX: usize = 256;

/// The provider and what it remembers.
pub(super) struct Provider {
    pub(super) issuer: Issuer,
    client_secret: String,
    /// Where the app is reached, without a path: where browsers may be sent back to.
    apps: Vec<String>,
    codes: Mutex<HashMap<String, Grant>>,
}

/// What a code stands for.
struct Grant {
    sign_in: SignIn,
    nonce: Option<String>,
    challenge: String,
    redirect_uri: String,
    expires_at: i64,
}

/// What an authorization request asks for, checked as far as it can be without a person.
pub(super) struct Asked {
    pub(super) redirect_uri: String,
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) challenge: String,
    /// What the sign-in should be like: `acr_values`, `max_age`, `prompt`, `claims`.
    pub(super) wishes: Vec<(&'static str, String)>,
}

/// Why a request is not served.
pub(super) enum Problem {
    /// Whoever sent the browser is not to be trusted with an answer.
    Page(&'static str),
    /// The browser is sent back with an error.
    SendBack(String),
}

/// Random text of 192 bits.
pub(super) fn random() -> Option<String> {
    let mut bytes = [0; 24];
    rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

impl Provider {
    pub(super) fn new(issuer: Issuer, client_secret: String, apps: Vec<String>) -> Self {
        Self { issuer, client_secret, apps, codes: Mutex::new(HashMap::new()) }
    }

    /// OpenID Connect Discovery 1.0, section 3.
    pub(super) fn metadata(&self) -> String {
        let url = self.issuer.url();
        json!({
            "issuer": url,
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/jwks.json"),
            "end_session_endpoint": format!("{url}/end-session"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "scopes_supported": ["openid", "profile"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "authorization_response_iss_parameter_supported": true,
            "prompt_values_supported": ["none", "login", "select_account"],
        })
        .to_string()
    }

    /// Where the app is.
    pub(super) fn app(&self) -> &str {
        self.apps.first().map_or("", String::as_str)
    }

    fn is_redirect_uri(&self, uri: &str) -> bool {
        self.apps.iter().any(|app| uri == format!("{app}/.portcullis/callback/{NAME}"))
    }

    /// Reads an authorization request: of the query first, and of the form of the page again.
    pub(super) fn asked(&self, form: &Form) -> Result<Asked, Problem> {
        if form.get("client_id") != Some(CLIENT_ID) {
            return Err(Problem::Page("unknown client"));
        }
        let redirect_uri = form.get("redirect_uri").filter(|uri| self.is_redirect_uri(uri));
        let Some(redirect_uri) = redirect_uri.map(str::to_owned) else {
            return Err(Problem::Page("unknown redirect_uri"));
        };
        let state = form.get("state").unwrap_or_default().to_owned();
        let challenge =
            form.get("code_challenge").filter(|text| text.len() == 43).unwrap_or_default().to_owned();
        let asks = |name, value| form.get(name) == Some(value);
        let has_openid = form.get("scope").is_some_and(|scope| scope.split(' ').any(|one| one == "openid"));
        let error = if !asks("response_type", "code") {
            Some("unsupported_response_type")
        } else if challenge.is_empty() || !asks("code_challenge_method", "S256") {
            Some("invalid_request")
        } else if !has_openid {
            Some("invalid_scope")
        } else if asks("prompt", "none") {
            Some("login_required")
        } else {
            None
        };
        let wishes = ["acr_values", "max_age", "prompt", "claims"];
        let wishes = wishes.into_iter().filter_map(|name| Some((name, form.get(name)?.to_owned()))).collect();
        let nonce = form.get("nonce").unwrap_or_default().to_owned();
        let asked = Asked { redirect_uri, state, nonce, challenge, wishes };
        match error {
            Some(error) => Err(Problem::SendBack(self.refused(&asked, error, None))),
            None => Ok(asked),
        }
    }

    /// The address with an error (RFC 6749, section 4.1.2.1).
    pub(super) fn refused(&self, asked: &Asked, error: &str, description: Option<&str>) -> String {
        let mut fields = vec![("error", error), ("state", &asked.state), ("iss", self.issuer.url())];
        fields.extend(description.map(|text| ("error_description", text)));
        with_query(&asked.redirect_uri, &fields)
    }

    /// The address with a code. It ends in the place that the visitor picked: the demo's front door reads it there.
    pub(super) fn granted(&self, asked: Asked, sign_in: SignIn, place: &Place, now: i64) -> Option<String> {
        let code = format!("{}.{}", random()?, place.id);
        let address = with_query(
            &asked.redirect_uri,
            &[("code", &code), ("state", &asked.state), ("iss", self.issuer.url())],
        );
        let nonce = Some(asked.nonce).filter(|nonce| !nonce.is_empty());
        let grant = Grant {
            sign_in,
            nonce,
            challenge: asked.challenge,
            redirect_uri: asked.redirect_uri,
            expires_at: now + CODE_LIFE_SECS,
        };
        let mut codes = self.codes.lock();
        codes.retain(|_, grant| grant.expires_at > now);
        if codes.len() < CODES_MAX {
            codes.insert(code, grant);
        }
        Some(address)
    }

    /// The token endpoint (RFC 6749, section 4.1.3; RFC 7636, section 4.6): status and document.
    pub(super) fn token(&self, authorization: Option<&str>, form: &Form, now: i64) -> (u16, Value) {
        let refused = |status, error: &str| (status, json!({ "error": error }));
        if !self.is_client(authorization, form) {
            return refused(401, "invalid_client");
        }
        if form.get("grant_type") != Some("authorization_code") {
            return refused(400, "unsupported_grant_type");
        }
        // A code is used once, whatever comes of it.
        let grant = form.get("code").and_then(|code| self.codes.lock().remove(code));
        let verifier = form.get("code_verifier").unwrap_or_default();
        let proof = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let fits = |grant: &Grant| {
            grant.expires_at > now
                && Some(grant.redirect_uri.as_str()) == form.get("redirect_uri")
                && grant.challenge == proof
        };
        let Some(grant) = grant.filter(fits) else { return refused(400, "invalid_grant") };
        let access_token = self.issuer.access_token(&grant.sign_in, now);
        let id_token =
            self.issuer.id_token(&grant.sign_in, CLIENT_ID, grant.nonce.as_deref(), &access_token, now);
        let document = json!({
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": super::issuer::LIFETIME_SECS,
            "id_token": id_token,
            "scope": "openid profile",
        });
        (200, document)
    }

    /// Whether the request proves to come from the client, in the head or in the form, and not in both.
    fn is_client(&self, authorization: Option<&str>, form: &Form) -> bool {
        let (id, secret) = match authorization {
            Some(text) => {
                let decoded = text.strip_prefix("Basic ").and_then(|basic| STANDARD.decode(basic).ok());
                let Some(pair) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else {
                    return false;
                };
                let Some((id, secret)) = pair.split_once(':') else { return false };
                let decode =
                    |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
                if form.get("client_secret").is_some() {
                    return false;
                }
                (decode(id), decode(secret))
            }
            None => {
                let field = |name| form.get(name).unwrap_or_default().to_owned();
                (field("client_id"), field("client_secret"))
            }
        };
        id == CLIENT_ID && verify_slices_are_equal(secret.as_bytes(), self.client_secret.as_bytes()).is_ok()
    }

    /// Where a browser goes after it signed out: back to the app, if that is where it says it came from.
    pub(super) fn after_sign_out(&self, form: &Form) -> Option<String> {
        let wanted = form.get("post_logout_redirect_uri")?;
        let is_known = self.apps.iter().any(|app| wanted == format!("{app}/.portcullis/signed-out"));
        is_known.then(|| match form.get("state") {
            Some(state) => with_query(wanted, &[("state", state)]),
            None => wanted.to_owned(),
        })
    }
}

/// The place at the end of a code, and nothing else of it.
pub(super) fn place_of_code(query: &str) -> Option<&'static Place> {
    let form = Form::read(query.as_bytes());
    let (_, place) = form.get("code")?.rsplit_once('.')?;
    PLACES.iter().find(|known| known.id == place)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA256, digest};
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::{CLIENT_ID, Form, PLACES, Problem, Provider, SignIn, place_of_code, with_query};
    use crate::demo::issuer::Issuer;

    const BACK: &str = "http://wiki.localhost:1/.portcullis/callback/demo";
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn provider() -> Provider {
        let issuer = Issuer::new("http://127.0.0.1:1".into()).unwrap();
        Provider::new(issuer, "s3:cret%+".into(), vec!["http://wiki.localhost:1".into()])
    }

    fn challenge() -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()))
    }

    fn request(change: (&str, &str)) -> Form {
        let challenge = challenge();
        let mut fields = vec![
            ("client_id", CLIENT_ID),
            ("redirect_uri", BACK),
            ("response_type", "code"),
            ("scope", "openid profile"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", "a&b"),
            ("nonce", "n"),
        ];
        fields.retain(|(name, _)| *name != change.0);
        fields.push(change);
        Form::read(with_query("", &fields).trim_start_matches('?').as_bytes())
    }

    fn code(provider: &Provider) -> String {
        let Ok(asked) = provider.asked(&request(("", ""))) else { panic!("it is refused") };
        let address = provider.granted(asked, SignIn::default(), &PLACES[2], 1_000).unwrap();
        let query = address.strip_prefix(BACK).unwrap().trim_start_matches('?').to_owned();
        assert_eq!(place_of_code(&query).map(|place| place.id), Some("abroad"));
        let answer = Form::read(query.as_bytes());
        assert_eq!((answer.get("state"), answer.get("iss")), (Some("a&b"), Some("http://127.0.0.1:1")));
        answer.get("code").unwrap().to_owned()
    }

    fn redeem(
        provider: &Provider,
        code: &str,
        verifier: &str,
        secret: &str,
        now: i64,
    ) -> (u16, serde_json::Value) {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", BACK),
            ("code_verifier", verifier),
        ];
        let form = Form::read(with_query("", &fields).trim_start_matches('?').as_bytes());
        let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{secret}")));
        provider.token(Some(&basic), &form, now)
    }

    #[test]
    fn nobody_is_sent_anywhere_but_to_the_app() {
        for change in [("client_id", "other"), ("redirect_uri", "http://evil.example/"), ("redirect_uri", "")]
        {
            assert!(matches!(provider().asked(&request(change)), Err(Problem::Page(_))), "{change:?}");
        }
    }

    #[test]
    fn a_request_without_pkce_is_sent_back() {
        for (change, error) in [
            (("code_challenge", ""), "invalid_request"),
            (("code_challenge_method", "plain"), "invalid_request"),
            (("response_type", "token"), "unsupported_response_type"),
            (("scope", "profile"), "invalid_scope"),
            (("prompt", "none"), "login_required"),
        ] {
            match provider().asked(&request(change)) {
                Err(Problem::SendBack(address)) => assert!(address.contains(error), "{address}"),
                _ => panic!("{change:?}"),
            }
        }
    }

    #[test]
    fn a_code_is_redeemed_once_by_its_client_with_its_verifier_and_in_time() {
        let provider = provider();
        let secret = "s3%3Acret%25%2B";
        let (status, answer) = redeem(&provider, &code(&provider), VERIFIER, secret, 1_001);
        assert_eq!(status, 200, "{answer}");
        assert!(answer["id_token"].as_str().unwrap().split('.').count() == 3);
        let used = code(&provider);
        redeem(&provider, &used, VERIFIER, secret, 1_001);
        for (code, verifier, secret, now, error) in [
            (used, VERIFIER, secret, 1_001, "invalid_grant"),
            (code(&provider), "another", secret, 1_001, "invalid_grant"),
            (code(&provider), VERIFIER, "wrong", 1_001, "invalid_client"),
            (code(&provider), VERIFIER, secret, 2_000, "invalid_grant"),
        ] {
            let (status, answer) = redeem(&provider, &code, verifier, secret, now);
            assert_eq!((status != 200, answer["error"].as_str()), (true, Some(error)), "{error}");
        }
    }

    #[test]
    fn signing_out_leads_back_to_the_app_alone() {
        let after = |uri: &str| {
            let fields = [("post_logout_redirect_uri", uri), ("state", "x")];
            let form = Form::read(with_query("", &fields).trim_start_matches('?').as_bytes());
            provider().after_sign_out(&form)
        };
        assert_eq!(
            after("http://wiki.localhost:1/.portcullis/signed-out").as_deref(),
            Some("http://wiki.localhost:1/.portcullis/signed-out?state=x")
        );
        assert_eq!(after("http://evil.example/.portcullis/signed-out"), None);
    }
}
