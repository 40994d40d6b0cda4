//! Two small servers on loopback: the front door (issuer and border) and the wiki.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

use super::issuer::Issuer;
use super::pages;
use super::places::PLACES;

type Body = BoxBody<Bytes, hyper::Error>;

fn answer(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

const HTML: &str = "text/html; charset=utf-8";

/// Accepts connections and serves each until asked to stop.
async fn serve<F, A>(listener: TcpListener, mut shutdown: watch::Receiver<bool>, handle: F)
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(problem) => {
            tracing::error!(%problem, "a demo server cannot listen");
            return;
        }
    };
    loop {
        let accepted = tokio::select! {
            _ = shutdown.changed() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let handle = handle.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answered = handle(request);
                async move { Ok::<_, Infallible>(answered.await) }
            });
            // A client that goes away ends its own connection and nothing else.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// The wiki: shows what it received.
pub(super) async fn wiki(listener: TcpListener, shutdown: watch::Receiver<bool>) {
    serve(listener, shutdown, |request: Request<Incoming>| async move {
        const SHOWN: [&str; 8] = [
            "x-user",
            "x-user-name",
            "x-groups",
            "x-device",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-request-id",
            "cookie",
        ];
        let headers = request.headers();
        let shown: Vec<_> = SHOWN
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), headers.get(name)?.to_str().ok()?.to_owned())))
            .collect();
        answer(StatusCode::OK, HTML, pages::wiki(request.uri().path(), &shown))
    })
    .await;
}

/// The issuer's documents and sign-in page; everything else goes to the proxy, as a load balancer at
/// the company's border would send it, with the address of the place that the visitor picked.
pub(super) async fn front_door(
    listener: TcpListener,
    issuer: Arc<Issuer>,
    proxy: SocketAddr,
    shutdown: watch::Receiver<bool>,
) {
    serve(listener, shutdown, move |request: Request<Incoming>| {
        let issuer = Arc::clone(&issuer);
        async move {
            match request.uri().path() {
                "/jwks.json" => answer(StatusCode::OK, "application/json", issuer.jwks()),
                "/.well-known/openid-configuration" => {
                    let document = serde_json::json!({ "issuer": issuer.url(), "jwks_uri": format!("{}/jwks.json", issuer.url()) });
                    answer(StatusCode::OK, "application/json", document.to_string())
                }
                "/demo/" | "/demo" => answer(StatusCode::OK, HTML, pages::sign_in()),
                "/demo/sign-in" => sign_in(&issuer, request.uri().query().unwrap_or_default()),
                _ => forward(request, proxy).await,
            }
        }
    })
    .await;
}

fn sign_in(issuer: &Issuer, query: &str) -> Response<Body> {
    let picked = |wanted: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value)
    };
    let token = issuer.sign(
        picked("person").unwrap_or_default(),
        picked("device").unwrap_or_default(),
        crate::clock::unix_now(),
    );
    // Only a place of ours goes into the cookie, never text of the client.
    let place =
        PLACES.iter().find(|place| picked("place") == Some(place.id)).map_or("office", |place| place.id);
    let mut response = answer(StatusCode::SEE_OTHER, HTML, String::new());
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_static("/"));
    for cookie in [
        format!("portcullis_demo_token={token}; Path=/; HttpOnly; SameSite=Lax"),
        format!("portcullis_demo_place={place}; Path=/; HttpOnly; SameSite=Lax"),
    ] {
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            headers.append(SET_COOKIE, cookie);
        }
    }
    response
}

async fn forward(mut request: Request<Incoming>, proxy: SocketAddr) -> Response<Body> {
    let place = PLACES.iter().find(|place| {
        let wanted = format!("portcullis_demo_place={}", place.id);
        let lines = request.headers().get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(';')).any(|pair| pair.trim() == wanted)
    });
    let address = place.or(PLACES.first()).map_or("127.0.0.1", |place| place.address);
    request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static(address));
    match send(request, proxy).await {
        Ok(response) => response,
        Err(problem) => {
            answer(StatusCode::BAD_GATEWAY, "text/plain", format!("the proxy does not answer: {problem}\n"))
        }
    }
}

async fn send(
    request: Request<Incoming>,
    proxy: SocketAddr,
) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = tokio::net::TcpStream::connect(proxy).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?.map(BodyExt::boxed))
}
