//! Pages of other origins (Fetch Standard, section 3.2): what a preflight is answered, and what such a page may read of an
//! answer.
//!
//! Preflights carry no credentials, so they are answered here; or an app opens to them (`cors.preflight = "pass"`).
//! Nothing here depends on who asks or on a policy, but on the origin alone, and an origin that an app does not name gets the
//! answer of any other stranger.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_config::settings::App;

/// The longest list of fields that a preflight may ask for, in bytes.
const REQUESTED_BYTES_MAX: usize = 2_048;
/// What pages may use where neither `cors` nor the app names methods.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// What a page may read of a refusal: what happened, what it is called, when to come back, and how to sign in.
const OF_REFUSALS: &str = "WWW-Authenticate, X-Request-Id, Retry-After, Proxy-Status";
/// The same of a call of gRPC-Web, whose whole answer is its head.
const OF_CALLS: &str = ", Grpc-Status, Grpc-Message";

/// The origin that a request says it comes from, if the app names it.
#[must_use]
pub fn allowed(app: &App, origin: Option<&str>) -> Option<HeaderValue> {
    let origin =
        origin.filter(|origin| app.allowed_origins.iter().any(|known| known.eq_ignore_ascii_case(origin)))?;
    HeaderValue::from_str(origin).ok()
}

/// The answer to a preflight of an origin that the app names; `asked` are the fields that it asks for. Whether its method is
/// among those allowed is the browser's to see.
#[must_use]
pub fn preflight(app: &App, origin: HeaderValue, asked: Option<&str>) -> HeaderMap {
    let cors = &app.cors;
    let methods = if cors.methods.is_empty() { &app.methods } else { &cors.methods };
    let methods = if methods.is_empty() { METHODS.to_owned() } else { methods.join(", ") };
    let mut answer = HeaderMap::from_iter([
        (ACCESS_CONTROL_ALLOW_ORIGIN, origin),
        (ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age.as_secs())),
        (CACHE_CONTROL, const { HeaderValue::from_static("no-store") }),
        (
            VARY,
            const {
                HeaderValue::from_static(
                    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
                )
            },
        ),
    ]);
    let fields = match &cors.headers {
        Some(fields) => Some(fields.join(", ")),
        None => asked.and_then(requested),
    };
    let fields = fields.filter(|fields| !fields.is_empty());
    for (name, value) in
        [(ACCESS_CONTROL_ALLOW_METHODS, Some(methods)), (ACCESS_CONTROL_ALLOW_HEADERS, fields)]
    {
        if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
            answer.insert(name, value);
        }
    }
    with_credentials(&mut answer, app);
    answer
}

/// The fields that a preflight asks for, written anew: names and nothing else.
fn requested(list: &str) -> Option<String> {
    let names: Vec<&str> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let is_name = |name: &&str| HeaderName::from_bytes(name.as_bytes()).is_ok();
    (list.len() <= REQUESTED_BYTES_MAX && names.iter().all(is_name)).then(|| names.join(", "))
}

/// Lets a page of this origin read a refusal.
pub fn expose_refusal(answer: &mut HeaderMap, app: &App, origin: HeaderValue) {
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let is_call = answer.contains_key("grpc-status");
    let exposed = [OF_REFUSALS, if is_call { OF_CALLS } else { "" }].concat();
    if let Ok(exposed) = HeaderValue::try_from(exposed) {
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    with_credentials(answer, app);
}

/// What is to be added to an app's answer so that a page of this origin may read it. An app that speaks of origins itself is
/// not spoken over.
#[must_use]
pub fn exposing(answer: &HeaderMap, app: &App, origin: HeaderValue) -> HeaderMap {
    if answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        return HeaderMap::new();
    }
    let mut added = HeaderMap::from_iter([
        (ACCESS_CONTROL_ALLOW_ORIGIN, origin),
        (VARY, const { HeaderValue::from_static("Origin") }),
    ]);
    let exposed = [&["x-request-id".to_owned()], app.cors.expose.as_slice()].concat().join(", ");
    if let (false, Ok(exposed)) =
        (answer.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS), HeaderValue::try_from(exposed))
    {
        added.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    if !answer.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS) {
        with_credentials(&mut added, app);
    }
    added
}

fn with_credentials(answer: &mut HeaderMap, app: &App) {
    if app.cors.credentials {
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, const { HeaderValue::from_static("true") });
    }
}
