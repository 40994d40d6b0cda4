//! One request to a provider: bounded in time and size, and its answer taken only where it is JSON of one reading.

use std::sync::OnceLock;
use std::time::Duration;

use portcullis_config::settings::Authorities;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde_json::{Map, Value};

use super::problem::ProviderProblem;
use crate::failure::NetworkFailure;
use crate::refusal::SignInFault;
use crate::token::{FetchError, StrictObject, body, client, unreachable, without_bom};

/// The longest answer, in bytes: three tokens of the longest that are read, and what stands around them.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The longest that an answer may take, in all.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// The clients that speak to a provider; they keep its connections.
#[derive(Debug)]
pub(super) struct Endpoints {
    ca: Option<Authorities>,
    secure: OnceLock<Client>,
    local: OnceLock<Client>,
}

/// An answer that is JSON.
pub(super) struct JsonAnswer {
    pub(super) status: StatusCode,
    pub(super) members: Map<String, Value>,
    /// The text itself.
    pub(super) bytes: Vec<u8>,
}

impl Endpoints {
    pub(super) const fn new(ca: Option<Authorities>) -> Self {
        Self { ca, secure: OnceLock::new(), local: OnceLock::new() }
    }

    /// What speaks to this address. Metadata name no plain one that is not of this machine.
    fn client(&self, url: &Url) -> Result<&Client, ProviderProblem> {
        let is_local = url.scheme() == "http";
        let cell = if is_local { &self.local } else { &self.secure };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let made = client(is_local, self.ca.as_ref()).map_err(problem)?;
        Ok(cell.get_or_init(|| made))
    }

    pub(super) fn post(&self, url: &Url) -> Result<RequestBuilder, ProviderProblem> {
        Ok(self.client(url)?.post(url.clone()))
    }

    pub(super) fn get(&self, url: &Url) -> Result<RequestBuilder, ProviderProblem> {
        Ok(self.client(url)?.get(url.clone()))
    }
}

/// Sends a request, and reads its answer.
pub(super) async fn send(request: RequestBuilder) -> Result<JsonAnswer, ProviderProblem> {
    let sent = request.timeout(ANSWER_TIME).header(ACCEPT, "application/json").send().await;
    let response = sent.map_err(unreachable).map_err(|error| match error {
        // Before the first byte of an answer.
        FetchError::Unreachable(failure @ NetworkFailure::Reset) => {
            ProviderProblem::new(SignInFault::ProviderUnreachable, failure.as_str())
        }
        error => problem(error),
    })?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(ProviderProblem::new(SignInFault::ProviderUnavailable, format!("status {status}")));
    }
    let malformed =
        |what: &str| ProviderProblem::new(SignInFault::MalformedAnswer, format!("{what}, status {status}"));
    if !(status.is_success() || status.is_client_error()) {
        return Err(malformed("neither an answer nor an error"));
    }
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(malformed("no application/json"));
    }
    let bytes = body(response, ANSWER_BYTES_MAX).await.map_err(problem)?;
    match serde_json::from_slice(without_bom(&bytes)) {
        Ok(StrictObject(members)) => Ok(JsonAnswer { status, members, bytes }),
        Err(_) => Err(malformed("no JSON object of one reading")),
    }
}

fn problem(error: FetchError) -> ProviderProblem {
    let (fault, detail) = match error {
        FetchError::Unreachable(NetworkFailure::Timeout) => {
            (SignInFault::ProviderTimeout, "no answer in time".into())
        }
        // It broke off in the middle, or is no HTTP.
        FetchError::Unreachable(NetworkFailure::Protocol | NetworkFailure::Reset) => {
            (SignInFault::MalformedAnswer, "the answer is cut off".into())
        }
        FetchError::Unreachable(failure) => (SignInFault::ProviderUnreachable, failure.as_str().to_owned()),
        FetchError::TooLarge => (SignInFault::AnswerTooLarge, format!("more than {ANSWER_BYTES_MAX} bytes")),
        other => (SignInFault::MalformedAnswer, other.to_string()),
    };
    ProviderProblem { fault, detail }
}
