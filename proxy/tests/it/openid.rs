//! A small OpenID provider of the tests' own, with real keys and real HTTP, that signs everybody in without a question, and can
//! be told to do so wrongly.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::keys::{self, b64};

pub(crate) const CLIENT: &str = "wiki-client";
/// Long enough for the configuration; `%` and `+` show whether it is encoded.
pub(crate) const SECRET: &str = "s%cret+of the wiki client";

/// What it does other than a provider should.
pub(crate) type Change<T> = Arc<dyn Fn(&mut T) + Send + Sync>;

/// How it behaves.
#[derive(Clone, Default)]
pub(crate) struct Manners {
    /// Changes the metadata.
    pub(crate) metadata: Option<Change<Value>>,
    /// Changes the parameters of the authorization answer.
    pub(crate) answer: Option<Change<Vec<(String, String)>>>,
    /// Changes the claims of the ID token.
    pub(crate) claims: Option<Change<Value>>,
    /// Makes the ID token of its claims, in place of signing them.
    pub(crate) sign: Option<fn(&Value) -> String>,
    /// Changes the text of the token answer.
    pub(crate) tokens: Option<Change<String>>,
    /// Changes userinfo.
    pub(crate) userinfo: Option<Change<Value>>,
    /// What the token endpoint does in place of an answer.
    pub(crate) token_endpoint: Option<Breakdown>,
    /// Whether codes count as often as they are sent.
    pub(crate) forgets_codes: bool,
    /// Whether its keys have a new one.
    pub(crate) has_new_key: bool,
    /// Whether it ends every connection without a word.
    pub(crate) is_down: bool,
    /// How the client shows who it is; by the head where nothing else is said.
    pub(crate) client: Option<Client>,
}

/// What an endpoint does in place of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breakdown {
    /// Answers with more than anybody should read.
    Huge,
    /// Sends a head, and then nothing.
    Silent,
    /// Ends in the middle.
    Cut,
    /// Sends elsewhere.
    Redirect,
    /// Answers with a page.
    Html,
    /// Answers with this status, and JSON.
    Status(u16),
    /// Answers well, with another type.
    ContentType,
}

/// How a client shows who it is.
#[derive(Clone, Debug)]
pub(crate) enum Client {
    /// By the secret in the form.
    Post,
    /// By an assertion that this public key verifies.
    Key(&'static dyn VerificationAlgorithm, Vec<u8>),
}

/// A code that was given out.
#[derive(Clone, Debug)]
struct Given {
    nonce: String,
    challenge: String,
    redirect_uri: String,
    max_age: bool,
    contexts: bool,
    is_used: bool,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// Of the query and of a form.
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) authorization: String,
}

