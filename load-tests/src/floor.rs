//! The floor: pingora passing requests through, and nothing else, to measure Portcullis beside it.

use std::net::SocketAddr;

use async_trait::async_trait;
use pingora::modules::http::HttpModules;
use pingora::prelude::{HttpPeer, ProxyHttp, Result, Session};
use pingora::proxy::http_proxy_service;
use pingora::server::Server;
use pingora::server::configuration::ServerConf;

/// Which settings the floor runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settings {
    /// Pingora's own defaults, work stealing included.
    Default,
    /// Those that Portcullis uses.
    Tuned,
}

struct PassThrough {
    peer: HttpPeer,
    settings: Settings,
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

    async fn request_filter(&self, _session: &mut Session, _ctx: &mut ()) -> Result<bool> {
        Ok(false)
    }

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(self.peer.clone()))
    }
}

/// Serves until ended; arguments are `LISTEN UPSTREAM`.
///
/// # Errors
/// When an argument is missing or no address.
pub fn serve(settings: Settings) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut address = || -> std::result::Result<SocketAddr, Box<dyn std::error::Error>> {
        Ok(arguments.next().ok_or("usage: LISTEN UPSTREAM")?.parse()?)
    };
    let (listen, upstream) = (address()?, address()?);
    let conf = match settings {
        Settings::Default => ServerConf::default(),
        Settings::Tuned => {
            ServerConf { work_stealing: false, upstream_keepalive_pool_size: 1_024, ..ServerConf::default() }
        }
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let peer = HttpPeer::new(upstream, false, String::new());
    let mut service = http_proxy_service(&server.configuration, PassThrough { peer, settings });
    service.add_tcp(&listen.to_string());
    server.add_service(service);
    server.run_forever();
}
