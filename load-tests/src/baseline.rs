//! The baseline: pingora passing requests through, and nothing else, to measure Portcullis beside it.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::apps::HttpServerOptions;
use pingora::http::ResponseHeader;
use pingora::listeners::tls::TlsSettings;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::modules::http::HttpModules;
use pingora::prelude::{HttpPeer, ProxyHttp, Result, Session};
use pingora::proxy::http_proxy_service;
use pingora::server::Server;
use pingora::server::configuration::ServerConf;

/// Which settings the baseline runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settings {
    /// Pingora's own defaults, work stealing included.
    Default,
    /// Those that Portcullis uses, its timeouts included: without them, a client or a server that says
    /// nothing holds a connection for ever.
    Tuned,
}

/// What is answered here instead of passed on, to measure refusals beside it.
const REFUSED: &str = "/refused";
/// As many bytes as a denial has, and as many fields of the same lengths.
static BODY: [u8; 1096] = [b'-'; 1096];
const HEAD: [(&str, &str); 11] = [
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'none'; style-src 'sha256-lcWjYqXg+4kR/7C2+XRG449GBQ0a/JR7V2AWNd/dlfM='; script-src \
         'sha256-AuY1s/HxAOYKv/E/0AVWQiFW6FA2gLhUvBhR+tCQSWs='; img-src data:; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'self'",
    ),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-robots-tag", "noindex"),
    ("vary", "Accept, Accept-Language, Sec-Fetch-Mode"),
    ("content-language", "en"),
    ("x-request-id", "01937e2a-1b2c-7d3e-8f40-5162738495a6"),
    ("proxy-status", "portcullis; error=http_request_denied; details=\"53003\""),
    ("content-type", "application/problem+json"),
    ("content-length", "1096"),
];
/// The listener's write buffer, in bytes, as Portcullis has it: head and body of an answer leave together.
const WRITE_BYTES: usize = 8 << 10;

struct PassThrough {
    peer: HttpPeer,
    settings: Settings,
    refusal: ResponseHeader,
}

#[async_trait]
impl ProxyHttp for PassThrough {
    type CTX = ();

    fn new_ctx(&self) {}

    fn init_downstream_modules(&self, modules: &mut HttpModules) {
        if self.settings == Settings::Default {
            modules.add_module(pingora::modules::http::compression::ResponseCompressionBuilder::enable(0));
        }
    }

    async fn early_request_filter(&self, session: &mut Session, _ctx: &mut ()) -> Result<()> {
        if self.settings == Settings::Tuned {
            session.set_keepalive(Some(60));
            session.set_write_timeout(Some(Duration::from_secs(60)));
        }
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, _ctx: &mut ()) -> Result<bool> {
        if session.req_header().uri.path() != REFUSED {
            return Ok(false);
        }
        session.write_response_header(Box::new(self.refusal.clone()), false).await?;
        session.write_response_body(Some(Bytes::from_static(&BODY)), true).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(self.peer.clone()))
    }
}

/// Serves until ended; arguments are `LISTEN UPSTREAM TLS-LISTEN CERTIFICATE KEY`. Clients that begin with its preface are
/// served over HTTP/2, and so is asked an upstream `h2://ADDRESS`.
///
/// # Errors
/// When an argument is missing, no address or no certificate.
pub fn serve(settings: Settings) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream, tls, certificate, key] = arguments.as_slice() else {
        return Err("usage: LISTEN UPSTREAM TLS-LISTEN CERTIFICATE KEY".into());
    };
    let conf = match settings {
        Settings::Default => ServerConf::default(),
        Settings::Tuned => {
            ServerConf { work_stealing: false, upstream_keepalive_pool_size: 1_024, ..ServerConf::default() }
        }
    };
    // Several crypto libraries may be linked; this is the one that Portcullis uses.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let (address, is_http2) =
        upstream.strip_prefix("h2://").map_or((upstream.as_str(), false), |address| (address, true));
    let mut peer = HttpPeer::new(address.parse::<SocketAddr>()?, false, String::new());
    if is_http2 {
        peer.options.set_http_version(2, 2);
    }
    if settings == Settings::Tuned {
        peer.options.connection_timeout = Some(Duration::from_secs(2));
        peer.options.total_connection_timeout = Some(Duration::from_secs(4));
        peer.options.read_timeout = Some(Duration::from_secs(60));
        peer.options.write_timeout = Some(Duration::from_secs(60));
        peer.options.idle_timeout = Some(Duration::from_secs(60));
    }
    let mut refusal = ResponseHeader::build_no_case(403, Some(HEAD.len()))?;
    for (name, value) in HEAD {
        refusal.insert_header(name, value)?;
    }
    let mut service = http_proxy_service(&server.configuration, PassThrough { peer, settings, refusal });
    if let Some(proxy) = service.app_logic_mut() {
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        proxy.server_options = Some(options);
    }
    match settings {
        Settings::Default => service.add_tcp(listen),
        Settings::Tuned => service.add_listener(
            ListenerConfig::tcp(listen).l4_buffer(L4BufferSettings::default().write(WRITE_BYTES)),
        ),
    }
    let mut secure = TlsSettings::intermediate(certificate, key)?;
    secure.enable_h2();
    service.add_tls_with_settings(tls, None, secure);
    server.add_service(service);
    server.run_forever();
}
