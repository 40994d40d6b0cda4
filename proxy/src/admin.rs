//! Metrics and health, on a listener of their own that is never a public one.

use std::net::IpAddr;

use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use tokio::sync::Mutex;

use crate::background::spawn_low_priority;
use crate::record::Format;
use crate::state::State;

/// Answers `/metrics`, `/healthz` and `/readyz` to GET and HEAD, and nothing else.
#[derive(Debug)]
pub struct Admin {
    state: &'static State,
    /// Held while a page of metrics is written: however many ask, it is one thread and one text at a time.
    writing: Mutex<()>,
}

impl Admin {
    /// Reports on `state`.
    #[must_use]
    pub const fn new(state: &'static State) -> Self {
        Self { state, writing: Mutex::const_new(()) }
    }
}

fn answer(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let length = response.body().len();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, header::HeaderValue::from(length));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

/// Whether a page in the operator's browser is behind this request. Such a page may name any host that
/// resolves to us (DNS rebinding), so on a loopback listener the host must be an address or `localhost`;
/// and no page has any business here (Fetch Metadata; RFC 6454, section 7).
fn is_of_a_page(session: &ServerSession) -> bool {
    let headers = &session.req_header().headers;
    let foreign = headers.get("sec-fetch-site").is_some_and(|site| site != "none" && site != "same-origin");
    let local = session
        .server_addr()
        .and_then(|address| address.as_inet())
        .is_some_and(|address| address.ip().is_loopback());
    // Without the field it is no browser: some health checks still speak HTTP/1.0.
    let host = headers.get(header::HOST).map_or("localhost", |host| host.to_str().unwrap_or_default());
    let name =
        host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    let plain = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    headers.contains_key(header::ORIGIN) || foreign || (local && !plain && name != "localhost")
}

const TEXT: &str = "text/plain; charset=utf-8";

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, b"only GET and HEAD\n".to_vec());
        }
        if is_of_a_page(session) {
            return answer(StatusCode::FORBIDDEN, TEXT, b"not for pages of other hosts\n".to_vec());
        }
        match head.uri.path() {
            "/metrics" => {
                let accept = head.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
                let format = Format::accepted(accept);
                let _one_at_a_time = self.writing.lock().await;
                let state = self.state;
                // Not on this thread: whoever asks for the health in the meantime is answered at once.
                match spawn_low_priority(move || state.metrics_page(format)).await {
                    Some(page) => answer(StatusCode::OK, format.content_type(), page.into_bytes()),
                    None => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, b"no page\n".to_vec()),
                }
            }
            "/healthz" => answer(StatusCode::OK, TEXT, b"ok\n".to_vec()),
            "/readyz" => {
                let (status, word) = if self.state.is_ready() {
                    (StatusCode::OK, "ready")
                } else {
                    (StatusCode::SERVICE_UNAVAILABLE, "no issuer is usable")
                };
                answer(status, TEXT, format!("{word}\n{}", self.state.issuers()).into_bytes())
            }
            _ => answer(StatusCode::NOT_FOUND, TEXT, b"/metrics, /healthz, /readyz\n".to_vec()),
        }
    }
}
