//! The floor: pingora passing requests through, and nothing else, to measure Portcullis beside it.
//!
//! `portcullis-load-tests LISTEN UPSTREAM [tuned]` serves until ended. Plain, it runs with
//! pingora's default settings; `tuned`, with the settings that Portcullis uses.

use std::net::SocketAddr;

use async_trait::async_trait;
use pingora::prelude::{HttpPeer, ProxyHttp, Result, Session};
use pingora::proxy::http_proxy_service;
use pingora::server::Server;
use pingora::server::configuration::ServerConf;

struct PassThrough {
    upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for PassThrough {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn request_filter(&self, _session: &mut Session, _ctx: &mut ()) -> Result<bool> {
        Ok(false)
    }

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let listen: SocketAddr = arguments.next().ok_or("usage: LISTEN UPSTREAM [tuned]")?.parse()?;
    let upstream: SocketAddr = arguments.next().ok_or("usage: LISTEN UPSTREAM [tuned]")?.parse()?;
    let tuned = arguments.next().as_deref() == Some("tuned");
    let conf = ServerConf { work_stealing: !tuned, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, PassThrough { upstream });
    service.add_tcp(&listen.to_string());
    server.add_service(service);
    server.run_forever();
}
