//! Two small servers on loopback: the front door (the provider, and the company's border before the proxy) and the wiki.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, HOST, LOCATION, SET_COOKIE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

use super::form::Form;
use super::issuer::SignIn;
use super::pages;
use super::places::{PLACES, Place};
use super::provider::{Problem, Provider, place_of_code, random};
use super::{decision, files};

type Body = BoxBody<Bytes, hyper::Error>;

const FORM_BYTES_MAX: usize = 64 << 10;
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

fn answer(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn redirect(address: &str) -> Response<Body> {
    let mut response = answer(StatusCode::SEE_OTHER, HTML, String::new());
    if let Ok(address) = HeaderValue::from_str(address) {
        response.headers_mut().insert(LOCATION, address);
    }
    response
}

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

/// The wiki: shows what it received. `app`: its address at the border.
pub(super) async fn wiki(
    listener: TcpListener,
    (folder, app): (PathBuf, String),
    shutdown: watch::Receiver<bool>,
) {
    serve(listener, shutdown, move |request: Request<Incoming>| {
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
            .filter_map(|name| Some((name, headers.get(name)?.to_str().ok()?.to_owned())))
            .collect();
        let path = request.uri().path();
        // These are the border's: whoever is here came past it, and the wiki would show itself in its own frame.
        let (status, page) = match path.starts_with("/demo/") {
            true => (StatusCode::NOT_FOUND, pages::past_the_border(&app)),
            false => (StatusCode::OK, pages::wiki(path, &shown, &folder.join(files::EDITED))),
        };
        async move { answer(status, HTML, page) }
    })
    .await;
}

/// What the front door works with.
pub(super) struct FrontDoor {
    pub(super) provider: Provider,
    pub(super) proxy: SocketAddr,
    /// The authority of the provider's address; whatever else is asked for goes to the proxy.
    pub(super) own: String,
    pub(super) log: PathBuf,
}

/// Serves the provider under its own address. Everything else goes to the proxy, as a load balancer at the company's
/// border would send it, with the address of the place that the visitor picked.
pub(super) async fn front_door(listener: TcpListener, door: Arc<FrontDoor>, shutdown: watch::Receiver<bool>) {
    serve(listener, shutdown, move |request: Request<Incoming>| {
        let door = Arc::clone(&door);
        async move {
            let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
            if host == Some(door.own.as_str()) {
                door.as_provider(request).await
            } else {
                door.as_border(request).await
            }
        }
    })
    .await;
}

impl FrontDoor {
    async fn as_provider(&self, request: Request<Incoming>) -> Response<Body> {
        let query = Form::read(request.uri().query().unwrap_or_default().as_bytes());
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/jwks.json") => answer(StatusCode::OK, JSON, self.provider.issuer.jwks()),
            (&Method::GET, "/.well-known/openid-configuration") => {
                answer(StatusCode::OK, JSON, self.provider.metadata())
            }
            (&Method::GET, "/authorize") => self.ask(&query),
            (&Method::POST, "/authorize") => match form(request).await {
                Some(form) => self.picked(&form),
                None => answer(StatusCode::BAD_REQUEST, HTML, pages::problem("This form is too large.")),
            },
            (&Method::POST, "/token") => self.token(request).await,
            (&Method::GET, "/end-session") => match self.provider.after_sign_out(&query) {
                Some(address) => redirect(&address),
                None => answer(StatusCode::OK, HTML, pages::problem("You are signed out.")),
            },
            (&Method::GET, "/") => redirect(self.provider.app()),
            _ => answer(StatusCode::NOT_FOUND, HTML, pages::problem("There is nothing here.")),
        }
    }

    fn ask(&self, query: &Form) -> Response<Body> {
        match self.provider.asked(query) {
            Ok(asked) => answer(StatusCode::OK, HTML, pages::sign_in(&asked)),
            Err(Problem::SendBack(address)) => redirect(&address),
            Err(Problem::Page(text)) => answer(StatusCode::BAD_REQUEST, HTML, pages::problem(text)),
        }
    }

    fn picked(&self, form: &Form) -> Response<Body> {
        let asked = match self.provider.asked(form) {
            Ok(asked) => asked,
            Err(Problem::SendBack(address)) => return redirect(&address),
            Err(Problem::Page(text)) => return answer(StatusCode::BAD_REQUEST, HTML, pages::problem(text)),
        };
        if form.get("cancel").is_some() {
            let address = self.provider.refused(&asked, "access_denied", Some("The visitor cancelled"));
            return redirect(&address);
        }
        let field = |name| form.get(name).unwrap_or_default();
        let mut sign_in = SignIn::new(field("person"), field("method"), field("device"));
        sign_in.sid = random();
        let place = PLACES.iter().find(|place| place.id == field("place")).unwrap_or(&PLACES[0]);
        match self.provider.granted(asked, sign_in, place, crate::clock::unix_now()) {
            Some(address) => redirect(&address),
            None => {
                answer(StatusCode::INTERNAL_SERVER_ERROR, HTML, pages::problem("There are no random bytes."))
            }
        }
    }

    async fn token(&self, request: Request<Incoming>) -> Response<Body> {
        let authorization = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let authorization = authorization.map(str::to_owned);
        let form = form(request).await.unwrap_or_else(|| Form::read(b""));
        let (status, document) =
            self.provider.token(authorization.as_deref(), &form, crate::clock::unix_now());
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        answer(status, JSON, document.to_string())
    }

    async fn as_border(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        if let Some(id) = path.strip_prefix("/demo/decision/") {
            let policies = decision::policies_of(&self.log, id).await;
            return answer(StatusCode::OK, HTML, pages::decision(policies.as_deref()));
        }
        if let Some(id) = path.strip_prefix("/demo/place/") {
            // Only a place of ours goes into the cookie, never text of the client.
            let mut response = redirect("/");
            if let Some(place) = PLACES.iter().find(|place| place.id == id) {
                set_place(&mut response, place);
            }
            return response;
        }
        let query = request.uri().query().unwrap_or_default();
        let arrives = path.starts_with("/.portcullis/callback/").then(|| place_of_code(query)).flatten();
        let place = arrives.or_else(|| place_of_cookie(&request)).unwrap_or(&PLACES[0]);
        let mut response = forward(request, self.proxy, place).await;
        if let Some(place) = arrives {
            set_place(&mut response, place);
        }
        response
    }
}

async fn form(request: Request<Incoming>) -> Option<Form> {
    let body = Limited::new(request.into_body(), FORM_BYTES_MAX).collect().await.ok()?;
    Some(Form::read(&body.to_bytes()))
}

fn set_place(response: &mut Response<Body>, place: &Place) {
    let cookie = format!("demo_place={}; Path=/; HttpOnly; SameSite=Lax", place.id);
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

fn place_of_cookie(request: &Request<Incoming>) -> Option<&'static Place> {
    PLACES.iter().find(|place| {
        let wanted = format!("demo_place={}", place.id);
        let lines = request.headers().get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(';')).any(|pair| pair.trim() == wanted)
    })
}

async fn forward(mut request: Request<Incoming>, proxy: SocketAddr, place: &Place) -> Response<Body> {
    request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static(place.address));
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
