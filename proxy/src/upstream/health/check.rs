//! One check: a request of its own on a connection of its own, made as those of requests are (TLS, authorities,
//! certificate, HTTP/2, sockets), and the status of the answer.

use std::error::Error as StdError;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri, Version};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pingora::connectors::TransportConnector;
use pingora::protocols::ALPN;
use pingora::upstreams::peer::{HttpPeer, Peer};
use portcullis_config::settings::{CheckMethod, HealthCheck};
use tokio::time::timeout;

use super::super::cause::{cause_of, words_of};
use crate::failure::NetworkFailure;
use crate::record::CheckResult;

/// A head of an answer has at most so many bytes.
const HEAD_BYTES_MAX: u16 = 16 << 10;
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("portcullis/", env!("CARGO_PKG_VERSION"), " (health check)"));

/// Opens connections for checks alone: none of them serves a request.
static CONNECTOR: LazyLock<TransportConnector> = LazyLock::new(|| TransportConnector::new(None));

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) result: CheckResult,
    /// The status of the answer, if there was one.
    pub(super) status: Option<u16>,
    /// What a library says of a failure.
    pub(super) detail: Option<String>,
}

impl Checked {
    fn failed(cause: NetworkFailure, detail: &str) -> Self {
        Self { result: CheckResult::Failed(cause), status: None, detail: Some(shortened(detail)) }
    }
}

fn shortened(text: &str) -> String {
    text.trim().escape_debug().take(300).collect()
}

/// Asks a server.
pub(super) async fn check(peer: &HttpPeer, check: &HealthCheck) -> Checked {
    let answered = timeout(check.timeout, async {
        let stream = match CONNECTOR.new_stream(peer).await {
            Ok(stream) => stream,
            Err(problem) => return Err((cause_of(&problem), words_of(&problem))),
        };
        let is_http2 = match stream.selected_alpn_proto() {
            Some(ALPN::H2) => true,
            Some(_) => false,
            // Without TLS nothing is agreed on: it is known before.
            None => peer.get_alpn().is_some_and(|offered| offered.get_min_http_version() == 2),
        };
        let request =
            request(peer, check, is_http2).map_err(|problem| (NetworkFailure::Local, problem.to_string()))?;
        if is_http2 {
            by_http2(stream, request).await.map_err(|problem| match problem {
                Some(problem) => (cause_of_http2(&problem), chain(&problem)),
                None => (NetworkFailure::Reset, "the connection was closed".to_owned()),
            })
        } else {
            by_http1(stream, request).await.map_err(|problem| (cause_of_http1(&problem), chain(&problem)))
        }
    });
    match answered.await {
        Ok(Ok(status)) => {
            let result =
                if check.expect.contains(status) { CheckResult::Passed } else { CheckResult::Status };
            Checked { result, status: Some(status), detail: None }
        }
        Ok(Err((cause, detail))) => Checked::failed(cause, &detail),
        Err(_) => Checked::failed(NetworkFailure::Timeout, "no answer within its `timeout`"),
    }
}

fn request(peer: &HttpPeer, check: &HealthCheck, is_http2: bool) -> Result<Request<()>, http::Error> {
    let method = match check.method {
        CheckMethod::Get => Method::GET,
        CheckMethod::Head => Method::HEAD,
    };
    let request = Request::builder().method(method).header(USER_AGENT, AGENT);
    let request = if is_http2 {
        let scheme = if peer.is_tls() { "https" } else { "http" };
        let uri =
            Uri::builder().scheme(scheme).authority(check.host.as_str()).path_and_query(check.path.as_str());
        request.version(Version::HTTP_2).uri(uri.build()?)
    } else {
        request.uri(check.path.as_str()).header(HOST, check.host.as_str()).header(CONNECTION, "close")
    };
    request.body(())
}

type Stream = pingora::protocols::Stream;

async fn by_http1(stream: Stream, request: Request<()>) -> Result<u16, hyper::Error> {
    let request = request.map(|()| Empty::<Bytes>::new());
    let mut client = http1::Builder::new();
    client.max_buf_size(HEAD_BYTES_MAX.into());
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await?;
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(sender.send_request(request));
    tokio::select! {
        biased;
        answer = &mut answer => return answer.map(|answer| answer.status().as_u16()),
        ended = &mut connection => ended?,
    }
    answer.await.map(|answer| answer.status().as_u16())
}

/// `None` is that it closed the connection before it answered.
async fn by_http2(stream: Stream, request: Request<()>) -> Result<u16, Option<h2::Error>> {
    let mut client = h2::client::Builder::new();
    client.max_header_list_size(HEAD_BYTES_MAX.into()).enable_push(false);
    let (sender, connection) = client.handshake::<_, Bytes>(stream).await?;
    let mut connection = std::pin::pin!(connection);
    let mut sender = tokio::select! {
        sender = sender.ready() => sender?,
        ended = &mut connection => return Err(ended.err()),
    };
    let (answer, _) = sender.send_request(request, true)?;
    tokio::select! {
        biased;
        answer = answer => Ok(answer?.status().as_u16()),
        ended = &mut connection => Err(ended.err()),
    }
}

fn cause_of_http1(problem: &hyper::Error) -> NetworkFailure {
    match NetworkFailure::of_chain(problem) {
        Some(cause) => cause,
        None if problem.is_incomplete_message() || problem.is_canceled() => NetworkFailure::Reset,
        None => NetworkFailure::Protocol,
    }
}

fn cause_of_http2(problem: &h2::Error) -> NetworkFailure {
    problem
        .get_io()
        .map_or(NetworkFailure::Protocol, |io| NetworkFailure::of_chain(io).unwrap_or(NetworkFailure::Reset))
}

fn chain(problem: &(dyn StdError + 'static)) -> String {
    let mut text = problem.to_string();
    let mut next = problem.source();
    while let Some(problem) = next {
        text.push_str(": ");
        text.push_str(&problem.to_string());
        next = problem.source();
    }
    text
}

/// Between nine and eleven tenths of an interval, so that checks of many servers, and of many replicas, spread.
pub(super) fn jittered(interval: Duration, chance: u64) -> Duration {
    interval.mul_f64(0.9 + 0.2 * fraction(chance))
}

/// From 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "chance need not be exact")]
pub(super) fn fraction(chance: u64) -> f64 {
    (chance >> 11) as f64 / (1_u64 << 53) as f64
}