/// The provider; its threads end with the process.
#[derive(Clone)]
pub(crate) struct OpenId {
    address: String,
    pub(crate) manners: Arc<Mutex<Manners>>,
    codes: Arc<Mutex<BTreeMap<String, Given>>>,
    pushed: Arc<Mutex<BTreeMap<String, BTreeMap<String, String>>>>,
    /// Which refresh token counts.
    pub(crate) refreshes: Arc<AtomicU32>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl OpenId {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let provider = Self {
            address: listener.local_addr().unwrap().to_string(),
            manners: Arc::default(),
            codes: Arc::default(),
            pushed: Arc::default(),
            refreshes: Arc::default(),
            asked: Arc::default(),
        };
        let serving = provider.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        provider
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes how it behaves from now on.
    pub(crate) fn behave(&self, change: impl FnOnce(&mut Manners)) {
        let mut manners = Manners::default();
        change(&mut manners);
        *self.manners.lock().unwrap() = manners;
    }

    /// All requests for this path so far.
    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.path == path).cloned().collect()
    }

    fn manners(&self) -> Manners {
        self.manners.lock().unwrap().clone()
    }

    /// One request a connection.
    fn serve(&self, mut stream: TcpStream) {
        let Some(asked) = request(&mut stream) else { return };
        self.asked.lock().unwrap().push(asked.clone());
        let manners = self.manners();
        if manners.is_down {
            return;
        }
        match asked.path.as_str() {
            "/.well-known/openid-configuration" => {
                answer(&mut stream, 200, &self.metadata(&manners).to_string())
            }
            "/keys" => {
                let mut keys: Value = serde_json::from_str(&keys::jwks()).unwrap();
                if manners.has_new_key {
                    keys["keys"].as_array_mut().unwrap().push(keys::ec_jwk(&keys::STRANGER, "new"));
                }
                answer(&mut stream, 200, &keys.to_string());
            }
            "/authorize" => self.authorize(&mut stream, &asked, &manners),
            "/par" => self.push(&mut stream, &asked, &manners),
            "/end" => end(&mut stream, &asked),
            "/token" => self.token(&mut stream, &asked, &manners),
            "/userinfo" => {
                let mut claims = json!({ "sub": "anna", "department": "research" });
                manners.userinfo.iter().for_each(|change| change(&mut claims));
                answer(&mut stream, 200, &claims.to_string());
            }
            _ => answer(&mut stream, 404, "{}"),
        }
    }

    fn metadata(&self, manners: &Manners) -> Value {
        let issuer = self.issuer();
        let mut metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "end_session_endpoint": format!("{issuer}/end?tenant=7"),
            "jwks_uri": format!("{issuer}/keys"),
            "response_types_supported": ["code"],
            "authorization_response_iss_parameter_supported": true,
        });
        manners.metadata.iter().for_each(|change| change(&mut metadata));
        metadata
    }

    fn push(&self, stream: &mut TcpStream, asked: &Asked, manners: &Manners) {
        if !self.is_authenticated(asked, manners) {
            return answer(stream, 401, r#"{"error":"invalid_client"}"#);
        }
        let name = format!("urn:ietf:params:oauth:request_uri:{}", self.pushed.lock().unwrap().len());
        self.pushed.lock().unwrap().insert(name.clone(), asked.parameters.clone());
        answer(stream, 201, &json!({ "request_uri": name, "expires_in": 60 }).to_string());
    }

    fn authorize(&self, stream: &mut TcpStream, asked: &Asked, manners: &Manners) {
        let pushed =
            asked.parameters.get("request_uri").and_then(|name| self.pushed.lock().unwrap().remove(name));
        let parameters = pushed.as_ref().unwrap_or(&asked.parameters);
        let get = |name: &str| parameters.get(name).cloned().unwrap_or_default();
        assert_eq!((get("response_type").as_str(), get("response_mode").as_str()), ("code", "query"));
        assert_eq!((get("client_id").as_str(), get("code_challenge_method").as_str()), (CLIENT, "S256"));
        assert!(get("scope").split(' ').any(|scope| scope == "openid"), "{parameters:?}");
        let code = format!("code-{}", self.codes.lock().unwrap().len());
        let given = Given {
            nonce: get("nonce"),
            challenge: get("code_challenge"),
            redirect_uri: get("redirect_uri"),
            max_age: parameters.contains_key("max_age"),
            contexts: get("claims").contains(r#""acrs":{"essential":true,"value":"c1"}"#),
            is_used: false,
        };
        self.codes.lock().unwrap().insert(code.clone(), given);
        let mut answer = vec![
            ("code".to_owned(), code),
            ("state".to_owned(), get("state")),
            ("iss".to_owned(), self.issuer()),
            // As many send it; a client ignores it.
            ("session_state".to_owned(), "x.y".to_owned()),
        ];
        manners.answer.iter().for_each(|change| change(&mut answer));
        let query: Vec<_> = answer.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let location = format!("{}?{}", get("redirect_uri"), query.join("&"));
        let head = format!(
            "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let _ = stream.write_all(head.as_bytes());
    }

    /// RFC 6749, section 2.3.1; RFC 7523, section 3.
    fn is_authenticated(&self, asked: &Asked, manners: &Manners) -> bool {
        let get = |name: &str| asked.parameters.get(name).map_or("", String::as_str);
        match &manners.client {
            None => {
                let pair = format!("{}:{}", encode(CLIENT), encode(SECRET));
                asked.authorization == format!("Basic {}", STANDARD.encode(pair))
                    && get("client_secret").is_empty()
            }
            Some(Client::Post) => {
                (get("client_id"), get("client_secret")) == (CLIENT, SECRET) && asked.authorization.is_empty()
            }
            Some(Client::Key(algorithm, key)) => {
                let (message, signature) = get("client_assertion").rsplit_once('.').unwrap_or_default();
                let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
                let is_signed =
                    UnparsedPublicKey::new(*algorithm, key).verify(message.as_bytes(), &signature).is_ok();
                let claims = message.split('.').nth(1).unwrap_or_default();
                let claims = URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
                let claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
                let is_ours = claims["iss"] == CLIENT && claims["sub"] == CLIENT && claims["jti"].is_string();
                // At an address of another origin than its own, a provider is told its issuer (RFC 7523, section 3).
                let endpoint = self.metadata(manners)["token_endpoint"].as_str().unwrap().to_owned();
                let is_own = endpoint.starts_with(&self.issuer());
                let is_meant = claims["aud"] == if is_own { endpoint } else { self.issuer() };
                let lasts =
                    claims["exp"].as_i64().is_some_and(|exp| exp > keys::now() && exp < keys::now() + 120);
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                is_signed && is_ours && is_meant && lasts && get("client_assertion_type") == kind
            }
        }
    }

    fn token(&self, stream: &mut TcpStream, asked: &Asked, manners: &Manners) {
        let text = match self.tokens(asked, manners) {
            Ok(text) => text,
            Err(error) => return answer(stream, 400, &json!({ "error": error }).to_string()),
        };
        match manners.token_endpoint {
            None => answer(stream, 200, &text),
            Some(Breakdown::Huge) => {
                let huge = text.replacen('{', &format!("{{\"padding\":\"{}\",", "x".repeat(1 << 20)), 1);
                answer(stream, 200, &huge);
            }
            Some(Breakdown::Silent) => {
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n",
                );
                // Until nobody waits any more.
                while stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
            }
            Some(Breakdown::Cut) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    text.len()
                );
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(&text.as_bytes()[..text.len() / 2]);
            }
            Some(Breakdown::Redirect) => {
                let location = format!("{}/token", self.issuer());
                let head = format!(
                    "HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let _ = stream.write_all(head.as_bytes());
            }
            Some(Breakdown::Html) => answer_as(stream, 200, "text/html", "<html>Sign in</html>"),
            Some(Breakdown::Status(status)) => answer(stream, status, &text),
            Some(Breakdown::ContentType) => answer_as(stream, 200, "text/plain", &text),
        }
    }

    /// What the token endpoint answers, or the error that it names.
    fn tokens(&self, asked: &Asked, manners: &Manners) -> Result<String, &'static str> {
        if !self.is_authenticated(asked, manners) {
            return Err("invalid_client");
        }
        let get = |name: &str| asked.parameters.get(name).cloned().unwrap_or_default();
        if get("grant_type") == "refresh_token" {
            return self.refreshed(&get("refresh_token"), manners);
        }
        let mut codes = self.codes.lock().unwrap();
        let given = codes.get_mut(&get("code")).ok_or("invalid_grant")?;
        let is_over = std::mem::replace(&mut given.is_used, true) && !manners.forgets_codes;
        let challenge = b64(digest(&SHA256, get("code_verifier").as_bytes()));
        if is_over || challenge != given.challenge || get("redirect_uri") != given.redirect_uri {
            return Err("invalid_grant");
        }
        Ok(self.token_answer("access-token-of-anna", manners, |claims| {
            claims["nonce"] = json!(given.nonce);
            if given.max_age {
                claims["auth_time"] = json!(keys::now());
            }
            if given.contexts {
                claims["acrs"] = json!(["c1"]);
            }
        }))
    }

    /// What a refresh brings: each refresh token counts once, and its number is in the tokens that come of it.
    fn refreshed(&self, token: &str, manners: &Manners) -> Result<String, &'static str> {
        let latest = self.refreshes.load(Ordering::SeqCst);
        let is_first =
            || self.refreshes.compare_exchange(latest, latest + 1, Ordering::SeqCst, Ordering::SeqCst);
        if token != format!("refresh-token-{latest}") || is_first().is_err() {
            return Err("invalid_grant");
        }
        Ok(self.token_answer(&format!("access-token-{}", latest + 1), manners, |_| {}))
    }

    /// The answer with these tokens; with a refresh token where manners give one out.
    fn token_answer(&self, access_token: &str, manners: &Manners, change: impl FnOnce(&mut Value)) -> String {
        let half = b64(&digest(&SHA256, access_token.as_bytes()).as_ref()[..16]);
        let now = keys::now();
        let mut claims = json!({
            "iss": self.issuer(), "aud": CLIENT, "sub": "anna", "iat": now, "exp": now + 300,
            "auth_time": now - 100, "at_hash": half, "preferred_username": "anna@corp.example", "groups": ["staff"],
            "amr": ["pwd"],
        });
        change(&mut claims);
        manners.claims.iter().for_each(|change| change(&mut claims));
        let id_token = match manners.sign {
            Some(sign) => sign(&claims),
            None => keys::sign(&keys::EC, keys::HEADER, &claims.to_string()),
        };
        let mut text = json!({
            "token_type": "bearer", "access_token": access_token, "expires_in": 300, "id_token": id_token,
        })
        .to_string();
        manners.tokens.iter().for_each(|change| change(&mut text));
        text
    }

    /// A logout token whose claims `change` changed.
    pub(crate) fn logout_token(&self, change: impl FnOnce(&mut Value)) -> String {
        let now = keys::now();
        let mut claims = json!({
            "iss": self.issuer(), "aud": CLIENT, "iat": now, "exp": now + 120, "jti": format!("jti-{}", random()),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        });
        change(&mut claims);
        keys::sign(&keys::EC, r#"{"alg":"ES256","typ":"logout+jwt","kid":"ec"}"#, &claims.to_string())
    }
}

