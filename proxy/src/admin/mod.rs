//! Metrics, health and state, on a listener of their own that is never a public one.

mod serve;
mod status;

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use tokio::sync::Mutex;

pub(crate) use serve::serve;
pub(crate) use status::{Connected, Left, Neighbour, NeighbourState, Next, NextState, Phase, Status};

use crate::background::spawn_low_priority;
use crate::record::Format;
use crate::state::State;

/// Answers `/metrics`, `/healthz`, `/readyz` and `/status` to GET and HEAD, and nothing else.
#[derive(Debug)]
pub(crate) struct Admin {
    state: &'static State,
    status: &'static Status,
    /// Held while a page of metrics is written: however many ask, it is one thread and one text at a time.
    writing: Mutex<()>,
}

type Answer = Response<Full<Bytes>>;

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let body: Bytes = body.into();
    let mut response = Response::new(Full::new(body.clone()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether a page in the operator's browser is behind this request. Such a page may name any host that
/// resolves to us (DNS rebinding), so on a loopback listener the host must be an address or `localhost`;
/// and no page has any business here (Fetch Metadata; RFC 6454, section 7).
fn is_of_a_page(headers: &HeaderMap, local: Option<IpAddr>) -> bool {
    let foreign = headers.get("sec-fetch-site").is_some_and(|site| site != "none" && site != "same-origin");
    let local = local.is_some_and(|address| address.is_loopback());
    // Without the field it is no browser: some health checks still speak HTTP/1.0.
    let host = headers.get(header::HOST).map_or("localhost", |host| host.to_str().unwrap_or_default());
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    let plain = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    headers.contains_key(header::ORIGIN) || foreign || (local && !plain && name != "localhost")
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

impl Admin {
    /// Answers about `state` and `status`.
    #[must_use]
    pub(crate) const fn new(state: &'static State, status: &'static Status) -> Self {
        Self { state, status, writing: Mutex::const_new(()) }
    }

    async fn respond<B>(&self, request: &Request<B>, local: Option<IpAddr>) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
        }
        if is_of_a_page(request.headers(), local) {
            return answer(StatusCode::FORBIDDEN, TEXT, "not for pages of other hosts\n");
        }
        match request.uri().path() {
            "/metrics" => {
                let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
                let format = Format::accepted(accept);
                let _one_at_a_time = self.writing.lock().await;
                let state = self.state;
                // Not on this thread: whoever asks for the health in the meantime is answered at once.
                match spawn_low_priority(move || state.metrics_page(format)).await {
                    Some(page) => answer(StatusCode::OK, format.content_type(), page),
                    None => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "no page\n"),
                }
            }
            "/healthz" => answer(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => {
                let (status, word) = match self.status.phase() {
                    Phase::Serving if self.state.is_ready() => (StatusCode::OK, "ready"),
                    Phase::Serving => (StatusCode::SERVICE_UNAVAILABLE, "no issuer is usable"),
                    other => (StatusCode::SERVICE_UNAVAILABLE, other.as_str()),
                };
                answer(status, TEXT, format!("{word}\n{}", self.state.issuers()))
            }
            "/status" => answer(StatusCode::OK, JSON, self.status.page(self.state)),
            _ => answer(StatusCode::NOT_FOUND, TEXT, "/metrics, /healthz, /readyz, /status\n"),
        }
    }
}
