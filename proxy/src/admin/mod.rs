//! Metrics, health and state, and the help desk, on a listener of their own that is never a public one.

mod answer;
mod help_desk;
mod serve;
mod status;

use std::error::Error;
use std::net::IpAddr;

use http::{Method, Request, StatusCode, header};
use hyper::body::Body;
use tokio::sync::Mutex;

pub(crate) use serve::serve;
pub(crate) use status::{Connected, Left, Neighbour, NeighbourState, Next, NextState, Phase, Status};

use crate::background::spawn_low_priority;
use crate::record::Format;
use crate::state::State;
use answer::{Answer, JSON, TEXT, answer, is_of_a_page};
use help_desk::HelpDesk;

/// Answers `/metrics`, `/healthz`, `/readyz` and `/status` to GET and HEAD, `/help-desk` to whom it is given, and nothing
/// else.
#[derive(Debug)]
pub(crate) struct Admin {
    state: &'static State,
    status: &'static Status,
    /// Held while a page of metrics is written: however many ask, it is one thread and one text at a time.
    writing: Mutex<()>,
    desk: HelpDesk,
}

impl Admin {
    /// Answers about `state` and `status`.
    #[must_use]
    pub(crate) const fn new(state: &'static State, status: &'static Status) -> Self {
        Self { state, status, writing: Mutex::const_new(()), desk: HelpDesk::new() }
    }

    async fn respond<B: Body>(&self, request: Request<B>, local: Option<IpAddr>) -> Answer
    where
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if request.uri().path() == "/help-desk"
            && let Some(settings) = &self.state.snapshot().config.server.help_desk
        {
            return self.desk.respond(self.state, settings, request, local).await;
        }
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