/// Ends its session, and sends the browser back.
fn end(stream: &mut TcpStream, asked: &Asked) {
    let get = |name: &str| asked.parameters.get(name).cloned().unwrap_or_default();
    let location = format!("{}?state={}", get("post_logout_redirect_uri"), encode(&get("state")));
    let head = format!(
        "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let _ = stream.write_all(head.as_bytes());
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

/// As in a form.
fn encode(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._*".contains(byte);
    let one = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        byte if plain(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// Of a form's value.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// The parameters of a query or a form.
pub(crate) fn parameters(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

fn request(stream: &mut TcpStream) -> Option<Asked> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut received = Vec::new();
    let mut chunk = [0; 8192];
    let (head, mut body) = loop {
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        received.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&received);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            break (head.to_owned(), body.to_owned());
        }
    };
    let field = |name: &str| {
        let of = |line: &str| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        };
        head.lines().find_map(of).unwrap_or_default()
    };
    let length: usize = field("content-length").parse().unwrap_or(0);
    while body.len() < length {
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        body.push_str(&String::from_utf8_lossy(&chunk[..read]));
    }
    let mut words = head.split(' ');
    let target = words.nth(1)?.to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut found = parameters(query);
    found.extend(parameters(&body));
    Some(Asked { path: path.to_owned(), parameters: found, authorization: field("authorization") })
}

fn answer(stream: &mut TcpStream, status: u16, body: &str) {
    answer_as(stream, status, "application/json", body);
}

fn answer_as(stream: &mut TcpStream, status: u16, kind: &str, body: &str) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body.as_bytes());
}
